/* block.c - reading a block in place (see format.h).
 *
 *     +-------+--------+------------------+--------+---------+ - - +
 *     | count | prefix | offset of each   | prefix | entries | tail|
 *     |  u16  | len u16| entry, u16 each  |        |         |     |
 *     +-------+--------+------------------+--------+---------+ - - +
 *
 * All keys of a block begin with its prefix, which is stored once. Since every
 * entry has an offset, a search halves the block and an iterator walks it in
 * both directions without decoding what lies between. */
#include "format.h"

bool fs_block_init(fs_block *b, const uint8_t *p, size_t n) {
    size_t count, prefix;

    if (n < FS_BLOCK_HEAD) return false;
    count = nadb_get_u16(p);
    prefix = nadb_get_u16(p + 2);
    if (count == 0 || FS_BLOCK_HEAD + 2 * count + prefix > n) return false;
    b->p = p;
    b->n = n;
    b->count = (unsigned)count;
    b->prefix = nadb_slice_of(p + FS_BLOCK_HEAD + 2 * count, prefix);
    return true;
}

static const uint8_t *varint_slow(const uint8_t *p, const uint8_t *end,
                                  uint64_t *out) {
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t c = *p++;

        if (shift == 63 && c > 1) return NULL;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *out = v;
            return p;
        }
    }
    return NULL;
}

/* A varint between p and end; NULL when it does not fit. Nearly all of them
 * are one byte. */
static inline const uint8_t *varint(const uint8_t *p, const uint8_t *end,
                                    uint64_t *out) {
    if (p < end && *p < 0x80) {
        *out = *p;
        return p + 1;
    }
    return varint_slow(p, end, out);
}

bool fs_block_entry(const fs_block *b, unsigned i, fs_entry *e) {
    uint32_t at = nadb_get_u16(b->p + FS_BLOCK_HEAD + 2 * i);
    const uint8_t *end = b->p + b->n;
    const uint8_t *p;
    uint64_t suffix, tag, value;

    /* Entries lie behind the prefix. */
    if (b->p + at < b->prefix.p + b->prefix.n || at >= b->n) return false;
    p = varint(b->p + at, end, &suffix);
    if (p == NULL) return false;
    p = varint(p, end, &tag);
    if (p == NULL) return false;
    p = varint(p, end, &value);
    if (p == NULL || suffix > (uint64_t)(end - p) ||
        value > (uint64_t)(end - p) - suffix)
        return false;
    e->suffix = nadb_slice_of(p, (size_t)suffix);
    e->value = nadb_slice_of(p + suffix, (size_t)value);
    e->seq = tag >> 2;
    e->kind = (unsigned)(tag & 3);
    e->at = at;
    return e->kind <= FS_REF;
}

bool fs_block_seek(const fs_block *b, nadb_slice key, unsigned *i,
                   bool *equal) {
    size_t common = fs_common(key, b->prefix);
    unsigned lo = 0, hi = b->count;

    *equal = false;
    *i = 0;
    if (common < b->prefix.n) {
        /* All keys are on one side of it. */
        if (common < key.n && key.p[common] > b->prefix.p[common])
            *i = b->count;
        return true;
    }
    key = fs_skip(key, common);
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        fs_entry e;
        int c;

        if (!fs_block_entry(b, mid, &e)) return false;
        c = nadb_slice_cmp(e.suffix, key);
        if (c == 0) {
            *equal = true;
            *i = mid;
            return true;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *i = lo;
    return true;
}

uint32_t fs_block_crc(uint64_t file, uint64_t off, const uint8_t *p, size_t n) {
    uint8_t place[16];

    nadb_put_u64(place, file);
    nadb_put_u64(place + 8, off);
    return nadb_crc32c(nadb_crc32c(0, place, sizeof place), p, n);
}

bool fs_ref_decode(nadb_slice s, fs_ref *out) {
    nadb_reader r = nadb_reader_of(s);

    out->file = nadb_read_varint(&r);
    out->off = nadb_read_varint(&r);
    out->n = nadb_read_varint(&r);
    out->crc = nadb_read_u32(&r);
    return !r.bad && nadb_reader_left(&r) == 0;
}

uint8_t *fs_ref_put(uint8_t *p, const fs_ref *r) {
    p = nadb_put_varint(p, r->file);
    p = nadb_put_varint(p, r->off);
    p = nadb_put_varint(p, r->n);
    nadb_put_u32(p, r->crc);
    return p + 4;
}
