/* func.h - a call of an SQL function, for func.c and func_rows.c. */
#ifndef NADB_EXT_FUNC_H
#define NADB_EXT_FUNC_H

#include "ext.h"

typedef struct call {
    sqlite3_context *ctx;
    conn *c;
    int argc;
    sqlite3_value **argv;
    vtab *v; /* of the first argument: func_open_table() */
    sqlite3 *db;
} call;

/* Opens the table that the first argument names. */
nadb_rc func_open_table(call *k, nadb_err *err) NADB_MUST_USE;

/* --- func_rows.c; each sets the result --- */

nadb_rc func_set_ttl(call *k, nadb_err *err);
nadb_rc func_ttl(call *k, nadb_err *err);
nadb_rc func_tags(call *k, nadb_err *err);
nadb_rc func_tag(call *k, nadb_err *err);
nadb_rc func_untag(call *k, nadb_err *err);
nadb_rc func_incr(call *k, nadb_err *err);
nadb_rc func_pop(call *k, nadb_err *err);
nadb_rc func_purge_expired(call *k, nadb_err *err);

#endif
