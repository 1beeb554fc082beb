/* os_posix_names.c - paths. */
#include "os_posix.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

void posix_fill_stat(nadb_stat *out, const struct stat *st) {
    out->kind = S_ISREG(st->st_mode)   ? NADB_KIND_FILE
                : S_ISDIR(st->st_mode) ? NADB_KIND_DIR
                                       : NADB_KIND_OTHER;
    out->size = (uint64_t)st->st_size;
    out->dev = (uint64_t)st->st_dev;
    out->ino = (uint64_t)st->st_ino;
    out->mode = (uint32_t)st->st_mode & 07777;
    out->uid = (uint32_t)st->st_uid;
    out->gid = (uint32_t)st->st_gid;
    out->links = (uint64_t)st->st_nlink;
}

nadb_rc posix_stat_path(const char *path, nadb_stat *out, nadb_err *err) {
    struct stat st;

    memset(out, 0, sizeof *out);
    if (stat(path, &st) == 0) {
        posix_fill_stat(out, &st);
        return NADB_OK;
    }
    if (errno == ENOENT || errno == ENOTDIR) return NADB_OK;
    return nadb_fail_errno(err, errno, "cannot stat %s", path);
}

/* Appends the missing components `rest` to the resolved *out. They do not
 * exist, so . and .. have their plain meaning. */
static bool append_missing(nadb_buf *out, size_t start, const char *rest) {
    while (*rest != '\0') {
        size_t n = strcspn(rest, "/");

        if (n == 2 && memcmp(rest, "..", 2) == 0) {
            while (out->n > start + 1 && out->p[out->n - 1] != '/') out->n--;
            if (out->n > start + 1) out->n--;
        } else if (n > 0 && !(n == 1 && rest[0] == '.')) {
            bool at_root = out->n == start + 1 && out->p[start] == '/';

            if (!at_root && !nadb_buf_byte(out, '/')) return false;
            if (!nadb_buf_append(out, rest, n)) return false;
        }
        rest += n;
        while (*rest == '/') rest++;
    }
    return true;
}

/* Cuts off the last component of `head`, which begins at head + result; 0 for
 * the last component of a relative path. */
static size_t cut_component(char *head) {
    size_t n = strlen(head);

    while (n > 1 && head[n - 1] == '/') n--;
    while (n > 0 && head[n - 1] != '/') n--;
    return n;
}

/* Resolves the longest existing part of `path` into `resolved`; *rest: the part
 * behind it. Returns an errno. */
static int resolve_existing(const char *path, char *head,
                            char resolved[PATH_MAX], const char **rest) {
    struct stat st;
    size_t cut = strlen(path);
    size_t end;

    for (;;) {
        *rest = path + cut;
        if (realpath(cut == 0 ? "." : head, resolved) != NULL) return 0;
        if (errno != ENOENT || cut == 0) return errno;
        /* A dangling link is not a missing name, because it may lead
         * anywhere. */
        if (lstat(head, &st) == 0 && S_ISLNK(st.st_mode)) return ENOENT;
        cut = cut_component(head);
        end = cut;
        /* With a slash at the end lstat() would follow a link. */
        while (end > 1 && head[end - 1] == '/') end--;
        head[end] = '\0';
    }
}

nadb_rc posix_realpath(const char *path, nadb_buf *out, nadb_err *err) {
    char resolved[PATH_MAX];
    const char *rest;
    size_t start = out->n;
    char *head = nadb_strdup(path);
    bool done;
    int e;

    if (head == NULL) return nadb_fail(err, NADB_NOMEM, "resolving %s", path);
    e = *path == '\0' ? ENOENT : resolve_existing(path, head, resolved, &rest);
    nadb_free(head);
    if (e != 0) return nadb_fail_errno(err, e, "cannot resolve %s", path);
    done = nadb_buf_append(out, resolved, strlen(resolved)) &&
           append_missing(out, start, rest) && nadb_buf_byte(out, '\0');
    if (!done) {
        out->n = start;
        return nadb_fail(err, NADB_NOMEM, "resolving %s", path);
    }
    out->n--;
    return NADB_OK;
}
