/* conflict.c - see conflict.h. */
#include "conflict.h"

#include "util/assert.h"

nadb_rc nadb_conflict_any(nadb_err *err) {
    return nadb_fail(err, NADB_CONFLICT,
                     "another transaction changed rows since this one began: "
                     "roll back and retry");
}

nadb_rc nadb_conflict_key(nadb_slice key, nadb_err *err) {
    char shown[NADB_KEY_SHOWN];

    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return nadb_conflict_any(err);
    return nadb_fail(err, NADB_CONFLICT,
                     "another transaction changed \"%s\" since this one "
                     "began: roll back and retry",
                     nadb_key_show(nadb_slice_of(key.p + 1, key.n - 1), shown));
}

bool nadb_compare_changed(const nadb_compare *c, const nadb_entry *now) {
    return nadb_changed_seq(now->key, now->seq, now->flags, now->value) >
           c->then->seq;
}

/* The snapshot shows an entry that no longer exists. */
static nadb_rc check_gone(nadb_compare *c, const nadb_entry *shown,
                          nadb_err *err) {
    bool expired = false;
    nadb_rc rc = NADB_OK;

    if (c->req->expired != NULL)
        rc = c->req->expired(c->engine, c->then, shown, c->clock_ms, &expired,
                             err);
    return rc == NADB_OK && !expired ? nadb_conflict_key(shown->key, err) : rc;
}

nadb_rc nadb_compare_key(nadb_compare *c, nadb_slice key, nadb_err *err) {
    nadb_engine *e = c->engine;
    nadb_entry now, then;
    bool is = false, was = false;
    nadb_rc rc = e->ops->get(e, c->now, key, &now, &is, err);

    NADB_ASSERT(c->then->seq <= c->now->seq);
    if (rc != NADB_OK) return rc;
    if (is)
        return nadb_compare_changed(c, &now) ? nadb_conflict_key(key, err)
                                             : NADB_OK;
    rc = e->ops->get(e, c->then, key, &then, &was, err);
    return rc == NADB_OK && was ? check_gone(c, &then, err) : rc;
}

/* Compares the entries of both iterators at the smaller of their keys, and
 * moves on. */
static nadb_rc compare_step(nadb_compare *c, nadb_iter *then, nadb_iter *now,
                            nadb_err *err) {
    int order = !then->valid  ? 1
                : !now->valid ? -1
                              : nadb_slice_cmp(then->entry.key, now->entry.key);
    nadb_rc rc = NADB_OK;

    if (c->left-- == 0) return nadb_conflict_any(err);
    if (order < 0)
        rc = check_gone(c, &then->entry, err);
    else if (nadb_compare_changed(c, &now->entry))
        rc = nadb_conflict_key(now->entry.key, err);
    if (rc == NADB_OK && order <= 0) rc = nadb_iter_next(then, err);
    if (rc == NADB_OK && order >= 0) rc = nadb_iter_next(now, err);
    return rc;
}

nadb_rc nadb_compare_range(nadb_compare *c, const nadb_range *range,
                           nadb_err *err) {
    nadb_engine *e = c->engine;
    nadb_range forward = {range->lo, range->hi, false};
    nadb_iter *then = NULL, *now = NULL;
    nadb_rc rc = e->ops->iter(e, c->then, &forward, &then, err);

    if (rc == NADB_OK) rc = e->ops->iter(e, c->now, &forward, &now, err);
    if (rc == NADB_OK) rc = nadb_iter_next(then, err);
    if (rc == NADB_OK) rc = nadb_iter_next(now, err);
    while (rc == NADB_OK && (then->valid || now->valid))
        rc = compare_step(c, then, now, err);
    nadb_iter_free(then);
    nadb_iter_free(now);
    return rc;
}

nadb_rc nadb_compare_reads(nadb_compare *c, nadb_err *err) {
    const nadb_commit_req *req = c->req;
    nadb_iter *it = req->changes;
    nadb_rc rc = NADB_OK;

    if (req->reads_all) return nadb_conflict_any(err);
    if (it != NULL) rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    while (rc == NADB_OK && it != NULL && it->valid) {
        if (it->entry.flags & NADB_ENTRY_READ)
            rc = nadb_compare_key(c, it->entry.key, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    for (size_t i = 0; i < req->n_reads && rc == NADB_OK; i++)
        rc = nadb_compare_range(c, &req->reads[i], err);
    return rc;
}
