/* patience.h - time limits for waiting for a server, and on whose account.
 *
 * A time limit ends a fixed time after it began, whatever arrives meanwhile:
 * answers or handshakes in pieces, messages that were not asked for. There is
 * one for making a connection with everything it takes (`connect_timeout`), and
 * one for an answer (`timeout`), which starts again when an answer is complete
 * or a server has redirected us; that, too, ends after `timeout` (conn.c).
 *
 * All answers for which a statement waits share one `timeout`, and so do all
 * for which an operation without a statement waits (a COMMIT, a check). The
 * time that an answer takes is added up (nadb_waits) except for a free part of
 * each, so that a server that is far away does not end a long scan. Time
 * without waiting is not counted. Connections share one `connect_timeout` in
 * the same way. */
#ifndef NADB_REDIS_PATIENCE_H
#define NADB_REDIS_PATIENCE_H

#include "../../core/backend.h"

typedef struct patience {
    int64_t timeout_ms;
    int64_t total_ms;         /* limit of the sum in `wait` */
    int64_t begin_ns, end_ns; /* monotonic; valid if not `fresh` */
    int64_t extra_ms; /* additional time that was granted for many bytes */
    bool fresh;       /* it begins with the next wait */
    bool once;        /* it never starts again */
    bool takes_any;   /* large values are taken without asking the caller */
    bool late;        /* it has ended */
    bool stopped;     /* the caller has ended it */
    const nadb_caller *caller; /* may end it; NULL: none */
    nadb_waits *waits;         /* of the statement or operation; may be NULL */
    nadb_wait *wait;           /* the sum to which it adds; may be NULL */
} patience;

/* For answers. Waiting counts for the caller's statement, or for the operation
 * that this thread has begun. */
void patience_begin(patience *p, int64_t timeout_ms, const nadb_caller *caller);
/* For a connection that a statement with limit `whole` needs: this attempt gets
 * timeout_ms, all attempts together total_ms. */
void patience_begin_connecting(patience *p, int64_t timeout_ms,
                               int64_t total_ms, const patience *whole);
/* A limit that counts for no statement and never starts again: part of another
 * limit. */
void patience_begin_part(patience *p, int64_t timeout_ms,
                         const nadb_caller *caller);

/* Between begin and end, waits of this thread without a caller are one
 * operation; inside another operation they are part of that. */
typedef struct patience_operation {
    nadb_waits waits;
    bool outer;
} patience_operation;

void patience_operation_begin(patience_operation *o);
void patience_operation_end(const patience_operation *o);

/* Counts waits of this thread that have no caller for `caller`, which cannot
 * end them. NULL stops that. */
void patience_serve(const nadb_caller *caller);
const nadb_caller *patience_served(void);

/* Makes *part a limit of its own, of `ms` or what is left if that is less. It
 * never starts again. */
void patience_part(patience *whole, int64_t ms, patience *part);

/* A part that begins with the next wait; patience_used() then accounts it to
 * the whole, which is fresh. */
void patience_part_later(const patience *whole, int64_t ms, patience *part);
void patience_used(patience *whole, const patience *part);

/* Ends and counts the wait; the next one is for another answer. */
void patience_end(patience *p);
/* As patience_end(), unless the limit never starts again. */
static inline void patience_renew(patience *p) {
    if (!p->once) patience_end(p);
}
/* As patience_end(), but the wait is counted elsewhere. */
static inline void patience_forget(patience *p) {
    if (!p->once) p->fresh = true;
}

/* The time left in ms; none if not above 0. Begins a fresh limit. */
int64_t patience_left_ms(patience *p);
/* NADB_OK while time is left and the caller does not want to stop. */
nadb_rc patience_check(patience *p, nadb_err *err) NADB_MUST_USE;
/* Waits until poll() reports one of `events` or an error for the descriptor:
 * true. False: the limit plus `extra_ms` has passed. */
bool patience_poll(patience *p, int fd, short events, int64_t extra_ms);

#endif
