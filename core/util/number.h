/* number.h - numbers as text, independent of the locale of the host program.
 *
 * Parsing takes the whole text, in decimal: without white space, hexadecimal
 * numbers, further text or zero bytes. */
#ifndef NADB_NUMBER_H
#define NADB_NUMBER_H

#include "bytes.h"

/* Parses [+-] digits; false for other texts and out of range. */
bool nadb_integer_of(nadb_slice text, int64_t *out) NADB_MUST_USE;

/* Parses [+-] digits [. digits] [e [+-] digits], with digits on at least one
 * side of the point, or [+-] inf. Too large numbers become infinities.
 * REQUIRES: a zero byte or white space follows the text. */
bool nadb_real_of(nadb_slice text, double *out) NADB_MUST_USE;

/* Size of the longest text of a double, with the zero byte. */
#define NADB_REAL_TEXT_MAX 32
/* Writes 17 digits, from which nadb_real_of() gives the same double. */
void nadb_real_text(double v, char text[NADB_REAL_TEXT_MAX]);

#endif
