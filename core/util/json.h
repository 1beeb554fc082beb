/* json.h - strings of JSON. */
#ifndef NADB_JSON_H
#define NADB_JSON_H

#include "bytes.h"

/* Appends a byte of a string, escaped if JSON requires it; bytes of UTF-8
 * sequences are kept. These functions return false if out of memory. */
bool nadb_json_byte(nadb_buf *out, uint8_t c) NADB_MUST_USE;
/* Appends a text as a quoted string. */
bool nadb_json_text(nadb_buf *out, nadb_slice text) NADB_MUST_USE;

#endif
