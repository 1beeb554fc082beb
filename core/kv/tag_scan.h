/* tag_scan.h - walks over the rows that match a tag expression, through the tag
 * index: sorted lists of keys, one per tag, joined by leapfrogging. The first
 * rows of an AND cost a few seeks instead of a walk over its longest list. */
#ifndef NADB_TAG_SCAN_H
#define NADB_TAG_SCAN_H

#include "session.h"

/* Walks, in key order, over the rows of `view` that match and have not expired
 * at `now_ms`. Entries are row keys of the range, with an empty value. What is
 * read is checked for conflicts at prepare.
 *
 * *out is NULL if the index cannot answer (rows without tags may match, or a
 * prefix stands for too many tags): the caller must then test every row.
 * *exact: the rows need no further test. View and match must outlive the
 * iterator. */
nadb_rc nadb_tag_scan(nadb_session *ss, nadb_view *view, const nadb_match *m,
                      const nadb_range *range, int64_t now_ms, nadb_iter **out,
                      bool *exact, nadb_err *err) NADB_MUST_USE;

#endif
