/* bytes.h - slices that borrow, buffers that own, and the allocator.
 *
 * nadb_slice borrows: it never frees, and is valid as long as what it points
 * into. nadb_buf owns, and is the only type that grows memory. All sizes are
 * checked for overflow here, so that callers need not. Arrays of structs are in
 * a nadb_buf, too: malloc() aligns them. */
#ifndef NADB_BYTES_H
#define NADB_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "status.h"

/* For functions whose unsigned arithmetic may wrap, such as hashes; `make asan`
 * checks all other arithmetic. */
#if defined(__clang__)
#define NADB_WRAPS                                                             \
    __attribute__((                                                            \
        no_sanitize("unsigned-integer-overflow", "unsigned-shift-base")))
#else
#define NADB_WRAPS
#endif

/* --- memory: the C library's, or the failing one of the test library --- */

void *nadb_malloc(size_t n);              /* NULL when out of memory */
void *nadb_calloc(size_t n, size_t size); /* zeroed; overflow gives NULL */
void *nadb_realloc(void *p, size_t n);    /* only bytes.c and arena.c call it */
void nadb_free(void *p);                  /* NULL is fine */
char *nadb_strdup(const char *s);         /* NULL when out of memory */

/* memcpy() without a call for 8 to 16 bytes, the usual size of keys: two words,
 * which may overlap. */
static inline void nadb_copy(void *to, const void *from, size_t n) {
    uint8_t *p = to;
    const uint8_t *q = from;

    if (n >= 8 && n <= 16) {
        uint64_t a, b;

        memcpy(&a, q, 8);
        memcpy(&b, q + n - 8, 8);
        memcpy(p, &a, 8);
        memcpy(p + n - 8, &b, 8);
    } else if (n > 0) {
        memcpy(p, q, n);
    }
}

/* --- text --- */

/* The expansion of a macro, as a string. */
#define NADB_TEXT_OF(x) #x
#define NADB_TEXT(x) NADB_TEXT_OF(x)

/* --- slices --- */

typedef struct nadb_slice {
    const uint8_t *p;
    size_t n;
} nadb_slice;

static inline nadb_slice nadb_slice_of(const void *p, size_t n) {
    nadb_slice s = {(const uint8_t *)p, n};
    return s;
}

static inline nadb_slice nadb_slice_str(const char *s) {
    return nadb_slice_of(s, strlen(s));
}

/* memcmp order; a prefix sorts before what it begins. */
static inline int nadb_slice_cmp(nadb_slice a, nadb_slice b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

    if (c != 0) return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

static inline bool nadb_slice_eq(nadb_slice a, nadb_slice b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool nadb_slice_starts(nadb_slice s, nadb_slice prefix) {
    return s.n >= prefix.n &&
           (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* The first occurrence of `what`, which is not empty; NULL: none. */
const uint8_t *nadb_slice_find(nadb_slice s, nadb_slice what);

/* The first 8 bytes, big-endian, padded with zeros: integers that compare like
 * the slices. Equal ones leave the order open. */
uint64_t nadb_slice_prefix8(nadb_slice s);

/* Length of the prefix of all keys between lo and hi (excluded). */
size_t nadb_slice_common(nadb_slice lo, nadb_slice hi);

/* A 64-bit hash, well mixed in all bits, the same on every machine because
 * tables store parts of it. Not resistant to attacks. */
uint64_t nadb_hash64(nadb_slice s);

/* --- buffers --- */

typedef struct nadb_buf {
    uint8_t *p;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
} nadb_buf;

#define NADB_BUF_INIT                                                          \
    { NULL, 0, 0 }

void nadb_buf_clear(nadb_buf *b); /* frees; the buffer may be used again */
/* The slow path of nadb_buf_reserve(). */
bool nadb_buf_grow(nadb_buf *b, size_t more) NADB_MUST_USE;

/* Makes room for `more` bytes behind buf->n; false if out of memory (the buffer
 * is then unchanged). */
static inline NADB_MUST_USE bool nadb_buf_reserve(nadb_buf *b, size_t more) {
    return b->cap - b->n >= more || nadb_buf_grow(b, more);
}

static inline NADB_MUST_USE bool nadb_buf_append(nadb_buf *b, const void *p,
                                                 size_t n) {
    if (!nadb_buf_reserve(b, n)) return false;
    if (n > 0) nadb_copy(b->p + b->n, p, n); /* b->p may be NULL */
    b->n += n;
    return true;
}

static inline NADB_MUST_USE bool nadb_buf_byte(nadb_buf *b, uint8_t v) {
    if (!nadb_buf_reserve(b, 1)) return false;
    b->p[b->n++] = v;
    return true;
}

static inline void nadb_buf_reset(nadb_buf *b) { b->n = 0; }

static inline nadb_slice nadb_buf_slice(const nadb_buf *b) {
    return nadb_slice_of(b->p, b->n);
}

/* Length of the UTF-8 sequence at `p` < `end`; 0 if it is invalid (cut off,
 * overlong, a surrogate, above U+10FFFF). */
size_t nadb_utf8_len(const uint8_t *p, const uint8_t *end);

#endif
