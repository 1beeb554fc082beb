/* check.c - reads every byte of a version's files.
 *
 * Files are opened again and read by pread, so that the check sees what is on
 * the disk (or in the kernel's cache), and not what was verified when a mapping
 * first touched it. Each problem is one line, after which the check continues
 * with the next block, table or file. Not checked: values in a .val file to
 * which no table refers any more. */
#include <stdio.h>

#include "../../core/util/job.h"
#include "fs_ops.h"
#include "hash.h"

typedef struct check {
    fs_version *v;
    nadb_report_fn *report;
    void *ctx;
    fs_sst *s;      /* the table under check */
    nadb_buf block; /* bytes of a block */
    nadb_buf hash;  /* the hash section; empty if it is damaged */
    nadb_buf key, last;
    nadb_buf value;
    fs_val **vals; /* as v->m.vals; NULL: not opened, or damaged */
    uint64_t count, tombstones, min_seq, max_seq;
    bool stop; /* blocks were unreadable, so counts cannot be compared */
} check;

/* The beginning of a key without keyspace byte, printable. */
static const char *printable(nadb_slice key, char out[64]) {
    size_t n = 0;

    for (size_t i = 1; i < key.n && n < 56; i++) {
        uint8_t b = key.p[i];

        if (b >= 0x20 && b != 0x7f)
            out[n++] = (char)b;
        else
            n += (size_t)snprintf(out + n, 64 - n, "\\x%02x", b);
    }
    out[n] = '\0';
    return out;
}

/* True for errors that end the check; others become lines. */
static bool fatal(nadb_rc rc) {
    return rc == NADB_NOMEM || rc == NADB_INTERRUPT;
}

/* --- large values --- */

static fs_val *find_val(check *c, uint64_t number) {
    for (size_t i = 0; i < c->v->m.n_vals; i++)
        if (c->v->m.vals[i].number == number) return c->vals[i];
    return NULL;
}

static nadb_rc check_ref(check *c, const fs_entry *e, uint64_t at,
                         nadb_err *err) {
    char name[64];
    fs_ref ref;
    fs_val *val;
    nadb_slice value;
    nadb_rc rc;

    if (!fs_ref_decode(e->value, &ref)) {
        nadb_report(c->report, c->ctx,
                    "%s: bad reference at byte %llu, key '%s'", c->s->path,
                    (unsigned long long)at,
                    printable(nadb_buf_slice(&c->key), name));
        return NADB_OK;
    }
    val = find_val(c, ref.file);
    if (val == NULL) {
        nadb_report(c->report, c->ctx,
                    "%s: the value of key '%s' is in %06llu.val, which is "
                    "missing or damaged",
                    c->s->path, printable(nadb_buf_slice(&c->key), name),
                    (unsigned long long)ref.file);
        return NADB_OK;
    }
    rc = fs_val_read(val, &ref, &c->value, &value, err);
    if (rc != NADB_OK && !fatal(rc)) {
        nadb_report(c->report, c->ctx, "%s, key '%s'", err->msg,
                    printable(nadb_buf_slice(&c->key), name));
        rc = NADB_OK;
    }
    return rc;
}

/* --- one table --- */

static bool in_hash(const check *c, nadb_slice key, uint32_t place) {
    uint64_t hash = nadb_hash64(key);
    uint64_t n = c->s->props.n_buckets;
    uint64_t no = fs_hash_home(hash, n);

    if (c->hash.n == 0) return true; /* it was reported */
    for (uint64_t tries = 0; tries < n; tries++) {
        const uint8_t *b = c->hash.p + no * FS_BUCKET;

        for (unsigned m = fs_bucket_match(b, hash); m != 0; m &= m - 1)
            if (fs_bucket_place(b, (unsigned)__builtin_ctz(m)) == place)
                return true;
        if (!fs_bucket_passed(b, hash)) return false;
        no = no + 1 == n ? 0 : no + 1;
    }
    return false;
}

static nadb_rc check_entry(check *c, const fs_block *b, unsigned no, unsigned i,
                           uint64_t off, nadb_err *err) {
    char name[64];
    fs_entry e;
    nadb_slice key;

    if (!fs_block_entry(b, i, &e)) {
        nadb_report(c->report, c->ctx,
                    "%s: bad entry %u in the block at byte %llu", c->s->path, i,
                    (unsigned long long)off);
        c->stop = true;
        return NADB_OK;
    }
    nadb_buf_reset(&c->key);
    if (!nadb_buf_append(&c->key, b->prefix.p, b->prefix.n) ||
        !nadb_buf_append(&c->key, e.suffix.p, e.suffix.n))
        return nadb_fail(err, NADB_NOMEM, "checking %s", c->s->path);
    key = nadb_buf_slice(&c->key);
    if (c->count > 0 && nadb_slice_cmp(nadb_buf_slice(&c->last), key) >= 0)
        nadb_report(c->report, c->ctx,
                    "%s: key '%s' at byte %llu is out of order", c->s->path,
                    printable(key, name), (unsigned long long)(off + e.at));
    if (!in_hash(c, key, (uint32_t)no << 8 | i))
        nadb_report(c->report, c->ctx,
                    "%s: key '%s' at byte %llu is not in the table's hash",
                    c->s->path, printable(key, name),
                    (unsigned long long)(off + e.at));
    c->count++;
    c->tombstones += e.kind == FS_TOMBSTONE;
    if (e.seq > c->max_seq) c->max_seq = e.seq;
    nadb_buf_reset(&c->last);
    if (!nadb_buf_append(&c->last, key.p, key.n))
        return nadb_fail(err, NADB_NOMEM, "checking %s", c->s->path);
    return e.kind == FS_REF ? check_ref(c, &e, off + e.at, err) : NADB_OK;
}

static void tell_block(check *c, unsigned no, const char *what) {
    nadb_buf key = NADB_BUF_INIT;
    nadb_slice s = fs_sst_separator(c->s, no);
    char name[64];

    if (nadb_buf_append(&key, c->s->props.lo.p, c->s->skip) &&
        nadb_buf_append(&key, s.p, s.n))
        nadb_report(c->report, c->ctx, "%s, keys from '%s' on", what,
                    printable(nadb_buf_slice(&key), name));
    else
        nadb_report(c->report, c->ctx, "%s", what);
    nadb_buf_clear(&key);
    c->stop = true;
}

/* The index must lead to the block from its first and from its last key. */
static nadb_rc check_index(check *c, const fs_block *b, unsigned no,
                           nadb_err *err) {
    unsigned found;
    nadb_rc rc = fs_sst_find(c->s, nadb_buf_slice(&c->last), &found, err);

    if (rc != NADB_OK || found == no || b->count == 0) return rc;
    tell_block(c, no, "the index does not lead to its block");
    return NADB_OK;
}

static nadb_rc check_blocks(check *c, nadb_err *err) {
    for (unsigned no = 0; no < c->s->props.n_blocks; no++) {
        fs_block b;
        uint64_t off;
        nadb_rc rc = fs_sst_block(c->s, no, &c->block, &b, &off, err);

        if (rc == NADB_OK) rc = nadb_job_step(0, c->block.n, err);

        if (fatal(rc)) return rc;
        if (rc != NADB_OK) {
            tell_block(c, no, err->msg);
            continue;
        }
        for (unsigned i = 0; rc == NADB_OK && i < b.count; i++) {
            rc = check_entry(c, &b, no, i, off, err);
            if (rc == NADB_OK && i == 0 && !c->stop)
                rc = check_index(c, &b, no, err);
        }
        if (rc == NADB_OK && !c->stop) rc = check_index(c, &b, no, err);
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

static nadb_rc read_hash(check *c, nadb_err *err) {
    const fs_props *p = &c->s->props;
    size_t n = (size_t)(p->end - p->hash);
    nadb_rc rc;

    nadb_buf_reset(&c->hash);
    if (!nadb_buf_reserve(&c->hash, n))
        return nadb_fail(err, NADB_NOMEM, "checking %s", c->s->path);
    rc = c->s->os->pread(c->s->file, c->hash.p, n, p->hash, err);
    if (rc != NADB_OK) {
        nadb_report(c->report, c->ctx, "%s", err->msg);
        return NADB_OK;
    }
    c->hash.n = n;
    for (size_t at = 0; at < n; at += FS_PAGE) {
        size_t part = n - at < FS_PAGE ? n - at : FS_PAGE;

        if (nadb_crc32c(0, c->hash.p + at, part) ==
            nadb_get_u32(p->pages.p + 4 * (at / FS_PAGE)))
            continue;
        nadb_report(c->report, c->ctx,
                    "%s: wrong checksum of the hash at byte %llu", c->s->path,
                    (unsigned long long)(p->hash + at));
        c->hash.n = 0;
    }
    return NADB_OK;
}

static void check_meta(const check *c, const fs_meta *t) {
    const fs_props *p = &c->s->props;

    if (p->count != t->count || p->tombstones != t->tombstones ||
        p->min_seq != t->min_seq || p->max_seq != t->max_seq ||
        !nadb_slice_eq(p->hi, t->hi) || nadb_slice_cmp(p->lo, t->lo) > 0)
        nadb_report(c->report, c->ctx,
                    "%s: MANIFEST and the table contradict each other",
                    c->s->path);
    if (c->stop) return;
    if (c->count != p->count || c->tombstones != p->tombstones ||
        c->max_seq > p->max_seq ||
        !nadb_slice_eq(nadb_buf_slice(&c->last), p->hi))
        nadb_report(c->report, c->ctx,
                    "%s: its properties and its entries contradict each other",
                    c->s->path);
}

static nadb_rc check_table(check *c, const fs_meta *t, nadb_err *err) {
    const nadb_base_env *env = &c->v->base->env;
    nadb_rc rc = fs_sst_open(env->home, t->number, t->size, false, &c->s, err);

    if (rc != NADB_OK) {
        if (fatal(rc)) return rc;
        nadb_report(c->report, c->ctx, "%s", err->msg);
        return NADB_OK;
    }
    c->count = c->tombstones = c->max_seq = 0;
    c->stop = false;
    rc = read_hash(c, err);
    if (rc == NADB_OK) rc = check_blocks(c, err);
    if (rc == NADB_OK) check_meta(c, t);
    fs_sst_close(c->s);
    c->s = NULL;
    return rc;
}

/* --- all of it --- */

static nadb_rc open_vals(check *c, nadb_err *err) {
    const nadb_base_env *env = &c->v->base->env;
    const fs_manifest *m = &c->v->m;

    c->vals = nadb_calloc(m->n_vals + 1, sizeof *c->vals);
    if (c->vals == NULL)
        return nadb_fail(err, NADB_NOMEM, "checking %s", env->dir);
    for (size_t i = 0; i < m->n_vals; i++) {
        nadb_rc rc = fs_val_open(env->home, m->vals[i].number, m->vals[i].size,
                                 false, &c->vals[i], err);

        if (fatal(rc)) return rc;
        if (rc != NADB_OK) nadb_report(c->report, c->ctx, "%s", err->msg);
    }
    return NADB_OK;
}

nadb_rc fs_check(nadb_base_version *base, nadb_report_fn *report, void *ctx,
                 nadb_err *err) {
    fs_version *v = (fs_version *)base;
    nadb_err local;
    check c = {.v = v, .report = report, .ctx = ctx};
    fs_manifest now;
    nadb_rc rc;

    if (err == NULL) err = &local;
    rc = fs_manifest_read(v->base->env.home, &now, err);
    if (rc == NADB_OK && now.generation < v->m.generation)
        nadb_report(c.report, c.ctx,
                    "%s/MANIFEST is missing or older than the state in use",
                    v->base->env.dir);
    if (rc == NADB_OK) fs_manifest_clear(&now);
    if (rc != NADB_OK && !fatal(rc)) {
        nadb_report(c.report, c.ctx, "%s", err->msg);
        rc = NADB_OK;
    }
    if (rc == NADB_OK) rc = open_vals(&c, err);
    for (size_t i = 0; rc == NADB_OK && i < v->m.n_tables; i++)
        rc = check_table(&c, &v->m.tables[i], err);
    for (size_t i = 0; c.vals != NULL && i < v->m.n_vals; i++)
        fs_val_close(c.vals[i]);
    nadb_free(c.vals);
    nadb_buf_clear(&c.block);
    nadb_buf_clear(&c.hash);
    nadb_buf_clear(&c.key);
    nadb_buf_clear(&c.last);
    nadb_buf_clear(&c.value);
    return rc;
}
