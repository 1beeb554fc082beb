/* sentinel.c - asking sentinels for the master of a group of servers.
 *
 * They may be wrong for a while after a failover, and know of it only some
 * time after the master has died. So the server is asked for its role too, and
 * who is sent to the wrong one comes back and asks again. */
#include <stdlib.h>

#include "route.h"

/* What a sentinel says; an error when it does not know the master. `user` and
 * `env` (both may be NULL) are how to enter there. */
static nadb_rc ask_as(const address *at, const endpoint *sentinel, char *user,
                      char *env, endpoint *out, nadb_err *err) {
    address plain = *at; /* they have no databases */
    redisReply *r = NULL;
    nadb_slice host;
    args a;
    wire w;
    nadb_rc rc;

    memset(&w, 0, sizeof w);
    memset(&a, 0, sizeof a);
    plain.user = user;
    plain.password_env = env;
    plain.db = 0;
    rc = wire_open(&w, &plain, sentinel, err);
    args_text(&a, "SENTINEL");
    args_text(&a, "get-master-addr-by-name");
    args_text(&a, at->master);
    if (rc == NADB_OK) rc = wire_call(&w, &a, &r, err);
    if (rc != NADB_OK) goto done;
    if (r->type == REDIS_REPLY_NIL) {
        rc = nadb_fail(err, NADB_IOERR,
                       "redis sentinel %s: it knows no master '%.100s'", w.name,
                       at->master);
        goto done;
    }
    host = reply_slice(reply_is_array(r, 2) ? r->element[0] : NULL);
    if (host.n == 0 || host.n >= sizeof out->host) {
        rc = nadb_fail(err, NADB_IOERR,
                       "redis sentinel %s: its answer makes no sense", w.name);
        goto done;
    }
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = '\0';
    out->port = (int)strtol(r->element[1]->str, NULL, 10);
done:
    freeReplyObject(r);
    args_clear(&a);
    wire_close(&w);
    return rc;
}

/* The server's password is told to those alone who ask for one. */
static nadb_rc ask_one(const address *at, const endpoint *sentinel,
                       endpoint *out, nadb_err *err) {
    nadb_rc rc = ask_as(at, sentinel, NULL, at->sentinel_env, out, err);

    if (rc == NADB_CANTOPEN && at->sentinel_env == NULL &&
        at->password_env != NULL)
        rc = ask_as(at, sentinel, at->user, at->password_env, out, err);
    return rc;
}

nadb_rc sentinel_ask(const address *at, size_t *first, endpoint *out,
                     nadb_err *err) {
    size_t n = address_sentinels(at);
    nadb_rc rc = NADB_IOERR;

    for (size_t i = 0; i < n; i++) {
        size_t which = (*first + i) % n;
        endpoint to;

        memcpy(&to, at->sentinels.p + which * sizeof to, sizeof to);
        rc = ask_one(at, &to, out, err);
        if (rc == NADB_OK) {
            *first = which;
            break;
        }
    }
    return rc;
}

nadb_rc sentinel_check_role(wire *w, nadb_err *err) {
    redisReply *r = NULL;
    nadb_slice role;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    args_text(&a, "ROLE");
    rc = wire_call(w, &a, &r, err);
    args_clear(&a);
    if (rc != NADB_OK) return rc;
    role = reply_slice(reply_is_array(r, 1) ? r->element[0] : NULL);
    if (!nadb_slice_eq(role, nadb_slice_str("master")))
        rc = nadb_fail(err, NADB_READONLY,
                       "redis server %s: the sentinels name it as the master, "
                       "but it is none (yet, or any more)",
                       w->name);
    freeReplyObject(r);
    return rc;
}
