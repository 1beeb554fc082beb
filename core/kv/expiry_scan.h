/* expiry_scan.h - walks over rows by their expiry, through the index of
 * expiries; and a filter for iterators. */
#ifndef NADB_EXPIRY_SCAN_H
#define NADB_EXPIRY_SCAN_H

#include "session.h"

/* Walks, by expiry, over the rows of `view` that expire between `from` and `to`
 * (ms, inclusive). Entries are row keys with an empty value. `decides`: what is
 * read is checked for conflicts at prepare. */
nadb_rc nadb_expiry_scan(nadb_session *ss, nadb_view *view, int64_t from,
                         int64_t to, bool decides, nadb_iter **out,
                         nadb_err *err) NADB_MUST_USE;

/* Iterates over the entries of `inner` for which the function returns true.
 * Takes `inner`, also on failure. */
typedef bool nadb_keep_fn(void *ctx, const nadb_entry *e);
nadb_rc nadb_filter_iter(nadb_iter *inner, nadb_keep_fn *keep, void *ctx,
                         nadb_iter **out, nadb_err *err) NADB_MUST_USE;

#endif
