/* scenario.c - the scenario through SQLite's own API. */
#define main main_of_the_page
int main(void);
#include <block1.c> /* the open_db() of the page */
#undef main
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT "Grüße, 世界 😀"
#define MEGABYTE 1048576

static sqlite3 *db;
static char binary[MEGABYTE];

/* A statement with its parameters bound: t text, i int64, d double, b the
 * megabyte, n NULL. */
static sqlite3_stmt *bound(const char *sql, const char *types, va_list args) {
    sqlite3_stmt *stmt = NULL;
    int i;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        printf("%s: %s\n", sql, sqlite3_errmsg(db));
        exit(1);
    }
    for (i = 1; types[i - 1] != 0; i++) {
        switch (types[i - 1]) {
        case 't':
            sqlite3_bind_text(stmt, i, va_arg(args, const char *), -1,
                              SQLITE_TRANSIENT);
            break;
        case 'i':
            sqlite3_bind_int64(stmt, i, va_arg(args, sqlite3_int64));
            break;
        case 'd':
            sqlite3_bind_double(stmt, i, va_arg(args, double));
            break;
        case 'b':
            sqlite3_bind_blob(stmt, i, binary, MEGABYTE, SQLITE_STATIC);
            break;
        default:
            sqlite3_bind_null(stmt, i);
        }
    }
    return stmt;
}

/* All columns of all rows, with blanks between; "NULL" for NULL. */
static const char *get(const char *sql, const char *types, ...) {
    static char out[4][1000];
    static int turn;
    char *to = out[turn++ % 4];
    sqlite3_stmt *stmt;
    va_list args;
    int i;

    va_start(args, types);
    stmt = bound(sql, types, args);
    va_end(args);
    to[0] = 0;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        for (i = 0; i < sqlite3_column_count(stmt); i++) {
            const char *text = (const char *)sqlite3_column_text(stmt, i);
            snprintf(to + strlen(to), 1000 - strlen(to), "%s%s",
                     to[0] == 0 ? "" : " ", text == NULL ? "NULL" : text);
        }
    }
    if (sqlite3_finalize(stmt) != SQLITE_OK) return sqlite3_errmsg(db);
    return to;
}

static const char *value_of(const char *key) {
    return get("SELECT value FROM kv WHERE key = ?", "t", key);
}

static const char *same(void) {
    const char *answer = "different";
    sqlite3_stmt *stmt = NULL;

    sqlite3_prepare_v2(db, "SELECT value FROM kv WHERE key = 'binary'", -1,
                       &stmt, NULL);
    if (sqlite3_step(stmt) == SQLITE_ROW &&
        sqlite3_column_bytes(stmt, 0) == MEGABYTE &&
        memcmp(sqlite3_column_blob(stmt, 0), binary, MEGABYTE) == 0) {
        answer = "same";
    }
    sqlite3_finalize(stmt);
    return answer;
}

#define PUT "INSERT INTO kv(key, value) VALUES(?, ?)"

static void create(void) {
    FILE *f = fopen("binary", "rb");

    if (f == NULL || fread(binary, 1, MEGABYTE, f) != MEGABYTE) exit(1);
    fclose(f);
    get("CREATE VIRTUAL TABLE kv USING nadb", "");
    get("CREATE TABLE plain(x)", "");
    get("BEGIN", "");
    get(PUT, "tt", "text", TEXT);
    get(PUT, "tb", "binary");
    get(PUT, "ti", "integer", (sqlite3_int64)42);
    get(PUT, "td", "real", 1.5);
    get(PUT, "ti", "big", (sqlite3_int64)9007199254740993);
    get(PUT, "tn", "null");
    get(PUT, "it", (sqlite3_int64)5, "five");
    get("INSERT INTO kv(key, value, tags, ttl) VALUES(?, 1, ?, ?)", "ttd",
        "tagged", "[\"b\", \"a\"]", 3600.0);
    get("COMMIT", "");
}

static void read_back(void) {
    printf("text %s\n", value_of("text"));
    printf("binary %s\n", same());
    printf("binary-type %s\n",
           get("SELECT typeof(value), size FROM kv WHERE key = 'binary'", ""));
    printf("integer %s\n", value_of("integer"));
    printf("real %s\n", value_of("real"));
    printf("big %s\n",
           get("SELECT value, typeof(value) FROM kv WHERE key = 'big'", ""));
    printf("null %s\n", strcmp(value_of("null"), "NULL") == 0
                            ? get("SELECT typeof(value) FROM kv"
                                  " WHERE key = 'null'",
                                  "")
                            : "no");
    printf("missing %d\n", (int)strlen(value_of("nosuch")));
    printf("tags %s\n", get("SELECT tags FROM kv WHERE key = 'tagged'", ""));
    printf("tag %s\n",
           get("SELECT key FROM kv WHERE tag = ? AND tag = ?", "tt", "a", "b"));
    printf("match %s\n",
           get("SELECT key FROM kv WHERE tags MATCH ?", "t", "a NOT c"));
    printf("ttl %s\n", get("SELECT ttl > 3500 AND ttl <= 3600 FROM kv"
                           " WHERE key = 'tagged'",
                           ""));
    printf("number-key %s\n", get("SELECT key, value FROM kv WHERE key = ?",
                                  "i", (sqlite3_int64)5));
}

static void functions(void) {
    const char *incr = "SELECT nadb_incr('kv', ?, ?)";
    const char *count = "SELECT count(*) FROM kv WHERE key = 'brief'";
    const char *first = get(incr, "ti", "n", (sqlite3_int64)2);

    printf("incr %s %s\n", first, get(incr, "ti", "n", (sqlite3_int64)2));
    printf("pop %s\n", get("SELECT nadb_pop('kv', ?)", "t", "n"));
    get("INSERT INTO kv(key, ttl) VALUES(?, ?)", "td", "brief", 0.05);
    while (strcmp(get(count, ""), "0") != 0) usleep(5000);
    printf("expired %s\n", get(count, ""));
}

static void transactions(void) {
    const char *tagged = "SELECT count(*) FROM kv WHERE tag = 'a'";

    get("BEGIN", "");
    get("REPLACE INTO kv(key, value) VALUES(?, ?)", "tt", "text", "lost");
    get(PUT, "ti", "lost", (sqlite3_int64)1);
    get("INSERT INTO plain VALUES(1)", "");
    get("UPDATE kv SET tags = NULL WHERE tag = ?", "t", "a");
    printf("inside %s %s\n", value_of("text"), get(tagged, ""));
    get("ROLLBACK", "");
    printf("rolled-back %s\n", value_of("text"));
    printf("rolled-back-rows %s %s %s\n",
           get("SELECT count(*) FROM kv WHERE key = 'lost'", ""),
           get("SELECT count(*) FROM plain", ""), get(tagged, ""));
    get("BEGIN", "");
    get(PUT, "ti", "committed", (sqlite3_int64)1);
    get("INSERT INTO plain VALUES(1)", "");
    get("COMMIT", "");
    printf("committed %s %s\n", value_of("committed"),
           get("SELECT x FROM plain", ""));
    printf("duplicate %s\n", get(PUT, "ti", "text", (sqlite3_int64)1));
    printf("keys %s\n", get("SELECT key FROM kv ORDER BY key", ""));
}

int main(int argc, char **argv) {
    (void)argv;
    db = open_db("scenario.db");
    if (argc > 1) {
        get(PUT, "ti", "second", (sqlite3_int64)2);
        printf("second-reads %s\n", value_of("text"));
        return sqlite3_close(db);
    }
    printf("# SQLite %s\n", sqlite3_libversion());
    create();
    read_back();
    functions();
    transactions();
    sqlite3_close(db);
    db = open_db("scenario.db");
    printf("reopen %s\n", value_of("text"));
    printf("reopen-binary %s\n", same());
    fflush(stdout);
    printf("second-process %d\n", system("./second"));
    printf("second-wrote %s\n", value_of("second"));
    printf("check %s\n", get("SELECT nadb_check('kv')", ""));
    return sqlite3_close(db);
}
