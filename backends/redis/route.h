/* route.h - which server has the keys of a store at present.
 *
 *   one server   always the one of the address
 *   several      the first that answers and is a master, until it is no more
 *   cluster      one of its nodes. The address names the nodes to ask first;
 *                MOVED names the node of the keys; the other nodes are learnt
 *                from the cluster's map, in case a node fails. Only nodes that
 *                the map names are followed to
 *   sentinel     the sentinels are asked before each connection
 *
 * Connections of an older epoch lead to where the keys were before. */
#ifndef NADB_REDIS_ROUTE_H
#define NADB_REDIS_ROUTE_H

#include "../../core/util/sync.h"
#include "wire.h"

typedef struct route {
    const address *at;
    struct route *beside; /* starts where that one leads; NULL: none */
    nadb_mutex lock;      /* guards the fields below */
    nadb_buf nodes;       /* array of endpoint; the address's come first */
    size_t named;         /* number of those in the address */
    size_t now; /* index of the node that has the keys, as far as known */
    uint64_t epoch;
    bool begun;      /* the route was asked for */
    bool arrived;    /* a connection has succeeded at least once */
    bool learnt;     /* the cluster's nodes were learnt */
    size_t sentinel; /* index of the one that answered last */
} route;

nadb_rc route_init(route *r, const address *at, nadb_err *err) NADB_MUST_USE;
void route_clear(route *r);

/* True if the route can change. */
static inline bool route_may_change(const route *r) {
    return r->at->cluster || r->at->master != NULL || address_hosts(r->at) > 1;
}

/* True if the attempt, after `tries` others, is in the first round over several
 * hosts of which none has answered: it gets a short time limit. */
bool route_is_quick(route *r, size_t tries);

nadb_rc route_find(route *r, patience *until, endpoint *to, uint64_t *epoch,
                   nadb_err *err) NADB_MUST_USE;
bool route_is_old(route *r, uint64_t epoch);
/* Called with a new connection: learns from it what is unknown, and checks that
 * it leads to a master. */
nadb_rc route_arrived(route *r, wire *w, nadb_err *err) NADB_MUST_USE;
/* False: another server is about to replace it as master, or has done so. */
bool route_confirms(const route *r, patience *until, const endpoint *to);
/* The error for that. */
nadb_rc route_leads_away(const wire *w, nadb_err *err);
/* Called when the server could not be reached, after `tries` other attempts.
 * True: another attempt may lead elsewhere. */
bool route_failed(route *r, uint64_t epoch, size_t tries);
/* True if the cluster's map has named the node. Other nodes get neither
 * commands nor the password. */
bool route_knows(route *r, const endpoint *to);
/* A node (connected by `w`, without pending answers) has redirected us to an
 * unknown node. Fails unless its present map has that node. */
nadb_rc route_check(route *r, wire *w, const endpoint *to,
                    nadb_err *err) NADB_MUST_USE;
/* Changes the route to the node that has the keys. */
nadb_rc route_move(route *r, const endpoint *to, nadb_err *err) NADB_MUST_USE;

/* --- sentinel.c --- */

/* False if a sentinel that answers is replacing this master, or has replaced
 * it. */
bool sentinel_confirms(const address *at, patience *until, const endpoint *to);
/* Asks the sentinels, starting with *first, which is set to the one that
 * answered. */
nadb_rc sentinel_ask(const address *at, patience *until, size_t *first,
                     endpoint *out, nadb_err *err) NADB_MUST_USE;
/* Fails if the password must not be sent to the master that they named. */
nadb_rc sentinel_check_host(const address *at, const endpoint *to,
                            nadb_err *err) NADB_MUST_USE;

/* --- cluster.c --- */

typedef enum redirect {
    REDIRECT_NONE,  /* an answer */
    REDIRECT_MOVED, /* the keys are at `to` */
    REDIRECT_ASK,   /* this key may be at `to` */
    REDIRECT_AGAIN, /* try again later */
    REDIRECT_MASTER /* the node is no longer a master */
} redirect;

/* What an answer says about redirection. */
redirect cluster_redirect(const wire *w, const redisReply *r, endpoint *to);
/* Appends the nodes with slots that a node knows. */
nadb_rc cluster_learn(wire *w, nadb_buf *nodes, nadb_err *err) NADB_MUST_USE;
/* *known: the node knows this one, with or without slots. */
nadb_rc cluster_knows(wire *w, const endpoint *to, bool *known,
                      nadb_err *err) NADB_MUST_USE;

#endif
