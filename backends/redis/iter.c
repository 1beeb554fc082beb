/* iter.c - walking rows in the order of their keys.
 *
 * A page of keys comes from the sorted set that is the index, then their rows
 * in one pipeline: two round trips a page. Pages grow, so that LIMIT 1 reads
 * little and a full scan goes seldom. A row that is gone by then is left out:
 * pages have no snapshot. One that was inserted after the view began is left
 * out too, so that a statement that inserts while it reads comes to an end. */
#include "engine.h"

#define PAGE_ROWS_FIRST 16u
#define PAGE_ROWS_MOST 512u
#define PAGE_BYTES (4u << 20) /* rows beyond are left for the next page */

typedef struct item {
    size_t key, key_n; /* in redis_iter.bytes, with the keyspace byte */
    size_t row, row_n;
    uint64_t version;
} item;

typedef struct redis_iter {
    nadb_iter base;
    redis_engine *engine;
    redis_view *view;
    bool reverse;
    bool bounded;    /* there is a hi */
    nadb_buf lo, hi; /* without keyspace byte */

    nadb_buf from; /* where the next page begins, when from_set */
    bool from_set, from_included;
    bool at_end; /* there is no next page */
    unsigned page_rows;

    nadb_buf bytes; /* of the present page */
    nadb_buf items; /* item each */
    size_t at;      /* the present one */
    bool begun;
    args a;
} redis_iter;

bool redis_row_range(nadb_slice lo, nadb_slice hi, nadb_slice *row_lo,
                     nadb_slice *row_hi) {
    *row_lo = nadb_slice_of("", 0);
    *row_hi = nadb_slice_of(NULL, 0);
    if (lo.n > 0 && lo.p[0] > NADB_KS_ROW) return false;
    if (lo.n > 0 && lo.p[0] == NADB_KS_ROW)
        *row_lo = nadb_slice_of(lo.p + 1, lo.n - 1);
    if (hi.p == NULL || (hi.n > 0 && hi.p[0] > NADB_KS_ROW)) return true;
    if (hi.n <= 1 || hi.p[0] < NADB_KS_ROW) return false;
    *row_hi = nadb_slice_of(hi.p + 1, hi.n - 1);
    return nadb_slice_cmp(*row_lo, *row_hi) < 0;
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to scan a Redis store");
}

static size_t item_count(const redis_iter *it) {
    return it->items.n / sizeof(item);
}

static item item_at(const redis_iter *it, size_t i) {
    item x;

    memcpy(&x, it->items.p + i * sizeof x, sizeof x);
    return x;
}

static nadb_slice item_key(const redis_iter *it, size_t i) {
    item x = item_at(it, i);

    return nadb_slice_of(it->bytes.p + x.key, x.key_n);
}

/* --- a page --- */

/* A bound as ZRANGEBYLEX wants it. */
static void add_bound(args *a, const nadb_buf *key, bool set, bool included,
                      const char *open) {
    if (!set)
        args_text(a, open);
    else
        args_join(a, nadb_slice_str(included ? "[" : "("), nadb_buf_slice(key));
}

static nadb_rc ask_keys(redis_iter *it, conn *c, nadb_err *err) {
    args *a = &it->a;
    const nadb_slice none = {NULL, 0};

    args_reset(a);
    args_text(a, it->reverse ? "ZREVRANGEBYLEX" : "ZRANGEBYLEX");
    redis_add_name(it->engine, a, it->view->generation, "keys", none);
    if (it->reverse) {
        if (it->from_set)
            add_bound(a, &it->from, true, it->from_included, "+");
        else
            add_bound(a, &it->hi, it->bounded, false, "+");
        add_bound(a, &it->lo, it->lo.n > 0, true, "-");
    } else {
        if (it->from_set)
            add_bound(a, &it->from, true, it->from_included, "-");
        else
            add_bound(a, &it->lo, it->lo.n > 0, true, "-");
        add_bound(a, &it->hi, it->bounded, false, "+");
    }
    args_text(a, "LIMIT");
    args_text(a, "0");
    args_number(a, it->page_rows);
    return conn_send(c, a, err);
}

static nadb_rc fetch_keys(redis_iter *it, conn *c, redisReply **out,
                          nadb_err *err) {
    bool fresh = !it->view->known;
    bool again = false;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (fresh) rc = redis_ask_state(it->engine, c, it->view, err);
    if (rc == NADB_OK) rc = ask_keys(it, c, err);
    if (rc == NADB_OK && fresh)
        rc = redis_take_state(it->engine, c, it->view, &again, err);
    if (rc == NADB_OK) rc = conn_receive(c, out, err);
    if (rc == NADB_OK && again) {
        freeReplyObject(*out);
        *out = NULL;
        rc = ask_keys(it, c, err);
        if (rc == NADB_OK) rc = conn_receive(c, out, err);
    }
    if (rc == NADB_OK && !reply_is_array(*out, 0)) rc = conn_confused(c, err);
    return rc;
}

/* Adds the row that the server answers, if there is one to be seen. */
static nadb_rc add_item(redis_iter *it, conn *c, nadb_slice key,
                        const redisReply *r, nadb_err *err) {
    size_t begin = it->bytes.n;
    bool found = false;
    record rec;
    item x;
    nadb_rc rc;

    if (!nadb_buf_byte(&it->bytes, NADB_KS_ROW) ||
        !nadb_buf_append(&it->bytes, key.p, key.n))
        return no_memory(err);
    x.key = begin;
    x.key_n = key.n + 1;
    x.row = it->bytes.n;
    rc = record_get(c, r, &it->bytes, &rec, &found, err);
    if (rc != NADB_OK) return rc;
    if (!found || rec.created_in > it->view->base.seq) {
        it->bytes.n = begin;
        return NADB_OK;
    }
    x.row_n = it->bytes.n - x.row;
    x.version = rec.version;
    return nadb_buf_append(&it->items, &x, sizeof x) ? NADB_OK : no_memory(err);
}

static nadb_rc fetch_rows(redis_iter *it, conn *c, const redisReply *keys,
                          size_t *taken, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    *taken = 0;
    for (size_t i = 0; i < keys->elements && rc == NADB_OK; i++)
        rc = redis_ask_row(it->engine, c, &it->a, it->view->generation,
                           reply_slice(keys->element[i]), err);
    for (size_t i = 0; i < keys->elements && rc == NADB_OK; i++) {
        redisReply *r = NULL;

        rc = conn_receive(c, &r, err);
        /* What does not fit is still to be taken off the wire. */
        if (rc == NADB_OK && it->bytes.n < PAGE_BYTES) {
            rc = add_item(it, c, reply_slice(keys->element[i]), r, err);
            *taken = i + 1;
        }
        freeReplyObject(r);
    }
    return rc;
}

/* Where the page after this one begins, and how large it is. */
static nadb_rc plan_next(redis_iter *it, const redisReply *keys, size_t taken,
                         nadb_err *err) {
    nadb_slice last;

    it->at_end = taken == keys->elements && keys->elements < it->page_rows;
    if (taken < keys->elements)
        it->page_rows = it->page_rows > 1 ? it->page_rows / 2 : 1;
    else if (it->page_rows < PAGE_ROWS_MOST && it->bytes.n < PAGE_BYTES / 4)
        it->page_rows *= 2;
    if (taken == 0) return NADB_OK;
    last = reply_slice(keys->element[taken - 1]);
    nadb_buf_reset(&it->from);
    it->from_set = true;
    it->from_included = false;
    return nadb_buf_append(&it->from, last.p, last.n) ? NADB_OK
                                                      : no_memory(err);
}

/* Reads the next page that has a row, if there is one. */
static nadb_rc load(redis_iter *it, nadb_err *err) {
    conn *c = NULL;
    nadb_rc rc;

    it->at = 0;
    nadb_buf_reset(&it->items);
    nadb_buf_reset(&it->bytes);
    if (it->at_end) return NADB_OK;
    rc = pool_take(&it->engine->pool, &c, err);
    while (rc == NADB_OK && !it->at_end && it->items.n == 0) {
        redisReply *keys = NULL;
        size_t taken = 0;

        nadb_buf_reset(&it->bytes);
        rc = fetch_keys(it, c, &keys, err);
        if (rc == NADB_OK) rc = fetch_rows(it, c, keys, &taken, err);
        if (rc == NADB_OK) rc = plan_next(it, keys, taken, err);
        freeReplyObject(keys);
    }
    pool_give(&it->engine->pool, c);
    return rc;
}

/* --- moving --- */

static void show(redis_iter *it) {
    nadb_entry *e = &it->base.entry;

    it->base.valid = it->at < item_count(it);
    if (!it->base.valid) return;
    item x = item_at(it, it->at);

    memset(e, 0, sizeof *e);
    e->key = nadb_slice_of(it->bytes.p + x.key, x.key_n);
    e->value = nadb_slice_of(it->bytes.p + x.row, x.row_n);
    e->seq = x.version;
}

static nadb_rc iter_next(nadb_iter *iter, nadb_err *err) {
    redis_iter *it = (redis_iter *)iter;
    nadb_rc rc = NADB_OK;

    if (it->begun && it->at < item_count(it)) it->at++;
    it->begun = true;
    if (it->at >= item_count(it)) rc = load(it, err);
    iter->valid = false;
    if (rc == NADB_OK) show(it);
    return rc;
}

/* Whether the page holds what is next to `key`: it has one on either side. */
static bool seek_in_page(redis_iter *it, nadb_slice key) {
    size_t n = item_count(it), low = 0, high = n;
    int sign = it->reverse ? -1 : 1;

    if (n == 0 || sign * nadb_slice_cmp(key, item_key(it, 0)) < 0 ||
        sign * nadb_slice_cmp(key, item_key(it, n - 1)) > 0)
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (sign * nadb_slice_cmp(item_key(it, middle), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    it->at = low;
    return true;
}

/* Puts the start of the next page at `key`, within the range. */
static nadb_rc aim(redis_iter *it, nadb_slice key, nadb_err *err) {
    nadb_slice lo, none;
    bool beyond;

    it->from_set = false;
    it->at_end = false;
    if (key.n == 0 || key.p[0] != NADB_KS_ROW) {
        beyond = key.n > 0 && key.p[0] > NADB_KS_ROW;
        it->at_end = it->reverse ? !beyond : beyond;
        return NADB_OK;
    }
    (void)redis_row_range(key, nadb_slice_of(NULL, 0), &key, &none);
    lo = nadb_buf_slice(&it->lo);
    if (!it->reverse && nadb_slice_cmp(key, lo) <= 0) return NADB_OK;
    if (it->reverse && it->bounded &&
        nadb_slice_cmp(key, nadb_buf_slice(&it->hi)) >= 0)
        return NADB_OK;
    nadb_buf_reset(&it->from);
    it->from_set = true;
    it->from_included = true;
    return nadb_buf_append(&it->from, key.p, key.n) ? NADB_OK : no_memory(err);
}

static nadb_rc iter_seek(nadb_iter *iter, nadb_slice key, nadb_err *err) {
    redis_iter *it = (redis_iter *)iter;
    nadb_rc rc = NADB_OK;

    it->begun = true;
    iter->valid = false;
    if (!seek_in_page(it, key)) {
        rc = aim(it, key, err);
        if (rc == NADB_OK) rc = load(it, err);
    }
    if (rc == NADB_OK) show(it);
    return rc;
}

static void iter_free(nadb_iter *iter) {
    redis_iter *it = (redis_iter *)iter;

    nadb_buf_clear(&it->lo);
    nadb_buf_clear(&it->hi);
    nadb_buf_clear(&it->from);
    nadb_buf_clear(&it->bytes);
    nadb_buf_clear(&it->items);
    args_clear(&it->a);
    nadb_free(it);
}

/* A range without rows needs no server. */
static nadb_rc no_next(nadb_iter *iter, nadb_err *err) {
    (void)err;
    iter->valid = false;
    return NADB_OK;
}

static nadb_rc no_seek(nadb_iter *iter, nadb_slice key, nadb_err *err) {
    (void)key;
    return no_next(iter, err);
}

nadb_rc redis_iter_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, nadb_iter **out,
                       nadb_err *err) {
    static const nadb_iter_ops ops = {iter_next, iter_seek, iter_free};
    static const nadb_iter_ops none = {no_next, no_seek, iter_free};
    redis_iter *it = nadb_calloc(1, sizeof *it);
    nadb_slice lo, hi;

    *out = NULL;
    if (it == NULL) return no_memory(err);
    it->base.ops = &ops;
    it->engine = (redis_engine *)engine;
    it->view = (redis_view *)view;
    it->reverse = range->reverse;
    it->page_rows = PAGE_ROWS_FIRST;
    if (!redis_row_range(range->lo, range->hi, &lo, &hi)) it->base.ops = &none;
    it->bounded = hi.p != NULL;
    if (!nadb_buf_append(&it->lo, lo.p, lo.n) ||
        !nadb_buf_append(&it->hi, hi.p, hi.n)) {
        iter_free(&it->base);
        return no_memory(err);
    }
    *out = &it->base;
    return NADB_OK;
}
