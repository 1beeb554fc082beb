/* limits.h - keeps a store below a size (options max_size_mb, eviction); for
 * session*.c, cursor.c and store.c. */
#ifndef NADB_LIMITS_H
#define NADB_LIMITS_H

#include "../nadb.h"

typedef struct nadb_kv nadb_kv; /* in kv.h */

typedef struct nadb_limits nadb_limits; /* thread-safe; in limits.c */

nadb_rc nadb_limits_new(uint64_t bytes_max, nadb_eviction eviction,
                        nadb_limits **out, nadb_err *err) NADB_MUST_USE;
void nadb_limits_free(nadb_limits *l); /* NULL is fine */
/* Sets the limit. */
void nadb_limits_set(nadb_limits *l, uint64_t bytes_max,
                     nadb_eviction eviction);

/* Passes the limit to the engine, if the engine keeps it itself. */
void nadb_limits_tell(nadb_kv *kv);

/* Notes that a row was read. */
void nadb_limits_read(nadb_limits *l, nadb_slice key, int64_t now_ms);
/* Called before prepare. *delta: what the transaction adds to the store's size.
 * NADB_FULL if it may not be committed. */
nadb_rc nadb_limits_admit(nadb_limits *l, nadb_session *ss, int64_t *delta,
                          nadb_err *err) NADB_MUST_USE;
/* Called after the commit, with its number of changes. Removes rows if the
 * store is too large: at most about twice as many as were changed, or 40. */
void nadb_limits_committed(nadb_limits *l, nadb_kv *kv, size_t changes,
                           int64_t delta);
/* Evicts in the background; true: more is left. */
bool nadb_limits_round(nadb_limits *l, nadb_kv *kv);
void nadb_limits_stats(nadb_limits *l, nadb_stat_fn *emit, void *ctx);

#endif
