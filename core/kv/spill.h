/* spill.h - keeps the changes of a large transaction in files without a name in
 * the store's folder. spill.c explains it. */
#ifndef NADB_SPILL_H
#define NADB_SPILL_H

#include "../backend.h"
#include "../util/arena.h"

typedef struct spill {
    nadb_arena_source source; /* first member: the arena points to it */
    nadb_engine *engine;
    uint64_t bytes; /* of the arena, in files */
    nadb_rc rc;     /* why the last file could not be made */
    /* where to put its message: the caller's, while it allocates */
    nadb_err *err;
} spill;

/* Lets `arena`, which is empty, use up to `memory_max` bytes of memory and
 * files beyond that, if the engine has a folder. REQUIRES: `s` does not move,
 * and `s` and the engine outlive the arena's contents. */
void spill_init(spill *s, nadb_arena *arena, nadb_engine *engine,
                size_t memory_max);

/* Returns the error after the arena has returned NULL. */
nadb_rc spill_failed(spill *s, nadb_err *err, const char *doing);

#endif
