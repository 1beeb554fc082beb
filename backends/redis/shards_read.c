/* shards_read.c - views and single rows of a store in shards; the hash of a key
 * selects its shard. */
#include <stdlib.h>

#include "../../core/util/coding.h"
#include "shards.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to read");
}

/* --- views --- */

nadb_rc shards_view_open(nadb_engine *engine, nadb_view **out, nadb_err *err) {
    shards *s = (shards *)engine;
    shards_view *v = nadb_calloc(1, sizeof *v + s->n * sizeof v->parts[0]);

    *out = NULL;
    if (v == NULL) return no_memory(err);
    *out = &v->base;
    return NADB_OK;
}

void shards_view_close(nadb_engine *engine, nadb_view *view) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;

    if (v == NULL) return;
    for (unsigned i = 0; i < s->n; i++)
        if (v->parts[i] != NULL)
            redis_view_close(&s->parts[i]->base, &v->parts[i]->base);
    nadb_buf_clear(&v->sum);
    nadb_free(v);
}

nadb_rc shards_view_refresh(nadb_engine *engine, nadb_view *view,
                            nadb_err *err) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;
    nadb_rc rc = NADB_OK;

    v->looked = false;
    shards_end_others(s);
    for (unsigned i = v->from; i < v->to && rc == NADB_OK; i++)
        if (v->parts[i] != NULL)
            rc =
                redis_view_refresh(&s->parts[i]->base, &v->parts[i]->base, err);
    return rc;
}

void shards_view_rest(nadb_engine *engine, nadb_view *view) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;

    for (unsigned i = v->from; i < v->to; i++)
        if (v->parts[i] != NULL)
            redis_view_rest(&s->parts[i]->base, &v->parts[i]->base);
    v->from = v->to = 0;
}

nadb_rc shards_view_part(shards *s, shards_view *v, unsigned i,
                         redis_view **out, nadb_err *err) {
    nadb_view *part = NULL;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (!v->looked && !atomic_load(&s->settled)) {
        rc = shards_settle(s, v->base.caller, err);
        v->looked = rc == NADB_OK && !atomic_load(&s->settled);
    }
    if (rc == NADB_OK && v->parts[i] == NULL) {
        rc = redis_view_open(&s->parts[i]->base, &part, err);
        v->parts[i] = (redis_view *)part;
    }
    if (rc != NADB_OK) return rc;
    if (v->to == 0 || i < v->from) v->from = i;
    if (i >= v->to) v->to = i + 1;
    v->parts[i]->base.may_lag = v->base.may_lag;
    v->parts[i]->base.caller = v->base.caller;
    v->parts[i]->base.keys_only = v->base.keys_only;
    *out = v->parts[i];
    return NADB_OK;
}

nadb_rc shards_seen(shards *s, shards_view *v, unsigned i, nadb_err *err) {
    const redis_view *part = v->parts[i];
    nadb_rc rc;

    if (!part->known || part->base.seq != 0 || v->looked) return NADB_OK;
    rc = shards_missing(s, i, err);
    v->looked = rc == NADB_OK;
    return rc;
}

/* --- single rows --- */

/* Number of rows with a tag in all shards. */
static nadb_rc get_count(shards *s, shards_view *v, nadb_slice key,
                         nadb_entry *out, bool *found, nadb_err *err) {
    nadb_buf after = NADB_BUF_INIT;
    nadb_iter *it = NULL;
    nadb_range one = {key, key, false};
    nadb_rc rc = NADB_OK;

    nadb_buf_reset(&v->sum);
    if (!nadb_buf_append(&after, key.p, key.n) || !nadb_buf_byte(&after, 0))
        rc = no_memory(err);
    one.hi = nadb_buf_slice(&after);
    if (rc == NADB_OK) rc = shards_iter_new(&s->base, &v->base, &one, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    if (rc == NADB_OK && it->valid) {
        *out = it->entry;
        if (!nadb_buf_append(&v->sum, out->value.p, out->value.n))
            rc = no_memory(err);
        out->key = key;
        out->value = nadb_buf_slice(&v->sum);
        *found = rc == NADB_OK;
    }
    nadb_iter_free(it);
    nadb_buf_clear(&after);
    return rc;
}

nadb_rc shards_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;
    redis_view *part;
    unsigned i;
    nadb_rc rc;

    *found = false;
    if (key.n > 0 && key.p[0] == NADB_KS_COUNT)
        return get_count(s, v, key, out, found, err);
    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return NADB_OK;
    i = shards_of_row(s, key);
    rc = shards_view_part(s, v, i, &part, err);
    if (rc == NADB_OK)
        rc = redis_get(&s->parts[i]->base, &part->base, key, out, found, err);
    if (rc == NADB_OK && !*found) rc = shards_seen(s, v, i, err);
    return rc;
}

/* --- many rows: requested in all shards, then received --- */

/* A key with its shard. */
typedef struct place {
    unsigned shard, at; /* at: index among the keys */
} place;

static int compare_places(const void *a, const void *b) {
    const place *x = a, *y = b;

    if (x->shard != y->shard) return x->shard < y->shard ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

typedef struct wants {
    nadb_slice *keys; /* sorted by shard, and in the given order */
    place *places;
    redis_prefetching *sent;
    size_t n_keys, n_sent;
    conn *c; /* for all shards, if they share a server; else NULL */
} wants;

static nadb_rc wants_sort(wants *w, const shards *s, const nadb_slice *keys,
                          size_t n, nadb_err *err) {
    w->keys = nadb_calloc(n, sizeof *w->keys);
    w->places = nadb_calloc(n, sizeof *w->places);
    w->sent = nadb_calloc(n < s->n ? n : s->n, sizeof *w->sent);
    if (w->keys == NULL || w->places == NULL || w->sent == NULL)
        return no_memory(err);
    for (size_t k = 0; k < n; k++) {
        if (keys[k].n == 0 || keys[k].p[0] != NADB_KS_ROW) continue;
        w->places[w->n_keys].shard = shards_of_row(s, keys[k]);
        w->places[w->n_keys++].at = (unsigned)k;
    }
    qsort(w->places, w->n_keys, sizeof *w->places, compare_places);
    for (size_t k = 0; k < w->n_keys; k++) w->keys[k] = keys[w->places[k].at];
    return NADB_OK;
}

/* Before a connection is taken, because this may need one. */
static nadb_rc wants_open(const wants *w, shards *s, shards_view *v,
                          nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t k = 0; k < w->n_keys && rc == NADB_OK; k++) {
        redis_view *part;

        rc = shards_view_part(s, v, w->places[k].shard, &part, err);
    }
    return rc;
}

/* In the order of shards: if each has its own connections, no thread waits for
 * one of a shard below one whose connection it holds. */
static nadb_rc wants_send(wants *w, shards *s, shards_view *v, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t k = 0, end; k < w->n_keys && rc == NADB_OK; k = end) {
        unsigned i = w->places[k].shard;

        for (end = k; end < w->n_keys && w->places[end].shard == i;) end++;
        rc = redis_prefetch_send(&w->sent[w->n_sent++], s->parts[i],
                                 v->parts[i], w->c, w->keys + k, end - k, err);
    }
    return rc;
}

nadb_rc shards_want(nadb_engine *engine, nadb_view *view,
                    const nadb_slice *keys, size_t n, nadb_err *err) {
    shards *s = (shards *)engine;
    patience until;
    wants w;
    nadb_rc rc;

    memset(&w, 0, sizeof w);
    rc = wants_sort(&w, s, keys, n, err);
    if (rc == NADB_OK) rc = wants_open(&w, s, (shards_view *)view, err);
    patience_begin(&until, s->mark->at.timeout_ms, view->caller);
    until.takes_any = !view->may_lag;
    if (rc == NADB_OK && s->parts[0]->pool == s->mark->pool)
        rc = pool_take_for(s->mark->pool, &until, &w.c, err);
    if (rc == NADB_OK) rc = wants_send(&w, s, (shards_view *)view, err);
    for (size_t k = 0; k < w.n_sent && rc == NADB_OK; k++)
        rc = redis_prefetch_receive(&w.sent[k], err);
    for (size_t k = 0; k < w.n_sent; k++)
        rc = redis_prefetch_end(&w.sent[k], rc, err);
    pool_give(s->mark->pool, w.c);
    nadb_free(w.keys);
    nadb_free(w.places);
    nadb_free(w.sent);
    return rc;
}

/* --- claims --- */

/* A claim's number: that in its shard, and the shard. */
#define CLAIM_BITS 8
_Static_assert(REDIS_CLAIMS < 1 << CLAIM_BITS, "a claim's name has room");

nadb_rc shards_claim(nadb_engine *engine, nadb_view *view, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err) {
    shards *s = (shards *)engine;
    redis_view *part;
    uint32_t inner = 0;
    unsigned i;
    nadb_rc rc;

    *claim = 0;
    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return NADB_OK;
    i = shards_of_row(s, key);
    rc = shards_view_refresh(engine, view, err);
    if (rc == NADB_OK)
        rc = shards_view_part(s, (shards_view *)view, i, &part, err);
    if (rc != NADB_OK) return rc;
    rc = redis_take_claim(&s->parts[i]->base, &part->base, key, timeout_ms,
                          &inner, err);
    if (inner != 0) *claim = i << CLAIM_BITS | inner;
    return rc;
}

uint32_t shards_claim_in(unsigned shard, uint32_t claim) {
    return claim >> CLAIM_BITS == shard ? claim & ((1u << CLAIM_BITS) - 1) : 0;
}

void shards_unclaim(nadb_engine *engine, uint32_t claim) {
    shards *s = (shards *)engine;
    unsigned i = claim >> CLAIM_BITS;

    if (i < s->n) redis_unclaim(&s->parts[i]->base, shards_claim_in(i, claim));
}
