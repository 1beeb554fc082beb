/* cache.h - rows that were read lately, for as long as the server says that
 * nobody has changed them.
 *
 * One connection a store listens: the server names on it every row of the
 * store that anybody changes (CLIENT TRACKING with BCAST; of RESP2, so the
 * connection redirects to itself and subscribes to __redis__:invalidate).
 * What has come is taken in at each read, so that no thread is needed.
 *
 * Promises: what cache_get() shows was in the server, and no message that it
 * has changed had come to this machine when it was asked. A change by this
 * process is seen at once. The connection was alive within the last second:
 * so long, and no longer, can rows be shown that a silent network hides. When
 * it is lost, or leads to where the store is no more, everything is forgotten.
 *
 * The race between a row on its way here and a message that it has changed: a
 * mark is taken before the row is asked for, and the row is not kept when
 * anything was heard of that key since.
 *
 * A server that goes silent on this connection costs a reader no more than a
 * part of its patience: then the cache is off for a while, and the row is read
 * at the server.
 *
 * It begins when a process reads single rows again and again, so that one who
 * reads a few does not pay for it. */
#ifndef NADB_REDIS_CACHE_H
#define NADB_REDIS_CACHE_H

#include "conn.h"
#include "record.h"

typedef struct cached_row cached_row; /* in cache.c */

#define CACHE_STAMPS 4096u

typedef struct cache {
    nadb_slice prefix; /* of the store's keys; the engine's */
    uint64_t bytes_max;

    nadb_mutex link_lock; /* guards the next; taken before `lock` */
    conn *link;           /* it listens while the cache is on */

    nadb_mutex lock; /* guards what follows */
    bool on;
    bool stop;           /* something does not fit: to be turned off */
    uint64_t generation; /* of the rows in it */
    uint64_t turn;       /* rises when everything is forgotten */
    int64_t proven_ns;   /* monotonic: all that was changed before is known */
    int64_t read_ns;     /* the server has answered a read that began then */
    int64_t sent_ns;     /* a reader was last sent to the server */
    int64_t retry_ns;    /* not turned on before */
    int64_t pause_ms;    /* the last wait after a failure */
    unsigned reads;      /* before it was turned on */
    cached_row **buckets;
    size_t n_buckets; /* a power of two */
    size_t entries;
    uint64_t bytes;
    cached_row *newest, *oldest;
    uint32_t stamps[CACHE_STAMPS]; /* of keys, by hash: rise with each change */
    uint64_t hits, misses, starts;
} cache;

typedef struct cache_mark {
    bool on;
    int64_t begin_ns;
    uint64_t turn;
    uint32_t stamp;
} cache_mark;

nadb_rc cache_init(cache *n, const address *at, route *way, nadb_slice prefix,
                   uint64_t bytes_max, nadb_err *err) NADB_MUST_USE;
void cache_clear(cache *n);

/* Keys are without keyspace byte. True: *row (emptied before) and *rec are
 * what the server has, or *found is false: it has none. */
bool cache_get(cache *n, nadb_slice key, patience *until, nadb_buf *row,
               record *rec, bool *found);
/* Whether cache_get() would show it now; does not listen. */
bool cache_holds(cache *n, nadb_slice key);
/* Before a row is asked for. */
void cache_begin(cache *n, nadb_slice key, cache_mark *m);
/* The row that came; `fresh`: the generation was asked for with it. */
void cache_put(cache *n, nadb_slice key, const cache_mark *m,
               uint64_t generation, bool fresh, const record *rec, bool found);
/* A read at the server failed: nothing is shown until another one succeeds. */
void cache_refused(cache *n);
/* This process changes, or may have changed, the key; or everything. */
void cache_forget(cache *n, nadb_slice key);
void cache_forget_all(cache *n);
/* Likewise; returns the bytes that this frees. */
uint64_t cache_drop(cache *n);

void cache_stats(cache *n, nadb_stat_fn *emit, void *ctx);

#endif
