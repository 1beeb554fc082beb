/* memtable_node.h - layout of the memtable index, for memtable*.c only.
 *
 * A place is an offset from the start of the mapping in units of 8 bytes; 0
 * means none. */
#ifndef NADB_MEMTABLE_NODE_H
#define NADB_MEMTABLE_NODE_H

#include "../util/assert.h"
#include "memtable.h"

typedef struct version {
    uint64_t seq;
    uint64_t off;   /* offset of the entry in the log */
    uint32_t older; /* the next older version */
    uint32_t sum;   /* CRC32C of the fields above and of the entry's bytes */
} version;

/* The fields that a search reads are at the end, mostly in one cache line. */
typedef struct node {
    uint64_t key_off; /* offset of the key's bytes in the log */
    uint32_t key_len;
    uint32_t hash;           /* upper half of the key's hash */
    _Atomic uint32_t chain;  /* next in the hash bucket */
    _Atomic uint32_t newest; /* version */
    uint64_t words[2];       /* as in memtable_key */
    uint8_t space;           /* as in memtable_key */
    uint8_t height;
    uint16_t unused;         /* always 0 */
    _Atomic uint32_t prev;   /* the node before; 0: this is the first */
    _Atomic uint32_t next[]; /* `height` of them */
} node;

/* True if the index file reaches up to `end`; asks the system if it has
 * grown. */
bool memtable_index_exists(memtable *m, uint64_t end);

/* NULL if out of bounds. */
static inline node *memtable_node(memtable *m, uint32_t at) {
    uint64_t off = (uint64_t)at * 8;
    uint64_t end = off + sizeof(node) + 4 * MEMTABLE_HEIGHT;
    node *n = (node *)((uint8_t *)m->head + off);

    if (off < sizeof(memtable_head)) return NULL;
    if (end > atomic_load_explicit(&m->idx_safe, memory_order_relaxed) &&
        !memtable_index_exists(m, end))
        return NULL;
    return n->height >= 1 && n->height <= MEMTABLE_HEIGHT ? n : NULL;
}

/* NULL if out of bounds. */
static inline version *memtable_version_at(memtable *m, uint32_t at) {
    uint64_t off = (uint64_t)at * 8;

    if (off < sizeof(memtable_head) ||
        !memtable_index_exists(m, off + sizeof(version)))
        return NULL;
    return (version *)((uint8_t *)m->head + off);
}

/* Takes `n` reserved bytes of the index. */
static inline uint64_t memtable_take(memtable *m, uint64_t n) {
    uint64_t at = atomic_load(&m->head->alloc);

    NADB_ASSERT(at + n <= atomic_load(&m->idx_safe)); /* reserved */
    nadb_set(&m->head->alloc, at + (n + 7) / 8 * 8);
    return at;
}

/* The value of `alloc` while there are no nodes. */
static inline uint64_t memtable_first_free(const memtable *m) {
    return (sizeof(memtable_head) + (uint64_t)m->buckets * 4 + 7) / 8 * 8;
}
#define MEMTABLE_SLACK 256u /* a node may be read as if it had full height */
/* True if `alloc` is a possible value and `room` bytes behind it exist. */
bool memtable_index_fits(memtable *m, uint64_t alloc, uint64_t room);
bool memtable_key_bytes(memtable *m, const node *n, nadb_slice *out);
/* Compares the rest of the keys when space and words are equal; *ok is cleared
 * on damage. */
int memtable_cmp_far(memtable *m, const node *n, const memtable_key *k,
                     bool *ok);

/* Compares the node's key with k; *ok is cleared on damage. */
static inline int memtable_cmp(memtable *m, const node *n,
                               const memtable_key *k, bool *ok) {
    if (n->space != k->space) return n->space < k->space ? -1 : 1;
    if (n->words[0] != k->words[0]) return n->words[0] < k->words[0] ? -1 : 1;
    if (n->words[1] != k->words[1]) return n->words[1] < k->words[1] ? -1 : 1;
    return memtable_cmp_far(m, n, k, ok);
}
nadb_rc memtable_visible(memtable *m, const node *n, uint64_t snapshot,
                         uint64_t floor, version **out, nadb_err *err);
/* Checks that the log still has the key of n. */
nadb_rc memtable_node_check(memtable *m, const node *n, nadb_err *err);
/* The entry of a version of n. */
nadb_rc memtable_entry(memtable *m, const node *n, const version *v,
                       nadb_entry *out, nadb_err *err);
nadb_rc memtable_seek_prev(memtable *m, const memtable_key *k,
                           memtable_splice *s, nadb_err *err);

#endif
