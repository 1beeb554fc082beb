/* sync.c - syncs the log, once for all threads that wait; and keeps errors of
 * background work. */
#include <errno.h>

#include "../util/assert.h"
#include "engine.h"

void engine_synced_raise(control_map *map, uint64_t place) {
    uint64_t seen = atomic_load(&map->synced);

    while (seen < place &&
           !atomic_compare_exchange_weak(&map->synced, &seen, place))
        continue;
    NADB_ASSERT(atomic_load(&map->synced) >= place); /* it only rises */
}

/* The end of the log up to which a sync may be promised; `known` if the tail is
 * damaged, or its writer died while moving it. */
static uint64_t end_to_sync(memtable *m, uint64_t known) {
    for (int tries = 0; tries < 100; tries++) {
        uint64_t end = memtable_tail(m);

        if (memtable_tail_ok(m) && memtable_tail(m) == end) return end;
    }
    return known;
}

/* True if the error differs from the last: background work is retried often,
 * and an error is reported once. */
static bool is_news(engine *s, const nadb_err *last, const nadb_err *e) {
    bool news;

    nadb_lock(&s->version_lock);
    news = e->rc != NADB_OK && strcmp(last->msg, e->msg) != 0;
    nadb_unlock(&s->version_lock);
    return news;
}

void engine_note_error(engine *s, nadb_err *where, const nadb_err *e) {
    bool news = is_news(s, where, e);

    nadb_lock(&s->version_lock);
    *where = *e;
    nadb_unlock(&s->version_lock);
    if (news) nadb_alarm(e->rc, e->msg);
}

void engine_count(engine *s, nadb_op op, const nadb_span *span,
                  const nadb_base_version *made, nadb_rc rc,
                  const nadb_err *err) {
    const nadb_err *last =
        op == NADB_OP_SYNC ? &s->sync_error : &s->flush_error;
    nadb_monitor *m = atomic_load(&s->monitor);
    nadb_done d = {.op = op, .rc = rc, .err = err};

    if (m == NULL) return;
    if (rc != NADB_OK && err != NULL && !is_news(s, last, err)) return;
    if (rc == NADB_OK && made != NULL) {
        d.keys = made->made_entries;
        d.bytes = made->made_bytes;
    }
    nadb_monitor_done(m, span, &d);
}

nadb_rc engine_refuse_writes(const engine *s, nadb_err *err) {
    return nadb_fail(err, NADB_IOERR,
                     "a write or sync of the log in %s failed, so no more "
                     "writes are taken: close all connections to this "
                     "store and open it again (reads go on)",
                     s->dir);
}

/* After a failed sync the contents of the disk are unknown. */
static void sync_failed(engine *s) {
    atomic_store(&s->unsyncable, true);
    atomic_store(&s->ctl.map->failed, 1);
}

nadb_rc engine_sync_log(engine *s, const memtable *m, nadb_err *err) {
    nadb_rc rc;

    if (atomic_load(&s->unsyncable)) return engine_refuse_writes(s, err);
    rc = s->os->sync(m->log.file, err);
    if (rc != NADB_OK) sync_failed(s);
    return rc;
}

/* Syncs the name of the log. */
static nadb_rc name_sync(engine *s, memtable *m, nadb_err *err) {
    nadb_rc rc;

    if (atomic_load(&m->head->dir_synced) != 0) return NADB_OK;
    rc = s->os->dir_sync(s->home.dir, err);
    if (rc == NADB_OK)
        atomic_store(&m->head->dir_synced, 1);
    else if (err->sys_errno != EACCES)
        /* a directory that may not be read was not even tried */
        sync_failed(s);
    return rc;
}

/* Syncs the log. `place`: a place that the caller knows to exist, in this log
 * or another one. REQUIRES: sync_lock. */
static nadb_rc log_sync(engine *s, memtable *m, uint64_t place, nadb_err *err) {
    uint64_t number = m->log.number;
    uint64_t first = wal_place(number, 0);
    bool inside = place >= first && place - first < m->log.capacity;
    uint64_t end = end_to_sync(m, inside ? place - first : 0);
    nadb_span span;
    nadb_err mine;
    nadb_rc rc;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_SYNC));
    if (atomic_load(&s->ctl.map->synced) >= wal_place(number, end))
        return NADB_OK;
    span = nadb_span_begin();
    nadb_err_clear(&mine);
    rc = name_sync(s, m, &mine);
    if (rc == NADB_OK) rc = engine_sync_log(s, m, &mine);
    engine_count(s, NADB_OP_SYNC, &span, NULL, rc, &mine);
    /* Another process may have met an error that this one was not told of. */
    if (rc == NADB_OK && atomic_load(&s->ctl.map->failed) == 0)
        engine_synced_raise(s->ctl.map, wal_place(number, end));
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

nadb_rc engine_sync_to(engine *s, uint64_t place, nadb_err *err) {
    engine_version *v = NULL;
    nadb_rc rc = NADB_OK;

    if (atomic_load(&s->ctl.map->synced) >= place) return NADB_OK;
    nadb_lock(&s->sync_lock);
    if (atomic_load(&s->ctl.map->synced) < place) {
        rc = engine_version_get(s, &v, err);
        for (size_t i = v == NULL ? 0 : v->n_logs; i > 0 && rc == NADB_OK;)
            rc = log_sync(s, v->logs[--i], place, err);
        engine_version_unref(s, v);
    }
    nadb_unlock(&s->sync_lock);
    return rc;
}

void engine_sync_in_background(engine *s) {
    nadb_err mine;

    /* While the seal is whole nothing has been written since the last close;
     * and `synced` is covered by the seal. */
    if (atomic_load(&s->synchronous) == NADB_SYNC_OFF ||
        s->options->read_only || control_sealed(&s->ctl) ||
        atomic_load(&s->unsyncable))
        return;
    nadb_err_clear(&mine);
    if (engine_sync_to(s, UINT64_MAX, &mine) != NADB_OK)
        engine_note_error(s, &s->sync_error, &mine);
}
