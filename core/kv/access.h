/* access.h - when rows were last read, for stores with track_access=on.
 *
 * A read notes it in memory, which costs a lock and a hash. The background
 * writes it to the store now and then (a <key> -> ms; docs/format.md), so that
 * other processes see it later, and a crash forgets the last seconds. When very
 * many rows were read since, more are not noted until then.
 *
 * An entry may outlive its row: who shows it leaves out what is older than the
 * row. */
#ifndef NADB_ACCESS_H
#define NADB_ACCESS_H

#include "../backend.h"

typedef struct nadb_access nadb_access; /* thread-safe */

nadb_rc nadb_access_new(nadb_access **out, nadb_err *err) NADB_MUST_USE;
void nadb_access_free(nadb_access *a); /* NULL is fine */
void nadb_access_note(nadb_access *a, nadb_slice key, int64_t now_ms);
/* What is in memory; false when that says nothing. */
bool nadb_access_find(nadb_access *a, nadb_slice key, int64_t *ms);

/* Calls `each` with everything that is not written yet, and forgets it if that
 * returns NADB_OK; else it comes again. One caller at a time. */
typedef nadb_rc nadb_access_fn(void *ctx, nadb_slice key, int64_t ms);
nadb_rc nadb_access_write(nadb_access *a, nadb_access_fn *each,
                          nadb_rc (*end)(void *ctx), void *ctx);

/* The key and value of an entry. */
bool nadb_access_key(nadb_buf *out, nadb_slice key) NADB_MUST_USE;
int64_t nadb_access_ms(nadb_slice value); /* impossible bytes: INT64_MIN */

#endif
