/* engine.h - shared by memory.c, commit.c and changes.c. */
#ifndef NADB_MEMORY_ENGINE_H
#define NADB_MEMORY_ENGINE_H

#include "../../core/recent.h"
#include "../../core/util/claims.h"
#include "../../core/util/sync.h"
#include "map.h"

typedef struct memory_view {
    nadb_view base;
    uint64_t clear_seq; /* a clear hides versions up to this one */
    bool resting;       /* not in the list: it keeps no version */
    bool locked;        /* prepare()'s own view, whose thread holds the lock */
    struct memory_view *older, *newer;
} memory_view;

typedef struct memory_engine {
    nadb_engine base;
    nadb_mutex lock;    /* guards everything below */
    nadb_cond resolved; /* signalled when a ticket ends */
    map map;
    uint64_t seq;         /* of the last commit */
    uint64_t changed_seq; /* of the last commit, not counting the sweeper's */
    uint64_t clear_seq;
    uint64_t swept_seq; /* the clear whose versions are being freed */
    uint64_t last_id;
    memory_view *oldest, *newest;
    node *stale_first, *stale_last;
    unsigned tickets; /* number in doubt */
    bool clearing;    /* one of the tickets is a clear */
    nadb_claims claims;
    /* clears that wait for claims; meanwhile no new claims are made */
    unsigned clears_waiting;
    uint64_t rows;  /* live, keyspace NADB_KS_ROW */
    uint64_t bytes; /* live keys and values, all keyspaces */
    nadb_totals totals;
    nadb_recent recent; /* kept changes */
} memory_engine;

typedef struct memory_ticket {
    version *changes; /* linked by `next` */
    bool clear;
    bool background;   /* a commit of the sweeper */
    nadb_piece *piece; /* NULL: changes are not kept */
} memory_ticket;

/* The version of a node that a view sees; NULL if there is none, or n is
 * NULL. */
static inline const version *memory_seen(const memory_view *v, const node *n) {
    return n == NULL ? NULL : node_visible(n, v->base.seq, v->clear_seq);
}

/* Takes the lock, unless the view is prepare()'s own. */
static inline void memory_lock(memory_engine *e, const memory_view *v) {
    if (!v->locked) nadb_lock(&e->lock);
}

static inline void memory_unlock(memory_engine *e, const memory_view *v) {
    if (!v->locked) nadb_unlock(&e->lock);
}

/* Frees what no open view can see (commit.c). REQUIRES: the lock. */
void memory_reclaim(memory_engine *e);

/* Makes the piece of a linked ticket; NADB_NOMEM. REQUIRES: the lock. */
nadb_rc memory_changes_make(const memory_engine *e, memory_ticket *t,
                            nadb_err *err) NADB_MUST_USE;
/* Operations of nadb_engine_ops (changes.c). */
void memory_keep(nadb_engine *engine, nadb_keep keep);
nadb_rc memory_changes(nadb_engine *engine, nadb_view *v, uint64_t since,
                       nadb_changes **out, nadb_err *err);
nadb_rc memory_wait(nadb_engine *engine, uint64_t since, int64_t timeout_ms,
                    const nadb_stop *stop, uint64_t *seq, nadb_err *err);

/* Operations of nadb_engine_ops (commit.c). */
nadb_rc memory_claim(nadb_engine *engine, nadb_view *v, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void memory_unclaim(nadb_engine *engine, uint32_t claim);
nadb_rc memory_settle(nadb_engine *engine, const nadb_dbfile *file,
                      const nadb_ticket *own, int64_t timeout_ms,
                      nadb_err *err);
bool memory_moved(nadb_engine *engine, const nadb_view *v);
nadb_rc memory_prepare(nadb_engine *engine, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err);
void memory_commit(nadb_engine *engine, nadb_ticket *t);
nadb_rc memory_rollback(nadb_engine *engine, nadb_ticket *t, nadb_err *err);

#endif
