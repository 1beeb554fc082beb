/* manifest_test.c - MANIFEST: what is encoded is decoded; damage, a newer
 * format and a missing file are refused with words that help; which compaction
 * is due. */
#include "../../backends/fs/output.h"
#include "../../backends/fs/policy.h"
#include "fs_helper.h"

enum { MB = 1 << 20 };

/* --- making one --- */

static fs_meta table(uint64_t number, const char *lo, const char *hi,
                     uint64_t size) {
    fs_meta t = {.number = number,
                 .size = size,
                 .count = 1000,
                 .min_seq = 1,
                 .max_seq = number,
                 .lo = nadb_slice_str(lo),
                 .hi = nadb_slice_str(hi)};

    return t;
}

/* An empty manifest with room. */
static void begin(fs_manifest *m) {
    fs_manifest none;
    nadb_err err;

    memset(&none, 0, sizeof none);
    none.generation = 41;
    none.first_log = 5;
    none.seq = 1000;
    CHECK_OK(fs_edit_begin(m, &none, 64, &err), err);
}

static void add(fs_manifest *m, fs_meta t) {
    nadb_err err;

    CHECK_OK(fs_edit_table(m, &t, &err), err);
}

/* Runs of one table each, newest first; sizes in MB, 0 ends. */
static void of_sizes(fs_manifest *m, const unsigned *mb) {
    begin(m);
    for (unsigned i = 0; mb[i] != 0; i++) {
        fs_edit_run(m, 0);
        add(m, table(100 - i, "a", "z", (uint64_t)mb[i] * MB));
    }
}

static void encode(const fs_manifest *m, nadb_buf *b) {
    nadb_err err;

    nadb_buf_reset(b);
    CHECK_OK(fs_manifest_encode(m, b, &err), err);
}

/* --- coding --- */

static void test_round_trip(void) {
    fs_manifest m, got;
    fs_use uses[] = {{9, 50000}, {11, 1}};
    fs_val_meta vals[] = {{9, 60000}, {11, 70000}};
    fs_meta t = table(3, "", "k", 4096);
    nadb_buf b = NADB_BUF_INIT;
    nadb_err err;

    begin(&m);
    fs_edit_run(&m, FS_RUN_SWEEP);
    t.uses = uses;
    t.n_uses = 2;
    t.gone = 17;
    t.shadow = 18;
    t.tombstones = 19;
    add(&m, table(4, "l", "m", 5));
    add(&m, t); /* put in order */
    fs_edit_run(&m, 0);
    add(&m, table(1, "a", "z", 7));
    m.vals = vals;
    m.n_vals = 2;
    m.totals = (nadb_totals){true, 1, 200, 30000, UINT64_MAX, 5};
    encode(&m, &b);
    REQUIRE_OK(fs_manifest_decode(nadb_buf_slice(&b), "M", &got, &err), err);
    CHECK_U64(got.generation, 42);
    CHECK_U64(got.first_log, 5);
    CHECK_U64(got.seq, 1000);
    CHECK_U64(got.n_runs, 2);
    CHECK_U64(got.runs[0].count, 2);
    CHECK_U64(got.runs[0].flags, FS_RUN_SWEEP);
    CHECK_U64(got.runs[1].first, 2);
    CHECK_U64(got.tables[0].number, 3);
    CHECK_U64(got.tables[0].gone, 17);
    CHECK_U64(got.tables[0].shadow, 18);
    CHECK_U64(got.tables[0].tombstones, 19);
    CHECK_U64(got.tables[0].uses[1].file, 11);
    CHECK_U64(got.tables[1].max_seq, 4);
    CHECK(nadb_slice_eq(got.tables[1].hi, nadb_slice_str("m")));
    CHECK_U64(got.n_vals, 2);
    CHECK_U64(got.vals[1].size, 70000);
    CHECK(got.totals.known);
    CHECK_U64(got.totals.rows, 1);
    CHECK_U64(got.totals.stored_bytes, UINT64_MAX);
    CHECK_U64(got.totals.tags, 5);
    fs_manifest_clear(&got);
    fs_manifest_clear(&m);
    nadb_buf_clear(&b);
}

static void test_every_flipped_bit(void) {
    static const unsigned sizes[] = {1, 2, 3, 0};
    fs_manifest m, got;
    nadb_buf b = NADB_BUF_INIT;
    nadb_err err;

    of_sizes(&m, sizes);
    encode(&m, &b);
    for (size_t i = 0; i < 8 * b.n; i++) {
        b.p[i / 8] ^= (uint8_t)(1u << i % 8);
        CHECK(fs_manifest_decode(nadb_buf_slice(&b), "M", &got, &err) ==
              NADB_CORRUPT);
        b.p[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t n = 0; n < b.n; n++)
        CHECK(fs_manifest_decode(nadb_slice_of(b.p, n), "M", &got, &err) ==
              NADB_CORRUPT);
    fs_manifest_clear(&m);
    nadb_buf_clear(&b);
}

/* As a later version would write it: other number, right checksum. */
static void test_newer_format(void) {
    static const unsigned sizes[] = {1, 0};
    fs_manifest m, got;
    nadb_buf b = NADB_BUF_INIT;
    uint32_t crc;
    nadb_err err;

    of_sizes(&m, sizes);
    encode(&m, &b);
    nadb_put_u32(b.p + 8, 4);
    crc = nadb_crc32c(nadb_crc32c(0, b.p, 12), b.p + 16, b.n - 16);
    nadb_put_u32(b.p + 12, crc);
    CHECK(fs_manifest_decode(nadb_buf_slice(&b), "M", &got, &err) ==
          NADB_CANTOPEN);
    CHECK_STR(err.msg, "M has format 4, this version of nadb reads 3: use "
                       "the version that wrote it");
    fs_manifest_clear(&m);
    nadb_buf_clear(&b);
}

/* A byte less, with the right checksum. */
static void test_contradiction(void) {
    static const unsigned sizes[] = {1, 0};
    fs_manifest m, got;
    nadb_buf b = NADB_BUF_INIT;
    nadb_err err;

    of_sizes(&m, sizes);
    encode(&m, &b);
    b.n--;
    nadb_put_u32(b.p + 12,
                 nadb_crc32c(nadb_crc32c(0, b.p, 12), b.p + 16, b.n - 16));
    CHECK(fs_manifest_decode(nadb_buf_slice(&b), "M", &got, &err) ==
          NADB_CORRUPT);
    CHECK_STR(err.msg, "M: its contents contradict each other");
    fs_manifest_clear(&m);
    nadb_buf_clear(&b);
}

/* --- refusals of a store --- */

static void one_table(fs_store *s, const char *name, fs_version **v) {
    nadb_entry e = {.key = nadb_slice_str("rkey"),
                    .value = nadb_slice_str("value"),
                    .seq = 1};
    nadb_base_version *out = NULL;
    nadb_err err;

    memset(s, 0, sizeof *s);
    CHECK_OK(store_open(s, name, true, &err), err);
    CHECK_OK(store_flush(s, &e, 1, 1, 0, &out, &err), err);
    *v = (fs_version *)out;
}

static void test_missing_table(void) {
    fs_store s;
    fs_version *v;
    char path[300];
    nadb_err err;

    one_table(&s, "missing", &v);
    snprintf(path, sizeof path, "%s/000001.sst", s.dir);
    REQUIRE(unlink(path) == 0);
    fs_version_unref(&v->pub);
    CHECK(store_version(&s, &err) == NULL);
    CHECK(err.rc == NADB_CORRUPT);
    CHECK(strstr(err.msg, "000001.sst is missing") != NULL);
    CHECK(strstr(err.msg, "MANIFEST is an old copy") != NULL);
    store_close(&s);
}

static void test_short_table(void) {
    fs_store s;
    fs_version *v;
    char path[300];
    nadb_err err;

    one_table(&s, "short", &v);
    snprintf(path, sizeof path, "%s/000001.sst", s.dir);
    REQUIRE(truncate(path, 100) == 0);
    fs_version_unref(&v->pub);
    CHECK(store_version(&s, &err) == NULL);
    CHECK(err.rc == NADB_CORRUPT);
    CHECK(strstr(err.msg, "has 100 bytes, but MANIFEST says") != NULL);
    store_close(&s);
}

static void test_fresh_store(void) {
    fs_store s = {0};
    fs_version *v;
    nadb_base_version *next;
    nadb_entry e;
    bool found = true;
    nadb_err err;

    REQUIRE_OK(store_open(&s, "fresh", true, &err), err);
    v = store_version(&s, &err);
    REQUIRE(v != NULL);
    CHECK_U64(v->pub.generation, 0);
    CHECK_OK(fs_get(&v->pub, nadb_slice_str("r"), NULL, &e, &found, &err), err);
    CHECK(!found);
    CHECK_OK(fs_compact_step(s.base, NULL, &next, &err), err);
    CHECK(next == NULL);
    CHECK_OK(compact_all(s.base, NULL, NULL, &next, &err), err);
    CHECK(next == NULL);
    fs_version_unref(&v->pub);
    /* A flush of nothing still moves the state on. */
    REQUIRE_OK(store_flush(&s, NULL, 0, 77, 5, &next, &err), err);
    CHECK_U64(next->generation, 1);
    CHECK_U64(next->seq, 77);
    CHECK_U64(next->first_log, 78);
    CHECK_U64(next->clear_seq, 5);
    CHECK_U64(((fs_version *)next)->m.n_tables, 0);
    fs_version_unref(next);
    store_close(&s);
}

/* --- what is due --- */

static void test_nothing_due(void) {
    static const unsigned one[] = {100, 0}, two[] = {4, 100, 0},
                          steps[] = {4, 16, 16, 100, 0};
    const unsigned *all[] = {one, two, steps};
    fs_manifest m;
    fs_task t;

    for (size_t i = 0; i < 3; i++) {
        of_sizes(&m, all[i]);
        CHECK(!fs_pick(&m, 64 * MB, 0, NULL, &t));
        CHECK(fs_pick(&m, 64 * MB, 0, &everything, &t) == (i > 0));
        fs_manifest_clear(&m);
    }
}

static void test_four_of_a_size(void) {
    static const unsigned sizes[] = {16, 4, 4, 5, 4, 200, 0};
    fs_manifest m;
    fs_task t;

    of_sizes(&m, sizes);
    CHECK(fs_pick(&m, 64 * MB, 0, NULL, &t));
    CHECK_U64(t.first, 0); /* the newer, larger one comes along */
    CHECK_U64(t.n, 5);
    CHECK(!t.sweep);
    fs_manifest_clear(&m);
}

static void test_dead_data(void) {
    static const unsigned sizes[] = {30, 100, 0};
    fs_manifest m;
    fs_task t;

    of_sizes(&m, sizes);
    CHECK(!fs_pick(&m, 64 * MB, 0, NULL, &t));
    m.tables[0].shadow = 30 * MB; /* all of it replaces what is below */
    CHECK(!fs_pick(&m, 64 * MB, 0, NULL, &t));
    m.tables[0].size = m.tables[0].shadow = 40 * MB;
    CHECK(fs_pick(&m, 64 * MB, 0, NULL, &t));
    CHECK_U64(t.n, 2);
    CHECK(t.sweep); /* more than a step */
    fs_manifest_clear(&m);
}

/* A merge is due for few tombstones, too, once walks have passed them often. */
static void test_passed_tombstones(void) {
    static const unsigned sizes[] = {1, 30, 0};
    fs_manifest m;
    fs_task t;

    of_sizes(&m, sizes);
    CHECK(!fs_pick(&m, 64 * MB, 2 * MB, NULL, &t)); /* there are none */
    m.tables[0].tombstones = 100;
    CHECK(!fs_pick(&m, 64 * MB, 1 * MB, NULL, &t)); /* 31 MB are to be merged */
    CHECK(fs_pick(&m, 64 * MB, 2 * MB, NULL, &t));
    CHECK_U64(t.first, 0);
    CHECK_U64(t.n, 2);
    m.tables[1].size = 2 * MB;
    CHECK(!fs_pick(&m, 64 * MB, MB / 2, NULL, &t)); /* not worth its syncs */
    fs_manifest_clear(&m);
}

static void test_sweep_goes_on(void) {
    static const unsigned sizes[] = {4, 4, 4, 4, 30, 100, 0};
    fs_manifest m;
    fs_task t;

    of_sizes(&m, sizes);
    m.runs[4].flags = FS_RUN_SWEEP;
    CHECK(fs_pick(&m, 64 * MB, 0, NULL, &t));
    CHECK_U64(t.first, 0); /* new runs first: they must not pile up */
    CHECK_U64(t.n, 4);
    fs_manifest_clear(&m);
    of_sizes(&m, sizes + 1);
    m.runs[3].flags = FS_RUN_SWEEP;
    CHECK(fs_pick(&m, 64 * MB, 0, NULL, &t));
    CHECK_U64(t.first, 3);
    CHECK_U64(t.n, 2);
    CHECK(t.sweep);
    fs_manifest_clear(&m);
}

int main(void) {
    RUN(test_round_trip);
    RUN(test_every_flipped_bit);
    RUN(test_newer_format);
    RUN(test_contradiction);
    RUN(test_missing_table);
    RUN(test_short_table);
    RUN(test_fresh_store);
    RUN(test_nothing_due);
    RUN(test_four_of_a_size);
    RUN(test_dead_data);
    RUN(test_passed_tombstones);
    RUN(test_sweep_goes_on);
    return unit_done();
}
