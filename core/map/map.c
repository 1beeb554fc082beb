/* map.c - snapshots of a map, walks, opening and closing; see engine.h. */
#include "map.h"

#include "../util/assert.h"
#include "engine.h"

/* --- views --- */

static nadb_rc map_view_refresh(nadb_engine *engine, nadb_view *view,
                                nadb_err *err) {
    map_engine *e = (map_engine *)engine;
    map_view *v = (map_view *)view;
    map_state *unused;

    (void)err;
    nadb_lock(&e->lock);
    unused = map_state_unref(v->state);
    NADB_ASSERT(unused == NULL || unused != e->now); /* now has a reference */
    v->state = e->now;
    v->state->refs++;
    v->base.seq = v->state->seq;
    nadb_unlock(&e->lock);
    map_state_free(e, unused);
    return NADB_OK;
}

static nadb_rc map_view_open(nadb_engine *engine, nadb_view **out,
                             nadb_err *err) {
    map_view *v = nadb_calloc(1, sizeof *v);

    *out = NULL;
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "reading");
    *out = &v->base;
    return map_view_refresh(engine, *out, err);
}

static void map_view_rest(nadb_engine *engine, nadb_view *view) {
    map_engine *e = (map_engine *)engine;
    map_view *v = (map_view *)view;
    map_state *unused;

    nadb_lock(&e->lock);
    unused = map_state_unref(v->state);
    v->state = NULL;
    nadb_unlock(&e->lock);
    map_state_free(e, unused);
}

static void map_view_close(nadb_engine *engine, nadb_view *view) {
    if (view == NULL) return;
    map_view_rest(engine, view);
    nadb_free(view);
}

static const map_state *state_of(const nadb_view *view) {
    const map_state *s = ((const map_view *)view)->state;

    NADB_ASSERT(s != NULL && s->seq == view->seq); /* it does not rest */
    return s;
}

/* --- reading --- */

static nadb_rc map_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                       nadb_entry *out, bool *found, nadb_err *err) {
    return map_state_get((const map_engine *)engine, state_of(view), key, out,
                         found, err);
}

static bool map_indexed(nadb_engine *engine, nadb_view *view) {
    (void)engine;
    return state_of(view)->sum.indexed;
}

typedef struct map_iter {
    nadb_iter base;
    const map_engine *engine;
    const map_state *state;
    nadb_map_place at;
    bool begun;
    bool reverse;
    nadb_slice lo, hi; /* hi.p == NULL: no bound */
    uint8_t bounds[];  /* bytes of lo and hi */
} map_iter;

/* Ends the walk at the bound of the range. */
static nadb_rc bound(map_iter *it, nadb_rc rc) {
    nadb_slice key = it->base.entry.key;

    it->begun = true;
    if (!it->base.valid) return rc;
    if (it->reverse)
        it->base.valid = nadb_slice_cmp(key, it->lo) >= 0;
    else
        it->base.valid = it->hi.p == NULL || nadb_slice_cmp(key, it->hi) < 0;
    return rc;
}

static nadb_rc iter_find(map_iter *it, nadb_slice key, bool before,
                         nadb_err *err) {
    return map_state_seek(it->engine, it->state, key, before, &it->at,
                          &it->base.entry, &it->base.valid, err);
}

static nadb_rc iter_next(nadb_iter *base, nadb_err *err) {
    map_iter *it = (map_iter *)base;

    if (!it->begun)
        return bound(
            it, iter_find(it, it->reverse ? it->hi : it->lo, it->reverse, err));
    if (!base->valid) return NADB_OK;
    return bound(it, map_state_step(it->engine, it->state, it->reverse, &it->at,
                                    &base->entry, &base->valid, err));
}

static nadb_rc iter_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    map_iter *it = (map_iter *)base;
    nadb_rc rc;

    if (key.p == NULL) /* which stands for the last key in nadb_map_ops.seek */
        key = nadb_slice_of("", 0);
    if (!it->reverse)
        return bound(
            it, iter_find(it, nadb_slice_cmp(key, it->lo) < 0 ? it->lo : key,
                          false, err));
    if (it->hi.p != NULL && nadb_slice_cmp(key, it->hi) >= 0)
        return bound(it, iter_find(it, it->hi, true, err));
    rc = iter_find(it, key, false, err);
    if (rc == NADB_OK && !(base->valid && nadb_slice_eq(base->entry.key, key)))
        rc = iter_find(it, key, true, err);
    return bound(it, rc);
}

static void iter_free(nadb_iter *base) { nadb_free(base); }

static nadb_rc map_iter_open(nadb_engine *engine, nadb_view *view,
                             const nadb_range *range, nadb_iter **out,
                             nadb_err *err) {
    static const nadb_iter_ops ops = {iter_next, iter_seek, iter_free};
    map_iter *it = nadb_calloc(1, sizeof *it + nadb_range_bytes(range));
    nadb_range own;

    *out = NULL;
    if (it == NULL) return nadb_fail(err, NADB_NOMEM, "beginning a scan");
    it->base.ops = &ops;
    it->engine = (const map_engine *)engine;
    it->state = state_of(view);
    own = nadb_range_copy(range, it->bounds);
    it->reverse = own.reverse;
    it->lo = own.lo;
    it->hi = own.hi;
    *out = &it->base;
    return NADB_OK;
}

/* --- the whole store --- */

static nadb_rc map_check(nadb_engine *engine, nadb_report_fn *report, void *ctx,
                         nadb_err *err) {
    nadb_view *v = NULL;
    nadb_rc rc = map_view_open(engine, &v, err);

    if (rc == NADB_OK)
        rc = map_state_check((const map_engine *)engine, state_of(v), report,
                             ctx, err);
    map_view_close(engine, v);
    return rc;
}

static nadb_rc map_flush(nadb_engine *engine, nadb_err *err) {
    (void)engine;
    (void)err;
    return NADB_OK;
}

static void map_stats(nadb_engine *engine, nadb_stat_fn *emit, void *ctx) {
    map_engine *e = (map_engine *)engine;
    /* Nothing is buffered, so these numbers are 0. */
    static const char *const none[] = {
        "buffer_entries", "buffer_bytes",     "buffer_utilization_percent",
        "flush_count",    "compaction_count", "expired_count",
    };
    map_view v = {.state = NULL};

    (void)map_view_refresh(engine, &v.base, NULL); /* cannot fail */
    emit(ctx, "table_entries", (double)v.state->sum.rows);
    emit(ctx, "stored_bytes", (double)v.state->sum.bytes);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        emit(ctx, none[i], 0);
    if (e->ops->stats != NULL) e->ops->stats(e->map, v.state->s, emit, ctx);
    map_view_rest(engine, &v.base);
}

static nadb_rc map_totals(nadb_engine *engine, nadb_view *view,
                          nadb_totals *out, nadb_err *err) {
    (void)engine;
    (void)err;
    *out = state_of(view)->sum.totals;
    return NADB_OK;
}

/* --- opening and closing --- */

/* Frees what an engine has opened. It takes no lock, because no other thread
 * uses the engine. */
static void engine_free(map_engine *e) {
    NADB_ASSERT(!e->turn && e->claims.n == 0);
    NADB_ASSERT(e->now == NULL || e->now->refs == 1); /* no view is open */
    nadb_recent_clear(&e->recent);
    map_state_free(e, e->now);
    if (e->map != NULL && e->ops->close != NULL) e->ops->close(e->map);
    nadb_free(e);
}

static void map_close(nadb_engine *engine) {
    map_engine *e = (map_engine *)engine;

    nadb_cond_clear(&e->ended);
    nadb_mutex_clear(&e->lock);
    engine_free(e);
}

/* Opens the map and makes its first state the present one. */
static nadb_rc first_state(map_engine *e, const nadb_options *options,
                           nadb_err *err) {
    map_state *s = nadb_calloc(1, sizeof *s);
    size_t n;
    nadb_rc rc;

    if (s == NULL) return nadb_fail(err, NADB_NOMEM, "opening a store");
    rc = e->ops->open(options, &e->map, &s->s, err);
    if (rc != NADB_OK) {
        nadb_free(s);
        return rc;
    }
    s->refs = 1;
    s->sum.totals.known = true;
    e->now = s;
    rc = map_state_sum(e, s, false, &s->sum, &n, &s->seq, err);
    e->changed_seq = e->recent.floor = e->recent.seq = s->seq;
    return rc;
}

static const nadb_engine_ops map_ops = {
    .close = map_close,
    .view_open = map_view_open,
    .view_close = map_view_close,
    .view_refresh = map_view_refresh,
    .view_rest = map_view_rest,
    .get = map_get,
    .iter = map_iter_open,
    .indexed = map_indexed,
    .claim = map_claim,
    .unclaim = map_unclaim,
    .settle = map_settle,
    .moved = map_moved,
    .prepare = map_prepare,
    .commit = map_commit,
    .rollback = map_rollback,
    .keep = map_keep,
    .changes = map_changes,
    .wait = map_wait,
    .flush = map_flush,
    .check = map_check,
    .stats = map_stats,
    .totals = map_totals,
};

nadb_rc nadb_map_open(const nadb_options *options, const nadb_map_ops *ops,
                      nadb_engine **out, nadb_err *err) {
    map_engine *e = nadb_calloc(1, sizeof *e);
    nadb_rc rc;

    *out = NULL;
    if (e == NULL) return nadb_fail(err, NADB_NOMEM, "opening a store");
    e->base.ops = &map_ops;
    e->ops = ops;
    e->recent.keep = nadb_option_keep(options);
    rc = first_state(e, options, err);
    if (rc == NADB_OK)
        rc = nadb_mutex_cond_init(&e->lock, NADB_RANK_BACKEND, &e->ended, err);
    if (rc == NADB_OK)
        *out = &e->base;
    else
        engine_free(e);
    return rc;
}
