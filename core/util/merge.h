/* merge.h - several sorted sources read as one.
 *
 * Where sources share a key, the one with the lowest index wins and the others
 * are skipped: sources are given newest first. */
#ifndef NADB_MERGE_H
#define NADB_MERGE_H

#include "iter.h"

/* Takes ownership of the n iterators in `sources` (also on failure), which all
 * walk `range` (NULL: everything, forward). Tombstones are passed on only if
 * asked. */
nadb_rc nadb_merge(nadb_iter **sources, size_t n, const nadb_range *range,
                   bool tombstones, nadb_iter **out,
                   nadb_err *err) NADB_MUST_USE;

#endif
