/* flush.c - new logs, flush and compaction.
 *
 * A flush passes the frozen memtables to the base, which syncs its files and
 * renames MANIFEST; then publish() puts the new state into control; then the
 * logs are unlinked. A crash after any step leaves a store that recovers,
 * because the base contains all logs below MANIFEST's first log. Readers keep
 * the logs of their version mapped, so unlinking needs no care for them. */
#include <errno.h>

#include "../util/assert.h"
#include "../util/job.h"
#include "../util/merge.h"
#include "engine.h"
#include "workers.h"

/* What the last opener leaves in the logs, since the next one must read it; a
 * larger rest is flushed at close. */
#define CLOSE_BYTES ((uint64_t)256 << 10)

/* How often a waiting thread checks `stop`. */
#define STOP_MS 20

/* --- the log --- */

/* Makes a log and its index. A file that already has its name, left by a crash
 * or put there by another program, is skipped with its number. */
static nadb_rc log_make(engine *s, wal_birth *birth, memtable **out,
                        nadb_err *err) {
    nadb_err mine;
    nadb_rc rc;

    for (int tries = 0; tries < NADB_NAME_TRIES; tries++) {
        nadb_err_clear(&mine);
        rc = engine_next_file(s, &birth->number, &mine);
        if (rc == NADB_OK) rc = memtable_create(out, &s->home, birth, &mine);
        if (mine.sys_errno != EEXIST) break;
    }
    if (rc == NADB_OK) return rc;
    if (err != NULL) *err = mine;
    engine_unused_file(s, birth->number);
    return rc;
}

nadb_rc engine_too_big(uint64_t bytes, nadb_err *err) {
    return nadb_fail(err, NADB_TOOBIG,
                     "a transaction of %llu bytes is more than a log can hold: "
                     "commit in parts",
                     (unsigned long long)bytes);
}

nadb_rc engine_rotate(engine *s, const engine_version *from, uint64_t need,
                      engine_version **out, nadb_err *err) {
    control_map *map = s->ctl.map;
    memtable *last = from->n_logs > 0 ? from->logs[0] : NULL;
    memtable *m = NULL;
    wal_birth birth;
    nadb_rc rc;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_COMMIT));
    if (last != NULL && !memtable_tail_ok(last)) {
        atomic_store(&map->distrust, 1);
        return memtable_damaged(last, err);
    }
    memset(&birth, 0, sizeof birth);
    birth.capacity = atomic_load(&s->buffer_bytes);
    if (birth.capacity < need + WAL_HEADER) birth.capacity = need + WAL_HEADER;
    if (birth.capacity >= (uint64_t)UINT32_MAX * 8)
        return engine_too_big(need, err);
    birth.base_seq = control_seq(atomic_load(&map->visible));
    birth.decided = atomic_load(&map->stamp_number);
    birth.keeps = engine_keeps(s);
    if (last != NULL) {
        birth.prev_log = last->log.number;
        birth.prev_end = memtable_tail(last);
        birth.cut = atomic_load(&last->head->closed) != 0;
    }
    rc = log_make(s, &birth, &m, err);
    if (rc != NADB_OK) return rc;
    rc = engine_version_adopt(s, from, m, out, err);
    if (rc != NADB_OK) {
        engine_unlink_log(s, birth.number);
        memtable_unref(m);
        return rc;
    }
    nadb_workers_kick(s);
    return NADB_OK;
}

/* --- the flusher --- */

/* Number of logs, from the oldest, that can be flushed: frozen, and without a
 * record in doubt. */
static size_t flushable(engine *s, const engine_version *v) {
    size_t n = 0;

    for (size_t i = v->n_logs; i > 1; i--, n++) {
        uint64_t number = v->logs[i - 1]->log.number;

        if (!engine_drained(s, v->logs[i - 1])) return n;
        if (!control_has_doubts(s->ctl.map)) continue;
        for (uint32_t d = 0; d < CONTROL_DOUBTS; d++)
            if (control_in_doubt(&s->ctl.map->doubts[d]) &&
                atomic_load(&s->ctl.map->doubts[d].log) == number)
                return n;
    }
    return n;
}

/* Fills `req` for the oldest `n` logs of v, never the active one. */
static nadb_rc flush_request(engine *s, const engine_version *v, size_t n,
                             nadb_flush_req *req, nadb_totals *totals,
                             nadb_err *err) {
    nadb_iter **sources;
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    uint64_t floor = 0;
    size_t made = 0;
    nadb_rc rc = NADB_OK;

    NADB_ASSERT(n > 0 && n < v->n_logs);
    memset(req, 0, sizeof *req);
    req->seq = v->base->seq;
    req->first_log = v->logs[v->n_logs - n - 1]->log.number;
    for (size_t i = v->n_logs - n; i < v->n_logs; i++) {
        memtable *m = v->logs[i];
        uint64_t cleared = memtable_floor(m, UINT64_MAX);
        uint64_t max_seq = atomic_load(&m->head->max_seq);

        if (cleared > floor) floor = cleared;
        if (max_seq > req->seq) req->seq = max_seq;
        if (cleared + 1 > req->seq && cleared > 0) req->seq = cleared + 1;
        req->bytes += memtable_tail(m);
        req->count += atomic_load(&m->head->nodes);
    }
    req->clear_seq = floor > v->base->clear_seq ? floor : v->base->clear_seq;
    if (s->traits->drains) return NADB_OK;
    sources = nadb_calloc(n, sizeof *sources);
    if (sources == NULL)
        return nadb_fail(err, NADB_NOMEM, "flushing %s", s->dir);
    for (size_t i = v->n_logs - n; i < v->n_logs && rc == NADB_OK; i++) {
        /* A damaged index could hide entries, which would be lost with the
         * log. */
        rc = memtable_check_links(v->logs[i], err);
        if (rc == NADB_CORRUPT) atomic_store(&s->ctl.map->distrust, 1);
        if (rc == NADB_OK)
            rc = memtable_iter(v->logs[i], UINT64_MAX, floor, &all,
                               &sources[made], err);
        if (rc == NADB_OK) made++;
    }
    if (rc == NADB_OK) {
        rc = nadb_merge(sources, made, NULL, true, &req->entries, err);
    } else {
        while (made > 0) nadb_iter_free(sources[--made]);
    }
    nadb_free(sources);
    if (rc == NADB_OK)
        rc = engine_counting(s, v->base, req->clear_seq, totals, req->entries,
                             &req->entries, err);
    req->totals = totals;
    return rc;
}

/* Makes a new state of the base current in control. */
static nadb_rc publish(engine *s, const nadb_base_version *base,
                       nadb_err *err) {
    control_map *map = s->ctl.map;
    nadb_rc rc = engine_lock(s, atomic_load(&s->busy_timeout_ms), err);

    if (rc != NADB_OK) return rc;
    engine_base_publish(s, base);
    engine_unlock(s);
    engine_synced_raise(map, wal_place(base->first_log, 0));
    atomic_store(&map->last_flush_ms, (uint64_t)s->os->now_ms());
    atomic_fetch_add(&map->flush_events, 1);
    s->os->futex_wake((uint32_t *)&map->flush_events, 1 << 20);
    return NADB_OK;
}

/* Unlinks the logs of v that the base contains. */
static void unlink_logs(engine *s, const engine_version *v,
                        uint64_t first_log) {
    if (!s->traits->immutable) return; /* conflict checks still need them */
    for (size_t i = 0; i < v->n_logs; i++) {
        if (v->logs[i]->log.number >= first_log) continue;
        /* A log that cannot be unlinked now is removed by recovery, because it
         * is below MANIFEST's first log. */
        engine_unlink_log(s, v->logs[i]->log.number);
    }
}

/* Publishes a MANIFEST that is newer than control, after a flusher that died or
 * failed between the two. The name may not be durable yet, so the directory is
 * synced first. */
static nadb_rc catch_up(engine *s, nadb_err *err) {
    nadb_base_version *base = NULL;
    engine_version *v;
    control_now now;
    nadb_rc rc = s->base_ops->version_open(s->base, &base, err);

    if (rc != NADB_OK) return rc;
    control_read(&s->ctl, &now);
    if (base->generation > now.base_generation) {
        nadb_lock(&s->version_lock);
        v = s->versions;
        if (v != NULL) atomic_fetch_add(&v->refs, 1);
        nadb_unlock(&s->version_lock);
        rc = s->os->dir_sync(s->home.dir, err);
        if (rc == NADB_OK) rc = publish(s, base, err);
        if (rc == NADB_OK && v != NULL) unlink_logs(s, v, base->first_log);
        engine_version_unref(s, v);
    }
    s->base_ops->version_unref(base);
    return rc;
}

static nadb_rc flush_logs(engine *s, const engine_version *v, size_t n,
                          nadb_err *err) {
    nadb_span span = nadb_span_begin();
    nadb_flush_req req;
    nadb_totals totals = v->base->totals;
    nadb_base_version *base = NULL;
    nadb_rc rc;

    if (s->traits->counts && !totals.known && !s->uncounted) {
        engine_count_base(s, v->base, &totals);
        s->uncounted = !totals.known;
    }
    rc = flush_request(s, v, n, &req, &totals, err);
    if (rc == NADB_OK && s->traits->keeps_changes)
        rc = engine_history_add(s, v, n, &req, engine_all_changes, err);
    if (rc == NADB_OK) rc = s->base_ops->flush(s->base, &req, &base, err);
    nadb_iter_free(req.entries);
    if (rc == NADB_OK) rc = publish(s, base, err);
    if (rc == NADB_OK) {
        atomic_fetch_add(&s->ctl.map->counters[CONTROL_N_FLUSHES], 1);
        unlink_logs(s, v, base->first_log);
        if (s->traits->keeps_changes) engine_history_trim(s, base->seq);
    }
    engine_count(s, NADB_OP_FLUSH, &span, base, rc, err);
    if (base != NULL) s->base_ops->version_unref(base);
    return rc;
}

static nadb_rc compact_once(engine *s, const nadb_compact_goal *goal, bool *did,
                            nadb_err *err) {
    nadb_span span = nadb_span_begin();
    nadb_base_version *base = NULL;
    nadb_rc rc = s->base_ops->compact_step(s->base, goal, &base, err);

    *did = rc == NADB_OK && base != NULL;
    if (*did) rc = publish(s, base, err);
    if (*did || (rc != NADB_OK && rc != NADB_INTERRUPT))
        engine_count(s, NADB_OP_MERGE, &span, base, rc, err);
    if (base == NULL) return rc;
    s->base_ops->version_unref(base);
    atomic_fetch_add(&s->ctl.map->counters[CONTROL_N_COMPACTIONS], 1);
    return rc;
}

/* Unlinks unused files. Files that a reader still uses stay; unused_left makes
 * the next round try again. */
static nadb_rc remove_unused(engine *s, nadb_err *err) {
    uint64_t oldest = control_oldest_gen(&s->ctl);
    control_now now;

    control_read(&s->ctl, &now);
    s->unused_left = oldest < now.base_generation;
    if (!s->traits->immutable)
        return s->unused_left ? NADB_OK : engine_unlink_retired(s, err);
    return s->base_ops->remove_unused(s->base, oldest, err);
}

static nadb_rc freeze(engine *s, uint64_t *until, nadb_err *err);

/* Freezes and retires everything that was sent to the server, so that no
 * memtable hides newer rows of other writers. *v becomes the version after
 * that. */
static nadb_rc freeze_sent(engine *s, engine_version **v, const nadb_stop *stop,
                           nadb_err *err) {
    uint64_t until = 0;
    nadb_rc rc = freeze(s, &until, err);

    engine_version_unref(s, *v);
    *v = NULL;
    if (rc == NADB_OK) rc = engine_version_get(s, v, err);
    return rc == NADB_OK ? engine_drain(s, *v, true, stop, err) : rc;
}

/* Sends what is committed if that is due or a frozen log waits for it; else
 * only keeps the right to send. */
static nadb_rc drain(engine *s, const engine_version *v, bool due,
                     const nadb_stop *stop, nadb_err *err) {
    bool all = due || v->n_logs > 1;
    nadb_rc rc = engine_drain(s, v, all, stop, err);

    /* NADB_BUSY: another machine may write. What waits here is compared with
     * that as soon as it can be sent. */
    if (rc == NADB_BUSY || (rc != NADB_OK && all))
        atomic_store(&s->drain_due, true);
    return rc;
}

/* One round. REQUIRES: flush_lock and the flusher word. */
static nadb_rc work_owned(engine *s, const nadb_compact_goal *goal,
                          const nadb_stop *stop, bool *more, nadb_err *err) {
    engine_version *v = NULL;
    bool stale, due;
    size_t n = 0;
    nadb_rc rc = catch_up(s, err);

    NADB_ASSERT(atomic_load(&s->ctl.flushing));
    NADB_ASSERT(nadb_rank_held(NADB_RANK_FLUSH));
    /* Before the version, which then has all that was committed when the drain
     * became due. */
    due = rc == NADB_OK && atomic_exchange(&s->drain_due, false);
    if (rc == NADB_OK) rc = engine_version_get(s, &v, err);
    if (rc != NADB_OK && due) atomic_store(&s->drain_due, true);
    if (rc == NADB_OK && s->traits->drains) rc = drain(s, v, due, stop, err);
    if (rc != NADB_OK) {
        engine_version_unref(s, v);
        return rc;
    }
    stale = s->remote->is_stale(s->base);
    if (stale) rc = freeze_sent(s, &v, stop, err);
    n = rc == NADB_OK ? flushable(s, v) : 0;
    if (n > 0) rc = flush_logs(s, v, n, err);
    if (rc == NADB_OK && stale && n + 1 == v->n_logs)
        rc = s->remote->fresh(s->base, err);
    engine_version_unref(s, v);
    v = NULL;
    /* The version is opened before the compaction: if that fails half-way,
     * MANIFEST is ahead of control. */
    if (rc == NADB_OK && n > 0) rc = engine_version_get(s, &v, err);
    engine_version_unref(s, v);
    if (rc == NADB_OK) rc = compact_once(s, goal, more, err);
    /* Old versions of this process would keep removed files on the disk. */
    if (rc == NADB_OK && (n > 0 || *more || s->unused_left)) {
        v = NULL;
        rc = engine_version_get(s, &v, err);
        engine_version_unref(s, v);
        engine_views_trim(s);
        if (rc == NADB_OK) rc = remove_unused(s, err);
    }
    return rc;
}

/* One round, with the locks. Long steps poll `stop` (NULL: never). */
static nadb_rc work(engine *s, const nadb_compact_goal *goal,
                    const nadb_stop *stop, bool *more, bool *busy,
                    nadb_err *err) {
    nadb_rc rc;

    *more = *busy = false;
    /* A background drain holds the lock while it sends, so `stop` is polled. */
    while (!nadb_lock_timed(&s->flush_lock, STOP_MS)) {
        rc = nadb_stopped(stop, err);
        if (rc == NADB_OK) rc = nadb_job_look(err);
        if (rc != NADB_OK) return rc;
    }
    if (control_flusher_try(&s->ctl)) {
        rc = work_owned(s, goal, stop, more, err);
        control_flusher_drop(&s->ctl);
    } else {
        *busy = true;
        rc = NADB_OK;
    }
    nadb_unlock(&s->flush_lock);
    return rc;
}

void engine_find_space(engine *s) {
    engine_version *v = NULL;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_FLUSH));
    /* Opening the newest version releases older ones. */
    if (engine_version_get(s, &v, NULL) == NADB_OK) engine_version_unref(s, v);
    engine_views_trim(s);
    if (control_flusher_try(&s->ctl)) {
        (void)!remove_unused(s, NULL);
        control_flusher_drop(&s->ctl);
    }
    (void)engine_spare_spend(s, true);
}

/* As work(); when the disk is full it gives up space and tries once more. */
static nadb_rc work_hard(engine *s, const nadb_compact_goal *goal,
                         const nadb_stop *stop, bool *more, bool *busy,
                         nadb_err *err) {
    nadb_rc rc = work(s, goal, stop, more, busy, err);

    if (rc == NADB_FULL) {
        if (err != NULL) nadb_err_clear(err);
        nadb_lock(&s->flush_lock);
        engine_find_space(s);
        nadb_unlock(&s->flush_lock);
        rc = work(s, goal, stop, more, busy, err);
    }
    engine_spare_keep(s);
    return rc;
}

/* Freezes the active log. *until: number of the log that follows. */
static nadb_rc freeze(engine *s, uint64_t *until, nadb_err *err) {
    for (;;) {
        engine_version *v = NULL, *next = NULL;
        control_now now;
        nadb_rc rc = engine_version_get(s, &v, err);

        if (rc != NADB_OK) return rc;
        rc = engine_lock(s, atomic_load(&s->busy_timeout_ms), err);
        if (rc == NADB_OK) {
            control_read(&s->ctl, &now);
            *until = now.last_log;
            if (now.generation != v->generation)
                *until = 0;
            else if (memtable_tail(v->logs[0]) > WAL_HEADER)
                rc = engine_rotate(s, v, 0, &next, err);
            else if (engine_keep_begins(s, v))
                /* the log is empty */
                atomic_store(&v->logs[0]->head->keeps, 1);
            engine_unlock(s);
        }
        if (next != NULL) *until = next->last_log;
        engine_version_unref(s, next);
        engine_version_unref(s, v);
        if (rc != NADB_OK || *until != 0) return rc;
    }
}

static nadb_rc freeze_hard(engine *s, uint64_t *until, nadb_err *err) {
    nadb_rc rc = freeze(s, until, err);

    if (rc != NADB_FULL) return rc;
    if (err != NULL) nadb_err_clear(err);
    nadb_lock(&s->flush_lock);
    engine_find_space(s);
    rc = freeze(s, until, err);
    nadb_unlock(&s->flush_lock);
    return rc;
}

/* True if a clear in the active log makes void what could not be flushed for
 * lack of space. The clear must be flushed with it, so the active log is
 * frozen. */
static bool freeze_clear(engine *s) {
    engine_version *v = NULL;
    uint64_t until = 0;
    bool cleared = false;

    if (engine_version_get(s, &v, NULL) != NADB_OK) return false;
    for (size_t i = v->n_logs; i > 0; i--)
        cleared = atomic_load(&v->logs[i - 1]->head->n_clears) > 0 || cleared;
    if (cleared) cleared = freeze_hard(s, &until, NULL) == NADB_OK;
    engine_version_unref(s, v);
    return cleared;
}

nadb_rc engine_work(engine *s, bool *more, nadb_err *err) {
    bool busy = false;
    nadb_err mine;
    nadb_rc rc;

    *more = false;
    if (s->options->read_only) return NADB_OK;
    nadb_err_clear(&mine);
    if (control_has_doubts(s->ctl.map)) engine_void_retry(s);
    rc = work(s, NULL, NULL, more, &busy, &mine);
    if (rc == NADB_FULL && freeze_clear(s)) {
        nadb_err_clear(&mine);
        rc = work_hard(s, NULL, NULL, more, &busy, &mine);
    }
    engine_spare_keep(s);
    engine_note_error(s, &s->flush_error, &mine);
    if (rc != NADB_OK) return nadb_fail(err, rc, "%s", mine.msg);
    return rc;
}

nadb_rc engine_send(engine *s, nadb_err *err) {
    bool more = false;

    atomic_store(&s->drain_due, true);
    return engine_work(s, &more, err);
}

/* Sleeps until something is published, at most 10 ms, and subtracts the time
 * from *left_ns. */
static void wait_event(engine *s, uint32_t seen, int64_t *left_ns) {
    int64_t from = s->os->mono_ns();

    s->os->futex_wait((uint32_t *)&s->ctl.map->flush_events, seen, 10);
    *left_ns -= s->os->mono_ns() - from;
}

static int64_t timeout_ns(const engine *s) {
    return atomic_load(&s->busy_timeout_ms) * (int64_t)1000000;
}

/* Makes rounds until the base contains every log below `until`. If another
 * process has the flusher word, waits up to busy_timeout after each log that
 * was flushed. */
static nadb_rc flush_until(engine *s, uint64_t until, const nadb_stop *stop,
                           nadb_err *err) {
    int64_t left_ns = timeout_ns(s);
    uint64_t first = 0;

    for (;;) {
        uint32_t seen = atomic_load(&s->ctl.map->flush_events);
        bool more = false, busy = false;
        control_now now;
        nadb_rc rc;

        control_read(&s->ctl, &now);
        if (now.first_log >= until) return NADB_OK;
        rc = nadb_stopped(stop, err);
        if (rc == NADB_OK) rc = nadb_job_look(err);
        if (rc == NADB_OK) rc = work_hard(s, NULL, stop, &more, &busy, err);
        control_read(&s->ctl, &now);
        /* The flush is done. A failure of the compaction after it is retried in
         * the background. */
        if (now.first_log >= until) return NADB_OK;
        if (rc != NADB_OK) return rc;
        if (now.first_log > first) left_ns = timeout_ns(s);
        first = now.first_log;
        if (left_ns <= 0)
            return nadb_fail(err, NADB_BUSY,
                             "flushing %s: a prepared transaction or another "
                             "process's flush was in the way for longer than "
                             "busy_timeout",
                             s->dir);
        wait_event(s, seen, &left_ns);
    }
}

static nadb_rc flush_all(engine *s, const nadb_stop *stop, nadb_err *err) {
    uint64_t until = 0;
    nadb_rc rc = engine_check_usable(s, err);

    if (rc != NADB_OK || s->private_memory || s->options->read_only) return rc;
    rc = engine_check_place(s, err);
    if (rc != NADB_OK) return rc;
    rc = freeze_hard(s, &until, err);
    if (rc == NADB_OK) rc = flush_until(s, until, stop, err);
    return rc == NADB_OK ? s->remote->flushed(s->base, err) : rc;
}

nadb_rc engine_flush(nadb_engine *e, nadb_err *err) {
    return flush_all(engine_of(e), NULL, err);
}

void engine_freeze_full(engine *s) {
    engine_version *v = NULL;
    uint64_t until = 0;

    if (engine_version_get(s, &v, NULL) != NADB_OK) return;
    if ((memtable_tail(v->logs[0]) >= atomic_load(&s->buffer_bytes) ||
         (memtable_is_worn(v->logs[0]) && v->n_logs == 1) ||
         engine_keep_begins(s, v)) &&
        v->n_logs < ENGINE_LOGS_MAX && !s->options->read_only)
        (void)freeze(s, &until, NULL);
    engine_version_unref(s, v);
}

void engine_flush_at_close(engine *s) {
    engine_version *v = NULL;
    bool much;

    if (control_has_doubts(s->ctl.map) ||
        engine_version_get(s, &v, NULL) != NADB_OK)
        return;
    much = v->n_logs > 1 || memtable_tail(v->logs[0]) > CLOSE_BYTES;
    /* A recovery replays records in the order of the log and numbers them anew,
     * so their numbers would differ from those in kept changes. */
    if (engine_keeps(s) && memtable_tail(v->logs[0]) > WAL_HEADER) much = true;
    engine_version_unref(s, v);
    /* On error the commits stay in the log, where they are equally safe. */
    if (much) (void)engine_flush(&s->engine, NULL);
}

/* Compacts in steps and publishes each, so that openers do not wait for the
 * end, and flushes full logs in between. */
nadb_rc engine_compact(nadb_engine *e, nadb_stop_fn *stop, void *ctx,
                       nadb_err *err) {
    engine *s = engine_of(e);
    nadb_stop when = {stop, ctx};
    nadb_rc rc = flush_all(s, &when, err);
    nadb_compact_goal goal = {0, 0, &when};
    int64_t left_ns = timeout_ns(s);
    uint32_t last = 0;
    bool more = true, busy = false;

    if (s->private_memory || s->options->read_only)
        return engine_read_only(s, err);
    goal.seq = control_seq(atomic_load(&s->ctl.map->visible));
    goal.file = atomic_load(&s->ctl.map->next_file);
    while (rc == NADB_OK && (more || busy)) {
        uint32_t seen = atomic_load(&s->ctl.map->flush_events);

        rc = nadb_stopped(&when, err);
        if (rc == NADB_OK) rc = nadb_job_look(err);
        if (rc != NADB_OK) break;
        /* Another process made progress: wait again. */
        if (!busy || seen != last) left_ns = timeout_ns(s);
        last = seen;
        rc = work_hard(s, &goal, &when, &more, &busy, err);
        if (rc == NADB_OK && busy && left_ns <= 0)
            return nadb_fail(err, NADB_BUSY,
                             "compacting %s: another process's flusher was in "
                             "the way for longer than busy_timeout",
                             s->dir);
        if (busy) wait_event(s, seen, &left_ns);
    }
    return rc;
}
