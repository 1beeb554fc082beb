/* memtable.h - one log and the index over it: a memtable that all processes
 * of a store read and write in place (bytes: docs/format.md, "Memtable index").
 *
 * The index is a mapped file. Its nodes, one a key, hang in a hash table and in
 * a skip list; each node has a chain of versions, newest first, that point at
 * the entries in the log. It holds offsets, never pointers, and every offset
 * and walk is bounded, so that damage is NADB_CORRUPT and not a crash. It can
 * always be built again from the log.
 *
 * Readers take no lock: a node or version is complete before a release store
 * makes it reachable, and a reader ignores versions above its snapshot. Writers
 * hold the commit lock. memtable_link() may be repeated: what is there already
 * stays, so that a survivor can finish what a killed process began.
 *
 * What the processes must agree on about the log (its tail, what is reserved)
 * stands in the head of the index. */
#ifndef NADB_MEMTABLE_H
#define NADB_MEMTABLE_H

#include <stdatomic.h>

#include "../util/sync.h"
#include "wal.h"

#define MEMTABLE_HEIGHT 12
#define MEMTABLE_CLEARS 16u

typedef struct memtable_head {
    _Atomic uint64_t magic; /* "NADBidx1"; 0 while it is being made */
    uint32_t version;
    uint32_t buckets; /* a power of two */
    uint64_t salt;    /* the log's: they belong together */
    uint64_t number;
    uint64_t capacity;         /* bytes mapped; the file may be shorter */
    _Atomic uint64_t tail_not; /* ~tail: what all appending rests on is told
                                  from damage */

    _Atomic uint64_t tail;         /* log: end of the finished records */
    _Atomic uint64_t log_reserved; /* log: the file exists up to here */
    _Atomic uint64_t idx_reserved; /* index: the file exists up to here */
    _Atomic uint64_t alloc;        /* index: next free byte */
    _Atomic uint32_t appending;    /* a record is being written at tail */
    _Atomic uint32_t closed;       /* no more records: bytes behind tail are
                                      void, a new log must follow */
    _Atomic uint32_t dir_synced;   /* the log's name is durable */
    _Atomic uint32_t height;
    _Atomic uint64_t nodes;
    _Atomic uint64_t versions;
    _Atomic uint64_t max_seq;  /* of what is linked */
    _Atomic uint64_t witness;  /* log: end of the last record without entries */
    _Atomic uint32_t n_clears; /* clears in this log, ascending .. */
    _Atomic uint32_t last;     /* greatest node, for reverse walks */
    _Atomic uint64_t clears[MEMTABLE_CLEARS]; /* .. sequence numbers */
    _Atomic uint32_t head_next[MEMTABLE_HEIGHT];
    _Atomic uint32_t keeps;  /* its commits are listed: */
    _Atomic uint32_t commit; /* the newest; 0 = none */
} memtable_head;

typedef struct memtable {
    _Atomic uint32_t refs;
    wal log;
    nadb_file *idx_file; /* NULL when private */
    memtable_head *head; /* the mapping */
    uint64_t idx_capacity;
    uint32_t buckets;          /* what head->buckets must be */
    _Atomic uint64_t idx_safe; /* bytes of the index known to exist */
    _Atomic uint64_t log_safe; /* bytes of the log known to exist */
} memtable;

/* A key with what is computed from it once a lookup. The 17 bytes that `space`
 * and `words` hold decide nearly all comparisons, so that those need not touch
 * the log. */
typedef struct memtable_key {
    nadb_slice key;
    uint64_t words[2]; /* of the bytes behind the first, big-endian; zeros
                          where there is none */
    uint64_t hash;
    uint8_t space; /* the first byte; 0: none */
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

/* Makes log and index. One reference. */
nadb_rc memtable_create(memtable **out, const nadb_home *home,
                        const wal_birth *birth, nadb_err *err) NADB_MUST_USE;
/* Opens both as another process made them. A missing file is NADB_CANTOPEN
 * with sys_errno ENOENT. */
nadb_rc memtable_attach(memtable **out, nadb_home *home, uint64_t number,
                        nadb_err *err) NADB_MUST_USE;
/* Opens the log and makes an empty index for it, in a file or (`private`) in
 * memory. *out is NULL when the log's header is not one. */
nadb_rc memtable_rebuild(memtable **out, nadb_home *home, uint64_t number,
                         bool private, nadb_err *err) NADB_MUST_USE;
memtable *memtable_ref(memtable *m);
void memtable_unref(memtable *m); /* NULL is fine */

/* Raises what is known to exist of both files, after another process has grown
 * them; true if it changed anything. A system call. */
bool memtable_look_again(memtable *m);

/* The newest version of the key with floor < seq <= snapshot; tombstones are
 * found (flags say so). Entries are PINNED: they live as long as `m`. */
nadb_rc memtable_get(memtable *m, const memtable_key *k, uint64_t snapshot,
                     uint64_t floor, nadb_entry *out, bool *found,
                     nadb_err *err);
/* When the key last changed (nadb_changed_seq()), 0 when it has no version. */
nadb_rc memtable_newest(memtable *m, const memtable_key *k, uint64_t *seq,
                        nadb_err *err);
/* Iterates with tombstones. Takes a reference. */
nadb_rc memtable_iter(memtable *m, uint64_t snapshot, uint64_t floor,
                      const nadb_range *range, nadb_iter **out,
                      nadb_err *err) NADB_MUST_USE;
/* A record that was committed. */
typedef struct memtable_commit {
    uint64_t seq;
    uint64_t off; /* of the record in the log */
} memtable_commit;
/* Appends the commits with since < seq <= upto to *out, ascending. Only of a
 * memtable that lists them (head->keeps). */
nadb_rc memtable_commits(memtable *m, uint64_t since, uint64_t upto,
                         nadb_buf *out, nadb_err *err);
/* Whether the walk meets every node both ways. Only where nobody writes. */
nadb_rc memtable_check_links(memtable *m, nadb_err *err) NADB_MUST_USE;
/* Whether it may have keys of other keyspaces than rows. */
bool memtable_indexed(memtable *m);
/* No view that is open sees an entry in it. */
static inline bool memtable_is_empty(const memtable *m) {
    return atomic_load_explicit(&m->head->head_next[0], memory_order_acquire) ==
           0;
}
/* Up to which sequence number everything is gone by a clear in this memtable
 * that `snapshot` sees; 0 = none. */
uint64_t memtable_floor(const memtable *m, uint64_t snapshot);

/* --- writing: under the commit lock --- */

/* Bytes of the index that linking `count` entries may take. */
uint64_t memtable_room(uint64_t count);
/* Makes the files exist for `log_bytes` more behind the tail and `room` more
 * behind what is allocated and promised. NADB_FULL when the disk is, or when
 * the memtable's capacity does not allow it (*fits = false, NADB_OK). */
nadb_rc memtable_reserve(memtable *m, uint64_t log_bytes, uint64_t room,
                         bool *fits, nadb_err *err) NADB_MUST_USE;

/* Where the last key was inserted: makes ascending keys cheap. Zero it. */
typedef struct memtable_splice {
    bool valid;
    uint32_t prev[MEMTABLE_HEIGHT];
} memtable_splice;

/* Adds a version. The room was reserved: cannot fail for lack of space.
 * NADB_CORRUPT when the index is damaged. */
nadb_rc memtable_link(memtable *m, memtable_splice *splice, const wal_entry *e,
                      uint64_t seq, nadb_err *err) NADB_MUST_USE;
/* Lists the record at `off` as commit `seq`, where commits are listed. The room
 * was reserved with that of the record's entries. May be repeated. */
nadb_rc memtable_commit_add(memtable *m, uint64_t off, uint64_t seq,
                            nadb_err *err) NADB_MUST_USE;
/* Commit `seq` of this memtable clears what was before it. The caller has seen
 * to it that n_clears has room. */
void memtable_clear_at(memtable *m, uint64_t seq);

/* CRC32C of the index, for the seal; *ok is cleared when it is not all there.
 * Of an empty one it is that of the head: its buckets are not read before
 * there are nodes, and memtable_unseal() sees to them. */
uint32_t memtable_index_crc(memtable *m, uint32_t crc, bool *ok);
void memtable_unseal(memtable *m); /* before the first use; commit lock */

/* Moves the tail, under the commit lock. Who dies in between leaves the old
 * one, and `appending`. */
void memtable_tail_set(memtable *m, uint64_t tail);
/* Whether the tail is as it was set; without the commit lock, false can also
 * mean that it is being set. */
bool memtable_tail_ok(memtable *m);
/* Whether it ends, in both files, as whoever appends leaves it. */
bool memtable_is_whole(memtable *m);
/* The error that says that the index is damaged. */
nadb_rc memtable_damaged(const memtable *m, nadb_err *err);

/* Whether the log exists up to `end`. */
bool memtable_log_exists(memtable *m, uint64_t end);

static inline uint64_t memtable_tail(const memtable *m) {
    return atomic_load_explicit(&m->head->tail, memory_order_acquire);
}

#endif
