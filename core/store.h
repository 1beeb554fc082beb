/* store.h - struct nadb_store, for store*.c only. nadb.h has the interface. */
#ifndef NADB_STORE_H
#define NADB_STORE_H

#include "engine/engine.h"
#include "kv/expire.h"
#include "kv/kv.h"
#include "store_engine.h"
#include "store_key.h"

typedef enum store_state {
    STORE_OPENING,
    STORE_OPEN,
    STORE_CLOSING
} store_state;

struct nadb_store {
    store_state state; /* under the list's lock. While OPENING or CLOSING, one
                          thread owns all but `state`, the name and `next` */
    nadb_kv kv;
    store_key key;
    const nadb_backend *backend;
    nadb_sweeper sweeper;
    nadb_err log_error;           /* why the log could not be opened */
    _Atomic int64_t sweep_due_ns; /* committed() in store.c */
    unsigned refs;                /* under the list's lock */
    bool moved; /* another store is in its place now, or none: look() skips it;
                   under the list's lock */
    nadb_store *next;
};

/* --- store.c --- */

/* Calls `each` for every open store. REQUIRES: the list's lock. */
typedef nadb_rc store_fn(void *ctx, nadb_store *s, nadb_err *err);
nadb_rc store_each(store_fn *each, void *ctx, nadb_err *err) NADB_MUST_USE;

/* Takes a reference to every open store; the array is allocated. */
nadb_rc store_hold_all(nadb_store ***out, size_t *n,
                       nadb_err *err) NADB_MUST_USE;

/* --- store_log.c --- */

/* Opens the log that the options name, if the store has none. An error is kept
 * in log_error and does not prevent the store from opening. */
void store_log_open(nadb_store *s, const nadb_options *o);
/* Sets levels and limits of the log, if the store has one, to the options'. */
void store_log_tune(nadb_store *s, const nadb_options *o);
/* How many lines were lost, and why: the log's error, or that of opening it. */
void store_log_state(nadb_store *s, uint64_t *lost, nadb_err *why);
/* Writes a line about the store; `from_ns` is monotonic, negative: no
 * duration. */
void store_log_event(nadb_store *s, const char *operation, int64_t from_ns,
                     nadb_rc rc, const nadb_err *err);

#endif
