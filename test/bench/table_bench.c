/* table_bench.c - speed of the fs base alone: flush, compaction, get, scan.
 *
 *     table_bench [rows [mmap 0|1 [overwrites]]]
 *
 * Rows of 16 random bytes (17 with the keyspace) and
 * 107 bytes of value, in random order, 4 MB a flush; compaction is stepped
 * after each flush, as nadb-work would. */
#include <time.h>

#include "../../backends/fs/policy.h"
#include "../unit/fs_helper.h"

enum { VALUE = 107, KEY = 17 };

static double now(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(nadb_rc rc, const nadb_err *err) {
    if (rc == NADB_OK) return;
    printf("%s: %s\n", nadb_rc_name(rc), err->msg);
    exit(1);
}

static void make_key(uint64_t i, uint8_t key[KEY]) {
    uint64_t s = i * 2 + 1;
    uint64_t a = rnd(&s), b = rnd(&s);

    key[0] = NADB_KS_ROW;
    memcpy(key + 1, &a, 8);
    memcpy(key + 9, &b, 8);
}

static int by_key(const void *a, const void *b) {
    const nadb_entry *x = a, *y = b;

    return nadb_slice_cmp(x->key, y->key);
}

typedef struct bench {
    fs_store store;
    nadb_base_version *v;
    uint64_t rows, seq;
    double flush_s, compact_s, bytes;
    unsigned steps;
} bench;

static void take(bench *b, nadb_base_version *v) {
    nadb_err err;

    fs_version_unref(b->v);
    b->v = v;
    must(fs_remove_unused(b->store.base, v->generation, &err), &err);
}

static void steps(bench *b) {
    for (;;) {
        nadb_base_version *v;
        nadb_err err;
        double t = now();

        must(fs_compact_step(b->store.base, NULL, &v, &err), &err);
        b->compact_s += now() - t;
        if (v == NULL) return;
        b->steps++;
        take(b, v);
    }
}

static uint64_t permute(uint64_t i, uint64_t n, uint64_t turn) {
    return (i * 2654435761u + turn * 12345) % n;
}

static void load(bench *b, uint64_t turn) {
    enum { BATCH = 32000 };
    static uint8_t keys[BATCH][KEY], values[BATCH][VALUE];
    static nadb_entry entries[BATCH];

    for (uint64_t i = 0; i < b->rows; i += BATCH) {
        size_t n = b->rows - i < BATCH ? (size_t)(b->rows - i) : BATCH;
        nadb_base_version *v;
        nadb_err err;
        double t;

        for (size_t k = 0; k < n; k++) {
            uint64_t s = i + k + turn;

            make_key(permute(i + k, b->rows, turn), keys[k]);
            for (size_t w = 0; w + 8 <= VALUE; w += 16) {
                uint64_t r = rnd(&s);

                memcpy(values[k] + w, &r, 8);
            }
            entries[k].key = nadb_slice_of(keys[k], KEY);
            entries[k].value = nadb_slice_of(values[k], VALUE);
            entries[k].seq = ++b->seq;
        }
        qsort(entries, n, sizeof *entries, by_key);
        b->store.oldest = b->seq;
        b->bytes += (double)n * (KEY + VALUE);
        t = now();
        must(store_flush(&b->store, entries, n, b->seq, 0, &v, &err), &err);
        b->flush_s += now() - t;
        take(b, v);
        steps(b);
    }
}

static uint64_t dir_bytes(const char *dir) {
    char cmd[400];
    unsigned long long n = 0;
    FILE *p;

    snprintf(cmd, sizeof cmd, "du -sb '%s' | cut -f1", dir);
    p = popen(cmd, "r");
    if (p == NULL || fscanf(p, "%llu", &n) != 1) n = 0;
    if (p != NULL) pclose(p);
    return n;
}

static void report_load(bench *b, const char *what) {
    const fs_manifest *m = &((fs_version *)b->v)->m;

    printf("%-12s flush %6.0f MB/s %5.2f Mrows/s | compact %5.2f s in %u "
           "steps | %zu runs %zu tables, %.1f MB (%.1f dead)\n",
           what, b->bytes / b->flush_s / 1e6,
           b->bytes / (KEY + VALUE) / b->flush_s / 1e6, b->compact_s, b->steps,
           m->n_runs, m->n_tables, (double)dir_bytes(b->store.dir) / 1e6,
           fs_dead_bytes(m) / 1e6);
    b->flush_s = b->compact_s = b->bytes = 0;
    b->steps = 0;
}

static void gets(bench *b, bool hit, const char *what) {
    uint64_t s = 7, n = 1000000, found_n = 0;
    nadb_buf scratch = NADB_BUF_INIT;
    double t;

    for (int pass = 0; pass < 2; pass++) {
        found_n = 0;
        t = now();
        for (uint64_t i = 0; i < n; i++) {
            uint8_t key[KEY];
            nadb_entry e;
            nadb_err err;
            bool found;

            make_key(rnd(&s) % b->rows + (hit ? 0 : b->rows), key);
            must(fs_get(b->v, nadb_slice_of(key, KEY), &scratch, &e, &found,
                        &err),
                 &err);
            found_n += found;
        }
        t = now() - t;
    }
    if (found_n != (hit ? n : 0))
        printf("%llu found\n", (unsigned long long)found_n);
    printf("%-12s %s %6.0f k/s  %4.0f ns\n", what,
           hit ? "get hit " : "get miss", (double)n / t / 1e3,
           t / 1e-9 / (double)n);
    nadb_buf_clear(&scratch);
}

static void scan(bench *b, bool reverse, const char *what) {
    nadb_range range = {{NULL, 0}, {NULL, 0}, reverse};
    nadb_iter *it;
    nadb_err err;
    uint64_t n, sum = 0;
    double t = 0;

    for (int pass = 0; pass < 2; pass++) {
        t = now();
        n = 0;
        must(fs_iter(b->v, &range, &it, &err), &err);
        for (must(nadb_iter_next(it, &err), &err); it->valid;
             must(nadb_iter_next(it, &err), &err)) {
            n++;
            sum += it->entry.value.p[5];
        }
        nadb_iter_free(it);
        t = now() - t;
    }
    printf("%-12s scan %s %6.2f Mrows/s (%llu rows, sum %llu)\n", what,
           reverse ? "back" : "fwd ", (double)n / t / 1e6,
           (unsigned long long)n, (unsigned long long)sum);
}

static void ranges(bench *b, const char *what) {
    uint64_t s = 9, n = 20000;
    double t = now();

    for (uint64_t i = 0; i < n; i++) {
        uint8_t key[KEY];
        nadb_range range = {{NULL, 0}, {NULL, 0}, false};
        nadb_iter *it;
        nadb_err err;

        make_key(rnd(&s) % b->rows, key);
        range.lo = nadb_slice_of(key, KEY);
        must(fs_iter(b->v, &range, &it, &err), &err);
        must(nadb_iter_next(it, &err), &err);
        for (int k = 1; k < 100 && it->valid; k++)
            must(nadb_iter_next(it, &err), &err);
        nadb_iter_free(it);
    }
    t = now() - t;
    printf("%-12s range of 100 %6.1f k/s\n", what, (double)n / t / 1e3);
}

static void reads(bench *b, const char *what) {
    gets(b, true, what);
    gets(b, false, what);
    scan(b, false, what);
    scan(b, true, what);
    ranges(b, what);
}

static void open_and_get(bench *b) {
    nadb_buf scratch = NADB_BUF_INIT;
    double t = now();
    uint8_t key[KEY];
    nadb_entry e;
    nadb_err err;
    bool found;

    must(store_open(&b->store, "bench", b->store.env.mmap, &err), &err);
    b->v = (nadb_base_version *)store_version(&b->store, &err);
    make_key(b->rows / 2, key);
    must(fs_get(b->v, nadb_slice_of(key, KEY), &scratch, &e, &found, &err),
         &err);
    printf("open and get %.0f us\n", (now() - t) * 1e6);
    nadb_buf_clear(&scratch);
    fs_version_unref(b->v);
    store_close(&b->store);
}

int main(int argc, char **argv) {
    bench b = {.rows = 1000000};
    nadb_base_version *v;
    nadb_err err;
    int overwrites = argc > 3 ? atoi(argv[3]) : 2;
    double t;

    if (argc > 1) b.rows = strtoul(argv[1], NULL, 10);
    must(store_open(&b.store, "bench", argc <= 2 || argv[2][0] != '0', &err),
         &err);
    load(&b, 0);
    report_load(&b, "loaded");
    reads(&b, "loaded");
    for (int i = 1; i <= overwrites; i++) {
        load(&b, (uint64_t)i);
        report_load(&b, "overwritten");
    }
    t = now();
    must(compact_all(b.store.base, NULL, NULL, &v, &err), &err);
    b.compact_s = now() - t;
    if (v != NULL) take(&b, v);
    report_load(&b, "compacted");
    reads(&b, "compacted");
    fs_version_unref(b.v);
    store_close(&b.store);
    open_and_get(&b);
    return unit_done();
}
