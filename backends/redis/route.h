/* route.h - which server has the keys of a store now.
 *
 *   one server   the one of the address, always
 *   several      the first of them that answers, and is a master, until it no
 *                longer does
 *   cluster      one of its nodes: the address names those to ask first, MOVED
 *                says which it is, and the others are learnt from the cluster's
 *                map, so that there is one to ask when a node is gone. Only
 *                nodes that the map names are followed to
 *   sentinel     the sentinels are asked for every connection
 *
 * Connections of an older epoch lead to where the keys were before. */
#ifndef NADB_REDIS_ROUTE_H
#define NADB_REDIS_ROUTE_H

#include "../../core/util/sync.h"
#include "wire.h"

typedef struct route {
    const address *at;
    struct route *beside; /* begins where that one leads; NULL: none */
    nadb_mutex lock;      /* guards what follows */
    nadb_buf nodes;       /* endpoint each; the first are the address's */
    size_t named;         /* so many of them */
    size_t now;           /* the one that has the keys, as far as we know */
    uint64_t epoch;
    bool begun;      /* somebody has asked where it leads */
    bool arrived;    /* somewhere, at least once */
    bool learnt;     /* the nodes of the cluster */
    size_t sentinel; /* that answered last */
} route;

nadb_rc route_init(route *r, const address *at, nadb_err *err) NADB_MUST_USE;
void route_clear(route *r);

/* Whether it can lead elsewhere at all. */
static inline bool route_may_change(const route *r) {
    return r->at->cluster || r->at->master != NULL || address_hosts(r->at) > 1;
}

/* Whether the attempt to connect, after `tries` others, is one of the first
 * round over several hosts of which none has answered yet: it is given up soon.
 */
bool route_is_quick(route *r, size_t tries);

nadb_rc route_find(route *r, patience *until, endpoint *to, uint64_t *epoch,
                   nadb_err *err) NADB_MUST_USE;
bool route_is_old(route *r, uint64_t epoch);
/* A new connection: learns from it what it does not know yet, and finds out
 * whether it leads to a master. */
nadb_rc route_arrived(route *r, wire *w, nadb_err *err) NADB_MUST_USE;
/* False: another server is about to take its place, or has done so. */
bool route_confirms(const route *r, patience *until, const endpoint *to);
/* The error for that. */
nadb_rc route_leads_away(const wire *w, nadb_err *err);
/* The server could not be reached, after `tries` other attempts. True: trying
 * again may lead elsewhere. */
bool route_failed(route *r, uint64_t epoch, size_t tries);
/* Whether it is a node that the cluster's map has named. Others get neither
 * commands nor the password. */
bool route_knows(route *r, const endpoint *to);
/* A node (connected by `w`, with no answer pending) has sent us to one that is
 * not known: an error unless its map, as it is now, has it. */
nadb_rc route_check(route *r, wire *w, const endpoint *to,
                    nadb_err *err) NADB_MUST_USE;
/* A node has said where the keys are. */
nadb_rc route_move(route *r, const endpoint *to, nadb_err *err) NADB_MUST_USE;

/* --- sentinel.c --- */

/* Whether no sentinel that answers replaces this master, or has. */
bool sentinel_confirms(const address *at, patience *until, const endpoint *to);
/* Asks the sentinels, beginning with *first, which becomes the one that
 * answered. */
nadb_rc sentinel_ask(const address *at, patience *until, size_t *first,
                     endpoint *out, nadb_err *err) NADB_MUST_USE;
/* An error unless the password may go to the master that they have named. */
nadb_rc sentinel_check_host(const address *at, const endpoint *to,
                            nadb_err *err) NADB_MUST_USE;

/* --- cluster.c --- */

typedef enum redirect {
    REDIRECT_NONE,  /* an answer */
    REDIRECT_MOVED, /* the keys are elsewhere: `to` */
    REDIRECT_ASK,   /* this key may be at `to` */
    REDIRECT_AGAIN, /* a while later */
    REDIRECT_MASTER /* this is no master any more */
} redirect;

/* What an answer says about where to go. */
redirect cluster_redirect(const wire *w, const redisReply *r, endpoint *to);
/* Appends the nodes that a node knows to *nodes: those that have slots. */
nadb_rc cluster_learn(wire *w, nadb_buf *nodes, nadb_err *err) NADB_MUST_USE;
/* Whether a node knows this one, with or without slots. */
nadb_rc cluster_knows(wire *w, const endpoint *to, bool *known,
                      nadb_err *err) NADB_MUST_USE;

#endif
