/* options_table.h - all options there are: the core's own, which are fields of
 * nadb_options, and behind them those that backends bring, in `own`.
 *
 * An option here turns one text into one value and judges that text alone; what
 * depends on several options, on the backend or on the place of the table is
 * checked in options.c and in the backends. Which backends there are only
 * options.c knows: a value in `own` says itself what it is the value of. */
#ifndef NADB_OPTIONS_TABLE_H
#define NADB_OPTIONS_TABLE_H

#include "backend.h"
#include "options.h"

#define OPTION_COUNT_MAX 64 /* they are counted in the bits of a word */

typedef struct option {
    const nadb_option *spec;
    unsigned index; /* below OPTION_COUNT_MAX */
    /* The one backend that knows it; NULL: all do. */
    const char *backend;
    /* It names a file or directory of the store, which a backend without a
     * directory cannot have. */
    bool files;
} option;

/* How many the core has; those of backends follow. */
unsigned option_core_count(void);
/* The i-th of *o, from 0; false past the end. Without o, of the core's own. */
bool option_at(const nadb_options *o, unsigned i, option *out);
/* False when there is none of that name; case does not matter. */
bool option_find(const nadb_options *o, nadb_slice name, option *out);
/* Its bit in nadb_options.given. */
uint64_t option_bit(const option *opt);
/* The name of the one that a user who wrote `name` may have meant; NULL when
 * none is near. */
const char *option_nearest(const nadb_options *o, nadb_slice name);
/* Whether the text is the word, which is in small letters, in any case; the
 * host program's locale has no say. */
bool option_same_word(nadb_slice s, const char *word);

/* Gives all options of *o their initial values. */
nadb_rc option_init_all(nadb_options *o, nadb_err *err) NADB_MUST_USE;
/* Sets the option's value. NADB_INVALID names option, value, and what is
 * allowed. A text that is already set is freed first. */
nadb_rc option_set(const option *opt, nadb_options *o, const char *value,
                   nadb_err *err) NADB_MUST_USE;

/* Makes all texts of *o, which is a copy of another's bytes, its own. False:
 * out of memory; *o is then only good for option_free_all(). */
bool option_copy_all(nadb_options *o) NADB_MUST_USE;
/* Frees what options hold. */
void option_free_all(nadb_options *o);

#endif
