/* parse_test.c - integers and times out of text, against the C library's
 * calendar and against texts that are nearly right. */
#include "../../core/util/parse.h"

#include <time.h>

#include "unit.h"

static nadb_slice slice(const char *text) { return nadb_slice_str(text); }

static void integer(const char *text, int64_t want) {
    int64_t got = ~want;

    CHECK(nadb_parse_integer(slice(text), &got));
    CHECK(got == want);
}

static void no_integer(const char *text) {
    int64_t got = 77;

    CHECK(!nadb_parse_integer(slice(text), &got));
    CHECK(got == 77);
}

static void test_integers(void) {
    integer("0", 0);
    integer("-0", 0);
    integer("42", 42);
    integer("+42", 42);
    integer("-42", -42);
    integer(" \t42\r\n", 42);
    integer("0042", 42);
    integer("42.", 42);
    integer("42.000", 42);
    integer("-0.0", 0);
    integer(".0", 0);
    integer("4.2e1", 42);
    integer("4.2E+1", 42);
    integer("420e-1", 42);
    integer("0e999999999999999999999", 0);
    integer("0.00e-5", 0);
    integer("1e18", INT64_C(1000000000000000000));
    integer("9223372036854775807", INT64_MAX);
    integer("-9223372036854775808", INT64_MIN);
    integer("9.223372036854775807e18", INT64_MAX);
    integer("-9.223372036854775808E18", INT64_MIN);
    integer("00000000000000000000000000000000000000001", 1);
}

static void test_no_integers(void) {
    static const char *const texts[] = {"",
                                        " ",
                                        "-",
                                        "+",
                                        ".",
                                        "e5",
                                        ".e1",
                                        "4.2",
                                        "42e-1",
                                        "42e",
                                        "42e+",
                                        "4 2",
                                        "42x",
                                        "x42",
                                        "0x10",
                                        "--1",
                                        "+-1",
                                        "1.0.0",
                                        "1e1.0",
                                        "1_000",
                                        "1,000",
                                        "Inf",
                                        "NaN",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "1e19",
                                        "1e9999999999999999999999",
                                        "0.1e",
                                        "1e-1",
                                        "1e-99999999999999",
                                        "99999999999999999999e-1",
                                        "\xff",
                                        "4\xc2\xa0",
                                        NULL};

    for (size_t i = 0; texts[i] != NULL; i++) no_integer(texts[i]);
}

static void test_bytes(void) {
    int64_t v;

    CHECK(!nadb_parse_integer(nadb_slice_of("4\0", 2), &v));
    CHECK(!nadb_parse_integer(nadb_slice_of(NULL, 0), &v));
    CHECK(nadb_parse_integer(nadb_slice_of("42", 1), &v) && v == 4);
    CHECK(!nadb_parse_time(nadb_slice_of(NULL, 0), &v));
    CHECK(!nadb_parse_time(nadb_slice_of("2026-11-29\0", 11), &v));
    /* Each prefix of a time is looked at as if nothing came behind it. */
    for (size_t n = 0; n < 29; n++) {
        static const char text[] = "2026-11-29T12:34:56.789+01:00";
        bool good = n == 10 || n == 16 || n == 19 || n > 20;

        if (n == 24 || n == 25 || n == 27 || n == 28) good = false;
        CHECK(nadb_parse_time(nadb_slice_of(text, n), &v) == good);
    }
}

static void time_is(const char *text, int64_t want) {
    int64_t got = want + 1;

    CHECK(nadb_parse_time(slice(text), &got));
    CHECK(got == want);
}

static void test_times(void) {
    const int64_t t = INT64_C(1795955696000); /* 2026-11-29 12:34:56 */

    time_is("1970-01-01", 0);
    time_is("2026-11-29 12:34:56", t);
    time_is("2026-11-29T12:34:56", t);
    time_is("2026-11-29t12:34:56z", t);
    time_is("2026-11-29T12:34:56Z", t);
    time_is("2026-11-29 12:34:56 Z", t);
    time_is("2026-11-29 12:34", t - 56000);
    time_is("2026-11-29", t - (12 * 3600 + 34 * 60 + 56) * 1000);
    time_is("2026-11-29 12:34:56.7", t + 700);
    time_is("2026-11-29 12:34:56.78", t + 780);
    time_is("2026-11-29 12:34:56.789", t + 789);
    time_is("2026-11-29 12:34:56.7899999999999999", t + 789);
    time_is("2026-11-29 12:34:56+00:00", t);
    time_is("2026-11-29 13:34:56+01:00", t);
    time_is("2026-11-29 13:34:56 +01:00", t);
    time_is("2026-11-29 13:34:56+0100", t);
    time_is("2026-11-29 13:34:56+01", t);
    time_is("2026-11-29T07:04:56.5-05:30", t + 500);
    time_is("2026-11-30 02:34:56+14:00", t);
    time_is("1969-12-31 23:59:59.999", -1);
    time_is("1969-12-31 23:59:59.9999", -1);
    time_is("2000-02-29", INT64_C(951782400000));
    time_is("0000-01-01", INT64_C(-62167219200000));
    time_is("9999-12-31 23:59:59.999", INT64_C(253402300799999));
}

static void test_no_times(void) {
    static const char *const texts[] = {"",
                                        "now",
                                        "2026",
                                        "2026-11",
                                        "2026-1-1",
                                        "26-11-29",
                                        "2026-13-01",
                                        "2026-00-10",
                                        "2026-01-00",
                                        "2026-01-32",
                                        "2026-02-29",
                                        "2100-02-29",
                                        "2026-04-31",
                                        "-2026-01-01",
                                        "+2026-01-01",
                                        "02026-01-01",
                                        "2026/11/29",
                                        "20261129",
                                        "20261129T123456",
                                        " 2026-11-29",
                                        "2026-11-29 ",
                                        "2026-11-29 12",
                                        "2026-11-29 24:00",
                                        "2026-11-29 12:60",
                                        "2026-11-29 12:34:60",
                                        "2026-11-29 12:34:5",
                                        "2026-11-29 1:34:56",
                                        "2026-11-29  12:34",
                                        "2026-11-29x12:34",
                                        "2026-11-29 12:34:56.",
                                        "2026-11-29 12:34:56,5",
                                        "2026-11-29 12:34:56.5.5",
                                        "2026-11-29 12:34:56 UTC",
                                        "2026-11-29 12:34:56 ",
                                        "2026-11-29 12:34:56ZZ",
                                        "2026-11-29 12:34:56+",
                                        "2026-11-29Z",
                                        "2026-11-29 12:34:56+1",
                                        "2026-11-29 12:34:56+15:00",
                                        "2026-11-29 12:34:56+01:60",
                                        "2026-11-29 12:34:56+01:",
                                        "12:34:56",
                                        "2026-11-29 12:34:56+01:000",
                                        "2461000.5",
                                        "1795955696",
                                        "2026-11-29 -1:34",
                                        "2026-11-29 12:34:-5",
                                        "2026-W48-7",
                                        "2026-333",
                                        NULL};
    int64_t got = 77;

    for (size_t i = 0; texts[i] != NULL; i++) {
        if (nadb_parse_time(slice(texts[i]), &got)) printf("%s\n", texts[i]);
        CHECK(!nadb_parse_time(slice(texts[i]), &got));
    }
    CHECK(got == 77);
}

/* Every day of 10,000 years, and each day before it by one. */
static void test_calendar(void) {
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int64_t day_ms = INT64_C(86400000);
    int64_t expected = INT64_C(-62167219200000);
    unsigned wrong = 0;

    for (int y = 0; y <= 9999; y++)
        for (int m = 1; m <= 12; m++)
            for (int d = 1; d <= days[m - 1]; d++) {
                char text[32];
                int64_t ms;

                snprintf(text, sizeof text, "%04d-%02d-%02d", y, m, d);
                if (!nadb_parse_time(slice(text), &ms)) {
                    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

                    if (m != 2 || d != 29 || leap) wrong++;
                    continue;
                }
                if (ms != expected) wrong++;
                expected += day_ms;
            }
    CHECK(wrong == 0);
}

/* The C library's calendar says the same. */
static void test_gmtime(void) {
    unsigned wrong = 0;

    for (int64_t s = INT64_C(-62000000000); s < INT64_C(250000000000);
         s += INT64_C(98765431)) {
        time_t t = (time_t)s;
        struct tm tm;
        char text[64];
        int64_t ms;

        if (gmtime_r(&t, &tm) == NULL) continue;
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec);
        if (!nadb_parse_time(slice(text), &ms) || ms != s * 1000) wrong++;
    }
    CHECK(wrong == 0);
}

int main(void) {
    RUN(test_integers);
    RUN(test_no_integers);
    RUN(test_bytes);
    RUN(test_times);
    RUN(test_no_times);
    RUN(test_calendar);
    RUN(test_gmtime);
    return unit_done();
}
