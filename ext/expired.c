/* expired.c - nadb_expired(t [, limit]): rows that have expired and are still
 * in the store, before they go.
 *
 *     SELECT key, value FROM nadb_expired('kv', 100);
 *
 * They come by the index of expiries, in no order that is promised. The sweeper
 * removes them within about flush_interval; a server with expiry of its own may
 * have removed them already. */
#include "func.h"

enum expired_column {
    EXPIRED_KEY, /* in the order of enum column */
    EXPIRED_VALUE,
    EXPIRED_TAGS,
    EXPIRED_TTL,
    EXPIRED_EXPIRES_AT,
    EXPIRED_CREATED_AT,
    EXPIRED_UPDATED_AT,
    EXPIRED_SIZE,
    EXPIRED_TABLE, /* hidden: the arguments */
    EXPIRED_LIMIT
};

static const char declaration[] =
    "CREATE TABLE x(key TEXT, value, tags TEXT, ttl REAL, expires_at REAL,"
    " created_at REAL, updated_at REAL, size INTEGER, \"table\" HIDDEN,"
    " \"limit\" HIDDEN)";

typedef struct expired_table {
    sqlite3_vtab base;
    conn *c;
} expired_table;

typedef struct expired_cursor {
    sqlite3_vtab_cursor base;
    nadb_session *session; /* of the table's; entered while it is not NULL */
    nadb_cursor *rows;
    int64_t left; /* of the limit */
    nadb_buf scratch;
    sqlite3_int64 rowid;
} expired_cursor;

static int expired_connect(sqlite3 *db, void *aux, int argc,
                           const char *const *argv, sqlite3_vtab **out,
                           char **msg) {
    int code = sqlite3_declare_vtab(db, declaration);
    expired_table *t;

    (void)argc;
    (void)argv;
    (void)msg;
    if (code != SQLITE_OK) return code;
    t = nadb_calloc(1, sizeof *t);
    if (t == NULL) return SQLITE_NOMEM;
    t->c = aux;
    *out = &t->base;
    return SQLITE_OK;
}

static int expired_disconnect(sqlite3_vtab *base) {
    nadb_free(base);
    return SQLITE_OK;
}

static int expired_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    int found[2] = {-1, -1};
    int n = 0;

    (void)base;
    info->estimatedCost = 1000;
    info->estimatedRows = 100;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];

        if (c->iColumn < EXPIRED_TABLE || c->op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!c->usable) return SQLITE_CONSTRAINT;
        found[c->iColumn - EXPIRED_TABLE] = i;
    }
    for (int i = 0; i < 2; i++) {
        if (found[i] < 0) continue;
        info->aConstraintUsage[found[i]].argvIndex = ++n;
        info->aConstraintUsage[found[i]].omit = 1;
        info->idxNum |= 1 << i;
    }
    return SQLITE_OK;
}

static int expired_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    expired_cursor *c = nadb_calloc(1, sizeof *c);

    (void)base;
    if (c == NULL) return SQLITE_NOMEM;
    *out = &c->base;
    return SQLITE_OK;
}

static void finish(expired_cursor *c) {
    nadb_cursor_free(c->rows);
    c->rows = NULL;
    if (c->session != NULL) nadb_session_leave(c->session);
    c->session = NULL;
}

static int expired_close(sqlite3_vtab_cursor *base) {
    expired_cursor *c = (expired_cursor *)base;

    finish(c);
    nadb_buf_clear(&c->scratch);
    nadb_free(c);
    return SQLITE_OK;
}

/* Passes by what a server has removed since its index named it. */
static nadb_rc settle(expired_cursor *c, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && nadb_cursor_row(c->rows) != NULL && c->left > 0) {
        rc = nadb_cursor_load(c->rows, err);
        if (rc == NADB_OK && nadb_cursor_row(c->rows) != NULL) return NADB_OK;
        if (rc == NADB_OK) rc = nadb_cursor_next(c->rows, err);
    }
    finish(c);
    return rc;
}

static nadb_rc start(expired_cursor *c, int plan, sqlite3_value **argv,
                     nadb_err *err) {
    expired_table *t = (expired_table *)c->base.pVtab;
    nadb_scan scan = {.by_expiry = true,
                      .expired = true,
                      .expires_from = INT64_MIN,
                      .expires_to = nadb_now_ms()};
    call k = {.c = t->c, .argc = 1, .argv = argv, .db = t->c->db};
    nadb_rc rc;

    if ((plan & 1) == 0)
        return nadb_fail(err, NADB_INVALID,
                         "nadb_expired needs a table: SELECT * FROM "
                         "nadb_expired('kv')");
    c->left = INT64_MAX;
    if ((plan & 2) != 0 && sqlite3_value_type(argv[1]) != SQLITE_NULL &&
        (!value_integer(argv[1], &c->left) || c->left < 0))
        return nadb_fail(err, NADB_INVALID,
                         "the limit is not a whole number from 0 on");
    rc = command_find(&k, COMMAND_BACKUP, err); /* READ of all columns */
    if (rc == NADB_OK) rc = txn_enter(k.v, err);
    if (rc != NADB_OK) return rc;
    c->session = k.v->s->core;
    rc = nadb_cursor_new(c->session, &c->rows, err);
    if (rc == NADB_OK) rc = nadb_cursor_scan(c->rows, &scan, err);
    return rc == NADB_OK ? settle(c, err) : rc;
}

static int failed(expired_cursor *c, const nadb_err *err) {
    finish(c);
    return value_vtab_error(c->base.pVtab, err);
}

static int expired_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                          int argc, sqlite3_value **argv) {
    expired_cursor *c = (expired_cursor *)base;
    nadb_err err;

    (void)text;
    (void)argc;
    finish(c);
    c->rowid = 0;
    if (start(c, plan, argv, &err) != NADB_OK) return failed(c, &err);
    return SQLITE_OK;
}

static int expired_next(sqlite3_vtab_cursor *base) {
    expired_cursor *c = (expired_cursor *)base;
    nadb_err err;

    c->rowid++;
    c->left--;
    if (nadb_cursor_next(c->rows, &err) != NADB_OK ||
        settle(c, &err) != NADB_OK)
        return failed(c, &err);
    return SQLITE_OK;
}

static int expired_eof(sqlite3_vtab_cursor *base) {
    return ((expired_cursor *)base)->rows == NULL;
}

static int expired_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx,
                          int i) {
    expired_cursor *c = (expired_cursor *)base;
    nadb_err err;

    if (i >= EXPIRED_TABLE) return SQLITE_OK; /* not remembered */
    if (value_column_to_sql(ctx, c->rows, (enum column)(i + COL_KEY), false,
                            &c->scratch, &err) != NADB_OK)
        return value_vtab_error(base->pVtab, &err);
    return SQLITE_OK;
}

static int expired_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    *rowid = ((expired_cursor *)base)->rowid;
    return SQLITE_OK;
}

/* Without xCreate: it exists by itself, and only so. */
static const sqlite3_module expired_module = {
    .xConnect = expired_connect,
    .xBestIndex = expired_best_index,
    .xDisconnect = expired_disconnect,
    .xOpen = expired_open,
    .xClose = expired_close,
    .xFilter = expired_filter,
    .xNext = expired_next,
    .xEof = expired_eof,
    .xColumn = expired_column,
    .xRowid = expired_rowid,
};

int expired_register(sqlite3 *db, conn *c) {
    (void)conn_ref(db);
    /* On failure too, SQLite calls conn_unref(). */
    return sqlite3_create_module_v2(db, "nadb_expired", &expired_module, c,
                                    conn_unref);
}
