/* least.h - finds the smallest of a few words; merges keep one word per source,
 * the first bytes of its present key.
 *
 * Sources are few and the next one cannot be predicted. Comparing all of them
 * without a branch costs less than a heap, in which each step is a branch that
 * is often mispredicted. */
#ifndef NADB_LEAST_H
#define NADB_LEAST_H

#include "coding.h"

/* The 8 bytes of a key behind the prefix of length `skip` that all keys share.
 * Words compare like the keys, but equal words leave the order open. In reverse
 * they are inverted, so that the smallest word is again the next key. */
NADB_WRAPS static inline uint64_t nadb_least_word(nadb_slice key, size_t skip,
                                                  bool reverse) {
    uint64_t word = 0;

    if (key.n >= skip + 8)
        word = __builtin_bswap64(nadb_get_u64(key.p + skip));
    else if (key.n > skip && key.n >= 8) /* the last 8 bytes of the key */
        word = __builtin_bswap64(nadb_get_u64(key.p + key.n - 8))
               << 8 * (skip + 8 - key.n);
    else if (key.n > skip)
        word = nadb_slice_prefix8(nadb_slice_of(key.p + skip, key.n - skip));
    return reverse ? ~word : word;
}

/* Index of the smallest of n > 0 words, the first if there are several; *tied:
 * there are several. */
static inline size_t nadb_least(const uint64_t *words, size_t n, bool *tied) {
    uint64_t least = words[0];
    size_t at = 0;
    unsigned again = 0;

    for (size_t i = 1; i < n; i++) {
        uint64_t w = words[i];

        again = (again | (w == least)) & (w >= least);
        at = w < least ? i : at;
        least = w < least ? w : least;
    }
    *tied = again != 0;
    return at;
}

#endif
