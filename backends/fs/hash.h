/* hash.h - finds a key in a table at the cost of one cache line.
 *
 * A bucket is 64 bytes:
 *
 *     | 12 fingerprints, u16 each | 12 places, 3 bytes each | passed, u32 |
 *
 * A key's hash gives a home bucket, a fingerprint (never 0, which means an
 * empty slot) and one of 32 bits. If the home bucket is full the key goes to a
 * following bucket and sets its bit in `passed` of each bucket that it passes.
 * A search ends at the first bucket without the bit, which for a missing key is
 * nearly always the first. A place is a block number (u16) and a slot in the
 * block (u8).
 *
 * The functions get single buckets; sst.c reads them and verifies checksums. */
#ifndef NADB_FS_HASH_H
#define NADB_FS_HASH_H

#include "format.h"

typedef struct fs_place {
    uint64_t hash;
    uint32_t place; /* block << 8 | slot */
} fs_place;

/* Number of buckets for `n` keys; at least 1. */
uint64_t fs_hash_buckets(uint64_t n);
/* Fills n_buckets * FS_BUCKET bytes. REQUIRES: they are zero, and n is at most
 * what fs_hash_buckets() was called with. */
void fs_hash_build(uint8_t *buckets, uint64_t n_buckets, const fs_place *places,
                   size_t n);

static inline uint64_t fs_hash_home(uint64_t hash, uint64_t n_buckets) {
    return (hash >> 32) * n_buckets >> 32;
}

static inline uint16_t fs_hash_print(uint64_t hash) {
    uint16_t f = (uint16_t)hash;

    return f == 0 ? 1 : f;
}

static inline bool fs_bucket_passed(const uint8_t *bucket, uint64_t hash) {
    return nadb_get_u32(bucket + 60) >> (hash >> 16 & 31) & 1;
}

static inline uint32_t fs_bucket_place(const uint8_t *bucket, unsigned slot) {
    const uint8_t *p = bucket + 24 + 3 * slot;

    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

/* Returns a bit for each slot whose fingerprint is that of `hash`. Compares
 * four slots at a time: the subtraction marks lanes that are zero, and
 * sometimes the lane above one, so each mark is verified. */
NADB_WRAPS static inline unsigned fs_bucket_match(const uint8_t *bucket,
                                                  uint64_t hash) {
    const uint64_t ones = UINT64_C(0x0001000100010001);
    uint16_t print = fs_hash_print(hash);
    unsigned found = 0;

    for (unsigned w = 0; w < 3; w++) {
        uint64_t x = nadb_get_u64(bucket + 8 * w) ^ ones * print;
        uint64_t zero = (x - ones) & ~x & ones << 15;

        while (zero != 0) {
            unsigned lane = (unsigned)__builtin_ctzll(zero) / 16;

            if ((x >> 16 * lane & 0xffff) == 0) found |= 1u << (4 * w + lane);
            zero &= zero - 1;
        }
    }
    return found;
}

#endif
