/* args.c - see args.h. */
#include "args.h"

void args_reset(args *a) {
    nadb_buf_reset(&a->pointers);
    nadb_buf_reset(&a->lengths);
    nadb_arena_reset(&a->memory);
    a->n = 0;
    a->bytes = 0;
    a->failed = false;
}

void args_clear(args *a) {
    nadb_buf_clear(&a->pointers);
    nadb_buf_clear(&a->lengths);
    nadb_arena_clear(&a->memory);
    a->n = 0;
}

void args_add(args *a, nadb_slice s) {
    const void *p = s.n == 0 ? (const uint8_t *)"" : s.p;

    if (!nadb_buf_append(&a->pointers, &p, sizeof p) ||
        !nadb_buf_append(&a->lengths, &s.n, sizeof s.n))
        a->failed = true;
    a->n++;
    a->bytes += s.n;
}

void args_text(args *a, const char *s) { args_add(a, nadb_slice_str(s)); }

void args_join_all(args *a, const nadb_slice *parts, size_t n) {
    size_t bytes = 0, at = 0;
    uint8_t *p;

    for (size_t i = 0; i < n; i++) bytes += parts[i].n;
    p = nadb_arena_alloc(&a->memory, bytes + 1);
    if (p == NULL) {
        a->failed = true;
        return;
    }
    for (size_t i = 0; i < n; at += parts[i++].n)
        if (parts[i].n > 0) memcpy(p + at, parts[i].p, parts[i].n);
    args_add(a, nadb_slice_of(p, bytes));
}

void args_join(args *a, nadb_slice prefix, nadb_slice tail) {
    const nadb_slice parts[] = {prefix, tail};

    args_join_all(a, parts, 2);
}

void args_copy(args *a, nadb_slice s) {
    args_join(a, s, nadb_slice_of(NULL, 0));
}

char *args_digits(char *p, int64_t v) {
    uint64_t u = v < 0 ? (uint64_t) - (v + 1) + 1 : (uint64_t)v;
    char digits[ARGS_NUMBER_MAX];
    size_t i = sizeof digits;

    do {
        digits[--i] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (v < 0) *p++ = '-';
    memcpy(p, digits + i, sizeof digits - i);
    return p + (sizeof digits - i);
}

void args_number(args *a, int64_t v) {
    char text[ARGS_NUMBER_MAX];
    size_t n = (size_t)(args_digits(text, v) - text);

    args_copy(a, nadb_slice_of(text, n));
}

void args_append(args *a, const args *more) {
    if (!nadb_buf_append(&a->pointers, more->pointers.p, more->pointers.n) ||
        !nadb_buf_append(&a->lengths, more->lengths.p, more->lengths.n))
        a->failed = true;
    a->failed = a->failed || more->failed;
    a->n += more->n;
    a->bytes += more->bytes;
}

void args_set_number(args *a, size_t i, int64_t v) {
    size_t last = a->n;
    const char *p;
    size_t n;

    args_number(a, v); /* appended, then moved to its place */
    if (a->failed) return;
    memcpy(&p, a->pointers.p + last * sizeof p, sizeof p);
    memcpy(&n, a->lengths.p + last * sizeof n, sizeof n);
    memcpy(a->pointers.p + i * sizeof p, &p, sizeof p);
    memcpy(a->lengths.p + i * sizeof n, &n, sizeof n);
    a->pointers.n -= sizeof p;
    a->lengths.n -= sizeof n;
    a->n = last;
}

void args_set(args *a, size_t i, const char *text) {
    size_t n = strlen(text);

    memcpy(a->pointers.p + i * sizeof text, &text, sizeof text);
    memcpy(a->lengths.p + i * sizeof n, &n, sizeof n);
}

void args_cut(args *a, size_t n) {
    for (size_t i = n; i < a->n; i++) a->bytes -= args_get(a, i).n;
    a->pointers.n = n * sizeof(const char *);
    a->lengths.n = n * sizeof(size_t);
    a->n = n;
}
