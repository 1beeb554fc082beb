/* json.h - strings of JSON. */
#ifndef NADB_JSON_H
#define NADB_JSON_H

#include "bytes.h"

/* Appends one byte of a string, escaped where JSON asks for that. Bytes of
 * UTF-8 sequences are passed on. False: out of memory; so for all here. */
bool nadb_json_byte(nadb_buf *out, uint8_t c) NADB_MUST_USE;
/* Appends the text as a string, with its quotes. */
bool nadb_json_text(nadb_buf *out, nadb_slice text) NADB_MUST_USE;

#endif
