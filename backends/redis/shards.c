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

    *more = false;
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        redis_engine *e = s->parts[(first + i) % s->n];
        int64_t gone = 0;
        bool left = false;

        if (rows_max == 0) {
            *more = true;
            break;
        }
        rc = shards_end_all(e, err);
        if (rc == NADB_OK)
            rc = redis_sweep(&e->base, rows_max, &gone, &left, err);
        *removed += gone;
        *more = *more || left;
        rows_max -= (size_t)gone < rows_max ? (size_t)gone : rows_max;
    }
    return rc;
}

static nadb_rc shards_compact(nadb_engine *engine, nadb_stop_fn *stop,
                              void *ctx, nadb_err *err) {
    shards *s = (shards *)engine;
    nadb_stop when = {stop, ctx};
    nadb_rc rc = NADB_OK;

    /* A shard that has lost only its state is not lost. */
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++)
        rc = redis_mend_now(s->parts[i], &when, err);
    if (rc == NADB_OK) rc = shards_replace_lost(s, err);
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        rc = nadb_stopped(&when, err);
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

/* Reports rows in a shard that is not theirs, where no lookup finds them. */
static nadb_rc check_place(shards *s, reporter *r, nadb_err *err) {
    nadb_engine *e = &s->parts[r->shard]->base;
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    nadb_view *v = NULL;
    redis_walk *w = NULL;
    nadb_rc rc = redis_view_open(e, &v, err);

    if (rc == NADB_OK) rc = redis_walk_new(e, v, &all, NADB_KS_ROW, &w, err);
    if (rc == NADB_OK) {
        w->keys_only = true;
        rc = nadb_iter_next(&w->base, err);
    }
    /* Begins again, and shows also rows inserted after the view began: a row
     * that was copied from elsewhere has versions from there. */
    if (rc == NADB_OK) {
        v->seq = UINT64_MAX;
        rc = nadb_iter_seek(&w->base, nadb_slice_of("", 0), err);
    }
    while (rc == NADB_OK && w->base.valid) {
        nadb_slice key = w->base.entry.key;
        unsigned home = shards_of_row(s, key);
        char shown[NADB_KEY_SHOWN], what[300];

        if (home != r->shard) {
            key = nadb_slice_of(key.p + 1, key.n - 1);
            snprintf(what, sizeof what,
                     "key '%s' is here, and belongs into shard %u",
                     nadb_key_show(key, shown), home);
            report_shard(r, what);
        }
        rc = nadb_iter_next(&w->base, err);
    }
    if (w != NULL) nadb_iter_free(&w->base);
    redis_view_close(e, v);
    return rc;
}

static nadb_rc shards_check(nadb_engine *engine, nadb_report_fn *report,
                            void *ctx, nadb_err *err) {
    shards *s = (shards *)engine;
    reporter r = {report, ctx, 0};
    nadb_rc rc = shards_check_mark(s, report, ctx, err);

    for (; r.shard < s->n && rc == NADB_OK; r.shard++) {
        rc = redis_check(&s->parts[r.shard]->base, report_shard, &r, err);
        if (rc == NADB_OK) rc = check_place(s, &r, err);
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

    if (s == NULL) return;
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

static nadb_rc open_part(const nadb_options *options, const char *name,
                         const shards *s, redis_engine **out, nadb_err *err) {
    redis_part part = {name, s->n, s->mark};
    nadb_engine *e = NULL;
    nadb_rc rc = redis_open_part(options, &part, &e, err);

    *out = (redis_engine *)e;
    return rc;
}

nadb_rc shards_open(const nadb_options *options, nadb_engine **out,
                    nadb_err *err) {
    unsigned n = (unsigned)nadb_option_number(options, "shards");
    shards *s = nadb_calloc(1, sizeof *s + (n + 1) * sizeof s->parts[0]);
    nadb_rc rc;

    *out = NULL;
    if (s == NULL) return shards_no_memory(err);
    s->base.ops = &ops;
    s->n = n;
    rc = open_part(options, "", s, &s->parts[n], err);
    s->mark = s->parts[n];
    for (unsigned i = 0; i < n && rc == NADB_OK; i++) {
        char name[32];

        snprintf(name, sizeof name, "/%u/%u", i, n);
        rc = open_part(options, name, s, &s->parts[i], err);
        if (rc != NADB_OK) break;
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
