/* os_plain.c - the functions of os_system.h with POSIX.1-2008 alone
 * (-DNADB_POSIX). It is the starting point of a port. On Linux it passes the
 * suites, at these costs:
 *
 * - Locks of fcntl() belong to the process, and closing any descriptor of a
 * file drops all of its locks. So a table of this process tells open files
 * apart, and a descriptor is closed when the last lock of its file is released.
 * Other code of the process must not open a store's files.
 * - Sleeping on a word is polling, every 50 us at first and every 5 ms at last:
 * wake-ups are that much later, and an idle store's threads poll 200 times a
 * second.
 * - Holes are read as data, and space is reserved by writing if
 * posix_fallocate() does so.
 * - Network file systems are not recognised.
 * - Timeouts of locks follow the wall clock.
 * - Processes that can read each other's stores share an id of the boot in
 * shared memory, which its first user has made; that user can make others
 * rebuild their stores. */
#ifdef NADB_POSIX
#include "os_system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "job.h"
#include "os_posix.h"

/* --- open files --- */

typedef struct held {
    dev_t dev;
    ino_t ino;
    uint64_t byte;
    int fd;
    /* no lock: a descriptor to be closed with the file's last lock */
    bool closed;
    struct held *next;
} held;

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t forking = PTHREAD_ONCE_INIT;
static held *table;

static pid_t table_of; /* the process that holds these locks; 0: none yet */

/* A child has none of its parent's locks. Their memory is not freed, because
 * other threads of the parent may have been inside malloc(). Called by the
 * first function that the child uses, perhaps in another fork handler. */
static void begin_child(void) {
    if (table_of == getpid()) return;
    (void)pthread_mutex_init(&table_lock, NULL);
    table = NULL;
    table_of = getpid();
}

static void watch_forks(void) {
    table_of = getpid();
    (void)pthread_atfork(NULL, NULL, begin_child);
}

static void lock_table(void) {
    if (table_of != 0) begin_child();
    pthread_mutex_lock(&table_lock);
}

static void unlock_table(void) { pthread_mutex_unlock(&table_lock); }

static int set_lock(int fd, int cmd, uint64_t byte, uint64_t n,
                    struct flock *lock, short type) {
    int rc;

    memset(lock, 0, sizeof *lock);
    lock->l_type = type;
    lock->l_whence = SEEK_SET;
    lock->l_start = (off_t)byte;
    lock->l_len = (off_t)n;
    do rc = fcntl(fd, cmd, lock);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

static bool is_of(const held *h, const struct stat *st) {
    return h->dev == st->st_dev && h->ino == st->st_ino;
}

/* A lock of one of these bytes by another descriptor; or NULL. */
static held *find(const struct stat *st, uint64_t byte, uint64_t n,
                  int but_fd) {
    for (held *h = table; h != NULL; h = h->next)
        if (is_of(h, st) && !h->closed && h->fd != but_fd && h->byte - byte < n)
            return h;
    return NULL;
}

int system_lock(int fd, uint64_t byte, bool *got) {
    struct flock lock;
    struct stat st;
    held *h = NULL;
    held *other;
    int e = 0;

    *got = false;
    (void)pthread_once(&forking, watch_forks);
    if (fstat(fd, &st) != 0) return errno;
    lock_table();
    other = find(&st, byte, 1, -1);
    if (other != NULL) {
        *got = other->fd == fd;
    } else {
        h = nadb_malloc(sizeof *h);
        e = h == NULL ? ENOMEM : set_lock(fd, F_SETLK, byte, 1, &lock, F_WRLCK);
        *got = e == 0;
    }
    if (*got && h != NULL) {
        *h = (held){st.st_dev, st.st_ino, byte, fd, false, table};
        table = h;
        h = NULL;
    }
    unlock_table();
    nadb_free(h);
    return e == EAGAIN || e == EACCES ? 0 : e;
}

/* After the last lock of the file: closes the descriptors that waited for
 * it. */
static void close_waiting(const struct stat *st) {
    if (find(st, 0, UINT64_MAX, -1) != NULL) return;
    for (held **at = &table; *at != NULL;) {
        held *h = *at;

        if (!is_of(h, st)) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        close(h->fd);
        nadb_free(h);
    }
}

/* Releases the locks of fd, or one of them. */
static void drop(int fd, const struct stat *st, uint64_t byte, bool all) {
    struct flock lock;

    for (held **at = &table; *at != NULL;) {
        held *h = *at;

        if (!is_of(h, st) || h->closed || h->fd != fd ||
            (!all && h->byte != byte)) {
            at = &h->next;
            continue;
        }
        (void)set_lock(fd, F_SETLK, h->byte, 1, &lock, F_UNLCK);
        *at = h->next;
        nadb_free(h);
    }
}

void system_unlock(int fd, uint64_t byte) {
    struct stat st;

    if (fstat(fd, &st) != 0) return;
    lock_table();
    drop(fd, &st, byte, false);
    close_waiting(&st);
    unlock_table();
}

int system_locked(int fd, uint64_t byte, uint64_t n, bool *locked) {
    struct flock lock;
    struct stat st;
    int e = 0;

    *locked = false;
    if (fstat(fd, &st) != 0) return errno;
    lock_table();
    *locked = find(&st, byte, n, fd) != NULL;
    if (!*locked) {
        e = set_lock(fd, F_GETLK, byte, n, &lock, F_WRLCK);
        *locked = e == 0 && lock.l_type != F_UNLCK;
    }
    unlock_table();
    return e;
}

/* Without memory to note it, the descriptor stays open: locks of others are
 * more important. */
void system_close(int fd) {
    struct stat st;
    held *h;

    lock_table();
    if (table == NULL || fstat(fd, &st) != 0) {
        close(fd);
        unlock_table();
        return;
    }
    drop(fd, &st, 0, true);
    if (find(&st, 0, UINT64_MAX, -1) == NULL) {
        close_waiting(&st);
        close(fd);
    } else if ((h = nadb_malloc(sizeof *h)) != NULL) {
        *h = (held){st.st_dev, st.st_ino, 0, fd, true, table};
        table = h;
    }
    unlock_table();
}

int system_reserve(int fd, uint64_t off, uint64_t n) {
    int e;

    do e = posix_fallocate(fd, (off_t)off, (off_t)n);
    while (e == EINTR);
    return e == EINVAL ? EOPNOTSUPP : e;
}

void system_data_at(int fd, uint64_t off, uint64_t *from, uint64_t *to) {
    struct stat st;

    *from = off;
    *to = UINT64_MAX;
    if (fstat(fd, &st) == 0 && off >= (uint64_t)st.st_size) *from = UINT64_MAX;
}

int system_sync(int fd) {
    int rc;

    do rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

int system_open_search(int at, const char *name, int how) {
#ifdef O_SEARCH
    return openat(at, name, how | O_SEARCH);
#else
    (void)at, (void)name, (void)how;
    errno = EACCES;
    return -1;
#endif
}

int system_network(int fd, const char **name) {
    (void)fd;
    *name = NULL;
    return 0;
}

/* --- memory --- */

void *system_map_zeroed(size_t n) {
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    void *p;
    int e;

    if (fd < 0) return MAP_FAILED;
    p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    e = errno;
    close(fd);
    errno = e;
    return p;
}

static int64_t now_us(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void sleep_us(int64_t us) {
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

    nanosleep(&t, NULL);
}

void system_word_wait(const uint32_t *word, uint32_t expected,
                      int64_t timeout_ms) {
    static const int64_t first_us = 50, most_us = 5000, most_ms = 86400000;
    int64_t pause_us = first_us;
    int64_t end_us;

    /* early returns are allowed */
    if (timeout_ms > most_ms) timeout_ms = most_ms;
    end_us = now_us() + timeout_ms * 1000;
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == expected) {
        int64_t left_us = end_us - now_us();

        if (left_us <= 0) return;
        sleep_us(pause_us < left_us ? pause_us : left_us);
        if (pause_us < most_us) pause_us += pause_us / 2;
    }
}

void system_word_wake(uint32_t *word, int n) { (void)word, (void)n; }

/* --- threads --- */

int system_mutex_lock(pthread_mutex_t *m, int64_t timeout_ms) {
    struct timespec deadline = system_deadline(CLOCK_REALTIME, timeout_ms);

    return pthread_mutex_timedlock(m, &deadline);
}

int system_cond_init(pthread_cond_t *c) { return pthread_cond_init(c, NULL); }

int system_cond_wait(pthread_cond_t *c, pthread_mutex_t *m,
                     int64_t timeout_ms) {
    struct timespec deadline = system_deadline(CLOCK_REALTIME, timeout_ms);

    return pthread_cond_timedwait(c, m, &deadline);
}

/* Not supported: tools show the program's name. */
void system_thread_name(pthread_t t, const char *name) { (void)t, (void)name; }

/* A number for each thread that asks. It distinguishes threads in the log and
 * is not shown by other tools. */
uint64_t system_thread_id(void) {
    static uint64_t last;
    static _Thread_local uint64_t mine;

    if (mine == 0) mine = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    return mine;
}

bool system_signal_take(const sigset_t *set) {
    static const struct timespec at_once = {0, 0};
    int rc;

    do rc = sigtimedwait(set, NULL, &at_once);
    while (rc < 0 && errno == EINTR);
    return rc > 0;
}

/* False makes a thread that waits for a server sleep at once. */
bool nadb_several_cpus(void) { return false; }

/* --- the machine --- */

ssize_t system_random(void *p, size_t n) {
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0) return -1;
    do got = read(fd, p, n);
    while (got < 0 && errno == EINTR);
    close(fd);
    return got == 0 ? -1 : got;
}

/* Makes the object, and fills it before others may read it. */
static int boot_make(const char *name, uint8_t out[16]) {
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0200);
    int e = 0;

    if (fd < 0) return errno;
    posix_random(out, 16);
    if (write(fd, out, 16) != 16 || fchmod(fd, 0444) != 0) {
        e = errno == 0 ? EIO : errno;
        (void)shm_unlink(name);
    }
    close(fd);
    return e;
}

static int boot_read(const char *name, uint8_t out[16]) {
    int fd = shm_open(name, O_RDONLY, 0);
    struct stat st;
    int e = 0;

    if (fd < 0) return errno;
    if (fstat(fd, &st) == 0 && (st.st_mode & 0777) != 0444)
        e = EACCES; /* it is still being made; root could read it */
    else if (read(fd, out, 16) != 16)
        e = errno == 0 ? EIO : errno;
    close(fd);
    return e;
}

/* If its maker died before filling it, it is made again. */
int system_boot_id(uint8_t out[16], const char **what) {
    static const int64_t patience_us = 1000000, pause_us = 1000;
    int64_t end_us = now_us() + patience_us;
    int e;

    *what = "shared memory /nadb-boot";
    do {
        errno = 0;
        e = boot_read("/nadb-boot", out);
        if (e == 0) return 0;
        if (e == ENOENT) e = boot_make("/nadb-boot", out);
        if (e == 0) return 0;
        if (e == EACCES) sleep_us(pause_us);
    } while (now_us() < end_us && (e == EACCES || e == EEXIST));
    if (e == EACCES && shm_unlink("/nadb-boot") == 0)
        e = boot_make("/nadb-boot", out);
    return e;
}

/* In the language of LC_MESSAGES. */
const char *system_error_text(int e, char *text, size_t n) {
    if (strerror_r(e, text, n) != 0) snprintf(text, n, "unknown error");
    return text;
}

#if defined(__aarch64__)
bool system_crc_instruction(void) { return false; }
#endif

/* Keeping a handle open would need the library's name, which POSIX does not
 * provide: link with an option that keeps it, such as -z nodelete. */
void nadb_stay_loaded(void) {}
#endif
