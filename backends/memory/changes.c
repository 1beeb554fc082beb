/* changes.c - keep_changes of the memory engine (core/recent.h), and waiting.
 */
#include "engine.h"

static bool add_changes(nadb_buf *out, const memory_ticket *t) {
    bool ok = !t->clear || nadb_recent_put_clear(out);

    for (const version *v = t->changes; v != NULL && ok; v = v->next) {
        nadb_entry e = {.key = node_key(v->node),
                        .value = nadb_slice_of(v->value, v->value_n),
                        .flags = v->flags};

        ok = nadb_recent_put(out, &e);
    }
    return ok;
}

nadb_rc memory_changes_make(const memory_engine *e, memory_ticket *t,
                            nadb_err *err) {
    nadb_buf b = NADB_BUF_INIT;

    if (!nadb_keeps(e->recent.keep)) return NADB_OK;
    if (add_changes(&b, t)) t->piece = nadb_piece_new(&b);
    nadb_buf_clear(&b);
    if (t->piece != NULL) return NADB_OK;
    return nadb_fail(err, NADB_NOMEM, "out of memory for a store in memory");
}

void memory_keep(nadb_engine *engine, nadb_keep keep) {
    memory_engine *e = (memory_engine *)engine;

    nadb_recent_keep(&e->recent, &e->lock, keep);
}

nadb_rc memory_changes(nadb_engine *engine, nadb_view *v, uint64_t since,
                       nadb_changes **out, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;

    return nadb_recent_walk(&e->recent, &e->lock, since, v->seq, out, err);
}

nadb_rc memory_wait(nadb_engine *engine, uint64_t since, int64_t timeout_ms,
                    const nadb_stop *stop, uint64_t *seq, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;

    return nadb_recent_wait(&e->recent, &e->lock, &e->resolved, since,
                            timeout_ms, stop, seq, err);
}
