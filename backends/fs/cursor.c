/* cursor.c - walks one run (see cursor.h). */
#include "cursor.h"

#define AHEAD_MIN ((size_t)32 << 10)
#define AHEAD_MAX ((size_t)256 << 10)

void fs_cursor_init(fs_cursor *c, fs_version *v, const fs_run *run,
                    const nadb_range *range, bool private) {
    memset(c, 0, sizeof *c);
    c->v = v;
    c->run = run;
    c->lo = range->lo;
    c->hi = range->hi;
    c->reverse = range->reverse;
    c->private = private || !v->base->env.mmap;
    c->ahead = AHEAD_MIN;
}

static void close_file(fs_cursor *c) {
    if (c->file != NULL) c->v->base->env.os->close(c->file);
    c->file = NULL;
    c->file_of = NULL;
}

void fs_cursor_clear(fs_cursor *c) {
    close_file(c);
    nadb_buf_clear(&c->key);
    nadb_buf_clear(&c->chunk);
}

/* --- blocks --- */

static nadb_rc open_file(fs_cursor *c, nadb_file **out, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (c->s->file != NULL) {
        *out = c->s->file;
        return NADB_OK;
    }
    if (c->file_of != c->s) {
        close_file(c);
        rc = nadb_home_open(c->v->base->env.home, c->s->number, "sst",
                            NADB_OPEN_READ, &c->file, err);
        if (rc == NADB_OK) c->file_of = c->s;
    }
    *out = c->file;
    return rc;
}

/* Reads [off, off + n) into the chunk, and the bytes that a walk needs next. */
static nadb_rc fill_chunk(fs_cursor *c, uint64_t off, size_t n, nadb_err *err) {
    uint64_t end = c->s->props.offsets;
    uint64_t size = c->ahead > n ? c->ahead : n;
    uint64_t first = off;
    nadb_file *f;
    nadb_rc rc;

    if (c->reverse) {
        first = off + n > size ? off + n - size : 0;
        size = off + n - first;
    } else if (size > end - off) {
        size = end - off;
    }
    rc = open_file(c, &f, err);
    if (rc != NADB_OK) return rc;
    nadb_buf_reset(&c->chunk);
    c->chunk_of = NULL;
    if (!nadb_buf_reserve(&c->chunk, (size_t)size))
        return nadb_fail(err, NADB_NOMEM, "reading %s", c->s->path);
    rc = c->v->base->env.os->pread(f, c->chunk.p, (size_t)size, first, err);
    if (rc != NADB_OK) return rc;
    c->chunk.n = (size_t)size;
    c->chunk_off = first;
    c->chunk_of = c->s;
    if (c->ahead < AHEAD_MAX) c->ahead *= 2;
    return NADB_OK;
}

static nadb_rc private_block(fs_cursor *c, unsigned no, nadb_err *err) {
    size_t n;
    nadb_rc rc = fs_sst_extent(c->s, no, &c->off, &n, err);

    if (rc != NADB_OK) return rc;
    if (c->chunk_of != c->s || c->off < c->chunk_off ||
        c->off + n > c->chunk_off + c->chunk.n) {
        rc = fill_chunk(c, c->off, n, err);
        if (rc != NADB_OK) return rc;
    }
    return fs_sst_parse(c->s, c->chunk.p + (c->off - c->chunk_off), c->off, n,
                        &c->block, err);
}

/* --- tables --- */

static nadb_slice larger(nadb_slice a, nadb_slice b) {
    return nadb_slice_cmp(a, b) < 0 ? b : a;
}

/* True behind the end of the range, or of the present table's used part. */
static bool past_end(const fs_cursor *c) {
    const fs_meta *t = fs_cursor_meta(c);
    nadb_slice key = nadb_buf_slice(&c->key);

    if (c->reverse)
        return nadb_slice_cmp(key, t->lo) < 0 || nadb_slice_cmp(key, c->lo) < 0;
    return c->hi_first ? nadb_slice_cmp(key, c->hi) >= 0
                       : nadb_slice_cmp(key, t->hi) > 0;
}

/* Takes key and value of an entry of the block. */
static nadb_rc take_entry(fs_cursor *c, unsigned i, nadb_err *err) {
    if (!fs_block_entry(&c->block, i, &c->e))
        return fs_sst_corrupt(c->s, "bad entry in the block", c->off, err);
    c->key.n = c->block.prefix.n;
    if (nadb_buf_append(&c->key, c->e.suffix.p, c->e.suffix.n)) return NADB_OK;
    return nadb_fail(err, NADB_NOMEM, "reading %s", c->s->path);
}

static nadb_rc load_block(fs_cursor *c, unsigned no, nadb_err *err) {
    nadb_rc rc = c->private
                     ? private_block(c, no, err)
                     : fs_sst_block(c->s, no, NULL, &c->block, &c->off, err);

    if (rc != NADB_OK) return rc;
    c->no = no;
    c->check_key = false;
    nadb_buf_reset(&c->key);
    if (!nadb_buf_append(&c->key, c->block.prefix.p, c->block.prefix.n))
        return nadb_fail(err, NADB_NOMEM, "reading %s", c->s->path);
    if (!c->check_end) return NADB_OK;
    rc = take_entry(c, c->reverse ? 0 : c->block.count - 1, err);
    if (rc == NADB_OK) c->check_key = past_end(c);
    return rc;
}

/* Makes entry c->i of the block the present entry. */
static nadb_rc show(fs_cursor *c, nadb_err *err) {
    nadb_rc rc = take_entry(c, c->i, err);

    if (rc != NADB_OK) return rc;
    c->valid = !c->check_key || !past_end(c);
    if (!c->valid) c->s = NULL;
    return NADB_OK;
}

/* Opens table `i` of the run. *use is false if a clear hides all of it or none
 * of it is in the range. */
static nadb_rc enter_table(fs_cursor *c, size_t i, bool *use, nadb_err *err) {
    const fs_meta *t = &c->v->m.tables[c->run->first + i];
    nadb_rc rc;

    *use = false;
    c->s = NULL;
    c->table = i;
    if (c->v->m.clear_seq > 0 && t->max_seq <= c->v->m.clear_seq)
        return NADB_OK;
    rc = fs_handle_sst(c->v->tables[c->run->first + i], &c->s, err);
    if (rc != NADB_OK) return rc;
    *use = true;
    c->hi_first = c->hi.p != NULL && nadb_slice_cmp(c->hi, t->hi) <= 0;
    if (c->reverse)
        c->check_end = nadb_slice_cmp(larger(t->lo, c->lo), c->s->props.lo) > 0;
    else
        c->check_end =
            (c->hi.p != NULL && nadb_slice_cmp(c->s->props.hi, c->hi) >= 0) ||
            nadb_slice_cmp(c->s->props.hi, t->hi) > 0;
    return NADB_OK;
}

/* Moves within the present table to the first entry >= key, or the last <= key;
 * c->s is NULL if there is none. */
static nadb_rc seek_table(fs_cursor *c, nadb_slice key, nadb_err *err) {
    unsigned no, i;
    bool equal;
    nadb_rc rc = fs_sst_find(c->s, key, &no, err);

    if (rc == NADB_OK) rc = load_block(c, no, err);
    if (rc != NADB_OK) return rc;
    if (!fs_block_seek(&c->block, key, &i, &equal))
        return fs_sst_corrupt(c->s, "bad entry in the block", c->off, err);
    if (c->reverse && !equal) {
        /* The entry before it. If the key lies between a separator and the
         * first key of its block, that is in the block before. */
        if (i == 0 && no == 0) {
            c->s = NULL;
            return NADB_OK;
        }
        if (i == 0) {
            rc = load_block(c, no - 1, err);
            if (rc != NADB_OK) return rc;
            i = c->block.count;
        }
        i--;
    } else if (i == c->block.count) {
        if (no + 1 == c->s->props.n_blocks) {
            c->s = NULL;
            return NADB_OK;
        }
        rc = load_block(c, no + 1, err);
        if (rc != NADB_OK) return rc;
        i = 0;
    }
    c->i = i;
    return show(c, err);
}

/* Searches the tables from `i` on in the cursor's direction for the first
 * entry, not before `key`. */
static nadb_rc walk_tables(fs_cursor *c, size_t i, nadb_slice key,
                           nadb_err *err) {
    bool first = true;

    c->valid = false;
    c->s = NULL;
    for (; i < c->run->count; i = c->reverse ? i - 1 : i + 1) {
        const fs_meta *t = &c->v->m.tables[c->run->first + i];
        nadb_slice from = c->reverse ? t->hi : t->lo;
        bool use;
        nadb_rc rc;

        if (c->reverse ? nadb_slice_cmp(t->hi, c->lo) < 0
                       : c->hi.p != NULL && nadb_slice_cmp(t->lo, c->hi) >= 0)
            return NADB_OK;
        rc = enter_table(c, i, &use, err);
        if (rc != NADB_OK) return rc;
        if (use) {
            if (first && (c->reverse ? nadb_slice_cmp(key, from) < 0
                                     : nadb_slice_cmp(key, from) > 0))
                from = key;
            rc = seek_table(c, from, err);
            if (rc != NADB_OK || c->valid) return rc;
        }
        first = false;
        if (c->reverse && i == 0) break;
    }
    c->s = NULL;
    return NADB_OK;
}

nadb_rc fs_cursor_seek(fs_cursor *c, nadb_slice key, nadb_err *err) {
    size_t i;

    if (nadb_slice_cmp(key, c->lo) < 0) {
        c->valid = false;
        c->s = NULL;
        if (c->reverse) return NADB_OK;
        key = c->lo;
    }
    if (c->reverse && c->hi.p != NULL && nadb_slice_cmp(key, c->hi) >= 0)
        return fs_cursor_start(c, err);
    i = fs_run_find(c->v, c->run, key);
    if (c->reverse) {
        /* If the table found begins after the key, the one before is
         * searched. */
        if (i == c->run->count ||
            nadb_slice_cmp(c->v->m.tables[c->run->first + i].lo, key) > 0) {
            if (i == 0) {
                c->valid = false;
                c->s = NULL;
                return NADB_OK;
            }
            i--;
        }
    }
    return walk_tables(c, i, key, err);
}

nadb_rc fs_cursor_start(fs_cursor *c, nadb_err *err) {
    nadb_rc rc;

    if (!c->reverse) return fs_cursor_seek(c, c->lo, err);
    if (c->hi.p == NULL) {
        nadb_slice none = {NULL, 0};

        if (c->run->count == 0) {
            c->valid = false;
            return NADB_OK;
        }
        none = c->v->m.tables[c->run->first + c->run->count - 1].hi;
        return walk_tables(c, c->run->count - 1, none, err);
    }
    /* hi is excluded: seeks as if it were included, then steps over it. */
    {
        nadb_slice hi = c->hi;

        c->hi.p = NULL;
        rc = fs_cursor_seek(c, hi, err);
        c->hi = hi;
        if (rc == NADB_OK && c->valid &&
            nadb_slice_eq(nadb_buf_slice(&c->key), hi))
            rc = fs_cursor_next(c, err);
        return rc;
    }
}

/* Moves to the next block of the present table; invalid if there is none. */
static nadb_rc next_block(fs_cursor *c, nadb_err *err) {
    nadb_rc rc;

    if (c->reverse ? c->no == 0 : c->no + 1 == c->s->props.n_blocks)
        return NADB_OK;
    rc = load_block(c, c->reverse ? c->no - 1 : c->no + 1, err);
    if (rc != NADB_OK) return rc;
    c->i = c->reverse ? c->block.count - 1 : 0;
    return show(c, err);
}

/* Moves to the next table of the run. */
static nadb_rc next_table(fs_cursor *c, nadb_err *err) {
    nadb_slice from = {NULL, 0};

    c->s = NULL;
    if (!c->reverse) return walk_tables(c, c->table + 1, from, err);
    if (c->table == 0) return NADB_OK;
    from = c->v->m.tables[c->run->first + c->table - 1].hi;
    return walk_tables(c, c->table - 1, from, err);
}

nadb_rc fs_cursor_next(fs_cursor *c, nadb_err *err) {
    nadb_rc rc;

    c->valid = false;
    if (c->s == NULL) return NADB_OK;
    if (c->reverse ? c->i == 0 : c->i + 1 == c->block.count) {
        rc = next_block(c, err);
    } else {
        c->i = c->reverse ? c->i - 1 : c->i + 1;
        rc = show(c, err);
    }
    return rc != NADB_OK || c->valid ? rc : next_table(c, err);
}
