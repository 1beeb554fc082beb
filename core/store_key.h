/* store_key.h - what a store is known by in a process, for store.c: where it
 * is, and how its tables say that it is reached. */
#ifndef NADB_STORE_KEY_H
#define NADB_STORE_KEY_H

#include "options.h"

typedef struct store_key {
    nadb_buf real;     /* the path, resolved, with a NUL; empty: none */
    nadb_buf name;     /* equal for the tables of one store */
    nadb_buf identity; /* nadb_identity_add(): what they must agree on */
    bool in_files;     /* it has a directory, which is part of the name */
} store_key;

/* From the options; touches the names of directories, no more. NADB_DENIED:
 * the environment does not let a schema have a store there. The caller clears
 * *out, also on error. */
nadb_rc store_key_init(store_key *out, const nadb_options *options,
                       nadb_err *err) NADB_MUST_USE;
void store_key_clear(store_key *k);

/* A directory is one store, however its tables say that it is reached: they
 * must say the same. The error names the first difference. `path` is that of
 * `have`. */
nadb_rc store_key_agree(const store_key *have, const store_key *want,
                        const char *path, nadb_err *err) NADB_MUST_USE;

#endif
