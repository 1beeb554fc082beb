/* sql_works.c - what is measured. To add a work: a function and a line in
 * `works`; to show it: a line in `lines` (sql_bench.c). */
#include "sql_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VALUE_BYTES 100
#define KEY_BYTES 16
#define BATCH 1000
#define RANGE_ROWS 100

typedef struct runner {
    const bench_case *c;
    bench_db d;
    uint64_t state; /* of the random choices */
    double started;
    double memory_before;
} runner;

double bench_now(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double bench_rss_anon_mb(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    double kb = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "RssAnon: %lf", &kb) == 1) break;
    if (f != NULL) fclose(f);
    return kb / 1024;
}

/* --- keys and values --- */

static uint64_t mix(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t random_below(runner *r, uint64_t n) {
    r->state = mix(r->state);
    return r->state % n;
}

/* Key number i: 16 characters in random order of i. */
static void random_key(uint64_t i, char *out) {
    static const char digits[] = "0123456789abcdef";
    uint64_t x = mix(i);

    for (int j = 0; j < KEY_BYTES; j++) out[j] = digits[(x >> (4 * j)) & 15];
}

static void ordered_key(uint64_t i, char *out) {
    char text[32];

    snprintf(text, sizeof text, "%016llu", (unsigned long long)i);
    memcpy(out, text, KEY_BYTES);
}

/* Half of the value is random, half is easy to compress. */
static void value_of(uint64_t i, unsigned char *out) {
    for (int j = 0; j < VALUE_BYTES / 2; j += 8) {
        uint64_t x = mix(i * 31 + (uint64_t)j);
        int n = VALUE_BYTES / 2 - j < 8 ? VALUE_BYTES / 2 - j : 8;

        memcpy(out + j, &x, (size_t)n);
    }
    memset(out + VALUE_BYTES / 2, 'x', VALUE_BYTES - VALUE_BYTES / 2);
}

static void bind_key(sqlite3_stmt *s, const char *key) {
    sqlite3_bind_text(s, 1, key, KEY_BYTES, SQLITE_STATIC);
}

static void put(runner *r, const char *key, uint64_t version) {
    unsigned char value[VALUE_BYTES];
    sqlite3_stmt *s = r->d.put;

    value_of(version, value);
    bind_key(s, key);
    sqlite3_bind_blob(s, 2, value, VALUE_BYTES, SQLITE_STATIC);
    if (r->d.side == SIDE_PLAIN)
        sqlite3_bind_double(s, 3, 1.7e9 + (double)version);
    bench_run(&r->d, s);
}

/* Steps a SELECT to its end, touching every value; the number of rows. */
static int64_t read_rows(runner *r, sqlite3_stmt *s, int column) {
    static volatile unsigned char sink;
    int64_t rows = 0;
    int rc;

    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        const unsigned char *p = sqlite3_column_blob(s, column);
        int n = sqlite3_column_bytes(s, column);

        if (n > 0) sink = p[n - 1];
        rows++;
    }
    (void)sink;
    if (rc != SQLITE_DONE)
        bench_fail("%s: %s", sqlite3_sql(s), sqlite3_errmsg(r->d.db));
    sqlite3_reset(s);
    return rows;
}

/* --- works: each returns how many operations it did --- */

static bool late(const runner *r, int64_t i) {
    return i % 256 == 255 && bench_now() - r->started > r->c->seconds;
}

typedef void one_op(runner *r, uint64_t i);

/* Never cut short: what comes later counts on all the rows. */
static int64_t in_batches(runner *r, int64_t n, one_op *op) {
    int64_t i;

    for (i = 0; i < n; i++) {
        if (i % BATCH == 0) bench_run(&r->d, r->d.begin);
        op(r, (uint64_t)i);
        if (i % BATCH == BATCH - 1) bench_run(&r->d, r->d.commit);
    }
    if (!sqlite3_get_autocommit(r->d.db)) bench_run(&r->d, r->d.commit);
    return i;
}

static int64_t one_by_one(runner *r, int64_t n, one_op *op) {
    int64_t i;

    for (i = 0; i < n && !late(r, i); i++) op(r, (uint64_t)i);
    return i;
}

static void put_random(runner *r, uint64_t i) {
    char key[KEY_BYTES];

    random_key(i, key);
    put(r, key, i);
}

static void put_ordered(runner *r, uint64_t i) {
    char key[KEY_BYTES];

    ordered_key(i, key);
    put(r, key, i);
}

/* A key that no load has made; another one for each work. */
static void put_new(runner *r, uint64_t i) {
    char key[KEY_BYTES];
    uint64_t part =
        mix((uint64_t)r->c->main_db * 3 + (uint64_t)r->c->synchronous[0]);

    random_key((part << 32) + i, key);
    put(r, key, i);
}

static void overwrite(runner *r, uint64_t i) {
    char key[KEY_BYTES];

    random_key(random_below(r, (uint64_t)r->c->rows), key);
    put(r, key, i + 7);
}

static void delete_one(runner *r, uint64_t i) {
    char key[KEY_BYTES];

    /* a walk over all rows that is neither theirs nor the key's order */
    random_key((i * 7919) % (uint64_t)r->c->rows, key);
    bind_key(r->d.del, key);
    bench_run(&r->d, r->d.del);
}

static void get_hit(runner *r, uint64_t i) {
    char key[KEY_BYTES];

    (void)i;
    random_key(random_below(r, (uint64_t)r->c->rows), key);
    bind_key(r->d.get, key);
    if (read_rows(r, r->d.get, 0) != 1)
        bench_fail("key %.16s is not there", key);
}

static void get_miss(runner *r, uint64_t i) {
    char key[KEY_BYTES];

    random_key(UINT64_C(0xffff) << 40 | i, key);
    bind_key(r->d.get, key);
    if (read_rows(r, r->d.get, 0) != 0) bench_fail("key %.16s is there", key);
}

static void range_100(runner *r, uint64_t i) {
    char key[KEY_BYTES];

    (void)i;
    random_key(random_below(r, (uint64_t)r->c->rows), key);
    bind_key(r->d.range, key);
    if (read_rows(r, r->d.range, 1) > RANGE_ROWS)
        bench_fail("a range gave too many rows");
}

static int64_t work_load(runner *r) {
    return in_batches(r, r->c->rows, put_random);
}
static int64_t work_load_ordered(runner *r) {
    return in_batches(r, r->c->rows, put_ordered);
}
static int64_t work_put(runner *r) {
    return one_by_one(r, r->c->rows / 5, put_new);
}
static int64_t work_overwrite(runner *r) {
    return in_batches(r, r->c->rows / 5, overwrite);
}
static int64_t work_delete(runner *r) {
    return in_batches(r, r->c->rows / 5, delete_one);
}
static int64_t work_get(runner *r) {
    return one_by_one(r, r->c->rows / 2, get_hit);
}
static int64_t work_miss(runner *r) {
    return one_by_one(r, r->c->rows / 2, get_miss);
}
static int64_t work_range(runner *r) {
    return one_by_one(r, r->c->rows / 20, range_100);
}
/* --- tags: a data set of 3 rows where others have 10 --- */

static uint64_t next_random(void *ctx, uint64_t n) {
    return random_below(ctx, n);
}

static int64_t work_load_tags(runner *r) {
    sqlite3_stmt *row = bench_tag_prepare(&r->d, TAG_LOAD);
    sqlite3_stmt *tag = NULL;
    int64_t n = r->c->rows * 3 / 10;

    if (r->d.side == SIDE_PLAIN)
        sqlite3_prepare_v2(r->d.db, "INSERT OR IGNORE INTO tag VALUES(?1, ?2)",
                           -1, &tag, NULL);
    for (int64_t i = 0; i < n; i++) {
        unsigned char value[VALUE_BYTES];
        char key[KEY_BYTES];

        random_key((uint64_t)i, key);
        value_of((uint64_t)i, value);
        if (i % BATCH == 0) bench_run(&r->d, r->d.begin);
        bench_tags_bind(&r->d, row, tag, key, KEY_BYTES, next_random, r);
        bind_key(row, key);
        sqlite3_bind_blob(row, 2, value, VALUE_BYTES, SQLITE_STATIC);
        bench_run(&r->d, row);
        if (i % BATCH == BATCH - 1) bench_run(&r->d, r->d.commit);
    }
    if (!sqlite3_get_autocommit(r->d.db)) bench_run(&r->d, r->d.commit);
    sqlite3_finalize(row);
    sqlite3_finalize(tag);
    return n;
}

static int64_t ask(runner *r, bench_question q, int64_t times) {
    (void)bench_tag_ask(&r->d, q, 3, 10); /* warm */
    r->started = bench_now();
    return bench_tag_ask(&r->d, q, times, r->c->seconds / 10);
}
static int64_t work_tag_count(runner *r) { return ask(r, TAG_COUNT, 20000); }
static int64_t work_tag_and(runner *r) { return ask(r, TAG_AND, 200); }
static int64_t work_tag_first(runner *r) { return ask(r, TAG_FIRST, 50000); }
static int64_t work_tag_all(runner *r) { return ask(r, TAG_ALL, 1000); }

static int64_t work_scan(runner *r) { return read_rows(r, r->d.scan, 0); }
/* Opening is outside of the clock here: sql_bench.c times the whole process. */
static int64_t work_open(runner *r) { return one_by_one(r, 1, get_hit); }

static const struct {
    const char *name;
    int64_t (*run)(runner *r);
    bool warm; /* touch the data first: what counts is the steady state */
} works[] = {
    {"load", work_load, false},
    {"load_ordered", work_load_ordered, false},
    {"put", work_put, false},
    {"overwrite", work_overwrite, false},
    {"delete", work_delete, false},
    {"get", work_get, true},
    {"miss", work_miss, true},
    {"range", work_range, true},
    {"scan", work_scan, true},
    {"open", work_open, false},
    {"load_tags", work_load_tags, false},
    {"tag_count", work_tag_count, false},
    {"tag_and", work_tag_and, false},
    {"tag_first", work_tag_first, false},
    {"tag_all", work_tag_all, false},
};

bool bench_work(const bench_case *c, bench_result *out) {
    runner r = {.c = c, .state = 42};

    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        if (strcmp(works[i].name, c->work) != 0) continue;
        r.memory_before = bench_rss_anon_mb();
        bench_open(&r.d, c);
        if (works[i].warm) {
            r.started = bench_now();
            one_by_one(&r, c->rows / 10, get_hit);
        }
        r.started = bench_now();
        out->ops = (double)works[i].run(&r);
        out->seconds = bench_now() - r.started;
        out->memory_mb = bench_rss_anon_mb() - r.memory_before;
        bench_close(&r.d);
        return true;
    }
    return false;
}
