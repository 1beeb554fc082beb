/* session_commit.c - the end of a session's transaction, and savepoints. */
#include "../util/assert.h"
#include "../util/merge.h"
#include "row.h"
#include "session.h"

nadb_rc nadb_session_unprepare(nadb_session *ss, nadb_err *err) {
    nadb_ticket *t = ss->ticket;

    if (t == NULL) return NADB_OK;
    ss->ticket = NULL;
    return ss->engine->ops->rollback(ss->engine, t, err);
}

static void unclaim(nadb_session *ss) {
    if (ss->claim != 0) ss->engine->ops->unclaim(ss->engine, ss->claim);
    ss->claim = 0;
}

bool session_new_batch(nadb_session *ss) {
    batch *fresh = batch_new(ss->engine, session_memory(ss));

    if (fresh == NULL) return false;
    fresh->next_id = ss->b->next_id;
    batch_unref(ss->b);
    ss->b = fresh;
    return true;
}

/* Clears the transaction's state. Cursors may still hold its view and batch. */
static void txn_end(nadb_session *ss) {
    NADB_ASSERT(ss->txn != NULL && ss->ticket == NULL);
    unclaim(ss);
    session_view_drop(ss, ss->txn);
    ss->txn = NULL;
    nadb_session_unhold(ss);
    ss->settled = false;
    ss->stamp.number = 0;
    ss->reading = NULL; /* the next cursor gets a new snapshot */
    if (ss->b->refs == 1) {
        batch_reset(ss->b);
    } else if (!session_new_batch(ss)) {
        /* The old one is emptied, and its cursors fail. */
        batch_undo(ss->b, 0);
        ss->b->lost = true;
    }
    nadb_index_changes_reset(&ss->index);
    session_forget_reads(ss);
    nadb_buf_reset(&ss->marks);
    ss->marks_before = 0;
    ss->purged = 0;
}

/* --- prepare --- */

/* The change of a transaction that has exactly one; otherwise NULL. */
static const batch_op *only_change(const nadb_session *ss, size_t count) {
    const batch_op *op = ss->b->last;

    return count == 1 && op != NULL && op->prev == NULL ? op : NULL;
}

#define READS_FEW 4u

/* A request, with the parts that its iterator is made of. */
typedef struct preparing {
    nadb_commit_req req;
    nadb_session *ss;
    size_t count, bytes; /* of rows, without indexes */
    bool indexed;        /* req.changes includes changes of indexes */
    nadb_range few[READS_FEW];
    nadb_range *many; /* owned; NULL: `few` suffices */
} preparing;

/* Lists the reads for the engine. `skip`: leave out the read of this key, of
 * which only the existence was used, and whose deletion is right whatever
 * happened to it. */
static nadb_rc reads_list(preparing *p, const batch_op *skip, nadb_err *err) {
    const nadb_buf *reads = &p->ss->reads;
    size_t all = reads->n / sizeof(session_read *);
    nadb_range *list = p->few;
    size_t n = 0;

    if (all > READS_FEW) list = p->many = nadb_calloc(all, sizeof *list);
    if (list == NULL) return nadb_fail(err, NADB_NOMEM, "committing");
    for (size_t i = 0; i < all; i++) {
        session_read *r;

        memcpy(&r, reads->p + i * sizeof r, sizeof r);
        if (skip != NULL && r->key_only && nadb_slice_eq(r->lo, skip->key))
            continue;
        list[n].lo = r->lo;
        list[n].hi = r->hi;
        n++;
    }
    p->req.reads = list;
    p->req.n_reads = n;
    return NADB_OK;
}

static nadb_rc rows_iter(nadb_session *ss, nadb_iter **out, nadb_err *err) {
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};

    return batch_iter(ss->b, &all, UINT64_MAX, out, err);
}

/* nadb_commit_req.derive */
static nadb_rc derive(void *ctx, nadb_view *now, nadb_err *err) {
    preparing *p = ctx;
    nadb_session *ss = p->ss;
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    nadb_iter *sources[2] = {NULL, NULL};
    nadb_rc rc;

    if (p->indexed) { /* the old iterator walks over the old entries */
        nadb_iter_free(p->req.changes);
        p->req.changes = NULL;
    }
    rc = nadb_index_derive(&ss->index, ss->engine, now, ss->b,
                           ss->access != NULL, err);
    if (rc != NADB_OK) return rc;
    p->req.count = p->count + nadb_index_changed(&ss->index);
    p->req.bytes = p->bytes + ss->index.bytes;
    if (p->req.count == p->count && !p->indexed) return NADB_OK;
    nadb_iter_free(p->req.changes);
    p->req.changes = NULL;
    p->indexed = true;
    rc = rows_iter(ss, &sources[0], err);
    if (rc == NADB_OK) rc = nadb_index_iter(&ss->index, &all, &sources[1], err);
    if (rc == NADB_OK)
        return nadb_merge(sources, 2, NULL, true, &p->req.changes, err);
    nadb_iter_free(sources[0]);
    return rc;
}

static nadb_rc prepare_once(nadb_session *ss, const batch_op *only,
                            size_t count, size_t bytes, nadb_err *err) {
    bool deletes = only != NULL && (only->flags & NADB_ENTRY_TOMBSTONE);
    preparing p;
    nadb_rc rc;

    NADB_ASSERT(ss->txn != NULL && ss->ticket == NULL);
    memset(&p, 0, sizeof p);
    p.ss = ss;
    p.count = p.req.count = count;
    p.bytes = p.req.bytes = bytes;
    p.req.view = ss->txn->view;
    p.req.clear = batch_cleared(ss->b, UINT64_MAX);
    p.req.reads_all = ss->reads_all;
    p.req.claim = ss->claim;
    p.req.sync = (nadb_durability)atomic_load(&ss->kv->synchronous);
    if (ss->in_background && p.req.sync == NADB_SYNC_FULL)
        p.req.sync = NADB_SYNC_NORMAL;
    p.req.timeout_ms = ss->timeout_ms;
    p.req.purged = ss->purged;
    p.req.stamp = ss->stamp;
    p.req.background = ss->in_background;
    p.req.expired = nadb_index_expired;
    rc = reads_list(&p, deletes ? only : NULL, err);
    if (rc == NADB_OK) rc = rows_iter(ss, &p.req.changes, err);
    if (rc == NADB_OK && ss->derives) {
        p.req.derive = derive;
        p.req.derive_ctx = &p;
        /* Without the commit lock. The result is valid if no other transaction
         * commits before the lock is taken. */
        rc = derive(&p, ss->txn->view, err);
    }
    if (rc == NADB_OK)
        rc = ss->engine->ops->prepare(ss->engine, &p.req, &ss->ticket, err);
    nadb_iter_free(p.req.changes);
    nadb_free(p.many);
    return rc;
}

/* True if the transaction has read only this key. */
static bool read_only_key(const nadb_session *ss, nadb_slice key) {
    size_t all = ss->reads.n / sizeof(session_read *);

    for (size_t i = 0; i < all; i++) {
        session_read *r;

        memcpy(&r, ss->reads.p + i * sizeof r, sizeof r);
        if (!nadb_slice_eq(r->lo, key) || r->hi.n != key.n + 1) return false;
    }
    return !ss->reads_all;
}

/* An autocommit INSERT has met another writer of its key: reads the present
 * state. *again: the key is still free, so prepare once more. */
static nadb_rc insert_again(nadb_session *ss, const batch_op *op, bool *again,
                            nadb_err *err) {
    nadb_entry e;
    bool found = false;
    nadb_rc rc = ss->engine->ops->view_refresh(ss->engine, ss->txn->view, err);

    NADB_ASSERT(ss->ticket == NULL && ss->autocommit);
    *again = false;
    if (rc == NADB_OK)
        rc = ss->engine->ops->get(ss->engine, ss->txn->view, op->key, &e,
                                  &found, err);
    if (rc != NADB_OK) return rc;
    found = found && nadb_row_expires(e.value) > nadb_now_ms();
    if (!found) {
        *again = true;
        return NADB_OK;
    }
    if (op->mode == NADB_PUT_IGNORE) {
        session_undo(ss, op->id);
        return NADB_OK;
    }
    return nadb_fail(err, NADB_CONSTRAINT, "the key exists already");
}

bool nadb_session_prepared(const nadb_session *ss) {
    return ss->ticket != NULL && ss->ticket_id == ss->b->next_id;
}

static nadb_rc prepare(nadb_session *ss, size_t count, size_t bytes,
                       nadb_err *err) {
    nadb_rc rc;

    /* The claim covers one of several changed keys. It is dropped, because two
     * transactions that each hold a key that the other needs would wait for
     * each other. */
    if (count > 1) unclaim(ss);
    for (;;) {
        const batch_op *only = ss->autocommit ? only_change(ss, count) : NULL;
        bool again = false;

        rc = prepare_once(ss, only, count, bytes, err);
        if (rc != NADB_CONFLICT || only == NULL ||
            (only->mode != NADB_PUT_INSERT && only->mode != NADB_PUT_IGNORE) ||
            ss->txn->refs > 1 || !read_only_key(ss, only->key))
            break;
        nadb_err_clear(err);
        rc = insert_again(ss, only, &again, err);
        if (!again) break;
    }
    if (rc == NADB_OK) ss->ticket_id = ss->b->next_id;
    return rc;
}

nadb_rc nadb_session_prepare(nadb_session *ss, nadb_err *err) {
    nadb_span span;
    nadb_done d = {.op = NADB_OP_COMMIT, .err = err};
    nadb_limits *limits;

    if (ss->txn == NULL) return NADB_OK;
    if (nadb_session_prepared(ss)) return NADB_OK;
    d.rc = nadb_session_unprepare(ss, err);
    if (d.rc != NADB_OK || batch_empty(ss->b)) return d.rc;
    limits = ss->in_background ? NULL : kv_limits(ss->kv);
    if (limits != NULL)
        d.rc = nadb_limits_admit(limits, ss, &ss->limit_delta, err);
    if (d.rc != NADB_OK) return d.rc;
    span = nadb_span_sample(&ss->meter, NADB_OP_COMMIT);
    batch_measure(ss->b, &ss->prepare_n, &ss->prepare_bytes);
    d.rc = prepare(ss, ss->prepare_n, ss->prepare_bytes, err);
    if (d.rc != NADB_OK) nadb_meter_done(&ss->meter, &span, &d);
    if (d.rc == NADB_OK) /* the start is known, as it has changed something */
        nadb_meter_txn(&ss->meter, NADB_TXN_PREPARED, 1);
    ss->preparing = span;
    ss->prepare_ns = nadb_span_ns(&span);
    return d.rc;
}

/* The measured time of a commit is that of its two halves, without SQLite's
 * work between them. */
static void commit_ticket(nadb_session *ss) {
    nadb_span span = ss->preparing;
    nadb_done d = {.op = NADB_OP_COMMIT,
                   .keys = ss->prepare_n,
                   .bytes = ss->prepare_bytes};

    NADB_ASSERT(ss->txn != NULL && ss->ticket != NULL);
    if (span.weight != 0)
        span.from_ns = nadb_span_begin().from_ns - (int64_t)ss->prepare_ns;
    ss->engine->ops->commit(ss->engine, ss->ticket);
    ss->ticket = NULL;
    nadb_meter_done(&ss->meter, &span, &d);
}

void nadb_session_commit(nadb_session *ss) {
    nadb_limits *limits = NULL;

    NADB_ASSERT(ss->ticket != NULL || batch_empty(ss->b));
    if (ss->txn == NULL) return;
    if (ss->ticket != NULL) {
        commit_ticket(ss);
        if (!ss->in_background) {
            ss->kv->committed(ss->kv->ctx);
            limits = kv_limits(ss->kv);
        }
    }
    txn_end(ss);
    if (limits != NULL)
        nadb_limits_committed(limits, ss->kv, ss->prepare_n, ss->limit_delta);
}

void nadb_session_abandon(nadb_session *ss) {
    /* A ticket implies a transaction. */
    NADB_ASSERT(ss->txn != NULL || ss->ticket == NULL);
    if (ss->txn == NULL || session_inherited(ss)) return;
    if (ss->ticket != NULL) ss->engine->ops->abandon(ss->engine, ss->ticket);
    ss->ticket = NULL;
    session_undo(ss, 0);
    txn_end(ss);
}

nadb_rc nadb_session_rollback(nadb_session *ss, nadb_err *err) {
    nadb_span span;
    nadb_done d = {.op = NADB_OP_ROLLBACK, .err = err};
    size_t keys = 0, bytes = 0;

    if (ss->txn == NULL || session_inherited(ss)) return NADB_OK;
    if (batch_empty(ss->b) && ss->ticket == NULL) {
        txn_end(ss);
        return NADB_OK;
    }
    span = nadb_span_begin();
    batch_measure(ss->b, &keys, &bytes);
    d.rc = nadb_session_unprepare(ss, err);
    session_undo(ss, 0);
    txn_end(ss);
    d.keys = keys;
    d.bytes = bytes;
    nadb_meter_done(&ss->meter, &span, &d);
    return d.rc;
}

/* --- savepoints --- */

static size_t mark_count(const nadb_session *ss) {
    return ss->marks.n / sizeof(session_mark);
}

static session_mark mark_at(const nadb_session *ss, size_t i) {
    session_mark m;

    memcpy(&m, ss->marks.p + i * sizeof m, sizeof m);
    return m;
}

/* Drops savepoints with a number >= n. */
static void marks_cut(nadb_session *ss, int n) {
    size_t count = mark_count(ss);

    while (count > 0 && mark_at(ss, count - 1).n >= n) count--;
    ss->marks.n = count * sizeof(session_mark);
    if (ss->marks_before > n) ss->marks_before = n;
}

nadb_rc nadb_session_savepoint(nadb_session *ss, int n, nadb_err *err) {
    session_mark m = {n, ss->b->next_id};
    size_t count = mark_count(ss);

    if (ss->txn == NULL) return NADB_OK;
    /* SQLite repeats the open savepoint for a table that joins later; its mark
     * stays where it is. */
    for (size_t i = 0; i < count; i++)
        if (mark_at(ss, i).n == n) return NADB_OK;
    NADB_ASSERT(count == 0 || mark_at(ss, count - 1).id <= m.id);
    marks_cut(ss, n);
    NADB_ASSERT(mark_count(ss) == 0 ||
                mark_at(ss, mark_count(ss) - 1).n < n); /* ascending */
    if (batch_empty(ss->b)) ss->marks_before = n + 1;
    if (!nadb_buf_append(&ss->marks, &m, sizeof m))
        return nadb_fail(err, NADB_NOMEM, "opening a savepoint");
    return NADB_OK;
}

void nadb_session_release(nadb_session *ss, int n) { marks_cut(ss, n); }

nadb_rc nadb_session_rollback_to(nadb_session *ss, int n, nadb_err *err) {
    uint64_t since = UINT64_MAX;
    size_t count;
    nadb_rc rc;

    if (ss->txn == NULL || session_inherited(ss)) return NADB_OK;
    rc = nadb_session_unprepare(ss, err);
    marks_cut(ss, n + 1);
    NADB_ASSERT(ss->ticket == NULL); /* otherwise the batch may not change */
    count = mark_count(ss);
    if (count > 0 && mark_at(ss, count - 1).n == n)
        since = mark_at(ss, count - 1).id;
    else if (n < ss->marks_before)
        since = 0;
    /* Otherwise the savepoint is of a statement and could not be opened, or a
     * ROLLBACK TO under the statement has ended it. */
    if (since != UINT64_MAX) session_undo(ss, since);
    return rc;
}
