/* shards_mark.c - how many shards a store has, in one place for all.
 *
 * The mark is in `meta` of the store's name without a shard, where a store in
 * one piece has its layout. So who opens the store with another number of
 * shards, or in one piece, is refused at his first read or write:
 *
 *   <layout>/<N>   it has N shards
 *   <layout>/<N>+  somebody makes them, or has died of it: whoever wants to
 *                  write goes on with it
 *   <layout>/<N>-  somebody removes them: nobody makes any
 *
 * Looking at it costs a process one round trip, once; then it believes it. The
 * store may be destroyed, and made with another number of shards, by others:
 * therefore no shard takes a commit that was not made under the mark, and
 * whoever finds one missing looks at the mark again. A shard that is missing
 * under a whole mark was lost by its server; that is an error, not an empty
 * result. */
#include <stdio.h>

#include "shards.h"

typedef struct mark {
    char here[24], making[24], going[24];
} mark;

static mark mark_of(const shards *s) {
    mark m;

    snprintf(m.here, sizeof m.here, "%s/%u", SCRIPT_LAYOUT, s->n);
    snprintf(m.making, sizeof m.making, "%s/%u+", SCRIPT_LAYOUT, s->n);
    snprintf(m.going, sizeof m.going, "%s/%u-", SCRIPT_LAYOUT, s->n);
    return m;
}

/* The mark is another one. */
static nadb_rc other(const conn *c, nadb_slice layout, nadb_err *err) {
    nadb_rc rc = script_layout(c, layout, err);

    if (rc != NADB_OK) return rc;
    return nadb_fail(err, NADB_CANTOPEN,
                     "redis server %s: the store is in one piece: give no "
                     "option shards",
                     conn_name(c));
}

/* --- looking --- */

/* What `meta` says; *layout, which the caller clears, is empty when there is
 * none. Checks that the mark is ours. */
static nadb_rc read_layout(shards *s, redis_engine *e, nadb_buf *layout,
                           nadb_err *err) {
    mark m = mark_of(s);
    redisReply *r = NULL;
    nadb_slice text;
    conn *c = NULL;
    args a;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    args_text(&a, "HMGET");
    args_join(&a, redis_prefix(e), nadb_slice_str("meta"));
    args_text(&a, "layout");
    rc = conn_call(c, &a, &r, err);
    if (rc == NADB_OK && !reply_is_array(r, 1)) rc = conn_confused(c, err);
    text = reply_slice(rc == NADB_OK ? r->element[0] : NULL);
    if (rc == NADB_OK && e == s->mark && text.n > 0 &&
        !nadb_slice_eq(text, nadb_slice_str(m.here)) &&
        !nadb_slice_eq(text, nadb_slice_str(m.making)))
        rc = other(c, text, err);
    if (rc == NADB_OK && !nadb_buf_append(layout, text.p, text.n))
        rc = nadb_fail(err, NADB_NOMEM, "out of memory to open a Redis store");
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

nadb_rc shards_settle(shards *s, nadb_err *err) {
    mark m = mark_of(s);
    nadb_buf layout = NADB_BUF_INIT;
    nadb_rc rc;

    if (atomic_load(&s->settled)) return NADB_OK;
    rc = read_layout(s, s->mark, &layout, err);
    if (rc == NADB_OK &&
        nadb_slice_eq(nadb_buf_slice(&layout), nadb_slice_str(m.here)))
        atomic_store(&s->settled, true);
    nadb_buf_clear(&layout);
    return rc;
}

static nadb_rc is_there(shards *s, unsigned i, bool *there, nadb_err *err) {
    nadb_buf layout = NADB_BUF_INIT;
    nadb_rc rc = read_layout(s, s->parts[i], &layout, err);

    *there = layout.n > 0;
    nadb_buf_clear(&layout);
    return rc;
}

nadb_rc shards_missing(shards *s, unsigned i, nadb_err *err) {
    bool there = false;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    rc = shards_settle(s, err);
    if (rc != NADB_OK || !atomic_load(&s->settled)) return rc;
    /* It may have been made since it was looked for. */
    rc = is_there(s, i, &there, err);
    if (rc != NADB_OK || there) return rc;
    return nadb_fail(err, NADB_IOERR,
                     "redis server %s: shard %u of the store is gone: the "
                     "server has lost its rows (nadb_compact makes an empty "
                     "shard in its place)",
                     s->parts[i]->at.name, i);
}

/* --- making and removing --- */

typedef struct step {
    const char *stays, *from, *also, *to; /* as SCRIPT_MARK has them */
} step;

/* *made is the version of what was made, 0 if there was something; *stayed: the
 * layout did. */
static nadb_rc change(redis_engine *e, step x, uint64_t *made, bool *stayed,
                      nadb_err *err) {
    redisReply *r = NULL;
    conn *c = NULL;
    args a;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *made = 0;
    *stayed = false;
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(e));
    args_text(&a, c->server);
    args_text(&a, x.stays);
    args_text(&a, x.from);
    args_text(&a, x.also);
    args_text(&a, x.to);
    rc = conn_check_name(c, err);
    if (rc == NADB_OK)
        rc = script_call(e->scripts, c, SCRIPT_MARK, &a, &r, err);
    if (rc == NADB_OK && script_says(r, "layout"))
        rc = other(c, nadb_slice_str(SCRIPT_LAYOUT), err);
    else if (rc == NADB_OK && (!script_says(r, "ok") || r->elements != 3))
        rc = conn_confused(c, err);
    if (rc == NADB_OK) {
        *stayed =
            nadb_slice_eq(reply_slice(r->element[1]), nadb_slice_str(x.stays));
        *made = reply_number_or_0(r->element[2]);
        rc = conn_wait(c, err);
    }
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

static nadb_rc make_shard(shards *s, unsigned i, uint64_t *made,
                          nadb_err *err) {
    const step x = {SCRIPT_LAYOUT, SCRIPT_LAYOUT, SCRIPT_LAYOUT, SCRIPT_LAYOUT};
    bool stayed;

    return change(s->parts[i], x, made, &stayed, err);
}

static nadb_rc make_shards(shards *s, shards_view *v, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        redis_view *part = v == NULL ? NULL : v->parts[i];
        uint64_t made;

        rc = make_shard(s, i, &made, err);
        if (rc == NADB_OK && made != 0 && part != NULL && part->known &&
            part->base.seq == 0)
            part->base.seq = made;
    }
    return rc;
}

nadb_rc shards_join(shards *s, shards_view *v, nadb_err *err) {
    mark m = mark_of(s);
    const step begin = {m.here, m.making, m.making, m.making};
    const step end = {m.here, m.making, m.making, m.here};
    uint64_t made;
    bool whole;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    rc = change(s->mark, begin, &made, &whole, err);
    if (rc == NADB_OK && !whole) {
        rc = make_shards(s, v, err);
        if (rc == NADB_OK) rc = change(s->mark, end, &made, &whole, err);
    }
    if (rc == NADB_OK) atomic_store(&s->settled, true);
    return rc;
}

nadb_rc shards_replace_lost(shards *s, nadb_err *err) {
    nadb_rc rc = shards_settle(s, err);

    if (rc != NADB_OK || !atomic_load(&s->settled)) return rc;
    return make_shards(s, NULL, err);
}

static nadb_rc destroy(shards *s, nadb_err *err) {
    mark m = mark_of(s);
    const step begin = {m.going, m.here, m.making, m.going};
    const step end = {"", m.going, m.going, ""};
    uint64_t made;
    bool stayed;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    rc = change(s->mark, begin, &made, &stayed, err);
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        rc = make_shard(s, i, &made, err);
        if (rc == NADB_OK) rc = redis_wipe(s->parts[i], err);
    }
    return rc == NADB_OK ? change(s->mark, end, &made, &stayed, err) : rc;
}

nadb_rc shards_destroy(nadb_engine *engine, nadb_err *err) {
    nadb_rc rc = destroy((shards *)engine, err);

    engine->ops->close(engine);
    return rc;
}

/* --- checking --- */

nadb_rc shards_check_mark(shards *s, nadb_report_fn *report, void *ctx,
                          nadb_err *err) {
    char what[60];
    bool there;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    rc = shards_settle(s, err);
    if (rc != NADB_OK || !atomic_load(&s->settled)) return rc;
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        rc = is_there(s, i, &there, err);
        if (rc != NADB_OK || there) continue;
        snprintf(what, sizeof what, "shard %u: its server has lost it", i);
        report(ctx, what);
    }
    return rc;
}
