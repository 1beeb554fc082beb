/* address.c - see address.h.
 *
 *   redis://[user@]host[:port][/db]      host may be [an:ipv6:address]
 *   unix:///path/of/socket[?db=n]
 */
#include "address.h"

#include <stdio.h>
#include <stdlib.h>

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

/* host[:port], from `p` to `end`. */
static nadb_rc parse_host(address *a, const char *url, const char *p,
                          const char *end, nadb_err *err) {
    const char *host = p, *host_end = p, *rest;

    if (p < end && *p == '[') {
        host++;
        while (host_end < end && *host_end != ']') host_end++;
        if (host_end == end) return bad_url(url, "lacks a ]", err);
        rest = host_end + 1;
    } else {
        while (host_end < end && *host_end != ':') host_end++;
        rest = host_end;
    }
    if (host == host_end) return bad_url(url, "names no host", err);
    if (rest < end) {
        a->port = *rest == ':' ? number(rest + 1, end, 65535) : -1;
        if (a->port <= 0) return bad_url(url, "has no valid port", err);
    }
    return set_text(&a->host, nadb_slice_of(host, (size_t)(host_end - host)),
                    err);
}

static nadb_rc parse_tcp(address *a, const char *url, nadb_err *err) {
    const char *p = url + strlen("redis://");
    const char *end = p + strcspn(p, "/?#");
    const char *at = memchr(p, '@', (size_t)(end - p));

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
    return parse_host(a, url, p, end, err);
}

/* What this version cannot do is refused when the table is made, not ignored:
 * who wrote shards=4 relies on it. */
static nadb_rc refuse_unserved(const nadb_options *o, nadb_err *err) {
    const char *url = nadb_option_text(o, "url");
    const char *what = NULL;

    if (nadb_option_number(o, "cluster") != 0) what = "cluster";
    if (nadb_option_number(o, "shards") > 1) what = "shards";
    if (nadb_option_text(o, "sentinel") != NULL) what = "sentinel";
    if (nadb_option_number(o, "wait") > 0) what = "wait";
    if (nadb_option_number(o, "write") == NADB_WRITE_BUFFERED)
        what = "write=buffered";
    if (nadb_option_number(o, "tls") != 0 ||
        (url != NULL && strncmp(url, "rediss://", 9) == 0))
        what = "tls";
    if (what == NULL) return NADB_OK;
    return nadb_fail(err, NADB_INVALID,
                     "option %s: this version of nadb knows single servers "
                     "without TLS, written to at each COMMIT",
                     what);
}

nadb_rc address_init(address *out, const nadb_options *o, nadb_err *err) {
    const char *url = nadb_option_text(o, "url");
    nadb_rc rc = refuse_unserved(o, err);

    memset(out, 0, sizeof *out);
    out->port = (int)nadb_option_number(o, "port");
    out->db = (int)nadb_option_number(o, "redis_db");
    out->connect_timeout_ms = nadb_option_number(o, "connect_timeout");
    out->timeout_ms = nadb_option_number(o, "timeout");
    if (rc == NADB_OK) rc = copy_option(&out->user, o, "user", err);
    if (rc == NADB_OK)
        rc = copy_option(&out->password_env, o, "password_env", err);
    if (rc == NADB_OK) rc = copy_option(&out->socket, o, "socket", err);
    if (rc == NADB_OK) rc = copy_option(&out->host, o, "host", err);
    if (rc == NADB_OK && url != NULL)
        rc = strncmp(url, "unix://", 7) == 0 ? parse_unix(out, url, err)
                                             : parse_tcp(out, url, err);
    if (rc == NADB_OK && out->socket == NULL && out->host == NULL)
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
    memset(a, 0, sizeof *a);
}
