/* registry.c - the list of backends: those in this library, then those that
 * were loaded at run time (core/load.c). Messages and nadb_backends show them
 * in this order.
 *
 * A new backend in the library is a folder and a line here. An entry of the
 * list never changes, so readers take no lock. */
#include "../core/backend.h"

#include <stdatomic.h>

#include "backup/backup.h"
#include "fs/fs.h"
#include "memory/memory.h"
#if NADB_REDIS
#include "redis/redis.h"
#endif

static const nadb_backend *const backends[] = {
    &nadb_backend_fs,
    &nadb_backend_memory,
#if NADB_REDIS
    &nadb_backend_redis,
#endif
    &nadb_backend_backup,
};

static const nadb_backend *loaded[NADB_LOADED_MAX];
static atomic_size_t n_loaded;

bool nadb_backend_add(const nadb_backend *b) {
    size_t n = atomic_load(&n_loaded);

    if (n == NADB_LOADED_MAX) return false;
    loaded[n] = b;
    atomic_store(&n_loaded, n + 1);
    return true;
}

const nadb_backend *nadb_backend_at(size_t i) {
    size_t built = sizeof backends / sizeof backends[0];

    if (i < built) return backends[i];
    i -= built;
    return i < atomic_load(&n_loaded) ? loaded[i] : NULL;
}

const char *nadb_backend_name(const nadb_backend *b) { return b->name; }

const char *nadb_backend_summary(const nadb_backend *b) { return b->summary; }

unsigned nadb_backend_caps(const nadb_backend *b) { return b->caps; }

bool nadb_backend_has_choice(const nadb_backend *b) {
    return b->buffered != NULL;
}

const nadb_backend *nadb_backend_find(const char *name) {
    const nadb_backend *b;

    for (size_t i = 0; (b = nadb_backend_at(i)) != NULL; i++)
        if (strcmp(b->name, name) == 0) return b;
    return NULL;
}
