/* os_posix_lines.c - system calls for the log: whole lines at the end of a file
 * that others write to as well, or on stderr; and process and thread ids. */
#include "os_posix.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "os_system.h"

/* Writing to a closed pipe, or past a limit of file sizes, raises a signal that
 * would end the program. It is blocked in this thread during the call, and
 * removed if the call has made it pending. */
static const int deadly[] = {SIGPIPE, SIGXFSZ};

static void add_deadly(sigset_t *set, const sigset_t *but) {
    sigemptyset(set);
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
        if (but == NULL || sigismember(but, deadly[i]) == 0)
            sigaddset(set, deadly[i]);
}

static ssize_t write_quietly(int fd, const void *p, size_t n) {
    sigset_t set, before, pending, ours;
    ssize_t put;
    int e;

    sigemptyset(&pending);
    (void)sigpending(&pending);
    add_deadly(&set, NULL);
    add_deadly(&ours, &pending); /* signals that were pending before are kept */
    (void)pthread_sigmask(SIG_BLOCK, &set, &before);
    do put = write(fd, p, n);
    while (put < 0 && errno == EINTR);
    e = errno;
    if (put < 0) (void)system_signal_take(&ours);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = e;
    return put;
}

nadb_rc posix_append(nadb_file *f, const void *p, size_t n, nadb_err *err) {
    ssize_t put = write_quietly(f->fd, p, n);

    if (put == (ssize_t)n) return NADB_OK;
    return nadb_fail_errno(err, put < 0 ? errno : ENOSPC, "writing %s",
                           f->path);
}

nadb_rc posix_print(const void *p, size_t n, nadb_err *err) {
    ssize_t put = write_quietly(STDERR_FILENO, p, n);

    if (put == (ssize_t)n) return NADB_OK;
    return nadb_fail_errno(err, put < 0 ? errno : EIO, "writing to stderr");
}

void posix_who(uint64_t *process, uint64_t *thread) {
    *process = (uint64_t)getpid();
    *thread = system_thread_id();
}
