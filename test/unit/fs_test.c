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

/* Steps over the model's absent keys. */
static void check_walk(nadb_iter *it, const model *m, unsigned lo, unsigned hi,
                       bool reverse, unsigned limit) {
    nadb_err err;
    unsigned k = reverse ? hi : lo;

    for (; limit > 0; limit--) {
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

typedef struct worker {
    const char *name;
    bool mmap;
    const fs_limits *limits;
    fs_store store;
    model m;
    uint64_t s, seq, clear;
} worker;

static void open_worker(worker *w) {
    nadb_err err;

    if (!CHECK_OK(store_open(&w->store, w->name, w->mmap, &err), err)) return;
    if (w->limits != NULL) ((fs_base *)w->store.base)->limits = *w->limits;
}

static void flush_some(worker *w, uint32_t ver, nadb_base_version **next) {
    nadb_err err;
    batch b;

    w->seq++;
    if (rnd(&w->s) % 20 == 0) {
        w->clear = w->seq++;
        memset(&w->m, 0, sizeof w->m);
    }
    b = make_batch(&w->m, w->seq, ver, &w->s);
    CHECK_OK(
        store_flush(&w->store, b.entries, b.n, w->seq, w->clear, next, &err),
        err);
    free_batch(&b);
}

static bool enough(void *ctx) { return rnd(&((worker *)ctx)->s) % 4 == 0; }

/* One random step; *next is the new state, if there is one. Versions do not
 * outlive their base: reopening drops them. */
static void one_step(worker *w, uint32_t ver, nadb_base_version **v,
                     nadb_base_version **kept, nadb_base_version **next) {
    unsigned what = (unsigned)(rnd(&w->s) % 10);
    nadb_err err;

    *next = NULL;
    w->store.oldest = w->seq;
    if (what < 5) {
        flush_some(w, ver, next);
    } else if (what < 8) {
        CHECK_OK(fs_compact_step(w->store.base, NULL, next, &err), err);
    } else if (what == 8 && rnd(&w->s) % 4 == 0) {
        nadb_rc rc = compact_all(w->store.base, enough, w, next, &err);

        if (rc == NADB_INTERRUPT) /* what it came to is there */
            *next = (nadb_base_version *)store_version(&w->store, &err);
        else if (CHECK_OK(rc, err) && *next != NULL)
            CHECK(((fs_version *)*next)->m.n_runs <= 1);
    } else if (rnd(&w->s) % 3 == 0) { /* reopen */
        fs_version_unref(*v);
        fs_version_unref(*kept);
        *v = *kept = NULL;
        store_close(&w->store);
        open_worker(w);
        *next = (nadb_base_version *)store_version(&w->store, &err);
        if (CHECK(*next != NULL))
            CHECK_U64((*next)->seq, w->seq == 1 ? 0 : w->seq);
    }
}

static void random_work(const char *name, bool mmap, const fs_limits *limits,
                        int rounds) {
    worker w = {.name = name, .mmap = mmap, .limits = limits};
    model kept_model = {{0}};
    nadb_base_version *v = NULL, *kept = NULL;
    nadb_err err;

    w.s = seed;
    w.seq = 1;
    open_worker(&w);
    for (int round = 0; round < rounds && unit.bad_checks == 0; round++) {
        nadb_base_version *next;

        one_step(&w, (uint32_t)round + 1, &v, &kept, &next);
        if (next != NULL) {
            fs_version_unref(v);
            v = next;
        }
        if (v == NULL) continue;
        check_version((fs_version *)v, &w.m, &w.s);
        if (kept != NULL) check_version((fs_version *)kept, &kept_model, &w.s);
        if (kept == NULL || rnd(&w.s) % 5 == 0) {
            fs_version_unref(kept);
            kept = v;
            fs_version_ref(kept);
            kept_model = w.m;
        }
        CHECK_OK(fs_remove_unused(w.store.base,
                                  (rnd(&w.s) % 2 ? v : kept)->generation, &err),
                 err);
        if (unit.bad_checks > 0) printf("round %d\n", round);
    }
    if (v != NULL) CHECK_U64(problems((fs_version *)v), 0);
    fs_version_unref(v);
    fs_version_unref(kept);
    store_close(&w.store);
}

/* Many tables, several .val files, and sweeps of many steps. */
static const fs_limits tiny = {20000, 300000, 60000, 5000};

static void test_random(void) { random_work("large", true, NULL, 200); }
static void test_random_tiny(void) { random_work("tiny", true, &tiny, 600); }
static void test_random_pread(void) { random_work("pread", false, &tiny, 200); }

/* --- threads: readers of shared versions beside a writer --- */

enum { THREAD_KEYS = 200, TURNS = 60 };

typedef struct shared {
    fs_store store;
    nadb_mutex lock; /* guards v */
    nadb_base_version *v;
    _Atomic bool done;
    _Atomic unsigned wrong;
    _Atomic unsigned reads;
} shared;

/* In each version every key has the version's number as its value. */
static void read_once(shared *sh, bool reverse) {
    nadb_range range = {{NULL, 0}, {NULL, 0}, reverse};
    nadb_buf scratch = NADB_BUF_INIT;
    nadb_base_version *v;
    nadb_iter *it = NULL;
    unsigned n = 0;

    nadb_lock(&sh->lock);
    v = sh->v;
    fs_version_ref(v);
    nadb_unlock(&sh->lock);
    for (unsigned k = 0; k < THREAD_KEYS; k++) {
        char buf[KEY_SIZE];
        nadb_entry e;
        bool found;

        if (fs_get(v, key_of(k, buf), &scratch, &e, &found, NULL) != NADB_OK ||
            !found || nadb_get_u64(e.value.p) != v->seq)
            sh->wrong++;
    }
    if (fs_iter(v, &range, &it, NULL) != NADB_OK) sh->wrong++;
    while (it != NULL && nadb_iter_next(it, NULL) == NADB_OK && it->valid) {
        if (nadb_get_u64(it->entry.value.p) != v->seq) sh->wrong++;
        n++;
    }
    if (n != THREAD_KEYS) sh->wrong++;
    sh->reads++;
    nadb_iter_free(it);
    nadb_buf_clear(&scratch);
    fs_version_unref(v);
}

static void *reader(void *arg) {
    shared *sh = arg;

    for (bool reverse = false; !sh->done; reverse = !reverse)
        read_once(sh, reverse);
    return NULL;
}

static void swap_version(shared *sh, nadb_base_version *next) {
    nadb_base_version *old;

    if (next == NULL) return;
    nadb_lock(&sh->lock);
    old = sh->v;
    sh->v = next;
    nadb_unlock(&sh->lock);
    fs_version_unref(old);
}

static void write_turn(shared *sh, uint64_t turn) {
    static nadb_entry entries[THREAD_KEYS];
    static char keys[THREAD_KEYS][KEY_SIZE];
    static uint8_t value[64];
    nadb_base_version *next = NULL;
    nadb_err err;

    nadb_put_u64(value, turn);
    for (unsigned k = 0; k < THREAD_KEYS; k++) {
        entries[k].key = key_of(k, keys[k]);
        entries[k].value = nadb_slice_of(value, sizeof value);
        entries[k].seq = turn;
    }
    sh->store.oldest = turn;
    CHECK_OK(
        store_flush(&sh->store, entries, THREAD_KEYS, turn, 0, &next, &err),
        err);
    swap_version(sh, next);
    CHECK_OK(fs_compact_step(sh->store.base, NULL, &next, &err), err);
    swap_version(sh, next);
    CHECK_OK(fs_remove_unused(sh->store.base, sh->v->generation, &err), err);
}

static void test_threads(void) {
    static shared sh;
    pthread_t threads[3];
    nadb_err err;

    REQUIRE_OK(store_open(&sh.store, "threads", true, &err), err);
    ((fs_base *)sh.store.base)->limits = tiny;
    REQUIRE_OK(nadb_mutex_init(&sh.lock, NADB_RANK_VERSION, &err), err);
    write_turn(&sh, 1);
    for (int i = 0; i < 3; i++)
        CHECK_OK(nadb_thread_start(&threads[i], "reader", reader, &sh, &err),
                 err);
    for (uint64_t turn = 2; turn <= TURNS; turn++) write_turn(&sh, turn);
    sh.done = true;
    for (int i = 0; i < 3; i++) nadb_thread_join(threads[i]);
    CHECK_U64(sh.wrong, 0);
    CHECK(sh.reads > 0);
    fs_version_unref(sh.v);
    nadb_mutex_clear(&sh.lock);
    store_close(&sh.store);
}

int main(int argc, char **argv) {
    seed = (uint64_t)getpid();
    if (argc > 1) seed = strtoul(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    init_noise();
    RUN(test_random);
    RUN(test_random_tiny);
    RUN(test_random_pread);
    RUN(test_threads);
    return unit_done();
}
