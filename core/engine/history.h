/* history.h - files of changes, for option keep_changes (bytes: docs/format.md,
 * "History").
 *
 *   file     header | segment | segment | ...
 *   segment  header | block | block | ...
 *
 * A segment has the changes of the logs that one flush has taken in, by
 * sequence number. It is synced before MANIFEST says that these logs are in the
 * base. It names the sequence numbers that the base contained before and after
 * that flush, so segments are a chain:
 *
 *   base 40 -> 75 | base 75 -> 90 | base 90 -> 131     MANIFEST contains 131
 *
 * What is no part of the chain that ends at MANIFEST was left by a flush that
 * failed, and the next one writes over it. Where the chain begins, the history
 * begins: changes up to there are gone, and whoever asks for them is told so.
 *
 * Only the holder of the flusher word writes. Readers need no lock: what is in
 * the chain of their version does not change, until the file is removed. */
#ifndef NADB_HISTORY_H
#define NADB_HISTORY_H

#include "engine.h"

typedef struct history_segment {
    uint64_t file, off; /* where its header begins */
    uint64_t from;      /* what the base contained before the flush, .. */
    uint64_t to;        /* .. and after it */
    uint64_t min, max;  /* sequence numbers of its changes; 0: it has none */
    uint64_t time_ms;
    uint64_t length; /* bytes of its blocks */
} history_segment;

/* The chain that ends at `base_seq`, ascending: history_segment each. *floor:
 * changes after it are in the chain. */
nadb_rc history_chain(engine *s, uint64_t base_seq, nadb_buf *chain,
                      uint64_t *floor, nadb_err *err) NADB_MUST_USE;

/* A walk over one segment. */
typedef struct history_walk {
    engine *s;
    nadb_file *file;
    uint64_t off, end; /* of the blocks that are left */
    nadb_buf block;
    size_t at; /* in block */
    uint64_t seq;
} history_walk;

nadb_rc history_walk_open(engine *s, const history_segment *g, history_walk *w,
                          nadb_err *err) NADB_MUST_USE;
nadb_rc history_walk_next(history_walk *w, nadb_change *out, bool *found,
                          nadb_err *err) NADB_MUST_USE;
void history_walk_close(history_walk *w); /* a zeroed one is fine */

#endif
