/* tables.h - collected rows of table-valued functions, for tables*.c. */
#ifndef NADB_TABLES_H
#define NADB_TABLES_H

#include "ext.h"

typedef struct cell {
    int type; /* SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_NULL */
    int64_t i;
    double r;
    size_t at, n; /* of a text: place in rows.text */
} cell;

typedef struct rows {
    nadb_buf cells; /* array of cell, row by row */
    nadb_buf text;
    bool nomem;
    nadb_slice only;      /* restricts the first column; p == NULL: all */
    const char *argument; /* the argument, if it is not a table */
} rows;

/* Cells are added row by row. A NULL text becomes NULL. */
void rows_text(rows *r, const char *text);
void rows_int(rows *r, int64_t i);
/* NULL if `set` is false. */
void rows_int_if(rows *r, bool set, int64_t i);
void rows_real_if(rows *r, bool set, double v);

/* --- tables_monitor.c --- */

extern const char metrics_declaration[];
#define METRICS_WIDTH 13
nadb_rc fill_metrics(rows *r, vtab *v, nadb_err *err);

extern const char transactions_declaration[];
#define TRANSACTIONS_WIDTH 9
nadb_rc fill_transactions(rows *r, vtab *v, nadb_err *err);

#endif
