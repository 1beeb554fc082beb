/* status.h - result codes and the one way to make an error.
 *
 * A function that can fail returns nadb_rc and takes `nadb_err *err` last.
 * The error lives on the caller's stack; its message is complete, names the
 * operation and the object, and says what to do where something can be done.
 * Absence is never an error: it is reported through a `bool *found`.
 *
 * Only nadb_fail() makes errors; only ext/value.c turns them into SQLITE_*
 * codes. `err` may be NULL where the caller does not want the message. */
#ifndef NADB_STATUS_H
#define NADB_STATUS_H

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
    NADB_FULL,       /* no space, quota, or a size limit is reached */
    NADB_CORRUPT,    /* bytes on disk are not what we wrote */
    NADB_BUSY,       /* a lock was not free within busy_timeout */
    NADB_CONFLICT,   /* another transaction changed what this one read */
    NADB_LOCKED,     /* used by this process in a way that forbids it */
    NADB_CONSTRAINT, /* a row that the schema forbids */
    NADB_INVALID,    /* bad input: an option, an argument, a value */
    NADB_TOOBIG,     /* over a documented limit */
    NADB_READONLY,   /* a write to something opened read-only */
    NADB_CANTOPEN,   /* missing, not ours, or of a newer format */
    NADB_MOVED,      /* not where it was opened any more */
    NADB_INTERRUPT,  /* the user asked to stop */
    NADB_DENIED      /* forbidden by the authorizer or by NADB_ALLOW_* */
} nadb_rc;

/* Longest message, terminator included. Longer ones are cut. */
#define NADB_MSG_MAX 512

typedef struct nadb_err {
    nadb_rc rc;
    int sys_errno; /* errno behind it, 0 when none */
    char msg[NADB_MSG_MAX];
} nadb_err;

/* Records `rc` and the message in *err (when not NULL) and returns `rc`. */
nadb_rc nadb_fail(nadb_err *err, nadb_rc rc, const char *fmt, ...)
    NADB_PRINTF(3, 4);

/* As nadb_fail() for a failed system call: appends strerror(sys_errno) and
 * chooses the code from it (ENOMEM, ENOSPC/EDQUOT, EROFS, ..; else IOERR). */
nadb_rc nadb_fail_errno(nadb_err *err, int sys_errno, const char *fmt, ...)
    NADB_PRINTF(3, 4);

/* NADB_CORRUPT, through one function so that one breakpoint finds the birth
 * of every report of damage. */
nadb_rc nadb_corrupt(nadb_err *err, const char *fmt, ...) NADB_PRINTF(2, 3);

void nadb_err_clear(nadb_err *err);

/* "NADB_IOERR" and so on; for logs and tests. */
const char *nadb_rc_name(nadb_rc rc);

#endif
