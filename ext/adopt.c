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
    const char *own; /* the table's own identity, which does not count */
    char id[FILE_ID + 1];
    char list[400]; /* all identities, for the message */
    unsigned n;
} found;

static nadb_rc note_id(void *ctx, const char *id, bool dropped, nadb_err *err) {
    found *f = ctx;
    size_t n = strlen(f->list);

    (void)err;
    (void)dropped;
    if (f->own != NULL && strcmp(id, f->own) == 0) return NADB_OK;
    memcpy(f->id, id, FILE_ID + 1);
    sqlite3_snprintf((int)(sizeof f->list - n), f->list + n, "%s'%s'",
                     f->n > 0 ? ", " : "", id);
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
    const char *want = NULL;

    if (k->argc > 1) want = (const char *)sqlite3_value_text(k->argv[1]);
    if (f->n == 0) return nothing(k->v, err);
    if (want != NULL) {
        if (strstr(f->list, want) == NULL || strlen(want) != FILE_ID)
            return nadb_fail(err, NADB_INVALID,
                             "there is no store '%s' of %s: there is %s", want,
                             k->v->name, f->list);
        memcpy(f->id, want, FILE_ID + 1);
    } else if (f->n > 1) {
        return nadb_fail(err, NADB_INVALID,
                         "there are %u stores of %s: say which with "
                         "nadb_adopt('%s', id), id one of %s",
                         f->n, k->v->name, k->v->name, f->list);
    }
    return NADB_OK;
}

/* --- taking over --- */

/* The text behind the table's name in its CREATE statement; NULL if not
 * found. */
static const char *behind_name(const char *sql) {
    static const char begin[] = "CREATE VIRTUAL TABLE ";
    char quote;

    if (sql == NULL || sqlite3_strnicmp(sql, begin, (int)sizeof begin - 1) != 0)
        return NULL;
    sql += sizeof begin - 1;
    quote = *sql == '[' ? ']' : *sql;
    if (quote == '"' || quote == '\'' || quote == '`' || quote == ']') {
        for (sql++; *sql != 0; sql++) {
            if (*sql != quote) continue;
            if (sql[1] != quote || quote == ']') return sql + 1;
            sql++; /* doubled quote */
        }
        return NULL;
    }
    while (*sql != 0 && *sql != ' ' && *sql != '\t' && *sql != '\n') sql++;
    return sql;
}

/* DROP and CREATE in one text; free with sqlite3_free(). */
static char *again_sql(const vtab *v) {
    sqlite3_stmt *stmt = NULL;
    char *sql =
        sqlite3_mprintf("SELECT sql FROM \"%w\".sqlite_schema WHERE name = %Q",
                        v->schema, v->name);
    char *out = NULL;

    if (sql != NULL &&
        sqlite3_prepare_v2(v->c->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        const char *rest =
            behind_name((const char *)sqlite3_column_text(stmt, 0));

        if (rest != NULL)
            out = sqlite3_mprintf("DROP TABLE \"%w\".\"%w\";"
                                  "CREATE VIRTUAL TABLE \"%w\".\"%w\"%s",
                                  v->schema, v->name, v->schema, v->name, rest);
    }
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return out;
}

static nadb_rc run(sqlite3 *db, const char *sql, nadb_err *err) {
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? NADB_OK : value_sqlite_error(db, code, err);
}

/* Brings the stamp of the new table's row up to that of the store. */
static nadb_rc accept(call *k, nadb_err *err) {
    nadb_rc rc = func_open_table(k, err);

    return rc == NADB_OK ? file_accept(k->v, err) : rc;
}

static nadb_rc take_over(call *k, const char *id, nadb_err *err) {
    char *sql = again_sql(k->v);
    nadb_rc rc;

    if (sql == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    rc = alone_begin(k, err);
    if (rc == NADB_OK) {
        k->c->adopt = id;
        rc = run(k->db, sql, err);
        k->c->adopt = NULL;
        if (rc == NADB_OK) rc = accept(k, err);
        rc = alone_end(k, rc, err);
    }
    sqlite3_free(sql);
    return rc;
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
        rc = nadb_store_ids(k->v->options, note_id, &f, err);
        if (rc == NADB_OK) rc = choose(k, &f, err);
        if (rc == NADB_OK) rc = take_over(k, f.id, err);
    }
    if (rc == NADB_OK) sqlite3_result_int(k->ctx, 1);
    return rc;
}
