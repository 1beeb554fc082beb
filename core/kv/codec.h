/* codec.h - how a value's bytes are compressed.
 *
 * The codec is a field of the row, never a prefix in the value. Values of
 * NADB_CODEC_MIN bytes and more are deflated when that makes them at least a
 * sixteenth smaller; data that a sample shows to be incompressible is left
 * alone. Thread-safe: every thread has compression states of its own, made at
 * its first need and freed when it ends. */
#ifndef NADB_CODEC_H
#define NADB_CODEC_H

#include "../util/bytes.h"

enum { NADB_CODEC_RAW = 0, NADB_CODEC_ZLIB = 1 /* RFC 1950 */ };

#define NADB_CODEC_MIN 1025u /* "over 1 KB" */

/* Compresses `in` at zlib level 1-9 to the end of *out and sets *codec, or
 * appends nothing and sets NADB_CODEC_RAW when it does not pay. */
nadb_rc nadb_codec_encode(nadb_slice in, int level, nadb_buf *out,
                          uint8_t *codec, nadb_err *err) NADB_MUST_USE;
/* Decodes into *out (reset first), which must come to exactly `size` bytes:
 * anything else is NADB_CORRUPT. */
nadb_rc nadb_codec_decode(nadb_slice in, uint8_t codec, uint64_t size,
                          nadb_buf *out, nadb_err *err) NADB_MUST_USE;

#endif
