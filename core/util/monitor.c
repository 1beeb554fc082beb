/* monitor.c - see monitor.h. */
#include "monitor.h"

static const struct {
    const char *name;
    nadb_component component;
    nadb_level level; /* level of the line if it succeeded */
} ops[NADB_OP_COUNT] = {
    [NADB_OP_GET] = {"get", NADB_IN_READ, NADB_LOG_DEBUG},
    [NADB_OP_GET_MISS] = {"get_miss", NADB_IN_READ, NADB_LOG_DEBUG},
    [NADB_OP_PUT] = {"put", NADB_IN_WRITE, NADB_LOG_DEBUG},
    [NADB_OP_UPDATE] = {"update", NADB_IN_WRITE, NADB_LOG_DEBUG},
    [NADB_OP_DELETE] = {"delete", NADB_IN_WRITE, NADB_LOG_DEBUG},
    [NADB_OP_SCAN] = {"scan", NADB_IN_READ, NADB_LOG_DEBUG},
    [NADB_OP_SCAN_KEYS] = {"scan_keys", NADB_IN_READ, NADB_LOG_DEBUG},
    [NADB_OP_SCAN_RANGE] = {"scan_range", NADB_IN_READ, NADB_LOG_DEBUG},
    [NADB_OP_SCAN_TAG] = {"scan_tag", NADB_IN_READ, NADB_LOG_DEBUG},
    [NADB_OP_SCAN_EXPIRY] = {"scan_expiry", NADB_IN_READ, NADB_LOG_DEBUG},
    [NADB_OP_SCAN_UPDATED] = {"scan_updated", NADB_IN_READ, NADB_LOG_DEBUG},
    [NADB_OP_COMMIT] = {"commit", NADB_IN_TRANSACTION, NADB_LOG_DEBUG},
    [NADB_OP_ROLLBACK] = {"rollback", NADB_IN_TRANSACTION, NADB_LOG_DEBUG},
    [NADB_OP_CLEAR] = {"clear", NADB_IN_WRITE, NADB_LOG_INFO},
    [NADB_OP_FLUSH] = {"flush", NADB_IN_FLUSH, NADB_LOG_INFO},
    [NADB_OP_MERGE] = {"merge", NADB_IN_FLUSH, NADB_LOG_INFO},
    [NADB_OP_COMPACT] = {"compact", NADB_IN_FLUSH, NADB_LOG_INFO},
    [NADB_OP_SYNC] = {"sync", NADB_IN_FLUSH, NADB_LOG_DEBUG},
    [NADB_OP_SWEEP] = {"sweep", NADB_IN_SWEEP, NADB_LOG_INFO},
};

const char *nadb_op_name(nadb_op op) { return ops[op].name; }

/* --- monitors --- */

nadb_rc nadb_monitor_init(nadb_monitor *m, nadb_err *err) {
    nadb_rc rc = nadb_mutex_init(&m->lock, NADB_RANK_OS, err);

    m->started = rc == NADB_OK;
    atomic_store(&m->slow_ns, INT64_MAX);
    m->opened_ns = nadb_os_get()->mono_ns();
    return rc;
}

void nadb_monitor_clear(nadb_monitor *m) {
    nadb_log_free(m->owned);
    m->owned = NULL;
    if (m->started) nadb_mutex_clear(&m->lock);
    m->started = false;
}

void nadb_monitor_log(nadb_monitor *m, nadb_log *log, int64_t slow_ns) {
    bool all = slow_ns < INT64_MAX;

    for (size_t i = 0; i < NADB_OP_COUNT; i++)
        if (nadb_log_wants(log, NADB_LOG_DEBUG, ops[i].component)) all = true;
    m->owned = log;
    atomic_store(&m->log, log);
    atomic_store(&m->slow_ns, log == NULL ? INT64_MAX : slow_ns);
    atomic_store(&m->all, log != NULL && all);
}

void nadb_monitor_quiet(nadb_monitor *m) {
    atomic_store(&m->log, NULL);
    atomic_store(&m->all, false);
}

/* --- meters --- */

void nadb_meter_start(nadb_meter *t, nadb_monitor *m) {
    t->m = m;
    nadb_os_get()->random(&t->chance, sizeof t->chance);
    nadb_lock(&m->lock);
    t->next = m->meters;
    t->link = &m->meters;
    if (t->next != NULL) t->next->link = &t->next;
    m->meters = t;
    nadb_unlock(&m->lock);
}

static void add_counts(nadb_counts *to, const nadb_counts *from) {
    atomic_fetch_add(&to->count, atomic_load(&from->count));
    atomic_fetch_add(&to->errors, atomic_load(&from->errors));
    atomic_fetch_add(&to->keys, atomic_load(&from->keys));
    atomic_fetch_add(&to->bytes, atomic_load(&from->bytes));
}

void nadb_meter_end(nadb_meter *t) {
    nadb_monitor *m = t->m;

    if (m == NULL) return;
    nadb_lock(&m->lock);
    *t->link = t->next;
    if (t->next != NULL) t->next->link = t->link;
    for (size_t i = 0; i < NADB_OP_COUNT; i++)
        add_counts(&m->past[i], &t->counts[i]);
    nadb_unlock(&m->lock);
    t->m = NULL;
}

/* From 0 to 2 * NADB_TIMED_ONE_IN - 2, at random, so that the sample does not
 * coincide with a rhythm of the application. */
NADB_WRAPS static uint32_t next_gap(nadb_meter *t) {
    t->chance = t->chance * 1664525u + 1013904223u;
    return (t->chance >> 16) % (2 * NADB_TIMED_ONE_IN - 1);
}

nadb_span nadb_span_chosen(nadb_meter *t, nadb_op op) {
    nadb_span s = {0, 0};

    if (t->m == NULL) return s;
    s = nadb_span_begin();
    s.weight = t->gap[op] + 1;
    t->gap[op] = 0;
    if (t->timed[op] < NADB_TIMED_FIRST)
        t->timed[op]++;
    else if (!atomic_load_explicit(&t->m->all, memory_order_relaxed))
        t->gap[op] = next_gap(t);
    t->left[op] = t->gap[op];
    return s;
}

void nadb_monitor_read(nadb_monitor *m, nadb_op op, nadb_op_stats *out) {
    nadb_counts all;

    memset(&all, 0, sizeof all);
    nadb_lock(&m->lock);
    add_counts(&all, &m->past[op]);
    for (const nadb_meter *t = m->meters; t != NULL; t = t->next)
        add_counts(&all, &t->counts[op]);
    nadb_unlock(&m->lock);
    out->count = atomic_load(&all.count);
    out->errors = atomic_load(&all.errors);
    out->keys =
        op == NADB_OP_GET ? out->count - out->errors : atomic_load(&all.keys);
    out->bytes = atomic_load(&all.bytes);
    nadb_histogram_read(&m->times[op], &out->times);
}

nadb_rc nadb_monitor_txns(nadb_monitor *m, nadb_txn_fn *each, void *ctx,
                          nadb_err *err) {
    nadb_rc rc = NADB_OK;

    nadb_lock(&m->lock);
    for (nadb_meter *t = m->meters; t != NULL && rc == NADB_OK; t = t->next) {
        int64_t since_ms = atomic_load(&t->since_ms);

        if (since_ms != 0)
            rc = each(ctx, (nadb_txn_state)atomic_load(&t->txn), since_ms,
                      atomic_load(&t->txn_changes), atomic_load(&t->txn_bytes),
                      err);
    }
    nadb_unlock(&m->lock);
    return rc;
}

/* --- operations --- */

static void log_op(nadb_log *log, uint64_t ns, bool slow, bool timed,
                   const nadb_done *d) {
    nadb_line line = {.operation = ops[d->op].name, .ns = -1};

    line.component = ops[d->op].component;
    line.level = d->rc == NADB_OK         ? ops[d->op].level
                 : nadb_is_failure(d->rc) ? NADB_LOG_ERROR
                                          : NADB_LOG_INFO;
    if (slow && line.level < NADB_LOG_WARNING) line.level = NADB_LOG_WARNING;
    if (!nadb_log_wants(log, line.level, line.component)) return;
    if (timed) line.ns = (int64_t)ns;
    line.counts = true;
    line.keys = d->keys;
    line.bytes = d->bytes;
    line.outcome = true;
    line.rc = d->rc;
    line.slow = slow;
    line.key = d->key;
    if (d->rc != NADB_OK && d->err != NULL)
        line.message = nadb_slice_str(d->err->msg);
    nadb_log_put(log, &line);
}

/* Adds the operation to the histogram and the log. */
static void note(nadb_monitor *m, const nadb_span *s, const nadb_done *d) {
    nadb_log *log = atomic_load_explicit(&m->log, memory_order_acquire);
    uint64_t ns = 0;

    if (s->weight != 0) {
        ns = nadb_span_ns(s);
        nadb_histogram_add(&m->times[d->op], ns, s->weight);
    }
    if (log == NULL) return;
    log_op(log, ns, (int64_t)ns >= atomic_load(&m->slow_ns), s->weight != 0, d);
}

void nadb_meter_note(nadb_meter *t, const nadb_span *s, const nadb_done *d) {
    if (t->m == NULL) return;
    if (d->rc != NADB_OK) nadb_counts_raise(&t->counts[d->op].errors, 1);
    note(t->m, s, d);
}

void nadb_meter_done(nadb_meter *t, const nadb_span *s, const nadb_done *d) {
    nadb_counts *c = &t->counts[d->op];

    nadb_counts_raise(&c->count, 1);
    nadb_counts_raise(&c->keys, d->keys);
    nadb_counts_raise(&c->bytes, d->bytes);
    if (s->weight != 0 || d->rc != NADB_OK) nadb_meter_note(t, s, d);
}

void nadb_monitor_done(nadb_monitor *m, const nadb_span *s,
                       const nadb_done *d) {
    nadb_counts *c = &m->past[d->op];

    atomic_fetch_add(&c->count, 1);
    atomic_fetch_add(&c->keys, d->keys);
    atomic_fetch_add(&c->bytes, d->bytes);
    if (d->rc != NADB_OK) atomic_fetch_add(&c->errors, 1);
    note(m, s, d);
}
