/* clock.h - when and how often rows were used recently, for evicting rows.
 *
 * A table of fixed size with 8 bytes per row:
 *
 *   63       36 35    28 27                 0
 *   | key hash | uses   | time, in 8 ms steps |
 *
 * `uses` grows ever more slowly and falls by one per minute. Four rows share a
 * place; of these, the least recently used is replaced. So the table needs no
 * lock and no more memory than it was given. A row that is not in it counts as
 * not used since it was written. The table is empty when the process starts. */
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
/* Notes that the row is used now. */
void nadb_clock_note(nadb_clock *c, nadb_slice key, int64_t now_ms);
/* Last use and number of uses; false if the row is not in the table. */
bool nadb_clock_find(const nadb_clock *c, nadb_slice key, int64_t *ms,
                     unsigned *uses);

#endif
