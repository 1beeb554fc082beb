/* wal.c - see wal.h.
 *
 * A small record is built in one buffer and written with one call. A large one
 * is written in pieces of WRITE_PIECE: first its entries, then its header, so
 * that a header on disk implies that everything else was written. */
#include "wal.h"

#include "../util/coding.h"
#include "../util/crc32c.h"

#define FORMAT 3u
#define WRITE_PIECE ((size_t)1 << 20)

/* offsets in the log's header */
enum { SALT_AT = 16, STORE_ID_AT = 72, DECIDED_AT = 88, HEADER_CRC_AT = 100 };

/* offsets in a record's header */
enum {
    R_CRC = 0,
    R_STATE = 4,
    R_OFF = 8,
    R_SYNCED = 16,
    R_LEN = 24,
    R_COUNT = 32,
    R_FLAGS = 36,
    R_DECIDED = 40
};

static void salt_set(wal *w, uint64_t salt) {
    uint8_t bytes[8];

    nadb_put_u64(bytes, salt);
    w->salt = salt;
    w->seed = nadb_crc32c(0, bytes, sizeof bytes);
}

static void header_put(uint8_t h[WAL_HEADER], const wal *w,
                       const nadb_home *home) {
    memset(h, 0, WAL_HEADER);
    memcpy(h, WAL_MAGIC, 8);
    nadb_put_u32(h + 8, FORMAT);
    nadb_put_u64(h + SALT_AT, w->salt);
    nadb_put_u64(h + 24, w->number);
    nadb_put_u64(h + 32, w->base_seq);
    nadb_put_u64(h + 40, w->capacity);
    nadb_put_u64(h + 48, w->prev_log);
    nadb_put_u64(h + 56, w->prev_end);
    nadb_put_u32(h + 64, w->cut);
    nadb_put_u64(h + DECIDED_AT, w->decided);
    memcpy(h + STORE_ID_AT, home->id.bytes, NADB_STORE_ID);
    nadb_put_u32(h + HEADER_CRC_AT, nadb_crc32c(0, h, HEADER_CRC_AT));
}

static bool header_is_whole(const uint8_t h[WAL_HEADER]) {
    return nadb_get_u32(h + HEADER_CRC_AT) == nadb_crc32c(0, h, HEADER_CRC_AT);
}

static bool header_get(const uint8_t h[WAL_HEADER], wal *w) {
    if (memcmp(h, WAL_MAGIC, 8) != 0 || nadb_get_u32(h + 8) != FORMAT ||
        !header_is_whole(h))
        return false;
    salt_set(w, nadb_get_u64(h + SALT_AT));
    w->base_seq = nadb_get_u64(h + 32);
    w->capacity = nadb_get_u64(h + 40);
    w->prev_log = nadb_get_u64(h + 48);
    w->prev_end = nadb_get_u64(h + 56);
    w->cut = nadb_get_u32(h + 64) != 0;
    w->decided = nadb_get_u64(h + DECIDED_AT);
    return nadb_get_u64(h + 24) == w->number && w->capacity >= WAL_HEADER &&
           w->capacity < (uint64_t)1 << WAL_OFF_BITS;
}

/* The checksum has this place in every future format, too. */
static nadb_rc bad_header(const uint8_t h[WAL_HEADER], const char *path,
                          nadb_err *err) {
    if (memcmp(h, WAL_MAGIC, 8) == 0 && nadb_get_u32(h + 8) > FORMAT &&
        header_is_whole(h))
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s has format %u, this version of nadb reads %u: "
                         "use a newer nadb",
                         path, nadb_get_u32(h + 8), FORMAT);
    return nadb_corrupt(err, "%s: the header is damaged: restore a backup",
                        path);
}

/* True for a header of zeros: it never reached the disk before a power cut. */
static bool is_blank(const uint8_t h[WAL_HEADER]) {
    for (size_t i = 0; i < WAL_HEADER; i++)
        if (h[i] != 0) return false;
    return true;
}

static nadb_rc log_map(wal *w, nadb_err *err) {
    void *p = NULL;
    nadb_rc rc = w->os->map(w->file, w->capacity, false, &p, err);

    w->map = p;
    return rc;
}

nadb_rc wal_create(wal *w, const nadb_home *home, const wal_birth *birth,
                   nadb_err *err) {
    const nadb_os *os = home->os;
    uint8_t h[WAL_HEADER];
    uint64_t salt;
    nadb_rc rc;

    memset(w, 0, sizeof *w);
    w->os = os;
    w->number = birth->number;
    w->capacity = birth->capacity;
    w->base_seq = birth->base_seq;
    w->prev_log = birth->prev_log;
    w->prev_end = birth->prev_end;
    w->cut = birth->cut;
    w->decided = birth->decided;
    os->random(&salt, sizeof salt);
    salt_set(w, salt);
    rc =
        nadb_home_open(home, birth->number, "log",
                       NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
                       &w->file, err);
    if (rc == NADB_OK) {
        header_put(h, w, home);
        rc = os->pwrite(w->file, h, sizeof h, 0, err);
        if (rc == NADB_OK) rc = log_map(w, err);
        if (rc != NADB_OK) nadb_home_unlink(home, birth->number, "log", NULL);
    }
    if (rc != NADB_OK) wal_close(w);
    return rc;
}

nadb_rc wal_open(wal *w, nadb_home *home, uint64_t number, bool read_only,
                 bool *valid, nadb_err *err) {
    const nadb_os *os = home->os;
    uint8_t h[WAL_HEADER];
    uint64_t size = 0;
    nadb_rc rc;

    *valid = false;
    memset(w, 0, sizeof *w);
    w->os = os;
    w->number = number;
    rc = nadb_home_open(home, number, "log",
                        read_only ? NADB_OPEN_READ : NADB_OPEN_WRITE, &w->file,
                        err);
    if (rc == NADB_OK) rc = os->size(w->file, &size, err);
    if (rc != NADB_OK || size < sizeof h) goto done;
    rc = os->pread(w->file, h, sizeof h, 0, err);
    if (rc != NADB_OK || is_blank(h)) goto done;
    if (!header_get(h, w)) {
        rc = bad_header(h, os->path(w->file), err);
        goto done;
    }
    rc = nadb_home_check(home, h + STORE_ID_AT, os->path(w->file), err);
    if (rc == NADB_OK) rc = log_map(w, err);
    *valid = rc == NADB_OK;
done:
    if (!*valid) wal_close(w);
    return rc;
}

nadb_rc wal_salt_left(const nadb_home *home, uint64_t number, uint64_t *salt,
                      nadb_err *err) {
    uint8_t bytes[8] = {0};
    nadb_file *f = NULL;
    nadb_rc rc = nadb_home_open(home, number, "log", NADB_OPEN_READ, &f, err);

    if (rc == NADB_OK)
        rc = home->os->pread(f, bytes, sizeof bytes, SALT_AT, err);
    home->os->close(f);
    *salt = nadb_get_u64(bytes);
    return rc;
}

nadb_rc wal_open_damaged(wal *w, const nadb_home *home, uint64_t number,
                         uint64_t salt, bool *valid, nadb_err *err) {
    uint64_t size = 0;
    wal_record r;
    nadb_rc rc;

    *valid = false;
    memset(w, 0, sizeof *w);
    w->os = home->os;
    w->number = number;
    salt_set(w, salt);
    rc = nadb_home_open(home, number, "log", NADB_OPEN_READ, &w->file, err);
    if (rc == NADB_OK) rc = w->os->size(w->file, &size, err);
    w->capacity = size;
    if (rc == NADB_OK && size > WAL_HEADER) rc = log_map(w, err);
    if (rc == NADB_OK && w->map != NULL)
        wal_record_at(w, WAL_HEADER, size, true, &r, valid);
    if (!*valid) wal_close(w);
    return rc;
}

void wal_close(wal *w) {
    if (w->os == NULL) return;
    if (w->map != NULL) w->os->unmap((void *)(uintptr_t)w->map, w->capacity);
    w->os->close(w->file);
    memset(w, 0, sizeof *w);
}

uint64_t wal_record_bound(uint64_t count, uint64_t bytes) {
    return WAL_RECORD + WAL_STAMP_BYTES + count * WAL_ENTRY_MAX + bytes + 8;
}

/* --- appending --- */

typedef struct append_state {
    wal *w;
    nadb_buf *buf;
    uint64_t at;  /* offset in the file of buf's first byte */
    uint32_t crc; /* of the entries that were written already */
} append_state;

static nadb_rc out_of_memory(const wal *w, nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "appending to %s", w->os->path(w->file));
}

/* Writes the buffer's entries to the file. */
static nadb_rc piece_flush(append_state *s, nadb_err *err) {
    nadb_rc rc = s->w->os->pwrite(s->w->file, s->buf->p, s->buf->n, s->at, err);

    s->crc = nadb_crc32c(s->crc, s->buf->p, s->buf->n);
    s->at += s->buf->n;
    nadb_buf_reset(s->buf);
    return rc;
}

static nadb_rc entry_append(append_state *s, const nadb_entry *e,
                            nadb_err *err) {
    uint8_t *p;
    uint8_t tomb = (e->flags & NADB_ENTRY_TOMBSTONE) != 0;

    if (!nadb_buf_reserve(s->buf, WAL_ENTRY_MAX + e->key.n + e->value.n))
        return out_of_memory(s->w, err);
    p = s->buf->p + s->buf->n;
    *p++ = tomb;
    p = nadb_put_varint(p, e->key.n);
    p = nadb_put_varint(p, e->value.n);
    memcpy(p, e->key.p, e->key.n);
    p += e->key.n;
    if (e->value.n > 0) memcpy(p, e->value.p, e->value.n);
    s->buf->n = (size_t)(p + e->value.n - s->buf->p);
    return NADB_OK;
}

static void record_header(uint8_t *h, uint64_t off, const wal_note *note,
                          uint64_t length, uint32_t count) {
    uint32_t flags = (note->clear ? WAL_CLEAR : 0u) |
                     (note->stamp.number != 0 ? WAL_STAMP : 0u);

    nadb_put_u32(h + R_CRC, 0);
    nadb_put_u32(h + R_STATE, 0);
    nadb_put_u64(h + R_OFF, off);
    nadb_put_u64(h + R_SYNCED, note->synced);
    nadb_put_u64(h + R_LEN, length);
    nadb_put_u32(h + R_COUNT, count);
    nadb_put_u32(h + R_FLAGS, flags);
    nadb_put_u64(h + R_DECIDED, note->decided);
}

/* The CRC covers the entries first and then the header, so that entries can be
 * written before the record's length is known. */
static uint32_t record_crc(const uint8_t *h, uint32_t entries) {
    return nadb_crc32c(entries, h + R_OFF, WAL_RECORD - R_OFF);
}

static bool stamp_append(nadb_buf *buf, const nadb_stamp *stamp) {
    uint8_t p[WAL_STAMP_BYTES];

    if (stamp->number == 0) return true;
    nadb_put_u64(p, stamp->number);
    nadb_put_u64(p + 8, stamp->nonce);
    return nadb_buf_append(buf, p, sizeof p);
}

nadb_rc wal_append(wal *w, uint64_t off, nadb_iter *changes,
                   const wal_note *note, nadb_buf *buf, uint64_t *length,
                   uint32_t *count, nadb_err *err) {
    append_state s = {w, buf, off, w->seed};
    uint8_t h[WAL_RECORD] = {0};
    bool pieces = false;
    nadb_rc rc = NADB_OK;

    *count = 0;
    nadb_buf_reset(buf);
    if (!nadb_buf_append(buf, h, WAL_RECORD) ||
        !stamp_append(buf, &note->stamp))
        return out_of_memory(w, err);
    for (; changes != NULL && changes->valid; (*count)++) {
        rc = entry_append(&s, &changes->entry, err);
        if (rc == NADB_OK) rc = nadb_iter_next(changes, err);
        if (rc == NADB_OK && buf->n >= WRITE_PIECE) {
            if (!pieces) { /* zeros in place of the header */
                buf->n -= WAL_RECORD;
                memmove(buf->p, buf->p + WAL_RECORD, buf->n);
                s.at = off + WAL_RECORD;
                pieces = true;
            }
            rc = piece_flush(&s, err);
        }
        if (rc != NADB_OK) return rc;
    }
    while ((s.at + buf->n) % 8 != 0)
        if (!nadb_buf_byte(buf, 0)) return out_of_memory(w, err);
    *length = s.at + buf->n - off;
    record_header(pieces ? h : buf->p, off, note, *length, *count);
    if (!pieces) {
        s.crc = nadb_crc32c(s.crc, buf->p + WAL_RECORD, buf->n - WAL_RECORD);
        nadb_put_u32(buf->p, record_crc(buf->p, s.crc));
        return w->os->pwrite(w->file, buf->p, buf->n, off, err);
    }
    rc = piece_flush(&s, err);
    nadb_put_u32(h, record_crc(h, s.crc));
    if (rc == NADB_OK) rc = w->os->pwrite(w->file, h, sizeof h, off, err);
    return rc;
}

nadb_rc wal_take_back(wal *w, uint64_t off, nadb_err *err) {
    uint8_t state[4];

    nadb_put_u32(state, WAL_TAKEN_BACK);
    return w->os->pwrite(w->file, state, sizeof state, off + R_STATE, err);
}

/* --- reading --- */

/* Longer records are checked for holes first: in a sparse file a forged record
 * could claim any length. */
#define LONG_RECORD ((uint64_t)1 << 20)

static uint32_t entries_crc(const wal *w, uint64_t off, uint64_t n) {
    uint32_t crc = w->seed;
    uint64_t end = off + n;

    if (n < LONG_RECORD) return nadb_crc32c(crc, w->map + off, (size_t)n);
    while (off < end) {
        uint64_t from, to;

        w->os->data_at(w->file, off, &from, &to);
        if (from > end) from = end;
        if (to > end) to = end;
        crc = nadb_crc32c_zeros(crc, from - off);
        crc = nadb_crc32c(crc, w->map + from, (size_t)(to - from));
        off = to;
    }
    return crc;
}

/* Takes the stamp off the front of the entries. */
static bool stamp_take(wal_record *r) {
    r->stamp.number = r->stamp.nonce = 0;
    if ((r->flags & WAL_STAMP) == 0) return true;
    if (r->entries.n < WAL_STAMP_BYTES) return false;
    r->stamp.number = nadb_get_u64(r->entries.p);
    r->stamp.nonce = nadb_get_u64(r->entries.p + 8);
    r->entries.p += WAL_STAMP_BYTES;
    r->entries.n -= WAL_STAMP_BYTES;
    return r->stamp.number != 0;
}

void wal_record_at(const wal *w, uint64_t off, uint64_t end, bool check,
                   wal_record *out, bool *valid) {
    const uint8_t *h = w->map + off;
    uint32_t state;

    *valid = false;
    if (end > w->capacity || off > end || end - off < WAL_RECORD) return;
    out->off = nadb_get_u64(h + R_OFF);
    out->length = nadb_get_u64(h + R_LEN);
    if (out->off != off || out->length < WAL_RECORD ||
        out->length > end - off || out->length % 8 != 0)
        return;
    out->synced = nadb_get_u64(h + R_SYNCED);
    out->count = nadb_get_u32(h + R_COUNT);
    out->flags = nadb_get_u32(h + R_FLAGS);
    out->entries =
        nadb_slice_of(h + WAL_RECORD, (size_t)(out->length - WAL_RECORD));
    out->decided = nadb_get_u64(h + R_DECIDED);
    state = nadb_get_u32(h + R_STATE);
    out->taken_back = state == WAL_TAKEN_BACK;
    if (state != 0 && !out->taken_back) return;
    if (check) {
        uint32_t crc = entries_crc(w, off + WAL_RECORD, out->entries.n);

        if (record_crc(h, crc) != nadb_get_u32(h + R_CRC)) return;
    }
    *valid = stamp_take(out);
}

nadb_rc wal_no_record(const wal *w, uint64_t off, nadb_err *err) {
    return nadb_corrupt(err, "%s is damaged: no record at offset %llu",
                        w->os->path(w->file), (unsigned long long)off);
}

uint64_t wal_next_good(const wal *w, uint64_t off, uint64_t end) {
    wal_record rec;
    bool valid = false;

    for (off += 8; off < end && end - off >= WAL_RECORD; off += 8) {
        wal_record_at(w, off, end, false, &rec, &valid);
        if (valid) wal_record_at(w, off, end, true, &rec, &valid);
        if (valid) return off;
    }
    return end;
}

uint64_t wal_entries_at(const wal *w, uint64_t off) {
    uint32_t flags = nadb_get_u32(w->map + off + R_FLAGS);
    bool stamped = (flags & WAL_STAMP) != 0 && flags <= (WAL_STAMP | WAL_CLEAR);

    return off + WAL_RECORD + (stamped ? WAL_STAMP_BYTES : 0);
}

bool wal_entry_next(const wal *w, wal_record *r, wal_entry *out) {
    uint64_t off = (uint64_t)(r->entries.p - w->map);
    uint64_t used;

    if (r->count == 0) return false;
    if (!wal_entry_at(w, off, off + r->entries.n, out)) return false;
    used = (uint64_t)(out->value.p + out->value.n - r->entries.p);
    r->entries = nadb_slice_of(r->entries.p + used, r->entries.n - used);
    r->count--;
    return true;
}
