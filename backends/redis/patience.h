/* patience.h - how long something waits for a server, and for whom.
 *
 * It ends some time after it was begun, whatever comes meanwhile: answers in
 * pieces, handshakes in pieces, messages that nobody has asked for. One is for
 * making a connection, with all that it takes (`connect_timeout`); another for
 * an answer (`timeout`), which is renewed when the answer is complete, or a
 * server has sent us elsewhere; and that ends after `timeout`, too (conn.c).
 *
 * All answers that a statement waits for share one `timeout`, and so do all
 * that an operation without a statement waits for (a COMMIT, a check). What an
 * answer takes is counted (nadb_waits), but for a part that each has free: a
 * server that is merely far away is no reason to give up a long scan. Time in
 * which nothing is waited for is given back. Connections share one
 * `connect_timeout` in the same way. */
#ifndef NADB_REDIS_PATIENCE_H
#define NADB_REDIS_PATIENCE_H

#include "../../core/backend.h"

typedef struct patience {
    int64_t timeout_ms;
    int64_t total_ms;         /* of all that adds to `wait` */
    int64_t begin_ns, end_ns; /* monotonic; once it is not `fresh` */
    int64_t extra_ms;         /* more that was granted, for many bytes */
    bool fresh;               /* it begins when something is waited for next */
    bool once;                /* it is never renewed */
    bool takes_any; /* the caller is not asked whether it takes large values */
    bool late;      /* it has ended */
    bool stopped;   /* the caller has ended it */
    const nadb_caller *caller; /* NULL: nobody can */
    nadb_waits *waits;         /* of the statement or operation; or NULL */
    nadb_wait *wait;           /* which of them it adds to; or NULL */
} patience;

/* For answers. What is waited for is counted for the caller's statement, or for
 * the operation that this thread has begun. */
void patience_begin(patience *p, int64_t timeout_ms, const nadb_caller *caller);
/* For a connection, which a statement that waits with `whole` needs: this
 * attempt has so long, and all together total_ms. */
void patience_begin_connecting(patience *p, int64_t timeout_ms,
                               int64_t total_ms, const patience *whole);
/* One that counts for nobody, once: a part of what another one counts. */
void patience_begin_part(patience *p, int64_t timeout_ms,
                         const nadb_caller *caller);

/* What this thread waits for from here on, without a caller, is one operation,
 * until the call of patience_operation_end(); within another one it is a part
 * of that. */
typedef struct patience_operation {
    nadb_waits waits;
    bool outer;
} patience_operation;

void patience_operation_begin(patience_operation *o);
void patience_operation_end(const patience_operation *o);

/* What this thread waits for from here on, without a caller, counts for this
 * one, who is not asked. NULL ends that. */
void patience_serve(const nadb_caller *caller);
const nadb_caller *patience_served(void);

/* Makes *part a patience of its own, of `ms` or what is left, if that is less,
 * once. */
void patience_part(patience *whole, int64_t ms, patience *part);

/* A part that is begun when something is waited for; then patience_used() says
 * it of the whole, which is fresh. */
void patience_part_later(const patience *whole, int64_t ms, patience *part);
void patience_used(patience *whole, const patience *part);

/* Ends the waiting, and counts it; what is waited for next is another answer.
 */
void patience_end(patience *p);
/* The same, of one that is not for once. */
static inline void patience_renew(patience *p) {
    if (!p->once) patience_end(p);
}
/* As patience_end(), but it is counted elsewhere. */
static inline void patience_forget(patience *p) {
    if (!p->once) p->fresh = true;
}

/* What is left, in ms; not above 0: nothing. Begins it if it is fresh. */
int64_t patience_left_ms(patience *p);
/* NADB_OK while there is something left, and the caller wants to wait. */
nadb_rc patience_check(patience *p, nadb_err *err) NADB_MUST_USE;
/* Waits until poll() has one of `events` for the descriptor, or an error of it:
 * true. False: it is over, with `extra_ms` more. */
bool patience_poll(patience *p, int fd, short events, int64_t extra_ms);

#endif
