/* arena.h - memory that is given back all at once.
 *
 * Allocation is a pointer bump in a chunk; chunks double up to 1 MiB, and a
 * larger request gets a chunk of its own. An arena with a source has only so
 * much memory in such chunks and gets the rest from there. Not thread-safe. */
#ifndef NADB_ARENA_H
#define NADB_ARENA_H

#include "bytes.h"

typedef struct nadb_arena_chunk nadb_arena_chunk; /* in arena.c */

/* Where an arena gets chunks from that its memory is not enough for. */
typedef struct nadb_arena_source nadb_arena_source;
struct nadb_arena_source {
    size_t memory_max; /* bytes of memory before the source is asked */
    bool or_memory;    /* memory is taken where the source has nothing */
    /* At least `need` bytes; *got says how many. NULL: it has none. */
    void *(*take)(nadb_arena_source *s, size_t need, size_t *got);
    void (*give_back)(nadb_arena_source *s, void *p, size_t n);
};

typedef struct nadb_arena {
    nadb_arena_chunk *last;
    size_t used;  /* bytes handed out, all chunks, padding included */
    size_t total; /* bytes allocated, all chunks */
    nadb_arena_source *source; /* NULL: memory without a limit */
} nadb_arena;

#define NADB_ARENA_INIT                                                        \
    { NULL, 0, 0, NULL }

/* 8-byte aligned; NULL when out of memory, or the source is. */
void *nadb_arena_alloc(nadb_arena *a, size_t n) NADB_MUST_USE;

/* Frees everything but the first chunk, which is kept for the next use
 * (unless it is larger than 1 MiB or the source's). */
void nadb_arena_reset(nadb_arena *a);
void nadb_arena_clear(nadb_arena *a); /* frees everything */

#endif
