/* pool.c - see pool.h. */
#include "pool.h"

#define PAUSE_FIRST_MS 10
#define PAUSE_MOST_MS 1000

/* After so long an idle connection asks the server for its name again. */
#define IDLE_NS 1000000000ll

nadb_rc pool_init(pool *p, const address *at, unsigned most, nadb_err *err) {
    nadb_rc rc;

    memset(p, 0, sizeof *p);
    p->at = at;
    p->most = most;
    rc = nadb_mutex_cond_init(&p->lock, NADB_RANK_BACKEND, &p->returned, err);
    if (rc != NADB_OK) return rc;
    rc = route_init(&p->way, at, err);
    if (rc == NADB_OK) return NADB_OK;
    nadb_cond_clear(&p->returned);
    nadb_mutex_clear(&p->lock);
    return rc;
}

void pool_clear(pool *p) {
    while (p->idle != NULL) {
        conn *c = p->idle;

        p->idle = c->next;
        conn_free(c);
    }
    route_clear(&p->way);
    nadb_cond_clear(&p->returned);
    nadb_mutex_clear(&p->lock);
}

/* Half of the pause is random, so that many clients do not come at once. */
static int64_t next_pause_ns(pool *p) {
    uint32_t chance = 0;

    p->pause_ms = p->pause_ms == 0 ? PAUSE_FIRST_MS : p->pause_ms * 2;
    if (p->pause_ms > PAUSE_MOST_MS) p->pause_ms = PAUSE_MOST_MS;
    nadb_os_get()->random(&chance, sizeof chance);
    return p->pause_ms * 500000 + p->pause_ms * (int64_t)(chance % 500000);
}

/* REQUIRES: the lock is not held. */
nadb_rc pool_reopen(pool *p, conn *c, nadb_err *err) {
    int64_t now = nadb_os_get()->mono_ns();
    nadb_err why;
    nadb_rc rc = NADB_OK;

    nadb_lock(&p->lock);
    if (now < p->retry_ns) {
        if (err != NULL) *err = p->failure;
        rc = p->failure.rc;
    }
    nadb_unlock(&p->lock);
    if (rc != NADB_OK) return rc;

    nadb_err_clear(&why);
    rc = conn_open(c, &why);
    nadb_lock(&p->lock);
    if (rc == NADB_OK) {
        p->retry_ns = 0;
        p->pause_ms = 0;
        p->connects++;
    } else if (rc != NADB_INTERRUPT && !nadb_err_is_shortage(&why)) {
        p->failure = why;
        p->retry_ns = nadb_os_get()->mono_ns() + next_pause_ns(p);
    }
    nadb_unlock(&p->lock);
    if (rc != NADB_OK && err != NULL) *err = why;
    return rc;
}

/* How often a caller is asked whether it wants to stop. */
#define ASK_MS 50

/* Waits for a connection. REQUIRES: the lock, which is released while the
 * caller is asked. */
static nadb_rc wait_returned(pool *p, patience *until, nadb_err *err) {
    nadb_rc rc;

    (void)nadb_cond_wait_timed(&p->returned, &p->lock, ASK_MS);
    if (p->idle != NULL || p->count < p->most) return NADB_OK;
    nadb_unlock(&p->lock);
    rc = patience_check(until, err);
    nadb_lock(&p->lock);
    if (rc != NADB_IOERR) return rc;
    return nadb_fail(err, NADB_BUSY,
                     "redis server %s: all %u connections are in use (options "
                     "pool_size, pool_timeout)",
                     p->at->name, p->most);
}

/* Takes a connection from the list, or makes one. REQUIRES: the lock. */
static nadb_rc take_slot(pool *p, patience *until, conn **out, nadb_err *err) {
    bool waits = p->idle == NULL && p->count >= p->most;
    patience part;

    if (waits) patience_part(until, p->at->pool_timeout_ms, &part);
    while (p->idle == NULL && p->count >= p->most) {
        nadb_rc rc = wait_returned(p, &part, err);

        if (rc != NADB_OK) return rc;
    }
    if (p->idle != NULL) {
        *out = p->idle;
        p->idle = p->idle->next;
        return NADB_OK;
    }
    *out = conn_new(p->at, &p->way);
    if (*out == NULL)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a connection");
    p->count++;
    return NADB_OK;
}

/* Makes an idle connection ask its server for its name. Something in between
 * may have forgotten the connection; the time limit leaves time to open
 * another. */
static void try_idle(conn *c) {
    patience part;

    patience_part(&c->until, c->at->timeout_ms / 2, &part);
    c->wire.until = &part;
    if (conn_ask_server(c, NULL) != NADB_OK) conn_close(c);
    c->wire.until = &c->until;
}

nadb_rc pool_take_for(pool *p, patience *until, conn **out, nadb_err *err) {
    conn *c = NULL;
    nadb_rc rc;

    *out = NULL;
    nadb_lock(&p->lock);
    rc = take_slot(p, until, &c, err);
    nadb_unlock(&p->lock);
    if (rc != NADB_OK) return rc;
    c->until = *until;
    if (conn_is_open(c) && conn_is_stale(c)) conn_close(c);
    if (conn_is_open(c) && nadb_os_get()->mono_ns() - c->given_ns > IDLE_NS)
        try_idle(c);
    if (!conn_is_open(c)) rc = pool_reopen(p, c, err);
    if (rc != NADB_OK) {
        pool_give(p, c);
        return rc;
    }
    *out = c;
    return NADB_OK;
}

bool pool_is_down(pool *p) {
    bool down;

    nadb_lock(&p->lock);
    down = p->retry_ns != 0;
    nadb_unlock(&p->lock);
    return down;
}

nadb_rc pool_take(pool *p, conn **out, nadb_err *err) {
    patience until;

    patience_begin(&until, p->at->timeout_ms, NULL);
    return pool_take_for(p, &until, out, err);
}

void pool_give(pool *p, conn *c) {
    if (c == NULL) return;
    patience_renew(&c->until);
    /* the waits may be freed */
    patience_begin(&c->until, p->at->timeout_ms, NULL);
    /* A user that stopped in the middle leaves unread answers. */
    if (c->pending > 0) conn_close(c);
    c->given_ns = nadb_os_get()->mono_ns();
    nadb_lock(&p->lock);
    c->next = p->idle;
    p->idle = c;
    nadb_cond_broadcast(&p->returned);
    nadb_unlock(&p->lock);
}
