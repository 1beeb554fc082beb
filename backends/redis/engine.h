/* engine.h - what the files of the Redis engine share. */
#ifndef NADB_REDIS_ENGINE_H
#define NADB_REDIS_ENGINE_H

#include <stdatomic.h>

#include "cache.h"
#include "record.h"
#include "script.h"

/* A commit of more is refused before anything is sent: the server keeps all of
 * it in one buffer, and stands still while it applies it. */
#define REDIS_COMMIT_KEYS 100000u
#define REDIS_COMMIT_BYTES (64u << 20)

/* Ranges whose conflicts are looked for one by one; past it, any commit since
 * the view conflicts. */
#define REDIS_RANGES_MAX 1000u

#define REDIS_CLAIMS 32u

typedef struct redis_claim {
    char *key; /* NULL: free; without keyspace byte */
    size_t key_n;
    uint64_t token;
    bool released; /* by a commit: the server has forgotten it */
} redis_claim;

typedef struct redis_ticket redis_ticket; /* in request.h */

typedef struct redis_engine {
    nadb_engine base;
    address at;
    nadb_buf prefix;       /* "nadb:{db:namespace}:" */
    pool *pool;            /* own_pool, or that of the engine beside it */
    script_names *scripts; /* the same */
    pool own_pool;
    script_names own_scripts;
    cache cache;
    nadb_mutex lock;     /* guards what follows */
    uint64_t generation; /* that the server named last */
    redis_claim claims[REDIS_CLAIMS];
    redis_ticket *spare; /* of a commit that has ended; may be NULL */
    nadb_keep keep;      /* of changes */
    uint64_t limit;      /* bytes, beyond which nothing is added; 0: none */
    /* In a store of several shards: ends a transaction over several, if its
     * time has come. */
    nadb_rc (*end_txn)(struct redis_engine *found_in, const char *txn,
                       nadb_err *err);
    struct shards *whole;
    atomic_bool *saw_locks;   /* set when there are some of such transactions */
    uint64_t commits, undone; /* numbers for stats */
} redis_engine;

#define REDIS_OWN_MAX 16u

/* Pins nothing: what it shows is what the server has. `seq` is the version
 * that the store had at the first read; rows that were inserted later are not
 * shown, and what was read is checked against it at commit. */
typedef struct redis_view {
    nadb_view base;
    bool known;                  /* seq and generation have been read */
    uint64_t own[REDIS_OWN_MAX]; /* later versions that changed nothing: a
                                    commit and its undo; 0 = none */
    unsigned n_own;
    uint64_t generation; /* of the rows that it shows */
    /* The last get: its key, with keyspace byte, and row. */
    bool holds_row, found;
    nadb_buf key, row;
    record last;                          /* in `row` */
    nadb_buf prefetched, prefetched_rows; /* prefetch.c */
    size_t prefetched_at;
    args a;
} redis_view;

static inline nadb_slice redis_prefix(const redis_engine *e) {
    return nadb_buf_slice(&e->prefix);
}

/* How long a statement that reads waits for an answer. */
static inline patience redis_patience(const redis_engine *e,
                                      const redis_view *v) {
    patience until;

    patience_begin(&until, e->at.timeout_ms, v->base.caller);
    /* A row that is too large for its reader can still be changed or deleted.
     */
    until.takes_any = !v->base.may_lag || v->base.keys_only;
    return until;
}

/* --- read.c --- */

nadb_rc redis_view_open(nadb_engine *engine, nadb_view **out, nadb_err *err);
void redis_view_close(nadb_engine *engine, nadb_view *view);
nadb_rc redis_view_refresh(nadb_engine *engine, nadb_view *view, nadb_err *err);
void redis_view_rest(nadb_engine *engine, nadb_view *view);
nadb_rc redis_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                  nadb_entry *out, bool *found, nadb_err *err);

/* Adds prefix, generation, `what` ("keys", "r:") and key as one argument. */
void redis_add_name(const redis_engine *e, args *a, uint64_t generation,
                    const char *what, nadb_slice key);
/* Sends for the row of a key. */
nadb_rc redis_ask_row(const redis_engine *e, conn *c, args *a,
                      uint64_t generation, nadb_slice key, nadb_err *err);
/* Before the first read of a view: sends for the state of the store, so that
 * it comes with the same answer; the view's generation is a guess meanwhile. */
nadb_rc redis_ask_state(redis_engine *e, conn *c, redis_view *v, nadb_err *err);
/* Takes the answer; *again: the guess was wrong, ask for the rest again. */
nadb_rc redis_take_state(redis_engine *e, conn *c, redis_view *v, bool *again,
                         nadb_err *err);

/* Makes the view one of the moment of a claim, whose answer has the state of
 * the store and the row of the key (which has its keyspace byte). */
nadb_rc redis_take_claimed(redis_engine *e, conn *c, redis_view *v,
                           nadb_slice key, const redisReply *r, nadb_err *err);

/* What an answer of lua/lib/page.lua says of the store, in the same places. */
nadb_rc redis_take_page(redis_engine *e, conn *c, redis_view *v,
                        const redisReply *r, nadb_err *err);

/* --- wait.c --- */

nadb_rc redis_wait(nadb_engine *engine, uint64_t since, int64_t timeout_ms,
                   const nadb_stop *stop, uint64_t *seq, nadb_err *err);

/* --- prefetch.c --- */

/* Reads rows that will be got next, in this order. */
nadb_rc redis_prefetch(nadb_engine *engine, nadb_view *view,
                       const nadb_slice *keys, size_t n, nadb_err *err);
/* redis_prefetch() in pieces, so that several can be under way. */
typedef struct redis_prefetching {
    redis_engine *e;
    redis_view *v;
    conn *c;
    bool took; /* the connection, from the pool */
    const nadb_slice *keys;
    size_t n;
    nadb_buf missing, marks;
    bool fresh, again;
} redis_prefetching;

/* On `c`, or on a connection from the pool if it is NULL. */
nadb_rc redis_prefetch_send(redis_prefetching *w, redis_engine *e,
                            redis_view *v, conn *c, const nadb_slice *keys,
                            size_t n, nadb_err *err);
/* In the order in which they were sent. */
nadb_rc redis_prefetch_receive(redis_prefetching *w, nadb_err *err);
/* After each send; `rc` is what has come of it, and is returned. When several
 * were sent on one connection, after all have been received. */
nadb_rc redis_prefetch_end(redis_prefetching *w, nadb_rc rc, nadb_err *err);
/* False: the key is not among them. */
bool redis_prefetched_get(redis_view *v, nadb_slice key, nadb_entry *out,
                          bool *found);
void redis_prefetched_forget(redis_view *v);
void redis_prefetched_clear(redis_view *v);

/* --- walk.c --- */

/* What iterators have in common: they show one page of entries, which is in
 * memory, and load the next. Keys here are without the keyspace byte. */
typedef struct redis_walk {
    nadb_iter base;
    redis_engine *engine;
    redis_view *view;
    uint8_t keyspace;
    bool reverse;
    bool bounded; /* there is a hi */
    nadb_buf lo, hi;

    nadb_buf from; /* where the next page begins, when from_set */
    bool from_set, from_included;
    bool at_end;                   /* there is no next page */
    unsigned page_rows, rows_most; /* of the next page, and of any, at most */
    size_t bytes_most;             /* of a page */
    unsigned of; /* that many walks are merged, each with a part of a page */

    nadb_buf shown, shown_items; /* the present page */
    size_t at;                   /* the present entry */
    bool begun;
    nadb_buf bytes, items; /* the next page: none, or while it is loaded */
    conn *c;               /* meanwhile */
    bool fresh, again;     /* asked for the state as well; all again */
    bool in_doubt;         /* there is no index, or no state */
    redisReply *keys;      /* of rows that are to be asked for */
    redis_prefetching rows;
    nadb_buf row_keys, row_list; /* of those */
    args a;
    args more; /* of an expression */
    bool keys_only;
    size_t line_most; /* of a row, that is asked for with keys_only */
    bool takes_any;   /* its reader uses no values */
    nadb_buf tag;     /* rows that have it; empty: any */
    const struct redis_loader *how;
} redis_walk;

/* How a walk loads a page: it adds entries, and says where the next one begins.
 * In steps, so that several walks can ask on one connection before any of them
 * takes its answer. What cannot be done while others wait for theirs (`alone`
 * is false) sets w->again. */
typedef struct redis_loader {
    script_id script; /* SCRIPT_COUNT: none */
    nadb_rc (*ask)(redis_walk *w, nadb_err *err);
    nadb_rc (*answer)(redis_walk *w, bool alone, nadb_err *err);
    /* NULL: nothing is asked for behind that. */
    nadb_rc (*ask_rows)(redis_walk *w, nadb_err *err);
    nadb_rc (*answer_rows)(redis_walk *w, nadb_err *err);
} redis_loader;

/* Of rows; the rest is for the next page. */
#define REDIS_PAGE_BYTES (4u << 20)

/* Bytes that are asked for at first of a row whose value is not wanted. */
#define REDIS_LINE_FIRST 256u

nadb_rc redis_walk_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, uint8_t keyspace,
                       redis_walk **out, nadb_err *err);
/* Adds an entry. Its value is what has been appended to w->bytes since
 * redis_walk_key(), which begins it. */
nadb_rc redis_walk_key(redis_walk *w, nadb_slice key, size_t *begin,
                       nadb_err *err);
nadb_rc redis_walk_entry(redis_walk *w, size_t begin, nadb_slice key,
                         uint64_t version, nadb_err *err);
/* An entry for a row, if it is one that the view shows; for w->keys_only its
 * line is enough. */
nadb_rc redis_walk_row(redis_walk *w, conn *c, nadb_slice key,
                       const redisReply *text, nadb_err *err);
/* The next page begins behind `key`, which must be behind where the present one
 * began: else a server could have a walk go on for ever. */
nadb_rc redis_walk_go_on(redis_walk *w, conn *c, nadb_slice key, nadb_err *err);
/* The page after that has twice as many rows, if they are small. */
void redis_walk_grow(redis_walk *w);

/* --- several walks that are merged (shards_iter.c) --- */

/* The walk is one of n: it loads a part of what one alone would. */
void redis_walk_share(redis_walk *w, unsigned n);
/* To the next entry; false: the next page must be loaded before. */
bool redis_walk_step(redis_walk *w);
/* To the first entry from `key` on. *there is false when a page must be loaded
 * before, and redis_walk_step() called then. */
nadb_rc redis_walk_aim(redis_walk *w, nadb_slice key, bool *there,
                       nadb_err *err);
/* Whether the next page is to be loaded soon, so that it might be now. */
bool redis_walk_runs_low(const redis_walk *w);
/* Loads the next page of each: all of them ask before one takes its answer, on
 * connections of their own, or on `shared`, if it is not NULL. */
nadb_rc redis_walks_load(redis_walk *const *list, size_t n, conn *shared,
                         nadb_err *err);
/* Lower and upper bound of the next page, as ZRANGEBYLEX wants them. */
void redis_add_bounds(const redis_walk *w, args *a, bool upper_first);

/* The part of [lo, hi) that is in a keyspace, without its byte; hi.p is NULL
 * when it is open. False: none. */
bool redis_range(uint8_t keyspace, nadb_slice lo, nadb_slice hi,
                 nadb_slice *inner_lo, nadb_slice *inner_hi);

/* --- iter.c --- */

nadb_rc redis_iter_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, nadb_iter **out, nadb_err *err);

/* A page of a walk over rows: two round trips, which cost the server less than
 * a script does. */
extern const redis_loader redis_load_rows;

/* --- index.c --- */

nadb_rc redis_match(nadb_engine *engine, nadb_view *view, const nadb_match *m,
                    const nadb_range *range, bool keys_only, nadb_iter **out,
                    nadb_err *err);
/* The counts of tags, and keys by expiry. */
nadb_rc redis_tags_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, nadb_iter **out, nadb_err *err);
nadb_rc redis_expiry_new(nadb_engine *engine, nadb_view *view,
                         const nadb_range *range, nadb_iter **out,
                         nadb_err *err);
/* Rows with a tag; the entry's value is in the view's buffer. */
nadb_rc redis_get_count(redis_engine *e, redis_view *v, nadb_slice key,
                        nadb_entry *out, bool *found, nadb_err *err);

/* --- check.c --- */

nadb_rc redis_check(nadb_engine *engine, nadb_report_fn *report, void *ctx,
                    nadb_err *err);
/* Puts right what redis_check() would report of the index and sets of tags. */
nadb_rc redis_repair(redis_engine *e, const nadb_stop *stop, nadb_err *err);

/* --- mend.c --- */

/* An error if a key of the store has another type, or is gone though what
 * belongs to it is there. Nothing else may be under way on the connection. */
nadb_rc redis_verify(redis_engine *e, conn *c, nadb_err *err);
/* Reports all such keys; *whole: there is none. */
nadb_rc redis_look(redis_engine *e, conn *c, nadb_report_fn *report, void *ctx,
                   bool *whole, nadb_err *err);
nadb_rc redis_mend(redis_engine *e, conn *c, const nadb_stop *stop,
                   nadb_err *err);
/* On a connection of its own. */
nadb_rc redis_mend_now(redis_engine *e, const nadb_stop *stop, nadb_err *err);
/* `rc` is what a command on one key has come to: where the key has another type
 * the error names it, as redis_add_name() has it, or "meta". Returns rc. */
nadb_rc redis_name_damage(const redis_engine *e, const conn *c,
                          uint64_t generation, const char *what, nadb_slice key,
                          nadb_rc rc, nadb_err *err);

/* --- sweep.c --- */

/* More keys no server can hold. */
#define REDIS_KEYS_MOST ((uint64_t)1 << 32)

nadb_rc redis_sweep_on(redis_engine *e, conn *c, size_t rows_max,
                       const nadb_stop *stop, int64_t *removed, bool *more,
                       nadb_err *err);
nadb_rc redis_sweep(nadb_engine *engine, size_t rows_max, int64_t *removed,
                    bool *more, nadb_err *err);
/* Removes rows that a clear has left, some a step: those of a generation, or of
 * any that was cleared age_ms ago. */
nadb_rc redis_clean(redis_engine *e, conn *c, nadb_slice generation,
                    int64_t age_ms, size_t steps, const nadb_stop *stop,
                    nadb_err *err);
/* Removes what clears have left and the server has expired. */
nadb_rc redis_compact_until(redis_engine *e, const nadb_stop *stop,
                            nadb_err *err);
nadb_rc redis_compact(nadb_engine *engine, nadb_stop_fn *stop, void *ctx,
                      nadb_err *err);

/* --- redis.c --- */

/* What is opened: a store, or a part of one. */
typedef struct redis_part {
    const char *name;     /* behind the namespace in all names; "": the store */
    unsigned of;          /* so many parts: its share of the cache */
    redis_engine *beside; /* its pool and scripts are used, where that is
                             possible; it is closed later. NULL: none */
} redis_part;

void redis_close(nadb_engine *engine);
nadb_rc redis_open(const nadb_options *options, nadb_engine **out,
                   nadb_err *err);
nadb_rc redis_open_part(const nadb_options *options, const redis_part *part,
                        nadb_engine **out, nadb_err *err);

/* --- buffered.c, lease.c --- */

extern const nadb_backend redis_buffered;
/* The error for the answer that somebody else has the lease. */
nadb_rc redis_leased(const conn *c, const redisReply *r, nadb_err *err);

/* --- commit.c, request.c (request.h) --- */

nadb_rc redis_prepare(nadb_engine *engine, const nadb_commit_req *req,
                      nadb_ticket **out, nadb_err *err);
void redis_commit(nadb_engine *engine, nadb_ticket *t);
nadb_rc redis_rollback(nadb_engine *engine, nadb_ticket *t, nadb_err *err);
nadb_rc redis_destroy(nadb_engine *engine, nadb_err *err);
nadb_rc redis_wipe(redis_engine *e, nadb_err *err);
void redis_ticket_free(redis_ticket *t); /* NULL is fine */

/* A key is held by others: waits a little. NADB_BUSY: it was long enough. */
nadb_rc redis_wait_for_others(redis_engine *e, const redis_ticket *t,
                              int64_t begin_ns, int64_t timeout_ms,
                              nadb_err *err);
/* Commits a ticket of redis_ticket_new(), which stays the caller's. */
nadb_rc redis_prepare_ticket(redis_engine *e, redis_ticket *t,
                             int64_t timeout_ms, nadb_err *err);
void redis_committed(redis_engine *e, const redis_ticket *t);
/* It was to be taken back, and was if it is `done`. Frees the ticket. */
void redis_undone(redis_engine *e, redis_ticket *t, bool done);

/* --- once.c --- */

/* Calls a script that changes rows: fills in writer, number and deadline
 * (arguments that redis_once_begin() has left for it), and finds out what
 * became of it when the connection is lost. *out is NULL when it was done, but
 * its answer is lost; *version is then what it has written. *missed, on error:
 * it was done, but fewer replicas than option wait asks for have it. */
nadb_rc redis_once(redis_engine *e, conn *c, script_id id, args *a,
                   redisReply **out, uint64_t *version, bool *missed,
                   nadb_err *err);
void redis_once_begin(redis_engine *e, conn *c, args *a);

/* --- claim.c --- */

nadb_rc redis_take_claim(nadb_engine *engine, nadb_view *view, nadb_slice key,
                         int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void redis_unclaim(nadb_engine *engine, uint32_t claim);
/* Adds token and key of a claim (0: of none) to a commit. */
void redis_add_claim(redis_engine *e, args *a, uint32_t claim);
/* The commit has released it on the server. */
void redis_claim_released(redis_engine *e, uint32_t claim);

#endif
