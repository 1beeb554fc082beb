/* command.c - SQL functions that change rows, executed as statements on the
 * table.
 *
 * Such a function runs an UPDATE or DELETE of one imaginary row of the table,
 * so that SQLite does everything it does for a write: it asks the authorizer
 * about the change, refuses it under PRAGMA query_only, calls xBegin, keeps a
 * statement journal, and commits in autocommit. The cursor gives the statement
 * its one row (command_filter()), and xUpdate runs the function's change
 * instead (command_update()). SQL text cannot forge this: the change is in
 * conn, and only while the statement is stepped.
 *
 * If the authorizer returns SQLITE_DENY, preparing the statement fails. If it
 * returns SQLITE_IGNORE, SQLite leaves out what it asked about, which is
 * visible in the values for xColumn and xUpdate: an UPDATE of an ignored column
 * changes nothing, and a column that may not be read is NULL. A change that
 * would be computed from a column that may not be read is refused.
 *
 * Statements are not kept: SQLite asks the authorizer only when it prepares,
 * and a kept statement would block DROP TABLE and closing the connection. */
#include "func.h"

#define KEY "x" /* key of the imaginary row */
#define BACKED_UP "key, value, tags, expires_at, created_at, updated_at"
#define BACKED_UP_COLUMNS                                                      \
    (1u << COL_VALUE | 1u << COL_TAGS | 1u << COL_EXPIRES_AT |                 \
     1u << COL_CREATED_AT | 1u << COL_UPDATED_AT)

/* The question for the authorizer. */
typedef struct command_kind {
    const char *head, *tail; /* SQL before and behind the table's name */
    int column;              /* the column that is set or read; -1: none */
    bool writes, reads;      /* what happens to the column */
    const char *needs;       /* the right's name, for messages */
} command_kind;

static const command_kind kinds[] = {
    [COMMAND_DELETE] = {"DELETE FROM", "", -1, false, false, "DELETE"},
    [COMMAND_POP] = {"DELETE FROM", "WHERE key = '" KEY "' AND value IS NOT 2",
                     COL_VALUE, false, true, "DELETE, and READ of value"},
    [COMMAND_POP_ROW] = {"DELETE FROM",
                         "WHERE key = '" KEY "' AND value IS NOT 2 AND tags IS "
                         "NOT 2 AND expires_at IS NOT 2 AND created_at IS NOT "
                         "2 AND updated_at IS NOT 2",
                         COL_VALUE, false, true,
                         "DELETE, and READ of " BACKED_UP},
    [COMMAND_TTL] = {"UPDATE", "SET ttl = NULL WHERE key = '" KEY "'", COL_TTL,
                     true, false, "UPDATE of ttl"},
    [COMMAND_TAGS] = {"UPDATE", "SET tags = tags WHERE key = '" KEY "'",
                      COL_TAGS, true, true, "UPDATE and READ of tags"},
    [COMMAND_VALUE] = {"UPDATE", "SET value = value WHERE key = '" KEY "'",
                       COL_VALUE, true, true, "UPDATE and READ of value"},
    [COMMAND_INSERT] = {"INSERT INTO", "(key) VALUES('" KEY "')", -1, false,
                        false, "INSERT"},
    [COMMAND_BACKUP] = {"SELECT " BACKED_UP " FROM", "", COL_VALUE, false, true,
                        "READ of " BACKED_UP},
};

struct command {
    const command_kind *kind;
    command_fn *fn;
    void *ctx;
    nadb_err *err;
    nadb_rc rc;
    unsigned columns; /* one bit for each column that SQLite has asked for */
};

/* --- the imaginary row --- */

static const nadb_row command_row;

const nadb_row *command_filter(void) { return &command_row; }

bool command_is_row(const nadb_row *row) { return row == &command_row; }

void command_column(command *cmd, sqlite3_context *ctx, int i) {
    if (is_key_column(i)) {
        sqlite3_result_text(ctx, KEY, -1, SQLITE_STATIC);
    } else {
        cmd->columns |= 1u << i;
        sqlite3_result_int(ctx, 1);
    }
}

static nadb_rc denied(const command *cmd, const vtab *v, nadb_err *err) {
    return nadb_fail(err, NADB_DENIED, "not authorized: it needs %s on %s.%s",
                     cmd->kind->needs, v->schema, v->name);
}

int command_update(vtab *v, command *cmd, int argc, sqlite3_value **argv) {
    const command_kind *kind = cmd->kind;
    bool hidden = kind->reads && (cmd->columns >> kind->column & 1) == 0;

    if (kind->writes &&
        (argc == 1 || sqlite3_value_nochange(argv[2 + kind->column]))) {
        return SQLITE_OK; /* SQLITE_IGNORE: the column keeps its value */
    }
    if (kind == &kinds[COMMAND_POP_ROW]) {
        hidden = (cmd->columns & BACKED_UP_COLUMNS) != BACKED_UP_COLUMNS;
    }
    if (hidden && (kind->writes || kind == &kinds[COMMAND_POP_ROW])) {
        cmd->rc = denied(cmd, v, cmd->err);
    } else {
        cmd->rc = cmd->fn(v, cmd->ctx, hidden, cmd->err);
    }
    return cmd->rc == NADB_OK ? SQLITE_OK
                              : value_vtab_error(&v->base, cmd->err);
}

/* --- running one --- */

/* Steps the statement; `done` is the expected result. */
static nadb_rc step(call *k, sqlite3_stmt *stmt, command *cmd, int done,
                    nadb_err *err) {
    command *outer = k->c->command;
    nadb_rc rc = vtab_open(k->v, err);
    int code;

    if (rc != NADB_OK) return rc;
    k->c->command = cmd;
    code = done == SQLITE_DONE ? quirk_step_write(stmt) : sqlite3_step(stmt);
    k->c->command = outer;
    if (cmd->rc != NADB_OK) return cmd->rc;
    if (code == done) return NADB_OK;
    return value_sqlite_error(k->db, sqlite3_extended_errcode(k->db), err);
}

/* SQLite does not call xBestIndex for an INSERT, by which conn_prepare() finds
 * the table. */
static nadb_rc prepare_insert(call *k, const char *name,
                              const command_kind *kind, sqlite3_stmt **stmt,
                              nadb_err *err) {
    nadb_rc rc = conn_find(k->c, name, stmt, &k->v, err);
    char *sql;
    int code = SQLITE_NOMEM;

    func_pin(k, *stmt);
    *stmt = NULL;
    if (rc != NADB_OK) return rc;
    sql = sqlite3_mprintf("%s \"%w\".\"%w\" %s", kind->head, k->v->schema,
                          k->v->name, kind->tail);
    if (sql != NULL) code = sqlite3_prepare_v2(k->db, sql, -1, stmt, NULL);
    sqlite3_free(sql);
    return code == SQLITE_OK ? NADB_OK : value_sqlite_error(k->db, code, err);
}

static nadb_rc find(call *k, const command_kind *kind, sqlite3_stmt **stmt,
                    nadb_err *err) {
    const char *name = value_name(k->argv[0]);
    nadb_rc rc;

    *stmt = NULL;
    if (kind == &kinds[COMMAND_INSERT]) {
        rc = prepare_insert(k, name, kind, stmt, err);
    } else {
        /* DELETE must not reach another table that has the name now. Whether
         * reading is allowed does not matter. */
        if (kind == &kinds[COMMAND_DELETE] || kind == &kinds[COMMAND_BACKUP])
            (void)!func_find_table(k, err);
        rc = conn_prepare(k->c, kind->head, name, kind->tail, stmt, &k->v, err);
    }
    if (rc != NADB_DENIED) return rc;
    return nadb_fail(err, rc, "%s: it needs %s", sqlite3_errmsg(k->db),
                     kind->needs);
}

nadb_rc command_find(call *k, command_which which, nadb_err *err) {
    command cmd = {&kinds[which], NULL, NULL, err, NADB_OK, 0};
    sqlite3_stmt *stmt;
    nadb_rc rc = find(k, cmd.kind, &stmt, err);

    if (rc == NADB_OK) rc = vtab_open(k->v, err);
    /* A column that reads as NULL must not be taken for its content. */
    if (rc == NADB_OK && which == COMMAND_BACKUP) {
        rc = step(k, stmt, &cmd, SQLITE_ROW, err);
        if (rc == NADB_OK && cmd.columns != BACKED_UP_COLUMNS) {
            rc = denied(&cmd, k->v, err);
        }
    }
    sqlite3_reset(stmt);
    func_pin(k, stmt);
    return rc;
}

nadb_rc command_run(call *k, command_which which, command_fn *fn, void *ctx,
                    nadb_err *err) {
    command cmd = {&kinds[which], fn, ctx, err, NADB_OK, 0};
    sqlite3_stmt *stmt;
    nadb_rc rc = find(k, cmd.kind, &stmt, err);

    if (rc == NADB_OK) rc = step(k, stmt, &cmd, SQLITE_DONE, err);
    sqlite3_finalize(stmt);
    return rc;
}

nadb_rc command_may_insert(vtab *v, nadb_err *err) {
    sqlite3 *db = v->c->db;
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf(
        "INSERT INTO \"%w\".\"%w\"(key) VALUES('" KEY "')", v->schema, v->name);
    int code = SQLITE_NOMEM;
    nadb_rc rc = NADB_OK;

    if (sql != NULL) code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code != SQLITE_OK) {
        rc = value_sqlite_error(db, code, err);
    } else if (sqlite3_stmt_readonly(stmt)) {
        rc = NADB_DENIED; /* after SQLITE_IGNORE there is nothing to do */
    }
    if (rc == NADB_DENIED) {
        rc = nadb_fail(err, rc, "not authorized: it needs INSERT into %s.%s",
                       v->schema, v->name);
    }
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return rc;
}
