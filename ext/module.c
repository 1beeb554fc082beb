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

    c->module_live = false;
    conn_unref(c);
}

static int register_all(sqlite3 *db, conn *c) {
    int code = SQLITE_OK;

    if (c->module_live) return SQLITE_OK;
    /* the module's reference, which it releases in any case */
    (void)conn_ref(db);
    c->module_live = true;
    code = sqlite3_create_module_v2(db, "nadb", vtab_module(), c, module_gone);
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
    return code;
}

int module_register(sqlite3 *db) {
    conn *c = conn_ref(db);
    int code;

    if (c == NULL) return SQLITE_NOMEM;
    code = register_all(db, c);
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
    return module_register(db);
}

#ifndef SQLITE_CORE
NADB_API int sqlite3_modnadb_init(sqlite3 *db, char **msg,
                                  const sqlite3_api_routines *api);

int sqlite3_modnadb_init(sqlite3 *db, char **msg,
                         const sqlite3_api_routines *api) {
    return sqlite3_nadb_init(db, msg, api);
}
#endif
