/* cache.h - a cache of rows that were read recently, valid as long as the
 * server reports no change.
 *
 * One connection per store listens: on it the server reports every row of the
 * store that any client changes (CLIENT TRACKING with BCAST; in RESP2 the
 * connection redirects to itself and subscribes to __redis__:invalidate). Each
 * read takes in what has arrived, so no thread is needed.
 *
 * Guarantees: a row that cache_get() returns was on the server, and no report
 * of a change of it had arrived on this machine. Changes by this process are
 * seen at once. The connection was alive within the last second; that is the
 * longest time for which a silent network can hide a change. If the connection
 * is lost, or leads to a server that no longer has the store, everything is
 * dropped.
 *
 * A row may be on its way here while a report of its change arrives. So a mark
 * is taken before the row is read, and the row is not cached if a change of its
 * key was reported since.
 *
 * A server that does not answer on this connection costs a reader at most a
 * part of its time limit: then the cache is off for a while, and rows are read
 * from the server.
 *
 * The cache starts when a process has read several single rows, so that a
 * process that reads few does not pay for it. */
#ifndef NADB_REDIS_CACHE_H
#define NADB_REDIS_CACHE_H

#include "conn.h"
#include "record.h"

typedef struct cached_row cached_row; /* in cache.c */

#define CACHE_STAMPS 4096u

typedef struct cache {
    nadb_slice prefix; /* prefix of the store's keys; owned by the engine */
    uint64_t bytes_max;

    nadb_mutex link_lock; /* guards `link`; taken before `lock` */
    conn *link; /* the connection that listens while the cache is on */

    nadb_mutex lock; /* guards the fields below */
    bool on;
    bool stop;           /* an unexpected report: turn it off */
    uint64_t generation; /* of the cached rows */
    uint64_t turn;       /* rises when everything is dropped */
    int64_t proven_ns;   /* monotonic: all changes before it were reported */
    int64_t read_ns;     /* start of the last successful read from the server */
    int64_t sent_ns;     /* when a reader was last sent to the server */
    int64_t retry_ns;    /* it is not turned on before */
    int64_t pause_ms;    /* length of the last pause after a failure */
    unsigned reads;      /* single rows read before it was turned on */
    cached_row **buckets;
    size_t n_buckets; /* a power of two */
    size_t entries;
    uint64_t bytes;
    cached_row *newest, *oldest;
    /* by hash of the key: rises with each change */
    uint32_t stamps[CACHE_STAMPS];
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

/* Looks up a key (without keyspace byte). If true, *row (emptied first) and
 * *rec are the server's row; *found is false if there is none. */
bool cache_get(cache *n, nadb_slice key, patience *until, nadb_buf *row,
               record *rec, bool *found);
/* True if cache_get() would succeed now; takes in nothing. */
bool cache_holds(cache *n, nadb_slice key);
/* Takes the mark before a row is read. */
void cache_begin(cache *n, nadb_slice key, cache_mark *m);
/* Caches the row that was read; `fresh`: the generation was read with it. */
void cache_put(cache *n, nadb_slice key, const cache_mark *m,
               uint64_t generation, bool fresh, const record *rec, bool found);
/* A read from the server failed: nothing is returned until one succeeds. */
void cache_refused(cache *n);
/* This process has changed, or may have changed, the key; or everything. */
void cache_forget(cache *n, nadb_slice key);
void cache_forget_all(cache *n);
/* Drops everything; returns the bytes freed. */
uint64_t cache_drop(cache *n);

typedef struct cache_counts {
    uint64_t hits, misses, bytes, starts;
} cache_counts;

/* Adds the cache's counts to *sum. */
void cache_count(cache *n, cache_counts *sum);
void cache_stats(const cache_counts *sum, nadb_stat_fn *emit, void *ctx);

#endif
