/* reindex_test.c - nadb_store_reindex() makes the indexes anew from the rows,
 * whatever is in them: entries that are missing, wrong, or of no row, and
 * counters that are off or gone. */
#include "../../core/kv/batch.h"
#include "../../core/kv/index.h"
#include "../../core/kv/session.h"
#include "rig.h"

static struct {
    nadb_store *store;
    nadb_session *ss;
    unsigned problems;
} s;

static bool put_row(const char *key, const char *tags, size_t tags_n,
                    int64_t expires_ms) {
    nadb_value v = {.type = NADB_INTEGER, .i = 1};
    nadb_put_req req = {.key = nadb_slice_str(key),
                        .mode = NADB_PUT_BLIND,
                        .value = &v,
                        .tags = nadb_slice_of(tags, tags_n),
                        .created_ms = INT64_MIN,
                        .updated_ms = INT64_MIN,
                        .expires_ms = expires_ms};
    nadb_err err;

    return CHECK_OK(nadb_put(s.ss, &req, &err), err);
}

static bool begin(void) {
    nadb_err err;

    return CHECK_OK(nadb_session_begin(s.ss, false, &err), err);
}

static bool commit(void) {
    nadb_err err;

    if (!CHECK_OK(nadb_session_prepare(s.ss, &err), err)) return false;
    nadb_session_commit(s.ss);
    return true;
}

static bool open_store(const char *backend) {
    static unsigned stores;
    char path[100], which[40], name[40];
    const char *args[] = {which, name, path};
    nadb_place place = {"kv", NULL, NULL};
    nadb_options *o = NULL;
    nadb_err err;
    bool ok;

    snprintf(which, sizeof which, "backend='%s'", backend);
    snprintf(path, sizeof path, "path='%s/s'", unit_dir());
    snprintf(name, sizeof name, "namespace='r%u'", stores++);
    ok = CHECK_OK(nadb_options_parse(args, strcmp(backend, "fs") == 0 ? 3 : 2,
                                     &place, &o, &err),
                  err) &&
         CHECK_OK(nadb_store_open(o, NADB_STORE_CREATE, &s.store, NULL, &err),
                  err);
    nadb_options_free(o);
    return ok && CHECK_OK(nadb_session_new(s.store, &s.ss, &err), err);
}

static void close_store(void) {
    nadb_session_free(s.ss);
    nadb_store_close(s.store);
    s.ss = NULL;
    s.store = NULL;
}

/* Writes an entry of an index as it stands; value NULL: removes it. */
static bool set(const char *key, size_t n, const char *value, size_t value_n) {
    uint8_t *p = NULL;
    nadb_err err;

    if (value == NULL)
        return CHECK_OK(batch_delete(s.ss->b, nadb_slice_of(key, n), &err),
                        err);
    if (!CHECK_OK(batch_put(s.ss->b, nadb_slice_of(key, n), value_n,
                            NADB_PUT_BLIND, &p, &err),
                  err))
        return false;
    if (value_n > 0) memcpy(p, value, value_n);
    return true;
}

static void problem(void *ctx, const char *what) {
    (void)ctx;
    (void)what;
    s.problems++;
}

static unsigned problems(void) {
    nadb_err err;

    s.problems = 0;
    CHECK_OK(nadb_store_check(s.store, problem, NULL, &err), err);
    return s.problems;
}

static bool damage(void) {
    return begin() && set("ta\0\0one", 7, NULL, 0) &&    /* missing */
           set("tb\0\0one", 7, "\1\2\3\4\5\6\7\1", 8) && /* another expiry */
           set("tghost\0\0none", 12, "", 0) &&           /* of no row */
           set("ca", 2, "\7", 1) &&                      /* 7 instead of 2 */
           set("cb", 2, NULL, 0) &&                      /* gone */
           set("cghost", 6, "\1", 1) &&                  /* of no entry */
           set("ta", 2, "", 0) &&                        /* of no form */
           set("ta\0\1one", 7, "", 0) && set("tzzzzzzzzone", 12, "", 0) &&
           set("x1234567", 8, "", 0) && commit();
}

static void test_on(const char *backend) {
    int64_t differed = -1;
    nadb_err err;

    REQUIRE(open_store(backend));
    REQUIRE(begin() && put_row("one", "\1a\1b", 4, RIG_EXPIRES) &&
            put_row("two", "\1a", 2, NADB_NO_EXPIRY) &&
            put_row("three", "", 0, NADB_NO_EXPIRY) &&
            put_row("", "\1c", 2, RIG_EXPIRES) && commit());
    CHECK(problems() == 0);
    REQUIRE_OK(nadb_store_reindex(s.store, &differed, &err), err);
    CHECK(differed == 0);

    REQUIRE(damage());
    CHECK(problems() > 0);
    REQUIRE_OK(nadb_store_reindex(s.store, &differed, &err), err);
    CHECK(differed == 10);
    CHECK(problems() == 0);
    REQUIRE_OK(nadb_store_reindex(s.store, &differed, &err), err);
    CHECK(differed == 0);

    /* In the tables of a base, too. */
    REQUIRE(damage());
    REQUIRE_OK(nadb_store_flush(s.store, &err), err);
    REQUIRE_OK(nadb_store_reindex(s.store, &differed, &err), err);
    CHECK(differed == 10 && problems() == 0);
    close_store();
}

static void test_memory(void) { test_on("memory"); }
static void test_fs(void) { test_on("fs"); }

/* What the index names and the rows lack. */
static void test_ghost(void) {
    nadb_match *m = NULL;
    nadb_cursor *c = NULL;
    nadb_scan scan;
    nadb_err err;

    REQUIRE(open_store("fs"));
    REQUIRE(begin() && put_row("one", "\1a", 2, NADB_NO_EXPIRY) && commit());
    REQUIRE(begin() && set("tghost\0\0none", 12, "", 0) && commit());
    REQUIRE_OK(nadb_match_parse(nadb_slice_str("ghost"), &m, &err), err);
    REQUIRE_OK(nadb_cursor_new(s.ss, &c, &err), err);
    memset(&scan, 0, sizeof scan);
    scan.match = m;
    REQUIRE_OK(nadb_session_enter(s.ss, &err), err);
    REQUIRE_OK(nadb_cursor_scan(c, &scan, &err), err);
    CHECK(nadb_cursor_load(c, &err) == NADB_CORRUPT);
    CHECK(strstr(err.msg, "the tag index names key \"none\", which does not "
                          "exist: nadb_check() lists the damage") != NULL);
    nadb_cursor_free(c);
    nadb_session_leave(s.ss);
    nadb_match_free(m);
    close_store();
}

/* Below the tables, which refuse before. */
static void test_read_only(void) {
    char path[100], want[200];
    const char *args[] = {"mode='ro'", "namespace='ro'", path};
    nadb_place place = {"kv", NULL, NULL};
    nadb_value v = {.type = NADB_INTEGER, .i = 1};
    nadb_options *o = NULL;
    nadb_err err;

    snprintf(path, sizeof path, "path='%s/s'", unit_dir());
    REQUIRE_OK(nadb_options_parse(args + 1, 2, &place, &o, &err), err);
    REQUIRE_OK(nadb_store_open(o, NADB_STORE_CREATE, &s.store, NULL, &err),
               err);
    nadb_store_close(s.store);
    nadb_options_free(o);
    REQUIRE_OK(nadb_options_parse(args, 3, &place, &o, &err), err);
    REQUIRE_OK(nadb_store_open(o, 0, &s.store, NULL, &err), err);
    nadb_options_free(o);
    REQUIRE_OK(nadb_session_new(s.store, &s.ss, &err), err);
    CHECK(nadb_store_compact(s.store, NULL, NULL, &err) == NADB_READONLY);
    snprintf(want, sizeof want,
             "the store in %s/s/main/ro is read-only: open it without "
             "mode='ro', with the right to write to its files",
             unit_dir());
    CHECK_STR(err.msg, want);
    REQUIRE(begin());
    CHECK(rig_put(s.ss, "k", v, &err) == NADB_READONLY);
    CHECK_STR(err.msg, "the store is open read-only (mode='ro')");
    CHECK_OK(nadb_session_rollback(s.ss, &err), err);
    close_store();
}

/* Whatever allocation or call fails: the indexes are as before, or right. */
static void test_faults(void) {
    bool met = true;

    REQUIRE(open_store("fs"));
    REQUIRE(begin() && put_row("one", "\1a\1b", 4, RIG_EXPIRES) &&
            put_row("two", "\1a", 2, NADB_NO_EXPIRY) && commit());
    for (uint64_t n = 1; met && n < 2000; n++) {
        uint64_t fired = 0;
        int64_t differed;
        nadb_err err;
        nadb_rc rc;

        REQUIRE(damage());
        REQUIRE(test_fault_set("malloc", n, "ENOMEM", false, NULL));
        rc = nadb_store_reindex(s.store, &differed, &err);
        test_fault_clear(NULL, &fired);
        met = fired > 0;
        if (rc != NADB_OK)
            REQUIRE_OK(nadb_store_reindex(s.store, &differed, &err), err);
        CHECK(problems() == 0);
    }
    CHECK(!met);
    close_store();
}

int main(void) {
    RUN(test_memory);
    RUN(test_fs);
    RUN(test_ghost);
    RUN(test_read_only);
    RUN(test_faults);
    return unit_done();
}
