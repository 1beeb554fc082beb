/* ahead.c - rows that are read before they are asked for: of a list of keys,
 * all in one pipeline. They are got in the order of the list, and by an UPDATE
 * once more; other keys are read as ever. */
#include "engine.h"

/* Of a key in the list; places are in redis_view.ahead. */
typedef struct ahead_item {
    size_t key, key_n; /* with the keyspace byte */
    size_t row, row_n;
    uint64_t version;
    bool found;
} ahead_item;

void redis_ahead_forget(redis_view *v) {
    nadb_buf_reset(&v->ahead);
    nadb_buf_reset(&v->ahead_items);
    v->ahead_at = 0;
}

void redis_ahead_clear(redis_view *v) {
    nadb_buf_clear(&v->ahead);
    nadb_buf_clear(&v->ahead_items);
}

static ahead_item item_at(const redis_view *v, size_t i) {
    ahead_item x;

    memcpy(&x, v->ahead_items.p + i * sizeof x, sizeof x);
    return x;
}

bool redis_ahead_get(redis_view *v, nadb_slice key, nadb_entry *out,
                     bool *found) {
    size_t n = v->ahead_items.n / sizeof(ahead_item);

    for (size_t tried = 0; tried < n; tried++) {
        size_t i = (v->ahead_at + tried) % n;
        ahead_item x = item_at(v, i);

        if (!nadb_slice_eq(key, nadb_slice_of(v->ahead.p + x.key, x.key_n)))
            continue;
        v->ahead_at = i;
        *found = x.found;
        if (!x.found) return true;
        memset(out, 0, sizeof *out);
        out->key = key;
        out->value = nadb_slice_of(v->ahead.p + x.row, x.row_n);
        out->seq = x.version;
        return true;
    }
    return false;
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to read");
}

static nadb_rc keep(redis_engine *e, redis_view *v, conn *c, nadb_slice key,
                    const cache_mark *mark, const redisReply *r,
                    nadb_err *err) {
    bool found = false;
    record rec;
    ahead_item x;
    nadb_rc rc;

    if (!reply_is_array(r, 3)) return conn_confused(c, err);
    x.key = v->ahead.n;
    x.key_n = key.n;
    if (!nadb_buf_append(&v->ahead, key.p, key.n)) return no_memory(err);
    x.row = v->ahead.n;
    rc = record_get(c, r->element[0], r->element[1], r->element[2], &v->ahead,
                    &rec, &found, err);
    if (rc == NADB_OK)
        cache_put(&e->cache, nadb_slice_of(key.p + 1, key.n - 1), mark,
                  v->generation, false, &rec, found);
    x.row_n = v->ahead.n - x.row;
    x.version = rec.version;
    x.found = found && rec.created_in <= v->base.seq;
    if (rc == NADB_OK && !nadb_buf_append(&v->ahead_items, &x, sizeof x))
        rc = no_memory(err);
    return rc;
}

static nadb_rc ask(redis_engine *e, conn *c, redis_view *v,
                   const nadb_slice *keys, size_t n, nadb_buf *marks,
                   nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < n && rc == NADB_OK; i++) {
        nadb_slice key = nadb_slice_of(keys[i].p + 1, keys[i].n - 1);
        cache_mark mark;

        cache_begin(&e->cache, key, &mark);
        if (!nadb_buf_append(marks, &mark, sizeof mark)) return no_memory(err);
        rc = redis_ask_row(e, c, &v->a, v->generation, key, err);
    }
    return rc;
}

/* `drop`: the answers are of no use. */
static nadb_rc take(redis_engine *e, conn *c, redis_view *v,
                    const nadb_slice *keys, size_t n, const nadb_buf *marks,
                    bool drop, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < n && rc == NADB_OK; i++) {
        redisReply *r = NULL;
        cache_mark mark;

        rc = conn_receive(c, &r, err);
        /* What is too much is read when it is asked for. */
        if (rc == NADB_OK && !drop && v->ahead.n < REDIS_PAGE_BYTES) {
            memcpy(&mark, marks->p + i * sizeof mark, sizeof mark);
            rc = keep(e, v, c, keys[i], &mark, r, err);
        }
        freeReplyObject(r);
    }
    return rc;
}

nadb_rc redis_want_on(redis_engine *e, conn *c, redis_view *v,
                      const nadb_slice *keys, size_t n, nadb_err *err) {
    bool fresh = !v->known, again = false;
    nadb_buf marks = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;

    if (fresh) rc = redis_ask_state(e, c, v, err);
    if (rc == NADB_OK) rc = ask(e, c, v, keys, n, &marks, err);
    if (rc == NADB_OK && fresh) rc = redis_take_state(e, c, v, &again, err);
    if (rc == NADB_OK) rc = take(e, c, v, keys, n, &marks, again, err);
    nadb_buf_clear(&marks);
    if (rc == NADB_OK && again) return redis_want_on(e, c, v, keys, n, err);
    if (rc != NADB_OK) redis_ahead_forget(v);
    return rc;
}

/* Those of the keys that the cache does not have, a slice each. */
static nadb_rc add_missing(redis_engine *e, const redis_view *v,
                           const nadb_slice *keys, size_t n, nadb_buf *missing,
                           nadb_err *err) {
    for (size_t i = 0; i < n; i++) {
        nadb_slice key = nadb_slice_of(keys[i].p + 1, keys[i].n - 1);

        if (v->base.may_lag && cache_holds(&e->cache, key)) continue;
        if (!nadb_buf_append(missing, &keys[i], sizeof keys[i]))
            return no_memory(err);
    }
    return NADB_OK;
}

nadb_rc redis_want(nadb_engine *engine, nadb_view *view, const nadb_slice *keys,
                   size_t n, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    redis_view *v = (redis_view *)view;
    nadb_buf missing = NADB_BUF_INIT;
    conn *c = NULL;
    nadb_rc rc = add_missing(e, v, keys, n, &missing, err);

    redis_ahead_forget(v);
    if (rc == NADB_OK && missing.n > 0) rc = pool_take(e->pool, &c, err);
    if (rc != NADB_OK || c == NULL) goto done;
    rc = redis_want_on(e, c, v, (const nadb_slice *)(void *)missing.p,
                       missing.n / sizeof *keys, err);
    pool_give(e->pool, c);
done:
    nadb_buf_clear(&missing);
    return rc;
}
