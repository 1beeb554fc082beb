/* sql_bench.h - the same work on nadb and on plain SQLite.
 *
 * A case is one kind of work on one side, done by a process of its own: it
 * opens the database that an earlier case of the run left, prepares its
 * statements, works, and reports. So no case warms another one's caches, and
 * the memory it reports is its own. */
#ifndef NADB_SQL_BENCH_H
#define NADB_SQL_BENCH_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum bench_side { SIDE_NADB, SIDE_PLAIN } bench_side;

/* Where nadb's table is declared; plain SQLite always uses a WAL file. */
typedef enum bench_main { MAIN_FILE, MAIN_MEMORY } bench_main;

/* What a process that runs a case is told. */
typedef struct bench_case {
    const char *work; /* name in the table of works (sql_works.c) */
    bench_side side;
    bench_main main_db;
    const char *synchronous; /* off, normal, full */
    const char *dir;         /* of this side and data set */
    const char *library;
    int64_t rows;   /* in the loaded data set */
    double seconds; /* stop one-by-one work that takes longer */
} bench_case;

typedef struct bench_result {
    double ops;
    double seconds;
    double memory_mb; /* RssAnon above an empty program, at the end */
} bench_result;

/* A connection of a side with its statements. */
typedef struct bench_db {
    sqlite3 *db;
    bench_side side;
    sqlite3_stmt *put, *get, *del, *range, *scan, *begin, *commit;
} bench_db;

/* sql_sql_sides.c: these print what is wrong and end the program. */
void bench_open(bench_db *d, const bench_case *c);
void bench_close(bench_db *d);
void bench_exec(sqlite3 *db, const char *sql);
/* Steps a statement that returns no row, and resets it. */
void bench_run(bench_db *d, sqlite3_stmt *s);
_Noreturn void bench_fail(const char *format, ...);

/* sql_works.c */
bool bench_work(const bench_case *c, bench_result *out); /* false: unknown */
double bench_now(void);                                  /* s */
double bench_rss_anon_mb(void);

/* --- sql_tags.c --- */

typedef enum bench_question {
    TAG_LOAD,  /* a row and its tags */
    TAG_COUNT, /* of one tag */
    TAG_AND,   /* rows with two tags */
    TAG_FIRST, /* the first 50 keys of a tag */
    TAG_ALL    /* all tags with their counts */
} bench_question;

/* A number below n. */
typedef uint64_t bench_random(void *ctx, uint64_t n);

sqlite3_stmt *bench_tag_prepare(bench_db *d, bench_question q);
/* Gives a row three tags: in its own statement, or in plain SQLite's other
 * table with `tag`. */
void bench_tags_bind(bench_db *d, sqlite3_stmt *row, sqlite3_stmt *tag,
                     const char *key, int key_n, bench_random *next, void *ctx);
/* Asks as often, or for as long; returns how often it was. */
int64_t bench_tag_ask(bench_db *d, bench_question q, int64_t times,
                      double seconds);
void bench_tag_name(unsigned rank, char out[8]);

#endif
