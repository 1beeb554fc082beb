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
 * (nadb_commit_req.derive) while it holds the commit lock. */
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
/* What it says; impossible bytes give NADB_NO_EXPIRY. */
int64_t nadb_index_expires(nadb_slice value);
/* Takes an x entry's key apart; false when it is none. */
bool nadb_index_expiry_split(nadb_slice entry_key, int64_t *expires_ms,
                             nadb_slice *key) NADB_MUST_USE;
/* The value of a c entry; impossible bytes give 0. */
uint64_t nadb_index_count(nadb_slice value);

/* --- expiry --- */

/* nadb_commit_req.expired: of a row, or of an entry of an index. A counter has
 * when every row that it counts has. */
nadb_rc nadb_index_expired(nadb_engine *e, nadb_view *view,
                           const nadb_entry *shown, int64_t now_ms,
                           bool *expired, nadb_err *err) NADB_MUST_USE;

/* --- changes --- */

typedef struct nadb_index_changes {
    size_t memory_max; /* of `list`, and of `counts`: batch_new() */
    batch *list;       /* the entries; NULL: none yet */
    batch *counts;     /* what happened to each tag, while it is derived */
    nadb_buf key;      /* scratch */
    size_t bytes;      /* of keys and values */
    nadb_slice as_of;  /* value of tombstones: of a row that has expired */
    bool derived;
    uint64_t seq;     /* of the view, */
    uint64_t next_id; /* and of the batch, that they follow from */
    uint64_t undone;
} nadb_index_changes;

/* What the batch changes in the indexes of `view`; `track`: and in the notes of
 * when rows were read. Does nothing when that is what `x` holds already. */
nadb_rc nadb_index_derive(nadb_index_changes *x, nadb_engine *e,
                          nadb_view *view, batch *b, bool track,
                          nadb_err *err) NADB_MUST_USE;
size_t nadb_index_changed(const nadb_index_changes *x); /* how many */
/* Iterates over them, tombstones included. They have been derived, and are not
 * derived again before the iterator's last use. */
nadb_rc nadb_index_iter(const nadb_index_changes *x, const nadb_range *range,
                        nadb_iter **out, nadb_err *err) NADB_MUST_USE;
void nadb_index_changes_reset(nadb_index_changes *x);
void nadb_index_changes_clear(nadb_index_changes *x);

#endif
