/* engine.h - private to core/map: the engine over the states of a map.
 *
 *   engine.now --> state 7 <-- view, view        refs 3
 *                  state 5 <-- view              refs 1
 *   ticket ------> state 8                       in doubt, invisible
 *
 * A state counts what refers to it and is freed with its last reference. A view
 * is a reference, so what it shows never changes and never moves: its entries
 * are PINNED.
 *
 * One commit at a time has the turn, from prepare() to commit() or rollback().
 * Only its holder replaces engine.now, so it reads the present state without a
 * lock. The engine's lock guards the fields below it. It is held for a few
 * instructions, and not while the backend is called.
 *
 * Each file names only functions of files above it: states.c, commit.c,
 * map.c. */
#ifndef NADB_MAP_ENGINE_H
#define NADB_MAP_ENGINE_H

#include "../recent.h"
#include "../util/claims.h"
#include "../util/sync.h"
#include "map.h"

/* Numbers of what a state holds. */
typedef struct map_sum {
    uint64_t rows;  /* entries in NADB_KS_ROW */
    uint64_t bytes; /* of keys and values, all keyspaces */
    bool indexed;   /* may hold index entries */
    nadb_totals totals;
} map_sum;

typedef struct map_state {
    unsigned refs; /* under the engine's lock */
    uint64_t seq;  /* of the commit that made it */
    nadb_map_state *s;
    map_sum sum;
} map_state;

typedef struct map_view {
    nadb_view base;
    map_state *state; /* NULL: resting */
} map_view;

typedef struct map_engine {
    nadb_engine base;
    const nadb_map_ops *ops;
    nadb_map *map; /* may be NULL */
    nadb_mutex lock;
    nadb_cond ended; /* signalled when a turn or a claim ends */
    map_state *now;
    bool turn;            /* a commit is being prepared or is in doubt */
    uint64_t changed_seq; /* of the last commit, not counting the sweeper's */
    nadb_recent recent;   /* kept changes */
    nadb_claims claims;
    uint64_t unclaims;       /* number of claims that have ended */
    unsigned clears_waiting; /* meanwhile no new claims are made */
} map_engine;

/* --- states.c --- */

/* Drops a reference. REQUIRES: the lock. Returns the state if that was the last
 * one: the caller passes it to map_state_free() without the lock. */
map_state *map_state_unref(map_state *s) NADB_MUST_USE;
void map_state_free(const map_engine *e, map_state *s); /* NULL is fine */

/* As the operations of nadb_map_ops; entries are PINNED, and *found is false on
 * error. */
nadb_rc map_state_seek(const map_engine *e, const map_state *s, nadb_slice key,
                       bool before, nadb_map_place *at, nadb_entry *out,
                       bool *found, nadb_err *err) NADB_MUST_USE;
nadb_rc map_state_step(const map_engine *e, const map_state *s, bool back,
                       nadb_map_place *at, nadb_entry *out, bool *found,
                       nadb_err *err) NADB_MUST_USE;
/* Looks up one key. */
nadb_rc map_state_get(const map_engine *e, const map_state *s, nadb_slice key,
                      nadb_entry *out, bool *found,
                      nadb_err *err) NADB_MUST_USE;

/* Adds an entry to the numbers (`in`) or subtracts it. */
void map_sum_count(map_sum *sum, const nadb_entry *entry, bool in);
/* Adds all n entries of the state. *seq: the largest sequence number of one. */
nadb_rc map_state_sum(const map_engine *e, const map_state *s, bool back,
                      map_sum *sum, size_t *n, uint64_t *seq,
                      nadb_err *err) NADB_MUST_USE;
nadb_rc map_state_check(const map_engine *e, const map_state *s,
                        nadb_report_fn *report, void *ctx,
                        nadb_err *err) NADB_MUST_USE;

/* --- commit.c: operations of nadb_engine_ops --- */

nadb_rc map_claim(nadb_engine *engine, nadb_view *v, nadb_slice key,
                  int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void map_unclaim(nadb_engine *engine, uint32_t claim);
nadb_rc map_settle(nadb_engine *engine, const nadb_dbfile *file,
                   const nadb_ticket *own, int64_t timeout_ms, nadb_err *err);
bool map_moved(nadb_engine *engine, const nadb_view *v);
nadb_rc map_prepare(nadb_engine *engine, const nadb_commit_req *req,
                    nadb_ticket **out, nadb_err *err);
void map_commit(nadb_engine *engine, nadb_ticket *ticket);
nadb_rc map_rollback(nadb_engine *engine, nadb_ticket *ticket, nadb_err *err);
void map_keep(nadb_engine *engine, nadb_keep keep);
nadb_rc map_changes(nadb_engine *engine, nadb_view *v, uint64_t since,
                    nadb_changes **out, nadb_err *err);
nadb_rc map_wait(nadb_engine *engine, uint64_t since, int64_t timeout_ms,
                 const nadb_stop *stop, uint64_t *seq, nadb_err *err);

#endif
