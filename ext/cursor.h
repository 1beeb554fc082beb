/* cursor.h - an SQL cursor, as cursor.c and filter.c know it. */
#ifndef NADB_EXT_CURSOR_H
#define NADB_EXT_CURSOR_H

#include "ext.h"

struct vcursor {
    sqlite3_vtab_cursor base; /* SQLite's part: first */
    vtab *v;
    nadb_cursor *core;
    const nadb_row *row; /* NULL at the end */
    bool single;         /* at most the present row */
    int plan;
    int last_column; /* asked for before the present one */

    /* What the present xFilter asks for: filter.c. */
    bool nothing;    /* no row can match */
    bool lookup;     /* `keys` are all that is asked for; else lo and hi */
    nadb_buf lo, hi; /* lo <= key < hi */
    bool has_hi;
    /* GLOB and LIKE match BLOBs too, which lie elsewhere: then texts and BLOBs
     * are walked over one after the other. lo and hi are for texts, and so is
     * the prefix that GLOB asks for, glob_lo <= text < glob_hi. */
    unsigned parts; /* PART_* that are still to come */
    nadb_buf glob_lo, glob_hi;
    bool has_glob_hi;
    nadb_buf keys; /* of nadb_slice */
    nadb_buf key_text;
    nadb_match *match; /* what the tags must be; NULL: anything */
    bool check_tags;   /* rows are to be checked against it */
    /* key = a number that was not bound: keys that are its text, or are equal
     * to it as numbers. */
    bool check_number;
    bool is_integer;
    int64_t integer;
    double real;
    nadb_buf number_text;
    bool by_expiry; /* rows whose expiry is in [expires_from, expires_to] */
    int64_t expires_from, expires_to; /* ms */
    bool by_update;                   /* likewise by updated_at */
    int64_t updated_from, updated_to;

    nadb_buf scratch;  /* JSON, bounds */
    nadb_buf key_room; /* of key_from_sql() */
    vcursor *next;     /* in the list of closed ones */
};

/* Ends the walk, and puts the error into the table. */
int vcursor_failed(vcursor *c, const nadb_err *err);

/* Plans other than the lookup of one key. */
int filter_any(vcursor *c, int argc, sqlite3_value **argv);
/* From where the core's cursor is, on to a row that belongs to the answer. */
nadb_rc filter_settle(vcursor *c, nadb_err *err) NADB_MUST_USE;
/* A number that was not bound may come from a column of numeric type. Then
 * SQLite compares numbers, not texts; we cannot see which. */
bool filter_is_column_number(sqlite3_value *value);
void filter_clear(vcursor *c); /* frees */

#endif
