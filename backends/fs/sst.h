/* sst.h - reads one table (docs/format.md, "Tables").
 *
 * Nothing of a table is used before its checksum was right: footer and
 * properties when it is opened; offsets, index, pages of the hash and blocks
 * when they are first touched, which a bit each remembers. Without a mapping
 * there is nothing to remember: what is read is checked each time, and
 * offsets and index are kept in memory.
 *
 * Thread-safe but for open and close: the bits are the only thing that
 * changes, and setting one twice does no harm. */
#ifndef NADB_FS_SST_H
#define NADB_FS_SST_H

#include "props.h"

typedef struct fs_sst {
    const nadb_os *os;
    char *path;
    nadb_file *file;    /* NULL when mapped */
    const uint8_t *map; /* NULL when not */
    uint64_t number;
    uint64_t size;
    nadb_buf own;           /* not mapped: properties, offsets and index */
    const uint8_t *offsets; /* u32 each */
    const uint8_t *index;   /* u64 prefixes, u32 places, separators */
    fs_props props;
    size_t skip;            /* bytes that all keys have in common */
    _Atomic uint8_t *known; /* bits: 0 offsets, 1 index, pages, blocks */
} fs_sst;

/* `size` is what MANIFEST says. */
nadb_rc fs_sst_open(nadb_home *home, uint64_t number, uint64_t size, bool mmap,
                    fs_sst **out, nadb_err *err) NADB_MUST_USE;
void fs_sst_close(fs_sst *s);

/* The key's entry, which points into the mapping or into *scratch.
 * *at: its offset in the file. */
nadb_rc fs_sst_get(fs_sst *s, nadb_slice key, uint64_t hash, nadb_buf *scratch,
                   fs_entry *out, uint64_t *at, bool *found,
                   nadb_err *err) NADB_MUST_USE;
/* Whether the table may have the key; false is certain. */
nadb_rc fs_sst_maybe(fs_sst *s, uint64_t hash, bool *maybe,
                     nadb_err *err) NADB_MUST_USE;
/* Brings the cache line that fs_sst_get() begins with. */
static inline void fs_sst_prefetch(const fs_sst *s, uint64_t hash);

/* The last block whose keys may be <= key; 0 when none is. */
nadb_rc fs_sst_find(fs_sst *s, nadb_slice key, unsigned *block,
                    nadb_err *err) NADB_MUST_USE;
/* Block `no` begins at or after this key, of which the first s->skip bytes,
 * common to all keys, are left out. The index is known to be right. */
nadb_slice fs_sst_separator(const fs_sst *s, size_t no);
/* Where block `no` lies, tail included. */
nadb_rc fs_sst_extent(fs_sst *s, unsigned no, uint64_t *off, size_t *n,
                      nadb_err *err) NADB_MUST_USE;
/* Checks and opens the block at `p`, which is `n` bytes from file offset
 * `off`. */
nadb_rc fs_sst_parse(const fs_sst *s, const uint8_t *p, uint64_t off, size_t n,
                     fs_block *out, nadb_err *err) NADB_MUST_USE;
/* A block in the mapping, or read into *buf. */
nadb_rc fs_sst_block(fs_sst *s, unsigned no, nadb_buf *buf, fs_block *out,
                     uint64_t *off, nadb_err *err) NADB_MUST_USE;
/* "NNNNNN.sst: <what> at byte .." */
nadb_rc fs_sst_corrupt(const fs_sst *s, const char *what, uint64_t at,
                       nadb_err *err);

#include "hash.h"

static inline void fs_sst_prefetch(const fs_sst *s, uint64_t hash) {
    if (s->map != NULL)
        __builtin_prefetch(s->map + s->props.hash +
                           FS_BUCKET * fs_hash_home(hash, s->props.n_buckets));
}

#endif
