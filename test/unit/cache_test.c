/* cache_test.c - the value cache: bounds, scan resistance, references. */
#include <pthread.h>

#include "../../core/kv/cache.h"
#include "../support/os_test.h"
#include "unit.h"

#define MB ((uint64_t)1 << 20)

/* The value of id: `n` bytes that say whose they are. */
static nadb_cached *put(nadb_cache *c, uint64_t id, size_t n) {
    nadb_buf b = NADB_BUF_INIT;
    nadb_cached *v;

    if (!nadb_buf_reserve(&b, n)) return NULL;
    memset(b.p, (int)(id & 0xFF), n);
    b.n = n;
    v = nadb_cache_put(c, id, &b);
    nadb_buf_clear(&b);
    return v;
}

static bool is_value(const nadb_cached *v, uint64_t id) {
    nadb_slice s = nadb_cached_bytes(v);

    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != (uint8_t)id) return false;
    return true;
}

/* Whether the id is cached; asking counts as a use. */
static bool has(nadb_cache *c, uint64_t id) {
    nadb_cached *v = nadb_cache_get(c, id);
    bool found = v != NULL;

    if (found) CHECK(is_value(v, id));
    nadb_cached_release(v);
    return found;
}

static nadb_cache *make(uint64_t bytes_max) {
    nadb_cache *c = NULL;
    nadb_err err;

    CHECK_OK(nadb_cache_new(bytes_max, &c, &err), err);
    return c;
}

static nadb_cache_stats stats_of(nadb_cache *c) {
    nadb_cache_stats s;

    nadb_cache_read_stats(c, &s);
    CHECK(s.bytes <= s.bytes_max);
    return s;
}

static void test_put_and_get(void) {
    nadb_cache *c = make(MB);
    nadb_cached *v, *again;
    nadb_cache_stats s;

    CHECK(nadb_cache_get(c, 1) == NULL);
    v = put(c, 1, 1000);
    REQUIRE(v != NULL);
    CHECK(is_value(v, 1) && nadb_cached_bytes(v).n == 1000);
    again = nadb_cache_get(c, 1);
    CHECK(again == v);
    nadb_cached_release(again);
    again = put(c, 1, 1000); /* a second reader decoded it too */
    CHECK(again == v);
    nadb_cached_release(again);
    nadb_cached_release(v);
    nadb_cached_release(NULL);
    s = stats_of(c);
    CHECK(s.hits == 1 && s.misses == 1 && s.entries == 1);
    CHECK(s.bytes >= 1000 && s.bytes < 1300);
    nadb_cache_free(c);
    nadb_cache_free(NULL);
}

/* Who has a reference may read on, whatever becomes of the cache. */
static void test_references_live_on(void) {
    nadb_cache *c = make(MB);
    nadb_cached *held = put(c, 7, 5000);

    for (uint64_t id = 100; id < 2000; id++)
        nadb_cached_release(put(c, id, 5000));
    CHECK(!has(c, 7));
    CHECK(is_value(held, 7));
    nadb_cache_free(c);
    CHECK(is_value(held, 7) && nadb_cached_bytes(held).n == 5000);
    nadb_cached_release(held);
}

static void test_scan_resistance(void) {
    nadb_cache *c = make(4 * MB);
    unsigned kept = 0;

    for (int round = 0; round < 3; round++)
        for (uint64_t id = 0; id < 400; id++)
            if (!has(c, id)) nadb_cached_release(put(c, id, 4000));
    for (uint64_t id = 10000; id < 60000; id++)
        nadb_cached_release(put(c, id, 4000));
    for (uint64_t id = 0; id < 400; id++) kept += has(c, id);
    CHECK_U64(kept, 400);
    CHECK(stats_of(c).entries > 800); /* the scan has the rest of the room */
    nadb_cache_free(c);
}

/* What was read often and is no longer makes place after all. */
static void test_turnover(void) {
    nadb_cache *c = make(MB);
    unsigned kept = 0;

    for (uint64_t id = 0; id < 5000; id++) {
        nadb_cached_release(put(c, id, 2000));
        CHECK(has(c, id));
        CHECK(has(c, id));
    }
    for (uint64_t id = 4800; id < 5000; id++) kept += has(c, id);
    CHECK_U64(kept, 200);
    for (uint64_t id = 0; id < 4000; id++) CHECK(!has(c, id));
    CHECK(stats_of(c).bytes > MB / 2);
    nadb_cache_free(c);
}

static void test_bounds(void) {
    nadb_cache *c = make(0);
    nadb_cached *v = put(c, 1, 10);

    CHECK(v != NULL && is_value(v, 1)); /* nothing stays, but it is given */
    nadb_cached_release(v);
    CHECK(!has(c, 1));
    nadb_cache_resize(c, 4 * MB);
    nadb_cached_release(put(c, 1, 10));
    CHECK(has(c, 1));
    v = put(c, 2, 3 * MB); /* too large for its shard */
    CHECK(v != NULL && nadb_cached_bytes(v).n == 3 * MB);
    nadb_cached_release(v);
    CHECK(!has(c, 2) && has(c, 1));
    for (uint64_t id = 10; id < 1000; id++)
        nadb_cached_release(put(c, id, 3000));
    CHECK(stats_of(c).bytes > 2 * MB);
    nadb_cache_resize(c, MB);
    CHECK(stats_of(c).bytes <= MB && stats_of(c).entries > 100);
    nadb_cache_resize(c, 0);
    CHECK_U64(stats_of(c).entries, 0);
    nadb_cache_free(c);
}

static void test_without_memory(void) {
    for (uint64_t nth = 1; nth < 20; nth++) {
        nadb_buf b = NADB_BUF_INIT;
        nadb_cache *c = NULL;
        nadb_cached *v = NULL;
        uint64_t fired;

        CHECK(nadb_buf_append(&b, "value", 5));
        test_fault_set("malloc", nth, "ENOMEM", false, NULL);
        if (nadb_cache_new(MB, &c, NULL) == NADB_OK)
            v = nadb_cache_put(c, 1, &b);
        test_fault_clear(NULL, &fired);
        if (c != NULL && v == NULL) CHECK(b.n == 5); /* still ours */
        if (v != NULL) CHECK(b.p == NULL);
        nadb_cached_release(v);
        nadb_buf_clear(&b);
        nadb_cache_free(c);
        if (fired == 0) return;
    }
    CHECK(false);
}

static void *body(void *arg) {
    nadb_cache *c = arg;
    uintptr_t bad = 0;
    uint64_t rng = (uint64_t)(uintptr_t)&bad;

    for (int i = 0; i < 20000; i++) {
        uint64_t id;
        nadb_cached *v;

        rng = rng * 6364136223846793005u + 1442695040888963407u;
        id = (rng >> 33) % 500;
        v = nadb_cache_get(c, id);
        if (v == NULL) v = put(c, id, 500 + (rng >> 50) % 500);
        if (v == NULL || !is_value(v, id)) bad++;
        nadb_cached_release(v);
    }
    return (void *)bad;
}

static void test_threads(void) {
    nadb_cache *c = make(MB / 4);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, body, c) == 0);
    for (int i = 0; i < 4; i++) {
        void *bad;

        pthread_join(threads[i], &bad);
        CHECK(bad == NULL);
    }
    CHECK_U64(stats_of(c).hits + stats_of(c).misses, 80000);
    nadb_cache_free(c);
}

int main(void) {
    RUN(test_put_and_get);
    RUN(test_references_live_on);
    RUN(test_scan_resistance);
    RUN(test_turnover);
    RUN(test_bounds);
    RUN(test_without_memory);
    RUN(test_threads);
    return unit_done();
}
