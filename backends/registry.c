/* registry.c - the backends that this library was built with.
 *
 * A new backend is a folder and a line here. The order is that in which
 * messages and nadb_backends list them. */
#include "../core/backend.h"

#include "memory/memory.h"

/* Stands in for backends/fs until its tables exist: the name, what it can do,
 * and no base, so that a store is its logs and their indexes alone. */
static const nadb_backend fs = {
    .name = "fs",
    .caps = NADB_CAP_BASE | NADB_CAP_SNAPSHOTS | NADB_CAP_PERSISTENT |
            NADB_CAP_SHARED | NADB_CAP_NEEDS_PATH,
    .summary = "directory on this machine, shared by its processes",
    .base = NULL,
};

static const nadb_backend *const backends[] = {
    &fs,
    &nadb_backend_memory,
};

const nadb_backend *nadb_backend_at(size_t i) {
    return i < sizeof backends / sizeof backends[0] ? backends[i] : NULL;
}

const nadb_backend *nadb_backend_find(const char *name) {
    const nadb_backend *b;

    for (size_t i = 0; (b = nadb_backend_at(i)) != NULL; i++)
        if (strcmp(b->name, name) == 0) return b;
    return NULL;
}
