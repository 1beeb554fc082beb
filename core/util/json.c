/* json.c - see json.h. */
#include "json.h"

#include <string.h>

bool nadb_json_byte(nadb_buf *out, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char names[] = "\"\\bfnrt";
    const char *at_plain = c == 0 ? NULL : strchr(plain, c);
    uint8_t unicode[] = {'\\', 'u', '0', '0', 0, 0};

    if (at_plain != NULL)
        return nadb_buf_byte(out, '\\') &&
               nadb_buf_byte(out, (uint8_t)names[at_plain - plain]);
    if (c >= 0x20) return nadb_buf_byte(out, c);
    unicode[4] = (uint8_t)hex[c >> 4];
    unicode[5] = (uint8_t)hex[c & 15];
    return nadb_buf_append(out, unicode, sizeof unicode);
}

bool nadb_json_text(nadb_buf *out, nadb_slice text) {
    bool ok = nadb_buf_byte(out, '"');

    for (size_t i = 0; ok && i < text.n; i++)
        ok = nadb_json_byte(out, text.p[i]);
    return ok && nadb_buf_byte(out, '"');
}
