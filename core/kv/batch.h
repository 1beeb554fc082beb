/* batch.h - the private changes of a transaction: sorted, and undoable back to
 * any earlier moment.
 *
 * Every change is an operation with a number that only rises. Operations on
 * the same key form a chain, newest first, under one node of a skip list. A
 * reader may ask for the state before some number, so that a cursor does not
 * see what was written after it was opened. Undoing takes operations off the
 * end; their memory comes back when the batch is reset. Of a large batch most
 * of the memory is mapped files (spill.h).
 *
 * Reference counted (not atomically: a connection is one thread at a time), so
 * that a cursor can go on reading a batch whose transaction has ended. */
#ifndef NADB_BATCH_H
#define NADB_BATCH_H

#include "../backend.h"
#include "../nadb.h"
#include "../util/arena.h"
#include "spill.h"

#define BATCH_HEIGHT 12

typedef struct batch_op {
    struct batch_op *older;  /* the same key before */
    struct batch_op *prev;   /* the operation before; any key */
    struct batch_node *node; /* NULL: this one cleared everything */
    uint64_t id;
    unsigned flags; /* NADB_ENTRY_TOMBSTONE, NADB_ENTRY_READ */
    nadb_put_mode mode;
    nadb_slice key, value; /* in the arena */
} batch_op;

typedef struct batch_node {
    batch_op *newest; /* NULL: all undone */
    uint64_t prefix;
    nadb_slice key;
    struct batch_node *prev;   /* for reverse walks */
    struct batch_node *next[]; /* drawn height */
} batch_node;

typedef struct batch {
    unsigned refs;
    nadb_arena arena;
    spill spill;
    batch_op *last; /* newest operation */
    batch_op *last_clear;
    uint64_t next_id; /* of the next operation; begins at 1 */
    uint64_t undone;  /* rises when operations are taken back */
    bool frees;       /* what is added gives space back, and so needs none */
    bool lost;        /* there was no memory to keep it for those who read */
    bool indexed;     /* may have rows with tags or an expiry: nadb_put() */
    size_t nodes;
    unsigned height;
    uint32_t draw; /* state of the height generator */
    batch_node *tail;
    void *spare; /* an iterator that is not in use; owned */
    batch_node *head[BATCH_HEIGHT];
} batch;

/* With one reference; NULL when out of memory. All of it is in memory without
 * an engine (NULL), else as spill_init() says. */
batch *batch_new(nadb_engine *engine, size_t memory_max);
void batch_ref(batch *b);
void batch_unref(batch *b); /* NULL is fine */
/* Empties it for the next transaction. Nobody else has a reference. */
void batch_reset(batch *b);

/* Adds a change, with room for `value_n` bytes that the caller fills through
 * *value before anything else is done with the batch. */
nadb_rc batch_put(batch *b, nadb_slice key, size_t value_n, nadb_put_mode mode,
                  uint8_t **value, nadb_err *err) NADB_MUST_USE;
nadb_rc batch_delete(batch *b, nadb_slice key, nadb_err *err) NADB_MUST_USE;
/* Adds a change as it is, tombstone or not, with a copy of `value`. */
nadb_rc batch_add(batch *b, nadb_slice key, nadb_slice value, bool tombstone,
                  nadb_err *err) NADB_MUST_USE;
/* Removes what has expired: it was written as `seq`. */
nadb_rc batch_sweep(batch *b, nadb_slice key, uint64_t seq,
                    nadb_err *err) NADB_MUST_USE;
nadb_rc batch_clear_all(batch *b, nadb_err *err) NADB_MUST_USE;
/* Takes back every operation with a number >= id. */
void batch_undo(batch *b, uint64_t id);

/* The key's newest operation below `limit`; NULL when there is none. A clear
 * in between counts as none: ask batch_cleared(). */
const batch_op *batch_find(const batch *b, nadb_slice key, uint64_t limit);
/* Whether everything below was cleared, as seen below `limit`. */
bool batch_cleared(const batch *b, uint64_t limit);
bool batch_empty(const batch *b); /* nothing to commit */

/* How much a commit would write: the newest operations. */
void batch_measure(const batch *b, size_t *count, size_t *bytes);

/* Iterates over the newest operations below `limit`, tombstones included.
 * Takes a reference. Changes to the batch meanwhile are fine. */
nadb_rc batch_iter(batch *b, const nadb_range *range, uint64_t limit,
                   nadb_iter **out, nadb_err *err) NADB_MUST_USE;

#endif
