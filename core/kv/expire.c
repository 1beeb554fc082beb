/* expire.c - removes expired rows in bounded steps, found by the index of
 * expiries.
 *
 * Readers do not see expired rows; removing them frees their space. The commit
 * checks the deleted keys for conflicts, because another transaction may have
 * written a row with a later expiry under such a key. It does not check other
 * reads.
 *
 * The sweeper removes rows in the background in ordinary transactions. If the
 * system's clock was set forward by mistake, removed rows would be lost when it
 * is set right. So the sweeper has a clock of its own: it starts with the
 * system's time and gains at most one second per second. After a jump forward
 * by a day it needs a day to catch up, and rows are removed that much later. It
 * follows a jump back at once. */
#include "expire.h"

#include "../util/assert.h"

#define STEP_ROWS 256u  /* rows deleted in one transaction */
#define STEP_NS 5000000 /* duration of a round */
#define WAIT_MS 2       /* a sweep gives way to writers */

/* Deletes up to rows_max rows that expired at `to_ms` or before. Rows that a
 * server has removed meanwhile are not counted; the engine's sweep handles what
 * is left of them. */
static nadb_rc purge(nadb_session *ss, int64_t to_ms, size_t rows_max,
                     int64_t *removed, bool *more, nadb_err *err) {
    nadb_scan scan = {.by_expiry = true,
                      .expired = true,
                      .expires_from = INT64_MIN,
                      .expires_to = to_ms};
    nadb_cursor *c = NULL;
    const nadb_row *row;
    size_t n = 0;
    bool swept;
    nadb_rc rc = nadb_cursor_new(ss, &c, err);

    *more = false;
    if (rc == NADB_OK) rc = nadb_cursor_scan(c, &scan, err);
    while (rc == NADB_OK && (row = nadb_cursor_row(c)) != NULL) {
        *more = n == rows_max;
        if (*more) break;
        rc = session_sweep(ss, row->key, &swept, err);
        if (rc == NADB_OK && swept) n++;
        if (rc == NADB_OK) rc = nadb_cursor_next(c, err);
    }
    nadb_cursor_free(c);
    *removed += (int64_t)n;
    ss->purged += n;
    return rc;
}

nadb_rc nadb_purge_expired(nadb_session *ss, size_t rows_max, int64_t *removed,
                           bool *more, nadb_err *err) {
    nadb_engine *e = ss->engine;
    nadb_rc rc = NADB_OK;

    /* Such an engine uses its own clock and removes rows outside the
     * transaction. By our clock more rows may have expired, but they cannot be
     * removed yet. */
    *more = false;
    if (e->ops->sweep != NULL)
        rc = e->ops->sweep(e, rows_max, removed, more, err);
    if (rc != NADB_OK || *more) return rc;
    return purge(ss, nadb_now_ms(), rows_max, removed, more, err);
}

/* --- the sweeper --- */

static int64_t sweeper_now_ms(nadb_sweeper *w) {
    const nadb_os *os = nadb_os_get();
    int64_t mono_ms, ahead, passed, now_ms;

    NADB_ASSERT(w->started);
    nadb_lock(&w->lock);
    mono_ms = os->mono_ns() / 1000000;
    ahead = os->now_ms() - mono_ms;
    passed = mono_ms - w->last_ms;
    if (ahead - w->ahead_ms > passed)
        w->ahead_ms += passed;
    else
        w->ahead_ms = ahead;
    w->last_ms = mono_ms;
    NADB_ASSERT(w->ahead_ms <= ahead); /* a jump back is followed at once */
    now_ms = mono_ms + w->ahead_ms;
    nadb_unlock(&w->lock);
    return now_ms;
}

nadb_rc nadb_sweeper_start(nadb_sweeper *w, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_rc rc = nadb_mutex_init(&w->lock, NADB_RANK_OS, err);

    w->started = rc == NADB_OK;
    w->last_ms = os->mono_ns() / 1000000;
    w->ahead_ms = os->now_ms() - w->last_ms;
    return rc;
}

void nadb_sweeper_stop(nadb_sweeper *w) {
    if (w->started) nadb_mutex_clear(&w->lock);
    w->started = false;
}

/* --- when rows were read --- */

static nadb_rc put_access(void *ctx, nadb_slice key, int64_t ms) {
    nadb_session *ss = ctx;
    nadb_rc rc = nadb_session_begin(ss, false, NULL);

    return rc == NADB_OK ? session_put_access(ss, key, ms, NULL) : rc;
}

static nadb_rc commit(void *ctx) {
    nadb_session *ss = ctx;
    nadb_rc rc = nadb_session_prepare(ss, NULL);

    if (rc == NADB_OK) nadb_session_commit(ss);
    return rc;
}

/* Notes that cannot be written are written in the next round. */
static void write_accesses(nadb_session *ss) {
    if (ss->access == NULL || !ss->derives) return;
    if (nadb_access_write(ss->access, put_access, commit, ss) != NADB_OK)
        (void)nadb_session_rollback(ss, NULL);
}

/* --- one round --- */

/* One transaction. *more: rows are left. */
static nadb_rc sweep_step(nadb_session *ss, int64_t to_ms, bool *more,
                          nadb_err *err) {
    nadb_span span = nadb_span_begin();
    nadb_done d = {.op = NADB_OP_SWEEP, .err = err};
    int64_t removed = 0;
    nadb_rc rc = nadb_session_begin(ss, false, err);

    *more = false;
    if (rc == NADB_OK && session_indexed(ss))
        rc = purge(ss, to_ms, STEP_ROWS, &removed, more, err);
    if (rc == NADB_OK) rc = nadb_session_prepare(ss, err);
    if (rc == NADB_OK)
        nadb_session_commit(ss);
    else
        (void)nadb_session_rollback(ss, NULL);
    /* A conflict with another writer is not an error. */
    d.rc = rc == NADB_BUSY || rc == NADB_CONFLICT ? NADB_OK : rc;
    d.keys = rc == NADB_OK ? (uint64_t)removed : 0;
    if (d.keys > 0 || d.rc != NADB_OK)
        nadb_monitor_done(&ss->kv->monitor, &span, &d);
    return rc;
}

static nadb_rc session_for_sweep(nadb_kv *kv, nadb_session **out,
                                 nadb_err *err) {
    nadb_rc rc = session_new(kv, out, err);

    if (rc != NADB_OK) return rc;
    /* counted as a sweep, not as its single operations */
    nadb_meter_end(&(*out)->meter);
    (*out)->in_background = true;
    (*out)->timeout_ms = WAIT_MS;
    return NADB_OK;
}

bool nadb_sweep(nadb_sweeper *w, nadb_kv *kv) {
    const nadb_os *os = nadb_os_get();
    int64_t to_ms = sweeper_now_ms(w);
    int64_t until_ns = os->mono_ns() + STEP_NS;
    nadb_session *ss = NULL;
    bool more = true;
    nadb_err err;
    nadb_rc rc = session_for_sweep(kv, &ss, NULL);

    nadb_err_clear(&err);

    /* On error the rest is left for the next round. */
    if (rc == NADB_OK) write_accesses(ss);
    while (rc == NADB_OK && more && os->mono_ns() < until_ns)
        rc = sweep_step(ss, to_ms, &more, &err);
    if (rc == NADB_OK) atomic_store(&w->last_at_ms, os->now_ms());
    nadb_session_free(ss);
    return rc == NADB_OK && more;
}

nadb_rc nadb_sweep_all(nadb_sweeper *w, nadb_kv *kv, nadb_stop_fn *stop,
                       void *ctx, nadb_err *err) {
    int64_t to_ms = sweeper_now_ms(w);
    nadb_stop when = {stop, ctx};
    nadb_session *ss = NULL;
    bool more = true;
    nadb_rc rc = session_for_sweep(kv, &ss, err);

    while (rc == NADB_OK && more) {
        rc = nadb_stopped(&when, err);
        if (rc == NADB_OK) rc = sweep_step(ss, to_ms, &more, err);
    }
    nadb_session_free(ss);
    /* A row that another transaction is writing is left for the sweeper. */
    return rc == NADB_BUSY || rc == NADB_CONFLICT ? NADB_OK : rc;
}
