/* memory.c - the backend that keeps everything in this process's memory.
 *
 * It is the example of an engine: what core/backend.h asks for, in the plainest
 * way that is right, and the oracle that tests compare the others with. It
 * promises snapshots, atomic commits with conflict check, and that a commit
 * never fails half way. It keeps nothing when it is closed, and one lock
 * serialises all calls: it is not made to be fast with many threads.
 *
 * A commit. prepare() first makes, without the lock, a version of every change
 * and a node for every key. Then, under the lock, it waits until no change in
 * doubt touches the same keys or what this transaction has read, checks for
 * conflicts, and links the versions as `pending`. From there on nothing is
 * allocated: commit() gives them the next sequence number and moves them to
 * the front of their chains; rollback() unlinks them.
 *
 * A clear is a number: nobody who opens a view after it sees older versions.
 *
 * Reclaiming. A version is freed when no open view can see it. Views are in a
 * list, oldest first. Nodes with something to free wait in a queue, in about
 * the order in which they can be; commit and view_close look at its front.
 * What an open view sees is never freed, which is why entries are PINNED. */
#include "memory.h"

#include "../../core/base/sync.h"
#include "map.h"

typedef struct memory_view {
    nadb_view base;
    uint64_t clear_seq; /* versions before it are cleared */
    struct memory_view *older, *newer;
} memory_view;

typedef struct memory_engine {
    nadb_engine base;
    nadb_mutex lock;    /* guards everything below */
    nadb_cond resolved; /* a ticket came to its end */
    map map;
    uint64_t seq; /* of the last commit */
    uint64_t clear_seq;
    uint64_t swept_seq; /* the clear whose remains are reclaimed */
    uint64_t last_id;
    memory_view *oldest, *newest;
    node *stale_first, *stale_last;
    unsigned tickets; /* in doubt */
    bool clearing;    /* one of them is a clear */
    uint64_t rows;    /* live, keyspace NADB_KS_ROW */
    uint64_t bytes;   /* live keys and values, all keyspaces */
} memory_engine;

struct nadb_ticket {
    version *changes; /* linked by `next` */
    bool clear;
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a store in memory");
}

/* --- reclaiming --- */

/* What is committed up to here, all open views see. */
static uint64_t seen_by_all(const memory_engine *e) {
    return e->oldest != NULL ? e->oldest->base.seq : e->seq;
}

static bool has_garbage(const node *n) {
    return n->newest != NULL &&
           (n->newest->older != NULL ||
            (n->newest->flags & NADB_ENTRY_TOMBSTONE) != 0);
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

static void reclaim(memory_engine *e) {
    uint64_t seq = seen_by_all(e);
    /* Some view may still see what was cleared. */
    uint64_t clear_seq = seq >= e->clear_seq ? e->clear_seq : 0;

    while (e->stale_first != NULL && e->stale_first->stale_seq <= seq) {
        node *n = take_stale(e);

        node_trim(n, seq, clear_seq);
        if (has_garbage(n))
            queue_stale(e, n); /* a later commit's, above seq */
        else
            drop_if_empty(e, n);
    }
    if (e->swept_seq < clear_seq) sweep_after_clear(e, seq);
}

/* --- views --- */

static void view_link(memory_engine *e, memory_view *v) {
    v->base.seq = e->seq;
    v->clear_seq = e->clear_seq;
    v->newer = NULL;
    v->older = e->newest;
    if (v->older != NULL)
        v->older->newer = v;
    else
        e->oldest = v;
    e->newest = v;
}

static void view_unlink(memory_engine *e, memory_view *v) {
    if (v->older != NULL)
        v->older->newer = v->newer;
    else
        e->oldest = v->newer;
    if (v->newer != NULL)
        v->newer->older = v->older;
    else
        e->newest = v->older;
}

static nadb_rc memory_view_open(nadb_engine *engine, nadb_view **out,
                                nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    memory_view *v = nadb_calloc(1, sizeof *v);

    *out = NULL;
    if (v == NULL) return no_memory(err);
    nadb_lock(&e->lock);
    view_link(e, v);
    nadb_unlock(&e->lock);
    *out = &v->base;
    return NADB_OK;
}

static void memory_view_close(nadb_engine *engine, nadb_view *view) {
    memory_engine *e = (memory_engine *)engine;
    memory_view *v = (memory_view *)view;

    if (v == NULL) return;
    nadb_lock(&e->lock);
    view_unlink(e, v);
    reclaim(e);
    nadb_unlock(&e->lock);
    nadb_free(v);
}

static nadb_rc memory_view_refresh(nadb_engine *engine, nadb_view *view,
                                   nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    memory_view *v = (memory_view *)view;

    (void)err;
    nadb_lock(&e->lock);
    if (v->base.seq != e->seq) {
        view_unlink(e, v);
        view_link(e, v);
        reclaim(e);
    }
    nadb_unlock(&e->lock);
    return NADB_OK;
}

/* --- reading --- */

static const version *seen(const memory_view *v, const node *n) {
    return n == NULL ? NULL : node_visible(n, v->base.seq, v->clear_seq);
}

static void fill_entry(nadb_entry *out, const version *v) {
    out->key = node_key(v->node);
    out->value = nadb_slice_of(v->value, v->value_n);
    out->seq = v->seq;
    out->flags = NADB_ENTRY_PINNED;
    out->id = v->id;
}

static nadb_rc memory_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                          nadb_entry *out, bool *found, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    const version *v;

    (void)err;
    nadb_lock(&e->lock);
    v = seen((memory_view *)view, map_find(&e->map, key));
    if (v != NULL) fill_entry(out, v);
    nadb_unlock(&e->lock);
    *found = v != NULL;
    return NADB_OK;
}

/* An iterator stands on a node that its view sees, which therefore stays in
 * the list; between two calls it needs no lock. */
typedef struct memory_iter {
    nadb_iter base;
    memory_engine *engine;
    const memory_view *view;
    const node *at; /* NULL before the first and after the last */
    bool begun;
    bool reverse;
    bool bounded; /* there is a hi */
    nadb_slice lo, hi;
    uint8_t bounds[]; /* their bytes */
} memory_iter;

static bool in_range(const memory_iter *it, const node *n) {
    nadb_slice key = node_key(n);

    return nadb_slice_cmp(key, it->lo) >= 0 &&
           (!it->bounded || nadb_slice_cmp(key, it->hi) < 0);
}

/* Moves from `n` on to the first node that the view sees. The lock is held. */
static void settle(memory_iter *it, const node *n) {
    const version *v = NULL;

    while (n != NULL && in_range(it, n) && (v = seen(it->view, n)) == NULL)
        n = it->reverse ? map_prev(&it->engine->map, n) : map_next(n);
    it->at = v == NULL ? NULL : n;
    it->base.valid = v != NULL;
    if (v != NULL) fill_entry(&it->base.entry, v);
}

static const node *range_begin(const memory_iter *it) {
    const map *m = &it->engine->map;

    if (!it->reverse) return map_first_at(m, it->lo);
    return it->bounded ? map_last_below(m, it->hi) : map_last(m);
}

static nadb_rc iter_next(nadb_iter *iter, nadb_err *err) {
    memory_iter *it = (memory_iter *)iter;
    const node *n = NULL;

    (void)err;
    if (it->begun && it->at == NULL) {
        iter->valid = false;
        return NADB_OK;
    }
    nadb_lock(&it->engine->lock);
    if (!it->begun)
        n = range_begin(it);
    else
        n = it->reverse ? map_prev(&it->engine->map, it->at) : map_next(it->at);
    it->begun = true;
    settle(it, n);
    nadb_unlock(&it->engine->lock);
    return NADB_OK;
}

static nadb_rc iter_seek(nadb_iter *iter, nadb_slice key, nadb_err *err) {
    memory_iter *it = (memory_iter *)iter;
    const map *m = &it->engine->map;
    const node *n;

    (void)err;
    nadb_lock(&it->engine->lock);
    if (!it->reverse)
        n = map_first_at(m, nadb_slice_cmp(key, it->lo) < 0 ? it->lo : key);
    else if (it->bounded && nadb_slice_cmp(key, it->hi) >= 0)
        n = map_last_below(m, it->hi);
    else
        n = map_last_at(m, key);
    it->begun = true;
    settle(it, n);
    nadb_unlock(&it->engine->lock);
    return NADB_OK;
}

static void iter_free(nadb_iter *iter) { nadb_free(iter); }

static nadb_rc memory_iter_new(nadb_engine *engine, nadb_view *view,
                               const nadb_range *range, nadb_iter **out,
                               nadb_err *err) {
    static const nadb_iter_ops ops = {iter_next, iter_seek, iter_free};
    memory_iter *it = NULL;
    size_t lo_n = range->lo.n;
    size_t hi_n = range->hi.p == NULL ? 0 : range->hi.n;

    *out = NULL;
    it = nadb_calloc(1, sizeof *it + lo_n + hi_n);
    if (it == NULL) return no_memory(err);
    it->base.ops = &ops;
    it->engine = (memory_engine *)engine;
    it->view = (memory_view *)view;
    it->reverse = range->reverse;
    it->bounded = range->hi.p != NULL;
    if (lo_n > 0) memcpy(it->bounds, range->lo.p, lo_n);
    if (hi_n > 0) memcpy(it->bounds + lo_n, range->hi.p, hi_n);
    it->lo = nadb_slice_of(it->bounds, lo_n);
    it->hi = nadb_slice_of(it->bounds + lo_n, hi_n);
    *out = &it->base;
    return NADB_OK;
}

/* --- the first half of a commit --- */

/* Frees a ticket whose versions were never linked: each has a node that is
 * not in the map. */
static void ticket_free(nadb_ticket *t) {
    if (t == NULL) return;
    for (version *v = t->changes; v != NULL;) {
        version *next = v->next;

        node_free(v->node);
        nadb_free(v);
        v = next;
    }
    nadb_free(t);
}

/* Makes version and node of every change, in the order of the keys. The lock
 * is not held: reading the changes may take I/O. */
static nadb_rc collect(nadb_iter *changes, nadb_ticket *t, nadb_err *err) {
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

/* What to do with each node of a range; true ends the walk. */
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

static bool has_changed(const memory_engine *e, const nadb_commit_req *req,
                        const node *n) {
    return seen((const memory_view *)req->view, n) !=
           node_visible(n, e->seq, e->clear_seq);
}

/* Whether something in doubt touches what this transaction writes, or may make
 * what it read untrue. */
static bool must_wait(const memory_engine *e, const nadb_commit_req *req,
                      const nadb_ticket *t) {
    if (e->tickets == 0) return false;
    if (e->clearing || t->clear || req->reads_all) return true;
    for (const version *v = t->changes; v != NULL; v = v->next) {
        const node *n = map_find(&e->map, node_key(v->node));

        if (n != NULL && n->pending != NULL) return true;
    }
    return find_in_reads(e, req, is_pending) != NULL;
}

static nadb_rc wait_turn(memory_engine *e, const nadb_commit_req *req,
                         const nadb_ticket *t, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    int64_t begun = os->mono_ns();
    int64_t left = req->timeout_ms;

    while (must_wait(e, req, t)) {
        if (left <= 0)
            return nadb_fail(err, NADB_BUSY,
                             "another transaction that changes the same keys "
                             "did not end within %lld ms",
                             (long long)req->timeout_ms);
        /* Nobody rings when nothing happens: a timeout ends it all. */
        if (!nadb_cond_wait_timed(&e->resolved, &e->lock, left))
            left = 0;
        else
            left = req->timeout_ms - (os->mono_ns() - begun) / 1000000;
    }
    return NADB_OK;
}

static nadb_rc conflict(const node *n, nadb_err *err) {
    nadb_slice key = node_key(n);

    /* Without the keyspace byte. */
    if (key.n > 0) key = nadb_slice_of(key.p + 1, key.n - 1);
    return nadb_fail(err, NADB_CONFLICT,
                     "another transaction changed key '%.*s'",
                     key.n > 200 ? 200 : (int)key.n, (const char *)key.p);
}

/* Whether what the transaction decided on is still what there is. */
static nadb_rc check_conflicts(const memory_engine *e,
                               const nadb_commit_req *req, const nadb_ticket *t,
                               nadb_err *err) {
    const node *n;

    if (req->view == NULL || req->view->seq == e->seq) return NADB_OK;
    if (req->reads_all)
        return nadb_fail(err, NADB_CONFLICT,
                         "another transaction has committed, and this one read "
                         "too much to tell whether that matters");
    for (const version *v = t->changes; v != NULL; v = v->next) {
        if ((v->flags & NADB_ENTRY_READ) == 0) continue;
        n = map_find(&e->map, node_key(v->node));
        if (n != NULL && has_changed(e, req, n)) return conflict(n, err);
    }
    n = find_in_reads(e, req, has_changed);
    return n == NULL ? NADB_OK : conflict(n, err);
}

/* Links every change as pending. */
static void link_ticket(memory_engine *e, nadb_ticket *t) {
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

static nadb_rc memory_prepare(nadb_engine *engine, const nadb_commit_req *req,
                              nadb_ticket **out, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    nadb_ticket *t = NULL;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    t = nadb_calloc(1, sizeof *t);
    if (t == NULL) return no_memory(err);
    t->clear = req->clear;
    rc = collect(req->changes, t, err);
    if (rc != NADB_OK) goto done;

    nadb_lock(&e->lock);
    rc = wait_turn(e, req, t, err);
    if (rc == NADB_OK) rc = check_conflicts(e, req, t, err);
    if (rc == NADB_OK) link_ticket(e, t);
    nadb_unlock(&e->lock);
    if (rc != NADB_OK) goto done;

    *out = t;
    t = NULL;
done:
    ticket_free(t);
    return rc;
}

/* --- the second half --- */

/* Counts a live version in or out. */
static void count(memory_engine *e, const version *v, bool in) {
    nadb_slice key;
    uint64_t bytes;

    if (v == NULL || (v->flags & NADB_ENTRY_TOMBSTONE) != 0) return;
    key = node_key(v->node);
    bytes = key.n + v->value_n;
    e->bytes = in ? e->bytes + bytes : e->bytes - bytes;
    if (key.n > 0 && key.p[0] == NADB_KS_ROW)
        e->rows = in ? e->rows + 1 : e->rows - 1;
}

/* Lets those go on who wait for this ticket. */
static void end_ticket(memory_engine *e, nadb_ticket *t) {
    e->tickets--;
    if (t->clear) e->clearing = false;
    nadb_cond_broadcast(&e->resolved);
}

static void memory_commit(nadb_engine *engine, nadb_ticket *t) {
    memory_engine *e = (memory_engine *)engine;

    nadb_lock(&e->lock);
    if (t->clear) {
        e->clear_seq = e->seq + 1;
        e->rows = 0;
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
        if (has_garbage(n)) queue_stale(e, n);
    }
    e->seq++;
    end_ticket(e, t);
    reclaim(e);
    nadb_unlock(&e->lock);
    nadb_free(t);
}

static nadb_rc memory_rollback(nadb_engine *engine, nadb_ticket *t,
                               nadb_err *err) {
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
    nadb_free(t);
    return NADB_OK;
}

/* --- the rest --- */

static nadb_rc memory_flush(nadb_engine *engine, nadb_err *err) {
    (void)engine;
    (void)err;
    return NADB_OK;
}

static bool chain_descends(const node *n) {
    for (const version *v = n->newest; v != NULL; v = v->older)
        if (v->older != NULL && v->older->seq >= v->seq) return false;
    return true;
}

static nadb_rc memory_check(nadb_engine *engine, nadb_report_fn *report,
                            void *ctx, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    const node *before = e->map.head;
    uint64_t rows = 0;

    (void)err;
    nadb_lock(&e->lock);
    for (const node *n = map_next(before); n != NULL; n = map_next(n)) {
        nadb_slice key = node_key(n);

        if (n->prev != before) report(ctx, "memory: a link back is wrong");
        if (before != e->map.head && nadb_slice_cmp(node_key(before), key) >= 0)
            report(ctx, "memory: keys are out of order");
        if (!chain_descends(n))
            report(ctx, "memory: versions of a key are out of order");
        if (key.n > 0 && key.p[0] == NADB_KS_ROW &&
            node_visible(n, e->seq, e->clear_seq) != NULL)
            rows++;
        before = n;
    }
    if (before != e->map.tail) report(ctx, "memory: the last link is wrong");
    if (rows != e->rows) report(ctx, "memory: the count of rows is wrong");
    nadb_unlock(&e->lock);
    return NADB_OK;
}

static void memory_stats(nadb_engine *engine, nadb_stat_fn *emit, void *ctx) {
    memory_engine *e = (memory_engine *)engine;
    uint64_t rows, bytes;

    nadb_lock(&e->lock);
    rows = e->rows;
    bytes = e->bytes;
    nadb_unlock(&e->lock);
    emit(ctx, "count", (double)rows);
    emit(ctx, "stored_bytes", (double)bytes);
}

static void memory_close(nadb_engine *engine) {
    memory_engine *e = (memory_engine *)engine;

    if (e == NULL) return;
    map_clear(&e->map);
    nadb_cond_clear(&e->resolved);
    nadb_mutex_clear(&e->lock);
    nadb_free(e);
}

static const nadb_engine_ops memory_ops = {
    .close = memory_close,
    .view_open = memory_view_open,
    .view_close = memory_view_close,
    .view_refresh = memory_view_refresh,
    .get = memory_get,
    .iter = memory_iter_new,
    .prepare = memory_prepare,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .flush = memory_flush,
    .compact = NULL,
    .check = memory_check,
    .stats = memory_stats,
};

static nadb_rc init_locks(memory_engine *e, nadb_err *err) {
    nadb_rc rc = nadb_mutex_init(&e->lock, NADB_RANK_BACKEND, err);

    if (rc != NADB_OK) return rc;
    rc = nadb_cond_init(&e->resolved, err);
    if (rc != NADB_OK) nadb_mutex_clear(&e->lock);
    return rc;
}

static nadb_rc memory_open(const nadb_options *options, nadb_engine **out,
                           nadb_err *err) {
    memory_engine *e = NULL;
    nadb_rc rc;

    (void)options;
    *out = NULL;
    e = nadb_calloc(1, sizeof *e);
    if (e == NULL) return no_memory(err);
    e->base.ops = &memory_ops;
    rc = map_init(&e->map, err);
    if (rc == NADB_OK) rc = init_locks(e, err);
    if (rc != NADB_OK) goto done;
    *out = &e->base;
    e = NULL;
done:
    if (e != NULL) map_clear(&e->map);
    nadb_free(e);
    return rc;
}

const nadb_backend nadb_backend_memory = {
    .name = "memory",
    .caps = NADB_CAP_ENGINE | NADB_CAP_SNAPSHOTS,
    .summary = "memory of this process, gone with the last connection",
    .engine_open = memory_open,
};
