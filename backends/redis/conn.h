/* conn.h - one connection to a Redis server.
 *
 * Connects when it is first used and again after it was lost; enters with
 * AUTH and SELECT. Every failure is an error that names the server and the
 * reason. An error that the server answers leaves the connection usable; one
 * of the connection itself closes it (conn_is_open() is then false), and what
 * was sent may or may not have been done.
 *
 * No call raises SIGPIPE. Descriptors are closed by exec(). One thread at a
 * time uses a connection. hiredis of 0.14 and 1.x are used alike; 0.14 ends
 * the process when memory runs out, which nothing here can change. */
#ifndef NADB_REDIS_CONN_H
#define NADB_REDIS_CONN_H

#include <hiredis/hiredis.h>

#include "../../core/base/arena.h"
#include "address.h"

/* The arguments of a command, built one by one. They borrow what they are
 * given, except for what is copied into `memory`. */
typedef struct args {
    nadb_buf pointers; /* const char * each */
    nadb_buf lengths;  /* size_t each */
    nadb_arena memory;
    size_t n;
    size_t bytes; /* of all arguments */
    bool failed;  /* out of memory: conn_send() says so */
} args;

void args_reset(args *a);
void args_clear(args *a);
void args_add(args *a, nadb_slice s);
void args_copy(args *a, nadb_slice s);
void args_text(args *a, const char *s); /* borrowed */
void args_number(args *a, int64_t v);
/* Puts a number in the place of the i-th argument. */
void args_set_number(args *a, size_t i, int64_t v);
/* prefix + tail in memory of the arguments. */
void args_join(args *a, nadb_slice prefix, nadb_slice tail);

typedef struct conn {
    const address *at;
    redisContext *c;        /* NULL: not connected */
    int64_t clock_ahead_ms; /* the server's Unix clock before our monotonic */
    bool timed_out;         /* the last failure: no answer in time */
    char writer[33];        /* names this connection in commits, for ever */
    uint64_t commits;       /* number of the last commit sent over it */
    size_t pending;         /* answers that are still to be received */
    struct conn *next;      /* in a pool's list */
} conn;

conn *conn_new(const address *at); /* NULL when out of memory */
void conn_free(conn *c);           /* NULL is fine */

nadb_rc conn_open(conn *c, nadb_err *err) NADB_MUST_USE;
void conn_close(conn *c);
bool conn_is_open(const conn *c);
/* Whether an idle connection is certainly dead: the other side closed it. */
bool conn_is_stale(const conn *c);

/* Puts a command into the pipeline. */
nadb_rc conn_send(conn *c, const args *a, nadb_err *err) NADB_MUST_USE;
/* The next answer, which the caller frees. An error of the server is an error
 * here. */
nadb_rc conn_receive(conn *c, redisReply **out, nadb_err *err) NADB_MUST_USE;
/* As conn_receive(), but NOSCRIPT is not an error: *out is then NULL. */
nadb_rc conn_receive_script(conn *c, redisReply **out,
                            nadb_err *err) NADB_MUST_USE;
/* One command, one answer. */
nadb_rc conn_call(conn *c, const args *a, redisReply **out,
                  nadb_err *err) NADB_MUST_USE;

/* NADB_CORRUPT: the answer is not what this command answers. */
nadb_rc conn_confused(const conn *c, nadb_err *err);

/* Asks for the server's clock again, which conn_open() has done once. */
nadb_rc conn_read_clock(conn *c, nadb_err *err) NADB_MUST_USE;
/* The server's Unix time, ms, as far as we know. */
int64_t conn_server_ms(const conn *c);

/* Bytes of a string reply; empty for others. */
static inline nadb_slice reply_slice(const redisReply *r) {
    bool text = r != NULL && (r->type == REDIS_REPLY_STRING ||
                              r->type == REDIS_REPLY_STATUS);

    return text ? nadb_slice_of(r->str, r->len) : nadb_slice_of(NULL, 0);
}

static inline bool reply_is_array(const redisReply *r, size_t least) {
    return r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements >= least;
}

#endif
