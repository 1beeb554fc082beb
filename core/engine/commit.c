/* commit.c - prepare, commit and rollback of a record.
 *
 *   prepare   Under the commit lock: derives index entries again if another
 *             transaction has committed since the view, checks for conflicts,
 *             reserves space, appends the record to the log and notes it as a
 *             doubt in control. Without the lock: syncs the log under
 *             synchronous=full. A put is acknowledged when this and commit have
 *             returned: from here on the record survives a kill (and under full
 *             a power cut).
 *   commit    Under the commit lock: links the entries into the memtable,
 *             raises the visible sequence number, frees the doubt (doubt.c).
 *   rollback  Marks the record as taken back, syncs that, frees the doubt.
 *
 * A process that dies in between is recognised by its free slot byte. The next
 * process that needs the lock, one of the keys or the log completes its work
 * (repair.c): a record in doubt of a dead owner is committed, unless it has a
 * stamp; then the database file decides (stamp.c). The order of steps in
 * append() and engine_apply() makes this possible at every instant. */
#include "../util/assert.h"
#include "engine.h"
#include "workers.h"

static nadb_rc check_working(const engine *s, nadb_err *err) {
    return atomic_load(&s->ctl.map->failed) ? engine_refuse_writes(s, err)
                                            : NADB_OK;
}

static nadb_rc check_writable(engine *s, nadb_err *err) {
    nadb_rc rc = engine_check_usable(s, err);

    if (rc != NADB_OK) return rc;
    if (s->private_memory || s->options->read_only)
        return engine_read_only(s, err);
    return check_working(s, err);
}

/* --- prepare --- */

typedef struct attempt {
    engine *s;
    const nadb_commit_req *req;
    engine_version *v; /* the current version while the lock is held */
    bool borrowed; /* v is the view's reference, which outlives the attempt */
    int64_t deadline; /* monotonic ns; 0: it has not waited yet */
    uint32_t claim;   /* claim on all keys, for a clear that waits; 0: none */
} attempt;

static int64_t ms_left(attempt *a) {
    int64_t now = a->s->os->mono_ns();

    if (a->deadline == 0) a->deadline = now + a->req->timeout_ms * 1000000;
    return now > a->deadline ? 0 : (a->deadline - now) / 1000000;
}

static void let_go(attempt *a, engine_version *v) {
    if (!a->borrowed) engine_version_unref(a->s, v);
    a->borrowed = false;
}

/* Sets a->v to the version that is probably current. The first guess is the
 * version of the transaction's view, which costs nothing. */
static nadb_rc guess_version(attempt *a, nadb_err *err) {
    engine_view *view = a->req == NULL ? NULL : (engine_view *)a->req->view;
    bool first = a->v == NULL;

    let_go(a, a->v);
    a->v = NULL;
    if (first && view != NULL &&
        atomic_load_explicit(&view->state, memory_order_relaxed) == VIEW_USED &&
        view->version != NULL) {
        a->v = view->version;
        a->borrowed = true;
        return NADB_OK;
    }
    return engine_version_get(a->s, &a->v, err);
}

/* The lock is nearly always free, so the clock is read only if it is not. */
static nadb_rc take_lock(attempt *a, nadb_err *err) {
    nadb_rc rc = engine_lock(a->s, 0, err);

    return rc == NADB_BUSY ? engine_lock(a->s, ms_left(a), err) : rc;
}

static nadb_rc cannot_keep_up(engine *s, nadb_err *err) {
    nadb_err why;

    nadb_lock(&s->version_lock);
    why = s->flush_error;
    nadb_unlock(&s->version_lock);
    /* A server that cannot be reached may come back: NADB_BUSY tells the
     * application to try again. */
    if (why.rc == NADB_IOERR && s->traits->may_come_back) why.rc = NADB_BUSY;
    if (why.rc != NADB_OK)
        return nadb_fail(err, why.rc,
                         "the buffer is full, and flushing it "
                         "fails: %s",
                         why.msg);
    return nadb_fail(err, NADB_BUSY,
                     "the buffer of %s is full, and the flush did not catch "
                     "up within busy_timeout: try again",
                     s->dir);
}

/* True if the request is a clear, and the waiting logs cannot be flushed before
 * it. Its record makes them void, so it may begin a further log. */
static bool is_way_out(attempt *a) {
    engine *s = a->s;
    nadb_rc rc;

    if (a->req == NULL || !a->req->clear ||
        a->v->n_logs >= ENGINE_LOGS_MAX + ENGINE_LOGS_MORE)
        return false;
    nadb_lock(&s->version_lock);
    rc = s->flush_error.rc;
    nadb_unlock(&s->version_lock);
    return rc == NADB_FULL || ms_left(a) == 0;
}

/* Takes the commit lock; a->v is then current and has room for one more log. */
static nadb_rc enter(attempt *a, nadb_err *err) {
    engine *s = a->s;
    _Atomic uint32_t *events = &s->ctl.map->flush_events;

    for (;;) {
        uint32_t seen = atomic_load(events);
        control_now now;
        nadb_rc rc;

        rc = guess_version(a, err);
        if (rc != NADB_OK) return rc;
        if (a->v->n_logs >= ENGINE_LOGS_MAX && !is_way_out(a)) {
            if (ms_left(a) == 0) return cannot_keep_up(s, err);
            nadb_workers_kick(s);
            s->os->futex_wait((uint32_t *)events, seen, ENGINE_DOUBT_MS);
            continue;
        }
        rc = take_lock(a, err);
        if (rc != NADB_OK) return rc;
        control_read(&s->ctl, &now);
        if (now.generation == a->v->generation) return NADB_OK;
        engine_unlock(s);
    }
}

/* Releases the lock and waits until a doubt ends. `seen`: doubt_events before
 * the doubts were looked at. REQUIRES: the commit lock. */
static nadb_rc wait_doubt(attempt *a, uint32_t seen, nadb_err *err) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    engine_unlock(a->s);
    if (ms_left(a) > 0) engine_doubt_wait(a->s, seen, ms_left(a));
    if (ms_left(a) > 0) return NADB_OK;
    return nadb_fail(err, NADB_BUSY,
                     "another transaction on the same keys is prepared and "
                     "has not ended within busy_timeout: try again");
}

/* Bytes of the index that are reserved for records in doubt of this log. */
static uint64_t promised(engine *s, uint64_t log) {
    uint64_t room = 0;

    if (!control_has_doubts(s->ctl.map)) return 0;
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
        control_doubt *d = &s->ctl.map->doubts[i];

        if (control_in_doubt(d) && atomic_load(&d->log) == log)
            room += atomic_load(&d->room);
    }
    return room;
}

/* True if the active memtable cannot take this record. */
static bool is_full(const attempt *a, uint64_t bytes, uint64_t room) {
    const memtable_head *h = a->v->logs[0]->head;
    uint64_t tail = atomic_load(&h->tail);
    uint64_t max = atomic_load(&a->s->buffer_bytes);

    if (atomic_load(&h->closed)) return true;
    if (a->req->clear && atomic_load(&h->n_clears) >= MEMTABLE_CLEARS)
        return true;
    return tail > WAL_HEADER &&
           (tail + bytes > max || atomic_load(&h->alloc) + room > max * 2);
}

/* Reserves space for the record in the active log, or in a new one. */
static nadb_rc find_room(attempt *a, nadb_err *err) {
    engine *s = a->s;
    uint64_t bytes = wal_record_bound(a->req->count, a->req->bytes);
    uint64_t room = memtable_room(a->req->count);
    bool fits = false;
    nadb_rc rc = NADB_OK;

    for (int i = 0; i < 2; i++) {
        memtable *m = a->v->logs[0];
        engine_version *old = a->v;

        if (i > 0 || !is_full(a, bytes, room)) {
            rc = memtable_reserve(m, bytes, room + promised(s, m->log.number),
                                  &fits, err);
            if (rc == NADB_CORRUPT) atomic_store(&s->ctl.map->distrust, 1);
            if (rc != NADB_OK || fits) return rc;
        }
        if (i > 0) break;
        rc = engine_rotate(s, old, bytes, &a->v, err);
        if (rc != NADB_OK) return rc;
        let_go(a, old);
    }
    return engine_too_big(a->req->bytes, err);
}

/* True if the request deletes rows and writes none. */
static bool only_deletes(const nadb_commit_req *req) {
    nadb_iter *it = req->changes;
    bool deletes = req->clear;
    nadb_rc rc;

    if (deletes || it == NULL) return deletes;
    for (rc = nadb_iter_seek(it, nadb_slice_of("", 0), NULL);
         rc == NADB_OK && it->valid; rc = nadb_iter_next(it, NULL)) {
        if (it->entry.key.n == 0 || it->entry.key.p[0] != NADB_KS_ROW) continue;
        if ((it->entry.flags & NADB_ENTRY_TOMBSTONE) == 0) return false;
        deletes = true;
    }
    return rc == NADB_OK && deletes;
}

/* Begins a new log if readers have passed too many tombstones in the active
 * one, and no other log waits for a flush. On error the log stays active. */
static void leave_worn(attempt *a) {
    engine_version *old = a->v;

    if (old->n_logs == 1 && memtable_is_worn(old->logs[0]) &&
        engine_rotate(a->s, old, 0, &a->v, NULL) == NADB_OK)
        let_go(a, old);
}

static nadb_rc make_room(attempt *a, nadb_err *err) {
    nadb_rc rc;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    leave_worn(a);
    rc = find_room(a, err);
    if (rc != NADB_FULL || !only_deletes(a->req) ||
        !engine_spare_spend(a->s, a->req->clear))
        return rc;
    return find_room(a, err);
}

/* Writes a record at the tail, with `appending` set; record_finish() moves the
 * tail. If the write fails, the bytes behind the tail must never count: the log
 * is closed, and the next log's header says where this one ended. */
static nadb_rc record_write(engine *s, memtable *m, nadb_iter *changes,
                            wal_note *note, uint64_t *length, uint32_t *count,
                            nadb_err *err) {
    memtable_head *h = m->head;
    uint64_t off = atomic_load(&h->tail);
    uint64_t synced = atomic_load(&s->ctl.map->synced);
    nadb_rc rc;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    /* `synced` can only be behind the tail if control is damaged. The record
     * would pass this damage on. */
    if (synced > wal_place(m->log.number, off)) return engine_distrust(s, err);
    note->synced = synced;
    note->decided = atomic_load(&s->ctl.map->stamp_number);
    nadb_set(&h->appending, 1);
    rc = wal_append(&m->log, off, changes, note, &s->scratch, length, count,
                    err);
    if (rc == NADB_OK) return NADB_OK;
    atomic_store(&h->closed, 1);
    atomic_store(&h->appending, 0);
    /* an error is harmless: the log is closed */
    (void)!wal_take_back(&m->log, off, NULL);
    return rc;
}

static void record_finish(memtable *m, uint64_t length) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    NADB_ASSERT(atomic_load(&m->head->appending) == 1);
    memtable_tail_set(m, memtable_tail(m) + length);
    nadb_set(&m->head->appending, 0);
}

/* Writes the transaction's record into the space that make_room() reserved, and
 * notes it as a doubt in a free place. */
static nadb_rc append(attempt *a, uint32_t doubt, engine_ticket *t,
                      nadb_err *err) {
    engine *s = a->s;
    memtable *m = a->v->logs[0];
    control_doubt *d = &s->ctl.map->doubts[doubt];
    uint64_t off = memtable_tail(m);
    wal_note note = {.stamp = a->req->stamp, .clear = a->req->clear};
    uint32_t count = 0;
    nadb_rc rc =
        record_write(s, m, a->req->changes, &note, &t->length, &count, err);

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    NADB_ASSERT(atomic_load(&d->state) == DOUBT_FREE);
    if (rc != NADB_OK) return rc;
    NADB_ASSERT(t->length <= wal_record_bound(a->req->count, a->req->bytes));
    NADB_ASSERT(count <= a->req->count);
    nadb_set(&d->slot, s->ctl.slot);
    nadb_set(&d->log, m->log.number);
    nadb_set(&d->off, off);
    nadb_set(&d->room, memtable_room(count));
    nadb_set(&d->seq, 0);
    nadb_set(&d->stamp, a->req->stamp.number);
    nadb_set(&d->nonce, a->req->stamp.nonce);
    nadb_set(&d->background, (uint64_t)atomic_load(&s->commit_ns) << 1 |
                                 (uint64_t)a->req->background);
    nadb_set(&d->state, DOUBT_PREPARED);
    control_doubt_mark(s->ctl.map, doubt, true);
    record_finish(m, t->length);
    t->m = memtable_ref(m);
    t->off = off;
    t->doubt = doubt;
    t->purged = a->req->purged;
    return NADB_OK;
}

void engine_witness(engine *s) {
    attempt a = {.s = s};
    wal_note note = {0};
    memtable_head *h;
    uint64_t length = 0;
    uint32_t count = 0;
    bool fits = false;

    if (check_writable(s, NULL) != NADB_OK) return;
    a.deadline = s->os->mono_ns() + (int64_t)ENGINE_DOUBT_MS * 1000000;
    if (enter(&a, NULL) == NADB_OK) {
        engine_version *old = a.v;

        h = a.v->logs[0]->head;
        if (check_working(s, NULL) != NADB_OK) {
            /* A repair under this lock has failed: nothing is written. */
        } else if (atomic_load(&h->closed)) {
            /* The header of the next log says where this one ends. */
            if (engine_rotate(s, old, 0, &a.v, NULL) == NADB_OK)
                engine_version_unref(s, old);
        } else if (atomic_load(&h->tail) != atomic_load(&h->witness) &&
                   (atomic_load(&h->tail) > WAL_HEADER ||
                    a.v->logs[0]->log.prev_log != 0) &&
                   memtable_reserve(a.v->logs[0], WAL_RECORD, 0, &fits, NULL) ==
                       NADB_OK &&
                   fits &&
                   record_write(s, a.v->logs[0], NULL, &note, &length, &count,
                                NULL) == NADB_OK) {
            record_finish(a.v->logs[0], length);
            atomic_store(&h->witness, atomic_load(&h->tail));
        }
        engine_unlock(s);
    }
    engine_version_unref(s, a.v);
}

/* Calls the request's owner to add the index entries of its changes, unless
 * those that it has added for its view are still right. */
static nadb_rc derive(attempt *a, nadb_err *err) {
    const nadb_commit_req *req = a->req;
    uint64_t seq = control_seq(atomic_load(&a->s->ctl.map->visible));
    engine_view now;
    nadb_rc rc;

    if (req->derive == NULL || seq == req->view->seq) return NADB_OK;
    engine_view_init(&now, a->v, seq);
    rc = req->derive(req->derive_ctx, &now.base, err);
    nadb_buf_clear(&now.scratch);
    return rc;
}

/* The part of prepare under the commit lock, which it releases. *again: a doubt
 * was in the way; it has been waited for. */
static nadb_rc prepare_locked(attempt *a, engine_ticket *t, bool *again,
                              nadb_err *err) {
    engine *s = a->s;
    uint32_t doubt = 0, seen = atomic_load(&s->ctl.map->doubt_events);
    bool clash = false;
    nadb_rc rc = check_working(s, err);

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    *again = false;
    if (rc == NADB_OK) rc = derive(a, err);
    if (rc == NADB_OK && control_has_doubts(s->ctl.map))
        rc = engine_clash(s, a->v, a->req, &clash, err);
    if (rc == NADB_OK && (clash || !engine_doubt_free(s, &doubt))) {
        *again = true;
        if (a->req->clear) engine_claim_all(s, &a->claim);
        return wait_doubt(a, seen, err);
    }
    if (rc == NADB_OK) rc = engine_check(s, a->v, a->req, err);
    if (rc == NADB_OK) rc = make_room(a, err);
    if (rc == NADB_OK && a->req->changes != NULL)
        rc = nadb_iter_seek(a->req->changes, nadb_slice_of("", 0), err);
    if (rc == NADB_OK) rc = append(a, doubt, t, err);
    engine_unlock(s);
    return rc;
}

static nadb_rc prepare_try(attempt *a, engine_ticket *t, nadb_err *err) {
    bool again = true;
    nadb_rc rc = NADB_OK;

    while (again && rc == NADB_OK) {
        rc = enter(a, err);
        if (rc == NADB_OK) rc = prepare_locked(a, t, &again, err);
    }
    return rc;
}

/* --- tickets --- */

static engine_ticket *ticket_new(engine *s, nadb_err *err) {
    engine_ticket *t = atomic_exchange(&s->spare_ticket, NULL);

    if (t == NULL) t = nadb_malloc(sizeof *t);
    if (t == NULL)
        (void)nadb_fail(err, NADB_NOMEM, "committing");
    else
        memset(t, 0, sizeof *t);
    return t;
}

static void ticket_free(engine *s, engine_ticket *t) {
    nadb_free(atomic_exchange(&s->spare_ticket, t));
}

static void ticket_done(engine *s, engine_ticket *t) {
    NADB_ASSERT(t->m != NULL);
    memtable_unref(t->m);
    ticket_free(s, t);
}

nadb_rc engine_prepare(nadb_engine *e, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err) {
    engine *s = engine_of(e);
    attempt a = {.s = s, .req = req};
    engine_ticket *t = NULL;
    nadb_rc rc = check_writable(s, err);

    NADB_ASSERT(!nadb_rank_held(NADB_RANK_COMMIT));
    *out = NULL;
    /* A synced commit checks the place after its sync. */
    if (rc == NADB_OK && req->sync != NADB_SYNC_FULL)
        rc = engine_check_place_often(s, err);
    if (rc == NADB_OK) rc = engine_wake(s, err);
    if (rc == NADB_OK && s->traits->ready != NULL)
        rc = s->traits->ready(s, req, err);
    if (rc != NADB_OK) return rc;
    t = ticket_new(s, err);
    if (t == NULL) return NADB_NOMEM;
    rc = prepare_try(&a, t, err);
    if (rc == NADB_FULL && only_deletes(req) &&
        nadb_lock_timed(&s->flush_lock, req->timeout_ms)) {
        if (err != NULL) nadb_err_clear(err);
        engine_find_space(s);
        rc = prepare_try(&a, t, err);
        nadb_unlock(&s->flush_lock);
    }
    engine_unclaim(e, a.claim);
    let_go(&a, a.v);
    if (rc != NADB_OK) {
        ticket_free(s, t);
        return rc;
    }
    if (req->sync == NADB_SYNC_FULL) {
        rc = engine_sync_to(s, wal_place(t->m->log.number, t->off + t->length),
                            err);
        if (rc == NADB_OK) rc = engine_check_place(s, err);
        if (rc != NADB_OK) {
            (void)engine_rollback(e, (nadb_ticket *)t, NULL);
            return rc;
        }
    }
    *out = (nadb_ticket *)t;
    return NADB_OK;
}

/* --- commit --- */

void engine_commit(nadb_engine *e, nadb_ticket *ticket) {
    engine_ticket *t = (engine_ticket *)ticket;
    engine *s = engine_of(e);

    NADB_ASSERT(t->m != NULL && t->doubt < CONTROL_DOUBTS);
    /* SQLite ignores errors of xCommit and the record is already in the log, so
     * this waits as long as the holder of the lock lives. */
    if (!s->forked) {
        while (engine_lock(s, -1, NULL) != NADB_OK) continue;
        engine_apply(s, t->m, t->doubt);
        engine_unlock(s);
        engine_tell_waiters(s);
        if (t->purged > 0)
            atomic_fetch_add(&s->ctl.map->counters[CONTROL_N_EXPIRED],
                             t->purged);
    }
    ticket_done(s, t);
}

/* REQUIRES: the commit lock. */
static nadb_rc take_back(engine *s, const engine_ticket *t, nadb_err *err) {
    nadb_rc rc = wal_take_back(&t->m->log, t->off, err);

    if (rc != NADB_OK) {
        engine_doubt_void(s, t->doubt);
        return rc;
    }
    /* The record may be on the disk even if it was never synced, and a power
     * cut must not revive it: the next commit derives index entries and
     * counters from a state without it. So the mark is synced before the lock
     * is released. If this process dies before the sync, repair.c syncs. */
    rc = engine_sync_log(s, t->m, err);
    engine_doubt_end(s, t->doubt);
    return rc;
}

nadb_rc engine_rollback(nadb_engine *e, nadb_ticket *ticket, nadb_err *err) {
    engine_ticket *t = (engine_ticket *)ticket;
    engine *s = engine_of(e);
    nadb_rc rc = engine_check_usable(s, err);

    NADB_ASSERT(t->m != NULL && t->doubt < CONTROL_DOUBTS);
    if (rc == NADB_OK) {
        rc = engine_lock(s, -1, err);
        if (rc == NADB_OK) {
            rc = take_back(s, t, err);
            engine_unlock(s);
        } else {
            engine_doubt_void(s, t->doubt);
        }
    }
    ticket_done(s, t);
    return rc;
}
