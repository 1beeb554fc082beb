/* os_posix_file.c - open files: bytes, sizes, space. */
#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os_system.h"

/* Linux transfers at most about 2 GiB per call; this is below it on every
 * system. */
#define IO_MAX ((size_t)1 << 30)

static nadb_rc check_range(const nadb_file *f, uint64_t off, uint64_t n,
                           nadb_err *err) {
    if (off <= INT64_MAX && n <= INT64_MAX - off) return NADB_OK;
    return nadb_fail(err, NADB_TOOBIG, "%s: offset out of range", f->path);
}

static int open_retry(const nadb_dir *d, const char *name, int how,
                      mode_t mode) {
    int fd;

    /* Without O_NONBLOCK, opening a pipe would wait for its other end. */
    do
        fd = openat(d->fd, name,
                    how | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, mode);
    while (fd < 0 && errno == EINTR);
    return posix_high_fd(fd);
}

/* Opens a file; *made: it was created, and only then its permission bits may be
 * changed. Two processes may create and unlink it at the same time, so this is
 * repeated, but not without end, in case a name only exists for O_EXCL. */
static int open_or_create(const nadb_dir *d, const char *name, unsigned flags,
                          mode_t mode, bool *made) {
    int how = (flags & NADB_OPEN_WRITE ? O_RDWR : O_RDONLY) |
              (flags & NADB_OPEN_APPEND ? O_APPEND : 0);
    int fd = -1;

    *made = false;
    if (!(flags & NADB_OPEN_CREATE)) return open_retry(d, name, how, 0);
    for (int tries = 0; tries < 100; tries++) {
        if (!(flags & NADB_OPEN_EXCLUSIVE)) {
            fd = open_retry(d, name, how, 0);
            if (fd >= 0 || errno != ENOENT) return fd;
        }
        fd = open_retry(d, name, how | O_CREAT | O_EXCL, mode);
        *made = fd >= 0;
        if (fd >= 0 || errno != EEXIST || flags & NADB_OPEN_EXCLUSIVE)
            return fd;
    }
    return fd;
}

/* Sets mode and owner of a new file. A file made by root is given to the owner
 * of its directory; otherwise a program that runs as that owner could not open
 * the store later. */
static nadb_rc settle(const nadb_dir *d, const nadb_file *f, mode_t mode,
                      nadb_err *err) {
    /* Needed because of umask. */
    if (fchmod(f->fd, mode) != 0)
        return nadb_fail_errno(err, errno, "cannot set permissions of %s",
                               f->path);
    /* Without the right to change the owner it stays ours. */
    if (geteuid() == 0 && d->uid != 0 && fchown(f->fd, d->uid, d->gid) != 0)
        errno = 0;
    return NADB_OK;
}

static bool owner_trusted(const nadb_dir *d, const struct stat *st) {
    struct stat dir;

    if (st->st_uid == geteuid() || st->st_uid == 0 || st->st_uid == d->uid)
        return true;
    return fstat(d->fd, &dir) == 0 && (dir.st_mode & S_IWGRP) != 0 &&
           (dir.st_mode & S_IWOTH) == 0 && st->st_gid == dir.st_gid;
}

static nadb_rc not_regular(const nadb_file *f, nadb_err *err) {
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s is not a regular file, as all files of a store are: "
                     "remove it, or restore the store",
                     f->path);
}

/* Checks that an existing file may be used. */
static nadb_rc check(const nadb_dir *d, const nadb_file *f, nadb_err *err) {
    struct stat st;

    if (fstat(f->fd, &st) != 0)
        return nadb_fail_errno(err, errno, "cannot stat %s", f->path);
    if (!S_ISREG(st.st_mode)) return not_regular(f, err);
    if (!owner_trusted(d, &st))
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s belongs to user %lu, not to this user, root or "
                         "the owner of the directory: change its "
                         "owner, or remove it",
                         f->path, (unsigned long)st.st_uid);
    return NADB_OK;
}

static nadb_rc cannot_open(const nadb_file *f, unsigned flags, int e,
                           nadb_err *err) {
    if (e == ENXIO || e == EISDIR) return not_regular(f, err); /* a socket */
    if (e == ELOOP)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s is a symbolic link, as no file of a store is: "
                         "remove it, or restore the store",
                         f->path);
    return nadb_fail_errno(err, e, "cannot %s %s",
                           flags & NADB_OPEN_EXCLUSIVE ? "create" : "open",
                           f->path);
}

nadb_rc posix_open(nadb_dir *d, const char *name, unsigned flags, uint32_t mode,
                   nadb_file **out, nadb_err *err) {
    size_t n = strlen(d->path);
    nadb_file *f = nadb_malloc(sizeof *f + n + strlen(name) + 2);
    bool made;
    nadb_rc rc;

    *out = NULL;
    if (f == NULL)
        return nadb_fail(err, NADB_NOMEM, "opening %s/%s", d->path, name);
    memcpy(f->path, d->path, n);
    f->path[n] = '/';
    memcpy(f->path + n + 1, name, strlen(name) + 1);
    f->fd = open_or_create(d, name, flags, (mode_t)mode & 07777, &made);
    if (f->fd < 0) {
        rc = cannot_open(f, flags, errno, err);
        nadb_free(f);
        return rc;
    }
    rc = made ? settle(d, f, (mode_t)mode & 07777, err) : check(d, f, err);
    if (rc == NADB_OK)
        *out = f;
    else
        posix_close(f);
    return rc;
}

void posix_close(nadb_file *f) {
    if (f == NULL) return;
    /* Errors are ignored: everything that must be on disk has been synced. */
    system_close(f->fd);
    nadb_free(f);
}

nadb_rc posix_pread(nadb_file *f, void *p, size_t n, uint64_t off,
                    nadb_err *err) {
    uint8_t *at = p;
    nadb_rc rc = check_range(f, off, n, err);

    if (rc != NADB_OK) return rc;
    while (n > 0) {
        ssize_t got = pread(f->fd, at, n < IO_MAX ? n : IO_MAX, (off_t)off);

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return nadb_fail_errno(err, errno, "reading %s", f->path);
        if (got == 0)
            return nadb_corrupt(err, "file too short: %s ends at byte %llu",
                                f->path, (unsigned long long)off);
        at += got;
        n -= (size_t)got;
        off += (uint64_t)got;
    }
    return NADB_OK;
}

nadb_rc posix_pwrite(nadb_file *f, const void *p, size_t n, uint64_t off,
                     nadb_err *err) {
    const uint8_t *at = p;
    nadb_rc rc = check_range(f, off, n, err);

    if (rc != NADB_OK) return rc;
    while (n > 0) {
        ssize_t put = pwrite(f->fd, at, n < IO_MAX ? n : IO_MAX, (off_t)off);

        if (put < 0 && errno == EINTR) continue;
        if (put <= 0)
            return nadb_fail_errno(err, put < 0 ? errno : EIO, "writing %s",
                                   f->path);
        at += put;
        n -= (size_t)put;
        off += (uint64_t)put;
    }
    return NADB_OK;
}

nadb_rc posix_sync(nadb_file *f, nadb_err *err) {
    int e = system_sync(f->fd);

    if (e != 0) return nadb_fail_errno(err, e, "syncing %s", f->path);
    return NADB_OK;
}

nadb_rc posix_size(nadb_file *f, uint64_t *out, nadb_err *err) {
    nadb_stat st;
    nadb_rc rc = posix_fstat(f, &st, err);

    *out = rc == NADB_OK ? st.size : 0;
    return rc;
}

nadb_rc posix_truncate(nadb_file *f, uint64_t size, nadb_err *err) {
    nadb_rc rc = check_range(f, size, 0, err);
    int e;

    if (rc != NADB_OK) return rc;
    do e = ftruncate(f->fd, (off_t)size);
    while (e != 0 && errno == EINTR);
    if (e != 0) return nadb_fail_errno(err, errno, "truncating %s", f->path);
    return NADB_OK;
}

/* For file systems without reservation. Existing bytes are kept; a file that
 * has only grown by reserve and write has no holes in them. */
static nadb_rc write_zeros(nadb_file *f, uint64_t end, nadb_err *err) {
    static const uint8_t zeros[65536];
    uint64_t at;
    nadb_rc rc = posix_size(f, &at, err);

    while (rc == NADB_OK && at < end) {
        uint64_t n = end - at < sizeof zeros ? end - at : sizeof zeros;

        rc = posix_pwrite(f, zeros, (size_t)n, at, err);
        at += n;
    }
    return rc;
}

/* True if a small file exists without holes, as control does at every opening
 * but the first: asking costs less than a transaction of the file system. */
static bool is_reserved(nadb_file *f, uint64_t end) {
    struct stat st;

    return fstat(f->fd, &st) == 0 && (uint64_t)st.st_size >= end &&
           (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size;
}

nadb_rc posix_reserve(nadb_file *f, uint64_t off, uint64_t end, nadb_err *err) {
    nadb_rc rc = check_range(f, end, 0, err);
    int e;

    if (rc != NADB_OK) return rc;
    if (off >= end || (off == 0 && is_reserved(f, end))) return NADB_OK;
    e = system_reserve(f->fd, off, end - off);
    if (e == 0) return NADB_OK;
    if (e == EOPNOTSUPP || e == ENOSYS) return write_zeros(f, end, err);
    return nadb_fail_errno(err, e, "reserving %llu bytes for %s",
                           (unsigned long long)end, f->path);
}

void posix_data_at(nadb_file *f, uint64_t off, uint64_t *from, uint64_t *to) {
    system_data_at(f->fd, off, from, to);
}

nadb_rc posix_fstat(nadb_file *f, nadb_stat *out, nadb_err *err) {
    struct stat st;

    memset(out, 0, sizeof *out);
    if (fstat(f->fd, &st) != 0)
        return nadb_fail_errno(err, errno, "cannot stat %s", f->path);
    posix_fill_stat(out, &st);
    return NADB_OK;
}

const char *posix_path(const nadb_file *f) { return f->path; }
