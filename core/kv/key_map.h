/* key_map.h - a number for each key (or tag), in memory; a hash table with open
 * addressing. */
#ifndef NADB_KEY_MAP_H
#define NADB_KEY_MAP_H

#include "../util/arena.h"

typedef struct key_map_slot {
    nadb_slice key; /* in the arena; key.p == NULL: the slot is free */
    int64_t number;
} key_map_slot;

typedef struct key_map {
    key_map_slot *slots;
    size_t n_slots, n;
    nadb_arena names;
} key_map;

#define KEY_MAP_INIT                                                           \
    { NULL, 0, 0, NADB_ARENA_INIT }

/* The key's number, which is added as 0; valid until the next call. NULL if out
 * of memory. */
int64_t *key_map_at(key_map *m, nadb_slice key) NADB_MUST_USE;
/* The key's number; NULL if the map lacks the key. */
const int64_t *key_map_find(const key_map *m, nadb_slice key);
/* Removes all keys. */
void key_map_clear(key_map *m);

#endif
