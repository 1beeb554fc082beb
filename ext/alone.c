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
 * write lock is taken first, and the table is looked up again under it.
 *
 * Where an authorizer returns SQLITE_IGNORE, SQLite leaves that part out of the
 * statement, which then succeeds without it. Half of the function would be
 * done, or all of it without a way back. Therefore the programs of the
 * statements are looked at (EXPLAIN) before they are run. */
#include "func.h"
#include "sqlite_quirks.h"

/* --- the authorizer --- */

static nadb_rc denied(const char *needs, nadb_err *err) {
    return nadb_fail(err, NADB_DENIED,
                     "not authorized: it needs %s, and the authorizer of the "
                     "connection does not allow it",
                     needs);
}

typedef struct wanted {
    const char *op, *operand;
    bool found;
} wanted;

static bool begins(const char *text, const char *with) {
    return text != NULL && strncmp(text, with, strlen(with)) == 0;
}

static void see_wanted(void *ctx, const char *op, const char *operand) {
    wanted *w = ctx;

    if (begins(op, w->op) &&
        (w->operand == NULL || begins(operand, w->operand)))
        w->found = true;
}

/* Fails if the program of the statement lacks the instruction, with an operand
 * that begins with `operand` (NULL: any). `needs`: what was left out then. */
static nadb_rc check_program(sqlite3 *db, const char *sql, const char *op,
                             const char *operand, const char *needs,
                             nadb_err *err) {
    wanted w = {op, operand, false};
    int code = quirk_program(db, sql, see_wanted, &w);

    if (code == SQLITE_AUTH || (code == SQLITE_DONE && !w.found))
        return denied(needs, err);
    return code == SQLITE_DONE ? NADB_OK : value_sqlite_error(db, code, err);
}

/* The commands of alone_begin(), lock_file() and alone_end(). */
static nadb_rc check_commands(sqlite3 *db, nadb_err *err) {
    static const char begin[] = "BEGIN, COMMIT and ROLLBACK";
    static const char savepoint[] = "SAVEPOINT, ROLLBACK TO and RELEASE";
    static const struct {
        const char *sql, *op, *needs;
    } commands[] = {
        {"BEGIN", "AutoCommit", begin},
        {"COMMIT", "AutoCommit", begin},
        {"ROLLBACK", "AutoCommit", begin},
        {"SAVEPOINT nadb_lock", "Savepoint", savepoint},
        {"ROLLBACK TO nadb_lock", "Savepoint", savepoint},
        {"RELEASE nadb_lock", "Savepoint", savepoint},
    };
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < sizeof commands / sizeof *commands && rc == NADB_OK;
         i++)
        rc = check_program(db, commands[i].sql, commands[i].op, NULL,
                           commands[i].needs, err);
    return rc;
}

/* DROP TABLE finds the row of the table in the schema by what it reads. */
static nadb_rc check_schema(const call *k, nadb_err *err) {
    char *sql = sqlite3_mprintf(
        "SELECT 1 FROM \"%w\".sqlite_schema"
        " WHERE rowid IS NOT NULL AND type IS NOT NULL AND name IS NOT NULL"
        " AND tbl_name IS NOT NULL AND rootpage IS NOT NULL"
        " AND sql IS NOT NULL LIMIT 1",
        k->v->schema);
    sqlite3_stmt *stmt = NULL;
    int code;

    if (sql == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    code = sqlite3_prepare_v2(k->db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    if (code == SQLITE_ROW) return NADB_OK;
    if (code == SQLITE_AUTH || code == SQLITE_DONE)
        return denied("to read sqlite_schema", err);
    return value_sqlite_error(k->db, code, err);
}

/* For the table that notices the end of the transaction (watch.c). */
static nadb_rc watch_result(call *k, int code, nadb_err *err) {
    if (code == SQLITE_OK) return NADB_OK;
    if (code == SQLITE_AUTH || code == SQLITE_ERROR ||
        (code & 0xff) == SQLITE_CORRUPT)
        return denied("the temporary table nadb_snapshot", err);
    return value_sqlite_error(k->db, code, err);
}

/* --- the transaction --- */

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

/* Runs BEGIN, COMMIT or ROLLBACK. An authorizer that has changed its mind since
 * check_commands() can have it do nothing. */
static nadb_rc control(call *k, const char *sql, bool open, nadb_err *err) {
    nadb_rc rc = func_exec(k->db, sql, err);

    if (rc != NADB_OK || (sqlite3_get_autocommit(k->db) == 0) == open)
        return rc;
    return denied("a transaction of its own", err);
}

nadb_rc alone_begin(call *k, bool exclusive, nadb_err *err) {
    const char *begin = exclusive ? "BEGIN EXCLUSIVE" : "BEGIN";
    nadb_rc rc = check_commands(k->db, err);

    if (rc == NADB_OK) rc = check_schema(k, err);
    if (rc == NADB_OK) rc = watch_result(k, watch_make(k->c), err);
    if (rc == NADB_OK) rc = control(k, begin, true, err);
    if (rc != NADB_OK) return rc;
    rc = watch_result(k, watch_join(k->c), err);
    if (rc == NADB_OK) rc = lock_file(k, err);
    if (rc == NADB_OK) rc = func_find_table(k, err);
    return rc == NADB_OK ? rc : alone_end(k, rc, NULL);
}

nadb_rc alone_drop(call *k, nadb_err *err) {
    char *sql =
        sqlite3_mprintf("DROP TABLE \"%w\".\"%w\"", k->v->schema, k->v->name);
    sqlite3_stmt *stmt = NULL;
    nadb_rc rc = NADB_OK;
    bool nothing;
    int code;

    if (sql == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    code = sqlite3_prepare_v2(k->db, sql, -1, &stmt, NULL);
    nothing = code == SQLITE_OK && sqlite3_stmt_readonly(stmt) != 0;
    if (code == SQLITE_OK && !nothing) code = sqlite3_step(stmt);
    if (nothing || code == SQLITE_AUTH)
        rc = denied("to drop the table", err);
    else if (code != SQLITE_DONE)
        rc = value_sqlite_error(k->db, sqlite3_extended_errcode(k->db), err);
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return rc;
}

/* CREATE writes the row of the table into the schema in two steps, an INSERT
 * and an UPDATE; a row without the second one is damage. */
static nadb_rc create(call *k, const char *name, const char *sql,
                      nadb_err *err) {
    static const char needs[] = "to create the table, which is an INSERT into "
                                "and an UPDATE of sqlite_schema";
    nadb_rc rc = check_program(k->db, sql, "String8", name, needs, err);

    if (rc == NADB_OK)
        rc = check_program(k->db, sql, "String8", "table", needs, err);
    if (rc == NADB_OK)
        rc = check_program(k->db, sql, "String8", "CREATE VIRTUAL", needs, err);
    return rc == NADB_OK ? func_exec(k->db, sql, err) : rc;
}

nadb_rc alone_create_again(call *k, nadb_slice args, nadb_err *err) {
    const vtab *v = k->v;
    char *name = sqlite3_mprintf("%s", v->name);
    char *sql =
        sqlite3_mprintf("CREATE VIRTUAL TABLE \"%w\".\"%w\""
                        " USING nadb(%.*s)",
                        v->schema, v->name, (int)args.n, (const char *)args.p);
    nadb_rc rc = NADB_OK;

    if (sql == NULL || name == NULL)
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    /* DROP frees the table's object. */
    if (rc == NADB_OK) rc = alone_drop(k, err);
    if (rc == NADB_OK) rc = create(k, name, sql, err);
    sqlite3_free(sql);
    sqlite3_free(name);
    return rc == NADB_OK ? func_find_table(k, err) : rc;
}

nadb_rc alone_end(call *k, nadb_rc rc, nadb_err *err) {
    if (rc == NADB_OK) rc = control(k, "COMMIT", false, err);
    if (rc == NADB_OK || sqlite3_get_autocommit(k->db)) return rc;
    if (control(k, "ROLLBACK", false, NULL) != NADB_OK)
        k->c->stuck = k->c->watching;
    return rc;
}
