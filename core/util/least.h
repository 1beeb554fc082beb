/* least.h - the least of a few words, which merges keep beside each other: the
 * first bytes of the keys that their sources stand on.
 *
 * Sources are few, and which of them is next cannot be foretold: looking at
 * all of them without a branch costs less than a heap, whose every step is a
 * guess. */
#ifndef NADB_LEAST_H
#define NADB_LEAST_H

#include "coding.h"

/* 8 bytes of a key, behind the `skip` bytes that all of them begin with: words
 * compare as the keys do, but equal ones decide nothing. In reverse they are
 * inverted, so that what comes first is the least there, too. */
static inline uint64_t nadb_least_word(nadb_slice key, size_t skip,
                                       bool reverse) {
    uint64_t word = 0;

    if (key.n >= skip + 8)
        word = __builtin_bswap64(nadb_get_u64(key.p + skip));
    else if (key.n > skip)
        word = nadb_slice_prefix8(nadb_slice_of(key.p + skip, key.n - skip));
    return reverse ? ~word : word;
}

/* Where the least of n > 0 words is, the first among equals; *tied tells
 * whether there is another. */
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
