/* store_list.h - the stores that are in a directory, for those who know its
 * path and no table. Stores in files only; a buffered store of a server has its
 * rows there. */
#ifndef NADB_STORE_LIST_H
#define NADB_STORE_LIST_H

#include "options.h"

typedef struct nadb_store_list {
    size_t n;
    nadb_options **options; /* owned; by db and namespace */
} nadb_store_list;

/* Lists the stores of `path` (relative: to the working directory), of those in
 * `db` and `ns` where these are not NULL. Stores whose table was dropped are
 * left out. A name that was cut for its folder (core/names.h) is given as the
 * folder's. NADB_DENIED: the environment does not let a schema look there. The
 * caller clears *out, also on error. */
nadb_rc nadb_store_list_read(const char *path, const char *db, const char *ns,
                             bool read_only, nadb_store_list *out,
                             nadb_err *err) NADB_MUST_USE;
void nadb_store_list_clear(nadb_store_list *l);
/* Options of a store in files by its place; the caller owns *out. */
nadb_rc nadb_options_for_place(const char *path, const char *db, const char *ns,
                               nadb_options **out, nadb_err *err) NADB_MUST_USE;

#endif
