/* options_table.h - the table of all options: the core's, which are fields of
 * nadb_options, followed by those of backends, which are in `own`.
 *
 * An option here turns one text into one value and checks that text alone.
 * Checks that depend on several options, on the backend or on the table's place
 * are in options.c and in the backends. Only options.c knows the list of
 * backends; a value in `own` refers to its option. */
#ifndef NADB_OPTIONS_TABLE_H
#define NADB_OPTIONS_TABLE_H

#include "backend.h"
#include "options.h"

#define OPTION_COUNT_MAX 64 /* one bit each in nadb_options.given */

typedef struct option {
    const nadb_option *spec;
    unsigned index; /* below OPTION_COUNT_MAX */
    /* The only backend that has the option; NULL: all have it. */
    const char *backend;
    /* The option names a file or directory of the store; a backend without a
     * directory refuses it. */
    bool files;
} option;

/* Number of the core's options; those of backends follow. */
unsigned option_core_count(void);
/* The i-th option of *o, from 0; false past the end. With o NULL: of the
 * core's. */
bool option_at(const nadb_options *o, unsigned i, option *out);
/* False if no option has the name; case is ignored. */
bool option_find(const nadb_options *o, nadb_slice name, option *out);
/* The option's bit in nadb_options.given. */
uint64_t option_bit(const option *opt);
/* The name that is nearest to `name`, for messages; NULL if none is near. */
const char *option_nearest(const nadb_options *o, nadb_slice name);
/* True if the text equals the lower-case word, ignoring case in ASCII
 * (independent of the locale). */
bool option_same_word(nadb_slice s, const char *word);

/* Gives all options of *o their defaults. */
nadb_rc option_init_all(nadb_options *o, nadb_err *err) NADB_MUST_USE;
/* Sets the option's value, freeing an older one. NADB_INVALID names the option,
 * the value and what is allowed. */
nadb_rc option_set(const option *opt, nadb_options *o, const char *value,
                   nadb_err *err) NADB_MUST_USE;

/* Replaces all texts of *o, a bytewise copy, by copies of its own. False if out
 * of memory; *o may then only be given to option_free_all(). */
bool option_copy_all(nadb_options *o) NADB_MUST_USE;
/* Frees all texts. */
void option_free_all(nadb_options *o);

#endif
