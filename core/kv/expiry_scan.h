/* expiry_scan.h - rows by the time at which they expire, by the index of
 * expiries; and a small iterator made of another. */
#ifndef NADB_EXPIRY_SCAN_H
#define NADB_EXPIRY_SCAN_H

#include "session.h"

/* Iterates, in the order of their expiry, over the rows of `view` that expire
 * from .. to (ms, both included). Entries are row keys with an empty value.
 * `decides`: what is read counts as a decision of the transaction. */
nadb_rc nadb_expiry_scan(nadb_session *ss, nadb_view *view, int64_t from,
                         int64_t to, bool decides, nadb_iter **out,
                         nadb_err *err) NADB_MUST_USE;

/* The entries of `inner`, which it takes (also on failure), that are kept. */
typedef bool nadb_keep_fn(void *ctx, const nadb_entry *e);
nadb_rc nadb_filter_iter(nadb_iter *inner, nadb_keep_fn *keep, void *ctx,
                         nadb_iter **out, nadb_err *err) NADB_MUST_USE;

#endif
