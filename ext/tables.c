/* tables.c - the table-valued functions nadb_stats, nadb_tags, nadb_stores,
 * nadb_backends, nadb_backups and nadb_jobs.
 *
 * Their results are small, so xFilter collects all rows, and the cursor walks
 * over these copies. To add a table: a declaration, a function that fills rows,
 * and a line in the list of tables. */
#include "tables.h"
#include "eponymous.h"

/* --- collected rows --- */

static void add_cell(rows *r, const cell *x) {
    if (!nadb_buf_append(&r->cells, x, sizeof *x)) r->nomem = true;
}

static void rows_slice(rows *r, nadb_slice text) {
    cell x = {.type = text.p == NULL ? SQLITE_NULL : SQLITE_TEXT,
              .at = r->text.n,
              .n = text.n};

    if (text.n > 0 && !nadb_buf_append(&r->text, text.p, text.n))
        r->nomem = true;
    add_cell(r, &x);
}

void rows_text(rows *r, const char *text) {
    rows_slice(r, text == NULL ? nadb_slice_of(NULL, 0) : nadb_slice_str(text));
}

void rows_int(rows *r, int64_t i) {
    cell x = {.type = SQLITE_INTEGER, .i = i};

    add_cell(r, &x);
}

static void rows_real(rows *r, double v) {
    cell x = {.type = SQLITE_FLOAT, .r = v};

    add_cell(r, &x);
}

void rows_int_if(rows *r, bool set, int64_t i) {
    if (set) {
        rows_int(r, i);
    } else {
        rows_text(r, NULL);
    }
}

void rows_real_if(rows *r, bool set, double v) {
    if (set) {
        rows_real(r, v);
    } else {
        rows_text(r, NULL);
    }
}

/* --- nadb_stats(t): name, value --- */

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s);
    size_t m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static void add_stat(void *ctx, const char *name, double value) {
    rows *r = ctx;
    bool counts = !ends_with(name, "_percent") && !ends_with(name, "_rate") &&
                  !ends_with(name, "_ratio") && !ends_with(name, "_at") &&
                  !ends_with(name, "_seconds") && value > -9e15 &&
                  value < 9e15 && value == (double)(int64_t)value;

    rows_text(r, name);
    if (counts) {
        rows_int(r, (int64_t)value);
    } else {
        rows_real(r, value);
    }
}

static nadb_rc fill_stats(rows *r, vtab *v, nadb_err *err) {
    nadb_rc rc = vtab_open(v, err);

    if (rc != NADB_OK) return rc;
    rows_text(r, "backend");
    rows_text(r, v->options->backend);
    return nadb_store_stats(v->s->store, add_stat, r, err);
}

/* --- nadb_tags(t): tag, count --- */

typedef struct tag_rows {
    rows *r;
    nadb_store *store;
} tag_rows;

static nadb_rc add_tag(void *ctx, nadb_slice tag, int64_t count,
                       nadb_err *err) {
    const tag_rows *t = ctx;
    int64_t queries, last_ms;

    (void)err;
    nadb_tag_asked(t->store, tag, &queries, &last_ms);
    rows_slice(t->r, tag);
    rows_int(t->r, count);
    rows_int(t->r, queries);
    rows_real_if(t->r, last_ms != 0, (double)last_ms / 1000.0);
    return NADB_OK;
}

static nadb_rc fill_tags(rows *r, vtab *v, nadb_err *err) {
    tag_rows t = {r, NULL};
    nadb_rc rc = txn_enter(v, err);

    if (rc != NADB_OK) return rc;
    t.store = v->s->store;
    rc = nadb_tags_count(v->s->core, r->only, add_tag, &t, err);
    nadb_session_leave(v->s->core);
    return rc;
}

/* --- nadb_stores --- */

static const char stores_declaration[] =
    "CREATE TABLE x(path TEXT, db TEXT, namespace TEXT, backend TEXT,"
    " is_running INTEGER, flush_interval REAL, last_flush_at REAL,"
    " last_error TEXT, refs INTEGER, buffer_size_mb REAL, synchronous TEXT,"
    " \"write\" TEXT, compression TEXT, cache_size_mb REAL, mmap TEXT,"
    " default_ttl REAL, max_size_mb REAL, eviction TEXT, track_access TEXT,"
    " busy_timeout INTEGER, mode TEXT, log TEXT, log_level TEXT,"
    " log_slow_ms INTEGER, identity TEXT, file TEXT, log_max_mb REAL,"
    " log_files INTEGER, log_lost INTEGER, log_error TEXT,"
    " last_cleanup_at REAL, cleanup_interval REAL)";

static const char *on_off(bool on) { return on ? "on" : "off"; }

static void add_compression(rows *r, int level) {
    char text[2] = {(char)('0' + level % 10), 0};

    rows_text(r, level == 0 ? "off" : text);
}

/* In hexadecimal; NULL for a store that is not in files. */
static void add_identity(rows *r, const uint8_t *id) {
    static const char hex[] = "0123456789abcdef";
    char text[2 * NADB_STORE_ID + 1] = "";

    for (size_t i = 0; id != NULL && i < NADB_STORE_ID; i++) {
        text[2 * i] = hex[id[i] >> 4];
        text[2 * i + 1] = hex[id[i] & 15];
    }
    rows_text(r, id == NULL ? NULL : text);
}

static bool is_buffered(const nadb_backend *b) {
    return (nadb_backend_caps(b) & NADB_CAP_BASE) != 0;
}

static nadb_rc add_store(void *ctx, const nadb_store_info *info,
                         nadb_err *err) {
    static const char *const sync[] = {"off", "normal", "full"};
    static const char *const eviction[] = {"none", "lru", "lfu", "fifo", "ttl"};
    const nadb_options *o = info->options;
    rows *r = ctx;

    (void)err;
    rows_text(r, o->path);
    rows_text(r, o->db);
    rows_text(r, o->ns);
    rows_text(r, o->backend);
    rows_int(r, info->is_running);
    rows_real(r, (double)o->flush_interval_ms / 1000.0);
    rows_real_if(r, info->last_flush_at != 0, info->last_flush_at);
    rows_text(r, info->last_error[0] == 0 ? NULL : info->last_error);
    rows_int(r, info->refs);
    rows_real(r, (double)o->buffer_bytes / 1048576.0);
    rows_text(r, sync[o->synchronous]);
    rows_text(r, is_buffered(nadb_backend_for(o)) ? "buffered" : "immediate");
    add_compression(r, o->compression);
    rows_real(r, (double)o->cache_bytes / 1048576.0);
    rows_text(r, on_off(o->mmap));
    rows_real_if(r, o->default_ttl_ms > 0, (double)o->default_ttl_ms / 1000.0);
    rows_real_if(r, o->size_max > 0, (double)o->size_max / 1048576.0);
    rows_text(r, eviction[o->eviction]);
    rows_text(r, on_off(o->track_access));
    rows_int(r, o->busy_timeout_ms);
    rows_text(r, o->read_only ? "ro" : "rw");
    rows_text(r, o->log);
    rows_text(r, o->log == NULL         ? NULL
                 : o->log_level == NULL ? "info"
                                        : o->log_level);
    rows_int_if(r, o->log_slow_ms > 0, o->log_slow_ms);
    add_identity(r, info->identity);
    /* NULL if it belongs to no database file. */
    rows_text(r, o->store_id == NULL ? NULL : o->db_file);
    rows_real_if(r, o->log != NULL, (double)o->log_bytes_max / 1048576.0);
    rows_int_if(r, o->log != NULL, o->log_files_max);
    rows_int(r, (int64_t)info->log_lost);
    rows_text(r, info->log_error[0] == 0 ? NULL : info->log_error);
    rows_real_if(r, info->last_cleanup_at != 0, info->last_cleanup_at);
    rows_real_if(r, info->cleanup_interval != 0, info->cleanup_interval);
    return NADB_OK;
}

static nadb_rc fill_stores(rows *r, vtab *v, nadb_err *err) {
    (void)v;
    return nadb_stores_each(add_store, r, err);
}

/* --- nadb_backends --- */

/* The largest string of a server with default settings; it includes the row's
 * head, key and tags. */
#define SERVER_VALUE_MAX ((int64_t)512 << 20)

static const char backends_declaration[] =
    "CREATE TABLE x(name TEXT, summary TEXT, snapshots INTEGER,"
    " persistent INTEGER, shared INTEGER, own_index INTEGER,"
    " native_ttl INTEGER, remote INTEGER, needs_path INTEGER,"
    " write_strategy TEXT, transactions INTEGER, compression INTEGER,"
    " atomic_writes INTEGER, largest_value INTEGER)";

/* What the core adds to every backend that can be written: transactions,
 * compression, atomic writes. */
static void add_strategy(rows *r, const nadb_backend *b) {
    bool written = (nadb_backend_caps(b) & NADB_CAP_READ_ONLY) == 0;

    if (!written)
        rows_text(r, "read-only");
    else if (nadb_backend_has_choice(b))
        rows_text(r, "immediate or buffered");
    else
        rows_text(r, is_buffered(b) ? "buffered" : "immediate");
    for (int i = 0; i < 3; i++) rows_int(r, written);
    rows_int_if(r, written,
                (nadb_backend_caps(b) & NADB_CAP_REMOTE) != 0
                    ? SERVER_VALUE_MAX
                    : (int64_t)NADB_VALUE_MAX);
}

static nadb_rc fill_backends(rows *r, vtab *v, nadb_err *err) {
    static const unsigned caps[] = {
        NADB_CAP_SNAPSHOTS,  NADB_CAP_PERSISTENT, NADB_CAP_SHARED,
        NADB_CAP_OWN_INDEX,  NADB_CAP_NATIVE_TTL, NADB_CAP_REMOTE,
        NADB_CAP_NEEDS_PATH,
    };
    const nadb_backend *b;

    (void)v;
    (void)err;
    for (size_t i = 0; (b = nadb_backend_at(i)) != NULL; i++) {
        rows_text(r, nadb_backend_name(b));
        rows_text(r, nadb_backend_summary(b));
        for (size_t j = 0; j < sizeof caps / sizeof *caps; j++) {
            rows_int(r, (nadb_backend_caps(b) & caps[j]) != 0);
        }
        add_strategy(r, b);
    }
    return NADB_OK;
}

/* --- nadb_backups(dir) --- */

#define BACKUPS_WIDTH 16 /* columns before dir */

static const char backups_declaration[] =
    "CREATE TABLE x(id TEXT, type TEXT, parent TEXT, created_at REAL,"
    " rows INTEGER, bytes INTEGER, deleted INTEGER, total_rows INTEGER,"
    " value_bytes INTEGER, files INTEGER, compression TEXT, backend TEXT,"
    " db TEXT, namespace TEXT, sha256 TEXT, problem TEXT, dir HIDDEN)";

static nadb_rc add_backup(void *ctx, const nadb_backup_entry *e,
                          nadb_err *err) {
    const backup_manifest *m = e->manifest;
    rows *r = ctx;

    (void)err;
    rows_text(r, e->id);
    if (m == NULL) {
        for (int i = 2; i < BACKUPS_WIDTH; i++) rows_text(r, NULL);
        rows_text(r, e->problem);
        return NADB_OK;
    }
    rows_text(r, backup_type_name(m->type));
    rows_text(r, m->parent[0] == '\0' ? NULL : m->parent);
    rows_real(r, (double)m->created_ms / 1000.0);
    rows_int(r, (int64_t)m->rows);
    rows_int(r, (int64_t)m->bytes);
    rows_int(r, (int64_t)m->deleted);
    rows_int(r, (int64_t)m->total);
    if (e->values != NULL)
        rows_int(r, (int64_t)*e->values);
    else
        rows_text(r, NULL);
    rows_int(r, (int64_t)e->files);
    add_compression(r, m->compression);
    rows_text(r, m->backend);
    rows_text(r, m->db);
    rows_text(r, m->ns);
    rows_text(r, m->sha256);
    rows_text(r, NULL);
    return NADB_OK;
}

static nadb_rc fill_backups(rows *r, vtab *v, nadb_err *err) {
    (void)v;
    return nadb_backup_list(r->argument, add_backup, r, err);
}

/* --- nadb_jobs --- */

static const char jobs_declaration[] =
    "CREATE TABLE x(pid INTEGER, job TEXT, target TEXT, started_at REAL,"
    " seen_at REAL, rows INTEGER, rows_total INTEGER, bytes INTEGER,"
    " bytes_total INTEGER, percent REAL, ends_at REAL)";

static void add_total(rows *r, uint64_t total) {
    if (total == 0)
        rows_text(r, NULL);
    else
        rows_int(r, (int64_t)total);
}

static nadb_rc add_job(void *ctx, const nadb_job_state *s, nadb_err *err) {
    double part = nadb_job_part(s);
    double took = (double)s->seen_ms - (double)s->begun_ms;
    rows *r = ctx;

    (void)err;
    rows_int(r, (int64_t)s->pid);
    rows_text(r, s->kind);
    rows_text(r, s->target);
    rows_real(r, (double)s->begun_ms / 1000.0);
    rows_real(r, (double)s->seen_ms / 1000.0);
    rows_int(r, (int64_t)s->rows);
    add_total(r, s->rows_all);
    rows_int(r, (int64_t)s->bytes);
    add_total(r, s->bytes_all);
    rows_real_if(r, part >= 0, part * 100);
    rows_real_if(r, part > 0,
                 part > 0 ? ((double)s->begun_ms + took / part) / 1000.0 : 0);
    return NADB_OK;
}

static nadb_rc fill_jobs(rows *r, vtab *v, nadb_err *err) {
    (void)v;
    return nadb_jobs_each(add_job, r, err);
}

/* --- the tables --- */

/* The argument in parentheses. */
typedef enum argument { ARGUMENT_NONE, ARGUMENT_TABLE, ARGUMENT_DIR } argument;

typedef struct kind {
    eponymous table;
    int width; /* number of columns without the argument */
    argument argument;
    const char *reads; /* column for which the authorizer is asked */
    nadb_rc (*fill)(rows *r, vtab *v, nadb_err *err);
} kind;

typedef struct list_cursor {
    eponymous_cursor base;
    rows r;
    size_t at; /* index of the present row */
} list_cursor;

static const kind *kind_of(const eponymous_cursor *c) {
    return (const kind *)(const void *)c->f;
}

static void list_stop(eponymous_cursor *base) {
    list_cursor *c = (list_cursor *)base;

    nadb_buf_reset(&c->r.cells);
    nadb_buf_reset(&c->r.text);
    c->at = 0;
}

static void list_clear(eponymous_cursor *base) {
    list_cursor *c = (list_cursor *)base;

    nadb_buf_clear(&c->r.cells);
    nadb_buf_clear(&c->r.text);
}

/* given[0] is the argument, given[1] the tag of nadb_tags. */
static nadb_rc list_start(eponymous_cursor *base, sqlite3_value **given,
                          nadb_err *err) {
    const kind *k = kind_of(base);
    rows *r = &((list_cursor *)base)->r;
    vtab *v = NULL;
    bool hidden;
    nadb_rc rc;

    r->nomem = false;
    if (k->argument != ARGUMENT_NONE && given[0] == NULL) {
        bool dir = k->argument == ARGUMENT_DIR;

        return nadb_fail(err, NADB_INVALID,
                         "%s needs a %s: SELECT * FROM %s('%s')", k->table.name,
                         dir ? "directory" : "table", k->table.name,
                         dir ? "backups" : "kv");
    }
    if (k->argument == ARGUMENT_DIR) {
        rc = value_path(given[0], &r->argument, err);
        if (rc != NADB_OK) return rc;
    }
    if (k->argument == ARGUMENT_TABLE) {
        rc = conn_find_to_read(base->c, value_name(given[0]), k->reads,
                               &base->pin, &v, &hidden, err);
        if (rc != NADB_OK || hidden) return rc;
    }
    r->only = nadb_slice_of(NULL, 0);
    if (given[1] != NULL && sqlite3_value_type(given[1]) == SQLITE_TEXT) {
        const unsigned char *only = sqlite3_value_text(given[1]);

        if (only == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
        r->only = nadb_slice_of(only, (size_t)sqlite3_value_bytes(given[1]));
    }
    rc = k->fill(r, v, err);
    if (rc == NADB_OK && r->nomem)
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    return rc;
}

static nadb_rc list_next(eponymous_cursor *c, nadb_err *err) {
    (void)err;
    ((list_cursor *)c)->at++;
    return NADB_OK;
}

static size_t row_bytes(const eponymous_cursor *c) {
    return (size_t)kind_of(c)->width * sizeof(cell);
}

static bool list_at_end(const eponymous_cursor *base) {
    const list_cursor *c = (const list_cursor *)base;

    return c->at * row_bytes(base) >= c->r.cells.n;
}

static nadb_rc list_column(eponymous_cursor *base, sqlite3_context *ctx, int i,
                           nadb_err *err) {
    const list_cursor *c = (const list_cursor *)base;
    const kind *k = kind_of(base);
    const cell *row =
        (const cell *)(const void *)(c->r.cells.p + c->at * row_bytes(base));
    nadb_slice text = {NULL, 0}; /* a list of empty texts has no buffer */

    (void)err;
    /* The argument is not a cell; columns may follow it. */
    if (k->argument != ARGUMENT_NONE && i > k->table.argument) i--;
    switch (row[i].type) {
    case SQLITE_INTEGER:
        sqlite3_result_int64(ctx, row[i].i);
        break;
    case SQLITE_FLOAT:
        sqlite3_result_double(ctx, row[i].r);
        break;
    case SQLITE_TEXT:
        if (row[i].n > 0)
            text = nadb_slice_of(c->r.text.p + row[i].at, row[i].n);
        value_text_to_sql(ctx, text, false);
        break;
    default:
        break;
    }
    return NADB_OK;
}

/* A table whose argument, if any, is column `at`. */
#define LIST(table_name, columns, at, arguments)                               \
    .table.name = table_name, .table.declaration = columns,                    \
    .table.argument = at, .table.n_arguments = arguments, .table.cost = 50,    \
    .table.rows = 30, .table.cursor_size = sizeof(list_cursor),                \
    .table.start = list_start, .table.next = list_next,                        \
    .table.at_end = list_at_end, .table.column = list_column,                  \
    .table.stop = list_stop, .table.clear = list_clear

static const kind kinds[] = {
    {LIST("nadb_stats", "CREATE TABLE x(name TEXT, value, \"table\" HIDDEN)", 2,
          1),
     .width = 2, .argument = ARGUMENT_TABLE, .reads = "key",
     .fill = fill_stats},
    {LIST("nadb_metrics", metrics_declaration, METRICS_WIDTH, 1),
     .width = METRICS_WIDTH, .argument = ARGUMENT_TABLE, .reads = "key",
     .fill = fill_metrics},
    {LIST("nadb_transactions", transactions_declaration, 0, 0),
     .width = TRANSACTIONS_WIDTH, .fill = fill_transactions},
    {LIST("nadb_tags",
          "CREATE TABLE x(tag TEXT, count INTEGER, \"table\" HIDDEN,"
          " queries INTEGER HIDDEN, last_queried_at REAL HIDDEN)",
          2, 1),
     .table.pushed = {{0, 30}}, .table.n_pushed = 1, .width = 4,
     .argument = ARGUMENT_TABLE, .reads = "tags", .fill = fill_tags},
    {LIST("nadb_stores", stores_declaration, 0, 0), .width = 32,
     .fill = fill_stores},
    {LIST("nadb_backends", backends_declaration, 0, 0), .width = 14,
     .fill = fill_backends},
    {LIST("nadb_jobs", jobs_declaration, 0, 0), .width = 11, .fill = fill_jobs},
    /* A schema must not read directories. */
    {LIST("nadb_backups", backups_declaration, BACKUPS_WIDTH, 1),
     .table.no_schema = true, .width = BACKUPS_WIDTH, .argument = ARGUMENT_DIR,
     .fill = fill_backups},
};

const eponymous *tables_at(size_t i) {
    return i < sizeof kinds / sizeof *kinds ? &kinds[i].table : NULL;
}
