/* store_stats.c - what is known of a store: numbers, metrics. */
#include "kv/session.h"
#include "store.h"

/* --- numbers --- */

static nadb_rc emit_totals(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                           nadb_err *err) {
    nadb_session *ss = NULL;
    nadb_totals t;
    nadb_rc rc = nadb_session_new(s, &ss, err);

    if (rc == NADB_OK) rc = session_totals(ss, &t, err);
    nadb_session_free(ss);
    if (rc != NADB_OK) return rc;
    emit(ctx, "count", (double)t.rows);
    emit(ctx, "key_bytes", (double)t.key_bytes);
    emit(ctx, "size_bytes", (double)t.value_bytes);
    emit(ctx, "value_stored_bytes", (double)t.stored_bytes);
    emit(ctx, "compression_ratio",
         t.stored_bytes == 0 ? 1.0
                             : (double)t.value_bytes / (double)t.stored_bytes);
    emit(ctx, "tag_count", (double)t.tags);
    return NADB_OK;
}

nadb_rc nadb_store_sizes(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                         nadb_err *err) {
    nadb_rc rc = nadb_store_usable(s, err);

    if (rc == NADB_OK) s->engine->ops->stats(s->engine, emit, ctx);
    return rc;
}

nadb_rc nadb_store_stats(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                         nadb_err *err) {
    nadb_limits *limits = nadb_store_limits(s);
    nadb_cache_stats cs = {0};
    nadb_rc rc = nadb_store_usable(s, err);

    if (rc == NADB_OK) rc = emit_totals(s, emit, ctx, err);
    if (rc != NADB_OK) return rc;
    s->engine->ops->stats(s->engine, emit, ctx);
    if (limits != NULL) nadb_limits_stats(limits, emit, ctx);
    if (s->backend->caps & NADB_CAP_REMOTE) return NADB_OK; /* has its own */
    if (s->cache != NULL) nadb_cache_read_stats(s->cache, &cs);
    emit(ctx, "cache_hits", (double)cs.hits);
    emit(ctx, "cache_misses", (double)cs.misses);
    emit(ctx, "cache_hit_rate",
         cs.hits + cs.misses == 0
             ? 0.0
             : (double)cs.hits / (double)(cs.hits + cs.misses));
    emit(ctx, "cache_bytes", (double)cs.bytes);
    return NADB_OK;
}

/* --- metrics --- */

static double ms_of(uint64_t ns) { return (double)ns / 1e6; }

nadb_rc nadb_store_metrics(nadb_store *s, nadb_metric_fn *each, void *ctx,
                           nadb_err *err) {
    nadb_rc rc = nadb_store_usable(s, err);

    for (unsigned op = 0; rc == NADB_OK && op < NADB_OP_COUNT; op++) {
        nadb_op_stats x;
        nadb_metric m;

        nadb_monitor_read(&s->monitor, (nadb_op)op, &x);
        m.operation = nadb_op_name((nadb_op)op);
        m.count = x.count;
        m.errors = x.errors;
        m.keys = x.keys;
        m.bytes = x.bytes;
        m.timed = x.times.timed;
        m.sum_ms = ms_of(x.times.sum_ns);
        m.avg_ms = ms_of(x.times.avg_ns);
        m.min_ms = ms_of(x.times.min_ns);
        m.max_ms = ms_of(x.times.max_ns);
        m.p50_ms = ms_of(x.times.p50_ns);
        m.p95_ms = ms_of(x.times.p95_ns);
        m.p99_ms = ms_of(x.times.p99_ns);
        rc = each(ctx, &m, err);
    }
    return rc;
}
