/* functions_fuzz.c - all SQL functions and table functions, with any arguments
 * and in any state: in a transaction, within a statement that reads or writes
 * the same table, of a table that was dropped, with query_only, with a reader
 * that refuses, over two connections.
 *
 * The input is a program: a byte says what is done, further ones with what.
 * Whatever it does, an error has a message, the connections can be closed, and
 * the stores are whole. */
#include <math.h>

#include "sql_fuzz.h"

/* --- the input --- */

typedef struct program {
    const uint8_t *at, *end;
} program;

static uint8_t next(program *p) { return p->at < p->end ? *p->at++ : 0; }

static uint64_t next_u64(program *p) {
    uint64_t v = 0;

    for (int i = 0; i < 8; i++) v = v << 8 | next(p);
    return v;
}

static const char *next_bytes(program *p, int *n) {
    const uint8_t *bytes;

    *n = next(p);
    if (*n > p->end - p->at) *n = (int)(p->end - p->at);
    bytes = p->at;
    p->at += *n;
    return (const char *)bytes;
}

/* --- the functions that there are --- */

enum { FUNCTIONS_MOST = 100, ARGUMENTS_MOST = 12, DEPTH_MOST = 2 };

typedef struct function {
    char name[40];
    int arguments; /* -1: any number */
} function;

static function functions[FUNCTIONS_MOST];
static unsigned n_functions;

static void find_functions(void) {
    static const char sql[] =
        "SELECT name, narg FROM pragma_function_list WHERE name LIKE 'nadb%'"
        " UNION ALL SELECT name, narg FROM pragma_function_list WHERE"
        " name IN ('match', 'glob', 'like') ORDER BY 1, 2";
    sqlite3 *db = fuzz_db(":memory:");
    sqlite3_stmt *s = NULL;

    MUST(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW && n_functions < FUNCTIONS_MOST) {
        function *f = &functions[n_functions++];

        (void)snprintf(f->name, sizeof f->name, "%s",
                       (const char *)sqlite3_column_text(s, 0));
        f->arguments = sqlite3_column_int(s, 1);
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
    MUST(n_functions > 30);
}

/* --- arguments --- */

static const char *const words[] = {
    "kv",
    "mem",
    "p",
    "ro",
    "b",
    "t",
    "main.kv",
    "temp.x",
    "other.kv",
    "gone",
    "\"kv\"",
    "KV",
    "main",
    "sqlite_master",
    "a",
    "b",
    "n",
    "k1",
    "k2",
    "late",
    "[\"a\",\"b\"]",
    "[]",
    "[\"\"]",
    "[1]",
    "null",
    "",
    " ",
    "5",
    "5.0",
    "-0",
    "1e3",
    "9223372036854775807",
    "9223372036854775808",
    "x'00'",
    "clear",
    "force",
    "full",
    "dir",
    "dir/deep",
    "..",
    "../x",
    "/",
    "dir/../dir",
    "f.db",
    "d.db",
    "id1",
    "id2",
    "id_3",
    "-",
    "a*",
    "a AND b",
    "NOT a",
    "(a",
    "a OR",
    "\"a",
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "k*",
    "k%",
    "\xff\xfe",
    "0",
};
static const double reals[] = {0.0,   -0.0,   0.5,          1e-300,
                               1e300, -1e300, HUGE_VAL,     -HUGE_VAL,
                               1e18,  9.3e18, 1753900000.5, 253402300800.0};
#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void bind(program *p, sqlite3_stmt *s, int i) {
    const char *bytes;
    double r;
    uint64_t bits;
    int n;

    switch (next(p) % 9) {
    case 0:
        sqlite3_bind_null(s, i);
        break;
    case 1:
        sqlite3_bind_int(s, i, (int8_t)next(p));
        break;
    case 2:
        sqlite3_bind_int64(s, i, (sqlite3_int64)next_u64(p));
        break;
    case 3:
        sqlite3_bind_double(s, i, reals[next(p) % COUNT(reals)]);
        break;
    case 4:
        bits = next_u64(p);
        memcpy(&r, &bits, sizeof r);
        sqlite3_bind_double(s, i, r);
        break;
    case 5:
        bytes = next_bytes(p, &n);
        sqlite3_bind_text(s, i, bytes, n, SQLITE_STATIC);
        break;
    case 6:
        bytes = next_bytes(p, &n);
        sqlite3_bind_blob(s, i, bytes, n, SQLITE_STATIC);
        break;
    case 7:
        sqlite3_bind_zeroblob(s, i, next(p) * 40);
        break;
    default:
        sqlite3_bind_text(s, i, words[next(p) % COUNT(words)], -1,
                          SQLITE_STATIC);
    }
}

/* Appends a call; an argument may be another one. */
static void add_call(program *p, sqlite3_str *sql, int depth) {
    const function *f = &functions[next(p) % n_functions];
    int n = f->arguments < 0 ? next(p) % ARGUMENTS_MOST : f->arguments;

    sqlite3_str_appendf(sql, "%s(", f->name);
    for (int i = 0; i < n; i++) {
        if (i > 0) sqlite3_str_appendall(sql, ", ");
        if (depth < DEPTH_MOST && next(p) % 8 == 7)
            add_call(p, sql, depth + 1);
        else
            sqlite3_str_appendall(sql, "?");
    }
    sqlite3_str_appendall(sql, ")");
}

/* --- statements --- */

/* %s: a call, or several. */
static const char *const frames[] = {
    "SELECT %s",
    "SELECT key, %s FROM kv",
    "SELECT %s FROM kv WHERE key = 'a'",
    "UPDATE kv SET value = %s",
    "UPDATE kv SET value = 1 WHERE key = %s",
    "INSERT INTO kv(key, value) SELECT 'n' || key, %s FROM kv",
    "DELETE FROM kv WHERE value = %s",
    "REPLACE INTO t VALUES(%s)",
    "INSERT INTO mem(key, value) VALUES(1, %s)",
    "SELECT count(*) FROM p GROUP BY %s",
    "SELECT * FROM mem ORDER BY %s",
    "CREATE TEMP TABLE made AS SELECT %s AS x",
    "SELECT key FROM kv WHERE tags MATCH %s",
    "REPLACE INTO kv(key, value, tags, ttl) VALUES('a', 1, %s, 9)",
};

static const char *const tables[] = {
    "SELECT * FROM nadb_stats(?)",
    "SELECT * FROM nadb_tags(?)",
    "SELECT * FROM nadb_stores WHERE path = ?",
    "SELECT * FROM nadb_backends WHERE name > ?",
    "SELECT * FROM nadb_backups(?)",
    "SELECT * FROM nadb_pop(?, ?)",
    "SELECT * FROM nadb_pop WHERE \"table\" = ? AND key = ?",
    "SELECT * FROM kv WHERE key = ? OR tag = ?",
    "SELECT * FROM kv WHERE tags MATCH ? AND key > ?",
    "SELECT * FROM kv WHERE expires_at BETWEEN ? AND ?",
    "SELECT * FROM mem WHERE key IN (?, ?) AND ttl < ?",
    "SELECT * FROM b WHERE key >= ?",
    "INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
    "INSERT OR REPLACE INTO p(key, value, tags, expires_at) VALUES(?, ?, ?, ?)",
    "UPDATE kv SET key = ?, tags = ? WHERE key = ?",
    "UPDATE OR IGNORE mem SET key = ?, ttl = ?",
    "DELETE FROM kv WHERE key LIKE ? OR key GLOB ?",
    "INSERT INTO kv(key, created_at, updated_at) VALUES(?, ?, ?)",
};

static const char *const plain[] = {
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "PRAGMA query_only = 1",
    "PRAGMA query_only = 0",
    "DELETE FROM kv",
    "DELETE FROM mem",
    "DROP TABLE kv",
    "DROP TABLE mem",
    "ALTER TABLE mem RENAME TO kv2",
    "CREATE VIRTUAL TABLE kv USING nadb",
    "CREATE VIRTUAL TABLE mem USING nadb(backend=memory)",
    "CREATE VIRTUAL TABLE ro USING nadb(path=p, namespace=p, mode=ro)",
    "CREATE VIRTUAL TABLE temp.x USING nadb(path=p, namespace=p)",
    "CREATE VIRTUAL TABLE b USING nadb(backend=backup, dir=dir, id=id1)",
    "ATTACH 'e.db' AS other; CREATE VIRTUAL TABLE other.kv USING nadb",
    "DETACH other",
    "SELECT nadb_backup('kv', 'dir', 'id1')",
    "SELECT nadb_backup('p', 'dir', 'id2', 'id1')",
    "SELECT nadb_flush()",
    "SELECT nadb_compact('kv')",
    "PRAGMA trusted_schema = 0",
    "VACUUM",
    "PRAGMA integrity_check",
    "CREATE VIEW IF NOT EXISTS w AS SELECT nadb_incr('kv', 'n') AS x;"
    " SELECT * FROM w",
    "CREATE TRIGGER IF NOT EXISTS r AFTER INSERT ON t BEGIN"
    " SELECT nadb_clear('kv'); END",
    "INSERT INTO t VALUES(1)",
    "SELECT nadb_restore('kv', 'dir', 'id1')",
    "SELECT nadb_destroy('kv')",
    "SELECT * FROM kv",
};

static void run(program *p, sqlite3 *db, const char *sql, sqlite3_stmt **kept) {
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK || s == NULL)
        return;
    for (int i = 1; i <= sqlite3_bind_parameter_count(s); i++) bind(p, s, i);
    for (int rows = 0; rows < 100 && sqlite3_step(s) == SQLITE_ROW; rows++) {
        fuzz_columns(s);
        if (kept != NULL && *kept == NULL) {
            *kept = s;
            return;
        }
    }
    if (sqlite3_finalize(s) != SQLITE_OK) MUST(sqlite3_errmsg(db)[0] != '\0');
}

static void run_call(program *p, sqlite3 *db) {
    const char *frame = frames[next(p) % COUNT(frames)];
    const char *place = strstr(frame, "%s");
    sqlite3_str *sql = sqlite3_str_new(db);
    char *text;

    sqlite3_str_append(sql, frame, (int)(place - frame));
    add_call(p, sql, 0);
    sqlite3_str_appendall(sql, place + 2);
    text = sqlite3_str_finish(sql);
    MUST(text != NULL);
    run(p, db, text, NULL);
    sqlite3_free(text);
}

/* --- what refuses --- */

static int refused; /* an action of the authorizer; 0: none */

static int authorize(void *ctx, int action, const char *a, const char *b,
                     const char *c, const char *d) {
    (void)ctx, (void)a, (void)b, (void)c, (void)d;
    return action == refused ? SQLITE_DENY : SQLITE_OK;
}

/* The statement is interrupted after so many steps; 0: it is not. */
static int steps_left;

static int interrupt(void *ctx) {
    (void)ctx;
    return steps_left > 0 && --steps_left == 0;
}

static void change_rules(program *p, sqlite3 *db) {
    static const int actions[] = {0,
                                  SQLITE_INSERT,
                                  SQLITE_UPDATE,
                                  SQLITE_READ,
                                  SQLITE_DELETE,
                                  SQLITE_FUNCTION,
                                  SQLITE_SELECT};

    switch (next(p) % 4) {
    case 0:
        refused = actions[next(p) % COUNT(actions)];
        break;
    case 1:
        sqlite3_limit(db, SQLITE_LIMIT_LENGTH,
                      next(p) % 2 ? 1000000000 : 3000 + next(p));
        break;
    case 2:
        steps_left = next(p);
        break;
    default:
        sqlite3_interrupt(db);
    }
}

/* --- the target --- */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    fuzz_make_dir();
    MUST(setenv("NADB_ALLOW_PATHS", fuzz_dir, 1) == 0);
    find_functions();
    return 0;
}

static sqlite3 *open_db(void) {
    sqlite3 *db = fuzz_db("d.db");

    sqlite3_busy_timeout(db, 10);
    sqlite3_set_authorizer(db, authorize, NULL);
    sqlite3_progress_handler(db, 20, interrupt, NULL);
    return db;
}

static void fill(sqlite3 *db) {
    MUST(fuzz_run(
             db,
             "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = 0;"
             "CREATE TABLE t(x);"
             "CREATE VIRTUAL TABLE kv USING nadb(busy_timeout=10);"
             "CREATE VIRTUAL TABLE mem USING nadb(backend=memory);"
             "CREATE VIRTUAL TABLE p USING nadb(path=p, busy_timeout=10);"
             "INSERT INTO kv(key, value, tags, ttl) VALUES"
             "  ('a', 1, '[\"a\",\"b\"]', NULL), ('b', 'x', '[\"b\"]', 9),"
             "  ('n', 5, NULL, NULL), ('late', zeroblob(2000), NULL, -1);"
             "INSERT INTO mem(key, value) SELECT key, value FROM kv;"
             "INSERT INTO p(key, value, tags) SELECT key, value, tags FROM kv;"
             "SELECT nadb_backup('kv', 'dir', 'id1')") == SQLITE_OK);
}

/* Whole, if they are there. */
static void check(sqlite3 *db) {
    static const char *const names[] = {"kv", "mem", "p"};

    for (size_t i = 0; i < COUNT(names); i++) {
        char *sql = sqlite3_mprintf("SELECT nadb_check('%s')", names[i]);
        sqlite3_stmt *s = NULL;

        if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK &&
            sqlite3_step(s) == SQLITE_ROW)
            MUST(strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0);
        sqlite3_finalize(s);
        sqlite3_free(sql);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    program p = {data, data + size};
    sqlite3 *db[2];
    sqlite3_stmt *kept[2] = {NULL, NULL};
    unsigned who = 0;

    refused = steps_left = 0;
    db[0] = open_db();
    fill(db[0]);
    db[1] = open_db();
    for (int i = 0; i < 60 && p.at < p.end; i++) {
        switch (next(&p) % 8) {
        case 0:
        case 1:
        case 2:
            run_call(&p, db[who]);
            break;
        case 3:
            run(&p, db[who], tables[next(&p) % COUNT(tables)], NULL);
            break;
        case 4:
            (void)fuzz_run(db[who], plain[next(&p) % COUNT(plain)]);
            break;
        case 5:
            run(&p, db[who], tables[next(&p) % COUNT(tables)], &kept[who]);
            break;
        case 6:
            if (kept[who] != NULL && sqlite3_step(kept[who]) != SQLITE_ROW) {
                sqlite3_finalize(kept[who]);
                kept[who] = NULL;
            }
            break;
        default:
            if (next(&p) % 2)
                change_rules(&p, db[who]);
            else
                who = !who;
        }
    }
    refused = steps_left = 0;
    for (who = 0; who < 2; who++) {
        sqlite3_finalize(kept[who]);
        sqlite3_limit(db[who], SQLITE_LIMIT_LENGTH, 1000000000);
        (void)sqlite3_exec(db[who], "ROLLBACK", NULL, NULL, NULL);
    }
    check(db[0]);
    for (who = 0; who < 2; who++) MUST(sqlite3_close(db[who]) == SQLITE_OK);
    fuzz_empty(AT_FDCWD, ".");
    return 0;
}
