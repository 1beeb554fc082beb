/* conn.c - see conn.h. */
#include "conn.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* --- arguments --- */

void args_reset(args *a) {
    nadb_buf_reset(&a->pointers);
    nadb_buf_reset(&a->lengths);
    nadb_arena_reset(&a->memory);
    a->n = 0;
    a->bytes = 0;
    a->failed = false;
}

void args_clear(args *a) {
    nadb_buf_clear(&a->pointers);
    nadb_buf_clear(&a->lengths);
    nadb_arena_clear(&a->memory);
    a->n = 0;
}

void args_add(args *a, nadb_slice s) {
    const void *p = s.n == 0 ? (const uint8_t *)"" : s.p;

    if (!nadb_buf_append(&a->pointers, &p, sizeof p) ||
        !nadb_buf_append(&a->lengths, &s.n, sizeof s.n))
        a->failed = true;
    a->n++;
    a->bytes += s.n;
}

void args_text(args *a, const char *s) { args_add(a, nadb_slice_str(s)); }

void args_join(args *a, nadb_slice prefix, nadb_slice tail) {
    uint8_t *p = nadb_arena_alloc(&a->memory, prefix.n + tail.n + 1);

    if (p == NULL) {
        a->failed = true;
        return;
    }
    if (prefix.n > 0) memcpy(p, prefix.p, prefix.n);
    if (tail.n > 0) memcpy(p + prefix.n, tail.p, tail.n);
    args_add(a, nadb_slice_of(p, prefix.n + tail.n));
}

void args_copy(args *a, nadb_slice s) {
    args_join(a, s, nadb_slice_of(NULL, 0));
}

void args_number(args *a, int64_t v) {
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, v);
    args_copy(a, nadb_slice_str(text));
}

void args_set_number(args *a, size_t i, int64_t v) {
    size_t last = a->n;
    const char *p;
    size_t n;

    args_number(a, v); /* at the end, and then moved to its place */
    if (a->failed) return;
    memcpy(&p, a->pointers.p + last * sizeof p, sizeof p);
    memcpy(&n, a->lengths.p + last * sizeof n, sizeof n);
    memcpy(a->pointers.p + i * sizeof p, &p, sizeof p);
    memcpy(a->lengths.p + i * sizeof n, &n, sizeof n);
    a->pointers.n -= sizeof p;
    a->lengths.n -= sizeof n;
    a->n = last;
}

/* --- SIGPIPE ---
 *
 * hiredis writes with write(), and a server that is gone would raise SIGPIPE
 * in a program that has nothing to do with it. So it is blocked for the call
 * in this thread, and taken off when the call has made it pending. */

typedef struct pipe_guard {
    sigset_t before;
    bool was_pending;
} pipe_guard;

static void pipe_set(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

static bool pipe_pending(void) {
    sigset_t pending;

    sigemptyset(&pending);
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void guard_begin(pipe_guard *g) {
    sigset_t set;

    pipe_set(&set);
    g->was_pending = pipe_pending();
    (void)pthread_sigmask(SIG_BLOCK, &set, &g->before);
}

/* Keeps errno, by which hiredis says what happened. */
static void guard_end(const pipe_guard *g) {
    static const struct timespec at_once = {0, 0};
    int error = errno;
    sigset_t set;

    pipe_set(&set);
    if (!g->was_pending && pipe_pending())
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) {}
    (void)pthread_sigmask(SIG_SETMASK, &g->before, NULL);
    errno = error;
}

/* --- errors --- */

/* Closes the connection, for its stream may be anywhere. */
static nadb_rc broken(conn *c, const char *doing, int error, nadb_err *err) {
    redisContext *x = c->c;
    const char *why = x == NULL ? "out of memory" : x->errstr;
    int64_t limit = c->at->timeout_ms;

    c->timed_out = x != NULL && x->err == REDIS_ERR_IO &&
                   (error == EAGAIN || error == EWOULDBLOCK);
#ifdef REDIS_ERR_TIMEOUT
    if (x != NULL && x->err == REDIS_ERR_TIMEOUT) c->timed_out = true;
#endif
    if (c->timed_out)
        nadb_fail(err, NADB_IOERR,
                  "redis server %s: %s: no answer within %" PRId64 ".%03d s",
                  c->at->name, doing, limit / 1000, (int)(limit % 1000));
    else
        nadb_fail(err, NADB_IOERR, "redis server %s: %s: %s", c->at->name,
                  doing, why);
    if (err != NULL) err->sys_errno = error;
    conn_close(c);
    return NADB_IOERR;
}

static bool starts(const redisReply *r, const char *word) {
    return nadb_slice_starts(nadb_slice_of(r->str, r->len),
                             nadb_slice_str(word));
}

/* The code for an error that the server answers. */
static nadb_rc error_code(const redisReply *r) {
    /* Inside scripts older servers put their own words before it. */
    if (strstr(r->str, "OOM command not allowed") != NULL) return NADB_FULL;
    if (starts(r, "NOAUTH") || starts(r, "WRONGPASS") || starts(r, "NOPERM") ||
        strstr(r->str, "invalid password") != NULL)
        return NADB_CANTOPEN;
    if (strstr(r->str, "READONLY You can't write") != NULL)
        return NADB_READONLY;
    return NADB_IOERR;
}

static nadb_rc refused(const conn *c, const redisReply *r, nadb_err *err) {
    const char *hint = "";

    if (starts(r, "MOVED") || starts(r, "ASK") || starts(r, "CLUSTERDOWN"))
        hint = " (it belongs to a cluster)";
    return nadb_fail(err, error_code(r), "redis server %s: %.300s%s",
                     c->at->name, r->str, hint);
}

nadb_rc conn_confused(const conn *c, nadb_err *err) {
    return nadb_fail(err, NADB_IOERR,
                     "redis server %s: its answer makes no sense", c->at->name);
}

/* --- opening and closing --- */

conn *conn_new(const address *at) {
    conn *c = nadb_calloc(1, sizeof *c);
    uint8_t random[16];

    if (c == NULL) return NULL;
    c->at = at;
    nadb_os_get()->random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(c->writer + 2 * i, 3, "%02x", random[i]);
    return c;
}

void conn_close(conn *c) {
    if (c->c != NULL) redisFree(c->c);
    c->c = NULL;
    c->pending = 0;
}

void conn_free(conn *c) {
    if (c == NULL) return;
    conn_close(c);
    nadb_free(c);
}

bool conn_is_open(const conn *c) { return c->c != NULL; }

bool conn_is_stale(const conn *c) {
    struct pollfd p = {c->c->fd, POLLIN, 0};

    /* Nothing was asked: whatever comes now is the end. */
    return poll(&p, 1, 0) != 0;
}

static struct timeval timeval_of(int64_t ms) {
    struct timeval t;

    t.tv_sec = (time_t)(ms / 1000);
    t.tv_usec = (suseconds_t)(ms % 1000 * 1000);
    return t;
}

static nadb_rc connect_socket(conn *c, nadb_err *err) {
    const address *at = c->at;
    struct timeval limit = timeval_of(at->connect_timeout_ms);
    pipe_guard guard;
    int error;

    guard_begin(&guard);
    errno = 0;
    c->c = at->socket != NULL
               ? redisConnectUnixWithTimeout(at->socket, limit)
               : redisConnectWithTimeout(at->host, at->port, limit);
    error = errno;
    guard_end(&guard);
    if (c->c == NULL || c->c->err != 0)
        return broken(c, "connecting", error, err);
    /* fcntl() by another name: no connection for who runs another program */
    (void)ioctl(c->c->fd, FIOCLEX);
    if (redisSetTimeout(c->c, timeval_of(at->timeout_ms)) != REDIS_OK)
        return broken(c, "connecting", errno, err);
    if (at->socket == NULL) (void)redisEnableKeepAlive(c->c);
    return NADB_OK;
}

static nadb_rc call_plain(conn *c, args *a, redisReply **out, nadb_err *err) {
    nadb_rc rc = conn_call(c, a, out, err);

    args_reset(a);
    return rc;
}

static nadb_rc enter(conn *c, args *a, nadb_err *err) {
    const address *at = c->at;
    redisReply *r = NULL;
    const char *password = NULL;
    nadb_rc rc = NADB_OK;

    if (at->password_env != NULL) {
        password = getenv(at->password_env);
        if (password == NULL)
            return nadb_fail(err, NADB_CANTOPEN,
                             "redis server %s: the environment variable %s, "
                             "which should hold the password, is not set",
                             at->name, at->password_env);
        args_text(a, "AUTH");
        if (at->user != NULL) args_text(a, at->user);
        args_text(a, password);
        rc = call_plain(c, a, &r, err);
        freeReplyObject(r);
    }
    if (rc == NADB_OK && at->db != 0) {
        args_text(a, "SELECT");
        args_number(a, at->db);
        rc = call_plain(c, a, &r, err);
        freeReplyObject(r);
    }
    return rc;
}

nadb_rc conn_read_clock(conn *c, nadb_err *err) {
    redisReply *r = NULL;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    args_text(&a, "TIME");
    rc = conn_call(c, &a, &r, err);
    args_clear(&a);
    if (rc != NADB_OK) return rc;
    if (reply_is_array(r, 2) && r->element[0]->type == REDIS_REPLY_STRING &&
        r->element[1]->type == REDIS_REPLY_STRING)
        c->clock_ahead_ms = strtoll(r->element[0]->str, NULL, 10) * 1000 +
                            strtoll(r->element[1]->str, NULL, 10) / 1000 -
                            nadb_os_get()->mono_ns() / 1000000;
    else
        rc = conn_confused(c, err);
    freeReplyObject(r);
    return rc;
}

nadb_rc conn_open(conn *c, nadb_err *err) {
    args a;
    nadb_rc rc = connect_socket(c, err);

    memset(&a, 0, sizeof a);
    if (rc == NADB_OK) rc = enter(c, &a, err);
    if (rc == NADB_OK) rc = conn_read_clock(c, err);
    if (rc != NADB_OK) conn_close(c);
    args_clear(&a);
    return rc;
}

int64_t conn_server_ms(const conn *c) {
    return nadb_os_get()->mono_ns() / 1000000 + c->clock_ahead_ms;
}

/* --- talking --- */

nadb_rc conn_send(conn *c, const args *a, nadb_err *err) {
    if (a->failed)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis command");
    if (c->c == NULL)
        return nadb_fail(err, NADB_IOERR, "redis server %s: not connected",
                         c->at->name);
    if (redisAppendCommandArgv(
            c->c, (int)a->n, (const char **)(void *)a->pointers.p,
            (const size_t *)(void *)a->lengths.p) != REDIS_OK)
        return broken(c, "sending a command", errno, err);
    c->pending++;
    return NADB_OK;
}

/* Any answer, also an error. */
static nadb_rc receive(conn *c, redisReply **out, nadb_err *err) {
    void *reply = NULL;
    pipe_guard guard;
    int rc, error;

    *out = NULL;
    if (c->c == NULL)
        return nadb_fail(err, NADB_IOERR, "redis server %s: not connected",
                         c->at->name);
    /* Of a pipeline, most answers have been read already. */
    rc = redisGetReplyFromReader(c->c, &reply);
    error = 0;
    if (rc == REDIS_OK && reply == NULL) {
        guard_begin(&guard);
        errno = 0;
        rc = redisGetReply(c->c, &reply);
        error = errno;
        guard_end(&guard);
    }
    if (rc != REDIS_OK || reply == NULL)
        return broken(c, "waiting for an answer", error, err);
    c->pending--;
    *out = reply;
    return NADB_OK;
}

nadb_rc conn_receive_script(conn *c, redisReply **out, nadb_err *err) {
    nadb_rc rc = receive(c, out, err);

    if (rc != NADB_OK || (*out)->type != REDIS_REPLY_ERROR) return rc;
    rc = starts(*out, "NOSCRIPT") ? NADB_OK : refused(c, *out, err);
    freeReplyObject(*out);
    *out = NULL;
    return rc;
}

nadb_rc conn_receive(conn *c, redisReply **out, nadb_err *err) {
    nadb_rc rc = receive(c, out, err);

    if (rc != NADB_OK || (*out)->type != REDIS_REPLY_ERROR) return rc;
    rc = refused(c, *out, err);
    freeReplyObject(*out);
    *out = NULL;
    return rc;
}

nadb_rc conn_call(conn *c, const args *a, redisReply **out, nadb_err *err) {
    nadb_rc rc = conn_send(c, a, err);

    *out = NULL;
    return rc == NADB_OK ? conn_receive(c, out, err) : rc;
}
