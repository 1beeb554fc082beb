/* func.h - a call of an SQL function, for func.c, func_rows.c and
 * func_backup.c. */
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
    char digits[VALUE_DIGITS]; /* of the key */
} call;

/* Finds the table that the first argument names. */
nadb_rc func_find_table(call *k, nadb_err *err) NADB_MUST_USE;
/* Finds it and opens its store. */
nadb_rc func_open_table(call *k, nadb_err *err) NADB_MUST_USE;

/* --- adopt.c --- */

nadb_rc func_adopt(call *k, nadb_err *err);

/* nadb_stop_fn: whether the statement of connection `db` was interrupted. */
bool func_interrupted(void *db);

/* --- func_backup.c; each sets the result --- */

nadb_rc func_backup(call *k, nadb_err *err);
nadb_rc func_restore(call *k, nadb_err *err);
nadb_rc func_verify_backup(call *k, nadb_err *err);
nadb_rc func_delete_backup(call *k, nadb_err *err);
nadb_rc func_prune_backups(call *k, nadb_err *err);

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
