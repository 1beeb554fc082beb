/* coding.c - varints, buffer appends and the bounded reader (see coding.h). */
#include "coding.h"

uint8_t *nadb_put_varint(uint8_t *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

bool nadb_buf_u32(nadb_buf *b, uint32_t v) {
    if (!nadb_buf_reserve(b, 4)) return false;
    nadb_put_u32(b->p + b->n, v);
    b->n += 4;
    return true;
}

bool nadb_buf_varint(nadb_buf *b, uint64_t v) {
    if (!nadb_buf_reserve(b, NADB_VARINT_MAX)) return false;
    b->n = (size_t)(nadb_put_varint(b->p + b->n, v) - b->p);
    return true;
}

bool nadb_buf_blob(nadb_buf *b, nadb_slice s) {
    if (s.n > SIZE_MAX - NADB_VARINT_MAX) return false;
    /* One reservation for both, so that a failure does not leave a length
     * without bytes. */
    if (!nadb_buf_reserve(b, NADB_VARINT_MAX + s.n)) return false;
    b->n = (size_t)(nadb_put_varint(b->p + b->n, s.n) - b->p);
    return nadb_buf_append(b, s.p, s.n);
}

/* Takes the next n bytes; NULL makes the reader bad. */
static const uint8_t *take_bytes(nadb_reader *r, size_t n) {
    const uint8_t *p = r->p;

    if (nadb_reader_left(r) < n) {
        r->bad = true;
        return NULL;
    }
    if (n > 0) r->p += n;
    return p;
}

uint8_t nadb_read_u8(nadb_reader *r) {
    const uint8_t *p = take_bytes(r, 1);

    return p == NULL ? 0 : *p;
}

uint32_t nadb_read_u32(nadb_reader *r) {
    const uint8_t *p = take_bytes(r, 4);

    return p == NULL ? 0 : nadb_get_u32(p);
}

uint64_t nadb_read_u64(nadb_reader *r) {
    const uint8_t *p = take_bytes(r, 8);

    return p == NULL ? 0 : nadb_get_u64(p);
}

uint64_t nadb_read_varint_any(nadb_reader *r) {
    uint64_t v = 0;

    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t c = nadb_read_u8(r);

        if (r->bad) return 0;
        /* The tenth byte has room for one bit; a final zero byte would be a
         * second encoding of a shorter varint. */
        if ((shift == 63 && c > 1) || (shift > 0 && c == 0)) break;
        v |= (uint64_t)(c & 0x7F) << shift;
        if (c < 0x80) return v;
    }
    r->bad = true;
    return 0;
}

nadb_slice nadb_read_bytes(nadb_reader *r, size_t n) {
    const uint8_t *p = take_bytes(r, n);

    return nadb_slice_of(p, p == NULL ? 0 : n);
}

nadb_slice nadb_read_blob(nadb_reader *r) {
    uint64_t n = nadb_read_varint(r);

    if (n > nadb_reader_left(r)) {
        r->bad = true;
        n = 0;
    }
    return nadb_read_bytes(r, (size_t)n);
}
