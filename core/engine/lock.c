/* lock.c - the commit lock, and finding dead openers.
 *
 * A process that takes the lock over from a dead holder repairs first. The
 * repair itself is a function pointer, engine.repair, which open.c sets to
 * engine_repair(): repair.c calls functions of this file, so this file must not
 * name repair.c. */
#include <errno.h>

#include "../util/assert.h"
#include "engine.h"

nadb_rc engine_check_usable(engine *s, nadb_err *err) {
    if (s->forked)
        return nadb_fail(err, NADB_CANTOPEN,
                         "the store in %s was opened before fork(): open a "
                         "new connection in this process",
                         s->dir);
    return NADB_OK;
}

bool engine_is_orphan(const control_map *map, const control_doubt *d) {
    uint32_t slot = atomic_load(&d->slot);

    return control_in_doubt(d) &&
           (slot >= CONTROL_SLOTS || atomic_load(&map->slots[slot].used) == 0);
}

bool engine_has_dead(engine *s) {
    const control_map *map = s->ctl.map;

    if (s->private_memory) return false;
    for (uint32_t i = 0; i < CONTROL_SLOTS; i++)
        if (atomic_load(&map->slots[i].used) != 0 && !control_alive(&s->ctl, i))
            return true;
    if (!control_has_doubts(map)) return false;
    for (uint32_t i = 0; i < CONTROL_DOUBTS; i++)
        if (engine_is_orphan(map, &map->doubts[i])) return true;
    return false;
}

nadb_rc engine_repair_now(engine *s, int64_t timeout_ms, nadb_err *err) {
    nadb_rc rc = engine_lock(s, timeout_ms, err);

    if (rc != NADB_OK) return rc;
    rc = s->repair(s, err);
    engine_unlock(s);
    return rc;
}

/* Removes the seal: the store is in use. */
static nadb_rc break_seal(engine *s, nadb_err *err) {
    memtable *active = NULL;
    control_now now;
    nadb_rc rc;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    control_read(&s->ctl, &now);
    rc = engine_log_ref(s, now.last_log, &active, err);
    if (rc != NADB_OK) return rc;
    memtable_unseal(active);
    memtable_unref(active);
    control_unseal(&s->ctl);
    return NADB_OK;
}

nadb_rc engine_lock(engine *s, int64_t timeout_ms, nadb_err *err) {
    bool stolen = false;
    nadb_err mine;
    nadb_rc rc = control_lock(&s->ctl, timeout_ms, &stolen, err);

    if (rc != NADB_OK) return rc;
    if (control_sealed(&s->ctl)) {
        rc = break_seal(s, err);
        if (rc != NADB_OK) control_unlock(&s->ctl);
    }
    if (rc != NADB_OK || !stolen) return rc;
    nadb_err_clear(&mine);
    rc = s->repair(s, &mine);
    if (nadb_err_is_shortage(&mine)) {
        /* another process may have what this one lacks */
        control_give_back(&s->ctl);
        if (err != NULL) *err = mine;
        return rc;
    }
    if (rc != NADB_OK) {
        /* The repair failed, so nothing may be written on top of this state. */
        atomic_store(&s->ctl.map->distrust, 1);
        atomic_store(&s->ctl.map->failed, 1);
        rc = NADB_OK;
    }
    return rc;
}

void engine_unlock(engine *s) { control_unlock(&s->ctl); }

nadb_rc engine_read_only(const engine *s, nadb_err *err) {
    return nadb_fail(err, NADB_READONLY,
                     "the store in %s is read-only: open it without mode='ro', "
                     "with the right to write to its files",
                     s->dir);
}

nadb_rc engine_distrust(engine *s, nadb_err *err) {
    atomic_store(&s->ctl.map->distrust, 1);
    return nadb_corrupt(err,
                        "%s/control is damaged: close all connections to this "
                        "store and open it again",
                        s->dir);
}
