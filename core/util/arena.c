/* arena.c - a list of chunks, newest first (see arena.h). */
#include "arena.h"

#define CHUNK_FIRST ((size_t)1024)
#define CHUNK_MAX ((size_t)1 << 20)

struct nadb_arena_chunk {
    nadb_arena_chunk *prev;
    size_t used;
    size_t cap;
    max_align_t data[]; /* cap bytes */
};

/* Header included: the first chunk is of those that glibc's malloc() keeps at
 * hand, and large ones are whole pages to it. */
static size_t next_capacity(const nadb_arena *a) {
    size_t size = CHUNK_FIRST;

    while (size < CHUNK_MAX && size < a->total) size *= 2;
    return size - sizeof(nadb_arena_chunk);
}

static nadb_arena_chunk *chunk_new(nadb_arena *a, size_t cap) {
    nadb_arena_chunk *c = nadb_malloc(sizeof *c + cap);

    if (c == NULL) return NULL;
    c->prev = NULL;
    c->used = 0;
    c->cap = cap;
    a->total += sizeof *c + cap;
    return c;
}

void *nadb_arena_alloc(nadb_arena *a, size_t n) {
    nadb_arena_chunk *c = a->last;
    size_t need, cap;
    void *p;

    if (n > SIZE_MAX / 2) return NULL;
    need = n == 0 ? 8 : (n + 7) & ~(size_t)7;
    if (c == NULL || c->cap - c->used < need) {
        cap = next_capacity(a);
        c = chunk_new(a, need > cap ? need : cap);
        if (c == NULL) return NULL;
        if (need > cap && a->last != NULL) {
            /* The room left in the current chunk stays in use. */
            c->prev = a->last->prev;
            a->last->prev = c;
        } else {
            c->prev = a->last;
            a->last = c;
        }
    }
    p = (uint8_t *)c->data + c->used;
    c->used += need;
    a->used += need;
    return p;
}

void nadb_arena_reset(nadb_arena *a) {
    nadb_arena_chunk *c = a->last;
    nadb_arena_chunk *keep = NULL; /* ends as the oldest that is not large */

    while (c != NULL) {
        nadb_arena_chunk *prev = c->prev;

        if (c->cap > CHUNK_MAX) {
            nadb_free(c);
        } else {
            nadb_free(keep);
            keep = c;
        }
        c = prev;
    }
    a->last = keep;
    a->used = 0;
    a->total = 0;
    if (keep != NULL) {
        keep->prev = NULL;
        keep->used = 0;
        a->total = sizeof *keep + keep->cap;
    }
}

void nadb_arena_clear(nadb_arena *a) {
    nadb_arena_chunk *c = a->last;

    while (c != NULL) {
        nadb_arena_chunk *prev = c->prev;

        nadb_free(c);
        c = prev;
    }
    a->last = NULL;
    a->used = 0;
    a->total = 0;
}
