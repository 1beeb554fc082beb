/* plain.c - an engine in a file of its own, for plugin.test: rows in a sorted
 * array, with the operations of nadb_engine_ops that are not optional and no
 * others.
 *
 * A state is one immutable block: entries in key order, followed by their
 * bytes. A view holds a state; a commit makes the next one. A transaction that
 * has read something conflicts with any later commit. */
#include <nadb/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

typedef struct state {
    atomic_uint refs;
    uint64_t seq; /* of the commit that made it */
    size_t n;
    nadb_entry at[];
} state;

typedef struct engine {
    nadb_engine base;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t free;
    bool taken; /* a commit is being prepared, or is in doubt */
    state *now;
} engine;

typedef struct view {
    nadb_view base;
    state *s;
} view;

struct nadb_ticket {
    state *next;
};

static void state_unref(state *s) {
    if (s != NULL && atomic_fetch_sub(&s->refs, 1) == 1) nadb_free(s);
}

/* Index of the first key that is not below `key`. */
static size_t find(const state *s, nadb_slice key) {
    size_t lo = 0, hi = s->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (nadb_slice_cmp(s->at[mid].key, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* --- views --- */

static nadb_rc view_refresh(nadb_engine *base, nadb_view *v, nadb_err *err) {
    engine *e = (engine *)base;
    state *old = ((view *)v)->s;

    (void)err;
    pthread_mutex_lock(&e->lock);
    ((view *)v)->s = e->now;
    atomic_fetch_add(&e->now->refs, 1);
    v->seq = e->now->seq;
    pthread_mutex_unlock(&e->lock);
    state_unref(old);
    return NADB_OK;
}

static nadb_rc view_open(nadb_engine *e, nadb_view **out, nadb_err *err) {
    view *v = nadb_calloc(1, sizeof *v);

    *out = &v->base;
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "opening a view");
    return view_refresh(e, *out, err);
}

static void view_close(nadb_engine *e, nadb_view *v) {
    (void)e;
    if (v != NULL) state_unref(((view *)v)->s);
    nadb_free(v);
}

static void view_rest(nadb_engine *e, nadb_view *v) {
    (void)e, (void)v; /* it keeps its state, and pins nothing else */
}

/* --- reading --- */

static nadb_rc get(nadb_engine *e, nadb_view *v, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err) {
    const state *s = ((view *)v)->s;
    size_t i = find(s, key);

    (void)e, (void)err;
    *found = i < s->n && nadb_slice_eq(s->at[i].key, key);
    if (*found) *out = s->at[i];
    return NADB_OK;
}

typedef struct iter {
    nadb_iter base;
    const state *s;
    /* forward: the next entry; reverse: the one behind the next */
    size_t lo, hi, at;
    bool reverse;
} iter;

static nadb_rc iter_next(nadb_iter *base, nadb_err *err) {
    iter *it = (iter *)base;

    (void)err;
    base->valid = it->reverse ? it->at > it->lo : it->at < it->hi;
    if (base->valid) base->entry = it->s->at[it->reverse ? --it->at : it->at++];
    return NADB_OK;
}

static nadb_rc iter_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    iter *it = (iter *)base;
    size_t i = find(it->s, key);

    if (it->reverse && i < it->s->n && nadb_slice_eq(it->s->at[i].key, key))
        i++;
    it->at = i < it->lo ? it->lo : i > it->hi ? it->hi : i;
    return iter_next(base, err);
}

static void iter_free(nadb_iter *it) { nadb_free(it); }

static nadb_rc iter_open(nadb_engine *e, nadb_view *v, const nadb_range *range,
                         nadb_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {iter_next, iter_seek, iter_free};
    iter *it = nadb_calloc(1, sizeof *it);

    (void)e;
    *out = &it->base;
    if (it == NULL) return nadb_fail(err, NADB_NOMEM, "beginning a scan");
    it->base.ops = &ops;
    it->s = ((view *)v)->s;
    it->lo = find(it->s, range->lo);
    it->hi = range->hi.p == NULL ? it->s->n : find(it->s, range->hi);
    if (it->hi < it->lo) it->hi = it->lo;
    it->reverse = range->reverse;
    it->at = it->reverse ? it->hi : it->lo;
    return NADB_OK;
}

/* --- commits, one at a time --- */

static nadb_rc take_turn(engine *e, int64_t timeout_ms, nadb_err *err) {
    struct timespec until;
    int waited = 0;
    bool mine;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000 + 1;
    pthread_mutex_lock(&e->lock);
    while (e->taken && waited == 0)
        waited = pthread_cond_timedwait(&e->free, &e->lock, &until);
    mine = !e->taken;
    e->taken = true;
    pthread_mutex_unlock(&e->lock);
    if (mine) return NADB_OK;
    return nadb_fail(err, NADB_BUSY, "another commit takes too long");
}

/* Ends the turn; `next`, unless it is NULL, becomes the state. */
static void end_turn(engine *e, state *next) {
    state *old = NULL;

    pthread_mutex_lock(&e->lock);
    if (next != NULL) {
        old = e->now;
        e->now = next;
    }
    e->taken = false;
    pthread_cond_broadcast(&e->free);
    pthread_mutex_unlock(&e->lock);
    state_unref(old);
}

/* Adds an entry and its bytes, which begin at `p`; returns the place behind. */
static uint8_t *add(state *s, const nadb_entry *from, uint64_t seq,
                    uint8_t *p) {
    nadb_entry *e = &s->at[s->n++];

    *e = (nadb_entry){.seq = seq, .flags = NADB_ENTRY_PINNED};
    e->key = nadb_slice_of(memcpy(p, from->key.p, from->key.n), from->key.n);
    p += from->key.n;
    if (from->value.n > 0) memcpy(p, from->value.p, from->value.n);
    e->value = nadb_slice_of(p, from->value.n);
    return p + from->value.n;
}

/* The state after the request: a merge of the present entries and the
 * changes. */
static nadb_rc merge(const state *now, const nadb_commit_req *req, state **out,
                     nadb_err *err) {
    bool moved = req->view != NULL && req->view->seq < now->seq;
    size_t old_n = req->clear ? 0 : now->n, bytes = req->bytes, i = 0;
    nadb_iter *c = req->changes;
    nadb_rc rc = NADB_OK;
    uint8_t *p;

    if (moved && (req->reads_all || req->n_reads > 0))
        return nadb_fail(err, NADB_CONFLICT, "another commit came first");
    for (size_t k = 0; k < old_n; k++)
        bytes += now->at[k].key.n + now->at[k].value.n;
    *out = nadb_calloc(1, sizeof **out +
                              (old_n + req->count) * sizeof now->at[0] + bytes);
    if (*out == NULL) return nadb_fail(err, NADB_NOMEM, "committing");
    (*out)->refs = 1;
    (*out)->seq = now->seq + 1;
    p = (uint8_t *)&(*out)->at[old_n + req->count];
    if (c != NULL) rc = nadb_iter_seek(c, nadb_slice_of("", 0), err);
    while (rc == NADB_OK && (i < old_n || (c != NULL && c->valid))) {
        bool change = c != NULL && c->valid;
        int order = !change      ? -1
                    : i == old_n ? 1
                                 : nadb_slice_cmp(now->at[i].key, c->entry.key);

        if (order < 0) { /* an unchanged entry */
            p = add(*out, &now->at[i], now->at[i].seq, p);
            i++;
            continue;
        }
        if (order == 0) i++;
        if (moved && (c->entry.flags & NADB_ENTRY_READ))
            return nadb_fail(err, NADB_CONFLICT, "another commit came first");
        if ((c->entry.flags & NADB_ENTRY_TOMBSTONE) == 0)
            p = add(*out, &c->entry, (*out)->seq, p);
        rc = nadb_iter_next(c, err);
    }
    return rc;
}

static nadb_rc prepare(nadb_engine *base, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err) {
    engine *e = (engine *)base;
    nadb_rc rc = take_turn(e, req->timeout_ms, err);
    view present = {{0}, NULL};

    *out = NULL;
    if (rc != NADB_OK) return rc;
    present.s = e->now; /* only the owner of the turn changes it */
    present.base.seq = e->now->seq;
    *out = nadb_calloc(1, sizeof **out);
    if (*out == NULL) rc = nadb_fail(err, NADB_NOMEM, "committing");
    if (rc == NADB_OK && req->derive != NULL)
        rc = req->derive(req->derive_ctx, &present.base, err);
    if (rc == NADB_OK) rc = merge(e->now, req, &(*out)->next, err);
    if (rc == NADB_OK) return NADB_OK;
    end_turn(e, NULL);
    if (*out != NULL) state_unref((*out)->next);
    nadb_free(*out);
    *out = NULL;
    return rc;
}

static void commit(nadb_engine *e, nadb_ticket *t) {
    end_turn((engine *)e, t->next);
    nadb_free(t);
}

static nadb_rc roll_back(nadb_engine *e, nadb_ticket *t, nadb_err *err) {
    (void)err;
    end_turn((engine *)e, NULL);
    state_unref(t->next);
    nadb_free(t);
    return NADB_OK;
}

/* --- the rest --- */

static nadb_rc flush(nadb_engine *e, nadb_err *err) {
    (void)e, (void)err; /* there is no other place to move it to */
    return NADB_OK;
}

static nadb_rc check(nadb_engine *base, nadb_report_fn *report, void *ctx,
                     nadb_err *err) {
    view *v = NULL;
    nadb_rc rc = view_open(base, (nadb_view **)&v, err);

    for (size_t i = 1; rc == NADB_OK && i < v->s->n; i++)
        if (nadb_slice_cmp(v->s->at[i - 1].key, v->s->at[i].key) >= 0)
            report(ctx, "plain: keys are out of order");
    view_close(base, (nadb_view *)v);
    return rc;
}

static void stats(nadb_engine *base, nadb_stat_fn *emit, void *ctx) {
    engine *e = (engine *)base;

    pthread_mutex_lock(&e->lock);
    emit(ctx, "table_entries", (double)e->now->n);
    pthread_mutex_unlock(&e->lock);
}

static void engine_close(nadb_engine *base) {
    engine *e = (engine *)base;

    state_unref(e->now);
    pthread_cond_destroy(&e->free);
    pthread_mutex_destroy(&e->lock);
    nadb_free(e);
}

static nadb_rc engine_open(const nadb_options *options, nadb_engine **out,
                           nadb_err *err) {
    static const nadb_engine_ops ops = {
        .close = engine_close,
        .view_open = view_open,
        .view_close = view_close,
        .view_refresh = view_refresh,
        .view_rest = view_rest,
        .get = get,
        .iter = iter_open,
        .prepare = prepare,
        .commit = commit,
        .rollback = roll_back,
        .flush = flush,
        .check = check,
        .stats = stats,
    };
    engine *e = nadb_calloc(1, sizeof *e);
    state *empty = nadb_calloc(1, sizeof *empty);

    (void)options;
    *out = NULL;
    if (e == NULL || empty == NULL) {
        nadb_free(e);
        nadb_free(empty);
        return nadb_fail(err, NADB_NOMEM, "opening a store");
    }
    empty->refs = 1;
    e->now = empty;
    e->base.ops = &ops;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->free, NULL);
    *out = &e->base;
    return NADB_OK;
}

static const nadb_backend plain = {
    .name = "plain",
    .caps = NADB_CAP_ENGINE | NADB_CAP_SNAPSHOTS | NADB_CAP_INNOCUOUS,
    .summary = "a test: an engine with a sorted array",
    .engine_open = engine_open,
};
NADB_PLUGIN(plain)
