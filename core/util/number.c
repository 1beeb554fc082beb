/* number.c - see number.h. */
#include "number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static size_t skip_sign(nadb_slice s, bool *negative) {
    *negative = s.n > 0 && s.p[0] == '-';
    return s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
}

/* Index of the first byte from `at` on that is not a digit. */
static size_t skip_digits(nadb_slice s, size_t at) {
    while (at < s.n && is_digit(s.p[at])) at++;
    return at;
}

bool nadb_integer_of(nadb_slice text, int64_t *out) {
    bool negative;
    size_t at = skip_sign(text, &negative);
    int64_t v = 0;

    *out = 0;
    if (at == text.n) return false;
    /* Counts downwards, because there is one more negative number. */
    for (; at < text.n; at++) {
        if (!is_digit(text.p[at]) || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, text.p[at] - '0', &v))
            return false;
    }
    if (!negative && v == INT64_MIN) return false;
    *out = negative ? v : -v;
    return true;
}

static bool is_real(nadb_slice s) {
    bool negative;
    size_t begin = skip_sign(s, &negative);
    size_t at = skip_digits(s, begin);
    size_t digits = at - begin;

    if (at < s.n && s.p[at] == '.') {
        begin = at + 1;
        at = skip_digits(s, begin);
        digits += at - begin;
    }
    if (digits == 0) return false;
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        nadb_slice exponent = nadb_slice_of(s.p + at + 1, s.n - at - 1);

        begin = at + 1 + skip_sign(exponent, &negative);
        at = skip_digits(s, begin);
        if (at == begin) return false;
    }
    return at == s.n;
}

/* The C library has this locale ready: nothing is allocated or freed. */
static locale_t c_locale(void) {
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool nadb_real_of(nadb_slice text, double *out) {
    bool negative;
    size_t at = skip_sign(text, &negative);
    locale_t c, before;

    *out = 0;
    if (text.n == 0) return false;
    if (nadb_slice_eq(nadb_slice_of(text.p + at, text.n - at),
                      nadb_slice_str("inf"))) {
        *out = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (!is_real(text)) return false;
    c = c_locale();
    before = uselocale(c);
    *out = strtod((const char *)text.p, NULL);
    (void)uselocale(before);
    freelocale(c);
    return true;
}

void nadb_real_text(double v, char text[NADB_REAL_TEXT_MAX]) {
    locale_t c = c_locale();
    locale_t before = uselocale(c);

    snprintf(text, NADB_REAL_TEXT_MAX, "%.17g", v);
    (void)uselocale(before);
    freelocale(c);
}
