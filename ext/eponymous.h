/* eponymous.h - table-valued functions: what they share.
 *
 * SQLite calls a virtual table eponymous that exists by itself, under the name
 * of its module. Its hidden columns are the arguments of a function:
 *
 *     SELECT * FROM nadb_tags('kv');    WHERE "table" = 'kv' says the same
 *
 * An argument may be given twice, in parentheses and in WHERE. The function
 * gets one of the values; its cursor remembers it, and SQLite compares it with
 * the other one.
 *
 * A function is a const eponymous: what its columns are, and how its cursor
 * moves. Planning, arguments and errors are eponymous.c's. */
#ifndef NADB_EXT_EPONYMOUS_H
#define NADB_EXT_EPONYMOUS_H

#include "ext.h"

/* Arguments of a function, and columns behind them that are pushed down. */
#define EPONYMOUS_GIVEN_MAX 5

typedef struct eponymous eponymous;

/* The first member of each function's own cursor. */
typedef struct eponymous_cursor {
    sqlite3_vtab_cursor base;
    const eponymous *f;
    conn *c;
    sqlite3_value *arguments[EPONYMOUS_GIVEN_MAX]; /* NULL: not given */
    sqlite3_int64 rowid;
} eponymous_cursor;

/* A column that the function looks for itself, given = and collation BINARY.
 * SQLite checks its rows once more. */
typedef struct eponymous_pushed {
    int column;
    double selects; /* one row of so many: for the estimate */
} eponymous_pushed;

struct eponymous {
    const char *name;
    const char *declaration;
    int argument; /* the column of the first; the others stand behind it */
    int n_arguments;
    eponymous_pushed pushed[EPONYMOUS_GIVEN_MAX];
    int n_pushed;
    double cost;
    sqlite3_int64 rows;
    /* It removes the rows that it returns. An argument that is given twice has
     * no plan then: a row that only one of the values names would be lost. */
    bool removes;
    bool ascending; /* rows come in the order of column 0 */
    bool no_schema; /* may not be used by views and triggers */
    size_t cursor_size;

    /* To the first row. given[]: the arguments, then what is pushed down, as
     * far as it is there; else NULL. Good until it returns. */
    nadb_rc (*start)(eponymous_cursor *c, sqlite3_value **given, nadb_err *err);
    nadb_rc (*next)(eponymous_cursor *c, nadb_err *err);
    bool (*at_end)(const eponymous_cursor *c);
    /* Not called for the arguments. */
    nadb_rc (*column)(eponymous_cursor *c, sqlite3_context *ctx, int i,
                      nadb_err *err);
    /* Gives up what start() and next() have taken: before each start, after an
     * error, at close. */
    void (*stop)(eponymous_cursor *c);
    /* Frees what the cursor keeps from start to start; NULL: nothing. */
    void (*clear)(eponymous_cursor *c);
};

/* Registers all of them with a connection. Returns SQLite's code. */
int eponymous_register_all(sqlite3 *db);

/* --- the functions --- */

extern const eponymous pop_table, all_table, expired_table, changes_table;

/* tables.c: the i-th, or NULL. */
const eponymous *tables_at(size_t i);

#endif
