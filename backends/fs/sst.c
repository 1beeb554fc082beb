/* sst.c - reads one table (sst.h). */
#include "sst.h"

#include <stdatomic.h>

#include "sst_write.h"

nadb_rc fs_sst_corrupt(const fs_sst *s, const char *what, uint64_t at,
                       nadb_err *err) {
    return nadb_corrupt(err, "%s: %s at byte %llu", s->path, what,
                        (unsigned long long)at);
}

/* --- what has been verified --- */

enum { KNOWN_OFFSETS, KNOWN_INDEX, KNOWN_PAGES };

static bool known(const fs_sst *s, uint64_t bit) {
    return atomic_load_explicit(&s->known[bit / 8], memory_order_relaxed) >>
               (bit % 8) &
           1;
}

static void set_known(const fs_sst *s, uint64_t bit) {
    atomic_fetch_or_explicit(&s->known[bit / 8], (uint8_t)(1u << (bit % 8)),
                             memory_order_relaxed);
}

static nadb_rc check_section(const fs_sst *s, uint64_t bit, const uint8_t *p,
                             size_t n, uint32_t crc, uint64_t at,
                             nadb_err *err) {
    if (s->map != NULL && known(s, bit)) return NADB_OK;
    if (nadb_crc32c(0, p, n) != crc)
        return fs_sst_corrupt(s, "wrong checksum", at, err);
    if (s->map != NULL) set_known(s, bit);
    return NADB_OK;
}

/* --- opening --- */

/* Reads the table's tail, from the properties on, into memory. */
static nadb_rc read_tail(fs_sst *s, nadb_home *home, nadb_slice *props,
                         nadb_err *err) {
    uint8_t copy[FS_FOOTER];
    const uint8_t *footer = copy;
    fs_footer f;
    nadb_rc rc;

    if (s->size < FS_FOOTER)
        return fs_sst_corrupt(s, "too short", s->size, err);
    if (s->map != NULL) {
        footer = s->map + s->size - FS_FOOTER;
    } else {
        rc = s->os->pread(s->file, copy, FS_FOOTER, s->size - FS_FOOTER, err);
        if (rc != NADB_OK) return rc;
    }
    if (!fs_footer_decode(footer, &f) || f.number != s->number)
        return fs_sst_corrupt(s, "bad footer", s->size - FS_FOOTER, err);
    if (f.format != FS_FORMAT) return fs_file_format(s->path, f.format, err);
    rc = nadb_home_check(home, f.store_id, s->path, err);
    if (rc != NADB_OK) return rc;
    if (f.props > s->size - FS_FOOTER ||
        f.props_n != s->size - FS_FOOTER - f.props)
        return fs_sst_corrupt(s, "bad footer", s->size - FS_FOOTER, err);
    if (s->map != NULL) {
        *props = nadb_slice_of(s->map + f.props, (size_t)f.props_n);
    } else {
        if (!nadb_buf_reserve(&s->own, (size_t)f.props_n))
            return nadb_fail(err, NADB_NOMEM, "opening %s", s->path);
        rc = s->os->pread(s->file, s->own.p, (size_t)f.props_n, f.props, err);
        if (rc != NADB_OK) return rc;
        s->own.n = (size_t)f.props_n;
        *props = nadb_buf_slice(&s->own);
    }
    if (nadb_crc32c(0, props->p, props->n) != f.props_crc)
        return fs_sst_corrupt(s, "wrong checksum", f.props, err);
    if (!fs_props_decode(*props, &s->props) || s->props.end != f.props)
        return fs_sst_corrupt(s, "bad properties", f.props, err);
    return NADB_OK;
}

/* Without a mapping, offsets and index are in memory behind the properties.
 * Growing the buffer may move the properties, so they are decoded again. */
static nadb_rc read_sections(fs_sst *s, nadb_err *err) {
    size_t props_n = s->own.n;
    size_t n = (size_t)(s->props.hash - s->props.offsets);
    nadb_rc rc;

    if (!nadb_buf_reserve(&s->own, n))
        return nadb_fail(err, NADB_NOMEM, "opening %s", s->path);
    if (!fs_props_decode(nadb_buf_slice(&s->own), &s->props))
        return fs_sst_corrupt(s, "bad properties", s->props.end, err);
    rc = s->os->pread(s->file, s->own.p + props_n, n, s->props.offsets, err);
    if (rc != NADB_OK) return rc;
    s->own.n += n;
    s->offsets = s->own.p + props_n;
    s->index = s->offsets + (s->props.index - s->props.offsets);
    rc = check_section(s, KNOWN_OFFSETS, s->offsets,
                       (size_t)(s->index - s->offsets), s->props.offsets_crc,
                       s->props.offsets, err);
    if (rc != NADB_OK) return rc;
    return check_section(s, KNOWN_INDEX, s->index,
                         (size_t)(s->props.hash - s->props.index),
                         s->props.index_crc, s->props.index, err);
}

static nadb_rc open_bytes(fs_sst *s, nadb_home *home, bool mmap,
                          nadb_err *err) {
    nadb_slice props;
    uint64_t bits;
    void *map;
    nadb_rc rc =
        fs_file_open(home, s->number, "sst", s->path, s->size, &s->file, err);

    if (rc != NADB_OK) return rc;
    if (mmap && s->size > 0) {
        rc = s->os->map(s->file, s->size, false, &map, err);
        if (rc != NADB_OK) return rc;
        s->map = map;
        /* a mapping stays without it, and descriptors are scarce */
        s->os->close(s->file);
        s->file = NULL;
    }
    rc = read_tail(s, home, &props, err);
    if (rc != NADB_OK) return rc;
    if (s->map != NULL) {
        s->offsets = s->map + s->props.offsets;
        s->index = s->map + s->props.index;
    } else {
        rc = read_sections(s, err);
        if (rc != NADB_OK) return rc;
    }
    s->skip = fs_common(s->props.lo, s->props.hi);
    bits = KNOWN_PAGES + fs_props_pages(s->props.n_buckets) + s->props.n_blocks;
    s->known = nadb_calloc((size_t)(bits / 8 + 1), 1);
    if (s->known == NULL)
        return nadb_fail(err, NADB_NOMEM, "opening %s", s->path);
    return NADB_OK;
}

nadb_rc fs_sst_open(nadb_home *home, uint64_t number, uint64_t size, bool mmap,
                    fs_sst **out, nadb_err *err) {
    fs_sst *s = nadb_calloc(1, sizeof *s);
    nadb_rc rc;

    *out = NULL;
    if (s != NULL) {
        s->os = home->os;
        s->number = number;
        s->size = size;
        s->path = fs_file_path(home, number, "sst");
    }
    if (s == NULL || s->path == NULL) {
        rc = nadb_fail(err, NADB_NOMEM, "opening a table in %s",
                       home->os->dir_path(home->dir));
        goto done;
    }
    rc = open_bytes(s, home, mmap, err);
    if (rc != NADB_OK) goto done;
    *out = s;
    s = NULL;
done:
    fs_sst_close(s);
    return rc;
}

void fs_sst_close(fs_sst *s) {
    if (s == NULL) return;
    if (s->map != NULL) s->os->unmap((void *)(uintptr_t)s->map, s->size);
    if (s->file != NULL) s->os->close(s->file);
    nadb_buf_clear(&s->own);
    nadb_free((void *)s->known);
    nadb_free(s->path);
    nadb_free(s);
}

/* --- blocks --- */

nadb_rc fs_sst_extent(fs_sst *s, unsigned no, uint64_t *off, size_t *n,
                      nadb_err *err) {
    uint64_t end;
    nadb_rc rc = s->map == NULL ? NADB_OK
                                : check_section(s, KNOWN_OFFSETS, s->offsets,
                                                (size_t)(s->index - s->offsets),
                                                s->props.offsets_crc,
                                                s->props.offsets, err);

    if (rc != NADB_OK) return rc;
    if (no >= s->props.n_blocks)
        return fs_sst_corrupt(s, "a block that does not exist",
                              s->props.offsets, err);
    *off = nadb_get_u32(s->offsets + 4 * (size_t)no);
    end = nadb_get_u32(s->offsets + 4 * (size_t)no + 4);
    if (*off > end || end > s->props.offsets ||
        end - *off < FS_BLOCK_HEAD + FS_BLOCK_TAIL)
        return fs_sst_corrupt(s, "bad offsets", s->props.offsets, err);
    *n = (size_t)(end - *off);
    return NADB_OK;
}

nadb_rc fs_sst_parse(const fs_sst *s, const uint8_t *p, uint64_t off, size_t n,
                     fs_block *out, nadb_err *err) {
    if (nadb_get_u32(p + n - 4) != fs_block_crc(s->number, off, p, n - 4))
        return fs_sst_corrupt(s, "wrong checksum of the block", off, err);
    if (p[n - FS_BLOCK_TAIL] != 0 || !fs_block_init(out, p, n - FS_BLOCK_TAIL))
        return fs_sst_corrupt(s, "bad block", off, err);
    return NADB_OK;
}

nadb_rc fs_sst_block(fs_sst *s, unsigned no, nadb_buf *buf, fs_block *out,
                     uint64_t *off, nadb_err *err) {
    uint64_t bit;
    size_t n;
    nadb_rc rc = fs_sst_extent(s, no, off, &n, err);

    if (rc != NADB_OK) return rc;
    if (s->map == NULL) {
        nadb_buf_reset(buf);
        if (!nadb_buf_reserve(buf, n))
            return nadb_fail(err, NADB_NOMEM, "reading %s", s->path);
        rc = s->os->pread(s->file, buf->p, n, *off, err);
        if (rc != NADB_OK) return rc;
        buf->n = n;
        return fs_sst_parse(s, buf->p, *off, n, out, err);
    }
    bit = KNOWN_PAGES + fs_props_pages(s->props.n_buckets) + no;
    if (known(s, bit)) {
        if (!fs_block_init(out, s->map + *off, n - FS_BLOCK_TAIL))
            return fs_sst_corrupt(s, "bad block", *off, err);
        return NADB_OK;
    }
    rc = fs_sst_parse(s, s->map + *off, *off, n, out, err);
    if (rc == NADB_OK) set_known(s, bit);
    return rc;
}

/* --- the hash --- */

/* Bucket `no`, in the mapping or read into `page`. */
static nadb_rc bucket(fs_sst *s, uint64_t no, uint8_t page[FS_PAGE],
                      const uint8_t **out, nadb_err *err) {
    uint64_t at = no * FS_BUCKET;
    uint64_t p = at / FS_PAGE;
    uint64_t off = s->props.hash + p * FS_PAGE;
    size_t n =
        s->props.end - off < FS_PAGE ? (size_t)(s->props.end - off) : FS_PAGE;
    const uint8_t *bytes = page;
    nadb_rc rc;

    if (s->map != NULL) {
        bytes = s->map + off;
    } else {
        rc = s->os->pread(s->file, page, n, off, err);
        if (rc != NADB_OK) return rc;
    }
    *out = bytes + at % FS_PAGE;
    return check_section(s, KNOWN_PAGES + p, bytes, n,
                         nadb_get_u32(s->props.pages.p + 4 * p), off, err);
}

static bool key_is(const fs_block *b, const fs_entry *e, nadb_slice key) {
    return key.n == b->prefix.n + e->suffix.n &&
           nadb_slice_eq(fs_skip(key, b->prefix.n), e->suffix) &&
           nadb_slice_starts(key, b->prefix);
}

static nadb_rc try_place(fs_sst *s, uint32_t place, nadb_slice key,
                         nadb_buf *scratch, fs_entry *out, uint64_t *at,
                         bool *found, nadb_err *err) {
    fs_block b;
    uint64_t off;
    nadb_rc rc = fs_sst_block(s, place >> 8, scratch, &b, &off, err);

    if (rc != NADB_OK) return rc;
    if ((place & 0xff) >= b.count || !fs_block_entry(&b, place & 0xff, out))
        return fs_sst_corrupt(s, "bad entry in the block", off, err);
    *found = key_is(&b, out, key);
    *at = off + out->at;
    return NADB_OK;
}

nadb_rc fs_sst_get(fs_sst *s, nadb_slice key, uint64_t hash, nadb_buf *scratch,
                   fs_entry *out, uint64_t *at, bool *found, nadb_err *err) {
    uint64_t n = s->props.n_buckets;
    uint64_t no = fs_hash_home(hash, n);
    uint8_t page[FS_PAGE];
    const uint8_t *b;
    nadb_rc rc;

    *found = false;
    for (uint64_t tries = 0; tries < n; tries++) {
        rc = bucket(s, no, page, &b, err);
        if (rc != NADB_OK) return rc;
        for (unsigned m = fs_bucket_match(b, hash); m != 0; m &= m - 1) {
            unsigned slot = (unsigned)__builtin_ctz(m);

            rc = try_place(s, fs_bucket_place(b, slot), key, scratch, out, at,
                           found, err);
            if (rc != NADB_OK || *found) return rc;
        }
        if (!fs_bucket_passed(b, hash)) return NADB_OK;
        no = no + 1 == n ? 0 : no + 1;
    }
    return NADB_OK;
}

nadb_rc fs_sst_maybe(fs_sst *s, uint64_t hash, bool *maybe, nadb_err *err) {
    uint64_t n = s->props.n_buckets;
    uint64_t no = fs_hash_home(hash, n);
    uint8_t page[FS_PAGE];
    const uint8_t *b;

    *maybe = false;
    for (uint64_t tries = 0; tries < n; tries++) {
        nadb_rc rc = bucket(s, no, page, &b, err);

        if (rc != NADB_OK) return rc;
        if (fs_bucket_match(b, hash) != 0) *maybe = true;
        if (*maybe || !fs_bucket_passed(b, hash)) return NADB_OK;
        no = no + 1 == n ? 0 : no + 1;
    }
    return NADB_OK;
}

/* --- the index --- */

/* Bounded by the section, whatever the places contain. */
nadb_slice fs_sst_separator(const fs_sst *s, size_t i) {
    size_t n = (size_t)s->props.n_blocks;
    const uint8_t *places = s->index + 8 * n;
    const uint8_t *bytes = places + 4 * (n + 1);
    size_t room = (size_t)(s->index + (s->props.hash - s->props.index) - bytes);
    size_t lo = nadb_get_u32(places + 4 * i);
    size_t hi = nadb_get_u32(places + 4 * i + 4);

    if (hi > room) hi = room;
    if (lo > hi) lo = hi;
    return nadb_slice_of(bytes + lo, hi - lo);
}

nadb_rc fs_sst_find(fs_sst *s, nadb_slice key, unsigned *block, nadb_err *err) {
    size_t lo = 0, hi = (size_t)s->props.n_blocks;
    uint64_t prefix;
    nadb_rc rc = s->map == NULL
                     ? NADB_OK
                     : check_section(s, KNOWN_INDEX, s->index,
                                     (size_t)(s->props.hash - s->props.index),
                                     s->props.index_crc, s->props.index, err);

    *block = 0;
    if (rc != NADB_OK) return rc;
    if (nadb_slice_cmp(key, s->props.lo) <= 0) return NADB_OK;
    if (nadb_slice_cmp(key, s->props.hi) >= 0) {
        *block = (unsigned)hi - 1;
        return NADB_OK;
    }
    /* `key` is between lo and hi, so it has their prefix */
    key = fs_skip(key, s->skip);
    prefix = nadb_slice_prefix8(key);
    while (hi - lo > 1) { /* invariant: separator lo <= key < separator hi */
        size_t mid = lo + (hi - lo) / 2;
        uint64_t p = nadb_get_u64(s->index + 8 * mid);

        if (p < prefix ||
            (p == prefix && nadb_slice_cmp(fs_sst_separator(s, mid), key) <= 0))
            lo = mid;
        else
            hi = mid;
    }
    *block = (unsigned)lo;
    return NADB_OK;
}
