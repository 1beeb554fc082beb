/* wire.h - one connection to one server: sends commands, receives answers.
 *
 * Every failure is an error that names the server and the reason, and closes
 * the wire: commands that were sent may or may not have been executed. Whatever
 * the server sends, an answer is complete within the time limit (plus a second
 * for each MB) and has at most WIRE_ELEMENTS_MOST elements, WIRE_DEPTH_MOST
 * nested arrays and WIRE_BYTES_MOST bytes; otherwise it is an error.
 *
 * No call raises SIGPIPE. exec() closes descriptors. One thread at a time uses
 * a wire. hiredis 0.14 and 1.x are supported; 0.14 ends the process when memory
 * runs out, which cannot be changed here. */
#ifndef NADB_REDIS_WIRE_H
#define NADB_REDIS_WIRE_H

#include <hiredis/hiredis.h>
#include <signal.h>

#include "../../core/util/number.h"
#include "address.h"
#include "args.h"
#include "patience.h"
#include "tls.h"

#define WIRE_ELEMENTS_MOST 8000000u
#define WIRE_DEPTH_MOST 8u /* limit of hiredis 0.14 */
#define WIRE_BYTES_MOST (1u << 30)
#define WIRE_NAME_MAX 300

/* Type of an array's length in this version of hiredis. */
#if HIREDIS_MAJOR >= 1
typedef size_t wire_count;
#else
typedef int wire_count;
#endif

typedef struct wire {
    redisContext *c;          /* NULL: not connected */
    char name[WIRE_NAME_MAX]; /* for messages */
    patience *until;          /* time limit of its present user */
    bool timed_out;           /* the last failure was a timeout */
    bool cluster;             /* the address is that of a cluster */
    tls *tls;                 /* NULL: not encrypted */
    const char *why;          /* TLS: reason of a failure; or NULL */
    nadb_buf out;             /* commands to be sent */
    size_t unsent; /* bytes of commands since the last answer began */
    bool spins;    /* may poll for an answer before it sleeps */
    bool soon;     /* will do so, because the last answer came soon */
    /* The parser's functions, with our own for arrays. */
    redisReplyObjectFunctions fn;
    void *(*make_array)(const redisReadTask *task, wire_count n);
    size_t elements; /* elements of the answer that is being received */
    size_t received; /* .. and its bytes */
} wire;

/* Connects, and sends AUTH and SELECT; `to` NULL: to the address of `at`.
 * `until` applies from then on, and must outlive the wire or be replaced. */
nadb_rc wire_open(wire *w, const address *at, const endpoint *to,
                  patience *until, nadb_err *err) NADB_MUST_USE;
/* True if the environment restricts the address's password to certain hosts
 * (<password_env>_HOSTS; core/util/allow.h). wire_open() sends it to no
 * other. */
bool wire_password_is_bound(const address *at);
/* Fails unless the environment allows all hosts in the options, not only the
 * one that answers (NADB_ALLOW_HOSTS). */
nadb_rc wire_check_hosts(const address *at, nadb_err *err) NADB_MUST_USE;
void wire_close(wire *w);
static inline bool wire_is_open(const wire *w) { return w->c != NULL; }
/* True if unexpected data or the end of the connection has arrived. */
bool wire_is_stale(const wire *w);

/* Appends a command in the protocol's form. */
nadb_rc wire_format(const args *a, nadb_buf *out, nadb_err *err) NADB_MUST_USE;
/* Add commands to the pipeline; the second takes them in the protocol's
 * form. */
nadb_rc wire_send(wire *w, const args *a, nadb_err *err) NADB_MUST_USE;
nadb_rc wire_send_bytes(wire *w, nadb_slice bytes, nadb_err *err) NADB_MUST_USE;
/* Sends the pipeline without waiting for an answer. */
nadb_rc wire_push(wire *w, nadb_err *err) NADB_MUST_USE;
/* The next answer, which may be an error reply; the caller frees it. */
nadb_rc wire_receive(wire *w, redisReply **out, nadb_err *err) NADB_MUST_USE;
/* An answer that has arrived already; *out is NULL if there is none. */
nadb_rc wire_look(wire *w, redisReply **out, nadb_err *err) NADB_MUST_USE;
/* One command, one answer; an error reply becomes an error. Clears the
 * arguments. */
nadb_rc wire_call(wire *w, args *a, redisReply **out,
                  nadb_err *err) NADB_MUST_USE;
/* As wire_call(), with the command as words; NULL ends them. */
nadb_rc wire_ask(wire *w, const char *const *words, redisReply **out,
                 nadb_err *err) NADB_MUST_USE;
/* The error for an error reply. */
nadb_rc wire_refused(const wire *w, const redisReply *r, nadb_err *err);
/* Fails with NADB_IOERR: the answer does not fit the command. Closes the
 * wire. */
nadb_rc wire_confused(wire *w, nadb_err *err);
bool wire_says(const redisReply *r, const char *word);

/* Bytes of a string reply; empty for others. */
static inline nadb_slice reply_slice(const redisReply *r) {
    bool text = r != NULL && (r->type == REDIS_REPLY_STRING ||
                              r->type == REDIS_REPLY_STATUS);

    return text ? nadb_slice_of(r->str, r->len) : nadb_slice_of(NULL, 0);
}

static inline bool reply_is_array(const redisReply *r, size_t least) {
    return r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements >= least;
}

/* The number >= 0 that is the reply's text; false for other replies. */
static inline bool reply_number(const redisReply *r, int64_t *out) {
    return nadb_integer_of(reply_slice(r), out) && *out >= 0;
}

/* That number, or 0. */
static inline uint64_t reply_number_or_0(const redisReply *r) {
    int64_t v;

    return reply_number(r, &v) ? (uint64_t)v : 0;
}

static inline bool reply_is_port(int64_t v) { return v > 0 && v <= 65535; }

/* Sleeps for a few ms. */
void redis_pause(void);

/* --- between wire.c and wire_open.c --- */

/* Blocks SIGPIPE in this thread from begin to end. */
typedef struct pipe_guard {
    sigset_t before;
    bool was_pending;
} pipe_guard;
void pipe_guard_begin(pipe_guard *g);
void pipe_guard_end(const pipe_guard *g);

/* Bounds what the parser accepts. Called after connecting. */
void wire_watch(wire *w);
/* The error for a failure with errno `error`. Closes the wire, because its
 * position in the stream is unknown. */
nadb_rc wire_broken(wire *w, const char *doing, int error, nadb_err *err);

#endif
