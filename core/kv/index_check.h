/* index_check.h - whether the indexes are those of the rows. */
#ifndef NADB_INDEX_CHECK_H
#define NADB_INDEX_CHECK_H

#include "../backend.h"

/* Reads all rows and all index entries of a fresh view; reports what is missing
 * and what is too much, a line each. */
nadb_rc nadb_index_check(nadb_engine *e, nadb_report_fn *report, void *ctx,
                         nadb_err *err) NADB_MUST_USE;

#endif
