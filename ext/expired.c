/* expired.c - nadb_expired(t [, limit]): rows that have expired and are not
 * removed yet.
 *
 *     SELECT key, value FROM nadb_expired('kv', 100);
 *
 * They are found through the index of expiries; their order is not defined. The
 * sweeper removes them within about flush_interval, and a server with its own
 * expiry may have removed them already. */
#include "eponymous.h"
#include "func.h"

enum expired_column {
    EXPIRED_KEY, /* from here in the order of enum column */
    EXPIRED_VALUE,
    EXPIRED_TAGS,
    EXPIRED_TTL,
    EXPIRED_EXPIRES_AT,
    EXPIRED_CREATED_AT,
    EXPIRED_UPDATED_AT,
    EXPIRED_SIZE,
    EXPIRED_ARGUMENTS /* table, limit */
};

typedef struct expired_cursor {
    eponymous_cursor base;
    nadb_session *session; /* the table's; entered while not NULL */
    nadb_cursor *rows;
    int64_t left; /* rest of the limit */
    nadb_buf scratch;
} expired_cursor;

static void finish(expired_cursor *c) {
    nadb_cursor_free(c->rows);
    c->rows = NULL;
    if (c->session != NULL) nadb_session_leave(c->session);
    c->session = NULL;
}

static void expired_stop(eponymous_cursor *c) { finish((expired_cursor *)c); }

static void expired_clear(eponymous_cursor *c) {
    nadb_buf_clear(&((expired_cursor *)c)->scratch);
}

/* Skips rows that a server has removed since its index listed them. */
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

static nadb_rc expired_start(eponymous_cursor *base, sqlite3_value **given,
                             nadb_err *err) {
    expired_cursor *c = (expired_cursor *)base;
    nadb_scan scan = {.by_expiry = true,
                      .expired = true,
                      .expires_from = INT64_MIN,
                      .expires_to = nadb_now_ms()};
    call k = {.c = base->c, .argc = 1, .argv = given, .db = base->c->db};
    nadb_rc rc;

    if (given[0] == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "nadb_expired needs a table: SELECT * FROM "
                         "nadb_expired('kv')");
    c->left = INT64_MAX;
    if (given[1] != NULL && sqlite3_value_type(given[1]) != SQLITE_NULL &&
        (!value_integer(given[1], &c->left) || c->left < 0))
        return nadb_fail(err, NADB_INVALID,
                         "the limit is not a whole number from 0 on");
    /* asks for READ of all columns */
    rc = command_find(&k, COMMAND_BACKUP, err);
    base->pin = k.pin;
    if (rc == NADB_OK) rc = txn_enter(k.v, err);
    if (rc != NADB_OK) return rc;
    c->session = k.v->s->core;
    rc = nadb_cursor_new(c->session, &c->rows, err);
    if (rc == NADB_OK) rc = nadb_cursor_scan(c->rows, &scan, err);
    return rc == NADB_OK ? settle(c, err) : rc;
}

static nadb_rc expired_next(eponymous_cursor *base, nadb_err *err) {
    expired_cursor *c = (expired_cursor *)base;
    nadb_rc rc = nadb_cursor_next(c->rows, err);

    c->left--;
    return rc == NADB_OK ? settle(c, err) : rc;
}

static bool expired_at_end(const eponymous_cursor *c) {
    return ((const expired_cursor *)c)->rows == NULL;
}

static nadb_rc expired_column(eponymous_cursor *base, sqlite3_context *ctx,
                              int i, nadb_err *err) {
    expired_cursor *c = (expired_cursor *)base;

    return value_column_to_sql(ctx, c->rows, (enum column)(i + COL_KEY), false,
                               &c->scratch, err);
}

const eponymous expired_table = {
    .name = "nadb_expired",
    .declaration =
        "CREATE TABLE x(key TEXT, value, tags TEXT, ttl REAL, expires_at REAL,"
        " created_at REAL, updated_at REAL, size INTEGER, \"table\" HIDDEN,"
        " \"limit\" HIDDEN)",
    .argument = EXPIRED_ARGUMENTS,
    .n_arguments = 2,
    .cost = 1000,
    .rows = 100,
    .cursor_size = sizeof(expired_cursor),
    .start = expired_start,
    .next = expired_next,
    .at_end = expired_at_end,
    .column = expired_column,
    .stop = expired_stop,
    .clear = expired_clear,
};
