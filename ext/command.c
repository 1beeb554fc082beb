/* command.c - changes that functions make, as statements on the table.
 *
 * A function that changes rows runs a statement of SQL on the table: UPDATE or
 * DELETE of a row that is not there but for this. So SQLite does for it all
 * that it does for a write: it asks the authorizer for what the function is
 * going to do, refuses it under PRAGMA query_only, calls xBegin, keeps a
 * statement journal, and commits in autocommit. The cursor gives the statement
 * one row (command_filter()), and xUpdate runs the command in its place
 * (command_update()). SQL cannot forge one: what is to be run is in conn, and
 * only while the statement is stepped.
 *
 * SQLITE_DENY is the statement's error when it is prepared. SQLITE_IGNORE makes
 * SQLite leave out what it was asked about, and shows in what xColumn and
 * xUpdate are given: an UPDATE of an ignored column changes nothing, a column
 * that may not be read is NULL. A command that computes what it writes from
 * what it may not read is refused.
 *
 * Nothing is kept prepared: SQLite asks the authorizer only when it prepares,
 * and a statement of ours would block DROP TABLE and the connection's end. */
#include "func.h"

#define KEY "x" /* of the row that is not there */
#define BACKED_UP "key, value, tags, expires_at, created_at, updated_at"
#define BACKED_UP_COLUMNS                                                      \
    (1u << COL_VALUE | 1u << COL_TAGS | 1u << COL_EXPIRES_AT |                 \
     1u << COL_CREATED_AT | 1u << COL_UPDATED_AT)

/* What the authorizer is asked. */
typedef struct command_kind {
    const char *head, *tail; /* round the table's name */
    int column;              /* what is set or read; -1: none */
    bool writes, reads;      /* .. which of it */
    const char *needs;       /* for messages */
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
    unsigned columns; /* a bit for each that SQLite has asked for */
};

/* --- the row that the statement finds --- */

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
        return SQLITE_OK; /* SQLITE_IGNORE: the column stays as it is */
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

/* `done` is what SQLite says at the end. */
static nadb_rc step(call *k, sqlite3_stmt *stmt, command *cmd, int done,
                    nadb_err *err) {
    command *outer = k->c->command;
    nadb_rc rc = vtab_open(k->v, err);
    int code;

    if (rc != NADB_OK) return rc;
    k->c->command = cmd;
    code = sqlite3_step(stmt);
    k->c->command = outer;
    if (cmd->rc != NADB_OK) return cmd->rc;
    if (code == done) return NADB_OK;
    return value_sqlite_error(k->db, sqlite3_extended_errcode(k->db), err);
}

/* An INSERT is not planned, which is how conn_prepare() finds the table. */
static nadb_rc prepare_insert(call *k, const char *name,
                              const command_kind *kind, sqlite3_stmt **stmt,
                              nadb_err *err) {
    nadb_rc rc = conn_find(k->c, name, &k->v, err);
    char *sql;
    int code = SQLITE_NOMEM;

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
    const char *name = (const char *)sqlite3_value_text(k->argv[0]);
    nadb_rc rc;

    if (kind == &kinds[COMMAND_INSERT]) {
        rc = prepare_insert(k, name, kind, stmt, err);
    } else {
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
    /* Columns that read as NULL must not be taken for what is there. */
    if (rc == NADB_OK && which == COMMAND_BACKUP) {
        rc = step(k, stmt, &cmd, SQLITE_ROW, err);
        if (rc == NADB_OK && cmd.columns != BACKED_UP_COLUMNS) {
            rc = denied(&cmd, k->v, err);
        }
    }
    sqlite3_finalize(stmt);
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
        rc = NADB_DENIED; /* SQLITE_IGNORE leaves nothing to do */
    }
    if (rc == NADB_DENIED) {
        rc = nadb_fail(err, rc, "not authorized: it needs INSERT into %s.%s",
                       v->schema, v->name);
    }
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return rc;
}
