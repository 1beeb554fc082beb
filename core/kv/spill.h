/* spill.h - where the changes of a large transaction are kept: files of the
 * store's folder that have no name. The essay is in spill.c. */
#ifndef NADB_SPILL_H
#define NADB_SPILL_H

#include "../backend.h"
#include "../util/arena.h"

typedef struct spill {
    nadb_arena_source source; /* first: the arena points to it */
    nadb_engine *engine;
    uint64_t bytes; /* that the arena has in files */
    nadb_rc rc;     /* why the last file could not be had, .. */
    nadb_err *err;  /* .. and where the message goes: the caller's, for as long
                       as it allocates */
} spill;

/* From now on `arena`, which is empty, has up to `memory_max` bytes of memory
 * and takes the rest from files, if the engine has a folder for them. `s` does
 * not move, and outlives what the arena holds, as the engine does. */
void spill_init(spill *s, nadb_arena *arena, nadb_engine *engine,
                size_t memory_max);

/* The arena has returned NULL: says why. */
nadb_rc spill_failed(spill *s, nadb_err *err, const char *doing);

#endif
