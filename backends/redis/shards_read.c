/* shards_read.c - views and single rows of a store in shards; the hash of a key
 * selects its shard. */
#include "shards.h"

/* --- views --- */

nadb_rc shards_view_open(nadb_engine *engine, nadb_view **out, nadb_err *err) {
    shards *s = (shards *)engine;
    shards_view *v = nadb_calloc(1, sizeof *v + s->n * sizeof v->parts[0]);

    *out = NULL;
    if (v == NULL) return shards_no_memory(err);
    *out = &v->base;
    return NADB_OK;
}

void shards_view_close(nadb_engine *engine, nadb_view *view) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;

    if (v == NULL) return;
    for (unsigned i = 0; i < s->n; i++)
        redis_view_close(&s->parts[i]->base, (nadb_view *)v->parts[i]);
    nadb_buf_clear(&v->sum);
    nadb_free(v);
}

void shards_view_rest(nadb_engine *engine, nadb_view *view) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;

    for (unsigned i = v->from; i < v->to; i++)
        if (v->parts[i] != NULL)
            redis_view_rest(&s->parts[i]->base, &v->parts[i]->base);
    v->from = v->to = 0;
}

nadb_rc shards_view_refresh(nadb_engine *engine, nadb_view *view,
                            nadb_err *err) {
    (void)err;
    ((shards_view *)view)->looked = false;
    shards_end_others((shards *)engine);
    shards_view_rest(engine, view);
    return NADB_OK;
}

nadb_rc shards_view_part(shards *s, shards_view *v, unsigned i, nadb_err *err) {
    nadb_view *part = NULL;
    nadb_rc rc = NADB_OK;

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
    v->parts[i]->base.reading = v->base.reading;
    v->parts[i]->base.caller = v->base.caller;
    v->parts[i]->base.keys_only = v->base.keys_only;
    v->parts[i]->base.rows_wanted = v->base.rows_wanted;
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

nadb_rc shards_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;
    unsigned i;
    nadb_rc rc;

    *found = false;
    if (key.n > 0 && key.p[0] == NADB_KS_COUNT)
        return redis_get_count(engine, view, key, &v->sum, out, found, err);
    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return NADB_OK;
    i = shards_of_row(s, key);
    rc = shards_view_part(s, v, i, err);
    if (rc == NADB_OK)
        rc = redis_get(&s->parts[i]->base, &v->parts[i]->base, key, out, found,
                       err);
    if (rc == NADB_OK && !*found) rc = shards_seen(s, v, i, err);
    return rc;
}

/* --- many rows: requested in all shards, then received --- */

/* In the order of shards: if each has its own connections, no thread waits for
 * one of a shard below one whose connection it holds. */
nadb_rc shards_want(nadb_engine *engine, nadb_view *view,
                    const nadb_slice *keys, size_t n, nadb_err *err) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;
    redis_prefetching *parts = nadb_calloc(s->n, sizeof *parts);
    conn *c = NULL; /* for all shards, if they share a server */
    patience until;
    nadb_rc rc = NADB_OK;

    if (parts == NULL) return shards_no_memory(err);
    /* This may need a connection, so none is held meanwhile. */
    for (size_t k = 0; k < n && rc == NADB_OK; k++) {
        unsigned i;

        if (keys[k].n == 0 || keys[k].p[0] != NADB_KS_ROW) continue;
        i = shards_of_row(s, keys[k]);
        if (parts[i].e == NULL) {
            rc = shards_view_part(s, v, i, err);
            if (rc != NADB_OK) break;
            redis_prefetch_begin(&parts[i], s->parts[i], v->parts[i]);
        }
        rc = redis_prefetch_add(&parts[i], keys[k], err);
    }
    patience_begin(&until, s->mark->at.timeout_ms, view->caller);
    until.takes_any = !view->may_lag;
    if (rc == NADB_OK && s->parts[0]->pool == s->mark->pool)
        rc = pool_take_for(s->mark->pool, &until, &c, err);
    rc = redis_prefetch_all(parts, s->n, c, rc, err);
    pool_give(s->mark->pool, c);
    nadb_free(parts);
    return rc;
}

/* --- claims --- */

/* A claim's number: that in its shard, and the shard. */
#define CLAIM_BITS 8
_Static_assert(REDIS_CLAIMS < 1 << CLAIM_BITS, "a claim's name has room");

nadb_rc shards_claim(nadb_engine *engine, nadb_view *view, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)view;
    uint32_t inner = 0;
    unsigned i;
    nadb_rc rc;

    *claim = 0;
    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return NADB_OK;
    i = shards_of_row(s, key);
    rc = shards_view_refresh(engine, view, err);
    if (rc == NADB_OK) rc = shards_view_part(s, v, i, err);
    if (rc != NADB_OK) return rc;
    rc = redis_take_claim(&s->parts[i]->base, &v->parts[i]->base, key,
                          timeout_ms, &inner, err);
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
