/* prefetch.c - reads rows of a list of keys before they are needed, in one
 * pipeline. get() reads them in the order of the list, and an UPDATE once more;
 * other keys are read as usual. */
#include "engine.h"

/* A key in the list; offsets are into redis_view.prefetched. */
typedef struct prefetched_row {
    size_t key, key_n; /* with the keyspace byte */
    size_t row, row_n;
    uint64_t version;
    bool found;
} prefetched_row;

void redis_prefetched_forget(redis_view *v) {
    nadb_buf_reset(&v->prefetched);
    nadb_buf_reset(&v->prefetched_rows);
    v->prefetched_at = 0;
}

void redis_prefetched_clear(redis_view *v) {
    nadb_buf_clear(&v->prefetched);
    nadb_buf_clear(&v->prefetched_rows);
}

static prefetched_row item_at(const redis_view *v, size_t i) {
    prefetched_row x;

    memcpy(&x, v->prefetched_rows.p + i * sizeof x, sizeof x);
    return x;
}

bool redis_prefetched_get(redis_view *v, nadb_slice key, nadb_entry *out,
                          bool *found) {
    size_t n = v->prefetched_rows.n / sizeof(prefetched_row);

    for (size_t tried = 0; tried < n; tried++) {
        size_t i = (v->prefetched_at + tried) % n;
        prefetched_row x = item_at(v, i);

        if (!nadb_slice_eq(key,
                           nadb_slice_of(v->prefetched.p + x.key, x.key_n)))
            continue;
        v->prefetched_at = i;
        *found = x.found;
        if (!x.found) return true;
        memset(out, 0, sizeof *out);
        out->key = key;
        out->value = nadb_slice_of(v->prefetched.p + x.row, x.row_n);
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
    prefetched_row x;
    nadb_rc rc;

    x.key = v->prefetched.n;
    x.key_n = key.n;
    if (!nadb_buf_append(&v->prefetched, key.p, key.n)) return no_memory(err);
    x.row = v->prefetched.n;
    rc = record_get(c, r, &v->prefetched, &rec, &found, err);
    rc = redis_name_damage(e, c, v->generation,
                           "r:", nadb_slice_of(key.p + 1, key.n - 1), rc, err);
    if (rc == NADB_OK)
        cache_put(&e->cache, nadb_slice_of(key.p + 1, key.n - 1), mark,
                  v->generation, false, &rec, found);
    x.row_n = v->prefetched.n - x.row;
    x.version = rec.version;
    x.found = found && rec.created_in <= v->base.seq;
    if (rc == NADB_OK && !nadb_buf_append(&v->prefetched_rows, &x, sizeof x))
        rc = no_memory(err);
    return rc;
}

static nadb_rc ask(redis_prefetching *w, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < w->n && rc == NADB_OK; i++) {
        nadb_slice key = nadb_slice_of(w->keys[i].p + 1, w->keys[i].n - 1);
        cache_mark mark;

        cache_begin(&w->e->cache, key, &mark);
        if (!nadb_buf_append(&w->marks, &mark, sizeof mark))
            return no_memory(err);
        rc = redis_ask_row(w->e, w->c, &w->v->a, w->v->generation, key, err);
    }
    return rc;
}

/* If everything must be asked for again, the answers are dropped. */
static nadb_rc take(redis_prefetching *w, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < w->n && rc == NADB_OK; i++) {
        redisReply *r = NULL;
        cache_mark mark;

        rc = redis_name_damage(
            w->e, w->c, w->v->generation,
            "r:", nadb_slice_of(w->keys[i].p + 1, w->keys[i].n - 1),
            conn_receive(w->c, &r, err), err);
        /* Rows that do not fit are read when they are needed. */
        if (rc == NADB_OK && !w->again &&
            w->v->prefetched.n < REDIS_PAGE_BYTES) {
            memcpy(&mark, w->marks.p + i * sizeof mark, sizeof mark);
            rc = keep(w->e, w->v, w->c, w->keys[i], &mark, r, err);
        }
        freeReplyObject(r);
    }
    return rc;
}

/* Sends requests for the rows of w->keys. */
static nadb_rc send(redis_prefetching *w, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    w->fresh = !w->v->known;
    w->again = false;
    nadb_buf_reset(&w->marks);
    if (w->fresh) rc = redis_ask_state(w->e, w->c, w->v, err);
    return rc == NADB_OK ? ask(w, err) : rc;
}

static nadb_rc receive(redis_prefetching *w, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (w->fresh) rc = redis_take_state(w->e, w->c, w->v, &w->again, err);
    if (rc == NADB_OK) rc = take(w, err);
    if (rc != NADB_OK) redis_prefetched_forget(w->v);
    return rc;
}

/* Sends again: the guess of the generation was wrong. */
static nadb_rc repeat(redis_prefetching *w, nadb_err *err) {
    nadb_rc rc = send(w, err);

    return rc == NADB_OK ? receive(w, err) : rc;
}

void redis_prefetch_begin(redis_prefetching *w, redis_engine *e,
                          redis_view *v) {
    memset(w, 0, sizeof *w);
    w->e = e;
    w->v = v;
    redis_prefetched_forget(v);
}

nadb_rc redis_prefetch_add(redis_prefetching *w, nadb_slice key,
                           nadb_err *err) {
    if (w->v->base.may_lag &&
        cache_holds(&w->e->cache, nadb_slice_of(key.p + 1, key.n - 1)))
        return NADB_OK;
    return nadb_buf_append(&w->missing, &key, sizeof key) ? NADB_OK
                                                          : no_memory(err);
}

nadb_rc redis_prefetch_send(redis_prefetching *w, conn *c, nadb_err *err) {
    patience until = redis_patience(w->e, w->v);
    nadb_rc rc = NADB_OK;

    w->c = c;
    w->keys = (const nadb_slice *)(void *)w->missing.p;
    w->n = w->missing.n / sizeof *w->keys;
    if (w->n == 0) return NADB_OK;
    if (c == NULL) {
        rc = pool_take_for(w->e->pool, &until, &w->c, err);
        w->took = rc == NADB_OK;
    }
    if (rc == NADB_OK) rc = send(w, err);
    /* On a shared connection all requests are sent together. */
    return rc == NADB_OK && w->took ? conn_push(w->c, err) : rc;
}

nadb_rc redis_prefetch_receive(redis_prefetching *w, nadb_err *err) {
    return w->n == 0 ? NADB_OK : receive(w, err);
}

nadb_rc redis_prefetch_end(redis_prefetching *w, nadb_rc rc, nadb_err *err) {
    if (w->e == NULL) return rc; /* nothing was begun */
    if (rc == NADB_OK && w->again) rc = repeat(w, err);
    if (rc == NADB_OK && w->n > 0 && w->fresh && w->v->base.seq == 0)
        rc = redis_verify(w->e, w->c, err);
    if (rc != NADB_OK) cache_refused(&w->e->cache);
    if (w->took) pool_give(w->e->pool, w->c);
    nadb_buf_clear(&w->missing);
    nadb_buf_clear(&w->marks);
    w->e = NULL;
    return rc;
}

nadb_rc redis_prefetch_all(redis_prefetching *list, size_t n, conn *c,
                           nadb_rc rc, nadb_err *err) {
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        if (list[i].e != NULL) rc = redis_prefetch_send(&list[i], c, err);
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        rc = redis_prefetch_receive(&list[i], err);
    for (size_t i = 0; i < n; i++) rc = redis_prefetch_end(&list[i], rc, err);
    return rc;
}

nadb_rc redis_prefetch(nadb_engine *engine, nadb_view *view,
                       const nadb_slice *keys, size_t n, nadb_err *err) {
    redis_prefetching w;
    nadb_rc rc = NADB_OK;

    redis_prefetch_begin(&w, (redis_engine *)engine, (redis_view *)view);
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        rc = redis_prefetch_add(&w, keys[i], err);
    return redis_prefetch_all(&w, 1, NULL, rc, err);
}
