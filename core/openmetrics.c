/* openmetrics.c - the numbers of the process's stores in the OpenMetrics format
 * 1.0, which Prometheus reads.
 *
 * The format wants all samples of a family together, whatever their store. So
 * the numbers of all stores are collected first and then written family by
 * family. Numbers that need a walk over rows are left out, because a server
 * collects metrics every few seconds. */
#include <stdio.h>

#include "kv/session.h"
#include "store.h"
#include "util/number.h"

typedef struct sample {
    size_t store;
    const char *name; /* a literal */
    double value;
} sample;

typedef struct text {
    nadb_buf *out;
    bool ok;
    nadb_store **stores;
    size_t n_stores;
    size_t store;     /* the present store */
    nadb_buf samples; /* array of sample */
} text;

static void put(text *t, const char *s) {
    t->ok = t->ok && nadb_buf_append(t->out, s, strlen(s));
}

/* As JSON writes numbers: with a point in every locale. */
static void put_number(text *t, double v) {
    char digits[NADB_REAL_TEXT_MAX];

    nadb_real_text(v, digits);
    put(t, " ");
    put(t, digits);
    put(t, "\n");
}

static void put_label(text *t, const char *name, const char *value) {
    const uint8_t *p = (const uint8_t *)value;
    const uint8_t *end = p + strlen(value);

    put(t, name);
    put(t, "=\"");
    while (p < end && t->ok) {
        size_t n = nadb_utf8_len(p, end);

        if (n == 0)
            put(t, "?");
        else if (*p == '\n')
            put(t, "\\n");
        else if (*p == '"' || *p == '\\')
            t->ok = nadb_buf_byte(t->out, '\\') && nadb_buf_byte(t->out, *p);
        else
            t->ok = nadb_buf_append(t->out, p, n);
        p += n == 0 ? 1 : n;
    }
    put(t, "\"");
}

/* The labels of a sample: the store's, and one more. */
static void put_labels(text *t, size_t store, const char *name,
                       const char *value) {
    const nadb_options *o = t->stores[store]->kv.options;

    put(t, "{");
    put_label(t, "path", o->path == NULL ? "" : o->path);
    put(t, ",");
    put_label(t, "db", o->db);
    put(t, ",");
    put_label(t, "namespace", o->ns);
    put(t, ",");
    put_label(t, "backend", o->backend);
    if (name != NULL) {
        put(t, ",");
        put_label(t, name, value);
    }
    put(t, "}");
}

static void put_family(text *t, const char *name, const char *type,
                       const char *unit, const char *help) {
    put(t, "# TYPE nadb_");
    put(t, name);
    put(t, " ");
    put(t, type);
    if (unit != NULL) {
        put(t, "\n# UNIT nadb_");
        put(t, name);
        put(t, " ");
        put(t, unit);
    }
    put(t, "\n# HELP nadb_");
    put(t, name);
    put(t, " ");
    put(t, help);
    put(t, "\n");
}

/* --- the numbers of nadb_stats --- */

static void collect(void *ctx, const char *name, double value) {
    text *t = ctx;
    sample s = {t->store, name, value};

    /* Written below as a family of its own, for each operation. */
    if (strcmp(name, "operations") == 0) return;
    t->ok = t->ok && nadb_buf_append(&t->samples, &s, sizeof s);
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

/* True if the number never falls while the store is open. */
static bool is_counter(const char *name) {
    static const char *const names[] = {
        "flush_count",       "compaction_count", "commit_count",
        "expired_count",     "cache_hits",       "cache_misses",
        "bytes_read",        "bytes_scanned",    "bytes_written",
        "redis_commits",     "redis_rollbacks",  "redis_connects",
        "redis_cache_starts"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static const sample *samples_of(const text *t, size_t *n) {
    *n = t->samples.n / sizeof(sample);
    return (const sample *)(const void *)t->samples.p;
}

static void put_stats(text *t) {
    size_t n;
    const sample *all = samples_of(t, &n);

    for (size_t i = 0; i < n; i++) {
        const char *name = all[i].name;
        bool counter = is_counter(name);
        bool first = true;

        for (size_t k = 0; k < i && first; k++)
            first = strcmp(all[k].name, name) != 0;
        if (!first) continue;
        put_family(t, name, counter ? "counter" : "gauge",
                   ends_with(name, "_bytes")     ? "bytes"
                   : ends_with(name, "_seconds") ? "seconds"
                                                 : NULL,
                   "As nadb_stats has it.");
        for (size_t k = i; k < n; k++) {
            if (strcmp(all[k].name, name) != 0) continue;
            put(t, "nadb_");
            put(t, name);
            if (counter) put(t, "_total");
            put_labels(t, all[k].store, NULL, NULL);
            put_number(t, all[k].value);
        }
    }
}

/* --- operations --- */

static void put_sample(text *t, const char *name, size_t store, nadb_op op,
                       double value) {
    put(t, "nadb_");
    put(t, name);
    put_labels(t, store, "operation", nadb_op_name(op));
    put_number(t, value);
}

static void put_durations(text *t, size_t store, nadb_op op,
                          const nadb_times *x) {
    static const char *const parts[] = {"0.5", "0.95", "0.99"};
    const uint64_t at_ns[] = {x->p50_ns, x->p95_ns, x->p99_ns};

    if (x->timed == 0) return;
    for (size_t i = 0; i < 3; i++) {
        put(t, "nadb_operation_duration_seconds");
        put_labels(t, store, "operation", nadb_op_name(op));
        if (!t->ok) return;
        t->out->n--; /* remove the brace */
        put(t, ",");
        put_label(t, "quantile", parts[i]);
        put(t, "}");
        put_number(t, (double)at_ns[i] / 1e9);
    }
    put_sample(t, "operation_duration_seconds_sum", store, op,
               (double)x->sum_ns / 1e9);
    put_sample(t, "operation_duration_seconds_count", store, op,
               (double)x->operations);
}

/* Writes a family over all stores and operations; `family` selects it. */
static void put_operations(text *t, int family) {
    for (size_t i = 0; i < t->n_stores; i++)
        for (unsigned op = 0; op < NADB_OP_COUNT; op++) {
            nadb_op_stats x;

            nadb_monitor_read(&t->stores[i]->kv.monitor, (nadb_op)op, &x);
            if (family == 0)
                put_sample(t, "operations_total", i, (nadb_op)op,
                           (double)x.count);
            if (family == 1)
                put_sample(t, "operation_errors_total", i, (nadb_op)op,
                           (double)x.errors);
            if (family == 2)
                put_sample(t, "operation_bytes_total", i, (nadb_op)op,
                           (double)x.bytes);
            if (family == 3) put_durations(t, i, (nadb_op)op, &x.times);
            if (family == 4 && x.times.timed > 0)
                put_sample(t, "operation_duration_max_seconds", i, (nadb_op)op,
                           (double)x.times.max_ns / 1e9);
        }
}

static void put_all_operations(text *t) {
    put_family(t, "operations", "counter", NULL, "Operations done.");
    put_operations(t, 0);
    put_family(t, "operation_errors", "counter", NULL,
               "Operations that ended in an error.");
    put_operations(t, 1);
    put_family(t, "operation_bytes", "counter", "bytes",
               "Bytes of the values, or files, of operations.");
    put_operations(t, 2);
    put_family(t, "operation_duration_seconds", "summary", "seconds",
               "How long operations took.");
    put_operations(t, 3);
    put_family(t, "operation_duration_max_seconds", "gauge", "seconds",
               "The longest operation that was timed.");
    put_operations(t, 4);
}

/* --- all --- */

/* Collects the numbers of one store. After an error its remaining numbers are
 * left out. */
static void collect_store(text *t, size_t i) {
    nadb_store *s = t->stores[i];
    bool walks = s->kv.engine->ops->totals == NULL;

    t->store = i;
    if (walks)
        (void)!nadb_store_sizes(s, collect, t, NULL);
    else
        (void)!nadb_store_stats(s, collect, t, NULL);
}

nadb_rc nadb_openmetrics(nadb_buf *out, nadb_err *err) {
    text t = {.out = out, .ok = true};
    nadb_rc rc = store_hold_all(&t.stores, &t.n_stores, err);

    for (size_t i = 0; i < t.n_stores && rc == NADB_OK; i++)
        collect_store(&t, i);
    if (rc == NADB_OK) {
        put_family(&t, "build", "info", NULL, "The library.");
        put(&t, "nadb_build_info{version=\"" NADB_VERSION "\"} 1\n");
        put_stats(&t);
        put_all_operations(&t);
        put(&t, "# EOF\n");
        if (!t.ok) rc = nadb_fail(err, NADB_NOMEM, "writing metrics");
    }
    for (size_t i = 0; i < t.n_stores; i++) nadb_store_close(t.stores[i]);
    nadb_free(t.stores);
    nadb_buf_clear(&t.samples);
    return rc;
}
