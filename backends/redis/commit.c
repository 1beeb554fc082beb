/* commit.c - a commit is one script in one round trip.
 *
 * prepare() sends reads and changes; the script checks and applies them, all or
 * none, and answers with the old rows. From then on all clients see the
 * changes, because the server has no prepared state; commit() has nothing to
 * do. rollback() restores the old rows, unless another client has changed them
 * since: then it fails with an error that says so. request.c makes the
 * arguments and interprets the answers.
 *
 * A clear gives the store a new generation, which is part of the rows' names.
 * It costs the same for any number of rows and can be undone. The old rows are
 * removed afterwards, in small steps. */
#include <inttypes.h>

#include "request.h"

/* Steps of removal after a clear; the rest is left to later commits. */
#define CLEAN_STEPS 200

static nadb_rc try_once(redis_engine *e, redis_ticket *t, bool *wait,
                        bool *done, nadb_err *err) {
    args *a = &t->all;
    redisReply *r = NULL;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *wait = *done = false;
    if (rc != NADB_OK) return rc;
    redis_once_begin(e, c, a);
    redis_add_request(e, a, t, "", false);
    rc = redis_once(e, c, SCRIPT_COMMIT, a, &r, &t->version, done, err);
    if ((rc == NADB_OK || *done) && r != NULL) {
        nadb_rc answer = redis_take_answer(c, t, r, wait, err);

        if (answer != NADB_OK) {
            rc = answer;
            freeReplyObject(r); /* an undo would need a complete answer */
            r = NULL;
        }
    }
    if ((rc == NADB_OK && !*wait) || *done) {
        t->reply = r;
        r = NULL;
    }
    freeReplyObject(r);
    pool_give(e->pool, c);
    return rc;
}

nadb_rc redis_wait_for_others(redis_engine *e, const redis_ticket *t,
                              int64_t begin_ns, int64_t timeout_ms,
                              nadb_err *err) {
    int64_t waited_ms = (nadb_os_get()->mono_ns() - begin_ns) / 1000000;

    /* Any client that finds a transaction whose time is up ends it. */
    if (t->waits_for[0] != '\0' && e->end_txn != NULL) {
        nadb_rc rc = e->end_txn(e, t->waits_for, err);

        if (rc != NADB_OK) return rc;
    }
    if (waited_ms > timeout_ms)
        return nadb_fail(err, NADB_BUSY,
                         "another transaction that changes the same keys did "
                         "not end within %" PRId64 " ms",
                         timeout_ms);
    redis_pause();
    return NADB_OK;
}

nadb_rc redis_taken_back(const nadb_err *first, nadb_rc undone,
                         const nadb_err *why, nadb_err *err) {
    if (undone == NADB_OK)
        return nadb_fail(err, NADB_IOERR, "%s; it was taken back", first->msg);
    return nadb_fail(err, NADB_IOERR,
                     "%s; it is committed, because rolling it back failed "
                     "(%s): a failover may lose it",
                     first->msg, why->msg);
}

nadb_rc redis_prepare_ticket(redis_engine *e, redis_ticket *t,
                             int64_t timeout_ms, nadb_err *err) {
    int64_t begin = nadb_os_get()->mono_ns();
    bool wait = true, done = false;
    nadb_err first, why;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && wait) {
        rc = try_once(e, t, &wait, &done, err);
        if (rc == NADB_OK && wait)
            rc = redis_wait_for_others(e, t, begin, timeout_ms, err);
    }
    redis_forget_changes(e, t);
    if (rc == NADB_OK) redis_committed(e, t);
    if (rc == NADB_OK || !done) return rc;
    nadb_err_clear(&first);
    nadb_err_clear(&why);
    if (err != NULL) first = *err;
    rc = redis_undo(e, t, &why);
    redis_forget_changes(e, t);
    return redis_taken_back(&first, rc, &why, err);
}

nadb_rc redis_prepare(nadb_engine *engine, const nadb_commit_req *req,
                      nadb_ticket **out, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    patience_operation o;
    redis_ticket *t;
    nadb_rc rc = redis_ticket_new(e, req, req->view, &t, err);

    patience_operation_begin(&o);
    if (rc == NADB_OK) rc = redis_ticket_fill(t, req, err);
    if (rc == NADB_OK) rc = redis_prepare_ticket(e, t, req->timeout_ms, err);
    patience_operation_end(&o);
    if (rc != NADB_OK) {
        redis_ticket_drop(e, t);
        t = NULL;
    }
    *out = (nadb_ticket *)t;
    return rc;
}

void redis_committed(redis_engine *e, const redis_ticket *t) {
    redis_claim_released(e, t->claim);
    nadb_lock(&e->lock);
    e->commits++;
    nadb_unlock(&e->lock);
}

/* --- the second half --- */

void redis_commit(nadb_engine *engine, nadb_ticket *ticket) {
    redis_ticket *t = (redis_ticket *)ticket;
    redis_engine *e = (redis_engine *)engine;
    patience_operation o;
    conn *c = NULL;

    patience_operation_begin(&o);
    /* Errors are ignored, because later commits continue the removal. */
    if (t->clear && t->reply != NULL &&
        pool_take(e->pool, &c, NULL) == NADB_OK) {
        (void)redis_clean(e, c, reply_slice(t->reply->element[3]), 0,
                          CLEAN_STEPS, NULL, NULL);
        pool_give(e->pool, c);
    }
    patience_operation_end(&o);
    redis_ticket_drop(e, t);
}

/* Clears first, so that all rows disappear at once; then removes them in
 * steps. */
static nadb_rc wipe(redis_engine *e, conn *c, nadb_err *err) {
    nadb_commit_req req;
    redisReply *r = NULL;
    redis_ticket *t = NULL;
    uint64_t version;
    bool missed;
    args a;
    nadb_rc rc;

    memset(&req, 0, sizeof req);
    memset(&a, 0, sizeof a);
    req.clear = true;
    rc = redis_ticket_new(e, &req, NULL, &t, err);
    if (rc != NADB_OK) return rc;
    redis_once_begin(e, c, &a);
    redis_add_request(e, &a, t, "", false);
    rc = redis_once(e, c, SCRIPT_COMMIT, &a, &r, &version, &missed, err);
    if (rc == NADB_OK && script_says(r, "leased")) rc = redis_leased(c, r, err);
    freeReplyObject(r);
    r = NULL;
    if (rc == NADB_OK)
        rc = redis_clean(e, c, nadb_slice_of(NULL, 0), 0, SIZE_MAX, NULL, err);
    if (rc == NADB_OK) {
        script_begin(&a, redis_prefix(e));
        rc = script_call(e->scripts, c, SCRIPT_WIPE, &a, &r, err);
        if (rc == NADB_OK && script_says(r, "more"))
            rc = nadb_fail(err, NADB_LOCKED,
                           "redis server %s: another client is writing to the "
                           "store: try again",
                           conn_name(c));
        freeReplyObject(r);
    }
    args_clear(&a);
    redis_ticket_drop(e, t);
    return rc;
}

nadb_rc redis_wipe(redis_engine *e, nadb_err *err) {
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc == NADB_OK) {
        rc = wipe(e, c, err);
        pool_give(e->pool, c);
    }
    return rc;
}

nadb_rc redis_destroy(nadb_engine *engine, nadb_err *err) {
    patience_operation o;
    nadb_rc rc;

    patience_operation_begin(&o);
    rc = redis_wipe((redis_engine *)engine, err);
    patience_operation_end(&o);
    redis_close(engine);
    return rc;
}

/* --- taking back --- */

nadb_rc redis_undo(redis_engine *e, const redis_ticket *t, nadb_err *err) {
    redisReply *r = NULL;
    uint64_t version;
    bool missed;
    conn *c = NULL;
    args a;
    nadb_rc rc;

    if (t->reply == NULL)
        return redis_not_undone(
            e->at.name, "the connection broke while they were made", err);
    rc = pool_take(e->pool, &c, err);
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    redis_once_begin(e, c, &a);
    redis_add_undo(&a, t, "");
    rc = redis_once(e, c, SCRIPT_COMMIT, &a, &r, &version, &missed, err);
    /* Replicas that lack the undo may lack the commit, too. */
    if (missed) rc = NADB_OK;
    if (rc == NADB_OK) rc = redis_take_undone(c, t, r, err);
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

void redis_undone(redis_engine *e, redis_ticket *t, bool done) {
    redis_forget_changes(e, t);
    if (done) {
        nadb_lock(&e->lock);
        e->undone++;
        nadb_unlock(&e->lock);
    }
    redis_ticket_drop(e, t);
}

nadb_rc redis_rollback(nadb_engine *engine, nadb_ticket *ticket,
                       nadb_err *err) {
    redis_ticket *t = (redis_ticket *)ticket;
    redis_engine *e = (redis_engine *)engine;
    patience_operation o;
    nadb_rc rc;

    patience_operation_begin(&o);
    rc = redis_undo(e, t, err);
    patience_operation_end(&o);
    redis_undone(e, t, rc == NADB_OK);
    return rc;
}
