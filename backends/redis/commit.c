/* commit.c - a commit is one script in one round trip.
 *
 * prepare() sends what was read and what is changed; the script checks and
 * applies it, all or nothing, and answers with the rows that were there
 * before. From then on everybody sees the changes: the server knows no doubt.
 * commit() has nothing left to do. rollback() puts the old rows back, provided
 * that nobody has changed them since; if somebody has, it fails and says so.
 *
 * A clear gives the store a new generation, which is part of the rows' names:
 * it costs the same for any number of rows, and can be taken back. The old
 * rows are removed afterwards, in small steps. */
#include <inttypes.h>
#include <stdio.h>

#include "../../core/util/coding.h"
#include "engine.h"

/* Steps of removal after a clear, before the rest is left to later commits. */
#define CLEAN_STEPS 200

/* What a commit is made of, gathered before a connection is taken. */
typedef struct parts {
    args keys;    /* that were read */
    args ranges;  /* lo and hi of each */
    args changes; /* as the script wants them */
    args all;     /* of the script */
    size_t n_ranges, n_changes;
    bool puts;
    bool plain;       /* the last put has neither tags nor expiry */
    const char *lock; /* NULL: none */
    nadb_buf scratch;
} parts;

/* Used again when it was small: a commit of a row then allocates nothing. */
struct nadb_ticket {
    redisReply *reply; /* of the commit script; NULL: lost */
    redis_view *view;  /* of the transaction; may be NULL */
    uint64_t version;
    bool clear;
    size_t count;
    nadb_buf keys; /* each change: op 'p' or 'd', blob key */
    parts parts;
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a commit to Redis");
}

static void parts_clear(parts *p) {
    args_clear(&p->keys);
    args_clear(&p->ranges);
    args_clear(&p->changes);
    args_clear(&p->all);
    nadb_buf_clear(&p->scratch);
}

static void parts_reset(parts *p) {
    args_reset(&p->keys);
    args_reset(&p->ranges);
    args_reset(&p->changes);
    args_reset(&p->all);
    nadb_buf_reset(&p->scratch);
    p->n_ranges = p->n_changes = 0;
    p->puts = p->plain = false;
    p->lock = NULL;
}

void redis_ticket_free(nadb_ticket *t) {
    if (t == NULL) return;
    parts_clear(&t->parts);
    nadb_buf_clear(&t->keys);
    nadb_free(t);
}

#define TICKET_KEPT (64u << 10)

/* Keeps it for the next commit. */
static void ticket_drop(redis_engine *e, nadb_ticket *t) {
    if (t == NULL) return;
    freeReplyObject(t->reply);
    t->reply = NULL;
    if (t->keys.cap <= TICKET_KEPT && t->parts.all.bytes <= TICKET_KEPT) {
        nadb_lock(&e->lock);
        if (e->spare == NULL) {
            e->spare = t;
            t = NULL;
        }
        nadb_unlock(&e->lock);
    }
    redis_ticket_free(t);
}

static nadb_ticket *ticket_new(redis_engine *e) {
    nadb_ticket *t;

    nadb_lock(&e->lock);
    t = e->spare;
    e->spare = NULL;
    nadb_unlock(&e->lock);
    if (t == NULL) return nadb_calloc(1, sizeof *t);
    parts_reset(&t->parts);
    nadb_buf_reset(&t->keys);
    t->view = NULL;
    t->version = 0;
    t->clear = false;
    t->count = 0;
    return t;
}

/* --- building --- */

static void add_reads(parts *p, const nadb_commit_req *req) {
    for (size_t i = 0; i < req->n_reads; i++) {
        const nadb_range *r = &req->reads[i];
        nadb_slice lo, hi;

        if (!redis_range(NADB_KS_ROW, r->lo, r->hi, &lo, &hi)) continue;
        if (hi.p != NULL && hi.n == lo.n + 1 && hi.p[lo.n] == 0 &&
            nadb_slice_starts(hi, lo)) {
            args_add(&p->keys, lo);
            continue;
        }
        args_add(&p->ranges, lo);
        args_add(&p->ranges, hi);
        p->n_ranges++;
    }
}

/* Bytes of an entry that stay where they are until the commit is sent. */
static nadb_slice stable(args *a, nadb_slice s, bool pinned) {
    uint8_t *copy;

    if (pinned) return s;
    copy = nadb_arena_alloc(&a->memory, s.n + 1);
    if (copy == NULL) {
        a->failed = true;
        return nadb_slice_of("", 0);
    }
    if (s.n > 0) memcpy(copy, s.p, s.n);
    return nadb_slice_of(copy, s.n);
}

static nadb_rc add_change(nadb_ticket *t, const nadb_entry *x, nadb_err *err) {
    parts *p = &t->parts;
    bool pinned = (x->flags & NADB_ENTRY_PINNED) != 0;
    bool drop = (x->flags & NADB_ENTRY_TOMBSTONE) != 0;
    nadb_slice key;

    if (x->key.n == 0 || x->key.p[0] != NADB_KS_ROW) return NADB_OK;
    key = stable(&p->changes, x->key, pinned);
    if (p->changes.failed) return no_memory(err);
    key = nadb_slice_of(key.p + 1, key.n - 1);
    if ((x->flags & NADB_ENTRY_READ) != 0) args_add(&p->keys, key);
    if (!nadb_buf_byte(&t->keys, drop ? 'd' : 'p') ||
        !nadb_buf_blob(&t->keys, key))
        return no_memory(err);
    p->n_changes++;
    if (drop) {
        args_text(&p->changes, "d");
        args_add(&p->changes, key);
        return NADB_OK;
    }
    p->puts = true;
    return record_put(&p->changes, key, stable(&p->changes, x->value, pinned),
                      &p->scratch, &p->plain, err);
}

static nadb_rc gather(nadb_ticket *t, const nadb_commit_req *req,
                      nadb_err *err) {
    nadb_iter *it = req->changes;
    parts *p = &t->parts;
    nadb_rc rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);

    add_reads(p, req);
    for (; rc == NADB_OK && it->valid; rc = nadb_iter_next(it, err)) {
        rc = add_change(t, &it->entry, err);
        if (rc != NADB_OK) break;
    }
    t->count = p->n_changes;
    if (rc == NADB_OK &&
        (p->keys.failed || p->ranges.failed || p->changes.failed))
        rc = no_memory(err);
    return rc;
}

/* ",1,2,": the versions that the view's own transaction has made and taken
 * back. */
static void add_own(args *a, const redis_view *v) {
    char text[REDIS_OWN_MAX * 22 + 2] = "";
    size_t n = 0;

    for (unsigned i = 0; v != NULL && i < v->n_own; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%" PRIu64 ",",
                              n == 0 ? "," : "", v->own[i]);
    args_copy(a, nadb_slice_of(text, n));
}

/* Whether the script's short form will do: one put without tags and expiry, and
 * nothing read but its key. */
static bool is_short(const parts *p, const nadb_commit_req *req) {
    const redis_view *v = (const redis_view *)req->view;

    if (p->lock != NULL || req->clear || req->reads_all || req->claim != 0 ||
        p->n_ranges > 0 || p->n_changes != 1 || !p->puts || !p->plain ||
        p->keys.n > 1 || (v != NULL && v->n_own > 0))
        return false;
    return p->keys.n == 0 ||
           nadb_slice_eq(args_get(&p->keys, 0), args_get(&p->changes, 1));
}

/* Behind the version: key, value and rest of the meta. */
static void add_short(args *a, const parts *p) {
    args_text(a, p->keys.n > 0 ? "r" : "s");
    for (size_t i = 1; i <= 3; i++) args_add(a, args_get(&p->changes, i));
}

/* Behind the version, in the long form. */
static void add_long(redis_engine *e, args *a, const parts *p,
                     const nadb_commit_req *req) {
    bool all = req->reads_all || p->n_ranges > REDIS_RANGES_MAX;
    char flags[4];
    size_t n = 0;

    if (req->clear) flags[n++] = 'c';
    if (all) flags[n++] = 'a';
    if (!p->puts) flags[n++] = 'd';
    args_copy(a, nadb_slice_of(flags, n));
    if (p->lock == NULL) {
        redis_add_claim(e, a, req->claim);
    } else {
        args_text(a, p->lock);
        args_text(a, "");
    }
    args_number(a, (int64_t)p->keys.n);
    args_number(a, all ? 0 : (int64_t)p->n_ranges);
    args_number(a, (int64_t)p->n_changes);
    add_own(a, (const redis_view *)req->view);
    args_append(a, &p->keys);
    if (!all) args_append(a, &p->ranges);
    args_append(a, &p->changes);
}

/* Everything behind the deadline, as lua/commit.lua has it. */
static void add_parts(redis_engine *e, args *a, const parts *p,
                      const nadb_commit_req *req) {
    const redis_view *v = (const redis_view *)req->view;

    /* A view that has read nothing has decided nothing; who holds a lock has
     * looked. */
    if (v != NULL && v->known && p->lock == NULL)
        args_number(a, (int64_t)v->base.seq);
    else
        args_text(a, "");
    if (is_short(p, req))
        add_short(a, p);
    else
        add_long(e, a, p, req);
}

/* --- answers --- */

static nadb_rc conflict(const redisReply *r, nadb_err *err) {
    nadb_slice key = reply_slice(r->elements > 1 ? r->element[1] : NULL);

    if (r->elements > 2)
        return nadb_fail(err, NADB_CONFLICT,
                         "commits that this transaction has seen are lost: a "
                         "replica has taken over, or the redis server was "
                         "started again, without them");
    if (key.n == 0)
        return nadb_fail(err, NADB_CONFLICT,
                         "another transaction has committed, and this one "
                         "began too long ago or read too much to tell whether "
                         "that matters");
    return nadb_fail(err, NADB_CONFLICT,
                     "another transaction changed key '%.*s'",
                     key.n > 200 ? 200 : (int)key.n, (const char *)key.p);
}

/* The answer to the short form has no list of rows. */
static bool is_short_answer(const redisReply *r) {
    return r->elements == 2 || r->elements == 4;
}

static bool fits(const nadb_ticket *t, const redisReply *r) {
    int64_t version;

    if (r->elements < 2 || !reply_number(r->element[1], &version)) return false;
    if (is_short_answer(r)) return t->count == 1 && !t->clear;
    return r->elements == 5 && reply_is_array(r->element[4], t->count);
}

/* Takes the answer of a commit; *wait: a claim is in its way. */
static nadb_rc take_answer(conn *c, nadb_ticket *t, redisReply *r, bool *wait,
                           nadb_err *err) {
    *wait = false;
    if (script_says(r, "claimed")) {
        *wait = true;
        return NADB_OK;
    }
    if (script_says(r, "conflict")) return conflict(r, err);
    if (script_says(r, "leased")) return redis_leased(c, r, err);
    if (!script_says(r, "ok") || !fits(t, r)) return conn_confused(c, err);
    t->version = reply_number_or_0(r->element[1]);
    return NADB_OK;
}

static nadb_rc try_once(redis_engine *e, const nadb_commit_req *req,
                        nadb_ticket *t, bool *wait, bool *done, nadb_err *err) {
    args *a = &t->parts.all;
    redisReply *r = NULL;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *wait = *done = false;
    if (rc != NADB_OK) return rc;
    redis_once_begin(e, c, a);
    add_parts(e, a, &t->parts, req);
    rc = redis_once(e, c, SCRIPT_COMMIT, a, &r, &t->version, err);
    if (rc == NADB_OK && r != NULL) rc = take_answer(c, t, r, wait, err);
    if (rc == NADB_OK && !*wait) {
        t->reply = r;
        r = NULL;
        rc = conn_wait(c, err);
        *done = true;
    }
    freeReplyObject(r);
    pool_give(e->pool, c);
    return rc;
}

nadb_rc redis_check_size(const nadb_commit_req *req, nadb_err *err) {
    if (req->count <= REDIS_COMMIT_KEYS && req->bytes <= REDIS_COMMIT_BYTES)
        return NADB_OK;
    return nadb_fail(err, NADB_TOOBIG,
                     "the transaction changes %zu keys with %zu bytes: on "
                     "Redis at most %u keys and %u MB can be committed at once",
                     req->count, req->bytes, REDIS_COMMIT_KEYS,
                     REDIS_COMMIT_BYTES >> 20);
}

static nadb_rc undo(redis_engine *e, const nadb_ticket *t, nadb_err *err);

/* A commit that too few replicas have acknowledged is taken back; *err says
 * why, and what has become of it is added. */
static nadb_rc take_back(redis_engine *e, const nadb_ticket *t, nadb_err *err) {
    nadb_err why, first;

    nadb_err_clear(&first);
    nadb_err_clear(&why);
    if (err != NULL) first = *err;
    if (undo(e, t, &why) == NADB_OK)
        return nadb_fail(err, NADB_IOERR, "%s; it was taken back", first.msg);
    return nadb_fail(err, NADB_IOERR,
                     "%s; it is done all the same, but a failover may lose it: "
                     "taking it back failed (%s)",
                     first.msg, why.msg);
}

/* Whatever has become of the changes: what was read before says nothing. */
static void forget_changes(redis_engine *e, const nadb_ticket *t) {
    nadb_reader keys = nadb_reader_of(nadb_buf_slice(&t->keys));

    if (t->clear) cache_forget_all(&e->cache);
    for (size_t i = 0; i < t->count; i++) {
        (void)nadb_read_u8(&keys);
        cache_forget(&e->cache, nadb_read_blob(&keys));
    }
}

nadb_rc redis_prepare_locked(nadb_engine *engine, const nadb_commit_req *req,
                             const char *lock, nadb_ticket **out,
                             nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    int64_t end = nadb_os_get()->mono_ns() + req->timeout_ms * 1000000;
    nadb_ticket *t = NULL;
    bool wait = false, done = false;
    nadb_rc rc = redis_check_size(req, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    t = ticket_new(e);
    if (t == NULL) return no_memory(err);
    t->clear = req->clear;
    t->view = (redis_view *)req->view;
    t->parts.lock = lock;
    rc = gather(t, req, err);
    while (rc == NADB_OK) {
        rc = try_once(e, req, t, &wait, &done, err);
        if (rc != NADB_OK || !wait) break;
        if (nadb_os_get()->mono_ns() > end)
            rc = nadb_fail(err, NADB_BUSY,
                           "another transaction that changes the same keys "
                           "did not end within %" PRId64 " ms",
                           req->timeout_ms);
        else
            redis_pause();
    }
    forget_changes(e, t);
    if (rc == NADB_OK) {
        redis_claim_released(e, req->claim);
        nadb_lock(&e->lock);
        e->commits++;
        nadb_unlock(&e->lock);
        *out = t;
        t = NULL;
    } else if (done) {
        rc = take_back(e, t, err);
        forget_changes(e, t);
    }
    ticket_drop(e, t);
    return rc;
}

nadb_rc redis_prepare(nadb_engine *engine, const nadb_commit_req *req,
                      nadb_ticket **out, nadb_err *err) {
    return redis_prepare_locked(engine, req, NULL, out, err);
}

/* --- looking without changing --- */

nadb_rc redis_validate(nadb_engine *engine, const nadb_commit_req *req,
                       const char *lock, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    redisReply *r = NULL;
    conn *c = NULL;
    parts p;
    args a;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    memset(&p, 0, sizeof p);
    memset(&a, 0, sizeof a);
    p.lock = lock;
    add_reads(&p, req);
    script_begin(&a, redis_prefix(e));
    for (int i = 0; i < 4; i++) args_text(&a, ""); /* it changes nothing */
    args_number(&a, (int64_t)req->view->seq);
    add_long(e, &a, &p, req);
    rc = script_call(e->scripts, c, SCRIPT_VALIDATE, &a, &r, err);
    if (rc == NADB_OK &&
        (script_says(r, "conflict") || script_says(r, "claimed")))
        rc = conflict(r, err);
    else if (rc == NADB_OK && !script_says(r, "ok"))
        rc = conn_confused(c, err);
    freeReplyObject(r);
    args_clear(&a);
    parts_clear(&p);
    pool_give(e->pool, c);
    return rc;
}

/* --- the second half --- */

void redis_commit(nadb_engine *engine, nadb_ticket *t) {
    redis_engine *e = (redis_engine *)engine;
    conn *c = NULL;

    /* Nothing that fails here matters: later commits go on with it. */
    if (t->clear && t->reply != NULL &&
        pool_take(e->pool, &c, NULL) == NADB_OK) {
        (void)redis_clean(e, c, reply_slice(t->reply->element[3]), 0,
                          CLEAN_STEPS, NULL, NULL);
        pool_give(e->pool, c);
    }
    ticket_drop(e, t);
}

/* Clears, so that others see all go at once; then removes, step by step. */
static nadb_rc wipe(redis_engine *e, conn *c, nadb_err *err) {
    nadb_commit_req req;
    redisReply *r = NULL;
    uint64_t version;
    parts p;
    args a;
    nadb_rc rc;

    memset(&req, 0, sizeof req);
    memset(&p, 0, sizeof p);
    memset(&a, 0, sizeof a);
    req.clear = true;
    redis_once_begin(e, c, &a);
    add_parts(e, &a, &p, &req);
    rc = redis_once(e, c, SCRIPT_COMMIT, &a, &r, &version, err);
    if (rc == NADB_OK && script_says(r, "leased")) rc = redis_leased(c, r, err);
    freeReplyObject(r);
    r = NULL;
    if (rc == NADB_OK)
        rc = redis_clean(e, c, nadb_slice_of(NULL, 0), 0, SIZE_MAX, NULL, err);
    if (rc == NADB_OK) {
        script_begin(&a, redis_prefix(e));
        rc = script_call(e->scripts, c, SCRIPT_WIPE, &a, &r, err);
        if (rc == NADB_OK && script_says(r, "more"))
            rc = nadb_fail(err, NADB_LOCKED,
                           "redis server %s: somebody writes to the store",
                           conn_name(c));
        freeReplyObject(r);
    }
    args_clear(&a);
    parts_clear(&p);
    return rc;
}

nadb_rc redis_wipe(redis_engine *e, nadb_err *err) {
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc == NADB_OK) {
        rc = wipe(e, c, err);
        pool_give(e->pool, c);
    }
    return rc;
}

nadb_rc redis_destroy(nadb_engine *engine, nadb_err *err) {
    nadb_rc rc = redis_wipe((redis_engine *)engine, err);

    redis_close(engine);
    return rc;
}

/* --- taking back --- */

/* Adds the row that was there before; meta NULL: none. */
static void add_old(args *a, const redisReply *meta, const redisReply *value,
                    const redisReply *tags) {
    if (meta == NULL) {
        args_text(a, "0");
        return;
    }
    args_text(a, "1");
    args_add(a, reply_slice(meta));
    args_add(a, reply_slice(value));
    args_add(a, reply_slice(tags));
    args_add(a, record_expiry(reply_slice(meta)));
}

/* The row that was there before the i-th change. */
static void add_old_of(args *a, const redisReply *answer, size_t i) {
    const redisReply *row;

    if (is_short_answer(answer)) {
        bool none = answer->elements == 2;

        add_old(a, none ? NULL : answer->element[2],
                none ? NULL : answer->element[3], NULL);
        return;
    }
    row = answer->element[4]->element[i];
    if (reply_is_array(row, 3))
        add_old(a, row->element[0], row->element[1], row->element[2]);
    else
        add_old(a, NULL, NULL, NULL);
}

static void add_undo(args *a, const nadb_ticket *t) {
    nadb_reader keys = nadb_reader_of(nadb_buf_slice(&t->keys));

    args_number(a, (int64_t)t->version);
    args_add(a, t->clear ? reply_slice(t->reply->element[3])
                         : nadb_slice_of(NULL, 0));
    args_number(a, (int64_t)t->count);
    for (size_t i = 0; i < t->count; i++) {
        args_text(a, nadb_read_u8(&keys) == 'd' ? "d" : "p");
        args_add(a, nadb_read_blob(&keys));
        add_old_of(a, t->reply, i);
    }
}

static uint64_t version_before(const nadb_ticket *t) {
    return is_short_answer(t->reply) ? t->version - 1
                                     : reply_number_or_0(t->reply->element[2]);
}

/* The transaction may go on and commit again: what it has done and taken back
 * itself is no conflict for it. */
static void forgive(const nadb_ticket *t, uint64_t undo, uint64_t before) {
    redis_view *v = t->view;

    if (v == NULL || !v->known) return;
    if (before == t->version && version_before(t) == v->base.seq) {
        v->base.seq = undo; /* nobody else was there */
    } else if (v->n_own + 2 <= REDIS_OWN_MAX) {
        v->own[v->n_own++] = t->version;
        v->own[v->n_own++] = undo;
    }
}

static nadb_rc undo(redis_engine *e, const nadb_ticket *t, nadb_err *err) {
    static const char kept[] =
        "the transaction was rolled back here, but its changes stay on the "
        "server";
    redisReply *r = NULL;
    uint64_t version;
    conn *c = NULL;
    args a;
    nadb_rc rc;

    if (t->reply == NULL)
        return nadb_fail(err, NADB_IOERR,
                         "redis server %s: %s: the connection broke while "
                         "they were made",
                         e->at.name, kept);
    rc = pool_take(e->pool, &c, err);
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    redis_once_begin(e, c, &a);
    add_undo(&a, t);
    rc = redis_once(e, c, SCRIPT_UNDO, &a, &r, &version, err);
    if (rc == NADB_OK && script_says(r, "ok") && r->elements == 3)
        forgive(t, reply_number_or_0(r->element[1]),
                reply_number_or_0(r->element[2]));
    else if (rc == NADB_OK && r != NULL && !script_says(r, "gone"))
        rc = nadb_fail(err, NADB_IOERR,
                       "redis server %s: %s: another client has changed the "
                       "same keys meanwhile",
                       conn_name(c), kept);
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

nadb_rc redis_rollback(nadb_engine *engine, nadb_ticket *t, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    nadb_rc rc = undo(e, t, err);

    forget_changes(e, t);
    if (rc == NADB_OK) {
        nadb_lock(&e->lock);
        e->undone++;
        nadb_unlock(&e->lock);
    }
    ticket_drop(e, t);
    return rc;
}
