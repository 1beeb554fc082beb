/* index_check.h - whether the indexes are those of the rows. */
#ifndef NADB_INDEX_CHECK_H
#define NADB_INDEX_CHECK_H

#include "../backend.h"
#include "../nadb.h"

/* Reads all rows and all index entries of a fresh view; reports what is missing
 * and what is too much, a line each. */
nadb_rc nadb_index_check(nadb_engine *e, nadb_report_fn *report, void *ctx,
                         nadb_err *err) NADB_MUST_USE;
/* In the session's transaction: makes the indexes those of the rows. *differed:
 * entries that were missing, out of date, or too much. What it has found must
 * still hold at prepare: else NADB_CONFLICT. */
nadb_rc nadb_index_rebuild(nadb_session *ss, int64_t *differed,
                           nadb_err *err) NADB_MUST_USE;

#endif
