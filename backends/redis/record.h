/* record.h - a row as a Redis string (docs/format.md, "Redis"):
 *
 *   | line that describes it | \n | value |
 *
 * The value can be read by other clients: bytes, the text of an INTEGER or
 * REAL, nothing for NULL. A string takes half of the memory of a hash, which
 * the server stores as a table if it has a value over 64 bytes. */
#ifndef NADB_REDIS_RECORD_H
#define NADB_REDIS_RECORD_H

#include "../../core/kv/row.h"
#include "conn.h"

/* Adds the arguments of one put to a commit script: 'p', key, value, the line
 * from the type on, tags, expiry; with *plain the last two are left out. `row`
 * is in the form of core/kv/row.h and, like `key`, must outlive the arguments.
 * The caller owns `scratch`. */
nadb_rc record_put(args *a, nadb_slice key, nadb_slice row, nadb_buf *scratch,
                   bool *plain, nadb_err *err) NADB_MUST_USE;

/* Adds the value, and the line from the type on without tags. The bytes from
 * which `row` was decoded must outlive the arguments. */
nadb_rc record_add_value(args *a, const nadb_row *row,
                         nadb_err *err) NADB_MUST_USE;
void record_add_line(args *a, const nadb_row *row);
/* True if two rows without tags and expiry have the same line. */
bool record_same_line(const nadb_row *a, const nadb_row *b);

typedef struct record {
    uint64_t version;    /* of the commit that wrote it */
    uint64_t created_in; /* version of the commit that inserted the key */
    nadb_slice row;      /* in the buffer that record_get() appended to */
} record;

/* Converts a string of the server to a row, appended to *out. *found is false
 * if the key has no row. */
nadb_rc record_get(conn *c, const redisReply *text, nadb_buf *out, record *rec,
                   bool *found, nadb_err *err) NADB_MUST_USE;
/* As record_get(), for the line alone or with a part of the value, which is
 * ignored; the row has no value. */
nadb_rc record_get_line(conn *c, const redisReply *text, nadb_buf *out,
                        record *rec, bool *found, nadb_err *err) NADB_MUST_USE;

/* The parts of a stored row, as a put takes them. A string that is not a row is
 * all value. */
typedef struct record_parts {
    nadb_slice line; /* without tags */
    nadb_slice tags, expiry, value;
} record_parts;
record_parts record_split(nadb_slice text);

#endif
