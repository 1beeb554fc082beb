/* parse.h - parses integers in any notation, and times, as users write them.
 *
 * Both take the whole text or fail, and do not depend on the locale. The text
 * may contain any bytes. */
#ifndef NADB_PARSE_H
#define NADB_PARSE_H

#include "bytes.h"

/* A number that is a 64-bit integer in any notation: "42", "-7", "42.0",
 * "4.2e1". White space around it is allowed, as in SQLite. */
bool nadb_parse_integer(nadb_slice text, int64_t *out);

/* A time in ISO 8601, converted to Unix time:
 *
 *   2026-11-29
 *   2026-11-29 12:34
 *   2026-11-29T12:34:56.789
 *
 * After hours and minutes an offset may follow: Z, +hh:mm, +hhmm or +hh, or
 * with a minus, optionally after a space. Without an offset it is UTC. Digits
 * beyond milliseconds are cut. */
bool nadb_parse_time(nadb_slice text, int64_t *ms);

#endif
