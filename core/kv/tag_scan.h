/* tag_scan.h - rows whose tags are what an expression asks for, found by the
 * tag index: sorted lists of keys, one a tag, joined by leapfrogging, so that
 * the first rows of an AND cost a few seeks and not its longest list. */
#ifndef NADB_TAG_SCAN_H
#define NADB_TAG_SCAN_H

#include "session.h"

/* Iterates, in the order of their keys, over the rows of `view` that match and
 * have not expired at `now_ms`. Entries are row keys of the range, with an
 * empty value. What is read counts as a decision of the transaction.
 *
 * *out is NULL when the index cannot tell (rows without tags may match, or a
 * prefix stands for very many tags): then every row must be looked at. *exact:
 * nothing is left to check. The view, and the match, outlive the iterator. */
nadb_rc nadb_tag_scan(nadb_session *ss, nadb_view *view, const nadb_match *m,
                      const nadb_range *range, int64_t now_ms, nadb_iter **out,
                      bool *exact, nadb_err *err) NADB_MUST_USE;

#endif
