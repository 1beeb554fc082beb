/* store.h - inside of a nadb_store, for store*.c only. What it promises stands
 * in nadb.h. */
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
    store_state state; /* under the list's lock; OPENING and CLOSING: all but
                          this, the name and `next` is that thread's */
    nadb_kv kv;
    store_key key;
    const nadb_backend *backend;
    nadb_sweeper sweeper;
    nadb_err log_error;           /* the log could not be opened */
    _Atomic int64_t sweep_due_ns; /* committed() in store.c */
    unsigned refs;                /* under the list's lock */
    bool moved; /* its place has another store now, or none: it is not found
                   any more; under the list's lock */
    nadb_store *next;
};

/* --- store.c --- */

/* Calls `each` for every store that is open, with the list's lock. */
typedef nadb_rc store_fn(void *ctx, nadb_store *s, nadb_err *err);
nadb_rc store_each(store_fn *each, void *ctx, nadb_err *err) NADB_MUST_USE;

/* References to all open stores, in fresh memory. */
nadb_rc store_hold_all(nadb_store ***out, size_t *n,
                       nadb_err *err) NADB_MUST_USE;

/* --- store_log.c --- */

/* Opens the log that the options name, if the store has none. What goes wrong
 * is kept in log_error: a log is no reason for a store not to open. */
void store_log_open(nadb_store *s, const nadb_options *o);
/* Lines that are lost, and why: of the log, or that there is none. */
void store_log_state(nadb_store *s, uint64_t *lost, nadb_err *why);
/* A line about the store itself; `from_ns` is monotonic, negative: not timed.
 */
void store_log_event(nadb_store *s, const char *operation, int64_t from_ns,
                     nadb_rc rc, const nadb_err *err);

#endif
