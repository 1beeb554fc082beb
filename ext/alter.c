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
 * The connection may know a former state of the schema, whose options, store or
 * whole table another connection has replaced meanwhile. Therefore the file's
 * write lock is taken first, and the table is looked up again under it.
 *
 * The open store takes the options on after the commit; in other processes it
 * does when a table joins it (options_join(), core/store.c). As a later
 * rollback could not undo that, nadb_alter() is a transaction of its own. */
#include "func.h"

#define CHANGES_MAX 64 /* more than there are options */

static nadb_rc run(sqlite3 *db, const char *sql, nadb_err *err) {
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? NADB_OK : value_sqlite_error(db, code, err);
}

/* The statements that change the table; to be freed by sqlite3_free(). */
static nadb_rc make_sql(call *k, char **out, nadb_err *err) {
    const char *changes[CHANGES_MAX];
    nadb_buf args = NADB_BUF_INIT;
    int n = k->argc - 1;
    nadb_rc rc;

    *out = NULL;
    if (n < 1 || n > CHANGES_MAX)
        return nadb_fail(err, NADB_INVALID,
                         "name what to change: "
                         "nadb_alter('kv', 'default_ttl=60')");
    for (int i = 0; i < n; i++) {
        changes[i] = (const char *)sqlite3_value_text(k->argv[i + 1]);
        if (changes[i] == NULL)
            return nadb_fail(err, NADB_INVALID,
                             "argument %d must be a text such as "
                             "'default_ttl=60'",
                             i + 2);
    }
    rc = nadb_options_change(k->v->options, nadb_buf_slice(&k->v->args),
                             changes, n, &args, err);
    if (rc == NADB_OK) {
        *out = sqlite3_mprintf("DROP TABLE \"%w\".\"%w\";"
                               "CREATE VIRTUAL TABLE \"%w\".\"%w\""
                               " USING nadb(%.*s)",
                               k->v->schema, k->v->name, k->v->schema,
                               k->v->name, (int)args.n, (const char *)args.p);
        if (*out == NULL) rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    }
    nadb_buf_clear(&args);
    return rc;
}

/* Drops the table and makes it anew. An authorizer can have either statement do
 * nothing: then there is no new table. */
static nadb_rc make_anew(call *k, const char *sql, nadb_err *err) {
    nadb_rc rc = run(k->db, sql, err);

    if (rc == NADB_OK) rc = func_find_table(k, err);
    if (rc == NADB_OK && !k->v->creator)
        rc = nadb_fail(err, NADB_DENIED,
                       "not authorized: it needs to drop and create the table");
    return rc;
}

/* Takes the file's write lock, for which a PRAGMA that is undone waits as any
 * write does, and reads the schema as it is now. */
static nadb_rc lock_file(call *k, nadb_err *err) {
    char *sql = sqlite3_mprintf("SAVEPOINT nadb_lock;"
                                "PRAGMA \"%w\".application_id = 0;"
                                "ROLLBACK TO nadb_lock;"
                                "RELEASE nadb_lock;"
                                "SELECT 1 FROM \"%w\".sqlite_schema LIMIT 1",
                                k->v->schema, k->v->schema);
    nadb_rc rc;

    if (sql == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    rc = run(k->db, sql, err);
    sqlite3_free(sql);
    return rc;
}

static nadb_rc change_locked(call *k, nadb_err *err) {
    char *sql = NULL;
    nadb_rc rc = lock_file(k, err);

    if (rc == NADB_OK) rc = func_open_table(k, err);
    if (rc == NADB_OK) rc = make_sql(k, &sql, err);
    if (rc == NADB_OK) {
        conn_alter(k->c, k->v->s);
        rc = make_anew(k, sql, err);
    }
    sqlite3_free(sql);
    return rc;
}

/* All or nothing. */
static nadb_rc change(call *k, nadb_err *err) {
    nadb_rc rc = alone_begin(k, err);

    if (rc != NADB_OK) return rc;
    rc = alone_end(k, change_locked(k, err), err);
    if (rc == NADB_OK) rc = nadb_store_tune(k->v->s->store, k->v->options, err);
    conn_alter(k->c, NULL);
    return rc;
}

nadb_rc func_alter(call *k, nadb_err *err) {
    char *sql = NULL;
    nadb_rc rc;

    if (k->argc == 0)
        return nadb_fail(err, NADB_INVALID,
                         "name a table and what to change: "
                         "nadb_alter('kv', 'default_ttl=60')");
    rc = func_find_table(k, err);
    if (rc == NADB_OK)
        rc = func_alone(k, "changed options cannot be rolled back", err);
    if (rc == NADB_OK) rc = vtab_open(k->v, err);
    if (rc == NADB_OK) rc = make_sql(k, &sql, err); /* refuses wrong options */
    sqlite3_free(sql);
    if (rc == NADB_OK) rc = change(k, err);
    if (rc == NADB_OK) sqlite3_result_int(k->ctx, 1);
    return rc;
}
