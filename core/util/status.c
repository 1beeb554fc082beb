/* status.c - makes errors (status.h). */
#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "os_system.h"

/* Removes an incomplete UTF-8 sequence at the end. */
static void trim_torn_utf8(char *msg) {
    size_t n = strlen(msg);
    size_t tail = 0; /* continuation bytes at the end */
    unsigned char lead;
    size_t want;

    while (tail < n && tail < 3 && ((unsigned char)msg[n - 1 - tail] >> 6) == 2)
        tail++;
    if (tail == n) return;
    lead = (unsigned char)msg[n - 1 - tail];
    want = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (tail < want) msg[n - 1 - tail] = '\0';
}

/* Puts '?' for each byte that is not part of a UTF-8 character. A message
 * quotes bytes of applications, files and servers, and cuts long texts inside a
 * character; SQLite's drivers for Python and others fail to read such a
 * message, and then report that instead of the error. */
static void replace_bad_utf8(char *msg) {
    uint8_t *p = (uint8_t *)msg;
    const uint8_t *end = p + strlen(msg);

    while (p < end) {
        size_t n = nadb_utf8_len(p, end);

        if (n == 0) {
            *p = '?';
            n = 1;
        }
        p += n;
    }
}

/* Formats; returns the length of the message, which may have been cut. */
static size_t format(nadb_err *err, const char *fmt, va_list args) {
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, args);

    if (n < 0) {
        err->msg[0] = '\0';
        return 0;
    }
    if ((size_t)n >= sizeof err->msg) {
        trim_torn_utf8(err->msg);
        n = (int)strlen(err->msg);
    }
    replace_bad_utf8(err->msg);
    return (size_t)n;
}

/* Callers say what they were doing; the rest of this message is always the
 * same. */
static void say_memory(nadb_err *err) {
    static const char what[] = "out of memory: ";
    size_t n = sizeof what - 1;
    size_t len = strlen(err->msg);

    if (strncmp(err->msg, what, n - 2) == 0) return;
    if (len > sizeof err->msg - 1 - n) len = sizeof err->msg - 1 - n;
    memmove(err->msg + n, err->msg, len);
    memcpy(err->msg, what, n);
    err->msg[n + len] = '\0';
}

bool nadb_is_failure(nadb_rc rc) {
    switch (rc) {
    case NADB_NOMEM:
    case NADB_IOERR:
    case NADB_FULL:
    case NADB_CORRUPT:
    case NADB_CANTOPEN:
    case NADB_MOVED:
        return true;
    default:
        return false;
    }
}

nadb_rc nadb_fail(nadb_err *err, nadb_rc rc, const char *fmt, ...) {
    va_list args;

    if (err == NULL) return rc;
    va_start(args, fmt);
    err->rc = rc;
    err->sys_errno = 0;
    format(err, fmt, args);
    va_end(args);
    if (rc == NADB_NOMEM) say_memory(err);
    return rc;
}

void nadb_report(nadb_report_fn *report, void *ctx, const char *fmt, ...) {
    nadb_err line;
    va_list args;

    va_start(args, fmt);
    format(&line, fmt, args);
    va_end(args);
    report(ctx, line.msg);
}

static nadb_rc rc_of_errno(int sys_errno) {
    switch (sys_errno) {
    case ENOMEM:
        return NADB_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NADB_FULL;
    case EROFS:
        return NADB_READONLY;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENAMETOOLONG:
    case EMFILE:
    case ENFILE:
        return NADB_CANTOPEN;
    default:
        return NADB_IOERR;
    }
}

nadb_rc nadb_fail_errno(nadb_err *err, int sys_errno, const char *fmt, ...) {
    nadb_rc rc = rc_of_errno(sys_errno);
    va_list args;
    char text[128];
    const char *cause;
    size_t n, need;

    if (err == NULL) return rc;
    va_start(args, fmt);
    err->rc = rc;
    err->sys_errno = sys_errno;
    n = format(err, fmt, args);
    va_end(args);

    cause = system_error_text(sys_errno, text, sizeof text);
    need = strlen(cause) + 2;
    /* The cause must be kept after a long path, so it may overwrite the path's
     * end. */
    if (n + need >= sizeof err->msg) {
        err->msg[sizeof err->msg - 1 - need] = '\0';
        trim_torn_utf8(err->msg);
        n = strlen(err->msg);
    }
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", cause);
    return rc;
}

nadb_rc nadb_corrupt(nadb_err *err, const char *fmt, ...) {
    va_list args;

    if (err == NULL) return NADB_CORRUPT;
    va_start(args, fmt);
    err->rc = NADB_CORRUPT;
    err->sys_errno = 0;
    format(err, fmt, args);
    va_end(args);
    return NADB_CORRUPT;
}

void nadb_err_clear(nadb_err *err) {
    if (err == NULL) return;
    err->rc = NADB_OK;
    err->sys_errno = 0;
    err->msg[0] = '\0';
}

bool nadb_err_is_shortage(const nadb_err *e) {
    return e->rc == NADB_NOMEM || e->sys_errno == ENOMEM ||
           e->sys_errno == EMFILE || e->sys_errno == ENFILE ||
           e->sys_errno == EACCES || e->sys_errno == EPERM;
}

const char *nadb_rc_name(nadb_rc rc) {
    static const char *const names[] = {
        [NADB_OK] = "NADB_OK",
        [NADB_NOMEM] = "NADB_NOMEM",
        [NADB_IOERR] = "NADB_IOERR",
        [NADB_FULL] = "NADB_FULL",
        [NADB_CORRUPT] = "NADB_CORRUPT",
        [NADB_BUSY] = "NADB_BUSY",
        [NADB_CONFLICT] = "NADB_CONFLICT",
        [NADB_LOCKED] = "NADB_LOCKED",
        [NADB_CONSTRAINT] = "NADB_CONSTRAINT",
        [NADB_INVALID] = "NADB_INVALID",
        [NADB_TOOBIG] = "NADB_TOOBIG",
        [NADB_READONLY] = "NADB_READONLY",
        [NADB_CANTOPEN] = "NADB_CANTOPEN",
        [NADB_MOVED] = "NADB_MOVED",
        [NADB_INTERRUPT] = "NADB_INTERRUPT",
        [NADB_DENIED] = "NADB_DENIED",
    };
    size_t i = (size_t)rc;

    if (i >= sizeof names / sizeof names[0]) return "NADB_?";
    return names[i];
}
