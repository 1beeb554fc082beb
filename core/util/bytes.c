/* bytes.c - hashing of slices, growth of buffers (see bytes.h). */
#include "bytes.h"

#include "coding.h"

/* Up to 8 bytes as a little-endian word, zero-padded. */
static uint64_t partial_word(const uint8_t *p, size_t n) {
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint64_t nadb_slice_prefix8(nadb_slice s) {
    uint64_t v = s.n >= 8 ? nadb_get_u64(s.p) : partial_word(s.p, s.n);

    return __builtin_bswap64(v);
}

/* Odd constants: the fractions of the golden ratio and of the square roots of
 * 2, 3 and 5, with the last bit set. Stored hashes depend on them. */
#define HASH_K0 UINT64_C(0x9E3779B97F4A7C15)
#define HASH_K1 UINT64_C(0x6A09E667F3BCC909)
#define HASH_K2 UINT64_C(0xBB67AE8584CAA73B)
#define HASH_K3 UINT64_C(0x3C6EF372FE94F82B)

/* A word is mixed before it is combined with the state, so that keys that
 * differ in a few bits of neighbouring words do not cancel out. Both steps are
 * bijections. */
NADB_WRAPS static uint64_t hash_word(uint64_t h, uint64_t w) {
    w *= HASH_K1;
    w ^= w >> 32;
    w *= HASH_K2;
    h = (h ^ w) * HASH_K0;
    return h << 27 | h >> 37;
}

size_t nadb_slice_common(nadb_slice lo, nadb_slice hi) {
    size_t n = 0;

    while (n < lo.n && n < hi.n && lo.p[n] == hi.p[n]) n++;
    return n;
}

NADB_WRAPS uint64_t nadb_hash64(nadb_slice s) {
    const uint8_t *p = s.p;
    size_t n = s.n;
    uint64_t h = (uint64_t)s.n * HASH_K3;

    for (; n >= 8; p += 8, n -= 8) h = hash_word(h, nadb_get_u64(p));
    /* the last word overlaps: one load instead of a loop */
    if (n > 0 && s.n >= 8)
        h = hash_word(h, nadb_get_u64(p + n - 8) >> (64 - 8 * n));
    else if (n > 0)
        h = hash_word(h, partial_word(p, n));
    h ^= h >> 32;
    h *= HASH_K1;
    h ^= h >> 29;
    h *= HASH_K2;
    h ^= h >> 32;
    return h;
}

bool nadb_buf_grow(nadb_buf *b, size_t more) {
    size_t need, cap;
    uint8_t *p;

    if (more > SIZE_MAX / 2 - b->n) return false;
    need = b->n + more;
    cap = b->cap < 64 ? 64 : b->cap + b->cap / 2;
    if (cap < need) cap = need;
    p = nadb_realloc(b->p, cap);
    if (p == NULL) return false;
    b->p = p;
    b->cap = cap;
    return true;
}

void nadb_buf_clear(nadb_buf *b) {
    nadb_free(b->p);
    b->p = NULL;
    b->n = 0;
    b->cap = 0;
}

/* --- text --- */

size_t nadb_utf8_len(const uint8_t *p, const uint8_t *end) {
    size_t left = (size_t)(end - p);
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint8_t least = 0x80, most = 0xBF; /* of the second byte */

    if (n == 1) return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4 || left < n) return 0;
    if (p[0] == 0xE0) least = 0xA0;
    if (p[0] == 0xED) most = 0x9F;
    if (p[0] == 0xF0) least = 0x90;
    if (p[0] == 0xF4) most = 0x8F;
    if (p[1] < least || p[1] > most) return 0;
    for (size_t i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xBF) return 0;
    return n;
}

const uint8_t *nadb_slice_find(nadb_slice s, nadb_slice what) {
    const uint8_t *p = s.p;
    size_t left = s.n;

    while (left >= what.n) {
        p = memchr(p, what.p[0], left - what.n + 1);
        if (p == NULL) return NULL;
        left = s.n - (size_t)(p - s.p);
        if (memcmp(p, what.p, what.n) == 0) return p;
        p++;
        left--;
    }
    return NULL;
}
