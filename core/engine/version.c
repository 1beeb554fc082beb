/* version.c - versions: the memtables and the base state that are current; and
 * views.
 *
 * A version is a process's open handle on one descriptor of control: its
 * memtables attached, its tables open. It is made when it is first needed,
 * shares what it can with the version before it, and is freed with its last
 * view. A view is a version and a sequence number that were read from one word
 * of control, so they belong together.
 *
 * A session keeps its view between statements, so that the next statement only
 * has to compare words. The background thread may take the version from an idle
 * view, so an idle connection does not keep old files. A store that is not
 * awake has no background thread: its first statement drops its pin at its end,
 * and the second starts the threads. */
#include "../util/assert.h"
#include "../util/merge.h"
#include "engine.h"
#include "workers.h"

static void version_free(engine *s, engine_version *v) {
    for (size_t i = 0; i < v->n_logs; i++) memtable_unref(v->logs[i]);
    if (v->base != NULL) s->base_ops->version_unref(v->base);
    nadb_free(v);
}

/* Publishes what this process still reads. REQUIRES: version_lock. */
static void pin(engine *s) {
    uint64_t gen = UINT64_MAX;
    uint64_t seq = UINT64_MAX;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    if (s->forked) return; /* the slot is the parent's */
    for (engine_version *v = s->versions; v != NULL; v = v->next) {
        if (v->base->generation < gen) gen = v->base->generation;
        if (v->seq < seq) seq = v->seq;
    }
    if (gen == UINT64_MAX)
        control_unpin(&s->ctl);
    else
        control_pin(&s->ctl, gen, seq);
}

/* Pins again what is open. REQUIRES: version_lock. */
static void pin_again(engine *s) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    if (!s->unpinned) return;
    s->unpinned = false;
    pin(s);
}

static void unref_locked(engine *s, engine_version *v) {
    engine_version **p = &s->versions;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    NADB_ASSERT(atomic_load(&v->refs) > 0);
    if (atomic_fetch_sub(&v->refs, 1) != 1) return;
    while (*p != v) p = &(*p)->next;
    *p = v->next;
    version_free(s, v);
    if (!s->unpinned) pin(s);
}

void engine_version_unref(engine *s, engine_version *v) {
    if (v == NULL) return;
    nadb_lock(&s->version_lock);
    unref_locked(s, v);
    nadb_unlock(&s->version_lock);
}

static nadb_rc log_take(engine *s, uint64_t number, memtable **out,
                        nadb_err *err) {
    memtable *m = s->versions == NULL ? NULL : engine_log(s->versions, number);

    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    if (m != NULL) {
        *out = memtable_ref(m);
        return NADB_OK;
    }
    return memtable_attach(out, &s->home, number, err);
}

/* Opens the logs from the last to the first; each names the one before it. */
static nadb_rc logs_take(engine *s, const control_now *now, engine_version **v,
                         nadb_err *err) {
    uint64_t number = now->last_log;

    while (number >= now->first_log && number != 0) {
        engine_version *old = *v;
        memtable *m = NULL;
        nadb_rc rc = log_take(s, number, &m, err);

        if (rc != NADB_OK) return rc;
        if (old->n_logs % 8 == 0) {
            engine_version *wider = nadb_calloc(
                1, sizeof *wider + (old->n_logs + 8) * sizeof(memtable *));

            if (wider == NULL) {
                memtable_unref(m);
                return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
            }
            memcpy(wider, old, sizeof *old + old->n_logs * sizeof(memtable *));
            nadb_free(old);
            *v = old = wider;
        }
        old->logs[old->n_logs++] = m;
        if (m->log.prev_log >= number) break;
        number = m->log.prev_log;
    }
    if ((*v)->n_logs == 0)
        return nadb_corrupt(err, "%s/control is damaged: it names no log",
                            s->dir);
    return NADB_OK;
}

static nadb_rc base_take(engine *s, const control_now *now,
                         nadb_base_version **out, nadb_err *err) {
    engine_version *cur = s->versions;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    if (cur != NULL && cur->base->generation == now->base_generation) {
        s->base_ops->version_ref(cur->base);
        *out = cur->base;
        return NADB_OK;
    }
    return s->base_ops->version_open(s->base, out, err);
}

void engine_base_publish(engine *s, const nadb_base_version *base) {
    uint64_t first = base->first_log;
    control_now now;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    NADB_ASSERT(atomic_load(&s->ctl.flushing));
    control_read(&s->ctl, &now);
    if (base->generation <= now.base_generation) return;
    /* After a recovery that found no logs, MANIFEST still names a log that is
     * gone. */
    if (first < now.first_log) first = now.first_log;
    control_publish(&s->ctl, first, now.last_log, base->generation);
}

/* MANIFEST is ahead of control. Waits for its flusher to publish it; if the
 * flusher died, publishes it here. */
static nadb_rc wait_for_publisher(engine *s, nadb_err *err) {
    _Atomic uint32_t *word = &s->ctl.map->flush_events;
    uint32_t seen = atomic_load(word);
    nadb_base_version *base = NULL;
    nadb_rc rc;

    if (s->private_memory) return NADB_OK;
    s->os->futex_wait((uint32_t *)word, seen, 1);
    if (!control_flusher_try(&s->ctl)) return NADB_OK;
    rc = s->base_ops->version_open(s->base, &base, err);
    /* The name MANIFEST may not be durable yet. */
    if (rc == NADB_OK) rc = s->os->dir_sync(s->home.dir, err);
    if (rc == NADB_OK &&
        engine_lock(s, atomic_load(&s->busy_timeout_ms), NULL) == NADB_OK) {
        engine_base_publish(s, base);
        engine_unlock(s);
    }
    if (base != NULL) s->base_ops->version_unref(base);
    control_flusher_drop(&s->ctl);
    return rc;
}

static bool is_current(const engine *s, const control_now *now) {
    control_now again;

    control_read(&s->ctl, &again);
    return again.generation == now->generation;
}

/* Makes the version of control's present descriptor. *out is NULL if control
 * has changed meanwhile, or is about to. REQUIRES: version_lock. */
static nadb_rc version_make(engine *s, engine_version **out, nadb_err *err) {
    engine_version *v = nadb_calloc(1, sizeof *v);
    control_now now;
    nadb_rc rc;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    *out = NULL;
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
    control_read(&s->ctl, &now);
    /* Pinned first, so that the files are not unlinked while they are
     * opened. */
    if (s->versions == NULL) control_pin(&s->ctl, now.base_generation, now.seq);
    atomic_store(&v->refs, 1);
    v->generation = now.generation;
    v->index = control_index(now.visible);
    v->seq = now.seq;
    v->first_log = now.first_log;
    v->last_log = now.last_log;
    rc = base_take(s, &now, &v->base, err);
    /* MANIFEST is renamed before control names its generation, so an older one
     * is damage. */
    if (rc == NADB_OK && v->base->generation < now.base_generation)
        rc = nadb_fail(err, NADB_CANTOPEN, ENGINE_MANIFEST_OLD, s->dir);
    if (rc == NADB_OK) rc = logs_take(s, &now, &v, err);
    if (rc == NADB_OK && v->base->generation == now.base_generation) {
        *out = v;
        return NADB_OK;
    }
    version_free(s, v);
    return is_current(s, &now) ? rc : NADB_OK;
}

/* --- the version that is kept for readers of an older snapshot --- */

/* REQUIRES: version_lock. */
static void kept_drop(engine *s) {
    engine_version *v = s->kept;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    s->kept = NULL;
    if (v != NULL) unref_locked(s, v);
}

/* Keeps `old`, which a flush or compaction has replaced. Without stamps no
 * reader ever steps back, so it is not kept. */
static void kept_set(engine *s, engine_version *old) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    if (atomic_load(&s->ctl.map->stamp_number) == 0 || s->private_memory)
        return;
    kept_drop(s);
    atomic_fetch_add(&old->refs, 1);
    s->kept = old;
    s->kept_until_ns =
        s->os->mono_ns() + atomic_load(&s->busy_timeout_ms) * 1000000;
}

void engine_kept_drop(engine *s) {
    nadb_lock(&s->version_lock);
    kept_drop(s);
    nadb_unlock(&s->version_lock);
}

/* True if the version has all commits up to `seq`, and its base none after it.
 * REQUIRES: version_lock. */
static bool version_covers(const engine *s, const engine_version *v,
                           uint64_t seq) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    if (v->base->seq > seq) return false;
    if (v == s->versions) return true;
    for (const engine_version *w = s->versions; w != v; w = w->next)
        for (size_t i = 0; i < w->n_logs; i++)
            if (w->logs[i]->log.prev_log == v->last_log)
                return w->logs[i]->log.base_seq >= seq;
    /* Same logs over another base: fine. Otherwise it is too old. */
    return v->last_log == s->versions->last_log;
}

/* Makes a new version the current one. REQUIRES: version_lock. */
static void version_enter(engine *s, engine_version *v) {
    engine_version *old = s->versions;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_VERSION));
    NADB_ASSERT(v->logs[0]->log.number == v->last_log); /* the active one */
    v->next = old;
    s->versions = v;
    if (old != NULL && old->base->generation != v->base->generation)
        kept_set(s, old);
    if (old != NULL) unref_locked(s, old);
    pin(s);
}

static bool version_fresh(const engine *s) {
    const engine_version *v = s->versions;
    uint64_t word = atomic_load(&s->ctl.map->visible);

    return v != NULL && control_index(word) == v->index &&
           atomic_load(&s->ctl.map->descs[v->index].generation) ==
               v->generation;
}

/* True once busy_timeout has passed since the first call. */
static bool is_late(const engine *s, int64_t *deadline) {
    int64_t now = s->os->mono_ns();
    int64_t ms = atomic_load(&s->busy_timeout_ms);

    if (ms < ENGINE_LEAST_MS) ms = ENGINE_LEAST_MS;
    if (*deadline == 0) *deadline = now + ms * 1000000;
    return now > *deadline || s->private_memory;
}

static nadb_rc not_replaced(engine *s, nadb_err *err) {
    bool busy = !s->private_memory && !control_flusher_try(&s->ctl);

    if (busy)
        return nadb_fail(err, NADB_BUSY,
                         "the state of %s is being replaced by another "
                         "process for longer than busy_timeout",
                         s->dir);
    if (!s->private_memory) control_flusher_drop(&s->ctl);
    return nadb_corrupt(err,
                        "MANIFEST in %s does not belong to this state of the "
                        "store: was it replaced while the store was open?",
                        s->dir);
}

nadb_rc engine_version_get(engine *s, engine_version **out, nadb_err *err) {
    int64_t deadline = 0;

    NADB_ASSERT(!nadb_rank_held(NADB_RANK_COMMIT));
    *out = NULL;
    for (;;) {
        engine_version *v = NULL;
        nadb_rc rc = NADB_OK;

        nadb_lock(&s->version_lock);
        pin_again(s);
        if (!version_fresh(s)) {
            rc = version_make(s, &v, err);
            if (v != NULL) version_enter(s, v);
        }
        if (rc == NADB_OK && version_fresh(s)) {
            *out = s->versions;
            atomic_fetch_add(&s->versions->refs, 1);
        }
        nadb_unlock(&s->version_lock);
        if (rc != NADB_OK || *out != NULL) return rc;
        if (is_late(s, &deadline)) return not_replaced(s, err);
        if (v == NULL) rc = wait_for_publisher(s, err);
        if (rc != NADB_OK) return rc;
    }
}

nadb_rc engine_version_adopt(engine *s, const engine_version *from, memtable *m,
                             engine_version **out, nadb_err *err) {
    size_t n = (from->n_logs + 8) / 8 * 8;
    engine_version *v = nadb_calloc(1, sizeof *v + n * sizeof(memtable *));
    control_now now;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    NADB_ASSERT(from->n_logs == 0 ||
                m->log.prev_log == from->logs[0]->log.number);
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
    atomic_store(&v->refs, 2); /* one for the list, one for the caller */
    v->base = from->base;
    s->base_ops->version_ref(v->base);
    v->logs[v->n_logs++] = m;
    for (size_t i = 0; i < from->n_logs; i++)
        v->logs[v->n_logs++] = memtable_ref(from->logs[i]);
    v->first_log = from->first_log;
    v->last_log = m->log.number;
    control_publish(&s->ctl, v->first_log, v->last_log, v->base->generation);
    control_read(&s->ctl, &now);
    v->generation = now.generation;
    v->index = control_index(now.visible);
    v->seq = now.seq;
    nadb_lock(&s->version_lock);
    version_enter(s, v);
    nadb_unlock(&s->version_lock);
    *out = v;
    return NADB_OK;
}

/* --- views --- */

nadb_rc engine_view_open(nadb_engine *e, nadb_view **out, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = nadb_calloc(1, sizeof *v);
    nadb_rc rc;

    *out = NULL;
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "reading %s", s->dir);
    nadb_lock(&s->version_lock);
    v->next = s->views;
    v->link = &s->views;
    if (v->next != NULL) v->next->link = &v->next;
    s->views = v;
    nadb_unlock(&s->version_lock);
    rc = engine_view_refresh(e, &v->base, err);
    if (rc == NADB_OK)
        *out = &v->base;
    else
        engine_view_close(e, &v->base);
    return rc;
}

/* Marks the view as used, whatever the background thread is doing with it. */
static void view_take(engine_view *v) {
    for (;;) {
        uint32_t seen = VIEW_RESTING;

        if (atomic_load_explicit(&v->state, memory_order_relaxed) == VIEW_USED)
            return;
        if (atomic_compare_exchange_weak(&v->state, &seen, VIEW_USED)) return;
    }
}

void engine_view_close(nadb_engine *e, nadb_view *view) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;

    if (v == NULL) return;
    view_take(v);
    nadb_lock(&s->version_lock);
    *v->link = v->next;
    if (v->next != NULL) v->next->link = v->link;
    if (v->version != NULL) unref_locked(s, v->version);
    nadb_unlock(&s->version_lock);
    nadb_buf_clear(&v->scratch);
    nadb_free(v);
}

/* While the store is not awake: drops the pin if no view is in use, so that
 * other processes may remove replaced tables. */
static void unpin(engine *s) {
    engine_view *v;

    atomic_store(&s->has_read, true); /* set before the views are examined */
    nadb_lock(&s->version_lock);
    for (v = s->views; v != NULL && atomic_load(&v->state) != VIEW_USED;)
        v = v->next;
    if (v == NULL && !atomic_load(&s->awake)) {
        s->unpinned = true;
        control_unpin(&s->ctl);
    }
    nadb_unlock(&s->version_lock);
}

nadb_rc engine_wake(engine *s, nadb_err *err) {
    nadb_rc rc;

    if (atomic_load(&s->awake)) return NADB_OK;
    rc = nadb_workers_add(s, err);
    nadb_lock(&s->version_lock);
    pin_again(s); /* also without threads a reader needs a pin */
    if (rc == NADB_OK) atomic_store(&s->awake, true);
    nadb_unlock(&s->version_lock);
    return rc;
}

void engine_view_rest(nadb_engine *e, nadb_view *view) {
    engine *s = engine_of(e);

    NADB_ASSERT(atomic_load(&((engine_view *)view)->state) == VIEW_USED);
    atomic_store_explicit(&((engine_view *)view)->state, VIEW_RESTING,
                          memory_order_release);
    if (!atomic_load_explicit(&s->awake, memory_order_relaxed) && !s->forked)
        unpin(s);
}

static void floor_set(engine_view *v) {
    uint64_t floor = 0;

    for (size_t i = 0; i < v->version->n_logs && floor == 0; i++)
        floor = memtable_floor(v->version->logs[i], v->base.seq);
    v->floor = floor;
}

void engine_view_init(engine_view *v, engine_version *version, uint64_t seq) {
    memset(v, 0, sizeof *v);
    v->base.seq = seq;
    v->version = version;
    floor_set(v);
}

bool engine_indexed(nadb_engine *e, nadb_view *view) {
    const engine_view *v = (const engine_view *)view;

    (void)e;
    for (size_t i = 0; i < v->version->n_logs; i++)
        if (memtable_indexed(v->version->logs[i])) return true;
    return v->floor == 0 && v->version->base->indexed;
}

nadb_rc engine_view_refresh(nadb_engine *e, nadb_view *view, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    control_map *map = s->ctl.map;
    nadb_rc rc;

    view_take(v);
    if (!atomic_load_explicit(&s->awake, memory_order_relaxed) &&
        atomic_load(&s->has_read))
        rc = engine_wake(s, NULL); /* after an error it is tried again */
    for (;;) {
        uint64_t word =
            atomic_load_explicit(&map->visible, memory_order_acquire);

        if (v->version != NULL && control_index(word) == v->version->index &&
            atomic_load_explicit(&map->descs[v->version->index].generation,
                                 memory_order_acquire) ==
                v->version->generation) {
            v->base.seq = control_seq(word);
            floor_set(v);
            return NADB_OK;
        }
        engine_version_unref(s, v->version);
        v->version = NULL;
        rc = engine_version_get(s, &v->version, err);
        if (rc != NADB_OK) return rc;
    }
}

bool engine_view_back(engine *s, engine_view *v, uint64_t seq) {
    engine_version *w;

    if (seq >= v->base.seq) return true;
    nadb_lock(&s->version_lock);
    for (w = s->versions; w != NULL && !version_covers(s, w, seq);) w = w->next;
    if (w != NULL && w != v->version) {
        engine_version *old = v->version;

        atomic_fetch_add(&w->refs, 1);
        v->version = w;
        unref_locked(s, old);
    }
    nadb_unlock(&s->version_lock);
    if (w == NULL) return false;
    v->base.seq = seq;
    floor_set(v);
    return true;
}

void engine_views_trim(engine *s) {
    nadb_lock(&s->version_lock);
    if (s->kept != NULL && s->os->mono_ns() > s->kept_until_ns) kept_drop(s);
    for (engine_view *v = s->views; v != NULL; v = v->next) {
        uint32_t seen = VIEW_RESTING;
        engine_version *old;

        /* v->version may only be read by the thread that has set the state. */
        if (!atomic_compare_exchange_strong(&v->state, &seen, VIEW_STOLEN))
            continue;
        old = v->version;
        if (old != NULL && old != s->versions) {
            v->version = NULL;
            unref_locked(s, old);
        }
        NADB_ASSERT(atomic_load(&v->state) == VIEW_STOLEN);
        atomic_store(&v->state, VIEW_RESTING);
    }
    nadb_unlock(&s->version_lock);
}

/* --- reading through a view --- */

/* Searches the memtables, newest first, then the base. Takes no lock, and makes
 * no system call once the pages are mapped. */
nadb_rc engine_get_recent(engine_view *v, nadb_slice key, nadb_entry *out,
                          bool *found, nadb_err *err) {
    engine_version *ver = v->version;
    memtable_key k = memtable_key_of(key);
    nadb_rc rc = NADB_OK;

    NADB_ASSERT(ver != NULL); /* the version of a used view is not released */
    *found = false;
    for (size_t i = 0; i < ver->n_logs && rc == NADB_OK && !*found; i++) {
        if (memtable_is_empty(ver->logs[i])) continue;
        rc = memtable_get(ver->logs[i], &k, v->base.seq, v->floor, out, found,
                          err);
    }
    return rc;
}

nadb_rc engine_get(nadb_engine *e, nadb_view *view, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;
    nadb_rc rc = engine_get_recent(v, key, out, found, err);

    /* A clear in a live log hides the whole base, which is older than all
     * logs. */
    if (rc == NADB_OK && !*found && v->floor == 0)
        rc = s->base_ops->get(v->version->base, key, &v->scratch, out, found,
                              err);
    if (*found && (out->flags & NADB_ENTRY_TOMBSTONE)) *found = false;
    return rc;
}

static bool has_changes(const engine_version *ver) {
    size_t i = 0;

    while (i < ver->n_logs && memtable_is_empty(ver->logs[i])) i++;
    return i < ver->n_logs;
}

nadb_rc engine_iter_logs(engine *s, const engine_view *v,
                         const nadb_range *range, bool changes, nadb_iter **out,
                         nadb_err *err) {
    engine_version *ver = v->version;
    nadb_iter **sources = nadb_calloc(ver->n_logs + 1, sizeof *sources);
    size_t n = 0;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (sources == NULL)
        return nadb_fail(err, NADB_NOMEM, "reading %s", s->dir);
    for (size_t i = 0; i < ver->n_logs && rc == NADB_OK; i++) {
        if (memtable_is_empty(ver->logs[i])) continue;
        rc = memtable_iter(ver->logs[i], v->base.seq, v->floor, range,
                           &sources[n], err);
        if (rc == NADB_OK) n++;
    }
    if (rc == NADB_OK && v->floor == 0 && !changes) {
        rc = s->base_ops->iter(ver->base, range, &sources[n], err);
        if (rc == NADB_OK) n++;
    }
    if (rc == NADB_OK) {
        rc = nadb_merge(sources, n, range, changes, out, err);
    } else {
        while (n > 0) nadb_iter_free(sources[--n]);
    }
    nadb_free(sources);
    return rc;
}

nadb_rc engine_iter(nadb_engine *e, nadb_view *view, const nadb_range *range,
                    nadb_iter **out, nadb_err *err) {
    engine *s = engine_of(e);
    engine_view *v = (engine_view *)view;

    *out = NULL;
    /* Every process that opens a store may begin a log, and many stay empty. */
    if (v->floor == 0 && !has_changes(v->version))
        return s->base_ops->iter(v->version->base, range, out, err);
    return engine_iter_logs(s, v, range, false, out, err);
}
