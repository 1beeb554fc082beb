/* all.c - nadb_all(path [, db]): the rows of all stores in files that are in a
 * directory, read-only, without a table for each.
 *
 *     SELECT namespace, count(*) FROM nadb_all('data') GROUP BY 1;
 *
 * db, namespace and key = are pushed down: a store that is not asked for is not
 * opened. Stores are read one after the other, each as it is when the walk
 * comes to it; what a transaction of this connection has not committed is not
 * there. */
#include "ext.h"

enum all_column {
    ALL_DB,
    ALL_NAMESPACE,
    ALL_KEY, /* from here on in the order of enum column */
    ALL_VALUE,
    ALL_TAGS,
    ALL_TTL,
    ALL_EXPIRES_AT,
    ALL_CREATED_AT,
    ALL_UPDATED_AT,
    ALL_SIZE,
    ALL_PATH, /* hidden: the arguments */
    ALL_ONLY_DB
};

static const char declaration[] =
    "CREATE TABLE x(db TEXT, namespace TEXT, key TEXT, value, tags TEXT,"
    " ttl REAL, expires_at REAL, created_at REAL, updated_at REAL,"
    " size INTEGER, path HIDDEN, only_db HIDDEN)";

typedef struct all_table {
    sqlite3_vtab base;
    conn *c;
} all_table;

typedef struct all_cursor {
    sqlite3_vtab_cursor base;
    nadb_store_list list;
    size_t at; /* the store in it */
    nadb_store *store;
    nadb_session *session;
    nadb_cursor *rows;
    bool entered;
    bool by_key;
    nadb_buf key, scratch;
    sqlite3_int64 rowid;
} all_cursor;

static int all_connect(sqlite3 *db, void *aux, int argc,
                       const char *const *argv, sqlite3_vtab **out,
                       char **msg) {
    int code = sqlite3_declare_vtab(db, declaration);
    all_table *t;

    (void)argc;
    (void)argv;
    (void)msg;
    /* A schema has no business with directories. */
    if (code == SQLITE_OK)
        code = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    if (code != SQLITE_OK) return code;
    t = nadb_calloc(1, sizeof *t);
    if (t == NULL) return SQLITE_NOMEM;
    t->c = aux;
    *out = &t->base;
    return SQLITE_OK;
}

static int all_disconnect(sqlite3_vtab *base) {
    nadb_free(base);
    return SQLITE_OK;
}

/* --- planning --- */

/* The arguments of xFilter, in this order; idxNum has a bit for each. */
enum { TAKE_PATH, TAKE_ONLY_DB, TAKE_DB, TAKE_NAMESPACE, TAKE_KEY, TAKES };

static int taken_as(int column) {
    switch (column) {
    case ALL_PATH:
        return TAKE_PATH;
    case ALL_ONLY_DB:
        return TAKE_ONLY_DB;
    case ALL_DB:
        return TAKE_DB;
    case ALL_NAMESPACE:
        return TAKE_NAMESPACE;
    case ALL_KEY:
        return TAKE_KEY;
    default:
        return -1;
    }
}

static int all_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    int found[TAKES] = {-1, -1, -1, -1, -1};
    int n = 0;

    (void)base;
    info->estimatedCost = 1e8;
    info->estimatedRows = 10000000;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        int take = taken_as(c->iColumn);

        if (take < 0 || c->op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        if (take <= TAKE_ONLY_DB && !c->usable) return SQLITE_CONSTRAINT;
        if (c->usable &&
            sqlite3_stricmp(sqlite3_vtab_collation(info, i), "BINARY") == 0)
            found[take] = i;
    }
    for (int take = 0; take < TAKES; take++) {
        if (found[take] < 0) continue;
        info->aConstraintUsage[found[take]].argvIndex = ++n;
        /* The rest is compared once more: they may be numbers. */
        info->aConstraintUsage[found[take]].omit = take <= TAKE_ONLY_DB;
        info->idxNum |= 1 << take;
        if (take <= TAKE_ONLY_DB) continue;
        info->estimatedCost /= take == TAKE_KEY ? 1e5 : 10;
        info->estimatedRows /= take == TAKE_KEY ? 100000 : 10;
    }
    return SQLITE_OK;
}

/* --- walking --- */

static void leave_store(all_cursor *c) {
    nadb_cursor_free(c->rows);
    c->rows = NULL;
    if (c->entered) nadb_session_leave(c->session);
    c->entered = false;
    nadb_session_free(c->session);
    c->session = NULL;
    nadb_store_close(c->store);
    c->store = NULL;
}

static void reset(all_cursor *c) {
    leave_store(c);
    nadb_store_list_clear(&c->list);
    c->at = 0;
    c->rowid = 0;
    c->by_key = false;
    nadb_buf_reset(&c->key);
}

static int all_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    all_cursor *c = nadb_calloc(1, sizeof *c);

    (void)base;
    if (c == NULL) return SQLITE_NOMEM;
    *out = &c->base;
    return SQLITE_OK;
}

static int all_close(sqlite3_vtab_cursor *base) {
    all_cursor *c = (all_cursor *)base;

    reset(c);
    nadb_buf_clear(&c->key);
    nadb_buf_clear(&c->scratch);
    nadb_free(c);
    return SQLITE_OK;
}

static nadb_rc enter_store(all_cursor *c, nadb_err *err) {
    conn *co = ((all_table *)c->base.pVtab)->c;
    const nadb_options *o = c->list.options[c->at];
    nadb_scan all = {.reverse = false};
    nadb_rc rc = nadb_store_open(o, 0, &c->store, NULL, err);

    if (rc == NADB_OK) rc = nadb_session_new(c->store, &c->session, err);
    if (rc == NADB_OK)
        nadb_session_serve(c->session, &co->caller, o->busy_timeout_ms);
    if (rc == NADB_OK) rc = nadb_session_enter(c->session, err);
    c->entered = rc == NADB_OK;
    if (rc == NADB_OK) rc = nadb_cursor_new(c->session, &c->rows, err);
    if (rc != NADB_OK) return rc;
    return c->by_key
               ? nadb_cursor_key(c->rows, nadb_buf_slice(&c->key), false, err)
               : nadb_cursor_scan(c->rows, &all, err);
}

/* To the first row of this store, or of those behind it. */
static nadb_rc settle(all_cursor *c, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && c->at < c->list.n) {
        if (c->store == NULL) rc = enter_store(c, err);
        if (rc == NADB_OK && nadb_cursor_row(c->rows) != NULL) return NADB_OK;
        leave_store(c);
        if (rc == NADB_OK) c->at++;
    }
    return rc;
}

static int failed(all_cursor *c, const nadb_err *err) {
    reset(c);
    return value_vtab_error(c->base.pVtab, err);
}

/* The key, if it is one that can be looked up; else every row is. */
static nadb_rc take_key(all_cursor *c, sqlite3_value *value, nadb_err *err) {
    conn *co = ((all_table *)c->base.pVtab)->c;
    nadb_slice key;

    if (sqlite3_value_type(value) != SQLITE_TEXT &&
        sqlite3_value_type(value) != SQLITE_BLOB)
        return NADB_OK;
    switch (key_from_sql(co, value, &c->scratch, &key)) {
    case KEY_NOMEM:
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    case KEY_NULL:
        return NADB_OK;
    case KEY_GIVEN:
        break;
    }
    if (key.n > NADB_KEY_MAX) return NADB_OK;
    c->by_key = nadb_buf_append(&c->key, key.p, key.n);
    return c->by_key ? NADB_OK : nadb_fail(err, NADB_NOMEM, "out of memory");
}

static nadb_rc list_stores(all_cursor *c, int plan, sqlite3_value **argv,
                           nadb_err *err) {
    sqlite3_value *values[TAKES] = {NULL};
    const char *texts[TAKES] = {NULL};
    nadb_rc rc = NADB_OK;
    int n = 0;

    for (int take = 0; take < TAKES; take++)
        if ((plan & 1 << take) != 0) values[take] = argv[n++];
    if (values[TAKE_PATH] == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "nadb_all needs a directory: SELECT * FROM "
                         "nadb_all('data')");
    rc = value_path(values[TAKE_PATH], &texts[TAKE_PATH], err);
    for (int take = TAKE_ONLY_DB; rc == NADB_OK && take < TAKE_KEY; take++) {
        if (values[take] == NULL) continue;
        texts[take] = (const char *)sqlite3_value_text(values[take]);
        /* NULL is equal to nothing; as an argument it was left out. */
        if (texts[take] == NULL && take != TAKE_ONLY_DB) return NADB_OK;
    }
    if (texts[TAKE_ONLY_DB] == NULL) texts[TAKE_ONLY_DB] = texts[TAKE_DB];
    if (rc == NADB_OK && values[TAKE_KEY] != NULL)
        rc = take_key(c, values[TAKE_KEY], err);
    if (rc != NADB_OK) return rc;
    return nadb_store_list_read(texts[TAKE_PATH], texts[TAKE_ONLY_DB],
                                texts[TAKE_NAMESPACE], true, &c->list, err);
}

static int all_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                      int argc, sqlite3_value **argv) {
    all_cursor *c = (all_cursor *)base;
    nadb_err err;

    (void)text;
    (void)argc;
    reset(c);
    if (list_stores(c, plan, argv, &err) != NADB_OK ||
        settle(c, &err) != NADB_OK)
        return failed(c, &err);
    return SQLITE_OK;
}

static int all_next(sqlite3_vtab_cursor *base) {
    all_cursor *c = (all_cursor *)base;
    nadb_err err;

    c->rowid++;
    if (nadb_cursor_next(c->rows, &err) != NADB_OK ||
        settle(c, &err) != NADB_OK)
        return failed(c, &err);
    return SQLITE_OK;
}

static int all_eof(sqlite3_vtab_cursor *base) {
    return ((all_cursor *)base)->rows == NULL;
}

static int all_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int i) {
    all_cursor *c = (all_cursor *)base;
    const nadb_options *o = c->list.options[c->at];
    nadb_err err;

    if (i >= ALL_PATH) return SQLITE_OK; /* arguments are not remembered */
    if (i == ALL_DB || i == ALL_NAMESPACE) {
        value_text_to_sql(ctx, nadb_slice_str(i == ALL_DB ? o->db : o->ns),
                          false);
        return SQLITE_OK;
    }
    if (value_column_to_sql(ctx, c->rows, (enum column)(i - ALL_KEY + COL_KEY),
                            false, &c->scratch, &err) != NADB_OK)
        return value_vtab_error(base->pVtab, &err);
    return SQLITE_OK;
}

static int all_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    *rowid = ((all_cursor *)base)->rowid;
    return SQLITE_OK;
}

/* Without xCreate: it exists by itself, and only so. */
static const sqlite3_module all_module = {
    .xConnect = all_connect,
    .xBestIndex = all_best_index,
    .xDisconnect = all_disconnect,
    .xOpen = all_open,
    .xClose = all_close,
    .xFilter = all_filter,
    .xNext = all_next,
    .xEof = all_eof,
    .xColumn = all_column,
    .xRowid = all_rowid,
};

int all_register(sqlite3 *db, conn *c) {
    (void)conn_ref(db);
    /* On failure too, SQLite calls conn_unref(). */
    return sqlite3_create_module_v2(db, "nadb_all", &all_module, c, conn_unref);
}
