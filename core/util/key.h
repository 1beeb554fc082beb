/* key.h - a key of SQL, TEXT or BLOB, as the bytes of the store.
 *
 *   TEXT          its UTF-8 bytes
 *   TEXT 0xff ..  0xff 0x00, then the bytes after the 0xff: valid UTF-8 never
 *                 begins so, but a TEXT may hold any bytes
 *   BLOB          0xff 0x01, then its bytes
 *
 * These bytes compare as SQLite compares the keys: each TEXT is before each
 * BLOB, and two of one kind are compared bytewise. Only ext/ distinguishes TEXT
 * and BLOB; to all other code a key is bytes. */
#ifndef NADB_KEY_H
#define NADB_KEY_H

#include "bytes.h"
#include "status.h"

#define NADB_KEY_BYTES_MAX 65536u             /* of a TEXT or BLOB */
#define NADB_KEY_MAX (NADB_KEY_BYTES_MAX + 2) /* with the bytes before it */

#define NADB_KEY_ESCAPE 0xff
#define NADB_KEY_ESCAPED_TEXT 0x00
#define NADB_KEY_ESCAPED_BLOB 0x01

/* The lowest key of a BLOB. */
extern const nadb_slice nadb_key_first_blob;

static inline bool nadb_key_text_is_plain(nadb_slice text) {
    return text.n == 0 || text.p[0] != NADB_KEY_ESCAPE;
}

/* Appends a key; false if out of memory. */
bool nadb_key_put_text(nadb_buf *out, nadb_slice text) NADB_MUST_USE;
bool nadb_key_put_blob(nadb_buf *out, nadb_slice blob) NADB_MUST_USE;

/* Splits a key: a TEXT is `*first` (if it is not 0) and the rest; a BLOB is the
 * rest. */
bool nadb_key_is_blob(nadb_slice key, nadb_slice *rest, uint8_t *first);

/* NADB_TOOBIG if the TEXT or BLOB is longer than NADB_KEY_BYTES_MAX. */
nadb_rc nadb_key_check(nadb_slice key, nadb_err *err) NADB_MUST_USE;

/* The key for messages: a TEXT as it is, a BLOB as in SQL, long ones cut.
 * Returns `out`. */
#define NADB_KEY_SHOWN 96
const char *nadb_key_show(nadb_slice key, char out[NADB_KEY_SHOWN]);

#endif
