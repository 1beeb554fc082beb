/* workers.h - the two background threads of the process, for all its stores.
 *
 * nadb-flush syncs logs on time (each store's flush_interval) and takes old
 * versions away from idle connections; it never works long on one thing.
 * nadb-work flushes full memtables to their base and compacts. Both start with
 * the first store that needs them and stay: the library is loaded for good.
 * For a store that is read-only they do no more than to take old versions
 * away. */
#ifndef NADB_WORKERS_H
#define NADB_WORKERS_H

#include "engine.h"

/* Registers a store, once; starts the threads. */
nadb_rc nadb_workers_add(engine *s, nadb_err *err) NADB_MUST_USE;
/* Returns when neither thread is using the store, or will. */
void nadb_workers_remove(engine *s);
/* There is something to flush. Cheap. */
void nadb_workers_kick(void);
/* fork(): hold everything still before; the child begins with no threads. */
void nadb_workers_before_fork(void);
void nadb_workers_after_fork(bool child);
/* Whether the threads run. */
bool nadb_workers_running(void);

#endif
