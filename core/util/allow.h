/* allow.h - what the environment lets a schema reach (docs/security.md).
 *
 * A schema names directories and servers, and whoever can write the database
 * file can write the schema. The environment is the administrator's:
 *
 *   NADB_ALLOW_PATHS  directories, with a colon between them
 *   NADB_ALLOW_HOSTS  hosts, with a comma between them
 *   <name>_HOSTS      hosts that the password in the variable <name> may go to
 *
 * A variable that is not set allows everything; one that is empty nothing.
 * They are read each time, from the environment as it is then. An entry that
 * makes no sense is an error, rather than skipped. */
#ifndef NADB_ALLOW_H
#define NADB_ALLOW_H

#include <stdbool.h>

#include "status.h"

#define NADB_ALLOW_PATHS "NADB_ALLOW_PATHS"
#define NADB_ALLOW_HOSTS "NADB_ALLOW_HOSTS"

/* The absolute path, when its links are resolved, must be one of the
 * directories, or below one, by component; it may be missing. NADB_DENIED. */
nadb_rc nadb_allow_path(const char *path, nadb_err *err) NADB_MUST_USE;

/* Whether the list in the variable `name` has this server; true when it is not
 * set. `host` is as an option or another server names it, in any case, or the
 * path of a unix socket, which begins with a slash and has no port. Entries:
 *
 *   host, host:port      a name or an address; without a port: any port
 *   [ipv6], [ipv6]:port  also an ipv6 address without brackets, any port
 *   address/bits         all addresses that begin with as many bits
 *   /path                a unix socket, or the directory that it is in or below
 */
nadb_rc nadb_allow_host(const char *name, const char *host, int port,
                        bool *allowed, nadb_err *err) NADB_MUST_USE;

#endif
