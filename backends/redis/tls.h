/* tls.h - TLS over a socket, by OpenSSL, where its headers were there at build
 * time. The library itself is loaded when the first connection wants it: most
 * programs never do. */
#ifndef NADB_REDIS_TLS_H
#define NADB_REDIS_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../core/util/status.h"

typedef struct tls tls; /* in tls.c */

/* Whether this build knows TLS. */
bool tls_is_known(void);

/* Encrypts a connected socket, which stays the caller's, and checks that the
 * server's certificate comes from an authority that this machine trusts and is
 * for `host`. `name` is for messages. */
nadb_rc tls_open(int fd, const char *host, const char *name, tls **out,
                 nadb_err *err) NADB_MUST_USE;
void tls_close(tls *t); /* NULL is fine */

/* Some bytes; 0: none yet, try again; -1: failed, *why says how, and errno is
 * EAGAIN when the socket's timeout has passed. */
ssize_t tls_read(tls *t, void *p, size_t n, const char **why);
/* All of them, or -1. */
ssize_t tls_write(tls *t, const void *p, size_t n, const char **why);

#endif
