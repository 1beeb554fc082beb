/* recent.h - the last committed changes of a store in memory, for keep_changes.
 *
 * A commit makes a piece of its changes while it may still fail, and appends it
 * when it becomes visible. A reader copies what it asks for, so it needs no
 * lock afterwards.
 *
 *   piece   kind u8, varint length, key;  kind u8, ...
 *
 * The engine's lock guards the list; functions that get it as `lock` take it.
 */
#ifndef NADB_RECENT_H
#define NADB_RECENT_H

#include "backend.h"
#include "util/sync.h"

typedef struct nadb_piece nadb_piece;

typedef struct nadb_recent {
    nadb_keep keep; /* how many changes are kept */
    nadb_piece *first, *last;
    uint64_t bytes;
    uint64_t floor; /* the pieces have all changes after it */
    uint64_t seq;   /* the last commit */
} nadb_recent;

void nadb_recent_clear(nadb_recent *r);
/* nadb_engine_ops.keep */
void nadb_recent_keep(nadb_recent *r, nadb_mutex *lock, nadb_keep keep);

/* Append what a commit changes to a buffer: first the clear, if there is one,
 * then each entry; entries of indexes are left out. False if out of memory. */
bool nadb_recent_put_clear(nadb_buf *out) NADB_MUST_USE;
bool nadb_recent_put(nadb_buf *out, const nadb_entry *change) NADB_MUST_USE;
/* Makes a piece of the buffer; NULL if out of memory. */
nadb_piece *nadb_piece_new(const nadb_buf *changes) NADB_MUST_USE;
void nadb_piece_free(nadb_piece *p); /* NULL is fine */

/* Adds the piece of commit `seq` and owns it. NULL: changes were not kept when
 * the commit was prepared, so there is no piece; earlier pieces are dropped,
 * because the list must not have a gap. */
void nadb_recent_add(nadb_recent *r, nadb_piece *p, uint64_t seq);

/* nadb_engine_ops.changes, for a view at `upto`. */
nadb_rc nadb_recent_walk(const nadb_recent *r, nadb_mutex *lock, uint64_t since,
                         uint64_t upto, nadb_changes **out,
                         nadb_err *err) NADB_MUST_USE;
/* nadb_engine_ops.wait. `committed` is signalled after each commit, under
 * `lock`. */
nadb_rc nadb_recent_wait(const nadb_recent *r, nadb_mutex *lock,
                         nadb_cond *committed, uint64_t since,
                         int64_t timeout_ms, const nadb_stop *stop,
                         uint64_t *seq, nadb_err *err);

#endif
