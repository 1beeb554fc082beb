/* watch.c - detects the end of a read transaction.
 *
 * SQLite tells a virtual table that a transaction ends only if the transaction
 * has written to the table. So in BEGIN .. COMMIT the first read of a store
 * writes to a virtual table of ours in temp, nadb_snapshot, whose content is
 * always empty. Its xCommit or xRollback then ends the snapshot of every store
 * that was read. The database file stays in its read transaction.
 *
 * The table is made when a statement on one of our tables is prepared and no
 * other statement runs, because a change of the schema makes running statements
 * fail when they open their next cursor. Nor may an error endanger what the
 * transaction has written. If it could not be made then, a statement that runs
 * later, alone and on tables of ours only, makes it. Inside a transaction a
 * ROLLBACK would undo it and abort open SELECTs; mostly it was made before.
 * Where it cannot be made or written (query_only, an authorizer), each
 * statement has its own snapshot, as docs/transactions.md says. */
#include "rowless.h"
#include "sqlite_quirks.h"

/* After so many failed attempts the table counts as forbidden. */
#define TRIES 8u

#define WATCH_MAKE                                                             \
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.nadb_snapshot USING "             \
    "nadb_snapshot"
#define WATCH_WRITE "INSERT INTO temp.nadb_snapshot SELECT 1 WHERE 0"

typedef struct watch {
    sqlite3_vtab base;
    conn *c;
} watch;

static void ended(conn *c) {
    c->watching = false;
    c->stuck = false;
    for (sess *s = c->sessions; s != NULL; s = s->next)
        nadb_session_unhold(s->core);
}

/* --- the table --- */

static int watch_connect(sqlite3 *db, void *aux, int argc,
                         const char *const *argv, sqlite3_vtab **out,
                         char **msg) {
    watch *w = nadb_calloc(1, sizeof *w);
    int code;

    (void)argc;
    (void)argv;
    (void)msg;
    if (w == NULL) return SQLITE_NOMEM;
    w->c = aux;
    code = sqlite3_declare_vtab(db, "CREATE TABLE x(snapshot)");
    if (code != SQLITE_OK) {
        nadb_free(w);
        return code;
    }
    *out = &w->base;
    return SQLITE_OK;
}

/* SQLite counts a table that it has just made as written. */
static int watch_create(sqlite3 *db, void *aux, int argc,
                        const char *const *argv, sqlite3_vtab **out,
                        char **msg) {
    int code = watch_connect(db, aux, argc, argv, out, msg);

    if (code == SQLITE_OK) ((conn *)aux)->watching = true;
    return code;
}

/* Called also when a ROLLBACK has undone the table. */
static int watch_disconnect(sqlite3_vtab *base) {
    ((watch *)base)->c->watch_there = false;
    nadb_free(base);
    return SQLITE_OK;
}

static int watch_destroy(sqlite3_vtab *base) {
    ended(((watch *)base)->c);
    return watch_disconnect(base);
}

static int watch_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    (void)base;
    info->estimatedCost = 1;
    return SQLITE_OK;
}

static int watch_update(sqlite3_vtab *base, int argc, sqlite3_value **argv,
                        sqlite3_int64 *rowid) {
    (void)argc;
    (void)argv;
    (void)rowid;
    base->zErrMsg = sqlite3_mprintf("nadb_snapshot takes no rows");
    return SQLITE_READONLY;
}

static int watch_begin(sqlite3_vtab *base) {
    ((watch *)base)->c->watching = true;
    return SQLITE_OK;
}

/* A store that was only read gets no xSync of its own. */
static int watch_sync(sqlite3_vtab *base) {
    conn *c = ((watch *)base)->c;
    nadb_err err;

    if (c->stuck) {
        base->zErrMsg = sqlite3_mprintf(
            "a function of nadb had no memory to undo its changes: "
            "the transaction is rolled back now");
        return SQLITE_ABORT;
    }
    for (sess *s = c->sessions; s != NULL; s = s->next)
        if (nadb_session_verify(s->core, &err) != NADB_OK)
            return value_vtab_error(base, &err);
    return SQLITE_OK;
}

static int watch_end(sqlite3_vtab *base) {
    ended(((watch *)base)->c);
    return SQLITE_OK;
}

const sqlite3_module watch_module = {
    .iVersion = 1,
    .xCreate = watch_create,
    .xConnect = watch_connect,
    .xBestIndex = watch_best_index,
    .xDisconnect = watch_disconnect,
    .xDestroy = watch_destroy,
    ROWLESS_CURSOR,
    .xUpdate = watch_update,
    .xBegin = watch_begin,
    .xSync = watch_sync,
    .xCommit = watch_end,
    .xRollback = watch_end,
};

/* --- watching --- */

static int run(conn *c, const char *sql) {
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

static bool is_busy(sqlite3 *db) {
    sqlite3_stmt *at = sqlite3_next_stmt(db, NULL);

    while (at != NULL && !sqlite3_stmt_busy(at)) at = sqlite3_next_stmt(db, at);
    return at != NULL;
}

/* True for errors after which SQLite may have rolled the whole transaction
 * back, so that the statement must not continue. */
static int fatal(int code) {
    switch (code & 0xff) {
    case SQLITE_NOMEM:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_INTERRUPT:
        return code;
    default:
        return SQLITE_OK;
    }
}

static int make(conn *c) {
    int code = run(c, WATCH_MAKE);

    c->watch_stale = code != SQLITE_OK;
    if (code == SQLITE_OK) {
        c->watch_tries = c->watch_late = 0;
        c->watch_there = true;
    } else if (code != SQLITE_SCHEMA && code != SQLITE_INTERRUPT) {
        c->watch_tries++;
    }
    return fatal(code);
}

int watch_prepare(vtab *v) {
    conn *c = v->c;

    if (c->watch_there || c->watch_tries >= TRIES) return SQLITE_OK;
    /* An error here must not endanger changes of the transaction. BEGIN
     * IMMEDIATE has written nothing yet; without making the table behind it, a
     * program that keeps its prepared statements would never make it. */
    if (is_busy(c->db) || (sqlite3_txn_state(c->db, NULL) == SQLITE_TXN_WRITE &&
                           !file_unwritten(v))) {
        c->watch_late = TRIES;
        return SQLITE_OK;
    }
    return make(c);
}

/* The running statement was prepared when nadb_snapshot could not be created,
 * and the program has kept it. Creates the table now, if the statement can
 * continue after that. SQLite then prepares all other kept statements again. */
static int make_late(conn *c) {
    c->watch_late--;
    if (sqlite3_txn_state(c->db, NULL) == SQLITE_TXN_WRITE ||
        !quirk_outlives_schema(c->db))
        return SQLITE_OK;
    return make(c);
}

/* After PRAGMA temp_store, or after an error of WATCH_MAKE, SQLite reloads the
 * schema of temp as soon as a nested statement needs it, but not while a
 * statement is prepared. Has it reload it now, if the running statement can
 * continue after that. */
static void reload(conn *c) {
    if (!c->watch_stale || !quirk_outlives_schema(c->db)) return;
    c->watch_stale = false;
    (void)run(c, "SELECT 1 FROM temp.sqlite_schema LIMIT 1");
}

int watch_make(conn *c) { return run(c, WATCH_MAKE); }

int watch_join(conn *c) { return run(c, WATCH_WRITE); }

int watch_read(conn *c, sess *s) {
    int code = SQLITE_OK;

    reload(c);
    if (!c->watch_there && c->watch_late > 0) code = make_late(c);
    if (code != SQLITE_OK) return code;
    if (sqlite3_get_autocommit(c->db)) {
        if (c->watching) ended(c);
        return SQLITE_OK;
    }
    if (!nadb_session_can_hold(s->core)) return SQLITE_OK;
    if (!c->watching && !c->watch_stale) code = run(c, WATCH_WRITE);
    /* PRAGMA temp_store or a ROLLBACK has removed the table. */
    if (code == SQLITE_ERROR) c->watch_there = false;
    if (c->watching) nadb_session_hold(s->core);
    return fatal(code);
}
