/* options_table.h - the table of all options: names, ranges, where they go.
 *
 * Only options.c includes it. An option here turns one text into one field of
 * nadb_options and judges that text alone; what depends on several options, on
 * the backend or on the place of the table is checked in options.c. */
#ifndef NADB_OPTIONS_TABLE_H
#define NADB_OPTIONS_TABLE_H

#include "options.h"

typedef struct option option; /* in options_table.c */

#define OPTION_COUNT_MAX 64 /* they are counted in the bits of a word */

/* NULL when there is none of that name; case does not matter. */
const option *option_find(nadb_slice name);
/* The one that a user who wrote `name` may have meant; NULL when none is
 * near. */
const option *option_nearest(nadb_slice name);
/* The i-th, from 0; NULL past the end. */
const option *option_at(unsigned i);

const char *option_name(const option *opt);
unsigned option_index(const option *opt); /* below OPTION_COUNT_MAX */
/* The one backend that knows it; NULL: all do. */
const char *option_backend(const option *opt);
/* Whether it names a file or directory of the store, which a backend without
 * a directory cannot have. */
bool option_of_files(const option *opt);

/* Sets the option's field. NADB_INVALID names option, value, and what is
 * allowed. A field that is already set is freed first. */
nadb_rc option_set(const option *opt, nadb_options *o, const char *value,
                   nadb_err *err) NADB_MUST_USE;

/* The option's field; NULL for texts that were not given, and for options of
 * the other kind. */
const char *option_get_text(const option *opt, const nadb_options *o);
int64_t option_get_number(const option *opt, const nadb_options *o);

/* Frees all text fields. */
void option_free_texts(nadb_options *o);

#endif
