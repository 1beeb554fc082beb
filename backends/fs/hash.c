/* hash.c - builds a table's buckets (see hash.h). */
#include "hash.h"

/* Average keys per bucket. More would save space, fewer would save visits of
 * second buckets. With 10 (of 12), 7 % of the keys are not in their home bucket
 * and one miss in 27 visits a second bucket; with 11 it would be 11 % and one
 * in 9, for half a byte less per key. */
#define KEYS_A_BUCKET 10

uint64_t fs_hash_buckets(uint64_t n) { return n / KEYS_A_BUCKET + 1; }

static bool bucket_add(uint8_t *bucket, uint64_t hash, uint32_t place) {
    for (unsigned i = 0; i < FS_BUCKET_SLOTS; i++) {
        uint8_t *p = bucket + 24 + 3 * (size_t)i;

        if (nadb_get_u16(bucket + 2 * (size_t)i) != 0) continue;
        nadb_put_u16(bucket + 2 * (size_t)i, fs_hash_print(hash));
        p[0] = (uint8_t)place;
        p[1] = (uint8_t)(place >> 8);
        p[2] = (uint8_t)(place >> 16);
        return true;
    }
    return false;
}

void fs_hash_build(uint8_t *buckets, uint64_t n_buckets, const fs_place *places,
                   size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = places[i].hash;
        uint64_t at = fs_hash_home(hash, n_buckets);

        while (!bucket_add(buckets + at * FS_BUCKET, hash, places[i].place)) {
            uint8_t *passed = buckets + at * FS_BUCKET + 60;

            nadb_put_u32(passed, nadb_get_u32(passed) |
                                     (uint32_t)1 << (hash >> 16 & 31));
            at = at + 1 == n_buckets ? 0 : at + 1;
        }
    }
}
