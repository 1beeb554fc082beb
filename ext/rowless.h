/* rowless.h - the cursor of a virtual table that never has rows. A module lists
 * ROWLESS_CURSOR among its methods. */
#ifndef NADB_EXT_ROWLESS_H
#define NADB_EXT_ROWLESS_H

#include "ext.h"

int rowless_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out);
int rowless_close(sqlite3_vtab_cursor *cursor);
int rowless_filter(sqlite3_vtab_cursor *cursor, int plan, const char *text,
                   int argc, sqlite3_value **argv);
int rowless_next(sqlite3_vtab_cursor *cursor);
int rowless_eof(sqlite3_vtab_cursor *cursor);
int rowless_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int i);
int rowless_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid);

#define ROWLESS_CURSOR                                                         \
    .xOpen = rowless_open, .xClose = rowless_close, .xFilter = rowless_filter, \
    .xNext = rowless_next, .xEof = rowless_eof, .xColumn = rowless_column,     \
    .xRowid = rowless_rowid

#endif
