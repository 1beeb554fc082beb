/* buffered.h - shared by the files of the buffered form: the core's log and
 * memtable over a Redis server (option write=buffered).
 *
 *   buffered.c  the operations of a base; MANIFEST
 *   lease.c     the right to write to the namespace
 *   drain.c     sending transactions
 *   kept.c      transactions that must no longer be sent
 *
 * For each directory that drains to it (its owner) the server stores a mark:
 * the place up to which it has the owner's logs. The script that applies
 * transactions moves the mark, so a transaction that is sent twice is applied
 * once. */
#ifndef NADB_REDIS_BUFFERED_H
#define NADB_REDIS_BUFFERED_H

#include <stdatomic.h>

#include "engine.h"

#define REDIS_OWNER 32 /* hexadecimal digits */

/* Indexes into nadb_base_env.words. */
enum {
    WORD_TOKEN, /* token of the lease; 0: none */
    WORD_UNTIL, /* when the lease ends, or is asked for again; monotonic ms */
    WORD_STATE  /* LEASE_* and LEASE_STALE, plus LEASE_EPOCH for each epoch */
};

enum {
    LEASE_UNASKED, /* it was never asked for */
    LEASE_ASKED,   /* we have had it */
    LEASE_BLIND,   /* the server could not be asked; we may never have had it */
    LEASE_REFUSED, /* another owner has it */
    LEASE_WHAT = 255,
    LEASE_STALE = 256, /* others have written since we last had the lease */
    LEASE_EPOCH = 512
};

typedef struct redis_base {
    nadb_base base;
    nadb_base_env env; /* its dir is owned here */
    redis_engine *e;
    nadb_buf place; /* place of the rows, from the options (address.h) */
    char owner[REDIS_OWNER + 1];
    char who[256]; /* name of this machine and process, for messages */
    int64_t lease_ms;
    bool is_new; /* this opener made the directory */
    /* Under the flusher word: */
    bool mark_known; /* `mark` is valid: there was no error since it was read */
    bool careful;    /* others have written: send record by record */
    nadb_place_in_log mark; /* up to where the server has the logs */
    _Atomic uint64_t drained_records, drained_rows, drains, kept;
} redis_base;

/* --- kept.c --- */

/* Transactions that were committed here without the lease, and whose keys
 * others have written since. They are not sent; they are written as SQL into a
 * file in the store's directory, for a person to decide. */

/* Reads their number from the file. Called before the first redis_keep(). */
nadb_rc redis_kept_count(redis_base *b, nadb_err *err);
/* Writes a transaction; `next` returns its changes. `taken`: the key that
 * another has written. */
nadb_rc redis_keep(redis_base *b, nadb_records *records, const nadb_record *txn,
                   nadb_slice taken, nadb_err *err);
/* Fails if there are such transactions. */
nadb_rc redis_flushed(nadb_base *base, nadb_err *err);

/* --- lease.c --- */

/* Operations of nadb_remote_ops. */
bool redis_is_stale(nadb_base *base);
uint64_t redis_epoch(nadb_base *base);
nadb_rc redis_fresh(nadb_base *base, nadb_err *err);

/* Takes or renews the lease. *mark (may be NULL): up to where the server has
 * the logs. */
nadb_rc redis_lease_take(redis_base *b, conn *c, nadb_place_in_log *mark,
                         nadb_err *err) NADB_MUST_USE;
/* True if half of the lease's time has passed, or we do not have it. */
bool redis_lease_due(const redis_base *b);
nadb_rc redis_admit(nadb_base *base, const nadb_commit_req *req, nadb_err *err);
/* Gives the lease up, if we have it and the server can be reached. */
void redis_leave(nadb_base *base);

/* --- drain.c --- */

nadb_rc redis_drain(nadb_base *base, nadb_records *records,
                    nadb_place_in_log from, nadb_err *err);

#endif
