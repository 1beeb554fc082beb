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
#include "shards.h"

/* Calls mark.lua with these arguments, ended by NULL. *is (may be NULL): the
 * layout is the second of them, so nothing was changed. */
static nadb_rc call(redis_engine *e, const nadb_caller *caller,
                    const char *const texts[], bool *is, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = script_run(e->scripts, e->pool, caller, redis_prefix(e),
                            SCRIPT_MARK, texts, &r, err);

    if (is != NULL) *is = rc == NADB_OK && script_says(r, "is");
    /* Another layout than ours is an error already. */
    if (rc == NADB_OK && script_says(r, "layout"))
        rc = nadb_fail(err, NADB_CANTOPEN,
                       "redis server %s: the store is not divided into shards: "
                       "leave option shards out",
                       e->at.name);
    freeReplyObject(r);
    return rc;
}

/* --- looking --- */

nadb_rc shards_settle(shards *s, const nadb_caller *caller, nadb_err *err) {
    const char *const texts[] = {"$", s->here, s->making, NULL};
    bool is = false;
    nadb_rc rc = NADB_OK;

    if (atomic_load(&s->settled)) return NADB_OK;
    rc = call(s->mark, caller, texts, &is, err);
    if (is) atomic_store(&s->settled, true);
    return rc;
}

nadb_rc shards_missing(shards *s, unsigned i, nadb_err *err) {
    static const char *const texts[] = {"$", SCRIPT_LAYOUT, NULL};
    bool is = false;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    rc = shards_settle(s, NULL, err);
    if (rc != NADB_OK || !atomic_load(&s->settled)) return rc;
    /* Another client may have made it meanwhile. */
    rc = call(s->parts[i], NULL, texts, &is, err);
    if (rc != NADB_OK || is) return rc;
    return nadb_fail(err, NADB_IOERR,
                     "redis server %s: shard %u of the store is gone: the "
                     "server has lost its rows (nadb_compact makes an empty "
                     "shard in its place)",
                     s->parts[i]->at.name, i);
}

/* --- making and removing --- */

nadb_rc shards_make(redis_engine *e, nadb_err *err) {
    static const char *const texts[] = {"$", SCRIPT_LAYOUT, "",
                                        "",  SCRIPT_LAYOUT, NULL};

    return call(e, NULL, texts, NULL, err);
}

nadb_rc shards_join(shards *s, nadb_err *err) {
    const char *const begin[] = {"$", s->here, s->making, "", s->making, NULL};
    const char *const end[] = {"$", s->here, s->making, "", s->here, NULL};
    bool whole;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    rc = call(s->mark, NULL, begin, &whole, err);
    for (unsigned i = 0; i < s->n && rc == NADB_OK && !whole; i++)
        rc = shards_make(s->parts[i], err);
    if (rc == NADB_OK && !whole) rc = call(s->mark, NULL, end, NULL, err);
    if (rc == NADB_OK) atomic_store(&s->settled, true);
    return rc;
}

nadb_rc shards_destroy(nadb_engine *engine, nadb_err *err) {
    shards *s = (shards *)engine;
    const char *const begin[] = {"$",       s->going, s->here,
                                 s->making, s->going, NULL};
    const char *const end[] = {"$", "", s->going, "", "", NULL};
    patience_operation o;
    nadb_rc rc;

    atomic_store(&s->settled, false);
    patience_operation_begin(&o);
    rc = call(s->mark, NULL, begin, NULL, err);
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        rc = shards_make(s->parts[i], err);
        if (rc == NADB_OK) rc = redis_wipe(s->parts[i], err);
    }
    if (rc == NADB_OK) rc = call(s->mark, NULL, end, NULL, err);
    patience_operation_end(&o);
    engine->ops->close(engine);
    return rc;
}
