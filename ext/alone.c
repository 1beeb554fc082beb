/* alone.c - functions that are a transaction of their own: several statements,
 * all or none of them.
 *
 * The transaction is rolled back if a statement fails, or its COMMIT: without
 * WAL a reader of the file makes COMMIT fail with SQLITE_BUSY. A function that
 * changes what cannot be rolled back has to exclude readers before.
 *
 * After SQLITE_NOMEM SQLite runs no further statement until the function has
 * returned: the transaction then stays open and contains some of the
 * statements. A COMMIT must not make these permanent. Therefore nadb_snapshot
 * (watch.c) joins the transaction, and its xSync fails, so SQLite rolls
 * everything back.
 *
 * The connection may know a former state of the schema, whose options, store or
 * whole table another connection has replaced meanwhile. Therefore the file's
 * write lock is taken first, and the table is looked up again under it. */
#include "func.h"

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
    rc = func_exec(k->db, sql, err);
    sqlite3_free(sql);
    return rc;
}

/* Runs BEGIN, COMMIT or ROLLBACK. An authorizer can have it do nothing. */
static nadb_rc control(call *k, const char *sql, bool open, nadb_err *err) {
    nadb_rc rc = func_exec(k->db, sql, err);

    if (rc != NADB_OK || (sqlite3_get_autocommit(k->db) == 0) == open)
        return rc;
    return nadb_fail(err, NADB_DENIED,
                     "not authorized: it needs a transaction of its own");
}

nadb_rc alone_begin(call *k, bool exclusive, nadb_err *err) {
    int code = watch_make(k->c);
    nadb_rc rc = NADB_OK;

    if (code != SQLITE_OK) return value_sqlite_error(k->db, code, err);
    rc = control(k, exclusive ? "BEGIN EXCLUSIVE" : "BEGIN", true, err);
    if (rc != NADB_OK) return rc;
    code = watch_join(k->c);
    if (code != SQLITE_OK) rc = value_sqlite_error(k->db, code, err);
    if (rc == NADB_OK) rc = lock_file(k, err);
    if (rc == NADB_OK) rc = func_find_table(k, err);
    return rc == NADB_OK ? rc : alone_end(k, rc, NULL);
}

nadb_rc alone_create_again(call *k, nadb_slice args, nadb_err *err) {
    const vtab *v = k->v;
    char *sql = sqlite3_mprintf("DROP TABLE \"%w\".\"%w\";"
                                "CREATE VIRTUAL TABLE \"%w\".\"%w\""
                                " USING nadb(%.*s)",
                                v->schema, v->name, v->schema, v->name,
                                (int)args.n, (const char *)args.p);
    nadb_rc rc;

    if (sql == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    rc = func_exec(k->db, sql, err);
    sqlite3_free(sql);
    return rc == NADB_OK ? func_find_table(k, err) : rc;
}

nadb_rc alone_end(call *k, nadb_rc rc, nadb_err *err) {
    if (rc == NADB_OK) rc = control(k, "COMMIT", false, err);
    if (rc == NADB_OK || sqlite3_get_autocommit(k->db)) return rc;
    if (control(k, "ROLLBACK", false, NULL) != NADB_OK)
        k->c->stuck = k->c->watching;
    return rc;
}
