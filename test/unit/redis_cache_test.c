/* redis_cache_test.c - which rows the cache of a Redis store keeps: what was
 * changed while a row was on its way is not kept. Listening is tested with real
 * servers (redis_cache.test). */
#include "unit.h"

#if NADB_REDIS

#include "../../backends/redis/cache.h"

static address at;
static route way;
static cache c;

static nadb_slice str(const char *s) { return nadb_slice_str(s); }

static void begin(uint64_t bytes_max) {
    memset(&at, 0, sizeof at);
    snprintf(at.name, sizeof at.name, "nowhere");
    CHECK(route_init(&way, &at, NULL) == NADB_OK);
    CHECK(cache_init(&c, &at, &way, str("p:"), bytes_max, NULL) == NADB_OK);
    c.on = true;
    c.generation = 7;
}

static void end(void) {
    cache_clear(&c);
    route_clear(&way);
}

static void put(const char *key, const cache_mark *m, uint64_t generation,
                uint64_t version, const char *row) {
    record rec;

    memset(&rec, 0, sizeof rec);
    rec.version = version;
    rec.row = str(row == NULL ? "" : row);
    cache_put(&c, str(key), m, generation, true, &rec, row != NULL);
}

static void test_race(void) {
    cache_mark m, other;

    begin(100000);
    cache_begin(&c, str("a"), &m);
    cache_begin(&c, str("b"), &other);
    cache_forget(&c, str("a")); /* the message passes the row */
    put("a", &m, 7, 1, "old");
    CHECK_U64(c.entries, 0);
    put("b", &other, 7, 1, "row"); /* of another key: kept */
    CHECK_U64(c.entries, 1);
    cache_begin(&c, str("a"), &m);
    put("a", &m, 7, 2, "new");
    CHECK_U64(c.entries, 2);
    cache_forget(&c, str("a"));
    CHECK_U64(c.entries, 1);

    cache_begin(&c, str("a"), &m);
    cache_forget_all(&c);
    CHECK_U64(c.entries, 0);
    put("a", &m, 7, 3, "old");
    CHECK_U64(c.entries, 0);

    cache_begin(&c, str("a"), &m);
    c.on = false;
    put("a", &m, 7, 3, "old");
    CHECK_U64(c.entries, 0);
    cache_begin(&c, str("a"), &m);
    c.on = true; /* it was off when the row was asked for */
    put("a", &m, 7, 3, "old");
    CHECK_U64(c.entries, 0);
    end();
}

static void test_generation(void) {
    cache_mark m;

    begin(100000);
    cache_begin(&c, str("a"), &m);
    put("a", &m, 6, 1, "of a store that was cleared");
    CHECK_U64(c.entries, 0);
    CHECK(c.stop);
    end();
}

static void test_versions(void) {
    cache_mark m;
    uint64_t bytes;

    begin(100000);
    cache_begin(&c, str("a"), &m);
    put("a", &m, 7, 5, "five");
    bytes = c.bytes;
    put("a", &m, 7, 4, "four, which was longer on its way");
    CHECK_U64(c.bytes, bytes);
    put("a", &m, 7, 6, "six, which is the last");
    CHECK(c.bytes > bytes);
    end();
}

static void test_bounds(void) {
    cache_mark m;
    char key[20];

    begin(20000);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        cache_begin(&c, str(key), &m);
        put(key, &m, 7, 1, i % 3 == 0 ? NULL : "some row");
        CHECK(c.bytes <= 20000);
    }
    CHECK(c.entries > 50);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        cache_forget(&c, str(key));
    }
    CHECK_U64(c.entries, 0);
    CHECK_U64(c.bytes, 0);
    CHECK(c.newest == NULL && c.oldest == NULL);
    end();
}

int main(void) {
    RUN(test_race);
    RUN(test_generation);
    RUN(test_versions);
    RUN(test_bounds);
    return unit_done();
}

#else

int main(void) { return unit_done(); }

#endif
