/* control.c - see control.h.
 *
 * The file locks are on bytes behind the file's end: slot i at SLOT_BYTE + i,
 * the open byte at OPEN_BYTE. An opener takes the open byte first, so that one
 * process at a time judges whether the file can be trusted; then it takes the
 * first slot whose byte it can lock. */
#include "control.h"
#include "../util/assert.h"

#include <errno.h>

#include "../util/coding.h"
#include "../util/crc32c.h"

#define NAME "control"
#define MAGIC nadb_get_u64((const uint8_t *)CONTROL_MAGIC)
#define FORMAT 3u
#define OPEN_BYTE ((uint64_t)1 << 40)
#define SLOT_BYTE (OPEN_BYTE + 16)

#define LOCK_WAITERS 0x80000000u
#define LOCK_OWNER(word) ((word) & ~LOCK_WAITERS)

/* How long a waiter sleeps before it checks that the holder is alive. */
#define PROBE_MS 20

static uint32_t layout_word(void) {
    uint32_t one = 1;
    uint8_t little = *(const uint8_t *)&one;
    uint32_t libc = 0;

#if defined(__GLIBC__)
    libc = 1;
#endif
    return (uint32_t)sizeof(control_map) << 8 | libc << 5 |
           (uint32_t)sizeof(void *) << 1 | little;
}

static uint64_t head_crc(const control_map *m) {
    return nadb_crc32c(0, m, offsetof(control_map, head_crc));
}

/* The store's identity follows in control_identify(). */
static void head_fill(control_map *m, const uint8_t boot[16],
                      const nadb_stat *st) {
    atomic_store(&m->magic, MAGIC);
    m->version = FORMAT;
    m->layout = layout_word();
    memcpy(m->boot_id, boot, 16);
    m->dev = st->dev;
    m->ino = st->ino;
    memset(m->store_id, 0, NADB_STORE_ID);
    m->head_crc = head_crc(m);
}

/* Judges an existing control file. *ours: it was made in this boot and this
 * place, and it is undamaged. */
static nadb_rc head_check(const control_map *m, const char *path,
                          const uint8_t boot[16], const nadb_stat *st,
                          bool *ours, nadb_err *err) {
    *ours = false;
    if (atomic_load(&m->magic) == 0) return NADB_OK; /* it was just created */
    if (m->version > FORMAT && m->head_crc == head_crc(m))
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s has format %u, this nadb reads formats up to %u: "
                         "use a newer nadb",
                         path, m->version, FORMAT);
    *ours = m->version == FORMAT && m->head_crc == head_crc(m) &&
            m->layout == layout_word() && memcmp(m->boot_id, boot, 16) == 0 &&
            m->dev == st->dev && m->ino == st->ino;
    return NADB_OK;
}

/* A control that was copied, or that is of an earlier boot, still names its
 * store. */
static void id_read(control *c) {
    const control_map *m = c->map;
    static const uint8_t none[NADB_STORE_ID];

    c->id.known = atomic_load(&m->magic) == MAGIC && m->version == FORMAT &&
                  m->head_crc == head_crc(m) &&
                  memcmp(m->store_id, none, sizeof none) != 0;
    if (c->id.known) memcpy(c->id.bytes, m->store_id, NADB_STORE_ID);
}

void control_identify(control *c, const nadb_store_id *id) {
    memcpy(c->map->store_id, id->bytes, NADB_STORE_ID);
    if (!c->private_map) c->map->head_crc = head_crc(c->map);
}

static bool slot_locked(control *c, uint32_t i) {
    bool locked = true;

    /* If the probe fails, the opener is assumed to be alive, which is safe. */
    if (c->os->bytes_locked(c->file, SLOT_BYTE + i, 1, &locked, NULL) !=
        NADB_OK)
        return true;
    return locked;
}

bool control_alive(control *c, uint32_t slot) {
    if (slot >= CONTROL_SLOTS) return false;
    if (slot == c->slot || c->private_map) return true;
    return slot_locked(c, slot);
}

static bool any_locked(control *c) {
    bool locked = true;

    if (c->os->bytes_locked(c->file, SLOT_BYTE, CONTROL_SLOTS, &locked, NULL) !=
        NADB_OK)
        return true;
    return locked;
}

bool control_others(control *c) { return !c->private_map && any_locked(c); }

/* --- the seal --- */

static uint32_t seal_of(const control_map *m) {
    size_t from = offsetof(control_map, pad0);
    size_t mid = offsetof(control_map, seal);
    size_t behind = offsetof(control_map, seal_index);
    const uint8_t *p = (const uint8_t *)m;
    uint32_t crc = nadb_crc32c(0, p + from, mid - from);

    crc = nadb_crc32c(crc, p + behind, offsetof(control_map, slots) - behind);
    return crc == 0 ? 1 : crc;
}

bool control_last(control *c) {
    bool got = false;

    return !c->private_map &&
           c->os->lock_byte(c->file, OPEN_BYTE, &got, NULL) == NADB_OK && got &&
           !any_locked(c);
}

nadb_rc control_lock_out(const nadb_os *os, nadb_file *f, int64_t timeout_ms,
                         nadb_err *err) {
    bool got = false, used = false;
    nadb_rc rc = os->lock_byte_wait(f, OPEN_BYTE, timeout_ms, &got, err);

    if (rc == NADB_OK && got)
        rc = os->bytes_locked(f, SLOT_BYTE, CONTROL_SLOTS, &used, err);
    if (rc != NADB_OK || (got && !used)) return rc;
    return nadb_fail(err, NADB_LOCKED,
                     "the store of %s is open in another connection or "
                     "process: close it there first",
                     os->path(f));
}

void control_seal(control *c, uint32_t index_crc, uint64_t end) {
    atomic_store(&c->map->end, end);
    atomic_store(&c->map->seal_index, index_crc);
    atomic_store(&c->map->seal, seal_of(c->map));
}

/* Takes an unused slot. A dead opener's slot stays used until repair, because
 * its doubts refer to it. */
static nadb_rc slot_take(control *c, bool rebuild, nadb_err *err) {
    for (uint32_t i = 0; i < CONTROL_SLOTS; i++) {
        bool got = false;
        nadb_rc rc;

        if (!rebuild && atomic_load(&c->map->slots[i].used) != 0) continue;
        rc = c->os->lock_byte(c->file, SLOT_BYTE + i, &got, err);
        if (rc != NADB_OK) return rc;
        if (!got) continue;
        c->slot = i;
        return NADB_OK;
    }
    return nadb_fail(err, NADB_BUSY,
                     "opening %s: %u processes have this store open, which is "
                     "the limit",
                     c->os->path(c->file), CONTROL_SLOTS);
}

static void slot_enter(control *c) {
    control_slot *s = &c->map->slots[c->slot];
    uint64_t process, thread;

    atomic_store(&s->pin_gen, 0);
    atomic_store(&s->pin_seq, 0);
    c->os->who(&process, &thread);
    atomic_store(&s->process, (uint32_t)process);
    atomic_store(&s->used, 1);
    c->entered = true;
}

/* Checks the file before anything is written to it: it must be a control, or
 * blank. A blank file begins with zeros, as a file does whose maker died or
 * whose head was lost in a power cut; it is no larger than a control and has
 * one name. REQUIRES: the open byte. */
static nadb_rc file_check(control *c, const nadb_stat *st, bool *blank,
                          nadb_err *err) {
    uint8_t magic[8] = {0};
    size_t n = st->size < sizeof magic ? (size_t)st->size : sizeof magic;
    nadb_rc rc = NADB_OK;

    *blank = false;
    if (n > 0) rc = c->os->pread(c->file, magic, n, 0, err);
    if (rc != NADB_OK || nadb_get_u64(magic) == MAGIC) return rc;
    *blank = nadb_get_u64(magic) == 0 && st->size <= sizeof(control_map) &&
             st->links <= 1;
    if (*blank) return NADB_OK;
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s is not a control file of a nadb store: remove it if "
                     "this is one (no row is in it)",
                     c->os->path(c->file));
}

/* The file is extended before it is mapped, because touching pages beyond its
 * end would be fatal. */
static nadb_rc file_map(control *c, nadb_err *err) {
    void *p = NULL;
    nadb_rc rc = c->os->reserve(c->file, 0, sizeof(control_map), err);

    if (rc != NADB_OK) return rc;
    rc = c->os->map(c->file, sizeof(control_map), true, &p, err);
    if (rc == NADB_OK) c->map = p;
    return rc;
}

/* Decides whether the control can be used as it is. REQUIRES: the open byte. */
static nadb_rc judge(control *c, const nadb_stat *st, control_state *state,
                     nadb_err *err) {
    uint8_t boot[16];
    bool ours = false;
    bool alone = !any_locked(c);
    nadb_rc rc = c->os->boot_id(boot, err);

    if (rc == NADB_OK)
        rc = head_check(c->map, c->os->path(c->file), boot, st, &ours, err);
    if (rc != NADB_OK) return rc;

    c->ours = ours;
    id_read(c);
    *state = CONTROL_TRUSTED;
    if (alone && atomic_load(&c->map->seal) == seal_of(c->map)) {
        control_now now;

        control_read(c, &now);
        c->left.base_generation = now.base_generation;
        c->left.last_log = now.last_log;
        c->left.end = atomic_load(&c->map->synced);
        if (memcmp(c->map->boot_id, boot, sizeof boot) == 0 &&
            atomic_load(&c->map->end) > c->left.end)
            c->left.end = atomic_load(&c->map->end);
        c->was_sealed = ours && atomic_load(&c->map->distrust) == 0 &&
                        atomic_load(&c->map->failed) == 0;
    }
    if (c->was_sealed) return NADB_OK;
    /* A wrong seal shows that the file is damaged. */
    c->abandoned = alone && ours && !control_sealed(c) &&
                   atomic_load(&c->map->distrust) == 0 &&
                   atomic_load(&c->map->failed) == 0;
    if (c->abandoned) return NADB_OK;
    if (alone) {
        *state = CONTROL_REBUILD;
        return NADB_OK;
    }
    if (ours) return NADB_OK; /* other openers are using it */
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s is open on another machine or in another container: "
                     "close it there first",
                     c->os->path(c->file));
}

/* *removed: the file is no longer that of the store at this path, because the
 * store was removed, and perhaps made again, before we had the open byte. */
static nadb_rc was_removed(control *c, const nadb_home *home, bool *removed,
                           nadb_err *err) {
    char *path = nadb_path_join(home->os->dir_path(home->dir), NAME);
    nadb_rc rc = NADB_OK;

    if (path == NULL) return nadb_fail(err, NADB_NOMEM, "opening " NAME);
    rc = control_moved(c, path, removed, err);
    nadb_free(path);
    return rc;
}

nadb_rc control_moved(control *c, const char *path, bool *moved,
                      nadb_err *err) {
    nadb_stat there;
    nadb_rc rc = c->os->stat_path(path, &there, err);

    *moved = rc == NADB_OK && (there.ino != c->ino || there.dev != c->dev);
    return rc;
}

/* Opens the file, and makes it if `make`. */
static nadb_rc file_open(control *c, const nadb_home *home, bool make,
                         bool *missing, nadb_err *err) {
    unsigned flags = NADB_OPEN_WRITE | (make ? NADB_OPEN_CREATE : 0u);
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = c->os->open(home->dir, NAME, flags, home->file_mode, &c->file, &mine);
    *missing = !make && mine.sys_errno == ENOENT;
    if (*missing) return NADB_OK;
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

/* Takes the open byte, checks that the file is the right one, and takes a slot.
 * REQUIRES: the file is open. */
static nadb_rc attach(control *c, const nadb_home *home, bool make,
                      int64_t timeout_ms, control_state *state, nadb_err *err) {
    bool got = false, removed = false, blank = false;
    nadb_stat st;
    nadb_rc rc =
        c->os->lock_byte_wait(c->file, OPEN_BYTE, timeout_ms, &got, err);

    if (rc != NADB_OK) return rc;
    if (!got)
        return nadb_fail(err, NADB_BUSY,
                         "%s is being opened by another process: try again",
                         c->os->path(c->file));
    rc = c->os->fstat(c->file, &st, err);
    if (rc != NADB_OK) return rc;
    c->dev = st.dev;
    c->ino = st.ino;
    rc = was_removed(c, home, &removed, err);
    if (removed) *state = CONTROL_REMOVED;
    if (rc != NADB_OK || removed) return rc;
    rc = file_check(c, &st, &blank, err);
    if (blank && !make) *state = CONTROL_BLANK;
    if (rc != NADB_OK || (blank && !make)) return rc;
    rc = file_map(c, err);
    if (rc == NADB_OK) rc = judge(c, &st, state, err);
    if (rc == NADB_OK) rc = slot_take(c, *state == CONTROL_REBUILD, err);
    /* the slots of dead openers fill the table */
    if (rc == NADB_BUSY && c->abandoned) {
        c->abandoned = false;
        *state = CONTROL_REBUILD;
        rc = slot_take(c, true, err);
    }
    if (rc == NADB_OK && *state == CONTROL_TRUSTED) slot_enter(c);
    return rc;
}

nadb_rc control_open(control *c, const nadb_home *home, bool make,
                     int64_t timeout_ms, control_state *state, nadb_err *err) {
    bool missing = false;
    nadb_rc rc = NADB_OK;

    memset(c, 0, sizeof *c);
    *state = CONTROL_TRUSTED;
    c->slot = CONTROL_SLOTS; /* none */
    rc = nadb_mutex_init(&c->queue, NADB_RANK_COMMIT, err);
    if (rc != NADB_OK) return rc;
    c->os = home->os;
    rc = file_open(c, home, make, &missing, err);
    if (missing)
        *state = CONTROL_BLANK;
    else if (rc == NADB_OK)
        rc = attach(c, home, make, timeout_ms, state, err);
    if (rc != NADB_OK || *state == CONTROL_REMOVED || *state == CONTROL_BLANK)
        control_close(c);
    return rc;
}

void control_opened(control *c) {
    if (c->file != NULL) c->os->unlock_byte(c->file, OPEN_BYTE);
}

nadb_rc control_open_private(control *c, const nadb_os *os, nadb_err *err) {
    void *p = NULL;
    nadb_rc rc;

    memset(c, 0, sizeof *c);
    c->private_map = true;
    rc = nadb_mutex_init(&c->queue, NADB_RANK_COMMIT, err);
    if (rc != NADB_OK) return rc;
    c->os = os;
    rc = os->map_private(sizeof(control_map), &p, err);
    if (rc != NADB_OK) {
        control_close(c);
        return rc;
    }
    c->map = p;
    return NADB_OK;
}

nadb_rc control_format(control *c, nadb_err *err) {
    control_map *m = c->map;
    uint8_t *bytes = (uint8_t *)m;
    size_t from = offsetof(control_map, visible);
    size_t mid = offsetof(control_map, distrust);
    size_t behind = mid + sizeof m->distrust;
    uint8_t boot[16];
    nadb_stat st;
    nadb_rc rc = NADB_OK;

    if (!c->private_map) {
        rc = c->os->boot_id(boot, err);
        if (rc == NADB_OK) rc = c->os->fstat(c->file, &st, err);
        if (rc != NADB_OK) return rc;
    }
    /* Until the caller has filled it: if this process dies first, the next
     * opener sees a control that must be rebuilt. */
    atomic_store(&m->distrust, 1);
    control_unseal(c);
    if (!c->private_map) head_fill(m, boot, &st);
    memset(bytes + from, 0, mid - from);
    memset(bytes + behind, 0, sizeof *m - behind);
    atomic_store(&m->next_file, 1);
    slot_enter(c);
    return NADB_OK;
}

void control_close(control *c) {
    if (c->map != NULL) {
        if (c->entered && !c->private_map) {
            atomic_store(&c->map->slots[c->slot].pin_gen, 0);
            atomic_store(&c->map->slots[c->slot].used, 0);
        }
        c->os->unmap(c->map, sizeof(control_map));
        c->map = NULL;
    }
    if (c->file != NULL) {
        /* close() alone would leave the lock with a child that was just forked,
         * which has a copy of the descriptor. */
        if (c->slot < CONTROL_SLOTS)
            c->os->unlock_byte(c->file, SLOT_BYTE + c->slot);
        c->os->unlock_byte(c->file, OPEN_BYTE); /* control_last() took it */
    }
    if (c->os != NULL) {
        c->os->close(c->file); /* releases all byte locks */
        nadb_mutex_clear(&c->queue);
    }
    c->file = NULL;
    c->os = NULL;
}

void control_forked(control *c) {
    if (c->file != NULL) c->os->close(c->file);
    c->file = NULL;
}

/* --- the commit lock --- */

/* Takes a word from its owner if that opener is dead. The slot's byte is
 * locked meanwhile: otherwise a new opener could take the slot and then the
 * word, and this call, which has found the slot unused, would take it away. */
static bool word_steal(control *c, _Atomic uint32_t *word, uint32_t seen,
                       uint32_t mine) {
    uint32_t owner = LOCK_OWNER(seen) - 1;
    bool foreign = owner != c->slot && owner < CONTROL_SLOTS;
    bool got = false;

    if (foreign &&
        (c->os->lock_byte(c->file, SLOT_BYTE + owner, &got, NULL) != NADB_OK ||
         !got))
        return false;
    got = atomic_compare_exchange_strong(word, &seen, mine);
    if (foreign) c->os->unlock_byte(c->file, SLOT_BYTE + owner);
    return got;
}

/* One attempt to take the lock; sleeps if it is held. */
static bool word_try(control *c, bool waited, bool *stolen) {
    _Atomic uint32_t *word = &c->map->commit_lock;
    uint32_t mine = c->slot + 1;
    uint32_t seen = 0;

    /* A thread that has slept does not know whether others still sleep. */
    if (waited) mine |= LOCK_WAITERS;
    if (atomic_compare_exchange_strong(word, &seen, mine)) return true;
    if (!(seen & LOCK_WAITERS) &&
        !atomic_compare_exchange_strong(word, &seen, seen | LOCK_WAITERS))
        return false;
    if (!waited) return false;

    seen |= LOCK_WAITERS;
    c->os->futex_wait((uint32_t *)word, seen, PROBE_MS);
    /* `queue` is held, so the holder is no thread of this process. */
    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if (atomic_load(word) == seen && LOCK_OWNER(seen) != 0 &&
        word_steal(c, word, seen, mine)) {
        c->robbed = LOCK_OWNER(seen);
        *stolen = true;
        return true;
    }
    return false;
}

nadb_rc control_lock(control *c, int64_t timeout_ms, bool *stolen,
                     nadb_err *err) {
    int64_t deadline = 0;
    bool waited = false;

    *stolen = false;
    if (timeout_ms >= 0) {
        if (!nadb_trylock(&c->queue) && !nadb_lock_timed(&c->queue, timeout_ms))
            goto busy;
    } else {
        nadb_lock(&c->queue);
    }
    if (c->private_map) return NADB_OK;
    while (!word_try(c, waited, stolen)) {
        if (!waited) deadline = c->os->mono_ns() + timeout_ms * 1000000;
        waited = true;
        if (timeout_ms >= 0 && c->os->mono_ns() >= deadline) {
            nadb_unlock(&c->queue);
            goto busy;
        }
    }
    return NADB_OK;
busy:
    return nadb_fail(err, NADB_BUSY,
                     "the store is locked by another writer for more than "
                     "%lld ms (busy_timeout)",
                     (long long)timeout_ms);
}

void control_unlock(control *c) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if (!c->private_map) {
        _Atomic uint32_t *word = &c->map->commit_lock;

        if (atomic_exchange(word, 0) & LOCK_WAITERS)
            c->os->futex_wake((uint32_t *)word, 1);
    }
    nadb_unlock(&c->queue);
}

void control_give_back(control *c) {
    _Atomic uint32_t *word = &c->map->commit_lock;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    atomic_store(word, c->robbed | LOCK_WAITERS);
    c->os->futex_wake((uint32_t *)word, 1);
    nadb_unlock(&c->queue);
}

/* --- the flusher word --- */

bool control_flusher_try(control *c) {
    _Atomic uint32_t *word = &c->map->flusher;
    uint32_t mine = c->slot + 1;
    uint32_t seen = 0;

    if (c->private_map || atomic_exchange(&c->flushing, true)) return false;
    if (atomic_compare_exchange_strong(word, &seen, mine)) return true;
    if (word_steal(c, word, seen, mine)) return true;
    atomic_store(&c->flushing, false);
    return false;
}

void control_flusher_drop(control *c) {
    NADB_ASSERT(atomic_load(&c->flushing));
    atomic_store(&c->map->flusher, 0);
    atomic_store(&c->flushing, false);
}

/* --- descriptors --- */

void control_read(const control *c, control_now *out) {
    for (;;) {
        uint64_t word = atomic_load(&c->map->visible);
        control_desc *d = &c->map->descs[control_index(word)];

        out->visible = word;
        out->generation = atomic_load(&d->generation);
        out->first_log = atomic_load(&d->first_log);
        out->last_log = atomic_load(&d->last_log);
        out->base_generation = atomic_load(&d->base_generation);
        out->seq = atomic_load(&d->seq);
        /* The descriptor was not replaced meanwhile and is still current. */
        if (atomic_load(&d->generation) == out->generation &&
            control_index(atomic_load(&c->map->visible)) == control_index(word))
            return;
    }
}

void control_publish(control *c, uint64_t first_log, uint64_t last_log,
                     uint64_t base_generation) {
    uint64_t word = atomic_load(&c->map->visible);
    uint32_t next = (control_index(word) + 1) % CONTROL_DESCS;
    uint64_t generation =
        atomic_load(&c->map->descs[control_index(word)].generation) + 1;
    control_desc *d = &c->map->descs[next];

    atomic_store(&d->generation, 0);
    atomic_store(&d->first_log, first_log);
    atomic_store(&d->last_log, last_log);
    atomic_store(&d->base_generation, base_generation);
    atomic_store(&d->seq, control_seq(word));
    atomic_store(&d->generation, generation);
    atomic_store(&c->map->visible, control_seq(word) << 8 | next);
}

/* --- pins --- */

void control_pin(control *c, uint64_t base_generation, uint64_t seq) {
    control_slot *s = &c->map->slots[c->slot];

    NADB_ASSERT(c->slot < CONTROL_SLOTS);
    atomic_store(&s->pin_seq, seq);
    atomic_store(&s->pin_gen, base_generation + 1);
}

void control_unpin(control *c) {
    atomic_store(&c->map->slots[c->slot].pin_gen, 0);
}

/* The minimum of `oldest` and the pins of living openers. */
static uint64_t oldest_pin(control *c, uint64_t oldest, bool seq) {
    for (uint32_t i = 0; i < CONTROL_SLOTS && !c->private_map; i++) {
        control_slot *s = &c->map->slots[i];
        uint64_t gen = atomic_load(&s->pin_gen);
        uint64_t pin;

        if (atomic_load(&s->used) == 0 || gen == 0) continue;
        pin = seq ? atomic_load(&s->pin_seq) : gen - 1;
        if (pin >= oldest) continue;
        if (control_alive(c, i)) oldest = pin;
    }
    return oldest;
}

uint64_t control_oldest_gen(control *c) {
    control_now now;

    control_read(c, &now);
    return oldest_pin(c, now.base_generation, false);
}

uint64_t control_oldest_seq(control *c) {
    control_now now;

    control_read(c, &now);
    return oldest_pin(c, control_seq(now.visible), true);
}
