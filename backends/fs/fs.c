/* fs.c - the backend "fs" (see fs.h). */
#include "fs.h"

#include "fs_ops.h"

static nadb_rc version_open(nadb_base *b, nadb_base_version **out,
                            nadb_err *err) {
    fs_version *v;
    nadb_rc rc = fs_version_open((fs_base *)b, &v, err);

    *out = rc == NADB_OK ? &v->pub : NULL;
    return rc;
}

const nadb_base_ops fs_ops = {
    .manifest_magic = FS_MANIFEST_MAGIC,
    .open = fs_base_open,
    .close = fs_base_close,
    .version_open = version_open,
    .version_ref = fs_version_ref,
    .version_unref = fs_version_unref,
    .get = fs_get,
    .iter = fs_iter,
    .flush = fs_flush,
    .compact_step = fs_compact_step,
    .remove_unused = fs_remove_unused,
    .check = fs_check,
    .salvage = fs_salvage,
    .stats = fs_stats,
};

const nadb_backend nadb_backend_fs = {
    .name = "fs",
    .caps = NADB_CAP_BASE | NADB_CAP_SNAPSHOTS | NADB_CAP_PERSISTENT |
            NADB_CAP_SHARED | NADB_CAP_NEEDS_PATH | NADB_CAP_INNOCUOUS |
            NADB_CAP_THREADS,
    .summary = "files in a directory: log, memtable, sorted tables",
    .base = &fs_ops,
};
