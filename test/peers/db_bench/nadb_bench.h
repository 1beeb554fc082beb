/* nadb_bench.h - included in front of LevelDB's db_bench_sqlite3.cc: its table
 * is one of nadb, with the options in NADB_OPTIONS. Without NADB_LIB, which is
 * the library, it stays one of SQLite. */
#include <sqlite3.h>

#include <cstdlib>
#include <cstring>
#include <string>

static int nadb_open(const char *file, sqlite3 **db) {
    const char *library = getenv("NADB_LIB");
    int rc = sqlite3_open(file, db);

    if (rc != SQLITE_OK || library == nullptr) return rc;
    sqlite3_enable_load_extension(*db, 1);
    return sqlite3_load_extension(*db, library, nullptr, nullptr);
}

static int nadb_exec(sqlite3 *db, const char *sql,
                     int (*row)(void *, int, char **, char **), void *arg,
                     char **message) {
    std::string create = "CREATE VIRTUAL TABLE test USING nadb(";

    if (getenv("NADB_LIB") == nullptr || strncmp(sql, "CREATE TABLE", 12) != 0)
        return sqlite3_exec(db, sql, row, arg, message);
    create += std::string(getenv("NADB_OPTIONS")) + ")";
    return sqlite3_exec(db, create.c_str(), row, arg, message);
}

#define sqlite3_open nadb_open
#define sqlite3_exec nadb_exec
