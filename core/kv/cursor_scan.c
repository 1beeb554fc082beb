/* cursor_scan.c - walks of a cursor over ranges of keys, tags or expiry.
 *
 * A rollback may undo changes while a cursor is open. The cursor then continues
 * as if these changes had never been made. An iterator over the batch looks at
 * the changes when it moves. But a merge has read one entry of each source
 * ahead, and after a clear in the batch it left the view out. So after an undo
 * a walk in key order is started again behind its last key (scan_again()). */
#include "cursor.h"

#include <stdlib.h>

#include "../util/assert.h"
#include "../util/merge.h"
#include "expiry_scan.h"
#include "row.h"
#include "tag_scan.h"

/* --- ranges --- */

/* Opens the view's rows merged with the batch's changes. */
static nadb_rc open_sources(nadb_cursor *c, const nadb_range *range,
                            nadb_err *err) {
    nadb_engine *e = c->ss->engine;
    nadb_iter *sources[2];
    size_t n = 0;
    nadb_rc rc = NADB_OK;

    if (c->b == NULL) return e->ops->iter(e, c->view->view, range, &c->it, err);
    rc = batch_iter(c->b, range, c->limit, &sources[n], err);
    if (rc != NADB_OK) return rc;
    n++;
    if (!batch_cleared(c->b, c->limit)) {
        rc = e->ops->iter(e, c->view->view, range, &sources[n], err);
        if (rc != NADB_OK) {
            nadb_iter_free(sources[0]);
            return rc;
        }
        n++;
    }
    return nadb_merge(sources, n, range, false, &c->it, err);
}

/* Takes a key from an index. The row exists, and is loaded on demand. */
static void key_take(nadb_cursor *c, const nadb_entry *e) {
    c->row.key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    c->row.key_pinned = c->row.stale = false;
    c->valid = true;
    c->loaded = c->decoded = c->gone = c->from_batch = false;
}

/* --- rows by their tags --- */

static bool not_changed(void *ctx, const nadb_entry *e) {
    const nadb_cursor *c = ctx;

    return batch_find(c->b, e->key, c->limit) == NULL;
}

static bool change_matches(void *ctx, const nadb_entry *e) {
    const nadb_match *m = ctx;
    nadb_row row;

    if (e->flags & NADB_ENTRY_TOMBSTONE) return false;
    /* Cannot fail: the transaction encoded these bytes. */
    return nadb_row_decode(e->value, &row, NULL) == NADB_OK &&
           nadb_match_tags(m, row.tags);
}

/* Opens a walk over the view's rows through the tag index; *out is NULL if the
 * index cannot answer. */
static nadb_rc open_index(nadb_cursor *c, const nadb_range *range,
                          nadb_iter **out, bool *exact, nadb_err *err) {
    const nadb_scan *scan = &c->scan;
    nadb_engine *e = c->ss->engine;
    nadb_rc rc;

    *out = NULL;
    *exact = true;
    if (c->ss->derives)
        return nadb_tag_scan(c->ss, c->view->view, scan->match, range,
                             nadb_cursor_now(c), out, exact, err);
    if (e->ops->match == NULL) return NADB_OK;
    rc = session_note_read(c->ss, range->lo, range->hi, false, NULL, err);
    if (rc != NADB_OK) return rc;
    return e->ops->match(e, c->view->view, scan->match, range, scan->key_only,
                         out, err);
}

/* --- rows by their expiry ---
 *
 * First the rows that the transaction has changed, in key order, then those of
 * the view through the index of expiries, except changed ones. After an undo
 * rows that were skipped may match again, so the batch is walked over once more
 * before the index is continued. The batch's rows that were returned are
 * remembered and not returned twice. */

static int slice_cmp(const void *a, const void *b) {
    return nadb_slice_cmp(*(const nadb_slice *)a, *(const nadb_slice *)b);
}

static bool is_given(const nadb_cursor *c, const nadb_slice *key) {
    return c->n_given > 0 &&
           bsearch(key, c->given.p, c->n_given, sizeof *key, slice_cmp) != NULL;
}

static bool index_gives(void *ctx, const nadb_entry *e) {
    return not_changed(ctx, e) && !is_given(ctx, &e->key);
}

static bool batch_gives(void *ctx, const nadb_entry *e) {
    nadb_cursor *c = ctx;
    int64_t ms = (e->flags & NADB_ENTRY_TOMBSTONE) != 0
                     ? NADB_NO_EXPIRY
                     : nadb_row_expires(e->value);

    if (ms == NADB_NO_EXPIRY || ms < c->scan.expires_from ||
        ms > c->scan.expires_to || is_given(c, &e->key))
        return false;
    /* Keys in the batch do not move. */
    if (!nadb_buf_append(&c->given, &e->key, sizeof e->key)) c->nomem = true;
    return true;
}

static nadb_rc walk_batch(nadb_cursor *c, nadb_err *err) {
    nadb_rc rc;

    c->in_batch = true;
    c->undone = c->b->undone;
    c->it = NULL;
    rc = batch_iter(c->b, &nadb_all_rows, c->limit, &c->it, err);
    if (rc != NADB_OK) return rc;
    return nadb_filter_iter(c->it, batch_gives, c, &c->it, err);
}

static nadb_rc walk_index(nadb_cursor *c, nadb_err *err) {
    nadb_rc rc;

    c->in_batch = false;
    c->it = c->index;
    c->index = NULL;
    if (c->it != NULL) return NADB_OK;
    rc = nadb_expiry_scan(c->ss, c->view->view, c->scan.expires_from,
                          c->scan.expires_to, !c->expired, &c->it, err);
    if (rc != NADB_OK || c->b == NULL) return rc;
    return nadb_filter_iter(c->it, index_gives, c, &c->it, err);
}

static nadb_rc open_expiry(nadb_cursor *c, nadb_err *err) {
    if (!c->expired && c->scan.expires_from <= nadb_cursor_now(c))
        c->scan.expires_from = nadb_cursor_now(c) + 1;
    nadb_buf_reset(&c->given);
    c->n_given = 0;
    return c->b == NULL ? walk_index(c, err) : walk_batch(c, err);
}

static nadb_rc expiry_next(nadb_cursor *c, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    NADB_ASSERT(c->b != NULL || !c->in_batch);
    /* the index is set aside only while the batch is walked over */
    NADB_ASSERT(c->in_batch || c->index == NULL);
    if (c->b != NULL && !c->in_batch && c->undone != c->b->undone) {
        c->index = c->it;
        rc = walk_batch(c, err);
    }
    for (;;) {
        if (rc == NADB_OK) rc = nadb_iter_next(c->it, err);
        if (rc != NADB_OK || c->it->valid || !c->in_batch) return rc;
        c->n_given = c->given.n / sizeof(nadb_slice);
        if (c->n_given > 1)
            qsort(c->given.p, c->n_given, sizeof(nadb_slice), slice_cmp);
        if (c->undone == c->b->undone && batch_cleared(c->b, c->limit))
            return NADB_OK;
        nadb_iter_free(c->it);
        rc =
            c->undone != c->b->undone ? walk_batch(c, err) : walk_index(c, err);
    }
}

/* c->it stays NULL if every row must be tested; c->match is set if rows must be
 * checked. */
static nadb_rc open_match(nadb_cursor *c, const nadb_range *range,
                          nadb_err *err) {
    const nadb_match *match = c->scan.match;
    nadb_iter *sources[2] = {NULL, NULL};
    bool cleared = c->b != NULL && batch_cleared(c->b, c->limit);
    bool exact = true;
    nadb_rc rc = NADB_OK;

    c->match = match;
    if (cleared) return NADB_OK;
    rc = open_index(c, range, &sources[0], &exact, err);
    if (rc != NADB_OK || sources[0] == NULL) return rc;
    if (exact) c->match = NULL;
    if (c->b == NULL) {
        c->it = sources[0];
        return NADB_OK;
    }
    rc = nadb_filter_iter(sources[0], not_changed, c, &sources[0], err);
    if (rc == NADB_OK) rc = batch_iter(c->b, range, c->limit, &sources[1], err);
    if (rc == NADB_OK)
        rc = nadb_filter_iter(sources[1], change_matches,
                              (void *)(uintptr_t)match, &sources[1], err);
    if (rc == NADB_OK) return nadb_merge(sources, 2, range, false, &c->it, err);
    nadb_iter_free(sources[0]);
    return rc;
}

/* --- walking --- */

static nadb_rc open_iter(nadb_cursor *c, const nadb_range *range,
                         nadb_err *err) {
    nadb_rc rc = NADB_OK;

    c->it = NULL;
    if (c->scan.match != NULL)
        rc = open_match(c, range, err);
    else if (c->scan.by_expiry)
        rc = open_expiry(c, err);
    if (rc != NADB_OK || c->it != NULL) return rc;
    if (c->read == NULL && !c->expired)
        rc = session_note_read(c->ss, range->lo, range->hi, false, &c->read,
                               err);
    return rc == NADB_OK ? open_sources(c, range, err) : rc;
}

/* After an undo: starts the walk again behind the present row. */
static nadb_rc scan_again(nadb_cursor *c, nadb_err *err) {
    nadb_slice key = c->it->entry.key;
    nadb_range range = c->range;

    NADB_ASSERT(c->b != NULL && c->undone != c->b->undone);
    nadb_buf_reset(&c->place);
    if (!nadb_buf_append(&c->place, key.p, key.n) ||
        !nadb_buf_byte(&c->place, 0))
        return nadb_fail(err, NADB_NOMEM, "going on after a rollback");
    if (range.reverse)
        range.hi = nadb_slice_of(c->place.p, key.n);
    else
        range.lo = nadb_buf_slice(&c->place);
    c->undone = c->b->undone;
    nadb_iter_free(c->it);
    return open_iter(c, &range, err);
}

static nadb_rc step(nadb_cursor *c, nadb_err *err) {
    NADB_ASSERT(c->mode == CURSOR_SCAN && c->it != NULL);
    c->valid = false;
    do {
        nadb_rc rc = c->scan.by_expiry ? expiry_next(c, err)
                                       : nadb_iter_next(c->it, err);

        if (rc == NADB_OK && ++c->steps % NADB_JOB_STEPS == 0)
            rc = nadb_job_look(err);
        c->loaded = true;
        if (rc == NADB_OK && !c->it->valid) return NADB_OK;
        if (rc == NADB_OK && c->nomem)
            rc = nadb_fail(err, NADB_NOMEM, "reading the index of expiries");
        if (rc == NADB_OK && c->it->entry.value.n == 0)
            key_take(c, &c->it->entry);
        else if (rc == NADB_OK)
            rc = cursor_row_take(c, &c->it->entry, err);
        if (c->scan.by_update && (c->row.updated_ms < c->scan.updated_from ||
                                  c->row.updated_ms > c->scan.updated_to))
            c->valid = false;
        if (rc == NADB_OK && c->match != NULL && c->valid) {
            rc = nadb_cursor_load(c, err);
            c->valid = !c->gone && nadb_match_tags(c->match, c->row.tags);
        }
        if (rc != NADB_OK) {
            c->valid = false;
            return rc;
        }
    } while (!c->valid);
    return NADB_OK;
}

/* SQLite polls for interrupts between rows only, so a step that skips many rows
 * polls itself. */
static nadb_rc scan_next(nadb_cursor *c, nadb_err *err) {
    bool entered = c->asks && nadb_job_enter(&c->asking);
    nadb_rc rc = step(c, err);

    if (entered) nadb_job_leave(&c->asking);
    return rc;
}

static void ask_in(nadb_cursor *c) {
    const nadb_caller *caller = c->ss->caller;

    c->asks = caller != NULL && caller->ticked != NULL &&
              (c->scan.match != NULL || c->match != NULL || c->scan.by_update ||
               c->scan.by_expiry);
    if (c->asks) nadb_job_begin_quiet(&c->asking, caller->ticked, caller->ctx);
}

nadb_rc cursor_scan_next(nadb_cursor *c, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (c->b != NULL && c->b->lost) return cursor_lost(err);
    if (c->b != NULL && c->undone != c->b->undone && !c->scan.by_expiry)
        rc = scan_again(c, err);
    if (rc != NADB_OK) return cursor_done(c, rc, err);
    return scan_next(c, err);
}

static nadb_op kind_of(const nadb_scan *scan) {
    if (scan->match != NULL) return NADB_OP_SCAN_TAG;
    if (scan->by_expiry) return NADB_OP_SCAN_EXPIRY;
    if (scan->by_update) return NADB_OP_SCAN_UPDATED;
    return scan->lo.n > 0 || scan->hi.p != NULL ? NADB_OP_SCAN_RANGE
                                                : NADB_OP_SCAN;
}

nadb_rc nadb_cursor_scan(nadb_cursor *c, const nadb_scan *scan, nadb_err *err) {
    nadb_range range;
    size_t lo_n;
    nadb_rc rc = cursor_open(c, CURSOR_SCAN, scan->reverse, err);

    if (rc != NADB_OK) return rc;
    cursor_count(c, kind_of(scan));
    if (scan->match != NULL)
        nadb_tag_queries_note(&c->ss->kv->tag_queries, scan->match,
                              nadb_cursor_now(c));
    c->expired = scan->expired;
    c->scan = *scan;
    /* the bounds are in `range` */
    c->scan.lo = c->scan.hi = nadb_slice_of(NULL, 0);
    nadb_buf_reset(&c->bounds);
    if (!cursor_bounds_add(c, scan->lo)) return cursor_no_memory(c, err);
    lo_n = c->bounds.n - 1;
    if (scan->hi.p != NULL && !cursor_bounds_add(c, scan->hi))
        return cursor_no_memory(c, err);
    range.lo = nadb_slice_of(c->bounds.p, lo_n);
    range.hi = nadb_all_rows.hi;
    if (scan->hi.p != NULL)
        range.hi = nadb_slice_of(c->bounds.p + lo_n + 1, scan->hi.n + 1);
    range.reverse = scan->reverse;
    c->range = range;
    c->read_epoch = c->ss->epoch;
    c->view->view->keys_only = scan->key_only;
    c->view->view->rows_wanted = scan->rows_wanted;
    rc = open_iter(c, &range, err);
    c->view->view->rows_wanted = 0;
    ask_in(c);
    if (rc == NADB_OK) rc = scan_next(c, err);
    return cursor_done(c, rc, err);
}
