/* doubt.c - records in doubt: their places in control, waiting for them, and
 * the steps of a commit.
 *
 *   FREE -> PREPARED -> COMMITTING -> FREE    committed
 *                    -> FREE                  taken back
 *                    -> VOID -> FREE          taken back; marks the log later
 *                    -> ORPHAN                stamped, and its owner died or
 *                                             abandoned it: the file decides
 *   ORPHAN -> COMMITTING -> FREE, or -> FREE
 *
 * What happens to the record of a dead process: repair.c completes a COMMITTING
 * one, commits a PREPARED one without a stamp, and makes one with a stamp an
 * ORPHAN (stamp.c). engine_apply() can be repeated from each of its steps. */
#include "../util/assert.h"
#include "engine.h"

/* --- places --- */

bool engine_doubt_free(engine *s, uint32_t *out) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++)
        if (atomic_load(&s->ctl.map->doubts[i].state) == DOUBT_FREE) {
            *out = i;
            return true;
        }
    return false;
}

static void tell_waiters(engine *s) {
    control_map *map = s->ctl.map;

    atomic_fetch_add(&map->doubt_events, 1);
    if (atomic_load(&map->doubt_waiters) > 0)
        s->os->futex_wake((uint32_t *)&map->doubt_events, 1 << 20);
}

void engine_doubt_end(engine *s, uint32_t doubt) {
    NADB_ASSERT(doubt < CONTROL_DOUBTS);
    control_doubt_mark(s->ctl.map, doubt, false);
    nadb_set(&s->ctl.map->doubts[doubt].state, DOUBT_FREE);
    tell_waiters(s);
}

void engine_doubt_void(engine *s, uint32_t doubt) {
    NADB_ASSERT(doubt < CONTROL_DOUBTS);
    NADB_ASSERT(atomic_load(&s->ctl.map->doubts[doubt].state) ==
                DOUBT_PREPARED);
    nadb_set(&s->ctl.map->doubts[doubt].state, DOUBT_VOID);
    tell_waiters(s);
}

void engine_doubt_wait(engine *s, uint32_t seen, int64_t timeout_ms) {
    control_map *map = s->ctl.map;

    NADB_ASSERT(!nadb_rank_held(NADB_RANK_COMMIT));
    atomic_fetch_add(&map->doubt_waiters, 1);
    s->os->futex_wait((uint32_t *)&map->doubt_events, seen,
                      timeout_ms < ENGINE_DOUBT_MS ? timeout_ms
                                                   : ENGINE_DOUBT_MS);
    atomic_fetch_sub(&map->doubt_waiters, 1);
    if (atomic_load(&map->doubt_events) == seen && engine_has_dead(s))
        (void)engine_repair_now(s, timeout_ms, NULL);
}

void engine_orphan(engine *s, control_doubt *d) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    NADB_ASSERT(atomic_load(&d->stamp) != 0);
    NADB_ASSERT(atomic_load(&d->state) == DOUBT_PREPARED ||
                atomic_load(&d->state) == DOUBT_ORPHAN);
    nadb_set(&d->state, DOUBT_ORPHAN);
    nadb_set(&d->slot, CONTROL_NO_SLOT);
    atomic_fetch_add(&s->ctl.map->doubt_events, 1);
    s->os->futex_wake((uint32_t *)&s->ctl.map->doubt_events, 1 << 20);
}

/* --- commit --- */

/* Notes the stamp of a doubt that is committed as `seq`. Called before `seq`
 * becomes visible. */
static void stamp_publish(engine *s, const control_doubt *d, uint64_t seq) {
    control_map *map = s->ctl.map;
    uint64_t number = atomic_load(&d->stamp);
    uint64_t before = atomic_load(&map->stamp_number);
    control_stamp *ring = &map->stamps[number % CONTROL_STAMPS];

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if ((atomic_load(&d->background) & 1) == 0)
        atomic_store(&map->changed_seq, seq);
    if (number == 0) return;
    /* Stamps rise. A repair may repeat the last one. */
    NADB_ASSERT(number >= before);
    NADB_ASSERT(atomic_load(&d->state) == DOUBT_COMMITTING);
    /* otherwise a repair repeats it */
    if (atomic_load(&ring->number) != number) {
        atomic_store(&ring->number, 0);
        atomic_store(&ring->before, before);
        atomic_store(&ring->seq, seq);
        atomic_store(&ring->number, number);
    }
    /* number and nonce are two words, so nonce is 0 (unknown) in between. */
    atomic_store(&map->stamp_nonce, 0);
    atomic_store(&map->stamp_number, number);
    atomic_store(&map->stamp_nonce, atomic_load(&d->nonce));
}

nadb_rc engine_link(memtable *m, uint64_t off, uint64_t end, uint64_t seq,
                    bool check, nadb_err *err) {
    memtable_splice splice = {false, {0}};
    wal_record r;
    wal_entry e;
    bool valid = false;
    nadb_rc rc = NADB_OK;

    if (memtable_log_exists(m, end))
        wal_record_at(&m->log, off, end, check, &r, &valid);
    if (!valid) return wal_no_record(&m->log, off, err);
    /* its owner died right after marking it */
    if (r.taken_back) return NADB_OK;
    if (r.flags & WAL_CLEAR) memtable_clear_at(m, seq);
    while (rc == NADB_OK && r.count > 0) {
        if (!wal_entry_next(&m->log, &r, &e))
            return nadb_corrupt(
                err, "%s is damaged: bad entry in the record at %llu",
                m->log.os->path(m->log.file), (unsigned long long)off);
        rc = memtable_link(m, &splice, &e, seq, err);
    }
    if (rc == NADB_OK) rc = memtable_commit_add(m, off, seq, err);
    return rc;
}

void engine_apply(engine *s, memtable *m, uint32_t doubt) {
    control_map *map = s->ctl.map;
    control_doubt *d = &map->doubts[doubt];
    uint64_t word = atomic_load(&map->visible);
    uint64_t seq = control_seq(word) + 1;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    NADB_ASSERT(doubt < CONTROL_DOUBTS);
    /* COMMITTING fixes the sequence number, so that a repeated commit has the
     * same result. */
    if (atomic_load(&d->state) == DOUBT_COMMITTING) {
        seq = atomic_load(&d->seq);
        /* only one commit at a time is between its two stores */
        NADB_ASSERT(seq <= control_seq(word) + 1);
    } else {
        NADB_ASSERT(atomic_load(&d->state) == DOUBT_PREPARED ||
                    atomic_load(&d->state) == DOUBT_ORPHAN);
        nadb_set(&d->seq, seq);
        nadb_set(&d->state, DOUBT_COMMITTING);
    }
    stamp_publish(s, d, seq);
    if (engine_link(m, atomic_load(&d->off), memtable_tail(m), seq, false,
                    NULL) != NADB_OK) {
        /* The log has the record and only the index is damaged. It is rebuilt
         * when the store is opened again. */
        atomic_store(&map->distrust, 1);
        atomic_store(&map->failed, 1);
    }
    /* Sequentially consistent with `waiting` (engine_tell_waiters()). */
    if (control_seq(word) < seq)
        atomic_store(&map->visible, seq << 8 | control_index(word));
    atomic_fetch_add_explicit(&map->counters[CONTROL_N_COMMITS], 1,
                              memory_order_relaxed);
    engine_doubt_end(s, doubt);
}

void engine_tell_waiters(engine *s) {
    control_map *map = s->ctl.map;

    if (atomic_load(&map->waiting) == 0) return;
    atomic_store(&map->waiting, 0);
    s->os->futex_wake(control_futex(map), 1 << 20);
}
