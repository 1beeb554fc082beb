/* memtable.h - one log and the index over it: a memtable that all processes of
 * a store read and write in place (bytes: docs/format.md, "Memtable index").
 *
 * The index is a mapped file. It has one node per key, in a hash table and in a
 * skip list. Each node has a chain of versions, newest first, which point to
 * entries in the log. It holds offsets instead of pointers, and every offset
 * and every walk is checked against bounds, so that damage gives NADB_CORRUPT
 * and not a crash. It can always be rebuilt from the log.
 *
 *   hash table   bucket -> node -> node ..      (chain)
 *   skip list    head   -> node -> node ..      (next[], by key)
 *   node                -> version -> older version ..
 *   version             -> entry in the log
 *
 * Readers take no lock: a node or a version is complete before a release store
 * makes it reachable, and readers ignore versions above their snapshot. Writers
 * REQUIRE the commit lock. memtable_link() may be repeated (what is linked
 * already stays), so that another process can finish what a killed one began.
 *
 * The head of the index also holds what processes must agree on about the log:
 * its tail and the reserved space. */
#ifndef NADB_MEMTABLE_H
#define NADB_MEMTABLE_H

#include <stdatomic.h>

#include "../util/sync.h"
#include "wal.h"

#define MEMTABLE_HEIGHT 12
#define MEMTABLE_CLEARS 16u

typedef struct memtable_head {
    _Atomic uint64_t magic; /* "NADBidx1"; 0 until it is complete */
    uint32_t version;
    uint32_t buckets; /* a power of two */
    uint64_t salt;    /* that of the log it belongs to */
    uint64_t number;
    /* bytes of the mapping; the file may be shorter */
    uint64_t capacity;
    _Atomic uint64_t tail_not; /* ~tail, which reveals damage of `tail` */

    _Atomic uint64_t tail;         /* end of the last record in the log */
    _Atomic uint64_t log_reserved; /* size of the log's file, at least */
    _Atomic uint64_t idx_reserved; /* size of the index file, at least */
    /* offset of the next free byte in the index */
    _Atomic uint64_t alloc;
    _Atomic uint32_t appending; /* a record is being written at tail */
    _Atomic uint32_t closed; /* the log takes no more records; bytes behind the
                                tail are void */
    /* the log's name in the directory is durable */
    _Atomic uint32_t dir_synced;
    _Atomic uint32_t height;
    _Atomic uint64_t nodes;
    _Atomic uint64_t versions;
    _Atomic uint64_t max_seq;  /* highest sequence number that is linked */
    _Atomic uint64_t witness;  /* end of the last record without entries */
    _Atomic uint32_t n_clears; /* number of clears in this log */
    /* node with the greatest key, for reverse walks */
    _Atomic uint32_t last;
    /* their sequence numbers, ascending */
    _Atomic uint64_t clears[MEMTABLE_CLEARS];
    _Atomic uint32_t head_next[MEMTABLE_HEIGHT];
    _Atomic uint32_t keeps;  /* its commits are listed */
    _Atomic uint32_t commit; /* newest listed commit; 0: none */
} memtable_head;

typedef struct memtable {
    _Atomic uint32_t refs;
    wal log;
    nadb_file *idx_file; /* NULL: in private memory */
    memtable_head *head; /* the mapping */
    uint64_t idx_capacity;
    uint32_t buckets;          /* expected value of head->buckets */
    _Atomic uint64_t idx_safe; /* bytes of the index known to exist */
    _Atomic uint64_t log_safe; /* bytes of the log known to exist */
    /* tombstones that walks of this process have passed, again at each walk */
    _Atomic uint64_t passed;
} memtable;

/* A key with values that are computed once per lookup. The first 17 bytes of a
 * key, in `space` and `words`, decide nearly all comparisons without a look at
 * the log. */
typedef struct memtable_key {
    nadb_slice key;
    uint64_t words[2]; /* bytes 1 to 16, big-endian, padded with zeros */
    uint64_t hash;
    uint8_t space; /* byte 0; 0 for an empty key */
} memtable_key;

enum { MEMTABLE_HELD = 17 };

static inline memtable_key memtable_key_unhashed(nadb_slice key) {
    memtable_key k = {.key = key};

    if (key.n > 0) {
        k.space = key.p[0];
        k.words[0] = nadb_slice_prefix8(nadb_slice_of(key.p + 1, key.n - 1));
    }
    if (key.n > 9)
        k.words[1] = nadb_slice_prefix8(nadb_slice_of(key.p + 9, key.n - 9));
    return k;
}

static inline memtable_key memtable_key_of(nadb_slice key) {
    memtable_key k = memtable_key_unhashed(key);

    k.hash = nadb_hash64(key);
    return k;
}

/* Makes a log and its index. *out: one reference. */
nadb_rc memtable_create(memtable **out, const nadb_home *home,
                        const wal_birth *birth, nadb_err *err) NADB_MUST_USE;
/* Opens a log and index that another process made. A missing file is
 * NADB_CANTOPEN with sys_errno ENOENT. */
nadb_rc memtable_attach(memtable **out, nadb_home *home, uint64_t number,
                        nadb_err *err) NADB_MUST_USE;
/* Opens a log and makes an empty index for it, in a file or (`private`) in
 * memory. *out is NULL if the log's header is not valid. */
nadb_rc memtable_rebuild(memtable **out, nadb_home *home, uint64_t number,
                         bool private, nadb_err *err) NADB_MUST_USE;
memtable *memtable_ref(memtable *m);
void memtable_unref(memtable *m); /* NULL is fine */

/* Asks the system for the sizes of both files, which another process may have
 * grown; true if one has changed. */
bool memtable_look_again(memtable *m);

/* The newest version of the key with floor < seq <= snapshot, which may be a
 * tombstone. Entries are PINNED as long as `m` is referenced. */
nadb_rc memtable_get(memtable *m, const memtable_key *k, uint64_t snapshot,
                     uint64_t floor, nadb_entry *out, bool *found,
                     nadb_err *err);
/* The sequence number of the key's last change (nadb_changed_seq()); 0 if the
 * key has no version. */
nadb_rc memtable_newest(memtable *m, const memtable_key *k, uint64_t *seq,
                        nadb_err *err);
/* Walks over a range, with tombstones. Takes a reference. */
nadb_rc memtable_iter(memtable *m, uint64_t snapshot, uint64_t floor,
                      const nadb_range *range, nadb_iter **out,
                      nadb_err *err) NADB_MUST_USE;
/* A committed record. */
typedef struct memtable_commit {
    uint64_t seq;
    uint64_t off; /* offset of the record in the log */
} memtable_commit;
/* Appends to *out, ascending, the commits with since < seq <= upto. REQUIRES:
 * head->keeps. */
nadb_rc memtable_commits(memtable *m, uint64_t since, uint64_t upto,
                         nadb_buf *out, nadb_err *err);
/* Checks that walks in both directions meet every node. REQUIRES: no writer. */
nadb_rc memtable_check_links(memtable *m, nadb_err *err) NADB_MUST_USE;
/* True if it may have entries of indexes. */
bool memtable_indexed(memtable *m);
/* Walks that passed so many tombstones have taken longer than a flush, which
 * removes them or moves them to the base. */
#define MEMTABLE_PASSED_MAX ((uint64_t)1 << 20)
static inline bool memtable_is_worn(const memtable *m) {
    return atomic_load_explicit(&m->passed, memory_order_relaxed) >=
           MEMTABLE_PASSED_MAX;
}
/* True if no open view sees an entry of it. */
static inline bool memtable_is_empty(const memtable *m) {
    return atomic_load_explicit(&m->head->head_next[0], memory_order_acquire) ==
           0;
}
/* The sequence number of the last clear in this memtable that `snapshot` sees;
 * 0: none. */
uint64_t memtable_floor(const memtable *m, uint64_t snapshot);

/* --- writing. REQUIRES: the commit lock --- */

/* An upper bound of the bytes that linking `count` entries takes in the
 * index. */
uint64_t memtable_room(uint64_t count);
/* Extends the files: the log by `log_bytes` behind the tail, the index by
 * `room` behind what is used and promised. NADB_FULL if the disk is full. If
 * the memtable's capacity is too small, *fits is false and the result
 * NADB_OK. */
nadb_rc memtable_reserve(memtable *m, uint64_t log_bytes, uint64_t room,
                         bool *fits, nadb_err *err) NADB_MUST_USE;

/* Where the last key was inserted, which makes ascending keys cheap.
 * Initialised with zeros. */
typedef struct memtable_splice {
    bool valid;
    uint32_t prev[MEMTABLE_HEIGHT];
} memtable_splice;

/* Adds a version. Cannot run out of space, because it was reserved.
 * NADB_CORRUPT if the index is damaged. */
nadb_rc memtable_link(memtable *m, memtable_splice *splice, const wal_entry *e,
                      uint64_t seq, nadb_err *err) NADB_MUST_USE;
/* Lists the record at `off` as commit `seq`, if commits are listed. Its room
 * was reserved with that of the record's entries. May be repeated. */
nadb_rc memtable_commit_add(memtable *m, uint64_t off, uint64_t seq,
                            nadb_err *err) NADB_MUST_USE;
/* Notes that commit `seq` clears everything before it. REQUIRES: n_clears <
 * MEMTABLE_CLEARS. */
void memtable_clear_at(memtable *m, uint64_t seq);

/* CRC32C of the index for the seal, continued from `crc`; *ok is cleared if a
 * part is missing. For an empty index only the head is covered: buckets are not
 * read before there are nodes, and memtable_unseal() clears them. */
uint32_t memtable_index_crc(memtable *m, uint32_t crc, bool *ok);
/* before the first use after a seal; commit lock */
void memtable_unseal(memtable *m);

/* Moves the tail. A process that dies inside leaves the old tail, and
 * `appending` set. REQUIRES: the commit lock. */
void memtable_tail_set(memtable *m, uint64_t tail);
/* True if tail and tail_not agree. Without the commit lock, false may also mean
 * that a writer is moving the tail. */
bool memtable_tail_ok(memtable *m);
/* True if both files are as long as an appending process leaves them. */
bool memtable_is_whole(memtable *m);
/* Fails with NADB_CORRUPT: the index is damaged. */
nadb_rc memtable_damaged(const memtable *m, nadb_err *err);

/* True if the log's file reaches up to `end`. */
bool memtable_log_exists(memtable *m, uint64_t end);

static inline uint64_t memtable_tail(const memtable *m) {
    return atomic_load_explicit(&m->head->tail, memory_order_acquire);
}

#endif
