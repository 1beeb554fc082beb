/* codec.h - compression of values.
 *
 * The codec is a field of the row, never a prefix of the value. Values of at
 * least NADB_CODEC_MIN bytes are deflated if that makes them at least a
 * sixteenth smaller. Data of which a sample does not compress is left alone.
 * Thread-safe: each thread has its own compression states, made at first use
 * and freed at its end. */
#ifndef NADB_CODEC_H
#define NADB_CODEC_H

#include "../util/bytes.h"

enum { NADB_CODEC_RAW = 0, NADB_CODEC_ZLIB = 1 /* RFC 1950 */ };

#define NADB_CODEC_MIN 1025u /* "over 1 KB" */

/* Appends `in`, compressed at zlib level 1-9, to *out and sets *codec; or, if
 * that would not save enough, appends nothing and sets NADB_CODEC_RAW. */
nadb_rc nadb_codec_encode(nadb_slice in, int level, nadb_buf *out,
                          uint8_t *codec, nadb_err *err) NADB_MUST_USE;
/* Decodes into *out (reset first). NADB_CORRUPT unless the result has exactly
 * `size` bytes. */
nadb_rc nadb_codec_decode(nadb_slice in, uint8_t codec, uint64_t size,
                          nadb_buf *out, nadb_err *err) NADB_MUST_USE;

#endif
