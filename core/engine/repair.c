/* repair.c - finishes what a dead process began.
 *
 * A process can be killed between any two instructions. What it may leave, and
 * what is done about it:
 *
 *   commit lock held         the next process that wants it sees the free slot
 *                            byte, takes the lock over and repairs
 *   record half written      `appending` is set. A whole record counts, as it
 *                            does when logs are replayed; otherwise the log is
 *                            closed, and the next log's header says where this
 *                            one ends
 *   record in doubt          without a stamp: it is committed (linking may be
 *                            repeated); with one: it becomes an orphan, about
 *                            which the database file decides (stamp.c)
 *   node half linked         the doubt is COMMITTING: linked again
 *   new log not published    it is ignored; its number is not used again
 *   tables half written      MANIFEST does not name them: the next flusher
 *                            removes them
 *   MANIFEST newer than      the next flusher publishes it (catch_up()), or a
 *   control                  reader that needs that state
 *   claim                    it is freed
 *   flusher word held        the next flusher takes it over (control.c)
 *   slot with pins           it is freed here once its doubts are decided
 *
 * All of this is done by a living process under the commit lock. If that
 * process dies, the next one starts again. If no process is left, the next
 * opener finds control without a seal and does the same. If control contradicts
 * itself it is rebuilt from MANIFEST and logs, with the same outcome. */
#include "../util/assert.h"
#include "engine.h"

/* Notes a doubt for a whole record whose writer died before noting it. Index
 * space was reserved before the record was written. */
static void adopt_record(engine *s, memtable *m, uint32_t dead) {
    control_map *map = s->ctl.map;
    uint64_t tail = memtable_tail(m);
    uint64_t end = atomic_load(&m->head->log_reserved);
    uint32_t free_one = CONTROL_DOUBTS;
    wal_record r;
    bool valid = false;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    memtable_look_again(m);
    if (end > atomic_load(&m->log_safe)) end = atomic_load(&m->log_safe);
    wal_record_at(&m->log, tail, end, true, &r, &valid);
    /* The writer may have died while it moved the tail. Any other difference is
     * damage, which the next append reports. */
    if (!memtable_tail_ok(m) &&
        !(valid && atomic_load(&m->head->tail_not) == ~(tail + r.length)))
        return;
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
        control_doubt *d = &map->doubts[i];

        if (atomic_load(&d->state) == DOUBT_FREE)
            free_one = i;
        else if (valid && atomic_load(&d->log) == m->log.number &&
                 atomic_load(&d->off) == tail) {
            memtable_tail_set(m, tail + r.length);
            return; /* the doubt was noted; only the tail was not moved */
        }
    }
    if (!valid || r.taken_back || free_one == CONTROL_DOUBTS) {
        atomic_store(&m->head->closed, 1);
        return;
    }
    atomic_store(&map->doubts[free_one].slot, dead);
    atomic_store(&map->doubts[free_one].log, m->log.number);
    atomic_store(&map->doubts[free_one].off, tail);
    atomic_store(&map->doubts[free_one].room, memtable_room(r.count));
    atomic_store(&map->doubts[free_one].seq, 0);
    atomic_store(&map->doubts[free_one].stamp, r.stamp.number);
    atomic_store(&map->doubts[free_one].nonce, r.stamp.nonce);
    atomic_store(&map->doubts[free_one].background, 0);
    atomic_store(&map->doubts[free_one].state, DOUBT_PREPARED);
    memtable_tail_set(m, tail + r.length);
}

/* Places are taken under the commit lock only, so a free one stays free
 * here. */
static void mend_bits(engine *s) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++)
        control_doubt_mark(s->ctl.map, i,
                           atomic_load(&s->ctl.map->doubts[i].state) !=
                               DOUBT_FREE);
}

/* A rollback may have died between marking the record and syncing the mark. */
static void finish_taking_back(engine *s, memtable *m, uint64_t off) {
    wal_record r;
    bool valid = false;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if (memtable_log_exists(m, memtable_tail(m)))
        wal_record_at(&m->log, off, memtable_tail(m), false, &r, &valid);
    /* an error makes all processes refuse writes */
    if (valid && r.taken_back) (void)!engine_sync_log(s, m, NULL);
}

/* Commits the doubts of one dead slot: first those that have a sequence number,
 * then the others in the order of the log. */
static nadb_rc commit_doubts(engine *s, uint32_t slot, nadb_err *err) {
    control_map *map = s->ctl.map;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    for (;;) {
        control_doubt *best = NULL;
        memtable *m = NULL;
        uint32_t at = 0;
        nadb_rc rc;

        for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
            control_doubt *d = &map->doubts[i];

            if (!control_in_doubt(d) || atomic_load(&d->slot) != slot) continue;
            if (atomic_load(&d->state) == DOUBT_CLAIM) {
                engine_doubt_end(s, i);
                continue;
            }
            if (atomic_load(&d->state) != DOUBT_COMMITTING &&
                atomic_load(&d->stamp) != 0) {
                engine_orphan(s, d);
                continue;
            }
            if (best == NULL || atomic_load(&d->state) == DOUBT_COMMITTING ||
                (atomic_load(&best->state) != DOUBT_COMMITTING &&
                 (atomic_load(&d->log) < atomic_load(&best->log) ||
                  (atomic_load(&d->log) == atomic_load(&best->log) &&
                   atomic_load(&d->off) < atomic_load(&best->off))))) {
                best = d;
                at = i;
            }
        }
        if (best == NULL) return NADB_OK;
        rc = engine_log_ref(s, atomic_load(&best->log), &m, err);
        if (rc != NADB_OK) return rc;
        finish_taking_back(s, m, atomic_load(&best->off));
        engine_apply(s, m, at);
        engine_tell_waiters(s);
        memtable_unref(m);
    }
}

/* REQUIRES: the commit lock. */
nadb_rc engine_repair(engine *s, nadb_err *err) {
    control_map *map = s->ctl.map;
    control_now now;
    memtable *active = NULL;
    nadb_rc rc;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    control_read(&s->ctl, &now);
    rc = engine_log_ref(s, now.last_log, &active, err);
    if (rc != NADB_OK) return rc;
    for (uint32_t i = 0; i < CONTROL_SLOTS && rc == NADB_OK; i++) {
        if (atomic_load(&map->slots[i].used) == 0 || control_alive(&s->ctl, i))
            continue;
        if (atomic_load(&active->head->appending)) {
            adopt_record(s, active, i);
            atomic_store(&active->head->appending, 0);
        }
        mend_bits(s);
        rc = commit_doubts(s, i, err);
        if (rc != NADB_OK) break;
        atomic_store(&map->slots[i].pin_gen, 0);
        atomic_store(&map->slots[i].used, 0);
    }
    for (uint32_t i = 0; i < CONTROL_DOUBTS && rc == NADB_OK; i++)
        if (engine_is_orphan(map, &map->doubts[i]))
            rc = commit_doubts(s, atomic_load(&map->doubts[i].slot), err);
    memtable_unref(active);
    return rc;
}

/* The log of a void record; NULL if it is no longer live. */
static nadb_rc void_log(engine *s, uint64_t number, memtable **out,
                        nadb_err *err) {
    control_now now;

    *out = NULL;
    control_read(&s->ctl, &now);
    return number < now.first_log ? NADB_OK
                                  : engine_log_ref(s, number, out, err);
}

/* Reads the place of a void record; false if the doubt is not one. Under the
 * commit lock, because the doubt may end and its place get another record. */
static bool void_place(engine *s, const control_doubt *d, uint64_t *log,
                       uint64_t *off) {
    bool is_void;

    if (atomic_load(&d->state) != DOUBT_VOID ||
        engine_lock(s, 0, NULL) != NADB_OK)
        return false;
    is_void = atomic_load(&d->state) == DOUBT_VOID;
    *log = atomic_load(&d->log);
    *off = atomic_load(&d->off);
    engine_unlock(s);
    return is_void;
}

void engine_void_retry(engine *s) {
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
        control_doubt *d = &s->ctl.map->doubts[i];
        uint64_t log, off;
        memtable *m = NULL;
        nadb_rc rc;

        if (!void_place(s, d, &log, &off)) continue;
        rc = void_log(s, log, &m, NULL);
        if (rc == NADB_OK && m != NULL) rc = wal_take_back(&m->log, off, NULL);
        if (rc == NADB_OK && m != NULL &&
            atomic_load(&s->synchronous) != NADB_SYNC_OFF)
            rc = engine_sync_log(s, m, NULL);
        memtable_unref(m);
        if (rc != NADB_OK || engine_lock(s, 0, NULL) != NADB_OK) continue;
        if (atomic_load(&d->state) == DOUBT_VOID &&
            atomic_load(&d->log) == log && atomic_load(&d->off) == off)
            engine_doubt_end(s, i);
        engine_unlock(s);
    }
}
