/* alter.c - nadb_alter(t, 'option=value', ..): other options for a table that
 * is there.
 *
 * SQLite keeps the options in the table's CREATE statement. nadb_alter() drops
 * the table and creates it with the new options, in one transaction. Meanwhile
 * `altering` of the connection is set: xDestroy and xCreate then leave the
 * store, the session and the row of the identity unchanged.
 *
 * DROP and CREATE are used, rather than an UPDATE of sqlite_schema, because
 * then SQLite calls the authorizer, refuses if the file is read-only, works
 * under SQLITE_DBCONFIG_DEFENSIVE, and increments the version of the schema, by
 * which all connections notice that they must connect the table again.
 *
 * The open store takes the options on after the commit; in other processes it
 * does when a table joins it (options_join(), core/store.c). As a later
 * rollback could not undo that, nadb_alter() is a transaction of its own. */
#include "func.h"

#define CHANGES_MAX 64 /* more than there are options */

/* The arguments of the new CREATE, separated by commas. */
static nadb_rc make_args(call *k, nadb_buf *out, nadb_err *err) {
    const char *changes[CHANGES_MAX];
    int n = k->argc - 1;

    if (n < 1 || n > CHANGES_MAX)
        return nadb_fail(err, NADB_INVALID,
                         "name what to change: "
                         "nadb_alter('kv', 'default_ttl=60')");
    for (int i = 0; i < n; i++) {
        changes[i] = value_name(k->argv[i + 1]);
        if (changes[i] == NULL)
            return nadb_fail(err, NADB_INVALID,
                             "argument %d must be a text such as "
                             "'default_ttl=60'",
                             i + 2);
    }
    return nadb_options_change(k->v->options, nadb_buf_slice(&k->v->args),
                               changes, n, out, err);
}

static nadb_rc change_locked(call *k, nadb_err *err) {
    nadb_buf args = NADB_BUF_INIT;
    nadb_rc rc = vtab_open(k->v, err);

    if (rc == NADB_OK) rc = make_args(k, &args, err);
    if (rc == NADB_OK) {
        conn_alter(k->c, k->v->s);
        rc = alone_create_again(k, nadb_buf_slice(&args), err);
    }
    nadb_buf_clear(&args);
    return rc;
}

/* All or nothing. */
static nadb_rc change(call *k, nadb_err *err) {
    nadb_rc rc = alone_begin(k, false, err);

    if (rc != NADB_OK) return rc;
    rc = alone_end(k, change_locked(k, err), err);
    if (rc == NADB_OK) rc = nadb_store_tune(k->v->s->store, k->v->options, err);
    conn_alter(k->c, NULL);
    return rc;
}

nadb_rc func_alter(call *k, nadb_err *err) {
    nadb_buf args = NADB_BUF_INIT;
    nadb_rc rc;

    if (k->argc == 0)
        return nadb_fail(err, NADB_INVALID,
                         "name a table and what to change: "
                         "nadb_alter('kv', 'default_ttl=60')");
    rc = func_find_table(k, err);
    if (rc == NADB_OK)
        rc = func_alone(k, "changed options cannot be rolled back", err);
    if (rc == NADB_OK) rc = vtab_open(k->v, err);
    /* Wrong options are refused before the file is locked. */
    if (rc == NADB_OK) rc = make_args(k, &args, err);
    nadb_buf_clear(&args);
    if (rc == NADB_OK) rc = change(k, err);
    if (rc == NADB_OK) sqlite3_result_int(k->ctx, 1);
    return rc;
}
