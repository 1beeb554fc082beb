/* shards_commit.c - a commit to a store in shards. If it concerns one shard it
 * is a commit there, as in a store without shards; otherwise it is a
 * transaction over several (shards_txn.c). Undo works the same way. */
#include "shards.h"

/* The parts of a commit, in the order of shards. */
typedef struct ticket {
    unsigned n;
    shards_part parts[];
} ticket;

/* Makes t->parts[i].ticket if it is NULL. While tickets are made there is one
 * place per shard. */
static nadb_rc ticket_in(shards *s, ticket *t, unsigned i,
                         const nadb_commit_req *req, nadb_err *err) {
    const shards_view *v = (const shards_view *)req->view;
    redis_view *view = v == NULL ? NULL : v->parts[i];
    shards_part *p = &t->parts[i];
    nadb_rc rc;

    if (p->ticket != NULL) return NADB_OK;
    p->e = s->parts[i];
    p->shard = i;
    rc = redis_ticket_new(p->e, req, view == NULL ? NULL : &view->base,
                          &p->ticket, err);
    if (rc == NADB_OK) p->ticket->claim = shards_claim_in(i, req->claim);
    return rc;
}

/* A view that has read nothing in a shard needs no check there. */
static bool has_read(const nadb_commit_req *req, unsigned i) {
    const shards_view *v = (const shards_view *)req->view;

    return v != NULL && v->parts[i] != NULL && v->parts[i]->known;
}

/* A read of one key belongs to one shard, that of a range to all. */
static nadb_rc add_reads(shards *s, ticket *t, const nadb_commit_req *req,
                         nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++)
        if (req->clear || (req->reads_all && has_read(req, i)))
            rc = ticket_in(s, t, i, req, err);
    for (size_t k = 0; k < req->n_reads && rc == NADB_OK; k++) {
        const nadb_range *r = &req->reads[k];
        bool key = nadb_range_is_key(r) && r->lo.p[0] == NADB_KS_ROW;
        unsigned home = key ? shards_of_row(s, r->lo) : 0;

        for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
            if (!has_read(req, i) || (key && i != home)) continue;
            rc = ticket_in(s, t, i, req, err);
            if (rc == NADB_OK) redis_ticket_read(t->parts[i].ticket, r);
        }
    }
    return rc;
}

/* The shards themselves derive changes of indexes. */
static nadb_rc add_changes(shards *s, ticket *t, const nadb_commit_req *req,
                           nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);

    for (; rc == NADB_OK && it->valid; rc = nadb_iter_next(it, err)) {
        unsigned i;

        if (it->entry.key.n == 0 || it->entry.key.p[0] != NADB_KS_ROW) continue;
        i = shards_of_row(s, it->entry.key);
        rc = ticket_in(s, t, i, req, err);
        if (rc == NADB_OK)
            rc = redis_ticket_change(t->parts[i].ticket, &it->entry, err);
        if (rc != NADB_OK) break;
    }
    return rc;
}

/* The caller owns the tickets, also on error. */
static nadb_rc fill(shards *s, ticket *t, const nadb_commit_req *req,
                    nadb_err *err) {
    nadb_rc rc = add_reads(s, t, req, err);

    if (rc == NADB_OK) rc = add_changes(s, t, req, err);
    for (unsigned i = 0; i < s->n; i++) {
        shards_part p = t->parts[i];

        if (p.ticket == NULL) continue;
        p.changes = p.ticket->clear || p.ticket->count > 0;
        t->parts[i].ticket = NULL;
        t->parts[t->n++] = p;
        if (rc == NADB_OK) rc = redis_ticket_check(p.ticket, err);
    }
    return rc;
}

/* Drops the tickets of parts that were only read, or all. */
static void drop(ticket *t, bool all) {
    unsigned n = 0;

    for (unsigned k = 0; k < t->n; k++) {
        shards_part p = t->parts[k];

        if (all || !p.changes)
            redis_ticket_drop(p.e, p.ticket);
        else
            t->parts[n++] = p;
    }
    t->n = n;
}

static nadb_rc commit(shards *s, ticket *t, int64_t timeout_ms, nadb_err *err) {
    nadb_rc rc;

    if (t->n == 1 && t->parts[0].changes)
        return redis_prepare_ticket(t->parts[0].e, t->parts[0].ticket,
                                    timeout_ms, err);
    rc = shards_do(s, t->parts, t->n, false, timeout_ms, err);
    for (unsigned k = 0; k < t->n; k++) {
        redis_forget_changes(t->parts[k].e, t->parts[k].ticket);
        if (rc == NADB_OK && t->parts[k].changes)
            redis_committed(t->parts[k].e, t->parts[k].ticket);
    }
    return rc;
}

/* A shard is missing: finds out whether the store was destroyed. */
static nadb_rc find_missing(shards *s, const ticket *t, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (unsigned k = 0; k < t->n && rc == NADB_OK; k++)
        rc = shards_missing(s, t->parts[k].shard, err);
    return rc;
}

nadb_rc shards_prepare(nadb_engine *engine, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err) {
    shards *s = (shards *)engine;
    shards_view *v = (shards_view *)req->view;
    patience_operation o;
    ticket *t = nadb_calloc(1, sizeof *t + s->n * sizeof t->parts[0]);
    nadb_rc rc = t == NULL ? shards_no_memory(err) : fill(s, t, req, err);

    *out = NULL;
    patience_operation_begin(&o);
    if (rc == NADB_OK) rc = shards_settle(s, NULL, err);
    /* The store was not made yet. */
    if (rc == NADB_OK && !atomic_load(&s->settled)) rc = shards_join(s, v, err);
    if (rc == NADB_OK) rc = commit(s, t, req->timeout_ms, err);
    if (rc == NADB_CANTOPEN && atomic_load(&s->settled)) {
        if (err != NULL) nadb_err_clear(err);
        rc = find_missing(s, t, err);
        if (rc == NADB_OK) rc = shards_join(s, v, err);
        if (rc == NADB_OK) rc = commit(s, t, req->timeout_ms, err);
    }
    patience_operation_end(&o);
    if (t != NULL) drop(t, rc != NADB_OK);
    if (rc == NADB_OK)
        *out = (nadb_ticket *)t;
    else
        nadb_free(t);
    return rc;
}

void shards_commit(nadb_engine *engine, nadb_ticket *done) {
    ticket *t = (ticket *)done;
    patience_operation o;

    (void)engine;
    patience_operation_begin(&o);
    for (unsigned k = 0; k < t->n; k++)
        redis_commit(&t->parts[k].e->base, (nadb_ticket *)t->parts[k].ticket);
    patience_operation_end(&o);
    nadb_free(t);
}

nadb_rc shards_rollback(nadb_engine *engine, nadb_ticket *done, nadb_err *err) {
    shards *s = (shards *)engine;
    ticket *t = (ticket *)done;
    patience_operation o;
    bool lost = false;
    nadb_rc rc = NADB_OK;

    patience_operation_begin(&o);
    for (unsigned k = 0; k < t->n; k++)
        lost = lost || t->parts[k].ticket->reply == NULL;
    if (t->n == 1) {
        rc = redis_rollback(&t->parts[0].e->base,
                            (nadb_ticket *)t->parts[0].ticket, err);
        t->n = 0;
    } else if (lost) {
        rc = redis_not_undone(t->parts[0].e->at.name,
                              "the connection broke while they were made", err);
    } else {
        rc = shards_do(s, t->parts, t->n, true, s->mark->at.timeout_ms, err);
    }
    for (unsigned k = 0; k < t->n; k++)
        redis_undone(t->parts[k].e, t->parts[k].ticket, rc == NADB_OK);
    patience_operation_end(&o);
    nadb_free(t);
    return rc;
}
