/* home.h - a directory of the test as that of a store, with an identity that
 * is the same in every run. */
#ifndef NADB_TEST_HOME_H
#define NADB_TEST_HOME_H

#include "../../core/util/home.h"
#include "../support/paths.h"
#include "unit.h"

/* Opens `dir`, until home_clear(). */
static inline void home_init(nadb_home *h, const char *dir) {
    nadb_err err;

    memset(h, 0, sizeof *h);
    h->os = nadb_os_get();
    if (!CHECK_OK(h->os->dir_open(dir, &h->dir, &err), err)) exit(1);
    h->file_mode = 0600;
    h->id.known = true;
    memset(h->id.bytes, 7, sizeof h->id.bytes);
}

static inline void home_clear(nadb_home *h) {
    h->os->dir_close(h->dir);
    h->dir = NULL;
}

#endif
