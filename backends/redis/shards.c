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

#include "feed.h"

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
    nadb_rc rc = shards_settle(s, NULL, err);

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        rc = nadb_stopped(&when, err);
        /* A shard that has lost only its state is not lost. */
        if (rc == NADB_OK) rc = redis_mend_now(s->parts[i], &when, err);
        if (rc == NADB_OK && atomic_load(&s->settled))
            rc = shards_make(s->parts[i], err);
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
        what = (const char *)line.p;
    r->report(r->ctx, what);
    nadb_buf_clear(&line);
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

/* --- totals --- */

/* A tag may be in several shards, so tags are counted by a walk. */
static nadb_rc count_tags(nadb_engine *e, nadb_view *v, uint64_t *n,
                          nadb_err *err) {
    static const uint8_t first[] = {NADB_KS_COUNT},
                         last[] = {NADB_KS_COUNT + 1};
    nadb_range all = {nadb_slice_of(first, 1), nadb_slice_of(last, 1), false};
    nadb_iter *it = NULL;
    nadb_rc rc = shards_iter_new(e, v, &all, &it, err);

    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        ++*n;
        rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc;
}

static nadb_rc shards_totals(nadb_engine *engine, nadb_view *view,
                             nadb_totals *out, nadb_err *err) {
    shards *s = (shards *)engine;
    nadb_rc rc = shards_settle(s, view->caller, err);

    memset(out, 0, sizeof *out);
    out->known = true;
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        uint64_t rows = out->rows;

        rc = redis_totals_add(s->parts[i], out, err);
        if (rc == NADB_OK && out->rows == rows) rc = shards_missing(s, i, err);
    }
    if (rc != NADB_OK || !out->known || out->tags == 0) return rc;
    out->tags = 0;
    return count_tags(engine, view, &out->tags, err);
}

/* --- size limit: each shard gets its share --- */

static void set_limit(nadb_engine *engine, uint64_t bytes_max, bool refuses) {
    shards *s = (shards *)engine;

    for (unsigned i = 0; i < s->n; i++)
        redis_limit.set(&s->parts[i]->base, bytes_max / s->n, refuses);
}

static nadb_rc evict(nadb_engine *engine, const nadb_victim *list, size_t n,
                     uint64_t *rows, uint64_t *bytes, nadb_err *err) {
    shards *s = (shards *)engine;
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++)
        rc = redis_limit.evict(&s->parts[i]->base, list, n, rows, bytes, err);
    return rc;
}

static const nadb_limit_ops limit = {set_limit, evict};

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
    .view_renew = shards_view_refresh,
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
    .limit = &limit,
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
        redis_part part = {name, i, n, s->mark};
        nadb_engine *e = NULL;

        if (i < n) snprintf(name, sizeof name, "/%u/%u", i, n);
        rc = redis_open_part(options, &part, &e, err);
        if (rc != NADB_OK) break;
        s->parts[i] = (redis_engine *)e;
        s->mark = s->parts[n];
        s->parts[i]->whole = s;
        s->parts[i]->end_txn = shards_end_txn;
        s->parts[i]->saw_locks = &s->unfinished;
    }
    if (rc != NADB_OK) {
        shards_close(&s->base);
        return rc;
    }
    *out = &s->base;
    return NADB_OK;
}
