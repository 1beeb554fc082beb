/* sqlite_quirks.h - workarounds for SQLite; sqlite_quirks.c explains them. */
#ifndef NADB_EXT_SQLITE_QUIRKS_H
#define NADB_EXT_SQLITE_QUIRKS_H

#include "ext.h"

/* Called for an instruction of a program, with its name and its operand P4, or
 * NULL. */
typedef void quirk_see(void *ctx, const char *op, const char *operand);
/* Shows `see` the program of the statement, as EXPLAIN does. SQLITE_DONE, or
 * SQLite's error. */
int quirk_program(sqlite3 *db, const char *sql, quirk_see *see, void *ctx);

/* sqlite3_step() of a statement that writes, to its end. */
int quirk_step_write(sqlite3_stmt *stmt);

/* True if a statement that writes is running. */
bool quirk_is_writing(sqlite3 *db);
/* True if a running statement may have a cursor of which it reads only the
 * first row. */
bool quirk_first_row_only(sqlite3 *db);

/* True if an UPDATE .. FROM reads column tag, although the statement does not
 * name it. `plan` is the cursor's, `last_column` the column that was read
 * before. */
bool quirk_reads_all(const vtab *v, int plan, int last_column);

/* Called last in xBestIndex: if the plan may be a branch of an OR, makes it as
 * expensive as the WHERE clause around it. `tagged`: it has a term on tag. */
void quirk_level_branches(vtab *v, sqlite3_index_info *info, bool tagged,
                          double *rows);

/* Grows, and wraps around, when a statement looks up pages of a file. */
unsigned quirk_pages(sqlite3 *db);
/* Counts flushed pages from now on for the transaction. */
void quirk_note_spills(conn *c);
/* Flushes the transaction's changes; true if pages were flushed since the
 * note. */
bool quirk_flushes(conn *c);

/* True if one statement runs alone and only reads, and a change of the schema
 * of temp cannot make it fail. */
bool quirk_outlives_schema(sqlite3 *db);

/* nadb_stop_fn: true if the statement of connection `db` was interrupted. */
bool quirk_interrupted(void *db);
/* As quirk_interrupted(), and calls the progress handler. */
bool quirk_ticked(void *db);

/* True if SQL of this connection may load code. */
bool quirk_may_load(sqlite3 *db);

/* True if GLOB calls SQLite's own function. */
bool quirk_globs(conn *c);

/* To be called when the transaction, or a part of it, was rolled back. */
void quirk_rolled_back(conn *c);
/* True if that was done by a ROLLBACK under the statement that calls
 * xUpdate. */
bool quirk_is_tripped(conn *c);
/* To be called when a statement begins a transaction: if it is the only one
 * that writes, the statements that were noted have ended, and it may be at the
 * address of one of them. */
void quirk_begun(conn *c);
/* To be called when a transaction has ended. */
void quirk_ended(conn *c);

#endif
