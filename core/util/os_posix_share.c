/* os_posix_share.c - mappings, byte locks and futexes, which processes
 * share. */
#include "os_posix.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "os_system.h"

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
    if (n <= SIZE_MAX / 2) p = system_map_zeroed((size_t)n);
    if (p == MAP_FAILED)
        return nadb_fail_errno(err, errno, "mapping %llu bytes of memory",
                               (unsigned long long)n);
    *out = p;
    return NADB_OK;
}

nadb_rc posix_lock_byte(nadb_file *f, uint64_t byte, bool *got, nadb_err *err) {
    int e = system_lock(f->fd, byte, got);

    if (e == 0) return NADB_OK;
    return nadb_fail_errno(err, e, "locking byte %llu of %s",
                           (unsigned long long)byte, f->path);
}

static void sleep_us(int64_t us) {
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

    nanosleep(&t, NULL);
}

/* Polls: the kernel's waiting lock call has no timeout, and a library must not
 * use a signal of the program for one. */
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
    system_unlock(f->fd, byte);
}

nadb_rc posix_bytes_locked(nadb_file *f, uint64_t byte, uint64_t n,
                           bool *locked, nadb_err *err) {
    int e = system_locked(f->fd, byte, n, locked);

    if (e == 0) return NADB_OK;
    return nadb_fail_errno(err, e, "probing byte %llu of %s",
                           (unsigned long long)byte, f->path);
}

void posix_futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_ms) {
    system_word_wait(word, expected, timeout_ms);
}

void posix_futex_wake(uint32_t *word, int n) { system_word_wake(word, n); }
