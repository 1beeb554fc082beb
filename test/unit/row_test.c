/* row_test.c - rows: there and back, and bytes that are none. */
#include <math.h>
#include <time.h>

#include "../../core/kv/codec.h"
#include "../../core/kv/row.h"
#include "../../core/kv/tags.h"
#include "unit.h"

static uint64_t rng_state;

static uint64_t rnd(uint64_t below) {
    rng_state += 1;
    return nadb_hash64(nadb_slice_of(&rng_state, sizeof rng_state)) % below;
}

/* Encodes into `buf`; returns the length. */
static size_t encode(const nadb_row_head *h, const nadb_value *v,
                     uint8_t *buf) {
    uint8_t *p = nadb_row_head_put(buf, h);

    CHECK((size_t)(p - buf) <= nadb_row_head_max(h));
    if (v->type == NADB_INTEGER || v->type == NADB_REAL) {
        p += nadb_number_put(p, v);
    } else if (v->bytes.n > 0) {
        memcpy(p, v->bytes.p, v->bytes.n);
        p += v->bytes.n;
    }
    return (size_t)(p - buf);
}

static void check_same(const nadb_row_head *h, const nadb_value *v) {
    uint8_t buf[8192];
    nadb_row row;
    nadb_value got;
    nadb_err err;
    nadb_slice bytes = nadb_slice_of(buf, encode(h, v, buf));

    REQUIRE_OK(nadb_row_decode(bytes, &row, &err), err);
    CHECK(row.type == h->type && row.codec == h->codec);
    CHECK(row.created_ms == h->created_ms);
    CHECK(row.updated_ms == h->updated_ms);
    CHECK(row.expires_ms == h->expires_ms);
    CHECK(nadb_row_expires(bytes) == h->expires_ms);
    CHECK(nadb_slice_eq(row.tags, h->tags));
    if (h->codec != NADB_CODEC_RAW) {
        CHECK_U64(row.size, h->size);
        return;
    }
    REQUIRE_OK(nadb_row_value(&row, row.stored, &got, &err), err);
    CHECK(got.type == v->type && got.i == v->i);
    CHECK(memcmp(&got.r, &v->r, sizeof got.r) == 0);
    CHECK(nadb_slice_eq(got.bytes, v->bytes));
    CHECK_U64(row.size, v->type == NADB_NULL ? 0
                        : v->type == NADB_TEXT || v->type == NADB_BLOB
                            ? v->bytes.n
                            : 8);
}

static void test_there_and_back(void) {
    static const int64_t times[] = {
        0, 1, -1, 1700000000000, NADB_TIME_MAX, NADB_TIME_MIN};
    static const int64_t integers[] = {0, 1, -1, 63, 64, INT64_MAX, INT64_MIN};
    const double reals[] = {0.0, -0.0, 1.5, -1e308, 5e-324, INFINITY};
    static const uint8_t text[] = "with\0NUL";
    static const uint8_t tags[] = "\1a\2bc"; /* "a", "bc" */

    for (int i = 0; i < 4000; i++) {
        nadb_row_head h = {0};
        nadb_value v = {0};

        h.type = v.type = (nadb_type)(i % 5);
        h.created_ms = times[rnd(6)];
        h.updated_ms = rnd(2) == 0 ? h.created_ms : times[rnd(6)];
        h.expires_ms = rnd(2) == 0 ? NADB_NO_EXPIRY : times[rnd(6)];
        if (rnd(2) == 0) h.tags = nadb_slice_of(tags, 5);
        if (v.type == NADB_INTEGER) v.i = integers[rnd(7)];
        if (v.type == NADB_REAL) v.r = reals[rnd(6)];
        if (v.type >= NADB_TEXT) {
            v.bytes = nadb_slice_of(text, rnd(9));
            if (rnd(3) == 0) {
                h.codec = NADB_CODEC_ZLIB;
                h.size = rnd(NADB_VALUE_MAX);
            }
        }
        check_same(&h, &v);
    }
}

/* Times beyond what a row can hold stay at the bounds. */
static void test_time_bounds(void) {
    nadb_row_head h = {.created_ms = INT64_MIN,
                       .updated_ms = INT64_MAX - 1,
                       .expires_ms = INT64_MAX - 1};
    uint8_t buf[64];
    nadb_row row;
    nadb_err err;
    size_t n = (size_t)(nadb_row_head_put(buf, &h) - buf);

    REQUIRE_OK(nadb_row_decode(nadb_slice_of(buf, n), &row, &err), err);
    CHECK(row.created_ms == NADB_TIME_MIN && row.updated_ms == NADB_TIME_MAX);
    CHECK(row.expires_ms == NADB_TIME_MAX);
}

static void damaged(const char *bytes, size_t n) {
    nadb_row row;
    nadb_err err;

    CHECK(nadb_row_decode(nadb_slice_of(bytes, n), &row, &err) == NADB_CORRUPT);
    CHECK(strncmp(err.msg, "damaged row: ", 13) == 0);
}

#define T6 "\0\0\0\0\0\0" /* a time */

static void test_damage(void) {
    damaged("", 0);
    damaged("\5" T6, 7);       /* no such type */
    damaged("\x80" T6, 7);     /* no such flag */
    damaged("\0" T6, 6);       /* cut in a time */
    damaged("\x08" T6 T6, 12); /* cut in the second */
    damaged("\x10" T6, 7);     /* no expiry */
    damaged("\0" T6 "x", 8);   /* NULL with bytes */
    damaged("\1" T6, 7);       /* INTEGER without */
    damaged("\1" T6 "xxxxxxxxxxx", 18);
    damaged("\2" T6 "1234567", 14);                  /* REAL of seven */
    damaged("\x23" T6 "\0", 8);                      /* empty tag list */
    damaged("\x23" T6 "\5\1a", 10);                  /* cut in the tags */
    damaged("\x23" T6 "\4\1b\1a", 12);               /* out of order */
    damaged("\x23" T6 "\4\1a\1a", 12);               /* twice */
    damaged("\x23" T6 "\2\1\0", 10);                 /* a NUL */
    damaged("\x23" T6 "\1\0", 9);                    /* empty tag */
    damaged("\x43" T6 "\0\5x", 10);                  /* codec raw */
    damaged("\x41" T6 "\1\5x", 10);                  /* INTEGER with a codec */
    damaged("\x43" T6 "\1\xFF\xFF\xFF\xFF\x0F", 13); /* too large */
    damaged("\x43" T6 "\1\x80\x80", 10);             /* cut in the size */
    CHECK(nadb_row_expires(nadb_slice_of("\x10" T6, 7)) == NADB_NO_EXPIRY);
    CHECK(nadb_row_expires(nadb_slice_of(NULL, 0)) == NADB_NO_EXPIRY);
}

/* -2^47 has no positive counterpart: it is never written. */
static void test_impossible_time(void) {
    static const char bytes[] = "\x10" T6 "\0\0\0\0\0\x80";

    damaged(bytes, 13);
    CHECK(nadb_row_expires(nadb_slice_of(bytes, 13)) == NADB_NO_EXPIRY);
}

static void test_bad_numbers(void) {
    nadb_row row = {.type = NADB_INTEGER};
    nadb_value v;
    nadb_err err;

    CHECK(nadb_row_value(&row, nadb_slice_str("\x80"), &v, &err) ==
          NADB_CORRUPT);
    CHECK(nadb_row_value(&row, nadb_slice_str("\1\1"), &v, &err) ==
          NADB_CORRUPT);
    row.type = NADB_REAL;
    CHECK(nadb_row_value(&row, nadb_slice_str("123"), &v, &err) ==
          NADB_CORRUPT);
}

/* Random bytes and bit flips: an error or a row, never a bad read (ASan). */
static void test_noise(void) {
    for (int i = 0; i < 200000; i++) {
        size_t n = (size_t)rnd(40);
        uint8_t *bytes = malloc(n + 1);
        nadb_row row;
        nadb_value v;

        if (bytes == NULL) return;
        for (size_t j = 0; j < n; j++)
            bytes[j] = (uint8_t)(rnd(3) == 0 ? rnd(256) : rnd(4));
        (void)nadb_row_expires(nadb_slice_of(bytes, n));
        if (nadb_row_decode(nadb_slice_of(bytes, n), &row, NULL) == NADB_OK &&
            row.codec == NADB_CODEC_RAW) {
            nadb_slice tags = row.tags, tag;

            while (nadb_tags_next(&tags, &tag)) CHECK(tag.n > 0);
            (void)!nadb_row_value(&row, row.stored, &v, NULL);
        }
        free(bytes);
    }
}

int main(void) {
    const char *seed = getenv("NADB_SEED");

    rng_state = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    if (seed != NULL) rng_state = strtoull(seed, NULL, 10);
    printf("NADB_SEED=%llu\n", (unsigned long long)rng_state);
    RUN(test_there_and_back);
    RUN(test_time_bounds);
    RUN(test_damage);
    RUN(test_impossible_time);
    RUN(test_bad_numbers);
    RUN(test_noise);
    return unit_done();
}
