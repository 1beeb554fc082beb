/* patience.h - how long something waits for a server, and for whom.
 *
 * It ends some time after it was begun, whatever comes meanwhile: answers in
 * pieces, handshakes in pieces, messages that nobody has asked for. One is for
 * making a connection, with all that it takes (`connect_timeout`); another for
 * an answer (`timeout`), which is renewed when the answer is complete, or a
 * server has sent us elsewhere; and that ends after `timeout`, too (conn.c). */
#ifndef NADB_REDIS_PATIENCE_H
#define NADB_REDIS_PATIENCE_H

#include "../../core/backend.h"

typedef struct patience {
    int64_t timeout_ms;
    int64_t end_ns; /* monotonic; once it is not `fresh` */
    bool fresh;     /* it begins when something is waited for next */
    bool once;      /* it is never renewed */
    bool takes_any; /* the caller is not asked whether it takes large values */
    bool late;      /* it has ended */
    bool stopped;   /* the caller has ended it */
    const nadb_caller *caller; /* NULL: nobody can */
} patience;

static inline void patience_begin(patience *p, int64_t timeout_ms,
                                  const nadb_caller *caller) {
    p->timeout_ms = timeout_ms;
    p->caller = caller;
    p->fresh = true;
    p->once = p->takes_any = p->late = p->stopped = false;
}

/* Makes *part a patience of its own, of `ms` or what is left, if that is less,
 * once. */
void patience_part(patience *whole, int64_t ms, patience *part);

/* A part that is begun when something is waited for; then patience_used() says
 * it of the whole, which is fresh. */
static inline void patience_part_later(const patience *whole, int64_t ms,
                                       patience *part) {
    patience_begin(part, ms < whole->timeout_ms ? ms : whole->timeout_ms,
                   whole->caller);
    part->once = true;
}

static inline void patience_used(patience *whole, const patience *part) {
    int64_t rest_ms = whole->timeout_ms - part->timeout_ms;

    if (part->fresh) return;
    whole->end_ns = part->end_ns + rest_ms * 1000000;
    whole->fresh = false;
}

static inline void patience_renew(patience *p) {
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
