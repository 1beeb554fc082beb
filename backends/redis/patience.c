/* patience.c - see patience.h. */
#include "patience.h"

#include <errno.h>
#include <poll.h>

/* How often the caller is asked whether it wants to stop. */
#define ASK_MS 50

/* The free part of an answer's time; and its minimum. */
#define FREE_PART 10
#define FREE_LEAST_MS 100

#define MS 1000000

/* the thread's operation; or NULL */
static _Thread_local nadb_waits *operation;
static _Thread_local const nadb_caller *served;

/* --- beginning --- */

void patience_begin_part(patience *p, int64_t timeout_ms,
                         const nadb_caller *caller) {
    memset(p, 0, sizeof *p);
    p->timeout_ms = p->total_ms = timeout_ms;
    p->caller = caller;
    p->fresh = true;
    p->once = true;
}

void patience_begin(patience *p, int64_t timeout_ms,
                    const nadb_caller *caller) {
    patience_begin_part(p, timeout_ms, caller);
    p->once = false;
    p->waits = caller == NULL ? operation : caller->waits;
    p->wait = p->waits == NULL ? NULL : &p->waits->answers;
}

void patience_begin_connecting(patience *p, int64_t timeout_ms,
                               int64_t total_ms, const patience *whole) {
    patience_begin_part(p, timeout_ms, whole->caller);
    p->total_ms = total_ms;
    p->waits = whole->waits;
    p->wait = p->waits == NULL ? NULL : &p->waits->connecting;
}

void patience_operation_begin(patience_operation *o) {
    memset(o, 0, sizeof *o);
    o->outer = operation == NULL;
    if (o->outer) operation = &o->waits;
}

void patience_operation_end(const patience_operation *o) {
    if (o->outer) operation = NULL;
}

void patience_serve(const nadb_caller *caller) {
    served = caller;
    operation = caller == NULL ? NULL : caller->waits;
}

const nadb_caller *patience_served(void) { return served; }

/* --- waiting --- */

/* The time that was taken up to `now`. */
static int64_t taken_ns(const nadb_wait *w, int64_t now) {
    int64_t left = w == NULL ? 0 : w->taken_ns - (now - w->ended_ns);

    return left < 0 ? 0 : left;
}

static void begin_at(patience *p, int64_t now) {
    int64_t left = p->total_ms * MS - taken_ns(p->wait, now);

    if (left > p->timeout_ms * MS) left = p->timeout_ms * MS;
    p->begin_ns = now;
    p->end_ns = now + left;
    p->extra_ms = 0;
    p->fresh = false;
}

int64_t patience_left_ms(patience *p) {
    int64_t now = nadb_os_get()->mono_ns();

    if (p->fresh) begin_at(p, now);
    return (p->end_ns - now) / MS;
}

void patience_end(patience *p) {
    int64_t now, from, over, free_ms = p->total_ms / FREE_PART;

    if (!p->fresh && p->wait != NULL) {
        if (free_ms < FREE_LEAST_MS) free_ms = FREE_LEAST_MS;
        now = nadb_os_get()->mono_ns();
        /* Waits side by side count once. */
        from =
            p->begin_ns > p->wait->ended_ns ? p->begin_ns : p->wait->ended_ns;
        over = now - from - (free_ms + p->extra_ms) * MS;
        p->wait->taken_ns = taken_ns(p->wait, from) + (over > 0 ? over : 0);
        p->wait->ended_ns = now;
    }
    p->fresh = true;
}

void patience_part(patience *whole, int64_t ms, patience *part) {
    int64_t left = patience_left_ms(whole);

    if (left < 0) left = 0;
    patience_begin_part(part, ms < left ? ms : left, whole->caller);
}

void patience_part_later(const patience *whole, int64_t ms, patience *part) {
    patience_begin_part(part, ms < whole->timeout_ms ? ms : whole->timeout_ms,
                        whole->caller);
}

void patience_used(patience *whole, const patience *part) {
    if (part->fresh) return;
    begin_at(whole, part->begin_ns);
    whole->extra_ms = part->extra_ms;
}

static bool ask_caller(patience *p) {
    if (p->caller != NULL && p->caller->stopped(p->caller->ctx))
        p->stopped = true;
    return p->stopped;
}

nadb_rc patience_check(patience *p, nadb_err *err) {
    if (ask_caller(p)) return nadb_fail(err, NADB_INTERRUPT, "interrupted");
    p->late = patience_left_ms(p) <= 0;
    if (!p->late) return NADB_OK;
    return nadb_fail(err, NADB_IOERR, "no time is left");
}

bool patience_poll(patience *p, int fd, short events, int64_t extra_ms) {
    struct pollfd x = {fd, events, 0};

    for (;;) {
        int64_t left = patience_left_ms(p) + extra_ms;
        int n;

        if (extra_ms > p->extra_ms) p->extra_ms = extra_ms;
        if (left <= 0) {
            p->late = true;
            return false;
        }
        if (p->caller != NULL && left > ASK_MS) left = ASK_MS;
        n = poll(&x, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return false;
        if (ask_caller(p)) return false;
    }
}
