/* compare.c - walks over a store's rows and a chain side by side (compare.h).
 *
 * The chunks of the chain's full backup divide the keys into parts. Up to three
 * threads compare a part each, and collect its differences in memory; the
 * calling thread is one of them. It also takes the parts in order and passes
 * their differences on. Parts are in a ring, as the chunks of encode.c are;
 * three counters divide them:
 *
 *   0 .. taken - 1        passed on
 *   taken .. begun - 1    being compared, or `done`
 *   begun .. parts - 1    not begun
 *
 * begun <= taken + PARTS_AHEAD. A part whose differences become too large for
 * memory stops at a key; the calling thread compares the rest of it when it
 * takes the part, and passes each difference on at once. So the result does not
 * depend on the number of threads, and none is needed. */
#include "compare.h"

#include "../kv/row.h"
#include "../util/coding.h"
#include "../util/job.h"
#include "../util/sync.h"

#define COMPARE_THREADS 2u /* beside the calling one */
#define PARTS_AHEAD 6u
#define PART_CHUNKS 16u /* some ten thousand rows */
/* Limits of what a part collects: a larger value is not copied. */
#define FOUND_MAX ((size_t)1 << 20)
#define FOUND_VALUE_MAX NADB_LARGE_BYTES
/* Rows and bytes between two looks for a stop. */
#define LOOK_ROWS 1024u
#define LOOK_BYTES ((uint64_t)1 << 20)

typedef struct part {
    nadb_buf found; /* key, value, hash; an empty value: only the chain has the
                       key */
    nadb_buf rest;  /* the key at which it stopped; empty: it is complete */
    uint64_t total;
    uint64_t rows, bytes; /* compared and not yet reported to the job */
    bool done;
    nadb_rc rc;
    nadb_err err;
} part;

typedef struct comparing {
    const backup_compare_req *req;
    const backup_rows *bounds; /* its chunks divide the keys */
    size_t parts;
    pthread_t threads[COMPARE_THREADS];
    unsigned running; /* number of threads */
    nadb_mutex lock;
    nadb_cond moved; /* signalled when `taken`, `done` or `ending` changes */
    _Atomic bool ending;
    size_t taken, begun;
    part ring[PARTS_AHEAD];
} comparing;

/* What one thread compares with. */
typedef struct walk {
    comparing *c;
    bool calling;      /* the thread of the statement */
    bool direct;       /* it passes differences on instead of collecting them */
    nadb_iter *before; /* over the chain; kept, as it holds decoded chunks */
    nadb_iter *rows;   /* over the rows of the part */
    part *p;
} walk;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a backup");
}

/* --- differences --- */

/* *full: it cannot be collected. */
static nadb_rc differs(walk *w, nadb_slice key, nadb_slice value, uint64_t hash,
                       bool *full, nadb_err *err) {
    const backup_compare_req *req = w->c->req;
    nadb_buf *found = &w->p->found;
    uint8_t print[8];

    *full = false;
    if (w->direct)
        return value.n == 0 ? req->gone(req->ctx, key, err)
                            : req->put(req->ctx, key, value, hash, err);
    if (value.n > FOUND_VALUE_MAX || found->n >= FOUND_MAX) {
        *full = true;
        return nadb_buf_append(&w->p->rest, key.p, key.n) ? NADB_OK
                                                          : no_memory(err);
    }
    nadb_put_u64(print, hash);
    return nadb_buf_blob(found, key) && nadb_buf_blob(found, value) &&
                   nadb_buf_append(found, print, sizeof print)
               ? NADB_OK
               : no_memory(err);
}

/* Passes on what a part has collected. */
static nadb_rc pass_on(const comparing *c, const part *p, nadb_err *err) {
    const backup_compare_req *req = c->req;
    nadb_reader in = nadb_reader_of(nadb_buf_slice(&p->found));
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && nadb_reader_left(&in) > 0) {
        nadb_slice key = nadb_read_blob(&in);
        nadb_slice value = nadb_read_blob(&in);
        uint64_t hash = nadb_read_u64(&in);

        rc = value.n == 0 ? req->gone(req->ctx, key, err)
                          : req->put(req->ctx, key, value, hash, err);
    }
    return rc;
}

/* --- one part --- */

static nadb_rc report(const comparing *c, part *p, nadb_err *err) {
    nadb_rc rc = nadb_stopped(c->req->stop, err);

    if (rc == NADB_OK) rc = nadb_job_step(p->rows, p->bytes, err);
    p->rows = 0;
    p->bytes = 0;
    return rc;
}

/* Moves to the next row that has not expired. */
static nadb_rc next_row(walk *w, nadb_err *err) {
    part *p = w->p;
    nadb_rc rc = NADB_OK;

    do {
        rc = nadb_iter_next(w->rows, err);
        if (rc != NADB_OK || !w->rows->valid) return rc;
        p->bytes += w->rows->entry.value.n;
        p->rows++;
        if (p->rows % LOOK_ROWS == 0 || p->bytes >= LOOK_BYTES) {
            if (w->calling)
                rc = report(w->c, p, err);
            else if (atomic_load(&w->c->ending))
                rc = nadb_fail(err, NADB_INTERRUPT, "interrupted");
        }
    } while (rc == NADB_OK &&
             nadb_row_expires(w->rows->entry.value) <= w->c->req->now_ms);
    return rc;
}

/* Finds the keys that only the chain has, up to the row; *same: the chain has
 * the row unchanged. */
static nadb_rc look_up(walk *w, backup_print print, bool *same, bool *full,
                       nadb_err *err) {
    static const nadb_slice none = {NULL, 0};
    nadb_slice key = w->rows->entry.key;
    nadb_rc rc = NADB_OK;

    *same = false;
    while (rc == NADB_OK && !*full && w->before->valid) {
        int c = nadb_slice_cmp(w->before->entry.key, key);
        backup_print had;

        if (c > 0) break;
        memcpy(&had, w->before->entry.value.p, sizeof had);
        if (c == 0)
            *same = had.hash == print.hash && had.bytes == print.bytes;
        else
            rc = differs(w, w->before->entry.key, none, 0, full, err);
        if (rc == NADB_OK && !*full) rc = nadb_iter_next(w->before, err);
    }
    return rc;
}

/* Finds the keys below `hi` that only the chain has. */
static nadb_rc look_up_rest(walk *w, nadb_slice hi, bool *full, nadb_err *err) {
    static const nadb_slice none = {NULL, 0};
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && !*full && w->before->valid &&
           nadb_slice_cmp(w->before->entry.key, hi) < 0) {
        rc = differs(w, w->before->entry.key, none, 0, full, err);
        if (rc == NADB_OK && !*full) rc = nadb_iter_next(w->before, err);
    }
    return rc;
}

/* Compares rows and chain until the rows of the range end. */
static nadb_rc walk_rows(walk *w, nadb_slice hi, nadb_err *err) {
    bool full = false;
    nadb_rc rc = next_row(w, err);

    while (rc == NADB_OK && !full && w->rows->valid) {
        const nadb_entry *e = &w->rows->entry;
        backup_print print = backup_print_of(e->value);
        bool same = false;

        if (e->value.n == 0) /* it would stand for a key that is gone */
            return nadb_corrupt(err, "a row of the store is empty");
        rc = look_up(w, print, &same, &full, err);
        if (rc == NADB_OK && !full && !same)
            rc = differs(w, e->key, e->value, print.hash, &full, err);
        if (rc == NADB_OK && !full) {
            w->p->total++;
            rc = next_row(w, err);
        }
    }
    return rc == NADB_OK ? look_up_rest(w, hi, &full, err) : rc;
}

static nadb_rc walk_range(walk *w, nadb_slice lo, nadb_slice hi,
                          nadb_err *err) {
    const backup_compare_req *req = w->c->req;
    nadb_range range = {lo, hi, false};
    nadb_rc rc = NADB_OK;

    if (w->before == NULL)
        rc = backup_chain_iter(req->chain, &nadb_all_rows, true, false,
                               &w->before, err);
    if (rc == NADB_OK) rc = nadb_iter_seek(w->before, lo, err);
    if (rc == NADB_OK)
        rc = req->engine->ops->iter(req->engine, req->view, &range, &w->rows,
                                    err);
    if (rc == NADB_OK) rc = walk_rows(w, hi, err);
    nadb_iter_free(w->rows);
    w->rows = NULL;
    return rc;
}

/* --- the parts --- */

/* The first key of a part, or the end of the rows. The first part begins before
 * the first chunk. A key that is not that of a row can only be in a forged
 * file. */
static nadb_slice bound(const comparing *c, size_t i) {
    nadb_slice key = nadb_all_rows.hi;

    if (i == 0) return nadb_all_rows.lo;
    if (i < c->parts) key = backup_rows_first(c->bounds, i * PART_CHUNKS);
    if (nadb_slice_cmp(key, nadb_all_rows.lo) < 0) return nadb_all_rows.lo;
    return nadb_slice_cmp(key, nadb_all_rows.hi) < 0 ? key : nadb_all_rows.hi;
}

static bool can_begin(const comparing *c) {
    return c->begun < c->parts && c->begun < c->taken + PARTS_AHEAD;
}

/* Compares the next part. REQUIRES: the lock, and can_begin(). Releases the
 * lock meanwhile. */
static void compare_part(walk *w) {
    comparing *c = w->c;
    size_t i = c->begun++;
    part *p = &c->ring[i % PARTS_AHEAD];

    p->done = false;
    nadb_unlock(&c->lock);
    nadb_buf_reset(&p->found);
    nadb_buf_reset(&p->rest);
    p->total = 0;
    w->p = p;
    p->rc = walk_range(w, bound(c, i), bound(c, i + 1), &p->err);
    nadb_lock(&c->lock);
    p->done = true;
    nadb_cond_broadcast(&c->moved);
}

static void *compare_parts(void *arg) {
    walk w = {.c = arg};
    comparing *c = w.c;

    nadb_lock(&c->lock);
    while (!c->ending && c->begun < c->parts) {
        if (can_begin(c))
            compare_part(&w);
        else
            nadb_cond_wait(&c->moved, &c->lock);
    }
    nadb_unlock(&c->lock);
    nadb_iter_free(w.before);
    return NULL;
}

/* Passes part i on, once it is compared. */
static nadb_rc take_part(walk *w, size_t i, uint64_t *total, nadb_err *err) {
    comparing *c = w->c;
    part *p = &c->ring[i % PARTS_AHEAD];
    nadb_rc rc;

    nadb_lock(&c->lock);
    while (c->begun <= i || !p->done) {
        if (can_begin(c))
            compare_part(w);
        else
            nadb_cond_wait(&c->moved, &c->lock);
    }
    nadb_unlock(&c->lock);
    rc = p->rc;
    if (rc != NADB_OK && err != NULL) *err = p->err;
    if (rc == NADB_OK) rc = report(c, p, err);
    if (rc == NADB_OK) rc = pass_on(c, p, err);
    if (rc == NADB_OK && p->rest.n > 0) {
        w->p = p;
        w->direct = true;
        rc = walk_range(w, nadb_buf_slice(&p->rest), bound(c, i + 1), err);
        w->direct = false;
        if (rc == NADB_OK) rc = report(c, p, err);
    }
    *total += p->total;
    nadb_lock(&c->lock);
    c->taken = i + 1;
    nadb_cond_broadcast(&c->moved);
    nadb_unlock(&c->lock);
    return rc;
}

/* Errors are ignored: fewer threads, or none, suffice. */
static void start_threads(comparing *c) {
    while (c->running < COMPARE_THREADS && c->running + 1 < c->parts &&
           nadb_thread_start(&c->threads[c->running], "nadb-backup",
                             compare_parts, c, NULL) == NADB_OK)
        c->running++;
}

static void end_threads(comparing *c) {
    nadb_lock(&c->lock);
    c->ending = true;
    nadb_cond_broadcast(&c->moved);
    nadb_unlock(&c->lock);
    for (unsigned i = 0; i < c->running; i++) nadb_thread_join(c->threads[i]);
}

static nadb_rc compare_all(comparing *c, uint64_t *total, nadb_err *err) {
    const backup_compare_req *req = c->req;
    size_t last = backup_chain_links(req->chain) - 1;
    walk w = {.c = c, .calling = true};
    nadb_rc rc = NADB_OK;

    c->bounds = backup_chain_link(req->chain, last)->rows;
    c->parts = 1;
    if (req->threads && backup_rows_chunks(c->bounds) > PART_CHUNKS)
        c->parts = (backup_rows_chunks(c->bounds) - 1) / PART_CHUNKS + 1;
    start_threads(c);
    for (size_t i = 0; i < c->parts && rc == NADB_OK; i++)
        rc = take_part(&w, i, total, err);
    end_threads(c);
    nadb_iter_free(w.before);
    for (size_t i = 0; i < PARTS_AHEAD; i++) {
        nadb_buf_clear(&c->ring[i].found);
        nadb_buf_clear(&c->ring[i].rest);
    }
    return rc;
}

nadb_rc backup_compare(const backup_compare_req *req, uint64_t *total,
                       nadb_err *err) {
    comparing *c = nadb_calloc(1, sizeof *c);
    nadb_rc rc;

    *total = 0;
    if (c == NULL) return no_memory(err);
    c->req = req;
    rc = nadb_mutex_cond_init(&c->lock, NADB_RANK_BACKUP, &c->moved, err);
    if (rc == NADB_OK) {
        rc = compare_all(c, total, err);
        nadb_cond_clear(&c->moved);
        nadb_mutex_clear(&c->lock);
    }
    nadb_free(c);
    return rc;
}
