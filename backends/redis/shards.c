/* shards.c - a store that is spread over N slots (option shards=N), for data
 * that exceeds one node.
 *
 * Each shard is a store of its own (redis.c) with its own names, and so its own
 * slot. The hash of a row's key selects its shard. Operations on the whole
 * store go to each shard: walks are merged in key order, numbers are added up.
 *
 *   shards_mark    the number of shards, stored in one place
 *   shards_read    views and single rows: by key
 *   shards_iter    walks: merged
 *   shards_commit  commits in one shard, or
 *   shards_txn     in several
 *
 * Guarantees: a transaction is executed completely or not at all, in whichever
 * shards, even if its client dies in the middle; and a commit has read nothing
 * that another commit has changed meanwhile. Not guaranteed: that a reader sees
 * all parts of a transaction at once; and nothing about data that a server
 * loses. */
#include "shards.h"

#include <stdio.h>

nadb_rc shards_no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM,
                     "out of memory for the shards of a Redis "
                     "store");
}

/* --- the whole store --- */

/* Begins at another shard each time, so that none has to wait for the
 * others. */
static nadb_rc shards_sweep(nadb_engine *engine, size_t rows_max,
                            int64_t *removed, bool *more, nadb_err *err) {
    shards *s = (shards *)engine;
    unsigned first = atomic_fetch_add(&s->sweep_first, 1);
    nadb_rc rc = NADB_OK;

    *more = rows_max == 0;
    for (unsigned i = 0; i < s->n && rows_max > 0 && rc == NADB_OK; i++) {
        redis_engine *e = s->parts[(first + i) % s->n];
        int64_t gone = 0;
        bool left = false;

        rc = shards_end_all(e, err);
        if (rc == NADB_OK)
            rc = redis_sweep(&e->base, rows_max, &gone, &left, err);
        *removed += gone;
        rows_max -= (size_t)gone < rows_max ? (size_t)gone : rows_max;
        *more = *more || left || (rows_max == 0 && i + 1 < s->n);
    }
    return rc;
}

static nadb_rc shards_compact(nadb_engine *engine, nadb_stop_fn *stop,
                              void *ctx, nadb_err *err) {
    shards *s = (shards *)engine;
    nadb_stop when = {stop, ctx};
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        rc = nadb_stopped(&when, err);
        /* A shard that has lost only its state is not lost. */
        if (rc == NADB_OK) rc = redis_mend_now(s->parts[i], &when, err);
        if (rc == NADB_OK) rc = shards_replace_lost(s, i, err);
        if (rc == NADB_OK) rc = redis_compact_until(s->parts[i], &when, err);
    }
    return rc;
}

/* --- checking --- */

typedef struct reporter {
    nadb_report_fn *report;
    void *ctx;
    unsigned shard;
} reporter;

static void report_shard(void *ctx, const char *what) {
    reporter *r = ctx;
    nadb_buf line = NADB_BUF_INIT;
    char head[32];

    snprintf(head, sizeof head, "shard %u: ", r->shard);
    if (nadb_buf_append(&line, head, strlen(head)) &&
        nadb_buf_append(&line, what, strlen(what) + 1))
        r->report(r->ctx, (const char *)line.p);
    else
        r->report(r->ctx, what);
    nadb_buf_clear(&line);
}

/* Function of redis_engine.check_key: reports a row in a shard that is not its
 * own, where no lookup finds it. */
static void check_key(const redis_engine *e, nadb_slice key,
                      nadb_report_fn *report, void *ctx) {
    unsigned home = shards_of_row(e->whole, key);
    char shown[NADB_KEY_SHOWN], what[300];

    if (e->whole->parts[home] == e) return;
    key = nadb_slice_of(key.p + 1, key.n - 1);
    snprintf(what, sizeof what, "key '%s' is here, and belongs into shard %u",
             nadb_key_show(key, shown), home);
    report(ctx, what);
}

static nadb_rc shards_check(nadb_engine *engine, nadb_report_fn *report,
                            void *ctx, nadb_err *err) {
    shards *s = (shards *)engine;
    reporter r = {report, ctx, 0};
    nadb_rc rc = NADB_OK;

    for (; r.shard < s->n && rc == NADB_OK; r.shard++) {
        rc = shards_missing(s, r.shard, err);
        if (rc == NADB_IOERR && atomic_load(&s->settled)) {
            report(ctx, err == NULL ? "a shard is gone" : err->msg);
            if (err != NULL) nadb_err_clear(err);
            rc = NADB_OK;
        }
        if (rc == NADB_OK)
            rc = redis_check(&s->parts[r.shard]->base, report_shard, &r, err);
    }
    return rc;
}

static void shards_stats(nadb_engine *engine, nadb_stat_fn *emit, void *ctx) {
    shards *s = (shards *)engine;

    redis_stats_of(s->parts, s->n + 1, emit, ctx);
    emit(ctx, "redis_shards", s->n);
}

/* --- opening and closing --- */

static void shards_close(nadb_engine *engine) {
    shards *s = (shards *)engine;

    /* The mark is the last, because the others use its connections. */
    for (unsigned i = 0; i <= s->n; i++)
        if (s->parts[i] != NULL) redis_close(&s->parts[i]->base);
    nadb_free(s);
}

static uint64_t shards_cache_drop(nadb_engine *engine) {
    shards *s = (shards *)engine;
    uint64_t bytes = 0;

    for (unsigned i = 0; i <= s->n; i++)
        bytes += cache_drop(&s->parts[i]->cache);
    return bytes;
}

static const nadb_engine_ops ops = {
    .close = shards_close,
    .view_open = shards_view_open,
    .view_close = shards_view_close,
    .view_refresh = shards_view_refresh,
    .view_rest = shards_view_rest,
    .get = shards_get,
    .want = shards_want,
    .iter = shards_iter_new,
    .match = shards_match,
    .sweep = shards_sweep,
    .claim = shards_claim,
    .unclaim = shards_unclaim,
    .prepare = shards_prepare,
    .commit = shards_commit,
    .rollback = shards_rollback,
    .flush = redis_flush,
    .compact = shards_compact,
    .check = shards_check,
    .stats = shards_stats,
    .totals = shards_totals,
    .limit = &shards_limit,
    .cache_drop = shards_cache_drop,
    .destroy = shards_destroy,
};

nadb_rc shards_open(const nadb_options *options, nadb_engine **out,
                    nadb_err *err) {
    unsigned n = (unsigned)nadb_option_number(options, "shards");
    shards *s = nadb_calloc(1, sizeof *s + (n + 1) * sizeof s->parts[0]);
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (s == NULL) return shards_no_memory(err);
    s->base.ops = &ops;
    s->n = n;
    snprintf(s->here, sizeof s->here, "%s/%u", SCRIPT_LAYOUT, n);
    snprintf(s->making, sizeof s->making, "%s/%u+", SCRIPT_LAYOUT, n);
    snprintf(s->going, sizeof s->going, "%s/%u-", SCRIPT_LAYOUT, n);
    /* The mark is the first, because the others use its connections. */
    for (unsigned k = 0; k <= n && rc == NADB_OK; k++) {
        unsigned i = n - k;
        char name[32] = "";
        redis_part part = {name, n, s->mark};
        nadb_engine *e = NULL;

        if (i < n) snprintf(name, sizeof name, "/%u/%u", i, n);
        rc = redis_open_part(options, &part, &e, err);
        if (rc != NADB_OK) break;
        s->parts[i] = (redis_engine *)e;
        s->mark = s->parts[n];
        s->parts[i]->whole = s;
        s->parts[i]->end_txn = shards_end_txn;
        s->parts[i]->saw_locks = &s->unfinished;
        s->parts[i]->check_key = check_key;
    }
    if (rc != NADB_OK) {
        shards_close(&s->base);
        return rc;
    }
    *out = &s->base;
    return NADB_OK;
}
