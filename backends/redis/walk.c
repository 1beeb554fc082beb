/* walk.c - what iterators have in common: a page of entries in memory, moving
 * in it, and asking for the next.
 *
 * Pages grow, so that LIMIT 1 reads little and a full scan goes seldom. A row
 * that was inserted after the view began is left out, so that a statement that
 * inserts while it reads comes to an end. */
#include "../../core/kv/row.h"
#include "engine.h"

#define PAGE_ROWS_FIRST 16u

typedef struct item {
    size_t key, key_n; /* in redis_walk.bytes, with the keyspace byte */
    size_t row, row_n;
    uint64_t version;
} item;

bool redis_range(uint8_t keyspace, nadb_slice lo, nadb_slice hi,
                 nadb_slice *inner_lo, nadb_slice *inner_hi) {
    *inner_lo = nadb_slice_of("", 0);
    *inner_hi = nadb_slice_of(NULL, 0);
    if (lo.n > 0 && lo.p[0] > keyspace) return false;
    if (lo.n > 0 && lo.p[0] == keyspace)
        *inner_lo = nadb_slice_of(lo.p + 1, lo.n - 1);
    if (hi.p == NULL || (hi.n > 0 && hi.p[0] > keyspace)) return true;
    if (hi.n <= 1 || hi.p[0] < keyspace) return false;
    *inner_hi = nadb_slice_of(hi.p + 1, hi.n - 1);
    return nadb_slice_cmp(*inner_lo, *inner_hi) < 0;
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to scan a Redis store");
}

/* --- entries of a page --- */

static size_t item_count(const redis_walk *w) {
    return w->items.n / sizeof(item);
}

static item item_at(const redis_walk *w, size_t i) {
    item x;

    memcpy(&x, w->items.p + i * sizeof x, sizeof x);
    return x;
}

static nadb_slice item_key(const redis_walk *w, size_t i) {
    item x = item_at(w, i);

    return nadb_slice_of(w->bytes.p + x.key, x.key_n);
}

nadb_rc redis_walk_key(redis_walk *w, nadb_slice key, size_t *begin,
                       nadb_err *err) {
    *begin = w->bytes.n;
    return nadb_buf_byte(&w->bytes, w->keyspace) &&
                   nadb_buf_append(&w->bytes, key.p, key.n)
               ? NADB_OK
               : no_memory(err);
}

nadb_rc redis_walk_entry(redis_walk *w, size_t begin, nadb_slice key,
                         uint64_t version, nadb_err *err) {
    item x;

    x.key = begin;
    x.key_n = key.n + 1;
    x.row = begin + x.key_n;
    x.row_n = w->bytes.n - x.row;
    x.version = version;
    return nadb_buf_append(&w->items, &x, sizeof x) ? NADB_OK : no_memory(err);
}

/* Whether the walk shows it. A key may have lost the tag since its set said
 * that it has it; an expired row is kept from those who would not look. */
static bool is_shown(const redis_walk *w, const record *rec) {
    nadb_row row;

    if (rec->created_in > w->view->base.seq) return false;
    if (w->keys_only && nadb_row_expires(rec->row) <= nadb_os_get()->now_ms())
        return false;
    return w->tag.n == 0 || (nadb_row_decode(rec->row, &row, NULL) == NADB_OK &&
                             nadb_tags_has(row.tags, nadb_buf_slice(&w->tag)));
}

nadb_rc redis_walk_row(redis_walk *w, conn *c, nadb_slice key,
                       const redisReply *text, nadb_err *err) {
    bool found = false;
    record rec;
    size_t begin;
    nadb_rc rc = redis_walk_key(w, key, &begin, err);

    if (rc == NADB_OK && w->keys_only)
        rc = record_get_line(c, text, &w->bytes, &rec, &found, err);
    else if (rc == NADB_OK)
        rc = record_get(c, text, &w->bytes, &rec, &found, err);
    if (rc != NADB_OK) return rc;
    if (!found || !is_shown(w, &rec)) {
        w->bytes.n = begin;
        return NADB_OK;
    }
    /* Who has the key alone takes our word for its row. */
    if (w->keys_only) w->bytes.n = begin + 1 + key.n;
    return redis_walk_entry(w, begin, key, rec.version, err);
}

nadb_rc redis_walk_go_on(redis_walk *w, conn *c, nadb_slice key,
                         nadb_err *err) {
    int way = nadb_slice_cmp(key, nadb_buf_slice(&w->from));

    if (w->from_set && (w->reverse ? way > 0 : way < 0))
        return conn_confused(c, err);
    if (w->from_set && way == 0 && !w->from_included)
        return conn_confused(c, err);
    nadb_buf_reset(&w->from);
    w->from_set = true;
    w->from_included = false;
    return nadb_buf_append(&w->from, key.p, key.n) ? NADB_OK : no_memory(err);
}

static void add_bound(args *a, const nadb_buf *key, bool set, bool included,
                      const char *open) {
    if (!set)
        args_text(a, open);
    else
        args_join(a, nadb_slice_str(included ? "[" : "("), nadb_buf_slice(key));
}

static void add_lower(const redis_walk *w, args *a) {
    if (w->from_set && !w->reverse)
        add_bound(a, &w->from, true, w->from_included, "-");
    else
        add_bound(a, &w->lo, w->lo.n > 0, true, "-");
}

static void add_upper(const redis_walk *w, args *a) {
    if (w->from_set && w->reverse)
        add_bound(a, &w->from, true, w->from_included, "+");
    else
        add_bound(a, &w->hi, w->bounded, false, "+");
}

void redis_add_bounds(const redis_walk *w, args *a, bool upper_first) {
    if (upper_first) add_upper(w, a);
    add_lower(w, a);
    if (!upper_first) add_upper(w, a);
}

/* Reads the next page that has an entry, if there is one. */
static nadb_rc load(redis_walk *w, nadb_err *err) {
    patience until;
    conn *c = NULL;
    nadb_rc rc;

    w->at = 0;
    nadb_buf_reset(&w->items);
    nadb_buf_reset(&w->bytes);
    if (w->at_end) return NADB_OK;
    until = redis_patience(w->engine, w->view);
    until.takes_any = until.takes_any || w->takes_any || w->keys_only;
    rc = pool_take_for(w->engine->pool, &until, &c, err);
    while (rc == NADB_OK && !w->at_end && w->items.n == 0) {
        nadb_buf_reset(&w->bytes);
        rc = w->load(w, c, err);
    }
    pool_give(w->engine->pool, c);
    return rc;
}

/* --- moving --- */

static void show(redis_walk *w) {
    nadb_entry *e = &w->base.entry;

    w->base.valid = w->at < item_count(w);
    if (!w->base.valid) return;
    item x = item_at(w, w->at);

    memset(e, 0, sizeof *e);
    e->key = nadb_slice_of(w->bytes.p + x.key, x.key_n);
    e->value = nadb_slice_of(w->bytes.p + x.row, x.row_n);
    e->seq = x.version;
}

static nadb_rc iter_next(nadb_iter *iter, nadb_err *err) {
    redis_walk *w = (redis_walk *)iter;
    nadb_rc rc = NADB_OK;

    if (w->begun && w->at < item_count(w)) w->at++;
    w->begun = true;
    if (w->at >= item_count(w)) rc = load(w, err);
    iter->valid = false;
    if (rc == NADB_OK) show(w);
    return rc;
}

/* Whether the page holds what is next to `key`: it has one on either side. */
static bool seek_in_page(redis_walk *w, nadb_slice key) {
    size_t n = item_count(w), low = 0, high = n;
    int sign = w->reverse ? -1 : 1;

    if (n == 0 || sign * nadb_slice_cmp(key, item_key(w, 0)) < 0 ||
        sign * nadb_slice_cmp(key, item_key(w, n - 1)) > 0)
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (sign * nadb_slice_cmp(item_key(w, middle), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    w->at = low;
    return true;
}

/* Puts the start of the next page at `key`, within the range. */
static nadb_rc aim(redis_walk *w, nadb_slice key, nadb_err *err) {
    nadb_slice lo;
    bool beyond;

    w->from_set = false;
    w->at_end = false;
    if (key.n == 0 || key.p[0] != w->keyspace) {
        beyond = key.n > 0 && key.p[0] > w->keyspace;
        w->at_end = w->reverse ? !beyond : beyond;
        return NADB_OK;
    }
    key = nadb_slice_of(key.p + 1, key.n - 1);
    lo = nadb_buf_slice(&w->lo);
    if (!w->reverse && nadb_slice_cmp(key, lo) <= 0) return NADB_OK;
    if (w->reverse && w->bounded &&
        nadb_slice_cmp(key, nadb_buf_slice(&w->hi)) >= 0)
        return NADB_OK;
    nadb_buf_reset(&w->from);
    w->from_set = true;
    w->from_included = true;
    return nadb_buf_append(&w->from, key.p, key.n) ? NADB_OK : no_memory(err);
}

static nadb_rc iter_seek(nadb_iter *iter, nadb_slice key, nadb_err *err) {
    redis_walk *w = (redis_walk *)iter;
    nadb_rc rc = NADB_OK;

    w->begun = true;
    iter->valid = false;
    if (!seek_in_page(w, key)) {
        rc = aim(w, key, err);
        if (rc == NADB_OK) rc = load(w, err);
    }
    if (rc == NADB_OK) show(w);
    return rc;
}

static void iter_free(nadb_iter *iter) {
    redis_walk *w = (redis_walk *)iter;

    nadb_buf_clear(&w->lo);
    nadb_buf_clear(&w->hi);
    nadb_buf_clear(&w->from);
    nadb_buf_clear(&w->tag);
    nadb_buf_clear(&w->bytes);
    nadb_buf_clear(&w->items);
    args_clear(&w->a);
    args_clear(&w->more);
    nadb_free(w);
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

nadb_rc redis_walk_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, uint8_t keyspace,
                       redis_walk **out, nadb_err *err) {
    static const nadb_iter_ops ops = {iter_next, iter_seek, iter_free};
    static const nadb_iter_ops none = {no_next, no_seek, iter_free};
    redis_walk *w = nadb_calloc(1, sizeof *w);
    nadb_slice lo, hi;

    *out = NULL;
    if (w == NULL) return no_memory(err);
    w->base.ops = &ops;
    w->engine = (redis_engine *)engine;
    w->view = (redis_view *)view;
    w->takes_any = w->view->base.keys_only;
    w->keyspace = keyspace;
    w->reverse = range->reverse;
    w->page_rows = PAGE_ROWS_FIRST;
    w->line_most = REDIS_LINE_FIRST;
    if (!redis_range(keyspace, range->lo, range->hi, &lo, &hi))
        w->base.ops = &none;
    w->bounded = hi.p != NULL;
    if (!nadb_buf_append(&w->lo, lo.p, lo.n) ||
        !nadb_buf_append(&w->hi, hi.p, hi.n)) {
        iter_free(&w->base);
        return no_memory(err);
    }
    *out = w;
    return NADB_OK;
}
