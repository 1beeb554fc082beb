/* number.h - numbers as text, the same in every locale of the host program.
 *
 * What is parsed is all of the text, in decimal: no white space, no
 * hexadecimal, no rest behind the number, no zero byte in it. */
#ifndef NADB_NUMBER_H
#define NADB_NUMBER_H

#include "bytes.h"

/* [+-] digits; false for anything else, and out of range. */
bool nadb_integer_of(nadb_slice text, int64_t *out) NADB_MUST_USE;

/* [+-] digits [. digits] [e [+-] digits], with digits on one side of the point
 * at least; or [+-] inf. A zero byte or white space must follow the text. What
 * is too large is an infinity. */
bool nadb_real_of(nadb_slice text, double *out) NADB_MUST_USE;

/* Bytes of the longest text of a double, with the zero byte. */
#define NADB_REAL_TEXT_MAX 32
/* With 17 digits, which nadb_real_of() makes the same double of. */
void nadb_real_text(double v, char text[NADB_REAL_TEXT_MAX]);

#endif
