/* shards.h - what the files of a store in shards share (see shards.c). */
#ifndef NADB_REDIS_SHARDS_H
#define NADB_REDIS_SHARDS_H

#include <stdatomic.h>

#include "request.h"

typedef struct shards {
    nadb_engine base;
    redis_engine *mark;  /* its meta says how many shards there are; no rows */
    atomic_bool settled; /* the mark was seen, and says what we say */
    atomic_uint sweep_first;   /* where the next sweep begins */
    atomic_bool unfinished;    /* some transaction is, in some shard */
    _Atomic int64_t looked_ns; /* when it was last looked for, monotonic */
    unsigned n;
    redis_engine *parts[];
} shards;

typedef struct shards_view {
    nadb_view base;
    bool looked;         /* at the mark, since the last refresh, and found that
                            shards may be missing */
    nadb_buf sum;        /* the last count that was got */
    redis_view *parts[]; /* NULL until they are used */
} shards_view;

/* The shard of a key, which is without its keyspace byte (docs/format.md). */
static inline unsigned shards_of(const shards *s, nadb_slice key) {
    return (unsigned)((nadb_hash64(key) >> 32) * s->n >> 32);
}

/* The same; the key has one. */
static inline unsigned shards_of_row(const shards *s, nadb_slice key) {
    return shards_of(s, nadb_slice_of(key.p + 1, key.n - 1));
}

/* --- shards_mark.c --- */

/* Whether the store is one of as many shards as we say; it may also be not
 * there, or half made: then nobody has `settled`. `caller` (NULL is fine) may
 * stop it. */
nadb_rc shards_settle(shards *s, const nadb_caller *caller, nadb_err *err);
/* Makes it, if it is not there. What `v` (NULL is fine) has found missing, and
 * nobody else has made meanwhile, it then knows as empty. */
nadb_rc shards_join(shards *s, shards_view *v, nadb_err *err);
/* A shard seems to be missing. NADB_OK: not now, or nobody has made the store;
 * NADB_CANTOPEN: it is one of another number of shards; NADB_IOERR: its server
 * has lost it. */
nadb_rc shards_missing(shards *s, unsigned i, nadb_err *err);
/* Makes shards that were lost, as empty ones. */
nadb_rc shards_replace_lost(shards *s, nadb_err *err);
nadb_rc shards_check_mark(shards *s, nadb_report_fn *report, void *ctx,
                          nadb_err *err);
nadb_rc shards_destroy(nadb_engine *engine, nadb_err *err);

/* --- shards_read.c --- */

nadb_rc shards_view_open(nadb_engine *engine, nadb_view **out, nadb_err *err);
void shards_view_close(nadb_engine *engine, nadb_view *view);
nadb_rc shards_view_refresh(nadb_engine *engine, nadb_view *view,
                            nadb_err *err);
void shards_view_rest(nadb_engine *engine, nadb_view *view);
/* The view's part in a shard. */
nadb_rc shards_view_part(shards *s, shards_view *v, unsigned i,
                         redis_view **out, nadb_err *err);
/* After a read there: a shard that is missing may mean that the store is one of
 * another number of shards by now. */
nadb_rc shards_seen(shards *s, shards_view *v, unsigned i, nadb_err *err);
nadb_rc shards_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err);
nadb_rc shards_want(nadb_engine *engine, nadb_view *view,
                    const nadb_slice *keys, size_t n, nadb_err *err);
nadb_rc shards_claim(nadb_engine *engine, nadb_view *view, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void shards_unclaim(nadb_engine *engine, uint32_t claim);
/* What the shard of a claim calls it; 0 if the claim is in another one. */
uint32_t shards_claim_in(unsigned shard, uint32_t claim);

/* --- shards_iter.c --- */

nadb_rc shards_iter_new(nadb_engine *engine, nadb_view *view,
                        const nadb_range *range, nadb_iter **out,
                        nadb_err *err);
nadb_rc shards_match(nadb_engine *engine, nadb_view *view, const nadb_match *m,
                     const nadb_range *range, bool keys_only, nadb_iter **out,
                     nadb_err *err);

/* --- shards_txn.c --- */

/* What a transaction does, or has only read, in one shard. */
typedef struct shards_part {
    redis_engine *e;
    redis_ticket *ticket;
    unsigned shard;
    bool changes;
    bool is_there; /* it was prepared, or may have been */
} shards_part;

/* Does in several shards what the tickets of `parts` say, all or nothing; or
 * `undo`: takes back what they have done. Waits for others so long. */
nadb_rc shards_do(shards *s, shards_part *parts, unsigned n, bool undo,
                  int64_t timeout_ms, nadb_err *err);
/* redis_engine.end_txn */
nadb_rc shards_end_txn(redis_engine *found_in, const char *txn, nadb_err *err);
/* Ends those in a shard whose time has come: their clients have died. */
nadb_rc shards_end_all(redis_engine *e, nadb_err *err);
/* The same in all, where some were seen, now and then. */
void shards_end_others(shards *s);

/* --- shards_commit.c --- */

nadb_rc shards_prepare(nadb_engine *engine, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err);
void shards_commit(nadb_engine *engine, nadb_ticket *t);
nadb_rc shards_rollback(nadb_engine *engine, nadb_ticket *t, nadb_err *err);

/* --- shards_sum.c --- */

nadb_rc shards_totals(nadb_engine *engine, nadb_view *view, nadb_totals *out,
                      nadb_err *err);
extern const nadb_limit_ops shards_limit;

/* --- shards.c --- */

nadb_rc shards_no_memory(nadb_err *err);
nadb_rc shards_open(const nadb_options *options, nadb_engine **out,
                    nadb_err *err);

#endif
