/* func.c - the table of SQL functions, and some of them; func_rows.c has those
 * on single rows.
 *
 * Most take a table's name first. A function that changes rows runs as a
 * command through the table (command.c), inside the caller's transaction. A
 * function on the store as a whole (flush, check) sees committed rows only,
 * touches files, and so may not be called from a schema (SQLITE_DIRECTONLY).
 *
 * Error messages name the function and say what to do. */
#include "func.h"

typedef struct function {
    const char *name;
    int argc;
    int flags;
    nadb_rc (*run)(call *k, nadb_err *err); /* sets the result */
} function;

nadb_rc func_exec(sqlite3 *db, const char *sql, nadb_err *err) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK) return NADB_OK;
    return value_sqlite_error(db, sqlite3_extended_errcode(db), err);
}

void func_pin(call *k, sqlite3_stmt *pin) {
    sqlite3_finalize(k->pin);
    k->pin = pin;
}

nadb_rc func_find_table(call *k, nadb_err *err) {
    const char *name = value_name(k->argv[0]);
    sqlite3_stmt *pin;
    nadb_rc rc = conn_find(k->c, name, &pin, &k->v, err);

    func_pin(k, pin);
    return rc;
}

nadb_rc func_open_to_read(call *k, const char *column, bool *hidden,
                          nadb_err *err) {
    const char *name = value_name(k->argv[0]);
    sqlite3_stmt *pin;
    nadb_rc rc =
        conn_find_to_read(k->c, name, column, &pin, &k->v, hidden, err);

    func_pin(k, pin);
    return rc == NADB_OK ? vtab_open(k->v, err) : rc;
}

nadb_rc func_open_table(call *k, nadb_err *err) {
    nadb_rc rc = func_find_table(k, err);

    return rc == NADB_OK ? vtab_open(k->v, err) : rc;
}

static nadb_rc result_buf(call *k, bool ok, nadb_buf *text, nadb_err *err) {
    if (ok) value_text_to_sql(k->ctx, nadb_buf_slice(text), false);
    nadb_buf_clear(text);
    return ok ? NADB_OK : nadb_fail(err, NADB_NOMEM, "out of memory");
}

static bool append(nadb_buf *b, const char *text) {
    return nadb_buf_append(b, text, strlen(text));
}

/* --- about the library --- */

static nadb_rc version(call *k, nadb_err *err) {
    (void)err;
    sqlite3_result_text(k->ctx, NADB_VERSION, -1, SQLITE_STATIC);
    return NADB_OK;
}

static nadb_rc debug(call *k, nadb_err *err) {
    nadb_buf b = NADB_BUF_INIT;
    bool ok = nadb_debug_text(&b) && append(&b, "\nsqlite: ") &&
              append(&b, sqlite3_libversion()) &&
              append(&b, ", built with the headers of " SQLITE_VERSION);

    return result_buf(k, ok, &b, err);
}

static nadb_rc backend_load(call *k, nadb_err *err) {
    const char *file = value_name(k->argv[0]);
    const char *name = NULL;
    nadb_rc rc;

    if (file == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "the argument must be the absolute path of a backend");
    if (!quirk_may_load(k->db))
        return nadb_fail(err, NADB_DENIED,
                         "not authorized: a backend is code, so that this "
                         "connection must be allowed to load extensions, by "
                         "sqlite3_enable_load_extension()");
    rc = nadb_backend_load(file, &name, err);
    if (rc == NADB_OK) sqlite3_result_text(k->ctx, name, -1, SQLITE_STATIC);
    return rc;
}

/* --- the store as a whole --- */

static nadb_rc read_only(nadb_err *err) {
    return nadb_fail(err, NADB_READONLY,
                     "attempt to write a readonly database");
}

nadb_rc func_check_writable(const call *k, nadb_err *err) {
    sqlite3_stmt *stmt = NULL;
    nadb_rc rc = NADB_OK;
    int code = sqlite3_prepare_v2(k->db, "PRAGMA query_only", -1, &stmt, NULL);

    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        if (sqlite3_column_int(stmt, 0) != 0) rc = read_only(err);
    } else if (code == SQLITE_AUTH || code == SQLITE_DONE) {
        rc = nadb_fail(err, NADB_DENIED,
                       "not authorized: it needs to read PRAGMA query_only");
    } else {
        rc = value_sqlite_error(k->db, code, err);
    }
    sqlite3_finalize(stmt);
    if (rc == NADB_OK && k->v != NULL &&
        sqlite3_db_readonly(k->db, k->v->schema) == 1) {
        rc = read_only(err);
    }
    return rc;
}

static nadb_rc flush(call *k, nadb_err *err) {
    nadb_rc rc;

    if (k->argc == 0) {
        rc = func_check_writable(k, err);
        if (rc == NADB_OK) rc = nadb_flush_all(err);
    } else {
        rc = func_open_table(k, err);
        if (rc == NADB_OK) rc = func_check_writable(k, err);
        if (rc == NADB_OK) rc = nadb_store_flush(k->v->s->store, err);
    }
    if (rc == NADB_OK) sqlite3_result_int(k->ctx, 1);
    return rc;
}

/* --- rows --- */

static nadb_rc clear_command(vtab *v, void *ctx, bool hidden, nadb_err *err) {
    (void)hidden;
    return nadb_clear(v->s->core, ctx, err);
}

/* Returns the number of rows; NULL if only a walk would tell. */
static nadb_rc clear(call *k, nadb_err *err) {
    int64_t rows = 0;
    nadb_rc rc = command_run(k, COMMAND_DELETE, clear_command, &rows, err);

    if (rc == NADB_OK && rows >= 0) sqlite3_result_int64(k->ctx, rows);
    return rc;
}

/* --- nadb_destroy --- */

/* Writes the changed pages of the transaction, which COMMIT would do. */
static nadb_rc write_pages(sqlite3 *db, nadb_err *err) {
    int code = sqlite3_db_cacheflush(db);

    return code == SQLITE_OK ? NADB_OK : value_sqlite_error(db, code, err);
}

/* Drops the table and removes its store. */
static nadb_rc drop_and_remove(call *k, nadb_err *err) {
    nadb_store *store = NULL;
    nadb_rc rc = vtab_open(k->v, err);

    if (rc == NADB_OK) rc = conn_leave_alone(k->v, err);
    if (rc != NADB_OK) return rc;
    /* Keeps a reference of our own, because DROP releases the table's. */
    rc = nadb_store_open(k->v->options, 0, &store, NULL, err);
    if (rc == NADB_OK) rc = alone_drop(k, err);
    /* Removing the store cannot be rolled back: a full disk is met before. */
    if (rc == NADB_OK) rc = write_pages(k->db, err);
    if (rc != NADB_OK) {
        nadb_store_close(store);
        return rc;
    }
    return nadb_store_destroy(store, err);
}

nadb_rc func_alone(const call *k, const char *why, nadb_err *err) {
    if (sqlite3_get_autocommit(k->db) == 0)
        return nadb_fail(err, NADB_LOCKED,
                         "%s: COMMIT or ROLLBACK the transaction first", why);
    if (quirk_is_writing(k->db))
        return nadb_fail(err, NADB_LOCKED,
                         "%s: call it in a SELECT of its own, not in a "
                         "statement that writes, such as INSERT .. SELECT",
                         why);
    return NADB_OK;
}

nadb_rc func_names(const call *k, const char *sql, nadb_buf *out,
                   nadb_err *err) {
    sqlite3_stmt *stmt = NULL;
    nadb_rc rc = NADB_OK;
    int code = sqlite3_prepare_v2(k->db, sql, -1, &stmt, NULL);

    while (code == SQLITE_OK && rc == NADB_OK) {
        const char *name;

        code = sqlite3_step(stmt);
        if (code != SQLITE_ROW) break;
        code = SQLITE_OK;
        name = (const char *)sqlite3_column_text(stmt, 0);
        if (name == NULL || !nadb_buf_append(out, name, strlen(name) + 1))
            rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    }
    sqlite3_finalize(stmt);
    if (rc == NADB_OK && code != SQLITE_DONE)
        rc = value_sqlite_error(k->db, sqlite3_extended_errcode(k->db), err);
    return rc;
}

static nadb_rc destroy(call *k, nadb_err *err) {
    nadb_rc rc = command_find(k, COMMAND_DELETE, err);

    if (rc == NADB_OK)
        rc = func_alone(k, "a removed store cannot be rolled back", err);
    if (rc == NADB_OK) rc = vtab_writable(k->v, err);
    if (rc == NADB_OK) rc = alone_begin(k, true, err);
    if (rc != NADB_OK) return rc;
    rc = alone_end(k, drop_and_remove(k, err), err);
    if (rc == NADB_OK) sqlite3_result_int(k->ctx, 1);
    return rc;
}

static nadb_rc seq(call *k, nadb_err *err) {
    uint64_t last;
    nadb_rc rc = func_find_table(k, err);

    if (rc == NADB_OK) rc = txn_enter(k->v, err);
    if (rc != NADB_OK) return rc;
    last = nadb_session_seq(k->v->s->core);
    nadb_session_leave(k->v->s->core);
    /* Without snapshots, as on a server, the session's number is that of an
     * earlier read. */
    if (!k->v->s->snapshots) rc = nadb_store_seq(k->v->s->store, &last, err);
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, (int64_t)last);
    return rc;
}

/* --- registration --- */

#define HARMLESS (SQLITE_UTF8 | SQLITE_INNOCUOUS)
#define FILES (SQLITE_UTF8 | SQLITE_DIRECTONLY)
/* Not a flag of SQLite: the function may take long and is listed in
 * nadb_jobs. */
#define LONG 0x40000000
#define LONG_FILES (FILES | LONG)

static const function functions[] = {
    {"nadb_version", 0, HARMLESS | SQLITE_DETERMINISTIC, version},
    {"nadb_debug", 0, HARMLESS, debug},
    {"nadb_backend_load", 1, FILES, backend_load},
    {"nadb_flush", 0, FILES, flush},
    {"nadb_flush", 1, FILES, flush},
    {"nadb_clear", 1, SQLITE_UTF8, clear},
    {"nadb_destroy", 1, FILES, destroy},
    {"nadb_seq", 1, SQLITE_UTF8, seq},
    {"nadb_adopt", 1, FILES, func_adopt},
    {"nadb_adopt", 2, FILES, func_adopt},
    {"nadb_alter", -1, FILES, func_alter},
    {"nadb_check", 1, LONG_FILES, func_check},
    {"nadb_reindex", 1, LONG_FILES, func_reindex},
    {"nadb_repair", 1, LONG_FILES, func_repair},
    {"nadb_repair", 3, LONG_FILES, func_repair},
    {"nadb_compact", 1, LONG_FILES, func_compact},
    {"nadb_compact", 2, LONG_FILES, func_compact},
    {"nadb_cache_clear", 0, FILES, func_cache_clear},
    {"nadb_cache_clear", 1, FILES, func_cache_clear},
    {"nadb_clear_db", 2, FILES, func_clear_db},
    {"nadb_openmetrics", 0, FILES, func_openmetrics},
    {"nadb_log", 2, FILES, func_log},
    {"nadb_log", 3, FILES, func_log},
    {"nadb_backup", 2, LONG_FILES, func_backup},
    {"nadb_backup", 3, LONG_FILES, func_backup},
    {"nadb_backup", 4, LONG_FILES, func_backup},
    {"nadb_backup", 5, LONG_FILES, func_backup},
    {"nadb_restore", 3, LONG_FILES, func_restore},
    {"nadb_restore", 4, LONG_FILES, func_restore},
    {"nadb_verify_backup", 2, LONG_FILES, func_verify_backup},
    {"nadb_delete_backup", 2, FILES, func_delete_backup},
    {"nadb_delete_backup", 3, FILES, func_delete_backup},
    {"nadb_prune_backups", 1, FILES, func_prune_backups},
    {"nadb_prune_backups", 2, FILES, func_prune_backups},
    {"nadb_prune_backups", 3, FILES, func_prune_backups},
    {"nadb_backup_database", 1, LONG_FILES, func_backup_database},
    {"nadb_backup_database", 2, LONG_FILES, func_backup_database},
    {"nadb_backup_database", 3, LONG_FILES, func_backup_database},
    {"nadb_restore_database", 3, LONG_FILES, func_restore_database},
    {"nadb_unzip", 1, HARMLESS | SQLITE_DETERMINISTIC, func_unzip},
    {"nadb_unzip", 2, HARMLESS | SQLITE_DETERMINISTIC, func_unzip},
    {"nadb_base64", 1, HARMLESS | SQLITE_DETERMINISTIC, func_base64},
    {"nadb_sha256", 1, HARMLESS | SQLITE_DETERMINISTIC, func_sha256},
    {"nadb_set_ttl", 3, SQLITE_UTF8, func_set_ttl},
    {"nadb_ttl", 2, SQLITE_UTF8, func_ttl},
    {"nadb_tags", 2, SQLITE_UTF8, func_tags},
    {"nadb_tag", -1, SQLITE_UTF8, func_tag},
    {"nadb_untag", -1, SQLITE_UTF8, func_untag},
    {"nadb_incr", 2, SQLITE_UTF8, func_incr},
    {"nadb_incr", 3, SQLITE_UTF8, func_incr},
    {"nadb_incr", 4, SQLITE_UTF8, func_incr},
    {"nadb_incr", 5, SQLITE_UTF8, func_incr},
    {"nadb_pop", 2, SQLITE_UTF8, func_pop},
    {"nadb_wait", 3, FILES, func_wait},
    {"nadb_wait", 4, FILES, func_wait},
    {"nadb_purge_expired", 1, SQLITE_UTF8, func_purge_expired},
};

/* A function's user data. */
typedef struct binding {
    const function *f;
    conn *c; /* referenced */
} binding;

static void unbind(void *arg) {
    binding *b = arg;

    conn_unref(b->c);
    nadb_free(b);
}

/* Runs the function as a job on what its first argument names. */
static nadb_rc run_job(call *k, const function *f, nadb_err *err) {
    const char *kind = f->name + sizeof "nadb_" - 1;
    const char *target = func_text(k, 0);
    ext_job job;
    nadb_rc rc;

    job_begin(&job, k->db, kind, target == NULL ? "" : target);
    rc = f->run(k, err);
    job_end(&job);
    return rc;
}

static void dispatch(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    const binding *b = sqlite3_user_data(ctx);
    call k = {.ctx = ctx, .c = b->c, .argc = argc, .argv = argv};
    nadb_err err;
    nadb_rc rc;

    k.db = sqlite3_context_db_handle(ctx);
    rc = (b->f->flags & LONG) != 0 ? run_job(&k, b->f, &err)
                                   : b->f->run(&k, &err);
    if (rc != NADB_OK) {
        value_result_error(ctx, b->f->name, &err);
    }
    func_pin(&k, NULL);
    nadb_buf_clear(&k.key_room);
}

int func_register(sqlite3 *db, conn *c) {
    int code = SQLITE_OK;

    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const function *f = &functions[i];
        binding *b = nadb_calloc(1, sizeof *b);

        if (b == NULL) return SQLITE_NOMEM;
        b->f = f;
        b->c = conn_ref(c->db);
        /* SQLite calls unbind() also on failure. */
        code =
            sqlite3_create_function_v2(db, f->name, f->argc, f->flags & ~LONG,
                                       b, dispatch, NULL, NULL, unbind);
        if (code != SQLITE_OK) break;
    }
    return code;
}
