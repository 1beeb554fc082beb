/* check.c - whether index, sets of tags and rows agree, and making them agree;
 * removing what is left of expired rows. All in scripts, a page a call, so that
 * nobody waits long, and each page sees one state of the store. */
#include <stdlib.h>

#include "engine.h"

#define CHECK_ROWS 200
#define SWEEP_ROWS 500u

/* --- sweeping --- */

nadb_rc redis_sweep_on(redis_engine *e, conn *c, size_t rows_max,
                       int64_t *removed, bool *more, nadb_err *err) {
    size_t left = rows_max;
    nadb_rc rc = NADB_OK;
    args a;

    *more = true;
    memset(&a, 0, sizeof a);
    while (rc == NADB_OK && *more && left > 0) {
        size_t n = left < SWEEP_ROWS ? left : SWEEP_ROWS;
        redisReply *r = NULL;

        script_begin(&a, redis_prefix(e));
        args_number(&a, (int64_t)n);
        rc = script_call(e->scripts, c, SCRIPT_SWEEP, &a, &r, err);
        if (rc == NADB_OK && (!script_says(r, "ok") || r->elements != 2 ||
                              r->element[1]->type != REDIS_REPLY_INTEGER))
            rc = conn_confused(c, err);
        if (rc == NADB_OK) {
            *removed += r->element[1]->integer;
            *more = r->element[1]->integer == (long long)n;
            left -= n;
        }
        freeReplyObject(r);
    }
    args_clear(&a);
    return rc;
}

nadb_rc redis_sweep(nadb_engine *engine, size_t rows_max, int64_t *removed,
                    bool *more, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *more = false;
    if (rc != NADB_OK) return rc;
    rc = redis_sweep_on(e, c, rows_max, removed, more, err);
    pool_give(e->pool, c);
    return rc;
}

/* --- checking --- */

/* Who looks, and what becomes of what is found. */
typedef struct checker {
    redis_engine *e;
    conn *c;
    bool repair;
    nadb_report_fn *report;
    void *ctx;
    nadb_buf names; /* of tags: a page of them, as slices' lengths and bytes */
} checker;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to check a Redis store");
}

/* Reports problems, and keeps the tags' names. */
static nadb_rc take_page(checker *k, const redisReply *r, nadb_err *err) {
    for (size_t i = 1; i < r->elements; i++) {
        nadb_slice s = reply_slice(r->element[i]);

        if (!nadb_slice_eq(s, nadb_slice_str("tag"))) {
            if (s.p != NULL && k->report != NULL)
                k->report(k->ctx, r->element[i]->str);
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

/* One page; *from is where it begins, then where the next does. */
static nadb_rc check_page(checker *k, const char *what, nadb_slice tag,
                          nadb_buf *from, bool *more, nadb_err *err) {
    redisReply *r = NULL;
    nadb_slice next;
    args a;
    nadb_rc rc;

    *more = false;
    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(k->e));
    args_text(&a, what);
    args_add(&a, nadb_buf_slice(from));
    args_number(&a, CHECK_ROWS);
    args_text(&a, k->repair ? "repair" : "");
    args_add(&a, tag);
    rc = script_call(k->e->scripts, k->c, SCRIPT_CHECK, &a, &r, err);
    args_clear(&a);
    if (rc == NADB_OK && !reply_is_array(r, 1)) rc = conn_confused(k->c, err);
    if (rc == NADB_OK) rc = take_page(k, r, err);
    if (rc == NADB_OK) {
        next = reply_slice(r->element[0]);
        *more = next.p != NULL;
        nadb_buf_reset(from);
        if (!nadb_buf_append(from, next.p, next.n)) rc = no_memory(err);
    }
    freeReplyObject(r);
    return rc;
}

static nadb_rc check_all(checker *k, const char *what, nadb_slice tag,
                         nadb_err *err) {
    nadb_buf from = NADB_BUF_INIT;
    bool more = true;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && more)
        rc = check_page(k, what, tag, &from, &more, err);
    nadb_buf_clear(&from);
    return rc;
}

/* The members of the tags whose names the last page gave. */
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
    const nadb_slice none = {NULL, 0};
    nadb_buf from = NADB_BUF_INIT;
    bool more = true;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && more) {
        rc = check_page(k, "tags", none, &from, &more, err);
        if (rc == NADB_OK) rc = check_members(k, err);
    }
    nadb_buf_clear(&from);
    return rc;
}

/* First what is registered and should not be, then what should. */
static nadb_rc check_index(checker *k, nadb_err *err) {
    const nadb_slice none = {NULL, 0};
    nadb_rc rc = pool_take(k->e->pool, &k->c, err);

    if (rc == NADB_OK) rc = check_all(k, "expiry", none, err);
    if (rc == NADB_OK) rc = check_all(k, "xtags", none, err);
    if (rc == NADB_OK) rc = check_tags(k, err);
    if (rc == NADB_OK) rc = check_all(k, "keys", none, err);
    pool_give(k->e->pool, k->c);
    nadb_buf_clear(&k->names);
    return rc;
}

nadb_rc redis_repair(redis_engine *e, nadb_err *err) {
    checker k;

    memset(&k, 0, sizeof k);
    k.e = e;
    k.repair = true;
    return check_index(&k, err);
}

/* Reads every row, as a reader would. */
static nadb_rc check_rows(nadb_engine *engine, nadb_report_fn *report,
                          void *ctx, nadb_err *err) {
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    nadb_view *v = NULL;
    nadb_iter *it = NULL;
    nadb_rc rc = redis_view_open(engine, &v, err);

    if (rc == NADB_OK) rc = redis_iter_new(engine, v, &all, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) rc = nadb_iter_next(it, err);
    nadb_iter_free(it);
    redis_view_close(engine, v);
    if (rc != NADB_CORRUPT) return rc;
    report(ctx, err == NULL ? "a row is damaged" : err->msg);
    if (err != NULL) nadb_err_clear(err);
    return NADB_OK;
}

nadb_rc redis_check(nadb_engine *engine, nadb_report_fn *report, void *ctx,
                    nadb_err *err) {
    checker k;
    nadb_rc rc;

    memset(&k, 0, sizeof k);
    k.e = (redis_engine *)engine;
    k.report = report;
    k.ctx = ctx;
    rc = check_index(&k, err);
    return rc == NADB_OK ? check_rows(engine, report, ctx, err) : rc;
}
