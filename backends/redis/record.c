/* record.c - see record.h. */
#include "record.h"

#include <inttypes.h>
#include <stdio.h>

#include "../../core/util/number.h"

static const char type_letters[] = "nirtb"; /* by nadb_type */

/* --- writing --- */

/* A number and the space behind it. */
static char *put_word(char *p, int64_t v) {
    p = args_digits(p, v);
    *p++ = ' ';
    return p;
}

void record_add_meta(args *a, const nadb_row *row) {
    char meta[6 * (ARGS_NUMBER_MAX + 1)];
    char *p = meta;

    *p++ = type_letters[row->type];
    *p++ = ' ';
    p = put_word(p, row->created_ms);
    p = put_word(p, row->updated_ms);
    if (row->expires_ms == NADB_NO_EXPIRY) {
        *p++ = '-';
        *p++ = ' ';
    } else {
        p = put_word(p, row->expires_ms);
    }
    p = put_word(p, row->codec);
    p = args_digits(p, (int64_t)row->size);
    args_copy(a, nadb_slice_of(meta, (size_t)(p - meta)));
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

bool record_same_meta(const nadb_row *a, const nadb_row *b) {
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
    record_add_meta(a, &row);
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

/* The next word of a meta; empty at its end. */
static nadb_slice next_word(nadb_slice *s) {
    nadb_slice word;
    size_t n = 0;

    while (n < s->n && s->p[n] != ' ') n++;
    word = nadb_slice_of(s->p, n);
    if (n < s->n) n++;
    *s = nadb_slice_of(s->p + n, s->n - n);
    return word;
}

static bool next_integer(nadb_slice *s, int64_t *out) {
    return nadb_integer_of(next_word(s), out);
}

static bool next_time(nadb_slice *s, int64_t *out) {
    return next_integer(s, out) && *out >= NADB_TIME_MIN &&
           *out <= NADB_TIME_MAX;
}

static bool parse_meta(nadb_slice meta, record *rec, nadb_row_head *h) {
    int64_t version, created_in, codec, size;
    nadb_slice word, rest;
    const char *letter;

    if (!next_integer(&meta, &version) || !next_integer(&meta, &created_in))
        return false;
    word = next_word(&meta);
    letter = word.n == 1 ? memchr(type_letters, word.p[0], 5) : NULL;
    if (letter == NULL || !next_time(&meta, &h->created_ms) ||
        !next_time(&meta, &h->updated_ms))
        return false;
    rest = meta;
    h->expires_ms = NADB_NO_EXPIRY;
    if (nadb_slice_eq(next_word(&rest), nadb_slice_str("-")))
        meta = rest;
    else if (!next_time(&meta, &h->expires_ms))
        return false;
    if (!next_integer(&meta, &codec) || !next_integer(&meta, &size) ||
        codec < 0 || codec > 255 || size < 0 || version < 0 || created_in < 0)
        return false;
    h->type = (nadb_type)(letter - type_letters);
    h->codec = (uint8_t)codec;
    h->size = (uint64_t)size;
    rec->version = (uint64_t)version;
    rec->created_in = (uint64_t)created_in;
    return meta.n == 0;
}

nadb_slice record_expiry(nadb_slice meta) {
    nadb_slice word = {NULL, 0};

    for (int i = 0; i < 6 && meta.n > 0; i++) word = next_word(&meta);
    if (nadb_slice_eq(word, nadb_slice_str("-"))) word.n = 0;
    return word;
}

/* The value's bytes as core/kv/row.h has them; numbers go into `number`. A
 * number that was not asked for is 0. */
static bool take_value(const nadb_row_head *h, const redisReply *r,
                       uint8_t number[10], nadb_slice *out) {
    nadb_value v;

    memset(&v, 0, sizeof v);
    v.type = h->type;
    *out = reply_slice(r);
    if (h->type == NADB_INTEGER) {
        if (r != NULL && !nadb_integer_of(*out, &v.i)) return false;
    } else if (h->type == NADB_REAL) {
        if (r != NULL && !nadb_real_of(*out, &v.r)) return false;
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

nadb_rc record_get(conn *c, const redisReply *text, const redisReply *meta,
                   const redisReply *json, nadb_buf *out, record *rec,
                   bool *found, nadb_err *err) {
    nadb_buf tags = NADB_BUF_INIT;
    nadb_row_head h;
    nadb_slice value;
    uint8_t number[10];
    nadb_rc rc = NADB_OK;

    *found = false;
    memset(rec, 0, sizeof *rec);
    memset(&h, 0, sizeof h);
    if (meta->type == REDIS_REPLY_NIL) return NADB_OK;
    if (meta->type != REDIS_REPLY_STRING ||
        (text != NULL && text->type != REDIS_REPLY_STRING))
        return nadb_corrupt(err, "redis server %s: a row is damaged",
                            conn_name(c));
    if (!parse_meta(reply_slice(meta), rec, &h) ||
        !take_value(&h, text, number, &value))
        return nadb_corrupt(err, "redis server %s: a row is damaged",
                            conn_name(c));
    if (json->type == REDIS_REPLY_STRING) {
        rc = nadb_tags_parse(reply_slice(json), &tags, err);
        if (rc == NADB_INVALID)
            rc = nadb_corrupt(err, "redis server %s: a row's tags are damaged",
                              conn_name(c));
        h.tags = nadb_buf_slice(&tags);
    }
    if (rc == NADB_OK) rc = append_row(&h, value, out, rec, err);
    *found = rc == NADB_OK;
    nadb_buf_clear(&tags);
    return rc;
}
