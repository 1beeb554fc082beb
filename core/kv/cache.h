/* cache.h - decompressed values, by the name of their stored bytes.
 *
 * A key is nadb_entry.id, which names immutable bytes of one store: an entry
 * never becomes stale, and each store has its own cache. A value is a
 * reference-counted buffer, readable as long as the reference is held, whether
 * it is still cached or not.
 *
 * Which values stay: segmented LRU. A value begins on probation and moves to
 * the protected part when it is asked for again; the protected part has four
 * fifths of the room. A scan, which asks once for each value, so passes
 * through probation and leaves alone what is read often.
 *
 * Thread-safe; ids are spread over shards with a lock each (NADB_RANK_CACHE).
 * The bound holds for all that is cached, its bookkeeping included; values
 * that only their readers still hold come on top. */
#ifndef NADB_CACHE_H
#define NADB_CACHE_H

#include "../util/bytes.h"

typedef struct nadb_cache nadb_cache;   /* in cache.c */
typedef struct nadb_cached nadb_cached; /* one value; in cache.c */

typedef struct nadb_cache_stats {
    uint64_t hits, misses; /* of nadb_cache_get() */
    uint64_t entries, bytes;
    uint64_t bytes_max;
} nadb_cache_stats;

/* `bytes_max` may be 0: nothing stays. The caller owns *out. */
nadb_rc nadb_cache_new(uint64_t bytes_max, nadb_cache **out,
                       nadb_err *err) NADB_MUST_USE;
void nadb_cache_free(nadb_cache *c); /* NULL is fine; references live on */

/* The bound from now on (a store opened once more with a larger cache). */
void nadb_cache_resize(nadb_cache *c, uint64_t bytes_max);

/* Forgets all values; returns the bytes that they took. */
uint64_t nadb_cache_drop(nadb_cache *c);

/* A reference that the caller releases, or NULL when it is not cached. */
nadb_cached *nadb_cache_get(nadb_cache *c, uint64_t id);
/* Takes the buffer over (*value is then empty) and returns a reference to the
 * value. If the id is cached already, to that, and the buffer is freed. NULL
 * when out of memory: the buffer is then still the caller's. */
nadb_cached *nadb_cache_put(nadb_cache *c, uint64_t id,
                            nadb_buf *value) NADB_MUST_USE;
nadb_slice nadb_cached_bytes(const nadb_cached *v);
void nadb_cached_release(nadb_cached *v); /* NULL is fine */

void nadb_cache_read_stats(nadb_cache *c, nadb_cache_stats *out);

#endif
