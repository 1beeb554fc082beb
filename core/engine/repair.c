/* repair.c - finishing what a dead process began.
 *
 * A process can be killed between any two instructions. What it may leave
 * behind, and who puts it right:
 *
 *   the commit lock held     the next to want it sees the free slot byte,
 *                            takes it over and comes here
 *   a record half written    `appending` is set: a whole record counts, for
 *                            its transaction may have been told so; anything
 *                            else closes the log, and the next log's header
 *                            says where this one ends
 *   a record in doubt        is committed: linking may be repeated; one with
 *                            a stamp waits for its file (stamp.c)
 *   a node half linked       the doubt is COMMITTING: likewise
 *   a new log not published  nobody knows it; its number is not used again
 *   tables half written      MANIFEST does not name them: the next flusher
 *                            removes them
 *   MANIFEST newer than      the next flusher publishes it (catch_up()), or a
 *   control                  reader that needs the state waits for that
 *   a claim                  is struck out
 *   the flusher word held    the next flusher takes it (control.c)
 *   a slot, with its pins    is freed here once its doubts are gone
 *
 * Everything here is done under the commit lock, by a living process. If that
 * one dies too, the next begins again. Where no process is left, the next
 * opener finds no seal on control, and does the same: control and indexes are
 * memory of this boot. If what it finds contradicts itself it rebuilds from
 * MANIFEST and logs, with the same outcome. */
#include "../util/assert.h"
#include "engine.h"

/* A record that is whole though its writer had not noted it as a doubt: notes
 * it. Its index space was reserved before it was written. */
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
    /* It may have died while it moved the tail; anything else is damage, which
     * who appends next will meet. */
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
            return; /* it had noted it, and died before moving the tail */
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

/* New places are taken under the lock only, so what is free now stays so. */
static void mend_bits(engine *s) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++)
        control_doubt_mark(s->ctl.map, i,
                           atomic_load(&s->ctl.map->doubts[i].state) !=
                               DOUBT_FREE);
}

/* The owner of a record may have died between marking it as taken back and the
 * sync of that (engine_rollback()). */
static void finish_taking_back(engine *s, memtable *m, uint64_t off) {
    wal_record r;
    bool valid = false;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if (memtable_log_exists(m, memtable_tail(m)))
        wal_record_at(&m->log, off, memtable_tail(m), false, &r, &valid);
    if (valid && r.taken_back && s->os->sync(m->log.file, NULL) != NADB_OK)
        atomic_store(&s->ctl.map->failed, 1);
}

/* Commits the doubts of one dead slot, those that had a number first and then
 * in the order of the log. */
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

/* Under the commit lock. */
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

/* The log of a record that is void; NULL when it is not live any more. */
static nadb_rc void_log(engine *s, uint64_t number, memtable **out,
                        nadb_err *err) {
    control_now now;

    *out = NULL;
    control_read(&s->ctl, &now);
    return number < now.first_log ? NADB_OK
                                  : engine_log_ref(s, number, out, err);
}

void engine_void_retry(engine *s) {
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++) {
        control_doubt *d = &s->ctl.map->doubts[i];
        uint64_t log = atomic_load(&d->log), off = atomic_load(&d->off);
        memtable *m = NULL;
        nadb_rc rc;

        if (atomic_load(&d->state) != DOUBT_VOID) continue;
        rc = void_log(s, log, &m, NULL);
        if (rc == NADB_OK && m != NULL) rc = wal_take_back(&m->log, off, NULL);
        if (rc == NADB_OK && m != NULL &&
            atomic_load(&s->synchronous) != NADB_SYNC_OFF)
            rc = s->os->sync(m->log.file, NULL);
        memtable_unref(m);
        if (rc != NADB_OK || engine_lock(s, 0, NULL) != NADB_OK) continue;
        if (atomic_load(&d->state) == DOUBT_VOID &&
            atomic_load(&d->log) == log && atomic_load(&d->off) == off)
            engine_doubt_end(s, i);
        engine_unlock(s);
    }
}
