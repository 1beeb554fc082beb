/* sql_sides.c - the two sides: a table of ours, and what a user would write
 * with plain SQLite: a WITHOUT ROWID table with the same columns, a tag table,
 * an index over expiry, WAL, synchronous=NORMAL. */
#include "sql_bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_fail(const char *format, ...) {
    va_list ap;

    va_start(ap, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

void bench_exec(sqlite3 *db, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        bench_fail("%s: %s", sql, sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) !=
        SQLITE_OK)
        bench_fail("%s: %s", sql, sqlite3_errmsg(db));
    return s;
}

void bench_run(bench_db *d, sqlite3_stmt *s) {
    int rc = sqlite3_step(s);

    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        bench_fail("%s: %s", sqlite3_sql(s), sqlite3_errmsg(d->db));
    sqlite3_reset(s);
}

static void load_library(sqlite3 *db, const char *library) {
    char *message = NULL;

    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (sqlite3_load_extension(db, library, NULL, &message) != SQLITE_OK)
        bench_fail("%s: %s", library, message);
}

static void declare_nadb(sqlite3 *db, const bench_case *c) {
    char *sql =
        sqlite3_mprintf("CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb("
                        "path=%Q, synchronous=%s)",
                        c->dir, c->synchronous);

    bench_exec(db, sql);
    sqlite3_free(sql);
}

static void declare_plain(sqlite3 *db, const bench_case *c) {
    char *sql = sqlite3_mprintf("PRAGMA synchronous=%s", c->synchronous);

    bench_exec(db, sql);
    sqlite3_free(sql);
    bench_exec(db, "CREATE TABLE IF NOT EXISTS kv(key TEXT PRIMARY KEY,"
                   " value BLOB, created_at, updated_at, expires_at, size)"
                   " WITHOUT ROWID;"
                   "CREATE TABLE IF NOT EXISTS tag(tag TEXT, key TEXT,"
                   " PRIMARY KEY(tag, key)) WITHOUT ROWID;"
                   "CREATE INDEX IF NOT EXISTS tag_key ON tag(key);"
                   "CREATE INDEX IF NOT EXISTS kv_expires ON kv(expires_at)"
                   " WHERE expires_at IS NOT NULL;");
}

/* The file that holds the schema (nadb) or everything (plain). The options of
 * a nadb table are in its schema: one file for each. */
static void main_file(const bench_case *c, char *out, size_t n) {
    if (c->side == SIDE_PLAIN)
        snprintf(out, n, "%s/plain.db", c->dir);
    else if (c->main_db == MAIN_MEMORY)
        snprintf(out, n, ":memory:");
    else
        snprintf(out, n, "%s/main-%s.db", c->dir, c->synchronous);
}

void bench_open(bench_db *d, const bench_case *c) {
    const char *put;
    char file[4096];

    memset(d, 0, sizeof *d);
    d->side = c->side;
    main_file(c, file, sizeof file);
    if (sqlite3_open(file, &d->db) != SQLITE_OK)
        bench_fail("%s: %s", file, sqlite3_errmsg(d->db));
    bench_exec(d->db, "PRAGMA journal_mode=WAL");
    if (c->side == SIDE_NADB) {
        load_library(d->db, c->library);
        declare_nadb(d->db, c);
        put = "INSERT OR REPLACE INTO kv(key, value) VALUES(?1, ?2)";
    } else {
        declare_plain(d->db, c);
        put = "INSERT OR REPLACE INTO kv VALUES(?1, ?2, ?3, ?3, NULL, 100)";
    }
    d->put = prepare(d->db, put);
    d->get = prepare(d->db, "SELECT value FROM kv WHERE key = ?1");
    d->del = prepare(d->db, "DELETE FROM kv WHERE key = ?1");
    d->range = prepare(d->db, "SELECT key, value FROM kv WHERE key >= ?1"
                              " ORDER BY key LIMIT 100");
    d->scan = prepare(d->db, "SELECT value FROM kv");
    d->begin = prepare(d->db, "BEGIN");
    d->commit = prepare(d->db, "COMMIT");
}

void bench_close(bench_db *d) {
    sqlite3_stmt *all[] = {d->put,  d->get,   d->del,   d->range,
                           d->scan, d->begin, d->commit};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(d->db);
}
