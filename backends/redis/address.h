/* address.h - where the server is and how to enter it, from the options.
 *
 * Reads options, never the network. The password is looked up in the
 * environment when a connection is made, and kept nowhere. */
#ifndef NADB_REDIS_ADDRESS_H
#define NADB_REDIS_ADDRESS_H

#include "../../core/backend.h"

typedef struct endpoint {
    char host[256]; /* "": where the address says */
    int port;
} endpoint;

static inline bool endpoint_same(const endpoint *a, const endpoint *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

typedef struct address {
    nadb_buf hosts;     /* endpoint each, in the order in which they are tried;
                           none: a unix socket, or what the sentinels say */
    char *socket;       /* NULL: TCP */
    char *user;         /* NULL: the default user */
    char *password_env; /* NULL: no password */
    int db;
    bool cluster;
    bool tls;
    int wait;           /* replicas that must have a commit */
    nadb_buf sentinels; /* endpoint each; none: no sentinel */
    char *master;       /* what the sentinels call it */
    char *sentinel_env; /* for their password; NULL: none */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;      /* of one exchange with the server */
    int64_t pool_timeout_ms; /* of waiting for a free connection */
    char name[160]; /* for messages: host:port,.. or the socket's path */
} address;

/* Fills *out, which the caller address_clear()s, also on failure.
 * NADB_INVALID names what is wrong in the URL, or an option that this version
 * cannot serve. */
nadb_rc address_init(address *out, const nadb_options *options,
                     nadb_err *err) NADB_MUST_USE;
void address_clear(address *a);
/* nadb_backend.identity of what lies on a server. */
nadb_rc address_identity(const nadb_options *options, nadb_buf *out,
                         nadb_err *err) NADB_MUST_USE;

/* Where the rows of such an address are, as lines for a file: "host a:6379" or
 * "sentinel a:26379" each, "socket /path", "db 0", "master name". */
nadb_rc address_place(const address *a, nadb_buf *out,
                      nadb_err *err) NADB_MUST_USE;
/* Whether two of those may be one place: database and master are the same, and
 * so is one of the hosts, sentinels or sockets. A place whose hosts are
 * replaced one by one stays the same. */
bool address_same_place(nadb_slice a, nadb_slice b);

static inline endpoint endpoint_at(const nadb_buf *list, size_t i) {
    endpoint e;

    memcpy(&e, list->p + i * sizeof e, sizeof e);
    return e;
}

/* Where there are several hosts to begin with, so long each is waited for at
 * first; and longer when none has answered. */
#define ADDRESS_QUICK_MS 300

static inline size_t address_hosts(const address *a) {
    return a->hosts.n / sizeof(endpoint);
}

static inline size_t address_sentinels(const address *a) {
    return a->sentinels.n / sizeof(endpoint);
}

#endif
