/* allow.h - what the environment allows a schema to use (docs/security.md).
 *
 * A schema names directories and servers, and a user who can write
 * the database file can write the schema. The environment is under the
 * administrator's control:
 *
 *   NADB_ALLOW_PATHS  directories, separated by colons
 *   NADB_ALLOW_HOSTS  hosts, separated by commas
 *   <name>_HOSTS      hosts that may get the password in variable <name>
 *
 * A variable that is not set allows everything, an empty one nothing. They are
 * read at each use. An invalid entry is an error and is not skipped. */
#ifndef NADB_ALLOW_H
#define NADB_ALLOW_H

#include <stdbool.h>

#include "status.h"

#define NADB_ALLOW_PATHS "NADB_ALLOW_PATHS"
#define NADB_ALLOW_HOSTS "NADB_ALLOW_HOSTS"

/* NADB_DENIED unless the absolute path, with its links resolved, is one of the
 * directories or below one. It may be missing. */
nadb_rc nadb_allow_path(const char *path, nadb_err *err) NADB_MUST_USE;

/* *allowed: the list in variable `name` has this server, or the variable is not
 * set. `host` is from an option or another server, in upper or lower case, or
 * the path of a unix socket, which begins with a slash and has no port.
 * Entries:
 *
 *   host, host:port      a name or an address; without a port: any port
 *   [ipv6], [ipv6]:port  also an ipv6 address without brackets, any port
 *   address/bits         all addresses that begin with as many bits
 *   /path                a unix socket, or a directory above it */
nadb_rc nadb_allow_host(const char *name, const char *host, int port,
                        bool *allowed, nadb_err *err) NADB_MUST_USE;

#endif
