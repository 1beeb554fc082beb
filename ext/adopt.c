/* adopt.c - nadb_adopt(t [, id]): lets a table take over a store whose database
 * file is lost, or is older than the store.
 *
 * If the file only lags behind the table's own store, the store is accepted as
 * it is. Another store of the table's name is taken over by dropping the table
 * and creating it again with that store's identity, so that every connection
 * sees a new schema. */
#include "func.h"

/* --- stores that can be taken over --- */

typedef struct found {
    const char *own;  /* the table's own identity, which does not count */
    const char *want; /* the identity that the caller names; or NULL */
    bool has_wanted;
    char id[FILE_ID + 1];
    char list[400]; /* identities, for the message; all if there is room */
    unsigned n;
} found;

static nadb_rc note_id(void *ctx, const char *id, bool dropped, nadb_err *err) {
    found *f = ctx;
    size_t n = strlen(f->list);

    (void)err;
    (void)dropped;
    if (f->own != NULL && strcmp(id, f->own) == 0) return NADB_OK;
    if (f->want != NULL && strcmp(id, f->want) == 0) f->has_wanted = true;
    memcpy(f->id, id, FILE_ID + 1);
    if (n + FILE_ID + 10 < sizeof f->list)
        sqlite3_snprintf((int)(sizeof f->list - n), f->list + n, "%s'%s'",
                         f->n > 0 ? ", " : "", id);
    else if (f->list[n - 1] != '.')
        memcpy(f->list + n, ", ..", 5);
    f->n++;
    return NADB_OK;
}

static nadb_rc nothing(const vtab *v, nadb_err *err) {
    return nadb_fail(err, NADB_INVALID,
                     "there is nothing to take over: %s has its store, and no "
                     "other store of that name is in %s/%s",
                     v->name, v->options->path, v->options->db);
}

/* The identity that the caller names, or the only one there is. */
static nadb_rc choose(call *k, found *f, nadb_err *err) {
    if (f->n == 0) return nothing(k->v, err);
    if (f->want != NULL) {
        if (!f->has_wanted)
            return nadb_fail(err, NADB_INVALID,
                             "there is no store '%s' of %s: there is %s",
                             f->want, k->v->name, f->list);
        memcpy(f->id, f->want, FILE_ID + 1);
    } else if (f->n > 1) {
        return nadb_fail(err, NADB_INVALID,
                         "there are %u stores of %s: say which with "
                         "nadb_adopt('%s', id), id one of %s",
                         f->n, k->v->name, k->v->name, f->list);
    }
    return NADB_OK;
}

/* --- taking over --- */

/* The arguments of the table's CREATE, separated by commas. */
static bool join_args(nadb_slice args, nadb_buf *out) {
    bool ok = true;

    for (size_t at = 0, n = 0; ok && at < args.n; at += n + 1) {
        n = strlen((const char *)args.p + at);
        ok = (at == 0 || nadb_buf_byte(out, ',')) &&
             nadb_buf_append(out, args.p + at, n);
    }
    return ok;
}

/* Creates the table again with the store `id`, and brings the stamp of its row
 * up to that of the store. */
static nadb_rc take_locked(call *k, const char *id, nadb_err *err) {
    nadb_buf args = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;

    if (!join_args(nadb_buf_slice(&k->v->args), &args))
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    k->c->adopt = id;
    if (rc == NADB_OK) rc = alone_create_again(k, nadb_buf_slice(&args), err);
    k->c->adopt = NULL;
    nadb_buf_clear(&args);
    if (rc == NADB_OK) rc = vtab_open(k->v, err);
    return rc == NADB_OK ? file_accept(k->v, err) : rc;
}

static nadb_rc take_over(call *k, const char *id, nadb_err *err) {
    nadb_rc rc = alone_begin(k, false, err);

    return rc == NADB_OK ? alone_end(k, take_locked(k, id, err), err) : rc;
}

/* Fails unless the table is empty: its rows would be lost. */
static nadb_rc check_empty(const vtab *v, nadb_err *err) {
    char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" LIMIT 1",
                                v->schema, v->name);
    sqlite3_stmt *stmt = NULL;
    int code = SQLITE_NOMEM;

    if (sql != NULL) code = sqlite3_prepare_v2(v->c->db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    sqlite3_finalize(stmt);
    if (code != SQLITE_ROW) return NADB_OK;
    return nadb_fail(
        err, NADB_INVALID,
        "%s has rows of its own: DROP TABLE %s and CREATE it again first",
        v->name, v->name);
}

nadb_rc func_adopt(call *k, nadb_err *err) {
    found f = {0};
    bool lags = false;
    nadb_rc rc = func_find_table(k, err);

    if (rc != NADB_OK) return rc;
    if (!file_owns(k->v))
        return nadb_fail(err, NADB_INVALID,
                         "the store of %s belongs to no database file: to use "
                         "it, create a table with its path, db and namespace",
                         k->v->name);
    rc = func_alone(k, "a store that is taken over cannot be rolled back", err);
    if (rc != NADB_OK) return rc;
    /* A missing or damaged row of the file is one of the reasons for
     * nadb_adopt, so errors are not fatal here. */
    if (file_find(k->v, err) == NADB_OK && k->argc == 1 &&
        vtab_open(k->v, err) == NADB_OK) {
        rc = file_lags(k->v, &lags, err);
        if (rc != NADB_OK) return rc;
    }
    if (lags) {
        rc = file_accept(k->v, err);
    } else {
        rc = check_empty(k->v, err);
        if (rc != NADB_OK) return rc;
        f.own = k->v->options->store_id;
        if (k->argc > 1) f.want = value_name(k->argv[1]);
        rc = nadb_store_ids(k->v->options, note_id, &f, err);
        if (rc == NADB_OK) rc = choose(k, &f, err);
        if (rc == NADB_OK) rc = take_over(k, f.id, err);
    }
    if (rc == NADB_OK) sqlite3_result_int(k->ctx, 1);
    return rc;
}
