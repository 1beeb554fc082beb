/* drain.c - stores whose base is on a server: what is committed goes
 * there in whole transactions, and some questions are answered there alone.
 *
 * The logs are the truth until the server has what is in them. A round walks
 * the records that are behind `drained` (control.h), in the order of the logs,
 * up to the first that is in doubt, and hands them to the base. That order is
 * the order of the commits wherever it matters: two records in doubt never
 * share a key. A log is retired when it is frozen and all of it is drained; the
 * one in use is drained, too, so that readers elsewhere need not wait until it
 * is full.
 *
 * A record is drained only when it is synced here: after a power cut the next
 * log might have the same number, and the server would take its records for
 * those that it has already.
 *
 * Rows are read from the memtables over the server. What only an index knows
 * (tags, counts, expiry) is asked of the server after a drain.
 *
 * The server cannot tell what has changed since a snapshot of ours, so a commit
 * is checked against the logs. Those that were retired stay in the directory
 * for as long as some process has a view that began before.
 *
 *   killed with commits that are not drained   the next opener sends them
 *   killed in a call to the server             the server has done all of it or
 *                                              nothing: its mark says which
 *   killed before `drained` was raised         the server's mark says it
 *   frozen past its lease                      the script refuses its token */
#include <errno.h>

#include "../util/assert.h"
#include "engine.h"
#include "workers.h"

/* --- records --- */

typedef struct record_walk {
    nadb_records base;
    const engine_version *v;
    size_t at;       /* logs behind it are done; v->logs[at - 1] is next */
    uint64_t off;    /* in that log */
    uint64_t *tails; /* of the logs, when the walk began */
    uint64_t stop;   /* wal_place of the first record in doubt */
    size_t n_voids;  /* records that are void, but do not say so */
    uint64_t voids[CONTROL_DOUBTS];
    const wal *log;    /* of the present record */
    wal_record record; /* whose changes are given out */
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
    if (valid) return NADB_OK;
    return nadb_corrupt(err, "%s: no record at offset %llu",
                        m->log.os->path(m->log.file),
                        (unsigned long long)w->off);
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

/* Tails first: a record below one of them is in doubt now, or it is decided. */
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

/* The base is about to change what control holds. */
static nadb_rc unseal(engine *s, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (!control_sealed(&s->ctl)) return NADB_OK;
    rc = engine_lock(s, s->options->busy_timeout_ms, err);
    if (rc == NADB_OK) engine_unlock(s);
    return rc;
}

nadb_rc engine_drain(engine *s, const engine_version *v, const nadb_stop *stop,
                     nadb_err *err) {
    control_map *map = s->ctl.map;
    uint64_t from = atomic_load(&map->drained);
    record_walk w;
    nadb_rc rc = walk_begin(s, v, &w, err);
    uint64_t end;

    NADB_ASSERT(atomic_load(&s->ctl.flushing));
    if (rc != NADB_OK) return rc;
    w.base.stop = stop;
    end = wal_place(v->logs[0]->log.number, w.tails[0]);
    if (w.stop < end) end = w.stop;
    if (end > from) rc = engine_sync_to(s, end, err);
    if (rc == NADB_OK) rc = unseal(s, err);
    records_seek(&w.base, place_of(from));
    if (rc == NADB_OK)
        rc = s->base_ops->remote->drain(s->base, &w.base, place_of(from), err);
    if (rc == NADB_OK && end != from) atomic_store(&map->drained, end);
    nadb_free(w.tails);
    return rc;
}

bool engine_drained(engine *s, const memtable *m) {
    return s->base_ops->remote == NULL ||
           atomic_load(&s->ctl.map->drained) >=
               wal_place(m->log.number, memtable_tail(m));
}

/* Whether the server lacks something that is committed. What is in doubt is
 * not, and nobody sees it yet. */
static nadb_rc is_behind(engine *s, const engine_version *v, bool *behind,
                         nadb_err *err) {
    record_walk w;
    nadb_record r;
    nadb_rc rc;

    *behind = !engine_drained(s, v->logs[0]);
    if (!*behind) return NADB_OK;
    rc = walk_begin(s, v, &w, err);
    if (rc != NADB_OK) return rc;
    /* Records in doubt are passed by: each stop, then on from behind it. */
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

/* What is done between these two is done for the reader of the view. */
static void serve(engine *s, const nadb_view *v) {
    s->base_ops->remote->serve(v == NULL ? NULL : v->caller);
}

static void serve_nobody(engine *s) { s->base_ops->remote->serve(NULL); }

static nadb_rc check_reader(const nadb_view *v, nadb_err *err) {
    const nadb_caller *caller = v == NULL ? NULL : v->caller;

    if (caller == NULL || !caller->stopped(caller->ctx)) return NADB_OK;
    return nadb_fail(err, NADB_INTERRUPT, "interrupted");
}

/* Until the server has all that a reader of the view (NULL: nobody) who comes
 * now may ask for. */
static nadb_rc drain_for_reader(engine *s, const nadb_view *reader,
                                nadb_err *err) {
    _Atomic uint32_t *events = &s->ctl.map->flush_events;
    int64_t deadline =
        s->os->mono_ns() + s->options->busy_timeout_ms * (int64_t)1000000;

    for (;;) {
        uint32_t seen = atomic_load(events);
        engine_version *v = NULL;
        bool behind = false, more = false;
        nadb_rc rc = engine_version_get(s, &v, err);

        if (rc == NADB_OK) rc = is_behind(s, v, &behind, err);
        engine_version_unref(s, v);
        if (rc != NADB_OK || !behind) return rc;
        rc = check_reader(reader, err);
        if (rc != NADB_OK) return rc;
        if (!s->options->read_only && !s->private_memory) {
            serve(s, reader);
            rc = engine_work(s, &more, err);
            serve_nobody(s);
            if (rc != NADB_OK) return rc;
        }
        if (s->os->mono_ns() > deadline)
            return nadb_fail(err, NADB_BUSY,
                             "what is buffered in %s has to be sent before "
                             "tags, counts or expiry can be asked for: a "
                             "prepared transaction, or another process that "
                             "sends it, is in the way",
                             s->dir);
        s->os->futex_wait((uint32_t *)events, seen, 2);
    }
}

bool engine_pending(engine *s) {
    engine_version *v = NULL;
    bool behind = false;

    if (s->base_ops->remote == NULL || s->private_memory) return false;
    if (engine_version_get(s, &v, NULL) != NADB_OK) return false;
    if (is_behind(s, v, &behind, NULL) != NADB_OK) behind = true;
    engine_version_unref(s, v);
    return behind;
}

void engine_leave(engine *s) {
    bool more = engine_pending(s);

    /* What the server cannot be given now, the next opener gives it. */
    if (!more || engine_work(s, &more, NULL) == NADB_OK)
        s->base_ops->remote->leave(s->base);
}

/* --- other writers --- */

static nadb_rc get_ready(engine *s, const nadb_commit_req *req, nadb_err *err) {
    const nadb_remote_ops *ops = s->base_ops->remote;
    bool more = false;
    nadb_rc rc = unseal(s, err);

    if (rc == NADB_OK) rc = ops->admit(s->base, req, err);
    if (rc == NADB_OK && ops->is_stale(s->base)) {
        rc = engine_work(s, &more, err);
        if (rc == NADB_OK && ops->is_stale(s->base))
            rc = nadb_fail(err, NADB_BUSY,
                           "%s: another machine has written to the namespace, "
                           "and what is buffered here has to be compared with "
                           "that first",
                           s->dir);
    }
    if (rc == NADB_OK && req != NULL && req->view != NULL &&
        (req->n_reads > 0 || req->reads_all) &&
        ((engine_view *)req->view)->epoch != ops->epoch(s->base))
        rc = nadb_fail(err, NADB_CONFLICT,
                       "another machine has written to the namespace since "
                       "this transaction began");
    return rc;
}

nadb_rc engine_remote_ready(engine *s, const nadb_commit_req *req,
                            nadb_err *err) {
    nadb_rc rc;

    serve(s, req->view);
    rc = get_ready(s, req, err);
    serve_nobody(s);
    return rc;
}

nadb_rc engine_remote_claim(nadb_engine *e, nadb_view *v, nadb_slice key,
                            int64_t timeout_ms, uint32_t *claim,
                            nadb_err *err) {
    nadb_rc rc;

    serve(engine_of(e), v);
    rc = get_ready(engine_of(e), NULL, err);
    serve_nobody(engine_of(e));

    *claim = 0;
    if (rc == NADB_OK) rc = engine_claim(e, v, key, timeout_ms, claim, err);
    return rc;
}

/* --- reading --- */

static bool is_index(nadb_slice key) {
    return key.n > 0 && key.p[0] != NADB_KS_ROW;
}

static void forget(engine *s, nadb_view *view) {
    engine_view *v = (engine_view *)view;

    if (v == NULL || v->ahead == NULL) return;
    s->base_ops->remote->forget(v->ahead);
    v->ahead = NULL;
}

void engine_remote_view_close(nadb_engine *e, nadb_view *v) {
    forget(engine_of(e), v);
    engine_view_close(e, v);
}

static void note_epoch(engine *s, nadb_view *v) {
    ((engine_view *)v)->epoch = s->base_ops->remote->epoch(s->base);
}

nadb_rc engine_remote_view_refresh(nadb_engine *e, nadb_view *v,
                                   nadb_err *err) {
    forget(engine_of(e), v);
    note_epoch(engine_of(e), v); /* before it sees anything */
    return engine_view_refresh(e, v, err);
}

nadb_rc engine_remote_view_open(nadb_engine *e, nadb_view **out,
                                nadb_err *err) {
    uint64_t epoch = engine_of(e)->base_ops->remote->epoch(engine_of(e)->base);
    nadb_rc rc = engine_view_open(e, out, err);

    if (rc == NADB_OK) ((engine_view *)*out)->epoch = epoch;
    return rc;
}

void engine_remote_view_rest(nadb_engine *e, nadb_view *v) {
    forget(engine_of(e), v);
    engine_view_rest(e, v);
}

/* Those that no memtable has are wanted of the server. */
nadb_rc engine_remote_want(nadb_engine *e, nadb_view *view,
                           const nadb_slice *keys, size_t n, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    nadb_buf list = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < n && v->floor == 0 && rc == NADB_OK; i++) {
        nadb_entry entry;
        bool found = false;

        rc = engine_get_recent(v, keys[i], &entry, &found, err);
        if (rc == NADB_OK && !found &&
            !nadb_buf_append(&list, &keys[i], sizeof keys[i]))
            rc = nadb_fail(err, NADB_NOMEM, "reading %s", s->dir);
    }
    serve(s, view);
    if (rc == NADB_OK && list.n > sizeof *keys)
        rc = s->base_ops->remote->want(s->base, &v->ahead,
                                       (const nadb_slice *)(void *)list.p,
                                       list.n / sizeof *keys, err);
    serve_nobody(s);
    nadb_buf_clear(&list);
    return rc;
}

static nadb_rc base_get(engine *s, engine_view *v, nadb_slice key,
                        nadb_entry *out, bool *found, nadb_err *err) {
    nadb_rc rc;

    serve(s, &v->base);
    rc = s->base_ops->get(v->version->base, key, &v->scratch, out, found, err);
    serve_nobody(s);
    return rc;
}

static nadb_rc row_get(engine *s, engine_view *v, nadb_slice key,
                       nadb_entry *out, bool *found, nadb_err *err) {
    nadb_rc rc = engine_get_recent(v, key, out, found, err);

    if (rc == NADB_OK && !*found && v->floor == 0 &&
        (v->ahead == NULL ||
         !s->base_ops->remote->wanted(v->ahead, key, out, found)))
        rc = base_get(s, v, key, out, found, err);
    if (*found && (out->flags & NADB_ENTRY_TOMBSTONE)) *found = false;
    return rc;
}

nadb_rc engine_remote_get(nadb_engine *e, nadb_view *view, nadb_slice key,
                          nadb_entry *out, bool *found, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    nadb_rc rc;

    if (!is_index(key)) return row_get(s, v, key, out, found, err);
    *found = false;
    rc = drain_for_reader(s, view, err);
    return rc == NADB_OK ? base_get(s, v, key, out, found, err) : rc;
}

nadb_rc engine_remote_iter(nadb_engine *e, nadb_view *view,
                           const nadb_range *range, nadb_iter **out,
                           nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    bool index = is_index(range->lo);
    nadb_rc rc = index ? drain_for_reader(s, view, err) : NADB_OK;

    *out = NULL;
    if (rc != NADB_OK) return rc;
    serve(s, view);
    rc = index ? s->base_ops->iter(v->version->base, range, out, err)
               : engine_iter(e, view, range, out, err);
    serve_nobody(s);
    return rc;
}

nadb_rc engine_remote_match(nadb_engine *e, nadb_view *view,
                            const nadb_match *m, const nadb_range *range,
                            bool keys_only, nadb_iter **out, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    nadb_rc rc = drain_for_reader(s, view, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    serve(s, view);
    rc = s->base_ops->remote->match(v->version->base, m, range, keys_only, out,
                                    err);
    serve_nobody(s);
    return rc;
}

nadb_rc engine_remote_sweep(nadb_engine *e, size_t rows_max, int64_t *removed,
                            bool *more, nadb_err *err) {
    engine *s = engine_of(e);
    nadb_rc rc = drain_for_reader(s, NULL, err);

    if (rc != NADB_OK) return rc;
    return s->base_ops->remote->sweep(s->base, rows_max, removed, more, err);
}

/* --- retired logs --- */

static nadb_rc unlink_retired(void *ctx, const char *name, nadb_err *err) {
    engine *s = ctx;
    const char *kind = "";
    uint64_t number = 0;
    control_now now;

    control_read(&s->ctl, &now);
    if (!nadb_file_parse(name, &number, &kind) || number >= now.first_log ||
        (strcmp(kind, "log") != 0 && strcmp(kind, "idx") != 0 &&
         strcmp(kind, "was") != 0))
        return NADB_OK;
    return nadb_home_unlink(&s->home, number, kind, err);
}

nadb_rc engine_unlink_retired(engine *s, nadb_err *err) {
    return s->os->dir_list(s->home.dir, unlink_retired, s, err);
}

void engine_retired_free(engine_retired *r) {
    while (r->n > 0) memtable_unref(r->logs[--r->n]);
}

nadb_rc engine_retired_get(engine *s, const engine_version *now,
                           const engine_version *then, engine_retired *out,
                           nadb_err *err) {
    const memtable *m = now->logs[now->n_logs - 1];
    uint64_t number = m->log.prev_log;

    memset(out, 0, sizeof *out);
    out->complete = true;
    while (number != 0 && number >= then->first_log) {
        memtable *old = engine_log(then, number);
        nadb_err mine;
        nadb_rc rc = NADB_OK;

        nadb_err_clear(&mine);
        if (out->n == ENGINE_RETIRED_MAX) {
            out->complete = false;
            break;
        }
        if (old != NULL)
            (void)memtable_ref(old);
        else
            rc = memtable_attach(&old, &s->home, number, &mine);
        if (mine.sys_errno == ENOENT) {
            out->complete = false;
            break;
        }
        if (rc != NADB_OK) {
            engine_retired_free(out);
            return nadb_fail(err, rc, "%s", mine.msg);
        }
        out->logs[out->n++] = old;
        number = old->log.prev_log;
    }
    return NADB_OK;
}
