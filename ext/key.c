/* key.c - converts keys between SQLite's values and the store's bytes
 * (core/util/key.h).
 *
 * A key is TEXT or BLOB. A number becomes text by the affinity of the column,
 * but a REAL without fraction becomes the text of the integer, because
 * JavaScript and others bind every number as REAL. */
#include "ext.h"

static key_kind encode(bool blob, nadb_slice bytes, nadb_buf *room,
                       nadb_slice *out) {
    *out = bytes;
    if (!blob && nadb_key_text_is_plain(bytes)) return KEY_GIVEN;
    nadb_buf_reset(room);
    if (!(blob ? nadb_key_put_blob(room, bytes)
               : nadb_key_put_text(room, bytes))) {
        return KEY_NOMEM;
    }
    *out = nadb_buf_slice(room);
    return KEY_GIVEN;
}

static key_kind from_type(const conn *c, sqlite3_value *in, int type,
                          nadb_buf *room, nadb_slice *out) {
    bool blob = type == SQLITE_BLOB;
    const void *p;
    size_t n;

    *out = nadb_slice_of(NULL, 0);
    if (type == SQLITE_NULL) return KEY_NULL;
    if (blob) {
        p = sqlite3_value_blob(in); /* expands a zeroblob; NULL if empty */
        n = (size_t)sqlite3_value_bytes(in);
        if (p == NULL && n > 0) return KEY_NOMEM;
    } else {
        p = value_text_bytes(c, in, &n);
        if (p == NULL) return KEY_NOMEM;
    }
    return encode(blob, nadb_slice_of(p, n), room, out);
}

key_kind key_bound_from_sql(const conn *c, sqlite3_value *in, nadb_buf *room,
                            nadb_slice *out) {
    return from_type(c, in, sqlite3_value_type(in), room, out);
}

/* The text of a REAL's integer value. */
static bool integral_text(sqlite3_value *in, char digits[KEY_DIGITS],
                          nadb_slice *out) {
    int64_t i;

    if (sqlite3_value_type(in) != SQLITE_FLOAT ||
        !value_is_integral(sqlite3_value_double(in), &i)) {
        return false;
    }
    sqlite3_snprintf(KEY_DIGITS, digits, "%lld", (long long)i);
    *out = nadb_slice_str(digits);
    return true;
}

key_kind key_from_sql(const conn *c, sqlite3_value *in, nadb_buf *room,
                      nadb_slice *out) {
    int type = sqlite3_value_type(in);
    char digits[KEY_DIGITS];
    nadb_slice text;

    if (type != SQLITE_FLOAT || !integral_text(in, digits, &text)) {
        return from_type(c, in, type, room, out);
    }
    nadb_buf_reset(room);
    if (!nadb_buf_append(room, text.p, text.n)) return KEY_NOMEM;
    *out = nadb_buf_slice(room);
    return KEY_GIVEN;
}

key_kind key_tag_from_sql(const conn *c, sqlite3_value *in,
                          char digits[KEY_DIGITS], nadb_slice *out) {
    int type = sqlite3_value_type(in);
    const void *p;
    size_t n;

    *out = nadb_slice_of(NULL, 0);
    if (type == SQLITE_NULL || type == SQLITE_BLOB) return KEY_NULL;
    if (integral_text(in, digits, out)) return KEY_GIVEN;
    p = value_text_bytes(c, in, &n);
    if (p == NULL) return KEY_NOMEM;
    *out = nadb_slice_of(p, n);
    return KEY_GIVEN;
}

nadb_rc key_check(key_kind kind, nadb_slice key, nadb_err *err) {
    if (kind == KEY_NOMEM) {
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    }
    return nadb_key_check(key, err);
}

/* Returns a TEXT whose first byte is stored separately. */
static void escaped_to_sql(sqlite3_context *ctx, uint8_t first,
                           nadb_slice rest) {
    char *text = sqlite3_malloc64(rest.n + 2);

    if (text == NULL) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    text[0] = (char)first;
    if (rest.n > 0) memcpy(text + 1, rest.p, rest.n);
    text[rest.n + 1] = 0;
    sqlite3_result_text64(ctx, text, rest.n + 1, sqlite3_free, SQLITE_UTF8);
}

void key_to_sql(sqlite3_context *ctx, nadb_slice key, bool pinned) {
    nadb_slice rest;
    uint8_t first;

    if (key.n == 0 || key.p[0] != NADB_KEY_ESCAPE) {
        value_text_to_sql(ctx, key, pinned);
    } else if (nadb_key_is_blob(key, &rest, &first)) {
        sqlite3_result_blob(ctx, rest.p, (int)rest.n,
                            pinned ? SQLITE_STATIC : SQLITE_TRANSIENT);
    } else if (first != 0) {
        escaped_to_sql(ctx, first, rest);
    } else {
        value_text_to_sql(ctx, key, pinned);
    }
}
