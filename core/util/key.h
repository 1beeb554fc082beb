/* key.h - a key of SQL, TEXT or BLOB, as the bytes that the store keeps.
 *
 *   TEXT          its UTF-8 bytes
 *   TEXT 0xff ..  0xff 0x00 and the rest: no UTF-8 begins so, but a TEXT may
 *                 hold any bytes
 *   BLOB          0xff 0x01 and its bytes
 *
 * So the bytes compare as SQLite compares the keys: each TEXT is before each
 * BLOB, and two of a kind are compared bytewise. Everything but SQLite's face
 * takes a key for bytes. */
#ifndef NADB_KEY_H
#define NADB_KEY_H

#include "bytes.h"

#define NADB_KEY_ESCAPE 0xff
#define NADB_KEY_ESCAPED_TEXT 0x00
#define NADB_KEY_ESCAPED_BLOB 0x01

/* Where the BLOBs begin. */
extern const nadb_slice nadb_key_first_blob;

static inline bool nadb_key_text_is_plain(nadb_slice text) {
    return text.n == 0 || text.p[0] != NADB_KEY_ESCAPE;
}

/* Append a key; false when out of memory. */
bool nadb_key_put_text(nadb_buf *out, nadb_slice text) NADB_MUST_USE;
bool nadb_key_put_blob(nadb_buf *out, nadb_slice blob) NADB_MUST_USE;

/* What a key is, taken apart: the TEXT is `*first` (when it is not 0) and the
 * rest; the BLOB is the rest. */
bool nadb_key_is_blob(nadb_slice key, nadb_slice *rest, uint8_t *first);

/* The key as messages show it: TEXT as it is, a BLOB as SQL writes it, both cut
 * off where they are long. Returns `out`. */
#define NADB_KEY_SHOWN 96
const char *nadb_key_show(nadb_slice key, char out[NADB_KEY_SHOWN]);

#endif
