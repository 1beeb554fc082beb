/* kv.h - what kv knows of a store that is open in the process: its engine, and
 * what all its sessions share. core/store.c makes one for each store, and owns
 * what it points to; sessions borrow it. */
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
    nadb_options *options; /* in force */
    unsigned caps;         /* NADB_CAP_* of its backend */
    nadb_engine *engine;
    nadb_cache *cache;             /* NULL: none */
    nadb_access *access;           /* NULL: reads are not tracked */
    _Atomic(nadb_limits *) limits; /* NULL: none was ever asked for */
    nadb_monitor monitor;
    nadb_tag_queries tag_queries;
    _Atomic int synchronous; /* the strictest that an opener asked for */
    bool forked;             /* inherited through fork(): not to be used */

    /* After each commit that is not the sweeper's own. */
    void (*committed)(void *ctx);
    void *ctx;
};

static inline nadb_limits *kv_limits(nadb_kv *kv) {
    return atomic_load_explicit(&kv->limits, memory_order_acquire);
}

/* NADB_CANTOPEN for a store that was inherited through fork(). */
NADB_MUST_USE static inline nadb_rc kv_usable(const nadb_kv *kv,
                                              nadb_err *err) {
    if (!kv->forked) return NADB_OK;
    return nadb_fail(err, NADB_CANTOPEN,
                     "this connection was opened before fork(): open a new "
                     "one in this process");
}

#endif
