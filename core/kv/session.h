/* session.h - struct nadb_session, for session*.c and cursor.c only. nadb.h has
 * the interface. */
#ifndef NADB_SESSION_H
#define NADB_SESSION_H

#include "batch.h"
#include "index.h"
#include "kv.h"

/* A transaction remembers so many reads one by one. If it reads more, any
 * commit since its snapshot is a conflict. */
#define SESSION_READS_MAX 100000u
#define SESSION_READS_BYTES ((size_t)16 << 20) /* of their keys */

/* A snapshot that several cursors of this session share. */
typedef struct session_view {
    nadb_view *view;
    unsigned refs; /* 0: idle */
    struct session_view *next, *next_idle;
} session_view;

/* A range that the transaction has read. Its bytes are in session.memory. */
typedef struct session_read {
    nadb_slice lo, hi; /* with keyspace byte; hi.p == NULL: no bound */
    bool key_only;     /* one key, and only its existence was used */
    size_t room;       /* space for each of lo and hi */
} session_read;

typedef struct session_mark {
    int n;       /* SQLite's number of the savepoint */
    uint64_t id; /* number of the first operation after it */
} session_mark;

struct nadb_session {
    nadb_kv *kv;
    nadb_engine *engine;
    const nadb_options *options;
    const nadb_caller *caller; /* NULL: none */
    nadb_cache *cache;         /* NULL: none */
    nadb_access *access;       /* NULL: reads are not tracked */
    /* what the prepared transaction adds to the size of a store with a limit */
    int64_t limit_delta;

    session_view *views;   /* all of them */
    session_view *idle;    /* those that are not in use */
    session_view *reading; /* shared by cursors outside a transaction */
    session_view *txn;     /* snapshot of the transaction; NULL: none is open */
    /* snapshot of the read transaction; NULL: nothing was read */
    session_view *held;
    /* snapshot of the reading statements; NULL: none runs */
    session_view *entered;
    bool hold; /* a read transaction is open */
    /* the view was found to be the latest, under the file's write lock */
    bool settled;
    unsigned depth;        /* nested reading statements: enter without leave */
    nadb_buf held_views;   /* session_view *, kept until depth is 0 */
    nadb_buf held_batches; /* batch *, kept until depth is 0 */

    nadb_dbfile file;      /* stamp == NULL: the store belongs to no file */
    nadb_stamps_seen seen; /* nadb_engine_ops.align */
    nadb_stamp stamp;      /* of the transaction; number 0: it is not mixed */

    bool in_background; /* the sweeper's session: its commits need no sync */
    int64_t timeout_ms; /* limit of waiting for locks */
    uint64_t purged;    /* number of expired rows that were deleted */

    bool autocommit; /* the transaction is one statement */
    uint32_t claim;  /* claim on the first key that it has read; 0: none */

    nadb_cursor *readers; /* open cursors that see the batch */
    batch *b;
    uint64_t epoch;           /* rises with each transaction */
    uint32_t readings;        /* of views that were held: nadb_view.reading */
    bool derives;             /* the core derives the indexes */
    nadb_index_changes index; /* derived from the batch */
    nadb_ticket *ticket;
    uint64_t ticket_id; /* b->next_id at prepare */
    nadb_buf marks;     /* array of session_mark, ascending */
    int marks_before;   /* savepoints below this number are older than the first
                           change */

    nadb_arena memory; /* holds the keys of reads */
    nadb_buf reads;    /* array of session_read * */
    bool reads_all;

    nadb_meter meter;
    nadb_span preparing; /* of the prepared transaction: its start, */
    uint64_t prepare_ns; /* duration, */
    size_t prepare_n, prepare_bytes; /* and changes */

    nadb_buf key, head, coded, got; /* scratch */
};

/* How much of a transaction is kept in memory (spill.h). */
static inline size_t session_memory(const nadb_session *ss) {
    return (size_t)atomic_load(&ss->kv->buffer_bytes);
}

nadb_rc session_new(nadb_kv *kv, nadb_session **out,
                    nadb_err *err) NADB_MUST_USE;

/* The view for a cursor that is opened now; session_view_drop() it. */
nadb_rc session_view_take(nadb_session *ss, session_view **out,
                          nadb_err *err) NADB_MUST_USE;
void session_view_drop(nadb_session *ss, session_view *v); /* NULL is fine */
/* Releases the view and the batch of a cursor (either may be NULL). Inside a
 * statement they are kept until its end, because SQLite may hold slices. */
void session_let_go(nadb_session *ss, session_view *v, batch *b);

/* Remembers that [lo, hi) was read. *out (may be NULL) is valid while ss->epoch
 * stays; NULL outside a transaction. */
nadb_rc session_note_read(nadb_session *ss, nadb_slice lo, nadb_slice hi,
                          bool key_only, session_read **out,
                          nadb_err *err) NADB_MUST_USE;

/* Shortens a noted read to the part up to `key`, where the walk has stopped.
 * `epoch` is that of the note; r may be NULL. */
void session_narrow_read(const nadb_session *ss, session_read *r,
                         uint64_t epoch, bool reverse, nadb_slice key);

/* False if the transaction's view certainly has no row with tags or an
 * expiry. */
bool session_indexed(const nadb_session *ss);

/* Deletes an expired row, which is no change to readers. *swept: it existed; a
 * server may have removed it meanwhile. */
nadb_rc session_sweep(nadb_session *ss, nadb_slice key, bool *swept,
                      nadb_err *err) NADB_MUST_USE;
/* Writes a note of when a row was read. */
nadb_rc session_put_access(nadb_session *ss, nadb_slice key, int64_t ms,
                           nadb_err *err) NADB_MUST_USE;

/* Undoes the changes from number `id` on. Marks the row of open cursors as
 * stale if it came from the batch. In cursor.c. */
void session_undo(nadb_session *ss, uint64_t id);

/* Number of rows that the transaction sees; -1: only a walk would tell. */
int64_t session_rows(nadb_session *ss);
/* Totals of committed rows that have not expired; out->known is true. REQUIRES:
 * the session has no transaction. */
nadb_rc session_totals(nadb_session *ss, nadb_totals *out,
                       nadb_err *err) NADB_MUST_USE;

/* Claims the first key that a writing autocommit statement reads: other writers
 * of it wait, and the snapshot becomes a present one. */
nadb_rc session_claim(nadb_session *ss, nadb_slice key,
                      nadb_err *err) NADB_MUST_USE;

/* --- session_commit.c --- */

/* Gives the session an empty batch and leaves the old one to its cursors; false
 * if out of memory. */
bool session_new_batch(nadb_session *ss);

/* Drops the noted reads: they are not checked for conflicts. */
void session_forget_reads(nadb_session *ss);

/* As kv_usable(), but cheap enough for each row. */
static inline nadb_rc session_usable(nadb_session *ss, nadb_err *err) {
    return ss->kv->forked ? kv_usable(ss->kv, err) : NADB_OK;
}

/* True in a forked child. There a session and its cursors are not freed and do
 * not call the engine: threads that the child does not have may have held locks
 * at the fork, and may have half changed what the locks guard. */
static inline bool session_inherited(const nadb_session *ss) {
    return ss->kv->forked;
}

#endif
