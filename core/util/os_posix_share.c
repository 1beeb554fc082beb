/* os_posix_share.c - what processes share: mappings, byte locks, futexes. */
#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

nadb_rc posix_map(nadb_file *f, uint64_t n, bool writable, void **out,
                  nadb_err *err) {
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *p;

    *out = NULL;
    if (n > SIZE_MAX / 2)
        return nadb_fail(err, NADB_TOOBIG, "mapping %s: too large", f->path);
    p = mmap(NULL, (size_t)n, prot, MAP_SHARED, f->fd, 0);
    if (p == MAP_FAILED)
        return nadb_fail_errno(err, errno, "mapping %s", f->path);
    *out = p;
    return NADB_OK;
}

void posix_unmap(void *p, uint64_t n) {
    if (p != NULL) munmap(p, (size_t)n);
}

nadb_rc posix_map_private(uint64_t n, void **out, nadb_err *err) {
    void *p = MAP_FAILED;

    *out = NULL;
    errno = ENOMEM;
    if (n <= SIZE_MAX / 2)
        p = mmap(NULL, (size_t)n, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return nadb_fail_errno(err, errno, "mapping %llu bytes of memory",
                               (unsigned long long)n);
    *out = p;
    return NADB_OK;
}

static int set_lock(nadb_file *f, int cmd, uint64_t byte, uint64_t n,
                    struct flock *lock, short type) {
    int rc;

    memset(lock, 0, sizeof *lock); /* OFD locks want l_pid == 0 */
    lock->l_type = type;
    lock->l_whence = SEEK_SET;
    lock->l_start = (off_t)byte;
    lock->l_len = (off_t)n;
    do rc = fcntl(f->fd, cmd, lock);
    while (rc != 0 && errno == EINTR);
    return rc;
}

nadb_rc posix_lock_byte(nadb_file *f, uint64_t byte, bool *got, nadb_err *err) {
    struct flock lock;

    *got = set_lock(f, F_OFD_SETLK, byte, 1, &lock, F_WRLCK) == 0;
    if (*got || errno == EAGAIN || errno == EACCES) return NADB_OK;
    return nadb_fail_errno(err, errno, "locking byte %llu of %s",
                           (unsigned long long)byte, f->path);
}

static void sleep_us(int64_t us) {
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

    nanosleep(&t, NULL);
}

/* Polls: the kernel's waiting lock call has no timeout, and borrowing a
 * signal for one is not a library's to do. */
nadb_rc posix_lock_byte_wait(nadb_file *f, uint64_t byte, int64_t timeout_ms,
                             bool *got, nadb_err *err) {
    int64_t deadline_us = posix_mono_ns() / 1000;
    int64_t pause_us = 50;

    if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX; /* 24 days */
    deadline_us += timeout_ms * 1000;

    for (;;) {
        nadb_rc rc = posix_lock_byte(f, byte, got, err);
        int64_t left_us;

        if (rc != NADB_OK || *got) return rc;
        left_us = deadline_us - posix_mono_ns() / 1000;
        if (left_us <= 0) return NADB_OK;
        sleep_us(pause_us < left_us ? pause_us : left_us);
        if (pause_us < 10000) pause_us *= 2;
    }
}

void posix_unlock_byte(nadb_file *f, uint64_t byte) {
    struct flock lock;

    set_lock(f, F_OFD_SETLK, byte, 1, &lock, F_UNLCK);
}

nadb_rc posix_bytes_locked(nadb_file *f, uint64_t byte, uint64_t n,
                           bool *locked, nadb_err *err) {
    struct flock lock;

    *locked = false;
    if (set_lock(f, F_OFD_GETLK, byte, n, &lock, F_WRLCK) != 0)
        return nadb_fail_errno(err, errno, "probing byte %llu of %s",
                               (unsigned long long)byte, f->path);
    *locked = lock.l_type != F_UNLCK;
    return NADB_OK;
}

/* Not FUTEX_PRIVATE: the word is shared with other processes. */
void posix_futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_ms) {
    struct timespec t;

    if (timeout_ms < 0) timeout_ms = 0;
    t.tv_sec = (time_t)(timeout_ms / 1000);
    t.tv_nsec = (long)(timeout_ms % 1000) * 1000000;
    syscall(SYS_futex, word, FUTEX_WAIT, expected, &t, NULL, 0);
}

void posix_futex_wake(uint32_t *word, int n) {
    syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}
