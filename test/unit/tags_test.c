/* tags_test.c - tags from JSON and back. */
#include "../../core/kv/tags.h"
#include "../support/os_test.h"
#include "unit.h"

/* Parses and writes again; the error's message when it is refused. */
static const char *canonical_n(const char *json, size_t n) {
    static char text[4096];
    nadb_buf list = NADB_BUF_INIT, out = NADB_BUF_INIT;
    nadb_err err;

    if (nadb_tags_parse(nadb_slice_of(json, n), &list, &err) == NADB_OK) {
        CHECK(nadb_tags_valid(nadb_buf_slice(&list)));
        CHECK(nadb_tags_json(nadb_buf_slice(&list), &out));
        snprintf(text, sizeof text, "%.*s", (int)out.n, (const char *)out.p);
    } else {
        CHECK(list.n == 0);
        CHECK(err.rc == NADB_INVALID || err.rc == NADB_TOOBIG);
        snprintf(text, sizeof text, "%s", err.msg);
    }
    nadb_buf_clear(&list);
    nadb_buf_clear(&out);
    return text;
}

static const char *canonical(const char *json) {
    return canonical_n(json, strlen(json));
}

static void refused_n(const char *json, size_t n, const char *why) {
    char want[256];

    snprintf(want, sizeof want,
             "tags must be a JSON array of non-empty strings, such as "
             "'[\"a\",\"b\"]': %s",
             why);
    CHECK_STR(canonical_n(json, n), want);
}

static void refused(const char *json, const char *why) {
    refused_n(json, strlen(json), why);
}

static void test_good(void) {
    CHECK_STR(canonical("[]"), "[]");
    CHECK_STR(canonical(" \t\r\n[ ] \n"), "[]");
    CHECK_STR(canonical("[\"a\"]"), "[\"a\"]");
    CHECK_STR(canonical(" [ \"b\" ,\n\"a\",\"b\" ] "), "[\"a\",\"b\"]");
    CHECK_STR(canonical("[\"B\",\"a\",\"A\",\"ab\"]"),
              "[\"A\",\"B\",\"a\",\"ab\"]");
    CHECK_STR(canonical("[\"a b\",\" \"]"), "[\" \",\"a b\"]");
}

static void test_none(void) {
    CHECK_STR(canonical(""), "[]");
    CHECK_STR(canonical("null"), "[]");
    CHECK_STR(canonical(" \nnull\t "), "[]");
}

static void test_escapes(void) {
    CHECK_STR(canonical("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
              "[\"\\\"\\\\/\\b\\f\\n\\r\\t\"]");
    CHECK_STR(canonical("[\"\\u0001\\u001F\\u007f\"]"),
              "[\"\\u0001\\u001f\x7F\"]");
    CHECK_STR(canonical("[\"x\\u0041y\\u00e9z\\u20AC\"]"),
              "[\"xAy\xC3\xA9z\xE2\x82\xAC\"]");
    CHECK_STR(canonical("[\"\\uD83D\\uDE00\",\"\xF0\x9F\x98\x80\"]"),
              "[\"\xF0\x9F\x98\x80\"]");
    CHECK_STR(canonical("[\"\\udbff\\udfff\"]"), "[\"\xF4\x8F\xBF\xBF\"]");
    CHECK_STR(canonical("[\"\\ufffe\"]"), "[\"\xEF\xBF\xBE\"]");
    /* Several tags with escapes share a buffer that must not move. */
    CHECK_STR(canonical("[\"\\u0062\",\"x\",\"\\u0061\",\"\\u0061\"]"),
              "[\"a\",\"b\",\"x\"]");
}

static void test_bad_shape(void) {
    refused("  ", "no '[' at byte 3");
    refused("nul", "no '[' at byte 1");
    refused("NULL", "no '[' at byte 1");
    refused("null,", "something behind the array at byte 5");
    refused("nullx", "something behind the array at byte 5");
    refused("null []", "something behind the array at byte 6");
    refused("a,b", "no '[' at byte 1");
    refused("\"a\"", "no '[' at byte 1");
    refused("{\"a\":1}", "no '[' at byte 1");
    refused("[", "the end at byte 2");
    refused("[\"a\"", "neither ',' nor ']' at byte 5");
    refused("[\"a\" \"b\"]", "neither ',' nor ']' at byte 6");
    refused("[\"a\",]", "no string at byte 6");
    refused("[,\"a\"]", "no string at byte 2");
    refused("[\"a\",", "the end at byte 6");
    refused("[1]", "no string at byte 2");
    refused("[null]", "no string at byte 2");
    refused("[[\"a\"]]", "no string at byte 2");
    refused("['a']", "no string at byte 2");
    refused("[\"a\"]]", "something behind the array at byte 6");
    refused("[\"a\"] x", "something behind the array at byte 7");
    refused("[\"a", "a string that does not end at byte 4");
    refused("[\"\"]", "an empty string at byte 2");
    refused("[\"a\", \"\"]", "an empty string at byte 7");
    refused("\xEF\xBB\xBF[]", "no '[' at byte 1");
}

static void test_bad_strings(void) {
    refused("[\"\\x\"]", "an unknown escape at byte 3");
    refused("[\"\\", "a string that does not end at byte 3");
    refused("[\"\\u12\"]", "\\u without four hexadecimal digits at byte 3");
    refused("[\"\\u+123\"]", "\\u without four hexadecimal digits at byte 3");
    refused("[\"a\\uD800\"]", "half of a surrogate pair at byte 4");
    refused("[\"\\uD800\\u0041\"]", "half of a surrogate pair at byte 3");
    refused("[\"\\uD800\\n\"]", "half of a surrogate pair at byte 3");
    refused("[\"\\uDC00\"]", "half of a surrogate pair at byte 3");
    refused("[\"\\uD800\\uD800\"]", "half of a surrogate pair at byte 3");
    refused("[\"a\\u0000\"]", "a tag cannot contain U+0000 at byte 4");
    refused_n("[\"a\0b\"]", 7, "a tag cannot contain U+0000 at byte 4");
    refused_n("[\"a\"]\0", 6, "something behind the array at byte 6");
    refused("[\"a\nb\"]", "a control character (escape it) at byte 4");
    refused("[\"\x80\"]", "invalid UTF-8 at byte 3");
    refused("[\"\xC0\x80\"]", "invalid UTF-8 at byte 3");
    refused("[\"\xE0\x80\x80\"]", "invalid UTF-8 at byte 3");
    refused("[\"\xED\xA0\x80\"]", "invalid UTF-8 at byte 3");
    refused("[\"\xF4\x90\x80\x80\"]", "invalid UTF-8 at byte 3");
    refused("[\"\xF8\x88\x80\x80\x80\"]", "invalid UTF-8 at byte 3");
    refused("[\"ab\xE2\x82\"]", "invalid UTF-8 at byte 5");
    refused("[\"ab\xE2", "invalid UTF-8 at byte 5");
}

/* Parses "n tags of `len` bytes", all different. */
static nadb_rc parse_many(unsigned n, unsigned len, unsigned repeat,
                          nadb_err *err) {
    nadb_buf json = NADB_BUF_INIT, list = NADB_BUF_INIT;
    nadb_rc rc;

    CHECK(nadb_buf_byte(&json, '['));
    for (unsigned i = 0; i < n * repeat; i++) {
        char tag[16];

        snprintf(tag, sizeof tag, "%s\"%07u", i == 0 ? "" : ",", i % n);
        CHECK(nadb_buf_append(&json, tag, strlen(tag)));
        for (unsigned j = 7; j < len; j++) CHECK(nadb_buf_byte(&json, 'x'));
        CHECK(nadb_buf_byte(&json, '"'));
    }
    CHECK(nadb_buf_byte(&json, ']'));
    rc = nadb_tags_parse(nadb_buf_slice(&json), &list, err);
    if (rc == NADB_OK) CHECK(nadb_tags_valid(nadb_buf_slice(&list)));
    nadb_buf_clear(&json);
    nadb_buf_clear(&list);
    return rc;
}

static void test_limits(void) {
    nadb_err err;

    CHECK_OK(parse_many(NADB_TAGS_MAX, 8, 1, &err), err);
    CHECK_OK(parse_many(NADB_TAGS_MAX, 8, 5, &err), err); /* repeats */
    CHECK(parse_many(NADB_TAGS_MAX + 1, 8, 1, &err) == NADB_TOOBIG);
    CHECK_STR(err.msg, "a row cannot have more than 1000 tags");
    CHECK_OK(parse_many(3, NADB_TAG_MAX, 1, &err), err);
    CHECK(parse_many(3, NADB_TAG_MAX + 1, 1, &err) == NADB_TOOBIG);
    CHECK_STR(err.msg, "a tag of 1025 bytes: at most 1024 are allowed");
}

static void test_lists(void) {
    nadb_slice list = nadb_slice_of("\1a\2bc\1c", 7), walk = list, tag;

    CHECK(nadb_tags_valid(list));
    CHECK(nadb_tags_valid(nadb_slice_of(NULL, 0)));
    CHECK(nadb_tags_next(&walk, &tag) &&
          nadb_slice_eq(tag, nadb_slice_str("a")));
    CHECK(nadb_tags_next(&walk, &tag) &&
          nadb_slice_eq(tag, nadb_slice_str("bc")));
    CHECK(nadb_tags_next(&walk, &tag) &&
          nadb_slice_eq(tag, nadb_slice_str("c")));
    CHECK(!nadb_tags_next(&walk, &tag));
    CHECK(nadb_tags_has(list, nadb_slice_str("bc")));
    CHECK(!nadb_tags_has(list, nadb_slice_str("b")));
    CHECK(!nadb_tags_has(nadb_slice_of(NULL, 0), nadb_slice_str("b")));
    CHECK(!nadb_tags_valid(nadb_slice_of("\2a", 2)));
    CHECK(!nadb_tags_valid(nadb_slice_of("\0", 1)));
    CHECK(!nadb_tags_valid(nadb_slice_of("\1b\1a", 4)));
    walk = nadb_slice_of("\5a", 2); /* damaged: an end, not a crash */
    CHECK(!nadb_tags_next(&walk, &tag) && walk.n == 0);
}

static void test_without_memory(void) {
    static const char json[] = "[\"b\\n\",\"a\",\"c\"]";

    for (uint64_t nth = 1; nth < 20; nth++) {
        nadb_buf list = NADB_BUF_INIT, out = NADB_BUF_INIT;
        uint64_t fired;
        nadb_rc rc;

        test_fault_set("malloc", nth, "ENOMEM", false, NULL);
        rc = nadb_tags_parse(nadb_slice_str(json), &list, NULL);
        if (rc == NADB_OK && !nadb_tags_json(nadb_buf_slice(&list), &out))
            rc = NADB_NOMEM;
        test_fault_clear(NULL, &fired);
        nadb_buf_clear(&list);
        nadb_buf_clear(&out);
        CHECK(rc == (fired > 0 ? NADB_NOMEM : NADB_OK));
        if (fired == 0) return;
    }
    CHECK(false);
}

int main(void) {
    RUN(test_good);
    RUN(test_none);
    RUN(test_escapes);
    RUN(test_bad_shape);
    RUN(test_bad_strings);
    RUN(test_limits);
    RUN(test_lists);
    RUN(test_without_memory);
    return unit_done();
}
