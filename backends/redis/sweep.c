/* sweep.c - removes what is no longer needed, a bounded step per call so that
 * other clients do not wait long: what is left of expired rows, and what a
 * clear has left. Loops are bounded, so a faulty server gives an error. */
#include "feed.h"

#define SWEEP_ROWS 500u
#define CLEAN_ROWS 500
#define CLEAN_AGE_MS 60000
/* Maximum of generations without rows; each takes a step. */
#define CLEAN_EMPTY_MOST 1000u

/* The number behind the first word of an answer; -1 if it is not possible. */
static long long count_of(const redisReply *r, size_t most) {
    if (!reply_is_array(r, 2) || r->element[1]->type != REDIS_REPLY_INTEGER ||
        r->element[1]->integer > (long long)most)
        return -1;
    return r->element[1]->integer;
}

static nadb_rc sweep_step(redis_engine *e, conn *c, size_t rows, args *a,
                          long long *n, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc;

    script_begin(a, redis_prefix(e));
    args_number(a, (int64_t)rows);
    rc = script_call(e->scripts, c, SCRIPT_SWEEP, a, &r, err);
    *n = rc == NADB_OK && script_says(r, "ok") ? count_of(r, rows) : -1;
    if (rc == NADB_OK && *n < 0) rc = conn_confused(c, err);
    freeReplyObject(r);
    return rc;
}

nadb_rc redis_sweep_on(redis_engine *e, conn *c, size_t rows_max,
                       const nadb_stop *stop, int64_t *removed, bool *more,
                       nadb_err *err) {
    uint64_t left = rows_max < REDIS_KEYS_MOST ? rows_max : REDIS_KEYS_MOST;
    nadb_rc rc = NADB_OK;
    args a;

    *more = true;
    memset(&a, 0, sizeof a);
    while (rc == NADB_OK && *more && left > 0) {
        size_t rows = left < SWEEP_ROWS ? (size_t)left : SWEEP_ROWS;
        long long n;

        rc = sweep_step(e, c, rows, &a, &n, err);
        if (rc == NADB_OK) {
            *removed += n;
            *more = n == (long long)rows;
            left -= rows;
            rc = nadb_stopped(stop, err);
        }
    }
    args_clear(&a);
    return rc;
}

nadb_rc redis_sweep(nadb_engine *engine, size_t rows_max, int64_t *removed,
                    bool *more, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    patience_operation o;
    conn *c = NULL;
    nadb_rc rc;

    *more = false;
    patience_operation_begin(&o);
    rc = pool_take(e->pool, &c, err);
    if (rc == NADB_OK)
        rc = redis_sweep_on(e, c, rows_max, NULL, removed, more, err);
    pool_give(e->pool, c);
    patience_operation_end(&o);
    return rc;
}

nadb_rc redis_clean(redis_engine *e, conn *c, nadb_slice generation,
                    int64_t age_ms, size_t steps, const nadb_stop *stop,
                    nadb_err *err) {
    uint64_t rows = 0, empty = 0;
    bool more = true;
    nadb_rc rc = NADB_OK;
    args a;

    memset(&a, 0, sizeof a);
    for (size_t i = 0; i < steps && more && rc == NADB_OK; i++) {
        redisReply *r = NULL;
        long long n = 0;

        script_begin(&a, redis_prefix(e));
        args_add(&a, generation);
        args_number(&a, CLEAN_ROWS);
        args_number(&a, age_ms);
        rc = script_call(e->scripts, c, SCRIPT_CLEAN, &a, &r, err);
        more = rc == NADB_OK && !script_says(r, "end");
        if (more) {
            n = script_says(r, "more") ? count_of(r, CLEAN_ROWS) : -1;
            rows += n > 0 ? (uint64_t)n : 0;
            empty += n == 0;
            if (n < 0 || rows > REDIS_KEYS_MOST || empty > CLEAN_EMPTY_MOST)
                rc = conn_confused(c, err);
        }
        freeReplyObject(r);
        if (rc == NADB_OK) rc = nadb_stopped(stop, err);
    }
    args_clear(&a);
    return rc;
}

nadb_rc redis_compact_until(redis_engine *e, const nadb_stop *stop,
                            nadb_err *err) {
    patience_operation o;
    int64_t removed = 0;
    bool more;
    conn *c = NULL;
    nadb_rc rc;

    patience_operation_begin(&o);
    rc = pool_take(e->pool, &c, err);
    if (rc == NADB_OK) rc = redis_mend(e, c, stop, err);
    if (rc == NADB_OK)
        rc = redis_sweep_on(e, c, SIZE_MAX, stop, &removed, &more, err);
    if (rc == NADB_OK)
        rc = redis_clean(e, c, nadb_slice_of(NULL, 0), CLEAN_AGE_MS, SIZE_MAX,
                         stop, err);
    pool_give(e->pool, c);
    if (rc == NADB_OK) rc = redis_repair(e, stop, err);
    if (rc == NADB_OK) rc = redis_add_up(e, stop, err);
    patience_operation_end(&o);
    return rc;
}

nadb_rc redis_compact(nadb_engine *engine, nadb_stop_fn *stop, void *ctx,
                      nadb_err *err) {
    nadb_stop when = {stop, ctx};

    return redis_compact_until((redis_engine *)engine, &when, err);
}
