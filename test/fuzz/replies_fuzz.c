/* replies_fuzz.c - statements on a store whose Redis server lies (liar.h).
 *
 *   u8 mode, u8 n, n statements (u8 each), then the server's answers
 *
 * Whatever it answers: no byte that is not ours, an end, and an error has a
 * message. */
#include "liar.h"
#include "sql_fuzz.h"

/* Bits of mode. */
enum { IMPOLITE = 1, SHARDS = 2, CLUSTER = 4, SENTINEL = 8, BUFFERED = 16 };
#define WAIT 32

/* liar_corpus.py reads them here. */
static const char *const statements[] = {
    /* begin of statements */
    "SELECT value, tags, ttl, size FROM kv WHERE key = 'a'",
    "SELECT key, value, tags FROM kv",
    "SELECT key FROM kv WHERE key > 'a' ORDER BY key DESC",
    "SELECT key, value FROM kv WHERE key IN ('a', 'b', 'no')",
    "SELECT key, value FROM kv WHERE tags MATCH 'a (b OR c*) NOT d'",
    "SELECT key FROM kv WHERE tag = 'a'",
    "SELECT * FROM nadb_tags('kv')",
    "SELECT key, value FROM kv WHERE expires_at < 9e9",
    "SELECT key FROM kv WHERE expires_at > 0 ORDER BY expires_at DESC",
    "REPLACE INTO kv(key, value) VALUES('a', 1)",
    "REPLACE INTO kv(key, value, tags, ttl) VALUES('a', 1, '[\"a\",\"b\"]', "
    "90),"
    " ('b', 2.5, NULL, NULL), ('c', 'text', '[\"a\"]', NULL)",
    "INSERT INTO kv(key, value) VALUES('d', x'00ff')",
    "UPDATE kv SET value = value || 'x' WHERE key = 'a'",
    "UPDATE kv SET value = 5",
    "DELETE FROM kv WHERE key = 'a'",
    "DELETE FROM kv",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "SELECT nadb_incr('kv', 'n')",
    "SELECT nadb_pop('kv', 'a')",
    "SELECT nadb_clear('kv')",
    "SELECT nadb_check('kv')",
    "SELECT nadb_compact('kv')",
    "SELECT nadb_purge_expired('kv')",
    "SELECT nadb_set_ttl('kv', 'a', 90), nadb_ttl('kv', 'a')",
    "SELECT nadb_tag('kv', 'a', 'c'), nadb_untag('kv', 'a', 'b')",
    "SELECT nadb_flush('kv')",
    "SELECT * FROM nadb_stats('kv')",
    "WITH n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
    " SELECT (SELECT value FROM kv WHERE key = 'a' || (i / 30)) FROM n",
    "REPLACE INTO other(key, value) VALUES('a', 1)",
    "UPDATE kv SET key = 'e' WHERE key = 'a'",
    "SELECT nadb_seq('kv')",
    "SELECT nadb_destroy('kv')",
    "INSERT INTO kv(key, value) SELECT key || 'x', value FROM kv",
    "SELECT a.key FROM kv a JOIN kv b ON b.key = a.value",
    "SELECT min(key), max(key) FROM kv",
    "SELECT count(*) FROM kv",
    "INSERT OR IGNORE INTO kv(key) VALUES('a'), ('b')",
    "REPLACE INTO kv(key, value) VALUES('a', zeroblob(5000))",
    /* end of statements */
};
#define STATEMENTS (sizeof statements / sizeof statements[0])

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    char text[120];

    (void)argc, (void)argv;
    fuzz_make_dir();
    liar_start("s");
    /* Nothing that an answer names is gone to, but the liar. */
    (void)snprintf(text, sizeof text, "%s,127.0.0.1:%d", fuzz_dir, liar_port());
    MUST(setenv("NADB_ALLOW_HOSTS", text, 1) == 0);
    MUST(setenv("NADB_ALLOW_PATHS", fuzz_dir, 1) == 0);
    return 0;
}

static void create(sqlite3 *db, unsigned mode) {
    const char *const tables[] = {"kv", "other"};
    /* Where there are other servers to look for, they are looked for so long.
     */
    const char *timeout = mode & (SENTINEL | CLUSTER) ? "0.05" : "2";
    char where[120], sql[600];

    if (mode & SENTINEL)
        (void)snprintf(where, sizeof where, "sentinel='127.0.0.1:%d/m'",
                       liar_port());
    else if (mode & CLUSTER)
        (void)snprintf(where, sizeof where,
                       "host=127.0.0.1, port=%d, cluster=on", liar_port());
    else
        (void)snprintf(where, sizeof where, "socket='%s/s'", fuzz_dir);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(sql, sizeof sql,
                       "CREATE VIRTUAL TABLE %s USING nadb(backend=redis, %s, "
                       "timeout=%s, connect_timeout=2, busy_timeout=20%s%s%s)",
                       tables[i], where, timeout,
                       mode & SHARDS ? ", shards=2" : "",
                       mode & WAIT ? ", wait=1" : "",
                       mode & BUFFERED ? ", write=buffered, path='b'" : "");
        (void)fuzz_run(db, sql);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sqlite3 *db;
    size_t n;

    if (size < 2) return 0;
    /* Looking for other servers takes its time. */
    n = data[1] % (data[0] & (SENTINEL | CLUSTER) ? 5u : 24u);
    if (n > size - 2) n = size - 2;
    liar_begin(data + 2 + n, size - 2 - n, !(data[0] & IMPOLITE));
    db = fuzz_db(":memory:");
    create(db, data[0]);
    for (size_t i = 0; i < n; i++)
        (void)fuzz_run(db, statements[data[2 + i] % STATEMENTS]);
    MUST(sqlite3_close(db) == SQLITE_OK);
    if (data[0] & BUFFERED) fuzz_empty(AT_FDCWD, "b");
    return 0;
}
