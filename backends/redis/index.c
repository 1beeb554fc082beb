/* index.c - walks by tags and expiry, with scripts, a page per round trip. */

#include "../../core/kv/match.h"
#include "../../core/util/coding.h"
#include "engine.h"

#define PAGE_FIRST 32u
/* after so many rows a walk of one tag continues without the script */
#define PAGE_LONG 128u
#define PAGE_MOST 500u
#define SWEEP_MOST 1000000u
#define PAGE_LOOKS 10000u /* maximum of keys that one call examines */

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to scan a Redis store");
}

/* Begins the arguments that are common to all. */
static void begin(redis_walk *w) {
    script_begin(&w->a, redis_prefix(w->engine));
    if (w->view->known)
        args_number(&w->a, (int64_t)w->view->generation);
    else
        args_text(&w->a, "");
    args_text(&w->a, w->reverse ? "r" : "");
}

static nadb_rc send(redis_walk *w, nadb_err *err) {
    return script_send(w->engine->scripts, w->c, w->how->script, &w->a, err);
}

/* Receives the answer; NULL: w->again is set. */
static nadb_rc receive(redis_walk *w, bool alone, redisReply **out,
                       nadb_err *err) {
    nadb_rc rc;

    *out = NULL;
    if (alone) return script_receive(w->c, w->how->script, &w->a, out, err);
    rc = script_take(w->c, out, err);
    if (rc == NADB_CORRUPT && *out == NULL) {
        /* Without other pending answers it can find out which key is
         * damaged. */
        if (err != NULL) nadb_err_clear(err);
        rc = NADB_OK;
    }
    w->again = rc == NADB_OK && *out == NULL;
    return rc;
}

/* Receives a page: at least four elements, the first "page". */
static nadb_rc receive_page(redis_walk *w, bool alone, redisReply **out,
                            nadb_err *err) {
    nadb_rc rc = receive(w, alone, out, err);

    if (rc != NADB_OK || *out == NULL) return rc;
    return redis_take_page(w->engine, w->c, w->view, *out, err);
}

/* The next page begins where the answer says. */
static nadb_rc plan_next(redis_walk *w, const redisReply *r, nadb_slice last,
                         nadb_err *err) {
    w->at_end = r->element[3]->type != REDIS_REPLY_STRING;
    redis_walk_grow(w);
    return w->at_end ? NADB_OK : redis_walk_go_on(w, w->c, last, err);
}

/* --- rows by tags --- */

static void add_tree(args *a, const nadb_match_node *n) {
    static const char *const names[] = {
        [NADB_MATCH_TAG] = "t", [NADB_MATCH_PREFIX] = "p",
        [NADB_MATCH_AND] = "&", [NADB_MATCH_OR] = "|",
        [NADB_MATCH_NOT] = "!",
    };
    int64_t operands = 0;

    args_text(a, names[n->op]);
    if (n->first == NULL) {
        args_copy(a, n->text);
        return;
    }
    for (const nadb_match_node *x = n->first; x != NULL; x = x->next)
        operands++;
    args_number(a, operands);
    for (const nadb_match_node *x = n->first; x != NULL; x = x->next)
        add_tree(a, x);
}

static nadb_rc ask_matches(redis_walk *w, nadb_err *err) {
    if (w->tag.n > 0 && w->page_rows >= PAGE_LONG / w->of) {
        w->how = &redis_load_rows;
        return w->how->ask(w, err);
    }
    begin(w);
    redis_add_bounds(w, &w->a, false);
    args_number(&w->a, w->page_rows);
    args_number(&w->a, PAGE_LOOKS / w->of);
    args_number(&w->a, (int64_t)w->bytes_most);
    args_text(&w->a, w->keys_only ? "k" : "");
    args_append(&w->a, &w->more);
    return send(w, err);
}

static nadb_rc answer_matches(redis_walk *w, bool alone, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = receive_page(w, alone, &r, err);

    if (rc != NADB_OK || w->again) {
        freeReplyObject(r);
        return rc;
    }
    for (size_t i = 4; rc == NADB_OK && i + 1 < r->elements; i += 2)
        rc = redis_walk_row(w, w->c, reply_slice(r->element[i]),
                            r->element[i + 1], err);
    if (rc == NADB_OK) rc = plan_next(w, r, reply_slice(r->element[3]), err);
    freeReplyObject(r);
    return rc;
}

static const redis_loader load_matches = {SCRIPT_MATCH, ask_matches,
                                          answer_matches, NULL, NULL};
static const redis_loader load_tag = {SCRIPT_TAG, ask_matches, answer_matches,
                                      NULL, NULL};

nadb_rc redis_match(nadb_engine *engine, nadb_view *view, const nadb_match *m,
                    const nadb_range *range, bool keys_only, nadb_iter **out,
                    nadb_err *err) {
    redis_walk *w = NULL;
    nadb_rc rc = redis_walk_new(engine, view, range, NADB_KS_ROW, &w, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    w->how = &load_matches;
    redis_walk_pages(w, PAGE_FIRST, PAGE_MOST);
    w->keys_only = keys_only;
    add_tree(&w->more, m->root);
    *out = &w->base;
    if (m->root->op != NADB_MATCH_TAG) return NADB_OK;
    w->how = &load_tag;
    if (nadb_buf_append(&w->tag, m->root->text.p, m->root->text.n))
        return NADB_OK;
    nadb_iter_free(*out);
    *out = NULL;
    return no_memory(err);
}

/* --- counts of tags --- */

static nadb_rc add_count(redis_walk *w, nadb_slice tag, uint64_t count,
                         nadb_err *err) {
    size_t start;
    nadb_rc rc = redis_walk_key(w, tag, &start, err);

    if (rc != NADB_OK) return rc;
    if (!nadb_buf_varint(&w->bytes, count)) return no_memory(err);
    return redis_walk_entry(w, start, tag, 0, err);
}

static void add_counts(redis_walk *w, const char *all) {
    begin(w);
    redis_add_bounds(w, &w->a, false);
    args_number(&w->a, w->page_rows);
    args_number(&w->a, nadb_os_get()->now_ms());
    args_text(&w->a, all);
}

static nadb_rc ask_counts(redis_walk *w, nadb_err *err) {
    add_counts(w, "");
    return send(w, err);
}

/* Sets of tags may still have keys that the server has expired. They are
 * removed, if this client may write; what is left is counted key by key. */
static nadb_rc sweep_and_count(redis_walk *w, redisReply **out, nadb_err *err) {
    int64_t removed = 0;
    bool more;
    nadb_rc rc = NADB_OK;

    (void)redis_sweep_on(w->engine, w->c, SWEEP_MOST, NULL, &removed, &more,
                         NULL);
    if (!conn_is_open(w->c)) rc = pool_reopen(w->engine->pool, w->c, err);
    add_counts(w, "all");
    if (rc == NADB_OK) rc = send(w, err);
    return rc == NADB_OK ? receive_page(w, true, out, err) : rc;
}

static nadb_rc answer_counts(redis_walk *w, bool alone, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = receive(w, alone, &r, err);

    if (rc == NADB_OK && r != NULL && script_says(r, "sweep")) {
        freeReplyObject(r);
        r = NULL;
        w->again = !alone;
        if (alone) rc = sweep_and_count(w, &r, err);
    } else if (rc == NADB_OK && r != NULL) {
        rc = redis_take_page(w->engine, w->c, w->view, r, err);
    }
    if (rc != NADB_OK || w->again) {
        freeReplyObject(r);
        return rc;
    }
    for (size_t i = 4; rc == NADB_OK && i + 1 < r->elements; i += 2)
        rc = add_count(w, reply_slice(r->element[i]),
                       reply_number_or_0(r->element[i + 1]), err);
    if (rc == NADB_OK) rc = plan_next(w, r, reply_slice(r->element[3]), err);
    freeReplyObject(r);
    return rc;
}

static const redis_loader load_counts = {SCRIPT_COUNTS, ask_counts,
                                         answer_counts, NULL, NULL};

static nadb_rc walk_index(nadb_engine *engine, nadb_view *view,
                          const nadb_range *range, uint8_t keyspace,
                          const redis_loader *how, nadb_iter **out,
                          nadb_err *err) {
    redis_walk *w = NULL;
    nadb_rc rc = redis_walk_new(engine, view, range, keyspace, &w, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    w->how = how;
    w->rows_most = PAGE_MOST;
    *out = &w->base;
    return NADB_OK;
}

nadb_rc redis_tags_new(nadb_engine *engine, nadb_view *view,
                       const nadb_range *range, nadb_iter **out,
                       nadb_err *err) {
    return walk_index(engine, view, range, NADB_KS_COUNT, &load_counts, out,
                      err);
}

nadb_rc redis_get_count(nadb_engine *engine, nadb_view *view, nadb_slice key,
                        nadb_buf *value, nadb_entry *out, bool *found,
                        nadb_err *err) {
    nadb_buf after = NADB_BUF_INIT;
    nadb_iter *it = NULL;
    nadb_range one = {key, key, false};
    nadb_rc rc = NADB_OK;

    nadb_buf_reset(value);
    if (!nadb_buf_append(&after, key.p, key.n) || !nadb_buf_byte(&after, 0))
        rc = no_memory(err);
    one.hi = nadb_buf_slice(&after);
    if (rc == NADB_OK) rc = engine->ops->iter(engine, view, &one, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    if (rc == NADB_OK && it->valid) {
        *out = it->entry;
        if (!nadb_buf_append(value, out->value.p, out->value.n))
            rc = no_memory(err);
        out->key = key;
        out->value = nadb_buf_slice(value);
        *found = rc == NADB_OK;
    }
    nadb_iter_free(it);
    nadb_buf_clear(&after);
    return rc;
}

/* --- keys by expiry --- */

#define TIME_BYTES 8u
#define SIGN ((uint64_t)1 << 63)

static int64_t time_of(nadb_slice key) {
    uint64_t v = 0;

    for (size_t i = 0; i < TIME_BYTES; i++)
        v = v << 8 | (i < key.n ? key.p[i] : 0);
    return (int64_t)(v ^ SIGN);
}

/* Adds where the page begins: a time, a key there, and whether that key is
 * excluded. */
static void add_place(redis_walk *w) {
    bool from = w->from_set;
    const nadb_buf *b = from ? &w->from : w->reverse ? &w->hi : &w->lo;
    bool set = from || (w->reverse ? w->bounded : w->lo.n > 0);
    bool included = from ? w->from_included : !w->reverse;
    nadb_slice key = nadb_buf_slice(b);

    if (!set) {
        args_text(&w->a, "");
        args_text(&w->a, "");
        args_text(&w->a, "");
        return;
    }
    args_number(&w->a, time_of(key));
    if (key.n > TIME_BYTES)
        args_add(&w->a, nadb_slice_of(key.p + TIME_BYTES, key.n - TIME_BYTES));
    else
        args_text(&w->a, "");
    args_text(&w->a, included ? "" : "x");
}

/* False behind the end of the range, which ends the walk. */
static bool in_range(const redis_walk *w, nadb_slice key) {
    if (w->reverse) return nadb_slice_cmp(key, nadb_buf_slice(&w->lo)) >= 0;
    return !w->bounded || nadb_slice_cmp(key, nadb_buf_slice(&w->hi)) < 0;
}

static nadb_rc add_expiry(redis_walk *w, nadb_slice key, int64_t time,
                          nadb_buf *inner, nadb_err *err) {
    uint64_t v = (uint64_t)time ^ SIGN;
    uint8_t head[TIME_BYTES];
    size_t start;
    nadb_rc rc;

    for (size_t i = 0; i < TIME_BYTES; i++)
        head[i] = (uint8_t)(v >> (8 * (TIME_BYTES - 1 - i)));
    nadb_buf_reset(inner);
    if (!nadb_buf_append(inner, head, sizeof head) ||
        !nadb_buf_append(inner, key.p, key.n))
        return no_memory(err);
    if (!in_range(w, nadb_buf_slice(inner))) {
        w->at_end = true;
        return NADB_OK;
    }
    rc = redis_walk_key(w, nadb_buf_slice(inner), &start, err);
    if (rc != NADB_OK) return rc;
    return redis_walk_entry(w, start, nadb_buf_slice(inner), 0, err);
}

/* Puts the keys of a page's first n rows into w->row_list. */
static nadb_rc list_rows(redis_walk *w, const redisReply *r, size_t n,
                         nadb_err *err) {
    nadb_buf *text = &w->row_keys, *list = &w->row_list;

    nadb_buf_reset(text);
    nadb_buf_reset(list);
    for (size_t i = 0; i < n; i++) {
        nadb_slice key = reply_slice(r->element[4 + 2 * i]);

        key.n++; /* includes the keyspace byte */
        if (!nadb_buf_byte(text, NADB_KS_ROW) ||
            !nadb_buf_append(text, key.p, key.n - 1) ||
            !nadb_buf_append(list, &key, sizeof key))
            return no_memory(err);
    }
    /* The text no longer moves. */
    for (size_t i = 0, at = 0; i < n; i++) {
        nadb_slice *key = (nadb_slice *)(void *)list->p + i;

        key->p = text->p + at;
        at += key->n;
    }
    return NADB_OK;
}

static nadb_rc ask_expiry(redis_walk *w, nadb_err *err) {
    begin(w);
    add_place(w);
    args_number(&w->a, w->page_rows);
    return send(w, err);
}

static nadb_rc take_expiry(redis_walk *w, const redisReply *r, nadb_err *err) {
    nadb_buf inner = NADB_BUF_INIT;
    size_t before = w->items.n, taken = 0;
    bool past = false;
    nadb_rc rc = NADB_OK;

    for (size_t i = 4; rc == NADB_OK && !past && i + 1 < r->elements; i += 2) {
        rc = add_expiry(w, reply_slice(r->element[i]),
                        (int64_t)reply_number_or_0(r->element[i + 1]), &inner,
                        err);
        past = w->at_end;
        if (w->items.n > before) taken++;
        before = w->items.n;
    }
    if (rc == NADB_OK) rc = list_rows(w, r, taken, err);
    if (rc == NADB_OK && !past)
        rc = plan_next(w, r, nadb_buf_slice(&inner), err);
    nadb_buf_clear(&inner);
    return rc;
}

static nadb_rc answer_expiry(redis_walk *w, bool alone, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = receive_page(w, alone, &r, err);

    if (rc == NADB_OK && !w->again) rc = take_expiry(w, r, err);
    freeReplyObject(r);
    return rc;
}

/* Requests the rows of a page, which the reader of a walk by expiry gets
 * next. */
static nadb_rc ask_expiring(redis_walk *w, nadb_err *err) {
    const nadb_slice *keys = (const nadb_slice *)(void *)w->row_list.p;
    size_t n = w->row_list.n / sizeof *keys;
    nadb_rc rc = NADB_OK;

    redis_prefetch_begin(&w->rows, w->engine, w->view);
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        rc = redis_prefetch_add(&w->rows, keys[i], err);
    return rc == NADB_OK ? redis_prefetch_send(&w->rows, w->c, err) : rc;
}

static nadb_rc answer_expiring(redis_walk *w, nadb_err *err) {
    return redis_prefetch_receive(&w->rows, err);
}

static const redis_loader load_expiry = {
    SCRIPT_EXPIRY, ask_expiry, answer_expiry, ask_expiring, answer_expiring};

nadb_rc redis_expiry_new(nadb_engine *engine, nadb_view *view,
                         const nadb_range *range, nadb_iter **out,
                         nadb_err *err) {
    return walk_index(engine, view, range, NADB_KS_EXPIRY, &load_expiry, out,
                      err);
}
