/* engine.h - shared by the files of the Redis engine. */
#ifndef NADB_REDIS_ENGINE_H
#define NADB_REDIS_ENGINE_H

#include <stdatomic.h>

#include "cache.h"
#include "record.h"
#include "script.h"

/* Limits of one commit. The server keeps all of it in one buffer, and serves no
 * other client while it applies it. */
#define REDIS_COMMIT_KEYS 100000u
#define REDIS_COMMIT_BYTES (64u << 20)

/* Number of ranges that are checked for conflicts one by one. With more, any
 * commit since the view conflicts. */
#define REDIS_RANGES_MAX 1000u

#define REDIS_CLAIMS 32u

typedef struct redis_claim {
    char *key; /* without keyspace byte; NULL: the entry is free */
    size_t key_n;
    uint64_t token;
    bool released; /* a commit has released it on the server */
} redis_claim;

typedef struct redis_ticket redis_ticket; /* in request.h */

typedef struct redis_engine {
    nadb_engine base;
    address at;
    nadb_buf prefix;       /* "nadb:{db:namespace}:" */
    unsigned shard, of;    /* 0 of 1: a store without shards */
    pool *pool;            /* own_pool, or that of the engine beside it */
    script_names *scripts; /* own scripts, or those of the engine beside it */
    pool own_pool;
    script_names own_scripts;
    cache cache;
    nadb_mutex lock;     /* guards the fields below */
    uint64_t generation; /* the last one that the server named */
    redis_claim claims[REDIS_CLAIMS];
    redis_ticket *spare; /* an unused ticket; may be NULL */
    nadb_keep keep;      /* how many changes are kept */
    uint64_t limit;      /* of the store's size in bytes; 0: none */
    /* For a store of several shards: ends a transaction over several shards if
     * its time is up. */
    nadb_rc (*end_txn)(struct redis_engine *found_in, const char *txn,
                       nadb_err *err);
    struct shards *whole;
    atomic_bool *saw_locks;   /* set when such transactions were seen */
    uint64_t commits, undone; /* for statistics */
} redis_engine;

#define REDIS_OWN_MAX 16u

/* A view pins nothing: it shows what the server has at each read. `seq` is the
 * store's version at the first read; rows that were inserted later are not
 * shown, and commit checks what was read against it. */
typedef struct redis_view {
    nadb_view base;
    bool known; /* seq and generation were read */
    /* The version from which on a commit is checked: that of the first read
     * under base.reading, which `since_of` names, or seq. */
    uint64_t since;
    uint32_t since_of;
    /* later versions that changed nothing: a commit and its undo; 0: none */
    uint64_t own[REDIS_OWN_MAX];
    unsigned n_own;
    uint64_t generation; /* the generation whose rows it shows */
    /* The last get(): its key, with keyspace byte, and its row. */
    bool holds_row, found;
    nadb_buf key, row;
    record last;                          /* its bytes are in `row` */
    nadb_buf prefetched, prefetched_rows; /* prefetch.c */
    size_t prefetched_at;
    args a;
} redis_view;

/* False for a view that has read nothing: a commit needs no check. */
static inline bool redis_has_read(const redis_view *v) {
    return v != NULL && (v->known || (v->base.reading != 0 &&
                                      v->since_of == v->base.reading));
}

static inline nadb_slice redis_prefix(const redis_engine *e) {
    return nadb_buf_slice(&e->prefix);
}

/* The shard of a key without keyspace byte (docs/format.md). */
static inline unsigned redis_home(const redis_engine *e, nadb_slice key) {
    return (unsigned)((nadb_hash64(key) >> 32) * e->of >> 32);
}

/* The time limit of a reading statement's answers. */
static inline patience redis_patience(const redis_engine *e,
                                      const redis_view *v) {
    patience until;

    patience_begin(&until, e->at.timeout_ms, v->base.caller);
    /* A row that is too large for its reader can still be changed or
     * deleted. */
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

/* Adds a name as one argument: prefix, generation, `what` ("keys", "r:"),
 * key. */
void redis_add_name(const redis_engine *e, args *a, uint64_t generation,
                    const char *what, nadb_slice key);
/* Sends the request for the row of a key. */
nadb_rc redis_ask_row(const redis_engine *e, conn *c, args *a,
                      uint64_t generation, nadb_slice key, nadb_err *err);
/* Sends, before the first read of a view, the request for the store's state,
 * which comes with the same answer. Until then the view's generation is a
 * guess. */
nadb_rc redis_ask_state(redis_engine *e, conn *c, redis_view *v, nadb_err *err);
/* Receives the state; *again: the guess was wrong, repeat the other
 * requests. */
nadb_rc redis_take_state(redis_engine *e, conn *c, redis_view *v, bool *again,
                         nadb_err *err);

/* Makes the view that of a claim, whose answer has the store's state and the
 * row of the key (with keyspace byte). */
nadb_rc redis_take_claimed(redis_engine *e, conn *c, redis_view *v,
                           nadb_slice key, const redisReply *r, nadb_err *err);

/* Takes the store's state from the head of a page (lua/lib/page.lua,
 * lua/lib/rows_out.lua). */
nadb_rc redis_take_page(redis_engine *e, conn *c, redis_view *v,
                        const redisReply *r, nadb_err *err);

/* --- wait.c --- */

nadb_rc redis_wait(nadb_engine *engine, uint64_t since, int64_t timeout_ms,
                   const nadb_stop *stop, uint64_t *seq, nadb_err *err);

/* --- prefetch.c --- */

/* Reads rows for which get() will be called, in this order. */
nadb_rc redis_prefetch(nadb_engine *engine, nadb_view *view,
                       const nadb_slice *keys, size_t n, nadb_err *err);
/* redis_prefetch() in steps, so that several can be under way. */
typedef struct redis_prefetching {
    redis_engine *e;
    redis_view *v;
    conn *c;
    bool took;              /* `c` is from the pool */
    const nadb_slice *keys; /* in `missing` */
    size_t n;
    nadb_buf missing, marks;
    bool fresh, again;
} redis_prefetching;

void redis_prefetch_begin(redis_prefetching *w, redis_engine *e, redis_view *v);
/* Adds a key (with keyspace byte), which must last until the end. */
nadb_rc redis_prefetch_add(redis_prefetching *w, nadb_slice key, nadb_err *err);
/* Sends on `c`, or on a connection from the pool if it is NULL. */
nadb_rc redis_prefetch_send(redis_prefetching *w, conn *c, nadb_err *err);
/* Receives, in the order in which they were sent. */
nadb_rc redis_prefetch_receive(redis_prefetching *w, nadb_err *err);
/* Called after each begin; `rc` is the result so far and is returned. If
 * several were sent on one connection, it is called after all were received. */
nadb_rc redis_prefetch_end(redis_prefetching *w, nadb_rc rc, nadb_err *err);
/* Does the whole prefetch of each in the list that was begun (its `e` is set):
 * sends all, receives all, ends all. `rc` and the result are as for end. */
nadb_rc redis_prefetch_all(redis_prefetching *list, size_t n, conn *c,
                           nadb_rc rc, nadb_err *err);
/* False if the key was not prefetched. */
bool redis_prefetched_get(redis_view *v, nadb_slice key, nadb_entry *out,
                          bool *found);
void redis_prefetched_forget(redis_view *v);
void redis_prefetched_clear(redis_view *v);

/* --- walk.c --- */

/* Common part of iterators: they return the entries of one page, which is in
 * memory, and load the next one. Keys are without keyspace byte. */
typedef struct redis_walk {
    nadb_iter base;
    redis_engine *engine;
    redis_view *view;
    uint8_t keyspace;
    bool reverse;
    bool bounded; /* hi is set */
    nadb_buf lo, hi;

    nadb_buf from; /* if from_set: where the next page begins */
    bool from_set, from_included;
    bool at_end;          /* there is no further page */
    unsigned page_rows;   /* number of rows of the next page */
    unsigned rows_second; /* the second page has at least so many */
    unsigned rows_most;   /* maximum of a page */
    size_t bytes_most;    /* maximum of a page */
    /* number of walks that are merged: each loads a part of a page */
    unsigned of;

    nadb_buf shown, shown_items; /* the present page */
    size_t at;                   /* index of the present entry */
    bool begun;
    nadb_buf bytes, items; /* the next page while it is loaded; else empty */
    conn *c;               /* the connection while loading */
    bool fresh, again;     /* asked for the state, too; must be asked again */
    bool in_doubt;         /* there seems to be no index, or no state */
    redisReply *keys;      /* of the rows to be requested */
    redis_prefetching rows;
    nadb_buf row_keys, row_list; /* the same keys as slices */
    args a;
    args more; /* arguments of a tag expression */
    bool keys_only;
    size_t line_most; /* with keys_only: bytes that are read of each row */
    bool takes_any;   /* its reader uses no values */
    nadb_buf tag;     /* only rows with this tag; empty: all */
    const struct redis_loader *how;
} redis_walk;

/* How a walk loads a page: it adds entries and sets where the next page begins.
 * It works in steps, so that several walks can send on one connection before
 * the first receives. A step that cannot be done while answers of others are
 * pending (`alone` is false) sets w->again. */
typedef struct redis_loader {
    script_id script; /* SCRIPT_COUNT: no script is used */
    nadb_rc (*ask)(redis_walk *w, nadb_err *err);
    nadb_rc (*answer)(redis_walk *w, bool alone, nadb_err *err);
    /* NULL: no rows are requested after the keys. */
    nadb_rc (*ask_rows)(redis_walk *w, nadb_err *err);
    nadb_rc (*answer_rows)(redis_walk *w, nadb_err *err);
} redis_loader;

/* Maximum of rows in a page; further rows go to the next page. */
#define REDIS_PAGE_BYTES (4u << 20)

/* If the value is not needed, so many bytes of a row are read first. */
#define REDIS_LINE_FIRST 256u

nadb_rc redis_walk_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, uint8_t keyspace,
                       redis_walk **out, nadb_err *err);
/* Begins an entry. Its value is what the caller then appends to w->bytes. */
nadb_rc redis_walk_key(redis_walk *w, nadb_slice key, size_t *begin,
                       nadb_err *err);
nadb_rc redis_walk_entry(redis_walk *w, size_t begin, nadb_slice key,
                         uint64_t version, nadb_err *err);
/* Adds an entry for a row if the view shows it; with w->keys_only the row's
 * line suffices. */
nadb_rc redis_walk_row(redis_walk *w, conn *c, nadb_slice key,
                       const redisReply *text, nadb_err *err);
/* Makes the next page begin behind `key`. Fails unless `key` is behind the
 * present page's begin, because a faulty server could otherwise keep the walk
 * going. */
nadb_rc redis_walk_go_on(redis_walk *w, conn *c, nadb_slice key, nadb_err *err);
/* Sets how many rows the pages have. The first page has the number that the
 * reader wants (nadb_view.rows_wanted), otherwise `first`; none has more than
 * `most`. */
void redis_walk_pages(redis_walk *w, unsigned first, unsigned most);
/* Doubles the number of rows for the page after the next, if rows are small. */
void redis_walk_grow(redis_walk *w);

/* --- merging several walks (shards_iter.c) --- */

/* Makes the walk one of n: it loads a part of a page. */
void redis_walk_share(redis_walk *w, unsigned n);
/* Moves to the next entry; false: the next page must be loaded first. */
bool redis_walk_step(redis_walk *w);
/* Moves to the first entry from `key` on. If *there is false a page must be
 * loaded and redis_walk_step() called. */
nadb_rc redis_walk_aim(redis_walk *w, nadb_slice key, bool *there,
                       nadb_err *err);
/* True if the next page will be needed soon, so that it may be loaded now. */
bool redis_walk_runs_low(const redis_walk *w);
/* Loads the next page of each walk: all send before the first receives, on one
 * connection, or in a cluster each on its own. They are in the order of
 * shards. */
nadb_rc redis_walks_load(redis_walk *const *list, size_t n, nadb_err *err);
/* Adds the bounds of the next page as ZRANGEBYLEX expects them. */
void redis_add_bounds(const redis_walk *w, args *a, bool upper_first);

/* Cuts [lo, hi) to a keyspace and removes the keyspace byte; hi.p is NULL if it
 * is open. False: nothing is left. */
bool redis_range(uint8_t keyspace, nadb_slice lo, nadb_slice hi,
                 nadb_slice *inner_lo, nadb_slice *inner_hi);

/* --- iter.c --- */

nadb_rc redis_iter_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, nadb_iter **out, nadb_err *err);

/* Loads a page of a walk over rows in two round trips, which cost the server
 * less than a script. */
extern const redis_loader redis_load_rows;

/* --- index.c --- */

nadb_rc redis_match(nadb_engine *engine, nadb_view *view, const nadb_match *m,
                    const nadb_range *range, bool keys_only, nadb_iter **out,
                    nadb_err *err);
/* Iterates over counts of tags, or over keys by expiry. */
nadb_rc redis_tags_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, nadb_iter **out, nadb_err *err);
nadb_rc redis_expiry_new(nadb_engine *engine, nadb_view *view,
                         const nadb_range *range, nadb_iter **out,
                         nadb_err *err);
/* Number of rows with a tag, in a store or in all of its shards; the entry's
 * value is in `value`. */
nadb_rc redis_get_count(nadb_engine *engine, nadb_view *view, nadb_slice key,
                        nadb_buf *value, nadb_entry *out, bool *found,
                        nadb_err *err);

/* --- check.c --- */

nadb_rc redis_check(nadb_engine *engine, nadb_report_fn *report, void *ctx,
                    nadb_err *err);
/* Repairs what redis_check() reports about the index and the sets of tags. */
nadb_rc redis_repair(redis_engine *e, const nadb_stop *stop, nadb_err *err);

/* --- mend.c --- */

/* Fails if a key of the store has another type, or is missing although what
 * belongs to it exists. REQUIRES: nothing is pending on the connection. */
nadb_rc redis_verify(redis_engine *e, conn *c, nadb_err *err);
/* Reports all such keys; *whole: there is none. */
nadb_rc redis_look(redis_engine *e, conn *c, nadb_report_fn *report, void *ctx,
                   bool *whole, nadb_err *err);
nadb_rc redis_mend(redis_engine *e, conn *c, const nadb_stop *stop,
                   nadb_err *err);
/* Repairs them, on a connection of its own. */
nadb_rc redis_mend_now(redis_engine *e, const nadb_stop *stop, nadb_err *err);
/* `rc` is the result of a command on one key. If the key has another type the
 * error names it, as in redis_add_name(), or "meta". Returns rc. */
nadb_rc redis_name_damage(const redis_engine *e, const conn *c,
                          uint64_t generation, const char *what, nadb_slice key,
                          nadb_rc rc, nadb_err *err);

/* --- sweep.c --- */

/* No server can hold more keys. */
#define REDIS_KEYS_MOST ((uint64_t)1 << 32)

nadb_rc redis_sweep_on(redis_engine *e, conn *c, size_t rows_max,
                       const nadb_stop *stop, int64_t *removed, bool *more,
                       nadb_err *err);
nadb_rc redis_sweep(nadb_engine *engine, size_t rows_max, int64_t *removed,
                    bool *more, nadb_err *err);
/* Removes rows that a clear has left, some per step: those of a generation, or
 * of any that was cleared age_ms ago. */
nadb_rc redis_clean(redis_engine *e, conn *c, nadb_slice generation,
                    int64_t age_ms, size_t steps, const nadb_stop *stop,
                    nadb_err *err);
/* Removes what clears have left, and what is left of rows that the server has
 * expired. */
nadb_rc redis_compact_until(redis_engine *e, const nadb_stop *stop,
                            nadb_err *err);
nadb_rc redis_compact(nadb_engine *engine, nadb_stop_fn *stop, void *ctx,
                      nadb_err *err);

/* --- redis.c --- */

/* What is opened: a store, or a shard of one. */
typedef struct redis_part {
    /* follows the namespace in all names; "": a whole store */
    const char *name;
    unsigned shard, of; /* shard 0 to of - 1; all share the cache's size */
    /* its pool and scripts are used if possible; it is closed later. NULL:
     * none */
    redis_engine *beside;
} redis_part;

void redis_close(nadb_engine *engine);
nadb_rc redis_flush(nadb_engine *engine, nadb_err *err);
/* Emits the numbers of a store, or of all its shards added up. */
void redis_stats_of(redis_engine *const *list, size_t n, nadb_stat_fn *emit,
                    void *ctx);
nadb_rc redis_open(const nadb_options *options, nadb_engine **out,
                   nadb_err *err);
nadb_rc redis_open_part(const nadb_options *options, const redis_part *part,
                        nadb_engine **out, nadb_err *err);

/* --- buffered.c, lease.c --- */

extern const nadb_backend redis_buffered;
/* Fails: another owner has the lease. */
nadb_rc redis_leased(const conn *c, const redisReply *r, nadb_err *err);

/* --- commit.c, request.c (request.h) --- */

nadb_rc redis_prepare(nadb_engine *engine, const nadb_commit_req *req,
                      nadb_ticket **out, nadb_err *err);
void redis_commit(nadb_engine *engine, nadb_ticket *t);
nadb_rc redis_rollback(nadb_engine *engine, nadb_ticket *t, nadb_err *err);
nadb_rc redis_destroy(nadb_engine *engine, nadb_err *err);
nadb_rc redis_wipe(redis_engine *e, nadb_err *err);
void redis_ticket_free(redis_ticket *t); /* NULL is fine */

/* Pauses because another client holds a key. NADB_BUSY: the timeout has
 * passed. */
nadb_rc redis_wait_for_others(redis_engine *e, const redis_ticket *t,
                              int64_t begin_ns, int64_t timeout_ms,
                              nadb_err *err);
/* Commits a ticket of redis_ticket_new(), which stays the caller's. */
nadb_rc redis_prepare_ticket(redis_engine *e, redis_ticket *t,
                             int64_t timeout_ms, nadb_err *err);
void redis_committed(redis_engine *e, const redis_ticket *t);
/* Takes a commit back; the ticket stays the caller's. */
nadb_rc redis_undo(redis_engine *e, const redis_ticket *t, nadb_err *err);
/* The error of a commit that too few replicas have acknowledged (`first`). It
 * adds the outcome of redis_undo(), which is `undone` with the error `why`. */
nadb_rc redis_taken_back(const nadb_err *first, nadb_rc undone,
                         const nadb_err *why, nadb_err *err);
/* Called after an undo; `done`: it succeeded. Frees the ticket. */
void redis_undone(redis_engine *e, redis_ticket *t, bool done);

/* --- once.c --- */

/* Calls a script that changes rows. Fills in writer, number and deadline (for
 * which redis_once_begin() has left arguments), and finds out the outcome if
 * the connection is lost. *out is NULL if the script was executed but its
 * answer is lost; *version is then what it has written. *missed, on error: it
 * was executed, but fewer replicas than option wait demands have it. */
nadb_rc redis_once(redis_engine *e, conn *c, script_id id, args *a,
                   redisReply **out, uint64_t *version, bool *missed,
                   nadb_err *err);
void redis_once_begin(redis_engine *e, conn *c, args *a);

/* --- claim.c --- */

nadb_rc redis_take_claim(nadb_engine *engine, nadb_view *view, nadb_slice key,
                         int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void redis_unclaim(nadb_engine *engine, uint32_t claim);
/* Adds token and key of a claim to a commit (0: no claim). */
void redis_add_claim(redis_engine *e, args *a, uint32_t claim);
/* The commit has released the claim on the server. */
void redis_claim_released(redis_engine *e, uint32_t claim);

#endif
