/* batch.h - the private changes of a transaction: sorted, and undoable back to
 * any earlier moment.
 *
 * Every change is an operation with a rising number. A skip list has one node
 * per key, and each node a chain of operations, newest first:
 *
 *   node "a" -> op 7 (put) -> op 3 (delete)
 *   node "b" -> op 5 (put)
 *
 * A reader may ask for the state before some number, so that a cursor does not
 * see changes that were made after it was opened. Undo takes operations off the
 * end; their memory is freed when the batch is reset. Most of a large batch is
 * in mapped files (spill.h).
 *
 * Reference counted (not atomically, because one thread at a time uses a
 * connection), so that a cursor can go on reading after the transaction's
 * end. */
#ifndef NADB_BATCH_H
#define NADB_BATCH_H

#include "../backend.h"
#include "../nadb.h"
#include "../util/arena.h"
#include "spill.h"

#define BATCH_HEIGHT 12

typedef struct batch_op {
    struct batch_op *older;  /* the next older one of the same key */
    struct batch_op *prev;   /* the next older one of any key */
    struct batch_node *node; /* NULL: this one cleared everything */
    uint64_t id;
    unsigned flags; /* NADB_ENTRY_TOMBSTONE, NADB_ENTRY_READ */
    nadb_put_mode mode;
    nadb_slice key, value; /* in the arena */
} batch_op;

typedef struct batch_node {
    batch_op *newest; /* NULL: all are undone */
    uint64_t prefix;
    nadb_slice key;
    struct batch_node *prev;   /* for reverse walks */
    struct batch_node *next[]; /* `height` of them */
} batch_node;

typedef struct batch {
    unsigned refs;
    nadb_arena arena;
    spill spill;
    batch_op *last; /* newest operation */
    batch_op *last_clear;
    uint64_t next_id; /* number of the next operation; begins at 1 */
    uint64_t undone;  /* rises with each undo */
    /* what is added frees space on commit, so it may go to memory on a full
     * disk */
    bool frees;
    bool lost;    /* emptied for lack of memory: its cursors fail */
    bool indexed; /* nadb_put() added a row with tags or an expiry */
    size_t nodes;
    unsigned height;
    uint32_t draw; /* state of the random generator of heights */
    batch_node *tail;
    void *spare; /* an unused iterator; owned */
    batch_node *head[BATCH_HEIGHT];
} batch;

/* A batch with one reference; NULL if out of memory. `engine` NULL: everything
 * is kept in memory, otherwise as spill_init() says. */
batch *batch_new(nadb_engine *engine, size_t memory_max);
void batch_ref(batch *b);
void batch_unref(batch *b); /* NULL is fine */
/* Empties it for the next transaction. REQUIRES: the only reference. */
void batch_reset(batch *b);

/* Adds a put. The caller fills the `value_n` bytes at *value before the next
 * call on the batch. */
nadb_rc batch_put(batch *b, nadb_slice key, size_t value_n, nadb_put_mode mode,
                  uint8_t **value, nadb_err *err) NADB_MUST_USE;
nadb_rc batch_delete(batch *b, nadb_slice key, nadb_err *err) NADB_MUST_USE;
/* Adds a put or a tombstone, with a copy of `value`. */
nadb_rc batch_add(batch *b, nadb_slice key, nadb_slice value, bool tombstone,
                  nadb_err *err) NADB_MUST_USE;
/* Removes an expired row that was written by commit `seq`. */
nadb_rc batch_sweep(batch *b, nadb_slice key, uint64_t seq,
                    nadb_err *err) NADB_MUST_USE;
nadb_rc batch_clear_all(batch *b, nadb_err *err) NADB_MUST_USE;
/* Undoes every operation with a number >= id. */
void batch_undo(batch *b, uint64_t id);

/* The key's newest operation below `limit`; NULL if there is none. Operations
 * before a clear are not found: see batch_cleared(). */
const batch_op *batch_find(const batch *b, nadb_slice key, uint64_t limit);
/* True if an operation below `limit` clears everything. */
bool batch_cleared(const batch *b, uint64_t limit);
bool batch_empty(const batch *b); /* nothing to commit */

/* Number and bytes of what a commit writes: the newest operation of each
 * key. */
void batch_measure(const batch *b, size_t *count, size_t *bytes);

/* Walks over the newest operations below `limit`, with tombstones. Takes a
 * reference. The batch may be changed meanwhile. */
nadb_rc batch_iter(batch *b, const nadb_range *range, uint64_t limit,
                   nadb_iter **out, nadb_err *err) NADB_MUST_USE;

#endif
