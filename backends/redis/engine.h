/* engine.h - what the files of the Redis engine share. */
#ifndef NADB_REDIS_ENGINE_H
#define NADB_REDIS_ENGINE_H

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

typedef struct redis_engine {
    nadb_engine base;
    address at;
    nadb_buf prefix; /* "nadb:{db:namespace}:" */
    pool pool;
    script_names scripts;
    nadb_mutex lock;     /* guards what follows */
    uint64_t generation; /* that the server named last */
    redis_claim claims[REDIS_CLAIMS];
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
    record last; /* in `row` */
    args a;
} redis_view;

static inline nadb_slice redis_prefix(const redis_engine *e) {
    return nadb_buf_slice(&e->prefix);
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

/* --- iter.c --- */

nadb_rc redis_iter_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, nadb_iter **out, nadb_err *err);

/* The part of [lo, hi) that rows can be in, without the keyspace byte; hi.p is
 * NULL when it is open. False: no row. */
bool redis_row_range(nadb_slice lo, nadb_slice hi, nadb_slice *row_lo,
                     nadb_slice *row_hi);

/* --- redis.c --- */

void redis_close(nadb_engine *engine);

/* --- commit.c --- */

nadb_rc redis_prepare(nadb_engine *engine, const nadb_commit_req *req,
                      nadb_ticket **out, nadb_err *err);
void redis_commit(nadb_engine *engine, nadb_ticket *t);
nadb_rc redis_rollback(nadb_engine *engine, nadb_ticket *t, nadb_err *err);
nadb_rc redis_destroy(nadb_engine *engine, nadb_err *err);
/* Removes what clears have left and the server has expired. */
nadb_rc redis_compact(nadb_engine *engine, nadb_err *err);

/* --- change.c --- */

/* Calls a script that changes rows: fills in writer, number and deadline
 * (arguments that redis_change_begin() has left for it), and finds out what
 * became of it when the connection is lost. *out is NULL when it was done, but
 * its answer is lost; *version is then what it has written. */
nadb_rc redis_change(redis_engine *e, conn *c, script_id id, args *a,
                     redisReply **out, uint64_t *version, nadb_err *err);
void redis_change_begin(redis_engine *e, conn *c, args *a);

/* --- claim.c --- */

nadb_rc redis_take_claim(nadb_engine *engine, nadb_slice key,
                         int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void redis_unclaim(nadb_engine *engine, uint32_t claim);
/* Adds token and key of a claim (0: of none) to a commit. */
void redis_add_claim(redis_engine *e, args *a, uint32_t claim);
/* The commit has released it on the server. */
void redis_claim_released(redis_engine *e, uint32_t claim);

#endif
