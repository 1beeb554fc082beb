/* iter.h - entries, ranges of keys, and iterators over them. */
#ifndef NADB_ITER_H
#define NADB_ITER_H

#include "bytes.h"

/* --- entries --- */

enum {
    NADB_ENTRY_TOMBSTONE = 1, /* the key was deleted; the value is empty */
    NADB_ENTRY_PINNED = 2,    /* slices outlive the iterator's moves: they are
                                 valid until the view is closed */
    /* in a change: the writer has read this key in its view, so it is
     * checked */
    NADB_ENTRY_READ = 4,
    /* as PINNED for the value; the key is valid until the iterator moves */
    NADB_ENTRY_VALUE_PINNED = 8
};

typedef struct nadb_entry {
    nadb_slice key; /* keyspace byte included */
    nadb_slice value;
    uint64_t seq; /* of the commit; 0: very old */
    unsigned flags;
    /* key of the value cache: file number << 36 ^ offset (logs and tables never
     * share a number); 0: none */
    uint64_t id;
} nadb_entry;

/* Keys lo <= k < hi, bytewise. hi.p == NULL: no upper bound. */
typedef struct nadb_range {
    nadb_slice lo;
    nadb_slice hi;
    bool reverse; /* from hi down to lo */
} nadb_range;

static inline bool nadb_in_range(nadb_slice lo, nadb_slice hi, nadb_slice key) {
    return nadb_slice_cmp(key, lo) >= 0 &&
           (hi.p == NULL || nadb_slice_cmp(key, hi) < 0);
}

/* Bytes of both bounds. */
static inline size_t nadb_range_bytes(const nadb_range *r) {
    return r->lo.n + (r->hi.p == NULL ? 0 : r->hi.n);
}

/* The range with bounds of its own: they are copied to `to`, where there is
 * room for nadb_range_bytes(). */
static inline nadb_range nadb_range_copy(const nadb_range *r, uint8_t *to) {
    nadb_range copy = {nadb_slice_of(to, r->lo.n), {NULL, 0}, r->reverse};

    if (r->lo.n > 0) memcpy(to, r->lo.p, r->lo.n);
    if (r->hi.p == NULL) return copy;
    copy.hi = nadb_slice_of(to + r->lo.n, r->hi.n);
    if (r->hi.n > 0) memcpy(to + r->lo.n, r->hi.p, r->hi.n);
    return copy;
}

/* --- iterators --- */

typedef struct nadb_iter nadb_iter;

/* An iterator moves in one direction through one range. It is created before
 * its first entry: call seek() or next() first. After each call `valid` tells
 * whether there is an `entry`; its slices are valid until the next call, unless
 * PINNED. Each key has one entry, the newest visible version, tombstones
 * included if the source says so. */
typedef struct nadb_iter_ops {
    nadb_rc (*next)(nadb_iter *it, nadb_err *err);
    /* Forward: moves to the first entry >= key; reverse: to the last <= key;
     * both within the range. May move in either direction. */
    nadb_rc (*seek)(nadb_iter *it, nadb_slice key, nadb_err *err);
    void (*free)(nadb_iter *it);
} nadb_iter_ops;

struct nadb_iter {
    const nadb_iter_ops *ops;
    bool valid;
    nadb_entry entry;
};

static inline nadb_rc nadb_iter_next(nadb_iter *it, nadb_err *err) {
    return it->ops->next(it, err);
}

static inline nadb_rc nadb_iter_seek(nadb_iter *it, nadb_slice key,
                                     nadb_err *err) {
    return it->ops->seek(it, key, err);
}

static inline void nadb_iter_free(nadb_iter *it) {
    if (it != NULL) it->ops->free(it);
}

#endif
