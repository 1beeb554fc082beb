/* conn.h - a connection to whichever server has the keys of a store.
 *
 * Connects when it is first used and again after it was lost, to where the
 * route (route.h) leads. Commands that a server refuses because the keys are
 * elsewhere are sent there, in their order, for as long as the timeout: then
 * the refusal is the answer. Refused commands have done nothing.
 *
 * An error that the server answers leaves the connection usable; one of the
 * connection itself closes it (conn_is_open() is then false), and what was
 * sent may or may not have been done. As those behind a refused command are
 * sent again, a pipeline of several commands must be of reads alone.
 *
 * One thread at a time uses a connection. */
#ifndef NADB_REDIS_CONN_H
#define NADB_REDIS_CONN_H

#include "route.h"

typedef struct conn {
    const address *at;
    route *way;
    patience until;         /* of whoever uses it now */
    wire wire;              /* w.name names the server in messages */
    uint64_t epoch;         /* of the route that it went */
    int64_t clock_ahead_ms; /* the server's Unix clock before our monotonic */
    char server[17];   /* its name in versions (lua/lib/versions.lua); empty
                          when we may not ask */
    bool timed_out;    /* the last failure: no answer in time */
    char writer[33];   /* names this connection in commits, for ever */
    uint64_t commits;  /* number of the last commit sent over it */
    size_t pending;    /* answers that are still to be received */
    endpoint to;       /* where the wire leads */
    nadb_buf replicas; /* with option wait: those that were there last */
    size_t online;     /* so many of them follow it */
    int64_t behind_ns; /* monotonic: until then one that is behind is not waited
                          for */
    struct conn *next; /* in a pool's list */
    int64_t given_ns;  /* monotonic: since then it is there */

    /* Where the route may change: the commands that are pending. */
    nadb_buf queue; /* u64 length and bytes each, as the protocol has it */
    size_t head;    /* where the first of them begins */
    bool singly;    /* they are sent one at a time */
    bool head_sent; /* then: whether the first was */
    bool head_asks; /* then: the first is to go to `asked` */
    endpoint ask;   /* where `asked` leads */
    wire asked;     /* to a node that is getting the slot */
} conn;

conn *conn_new(const address *at, route *way); /* NULL when out of memory */
void conn_free(conn *c);                       /* NULL is fine */

/* What became of the last call is another question, with a time of its own. */
void conn_begin_asking(conn *c);
nadb_rc conn_open(conn *c, nadb_err *err) NADB_MUST_USE;
void conn_close(conn *c);
bool conn_is_open(const conn *c);
/* Whether an idle connection is of no use: the other side closed it, or the
 * keys have moved. */
bool conn_is_stale(const conn *c);
static inline const char *conn_name(const conn *c) { return c->wire.name; }

/* Puts a command into the pipeline. */
nadb_rc conn_send(conn *c, const args *a, nadb_err *err) NADB_MUST_USE;
/* Sends it; else that is done when the answer is waited for. */
nadb_rc conn_push(conn *c, nadb_err *err) NADB_MUST_USE;
/* The next answer, which the caller frees. An error of the server is an error
 * here. */
nadb_rc conn_receive(conn *c, redisReply **out, nadb_err *err) NADB_MUST_USE;
/* As conn_receive(), but NOSCRIPT is not an error: *out is then NULL. */
nadb_rc conn_receive_script(conn *c, redisReply **out,
                            nadb_err *err) NADB_MUST_USE;
/* One command, one answer. */
nadb_rc conn_call(conn *c, const args *a, redisReply **out,
                  nadb_err *err) NADB_MUST_USE;

/* Option wait: has as many replicas acknowledge what this connection has
 * written, or is an error. Where the connection is open then, it is done on the
 * master; where it is not, the server may be no master any more. */
nadb_rc conn_wait(conn *c, nadb_err *err) NADB_MUST_USE;

/* NADB_IOERR: the answer is not what this command answers. Closes the
 * connection: nobody knows what comes next. */
nadb_rc conn_confused(conn *c, nadb_err *err);

/* Asks for the server's clock and name again, which conn_open() has done once.
 * An idle connection does not hear that its server has ceased to be the master,
 * and has become it again under another name. */
nadb_rc conn_ask_server(conn *c, nadb_err *err) NADB_MUST_USE;
/* An error if the server's name is not known: scripts that give versions need
 * it. */
nadb_rc conn_check_name(const conn *c, nadb_err *err) NADB_MUST_USE;
/* The server's Unix time, ms, as far as we know. */
int64_t conn_server_ms(const conn *c);

#endif
