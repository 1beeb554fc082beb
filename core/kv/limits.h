/* limits.h - a store that keeps below a size (options max_size_mb, eviction);
 * for session*.c, cursor.c and store.c. */
#ifndef NADB_LIMITS_H
#define NADB_LIMITS_H

#include "../nadb.h"

typedef struct nadb_kv nadb_kv; /* in kv.h */

typedef struct nadb_limits nadb_limits; /* thread-safe; in limits.c */

nadb_rc nadb_limits_new(uint64_t bytes_max, nadb_eviction eviction,
                        nadb_limits **out, nadb_err *err) NADB_MUST_USE;
void nadb_limits_free(nadb_limits *l); /* NULL is fine */
/* The limit from now on. */
void nadb_limits_set(nadb_limits *l, uint64_t bytes_max,
                     nadb_eviction eviction);

/* Tells the store's engine, if it keeps the limit itself. */
void nadb_limits_tell(nadb_kv *kv);

/* A row was read. */
void nadb_limits_read(nadb_limits *l, nadb_slice key, int64_t now_ms);
/* Before a transaction is prepared: what it adds to the store's size goes to
 * *delta. NADB_FULL when it may not be committed. */
nadb_rc nadb_limits_admit(nadb_limits *l, nadb_session *ss, int64_t *delta,
                          nadb_err *err) NADB_MUST_USE;
/* It was committed, with so many changes. Removes some rows when the store is
 * too large: at most about twice as many as it has changed, and 40. */
void nadb_limits_committed(nadb_limits *l, nadb_kv *kv, size_t changes,
                           int64_t delta);
/* In the background; true: there is more to do. */
bool nadb_limits_round(nadb_limits *l, nadb_kv *kv);
void nadb_limits_stats(nadb_limits *l, nadb_stat_fn *emit, void *ctx);

#endif
