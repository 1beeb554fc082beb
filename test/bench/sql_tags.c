/* sql_tags.c - work with tags: rows with three of a thousand tags, popular and
 * rare ones as in Zipf's law, and the questions that people ask of them. */
#include "sql_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAGS 1000
#define TAGS_A_ROW 3
#define POPULAR 5 /* rank of the tags that are asked for, and the next */

static const char *const questions[][2] = {
    [TAG_LOAD] = {"INSERT INTO kv(key, value, tags) VALUES(?1, ?2, ?3)",
                  "INSERT INTO kv VALUES(?1, ?2, ?3, ?3, NULL, 100)"},
    [TAG_COUNT] = {"SELECT count FROM nadb_tags('kv') WHERE tag = ?1",
                   "SELECT count(*) FROM tag WHERE tag = ?1"},
    [TAG_AND] = {"SELECT count(*) FROM kv WHERE tags MATCH ?1 || ' ' || ?2",
                 "SELECT count(*) FROM tag AS a JOIN tag AS b"
                 " ON b.tag = ?2 AND b.key = a.key WHERE a.tag = ?1"},
    [TAG_FIRST] = {"SELECT key FROM kv WHERE tag = ?1 ORDER BY key LIMIT 50",
                   "SELECT key FROM tag WHERE tag = ?1 ORDER BY key LIMIT 50"},
    [TAG_ALL] = {"SELECT tag, count FROM nadb_tags('kv')",
                 "SELECT tag, count(*) FROM tag GROUP BY tag"},
};

/* The sum of 1 / rank up to each rank. */
static double until[TAGS];

static unsigned draw_tag(bench_random *next, void *ctx) {
    double x;
    unsigned lo = 0, hi = TAGS - 1;

    if (until[0] == 0)
        for (unsigned i = 0; i < TAGS; i++)
            until[i] = (i > 0 ? until[i - 1] : 0) + 1.0 / (i + 1);
    x = (double)next(ctx, 1000000000) / 1e9 * until[TAGS - 1];
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if (until[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void bench_tag_name(unsigned rank, char out[8]) {
    snprintf(out, 8, "t%03u", rank);
}

sqlite3_stmt *bench_tag_prepare(bench_db *d, bench_question q) {
    sqlite3_stmt *s = NULL;
    const char *sql = questions[q][d->side];

    if (sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s,
                           NULL) != SQLITE_OK)
        bench_fail("%s: %s", sql, sqlite3_errmsg(d->db));
    return s;
}

void bench_tags_bind(bench_db *d, sqlite3_stmt *row, sqlite3_stmt *tag,
                     const char *key, int key_n, bench_random *next,
                     void *ctx) {
    char json[64] = "[", name[8];
    size_t at = 1;

    for (int i = 0; i < TAGS_A_ROW; i++) {
        bench_tag_name(draw_tag(next, ctx), name);
        at += (size_t)snprintf(json + at, sizeof json - at, "%s\"%s\"",
                               i > 0 ? "," : "", name);
        if (d->side == SIDE_NADB) continue;
        sqlite3_bind_text(tag, 1, name, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(tag, 2, key, key_n, SQLITE_STATIC);
        bench_run(d, tag);
    }
    snprintf(json + at, sizeof json - at, "]");
    if (d->side == SIDE_NADB)
        sqlite3_bind_text(row, 3, json, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_double(row, 3, 1.7e9);
}

int64_t bench_tag_ask(bench_db *d, bench_question q, int64_t times,
                      double seconds) {
    sqlite3_stmt *s = bench_tag_prepare(d, q);
    double until_s = bench_now() + seconds;
    char one[8], two[8];
    int64_t i;

    bench_tag_name(POPULAR, one);
    bench_tag_name(POPULAR + 1, two);
    if (sqlite3_bind_parameter_count(s) > 0)
        sqlite3_bind_text(s, 1, one, -1, SQLITE_STATIC);
    if (sqlite3_bind_parameter_count(s) > 1)
        sqlite3_bind_text(s, 2, two, -1, SQLITE_STATIC);
    for (i = 0; i < times && bench_now() < until_s; i++) {
        int rows = 0;

        while (sqlite3_step(s) == SQLITE_ROW) {
            sqlite3_column_text(s, 0);
            rows++;
        }
        if (sqlite3_reset(s) != SQLITE_OK || rows == 0)
            bench_fail("%s: %d rows, %s", sqlite3_sql(s), rows,
                       sqlite3_errmsg(d->db));
    }
    sqlite3_finalize(s);
    return i;
}
