/* sync.h - locks with ranks, condition variables, and threads.
 *
 * A thread may take a lock only if its rank is above that of every lock it
 * holds. Debug builds (-DNADB_DEBUG) assert this, so that a possible deadlock
 * is found even in a run that does not deadlock. The ranks are the lock order
 * of the whole library. A try cannot deadlock and is exempt. */
#ifndef NADB_SYNC_H
#define NADB_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef enum nadb_rank {
    NADB_RANK_REGISTRY = 1, /* core/store.c: the list of open stores */
    NADB_RANK_WORKERS,      /* core/engine/workers.c: the list of jobs */
    NADB_RANK_FLUSH,        /* one flush or compaction at a time */
    NADB_RANK_SYNC,         /* one sync at a time */
    NADB_RANK_COMMIT,       /* queue before a store's commit lock */
    NADB_RANK_VERSION,      /* a store's current version; backends' lists */
    NADB_RANK_BACKEND,      /* inside a backend */
    NADB_RANK_CACHE,        /* a shard of the value cache */
    NADB_RANK_BACKUP,       /* chunks of a backup that threads compress */
    NADB_RANK_LOG,          /* a line of the log */
    NADB_RANK_OS            /* leaves: the test os, statistics */
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
/* False if `timeout_ms` passed first (monotonic clock). */
bool nadb_lock_timed(nadb_mutex *m, int64_t timeout_ms) NADB_MUST_USE;
void nadb_unlock(nadb_mutex *m);

/* In debug builds, for asserts: true if this thread holds a lock of that
 * rank. */
bool nadb_rank_held(nadb_rank rank);

nadb_rc nadb_cond_init(nadb_cond *c, nadb_err *err) NADB_MUST_USE;
/* Makes both, or neither. */
nadb_rc nadb_mutex_cond_init(nadb_mutex *m, nadb_rank rank, nadb_cond *c,
                             nadb_err *err) NADB_MUST_USE;
void nadb_cond_clear(nadb_cond *c);
void nadb_cond_wait(nadb_cond *c, nadb_mutex *m);
/* False if `timeout_ms` passed first. May return early. */
bool nadb_cond_wait_timed(nadb_cond *c, nadb_mutex *m, int64_t timeout_ms);
void nadb_cond_broadcast(nadb_cond *c);

/* Starts a thread with all signals blocked and a name of at most 15 bytes. */
nadb_rc nadb_thread_start(pthread_t *out, const char *name,
                          void *(*body)(void *), void *arg,
                          nadb_err *err) NADB_MUST_USE;
void nadb_thread_join(pthread_t t);

/* Stores a value that changes under a lock, in this process or in shared
 * memory, so that it is seen after all earlier stores. atomic_store() would
 * make the processor wait until it is visible, which is noticeable in a put of
 * one microsecond. */
#define nadb_set(at, v) atomic_store_explicit(at, v, memory_order_release)

#endif
