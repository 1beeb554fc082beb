/* shards_commit.c - a commit to a store in shards: what concerns one shard
 * alone is a commit there, as in a store in one piece; else it is a transaction
 * over several (shards_txn.c). Taking back goes the same ways. */
#include <stdio.h>

#include "../../core/util/arena.h"
#include "shards.h"

/* Its parts, in the order of shards. */
typedef struct ticket {
    unsigned n;
    shards_change parts[];
} ticket;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a commit to Redis");
}

/* --- taking a request apart --- */

/* What was read: a key, which is in one shard, or a range, which is in all. */
#define ALL_SHARDS UINT32_MAX

typedef struct change {
    nadb_entry entry;
    unsigned shard;
} change;

typedef struct split {
    shards *s;
    const nadb_commit_req *req;
    shards_view *v; /* may be NULL */
    nadb_arena memory;
    size_t n; /* changes */
    change *changes;
    nadb_entry *sorted; /* by shard, then as they came */
    size_t *begins;     /* where a shard's begin; n + 1 of them */
    size_t *bytes;      /* of each shard's */
    unsigned *places;   /* of each read: its shard, or ALL_SHARDS */
    nadb_range *reads;  /* those of one shard, for one call */
} split;

static void *room(split *x, size_t n, size_t size) {
    void *p = nadb_arena_alloc(&x->memory, n * size + 1);

    if (p != NULL) memset(p, 0, n * size + 1);
    return p;
}

static bool copy_slice(split *x, nadb_slice *s) {
    uint8_t *p = nadb_arena_alloc(&x->memory, s->n + 1);

    if (p == NULL) return false;
    if (s->n > 0) memcpy(p, s->p, s->n);
    *s = nadb_slice_of(p, s->n);
    return true;
}

/* Changes of rows; those of indexes the shards make themselves. */
static nadb_rc collect(split *x, nadb_err *err) {
    nadb_iter *it = x->req->changes;
    nadb_rc rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);

    for (; rc == NADB_OK && it->valid; rc = nadb_iter_next(it, err)) {
        nadb_entry e = it->entry;
        change *c = &x->changes[x->n];

        if (e.key.n == 0 || e.key.p[0] != NADB_KS_ROW) continue;
        if (x->n == x->req->count)
            return nadb_fail(err, NADB_INVALID, "a commit of too many rows");
        if ((e.flags & NADB_ENTRY_PINNED) == 0 &&
            (!copy_slice(x, &e.key) || !copy_slice(x, &e.value)))
            return no_memory(err);
        e.flags |= NADB_ENTRY_PINNED;
        c->entry = e;
        c->shard = shards_of_row(x->s, e.key);
        x->begins[c->shard + 1]++;
        x->bytes[c->shard] += e.key.n + e.value.n;
        x->n++;
    }
    return rc;
}

static void sort(split *x) {
    size_t *next = x->begins;

    for (unsigned i = 0; i < x->s->n; i++) next[i + 1] += next[i];
    /* From behind: begins[i + 1] goes down from the end of shard i to its
     * beginning, which is where shard i - 1 ends. */
    for (size_t k = x->n; k-- > 0;)
        x->sorted[--next[x->changes[k].shard + 1]] = x->changes[k].entry;
    for (unsigned i = 0; i < x->s->n; i++) next[i] = next[i + 1];
    next[x->s->n] = x->n;
}

static unsigned place_of_read(const shards *s, const nadb_range *r) {
    nadb_slice lo = r->lo, hi = r->hi;

    if (lo.n > 0 && lo.p[0] == NADB_KS_ROW && hi.p != NULL &&
        hi.n == lo.n + 1 && hi.p[lo.n] == 0 && nadb_slice_starts(hi, lo))
        return shards_of_row(s, lo);
    return ALL_SHARDS;
}

static nadb_rc split_init(split *x, shards *s, const nadb_commit_req *req,
                          nadb_err *err) {
    nadb_rc rc;

    memset(x, 0, sizeof *x);
    x->s = s;
    x->req = req;
    x->v = (shards_view *)req->view;
    x->changes = room(x, req->count, sizeof *x->changes);
    x->sorted = room(x, req->count, sizeof *x->sorted);
    x->begins = room(x, s->n + 1, sizeof *x->begins);
    x->bytes = room(x, s->n, sizeof *x->bytes);
    x->places = room(x, req->n_reads, sizeof *x->places);
    x->reads = room(x, req->n_reads, sizeof *x->reads);
    if (x->changes == NULL || x->sorted == NULL || x->begins == NULL ||
        x->bytes == NULL || x->places == NULL || x->reads == NULL)
        return no_memory(err);
    for (size_t k = 0; k < req->n_reads; k++)
        x->places[k] = place_of_read(s, &req->reads[k]);
    rc = collect(x, err);
    if (rc == NADB_OK) sort(x);
    return rc;
}

static bool is_changed(const split *x, unsigned i) {
    return x->req->clear || x->begins[i + 1] > x->begins[i];
}

/* A view that has read nothing in a shard has decided nothing there. */
static bool is_read(const split *x, unsigned i) {
    if (x->v == NULL || x->v->parts[i] == NULL || !x->v->parts[i]->known)
        return false;
    if (x->req->reads_all) return true;
    for (size_t k = 0; k < x->req->n_reads; k++)
        if (x->places[k] == i || x->places[k] == ALL_SHARDS) return true;
    return false;
}

/* --- a shard's part --- */

typedef struct part_iter {
    nadb_iter base;
    const nadb_entry *entries;
    size_t n, at;
} part_iter;

static nadb_rc part_show(part_iter *it) {
    it->base.valid = it->at < it->n;
    if (it->base.valid) it->base.entry = it->entries[it->at];
    return NADB_OK;
}

static nadb_rc part_next(nadb_iter *base, nadb_err *err) {
    part_iter *it = (part_iter *)base;

    (void)err;
    if (base->valid) it->at++;
    return part_show(it);
}

static nadb_rc part_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    part_iter *it = (part_iter *)base;

    (void)err;
    it->at = 0;
    while (it->at < it->n && nadb_slice_cmp(it->entries[it->at].key, key) < 0)
        it->at++;
    return part_show(it);
}

/* It is the owner's. */
static void part_free(nadb_iter *base) { (void)base; }

static void part_request(split *x, unsigned i, part_iter *changes,
                         nadb_commit_req *out) {
    static const nadb_iter_ops ops = {part_next, part_seek, part_free};

    memset(changes, 0, sizeof *changes);
    changes->base.ops = &ops;
    changes->entries = x->sorted + x->begins[i];
    changes->n = x->begins[i + 1] - x->begins[i];
    *out = *x->req;
    out->view =
        x->v == NULL || x->v->parts[i] == NULL ? NULL : &x->v->parts[i]->base;
    out->changes = &changes->base;
    out->count = changes->n;
    out->bytes = x->bytes[i];
    out->reads = x->reads;
    out->n_reads = 0;
    for (size_t k = 0; k < x->req->n_reads; k++)
        if (x->places[k] == i || x->places[k] == ALL_SHARDS)
            x->reads[out->n_reads++] = x->req->reads[k];
    out->claim = shards_claim_in(i, x->req->claim);
}

/* --- committing --- */

/* The only shard that a commit concerns; false: there are several. */
static bool only_shard(const split *x, unsigned *out) {
    unsigned n = 0;

    for (unsigned i = 0; i < x->s->n && n < 2; i++) {
        if (!is_changed(x, i) && !is_read(x, i)) continue;
        *out = i;
        n++;
    }
    return n == 1 && is_changed(x, *out);
}

/* All that is changed or was read, a part a shard. */
static nadb_rc make_parts(split *x, ticket *t, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < x->s->n && rc == NADB_OK; i++) {
        shards_change *p = &t->parts[t->n];
        part_iter changes;

        if (!is_changed(x, i) && !is_read(x, i)) continue;
        part_request(x, i, &changes, &p->req);
        p->shard = i;
        p->changes = is_changed(x, i);
        rc = redis_ticket_make(x->s->parts[i], &p->req, &p->ticket, err);
        if (rc == NADB_OK) t->n++;
        p->req.changes = NULL;
        p->req.reads = NULL;
    }
    return rc;
}

static void drop_parts(shards *s, ticket *t) {
    for (unsigned k = 0; k < t->n; k++)
        redis_ticket_drop(s->parts[t->parts[k].shard], t->parts[k].ticket);
    t->n = 0;
}

/* What was only read has no part any more. */
static void keep_changes(shards *s, ticket *t) {
    unsigned n = 0;

    for (unsigned k = 0; k < t->n; k++) {
        shards_change p = t->parts[k];

        if (p.changes) {
            redis_committed(s->parts[p.shard], &p.req);
            t->parts[n++] = p;
        } else {
            redis_ticket_drop(s->parts[p.shard], p.ticket);
        }
    }
    t->n = n;
}

static nadb_rc prepare_several(shards *s, split *x, ticket *t, nadb_err *err) {
    nadb_rc rc = make_parts(x, t, err);

    if (rc == NADB_OK)
        rc = shards_do(s, t->parts, t->n, false, x->req->timeout_ms, err);
    for (unsigned k = 0; k < t->n; k++)
        redis_forget_changes(s->parts[t->parts[k].shard], t->parts[k].ticket);
    if (rc == NADB_OK)
        keep_changes(s, t);
    else
        drop_parts(s, t);
    return rc;
}

static nadb_rc prepare_once(shards *s, split *x, ticket *t, nadb_err *err) {
    unsigned only = 0;
    nadb_commit_req req;
    part_iter changes;
    nadb_rc rc;

    if (!only_shard(x, &only)) return prepare_several(s, x, t, err);
    part_request(x, only, &changes, &req);
    rc = redis_prepare(&s->parts[only]->base, &req, &t->parts[0].ticket, err);
    if (rc != NADB_OK) return rc;
    t->parts[0].shard = only;
    t->parts[0].changes = true;
    t->n = 1;
    return NADB_OK;
}

static nadb_rc find_missing(split *x, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < x->s->n && rc == NADB_OK; i++)
        if (is_changed(x, i) || is_read(x, i))
            rc = shards_missing(x->s, i, err);
    return rc;
}

nadb_rc shards_prepare(nadb_engine *engine, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err) {
    shards *s = (shards *)engine;
    ticket *t = nadb_calloc(1, sizeof *t + s->n * sizeof t->parts[0]);
    split x;
    nadb_rc rc = split_init(&x, s, req, err);

    *out = NULL;
    if (t == NULL && rc == NADB_OK) rc = no_memory(err);
    if (rc == NADB_OK) rc = shards_settle(s, err);
    /* Nobody has made the store yet. */
    if (rc == NADB_OK && !atomic_load(&s->settled))
        rc = shards_join(s, x.v, err);
    if (rc == NADB_OK) rc = prepare_once(s, &x, t, err);
    if (rc == NADB_CANTOPEN && atomic_load(&s->settled)) {
        /* A shard is missing: was the store destroyed? */
        if (err != NULL) nadb_err_clear(err);
        rc = find_missing(&x, err);
        if (rc == NADB_OK) rc = shards_join(s, x.v, err);
        if (rc == NADB_OK) rc = prepare_once(s, &x, t, err);
    }
    nadb_arena_clear(&x.memory);
    if (rc != NADB_OK) {
        nadb_free(t);
        return rc;
    }
    *out = (nadb_ticket *)t;
    return NADB_OK;
}

void shards_commit(nadb_engine *engine, nadb_ticket *done) {
    shards *s = (shards *)engine;
    ticket *t = (ticket *)done;

    for (unsigned k = 0; k < t->n; k++)
        redis_commit(&s->parts[t->parts[k].shard]->base, t->parts[k].ticket);
    nadb_free(t);
}

static bool can_be_undone(const ticket *t) {
    for (unsigned k = 0; k < t->n; k++)
        if (t->parts[k].ticket->reply == NULL) return false;
    return true;
}

nadb_rc shards_rollback(nadb_engine *engine, nadb_ticket *done, nadb_err *err) {
    shards *s = (shards *)engine;
    ticket *t = (ticket *)done;
    redis_engine *first = s->parts[t->parts[0].shard];
    nadb_rc rc;

    if (t->n == 1) {
        rc = redis_rollback(&first->base, t->parts[0].ticket, err);
    } else {
        rc = can_be_undone(t)
                 ? shards_do(s, t->parts, t->n, true, first->at.timeout_ms, err)
                 : redis_not_undone(first->at.name,
                                    "the connection broke while they were made",
                                    err);
        for (unsigned k = 0; k < t->n; k++)
            redis_undone(s->parts[t->parts[k].shard], t->parts[k].ticket,
                         rc == NADB_OK);
    }
    nadb_free(t);
    return rc;
}
