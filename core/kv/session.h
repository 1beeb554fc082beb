/* session.h - inside of a session, for session*.c and cursor.c only. What it
 * promises stands in nadb.h. */
#ifndef NADB_SESSION_H
#define NADB_SESSION_H

#include "batch.h"
#include "index.h"
#include "kv.h"

/* Reads that a transaction remembers one by one; past it, any commit since
 * its snapshot is a conflict. */
#define SESSION_READS_MAX 100000u
#define SESSION_READS_BYTES ((size_t)16 << 20) /* the same, for long keys */

/* A snapshot that cursors of this session share. */
typedef struct session_view {
    nadb_view *view;
    unsigned refs; /* 0: at rest */
    struct session_view *next;
} session_view;

/* A range that the transaction has read. Its bytes live in session.memory. */
typedef struct session_read {
    nadb_slice lo, hi; /* with keyspace byte; hi.p == NULL: no bound */
    bool key_only;     /* one key, of which only its existence was used */
    size_t room;       /* bytes that each of lo and hi may have */
} session_read;

typedef struct session_mark {
    int n;       /* SQLite's number of the savepoint */
    uint64_t id; /* first operation after it */
} session_mark;

struct nadb_session {
    nadb_kv *kv;
    nadb_engine *engine;
    const nadb_options *options;
    const nadb_caller *caller; /* NULL: none */
    nadb_cache *cache;         /* NULL: none */
    nadb_access *access;       /* NULL: reads are not tracked */
    int64_t limit_delta;       /* what the prepared transaction adds to the
                                  store's size, where that is limited */

    session_view *views;   /* all of them */
    session_view *reading; /* what cursors outside a transaction share */
    session_view *txn;     /* snapshot of the transaction; NULL outside */
    session_view *held;    /* of a read transaction; NULL: not read yet */
    session_view *entered; /* of the statements that read; NULL outside */
    bool hold;             /* a read transaction is open */
    bool settled;          /* its view was found to be the latest under the
                              file's write lock */
    unsigned depth;        /* statements that read: enter without leave */
    nadb_buf held_views;   /* session_view *: kept until depth is 0 */
    nadb_buf held_batches; /* batch *: likewise */

    nadb_dbfile file;      /* stamp == NULL: the store belongs to no file */
    nadb_stamps_seen seen; /* nadb_engine_ops.align */
    nadb_stamp stamp;      /* of the transaction; number 0: not mixed */

    bool in_background; /* the sweeper's: its commits need no sync */
    int64_t timeout_ms; /* to wait for locks */
    uint64_t purged;    /* rows deleted because they have expired */

    bool autocommit; /* the transaction is one statement */
    uint32_t claim;  /* on the one key that it has read; 0 = none */

    nadb_cursor *readers; /* open cursors that see changes of the batch */
    batch *b;
    uint64_t epoch;           /* rises with every transaction */
    bool derives;             /* the indexes are ours to keep */
    nadb_index_changes index; /* of the batch, against some view */
    nadb_ticket *ticket;
    uint64_t ticket_id; /* b->next_id when it was prepared */
    nadb_buf marks;     /* session_mark, ascending */

    nadb_arena memory; /* of reads */
    nadb_buf reads;    /* session_read * */
    bool reads_all;

    nadb_meter meter;
    nadb_span preparing;             /* of the transaction that is prepared, */
    uint64_t prepare_ns;             /* how long it took, */
    size_t prepare_n, prepare_bytes; /* and its changes */

    nadb_buf key, head, coded, got; /* scratch */
};

/* How much of a transaction is held in memory (spill.h). */
static inline size_t session_memory(const nadb_session *ss) {
    return (size_t)ss->options->buffer_bytes;
}

nadb_rc session_new(nadb_kv *kv, nadb_session **out,
                    nadb_err *err) NADB_MUST_USE;

/* The view that a cursor opened now reads; to be dropped. */
nadb_rc session_view_take(nadb_session *ss, session_view **out,
                          nadb_err *err) NADB_MUST_USE;
void session_view_drop(nadb_session *ss, session_view *v); /* NULL is fine */
/* A cursor is done with its view and batch (either may be NULL); inside a
 * statement they are held until it ends, for slices that SQLite has kept. */
void session_let_go(nadb_session *ss, session_view *v, batch *b);

/* Remembers that [lo, hi) was read; *out (may be NULL) is good for as long as
 * ss->epoch stays, and NULL outside a transaction. */
nadb_rc session_note_read(nadb_session *ss, nadb_slice lo, nadb_slice hi,
                          bool key_only, session_read **out,
                          nadb_err *err) NADB_MUST_USE;

/* A walk has come to `key` and no further: no more counts as read. `epoch` is
 * that of when the read was noted; NULL is fine. */
void session_narrow_read(const nadb_session *ss, session_read *r,
                         uint64_t epoch, bool reverse, nadb_slice key);

/* Whether the transaction's view may have rows with tags or an expiry. */
bool session_indexed(const nadb_session *ss);

/* Deletes a row that has expired: nothing that others could see. *swept: it was
 * there; a server may have removed it meanwhile. */
nadb_rc session_sweep(nadb_session *ss, nadb_slice key, bool *swept,
                      nadb_err *err) NADB_MUST_USE;
/* Writes when a row was last read. */
nadb_rc session_put_access(nadb_session *ss, nadb_slice key, int64_t ms,
                           nadb_err *err) NADB_MUST_USE;

/* Takes back the changes from the number `id` on. In cursor.c: the cursors that
 * are open stand on rows that may be gone. */
void session_undo(nadb_session *ss, uint64_t id);

/* How many rows the transaction sees; -1: not known without reading them. */
int64_t session_rows(nadb_session *ss);
/* What is committed, of rows that have not expired; *out is known. Nothing of
 * the session is counted from now on. */
nadb_rc session_totals(nadb_session *ss, nadb_totals *out,
                       nadb_err *err) NADB_MUST_USE;

/* The first key that a writing autocommit statement reads: makes other writers
 * of it wait until this one has ended, and the snapshot a present one. */
nadb_rc session_claim(nadb_session *ss, nadb_slice key,
                      nadb_err *err) NADB_MUST_USE;

/* --- session_commit.c --- */

/* What was read so far decides about nothing any more. */
void session_forget_reads(nadb_session *ss);

/* Takes back what is prepared, so that the batch may change. */
nadb_rc session_unprepare(nadb_session *ss, nadb_err *err) NADB_MUST_USE;

/* As kv_usable(), where it is asked for each row. */
static inline nadb_rc session_usable(nadb_session *ss, nadb_err *err) {
    return ss->kv->forked ? kv_usable(ss->kv, err) : NADB_OK;
}

#endif
