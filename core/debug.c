/* debug.c - what this build of the library is, for nadb_debug(). */
#include <stdio.h>
#include <zlib.h>

#include "backend.h"
#include "nadb.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown compiler"
#endif

bool nadb_debug_text(nadb_buf *out) {
    char line[256];
    int n = snprintf(line, sizeof line,
                     "nadb %s\ncompiler: %s\nzlib: %s\nword size: %zu\n"
                     "backends:",
                     NADB_VERSION, COMPILER, zlibVersion(), sizeof(void *) * 8);

    if (n < 0 || !nadb_buf_append(out, line, (size_t)n)) return false;
    for (size_t i = 0; nadb_backend_at(i) != NULL; i++) {
        const nadb_backend *b = nadb_backend_at(i);

        n = b->uses == NULL
                ? snprintf(line, sizeof line, " %s", b->name)
                : snprintf(line, sizeof line, " %s (%s)", b->name, b->uses);
        if (n < 0 || !nadb_buf_append(out, line, (size_t)n)) return false;
    }
    return true;
}
