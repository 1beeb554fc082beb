/* number_test.c - numbers from text and back, whatever the locale. */
#include "../../core/util/number.h"

#include <math.h>

#include "unit.h"

static bool is_integer(const char *text, int64_t want) {
    int64_t got;

    return nadb_integer_of(nadb_slice_str(text), &got) && got == want;
}

static bool no_integer(nadb_slice text) {
    int64_t got = 1;

    return !nadb_integer_of(text, &got) && got == 0;
}

static bool is_real(const char *text, double want) {
    double got;

    return nadb_real_of(nadb_slice_str(text), &got) && got == want;
}

static bool no_real(nadb_slice text) {
    double got = 1;

    return !nadb_real_of(text, &got) && got == 0;
}

static void test_integers(void) {
    CHECK(is_integer("0", 0));
    CHECK(is_integer("-0", 0));
    CHECK(is_integer("007", 7));
    CHECK(is_integer("+12", 12));
    CHECK(is_integer("9223372036854775807", INT64_MAX));
    CHECK(is_integer("-9223372036854775808", INT64_MIN));
}

static void test_no_integers(void) {
    static const char *const texts[] = {
        "",   "-",    "+",        "--1", " 1",  "1 ",
        "1x", "0x10", "1.0",      "1e3", "x",   "9223372036854775808",
        "1,", "1\n",  "\xc2\xb2", "inf", "+-1", "-9223372036854775809",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!no_integer(nadb_slice_str(texts[i]))) CHECK_STR(texts[i], "none");
    CHECK(no_integer(nadb_slice_of("1\0", 2)));
    CHECK(no_integer(nadb_slice_of(NULL, 0)));
}

static void test_reals(void) {
    CHECK(is_real("1.5", 1.5));
    CHECK(is_real("-1.5e-3", -1.5e-3));
    CHECK(is_real("+.5", 0.5));
    CHECK(is_real("5.", 5));
    CHECK(is_real("1E5", 1e5));
    CHECK(is_real("1e+05", 1e5));
    CHECK(is_real("1e999", INFINITY));
    CHECK(is_real("1e-999", 0));
    CHECK(is_real("inf", INFINITY));
    CHECK(is_real("-inf", -INFINITY));
    CHECK(is_real("12345678901234567890", 12345678901234567890.0));
}

static void test_no_reals(void) {
    static const char *const texts[] = {
        "",      "-",   ".",   "e5",  "1e",  "1e+",      " 1", "1 ",   "1,5",
        "1.5.1", "0x1", "nan", "NAN", "INF", "infinity", "1x", "1.5e", "1e5x",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!no_real(nadb_slice_str(texts[i]))) CHECK_STR(texts[i], "none");
    CHECK(no_real(nadb_slice_of("1\0", 2)));
    CHECK(no_real(nadb_slice_of(NULL, 0)));
}

static void test_there_and_back(void) {
    static const double reals[] = {
        0.1,      1.0 / 3, 1e300, -5e-324, 1.7976931348623157e308,
        INFINITY, -1e22,   1e15,  -0.0,    2.2250738585072014e-308,
        123.456,  4.9e-322};
    char text[NADB_REAL_TEXT_MAX];

    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        nadb_real_text(reals[i], text);
        CHECK(strlen(text) < sizeof text);
        CHECK(is_real(text, reals[i]));
    }
}

int main(void) {
    RUN(test_integers);
    RUN(test_no_integers);
    RUN(test_reals);
    RUN(test_no_reals);
    RUN(test_there_and_back);
    return unit_done();
}
