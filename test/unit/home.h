/* home.h - a directory of the test as that of a store, with an identity that
 * is the same in every run. */
#ifndef NADB_TEST_HOME_H
#define NADB_TEST_HOME_H

#include "../../core/util/home.h"
#include "unit.h"

/* `dir` outlives the home. */
static inline void home_init(nadb_home *h, const char *dir) {
    memset(h, 0, sizeof *h);
    h->os = nadb_os_get();
    h->dir = dir;
    h->file_mode = 0600;
    h->id.known = true;
    memset(h->id.bytes, 7, sizeof h->id.bytes);
}

#endif
