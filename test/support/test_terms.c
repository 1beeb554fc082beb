/* test_terms.c - how SQLite plans and flushes, for quirks.test.
 *
 *   test_terms               a virtual table of columns a and b without rows
 *   test_terms_seen()        the columns of the terms in each call of its
 *                            xBestIndex since the last call: "a;ab;"
 *   test_flushed()           flushes; pages that were ever flushed
 *   test_txn_state()         sqlite3_txn_state() of main */
#include "../../ext/rowless.h"
#include "test_functions.h"

#include <stdlib.h>
#include <string.h>

static char seen[1024];

static void see(char c) {
    size_t n = strlen(seen);

    if (n + 1 < sizeof seen) seen[n] = c;
}

static int terms_connect(sqlite3 *db, void *aux, int argc,
                         const char *const *argv, sqlite3_vtab **out,
                         char **msg) {
    (void)aux;
    (void)argc;
    (void)argv;
    (void)msg;
    *out = calloc(1, sizeof **out);
    if (*out == NULL) return SQLITE_NOMEM;
    return sqlite3_declare_vtab(db, "CREATE TABLE x(a, b)");
}

static int terms_disconnect(sqlite3_vtab *base) {
    free(base);
    return SQLITE_OK;
}

static int terms_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    (void)base;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].usable && info->aConstraint[i].iColumn >= 0)
            see((char)('a' + info->aConstraint[i].iColumn));
    }
    see(';');
    info->estimatedCost = 1e6;
    return SQLITE_OK;
}

static const sqlite3_module terms_module = {
    .xConnect = terms_connect,
    .xBestIndex = terms_best_index,
    .xDisconnect = terms_disconnect,
    ROWLESS_CURSOR,
};

static void terms_seen(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    (void)argv;
    sqlite3_result_text(ctx, seen, -1, SQLITE_TRANSIENT);
    memset(seen, 0, sizeof seen);
}

static void flushed(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    sqlite3 *db = sqlite3_context_db_handle(ctx);
    int now = 0, high = 0;

    (void)argc;
    (void)argv;
    if (sqlite3_db_cacheflush(db) != SQLITE_OK ||
        sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_SPILL, &now, &high, 0) !=
            SQLITE_OK)
        sqlite3_result_error(ctx, "test_flushed() failed", -1);
    else
        sqlite3_result_int(ctx, now);
}

static void txn_state(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    (void)argv;
    sqlite3_result_int(
        ctx, sqlite3_txn_state(sqlite3_context_db_handle(ctx), "main"));
}

int test_terms_register(sqlite3 *db) {
    int rc =
        sqlite3_create_module_v2(db, "test_terms", &terms_module, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_create_function_v2(db, "test_terms_seen", 0, SQLITE_UTF8,
                                        NULL, terms_seen, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function_v2(db, "test_flushed", 0, SQLITE_UTF8,
                                        NULL, flushed, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function_v2(db, "test_txn_state", 0, SQLITE_UTF8,
                                        NULL, txn_state, NULL, NULL, NULL);
    return rc;
}
