/* cluster.c - what nodes of a Redis Cluster say about where keys are.
 *
 * All keys of a store are in one slot, so one node has them all, except while
 * the slot is being moved: then each key is on one of two nodes. Single keys
 * can be read meanwhile, because ASK leads to those that have moved. Scripts
 * cannot run: they name a key that never exists (script.c), so the nodes refuse
 * them with TRYAGAIN before they begin, until the move has ended. */
#include <stdlib.h>

#include "route.h"

/* Host of the node that was asked; empty for a unix socket. */
static nadb_slice asked_host(const wire *w) {
    const char *colon = strrchr(w->name, ':');

    if (w->name[0] == '/' || colon == NULL) return nadb_slice_of(NULL, 0);
    return nadb_slice_of(w->name, (size_t)(colon - w->name));
}

/* Parses "MOVED 3999 127.0.0.1:6381". The host may be an IPv6 address without
 * brackets, or missing if it is the node that was asked. */
static bool parse_target(const wire *w, const redisReply *r, endpoint *to) {
    const char *end = r->str + r->len;
    const char *host = strchr(r->str, ' '), *colon;
    int64_t port;
    size_t n;

    host = host == NULL ? NULL : strchr(host + 1, ' ');
    if (host == NULL) return false;
    host++;
    colon = strrchr(host, ':');
    if (colon == NULL) return false;
    n = (size_t)(colon - host);
    if (n == 0) {
        nadb_slice mine = asked_host(w);

        host = (const char *)mine.p;
        n = mine.n;
    }
    if (n == 0 || colon >= end || n >= sizeof to->host ||
        !nadb_integer_of(nadb_slice_of(colon + 1, (size_t)(end - colon - 1)),
                         &port) ||
        !reply_is_port(port))
        return false;
    memcpy(to->host, host, n);
    to->host[n] = '\0';
    to->port = (int)port;
    return true;
}

redirect cluster_redirect(const wire *w, const redisReply *r, endpoint *to) {
    if (r->type != REDIS_REPLY_ERROR) return REDIRECT_NONE;
    if (wire_says(r, "MOVED "))
        return parse_target(w, r, to) ? REDIRECT_MOVED : REDIRECT_NONE;
    if (wire_says(r, "ASK "))
        return parse_target(w, r, to) ? REDIRECT_ASK : REDIRECT_NONE;
    if (wire_says(r, "TRYAGAIN") || wire_says(r, "CLUSTERDOWN") ||
        wire_says(r, "LOADING") || wire_says(r, "MASTERDOWN"))
        return REDIRECT_AGAIN;
    if (strstr(r->str, "READONLY You can't write") != NULL)
        return REDIRECT_MASTER;
    return REDIRECT_NONE;
}

/* Adds a node of CLUSTER SLOTS: host, port, .. A missing host is that of the
 * node that was asked. */
static bool add_node(const wire *w, const redisReply *r, nadb_buf *nodes) {
    nadb_slice host;
    endpoint e;

    if (!reply_is_array(r, 2) || r->element[1]->type != REDIS_REPLY_INTEGER)
        return true;
    host = reply_slice(r->element[0]);
    if (host.n == 0) host = asked_host(w);
    if (host.n == 0 || host.n >= sizeof e.host || host.p[0] == '?') return true;
    if (!reply_is_port(r->element[1]->integer)) return true;
    memset(&e, 0, sizeof e);
    memcpy(e.host, host.p, host.n);
    e.port = (int)r->element[1]->integer;
    return nadb_buf_append(nodes, &e, sizeof e);
}

nadb_rc cluster_learn(wire *w, nadb_buf *nodes, nadb_err *err) {
    redisReply *r = NULL;
    bool ok = true;
    nadb_rc rc;

    rc = wire_ask(w, (const char *[]){"CLUSTER", "SLOTS", NULL}, &r, err);
    if (rc != NADB_OK) return rc;
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
        const redisReply *slots = r->element[i];

        if (!reply_is_array(slots, 3)) continue;
        for (size_t j = 2; j < slots->elements && ok; j++)
            ok = add_node(w, slots->element[j], nodes);
    }
    freeReplyObject(r);
    return ok ? NADB_OK
              : nadb_fail(err, NADB_NOMEM, "out of memory for Redis addresses");
}

/* True if a line of CLUSTER NODES names the endpoint: "<id>
 * <host>:<port>@<port>[,<name>] ..". */
static bool line_names(nadb_slice line, const endpoint *to) {
    const char *p = (const char *)line.p, *end = p + line.n;
    const char *host = memchr(p, ' ', line.n), *at, *colon = NULL, *name;
    size_t n = strlen(to->host);

    if (host == NULL) return false;
    host++;
    at = memchr(host, '@', (size_t)(end - host));
    if (at == NULL) return false;
    for (const char *q = host; q < at; q++)
        if (*q == ':') colon = q;
    if (colon == NULL || strtol(colon + 1, NULL, 10) != to->port) return false;
    if ((size_t)(colon - host) == n && memcmp(host, to->host, n) == 0)
        return true;
    for (name = at; name < end && *name != ',' && *name != ' ';) name++;
    return name < end && *name == ',' && (size_t)(end - name) > n + 1 &&
           memcmp(name + 1, to->host, n) == 0 &&
           (name[n + 1] == ' ' || name[n + 1] == ',');
}

nadb_rc cluster_knows(wire *w, const endpoint *to, bool *known, nadb_err *err) {
    redisReply *r = NULL;
    nadb_slice text;
    nadb_rc rc;

    *known = false;
    rc = wire_ask(w, (const char *[]){"CLUSTER", "NODES", NULL}, &r, err);
    if (rc != NADB_OK) return rc;
    text = reply_slice(r);
    while (text.n > 0 && !*known) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p);

        *known = line_names(nadb_slice_of(text.p, n), to);
        n += end != NULL;
        text = nadb_slice_of(text.p + n, text.n - n);
    }
    freeReplyObject(r);
    return NADB_OK;
}
