/* func_log.c - for operators: nadb_log() writes lines of the application into
 * the logs of its stores; nadb_openmetrics(); and errors of background work go
 * to SQLite's log. */
#include "func.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory");
}

/* --- which stores --- */

typedef struct line {
    call *k;
    const char *level;
    nadb_slice message, data;
    nadb_buf seen; /* nadb_store * of each log that has the line */
    int64_t logs;
} line;

static bool is_seen(const line *l, const nadb_store *store) {
    for (size_t i = 0; i < l->seen.n; i += sizeof store) {
        const nadb_store *one;

        memcpy(&one, l->seen.p + i, sizeof one);
        if (one == store) return true;
    }
    return false;
}

/* Writes the line to a table's store, which is opened if it is to have a
 * log. */
static nadb_rc put_table(line *l, const char *name, nadb_err *err) {
    nadb_store *store;
    vtab *v = NULL;
    sqlite3_stmt *pin;
    bool put = false;
    nadb_rc rc = conn_find(l->k->c, name, &pin, &v, err);

    func_pin(l->k, pin);
    if (rc == NADB_INVALID) return NADB_OK; /* a table of another module */
    if (rc != NADB_OK || v->options == NULL || v->options->log == NULL)
        return rc;
    rc = vtab_open(v, err);
    if (rc != NADB_OK) return rc;
    store = v->s->store;
    if (is_seen(l, store)) return NADB_OK;
    if (!nadb_buf_append(&l->seen, &store, sizeof store)) return no_memory(err);
    rc = nadb_store_log(store, l->level, l->message, l->data, &put, err);
    if (put) l->logs++;
    return rc;
}

/* --- the line --- */

/* The JSON without white space, so that it fits into one line; *stmt owns
 * it. */
static nadb_rc take_json(call *k, sqlite3_stmt **stmt, nadb_slice *out,
                         nadb_err *err) {
    const unsigned char *text = NULL;

    if (k->argc < 3 || sqlite3_value_type(k->argv[2]) == SQLITE_NULL)
        return NADB_OK;
    if (sqlite3_prepare_v2(k->db, "SELECT json(?1)", -1, stmt, NULL) !=
            SQLITE_OK ||
        sqlite3_bind_value(*stmt, 1, k->argv[2]) != SQLITE_OK)
        return value_sqlite_error(k->db, sqlite3_extended_errcode(k->db), err);
    if (sqlite3_step(*stmt) == SQLITE_ROW) text = sqlite3_column_text(*stmt, 0);
    if (text == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "the third argument of nadb_log() is not JSON");
    *out = nadb_slice_of(text, (size_t)sqlite3_column_bytes(*stmt, 0));
    return NADB_OK;
}

/* nadb_log(level, message [, json]): number of logs that have the line */
nadb_rc func_log(call *k, nadb_err *err) {
    line l = {.k = k, .level = func_text(k, 0)};
    const char *message = (const char *)sqlite3_value_text(k->argv[1]);
    sqlite3_stmt *stmt = NULL;
    nadb_buf names = NADB_BUF_INIT;
    nadb_rc rc;

    if (l.level == NULL || message == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "nadb_log() takes a level and a message: "
                         "nadb_log('info', 'started')");
    l.message = nadb_slice_of(message, (size_t)sqlite3_value_bytes(k->argv[1]));
    rc = nadb_log_check(l.level, err);
    if (rc == NADB_OK) rc = take_json(k, &stmt, &l.data, err);
    /* Names are collected first, because finding a table may change the list.
     */
    if (rc == NADB_OK)
        rc = func_names(k,
                        "SELECT schema || '.' || name FROM pragma_table_list"
                        " WHERE type = 'virtual' ORDER BY 1",
                        &names, err);
    for (size_t at = 0; rc == NADB_OK && at < names.n;) {
        const char *name = (const char *)names.p + at;

        rc = put_table(&l, name, err);
        at += strlen(name) + 1;
    }
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, l.logs);
    sqlite3_finalize(stmt);
    nadb_buf_clear(&names);
    nadb_buf_clear(&l.seen);
    return rc;
}

/* --- nadb_openmetrics() --- */

nadb_rc func_openmetrics(call *k, nadb_err *err) {
    nadb_buf text = NADB_BUF_INIT;
    nadb_rc rc = nadb_openmetrics(&text, err);

    if (rc == NADB_OK)
        sqlite3_result_text64(k->ctx, (const char *)text.p, text.n,
                              SQLITE_TRANSIENT, SQLITE_UTF8);
    nadb_buf_clear(&text);
    return rc;
}

/* --- SQLite's log --- */

static void alarm(nadb_rc rc, const char *message) {
    sqlite3_log(value_code(rc), "nadb: %s", message);
}

void log_register(void) { nadb_alarm_set(alarm); }
