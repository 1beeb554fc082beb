/* tags.c - tag lists, and their conversion from and to JSON (tags.h, nadb.h).
 *
 * The parser takes exactly JSON as in RFC 8259: an array of strings, with white
 * space where it is allowed; null and the empty text count as an empty array.
 * It also checks the tags: not empty, at most NADB_TAG_MAX bytes, valid UTF-8,
 * without U+0000, which separates tag and key in the tag index. Tags are
 * compared bytewise, without Unicode normalisation or case folding.
 *
 * The JSON that is written is canonical: sorted, without white space, and only
 * the required characters escaped. */
#include "tags.h"

#include <stdlib.h>

#include "../util/coding.h"
#include "../util/json.h"

/* --- tag lists --- */

bool nadb_tags_next(nadb_slice *tags, nadb_slice *tag) {
    nadb_reader r = nadb_reader_of(*tags);

    if (tags->n == 0) return false;
    *tag = nadb_read_blob(&r);
    if (r.bad) {
        *tags = nadb_slice_of(NULL, 0);
        return false;
    }
    *tags = nadb_slice_of(r.p, nadb_reader_left(&r));
    return true;
}

bool nadb_tags_has(nadb_slice tags, nadb_slice tag) {
    nadb_slice one;

    while (nadb_tags_next(&tags, &one))
        if (nadb_slice_eq(one, tag)) return true;
    return false;
}

bool nadb_tags_valid(nadb_slice tags) {
    nadb_reader r = nadb_reader_of(tags);
    nadb_slice before = {NULL, 0};
    unsigned n = 0;

    while (nadb_reader_left(&r) > 0) {
        nadb_slice tag = nadb_read_blob(&r);

        if (r.bad || tag.n == 0 || tag.n > NADB_TAG_MAX) return false;
        if (memchr(tag.p, 0, tag.n) != NULL) return false;
        /* The empty slice sorts before every tag. */
        if (nadb_slice_cmp(before, tag) >= 0) return false;
        if (++n > NADB_TAGS_MAX) return false;
        before = tag;
    }
    return !r.bad;
}

/* --- parsing --- */

typedef struct parser {
    const uint8_t *start, *p, *end;
    /* tags that had escapes. It never moves: room for the whole input is
     * reserved at the first one */
    nadb_buf text;
    nadb_buf found; /* array of nadb_slice, into the input or `text` */
    nadb_err *err;
} parser;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for tags");
}

static nadb_rc bad(const parser *ps, const char *what) {
    return nadb_fail(ps->err, NADB_INVALID,
                     "tags must be a JSON array of non-empty strings, such as "
                     "'[\"a\",\"b\"]': %s at byte %zu",
                     what, (size_t)(ps->p - ps->start) + 1);
}

static void skip_space(parser *ps) {
    while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\t' ||
                               *ps->p == '\n' || *ps->p == '\r'))
        ps->p++;
}

static bool at(const parser *ps, char c) {
    return ps->p < ps->end && *ps->p == (uint8_t)c;
}

/* The next four hexadecimal digits, or -1. */
static int32_t take_hex4(parser *ps) {
    int32_t v = 0;

    if (ps->end - ps->p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t c = ps->p[i];

        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            v = v * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    ps->p += 4;
    return v;
}

static void put_utf8(nadb_buf *b, uint32_t c) {
    uint8_t *p = b->p + b->n;

    if (c < 0x80) {
        p[0] = (uint8_t)c;
        b->n += 1;
    } else if (c < 0x800) {
        p[0] = (uint8_t)(0xC0 | c >> 6);
        p[1] = (uint8_t)(0x80 | (c & 63));
        b->n += 2;
    } else if (c < 0x10000) {
        p[0] = (uint8_t)(0xE0 | c >> 12);
        p[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        p[2] = (uint8_t)(0x80 | (c & 63));
        b->n += 3;
    } else {
        p[0] = (uint8_t)(0xF0 | c >> 18);
        p[1] = (uint8_t)(0x80 | (c >> 12 & 63));
        p[2] = (uint8_t)(0x80 | (c >> 6 & 63));
        p[3] = (uint8_t)(0x80 | (c & 63));
        b->n += 4;
    }
}

/* Behind "\u". Errors give the place of the escape. */
static nadb_rc take_unicode(parser *ps) {
    const uint8_t *escape = ps->p - 2;
    int32_t c = take_hex4(ps);
    int32_t low = -1;

    if (c >= 0xD800 && c <= 0xDBFF && ps->end - ps->p >= 2 &&
        ps->p[0] == '\\' && ps->p[1] == 'u') {
        ps->p += 2;
        low = take_hex4(ps);
    }
    if (c < 0 || (c >= 0xD800 && c <= 0xDFFF &&
                  (c > 0xDBFF || low < 0xDC00 || low > 0xDFFF))) {
        ps->p = escape;
        return bad(ps, c < 0 ? "\\u without four hexadecimal digits"
                             : "half of a surrogate pair");
    }
    if (c == 0) {
        ps->p = escape;
        return bad(ps, "a tag cannot contain U+0000");
    }
    if (low >= 0) c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    put_utf8(&ps->text, (uint32_t)c);
    return NADB_OK;
}

static nadb_rc take_escape(parser *ps) {
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const char *name;

    if (ps->end - ps->p < 2) return bad(ps, "a string that does not end");
    if (ps->p[1] == 'u') {
        ps->p += 2;
        return take_unicode(ps);
    }
    name = ps->p[1] == 0 ? NULL : strchr(names, ps->p[1]);
    if (name == NULL) return bad(ps, "an unknown escape");
    ps->text.p[ps->text.n++] = (uint8_t)values[name - names];
    ps->p += 2;
    return NADB_OK;
}

/* Skips bytes up to a quote or backslash. */
static nadb_rc skip_plain(parser *ps) {
    while (ps->p < ps->end && *ps->p != '"' && *ps->p != '\\') {
        size_t n = nadb_utf8_len(ps->p, ps->end);

        if (*ps->p < 0x20)
            return bad(ps, *ps->p == 0 ? "a tag cannot contain U+0000"
                                       : "a control character (escape it)");
        if (n == 0) return bad(ps, "invalid UTF-8");
        ps->p += n;
    }
    return ps->p == ps->end ? bad(ps, "a string that does not end") : NADB_OK;
}

/* The string behind an opening quote. Without escapes it is a slice of the
 * input; otherwise it is built in ps->text, where it cannot be longer than in
 * the input. */
static nadb_rc take_string(parser *ps, nadb_slice *out) {
    const uint8_t *from = ps->p;
    size_t text_from = 0;
    bool escaped = false;

    for (;;) {
        nadb_rc rc = skip_plain(ps);

        if (rc != NADB_OK) return rc;
        if (*ps->p == '\\' && !escaped) {
            escaped = true;
            if (ps->text.p == NULL &&
                !nadb_buf_reserve(&ps->text, (size_t)(ps->end - ps->start)))
                return no_memory(ps->err);
            text_from = ps->text.n;
        }
        if (escaped &&
            !nadb_buf_append(&ps->text, from, (size_t)(ps->p - from)))
            return no_memory(ps->err);
        if (*ps->p == '"') break;
        rc = take_escape(ps);
        if (rc != NADB_OK) return rc;
        from = ps->p;
    }
    *out = escaped
               ? nadb_slice_of(ps->text.p + text_from, ps->text.n - text_from)
               : nadb_slice_of(from, (size_t)(ps->p - from));
    ps->p++;
    return NADB_OK;
}

static nadb_rc take_tag(parser *ps) {
    const uint8_t *from = ps->p;
    nadb_slice tag = {NULL, 0};
    nadb_rc rc;

    if (!at(ps, '"'))
        return bad(ps, ps->p == ps->end ? "the end" : "no string");
    ps->p++;
    rc = take_string(ps, &tag);
    if (rc != NADB_OK) return rc;
    if (tag.n == 0 || tag.n > NADB_TAG_MAX) {
        ps->p = from;
        return tag.n == 0 ? bad(ps, "an empty string")
                          : nadb_fail(ps->err, NADB_TOOBIG,
                                      "a tag of %zu bytes: at most %u are "
                                      "allowed",
                                      tag.n, NADB_TAG_MAX);
    }
    if (!nadb_buf_append(&ps->found, &tag, sizeof tag))
        return no_memory(ps->err);
    return NADB_OK;
}

/* The strings up to the closing bracket, and the bracket. */
static nadb_rc take_items(parser *ps) {
    skip_space(ps);
    if (at(ps, ']')) {
        ps->p++;
        return NADB_OK;
    }
    for (bool more = true; more; ps->p++) {
        nadb_rc rc;

        skip_space(ps);
        rc = take_tag(ps);
        if (rc != NADB_OK) return rc;
        skip_space(ps);
        more = at(ps, ',');
        if (!more && !at(ps, ']')) return bad(ps, "neither ',' nor ']'");
    }
    return NADB_OK;
}

/* An array, or null, or the empty text (NULL in CSV). */
static nadb_rc take_array(parser *ps) {
    static const char null[] = "null";
    nadb_rc rc = NADB_OK;

    if (ps->p == ps->end) return NADB_OK;
    skip_space(ps);
    if (at(ps, '[')) {
        ps->p++;
        rc = take_items(ps);
    } else if (nadb_slice_starts(
                   nadb_slice_of(ps->p, (size_t)(ps->end - ps->p)),
                   nadb_slice_str(null))) {
        ps->p += sizeof null - 1;
    } else {
        return bad(ps, "no '['");
    }
    if (rc != NADB_OK) return rc;
    skip_space(ps);
    return ps->p == ps->end ? NADB_OK : bad(ps, "something behind the array");
}

static int compare(const void *a, const void *b) {
    nadb_slice x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return nadb_slice_cmp(x, y);
}

/* Appends the tags, sorted and without repeats. */
static nadb_rc put_list(parser *ps, nadb_buf *out) {
    size_t n = ps->found.n / sizeof(nadb_slice);
    nadb_slice *tags = (nadb_slice *)(void *)ps->found.p;
    size_t distinct = 0;

    if (n > 1) qsort(tags, n, sizeof *tags, compare);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && nadb_slice_eq(tags[i - 1], tags[i])) continue;
        if (++distinct > NADB_TAGS_MAX)
            return nadb_fail(ps->err, NADB_TOOBIG,
                             "a row cannot have more than %u tags",
                             NADB_TAGS_MAX);
        if (!nadb_buf_blob(out, tags[i])) return no_memory(ps->err);
    }
    return NADB_OK;
}

nadb_rc nadb_tags_parse(nadb_slice json, nadb_buf *out, nadb_err *err) {
    parser ps = {NULL, NULL, NULL, NADB_BUF_INIT, NADB_BUF_INIT, err};
    size_t n = out->n;
    nadb_rc rc;

    if (json.n == 0) json = nadb_slice_of("", 0);
    ps.start = json.p;
    ps.p = json.p;
    ps.end = json.p + json.n;
    rc = take_array(&ps);
    if (rc == NADB_OK) rc = put_list(&ps, out);
    if (rc != NADB_OK) out->n = n;
    nadb_buf_clear(&ps.text);
    nadb_buf_clear(&ps.found);
    return rc;
}

/* --- changing a list --- */

static nadb_rc check_tag(nadb_slice tag, nadb_err *err) {
    const uint8_t *p = tag.p;
    size_t n = 1;

    if (tag.n == 0) return nadb_fail(err, NADB_INVALID, "a tag is empty");
    if (tag.n > NADB_TAG_MAX)
        return nadb_fail(err, NADB_TOOBIG,
                         "a tag of %zu bytes: at most %u are allowed", tag.n,
                         NADB_TAG_MAX);
    for (; n > 0 && p < tag.p + tag.n; p += n)
        n = *p == 0 ? 0 : nadb_utf8_len(p, tag.p + tag.n);
    if (n > 0) return NADB_OK;
    return nadb_fail(err, NADB_INVALID, "a tag %s",
                     *p == 0 ? "cannot contain U+0000" : "is not valid UTF-8");
}

/* Merges two sorted lists; `tags` may repeat. */
static nadb_rc merge(nadb_slice list, const nadb_slice *tags, size_t n,
                     bool add, nadb_buf *out, size_t *changed, nadb_err *err) {
    nadb_slice old;
    bool more = nadb_tags_next(&list, &old);
    size_t count = 0;

    for (size_t i = 0; more || i < n;) {
        int c = !more ? 1 : i == n ? -1 : nadb_slice_cmp(old, tags[i]);
        nadb_slice one = c <= 0 ? old : tags[i];
        bool keep = c < 0 || add; /* c > 0: only in `tags` */

        if ((c > 0 && add) || (c == 0 && !add)) (*changed)++;
        while (i < n && nadb_slice_eq(tags[i], one)) i++;
        if (keep && ++count > NADB_TAGS_MAX)
            return nadb_fail(err, NADB_TOOBIG,
                             "a row cannot have more than %u tags",
                             NADB_TAGS_MAX);
        if (keep && !nadb_buf_blob(out, one)) return no_memory(err);
        if (c <= 0) more = nadb_tags_next(&list, &old);
    }
    return NADB_OK;
}

nadb_rc nadb_tags_change(nadb_slice list, nadb_slice *tags, size_t n, bool add,
                         nadb_buf *out, size_t *changed, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    *changed = 0;
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        rc = check_tag(tags[i], err);
    if (rc != NADB_OK) return rc;
    if (n > 1) qsort(tags, n, sizeof *tags, compare);
    return merge(list, tags, n, add, out, changed, err);
}

/* --- writing --- */

bool nadb_tags_json(nadb_slice tags, nadb_buf *out) {
    nadb_slice tag;
    bool ok = nadb_buf_byte(out, '[');

    for (bool first = true; ok && nadb_tags_next(&tags, &tag); first = false) {
        ok = (first || nadb_buf_byte(out, ',')) && nadb_json_text(out, tag);
    }
    return ok && nadb_buf_byte(out, ']');
}
