/* manifest.h - the state of the base as one small file (docs/format.md,
 * "MANIFEST").
 *
 * A manifest lists runs, newest first. A run lists tables in key order whose
 * key ranges do not overlap. A table's range here is the part that is in use:
 * compaction raises `lo` while it consumes a table from its low end, long
 * before the file can be removed.
 *
 * The file is replaced as a whole, so a crash leaves the old state or the new
 * one. */
#ifndef NADB_FS_MANIFEST_H
#define NADB_FS_MANIFEST_H

#include "../../core/backend.h"
#include "../../core/util/arena.h"
#include "../../core/util/os.h"
#include "format.h"

/* Bytes of values in a .val file that a table refers to. */
typedef struct fs_use {
    uint64_t file;
    uint64_t bytes;
} fs_use;

typedef struct fs_meta {
    uint64_t number;
    uint64_t size; /* of the file */
    uint64_t count;
    uint64_t tombstones;
    /* estimate of bytes in older runs that its entries replace, large values
     * included */
    uint64_t shadow;
    uint64_t gone; /* estimate of bytes that compaction has consumed */
    uint64_t min_seq;
    uint64_t max_seq;
    nadb_slice lo; /* first and last key in use */
    nadb_slice hi;
    fs_use *uses;
    size_t n_uses;
} fs_meta;

/* it is being merged into the next older run, in steps */
enum { FS_RUN_SWEEP = 1 };

typedef struct fs_run {
    size_t first; /* index in `tables` */
    size_t count;
    unsigned flags;
} fs_run;

typedef struct fs_val_meta {
    uint64_t number;
    uint64_t size;
} fs_val_meta;

typedef struct fs_manifest {
    uint64_t generation;
    uint64_t first_log;
    uint64_t seq;
    uint64_t clear_seq;
    nadb_totals totals;
    uint8_t store_id[NADB_STORE_ID];
    fs_run *runs; /* newest first */
    size_t n_runs;
    fs_meta *tables; /* in the order of the runs */
    size_t n_tables;
    fs_val_meta *vals; /* sorted by number */
    size_t n_vals;
    nadb_arena arena; /* owns everything, keys included */
} fs_manifest;

void fs_manifest_clear(fs_manifest *m); /* frees and zeroes it */

/* Appends the file's bytes. */
nadb_rc fs_manifest_encode(const fs_manifest *m, nadb_buf *out,
                           nadb_err *err) NADB_MUST_USE;
/* Decodes; `m` is overwritten, and cleared on failure. `name` is for messages.
 * The caller checks whose manifest it is. */
nadb_rc fs_manifest_decode(nadb_slice bytes, const char *name, fs_manifest *m,
                           nadb_err *err) NADB_MUST_USE;

/* Reads MANIFEST. If there is none: the empty state, generation 0. */
nadb_rc fs_manifest_read(nadb_home *home, fs_manifest *m,
                         nadb_err *err) NADB_MUST_USE;
/* Replaces MANIFEST durably. After an error the file may be the old one or the
 * new one. */
nadb_rc fs_manifest_write(const nadb_home *home, const fs_manifest *m,
                          nadb_err *err) NADB_MUST_USE;

/* --- for making one --- */

/* Copies `t` with its keys and uses; false if out of memory. */
bool fs_manifest_meta(fs_manifest *m, fs_meta *out, const fs_meta *t);

#endif
