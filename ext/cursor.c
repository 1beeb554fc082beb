/* cursor.c - SQL cursors: xOpen, xFilter, xNext, xColumn.
 *
 * A lookup of one key is the path that counts: xOpen takes a used cursor from
 * the table's list, xFilter hands the key to the core, xColumn hands out the
 * value where it lies. No call of sqlite3_malloc(), whose statistics mutex all
 * threads share, and none of malloc() once a cursor has been used.
 *
 * From xOpen to xClose the cursor counts as a reader of its session. That
 * keeps one snapshot for the statement, and keeps the bytes that SQLite holds
 * as SQLITE_STATIC: it holds them beyond xNext, xFilter and even xClose (a
 * one-row UPDATE closes the cursor before xUpdate). */
#include "ext.h"

/* One tag of a condition on column `tag`. Conditions of equal `group` are one
 * IN list: one of them must be there. */
typedef struct wanted_tag {
    size_t group;
    size_t at, n; /* in vcursor.tag_text */
} wanted_tag;

struct vcursor {
    sqlite3_vtab_cursor base; /* SQLite's part: first */
    vtab *v;
    nadb_cursor *core;
    const nadb_row *row; /* NULL at the end */
    bool single;         /* at most the present row */
    int plan;
    int64_t left;    /* rows to return, with the present one */
    int last_column; /* asked for before the present one */

    /* Of the present xFilter. */
    nadb_buf lo, hi; /* lo <= key < hi */
    bool has_hi;
    bool nothing;    /* no row can match */
    nadb_buf wanted; /* of wanted_tag */
    size_t groups;   /* of these */
    nadb_buf tag_text;
    nadb_buf keys; /* of nadb_slice: a list of keys */
    nadb_buf key_text;
    bool lookup;      /* `keys` are all that is asked for */
    nadb_buf scratch; /* JSON, bounds */

    vcursor *next; /* in the list of closed ones */
};

#define SPARE_MAX 8u

static int failed(vcursor *c, const nadb_err *err) {
    c->row = NULL;
    return value_vtab_error(&c->v->base, err);
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory");
}

/* --- open, close --- */

static void vcursor_free(vcursor *c) {
    nadb_cursor_free(c->core);
    nadb_buf_clear(&c->lo);
    nadb_buf_clear(&c->hi);
    nadb_buf_clear(&c->wanted);
    nadb_buf_clear(&c->keys);
    nadb_buf_clear(&c->tag_text);
    nadb_buf_clear(&c->key_text);
    nadb_buf_clear(&c->scratch);
    nadb_free(c);
}

static nadb_rc vcursor_new(vtab *v, vcursor **out, nadb_err *err) {
    vcursor *c = nadb_calloc(1, sizeof *c);
    nadb_rc rc;

    *out = NULL;
    if (c == NULL) return no_memory(err);
    c->v = v;
    rc = nadb_cursor_new(v->s->core, &c->core, err);
    if (rc != NADB_OK) {
        nadb_free(c);
        return rc;
    }
    *out = c;
    return NADB_OK;
}

int vcursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    vtab *v = (vtab *)base;
    vcursor *c = v->spare;
    nadb_err err;

    if (c != NULL) {
        v->spare = c->next;
        v->n_spare--;
    } else if (vtab_open(v, &err) != NADB_OK ||
               vcursor_new(v, &c, &err) != NADB_OK) {
        return value_vtab_error(base, &err);
    }
    c->row = NULL;
    nadb_session_enter(v->s->core);
    *out = &c->base;
    return SQLITE_OK;
}

int vcursor_close(sqlite3_vtab_cursor *base) {
    vcursor *c = (vcursor *)base;
    vtab *v = c->v;

    nadb_cursor_close(c->core);
    nadb_session_leave(v->s->core);
    if (v->n_spare >= SPARE_MAX) {
        vcursor_free(c);
        return SQLITE_OK;
    }
    c->next = v->spare;
    v->spare = c;
    v->n_spare++;
    return SQLITE_OK;
}

void vcursor_free_spare(vtab *v) {
    while (v->spare != NULL) {
        vcursor *c = v->spare;

        v->spare = c->next;
        vcursor_free(c);
    }
    v->n_spare = 0;
}

/* --- xFilter: bounds --- */

/* bytes, and a zero byte when `after`: the first key behind them. */
static nadb_rc bound_text(vcursor *c, nadb_slice bytes, bool after,
                          nadb_err *err) {
    nadb_buf_reset(&c->scratch);
    if (!nadb_buf_append(&c->scratch, bytes.p, bytes.n) ||
        (after && !nadb_buf_byte(&c->scratch, 0))) {
        return no_memory(err);
    }
    return NADB_OK;
}

/* Swaps the text in scratch in. */
static void keep_scratch(vcursor *c, nadb_buf *into) {
    nadb_buf old = *into;

    *into = c->scratch;
    c->scratch = old;
}

static nadb_rc raise_lo(vcursor *c, nadb_slice key, bool after, nadb_err *err) {
    nadb_rc rc = bound_text(c, key, after, err);

    if (rc == NADB_OK && nadb_slice_cmp(nadb_buf_slice(&c->scratch),
                                        nadb_buf_slice(&c->lo)) > 0) {
        keep_scratch(c, &c->lo);
    }
    return rc;
}

static nadb_rc lower_hi(vcursor *c, nadb_slice key, bool after, nadb_err *err) {
    nadb_rc rc = bound_text(c, key, after, err);

    if (rc == NADB_OK &&
        (!c->has_hi || nadb_slice_cmp(nadb_buf_slice(&c->scratch),
                                      nadb_buf_slice(&c->hi)) < 0)) {
        keep_scratch(c, &c->hi);
        c->has_hi = true;
    }
    return rc;
}

static nadb_rc filter_bound(vcursor *c, enum plan_arg arg, sqlite3_value *value,
                            nadb_err *err) {
    bool low = arg == ARG_KEY_GT || arg == ARG_KEY_GE;
    int type = sqlite3_value_type(value);
    nadb_slice key;

    /* A number that was not bound may come from a numeric column: then SQLite
     * compares numerically, and we cannot tell. It checks the term itself. */
    if ((type == SQLITE_INTEGER || type == SQLITE_FLOAT) &&
        !sqlite3_value_frombind(value)) {
        return NADB_OK;
    }
    switch (value_key(value, &key)) {
    case VALUE_KEY_NOMEM:
        return no_memory(err);
    case VALUE_KEY_NULL:
        c->nothing = true;
        return NADB_OK;
    case VALUE_KEY_BLOB: /* every BLOB is above every text */
        if (low) c->nothing = true;
        return NADB_OK;
    case VALUE_KEY_TEXT:
        break;
    }
    if (low) return raise_lo(c, key, arg == ARG_KEY_GT, err);
    return lower_hi(c, key, arg == ARG_KEY_LE, err);
}

/* The part of the pattern before the first wildcard bounds the keys. */
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
    prefix = nadb_slice_of(pattern, strcspn(pattern, "*?["));
    rc = raise_lo(c, prefix, false, err);
    /* The first text that does not begin with it: the last byte raised. */
    while (prefix.n > 0 && prefix.p[prefix.n - 1] == 0xff) prefix.n--;
    if (rc != NADB_OK || prefix.n == 0) return rc;
    rc = bound_text(c, prefix, false, err);
    if (rc != NADB_OK) return rc;
    c->scratch.p[c->scratch.n - 1]++;
    if (!c->has_hi || nadb_slice_cmp(nadb_buf_slice(&c->scratch),
                                     nadb_buf_slice(&c->hi)) < 0) {
        keep_scratch(c, &c->hi);
        c->has_hi = true;
    }
    return NADB_OK;
}

/* --- xFilter: lists --- */

static nadb_rc add_tag(vcursor *c, nadb_slice tag, nadb_err *err) {
    wanted_tag w = {c->groups, c->tag_text.n, tag.n};

    if (!nadb_buf_append(&c->tag_text, tag.p, tag.n) ||
        !nadb_buf_append(&c->wanted, &w, sizeof w)) {
        return no_memory(err);
    }
    return NADB_OK;
}

/* The texts lie one behind the other; open_core() sets the pointers, when
 * they do not move any more. */
static nadb_rc add_key(vcursor *c, nadb_slice key, nadb_err *err) {
    nadb_slice place = {NULL, key.n};

    if (!nadb_buf_append(&c->key_text, key.p, key.n) ||
        !nadb_buf_append(&c->keys, &place, sizeof place)) {
        return no_memory(err);
    }
    return NADB_OK;
}

static nadb_rc add_value(vcursor *c, enum plan_arg arg, sqlite3_value *value,
                         nadb_err *err) {
    nadb_slice text;

    switch (value_key(value, &text)) {
    case VALUE_KEY_NOMEM:
        return no_memory(err);
    case VALUE_KEY_TEXT:
        break;
    default:
        return NADB_OK; /* equals no text */
    }
    if (text.n == 0 || text.n > NADB_KEY_MAX) return NADB_OK;
    if (arg == ARG_TAG_EQ || arg == ARG_TAG_IN) return add_tag(c, text, err);
    return add_key(c, text, err);
}

static nadb_rc filter_list(vcursor *c, enum plan_arg arg, sqlite3_value *value,
                           nadb_err *err) {
    sqlite3_value *each = NULL;
    nadb_rc rc = NADB_OK;
    int code = SQLITE_OK;

    if (arg == ARG_KEY_EQ || arg == ARG_TAG_EQ) {
        rc = add_value(c, arg, value, err);
    } else {
        for (code = sqlite3_vtab_in_first(value, &each);
             rc == NADB_OK && code == SQLITE_OK && each != NULL;
             code = sqlite3_vtab_in_next(value, &each)) {
            rc = add_value(c, arg, each, err);
        }
    }
    if (rc == NADB_OK && code != SQLITE_OK && code != SQLITE_DONE) {
        rc = value_sqlite_error(c->v->c->db, code, err);
    }
    if (arg == ARG_TAG_EQ || arg == ARG_TAG_IN) {
        c->groups++;
    } else {
        c->lookup = true;
    }
    return rc;
}

/* --- xFilter --- */

static nadb_rc filter_arg(vcursor *c, enum plan_arg arg, sqlite3_value *value,
                          int64_t *offset, nadb_err *err) {
    switch (arg) {
    case ARG_KEY_EQ:
    case ARG_KEY_IN:
    case ARG_TAG_EQ:
    case ARG_TAG_IN:
        return filter_list(c, arg, value, err);
    case ARG_KEY_GT:
    case ARG_KEY_GE:
    case ARG_KEY_LT:
    case ARG_KEY_LE:
        return filter_bound(c, arg, value, err);
    case ARG_KEY_GLOB:
        return filter_glob(c, value, err);
    case ARG_LIMIT:
        if (sqlite3_value_int64(value) >= 0) {
            c->left = sqlite3_value_int64(value);
        }
        return NADB_OK;
    case ARG_OFFSET:
        *offset = sqlite3_value_int64(value);
        return NADB_OK;
    case ARG_NONE:
        break;
    }
    return NADB_OK;
}

/* Whether the present row has the tags that are asked for. */
static bool has_tags(const vcursor *c) {
    const wanted_tag *w = (const wanted_tag *)(const void *)c->wanted.p;
    size_t n = c->wanted.n / sizeof *w;
    size_t i = 0;

    for (size_t group = 0; group < c->groups; group++) {
        bool found = false;

        for (; i < n && w[i].group == group; i++) {
            nadb_slice tag = nadb_slice_of(c->tag_text.p + w[i].at, w[i].n);

            found = found || nadb_tags_has(c->row->tags, tag);
        }
        if (!found) return false;
    }
    return true;
}

/* From where the core's cursor is, on to a row that belongs to the answer. */
static nadb_rc settle(vcursor *c, nadb_err *err) {
    nadb_rc rc;

    for (;;) {
        c->row = nadb_cursor_row(c->core);
        if (c->row == NULL || c->groups == 0 || has_tags(c)) return NADB_OK;
        rc = nadb_cursor_next(c->core, err);
        if (rc != NADB_OK) return rc;
    }
}

static nadb_rc open_core(vcursor *c, nadb_err *err) {
    bool reverse = (c->plan & PLAN_REVERSE) != 0;
    nadb_slice *keys = (nadb_slice *)(void *)c->keys.p;
    size_t n = c->keys.n / sizeof *keys;
    const uint8_t *text = c->key_text.p;
    nadb_scan scan = {.lo = nadb_buf_slice(&c->lo), .reverse = reverse};

    if (!c->lookup) {
        if (c->has_hi) {
            scan.hi = nadb_buf_slice(&c->hi);
            if (nadb_slice_cmp(scan.lo, scan.hi) >= 0) return NADB_OK;
        }
        return nadb_cursor_scan(c->core, &scan, err);
    }
    if (n == 0) return NADB_OK;
    for (size_t i = 0; i < n; i++) {
        keys[i].p = text;
        text += keys[i].n;
    }
    return nadb_cursor_keys(c->core, keys, n, reverse, err);
}

static int filter_any(vcursor *c, int argc, sqlite3_value **argv) {
    unsigned args = (unsigned)c->plan >> PLAN_ARG_SHIFT;
    int64_t offset = 0;
    nadb_err err;
    nadb_rc rc = NADB_OK;

    c->single = c->has_hi = c->nothing = c->lookup = false;
    c->left = INT64_MAX;
    c->groups = 0;
    nadb_buf_reset(&c->lo);
    nadb_buf_reset(&c->hi);
    nadb_buf_reset(&c->wanted);
    nadb_buf_reset(&c->tag_text);
    nadb_buf_reset(&c->keys);
    nadb_buf_reset(&c->key_text);
    for (int i = 0; i < argc && rc == NADB_OK; i++) {
        enum plan_arg arg = (enum plan_arg)(args & ((1u << PLAN_ARG_BITS) - 1));

        rc = filter_arg(c, arg, argv[i], &offset, &err);
        args >>= PLAN_ARG_BITS;
    }
    if (rc != NADB_OK) return failed(c, &err);
    nadb_cursor_close(c->core);
    c->row = NULL;
    if (c->nothing || c->left == 0) return SQLITE_OK;
    rc = open_core(c, &err);
    if (rc == NADB_OK) rc = settle(c, &err);
    for (; rc == NADB_OK && offset > 0 && c->row != NULL; offset--) {
        rc = nadb_cursor_next(c->core, &err);
        if (rc == NADB_OK) rc = settle(c, &err);
    }
    return rc == NADB_OK ? SQLITE_OK : failed(c, &err);
}

int vcursor_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                   int argc, sqlite3_value **argv) {
    vcursor *c = (vcursor *)base;
    nadb_slice key;
    nadb_err err;

    (void)text; /* for EXPLAIN QUERY PLAN */
    c->plan = plan;
    if (plan >> PLAN_ARG_SHIFT != ARG_KEY_EQ) return filter_any(c, argc, argv);

    c->single = true;
    c->row = NULL;
    switch (value_key(argv[0], &key)) {
    case VALUE_KEY_TEXT:
        break;
    case VALUE_KEY_NOMEM:
        (void)no_memory(&err);
        return failed(c, &err);
    default:
        return SQLITE_OK; /* equals no text */
    }
    if (key.n == 0 || key.n > NADB_KEY_MAX) return SQLITE_OK;
    if (nadb_cursor_key(c->core, key, (plan & PLAN_KEY_ONLY) != 0, &err) !=
        NADB_OK) {
        return failed(c, &err);
    }
    c->row = nadb_cursor_row(c->core);
    return SQLITE_OK;
}

int vcursor_next(sqlite3_vtab_cursor *base) {
    vcursor *c = (vcursor *)base;
    nadb_err err;

    if (c->single || --c->left <= 0) {
        c->row = NULL;
        return SQLITE_OK;
    }
    if (nadb_cursor_next(c->core, &err) != NADB_OK) return failed(c, &err);
    if (c->groups == 0) {
        c->row = nadb_cursor_row(c->core);
    } else if (settle(c, &err) != NADB_OK) {
        return failed(c, &err);
    }
    return SQLITE_OK;
}

int vcursor_eof(sqlite3_vtab_cursor *base) {
    return ((vcursor *)base)->row == NULL;
}

/* --- columns --- */

static int column_error(sqlite3_context *ctx, const nadb_err *err) {
    sqlite3_result_error(ctx, err->msg, -1);
    sqlite3_result_error_code(ctx, value_code(err->rc));
    return value_code(err->rc);
}

static int column_value(vcursor *c, sqlite3_context *ctx) {
    nadb_value value;
    bool pinned = false;
    nadb_err err;

    if (nadb_cursor_value(c->core, &value, &pinned, &err) != NADB_OK) {
        return failed(c, &err);
    }
    value_to_sql(ctx, &value, pinned);
    return SQLITE_OK;
}

static int column_tags(vcursor *c, sqlite3_context *ctx) {
    if (c->row->tags.n == 0) return SQLITE_OK; /* NULL */
    nadb_buf_reset(&c->scratch);
    if (!nadb_tags_json(c->row->tags, &c->scratch)) return SQLITE_NOMEM;
    value_text_to_sql(ctx, nadb_buf_slice(&c->scratch), false);
    return SQLITE_OK;
}

/* Only reached when the term could not be given to xFilter. */
static int column_tag(vcursor *c, sqlite3_context *ctx) {
    nadb_err err;

    /* UPDATE .. FROM reads every column in turn, though nobody named tag. */
    if ((c->plan & PLAN_TAG_USED) == 0 ||
        ((c->plan & PLAN_ALL_USED) != 0 && c->v->phase != PHASE_IDLE &&
         c->last_column == COL_SIZE)) {
        return SQLITE_OK;
    }
    (void)nadb_fail(&err, NADB_INVALID,
                    "column tag is only a filter, as in tag = 'x' AND ..; "
                    "inside OR, NOT and other expressions use tags MATCH");
    return column_error(ctx, &err);
}

static int column_ttl(vcursor *c, sqlite3_context *ctx) {
    c->v->read_ms = nadb_cursor_now(c->core);
    value_time_to_sql(ctx, c->row->expires_ms - c->v->read_ms);
    return SQLITE_OK;
}

int vcursor_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int i) {
    vcursor *c = (vcursor *)base;
    const nadb_row *row = c->row;
    bool mortal = row->expires_ms != NADB_NO_EXPIRY;

    if (i == COL_KEY) { /* also under nochange: it names the row */
        value_text_to_sql(ctx, row->key, row->pinned);
        return SQLITE_OK;
    }
    if (sqlite3_vtab_nochange(ctx)) return SQLITE_OK;
    if (i != COL_TAG) c->last_column = i;
    switch (i) {
    case COL_VALUE:
        return column_value(c, ctx);
    case COL_TAGS:
        return column_tags(c, ctx);
    case COL_TTL:
        return mortal ? column_ttl(c, ctx) : SQLITE_OK;
    case COL_EXPIRES_AT:
        if (mortal) value_time_to_sql(ctx, row->expires_ms);
        break;
    case COL_CREATED_AT:
        value_time_to_sql(ctx, row->created_ms);
        break;
    case COL_UPDATED_AT:
        value_time_to_sql(ctx, row->updated_ms);
        break;
    case COL_SIZE:
        sqlite3_result_int64(ctx, (int64_t)row->size);
        break;
    case COL_TAG:
        return column_tag(c, ctx);
    case COL_STORED_SIZE:
        sqlite3_result_int64(ctx, (int64_t)row->stored.n);
        break;
    default:
        break; /* accessed_at: not tracked */
    }
    return SQLITE_OK;
}
