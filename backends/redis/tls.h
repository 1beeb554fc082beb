/* tls.h - TLS on a connection, where hiredis has it at build time. */
#ifndef NADB_REDIS_TLS_H
#define NADB_REDIS_TLS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "../../core/base/status.h"

bool tls_is_known(void);

/* Encrypts a new connection, and checks that the server's certificate comes
 * from an authority that this machine trusts and is for `host`. On failure the
 * connection is of no use any more. `name` is for messages. */
nadb_rc tls_begin(redisContext *c, const char *host, const char *name,
                  nadb_err *err) NADB_MUST_USE;

#endif
