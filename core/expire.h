/* expire.h - removing what has expired; for session.c, store.c and workers.c.
 * What it promises stands in expire.c. */
#ifndef NADB_EXPIRE_H
#define NADB_EXPIRE_H

#include "session.h"

/* A store's sweeper: its clock, which starts with the store. One thread at a
 * time. */
typedef struct nadb_sweeper {
    bool started;
    int64_t ahead_ms; /* the clock less the monotonic one */
    int64_t last_ms;  /* monotonic, when it was looked at */
} nadb_sweeper;

void nadb_sweeper_start(nadb_sweeper *w); /* zeroed before */
/* One round, of some ms. True: there is more to do. */
bool nadb_sweep(nadb_sweeper *w, nadb_store *s);

#endif
