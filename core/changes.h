/* changes.h - changes that were committed, as engines tell them; for backend.h.
 */
#ifndef NADB_CHANGES_H
#define NADB_CHANGES_H

#include "util/bytes.h"
#include "util/status.h"

typedef enum nadb_change_kind {
    NADB_CHANGE_PUT,
    NADB_CHANGE_DELETE,
    NADB_CHANGE_EXPIRE, /* removed because it had expired */
    NADB_CHANGE_CLEAR   /* all rows were removed; no key */
} nadb_change_kind;

typedef struct nadb_change {
    uint64_t seq; /* of the commit */
    nadb_change_kind kind;
    nadb_slice key; /* without keyspace byte; good until the next call */
} nadb_change;

/* A walk over changes of rows, by sequence number. */
typedef struct nadb_changes nadb_changes;
struct nadb_changes {
    nadb_rc (*next)(nadb_changes *c, nadb_change *out, bool *found,
                    nadb_err *err);
    void (*free)(nadb_changes *c);
};

/* What is kept of changes: those of the last `ms`, or about the last `bytes`;
 * both 0: none. */
typedef struct nadb_keep {
    int64_t ms;
    uint64_t bytes;
} nadb_keep;

static inline bool nadb_keeps(nadb_keep k) { return k.ms > 0 || k.bytes > 0; }

/* NADB_INVALID, for what is not kept any more: changes after `since`, of which
 * only those after `floor` are; or, where nothing is kept, none. */
nadb_rc nadb_changes_gone(uint64_t since, uint64_t floor, bool keeps,
                          nadb_err *err);
/* NADB_INVALID, for a `since` that is after the last commit. */
nadb_rc nadb_changes_ahead(uint64_t since, uint64_t last, nadb_err *err);

#endif
