/* access.h - when rows were last read, for stores with track_access=on.
 *
 * A read notes the time in memory, which takes a lock and a hash lookup. The
 * background thread writes the notes into the store (a <key> -> ms;
 * docs/format.md). So other processes see them later, and a crash loses those
 * of the last seconds. If the table of notes is full, further reads are not
 * noted until it is written.
 *
 * A note may outlive its row. A reader of notes ignores one that is older than
 * the row. */
#ifndef NADB_ACCESS_H
#define NADB_ACCESS_H

#include "../backend.h"

typedef struct nadb_access nadb_access; /* thread-safe */

nadb_rc nadb_access_new(nadb_access **out, nadb_err *err) NADB_MUST_USE;
void nadb_access_free(nadb_access *a); /* NULL is fine */
void nadb_access_note(nadb_access *a, nadb_slice key, int64_t now_ms);
/* The note in memory; false if there is none. */
bool nadb_access_find(nadb_access *a, nadb_slice key, int64_t *ms);

/* Calls `each` with every note that is not written yet. If all calls return
 * NADB_OK the notes are dropped, otherwise they are passed again next time.
 * REQUIRES: one caller at a time. */
typedef nadb_rc nadb_access_fn(void *ctx, nadb_slice key, int64_t ms);
nadb_rc nadb_access_write(nadb_access *a, nadb_access_fn *each,
                          nadb_rc (*end)(void *ctx), void *ctx);

/* The key and the value of an entry. */
bool nadb_access_key(nadb_buf *out, nadb_slice key) NADB_MUST_USE;
int64_t nadb_access_ms(nadb_slice value); /* invalid bytes: INT64_MIN */

#endif
