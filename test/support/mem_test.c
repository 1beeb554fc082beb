/* mem_test.c - the allocator of the test library: it can fail (os_test.h). */
#include <stdlib.h>

#include "os_test.h"

void *nadb_malloc(size_t n) {
    if (test_fault_malloc()) return NULL;
    return malloc(n == 0 ? 1 : n);
}

void *nadb_calloc(size_t n, size_t size) {
    if (test_fault_malloc()) return NULL;
    return n == 0 || size == 0 ? calloc(1, 1) : calloc(n, size);
}

void *nadb_realloc(void *p, size_t n) {
    if (test_fault_malloc()) return NULL;
    return realloc(p, n == 0 ? 1 : n);
}
