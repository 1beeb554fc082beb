/* parse.c - see parse.h. */
#include "parse.h"

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* --- integers --- */

#define EXPONENT_MAX 1000000 /* larger ones are cut; they overflow anyway */

/* A decimal number, split at the point. */
typedef struct decimal {
    nadb_slice whole, fraction;
    bool negative;
    int64_t exponent;
} decimal;

static nadb_slice take_digits(nadb_slice *text) {
    nadb_slice digits = nadb_slice_of(text->p, 0);

    while (digits.n < text->n && is_digit(text->p[digits.n])) digits.n++;
    if (digits.n > 0)
        *text = nadb_slice_of(text->p + digits.n, text->n - digits.n);
    return digits;
}

static bool take_byte(nadb_slice *text, char c) {
    if (text->n == 0 || text->p[0] != (uint8_t)c) return false;
    *text = nadb_slice_of(text->p + 1, text->n - 1);
    return true;
}

static bool take_sign(nadb_slice *text) {
    if (take_byte(text, '-')) return true;
    (void)take_byte(text, '+');
    return false;
}

static bool take_exponent(nadb_slice *text, int64_t *out) {
    bool negative = take_sign(text);
    nadb_slice digits = take_digits(text);

    *out = 0;
    for (size_t i = 0; i < digits.n && *out < EXPONENT_MAX; i++)
        *out = *out * 10 + (digits.p[i] - '0');
    if (negative) *out = -*out;
    return digits.n > 0;
}

static bool take_decimal(nadb_slice text, decimal *d) {
    d->negative = take_sign(&text);
    d->whole = take_digits(&text);
    d->fraction = nadb_slice_of(NULL, 0);
    d->exponent = 0;
    if (take_byte(&text, '.')) d->fraction = take_digits(&text);
    if (d->whole.n + d->fraction.n == 0) return false;
    if ((take_byte(&text, 'e') || take_byte(&text, 'E')) &&
        !take_exponent(&text, &d->exponent))
        return false;
    return text.n == 0;
}

/* Counts downwards, because there is one more negative number. */
static bool add_digit(int64_t *v, int digit) {
    return !__builtin_mul_overflow(*v, 10, v) &&
           !__builtin_sub_overflow(*v, digit, v);
}

static nadb_slice without_space(nadb_slice text) {
    while (text.n > 0 && is_space(text.p[0]))
        text = nadb_slice_of(text.p + 1, text.n - 1);
    while (text.n > 0 && is_space(text.p[text.n - 1])) text.n--;
    return text;
}

bool nadb_parse_integer(nadb_slice text, int64_t *out) {
    decimal d;
    int64_t v = 0;
    /* index of the next digit after the first one that is not 0 */
    int64_t place = 0;
    int64_t point; /* number of digits before the point */

    if (!take_decimal(without_space(text), &d)) return false;
    point = (int64_t)d.whole.n + d.exponent;
    for (size_t i = 0; i < d.whole.n + d.fraction.n; i++, place++) {
        int digit = i < d.whole.n ? d.whole.p[i] - '0'
                                  : d.fraction.p[i - d.whole.n] - '0';

        if (place >= point && digit != 0) return false;
        if (place < point && !add_digit(&v, digit)) return false;
    }
    for (; place < point && v != 0; place++)
        if (!add_digit(&v, 0)) return false;
    if (!d.negative && v == INT64_MIN) return false;
    *out = d.negative ? v : -v;
    return true;
}

/* --- times --- */

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Takes exactly n digits with a value from `least` to `most`. */
static bool take_number(nadb_slice *text, size_t n, int least, int most,
                        int *out) {
    int v = 0;

    if (text->n < n) return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(text->p[i])) return false;
        v = v * 10 + (text->p[i] - '0');
    }
    *text = nadb_slice_of(text->p + n, text->n - n);
    *out = v;
    return v >= least && v <= most;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01. Years are counted from March, so that the leap day is
 * the last of a year; 400 years have 146,097 days. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t in_era = y - era * 400;
    int64_t in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year -
           719468;
}

static bool take_date(nadb_slice *text, int64_t *ms) {
    int year, month, day;

    if (!take_number(text, 4, 0, 9999, &year) || !take_byte(text, '-') ||
        !take_number(text, 2, 1, 12, &month) || !take_byte(text, '-') ||
        !take_number(text, 2, 1, days_in_month(year, month), &day))
        return false;
    *ms = days_of(year, month, day) * DAY;
    return true;
}

/* The digits behind the point: milliseconds, and further digits, which are
 * cut. */
static bool take_fraction(nadb_slice *text, int64_t *ms) {
    nadb_slice digits = take_digits(text);
    int64_t unit = 100;

    for (size_t i = 0; i < digits.n && i < 3; i++, unit /= 10)
        *ms += (digits.p[i] - '0') * unit;
    return digits.n > 0;
}

static bool take_clock(nadb_slice *text, int64_t *ms) {
    int hour, minute, second;

    if (!take_number(text, 2, 0, 23, &hour) || !take_byte(text, ':') ||
        !take_number(text, 2, 0, 59, &minute))
        return false;
    *ms += hour * HOUR + minute * MINUTE;
    if (!take_byte(text, ':')) return true;
    if (!take_number(text, 2, 0, 59, &second)) return false;
    *ms += second * INT64_C(1000);
    return !take_byte(text, '.') || take_fraction(text, ms);
}

/* Takes the offset from UTC and subtracts it. */
static bool take_offset(nadb_slice *text, int64_t *ms) {
    int64_t offset;
    bool ahead;
    int hour;
    int minute = 0;

    (void)take_byte(text, ' ');
    if (take_byte(text, 'Z') || take_byte(text, 'z')) return true;
    ahead = take_byte(text, '+');
    if (!ahead && !take_byte(text, '-')) return false;
    if (!take_number(text, 2, 0, 14, &hour)) return false;
    if (text->n > 0) {
        (void)take_byte(text, ':');
        if (!take_number(text, 2, 0, 59, &minute)) return false;
    }
    offset = hour * HOUR + minute * MINUTE;
    *ms -= ahead ? offset : -offset;
    return true;
}

bool nadb_parse_time(nadb_slice text, int64_t *ms) {
    int64_t t;

    if (!take_date(&text, &t)) return false;
    if (text.n > 0) {
        if (!take_byte(&text, 'T') && !take_byte(&text, 't') &&
            !take_byte(&text, ' '))
            return false;
        if (!take_clock(&text, &t)) return false;
        if (text.n > 0 && !take_offset(&text, &t)) return false;
        if (text.n > 0) return false;
    }
    *ms = t;
    return true;
}
