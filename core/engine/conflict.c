/* conflict.c - what a commit may conflict with: commits since its
 * snapshot, and records in doubt.
 *
 * A transaction is checked against everything committed after the snapshot it
 * read: the keys it decided on, and the ranges. Walks are bounded: past
 * WALK_MAX entries, any commit since counts as a conflict. Records in doubt
 * that touch what it wrote or read are waited for before, so of two prepared
 * transactions neither has read what the other writes. */
#include "engine.h"

#define WALK_MAX 20000u

static nadb_rc conflict_any(nadb_err *err) {
    return nadb_fail(err, NADB_CONFLICT,
                     "another transaction changed rows since this one began: "
                     "roll back and retry");
}

static nadb_rc conflict(nadb_slice key, nadb_err *err) {
    int n = key.n > 1 ? (int)(key.n - 1 < 80 ? key.n - 1 : 80) : 0;

    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return conflict_any(err);
    return nadb_fail(err, NADB_CONFLICT,
                     "another transaction changed \"%.*s\" since this one "
                     "began: roll back and retry",
                     n, n > 0 ? (const char *)key.p + 1 : "");
}

/* Sequence number of the key's last change, 0 if long ago. */
static nadb_rc key_newest(engine *s, const engine_version *v,
                          const engine_retired *old, uint64_t since,
                          nadb_slice key, uint64_t *seq, nadb_err *err) {
    memtable_key k = memtable_key_of(key);
    nadb_buf scratch = NADB_BUF_INIT;
    nadb_entry e;
    bool found = false;
    nadb_rc rc = NADB_OK;

    *seq = 0;
    for (size_t i = 0; i < v->n_logs && *seq == 0; i++) {
        rc = memtable_newest(v->logs[i], &k, seq, err);
        if (rc != NADB_OK) return rc;
    }
    for (size_t i = 0; old != NULL && i < old->n && *seq == 0; i++) {
        rc = memtable_newest(old->logs[i], &k, seq, err);
        if (rc != NADB_OK) return rc;
    }
    if (*seq != 0 || v->base->seq <= since || old != NULL) return NADB_OK;
    rc = s->base_ops->get(v->base, key, &scratch, &e, &found, err);
    if (rc == NADB_OK && found) *seq = e.seq;
    nadb_buf_clear(&scratch);
    return rc;
}

static nadb_rc check_keys(engine *s, const engine_version *v,
                          const engine_retired *old, const nadb_commit_req *req,
                          nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc;

    if (it == NULL) return NADB_OK;
    rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    while (rc == NADB_OK && it->valid) {
        uint64_t seq = 0;

        if (it->entry.flags & NADB_ENTRY_READ) {
            rc =
                key_newest(s, v, old, req->view->seq, it->entry.key, &seq, err);
            if (rc == NADB_OK && seq > req->view->seq)
                rc = conflict(it->entry.key, err);
        }
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    return rc;
}

/* Walks one source's part of a range; takes `it`. */
static nadb_rc check_source(nadb_iter *it, uint64_t since, uint32_t *left,
                            nadb_err *err) {
    nadb_rc rc = nadb_iter_next(it, err);

    while (rc == NADB_OK && it->valid) {
        if (nadb_changed_seq(it->entry.key, it->entry.seq, it->entry.flags,
                             it->entry.value) > since)
            rc = conflict(it->entry.key, err);
        else if ((*left)-- == 0)
            rc = conflict_any(err);
        else
            rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc;
}

static nadb_rc check_logs(memtable *const *logs, size_t n, uint64_t since,
                          const nadb_range *range, uint32_t *left,
                          nadb_err *err) {
    nadb_iter *it = NULL;
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < n && rc == NADB_OK; i++) {
        if (atomic_load(&logs[i]->head->max_seq) <= since) continue;
        rc = memtable_iter(logs[i], UINT64_MAX, 0, range, &it, err);
        if (rc == NADB_OK) rc = check_source(it, since, left, err);
    }
    return rc;
}

static nadb_rc check_range(engine *s, const engine_version *v,
                           const engine_retired *old, uint64_t since,
                           const nadb_range *range, uint32_t *left,
                           nadb_err *err) {
    nadb_range forward = {range->lo, range->hi, false};
    nadb_iter *it = NULL;
    nadb_rc rc = check_logs(v->logs, v->n_logs, since, &forward, left, err);

    if (rc != NADB_OK || v->base->seq <= since) return rc;
    if (old != NULL)
        return check_logs(old->logs, old->n, since, &forward, left, err);
    rc = s->base_ops->iter(v->base, &forward, true, &it, err);
    return rc == NADB_OK ? check_source(it, since, left, err) : rc;
}

/* Everything was cleared since the snapshot: commit n clears up to n - 1. */
static bool cleared_since(const engine_version *v, uint64_t since) {
    if (v->base->clear_seq > 0 && v->base->clear_seq >= since) return true;
    for (size_t i = 0; i < v->n_logs; i++)
        if (memtable_floor(v->logs[i], UINT64_MAX) >= since &&
            atomic_load(&v->logs[i]->head->n_clears) > 0)
            return true;
    return false;
}

/* All that is known is that anything may have changed. */
static nadb_rc check_blindly(const nadb_commit_req *req, nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc = NADB_OK;

    if (req->n_reads > 0) return conflict_any(err);
    if (it != NULL) rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    while (rc == NADB_OK && it != NULL && it->valid) {
        if (it->entry.flags & NADB_ENTRY_READ) return conflict_any(err);
        rc = nadb_iter_next(it, err);
    }
    return rc;
}

static nadb_rc check_all(engine *s, const engine_version *v,
                         const engine_retired *old, const nadb_commit_req *req,
                         nadb_err *err) {
    uint32_t left = WALK_MAX;
    nadb_rc rc = check_keys(s, v, old, req, err);

    for (size_t i = 0; i < req->n_reads && rc == NADB_OK; i++)
        rc = check_range(s, v, old, req->view->seq, &req->reads[i], &left, err);
    return rc;
}

nadb_rc engine_check(engine *s, const engine_version *v,
                     const nadb_commit_req *req, nadb_err *err) {
    uint64_t now = control_seq(atomic_load(&s->ctl.map->visible));
    engine_retired *old = NULL;
    nadb_rc rc = NADB_OK;

    if (req->view == NULL || req->view->seq == now) return NADB_OK;
    if (req->reads_all) return conflict_any(err);
    if (cleared_since(v, req->view->seq)) return check_blindly(req, err);
    /* What a server has does not say when it came there. */
    if (s->base_ops->remote == NULL || v->base->seq <= req->view->seq)
        return check_all(s, v, NULL, req, err);
    old = nadb_calloc(1, sizeof *old);
    if (old == NULL) return nadb_fail(err, NADB_NOMEM, "committing");
    rc =
        engine_retired_get(s, v, ((engine_view *)req->view)->version, old, err);
    if (rc == NADB_OK)
        rc = old->complete ? check_all(s, v, old, req, err)
                           : check_blindly(req, err);
    engine_retired_free(old);
    nadb_free(old);
    return rc;
}

/* --- records in doubt --- */

static bool in_ranges(const nadb_commit_req *req, nadb_slice key) {
    for (size_t i = 0; i < req->n_reads; i++) {
        const nadb_range *r = &req->reads[i];

        if (nadb_slice_cmp(key, r->lo) >= 0 &&
            (r->hi.p == NULL || nadb_slice_cmp(key, r->hi) < 0))
            return true;
    }
    return false;
}

/* Whether the record has a key that the request writes or has read. */
static nadb_rc record_clash(memtable *m, uint64_t off,
                            const nadb_commit_req *req, bool *clash,
                            nadb_err *err) {
    wal_record r;
    wal_entry e;
    bool valid = false;
    nadb_rc rc = NADB_OK;

    *clash = true;
    if (memtable_log_exists(m, memtable_tail(m)))
        wal_record_at(&m->log, off, memtable_tail(m), false, &r, &valid);
    if (!valid || (r.flags & WAL_CLEAR) || req->clear || req->reads_all)
        return NADB_OK;
    while (wal_entry_next(&m->log, &r, &e)) {
        if (req->changes != NULL) {
            rc = nadb_iter_seek(req->changes, e.key, err);
            if (rc != NADB_OK) return rc;
            if (req->changes->valid &&
                nadb_slice_eq(req->changes->entry.key, e.key))
                return NADB_OK;
        }
        if (in_ranges(req, e.key)) return NADB_OK;
    }
    *clash = false;
    return NADB_OK;
}

/* Whether the request changes a key with this hash. */
static nadb_rc claim_clash(uint64_t hash, const nadb_commit_req *req,
                           bool *clash, nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc = NADB_OK;

    if (it != NULL) rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    while (rc == NADB_OK && it != NULL && it->valid && !*clash) {
        *clash = nadb_hash64(it->entry.key) == hash;
        rc = nadb_iter_next(it, err);
    }
    return rc;
}

nadb_rc engine_clash(engine *s, const engine_version *v,
                     const nadb_commit_req *req, bool *clash, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    *clash = false;
    for (uint32_t i = 0; i < CONTROL_DOUBTS && rc == NADB_OK; i++) {
        control_doubt *d = &s->ctl.map->doubts[i];
        uint32_t state = atomic_load(&d->state);
        memtable *m;

        if (!control_in_doubt(d) || i + 1 == req->claim) continue;
        if (state == DOUBT_CLAIM) {
            rc = claim_clash(atomic_load(&d->seq), req, clash, err);
        } else {
            m = engine_log(v, atomic_load(&d->log));
            *clash = m == NULL; /* not open here: be careful */
            if (m != NULL)
                rc = record_clash(m, atomic_load(&d->off), req, clash, err);
        }
        if (*clash) return rc;
    }
    return rc;
}

/* --- claims --- */

/* Whether a doubt or a claim of somebody else is on the key. */
static bool key_taken(engine *s, nadb_slice key) {
    uint64_t hash = nadb_hash64(key);

    if (!control_has_doubts(s->ctl.map)) return false;
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
        control_doubt *d = &s->ctl.map->doubts[i];
        uint32_t state = atomic_load(&d->state);

        if (state == DOUBT_CLAIM && atomic_load(&d->seq) == hash) return true;
        /* A record may or may not have the key: it ends soon. */
        if (state == DOUBT_PREPARED || state == DOUBT_COMMITTING) return true;
    }
    return false;
}

nadb_rc engine_claim(nadb_engine *e, nadb_view *v, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err) {
    engine *s = engine_of(e);
    int64_t deadline = s->os->mono_ns() + timeout_ms * 1000000;
    uint32_t doubt = 0;

    *claim = 0;
    if (s->private_memory) return NADB_OK;
    for (;;) {
        int64_t left = (deadline - s->os->mono_ns()) / 1000000;
        nadb_rc rc;

        if (left <= 0) return NADB_OK;
        rc = engine_lock(s, left, err);
        if (rc != NADB_OK) return rc;
        if (!key_taken(s, key) && engine_doubt_free(s, &doubt)) break;
        engine_unlock(s);
        engine_doubt_wait(s, left);
    }
    atomic_store(&s->ctl.map->doubts[doubt].slot, s->ctl.slot);
    atomic_store(&s->ctl.map->doubts[doubt].log, 0);
    atomic_store(&s->ctl.map->doubts[doubt].off, 0);
    atomic_store(&s->ctl.map->doubts[doubt].room, 0);
    atomic_store(&s->ctl.map->doubts[doubt].seq, nadb_hash64(key));
    atomic_store(&s->ctl.map->doubts[doubt].state, DOUBT_CLAIM);
    control_doubt_mark(s->ctl.map, doubt, true);
    engine_unlock(s);
    *claim = doubt + 1;
    return e->ops->view_refresh(e, v, err);
}

void engine_unclaim(nadb_engine *e, uint32_t claim) {
    engine *s = engine_of(e);

    if (claim > 0 && claim <= CONTROL_DOUBTS && !s->forked)
        engine_doubt_end(s, claim - 1);
}
