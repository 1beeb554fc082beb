/* eponymous.c - table-valued functions as virtual tables (eponymous.h). */
#include "eponymous.h"

/* User data of a module. */
typedef struct binding {
    const eponymous *f;
    conn *c; /* referenced */
} binding;

typedef struct table {
    sqlite3_vtab base;
    const eponymous *f;
    conn *c;
} table;

static int table_connect(sqlite3 *db, void *aux, int argc,
                         const char *const *argv, sqlite3_vtab **out,
                         char **msg) {
    const binding *b = aux;
    int code = sqlite3_declare_vtab(db, b->f->declaration);
    table *t;

    (void)argc;
    (void)argv;
    (void)msg;
    if (code == SQLITE_OK && b->f->no_schema)
        code = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    if (code != SQLITE_OK) return code;
    t = nadb_calloc(1, sizeof *t);
    if (t == NULL) return SQLITE_NOMEM;
    t->f = b->f;
    t->c = b->c;
    *out = &t->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base) {
    nadb_free(base);
    return SQLITE_OK;
}

/* --- planning --- */

/* Index of the column in given[] of start(); -1: none. */
static int place_of_column(const eponymous *f, int column) {
    if (column >= f->argument && column < f->argument + f->n_arguments)
        return column - f->argument;
    for (int i = 0; i < f->n_pushed; i++)
        if (f->pushed[i].column == column) return f->n_arguments + i;
    return -1;
}

static bool is_argument(const eponymous *f, int place) {
    return place < f->n_arguments;
}

/* Chooses the constraint that provides each place's value, or -1; of several
 * the last one, as SQLite's own functions do. False: an argument is only known
 * in a later loop of the join, or a function that removes rows has an argument
 * twice. */
static bool choose(const eponymous *f, sqlite3_index_info *info,
                   int chosen[EPONYMOUS_GIVEN_MAX]) {
    bool later[EPONYMOUS_GIVEN_MAX] = {false};
    bool known = true;

    for (int i = 0; i < EPONYMOUS_GIVEN_MAX; i++) chosen[i] = -1;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        int place = place_of_column(f, c->iColumn);

        if (place < 0 || c->op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        if (f->removes && c->usable && chosen[place] >= 0) return false;
        if (!c->usable)
            later[place] = true;
        else if (is_argument(f, place) ||
                 sqlite3_stricmp(sqlite3_vtab_collation(info, i), "BINARY") ==
                     0)
            chosen[place] = i;
    }
    for (int i = 0; i < f->n_arguments; i++)
        if (later[i] && chosen[i] < 0) known = false;
    return known;
}

/* idxNum has one bit for each value in given[]. */
static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    const table *t = (const table *)base;
    const eponymous *f = t->f;
    int chosen[EPONYMOUS_GIVEN_MAX];
    int n = 0;

    t->c->n_terms = info->nConstraint;
    if (!choose(f, info, chosen)) return SQLITE_CONSTRAINT;
    info->estimatedCost = f->cost;
    info->estimatedRows = f->rows;
    for (int place = 0; place < f->n_arguments + f->n_pushed; place++) {
        if (chosen[place] < 0) continue;
        info->aConstraintUsage[chosen[place]].argvIndex = ++n;
        info->aConstraintUsage[chosen[place]].omit = is_argument(f, place);
        info->idxNum |= 1 << place;
        if (!is_argument(f, place)) {
            double selects = f->pushed[place - f->n_arguments].selects;

            info->estimatedCost /= selects;
            info->estimatedRows =
                (sqlite3_int64)((double)info->estimatedRows / selects);
        }
    }
    if (info->estimatedRows < 1) info->estimatedRows = 1;
    info->orderByConsumed = f->ascending && info->nOrderBy == 1 &&
                            info->aOrderBy[0].iColumn == 0 &&
                            !info->aOrderBy[0].desc;
    return SQLITE_OK;
}

/* --- the cursor --- */

static int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    const table *t = (table *)base;
    eponymous_cursor *c = nadb_calloc(1, t->f->cursor_size);

    if (c == NULL) return SQLITE_NOMEM;
    c->f = t->f;
    c->c = t->c;
    *out = &c->base;
    return SQLITE_OK;
}

static void stop(eponymous_cursor *c) {
    c->f->stop(c);
    sqlite3_finalize(c->pin);
    c->pin = NULL;
    for (int i = 0; i < EPONYMOUS_GIVEN_MAX; i++) {
        sqlite3_value_free(c->arguments[i]);
        c->arguments[i] = NULL;
    }
    c->rowid = 0;
}

static int cursor_close(sqlite3_vtab_cursor *base) {
    eponymous_cursor *c = (eponymous_cursor *)base;

    stop(c);
    if (c->f->clear != NULL) c->f->clear(c);
    nadb_free(c);
    return SQLITE_OK;
}

static int failed(eponymous_cursor *c, const nadb_err *err) {
    stop(c);
    return value_vtab_error(c->base.pVtab, err);
}

static int cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                         int argc, sqlite3_value **argv) {
    eponymous_cursor *c = (eponymous_cursor *)base;
    sqlite3_value *given[EPONYMOUS_GIVEN_MAX] = {NULL};
    nadb_err err;
    int n = 0;

    (void)text;
    (void)argc;
    stop(c);
    for (int i = 0; i < EPONYMOUS_GIVEN_MAX; i++) {
        if ((plan & 1 << i) == 0) continue;
        given[i] = argv[n++];
        if (!is_argument(c->f, i)) continue;
        c->arguments[i] = sqlite3_value_dup(given[i]);
        if (c->arguments[i] == NULL) return SQLITE_NOMEM;
    }
    if (c->f->start(c, given, &err) != NADB_OK) return failed(c, &err);
    return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *base) {
    eponymous_cursor *c = (eponymous_cursor *)base;
    nadb_err err;

    c->rowid++;
    if (c->f->next(c, &err) != NADB_OK) return failed(c, &err);
    return SQLITE_OK;
}

static int cursor_eof(sqlite3_vtab_cursor *base) {
    const eponymous_cursor *c = (const eponymous_cursor *)base;

    return c->f->at_end(c);
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx,
                         int i) {
    eponymous_cursor *c = (eponymous_cursor *)base;
    int place = place_of_column(c->f, i);
    nadb_err err;

    if (place >= 0 && is_argument(c->f, place)) {
        if (c->arguments[place] != NULL)
            sqlite3_result_value(ctx, c->arguments[place]);
        return SQLITE_OK;
    }
    if (c->f->column(c, ctx, i, &err) == NADB_OK) return SQLITE_OK;
    return value_vtab_error(base->pVtab, &err);
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
    *out = ((eponymous_cursor *)base)->rowid;
    return SQLITE_OK;
}

/* --- registration --- */

/* Without xCreate the table is eponymous-only: it cannot be created by name. */
static const sqlite3_module module = {
    .xConnect = table_connect,
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xOpen = cursor_open,
    .xClose = cursor_close,
    .xFilter = cursor_filter,
    .xNext = cursor_next,
    .xEof = cursor_eof,
    .xColumn = cursor_column,
    .xRowid = cursor_rowid,
};

static void unbind(void *arg) {
    binding *b = arg;

    conn_unref(b->c);
    nadb_free(b);
}

static int register_one(sqlite3 *db, const eponymous *f) {
    binding *b = nadb_calloc(1, sizeof *b);

    if (b == NULL) return SQLITE_NOMEM;
    b->f = f;
    b->c = conn_ref(db);
    if (b->c == NULL) {
        nadb_free(b);
        return SQLITE_NOMEM;
    }
    /* SQLite calls unbind() also on failure. */
    return sqlite3_create_module_v2(db, f->name, &module, b, unbind);
}

int eponymous_register_all(sqlite3 *db) {
    static const eponymous *const others[] = {&pop_table, &all_table,
                                              &expired_table, &changes_table};
    int code = SQLITE_OK;

    for (size_t i = 0; code == SQLITE_OK && tables_at(i) != NULL; i++)
        code = register_one(db, tables_at(i));
    for (size_t i = 0; code == SQLITE_OK && i < sizeof others / sizeof *others;
         i++)
        code = register_one(db, others[i]);
    return code;
}
