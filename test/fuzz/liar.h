/* liar.h - a Redis server in a thread, that answers what the input says.
 *
 * It understands of a request no more than where it ends and how it is called.
 * Answers are taken off the input, one for each request, as tokens (below), so
 * that changed bytes are mostly still an answer. Where the input ends, it
 * closes its connections. liar_corpus.py makes such inputs of what a real
 * server answers. */
#ifndef NADB_FUZZ_LIAR_H
#define NADB_FUZZ_LIAR_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"

/* First byte of a token, of which the rest of a division by LIAR_TOKENS counts.
 * `n` is a byte. */
enum {
    LIAR_ARRAY,   /* n; that many tokens follow */
    LIAR_BULK,    /* n, and that many bytes: a string */
    LIAR_BYTE,    /* a byte: a small number */
    LIAR_INTEGER, /* eight bytes: a number */
    LIAR_NIL,
    LIAR_WORD,   /* n: one of liar_words, as a string */
    LIAR_ERROR,  /* n, and that many bytes */
    LIAR_STATUS, /* n, and that many bytes */
    LIAR_TEXT,   /* a byte: a small number, as a string */
    LIAR_MOVED,  /* n: MOVED or ASK to this server */
    LIAR_PORT,   /* this server's port, as a number */
    LIAR_RAW,    /* n, and that many bytes, whatever they are */
    LIAR_CLOSE,
    LIAR_TOKENS
};

/* Connections at a time; further ones are closed. */
#define CONNS 24
/* A client that waits for the rest of an answer is not kept waiting. */
#define PATIENCE_MS 5
#define DEPTH_MOST 12
#define SHA "0123456789abcdef0123456789abcdef01234567"

/* What the scripts answer, and names and forms that the client looks for. */
static const char *const liar_words[] = {
    "ok",
    "page",
    "sweep",
    "claimed",
    "locked",
    "conflict",
    "leased",
    "late",
    "again",
    "applied",
    "void",
    "layout",
    "gone",
    "more",
    "end",
    "tag",
    "done",
    "moved",
    "taken",
    "gap",
    "stale",
    "lost",
    "kept",
    "none",
    "undone",
    "held",
    "free",
    "message",
    "subscribe",
    "pong",
    "__redis__:invalidate",
    "127.0.0.1",
    "master",
    "slave",
    "-",
    "4",
    "4/2",
    "4/2+",
    "4/2-",
    "2",
    "9007199254740991",
    "1 i1700000000000\n5",
    "2 a1 t1700000000000 u5 e4102444800000 [\"a\",\"b\"]\nx",
    "2 a b1700000000000 c1 s4000\nx",
    "[\"a\",\"b\"]",
    "a",
    "b",
    "nadb:{main:kv}:0:r:a",
    "nadb:{main:kv}:dead",
    "flags",
    "failover_in_progress",
    "config-epoch",
    "role:master\r\nmaster_replid:0123456789abcdef\r\n"
    "slave0:ip=127.0.0.1,port=1,state=online\r\n"};
#define LIAR_WORDS (sizeof liar_words / sizeof liar_words[0])

typedef struct liar_conn {
    int fd; /* -1: free */
    uint8_t in[1 << 16];
    size_t n;
    bool subscribed;
    bool waits; /* its last answer may be a part of one */
} liar_conn;

typedef struct text {
    char bytes[1 << 15];
    size_t n;
    bool raw, end; /* a part of an answer; close behind it */
} text;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const uint8_t *at, *input_end; /* guarded by it */
static bool polite;
static liar_conn conns[CONNS];
static int unix_fd, tcp_fd, port, wake[2];

/* --- answers --- */

static void put(text *t, const void *p, size_t n) {
    if (n > sizeof t->bytes - t->n) n = sizeof t->bytes - t->n;
    memcpy(t->bytes + t->n, p, n);
    t->n += n;
}

static void put_line(text *t, char mark, long long v) {
    char line[32];

    put(t, line, (size_t)snprintf(line, sizeof line, "%c%lld\r\n", mark, v));
}

static void put_raw(text *t, const char *s) { put(t, s, strlen(s)); }

static void put_bulk(text *t, const void *p, size_t n) {
    put_line(t, '$', (long long)n);
    put(t, p, n);
    put(t, "\r\n", 2);
}

static void put_text(text *t, const char *s) { put_bulk(t, s, strlen(s)); }

static uint8_t next(void) { return at < input_end ? *at++ : 0; }

static const uint8_t *next_bytes(size_t *n) {
    const uint8_t *p = at;

    *n = next();
    if (*n > (size_t)(input_end - at)) *n = (size_t)(input_end - at);
    p = at;
    at += *n;
    return p;
}

/* A line without an end in it. */
static void put_words(text *t, char mark) {
    size_t n;
    const uint8_t *p = next_bytes(&n);

    put(t, &mark, 1);
    for (size_t i = 0; i < n; i++)
        if (p[i] != '\r' && p[i] != '\n') put(t, p + i, 1);
    put(t, "\r\n", 2);
}

static void put_moved(text *t) {
    char line[80];
    uint8_t kind = next();
    int n = snprintf(line, sizeof line, "-%s %d %s:%d\r\n",
                     kind % 2 ? "ASK" : "MOVED", kind,
                     kind % 3 ? "127.0.0.1" : "", port);

    put(t, line, (size_t)n);
}

static void put_token(text *t, unsigned depth) {
    uint64_t v = 0;
    size_t n;
    const uint8_t *p;
    char digits[24];

    switch (next() % LIAR_TOKENS) {
    case LIAR_ARRAY:
        n = depth > DEPTH_MOST ? 0 : next();
        put_line(t, '*', (long long)n);
        for (size_t i = 0; i < n; i++) put_token(t, depth + 1);
        break;
    case LIAR_BULK:
        p = next_bytes(&n);
        put_bulk(t, p, n);
        break;
    case LIAR_BYTE:
        put_line(t, ':', next());
        break;
    case LIAR_INTEGER:
        for (int i = 0; i < 8; i++) v = v << 8 | next();
        put_line(t, ':', (long long)v);
        break;
    case LIAR_NIL:
        put_line(t, '$', -1);
        break;
    case LIAR_WORD:
        put_text(t, liar_words[next() % LIAR_WORDS]);
        break;
    case LIAR_ERROR:
        put_words(t, '-');
        break;
    case LIAR_STATUS:
        put_words(t, '+');
        break;
    case LIAR_TEXT:
        (void)snprintf(digits, sizeof digits, "%d", next());
        put_text(t, digits);
        break;
    case LIAR_MOVED:
        put_moved(t);
        break;
    case LIAR_PORT:
        put_line(t, ':', port);
        break;
    case LIAR_RAW:
        p = next_bytes(&n);
        put(t, p, n);
        t->raw = true;
        break;
    default:
        t->end = true;
    }
}

/* --- good manners --- */

static void put_list(text *t, const char *const list[], size_t n) {
    put_line(t, '*', (long long)n);
    for (size_t i = 0; i < n; i++) put_text(t, list[i]);
}

static void put_slots(text *t) {
    put_raw(t, "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n");
    put_text(t, "127.0.0.1");
    put_line(t, ':', port);
    put_text(t, "id");
}

/* True: answered. */
static bool answer_well(liar_conn *c, const char *name, const char *request,
                        text *t) {
    char digits[24];

    (void)snprintf(digits, sizeof digits, "%d", port);
    if (strcmp(name, "TIME") == 0) {
        put_list(t, (const char *const[]){"1700000000", "0"}, 2);
    } else if (strcmp(name, "INFO") == 0) {
        put_text(t, liar_words[LIAR_WORDS - 1]);
    } else if (strcmp(name, "SCRIPT") == 0) {
        put_text(t, SHA);
    } else if (strcmp(name, "CLIENT") == 0 || strcmp(name, "SELECT") == 0) {
        put_raw(t, strstr(request, "TRACKING") ? "+OK\r\n" : ":7\r\n");
    } else if (strcmp(name, "SUBSCRIBE") == 0) {
        c->subscribed = true;
        put_list(t, (const char *const[]){"subscribe", "x", "1"}, 3);
    } else if (strcmp(name, "PING") == 0 && c->subscribed) {
        put_list(t, (const char *const[]){"pong", ""}, 2);
    } else if (strcmp(name, "CLUSTER") == 0) {
        put_slots(t);
    } else if (strcmp(name, "SENTINEL") == 0) {
        put_list(t, (const char *const[]){"127.0.0.1", digits}, 2);
    } else if (strcmp(name, "ROLE") == 0) {
        put_list(t, (const char *const[]){"master", "1"}, 2);
    } else if (strstr(request, "\r\nlayout\r\n") != NULL) {
        put_list(t, (const char *const[]){"5", "0", "4", ""}, 4);
    } else {
        return false;
    }
    return true;
}

/* --- connections --- */

static void hang_up(liar_conn *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void answer(liar_conn *c, const char *name, const char *request) {
    static text t;

    t.n = 0;
    t.raw = t.end = false;
    if (!polite || !answer_well(c, name, request, &t)) {
        if (at == input_end)
            t.end = true;
        else
            put_token(&t, 0);
    }
    if (t.n > 0) (void)!send(c->fd, t.bytes, t.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    c->waits = t.raw;
    if (t.end) hang_up(c);
}

/* The number behind p[0], and where its line ends; NULL: it has not come. */
static const uint8_t *line(const uint8_t *p, const uint8_t *end, size_t *v) {
    *v = 0;
    for (p++; p < end && *p != '\n'; p++)
        if (*p >= '0' && *p <= '9') *v = *v * 10 + (size_t)(*p - '0');
    return p < end ? p + 1 : NULL;
}

/* Takes a request off c->in, if there is a whole one. */
static bool take(liar_conn *c) {
    static char request[sizeof c->in + 1];
    const uint8_t *p = c->in, *end = p + c->n;
    char name[16] = "";
    size_t words, n, used;

    p = line(p, end, &words);
    for (size_t i = 0; i < words && p != NULL; i++) {
        p = line(p, end, &n);
        if (p == NULL || n + 2 > (size_t)(end - p)) return false;
        if (i == 0 && n < sizeof name) {
            memcpy(name, p, n);
            name[n] = '\0';
        }
        p += n + 2;
    }
    if (p == NULL) return false;
    used = (size_t)(p - c->in);
    memcpy(request, c->in, used);
    request[used] = '\0';
    memmove(c->in, p, c->n - used);
    c->n -= used;
    answer(c, name, request);
    return c->fd >= 0;
}

static void receive(liar_conn *c) {
    ssize_t n = recv(c->fd, c->in + c->n, sizeof c->in - c->n, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) { /* also when a request is longer than we take */
        hang_up(c);
        return;
    }
    c->n += (size_t)n;
    while (c->n > 0 && take(c)) continue;
}

static void let_in(int listener) {
    int fd = accept(listener, NULL, NULL);

    for (size_t i = 0; i < CONNS && fd >= 0; i++) {
        if (conns[i].fd >= 0) continue;
        conns[i].fd = fd;
        conns[i].n = 0;
        conns[i].waits = conns[i].subscribed = false;
        return;
    }
    if (fd >= 0) close(fd);
}

static void *serve(void *arg) {
    struct pollfd p[CONNS + 3];

    (void)arg;
    for (;;) {
        bool waits = false;
        char byte;
        int n;

        (void)pthread_mutex_lock(&lock);
        for (size_t i = 0; i < CONNS; i++) {
            p[i] = (struct pollfd){conns[i].fd, POLLIN, 0};
            waits = waits || (conns[i].fd >= 0 && conns[i].waits);
        }
        (void)pthread_mutex_unlock(&lock);
        p[CONNS] = (struct pollfd){unix_fd, POLLIN, 0};
        p[CONNS + 1] = (struct pollfd){tcp_fd, POLLIN, 0};
        p[CONNS + 2] = (struct pollfd){wake[0], POLLIN, 0};
        n = poll(p, CONNS + 3, waits ? PATIENCE_MS : -1);
        (void)pthread_mutex_lock(&lock);
        for (size_t i = 0; i < CONNS; i++) {
            if (conns[i].fd < 0 || conns[i].fd != p[i].fd) continue;
            if (p[i].revents != 0)
                receive(&conns[i]);
            else if (n == 0 && conns[i].waits)
                hang_up(&conns[i]);
        }
        if (p[CONNS].revents != 0) let_in(unix_fd);
        if (p[CONNS + 1].revents != 0) let_in(tcp_fd);
        if (p[CONNS + 2].revents != 0) (void)!read(wake[0], &byte, 1);
        (void)pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* --- for the target --- */

/* Starts the thread, which listens on a unix socket and on 127.0.0.1. */
static void liar_start(const char *socket_path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t n = sizeof in;
    pthread_t thread;

    for (size_t i = 0; i < CONNS; i++) conns[i].fd = -1;
    MUST(strlen(socket_path) < sizeof un.sun_path);
    memcpy(un.sun_path, socket_path, strlen(socket_path));
    unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(unix_fd, (struct sockaddr *)&un, sizeof un) == 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(tcp_fd, (struct sockaddr *)&in, sizeof in) == 0);
    MUST(getsockname(tcp_fd, (struct sockaddr *)&in, &n) == 0);
    port = ntohs(in.sin_port);
    MUST(listen(unix_fd, 100) == 0 && listen(tcp_fd, 100) == 0);
    MUST(pipe(wake) == 0);
    MUST(pthread_create(&thread, NULL, serve, NULL) == 0);
}

static int liar_port(void) { return port; }

static uint8_t given[8192];

/* From here on answers are those of the input, of which it takes a copy: the
 * thread may still answer when the caller's own is gone. `polite`: what is
 * asked at the begin of a connection, and the state of the store, is answered
 * well, without the input. */
static void liar_begin(const uint8_t *input, size_t n, bool is_polite) {
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < CONNS; i++) hang_up(&conns[i]);
    if (n > sizeof given) n = sizeof given;
    if (n > 0) memcpy(given, input, n);
    at = given;
    input_end = given + n;
    polite = is_polite;
    (void)pthread_mutex_unlock(&lock);
    (void)!write(wake[1], "", 1);
}

#endif
