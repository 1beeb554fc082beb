/* redis_bench.c - a store on a Redis server, beside what redis-benchmark says
 * of the same server and socket (redis.sh runs both and compares).
 *
 *     redis_bench LIBRARY SOCKET WORK ROWS SECONDS [SHARDS [beside]]
 *
 * prints the operations a second of one work, on a store in one piece or in so
 * many shards; with `beside`, of both in short turns, and then what part of the
 * first the second is:
 *
 *   load    ROWS rows in transactions of 1,000, into an emptied store
 *   tagged  likewise, with three tags a row
 *   put     replaces rows, one COMMIT each
 *   buffered  likewise, with write=buffered, until all is on the server
 *   batches   as buffered, 100 rows a COMMIT
 *   get     reads rows by key
 *   in      reads rows by lists of 100 keys
 *   scan    reads all rows
 *   tag     reads 50 rows that have two tags; counts queries
 *   first   reads the first row of those with one tag, from a key on; likewise
 *   begin   reads the first row from a key on; likewise
 *   sized   as load, with values of 100 bytes; two: and two tags a row */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static sqlite3 *db;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "redis_bench: %s: %s\n", what,
            db == NULL ? "no database" : sqlite3_errmsg(db));
    exit(1);
}

static double now(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail(sql);
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *s;

    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) fail(sql);
    return s;
}

/* Steps to the end; how many rows came. */
static int64_t drain(sqlite3_stmt *s) {
    int64_t rows = 0;
    int rc;

    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        (void)sqlite3_column_blob(s, 0);
        rows++;
    }
    if (rc != SQLITE_DONE) fail(sqlite3_sql(s));
    sqlite3_reset(s);
    return rows;
}

/* --- the works: each does one piece, and says how many operations it was */

static int64_t rows;
static uint64_t state = 88172645463325252u;

static int64_t pick(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int64_t)(state % (uint64_t)rows);
}

/* redis-benchmark also only puts digits into a text that is there. */
static void bind_key(sqlite3_stmt *s, int at, int64_t i) {
    static char keys[101][17];
    char *key = keys[at];

    memcpy(key, "key:000000000000", 16);
    for (char *p = key + 16; i > 0; i /= 10) *--p = (char)('0' + i % 10);
    sqlite3_bind_text(s, at, key, 16, SQLITE_STATIC);
}

/* The statement that puts a row, of its key and number; NULL: no such load. */
static const char *load_of(const char *name) {
    static const char *const loads[][2] = {
        {"load", "REPLACE INTO kv(key, value) VALUES(?1, 'xxx')"},
        {"tagged",
         "REPLACE INTO kv(key, value, tags) VALUES(?1, 'xxx', json_array("
         "'all', 'mod' || (?2 % 10), 'of' || (?2 % 7)))"},
        {"sized",
         "REPLACE INTO kv(key, value) VALUES(?1, printf('%100s', ''))"},
        {"two",
         "REPLACE INTO kv(key, value, tags) VALUES(?1, printf('%100s', ''), "
         "json_array('all', 'mod' || (?2 % 10)))"},
        {"few",
         "REPLACE INTO kv(key, value, tags) VALUES(?1, printf('%100s', ''), "
         "json_array('of' || (?2 % 1000), 'mod' || (?2 % 997)))"},
    };

    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++)
        if (strcmp(loads[i][0], name) == 0) return loads[i][1];
    return NULL;
}

static void load(const char *sql) {
    sqlite3_stmt *put = prepare(sql);
    bool numbered = sqlite3_bind_parameter_count(put) > 1;

    /* Rows of a store that was cleared have longer names. */
    run("SELECT nadb_clear('kv') WHERE EXISTS (SELECT 1 FROM kv)");
    for (int64_t i = 0; i < rows; i++) {
        if (i % 1000 == 0) run("BEGIN");
        bind_key(put, 1, i);
        if (numbered) sqlite3_bind_int64(put, 2, i);
        drain(put);
        if (i % 1000 == 999 || i == rows - 1) run("COMMIT");
    }
    sqlite3_finalize(put);
}

static int64_t put(sqlite3_stmt *s) {
    bind_key(s, 1, pick());
    drain(s);
    return 1;
}

static int64_t get(sqlite3_stmt *s) {
    bind_key(s, 1, pick());
    return drain(s) == 1 ? 1 : (fail("a row is missing"), 0);
}

static int64_t in(sqlite3_stmt *s) {
    for (int i = 1; i <= 100; i++) bind_key(s, i, pick());
    return drain(s) > 0 ? 100 : 0;
}

static int64_t scan(sqlite3_stmt *s) {
    int64_t n = drain(s);

    if (n != rows) fail("rows are missing");
    return n;
}

static int64_t tag(sqlite3_stmt *s) {
    bind_key(s, 1, pick());
    drain(s);
    return 1;
}

/* Until the server has the last of them. */
static double buffered(bool batches, double seconds) {
    sqlite3_stmt *s = prepare("REPLACE INTO kv(key, value) VALUES(?, 'xxx')");
    int64_t done = 0;
    double begin;

    (void)put(s);
    run("SELECT nadb_flush('kv')");
    begin = now();
    while (done % 100 != 0 || now() - begin < seconds) {
        if (batches && done % 100 == 0) run("BEGIN");
        done += put(s);
        if (batches && done % 100 == 0) run("COMMIT");
    }
    run("SELECT nadb_flush('kv')");
    sqlite3_finalize(s);
    return (double)done / (now() - begin);
}

typedef struct work {
    const char *name;
    const char *sql;
    int64_t (*step)(sqlite3_stmt *s);
} work;

static const char *in_list(void) {
    static char sql[1000] = "SELECT value FROM kv WHERE key IN (?";

    for (int i = 1; i < 100; i++) strcat(sql, ",?");
    return strcat(sql, ")");
}

static double measure(const work *w, double seconds) {
    sqlite3_stmt *s = prepare(w->sql);
    double begin, used;
    int64_t done = 0;

    (void)w->step(s); /* connects, and has the server learn the scripts */
    begin = now();
    do {
        done += w->step(s);
        used = now() - begin;
    } while (used < seconds);
    sqlite3_finalize(s);
    return (double)done / used;
}

/* Other work on the machine slows both sides of a short turn alike. */
#define TURN_S 0.02

static void compare(const work *w, sqlite3 *const sides[2], double seconds) {
    double used[2] = {0, 0}, rates[2];
    sqlite3_stmt *s[2];
    int64_t done[2] = {0, 0};

    for (int i = 0; i < 2; i++) {
        db = sides[i];
        s[i] = prepare(w->sql);
        (void)w->step(s[i]);
    }
    while (used[0] + used[1] < 2 * seconds)
        for (int i = 0; i < 2; i++) {
            double begin = now(), turn;

            db = sides[i];
            do {
                done[i] += w->step(s[i]);
                turn = now() - begin;
            } while (turn < TURN_S);
            used[i] += turn;
        }
    for (int i = 0; i < 2; i++) {
        rates[i] = (double)done[i] / used[i];
        sqlite3_finalize(s[i]);
    }
    printf("%.0f %.3f\n", rates[1], rates[1] / rates[0]);
}

/* Opens a database with a table on the store. */
static void open_store(char **argv, const char *more, int shards) {
    char sql[1000], part[60] = "";

    /* One thread, as redis-benchmark: SQLite need not lock for others. */
    if (sqlite3_open_v2(":memory:", &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        fail("open");
    sqlite3_enable_load_extension(db, 1);
    if (sqlite3_load_extension(db, argv[1], NULL, NULL) != SQLITE_OK)
        fail("load_extension");
    if (shards > 1)
        snprintf(part, sizeof part, ", shards=%d, namespace='of%d'", shards,
                 shards);
    snprintf(sql, sizeof sql,
             "CREATE VIRTUAL TABLE kv USING nadb(backend=redis, socket='%.400s'"
             "%s%s)",
             argv[2], more, part);
    run(sql);
}

int main(int argc, char **argv) {
    const work works[] = {
        {"put", "REPLACE INTO kv(key, value) VALUES(?, 'xxx')", put},
        {"get", "SELECT value FROM kv WHERE key = ?", get},
        {"in", in_list(), in},
        {"scan", "SELECT value FROM kv", scan},
        {"tag",
         "SELECT key FROM kv WHERE tags MATCH 'mod3 of2' AND key >= ? LIMIT 50",
         tag},
        {"first", "SELECT key FROM kv WHERE tag = 'mod3' AND key >= ? LIMIT 1",
         tag},
        {"begin", "SELECT key FROM kv WHERE key >= ? LIMIT 1", tag},
    };
    char more[500] = "";
    bool batches, beside = argc > 7 && strcmp(argv[7], "beside") == 0;
    sqlite3 *sides[2] = {NULL, NULL};
    double begin;

    if (argc < 6) fail("LIBRARY SOCKET WORK ROWS SECONDS are wanted");
    rows = atoll(argv[4]);
    batches = strcmp(argv[3], "batches") == 0;
    if (batches || strcmp(argv[3], "buffered") == 0)
        snprintf(more, sizeof more,
                 ", write=buffered, busy_timeout=60000, path='%.400s-log'",
                 argv[2]);
    if (beside) open_store(argv, more, 1);
    sides[0] = db;
    open_store(argv, more, argc > 6 ? atoi(argv[6]) : 1);
    sides[1] = db;
    if (load_of(argv[3]) != NULL) {
        begin = now();
        load(load_of(argv[3]));
        printf("%.0f\n", (double)rows / (now() - begin));
    }
    if (batches || strcmp(argv[3], "buffered") == 0)
        printf("%.0f\n", buffered(batches, atof(argv[5])));
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        if (strcmp(works[i].name, argv[3]) != 0) continue;
        if (beside)
            compare(&works[i], sides, atof(argv[5]));
        else
            printf("%.0f\n", measure(&works[i], atof(argv[5])));
    }
    for (int i = 0; i < 2; i++) sqlite3_close(sides[i]);
    return 0;
}
