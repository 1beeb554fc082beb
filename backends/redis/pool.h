/* pool.h - the connections of a store.
 *
 * A connection is taken for one exchange with the server and given back. At
 * most `most` exist; a thread that finds all taken waits. After a server could
 * not be reached, further attempts fail at once for a pause that doubles up to
 * a second, so that a dead server does not slow its users down. An attempt that
 * fails because this process lacks memory or descriptors begins no pause. */
#ifndef NADB_REDIS_POOL_H
#define NADB_REDIS_POOL_H

#include "../../core/util/sync.h"
#include "conn.h"

typedef struct pool {
    const address *at;
    route way;
    unsigned most;
    nadb_mutex lock;    /* guards the fields below */
    nadb_cond returned; /* signalled when a connection is given back */
    conn *idle;         /* most recently used first */
    unsigned count;     /* idle and taken ones */
    int64_t retry_ns;   /* monotonic: no attempt to connect before it */
    int64_t pause_ms;   /* length of the last pause; 0: no failure */
    nadb_err failure;   /* why the pause began */
    uint64_t connects;  /* number of successful attempts */
} pool;

nadb_rc pool_init(pool *p, const address *at, unsigned most,
                  nadb_err *err) NADB_MUST_USE;
void pool_clear(pool *p); /* REQUIRES: all connections were given back */

/* Takes an open connection, with `timeout` ms until its first answer, including
 * the wait for a free connection and for connecting. *out is NULL on
 * failure. */
nadb_rc pool_take(pool *p, conn **out, nadb_err *err) NADB_MUST_USE;
/* As pool_take(), with this time limit. */
nadb_rc pool_take_for(pool *p, patience *until, conn **out,
                      nadb_err *err) NADB_MUST_USE;
/* Opens a taken connection again that was lost. On failure the caller still has
 * to give it back. */
nadb_rc pool_reopen(pool *p, conn *c, nadb_err *err) NADB_MUST_USE;
void pool_give(pool *p, conn *c); /* NULL is fine */
/* True if the last attempt to connect has failed. */
bool pool_is_down(pool *p);

#endif
