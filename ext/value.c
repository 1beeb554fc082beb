/* value.c - converts values and error codes between SQLite and the core.
 *
 * Every SQLITE_* code for an error of the core is made here, with its message.
 * Errors of the engine (not of input) are also written to sqlite3_log(), as
 * SQLite does with its own.
 *
 * Converted bytes do not outlive the sqlite3_value. */
#include "ext.h"

#include <math.h>

/* --- errors --- */

int value_code(nadb_rc rc) {
    switch (rc) {
    case NADB_OK:
        return SQLITE_OK;
    case NADB_NOMEM:
        return SQLITE_NOMEM;
    case NADB_IOERR:
        return SQLITE_IOERR;
    case NADB_FULL:
        return SQLITE_FULL;
    case NADB_CORRUPT:
        return SQLITE_CORRUPT_VTAB;
    /* Plain SQLITE_BUSY would leave an explicit COMMIT half done. */
    case NADB_BUSY:
        return SQLITE_BUSY_TIMEOUT;
    case NADB_CONFLICT:
        return SQLITE_BUSY_SNAPSHOT;
    case NADB_LOCKED:
        return SQLITE_LOCKED_VTAB;
    case NADB_CONSTRAINT:
        return SQLITE_CONSTRAINT_PRIMARYKEY;
    case NADB_INVALID:
        return SQLITE_ERROR;
    case NADB_TOOBIG:
        return SQLITE_TOOBIG;
    case NADB_READONLY:
        return SQLITE_READONLY;
    case NADB_MOVED:
        return SQLITE_READONLY_DBMOVED;
    case NADB_CANTOPEN:
        return SQLITE_CANTOPEN;
    case NADB_INTERRUPT:
        return SQLITE_INTERRUPT;
    case NADB_DENIED:
        return SQLITE_AUTH;
    }
    return SQLITE_ERROR;
}

static void log_engine_error(int code, const nadb_err *err) {
    if (nadb_is_failure(err->rc)) sqlite3_log(code, "nadb: %s", err->msg);
}

int value_vtab_error(sqlite3_vtab *base, const nadb_err *err) {
    int code = value_code(err->rc);

    log_engine_error(code, err);
    sqlite3_free(base->zErrMsg);
    base->zErrMsg = sqlite3_mprintf("%s", err->msg);
    return code;
}

static int constraint_failed(vtab *v, const char *kind, int code, bool loud) {
    if (loud) {
        sqlite3_free(v->base.zErrMsg);
        v->base.zErrMsg =
            sqlite3_mprintf("%s constraint failed: %s.key", kind, v->name);
    }
    return code;
}

int value_unique_failed(vtab *v, bool loud) {
    return constraint_failed(v, "UNIQUE", SQLITE_CONSTRAINT_PRIMARYKEY, loud);
}

int value_not_null_failed(vtab *v, bool loud) {
    return constraint_failed(v, "NOT NULL", SQLITE_CONSTRAINT_NOTNULL, loud);
}

void value_result_error(sqlite3_context *ctx, const char *name,
                        const nadb_err *err) {
    int code = value_code(err->rc);
    char *msg = sqlite3_mprintf("%s: %s", name, err->msg);

    log_engine_error(code, err);
    if (msg == NULL) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    sqlite3_result_error(ctx, msg, -1);
    /* after error(), which sets a code too */
    sqlite3_result_error_code(ctx, code);
    sqlite3_free(msg);
}

nadb_rc value_sqlite_error(sqlite3 *db, int code, nadb_err *err) {
    nadb_rc rc = NADB_INVALID;

    switch (code & 0xff) {
    case SQLITE_NOMEM:
        rc = NADB_NOMEM;
        break;
    case SQLITE_IOERR:
        rc = NADB_IOERR;
        break;
    case SQLITE_FULL:
        rc = NADB_FULL;
        break;
    case SQLITE_CORRUPT:
        rc = NADB_CORRUPT;
        break;
    case SQLITE_BUSY:
        rc = code == SQLITE_BUSY_SNAPSHOT ? NADB_CONFLICT : NADB_BUSY;
        break;
    case SQLITE_LOCKED:
        rc = NADB_LOCKED;
        break;
    case SQLITE_CONSTRAINT:
        rc = NADB_CONSTRAINT;
        break;
    case SQLITE_TOOBIG:
        rc = NADB_TOOBIG;
        break;
    case SQLITE_READONLY:
        rc = code == SQLITE_READONLY_DBMOVED ? NADB_MOVED : NADB_READONLY;
        break;
    case SQLITE_CANTOPEN:
        rc = NADB_CANTOPEN;
        break;
    case SQLITE_INTERRUPT:
        rc = NADB_INTERRUPT;
        break;
    case SQLITE_AUTH:
        rc = NADB_DENIED;
        break;
    default:
        break;
    }
    return nadb_fail(err, rc, "%s", sqlite3_errmsg(db));
}

/* --- values --- */

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory");
}

/* sqlite3_value_text() would copy a bound text to append a zero byte. */
const void *value_text_bytes(const conn *c, sqlite3_value *in, size_t *n) {
    const void *p;

    if (c->encoding == ENCODING_UTF8 && sqlite3_value_type(in) == SQLITE_TEXT) {
        p = sqlite3_value_blob(in);
        *n = (size_t)sqlite3_value_bytes(in);
        return *n == 0 ? "" : p;
    }
    p = sqlite3_value_text(in);
    *n = p == NULL ? 0 : (size_t)sqlite3_value_bytes(in);
    return p;
}

bool value_is_integral(double r, int64_t *out) {
    if (!(r >= -9223372036854775808.0 && r < 9223372036854775808.0))
        return false;
    *out = (int64_t)r;
    return (double)*out == r;
}

bool value_integer(sqlite3_value *in, int64_t *out) {
    const unsigned char *text;

    switch (sqlite3_value_type(in)) {
    case SQLITE_INTEGER:
        *out = sqlite3_value_int64(in);
        return true;
    case SQLITE_FLOAT:
        return value_is_integral(sqlite3_value_double(in), out);
    case SQLITE_TEXT:
        text = sqlite3_value_text(in);
        return text != NULL &&
               nadb_parse_integer(
                   nadb_slice_of(text, (size_t)sqlite3_value_bytes(in)), out);
    default:
        return false;
    }
}

bool value_is_integer(const nadb_value *v, int64_t *out) {
    switch (v->type) {
    case NADB_INTEGER:
        *out = v->i;
        return true;
    case NADB_REAL:
        return value_is_integral(v->r, out);
    case NADB_TEXT:
        return nadb_parse_integer(v->bytes, out);
    case NADB_NULL:
    case NADB_BLOB:
        break;
    }
    return false;
}

nadb_rc value_from_sql(const conn *c, sqlite3_value *in, nadb_value *out,
                       nadb_err *err) {
    const void *p = NULL;
    size_t n;

    out->i = 0;
    out->r = 0;
    out->bytes = nadb_slice_of(NULL, 0);
    switch (sqlite3_value_type(in)) {
    case SQLITE_INTEGER:
        out->type = NADB_INTEGER;
        out->i = sqlite3_value_int64(in);
        return NADB_OK;
    case SQLITE_FLOAT:
        out->type = NADB_REAL;
        out->r = sqlite3_value_double(in);
        return NADB_OK;
    case SQLITE_TEXT:
        out->type = NADB_TEXT;
        p = value_text_bytes(c, in, &n);
        if (p == NULL) return no_memory(err);
        break;
    case SQLITE_BLOB:
        out->type = NADB_BLOB;
        p = sqlite3_value_blob(in); /* expands a zeroblob; NULL if empty */
        n = (size_t)sqlite3_value_bytes(in);
        if (p == NULL && n > 0) return no_memory(err);
        break;
    default:
        out->type = NADB_NULL;
        return NADB_OK;
    }
    out->bytes = nadb_slice_of(p, n);
    return NADB_OK;
}

static sqlite3_destructor_type keep_or_copy(bool pinned) {
    return pinned ? SQLITE_STATIC : SQLITE_TRANSIENT;
}

#define SHORT_TEXT 128

/* sqlite3_column_text() needs a zero byte behind the text and would copy it
 * into new memory. A short text is therefore copied here with that byte; SQLite
 * only knows of the byte if it counts the length itself. */
void value_text_to_sql(sqlite3_context *ctx, nadb_slice text, bool pinned) {
    char copy[SHORT_TEXT];

    if (text.n > 0 && text.n < sizeof copy &&
        memchr(text.p, 0, text.n) == NULL) {
        nadb_copy(copy, text.p, text.n);
        copy[text.n] = 0;
        sqlite3_result_text(ctx, copy, -1, SQLITE_TRANSIENT);
        return;
    }
    /* A null pointer would mean NULL, not the empty text. */
    sqlite3_result_text(ctx, text.p == NULL ? "" : (const char *)text.p,
                        (int)text.n, keep_or_copy(pinned));
}

void value_to_sql(sqlite3_context *ctx, const nadb_value *v, bool pinned) {
    switch (v->type) {
    case NADB_INTEGER:
        sqlite3_result_int64(ctx, v->i);
        break;
    case NADB_REAL:
        sqlite3_result_double(ctx, v->r);
        break;
    case NADB_TEXT:
        value_text_to_sql(ctx, v->bytes, pinned);
        break;
    case NADB_BLOB:
        sqlite3_result_blob(ctx,
                            v->bytes.p == NULL ? (const void *)"" : v->bytes.p,
                            (int)v->bytes.n, keep_or_copy(pinned));
        break;
    case NADB_NULL:
        break; /* NULL is the default result */
    }
}

void value_time_to_sql(sqlite3_context *ctx, int64_t ms) {
    sqlite3_result_double(ctx, (double)ms / 1000.0);
}

static nadb_rc column_value(sqlite3_context *ctx, nadb_cursor *rows, bool stays,
                            nadb_err *err) {
    nadb_value value;
    bool pinned = false;
    nadb_rc rc = nadb_cursor_value(rows, &value, &pinned, err);

    if (rc == NADB_OK) value_to_sql(ctx, &value, stays && pinned);
    return rc;
}

static nadb_rc column_tags(sqlite3_context *ctx, const nadb_row *row,
                           nadb_buf *scratch, nadb_err *err) {
    if (row->tags.n == 0) return NADB_OK; /* NULL */
    nadb_buf_reset(scratch);
    if (!nadb_tags_json(row->tags, scratch))
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    value_text_to_sql(ctx, nadb_buf_slice(scratch), false);
    return NADB_OK;
}

nadb_rc value_column_to_sql(sqlite3_context *ctx, nadb_cursor *rows,
                            enum column i, bool stays, nadb_buf *scratch,
                            nadb_err *err) {
    const nadb_row *row = nadb_cursor_row(rows);
    bool mortal = row->expires_ms != NADB_NO_EXPIRY;

    switch (i) {
    case COL_KEY:
        key_to_sql(ctx, row->key, stays && row->key_pinned);
        break;
    case COL_VALUE:
        return column_value(ctx, rows, stays, err);
    case COL_TAGS:
        return column_tags(ctx, row, scratch, err);
    case COL_TTL:
        if (mortal)
            value_time_to_sql(ctx, row->expires_ms - nadb_cursor_now(rows));
        break;
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
    default:
        break;
    }
    return NADB_OK;
}

const char *value_name(sqlite3_value *in) {
    const char *text = (const char *)sqlite3_value_text(in);

    if (text == NULL || strlen(text) == (size_t)sqlite3_value_bytes(in))
        return text;
    return "";
}

nadb_rc value_path(sqlite3_value *in, const char **out, nadb_err *err) {
    const char *path = NULL;

    if (sqlite3_value_type(in) == SQLITE_TEXT)
        path = (const char *)sqlite3_value_text(in);
    *out = path;
    if (path == NULL || *path == '\0' ||
        strlen(path) != (size_t)sqlite3_value_bytes(in))
        return nadb_fail(err, NADB_INVALID,
                         "the name of a directory is "
                         "missing");
    if (path[0] == '~')
        return nadb_fail(err, NADB_INVALID,
                         "'%.100s': a shell replaces ~, SQL does not: write "
                         "the path in full, or ./~",
                         path);
    return NADB_OK;
}

/* --- times --- */

/* The core cannot store later times: 48-bit ms, the year 6429. */
#define SECONDS_MAX 140737488355.0
#define TTL_LEAST 1e9

/* Results of julianday() for the years 1858 to 2132; as seconds they would be
 * two days in January 1970. */
#define JULIAN_MIN 2400000.0
#define JULIAN_MAX 2500000.0

/* Rounds down to ms. A time that was read from the store is a rounded quotient,
 * and becomes the same ms again. */
static int64_t floor_ms(double seconds) {
    int64_t ms = (int64_t)llround(seconds * 1000.0);

    return (double)ms / 1000.0 > seconds ? ms - 1 : ms;
}

bool value_is_none(sqlite3_value *in) {
    int type = sqlite3_value_type(in);

    return type == SQLITE_NULL ||
           (type == SQLITE_TEXT && sqlite3_value_bytes(in) == 0);
}

static nadb_rc out_of_range(const char *what, nadb_err *err) {
    return nadb_fail(err, NADB_INVALID,
                     "%s is out of range: it is a Unix time in seconds, not in "
                     "milliseconds, up to 140737488355, which is in the year "
                     "6429",
                     what);
}

static nadb_rc time_of_text(sqlite3_value *in, const char *what, int64_t *ms,
                            nadb_err *err) {
    const unsigned char *text = NULL;

    if (sqlite3_value_type(in) == SQLITE_TEXT) {
        text = sqlite3_value_text(in);
        if (text == NULL) return no_memory(err);
    }
    if (text == NULL ||
        !nadb_parse_time(nadb_slice_of(text, (size_t)sqlite3_value_bytes(in)),
                         ms)) {
        return nadb_fail(err, NADB_INVALID,
                         "%s must be a Unix time in seconds, as "
                         "unixepoch('now') gives it, or a text like "
                         "'2026-11-29 12:34:56'",
                         what);
    }
    if ((double)*ms > SECONDS_MAX * 1000.0) return out_of_range(what, err);
    return NADB_OK;
}

nadb_rc value_time(sqlite3_value *in, const char *what, int64_t *ms,
                   bool *given, nadb_err *err) {
    int type;
    double seconds;

    *given = !value_is_none(in);
    if (!*given) return NADB_OK;
    type = sqlite3_value_numeric_type(in);
    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT)
        return time_of_text(in, what, ms, err);
    seconds = sqlite3_value_double(in);
    if (seconds > SECONDS_MAX && isinf(seconds)) {
        *ms = NADB_NO_EXPIRY;
        return NADB_OK;
    }
    if (!(seconds >= -SECONDS_MAX && seconds <= SECONDS_MAX))
        return out_of_range(what, err);
    if (seconds > JULIAN_MIN && seconds < JULIAN_MAX) {
        return nadb_fail(err, NADB_INVALID,
                         "%s looks like a Julian day: give a Unix time in "
                         "seconds, as unixepoch('now') gives it, or a text "
                         "like '2026-11-29 12:34:56'",
                         what);
    }
    *ms = floor_ms(seconds);
    return NADB_OK;
}

nadb_rc value_ttl(sqlite3_value *in, int64_t now, int64_t *expires_ms,
                  nadb_err *err) {
    int type = sqlite3_value_numeric_type(in);
    double seconds = sqlite3_value_double(in);

    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
        return nadb_fail(err, NADB_INVALID,
                         "ttl must be a number of seconds, or NULL for no "
                         "expiry; a time goes into expires_at");
    }
    if (seconds >= SECONDS_MAX - (double)now / 1000.0) {
        *expires_ms = NADB_NO_EXPIRY;
        return NADB_OK;
    }
    /* All past expiries are equivalent. */
    if (seconds < -TTL_LEAST) seconds = -TTL_LEAST;
    *expires_ms = now + floor_ms(seconds);
    return NADB_OK;
}
