/* func_data.c - functions for importing data of other programs
 * (docs/moving-in.md): decompression, base64, SHA-256. They use neither files
 * nor stores. */
#include "func.h"

#include "../core/util/sha256.h"

/* The bytes of an argument; p == NULL for NULL. */
static nadb_rc bytes_of(sqlite3_value *in, nadb_slice *out, nadb_err *err) {
    const void *p = NULL;

    *out = nadb_slice_of(NULL, 0);
    if (sqlite3_value_type(in) == SQLITE_NULL) return NADB_OK;
    p = sqlite3_value_type(in) == SQLITE_BLOB
            ? sqlite3_value_blob(in)
            : (const void *)sqlite3_value_text(in);
    *out = nadb_slice_of(p, (size_t)sqlite3_value_bytes(in));
    if (p == NULL && out->n > 0)
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    if (p == NULL) out->p = (const uint8_t *)"";
    return NADB_OK;
}

static void result_blob(call *k, const nadb_buf *b) {
    sqlite3_result_blob64(k->ctx, b->p == NULL ? (const void *)"" : b->p, b->n,
                          SQLITE_TRANSIENT);
}

/* nadb_unzip(data [, otherwise]): NULL gives NULL; data that cannot be
 * decompressed gives `otherwise`, or an error without it. */
nadb_rc func_unzip(call *k, nadb_err *err) {
    int limit = sqlite3_limit(k->db, SQLITE_LIMIT_LENGTH, -1);
    nadb_buf out = NADB_BUF_INIT;
    nadb_slice in;
    nadb_rc rc = bytes_of(k->argv[0], &in, err);

    if (rc != NADB_OK || in.p == NULL) return rc;
    rc = nadb_unzip(in, (size_t)limit, &out, err);
    if (rc == NADB_OK) {
        result_blob(k, &out);
    } else if (rc == NADB_CORRUPT && k->argc == 2) {
        sqlite3_result_value(k->ctx, k->argv[1]);
        rc = NADB_OK;
    }
    nadb_buf_clear(&out);
    return rc;
}

/* --- base64 (RFC 4648) --- */

static int digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

static bool is_space(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13); }

static nadb_rc decode(nadb_slice in, nadb_buf *out, nadb_err *err) {
    uint32_t bits = 0;
    unsigned have = 0, digits = 0, padding = 0;

    if (!nadb_buf_reserve(out, in.n / 4 * 3 + 3))
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    for (size_t i = 0; i < in.n; i++) {
        int d = digit(in.p[i]);

        if (is_space(in.p[i])) continue;
        if (in.p[i] == '=' && padding++ < 2) continue;
        if (d < 0 || padding > 0)
            return nadb_fail(err, NADB_INVALID,
                             "the text is not base64: see byte %zu", i + 1);
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        digits++;
        if (have < 8) continue;
        have -= 8;
        out->p[out->n++] = (uint8_t)(bits >> have);
        bits &= (1u << have) - 1;
    }
    /* A single last digit has too few bits, and unused bits must be zero. */
    if (digits % 4 == 1 || bits != 0 ||
        (padding > 0 && (digits + padding) % 4 != 0))
        return nadb_fail(err, NADB_INVALID,
                         "the text is not base64: it is cut off");
    return NADB_OK;
}

/* nadb_base64(text): the decoded bytes */
nadb_rc func_base64(call *k, nadb_err *err) {
    nadb_buf out = NADB_BUF_INIT;
    nadb_slice in;
    nadb_rc rc = bytes_of(k->argv[0], &in, err);

    if (rc != NADB_OK || in.p == NULL) return rc;
    rc = decode(in, &out, err);
    if (rc == NADB_OK) result_blob(k, &out);
    nadb_buf_clear(&out);
    return rc;
}

/* nadb_sha256(data): hexadecimal digits */
nadb_rc func_sha256(call *k, nadb_err *err) {
    uint8_t sum[NADB_SHA256_BYTES];
    char hex[NADB_SHA256_HEX];
    nadb_sha256 sha;
    nadb_slice in;
    nadb_rc rc = bytes_of(k->argv[0], &in, err);

    if (rc != NADB_OK || in.p == NULL) return rc;
    nadb_sha256_begin(&sha);
    nadb_sha256_add(&sha, in.p, in.n);
    nadb_sha256_end(&sha, sum);
    nadb_sha256_hex(sum, hex);
    sqlite3_result_text(k->ctx, hex, -1, SQLITE_TRANSIENT);
    return NADB_OK;
}
