/* args.h - the arguments of a Redis command. */
#ifndef NADB_REDIS_ARGS_H
#define NADB_REDIS_ARGS_H

#include "../../core/util/arena.h"

/* The arguments of a command, built one by one. They borrow what they are
 * given, except for what is copied into `memory`. */
typedef struct args {
    nadb_buf pointers; /* const char * each */
    nadb_buf lengths;  /* size_t each */
    nadb_arena memory;
    size_t n;
    size_t bytes; /* of all arguments */
    bool failed;  /* out of memory: sending says so */
} args;

void args_reset(args *a);
void args_clear(args *a);
void args_add(args *a, nadb_slice s);
void args_copy(args *a, nadb_slice s);
void args_text(args *a, const char *s); /* borrowed */
void args_number(args *a, int64_t v);
/* The arguments of another, which outlives these. */
void args_append(args *a, const args *more);
static inline nadb_slice args_get(const args *a, size_t i) {
    nadb_slice s;

    memcpy(&s.p, a->pointers.p + i * sizeof s.p, sizeof s.p);
    memcpy(&s.n, a->lengths.p + i * sizeof s.n, sizeof s.n);
    return s;
}
#define ARGS_NUMBER_MAX 20
/* Writes a number in decimal; returns the place behind it. */
char *args_digits(char *p, int64_t v);
/* Puts a number in the place of the i-th argument. */
void args_set_number(args *a, size_t i, int64_t v);
/* Puts a text, which is borrowed, in the place of the i-th argument. */
void args_set(args *a, size_t i, const char *text);
void args_cut(args *a, size_t n); /* leaves the first n */
/* prefix + tail in memory of the arguments. */
void args_join(args *a, nadb_slice prefix, nadb_slice tail);

#endif
