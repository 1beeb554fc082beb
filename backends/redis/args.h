/* args.h - the arguments of a Redis command. */
#ifndef NADB_REDIS_ARGS_H
#define NADB_REDIS_ARGS_H

#include "../../core/util/arena.h"

/* The arguments of a command, added one by one. They are borrowed, except for
 * those that are copied into `memory`. */
typedef struct args {
    nadb_buf pointers; /* array of const char * */
    nadb_buf lengths;  /* array of size_t */
    nadb_arena memory;
    size_t n;
    size_t bytes; /* of all arguments */
    bool failed;  /* out of memory: reported when it is sent */
} args;

void args_reset(args *a);
void args_clear(args *a);
void args_add(args *a, nadb_slice s);
void args_copy(args *a, nadb_slice s);
void args_text(args *a, const char *s); /* borrowed */
void args_number(args *a, int64_t v);
/* Appends the arguments of `more`, which must outlive these. */
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
/* Replaces the i-th argument by a number. */
void args_set_number(args *a, size_t i, int64_t v);
/* Replaces the i-th argument by a text, which is borrowed. */
void args_set(args *a, size_t i, const char *text);
void args_cut(args *a, size_t n); /* keeps the first n */
/* Append the parts as one argument, in memory of the arguments. */
void args_join(args *a, nadb_slice prefix, nadb_slice tail);
void args_join_all(args *a, const nadb_slice *parts, size_t n);

#endif
