/* files.c - a base that is loaded at run time: the sources of the backend fs,
 * in a library of their own and under another name. */
#include <nadb/plugin.h>

extern const nadb_base_ops fs_ops;

static const nadb_backend files = {
    .name = "files",
    .caps = NADB_CAP_BASE | NADB_CAP_SNAPSHOTS | NADB_CAP_PERSISTENT |
            NADB_CAP_SHARED | NADB_CAP_NEEDS_PATH | NADB_CAP_INNOCUOUS |
            NADB_CAP_THREADS,
    .summary = "the backend fs, as a library",
    .base = &fs_ops,
};
NADB_PLUGIN(files)

/* The progress of long work, which a library cannot report. */
nadb_rc nadb_job_step(uint64_t rows, uint64_t bytes, nadb_err *err);
nadb_rc nadb_job_step(uint64_t rows, uint64_t bytes, nadb_err *err) {
    (void)rows;
    (void)bytes;
    (void)err;
    return NADB_OK;
}
