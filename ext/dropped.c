/* dropped.c - the stores of a database file whose table was dropped.
 *
 * DROP TABLE only marks the folder of the store, because the DROP may be rolled
 * back. The folder is removed once the DROP is committed: by the same
 * connection when it next uses a store outside a transaction, or by a later
 * CREATE of the same name. */
#include "ext.h"

struct dropped_store {
    char *schema, *name;
    nadb_options *options;
    dropped_store *next;
};

static void dropped_free(dropped_store *d) {
    if (d == NULL) return;
    nadb_free(d->schema);
    nadb_free(d->name);
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
    d->name = nadb_strdup(v->name);
    if (d->schema == NULL || d->name == NULL) {
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

/* True if the file has the store again, because the DROP was rolled back. */
static bool is_back(conn *c, const dropped_store *d) {
    char *table = sqlite3_mprintf("%s_nadb", d->name);
    bool back =
        table == NULL || row_is(c->db, d->schema, table, d->options->store_id);

    sqlite3_free(table);
    return back;
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

/* True if a table of the file has this store, or if that cannot be found
 * out. */
static bool file_has_store(vtab *v, const char *id) {
    sqlite3 *db = v->c->db;
    sqlite3_stmt *tables = NULL;
    char *sql = sqlite3_mprintf("SELECT name FROM \"%w\".sqlite_schema"
                                " WHERE type = 'table' AND name GLOB '*_nadb'",
                                v->schema);
    int code = SQLITE_NOMEM;
    bool has = false;

    if (sql != NULL) code = sqlite3_prepare_v2(db, sql, -1, &tables, NULL);
    sqlite3_free(sql);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(tables);
        if (code != SQLITE_ROW) break;
        has = has || row_is(db, v->schema,
                            (const char *)sqlite3_column_text(tables, 0), id);
    }
    sqlite3_finalize(tables);
    return has || code != SQLITE_DONE;
}

nadb_rc dropped_remove(void *ctx, const char *id, bool marked, nadb_err *err) {
    vtab *v = ctx;
    nadb_options *o;

    if (!marked || is_pending(v->c, id) || file_has_store(v, id))
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
