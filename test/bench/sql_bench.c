/* sql_bench.c - runs works on both sides and prints a table of ratios.
 *
 * usage: bench [--quick] [--rows N] [--runs N] [--only TEXT] [--json FILE]
 *              [--dir FOLDER] LIBRARY
 *        bench --case WORK SIDE MAIN SYNCHRONOUS DIR ROWS SECONDS LIBRARY
 *
 * The second form is how the first one starts a case in a process of its own
 * (see sql_bench.h). Goals and leasts are those of the project's feature list,
 * as multiples of plain SQLite in the same run. */
#include "sql_bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ftw.h>

#define RUNS_MAX 9

typedef enum line_kind {
    KIND_SPEED,  /* operations a second */
    KIND_OPEN,   /* processes a second that open a store and read one key */
    KIND_DISK,   /* MB after the load; less is better */
    KIND_MEMORY, /* most MB of RssAnon of any case; less is better */
} line_kind;

/* The lines of the table, in the order in which they run. A line uses the
 * data set `set`, which its load must have made before. */
static const struct line {
    const char *title;
    line_kind kind;
    const char *work, *set;
    bench_main main_db;
    const char *synchronous;
    double goal, least; /* x plain; KIND_MEMORY: MB */
} lines[] = {
    {"load, random order, 1,000 a transaction", KIND_SPEED, "load", "random",
     MAIN_FILE, "normal", 12, 8},
    {"disk, MB", KIND_DISK, "", "random", MAIN_FILE, "normal", 0.8, 1},
    {"load, key order", KIND_SPEED, "load_ordered", "ordered", MAIN_FILE,
     "normal", 1.3, 1},
    {"get, hit, main file", KIND_SPEED, "get", "random", MAIN_FILE, "normal",
     1.4, 1.2},
    {"get, hit, main :memory:", KIND_SPEED, "get", "random", MAIN_MEMORY,
     "normal", 2.5, 2},
    {"get, miss, main file", KIND_SPEED, "miss", "random", MAIN_FILE, "normal",
     1.8, 1.4},
    {"get, miss, main :memory:", KIND_SPEED, "miss", "random", MAIN_MEMORY,
     "normal", 3.5, 2.5},
    {"range of 100 rows by key", KIND_SPEED, "range", "random", MAIN_FILE,
     "normal", 0.7, 0.5},
    {"full scan of values", KIND_SPEED, "scan", "random", MAIN_FILE, "normal",
     0.5, 0.35},
    {"open a store and read one key", KIND_OPEN, "open", "random", MAIN_MEMORY,
     "normal", 1, 0.9},
    {"autocommit put, main a WAL file", KIND_SPEED, "put", "random", MAIN_FILE,
     "normal", 5, 4},
    {"autocommit put, main :memory:", KIND_SPEED, "put", "random", MAIN_MEMORY,
     "normal", 12, 8},
    {"autocommit put, synchronous=full", KIND_SPEED, "put", "random", MAIN_FILE,
     "full", 1.2, 1},
    {"overwrite, random", KIND_SPEED, "overwrite", "random", MAIN_FILE,
     "normal", 9, 6},
    {"delete, random", KIND_SPEED, "delete", "random", MAIN_FILE, "normal", 9,
     6},
    {"load with 3 tags a row", KIND_SPEED, "load_tags", "tags", MAIN_FILE,
     "normal", 10, 6},
    {"tags: count of a popular tag", KIND_SPEED, "tag_count", "tags", MAIN_FILE,
     "normal", 50, 10},
    {"tags: rows with two tags", KIND_SPEED, "tag_and", "tags", MAIN_FILE,
     "normal", 5, 3},
    {"tags: first 50 keys, main file", KIND_SPEED, "tag_first", "tags",
     MAIN_FILE, "normal", 1, 0.7},
    {"tags: first 50 keys, main :memory:", KIND_SPEED, "tag_first", "tags",
     MAIN_MEMORY, "normal", 1, 0.7},
    {"tags: all tags with counts", KIND_SPEED, "tag_all", "tags", MAIN_FILE,
     "normal", 20, 10},
    {"memory (RssAnon), MB", KIND_MEMORY, "", "random", MAIN_FILE, "normal", 64,
     64},
};
enum { LINES = sizeof lines / sizeof lines[0] };

typedef struct settings {
    const char *program, *library, *dir, *json, *only;
    int64_t rows;
    int runs;
    double seconds;
} settings;

/* [line][side][run] */
static double measured[LINES][2][RUNS_MAX];
static double memory_most[2];

static const char *const side_names[] = {"nadb", "plain"};

/* --- one case, in a process of its own --- */

static void side_dir(const settings *s, const char *set, bench_side side,
                     char *out, size_t n) {
    snprintf(out, n, "%s/%s-%s", s->dir, set, side_names[side]);
}

static bench_result run_case(const settings *s, const struct line *l,
                             bench_side side) {
    bench_result result = {0};
    char dir[4096], command[9000];
    FILE *p;
    int status;

    side_dir(s, l->set, side, dir, sizeof dir);
    mkdir(dir, 0755);
    snprintf(command, sizeof command,
             "'%s' --case %s %s %s %s '%s' %lld %g '%s'", s->program, l->work,
             side_names[side], l->main_db == MAIN_MEMORY ? "memory" : "file",
             l->synchronous, dir, (long long)s->rows, s->seconds, s->library);
    p = popen(command, "r");
    if (p == NULL || fscanf(p, "%lf %lf %lf", &result.ops, &result.seconds,
                            &result.memory_mb) != 3)
        bench_fail("%s: %s gave no result", side_names[side], l->title);
    status = pclose(p);
    if (status != 0) bench_fail("%s: exit status %d", l->title, status);
    if (result.memory_mb > memory_most[side])
        memory_most[side] = result.memory_mb;
    return result;
}

static double tree_mb;

static int add_file(const char *path, const struct stat *st, int type,
                    struct FTW *ftw) {
    (void)path;
    (void)ftw;
    if (type == FTW_F) tree_mb += (double)st->st_blocks * 512 / 1e6;
    return 0;
}

static double disk_mb(const settings *s, const char *set, bench_side side) {
    char dir[4096];

    side_dir(s, set, side, dir, sizeof dir);
    tree_mb = 0;
    nftw(dir, add_file, 16, FTW_PHYS);
    return tree_mb;
}

/* Processes that open, read one key and end, a second. */
static double open_rate(const settings *s, const struct line *l,
                        bench_side side) {
    enum { TIMES = 20 };
    double best = 1e9;

    for (int i = 0; i < TIMES; i++) {
        double t = bench_now();

        run_case(s, l, side);
        t = bench_now() - t;
        if (t < best) best = t;
    }
    return 1 / best;
}

static double measure(const settings *s, const struct line *l,
                      bench_side side) {
    bench_result r;

    switch (l->kind) {
    case KIND_DISK:
        return disk_mb(s, l->set, side);
    case KIND_MEMORY:
        return memory_most[side];
    case KIND_OPEN:
        return open_rate(s, l, side);
    case KIND_SPEED:
        break;
    }
    r = run_case(s, l, side);
    return r.ops / r.seconds;
}

/* --- all of them --- */

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *dir) {
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Whether a line is shown; loads run all the same, for those after them. */
static bool wanted(const settings *s, const struct line *l) {
    return s->only == NULL || strstr(l->title, s->only) != NULL;
}

static void run_all(const settings *s, int run) {
    memory_most[0] = memory_most[1] = 0;
    for (int i = 0; i < LINES; i++) {
        const struct line *l = &lines[i];

        if (!wanted(s, l) && strncmp(l->work, "load", 4) != 0) continue;
        fprintf(stderr, "run %d: %s\n", run + 1, l->title);
        for (int side = 0; side < 2; side++)
            measured[i][side][run] = measure(s, l, (bench_side)side);
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *v, int n) {
    double sorted[RUNS_MAX];

    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return sorted[n / 2];
}

/* --- the table --- */

static bool less_is_better(const struct line *l) {
    return l->kind == KIND_DISK || l->kind == KIND_MEMORY;
}

/* What is compared with goal and least. */
static double score(const struct line *l, double ours, double plain) {
    if (l->kind == KIND_MEMORY) return ours;
    return plain > 0 ? ours / plain : 0;
}

static const char *verdict(const struct line *l, double x) {
    bool lower = less_is_better(l);

    if (lower ? x <= l->goal : x >= l->goal) return "goal";
    if (lower ? x <= l->least : x >= l->least) return "least";
    return "BELOW";
}

static void format_amount(double x, char *out, size_t n) {
    if (x >= 1e6)
        snprintf(out, n, "%.2fM", x / 1e6);
    else if (x >= 1e4)
        snprintf(out, n, "%.0fk", x / 1e3);
    else
        snprintf(out, n, "%.*f", x < 100 ? 1 : 0, x);
}

static void print_table(const settings *s) {
    printf("\n%lld rows, 16-byte keys, 100-byte values, median of %d; "
           "operations a second\n\n",
           (long long)s->rows, s->runs);
    printf("%-41s %9s %9s %7s %6s %6s\n", "", "nadb", "SQLite", "ratio", "goal",
           "least");
    for (int i = 0; i < LINES; i++) {
        const struct line *l = &lines[i];
        double ours = median(measured[i][0], s->runs);
        double plain = median(measured[i][1], s->runs);
        double x = score(l, ours, plain);
        char a[32], b[32], ratio[32] = "-";

        if (!wanted(s, l)) continue;
        format_amount(ours, a, sizeof a);
        format_amount(plain, b, sizeof b);
        if (plain > 0) snprintf(ratio, sizeof ratio, "%.2f", ours / plain);
        printf("%-41s %9s %9s %7s %6g %6g  %s\n", l->title, a, b, ratio,
               l->goal, l->least, verdict(l, x));
    }
}

static void write_json(const settings *s) {
    FILE *f = fopen(s->json, "w");

    if (f == NULL) bench_fail("%s: %s", s->json, strerror(errno));
    fprintf(f, "{\"rows\":%lld,\"runs\":%d,\"sqlite\":\"%s\",\"lines\":[",
            (long long)s->rows, s->runs, sqlite3_libversion());
    for (int i = 0, n = 0; i < LINES; i++) {
        const struct line *l = &lines[i];
        double ours = median(measured[i][0], s->runs);
        double plain = median(measured[i][1], s->runs);
        double x = score(l, ours, plain);

        if (!wanted(s, l)) continue;
        fprintf(f,
                "%s\n{\"name\":\"%s\",\"nadb\":%.6g,\"sqlite\":%.6g,"
                "\"ratio\":%.4g,\"goal\":%g,\"least\":%g,"
                "\"verdict\":\"%s\"}",
                n++ ? "," : "", l->title, ours, plain,
                plain > 0 ? ours / plain : 0, l->goal, l->least, verdict(l, x));
    }
    fputs("\n]}\n", f);
    fclose(f);
    fprintf(stderr, "results: %s\n", s->json);
}

/* --- the program --- */

static int case_main(char **argv) {
    bench_case c = {
        .work = argv[2],
        .side = strcmp(argv[3], "plain") == 0 ? SIDE_PLAIN : SIDE_NADB,
        .main_db = strcmp(argv[4], "memory") == 0 ? MAIN_MEMORY : MAIN_FILE,
        .synchronous = argv[5],
        .dir = argv[6],
        .rows = strtoll(argv[7], NULL, 10),
        .seconds = strtod(argv[8], NULL),
        .library = argv[9],
    };
    bench_result r = {0};

    if (!bench_work(&c, &r)) bench_fail("no work named %s", c.work);
    printf("%.0f %.9f %.3f\n", r.ops, r.seconds, r.memory_mb);
    return 0;
}

static void parse(settings *s, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--quick") == 0) {
            s->rows = 100000;
            s->runs = 1;
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            s->library = argv[i];
            continue;
        }
        i++;
        if (strcmp(argv[i - 1], "--rows") == 0)
            s->rows = strtoll(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--runs") == 0)
            s->runs = (int)strtol(value, NULL, 10);
        else if (strcmp(argv[i - 1], "--only") == 0)
            s->only = value;
        else if (strcmp(argv[i - 1], "--json") == 0)
            s->json = value;
        else if (strcmp(argv[i - 1], "--dir") == 0)
            s->dir = value;
        else
            bench_fail("unknown option %s", argv[i - 1]);
    }
}

int main(int argc, char **argv) {
    settings s = {
        .program = argv[0], .rows = 1000000, .runs = 3, .seconds = 30};

    if (argc == 10 && strcmp(argv[1], "--case") == 0) return case_main(argv);
    parse(&s, argc, argv);
    if (s.library == NULL || s.dir == NULL || s.rows < 1000 || s.runs < 1 ||
        s.runs > RUNS_MAX)
        bench_fail("usage: bench [--quick] [--rows N] [--runs N] "
                   "[--only TEXT] [--json FILE] --dir FOLDER LIBRARY");
    for (int run = 0; run < s.runs; run++) {
        remove_tree(s.dir);
        mkdir(s.dir, 0755);
        run_all(&s, run);
    }
    remove_tree(s.dir);
    print_table(&s);
    if (s.json != NULL) write_json(&s);
    return 0;
}
