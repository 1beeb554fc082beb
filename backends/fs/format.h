/* format.h - numbers and structures that writer and reader of a file share.
 * docs/format.md describes the bytes ("Tables", "Large values"); this header is
 * their only definition in code.
 *
 * The functions decode memory with any content and never read outside the given
 * bytes. */
#ifndef NADB_FS_FORMAT_H
#define NADB_FS_FORMAT_H

#include "../../core/util/bytes.h"
#include "../../core/util/coding.h"
#include "../../core/util/crc32c.h"
#include "../../core/util/home.h"

enum {
    FS_FORMAT = 2,          /* version of tables and values */
    FS_MANIFEST_FORMAT = 3, /* of MANIFEST; version 2 had no totals */
    FS_BLOCK_TARGET = 4096, /* bytes of entries in a block */
    /* maximum of entries in a block, because a slot has one byte */
    FS_BLOCK_ENTRIES = 255,
    /* maximum of blocks, because a block number has two bytes */
    FS_TABLE_BLOCKS = 65535,
    FS_TABLE_ENTRIES = 1 << 19,
    FS_KEY_MAX = 1 << 20, /* a longer key is damage */
    FS_BLOCK_HEAD = 4,    /* count u16, prefix length u16 */
    FS_BLOCK_TAIL = 5,    /* codec u8, crc u32 */
    FS_PAGE = 4096,       /* unit of checksums in the hash section */
    FS_BUCKET = 64,       /* bytes of a bucket: one cache line */
    FS_BUCKET_SLOTS = 12,
    FS_FOOTER = 64,
    FS_VAL_THRESHOLD = 32 << 10, /* larger values go to a .val file */
    FS_VAL_HEAD = 48,
    /* smallest value in a .val file: it contains a page boundary, whose page
     * has no other (vals.h) */
    FS_VAL_MIN = FS_PAGE
};

/* The largest value; SQLite's own limit is lower. */
#define FS_VALUE_MAX ((uint64_t)0xffffffff)

#define FS_TABLE_MAGIC "nadbSST\n"
#define FS_VAL_MAGIC "nadbVAL\n"
#define FS_MANIFEST_MAGIC "nadbMAN\n"

/* Kind of an entry: the two low bits beside its sequence number. */
enum { FS_VALUE = 0, FS_TOMBSTONE = 1, FS_REF = 2 };

/* An entry as it is in a block. */
typedef struct fs_entry {
    nadb_slice suffix; /* the key without the block's prefix */
    nadb_slice value;  /* FS_REF: a fs_ref, encoded */
    uint64_t seq;
    unsigned kind;
    uint32_t at; /* offset in the block */
} fs_entry;

/* Where a large value is. */
typedef struct fs_ref {
    uint64_t file;
    uint64_t off;
    uint64_t n;
    uint32_t crc;
} fs_ref;

/* A block without its tail; all access is bounded. */
typedef struct fs_block {
    const uint8_t *p;
    size_t n;
    unsigned count;
    nadb_slice prefix;
} fs_block;

/* False if the head does not fit. */
bool fs_block_init(fs_block *b, const uint8_t *p, size_t n);
/* Entry `i` < count; false if its bytes do not fit. */
bool fs_block_entry(const fs_block *b, unsigned i, fs_entry *e);
/* The first entry whose key is >= `key` (count if there is none); *equal: the
 * keys are equal. False on damage. */
bool fs_block_seek(const fs_block *b, nadb_slice key, unsigned *i, bool *equal);

/* The checksum of a block. It includes the block's place, so that a block that
 * was written elsewhere is not accepted. `n` is without the crc itself. */
uint32_t fs_block_crc(uint64_t file, uint64_t off, const uint8_t *p, size_t n);

bool fs_ref_decode(nadb_slice s, fs_ref *out);
/* At most 4 * NADB_VARINT_MAX bytes; returns the place after them. */
uint8_t *fs_ref_put(uint8_t *p, const fs_ref *r);

static inline size_t fs_common(nadb_slice a, nadb_slice b) {
    size_t n = a.n < b.n ? a.n : b.n;
    size_t i = 0;

    while (i < n && a.p[i] == b.p[i]) i++;
    return i;
}

static inline nadb_slice fs_skip(nadb_slice s, size_t n) {
    return n == 0 ? s : nadb_slice_of(s.p + n, s.n - n);
}

/* Copies to `to`, which has room; returns the place behind it. An empty slice
 * may have no address. */
static inline uint8_t *fs_copy(uint8_t *to, nadb_slice s) {
    if (s.n > 0) memcpy(to, s.p, s.n);
    return to + s.n;
}

#endif
