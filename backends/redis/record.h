/* record.h - a row as a Redis string (docs/format.md, "Redis"): a line that
 * describes it, and behind the line feed the value, as other clients can read
 * it: the bytes; of an INTEGER or REAL its text; of NULL nothing.
 *
 * A string takes half of the memory that a hash takes: a server keeps a hash
 * with a value over 64 bytes as a table. */
#ifndef NADB_REDIS_RECORD_H
#define NADB_REDIS_RECORD_H

#include "../../core/kv/row.h"
#include "conn.h"

/* Adds the arguments of one put to a commit script: 'p' key value, the line
 * from the type on, tags, expiry; *plain: without the last two. `row` is in the
 * form of core/kv/row.h and outlives the arguments; `key` likewise. `scratch`
 * is the caller's. */
nadb_rc record_put(args *a, nadb_slice key, nadb_slice row, nadb_buf *scratch,
                   bool *plain, nadb_err *err) NADB_MUST_USE;

/* The value alone, and the line from the type on, without tags. `row` was
 * decoded from bytes that outlive the arguments. */
nadb_rc record_add_value(args *a, const nadb_row *row,
                         nadb_err *err) NADB_MUST_USE;
void record_add_line(args *a, const nadb_row *row);
/* Of two rows without tags and expiry: whether that line is the same. */
bool record_same_line(const nadb_row *a, const nadb_row *b);

typedef struct record {
    uint64_t version;    /* of the commit that wrote it */
    uint64_t created_in; /* version of the commit that inserted the key */
    nadb_slice row;      /* in the buffer that record_get() appended to */
} record;

/* Turns what the server has into a row, appended to *out. *found is false when
 * the key has no row. */
nadb_rc record_get(conn *c, const redisReply *text, nadb_buf *out, record *rec,
                   bool *found, nadb_err *err) NADB_MUST_USE;
/* The same of the line alone (or more of the text, which is not looked at); the
 * row has no value. */
nadb_rc record_get_line(conn *c, const redisReply *text, nadb_buf *out,
                        record *rec, bool *found, nadb_err *err) NADB_MUST_USE;

/* The parts of a row as it is on the server, as a put takes them. Of what is no
 * row all is value. */
typedef struct record_parts {
    nadb_slice line; /* without tags */
    nadb_slice tags, expiry, value;
} record_parts;
record_parts record_split(nadb_slice text);

#endif
