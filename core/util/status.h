/* status.h - result codes, and the functions that make errors.
 *
 * A function that can fail returns nadb_rc and takes `nadb_err *err` last. The
 * error is on the caller's stack. Its message is complete: it names the
 * operation and the object, and says what to do if something can be done.
 * Absence is not an error; it is reported through a `bool *found`.
 *
 * Only nadb_fail() makes errors, and only ext/value.c converts them to SQLITE_*
 * codes. `err` may be NULL if the caller does not need the message.
 *
 * A file that reports NADB_NOMEM in several places has a function no_memory()
 * of its own for it: a shared one could not name the operation. */
#ifndef NADB_STATUS_H
#define NADB_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define NADB_MUST_USE __attribute__((warn_unused_result))
#define NADB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define NADB_MUST_USE
#define NADB_PRINTF(fmt, args)
#endif

typedef enum nadb_rc {
    NADB_OK = 0,
    NADB_NOMEM,      /* an allocation failed */
    NADB_IOERR,      /* a system call or a server failed */
    NADB_FULL,       /* no space, quota, or a size limit was reached */
    NADB_CORRUPT,    /* bytes on disk are not what was written */
    NADB_BUSY,       /* a lock was not free within busy_timeout */
    NADB_CONFLICT,   /* another transaction changed what this one read */
    NADB_LOCKED,     /* in use in a way that forbids the operation */
    NADB_CONSTRAINT, /* the schema forbids the row */
    NADB_INVALID,    /* invalid input: an option, an argument, a value */
    NADB_TOOBIG,     /* above a documented limit */
    NADB_READONLY,   /* a write to something opened read-only */
    NADB_CANTOPEN,   /* missing, not ours, or of a newer format */
    NADB_MOVED,      /* no longer where it was opened */
    NADB_INTERRUPT,  /* the user asked to stop */
    NADB_DENIED      /* forbidden by the authorizer or by NADB_ALLOW_* */
} nadb_rc;

/* Size of a message with its terminator; longer ones are cut. */
#define NADB_MSG_MAX 512

typedef struct nadb_err {
    nadb_rc rc;
    int sys_errno; /* errno of the cause, or 0 */
    char msg[NADB_MSG_MAX];
} nadb_err;

/* True if the store, the disk, a server or memory failed, and not the caller or
 * another transaction. */
bool nadb_is_failure(nadb_rc rc);

/* Stores `rc` and the message in *err (if it is not NULL); returns `rc`. */
nadb_rc nadb_fail(nadb_err *err, nadb_rc rc, const char *fmt, ...)
    NADB_PRINTF(3, 4);

/* As nadb_fail() for a failed system call: appends strerror(sys_errno) and
 * chooses the code from it (ENOMEM, ENOSPC/EDQUOT, EROFS, ..; else IOERR). */
nadb_rc nadb_fail_errno(nadb_err *err, int sys_errno, const char *fmt, ...)
    NADB_PRINTF(3, 4);

/* Fails with NADB_CORRUPT. Every report of damage passes through this function,
 * so one breakpoint finds where it arises. */
nadb_rc nadb_corrupt(nadb_err *err, const char *fmt, ...) NADB_PRINTF(2, 3);

void nadb_err_clear(nadb_err *err);

/* True for errors that only say that this process lacks memory, descriptors or
 * rights. They say nothing about a store or a server, so they must not stop
 * other processes or later statements. */
bool nadb_err_is_shortage(const nadb_err *e);

/* --- reports of a check or a repair --- */

/* Takes one line per problem; `what` names file, offset and key where they
 * apply. */
typedef void nadb_report_fn(void *ctx, const char *what);
/* Makes such a line. It is valid UTF-8, as messages are, whatever bytes of
 * damaged data it quotes. */
void nadb_report(nadb_report_fn *report, void *ctx, const char *fmt, ...)
    NADB_PRINTF(3, 4);

/* "NADB_IOERR" etc., for logs and tests. */
const char *nadb_rc_name(nadb_rc rc);

#endif
