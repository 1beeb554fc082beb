/* cache.c - see cache.h. */
#include "cache.h"
#include "../util/assert.h"

#include <stdatomic.h>

#include "../util/sync.h"

#define SHARDS 4u
#define BUCKETS_MIN 64u

/* The protected part has four fifths of a shard's room. A single value may take
 * half of that room. */
#define PROTECTED_OF_5 4

struct nadb_cached {
    uint64_t id;
    nadb_buf value;
    atomic_uint refs; /* the cache holds one while the value is cached */
    /* Of the shard, while the value is cached: */
    bool protected;
    nadb_cached *newer, *older; /* neighbours in its list */
    nadb_cached *chain;         /* next in its bucket */
};

/* A list in the order of last use. */
typedef struct lru {
    nadb_cached *newest, *oldest;
    uint64_t bytes;
} lru;

typedef struct shard {
    nadb_mutex lock; /* guards everything below */
    nadb_cached **buckets;
    size_t n_buckets; /* a power of two */
    size_t entries;
    uint64_t bytes_max;
    lru probation, protected;
    uint64_t hits, misses;
} shard;

struct nadb_cache {
    shard shards[SHARDS];
    unsigned n_locks; /* locks that were initialised */
};

/* The size of a value for the bound: buffer, struct and bucket. */
static uint64_t weight(const nadb_cached *v) {
    return v->value.cap + sizeof *v + sizeof(nadb_cached *);
}

static uint64_t hash(uint64_t id) {
    return nadb_hash64(nadb_slice_of(&id, sizeof id));
}

static shard *shard_of(nadb_cache *c, uint64_t h) {
    return &c->shards[h % SHARDS];
}

static nadb_cached **bucket_of(const shard *s, uint64_t h) {
    return &s->buckets[(h / SHARDS) & (s->n_buckets - 1)];
}

/* --- references --- */

nadb_slice nadb_cached_bytes(const nadb_cached *v) {
    return nadb_buf_slice(&v->value);
}

static nadb_cached *add_ref(nadb_cached *v) {
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void nadb_cached_release(nadb_cached *v) {
    NADB_ASSERT(v == NULL || atomic_load(&v->refs) > 0);
    if (v == NULL) return;
    if (atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) > 1)
        return;
    nadb_buf_clear(&v->value);
    nadb_free(v);
}

/* --- lists. REQUIRES: the shard's lock --- */

static lru *list_of(shard *s, const nadb_cached *v) {
    return v->protected ? &s->protected : &s->probation;
}

static void list_add(shard *s, nadb_cached *v) {
    lru *l = list_of(s, v);

    NADB_ASSERT(nadb_rank_held(NADB_RANK_CACHE));
    v->newer = NULL;
    v->older = l->newest;
    if (l->newest != NULL)
        l->newest->newer = v;
    else
        l->oldest = v;
    l->newest = v;
    l->bytes += weight(v);
}

static void list_remove(shard *s, nadb_cached *v) {
    lru *l = list_of(s, v);

    NADB_ASSERT(nadb_rank_held(NADB_RANK_CACHE));
    NADB_ASSERT(l->bytes >= weight(v));
    if (v->newer != NULL)
        v->newer->older = v->older;
    else
        l->newest = v->older;
    if (v->older != NULL)
        v->older->newer = v->newer;
    else
        l->oldest = v->newer;
    l->bytes -= weight(v);
}

static void set_protected(shard *s, nadb_cached *v, bool protected) {
    list_remove(s, v);
    v->protected = protected;
    list_add(s, v);
}

/* --- buckets. REQUIRES: the shard's lock --- */

static nadb_cached *lookup(const shard *s, uint64_t h, uint64_t id) {
    nadb_cached *v = s->n_buckets == 0 ? NULL : *bucket_of(s, h);

    NADB_ASSERT(nadb_rank_held(NADB_RANK_CACHE));
    while (v != NULL && v->id != id) v = v->chain;
    return v;
}

/* Doubles the number of buckets when they are full. Without memory chains grow
 * longer; false only if there are no buckets at all. */
static bool make_room(shard *s) {
    size_t n = s->n_buckets == 0 ? BUCKETS_MIN : s->n_buckets * 2;
    nadb_cached **old = s->buckets;
    size_t n_old = s->n_buckets;
    nadb_cached **buckets;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_CACHE));
    if (s->entries < s->n_buckets) return true;
    buckets = nadb_calloc(n, sizeof *buckets);
    if (buckets == NULL) return s->n_buckets > 0;
    s->buckets = buckets;
    s->n_buckets = n;
    for (size_t i = 0; i < n_old; i++)
        for (nadb_cached *v = old[i]; v != NULL;) {
            nadb_cached *next = v->chain;
            nadb_cached **b = bucket_of(s, hash(v->id));

            v->chain = *b;
            *b = v;
            v = next;
        }
    nadb_free(old);
    return true;
}

static void evict(shard *s, nadb_cached *v) {
    nadb_cached **link = bucket_of(s, hash(v->id));

    NADB_ASSERT(s->entries > 0);
    while (*link != v) link = &(*link)->chain;
    *link = v->chain;
    list_remove(s, v);
    s->entries--;
    nadb_cached_release(v);
}

/* Shortens both lists to their bounds. Values that fall out of the protected
 * part go back to probation. */
static void shrink(shard *s) {
    uint64_t protected_max = s->bytes_max / 5 * PROTECTED_OF_5;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_CACHE));
    while (s->protected.bytes > protected_max)
        set_protected(s, s->protected.oldest, false);
    while (s->probation.bytes + s->protected.bytes > s->bytes_max)
        evict(s, s->probation.oldest != NULL ? s->probation.oldest
                                             : s->protected.oldest);
}

/* --- the cache --- */

nadb_cached *nadb_cache_get(nadb_cache *c, uint64_t id) {
    uint64_t h = hash(id);
    shard *s = shard_of(c, h);
    nadb_cached *v;

    nadb_lock(&s->lock);
    v = lookup(s, h, id);
    if (v != NULL) {
        s->hits++;
        set_protected(s, v, true);
        add_ref(v);
        shrink(s);
    } else {
        s->misses++;
    }
    nadb_unlock(&s->lock);
    return v;
}

/* Adds `v`, unless its id is cached or `v` is too large. Returns a reference to
 * the cached value, or `v`. */
static nadb_cached *insert(shard *s, uint64_t h, nadb_cached *v) {
    nadb_cached *there = lookup(s, h, v->id);

    if (there != NULL) return add_ref(there);
    if (weight(v) > s->bytes_max / 2 || !make_room(s)) return v;
    v->chain = *bucket_of(s, h);
    *bucket_of(s, h) = v;
    list_add(s, add_ref(v));
    s->entries++;
    shrink(s);
    return v;
}

nadb_cached *nadb_cache_put(nadb_cache *c, uint64_t id, nadb_buf *value) {
    uint64_t h = hash(id);
    shard *s = shard_of(c, h);
    nadb_cached *v = nadb_calloc(1, sizeof *v);
    nadb_cached *out;

    if (v == NULL) return NULL;
    v->id = id;
    v->value = *value;
    *value = (nadb_buf)NADB_BUF_INIT;
    atomic_init(&v->refs, 1);
    nadb_lock(&s->lock);
    out = insert(s, h, v);
    nadb_unlock(&s->lock);
    if (out != v) nadb_cached_release(v);
    return out;
}

void nadb_cache_resize(nadb_cache *c, uint64_t bytes_max) {
    for (unsigned i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];

        nadb_lock(&s->lock);
        s->bytes_max = bytes_max / SHARDS;
        shrink(s);
        nadb_unlock(&s->lock);
    }
}

static void evict_all(shard *s) {
    while (s->probation.oldest != NULL) evict(s, s->probation.oldest);
    while (s->protected.oldest != NULL) evict(s, s->protected.oldest);
}

uint64_t nadb_cache_drop(nadb_cache *c) {
    uint64_t bytes = 0;

    for (unsigned i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];

        nadb_lock(&s->lock);
        bytes += s->probation.bytes + s->protected.bytes;
        evict_all(s);
        nadb_unlock(&s->lock);
    }
    return bytes;
}

nadb_rc nadb_cache_new(uint64_t bytes_max, nadb_cache **out, nadb_err *err) {
    nadb_cache *c = nadb_calloc(1, sizeof *c);
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (c == NULL)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a cache");
    while (rc == NADB_OK && c->n_locks < SHARDS) {
        rc = nadb_mutex_init(&c->shards[c->n_locks].lock, NADB_RANK_CACHE, err);
        if (rc == NADB_OK) c->n_locks++;
    }
    if (rc != NADB_OK) goto done;
    nadb_cache_resize(c, bytes_max);
    *out = c;
    c = NULL;
done:
    nadb_cache_free(c);
    return rc;
}

void nadb_cache_free(nadb_cache *c) {
    if (c == NULL) return;
    for (unsigned i = 0; i < c->n_locks; i++) {
        shard *s = &c->shards[i];

        nadb_lock(&s->lock);
        evict_all(s);
        nadb_unlock(&s->lock);
        nadb_free(s->buckets);
        nadb_mutex_clear(&s->lock);
    }
    nadb_free(c);
}

void nadb_cache_read_stats(nadb_cache *c, nadb_cache_stats *out) {
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < SHARDS; i++) {
        shard *s = &c->shards[i];

        nadb_lock(&s->lock);
        out->hits += s->hits;
        out->misses += s->misses;
        out->entries += s->entries;
        out->bytes += s->probation.bytes + s->protected.bytes;
        out->bytes_max += s->bytes_max;
        nadb_unlock(&s->lock);
    }
}
