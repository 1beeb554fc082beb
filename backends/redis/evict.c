/* evict.c - keeps a store below a size (options max_size_mb, eviction).
 * core/kv/limits.c chooses the rows. The server refuses commits that are too
 * large, and removes the rows unless they were written meanwhile, because only
 * it knows about other clients. */
#include <inttypes.h>

#include "feed.h"

#define ROWS_A_CALL 200u

static void set_limit(nadb_engine *engine, uint64_t bytes_max, bool refuses) {
    redis_engine *e = (redis_engine *)engine;

    nadb_lock(&e->lock);
    e->limit = refuses ? bytes_max : 0;
    nadb_unlock(&e->lock);
}

uint64_t redis_limit_of(redis_engine *e) {
    uint64_t limit;

    nadb_lock(&e->lock);
    limit = e->limit;
    nadb_unlock(&e->lock);
    return limit;
}

nadb_rc redis_full(uint64_t limit, const redisReply *r, nadb_err *err) {
    const redisReply *has = r->elements > 1 ? r->element[1] : NULL;

    return nadb_fail(err, NADB_FULL,
                     "the store, or the shard of these rows, has %" PRIu64
                     " bytes without the transaction, and option max_size_mb "
                     "allows %" PRIu64
                     ": delete rows, raise it, or name an eviction",
                     reply_number_or_0(has), limit);
}

/* Takes the answer: what a call has removed. */
static nadb_rc take(conn *c, const redisReply *r, size_t most, uint64_t *rows,
                    uint64_t *bytes, nadb_err *err) {
    if (!script_says(r, "ok") || r->elements != 3 ||
        r->element[1]->type != REDIS_REPLY_INTEGER ||
        r->element[2]->type != REDIS_REPLY_INTEGER ||
        r->element[1]->integer < 0 ||
        r->element[1]->integer > (long long)most || r->element[2]->integer < 0)
        return conn_confused(c, err);
    *rows += (uint64_t)r->element[1]->integer;
    *bytes += (uint64_t)r->element[2]->integer;
    return NADB_OK;
}

/* Each shard of a store gets the whole list, and removes the rows that belong
 * to it. */
static nadb_rc evict(nadb_engine *engine, const nadb_victim *list, size_t n,
                     uint64_t *rows, uint64_t *bytes, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    patience_operation o;
    conn *c = NULL;
    args a;
    nadb_rc rc = NADB_OK;

    memset(&a, 0, sizeof a);
    patience_operation_begin(&o);
    for (size_t i = 0; i < n && rc == NADB_OK;) {
        redisReply *r = NULL;
        size_t most = 0;

        script_begin(&a, redis_prefix(e));
        for (; i < n && most < ROWS_A_CALL; i++) {
            if (redis_home(e, list[i].key) != e->shard) continue;
            args_add(&a, list[i].key);
            args_number(&a, list[i].updated_ms);
            most++;
        }
        if (most == 0) break;
        if (c == NULL) rc = pool_take(e->pool, &c, err);
        if (rc == NADB_OK)
            rc = script_call(e->scripts, c, SCRIPT_EVICT, &a, &r, err);
        if (rc == NADB_OK) rc = take(c, r, most, rows, bytes, err);
        freeReplyObject(r);
    }
    pool_give(e->pool, c);
    patience_operation_end(&o);
    args_clear(&a);
    return rc;
}

const nadb_limit_ops redis_limit = {set_limit, evict};
