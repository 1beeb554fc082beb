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
    nadb_dir *dir;      /* outlives the home */
    uint32_t file_mode; /* of new files */
    nadb_store_id id;   /* known once the store is open, and fixed from then */
} nadb_home;

/* Files are numbered from 1 to this: 28 bits, as in places of the log. */
#define NADB_FILE_MAX (((uint64_t)1 << 28) - 1)
#define NADB_FILE_NAME 32 /* bytes of a name */
/* How many numbers are tried for a new file, when there are files already of
 * those names. */
#define NADB_NAME_TRIES 100

/* "NNNNNN.kind": kinds are log, idx, was, sst, val, txn and chg. */
void nadb_file_name(char out[NADB_FILE_NAME], uint64_t number,
                    const char *kind);
/* Takes such a name apart; false for what nadb_file_name() would not make. */
bool nadb_file_parse(const char *name, uint64_t *number, const char **kind);

nadb_rc nadb_home_open(const nadb_home *h, uint64_t number, const char *kind,
                       unsigned flags, nadb_file **out,
                       nadb_err *err) NADB_MUST_USE;
/* Missing is fine. */
nadb_rc nadb_home_unlink(const nadb_home *h, uint64_t number, const char *kind,
                         nadb_err *err);

/* NADB_MOVED, for a store whose directory is not where it was. */
nadb_rc nadb_home_moved(const nadb_home *h, nadb_err *err);
/* Whether the directory was removed, with what was in it. */
bool nadb_home_gone(const nadb_home *h);

/* A new identity. */
void nadb_home_name(nadb_home *h);
/* NADB_CORRUPT when `found`, which the file `path` holds, is not this store's
 * identity. Where that is not known yet, it is from now on. */
nadb_rc nadb_home_check(nadb_home *h, const uint8_t found[NADB_STORE_ID],
                        const char *path, nadb_err *err) NADB_MUST_USE;

#endif
