/* commit.c - commits of the memory engine, and removal of old versions.
 *
 * A commit. Under the lock, prepare() lets the request's owner add the changes
 * of indexes, makes a version of every change and a node for every key, and
 * waits until no change in doubt touches the same keys or what this transaction
 * has read; after waiting it starts again. Then it checks for conflicts and
 * links the versions as `pending`. From there on nothing is allocated: commit()
 * gives them the next sequence number and moves them to the front of their
 * chains; rollback() unlinks them.
 *
 * A clear is a sequence number: views that are opened after it do not see older
 * versions.
 *
 * Reclaiming. A version is freed when no open view can see it. Views are in a
 * list, oldest first. Nodes with something to free are in a queue, in about the
 * order in which they can be freed; commit and view_close look at its front.
 * What an open view sees is never freed, so entries are PINNED. */
#include "../../core/kv/row.h"
#include "engine.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a store in memory");
}

/* --- reclaiming --- */

/* Every open view sees commits up to this one. */
static uint64_t seen_by_all(const memory_engine *e) {
    return e->oldest != NULL ? e->oldest->base.seq : e->seq;
}

static void queue_stale(memory_engine *e, node *n) {
    if (n->stale) return;
    n->stale = true;
    n->stale_seq = n->newest->seq;
    n->stale_next = NULL;
    if (e->stale_first == NULL)
        e->stale_first = n;
    else
        e->stale_last->stale_next = n;
    e->stale_last = n;
}

static node *take_stale(memory_engine *e) {
    node *n = e->stale_first;

    e->stale_first = n->stale_next;
    n->stale = false;
    return n;
}

static void drop_if_empty(memory_engine *e, node *n) {
    if (n->newest != NULL || n->pending != NULL || n->stale) return;
    map_remove(&e->map, n);
    node_free(n);
}

static void sweep_after_clear(memory_engine *e, uint64_t seq) {
    node *n = map_next(e->map.head);

    while (n != NULL) {
        node *next = map_next(n);

        node_trim(n, seq, e->clear_seq);
        drop_if_empty(e, n);
        n = next;
    }
    e->swept_seq = e->clear_seq;
}

void memory_reclaim(memory_engine *e) {
    uint64_t seq = seen_by_all(e);
    /* A view may still see cleared versions. */
    uint64_t clear_seq = seq >= e->clear_seq ? e->clear_seq : 0;

    while (e->stale_first != NULL && e->stale_first->stale_seq <= seq) {
        node *n = take_stale(e);

        node_trim(n, seq, clear_seq);
        if (node_has_garbage(n))
            queue_stale(e, n); /* it belongs to a later commit than seq */
        else
            drop_if_empty(e, n);
    }
    if (e->swept_seq < clear_seq) sweep_after_clear(e, seq);
}

/* --- the first half of a commit --- */

/* Frees versions that were never linked: the node of each is not in the map. */
static void ticket_clear(memory_ticket *t) {
    for (version *v = t->changes; v != NULL;) {
        version *next = v->next;

        node_free(v->node);
        nadb_free(v);
        v = next;
    }
    t->changes = NULL;
}

static void ticket_free(memory_ticket *t) {
    if (t == NULL) return;
    ticket_clear(t);
    nadb_piece_free(t->piece);
    nadb_free(t);
}

/* Makes the version and the node of every change, in key order. */
static nadb_rc collect(nadb_iter *changes, memory_ticket *t, nadb_err *err) {
    version **link = &t->changes;
    nadb_rc rc = nadb_iter_seek(changes, nadb_slice_of("", 0), err);

    for (; rc == NADB_OK && changes->valid; rc = nadb_iter_next(changes, err)) {
        version *v = version_new(&changes->entry);
        nadb_slice key = changes->entry.key;

        if (v == NULL) return no_memory(err);
        *link = v;
        link = &v->next;
        v->node = node_new(key, nadb_hash64(key));
        if (v->node == NULL) return no_memory(err);
    }
    return rc;
}

/* Called for each node of a range; true ends the walk. */
typedef bool node_test(const memory_engine *e, const nadb_commit_req *req,
                       const node *n);

static const node *find_in_reads(const memory_engine *e,
                                 const nadb_commit_req *req, node_test *test) {
    for (size_t i = 0; i < req->n_reads; i++) {
        const nadb_range *r = &req->reads[i];

        for (const node *n = map_first_at(&e->map, r->lo); n != NULL;
             n = map_next(n)) {
            if (r->hi.p != NULL && nadb_slice_cmp(node_key(n), r->hi) >= 0)
                break;
            if (test(e, req, n)) return n;
        }
    }
    return NULL;
}

static bool is_pending(const memory_engine *e, const nadb_commit_req *req,
                       const node *n) {
    (void)e;
    (void)req;
    return n->pending != NULL;
}

/* True if the removed row had expired, which is no change. */
static bool was_swept(const nadb_commit_req *req, const node *n) {
    const version *v = n->newest;

    return v != NULL && v->seq > req->view->seq &&
           nadb_changed_seq(node_key(n), v->seq, v->flags,
                            nadb_slice_of(v->value, v->value_n)) <=
               req->view->seq;
}

static bool has_changed(const memory_engine *e, const nadb_commit_req *req,
                        const node *n) {
    return memory_seen((const memory_view *)req->view, n) !=
               node_visible(n, e->seq, e->clear_seq) &&
           !was_swept(req, n);
}

/* --- claims --- */

static bool key_is_busy(const memory_engine *e, nadb_slice key) {
    const node *n = map_find(&e->map, key);

    return e->clearing || e->clears_waiting > 0 ||
           (n != NULL && n->pending != NULL) ||
           nadb_claimed(&e->claims, key, 0);
}

nadb_rc memory_claim(nadb_engine *engine, nadb_view *v, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    const nadb_os *os = nadb_os_get();
    int64_t deadline = os->mono_ns() + timeout_ms * 1000000;

    *claim = 0;
    nadb_lock(&e->lock);
    while (key_is_busy(e, key)) {
        int64_t left = (deadline - os->mono_ns()) / 1000000;

        if (left <= 0) break;
        (void)nadb_cond_wait_timed(&e->resolved, &e->lock, left);
    }
    if (!key_is_busy(e, key)) *claim = nadb_claim_add(&e->claims, key);
    nadb_unlock(&e->lock);
    return *claim != 0 ? engine->ops->view_refresh(engine, v, err) : NADB_OK;
}

void memory_unclaim(nadb_engine *engine, uint32_t claim) {
    memory_engine *e = (memory_engine *)engine;

    if (claim == 0 || claim > NADB_CLAIMS_MAX) return;
    nadb_lock(&e->lock);
    nadb_claim_end(&e->claims, claim);
    nadb_cond_broadcast(&e->resolved);
    nadb_unlock(&e->lock);
}

/* --- stores of a database file --- */

/* The holder of the file's write lock waits for the commits of earlier
 * holders. */
nadb_rc memory_settle(nadb_engine *engine, const nadb_dbfile *file,
                      const nadb_ticket *own, int64_t timeout_ms,
                      nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    unsigned mine = own != NULL;
    int64_t deadline = nadb_os_get()->mono_ns() + timeout_ms * 1000000;
    nadb_rc rc = NADB_OK;

    (void)file;
    nadb_lock(&e->lock);
    while (e->tickets > mine) {
        int64_t left = (deadline - nadb_os_get()->mono_ns()) / 1000000;

        if (left > 0) {
            (void)nadb_cond_wait_timed(&e->resolved, &e->lock, left);
            continue;
        }
        rc = nadb_fail(err, NADB_BUSY,
                       "another connection has committed to the database file "
                       "and not yet to its store in memory within "
                       "busy_timeout");
        break;
    }
    nadb_unlock(&e->lock);
    return rc;
}

bool memory_moved(nadb_engine *engine, const nadb_view *v) {
    memory_engine *e = (memory_engine *)engine;
    bool moved;

    nadb_lock(&e->lock);
    moved = e->changed_seq > v->seq;
    nadb_unlock(&e->lock);
    return moved;
}

/* --- the first half --- */

/* True if something in doubt touches what this transaction writes, or could
 * invalidate what it has read. */
static bool must_wait(const memory_engine *e, const nadb_commit_req *req,
                      const memory_ticket *t) {
    if (e->tickets == 0 && e->claims.n == 0) return false;
    if (e->tickets > 0 && (e->clearing || t->clear || req->reads_all))
        return true;
    if (t->clear && e->claims.n > (req->claim != 0)) return true;
    for (const version *v = t->changes; v != NULL; v = v->next) {
        const node *n = map_find(&e->map, node_key(v->node));

        if (nadb_claimed(&e->claims, node_key(v->node), req->claim))
            return true;

        if (n != NULL && n->pending != NULL) return true;
    }
    return find_in_reads(e, req, is_pending) != NULL;
}

/* Adds the request's present changes, with those of indexes, which are derived
 * again if another transaction has committed since the view. */
static nadb_rc derive(memory_engine *e, const nadb_commit_req *req,
                      memory_ticket *t, nadb_err *err) {
    memory_view now;
    nadb_rc rc = NADB_OK;

    memset(&now, 0, sizeof now);
    now.base.seq = e->seq;
    now.clear_seq = e->clear_seq;
    now.locked = true;
    ticket_clear(t);
    if (req->derive != NULL && e->seq != req->view->seq)
        rc = req->derive(req->derive_ctx, &now.base, err);
    return rc == NADB_OK ? collect(req->changes, t, err) : rc;
}

static nadb_rc wait_turn(memory_engine *e, const nadb_commit_req *req,
                         memory_ticket *t, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    int64_t begun = os->mono_ns();
    int64_t left = req->timeout_ms;
    bool rang;
    nadb_rc rc = derive(e, req, t, err);

    while (rc == NADB_OK && must_wait(e, req, t)) {
        if (left <= 0)
            return nadb_fail(err, NADB_BUSY,
                             "another transaction that changes the same keys "
                             "did not end within %lld ms",
                             (long long)req->timeout_ms);
        /* Not every event signals, so each wait has a timeout. */
        e->clears_waiting += t->clear;
        rang = nadb_cond_wait_timed(&e->resolved, &e->lock, left);
        e->clears_waiting -= t->clear;
        if (!rang)
            left = 0;
        else
            left = req->timeout_ms - (os->mono_ns() - begun) / 1000000;
        rc = derive(e, req, t, err);
    }
    return rc;
}

static nadb_rc conflict(const node *n, nadb_err *err) {
    char shown[NADB_KEY_SHOWN];
    nadb_slice key = node_key(n);

    /* Without the keyspace byte. */
    if (key.n > 0) key = nadb_slice_of(key.p + 1, key.n - 1);
    return nadb_fail(err, NADB_CONFLICT,
                     "another transaction changed key '%s': roll back and "
                     "retry",
                     nadb_key_show(key, shown));
}

/* Checks that what the transaction has read is unchanged. */
static nadb_rc check_conflicts(const memory_engine *e,
                               const nadb_commit_req *req,
                               const memory_ticket *t, nadb_err *err) {
    const node *n;

    if (req->view == NULL || req->view->seq == e->seq) return NADB_OK;
    if (req->reads_all)
        return nadb_fail(err, NADB_CONFLICT,
                         "another transaction has committed, and this one read "
                         "too much to tell whether that matters: roll back and "
                         "retry");
    for (const version *v = t->changes; v != NULL; v = v->next) {
        if ((v->flags & NADB_ENTRY_READ) == 0) continue;
        n = map_find(&e->map, node_key(v->node));
        if (n != NULL && has_changed(e, req, n)) return conflict(n, err);
    }
    n = find_in_reads(e, req, has_changed);
    return n == NULL ? NADB_OK : conflict(n, err);
}

/* Links every change as pending. */
static void link_ticket(memory_engine *e, memory_ticket *t) {
    for (version *v = t->changes; v != NULL; v = v->next) {
        node *n = map_find(&e->map, node_key(v->node));

        if (n == NULL)
            map_insert(&e->map, v->node);
        else {
            node_free(v->node);
            v->node = n;
        }
        v->node->pending = v;
        v->id = ++e->last_id;
    }
    e->tickets++;
    if (t->clear) e->clearing = true;
}

nadb_rc memory_prepare(nadb_engine *engine, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    memory_ticket *t = NULL;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    t = nadb_calloc(1, sizeof *t);
    if (t == NULL) return no_memory(err);
    t->clear = req->clear;
    t->background = req->background;
    nadb_lock(&e->lock);
    rc = wait_turn(e, req, t, err);
    if (rc == NADB_OK) rc = check_conflicts(e, req, t, err);
    if (rc == NADB_OK) rc = memory_changes_make(e, t, err);
    if (rc == NADB_OK) link_ticket(e, t);
    nadb_unlock(&e->lock);
    if (rc == NADB_OK)
        *out = (nadb_ticket *)t;
    else
        ticket_free(t);
    return rc;
}

/* --- the second half --- */

/* Adds a live version to the totals, or subtracts it. */
static void count(memory_engine *e, const version *v, bool in) {
    nadb_entry entry;
    uint64_t bytes;

    if (v == NULL || (v->flags & NADB_ENTRY_TOMBSTONE) != 0) return;
    memset(&entry, 0, sizeof entry);
    entry.key = node_key(v->node);
    entry.value = nadb_slice_of(v->value, v->value_n);
    bytes = entry.key.n + entry.value.n;
    e->bytes = in ? e->bytes + bytes : e->bytes - bytes;
    if (entry.key.n > 0 && entry.key.p[0] == NADB_KS_ROW)
        e->rows = in ? e->rows + 1 : e->rows - 1;
    nadb_totals_count(&e->totals, &entry, in);
}

/* Ends the ticket and wakes the threads that wait for it. */
static void end_ticket(memory_engine *e, memory_ticket *t) {
    e->tickets--;
    if (t->clear) e->clearing = false;
    nadb_cond_broadcast(&e->resolved);
}

void memory_commit(nadb_engine *engine, nadb_ticket *ticket) {
    memory_ticket *t = (memory_ticket *)ticket;
    memory_engine *e = (memory_engine *)engine;

    nadb_lock(&e->lock);
    if (t->clear) {
        e->clear_seq = e->seq + 1;
        e->rows = 0;
        memset(&e->totals, 0, sizeof e->totals);
        e->totals.known = true;
        e->bytes = 0;
    }
    for (version *v = t->changes; v != NULL; v = v->next) {
        node *n = v->node;

        count(e, node_visible(n, e->seq, e->clear_seq), false);
        v->seq = e->seq + 1;
        v->older = n->newest;
        n->newest = v;
        n->pending = NULL;
        count(e, v, true);
        if (node_has_garbage(n)) queue_stale(e, n);
    }
    e->seq++;
    if (!t->background) e->changed_seq = e->seq;
    nadb_recent_add(&e->recent, t->piece, e->seq);
    end_ticket(e, t);
    memory_reclaim(e);
    nadb_unlock(&e->lock);
    nadb_free(t);
}

nadb_rc memory_rollback(nadb_engine *engine, nadb_ticket *ticket,
                        nadb_err *err) {
    memory_ticket *t = (memory_ticket *)ticket;
    memory_engine *e = (memory_engine *)engine;

    (void)err;
    nadb_lock(&e->lock);
    for (version *v = t->changes; v != NULL;) {
        version *next = v->next;
        node *n = v->node;

        n->pending = NULL;
        drop_if_empty(e, n);
        nadb_free(v);
        v = next;
    }
    end_ticket(e, t);
    nadb_unlock(&e->lock);
    nadb_piece_free(t->piece);
    nadb_free(t);
    return NADB_OK;
}
