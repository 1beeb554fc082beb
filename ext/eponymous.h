/* eponymous.h - table-valued functions.
 *
 * SQLite calls a virtual table eponymous if it exists by itself under the name
 * of its module. Its hidden columns are the arguments of a function:
 *
 *     SELECT * FROM nadb_tags('kv');    WHERE "table" = 'kv' means the same
 *
 * An argument may be given twice, in parentheses and in WHERE. The function
 * gets one of the values; its cursor returns it as the column, and SQLite
 * compares it with the other value.
 *
 * A function is a const eponymous: its columns, and how its cursor moves.
 * eponymous.c does planning, arguments and errors. */
#ifndef NADB_EXT_EPONYMOUS_H
#define NADB_EXT_EPONYMOUS_H

#include "ext.h"

/* Maximum of arguments and pushed-down columns together. */
#define EPONYMOUS_GIVEN_MAX 5

typedef struct eponymous eponymous;

/* First member of each function's cursor. */
typedef struct eponymous_cursor {
    sqlite3_vtab_cursor base;
    const eponymous *f;
    conn *c;
    sqlite3_value *arguments[EPONYMOUS_GIVEN_MAX]; /* NULL: not given */
    /* Set by start(), finalized after stop(): keeps the table whose rows are
     * read connected (conn_prepare()); or NULL. */
    sqlite3_stmt *pin;
    sqlite3_int64 rowid;
} eponymous_cursor;

/* A column for which the function itself searches, given = and collation
 * BINARY. SQLite checks the rows again. */
typedef struct eponymous_pushed {
    int column;
    double selects; /* one of so many rows has the value: for estimates */
} eponymous_pushed;

struct eponymous {
    const char *name;
    const char *declaration;
    int argument; /* column of the first argument; the others follow */
    int n_arguments;
    eponymous_pushed pushed[EPONYMOUS_GIVEN_MAX];
    int n_pushed;
    double cost;
    sqlite3_int64 rows;
    /* The function removes the rows that it returns. An argument that is given
     * twice has no plan then, because a row that matches only one value would
     * be lost. */
    bool removes;
    bool ascending; /* rows are in the order of column 0 */
    bool no_schema; /* not allowed in views and triggers */
    size_t cursor_size;

    /* Moves to the first row. given[]: the arguments, then pushed-down values;
     * NULL if not given. Valid until it returns. */
    nadb_rc (*start)(eponymous_cursor *c, sqlite3_value **given, nadb_err *err);
    nadb_rc (*next)(eponymous_cursor *c, nadb_err *err);
    bool (*at_end)(const eponymous_cursor *c);
    /* Never called for the arguments. */
    nadb_rc (*column)(eponymous_cursor *c, sqlite3_context *ctx, int i,
                      nadb_err *err);
    /* Releases what start() and next() have taken. Called before each start,
     * after an error, and at close. */
    void (*stop)(eponymous_cursor *c);
    /* Frees what the cursor keeps between starts; may be NULL. */
    void (*clear)(eponymous_cursor *c);
};

/* Registers all functions with a connection. Returns an SQLite code. */
int eponymous_register_all(sqlite3 *db);

/* --- the functions --- */

extern const eponymous pop_table, all_table, expired_table, changes_table;

/* The i-th function of tables.c, or NULL. */
const eponymous *tables_at(size_t i);

#endif
