/* func_database.c - nadb_backup_database() and nadb_restore_database(): the
 * database file and all its stores in one state (core/backup/backup.h).
 *
 * The state is fixed under the file's write lock: a second connection begins a
 * read transaction on the file, and each store gets a snapshot. Then the lock
 * is released, and file and stores are copied. SQLite's backup API copies the
 * file from the second connection, because it refuses a connection that holds
 * the lock. */
#include "func.h"

/* Runs the first statement of a text, and frees the text. */
static nadb_rc run_first(sqlite3 *db, char *sql, sqlite3_int64 *value,
                         nadb_err *err) {
    sqlite3_stmt *stmt = NULL;
    int code = SQLITE_NOMEM;
    nadb_rc rc = NADB_OK;

    if (sql != NULL) code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    if (code == SQLITE_ROW && value != NULL)
        *value = sqlite3_column_int64(stmt, 0);
    if (code == SQLITE_ROW) code = sqlite3_step(stmt);
    if (sql == NULL)
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    else if (code != SQLITE_DONE && code != SQLITE_ROW)
        rc = value_sqlite_error(db, sqlite3_extended_errcode(db), err);
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return rc;
}

/* --- nadb_backup_database --- */

typedef struct saving {
    call *k;
    sqlite3 *reader; /* second connection; NULL: the database is in memory */
    nadb_backup_set *set;
    nadb_buf tables; /* names of virtual tables, each with a NUL */
} saving;

/* True if the store is restored with the file: not for read-only backends, nor
 * for stores in a process's memory. */
static bool goes_along(const vtab *v) {
    const nadb_backend *b = nadb_backend_for(v->options);

    return !v->options->read_only && b != NULL &&
           (nadb_backend_caps(b) & NADB_CAP_PERSISTENT) != 0;
}

/* Takes a snapshot of a table's store, if the table is one of ours. */
static nadb_rc hold_table(saving *s, const char *name, nadb_err *err) {
    char *sql = sqlite3_mprintf("main.%s", name);
    nadb_store *store = NULL;
    sqlite3_stmt *pin;
    vtab *v = NULL;
    nadb_rc rc;

    if (sql == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    rc = conn_find(s->k->c, sql, &pin, &v, err);
    func_pin(s->k, pin);
    sqlite3_free(sql);
    if (rc == NADB_INVALID) return NADB_OK; /* a table of another module */
    if (rc == NADB_OK) rc = vtab_open(v, err);
    if (rc != NADB_OK || !goes_along(v)) return rc;
    rc = nadb_store_open(v->options, 0, &store, NULL, err);
    /* A read under the lock waits for commits in doubt, and makes SQLite ask
     * the authorizer for these columns. */
    if (rc == NADB_OK)
        rc = run_first(s->k->db,
                       sqlite3_mprintf("SELECT key, value, tags, expires_at,"
                                       " created_at, updated_at"
                                       " FROM main.\"%w\" LIMIT 1",
                                       name),
                       NULL, err);
    if (rc == NADB_OK) return nadb_backup_set_hold(s->set, store, name, err);
    nadb_store_close(store);
    return rc;
}

static nadb_rc hold_all(saving *s, nadb_err *err) {
    nadb_rc rc = func_names(s->k,
                            "SELECT name FROM main.sqlite_schema"
                            " WHERE type = 'table' AND rootpage = 0"
                            " ORDER BY name",
                            &s->tables, err);

    for (size_t at = 0; rc == NADB_OK && at < s->tables.n;) {
        const char *name = (const char *)s->tables.p + at;

        at += strlen(name) + 1;
        rc = hold_table(s, name, err);
    }
    return rc;
}

/* Fixes the present state of file and stores. */
static nadb_rc hold_moment(saving *s, nadb_err *err) {
    const char *file = sqlite3_db_filename(s->k->db, "main");
    nadb_rc rc;

    if (file == NULL || file[0] == '\0') return hold_all(s, err);
    if (sqlite3_open_v2(file, &s->reader, SQLITE_OPEN_READWRITE, NULL) !=
        SQLITE_OK)
        return value_sqlite_error(s->reader, sqlite3_errcode(s->reader), err);
    sqlite3_busy_timeout(s->reader, 5000);
    rc = func_exec(s->k->db, "BEGIN IMMEDIATE", err);
    if (rc != NADB_OK) return rc;
    rc = func_exec(s->reader, "BEGIN; SELECT count(*) FROM sqlite_schema", err);
    if (rc == NADB_OK) rc = hold_all(s, err);
    (void)!func_exec(s->k->db, "ROLLBACK", NULL);
    return rc;
}

/* Copies all pages as the reader's transaction sees them. */
static nadb_rc copy_pages(saving *s, sqlite3 *to, nadb_err *err) {
    sqlite3 *from = s->reader != NULL ? s->reader : s->k->db;
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int code = SQLITE_OK;

    while (b != NULL && code == SQLITE_OK) {
        if (quirk_interrupted(s->k->db)) break;
        code = sqlite3_backup_step(b, 256);
    }
    if (b != NULL) sqlite3_backup_finish(b);
    if (b != NULL && code == SQLITE_OK)
        return nadb_fail(err, NADB_INTERRUPT, "interrupted");
    if (b != NULL && code == SQLITE_DONE) return NADB_OK;
    return value_sqlite_error(to, sqlite3_extended_errcode(to), err);
}

static nadb_rc copy_file(saving *s, nadb_err *err) {
    nadb_buf path = NADB_BUF_INIT;
    sqlite3 *to = NULL;
    nadb_rc rc = nadb_backup_set_path(s->set, &path, err);

    if (rc == NADB_OK &&
        sqlite3_open_v2((const char *)path.p, &to,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        NULL) != SQLITE_OK)
        rc = value_sqlite_error(to, sqlite3_extended_errcode(to), err);
    if (rc == NADB_OK) rc = copy_pages(s, to, err);
    if (sqlite3_close(to) != SQLITE_OK && rc == NADB_OK)
        rc = nadb_fail(err, NADB_IOERR, "closing %s", (const char *)path.p);
    nadb_buf_clear(&path);
    return rc;
}

/* nadb_backup_database(dir [, id [, compression]]) */
nadb_rc func_backup_database(call *k, nadb_err *err) {
    nadb_stop stop = {quirk_interrupted, k->db};
    nadb_backup_req req = {.stop = &stop};
    saving s = {.k = k};
    backup_manifest made;
    nadb_rc rc = value_path(k->argv[0], &req.folder, err);

    memset(&made, 0, sizeof made);
    if (rc == NADB_OK) rc = func_level(k, 2, &req.level, err);
    if (rc == NADB_OK)
        rc = func_alone(k, "a backup has only what is committed", err);
    req.id = func_text(k, 1);
    if (rc == NADB_OK) rc = nadb_backup_set_begin(&req, &s.set, err);
    if (rc == NADB_OK) rc = hold_moment(&s, err);
    if (rc == NADB_OK) rc = copy_file(&s, err);
    sqlite3_close(s.reader);
    if (rc == NADB_OK) rc = nadb_backup_set_finish(s.set, &made, err);
    if (rc == NADB_OK) rc = func_result_backup(k, &made, err);
    nadb_backup_set_free(s.set);
    nadb_buf_clear(&s.tables);
    backup_manifest_clear(&made);
    return rc;
}

/* --- nadb_restore_database --- */

typedef struct restoring {
    const char *folder, *id;
    char *file;  /* path of the new file */
    sqlite3 *db; /* connection to it */
    sqlite3 *outer;
    backup_manifest made;
    size_t done; /* number of parts whose tables have their new store */
    /* for each part: with path=, or on a server, there was a store already,
     * which is empty and is not removed after a failure */
    bool there[BACKUP_PARTS_MAX];
    sqlite3_int64 rows;
} restoring;

static const backup_part *part_at(const restoring *r, size_t i) {
    return (const backup_part *)(const void *)r->made.parts.p + i;
}

/* Makes the table again with a new store: the copied file names the store of
 * the original. */
static nadb_rc make_table(restoring *r, size_t i, nadb_err *err) {
    const char *table = part_at(r, i)->table;
    sqlite3_stmt *stmt = NULL;
    char *create = NULL;
    nadb_rc rc;

    if (sqlite3_prepare_v2(r->db,
                           "SELECT sql FROM sqlite_schema WHERE type = 'table'"
                           " AND rootpage = 0 AND name = ?",
                           -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        create = sqlite3_mprintf("%s", sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    if (create == NULL)
        return nadb_corrupt(err,
                            "backup %s in %s is damaged: its database has no "
                            "table %s",
                            r->id, r->folder, table);
    r->there[i] =
        run_first(r->db,
                  sqlite3_mprintf("SELECT 1 FROM main.\"%w\" LIMIT 1", table),
                  NULL, NULL) == NADB_OK;
    rc = run_first(r->db, sqlite3_mprintf("DROP TABLE main.\"%w\"", table),
                   NULL, err);
    if (rc == NADB_OK) return run_first(r->db, create, NULL, err);
    sqlite3_free(create);
    return rc;
}

/* A table with path=, or on a server, may name a store that is in use. */
static nadb_rc check_empty(restoring *r, size_t i, nadb_err *err) {
    const char *table = part_at(r, i)->table;
    sqlite3_int64 rows = 0;
    char part[32];
    nadb_rc rc =
        run_first(r->db,
                  sqlite3_mprintf("SELECT count(*) FROM"
                                  " (SELECT 1 FROM main.\"%w\" LIMIT 1)",
                                  table),
                  &rows, err);

    if (rc != NADB_OK || rows == 0) return rc;
    nadb_backup_part_name(i, part);
    return nadb_fail(err, NADB_LOCKED,
                     "the store that table %s names has rows: move it away, or "
                     "restore tables one by one: nadb_restore('%s', '%s/%s', "
                     "'%s', 'clear')",
                     table, table, r->folder, r->id, part);
}

static nadb_rc restore_part(restoring *r, size_t i, nadb_err *err) {
    const char *table = part_at(r, i)->table;
    sqlite3_int64 rows = 0;
    char part[32];
    nadb_rc rc = make_table(r, i, err);

    if (rc == NADB_OK) rc = check_empty(r, i, err);
    if (rc != NADB_OK) return rc;
    r->done = i + 1;
    nadb_backup_part_name(i, part);
    rc =
        run_first(r->db,
                  sqlite3_mprintf("SELECT nadb_restore('main.%q', '%q/%q', %Q, "
                                  "'clear')",
                                  table, r->folder, r->id, part),
                  &rows, err);
    if (rc == NADB_OK)
        rc = run_first(r->db,
                       sqlite3_mprintf("SELECT nadb_flush('main.%q')", table),
                       NULL, err);
    r->rows += rows;
    return rc;
}

/* A handler is called about once by the statement that polls (job.c). */
#define ASK_STEPS 20000

static int ask_outer(void *db) { return quirk_ticked(db); }

static nadb_rc open_copy(restoring *r, nadb_err *err) {
    nadb_rc rc = NADB_OK;
    char *msg = NULL;
    int code = sqlite3_open_v2(r->file, &r->db, SQLITE_OPEN_READWRITE, NULL);

    if (code == SQLITE_OK) code = module_register(r->db, &msg);
    if (code != SQLITE_OK) {
        rc = value_sqlite_error(r->db, code, err);
        if (msg != NULL) rc = nadb_fail(err, rc, "%s", msg);
    }
    sqlite3_free(msg);
    if (r->db == NULL) return rc; /* out of memory */
    /* The schema of the file is not trusted. */
    (void)sqlite3_db_config(r->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* What stops the caller's connection stops this one. */
    sqlite3_progress_handler(r->db, ASK_STEPS, ask_outer, r->outer);
    return rc;
}

static nadb_rc restore_all(restoring *r, const char *to, nadb_err *err) {
    nadb_rc rc = open_copy(r, err);

    for (size_t i = 0; rc == NADB_OK && i < backup_manifest_parts(&r->made);
         i++)
        rc = restore_part(r, i, err);
    if (r->db != NULL) sqlite3_progress_handler(r->db, 0, NULL, NULL);
    if (rc != NADB_OK) /* remove what was made */
        for (size_t i = 0; i < r->done; i++)
            (void)run_first(r->db,
                            sqlite3_mprintf("SELECT nadb_%s('main.%q')",
                                            r->there[i] ? "clear" : "destroy",
                                            part_at(r, i)->table),
                            NULL, NULL);
    sqlite3_close(r->db);
    return rc == NADB_OK ? nadb_backup_set_place(r->file, to, err) : rc;
}

/* nadb_restore_database(dir, id, file) */
nadb_rc func_restore_database(call *k, nadb_err *err) {
    nadb_stop stop = {quirk_interrupted, k->db};
    restoring r = {.id = func_text(k, 1), .outer = k->db};
    const char *to = NULL;
    uint64_t random;
    nadb_rc rc = value_path(k->argv[0], &r.folder, err);

    if (rc == NADB_OK && r.id == NULL)
        rc = nadb_fail(err, NADB_INVALID, "the id of a backup is missing");
    if (rc == NADB_OK) rc = value_path(k->argv[2], &to, err);
    if (rc != NADB_OK) return rc;
    nadb_os_get()->random(&random, sizeof random);
    r.file = sqlite3_mprintf("%s.restoring-%08llx", to,
                             (unsigned long long)(random & 0xffffffff));
    if (r.file == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    rc = nadb_backup_set_free_place(to, err);
    if (rc == NADB_OK) {
        rc = nadb_backup_set_read(r.folder, r.id, r.file, &stop, &r.made, err);
        if (rc == NADB_OK) {
            rc = restore_all(&r, to, err);
            if (rc != NADB_OK) nadb_backup_set_remove(r.file);
        }
    }
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, r.rows);
    backup_manifest_clear(&r.made);
    sqlite3_free(r.file);
    return rc;
}
