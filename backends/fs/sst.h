/* sst.h - reads one table (docs/format.md, "Tables").
 *
 * Nothing is used before its checksum was verified: footer and properties at
 * opening; offsets, index, pages of the hash and blocks when they are first
 * touched, which one bit each remembers. Without a mapping what is read is
 * verified each time, and offsets and index are kept in memory.
 *
 * Thread-safe except open and close: only the bits change, and setting a bit
 * twice is harmless. */
#ifndef NADB_FS_SST_H
#define NADB_FS_SST_H

#include "props.h"

typedef struct fs_sst {
    const nadb_os *os;
    char *path;
    nadb_file *file;    /* NULL when mapped */
    const uint8_t *map; /* NULL: not mapped */
    uint64_t number;
    uint64_t size;
    nadb_buf own;           /* not mapped: properties, offsets and index */
    const uint8_t *offsets; /* u32 each */
    const uint8_t *index;   /* u64 prefixes, u32 places, separators */
    fs_props props;
    size_t skip;            /* length of the prefix of all keys */
    _Atomic uint8_t *known; /* one bit each: offsets, index, pages, blocks */
} fs_sst;

/* `size`: from MANIFEST. */
nadb_rc fs_sst_open(nadb_home *home, uint64_t number, uint64_t size, bool mmap,
                    fs_sst **out, nadb_err *err) NADB_MUST_USE;
void fs_sst_close(fs_sst *s);

/* The key's entry, in the mapping or in *scratch. *at: its offset in the
 * file. */
nadb_rc fs_sst_get(fs_sst *s, nadb_slice key, uint64_t hash, nadb_buf *scratch,
                   fs_entry *out, uint64_t *at, bool *found,
                   nadb_err *err) NADB_MUST_USE;
/* *maybe is false if the table certainly lacks the key. */
nadb_rc fs_sst_maybe(fs_sst *s, uint64_t hash, bool *maybe,
                     nadb_err *err) NADB_MUST_USE;
/* Prefetches the cache line that fs_sst_get() reads first. */
static inline void fs_sst_prefetch(const fs_sst *s, uint64_t hash);

/* The last block whose keys may be <= key; 0 if there is none. */
nadb_rc fs_sst_find(fs_sst *s, nadb_slice key, unsigned *block,
                    nadb_err *err) NADB_MUST_USE;
/* The keys of block `no` are at or after this one, which is without the first
 * s->skip bytes. REQUIRES: the index was verified. */
nadb_slice fs_sst_separator(const fs_sst *s, size_t no);
/* Place of block `no`, with its tail. */
nadb_rc fs_sst_extent(fs_sst *s, unsigned no, uint64_t *off, size_t *n,
                      nadb_err *err) NADB_MUST_USE;
/* Verifies and opens the block at `p`: `n` bytes from file offset `off`. */
nadb_rc fs_sst_parse(const fs_sst *s, const uint8_t *p, uint64_t off, size_t n,
                     fs_block *out, nadb_err *err) NADB_MUST_USE;
/* A block in the mapping, or read into *buf. */
nadb_rc fs_sst_block(fs_sst *s, unsigned no, nadb_buf *buf, fs_block *out,
                     uint64_t *off, nadb_err *err) NADB_MUST_USE;
/* Fails with NADB_CORRUPT: "NNNNNN.sst: <what> at byte ..". */
nadb_rc fs_sst_corrupt(const fs_sst *s, const char *what, uint64_t at,
                       nadb_err *err);

#include "hash.h"

static inline void fs_sst_prefetch(const fs_sst *s, uint64_t hash) {
    if (s->map != NULL)
        __builtin_prefetch(s->map + s->props.hash +
                           FS_BUCKET * fs_hash_home(hash, s->props.n_buckets));
}

#endif
