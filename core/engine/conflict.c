/* conflict.c - conflict checks of a commit, against commits since its snapshot
 * and against records in doubt; and claims.
 *
 * A transaction conflicts if a key or a range that it has read was changed by a
 * commit after its snapshot. Logs keep every change of a key, so they tell when
 * a key last changed. Tables do not: a flush or a compaction drops a tombstone
 * that hides nothing. So if the base has changed since the snapshot, the rows
 * that the snapshot shows are compared with the present ones. A row that has
 * disappeared was deleted by a transaction, which is a conflict; or it had
 * expired and was swept, which is not. One case is inexact: a row that was
 * deleted before it expired, whose log was begun after the snapshot and
 * retired, and whose tombstone was dropped, counts as swept once its expiry has
 * passed.
 *
 * Walks are bounded: after NADB_COMPARE_MAX entries any commit since the
 * snapshot counts as a conflict. Before the check, prepare waits for records in
 * doubt that share a key with what the transaction wrote or read. So of two
 * prepared transactions neither has read what the other writes. */
#include "../conflict.h"
#include "../util/assert.h"
#include "engine.h"

/* In place of a key's hash: the claim of a waiting clear. It prevents new
 * claims and has no other effect. */
#define CLAIM_ALL 0u

/* The state of one check. */
typedef struct check {
    engine *s;
    const engine_version *v; /* the current version */
    const nadb_commit_req *req;
    uint64_t since;   /* the snapshot contains commits up to this one */
    engine_view then; /* the snapshot */
    engine_view now;  /* the present */
    nadb_compare both;
    /* the logs do not tell everything: compare `then` with `now` */
    bool compare;
    memtable *const *old; /* retired logs with changes since, newest first */
    size_t n_old;         /* their number; some may be missing */
} check;

static void check_init(check *c, engine *s, engine_version *v,
                       const nadb_commit_req *req) {
    const engine_view *view = (const engine_view *)req->view;

    memset(c, 0, sizeof *c);
    c->s = s;
    c->v = v;
    c->req = req;
    c->since = view->base.seq;
    engine_view_init(&c->then, view->version, c->since);
    engine_view_init(&c->now, v,
                     control_seq(atomic_load(&s->ctl.map->visible)));
    c->both.engine = &s->engine;
    c->both.then = &c->then.base;
    c->both.now = &c->now.base;
    c->both.req = req;
    c->both.clock_ms = s->os->now_ms();
    c->both.left = NADB_COMPARE_MAX;
}

static void check_clear(check *c) {
    nadb_buf_clear(&c->then.scratch);
    nadb_buf_clear(&c->now.scratch);
}

/* --- keys --- */

/* Sequence number of the key's last change in the logs; 0: not in them. */
static nadb_rc key_newest(memtable *const *logs, size_t n,
                          const memtable_key *k, uint64_t *seq, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    *seq = 0;
    for (size_t i = 0; i < n && *seq == 0 && rc == NADB_OK; i++)
        rc = memtable_newest(logs[i], k, seq, err);
    return rc;
}

static nadb_rc check_key(check *c, nadb_slice key, nadb_err *err) {
    memtable_key k = memtable_key_of(key);
    uint64_t seq = 0;
    nadb_rc rc = key_newest(c->v->logs, c->v->n_logs, &k, &seq, err);

    if (rc == NADB_OK && seq == 0)
        rc = key_newest(c->old, c->n_old, &k, &seq, err);
    if (rc == NADB_OK && seq > c->since) rc = nadb_conflict_key(key, err);
    return rc == NADB_OK && c->compare ? nadb_compare_key(&c->both, key, err)
                                       : rc;
}

static nadb_rc check_keys(check *c, nadb_err *err) {
    nadb_iter *it = c->req->changes;
    nadb_rc rc;

    if (it == NULL) return NADB_OK;
    rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    while (rc == NADB_OK && it->valid) {
        if (it->entry.flags & NADB_ENTRY_READ)
            rc = check_key(c, it->entry.key, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    return rc;
}

/* --- ranges --- */

static nadb_rc check_log(check *c, memtable *m, const nadb_range *range,
                         nadb_err *err) {
    nadb_iter *it = NULL;
    nadb_rc rc;

    if (atomic_load(&m->head->max_seq) <= c->since) return NADB_OK;
    rc = memtable_iter(m, UINT64_MAX, 0, range, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        if (nadb_compare_changed(&c->both, &it->entry))
            rc = nadb_conflict_key(it->entry.key, err);
        else if (c->both.left-- == 0)
            rc = nadb_conflict_any(err);
        else
            rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc;
}

static nadb_rc check_range(check *c, const nadb_range *range, nadb_err *err) {
    nadb_range forward = {range->lo, range->hi, false};
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < c->v->n_logs && rc == NADB_OK; i++)
        rc = check_log(c, c->v->logs[i], &forward, err);
    for (size_t i = 0; i < c->n_old && rc == NADB_OK; i++)
        rc = check_log(c, c->old[i], &forward, err);
    return rc == NADB_OK && c->compare
               ? nadb_compare_range(&c->both, &forward, err)
               : rc;
}

static nadb_rc check_all(check *c, nadb_err *err) {
    nadb_rc rc = check_keys(c, err);

    for (size_t i = 0; i < c->req->n_reads && rc == NADB_OK; i++)
        rc = check_range(c, &c->req->reads[i], err);
    return rc;
}

/* True if everything was cleared since the snapshot: commit n clears up to n -
 * 1. */
static bool cleared_since(const engine_version *v, uint64_t since) {
    if (v->base->clear_seq > 0 && v->base->clear_seq >= since) return true;
    for (size_t i = 0; i < v->n_logs; i++)
        if (memtable_floor(v->logs[i], UINT64_MAX) >= since &&
            atomic_load(&v->logs[i]->head->n_clears) > 0)
            return true;
    return false;
}

/* Checks a store in files, whose tables can still show the snapshot. Logs that
 * were retired since are still open if the snapshot uses them. */
static nadb_rc check_by_base(check *c, bool cleared, nadb_err *err) {
    const engine_version *then = c->then.version;
    uint64_t first = c->v->logs[c->v->n_logs - 1]->log.number;
    size_t kept = 0;

    while (kept < then->n_logs && then->logs[kept]->log.number >= first) kept++;
    c->old = then->logs + kept;
    c->n_old = then->n_logs - kept;
    c->compare = cleared || c->v->base->seq > c->since;
    return check_all(c, err);
}

/* Too much is unknown: any commit since the snapshot is a conflict. */
static nadb_rc check_blindly(const nadb_commit_req *req, nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc = NADB_OK;

    if (req->n_reads > 0) return nadb_conflict_any(err);
    if (it != NULL) rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    while (rc == NADB_OK && it != NULL && it->valid) {
        if (it->entry.flags & NADB_ENTRY_READ) return nadb_conflict_any(err);
        rc = nadb_iter_next(it, err);
    }
    return rc;
}

/* Checks a store whose base is on a server. The server cannot show an older
 * state, so retired logs are kept for this check (drain.c). */
static nadb_rc check_by_logs(check *c, bool cleared, nadb_err *err) {
    engine_retired *old;
    nadb_rc rc;

    if (cleared) return check_blindly(c->req, err);
    if (c->v->base->seq <= c->since) return check_all(c, err);
    old = nadb_calloc(1, sizeof *old);
    if (old == NULL) return nadb_fail(err, NADB_NOMEM, "committing");
    rc = engine_retired_get(c->s, c->v, c->then.version, old, err);
    c->old = old->logs;
    c->n_old = old->n;
    if (rc == NADB_OK)
        rc = old->complete ? check_all(c, err) : check_blindly(c->req, err);
    engine_retired_free(old);
    nadb_free(old);
    return rc;
}

nadb_rc engine_check(engine *s, engine_version *v, const nadb_commit_req *req,
                     nadb_err *err) {
    uint64_t now = control_seq(atomic_load(&s->ctl.map->visible));
    bool cleared;
    check c;
    nadb_rc rc;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if (s->remote->is_stale(s->base))
        return nadb_fail(err, NADB_BUSY,
                         "%s: another machine has written to the namespace: "
                         "try again",
                         s->dir);
    if (req->view == NULL || req->view->seq == now) return NADB_OK;
    if (req->reads_all) return nadb_conflict_any(err);
    check_init(&c, s, v, req);
    cleared = cleared_since(v, c.since);
    rc = s->traits->immutable ? check_by_base(&c, cleared, err)
                              : check_by_logs(&c, cleared, err);
    check_clear(&c);
    return rc;
}

/* --- records in doubt --- */

static bool in_ranges(const nadb_commit_req *req, nadb_slice key) {
    for (size_t i = 0; i < req->n_reads; i++) {
        const nadb_range *r = &req->reads[i];

        if (nadb_in_range(r->lo, r->hi, key)) return true;
    }
    return false;
}

/* *clash: the record has a key that the request writes or has read. */
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

/* *clash: the request changes the claimed key. A clear changes all keys. */
static nadb_rc claim_clash(uint64_t hash, const nadb_commit_req *req,
                           bool *clash, nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc = NADB_OK;

    *clash = req->clear && hash != CLAIM_ALL;
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

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
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
            *clash = m == NULL; /* the log is not open here: assume a clash */
            if (m != NULL)
                rc = record_clash(m, atomic_load(&d->off), req, clash, err);
        }
        if (*clash) return rc;
    }
    return rc;
}

/* --- claims --- */

/* True if another opener has a doubt or a claim on the key. */
static bool key_taken(engine *s, nadb_slice key) {
    uint64_t hash = nadb_hash64(key);

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if (!control_has_doubts(s->ctl.map)) return false;
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
        control_doubt *d = &s->ctl.map->doubts[i];
        uint32_t state = atomic_load(&d->state);

        if (state == DOUBT_CLAIM) {
            uint64_t claimed = atomic_load(&d->seq);

            if (claimed == hash || claimed == CLAIM_ALL) return true;
        }
        /* The record may have the key; its transaction ends soon, so wait
         * without reading it. */
        if (state == DOUBT_PREPARED || state == DOUBT_COMMITTING) return true;
    }
    return false;
}

/* Notes a claim in a free place. REQUIRES: the commit lock. */
static void claim_note(engine *s, uint32_t doubt, uint64_t hash) {
    control_doubt *d = &s->ctl.map->doubts[doubt];

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    NADB_ASSERT(atomic_load(&d->state) == DOUBT_FREE);
    atomic_store(&d->slot, s->ctl.slot);
    atomic_store(&d->log, 0);
    atomic_store(&d->off, 0);
    atomic_store(&d->room, 0);
    atomic_store(&d->seq, hash);
    atomic_store(&d->state, DOUBT_CLAIM);
    control_doubt_mark(s->ctl.map, doubt, true);
}

void engine_claim_all(engine *s, uint32_t *claim) {
    uint32_t doubt = 0;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if (*claim != 0 || !engine_doubt_free(s, &doubt)) return;
    claim_note(s, doubt, CLAIM_ALL);
    *claim = doubt + 1;
}

nadb_rc engine_claim(nadb_engine *e, nadb_view *v, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err) {
    engine *s = engine_of(e);
    int64_t deadline = s->os->mono_ns() + timeout_ms * 1000000;
    uint32_t doubt = 0;

    NADB_ASSERT(!nadb_rank_held(NADB_RANK_COMMIT));
    *claim = 0;
    if (s->private_memory) return NADB_OK;
    for (;;) {
        int64_t left = (deadline - s->os->mono_ns()) / 1000000;
        uint32_t seen = atomic_load(&s->ctl.map->doubt_events);
        nadb_rc rc;

        if (left <= 0) return NADB_OK;
        rc = engine_lock(s, left, err);
        if (rc != NADB_OK) return rc;
        if (!key_taken(s, key) && engine_doubt_free(s, &doubt)) break;
        engine_unlock(s);
        engine_doubt_wait(s, seen, left);
    }
    claim_note(s, doubt, nadb_hash64(key));
    engine_unlock(s);
    *claim = doubt + 1;
    return e->ops->view_refresh(e, v, err);
}

void engine_unclaim(nadb_engine *e, uint32_t claim) {
    engine *s = engine_of(e);

    NADB_ASSERT(claim <= CONTROL_DOUBTS);
    if (claim > 0 && claim <= CONTROL_DOUBTS && !s->forked)
        engine_doubt_end(s, claim - 1);
}
