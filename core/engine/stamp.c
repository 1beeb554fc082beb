/* stamp.c - commits that a database file decides.
 *
 * A store at the default path belongs to one database file. A transaction is
 * mixed if it changes ordinary tables of the file and the store, or several
 * stores of the file. SQLite commits the file between our prepare and our
 * commit, so both must agree whatever happens in between. They are tied by a
 * stamp (nadb_stamp): the transaction writes it into a row of the file, and
 * prepare writes it into the store's record.
 *
 *   the file has the stamp, or a later one    the transaction is committed
 *   the file has an earlier one               it is not
 *
 * "Committed" may be concluded from any snapshot of the file. "Not committed"
 * may be concluded only under the file's write lock, because then the owner of
 * the record is dead or past its COMMIT.
 *
 * Life of a stamped doubt:
 *
 *   PREPARED --commit--> COMMITTING --> FREE    by its owner
 *   PREPARED --rollback--> FREE                 by its owner
 *   PREPARED --owner dies, or abandons--> ORPHAN
 *   ORPHAN --file has the stamp--> COMMITTING --> FREE
 *   ORPHAN --file lacks it--> FREE              under the file's write lock
 *
 * An owner abandons its record if COMMIT writes several attached files and
 * fails after xSync: this file may be committed, and another one not.
 *
 * A writer decides every orphan before it reads or stamps. So at most one
 * stamped record of a store is undecided at any time, and stamps rise.
 *
 * A stamp is published under the commit lock in this order: ring entry,
 * stamp_number, the visible word, the end of the doubt. A reader loads them in
 * the opposite order, so it never sees the effect of a stamp without the
 * stamp. */
#include "../util/assert.h"
#include "engine.h"

/* --- what is in doubt --- */

static bool is_pending(uint32_t state) {
    return state == DOUBT_PREPARED || state == DOUBT_COMMITTING ||
           state == DOUBT_ORPHAN;
}

typedef bool doubt_test(const control_doubt *d, uint32_t i, const void *arg);

/* Finds the first doubt for which `test` is true; CONTROL_DOUBTS: none. */
static uint32_t find_doubt(const control_map *map, doubt_test *test,
                           const void *arg) {
    for (uint32_t word = 0; word < 2; word++) {
        uint64_t bits = atomic_load(&map->doubt_bits[word]);

        for (; bits != 0; bits &= bits - 1) {
            uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(bits);
            const control_doubt *d = &map->doubts[i];

            if (is_pending(atomic_load(&d->state)) && test(d, i, arg)) return i;
        }
    }
    return CONTROL_DOUBTS;
}

static bool is_stamped(const control_doubt *d, uint32_t i, const void *arg) {
    (void)i;
    (void)arg;
    return atomic_load(&d->stamp) != 0;
}

/* True if the file has decided to commit the record: it has this stamp or a
 * later one. */
static bool file_has(const control_doubt *d, uint32_t i, const void *arg) {
    const nadb_stamp *file = arg;
    uint64_t number = atomic_load(&d->stamp);

    (void)i;
    if (number == 0 || number > file->number) return false;
    return number < file->number || atomic_load(&d->nonce) == file->nonce;
}

static bool is_others(const control_doubt *d, uint32_t i, const void *arg) {
    const uint32_t *own = arg;

    (void)d;
    return i != *own;
}

/* The commit of the first stamp after `number`; 0: the ring no longer has
 * it. */
static uint64_t seq_after(const control_map *map, uint64_t number) {
    for (uint32_t i = 0; i < CONTROL_STAMPS; i++) {
        const control_stamp *ring = &map->stamps[i];
        uint64_t is = atomic_load(&ring->number);
        uint64_t before = atomic_load(&ring->before);
        uint64_t seq = atomic_load(&ring->seq);

        if (is > number && before <= number && atomic_load(&ring->number) == is)
            return seq;
    }
    return 0;
}

/* The commit of the store's stamp `number`; 0: every view has it, because it is
 * from before control was built. False: a later stamp has taken its place in
 * the ring. */
static bool seq_of(const control_map *map, uint64_t number, uint64_t *seq) {
    const control_stamp *ring = &map->stamps[number % CONTROL_STAMPS];

    *seq = atomic_load(&ring->seq);
    if (atomic_load(&ring->number) == number) return true;
    *seq = 0;
    return number <= atomic_load(&map->stamp_base);
}

nadb_stamp engine_stamped(nadb_engine *e) {
    const control_map *map = engine_of(e)->ctl.map;
    nadb_stamp stamp;

    do {
        stamp.number = atomic_load(&map->stamp_number);
        stamp.nonce = atomic_load(&map->stamp_nonce);
    } while (atomic_load(&map->stamp_number) != stamp.number);
    return stamp;
}

bool engine_moved(nadb_engine *e, const nadb_view *v) {
    return atomic_load(&engine_of(e)->ctl.map->changed_seq) > v->seq;
}

/* --- deciding --- */

void engine_abandon(nadb_engine *e, nadb_ticket *ticket) {
    engine_ticket *t = (engine_ticket *)ticket;
    engine *s = engine_of(e);

    if (!s->forked) {
        while (engine_lock(s, -1, NULL) != NADB_OK) continue;
        engine_orphan(s, &s->ctl.map->doubts[t->doubt]);
        engine_unlock(s);
    }
    memtable_unref(t->m);
    nadb_free(t);
}

/* Takes the record of an orphan back. REQUIRES: the commit lock. */
static nadb_rc refuse(engine *s, memtable *m, uint32_t i, nadb_err *err) {
    uint64_t off = atomic_load(&s->ctl.map->doubts[i].off);
    nadb_rc rc = wal_take_back(&m->log, off, err);

    NADB_ASSERT(atomic_load(&s->ctl.map->doubts[i].state) == DOUBT_ORPHAN);
    if (rc == NADB_OK) rc = engine_sync_log(s, m, err);
    if (rc == NADB_OK)
        engine_doubt_end(s, i);
    else
        atomic_store(&s->ctl.map->failed, 1);
    return rc;
}

/* Decides orphan `i` by the file's stamp. `locked`: the caller holds the file's
 * write lock; otherwise the orphan is only committed, because its place may
 * have another one meanwhile. */
static nadb_rc decide(engine *s, uint32_t i, const nadb_stamp *file,
                      bool locked, nadb_err *err) {
    control_doubt *d = &s->ctl.map->doubts[i];
    memtable *m = NULL;
    wal_record r;
    bool valid = false, back;
    nadb_rc rc = engine_lock(s, -1, err);

    if (rc != NADB_OK) return rc;
    if (atomic_load(&d->state) == DOUBT_ORPHAN)
        rc = engine_log_ref(s, atomic_load(&d->log), &m, err);
    if (m != NULL) {
        if (memtable_log_exists(m, memtable_tail(m)))
            wal_record_at(&m->log, atomic_load(&d->off), memtable_tail(m),
                          false, &r, &valid);
        /* An earlier decision may have died after marking the record. */
        back = valid && r.taken_back;
        if (file_has(d, i, file) && !back) {
            nadb_set(&d->slot, s->ctl.slot); /* ours until it is linked */
            engine_apply(s, m, i);
            engine_tell_waiters(s);
        } else if (back || locked) {
            rc = refuse(s, m, i, err);
        }
        memtable_unref(m);
    }
    engine_unlock(s);
    return rc;
}

/* --- writers, which hold the file's write lock --- */

static nadb_rc too_slow(const engine *s, nadb_err *err) {
    return nadb_fail(err, NADB_BUSY,
                     "another connection has committed to the database file "
                     "and not yet to its store in %s within busy_timeout",
                     s->dir);
}

/* Waits until a doubt has ended since doubt_events was `seen`. *deadline: 0
 * before the first wait. */
static nadb_rc wait_doubt(engine *s, uint32_t seen, int64_t timeout_ms,
                          int64_t *deadline, nadb_err *err) {
    int64_t now = s->os->mono_ns();

    if (*deadline == 0) *deadline = now + timeout_ms * 1000000;
    if (now >= *deadline) return too_slow(s, err);
    engine_doubt_wait(s, seen, (*deadline - now) / 1000000 + 1);
    return NADB_OK;
}

nadb_rc engine_settle(nadb_engine *e, const nadb_dbfile *file,
                      const nadb_ticket *own, int64_t timeout_ms,
                      nadb_err *err) {
    engine *s = engine_of(e);
    const control_map *map = s->ctl.map;
    uint32_t mine = CONTROL_DOUBTS;
    int64_t deadline = 0;

    if (own != NULL) mine = ((const engine_ticket *)own)->doubt;
    while (control_has_doubts(map)) {
        uint32_t events = atomic_load(&map->doubt_events);
        uint32_t i = find_doubt(map, is_others, &mine);
        nadb_rc rc;

        if (i == CONTROL_DOUBTS) return NADB_OK;
        if (atomic_load(&map->doubts[i].state) == DOUBT_ORPHAN) {
            nadb_stamp stamp;

            rc = file->stamp(file->ctx, &stamp, err);
            if (rc == NADB_OK) rc = decide(s, i, &stamp, true, err);
        } else {
            rc = wait_doubt(s, events, timeout_ms, &deadline, err);
        }
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

/* --- readers: the state that belongs to the file's snapshot --- */

typedef struct alignment {
    engine *s;
    engine_view *v;
    const nadb_dbfile *from;
    nadb_stamps_seen *seen;
    nadb_stamp file, store;
    bool doubts;     /* a stamped record is in doubt */
    uint32_t events; /* doubt_events before the comparison */
    int64_t timeout_ms, deadline;
} alignment;

/* The file is ahead of the store: waits until the record with its stamp is
 * committed. *none: there is no such record. */
static nadb_rc catch_up(alignment *a, bool *none, nadb_err *err) {
    engine *s = a->s;
    uint32_t i = find_doubt(s->ctl.map, file_has, &a->file);

    *none = i == CONTROL_DOUBTS;
    if (*none) return NADB_OK;
    if (atomic_load(&s->ctl.map->doubts[i].state) == DOUBT_ORPHAN)
        return decide(s, i, &a->file, false, err);
    return wait_doubt(s, a->events, a->timeout_ms, &a->deadline, err);
}

/* Takes a new view, which must have the commits up to `seq`: their stamps are
 * published. If it lacks them, they are about to become visible, or their owner
 * has died. */
static nadb_rc refresh(alignment *a, uint64_t seq, nadb_err *err) {
    nadb_rc rc = engine_view_refresh(&a->s->engine, &a->v->base, err);

    if (rc != NADB_OK || a->v->base.seq >= seq) return rc;
    if (a->timeout_ms < ENGINE_LEAST_MS) a->timeout_ms = ENGINE_LEAST_MS;
    return wait_doubt(a->s, a->events, a->timeout_ms, &a->deadline, err);
}

static nadb_rc is_older(const engine *s, nadb_err *err) {
    return nadb_fail(
        err, NADB_CANTOPEN,
        "the database file is older than its store in %s, or another copy of "
        "it has written to the store: put the right file back, or take the "
        "store over as it is with SELECT nadb_adopt('<table>')",
        s->dir);
}

/* The store was opened for a statement, and had a stamp that the statement's
 * snapshot of the file lacks: another process may have committed in between. */
static nadb_rc may_be_older(alignment *a, nadb_err *err) {
    a->seen->behind = a->file;
    return nadb_fail(
        err, NADB_CONFLICT,
        "another process has committed while this statement began, or the "
        "database file is older than its store in %s: try again; if the error "
        "stays, put the right file back, or take the store over as it is with "
        "SELECT nadb_adopt('<table>')",
        a->s->dir);
}

/* True if the file is older than the store, and not only the connection's
 * snapshot of it. The holder of the write lock sees the latest state of the
 * file, and so does a new statement after one that found the same
 * difference. */
static bool surely_older(const alignment *a) {
    const nadb_stamp *before = &a->seen->behind;

    if (a->from->locked(a->from->ctx)) return true;
    return a->from->fresh(a->from->ctx) && before->number == a->file.number &&
           before->nonce != 0 && before->nonce == a->file.nonce;
}

/* The store is ahead of the file's snapshot: moves the view back before the
 * first stamp that the snapshot lacks. *again: the view is from before the last
 * stamp that the snapshot has, or may be. */
static nadb_rc step_back(alignment *a, bool *again, nadb_err *err) {
    const control_map *map = a->s->ctl.map;
    uint64_t seq = seq_after(map, a->file.number);

    if (surely_older(a)) return is_older(a->s, err);
    if (a->file.number < a->s->opened_stamp && a->from->fresh(a->from->ctx))
        return may_be_older(a, err);
    *again = seq != 0 && a->v->base.seq < seq - 1;
    if (*again) return refresh(a, seq - 1, err);
    a->seen->behind = a->file;
    if (seq != 0 && engine_view_back(a->s, a->v, seq - 1)) return NADB_OK;
    return nadb_fail(err, NADB_CONFLICT,
                     "the state of the store in %s that belongs to this "
                     "snapshot of the database file no longer exists: end the "
                     "transaction and begin it again",
                     a->s->dir);
}

/* True if file and store may differ: after a power cut each may have lost its
 * unsynced end, until the next stamp. */
static bool may_differ(const alignment *a) {
    const control_map *map = a->s->ctl.map;

    return atomic_load(&map->tails_lost) != 0 &&
           a->store.number == atomic_load(&map->stamp_base);
}

/* A nonce of 0 is unknown: the stamp is from a log's header, or is being
 * published. */
static bool same_history(const alignment *a) {
    return a->file.number != a->store.number ||
           a->file.nonce == a->store.nonce || a->store.nonce == 0;
}

/* File and store agree: remembers that. */
static nadb_rc agree(alignment *a) {
    a->seen->any = true;
    a->seen->behind.nonce = 0;
    /* A doubt may end until the next comparison, so that must not be
     * skipped. */
    a->seen->equal = a->doubts ? UINT64_MAX : a->store.number;
    return NADB_OK;
}

/* One comparison; *again: the view has been refreshed, compare again. */
static nadb_rc compare(alignment *a, bool *again, nadb_err *err) {
    const control_map *map = a->s->ctl.map;
    bool none = true, known;
    uint64_t seq;
    nadb_rc rc = NADB_OK;

    *again = false;
    if (a->file.number > a->store.number) {
        rc = catch_up(a, &none, err);
    } else if (may_differ(a)) {
        return agree(a);
    } else if (!same_history(a)) {
        return is_older(a->s, err);
    } else if (a->file.number < a->store.number) {
        return step_back(a, again, err);
    }
    if (rc != NADB_OK) return rc;
    /* If the file is still ahead, the store has lost its unsynced end, or the
     * stamp is our own. */
    *again = true;
    known = seq_of(map, a->store.number, &seq);
    if (!none || atomic_load(&map->stamp_number) != a->store.number)
        return refresh(a, 0, err);
    if (!known) return engine_distrust(a->s, err);
    if (seq > a->v->base.seq) return refresh(a, seq, err);
    *again = false;
    return agree(a);
}

nadb_rc engine_align(nadb_engine *e, nadb_view *v, const nadb_dbfile *file,
                     nadb_stamps_seen *seen, int64_t timeout_ms,
                     nadb_err *err) {
    alignment a = {.s = engine_of(e), .v = (engine_view *)v};
    const control_map *map = a.s->ctl.map;
    bool again = true;

    a.from = file;
    a.seen = seen;
    a.timeout_ms = timeout_ms;
    while (again) {
        nadb_rc rc;

        a.events = atomic_load(&map->doubt_events);
        /* The doubts are read first: if one has ended, its stamp is
         * published. */
        a.doubts = control_has_doubts(map) &&
                   find_doubt(map, is_stamped, NULL) != CONTROL_DOUBTS;
        a.store = engine_stamped(e);
        if (!a.doubts && seen->any && a.store.number == seen->equal)
            return NADB_OK;
        rc = file->stamp(file->ctx, &a.file, err);
        if (rc == NADB_OK) rc = compare(&a, &again, err);
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}
