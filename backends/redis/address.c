/* address.c - see address.h.
 *
 *   redis://[user@]host[:port][/db]      host may be [an:ipv6:address]
 *   rediss://...                         the same, with TLS
 *   unix:///path/of/socket[?db=n]
 *
 *   option host:                         host[:port],host[:port],..
 *   with sentinels:                      host[:port],../name-of-the-master */
#include "address.h"

#include <stdio.h>
#include <stdlib.h>

#include "tls.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis address");
}

static nadb_rc bad_url(const char *url, const char *why, nadb_err *err) {
    return nadb_fail(err, NADB_INVALID, "option url: '%.200s' %s", url, why);
}

static nadb_rc set_text(char **field, nadb_slice s, nadb_err *err) {
    nadb_buf b = NADB_BUF_INIT;

    if (!nadb_buf_append(&b, s.p, s.n) || !nadb_buf_byte(&b, '\0')) {
        nadb_buf_clear(&b);
        return no_memory(err);
    }
    nadb_free(*field);
    *field = (char *)b.p; /* ownership moved */
    return NADB_OK;
}

static nadb_rc copy_option(char **field, const nadb_options *o,
                           const char *name, nadb_err *err) {
    const char *text = nadb_option_text(o, name);

    return text == NULL ? NADB_OK : set_text(field, nadb_slice_str(text), err);
}

/* A decimal number that ends at `end`; -1 for any other text. */
static int number(const char *p, const char *end, int most) {
    int v = 0;

    if (p == end) return -1;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return -1;
        v = v * 10 + (*p - '0');
        if (v > most) return -1;
    }
    return v;
}

static nadb_rc parse_unix(address *a, const char *url, nadb_err *err) {
    const char *path = url + strlen("unix://");
    const char *query = strstr(path, "?db=");
    const char *end = query == NULL ? path + strlen(path) : query;

    if (query != NULL) {
        a->db = number(query + 4, query + strlen(query), 65535);
        if (a->db < 0) return bad_url(url, "has no number behind ?db=", err);
    }
    if (*path != '/') return bad_url(url, "names no absolute path", err);
    return set_text(&a->socket, nadb_slice_of(path, (size_t)(end - path)), err);
}

/* Parses host[:port] or [ipv6][:port] from `p` to `end`; without a port
 * out->port is unchanged. Returns NULL, or what is wrong. */
static const char *parse_endpoint(endpoint *out, const char *p,
                                  const char *end) {
    const char *host = p, *host_end = p, *rest;

    if (p < end && *p == '[') {
        host++;
        while (host_end < end && *host_end != ']') host_end++;
        if (host_end == end) return "lacks a ]";
        rest = host_end + 1;
    } else {
        while (host_end < end && *host_end != ':') host_end++;
        rest = host_end;
    }
    if (host == host_end) return "names no host";
    if ((size_t)(host_end - host) >= sizeof out->host)
        return "names a host that is too long";
    if (rest < end) {
        out->port = *rest == ':' ? number(rest + 1, end, 65535) : -1;
        if (out->port <= 0) return "has no valid port";
    }
    memcpy(out->host, host, (size_t)(host_end - host));
    out->host[host_end - host] = '\0';
    return NULL;
}

static nadb_rc add_endpoint(nadb_buf *list, const endpoint *e, nadb_err *err) {
    return nadb_buf_append(list, e, sizeof *e) ? NADB_OK : no_memory(err);
}

/* As parse_endpoint(), with a default port. */
static const char *read_endpoint(endpoint *out, const char *p, const char *end,
                                 int port) {
    memset(out, 0, sizeof *out);
    out->port = port;
    return parse_endpoint(out, p, end);
}

static nadb_rc bad_host(const char *text, const char *why, nadb_err *err) {
    return nadb_fail(err, NADB_INVALID,
                     "option host: '%.200s' %s: wanted is 'host', 'host:port' "
                     "or several of them with commas between, an IPv6 address "
                     "that has a port in brackets",
                     text, why);
}

/* An IPv6 address without port needs no brackets. */
static bool is_bare_ipv6(const char *text) {
    const char *colon = strchr(text, ':');

    return colon != NULL && strchr(colon + 1, ':') != NULL &&
           strpbrk(text, "[],") == NULL;
}

static nadb_rc parse_hosts(address *a, const char *text, int port,
                           nadb_err *err) {
    for (const char *p = text;; p++) {
        const char *end = p + strcspn(p, ","), *wrong;
        nadb_rc rc;
        endpoint to;

        if (is_bare_ipv6(text) && strlen(text) < sizeof to.host) {
            memset(&to, 0, sizeof to);
            to.port = port;
            memcpy(to.host, text, strlen(text));
            wrong = NULL;
        } else {
            wrong = read_endpoint(&to, p, end, port);
        }
        if (wrong != NULL) return bad_host(text, wrong, err);
        for (size_t i = 0; i < address_hosts(a); i++) {
            endpoint other = endpoint_at(&a->hosts, i);

            if (endpoint_same(&other, &to))
                return bad_host(text, "names a host twice", err);
        }
        rc = add_endpoint(&a->hosts, &to, err);
        if (rc != NADB_OK || *end == '\0') return rc;
        p = end;
    }
}

static nadb_rc parse_tcp(address *a, const char *url, int port, nadb_err *err) {
    const char *p = strstr(url, "://") + 3;
    const char *end = p + strcspn(p, "/?#");
    const char *at = memchr(p, '@', (size_t)(end - p));
    const char *wrong;
    endpoint to;

    a->tls = a->tls || strncmp(url, "rediss://", 9) == 0;
    if (*end != '\0' && *end != '/')
        return bad_url(url, "has parameters, which are not supported", err);
    if (*end == '/' && end[1] != '\0') {
        a->db = number(end + 1, end + strlen(end), 65535);
        if (a->db < 0)
            return bad_url(url, "has no database number behind the host", err);
    }
    if (at != NULL) {
        nadb_rc rc =
            set_text(&a->user, nadb_slice_of(p, (size_t)(at - p)), err);

        if (rc != NADB_OK) return rc;
        p = at + 1;
    }
    wrong = read_endpoint(&to, p, end, port);
    if (wrong != NULL) return bad_url(url, wrong, err);
    return add_endpoint(&a->hosts, &to, err);
}

/* Default port of sentinels. */
#define SENTINEL_PORT 26379

static nadb_rc bad_sentinel(const char *text, const char *why, nadb_err *err) {
    return nadb_fail(err, NADB_INVALID,
                     "option sentinel: '%.200s' %s: wanted is "
                     "'host:port,host:port/name-of-the-master'",
                     text, why);
}

static nadb_rc parse_sentinels(address *a, const char *text, nadb_err *err) {
    const char *slash = strrchr(text, '/');

    if (slash == NULL || slash[1] == '\0')
        return bad_sentinel(text, "names no master", err);
    for (const char *p = text; p <= slash;) {
        const char *end = p + strcspn(p, ",/"), *wrong;
        nadb_rc rc;
        endpoint to;

        wrong = read_endpoint(&to, p, end, SENTINEL_PORT);
        if (wrong != NULL) return bad_sentinel(text, wrong, err);
        rc = add_endpoint(&a->sentinels, &to, err);
        if (rc != NADB_OK) return rc;
        p = end + 1;
    }
    snprintf(a->name, sizeof a->name, "%s", text);
    return set_text(&a->master, nadb_slice_str(slash + 1), err);
}

/* Unsupported combinations are refused when the table is made: a user who wrote
 * shards=4 relies on it. */
static nadb_rc refuse_unserved(const nadb_options *o, nadb_err *err) {
    const char *what = NULL;

    if (nadb_option_number(o, "shards") > 1 &&
        nadb_option_number(o, "write") == NADB_WRITE_BUFFERED)
        what = "shards: with write=buffered a store is kept in one slot";
    if (what == NULL) return NADB_OK;
    return nadb_fail(err, NADB_INVALID, "option %s", what);
}

/* Refuses two options that both say where the server is. */
static nadb_rc check_pairs(const nadb_options *o, nadb_err *err) {
    static const char *const pairs[][2] = {
        {"url", "host"},    {"url", "port"},    {"url", "socket"},
        {"socket", "host"}, {"socket", "port"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (nadb_option_given(o, pairs[i][0]) &&
            nadb_option_given(o, pairs[i][1]))
            return nadb_fail(err, NADB_INVALID,
                             "options %s and %s exclude each other: both say "
                             "where the server is",
                             pairs[i][0], pairs[i][1]);
    return NADB_OK;
}

/* Refuses options that contradict each other. */
static nadb_rc check(const address *a, nadb_err *err) {
    const char *what = NULL;
    bool sentinel = a->master != NULL;

    if (sentinel && (a->hosts.n > 0 || a->socket != NULL))
        what = "sentinel: the sentinels say where the server is: give no url, "
               "host or socket";
    else if (!sentinel && a->sentinel_env != NULL)
        what = "sentinel_password_env: option sentinel names no sentinels";
    else if (sentinel && a->cluster)
        what = "sentinel: a Redis Cluster has no sentinels";
    else if (a->cluster && a->db != 0)
        what = "cluster: a cluster has no database but number 0";
    else if (a->tls && a->socket != NULL)
        what = "option tls: a unix socket has no TLS: leave it out";
    else if (a->tls && !tls_is_known())
        what = "tls: this build of nadb has no TLS, because OpenSSL's headers "
               "were missing";
    if (what == NULL) return NADB_OK;
    return nadb_fail(err, NADB_INVALID, "option %s", what);
}

#define REDIS_PORT 6379

static nadb_rc take_texts(address *out, const nadb_options *o, nadb_err *err) {
    const char *url = nadb_option_text(o, "url");
    const char *host = nadb_option_text(o, "host");
    int port = (int)nadb_option_number(o, "port");
    const char *sentinel = nadb_option_text(o, "sentinel");
    nadb_rc rc = copy_option(&out->user, o, "user", err);

    if (rc == NADB_OK)
        rc = copy_option(&out->password_env, o, "password_env", err);
    if (rc == NADB_OK)
        rc = copy_option(&out->sentinel_env, o, "sentinel_password_env", err);
    if (rc == NADB_OK) rc = copy_option(&out->socket, o, "socket", err);
    if (port == 0) port = REDIS_PORT;
    if (rc == NADB_OK && host != NULL) rc = parse_hosts(out, host, port, err);
    if (rc == NADB_OK && url != NULL)
        rc = strncmp(url, "unix://", 7) == 0 ? parse_unix(out, url, err)
                                             : parse_tcp(out, url, port, err);
    if (rc == NADB_OK && sentinel != NULL)
        rc = parse_sentinels(out, sentinel, err);
    if (rc == NADB_OK && url == NULL && host == NULL && sentinel == NULL &&
        out->socket == NULL)
        rc = parse_hosts(out, "localhost", port, err);
    return rc;
}

/* "host:port,host:port", cut for messages. */
static nadb_rc list_hosts(const nadb_buf *hosts, nadb_buf *out, nadb_err *err) {
    bool ok = true;

    for (size_t i = 0; i < hosts->n / sizeof(endpoint) && ok; i++) {
        char text[sizeof(endpoint) + 16];
        endpoint e = endpoint_at(hosts, i);

        snprintf(text, sizeof text, "%s%s:%d", i == 0 ? "" : ",", e.host,
                 e.port);
        ok = nadb_buf_append(out, text, strlen(text));
    }
    return ok && nadb_buf_byte(out, '\0') ? NADB_OK : no_memory(err);
}

nadb_rc address_init(address *out, const nadb_options *o, nadb_err *err) {
    nadb_rc rc = check_pairs(o, err);
    nadb_buf list = NADB_BUF_INIT;

    memset(out, 0, sizeof *out);
    if (rc == NADB_OK) rc = refuse_unserved(o, err);
    out->db = (int)nadb_option_number(o, "redis_db");
    out->cluster = nadb_option_number(o, "cluster") != 0;
    out->tls = nadb_option_number(o, "tls") != 0;
    out->wait = (int)nadb_option_number(o, "wait");
    out->connect_timeout_ms = nadb_option_number(o, "connect_timeout");
    out->timeout_ms = nadb_option_number(o, "timeout");
    out->pool_timeout_ms = nadb_option_number(o, "pool_timeout");
    if (out->pool_timeout_ms == 0)
        out->pool_timeout_ms = nadb_option_number(o, "busy_timeout");
    if (rc == NADB_OK) rc = take_texts(out, o, err);
    if (rc == NADB_OK) rc = check(out, err);
    if (rc != NADB_OK || out->master != NULL) return rc;
    if (out->socket != NULL) {
        snprintf(out->name, sizeof out->name, "%s", out->socket);
        return NADB_OK;
    }
    rc = list_hosts(&out->hosts, &list, err);
    if (rc == NADB_OK) snprintf(out->name, sizeof out->name, "%s", list.p);
    nadb_buf_clear(&list);
    return rc;
}

void address_clear(address *a) {
    nadb_buf_clear(&a->hosts);
    nadb_free(a->socket);
    nadb_free(a->user);
    nadb_free(a->password_env);
    nadb_free(a->master);
    nadb_free(a->sentinel_env);
    nadb_buf_clear(&a->sentinels);
    memset(a, 0, sizeof *a);
}

/* --- identity --- */

/* In the given order; which host answers is not part of the identity. */
static nadb_rc identify(const char *what, const nadb_buf *hosts, nadb_buf *out,
                        nadb_err *err) {
    nadb_buf list = NADB_BUF_INIT;
    nadb_rc rc = list_hosts(hosts, &list, err);

    if (rc == NADB_OK && !nadb_identity_add(out, what, (const char *)list.p))
        rc = no_memory(err);
    nadb_buf_clear(&list);
    return rc;
}

/* A URL and options of the same meaning give one identity. Timeouts and
 * pool_size are not part of it, because they do not decide what a table may
 * see. */
nadb_rc address_identity(const nadb_options *o, nadb_buf *out, nadb_err *err) {
    address a;
    nadb_rc rc = address_init(&a, o, err);

    if (rc == NADB_OK) rc = identify("host", &a.hosts, out, err);
    if (rc == NADB_OK) rc = identify("sentinel", &a.sentinels, out, err);
    if (rc == NADB_OK &&
        !(nadb_identity_add(out, "socket", a.socket) &&
          nadb_identity_add_number(out, "redis_db", a.db) &&
          nadb_identity_add(out, "user", a.user) &&
          nadb_identity_add(out, "password_env", a.password_env) &&
          nadb_identity_add_number(out, "tls", a.tls) &&
          nadb_identity_add_number(out, "cluster", a.cluster) &&
          nadb_identity_add(out, "the master's name", a.master) &&
          nadb_identity_add(out, "sentinel_password_env", a.sentinel_env) &&
          nadb_identity_add_number(out, "shards",
                                   nadb_option_number(o, "shards")) &&
          nadb_identity_add_number(out, "wait", a.wait)))
        rc = no_memory(err);
    address_clear(&a);
    return rc;
}

/* --- the place of rows --- */

static bool add_line(nadb_buf *out, const char *what, const char *text) {
    return nadb_buf_append(out, what, strlen(what)) &&
           nadb_buf_byte(out, ' ') &&
           nadb_buf_append(out, text, strlen(text)) && nadb_buf_byte(out, '\n');
}

static bool add_endpoints(nadb_buf *out, const char *what,
                          const nadb_buf *list) {
    char text[sizeof(endpoint) + 16];
    bool ok = true;

    for (size_t i = 0; i < list->n / sizeof(endpoint) && ok; i++) {
        endpoint e = endpoint_at(list, i);

        snprintf(text, sizeof text, "%s:%d", e.host, e.port);
        ok = add_line(out, what, text);
    }
    return ok;
}

nadb_rc address_place(const address *a, nadb_buf *out, nadb_err *err) {
    char db[16];

    snprintf(db, sizeof db, "%d", a->db);
    if (add_line(out, "db", db) &&
        (a->master == NULL || add_line(out, "master", a->master)) &&
        (a->socket == NULL || add_line(out, "socket", a->socket)) &&
        add_endpoints(out, "host", &a->hosts) &&
        add_endpoints(out, "sentinel", &a->sentinels))
        return NADB_OK;
    return no_memory(err);
}

/* Takes off the next line with its line feed. */
static nadb_slice next_line(nadb_slice *text) {
    const uint8_t *end = text->n == 0 ? NULL : memchr(text->p, '\n', text->n);
    size_t n = end == NULL ? text->n : (size_t)(end - text->p) + 1;
    nadb_slice line = nadb_slice_of(text->p, n);

    if (n > 0) *text = nadb_slice_of(text->p + n, text->n - n);
    return line;
}

static bool has_line(nadb_slice text, nadb_slice line) {
    while (text.n > 0)
        if (nadb_slice_eq(next_line(&text), line)) return true;
    return false;
}

/* True if b has the lines "db .." and "master .." of a. *common: number of
 * other lines of a that b has. */
static bool has_lines(nadb_slice a, nadb_slice b, size_t *common) {
    while (a.n > 0) {
        nadb_slice line = next_line(&a);
        bool has = has_line(b, line);

        if (nadb_slice_starts(line, nadb_slice_str("db ")) ||
            nadb_slice_starts(line, nadb_slice_str("master "))) {
            if (!has) return false;
        } else if (has) {
            ++*common;
        }
    }
    return true;
}

bool address_same_place(nadb_slice a, nadb_slice b) {
    size_t common = 0, again = 0;

    return has_lines(a, b, &common) && has_lines(b, a, &again) && common > 0;
}
