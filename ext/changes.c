/* changes.c - what was committed to a table, and waiting for the next commit:
 *
 *   SELECT seq, op, key FROM nadb_changes('kv', 41);
 *   SELECT seq, op, key FROM nadb_changes('kv', 41, 'user:');
 *   SELECT nadb_wait('kv', 41, 10);
 *
 * The table is walked, not collected: a cursor keeps the snapshot of its
 * statement until it is closed. The function keeps nothing while it sleeps, and
 * is refused where SQLite would keep something for it: in a transaction, and in
 * a statement that reads a table of the database. */
#include "func.h"

enum {
    COLUMN_SEQ,
    COLUMN_KEY,
    COLUMN_OP,
    FIRST_ARGUMENT /* table, since, prefix */
};

typedef struct changes_table {
    sqlite3_vtab base;
    conn *c;
} changes_table;

typedef struct changes_cursor {
    sqlite3_vtab_cursor base;
    nadb_session *entered; /* NULL: closed */
    nadb_changes *walk;
    nadb_change now;
    bool found;
    sqlite3_int64 rowid;
} changes_cursor;

static int changes_connect(sqlite3 *db, void *aux, int argc,
                           const char *const *argv, sqlite3_vtab **out,
                           char **msg) {
    changes_table *t = nadb_calloc(1, sizeof *t);
    int code;

    (void)argc;
    (void)argv;
    (void)msg;
    if (t == NULL) return SQLITE_NOMEM;
    t->c = aux;
    code = sqlite3_declare_vtab(
        db, "CREATE TABLE x(seq INTEGER, \"key\", op TEXT, \"table\" HIDDEN,"
            " since HIDDEN, prefix HIDDEN)");
    if (code != SQLITE_OK) {
        nadb_free(t);
        return code;
    }
    *out = &t->base;
    return SQLITE_OK;
}

static int changes_disconnect(sqlite3_vtab *base) {
    nadb_free(base);
    return SQLITE_OK;
}

/* idxNum has a bit for each argument that is given; they come in order. */
static int changes_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    int at[3] = {-1, -1, -1};
    int n = 0;

    (void)base;
    info->estimatedCost = 1000;
    info->estimatedRows = 1000;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        int argument = c->iColumn - FIRST_ARGUMENT;

        if (argument < 0 || c->op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        if (!c->usable) return SQLITE_CONSTRAINT;
        at[argument] = i;
    }
    for (int i = 0; i < 3; i++) {
        if (at[i] < 0) continue;
        info->aConstraintUsage[at[i]].argvIndex = ++n;
        info->aConstraintUsage[at[i]].omit = 1;
        info->idxNum |= 1 << i;
    }
    if (info->nOrderBy == 1 && info->aOrderBy[0].iColumn == COLUMN_SEQ &&
        !info->aOrderBy[0].desc) {
        info->orderByConsumed = 1;
    }
    return SQLITE_OK;
}

static int changes_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    changes_cursor *c = nadb_calloc(1, sizeof *c);

    (void)base;
    if (c == NULL) return SQLITE_NOMEM;
    *out = &c->base;
    return SQLITE_OK;
}

static void end_walk(changes_cursor *c) {
    if (c->walk != NULL) c->walk->free(c->walk);
    c->walk = NULL;
    if (c->entered != NULL) nadb_session_leave(c->entered);
    c->entered = NULL;
    c->found = false;
}

static int changes_close(sqlite3_vtab_cursor *base) {
    end_walk((changes_cursor *)base);
    nadb_free(base);
    return SQLITE_OK;
}

/* The argument `since`: the number of a commit, or 0. */
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

/* The argument `prefix`, in `room`; NULL is the empty one. */
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

static int changes_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                          int argc, sqlite3_value **argv) {
    changes_cursor *c = (changes_cursor *)base;
    conn *owner = ((changes_table *)base->pVtab)->c;
    nadb_buf room = NADB_BUF_INIT;
    nadb_slice prefix = nadb_slice_of("", 0);
    uint64_t since = 0;
    vtab *v = NULL;
    bool hidden = false;
    nadb_err err;
    nadb_rc rc = NADB_OK;

    (void)text;
    (void)argc;
    end_walk(c);
    c->rowid = 0;
    if ((plan & 3) != 3) {
        rc = nadb_fail(&err, NADB_INVALID,
                       "nadb_changes needs a table and the number of a commit: "
                       "SELECT * FROM nadb_changes('kv', 0)");
    }
    if (rc == NADB_OK) rc = since_of(argv[1], &since, &err);
    if (rc == NADB_OK && (plan & 4) != 0)
        rc = prefix_of(owner, argv[2], &room, &prefix, &err);
    if (rc == NADB_OK) {
        rc = conn_find_to_read(owner, (const char *)sqlite3_value_text(argv[0]),
                               "key", &v, &hidden, &err);
    }
    if (rc == NADB_OK && !hidden) rc = begin_walk(c, v, since, prefix, &err);
    nadb_buf_clear(&room);
    if (rc == NADB_OK) return SQLITE_OK;
    end_walk(c);
    return value_vtab_error(base->pVtab, &err);
}

static int changes_next(sqlite3_vtab_cursor *base) {
    changes_cursor *c = (changes_cursor *)base;
    nadb_err err;

    c->rowid++;
    if (c->walk->next(c->walk, &c->now, &c->found, &err) == NADB_OK)
        return SQLITE_OK;
    c->found = false;
    return value_vtab_error(base->pVtab, &err);
}

static int changes_eof(sqlite3_vtab_cursor *base) {
    return !((changes_cursor *)base)->found;
}

static int changes_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx,
                          int i) {
    static const char *const ops[] = {"put", "delete", "expire", "clear"};
    const changes_cursor *c = (const changes_cursor *)base;

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
        break; /* the arguments are not remembered */
    }
    return SQLITE_OK;
}

static int changes_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    *rowid = ((changes_cursor *)base)->rowid;
    return SQLITE_OK;
}

/* Without xCreate: it exists by itself, and only so. */
static const sqlite3_module changes_module = {
    .xConnect = changes_connect,
    .xBestIndex = changes_best_index,
    .xDisconnect = changes_disconnect,
    .xOpen = changes_open,
    .xClose = changes_close,
    .xFilter = changes_filter,
    .xNext = changes_next,
    .xEof = changes_eof,
    .xColumn = changes_column,
    .xRowid = changes_rowid,
};

int changes_register(sqlite3 *db, conn *c) {
    (void)conn_ref(db);
    /* On failure too, SQLite calls conn_unref(). */
    return sqlite3_create_module_v2(db, "nadb_changes", &changes_module, c,
                                    conn_unref);
}

/* --- nadb_wait(t, since, timeout [, prefix]) --- */

/* Seconds; NULL, or infinity: for ever. */
static nadb_rc timeout_of(sqlite3_value *in, int64_t *ms, nadb_err *err) {
    double seconds;
    int type = sqlite3_value_numeric_type(in);

    *ms = INT64_MAX / 2000000; /* it is counted in ns, too */
    if (type == SQLITE_NULL) return NADB_OK;
    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
        return nadb_fail(err, NADB_INVALID,
                         "the timeout is a number of seconds, or NULL: for "
                         "ever");
    }
    seconds = sqlite3_value_double(in);
    if (seconds < 0) seconds = 0;
    if (seconds * 1000 < (double)*ms) *ms = (int64_t)(seconds * 1000);
    return NADB_OK;
}

/* While it sleeps nothing may be held for it. */
static nadb_rc check_free(sqlite3 *db, nadb_err *err) {
    if (sqlite3_get_autocommit(db) &&
        sqlite3_txn_state(db, NULL) == SQLITE_TXN_NONE)
        return NADB_OK;
    return nadb_fail(err, NADB_LOCKED,
                     "it would sleep with a transaction open, or a statement "
                     "that reads a table: COMMIT, finish such statements, and "
                     "call it by itself, SELECT nadb_wait(..)");
}

/* Whether a change after `since` has the prefix; *seq is raised to the last
 * commit that was looked at. */
static nadb_rc has_change(vtab *v, uint64_t since, nadb_slice prefix,
                          bool *found, uint64_t *seq, nadb_err *err) {
    changes_cursor c = {.rowid = 0};
    nadb_rc rc = begin_walk(&c, v, since, prefix, err);

    *found = c.found;
    if (rc == NADB_OK && nadb_session_seq(c.entered) > *seq)
        *seq = nadb_session_seq(c.entered);
    end_walk(&c);
    return rc;
}

/* Sleeps until something newer than `since` is there. *seq: up to where all is
 * known. */
static nadb_rc wait_for(call *k, uint64_t since, int64_t ms, bool any,
                        nadb_slice prefix, uint64_t *seq, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    int64_t begun = os->mono_ns();
    nadb_stop stop = {conn_interrupted, k->db};
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
    const char *name = (const char *)sqlite3_value_text(k->argv[0]);
    bool any = k->argc < 4 || sqlite3_value_type(k->argv[3]) == SQLITE_NULL;
    nadb_slice prefix = nadb_slice_of("", 0);
    uint64_t since = 0, seq = 0;
    int64_t ms = 0;
    bool hidden = false;
    nadb_rc rc = since_of(k->argv[1], &since, err);

    if (rc == NADB_OK) rc = timeout_of(k->argv[2], &ms, err);
    if (rc == NADB_OK && !any)
        rc = prefix_of(k->c, k->argv[3], &k->key_room, &prefix, err);
    if (rc == NADB_OK)
        rc = conn_find_to_read(k->c, name, "key", &k->v, &hidden, err);
    if (rc == NADB_OK) rc = vtab_open(k->v, err);
    if (rc == NADB_OK) rc = check_free(k->db, err);
    if (rc != NADB_OK || hidden) return rc;
    rc = wait_for(k, since, ms, any, prefix, &seq, err);
    if (rc == NADB_OK && seq != since)
        sqlite3_result_int64(k->ctx, (sqlite3_int64)seq);
    return rc;
}
