/* sentinel.c - asks sentinels for the master of a group of servers.
 *
 * Sentinels may be wrong for a while after a failover, and notice the death of
 * a master only after some time. So the server is asked for its role, too, and
 * if it is not a master the sentinels are asked again.
 *
 * An attacker in a sentinel's place could direct the password anywhere. So it
 * is sent only to hosts that the options name, as a sentinel, or that the
 * environment names (<password_env>_HOSTS). */
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "route.h"

static nadb_rc no_sense(const wire *w, nadb_err *err) {
    return nadb_fail(err, NADB_IOERR,
                     "redis sentinel %s: its answer does not fit the command: "
                     "is it a sentinel?",
                     w->name);
}

/* Takes host and port, both as texts. */
static nadb_rc take_master(const address *at, const wire *w,
                           const redisReply *r, endpoint *out, nadb_err *err) {
    nadb_slice host;
    int64_t port;

    if (r->type == REDIS_REPLY_NIL)
        return nadb_fail(err, NADB_IOERR,
                         "redis sentinel %s: it has no master '%.100s'",
                         w->name, at->master);
    if (!reply_is_array(r, 2)) return no_sense(w, err);
    host = reply_slice(r->element[0]);
    if (host.n == 0 || host.n >= sizeof out->host ||
        !reply_number(r->element[1], &port) || !reply_is_port(port))
        return no_sense(w, err);
    memset(out, 0, sizeof *out);
    memcpy(out->host, host.p, host.n);
    out->port = (int)port;
    return NADB_OK;
}

/* Minimum time limit for a sentinel; maximum while a failover is looked for. */
#define LOOK_MS 500

/* Opens a wire to a sentinel, with the password for sentinels and no other. */
static nadb_rc enter(const address *at, const endpoint *sentinel,
                     patience *until, wire *w, nadb_err *err) {
    address plain = *at; /* sentinels have no databases */

    plain.user = NULL;
    plain.password_env = at->sentinel_env;
    plain.db = 0;
    return wire_open(w, &plain, sentinel, until, err);
}

static nadb_rc call(const address *at, wire *w, const char *what,
                    redisReply **out, nadb_err *err) {
    const char *words[] = {"SENTINEL", what, at->master, NULL};

    return wire_ask(w, words, out, err);
}

/* The master according to one sentinel; fails if it does not know the
 * master. */
static nadb_rc ask_one(const address *at, const endpoint *sentinel,
                       patience *until, endpoint *out, nadb_err *err) {
    redisReply *r = NULL;
    wire w;
    nadb_rc rc;

    memset(&w, 0, sizeof w);
    rc = enter(at, sentinel, until, &w, err);
    if (rc == NADB_OK) rc = call(at, &w, "get-master-addr-by-name", &r, err);
    if (rc == NADB_OK) rc = take_master(at, &w, r, out, err);
    if (rc == NADB_CANTOPEN && at->sentinel_env == NULL &&
        at->password_env != NULL && err != NULL)
        rc = nadb_fail(err, rc,
                       "redis sentinel %s: it requires a password: name its "
                       "environment variable with sentinel_password_env",
                       w.name);
    freeReplyObject(r);
    wire_close(&w);
    return rc;
}

nadb_rc sentinel_ask(const address *at, patience *until, size_t *first,
                     endpoint *out, nadb_err *err) {
    size_t n = address_sentinels(at), begin = *first;
    size_t rounds = n > 1 ? 2 : 1;
    nadb_rc rc = NADB_IOERR;

    (void)patience_left_ms(until); /* begins it */
    for (size_t i = 0; i < rounds * n && rc != NADB_INTERRUPT; i++) {
        size_t which = (begin + i) % n;
        endpoint to = endpoint_at(&at->sentinels, which);
        /* A silent sentinel takes little time in the first round, and leaves
         * time for the others in the second. */
        int64_t share = patience_left_ms(until) / (int64_t)(rounds * n - i);
        patience part;

        if (share < LOOK_MS) share = LOOK_MS;
        if (n > 1 && i < n) share = ADDRESS_QUICK_MS;
        patience_begin_part(&part, share, until->caller);
        rc = ask_one(at, &to, &part, out, err);
        if (rc == NADB_OK) {
            *first = which;
            break;
        }
    }
    return rc;
}

/* --- trusted hosts --- */

static bool same_address(const struct addrinfo *a, const struct addrinfo *b) {
    const struct sockaddr_in *a4, *b4;
    const struct sockaddr_in6 *a6, *b6;

    if (a->ai_family != b->ai_family) return false;
    a4 = (const struct sockaddr_in *)(const void *)a->ai_addr;
    b4 = (const struct sockaddr_in *)(const void *)b->ai_addr;
    a6 = (const struct sockaddr_in6 *)(const void *)a->ai_addr;
    b6 = (const struct sockaddr_in6 *)(const void *)b->ai_addr;
    if (a->ai_family == AF_INET)
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return a->ai_family == AF_INET6 &&
           memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

/* True if both names resolve to one machine. */
static bool same_machine(const char *a, const char *b) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *as = NULL, *bs = NULL;
    bool same = false;

    if (strcmp(a, b) == 0) return true;
    if (getaddrinfo(a, NULL, &hints, &as) != 0) return false;
    if (getaddrinfo(b, NULL, &hints, &bs) != 0) bs = NULL;
    for (const struct addrinfo *x = as; x != NULL && !same; x = x->ai_next)
        for (const struct addrinfo *y = bs; y != NULL && !same; y = y->ai_next)
            same = same_address(x, y);
    freeaddrinfo(as);
    if (bs != NULL) freeaddrinfo(bs);
    return same;
}

nadb_rc sentinel_check_host(const address *at, const endpoint *to,
                            nadb_err *err) {
    if (at->password_env == NULL || wire_password_is_bound(at)) return NADB_OK;
    for (size_t i = 0; i < address_sentinels(at); i++) {
        endpoint s = endpoint_at(&at->sentinels, i);

        if (same_machine(s.host, to->host)) return NADB_OK;
    }
    return nadb_fail(err, NADB_DENIED,
                     "redis server %s:%d: the sentinels name it as the master, "
                     "and it is on the host of none of them: if it may have "
                     "the password, list its host in the environment variable "
                     "%s_HOSTS",
                     to->host, to->port, at->password_env);
}

/* --- failovers under way --- */

/* A field of the answer to SENTINEL MASTER, which alternates names and
 * values. */
static nadb_slice field(const redisReply *r, const char *name) {
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements;
         i += 2)
        if (nadb_slice_eq(reply_slice(r->element[i]), nadb_slice_str(name)))
            return reply_slice(r->element[i + 1]);
    return nadb_slice_of(NULL, 0);
}

typedef struct opinion {
    endpoint master;
    int64_t epoch; /* of the configuration that says so */
    bool moves;    /* it is being replaced */
} opinion;

static nadb_rc look(const address *at, const endpoint *sentinel,
                    patience *until, opinion *out) {
    static const char moving[] = "failover_in_progress";
    redisReply *r = NULL, *state = NULL;
    nadb_slice flags;
    patience part;
    wire w;
    nadb_rc rc;

    memset(&w, 0, sizeof w);
    patience_part(until, LOOK_MS, &part);
    rc = enter(at, sentinel, &part, &w, NULL);
    if (rc == NADB_OK) rc = call(at, &w, "master", &state, NULL);
    if (rc == NADB_OK) rc = call(at, &w, "get-master-addr-by-name", &r, NULL);
    if (rc == NADB_OK) rc = take_master(at, &w, r, &out->master, NULL);
    if (rc == NADB_OK) {
        flags = field(state, "flags");
        out->moves = nadb_slice_find(flags, nadb_slice_str(moving)) != NULL;
        if (!nadb_integer_of(field(state, "config-epoch"), &out->epoch))
            out->epoch = 0;
    }
    freeReplyObject(r);
    freeReplyObject(state);
    wire_close(&w);
    return rc;
}

bool sentinel_confirms(const address *at, patience *until, const endpoint *to) {
    opinion best = {.epoch = -1};
    bool moves = false;

    for (size_t i = 0; i < address_sentinels(at); i++) {
        endpoint sentinel = endpoint_at(&at->sentinels, i);
        opinion x;

        if (look(at, &sentinel, until, &x) != NADB_OK) continue;
        if (endpoint_same(&x.master, to) && x.moves) moves = true;
        if (x.epoch > best.epoch) best = x;
    }
    return best.epoch >= 0 && !moves && endpoint_same(&best.master, to);
}
