/* cursor.h - struct vcursor, an SQL cursor, for cursor.c and filter.c. */
#ifndef NADB_EXT_CURSOR_H
#define NADB_EXT_CURSOR_H

#include "ext.h"

struct vcursor {
    sqlite3_vtab_cursor base; /* SQLite's part, first member */
    vtab *v;
    nadb_cursor *core;
    const nadb_row *row; /* NULL at the end */
    bool single;         /* the walk has at most the present row */
    int plan;
    int last_column; /* the column that SQLite asked for before */
    bool tag_read;   /* column tag was read last, by UPDATE .. FROM if
                        stored_size is read next */

    /* The request of the present xFilter (filter.c). */
    bool nothing;    /* no row can match */
    bool lookup;     /* only the keys in `keys`; otherwise the range lo, hi */
    nadb_buf lo, hi; /* lo <= key < hi */
    bool has_hi;
    /* GLOB and LIKE match BLOBs too, whose keys are in another range; texts and
     * BLOBs are then walked over one after the other. lo and hi apply to texts,
     * and so does GLOB's prefix, glob_lo <= text < glob_hi. */
    unsigned parts;       /* PART_* that are left */
    uint32_t rows_wanted; /* from LIMIT; 0: not known */
    nadb_buf glob_lo, glob_hi;
    bool has_glob_hi;
    nadb_buf keys; /* array of nadb_slice */
    nadb_buf key_text;
    nadb_match *match; /* required tags; NULL: any */
    bool check_tags;   /* each row must be checked against `match` */
    /* key = a number that was not bound: the row's key must be the number's
     * text, or be equal to it as a number. */
    bool check_number;
    bool is_integer;
    int64_t integer;
    double real;
    nadb_buf number_text;
    bool by_expiry; /* only rows whose expiry is in the range below */
    int64_t expires_from, expires_to; /* ms */
    bool by_update;                   /* as by_expiry, for updated_at */
    int64_t updated_from, updated_to;

    nadb_buf scratch;  /* JSON, or a bound */
    nadb_buf key_room; /* room for key_from_sql() */
    vcursor *next;     /* in the list of closed cursors */
};

/* Ends the walk and stores the error in the table. */
int vcursor_failed(vcursor *c, const nadb_err *err);

/* xFilter for every plan but the lookup of one key. */
int filter_any(vcursor *c, int argc, sqlite3_value **argv);
/* Moves from the core cursor's row on to a row that matches. */
nadb_rc filter_settle(vcursor *c, nadb_err *err) NADB_MUST_USE;
/* True if the value is a number that was not bound. It may come from a column
 * of numeric type; SQLite then compares numbers instead of texts, which xFilter
 * cannot see. */
bool filter_is_column_number(sqlite3_value *value);
void filter_clear(vcursor *c); /* frees the request */

#endif
