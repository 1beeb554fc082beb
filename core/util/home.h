/* home.h - the directory of one store, for code that makes and opens files
 * there.
 *
 * A store has an identity: 16 random bytes, made with the store. Every file of
 * the store except the indexes (which contain the salt of their log) begins or
 * ends with it, so that a file of another store with the right name and size is
 * not used by mistake. */
#ifndef NADB_HOME_H
#define NADB_HOME_H

#include "os.h"

#define NADB_STORE_ID 16u

typedef struct nadb_store_id {
    bool known; /* false: it is taken from the first file that is read */
    uint8_t bytes[NADB_STORE_ID];
} nadb_store_id;

typedef struct nadb_home {
    const nadb_os *os;
    nadb_dir *dir;      /* outlives the home */
    uint32_t file_mode; /* of new files */
    nadb_store_id id;   /* known once the store is open; then constant */
} nadb_home;

/* File numbers are 1 to this: 28 bits, as in places of the log. */
#define NADB_FILE_MAX (((uint64_t)1 << 28) - 1)
#define NADB_FILE_NAME 32 /* size of a name */
/* How many numbers are tried for a new file if files of those names exist. */
#define NADB_NAME_TRIES 100

/* Writes "NNNNNN.kind"; kinds are log, idx, was, sst, val, txn and chg. */
void nadb_file_name(char out[NADB_FILE_NAME], uint64_t number,
                    const char *kind);
/* Splits such a name; false for any other. */
bool nadb_file_parse(const char *name, uint64_t *number, const char **kind);

nadb_rc nadb_home_open(const nadb_home *h, uint64_t number, const char *kind,
                       unsigned flags, nadb_file **out,
                       nadb_err *err) NADB_MUST_USE;
/* Unlinks a file; a missing one is not an error. */
nadb_rc nadb_home_unlink(const nadb_home *h, uint64_t number, const char *kind,
                         nadb_err *err);

/* Fails with NADB_MOVED: the store's directory is no longer at its path. */
nadb_rc nadb_home_moved(const nadb_home *h, nadb_err *err);
/* True if the directory was removed with its contents. */
bool nadb_home_gone(const nadb_home *h);

/* Makes a new identity. */
void nadb_home_name(nadb_home *h);
/* NADB_CORRUPT if `found`, from the file `path`, is not this store's identity.
 * If that is not known yet, `found` becomes it. */
nadb_rc nadb_home_check(nadb_home *h, const uint8_t found[NADB_STORE_ID],
                        const char *path, nadb_err *err) NADB_MUST_USE;

#endif
