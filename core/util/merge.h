/* merge.h - several sorted sources as one.
 *
 * Of entries with one key, that of the source with the lowest index is returned
 * and the others are skipped; sources are given newest first. */
#ifndef NADB_MERGE_H
#define NADB_MERGE_H

#include "iter.h"

/* Merges n iterators, which all walk over `range` (NULL: everything, forward),
 * and owns them, also on failure. Tombstones are returned only with
 * `tombstones`. */
nadb_rc nadb_merge(nadb_iter **sources, size_t n, const nadb_range *range,
                   bool tombstones, nadb_iter **out,
                   nadb_err *err) NADB_MUST_USE;

#endif
