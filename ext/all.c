/* all.c - nadb_all(path [, db]): the rows of all stores in files in a
 * directory, read-only, without declaring a table for each.
 *
 *     SELECT namespace, count(*) FROM nadb_all('data') GROUP BY 1;
 *
 * db, namespace and key = are pushed down, so a store that is not asked for is
 * not opened. Stores are read one after the other, each in its state when the
 * walk reaches it. Uncommitted changes of this connection are not seen. */
#include "eponymous.h"

enum all_column {
    ALL_DB,
    ALL_NAMESPACE,
    ALL_KEY, /* from here in the order of enum column */
    ALL_VALUE,
    ALL_TAGS,
    ALL_TTL,
    ALL_EXPIRES_AT,
    ALL_CREATED_AT,
    ALL_UPDATED_AT,
    ALL_SIZE,
    ALL_ARGUMENTS /* path, only_db */
};

/* Indexes into given[] of all_start(). */
enum { GIVEN_PATH, GIVEN_ONLY_DB, GIVEN_DB, GIVEN_NAMESPACE, GIVEN_KEY, GIVEN };

typedef struct all_cursor {
    eponymous_cursor base;
    nadb_store_list list;
    size_t at; /* the present store */
    nadb_store *store;
    nadb_session *session;
    nadb_cursor *rows;
    bool entered;
    bool by_key;
    nadb_buf key, scratch;
} all_cursor;

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

static void all_stop(eponymous_cursor *base) {
    all_cursor *c = (all_cursor *)base;

    leave_store(c);
    nadb_store_list_clear(&c->list);
    c->at = 0;
    c->by_key = false;
    nadb_buf_reset(&c->key);
}

static void all_clear(eponymous_cursor *base) {
    all_cursor *c = (all_cursor *)base;

    nadb_buf_clear(&c->key);
    nadb_buf_clear(&c->scratch);
}

static nadb_rc enter_store(all_cursor *c, nadb_err *err) {
    conn *co = c->base.c;
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

/* Moves to the first row of this store or of a later one. */
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

/* Takes the key if it can be looked up; otherwise all rows are read. */
static nadb_rc take_key(all_cursor *c, sqlite3_value *value, nadb_err *err) {
    conn *co = c->base.c;
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

/* Lists the stores that match the arguments and the WHERE clause. */
static nadb_rc list_stores(all_cursor *c, sqlite3_value **given,
                           nadb_err *err) {
    const char *texts[GIVEN] = {NULL};
    nadb_rc rc;

    if (given[GIVEN_PATH] == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "nadb_all needs a directory: SELECT * FROM "
                         "nadb_all('data')");
    rc = value_path(given[GIVEN_PATH], &texts[GIVEN_PATH], err);
    for (int i = GIVEN_ONLY_DB; rc == NADB_OK && i < GIVEN_KEY; i++) {
        if (given[i] == NULL) continue;
        texts[i] = value_name(given[i]);
        /* NULL equals nothing in WHERE; as an argument it means "not given". */
        if (texts[i] == NULL && i != GIVEN_ONLY_DB) return NADB_OK;
    }
    if (texts[GIVEN_ONLY_DB] == NULL) texts[GIVEN_ONLY_DB] = texts[GIVEN_DB];
    if (rc == NADB_OK && given[GIVEN_KEY] != NULL)
        rc = take_key(c, given[GIVEN_KEY], err);
    if (rc != NADB_OK) return rc;
    return nadb_store_list_read(texts[GIVEN_PATH], texts[GIVEN_ONLY_DB],
                                texts[GIVEN_NAMESPACE], true, &c->list, err);
}

static nadb_rc all_start(eponymous_cursor *c, sqlite3_value **given,
                         nadb_err *err) {
    nadb_rc rc = list_stores((all_cursor *)c, given, err);

    return rc == NADB_OK ? settle((all_cursor *)c, err) : rc;
}

static nadb_rc all_next(eponymous_cursor *base, nadb_err *err) {
    all_cursor *c = (all_cursor *)base;
    nadb_rc rc = nadb_cursor_next(c->rows, err);

    return rc == NADB_OK ? settle(c, err) : rc;
}

static bool all_at_end(const eponymous_cursor *c) {
    return ((const all_cursor *)c)->rows == NULL;
}

static nadb_rc all_column(eponymous_cursor *base, sqlite3_context *ctx, int i,
                          nadb_err *err) {
    all_cursor *c = (all_cursor *)base;
    const nadb_options *o = c->list.options[c->at];

    if (i == ALL_DB || i == ALL_NAMESPACE) {
        value_text_to_sql(ctx, nadb_slice_str(i == ALL_DB ? o->db : o->ns),
                          false);
        return NADB_OK;
    }
    return value_column_to_sql(ctx, c->rows,
                               (enum column)(i - ALL_KEY + COL_KEY), false,
                               &c->scratch, err);
}

const eponymous all_table = {
    .name = "nadb_all",
    .declaration =
        "CREATE TABLE x(db TEXT, namespace TEXT, key TEXT, value, tags TEXT,"
        " ttl REAL, expires_at REAL, created_at REAL, updated_at REAL,"
        " size INTEGER, path HIDDEN, only_db HIDDEN)",
    .argument = ALL_ARGUMENTS,
    .n_arguments = 2,
    .pushed = {{ALL_DB, 10}, {ALL_NAMESPACE, 10}, {ALL_KEY, 1e5}},
    .n_pushed = 3,
    .cost = 1e8,
    .rows = 10000000,
    .no_schema = true, /* a schema must not read directories */
    .cursor_size = sizeof(all_cursor),
    .start = all_start,
    .next = all_next,
    .at_end = all_at_end,
    .column = all_column,
    .stop = all_stop,
    .clear = all_clear,
};
