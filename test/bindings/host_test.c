/* host_test.c - nadb in a program of C, which runs it for all connections by
 * sqlite3_auto_extension().
 *
 * usage: host_test FOLDER LIBRARY, or, compiled with SQLITE_CORE and linked
 * with libnadb.a, host_test FOLDER. Prints "ok NAME" and "not ok NAME: ..". */
#include <dlfcn.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

typedef int entry_point(sqlite3 *, char **,
                        const struct sqlite3_api_routines *);

#ifdef SQLITE_CORE
entry_point sqlite3_nadb_init;
#endif

static int bad;
static int behind; /* calls of the extension registered after nadb */

static void check(const char *name, const char *want, const char *got) {
    if (got != NULL && strcmp(want, got) == 0) {
        printf("ok %s\n", name);
        return;
    }
    printf("not ok %s: expected %s, got %s\n", name, want,
           got == NULL ? "NULL" : got);
    bad = 1;
}

static void check_number(const char *name, int want, int got) {
    char a[20];
    char b[20];

    snprintf(a, sizeof a, "%d", want);
    snprintf(b, sizeof b, "%d", got);
    check(name, a, b);
}

/* The first column of the last row, or the error. */
static const char *one(sqlite3 *db, const char *sql) {
    static char text[1000];
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    text[0] = 0;
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(stmt);
        if (code == SQLITE_ROW) {
            snprintf(text, sizeof text, "%s",
                     (const char *)sqlite3_column_text(stmt, 0));
        }
    }
    sqlite3_finalize(stmt);
    if (code != SQLITE_DONE) {
        snprintf(text, sizeof text, "%s", sqlite3_errmsg(db));
    }
    return text;
}

static int extension_behind(sqlite3 *db, char **msg,
                            const struct sqlite3_api_routines *api) {
    (void)db;
    (void)msg;
    (void)api;
    behind++;
    return SQLITE_OK;
}

#ifdef SQLITE_CORE
static entry_point *find_entry(const char *library) {
    (void)library;
    return sqlite3_nadb_init;
}
#else
static void *handle;

static entry_point *find_entry(const char *library) {
    entry_point *init = NULL;
    void *symbol;

    handle = dlopen(library, RTLD_NOW);
    symbol = handle == NULL ? NULL : dlsym(handle, "sqlite3_nadb_init");
    if (symbol == NULL) printf("not ok dlopen: %s\n", dlerror());
    memcpy(&init, &symbol, sizeof symbol);
    return init;
}
#endif

static void use_table(sqlite3 *db) {
    check("create", "", one(db, "CREATE VIRTUAL TABLE kv USING nadb"));
    check("put", "",
          one(db, "INSERT INTO kv(key, value, tags)"
                  " VALUES('a', 'one', '[\"x\"]'), ('b', 2, NULL)"));
    check("get", "one", one(db, "SELECT value FROM kv WHERE tag = 'x'"));
    check("flush", "1", one(db, "SELECT nadb_flush('kv') IS NOT 'no'"));
    check("integrity", "ok", one(db, "PRAGMA integrity_check"));
}

/* nadb is registered with one connection. */
static int load(sqlite3 *db, entry_point *init, const char *library) {
    char *msg = NULL;
    int code;

#ifdef SQLITE_CORE
    (void)library;
    code = init(db, &msg, NULL);
#else
    (void)init;
    sqlite3_enable_load_extension(db, 1);
    code = sqlite3_load_extension(db, library, NULL, &msg);
#endif
    sqlite3_free(msg);
    return code;
}

/* Memory ends anywhere while it is registered: a second call completes it. */
static void load_without_memory(entry_point *init, const char *library) {
    int failed = 0, incomplete = 0;
    sqlite3 *db = NULL;

    for (int more = 0; more < 20000; more += 500) {
        sqlite3_open(":memory:", &db);
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + more);
        if (load(db, init, library) != SQLITE_OK) failed++;
        sqlite3_hard_heap_limit64(0);
        if (load(db, init, library) != SQLITE_OK ||
            strcmp(
                one(db, "CREATE VIRTUAL TABLE kv USING nadb(backend=memory);"),
                "") != 0 ||
            strcmp(one(db, "SELECT nadb_seq('kv') + count(*)"
                           " FROM nadb_tags('kv'), nadb_changes('kv', 0)"),
                   "0") != 0)
            incomplete++;
        sqlite3_close(db);
    }
    check("out-of-memory", "yes", failed > 3 ? "yes" : "no");
    check_number("out-of-memory-again", 0, incomplete);
}

int main(int argc, char **argv) {
    entry_point *init = find_entry(argc > 2 ? argv[2] : NULL);
    char path[1000];
    sqlite3 *db = NULL;

    if (init == NULL) return 1;
    snprintf(path, sizeof path, "%s/host.db", argv[1]);
    printf("SQLite %s\n", sqlite3_libversion());
    load_without_memory(init, argc > 2 ? argv[2] : NULL);
    sqlite3_auto_extension((void (*)(void))init);
    sqlite3_auto_extension((void (*)(void))extension_behind);

    check_number("open", SQLITE_OK, sqlite3_open(path, &db));
    check("message", "not an error", sqlite3_errmsg(db));
    check_number("extension-behind", 1, behind);
    use_table(db);
    check_number("close", SQLITE_OK, sqlite3_close(db));

    check_number("open-extended", SQLITE_OK,
                 sqlite3_open_v2(path, &db,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE,
                                 NULL));
    check("again", "2", one(db, "SELECT count(*) FROM kv"));
    check_number("close-again", SQLITE_OK, sqlite3_close(db));
#ifndef SQLITE_CORE
    /* It has threads, so it stays. */
    dlclose(handle);
    check("stays", "yes",
          dlopen(argv[2], RTLD_NOW | RTLD_NOLOAD) == NULL ? "no" : "yes");
#endif
    return bad;
}
