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

/* A varint between p and end; NULL if it does not fit. */
static const uint8_t *varint_any(const uint8_t *p, const uint8_t *end,
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

typedef struct entry_head {
    uint64_t suffix, tag, value;
} entry_head;

/* The three varints before an entry's bytes; NULL if they do not fit. */
static const uint8_t *head_any(const uint8_t *p, const uint8_t *end,
                               entry_head *h) {
    p = varint_any(p, end, &h->suffix);
    if (p != NULL) p = varint_any(p, end, &h->tag);
    return p == NULL ? NULL : varint_any(p, end, &h->value);
}

/* As head_any(). Nearly always they have 1, up to 4 and 1 byte; then one word
 * is loaded and its groups of 7 bits are moved together. */
static inline const uint8_t *head(const uint8_t *p, const uint8_t *end,
                                  entry_head *h) {
    uint64_t word, stop;
    unsigned bits;

    if (end - p < 8) return head_any(p, end, h);
    word = nadb_get_u64(p);
    h->suffix = word & 0xff;
    word >>= 8;
    stop = ~word & 0x80808080;
    if (h->suffix >= 0x80 || stop == 0) return head_any(p, end, h);
    bits = (unsigned)__builtin_ctzll(stop) + 1;
    h->value = (word >> bits) & 0xff;
    if (h->value >= 0x80) return head_any(p, end, h);
    word &= (stop ^ (stop - 1)) & 0x7f7f7f7f;
    word = (word & 0x007f007f) | (word & 0x7f007f00) >> 1;
    h->tag = (word & 0x3fff) | (word & 0x3fff0000) >> 2;
    return p + 2 + bits / 8;
}

/* The suffix of the entry at that offset; NULL if it does not fit. */
static inline const uint8_t *entry_at(const fs_block *b, uint32_t at,
                                      entry_head *h) {
    const uint8_t *end = b->p + b->n;
    const uint8_t *p = b->p + at;

    /* It must be behind the prefix, so that prefix and suffix together fit into
     * the block; callers rely on that when they build keys. */
    if (p < b->prefix.p + b->prefix.n || p >= end) return NULL;
    p = head(p, end, h);
    if (p == NULL || h->suffix > (uint64_t)(end - p) ||
        h->value > (uint64_t)(end - p) - h->suffix)
        return NULL;
    return p;
}

static inline uint32_t offset(const fs_block *b, unsigned i) {
    return nadb_get_u16(b->p + FS_BLOCK_HEAD + 2 * i);
}

bool fs_block_entry(const fs_block *b, unsigned i, fs_entry *e) {
    entry_head h;
    const uint8_t *p;

    e->at = offset(b, i);
    p = entry_at(b, e->at, &h);
    if (p == NULL) return false;
    e->suffix = nadb_slice_of(p, (size_t)h.suffix);
    e->value = nadb_slice_of(p + h.suffix, (size_t)h.value);
    e->seq = h.tag >> 2;
    e->kind = (unsigned)(h.tag & 3);
    return e->kind <= FS_REF;
}

bool fs_block_seek(const fs_block *b, nadb_slice key, unsigned *i,
                   bool *equal) {
    size_t common = fs_common(key, b->prefix);
    unsigned lo = 0, hi = b->count;

    *equal = false;
    *i = 0;
    if (common < b->prefix.n) {
        /* All keys of the block are on one side of `key`. */
        if (common < key.n && key.p[common] > b->prefix.p[common])
            *i = b->count;
        return true;
    }
    key = fs_skip(key, common);
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        entry_head h;
        const uint8_t *p = entry_at(b, offset(b, mid), &h);
        int c;

        if (p == NULL) return false;
        c = nadb_slice_cmp(nadb_slice_of(p, (size_t)h.suffix), key);
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
