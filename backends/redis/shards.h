/* shards.h - shared by the files of stores in shards (shards.c). */
#ifndef NADB_REDIS_SHARDS_H
#define NADB_REDIS_SHARDS_H

#include <stdatomic.h>

#include "request.h"

typedef struct shards {
    nadb_engine base;
    redis_engine *mark;  /* its meta has the number of shards; it has no rows */
    atomic_bool settled; /* the mark was read and matches our options */
    char here[24], making[24], going[24]; /* texts of the mark */
    atomic_uint sweep_first; /* shard at which the next sweep begins */
    atomic_bool unfinished; /* a shard has a transaction that is not finished */
    _Atomic int64_t looked_ns; /* when that was last checked, monotonic */
    unsigned n;
    redis_engine *parts[]; /* n, and behind them the mark */
} shards;

typedef struct shards_view {
    nadb_view base;
    /* the mark was read since the last refresh, and shards may be missing */
    bool looked;
    nadb_buf sum; /* the last count that was read */
    /* The parts in use since the last rest are in [from, to): the others have
     * nothing to forget. */
    unsigned from, to;
    redis_view *parts[]; /* NULL until used */
} shards_view;

/* The shard of a key with keyspace byte. */
static inline unsigned shards_of_row(const shards *s, nadb_slice key) {
    return redis_home(s->mark, nadb_slice_of(key.p + 1, key.n - 1));
}

/* --- shards_mark.c --- */

/* Checks that the store has as many shards as our options say. If it does not
 * exist, or is half made, `settled` stays false. `caller` (may be NULL) can
 * stop it. */
nadb_rc shards_settle(shards *s, const nadb_caller *caller, nadb_err *err);
/* Makes the store if it does not exist. */
nadb_rc shards_join(shards *s, nadb_err *err);
/* Called when a shard seems to be missing. NADB_OK: it exists now, or the store
 * was never made; NADB_CANTOPEN: the store has another number of shards;
 * NADB_IOERR: the server has lost the shard. */
nadb_rc shards_missing(shards *s, unsigned i, nadb_err *err);
/* Makes a shard, empty, if it is missing. */
nadb_rc shards_make(redis_engine *e, nadb_err *err);
nadb_rc shards_destroy(nadb_engine *engine, nadb_err *err);

/* --- shards_read.c --- */

nadb_rc shards_view_open(nadb_engine *engine, nadb_view **out, nadb_err *err);
void shards_view_close(nadb_engine *engine, nadb_view *view);
nadb_rc shards_view_refresh(nadb_engine *engine, nadb_view *view,
                            nadb_err *err);
void shards_view_rest(nadb_engine *engine, nadb_view *view);
/* Makes v->parts[i] ready for reads. */
nadb_rc shards_view_part(shards *s, shards_view *v, unsigned i, nadb_err *err);
/* Called after a read in a shard: if it is missing, the store may have another
 * number of shards now. */
nadb_rc shards_seen(shards *s, shards_view *v, unsigned i, nadb_err *err);
nadb_rc shards_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err);
nadb_rc shards_want(nadb_engine *engine, nadb_view *view,
                    const nadb_slice *keys, size_t n, nadb_err *err);
nadb_rc shards_claim(nadb_engine *engine, nadb_view *view, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void shards_unclaim(nadb_engine *engine, uint32_t claim);
/* The name of a claim in its shard; 0 if it belongs to another shard. */
uint32_t shards_claim_in(unsigned shard, uint32_t claim);

/* --- shards_iter.c --- */

nadb_rc shards_iter_new(nadb_engine *engine, nadb_view *view,
                        const nadb_range *range, nadb_iter **out,
                        nadb_err *err);
/* With `m` NULL, all rows of the range. */
nadb_rc shards_match(nadb_engine *engine, nadb_view *view, const nadb_match *m,
                     const nadb_range *range, bool keys_only, nadb_iter **out,
                     nadb_err *err);

/* --- shards_txn.c --- */

/* Commits tickets, one per shard or NULL, all or none. With `undo` takes their
 * changes back, all or none, and drops tickets of which nothing is left to
 * undo. timeout_ms limits the wait for other clients. */
nadb_rc shards_do(shards *s, redis_ticket **parts, bool undo,
                  int64_t timeout_ms, nadb_err *err);
/* Function of redis_engine.end_txn. */
nadb_rc shards_end_txn(redis_engine *found_in, const char *txn, nadb_err *err);
/* Ends the transactions in a shard whose time is up, because their clients have
 * died. */
nadb_rc shards_end_all(redis_engine *e, nadb_err *err);
/* From time to time does the same in all shards, if such transactions were
 * seen. */
void shards_end_others(shards *s);

/* --- shards_commit.c --- */

nadb_rc shards_prepare(nadb_engine *engine, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err);
void shards_commit(nadb_engine *engine, nadb_ticket *t);
nadb_rc shards_rollback(nadb_engine *engine, nadb_ticket *t, nadb_err *err);

/* --- shards.c --- */

nadb_rc shards_no_memory(nadb_err *err);
nadb_rc shards_open(const nadb_options *options, nadb_engine **out,
                    nadb_err *err);

#endif
