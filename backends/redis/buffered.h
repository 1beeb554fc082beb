/* buffered.h - what the files of the buffered form share: the core's log and
 * memtable over a Redis server (option write=buffered).
 *
 *   buffered.c  what core/backend.h asks of a base; MANIFEST
 *   lease.c     the right to write to the namespace
 *   drain.c     sending transactions
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
    WORD_UNTIL, /* when it ends by our clock, monotonic ms */
    WORD_STATE  /* LEASE_* */
};

enum {
    LEASE_UNASKED, /* nobody has asked for it */
    LEASE_ASKED,   /* we had it, or the server could not be asked */
    LEASE_REFUSED  /* somebody else has it */
};

typedef struct redis_base {
    nadb_base base;
    nadb_base_env env; /* its dir is ours */
    redis_engine *e;
    char owner[REDIS_OWNER + 1];
    char who[256]; /* it is, for people */
    int64_t lease_ms;
    /* Under the store's flusher word: */
    bool mark_known;        /* since the last error */
    nadb_place_in_log mark; /* what the server has */
    _Atomic uint64_t drained_records, drained_rows, drains;
} redis_base;

/* --- lease.c --- */

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
