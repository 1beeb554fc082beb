/* index_check.h - compares the indexes with the rows, and rebuilds them. */
#ifndef NADB_INDEX_CHECK_H
#define NADB_INDEX_CHECK_H

#include "../backend.h"
#include "../nadb.h"

/* Reads all rows and index entries in a new view; reports missing and surplus
 * entries, one line each. */
nadb_rc nadb_index_check(nadb_engine *e, nadb_report_fn *report, void *ctx,
                         nadb_err *err) NADB_MUST_USE;
/* Rebuilds the indexes from the rows in the session's transaction. *differed:
 * number of entries that were missing, outdated or surplus. Prepare fails with
 * NADB_CONFLICT if one of the findings no longer holds. */
nadb_rc nadb_index_rebuild(nadb_session *ss, int64_t *differed,
                           nadb_err *err) NADB_MUST_USE;

#endif
