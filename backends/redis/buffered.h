/* buffered.h - what the files of the buffered form share: the core's log and
 * memtable over a Redis server (option write=buffered).
 *
 *   buffered.c  what core/backend.h asks of a base; MANIFEST
 *   lease.c     the right to write to the namespace
 *   drain.c     sending transactions
 *   kept.c      those that must not be sent any more
 *
 * The server remembers, for each directory that drains to it (its owner), up to
 * where its logs are there: the mark. It is moved by the script that applies
 * the transactions, so that whatever is sent twice is done once. */
#ifndef NADB_REDIS_BUFFERED_H
#define NADB_REDIS_BUFFERED_H

#include <stdatomic.h>

#include "engine.h"

#define REDIS_OWNER 32 /* hexadecimal digits */

/* Places of nadb_base_env.words. */
enum {
    WORD_TOKEN, /* of the lease; 0 = none */
    WORD_UNTIL, /* when it ends, or is asked for again, monotonic ms */
    WORD_STATE  /* LEASE_*, LEASE_STALE and the epoch: LEASE_EPOCH each */
};

enum {
    LEASE_UNASKED, /* nobody has asked for it */
    LEASE_ASKED,   /* we have had it */
    LEASE_BLIND,   /* the server could not be asked; we may never have had it */
    LEASE_REFUSED, /* somebody else has it */
    LEASE_WHAT = 255,
    LEASE_STALE = 256, /* others have written since we had it last */
    LEASE_EPOCH = 512
};

typedef struct redis_base {
    nadb_base base;
    nadb_base_env env; /* its dir is ours */
    redis_engine *e;
    nadb_buf place; /* of its rows, by the options: address.h */
    char owner[REDIS_OWNER + 1];
    char who[256]; /* it is, for people */
    int64_t lease_ms;
    bool is_new; /* the directory was made by this opener */
    /* Under the store's flusher word: */
    bool mark_known;        /* since the last error */
    bool careful;           /* others have written: record by record */
    nadb_place_in_log mark; /* what the server has */
    _Atomic uint64_t drained_records, drained_rows, drains, kept;
} redis_base;

/* --- kept.c --- */

/* Transactions that were committed here without the lease, and whose keys
 * others have written since: they are not sent, but written into a file of the
 * store's directory as SQL, for people to look at. */

/* Before the first: how many there are, from the file. */
nadb_rc redis_kept_count(redis_base *b, nadb_err *err);
/* `next` gives the changes of the record; `taken` is the key. */
nadb_rc redis_keep(redis_base *b, nadb_records *records, const nadb_record *txn,
                   nadb_slice taken, nadb_err *err);
/* An error while there are some. */
nadb_rc redis_flushed(nadb_base *base, nadb_err *err);

/* --- lease.c --- */

/* nadb_remote_ops */
bool redis_is_stale(nadb_base *base);
uint64_t redis_epoch(nadb_base *base);
nadb_rc redis_fresh(nadb_base *base, nadb_err *err);

/* Takes or keeps the lease; `mark` (may be NULL): what the server has. */
nadb_rc redis_lease_take(redis_base *b, conn *c, nadb_place_in_log *mark,
                         nadb_err *err) NADB_MUST_USE;
/* Half of its time has passed, or it is not ours. */
bool redis_lease_due(const redis_base *b);
nadb_rc redis_admit(nadb_base *base, const nadb_commit_req *req, nadb_err *err);
/* Gives it up, if it is ours and the server is there. */
void redis_leave(nadb_base *base);

/* --- drain.c --- */

nadb_rc redis_drain(nadb_base *base, nadb_records *records,
                    nadb_place_in_log from, nadb_err *err);

#endif
