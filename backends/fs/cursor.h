/* cursor.h - walks over one run of a version in key order, in either direction.
 *
 * It reads blocks through the tables' mappings or (`private`, and always if
 * nothing is mapped) with pread into a buffer of its own, which grows from 32
 * to 256 KB during the walk. So a scan or compaction of any size leaves no
 * mapped pages in this process. The key is assembled in the cursor; the value
 * stays in the block. */
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
    uint64_t off; /* offset of the block in the file */

    size_t table;   /* index in the run */
    fs_sst *s;      /* the present table; NULL: outside the run */
    bool hi_first;  /* the range ends before the table does */
    bool check_end; /* the table may have keys behind the limit */
    bool check_key; /* .. and so may the block */
    fs_block block;
    unsigned no; /* number of the block */
    unsigned i;  /* index of the entry */

    nadb_file *file; /* for `private`, if the table itself is mapped */
    fs_sst *file_of;
    nadb_buf chunk;
    uint64_t chunk_off;
    const fs_sst *chunk_of;
    size_t ahead; /* size of the next chunk */
} fs_cursor;

/* Initialises `c`, whatever it contains. lo and hi are borrowed. */
void fs_cursor_init(fs_cursor *c, fs_version *v, const fs_run *run,
                    const nadb_range *range, bool private);
void fs_cursor_clear(fs_cursor *c);
/* Moves to the first entry of the range in its direction. */
nadb_rc fs_cursor_start(fs_cursor *c, nadb_err *err) NADB_MUST_USE;
/* Forward: the first >= key; reverse: the last <= key; in the range. */
nadb_rc fs_cursor_seek(fs_cursor *c, nadb_slice key,
                       nadb_err *err) NADB_MUST_USE;
nadb_rc fs_cursor_next(fs_cursor *c, nadb_err *err) NADB_MUST_USE;

static inline const fs_meta *fs_cursor_meta(const fs_cursor *c) {
    return &c->v->m.tables[c->run->first + c->table];
}

#endif
