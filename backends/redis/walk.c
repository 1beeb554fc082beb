/* walk.c - the common part of iterators: a page of entries in memory, moving in
 * it, and loading the next one.
 *
 * Pages grow, so that LIMIT 1 reads little and a full scan makes few round
 * trips. Rows that were inserted after the view began are left out, so that a
 * statement which inserts while it reads comes to an end.
 *
 * How a page is loaded is one of four loaders (redis_loader); everything else
 * of a walk is shared. The feed of changes (feed.c) has its own walk, because
 * it has no keys to seek. */
#include "../../core/kv/row.h"
#include "engine.h"

#define PAGE_ROWS_FIRST 16u
#define PAGE_ROWS_MOST 512u

#define PART_ROWS_MOST 64u
#define PART_BYTES_LEAST (256u << 10)

/* A part of a page has some rows more than its share. A hash distributes the
 * keys, so the parts that a page needs differ by about the root of the share;
 * and a row is returned only when the next one of its shard is known. A part
 * that ends before the page costs a round trip. */
static unsigned part_of(unsigned rows, unsigned n) {
    unsigned more = 0; /* twice the root */

    while (n * (more + 1) * (more + 1) <= 4 * rows) more++;
    more += 2 + rows / n;
    return more < rows ? more : rows;
}

typedef struct item {
    size_t key, key_n; /* in redis_walk.bytes; with the keyspace byte */
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
    return w->shown_items.n / sizeof(item);
}

static item item_at(const redis_walk *w, size_t i) {
    item x;

    memcpy(&x, w->shown_items.p + i * sizeof x, sizeof x);
    return x;
}

static nadb_slice item_key(const redis_walk *w, size_t i) {
    item x = item_at(w, i);

    return nadb_slice_of(w->shown.p + x.key, x.key_n);
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

/* True if the walk shows the row. It may have lost the tag since the set of the
 * tag was read; expired rows are left out for readers that do not check, and a
 * row in a shard that is not its own because no lookup finds it (nadb_check
 * reports it). */
static bool is_shown(const redis_walk *w, nadb_slice key, const record *rec) {
    nadb_row row;

    if (w->of > 1 && redis_home(w->engine, key) != w->engine->shard)
        return false;
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
    rc = redis_name_damage(w->engine, c, w->view->generation, "r:", key, rc,
                           err);
    if (rc != NADB_OK) return rc;
    if (!found || !is_shown(w, key, &rec)) {
        w->bytes.n = begin;
        return NADB_OK;
    }
    /* A reader of keys alone does not look at the row. */
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

void redis_walk_pages(redis_walk *w, unsigned first, unsigned most) {
    unsigned wanted = w->view->base.rows_wanted;

    w->page_rows = wanted == 0 ? first : wanted < most ? wanted : most;
    w->rows_second = first;
    w->rows_most = most;
}

void redis_walk_grow(redis_walk *w) {
    if (w->bytes.n >= w->bytes_most / 4) return;
    w->page_rows = 2 * w->page_rows;
    if (w->page_rows < w->rows_second) w->page_rows = w->rows_second;
    if (w->page_rows > w->rows_most) w->page_rows = w->rows_most;
}

/* --- loading --- */

static void forget_loading(redis_walk *w) {
    freeReplyObject(w->keys);
    w->keys = NULL;
    nadb_buf_reset(&w->items);
    nadb_buf_reset(&w->bytes);
}

/* True if the walk has no entry although there may be one. */
static bool wants_page(const redis_walk *w) {
    return !w->at_end && w->items.n == 0;
}

/* Loads again, without answers of other walks in between. */
static nadb_rc load_again(redis_walk *w, nadb_err *err) {
    nadb_rc rc = w->how->ask(w, err);

    w->again = false;
    return rc == NADB_OK ? w->how->answer(w, true, err) : rc;
}

/* With `apart` each walk has its own connection, and what it sends leaves at
 * once. */
static nadb_rc ask_all(redis_walk *const *list, size_t n, bool apart,
                       nadb_err *err) {
    nadb_rc rc = NADB_OK;

    /* Loading a script needs a round trip of its own. */
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        if (list[i]->how->script != SCRIPT_COUNT)
            rc = script_learn(list[i]->engine->scripts, list[i]->c,
                              list[i]->how->script, err);
    for (size_t i = 0; i < n && rc == NADB_OK; i++) {
        list[i]->again = list[i]->in_doubt = false;
        rc = list[i]->how->ask(list[i], err);
        if (rc == NADB_OK && apart) rc = conn_push(list[i]->c, err);
    }
    return rc;
}

static nadb_rc answer_all(redis_walk *const *list, size_t n, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        rc = list[i]->how->answer(list[i], n == 1, err);
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        if (list[i]->again) rc = load_again(list[i], err);
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        if (list[i]->in_doubt)
            rc = redis_verify(list[i]->engine, list[i]->c, err);
    return rc;
}

static nadb_rc load_rows(redis_walk *const *list, size_t n, bool apart,
                         nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < n && rc == NADB_OK; i++) {
        if (list[i]->how->ask_rows == NULL) continue;
        rc = list[i]->how->ask_rows(list[i], err);
        if (rc == NADB_OK && apart) rc = conn_push(list[i]->c, err);
    }
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        if (list[i]->how->ask_rows != NULL)
            rc = list[i]->how->answer_rows(list[i], err);
    for (size_t i = 0; i < n; i++)
        rc = redis_prefetch_end(&list[i]->rows, rc, err);
    return rc;
}

/* In the order of shards: so no thread waits for a connection of a shard below
 * one whose connection it holds. */
static nadb_rc take_connections(redis_walk *const *list, size_t n, bool apart,
                                nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < n && rc == NADB_OK; i++) {
        redis_walk *w = list[i];
        patience until = redis_patience(w->engine, w->view);

        until.takes_any = until.takes_any || w->takes_any || w->keys_only;
        if (i > 0 && !apart)
            w->c = list[0]->c;
        else
            rc = pool_take_for(w->engine->pool, &until, &w->c, err);
    }
    return rc;
}

/* Loads until each walk has an entry or is at its end. Walks at work are moved
 * to the front of `active`. */
static nadb_rc load_all(redis_walk *const *list, size_t n, redis_walk **active,
                        bool apart, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (;;) {
        size_t n_active = 0;

        for (size_t i = 0; i < n; i++)
            if (wants_page(list[i])) active[n_active++] = list[i];
        if (n_active == 0 || rc != NADB_OK) return rc;
        for (size_t i = 0; i < n_active; i++) forget_loading(active[i]);
        rc = ask_all(active, n_active, apart, err);
        if (rc == NADB_OK) rc = answer_all(active, n_active, err);
        if (rc == NADB_OK) rc = load_rows(active, n_active, apart, err);
    }
}

nadb_rc redis_walks_load(redis_walk *const *list, size_t n, nadb_err *err) {
    redis_walk **active;
    bool apart;
    nadb_rc rc;

    if (n == 0) return NADB_OK;
    active = nadb_calloc(n, sizeof *active);
    if (active == NULL) return no_memory(err);
    apart = n > 1 && list[0]->engine->at.cluster;
    for (size_t i = 0; i < n; i++) list[i]->c = NULL;
    rc = take_connections(list, n, apart, err);
    if (rc == NADB_OK) rc = load_all(list, n, active, apart, err);
    for (size_t i = 0; i < n; i++) {
        if (rc != NADB_OK) forget_loading(list[i]);
        if (i == 0 || apart) pool_give(list[i]->engine->pool, list[i]->c);
        list[i]->c = NULL;
    }
    nadb_free(active);
    return rc;
}

/* --- moving --- */

/* Makes the loaded page the present one. */
static void turn(redis_walk *w) {
    nadb_buf bytes = w->shown, items = w->shown_items;

    w->shown = w->bytes;
    w->shown_items = w->items;
    w->bytes = bytes;
    w->items = items;
    nadb_buf_reset(&w->bytes);
    nadb_buf_reset(&w->items);
    w->at = 0;
}

static void show(redis_walk *w) {
    nadb_entry *e = &w->base.entry;

    w->base.valid = w->at < item_count(w);
    if (!w->base.valid) return;
    item x = item_at(w, w->at);

    memset(e, 0, sizeof *e);
    e->key = nadb_slice_of(w->shown.p + x.key, x.key_n);
    e->value = nadb_slice_of(w->shown.p + x.row, x.row_n);
    e->seq = x.version;
}

bool redis_walk_step(redis_walk *w) {
    if (w->begun && w->at < item_count(w)) w->at++;
    w->begun = true;
    if (w->at >= item_count(w)) {
        w->base.valid = false;
        if (wants_page(w)) return false;
        turn(w);
    }
    show(w);
    return true;
}

/* Loads what a step needs. */
static nadb_rc load_alone(redis_walk *w, nadb_err *err) {
    redis_walk *const list[] = {w};
    nadb_rc rc = redis_walks_load(list, 1, err);

    if (rc == NADB_OK) (void)redis_walk_step(w);
    return rc;
}

static nadb_rc iter_next(nadb_iter *iter, nadb_err *err) {
    redis_walk *w = (redis_walk *)iter;

    return redis_walk_step(w) ? NADB_OK : load_alone(w, err);
}

/* True if the page decides what is next to `key`: it has a key on either
 * side. */
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

/* Makes the next page begin at `key`, within the range. */
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

nadb_rc redis_walk_aim(redis_walk *w, nadb_slice key, bool *there,
                       nadb_err *err) {
    nadb_rc rc;

    *there = seek_in_page(w, key);
    w->begun = true;
    w->base.valid = false;
    if (*there) {
        show(w);
        return NADB_OK;
    }
    /* The next step continues behind the page. */
    w->at = item_count(w);
    forget_loading(w);
    rc = aim(w, key, err);
    *there = w->at_end;
    return rc;
}

static nadb_rc iter_seek(nadb_iter *iter, nadb_slice key, nadb_err *err) {
    redis_walk *w = (redis_walk *)iter;
    bool there;
    nadb_rc rc = redis_walk_aim(w, key, &there, err);

    return rc == NADB_OK && !there ? load_alone(w, err) : rc;
}

/* When a quarter of a page was read: so when one walk is at its end, nearly all
 * are loaded together. */
bool redis_walk_runs_low(const redis_walk *w) {
    return wants_page(w) && w->how->script != SCRIPT_EXPIRY &&
           4 * w->at >= item_count(w);
}

static void iter_free(nadb_iter *iter) {
    redis_walk *w = (redis_walk *)iter;

    nadb_buf_clear(&w->lo);
    nadb_buf_clear(&w->hi);
    nadb_buf_clear(&w->from);
    nadb_buf_clear(&w->tag);
    forget_loading(w);
    nadb_buf_clear(&w->bytes);
    nadb_buf_clear(&w->items);
    nadb_buf_clear(&w->shown);
    nadb_buf_clear(&w->shown_items);
    nadb_buf_clear(&w->row_keys);
    nadb_buf_clear(&w->row_list);
    args_clear(&w->a);
    args_clear(&w->more);
    nadb_free(w);
}

/* An empty range needs no server. */
static nadb_rc no_next(nadb_iter *iter, nadb_err *err) {
    (void)err;
    iter->valid = false;
    return NADB_OK;
}

static nadb_rc no_seek(nadb_iter *iter, nadb_slice key, nadb_err *err) {
    (void)key;
    return no_next(iter, err);
}

void redis_walk_share(redis_walk *w, unsigned n) {
    /* Every shard has all tags. */
    if (n < 2 || w->keyspace == NADB_KS_COUNT) return;
    w->of = n;
    w->page_rows = part_of(w->page_rows, n);
    w->rows_second = part_of(w->rows_second, n);
    w->rows_most /= n;
    if (w->rows_most < PART_ROWS_MOST) w->rows_most = PART_ROWS_MOST;
    w->bytes_most /= n;
    if (w->bytes_most < PART_BYTES_LEAST) w->bytes_most = PART_BYTES_LEAST;
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
    redis_walk_pages(w, PAGE_ROWS_FIRST, PAGE_ROWS_MOST);
    w->bytes_most = REDIS_PAGE_BYTES;
    w->of = 1;
    w->how = &redis_load_rows;
    w->line_most = REDIS_LINE_FIRST;
    if (!redis_range(keyspace, range->lo, range->hi, &lo, &hi)) {
        w->base.ops = &none;
        w->at_end = true;
    }
    w->bounded = hi.p != NULL;
    if (!nadb_buf_append(&w->lo, lo.p, lo.n) ||
        !nadb_buf_append(&w->hi, hi.p, hi.n)) {
        iter_free(&w->base);
        return no_memory(err);
    }
    *out = w;
    return NADB_OK;
}
