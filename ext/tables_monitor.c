/* tables_monitor.c - table nadb_metrics: what the store does, how often and how
 * long. */
#include "tables.h"

const char metrics_declaration[] =
    "CREATE TABLE x(operation TEXT, count INTEGER, errors INTEGER,"
    " avg_ms REAL, min_ms REAL, max_ms REAL, p50_ms REAL, p95_ms REAL,"
    " p99_ms REAL, total_ms REAL, keys INTEGER, bytes INTEGER,"
    " timed INTEGER, \"table\" HIDDEN)";

static nadb_rc add_metric(void *ctx, const nadb_metric *m, nadb_err *err) {
    const double times[] = {m->avg_ms, m->min_ms, m->max_ms, m->p50_ms,
                            m->p95_ms, m->p99_ms, m->sum_ms};
    rows *r = ctx;

    (void)err;
    rows_text(r, m->operation);
    rows_int(r, (int64_t)m->count);
    rows_int(r, (int64_t)m->errors);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        rows_real_if(r, m->timed > 0, times[i]);
    rows_int(r, (int64_t)m->keys);
    rows_int(r, (int64_t)m->bytes);
    rows_int(r, (int64_t)m->timed);
    return NADB_OK;
}

nadb_rc fill_metrics(rows *r, vtab *v, nadb_err *err) {
    nadb_rc rc = vtab_open(v, err);

    return rc == NADB_OK ? nadb_store_metrics(v->s->store, add_metric, r, err)
                         : rc;
}
