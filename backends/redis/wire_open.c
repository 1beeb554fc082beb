/* wire_open.c - begins a connection: is it allowed, the socket, TLS, the
 * password. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../../core/util/allow.h"
#include "../../core/util/job.h"
#include "wire.h"

/* The target of a wire. */
typedef struct target {
    const char *host; /* or path of a unix socket */
    int port;
    bool local;
} target;

static target target_of(const address *at, const endpoint *to) {
    if (to != NULL && to->host[0] != '\0')
        return (target){to->host, to->port, false};
    return (target){at->socket, 0, true};
}

static void set_name(wire *w, const address *at, const endpoint *to) {
    if (to == NULL || to->host[0] == '\0')
        snprintf(w->name, sizeof w->name, "%s", at->name);
    else
        snprintf(w->name, sizeof w->name, "%s:%d", to->host, to->port);
}

static nadb_rc check_host(const char *name, const char *host, int port,
                          nadb_err *err) {
    bool allowed = false;
    nadb_rc rc = nadb_allow_host(NADB_ALLOW_HOSTS, host, port, &allowed, err);

    if (rc != NADB_OK || allowed) return rc;
    return nadb_fail(err, NADB_DENIED,
                     "redis server %s: it is not one of the hosts that the "
                     "environment variable " NADB_ALLOW_HOSTS " allows",
                     name);
}

static nadb_rc check_allowed(const wire *w, const target *to, nadb_err *err) {
    nadb_rc rc = check_host(w->name, to->host, to->port, err);

    return rc == NADB_OK && to->local ? nadb_allow_path(to->host, err) : rc;
}

nadb_rc wire_check_hosts(const address *at, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < address_hosts(at) && rc == NADB_OK; i++) {
        endpoint e = endpoint_at(&at->hosts, i);
        char name[sizeof e.host + 16];

        snprintf(name, sizeof name, "%s:%d", e.host, e.port);
        rc = check_host(name, e.host, e.port, err);
    }
    return rc;
}

/* --- the socket --- */

/* The result of connecting: 0 or an errno. */
static int connected(int fd) {
    struct sockaddr_storage peer;
    socklen_t n = sizeof peer;
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    if (error != 0) return error;
    /* A unix socket whose queue is full reports no error and is not
     * connected. */
    return getpeername(fd, (struct sockaddr *)&peer, &n) == 0 ? 0 : EAGAIN;
}

/* One attempt; returns an errno. */
static int connect_once(wire *w, const target *to, patience *limit) {
    w->c = to->local ? redisConnectUnixNonBlock(to->host)
                     : redisConnectNonBlock(to->host, to->port);
    if (w->c == NULL) return ENOMEM;
    if (w->c->err != 0) return errno;
    /* programs that are executed must not inherit it */
    nadb_close_on_exec(w->c->fd);
    if (!patience_poll(limit, w->c->fd, POLLOUT, 0)) return EAGAIN;
    return connected(w->c->fd);
}

static nadb_rc connect_socket(wire *w, const target *to, nadb_err *err) {
    int error;

    for (;;) {
        errno = 0;
        error = connect_once(w, to, w->until);
        if (error != EAGAIN || !to->local || w->until->late ||
            w->until->stopped)
            break;
        redisFree(w->c);
        w->c = NULL;
        redis_pause();
    }
    return error == 0 ? NADB_OK : wire_broken(w, "connecting", error, err);
}

static nadb_rc begin_tls(wire *w, const char *host, nadb_err *err) {
    pipe_guard guard;
    nadb_rc rc;

    pipe_guard_begin(&guard);
    rc = tls_open(w->c->fd, host, w->name, w->until, &w->tls, err);
    pipe_guard_end(&guard);
    return rc;
}

/* --- the password --- */

/* The variable that lists the hosts to which a password may be sent. */
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

/* --- all of it --- */

nadb_rc wire_open(wire *w, const address *at, const endpoint *to,
                  patience *until, nadb_err *err) {
    target where = target_of(at, to);
    args a;
    nadb_rc rc;

    wire_close(w);
    memset(&a, 0, sizeof a);
    set_name(w, at, to);
    w->until = until;
    w->cluster = at->cluster;
    w->elements = w->received = 0;
    w->why = NULL;
    w->spins = nadb_several_cpus();
    w->soon = false;
    rc = check_allowed(w, &where, err);
    if (rc == NADB_OK) rc = connect_socket(w, &where, err);
    if (rc == NADB_OK && !where.local) (void)redisEnableKeepAlive(w->c);
    if (rc == NADB_OK && at->tls) rc = begin_tls(w, where.host, err);
    if (rc == NADB_OK) wire_watch(w);
    if (rc == NADB_OK) rc = enter(w, at, &where, &a, err);
    if (rc != NADB_OK) wire_close(w);
    args_clear(&a);
    return rc;
}
