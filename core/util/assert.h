/* assert.h - invariants, checked in debug builds.
 *
 * Only for what our own code guarantees. Bytes from disk, network, schema or
 * application are checked in every build. */
#ifndef NADB_ASSERT_H
#define NADB_ASSERT_H

#ifdef NADB_DEBUG
#include <assert.h>
#define NADB_ASSERT(condition) assert(condition)
#else
#define NADB_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
