/* address.h - where the server is and how to connect to it, from the options.
 *
 * Reads options only, never the network. The password is read from the
 * environment when a connection is made, and is not kept. */
#ifndef NADB_REDIS_ADDRESS_H
#define NADB_REDIS_ADDRESS_H

#include "../../core/backend.h"

typedef struct endpoint {
    char host[256]; /* "": the host in the address */
    int port;
} endpoint;

static inline bool endpoint_same(const endpoint *a, const endpoint *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

typedef struct address {
    /* array of endpoint, in the order in which they are tried; none: a unix
     * socket, or the sentinels decide */
    nadb_buf hosts;
    char *socket;       /* NULL: TCP */
    char *user;         /* NULL: the default user */
    char *password_env; /* NULL: no password */
    int db;
    bool cluster;
    bool tls;
    int wait;           /* number of replicas that must acknowledge a commit */
    nadb_buf sentinels; /* array of endpoint; none: no sentinel */
    char *master;       /* the master's name for the sentinels */
    char *sentinel_env; /* environment variable of their password; NULL: none */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;      /* for one exchange with the server */
    int64_t pool_timeout_ms; /* for waiting for a free connection */
    char name[160]; /* for messages: host:port,.. or path of the socket */
} address;

/* Fills *out; the caller address_clear()s it, also on failure. NADB_INVALID
 * names the error in the URL, or an option that this version does not
 * support. */
nadb_rc address_init(address *out, const nadb_options *options,
                     nadb_err *err) NADB_MUST_USE;
void address_clear(address *a);
/* nadb_backend.identity of stores on a server. */
nadb_rc address_identity(const nadb_options *options, nadb_buf *out,
                         nadb_err *err) NADB_MUST_USE;

/* The place of an address's rows as lines for a file: "host a:6379" or
 * "sentinel a:26379" for each, "socket /path", "db 0", "master name". */
nadb_rc address_place(const address *a, nadb_buf *out,
                      nadb_err *err) NADB_MUST_USE;
/* True if two such texts may mean one place: database and master are equal, and
 * one host, sentinel or socket is in both. So a place whose hosts are replaced
 * one by one stays the same. */
bool address_same_place(nadb_slice a, nadb_slice b);

static inline endpoint endpoint_at(const nadb_buf *list, size_t i) {
    endpoint e;

    memcpy(&e, list->p + i * sizeof e, sizeof e);
    return e;
}

/* With several hosts, each first gets only so long to answer; longer if none
 * has answered. */
#define ADDRESS_QUICK_MS 300

static inline size_t address_hosts(const address *a) {
    return a->hosts.n / sizeof(endpoint);
}

static inline size_t address_sentinels(const address *a) {
    return a->sentinels.n / sizeof(endpoint);
}

#endif
