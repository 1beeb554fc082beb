/* coding.h - writes and reads the bytes of all file formats.
 *
 * Integers are little-endian; varints are base 128, low group first, at most 10
 * bytes. Writing goes to a pointer with reserved room (put_*) or to a nadb_buf.
 * Reading uses a bounded reader: past the end it turns bad, stays bad and
 * returns zeros, so a decoder may read a whole structure and check `bad`
 * once. */
#ifndef NADB_CODING_H
#define NADB_CODING_H

#include "bytes.h"

#define NADB_VARINT_MAX 10

/* memcpy and a swap on big-endian machines: gcc makes one instruction of it,
 * while shifts would become a loop. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NADB_LE(bits, v) __builtin_bswap##bits(v)
#else
#define NADB_LE(bits, v) (v)
#endif

static inline void nadb_put_u16(uint8_t *p, uint16_t v) {
    v = NADB_LE(16, v);
    memcpy(p, &v, 2);
}

static inline void nadb_put_u32(uint8_t *p, uint32_t v) {
    v = NADB_LE(32, v);
    memcpy(p, &v, 4);
}

static inline void nadb_put_u64(uint8_t *p, uint64_t v) {
    v = NADB_LE(64, v);
    memcpy(p, &v, 8);
}

static inline uint16_t nadb_get_u16(const uint8_t *p) {
    uint16_t v;

    memcpy(&v, p, 2);
    return NADB_LE(16, v);
}

static inline uint32_t nadb_get_u32(const uint8_t *p) {
    uint32_t v;

    memcpy(&v, p, 4);
    return NADB_LE(32, v);
}

static inline uint64_t nadb_get_u64(const uint8_t *p) {
    uint64_t v;

    memcpy(&v, p, 8);
    return NADB_LE(64, v);
}

/* Writes at most NADB_VARINT_MAX bytes; returns the place after them. */
uint8_t *nadb_put_varint(uint8_t *p, uint64_t v);

NADB_WRAPS static inline uint64_t nadb_zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t nadb_unzigzag(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

bool nadb_buf_u32(nadb_buf *b, uint32_t v) NADB_MUST_USE;
bool nadb_buf_varint(nadb_buf *b, uint64_t v) NADB_MUST_USE;
/* Appends a varint length and the bytes. */
bool nadb_buf_blob(nadb_buf *b, nadb_slice s) NADB_MUST_USE;

typedef struct nadb_reader {
    const uint8_t *p;
    const uint8_t *end;
    bool bad;
} nadb_reader;

static inline nadb_reader nadb_reader_of(nadb_slice s) {
    /* NULL + 0 is undefined in C. */
    nadb_reader r = {s.p, s.n == 0 ? s.p : s.p + s.n, false};

    return r;
}

static inline size_t nadb_reader_left(const nadb_reader *r) {
    return r->bad ? 0 : (size_t)(r->end - r->p);
}

uint8_t nadb_read_u8(nadb_reader *r);
uint32_t nadb_read_u32(nadb_reader *r);
uint64_t nadb_read_u64(nadb_reader *r);
uint64_t nadb_read_varint_any(nadb_reader *r);
/* Overlong or > 64 bits: bad. */
static inline uint64_t nadb_read_varint(nadb_reader *r) {
    if (!r->bad && r->p < r->end && *r->p < 0x80) return *r->p++;
    return nadb_read_varint_any(r);
}
nadb_slice nadb_read_bytes(nadb_reader *r, size_t n);
nadb_slice nadb_read_blob(nadb_reader *r); /* varint length, then the bytes */

#endif
