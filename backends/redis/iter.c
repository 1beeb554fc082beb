/* iter.c - walks over rows in key order.
 *
 * A page of keys comes from the sorted set that is the index, or from the set
 * of a tag; then their rows are read in one pipeline: two round trips per page.
 * A row that is gone by then is left out, because pages have no snapshot. */
#include "engine.h"

/* Maximum that is read of a row whose value is not needed; no row has more
 * tags. */
#define LINE_MOST (16u << 20)

/* Adds the name of the set. */
static void add_set(const redis_walk *w, args *a) {
    redis_add_name(w->engine, a, w->view->generation,
                   w->tag.n > 0 ? "t:" : "keys", nadb_buf_slice(&w->tag));
}

/* True for the first page, which also asks whether the index exists. */
static bool asks_for_index(const redis_walk *w) {
    return !w->from_set && w->tag.n == 0;
}

static nadb_rc ask_keys(redis_walk *w, conn *c, nadb_err *err) {
    args *a = &w->a;
    nadb_rc rc;

    args_reset(a);
    args_text(a, w->reverse ? "ZREVRANGEBYLEX" : "ZRANGEBYLEX");
    add_set(w, a);
    redis_add_bounds(w, a, w->reverse);
    args_text(a, "LIMIT");
    args_text(a, "0");
    args_number(a, w->page_rows);
    rc = conn_send(c, a, err);
    if (rc != NADB_OK || !asks_for_index(w)) return rc;
    args_reset(a);
    args_text(a, "EXISTS");
    add_set(w, a);
    return conn_send(c, a, err);
}

static nadb_rc ask(redis_walk *w, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    w->fresh = !w->view->known;
    if (w->fresh) rc = redis_ask_state(w->engine, w->c, w->view, err);
    return rc == NADB_OK ? ask_keys(w, w->c, err) : rc;
}

static nadb_rc take_keys(redis_walk *w, bool *index_is_there, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = conn_receive(w->c, &w->keys, err);

    *index_is_there = true;
    rc = redis_name_damage(w->engine, w->c, w->view->generation,
                           w->tag.n > 0 ? "t:" : "keys",
                           nadb_buf_slice(&w->tag), rc, err);
    if (rc != NADB_OK || !asks_for_index(w)) return rc;
    rc = conn_receive(w->c, &r, err);
    *index_is_there =
        rc == NADB_OK && r->type == REDIS_REPLY_INTEGER && r->integer == 1;
    freeReplyObject(r);
    return rc;
}

static nadb_rc answer(redis_walk *w, bool alone, nadb_err *err) {
    bool again = false, there = true;
    nadb_rc rc = NADB_OK;

    if (w->fresh) rc = redis_take_state(w->engine, w->c, w->view, &again, err);
    if (rc == NADB_OK) rc = take_keys(w, &there, err);
    if (rc == NADB_OK && again) {
        freeReplyObject(w->keys);
        w->keys = NULL;
        w->again = !alone;
        if (!alone) return NADB_OK;
        rc = ask_keys(w, w->c, err);
        if (rc == NADB_OK) rc = take_keys(w, &there, err);
    }
    if (rc == NADB_OK && !reply_is_array(w->keys, 0))
        rc = conn_confused(w->c, err);
    /* Without an index there may be no rows, and without a state no commit; or
     * they are lost. */
    w->in_doubt = !there || (asks_for_index(w) && w->view->base.seq == 0);
    return rc;
}

static nadb_rc ask_row(redis_walk *w, conn *c, nadb_slice key, nadb_err *err) {
    args *a = &w->a;

    if (!w->keys_only)
        return redis_ask_row(w->engine, c, a, w->view->generation, key, err);
    args_reset(a);
    args_text(a, "GETRANGE");
    redis_add_name(w->engine, a, w->view->generation, "r:", key);
    args_text(a, "0");
    args_number(a, (int64_t)w->line_most - 1);
    return conn_send(c, a, err);
}

/* GETRANGE returns an empty text for a row that does not exist. */
static nadb_rc take_row(redis_walk *w, conn *c, nadb_slice key,
                        const redisReply *r, nadb_err *err) {
    if (w->keys_only && r->type == REDIS_REPLY_STRING && r->len == 0)
        return NADB_OK;
    return redis_walk_row(w, c, key, r, err);
}

/* True if the row's line, which has the tags, is longer than what was read. */
static bool is_cut(const redis_walk *w, const redisReply *r) {
    return w->keys_only && r->type == REDIS_REPLY_STRING &&
           r->len == w->line_most && w->line_most < LINE_MOST &&
           memchr(r->str, '\n', r->len) == NULL;
}

static nadb_rc ask_rows(redis_walk *w, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < w->keys->elements && rc == NADB_OK; i++)
        rc = ask_row(w, w->c, reply_slice(w->keys->element[i]), err);
    return rc;
}

static nadb_rc take_rows(redis_walk *w, size_t *taken, nadb_err *err) {
    bool full = false, cut = false;
    nadb_rc rc = NADB_OK;

    *taken = 0;
    for (size_t i = 0; i < w->keys->elements && rc == NADB_OK; i++) {
        redisReply *r = NULL;

        rc = redis_name_damage(w->engine, w->c, w->view->generation,
                               "r:", reply_slice(w->keys->element[i]),
                               conn_receive(w->c, &r, err), err);
        /* Rows that do not fit must still be received. */
        full = full || w->bytes.n >= w->bytes_most;
        cut = cut || (rc == NADB_OK && !full && is_cut(w, r));
        if (rc == NADB_OK && !full && !cut) {
            rc = take_row(w, w->c, reply_slice(w->keys->element[i]), r, err);
            *taken = i + 1;
        }
        freeReplyObject(r);
    }
    w->line_most = cut ? 16 * w->line_most : REDIS_LINE_FIRST;
    return rc;
}

/* Sets where the next page begins, and its size. */
static nadb_rc answer_rows(redis_walk *w, nadb_err *err) {
    const redisReply *keys = w->keys;
    size_t taken = 0;
    nadb_rc rc = take_rows(w, &taken, err);

    if (rc != NADB_OK) return rc;
    w->at_end = taken == keys->elements && keys->elements < w->page_rows;
    if (taken < keys->elements)
        w->page_rows = w->page_rows > 1 ? w->page_rows / 2 : 1;
    else
        redis_walk_grow(w);
    if (taken == 0) return NADB_OK;
    return redis_walk_go_on(w, w->c, reply_slice(keys->element[taken - 1]),
                            err);
}

const redis_loader redis_load_rows = {SCRIPT_COUNT, ask, answer, ask_rows,
                                      answer_rows};

nadb_rc redis_iter_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, nadb_iter **out,
                       nadb_err *err) {
    bool indexes = range->lo.n > 0 && range->lo.p[0] != NADB_KS_ROW;
    redis_walk *w = NULL;
    nadb_rc rc;

    if (indexes && range->lo.p[0] == NADB_KS_COUNT)
        return redis_tags_new(engine, view, range, out, err);
    if (indexes && range->lo.p[0] == NADB_KS_EXPIRY)
        return redis_expiry_new(engine, view, range, out, err);
    rc = redis_walk_new(engine, view, range, NADB_KS_ROW, &w, err);
    *out = NULL;
    if (rc != NADB_OK) return rc;
    *out = &w->base;
    return NADB_OK;
}
