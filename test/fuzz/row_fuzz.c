/* row_fuzz.c - the bytes of a row, decompression included. A row that decodes
 * says the same after its head was written anew. */
#include "../../core/kv/codec.h"
#include "../../core/kv/row.h"
#include "../../core/kv/tags.h"
#include "fuzz.h"

#define SIZE_TRIED (1 << 20) /* larger sizes are only memory */

static void check_value(const nadb_row *row) {
    nadb_buf decoded = NADB_BUF_INIT;
    nadb_value v;

    if (row->size <= SIZE_TRIED &&
        nadb_codec_decode(row->stored, row->codec, row->size, &decoded, NULL) ==
            NADB_OK) {
        MUST(decoded.n == row->size);
        MUST(nadb_row_value(row, nadb_buf_slice(&decoded), &v, NULL) ==
             NADB_OK);
    }
    nadb_buf_clear(&decoded);
}

static void check_again(const nadb_row *row) {
    nadb_row_head head = {row->type,      row->codec,      row->size,
                          row->tags,      row->created_ms, row->updated_ms,
                          row->expires_ms};
    nadb_buf b = NADB_BUF_INIT;
    nadb_row again;

    MUST(nadb_buf_reserve(&b, nadb_row_head_max(&head)));
    b.n = (size_t)(nadb_row_head_put(b.p, &head) - b.p);
    MUST(b.n <= nadb_row_head_max(&head));
    MUST(nadb_buf_append(&b, row->stored.p, row->stored.n));
    MUST(nadb_row_decode(nadb_buf_slice(&b), &again, NULL) == NADB_OK);
    MUST(again.type == row->type && again.codec == row->codec);
    MUST(again.size == row->size && again.created_ms == row->created_ms);
    MUST(again.updated_ms == row->updated_ms);
    MUST(again.expires_ms == row->expires_ms);
    MUST(nadb_row_expires(nadb_buf_slice(&b)) == row->expires_ms);
    MUST(nadb_slice_eq(again.tags, row->tags));
    MUST(nadb_slice_eq(again.stored, row->stored));
    nadb_buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    nadb_slice bytes = nadb_slice_of(data, n);
    nadb_row row;
    nadb_value v;
    nadb_err err;

    nadb_err_clear(&err);
    if (nadb_row_decode(bytes, &row, &err) != NADB_OK) {
        (void)nadb_row_expires(bytes);
        MUST(err.rc == NADB_CORRUPT && err.msg[0] != '\0');
        return 0;
    }
    MUST(row.expires_ms == nadb_row_expires(bytes));
    if (row.codec != NADB_CODEC_RAW)
        check_value(&row);
    else
        (void)!nadb_row_value(&row, row.stored, &v, NULL);
    check_again(&row);
    return 0;
}
