/* wire.c - see wire.h. */
#include "wire.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../../core/util/allow.h"

/* A line of the protocol is never so long, nor is one value so large. */
#define LINE_MOST 65536u
#define VALUE_MOST (512ll << 20)

void redis_pause(void) {
    uint32_t word = 0, chance = 0;

    nadb_os_get()->random(&chance, sizeof chance);
    nadb_os_get()->futex_wait(&word, 0, 2 + (int64_t)(chance % 6));
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

static nadb_rc too_late(wire *w, const char *doing, nadb_err *err) {
    w->timed_out = true;
    nadb_fail(err, NADB_IOERR,
              "redis server %s: %s: no answer within %" PRId64 ".%03d s",
              w->name, doing, w->timeout_ms / 1000,
              (int)(w->timeout_ms % 1000));
    wire_close(w);
    return NADB_IOERR;
}

/* Closes the wire, for its stream may be anywhere. */
static nadb_rc broken(wire *w, const char *doing, int error, nadb_err *err) {
    const redisContext *x = w->c;
    const char *why = x == NULL ? "out of memory" : x->errstr;
    bool slow = x != NULL && (x->err == REDIS_ERR_IO || w->why != NULL) &&
                (error == EAGAIN || error == EWOULDBLOCK);

#ifdef REDIS_ERR_TIMEOUT
    if (x != NULL && x->err == REDIS_ERR_TIMEOUT) slow = true;
#endif
    if (slow) return too_late(w, doing, err);
    w->timed_out = false;
    if (w->why != NULL) why = w->why;
    nadb_fail(err, NADB_IOERR, "redis server %s: %s: %s", w->name, doing, why);
    if (err != NULL) err->sys_errno = error;
    wire_close(w);
    return NADB_IOERR;
}

static nadb_rc endless(wire *w, nadb_err *err) {
    w->timed_out = false;
    nadb_fail(err, NADB_IOERR,
              "redis server %s: waiting for an answer: an answer that has no "
              "end",
              w->name);
    wire_close(w);
    return NADB_IOERR;
}

bool wire_says(const redisReply *r, const char *word) {
    return r->type == REDIS_REPLY_ERROR &&
           nadb_slice_starts(nadb_slice_of(r->str, r->len),
                             nadb_slice_str(word));
}

/* The code for an error that the server answers. */
static nadb_rc error_code(const redisReply *r) {
    /* Inside scripts older servers put their own words before it. */
    if (strstr(r->str, "OOM command not allowed") != NULL) return NADB_FULL;
    if (wire_says(r, "NOAUTH") || wire_says(r, "WRONGPASS") ||
        wire_says(r, "NOPERM") || strstr(r->str, "invalid password") != NULL ||
        strstr(r->str, "user executing the script can't") != NULL ||
        strstr(r->str, "cluster support disabled") != NULL)
        return NADB_CANTOPEN;
    if (strstr(r->str, "READONLY You can't write") != NULL)
        return NADB_READONLY;
    return NADB_IOERR;
}

nadb_rc wire_refused(const wire *w, const redisReply *r, nadb_err *err) {
    const char *hint = "";

    if (wire_says(r, "MOVED") || wire_says(r, "ASK ") ||
        wire_says(r, "TRYAGAIN"))
        hint = w->cluster ? " (the cluster moves the store; nothing was done)"
                          : " (it is of a cluster: give option cluster=on)";
    return nadb_fail(err, error_code(r), "redis server %s: %.300s%s", w->name,
                     r->str, hint);
}

/* --- opening and closing --- */

void wire_close(wire *w) {
    pipe_guard guard;

    if (w->c == NULL) return;
    guard_begin(&guard); /* TLS says good-bye */
    tls_close(w->tls);
    guard_end(&guard);
    redisFree(w->c);
    w->c = NULL;
    w->tls = NULL;
    w->unsent = 0;
    nadb_buf_clear(&w->out);
}

bool wire_is_stale(const wire *w) {
    struct pollfd p = {w->c->fd, POLLIN, 0};

    return w->c->reader->len > w->c->reader->pos || poll(&p, 1, 0) != 0;
}

nadb_rc wire_confused(wire *w, nadb_err *err) {
    wire_close(w);
    return nadb_fail(err, NADB_IOERR,
                     "redis server %s: its answer makes no sense", w->name);
}

static struct timeval timeval_of(int64_t ms) {
    struct timeval t;

    t.tv_sec = (time_t)(ms / 1000);
    t.tv_usec = (suseconds_t)(ms % 1000 * 1000);
    return t;
}

/* For hiredis: the elements of all arrays of an answer are counted, and how
 * deep they are, for it frees an answer by recursion. */
static void *make_array(const redisReadTask *task, wire_count n) {
    wire *w = task->privdata;
    unsigned depth = 1;

    for (const redisReadTask *t = task->parent; t != NULL; t = t->parent)
        if (++depth > WIRE_DEPTH_MOST) w->why = "an answer nested too deeply";
    w->elements += (size_t)n;
    if (w->elements > WIRE_ELEMENTS_MOST) w->why = "an answer that has no end";
    return w->why != NULL ? NULL : w->make_array(task, n);
}

static void set_name(wire *w, const address *at, const endpoint *to) {
    if (to == NULL || to->host[0] == '\0')
        snprintf(w->name, sizeof w->name, "%s", at->name);
    else
        snprintf(w->name, sizeof w->name, "%s:%d", to->host, to->port);
}

static nadb_rc begin_tls(wire *w, const char *host, nadb_err *err) {
    pipe_guard guard;
    nadb_rc rc;

    guard_begin(&guard);
    rc = tls_open(w->c->fd, host, w->name, &w->tls, err);
    guard_end(&guard);
    return rc;
}

nadb_rc wire_set_timeout(wire *w, nadb_err *err) {
    if (redisSetTimeout(w->c, timeval_of(w->timeout_ms)) == REDIS_OK)
        return NADB_OK;
    return broken(w, "setting a timeout", errno, err);
}

/* Where a wire leads. */
typedef struct target {
    const char *host; /* or the path of a unix socket */
    int port;
    bool local;
} target;

static target target_of(const address *at, const endpoint *to) {
    if (to != NULL && to->host[0] != '\0')
        return (target){to->host, to->port, false};
    if (at->socket != NULL) return (target){at->socket, 0, true};
    return (target){at->host, at->port, false};
}

static nadb_rc check_allowed(const wire *w, const target *to, nadb_err *err) {
    bool allowed = false;
    nadb_rc rc =
        nadb_allow_host(NADB_ALLOW_HOSTS, to->host, to->port, &allowed, err);

    if (rc != NADB_OK) return rc;
    if (!allowed)
        return nadb_fail(err, NADB_DENIED,
                         "redis server %s: it is not one of the hosts that the "
                         "environment variable " NADB_ALLOW_HOSTS " allows",
                         w->name);
    return to->local ? nadb_allow_path(to->host, err) : NADB_OK;
}

static nadb_rc connect_socket(wire *w, const address *at, const target *to,
                              nadb_err *err) {
    struct timeval limit = timeval_of(at->connect_timeout_ms);
    nadb_rc rc = NADB_OK;
    pipe_guard guard;
    int error;

    guard_begin(&guard);
    errno = 0;
    w->c = to->local ? redisConnectUnixWithTimeout(to->host, limit)
                     : redisConnectWithTimeout(to->host, to->port, limit);
    error = errno;
    guard_end(&guard);
    if (w->c == NULL || w->c->err != 0)
        return broken(w, "connecting", error, err);
    /* fcntl() by another name: no connection for who runs another program */
    (void)ioctl(w->c->fd, FIOCLEX);
    rc = wire_set_timeout(w, err);
    if (rc != NADB_OK) return rc;
    if (!to->local) (void)redisEnableKeepAlive(w->c);
    if (at->tls) rc = begin_tls(w, to->host, err);
    w->fn = *w->c->reader->fn;
    w->make_array = w->fn.createArray;
    w->fn.createArray = make_array;
    w->c->reader->fn = &w->fn;
    w->c->reader->privdata = w;
    return rc;
}

/* The variable that lists the hosts for which a password is. */
static bool hosts_variable(const char *env, nadb_buf *out) {
    return nadb_buf_append(out, env, strlen(env)) &&
           nadb_buf_append(out, "_HOSTS", sizeof "_HOSTS");
}

bool wire_password_is_bound(const address *at) {
    nadb_buf name = NADB_BUF_INIT;
    bool bound =
        hosts_variable(at->password_env, &name) && getenv((char *)name.p);

    nadb_buf_clear(&name);
    return bound;
}

static nadb_rc find_password(const wire *w, const target *to, const char *env,
                             const char **out, nadb_err *err) {
    nadb_buf hosts = NADB_BUF_INIT;
    bool allowed = false;
    nadb_rc rc = NADB_OK;

    *out = getenv(env);
    if (*out == NULL)
        return nadb_fail(err, NADB_CANTOPEN,
                         "redis server %s: the environment variable %s, which "
                         "should hold the password, is not set",
                         w->name, env);
    if (!hosts_variable(env, &hosts))
        rc = nadb_fail(err, NADB_NOMEM, "out of memory for a Redis address");
    if (rc == NADB_OK)
        rc = nadb_allow_host((const char *)hosts.p, to->host, to->port,
                             &allowed, err);
    if (rc == NADB_OK && !allowed)
        rc = nadb_fail(err, NADB_DENIED,
                       "redis server %s: it is not one of the hosts to which "
                       "the environment variable %s lets the password in %s go",
                       w->name, (const char *)hosts.p, env);
    nadb_buf_clear(&hosts);
    return rc;
}

static nadb_rc enter(wire *w, const address *at, const target *to, args *a,
                     nadb_err *err) {
    redisReply *r = NULL;
    const char *password = NULL;
    nadb_rc rc = NADB_OK;

    if (at->password_env != NULL) {
        rc = find_password(w, to, at->password_env, &password, err);
        if (rc != NADB_OK) return rc;
        args_text(a, "AUTH");
        if (at->user != NULL) args_text(a, at->user);
        args_text(a, password);
        rc = wire_call(w, a, &r, err);
        freeReplyObject(r);
    }
    if (rc == NADB_OK && at->db != 0) {
        args_text(a, "SELECT");
        args_number(a, at->db);
        rc = wire_call(w, a, &r, err);
        freeReplyObject(r);
    }
    return rc;
}

static bool several_cpus(void) {
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 1;
}

nadb_rc wire_open(wire *w, const address *at, const endpoint *to,
                  nadb_err *err) {
    target where = target_of(at, to);
    args a;
    nadb_rc rc;

    wire_close(w);
    memset(&a, 0, sizeof a);
    set_name(w, at, to);
    w->timeout_ms = at->timeout_ms;
    w->cluster = at->cluster;
    w->elements = 0;
    w->why = NULL;
    w->spins = several_cpus();
    w->soon = false;
    rc = check_allowed(w, &where, err);
    if (rc == NADB_OK) rc = connect_socket(w, at, &where, err);
    if (rc == NADB_OK) rc = enter(w, at, &where, &a, err);
    if (rc != NADB_OK) wire_close(w);
    args_clear(&a);
    return rc;
}

/* --- talking --- */

static nadb_rc not_connected(const wire *w, nadb_err *err) {
    return nadb_fail(err, NADB_IOERR, "redis server %s: not connected",
                     w->name);
}

/* "<mark><n>\r\n" */
static uint8_t *put_length(uint8_t *p, char mark, size_t n) {
    uint8_t digits[20];
    size_t i = sizeof digits;

    do {
        digits[--i] = (uint8_t)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    *p++ = (uint8_t)mark;
    memcpy(p, digits + i, sizeof digits - i);
    p += sizeof digits - i;
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

/* Of a length; and of an argument, but for its bytes. */
#define LENGTH_MOST 24u
#define ARGUMENT_MOST (LENGTH_MOST + 2u)

nadb_rc wire_format(const args *a, nadb_buf *out, nadb_err *err) {
    size_t most = LENGTH_MOST;
    uint8_t *p;

    /* Arguments may have been replaced since: a->bytes is no bound. */
    for (size_t i = 0; i < a->n && !a->failed; i++)
        most += ARGUMENT_MOST + args_get(a, i).n;
    if (a->failed || !nadb_buf_reserve(out, most))
        return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis command");
    p = put_length(out->p + out->n, '*', a->n);
    for (size_t i = 0; i < a->n; i++) {
        nadb_slice s = args_get(a, i);

        p = put_length(p, '$', s.n);
        memcpy(p, s.p, s.n);
        p += s.n;
        *p++ = '\r';
        *p++ = '\n';
    }
    out->n = (size_t)(p - out->p);
    return NADB_OK;
}

nadb_rc wire_send(wire *w, const args *a, nadb_err *err) {
    nadb_rc rc;

    if (w->c == NULL) return not_connected(w, err);
    rc = wire_format(a, &w->out, err);
    if (rc == NADB_OK) w->unsent += a->bytes;
    return rc;
}

nadb_rc wire_send_bytes(wire *w, nadb_slice bytes, nadb_err *err) {
    if (w->c == NULL) return not_connected(w, err);
    if (!nadb_buf_append(&w->out, bytes.p, bytes.n))
        return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis command");
    w->unsent += bytes.n;
    return NADB_OK;
}

/* Whether what was received, but is not a whole answer yet, may become one:
 * behind a complete line only the bytes of a value can be waited for. */
static bool may_end(const redisReader *r) {
    size_t n = r->len - r->pos;
    const char *p = r->buf + r->pos;

    if (n <= LINE_MOST) return true;
    if (memchr(p, '\n', LINE_MOST) == NULL) return false;
    return strtoll(p, NULL, 10) <= VALUE_MOST;
}

static bool flush_plain(wire *w) {
    for (size_t at = 0; at < w->out.n;) {
        ssize_t n = send(w->c->fd, w->out.p + at, w->out.n - at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            w->c->err = REDIS_ERR_IO;
            snprintf(w->c->errstr, sizeof w->c->errstr, "%s", strerror(errno));
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

/* A buffer that held a large commit is not kept. */
#define OUT_KEPT (1u << 20)

static bool flush(wire *w) {
    bool ok = true;

    if (w->out.n == 0) return true;
    ok = w->tls == NULL ? flush_plain(w)
                        : tls_write(w->tls, w->out.p, w->out.n, &w->why) >= 0;
    nadb_buf_reset(&w->out);
    if (w->out.cap > OUT_KEPT) nadb_buf_clear(&w->out);
    return ok;
}

static bool read_encrypted(wire *w) {
    char bytes[16384]; /* a record, so that none is left behind */
    ssize_t n = tls_read(w->tls, bytes, sizeof bytes, &w->why);

    return n == 0 || (n > 0 && redisReaderFeed(w->c->reader, bytes,
                                               (size_t)n) == REDIS_OK);
}

/* A thread that sleeps is woken after the time that a server nearby takes to
 * answer. So where the last answer came within this time, the next one is
 * looked for before sleeping. Without giving way: on a busy machine that would
 * be for much longer. */
#define SPIN_NS 100000

static void look_out(const wire *w) {
    const nadb_os *os = nadb_os_get();
    struct pollfd p = {w->c->fd, POLLIN, 0};
    int64_t end = os->mono_ns() + SPIN_NS;

    while (poll(&p, 1, 0) == 0 && os->mono_ns() < end) continue;
}

/* Sends what is to be sent, and reads what has come, or waits for it. errno is
 * that of the failure. */
static bool read_more(wire *w, size_t *bytes) {
    size_t before = w->c->reader->len;
    pipe_guard guard;
    bool ok;

    if (w->tls == NULL) {
        ok = flush(w);
        if (ok && w->soon) look_out(w);
        errno = ok ? 0 : errno;
        ok = ok && redisBufferRead(w->c) == REDIS_OK;
    } else {
        guard_begin(&guard); /* OpenSSL writes with write() */
        ok = flush(w) && read_encrypted(w);
        guard_end(&guard);
    }
    if (w->c->reader->len > before) *bytes += w->c->reader->len - before;
    return ok;
}

nadb_rc wire_push(wire *w, nadb_err *err) {
    if (w->c == NULL) return not_connected(w, err);
    /* What is encrypted goes when the answer is waited for. */
    if (w->tls != NULL || flush(w)) return NADB_OK;
    return broken(w, "sending", errno, err);
}

nadb_rc wire_receive(wire *w, redisReply **out, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    static const char doing[] = "waiting for an answer";
    int64_t begin = 0;
    void *reply = NULL;
    size_t bytes = 0;

    *out = NULL;
    if (w->c == NULL) return not_connected(w, err);
    w->elements = 0;
    for (;;) {
        /* Of a pipeline, most answers have been read already. */
        if (redisGetReplyFromReader(w->c, &reply) != REDIS_OK)
            return broken(w, doing, 0, err);
        if (reply != NULL) break;
        if (begin == 0) begin = os->mono_ns();
        if (!may_end(w->c->reader) || bytes > WIRE_BYTES_MOST)
            return endless(w, err);
        if ((os->mono_ns() - begin) / 1000000 >
            w->timeout_ms + (int64_t)((bytes + w->unsent) >> 10))
            return too_late(w, doing, err);
        if (!read_more(w, &bytes)) return broken(w, doing, errno, err);
    }
    if (begin != 0) w->soon = w->spins && os->mono_ns() - begin < SPIN_NS;
    w->unsent = 0;
    *out = reply;
    return NADB_OK;
}

nadb_rc wire_look(wire *w, redisReply **out, nadb_err *err) {
    static const char doing[] = "listening";
    struct pollfd p = {0, POLLIN, 0};
    void *reply = NULL;
    size_t bytes = 0;

    *out = NULL;
    if (w->c == NULL) return not_connected(w, err);
    p.fd = w->c->fd;
    w->elements = 0;
    for (;;) {
        if (redisGetReplyFromReader(w->c, &reply) != REDIS_OK)
            return broken(w, doing, 0, err);
        *out = reply;
        if (reply != NULL || poll(&p, 1, 0) == 0) return NADB_OK;
        if (!may_end(w->c->reader)) return endless(w, err);
        if (!read_more(w, &bytes)) return broken(w, doing, errno, err);
    }
}

nadb_rc wire_call(wire *w, args *a, redisReply **out, nadb_err *err) {
    nadb_rc rc = wire_send(w, a, err);

    *out = NULL;
    args_reset(a);
    if (rc == NADB_OK) rc = wire_receive(w, out, err);
    if (rc == NADB_OK && (*out)->type == REDIS_REPLY_ERROR) {
        rc = wire_refused(w, *out, err);
        freeReplyObject(*out);
        *out = NULL;
    }
    return rc;
}
