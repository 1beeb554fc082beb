/* fs_fault_test.c - the fs base when things go wrong, and what it promises
 * about files: every call and allocation fails in turn (a choice of them; all
 * with NADB_SOAK); bits flip; files left by a crash go and files in use stay;
 * space stays bounded. */
#include "../../backends/fs/policy.h"
#include "../support/os_test.h"
#include "fs_helper.h"

#include <dirent.h>

enum { KEYS = 300 };

static const fs_limits tiny = {4000, 100000, 8000, 2000};

/* --- a small world: key i has the value of turn `turn` if i % step == 0 --- */

typedef struct world {
    nadb_entry entries[KEYS];
    char keys[KEYS][16];
    char values[KEYS][64];
    size_t n;
} world;

static uint8_t big[70000];

static nadb_slice value_of(unsigned i, unsigned turn, char buf[64]) {
    int n = snprintf(buf, 64, "value %u of turn %u", i, turn);

    if (i % 50 == 7) return nadb_slice_of(big + turn, 33000 + i * 100);
    return nadb_slice_of(buf, (size_t)n);
}

static void make_world(world *w, unsigned turn, unsigned step) {
    w->n = 0;
    for (unsigned i = 0; i < KEYS; i += step) {
        nadb_entry *e = &w->entries[w->n];

        memset(e, 0, sizeof *e);
        snprintf(w->keys[w->n], 16, "rkey%06u", i);
        e->key = nadb_slice_str(w->keys[w->n]);
        e->seq = turn;
        if (i % 11 == 0 && turn > 1)
            e->flags = NADB_ENTRY_TOMBSTONE;
        else
            e->value = value_of(i, turn, w->values[w->n]);
        w->n++;
    }
}

static nadb_rc flush_world(fs_store *s, unsigned turn, unsigned step,
                           nadb_base_version **out, nadb_err *err) {
    world *w = malloc(sizeof *w);
    nadb_rc rc;

    make_world(w, turn, step);
    s->oldest = turn;
    rc = store_flush(s, w->entries, w->n, turn, 0, out, err);
    free(w);
    return rc;
}

static void init_big(void) {
    uint64_t s = 5;

    for (size_t i = 0; i < sizeof big; i++) big[i] = (uint8_t)rnd(&s);
}

static void open_tiny(fs_store *s, const char *name, bool mmap) {
    nadb_err err;

    memset(s, 0, sizeof *s);
    if (CHECK_OK(store_open(s, name, mmap, &err), err))
        ((fs_base *)s->base)->limits = tiny;
}

/* What key i is after turns 1 .. `turns`, turn t having step t. */
static unsigned last_turn(unsigned i, unsigned turns) {
    while (turns > 0 && i % turns != 0) turns--;
    return turns;
}

/* The number of keys that are wrong; errors count only if `strict`. */
static unsigned wrong_keys(fs_version *v, unsigned turns, bool strict) {
    nadb_buf scratch = NADB_BUF_INIT;
    unsigned wrong = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        char key[16], buf[64];
        unsigned turn = last_turn(i, turns);
        bool there = turn > 0 && (turn == 1 || i % 11 != 0);
        nadb_entry e;
        bool found;

        snprintf(key, sizeof key, "rkey%06u", i);
        if (fs_get(&v->pub, nadb_slice_str(key), &scratch, &e, &found, NULL) !=
            NADB_OK) {
            wrong += strict;
            continue;
        }
        if (found && e.flags & NADB_ENTRY_TOMBSTONE) found = false;
        if (found != there ||
            (found && !nadb_slice_eq(e.value, value_of(i, turn, buf))))
            wrong++;
    }
    nadb_buf_clear(&scratch);
    return wrong;
}

/* As wrong_keys(), by a scan: an error ends it, but what came is right. */
static bool scan_right(fs_version *v, unsigned turns, bool reverse) {
    nadb_range range = {{NULL, 0}, {NULL, 0}, reverse};
    nadb_iter *it;
    bool right = true;

    if (fs_iter(&v->pub, &range, &it, NULL) != NADB_OK) return true;
    while (nadb_iter_next(it, NULL) == NADB_OK && it->valid) {
        char buf[64], digits[8] = {0};
        unsigned i, turn;

        if (it->entry.key.n != 10) {
            right = false;
            break;
        }
        memcpy(digits, it->entry.key.p + 4, 6);
        i = (unsigned)strtoul(digits, NULL, 10);
        turn = last_turn(i, turns);
        if (turn == 0 ||
            !nadb_slice_eq(it->entry.value, value_of(i, turn, buf)))
            right = false;
    }
    nadb_iter_free(it);
    return right;
}

static void count_line(void *ctx, const char *what) {
    (*(unsigned *)ctx)++;
    if (getenv("NADB_VERBOSE") != NULL) printf("  %s\n", what);
}

static unsigned problems(fs_version *v) {
    unsigned n = 0;
    nadb_err err;

    CHECK_OK(fs_check(&v->pub, count_line, &n, &err), err);
    return n;
}

/* Files of the store but MANIFEST. */
static unsigned count_files(const char *dir) {
    DIR *d = opendir(dir);
    struct dirent *e;
    unsigned n = 0;

    while (d != NULL && (e = readdir(d)) != NULL)
        n += e->d_name[0] != '.' && strcmp(e->d_name, "MANIFEST") != 0;
    if (d != NULL) closedir(d);
    return n;
}

/* Files that the version names. */
static unsigned named(const fs_version *v) {
    return (unsigned)(v->m.n_tables + v->m.n_vals);
}

/* --- faults --- */

typedef struct progress {
    unsigned done; /* turns whose flush returned OK */
    bool failed;
} progress;

static void keep(nadb_base_version **v, nadb_base_version *next) {
    if (next == NULL) return;
    fs_version_unref(*v);
    *v = next;
}

/* Flushes, compacts, reads, removes; goes on after failures, as the core
 * does. What is read is right or an error. */
static progress work(fs_store *s) {
    progress p = {0, false};
    nadb_base_version *v = NULL, *next = NULL;

    for (unsigned turn = 1; turn <= 4; turn++) {
        if (flush_world(s, turn, turn, &next, NULL) != NADB_OK) {
            CHECK(next == NULL);
            p.failed = true;
            break; /* a later turn must not get there before this one */
        }
        p.done = turn;
        keep(&v, next);
        p.failed |= fs_compact_step(s->base, NULL, &next, NULL) != NADB_OK;
        keep(&v, next);
        CHECK_U64(wrong_keys((fs_version *)v, turn, false), 0);
        CHECK(scan_right((fs_version *)v, turn, turn % 2 == 0));
    }
    if (v != NULL) {
        p.failed |= compact_all(s->base, NULL, NULL, &next, NULL) != NADB_OK;
        keep(&v, next);
        /* A flush that failed after its rename is there all the same. */
        CHECK(v->seq == p.done || v->seq == p.done + 1);
        CHECK_U64(wrong_keys((fs_version *)v, (unsigned)v->seq, false), 0);
        p.failed |= fs_remove_unused(s->base, v->generation, NULL) != NADB_OK;
    }
    fs_version_unref(v);
    return p;
}

/* The store after the fault is over: old or new state, whole, and usable. */
static void after_fault(const char *name, progress p) {
    fs_store s;
    fs_version *v;
    nadb_base_version *next = NULL;
    nadb_err err;
    uint64_t turns;

    open_tiny(&s, name, true);
    s.files = 1000;
    v = store_version(&s, &err);
    if (!CHECK(v != NULL)) {
        printf("%s\n", err.msg);
        return;
    }
    turns = v->pub.seq;
    CHECK(turns == p.done || turns == p.done + 1u);
    CHECK_U64(wrong_keys(v, (unsigned)turns, true), 0);
    CHECK_U64(problems(v), 0);
    for (unsigned turn = (unsigned)turns + 1; turn <= 5; turn++) {
        CHECK_OK(flush_world(&s, turn, turn, &next, &err), err);
        fs_version_unref(&v->pub);
        v = (fs_version *)next;
    }
    CHECK_OK(compact_all(s.base, NULL, NULL, &next, &err), err);
    if (next != NULL) {
        fs_version_unref(&v->pub);
        v = (fs_version *)next;
    }
    CHECK_U64(wrong_keys(v, 5, true), 0);
    CHECK_OK(fs_remove_unused(s.base, v->pub.generation, &err), err);
    CHECK_U64(count_files(s.dir), named(v));
    fs_version_unref(&v->pub);
    store_close(&s);
}

/* Call number nth of the class fails. False when there are not so many. */
static bool one_fault(const char *cls, uint64_t nth, bool persistent,
                      bool mmap) {
    char name[64];
    uint64_t fired = 0;
    progress p = {0, true};
    fs_store s;
    static unsigned turn;

    snprintf(name, sizeof name, "fault%u", turn++);
    open_tiny(&s, name, mmap);
    CHECK(test_fault_set(cls, nth, nth % 3 == 0 ? "ENOSPC" : "EIO", persistent,
                         NULL));
    p = work(&s);
    test_fault_clear(NULL, &fired);
    store_close(&s);
    if (strcmp(cls, "unlink") != 0 && strcmp(cls, "malloc") != 0 &&
        strcmp(cls, "any") != 0 && fired > 0 && strcmp(cls, "open") != 0 &&
        strcmp(cls, "pread") != 0 && strcmp(cls, "stat") != 0 &&
        strcmp(cls, "map") != 0)
        CHECK(p.failed);
    after_fault(name, p);
    {
        char cmd[400];

        snprintf(cmd, sizeof cmd, "rm -rf '%s'", unit_path(name));
        CHECK(system(cmd) == 0);
    }
    if (unit.bad_checks > 0)
        printf("fault: %s %llu%s\n", cls, (unsigned long long)nth,
               persistent ? " and later" : "");
    return fired > 0 && unit.bad_checks == 0;
}

/* Every `stride`-th call alone, and some from which on all fail. NADB_SOAK:
 * every single one. */
static void fault_class(const char *cls, unsigned stride, bool mmap) {
    bool all = getenv("NADB_SOAK") != NULL;
    unsigned once = all ? 1 : stride, from = all ? 1 : 7 * stride;
    unsigned runs = 0;

    for (uint64_t nth = 1; one_fault(cls, nth, false, mmap); nth += once)
        runs++;
    for (uint64_t nth = 1; one_fault(cls, nth, true, mmap); nth += from) runs++;
    printf("%s: %u runs with a fault\n", cls, runs);
}

static void test_fault_open(void) { fault_class("open", 1, true); }
static void test_fault_pread(void) { fault_class("pread", 37, false); }
static void test_fault_pwrite(void) { fault_class("pwrite", 1, true); }
static void test_fault_sync(void) { fault_class("sync", 1, true); }
static void test_fault_map(void) { fault_class("map", 1, true); }
static void test_fault_rename(void) { fault_class("rename", 1, true); }
static void test_fault_unlink(void) { fault_class("unlink", 1, true); }
static void test_fault_sync_dir(void) { fault_class("sync_dir", 1, true); }
static void test_fault_stat(void) { fault_class("stat", 1, true); }
static void test_fault_list(void) { fault_class("list", 1, true); }
static void test_faulty_malloc(void) { fault_class("malloc", 11, true); }
static void test_faulty_malloc_pread(void) { fault_class("malloc", 97, false); }

/* The entries themselves cannot be read: nothing changes. */
static void test_fault_entries(void) {
    fs_store s;
    world *w = malloc(sizeof *w);
    nadb_base_version *v = NULL;
    nadb_err err;
    array_iter it;
    nadb_flush_req req = {NULL, 0, 0, 3, 2, 0, &not_counted};

    open_tiny(&s, "entries", true);
    make_world(w, 2, 1);
    it = array_iter_of(w->entries, w->n);
    it.fail_at = 100;
    req.entries = &it.it;
    CHECK(s.base->ops->flush(s.base, &req, &v, &err) == NADB_IOERR);
    CHECK(v == NULL);
    CHECK_STR(err.msg, "no entry");
    CHECK_U64(count_files(s.dir), 0);
    free(w);
    store_close(&s);
}

/* --- flipped bits --- */

static void flip(const char *path, uint64_t bit) {
    FILE *f = fopen(path, "r+b");
    int c;

    if (!CHECK(f != NULL)) return;
    fseek(f, (long)(bit / 8), SEEK_SET);
    c = fgetc(f);
    fseek(f, (long)(bit / 8), SEEK_SET);
    fputc(c ^ 1 << bit % 8, f);
    fclose(f);
}

/* One bit of one file is wrong: opening, reading or check says so, and no
 * value is wrong. */
static void flipped(const char *name, const char *path, uint64_t bit,
                    bool mmap) {
    fs_store s;
    fs_version *v;
    nadb_err err;

    flip(path, bit);
    open_tiny(&s, name, mmap);
    v = store_version(&s, &err);
    if (v != NULL) {
        CHECK_U64(wrong_keys(v, 3, false), 0);
        CHECK(scan_right(v, 3, bit % 2));
        CHECK(problems(v) > 0);
        fs_version_unref(&v->pub);
    } else {
        CHECK(err.rc == NADB_CORRUPT);
    }
    store_close(&s);
    flip(path, bit);
}

static void test_flipped_bits(void) {
    fs_store s;
    nadb_base_version *v = NULL;
    fs_version *own;
    nadb_err err;
    uint64_t seed = (uint64_t)getpid();
    struct {
        char path[300];
        uint64_t size;
    } files[64];
    size_t n = 0;

    printf("seed %llu\n", (unsigned long long)seed);
    open_tiny(&s, "flips", true);
    for (unsigned turn = 1; turn <= 3; turn++) {
        fs_version_unref(v);
        REQUIRE_OK(flush_world(&s, turn, turn, &v, &err), err);
    }
    own = (fs_version *)v;
    for (size_t i = 0; i < own->m.n_tables && n < 60; i++) {
        files[n].size = own->m.tables[i].size;
        snprintf(files[n++].path, 300, "%s/%06llu.sst", s.dir,
                 (unsigned long long)own->m.tables[i].number);
    }
    for (size_t i = 0; i < own->m.n_vals && n < 63; i++) {
        files[n].size = own->m.vals[i].size;
        snprintf(files[n++].path, 300, "%s/%06llu.val", s.dir,
                 (unsigned long long)own->m.vals[i].number);
    }
    snprintf(files[n].path, 300, "%s/MANIFEST", s.dir);
    files[n++].size = 100;
    CHECK_U64(problems(own), 0);
    fs_version_unref(v);
    store_close(&s);
    for (unsigned i = 0; i < 1000; i++) {
        size_t f = (size_t)(rnd(&seed) % n);

        flipped("flips", files[f].path, rnd(&seed) % (8 * files[f].size),
                i % 2 == 0);
        if (unit.bad_checks > 0) {
            printf("%s\n", files[f].path);
            return;
        }
    }
}

/* --- files --- */

static void test_files_in_use_stay(void) {
    fs_store s;
    nadb_base_version *old = NULL, *v = NULL;
    nadb_err err;
    unsigned n;

    open_tiny(&s, "unused", true);
    REQUIRE_OK(flush_world(&s, 1, 1, &old, &err), err);
    REQUIRE_OK(flush_world(&s, 2, 1, &v, &err), err);
    fs_version_unref(v);
    REQUIRE_OK(compact_all(s.base, NULL, NULL, &v, &err), err);
    n = named((fs_version *)v);
    /* Another process may be at the old generation. */
    CHECK_OK(fs_remove_unused(s.base, old->generation, &err), err);
    CHECK(count_files(s.dir) > n);
    /* No other process, but this one still reads it. */
    CHECK_OK(fs_remove_unused(s.base, v->generation, &err), err);
    CHECK(count_files(s.dir) > n);
    CHECK_U64(wrong_keys((fs_version *)old, 1, true), 0);
    fs_version_unref(old);
    CHECK_OK(fs_remove_unused(s.base, v->generation, &err), err);
    CHECK_U64(count_files(s.dir), n);
    fs_version_unref(v);
    store_close(&s);
}

static void touch(const char *dir, const char *name) {
    char path[300];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    if (CHECK(f != NULL)) fclose(f);
}

static void test_left_by_a_crash(void) {
    fs_store s;
    nadb_base_version *v = NULL;
    nadb_err err;

    open_tiny(&s, "crash", true);
    REQUIRE_OK(flush_world(&s, 1, 150, &v, &err), err);
    touch(s.dir, "000900.sst");
    touch(s.dir, "000901.val");
    touch(s.dir, "MANIFEST.tmp");
    touch(s.dir, "000002.log"); /* not ours: */
    touch(s.dir, "control");
    touch(s.dir, "1.sst");
    touch(s.dir, "000001.sst.bak");
    CHECK_OK(fs_remove_unused(s.base, v->generation - 1, &err), err);
    CHECK_U64(count_files(s.dir), 1 + 6); /* not yet; but MANIFEST.tmp */
    CHECK_OK(fs_remove_unused(s.base, v->generation, &err), err);
    CHECK_U64(count_files(s.dir), 1 + 4);
    fs_version_unref(v);
    store_close(&s);
}

/* Another process dropped the files: this base learns it from MANIFEST. */
static void test_dropped_by_another(void) {
    fs_store a, b;
    nadb_base_version *v = NULL, *w = NULL;
    nadb_err err;
    unsigned n;

    open_tiny(&a, "two", true);
    open_tiny(&b, "two", false);
    REQUIRE_OK(flush_world(&a, 1, 1, &v, &err), err);
    fs_version_unref(v);
    b.files = 500;
    REQUIRE_OK(flush_world(&b, 2, 1, &w, &err), err);
    fs_version_unref(w);
    REQUIRE_OK(compact_all(b.base, NULL, NULL, &w, &err), err);
    n = named((fs_version *)w);
    CHECK_OK(fs_remove_unused(a.base, w->generation - 1, &err), err);
    CHECK(count_files(a.dir) > n);
    CHECK_OK(fs_remove_unused(a.base, w->generation, &err), err);
    CHECK_U64(count_files(a.dir), n);
    v = (nadb_base_version *)store_version(&a, &err);
    REQUIRE(v != NULL);
    CHECK_U64(v->generation, w->generation);
    fs_version_unref(v);
    fs_version_unref(w);
    store_close(&a);
    store_close(&b);
}

/* --- clears, order, space --- */

static void test_clear(void) {
    fs_store s;
    world *w = malloc(sizeof *w);
    nadb_base_version *v = NULL, *next = NULL;
    nadb_err err;

    open_tiny(&s, "clear", true);
    REQUIRE_OK(flush_world(&s, 1, 1, &v, &err), err);
    fs_version_unref(v);
    REQUIRE_OK(compact_all(s.base, NULL, NULL, &v, &err),
               err); /* seqs become 0 */
    fs_version_unref(v);
    make_world(w, 10, 100);
    REQUIRE_OK(store_flush(&s, w->entries, w->n, 10, 9, &next, &err), err);
    v = next;
    CHECK_U64(((fs_version *)v)->m.n_runs, 1);
    CHECK_U64(((fs_version *)v)->m.tables[0].count, 2); /* one tombstone */
    CHECK_U64(((fs_version *)v)->m.n_vals, 0);
    CHECK_OK(fs_remove_unused(s.base, v->generation, &err), err);
    CHECK_U64(count_files(s.dir), 1);
    fs_version_unref(v);
    /* Entries at or below the clear do not come back. */
    make_world(w, 10, 1);
    REQUIRE_OK(store_flush(&s, w->entries, w->n, 11, 11, &v, &err), err);
    CHECK_U64(((fs_version *)v)->m.n_tables, 0);
    fs_version_unref(v);
    free(w);
    store_close(&s);
}

/* A reference that cannot be decoded, and one to a file that MANIFEST does not
 * name. */
static void test_bad_references(void) {
    fs_store s;
    fs_version *fs;
    fs_manifest m;
    nadb_base_version *v = NULL;
    nadb_buf scratch = NADB_BUF_INIT;
    nadb_slice out;
    nadb_entry e;
    uint64_t id;
    char want[400];
    nadb_err err;
    bool found = false;

    open_tiny(&s, "references", true);
    REQUIRE_OK(flush_world(&s, 1, 1, &v, &err), err);
    CHECK(((fs_version *)v)->m.n_vals > 0);
    CHECK_OK(
        fs_get(v, nadb_slice_str("rkey000007"), &scratch, &e, &found, &err),
        err);
    CHECK(found && e.value.n == 33700);
    CHECK(fs_resolve((fs_version *)v, nadb_slice_str("\xff\xff"), &scratch,
                     &out, &id, &err) == NADB_CORRUPT);
    snprintf(want, sizeof want, "%s: a bad reference to a large value", s.dir);
    CHECK_STR(err.msg, want);
    fs_version_unref(v);
    store_close(&s);

    home_init(&s.home, s.dir);
    REQUIRE_OK(fs_manifest_read(&s.home, &m, &err), err);
    snprintf(want, sizeof want,
             "%s: a table refers to values in %06llu.val, which MANIFEST does "
             "not name",
             s.dir, (unsigned long long)m.vals[0].number);
    m.n_vals = 0;
    CHECK_OK(fs_manifest_write(&s.home, &m, &err), err);
    fs_manifest_clear(&m);
    home_clear(&s.home);
    open_tiny(&s, "references", true);
    fs = store_version(&s, &err);
    REQUIRE(fs != NULL);
    CHECK(fs_get(&fs->pub, nadb_slice_str("rkey000007"), &scratch, &e, &found,
                 &err) == NADB_CORRUPT);
    CHECK_STR(err.msg, want);
    CHECK_OK(fs_get(&fs->pub, nadb_slice_str("rkey000008"), &scratch, &e,
                    &found, &err),
             err);
    CHECK(found);
    fs_version_unref(&fs->pub);
    nadb_buf_clear(&scratch);
    store_close(&s);
}

/* Rows that come in key order are written once. */
static void test_key_order_is_moved(void) {
    fs_store s;
    nadb_base_version *v = NULL, *next;
    nadb_err err;
    uint64_t number = 0;

    open_tiny(&s, "order", true);
    for (unsigned turn = 1; turn <= 40; turn++) {
        nadb_entry e[100];
        char keys[100][16];

        memset(e, 0, sizeof e);
        for (unsigned i = 0; i < 100; i++) {
            snprintf(keys[i], 16, "rk%08u", turn * 1000 + i);
            e[i].key = nadb_slice_str(keys[i]);
            e[i].value = nadb_slice_of(big, 30);
            e[i].seq = turn;
        }
        s.oldest = turn;
        fs_version_unref(v);
        REQUIRE_OK(store_flush(&s, e, 100, turn, 0, &v, &err), err);
        for (;;) {
            REQUIRE_OK(fs_compact_step(s.base, NULL, &next, &err), err);
            if (next == NULL) break;
            keep(&v, next);
        }
        number = s.files;
    }
    CHECK_U64(number, 40); /* a file a flush, none for compaction */
    CHECK(((fs_version *)v)->m.n_runs <= 4);
    fs_version_unref(v);
    store_close(&s);
}

static double stored;

static void take_stat(void *ctx, const char *name, double value) {
    if (strcmp(name, ctx) == 0) stored = value;
}

/* Ten times over, without a call for compact_all; large values too. */
static void test_space(void) {
    fs_store s;
    nadb_base_version *v = NULL, *next;
    char stat_name[] = "stored_bytes";
    double live;
    nadb_err err;

    open_tiny(&s, "space", true);
    ((fs_base *)s.base)->limits.step_bytes = 100000;
    for (unsigned turn = 1; turn <= 11; turn++) {
        fs_version_unref(v);
        REQUIRE_OK(flush_world(&s, turn, 1, &v, &err), err);
        for (;;) {
            REQUIRE_OK(fs_compact_step(s.base, NULL, &next, &err), err);
            if (next == NULL) break;
            keep(&v, next);
        }
    }
    fs_stats(v, take_stat, stat_name);
    live = stored;
    REQUIRE_OK(compact_all(s.base, NULL, NULL, &next, &err), err);
    keep(&v, next);
    fs_stats(v, take_stat, stat_name);
    CHECK(live <= 1.5 * stored);
    fs_version_unref(v);
    store_close(&s);
}

int main(void) {
    init_big();
    RUN(test_fault_open);
    RUN(test_fault_pread);
    RUN(test_fault_pwrite);
    RUN(test_fault_sync);
    RUN(test_fault_map);
    RUN(test_fault_rename);
    RUN(test_fault_unlink);
    RUN(test_fault_sync_dir);
    RUN(test_fault_stat);
    RUN(test_fault_list);
    RUN(test_faulty_malloc);
    RUN(test_faulty_malloc_pread);
    RUN(test_fault_entries);
    RUN(test_flipped_bits);
    RUN(test_files_in_use_stay);
    RUN(test_left_by_a_crash);
    RUN(test_dropped_by_another);
    RUN(test_clear);
    RUN(test_bad_references);
    RUN(test_key_order_is_moved);
    RUN(test_space);
    return unit_done();
}
