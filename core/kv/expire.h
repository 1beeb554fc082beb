/* expire.h - removes expired rows; for session.c, store.c and workers.c.
 * expire.c explains it. */
#ifndef NADB_EXPIRE_H
#define NADB_EXPIRE_H

#include "../util/sync.h"
#include "session.h"

/* A store's sweeper, with its own clock, which starts with the store. */
typedef struct nadb_sweeper {
    bool started;
    nadb_mutex lock;  /* guards the two fields below */
    int64_t ahead_ms; /* this clock minus the monotonic one */
    int64_t last_ms;  /* monotonic time of the last reading */
    /* End of the last complete round, Unix time; 0: never. */
    _Atomic int64_t last_at_ms;
} nadb_sweeper;

nadb_rc nadb_sweeper_start(nadb_sweeper *w,
                           nadb_err *err) NADB_MUST_USE; /* REQUIRES: zeroed */
/* may be called if it was never started */
void nadb_sweeper_stop(nadb_sweeper *w);
/* One round, of a few ms. True: more is left. */
bool nadb_sweep(nadb_sweeper *w, nadb_kv *kv);
/* Removes everything that has expired, before a compaction. NADB_INTERRUPT if
 * `stop` ended it. */
nadb_rc nadb_sweep_all(nadb_sweeper *w, nadb_kv *kv, nadb_stop_fn *stop,
                       void *ctx, nadb_err *err) NADB_MUST_USE;

#endif
