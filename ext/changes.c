/* changes.c - committed changes of a table, and waiting for the next commit:
 *
 *   SELECT seq, op, key FROM nadb_changes('kv', 41);
 *   SELECT seq, op, key FROM nadb_changes('kv', 41, 'user:');
 *   SELECT nadb_wait('kv', 41, 10);
 *
 * A cursor of nadb_changes walks over changes without collecting them, and
 * keeps the snapshot of its statement until it is closed. nadb_wait keeps no
 * snapshot while it sleeps. It is refused where SQLite would keep one: in a
 * transaction, and in a statement that reads a table of the database. */
#include "eponymous.h"
#include "func.h"

enum {
    COLUMN_SEQ,
    COLUMN_KEY,
    COLUMN_OP,
    COLUMN_ARGUMENTS /* table, since, prefix */
};

typedef struct changes_cursor {
    eponymous_cursor base;
    nadb_session *entered; /* NULL: closed */
    nadb_changes *walk;
    nadb_change now;
    bool found;
} changes_cursor;

static void end_walk(changes_cursor *c) {
    if (c->walk != NULL) c->walk->free(c->walk);
    c->walk = NULL;
    if (c->entered != NULL) nadb_session_leave(c->entered);
    c->entered = NULL;
    c->found = false;
}

static void changes_stop(eponymous_cursor *c) { end_walk((changes_cursor *)c); }

/* The argument `since`: a sequence number, or 0. */
static nadb_rc since_of(sqlite3_value *in, uint64_t *out, nadb_err *err) {
    int64_t i = 0;

    if (!value_integer(in, &i) || i < 0) {
        return nadb_fail(err, NADB_INVALID,
                         "since is the number of a commit, as nadb_seq() gives "
                         "it, or 0");
    }
    *out = (uint64_t)i;
    return NADB_OK;
}

/* The argument `prefix`, in `room`; NULL means the empty prefix. */
static nadb_rc prefix_of(const conn *c, sqlite3_value *in, nadb_buf *room,
                         nadb_slice *out, nadb_err *err) {
    key_kind kind = key_from_sql(c, in, room, out);

    if (kind == KEY_NOMEM) return nadb_fail(err, NADB_NOMEM, "out of memory");
    if (kind == KEY_NULL) *out = nadb_slice_of("", 0);
    return NADB_OK;
}

static nadb_rc begin_walk(changes_cursor *c, vtab *v, uint64_t since,
                          nadb_slice prefix, nadb_err *err) {
    nadb_rc rc = txn_enter(v, err);

    if (rc != NADB_OK) return rc;
    c->entered = v->s->core;
    rc = nadb_changes_open(c->entered, since, prefix, &c->walk, err);
    if (rc != NADB_OK) return rc;
    return c->walk->next(c->walk, &c->now, &c->found, err);
}

static nadb_rc changes_start(eponymous_cursor *c, sqlite3_value **given,
                             nadb_err *err) {
    nadb_buf room = NADB_BUF_INIT;
    nadb_slice prefix = nadb_slice_of("", 0);
    uint64_t since = 0;
    vtab *v = NULL;
    bool hidden = false;
    nadb_rc rc;

    if (given[0] == NULL || given[1] == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "nadb_changes needs a table and the number of a "
                         "commit: SELECT * FROM nadb_changes('kv', 0)");
    rc = since_of(given[1], &since, err);
    if (rc == NADB_OK && given[2] != NULL)
        rc = prefix_of(c->c, given[2], &room, &prefix, err);
    if (rc == NADB_OK)
        rc = conn_find_to_read(c->c, value_name(given[0]), "key", &c->pin, &v,
                               &hidden, err);
    if (rc == NADB_OK && !hidden)
        rc = begin_walk((changes_cursor *)c, v, since, prefix, err);
    nadb_buf_clear(&room);
    return rc;
}

static nadb_rc changes_next(eponymous_cursor *base, nadb_err *err) {
    changes_cursor *c = (changes_cursor *)base;

    return c->walk->next(c->walk, &c->now, &c->found, err);
}

static bool changes_at_end(const eponymous_cursor *c) {
    return !((const changes_cursor *)c)->found;
}

static nadb_rc changes_column(eponymous_cursor *base, sqlite3_context *ctx,
                              int i, nadb_err *err) {
    static const char *const ops[] = {"put", "delete", "expire", "clear"};
    const changes_cursor *c = (const changes_cursor *)base;

    (void)err;
    switch (i) {
    case COLUMN_SEQ:
        sqlite3_result_int64(ctx, (sqlite3_int64)c->now.seq);
        break;
    case COLUMN_OP:
        sqlite3_result_text(ctx, ops[c->now.kind & 3], -1, SQLITE_STATIC);
        break;
    case COLUMN_KEY:
        if (c->now.kind != NADB_CHANGE_CLEAR)
            key_to_sql(ctx, c->now.key, false);
        break;
    default:
        break;
    }
    return NADB_OK;
}

const eponymous changes_table = {
    .name = "nadb_changes",
    .declaration =
        "CREATE TABLE x(seq INTEGER, \"key\", op TEXT, \"table\" HIDDEN,"
        " since HIDDEN, prefix HIDDEN)",
    .argument = COLUMN_ARGUMENTS,
    .n_arguments = 3,
    .cost = 1000,
    .rows = 1000,
    .ascending = true,
    .cursor_size = sizeof(changes_cursor),
    .start = changes_start,
    .next = changes_next,
    .at_end = changes_at_end,
    .column = changes_column,
    .stop = changes_stop,
};

/* --- nadb_wait(t, since, timeout [, prefix]) --- */

/* Seconds; NULL or infinity: no limit. */
static nadb_rc timeout_of(sqlite3_value *in, int64_t *ms, nadb_err *err) {
    double seconds;
    int type = sqlite3_value_numeric_type(in);

    *ms = INT64_MAX / 2000000; /* must fit when converted to ns */
    if (type == SQLITE_NULL) return NADB_OK;
    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
        return nadb_fail(
            err, NADB_INVALID,
            "the timeout is a number of seconds, or NULL for no limit");
    }
    seconds = sqlite3_value_double(in);
    if (seconds < 0) seconds = 0;
    if (seconds * 1000 < (double)*ms) *ms = (int64_t)(seconds * 1000);
    return NADB_OK;
}

/* Fails if SQLite would hold a snapshot during the sleep. */
static nadb_rc check_free(sqlite3 *db, nadb_err *err) {
    if (sqlite3_get_autocommit(db) &&
        sqlite3_txn_state(db, NULL) == SQLITE_TXN_NONE)
        return NADB_OK;
    return nadb_fail(err, NADB_LOCKED,
                     "it would sleep with a transaction open, or a statement "
                     "that reads a table: COMMIT, finish such statements, and "
                     "call it by itself, SELECT nadb_wait(..)");
}

/* *found: a change after `since` has the prefix; *seq: the last commit that was
 * examined. */
static nadb_rc has_change(vtab *v, uint64_t since, nadb_slice prefix,
                          bool *found, uint64_t *seq, nadb_err *err) {
    changes_cursor c = {.found = false};
    nadb_rc rc = begin_walk(&c, v, since, prefix, err);

    *found = c.found;
    if (rc == NADB_OK && nadb_session_seq(c.entered) > *seq)
        *seq = nadb_session_seq(c.entered);
    end_walk(&c);
    return rc;
}

/* Sleeps until a commit after `since` matches. *seq: everything up to it is
 * examined. */
static nadb_rc wait_for(call *k, uint64_t since, int64_t ms, bool any,
                        nadb_slice prefix, uint64_t *seq, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    int64_t begun = os->mono_ns();
    nadb_stop stop = {quirk_interrupted, k->db};
    bool found = false;
    nadb_rc rc = NADB_OK;

    *seq = since;
    while (rc == NADB_OK && !found) {
        int64_t left = ms - (os->mono_ns() - begun) / 1000000;
        uint64_t from = *seq;

        rc = nadb_store_wait(k->v->s->store, from, left < 0 ? 0 : left, &stop,
                             seq, err);
        if (rc != NADB_OK || *seq == from) break;
        found = any;
        if (!any) rc = has_change(k->v, from, prefix, &found, seq, err);
    }
    if (rc == NADB_OK && !found) *seq = since;
    return rc;
}

nadb_rc func_wait(call *k, nadb_err *err) {
    bool any = k->argc < 4 || sqlite3_value_type(k->argv[3]) == SQLITE_NULL;
    nadb_slice prefix = nadb_slice_of("", 0);
    uint64_t since = 0, seq = 0;
    int64_t ms = 0;
    bool hidden = false;
    nadb_rc rc = since_of(k->argv[1], &since, err);

    if (rc == NADB_OK) rc = timeout_of(k->argv[2], &ms, err);
    if (rc == NADB_OK && !any)
        rc = prefix_of(k->c, k->argv[3], &k->key_room, &prefix, err);
    if (rc == NADB_OK) rc = func_open_to_read(k, "key", &hidden, err);
    if (rc == NADB_OK) rc = check_free(k->db, err);
    if (rc != NADB_OK || hidden) return rc;
    rc = wait_for(k, since, ms, any, prefix, &seq, err);
    if (rc == NADB_OK && seq != since)
        sqlite3_result_int64(k->ctx, (sqlite3_int64)seq);
    return rc;
}
