/* store_stats.c - statistics and metrics of a store. */
#include "engine/workers.h"
#include "kv/session.h"
#include "store.h"

/* --- numbers --- */

static nadb_rc emit_totals(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                           nadb_err *err) {
    nadb_session *ss = NULL;
    nadb_totals t;
    nadb_rc rc = session_new(&s->kv, &ss, err);

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

static nadb_rc count_txn(void *ctx, nadb_txn_state state, int64_t since_ms,
                         uint64_t changes, uint64_t bytes, nadb_err *err) {
    (void)state;
    (void)since_ms;
    (void)changes;
    (void)bytes;
    (void)err;
    *(double *)ctx += 1;
    return NADB_OK;
}

/* Emits the counts of operations of this process. */
static void emit_operations(nadb_store *s, nadb_stat_fn *emit, void *ctx) {
    static const struct {
        const char *name;
        nadb_op first, last;
    } bytes[] = {{"bytes_read", NADB_OP_GET, NADB_OP_GET},
                 {"bytes_scanned", NADB_OP_SCAN, NADB_OP_SCAN_UPDATED},
                 {"bytes_written", NADB_OP_PUT, NADB_OP_UPDATE}};
    int64_t up_ns = nadb_os_get()->mono_ns() - s->kv.monitor.opened_ns;
    double operations = 0, open = 0;
    nadb_op_stats x;

    for (unsigned op = 0; op < NADB_OP_COUNT; op++) {
        nadb_monitor_read(&s->kv.monitor, (nadb_op)op, &x);
        operations += (double)x.count;
    }
    emit(ctx, "operations", operations);
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        double sum = 0;

        for (unsigned op = bytes[i].first; op <= bytes[i].last; op++) {
            nadb_monitor_read(&s->kv.monitor, (nadb_op)op, &x);
            sum += (double)x.bytes;
        }
        emit(ctx, bytes[i].name, sum);
    }
    (void)!nadb_monitor_txns(&s->kv.monitor, count_txn, &open, NULL);
    emit(ctx, "active_transactions", open);
    emit(ctx, "uptime_seconds", (double)(up_ns / 1000000) / 1000.0);
}

nadb_rc nadb_store_sizes(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                         nadb_err *err) {
    nadb_rc rc = nadb_store_usable(s, err);

    if (rc == NADB_OK) s->kv.engine->ops->stats(s->kv.engine, emit, ctx);
    return rc;
}

nadb_rc nadb_store_stats(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                         nadb_err *err) {
    nadb_limits *limits = kv_limits(&s->kv);
    nadb_cache_stats cs = {0};
    nadb_rc rc = nadb_store_usable(s, err);

    if (rc == NADB_OK) rc = emit_totals(s, emit, ctx, err);
    if (rc != NADB_OK) return rc;
    emit_operations(s, emit, ctx);
    s->kv.engine->ops->stats(s->kv.engine, emit, ctx);
    if (limits != NULL) nadb_limits_stats(limits, emit, ctx);
    /* the server keeps its own */
    if (s->backend->caps & NADB_CAP_REMOTE) return NADB_OK;
    if (s->kv.cache != NULL) nadb_cache_read_stats(s->kv.cache, &cs);
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

        nadb_monitor_read(&s->kv.monitor, (nadb_op)op, &x);
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

/* --- transactions --- */

typedef struct txns {
    nadb_txn_info_fn *each;
    void *ctx;
    nadb_store *store;
    uint64_t process;
} txns;

static nadb_rc tell_txn(void *ctx, nadb_txn_state state, int64_t since_ms,
                        uint64_t changes, uint64_t bytes, nadb_err *err) {
    static const char *const states[] = {"reading", "writing", "prepared"};
    const txns *t = ctx;
    nadb_txn_info info = {.options = t->store->kv.options,
                          .state = states[state],
                          .process = t->process,
                          .alive = true,
                          .measured = true,
                          .changes = changes,
                          .bytes = bytes};

    info.age_s = (double)(nadb_now_ms() - since_ms) / 1000.0;
    if (info.age_s < 0) info.age_s = 0;
    return t->each(t->ctx, &info, err);
}

static nadb_rc tell_doubt(void *ctx, const nadb_doubt *d, nadb_err *err) {
    const txns *t = ctx;
    nadb_txn_info info = {.options = t->store->kv.options,
                          .state = d->state,
                          .process = d->process,
                          .alive = d->alive,
                          .age_s = -1,
                          .measured = d->bytes > 0,
                          .changes = d->changes,
                          .bytes = d->bytes};

    if (d->since_ns != 0)
        info.age_s = (double)(nadb_os_get()->mono_ns() - d->since_ns) / 1e9;
    return t->each(t->ctx, &info, err);
}

static nadb_rc tell_store(void *ctx, nadb_store *s, nadb_err *err) {
    txns *t = ctx;
    nadb_rc rc;

    t->store = s;
    rc = nadb_monitor_txns(&s->kv.monitor, tell_txn, t, err);
    if (rc == NADB_OK && (s->backend->caps & NADB_CAP_BASE))
        rc = nadb_engine_doubts(s->kv.engine, tell_doubt, t, err);
    return rc;
}

nadb_rc nadb_transactions_each(nadb_txn_info_fn *each, void *ctx,
                               nadb_err *err) {
    txns t = {each, ctx, NULL, 0};
    uint64_t thread;

    nadb_os_get()->who(&t.process, &thread);
    return store_each(tell_store, &t, err);
}

/* --- all open stores --- */

static const uint8_t *identity(const nadb_store *s) {
    bool in_files = (s->backend->caps & NADB_CAP_BASE) != 0;

    return in_files ? nadb_engine_id(s->kv.engine) : NULL;
}

static void last_flush(void *ctx, const char *name, double value) {
    if (strcmp(name, "last_flush_at") == 0) *(double *)ctx = value;
}

typedef struct telling {
    nadb_store_fn *each;
    void *ctx;
} telling;

static nadb_rc tell(void *ctx, nadb_store *s, nadb_err *err) {
    const telling *t = ctx;
    nadb_store_info info;
    nadb_err last, why;

    memset(&info, 0, sizeof info);
    nadb_err_clear(&last);
    info.options = s->kv.options;
    info.refs = s->refs;
    info.identity = identity(s);
    if (s->backend->caps & NADB_CAP_BASE) {
        info.is_running = nadb_workers_running();
        nadb_engine_last_error(s->kv.engine, &last);
    }
    info.last_error = last.msg;
    store_log_state(s, &info.log_lost, &why);
    info.log_error = why.msg;
    if ((s->backend->caps & NADB_CAP_NATIVE_TTL) == 0) {
        info.last_cleanup_at =
            (double)atomic_load(&s->sweeper.last_at_ms) / 1000.0;
        info.cleanup_interval =
            (double)atomic_load(&s->kv.flush_interval_ms) / 1000.0;
    }
    s->kv.engine->ops->stats(s->kv.engine, last_flush, &info.last_flush_at);
    return t->each(t->ctx, &info, err);
}

nadb_rc nadb_stores_each(nadb_store_fn *each, void *ctx, nadb_err *err) {
    telling t = {each, ctx};

    return store_each(tell, &t, err);
}
