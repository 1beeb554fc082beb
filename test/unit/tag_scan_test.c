/* tag_scan_test.c - what a walk by tags or expiry costs, counted, not timed:
 * the engine's get, iter, next and seek go through a table of functions here
 * that counts them by keyspace.
 *
 *   - a page of 50 rows touches about 50 entries of each list, and as many in
 *     a small store as in a large one;
 *   - a rare tag makes a frequent one jump;
 *   - keys and counts by tag read no row. */
#include "../../core/kv/session.h"
#include "../../core/store_engine.h"
#include "rig.h"

enum { PAGE = 50, SMALL = 2000, LARGE = 40000, BATCH = 5000, RARE = 400 };

/* --- counting --- */

typedef struct work {
    uint64_t gets, iters, nexts, seeks;
} work;

static work by_ks[256];
static const nadb_engine_ops *inner_ops;

typedef struct counted {
    nadb_iter base;
    nadb_iter *inner;
    work *w;
} counted;

static nadb_rc took(counted *c, nadb_rc rc) {
    c->base.valid = c->inner->valid;
    c->base.entry = c->inner->entry;
    return rc;
}

static nadb_rc counted_next(nadb_iter *it, nadb_err *err) {
    counted *c = (counted *)it;

    c->w->nexts++;
    return took(c, nadb_iter_next(c->inner, err));
}

static nadb_rc counted_seek(nadb_iter *it, nadb_slice key, nadb_err *err) {
    counted *c = (counted *)it;

    c->w->seeks++;
    return took(c, nadb_iter_seek(c->inner, key, err));
}

static void counted_free(nadb_iter *it) {
    nadb_iter_free(((counted *)it)->inner);
    nadb_free(it);
}

static nadb_rc counted_iter(nadb_engine *e, nadb_view *v,
                            const nadb_range *range, nadb_iter **out,
                            nadb_err *err) {
    static const nadb_iter_ops ops = {counted_next, counted_seek, counted_free};
    counted *c = nadb_calloc(1, sizeof *c);
    nadb_rc rc;

    *out = NULL;
    if (c == NULL) return nadb_fail(err, NADB_NOMEM, "counting");
    c->base.ops = &ops;
    c->w = &by_ks[range->lo.n > 0 ? range->lo.p[0] : 0];
    c->w->iters++;
    rc = inner_ops->iter(e, v, range, &c->inner, err);
    if (rc == NADB_OK)
        *out = &c->base;
    else
        nadb_free(c);
    return rc;
}

static nadb_rc counted_get(nadb_engine *e, nadb_view *v, nadb_slice key,
                           nadb_entry *out, bool *found, nadb_err *err) {
    by_ks[key.n > 0 ? key.p[0] : 0].gets++;
    return inner_ops->get(e, v, key, out, found, err);
}

/* --- a store --- */

static struct {
    nadb_store *store;
    nadb_session *ss;
    nadb_engine_ops ops;
    uint32_t rows;
} s;

static nadb_slice key_of(uint32_t i, char buf[20]) {
    return nadb_slice_of(buf, (size_t)snprintf(buf, 20, "k%08u", i));
}

/* Every row has "all"; every fourth "a" and "b"; one in RARE "rare". */
static bool put(uint32_t i) {
    static const uint8_t all[] = "\3all", ab[] = "\1a\3all\1b",
                         rare[] = "\3all\4rare", most[] = "\1a\3all\1b\4rare";
    char buf[20];
    nadb_value v = {.type = NADB_INTEGER, .i = i};
    nadb_put_req req = {.key = key_of(i, buf),
                        .mode = NADB_PUT_BLIND,
                        .value = &v,
                        .created_ms = INT64_MIN,
                        .updated_ms = INT64_MIN,
                        .expires_ms = i % 4 == 1 ? RIG_EXPIRES + (int64_t)i
                                                 : NADB_NO_EXPIRY};
    nadb_err err;

    req.tags = i % 4 == 0 ? nadb_slice_of(ab, sizeof ab - 1)
                          : nadb_slice_of(all, sizeof all - 1);
    if (i % RARE == 0)
        req.tags = i % 4 == 0 ? nadb_slice_of(most, sizeof most - 1)
                              : nadb_slice_of(rare, sizeof rare - 1);
    return CHECK_OK(nadb_put(s.ss, &req, &err), err);
}

static bool fill(uint32_t rows) {
    nadb_err err;

    for (s.rows = 0; s.rows < rows;) {
        if (!CHECK_OK(nadb_session_begin(s.ss, false, &err), err)) return false;
        for (uint32_t i = 0; i < BATCH && s.rows < rows; i++)
            if (!put(s.rows++)) return false;
        if (!CHECK_OK(nadb_session_prepare(s.ss, &err), err)) return false;
        nadb_session_commit(s.ss);
    }
    return CHECK_OK(nadb_store_flush(s.store, &err), err);
}

static bool store_open(const char *backend, uint32_t rows) {
    static unsigned stores;
    char path[100], which[40], name[40];
    const char *args[] = {which, name, path, "flush_interval=3600"};
    int n_args = strcmp(backend, "fs") == 0 ? 4 : 2;
    nadb_place place = {"kv", NULL, NULL};
    nadb_options *o = NULL;
    nadb_engine *e;
    nadb_err err;
    bool ok;

    snprintf(which, sizeof which, "backend='%s'", backend);
    snprintf(path, sizeof path, "path='%s/s'", unit_dir());
    snprintf(name, sizeof name, "namespace='n%u'", stores++);
    ok = CHECK_OK(nadb_options_parse(args, n_args, &place, &o, &err), err) &&
         CHECK_OK(nadb_store_open(o, NADB_STORE_CREATE, &s.store, NULL, &err),
                  err);
    nadb_options_free(o);
    ok = ok && CHECK_OK(nadb_session_new(s.store, &s.ss, &err), err);
    if (!ok) return false;
    e = nadb_store_engine(s.store);
    inner_ops = e->ops;
    s.ops = *e->ops;
    s.ops.get = counted_get;
    s.ops.iter = counted_iter;
    ok = fill(rows);
    e->ops = &s.ops;
    return ok;
}

static void store_close(void) {
    nadb_store_engine(s.store)->ops = inner_ops;
    nadb_session_free(s.ss);
    nadb_store_close(s.store);
    s.ss = NULL;
    s.store = NULL;
}

/* Walks up to `rows` rows; the work that it took is in by_ks afterwards. */
static uint32_t walk(const char *match, nadb_scan scan, uint32_t rows,
                     bool load) {
    nadb_match *m = NULL;
    nadb_cursor *c = NULL;
    uint32_t n = 0;
    nadb_err err;
    bool ok;

    ok = CHECK_OK(nadb_cursor_new(s.ss, &c, &err), err) &&
         (match == NULL ||
          CHECK_OK(nadb_match_parse(nadb_slice_str(match), &m, &err), err));
    scan.match = m;
    memset(by_ks, 0, sizeof by_ks);
    ok = ok && CHECK_OK(nadb_cursor_scan(c, &scan, &err), err);
    while (ok && nadb_cursor_row(c) != NULL && n < rows) {
        if (load) ok = CHECK_OK(nadb_cursor_load(c, &err), err);
        n++;
        if (n < rows) ok = ok && CHECK_OK(nadb_cursor_next(c, &err), err);
    }
    nadb_cursor_free(c);
    nadb_match_free(m);
    return n;
}

static uint64_t steps(uint8_t ks) { return by_ks[ks].nexts + by_ks[ks].seeks; }

static uint64_t row_reads(void) {
    return by_ks[NADB_KS_ROW].gets + by_ks[NADB_KS_ROW].iters;
}

/* --- tests --- */

static const char *const backends[] = {"memory", "fs"};

/* tags MATCH 'a b' AND key > ? ORDER BY key [DESC] LIMIT 50 */
static void page(const char *backend, uint32_t rows, bool reverse,
                 uint64_t *cost) {
    char from[20];
    nadb_scan scan = {.reverse = reverse, .key_only = true};

    REQUIRE(store_open(backend, rows));
    scan.lo = key_of(rows / 4, from);
    CHECK_U64(walk("a b", scan, PAGE, false), PAGE);
    *cost = steps(NADB_KS_TAG);
    CHECK(*cost >= (uint64_t)2 * PAGE && *cost <= (uint64_t)2 * PAGE + 4);
    CHECK_U64(by_ks[NADB_KS_TAG].iters, 2);
    CHECK_U64(by_ks[NADB_KS_COUNT].gets, 2);
    CHECK_U64(row_reads(), 0);
    /* With their values. */
    CHECK_U64(walk("a b", scan, PAGE, true), PAGE);
    CHECK_U64(by_ks[NADB_KS_ROW].gets, PAGE);
    CHECK_U64(by_ks[NADB_KS_ROW].iters, 0);
    CHECK_U64(steps(NADB_KS_TAG), *cost);
    store_close();
}

static void test_a_page_costs_the_same_anywhere(void) {
    for (int i = 0; i < 4; i++) {
        uint64_t small = 0, large = 0;

        page(backends[i / 2], SMALL, i % 2 == 1, &small);
        page(backends[i / 2], LARGE, i % 2 == 1, &large);
        CHECK_U64(large, small);
    }
}

static void test_a_rare_tag_leads(void) {
    for (int i = 0; i < 2; i++) {
        nadb_scan all = {.key_only = true};
        uint32_t rare = LARGE / RARE;

        REQUIRE(store_open(backends[i], LARGE));
        CHECK_U64(walk("all rare", all, UINT32_MAX, false), rare);
        /* A jump is a few steps and a seek; LARGE would be all entries. */
        CHECK(steps(NADB_KS_TAG) <= (uint64_t)rare * 12);
        CHECK(by_ks[NADB_KS_TAG].seeks <= (uint64_t)rare + 2);
        CHECK_U64(walk("rare NOT b", all, UINT32_MAX, false), 0);
        CHECK(steps(NADB_KS_TAG) <= (uint64_t)rare * 12);
        /* What nobody has ends the walk before it begins. */
        CHECK_U64(walk("all nosuch", all, UINT32_MAX, false), 0);
        CHECK(steps(NADB_KS_TAG) <= 4);
        CHECK_U64(row_reads(), 0);
        store_close();
    }
}

static nadb_rc count_rows(void *ctx, nadb_slice tag, int64_t rows,
                          nadb_err *err) {
    (void)tag;
    (void)err;
    *(uint64_t *)ctx += (uint64_t)rows;
    return NADB_OK;
}

static void test_counts_read_no_row(void) {
    for (int i = 0; i < 2; i++) {
        nadb_scan all = {.key_only = true};
        uint64_t n = 0;
        nadb_err err;

        REQUIRE(store_open(backends[i], SMALL));
        CHECK_U64(walk("a OR rare", all, UINT32_MAX, false), SMALL / 4);
        CHECK_U64(row_reads(), 0);
        memset(by_ks, 0, sizeof by_ks);
        REQUIRE_OK(
            nadb_tags_count(s.ss, nadb_slice_str("b"), count_rows, &n, &err),
            err);
        CHECK_U64(n, SMALL / 4);
        CHECK_U64(row_reads(), 0);
        CHECK_U64(by_ks[NADB_KS_TAG].iters, 0);
        CHECK(steps(NADB_KS_COUNT) + steps(NADB_KS_EXPIRY) <= 4);
        n = 0;
        memset(by_ks, 0, sizeof by_ks);
        REQUIRE_OK(
            nadb_tags_count(s.ss, nadb_slice_of(NULL, 0), count_rows, &n, &err),
            err);
        CHECK_U64(n, SMALL / 4 * 2 + SMALL + SMALL / RARE);
        CHECK_U64(row_reads(), 0);
        CHECK(steps(NADB_KS_COUNT) <= 5);
        store_close();
    }
}

static void test_expiries_are_a_range(void) {
    for (int i = 0; i < 2; i++) {
        nadb_scan soon = {.by_expiry = true,
                          .expires_from = 0,
                          .expires_to = RIG_EXPIRES + 4 * PAGE};

        REQUIRE(store_open(backends[i], SMALL));
        CHECK_U64(walk(NULL, soon, UINT32_MAX, false), PAGE);
        CHECK(steps(NADB_KS_EXPIRY) <= PAGE + 2);
        CHECK_U64(row_reads(), 0);
        CHECK_U64(walk(NULL, soon, UINT32_MAX, true), PAGE);
        CHECK_U64(by_ks[NADB_KS_ROW].gets, PAGE);
        store_close();
    }
}

/* An update that leaves tags and expiry alone writes no index, and one that
 * changes a tag looks at the row and at two counters. */
static void test_what_a_commit_reads(void) {
    for (int i = 0; i < 2; i++) {
        nadb_err err;

        REQUIRE(store_open(backends[i], SMALL));
        memset(by_ks, 0, sizeof by_ks);
        REQUIRE_OK(nadb_session_begin(s.ss, false, &err), err);
        REQUIRE(put(4) && put(5));
        REQUIRE_OK(nadb_session_prepare(s.ss, &err), err);
        nadb_session_commit(s.ss);
        CHECK_U64(by_ks[NADB_KS_ROW].gets, 2);
        CHECK_U64(by_ks[NADB_KS_COUNT].gets, 0);
        memset(by_ks, 0, sizeof by_ks);
        REQUIRE_OK(nadb_session_begin(s.ss, false, &err), err);
        REQUIRE_OK(nadb_delete(s.ss, nadb_slice_str("k00000008"), &err), err);
        REQUIRE_OK(nadb_session_prepare(s.ss, &err), err);
        nadb_session_commit(s.ss);
        CHECK(by_ks[NADB_KS_ROW].gets <= 2);
        CHECK_U64(by_ks[NADB_KS_COUNT].gets, 3);
        CHECK_U64(by_ks[NADB_KS_TAG].iters, 0);
        store_close();
    }
}

int main(void) {
    RUN(test_a_page_costs_the_same_anywhere);
    RUN(test_a_rare_tag_leads);
    RUN(test_counts_read_no_row);
    RUN(test_expiries_are_a_range);
    RUN(test_what_a_commit_reads);
    return unit_done();
}
