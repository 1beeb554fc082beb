/* os.c - helpers over the table of system calls (see os.h). */
#include "os.h"

char *nadb_path_join(const char *dir, const char *name) {
    size_t d = strlen(dir);
    size_t n = strlen(name);
    char *path = nadb_malloc(d + n + 2);

    if (path == NULL) return NULL;
    memcpy(path, dir, d);
    path[d] = '/';
    memcpy(path + d + 1, name, n + 1);
    return path;
}

static nadb_rc write_synced(nadb_dir *dir, const char *name, nadb_slice data,
                            uint32_t mode, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_file *f;
    nadb_rc rc;

    /* A file left by a crash may have another owner or mode. */
    rc = os->unlink(dir, name, err);
    if (rc != NADB_OK) return rc;
    rc = os->open(dir, name,
                  NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
                  mode, &f, err);
    if (rc != NADB_OK) return rc;
    rc = os->pwrite(f, data.p, data.n, 0, err);
    if (rc == NADB_OK) rc = os->sync(f, err);
    os->close(f);
    return rc;
}

nadb_rc nadb_os_replace_file(nadb_dir *dir, const char *name, nadb_slice data,
                             uint32_t mode, nadb_err *err) {
    static const char suffix[] = ".tmp";
    const nadb_os *os = nadb_os_get();
    nadb_buf b = NADB_BUF_INIT;
    const char *tmp;
    bool renamed = false;
    nadb_rc rc;

    if (!nadb_buf_append(&b, name, strlen(name)) ||
        !nadb_buf_append(&b, suffix, sizeof suffix)) {
        nadb_buf_clear(&b);
        return nadb_fail(err, NADB_NOMEM, "replacing %s", name);
    }
    tmp = (const char *)b.p;
    rc = write_synced(dir, tmp, data, mode, err);
    if (rc == NADB_OK) rc = os->rename(dir, tmp, name, err);
    renamed = rc == NADB_OK;
    if (rc == NADB_OK) rc = os->dir_sync(dir, err);
    /* The first error is the one to report; a .tmp that stays is harmless. */
    if (!renamed) (void)!os->unlink(dir, tmp, NULL);
    nadb_buf_clear(&b);
    return rc;
}

nadb_rc nadb_os_read_file(nadb_dir *dir, const char *name, size_t max,
                          nadb_buf *out, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_file *f = NULL;
    uint64_t size;
    nadb_rc rc;

    nadb_buf_reset(out);
    rc = os->open(dir, name, NADB_OPEN_READ, 0, &f, err);
    if (rc != NADB_OK) goto done;
    rc = os->size(f, &size, err);
    if (rc != NADB_OK) goto done;
    if (size > max) {
        rc = nadb_corrupt(err, "%s has %llu bytes, more than %zu", os->path(f),
                          (unsigned long long)size, max);
        goto done;
    }
    if (!nadb_buf_reserve(out, (size_t)size)) {
        rc = nadb_fail(err, NADB_NOMEM, "reading %s", os->path(f));
        goto done;
    }
    rc = os->pread(f, out->p, (size_t)size, 0, err);
    if (rc == NADB_OK) out->n = (size_t)size;
done:
    os->close(f);
    return rc;
}
