/* tag_map.h - a number for each tag, in memory. Open addressing; grows. */
#ifndef NADB_TAG_MAP_H
#define NADB_TAG_MAP_H

#include "base/arena.h"

typedef struct tag_map_slot {
    nadb_slice tag; /* in the arena; tag.p == NULL: a free slot */
    int64_t number;
} tag_map_slot;

typedef struct tag_map {
    tag_map_slot *slots;
    size_t n_slots, n;
    nadb_arena names;
} tag_map;

#define TAG_MAP_INIT                                                           \
    { NULL, 0, 0, NADB_ARENA_INIT }

/* The tag's number, 0 at first; valid until the next call. NULL when out of
 * memory. */
int64_t *tag_map_at(tag_map *m, nadb_slice tag) NADB_MUST_USE;
/* Forgets all tags. */
void tag_map_clear(tag_map *m);

#endif
