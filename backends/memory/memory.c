/* memory.c - the backend that keeps everything in this process's memory.
 *
 * It is the example of an engine: it does what core/backend.h demands in the
 * plainest correct way, and is the reference with which tests compare the
 * others. It has snapshots and atomic commits with conflict checks, and a
 * commit never fails half-way. Nothing is kept when it is closed. One lock
 * serialises all calls, so it is not fast with many threads.
 *
 * Views are in a list, oldest first. The engine frees no version that one of
 * them sees (commit.c), so entries are PINNED. */
#include "memory.h"

#include "engine.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a store in memory");
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
    if (!v->resting) view_unlink(e, v);
    memory_reclaim(e);
    nadb_unlock(&e->lock);
    nadb_free(v);
}

static void memory_view_rest(nadb_engine *engine, nadb_view *view) {
    memory_engine *e = (memory_engine *)engine;
    memory_view *v = (memory_view *)view;

    nadb_lock(&e->lock);
    if (!v->resting) {
        view_unlink(e, v);
        v->resting = true;
        memory_reclaim(e);
    }
    nadb_unlock(&e->lock);
}

static nadb_rc memory_view_refresh(nadb_engine *engine, nadb_view *view,
                                   nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    memory_view *v = (memory_view *)view;

    (void)err;
    nadb_lock(&e->lock);
    if (v->resting || v->base.seq != e->seq) {
        if (!v->resting) view_unlink(e, v);
        v->resting = false;
        view_link(e, v);
        memory_reclaim(e);
    }
    nadb_unlock(&e->lock);
    return NADB_OK;
}

/* --- reading --- */

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
    memory_lock(e, (memory_view *)view);
    v = memory_seen((memory_view *)view, map_find(&e->map, key));
    if (v != NULL) fill_entry(out, v);
    memory_unlock(e, (memory_view *)view);
    *found = v != NULL;
    return NADB_OK;
}

/* Entries of tags and expiries sort behind rows, and counts exist only with
 * tags. */
static bool memory_indexed(nadb_engine *engine, nadb_view *view) {
    memory_engine *e = (memory_engine *)engine;
    const node *n;
    bool answer;

    memory_lock(e, (memory_view *)view);
    n = map_last(&e->map);
    answer = n != NULL && node_key(n).n > 0 && node_key(n).p[0] > NADB_KS_ROW;
    memory_unlock(e, (memory_view *)view);
    return answer;
}

/* An iterator is on a node that its view sees, so the node stays in the list,
 * and the iterator needs no lock between two calls. */
typedef struct memory_iter {
    nadb_iter base;
    memory_engine *engine;
    const memory_view *view;
    const node *at; /* NULL before the first and after the last */
    bool begun;
    bool reverse;
    bool bounded; /* hi is set */
    nadb_slice lo, hi;
    uint8_t bounds[]; /* bytes of lo and hi */
} memory_iter;

static bool in_range(const memory_iter *it, const node *n) {
    nadb_slice key = node_key(n);

    return nadb_slice_cmp(key, it->lo) >= 0 &&
           (!it->bounded || nadb_slice_cmp(key, it->hi) < 0);
}

/* Moves from `n` to the first node that the view sees. REQUIRES: the lock. */
static void settle(memory_iter *it, const node *n) {
    const version *v = NULL;

    while (n != NULL && in_range(it, n) &&
           (v = memory_seen(it->view, n)) == NULL)
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
    memory_iter *it = nadb_calloc(1, sizeof *it + nadb_range_bytes(range));
    nadb_range own;

    *out = NULL;
    if (it == NULL) return no_memory(err);
    it->base.ops = &ops;
    it->engine = (memory_engine *)engine;
    it->view = (memory_view *)view;
    own = nadb_range_copy(range, it->bounds);
    it->reverse = own.reverse;
    it->bounded = own.hi.p != NULL;
    it->lo = own.lo;
    it->hi = own.hi;
    *out = &it->base;
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
        /* No view is open, and no commit is in doubt. */
        if (e->oldest == NULL && e->tickets == 0 &&
            (n->newest == NULL || node_has_garbage(n) ||
             n->newest->seq < e->clear_seq))
            report(ctx, "memory: an old version was not reclaimed");
        before = n;
    }
    if (before != e->map.tail) report(ctx, "memory: the last link is wrong");
    if (rows != e->rows) report(ctx, "memory: the count of rows is wrong");
    nadb_unlock(&e->lock);
    return NADB_OK;
}

static void memory_stats(nadb_engine *engine, nadb_stat_fn *emit, void *ctx) {
    memory_engine *e = (memory_engine *)engine;
    /* Nothing is buffered, so these numbers do not exist. */
    static const char *const none[] = {
        "buffer_entries", "buffer_bytes",     "buffer_utilization_percent",
        "flush_count",    "compaction_count", "expired_count",
    };
    uint64_t rows, bytes;

    nadb_lock(&e->lock);
    rows = e->rows;
    bytes = e->bytes;
    nadb_unlock(&e->lock);
    emit(ctx, "table_entries", (double)rows);
    emit(ctx, "stored_bytes", (double)bytes);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        emit(ctx, none[i], 0);
}

/* Totals of the last commit; for an older view they would need a walk. */
static nadb_rc memory_totals(nadb_engine *engine, nadb_view *view,
                             nadb_totals *out, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;

    (void)err;
    nadb_lock(&e->lock);
    *out = e->totals;
    if (view->seq != e->seq) out->known = false;
    nadb_unlock(&e->lock);
    return NADB_OK;
}

static void memory_close(nadb_engine *engine) {
    memory_engine *e = (memory_engine *)engine;

    if (e == NULL) return;
    map_clear(&e->map);
    nadb_recent_clear(&e->recent);
    nadb_cond_clear(&e->resolved);
    nadb_mutex_clear(&e->lock);
    nadb_free(e);
}

static const nadb_engine_ops memory_ops = {
    .close = memory_close,
    .view_open = memory_view_open,
    .view_close = memory_view_close,
    .view_refresh = memory_view_refresh,
    .view_rest = memory_view_rest,
    .get = memory_get,
    .indexed = memory_indexed,
    .iter = memory_iter_new,
    .claim = memory_claim,
    .unclaim = memory_unclaim,
    .settle = memory_settle,
    .moved = memory_moved,
    .prepare = memory_prepare,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .keep = memory_keep,
    .changes = memory_changes,
    .wait = memory_wait,
    .flush = memory_flush,
    .compact = NULL,
    .check = memory_check,
    .stats = memory_stats,
    .totals = memory_totals,
};

static nadb_rc memory_open(const nadb_options *options, nadb_engine **out,
                           nadb_err *err) {
    memory_engine *e = NULL;
    nadb_rc rc;

    *out = NULL;
    e = nadb_calloc(1, sizeof *e);
    if (e == NULL) return no_memory(err);
    e->base.ops = &memory_ops;
    e->totals.known = true;
    e->recent.keep = nadb_option_keep(options);
    rc = map_init(&e->map, err);
    if (rc == NADB_OK)
        rc = nadb_mutex_cond_init(&e->lock, NADB_RANK_BACKEND, &e->resolved,
                                  err);
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
    .caps = NADB_CAP_ENGINE | NADB_CAP_SNAPSHOTS | NADB_CAP_INNOCUOUS,
    .summary = "memory of this process, gone with the last connection",
    .engine_open = memory_open,
};
