/* sst_write.c - writes one table (sst_write.h).
 *
 * Entries of a block are collected with their whole keys. The common prefix of
 * the first and the last key is that of all, and is removed when the block is
 * closed. Offsets, index and hash are kept in memory until the end. */
#include "sst_write.h"

#include <errno.h>
#include <stdio.h>

#include "hash.h"
#include "props.h"

#define WRITE_SIZE ((size_t)256 << 10) /* bytes per write */

typedef struct pending {
    size_t key, value; /* offsets in fs_writer.raw */
    size_t key_n, value_n;
    uint64_t tag;
} pending;

struct fs_writer {
    const nadb_os *os;
    const nadb_home *home;
    nadb_file *file;
    uint64_t number;
    uint64_t written; /* bytes in the file */
    nadb_buf out;     /* bytes behind them */
    nadb_buf raw;     /* keys and values of the open block */
    pending entries[FS_BLOCK_ENTRIES];
    unsigned n_entries;
    nadb_buf offsets;    /* u32 per block */
    nadb_buf separators; /* varint length and bytes, per block */
    nadb_buf places;     /* array of fs_place */
    nadb_buf lo, last;   /* first and last key */
    nadb_buf uses;       /* array of fs_use */
    nadb_buf meta;       /* the section being built */
    fs_props props;
};

char *fs_file_path(const nadb_home *home, uint64_t number, const char *kind) {
    char name[NADB_FILE_NAME];

    nadb_file_name(name, number, kind);
    return nadb_path_join(home->os->dir_path(home->dir), name);
}

nadb_rc fs_file_format(const char *path, uint32_t format, nadb_err *err) {
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s has format %u, this version of nadb reads %d: use the "
                     "version that wrote it",
                     path, format, FS_FORMAT);
}

nadb_rc fs_file_missing(const nadb_home *home, const char *path,
                        nadb_err *err) {
    if (nadb_home_gone(home)) return nadb_home_moved(home, err);
    return nadb_corrupt(err,
                        "%s is missing, but MANIFEST names it: either the "
                        "file was deleted, or MANIFEST is an old copy",
                        path);
}

nadb_rc fs_file_resized(const char *path, uint64_t size, uint64_t named,
                        nadb_err *err) {
    return nadb_corrupt(err, "%s has %llu bytes, but MANIFEST says %llu", path,
                        (unsigned long long)size, (unsigned long long)named);
}

nadb_rc fs_file_open(const nadb_home *home, uint64_t number, const char *kind,
                     const char *path, uint64_t size, nadb_file **out,
                     nadb_err *err) {
    uint64_t found = 0;
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = nadb_home_open(home, number, kind, NADB_OPEN_READ, out, &mine);
    if (rc != NADB_OK && mine.sys_errno == ENOENT)
        return fs_file_missing(home, path, err);
    if (rc == NADB_OK) rc = home->os->size(*out, &found, &mine);
    if (rc != NADB_OK && err != NULL) *err = mine;
    if (rc == NADB_OK && found != size)
        rc = fs_file_resized(path, found, size, err);
    return rc;
}

nadb_rc fs_writer_open(const nadb_home *home, uint64_t number,
                       uint64_t clear_seq, fs_writer **out, nadb_err *err) {
    fs_writer *w = nadb_calloc(1, sizeof *w);
    nadb_rc rc;

    *out = NULL;
    if (w == NULL)
        return nadb_fail(err, NADB_NOMEM, "writing a table in %s",
                         home->os->dir_path(home->dir));
    w->os = home->os;
    w->home = home;
    w->number = number;
    w->props.clear_seq = clear_seq;
    w->props.min_seq = UINT64_MAX;
    rc =
        nadb_home_open(home, number, "sst",
                       NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
                       &w->file, err);
    if (rc == NADB_OK)
        *out = w;
    else
        fs_writer_free(w);
    return rc;
}

void fs_writer_free(fs_writer *w) {
    if (w == NULL) return;
    if (w->file != NULL) w->os->close(w->file);
    nadb_buf_clear(&w->out);
    nadb_buf_clear(&w->raw);
    nadb_buf_clear(&w->offsets);
    nadb_buf_clear(&w->separators);
    nadb_buf_clear(&w->places);
    nadb_buf_clear(&w->lo);
    nadb_buf_clear(&w->last);
    nadb_buf_clear(&w->uses);
    nadb_buf_clear(&w->meta);
    nadb_free(w);
}

void fs_writer_seqs(fs_writer *w, uint64_t min_seq, uint64_t max_seq) {
    if (min_seq < w->props.min_seq) w->props.min_seq = min_seq;
    if (max_seq > w->props.max_seq) w->props.max_seq = max_seq;
}

static nadb_rc no_memory(const fs_writer *w, nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "writing %s", w->os->path(w->file));
}

static nadb_rc write_out(fs_writer *w, nadb_err *err) {
    nadb_rc rc = w->os->pwrite(w->file, w->out.p, w->out.n, w->written, err);

    if (rc != NADB_OK) return rc;
    w->written += w->out.n;
    nadb_buf_reset(&w->out);
    return NADB_OK;
}

static nadb_slice raw_key(const fs_writer *w, unsigned i) {
    return nadb_slice_of(w->raw.p + w->entries[i].key, w->entries[i].key_n);
}

/* Writes the entries without the block's prefix; `b` has room for them. */
static uint8_t *put_entries(fs_writer *w, uint8_t *block, uint8_t *b,
                            size_t prefix) {
    for (unsigned i = 0; i < w->n_entries; i++) {
        const pending *e = &w->entries[i];

        nadb_put_u16(block + FS_BLOCK_HEAD + 2 * i, (uint16_t)(b - block));
        b = nadb_put_varint(b, e->key_n - prefix);
        b = nadb_put_varint(b, e->tag);
        b = nadb_put_varint(b, e->value_n);
        b = fs_copy(b, fs_skip(raw_key(w, i), prefix));
        b = fs_copy(b, nadb_slice_of(w->raw.p + e->value, e->value_n));
    }
    return b;
}

static nadb_rc close_block(fs_writer *w, nadb_err *err) {
    unsigned n = w->n_entries;
    size_t prefix = 0;
    uint64_t at = w->written + w->out.n;
    size_t room = FS_BLOCK_HEAD + FS_BLOCK_TAIL + w->raw.n +
                  n * (2 + 3 * (size_t)NADB_VARINT_MAX);
    uint8_t *block, *b;

    if (n == 0) return NADB_OK;
    if (n > 1) prefix = fs_common(raw_key(w, 0), raw_key(w, n - 1));
    if (!nadb_buf_reserve(&w->out, room) ||
        !nadb_buf_u32(&w->offsets, (uint32_t)at))
        return no_memory(w, err);
    block = w->out.p + w->out.n;
    nadb_put_u16(block, (uint16_t)n);
    nadb_put_u16(block + 2, (uint16_t)prefix);
    b = block + FS_BLOCK_HEAD + 2 * (size_t)n;
    b = fs_copy(b, nadb_slice_of(raw_key(w, 0).p, prefix));
    b = put_entries(w, block, b, prefix);
    *b++ = 0; /* codec: none */
    nadb_put_u32(b, fs_block_crc(w->number, at, block, (size_t)(b - block)));
    w->out.n += (size_t)(b + 4 - block);
    w->props.n_blocks++;
    w->n_entries = 0;
    nadb_buf_reset(&w->raw);
    return w->out.n >= WRITE_SIZE ? write_out(w, err) : NADB_OK;
}

/* The separator of a block that begins with `key`: as much of `key` as tells it
 * from the last key before it. */
static bool begin_block(fs_writer *w, nadb_slice key) {
    size_t n = 0;

    if (w->props.count > 0) n = fs_common(key, nadb_buf_slice(&w->last)) + 1;
    return nadb_buf_blob(&w->separators, nadb_slice_of(key.p, n));
}

static bool add_use(fs_writer *w, nadb_slice value) {
    fs_use *u = (fs_use *)(void *)w->uses.p;
    size_t n = w->uses.n / sizeof *u;
    fs_ref ref;
    fs_use one;

    /* readers report the damage */
    if (!fs_ref_decode(value, &ref)) return true;
    for (size_t i = n; i > 0; i--) {
        if (u[i - 1].file != ref.file) continue;
        u[i - 1].bytes += ref.n;
        return true;
    }
    one.file = ref.file;
    one.bytes = ref.n;
    return nadb_buf_append(&w->uses, &one, sizeof one);
}

nadb_rc fs_writer_add(fs_writer *w, nadb_slice key, const fs_entry *e,
                      uint64_t true_seq, nadb_err *err) {
    size_t cost = key.n + e->value.n + 6;
    fs_place place = {nadb_hash64(key), 0};
    pending *p;
    nadb_rc rc;

    /* Entries come from tables or from a memtable's index, which may be
     * damaged. Blocks and separators rely on rising keys, so this is
     * checked. */
    if (w->props.count > 0 &&
        nadb_slice_cmp(nadb_buf_slice(&w->last), key) >= 0)
        return nadb_corrupt(err,
                            "writing %s: the keys that it is made of are out "
                            "of order",
                            w->os->path(w->file));
    if (w->n_entries == FS_BLOCK_ENTRIES ||
        (w->n_entries > 0 &&
         w->raw.n + 6 * (size_t)w->n_entries + cost > FS_BLOCK_TARGET)) {
        rc = close_block(w, err);
        if (rc != NADB_OK) return rc;
    }
    if (w->n_entries == 0 && !begin_block(w, key)) return no_memory(w, err);
    place.place = (uint32_t)(w->props.n_blocks << 8 | w->n_entries);
    p = &w->entries[w->n_entries];
    p->key = w->raw.n;
    p->key_n = key.n;
    p->value = w->raw.n + key.n;
    p->value_n = e->value.n;
    p->tag = e->seq << 2 | e->kind;
    nadb_buf_reset(&w->last);
    /* so that it has an address even if it is empty */
    if (!nadb_buf_reserve(&w->raw, cost) ||
        !nadb_buf_append(&w->raw, key.p, key.n) ||
        !nadb_buf_append(&w->raw, e->value.p, e->value.n) ||
        !nadb_buf_append(&w->places, &place, sizeof place) ||
        !nadb_buf_append(&w->last, key.p, key.n) ||
        (w->props.count == 0 && !nadb_buf_append(&w->lo, key.p, key.n)) ||
        (e->kind == FS_REF && !add_use(w, e->value)))
        return no_memory(w, err);
    w->n_entries++;
    w->props.count++;
    w->props.tombstones += e->kind == FS_TOMBSTONE;
    fs_writer_seqs(w, true_seq, true_seq);
    return NADB_OK;
}

bool fs_writer_full(const fs_writer *w, uint64_t bytes) {
    return w->written + w->out.n >= bytes ||
           w->props.count >= FS_TABLE_ENTRIES ||
           w->props.n_blocks >= FS_TABLE_BLOCKS - 1;
}

/* Writes prefixes (u64 each), places of the separators (u32), separators; all
 * without the common prefix of the table's keys. */
static bool build_index(fs_writer *w) {
    size_t n = (size_t)w->props.n_blocks;
    size_t skip = fs_common(w->props.lo, w->props.hi);
    size_t head = 12 * n + 4;
    nadb_reader r = nadb_reader_of(nadb_buf_slice(&w->separators));
    uint32_t at = 0;

    nadb_buf_reset(&w->meta);
    if (!nadb_buf_reserve(&w->meta, head + w->separators.n)) return false;
    w->meta.n = head;
    for (size_t i = 0; i < n; i++) {
        nadb_slice s = nadb_read_blob(&r);

        s = s.n > skip ? fs_skip(s, skip) : nadb_slice_of(s.p, 0);
        nadb_put_u64(w->meta.p + 8 * i, nadb_slice_prefix8(s));
        nadb_put_u32(w->meta.p + 8 * n + 4 * i, at);
        at += (uint32_t)s.n;
        if (!nadb_buf_append(&w->meta, s.p, s.n)) return false;
    }
    nadb_put_u32(w->meta.p + 8 * n + 4 * n, at);
    return true;
}

static nadb_rc write_index(fs_writer *w, nadb_err *err) {
    static const uint8_t zeros[FS_BUCKET];
    uint64_t at = w->written + w->out.n;
    size_t pad;

    if (!nadb_buf_u32(&w->offsets, (uint32_t)at) || !build_index(w))
        return no_memory(w, err);
    pad = (size_t)((at + w->offsets.n + w->meta.n) % FS_BUCKET);
    if (pad > 0) pad = FS_BUCKET - pad;
    if (!nadb_buf_append(&w->meta, zeros, pad)) return no_memory(w, err);
    w->props.offsets = at;
    w->props.offsets_crc = nadb_crc32c(0, w->offsets.p, w->offsets.n);
    w->props.index = at + w->offsets.n;
    w->props.index_crc = nadb_crc32c(0, w->meta.p, w->meta.n);
    w->props.hash = w->props.index + w->meta.n;
    if (!nadb_buf_append(&w->out, w->offsets.p, w->offsets.n) ||
        !nadb_buf_append(&w->out, w->meta.p, w->meta.n))
        return no_memory(w, err);
    return write_out(w, err);
}

static nadb_rc write_hash(fs_writer *w, nadb_buf *pages, nadb_err *err) {
    const fs_place *places = (const fs_place *)(const void *)w->places.p;
    size_t size;
    nadb_rc rc;

    w->props.n_buckets = fs_hash_buckets(w->props.count);
    size = (size_t)w->props.n_buckets * FS_BUCKET;
    w->props.end = w->props.hash + size;
    nadb_buf_reset(&w->meta);
    if (!nadb_buf_reserve(&w->meta, size)) return no_memory(w, err);
    memset(w->meta.p, 0, size);
    fs_hash_build(w->meta.p, w->props.n_buckets, places,
                  w->places.n / sizeof *places);
    for (size_t at = 0; at < size; at += FS_PAGE) {
        size_t n = size - at < FS_PAGE ? size - at : FS_PAGE;

        if (!nadb_buf_u32(pages, nadb_crc32c(0, w->meta.p + at, n)))
            return no_memory(w, err);
    }
    rc = w->os->pwrite(w->file, w->meta.p, size, w->written, err);
    if (rc == NADB_OK) w->written += size;
    return rc;
}

static nadb_rc write_tail(fs_writer *w, nadb_err *err) {
    fs_footer f = {w->written, 0, 0, FS_FORMAT, w->number, {0}};
    uint8_t footer[FS_FOOTER];

    if (!fs_props_put(&w->props, &w->out)) return no_memory(w, err);
    f.props_n = w->out.n;
    f.props_crc = nadb_crc32c(0, w->out.p, w->out.n);
    memcpy(f.store_id, w->home->id.bytes, NADB_STORE_ID);
    fs_footer_put(footer, &f);
    if (!nadb_buf_append(&w->out, footer, sizeof footer))
        return no_memory(w, err);
    return write_out(w, err);
}

nadb_rc fs_writer_finish(fs_writer *w, fs_meta *out, nadb_err *err) {
    nadb_buf pages = NADB_BUF_INIT;
    nadb_rc rc = close_block(w, err);

    if (rc != NADB_OK) goto done;
    w->props.lo = nadb_buf_slice(&w->lo);
    w->props.hi = nadb_buf_slice(&w->last);
    rc = write_index(w, err);
    if (rc != NADB_OK) goto done;
    rc = write_hash(w, &pages, err);
    if (rc != NADB_OK) goto done;
    w->props.pages = nadb_buf_slice(&pages);
    rc = write_tail(w, err);
    if (rc != NADB_OK) goto done;
    rc = w->os->sync(w->file, err);
    if (rc != NADB_OK) goto done;
    memset(out, 0, sizeof *out);
    out->number = w->number;
    out->size = w->written;
    out->count = w->props.count;
    out->tombstones = w->props.tombstones;
    out->min_seq = w->props.min_seq;
    out->max_seq = w->props.max_seq;
    out->lo = w->props.lo;
    out->hi = w->props.hi;
    out->uses = (fs_use *)(void *)w->uses.p;
    out->n_uses = w->uses.n / sizeof(fs_use);
done:
    nadb_buf_clear(&pages);
    return rc;
}
