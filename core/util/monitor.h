/* monitor.h - statistics of a store's operations in this process: counts,
 * durations, and a line in the log for operations that the log's levels
 * include, that failed, or that were slow.
 *
 * Counts are exact. Each session counts in a meter of its own, which no other
 * thread writes. Reading a clock takes a tenth of the time of a small get, so
 * of gets, puts, deletes and commits only a sample is timed: the first 64 of a
 * session, then one in 64 at random distances, which stands in the histogram
 * for those before it. Other operations are always timed, and so is everything
 * if the log needs durations (log_slow_ms, level debug). */
#ifndef NADB_MONITOR_H
#define NADB_MONITOR_H

#include "log.h"
#include "metrics.h"
#include "sync.h"

#define NADB_TIMED_FIRST 64u
#define NADB_TIMED_ONE_IN 64u

/* Names in nadb_metrics and the log: "get", "get_miss", .. */
const char *nadb_op_name(nadb_op op);

typedef struct nadb_counts {
    _Atomic uint64_t count, errors, keys, bytes;
} nadb_counts;

typedef struct nadb_meter nadb_meter;

typedef struct nadb_monitor {
    bool started;
    nadb_mutex lock; /* guards the list, and the sums of ended meters */
    nadb_meter *meters;
    /* sums of ended meters, and background work */
    nadb_counts past[NADB_OP_COUNT];
    nadb_histogram times[NADB_OP_COUNT];
    atomic_bool all; /* time every operation */
    _Atomic(nadb_log *) log;
    nadb_log *owned;         /* the log, until it is freed */
    _Atomic int64_t slow_ns; /* slower operations are logged; INT64_MAX: none */
    int64_t opened_ns;       /* monotonic */
} nadb_monitor;

nadb_rc nadb_monitor_init(nadb_monitor *m, nadb_err *err) NADB_MUST_USE;
/* Frees the log. REQUIRES: all meters have ended. */
void nadb_monitor_clear(nadb_monitor *m);
/* Takes the log (NULL: none). Called once. */
void nadb_monitor_log(nadb_monitor *m, nadb_log *log, int64_t slow_ns);

/* Stops logging; the log is freed with the monitor. */
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

/* Of one session; one thread at a time uses it. A meter that is not started, or
 * has ended, counts nothing. */
struct nadb_meter {
    nadb_monitor *m;
    nadb_meter *next, **link; /* in list m->meters */
    /* Per operation: how many are left until the next timed one, the length of
     * that gap, and how many were timed, up to NADB_TIMED_FIRST. */
    uint32_t left[NADB_OP_COUNT], gap[NADB_OP_COUNT], timed[NADB_OP_COUNT];
    uint32_t chance;
    /* The session's open transaction; since_ms == 0: none. */
    _Atomic int64_t since_ms; /* Unix time */
    _Atomic int txn;          /* nadb_txn_state */
    _Atomic uint64_t txn_changes, txn_bytes;
    nadb_counts counts[NADB_OP_COUNT];
};

void nadb_meter_start(nadb_meter *t, nadb_monitor *m);
void nadb_meter_end(nadb_meter *t); /* may be called if it was never started */

/* Sets the state of the session's transaction. Its begin is now, unless it has
 * one. */
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

/* Calls `each` for every open transaction. */
typedef nadb_rc nadb_txn_fn(void *ctx, nadb_txn_state state, int64_t since_ms,
                            uint64_t changes, uint64_t bytes, nadb_err *err);
nadb_rc nadb_monitor_txns(nadb_monitor *m, nadb_txn_fn *each, void *ctx,
                          nadb_err *err) NADB_MUST_USE;

typedef struct nadb_span {
    int64_t from_ns;
    unsigned weight; /* operations that it stands for; 0: not timed */
} nadb_span;

static inline nadb_span nadb_span_begin(void) {
    nadb_span s = {nadb_os_get()->mono_ns(), 1};

    return s;
}

/* The duration so far; 0 if it is not timed. */
static inline uint64_t nadb_span_ns(const nadb_span *s) {
    int64_t ns = s->weight == 0 ? 0 : nadb_os_get()->mono_ns() - s->from_ns;

    return ns < 0 ? 0 : (uint64_t)ns;
}

/* As nadb_span_begin(), for an operation that was chosen to be timed. */
nadb_span nadb_span_chosen(nadb_meter *t, nadb_op op);

/* Begins an operation that may take less than a microsecond. */
static inline nadb_span nadb_span_sample(nadb_meter *t, nadb_op op) {
    nadb_span none = {0, 0};

    if (t->left[op] == 0) return nadb_span_chosen(t, op);
    t->left[op]--;
    return none;
}

/* The outcome of an operation. */
typedef struct nadb_done {
    nadb_op op;
    nadb_rc rc;
    const nadb_err *err; /* why it failed; may be NULL */
    uint64_t keys, bytes;
    nadb_slice key; /* of a single row; p == NULL: none */
} nadb_done;

/* Counts background work, and work without a session. */
void nadb_monitor_done(nadb_monitor *m, const nadb_span *s, const nadb_done *d);

static inline void nadb_counts_raise(_Atomic uint64_t *x, uint64_t n) {
    atomic_store_explicit(x, atomic_load_explicit(x, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* Counts a get of a session; errors and durations are not included. */
static inline void nadb_meter_get(nadb_meter *t, nadb_op op, uint64_t bytes) {
    nadb_counts_raise(&t->counts[op].count, 1);
    nadb_counts_raise(&t->counts[op].bytes, bytes);
}

/* Adds its duration and its error. */
void nadb_meter_note(nadb_meter *t, const nadb_span *s, const nadb_done *d);

/* Counts an operation of a session. */
void nadb_meter_done(nadb_meter *t, const nadb_span *s, const nadb_done *d);

#endif
