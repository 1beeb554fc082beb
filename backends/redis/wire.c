/* wire.c - see wire.h. */
#include "wire.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../../core/util/os_system.h"

/* Maximum length of a line of the protocol, and of a value. */
#define LINE_MOST 65536u
#define VALUE_MOST (512ll << 20)

void redis_pause(void) {
    uint32_t word = 0, chance = 0;

    nadb_os_get()->random(&chance, sizeof chance);
    nadb_os_get()->futex_wait(&word, 0, 2 + (int64_t)(chance % 6));
}

/* --- SIGPIPE ---
 *
 * hiredis uses write(), which raises SIGPIPE when the server is gone; the
 * program may not expect that. So the signal is blocked in this thread during
 * the call, and removed if the call has made it pending. */

static void pipe_set(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

static bool pipe_pending(void) {
    sigset_t pending;

    sigemptyset(&pending);
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

void pipe_guard_begin(pipe_guard *g) {
    sigset_t set;

    pipe_set(&set);
    g->was_pending = pipe_pending();
    (void)pthread_sigmask(SIG_BLOCK, &set, &g->before);
}

/* Keeps errno, which hiredis uses to report errors. */
void pipe_guard_end(const pipe_guard *g) {
    int error = errno;
    sigset_t set;

    pipe_set(&set);
    if (!g->was_pending && pipe_pending()) (void)system_signal_take(&set);
    (void)pthread_sigmask(SIG_SETMASK, &g->before, NULL);
    errno = error;
}

/* --- errors --- */

static nadb_rc too_late(wire *w, const char *doing, nadb_err *err) {
    int64_t ms = w->until->timeout_ms;

    w->timed_out = true;
    nadb_fail(err, NADB_IOERR,
              "redis server %s: %s: no answer within %" PRId64 ".%03d s",
              w->name, doing, ms / 1000, (int)(ms % 1000));
    wire_close(w);
    return NADB_IOERR;
}

nadb_rc wire_broken(wire *w, const char *doing, int error, nadb_err *err) {
    const redisContext *x = w->c;
    const char *why = x == NULL ? "out of memory" : x->errstr;

    if (w->until->late) return too_late(w, doing, err);
    w->timed_out = false;
    if (x != NULL && x->err == 0) why = strerror(error);
    if (w->why != NULL) why = w->why;
    if (w->until->stopped) {
        nadb_fail(err, NADB_INTERRUPT, "interrupted");
    } else {
        nadb_fail(err, NADB_IOERR, "redis server %s: %s: %s", w->name, doing,
                  why);
        if (err != NULL) err->sys_errno = error;
    }
    wire_close(w);
    return w->until->stopped ? NADB_INTERRUPT : NADB_IOERR;
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

/* The code for an error reply. */
static nadb_rc error_code(const redisReply *r) {
    /* In scripts, older servers put other words before it. */
    if (strstr(r->str, "OOM command not allowed") != NULL) return NADB_FULL;
    if (wire_says(r, "NOAUTH") || wire_says(r, "WRONGPASS") ||
        wire_says(r, "NOPERM") || strstr(r->str, "invalid password") != NULL ||
        strstr(r->str, "user executing the script can't") != NULL ||
        strstr(r->str, "cluster support disabled") != NULL)
        return NADB_CANTOPEN;
    if (strstr(r->str, "READONLY You can't write") != NULL)
        return NADB_READONLY;
    /* Another program has changed the type of one of the store's keys. */
    if (strstr(r->str, "WRONGTYPE ") != NULL) return NADB_CORRUPT;
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
    pipe_guard_begin(&guard); /* TLS sends a message when it closes */
    tls_close(w->tls);
    pipe_guard_end(&guard);
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
                     "redis server %s: its answer does not fit the command: is "
                     "it a Redis server?",
                     w->name);
}

/* For hiredis: counts the elements and the depth of arrays, because it frees an
 * answer by recursion. */
static void *make_array(const redisReadTask *task, wire_count n) {
    wire *w = task->privdata;
    unsigned depth = 1;

    for (const redisReadTask *t = task->parent; t != NULL; t = t->parent)
        if (++depth > WIRE_DEPTH_MOST) w->why = "an answer nested too deeply";
    w->elements += (size_t)n;
    if (w->elements > WIRE_ELEMENTS_MOST) w->why = "an answer that has no end";
    return w->why != NULL ? NULL : w->make_array(task, n);
}

void wire_watch(wire *w) {
    w->fn = *w->c->reader->fn;
    w->make_array = w->fn.createArray;
    w->fn.createArray = make_array;
    w->c->reader->fn = &w->fn;
    w->c->reader->privdata = w;
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

/* Maximum bytes of a length, and of an argument without its bytes. */
#define LENGTH_MOST 24u
#define ARGUMENT_MOST (LENGTH_MOST + 2u)

nadb_rc wire_format(const args *a, nadb_buf *out, nadb_err *err) {
    size_t most = LENGTH_MOST;
    uint8_t *p;

    /* Arguments may have been replaced, so a->bytes is not a bound. */
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

/* The limit is extended by a second for each MB that was sent or received. */
static bool wait_for(wire *w, short events) {
    size_t bytes = w->received + w->unsent;

    return patience_poll(w->until, w->c->fd, events, (int64_t)(bytes >> 10));
}

/* Size of the value alone: such a large string is a row, which begins with its
 * line (record.h). */
static uint64_t value_size(const char *body, size_t n, uint64_t size) {
    const char *feed = memchr(body, '\n', n);

    if (feed == NULL) return size;
    n = (size_t)(feed - body) + 1;
    return size > n ? size - n : 0;
}

/* Checks an incomplete answer: behind a complete line only the bytes of a value
 * can be missing. */
static nadb_rc may_end(wire *w, nadb_err *err) {
    const redisReader *r = w->c->reader;
    const nadb_caller *caller = w->until->caller;
    size_t n = r->len - r->pos;
    const char *p = r->buf + r->pos, *body;
    long long size;
    nadb_rc rc;

    if (w->received > WIRE_BYTES_MOST) return endless(w, err);
    if (n <= LINE_MOST) return NADB_OK;
    body = memchr(p, '\n', LINE_MOST);
    if (body == NULL) return endless(w, err);
    body++;
    size = strtoll(p, NULL, 10);
    if (size < 0 || size > VALUE_MOST) return endless(w, err);
    if (caller == NULL || w->until->takes_any || size <= NADB_LARGE_BYTES)
        return NADB_OK;
    rc = caller->takes(caller->ctx,
                       value_size(body, n - (size_t)(body - p), (uint64_t)size),
                       err);
    /* the rest of the answer is still to come */
    if (rc != NADB_OK) wire_close(w);
    return rc;
}

/* The descriptor does not block. Pieces may be TLS. */
static bool flush_all(wire *w) {
    for (size_t at = 0; at < w->out.n;) {
        const uint8_t *p = w->out.p + at;
        short events = POLLOUT;
        ssize_t n;

        if (w->tls == NULL)
            n = send(w->c->fd, p, w->out.n - at, MSG_NOSIGNAL);
        else
            n = tls_write(w->tls, p, w->out.n - at, &events, &w->why);
        if (n > 0) {
            at += (size_t)n;
        } else if (w->tls == NULL && n < 0 && errno != EAGAIN &&
                   errno != EWOULDBLOCK && errno != EINTR) {
            return false;
        } else if (w->tls != NULL && n < 0) {
            return false;
        } else if (!wait_for(w, events)) {
            return false;
        }
    }
    return true;
}

/* A larger buffer is freed after its commit. */
#define OUT_KEPT (1u << 20)

static bool flush(wire *w) {
    bool ok = true;

    if (w->out.n == 0) return true;
    ok = flush_all(w);
    nadb_buf_reset(&w->out);
    if (w->out.cap > OUT_KEPT) nadb_buf_clear(&w->out);
    return ok;
}

/* Reads what has arrived, perhaps nothing; then *events is to be waited for. */
static bool read_now(wire *w, short *events) {
    char bytes[16384]; /* size of a TLS record */
    size_t before = w->c->reader->len;
    ssize_t n;
    bool ok;

    *events = POLLIN;
    errno = 0;
    if (w->tls == NULL) {
        ok = redisBufferRead(w->c) == REDIS_OK;
    } else {
        n = tls_read(w->tls, bytes, sizeof bytes, events, &w->why);
        ok = n == 0 || (n > 0 && redisReaderFeed(w->c->reader, bytes,
                                                 (size_t)n) == REDIS_OK);
    }
    if (w->c->reader->len > before) {
        w->received += w->c->reader->len - before;
        *events = 0;
    }
    return ok;
}

/* Waking a sleeping thread takes as long as a nearby server takes to answer. So
 * if the last answer came within this time, the next is polled for before
 * sleeping; without yielding, which on a busy machine would take much
 * longer. */
#define SPIN_NS 100000

static bool look_out(const wire *w) {
    const nadb_os *os = nadb_os_get();
    struct pollfd p = {w->c->fd, POLLIN, 0};
    int64_t end = os->mono_ns() + SPIN_NS;
    int n = 0;

    while ((n = poll(&p, 1, 0)) == 0 && os->mono_ns() < end) continue;
    return n > 0;
}

/* Sends what is to be sent and reads what arrives. errno is that of a
 * failure. */
static bool read_more(wire *w) {
    short events = POLLIN;

    if (!flush(w)) return false;
    /* Waits for the beginning of an answer; after a piece of it the next may
     * have arrived already. */
    if (w->received == 0 && w->tls == NULL && !(w->soon && look_out(w)) &&
        !wait_for(w, POLLIN))
        return false;
    for (;;) {
        if (!read_now(w, &events)) return false;
        if (events == 0) return true;
        if (!wait_for(w, events)) return false;
    }
}

/* OpenSSL uses write(). */
static bool read_more_guarded(wire *w) {
    pipe_guard guard;
    bool ok;

    if (w->tls == NULL) return read_more(w);
    pipe_guard_begin(&guard);
    ok = read_more(w);
    pipe_guard_end(&guard);
    return ok;
}

nadb_rc wire_push(wire *w, nadb_err *err) {
    if (w->c == NULL) return not_connected(w, err);
    w->received = 0;
    /* Encrypted data is sent when an answer is waited for. */
    if (w->tls != NULL || flush(w)) return NADB_OK;
    return wire_broken(w, "sending", errno, err);
}

nadb_rc wire_receive(wire *w, redisReply **out, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    static const char doing[] = "waiting for an answer";
    int64_t begin = 0;
    void *reply = NULL;
    nadb_rc rc;

    *out = NULL;
    if (w->c == NULL) return not_connected(w, err);
    w->elements = 0;
    w->received = 0;
    for (;;) {
        /* Most answers of a pipeline have been read already. */
        if (redisGetReplyFromReader(w->c, &reply) != REDIS_OK)
            return wire_broken(w, doing, 0, err);
        if (reply != NULL) break;
        if (begin == 0) begin = os->mono_ns();
        rc = may_end(w, err);
        if (rc != NADB_OK) return rc;
        if (!read_more_guarded(w)) return wire_broken(w, doing, errno, err);
    }
    if (begin != 0) w->soon = w->spins && os->mono_ns() - begin < SPIN_NS;
    w->unsent = 0;
    *out = reply;
    return NADB_OK;
}

nadb_rc wire_look(wire *w, redisReply **out, nadb_err *err) {
    static const char doing[] = "listening";
    void *reply = NULL;
    nadb_rc rc;

    *out = NULL;
    if (w->c == NULL) return not_connected(w, err);
    w->elements = 0;
    w->received = 0;
    for (;;) {
        short events = 0;

        if (redisGetReplyFromReader(w->c, &reply) != REDIS_OK)
            return wire_broken(w, doing, 0, err);
        *out = reply;
        if (reply != NULL) return NADB_OK;
        rc = may_end(w, err);
        if (rc != NADB_OK) return rc;
        if (!read_now(w, &events)) return wire_broken(w, doing, errno, err);
        if (events != 0) return NADB_OK;
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

nadb_rc wire_ask(wire *w, const char *const *words, redisReply **out,
                 nadb_err *err) {
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    while (*words != NULL) args_text(&a, *words++);
    rc = wire_call(w, &a, out, err);
    args_clear(&a);
    return rc;
}
