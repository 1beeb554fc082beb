/* names.h - database names and namespaces as names of directories.
 *
 * Any bytes become one path component that is safe, that people can still
 * read, and that no other name becomes:
 *
 *   letters, digits, _ and -   stay, and so does a dot that is not the first
 *   every other byte           %XX, two hexadecimal digits in capitals
 *   nothing at all             a lone %
 *   more than 200 bytes then   the first of them, ~, and 32 hexadecimal digits
 *                              of a 128-bit hash of the name
 *
 * The last form is told from the others by its ~, and from its like by the
 * hash: not proof against somebody who looks for two names that collide, who
 * could as well use the same name twice. Letters keep their case: a file
 * system that ignores it makes one directory of two names. */
#ifndef NADB_NAMES_H
#define NADB_NAMES_H

#include "options.h"

/* Behind it, the identity of a store that belongs to a database file. No other
 * name has it: %st is no escape. */
#define NADB_NAME_STORE "%store-"

/* The name stays as it is, but for its length: not empty, and no byte of it is
 * escaped. So it is neither . nor .., and begins with no dot. */
bool nadb_name_is_plain(nadb_slice name);
/* Appends the component (no terminator); false when out of memory. */
bool nadb_name_to_dir(nadb_slice name, nadb_buf *out) NADB_MUST_USE;
/* Appends the name that becomes this component. *known is false, and nothing is
 * appended, for one that was cut, and for what no name becomes. */
bool nadb_name_from_dir(nadb_slice dir, nadb_buf *out,
                        bool *known) NADB_MUST_USE;

/* Appends the name of the folder of the options' db, and of their namespace in
 * it (without the store's identity); false when out of memory. */
bool nadb_options_put_db(const nadb_options *o, nadb_buf *out) NADB_MUST_USE;
bool nadb_options_put_ns(const nadb_options *o, nadb_buf *out) NADB_MUST_USE;

#endif
