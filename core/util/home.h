/* home.h - the directory of one store, as those need it who make and open
 * files there.
 *
 * A store has an identity: 16 random bytes, made with it. Every file of it but
 * the indexes (which name the salt of their log) begins or ends with them, so
 * that a file of another store, with the right name and size, is not taken for
 * one of this store. */
#ifndef NADB_HOME_H
#define NADB_HOME_H

#include "os.h"

#define NADB_STORE_ID 16u

typedef struct nadb_store_id {
    bool known; /* false: the first file that is read says it */
    uint8_t bytes[NADB_STORE_ID];
} nadb_store_id;

typedef struct nadb_home {
    const nadb_os *os;
    const char *dir;    /* outlives the home */
    uint32_t file_mode; /* of new files */
    nadb_store_id id;   /* known once the store is open, and fixed from then */
} nadb_home;

/* A new identity. */
void nadb_home_name(nadb_home *h);
/* NADB_CORRUPT when `found`, which the file `path` holds, is not this store's
 * identity. Where that is not known yet, it is from now on. */
nadb_rc nadb_home_check(nadb_home *h, const uint8_t found[NADB_STORE_ID],
                        const char *path, nadb_err *err) NADB_MUST_USE;

#endif
