/* shards_mark.c - the mark: how many shards a store has, in one place.
 *
 * The mark is the `layout` in `meta` of the store's name without a shard, where
 * a store without shards has its own. So a client that opens the store with
 * another number of shards, or without, is refused at its first read or write:
 *
 *   <layout>/<N>   it has N shards
 *   <layout>/<N>+  they are being made, or their maker has died: a client that
 *                  wants to write continues the work
 *   <layout>/<N>-  they are being removed: no client makes any
 *
 * A process reads the mark once. Others may destroy the store and make it again
 * with another number of shards. So a shard refuses commits unless it was made
 * under the mark, and a client that finds a shard missing reads the mark again.
 * If the mark is complete and a shard is missing, its server has lost it; that
 * is an error, not an empty result. */
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

/* Fails: the mark differs from our options. */
static nadb_rc other(const char *server, nadb_slice layout, nadb_err *err) {
    nadb_rc rc = script_layout(server, layout, err);

    if (rc != NADB_OK) return rc;
    return nadb_fail(err, NADB_CANTOPEN,
                     "redis server %s: the store is not divided into shards: "
                     "leave option shards out",
                     server);
}

/* --- looking --- */

/* *is: a shard exists; or, if `e` has the mark, the mark says that all do. */
static nadb_rc look(shards *s, redis_engine *e, const nadb_caller *caller,
                    bool *is, nadb_err *err) {
    mark m = mark_of(s);
    redisReply *r = NULL;
    nadb_slice text;
    conn *c = NULL;
    patience until;
    args a;
    nadb_rc rc;

    *is = false;
    patience_begin(&until, e->at.timeout_ms, caller);
    rc = pool_take_for(e->pool, &until, &c, err);
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    args_text(&a, "HMGET");
    args_join(&a, redis_prefix(e), nadb_slice_str("meta"));
    args_text(&a, "layout");
    rc = conn_call(c, &a, &r, err);
    if (rc == NADB_OK && !reply_is_array(r, 1)) rc = conn_confused(c, err);
    text = reply_slice(rc == NADB_OK ? r->element[0] : NULL);
    *is = text.n > 0;
    if (e == s->mark && *is) {
        *is = nadb_slice_eq(text, nadb_slice_str(m.here));
        if (!*is && !nadb_slice_eq(text, nadb_slice_str(m.making)))
            rc = other(conn_name(c), text, err);
    }
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

nadb_rc shards_settle(shards *s, const nadb_caller *caller, nadb_err *err) {
    bool is = false;
    nadb_rc rc = NADB_OK;

    if (atomic_load(&s->settled)) return NADB_OK;
    rc = look(s, s->mark, caller, &is, err);
    if (rc == NADB_OK && is) atomic_store(&s->settled, true);
    return rc;
}

nadb_rc shards_missing(shards *s, unsigned i, nadb_err *err) {
    bool is = false;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    rc = shards_settle(s, NULL, err);
    if (rc != NADB_OK || !atomic_load(&s->settled)) return rc;
    /* Another client may have made it meanwhile. */
    rc = look(s, s->parts[i], NULL, &is, err);
    if (rc != NADB_OK || is) return rc;
    return nadb_fail(err, NADB_IOERR,
                     "redis server %s: shard %u of the store is gone: the "
                     "server has lost its rows (nadb_compact makes an empty "
                     "shard in its place)",
                     s->parts[i]->at.name, i);
}

nadb_rc shards_check_mark(shards *s, nadb_report_fn *report, void *ctx,
                          nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        nadb_err why;

        nadb_err_clear(&why);
        rc = shards_missing(s, i, &why);
        if (rc == NADB_IOERR && atomic_load(&s->settled)) {
            report(ctx, why.msg);
            rc = NADB_OK;
        } else if (rc != NADB_OK && err != NULL) {
            *err = why;
        }
    }
    return rc;
}

/* --- making and removing --- */

/* Replaces `from`, `also` or nothing ("": nothing) by `to`, but keeps `stays`:
 * then *stayed. *made: the version of a shard that was made, or 0. */
static nadb_rc change(redis_engine *e, const char *const names[4],
                      uint64_t *made, bool *stayed, nadb_err *err) {
    const char *const texts[] = {"$",      names[0], names[1],
                                 names[2], names[3], NULL};
    redisReply *r = NULL;
    nadb_rc rc = script_run(e->scripts, e->pool, redis_prefix(e), SCRIPT_MARK,
                            texts, &r, err);

    *made = 0;
    *stayed = false;
    if (rc == NADB_OK && script_says(r, "layout"))
        rc = other(e->at.name, nadb_slice_str(SCRIPT_LAYOUT), err);
    if (rc == NADB_OK && script_says(r, "ok") && r->elements == 3) {
        *stayed =
            nadb_slice_eq(reply_slice(r->element[1]), nadb_slice_str(names[0]));
        *made = reply_number_or_0(r->element[2]);
    }
    freeReplyObject(r);
    return rc;
}

/* Makes missing shards. Those that `v` (may be NULL) has found missing then
 * count as empty for it. */
static nadb_rc make_shards(shards *s, shards_view *v, nadb_err *err) {
    static const char *const names[] = {SCRIPT_LAYOUT, SCRIPT_LAYOUT,
                                        SCRIPT_LAYOUT, SCRIPT_LAYOUT};
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        redis_view *part = v == NULL ? NULL : v->parts[i];
        uint64_t made;
        bool stayed;

        rc = change(s->parts[i], names, &made, &stayed, err);
        if (rc == NADB_OK && made != 0 && part != NULL && part->known &&
            part->base.seq == 0)
            part->base.seq = made;
    }
    return rc;
}

nadb_rc shards_join(shards *s, shards_view *v, nadb_err *err) {
    mark m = mark_of(s);
    const char *const begin[] = {m.here, m.making, m.making, m.making};
    const char *const end[] = {m.here, m.making, m.making, m.here};
    uint64_t made;
    bool whole;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    rc = change(s->mark, begin, &made, &whole, err);
    if (rc == NADB_OK && !whole) rc = make_shards(s, v, err);
    if (rc == NADB_OK && !whole) rc = change(s->mark, end, &made, &whole, err);
    if (rc == NADB_OK) atomic_store(&s->settled, true);
    return rc;
}

nadb_rc shards_replace_lost(shards *s, nadb_err *err) {
    nadb_rc rc = shards_settle(s, NULL, err);

    if (rc != NADB_OK || !atomic_load(&s->settled)) return rc;
    return make_shards(s, NULL, err);
}

nadb_rc shards_destroy(nadb_engine *engine, nadb_err *err) {
    shards *s = (shards *)engine;
    mark m = mark_of(s);
    const char *const begin[] = {m.going, m.here, m.making, m.going};
    const char *const end[] = {"", m.going, m.going, ""};
    patience_operation o;
    uint64_t made;
    bool stayed;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    patience_operation_begin(&o);
    rc = change(s->mark, begin, &made, &stayed, err);
    if (rc == NADB_OK) rc = make_shards(s, NULL, err);
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++)
        rc = redis_wipe(s->parts[i], err);
    if (rc == NADB_OK) rc = change(s->mark, end, &made, &stayed, err);
    patience_operation_end(&o);
    engine->ops->close(engine);
    return rc;
}
