/* os_posix.h - shared by os_posix_*.c and the test library's wrapper; no other
 * file includes it. */
#ifndef NADB_OS_POSIX_H
#define NADB_OS_POSIX_H

#include <sys/stat.h>

#include "os.h"

extern const nadb_os nadb_os_posix;

struct nadb_dir {
    int fd;
    uid_t uid;
    gid_t gid;
    char path[]; /* as it was opened */
};

struct nadb_file {
    int fd;
    char path[]; /* of the directory, and the name */
};

/* os_posix_file.c */
nadb_rc posix_open(nadb_dir *d, const char *name, unsigned flags, uint32_t mode,
                   nadb_file **out, nadb_err *err);
void posix_close(nadb_file *f);
nadb_rc posix_pread(nadb_file *f, void *p, size_t n, uint64_t off,
                    nadb_err *err);
nadb_rc posix_pwrite(nadb_file *f, const void *p, size_t n, uint64_t off,
                     nadb_err *err);
nadb_rc posix_sync(nadb_file *f, nadb_err *err);
nadb_rc posix_size(nadb_file *f, uint64_t *out, nadb_err *err);
nadb_rc posix_truncate(nadb_file *f, uint64_t size, nadb_err *err);
nadb_rc posix_reserve(nadb_file *f, uint64_t off, uint64_t end, nadb_err *err);
void posix_data_at(nadb_file *f, uint64_t off, uint64_t *from, uint64_t *to);
nadb_rc posix_fstat(nadb_file *f, nadb_stat *out, nadb_err *err);
const char *posix_path(const nadb_file *f);

/* os_posix_lines.c */
nadb_rc posix_append(nadb_file *f, const void *p, size_t n, nadb_err *err);
nadb_rc posix_print(const void *p, size_t n, nadb_err *err);
void posix_who(uint64_t *process, uint64_t *thread);

/* os_posix_share.c: mappings, byte locks, futexes */
nadb_rc posix_map(nadb_file *f, uint64_t n, bool writable, void **out,
                  nadb_err *err);
void posix_unmap(void *p, uint64_t n);
nadb_rc posix_map_private(uint64_t n, void **out, nadb_err *err);
nadb_rc posix_lock_byte(nadb_file *f, uint64_t byte, bool *got, nadb_err *err);
nadb_rc posix_lock_byte_wait(nadb_file *f, uint64_t byte, int64_t timeout_ms,
                             bool *got, nadb_err *err);
void posix_unlock_byte(nadb_file *f, uint64_t byte);
nadb_rc posix_bytes_locked(nadb_file *f, uint64_t byte, uint64_t n,
                           bool *locked, nadb_err *err);
void posix_futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_ms);
void posix_futex_wake(uint32_t *word, int n);

/* os_posix_dir.c */
nadb_rc posix_dir_open(const char *path, nadb_dir **out, nadb_err *err);
nadb_rc posix_dir_enter(nadb_dir *in, const char *name, nadb_dir **out,
                        nadb_err *err);
nadb_rc posix_dir_up(nadb_dir *d, nadb_dir **out, nadb_err *err);
nadb_rc posix_dir_make(nadb_dir *in, const char *name, const nadb_stat *like,
                       nadb_dir **out, nadb_err *err);
void posix_dir_close(nadb_dir *d);
nadb_rc posix_dir_sync(nadb_dir *d, nadb_err *err);
nadb_rc posix_dir_stat(nadb_dir *d, nadb_stat *out, nadb_err *err);
bool posix_dir_writable(nadb_dir *d);
nadb_rc posix_dir_list(nadb_dir *d,
                       nadb_rc (*each)(void *ctx, const char *name,
                                       nadb_err *err),
                       void *ctx, nadb_err *err);
const char *posix_dir_path(const nadb_dir *d);
nadb_rc posix_stat(nadb_dir *d, const char *name, nadb_stat *out,
                   nadb_err *err);
nadb_rc posix_unlink(nadb_dir *d, const char *name, nadb_err *err);
nadb_rc posix_rmdir(nadb_dir *d, const char *name, nadb_err *err);
nadb_rc posix_rename(nadb_dir *d, const char *from, const char *to,
                     nadb_err *err);
/* A program that has closed its standard files might write into ours: if fd is
 * one of these three, returns another descriptor in its place. */
int posix_high_fd(int fd);

/* os_posix_names.c */
void posix_fill_stat(nadb_stat *out, const struct stat *st);
nadb_rc posix_stat_path(const char *path, nadb_stat *out, nadb_err *err);
nadb_rc posix_realpath(const char *path, nadb_buf *out, nadb_err *err);

/* os_posix_sys.c: the machine */
nadb_rc posix_dir_network(nadb_dir *d, const char **name, nadb_err *err);
int64_t posix_now_ms(void);
int64_t posix_mono_ns(void);
void posix_random(void *p, size_t n);
nadb_rc posix_boot_id(uint8_t out[16], nadb_err *err);

#endif
