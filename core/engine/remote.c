/* remote.c - operations of the engine if the base is on a server: they drain
 * first, or ask the server (drain.c). */
#include "engine.h"

/* Between serve() and the end, waiting counts for the reader of the view. */
static void serve(engine *s, const nadb_view *v) {
    s->remote->serve(v == NULL ? NULL : v->caller);
}

static void serve_nobody(engine *s) { s->remote->serve(NULL); }

static nadb_rc check_reader(const nadb_view *v, nadb_err *err) {
    const nadb_caller *caller = v == NULL ? NULL : v->caller;

    if (caller == NULL || !caller->stopped(caller->ctx)) return NADB_OK;
    return nadb_fail(err, NADB_INTERRUPT, "interrupted");
}

/* Drains until the server has all commits that a reader who starts now must
 * see. `reader` may be NULL. */
static nadb_rc drain_for_reader(engine *s, const nadb_view *reader,
                                nadb_err *err) {
    _Atomic uint32_t *events = &s->ctl.map->flush_events;
    int64_t deadline =
        s->os->mono_ns() + atomic_load(&s->busy_timeout_ms) * (int64_t)1000000;

    for (;;) {
        uint32_t seen = atomic_load(events);
        engine_version *v = NULL;
        bool behind = false;
        nadb_rc rc = engine_version_get(s, &v, err);

        if (rc == NADB_OK) rc = engine_is_behind(s, v, &behind, err);
        engine_version_unref(s, v);
        if (rc != NADB_OK || !behind) return rc;
        rc = check_reader(reader, err);
        if (rc != NADB_OK) return rc;
        if (!s->options->read_only && !s->private_memory) {
            serve(s, reader);
            rc = engine_send(s, err);
            serve_nobody(s);
            if (rc != NADB_OK) return rc;
        }
        if (s->os->mono_ns() > deadline)
            return nadb_fail(
                err, NADB_BUSY,
                "what is buffered in %s must be sent before tags, counts or "
                "expiry can be read, and a prepared transaction, or another "
                "process that is sending it, is in the way: try again",
                s->dir);
        s->os->futex_wait((uint32_t *)events, seen, 2);
    }
}

void engine_leave(engine *s) {
    /* The next opener sends what cannot be sent now. */
    if (!engine_pending(s) || engine_send(s, NULL) == NADB_OK)
        s->remote->leave(s->base);
}

/* --- other writers --- */

static nadb_rc get_ready(engine *s, const nadb_commit_req *req, nadb_err *err) {
    const nadb_remote_ops *ops = s->remote;
    nadb_rc rc = engine_unseal(s, err);

    if (rc == NADB_OK) rc = ops->admit(s->base, req, err);
    if (rc == NADB_OK && ops->is_stale(s->base)) {
        rc = engine_send(s, err);
        if (rc == NADB_OK && ops->is_stale(s->base))
            rc = nadb_fail(err, NADB_BUSY,
                           "%s: another machine has written to the namespace, "
                           "and what is buffered here must be compared with "
                           "that first: try again",
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
    s->remote->forget(v->ahead);
    v->ahead = NULL;
}

void engine_remote_view_close(nadb_engine *e, nadb_view *v) {
    forget(engine_of(e), v);
    engine_view_close(e, v);
}

static void note_epoch(engine *s, nadb_view *v) {
    ((engine_view *)v)->epoch = s->remote->epoch(s->base);
}

nadb_rc engine_remote_view_refresh(nadb_engine *e, nadb_view *v,
                                   nadb_err *err) {
    forget(engine_of(e), v);
    note_epoch(engine_of(e), v); /* before the view sees anything */
    return engine_view_refresh(e, v, err);
}

nadb_rc engine_remote_view_open(nadb_engine *e, nadb_view **out,
                                nadb_err *err) {
    uint64_t epoch = engine_of(e)->remote->epoch(engine_of(e)->base);
    nadb_rc rc = engine_view_open(e, out, err);

    if (rc == NADB_OK) ((engine_view *)*out)->epoch = epoch;
    return rc;
}

void engine_remote_view_rest(nadb_engine *e, nadb_view *v) {
    forget(engine_of(e), v);
    engine_view_rest(e, v);
}

/* Prefetches from the server the keys that no memtable has. */
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
        rc = s->remote->want(s->base, &v->ahead,
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
        (v->ahead == NULL || !s->remote->wanted(v->ahead, key, out, found)))
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
    rc = s->remote->match(v->version->base, m, range, keys_only, out, err);
    serve_nobody(s);
    return rc;
}

nadb_rc engine_remote_sweep(nadb_engine *e, size_t rows_max, int64_t *removed,
                            bool *more, nadb_err *err) {
    engine *s = engine_of(e);
    nadb_rc rc = drain_for_reader(s, NULL, err);

    if (rc != NADB_OK) return rc;
    return s->remote->sweep(s->base, rows_max, removed, more, err);
}
