/* dropped.c - the stores of a database file whose table was dropped.
 *
 * DROP TABLE only marks the folder of the store, because the DROP may be rolled
 * back. The folder is removed once the DROP is committed: by the same
 * connection when it next uses a store outside a transaction, or by a later
 * CREATE of the same name. */
#include "ext.h"

struct dropped_store {
    char *schema;
    nadb_options *options;
    dropped_store *next;
};

static void dropped_free(dropped_store *d) {
    if (d == NULL) return;
    nadb_free(d->schema);
    nadb_options_free(d->options);
    nadb_free(d);
}

void dropped_forget(conn *c) {
    while (c->dropped != NULL) {
        dropped_store *d = c->dropped;

        c->dropped = d->next;
        dropped_free(d);
    }
}

void dropped_note(vtab *v) {
    dropped_store *d = nadb_calloc(1, sizeof *d);

    if (d == NULL) return;
    d->schema = nadb_strdup(v->schema);
    if (d->schema == NULL) {
        dropped_free(d);
        return;
    }
    d->options = v->options;
    v->options = NULL;
    d->next = v->c->dropped;
    v->c->dropped = d;
}

/* True if the table's row has this identity; false for a table of another
 * shape. */
static bool row_is(sqlite3 *db, const char *schema, const char *table,
                   const char *id) {
    sqlite3_stmt *stmt = NULL;
    int code = SQLITE_NOMEM;
    char *sql =
        table == NULL
            ? NULL
            : sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" WHERE id = %Q",
                              schema, table, id);

    if (sql != NULL) code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    sqlite3_finalize(stmt);
    return code != SQLITE_DONE && code != SQLITE_ERROR;
}

/* True if a table of the file has this store, or if that cannot be found
 * out. */
static bool file_has_store(sqlite3 *db, const char *schema, const char *id) {
    sqlite3_stmt *tables = NULL;
    char *sql = sqlite3_mprintf(
        "SELECT name FROM \"%w\".sqlite_schema WHERE type = 'table'", schema);
    int code = SQLITE_NOMEM;
    bool has = false;

    if (sql != NULL) code = sqlite3_prepare_v2(db, sql, -1, &tables, NULL);
    sqlite3_free(sql);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        const char *name;

        code = sqlite3_step(tables);
        if (code != SQLITE_ROW) break;
        name = (const char *)sqlite3_column_text(tables, 0);
        /* not by GLOB, which the application may have replaced */
        if (name == NULL || sqlite3_strglob("*_nadb", name) == 0)
            has = has || row_is(db, schema, name, id);
    }
    sqlite3_finalize(tables);
    return has || code != SQLITE_DONE;
}

/* True if the file has the store, because the DROP was rolled back; the table
 * may have another name since. Also if the file cannot be asked, because it was
 * detached. */
static bool is_back(conn *c, const dropped_store *d) {
    const char *file = sqlite3_db_filename(c->db, d->schema);

    return file == NULL || strcmp(file, d->options->db_file) != 0 ||
           file_has_store(c->db, d->schema, d->options->store_id);
}

static void remove_store(const nadb_options *options) {
    nadb_store *store = NULL;
    nadb_err err;

    if (nadb_store_open(options, 0, &store, NULL, &err) == NADB_OK &&
        nadb_store_destroy(store, &err) == NADB_OK)
        return;
    sqlite3_log(value_code(err.rc),
                "nadb: removing the store of a dropped table: %s", err.msg);
}

void dropped_sweep(conn *c) {
    dropped_store *d = c->dropped;

    if (!sqlite3_get_autocommit(c->db)) return;
    c->dropped = NULL; /* statements below may call this function again */
    while (d != NULL) {
        dropped_store *next = d->next;

        if (!is_back(c, d)) remove_store(d->options);
        dropped_free(d);
        d = next;
    }
}

/* True if this transaction has dropped the store: a ROLLBACK may restore it. */
static bool is_pending(const conn *c, const char *id) {
    const dropped_store *d = c->dropped;

    while (d != NULL && strcmp(d->options->store_id, id) != 0) d = d->next;
    return d != NULL;
}

nadb_rc dropped_remove(void *ctx, const char *id, bool marked, nadb_err *err) {
    vtab *v = ctx;
    nadb_options *o;

    if (!marked || is_pending(v->c, id) ||
        file_has_store(v->c->db, v->schema, id))
        return NADB_OK;
    o = nadb_options_copy(v->options);
    if (o == NULL || !nadb_options_set_id(o, id)) {
        nadb_options_free(o);
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    }
    remove_store(o);
    nadb_options_free(o);
    return NADB_OK;
}
