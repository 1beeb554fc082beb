/* os.h - every call to the operating system that touches files, clocks or
 * other processes, as one table.
 *
 * The library holds one table: nadb_os_get(). It is os_posix.c's; the test
 * library (built with -DNADB_TEST) puts a wrapper around it that injects
 * faults, forgets bytes that were not synced, and owns the clock. Nothing else
 * in the library calls the system for I/O.
 *
 * Every failure is a nadb_rc with a message that names the operation and the
 * path. Short reads and writes and EINTR are handled inside: a write is whole
 * or an error. Descriptors are O_CLOEXEC. Paths are UTF-8, as given.
 *
 * A store's files are reached through an open directory and a name without a
 * slash. A name is never followed where it is a symbolic link, and a file is
 * opened only if it is a regular one of an owner who is trusted: who calls,
 * root, or the owner of the directory; in a directory that a group may write,
 * anybody whose file has that group. So nothing outside the directory can be
 * reached through it, whoever has put what into it. */
#ifndef NADB_OS_H
#define NADB_OS_H

#include <sys/types.h>

#include "bytes.h"

typedef struct nadb_file nadb_file; /* an open file; in os_posix.h */
typedef struct nadb_dir nadb_dir;   /* an open directory; likewise */

enum {
    NADB_OPEN_READ = 0,      /* read only */
    NADB_OPEN_WRITE = 1,     /* read and write */
    NADB_OPEN_CREATE = 2,    /* make it if it is not there */
    NADB_OPEN_EXCLUSIVE = 4, /* with CREATE: fail if it is there */
    NADB_OPEN_APPEND = 8     /* with WRITE: for append() */
};

typedef enum nadb_file_kind {
    NADB_KIND_NONE, /* nothing of that name */
    NADB_KIND_FILE,
    NADB_KIND_DIR,
    NADB_KIND_OTHER /* a link, where it is not followed; a pipe, a device */
} nadb_file_kind;

typedef struct nadb_stat {
    nadb_file_kind kind;
    uint64_t size;
    uint64_t dev;
    uint64_t ino;
    uint32_t mode; /* permission bits */
    uint32_t uid;
    uint32_t gid;
    uint64_t links; /* names that it has */
} nadb_stat;

typedef struct nadb_os nadb_os;
struct nadb_os {
    /* --- directories --- */
    /* Opens the directory at `path`, which may lead over links. A missing one
     * is NADB_CANTOPEN with sys_errno ENOENT. */
    nadb_rc (*dir_open)(const char *path, nadb_dir **out, nadb_err *err);
    /* Opens the directory `name` in `in`. */
    nadb_rc (*dir_enter)(nadb_dir *in, const char *name, nadb_dir **out,
                         nadb_err *err);
    /* Opens the directory in which `d` is now. */
    nadb_rc (*dir_up)(nadb_dir *d, nadb_dir **out, nadb_err *err);
    /* Makes `name` in `in` and opens it, with mode (the process's umask holds)
     * and owner of *like. One that is there is NADB_CANTOPEN with sys_errno
     * EEXIST. That we may not give it away is no error. */
    nadb_rc (*dir_make)(nadb_dir *in, const char *name, const nadb_stat *like,
                        nadb_dir **out, nadb_err *err);
    void (*dir_close)(nadb_dir *d); /* NULL is fine */
    nadb_rc (*dir_sync)(nadb_dir *d, nadb_err *err);
    nadb_rc (*dir_stat)(nadb_dir *d, nadb_stat *out, nadb_err *err);
    bool (*dir_writable)(nadb_dir *d); /* we may make files in it */
    /* Calls `each` for every name but . and ..; a non-OK result stops it and
     * is returned. */
    nadb_rc (*dir_list)(nadb_dir *d,
                        nadb_rc (*each)(void *ctx, const char *name,
                                        nadb_err *err),
                        void *ctx, nadb_err *err);
    /* *name is NULL on a local file system, else the kind that is not
     * supported: "nfs", "cifs", "fuse", .. */
    nadb_rc (*dir_network)(nadb_dir *d, const char **name, nadb_err *err);
    const char *(*dir_path)(const nadb_dir *d); /* as it was opened */

    /* --- names in a directory --- */
    /* Of the name itself, also where it is a link. */
    nadb_rc (*stat)(nadb_dir *d, const char *name, nadb_stat *out,
                    nadb_err *err);
    nadb_rc (*unlink)(nadb_dir *d, const char *name,
                      nadb_err *err); /* missing is fine */
    nadb_rc (*rmdir)(nadb_dir *d, const char *name, nadb_err *err);
    nadb_rc (*rename)(nadb_dir *d, const char *from, const char *to,
                      nadb_err *err);

    /* --- files --- */
    /* New files take permission bits from `mode`, exactly (not umasked). A
     * missing file is NADB_CANTOPEN with sys_errno ENOENT. */
    nadb_rc (*open)(nadb_dir *d, const char *name, unsigned flags,
                    uint32_t mode, nadb_file **out, nadb_err *err);
    void (*close)(nadb_file *f); /* NULL is fine */
    /* All `n` bytes, or an error; reading past the end is NADB_CORRUPT
     * ("file too short"). */
    nadb_rc (*pread)(nadb_file *f, void *p, size_t n, uint64_t off,
                     nadb_err *err);
    nadb_rc (*pwrite)(nadb_file *f, const void *p, size_t n, uint64_t off,
                      nadb_err *err);
    /* One write at the end, wherever others have moved it: their bytes and
     * these do not mix. On error some of them may be there. */
    nadb_rc (*append)(nadb_file *f, const void *p, size_t n, nadb_err *err);
    nadb_rc (*sync)(nadb_file *f, nadb_err *err); /* fdatasync */
    nadb_rc (*size)(nadb_file *f, uint64_t *out, nadb_err *err);
    nadb_rc (*truncate)(nadb_file *f, uint64_t size, nadb_err *err);
    /* Reserves space so that writes below `end`, also through a mapping,
     * cannot meet a full disk; grows the file to `end` (fallocate; where the
     * file system lacks it, zeros are written). Never shrinks. */
    nadb_rc (*reserve)(nadb_file *f, uint64_t off, uint64_t end, nadb_err *err);
    /* The first stretch at `off` or behind it that is not a hole, which reads
     * as zeros and takes no space: [*from, *to); *from is UINT64_MAX when
     * nothing but a hole is left. Where the system cannot tell, there are no
     * holes. */
    void (*data_at)(nadb_file *f, uint64_t off, uint64_t *from, uint64_t *to);
    nadb_rc (*fstat)(nadb_file *f, nadb_stat *out, nadb_err *err);
    const char *(*path)(const nadb_file *f); /* of directory and name */

    /* --- mappings: shared; `n` may exceed the file (do not touch past it) */
    nadb_rc (*map)(nadb_file *f, uint64_t n, bool writable, void **out,
                   nadb_err *err);
    void (*unmap)(void *p, uint64_t n);
    /* As map() of zeroed private memory without a file. */
    nadb_rc (*map_private)(uint64_t n, void **out, nadb_err *err);

    /* --- locks of one byte (OFD locks: they belong to the open file, also
     * between threads, and die with it) --- */
    /* *got is false when another open file holds it. */
    nadb_rc (*lock_byte)(nadb_file *f, uint64_t byte, bool *got, nadb_err *err);
    nadb_rc (*lock_byte_wait)(nadb_file *f, uint64_t byte, int64_t timeout_ms,
                              bool *got, nadb_err *err);
    void (*unlock_byte)(nadb_file *f, uint64_t byte);
    /* Whether another open file holds one of `n` bytes from `byte` on. */
    nadb_rc (*bytes_locked)(nadb_file *f, uint64_t byte, uint64_t n,
                            bool *locked, nadb_err *err);

    /* --- paths: they may lead over links --- */
    nadb_rc (*stat_path)(const char *path, nadb_stat *out, nadb_err *err);
    /* Absolute, symbolic links resolved; the last component, or several, may
     * be missing. Appended to *out, with a terminating NUL not counted. */
    nadb_rc (*realpath)(const char *path, nadb_buf *out, nadb_err *err);

    /* --- the machine --- */
    int64_t (*now_ms)(void);  /* Unix time in ms */
    int64_t (*mono_ns)(void); /* CLOCK_MONOTONIC; never turned back */
    void (*random)(void *p, size_t n);
    nadb_rc (*print)(const void *p, size_t n, nadb_err *err); /* to stderr */
    /* Numbers of this process and thread, as the system's tools show them. */
    void (*who)(uint64_t *process, uint64_t *thread);
    /* Changes with every boot; 16 bytes. */
    nadb_rc (*boot_id)(uint8_t out[16], nadb_err *err);

    /* --- futex on a 32-bit word in shared memory --- */
    /* Sleeps while *word == expected, at most timeout_ms; may return early. */
    void (*futex_wait)(uint32_t *word, uint32_t expected, int64_t timeout_ms);
    void (*futex_wake)(uint32_t *word, int n);
};

const nadb_os *nadb_os_get(void);

/* The stores' clock: Unix time in ms. */
static inline int64_t nadb_now_ms(void) { return nadb_os_get()->now_ms(); }

/* --- helpers over the table --- */

/* Writes all of `data` to `name` so that after a crash the file holds either
 * the old bytes or the new: writes `name`.tmp, syncs it, renames, syncs the
 * directory. */
nadb_rc nadb_os_replace_file(nadb_dir *dir, const char *name, nadb_slice data,
                             uint32_t mode, nadb_err *err) NADB_MUST_USE;
/* The whole file into *out (cleared first); more than `max` bytes is
 * NADB_CORRUPT. */
nadb_rc nadb_os_read_file(nadb_dir *dir, const char *name, size_t max,
                          nadb_buf *out, nadb_err *err) NADB_MUST_USE;
/* dir + "/" + name in fresh memory; NULL when out of memory. */
char *nadb_path_join(const char *dir, const char *name) NADB_MUST_USE;

#endif
