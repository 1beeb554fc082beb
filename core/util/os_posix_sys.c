/* os_posix_sys.c - the machine: clocks, randomness, boot, file systems. */
#include "os_posix.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "os_system.h"

nadb_rc posix_dir_network(nadb_dir *d, const char **name, nadb_err *err) {
    int e = system_network(d->fd, name);

    if (e == 0) return NADB_OK;
    return nadb_fail_errno(err, e, "cannot determine the file system of %s",
                           d->path);
}

int64_t posix_now_ms(void) {
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t posix_mono_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void posix_random(void *p, size_t n) {
    static uint64_t counter;
    uint8_t *at = p;

    while (n > 0) {
        ssize_t got = system_random(at, n);

        if (got < 0) {
            /* If there is no random source (a sandbox), clock, process id and a
             * counter suffice: salts must differ, not be secret. */
            uint64_t seed[3] = {
                (uint64_t)posix_mono_ns(), (uint64_t)getpid(),
                __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED)};
            uint64_t h = nadb_hash64(nadb_slice_of(seed, sizeof seed));

            got = (ssize_t)(n < sizeof h ? n : sizeof h);
            memcpy(at, &h, (size_t)got);
        }
        at += got;
        n -= (size_t)got;
    }
}

nadb_rc posix_boot_id(uint8_t out[16], nadb_err *err) {
    const char *what;
    int e = system_boot_id(out, &what);

    if (e == 0) return NADB_OK;
    if (e == EILSEQ)
        return nadb_fail(err, NADB_IOERR, "%s does not hold an id", what);
    return nadb_fail_errno(err, e, "cannot read %s", what);
}
