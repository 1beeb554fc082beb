/* store_list.h - lists the stores in a directory without their tables. Only
 * stores in files are listed; the rows of a buffered store on a server are not
 * here. */
#ifndef NADB_STORE_LIST_H
#define NADB_STORE_LIST_H

#include "options.h"

typedef struct nadb_store_list {
    size_t n;
    nadb_options **options; /* owned; sorted by db and namespace */
} nadb_store_list;

/* Lists the stores of `path` (relative to the working directory), of `db` and
 * `ns` if these are not NULL. Stores whose table was dropped are left out. A
 * name that was cut for its folder (core/names.h) is reported as the folder's
 * name. NADB_DENIED: the environment forbids a schema to look there. The caller
 * clears *out, also on error. */
nadb_rc nadb_store_list_read(const char *path, const char *db, const char *ns,
                             bool read_only, nadb_store_list *out,
                             nadb_err *err) NADB_MUST_USE;
void nadb_store_list_clear(nadb_store_list *l);
/* Options for a store in files, from its place; the caller owns *out. */
nadb_rc nadb_options_for_place(const char *path, const char *db, const char *ns,
                               nadb_options **out, nadb_err *err) NADB_MUST_USE;

#endif
