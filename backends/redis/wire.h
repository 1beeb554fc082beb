/* wire.h - one connection to one server, as it is: commands out, answers in.
 *
 * Every failure is an error that names the server and the reason, and closes
 * the wire: what was sent may or may not have been done. Whatever the other
 * side sends, an answer is complete within the patience of whoever waits (and a
 * second more for each MB), has at most WIRE_ELEMENTS_MOST elements,
 * WIRE_DEPTH_MOST arrays in one another and WIRE_BYTES_MOST bytes, or is an
 * error.
 *
 * No call raises SIGPIPE. Descriptors are closed by exec(). One thread at a
 * time uses a wire. hiredis of 0.14 and 1.x are used alike; 0.14 ends the
 * process when memory runs out, which nothing here can change. */
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
#define WIRE_DEPTH_MOST 8u /* what 0.14 allows */
#define WIRE_BYTES_MOST (1u << 30)
#define WIRE_NAME_MAX 300

/* What the number of an array's elements is to this hiredis. */
#if HIREDIS_MAJOR >= 1
typedef size_t wire_count;
#else
typedef int wire_count;
#endif

typedef struct wire {
    redisContext *c;          /* NULL: not connected */
    char name[WIRE_NAME_MAX]; /* for messages */
    patience *until;          /* of whoever uses it now */
    bool timed_out;           /* the last failure: no answer in time */
    bool cluster;             /* the address says that it is one */
    tls *tls;                 /* NULL: not encrypted */
    const char *why;          /* TLS: what is wrong; or NULL */
    nadb_buf out;             /* commands that are to be sent */
    size_t unsent; /* bytes of commands since the last answer began */
    bool spins;    /* an answer may be looked for before sleeping */
    bool soon;     /* .. and will be: the last one came soon */
    /* The parser's functions, ours for arrays. */
    redisReplyObjectFunctions fn;
    void *(*make_array)(const redisReadTask *task, wire_count n);
    size_t elements; /* of the answer that is being received, .. */
    size_t received; /* .. and bytes */
} wire;

/* Connects, and enters with AUTH and SELECT; `to` NULL: where `at` says.
 * `until` holds from then on, and outlives the wire, or is replaced. */
nadb_rc wire_open(wire *w, const address *at, const endpoint *to,
                  patience *until, nadb_err *err) NADB_MUST_USE;
/* Whether the environment says for which hosts the address's password is
 * (<password_env>_HOSTS; core/util/allow.h). wire_open() sends it to no other.
 */
bool wire_password_is_bound(const address *at);
/* An error unless the environment allows all hosts that the options name, not
 * only the one that answers (NADB_ALLOW_HOSTS). */
nadb_rc wire_check_hosts(const address *at, nadb_err *err) NADB_MUST_USE;
void wire_close(wire *w);
static inline bool wire_is_open(const wire *w) { return w->c != NULL; }
/* Something came that nobody has asked for: more than was asked, or the end. */
bool wire_is_stale(const wire *w);

/* Appends a command as the protocol has it. */
nadb_rc wire_format(const args *a, nadb_buf *out, nadb_err *err) NADB_MUST_USE;
/* Put commands into the pipeline; the second one as the protocol has it. */
nadb_rc wire_send(wire *w, const args *a, nadb_err *err) NADB_MUST_USE;
nadb_rc wire_send_bytes(wire *w, nadb_slice bytes, nadb_err *err) NADB_MUST_USE;
/* Sends what is in the pipeline, without waiting for an answer. */
nadb_rc wire_push(wire *w, nadb_err *err) NADB_MUST_USE;
/* The next answer, also an error of the server; the caller frees it. */
nadb_rc wire_receive(wire *w, redisReply **out, nadb_err *err) NADB_MUST_USE;
/* An answer that has come already; *out is NULL when there is none. */
nadb_rc wire_look(wire *w, redisReply **out, nadb_err *err) NADB_MUST_USE;
/* One command, one answer; an error of the server is an error here. Empties
 * the arguments. */
nadb_rc wire_call(wire *w, args *a, redisReply **out,
                  nadb_err *err) NADB_MUST_USE;
/* The error for an answer that is one. */
nadb_rc wire_refused(const wire *w, const redisReply *r, nadb_err *err);
/* NADB_IOERR: the answer is not what the command answers. Closes the wire. */
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

/* The whole number, 0 or more, whose text the reply is; false for others. */
static inline bool reply_number(const redisReply *r, int64_t *out) {
    return nadb_integer_of(reply_slice(r), out) && *out >= 0;
}

/* That number, or 0. */
static inline uint64_t reply_number_or_0(const redisReply *r) {
    int64_t v;

    return reply_number(r, &v) ? (uint64_t)v : 0;
}

static inline bool reply_is_port(int64_t v) { return v > 0 && v <= 65535; }

/* A short sleep of a few ms. */
void redis_pause(void);

/* --- between wire.c and wire_open.c --- */

/* SIGPIPE is blocked in this thread from begin to end. */
typedef struct pipe_guard {
    sigset_t before;
    bool was_pending;
} pipe_guard;
void pipe_guard_begin(pipe_guard *g);
void pipe_guard_end(const pipe_guard *g);

/* Has the parser bound what it takes in, once it is connected. */
void wire_watch(wire *w);
/* The error for a failure, of which `error` is the errno. Closes the wire, for
 * its stream may be anywhere. */
nadb_rc wire_broken(wire *w, const char *doing, int error, nadb_err *err);

#endif
