/* pool.h - the connections of a store.
 *
 * A connection is taken for one exchange with the server and given back. No
 * more than `most` exist; who finds all taken waits. After a failure to
 * connect, the next attempts fail at once for a while that doubles up to a
 * second, so that a dead server costs its users nothing. */
#ifndef NADB_REDIS_POOL_H
#define NADB_REDIS_POOL_H

#include "../../core/util/sync.h"
#include "conn.h"

typedef struct pool {
    const address *at;
    route way;
    unsigned most;
    nadb_mutex lock;    /* guards what follows */
    nadb_cond returned; /* a connection came back */
    conn *idle;         /* the last one used is the first */
    unsigned count;     /* idle ones and those that are taken */
    int64_t retry_ns;   /* monotonic: no attempt to connect before */
    int64_t pause_ms;   /* the last wait after a failure; 0: none failed */
    nadb_err failure;   /* what the last attempt met */
    uint64_t connects;  /* successful attempts */
} pool;

nadb_rc pool_init(pool *p, const address *at, unsigned most,
                  nadb_err *err) NADB_MUST_USE;
void pool_clear(pool *p); /* every connection has been given back */

/* An open connection, on which there are `timeout` ms until the first answer is
 * there, waiting for a free one and connecting included. *out is NULL on
 * failure. */
nadb_rc pool_take(pool *p, conn **out, nadb_err *err) NADB_MUST_USE;
/* Likewise, with this patience. */
nadb_rc pool_take_for(pool *p, patience *until, conn **out,
                      nadb_err *err) NADB_MUST_USE;
/* A taken connection that was lost is opened again; on failure it is still
 * the caller's to give back. */
nadb_rc pool_reopen(pool *p, conn *c, nadb_err *err) NADB_MUST_USE;
void pool_give(pool *p, conn *c); /* NULL is fine */
/* True if the last attempt to connect has failed. */
bool pool_is_down(pool *p);

#endif
