/* kv.h - struct nadb_kv: a store as core/kv sees it, with its engine and what
 * its sessions share. core/store.c makes one per store and owns what it points
 * to; sessions borrow it. */
#ifndef NADB_KV_H
#define NADB_KV_H

#include <stdatomic.h>

#include "../backend.h"
#include "../nadb.h"
#include "../util/monitor.h"
#include "access.h"
#include "cache.h"
#include "limits.h"
#include "tag_queries.h"

struct nadb_kv {
    /* In force. A later opener changes some of them under the registry's lock,
     * so other threads read those from the atomic copies below. */
    nadb_options *options;
    unsigned caps; /* NADB_CAP_* of its backend */
    nadb_engine *engine;
    nadb_cache *cache;             /* NULL: none */
    _Atomic(nadb_access *) access; /* NULL: reads are not tracked */
    _Atomic(nadb_limits *) limits; /* NULL: the store never had a limit */
    nadb_monitor monitor;
    nadb_tag_queries tag_queries;
    _Atomic int synchronous; /* the strictest of all openers */
    _Atomic int compression; /* level of zlib; 0: off */
    _Atomic uint64_t buffer_bytes;
    _Atomic int64_t flush_interval_ms;
    _Atomic int64_t busy_timeout_ms;
    atomic_bool read_only; /* no opener may write */
    bool forked;           /* inherited through fork(): not usable */

    /* Called after each commit, except those of the sweeper. */
    void (*committed)(void *ctx);
    void *ctx;
};

static inline nadb_limits *kv_limits(nadb_kv *kv) {
    return atomic_load_explicit(&kv->limits, memory_order_acquire);
}

/* In a forked child: nothing uses the store from now on, nor writes to its log,
 * whose lock may have been held at the fork. */
static inline void kv_inherit(nadb_kv *kv) {
    kv->forked = true;
    nadb_monitor_quiet(&kv->monitor);
}

/* NADB_CANTOPEN if the store was inherited through fork(). */
NADB_MUST_USE static inline nadb_rc kv_usable(const nadb_kv *kv,
                                              nadb_err *err) {
    if (!kv->forked) return NADB_OK;
    return nadb_fail(err, NADB_CANTOPEN,
                     "this connection was opened before fork(): open a new "
                     "one in this process");
}

#endif
