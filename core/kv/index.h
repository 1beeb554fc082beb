/* index.h - the indexes over rows: their entries, and how they follow from
 * what a transaction changes (bytes: docs/format.md, "Indexes").
 *
 *   t <tag> 0 0 <key>           for every tag of every row; value: the row's
 *                               expiry; empty: none
 *   x <be64 expiry> <key>       for every row that expires; value: its tags
 *   c <tag>                     how many t entries the tag has; a varint,
 *                               and perhaps nadb_changed_seq()'s 8 bytes
 *
 * They are entries of the store like rows, in the same commit, so that they are
 * exact after any crash. Rows that have expired are in all three until they are
 * removed for good; the expiry in t and the tags in x say what to leave out
 * without reading a row.
 *
 * nadb_index_derive() finds what must change: it compares each row of a batch
 * with the one that a view shows. Counters come out as absolute numbers, so the
 * view must show the state that the commit follows: prepare calls back with it
 * (nadb_commit_req.derive) while it holds the commit lock.
 *
 * updated_at, created_at and size have no index: it would cost every put two
 * entries. */
#ifndef NADB_INDEX_H
#define NADB_INDEX_H

#include "batch.h"

/* --- keys --- */

/* Appends; false when out of memory. */
bool nadb_index_tag_key(nadb_buf *out, nadb_slice tag,
                        nadb_slice key) NADB_MUST_USE;
bool nadb_index_expiry_key(nadb_buf *out, int64_t expires_ms,
                           nadb_slice key) NADB_MUST_USE;
bool nadb_index_count_key(nadb_buf *out, nadb_slice tag) NADB_MUST_USE;
/* The value of a t entry. */
bool nadb_index_tag_value(nadb_buf *out, int64_t expires_ms) NADB_MUST_USE;
/* The expiry in that value; invalid bytes: NADB_NO_EXPIRY. */
int64_t nadb_index_expires(nadb_slice value);
/* Splits the key of an x entry; false if it is not one. */
bool nadb_index_expiry_split(nadb_slice entry_key, int64_t *expires_ms,
                             nadb_slice *key) NADB_MUST_USE;
/* The number in the value of a c entry; invalid bytes: 0. */
uint64_t nadb_index_count(nadb_slice value);

/* --- expiry --- */

/* nadb_commit_req.expired, for a row or an entry of an index. A counter has
 * expired when all rows that it counts have. */
nadb_rc nadb_index_expired(nadb_engine *e, nadb_view *view,
                           const nadb_entry *shown, int64_t now_ms,
                           bool *expired, nadb_err *err) NADB_MUST_USE;

/* --- changes --- */

typedef struct nadb_index_changes {
    size_t memory_max; /* of `list` and of `counts`, each: batch_new() */
    batch *list;       /* the changed entries; NULL: none yet */
    batch *counts;     /* the change of each tag, during derivation */
    nadb_buf key;      /* scratch */
    size_t bytes;      /* of keys and values */
    /* value of the tombstones: sequence number of the expired row */
    nadb_slice as_of;
    bool derived;
    uint64_t seq;     /* the view .. */
    uint64_t next_id; /* .. and the batch from which they were derived */
    uint64_t undone;
} nadb_index_changes;

/* Derives what the batch changes in the indexes as `view` shows them, and with
 * `track` in the notes of reads. Does nothing if `x` already holds that. */
nadb_rc nadb_index_derive(nadb_index_changes *x, nadb_engine *e,
                          nadb_view *view, batch *b, bool track,
                          nadb_err *err) NADB_MUST_USE;
size_t nadb_index_changed(const nadb_index_changes *x); /* number of entries */
/* Walks over the changed entries, with tombstones. REQUIRES: they were derived,
 * and are not derived again while the iterator is used. */
nadb_rc nadb_index_iter(const nadb_index_changes *x, const nadb_range *range,
                        nadb_iter **out, nadb_err *err) NADB_MUST_USE;
void nadb_index_changes_reset(nadb_index_changes *x);
void nadb_index_changes_clear(nadb_index_changes *x);

#endif
