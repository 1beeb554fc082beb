/* expire.h - removing what has expired; for session.c, store.c and workers.c.
 * What it promises stands in expire.c. */
#ifndef NADB_EXPIRE_H
#define NADB_EXPIRE_H

#include "session.h"

/* Deletes, in the transaction, up to rows_max rows that expired at `to_ms` or
 * before. *removed is raised. */
nadb_rc session_purge(nadb_session *ss, int64_t to_ms, size_t rows_max,
                      int64_t *removed, bool *more,
                      nadb_err *err) NADB_MUST_USE;

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
