/* sha256.c - SHA-256 by instruction or in plain C (sha256.h).
 *
 * Both are a function over whole blocks of 64 bytes; collecting blocks and
 * padding the last one is shared. */
#include "sha256.h"

#include <pthread.h>
#include <string.h>

#include "bytes.h"

#define BLOCK 64u

typedef void blocks_fn(uint32_t h[8], const uint8_t *p, size_t blocks);

/* The first 32 bits of the fractions of the cube roots of the first 64
 * primes. */
static const uint32_t round_words[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static blocks_fn *blocks_best;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* --- plain C --- */

NADB_WRAPS static uint32_t rotate(uint32_t v, unsigned n) {
    return v >> n | v << (32 - n);
}

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

/* The message schedule: the block's 16 words, and 48 that follow from them. */
NADB_WRAPS static void schedule(uint32_t w[64], const uint8_t *p) {
    for (unsigned i = 0; i < 16; i++) w[i] = big_endian(p + (size_t)4 * i);
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
}

/* One round. The caller passes the eight words in the order of their new places
 * instead of moving them. */
NADB_WRAPS static inline void round_plain(const uint32_t *w, unsigned i,
                                          uint32_t a, uint32_t b, uint32_t c,
                                          uint32_t *d, uint32_t e, uint32_t f,
                                          uint32_t g, uint32_t *h) {
    uint32_t t = *h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                 (g ^ (e & (f ^ g))) + round_words[i] + w[i];

    *d += t;
    *h = t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
         ((a & b) | (c & (a | b)));
}

#define PLACE(k, j) s[((k) - (j)) & 7]
#define ROUND(j)                                                               \
    round_plain(w, i + (j), PLACE(8, j), PLACE(9, j), PLACE(10, j),            \
                &PLACE(11, j), PLACE(12, j), PLACE(13, j), PLACE(14, j),       \
                &PLACE(15, j))

NADB_WRAPS static void block_plain(uint32_t h[8], const uint8_t *p) {
    uint32_t w[64];
    uint32_t s[8];

    schedule(w, p);
    memcpy(s, h, sizeof s);
    for (unsigned i = 0; i < 64; i += 8) {
        ROUND(0);
        ROUND(1);
        ROUND(2);
        ROUND(3);
        ROUND(4);
        ROUND(5);
        ROUND(6);
        ROUND(7);
    }
    for (unsigned i = 0; i < 8; i++) h[i] += s[i];
}

static void blocks_plain(uint32_t h[8], const uint8_t *p, size_t blocks) {
    for (; blocks > 0; blocks--, p += BLOCK) block_plain(h, p);
}

/* --- by instruction --- */

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static int have_instructions(void) {
    uint32_t a, b, c, d;

    __cpuid(1, a, b, c, d);
    if ((c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0) return 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return 0;
    return (b & bit_SHA) != 0;
}

/* One step of sha256rnds2 is two rounds. The instruction needs the state as a,
 * b, e, f and c, d, g, h. A register has four words of the schedule, which
 * follow from the four registers before it. */
__attribute__((target("sha,sse4.1,ssse3"))) static void
blocks_by_instruction(uint32_t h[8], const uint8_t *p, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]);
    __m128i cdgh = _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]);
    uint32_t out[8];

    for (; blocks > 0; blocks--, p += BLOCK) {
        __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[16];

        for (int i = 0; i < 16; i++) {
            __m128i sum;

            if (i < 4)
                w[i] = _mm_shuffle_epi8(
                    _mm_loadu_si128((const __m128i *)(const void *)p + i),
                    swap);
            else
                w[i] = _mm_sha256msg2_epu32(
                    _mm_add_epi32(_mm_sha256msg1_epu32(w[i - 4], w[i - 3]),
                                  _mm_alignr_epi8(w[i - 1], w[i - 2], 4)),
                    w[i - 1]);
            sum = _mm_add_epi32(
                w[i], _mm_loadu_si128(
                          (const __m128i *)(const void *)round_words + i));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef =
                _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    _mm_storeu_si128((__m128i *)(void *)out, abef);
    _mm_storeu_si128((__m128i *)(void *)(out + 4), cdgh);
    h[0] = out[3], h[1] = out[2], h[4] = out[1], h[5] = out[0];
    h[2] = out[7], h[3] = out[6], h[6] = out[5], h[7] = out[4];
}

static void choose(void) {
    blocks_best = have_instructions() ? blocks_by_instruction : blocks_plain;
}
#else
static void choose(void) { blocks_best = blocks_plain; }
#endif

/* --- all of a message --- */

void nadb_sha256_begin(nadb_sha256 *s) {
    /* The fractions of the square roots of the first 8 primes. */
    static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                      0xa54ff53a, 0x510e527f, 0x9b05688c,
                                      0x1f83d9ab, 0x5be0cd19};

    pthread_once(&once, choose);
    memcpy(s->h, first, sizeof first);
    s->n = 0;
}

static void add(nadb_sha256 *s, const uint8_t *p, size_t n, blocks_fn *run) {
    size_t have = (size_t)(s->n % BLOCK);

    s->n += n;
    if (have > 0) {
        size_t more = n < BLOCK - have ? n : BLOCK - have;

        memcpy(s->tail + have, p, more);
        p += more;
        n -= more;
        if (have + more < BLOCK) return;
        run(s->h, s->tail, 1);
    }
    run(s->h, p, n / BLOCK);
    p += n - n % BLOCK;
    if (n % BLOCK > 0) memcpy(s->tail, p, n % BLOCK);
}

/* Appends a bit 1, zeros up to 8 bytes before the end of a block, and the
 * number of bits. */
static void end(nadb_sha256 *s, uint8_t *out, blocks_fn *run) {
    static const uint8_t zeros[BLOCK];
    const uint8_t one = 0x80;
    uint64_t bits = s->n * 8;
    uint8_t length[8];

    for (unsigned i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    add(s, &one, 1, run);
    add(s, zeros, (2 * BLOCK - 8 - (size_t)(s->n % BLOCK)) % BLOCK, run);
    add(s, length, sizeof length, run);
    for (unsigned i = 0; i < 8; i++)
        for (unsigned j = 0; j < 4; j++)
            *out++ = (uint8_t)(s->h[i] >> (24 - 8 * j));
}

void nadb_sha256_add(nadb_sha256 *s, const void *p, size_t n) {
    if (n > 0) add(s, p, n, blocks_best);
}

void nadb_sha256_end(nadb_sha256 *s, uint8_t out[NADB_SHA256_BYTES]) {
    end(s, out, blocks_best);
}

void nadb_sha256_plain(const void *p, size_t n,
                       uint8_t out[NADB_SHA256_BYTES]) {
    nadb_sha256 s;

    nadb_sha256_begin(&s);
    if (n > 0) add(&s, p, n, blocks_plain);
    end(&s, out, blocks_plain);
}

void nadb_sha256_hex(const uint8_t sum[NADB_SHA256_BYTES],
                     char out[NADB_SHA256_HEX]) {
    static const char digits[] = "0123456789abcdef";

    for (unsigned i = 0; i < NADB_SHA256_BYTES; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[2 * NADB_SHA256_BYTES] = '\0';
}
