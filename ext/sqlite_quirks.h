/* sqlite_quirks.h - see sqlite_quirks.c. */
#ifndef NADB_EXT_SQLITE_QUIRKS_H
#define NADB_EXT_SQLITE_QUIRKS_H

#include "ext.h"

/* Whether a statement that writes is running. */
bool quirk_is_writing(sqlite3 *db);
/* Whether a running statement may have a cursor that is asked for its first row
 * only. Yes when it cannot be told. */
bool quirk_first_row_only(sqlite3 *db);

/* Whether column tag is read by an UPDATE .. FROM, and not because it is named:
 * its cursor has the plan, and was asked for last_column before. */
bool quirk_reads_all(const vtab *v, int plan, int last_column);

/* The last thing in xBestIndex: makes the plan as expensive as the WHERE clause
 * around it, where it is a branch of an OR. `tagged`: it has a term on tag. */
void quirk_level_branches(vtab *v, sqlite3_index_info *info, bool tagged,
                          double *rows);

/* Pages that are flushed from now on are those of a transaction. */
void quirk_note_spills(conn *c);
/* Flushes what the transaction has changed, and tells from the number of
 * flushed pages whether that is anything. */
bool quirk_flushes(conn *c);

/* nadb_stop_fn: whether the statement of connection `db` was interrupted. */
bool quirk_interrupted(void *db);
/* Likewise, and calls the progress handler. */
bool quirk_ticked(void *db);

/* Whether the connection may load code, from SQL. */
bool quirk_may_load(sqlite3 *db);

#endif
