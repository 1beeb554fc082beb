/* history.h - files of changes, for option keep_changes (bytes: docs/format.md,
 * "History").
 *
 *   file     header | segment | segment | ...
 *   segment  header | block | block | ...
 *
 * A segment holds the changes of the logs that one flush put into the base, by
 * sequence number. It is synced before MANIFEST says that the base contains
 * these logs. It names the base's sequence number before and after that flush,
 * so segments form a chain:
 *
 *   base 40 -> 75 | base 75 -> 90 | base 90 -> 131     MANIFEST contains 131
 *
 * A segment outside the chain that ends at MANIFEST was left by a flush that
 * failed; the next flush overwrites it. The history begins where the chain
 * begins: earlier changes are gone, and a request for them fails.
 *
 * Only the holder of the flusher word writes. Readers need no lock: the chain
 * of their version does not change until its file is removed. */
#ifndef NADB_HISTORY_H
#define NADB_HISTORY_H

#include "engine.h"

typedef struct history_segment {
    uint64_t file, off; /* place of its header */
    uint64_t from;      /* the base's sequence number before the flush */
    uint64_t to;        /* .. and after it */
    /* sequence numbers of its changes; 0: it has no change */
    uint64_t min, max;
    uint64_t time_ms;
    uint64_t length; /* bytes of its blocks */
} history_segment;

/* Appends the chain that ends at `base_seq` to *chain, in ascending order, as
 * history_segments. *floor: the chain has all changes after it. */
nadb_rc history_chain(engine *s, uint64_t base_seq, nadb_buf *chain,
                      uint64_t *floor, nadb_err *err) NADB_MUST_USE;

/* A walk over one segment. */
typedef struct history_walk {
    engine *s;
    nadb_file *file;
    uint64_t off, end; /* the blocks that are not read yet */
    nadb_buf block;
    size_t at; /* position in `block` */
    uint64_t seq;
} history_walk;

nadb_rc history_walk_open(engine *s, const history_segment *g, history_walk *w,
                          nadb_err *err) NADB_MUST_USE;
nadb_rc history_walk_next(history_walk *w, nadb_change *out, bool *found,
                          nadb_err *err) NADB_MUST_USE;
void history_walk_close(history_walk *w); /* a zeroed one is fine */

#endif
