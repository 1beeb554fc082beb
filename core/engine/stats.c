/* stats.c - statistics of the engine, and nadb_check: every record's CRC, every
 * index entry against the log, and the base's own check. */
#include <stdio.h>

#include "../util/job.h"
#include "engine.h"

void engine_stats(nadb_engine *e, nadb_stat_fn *emit, void *ctx) {
    engine *s = engine_of(e);
    control_map *map = s->ctl.map;
    engine_version *v = NULL;
    double entries = 0, bytes = 0, log_bytes = 0;

    if (s->forked || engine_version_get(s, &v, NULL) != NADB_OK) return;
    for (size_t i = 0; i < v->n_logs; i++) {
        const memtable_head *h = v->logs[i]->head;

        entries += (double)atomic_load(&h->nodes);
        log_bytes += (double)(atomic_load(&h->tail) - WAL_HEADER);
        bytes += (double)atomic_load(&h->alloc);
    }
    bytes += log_bytes;
    emit(ctx, "buffer_entries", entries);
    emit(ctx, "buffer_bytes", log_bytes);
    emit(ctx, "buffer_memory_bytes", bytes);
    emit(ctx, "index_memory_bytes", bytes - log_bytes);
    emit(ctx, "buffer_utilization_percent",
         100.0 * log_bytes / (double)atomic_load(&s->buffer_bytes));
    emit(ctx, "log_count", (double)v->n_logs);
    emit(ctx, "flush_count",
         (double)atomic_load(&map->counters[CONTROL_N_FLUSHES]));
    emit(ctx, "compaction_count",
         (double)atomic_load(&map->counters[CONTROL_N_COMPACTIONS]));
    emit(ctx, "commit_count",
         (double)atomic_load(&map->counters[CONTROL_N_COMMITS]));
    emit(ctx, "expired_count",
         (double)atomic_load(&map->counters[CONTROL_N_EXPIRED]));
    emit(ctx, "last_flush_at",
         (double)atomic_load(&map->last_flush_ms) / 1000.0);
    emit(ctx, "sequence", (double)control_seq(atomic_load(&map->visible)));
    s->base_ops->stats(v->base, emit, ctx);
    engine_version_unref(s, v);
}

void nadb_engine_last_error(nadb_engine *e, nadb_err *out) {
    engine *s = engine_of(e);

    nadb_lock(&s->version_lock);
    *out = s->sync_error.rc != NADB_OK ? s->sync_error : s->flush_error;
    nadb_unlock(&s->version_lock);
}

/* --- doubts --- */

/* Reads changes and bytes of the doubt's record. */
static void measure(const engine_version *v, const control_doubt *d,
                    nadb_doubt *out) {
    memtable *m = engine_log(v, atomic_load(&d->log));
    uint64_t tail = m == NULL ? 0 : memtable_tail(m);
    wal_record rec;
    bool valid = false;

    if (m == NULL || !memtable_log_exists(m, tail)) return;
    wal_record_at(&m->log, atomic_load(&d->off), tail, false, &rec, &valid);
    if (!valid) return;
    out->changes = rec.count;
    out->bytes = rec.length;
}

nadb_rc nadb_engine_doubts(nadb_engine *e, nadb_doubt_fn *each, void *ctx,
                           nadb_err *err) {
    static const char *const states[] = {
        [DOUBT_PREPARED] = "in doubt", [DOUBT_COMMITTING] = "committing",
        [DOUBT_CLAIM] = "claim",       [DOUBT_VOID] = "taken back",
        [DOUBT_ORPHAN] = "orphan",
    };
    engine *s = engine_of(e);
    engine_version *v = NULL;
    nadb_rc rc = NADB_OK;

    if (s->forked || s->private_memory || !control_has_doubts(s->ctl.map))
        return NADB_OK;
    rc = engine_version_get(s, &v, err);
    for (uint32_t i = 0; i < CONTROL_DOUBTS && rc == NADB_OK; i++) {
        const control_doubt *d = &s->ctl.map->doubts[i];
        uint32_t state = atomic_load(&d->state);
        uint32_t slot = atomic_load(&d->slot);
        nadb_doubt out = {.alive = false};

        if (state == DOUBT_FREE || state > DOUBT_ORPHAN) continue;
        out.state = states[state];
        if (slot < CONTROL_SLOTS) {
            out.process = atomic_load(&s->ctl.map->slots[slot].process);
            out.alive = control_alive(&s->ctl, slot);
        }
        if (state != DOUBT_CLAIM) {
            out.since_ns = (int64_t)(atomic_load(&d->background) >> 1);
            measure(v, d, &out);
        }
        rc = each(ctx, &out, err);
    }
    engine_version_unref(s, v);
    return rc;
}

/* --- reading every byte --- */

typedef struct reporter {
    nadb_report_fn *report;
    void *ctx;
} reporter;

static void say(const reporter *r, const memtable *m, uint64_t off,
                const char *what) {
    nadb_report(r->report, r->ctx, "%s: offset %llu: %s",
                m->log.os->path(m->log.file), (unsigned long long)off, what);
}

/* Reports a damaged record, with its first key if that is readable. */
static void say_damaged(const reporter *r, const memtable *m, uint64_t off,
                        uint64_t tail) {
    char shown[NADB_KEY_SHOWN], what[NADB_KEY_SHOWN + 64];
    nadb_slice key = nadb_slice_of("", 0);
    wal_entry e;

    if (tail - off > WAL_RECORD &&
        wal_entry_at(&m->log, wal_entries_at(&m->log, off), tail, &e) &&
        e.key.n > 0)
        key = nadb_slice_of(e.key.p + 1, e.key.n - 1);
    snprintf(what, sizeof what, "damaged record, first key \"%s\"",
             nadb_key_show(key, shown));
    say(r, m, off, what);
}

/* Checks a log: each record up to the tail must be whole, and each visible
 * entry must be found through the index. */
static nadb_rc check_log(memtable *m, uint64_t seq, const reporter *r,
                         nadb_err *err) {
    uint64_t tail = memtable_tail(m);
    uint64_t off = WAL_HEADER;
    nadb_rc rc = NADB_OK;

    (void)memtable_look_again(m);
    if (tail > atomic_load(&m->log_safe)) {
        say(r, m, tail, "the file is shorter than its records");
        return NADB_OK;
    }
    while (off < tail) {
        wal_record rec;
        wal_entry e;
        bool valid = false;

        wal_record_at(&m->log, off, tail, true, &rec, &valid);
        if (!valid) {
            say_damaged(r, m, off, tail);
            off = wal_next_good(&m->log, off, tail);
            continue;
        }
        while (!rec.taken_back && wal_entry_next(&m->log, &rec, &e)) {
            memtable_key k = memtable_key_of(e.key);
            nadb_entry found;
            bool is_there = false;

            rc = memtable_get(m, &k, UINT64_MAX, 0, &found, &is_there, err);
            if (rc != NADB_OK) return rc;
            if (!is_there && atomic_load(&m->head->max_seq) <= seq) {
                /* Not linked: the record is still in doubt, or lost. */
                bool in_doubt = atomic_load(&m->head->closed) == 0;

                if (!in_doubt) say(r, m, e.off, "entry not in the index");
            }
        }
        off += rec.length;
        rc = nadb_job_step(0, rec.length, err);
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

/* Walks over the index: keys must ascend and every entry must decode. */
static nadb_rc check_index(memtable *m, const reporter *r, nadb_err *err) {
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    nadb_buf last = NADB_BUF_INIT;
    nadb_iter *it = NULL;
    nadb_rc rc = memtable_iter(m, UINT64_MAX, 0, &all, &it, err);

    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        if (last.n > 0 &&
            nadb_slice_cmp(nadb_buf_slice(&last), it->entry.key) >= 0)
            say(r, m, it->entry.id, "keys of the index do not ascend");
        nadb_buf_reset(&last);
        if (!nadb_buf_append(&last, it->entry.key.p, it->entry.key.n))
            rc = nadb_fail(err, NADB_NOMEM, "checking");
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    nadb_buf_clear(&last);
    return rc;
}

static nadb_rc check_place(engine *s, const reporter *r, nadb_err *err) {
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = engine_check_place(s, &mine);
    if (rc == NADB_MOVED) r->report(r->ctx, mine.msg);
    return rc == NADB_OK || rc == NADB_MOVED
               ? NADB_OK
               : nadb_fail(err, rc, "%s", mine.msg);
}

/* Compares the totals of MANIFEST with a count. */
static void check_totals(engine *s, engine_version *v, const reporter *r) {
    const nadb_totals *t = &v->base->totals;
    nadb_totals found;

    if (!s->traits->counts || !t->known) return;
    engine_count_base(s, v->base, &found);
    if (!found.known || (found.rows == t->rows && found.tags == t->tags &&
                         found.key_bytes == t->key_bytes &&
                         found.value_bytes == t->value_bytes &&
                         found.stored_bytes == t->stored_bytes))
        return;
    nadb_report(
        r->report, r->ctx,
        "%s/MANIFEST: counts %llu rows of %llu bytes and %llu tags, "
        "where %llu rows of %llu bytes and %llu tags are",
        s->dir, (unsigned long long)t->rows, (unsigned long long)t->value_bytes,
        (unsigned long long)t->tags, (unsigned long long)found.rows,
        (unsigned long long)found.value_bytes, (unsigned long long)found.tags);
}

nadb_rc engine_check_bytes(nadb_engine *e, nadb_report_fn *report, void *ctx,
                           nadb_err *err) {
    engine *s = engine_of(e);
    reporter r = {report, ctx};
    engine_version *v = NULL;
    uint64_t seq;
    nadb_rc rc = engine_check_usable(s, err);

    if (rc == NADB_OK) rc = check_place(s, &r, err);
    if (rc == NADB_OK && !s->options->read_only) engine_void_retry(s);
    if (rc == NADB_OK) rc = engine_version_get(s, &v, err);
    if (rc != NADB_OK) return rc;
    seq = control_seq(atomic_load(&s->ctl.map->visible));
    for (size_t i = 0; i < v->n_logs; i++) {
        nadb_err mine;

        nadb_err_clear(&mine);
        rc = check_log(v->logs[i], seq, &r, &mine);
        if (rc == NADB_OK) rc = check_index(v->logs[i], &r, &mine);
        if (rc == NADB_CORRUPT) {
            report(ctx, mine.msg);
            rc = NADB_OK;
        }
        if (rc != NADB_OK) {
            rc = nadb_fail(err, rc, "%s", mine.msg);
            break;
        }
    }
    if (rc == NADB_OK && s->traits->keeps_changes)
        rc = engine_history_check(s, v->base->seq, report, ctx, err);
    if (rc == NADB_OK) rc = s->base_ops->check(v->base, report, ctx, err);
    if (rc == NADB_OK) check_totals(s, v, &r);
    if (rc == NADB_MOVED) rc = NADB_OK; /* it has been reported */
    engine_version_unref(s, v);
    return rc;
}
