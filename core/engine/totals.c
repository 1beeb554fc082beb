/* totals.c - exact numbers of rows and bytes without a walk over them.
 *
 * A commit does not look up what it overwrites, so it cannot know whether a put
 * adds a row. A flush can: it visits each changed key once, and looks up in the
 * base what the change replaces. So MANIFEST has exact totals of its state,
 * which are replaced with the state and cannot be torn from it. What the
 * memtables add is found in the same way on request (engine_totals()), by one
 * lookup for each key in the buffer.
 *
 * A store that was written before nadb kept totals, or in which a lookup
 * failed, is counted by a walk at the next flush. */
#include "../kv/row.h"
#include "engine.h"

static const nadb_range everything = {{NULL, 0}, {NULL, 0}, false};

/* --- a pass over changes --- */

typedef struct counter {
    nadb_iter base;
    nadb_iter *inner;
    const nadb_base_ops *ops;
    nadb_base_version *below; /* NULL: a clear hides everything */
    uint64_t clear_seq;
    nadb_totals *totals;
    nadb_buf scratch;
} counter;

/* An unreadable entry makes the totals unknown; the flush goes on. */
static void count_change(counter *c, const nadb_entry *e) {
    nadb_entry old;
    bool found = false;

    if (!c->totals->known || e->key.n == 0 || e->seq <= c->clear_seq) return;
    if (e->key.p[0] != NADB_KS_ROW && e->key.p[0] != NADB_KS_COUNT) return;
    if (c->below != NULL && c->ops->get(c->below, e->key, &c->scratch, &old,
                                        &found, NULL) != NADB_OK)
        c->totals->known = false;
    if (found) nadb_totals_count(c->totals, &old, false);
    nadb_totals_count(c->totals, e, true);
}

static nadb_rc counter_next(nadb_iter *base, nadb_err *err) {
    counter *c = (counter *)base;
    nadb_rc rc = nadb_iter_next(c->inner, err);

    base->valid = rc == NADB_OK && c->inner->valid;
    if (!base->valid) return rc;
    base->entry = c->inner->entry;
    count_change(c, &base->entry);
    return NADB_OK;
}

static nadb_rc counter_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    (void)base;
    (void)key;
    return nadb_fail(err, NADB_INVALID, "changes are counted in one pass");
}

static void counter_free(nadb_iter *base) {
    counter *c = (counter *)base;

    nadb_iter_free(c->inner);
    nadb_buf_clear(&c->scratch);
    nadb_free(c);
}

nadb_rc engine_counting(engine *s, nadb_base_version *below, uint64_t clear_seq,
                        nadb_totals *totals, nadb_iter *changes,
                        nadb_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {counter_next, counter_seek, counter_free};
    counter *c = nadb_calloc(1, sizeof *c);

    *out = NULL;
    if (c == NULL) {
        nadb_iter_free(changes);
        return nadb_fail(err, NADB_NOMEM, "counting what is in %s", s->dir);
    }
    c->base.ops = &ops;
    c->inner = changes;
    c->ops = s->base_ops;
    c->clear_seq = clear_seq;
    c->totals = totals;
    if (clear_seq > below->clear_seq) {
        memset(totals, 0, sizeof *totals);
        totals->known = true;
    } else if (below->generation > 0) {
        c->below = below;
    }
    *out = &c->base;
    return NADB_OK;
}

/* --- a walk over the base --- */

void engine_count_base(engine *s, nadb_base_version *base, nadb_totals *out) {
    nadb_iter *it = NULL;
    nadb_rc rc = s->base_ops->iter(base, &everything, &it, NULL);

    memset(out, 0, sizeof *out);
    out->known = true;
    if (rc == NADB_OK) rc = nadb_iter_next(it, NULL);
    while (rc == NADB_OK && it->valid && out->known) {
        nadb_totals_count(out, &it->entry, true);
        rc = nadb_iter_next(it, NULL);
    }
    nadb_iter_free(it);
    if (rc != NADB_OK) out->known = false;
}

/* --- what a view shows --- */

nadb_rc engine_totals(nadb_engine *e, nadb_view *view, nadb_totals *out,
                      nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    uint64_t clear_seq = v->version->base->clear_seq;
    nadb_iter *changes = NULL, *it = NULL;
    nadb_rc rc;

    *out = v->version->base->totals;
    if (!s->traits->counts) return NADB_OK;
    if (v->floor > clear_seq) clear_seq = v->floor;
    rc = engine_iter_logs(s, v, &everything, true, &changes, err);
    if (rc == NADB_OK)
        rc = engine_counting(s, v->version->base, clear_seq, out, changes, &it,
                             err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid && out->known)
        rc = nadb_iter_next(it, err);
    nadb_iter_free(it);
    return rc;
}
