/* record.h - a row as the fields of a Redis hash, so that other clients can
 * read it (docs/format.md, "Redis").
 *
 *   value   the bytes; of an INTEGER or REAL its text; of NULL nothing
 *   meta    "version new type created updated expires codec size"
 *   tags    JSON array; the field is there only when the row has tags */
#ifndef NADB_REDIS_RECORD_H
#define NADB_REDIS_RECORD_H

#include "../../core/kv/row.h"
#include "conn.h"

/* Adds the arguments of one put to a commit script: 'p' key value, meta from
 * `type` on, tags, expiry; *plain: without the last two. `row` is in the form
 * of core/kv/row.h and outlives the arguments; `key` likewise. `scratch` is the
 * caller's. */
nadb_rc record_put(args *a, nadb_slice key, nadb_slice row, nadb_buf *scratch,
                   bool *plain, nadb_err *err) NADB_MUST_USE;

/* The value alone, and meta from `type` on. `row` was decoded from bytes that
 * outlive the arguments. */
nadb_rc record_add_value(args *a, const nadb_row *row,
                         nadb_err *err) NADB_MUST_USE;
void record_add_meta(args *a, const nadb_row *row);
/* Of two rows without tags and expiry: whether that meta is the same. */
bool record_same_meta(const nadb_row *a, const nadb_row *b);

typedef struct record {
    uint64_t version;    /* of the commit that wrote it */
    uint64_t created_in; /* version of the commit that inserted the key */
    nadb_slice row;      /* in the buffer that record_get() appended to */
} record;

/* Turns the fields into a row, appended to *out; `value` may be NULL for a row
 * without its bytes. *found is false when the key has no row. */
nadb_rc record_get(conn *c, const redisReply *value, const redisReply *meta,
                   const redisReply *tags, nadb_buf *out, record *rec,
                   bool *found, nadb_err *err) NADB_MUST_USE;

/* The expiry that a meta names, as text; empty for none. */
nadb_slice record_expiry(nadb_slice meta);

#endif
