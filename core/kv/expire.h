/* expire.h - removing what has expired; for session.c, store.c and workers.c.
 * What it promises stands in expire.c. */
#ifndef NADB_EXPIRE_H
#define NADB_EXPIRE_H

#include "../util/sync.h"
#include "session.h"

/* A store's sweeper: its clock, which starts with the store. */
typedef struct nadb_sweeper {
    bool started;
    nadb_mutex lock;  /* guards what follows */
    int64_t ahead_ms; /* the clock less the monotonic one */
    int64_t last_ms;  /* monotonic, when it was looked at */
    /* When a round has last come to its end; 0: never. */
    _Atomic int64_t last_at_ms;
} nadb_sweeper;

nadb_rc nadb_sweeper_start(nadb_sweeper *w,
                           nadb_err *err) NADB_MUST_USE; /* zeroed before */
void nadb_sweeper_stop(nadb_sweeper *w); /* fine where it was not started */
/* One round, of some ms. True: there is more to do. */
bool nadb_sweep(nadb_sweeper *w, nadb_kv *kv);
/* All there is to do now, before a compaction. NADB_INTERRUPT: `stop`. */
nadb_rc nadb_sweep_all(nadb_sweeper *w, nadb_kv *kv, nadb_stop_fn *stop,
                       void *ctx, nadb_err *err) NADB_MUST_USE;

#endif
