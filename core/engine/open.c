/* open.c - opens and closes a store.
 *
 * Opening takes the open byte and judges control. It is ours if its checksum,
 * boot id, device, inode and layout are right; the control of a copied
 * directory is not.
 *
 *   control   others have it open   seal      then
 *   ours      yes                   -         attach
 *   ours      no                    right     attach
 *   ours      no                    none      attach and repair
 *   ours      no                    wrong     rebuild
 *   not ours  no                    -         rebuild from MANIFEST and logs
 *   not ours  yes                   -         refuse: another machine or
 *                                             container has it open
 *
 * The last opener flushes if the logs have more than CLOSE_BYTES, because the
 * next opener has to read them; syncs the log and appends a record that says so
 * (engine_witness()); and seals control with a checksum over its state and one
 * over the live indexes. The seal contains the generation of MANIFEST and the
 * end of the logs, so that a copy without the end of its log is refused. The
 * first to take the commit lock breaks the seal. */
#include <errno.h>

#include "engine.h"
#include "recover.h"
#include "workers.h"

static nadb_rc env_next_file(void *ctx, uint64_t *out, nadb_err *err) {
    return engine_next_file(ctx, out, err);
}

static uint64_t env_oldest_seq(void *ctx) {
    return control_oldest_seq(&((engine *)ctx)->ctl);
}

static void choose_traits(engine *s, const nadb_base_ops *base);

static void tend(engine *s) {
    engine_sync_in_background(s);
    atomic_store(&s->drain_due, true);
    engine_freeze_full(s);
    engine_views_trim(s);
    if (engine_has_dead(s)) (void)engine_repair_now(s, 100, NULL);
}

static const engine_duties duties = {tend, engine_work};

/* --- opening --- */

static nadb_rc locks_init(engine *s, nadb_err *err) {
    nadb_rc rc = nadb_mutex_init(&s->version_lock, NADB_RANK_VERSION, err);

    if (rc != NADB_OK) return rc;
    rc = nadb_mutex_init(&s->sync_lock, NADB_RANK_SYNC, err);
    if (rc == NADB_OK) {
        rc = nadb_mutex_init(&s->flush_lock, NADB_RANK_FLUSH, err);
        if (rc == NADB_OK) return NADB_OK;
        nadb_mutex_clear(&s->sync_lock);
    }
    nadb_mutex_clear(&s->version_lock);
    return rc;
}

/* No view is open, so only the list holds references. */
static void versions_drop(engine *s) {
    engine_kept_drop(s);
    while (s->versions != NULL) engine_version_unref(s, s->versions);
}

void engine_free(engine *s) {
    versions_drop(s);
    if (s->base != NULL) s->base_ops->close(s->base);
    control_close(&s->ctl);
    nadb_buf_clear(&s->scratch);
    nadb_free(atomic_load(&s->spare_ticket));
    nadb_mutex_clear(&s->flush_lock);
    nadb_mutex_clear(&s->sync_lock);
    nadb_mutex_clear(&s->version_lock);
    s->os->dir_close(s->home.dir);
    nadb_free(s->db_name);
    nadb_free(s->ns_name);
    nadb_free(s->control_path);
    nadb_free(s->dir);
    nadb_free(s);
}

static nadb_rc base_open(engine *s, bool in_order, nadb_err *err) {
    nadb_base_env env;

    memset(&env, 0, sizeof env);
    env.os = s->os;
    env.options = s->options;
    env.home = &s->home;
    env.dir = s->dir;
    env.read_only = s->options->read_only;
    env.mmap = s->options->mmap;
    env.in_order = in_order;
    env.ctx = s;
    env.next_file = env_next_file;
    env.oldest_seq = env_oldest_seq;
    env.words = s->ctl.map->base_words;
    return s->base_ops->open(&env, &s->base, err);
}

static bool is_denied(const nadb_err *e) {
    return e->sys_errno == EACCES || e->sys_errno == EPERM ||
           e->sys_errno == EROFS;
}

/* Opens control. A read-only opener uses the shared one if it may write to it
 * and nothing needs repair, else one in private memory. `make`: the directory
 * is a store, or may become one. */
static nadb_rc control_choose(engine *s, bool make, control_state *state,
                              nadb_err *err) {
    bool ro = s->options->read_only;
    control_left left;
    nadb_rc rc = control_open(&s->ctl, &s->home, make && !ro,
                              atomic_load(&s->busy_timeout_ms), state, err);

    if (rc == NADB_OK && s->ctl.id.known) s->home.id = s->ctl.id;
    if (!ro || (rc != NADB_OK && !is_denied(err))) return rc;
    if (rc == NADB_OK &&
        (*state == CONTROL_REMOVED || (*state == CONTROL_BLANK && !make) ||
         (*state == CONTROL_TRUSTED && !s->ctl.abandoned)))
        return rc;
    left = s->ctl.left;
    if (rc == NADB_OK) control_close(&s->ctl);
    s->private_memory = true;
    *state = CONTROL_REBUILD;
    rc = control_open_private(&s->ctl, s->os, err);
    s->ctl.left = left;
    return rc;
}

/* --- the seal of the indexes (control.h) --- */

static uint32_t index_crc(const engine_version *v, bool *ok) {
    uint32_t crc = 0;

    *ok = true;
    for (size_t i = 0; i < v->n_logs; i++) {
        crc = memtable_index_crc(v->logs[i], crc, ok);
        *ok = *ok && memtable_tail_ok(v->logs[i]);
    }
    return crc;
}

static nadb_rc check_seal(engine *s, const engine_version *v, nadb_err *err) {
    bool ok = true;

    if (!s->ctl.was_sealed) return NADB_OK;
    if (index_crc(v, &ok) == atomic_load(&s->ctl.map->seal_index) && ok)
        return NADB_OK;
    return nadb_corrupt(err,
                        "an index in %s is not as it was left: opening the "
                        "store for writing builds a new one",
                        s->dir);
}

/* The place behind the last record; 0 if there is none. */
static uint64_t logs_end(const engine_version *v) {
    for (size_t i = 0; i < v->n_logs; i++)
        if (memtable_tail(v->logs[i]) > WAL_HEADER)
            return wal_place(v->logs[i]->log.number, memtable_tail(v->logs[i]));
    return 0;
}

/* Seals the store. REQUIRES: no other opener. */
static void seal(engine *s) {
    engine_version *v = NULL;
    bool ok = false;
    uint32_t crc;

    if (!control_last(&s->ctl) || engine_version_get(s, &v, NULL) != NADB_OK)
        return;
    crc = index_crc(v, &ok);
    if (ok) control_seal(&s->ctl, crc, logs_end(v));
    engine_version_unref(s, v);
}

/* All openers had died. After the repair, tails and lengths must be as living
 * openers leave them; otherwise they are damaged. (Entries are checked when
 * they are read, indexes when they are flushed.) */
static nadb_rc check_abandoned(engine *s, const engine_version *v,
                               nadb_err *err) {
    control_map *map = s->ctl.map;
    uint64_t seq = control_seq(atomic_load(&map->visible));
    bool ok = atomic_load(&map->distrust) == 0 &&
              atomic_load(&map->failed) == 0 && seq >= v->base->seq &&
              atomic_load(&map->next_file) > v->last_log;

    for (size_t i = 0; i < v->n_logs && ok; i++) {
        memtable *m = v->logs[i];

        ok = memtable_is_whole(m) && atomic_load(&m->head->max_seq) <= seq;
    }
    if (ok) return NADB_OK;
    return nadb_corrupt(err,
                        "control or an index in %s is damaged: opening the "
                        "store for writing builds new ones",
                        s->dir);
}

/* Brings the shared state in order. REQUIRES: the open byte. */
static nadb_rc attach(engine *s, control_state state, nadb_err *err) {
    engine_version *v = NULL;
    nadb_rc rc = base_open(s, state == CONTROL_TRUSTED, err);

    if (rc != NADB_OK) return rc;
    if (state == CONTROL_REBUILD) return engine_recover(s, err);
    rc = engine_version_get(s, &v, err);
    if (rc == NADB_OK) rc = check_seal(s, v, err);
    if (rc == NADB_OK && engine_has_dead(s))
        rc = engine_repair_now(s, atomic_load(&s->busy_timeout_ms), err);
    if (rc == NADB_OK && s->ctl.abandoned) rc = check_abandoned(s, v, err);
    engine_version_unref(s, v);
    return rc;
}

/* Attaches. If an index is damaged or missing and no other process uses the
 * store, rebuilds control and indexes. */
static nadb_rc attach_or_rebuild(engine *s, control_state state,
                                 nadb_err *err) {
    nadb_err mine;
    bool rebuild;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = attach(s, state, &mine);
    if (rc == NADB_OK) return NADB_OK;
    rebuild = rc == NADB_CORRUPT ||
              (s->ctl.abandoned && !nadb_err_is_shortage(&mine));
    /* A rebuild needs the base. */
    if (!rebuild || state == CONTROL_REBUILD || s->options->read_only ||
        control_others(&s->ctl) || s->base == NULL) {
        if (err != NULL) *err = mine;
        return rc;
    }
    versions_drop(s);
    if (atomic_load(&s->ctl.map->failed)) s->sync_failed = true;
    atomic_store(&s->unsyncable, false); /* see write_anew() */
    s->ctl.abandoned = false;
    return engine_recover(s, err);
}

/* A sync failed in this boot: the logs' last bytes may be in memory only, and
 * another sync of the same pages would wrongly report success. So they are
 * written into new files. */
static void write_anew(engine *s) {
    if (!s->private_memory && engine_flush(&s->engine, NULL) != NADB_OK)
        atomic_store(&s->ctl.map->failed, 1);
}

void nadb_engine_sweep(nadb_engine *e, bool (*sweep)(void *ctx), void *ctx) {
    engine *s = engine_of(e);

    if (s->private_memory || s->options->read_only) return;
    s->sweep_ctx = ctx;
    atomic_store(&s->sweep, sweep);
}

void nadb_engine_calm(nadb_engine *e) { nadb_workers_remove(engine_of(e)); }

void nadb_engine_tune(nadb_engine *e, const nadb_options *o) {
    engine *s = engine_of(e);

    atomic_store(&s->buffer_bytes, o->buffer_bytes);
    atomic_store(&s->flush_interval_ms, o->flush_interval_ms);
    atomic_store(&s->synchronous, o->synchronous);
    atomic_store(&s->busy_timeout_ms, o->busy_timeout_ms);
}

#define OPEN_TRIES 20

/* A writer must be able to create files. `mine` is the error of opening
 * control. */
static nadb_rc check_writable(engine *s, nadb_rc rc, const nadb_err *mine,
                              nadb_err *err) {
    nadb_stat st;

    if (s->options->read_only || (rc != NADB_OK && !is_denied(mine)) ||
        s->os->dir_writable(s->home.dir)) {
        if (rc != NADB_OK && err != NULL) *err = *mine;
        return rc;
    }
    rc = s->os->dir_stat(s->home.dir, &st, err);
    if (rc != NADB_OK) return rc;
    if (st.links == 0) /* removed meanwhile: find_or_make() tries again */
        return nadb_fail_errno(err, ENOENT, "cannot open %s", s->dir);
    return nadb_fail(err, NADB_READONLY,
                     "%s is not writable: change its permissions, or "
                     "declare the table with mode='ro'",
                     s->dir);
}

/* No control proves that this is a store. Other files may prove it; else a new
 * store is made. */
static nadb_rc adopt_or_make(engine *s, bool there, bool create, bool *created,
                             control_state *state, nadb_err *err) {
    bool ours = false;
    nadb_err mine;
    nadb_rc rc = NADB_OK;

    if (there) rc = engine_dir_prove(s, &ours, err);
    if (rc != NADB_OK) return rc;
    if (!ours && (!create || s->options->read_only))
        return nadb_fail(err, NADB_CANTOPEN,
                         "there is no store in %s: was it moved or removed? A "
                         "copy of the database file does not hold the rows: "
                         "nadb_backup copies them, and so does a copy of that "
                         "directory beside the copy of the file. (DROP TABLE "
                         "works without it)",
                         s->dir);
    *created = !ours;
    if (!ours) rc = engine_dir_make(s, err);
    if (rc != NADB_OK) return rc;
    nadb_err_clear(&mine);
    rc = control_choose(s, true, state, &mine);
    return check_writable(s, rc, &mine, err);
}

/* Finds or makes the directory and opens control. Starts again if another
 * process removes the store in between. */
static nadb_rc find_or_make(engine *s, bool create, bool *created,
                            control_state *state, nadb_err *err) {
    bool again = true;
    nadb_rc rc = NADB_OK;

    for (int i = 0; i < OPEN_TRIES && again; i++) {
        bool there = false;
        nadb_err mine;

        nadb_err_clear(&mine);
        *state = CONTROL_BLANK;
        *created = false;
        rc = engine_dir_find(s, &there, &mine);
        if (rc == NADB_OK && there) {
            nadb_err opening;

            nadb_err_clear(&opening);
            rc = control_choose(s, false, state, &opening);
            if (rc != NADB_OK || *state != CONTROL_BLANK)
                rc = check_writable(s, rc, &opening, &mine);
        }
        if (rc == NADB_OK && *state == CONTROL_BLANK)
            rc = adopt_or_make(s, there, create, created, state, &mine);
        again = rc == NADB_OK ? *state == CONTROL_REMOVED
                              : create && mine.sys_errno == ENOENT;
        if (rc != NADB_OK) *err = mine;
    }
    if (rc == NADB_OK && again)
        rc = nadb_fail(err, NADB_BUSY,
                       "%s is being opened by another process: try again",
                       s->dir);
    return rc;
}

/* Makes the store's name durable, so that a new store exists after a power cut.
 * Folders above may have been made by an opener that died before it synced
 * them. A folder that may not be read was not made by us and is skipped. */
static nadb_rc make_durable(engine *s, bool created, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (created) rc = engine_sync_to(s, UINT64_MAX, err); /* its first log */
    if (rc == NADB_OK) rc = engine_dir_sync(s, err);
    /* the next opener rebuilds */
    if (rc != NADB_OK) atomic_store(&s->ctl.map->distrust, 1);
    return rc;
}

/* REQUIRES: the open byte. */
static nadb_rc start(engine *s, control_state state, bool created,
                     nadb_err *err) {
    bool ours = s->ctl.ours;
    bool durable = ours && atomic_load(&s->ctl.map->distrust) == 0;
    nadb_rc rc;

    s->sync_failed = ours && atomic_load(&s->ctl.map->failed);
    engine_keep_set(s, nadb_option_keep(s->options), !control_others(&s->ctl));
    rc = attach_or_rebuild(s, state, err);
    if (rc == NADB_OK && state == CONTROL_REBUILD && !durable &&
        !s->private_memory)
        rc = make_durable(s, created, err);
    if (rc == NADB_OK && s->sync_failed && !control_others(&s->ctl))
        write_anew(s);
    return rc;
}

nadb_rc nadb_engine_open(const nadb_options *options, const nadb_base_ops *base,
                         bool create, bool *created, nadb_engine **out,
                         nadb_err *err) {
    engine *s = nadb_calloc(1, sizeof *s);
    control_state state = CONTROL_REBUILD;
    nadb_rc rc;

    *out = NULL;
    *created = false;
    if (s == NULL)
        return nadb_fail(err, NADB_NOMEM, "opening %s", options->path);
    choose_traits(s, base);
    s->duties = &duties;
    s->repair = engine_repair;
    s->os = nadb_os_get();
    s->home.os = s->os;
    s->options = options;
    s->base_ops = base;
    nadb_engine_tune(&s->engine, options);
    rc = locks_init(s, err);
    if (rc != NADB_OK) {
        nadb_free(s);
        return rc;
    }
    rc = engine_dir_name(s, err);
    if (rc == NADB_OK) rc = find_or_make(s, create, created, &state, err);
    if (rc == NADB_OK) {
        rc = start(s, state, *created, err);
        if (rc == NADB_OK) engine_found_by_file(s);
        control_opened(&s->ctl);
    }
    /* A private reader has no work for the background threads: engine_wake()
     * must not start them. A store that was closed in good order has nothing to
     * sync or repair, so they start later. */
    if (rc == NADB_OK && s->private_memory) atomic_store(&s->awake, true);
    if (rc == NADB_OK) {
        bool pending = engine_pending(s);

        /* What an earlier opener could not send. */
        if (pending) atomic_store(&s->drain_due, true);
        if ((!s->ctl.was_sealed && !s->ctl.abandoned) || pending)
            rc = engine_wake(s, err);
    }
    if (rc == NADB_OK && engine_keeps(s)) engine_freeze_full(s);
    if (rc != NADB_OK) {
        engine_free(s);
        return rc;
    }
    *out = &s->engine;
    return NADB_OK;
}

const uint8_t *nadb_engine_id(nadb_engine *e) {
    return engine_of(e)->home.id.bytes;
}

/* --- closing --- */

static void engine_close(nadb_engine *e) {
    engine *s = engine_of(e);

    if (s->forked) return; /* inherited through fork(): never touched */
    nadb_workers_remove(s);
    if (!s->private_memory && !control_sealed(&s->ctl)) {
        if (!s->options->read_only) {
            if (control_has_doubts(s->ctl.map)) engine_void_retry(s);
            if (!control_others(&s->ctl)) {
                engine_flush_at_close(s);
                engine_leave(s);
            }
            engine_sync_in_background(s);
            if (atomic_load(&s->synchronous) != NADB_SYNC_OFF)
                engine_witness(s);
        }
        seal(s);
    }
    engine_free(s);
}

const nadb_home *nadb_engine_home(nadb_engine *e) {
    return &engine_of(e)->home;
}

void nadb_engine_watch(nadb_engine *e, nadb_monitor *m) {
    atomic_store(&engine_of(e)->monitor, m);
}

void nadb_engine_forked(nadb_engine *e) {
    engine *s = engine_of(e);

    s->forked = true;
    control_forked(&s->ctl);
}

/* --- the engine --- */

#define OPS                                                                    \
    .close = engine_close, .unclaim = engine_unclaim,                          \
    .prepare = engine_prepare, .commit = engine_commit,                        \
    .rollback = engine_rollback, .scratch = engine_scratch,                    \
    .flush = engine_flush, .compact = engine_compact,                          \
    .check = engine_check_bytes, .stats = engine_stats,                        \
    .totals = engine_totals

static const nadb_engine_ops engine_ops = {
    OPS,
    .claim = engine_claim,
    .view_open = engine_view_open,
    .view_close = engine_view_close,
    .view_refresh = engine_view_refresh,
    .view_rest = engine_view_rest,
    .indexed = engine_indexed,
    .get = engine_get,
    .iter = engine_iter,
    .settle = engine_settle,
    .align = engine_align,
    .moved = engine_moved,
    .stamped = engine_stamped,
    .abandon = engine_abandon,
    .keep = engine_keep_raise,
    .changes = engine_changes,
    .wait = engine_wait,
};

static const nadb_engine_ops remote_ops = {
    OPS,
    .claim = engine_remote_claim,
    .view_open = engine_remote_view_open,
    .view_close = engine_remote_view_close,
    .view_refresh = engine_remote_view_refresh,
    .view_rest = engine_remote_view_rest,
    .get = engine_remote_get,
    .want = engine_remote_want,
    .iter = engine_remote_iter,
    .match = engine_remote_match,
    .sweep = engine_remote_sweep,
};

/* --- bases in files, and on a server --- */

static bool never_stale(nadb_base *b) {
    (void)b;
    return false;
}

static nadb_rc nothing_to_do(nadb_base *b, nadb_err *err) {
    (void)b;
    (void)err;
    return NADB_OK;
}

static void nothing_to_leave(nadb_base *b) { (void)b; }

/* What the engine calls over every base. */
static const nadb_remote_ops no_remote = {
    .is_stale = never_stale,
    .flushed = nothing_to_do,
    .leave = nothing_to_leave,
    .destroy = nothing_to_do,
};

static const engine_traits over_files = {
    .immutable = true,
    .counts = true,
    .keeps_changes = true,
    .keeps_spare = true,
};

static const engine_traits over_server = {
    .drains = true,
    .may_come_back = true,
    .ready = engine_remote_ready,
};

static void choose_traits(engine *s, const nadb_base_ops *base) {
    bool files = base->remote == NULL;

    s->traits = files ? &over_files : &over_server;
    s->remote = files ? &no_remote : base->remote;
    s->engine.ops = files ? &engine_ops : &remote_ops;
}
