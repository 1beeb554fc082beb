/* route.c - see route.h. */
#include "route.h"

#define NODES_MOST 256u

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for Redis addresses");
}

static size_t node_count(const nadb_buf *nodes) {
    return nodes->n / sizeof(endpoint);
}

/* Index of an endpoint among the nodes; a new one is added. */
static nadb_rc place_of(route *r, const endpoint *to, size_t *place,
                        nadb_err *err) {
    nadb_buf *nodes = &r->nodes;
    size_t n = node_count(nodes);

    for (*place = 0; *place < n; (*place)++) {
        endpoint e = endpoint_at(nodes, *place);

        if (endpoint_same(&e, to)) return NADB_OK;
    }
    /* Drops old nodes, except those of the options. */
    if (n >= NODES_MOST) nodes->n = r->named * sizeof(endpoint);
    *place = node_count(nodes);
    return nadb_buf_append(nodes, to, sizeof *to) ? NADB_OK : no_memory(err);
}

nadb_rc route_init(route *r, const address *at, nadb_err *err) {
    endpoint none; /* a unix socket, or not known yet */
    nadb_rc rc;

    memset(r, 0, sizeof *r);
    r->at = at;
    memset(&none, 0, sizeof none);
    if (at->hosts.n > 0 ? !nadb_buf_append(&r->nodes, at->hosts.p, at->hosts.n)
                        : !nadb_buf_append(&r->nodes, &none, sizeof none))
        return no_memory(err);
    r->named = node_count(&r->nodes);
    rc = nadb_mutex_init(&r->lock, NADB_RANK_BACKEND, err);
    if (rc != NADB_OK) nadb_buf_clear(&r->nodes);
    return rc;
}

void route_clear(route *r) {
    nadb_buf_clear(&r->nodes);
    nadb_mutex_clear(&r->lock);
}

/* In a cluster, starts with the node that has answered another route; nothing
 * else is known about it. */
static nadb_rc begin_beside(route *r, nadb_err *err) {
    bool first, known;
    endpoint to;

    nadb_lock(&r->lock);
    first = !r->begun;
    r->begun = true;
    nadb_unlock(&r->lock);
    if (!first || r->beside == NULL || !r->at->cluster) return NADB_OK;
    nadb_lock(&r->beside->lock);
    known = r->beside->arrived;
    to = endpoint_at(&r->beside->nodes, r->beside->now);
    nadb_unlock(&r->beside->lock);
    return known ? route_move(r, &to, err) : NADB_OK;
}

nadb_rc route_find(route *r, patience *until, endpoint *to, uint64_t *epoch,
                   nadb_err *err) {
    size_t sentinel;
    nadb_rc rc = begin_beside(r, err);

    if (rc != NADB_OK) return rc;
    nadb_lock(&r->lock);
    *to = endpoint_at(&r->nodes, r->now);
    *epoch = r->epoch;
    sentinel = r->sentinel;
    nadb_unlock(&r->lock);
    if (r->at->master == NULL) return NADB_OK;
    rc = sentinel_ask(r->at, until, &sentinel, to, err);
    if (rc == NADB_OK) rc = sentinel_check_host(r->at, to, err);
    if (rc != NADB_OK) return rc;
    nadb_lock(&r->lock);
    r->sentinel = sentinel;
    nadb_unlock(&r->lock);
    rc = route_move(r, to, err);
    nadb_lock(&r->lock);
    *epoch = r->epoch;
    nadb_unlock(&r->lock);
    return rc;
}

bool route_is_old(route *r, uint64_t epoch) {
    bool old;

    nadb_lock(&r->lock);
    old = r->epoch != epoch;
    nadb_unlock(&r->lock);
    return old;
}

static nadb_rc check_role(wire *w, nadb_err *err) {
    redisReply *r = NULL;
    nadb_slice role;
    nadb_rc rc = wire_ask(w, (const char *[]){"ROLE", NULL}, &r, err);

    if (rc != NADB_OK) return rc;
    role = reply_slice(reply_is_array(r, 1) ? r->element[0] : NULL);
    if (!nadb_slice_eq(role, nadb_slice_str("master")))
        rc = nadb_fail(
            err, NADB_READONLY,
            "redis server %s: a master is needed, and it is not one at present",
            w->name);
    freeReplyObject(r);
    return rc;
}

static nadb_rc learn(route *r, wire *w, nadb_err *err) {
    nadb_buf found = NADB_BUF_INIT;
    nadb_rc rc = cluster_learn(w, &found, err);

    nadb_lock(&r->lock);
    for (size_t i = 0; i < node_count(&found) && rc == NADB_OK; i++) {
        endpoint e = endpoint_at(&found, i);
        size_t place;

        if (node_count(&r->nodes) < NODES_MOST)
            rc = place_of(r, &e, &place, err);
    }
    if (rc == NADB_OK) r->learnt = true;
    nadb_unlock(&r->lock);
    nadb_buf_clear(&found);
    return rc;
}

bool route_knows(route *r, const endpoint *to) {
    bool known = false;

    nadb_lock(&r->lock);
    for (size_t i = 0; i < node_count(&r->nodes) && !known; i++) {
        endpoint e = endpoint_at(&r->nodes, i);

        known = endpoint_same(&e, to);
    }
    nadb_unlock(&r->lock);
    return known;
}

nadb_rc route_check(route *r, wire *w, const endpoint *to, nadb_err *err) {
    nadb_rc rc = learn(r, w, err);
    bool known = rc == NADB_OK && route_knows(r, to);

    if (rc == NADB_OK && !known) rc = cluster_knows(w, to, &known, err);
    /* After a refusal it stays unknown. */
    if (known || rc == NADB_NOMEM || !wire_is_open(w)) return rc;
    return nadb_fail(
        err, NADB_CANTOPEN,
        "redis server %s: it redirects to %s:%d, which it does not "
        "name as a node of its cluster (CLUSTER SLOTS, CLUSTER "
        "NODES)",
        w->name, to->host, to->port);
}

nadb_rc route_arrived(route *r, wire *w, nadb_err *err) {
    nadb_rc rc = NADB_OK;
    bool learnt;

    nadb_lock(&r->lock);
    learnt = r->learnt;
    nadb_unlock(&r->lock);
    if (r->at->cluster && !learnt) rc = learn(r, w, err);
    if (!r->at->cluster && route_may_change(r)) rc = check_role(w, err);
    if (rc != NADB_OK) return rc;
    nadb_lock(&r->lock);
    r->arrived = true;
    nadb_unlock(&r->lock);
    return NADB_OK;
}

bool route_confirms(const route *r, patience *until, const endpoint *to) {
    return r->at->master == NULL || sentinel_confirms(r->at, until, to);
}

nadb_rc route_leads_away(const wire *w, nadb_err *err) {
    return nadb_fail(err, NADB_READONLY,
                     "redis server %s: it is being replaced by a replica: try "
                     "again",
                     w->name);
}

bool route_is_quick(route *r, size_t tries) {
    bool quick;

    nadb_lock(&r->lock);
    quick = !r->arrived && node_count(&r->nodes) > 1 &&
            tries < node_count(&r->nodes);
    nadb_unlock(&r->lock);
    return quick;
}

bool route_failed(route *r, uint64_t epoch, size_t tries) {
    bool cluster = r->at->cluster;

    if (!route_may_change(r)) return false;
    if (r->at->master != NULL) return true;
    nadb_lock(&r->lock);
    if (r->epoch == epoch) {
        r->now = (r->now + 1) % node_count(&r->nodes);
        r->epoch++;
        r->learnt = false; /* the cluster is changing */
    }
    nadb_unlock(&r->lock);
    /* In a cluster another node replaces one that is gone. Of a list each host
     * is tried twice. */
    return cluster || tries + 1 < 2 * address_hosts(r->at);
}

nadb_rc route_move(route *r, const endpoint *to, nadb_err *err) {
    size_t place;
    nadb_rc rc;

    nadb_lock(&r->lock);
    rc = place_of(r, to, &place, err);
    if (rc == NADB_OK && r->now != place) {
        r->now = place;
        r->epoch++;
    }
    nadb_unlock(&r->lock);
    return rc;
}
