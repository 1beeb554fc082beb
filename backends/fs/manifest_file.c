/* manifest_file.c - reads and replaces the file MANIFEST (manifest.h). */
#include "manifest.h"

#include <errno.h>

#define NAME "MANIFEST"
/* Keys are bounded and files have tens of MB, so a MANIFEST of this size would
 * describe petabytes. */
#define SIZE_LIMIT ((size_t)1 << 30)

nadb_rc fs_manifest_read(nadb_home *home, fs_manifest *m, nadb_err *err) {
    char *path = nadb_path_join(home->os->dir_path(home->dir), NAME);
    nadb_buf bytes = NADB_BUF_INIT;
    nadb_err mine;
    nadb_rc rc;

    memset(m, 0, sizeof *m);
    if (path == NULL) return nadb_fail(err, NADB_NOMEM, "reading " NAME);
    nadb_err_clear(&mine);
    rc = nadb_os_read_file(home->dir, NAME, SIZE_LIMIT, &bytes, &mine);
    if (rc == NADB_OK) {
        rc = fs_manifest_decode(nadb_buf_slice(&bytes), path, m, err);
        if (rc == NADB_OK) rc = nadb_home_check(home, m->store_id, path, err);
        if (rc != NADB_OK) fs_manifest_clear(m);
    } else if (mine.sys_errno == ENOENT) {
        rc = NADB_OK; /* the empty state */
        m->totals.known = true;
    } else if (err != NULL) {
        *err = mine;
    }
    nadb_buf_clear(&bytes);
    nadb_free(path);
    return rc;
}

nadb_rc fs_manifest_write(const nadb_home *home, const fs_manifest *m,
                          nadb_err *err) {
    nadb_buf bytes = NADB_BUF_INIT;
    nadb_rc rc = fs_manifest_encode(m, &bytes, err);

    if (rc == NADB_OK)
        rc = nadb_os_replace_file(home->dir, NAME, nadb_buf_slice(&bytes),
                                  home->file_mode, err);
    nadb_buf_clear(&bytes);
    return rc;
}
