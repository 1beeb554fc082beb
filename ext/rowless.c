/* rowless.c - see rowless.h. SQLite calls xNext, xColumn and xRowid only for a
 * row, but a module must have them. */
#include "rowless.h"

int rowless_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    (void)base;
    *out = nadb_calloc(1, sizeof **out);
    return *out == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

int rowless_close(sqlite3_vtab_cursor *cursor) {
    nadb_free(cursor);
    return SQLITE_OK;
}

int rowless_filter(sqlite3_vtab_cursor *cursor, int plan, const char *text,
                   int argc, sqlite3_value **argv) {
    (void)cursor;
    (void)plan;
    (void)text;
    (void)argc;
    (void)argv;
    return SQLITE_OK;
}

int rowless_next(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return SQLITE_OK;
}

int rowless_eof(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return 1;
}

int rowless_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int i) {
    (void)cursor;
    (void)ctx;
    (void)i;
    return SQLITE_OK;
}

int rowless_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    (void)cursor;
    *rowid = 0;
    return SQLITE_OK;
}
