/* monitor.h - what is known of a store's operations in this process: how many
 * there were, how long they took, and a line in the log for those that the log
 * wants, that failed, or were slow.
 *
 * Counting is exact. A session counts in a meter of its own, which no other
 * thread writes. Reading a clock takes as long as a tenth of a small get, so of
 * gets, puts, deletes and commits only some are timed: of each the first 64 of
 * a session, and after that one in 64, with gaps of random length, which stands
 * in the histogram for those in the gap before it, too. All others are timed
 * each time, and so is everything where the log has to know (log_slow_ms, level
 * debug). */
#ifndef NADB_MONITOR_H
#define NADB_MONITOR_H

#include "log.h"
#include "metrics.h"
#include "sync.h"

#define NADB_TIMED_FIRST 64u
#define NADB_TIMED_ONE_IN 64u

/* "get", "get_miss", ..: as nadb_metrics and the log call it. */
const char *nadb_op_name(nadb_op op);

typedef struct nadb_counts {
    _Atomic uint64_t count, errors, keys, bytes;
} nadb_counts;

typedef struct nadb_meter nadb_meter;

typedef struct nadb_monitor {
    bool started;
    nadb_mutex lock; /* guards the list, and what ended meters have left */
    nadb_meter *meters;
    nadb_counts past[NADB_OP_COUNT]; /* also of background work */
    nadb_histogram times[NADB_OP_COUNT];
    atomic_bool all; /* every operation is timed */
    _Atomic(nadb_log *) log;
    nadb_log *owned;         /* the same, until it is freed */
    _Atomic int64_t slow_ns; /* what takes longer is logged; INT64_MAX: none */
    int64_t opened_ns;       /* monotonic */
} nadb_monitor;

nadb_rc nadb_monitor_init(nadb_monitor *m, nadb_err *err) NADB_MUST_USE;
/* No meter is left. Frees the log. */
void nadb_monitor_clear(nadb_monitor *m);
/* Takes the log (NULL: none). Once. */
void nadb_monitor_log(nadb_monitor *m, nadb_log *log, int64_t slow_ns);

/* Nothing is logged any more; the log is freed with the monitor. */
void nadb_monitor_quiet(nadb_monitor *m);

typedef struct nadb_op_stats {
    uint64_t count, errors, keys, bytes;
    nadb_times times;
} nadb_op_stats;

void nadb_monitor_read(nadb_monitor *m, nadb_op op, nadb_op_stats *out);

/* --- one operation --- */

typedef enum nadb_txn_state {
    NADB_TXN_READING,
    NADB_TXN_WRITING,
    NADB_TXN_PREPARED
} nadb_txn_state;

/* Of one session: used by one thread at a time. One that is not started, or has
 * ended, counts nothing. */
struct nadb_meter {
    nadb_monitor *m;
    nadb_meter *next, **link; /* in m->meters */
    /* By operation: those that are not timed before the next that is, how many
     * they were at first, and how many have been timed, up to
     * NADB_TIMED_FIRST. */
    uint32_t left[NADB_OP_COUNT], gap[NADB_OP_COUNT], timed[NADB_OP_COUNT];
    uint32_t chance;
    /* The transaction that the session has open; since_ms == 0: none. */
    _Atomic int64_t since_ms; /* Unix time */
    _Atomic int txn;          /* nadb_txn_state */
    _Atomic uint64_t txn_changes, txn_bytes;
    nadb_counts counts[NADB_OP_COUNT];
};

void nadb_meter_start(nadb_meter *t, nadb_monitor *m);
void nadb_meter_end(nadb_meter *t); /* never started is fine */

/* The session's transaction is in that state, and has been one since now if it
 * was none before. */
static inline void nadb_meter_txn(nadb_meter *t, nadb_txn_state state,
                                  int64_t now_ms) {
    if (atomic_load_explicit(&t->since_ms, memory_order_relaxed) == 0)
        atomic_store_explicit(&t->since_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&t->txn, (int)state, memory_order_relaxed);
}

static inline void nadb_meter_txn_end(nadb_meter *t) {
    atomic_store_explicit(&t->since_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&t->txn_changes, 0, memory_order_relaxed);
    atomic_store_explicit(&t->txn_bytes, 0, memory_order_relaxed);
}

/* Calls `each` for each transaction that is open. */
typedef nadb_rc nadb_txn_fn(void *ctx, nadb_txn_state state, int64_t since_ms,
                            uint64_t changes, uint64_t bytes, nadb_err *err);
nadb_rc nadb_monitor_txns(nadb_monitor *m, nadb_txn_fn *each, void *ctx,
                          nadb_err *err) NADB_MUST_USE;

typedef struct nadb_span {
    int64_t from_ns;
    unsigned weight; /* operations that it stands for; 0: it is not timed */
} nadb_span;

static inline nadb_span nadb_span_begin(void) {
    nadb_span s = {nadb_os_get()->mono_ns(), 1};

    return s;
}

/* How long it has taken so far; 0 when it is not timed. */
static inline uint64_t nadb_span_ns(const nadb_span *s) {
    int64_t ns = s->weight == 0 ? 0 : nadb_os_get()->mono_ns() - s->from_ns;

    return ns < 0 ? 0 : (uint64_t)ns;
}

/* As nadb_span_begin(), where the operation is one that is to be timed. */
nadb_span nadb_span_chosen(nadb_meter *t, nadb_op op);

/* Of an operation that may take less than a microsecond. */
static inline nadb_span nadb_span_sample(nadb_meter *t, nadb_op op) {
    nadb_span none = {0, 0};

    if (t->left[op] == 0) return nadb_span_chosen(t, op);
    t->left[op]--;
    return none;
}

/* What became of it. */
typedef struct nadb_done {
    nadb_op op;
    nadb_rc rc;
    const nadb_err *err; /* NULL, or says why */
    uint64_t keys, bytes;
    nadb_slice key; /* of a single row; p == NULL: none */
} nadb_done;

/* Background work, and what belongs to no session. */
void nadb_monitor_done(nadb_monitor *m, const nadb_span *s, const nadb_done *d);

static inline void nadb_counts_raise(_Atomic uint64_t *x, uint64_t n) {
    atomic_store_explicit(x, atomic_load_explicit(x, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* A get of a session is over, and is counted; an error and its time are not. */
static inline void nadb_meter_get(nadb_meter *t, nadb_op op, uint64_t bytes) {
    nadb_counts_raise(&t->counts[op].count, 1);
    nadb_counts_raise(&t->counts[op].bytes, bytes);
}

/* The rest of it: how long it took, and whether it failed. */
void nadb_meter_note(nadb_meter *t, const nadb_span *s, const nadb_done *d);

/* An operation of a session has ended. */
void nadb_meter_done(nadb_meter *t, const nadb_span *s, const nadb_done *d);

#endif
