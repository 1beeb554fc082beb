/* store_key.h - how store.c recognises a store: its place, and how its tables
 * say that it is reached. */
#ifndef NADB_STORE_KEY_H
#define NADB_STORE_KEY_H

#include "options.h"

typedef struct store_key {
    nadb_buf real; /* the resolved path with a NUL; empty: no directory */
    nadb_buf name; /* equal for all tables of one store */
    /* what these tables must agree on: nadb_identity_add() */
    nadb_buf identity;
    bool in_files; /* it has a directory, which is part of `name` */
} store_key;

/* Computes the key from the options; the only system calls resolve the path.
 * NADB_DENIED: the environment forbids a schema to have a store there. The
 * caller clears *out, also on error. */
nadb_rc store_key_init(store_key *out, const nadb_options *options,
                       nadb_err *err) NADB_MUST_USE;
void store_key_clear(store_key *k);

/* Compares the identities of two keys with the same name: a directory is one
 * store, so its tables must reach it in one way. The error names the first
 * difference. `path` is that of `have`. */
nadb_rc store_key_agree(const store_key *have, const store_key *want,
                        const char *path, nadb_err *err) NADB_MUST_USE;

#endif
