/* sync.h - locks with ranks, condition variables, and threads.
 *
 * A thread may take a lock only if its rank is above that of every lock it
 * holds; debug builds (-DNADB_DEBUG) assert it, so that a deadlock is found by
 * the first run that could have met it. The ranks are the lock order of the
 * whole library; each says what it guards. A try cannot deadlock: exempt. */
#ifndef NADB_SYNC_H
#define NADB_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef enum nadb_rank {
    NADB_RANK_REGISTRY = 1, /* core/store.c: which stores are open */
    NADB_RANK_WORKERS, /* core/engine/workers.c: what the threads have to do */
    NADB_RANK_FLUSH,   /* one flush or compaction at a time */
    NADB_RANK_SYNC,    /* one sync at a time */
    NADB_RANK_COMMIT,  /* queue before a store's commit lock */
    NADB_RANK_VERSION, /* a store's current version; backends' lists */
    NADB_RANK_BACKEND, /* inside a backend */
    NADB_RANK_CACHE,   /* a shard of the value cache */
    NADB_RANK_BACKUP,  /* chunks of a backup that threads compress */
    NADB_RANK_LOG,     /* a line of the log */
    NADB_RANK_OS       /* leaves: the test os, statistics */
} nadb_rank;

typedef struct nadb_mutex {
    pthread_mutex_t m;
    nadb_rank rank;
} nadb_mutex;

typedef struct nadb_cond {
    pthread_cond_t c; /* of system_cond_init() */
} nadb_cond;

nadb_rc nadb_mutex_init(nadb_mutex *m, nadb_rank rank,
                        nadb_err *err) NADB_MUST_USE;
void nadb_mutex_clear(nadb_mutex *m);
void nadb_lock(nadb_mutex *m);
bool nadb_trylock(nadb_mutex *m);
/* False when `timeout_ms` passed first (measured on the monotonic clock). */
bool nadb_lock_timed(nadb_mutex *m, int64_t timeout_ms) NADB_MUST_USE;
void nadb_unlock(nadb_mutex *m);

/* Debug builds have it, for asserts: whether this thread holds a lock of that
 * rank. */
bool nadb_rank_held(nadb_rank rank);

nadb_rc nadb_cond_init(nadb_cond *c, nadb_err *err) NADB_MUST_USE;
void nadb_cond_clear(nadb_cond *c);
void nadb_cond_wait(nadb_cond *c, nadb_mutex *m);
/* False when `timeout_ms` passed first. Spurious returns are possible. */
bool nadb_cond_wait_timed(nadb_cond *c, nadb_mutex *m, int64_t timeout_ms);
void nadb_cond_broadcast(nadb_cond *c);

/* Starts a thread with every signal blocked, named `name` (15 bytes). */
nadb_rc nadb_thread_start(pthread_t *out, const char *name,
                          void *(*body)(void *), void *arg,
                          nadb_err *err) NADB_MUST_USE;
void nadb_thread_join(pthread_t t);

/* For what changes under a lock, here or in memory that processes share: is
 * seen after all that was stored before. atomic_store() would have the
 * processor wait until it is seen, which a put of a microsecond would feel. */
#define nadb_set(at, v) atomic_store_explicit(at, v, memory_order_release)

#endif
