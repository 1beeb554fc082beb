/* tls.h - TLS over a socket, by OpenSSL, where its headers were there at build
 * time. The library itself is loaded when the first connection wants it: most
 * programs never do. */
#ifndef NADB_REDIS_TLS_H
#define NADB_REDIS_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "patience.h"

typedef struct tls tls; /* in tls.c */

/* Whether this build knows TLS. */
bool tls_is_known(void);

/* Encrypts a connected socket, which stays the caller's and does not block, and
 * checks that the
 * server's certificate comes from an authority that this machine trusts and is
 * for `host`. `name` is for messages. */
nadb_rc tls_open(int fd, const char *host, const char *name, patience *until,
                 tls **out, nadb_err *err) NADB_MUST_USE;
void tls_close(tls *t); /* NULL is fine */

/* Some bytes; 0: none yet, *events is what poll() is to wait for; -1: failed,
 * *why says how. */
ssize_t tls_read(tls *t, void *p, size_t n, short *events, const char **why);
/* Likewise. After 0, the same bytes again. */
ssize_t tls_write(tls *t, const void *p, size_t n, short *events,
                  const char **why);

#endif
