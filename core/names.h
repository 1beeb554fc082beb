/* names.h - maps database names and namespaces to names of directories.
 *
 * Any bytes become one path component that is safe, readable and unique:
 *
 *   letters, digits, _ and -   stay, and so does a dot that is not the first
 *   every other byte           %XX, two hexadecimal digits in capitals
 *   the empty name             a single %
 *   more than 200 bytes then   the first of them, ~, and 32 hexadecimal digits
 *                              of a 128-bit hash of the name
 *
 * The ~ distinguishes the last form from the others, and the hash
 * distinguishes long names from each other. A user could construct two names
 * with the same hash, but gains nothing by it: the same user could use one
 * name twice. Letters keep their case: a file system that ignores case makes
 * one directory of two such names. */
#ifndef NADB_NAMES_H
#define NADB_NAMES_H

#include "options.h"

/* Follows the name of a store that belongs to a database file; the store's
 * identity comes next. %st is not an escape, so no other name contains it. */
#define NADB_NAME_STORE "%store-"

/* Appends the component (no terminator); false if out of memory. */
bool nadb_name_is_plain(nadb_slice name);
/* Appends the name that a component stands for. *known is false, and nothing is
 * appended, for a name that was cut and for a component that no name maps
 * to. */
bool nadb_name_to_dir(nadb_slice name, nadb_buf *out) NADB_MUST_USE;
/* Appends the folder's name of the options' db, or of their namespace (without
 * the store's identity); false if out of memory. */
bool nadb_name_from_dir(nadb_slice dir, nadb_buf *out,
                        bool *known) NADB_MUST_USE;

/* Appends the name of the folder of the options' db, and of their namespace in
 * it (without the store's identity); false when out of memory. */
bool nadb_options_put_db(const nadb_options *o, nadb_buf *out) NADB_MUST_USE;
bool nadb_options_put_ns(const nadb_options *o, nadb_buf *out) NADB_MUST_USE;

#endif
