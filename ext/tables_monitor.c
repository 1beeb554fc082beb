/* tables_monitor.c - the tables nadb_metrics (operations of a store: counts and
 * times) and nadb_transactions (open transactions and records in doubt). */
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

/* --- nadb_transactions --- */

const char transactions_declaration[] =
    "CREATE TABLE x(path TEXT, db TEXT, namespace TEXT, state TEXT,"
    " process INTEGER, is_alive INTEGER, age REAL, changes INTEGER,"
    " bytes INTEGER)";

static nadb_rc add_transaction(void *ctx, const nadb_txn_info *info,
                               nadb_err *err) {
    rows *r = ctx;

    (void)err;
    rows_text(r, info->options->path);
    rows_text(r, info->options->db);
    rows_text(r, info->options->ns);
    rows_text(r, info->state);
    rows_int_if(r, info->process != 0, (int64_t)info->process);
    rows_int(r, info->alive);
    rows_real_if(r, info->age_s >= 0, info->age_s);
    rows_int_if(r, info->measured, (int64_t)info->changes);
    rows_int_if(r, info->measured, (int64_t)info->bytes);
    return NADB_OK;
}

nadb_rc fill_transactions(rows *r, vtab *v, nadb_err *err) {
    (void)v;
    return nadb_transactions_each(add_transaction, r, err);
}
