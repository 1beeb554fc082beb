/* cursor.h - inside of a cursor, for cursor.c and cursor_scan.c only. What it
 * promises stands in nadb.h. */
#ifndef NADB_CURSOR_H
#define NADB_CURSOR_H

#include "session.h"

typedef enum cursor_mode {
    CURSOR_CLOSED,
    CURSOR_KEYS, /* keys[next..] are still to come */
    CURSOR_SCAN
} cursor_mode;

struct nadb_cursor {
    nadb_session *ss;
    cursor_mode mode;
    session_view *view;
    batch *b;       /* NULL: no changes to see */
    uint64_t limit; /* changes from this number on are not seen */
    int64_t now;    /* ms; 0: not read yet */

    nadb_op op; /* NADB_OP_COUNT: it is not counted, or has been */
    nadb_span span;
    uint64_t rows, bytes;

    nadb_cursor *next_reader, **reader_link; /* in ss->readers, if b != NULL */

    bool valid;      /* there is a present row, */
    bool gone;       /* which is not there any more */
    bool from_batch; /* it was changed by the transaction */
    nadb_row row;

    nadb_iter *it; /* CURSOR_SCAN */
    session_read *read;
    uint64_t read_epoch;
    bool reverse;
    bool expired;            /* such rows too: nadb_scan.expired */
    nadb_scan scan;          /* CURSOR_SCAN: what it was opened with, */
    nadb_range range;        /* and its keys; in `bounds` */
    const nadb_match *match; /* rows are checked against it */
    uint64_t undone;         /* b->undone when `it` was opened */
    bool in_batch;           /* scan.by_expiry: `it` walks over the batch */
    nadb_iter *index;        /* the walk over the index waits; NULL: none */
    size_t n_given;          /* of `given`, those that are sorted */
    unsigned steps;          /* of walks; any number to begin with */
    bool nomem;              /* `given` is not whole */
    bool loaded;             /* more of the row than its key is there */

    nadb_slice *keys; /* CURSOR_KEYS: ascending or descending, distinct; in
                         `bounds` unless it is `one` */
    size_t n_keys, next;
    size_t wanted; /* keys before this one have been announced */
    nadb_slice one;

    nadb_buf bounds;  /* keys or range, with keyspace byte */
    nadb_buf loading; /* a key that an index gave, and a zero byte */
    nadb_buf list;    /* nadb_slice of each key */
    nadb_buf given;   /* likewise, of the batch's rows in a walk by expiry */
    nadb_buf place;   /* where a walk was begun again */
    nadb_buf copy;    /* a value that is not pinned */
    nadb_buf plain;   /* decoded value, when it is not cached */
    nadb_cached *cached;
    bool decoded; /* `value` is that of this row */
    nadb_value value;

    bool asks;       /* a step of the walk may take long: */
    nadb_job asking; /* whether it is to end */
};

/* --- cursor.c --- */

/* Closes it, and takes view and batch for the next walk. */
nadb_rc cursor_open(nadb_cursor *c, cursor_mode mode, bool reverse,
                    nadb_err *err) NADB_MUST_USE;
/* Gives `rc`, and closes the cursor unless that is NADB_OK. */
nadb_rc cursor_done(nadb_cursor *c, nadb_rc rc, const nadb_err *err);
/* The walk begins, and is counted as `op`. */
void cursor_count(nadb_cursor *c, nadb_op op);
/* Closes the cursor: NADB_NOMEM. */
nadb_rc cursor_no_memory(nadb_cursor *c, nadb_err *err);
/* The error of a batch that is `lost`. */
nadb_rc cursor_lost(nadb_err *err);
/* Appends to `bounds` the internal key, and the byte that makes the first key
 * after it. */
bool cursor_bounds_add(nadb_cursor *c, nadb_slice key) NADB_MUST_USE;
/* Takes an entry as the present row; c->valid says whether it is alive. */
nadb_rc cursor_row_take(nadb_cursor *c, const nadb_entry *e,
                        nadb_err *err) NADB_MUST_USE;

/* --- cursor_scan.c --- */

/* To the next row of CURSOR_SCAN, which may be the first. */
nadb_rc cursor_scan_next(nadb_cursor *c, nadb_err *err) NADB_MUST_USE;

#endif
