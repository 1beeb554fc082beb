/* clock.h - when, and how often, rows were read or written lately: for evicting
 * from a store with a limit.
 *
 * A table of fixed size, of 8 bytes a row: a part of the key's hash, a time in
 * steps of 8 ms, and a count of uses that grows ever more slowly and falls by
 * one a minute. Four rows share a place; the one that was used longest ago
 * goes. So it takes no lock, and no more memory than it was given; what it has
 * forgotten counts as not used since it was written. It begins empty with the
 * process. */
#ifndef NADB_CLOCK_H
#define NADB_CLOCK_H

#include <stdatomic.h>

#include "../util/bytes.h"

#define NADB_CLOCK_BYTES_MOST ((size_t)8 << 20)

typedef struct nadb_clock {
    _Atomic uint64_t *slots;
    size_t n; /* a power of two, at least 4 */
    int64_t start_ms;
} nadb_clock;

/* For about `rows` rows. */
nadb_rc nadb_clock_init(nadb_clock *c, uint64_t rows, int64_t now_ms,
                        nadb_err *err) NADB_MUST_USE;
void nadb_clock_clear(nadb_clock *c);
/* The row was used now. */
void nadb_clock_note(nadb_clock *c, nadb_slice key, int64_t now_ms);
/* When that was last, and how often; false when nothing is known. */
bool nadb_clock_find(const nadb_clock *c, nadb_slice key, int64_t *ms,
                     unsigned *uses);

#endif
