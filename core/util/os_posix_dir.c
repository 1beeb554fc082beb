/* os_posix_dir.c - open directories, and names in them.
 *
 * A directory is opened for reading, so that it can be listed and synced. One
 * that may only be searched is opened for searching and can do neither. */
#include "os_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "os_system.h"

int posix_high_fd(int fd) {
    int high, e;

    if (fd < 0 || fd > STDERR_FILENO) return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    e = errno;
    close(fd);
    errno = e;
    return high;
}

static int dir_fd(int at, const char *name, int how) {
    int fd;

    do fd = openat(at, name, how | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == EACCES)
        fd = system_open_search(at, name, how | O_DIRECTORY | O_CLOEXEC);
    return posix_high_fd(fd);
}

/* Makes the nadb_dir of a descriptor, which it takes over; `in` may be NULL. */
static nadb_rc dir_new(int fd, const nadb_dir *in, const char *name,
                       nadb_dir **out, nadb_err *err) {
    size_t n = in == NULL ? 0 : strlen(in->path);
    nadb_dir *d = nadb_malloc(sizeof *d + n + strlen(name) + 2);
    struct stat st;
    int e;

    if (d == NULL) {
        close(fd);
        return nadb_fail(err, NADB_NOMEM, "opening %s", name);
    }
    if (in != NULL) memcpy(d->path, in->path, n);
    if (n > 0 && in->path[n - 1] != '/') d->path[n++] = '/';
    memcpy(d->path + n, name, strlen(name) + 1);
    d->fd = fd;
    if (fstat(fd, &st) != 0) {
        e = errno;
        (void)nadb_fail_errno(err, e, "cannot stat %s", d->path);
        posix_dir_close(d);
        return NADB_IOERR;
    }
    d->uid = st.st_uid;
    d->gid = st.st_gid;
    *out = d;
    return NADB_OK;
}

nadb_rc posix_dir_open(const char *path, nadb_dir **out, nadb_err *err) {
    int fd = dir_fd(AT_FDCWD, path, O_RDONLY);

    *out = NULL;
    if (fd < 0) return nadb_fail_errno(err, errno, "cannot open %s", path);
    return dir_new(fd, NULL, path, out, err);
}

/* The error if a name cannot be opened; a link has its own message. */
static nadb_rc cannot_enter(const nadb_dir *in, const char *name, int e,
                            nadb_err *err) {
    struct stat st;

    if ((e == ENOTDIR || e == ELOOP) &&
        fstatat(in->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(st.st_mode))
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s/%s is a symbolic link, which is not followed "
                         "there: give its target as path, or move it here",
                         in->path, name);
    return nadb_fail_errno(err, e, "cannot open %s/%s", in->path, name);
}

nadb_rc posix_dir_enter(nadb_dir *in, const char *name, nadb_dir **out,
                        nadb_err *err) {
    int fd = dir_fd(in->fd, name, O_RDONLY | O_NOFOLLOW);

    *out = NULL;
    if (fd < 0) return cannot_enter(in, name, errno, err);
    return dir_new(fd, in, name, out, err);
}

nadb_rc posix_dir_up(nadb_dir *d, nadb_dir **out, nadb_err *err) {
    int fd = dir_fd(d->fd, "..", O_RDONLY);
    char *path, *slash;
    nadb_rc rc;

    *out = NULL;
    if (fd < 0)
        return nadb_fail_errno(err, errno, "cannot open %s/..", d->path);
    path = nadb_strdup(d->path);
    if (path == NULL) {
        close(fd);
        return nadb_fail(err, NADB_NOMEM, "opening %s/..", d->path);
    }
    slash = strrchr(path, '/');
    if (slash != NULL) slash[slash == path] = '\0';
    rc = dir_new(fd, NULL, slash == NULL ? "." : path, out, err);
    nadb_free(path);
    return rc;
}

static bool is_empty(nadb_dir *d);

/* Changes the owner of a directory that we have just made. Anybody who may
 * write to the directory above could have replaced it, so it must be ours and
 * empty. */
static nadb_rc give_away(nadb_dir *d, const nadb_stat *like, nadb_err *err) {
    if (d->uid == like->uid && d->gid == like->gid) return NADB_OK;
    if (d->uid != geteuid() || !is_empty(d))
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s was replaced while it was made", d->path);
    if (fchown(d->fd, (uid_t)like->uid, (gid_t)like->gid) == 0) {
        d->uid = (uid_t)like->uid;
        d->gid = (gid_t)like->gid;
    } else if (errno != EPERM) {
        return nadb_fail_errno(err, errno, "cannot change the owner of %s",
                               d->path);
    }
    return NADB_OK;
}

nadb_rc posix_dir_make(nadb_dir *in, const char *name, const nadb_stat *like,
                       nadb_dir **out, nadb_err *err) {
    nadb_rc rc;

    *out = NULL;
    if (mkdirat(in->fd, name, (mode_t)like->mode & 0777) != 0)
        return nadb_fail_errno(err, errno, "cannot create directory %s/%s",
                               in->path, name);
    rc = posix_dir_enter(in, name, out, err);
    if (rc == NADB_OK) rc = give_away(*out, like, err);
    if (rc == NADB_OK) return NADB_OK;
    posix_dir_close(*out);
    *out = NULL;
    return rc;
}

void posix_dir_close(nadb_dir *d) {
    if (d == NULL) return;
    close(d->fd);
    nadb_free(d);
}

nadb_rc posix_dir_sync(nadb_dir *d, nadb_err *err) {
    int rc;

    do rc = fsync(d->fd);
    while (rc != 0 && errno == EINTR);
    if (rc == 0) return NADB_OK;
    /* It was opened without the right to read it. */
    return nadb_fail_errno(err, errno == EBADF ? EACCES : errno,
                           "syncing directory %s", d->path);
}

nadb_rc posix_dir_stat(nadb_dir *d, nadb_stat *out, nadb_err *err) {
    struct stat st;

    memset(out, 0, sizeof *out);
    if (fstat(d->fd, &st) != 0)
        return nadb_fail_errno(err, errno, "cannot stat %s", d->path);
    posix_fill_stat(out, &st);
    return NADB_OK;
}

bool posix_dir_writable(nadb_dir *d) {
    return faccessat(d->fd, ".", W_OK, AT_EACCESS) == 0;
}

const char *posix_dir_path(const nadb_dir *d) { return d->path; }

/* A separate stream, because two threads may list one directory at once. */
static DIR *walk(nadb_dir *d) {
    int fd = dir_fd(d->fd, ".", O_RDONLY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int e = errno;

    if (dir == NULL && fd >= 0) close(fd);
    errno = e;
    return dir;
}

nadb_rc posix_dir_list(nadb_dir *d,
                       nadb_rc (*each)(void *ctx, const char *name,
                                       nadb_err *err),
                       void *ctx, nadb_err *err) {
    DIR *dir = walk(d);
    nadb_rc rc = NADB_OK;
    struct dirent *entry;

    if (dir == NULL)
        return nadb_fail_errno(err, errno == EBADF ? EACCES : errno,
                               "cannot list %s", d->path);
    while (rc == NADB_OK) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) break;
        if (strcmp(entry->d_name, ".") == 0) continue;
        if (strcmp(entry->d_name, "..") == 0) continue;
        rc = each(ctx, entry->d_name, err);
    }
    if (rc == NADB_OK && errno != 0)
        rc = nadb_fail_errno(err, errno == EBADF ? EACCES : errno, "listing %s",
                             d->path);
    closedir(dir);
    return rc;
}

static nadb_rc not_empty(void *ctx, const char *name, nadb_err *err) {
    (void)ctx, (void)name;
    return nadb_fail(err, NADB_LOCKED, "not empty");
}

static bool is_empty(nadb_dir *d) {
    return posix_dir_list(d, not_empty, NULL, NULL) == NADB_OK;
}

/* --- names in a directory --- */

nadb_rc posix_stat(nadb_dir *d, const char *name, nadb_stat *out,
                   nadb_err *err) {
    struct stat st;

    memset(out, 0, sizeof *out);
    if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        posix_fill_stat(out, &st);
        return NADB_OK;
    }
    if (errno == ENOENT) return NADB_OK;
    return nadb_fail_errno(err, errno, "cannot stat %s/%s", d->path, name);
}

nadb_rc posix_unlink(nadb_dir *d, const char *name, nadb_err *err) {
    if (unlinkat(d->fd, name, 0) != 0 && errno != ENOENT)
        return nadb_fail_errno(err, errno, "cannot remove %s/%s", d->path,
                               name);
    return NADB_OK;
}

nadb_rc posix_rmdir(nadb_dir *d, const char *name, nadb_err *err) {
    if (unlinkat(d->fd, name, AT_REMOVEDIR) != 0)
        return nadb_fail_errno(err, errno, "cannot remove directory %s/%s",
                               d->path, name);
    return NADB_OK;
}

nadb_rc posix_rename(nadb_dir *d, const char *from, const char *to,
                     nadb_err *err) {
    if (renameat(d->fd, from, d->fd, to) != 0)
        return nadb_fail_errno(err, errno, "cannot rename %s/%s to %s", d->path,
                               from, to);
    return NADB_OK;
}
