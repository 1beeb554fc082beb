/* shards_lock.c - the locks of a commit over several shards, in one of them
 * (see shards_commit.c). */
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

/* `id`: SCRIPT_LOCK or SCRIPT_UNCLAIM. Both may be done twice: when the
 * connection is lost it is sent once more, or locks would stay for their whole
 * time. */
static nadb_rc call(redis_engine *e, script_id id, const nadb_commit_req *req,
                    const char *lock, redisReply **out, nadb_err *err) {
    conn *c = NULL;
    args a;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    for (int attempt = 0; attempt < 2; attempt++) {
        script_begin(&a, redis_prefix(e));
        args_text(&a, lock);
        if (id == SCRIPT_LOCK) {
            redis_add_claim(e, &a, req->claim);
            args_number(&a, SHARDS_LOCK_MS);
        }
        add_keys(&a, req);
        rc = script_call(e->scripts, c, id, &a, out, err);
        if (rc == NADB_OK || conn_is_open(c) || attempt == 1) break;
        freeReplyObject(*out);
        *out = NULL;
        if (pool_reopen(e->pool, c, NULL) != NADB_OK) break;
    }
    if (rc == NADB_OK && !script_says(*out, "ok") && !script_says(*out, "held"))
        rc = conn_confused(c, err);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

nadb_rc shards_lock(redis_engine *e, const nadb_commit_req *req,
                    const char *lock, nadb_err *err) {
    int64_t end = nadb_os_get()->mono_ns() + req->timeout_ms * 1000000;

    for (;;) {
        redisReply *r = NULL;
        nadb_rc rc = call(e, SCRIPT_LOCK, req, lock, &r, err);
        bool held = rc == NADB_OK && script_says(r, "held");

        freeReplyObject(r);
        if (rc != NADB_OK || !held) return rc;
        if (nadb_os_get()->mono_ns() > end)
            return nadb_fail(err, NADB_BUSY,
                             "another transaction that changes the same keys "
                             "did not end within %" PRId64 " ms",
                             req->timeout_ms);
        redis_pause();
    }
}

nadb_rc shards_unlock(redis_engine *e, const nadb_commit_req *req,
                      const char *lock, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = call(e, SCRIPT_UNCLAIM, req, lock, &r, err);

    freeReplyObject(r);
    return rc;
}
