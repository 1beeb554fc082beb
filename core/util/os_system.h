/* os_system.h - functions that each system implements in its own way.
 *
 * os_linux.c implements them for Linux; os_plain.c (with -DNADB_POSIX) with
 * POSIX.1-2008 alone, and says at each function what that costs. The rest of
 * the library uses only POSIX and C11, so a port to another system is one more
 * such file. Functions with an int result return 0 or an errno. */
#ifndef NADB_OS_SYSTEM_H
#define NADB_OS_SYSTEM_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>

#include "bytes.h"

/* --- open files --- */

/* Locks a byte of a file for one open file, also against others of this process
 * (os.h). *got: the lock was free, or fd holds it already. */
int system_lock(int fd, uint64_t byte, bool *got);
void system_unlock(int fd, uint64_t byte);
/* *locked: another open file has locked one of the `n` bytes from `byte` on. */
int system_locked(int fd, uint64_t byte, uint64_t n, bool *locked);
/* Closes fd and releases its locks, and no other's. */
void system_close(int fd);
/* Reserves space. EOPNOTSUPP or ENOSYS: the caller has to write. */
int system_reserve(int fd, uint64_t off, uint64_t n);
/* data_at() of os.h. */
void system_data_at(int fd, uint64_t off, uint64_t *from, uint64_t *to);
int system_sync(int fd); /* data and size */
/* Opens a directory that may be searched but not read: a descriptor, or -1. */
int system_open_search(int at, const char *name, int how);
/* *name: the kind of a network file system, or NULL. */
int system_network(int fd, const char **name);

/* --- memory --- */

/* Zeroed memory, freed with munmap(); or MAP_FAILED. */
void *system_map_zeroed(size_t n);
/* futex_wait() and futex_wake() of os.h. */
void system_word_wait(const uint32_t *word, uint32_t expected,
                      int64_t timeout_ms);
void system_word_wake(uint32_t *word, int n);

/* --- threads --- */

/* The time of the clock in `timeout_ms`. */
static inline struct timespec system_deadline(clockid_t clock,
                                              int64_t timeout_ms) {
    struct timespec t;

    if (timeout_ms < 0) timeout_ms = 0;
    clock_gettime(clock, &t);
    t.tv_sec += (time_t)(timeout_ms / 1000);
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* ETIMEDOUT: `timeout_ms` passed. */
int system_mutex_lock(pthread_mutex_t *m, int64_t timeout_ms);
int system_cond_init(pthread_cond_t *c);
int system_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t timeout_ms);
void system_thread_name(pthread_t t, const char *name);
uint64_t system_thread_id(void);
/* Removes one of these signals if it is pending; false: none was. */
bool system_signal_take(const sigset_t *set);

/* --- the machine --- */

/* Up to n random bytes; negative: none. */
ssize_t system_random(void *p, size_t n);
/* 16 bytes that change with every boot. *what: the call that was made, for
 * messages. */
int system_boot_id(uint8_t out[16], const char **what);
/* The text of an errno: a constant, or in `text`. */
const char *system_error_text(int e, char *text, size_t n);
/* True if an ARM CPU has instructions for CRC32C. */
bool system_crc_instruction(void);

#endif
