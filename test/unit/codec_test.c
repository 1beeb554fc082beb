/* codec_test.c - compression: there and back, data that does not shrink,
 * damaged data, several threads, no memory. */
#include <pthread.h>
#include <time.h>
#include <zlib.h>

#include "../../core/kv/codec.h"
#include "../support/os_test.h"
#include "unit.h"

static uint64_t rng_state;

static uint64_t rnd(uint64_t below) {
    rng_state += 1;
    return nadb_hash64(nadb_slice_of(&rng_state, sizeof rng_state)) % below;
}

/* `spread` values a byte: 256 is noise, 1 is all the same. */
static nadb_slice fill(nadb_buf *b, size_t n, unsigned spread) {
    nadb_buf_reset(b);
    if (!CHECK(nadb_buf_reserve(b, n))) return nadb_slice_of(NULL, 0);
    for (; b->n < n; b->n++) b->p[b->n] = (uint8_t)rnd(spread);
    return nadb_buf_slice(b);
}

static void there_and_back(nadb_slice in, int level, uint8_t want) {
    nadb_buf coded = NADB_BUF_INIT, out = NADB_BUF_INIT;
    uint8_t codec = 77;
    nadb_err err;

    CHECK(nadb_buf_append(&coded, "head", 4));
    CHECK_OK(nadb_codec_encode(in, level, &coded, &codec, &err), err);
    CHECK(memcmp(coded.p, "head", 4) == 0);
    if (!CHECK_U64(codec, want)) printf("%zu bytes\n", in.n);
    if (codec == NADB_CODEC_ZLIB) {
        nadb_slice body = nadb_slice_of(coded.p + 4, coded.n - 4);

        CHECK(body.n <= in.n - in.n / 16);
        CHECK_OK(nadb_codec_decode(body, codec, in.n, &out, &err), err);
        CHECK(nadb_slice_eq(nadb_buf_slice(&out), in));
    } else {
        CHECK_U64(coded.n, 4);
        CHECK_OK(nadb_codec_decode(in, codec, in.n, &out, &err), err);
        CHECK(nadb_slice_eq(nadb_buf_slice(&out), in));
    }
    nadb_buf_clear(&coded);
    nadb_buf_clear(&out);
}

static void test_sizes(void) {
    nadb_buf b = NADB_BUF_INIT;

    there_and_back(nadb_slice_of(NULL, 0), 6, NADB_CODEC_RAW);
    there_and_back(fill(&b, NADB_CODEC_MIN - 1, 1), 6, NADB_CODEC_RAW);
    there_and_back(fill(&b, NADB_CODEC_MIN, 0 + 1), 6, NADB_CODEC_ZLIB);
    there_and_back(fill(&b, 5000, 4), 0, NADB_CODEC_RAW); /* off */
    for (int level = 1; level <= 9; level++) {
        there_and_back(fill(&b, 1025 + rnd(3000), 16), level, NADB_CODEC_ZLIB);
        there_and_back(fill(&b, 16000 + rnd(50000), 16), level,
                       NADB_CODEC_ZLIB);
        there_and_back(fill(&b, 1025 + rnd(14000), 256), level, NADB_CODEC_RAW);
        there_and_back(fill(&b, 16384 + rnd(50000), 256), level,
                       NADB_CODEC_RAW);
    }
    there_and_back(fill(&b, 5000000, 8), 1, NADB_CODEC_ZLIB);
    there_and_back(fill(&b, 5000000, 1), 9, NADB_CODEC_ZLIB);
    there_and_back(fill(&b, 5000000, 256), 1, NADB_CODEC_RAW);
    nadb_buf_clear(&b);
}

/* The sample shrinks, the whole does not: given up in the middle, with input
 * left over that must not get into the next value. */
static void test_given_up(void) {
    nadb_buf b = NADB_BUF_INIT, good = NADB_BUF_INIT;
    size_t n = 1000000;

    for (int level = 1; level <= 9; level += 4) {
        fill(&b, n, 256);
        for (size_t i = 0; i < 4; i++)
            memset(b.p + i * ((n - 1024) / 3), 'x', 1024);
        there_and_back(nadb_buf_slice(&b), level, NADB_CODEC_RAW);
        there_and_back(fill(&good, 3000, 16), level, NADB_CODEC_ZLIB);
        there_and_back(fill(&good, 100000, 16), level, NADB_CODEC_ZLIB);
    }
    nadb_buf_clear(&b);
    nadb_buf_clear(&good);
}

static void refused(nadb_slice in, uint8_t codec, uint64_t size) {
    nadb_buf out = NADB_BUF_INIT;

    CHECK(nadb_codec_decode(in, codec, size, &out, NULL) == NADB_CORRUPT);
    CHECK_U64(out.n, 0);
    nadb_buf_clear(&out);
}

static void test_damage(void) {
    nadb_buf plain = NADB_BUF_INIT, coded = NADB_BUF_INIT, out = NADB_BUF_INIT;
    nadb_slice in = fill(&plain, 4000, 16);
    uint8_t codec;
    nadb_err err;

    REQUIRE_OK(nadb_codec_encode(in, 6, &coded, &codec, &err), err);
    REQUIRE(codec == NADB_CODEC_ZLIB);
    refused(nadb_buf_slice(&coded), codec, 3999);
    refused(nadb_buf_slice(&coded), codec, 4001);
    refused(nadb_buf_slice(&coded), codec, 0);
    refused(nadb_buf_slice(&coded), codec, UINT64_MAX);
    refused(nadb_buf_slice(&coded), codec, UINT64_MAX / 2);
    refused(nadb_buf_slice(&coded), 2, 4000);
    refused(nadb_buf_slice(&coded), NADB_CODEC_RAW, 4000);
    refused(nadb_slice_of(NULL, 0), codec, 0);
    refused(nadb_slice_of(NULL, 0), codec, 100);
    for (size_t n = 0; n < coded.n; n += 7)
        refused(nadb_slice_of(coded.p, n), codec, 4000);
    CHECK(nadb_buf_byte(&coded, 0));
    refused(nadb_buf_slice(&coded), codec, 4000); /* something behind */
    coded.n--;
    /* What a failed call left behind does not get into the next. */
    CHECK_OK(nadb_codec_decode(nadb_buf_slice(&coded), codec, 4000, &out, &err),
             err);
    CHECK(nadb_slice_eq(nadb_buf_slice(&out), in));
    for (size_t i = 0; i < coded.n; i++) { /* Adler-32 finds one bit */
        coded.p[i] ^= (uint8_t)(1u << rnd(8));
        if (nadb_codec_decode(nadb_buf_slice(&coded), codec, 4000, &out,
                              NULL) == NADB_OK)
            CHECK(nadb_slice_eq(nadb_buf_slice(&out), in));
        coded.p[i] = (uint8_t)rnd(256);
        (void)!nadb_codec_decode(nadb_buf_slice(&coded), codec, 4000, &out,
                                 NULL);
    }
    /* A preset dictionary is nothing that we write. */
    CHECK(nadb_codec_decode(nadb_slice_of("\x78\x20\x00\x00\x00\x01x", 7),
                            codec, 100, &out, &err) == NADB_CORRUPT);
    CHECK(strstr(err.msg, "decompressing a value: ") != NULL);
    nadb_buf_clear(&plain);
    nadb_buf_clear(&coded);
    nadb_buf_clear(&out);
}

/* A thread has states of its own, which go with it (LeakSanitizer). */
static void *body(void *arg) {
    nadb_slice in = *(nadb_slice *)arg;
    nadb_buf coded = NADB_BUF_INIT, out = NADB_BUF_INIT;
    uintptr_t bad = 0;
    uint8_t codec;

    for (int i = 0; i < 50; i++) {
        nadb_buf_reset(&coded);
        if (nadb_codec_encode(in, 1 + i % 9, &coded, &codec, NULL) != NADB_OK ||
            nadb_codec_decode(nadb_buf_slice(&coded), codec, in.n, &out,
                              NULL) != NADB_OK ||
            !nadb_slice_eq(nadb_buf_slice(&out), in))
            bad++;
    }
    nadb_buf_clear(&coded);
    nadb_buf_clear(&out);
    return (void *)bad;
}

static void test_threads(void) {
    nadb_buf b = NADB_BUF_INIT;
    nadb_slice in = fill(&b, 20000, 10);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, body, &in) == 0);
    for (int i = 0; i < 4; i++) {
        void *bad;

        pthread_join(threads[i], &bad);
        CHECK(bad == NULL);
    }
    nadb_buf_clear(&b);
}

typedef struct job {
    nadb_slice in;
    nadb_rc rc;
} job;

static void *encode_once(void *arg) {
    job *j = arg;
    nadb_buf coded = NADB_BUF_INIT, out = NADB_BUF_INIT;
    uint8_t codec = NADB_CODEC_RAW;

    j->rc = nadb_codec_encode(j->in, 6, &coded, &codec, NULL);
    if (j->rc == NADB_OK)
        j->rc = nadb_codec_decode(nadb_buf_slice(&coded), codec, j->in.n, &out,
                                  NULL);
    nadb_buf_clear(&coded);
    nadb_buf_clear(&out);
    return NULL;
}

/* In fresh threads, so that each must make its states anew. */
static void test_without_memory(void) {
    nadb_buf b = NADB_BUF_INIT;
    job j = {fill(&b, 20000, 10), NADB_OK};

    for (uint64_t nth = 1; nth < 40; nth++) {
        pthread_t thread;
        uint64_t fired;

        test_fault_set("malloc", nth, "ENOMEM", false, NULL);
        REQUIRE(pthread_create(&thread, NULL, encode_once, &j) == 0);
        pthread_join(thread, NULL);
        test_fault_clear(NULL, &fired);
        if (fired == 0) {
            CHECK(j.rc == NADB_OK && nth > 5);
            nadb_buf_clear(&b);
            return;
        }
        /* What only the sample wanted may fail unseen. */
        CHECK(j.rc == NADB_NOMEM || j.rc == NADB_OK);
    }
    CHECK(false);
}

/* Larger than zlib counts in one step. Needs 6 GB: only in the long run. */
static void test_huge(void) {
    size_t n = 0x7fff0000u;
    nadb_buf plain = NADB_BUF_INIT;

    if (getenv("NADB_SOAK") == NULL) return;
    if (!nadb_buf_reserve(&plain, n)) return;
    memset(plain.p, 'x', n);
    for (size_t i = 0; i < n; i += 4096) plain.p[i] = (uint8_t)rnd(256);
    plain.n = n;
    there_and_back(nadb_buf_slice(&plain), 1, NADB_CODEC_ZLIB);
    nadb_buf_clear(&plain);
}

int main(void) {
    const char *seed = getenv("NADB_SEED");

    rng_state = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    if (seed != NULL) rng_state = strtoull(seed, NULL, 10);
    printf("NADB_SEED=%llu\n", (unsigned long long)rng_state);
    RUN(test_sizes);
    RUN(test_given_up);
    RUN(test_damage);
    RUN(test_threads);
    RUN(test_without_memory);
    RUN(test_huge);
    return unit_done();
}
