/* merge.h - several runs of a version as one sorted sequence.
 *
 * Gives the newest entry of each key, whatever it is (tombstones, references,
 * entries that a clear hides): what to make of it is the caller's business.
 * A heap of cursors, in which a newer run goes before an older one at equal
 * keys. */
#ifndef NADB_FS_MERGE_H
#define NADB_FS_MERGE_H

#include "cursor.h"

typedef struct fs_source {
    uint64_t prefix; /* 8 bytes of the key behind fs_merge.skip;
                        inverted in reverse */
    size_t i;        /* of the cursor: 0 is the newest run */
} fs_source;

typedef struct fs_merge {
    fs_version *v;
    fs_cursor *top;     /* the present entry; NULL at the end */
    double older;       /* bytes of entries that a newer one hid */
    fs_cursor *cursors; /* behind them, in the same memory: the heap, */
    fs_source *heap;    /* and a copy of the range's keys */
    size_t n_cursors;
    size_t n; /* in the heap */
    bool reverse;
    bool started;
    size_t skip; /* bytes that all keys of the range begin with */
} fs_merge;

/* Over runs [first, first + n). The range is copied; `v` outlives `m`, which
 * is overwritten, and empty after an error. */
nadb_rc fs_merge_init(fs_merge *m, fs_version *v, size_t first, size_t n,
                      const nadb_range *range, bool private,
                      nadb_err *err) NADB_MUST_USE;
void fs_merge_clear(fs_merge *m);
/* The first call goes to the first entry. */
nadb_rc fs_merge_next(fs_merge *m, nadb_err *err) NADB_MUST_USE;
nadb_rc fs_merge_seek(fs_merge *m, nadb_slice key, nadb_err *err) NADB_MUST_USE;

#endif
