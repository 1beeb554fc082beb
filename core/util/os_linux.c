/* os_linux.c - the functions of os_system.h for Linux.
 *
 * Byte locks belong to the open file description (F_OFD_SETLK), and sleeping on
 * a word is futex(2). Both work between threads as between processes, and end
 * with their owner. */
#ifndef NADB_POSIX
#include "os_system.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "job.h"

/* --- open files --- */

static int set_lock(int fd, int cmd, uint64_t byte, uint64_t n,
                    struct flock *lock, short type) {
    int rc;

    memset(lock, 0, sizeof *lock); /* l_pid must be 0 */
    lock->l_type = type;
    lock->l_whence = SEEK_SET;
    lock->l_start = (off_t)byte;
    lock->l_len = (off_t)n;
    do rc = fcntl(fd, cmd, lock);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

int system_lock(int fd, uint64_t byte, bool *got) {
    struct flock lock;
    int e = set_lock(fd, F_OFD_SETLK, byte, 1, &lock, F_WRLCK);

    *got = e == 0;
    return e == EAGAIN || e == EACCES ? 0 : e;
}

void system_unlock(int fd, uint64_t byte) {
    struct flock lock;

    (void)set_lock(fd, F_OFD_SETLK, byte, 1, &lock, F_UNLCK);
}

int system_locked(int fd, uint64_t byte, uint64_t n, bool *locked) {
    struct flock lock;
    int e = set_lock(fd, F_OFD_GETLK, byte, n, &lock, F_WRLCK);

    *locked = e == 0 && lock.l_type != F_UNLCK;
    return e;
}

/* The descriptor is closed even after EINTR. */
void system_close(int fd) { close(fd); }

int system_reserve(int fd, uint64_t off, uint64_t n) {
    int rc;

    do rc = fallocate(fd, 0, (off_t)off, (off_t)n);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

/* No code uses the position, which lseek() moves. */
void system_data_at(int fd, uint64_t off, uint64_t *from, uint64_t *to) {
    off_t data = off > INT64_MAX ? -1 : lseek(fd, (off_t)off, SEEK_DATA);
    off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);

    *from = off;
    *to = UINT64_MAX;
    if (data < 0 && (errno == ENXIO || off > INT64_MAX)) *from = UINT64_MAX;
    if (hole > data) {
        *from = (uint64_t)data;
        *to = (uint64_t)hole;
    }
}

int system_sync(int fd) {
    int rc;

    do rc = fdatasync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

int system_open_search(int at, const char *name, int how) {
    return openat(at, name, how | O_PATH);
}

/* File systems that may be used by another machine at the same time, or that a
 * user process serves: locks and shared mappings are not reliable there.
 * Numbers: the kernel's magic.h, statfs(2). */
static const struct {
    uint32_t magic;
    const char *name;
} network_kinds[] = {
    {0x00006969, "nfs"},      {0x0000517B, "smb"},    {0xFF534D42, "cifs"},
    {0xFE534D42, "smb2"},     {0x65735546, "fuse"},   {0x01021997, "9p"},
    {0x5346414F, "afs"},      {0x6B414653, "afs"},    {0x00C36400, "ceph"},
    {0x73757245, "coda"},     {0x0000564C, "ncp"},    {0x7461636F, "ocfs2"},
    {0x01161970, "gfs2"},     {0x0BD00BD0, "lustre"}, {0x47504653, "gpfs"},
    {0x20030528, "orangefs"}, {0xAAD7AAEA, "panfs"},  {0x19830326, "beegfs"},
    {0x786F4256, "vboxsf"},   {0xBACBACBC, "vmhgfs"}, {0x7C7C6673, "prlfs"},
};

int system_network(int fd, const char **name) {
    struct statfs st;
    int rc;

    *name = NULL;
    do rc = fstatfs(fd, &st);
    while (rc != 0 && errno == EINTR);
    if (rc != 0) return errno;
    for (size_t i = 0; i < sizeof network_kinds / sizeof network_kinds[0]; i++)
        if (network_kinds[i].magic == (uint32_t)st.f_type)
            *name = network_kinds[i].name;
    return 0;
}

/* --- memory --- */

void *system_map_zeroed(size_t n) {
    return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
}

/* FUTEX_PRIVATE would not work between processes. */
void system_word_wait(const uint32_t *word, uint32_t expected,
                      int64_t timeout_ms) {
    struct timespec t;

    if (timeout_ms < 0) timeout_ms = 0;
    t.tv_sec = (time_t)(timeout_ms / 1000);
    t.tv_nsec = (long)(timeout_ms % 1000) * 1000000;
    syscall(SYS_futex, word, FUTEX_WAIT, expected, &t, NULL, 0);
}

void system_word_wake(uint32_t *word, int n) {
    syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

/* --- threads --- */

int system_mutex_lock(pthread_mutex_t *m, int64_t timeout_ms) {
#ifdef NADB_TSAN
    /* The thread sanitizer does not know the function with a clock. */
    struct timespec deadline = system_deadline(CLOCK_REALTIME, timeout_ms);

    return pthread_mutex_timedlock(m, &deadline);
#else
    struct timespec deadline = system_deadline(CLOCK_MONOTONIC, timeout_ms);

    return pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &deadline);
#endif
}

int system_cond_init(pthread_cond_t *c) {
    pthread_condattr_t attr;
    int e = pthread_condattr_init(&attr);

    if (e != 0) return e;
    e = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (e == 0) e = pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
    return e;
}

int system_cond_wait(pthread_cond_t *c, pthread_mutex_t *m,
                     int64_t timeout_ms) {
    struct timespec deadline = system_deadline(CLOCK_MONOTONIC, timeout_ms);

    return pthread_cond_timedwait(c, m, &deadline);
}

void system_thread_name(pthread_t t, const char *name) {
    (void)pthread_setname_np(t, name);
}

uint64_t system_thread_id(void) { return (uint64_t)syscall(SYS_gettid); }

bool system_signal_take(const sigset_t *set) {
    static const struct timespec at_once = {0, 0};
    int rc;

    do rc = sigtimedwait(set, NULL, &at_once);
    while (rc < 0 && errno == EINTR);
    return rc > 0;
}

bool nadb_several_cpus(void) {
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 1;
}

/* --- the machine --- */

ssize_t system_random(void *p, size_t n) {
    ssize_t got;

    do got = getrandom(p, n, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int system_boot_id(uint8_t out[16], const char **what) {
    char text[64];
    size_t digits = 0;
    ssize_t n;
    int fd, e;

    *what = "/proc/sys/kernel/random/boot_id";
    memset(out, 0, 16);
    do fd = open(*what, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return errno;
    do n = read(fd, text, sizeof text);
    while (n < 0 && errno == EINTR);
    e = errno;
    close(fd);
    if (n < 0) return e;
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        int d = hex_digit(text[i]);

        if (d < 0) continue;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | d);
        digits++;
    }
    return digits == 32 ? 0 : EILSEQ;
}

/* In C's language, whatever the locale. */
const char *system_error_text(int e, char *text, size_t n) {
    const char *known = strerrordesc_np(e);

    if (known != NULL) return known;
    snprintf(text, n, "unknown error");
    return text;
}

#if defined(__aarch64__)
bool system_crc_instruction(void) {
    static const unsigned long crc32 = 1ul << 7; /* HWCAP_CRC32 of ARM */

    return (getauxval(AT_HWCAP) & crc32) != 0;
}
#endif

/* Finds the object that contains this function. */
void nadb_stay_loaded(void) {
    Dl_info of_this;

    if (dladdr((const void *)&nadb_user_id, &of_this) != 0)
        (void)dlopen(of_this.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}
#endif
