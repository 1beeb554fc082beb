/* assert.h - invariants, checked in debug builds.
 *
 * For what our own code guarantees; never for bytes from disk, network, schema
 * or application, which are checked in every build. */
#ifndef NADB_ASSERT_H
#define NADB_ASSERT_H

#ifdef NADB_DEBUG
#include <assert.h>
#define NADB_ASSERT(condition) assert(condition)
#else
#define NADB_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
