/* registry.c - the backends that this library was built with, and behind them
 * those that were loaded at run time (core/load.c).
 *
 * A new backend is a folder and a line here. The order is that in which
 * messages and nadb_backends list them. */
#include "../core/backend.h"

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

const nadb_backend *nadb_backend_at(size_t i) {
    size_t built = sizeof backends / sizeof backends[0];

    return i < built ? backends[i] : nadb_backend_loaded(i - built);
}

const nadb_backend *nadb_backend_find(const char *name) {
    const nadb_backend *b;

    for (size_t i = 0; (b = nadb_backend_at(i)) != NULL; i++)
        if (strcmp(b->name, name) == 0) return b;
    return NULL;
}
