/* patience.c - see patience.h. */
#include "patience.h"

#include <errno.h>
#include <poll.h>

/* So often the caller is asked whether it wants to stop. */
#define ASK_MS 50

int64_t patience_left_ms(patience *p) {
    int64_t now = nadb_os_get()->mono_ns();

    if (p->fresh) {
        p->end_ns = now + p->timeout_ms * 1000000;
        p->fresh = false;
    }
    return (p->end_ns - now) / 1000000;
}

void patience_part(patience *whole, int64_t ms, patience *part) {
    int64_t left = patience_left_ms(whole);

    if (left < 0) left = 0;
    patience_begin(part, ms < left ? ms : left, whole->caller);
    part->once = true;
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
