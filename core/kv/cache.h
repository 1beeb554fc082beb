/* cache.h - decompressed values, by the id of their stored bytes.
 *
 * A key is nadb_entry.id, which identifies immutable bytes of one store, so a
 * cached value never becomes stale. Each store has its own cache. A value is a
 * reference-counted buffer; it is readable as long as the reference is held,
 * even if it is no longer cached.
 *
 * Replacement is segmented LRU: a value starts on probation and moves to the
 * protected part, four fifths of the room, when it is used again. A scan uses
 * each value once, so it passes through probation without displacing what is
 * read often.
 *
 * Thread-safe; ids are spread over shards with one lock each (NADB_RANK_CACHE).
 * The bound covers all cached values with their bookkeeping; values that only
 * readers still hold are not included. */
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

/* `bytes_max` may be 0: nothing is cached. The caller owns *out. */
nadb_rc nadb_cache_new(uint64_t bytes_max, nadb_cache **out,
                       nadb_err *err) NADB_MUST_USE;
void nadb_cache_free(nadb_cache *c); /* NULL is fine; references live on */

/* Changes the bound, when the store is opened again with a larger cache. */
void nadb_cache_resize(nadb_cache *c, uint64_t bytes_max);

/* Drops all values; returns the bytes freed. */
uint64_t nadb_cache_drop(nadb_cache *c);

/* A reference that the caller releases; NULL if it is not cached. */
nadb_cached *nadb_cache_get(nadb_cache *c, uint64_t id);
/* Takes over the buffer (*value is then empty) and returns a reference to the
 * value. If the id is already cached, returns a reference to that value and
 * frees the buffer. NULL if out of memory: the buffer still belongs to the
 * caller. */
nadb_cached *nadb_cache_put(nadb_cache *c, uint64_t id,
                            nadb_buf *value) NADB_MUST_USE;
nadb_slice nadb_cached_bytes(const nadb_cached *v);
void nadb_cached_release(nadb_cached *v); /* NULL is fine */

void nadb_cache_read_stats(nadb_cache *c, nadb_cache_stats *out);

#endif
