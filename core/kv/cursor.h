/* cursor.h - struct nadb_cursor, for cursor.c and cursor_scan.c only. nadb.h
 * has the interface. */
#ifndef NADB_CURSOR_H
#define NADB_CURSOR_H

#include "session.h"

typedef enum cursor_mode {
    CURSOR_CLOSED,
    CURSOR_KEYS, /* keys[next..] are left */
    CURSOR_SCAN
} cursor_mode;

struct nadb_cursor {
    nadb_session *ss;
    cursor_mode mode;
    session_view *view;
    batch *b;       /* NULL: no changes to see */
    uint64_t limit; /* changes with lower numbers are seen */
    int64_t now;    /* ms; 0: not read yet */

    nadb_op op; /* NADB_OP_COUNT: not counted, or counted already */
    nadb_span span;
    uint64_t rows, bytes;

    /* list ss->readers, if b != NULL */
    nadb_cursor *next_reader, **reader_link;

    bool valid;      /* there is a present row */
    bool gone;       /* .. but it no longer exists */
    bool from_batch; /* the transaction changed it */
    nadb_row row;

    nadb_iter *it; /* CURSOR_SCAN */
    session_read *read;
    uint64_t read_epoch;
    bool reverse;
    bool expired;            /* expired rows are included: nadb_scan.expired */
    nadb_scan scan;          /* CURSOR_SCAN: its request */
    nadb_range range;        /* CURSOR_SCAN: its range; bytes in `bounds` */
    const nadb_match *match; /* each row is checked against it */
    uint64_t undone;         /* b->undone when `it` was opened */
    bool in_batch;           /* scan.by_expiry: `it` walks over the batch */
    nadb_iter *index; /* the walk over the index, which comes next; or NULL */
    size_t n_given;   /* the first so many of `given` are sorted */
    unsigned steps;   /* counts steps; any start value */
    bool nomem;       /* `given` is incomplete */
    bool loaded;      /* the present row is loaded, not only its key */

    /* CURSOR_KEYS: sorted in the cursor's direction, distinct; bytes in
     * `bounds`, or it is `one` */
    nadb_slice *keys;
    size_t n_keys, next;
    size_t wanted; /* so many keys were announced to the engine */
    nadb_slice one;

    nadb_buf bounds;  /* keys or range, with keyspace byte */
    nadb_buf loading; /* a key from an index, and a zero byte */
    nadb_buf list;    /* array of nadb_slice, one per key */
    /* array of nadb_slice, the batch's rows that a walk by expiry has
     * returned */
    nadb_buf given;
    nadb_buf place; /* where a walk was started again */
    nadb_buf copy;  /* a value that is not pinned */
    nadb_buf plain; /* a decoded value that is not cached */
    nadb_cached *cached;
    bool decoded; /* `value` belongs to the present row */
    nadb_value value;

    bool asks; /* a step may take long: `asking` polls for an interrupt */
    nadb_job asking;
};

/* --- cursor.c --- */

/* Closes it, and takes a view and the batch for the next walk. */
nadb_rc cursor_open(nadb_cursor *c, cursor_mode mode, bool reverse,
                    nadb_err *err) NADB_MUST_USE;
/* Returns `rc`; closes the cursor unless it is NADB_OK. */
nadb_rc cursor_done(nadb_cursor *c, nadb_rc rc, const nadb_err *err);
/* Begins to count the walk as `op`. */
void cursor_count(nadb_cursor *c, nadb_op op);
/* Fails with NADB_NOMEM and closes the cursor. */
nadb_rc cursor_no_memory(nadb_cursor *c, nadb_err *err);
/* Fails because the batch is `lost`. */
nadb_rc cursor_lost(nadb_err *err);
/* Appends to `bounds` the internal key and a zero byte; with that byte it is
 * the next possible key. */
bool cursor_bounds_add(nadb_cursor *c, nadb_slice key) NADB_MUST_USE;
/* Makes an entry the present row; c->valid: it has not expired. */
nadb_rc cursor_row_take(nadb_cursor *c, const nadb_entry *e,
                        nadb_err *err) NADB_MUST_USE;

/* --- cursor_scan.c --- */

/* Moves a CURSOR_SCAN to its next row, or to its first. */
nadb_rc cursor_scan_next(nadb_cursor *c, nadb_err *err) NADB_MUST_USE;

#endif
