/* conn.h - a connection to the server that has a store's keys.
 *
 * It connects at the first use, and again after it was lost, to where the route
 * (route.h) leads. Commands that a server refuses because the keys are
 * elsewhere are sent there, in order, for as long as the timeout; then the
 * refusal is the answer. A refused command has had no effect.
 *
 * After an error reply of the server the connection stays usable. A failure of
 * the connection itself closes it (conn_is_open() is then false), and commands
 * that were sent may or may not have been executed. Commands behind a refused
 * one are sent again, so a pipeline of several commands must consist of reads.
 *
 * One thread at a time uses a connection. */
#ifndef NADB_REDIS_CONN_H
#define NADB_REDIS_CONN_H

#include "route.h"

typedef struct conn {
    const address *at;
    route *way;
    patience until; /* time limit of its present user */
    wire wire;      /* w.name is the server's name in messages */
    uint64_t epoch; /* of the route when it connected */
    /* the server's Unix clock minus our monotonic clock */
    int64_t clock_ahead_ms;
    /* its name in versions (lua/lib/versions.lua); empty if we may not ask */
    char server[17];
    bool timed_out;    /* the last failure was a timeout */
    char writer[33];   /* unique name of this connection in commits */
    uint64_t commits;  /* number of the last commit that was sent */
    size_t pending;    /* answers that were not received yet */
    endpoint to;       /* where the wire leads */
    nadb_buf replicas; /* with option wait: the replicas at the last look */
    size_t online;     /* how many of them are online */
    /* monotonic: until then a replica that is behind is not waited for */
    int64_t behind_ns;
    struct conn *next; /* in the pool's list */
    int64_t given_ns;  /* monotonic: when it was returned to the pool */

    /* If the route may change: the pending commands. */
    nadb_buf queue; /* u64 length and bytes for each, as in the protocol */
    size_t head;    /* offset of the first one */
    bool singly;    /* they are sent one at a time */
    bool head_sent; /* with `singly`: the first was sent */
    bool head_asks; /* with `singly`: the first goes to `asked` */
    endpoint ask;   /* where `asked` leads */
    wire asked;     /* connection to a node that is receiving the slot */
} conn;

conn *conn_new(const address *at, route *way); /* NULL if out of memory */
void conn_free(conn *c);                       /* NULL is fine */

/* Starts a new time limit for asking what became of the last call. */
void conn_begin_asking(conn *c);
nadb_rc conn_open(conn *c, nadb_err *err) NADB_MUST_USE;
void conn_close(conn *c);
bool conn_is_open(const conn *c);
/* True if an idle connection is not usable: the server closed it, or the keys
 * have moved. */
bool conn_is_stale(const conn *c);
static inline const char *conn_name(const conn *c) { return c->wire.name; }

/* Adds a command to the pipeline. */
nadb_rc conn_send(conn *c, const args *a, nadb_err *err) NADB_MUST_USE;
/* Sends the pipeline now; otherwise that happens when an answer is waited
 * for. */
nadb_rc conn_push(conn *c, nadb_err *err) NADB_MUST_USE;
/* The next answer, which the caller frees. An error reply becomes an error. */
nadb_rc conn_receive(conn *c, redisReply **out, nadb_err *err) NADB_MUST_USE;
/* As conn_receive(), but NOSCRIPT is not an error: *out is then NULL. */
nadb_rc conn_receive_script(conn *c, redisReply **out,
                            nadb_err *err) NADB_MUST_USE;
/* One command, one answer. */
nadb_rc conn_call(conn *c, const args *a, redisReply **out,
                  nadb_err *err) NADB_MUST_USE;

/* Option wait: waits until enough replicas have acknowledged what this
 * connection has written, else fails. If the connection is still open then, the
 * commit is on the master; otherwise the server may have ceased to be the
 * master. */
nadb_rc conn_wait(conn *c, nadb_err *err) NADB_MUST_USE;

/* Fails with NADB_IOERR: the answer does not fit the command. Closes the
 * connection, because further answers cannot be assigned to commands. */
nadb_rc conn_confused(conn *c, nadb_err *err);

/* Reads the server's clock and name again, which conn_open() has read. An idle
 * connection does not notice that its server was replaced as master and has
 * become it again under another name. */
nadb_rc conn_ask_server(conn *c, nadb_err *err) NADB_MUST_USE;
/* Fails if the server's name is unknown, which scripts that make versions
 * need. */
nadb_rc conn_check_name(const conn *c, nadb_err *err) NADB_MUST_USE;
/* Estimate of the server's Unix time, ms. */
int64_t conn_server_ms(const conn *c);

#endif
