/* cursor.h - walks one run of a version in key order, either way.
 *
 * Reads blocks through the tables' mappings, or (`private`, and always where
 * nothing is mapped) by pread into a buffer of its own, which grows from 32 to
 * 256 KB as the walk goes on: so a scan or a compaction of any size leaves no
 * pages behind in this process. The key is put together in the cursor, the
 * value stays in the block. */
#ifndef NADB_FS_CURSOR_H
#define NADB_FS_CURSOR_H

#include "base.h"

typedef struct fs_cursor {
    fs_version *v;
    const fs_run *run;
    nadb_slice lo, hi; /* lo <= key < hi; hi.p may be NULL */
    bool reverse;
    bool private;

    bool valid;
    nadb_buf key;
    fs_entry e;
    uint64_t off; /* of the block in the file */

    size_t table;   /* in the run */
    fs_sst *s;      /* that table, NULL outside the run */
    bool hi_first;  /* the range ends before the table does */
    bool check_end; /* its keys may go past the limit .. */
    bool check_key; /* .. and those of the block do */
    fs_block block;
    unsigned no; /* of the block */
    unsigned i;  /* of the entry */

    nadb_file *file; /* of `private`, when the table itself is mapped */
    fs_sst *file_of;
    nadb_buf chunk;
    uint64_t chunk_off;
    const fs_sst *chunk_of;
    size_t ahead; /* size of the next chunk */
} fs_cursor;

/* Borrows lo and hi. `c` is overwritten. */
void fs_cursor_init(fs_cursor *c, fs_version *v, const fs_run *run,
                    const nadb_range *range, bool private);
void fs_cursor_clear(fs_cursor *c);
/* To the first entry of the range, in its direction. */
nadb_rc fs_cursor_start(fs_cursor *c, nadb_err *err) NADB_MUST_USE;
/* Forward: the first >= key; reverse: the last <= key; in the range. */
nadb_rc fs_cursor_seek(fs_cursor *c, nadb_slice key,
                       nadb_err *err) NADB_MUST_USE;
nadb_rc fs_cursor_next(fs_cursor *c, nadb_err *err) NADB_MUST_USE;

static inline const fs_meta *fs_cursor_meta(const fs_cursor *c) {
    return &c->v->m.tables[c->run->first + c->table];
}

#endif
