/* module.c - entry points of the library, which register module, functions and
 * tables.
 *
 * A connection may load the library twice. Once loaded the library stays in the
 * process, because its threads do. nadb_stay_loaded() ensures that;
 * SQLITE_OK_LOAD_PERMANENTLY would be an error for sqlite3_auto_extension().
 *
 * SQLite derives the name of the entry point from the letters of the file's
 * name, without "lib": sqlite3_nadb_init() for nadb.so and libnadb.so,
 * sqlite3_modnadb_init() for mod_nadb.so.
 *
 * Compiled with SQLITE_CORE it is linked into a program together with SQLite,
 * which calls sqlite3_nadb_init(db, &msg, NULL) for each connection, or
 * sqlite3_auto_extension((void (*)(void))sqlite3_nadb_init) once. */
#include "eponymous.h"

#include <pthread.h>
SQLITE_EXTENSION_INIT1

#ifdef NADB_TEST
int nadb_test_register(sqlite3 *db);
#endif

#ifndef NADB_API /* packaging/amalgamation.py defines it differently */
#if defined(__GNUC__)
#define NADB_API __attribute__((visibility("default")))
#else
#define NADB_API
#endif
#endif

NADB_API int sqlite3_nadb_init(sqlite3 *db, char **msg,
                               const sqlite3_api_routines *api);

/* Collation nadbin: the order of BINARY under another name; see vtab.c. */
static int bytewise(void *ctx, int n1, const void *p1, int n2, const void *p2) {
    (void)ctx;
    return nadb_slice_cmp(nadb_slice_of(p1, (size_t)n1),
                          nadb_slice_of(p2, (size_t)n2));
}

/* Called when the connection drops the module, after its last table. */
static void module_gone(void *arg) {
    conn *c = arg;

    c->module_live = c->complete = false;
    conn_unref(c);
}

static int register_module(sqlite3 *db, conn *c) {
    if (c->module_live) return SQLITE_OK;
    /* the module's reference, which it releases in any case */
    (void)conn_ref(db);
    c->module_live = true;
    return sqlite3_create_module_v2(db, "nadb", vtab_module(), c, module_gone);
}

/* After an error the part that was registered stays, and a later call registers
 * all of it again, except the module, whose tables may be in use. */
static int register_all(sqlite3 *db, conn *c) {
    int code;

    if (c->complete) return SQLITE_OK;
    c->ours = true;
    code = register_module(db, c);
    if (code == SQLITE_OK)
        code =
            sqlite3_create_collation(db, "nadbin", SQLITE_UTF8, NULL, bytewise);
    if (code == SQLITE_OK) {
        (void)conn_ref(db);
        code = sqlite3_create_module_v2(db, "nadb_snapshot", &watch_module, c,
                                        conn_unref);
    }
    log_register();
    if (code == SQLITE_OK) match_register(c);
    if (code == SQLITE_OK) code = func_register(db, c);
    if (code == SQLITE_OK) code = eponymous_register_all(db);
#ifdef NADB_TEST
    if (code == SQLITE_OK) code = nadb_test_register(db);
#endif
    c->complete = code == SQLITE_OK;
    return code;
}

/* True if another copy of the library serves the connection: another file was
 * loaded, or a copy is linked into the program. PRAGMA module_list reads no
 * schema, which a program may have to wait with (PRAGMA key, encoding). If an
 * authorizer forbids it: false. */
static bool has_other_copy(conn *c) {
    sqlite3_stmt *stmt = NULL;
    bool has = false;

    if (c->ours) return false;
    if (sqlite3_prepare_v2(c->db, "PRAGMA module_list", -1, &stmt, NULL) !=
        SQLITE_OK)
        return false;
    while (!has && sqlite3_step(stmt) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);

        has = name != NULL && sqlite3_stricmp(name, "nadb") == 0;
    }
    sqlite3_finalize(stmt);
    return has;
}

/* A second copy would replace the functions, and the module under tables that
 * are in use. */
static int refuse(char **msg) {
    *msg = sqlite3_mprintf("this connection has loaded nadb from another file, "
                           "or has it linked in: load it once");
    return *msg == NULL ? SQLITE_NOMEM : SQLITE_ERROR;
}

int module_register(sqlite3 *db, char **msg) {
    conn *c = conn_ref(db);
    int code;

    if (c == NULL) return SQLITE_NOMEM;
    code = has_other_copy(c) ? refuse(msg) : register_all(db, c);
    conn_unref(c);
    return code;
}

#ifdef SQLITE_CORE
static int use_api(const sqlite3_api_routines *api, char **msg) {
    (void)api;
    (void)msg;
    return SQLITE_OK;
}
#else
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

/* The library calls SQLite through one table of functions. A process may
 * contain a second copy of SQLite (a program linked with its own, and a Python
 * module with the system's), whose connections these functions cannot use: it
 * is refused. */
static int use_api(const sqlite3_api_routines *api, char **msg) {
    bool ours;

    pthread_mutex_lock(&load_lock);
    if (sqlite3_api == NULL) {
        nadb_stay_loaded();
        SQLITE_EXTENSION_INIT2(api); /* used by threads */
    }
    ours = sqlite3_api == api;
    pthread_mutex_unlock(&load_lock);
    if (ours) return SQLITE_OK;
    *msg = api->mprintf("nadb already serves another copy of SQLite (%s) in "
                        "this process and cannot serve this one (%s), too: "
                        "use one of them for all nadb tables",
                        sqlite3_libversion(), api->libversion());
    return SQLITE_ERROR;
}
#endif

int sqlite3_nadb_init(sqlite3 *db, char **msg,
                      const sqlite3_api_routines *api) {
    int code = use_api(api, msg);

    if (code != SQLITE_OK) return code;
    if (sqlite3_libversion_number() < EXT_SQLITE_MIN) {
        *msg = sqlite3_mprintf("nadb needs SQLite 3.38.0 or newer, and this "
                               "is %s",
                               sqlite3_libversion());
        return SQLITE_ERROR;
    }
    return module_register(db, msg);
}

#ifndef SQLITE_CORE
NADB_API int sqlite3_modnadb_init(sqlite3 *db, char **msg,
                                  const sqlite3_api_routines *api);

int sqlite3_modnadb_init(sqlite3 *db, char **msg,
                         const sqlite3_api_routines *api) {
    return sqlite3_nadb_init(db, msg, api);
}
#endif
