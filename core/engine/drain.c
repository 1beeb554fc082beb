/* drain.c - stores whose base is on a server: sends committed transactions
 * there.
 *
 * Until the server has a transaction, the logs are the only place that has it.
 * A round walks over the records behind `drained` (control.h), in the order of
 * the logs, up to the first record in doubt, and passes them to the base. This
 * is the order of commits wherever it matters, because two records in doubt
 * never share a key. A log is retired when it is frozen and drained completely;
 * the active log is drained too, so that readers on other machines need not
 * wait until it is full.
 *
 * A record is synced here before it is drained. Otherwise, after a power cut,
 * the next log might get the same number, and the server would take its records
 * for those that it already has.
 *
 * Rows are read from the memtables first, then from the server. Questions that
 * only an index can answer (tags, counts, expiry) go to the server after a
 * drain.
 *
 * A round every flush_interval drains. In between nadb-work's rounds only renew
 * the right to send, unless a frozen log waits, or a reader or nadb_flush needs
 * the commits on the server, or the last drain failed.
 *
 * The server cannot tell what has changed since a snapshot, so commits are
 * checked against the logs. Retired logs stay in the directory while a process
 * has a view that is older.
 *
 *   killed with commits that are not drained   the next opener sends them
 *   killed in a call to the server             the server has done all of it or
 *                                              nothing: its mark says which
 *   killed before `drained` was raised         the server's mark says it
 *   paused beyond its lease                    the script refuses its token */
#include "../util/assert.h"
#include "engine.h"

/* --- records --- */

typedef struct record_walk {
    nadb_records base;
    const engine_version *v;
    size_t at;    /* logs[at - 1] is the next log; those behind it are done */
    uint64_t off; /* offset in that log */
    uint64_t *tails; /* the logs' tails when the walk began */
    uint64_t stop;   /* wal_place of the first record in doubt */
    size_t n_voids;  /* number of void records whose log does not say so yet */
    uint64_t voids[CONTROL_DOUBTS];
    const wal *log;    /* log of the present record */
    wal_record record; /* the record whose changes are returned */
} record_walk;

static void note_doubts(record_walk *w, const control_map *map) {
    w->stop = UINT64_MAX;
    w->n_voids = 0;
    if (!control_has_doubts(map)) return;
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
        const control_doubt *d = &map->doubts[i];
        uint32_t state = atomic_load(&d->state);
        uint64_t place = wal_place(atomic_load(&d->log), atomic_load(&d->off));

        if (state == DOUBT_VOID)
            w->voids[w->n_voids++] = place;
        else if ((state == DOUBT_PREPARED || state == DOUBT_COMMITTING ||
                  state == DOUBT_ORPHAN) &&
                 place < w->stop)
            w->stop = place;
    }
}

static bool is_void(const record_walk *w, uint64_t place) {
    for (size_t i = 0; i < w->n_voids; i++)
        if (w->voids[i] == place) return true;
    return false;
}

static void records_seek(nadb_records *r, nadb_place_in_log place) {
    record_walk *w = (record_walk *)r;

    w->at = w->v->n_logs;
    while (w->at > 0 && w->v->logs[w->at - 1]->log.number < place.log) w->at--;
    w->off = WAL_HEADER;
    if (w->at > 0 && w->v->logs[w->at - 1]->log.number == place.log &&
        place.off > WAL_HEADER)
        w->off = place.off;
}

static nadb_rc record_at(const record_walk *w, memtable *m, uint64_t tail,
                         wal_record *out, nadb_err *err) {
    bool valid = false;

    if (memtable_log_exists(m, tail))
        wal_record_at(&m->log, w->off, tail, true, out, &valid);
    return valid ? NADB_OK : wal_no_record(&m->log, w->off, err);
}

static nadb_rc records_next(nadb_records *r, nadb_record *out, bool *found,
                            nadb_err *err) {
    record_walk *w = (record_walk *)r;

    *found = false;
    while (w->at > 0) {
        memtable *m = w->v->logs[w->at - 1];
        uint64_t place = wal_place(m->log.number, w->off);
        wal_record rec;
        nadb_rc rc;

        if (w->off >= w->tails[w->at - 1]) {
            w->at--;
            w->off = WAL_HEADER;
            continue;
        }
        if (place >= w->stop) break;
        rc = record_at(w, m, w->tails[w->at - 1], &rec, err);
        if (rc != NADB_OK) return rc;
        w->off += rec.length;
        if (rec.taken_back || is_void(w, place) ||
            (rec.count == 0 && (rec.flags & WAL_CLEAR) == 0))
            continue;
        w->log = &m->log;
        w->record = rec;
        out->end.log = m->log.number;
        out->end.off = w->off;
        out->clear = (rec.flags & WAL_CLEAR) != 0;
        out->count = rec.count;
        out->bytes = rec.entries.n;
        *found = true;
        break;
    }
    return NADB_OK;
}

static bool records_change(nadb_records *r, nadb_entry *out) {
    record_walk *w = (record_walk *)r;
    wal_entry e;

    if (w->log == NULL || !wal_entry_next(w->log, &w->record, &e)) return false;
    memset(out, 0, sizeof *out);
    out->key = e.key;
    out->value = e.value;
    out->flags = NADB_ENTRY_PINNED | (e.tombstone ? NADB_ENTRY_TOMBSTONE : 0);
    return true;
}

/* --- draining --- */

/* Reads the tails before the doubts: a record below a tail is then either found
 * in doubt or decided. */
static nadb_rc walk_begin(engine *s, const engine_version *v, record_walk *w,
                          nadb_err *err) {
    memset(w, 0, sizeof *w);
    w->base.seek = records_seek;
    w->base.next = records_next;
    w->base.change = records_change;
    w->v = v;
    w->tails = nadb_calloc(v->n_logs, sizeof *w->tails);
    if (w->tails == NULL)
        return nadb_fail(err, NADB_NOMEM, "draining %s", s->dir);
    for (size_t i = v->n_logs; i > 0; i--)
        w->tails[i - 1] = memtable_tail(v->logs[i - 1]);
    note_doubts(w, s->ctl.map);
    return NADB_OK;
}

static nadb_place_in_log place_of(uint64_t place) {
    nadb_place_in_log p;

    p.log = place >> WAL_OFF_BITS;
    p.off = place & (((uint64_t)1 << WAL_OFF_BITS) - 1);
    return p;
}

nadb_rc engine_unseal(engine *s, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    NADB_ASSERT(!nadb_rank_held(NADB_RANK_COMMIT));
    if (!control_sealed(&s->ctl)) return NADB_OK;
    rc = engine_lock(s, atomic_load(&s->busy_timeout_ms), err);
    if (rc == NADB_OK) engine_unlock(s);
    return rc;
}

nadb_rc engine_drain(engine *s, const engine_version *v, bool all,
                     const nadb_stop *stop, nadb_err *err) {
    control_map *map = s->ctl.map;
    uint64_t from = atomic_load(&map->drained);
    record_walk w;
    nadb_rc rc = walk_begin(s, v, &w, err);
    uint64_t end;

    NADB_ASSERT(atomic_load(&s->ctl.flushing));
    if (rc != NADB_OK) return rc;
    w.base.stop = stop;
    if (!all) w.stop = from;
    end = wal_place(v->logs[0]->log.number, w.tails[0]);
    if (w.stop < end) end = w.stop;
    if (end > from) rc = engine_sync_to(s, end, err);
    if (rc == NADB_OK) rc = engine_unseal(s, err);
    records_seek(&w.base, place_of(from));
    if (rc == NADB_OK)
        rc = s->remote->drain(s->base, &w.base, place_of(from), err);
    if (rc == NADB_OK && end != from) atomic_store(&map->drained, end);
    nadb_free(w.tails);
    return rc;
}

bool engine_drained(engine *s, const memtable *m) {
    return !s->traits->drains || atomic_load(&s->ctl.map->drained) >=
                                     wal_place(m->log.number, memtable_tail(m));
}

nadb_rc engine_is_behind(engine *s, const engine_version *v, bool *behind,
                         nadb_err *err) {
    record_walk w;
    nadb_record r;
    nadb_rc rc;

    *behind = !engine_drained(s, v->logs[0]);
    if (!*behind) return NADB_OK;
    rc = walk_begin(s, v, &w, err);
    if (rc != NADB_OK) return rc;
    /* Skips records in doubt: walks to each stop and continues behind it. */
    records_seek(&w.base, place_of(atomic_load(&s->ctl.map->drained)));
    *behind = false;
    rc = records_next(&w.base, &r, behind, err);
    if (rc == NADB_OK && !*behind && w.at > 0 && w.stop != UINT64_MAX) {
        wal_record rec;

        rc = record_at(&w, v->logs[w.at - 1], w.tails[w.at - 1], &rec, err);
        *behind = rc == NADB_OK &&
                  (w.at > 1 || w.off + rec.length < w.tails[w.at - 1]);
    }
    nadb_free(w.tails);
    return rc;
}

bool engine_pending(engine *s) {
    engine_version *v = NULL;
    bool behind = false;

    if (!s->traits->drains || s->private_memory) return false;
    if (engine_version_get(s, &v, NULL) != NADB_OK) return false;
    if (engine_is_behind(s, v, &behind, NULL) != NADB_OK) behind = true;
    engine_version_unref(s, v);
    return behind;
}
