/* arena.h - memory that is freed all at once.
 *
 * Allocation moves a pointer in a chunk; chunks double up to 1 MiB, and a
 * larger request gets its own chunk. An arena with a source uses a limited
 * amount of memory and gets further chunks from the source. Not thread-safe. */
#ifndef NADB_ARENA_H
#define NADB_ARENA_H

#include "bytes.h"

typedef struct nadb_arena_chunk nadb_arena_chunk; /* in arena.c */

/* Provides chunks beyond an arena's limit of memory. */
typedef struct nadb_arena_source nadb_arena_source;
struct nadb_arena_source {
    size_t memory_max; /* limit of memory */
    bool or_memory;    /* use memory if the source has nothing */
    /* Returns at least `need` bytes, *got of them; NULL: there are none. */
    void *(*take)(nadb_arena_source *s, size_t need, size_t *got);
    void (*give_back)(nadb_arena_source *s, void *p, size_t n);
};

typedef struct nadb_arena {
    nadb_arena_chunk *last;
    size_t used;               /* bytes handed out, with padding */
    size_t total;              /* bytes allocated */
    nadb_arena_source *source; /* NULL: no limit of memory */
} nadb_arena;

#define NADB_ARENA_INIT                                                        \
    { NULL, 0, 0, NULL }

/* 8-byte aligned; NULL if memory, or the source, is exhausted. */
void *nadb_arena_alloc(nadb_arena *a, size_t n) NADB_MUST_USE;

/* Frees everything but the first chunk, which is kept for the next use unless
 * it is larger than 1 MiB or from the source. */
void nadb_arena_reset(nadb_arena *a);
void nadb_arena_clear(nadb_arena *a); /* frees everything */

#endif
