/* read.c - reading through a view: memtables newest first, then the
 * base. No lock, and after the first touch of a page no system call. */
#include "../util/merge.h"
#include "engine.h"

nadb_rc engine_get_recent(engine_view *v, nadb_slice key, nadb_entry *out,
                          bool *found, nadb_err *err) {
    engine_version *ver = v->version;
    memtable_key k = memtable_key_of(key);
    nadb_rc rc = NADB_OK;

    *found = false;
    for (size_t i = 0; i < ver->n_logs && rc == NADB_OK && !*found; i++) {
        if (memtable_is_empty(ver->logs[i])) continue;
        rc = memtable_get(ver->logs[i], &k, v->base.seq, v->floor, out, found,
                          err);
    }
    return rc;
}

nadb_rc engine_get(nadb_engine *e, nadb_view *view, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    nadb_rc rc = engine_get_recent(v, key, out, found, err);

    /* A clear in a live log hides the base, which is older than every log. */
    if (rc == NADB_OK && !*found && v->floor == 0)
        rc = s->base_ops->get(v->version->base, key, &v->scratch, out, found,
                              err);
    if (*found && (out->flags & NADB_ENTRY_TOMBSTONE)) *found = false;
    return rc;
}

nadb_rc engine_iter(nadb_engine *e, nadb_view *view, const nadb_range *range,
                    nadb_iter **out, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    engine_version *ver = v->version;
    nadb_iter **sources;
    size_t n = 0, first = 0;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    /* Each process that opens a store begins a log, and may write none. */
    while (first < ver->n_logs && memtable_is_empty(ver->logs[first])) first++;
    if (first == ver->n_logs && v->floor == 0)
        return s->base_ops->iter(ver->base, range, out, err);
    sources = nadb_calloc(ver->n_logs - first + 1, sizeof *sources);
    if (sources == NULL)
        return nadb_fail(err, NADB_NOMEM, "reading %s", s->dir);
    for (size_t i = first; i < ver->n_logs && rc == NADB_OK; i++) {
        if (memtable_is_empty(ver->logs[i])) continue;
        rc = memtable_iter(ver->logs[i], v->base.seq, v->floor, range,
                           &sources[n], err);
        if (rc == NADB_OK) n++;
    }
    if (rc == NADB_OK && v->floor == 0) {
        rc = s->base_ops->iter(ver->base, range, &sources[n], err);
        if (rc == NADB_OK) n++;
    }
    if (rc == NADB_OK) {
        rc = nadb_merge(sources, n, range, false, out, err);
    } else {
        while (n > 0) nadb_iter_free(sources[--n]);
    }
    nadb_free(sources);
    return rc;
}
