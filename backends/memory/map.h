/* map.h - the memory backend's data: a sorted map whose keys have versions.
 *
 * A skip list of nodes, one a key, linked in both directions at its lowest
 * level. Each node has its committed versions, newest first, and at most one
 * that is in doubt:
 *
 *   node "a" ---> node "b" ---> node "c"
 *     |             |             | \ pending: in doubt, nobody sees it
 *     seq 7         seq 3         seq 5
 *     seq 4                       seq 2 (tombstone)
 *
 * A reader sees the newest version whose sequence number is not above its own.
 * Nothing here allocates but the two _new functions, so that a commit, which
 * only links what is there already, cannot fail. Nothing here locks: all but
 * the two _new functions ask for the engine's lock. */
#ifndef NADB_MEMORY_MAP_H
#define NADB_MEMORY_MAP_H

#include "../../core/backend.h"

#define MAP_HEIGHT 12 /* with one node in four one level higher: 16M keys */

typedef struct node node;

typedef struct version {
    struct version *older; /* in the node's chain */
    struct version *next;  /* in the ticket's list, while in doubt */
    node *node;            /* whose version it is */
    uint64_t seq;          /* of the commit; 0 while in doubt */
    uint64_t id;           /* nadb_entry.id */
    unsigned flags;        /* NADB_ENTRY_* of the change */
    size_t value_n;
    uint8_t value[];
} version;

struct node {
    node *prev;         /* in the list; the map's head for the first */
    version *newest;    /* committed; NULL when there is none (any more) */
    version *pending;   /* in doubt, or NULL */
    node *stale_next;   /* queue of nodes that have something to reclaim */
    uint64_t stale_seq; /* reclaimable once nobody reads below this */
    bool stale;         /* it is in that queue */
    uint8_t height;
    size_t key_n;
    node *next[]; /* [height]; the key's bytes follow */
};

typedef struct map {
    node *head; /* no key; MAP_HEIGHT high */
    node *tail; /* the greatest node; the head when there is none */
} map;

nadb_rc map_init(map *m, nadb_err *err) NADB_MUST_USE;
void map_clear(map *m); /* frees all nodes and versions */

/* NULL when out of memory. `chance` decides on the height. */
node *node_new(nadb_slice key, uint64_t chance) NADB_MUST_USE;
version *version_new(const nadb_entry *change) NADB_MUST_USE;
void node_free(node *n); /* with its versions; NULL is fine */

nadb_slice node_key(const node *n);
/* The version that a reader sees at `seq`, when everything before `clear_seq`
 * was cleared for it; NULL for none, also where it is a tombstone. */
const version *node_visible(const node *n, uint64_t seq, uint64_t clear_seq);
/* Frees the versions that nobody sees who reads at `seq` or later, after a
 * clear at `clear_seq`. A tombstone that nothing lies under goes too. */
void node_trim(node *n, uint64_t seq, uint64_t clear_seq);

/* Whether there is something that node_trim() will free one day. */
bool node_has_garbage(const node *n);

/* NULL where there is none. */
node *map_find(const map *m, nadb_slice key);
node *map_first_at(const map *m, nadb_slice key); /* key >= */
node *map_last_at(const map *m, nadb_slice key);  /* key <= */
node *map_last_below(const map *m, nadb_slice key);
node *map_last(const map *m);
node *map_next(const node *n);
node *map_prev(const map *m, const node *n);

/* The key is not there yet. The map owns the node from now on. */
void map_insert(map *m, node *n);
/* Takes the node out; the caller owns it. */
void map_remove(map *m, node *n);

#endif
