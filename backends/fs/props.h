/* props.h - properties and footer of a table.
 *
 * Properties are (tag varint, length varint, bytes), one after the other. A
 * reader skips unknown tags, so later versions can add filters and the like
 * without a new format. */
#ifndef NADB_FS_PROPS_H
#define NADB_FS_PROPS_H

#include "format.h"

enum {
    FS_PROP_NUMBERS = 1, /* varints: count, tombstones, min_seq, max_seq,
                            clear_seq */
    FS_PROP_LO = 2,      /* first key */
    FS_PROP_HI = 3,      /* last key */
    FS_PROP_LAYOUT = 4,  /* varints: n_blocks, offsets, index, hash, n_buckets,
                            end; then u32: crc of offsets, crc of index */
    FS_PROP_PAGES = 5    /* u32 each: crc of the pages of the hash section */
};

typedef struct fs_props {
    uint64_t count, tombstones, min_seq, max_seq, clear_seq;
    nadb_slice lo, hi;
    uint64_t n_blocks;
    uint64_t offsets, index, hash, n_buckets, end; /* offsets in the file */
    uint32_t offsets_crc, index_crc;
    nadb_slice pages;
} fs_props;

typedef struct fs_footer {
    uint64_t props, props_n;
    uint32_t props_crc;
    uint32_t format;
    uint64_t number;
    uint8_t store_id[NADB_STORE_ID];
} fs_footer;

/* false if out of memory */
bool fs_props_put(const fs_props *p, nadb_buf *out);
/* False on damage: something is missing, out of order or contradictory. */
bool fs_props_decode(nadb_slice bytes, fs_props *out);

void fs_footer_put(uint8_t p[FS_FOOTER], const fs_footer *f);
bool fs_footer_decode(const uint8_t p[FS_FOOTER], fs_footer *out);

static inline uint64_t fs_props_pages(uint64_t n_buckets) {
    return (n_buckets * FS_BUCKET + FS_PAGE - 1) / FS_PAGE;
}

#endif
