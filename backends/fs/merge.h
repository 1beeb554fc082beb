/* merge.h - several runs of a version as one sorted sequence.
 *
 * Gives the newest entry of each key, whatever it is (tombstones, references,
 * entries that a clear hides): what to make of it is the caller's business.
 * Runs are few, so all of them are looked at for the next key (least.h); at
 * equal keys a newer run goes before an older one. */
#ifndef NADB_FS_MERGE_H
#define NADB_FS_MERGE_H

#include "cursor.h"

typedef struct fs_merge {
    fs_version *v;
    fs_cursor *top;     /* the present entry; NULL at the end */
    double older;       /* bytes of entries that a newer one hid */
    fs_cursor *cursors; /* behind them, in the same memory: the next two, and a
                           copy of the range's keys */
    fs_cursor **live;   /* that have not ended, the newest run first */
    uint64_t *words;    /* of each live one 8 bytes of its key, behind `skip`;
                           inverted in reverse */
    size_t n_cursors;
    size_t n;     /* live */
    size_t least; /* of the live ones: `top` */
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
