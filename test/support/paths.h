/* paths.h - files by their path, for tests: the library itself reaches them
 * through open directories (core/util/os.h). Each goes through the table that
 * it is given. */
#ifndef NADB_TEST_PATHS_H
#define NADB_TEST_PATHS_H

#include "../../core/util/os.h"

/* Opens the directory of `path`; *name is the rest. */
static inline nadb_rc path_split(const nadb_os *os, const char *path,
                                 nadb_dir **dir, const char **name,
                                 nadb_err *err) {
    const char *slash = strrchr(path, '/');
    char *head;
    nadb_rc rc;

    *dir = NULL;
    *name = slash == NULL ? path : slash + 1;
    if (slash == NULL) return os->dir_open(".", dir, err);
    head = nadb_strdup(path);
    if (head == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", path);
    head[slash == path ? 1 : slash - path] = '\0';
    rc = os->dir_open(head, dir, err);
    nadb_free(head);
    return rc;
}

static inline nadb_rc path_open(const nadb_os *os, const char *path,
                                unsigned flags, uint32_t mode, nadb_file **out,
                                nadb_err *err) {
    const char *name;
    nadb_dir *d;
    nadb_rc rc = path_split(os, path, &d, &name, err);

    *out = NULL;
    if (rc == NADB_OK) rc = os->open(d, name, flags, mode, out, err);
    os->dir_close(d);
    return rc;
}

static inline nadb_rc path_unlink(const nadb_os *os, const char *path,
                                  nadb_err *err) {
    const char *name;
    nadb_dir *d;
    nadb_rc rc = path_split(os, path, &d, &name, err);

    if (rc == NADB_OK) rc = os->unlink(d, name, err);
    os->dir_close(d);
    return rc;
}

static inline nadb_rc path_mkdir(const nadb_os *os, const char *path,
                                 uint32_t mode, nadb_err *err) {
    nadb_dir *d, *made = NULL;
    const char *name;
    nadb_stat like;
    nadb_rc rc = path_split(os, path, &d, &name, err);

    if (rc == NADB_OK) rc = os->dir_stat(d, &like, err);
    like.mode = mode;
    if (rc == NADB_OK) rc = os->dir_make(d, name, &like, &made, err);
    os->dir_close(made);
    os->dir_close(d);
    return rc;
}

static inline nadb_rc path_rmdir(const nadb_os *os, const char *path,
                                 nadb_err *err) {
    const char *name;
    nadb_dir *d;
    nadb_rc rc = path_split(os, path, &d, &name, err);

    if (rc == NADB_OK) rc = os->rmdir(d, name, err);
    os->dir_close(d);
    return rc;
}

static inline nadb_rc path_list(const nadb_os *os, const char *path,
                                nadb_rc (*each)(void *ctx, const char *name,
                                                nadb_err *err),
                                void *ctx, nadb_err *err) {
    nadb_dir *d = NULL;
    nadb_rc rc = os->dir_open(path, &d, err);

    if (rc == NADB_OK) rc = os->dir_list(d, each, ctx, err);
    os->dir_close(d);
    return rc;
}

static inline nadb_rc path_sync(const nadb_os *os, const char *path,
                                nadb_err *err) {
    nadb_dir *d = NULL;
    nadb_rc rc = os->dir_open(path, &d, err);

    if (rc == NADB_OK) rc = os->dir_sync(d, err);
    os->dir_close(d);
    return rc;
}

static inline nadb_rc path_read(const char *path, size_t max, nadb_buf *out,
                                nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    const char *name;
    nadb_dir *d;
    nadb_rc rc = path_split(os, path, &d, &name, err);

    if (rc == NADB_OK) rc = nadb_os_read_file(d, name, max, out, err);
    os->dir_close(d);
    return rc;
}

#endif
