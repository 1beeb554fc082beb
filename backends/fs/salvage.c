/* salvage.c - reads the readable parts of damaged tables
 * (nadb_base_ops.salvage).
 *
 * It relies on nothing but each block's own checksum. A block begins with its
 * length, so a table is read from its beginning, block by block; behind a
 * damaged block every byte is tried as the beginning of the next one. So index,
 * hash, properties and MANIFEST may be damaged.
 *
 * With a MANIFEST the runs are read oldest first, and each table from the key
 * where its used part begins. Without one all existing tables are read in the
 * order of their highest sequence numbers: a row that was deleted recently may
 * then come back, which is reported.
 *
 * The keys of a damaged block may have older versions in older tables, which
 * must not pass for the present rows. The table's hash tells which keys the
 * table has; if the hash is damaged, too, all keys in the gap are given up. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs_ops.h"
#include "hash.h"
#include "sst_write.h"

/* A block has one entry, or entries of about FS_BLOCK_TARGET bytes. */
#define WINDOW ((size_t)1 << 18)
#define BLOCK_MOST                                                             \
    ((size_t)FS_KEY_MAX / 8 + FS_VAL_THRESHOLD + 4 * FS_BLOCK_TARGET)

/* A table that exists. */
typedef struct found_table {
    uint64_t number;
    uint64_t max_seq;
    bool listed;   /* MANIFEST names it */
    nadb_slice lo; /* with `listed`: its used part begins here */
} found_table;

typedef struct salvage {
    const nadb_base_env *env;
    const nadb_salvage *to;
    fs_manifest m;
    bool known;         /* m is from MANIFEST */
    nadb_buf tables;    /* array of found_table */
    nadb_buf key, last; /* of the present entry and of the previous one */
    nadb_buf value;
    nadb_buf bytes; /* of the file, from `from` on */
    uint64_t from;
    /* The table being read: */
    const found_table *t;
    nadb_file *file;
    char *path;
    uint64_t size;
    fs_sst *sst;        /* NULL: its properties are damaged */
    uint64_t clear_seq; /* from its properties; UINT64_MAX: unknown */
    bool gap;           /* something is missing behind `last` */
    uint64_t count;     /* number of entries that were read */
} salvage;

/* True for errors that say nothing about the file. To continue would mean to
 * take it for damaged, and older rows for the newest. */
static bool fatal(nadb_rc rc, const nadb_err *e) {
    return rc == NADB_NOMEM || rc == NADB_INTERRUPT || rc == NADB_IOERR ||
           (rc == NADB_CANTOPEN && e->sys_errno != 0 && e->sys_errno != ENOENT);
}

static nadb_rc no_memory(const salvage *s, nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "reading %s", s->env->dir);
}

/* --- bytes of a file --- */

/* *p: the bytes at `off`; *n: their number, the size of the largest block if
 * the file has them. */
static nadb_rc window(salvage *s, uint64_t off, const uint8_t **p, size_t *n,
                      nadb_err *err) {
    size_t most = s->size - off < WINDOW ? (size_t)(s->size - off) : WINDOW;
    nadb_rc rc;

    *p = NULL;
    *n = 0;
    if (off < s->from || off - s->from > s->bytes.n ||
        (s->bytes.n - (off - s->from) < BLOCK_MOST &&
         s->from + s->bytes.n < s->size)) {
        nadb_buf_reset(&s->bytes);
        if (!nadb_buf_reserve(&s->bytes, WINDOW)) return no_memory(s, err);
        s->from = off;
        rc = s->env->os->pread(s->file, s->bytes.p, most, off, err);
        if (rc != NADB_OK) return rc;
        s->bytes.n = most;
    }
    *p = s->bytes.p + (off - s->from);
    *n = s->bytes.n - (size_t)(off - s->from);
    return NADB_OK;
}

/* True if a good block begins at `off`, where p points; *length includes its
 * tail. */
static bool block_at(const salvage *s, const uint8_t *p, size_t n, uint64_t off,
                     fs_block *b, size_t *length) {
    fs_entry last;
    size_t head;

    if (n < FS_BLOCK_HEAD + 2 || !fs_block_init(b, p, n)) return false;
    head = FS_BLOCK_HEAD + 2 * (size_t)b->count + b->prefix.n;
    if (b->count > FS_BLOCK_ENTRIES ||
        nadb_get_u16(p + FS_BLOCK_HEAD) != (head & 0xffff) ||
        !fs_block_entry(b, b->count - 1, &last))
        return false;
    *length = (size_t)(last.value.p + last.value.n - p) + FS_BLOCK_TAIL;
    if (*length > n || nadb_get_u32(p + *length - 4) !=
                           fs_block_crc(s->t->number, off, p, *length - 4))
        return false;
    return p[*length - FS_BLOCK_TAIL] == 0 &&
           fs_block_init(b, p, *length - FS_BLOCK_TAIL);
}

/* --- entries --- */

static bool in_hash(void *arg, nadb_slice key) {
    salvage *s = arg;
    bool maybe = true;

    if (s->sst == NULL ||
        fs_sst_maybe(s->sst, nadb_hash64(key), &maybe, NULL) != NADB_OK)
        return true;
    return maybe;
}

/* Gives up what is missing between s->last and `next` (NULL: the end). */
static nadb_rc close_gap(salvage *s, nadb_slice next, nadb_err *err) {
    nadb_slice lo = nadb_buf_slice(&s->last);

    s->gap = false;
    if (s->known && s->t->listed && nadb_slice_cmp(lo, s->t->lo) < 0)
        lo = s->t->lo;
    if (next.p != NULL && nadb_slice_cmp(lo, next) >= 0) return NADB_OK;
    return s->to->lose_range(s->to->ctx, lo, next, in_hash, s, err);
}

/* True if a clear came after the entry. */
static bool is_hidden(const salvage *s, const fs_entry *e) {
    if (!s->known || s->m.clear_seq == 0) return false;
    if (s->clear_seq == UINT64_MAX)
        return e->seq != 0 && e->seq <= s->m.clear_seq;
    return s->m.clear_seq > s->clear_seq && e->seq <= s->m.clear_seq;
}

/* Reads a large value and verifies its checksum. */
static nadb_rc read_ref(salvage *s, const fs_entry *e, bool *ok,
                        nadb_err *err) {
    char shown[NADB_KEY_SHOWN];
    nadb_file *f = NULL;
    nadb_err mine;
    fs_ref ref;
    nadb_rc rc = NADB_CORRUPT;

    *ok = false;
    nadb_buf_reset(&s->value);
    if (fs_ref_decode(e->value, &ref) && ref.n <= FS_VALUE_MAX) {
        nadb_err_clear(&mine);
        rc = nadb_home_open(s->env->home, ref.file, "val", NADB_OPEN_READ, &f,
                            &mine);
        if (rc == NADB_OK && !nadb_buf_reserve(&s->value, (size_t)ref.n))
            rc = no_memory(s, &mine);
        if (rc == NADB_OK)
            rc =
                s->env->os->pread(f, s->value.p, (size_t)ref.n, ref.off, &mine);
        s->env->os->close(f);
        if (rc != NADB_IOERR && fatal(rc, &mine))
            return nadb_fail(err, rc, "%s", mine.msg);
    }
    if (rc == NADB_OK) s->value.n = (size_t)ref.n;
    *ok = rc == NADB_OK && nadb_crc32c(0, s->value.p, s->value.n) == ref.crc;
    if (!*ok)
        nadb_report(
            s->to->report, s->to->ctx,
            "%06" PRIu64 ".val: the value at byte %" PRIu64
            ", of key \"%s\", is damaged or missing",
            ref.file, ref.off,
            nadb_key_show(nadb_slice_of(s->key.p + 1, s->key.n - 1), shown));
    return NADB_OK;
}

static nadb_rc give(salvage *s, const fs_entry *e, nadb_err *err) {
    nadb_entry out;
    bool ok = true;
    nadb_rc rc = NADB_OK;

    memset(&out, 0, sizeof out);
    out.key = nadb_buf_slice(&s->key);
    out.value = e->value;
    out.seq = e->seq;
    if (e->kind == FS_TOMBSTONE) out.flags = NADB_ENTRY_TOMBSTONE;
    if (e->kind == FS_REF) {
        rc = read_ref(s, e, &ok, err);
        out.value = nadb_buf_slice(&s->value);
    }
    if (rc == NADB_OK && !ok) return s->to->lose(s->to->ctx, out.key, err);
    return rc == NADB_OK ? s->to->change(s->to->ctx, &out, err) : rc;
}

static nadb_rc give_block(salvage *s, const fs_block *b, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    s->count += b->count;
    for (unsigned i = 0; rc == NADB_OK && i < b->count; i++) {
        fs_entry e;
        nadb_slice key;

        if (!fs_block_entry(b, i, &e)) continue;
        nadb_buf_reset(&s->key);
        if (!nadb_buf_append(&s->key, b->prefix.p, b->prefix.n) ||
            !nadb_buf_append(&s->key, e.suffix.p, e.suffix.n))
            return no_memory(s, err);
        key = nadb_buf_slice(&s->key);
        if (s->gap) rc = close_gap(s, key, err);
        if (rc == NADB_OK && key.n > 0 && key.p[0] == NADB_KS_ROW &&
            !is_hidden(s, &e) &&
            (!s->t->listed || nadb_slice_cmp(key, s->t->lo) >= 0))
            rc = give(s, &e, err);
        nadb_buf_reset(&s->last);
        if (rc == NADB_OK && !nadb_buf_append(&s->last, key.p, key.n))
            return no_memory(s, err);
    }
    return rc;
}

/* --- one table --- */

static void tell_gap(const salvage *s, uint64_t from, uint64_t to) {
    char shown[NADB_KEY_SHOWN];
    nadb_slice last = nadb_slice_of("", 0);

    if (s->last.n > 1) last = nadb_slice_of(s->last.p + 1, s->last.n - 1);
    nadb_report(s->to->report, s->to->ctx,
                "%s: damaged from byte %" PRIu64 " to %" PRIu64
                ", keys behind \"%s\"",
                s->path, from, to, nadb_key_show(last, shown));
}

/* Finds the next good block behind a bad place. *p is NULL where the blocks
 * end. */
static nadb_rc find_block(salvage *s, uint64_t *off, uint64_t end,
                          const uint8_t **p, fs_block *b, size_t *length,
                          nadb_err *err) {
    size_t n = 0;
    nadb_rc rc = NADB_OK;

    for (; rc == NADB_OK && *off < end; (*off)++) {
        rc = window(s, *off, p, &n, err);
        if (rc == NADB_OK && block_at(s, *p, n, *off, b, length))
            return NADB_OK;
        /* A page that cannot be read is skipped. */
        if (rc == NADB_IOERR) {
            *off |= FS_PAGE - 1;
            rc = NADB_OK;
        }
    }
    *p = NULL;
    return rc;
}

static nadb_rc read_blocks(salvage *s, nadb_err *err) {
    uint64_t end = s->sst == NULL ? s->size : s->sst->props.offsets;
    uint64_t off = 0;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && off < end) {
        uint64_t bad = off;
        const uint8_t *p = NULL;
        size_t length = 0;
        fs_block b;

        rc = find_block(s, &off, end, &p, &b, &length, err);
        /* Without properties, this may be where the blocks end. */
        if (rc == NADB_OK && off > bad && (p != NULL || s->sst != NULL)) {
            tell_gap(s, bad, off);
            s->gap = true;
        }
        if (rc != NADB_OK || p == NULL) break;
        rc = give_block(s, &b, err);
        off += length;
    }
    if (rc == NADB_OK && s->gap) rc = close_gap(s, nadb_slice_of(NULL, 0), err);
    if (rc == NADB_OK && s->sst != NULL && s->count < s->sst->props.count)
        nadb_report(s->to->report, s->to->ctx,
                    "%s: %" PRIu64 " of %" PRIu64 " entries are lost", s->path,
                    s->sst->props.count - s->count, s->sst->props.count);
    return rc;
}

static nadb_rc open_table(salvage *s, nadb_err *err) {
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    s->clear_seq = UINT64_MAX;
    s->from = s->count = 0;
    nadb_buf_reset(&s->bytes);
    nadb_buf_reset(&s->last);
    s->gap = false;
    s->path = fs_file_path(s->env->home, s->t->number, "sst");
    if (s->path == NULL) return no_memory(s, err);
    rc = nadb_home_open(s->env->home, s->t->number, "sst", NADB_OPEN_READ,
                        &s->file, &mine);
    if (rc == NADB_OK) rc = s->env->os->size(s->file, &s->size, &mine);
    if (rc != NADB_OK) {
        nadb_report(s->to->report, s->to->ctx, "%s", mine.msg);
        return fatal(rc, &mine) ? nadb_fail(err, rc, "%s", mine.msg) : NADB_OK;
    }
    rc = fs_sst_open(s->env->home, s->t->number, s->size, true, &s->sst, &mine);
    if (rc == NADB_OK)
        s->clear_seq = s->sst->props.clear_seq;
    else if (!fatal(rc, &mine))
        nadb_report(s->to->report, s->to->ctx, "%s", mine.msg);
    return fatal(rc, &mine) ? nadb_fail(err, rc, "%s", mine.msg) : NADB_OK;
}

static nadb_rc read_table(salvage *s, const found_table *t, nadb_err *err) {
    nadb_rc rc;

    s->t = t;
    rc = open_table(s, err);
    if (rc == NADB_OK && s->file != NULL) rc = read_blocks(s, err);
    fs_sst_close(s->sst);
    s->sst = NULL;
    s->env->os->close(s->file);
    s->file = NULL;
    nadb_free(s->path);
    s->path = NULL;
    return rc;
}

/* --- choosing tables --- */

static nadb_rc add_table(salvage *s, const found_table *t, nadb_err *err) {
    return nadb_buf_append(&s->tables, t, sizeof *t) ? NADB_OK
                                                     : no_memory(s, err);
}

/* Oldest run first. */
static nadb_rc listed_tables(salvage *s, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t r = s->m.n_runs; rc == NADB_OK && r > 0; r--) {
        const fs_run *run = &s->m.runs[r - 1];

        for (size_t i = 0; rc == NADB_OK && i < run->count; i++) {
            const fs_meta *meta = &s->m.tables[run->first + i];
            found_table t = {meta->number, meta->max_seq, true, meta->lo};

            rc = add_table(s, &t, err);
        }
    }
    return rc;
}

static nadb_rc each_name(void *ctx, const char *name, nadb_err *err) {
    salvage *s = ctx;
    const char *kind = "";
    found_table t = {0, 0, false, {NULL, 0}};
    fs_sst *sst = NULL;
    nadb_file *f = NULL;
    uint64_t size = 0;
    nadb_rc rc;

    if (!nadb_file_parse(name, &t.number, &kind) || strcmp(kind, "sst") != 0)
        return NADB_OK;
    rc =
        nadb_home_open(s->env->home, t.number, "sst", NADB_OPEN_READ, &f, NULL);
    if (rc == NADB_OK) rc = s->env->os->size(f, &size, NULL);
    s->env->os->close(f);
    if (rc == NADB_OK)
        rc = fs_sst_open(s->env->home, t.number, size, true, &sst, NULL);
    t.max_seq = sst == NULL ? 0 : sst->props.max_seq;
    fs_sst_close(sst);
    if (rc == NADB_NOMEM) return no_memory(s, err);
    return add_table(s, &t, err);
}

static int by_age(const void *a, const void *b) {
    const found_table *x = a, *y = b;

    if (x->max_seq != y->max_seq) return x->max_seq < y->max_seq ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static nadb_rc read_manifest(salvage *s, nadb_err *err) {
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = fs_manifest_read(s->env->home, &s->m, &mine);
    if (fatal(rc, &mine)) return nadb_fail(err, rc, "%s", mine.msg);
    s->known = rc == NADB_OK && s->m.generation > 0;
    if (s->known) return listed_tables(s, err);
    if (rc != NADB_OK) nadb_report(s->to->report, s->to->ctx, "%s", mine.msg);
    rc = s->env->os->dir_list(s->env->home->dir, each_name, s, err);
    if (rc == NADB_OK && s->tables.n > 0) {
        nadb_report(
            s->to->report, s->to->ctx,
            "%s/MANIFEST is damaged or missing: all existing tables are read, "
            "and recently deleted rows may be back",
            s->env->dir);
        qsort(s->tables.p, s->tables.n / sizeof(found_table),
              sizeof(found_table), by_age);
    }
    return rc;
}

nadb_rc fs_salvage(const nadb_base_env *env, const nadb_salvage *to,
                   uint64_t *first_log, nadb_err *err) {
    salvage s = {.env = env, .to = to};
    nadb_rc rc = read_manifest(&s, err);

    *first_log = s.known ? s.m.first_log : 0;
    for (size_t at = 0; rc == NADB_OK && at < s.tables.n;
         at += sizeof(found_table))
        rc = read_table(&s, (found_table *)(void *)(s.tables.p + at), err);
    fs_manifest_clear(&s.m);
    nadb_buf_clear(&s.tables);
    nadb_buf_clear(&s.key);
    nadb_buf_clear(&s.last);
    nadb_buf_clear(&s.value);
    nadb_buf_clear(&s.bytes);
    return rc;
}
