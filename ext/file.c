/* file.c - the database file that a store belongs to.
 *
 * A store at the default path belongs to the database file in which its table
 * is declared. The file has a table of one row, <table>_nadb, which is a shadow
 * table in SQLite's sense:
 *
 *   id      32 hexadecimal digits, which are also in the name of the store's
 *           folder, so that another file, or another table of that name, never
 *           finds the store
 *   stamp   number and random bits of the last mixed transaction, by which
 *   nonce   file and store agree about it (core/engine/stamp.c)
 *
 * CREATE makes the row and DROP removes it, both within the file's transaction.
 * The folder of a dropped store is marked at once and removed when the DROP is
 * known to be committed.
 *
 * No prepared statement is kept, because some bindings finalize every statement
 * of a connection before they close it. */
#include "ext.h"
#include "sqlite_quirks.h"

/* --- which stores belong to a file --- */

bool file_owns(const vtab *v) {
    const nadb_options *o = v->options;
    const nadb_backend *b = o == NULL ? NULL : nadb_backend_for(o);

    return b != NULL && !o->path_given && o->db_file != NULL &&
           (nadb_backend_caps(b) & NADB_CAP_BASE) != 0 && o->path != NULL &&
           (nadb_backend_caps(b) & (NADB_CAP_REMOTE | NADB_CAP_READ_ONLY)) ==
               0 &&
           sqlite3_stricmp(v->schema, "temp") != 0;
}

/* Prepares a statement on the shadow table; `sql` has two %w, for the schema
 * and the table. */
static nadb_rc shadow_prepare(vtab *v, const char *sql, sqlite3_stmt **out,
                              nadb_err *err) {
    char *text = sqlite3_mprintf(sql, v->schema, v->name);
    int code = SQLITE_NOMEM;

    *out = NULL;
    if (text != NULL) code = sqlite3_prepare_v2(v->c->db, text, -1, out, NULL);
    sqlite3_free(text);
    if (code == SQLITE_OK) return NADB_OK;
    return value_sqlite_error(v->c->db, code, err);
}

/* A forged schema may have a view in place of the table, or a virtual table
 * over one. Until the step ends vtab_open() refuses every table, because such a
 * view could read the table whose row is looked up. */
static int shadow_step(vtab *v, sqlite3_stmt *stmt, bool writes) {
    bool outer = v->c->in_row;
    int code;

    v->c->in_row = true;
    code = writes ? quirk_step_write(stmt) : sqlite3_step(stmt);
    v->c->in_row = outer;
    return code;
}

static nadb_rc shadow_exec(vtab *v, const char *sql, nadb_err *err) {
    sqlite3_stmt *stmt = NULL;
    nadb_rc rc = shadow_prepare(v, sql, &stmt, err);
    int code;

    if (rc != NADB_OK) return rc;
    code = shadow_step(v, stmt, false);
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        rc = value_sqlite_error(v->c->db, code, err);
    sqlite3_finalize(stmt);
    return rc;
}

static nadb_rc no_row(const vtab *v, const char *why, nadb_err *err) {
    return nadb_fail(err, NADB_CANTOPEN,
                     "table %s.%s_nadb, which says where the rows of %s are, "
                     "%s: DROP TABLE %s and CREATE it again, then SELECT "
                     "nadb_adopt('%s') takes over a store that is still there",
                     v->schema, v->name, v->name, why, v->name, v->name);
}

static bool is_id(const char *id) {
    size_t n = 0;

    if (id == NULL) return false;
    while ((id[n] >= '0' && id[n] <= '9') || (id[n] >= 'a' && id[n] <= 'f'))
        n++;
    return n == FILE_ID && id[n] == 0;
}

/* Reads the row in the connection's snapshot of the file. */
static nadb_rc row_read(vtab *v, char id[FILE_ID + 1], nadb_stamp *stamp,
                        nadb_err *err) {
    sqlite3_stmt *stmt = NULL;
    int code;
    nadb_rc rc = shadow_prepare(
        v, "SELECT id, stamp, nonce FROM \"%w\".\"%w_nadb\"", &stmt, err);

    if (rc == NADB_INVALID) return no_row(v, "is not there", err);
    if (rc != NADB_OK) return rc;
    code = shadow_step(v, stmt, false);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);

        stamp->number = (uint64_t)sqlite3_column_int64(stmt, 1);
        stamp->nonce = (uint64_t)sqlite3_column_int64(stmt, 2);
        if (is_id(text) && stamp->number < INT64_MAX)
            memcpy(id, text, FILE_ID + 1);
        else
            rc = no_row(v, "is damaged", err);
    } else if (code == SQLITE_DONE) {
        rc = no_row(v, "is empty", err);
    } else {
        rc = value_sqlite_error(v->c->db, code, err);
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* --- nadb_dbfile --- */

static vtab *speaker(const sess *s) {
    vtab *v = s->objects;

    while (v != NULL && (v->gone || v->replaced)) v = v->next;
    return v != NULL ? v : s->objects;
}

static bool is_locked(void *ctx) {
    const vtab *v = speaker(ctx);

    return v != NULL &&
           sqlite3_txn_state(v->c->db, v->schema) == SQLITE_TXN_WRITE;
}

/* Number of running statements, at most 2. */
static int running(sqlite3 *db) {
    int n = 0;

    for (sqlite3_stmt *at = sqlite3_next_stmt(db, NULL); at != NULL && n < 2;
         at = sqlite3_next_stmt(db, at))
        if (sqlite3_stmt_busy(at)) n++;
    return n;
}

static bool is_fresh(void *ctx) {
    sqlite3 *db = speaker(ctx)->c->db;

    return sqlite3_get_autocommit(db) != 0 && running(db) < 2;
}

static nadb_rc ask_stamp(void *ctx, nadb_stamp *out, nadb_err *err) {
    char id[FILE_ID + 1];
    vtab *v = speaker(ctx);

    if (v == NULL)
        return nadb_fail(err, NADB_CANTOPEN, "the table has been dropped");
    return row_read(v, id, out, err);
}

static nadb_rc no_stamp(void *ctx, nadb_stamp *out, nadb_err *err) {
    (void)ctx;
    (void)err;
    out->number = out->nonce = 0;
    return NADB_OK;
}

/* True if the file's write lock protects the store: also for a store in memory,
 * which has no row in the file because it ends with the process. */
static bool file_guards(const vtab *v) {
    const nadb_options *o = v->options;
    const nadb_backend *b = nadb_backend_for(o);

    return !o->path_given && o->db_file != NULL && b != NULL &&
           (nadb_backend_caps(b) & (NADB_CAP_REMOTE | NADB_CAP_READ_ONLY)) ==
               0 &&
           sqlite3_stricmp(v->schema, "temp") != 0;
}

/* Copies the first column of a PRAGMA to `out`; "" if there is none. */
static void pragma(sqlite3 *db, const char *schema, const char *name,
                   char out[16]) {
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf("PRAGMA \"%w\".%s", schema, name);

    out[0] = 0;
    if (sql != NULL &&
        sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);

        sqlite3_snprintf(16, out, "%s", text == NULL ? "" : text);
    }
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
}

static void read_header(const vtab *v, file_header *out) {
    pragma(v->c->db, v->schema, "user_version", out->user_version);
    pragma(v->c->db, v->schema, "application_id", out->application_id);
    pragma(v->c->db, v->schema, "schema_version", out->schema_version);
}

static bool is_spill_off(vtab *v) {
    char spill[16];

    pragma(v->c->db, v->schema, "cache_spill", spill);
    v->c->spill_off = strcmp(spill, "0") == 0;
    return v->c->spill_off;
}

/* Detects changes that flushing does not show: those of page 1, which SQLite
 * keeps in use; and any change under cache_spill=off, which prevents flushing.
 * Page 1 has two numbers that a PRAGMA can write, and the schema or its first
 * part, each change of which increments the version of the schema. */
static bool header_moved(vtab *v) {
    file_header now, *last = &v->s->header;
    bool moved;

    read_header(v, &now);
    moved = strcmp(now.user_version, last->user_version) != 0 ||
            strcmp(now.application_id, last->application_id) != 0 ||
            strcmp(now.schema_version, last->schema_version) != 0;
    *last = now;
    return is_spill_off(v) || moved;
}

static bool is_open(const vtab *v) {
    return sqlite3_txn_state(v->c->db, v->schema) == SQLITE_TXN_WRITE;
}

static bool writes_file(const vtab *v) {
    return sqlite3_get_autocommit(v->c->db) == 0 && is_open(v);
}

/* A number that every commit to the file changes, also one of this connection;
 * false if there is none. */
static bool data_version(const vtab *v, unsigned *out) {
    return sqlite3_file_control(v->c->db, v->schema, SQLITE_FCNTL_DATA_VERSION,
                                out) == SQLITE_OK;
}

void file_connected(vtab *v) {
    if (v->options == NULL || !file_owns(v) || writes_file(v)) return;
    if (sqlite3_txn_state(v->c->db, NULL) != SQLITE_TXN_WRITE)
        quirk_note_spills(v->c);
    read_header(v, &v->header);
    v->header_known = data_version(v, &v->data_version);
}

/* Changes of earlier transactions do not count, those of the present one do:
 * the header of xConnect counts, unless there was a commit since. Then it is
 * read now, or, if the transaction has written already, stays unknown. */
static void take_header(vtab *v) {
    unsigned now;

    if (v->header_known && data_version(v, &now) && now == v->data_version)
        v->s->header = v->header;
    else if (!writes_file(v))
        read_header(v, &v->s->header);
}

void file_bind(vtab *v) {
    nadb_dbfile file = {is_locked, is_fresh, ask_stamp, v->s};

    if (v->s->bound || !file_guards(v)) return;
    v->s->bound = file_owns(v);
    if (!v->s->bound) file.stamp = no_stamp;
    nadb_session_bind(v->s->core, &file);
    if (v->s->bound) take_header(v);
}

/* --- identity --- */

nadb_rc file_find(vtab *v, nadb_err *err) {
    char id[FILE_ID + 1];
    nadb_stamp stamp;
    nadb_rc rc;

    if (!file_owns(v)) return NADB_OK;
    rc = row_read(v, id, &stamp, err);
    if (rc == NADB_OK && !nadb_options_set_id(v->options, id))
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    return rc;
}

static nadb_rc denied(const vtab *v, const char *needs, nadb_err *err) {
    return nadb_fail(err, NADB_DENIED,
                     "not authorized: it needs to %s the table %s.%s_nadb, and "
                     "the authorizer of the connection does not allow it",
                     needs, v->schema, v->name);
}

/* Runs a statement that writes, and frees it. An authorizer that returns
 * SQLITE_IGNORE makes it one that does nothing. */
static nadb_rc shadow_write(vtab *v, sqlite3_stmt *stmt, nadb_err *err) {
    nadb_rc rc = NADB_OK;
    int code = SQLITE_DONE;

    if (sqlite3_stmt_readonly(stmt))
        rc = denied(v, "create and write", err);
    else
        code = shadow_step(v, stmt, true);
    if (code != SQLITE_DONE) rc = value_sqlite_error(v->c->db, code, err);
    sqlite3_finalize(stmt);
    return rc;
}

/* Makes the shadow table with one row. */
static nadb_rc shadow_make(vtab *v, const char *id, nadb_stamp stamp,
                           nadb_err *err) {
    sqlite3_stmt *stmt = NULL;
    nadb_rc rc = shadow_prepare(
        v,
        "CREATE TABLE \"%w\".\"%w_nadb\"(id TEXT PRIMARY KEY,"
        " stamp INTEGER NOT NULL, nonce INTEGER NOT NULL) WITHOUT ROWID",
        &stmt, err);

    if (rc == NADB_OK) rc = shadow_write(v, stmt, err);
    if (rc == NADB_OK)
        rc = shadow_prepare(v, "INSERT INTO \"%w\".\"%w_nadb\" VALUES(?, ?, ?)",
                            &stmt, err);
    if (rc != NADB_OK) return rc;
    sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, (int64_t)stamp.number);
    sqlite3_bind_int64(stmt, 3, (int64_t)stamp.nonce);
    return shadow_write(v, stmt, err);
}

nadb_rc file_rename(vtab *v, const char *name, nadb_err *err) {
    char *sql;
    int code = SQLITE_NOMEM;

    if (!file_owns(v)) return NADB_OK;
    sql =
        sqlite3_mprintf("ALTER TABLE \"%w\".\"%w_nadb\" RENAME TO \"%w_nadb\"",
                        v->schema, v->name, name);
    if (sql != NULL) code = sqlite3_exec(v->c->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK) return NADB_OK;
    return value_sqlite_error(v->c->db, code, err);
}

nadb_rc file_drop(vtab *v, nadb_err *err) {
    nadb_rc rc;

    if (!file_owns(v) || v->c->in_row) return NADB_OK;
    /* Even with a damaged row the table can be dropped. */
    if (v->options->store_id == NULL) (void)!file_find(v, err);
    rc = shadow_exec(v, "DROP TABLE IF EXISTS \"%w\".\"%w_nadb\"", err);
    if (rc == NADB_INVALID) /* a view has the name */
        rc = shadow_exec(v, "DROP VIEW IF EXISTS \"%w\".\"%w_nadb\"", err);
    if (rc == NADB_OK && v->options->store_id != NULL &&
        !(v->s != NULL && v->s->made)) {
        /* If it cannot be marked its folder stays, which does no other harm. */
        (void)!nadb_store_mark_dropped(v->options, err);
        dropped_note(v);
    }
    return rc;
}

/* --- CREATE --- */

nadb_rc file_create(vtab *v, nadb_err *err) {
    static const char digits[] = "0123456789abcdef";
    nadb_stamp none = {0, 0};
    char id[FILE_ID + 1];
    nadb_rc rc;

    if (!file_owns(v)) return NADB_OK;
    if (v->c->adopt != NULL) {
        memcpy(id, v->c->adopt, sizeof id);
    } else {
        sqlite3_randomness(FILE_ID, id);
        for (int i = 0; i < FILE_ID; i++) id[i] = digits[id[i] & 15];
        id[FILE_ID] = 0;
    }
    rc = shadow_make(v, id, none, err);
    if (rc == NADB_OK && !nadb_options_set_id(v->options, id))
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    if (rc == NADB_OK)
        (void)!nadb_store_ids(v->options, dropped_remove, v, err);
    return rc;
}

/* --- is the transaction mixed? ---
 *
 * Only a mixed transaction may write a stamp, and SQLite does not tell whether
 * pages of the file have changed. In xSync, in this order:
 *
 *   is_direct()      a statement outside BEGIN .. COMMIT that changes rows of
 *                    its own table alone: SQLite's counters have not moved
 *   other stores     changed by the same transaction: mixed
 *   WAL              flushing dirty pages into the WAL moves the counter of
 *                    flushed pages; page 1, which is not flushed, has numbers
 *                    that are compared (header_moved())
 *   other modes      the rollback journal has bytes
 *
 * If that does not tell, the transaction counts as mixed, which costs a row. */

/* NULL if it cannot be told. */
static sqlite3_file *journal_of(sqlite3 *db, const char *schema) {
    sqlite3_file *journal = NULL;

    if (sqlite3_file_control(db, schema, SQLITE_FCNTL_JOURNAL_POINTER,
                             &journal) != SQLITE_OK)
        return NULL;
    return journal;
}

/* What is known, before pages are flushed, of whether the transaction has
 * written to files. */
typedef enum file_state {
    FILE_UNWRITTEN,
    FILE_FLUSH,  /* one has its write lock: a flush tells */
    FILE_WRITTEN /* one has a rollback journal with bytes */
} file_state;

/* What the first bytes of a file's journal show. If there are none, a flush
 * tells: only in mode OFF and with a WAL there may be pages to be flushed. */
static file_state journal_state(sqlite3_file *journal) {
    static const unsigned char magic[] = {0x37, 0x7f, 0x06}; /* of a WAL */
    const sqlite3_io_methods *io = journal == NULL ? NULL : journal->pMethods;
    unsigned char head[4];
    sqlite3_int64 size = 0;

    if (journal == NULL) return FILE_WRITTEN;
    if (io == NULL) return FILE_FLUSH;
    if (io->xFileSize(journal, &size) != SQLITE_OK) return FILE_WRITTEN;
    if (size == 0) return FILE_FLUSH;
    if (size < (sqlite3_int64)sizeof head ||
        io->xRead(journal, head, sizeof head, 0) != SQLITE_OK ||
        memcmp(head, magic, sizeof magic) != 0)
        return FILE_WRITTEN;
    return FILE_FLUSH;
}

/* As journal_state(), without a flush if that can be: a flush leaves changes of
 * page 1 open. For xSync only: if the PRAGMA is interrupted SQLite rolls the
 * transaction back, which file_stamp() notices. */
static file_state asked_state(sqlite3 *db, const char *schema,
                              sqlite3_file *journal) {
    file_state state = journal_state(journal);
    char mode[16];

    if (state == FILE_WRITTEN) return state;
    pragma(db, schema, "journal_mode", mode);
    if (sqlite3_stricmp(mode, "wal") == 0) return FILE_FLUSH;
    return mode[0] == 0 || sqlite3_stricmp(mode, "off") == 0 ? FILE_WRITTEN
                                                             : FILE_UNWRITTEN;
}

static file_state state_of(sqlite3 *db, const char *schema, bool ask) {
    sqlite3_file *journal;

    if (sqlite3_txn_state(db, schema) != SQLITE_TXN_WRITE)
        return FILE_UNWRITTEN;
    journal = journal_of(db, schema);
    return ask ? asked_state(db, schema, journal) : journal_state(journal);
}

/* The state of all files but temp: the most that one has. In xSync `but` is a
 * schema that is left out; otherwise NULL. If one has a rollback journal with
 * bytes, no page may be flushed: that would sync its journal and lock out its
 * readers. */
static file_state state_of_all(sqlite3 *db, const char *but) {
    sqlite3_stmt *stmt = NULL;
    file_state all = FILE_UNWRITTEN;
    int code;

    if (sqlite3_prepare_v2(db, "PRAGMA database_list", -1, &stmt, NULL) !=
        SQLITE_OK)
        return FILE_WRITTEN;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 1);
        file_state one = FILE_UNWRITTEN;

        if (name != NULL && sqlite3_stricmp(name, "temp") != 0 &&
            (but == NULL || sqlite3_stricmp(name, but) != 0))
            one = state_of(db, name, but != NULL);
        if (one > all) all = one;
    }
    sqlite3_finalize(stmt);
    return code == SQLITE_DONE ? all : FILE_WRITTEN;
}

void file_begun(vtab *v) {
    conn *c = v->c;
    unsigned now = (unsigned)sqlite3_total_changes(c->db);

    v->s->begun_changes = now;
    v->s->begun_pages = quirk_pages(c->db);
    v->s->nested = false;
    /* A statement on one of our tables mostly changes one row. */
    if (now < c->changes || now - c->changes > 1) quirk_note_spills(c);
    c->changes = now;
}

/* True if the rows of one table of ours are all that an autocommit transaction
 * has changed: then no page of the file has changed.
 *
 * total_changes() grows when a trigger's program or a nested statement ends, by
 * the rows that it has changed, but not before the statement that commits has
 * ended. So while the number is that of the beginning, this statement itself
 * has changed the store. Its table is virtual, so it has no triggers and no
 * foreign keys that could change an ordinary table. A nested change of the
 * schema, or ANALYZE, changes no rows that count, but looks up pages. Seen in
 * 3.40 and 3.53. */
static bool is_direct(const vtab *v) {
    return !v->s->nested &&
           v->s->begun_changes == (unsigned)sqlite3_total_changes(v->c->db) &&
           v->s->begun_pages == quirk_pages(v->c->db);
}

/* SQLite does not flush pages that another statement uses. */
static bool flush_shows(vtab *v) {
    return header_moved(v) || (!v->s->autocommit && running(v->c->db) > 1) ||
           quirk_flushes(v->c);
}

/* The state of the table's file in xSync. A pager's rollback journal and its
 * WAL are different objects: while the pointer is that of a WAL the mode is
 * WAL. */
static file_state own_state(vtab *v) {
    sqlite3_file *journal = journal_of(v->c->db, v->schema);
    file_state own;

    if (journal != NULL && v->s->wal == journal) return FILE_FLUSH;
    own = asked_state(v->c->db, v->schema, journal);
    v->s->wal = own == FILE_FLUSH ? journal : NULL;
    return own;
}

/* True if pages of the file, or of another one, may have changed in this
 * transaction. */
static bool pages_changed(vtab *v) {
    file_state own = own_state(v), rest;
    bool written = own == FILE_WRITTEN;

    if (v->s->autocommit && own == FILE_FLUSH) {
        written = quirk_flushes(v->c) || header_moved(v);
        if (!written) return false;
    }
    rest = state_of_all(v->c->db, v->schema);
    written = written || rest == FILE_WRITTEN ||
              ((own == FILE_FLUSH || rest == FILE_FLUSH) && flush_shows(v));
    if (written && rest != FILE_UNWRITTEN) v->s->several = true;
    return written;
}

bool file_unwritten(vtab *v) {
    conn *c = v->c;
    int64_t spills = c->spills;
    unsigned changes = c->changes;
    file_state all;
    bool flushed;

    for (const sess *s = c->sessions; s != NULL; s = s->next)
        if (s->n_begun > 0) return false;
    if (sqlite3_txn_state(c->db, "temp") == SQLITE_TXN_WRITE) return false;
    all = state_of_all(c->db, NULL);
    if (all != FILE_FLUSH) return all == FILE_UNWRITTEN;
    if (is_spill_off(v)) return false;
    flushed = quirk_flushes(c);
    /* The next question of this transaction compares with the same count. */
    c->spills = spills;
    c->changes = changes;
    return !flushed;
}

/* s->several: a COMMIT of several files has no one moment, so an xRollback
 * after xSync may come although this file has been committed. */
static bool is_mixed(vtab *v) {
    bool same = false, other = false;

    if (v->s->autocommit && is_direct(v)) return false;
    for (const sess *s = v->c->sessions; s != NULL; s = s->next) {
        if (s == v->s || !s->bound || !nadb_session_dirty(s->core)) continue;
        if (sqlite3_stricmp(speaker(s)->schema, v->schema) == 0)
            same = true;
        else
            other = true;
    }
    if (!same && !other) return pages_changed(v);
    if (other || state_of_all(v->c->db, v->schema) != FILE_UNWRITTEN)
        v->s->several = true;
    return true;
}

/* --- stamping --- */

/* Where an authorizer returns SQLITE_IGNORE, UPDATE keeps the old numbers, and
 * without the stamp the file would refuse the store. So the session's first
 * stamp is read back; each one would cost a fifth of its transaction. */
static nadb_rc check_stamp(vtab *v, nadb_stamp stamp, nadb_err *err) {
    char id[FILE_ID + 1];
    nadb_stamp is;
    nadb_rc rc;

    if (v->s->stamps) return NADB_OK;
    rc = row_read(v, id, &is, err);
    if (rc == NADB_OK && (is.number != stamp.number || is.nonce != stamp.nonce))
        rc = denied(v, "update", err);
    v->s->stamps = rc == NADB_OK;
    return rc;
}

static int write_stamp(vtab *v, nadb_stamp stamp, nadb_err *err) {
    sqlite3_stmt *stmt = NULL;
    nadb_rc rc = shadow_prepare(
        v, "UPDATE \"%w\".\"%w_nadb\" SET stamp = ?, nonce = ?", &stmt, err);
    int code;

    if (rc != NADB_OK) return value_code(rc);
    sqlite3_bind_int64(stmt, 1, (int64_t)stamp.number);
    sqlite3_bind_int64(stmt, 2, (int64_t)stamp.nonce);
    code = shadow_step(v, stmt, true);
    if (code != SQLITE_DONE) {
        code = sqlite3_extended_errcode(v->c->db);
        (void)value_sqlite_error(v->c->db, code, err);
    }
    sqlite3_finalize(stmt);
    if (code != SQLITE_DONE) return code;
    return check_stamp(v, stamp, err) == NADB_OK ? SQLITE_OK
                                                 : value_code(err->rc);
}

/* A statement of is_mixed() was interrupted, or failed, and SQLite has rolled
 * back the file's transaction: the store's changes must not be committed. */
static int rolled_back(const vtab *v, nadb_err *err) {
    nadb_rc rc =
        quirk_interrupted(v->c->db)
            ? nadb_fail(err, NADB_INTERRUPT, "interrupted")
            : nadb_fail(err, NADB_IOERR,
                        "an error has rolled back the transaction of %s",
                        v->schema);

    return value_code(rc);
}

int file_stamp(vtab *v, nadb_err *err) {
    nadb_stamp none = {0, 0}, stamp;
    char id[FILE_ID + 1];
    bool open = is_open(v);
    int code;

    if (!v->s->bound || !nadb_session_dirty(v->s->core)) return SQLITE_OK;
    /* After a COMMIT that failed the flush of then shows nothing again. */
    if (is_mixed(v)) v->s->mixed = true;
    if (open && !is_open(v)) return rolled_back(v, err);
    if (!v->s->mixed) {
        nadb_session_stamp(v->s->core, none);
        return SQLITE_OK;
    }
    if (row_read(v, id, &stamp, err) != NADB_OK) return value_code(err->rc);
    stamp = nadb_session_next_stamp(v->s->core, stamp);
    code = write_stamp(v, stamp, err);
    quirk_note_spills(v->c); /* it may include the stamp's own pages */
    if (code == SQLITE_OK) nadb_session_stamp(v->s->core, stamp);
    return code;
}

/* --- taking over (adopt.c) --- */

nadb_rc file_number(vtab *v, uint64_t *out, nadb_err *err) {
    char id[FILE_ID + 1];
    nadb_stamp file = {0, 0};
    nadb_rc rc = file_owns(v) ? row_read(v, id, &file, err) : NADB_OK;

    *out = file.number;
    return rc;
}

nadb_rc file_lags(vtab *v, bool *lags, nadb_err *err) {
    char id[FILE_ID + 1];
    nadb_stamp file, store = nadb_session_stamped(v->s->core);
    nadb_rc rc = row_read(v, id, &file, err);

    *lags = rc == NADB_OK && (file.number != store.number ||
                              (store.nonce != 0 && file.nonce != store.nonce));
    return rc;
}

nadb_rc file_accept(vtab *v, nadb_err *err) {
    nadb_stamp store = nadb_session_stamped(v->s->core);

    return write_stamp(v, store, err) == SQLITE_OK ? NADB_OK : err->rc;
}
