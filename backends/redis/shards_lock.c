/* shards_lock.c - the locks of a commit over several shards, in one of them
 * (see shards_commit.c and script_shards.c). */
#include <inttypes.h>

#include "shards.h"

static void add_keys(args *a, const nadb_commit_req *req) {
    nadb_iter *it = req->changes;

    if (req->clear) {
        args_text(a, ""); /* all of them */
        return;
    }
    /* Its entries are in memory: nothing fails. */
    if (nadb_iter_seek(it, nadb_slice_of("", 0), NULL) != NADB_OK) return;
    while (it->valid) {
        args_add(a, nadb_slice_of(it->entry.key.p + 1, it->entry.key.n - 1));
        if (nadb_iter_next(it, NULL) != NADB_OK) return;
    }
}

/* *held: somebody else has one of the keys. */
static nadb_rc lock_once(redis_engine *e, const nadb_commit_req *req,
                         const char *lock, bool *held, nadb_err *err) {
    redisReply *r = NULL;
    conn *c = NULL;
    args a;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *held = false;
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(e));
    args_text(&a, lock);
    redis_add_claim(e, &a, req->claim);
    args_number(&a, SHARDS_LOCK_MS);
    add_keys(&a, req);
    rc = script_call(e->scripts, c, SCRIPT_LOCK, &a, &r, err);
    if (rc == NADB_OK) *held = script_says(r, "held");
    if (rc == NADB_OK && !*held && !script_says(r, "ok"))
        rc = conn_confused(c, err);
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

nadb_rc shards_lock(redis_engine *e, const nadb_commit_req *req,
                    const char *lock, nadb_err *err) {
    int64_t end = nadb_os_get()->mono_ns() + req->timeout_ms * 1000000;

    for (;;) {
        bool held = false;
        nadb_rc rc = lock_once(e, req, lock, &held, err);

        if (rc != NADB_OK || !held) return rc;
        if (nadb_os_get()->mono_ns() > end)
            return nadb_fail(err, NADB_BUSY,
                             "another transaction that changes the same keys "
                             "did not end within %" PRId64 " ms",
                             req->timeout_ms);
        redis_pause();
    }
}

void shards_unlock(redis_engine *e, const nadb_commit_req *req,
                   const char *lock) {
    redisReply *r = NULL;
    conn *c = NULL;
    args a;

    if (pool_take(e->pool, &c, NULL) != NADB_OK) return;
    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(e));
    args_text(&a, lock);
    add_keys(&a, req);
    if (script_call(e->scripts, c, SCRIPT_UNLOCK, &a, &r, NULL) != NADB_OK)
        args_reset(&a); /* they end by their time */
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
}
