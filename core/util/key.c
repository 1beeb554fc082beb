/* key.c - see key.h. */
#include "key.h"

#include <stdio.h>

static const uint8_t first_blob[] = {NADB_KEY_ESCAPE, NADB_KEY_ESCAPED_BLOB};
const nadb_slice nadb_key_first_blob = {first_blob, sizeof first_blob};

bool nadb_key_put_text(nadb_buf *out, nadb_slice text) {
    if (nadb_key_text_is_plain(text))
        return nadb_buf_append(out, text.p, text.n);
    return nadb_buf_byte(out, NADB_KEY_ESCAPE) &&
           nadb_buf_byte(out, NADB_KEY_ESCAPED_TEXT) &&
           nadb_buf_append(out, text.p + 1, text.n - 1);
}

bool nadb_key_put_blob(nadb_buf *out, nadb_slice blob) {
    return nadb_buf_append(out, first_blob, sizeof first_blob) &&
           nadb_buf_append(out, blob.p, blob.n);
}

bool nadb_key_is_blob(nadb_slice key, nadb_slice *rest, uint8_t *first) {
    *rest = key;
    *first = 0;
    if (key.n < 2 || key.p[0] != NADB_KEY_ESCAPE) return false;
    if (key.p[1] != NADB_KEY_ESCAPED_TEXT && key.p[1] != NADB_KEY_ESCAPED_BLOB)
        return false;
    *rest = nadb_slice_of(key.p + 2, key.n - 2);
    if (key.p[1] == NADB_KEY_ESCAPED_BLOB) return true;
    *first = NADB_KEY_ESCAPE;
    return false;
}

nadb_rc nadb_key_check(nadb_slice key, nadb_err *err) {
    nadb_slice rest;
    uint8_t first;
    size_t n;

    if (key.n <= NADB_KEY_BYTES_MAX) return NADB_OK;
    (void)nadb_key_is_blob(key, &rest, &first);
    n = rest.n + (first != 0);
    if (n <= NADB_KEY_BYTES_MAX) return NADB_OK;
    return nadb_fail(err, NADB_TOOBIG,
                     "the key is %zu bytes long, and the limit is %u", n,
                     NADB_KEY_BYTES_MAX);
}

#define SHOWN_TEXT 80
#define SHOWN_BLOB 40 /* twice as long in hexadecimal */

const char *nadb_key_show(nadb_slice key, char out[NADB_KEY_SHOWN]) {
    nadb_slice rest;
    uint8_t first;
    size_t n = 0;

    if (!nadb_key_is_blob(key, &rest, &first)) {
        snprintf(out, NADB_KEY_SHOWN, "%s%.*s%s", first == 0 ? "" : "\xff",
                 (int)(rest.n < SHOWN_TEXT ? rest.n : SHOWN_TEXT),
                 rest.n == 0 ? "" : (const char *)rest.p,
                 rest.n > SHOWN_TEXT ? ".." : "");
        return out;
    }
    n = (size_t)snprintf(out, NADB_KEY_SHOWN, "x'");
    for (size_t i = 0; i < rest.n && i < SHOWN_BLOB; i++)
        n += (size_t)snprintf(out + n, NADB_KEY_SHOWN - n, "%02x", rest.p[i]);
    snprintf(out + n, NADB_KEY_SHOWN - n, "%s'",
             rest.n > SHOWN_BLOB ? ".." : "");
    return out;
}
