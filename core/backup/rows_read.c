/* rows_read.c - reads a file of rows (rows.h).
 *
 * The index is kept in memory, about 30 bytes per 100 KB of rows. An iterator
 * holds one chunk: its keys, all decoded, and its values once one of them is
 * needed. Sizes in the file are checked before memory is allocated for them. */
#include "rows_format.h"

#include "../kv/codec.h"
#include "../util/job.h"

#include <inttypes.h>

typedef struct chunk_place {
    uint64_t at, bytes; /* place of the chunk */
    nadb_slice first;   /* its first key, in `index` */
} chunk_place;

struct backup_rows {
    nadb_file *f;
    uint8_t id[ID_BYTES];
    uint64_t size;
    uint64_t rows, deleted;
    size_t chunks;
    nadb_buf index;
    nadb_buf places; /* array of chunk_place */
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for reading a backup");
}

static const char *path_of(const backup_rows *r) {
    return nadb_os_get()->path(r->f);
}

static nadb_rc damaged(const backup_rows *r, const char *what, nadb_err *err) {
    return nadb_corrupt(err, "%s is damaged: %s", path_of(r), what);
}

/* --- opening --- */

static nadb_rc read_head(backup_rows *r, nadb_err *err) {
    uint8_t head[HEAD_BYTES];
    uint32_t version;
    nadb_rc rc;

    if (r->size < HEAD_BYTES + END_BYTES)
        return damaged(r, "it is too short", err);
    rc = nadb_os_get()->pread(r->f, head, sizeof head, 0, err);
    if (rc != NADB_OK) return rc;
    if (memcmp(head, HEAD_MAGIC, 8) != 0)
        return damaged(r, "it does not begin as a file of rows", err);
    if (nadb_get_u32(head + HEAD_CRC) != nadb_crc32c(0, head, HEAD_CRC))
        return damaged(r, "the checksum of its head is wrong", err);
    version = nadb_get_u32(head + HEAD_VERSION);
    if (version != ROWS_VERSION)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s has format %" PRIu32 ", and this version of nadb "
                         "reads format 1: use a newer one",
                         path_of(r), version);
    memcpy(r->id, head + HEAD_ID, ID_BYTES);
    return NADB_OK;
}

/* Parses the index; chunks must fill the file from the head to `end`. */
static nadb_rc take_index(backup_rows *r, uint64_t end, nadb_err *err) {
    nadb_reader in = nadb_reader_of(nadb_buf_slice(&r->index));
    uint64_t at = HEAD_BYTES;
    chunk_place *places;

    /* A chunk takes at least 3 bytes in the index. */
    if (r->chunks > r->index.n / 3)
        return damaged(r, "its index is too short", err);
    if (!nadb_buf_reserve(&r->places, r->chunks * sizeof *places + 1))
        return no_memory(err);
    places = (chunk_place *)(void *)r->places.p;
    for (size_t i = 0; i < r->chunks; i++) {
        chunk_place *p = &places[i];

        p->at = at;
        p->bytes = nadb_read_varint(&in);
        p->first = nadb_read_blob(&in);
        if (in.bad || p->bytes < CHUNK_BYTES || p->bytes > end - at)
            return damaged(r, "its index is wrong", err);
        if (i > 0 && nadb_slice_cmp(p[-1].first, p->first) >= 0)
            return damaged(r, "its index is out of order", err);
        at += p->bytes;
    }
    r->places.n = r->chunks * sizeof *places;
    if (at != end || nadb_reader_left(&in) > 0)
        return damaged(r, "its index leaves bytes out", err);
    return NADB_OK;
}

static nadb_rc read_end(backup_rows *r, uint8_t end[END_BYTES], nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_rc rc = os->size(r->f, &r->size, err);

    if (rc == NADB_OK) rc = read_head(r, err);
    if (rc == NADB_OK)
        rc = os->pread(r->f, end, END_BYTES, r->size - END_BYTES, err);
    if (rc != NADB_OK) return rc;
    if (memcmp(end, END_MAGIC, 8) != 0)
        return damaged(r, "its end is missing", err);
    if (nadb_get_u32(end + END_CRC) != backup_crc(r->id, end, END_CRC))
        return damaged(r, "the checksum of its end is wrong", err);
    return NADB_OK;
}

static nadb_rc read_index(backup_rows *r, const uint8_t end[END_BYTES],
                          nadb_err *err) {
    uint64_t at = r->size - END_BYTES;
    uint64_t index, bytes;
    nadb_rc rc;

    index = nadb_get_u64(end + END_INDEX);
    bytes = nadb_get_u64(end + END_INDEX_BYTES);
    r->rows = nadb_get_u64(end + END_ROWS);
    r->deleted = nadb_get_u64(end + END_DELETED);
    if (index < HEAD_BYTES || index > at || bytes != at - index ||
        nadb_get_u64(end + END_CHUNKS) > SIZE_MAX / sizeof(chunk_place) / 2)
        return damaged(r, "its end is wrong", err);
    r->chunks = (size_t)nadb_get_u64(end + END_CHUNKS);
    if (!nadb_buf_reserve(&r->index, (size_t)bytes + 1)) return no_memory(err);
    rc = nadb_os_get()->pread(r->f, r->index.p, (size_t)bytes, index, err);
    if (rc != NADB_OK) return rc;
    r->index.n = (size_t)bytes;
    if (nadb_get_u32(end + END_INDEX_CRC) !=
        backup_crc(r->id, r->index.p, r->index.n))
        return damaged(r, "the checksum of its index is wrong", err);
    return take_index(r, index, err);
}

nadb_rc backup_rows_open(nadb_file *f, backup_rows **out, nadb_err *err) {
    backup_rows *r = nadb_calloc(1, sizeof *r);
    uint8_t end[END_BYTES];
    nadb_rc rc;

    *out = NULL;
    if (r == NULL) {
        nadb_os_get()->close(f);
        return no_memory(err);
    }
    r->f = f;
    rc = read_end(r, end, err);
    if (rc == NADB_OK) rc = read_index(r, end, err);
    if (rc == NADB_OK)
        *out = r;
    else
        backup_rows_close(r);
    return rc;
}

void backup_rows_close(backup_rows *r) {
    if (r == NULL) return;
    nadb_os_get()->close(r->f);
    nadb_buf_clear(&r->index);
    nadb_buf_clear(&r->places);
    nadb_free(r);
}

void backup_rows_count(const backup_rows *r, uint64_t *rows,
                       uint64_t *deleted) {
    *rows = r->rows;
    *deleted = r->deleted;
}

nadb_rc backup_rows_values(nadb_file *f, uint64_t *out, bool *known,
                           nadb_err *err) {
    backup_rows r = {.f = f};
    uint8_t end[END_BYTES];
    uint64_t noted = 0;
    nadb_rc rc = read_end(&r, end, err);

    if (rc == NADB_OK) noted = nadb_get_u64(end + END_VALUES);
    *known = noted > 0;
    *out = *known ? noted - 1 : 0;
    nadb_os_get()->close(f);
    return rc;
}

#define SUM_BYTES (256u * 1024u)

nadb_rc backup_rows_sum(const backup_rows *r, const nadb_stop *stop,
                        char out[NADB_SHA256_HEX], nadb_err *err) {
    uint8_t sum[NADB_SHA256_BYTES];
    uint8_t *p = nadb_malloc(SUM_BYTES);
    nadb_sha256 sha;
    nadb_rc rc = p == NULL ? no_memory(err) : NADB_OK;

    nadb_sha256_begin(&sha);
    for (uint64_t at = 0; rc == NADB_OK && at < r->size; at += SUM_BYTES) {
        uint64_t left = r->size - at;
        size_t n = left < SUM_BYTES ? (size_t)left : SUM_BYTES;

        rc = nadb_stopped(stop, err);
        if (rc == NADB_OK) rc = nadb_job_step(0, n, err);
        if (rc == NADB_OK) rc = nadb_os_get()->pread(r->f, p, n, at, err);
        if (rc == NADB_OK) nadb_sha256_add(&sha, p, n);
    }
    nadb_sha256_end(&sha, sum);
    nadb_sha256_hex(sum, out);
    nadb_free(p);
    return rc;
}

static const chunk_place *place_of(const backup_rows *r, size_t i) {
    return (const chunk_place *)(const void *)r->places.p + i;
}

size_t backup_rows_chunks(const backup_rows *r) { return r->chunks; }

nadb_slice backup_rows_first(const backup_rows *r, size_t chunk) {
    return place_of(r, chunk)->first;
}

/* --- one chunk --- */

typedef struct record {
    size_t key_at, key_n; /* in chunk.text */
    uint64_t value_at;    /* offset in the values */
    backup_print print;   /* bytes == 0: deleted */
} record;

typedef struct chunk {
    const backup_rows *rows;
    size_t i; /* index of the loaded chunk; rows->chunks: none */
    size_t n; /* number of records */
    bool has_values;
    uint8_t head[CHUNK_BYTES];
    nadb_buf stored;  /* stored bytes */
    nadb_buf text;    /* keys */
    nadb_buf records; /* array of record */
    nadb_buf values;
} chunk;

static void chunk_clear(chunk *c) {
    nadb_buf_clear(&c->stored);
    nadb_buf_clear(&c->text);
    nadb_buf_clear(&c->records);
    nadb_buf_clear(&c->values);
}

static nadb_rc chunk_damaged(const chunk *c, size_t i, const char *what,
                             nadb_err *err) {
    return nadb_corrupt(err, "%s is damaged: the chunk at %" PRIu64 ": %s",
                        path_of(c->rows), place_of(c->rows, i)->at, what);
}

static const record *record_at(const chunk *c, size_t i) {
    return (const record *)(const void *)c->records.p + i;
}

static nadb_slice key_of(const chunk *c, size_t i) {
    const record *r = record_at(c, i);

    return nadb_slice_of(c->text.p + r->key_at, r->key_n);
}

static nadb_rc read_chunk_head(chunk *c, size_t i, nadb_err *err) {
    const chunk_place *p = place_of(c->rows, i);
    uint8_t *h = c->head;
    uint64_t values, raw;
    nadb_rc rc = nadb_os_get()->pread(c->rows->f, h, CHUNK_BYTES, p->at, err);

    if (rc != NADB_OK) return rc;
    if (nadb_get_u32(h + CHUNK_CRC) != backup_crc(c->rows->id, h, CHUNK_CRC))
        return chunk_damaged(c, i, "the checksum of its head is wrong", err);
    c->n = nadb_get_u32(h + CHUNK_RECORDS);
    values = nadb_get_u64(h + CHUNK_VALUES);
    raw = nadb_get_u64(h + CHUNK_VALUES_RAW);
    if (nadb_get_u64(h + CHUNK_PLACE) != p->at || c->n == 0 ||
        c->n > CHUNK_RECORDS_MAX ||
        nadb_get_u32(h + CHUNK_KEYS) > CHUNK_KEYS_MAX ||
        values > p->bytes - CHUNK_BYTES ||
        p->bytes - CHUNK_BYTES - values != nadb_get_u32(h + CHUNK_KEYS) ||
        raw > (c->n == 1 ? BACKUP_VALUE_MAX : 2 * CHUNK_VALUES_FULL) ||
        nadb_get_u32(h + CHUNK_CODEC) > UINT8_MAX)
        return chunk_damaged(c, i, "its head is wrong", err);
    return NADB_OK;
}

/* Reads `n` bytes behind the head of chunk i, and verifies them. */
static nadb_rc read_part(chunk *c, size_t i, uint64_t at, size_t n,
                         unsigned crc_at, nadb_err *err) {
    nadb_rc rc;

    nadb_buf_reset(&c->stored);
    if (!nadb_buf_reserve(&c->stored, n + 1)) return no_memory(err);
    rc = nadb_os_get()->pread(c->rows->f, c->stored.p, n,
                              place_of(c->rows, i)->at + CHUNK_BYTES + at, err);
    if (rc != NADB_OK) return rc;
    c->stored.n = n;
    if (nadb_get_u32(c->head + crc_at) !=
        backup_crc(c->rows->id, c->stored.p, n))
        return chunk_damaged(c, i, "a checksum is wrong", err);
    return NADB_OK;
}

/* Takes the next key and its record. */
static nadb_rc take_record(chunk *c, size_t i, nadb_reader *in,
                           const record *before, record *out, nadb_err *err) {
    uint64_t shared = nadb_read_varint(in);
    nadb_slice rest = nadb_read_blob(in);
    size_t had = before == NULL ? 0 : before->key_n;

    out->print.bytes = nadb_read_varint(in);
    out->print.hash = out->print.bytes == 0 ? 0 : nadb_read_u64(in);
    if (in->bad || shared > had || rest.n > BACKUP_KEY_MAX ||
        shared > BACKUP_KEY_MAX - rest.n ||
        c->text.n + shared + rest.n > CHUNK_KEY_BYTES_MAX)
        return chunk_damaged(c, i, "a key is wrong", err);
    out->key_at = c->text.n;
    out->key_n = (size_t)shared + rest.n;
    if (!nadb_buf_reserve(&c->text, out->key_n + 1)) return no_memory(err);
    if (shared > 0)
        memcpy(c->text.p + c->text.n, c->text.p + before->key_at,
               (size_t)shared);
    nadb_copy(c->text.p + c->text.n + shared, rest.p, rest.n);
    c->text.n += out->key_n;
    if (before == NULL) return NADB_OK;
    /* The common prefix is skipped; the rest decides the order, nearly always
     * its first byte. */
    if (shared < before->key_n && rest.n > 0 &&
        c->text.p[before->key_at + shared] < rest.p[0])
        return NADB_OK;
    if (nadb_slice_cmp(nadb_slice_of(c->text.p + before->key_at + shared,
                                     before->key_n - (size_t)shared),
                       rest) >= 0)
        return chunk_damaged(c, i, "keys are out of order", err);
    return NADB_OK;
}

static nadb_rc take_records(chunk *c, size_t i, nadb_err *err) {
    nadb_reader in = nadb_reader_of(nadb_buf_slice(&c->stored));
    uint64_t raw = nadb_get_u64(c->head + CHUNK_VALUES_RAW);
    uint64_t value_at = 0;
    record *list;

    nadb_buf_reset(&c->text);
    nadb_buf_reset(&c->records);
    if (!nadb_buf_reserve(&c->records, c->n * sizeof *list))
        return no_memory(err);
    list = (record *)(void *)c->records.p;
    for (size_t k = 0; k < c->n; k++) {
        nadb_rc rc =
            take_record(c, i, &in, k == 0 ? NULL : list + k - 1, list + k, err);

        if (rc != NADB_OK) return rc;
        list[k].value_at = value_at;
        if (list[k].print.bytes > raw - value_at)
            return chunk_damaged(c, i, "a value is too long", err);
        value_at += list[k].print.bytes;
    }
    c->records.n = c->n * sizeof *list;
    if (value_at != raw || nadb_reader_left(&in) > 0)
        return chunk_damaged(c, i, "bytes are left over", err);
    return NADB_OK;
}

/* Checks that its first key is that in the index, and its last key is before
 * the next chunk's. */
static nadb_rc check_neighbours(const chunk *c, size_t i, nadb_err *err) {
    const backup_rows *r = c->rows;

    if (!nadb_slice_eq(key_of(c, 0), place_of(r, i)->first))
        return chunk_damaged(c, i, "the index names another key", err);
    if (i + 1 < r->chunks &&
        nadb_slice_cmp(key_of(c, c->n - 1), place_of(r, i + 1)->first) >= 0)
        return chunk_damaged(c, i, "its keys belong to the next one", err);
    return NADB_OK;
}

/* Loads the keys of chunk i. */
static nadb_rc chunk_load(chunk *c, size_t i, nadb_err *err) {
    nadb_rc rc;

    if (c->i == i) return NADB_OK;
    c->i = c->rows->chunks;
    c->has_values = false;
    rc = read_chunk_head(c, i, err);
    if (rc == NADB_OK)
        rc = read_part(c, i, 0, nadb_get_u32(c->head + CHUNK_KEYS),
                       CHUNK_KEYS_CRC, err);
    if (rc == NADB_OK) rc = take_records(c, i, err);
    if (rc == NADB_OK) rc = check_neighbours(c, i, err);
    if (rc == NADB_OK) c->i = i;
    return rc;
}

static nadb_rc chunk_load_values(chunk *c, nadb_err *err) {
    uint64_t raw = nadb_get_u64(c->head + CHUNK_VALUES_RAW);
    unsigned codec = nadb_get_u32(c->head + CHUNK_CODEC);
    nadb_buf swap;
    nadb_rc rc;

    if (c->has_values) return NADB_OK;
    rc = read_part(c, c->i, nadb_get_u32(c->head + CHUNK_KEYS),
                   (size_t)nadb_get_u64(c->head + CHUNK_VALUES),
                   CHUNK_VALUES_CRC, err);
    if (rc != NADB_OK) return rc;
    if (codec == NADB_CODEC_RAW && raw == c->stored.n) {
        swap = c->values;
        c->values = c->stored;
        c->stored = swap;
    } else {
        rc = nadb_codec_decode(nadb_buf_slice(&c->stored), (uint8_t)codec, raw,
                               &c->values, err);
        if (rc == NADB_CORRUPT)
            return chunk_damaged(c, c->i, "its values do not decompress", err);
    }
    c->has_values = rc == NADB_OK;
    return rc;
}

/* --- iterators --- */

typedef struct rows_iter {
    nadb_iter base;
    bool prints;
    bool reverse;
    bool started;
    chunk c;
    bool inside;       /* all keys of c are in the range */
    size_t at;         /* index of the record in c */
    nadb_slice lo, hi; /* hi.p == NULL: no bound */
    uint8_t bounds[];  /* bytes of lo and hi */
} rows_iter;

/* The chunk in which `key` is or would be: the last that begins at or before
 * it; SIZE_MAX if all begin behind it. */
static size_t find_chunk(const backup_rows *r, nadb_slice key) {
    size_t lo = 0, hi = r->chunks;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (nadb_slice_cmp(place_of(r, mid)->first, key) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo == 0 ? SIZE_MAX : lo - 1;
}

/* Number of records in the chunk before `key`. */
static size_t records_before(const chunk *c, nadb_slice key) {
    size_t lo = 0, hi = c->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (nadb_slice_cmp(key_of(c, mid), key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool in_range(const rows_iter *it, nadb_slice key) {
    return nadb_in_range(it->lo, it->hi, key);
}

/* Loads the keys of chunk i. */
static nadb_rc load(rows_iter *it, size_t i, nadb_err *err) {
    nadb_rc rc = chunk_load(&it->c, i, err);

    it->inside = rc == NADB_OK && in_range(it, key_of(&it->c, 0)) &&
                 in_range(it, key_of(&it->c, it->c.n - 1));
    return rc;
}

/* Makes the present record the entry if it is in the range. */
static nadb_rc show(rows_iter *it, nadb_err *err) {
    const record *r = record_at(&it->c, it->at);
    nadb_slice key = key_of(&it->c, it->at);
    nadb_entry *e = &it->base.entry;
    nadb_rc rc = NADB_OK;

    it->base.valid = false;
    if (!it->inside && !in_range(it, key)) return NADB_OK;
    e->key = key;
    e->value = nadb_slice_of(NULL, 0);
    e->flags = r->print.bytes == 0 ? NADB_ENTRY_TOMBSTONE : 0;
    if (it->prints) {
        e->value = nadb_slice_of(&r->print, sizeof r->print);
    } else if (r->print.bytes > 0) {
        rc = chunk_load_values(&it->c, err);
        if (rc != NADB_OK) return rc;
        e->value =
            nadb_slice_of(it->c.values.p + r->value_at, (size_t)r->print.bytes);
    }
    it->base.valid = true;
    return NADB_OK;
}

/* Moves to the next record, in reverse to the previous one. */
static nadb_rc step(rows_iter *it, nadb_err *err) {
    size_t i = it->c.i;
    nadb_rc rc;

    it->base.valid = false;
    if (it->reverse ? it->at > 0 : it->at + 1 < it->c.n) {
        it->at = it->reverse ? it->at - 1 : it->at + 1;
        return show(it, err);
    }
    if (it->reverse ? i == 0 : i + 1 == it->c.rows->chunks) return NADB_OK;
    rc = load(it, it->reverse ? i - 1 : i + 1, err);
    if (rc != NADB_OK) return rc;
    it->at = it->reverse ? it->c.n - 1 : 0;
    return show(it, err);
}

/* Moves to the first record at or behind `key`. */
static nadb_rc seek_forward(rows_iter *it, nadb_slice key, nadb_err *err) {
    size_t i = find_chunk(it->c.rows, key);
    nadb_rc rc = load(it, i == SIZE_MAX ? 0 : i, err);

    if (rc != NADB_OK) return rc;
    it->at = records_before(&it->c, key);
    if (it->at < it->c.n) return show(it, err);
    it->at = it->c.n - 1;
    return step(it, err);
}

/* Moves to the last record before `key`, or at it with `at`. */
static nadb_rc seek_reverse(rows_iter *it, nadb_slice key, bool at,
                            nadb_err *err) {
    size_t i = find_chunk(it->c.rows, key);
    size_t before;
    nadb_rc rc;

    if (i == SIZE_MAX) return NADB_OK;
    rc = load(it, i, err);
    if (rc != NADB_OK) return rc;
    before = records_before(&it->c, key);
    if (at && before < it->c.n && nadb_slice_eq(key_of(&it->c, before), key))
        before++;
    it->at = before;
    if (before == 0) return step(it, err); /* it is in the previous chunk */
    it->at = before - 1;
    return show(it, err);
}

static nadb_rc rows_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    rows_iter *it = (rows_iter *)base;

    it->started = true;
    base->valid = false;
    if (it->c.rows->chunks == 0) return NADB_OK;
    if (!it->reverse)
        return seek_forward(it, nadb_slice_cmp(key, it->lo) < 0 ? it->lo : key,
                            err);
    if (it->hi.p != NULL && nadb_slice_cmp(key, it->hi) >= 0)
        return seek_reverse(it, it->hi, false, err);
    return seek_reverse(it, key, true, err);
}

static nadb_rc seek_last(rows_iter *it, nadb_err *err) {
    nadb_rc rc = load(it, it->c.rows->chunks - 1, err);

    if (rc != NADB_OK) return rc;
    it->at = it->c.n - 1;
    return show(it, err);
}

static nadb_rc rows_next(nadb_iter *base, nadb_err *err) {
    rows_iter *it = (rows_iter *)base;

    if (it->started) return base->valid ? step(it, err) : NADB_OK;
    it->started = true;
    base->valid = false;
    if (it->c.rows->chunks == 0) return NADB_OK;
    if (!it->reverse) return seek_forward(it, it->lo, err);
    if (it->hi.p != NULL) return seek_reverse(it, it->hi, false, err);
    return seek_last(it, err);
}

static void rows_free(nadb_iter *base) {
    rows_iter *it = (rows_iter *)base;

    chunk_clear(&it->c);
    nadb_free(it);
}

nadb_rc backup_rows_iter(backup_rows *r, const nadb_range *range, bool prints,
                         nadb_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {rows_next, rows_seek, rows_free};
    rows_iter *it = nadb_calloc(1, sizeof *it + nadb_range_bytes(range) + 1);
    nadb_range own;

    *out = NULL;
    if (it == NULL) return no_memory(err);
    it->base.ops = &ops;
    it->prints = prints;
    it->c.rows = r;
    it->c.i = r->chunks;
    own = nadb_range_copy(range, it->bounds);
    it->reverse = own.reverse;
    it->lo = own.lo;
    it->hi = own.hi;
    *out = &it->base;
    return NADB_OK;
}

backup_print backup_rows_print(const nadb_iter *base) {
    const rows_iter *it = (const rows_iter *)base;

    return record_at(&it->c, it->at)->print;
}
