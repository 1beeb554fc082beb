/* claims.h - the keys that autocommit statements of this process have claimed
 * (nadb_engine_ops.claim), for an engine whose openers are all in one process.
 *
 * A claim is kept as the hash of its key: two keys with one hash count as the
 * same key, so a writer of one waits for the other. Nothing here locks; the
 * engine's lock guards the list. */
#ifndef NADB_CLAIMS_H
#define NADB_CLAIMS_H

#include "bytes.h"

/* Number of keys that can be claimed at a time; with more the caller goes on
 * without a claim. */
#define NADB_CLAIMS_MAX 32u

typedef struct nadb_claims {
    uint64_t hashes[NADB_CLAIMS_MAX]; /* 0: free */
    unsigned n;                       /* number in use */
} nadb_claims;

static inline uint64_t nadb_claim_hash(nadb_slice key) {
    return nadb_hash64(key) | 1;
}

/* True if another claim is on the key; `mine` is 0 or the caller's claim. */
static inline bool nadb_claimed(const nadb_claims *c, nadb_slice key,
                                uint32_t mine) {
    uint64_t hash;

    if (c->n == 0) return false;
    hash = nadb_claim_hash(key);
    for (uint32_t i = 0; i < NADB_CLAIMS_MAX; i++)
        if (c->hashes[i] == hash && i + 1 != mine) return true;
    return false;
}

/* Claims a key that is not claimed. Returns the claim; 0 if all are in use. */
static inline uint32_t nadb_claim_add(nadb_claims *c, nadb_slice key) {
    for (uint32_t i = 0; i < NADB_CLAIMS_MAX; i++)
        if (c->hashes[i] == 0) {
            c->hashes[i] = nadb_claim_hash(key);
            c->n++;
            return i + 1;
        }
    return 0;
}

/* Ends a claim of nadb_claim_add(). */
static inline void nadb_claim_end(nadb_claims *c, uint32_t claim) {
    c->hashes[claim - 1] = 0;
    c->n--;
}

#endif
