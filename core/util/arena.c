/* arena.c - a list of chunks, newest first (see arena.h). */
#include "arena.h"

#define CHUNK_FIRST ((size_t)1024)
#define CHUNK_MAX ((size_t)1 << 20)

struct nadb_arena_chunk {
    nadb_arena_chunk *prev;
    size_t used;
    size_t cap;
    bool borrowed;      /* from the source */
    max_align_t data[]; /* cap bytes */
};

/* Includes the header: malloc() of glibc caches blocks of the first size, and
 * large chunks are whole pages. */
static size_t next_capacity(const nadb_arena *a) {
    size_t size = CHUNK_FIRST;

    while (size < CHUNK_MAX && size < a->total) size *= 2;
    return size - sizeof(nadb_arena_chunk);
}

static nadb_arena_chunk *chunk_new(nadb_arena *a, size_t cap) {
    nadb_arena_source *s = a->source;
    size_t size = sizeof(nadb_arena_chunk) + cap;
    nadb_arena_chunk *c = NULL;
    bool borrowed = s != NULL && a->total + size > s->memory_max;

    if (borrowed) {
        c = s->take(s, size, &size);
        borrowed = c != NULL;
        if (c == NULL && !s->or_memory) return NULL;
    }
    if (c == NULL) c = nadb_malloc(size);
    if (c == NULL) return NULL;
    c->prev = NULL;
    c->used = 0;
    c->cap = size - sizeof *c;
    c->borrowed = borrowed;
    a->total += size;
    return c;
}

static void chunk_free(nadb_arena *a, nadb_arena_chunk *c) {
    if (c != NULL && c->borrowed)
        a->source->give_back(a->source, c, sizeof *c + c->cap);
    else
        nadb_free(c);
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
        if (a->last != NULL && c->cap - need < a->last->cap - a->last->used) {
            /* The present chunk has more room left, so it stays the present
             * one. */
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
    nadb_arena_chunk *keep = NULL; /* the oldest that is not large */

    if (a->used == 0) return; /* as the last reset left it */
    while (c != NULL) {
        nadb_arena_chunk *prev = c->prev;

        if (c->cap > CHUNK_MAX || c->borrowed) {
            chunk_free(a, c);
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

        chunk_free(a, c);
        c = prev;
    }
    a->last = NULL;
    a->used = 0;
    a->total = 0;
}
