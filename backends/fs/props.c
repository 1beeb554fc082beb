/* props.c - encodes and decodes properties and footer (props.h). */
#include "props.h"

static bool put_prop(nadb_buf *out, unsigned tag, nadb_slice bytes) {
    return nadb_buf_varint(out, tag) && nadb_buf_blob(out, bytes);
}

static bool put_varints(nadb_buf *b, const uint64_t *v, size_t n) {
    bool ok = true;

    for (size_t i = 0; i < n; i++) ok = ok && nadb_buf_varint(b, v[i]);
    return ok;
}

bool fs_props_put(const fs_props *p, nadb_buf *out) {
    const uint64_t numbers[] = {p->count, p->tombstones, p->min_seq, p->max_seq,
                                p->clear_seq};
    const uint64_t layout[] = {p->n_blocks, p->offsets,   p->index,
                               p->hash,     p->n_buckets, p->end};
    nadb_buf b = NADB_BUF_INIT;
    bool ok;

    ok = put_varints(&b, numbers, sizeof numbers / sizeof *numbers) &&
         put_prop(out, FS_PROP_NUMBERS, nadb_buf_slice(&b)) &&
         put_prop(out, FS_PROP_LO, p->lo) && put_prop(out, FS_PROP_HI, p->hi);
    nadb_buf_reset(&b);
    ok = ok && put_varints(&b, layout, sizeof layout / sizeof *layout) &&
         nadb_buf_u32(&b, p->offsets_crc) && nadb_buf_u32(&b, p->index_crc) &&
         put_prop(out, FS_PROP_LAYOUT, nadb_buf_slice(&b)) &&
         put_prop(out, FS_PROP_PAGES, p->pages);
    nadb_buf_clear(&b);
    return ok;
}

static bool read_numbers(nadb_slice s, fs_props *p) {
    nadb_reader r = nadb_reader_of(s);

    p->count = nadb_read_varint(&r);
    p->tombstones = nadb_read_varint(&r);
    p->min_seq = nadb_read_varint(&r);
    p->max_seq = nadb_read_varint(&r);
    p->clear_seq = nadb_read_varint(&r);
    return !r.bad && p->tombstones <= p->count;
}

/* Checks that sections follow each other without overlap and are as long as
 * their counts say. So readers only need to check indexes. */
static bool read_layout(nadb_slice s, fs_props *p) {
    nadb_reader r = nadb_reader_of(s);

    p->n_blocks = nadb_read_varint(&r);
    p->offsets = nadb_read_varint(&r);
    p->index = nadb_read_varint(&r);
    p->hash = nadb_read_varint(&r);
    p->n_buckets = nadb_read_varint(&r);
    p->end = nadb_read_varint(&r);
    p->offsets_crc = nadb_read_u32(&r);
    p->index_crc = nadb_read_u32(&r);
    return !r.bad && p->n_blocks > 0 && p->n_blocks <= FS_TABLE_BLOCKS &&
           p->n_buckets > 0 && p->n_buckets <= UINT32_MAX &&
           p->end <= UINT32_MAX && p->hash <= p->end && p->index <= p->hash &&
           p->offsets <= p->index && p->hash % FS_BUCKET == 0 &&
           p->index - p->offsets == 4 * (p->n_blocks + 1) &&
           p->hash - p->index >= 12 * p->n_blocks + 4 &&
           p->end - p->hash == p->n_buckets * FS_BUCKET;
}

bool fs_props_decode(nadb_slice bytes, fs_props *out) {
    nadb_reader r = nadb_reader_of(bytes);
    unsigned seen = 0;
    bool ok = true;

    memset(out, 0, sizeof *out);
    while (ok && nadb_reader_left(&r) > 0) {
        uint64_t tag = nadb_read_varint(&r);
        nadb_slice s = nadb_read_blob(&r);

        if (tag >= FS_PROP_NUMBERS && tag <= FS_PROP_PAGES) {
            if (seen >> tag & 1) return false;
            seen |= 1u << tag;
        }
        switch (tag) {
        case FS_PROP_NUMBERS:
            ok = read_numbers(s, out);
            break;
        case FS_PROP_LO:
            out->lo = s;
            break;
        case FS_PROP_HI:
            out->hi = s;
            break;
        case FS_PROP_LAYOUT:
            ok = read_layout(s, out);
            break;
        case FS_PROP_PAGES:
            out->pages = s;
            break;
        default:
            break;
        }
    }
    return ok && !r.bad && seen == 0x3e &&
           out->pages.n == 4 * fs_props_pages(out->n_buckets) &&
           out->hi.n <= FS_KEY_MAX && nadb_slice_cmp(out->lo, out->hi) <= 0;
}

/* props u64 | props_n u64 | props_crc u32 | format u32 | number u64 |
 * zero u32 | crc of all before u32 | magic 8 */
void fs_footer_put(uint8_t p[FS_FOOTER], const fs_footer *f) {
    nadb_put_u64(p, f->props);
    nadb_put_u64(p + 8, f->props_n);
    nadb_put_u32(p + 16, f->props_crc);
    nadb_put_u32(p + 20, f->format);
    nadb_put_u64(p + 24, f->number);
    memcpy(p + 32, f->store_id, NADB_STORE_ID);
    nadb_put_u32(p + 48, 0);
    nadb_put_u32(p + 52, nadb_crc32c(0, p, 52));
    memcpy(p + 56, FS_TABLE_MAGIC, 8);
}

bool fs_footer_decode(const uint8_t p[FS_FOOTER], fs_footer *out) {
    out->props = nadb_get_u64(p);
    out->props_n = nadb_get_u64(p + 8);
    out->props_crc = nadb_get_u32(p + 16);
    out->format = nadb_get_u32(p + 20);
    out->number = nadb_get_u64(p + 24);
    memcpy(out->store_id, p + 32, NADB_STORE_ID);
    return memcmp(p + 56, FS_TABLE_MAGIC, 8) == 0 &&
           nadb_get_u32(p + 52) == nadb_crc32c(0, p, 52);
}
