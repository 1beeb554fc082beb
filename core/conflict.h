/* conflict.h - conflict checks of a commit that compare the snapshot of its
 * transaction with the present state.
 *
 * A transaction conflicts if a key or a range that it has read was changed by a
 * commit after its snapshot. An entry of the present state tells when it last
 * changed. A key that the snapshot shows and the present state lacks was
 * deleted by a transaction, which is a conflict; or it had expired and was
 * swept, which is not.
 *
 * For engines of which both states can be read: core/map, and core/engine over
 * a base in files. */
#ifndef NADB_CONFLICT_H
#define NADB_CONFLICT_H

#include "backend.h"

/* Walks are bounded, because other commits wait meanwhile: after so many
 * entries any commit since the snapshot counts as a conflict. */
#define NADB_COMPARE_MAX 20000u

/* One comparison. Its owner fills all members. */
typedef struct nadb_compare {
    nadb_engine *engine;
    nadb_view *then, *now; /* the snapshot, and the present state */
    const nadb_commit_req *req;
    int64_t clock_ms; /* the present time */
    uint32_t left;    /* entries that may still be visited */
} nadb_compare;

/* Both fail with NADB_CONFLICT. The key, with its keyspace byte, is named if it
 * is that of a row. */
nadb_rc nadb_conflict_key(nadb_slice key, nadb_err *err);
nadb_rc nadb_conflict_any(nadb_err *err);

/* True if an entry of the present state was changed after the snapshot. */
bool nadb_compare_changed(const nadb_compare *c, const nadb_entry *now);

/* NADB_CONFLICT if the key, or a key of the range, was changed after the
 * snapshot. */
nadb_rc nadb_compare_key(nadb_compare *c, nadb_slice key,
                         nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_compare_range(nadb_compare *c, const nadb_range *range,
                           nadb_err *err) NADB_MUST_USE;
/* NADB_CONFLICT if anything that the request says to have read was changed
 * after the snapshot. */
nadb_rc nadb_compare_reads(nadb_compare *c, nadb_err *err) NADB_MUST_USE;

#endif
