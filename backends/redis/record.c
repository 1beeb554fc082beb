/* record.c - see record.h. */
#include "record.h"

#include <inttypes.h>
#include <stdio.h>

#include "../../core/util/number.h"

static const char type_letters[] = "nirtb"; /* indexed by nadb_type */

/* --- writing --- */

static char *put_word(char *p, char letter, int64_t v) {
    *p++ = ' ';
    *p++ = letter;
    return args_digits(p, v);
}

void record_add_line(args *a, const nadb_row *row) {
    char line[6 * (ARGS_NUMBER_MAX + 2)];
    char *p = line;

    *p++ = type_letters[row->type];
    p = args_digits(p, row->created_ms);
    if (row->updated_ms != row->created_ms)
        p = put_word(p, 'u', row->updated_ms - row->created_ms);
    if (row->expires_ms != NADB_NO_EXPIRY)
        p = put_word(p, 'e', row->expires_ms);
    if (row->codec != 0) {
        p = put_word(p, 'c', row->codec);
        p = put_word(p, 's', (int64_t)row->size);
    }
    args_copy(a, nadb_slice_of(line, (size_t)(p - line)));
}

nadb_rc record_add_value(args *a, const nadb_row *row, nadb_err *err) {
    char text[NADB_REAL_TEXT_MAX];
    nadb_value v;
    nadb_rc rc;

    if (row->type != NADB_INTEGER && row->type != NADB_REAL) {
        args_add(a, row->stored);
        return NADB_OK;
    }
    rc = nadb_row_value(row, row->stored, &v, err);
    if (rc != NADB_OK) return rc;
    if (v.type == NADB_INTEGER)
        snprintf(text, sizeof text, "%" PRId64, v.i);
    else
        nadb_real_text(v.r, text);
    args_copy(a, nadb_slice_str(text));
    return NADB_OK;
}

bool record_same_line(const nadb_row *a, const nadb_row *b) {
    return a->type == b->type && a->codec == b->codec && a->size == b->size &&
           a->created_ms == b->created_ms && a->updated_ms == b->updated_ms;
}

nadb_rc record_put(args *a, nadb_slice key, nadb_slice bytes, nadb_buf *scratch,
                   bool *plain, nadb_err *err) {
    nadb_row row;
    nadb_rc rc = nadb_row_decode(bytes, &row, err);

    if (rc != NADB_OK) return rc;
    *plain = row.tags.n == 0 && row.expires_ms == NADB_NO_EXPIRY;
    args_text(a, "p");
    args_add(a, key);
    rc = record_add_value(a, &row, err);
    if (rc != NADB_OK) return rc;
    record_add_line(a, &row);
    nadb_buf_reset(scratch);
    if (row.tags.n > 0 && !nadb_tags_json(row.tags, scratch)) a->failed = true;
    args_copy(a, nadb_buf_slice(scratch));
    if (row.expires_ms == NADB_NO_EXPIRY)
        args_text(a, "");
    else
        args_number(a, row.expires_ms);
    return NADB_OK;
}

/* --- reading --- */

/* Takes the next word of a line; empty at its end. */
static nadb_slice next_word(nadb_slice *s) {
    nadb_slice word;
    size_t n = 0;

    if (s->n == 0) return *s; /* p may be NULL */
    while (n < s->n && s->p[n] != ' ') n++;
    word = nadb_slice_of(s->p, n);
    if (n < s->n) n++;
    *s = nadb_slice_of(s->p + n, s->n - n);
    return word;
}

/* The number behind a word's letter. */
static bool word_number(nadb_slice word, int64_t *out) {
    return word.n > 1 &&
           nadb_integer_of(nadb_slice_of(word.p + 1, word.n - 1), out);
}

static bool is_time(int64_t ms) {
    return ms >= NADB_TIME_MIN && ms <= NADB_TIME_MAX;
}

/* Parses version and age. */
static bool parse_version(nadb_slice *line, record *rec) {
    int64_t version, age = 0;
    nadb_slice rest, word;

    if (!nadb_integer_of(next_word(line), &version) || version < 0)
        return false;
    rest = *line;
    word = next_word(&rest);
    if (word.n > 0 && word.p[0] == 'a') {
        *line = rest;
        if (word.n == 1)
            age = version;
        else if (!word_number(word, &age) || age < 0 || age > version)
            return false;
    }
    rec->version = (uint64_t)version;
    rec->created_in = (uint64_t)(version - age);
    return true;
}

/* Parses an optional word. */
static bool parse_more(nadb_slice word, nadb_row_head *h, bool *sized) {
    int64_t v;

    if (!word_number(word, &v)) return false;
    switch (word.p[0]) {
    case 'u':
        if (v < NADB_TIME_MIN - NADB_TIME_MAX ||
            v > NADB_TIME_MAX - NADB_TIME_MIN)
            return false;
        h->updated_ms = h->created_ms + v;
        return is_time(h->updated_ms);
    case 'e':
        h->expires_ms = v;
        return is_time(v);
    case 'c':
        h->codec = (uint8_t)v;
        return v >= 0 && v <= 255;
    case 's':
        h->size = (uint64_t)v;
        *sized = true;
        return v >= 0;
    default:
        return false;
    }
}

/* Parses the line without its tags. */
static bool parse_line(nadb_slice line, record *rec, nadb_row_head *h) {
    nadb_slice word;
    const char *letter;
    bool sized = false;

    if (!parse_version(&line, rec)) return false;
    word = next_word(&line);
    letter = word.n > 1 ? memchr(type_letters, word.p[0], 5) : NULL;
    if (letter == NULL || !word_number(word, &h->created_ms) ||
        !is_time(h->created_ms))
        return false;
    h->type = (nadb_type)(letter - type_letters);
    h->updated_ms = h->created_ms;
    h->expires_ms = NADB_NO_EXPIRY;
    while (line.n > 0)
        if (!parse_more(next_word(&line), h, &sized)) return false;
    return sized == (h->codec != 0);
}

record_parts record_split(nadb_slice text) {
    const uint8_t *feed = text.n == 0 ? NULL : memchr(text.p, '\n', text.n);
    record_parts x;
    nadb_slice rest;

    memset(&x, 0, sizeof x);
    x.value = text;
    if (feed == NULL) return x;
    x.line = nadb_slice_of(text.p, (size_t)(feed - text.p));
    x.value = nadb_slice_of(feed + 1, text.n - x.line.n - 1);
    rest = x.line;
    while (rest.n > 0 && rest.p[0] != '[') {
        nadb_slice word = next_word(&rest);

        if (word.n > 1 && word.p[0] == 'e')
            x.expiry = nadb_slice_of(word.p + 1, word.n - 1);
    }
    if (rest.n > 0) {
        x.tags = rest;
        x.line.n -= rest.n + (rest.p > x.line.p);
    }
    return x;
}

/* The value's bytes in the form of core/kv/row.h; numbers go into `number`.
 * Without a text (NULL) there are no bytes, and a number is 0. */
static bool take_value(const nadb_row_head *h, const nadb_slice *text,
                       uint8_t number[10], nadb_slice *out) {
    nadb_value v;

    memset(&v, 0, sizeof v);
    v.type = h->type;
    *out = text == NULL ? nadb_slice_of(NULL, 0) : *text;
    if (h->type == NADB_INTEGER) {
        if (text != NULL && !nadb_integer_of(*out, &v.i)) return false;
    } else if (h->type == NADB_REAL) {
        if (text != NULL && !nadb_real_of(*out, &v.r)) return false;
    } else {
        return h->type != NADB_NULL || out->n == 0;
    }
    *out = nadb_slice_of(number, nadb_number_put(number, &v));
    return true;
}

static nadb_rc append_row(nadb_row_head *h, nadb_slice value, nadb_buf *out,
                          record *rec, nadb_err *err) {
    size_t begin = out->n;
    uint8_t *p;

    if (!nadb_buf_reserve(out, nadb_row_head_max(h) + value.n))
        return nadb_fail(err, NADB_NOMEM, "out of memory for a row");
    p = nadb_row_head_put(out->p + begin, h);
    if (value.n > 0) memcpy(p, value.p, value.n);
    out->n = (size_t)(p - out->p) + value.n;
    rec->row = nadb_slice_of(out->p + begin, out->n - begin);
    return NADB_OK;
}

static nadb_rc damaged(const conn *c, nadb_err *err) {
    return nadb_corrupt(err, "redis server %s: a row is damaged", conn_name(c));
}

static nadb_rc take_row(conn *c, nadb_slice text, bool whole, nadb_buf *out,
                        record *rec, nadb_err *err) {
    nadb_buf tags = NADB_BUF_INIT;
    record_parts x = record_split(text);
    nadb_row_head h;
    nadb_slice value;
    uint8_t number[10];
    nadb_rc rc = NADB_OK;

    memset(&h, 0, sizeof h);
    if (!parse_line(x.line, rec, &h) ||
        !take_value(&h, whole ? &x.value : NULL, number, &value))
        return damaged(c, err);
    if (h.codec == 0)
        h.size = h.type == NADB_INTEGER || h.type == NADB_REAL ? 8 : value.n;
    if (x.tags.n > 0) {
        rc = nadb_tags_parse(x.tags, &tags, err);
        if (rc == NADB_INVALID)
            rc = nadb_corrupt(err, "redis server %s: a row's tags are damaged",
                              conn_name(c));
        h.tags = nadb_buf_slice(&tags);
    }
    if (rc == NADB_OK) rc = append_row(&h, value, out, rec, err);
    nadb_buf_clear(&tags);
    return rc;
}

static nadb_rc get(conn *c, const redisReply *text, bool whole, nadb_buf *out,
                   record *rec, bool *found, nadb_err *err) {
    nadb_rc rc;

    *found = false;
    memset(rec, 0, sizeof *rec);
    if (text->type == REDIS_REPLY_NIL) return NADB_OK;
    if (text->type != REDIS_REPLY_STRING) return conn_confused(c, err);
    rc = take_row(c, reply_slice(text), whole, out, rec, err);
    *found = rc == NADB_OK;
    return rc;
}

nadb_rc record_get(conn *c, const redisReply *text, nadb_buf *out, record *rec,
                   bool *found, nadb_err *err) {
    return get(c, text, true, out, rec, found, err);
}

nadb_rc record_get_line(conn *c, const redisReply *text, nadb_buf *out,
                        record *rec, bool *found, nadb_err *err) {
    return get(c, text, false, out, rec, found, err);
}
