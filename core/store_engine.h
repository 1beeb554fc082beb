/* store_engine.h - the engine of a store, for core/backup, which reads more
 * than rows from it. Both results are valid while the store is open. */
#ifndef NADB_STORE_ENGINE_H
#define NADB_STORE_ENGINE_H

#include "nadb.h"

nadb_engine *nadb_store_engine(nadb_store *s);
/* NADB_CAP_* of its backend. */
unsigned nadb_store_caps(const nadb_store *s);
/* NADB_CANTOPEN if the store was inherited through fork(). */
nadb_rc nadb_store_usable(nadb_store *s, nadb_err *err) NADB_MUST_USE;

#endif
