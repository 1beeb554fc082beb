/* arena.h - memory that is given back all at once.
 *
 * Allocation is a pointer bump in a chunk; chunks double up to 1 MiB, and a
 * larger request gets a chunk of its own. Not thread-safe. */
#ifndef NADB_ARENA_H
#define NADB_ARENA_H

#include "bytes.h"

typedef struct nadb_arena_chunk nadb_arena_chunk; /* in arena.c */

typedef struct nadb_arena {
    nadb_arena_chunk *last;
    size_t used;  /* bytes handed out, all chunks, padding included */
    size_t total; /* bytes allocated, all chunks */
} nadb_arena;

#define NADB_ARENA_INIT                                                        \
    { NULL, 0, 0 }

/* 8-byte aligned; NULL when out of memory. */
void *nadb_arena_alloc(nadb_arena *a, size_t n) NADB_MUST_USE;

/* Frees everything but the first chunk, which is kept for the next use
 * (unless it is larger than 1 MiB). */
void nadb_arena_reset(nadb_arena *a);
void nadb_arena_clear(nadb_arena *a); /* frees everything */

#endif
