/* conn.c - the state of one SQLite connection: its sessions, one per store, and
 * the way from a table's name to its virtual table object.
 *
 * A process-wide list finds the state of a connection that loads the library a
 * second time; two states would mean two sessions for one store, which would
 * wait for each other. Only this list is shared by threads.
 *
 * No prepared statement is kept, because it would be finalized too late when
 * the connection closes. */
#include "ext.h"
#include "sqlite_quirks.h"

#include <inttypes.h>
#include <pthread.h>

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static conn *list; /* list_lock guards it, and refs and next of every conn */

/* --- nadb_caller --- */

/* SQLite checks its limits only when it is given a value, after its memory was
 * allocated. */
static nadb_rc takes(void *db, uint64_t bytes, nadb_err *err) {
    int most = sqlite3_limit(db, SQLITE_LIMIT_LENGTH, -1);
    int64_t heap = sqlite3_hard_heap_limit64(-1);
    int64_t used = heap > 0 ? sqlite3_memory_used() : 0;

    if (bytes > (uint64_t)most) {
        return nadb_fail(err, NADB_TOOBIG,
                         "the value has %" PRIu64 " bytes, and this connection "
                         "takes %d (SQLITE_LIMIT_LENGTH)",
                         bytes, most);
    }
    if (heap > 0 && (used >= heap || bytes > (uint64_t)(heap - used))) {
        return nadb_fail(err, NADB_NOMEM,
                         "the value has %" PRIu64 " bytes, and SQLite may use "
                         "%" PRId64 " in all (sqlite3_hard_heap_limit64)",
                         bytes, heap);
    }
    return NADB_OK;
}

/* --- connections --- */

conn *conn_ref(sqlite3 *db) {
    conn *c;

    pthread_mutex_lock(&list_lock);
    for (c = list; c != NULL && c->db != db;) c = c->next;
    if (c == NULL) {
        c = nadb_calloc(1, sizeof *c);
        if (c != NULL) {
            c->db = db;
            c->changes = (unsigned)-2; /* not counted yet */
            c->caller = (nadb_caller){quirk_interrupted, quirk_ticked, takes,
                                      db, &c->waits};
            c->next = list;
            list = c;
        }
    }
    if (c != NULL) c->refs++;
    pthread_mutex_unlock(&list_lock);
    return c;
}

/* Frees the session, and closes or removes its store. */
static void sess_free(sess *s) {
    nadb_err err;

    job_wrote_all(s);
    nadb_session_free(s->core);
    if (!s->remove) {
        nadb_store_close(s->store);
    } else if (nadb_store_undo(s->store, &err) != NADB_OK &&
               err.rc != NADB_LOCKED) {
        /* NADB_LOCKED: another opener has committed to the store and keeps
         * it. */
        sqlite3_log(value_code(err.rc),
                    "nadb: removing the store of a CREATE that failed or was "
                    "rolled back: %s",
                    err.msg);
    }
    nadb_free(s);
}

void conn_unref(void *arg) {
    conn *c = arg;
    conn **at;
    bool last;

    pthread_mutex_lock(&list_lock);
    last = --c->refs == 0;
    if (last) {
        for (at = &list; *at != c;) at = &(*at)->next;
        *at = c->next;
    }
    pthread_mutex_unlock(&list_lock);
    if (!last) return;
    dropped_forget(c);
    /* only parked ones: tables keep the module alive */
    while (c->sessions != NULL) {
        sess *s = c->sessions;

        c->sessions = s->next;
        sess_free(s);
    }
    places_free(c);
    nadb_free(c);
}

bool conn_is_utf8(conn *c) {
    sqlite3_stmt *stmt = NULL;
    const char *name;

    if (c->encoding != ENCODING_UNKNOWN) return c->encoding == ENCODING_UTF8;
    /* The encoding is fixed once a table exists. If an authorizer forbids the
     * question, plans do not use the order of texts. */
    if (sqlite3_prepare_v2(c->db, "PRAGMA encoding", -1, &stmt, NULL) ==
            SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        name = (const char *)sqlite3_column_text(stmt, 0);
        if (name != NULL) {
            c->encoding = sqlite3_stricmp(name, "UTF-8") == 0 ? ENCODING_UTF8
                                                              : ENCODING_OTHER;
        }
    }
    sqlite3_finalize(stmt);
    return c->encoding == ENCODING_UTF8;
}

bool conn_globs_blobs(conn *c) {
    sqlite3_stmt *stmt = NULL;

    if (c->blobs != BLOBS_UNKNOWN) return c->blobs == BLOBS_MATCH;
    if (sqlite3_prepare_v2(c->db, "SELECT x'61' GLOB 'a'", -1, &stmt, NULL) ==
            SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        c->blobs =
            sqlite3_column_int(stmt, 0) != 0 ? BLOBS_MATCH : BLOBS_DIFFER;
    }
    sqlite3_finalize(stmt);
    return c->blobs != BLOBS_DIFFER;
}

/* --- sessions --- */

/* The session that has the store already, or a new one. */
static nadb_rc sess_of(conn *c, const nadb_options *options, unsigned flags,
                       sess **out, nadb_err *err) {
    sess *s = nadb_calloc(1, sizeof *s);
    sess *old = c->sessions;
    bool created = false;
    nadb_rc rc;

    *out = NULL;
    if (s == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    rc = nadb_store_open(options, flags, &s->store, &created, err);
    if (rc != NADB_OK) {
        nadb_free(s);
        return rc;
    }
    while (old != NULL && old->store != s->store) old = old->next;
    if (old != NULL) {
        sess_free(s); /* and its second reference to the store */
        *out = old;
        return NADB_OK;
    }
    rc = nadb_session_new(s->store, &s->core, err);
    if (rc != NADB_OK) {
        s->remove = created;
        sess_free(s);
        return rc;
    }
    s->made = created;
    s->snapshots = (nadb_backend_caps(nadb_backend_for(options)) &
                    NADB_CAP_SNAPSHOTS) != 0;
    s->next = c->sessions;
    c->sessions = s;
    *out = s;
    return NADB_OK;
}

nadb_rc conn_attach(vtab *v, unsigned flags, nadb_err *err) {
    sess *s = NULL;
    nadb_rc rc = place_use(v->place, v->options, err);

    if (rc == NADB_OK) rc = sess_of(v->c, v->options, flags, &s, err);
    if (rc == NADB_OK) conn_join(v, s);
    return rc;
}

void conn_join(vtab *v, sess *s) {
    v->s = s;
    nadb_session_serve(s->core, &v->c->caller, v->options->busy_timeout_ms);
    place_found(v->place, v->options, nadb_store_options(v->s->store)->path);
    v->next = v->s->objects;
    v->s->objects = v;
    v->s->dropped = false;
    file_bind(v);
}

/* True if a session without objects is kept for the next object. SQLite
 * disconnects all objects when it reloads the schema, as after ALTER of another
 * table; a store in memory must survive that. */
static bool parked(const sess *s) {
    const nadb_backend *b =
        nadb_backend_find(nadb_store_options(s->store)->backend);

    return !s->remove && !s->dropped && b != NULL &&
           (nadb_backend_caps(b) & NADB_CAP_PERSISTENT) == 0;
}

/* Ends the session unless something still needs it. */
static void sess_leave(conn *c, sess *s) {
    sess **at;

    if (s->objects != NULL || s == c->altering || parked(s)) return;
    for (at = &c->sessions; *at != s;) at = &(*at)->next;
    *at = s->next;
    sess_free(s);
}

void conn_alter(conn *c, sess *s) {
    sess *before = c->altering;

    c->altering = s;
    if (before != NULL) sess_leave(c, before);
}

void conn_detach(vtab *v) {
    sess *s = v->s;
    vtab **object;

    if (s == NULL) return;
    v->s = NULL;
    for (object = &s->objects; *object != v;) object = &(*object)->next;
    *object = v->next;
    if (v->creator) s->n_creators--;
    sess_leave(v->c, s);
}

/* --- from names to tables --- */

/* Returns "<head> <table> <tail>"; NULL if out of memory. A name with a dot is
 * schema.table if that schema exists; *schema is then allocated. */
static char *table_sql(sqlite3 *db, const char *head, const char *name,
                       const char *tail, char **schema, const char **table) {
    const char *dot = strchr(name, '.');

    *schema = NULL;
    *table = name;
    if (dot != NULL) {
        *schema = sqlite3_mprintf("%.*s", (int)(dot - name), name);
        if (*schema == NULL) return NULL;
        if (sqlite3_db_readonly(db, *schema) >= 0) {
            *table = dot + 1;
            return sqlite3_mprintf("%s \"%w\".\"%w\" %s", head, *schema, *table,
                                   tail);
        }
        sqlite3_free(*schema);
        *schema = NULL;
    }
    return sqlite3_mprintf("%s \"%w\" %s", head, name, tail);
}

/* Planning the statement connects the table if necessary and calls xBestIndex,
 * which sets c->planned. */
static int prepare(conn *c, const char *sql, sqlite3_stmt **stmt) {
    c->planned = NULL;
    if (sql == NULL) return SQLITE_NOMEM;
    return sqlite3_prepare_v2(c->db, sql, -1, stmt, NULL);
}

/* c->planned is also set for a view over one of our tables, and for a table
 * with a trigger on one. Only ours have the collation of column tag. */
static bool is_ours(sqlite3 *db, const char *schema, const char *table) {
    const char *collation = NULL;

    return sqlite3_table_column_metadata(db, schema, table, "tag", NULL,
                                         &collation, NULL, NULL,
                                         NULL) == SQLITE_OK &&
           sqlite3_stricmp(collation, "nadbin") == 0;
}

/* True if the statement was refused because the table is not one of ours. */
static bool is_other_table(const char *message) {
    return strstr(message, "no such column") != NULL ||
           strstr(message, "because it is a view") != NULL ||
           strstr(message, "may not be modified") != NULL;
}

nadb_rc conn_prepare(conn *c, const char *head, const char *name,
                     const char *tail, sqlite3_stmt **stmt, vtab **out,
                     nadb_err *err) {
    const char *table;
    char *schema = NULL;
    char *sql;
    int code;
    bool found;

    *stmt = NULL;
    *out = NULL;
    if (name == NULL) {
        return nadb_fail(err, NADB_INVALID,
                         "the first argument is the name of an nadb table, "
                         "such as 'kv' or 'main.kv'");
    }
    sql = table_sql(c->db, head, name, tail, &schema, &table);
    code = prepare(c, sql, stmt);
    found = code == SQLITE_OK && c->planned != NULL &&
            sqlite3_stricmp(c->planned->name, table) == 0 &&
            is_ours(c->db, schema, table);
    sqlite3_free(sql);
    sqlite3_free(schema);
    if (found) {
        *out = c->planned;
        return NADB_OK;
    }
    sqlite3_finalize(*stmt);
    *stmt = NULL;
    if (code == SQLITE_NOMEM) {
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    }
    if (code != SQLITE_OK && !is_other_table(sqlite3_errmsg(c->db))) {
        /* such as: no such table */
        return value_sqlite_error(c->db, code, err);
    }
    return nadb_fail(err, NADB_INVALID,
                     "%s is not a table made with CREATE VIRTUAL TABLE .. "
                     "USING nadb",
                     name);
}

/* Another connection may have replaced the table, which SQLite only notices
 * when a statement begins to read the file: one without rows does. After an
 * error, or if SQLite has prepared the statement again, the table is looked up
 * again. */
static nadb_rc find_now(conn *c, const char *head, const char *name,
                        sqlite3_stmt **stmt, vtab **out, nadb_err *err) {
    nadb_rc rc = conn_prepare(c, head, name, "WHERE 0", stmt, out, err);

    if (rc != NADB_OK ||
        sqlite3_txn_state(c->db, (*out)->schema) != SQLITE_TXN_NONE)
        return rc;
    if (sqlite3_step(*stmt) == SQLITE_DONE &&
        sqlite3_stmt_status(*stmt, SQLITE_STMTSTATUS_REPREPARE, 0) == 0)
        return NADB_OK;
    sqlite3_finalize(*stmt);
    return conn_prepare(c, head, name, "WHERE 0", stmt, out, err);
}

nadb_rc conn_find(conn *c, const char *name, sqlite3_stmt **pin, vtab **out,
                  nadb_err *err) {
    return find_now(c, "SELECT key FROM", name, pin, out, err);
}

nadb_rc conn_find_to_read(conn *c, const char *name, const char *column,
                          sqlite3_stmt **pin, vtab **out, bool *hidden,
                          nadb_err *err) {
    char *head = sqlite3_mprintf("SELECT key, %s FROM", column);
    nadb_rc rc;

    *hidden = false;
    *pin = NULL;
    *out = NULL;
    if (head == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    rc = find_now(c, head, name, pin, out, err);
    /* After SQLITE_IGNORE a NULL constant replaces the column and has no
     * declared type. */
    if (rc == NADB_OK) *hidden = sqlite3_column_decltype(*pin, 1) == NULL;
    sqlite3_free(head);
    return rc;
}

/* Another object of the session; NULL if v is the only one. */
static vtab *another(vtab *v) {
    vtab *o = v->s->objects;

    return o == v ? o->next : o;
}

/* True if SQLite certainly can no longer reach the object. Asking SQLite may
 * free the object. */
static bool is_left_over(vtab *v) {
    conn *c = v->c;
    sqlite3_stmt *stmt = NULL;
    char *sql =
        sqlite3_mprintf("SELECT key FROM \"%w\".\"%w\"", v->schema, v->name);
    int code = prepare(c, sql, &stmt);

    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return (code == SQLITE_OK || code == SQLITE_ERROR) && c->planned != v;
}

nadb_rc conn_leave_alone(vtab *v, nadb_err *err) {
    vtab *o;

    while ((o = another(v)) != NULL) {
        bool left_over = is_left_over(o);

        if (o != another(v)) continue; /* it was freed */
        if (!left_over) {
            return nadb_fail(err, NADB_LOCKED,
                             "table %s.%s of this connection has the same "
                             "store: DROP it first, which keeps the data",
                             o->schema, o->name);
        }
        if (o->n_open > 0 || o->phase != PHASE_IDLE) {
            return nadb_fail(err, NADB_LOCKED,
                             "a statement of this connection still reads the "
                             "table under its former name %s: finalize or "
                             "reset it first",
                             o->name);
        }
        vtab_let_go(o);
    }
    return NADB_OK;
}
