/* key_map.h - a number for each key (or tag), in memory. Open addressing;
 * grows. */
#ifndef NADB_KEY_MAP_H
#define NADB_KEY_MAP_H

#include "../util/arena.h"

typedef struct key_map_slot {
    nadb_slice key; /* in the arena; key.p == NULL: a free slot */
    int64_t number;
} key_map_slot;

typedef struct key_map {
    key_map_slot *slots;
    size_t n_slots, n;
    nadb_arena names;
} key_map;

#define KEY_MAP_INIT                                                           \
    { NULL, 0, 0, NADB_ARENA_INIT }

/* The key's number, 0 at first; valid until the next call. NULL when out of
 * memory. */
int64_t *key_map_at(key_map *m, nadb_slice key) NADB_MUST_USE;
/* Its number without adding it; NULL when it is not there. */
const int64_t *key_map_find(const key_map *m, nadb_slice key);
/* Forgets all keys. */
void key_map_clear(key_map *m);

#endif
