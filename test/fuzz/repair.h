/* repair.h - puts right the checksums of hostile files, where their bytes lead
 * to what is summed, so that what lies behind a checksum is reached. */
#ifndef NADB_FUZZ_REPAIR_H
#define NADB_FUZZ_REPAIR_H

#include "../../backends/fs/format.h"
#include "../../backends/fs/props.h"
#include "../../core/engine/control.h"
#include "../../core/engine/wal.h"
#include "../../core/util/crc32c.h"

/* --- logs --- */

/* The header's checksum, and place and checksum of each record whose length
 * leads to another. */
static inline void repair_log(uint8_t *p, size_t n, uint64_t number) {
    uint8_t salt[8];
    uint64_t off = WAL_HEADER;

    if (n < WAL_HEADER) return;
    nadb_put_u64(p + 24, number);
    nadb_put_u32(p + 92, nadb_crc32c(0, p, 92));
    memcpy(salt, p + 16, 8);
    while (off + WAL_RECORD <= n) {
        uint64_t len = nadb_get_u64(p + off + 24);
        uint32_t crc;

        if (len < WAL_RECORD || len > n - off) return;
        nadb_put_u64(p + off + 8, off);
        crc = nadb_crc32c(0, salt, 8);
        crc = nadb_crc32c(crc, p + off + WAL_RECORD, (size_t)len - WAL_RECORD);
        crc = nadb_crc32c(crc, p + off + 8, WAL_RECORD - 8);
        nadb_put_u32(p + off, crc);
        off += len / 8 * 8;
    }
}

/* --- control and index --- */

static inline void repair_seal(control_map *m) {
    const uint8_t *bytes = (const uint8_t *)m;
    size_t from = offsetof(control_map, pad0);
    size_t mid = offsetof(control_map, seal);
    size_t behind = offsetof(control_map, seal_index);
    uint32_t crc = nadb_crc32c(0, bytes + from, mid - from);

    crc =
        nadb_crc32c(crc, bytes + behind, offsetof(control_map, slots) - behind);
    m->seal = crc == 0 ? 1 : crc;
}

/* The control that belongs to an index with these bytes. */
static inline void repair_index_seal(control_map *m, const uint8_t *index,
                                     size_t n) {
    uint64_t alloc = nadb_get_u64(index + 72); /* docs/format.md */
    uint64_t nodes = (312 + (uint64_t)nadb_get_u32(index + 12) * 4 + 7) / 8 * 8;

    if (alloc == nodes) alloc = 312;
    if (alloc > n) alloc = n;
    m->seal_index = nadb_crc32c(0, index, (size_t)alloc);
    repair_seal(m);
}

/* --- tables, values, MANIFEST --- */

typedef struct repair_file {
    uint8_t *p;
    size_t n;
    uint64_t number;
} repair_file;

/* [off, off + n) of the file, or NULL. */
static inline uint8_t *repair_part(const repair_file *f, uint64_t off,
                                   uint64_t n) {
    return off <= f->n && n <= f->n - off ? f->p + off : NULL;
}

static inline void repair_crc(const repair_file *f, uint8_t *crc, uint64_t off,
                              uint64_t n) {
    const uint8_t *p = repair_part(f, off, n);

    if (p != NULL) nadb_put_u32(crc, nadb_crc32c(0, p, (size_t)n));
}

static inline void repair_blocks(const repair_file *f, const fs_props *p) {
    uint64_t most = f->n / 4;
    const uint8_t *offsets =
        p->n_blocks < most ? repair_part(f, p->offsets, 4 * (p->n_blocks + 1))
                           : NULL;

    for (uint64_t i = 0; offsets != NULL && i < p->n_blocks; i++) {
        uint64_t off = nadb_get_u32(offsets + 4 * i);
        uint64_t end = nadb_get_u32(offsets + 4 * i + 4);
        uint8_t *b = end >= off + 9 ? repair_part(f, off, end - off) : NULL;

        if (b == NULL) continue;
        b[end - off - 5] = 0;
        nadb_put_u32(b + (end - off - 4),
                     fs_block_crc(f->number, off, b, (size_t)(end - off - 4)));
    }
}

static inline void repair_props(const repair_file *f, uint8_t *props,
                                size_t n) {
    nadb_reader r = nadb_reader_of(nadb_slice_of(props, n));
    fs_props p;

    if (!fs_props_decode(nadb_slice_of(props, n), &p)) return;
    repair_blocks(f, &p);
    for (uint64_t at = 0; at < p.pages.n / 4; at++) {
        uint64_t off = p.hash + at * FS_PAGE;
        uint64_t len = p.end - off < FS_PAGE ? p.end - off : FS_PAGE;

        repair_crc(f, props + (p.pages.p - props) + 4 * at, off, len);
    }
    while (nadb_reader_left(&r) > 0) {
        uint64_t tag = nadb_read_varint(&r);
        nadb_slice s = nadb_read_blob(&r);

        if (tag != FS_PROP_LAYOUT || s.n < 8) continue;
        repair_crc(f, props + (s.p - props) + s.n - 8, p.offsets,
                   p.index - p.offsets);
        repair_crc(f, props + (s.p - props) + s.n - 4, p.index,
                   p.hash - p.index);
    }
}

/* `id`: the store's. */
static inline void repair_table(uint8_t *p, size_t n, uint64_t number,
                                const uint8_t *id) {
    repair_file file = {p, n, number};
    uint8_t *footer = n < FS_FOOTER ? NULL : p + (n - FS_FOOTER);
    fs_footer f;
    uint8_t *props;

    if (footer == NULL) return;
    memset(&f, 0, sizeof f);
    f.props = nadb_get_u64(footer);
    f.format = FS_FORMAT;
    f.number = number;
    memcpy(f.store_id, id, sizeof f.store_id);
    if (f.props > n - FS_FOOTER) return;
    f.props_n = n - FS_FOOTER - f.props;
    props = repair_part(&file, f.props, f.props_n);
    if (props == NULL) return;
    repair_props(&file, props, (size_t)f.props_n);
    f.props_crc = nadb_crc32c(0, props, (size_t)f.props_n);
    fs_footer_put(footer, &f);
}

static inline void repair_val(uint8_t *p, size_t n) {
    if (n >= 48) nadb_put_u32(p + 44, nadb_crc32c(0, p, 44));
}

static inline void repair_manifest(uint8_t *p, size_t n) {
    if (n >= 16)
        nadb_put_u32(p + 12,
                     nadb_crc32c(nadb_crc32c(0, p, 12), p + 16, n - 16));
}

#endif
