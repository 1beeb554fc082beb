/* mem.c - the allocator: the C library's. The test library replaces it by one
 * that can fail (test/support/mem_test.c). */
#include "bytes.h"

#include <stdlib.h>

#ifndef NADB_TEST

/* A block even for zero bytes, so that NULL always means out of memory. */
void *nadb_malloc(size_t n) { return malloc(n == 0 ? 1 : n); }

/* For small blocks malloc() and memset() are faster than glibc's calloc(),
 * which does not use malloc()'s cache of recently freed blocks. */
#define SMALL 1024u

void *nadb_calloc(size_t n, size_t size) {
    void *p;

    if (size != 0 && n > SMALL / size) return calloc(n, size);
    p = nadb_malloc(n * size);
    if (p != NULL) memset(p, 0, n * size);
    return p;
}

void *nadb_realloc(void *p, size_t n) { return realloc(p, n == 0 ? 1 : n); }

#endif

void nadb_free(void *p) { free(p); }

char *nadb_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = nadb_malloc(n);

    if (copy != NULL) memcpy(copy, s, n);
    return copy;
}
