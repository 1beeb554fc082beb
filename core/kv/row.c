/* row.c - see row.h. */
#include "row.h"

#include "../util/assert.h"
#include "../util/coding.h"
#include "codec.h"
#include "tags.h"

enum {
    ROW_TYPE = 7,
    ROW_UPDATED = 8,
    ROW_EXPIRES = 16,
    ROW_TAGS = 32,
    ROW_CODED = 64
};

#define TIME_BYTES 6
#define NUMBER_SIZE 8 /* nadb_row.size of INTEGER and REAL */

static const uint8_t first_row[] = {NADB_KS_ROW};
static const uint8_t after_rows[] = {NADB_KS_ROW + 1};
const nadb_range nadb_all_rows = {{first_row, 1}, {after_rows, 1}, false};

static const char damaged[] = "damaged row: ";

/* --- times: 48 bits, two's complement --- */

static uint8_t *put_time(uint8_t *p, int64_t ms) {
    if (ms > NADB_TIME_MAX) ms = NADB_TIME_MAX;
    if (ms < NADB_TIME_MIN) ms = NADB_TIME_MIN;
    nadb_put_u32(p, (uint32_t)ms);
    nadb_put_u16(p + 4, (uint16_t)((uint64_t)ms >> 32));
    return p + TIME_BYTES;
}

static int64_t get_time(const uint8_t *p) {
    uint64_t v = nadb_get_u32(p) | (uint64_t)nadb_get_u16(p + 4) << 32;

    /* Extends the sign without shifting a negative number, which C leaves to
     * the compiler. */
    return (v >> 47) != 0 ? -(int64_t)((UINT64_C(1) << 48) - v) : (int64_t)v;
}

static int64_t read_time(nadb_reader *r) {
    nadb_slice s = nadb_read_bytes(r, TIME_BYTES);
    int64_t ms = s.n == TIME_BYTES ? get_time(s.p) : 0;

    if (ms < NADB_TIME_MIN) r->bad = true; /* nadb never writes it */
    return ms;
}

/* --- writing --- */

size_t nadb_row_head_max(const nadb_row_head *h) {
    return 1 + 3 * TIME_BYTES + NADB_VARINT_MAX + h->tags.n + 1 +
           NADB_VARINT_MAX;
}

uint8_t *nadb_row_head_put(uint8_t *p, const nadb_row_head *h) {
    uint8_t *flags = p++;
    const uint8_t *end = flags + nadb_row_head_max(h);

    *flags = (uint8_t)h->type;
    p = put_time(p, h->created_ms);
    if (h->updated_ms != h->created_ms) {
        *flags |= ROW_UPDATED;
        p = put_time(p, h->updated_ms);
    }
    if (h->expires_ms != NADB_NO_EXPIRY) {
        *flags |= ROW_EXPIRES;
        p = put_time(p, h->expires_ms);
    }
    if (h->tags.n > 0) {
        *flags |= ROW_TAGS;
        p = nadb_put_varint(p, h->tags.n);
        memcpy(p, h->tags.p, h->tags.n);
        p += h->tags.n;
    }
    if (h->codec != NADB_CODEC_RAW) {
        *flags |= ROW_CODED;
        *p++ = h->codec;
        p = nadb_put_varint(p, h->size);
    }
    NADB_ASSERT(p <= end);
    return p;
}

size_t nadb_number_put(uint8_t *p, const nadb_value *v) {
    uint64_t bits;

    if (v->type == NADB_INTEGER)
        return (size_t)(nadb_put_varint(p, nadb_zigzag(v->i)) - p);
    memcpy(&bits, &v->r, sizeof bits);
    nadb_put_u64(p, bits);
    return sizeof bits;
}

/* --- reading --- */

/* Checks the value behind the head; sets size for values without a codec. */
static nadb_rc check_value(nadb_row *row, nadb_err *err) {
    switch (row->type) {
    case NADB_NULL:
        row->size = 0;
        if (row->stored.n == 0) return NADB_OK;
        break;
    case NADB_INTEGER:
        row->size = NUMBER_SIZE;
        if (row->stored.n > 0 && row->stored.n <= NADB_VARINT_MAX)
            return NADB_OK;
        break;
    case NADB_REAL:
        row->size = NUMBER_SIZE;
        if (row->stored.n == 8) return NADB_OK;
        break;
    case NADB_TEXT:
    case NADB_BLOB:
        if (row->codec == NADB_CODEC_RAW) row->size = row->stored.n;
        if (row->size <= NADB_VALUE_MAX) return NADB_OK;
        break;
    }
    return nadb_corrupt(err, "%sits value cannot have %zu bytes", damaged,
                        row->stored.n);
}

nadb_rc nadb_row_decode(nadb_slice bytes, nadb_row *row, nadb_err *err) {
    nadb_reader r = nadb_reader_of(bytes);
    unsigned flags = nadb_read_u8(&r);
    unsigned type = flags & ROW_TYPE;

    if (r.bad || type > NADB_BLOB || flags > 127)
        return nadb_corrupt(err, "%sunknown kind %u", damaged, flags);
    row->type = (nadb_type)type;
    row->created_ms = read_time(&r);
    row->updated_ms =
        (flags & ROW_UPDATED) != 0 ? read_time(&r) : row->created_ms;
    row->expires_ms =
        (flags & ROW_EXPIRES) != 0 ? read_time(&r) : NADB_NO_EXPIRY;
    row->tags = nadb_slice_of(NULL, 0);
    if ((flags & ROW_TAGS) != 0) row->tags = nadb_read_blob(&r);
    row->codec = NADB_CODEC_RAW;
    row->size = 0;
    if ((flags & ROW_CODED) != 0) {
        row->codec = nadb_read_u8(&r);
        row->size = nadb_read_varint(&r);
    }
    row->stored = nadb_read_bytes(&r, nadb_reader_left(&r));
    if (r.bad)
        return nadb_corrupt(err, "%sits head is wrong or cut off (%zu bytes)",
                            damaged, bytes.n);
    if ((flags & ROW_TAGS) != 0 &&
        (row->tags.n == 0 || !nadb_tags_valid(row->tags)))
        return nadb_corrupt(err, "%sits tags are not a tag list", damaged);
    if ((flags & ROW_CODED) != 0 &&
        (row->codec == NADB_CODEC_RAW || type < NADB_TEXT))
        return nadb_corrupt(err, "%sits value cannot be coded", damaged);
    return check_value(row, err);
}

int64_t nadb_row_expires(nadb_slice bytes) {
    size_t at = 1 + TIME_BYTES;
    int64_t ms;

    if (bytes.n == 0 || (bytes.p[0] & ROW_EXPIRES) == 0) return NADB_NO_EXPIRY;
    if ((bytes.p[0] & ROW_UPDATED) != 0) at += TIME_BYTES;
    if (bytes.n < at + TIME_BYTES) return NADB_NO_EXPIRY;
    ms = get_time(bytes.p + at);
    return ms < NADB_TIME_MIN ? NADB_NO_EXPIRY : ms;
}

static void count(nadb_totals *t, uint64_t *sum, uint64_t n, bool in) {
    if (!in && *sum < n)
        t->known = false;
    else
        *sum = in ? *sum + n : *sum - n;
}

void nadb_totals_count(nadb_totals *t, const nadb_entry *e, bool in) {
    nadb_row row;

    if (!t->known || e->key.n == 0 || (e->flags & NADB_ENTRY_TOMBSTONE) != 0)
        return;
    if (e->key.p[0] == NADB_KS_COUNT) count(t, &t->tags, 1, in);
    if (e->key.p[0] != NADB_KS_ROW) return;
    if (nadb_row_decode(e->value, &row, NULL) != NADB_OK) {
        t->known = false;
        return;
    }
    count(t, &t->rows, 1, in);
    count(t, &t->key_bytes, e->key.n - 1, in);
    count(t, &t->value_bytes, row.size, in);
    count(t, &t->stored_bytes, row.stored.n, in);
}

nadb_rc nadb_row_value(const nadb_row *row, nadb_slice decoded, nadb_value *out,
                       nadb_err *err) {
    nadb_reader r = nadb_reader_of(decoded);
    uint64_t bits = 0;

    out->type = row->type;
    out->i = 0;
    out->r = 0;
    out->bytes = nadb_slice_of(NULL, 0);
    switch (row->type) {
    case NADB_NULL:
        break;
    case NADB_INTEGER:
        out->i = nadb_unzigzag(nadb_read_varint(&r));
        break;
    case NADB_REAL:
        bits = nadb_read_u64(&r);
        memcpy(&out->r, &bits, sizeof bits);
        break;
    case NADB_TEXT:
    case NADB_BLOB:
        out->bytes = decoded;
        return NADB_OK;
    }
    if (r.bad || nadb_reader_left(&r) != 0)
        return nadb_corrupt(err, "%sits value is not a number", damaged);
    return NADB_OK;
}
