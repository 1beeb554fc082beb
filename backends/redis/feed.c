/* feed.c - committed changes, for keep_changes: a stream on the server, to
 * which every script that changes rows adds (lua/lib/feed.lua). It is read in
 * pages; each call checks that the point where it continues is still kept, so
 * that no change is missed unnoticed. */
#include "feed.h"

#include <inttypes.h>
#include <stdio.h>

#define PAGE 1000u

void redis_keep_changes(nadb_engine *engine, nadb_keep keep) {
    redis_engine *e = (redis_engine *)engine;

    nadb_lock(&e->lock);
    if (keep.ms > e->keep.ms) e->keep.ms = keep.ms;
    if (keep.bytes > e->keep.bytes) e->keep.bytes = keep.bytes;
    nadb_unlock(&e->lock);
}

bool redis_add_wishes(redis_engine *e, args *a, bool always) {
    char keep[64] = "", limit[32] = "";
    nadb_keep k;
    uint64_t most;

    nadb_lock(&e->lock);
    k = e->keep;
    nadb_unlock(&e->lock);
    most = redis_limit_of(e);
    if (!always && !nadb_keeps(k) && most == 0) return false;
    if (nadb_keeps(k))
        snprintf(keep, sizeof keep, "%" PRId64 " %" PRIu64, k.ms, k.bytes);
    if (most > 0) snprintf(limit, sizeof limit, "%" PRIu64, most);
    args_copy(a, nadb_slice_str(keep));
    args_copy(a, nadb_slice_str(limit));
    return true;
}

/* --- reading --- */

typedef struct feed_walk {
    nadb_changes base;
    redis_engine *e;
    uint64_t since;
    nadb_buf upto, from; /* texts; "": the last commit, the first change */
    redisReply *page;
    size_t at; /* index in the page */
} feed_walk;

static void walk_free(nadb_changes *base) {
    feed_walk *w = (feed_walk *)base;

    freeReplyObject(w->page);
    nadb_buf_clear(&w->upto);
    nadb_buf_clear(&w->from);
    nadb_free(w);
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "listing changes");
}

static bool set(nadb_buf *b, nadb_slice s) {
    nadb_buf_reset(b);
    return nadb_buf_append(b, s.p, s.n);
}

static nadb_rc take_page(feed_walk *w, conn *c, nadb_err *err) {
    const redisReply *r = w->page;
    int64_t number;

    if (!reply_is_array(r, 2) || !reply_number(r->element[1], &number))
        return conn_confused(c, err);
    if (script_says(r, "ahead"))
        return nadb_changes_ahead(w->since, (uint64_t)number, err);
    if (script_says(r, "none") || script_says(r, "gone"))
        return nadb_changes_gone(w->since, (uint64_t)number,
                                 script_says(r, "gone"), err);
    if (!script_says(r, "since") || r->elements < 3 ||
        (r->elements - 3) % 3 != 0)
        return conn_confused(c, err);
    if (w->upto.n == 0 && !set(&w->upto, reply_slice(r->element[1])))
        return no_memory(err);
    w->at = 3;
    return set(&w->from, reply_slice(r->element[2])) ? NADB_OK : no_memory(err);
}

static nadb_rc load(feed_walk *w, nadb_err *err) {
    patience_operation o;
    conn *c = NULL;
    nadb_rc rc;
    args a;

    memset(&a, 0, sizeof a);
    freeReplyObject(w->page);
    w->page = NULL;
    script_begin(&a, redis_prefix(w->e));
    args_number(&a, (int64_t)w->since);
    args_add(&a, nadb_buf_slice(&w->upto));
    args_add(&a, nadb_buf_slice(&w->from));
    args_number(&a, PAGE);
    patience_operation_begin(&o);
    rc = pool_take(w->e->pool, &c, err);
    if (rc == NADB_OK)
        rc = script_call(w->e->scripts, c, SCRIPT_SINCE, &a, &w->page, err);
    if (rc == NADB_OK) rc = take_page(w, c, err);
    pool_give(w->e->pool, c);
    patience_operation_end(&o);
    args_clear(&a);
    return rc;
}

static bool kind_of(nadb_slice op, nadb_change_kind *out) {
    static const char letters[] = "pdxc"; /* indexed by nadb_change_kind */
    const char *p = op.n == 1 ? memchr(letters, op.p[0], 4) : NULL;

    if (p != NULL) *out = (nadb_change_kind)(p - letters);
    return p != NULL;
}

static nadb_rc damaged(const feed_walk *w, nadb_err *err) {
    return nadb_corrupt(err, "redis server %s: the list of changes is damaged",
                        w->e->at.name);
}

static nadb_rc walk_next(nadb_changes *base, nadb_change *out, bool *found,
                         nadb_err *err) {
    feed_walk *w = (feed_walk *)base;
    redisReply *const *x;
    int64_t seq;
    nadb_rc rc = NADB_OK;

    *found = false;
    while (w->at == w->page->elements && w->from.n > 0) {
        rc = load(w, err);
        if (rc != NADB_OK) return rc;
        if (w->at == w->page->elements && w->from.n > 0) return damaged(w, err);
    }
    if (w->at == w->page->elements) return NADB_OK;
    x = w->page->element + w->at;
    if (!reply_number(x[0], &seq) || !kind_of(reply_slice(x[1]), &out->kind) ||
        x[2]->type != REDIS_REPLY_STRING)
        return damaged(w, err);
    out->seq = (uint64_t)seq;
    out->key = reply_slice(x[2]);
    w->at += 3;
    *found = true;
    return NADB_OK;
}

nadb_rc redis_changes(nadb_engine *engine, nadb_view *view, uint64_t since,
                      nadb_changes **out, nadb_err *err) {
    const redis_view *v = (const redis_view *)view;
    feed_walk *w = nadb_calloc(1, sizeof *w);
    char upto[32] = "";
    nadb_rc rc;

    *out = NULL;
    if (w == NULL) return no_memory(err);
    w->base.next = walk_next;
    w->base.free = walk_free;
    w->e = (redis_engine *)engine;
    w->since = since;
    if (v->known) snprintf(upto, sizeof upto, "%" PRIu64, v->base.seq);
    if (!set(&w->upto, nadb_slice_str(upto)))
        rc = no_memory(err);
    else
        rc = load(w, err);
    if (rc == NADB_OK)
        *out = &w->base;
    else
        walk_free(&w->base);
    return rc;
}
