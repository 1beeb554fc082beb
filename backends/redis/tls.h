/* tls.h - TLS over a socket with OpenSSL, if its headers existed at build time.
 * The library is loaded with the first connection that uses it. */
#ifndef NADB_REDIS_TLS_H
#define NADB_REDIS_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "patience.h"

typedef struct tls tls; /* in tls.c */

/* True if this build supports TLS. */
bool tls_is_known(void);

/* Encrypts a connected non-blocking socket, which the caller keeps. Checks that
 * an authority that this machine trusts has signed the server's certificate,
 * and that it is for `host`. `name` is for messages. */
nadb_rc tls_open(int fd, const char *host, const char *name, patience *until,
                 tls **out, nadb_err *err) NADB_MUST_USE;
void tls_close(tls *t); /* NULL is fine */

/* Number of bytes read; 0: none yet, poll() for *events; -1: failed, *why is
 * the reason. */
ssize_t tls_read(tls *t, void *p, size_t n, short *events, const char **why);
/* As tls_read(). After 0 the same bytes must be written again. */
ssize_t tls_write(tls *t, const void *p, size_t n, short *events,
                  const char **why);

#endif
