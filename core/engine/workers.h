/* workers.h - the two background threads of the process, for all its stores.
 *
 * nadb-flush syncs logs every flush_interval and releases old versions of idle
 * connections; none of its work takes long. nadb-work flushes full memtables to
 * their base and compacts. Both start with the first store that needs them and
 * run until the process ends, because the library is never unloaded. For a
 * read-only store they only release old versions. */
#ifndef NADB_WORKERS_H
#define NADB_WORKERS_H

#include "engine.h"

/* Registers a store, once, and starts the threads. */
nadb_rc nadb_workers_add(engine *s, nadb_err *err) NADB_MUST_USE;
/* Unregisters a store and waits until neither thread uses it. */
void nadb_workers_remove(engine *s);
/* Wakes nadb-work, because there is something to flush in this store. Cheap. */
void nadb_workers_kick(engine *s);
/* fork(): stops both threads before it; the child begins without threads. */
void nadb_workers_before_fork(void);
void nadb_workers_after_fork(bool child);
/* True if the threads run. */
bool nadb_workers_running(void);

#endif
