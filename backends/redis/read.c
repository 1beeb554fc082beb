/* read.c - views and single rows.
 *
 * Opening a view costs nothing: the state of the store comes with the answer to
 * its first read, in the same round trip. */
#include "engine.h"

/* --- views --- */

nadb_rc redis_view_open(nadb_engine *engine, nadb_view **out, nadb_err *err) {
    redis_view *v = nadb_calloc(1, sizeof *v);

    (void)engine;
    *out = NULL;
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory to read");
    *out = &v->base;
    return NADB_OK;
}

void redis_view_close(nadb_engine *engine, nadb_view *view) {
    redis_view *v = (redis_view *)view;

    (void)engine;
    if (v == NULL) return;
    nadb_buf_clear(&v->row);
    nadb_buf_clear(&v->key);
    redis_prefetched_clear(v);
    args_clear(&v->a);
    nadb_free(v);
}

static void forget(redis_view *v) {
    v->known = false;
    v->holds_row = false;
    v->n_own = 0;
    redis_prefetched_forget(v);
}

nadb_rc redis_view_refresh(nadb_engine *engine, nadb_view *view,
                           nadb_err *err) {
    (void)engine;
    (void)err;
    forget((redis_view *)view);
    return NADB_OK;
}

/* A larger buffer is freed after the read. */
#define ROW_KEPT (1u << 20)

void redis_view_rest(nadb_engine *engine, nadb_view *view) {
    redis_view *v = (redis_view *)view;

    (void)engine;
    forget(v);
    if (v->row.cap > ROW_KEPT) nadb_buf_clear(&v->row);
    if (v->prefetched.cap > ROW_KEPT) redis_prefetched_clear(v);
}

/* --- the state of the store --- */

nadb_rc redis_ask_state(redis_engine *e, conn *c, redis_view *v,
                        nadb_err *err) {
    nadb_lock(&e->lock);
    v->generation = e->generation;
    nadb_unlock(&e->lock);
    args_reset(&v->a);
    args_text(&v->a, "HMGET");
    args_join(&v->a, redis_prefix(e), nadb_slice_str("meta"));
    args_text(&v->a, "ver");
    args_text(&v->a, "gen");
    args_text(&v->a, "layout");
    args_text(&v->a, "held");
    return conn_send(c, &v->a, err);
}

static void know(redis_engine *e, redis_view *v, uint64_t seq,
                 uint64_t generation) {
    v->base.seq = seq;
    if (v->base.reading == 0 || v->since_of != v->base.reading) v->since = seq;
    v->since_of = v->base.reading;
    v->generation = generation;
    v->known = true;
    nadb_lock(&e->lock);
    e->generation = generation;
    nadb_unlock(&e->lock);
}

nadb_rc redis_take_state(redis_engine *e, conn *c, redis_view *v, bool *again,
                         nadb_err *err) {
    redisReply *r = NULL;
    uint64_t generation;
    nadb_rc rc = conn_receive(c, &r, err);

    *again = false;
    rc = redis_name_damage(e, c, 0, "meta", nadb_slice_of("", 0), rc, err);
    if (rc == NADB_OK && !reply_is_array(r, 4)) rc = conn_confused(c, err);
    if (rc == NADB_OK && reply_number_or_0(r->element[0]) != 0)
        rc = script_layout(conn_name(c), reply_slice(r->element[2]), err);
    if (rc == NADB_OK) {
        generation = reply_number_or_0(r->element[1]);
        *again = generation != v->generation;
        know(e, v, reply_number_or_0(r->element[0]), generation);
        if (e->saw_locks != NULL &&
            nadb_slice_eq(reply_slice(r->element[3]),
                          nadb_slice_str(SCRIPT_FOREVER)))
            atomic_store(e->saw_locks, true);
    }
    freeReplyObject(r);
    return rc;
}

nadb_rc redis_take_page(redis_engine *e, conn *c, redis_view *v,
                        const redisReply *r, nadb_err *err) {
    if (!script_says(r, "page") || r->elements < 4)
        return conn_confused(c, err);
    if (v->known) return NADB_OK;
    know(e, v, reply_number_or_0(r->element[1]),
         reply_number_or_0(r->element[2]));
    return NADB_OK;
}

/* --- rows --- */

void redis_add_name(const redis_engine *e, args *a, uint64_t generation,
                    const char *what, nadb_slice key) {
    char number[ARGS_NUMBER_MAX + 1];
    char *end = args_digits(number, (int64_t)generation);
    nadb_slice parts[] = {redis_prefix(e), nadb_slice_of(number, 0),
                          nadb_slice_str(what), key};

    *end++ = ':';
    parts[1].n = (size_t)(end - number);
    args_join_all(a, parts, 4);
}

nadb_rc redis_ask_row(const redis_engine *e, conn *c, args *a,
                      uint64_t generation, nadb_slice key, nadb_err *err) {
    args_reset(a);
    args_text(a, "GET");
    redis_add_name(e, a, generation, "r:", key);
    return conn_send(c, a, err);
}

/* The answer for one row, with the store's state if that is needed. */
static nadb_rc fetch(redis_engine *e, conn *c, redis_view *v, nadb_slice key,
                     redisReply **out, nadb_err *err) {
    bool fresh = !v->known;
    bool again = false;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (fresh) rc = redis_ask_state(e, c, v, err);
    if (rc == NADB_OK) rc = redis_ask_row(e, c, &v->a, v->generation, key, err);
    if (rc == NADB_OK && fresh) rc = redis_take_state(e, c, v, &again, err);
    if (rc == NADB_OK) rc = conn_receive(c, out, err);
    if (rc == NADB_OK && again) {
        freeReplyObject(*out);
        *out = NULL;
        rc = redis_ask_row(e, c, &v->a, v->generation, key, err);
        if (rc == NADB_OK) rc = conn_receive(c, out, err);
    }
    /* Either nothing was ever committed, or the key with the state is lost. */
    if (rc == NADB_OK && fresh && v->base.seq == 0)
        rc = redis_verify(e, c, err);
    return redis_name_damage(e, c, v->generation, "r:", key, rc, err);
}

/* Notes that v->row and v->last, if `found`, belong to `key`. */
static nadb_rc hold_row(redis_view *v, nadb_slice key, bool found,
                        nadb_err *err) {
    if (!nadb_buf_append(&v->key, key.p, key.n))
        return nadb_fail(err, NADB_NOMEM, "out of memory to read");
    /* Rows that were inserted after the view began are not shown. */
    v->found = found && (!v->known || v->last.created_in <= v->base.seq);
    v->holds_row = true;
    return NADB_OK;
}

nadb_rc redis_take_claimed(redis_engine *e, conn *c, redis_view *v,
                           nadb_slice key, const redisReply *r, nadb_err *err) {
    bool found = false;
    nadb_rc rc;

    if (r->elements != 4) return conn_confused(c, err);
    forget(v);
    nadb_buf_reset(&v->row);
    nadb_buf_reset(&v->key);
    rc = record_get(c, r->element[3], &v->row, &v->last, &found, err);
    rc = redis_name_damage(e, c, reply_number_or_0(r->element[2]),
                           "r:", nadb_slice_of(key.p + 1, key.n - 1), rc, err);
    if (rc != NADB_OK) return rc;
    know(e, v, reply_number_or_0(r->element[1]),
         reply_number_or_0(r->element[2]));
    return hold_row(v, key, found, err);
}

/* Reads the row of a key into the view. */
static nadb_rc read_row(redis_engine *e, redis_view *v, patience *until,
                        nadb_slice key, nadb_err *err) {
    nadb_slice plain = nadb_slice_of(key.p + 1, key.n - 1);
    redisReply *r = NULL;
    conn *c = NULL;
    bool found = false, fresh = !v->known;
    cache_mark mark;
    nadb_rc rc = pool_take_for(e->pool, until, &c, err);

    v->holds_row = false;
    if (rc != NADB_OK) return rc;
    cache_begin(&e->cache, plain, &mark);
    rc = fetch(e, c, v, plain, &r, err);
    nadb_buf_reset(&v->row);
    nadb_buf_reset(&v->key);
    if (rc == NADB_OK) rc = record_get(c, r, &v->row, &v->last, &found, err);
    rc = redis_name_damage(e, c, v->generation, "r:", plain, rc, err);
    freeReplyObject(r);
    pool_give(e->pool, c);
    if (rc != NADB_OK) {
        cache_refused(&e->cache);
        return rc;
    }
    cache_put(&e->cache, plain, &mark, v->generation, fresh, &v->last, found);
    return hold_row(v, key, found, err);
}

/* True if the row is in the cache. */
static bool read_cached(redis_engine *e, redis_view *v, patience *until,
                        nadb_slice key, nadb_err *err, nadb_rc *rc) {
    bool found = false;

    v->holds_row = false;
    if (!v->base.may_lag ||
        !cache_get(&e->cache, nadb_slice_of(key.p + 1, key.n - 1), until,
                   &v->row, &v->last, &found))
        return false;
    patience_end(until);
    nadb_buf_reset(&v->key);
    *rc = hold_row(v, key, found, err);
    return true;
}

nadb_rc redis_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                  nadb_entry *out, bool *found, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    redis_view *v = (redis_view *)view;
    patience until = redis_patience(e, v);
    nadb_rc rc = NADB_OK;

    *found = false;
    if (key.n > 0 && key.p[0] == NADB_KS_COUNT) {
        v->holds_row = false;
        return redis_get_count(engine, view, key, &v->row, out, found, err);
    }
    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return NADB_OK;
    if (v->prefetched_rows.n > 0 && redis_prefetched_get(v, key, out, found))
        return NADB_OK;
    /* An UPDATE reads its row twice; the second read uses the view's copy. */
    if ((!v->known || !v->holds_row ||
         !nadb_slice_eq(key, nadb_buf_slice(&v->key))) &&
        !read_cached(e, v, &until, key, err, &rc))
        rc = read_row(e, v, &until, key, err);
    if (rc != NADB_OK || !v->found) return rc;
    memset(out, 0, sizeof *out);
    out->key = key;
    out->value = v->last.row;
    out->seq = v->last.version;
    *found = true;
    return NADB_OK;
}
