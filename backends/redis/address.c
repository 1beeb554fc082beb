/* address.c - see address.h.
 *
 *   redis://[user@]host[:port][/db]      host may be [an:ipv6:address]
 *   rediss://...                         the same, with TLS
 *   unix:///path/of/socket[?db=n]
 *
 * and for sentinels: host[:port],host[:port],../name-of-the-master
 */
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

/* A decimal number that ends at `end`; -1 for anything else. */
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

/* host[:port] or [ipv6][:port], from `p` to `end`; the port is left alone when
 * none is given. What is wrong with it, or NULL. */
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

static nadb_rc parse_tcp(address *a, const char *url, nadb_err *err) {
    const char *p = strstr(url, "://") + 3;
    const char *end = p + strcspn(p, "/?#");
    const char *at = memchr(p, '@', (size_t)(end - p));
    const char *wrong;
    endpoint to;

    a->tls = a->tls || strncmp(url, "rediss://", 9) == 0;
    if (*end != '\0' && *end != '/')
        return bad_url(url, "has parameters, of which there are none", err);
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
    to.port = a->port;
    wrong = parse_endpoint(&to, p, end);
    if (wrong != NULL) return bad_url(url, wrong, err);
    a->port = to.port;
    return set_text(&a->host, nadb_slice_str(to.host), err);
}

/* Sentinels listen on a port of their own. */
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
        endpoint to;

        memset(&to, 0, sizeof to);
        to.port = SENTINEL_PORT;
        wrong = parse_endpoint(&to, p, end);
        if (wrong != NULL) return bad_sentinel(text, wrong, err);
        if (!nadb_buf_append(&a->sentinels, &to, sizeof to))
            return no_memory(err);
        p = end + 1;
    }
    snprintf(a->name, sizeof a->name, "%s", text);
    return set_text(&a->master, nadb_slice_str(slash + 1), err);
}

/* What this version cannot do is refused when the table is made, not ignored:
 * who wrote shards=4 relies on it. */
static nadb_rc refuse_unserved(const nadb_options *o, nadb_err *err) {
    const char *what = NULL;

    if (nadb_option_number(o, "shards") > 1 &&
        nadb_option_number(o, "write") == NADB_WRITE_BUFFERED)
        what = "shards: with write=buffered a store is kept in one slot";
    if (what == NULL) return NADB_OK;
    return nadb_fail(err, NADB_INVALID, "option %s", what);
}

/* Two options that both say where the server is. */
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

/* Options that contradict each other. */
static nadb_rc check(const address *a, nadb_err *err) {
    const char *what = NULL;
    bool sentinel = a->master != NULL;

    if (sentinel && (a->host != NULL || a->socket != NULL))
        what = "sentinel: the sentinels say where the server is: give no url, "
               "host or socket";
    else if (!sentinel && a->sentinel_env != NULL)
        what = "sentinel_password_env: option sentinel names no sentinels";
    else if (sentinel && a->cluster)
        what = "sentinel: a cluster has none";
    else if (a->cluster && a->db != 0)
        what = "cluster: a cluster has no database but number 0";
    else if (a->tls && a->socket != NULL)
        what = "tls: there is none over a unix socket";
    else if (a->tls && !tls_is_known())
        what = "tls: this build of nadb knows no TLS: OpenSSL's headers were "
               "not there";
    if (what == NULL) return NADB_OK;
    return nadb_fail(err, NADB_INVALID, "option %s", what);
}

static nadb_rc take_texts(address *out, const nadb_options *o, nadb_err *err) {
    const char *url = nadb_option_text(o, "url");
    const char *sentinel = nadb_option_text(o, "sentinel");
    nadb_rc rc = copy_option(&out->user, o, "user", err);

    if (rc == NADB_OK)
        rc = copy_option(&out->password_env, o, "password_env", err);
    if (rc == NADB_OK)
        rc = copy_option(&out->sentinel_env, o, "sentinel_password_env", err);
    if (rc == NADB_OK) rc = copy_option(&out->socket, o, "socket", err);
    if (rc == NADB_OK) rc = copy_option(&out->host, o, "host", err);
    if (rc == NADB_OK && url != NULL)
        rc = strncmp(url, "unix://", 7) == 0 ? parse_unix(out, url, err)
                                             : parse_tcp(out, url, err);
    if (rc == NADB_OK && sentinel != NULL)
        rc = parse_sentinels(out, sentinel, err);
    return rc;
}

#define REDIS_PORT 6379

nadb_rc address_init(address *out, const nadb_options *o, nadb_err *err) {
    nadb_rc rc = check_pairs(o, err);

    memset(out, 0, sizeof *out);
    if (rc == NADB_OK) rc = refuse_unserved(o, err);
    out->port = (int)nadb_option_number(o, "port");
    if (out->port == 0) out->port = REDIS_PORT;
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
    if (out->socket == NULL && out->host == NULL)
        rc = set_text(&out->host, nadb_slice_str("localhost"), err);
    if (rc != NADB_OK) return rc;
    if (out->socket != NULL)
        snprintf(out->name, sizeof out->name, "%s", out->socket);
    else
        snprintf(out->name, sizeof out->name, "%s:%d", out->host, out->port);
    return NADB_OK;
}

void address_clear(address *a) {
    nadb_free(a->host);
    nadb_free(a->socket);
    nadb_free(a->user);
    nadb_free(a->password_env);
    nadb_free(a->master);
    nadb_free(a->sentinel_env);
    nadb_buf_clear(&a->sentinels);
    memset(a, 0, sizeof *a);
}

/* --- identity --- */

static bool identify_sentinels(const address *a, nadb_buf *out) {
    nadb_buf list = NADB_BUF_INIT;
    bool ok = true;

    for (size_t i = 0; i < address_sentinels(a) && ok; i++) {
        char text[sizeof(endpoint) + 16];
        endpoint e;

        memcpy(&e, a->sentinels.p + i * sizeof e, sizeof e);
        snprintf(text, sizeof text, "%s:%d,", e.host, e.port);
        ok = nadb_buf_append(&list, text, strlen(text));
    }
    ok = ok && nadb_buf_byte(&list, '\0') &&
         nadb_identity_add(out, "sentinel", (const char *)list.p) &&
         nadb_identity_add(out, "the master's name", a->master) &&
         nadb_identity_add(out, "sentinel_password_env", a->sentinel_env);
    nadb_buf_clear(&list);
    return ok;
}

/* A URL and the options that say the same are one identity. Timeouts and
 * pool_size are no part of it: they say nothing of what a table may see. */
nadb_rc address_identity(const nadb_options *o, nadb_buf *out, nadb_err *err) {
    address a;
    nadb_rc rc = address_init(&a, o, err);

    if (rc == NADB_OK &&
        !(nadb_identity_add(out, "host", a.host) &&
          nadb_identity_add_number(out, "port", a.host == NULL ? 0 : a.port) &&
          nadb_identity_add(out, "socket", a.socket) &&
          nadb_identity_add_number(out, "redis_db", a.db) &&
          nadb_identity_add(out, "user", a.user) &&
          nadb_identity_add(out, "password_env", a.password_env) &&
          nadb_identity_add_number(out, "tls", a.tls) &&
          nadb_identity_add_number(out, "cluster", a.cluster) &&
          identify_sentinels(&a, out) &&
          nadb_identity_add_number(out, "shards",
                                   nadb_option_number(o, "shards")) &&
          nadb_identity_add_number(out, "wait", a.wait)))
        rc = no_memory(err);
    address_clear(&a);
    return rc;
}
