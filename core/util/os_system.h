/* os_system.h - what each system does in its own way.
 *
 * os_linux.c has it for Linux; os_plain.c, compiled with -DNADB_POSIX, has it
 * with nothing but POSIX.1-2008 and says at each function what that costs. The
 * rest of the library keeps to POSIX and C11: another system is one more such
 * file. Functions with an int result return 0 or an errno. */
#ifndef NADB_OS_SYSTEM_H
#define NADB_OS_SYSTEM_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include "bytes.h"

/* --- open files --- */

/* Bytes of a file, each for one open file alone, also within a process (os.h).
 * *got: the lock was free, or is held by fd already. */
int system_lock(int fd, uint64_t byte, bool *got);
void system_unlock(int fd, uint64_t byte);
/* Whether another open file has locked one of `n` bytes from `byte` on. */
int system_locked(int fd, uint64_t byte, uint64_t n, bool *locked);
/* Gives its locks back, and nobody else's. */
void system_close(int fd);
/* Space for these bytes. EOPNOTSUPP or ENOSYS: the file has to be written. */
int system_reserve(int fd, uint64_t off, uint64_t n);
/* As data_at() of os.h. */
void system_data_at(int fd, uint64_t off, uint64_t *from, uint64_t *to);
int system_sync(int fd); /* what was written, and the size */
/* A directory that may be searched and not read: a descriptor, or -1. */
int system_open_search(int at, const char *name, int how);
/* The kind of a network's file system, or NULL. */
int system_network(int fd, const char **name);

/* --- memory --- */

/* Zeroed, to be given back with munmap(); or MAP_FAILED. */
void *system_map_zeroed(size_t n);
/* See futex_wait() and futex_wake() of os.h. */
void system_word_wait(const uint32_t *word, uint32_t expected,
                      int64_t timeout_ms);
void system_word_wake(uint32_t *word, int n);

/* --- threads --- */

/* ETIMEDOUT: `timeout_ms` passed. */
int system_mutex_lock(pthread_mutex_t *m, int64_t timeout_ms);
int system_cond_init(pthread_cond_t *c);
int system_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t timeout_ms);
void system_thread_name(pthread_t t, const char *name);
uint64_t system_thread_id(void);
/* Takes one of these signals off, if one is pending; false: none was. */
bool system_signal_take(const sigset_t *set);

/* --- the machine --- */

/* Some random bytes, up to n; negative: none. */
ssize_t system_random(void *p, size_t n);
/* 16 bytes that are other ones after a boot. *what is asked for them. */
int system_boot_id(uint8_t out[16], const char **what);
/* What an errno means: a text that lasts, or `text` with it. */
const char *system_error_text(int e, char *text, size_t n);
/* Whether the instructions for CRC32C are there, on ARM. */
bool system_crc_instruction(void);

#endif
