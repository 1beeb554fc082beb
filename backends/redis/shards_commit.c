/* shards_commit.c - a commit to a store in shards. If it concerns one shard it
 * is a commit there, as in a store without shards; otherwise it is a
 * transaction over several (shards_txn.c). Undo works the same way. */
#include "shards.h"

/* Makes parts[i] if it is NULL. `reads`: for what was read; a view that has
 * read nothing in a shard needs no check there. */
static nadb_rc add_part(shards *s, redis_ticket **parts, unsigned i, bool reads,
                        const nadb_commit_req *req, nadb_err *err) {
    const shards_view *v = (const shards_view *)req->view;
    redis_view *view = v == NULL ? NULL : v->parts[i];
    nadb_rc rc;

    if (view != NULL) view->base.reading = v->base.reading;
    if (parts[i] != NULL || (reads && !redis_has_read(view))) return NADB_OK;
    rc = redis_ticket_new(s->parts[i], req, (nadb_view *)view, &parts[i], err);
    if (rc == NADB_OK) parts[i]->claim = shards_claim_in(i, req->claim);
    return rc;
}

/* A read of one key belongs to one shard, that of a range to all. */
static nadb_rc add_read(shards *s, redis_ticket **parts, const nadb_range *r,
                        const nadb_commit_req *req, nadb_err *err) {
    bool key = nadb_range_is_key(r) && r->lo.p[0] == NADB_KS_ROW;
    unsigned i = key ? shards_of_row(s, r->lo) : 0;
    unsigned end = key ? i + 1 : s->n;
    nadb_rc rc = NADB_OK;

    for (; i < end && rc == NADB_OK; i++) {
        rc = add_part(s, parts, i, true, req, err);
        if (parts[i] != NULL) redis_ticket_read(parts[i], r);
    }
    return rc;
}

/* The caller owns the parts, also on error. */
static nadb_rc fill(shards *s, redis_ticket **parts, const nadb_commit_req *req,
                    nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++)
        if (req->clear || req->reads_all)
            rc = add_part(s, parts, i, !req->clear, req, err);
    for (size_t k = 0; k < req->n_reads && rc == NADB_OK; k++)
        rc = add_read(s, parts, &req->reads[k], req, err);
    while (rc == NADB_OK && it->valid) {
        nadb_slice key = it->entry.key;

        /* The shards themselves derive changes of indexes. */
        if (key.n > 0 && key.p[0] == NADB_KS_ROW) {
            unsigned i = shards_of_row(s, key);

            rc = add_part(s, parts, i, false, req, err);
            if (rc == NADB_OK)
                rc = redis_ticket_change(parts[i], &it->entry, err);
        }
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    return rc;
}

nadb_rc shards_prepare(nadb_engine *engine, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err) {
    shards *s = (shards *)engine;
    redis_ticket **parts = nadb_calloc(s->n, sizeof(redis_ticket *));
    patience_operation o;
    nadb_rc rc =
        parts == NULL ? shards_no_memory(err) : fill(s, parts, req, err);

    *out = NULL;
    patience_operation_begin(&o);
    for (bool again = true; rc == NADB_OK; again = false) {
        /* The store was not made yet, as far as we know. */
        if (!atomic_load(&s->settled)) rc = shards_join(s, err);
        if (rc == NADB_OK)
            rc = shards_do(s, parts, false, req->timeout_ms, err);
        if (rc != NADB_CANTOPEN || !again || !atomic_load(&s->settled)) break;
        if (err != NULL) nadb_err_clear(err);
        /* A shard is missing: finds out whether the store was destroyed. */
        rc = NADB_OK;
        for (unsigned i = 0; i < s->n && rc == NADB_OK; i++)
            if (parts[i] != NULL) rc = shards_missing(s, i, err);
    }
    patience_operation_end(&o);
    for (unsigned i = 0; i < s->n && parts != NULL; i++) {
        if (rc == NADB_OK && redis_ticket_changes(parts[i])) continue;
        redis_ticket_drop(s->parts[i], parts[i]);
        parts[i] = NULL;
    }
    if (rc == NADB_OK)
        *out = (nadb_ticket *)parts;
    else
        nadb_free(parts);
    return rc;
}

void shards_commit(nadb_engine *engine, nadb_ticket *done) {
    shards *s = (shards *)engine;
    redis_ticket **parts = (redis_ticket **)done;
    patience_operation o;

    patience_operation_begin(&o);
    for (unsigned i = 0; i < s->n; i++)
        if (parts[i] != NULL)
            redis_commit(&s->parts[i]->base, (nadb_ticket *)parts[i]);
    patience_operation_end(&o);
    nadb_free(parts);
}

nadb_rc shards_rollback(nadb_engine *engine, nadb_ticket *done, nadb_err *err) {
    shards *s = (shards *)engine;
    redis_ticket **parts = (redis_ticket **)done;
    patience_operation o;
    nadb_rc rc;

    patience_operation_begin(&o);
    rc = shards_do(s, parts, true, s->mark->at.timeout_ms, err);
    for (unsigned i = 0; i < s->n; i++)
        if (parts[i] != NULL)
            redis_undone(s->parts[i], parts[i], rc == NADB_OK);
    patience_operation_end(&o);
    nadb_free(parts);
    return rc;
}
