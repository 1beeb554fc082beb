/* alone.c - functions that are a transaction of their own: several statements,
 * all or none of them.
 *
 * They run in a savepoint, which is rolled back if a statement fails. But after
 * SQLITE_NOMEM SQLite runs no further statement until the function has
 * returned: the savepoint then stays open and contains some of the statements.
 * A COMMIT must not make these permanent. Therefore nadb_snapshot (watch.c)
 * joins the transaction, and its xSync fails, so SQLite rolls everything back.
 */
#include "func.h"

static nadb_rc run(sqlite3 *db, const char *sql, nadb_err *err) {
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? NADB_OK : value_sqlite_error(db, code, err);
}

nadb_rc alone_begin(call *k, nadb_err *err) {
    int code = watch_make(k->c);
    nadb_rc rc;

    if (code != SQLITE_OK) return value_sqlite_error(k->db, code, err);
    rc = run(k->db, "SAVEPOINT nadb", err);
    if (rc != NADB_OK) return rc;
    code = watch_join(k->c);
    if (code == SQLITE_OK) return NADB_OK;
    return alone_end(k, value_sqlite_error(k->db, code, err), NULL);
}

nadb_rc alone_end(call *k, nadb_rc rc, nadb_err *err) {
    if (rc == NADB_OK) rc = run(k->db, "RELEASE nadb", err);
    if (rc == NADB_OK || sqlite3_get_autocommit(k->db)) return rc;
    if (run(k->db, "ROLLBACK TO nadb", NULL) != NADB_OK ||
        run(k->db, "RELEASE nadb", NULL) != NADB_OK)
        k->c->stuck = k->c->watching;
    return rc;
}
