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

static nadb_rc write_synced(const nadb_os *os, const char *path,
                            nadb_slice data, uint32_t mode, nadb_err *err) {
    nadb_file *f;
    nadb_rc rc;

    /* What a crash left under the name may have another owner or mode. */
    rc = os->unlink(path, err);
    if (rc != NADB_OK) return rc;
    rc =
        os->open(path, NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
                 mode, &f, err);
    if (rc != NADB_OK) return rc;
    rc = os->pwrite(f, data.p, data.n, 0, err);
    if (rc == NADB_OK) rc = os->sync(f, err);
    os->close(f);
    return rc;
}

nadb_rc nadb_os_replace_file(const char *dir, const char *name, nadb_slice data,
                             uint32_t mode, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    char *path = nadb_path_join(dir, name);
    char *tmp = NULL;
    nadb_buf tmp_name = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;
    bool renamed = false;

    if (path == NULL || !nadb_buf_append(&tmp_name, name, strlen(name)) ||
        !nadb_buf_append(&tmp_name, ".tmp", sizeof ".tmp")) {
        rc = nadb_fail(err, NADB_NOMEM, "replacing %s", name);
        goto done;
    }
    tmp = nadb_path_join(dir, (const char *)tmp_name.p);
    if (tmp == NULL) {
        rc = nadb_fail(err, NADB_NOMEM, "replacing %s", path);
        goto done;
    }
    rc = write_synced(os, tmp, data, mode, err);
    if (rc != NADB_OK) goto done;
    rc = os->rename(tmp, path, err);
    if (rc != NADB_OK) goto done;
    renamed = true;
    rc = os->sync_dir(dir, err);
done:
    /* The failure to report is the first one; a left .tmp is harmless. */
    if (rc != NADB_OK && !renamed && tmp != NULL) (void)!os->unlink(tmp, NULL);
    nadb_buf_clear(&tmp_name);
    nadb_free(tmp);
    nadb_free(path);
    return rc;
}

nadb_rc nadb_os_read_file(const char *path, size_t max, nadb_buf *out,
                          nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_file *f = NULL;
    uint64_t size;
    nadb_rc rc;

    nadb_buf_reset(out);
    rc = os->open(path, NADB_OPEN_READ, 0, &f, err);
    if (rc != NADB_OK) goto done;
    rc = os->size(f, &size, err);
    if (rc != NADB_OK) goto done;
    if (size > max) {
        rc = nadb_corrupt(err, "%s has %llu bytes, more than %zu", path,
                          (unsigned long long)size, max);
        goto done;
    }
    if (!nadb_buf_reserve(out, (size_t)size)) {
        rc = nadb_fail(err, NADB_NOMEM, "reading %s", path);
        goto done;
    }
    rc = os->pread(f, out->p, (size_t)size, 0, err);
    if (rc == NADB_OK) out->n = (size_t)size;
done:
    os->close(f);
    return rc;
}
