/* parse.h - what users write: integers in any form, and times.
 *
 * Both take the whole text or nothing, look at every byte of it, and do not
 * depend on the locale. Texts come from users: any bytes are possible. */
#ifndef NADB_PARSE_H
#define NADB_PARSE_H

#include "bytes.h"

/* A number that is an integer of 64 bits, however it is written: "42", "-7",
 * "42.0", "4.2e1". White space around it is allowed, as SQLite allows it. */
bool nadb_parse_integer(nadb_slice text, int64_t *out);

/* A time as ISO 8601 writes it, in Unix time:
 *
 *   2026-11-29
 *   2026-11-29 12:34
 *   2026-11-29T12:34:56.789
 *
 * Behind hours and minutes an offset may follow: Z, +hh:mm, +hhmm or +hh, or
 * the same with a minus, with a space before it or not. Without one it is UTC.
 * What is finer than milliseconds is cut off. */
bool nadb_parse_time(nadb_slice text, int64_t *ms);

#endif
