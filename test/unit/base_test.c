/* base_test.c - errors, bytes, coding, checksums, arenas, locks. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "../../core/util/arena.h"
#include "../../core/util/coding.h"
#include "../../core/util/crc32c.h"
#include "../../core/util/iter.h"
#include "../../core/util/sync.h"
#include "../support/os_test.h"
#include "unit.h"

static uint64_t rng_state = 1;

static uint64_t rnd(void) {
    rng_state += 1;
    return nadb_hash64(nadb_slice_of(&rng_state, sizeof rng_state));
}

/* --- status --- */

static void test_errors(void) {
    char text[NADB_MSG_MAX * 2];
    nadb_err err;

    CHECK(nadb_fail(&err, NADB_FULL, "no room for %d", 7) == NADB_FULL);
    CHECK_STR(err.msg, "no room for 7");
    CHECK(nadb_fail_errno(&err, ENOENT, "cannot open %s", "/x/y") ==
          NADB_CANTOPEN);
    CHECK_STR(err.msg, "cannot open /x/y: No such file or directory");
    CHECK_U64(err.sys_errno, ENOENT);
    CHECK(nadb_fail_errno(NULL, EDQUOT, "x") == NADB_FULL);
    CHECK(nadb_fail_errno(NULL, ENOMEM, "x") == NADB_NOMEM);
    CHECK(nadb_fail_errno(NULL, EROFS, "x") == NADB_READONLY);
    CHECK(nadb_fail_errno(&err, 99999, "x") == NADB_IOERR);
    CHECK_STR(err.msg, "x: unknown error");
    CHECK(nadb_corrupt(&err, "bad") == NADB_CORRUPT && err.rc == NADB_CORRUPT);
    CHECK_STR(nadb_rc_name(NADB_INTERRUPT), "NADB_INTERRUPT");
    CHECK_STR(nadb_rc_name((nadb_rc)77), "NADB_?");

    /* A long path loses its end, not the cause, and no half character. */
    for (size_t pad = 0; pad < 3; pad++) {
        memset(text, 'a', pad);
        for (size_t i = pad; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4);
        nadb_fail_errno(&err, EIO, "reading %s", text);
        CHECK(strlen(err.msg) < NADB_MSG_MAX);
        CHECK(strstr(err.msg, "\xE2\x82\xAC: Input/output error") != NULL);
        nadb_fail(&err, NADB_INVALID, "%s", text);
        CHECK((unsigned char)err.msg[strlen(err.msg) - 1] == 0xAC);
    }
    /* What is not UTF-8 is '?': a text cut inside a character, other bytes. */
    nadb_fail(&err, NADB_INVALID, "'%.4s..'", "\xE2\x82\xAC\xE2\x82\xAC");
    CHECK_STR(err.msg, "'\xE2\x82\xAC?..'");
    nadb_corrupt(&err, "%s", "a\xFF\xC3\xA4\xED\xA0\x80\xC3");
    CHECK_STR(err.msg, "a?\xC3\xA4????");
    nadb_fail_errno(&err, ENOENT, "%s", "\xC3");
    CHECK_STR(err.msg, "?: No such file or directory");
    nadb_err_clear(&err);
    CHECK(err.rc == NADB_OK && err.msg[0] == '\0');
}

/* --- bytes --- */

static void test_slices(void) {
    nadb_slice a = nadb_slice_str("abc");
    nadb_slice ab = nadb_slice_str("ab");
    nadb_slice none = nadb_slice_of(NULL, 0);

    CHECK(nadb_slice_cmp(a, ab) > 0 && nadb_slice_cmp(ab, a) < 0);
    CHECK(nadb_slice_cmp(a, a) == 0 && nadb_slice_cmp(none, none) == 0);
    CHECK(nadb_slice_starts(a, ab) && !nadb_slice_starts(ab, a));
    CHECK(nadb_slice_starts(a, none) && nadb_slice_eq(none, none));
    CHECK_U64(nadb_slice_prefix8(none), 0);
    CHECK_U64(nadb_slice_prefix8(nadb_slice_str("a")),
              UINT64_C(0x6100000000000000));
    CHECK_U64(nadb_slice_prefix8(nadb_slice_str("12345678x")),
              UINT64_C(0x3132333435363738));
    for (int i = 0; i < 2000; i++) {
        uint64_t bytes[2][2] = {{rnd(), rnd()}, {rnd(), rnd()}};
        nadb_slice x = nadb_slice_of(bytes[0], rnd() % 17);
        nadb_slice y = nadb_slice_of(bytes[1], rnd() % 17);

        if (rnd() % 2) memcpy(bytes[1], bytes[0], rnd() % 10);
        if (nadb_slice_prefix8(x) < nadb_slice_prefix8(y))
            CHECK(nadb_slice_cmp(x, y) < 0);
    }
}

static void test_ranges(void) {
    uint8_t bytes[8];
    nadb_slice a = nadb_slice_str("a"), bc = nadb_slice_str("bc");
    nadb_range copy, whole = {{NULL, 0}, {NULL, 0}, false};
    nadb_range some = {a, bc, true}, nothing = {a, nadb_slice_str(""), false};

    CHECK_U64(nadb_range_bytes(&some), 3);
    copy = nadb_range_copy(&some, bytes);
    CHECK(nadb_slice_eq(copy.lo, a) && nadb_slice_eq(copy.hi, bc));
    CHECK(copy.lo.p == bytes && copy.hi.p == bytes + 1 && copy.reverse);
    CHECK_U64(nadb_range_bytes(&whole), 0);
    copy = nadb_range_copy(&whole, bytes);
    CHECK(copy.lo.n == 0 && copy.hi.p == NULL && !copy.reverse);
    /* an empty upper bound is a bound */
    CHECK_U64(nadb_range_bytes(&nothing), 1);
    copy = nadb_range_copy(&nothing, bytes);
    CHECK(copy.hi.p != NULL && copy.hi.n == 0);
}

static void keep_line(void *ctx, const char *what) {
    snprintf(ctx, NADB_MSG_MAX, "%s", what);
}

/* A line may quote bytes of damaged data, and be too long. */
static void test_reports(void) {
    char line[NADB_MSG_MAX], wide[NADB_MSG_MAX + 1];

    nadb_report(keep_line, line, "key %s: %d", "k\xc3\xa4\xff", 7);
    CHECK(strcmp(line, "key k\xc3\xa4?: 7") == 0);
    for (size_t i = 0; i < NADB_MSG_MAX; i += 2)
        memcpy(wide + i, "\xc3\xa4", 2);
    wide[NADB_MSG_MAX] = '\0';
    nadb_report(keep_line, line, "%s", wide);
    CHECK_U64(strlen(line), NADB_MSG_MAX - 2);
    CHECK((uint8_t)line[NADB_MSG_MAX - 3] == 0xa4);
}

static void test_buffers(void) {
    nadb_buf b = NADB_BUF_INIT;
    uint64_t sum = 0;

    CHECK(nadb_buf_append(&b, NULL, 0) && b.n == 0);
    for (int i = 0; i < 1000; i++) CHECK(nadb_buf_byte(&b, (uint8_t)i));
    CHECK(nadb_buf_append(&b, "xyz", 3) && b.n == 1003);
    for (size_t i = 0; i < 1000; i++) sum += b.p[i] == (uint8_t)i;
    CHECK_U64(sum, 1000);
    CHECK(!nadb_buf_reserve(&b, SIZE_MAX) && b.n == 1003);
    CHECK(!nadb_buf_reserve(&b, SIZE_MAX - 1003));
    nadb_buf_reset(&b);
    CHECK(b.n == 0 && b.cap > 0);
    nadb_buf_clear(&b);
    CHECK(b.p == NULL && b.cap == 0);

    CHECK(test_fault_set("malloc", 1, "ENOMEM", false, NULL));
    CHECK(!nadb_buf_byte(&b, 1) && b.n == 0);
    CHECK(nadb_buf_byte(&b, 1) && b.n == 1);
    test_fault_clear(NULL, NULL);
    nadb_buf_clear(&b);
}

/* The values are part of the format: they may never change. */
static void test_hash_is_stable(void) {
    static const uint8_t bytes[] = "0123456789abcdefghijklmnopqrstuvwxyz";

    CHECK_U64(nadb_hash64(nadb_slice_of(bytes, 0)), 0);
    CHECK_U64(nadb_hash64(nadb_slice_of(bytes, 1)),
              UINT64_C(0xE88417A714F69133));
    CHECK_U64(nadb_hash64(nadb_slice_of(bytes, 8)),
              UINT64_C(0xCD03838E9A04EFE9));
    CHECK_U64(nadb_hash64(nadb_slice_of(bytes, 13)),
              UINT64_C(0x2CE22EB5A42F2C96));
    CHECK_U64(nadb_hash64(nadb_slice_of(bytes, 16)),
              UINT64_C(0xCCD1F19A747A5F5D));
    CHECK_U64(nadb_hash64(nadb_slice_of(bytes + 1, 35)),
              UINT64_C(0x2C31E04737BD2D0F));
}

/* A flipped bit of the input flips each bit of the hash half of the time. */
static void test_hash_avalanche(void) {
    enum { TRIES = 400 };

    for (size_t n = 1; n <= 24; n += n < 8 ? 7 : 8) {
        for (size_t bit = 0; bit < n * 8; bit++) {
            int flips[64] = {0};
            bool fair = true;

            for (int t = 0; t < TRIES; t++) {
                uint64_t w[3] = {rnd(), rnd(), rnd()};
                uint8_t *p = (uint8_t *)w;
                uint64_t a = nadb_hash64(nadb_slice_of(w, n));

                p[bit / 8] ^= (uint8_t)(1 << bit % 8);
                a ^= nadb_hash64(nadb_slice_of(w, n));
                for (int i = 0; i < 64; i++) flips[i] += (int)(a >> i & 1);
            }
            for (int i = 0; i < 64; i++)
                if (n > 1 && (flips[i] < TRIES / 4 || flips[i] > TRIES * 3 / 4))
                    fair = false;
            CHECK(fair);
        }
    }
}

/* Keys as people make them spread over buckets as chance would. */
static void test_hash_spreads(void) {
    enum { BUCKETS = 1 << 16, KEYS = BUCKETS };
    uint8_t *low = calloc(BUCKETS, 1);
    uint8_t *high = calloc(BUCKETS, 1);
    int empty_low = 0;
    int empty_high = 0;

    REQUIRE(low != NULL && high != NULL);
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        uint64_t h;

        snprintf(key, sizeof key, "user:%08d:name", i);
        h = nadb_hash64(nadb_slice_str(key));
        low[h % BUCKETS] = 1;
        high[h >> 48] = 1;
    }
    for (int i = 0; i < BUCKETS; i++) {
        empty_low += low[i] == 0;
        empty_high += high[i] == 0;
    }
    /* 1/e of the buckets, 24109, give or take 10 standard deviations */
    CHECK(empty_low > 23000 && empty_low < 25200);
    CHECK(empty_high > 23000 && empty_high < 25200);
    free(low);
    free(high);
}

/* --- coding --- */

static void test_varints(void) {
    for (int bits = 0; bits <= 64; bits++) {
        uint64_t edge = bits == 64 ? 0 : UINT64_C(1) << bits;

        for (uint64_t v = edge - 1; v != edge + 1; v++) {
            uint8_t p[NADB_VARINT_MAX];
            size_t n = (size_t)(nadb_put_varint(p, v) - p);
            nadb_reader r = nadb_reader_of(nadb_slice_of(p, n));

            CHECK_U64(nadb_read_varint(&r), v);
            CHECK(!r.bad && nadb_reader_left(&r) == 0);
            r = nadb_reader_of(nadb_slice_of(p, n - 1));
            CHECK(nadb_read_varint(&r) == 0 && r.bad);
        }
    }
    CHECK(nadb_unzigzag(nadb_zigzag(INT64_MIN)) == INT64_MIN);
    CHECK(nadb_unzigzag(nadb_zigzag(INT64_MAX)) == INT64_MAX);
    CHECK(nadb_zigzag(-1) == 1 && nadb_zigzag(1) == 2 && nadb_zigzag(0) == 0);
}

static void test_bad_varints(void) {
    static const char *const bad[] = {
        "\x80",
        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", /* 2^64 */
        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
    };
    nadb_reader r;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        r = nadb_reader_of(nadb_slice_str(bad[i]));
        CHECK(nadb_read_varint(&r) == 0 && r.bad);
    }
    r = nadb_reader_of(nadb_slice_of("\x80\x00", 2)); /* overlong zero */
    CHECK(nadb_read_varint(&r) == 0 && r.bad);
    /* Bad stays bad. */
    CHECK(nadb_read_u8(&r) == 0 && nadb_reader_left(&r) == 0);
}

static void test_reader(void) {
    nadb_buf b = NADB_BUF_INIT;
    nadb_slice s;
    nadb_reader r;

    CHECK(nadb_buf_u32(&b, 0x01020304) && nadb_buf_reserve(&b, 8));
    nadb_put_u64(b.p + b.n, UINT64_MAX - 1);
    b.n += 8;
    CHECK(b.p[0] == 4 && b.p[3] == 1);
    CHECK(nadb_buf_varint(&b, 300) && nadb_buf_blob(&b, nadb_slice_str("hi")));
    CHECK(nadb_buf_blob(&b, nadb_slice_of(NULL, 0)));
    CHECK(nadb_buf_byte(&b, 3));
    for (size_t n = 0; n <= b.n; n++) {
        r = nadb_reader_of(nadb_slice_of(b.p, n));
        CHECK_U64(nadb_read_u32(&r), n >= 4 ? 0x01020304 : 0);
        CHECK_U64(nadb_read_u64(&r), n >= 12 ? UINT64_MAX - 1 : 0);
        CHECK_U64(nadb_read_varint(&r), n >= 14 ? 300 : 0);
        s = nadb_read_blob(&r);
        CHECK(nadb_slice_eq(s, nadb_slice_str(n >= 17 ? "hi" : "")));
        CHECK_U64(nadb_read_blob(&r).n, 0);
        CHECK_U64(nadb_read_u8(&r), n >= 19 ? 3 : 0);
        CHECK(r.bad == (n < b.n));
    }
    r = nadb_reader_of(nadb_slice_of(NULL, 0));
    CHECK(nadb_read_bytes(&r, 0).n == 0 && !r.bad);
    CHECK(nadb_read_bytes(&r, 1).n == 0 && r.bad);
    /* A length of nearly 2^64 must not wrap around. */
    r = nadb_reader_of(
        nadb_slice_str("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01xyz"));
    CHECK(nadb_read_blob(&r).n == 0 && r.bad);
    nadb_buf_clear(&b);
}

/* --- crc32c --- */

static void test_crc_known(void) {
    uint8_t p[32];

    /* RFC 3720, B.4 */
    memset(p, 0, sizeof p);
    CHECK_U64(nadb_crc32c(0, p, 32), 0x8A9136AA);
    memset(p, 0xFF, sizeof p);
    CHECK_U64(nadb_crc32c(0, p, 32), 0x62A8AB43);
    for (int i = 0; i < 32; i++) p[i] = (uint8_t)i;
    CHECK_U64(nadb_crc32c(0, p, 32), 0x46DD794E);
    CHECK_U64(nadb_crc32c(0, "123456789", 9), 0xE3069283);
    CHECK_U64(nadb_crc32c_table(0, "123456789", 9), 0xE3069283);
    CHECK_U64(nadb_crc32c(0, NULL, 0), 0);
}

static void test_crc_hardware_is_table(void) {
    enum { SIZE = 1 << 15 };
    uint8_t *p = malloc(SIZE);

    REQUIRE(p != NULL);
    for (size_t i = 0; i < SIZE; i++) p[i] = (uint8_t)rnd();
    for (int i = 0; i < 2000; i++) {
        size_t off = rnd() % 100;
        size_t n = rnd() % (i % 2 ? 64 : SIZE - 100);
        size_t cut = n == 0 ? 0 : rnd() % n;
        uint32_t start = (uint32_t)rnd();
        uint32_t whole = nadb_crc32c(start, p + off, n);
        uint32_t first = nadb_crc32c(start, p + off, cut);

        CHECK_U64(nadb_crc32c_table(start, p + off, n), whole);
        CHECK_U64(nadb_crc32c(first, p + off + cut, n - cut), whole);
    }
    free(p);
}

/* --- arena --- */

static void test_arena(void) {
    nadb_arena a = NADB_ARENA_INIT;
    size_t kept;

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 3000; i++) {
            size_t n = i % 500 == 7 ? 3u << 20 : rnd() % 300;
            uint8_t *p = nadb_arena_alloc(&a, n);

            REQUIRE(p != NULL);
            CHECK(((uintptr_t)p & 7) == 0);
            memset(p, (int)i, n); /* ASan sees an overlap with a chunk's end */
        }
        CHECK(a.used > (18u << 20) && a.total >= a.used);
        nadb_arena_reset(&a);
        CHECK(a.used == 0 && a.total > 0 && a.total <= 4096);
        kept = a.total;
        CHECK(nadb_arena_alloc(&a, 100) != NULL && a.total == kept);
    }
    CHECK(nadb_arena_alloc(&a, SIZE_MAX) == NULL);
    CHECK(test_fault_set("malloc", 1, "ENOMEM", false, NULL));
    CHECK(nadb_arena_alloc(&a, 1 << 20) == NULL);
    test_fault_clear(NULL, NULL);
    nadb_arena_clear(&a);
    CHECK(a.last == NULL && a.total == 0);

    /* A large first chunk is not kept. */
    CHECK(nadb_arena_alloc(&a, 5u << 20) != NULL);
    nadb_arena_reset(&a);
    CHECK(a.last == NULL && a.total == 0);
    nadb_arena_clear(&a);
}

/* --- locks --- */

static nadb_mutex outer, inner;
static nadb_cond cond;
static int engine_count;

static void *count_up(void *arg) {
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        if (i % 3 == 0)
            nadb_lock(&outer);
        else if (!nadb_lock_timed(&outer, 60000))
            return &cond;
        engine_count++;
        nadb_unlock(&outer);
    }
    nadb_lock(&outer);
    nadb_cond_broadcast(&cond);
    nadb_unlock(&outer);
    return NULL;
}

static void *try_outer(void *arg) {
    int64_t before = nadb_os_get()->mono_ns();
    bool *ok = arg;

    *ok = !nadb_trylock(&outer) && !nadb_lock_timed(&outer, 20) &&
          nadb_os_get()->mono_ns() - before >= 19000000;
    return NULL;
}

static void test_locks(void) {
    pthread_t t[3], trier;
    bool ok = false;
    nadb_err err;

    REQUIRE_OK(nadb_mutex_init(&outer, NADB_RANK_FLUSH, &err), err);
    REQUIRE_OK(nadb_mutex_init(&inner, NADB_RANK_CACHE, &err), err);
    REQUIRE_OK(nadb_cond_init(&cond, &err), err);
    for (int i = 0; i < 3; i++)
        REQUIRE_OK(nadb_thread_start(&t[i], "counter", count_up, NULL, &err),
                   err);
    nadb_lock(&outer);
    while (engine_count < 30000) {
        bool woken = nadb_cond_wait_timed(&cond, &outer, 10000);

        CHECK(woken);
    }
    CHECK(!nadb_cond_wait_timed(&cond, &outer, 10) || engine_count == 30000);
    nadb_lock(&inner);
    nadb_unlock(&inner);
    REQUIRE_OK(nadb_thread_start(&trier, "trier", try_outer, &ok, &err), err);
    nadb_thread_join(trier);
    CHECK(ok);
    nadb_unlock(&outer);
    for (int i = 0; i < 3; i++) nadb_thread_join(t[i]);
}

/* In a child, because the assertion ends it. */
static void test_lock_order_is_asserted(void) {
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        freopen("/dev/null", "w", stderr);
        nadb_lock(&inner);
        nadb_lock(&outer);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    nadb_mutex_clear(&outer);
    nadb_mutex_clear(&inner);
    nadb_cond_clear(&cond);
}

int main(void) {
    RUN(test_errors);
    RUN(test_slices);
    RUN(test_ranges);
    RUN(test_reports);
    RUN(test_buffers);
    RUN(test_hash_is_stable);
    RUN(test_hash_avalanche);
    RUN(test_hash_spreads);
    RUN(test_varints);
    RUN(test_bad_varints);
    RUN(test_reader);
    RUN(test_crc_known);
    RUN(test_crc_hardware_is_table);
    RUN(test_arena);
    RUN(test_locks);
    RUN(test_lock_order_is_asserted);
    return unit_done();
}
