/* metrics.h - the operations that are counted and timed, and histograms of
 * their durations.
 *
 * A histogram has sixteen buckets per power of two of nanoseconds, so a
 * percentile is wrong by 3 % at most, and its memory is constant. Adding takes
 * no lock. */
#ifndef NADB_METRICS_H
#define NADB_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* In the order of nadb_metrics. */
typedef enum nadb_op {
    NADB_OP_GET,
    NADB_OP_GET_MISS,
    NADB_OP_PUT,
    NADB_OP_UPDATE,
    NADB_OP_DELETE,
    NADB_OP_SCAN,
    NADB_OP_SCAN_KEYS,
    NADB_OP_SCAN_RANGE,
    NADB_OP_SCAN_TAG,
    NADB_OP_SCAN_EXPIRY,
    NADB_OP_SCAN_UPDATED,
    NADB_OP_COMMIT,
    NADB_OP_ROLLBACK,
    NADB_OP_CLEAR,
    NADB_OP_FLUSH,
    NADB_OP_MERGE,
    NADB_OP_COMPACT,
    NADB_OP_SYNC,
    NADB_OP_SWEEP,
    NADB_OP_COUNT
} nadb_op;

#define NADB_BUCKETS 624u

typedef struct nadb_histogram {
    _Atomic uint64_t buckets[NADB_BUCKETS]; /* operations */
    _Atomic uint64_t operations, sum_ns;
    _Atomic uint64_t timed;  /* timed operations; each may stand for several */
    _Atomic uint64_t max_ns, /* of the timed ones */
        below_min_ns;        /* 2^64 - 1 - the minimum */
} nadb_histogram;

/* Adds an operation that stands for `weight` of them. */
void nadb_histogram_add(nadb_histogram *h, uint64_t ns, unsigned weight);

typedef struct nadb_times {
    uint64_t timed; /* 0: the other fields are not valid */
    uint64_t operations, sum_ns, avg_ns, min_ns, max_ns, p50_ns, p95_ns, p99_ns;
} nadb_times;

void nadb_histogram_read(const nadb_histogram *h, nadb_times *out);

#endif
