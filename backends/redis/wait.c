/* wait.c - sleeps until something is committed.
 *
 * Every commit changes the field `ver` of `meta`. A connection of the waiter
 * asks the server to report changes of that key (CLIENT TRACKING, as in
 * cache.c), so nothing is sent while nothing happens, and writers do nothing
 * for it. The version is read on another connection, because one that has
 * subscribed cannot send other commands (RESP2).
 *
 * The version is also read every LOOK_MS; if the server does not allow
 * tracking, or the connection is lost, every BLIND_MS. */
#include "engine.h"

#define LOOK_MS 1000
#define BLIND_MS 100

static nadb_rc read_version(redis_engine *e, uint64_t *seq, nadb_err *err) {
    redisReply *r = NULL;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);
    args a;

    memset(&a, 0, sizeof a);
    args_text(&a, "HGET");
    args_join(&a, redis_prefix(e), nadb_slice_str("meta"));
    args_text(&a, "ver");
    if (rc == NADB_OK) rc = conn_call(c, &a, &r, err);
    if (rc == NADB_OK) *seq = reply_number_or_0(r);
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

static nadb_rc ask(conn *c, args *a, int64_t *number) {
    redisReply *r = NULL;
    nadb_rc rc = conn_call(c, a, &r, NULL);

    *number = rc == NADB_OK && r->type == REDIS_REPLY_INTEGER ? r->integer : 0;
    freeReplyObject(r);
    args_reset(a);
    return rc;
}

/* Asks the server to report changes of `meta`. */
static nadb_rc listen_begin(redis_engine *e, conn *c) {
    int64_t id = 0;
    nadb_rc rc;
    args a;

    memset(&a, 0, sizeof a);
    patience_begin_part(&c->until, e->at.timeout_ms, NULL);
    rc = conn_open(c, NULL);
    args_text(&a, "CLIENT");
    args_text(&a, "ID");
    if (rc == NADB_OK) rc = ask(c, &a, &id);
    args_text(&a, "CLIENT");
    args_text(&a, "TRACKING");
    args_text(&a, "ON");
    args_text(&a, "REDIRECT");
    args_number(&a, id);
    args_text(&a, "BCAST");
    args_text(&a, "PREFIX");
    args_join(&a, redis_prefix(e), nadb_slice_str("meta"));
    if (rc == NADB_OK) rc = ask(c, &a, &id);
    args_text(&a, "SUBSCRIBE");
    args_text(&a, "__redis__:invalidate");
    if (rc == NADB_OK) rc = ask(c, &a, &id);
    args_clear(&a);
    return rc;
}

/* *heard: a report has arrived. */
static nadb_rc listen_now(conn *c, bool *heard) {
    redisReply *r = NULL;
    nadb_rc rc;

    do {
        freeReplyObject(r);
        r = NULL;
        rc = wire_look(&c->wire, &r, NULL);
        if (r != NULL) *heard = true;
    } while (rc == NADB_OK && r != NULL);
    return rc;
}

/* Waits for a report, at most `ms`. Without a connection: sleeps. */
static nadb_rc doze(conn **c, int64_t ms, const nadb_stop *stop,
                    nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    int64_t end = os->mono_ns() + ms * 1000000;
    bool heard = false;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && !heard && os->mono_ns() < end) {
        if (*c != NULL && listen_now(*c, &heard) != NADB_OK) {
            conn_free(*c);
            *c = NULL;
            break;
        }
        if (!heard) redis_pause();
        rc = nadb_stopped(stop, err);
    }
    return rc;
}

nadb_rc redis_wait(nadb_engine *engine, uint64_t since, int64_t timeout_ms,
                   const nadb_stop *stop, uint64_t *seq, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    const nadb_os *os = nadb_os_get();
    int64_t begun = os->mono_ns();
    bool tried = false;
    conn *c = NULL;
    nadb_rc rc = NADB_OK;

    for (;;) {
        int64_t left, most;

        rc = read_version(e, seq, err);
        left = timeout_ms - (os->mono_ns() - begun) / 1000000;
        if (rc != NADB_OK || *seq != since || left <= 0) break;
        if (!tried) {
            tried = true;
            c = conn_new(&e->at, &e->pool->way);
            if (c != NULL && listen_begin(e, c) == NADB_OK)
                continue; /* earlier changes are not reported */
            conn_free(c);
            c = NULL;
        }
        most = c != NULL ? LOOK_MS : BLIND_MS;
        rc = doze(&c, left < most ? left : most, stop, err);
        if (rc != NADB_OK) break;
    }
    conn_free(c);
    return rc;
}
