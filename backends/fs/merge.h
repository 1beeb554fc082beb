/* merge.h - several runs of a version as one sorted sequence.
 *
 * Returns the newest entry of each key, of any kind: tombstones, references to
 * large values, entries that a clear hides; the caller handles them. Runs are
 * few, so all of them are compared for the next key (least.h). Of equal keys
 * the newer run's comes first and the others are skipped.
 *
 * core/util/merge.h merges iterators of any kind through their operations. This
 * merge is apart from it because scans and compaction spend their time here: it
 * compares keys of runs without an indirect call. */
#ifndef NADB_FS_MERGE_H
#define NADB_FS_MERGE_H

#include "cursor.h"

typedef struct fs_merge {
    fs_version *v;
    fs_cursor *top; /* has the present entry; NULL at the end */
    double older;   /* bytes of entries that a newer one hides */
    /* one allocation: the cursors, the two arrays below, a copy of the range */
    fs_cursor *cursors;
    fs_cursor **live; /* those not at their end, newest run first */
    /* 8 bytes of each one's key behind `skip`; inverted in reverse */
    uint64_t *words;
    size_t n_cursors;
    size_t n;     /* number of live ones */
    size_t least; /* index of `top` in `live` */
    bool reverse;
    bool started;
    size_t skip; /* length of the prefix that all keys of the range share */
} fs_merge;

/* Merges runs [first, first + n). The range is copied; `v` must outlive `m`,
 * which is overwritten, and empty after an error. */
nadb_rc fs_merge_init(fs_merge *m, fs_version *v, size_t first, size_t n,
                      const nadb_range *range, bool private,
                      nadb_err *err) NADB_MUST_USE;
void fs_merge_clear(fs_merge *m);
/* The first call moves to the first entry. */
nadb_rc fs_merge_next(fs_merge *m, nadb_err *err) NADB_MUST_USE;
nadb_rc fs_merge_seek(fs_merge *m, nadb_slice key, nadb_err *err) NADB_MUST_USE;

#endif
