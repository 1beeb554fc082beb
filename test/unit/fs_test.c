/* fs_test.c - the fs base against a model: an array of keys with the value
 * that each should have. Random flushes (puts, tombstones, large values,
 * clears) and compactions; gets, scans both ways and seeks on the newest
 * version and on one that is kept for a while. */
#include "fs_helper.h"

#include "../support/os_test.h"

enum { KEYS = 3000, KEY_SIZE = 64 };

/* Value number `ver` of a key; 0: absent. */
typedef struct model {
    uint32_t ver[KEYS];
} model;

static uint64_t seed;
static uint8_t noise[400000];
static unsigned large_one_in = 400;

/* Keys of several shapes, in rising order with `k`. */
static nadb_slice key_of(unsigned k, char buf[KEY_SIZE]) {
    int n;

    if (k % 3 == 0)
        n = snprintf(buf, KEY_SIZE, "r%c/%06u", 'a' + k / 1000, k);
    else
        n = snprintf(buf, KEY_SIZE, "r%c/%06u/a longer name/%u", 'a' + k / 1000,
                     k - k % 3, k % 3);
    return nadb_slice_of(buf, (size_t)n);
}

static nadb_slice value_of(unsigned k, uint32_t ver) {
    uint64_t s = (uint64_t)k << 32 | ver;
    uint64_t r = rnd(&s);
    size_t n = r % 7 == 0 ? 0 : r % 200;

    if (r % large_one_in == 1) n = 33000 + r % 60000;
    return nadb_slice_of(noise + (r >> 20) % 200000, n);
}

static void init_noise(void) {
    uint64_t s = 1;

    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)rnd(&s);
}

/* --- comparing --- */

static bool entry_is(const nadb_entry *e, unsigned k, uint32_t ver) {
    char buf[KEY_SIZE];

    return nadb_slice_eq(e->key, key_of(k, buf)) &&
           (ver == 0 ? (e->flags & NADB_ENTRY_TOMBSTONE) != 0
                     : (e->flags & NADB_ENTRY_TOMBSTONE) == 0 &&
                           nadb_slice_eq(e->value, value_of(k, ver)));
}

static void check_get(fs_version *v, const model *m, unsigned k) {
    char buf[KEY_SIZE];
    nadb_buf scratch = NADB_BUF_INIT;
    nadb_entry e;
    nadb_err err;
    bool found;

    if (!CHECK_OK(fs_get(&v->pub, key_of(k, buf), &scratch, &e, &found, &err),
                  err))
        return;
    if (found)
        CHECK(entry_is(&e, k, m->ver[k]));
    else
        CHECK(m->ver[k] == 0);
    nadb_buf_clear(&scratch);
}

static void check_misses(fs_version *v, uint64_t *s) {
    for (int i = 0; i < 20; i++) {
        char buf[KEY_SIZE];
        nadb_buf scratch = NADB_BUF_INIT;
        nadb_entry e;
        nadb_err err;
        bool found = true;
        int n = snprintf(buf, sizeof buf, "r%c/%06ux", 'a' + i % 4,
                         (unsigned)(rnd(s) % KEYS));

        CHECK_OK(fs_get(&v->pub, nadb_slice_of(buf, (size_t)n), &scratch, &e,
                        &found, &err),
                 err);
        CHECK(!found);
        nadb_buf_clear(&scratch);
    }
}

/* Steps over the model's absent keys and the iterator's tombstones. */
static void check_walk(nadb_iter *it, const model *m, unsigned lo, unsigned hi,
                       bool reverse, unsigned limit) {
    nadb_err err;
    unsigned k = reverse ? hi : lo;

    for (; limit > 0; limit--) {
        while (it->valid && it->entry.flags & NADB_ENTRY_TOMBSTONE)
            REQUIRE_OK(nadb_iter_next(it, &err), err);
        if (reverse) {
            while (k > lo && m->ver[k - 1] == 0) k--;
            if (k == lo) break;
        } else {
            while (k < hi && m->ver[k] == 0) k++;
            if (k == hi) break;
        }
        REQUIRE(it->valid);
        REQUIRE(entry_is(&it->entry, reverse ? k - 1 : k,
                         m->ver[reverse ? k - 1 : k]));
        k = reverse ? k - 1 : k + 1;
        REQUIRE_OK(nadb_iter_next(it, &err), err);
    }
    if (limit > 0) CHECK(!it->valid);
}

static void check_range(fs_version *v, const model *m, unsigned lo, unsigned hi,
                        bool reverse, bool open_end, uint64_t *s) {
    char a[KEY_SIZE], b[KEY_SIZE], c[KEY_SIZE];
    nadb_range range = {key_of(lo, a), {NULL, 0}, reverse};
    nadb_iter *it;
    nadb_err err;

    if (open_end)
        hi = KEYS;
    else
        range.hi = key_of(hi, b);
    REQUIRE_OK(fs_iter(&v->pub, &range, &it, &err), err);
    CHECK(!it->valid);
    CHECK_OK(nadb_iter_next(it, &err), err);
    check_walk(it, m, lo, hi, reverse, UINT32_MAX);
    for (int i = 0; i < 5; i++) {
        unsigned k = (unsigned)(rnd(s) % KEYS);

        CHECK_OK(nadb_iter_seek(it, key_of(k, c), &err), err);
        if (reverse)
            check_walk(it, m, lo,
                       k + 1 > hi   ? hi
                       : k + 1 < lo ? lo
                                    : k + 1,
                       true, 10);
        else
            check_walk(it, m, k < lo ? lo : k > hi ? hi : k, hi, false, 10);
    }
    nadb_iter_free(it);
}

static void check_version(fs_version *v, const model *m, uint64_t *s) {
    for (int i = 0; i < 100; i++) check_get(v, m, (unsigned)(rnd(s) % KEYS));
    check_misses(v, s);
    for (int i = 0; i < 4; i++) {
        unsigned a = (unsigned)(rnd(s) % KEYS), b = (unsigned)(rnd(s) % KEYS);

        check_range(v, m, a < b ? a : b, a < b ? b : a, i & 1, i == 3, s);
    }
    check_range(v, m, 0, KEYS, rnd(s) & 1, true, s);
}

static void report_line(void *ctx, const char *what) {
    (*(unsigned *)ctx)++;
    if (getenv("NADB_VERBOSE") != NULL) printf("  %s\n", what);
}

static unsigned problems(fs_version *v) {
    unsigned n = 0;
    nadb_err err;

    CHECK_OK(fs_check(&v->pub, report_line, &n, &err), err);
    return n;
}

/* --- random work --- */

typedef struct batch {
    nadb_entry *entries;
    char (*keys)[KEY_SIZE];
    size_t n;
} batch;

/* Changes to some keys, entered in the model as well. */
static batch make_batch(model *m, uint64_t seq, uint32_t ver, uint64_t *s) {
    batch b = {calloc(KEYS, sizeof *b.entries), calloc(KEYS, KEY_SIZE), 0};
    unsigned density = 1 + (unsigned)(rnd(s) % 60);
    unsigned lo = (unsigned)(rnd(s) % KEYS), hi = (unsigned)(rnd(s) % KEYS);

    if (rnd(s) % 2 == 0) lo = 0, hi = KEYS;
    for (unsigned k = lo; k < hi; k++) {
        nadb_entry *e = &b.entries[b.n];

        if (rnd(s) % density != 0) continue;
        e->key = key_of(k, b.keys[b.n]);
        e->seq = seq;
        if (rnd(s) % 4 == 0) {
            e->flags = NADB_ENTRY_TOMBSTONE;
            m->ver[k] = 0;
        } else {
            e->value = value_of(k, ver);
            m->ver[k] = ver;
        }
        b.n++;
    }
    return b;
}

static void free_batch(batch *b) {
    free(b->entries);
    free(b->keys);
}

static void random_work(const char *name, bool mmap, const fs_limits *limits,
                        int rounds) {
    fs_store store = {0};
    model m = {{0}}, kept_model = {{0}};
    nadb_base_version *v = NULL, *kept = NULL;
    uint64_t s = seed, seq = 1, clear = 0;
    nadb_err err;

    REQUIRE_OK(store_open(&store, name, mmap, &err), err);
    if (limits != NULL) ((fs_base *)store.base)->limits = *limits;
    for (int round = 0; round < rounds; round++) {
        nadb_base_version *next = NULL;
        unsigned what = (unsigned)(rnd(&s) % 10);

        store.oldest = seq;
        if (what < 5) {
            batch b;

            seq++;
            if (rnd(&s) % 20 == 0) {
                clear = seq++;
                memset(&m, 0, sizeof m);
            }
            b = make_batch(&m, seq, (uint32_t)round + 1, &s);
            CHECK_OK(
                store_flush(&store, b.entries, b.n, seq, clear, &next, &err),
                err);
            free_batch(&b);
        } else if (what < 8) {
            CHECK_OK(fs_compact_step(store.base, &next, &err), err);
        } else if (what == 8 && rnd(&s) % 4 == 0) {
            CHECK_OK(fs_compact_all(store.base, &next, &err), err);
            if (next != NULL) {
                const fs_manifest *n = &((fs_version *)next)->m;

                CHECK(n->n_runs <= 1);
            }
        } else if (rnd(&s) % 3 == 0) { /* reopen */
            fs_version_unref(v);
            fs_version_unref(kept);
            v = kept = NULL;
            store_close(&store);
            REQUIRE_OK(store_open(&store, name, mmap, &err), err);
            if (limits != NULL) ((fs_base *)store.base)->limits = *limits;
            next = (nadb_base_version *)store_version(&store, &err);
            REQUIRE(next != NULL);
            CHECK_U64(next->seq, seq == 1 ? 0 : seq);
        }
        if (next != NULL) {
            fs_version_unref(v);
            v = next;
        }
        if (v == NULL) continue;
        check_version((fs_version *)v, &m, &s);
        if (kept != NULL) check_version((fs_version *)kept, &kept_model, &s);
        if (kept == NULL || rnd(&s) % 5 == 0) {
            fs_version_unref(kept);
            kept = v;
            fs_version_ref(kept);
            kept_model = m;
        }
        CHECK_OK(fs_remove_unused(
                     store.base, rnd(&s) % 2 ? v->generation : kept->generation,
                     &err),
                 err);
        if (unit.bad_checks > 0) {
            printf("round %d\n", round);
            break;
        }
    }
    if (v != NULL) CHECK_U64(problems((fs_version *)v), 0);
    fs_version_unref(v);
    fs_version_unref(kept);
    store_close(&store);
}

/* Many tables, several .val files, and sweeps of many steps. */
static const fs_limits tiny = {20000, 300000, 60000, 5000};

static void test_random(void) { random_work("large", true, NULL, 200); }
static void test_random_tiny(void) { random_work("tiny", true, &tiny, 600); }
static void test_random_pread(void) { random_work("pread", false, &tiny, 200); }

int main(int argc, char **argv) {
    seed = (uint64_t)getpid();
    if (argc > 1) seed = strtoul(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    init_noise();
    RUN(test_random);
    RUN(test_random_tiny);
    RUN(test_random_pread);
    return unit_done();
}
