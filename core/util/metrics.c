/* metrics.c - see metrics.h.
 *
 * Buckets 0 to 15 are single nanoseconds. From then on the position of the
 * highest bit and the four bits behind it identify a bucket. */
#include "metrics.h"

#include <string.h>

#define SUB_BITS 4u
#define SUBS (1u << SUB_BITS)

static unsigned bucket_of(uint64_t ns) {
    unsigned high, at;

    if (ns < SUBS) return (unsigned)ns;
    high = 63u - (unsigned)__builtin_clzll(ns);
    at = (high - SUB_BITS + 1) * SUBS +
         (unsigned)(ns >> (high - SUB_BITS) & (SUBS - 1));
    return at < NADB_BUCKETS ? at : NADB_BUCKETS - 1;
}

/* The middle of a bucket's range. */
static uint64_t middle_of(unsigned bucket) {
    unsigned shift;
    uint64_t low;

    if (bucket < SUBS) return bucket;
    shift = bucket / SUBS - 1;
    low = (uint64_t)(SUBS + bucket % SUBS) << shift;
    return low + ((uint64_t)1 << shift) / 2;
}

static void raise_to(_Atomic uint64_t *x, uint64_t v) {
    uint64_t seen = atomic_load_explicit(x, memory_order_relaxed);

    while (seen < v &&
           !atomic_compare_exchange_weak_explicit(
               x, &seen, v, memory_order_relaxed, memory_order_relaxed))
        continue;
}

static void add(_Atomic uint64_t *x, uint64_t n) {
    atomic_fetch_add_explicit(x, n, memory_order_relaxed);
}

void nadb_histogram_add(nadb_histogram *h, uint64_t ns, unsigned weight) {
    add(&h->buckets[bucket_of(ns)], weight);
    add(&h->operations, weight);
    add(&h->sum_ns, ns * weight);
    add(&h->timed, 1);
    raise_to(&h->max_ns, ns);
    raise_to(&h->below_min_ns, UINT64_MAX - ns);
}

void nadb_histogram_read(const nadb_histogram *h, nadb_times *out) {
    static const double parts[] = {0.50, 0.95, 0.99};
    uint64_t *at[] = {&out->p50_ns, &out->p95_ns, &out->p99_ns};
    uint64_t total = 0, passed = 0;
    uint64_t copy[NADB_BUCKETS];
    unsigned part = 0;

    memset(out, 0, sizeof *out);
    out->timed = atomic_load(&h->timed);
    out->operations = atomic_load(&h->operations);
    out->sum_ns = atomic_load(&h->sum_ns);
    for (unsigned i = 0; i < NADB_BUCKETS; i++)
        total += copy[i] = atomic_load(&h->buckets[i]);
    if (out->operations == 0 || total == 0) {
        out->timed = 0;
        return;
    }
    out->avg_ns = out->sum_ns / out->operations;
    out->max_ns = atomic_load(&h->max_ns);
    out->min_ns = UINT64_MAX - atomic_load(&h->below_min_ns);
    for (unsigned i = 0; i < NADB_BUCKETS && part < 3; i++) {
        passed += copy[i];
        while (part < 3 && (double)passed >= parts[part] * (double)total) {
            uint64_t ns = middle_of(i);

            if (ns < out->min_ns) ns = out->min_ns;
            if (ns > out->max_ns) ns = out->max_ns;
            *at[part++] = ns;
        }
    }
}
