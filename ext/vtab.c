/* vtab.c - virtual table objects: create, connect, rename, drop.
 *
 * CREATE checks everything and makes or opens the store. Connect, which SQLite
 * calls whenever it needs the table's columns, parses the options and opens
 * nothing. It always succeeds, so that a table whose store is missing can be
 * dropped and other tables keep working; errors are reported at the first read
 * or write, and checked again at the next.
 *
 * While nadb_alter() drops a table and creates it again, the callbacks leave
 * the store alone.
 *
 * DROP keeps the data of a store with path=. A store that was made by a
 * transaction which is rolled back is removed (txn.c, conn_detach()). */
#include "ext.h"

#include <stddef.h>

/* The key is declared TEXT, so that SQLite compares it as text. WITHOUT ROWID
 * makes it identify a row for UPDATE and DELETE.
 *
 * From tag = 'a' AND tag = 'b' SQLite concludes 'a' = 'b', which no row
 * satisfies, unless the column has a collation other than BINARY. So tag has a
 * collation of ours with the same order. Its name is also in the type: 3.40.1
 * removes HIDDEN from a type by moving the rest over it, and then reads the
 * remaining last six characters of the type as the name of the collation.
 *
 * rowid, _rowid_ and oid are the key. If these columns did not exist, SQLite
 * would take the quoted name for a text, and WHERE "_rowid_" = ? would change
 * every row or none. */
static const char declaration[] =
    "CREATE TABLE x(key TEXT PRIMARY KEY NOT NULL, value, tags TEXT, ttl REAL,"
    " expires_at REAL, created_at REAL, updated_at REAL, size INTEGER,"
    " tag HIDDEN TEXT nadbin COLLATE nadbin, stored_size HIDDEN,"
    " accessed_at HIDDEN, rowid TEXT HIDDEN, _rowid_ TEXT HIDDEN,"
    " oid TEXT HIDDEN) WITHOUT ROWID";

/* --- making objects --- */

/* The file of the schema's database; "" or NULL if it is in memory. Tables in
 * temp are placed beside main's file. */
static const char *database_file(sqlite3 *db, const char *schema) {
    sqlite3_vfs *vfs = NULL;

    if (sqlite3_stricmp(schema, "temp") == 0) schema = "main";
    /* memdb gives names to databases without a file. */
    if (sqlite3_file_control(db, schema, SQLITE_FCNTL_VFS_POINTER, &vfs) ==
            SQLITE_OK &&
        vfs != NULL && strcmp(vfs->zName, "memdb") == 0) {
        return NULL;
    }
    return sqlite3_db_filename(db, schema);
}

/* True if an argument begins with namespace=; used when the options could not
 * be parsed. */
static bool names_namespace(const char *const *args, int n) {
    static const char word[] = "namespace";

    for (int i = 0; i < n; i++) {
        const char *p = args[i];

        p += strspn(p, " \t\n\v\f\r");
        if (sqlite3_strnicmp(p, word, (int)sizeof word - 1) == 0) return true;
    }
    return false;
}

/* A backup is found by its folder and id. */
static bool named_store(const nadb_options *o) {
    return o->ns_given ||
           (nadb_backend_caps(nadb_backend_for(o)) & NADB_CAP_READ_ONLY) != 0;
}

static void vtab_free(vtab *v) {
    if (v == NULL) return;
    vcursor_free_spare(v);
    conn_detach(v);
    nadb_buf_clear(&v->args);
    nadb_options_free(v->options);
    nadb_free(v->fault);
    nadb_free(v->schema);
    nadb_free(v->name);
    /* SQLite takes no message of xDestroy. */
    sqlite3_free(v->base.zErrMsg);
    nadb_buf_clear(&v->tags);
    for (size_t i = 0; i < 3; i++) nadb_buf_clear(&v->keys[i]);
    nadb_free(v);
}

/* Makes an object with parsed options, or with `fault`. argv is SQLite's:
 * module, schema, table, arguments. `fresh`: for CREATE. */
static nadb_rc vtab_new(conn *c, int argc, const char *const *argv, bool fresh,
                        vtab **out, nadb_err *err) {
    nadb_place place;
    nadb_rc rc;
    vtab *v = nadb_calloc(1, sizeof *v);

    *out = NULL;
    if (v == NULL) goto no_memory;
    v->c = c;
    v->schema = nadb_strdup(argv[1]);
    v->name = nadb_strdup(argv[2]);
    v->fault = nadb_calloc(1, sizeof *v->fault);
    if (v->schema == NULL || v->name == NULL || v->fault == NULL) {
        goto no_memory;
    }
    for (int i = 3; i < argc; i++)
        if (!nadb_buf_append(&v->args, argv[i], strlen(argv[i]) + 1))
            goto no_memory;
    v->place = place_of(c, v->schema, v->name, fresh);
    if (v->place == NULL) goto no_memory;
    place.base_dir = place_base_dir(v->place);
    place.table = v->name;
    place.db_file = database_file(c->db, v->schema);
    rc = nadb_options_parse(argv + 3, argc - 3, &place, &v->options, v->fault);
    if (rc == NADB_NOMEM) goto no_memory;
    v->renamable = rc == NADB_OK ? named_store(v->options)
                                 : names_namespace(argv + 3, argc - 3);
    *out = v;
    return NADB_OK;
no_memory:
    vtab_free(v);
    return nadb_fail(err, NADB_NOMEM, "out of memory");
}

/* True if the schema cannot choose with it what is read and written. */
static bool is_innocuous(const vtab *v) {
    const nadb_backend *b =
        v->options == NULL ? NULL : nadb_backend_for(v->options);

    return b != NULL && !v->options->path_given &&
           (nadb_backend_caps(b) & NADB_CAP_INNOCUOUS) != 0;
}

static int declare(sqlite3 *db, const vtab *v) {
    int code = sqlite3_declare_vtab(db, declaration);

    /* For views and triggers of a schema that is not trusted, as in newer
     * shells of SQLite (seen in 3.46). */
    if (code == SQLITE_OK && is_innocuous(v))
        code = sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
    if (code != SQLITE_OK) return code;
    /* xUpdate handles conflicts; without this OR IGNORE would fail. */
    return sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
}

/* Reports an error of xCreate or xConnect, which have no object. */
static int creation_error(const nadb_err *err, char **msg) {
    sqlite3_vtab none = {0};
    int code = value_vtab_error(&none, err);

    *msg = none.zErrMsg;
    return code;
}

static int vtab_connect(sqlite3 *db, void *aux, int argc,
                        const char *const *argv, sqlite3_vtab **out,
                        char **msg) {
    nadb_err err;
    vtab *v = NULL;
    int code;

    if (vtab_new(aux, argc, argv, false, &v, &err) != NADB_OK) {
        return creation_error(&err, msg);
    }
    code = declare(db, v);
    if (code != SQLITE_OK) {
        vtab_free(v);
        return code;
    }
    file_connected(v);
    *out = &v->base;
    return SQLITE_OK;
}

/* Flags of nadb_store_open() for CREATE. On a server an empty namespace is an
 * empty store, and any process may begin its local log. */
static unsigned create_flags(const vtab *v) {
    const nadb_backend *b = nadb_backend_for(v->options);
    bool remote = b != NULL && (nadb_backend_caps(b) & NADB_CAP_REMOTE) != 0;

    if (v->c->adopt != NULL) return 0;
    if (v->options->mode != NADB_MODE_RWC && !remote) return NADB_STORE_FIND;
    return NADB_STORE_CREATE;
}

/* Makes or finds the store. Called last, because nothing may fail after the
 * store was made. */
static nadb_rc take_store(vtab *v, nadb_err *err) {
    nadb_rc rc;

    if (v->c->altering == NULL) {
        rc = file_create(v, err);
        return rc == NADB_OK ? conn_attach(v, create_flags(v), err) : rc;
    }
    rc = file_find(v, err);
    if (rc == NADB_OK) rc = place_use(v->place, v->options, err);
    if (rc == NADB_OK) conn_join(v, v->c->altering);
    return rc;
}

static int vtab_create(sqlite3 *db, void *aux, int argc,
                       const char *const *argv, sqlite3_vtab **out,
                       char **msg) {
    conn *c = aux;
    nadb_err err;
    nadb_rc rc;
    vtab *v = NULL;
    int code;

    rc = vtab_new(c, argc, argv, c->altering == NULL, &v, &err);
    if (rc != NADB_OK) {
        code = creation_error(&err, msg);
        goto done;
    }
    if (v->options == NULL) {
        code = creation_error(v->fault, msg);
        goto done;
    }
    if (file_owns(v) && v->options->mode != NADB_MODE_RWC) {
        (void)nadb_fail(&err, NADB_INVALID,
                        "mode='%s' needs a path: a table without one makes a "
                        "store of its own",
                        v->options->read_only ? "ro" : "rw");
        code = creation_error(&err, msg);
        goto done;
    }
    code = declare(db, v);
    if (code != SQLITE_OK) goto done;
    (void)conn_is_utf8(v->c);
    rc = take_store(v, &err);
    if (rc != NADB_OK) {
        code = creation_error(&err, msg);
        goto done;
    }
    txn_created(v);
    *out = &v->base;
    v = NULL;
done:
    vtab_free(v);
    /* After SQLITE_NOMEM a function of ours could undo nothing: alone.c. */
    if (code == SQLITE_NOMEM && (c->altering != NULL || c->adopt != NULL))
        code = SQLITE_ERROR;
    return code;
}

nadb_rc vtab_open(vtab *v, nadb_err *err) {
    nadb_rc rc;

    if (v->c->in_row)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s.%s cannot be read to find out where the rows of a "
                         "table are: a table <table>_nadb is not as nadb makes "
                         "it",
                         v->schema, v->name);
    if (v->s != NULL) return NADB_OK;
    if (v->options == NULL) {
        return nadb_fail(err, v->fault->rc, "%s", v->fault->msg);
    }
    (void)conn_is_utf8(v->c); /* determined once, for value.c */
    rc = file_find(v, err);
    if (rc != NADB_OK) return rc;
    /* A connection that may only read the file may only read its store. */
    if (file_owns(v) && sqlite3_db_readonly(v->c->db, v->schema) == 1)
        v->options->read_only = true;
    return conn_attach(v, 0, err);
}

/* --- the end of objects --- */

nadb_rc vtab_writable(const vtab *v, nadb_err *err) {
    const nadb_backend *b;

    if (!v->options->read_only) return NADB_OK;
    b = nadb_backend_for(v->options);
    if (b != NULL && (nadb_backend_caps(b) & NADB_CAP_READ_ONLY) != 0)
        return nadb_fail(err, NADB_READONLY,
                         "%s is a %s, which is only read: copy its rows into "
                         "another table, with INSERT .. SELECT",
                         v->name, nadb_backend_name(b));
    if (file_owns(v) && sqlite3_db_readonly(v->c->db, v->schema) == 1)
        return nadb_fail(err, NADB_READONLY,
                         "%s is read-only, as its database file is", v->name);
    return nadb_fail(err, NADB_READONLY,
                     "%s is read-only: it was created with mode=ro", v->name);
}

void vtab_let_go(vtab *v) {
    v->gone = true;
    if (v->n_open > 0) return; /* the last cursor calls this again */
    vcursor_free_spare(v);
    conn_detach(v);
}

static int vtab_disconnect(sqlite3_vtab *base) {
    vtab *v = (vtab *)base;

    if (v->phase != PHASE_IDLE) {
        /* DROP in a transaction, whose end is not announced to the object. */
        v->phase = PHASE_IDLE;
        if (--v->s->n_begun == 0) {
            (void)nadb_session_rollback(v->s->core, NULL);
        } else if (v->leads) {
            vtab *next = v->s->objects;

            while (next == v || next->phase == PHASE_IDLE) next = next->next;
            next->leads = true;
        }
        v->leads = false;
    }
    vtab_free(v);
    return SQLITE_OK;
}

/* DROP TABLE keeps the data of a store with path=; a store that belongs to the
 * database file is removed once the DROP is committed. */
static int vtab_destroy(sqlite3_vtab *base) {
    vtab *v = (vtab *)base;
    nadb_err err;

    if (v->c->altering != NULL) return vtab_disconnect(base);
    if (v->s != NULL && nadb_session_dirty(v->s->core))
        return value_code(NADB_LOCKED);
    if (file_drop(v, &err) != NADB_OK) return value_vtab_error(base, &err);
    if (v->s != NULL) {
        /* Made and dropped by one transaction. */
        if (v->s->made) v->s->remove = true;
        v->s->dropped = true;
    }
    return vtab_disconnect(base);
}

static int vtab_rename(sqlite3_vtab *base, const char *name) {
    vtab *v = (vtab *)base;
    nadb_err err;

    if (v->renamable) { /* SQLite connects the table again */
        if (file_rename(v, name, &err) != NADB_OK)
            return value_vtab_error(base, &err);
        place_rename(v->c, v->place, name);
        return SQLITE_OK;
    }
    (void)nadb_fail(
        &err, NADB_INVALID,
        "cannot rename %s to %s: its store is found by the table's name, as "
        "no namespace was given. CREATE VIRTUAL TABLE %s USING nadb(..), "
        "INSERT INTO %s SELECT * FROM %s, and DROP TABLE %s",
        v->name, name, name, name, v->name, v->name);
    return value_vtab_error(base, &err);
}

/* --- MATCH --- */

/* SQLite asks whether <table>_<suffix> is a shadow table. */
static int vtab_shadow_name(const char *suffix) {
    return sqlite3_stricmp(suffix, "nadb") == 0;
}

static int vtab_find_function(sqlite3_vtab *base, int argc, const char *name,
                              void (**out)(sqlite3_context *, int,
                                           sqlite3_value **),
                              void **arg) {
    (void)base;
    if (argc != 2 || sqlite3_stricmp(name, "match") != 0) return 0;
    *out = match_function;
    *arg = NULL;
    return 1;
}

/* --- PRAGMA integrity_check --- */

static void first_problem(void *ctx, const char *what) {
    char **msg = ctx;

    if (*msg == NULL) *msg = sqlite3_mprintf("%s", what);
}

static int vtab_integrity(sqlite3_vtab *base, const char *schema,
                          const char *table, int flags, char **msg) {
    vtab *v = (vtab *)base;
    nadb_err err;

    (void)schema;
    (void)table;
    (void)flags;
    if (vtab_open(v, &err) != NADB_OK ||
        nadb_store_check(v->s->store, first_problem, msg, &err) != NADB_OK) {
        if (err.rc == NADB_NOMEM) return SQLITE_NOMEM;
        sqlite3_free(*msg);
        *msg = sqlite3_mprintf("%s", err.msg);
    }
    return SQLITE_OK;
}

/* --- the module --- */

/* sqlite3_module of version 4, whatever the headers: SQLite 3.44 and newer call
 * xIntegrity, older versions do not read that far. In headers before 3.44 the
 * struct ends with xShadowName, which xIntegrity follows. */
#if SQLITE_VERSION_NUMBER >= 3044000
typedef struct module4 {
    sqlite3_module base;
} module4;
#define MODULE_INTEGRITY base.xIntegrity
#else
typedef struct module4 {
    sqlite3_module base;
    int (*xIntegrity)(sqlite3_vtab *, const char *, const char *, int, char **);
} module4;
#define MODULE_INTEGRITY xIntegrity
_Static_assert(offsetof(module4, xIntegrity) ==
                   offsetof(sqlite3_module, xShadowName) + sizeof(void *),
               "xIntegrity follows xShadowName");
#endif

static const module4 the_module = {
    .base.iVersion = 4,
    .base.xCreate = vtab_create,
    .base.xConnect = vtab_connect,
    .base.xBestIndex = plan_best_index,
    .base.xDisconnect = vtab_disconnect,
    .base.xDestroy = vtab_destroy,
    .base.xOpen = vcursor_open,
    .base.xClose = vcursor_close,
    .base.xFilter = vcursor_filter,
    .base.xNext = vcursor_next,
    .base.xEof = vcursor_eof,
    .base.xColumn = vcursor_column,
    .base.xUpdate = update_row,
    .base.xBegin = txn_begin,
    .base.xSync = txn_sync,
    .base.xCommit = txn_commit,
    .base.xRollback = txn_rollback,
    .base.xFindFunction = vtab_find_function,
    .base.xRename = vtab_rename,
    .base.xSavepoint = txn_savepoint,
    .base.xRelease = txn_release,
    .base.xRollbackTo = txn_rollback_to,
    .base.xShadowName = vtab_shadow_name,
    .MODULE_INTEGRITY = vtab_integrity,
};

const sqlite3_module *vtab_module(void) { return &the_module.base; }
