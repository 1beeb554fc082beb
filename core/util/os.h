/* os.h - one table of all calls to the operating system that concern files,
 * clocks or other processes.
 *
 * nadb_os_get() returns the library's table, which is os_posix.c's. The test
 * library (built with -DNADB_TEST) wraps it: it injects faults, drops bytes
 * that were not synced, and controls the clock. Nothing else in the library
 * calls the system for I/O.
 *
 * Every failure is a nadb_rc with a message that names the operation and the
 * path. Short reads and writes and EINTR are handled inside: a write is
 * complete or an error. Descriptors are O_CLOEXEC. Paths are UTF-8, as given.
 *
 * A store's files are reached through an open directory and a name without a
 * slash. A symbolic link in place of the name is never followed, and a file is
 * opened only if it is a regular file of a trusted owner: the caller, root, or
 * the owner of the directory; in a directory that a group may write, any owner
 * if the file has that group. So a user who can write to the
 * directory cannot make nadb open a file outside of it. */
#ifndef NADB_OS_H
#define NADB_OS_H

#include <sys/types.h>

#include "bytes.h"

typedef struct nadb_file nadb_file; /* an open file; in os_posix.h */
typedef struct nadb_dir nadb_dir;   /* an open directory; in os_posix.h */

enum {
    NADB_OPEN_READ = 0,      /* read only */
    NADB_OPEN_WRITE = 1,     /* read and write */
    NADB_OPEN_CREATE = 2,    /* make it if it is missing */
    NADB_OPEN_EXCLUSIVE = 4, /* with CREATE: fail if it exists */
    NADB_OPEN_APPEND = 8     /* with WRITE: for append() */
};

typedef enum nadb_file_kind {
    NADB_KIND_NONE, /* there is nothing of that name */
    NADB_KIND_FILE,
    NADB_KIND_DIR,
    NADB_KIND_OTHER /* a link that is not followed, a pipe, a device */
} nadb_file_kind;

typedef struct nadb_stat {
    nadb_file_kind kind;
    uint64_t size;
    uint64_t dev;
    uint64_t ino;
    uint32_t mode; /* permission bits */
    uint32_t uid;
    uint32_t gid;
    uint64_t links; /* number of its names */
} nadb_stat;

typedef struct nadb_os nadb_os;
struct nadb_os {
    /* --- directories --- */
    /* Opens the directory at `path`, which may contain links. A missing one is
     * NADB_CANTOPEN with sys_errno ENOENT. */
    nadb_rc (*dir_open)(const char *path, nadb_dir **out, nadb_err *err);
    /* Opens the directory `name` in `in`. */
    nadb_rc (*dir_enter)(nadb_dir *in, const char *name, nadb_dir **out,
                         nadb_err *err);
    /* Opens the directory that contains `d` at present. */
    nadb_rc (*dir_up)(nadb_dir *d, nadb_dir **out, nadb_err *err);
    /* Makes and opens `name` in `in`, with mode (limited by umask) and owner of
     * *like. An existing name is NADB_CANTOPEN with sys_errno EEXIST. If the
     * owner may not be changed that is not an error. */
    nadb_rc (*dir_make)(nadb_dir *in, const char *name, const nadb_stat *like,
                        nadb_dir **out, nadb_err *err);
    void (*dir_close)(nadb_dir *d); /* NULL is fine */
    nadb_rc (*dir_sync)(nadb_dir *d, nadb_err *err);
    nadb_rc (*dir_stat)(nadb_dir *d, nadb_stat *out, nadb_err *err);
    bool (*dir_writable)(nadb_dir *d); /* files can be made in it */
    /* Calls `each` for every name but . and ..; a non-OK result stops it and
     * is returned. */
    nadb_rc (*dir_list)(nadb_dir *d,
                        nadb_rc (*each)(void *ctx, const char *name,
                                        nadb_err *err),
                        void *ctx, nadb_err *err);
    /* *name is NULL on a local file system, otherwise the unsupported kind:
     * "nfs", "cifs", "fuse", .. */
    nadb_rc (*dir_network)(nadb_dir *d, const char **name, nadb_err *err);
    const char *(*dir_path)(const nadb_dir *d); /* as it was opened */

    /* --- names in a directory --- */
    /* Describes the name itself, even if it is a link. */
    nadb_rc (*stat)(nadb_dir *d, const char *name, nadb_stat *out,
                    nadb_err *err);
    nadb_rc (*unlink)(nadb_dir *d, const char *name,
                      nadb_err *err); /* missing is not an error */
    nadb_rc (*rmdir)(nadb_dir *d, const char *name, nadb_err *err);
    nadb_rc (*rename)(nadb_dir *d, const char *from, const char *to,
                      nadb_err *err);

    /* --- files --- */
    /* New files get exactly the permission bits of `mode`, whatever the umask.
     * A missing file is NADB_CANTOPEN with sys_errno ENOENT. */
    nadb_rc (*open)(nadb_dir *d, const char *name, unsigned flags,
                    uint32_t mode, nadb_file **out, nadb_err *err);
    void (*close)(nadb_file *f); /* NULL is fine */
    /* Reads all `n` bytes; past the end is NADB_CORRUPT ("file too short"). */
    nadb_rc (*pread)(nadb_file *f, void *p, size_t n, uint64_t off,
                     nadb_err *err);
    nadb_rc (*pwrite)(nadb_file *f, const void *p, size_t n, uint64_t off,
                      nadb_err *err);
    /* One write at the file's end, which does not mix with writes of others. On
     * error a part may have been written. */
    nadb_rc (*append)(nadb_file *f, const void *p, size_t n, nadb_err *err);
    nadb_rc (*sync)(nadb_file *f, nadb_err *err); /* fdatasync */
    nadb_rc (*size)(nadb_file *f, uint64_t *out, nadb_err *err);
    nadb_rc (*truncate)(nadb_file *f, uint64_t size, nadb_err *err);
    /* Reserves space, so that writes below `end`, also through a mapping,
     * cannot meet a full disk; extends the file to `end` (fallocate; on file
     * systems without it zeros are written). Never shrinks. */
    nadb_rc (*reserve)(nadb_file *f, uint64_t off, uint64_t end, nadb_err *err);
    /* The first part at or behind `off` that is not a hole (a hole reads as
     * zeros and takes no space): [*from, *to); *from is UINT64_MAX if there is
     * none. If the system cannot tell, there are no holes. */
    void (*data_at)(nadb_file *f, uint64_t off, uint64_t *from, uint64_t *to);
    nadb_rc (*fstat)(nadb_file *f, nadb_stat *out, nadb_err *err);
    const char *(*path)(const nadb_file *f); /* directory and name */

    /* --- shared mappings; `n` may exceed the file (do not access pages past
     * it) */
    nadb_rc (*map)(nadb_file *f, uint64_t n, bool writable, void **out,
                   nadb_err *err);
    void (*unmap)(void *p, uint64_t n);
    /* As map(), for zeroed private memory without a file. */
    nadb_rc (*map_private)(uint64_t n, void **out, nadb_err *err);

    /* --- locks of one byte (OFD locks: they belong to the open file, also
     * between threads, and end with it) --- */
    /* *got is false if another open file holds it. */
    nadb_rc (*lock_byte)(nadb_file *f, uint64_t byte, bool *got, nadb_err *err);
    nadb_rc (*lock_byte_wait)(nadb_file *f, uint64_t byte, int64_t timeout_ms,
                              bool *got, nadb_err *err);
    void (*unlock_byte)(nadb_file *f, uint64_t byte);
    /* *locked: another open file holds one of the `n` bytes from `byte` on. */
    nadb_rc (*bytes_locked)(nadb_file *f, uint64_t byte, uint64_t n,
                            bool *locked, nadb_err *err);

    /* --- paths, which may contain links --- */
    nadb_rc (*stat_path)(const char *path, nadb_stat *out, nadb_err *err);
    /* Appends the absolute path with links resolved, and a terminating NUL that
     * is not counted. The last components may be missing. */
    nadb_rc (*realpath)(const char *path, nadb_buf *out, nadb_err *err);

    /* --- the machine --- */
    int64_t (*now_ms)(void);  /* Unix time in ms */
    int64_t (*mono_ns)(void); /* CLOCK_MONOTONIC; never turned back */
    void (*random)(void *p, size_t n);
    nadb_rc (*print)(const void *p, size_t n, nadb_err *err); /* to stderr */
    /* Ids of this process and thread as system tools show them. */
    void (*who)(uint64_t *process, uint64_t *thread);
    /* 16 bytes that change with every boot. */
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

/* Replaces the contents of `name` so that after a crash the file has either the
 * old or the new bytes: writes `name`.tmp, syncs it, renames, syncs the
 * directory. */
nadb_rc nadb_os_replace_file(nadb_dir *dir, const char *name, nadb_slice data,
                             uint32_t mode, nadb_err *err) NADB_MUST_USE;
/* Reads the whole file into *out (cleared first); NADB_CORRUPT if it has more
 * than `max` bytes. */
nadb_rc nadb_os_read_file(nadb_dir *dir, const char *name, size_t max,
                          nadb_buf *out, nadb_err *err) NADB_MUST_USE;
/* dir + "/" + name, allocated; NULL if out of memory. */
char *nadb_path_join(const char *dir, const char *name) NADB_MUST_USE;

#endif
