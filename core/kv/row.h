/* row.h - a row as the value of an entry in keyspace NADB_KS_ROW. Backends may
 * include it, to store the parts of a row apart.
 *
 * Bytes (docs/format.md, "Row"):
 *
 *   flags     u8   bits 0-2 type (nadb_type), 3 updated, 4 expires, 5 tags,
 *                  6 coded
 *   created   6    ms since 1970, signed, little-endian
 *   updated   6    when bit 3; else equal to created
 *   expires   6    when bit 4; else never
 *   tags      varint length, tag list (core/kv/tags.h)       when bit 5
 *   codec     u8, then varint size of the decoded value   when bit 6
 *   value     to the end: INTEGER zigzag varint, REAL 8 bytes IEEE 754 little-
 *             endian, TEXT and BLOB the bytes, coded or not
 *
 * What is decoded is checked: a row with impossible bytes is NADB_CORRUPT. */
#ifndef NADB_ROW_H
#define NADB_ROW_H

#include "../backend.h"
#include "../nadb.h"

/* Latest and earliest times that a row can hold: 48-bit ms. */
#define NADB_TIME_MAX ((int64_t)0x7fffffffffff)
#define NADB_TIME_MIN (-NADB_TIME_MAX)

/* The keys of all rows. */
extern const nadb_range nadb_all_rows;

typedef struct nadb_row_head {
    nadb_type type;
    uint8_t codec;
    uint64_t size; /* decoded size of the value */
    nadb_slice tags;
    int64_t created_ms, updated_ms, expires_ms;
} nadb_row_head;

/* The largest size of the head. */
size_t nadb_row_head_max(const nadb_row_head *h);
/* Writes the head at `p`; returns where the value goes. */
uint8_t *nadb_row_head_put(uint8_t *p, const nadb_row_head *h);
/* Decodes `bytes`; does not touch row->key, pinned and id. */
nadb_rc nadb_row_decode(nadb_slice bytes, nadb_row *row,
                        nadb_err *err) NADB_MUST_USE;
/* The expiry alone, which is cheap. Invalid bytes give NADB_NO_EXPIRY; decoding
 * reports them. */
int64_t nadb_row_expires(nadb_slice bytes);

/* Adds an entry to the totals (`in`) or subtracts it; entries of keyspaces that
 * are not counted change nothing. t->known becomes false after an entry with
 * invalid bytes, or if a total would fall below 0. */
void nadb_totals_count(nadb_totals *t, const nadb_entry *e, bool in);

/* Writes a number; returns its size, at most 10 bytes. */
size_t nadb_number_put(uint8_t *p, const nadb_value *v);
/* The value of a row, from its decoded bytes. */
nadb_rc nadb_row_value(const nadb_row *row, nadb_slice decoded, nadb_value *out,
                       nadb_err *err) NADB_MUST_USE;

#endif
