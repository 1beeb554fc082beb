/* filter.c - xFilter: opens the core's cursor for the arguments of a plan.
 *
 * First all arguments are collected: bounds of the keys, or a list of keys, and
 * conditions on tags, which are checked row by row. Then the core's cursor is
 * opened once.
 *
 * For a term that SQLite checks again the cursor may return too many rows,
 * never too few. SQLite does not check key = x again: it would look for the
 * text '5.0' if a program has bound the REAL 5.0, while the key is '5'. */
#include "cursor.h"
#include "sqlite_quirks.h"

#include <math.h>

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory");
}

bool filter_is_column_number(sqlite3_value *value) {
    int type = sqlite3_value_type(value);

    return (type == SQLITE_INTEGER || type == SQLITE_FLOAT) &&
           !sqlite3_value_frombind(value);
}

void filter_clear(vcursor *c) {
    nadb_match_free(c->match);
    c->match = NULL;
    nadb_buf_clear(&c->lo);
    nadb_buf_clear(&c->hi);
    nadb_buf_clear(&c->glob_lo);
    nadb_buf_clear(&c->glob_hi);
    nadb_buf_clear(&c->keys);
    nadb_buf_clear(&c->key_text);
    nadb_buf_clear(&c->number_text);
    nadb_buf_clear(&c->scratch);
    nadb_buf_clear(&c->key_room);
}

static void reset(vcursor *c) {
    c->single = c->nothing = c->lookup = false;
    c->has_hi = c->has_glob_hi = false;
    c->parts = 0;
    c->rows_wanted = 0;
    c->check_tags = c->check_number = false;
    c->by_expiry = c->by_update = false;
    c->expires_from = c->updated_from = INT64_MIN;
    c->expires_to = c->updated_to = INT64_MAX;
    nadb_match_free(c->match);
    c->match = NULL;
    nadb_buf_reset(&c->lo);
    nadb_buf_reset(&c->hi);
    nadb_buf_reset(&c->glob_lo);
    nadb_buf_reset(&c->glob_hi);
    nadb_buf_reset(&c->keys);
    nadb_buf_reset(&c->key_text);
}

/* --- bounds --- */

/* Writes the bytes to scratch; with `after` a zero byte follows, which gives
 * the first key behind them. Scratch has memory even for no bytes, because an
 * upper bound at NULL is none. */
static nadb_rc bound_text(vcursor *c, nadb_slice bytes, bool after,
                          nadb_err *err) {
    nadb_buf_reset(&c->scratch);
    if (!nadb_buf_reserve(&c->scratch, bytes.n + 1) ||
        !nadb_buf_append(&c->scratch, bytes.p, bytes.n) ||
        (after && !nadb_buf_byte(&c->scratch, 0))) {
        return no_memory(err);
    }
    return NADB_OK;
}

static void keep_scratch(vcursor *c, nadb_buf *into) {
    nadb_buf old = *into;

    *into = c->scratch;
    c->scratch = old;
}

/* Of several bounds the tightest counts. */
static void raise_to_scratch(vcursor *c, nadb_buf *lo) {
    if (nadb_slice_cmp(nadb_buf_slice(&c->scratch), nadb_buf_slice(lo)) > 0) {
        keep_scratch(c, lo);
    }
}

static void lower_to_scratch(vcursor *c, nadb_buf *hi, bool *has_hi) {
    if (!*has_hi ||
        nadb_slice_cmp(nadb_buf_slice(&c->scratch), nadb_buf_slice(hi)) < 0) {
        keep_scratch(c, hi);
        *has_hi = true;
    }
}

static nadb_rc raise_lo(vcursor *c, nadb_slice key, bool after, nadb_err *err) {
    nadb_rc rc = bound_text(c, key, after, err);

    if (rc == NADB_OK) raise_to_scratch(c, &c->lo);
    return rc;
}

static nadb_rc lower_hi(vcursor *c, nadb_slice key, bool after, nadb_err *err) {
    nadb_rc rc = bound_text(c, key, after, err);

    if (rc == NADB_OK) lower_to_scratch(c, &c->hi, &c->has_hi);
    return rc;
}

static nadb_rc filter_bound(vcursor *c, enum plan_arg arg, sqlite3_value *value,
                            nadb_err *err) {
    bool low = arg == ARG_KEY_GT || arg == ARG_KEY_GE;
    nadb_slice key;

    if (filter_is_column_number(value)) return NADB_OK; /* it gives no bound */
    switch (key_bound_from_sql(c->v->c, value, &c->key_room, &key)) {
    case KEY_NOMEM:
        return no_memory(err);
    case KEY_NULL:
        c->nothing = true;
        return NADB_OK;
    case KEY_GIVEN:
        break;
    }
    if (low) return raise_lo(c, key, arg == ARG_KEY_GT, err);
    return lower_hi(c, key, arg == ARG_KEY_LE, err);
}

/* Number of bytes of the character at p; 0 if SQLite may equate it with other
 * bytes, because it reads U+FFFE, U+FFFF, surrogates and invalid UTF-8 as
 * U+FFFD. */
static size_t plain_char(const unsigned char *p) {
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    unsigned c = p[0];

    if (n == 1) return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    c &= 0xffu >> (n + 1);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff) return 0;
    if ((c >= 0xd800 && c < 0xe000) || (c >= 0xfffd && c <= 0xffff)) return 0;
    return n;
}

size_t filter_plain_prefix(const char *pattern) {
    const unsigned char *p = (const unsigned char *)pattern;
    size_t n = 0;

    while (p[n] != 0 && strchr("*?[", p[n]) == NULL) {
        size_t more = plain_char(p + n);

        if (more == 0) break;
        n += more;
    }
    return n;
}

/* Takes bounds from the part before the first wildcard. SQLite compares BLOBs
 * as texts here. */
static nadb_rc filter_glob(vcursor *c, sqlite3_value *value, nadb_err *err) {
    const char *pattern;
    nadb_slice prefix;
    nadb_rc rc;

    if (sqlite3_value_type(value) == SQLITE_NULL) {
        c->nothing = true;
        return NADB_OK;
    }
    pattern = (const char *)sqlite3_value_text(value);
    if (pattern == NULL) return no_memory(err);
    prefix = nadb_slice_of(pattern, filter_plain_prefix(pattern));
    rc = bound_text(c, prefix, false, err);
    if (rc != NADB_OK) return rc;
    raise_to_scratch(c, &c->glob_lo);
    /* The first text that does not have the prefix: its last byte raised by
     * one. */
    while (prefix.n > 0 && prefix.p[prefix.n - 1] == 0xff) prefix.n--;
    if (prefix.n == 0) return NADB_OK;
    rc = bound_text(c, prefix, false, err);
    if (rc != NADB_OK) return rc;
    c->scratch.p[c->scratch.n - 1]++;
    lower_to_scratch(c, &c->glob_hi, &c->has_glob_hi);
    return NADB_OK;
}

/* --- lists --- */

/* Adds a key; set_pointers() makes the slices. */
static nadb_rc add_key(vcursor *c, nadb_slice key, nadb_err *err) {
    nadb_slice place = {NULL, key.n};

    if (!nadb_buf_append(&c->key_text, key.p, key.n) ||
        !nadb_buf_append(&c->keys, &place, sizeof place)) {
        return no_memory(err);
    }
    return NADB_OK;
}

static nadb_rc add_value(vcursor *c, sqlite3_value *value, nadb_err *err) {
    nadb_slice key;

    switch (key_from_sql(c->v->c, value, &c->key_room, &key)) {
    case KEY_NOMEM:
        return no_memory(err);
    case KEY_NULL:
        return NADB_OK; /* NULL equals nothing */
    case KEY_GIVEN:
        break;
    }
    return key.n > NADB_KEY_MAX ? NADB_OK : add_key(c, key, err);
}

static nadb_rc add_tag(vcursor *c, sqlite3_value *value, nadb_err *err) {
    char digits[KEY_DIGITS];
    nadb_slice tag;
    key_kind kind = key_tag_from_sql(c->v->c, value, digits, &tag);

    if (kind == KEY_NOMEM) return no_memory(err);
    if (kind == KEY_NULL || tag.n == 0) return NADB_OK;
    return add_key(c, tag, err);
}

typedef nadb_rc add_fn(vcursor *c, sqlite3_value *value, nadb_err *err);

/* Adds each element of a list; *numbers: one was a number that was not
 * bound. */
static nadb_rc add_list(vcursor *c, sqlite3_value *value, add_fn *add,
                        bool *numbers, nadb_err *err) {
    sqlite3_value *each = NULL;
    nadb_rc rc = NADB_OK;
    int code;

    *numbers = false;
    for (code = sqlite3_vtab_in_first(value, &each);
         rc == NADB_OK && code == SQLITE_OK && each != NULL;
         code = sqlite3_vtab_in_next(value, &each)) {
        *numbers = *numbers || filter_is_column_number(each);
        rc = add(c, each, err);
    }
    if (rc == NADB_OK && code != SQLITE_OK && code != SQLITE_DONE) {
        rc = value_sqlite_error(c->v->c->db, code, err);
    }
    return rc;
}

/* The texts are stored one after the other; now that they no longer move, the
 * slices are made. */
static nadb_slice *set_pointers(vcursor *c, size_t *n) {
    nadb_slice *list = (nadb_slice *)(void *)c->keys.p;
    /* If all texts are empty there is no buffer. */
    const uint8_t *text =
        c->key_text.n == 0 ? (const uint8_t *)"" : c->key_text.p;

    *n = c->keys.n / sizeof *list;
    for (size_t i = 0; i < *n; i++) {
        list[i].p = text;
        text += list[i].n;
    }
    return list;
}

/* A number in the list means that the list has numeric affinity. SQLite checks
 * each row against the list again, so all keys are returned. */
static nadb_rc filter_list(vcursor *c, sqlite3_value *value, nadb_err *err) {
    bool numbers;
    nadb_rc rc = add_list(c, value, add_value, &numbers, err);

    c->lookup = !numbers;
    return rc;
}

/* A list of tags. Tags come before keys in a plan, so the buffers of lists are
 * free. */
static nadb_rc filter_tags(vcursor *c, enum plan_arg arg, sqlite3_value *value,
                           nadb_err *err) {
    bool numbers = false;
    nadb_slice *tags;
    size_t n = 0;
    nadb_rc rc = arg == ARG_TAG_IN ? add_list(c, value, add_tag, &numbers, err)
                                   : add_tag(c, value, err);

    if (rc == NADB_OK && c->match == NULL) c->match = nadb_match_new();
    if (rc == NADB_OK && c->match == NULL) rc = no_memory(err);
    if (rc != NADB_OK) return rc;
    tags = set_pointers(c, &n);
    if (n == 0)
        c->nothing = true;
    else
        rc = nadb_match_add_any(c->match, tags, n, err);
    nadb_buf_reset(&c->keys);
    nadb_buf_reset(&c->key_text);
    return rc;
}

/* --- a number that may mean several keys --- */

/* Bounds for the key that is the number's text (as SQLite compares an
 * expression) and for all keys that equal it as numbers (as it compares a
 * column of numeric type): every text that SQLite converts to a number. */
static nadb_rc filter_numeric(vcursor *c, sqlite3_value *value, nadb_err *err) {
    nadb_slice text;
    nadb_rc rc;

    c->check_number = true;
    c->is_integer = value_integer(value, &c->integer);
    c->real = sqlite3_value_double(value);
    nadb_buf_reset(&c->number_text);
    if (key_from_sql(c->v->c, value, &c->key_room, &text) != KEY_GIVEN ||
        !nadb_buf_append(&c->number_text, text.p, text.n)) {
        return no_memory(err);
    }
    if (isinf(sqlite3_value_double(value))) return NADB_OK; /* 'Inf' */
    /* the first white space */
    rc = raise_lo(c, nadb_slice_str("\t"), false, err);
    if (rc != NADB_OK) return rc;
    return lower_hi(c, nadb_slice_str(":"), false, err); /* behind '9' */
}

static bool is_space(uint8_t b) { return b == ' ' || (b >= '\t' && b <= '\r'); }

static nadb_slice trimmed(nadb_slice s) {
    while (s.n > 0 && is_space(s.p[0])) s = nadb_slice_of(s.p + 1, s.n - 1);
    while (s.n > 0 && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

/* *equal: the present key equals the number in SQLite's comparison of a text
 * with a number, in which 'inf' is not a number. */
static nadb_rc equals_number(vcursor *c, bool *equal, nadb_err *err) {
    nadb_slice text = trimmed(c->row->key);
    int64_t integer;
    double real;
    nadb_rc rc;

    *equal = nadb_slice_eq(c->row->key, nadb_buf_slice(&c->number_text));
    if (*equal || text.n == 0) return NADB_OK;
    if (nadb_integer_of(text, &integer)) {
        *equal = c->is_integer && integer == c->integer;
        return NADB_OK;
    }
    rc = bound_text(c, text, true, err);
    if (rc != NADB_OK) return rc;
    text = nadb_slice_of(c->scratch.p, text.n);
    if ((text.p[text.n - 1] | 0x20) == 'f' || !nadb_real_of(text, &real))
        return NADB_OK;
    *equal = c->is_integer
                 ? value_is_integral(real, &integer) && integer == c->integer
                 : real == c->real;
    return NADB_OK;
}

/* --- arguments --- */

static nadb_rc filter_equal(vcursor *c, enum plan_arg arg, sqlite3_value *value,
                            nadb_err *err) {
    if (arg == ARG_KEY_IN) return filter_list(c, value, err);
    if (arg == ARG_KEY_EQ && filter_is_column_number(value)) {
        return filter_numeric(c, value, err);
    }
    c->lookup = true;
    return add_value(c, value, err);
}

static nadb_rc filter_match(vcursor *c, sqlite3_value *value, nadb_err *err) {
    if (sqlite3_value_type(value) == SQLITE_NULL) {
        c->nothing = true;
        return NADB_OK;
    }
    return match_add(value, &c->match, err);
}

/* No row has a later expiry, in ms: 31,688 years from 1970. */
#define EXPIRES_MOST 1e15

/* Widens the bounds by more than any rounding, because SQLite compares again.
 * Values that are not numbers sort after all numbers. */
static void filter_time(vcursor *c, sqlite3_value *value, int64_t *from,
                        int64_t *to) {
    int type = sqlite3_value_type(value);
    double ms = sqlite3_value_double(value) * 1000;
    int64_t bound;

    if (type == SQLITE_NULL) c->nothing = true;
    if ((type != SQLITE_INTEGER && type != SQLITE_FLOAT) ||
        !(ms > -EXPIRES_MOST && ms < EXPIRES_MOST)) {
        return;
    }
    bound = (int64_t)ms;
    if (from != NULL && bound - 2 > *from) *from = bound - 2;
    if (to != NULL && bound + 2 < *to) *to = bound + 2;
}

/* NULL and negative numbers are no limit. */
static void filter_limit(vcursor *c, sqlite3_value *value) {
    int64_t rows = sqlite3_value_int64(value);

    c->rows_wanted = rows < 0            ? 0
                     : rows > UINT32_MAX ? UINT32_MAX
                                         : (uint32_t)rows;
}

static nadb_rc filter_arg(vcursor *c, enum plan_arg arg, sqlite3_value *value,
                          nadb_err *err) {
    switch (arg) {
    case ARG_KEY_TEXT:
    case ARG_KEY_EQ:
    case ARG_KEY_IN:
        return filter_equal(c, arg, value, err);
    case ARG_TAG_EQ:
    case ARG_TAG_IN:
        return filter_tags(c, arg, value, err);
    case ARG_KEY_GT:
    case ARG_KEY_GE:
    case ARG_KEY_LT:
    case ARG_KEY_LE:
        return filter_bound(c, arg, value, err);
    case ARG_KEY_GLOB:
        return filter_glob(c, value, err);
    case ARG_TAGS_MATCH:
        return filter_match(c, value, err);
    case ARG_EXPIRES_FROM:
        c->by_expiry = true;
        filter_time(c, value, &c->expires_from, NULL);
        break;
    case ARG_EXPIRES_TO:
        c->by_expiry = true;
        filter_time(c, value, NULL, &c->expires_to);
        break;
    case ARG_UPDATED_FROM:
        c->by_update = true;
        filter_time(c, value, &c->updated_from, NULL);
        break;
    case ARG_UPDATED_TO:
        c->by_update = true;
        filter_time(c, value, NULL, &c->updated_to);
        break;
    case ARG_LIMIT:
        filter_limit(c, value);
        break;
    case ARG_NONE:
        break;
    }
    return NADB_OK;
}

/* --- rows --- */

enum { PART_TEXTS = 1, PART_BLOBS = 2 };

static nadb_scan scan_of(const vcursor *c) {
    nadb_scan scan = {.lo = nadb_buf_slice(&c->lo),
                      .reverse = (c->plan & PLAN_REVERSE) != 0,
                      .match = c->match,
                      .key_only = (c->plan & PLAN_KEYS) != 0,
                      .rows_wanted = c->rows_wanted,
                      .by_expiry = c->by_expiry,
                      .expires_from = c->expires_from,
                      .expires_to = c->expires_to,
                      .by_update = c->by_update,
                      .updated_from = c->updated_from,
                      .updated_to = c->updated_to};

    if (c->has_hi) scan.hi = nadb_buf_slice(&c->hi);
    return scan;
}

static nadb_rc open_scan(vcursor *c, const nadb_scan *scan, nadb_err *err) {
    if (scan->hi.p != NULL && nadb_slice_cmp(scan->lo, scan->hi) >= 0) {
        nadb_cursor_close(c->core); /* no key can match */
        return NADB_OK;
    }
    return nadb_cursor_scan(c->core, scan, err);
}

/* Opens the keys that are texts, within all bounds. */
static nadb_rc open_texts(vcursor *c, nadb_err *err) {
    nadb_scan scan = scan_of(c);
    nadb_slice glob_lo = nadb_buf_slice(&c->glob_lo);
    nadb_slice glob_hi =
        c->has_glob_hi ? nadb_buf_slice(&c->glob_hi) : nadb_key_first_blob;

    if (nadb_slice_cmp(glob_lo, scan.lo) > 0) scan.lo = glob_lo;
    if (scan.hi.p == NULL || nadb_slice_cmp(glob_hi, scan.hi) < 0)
        scan.hi = glob_hi;
    return open_scan(c, &scan, err);
}

/* Opens the keys that are BLOBs, with GLOB's prefix. Other bounds are left to
 * SQLite: it may have derived them from LIKE, and then they do not apply to
 * BLOBs. */
static nadb_rc open_blobs(vcursor *c, nadb_err *err) {
    nadb_scan scan = scan_of(c);

    nadb_buf_reset(&c->scratch);
    nadb_buf_reset(&c->key_room);
    if (!nadb_key_put_blob(&c->scratch, nadb_buf_slice(&c->glob_lo)) ||
        !nadb_key_put_blob(&c->key_room, nadb_buf_slice(&c->glob_hi))) {
        return no_memory(err);
    }
    scan.lo = nadb_buf_slice(&c->scratch);
    scan.hi =
        c->has_glob_hi ? nadb_buf_slice(&c->key_room) : nadb_slice_of(NULL, 0);
    return open_scan(c, &scan, err);
}

static nadb_rc open_next_part(vcursor *c, nadb_err *err) {
    bool reverse = (c->plan & PLAN_REVERSE) != 0;
    bool texts = (c->parts & PART_TEXTS) != 0 &&
                 (!reverse || (c->parts & PART_BLOBS) == 0);

    c->parts &= texts ? ~(unsigned)PART_TEXTS : ~(unsigned)PART_BLOBS;
    return texts ? open_texts(c, err) : open_blobs(c, err);
}

nadb_rc filter_settle(vcursor *c, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (;;) {
        bool fits = true;

        c->row = nadb_cursor_row(c->core);
        if (c->row == NULL) {
            if (c->parts == 0) return NADB_OK;
            rc = open_next_part(c, err);
            if (rc != NADB_OK) return rc;
            continue;
        }
        if (c->check_number) rc = equals_number(c, &fits, err);
        if (rc == NADB_OK && fits && c->check_tags)
            fits = nadb_match_tags(c->match, c->row->tags);
        if (rc == NADB_OK && fits) return NADB_OK;
        if (rc == NADB_OK) rc = nadb_cursor_next(c->core, err);
        if (rc != NADB_OK) return rc;
    }
}

static nadb_rc step(vcursor *c, nadb_err *err) {
    nadb_rc rc = nadb_cursor_next(c->core, err);

    return rc == NADB_OK ? filter_settle(c, err) : rc;
}

/* Opens the core's cursor if a row can match. */
static nadb_rc open_core(vcursor *c, nadb_err *err) {
    nadb_scan scan = scan_of(c);
    nadb_slice *keys;
    size_t n;

    if (!c->lookup && (c->plan & PLAN_LIKE) != 0) {
        c->parts = PART_TEXTS;
        if (conn_globs_blobs(c->v->c)) c->parts |= PART_BLOBS;
        return open_next_part(c, err);
    }
    if (!c->lookup) return open_scan(c, &scan, err);
    keys = set_pointers(c, &n);
    if (n == 0) return NADB_OK;
    c->check_tags = c->match != NULL;
    return nadb_cursor_keys(c->core, keys, n, scan.reverse, err);
}

/* --- one row, although a number may mean several keys --- */

static nadb_rc start(vcursor *c, nadb_err *err) {
    nadb_rc rc;

    nadb_cursor_close(c->core);
    c->row = NULL;
    rc = open_core(c, err);
    return rc == NADB_OK ? filter_settle(c, err) : rc;
}

/* Moves to the key that equals the number. If there are several, and the
 * statement would change only the first, fails. */
static nadb_rc only_equal(vcursor *c, sqlite3_value *value, nadb_err *err) {
    nadb_rc rc = NADB_OK;
    bool found = false;

    while (rc == NADB_OK && c->row != NULL) {
        if (found) {
            if (!quirk_first_row_only(c->v->c->db)) return start(c, err);
            return nadb_fail(err, NADB_INVALID,
                             "several keys equal the number %s: compare with "
                             "text, as in key = CAST(x AS TEXT)",
                             (const char *)sqlite3_value_text(value));
        }
        rc = bound_text(c, c->row->key, false, err);
        if (rc == NADB_OK) {
            keep_scratch(c, &c->lo);
            found = true;
            rc = step(c, err);
        }
    }
    if (rc != NADB_OK || !found) return rc;
    rc = nadb_cursor_key(c->core, nadb_buf_slice(&c->lo), false, err);
    c->single = true;
    c->check_number = false;
    c->check_tags = c->match != NULL;
    return rc == NADB_OK ? filter_settle(c, err) : rc;
}

/* --- xFilter --- */

int filter_any(vcursor *c, int argc, sqlite3_value **argv) {
    unsigned args = (unsigned)c->plan >> PLAN_ARG_SHIFT;
    sqlite3_value *key = NULL;
    nadb_err err;
    nadb_rc rc = NADB_OK;

    reset(c);
    for (int i = 0; i < argc && rc == NADB_OK; i++) {
        enum plan_arg arg = (enum plan_arg)(args & ((1u << PLAN_ARG_BITS) - 1));

        if (arg == ARG_KEY_EQ) key = argv[i];
        rc = filter_arg(c, arg, argv[i], &err);
        args >>= PLAN_ARG_BITS;
    }
    if (rc != NADB_OK) return vcursor_failed(c, &err);
    if (c->nothing) {
        nadb_cursor_close(c->core);
        c->row = NULL;
        return SQLITE_OK;
    }
    rc = start(c, &err);
    if (rc == NADB_OK && (c->plan & PLAN_UNIQUE) != 0 && !c->lookup &&
        c->v->phase != PHASE_IDLE && quirk_is_writing(c->v->c->db)) {
        rc = only_equal(c, key, &err);
    }
    return rc == NADB_OK ? SQLITE_OK : vcursor_failed(c, &err);
}
