/* changes.h - committed changes, as engines report them; part of backend.h. */
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
    nadb_slice key; /* without keyspace byte; valid until the next call */
} nadb_change;

/* A walk over changes of rows, in the order of sequence numbers. */
typedef struct nadb_changes nadb_changes;
struct nadb_changes {
    nadb_rc (*next)(nadb_changes *c, nadb_change *out, bool *found,
                    nadb_err *err);
    void (*free)(nadb_changes *c);
};

/* How many changes are kept: those of the last `ms`, or about the last `bytes`;
 * both 0: none. */
typedef struct nadb_keep {
    int64_t ms;
    uint64_t bytes;
} nadb_keep;

static inline bool nadb_keeps(nadb_keep k) { return k.ms > 0 || k.bytes > 0; }

/* Fails with NADB_INVALID: changes after `since` are not all kept, only those
 * after `floor` (keeps) or none (!keeps). */
nadb_rc nadb_changes_gone(uint64_t since, uint64_t floor, bool keeps,
                          nadb_err *err);
/* Fails with NADB_INVALID: `since` is after the last commit. */
nadb_rc nadb_changes_ahead(uint64_t since, uint64_t last, nadb_err *err);

#endif
