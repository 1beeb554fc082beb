/* map.h - the memory backend's data: a sorted map whose keys have versions.
 *
 * A skip list with one node per key, linked in both directions on its lowest
 * level. Each node has its committed versions, newest first, and at most one
 * that is in doubt:
 *
 *   node "a" ---> node "b" ---> node "c"
 *     |             |             | \ pending: in doubt, invisible
 *     seq 7         seq 3         seq 5
 *     seq 4                       seq 2 (tombstone)
 *
 * A reader sees the newest version whose sequence number is not above its own.
 * Only the two _new functions allocate, so a commit, which links what exists
 * already, cannot fail. Nothing here locks: all but the two _new functions
 * REQUIRE the engine's lock. */
#ifndef NADB_MEMORY_MAP_H
#define NADB_MEMORY_MAP_H

#include "../../core/backend.h"

#define MAP_HEIGHT 12 /* with one node in four one level higher: 16M keys */

typedef struct node node;

typedef struct version {
    struct version *older; /* in the node's chain */
    struct version *next;  /* in the ticket's list, while in doubt */
    node *node;            /* the node it belongs to */
    uint64_t seq;          /* of the commit; 0 while in doubt */
    uint64_t id;           /* nadb_entry.id */
    unsigned flags;        /* NADB_ENTRY_* of the change */
    size_t value_n;
    uint8_t value[];
} version;

struct node {
    node *prev;         /* the head, for the first node */
    version *newest;    /* committed; NULL if there is none */
    version *pending;   /* in doubt, or NULL */
    node *stale_next;   /* queue of nodes with something to free */
    uint64_t stale_seq; /* it can be freed once no view is below this */
    bool stale;         /* it is in that queue */
    uint8_t height;
    size_t key_n;
    node *next[]; /* [height]; the key's bytes follow */
};

typedef struct map {
    node *head; /* no key; MAP_HEIGHT high */
    node *tail; /* the last node; the head if there is none */
} map;

nadb_rc map_init(map *m, nadb_err *err) NADB_MUST_USE;
void map_clear(map *m); /* frees all nodes and versions */

/* NULL if out of memory. `chance` decides the height. */
node *node_new(nadb_slice key, uint64_t chance) NADB_MUST_USE;
version *version_new(const nadb_entry *change) NADB_MUST_USE;
void node_free(node *n); /* with its versions; NULL is fine */

nadb_slice node_key(const node *n);
/* The version that a reader sees at `seq` if a clear hides everything before
 * `clear_seq`; NULL if there is none or it is a tombstone. */
const version *node_visible(const node *n, uint64_t seq, uint64_t clear_seq);
/* Frees the versions that no reader at `seq` or later sees, after a clear at
 * `clear_seq`; also a tombstone with nothing below it. */
void node_trim(node *n, uint64_t seq, uint64_t clear_seq);

/* True if node_trim() will have something to free. */
bool node_has_garbage(const node *n);

/* NULL if the map lacks the key. */
node *map_find(const map *m, nadb_slice key);
/* first node with a key >= key */
node *map_first_at(const map *m, nadb_slice key);
/* last node with a key <= key */
node *map_last_at(const map *m, nadb_slice key);
node *map_last_below(const map *m, nadb_slice key);
node *map_last(const map *m);
node *map_next(const node *n);
node *map_prev(const map *m, const node *n);

/* Adds a node, which the map then owns. REQUIRES: the map lacks the key. */
void map_insert(map *m, node *n);
/* Removes a node, which the caller then owns. */
void map_remove(map *m, node *n);

#endif
