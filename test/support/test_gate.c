/* test_gate.c - a virtual table that holds a COMMIT up, in the test library.
 *
 *   CREATE VIRTUAL TABLE gate USING test_gate('/folder/name');
 *   INSERT INTO gate VALUES(1);
 *
 * While the file /folder/name.sync (.commit) exists, xSync (xCommit) of a
 * transaction that wrote to the gate waits. Meanwhile /folder/name.here says
 * that it is there. SQLite calls the tables of a transaction in the order in
 * which they joined it. */
#include "../../ext/rowless.h"
#include "test_functions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct gate {
    sqlite3_vtab base;
    char *path;
} gate;

static int gate_connect(sqlite3 *db, void *aux, int argc,
                        const char *const *argv, sqlite3_vtab **out,
                        char **msg) {
    gate *g;

    (void)aux;
    (void)msg;
    if (argc != 4) return SQLITE_ERROR;
    g = calloc(1, sizeof *g);
    if (g == NULL) return SQLITE_NOMEM;
    /* without the quotes */
    g->path = sqlite3_mprintf("%.*s", (int)strlen(argv[3]) - 2, argv[3] + 1);
    *out = &g->base;
    return sqlite3_declare_vtab(db, "CREATE TABLE x(a)");
}

static int gate_disconnect(sqlite3_vtab *base) {
    sqlite3_free(((gate *)base)->path);
    free(base);
    return SQLITE_OK;
}

static int gate_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    (void)base;
    (void)info;
    return SQLITE_OK;
}

static int gate_update(sqlite3_vtab *base, int argc, sqlite3_value **argv,
                       sqlite3_int64 *rowid) {
    (void)base;
    (void)argc;
    (void)argv;
    *rowid = 1;
    return SQLITE_OK;
}

static int gate_begin(sqlite3_vtab *base) {
    (void)base;
    return SQLITE_OK;
}

static void wait_at(const gate *g, const char *phase) {
    char hold[512], here[512];
    FILE *f;

    snprintf(hold, sizeof hold, "%s.%s", g->path, phase);
    snprintf(here, sizeof here, "%s.here", g->path);
    if (access(hold, F_OK) != 0) return;
    f = fopen(here, "w");
    if (f != NULL) fclose(f);
    while (access(hold, F_OK) == 0) usleep(1000);
    unlink(here);
}

static int gate_sync(sqlite3_vtab *base) {
    wait_at((gate *)base, "sync");
    return SQLITE_OK;
}

static int gate_commit(sqlite3_vtab *base) {
    wait_at((gate *)base, "commit");
    return SQLITE_OK;
}

const sqlite3_module test_gate_module = {
    .iVersion = 1,
    .xCreate = gate_connect,
    .xConnect = gate_connect,
    .xBestIndex = gate_best_index,
    .xDisconnect = gate_disconnect,
    .xDestroy = gate_disconnect,
    ROWLESS_CURSOR,
    .xUpdate = gate_update,
    .xBegin = gate_begin,
    .xSync = gate_sync,
    .xCommit = gate_commit,
    .xRollback = gate_begin,
};
