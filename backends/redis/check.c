/* check.c - compares index, sets of tags and rows, and repairs them. All in
 * scripts, a page per call, so that other clients do not wait long; each page
 * sees one state of the store. Loops are bounded, so a faulty server gives an
 * error. */
#include <stdio.h>

#include "feed.h"

#define CHECK_ROWS 200

/* Number of pages of the largest store that a server can hold. */
#define PAGES_MOST (REDIS_KEYS_MOST / CHECK_ROWS)
/* Maximum of repaired pages in a row that leave something to repair. */
#define STILL_MOST 1000u

/* The walk, and what is done with findings. */
typedef struct checker {
    redis_engine *e;
    conn *c;
    bool repair;
    const nadb_stop *stop;
    nadb_report_fn *report;
    void *ctx;
    nadb_buf names; /* a page of names of tags, as lengths and bytes */
} checker;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to check a Redis store");
}

/* Reports problems and keeps the names of tags. A problem must have a text,
 * because an empty one would read as no problem. */
static nadb_rc take_page(checker *k, const redisReply *r, nadb_err *err) {
    for (size_t i = 1; i < r->elements; i++) {
        nadb_slice s = reply_slice(r->element[i]);

        if (s.n == 0 || s.p[0] == 0) return conn_confused(k->c, err);
        if (!nadb_slice_eq(s, nadb_slice_str("tag"))) {
            if (k->report != NULL) k->report(k->ctx, r->element[i]->str);
            continue;
        }
        if (++i == r->elements) return conn_confused(k->c, err);
        s = reply_slice(r->element[i]);
        if (!nadb_buf_append(&k->names, &s.n, sizeof s.n) ||
            !nadb_buf_append(&k->names, s.p, s.n))
            return no_memory(err);
    }
    return NADB_OK;
}

/* The position of a walk. */
typedef struct place {
    const char *what;
    nadb_slice tag;
    nadb_buf from; /* where the next page begins */
    bool more;
    uint64_t pages, still;
    nadb_buf mark; /* an earlier position, used if pages have no known order */
} place;

static void place_begin(place *p, const char *what, nadb_slice tag) {
    memset(p, 0, sizeof *p);
    p->what = what;
    p->tag = tag;
    p->more = true;
}

static void place_end(place *p) {
    nadb_buf_clear(&p->from);
    nadb_buf_clear(&p->mark);
}

/* Text that is not a number counts as 0. */
static int64_t number_of(nadb_slice s) {
    int64_t v;

    return nadb_integer_of(s, &v) ? v : 0;
}

/* True if continuing at `next` makes progress. */
static bool leads_on(const checker *k, place *p, nadb_slice next) {
    nadb_slice from = nadb_buf_slice(&p->from);

    if (++p->pages > PAGES_MOST) return false;
    if (strcmp(p->what, "expiry") == 0) {
        /* `next` is the number of entries to skip. A repair removes entries, so
         * the number may stay the same, for a bounded number of pages. */
        if (number_of(next) > number_of(from)) return true;
        return k->repair && number_of(next) == number_of(from) &&
               ++p->still <= STILL_MOST;
    }
    if (strcmp(p->what, "xtags") != 0) return nadb_slice_cmp(next, from) > 0;
    /* The server's cursor: a repeated one would be a circle. */
    return p->pages == 1 || !nadb_slice_eq(next, nadb_buf_slice(&p->mark));
}

static nadb_rc go_on(const checker *k, place *p, nadb_slice next,
                     nadb_err *err) {
    p->more = next.p != NULL;
    if (!p->more) return NADB_OK;
    if (!leads_on(k, p, next)) return conn_confused(k->c, err);
    nadb_buf_reset(&p->from);
    if (!nadb_buf_append(&p->from, next.p, next.n)) return no_memory(err);
    if ((p->pages & (p->pages - 1)) != 0) return NADB_OK;
    nadb_buf_reset(&p->mark);
    return nadb_buf_append(&p->mark, next.p, next.n) ? NADB_OK : no_memory(err);
}

static nadb_rc check_page(checker *k, place *p, nadb_err *err) {
    redisReply *r = NULL;
    args a;
    nadb_rc rc = nadb_stopped(k->stop, err);

    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(k->e));
    args_text(&a, p->what);
    args_add(&a, nadb_buf_slice(&p->from));
    args_number(&a, CHECK_ROWS);
    args_text(&a, k->repair ? "repair" : "");
    args_add(&a, p->tag);
    rc = script_call(k->e->scripts, k->c, SCRIPT_CHECK, &a, &r, err);
    args_clear(&a);
    if (rc == NADB_OK && !reply_is_array(r, 1)) rc = conn_confused(k->c, err);
    if (rc == NADB_OK) rc = take_page(k, r, err);
    if (rc == NADB_OK) rc = go_on(k, p, reply_slice(r->element[0]), err);
    freeReplyObject(r);
    return rc;
}

static nadb_rc check_all(checker *k, const char *what, nadb_slice tag,
                         nadb_err *err) {
    nadb_rc rc = NADB_OK;
    place p;

    place_begin(&p, what, tag);
    while (rc == NADB_OK && p.more) rc = check_page(k, &p, err);
    place_end(&p);
    return rc;
}

/* Checks the members of the tags whose names the last page gave. */
static nadb_rc check_members(checker *k, nadb_err *err) {
    nadb_buf names = k->names;
    size_t at = 0;
    nadb_rc rc = NADB_OK;

    memset(&k->names, 0, sizeof k->names);
    while (rc == NADB_OK && at < names.n) {
        size_t n;

        memcpy(&n, names.p + at, sizeof n);
        at += sizeof n;
        rc = check_all(k, "members", nadb_slice_of(names.p + at, n), err);
        at += n;
    }
    nadb_buf_clear(&names);
    return rc;
}

static nadb_rc check_tags(checker *k, nadb_err *err) {
    nadb_rc rc = NADB_OK;
    place p;

    place_begin(&p, "tags", nadb_slice_of(NULL, 0));
    while (rc == NADB_OK && p.more) {
        rc = check_page(k, &p, err);
        if (rc == NADB_OK) rc = check_members(k, err);
    }
    place_end(&p);
    return rc;
}

/* Checks first for surplus entries, then for missing ones. *whole: all keys of
 * the store exist and have the right type; otherwise nothing more can be
 * checked. */
static nadb_rc check_index(checker *k, bool *whole, nadb_err *err) {
    const nadb_slice none = {NULL, 0};
    nadb_rc rc = pool_take(k->e->pool, &k->c, err);

    *whole = true;
    if (rc == NADB_OK && !k->repair)
        rc = redis_look(k->e, k->c, k->report, k->ctx, whole, err);
    if (rc == NADB_OK && !*whole) {
        pool_give(k->e->pool, k->c);
        return NADB_OK;
    }
    if (rc == NADB_OK) rc = check_all(k, "expiry", none, err);
    if (rc == NADB_OK) rc = check_all(k, "xtags", none, err);
    if (rc == NADB_OK) rc = check_tags(k, err);
    if (rc == NADB_OK) rc = check_all(k, "keys", none, err);
    pool_give(k->e->pool, k->c);
    nadb_buf_clear(&k->names);
    return rc;
}

nadb_rc redis_repair(redis_engine *e, const nadb_stop *stop, nadb_err *err) {
    checker k;
    bool whole;

    memset(&k, 0, sizeof k);
    k.e = e;
    k.repair = true;
    k.stop = stop;
    return check_index(&k, &whole, err);
}

/* Reads every row as a reader would. In a shard, it also reports rows that
 * belong to another shard, because no lookup finds them here. For that it reads
 * rows of all versions: a row that was copied from another store has a version
 * of that store, which may be later than the view. */
static nadb_rc check_rows(nadb_engine *engine, nadb_report_fn *report,
                          void *ctx, nadb_err *err) {
    const redis_engine *e = (const redis_engine *)engine;
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    char shown[NADB_KEY_SHOWN];
    nadb_view *v = NULL;
    nadb_iter *it = NULL;
    nadb_rc rc = redis_view_open(engine, &v, err);

    if (rc == NADB_OK) rc = redis_iter_new(engine, v, &all, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    if (rc == NADB_OK && e->of > 1) {
        v->seq = UINT64_MAX;
        rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    }
    for (; rc == NADB_OK && it->valid; rc = nadb_iter_next(it, err)) {
        nadb_slice key = it->entry.key;
        unsigned home;

        key = nadb_slice_of(key.p + 1, key.n - 1);
        home = redis_home(e, key);
        if (home == e->shard) continue;
        nadb_report(report, ctx,
                    "key '%s' is in this shard and belongs to shard %u",
                    nadb_key_show(key, shown), home);
    }
    nadb_iter_free(it);
    redis_view_close(engine, v);
    if (rc != NADB_CORRUPT) return rc;
    report(ctx, err == NULL ? "a row is damaged" : err->msg);
    if (err != NULL) nadb_err_clear(err);
    return NADB_OK;
}

/* Counts reports: with a damaged row the sums are wrong, too. */
typedef struct tally {
    nadb_report_fn *report;
    void *ctx;
    size_t n;
} tally;

static void report_counted(void *ctx, const char *what) {
    tally *t = ctx;

    t->n++;
    t->report(t->ctx, what);
}

nadb_rc redis_check(nadb_engine *engine, nadb_report_fn *report, void *ctx,
                    nadb_err *err) {
    tally found = {report, ctx, 0};
    patience_operation o;
    checker k;
    bool whole;
    nadb_rc rc;

    memset(&k, 0, sizeof k);
    k.e = (redis_engine *)engine;
    k.report = report_counted;
    k.ctx = &found;
    patience_operation_begin(&o);
    rc = check_index(&k, &whole, err);
    if (rc == NADB_OK && whole)
        rc = check_rows(engine, report_counted, &found, err);
    if (rc == NADB_OK && whole && found.n == 0)
        rc = redis_check_sum((redis_engine *)engine, report, ctx, err);
    patience_operation_end(&o);
    return rc;
}
