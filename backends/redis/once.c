/* once.c - scripts that change rows, each executed once or not at all.
 *
 * If a connection is lost after a script was sent, its outcome is unknown, and
 * it must not simply be sent again. The fence (script.h) asks, and ensures that
 * it will not be executed later. The result is one of:
 *
 *   executed        the answer is lost, but the changes were made; replicas are
 *                   waited for as after an answer (option wait)
 *   not executed    nothing was changed. It is sent once more if the connection
 *                   broke; it is an error if the server was too slow
 *   cannot be asked an error that says so. After its deadline the script does
 *                   nothing, so by then it was executed or never will be. */
#include <stdio.h>

#include "engine.h"

/* Indexes behind those of script_begin(). */
enum { ARG_NUMBER = 6, ARG_DEADLINE, ARG_SERVER };

void redis_once_begin(redis_engine *e, conn *c, args *a) {
    script_begin(a, redis_prefix(e));
    args_text(a, c->writer);
    /* number, deadline, server: set by redis_once() */
    for (int i = 0; i < 3; i++) args_text(a, "");
}

/* *done: the script with the connection's present number was executed. */
static nadb_rc fence(redis_engine *e, conn *c, bool *done, uint64_t *version,
                     nadb_err *err) {
    redisReply *r = NULL;
    int64_t applied;
    args a;
    nadb_rc rc;

    /* The time limit of the answer may have passed, so the question has its
     * own. */
    conn_begin_asking(c);
    rc = pool_reopen(e->pool, c, err);
    *done = false;
    memset(&a, 0, sizeof a);
    if (rc != NADB_OK) return rc;
    script_begin(&a, redis_prefix(e));
    args_text(&a, c->writer);
    args_number(&a, (int64_t)c->commits);
    rc = script_call(e->scripts, c, SCRIPT_FENCE, &a, &r, err);
    if (rc == NADB_OK && script_says(r, "applied") && r->elements == 2 &&
        reply_number(r->element[1], &applied)) {
        *done = true;
        *version = (uint64_t)applied;
    } else if (rc == NADB_OK && !script_says(r, "void")) {
        rc = conn_confused(c, err);
    }
    freeReplyObject(r);
    args_clear(&a);
    return rc;
}

static nadb_rc unknown(const conn *c, const nadb_err *first, nadb_err *err) {
    char why[300];

    snprintf(why, sizeof why, "%.299s", first->msg);
    return nadb_fail(err, NADB_IOERR,
                     "%s; the outcome of the transaction is unknown: check the "
                     "rows before you repeat it (server %s)",
                     why, conn_name(c));
}

/* True if the server refused to execute it. *late: its clock had passed the
 * deadline, so the server was paused, or the clock was set. */
static nadb_rc refused(conn *c, const redisReply *r, bool *late,
                       nadb_err *err) {
    *late = script_says(r, "late");
    if (*late)
        return nadb_fail(
            err, NADB_IOERR,
            "redis server %s: the transaction reached it too late, "
            "or its clock was set, and it did nothing: try again",
            conn_name(c));
    /* An invalid answer does not tell the outcome: the connection is closed,
     * and the fence finds out. */
    if (script_says(r, "again") || !reply_is_array(r, 1))
        return conn_confused(c, err);
    return NADB_OK;
}

/* Waits for acknowledgements of replicas. *missed: too few. */
static nadb_rc replicate(conn *c, bool *missed, nadb_err *err) {
    nadb_rc rc = conn_wait(c, err);

    *missed = rc != NADB_OK && conn_is_open(c);
    return rc;
}

nadb_rc redis_once(redis_engine *e, conn *c, script_id id, args *a,
                   redisReply **out, uint64_t *version, bool *missed,
                   nadb_err *err) {
    nadb_err first, why;
    bool done = false;

    *out = NULL;
    *missed = false;
    for (int attempt = 0;; attempt++) {
        bool late = false;
        nadb_rc rc = conn_check_name(c, err);

        if (rc != NADB_OK) return rc;
        c->commits++;
        args_set_number(a, ARG_NUMBER, (int64_t)c->commits);
        args_set_number(a, ARG_DEADLINE, conn_server_ms(c) + c->at->timeout_ms);
        args_set(a, ARG_SERVER, c->server);
        nadb_err_clear(&first);
        rc = script_call(e->scripts, c, id, a, out, &first);
        if (rc == NADB_OK) rc = refused(c, *out, &late, &first);
        if (rc == NADB_OK && script_says(*out, "ok"))
            rc = replicate(c, missed, &first);
        if (*missed && err != NULL) *err = first;
        if (rc == NADB_OK || *missed) return rc;
        freeReplyObject(*out);
        *out = NULL;
        if (late && attempt == 0 && conn_ask_server(c, &first) == NADB_OK)
            continue;
        if (conn_is_open(c) || late || rc == NADB_NOMEM) {
            if (err != NULL) *err = first;
            return rc;
        }

        bool slow = c->timed_out;

        nadb_err_clear(&why);
        if (fence(e, c, &done, version, &why) == NADB_OK) {
            if (done) rc = replicate(c, missed, &why);
            if (*missed && err != NULL) *err = why;
            if (done && (rc == NADB_OK || *missed)) return rc;
        }
        if (why.rc != NADB_OK) return unknown(c, &first, err);
        if (slow || attempt > 0) {
            if (err != NULL) *err = first;
            return rc;
        }
    }
}
