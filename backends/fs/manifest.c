/* manifest.c - encodes and decodes MANIFEST (manifest.h).
 *
 *     magic 8 | format u32 | crc u32 | body
 *
 * The crc covers everything but itself, in this and every later format. So a
 * flipped bit in the format number is recognised as damage, and not taken for a
 * newer version. */
#include "manifest.h"

#define HEAD 16

void fs_manifest_clear(fs_manifest *m) {
    nadb_arena_clear(&m->arena);
    memset(m, 0, sizeof *m);
}

static bool put_table(nadb_buf *b, const fs_meta *t) {
    const uint64_t numbers[] = {t->number, t->size, t->count,   t->tombstones,
                                t->shadow, t->gone, t->min_seq, t->max_seq};
    bool ok = true;

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ok = ok && nadb_buf_varint(b, numbers[i]);
    ok = ok && nadb_buf_blob(b, t->lo) && nadb_buf_blob(b, t->hi) &&
         nadb_buf_varint(b, t->n_uses);
    for (size_t i = 0; ok && i < t->n_uses; i++)
        ok = nadb_buf_varint(b, t->uses[i].file) &&
             nadb_buf_varint(b, t->uses[i].bytes);
    return ok;
}

static bool put_totals(nadb_buf *b, const nadb_totals *t) {
    const uint64_t numbers[] = {t->rows, t->key_bytes, t->value_bytes,
                                t->stored_bytes, t->tags};
    bool ok = nadb_buf_byte(b, t->known);

    for (size_t i = 0; t->known && i < sizeof numbers / sizeof *numbers; i++)
        ok = ok && nadb_buf_varint(b, numbers[i]);
    return ok;
}

static bool put_body(nadb_buf *b, const fs_manifest *m) {
    bool ok = nadb_buf_append(b, m->store_id, NADB_STORE_ID) &&
              nadb_buf_varint(b, m->generation) &&
              nadb_buf_varint(b, m->first_log) && nadb_buf_varint(b, m->seq) &&
              nadb_buf_varint(b, m->clear_seq) && nadb_buf_varint(b, m->n_runs);

    for (size_t r = 0; ok && r < m->n_runs; r++) {
        const fs_run *run = &m->runs[r];

        ok = nadb_buf_varint(b, run->flags) && nadb_buf_varint(b, run->count);
        for (size_t i = 0; ok && i < run->count; i++)
            ok = put_table(b, &m->tables[run->first + i]);
    }
    ok = ok && nadb_buf_varint(b, m->n_vals);
    for (size_t i = 0; ok && i < m->n_vals; i++)
        ok = nadb_buf_varint(b, m->vals[i].number) &&
             nadb_buf_varint(b, m->vals[i].size);
    return ok && put_totals(b, &m->totals);
}

static uint32_t body_crc(const uint8_t *p, size_t n) {
    return nadb_crc32c(nadb_crc32c(0, p, 12), p + HEAD, n - HEAD);
}

nadb_rc fs_manifest_encode(const fs_manifest *m, nadb_buf *out, nadb_err *err) {
    size_t at = out->n;

    if (!nadb_buf_append(out, FS_MANIFEST_MAGIC, 8) ||
        !nadb_buf_u32(out, FS_MANIFEST_FORMAT) || !nadb_buf_u32(out, 0) ||
        !put_body(out, m))
        return nadb_fail(err, NADB_NOMEM, "writing MANIFEST");
    nadb_put_u32(out->p + at + 12, body_crc(out->p + at, out->n - at));
    return NADB_OK;
}

/* Reads a count of items of at least `least` bytes each. */
static size_t read_count(nadb_reader *r, size_t least) {
    uint64_t n = nadb_read_varint(r);

    if (n > nadb_reader_left(r) / least) r->bad = true;
    return r->bad ? 0 : (size_t)n;
}

/* Copies into the manifest's arena; p is NULL if out of memory. */
static nadb_slice copy_key(fs_manifest *m, nadb_slice key) {
    uint8_t *p = nadb_arena_alloc(&m->arena, key.n + 1);

    if (p != NULL && key.n > 0) memcpy(p, key.p, key.n);
    return nadb_slice_of(p, key.n);
}

bool fs_manifest_meta(fs_manifest *m, fs_meta *out, const fs_meta *t) {
    fs_meta copy = *t;

    copy.lo = copy_key(m, t->lo);
    copy.hi = copy_key(m, t->hi);
    copy.uses =
        nadb_arena_alloc(&m->arena, (t->n_uses + 1) * sizeof *copy.uses);
    if (copy.lo.p == NULL || copy.hi.p == NULL || copy.uses == NULL)
        return false;
    if (t->n_uses > 0)
        memcpy(copy.uses, t->uses, t->n_uses * sizeof *copy.uses);
    *out = copy;
    return true;
}

static bool is_number(uint64_t file) {
    return file > 0 && file <= NADB_FILE_MAX;
}

/* False if out of memory; the reader's state shows damage. */
static bool read_table(nadb_reader *r, fs_manifest *m, fs_meta *t) {
    uint64_t *numbers[] = {&t->number, &t->size, &t->count,   &t->tombstones,
                           &t->shadow, &t->gone, &t->min_seq, &t->max_seq};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = nadb_read_varint(r);
    t->lo = copy_key(m, nadb_read_blob(r));
    t->hi = copy_key(m, nadb_read_blob(r));
    t->n_uses = read_count(r, 2);
    t->uses = nadb_arena_alloc(&m->arena, (t->n_uses + 1) * sizeof *t->uses);
    if (t->lo.p == NULL || t->hi.p == NULL || t->uses == NULL) return false;
    for (size_t i = 0; i < t->n_uses; i++) {
        t->uses[i].file = nadb_read_varint(r);
        t->uses[i].bytes = nadb_read_varint(r);
    }
    if (t->hi.n > FS_KEY_MAX || nadb_slice_cmp(t->lo, t->hi) > 0 ||
        !is_number(t->number))
        r->bad = true;
    return true;
}

/* The number of tables is known only at the end, so the array doubles. */
static bool read_runs(nadb_reader *r, fs_manifest *m) {
    size_t cap = 0;

    m->n_runs = read_count(r, 2);
    m->runs = nadb_arena_alloc(&m->arena, (m->n_runs + 1) * sizeof *m->runs);
    if (m->runs == NULL) return false;
    for (size_t i = 0; i < m->n_runs && !r->bad; i++) {
        fs_run *run = &m->runs[i];

        uint64_t flags = nadb_read_varint(r);

        run->flags = (unsigned)flags;
        run->count = read_count(r, 11);
        run->first = m->n_tables;
        if (flags > FS_RUN_SWEEP || run->count == 0) r->bad = true;
        for (size_t k = 0; k < run->count && !r->bad; k++) {
            if (m->n_tables == cap) {
                fs_meta *old = m->tables;

                cap = 2 * cap + 16;
                m->tables = nadb_arena_alloc(&m->arena, cap * sizeof *old);
                if (m->tables == NULL) return false;
                if (old != NULL)
                    memcpy(m->tables, old, m->n_tables * sizeof *old);
            }
            if (!read_table(r, m, &m->tables[m->n_tables])) return false;
            if (k > 0 && nadb_slice_cmp(m->tables[m->n_tables - 1].hi,
                                        m->tables[m->n_tables].lo) >= 0)
                r->bad = true;
            m->n_tables++;
        }
    }
    return true;
}

static void read_totals(nadb_reader *r, nadb_totals *t) {
    uint64_t *numbers[] = {&t->rows, &t->key_bytes, &t->value_bytes,
                           &t->stored_bytes, &t->tags};
    uint8_t known = nadb_read_u8(r);

    if (known > 1) r->bad = true;
    t->known = known == 1;
    for (size_t i = 0; t->known && i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = nadb_read_varint(r);
}

static bool read_body(nadb_reader *r, uint32_t format, fs_manifest *m) {
    nadb_slice id = nadb_read_bytes(r, NADB_STORE_ID);

    if (id.n == NADB_STORE_ID) memcpy(m->store_id, id.p, NADB_STORE_ID);
    m->generation = nadb_read_varint(r);
    m->first_log = nadb_read_varint(r);
    m->seq = nadb_read_varint(r);
    m->clear_seq = nadb_read_varint(r);
    if (!read_runs(r, m)) return false;
    m->n_vals = read_count(r, 2);
    m->vals = nadb_arena_alloc(&m->arena, (m->n_vals + 1) * sizeof *m->vals);
    if (m->vals == NULL) return false;
    for (size_t i = 0; i < m->n_vals; i++) {
        m->vals[i].number = nadb_read_varint(r);
        m->vals[i].size = nadb_read_varint(r);
        if (!is_number(m->vals[i].number) ||
            (i > 0 && m->vals[i].number <= m->vals[i - 1].number))
            r->bad = true;
    }
    if (format >= 3) read_totals(r, &m->totals);
    if (nadb_reader_left(r) > 0 || m->first_log > NADB_FILE_MAX) r->bad = true;
    return true;
}

nadb_rc fs_manifest_decode(nadb_slice bytes, const char *name, fs_manifest *m,
                           nadb_err *err) {
    nadb_reader r;
    uint32_t format;
    nadb_rc rc = NADB_OK;

    memset(m, 0, sizeof *m);
    if (bytes.n < HEAD || memcmp(bytes.p, FS_MANIFEST_MAGIC, 8) != 0)
        return nadb_corrupt(err, "%s is not a MANIFEST of nadb", name);
    if (nadb_get_u32(bytes.p + 12) != body_crc(bytes.p, bytes.n))
        return nadb_corrupt(err, "%s: wrong checksum", name);
    format = nadb_get_u32(bytes.p + 8);
    if (format < 2 || format > FS_MANIFEST_FORMAT)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s has format %u, this version of nadb reads %d: "
                         "use the version that wrote it",
                         name, format, FS_MANIFEST_FORMAT);
    r = nadb_reader_of(fs_skip(bytes, HEAD));
    if (!read_body(&r, format, m))
        rc = nadb_fail(err, NADB_NOMEM, "reading %s", name);
    else if (r.bad)
        rc = nadb_corrupt(err, "%s: its contents contradict each other", name);
    if (rc != NADB_OK) fs_manifest_clear(m);
    return rc;
}
