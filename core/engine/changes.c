/* changes.c - walks over committed changes, and waiting for the next commit.
 *
 * Changes come from the live logs, whose indexes list their commits, and from
 * the history (history.h). Each source yields its changes by sequence number,
 * and the walk merges them, because a log may have a record that was committed
 * after records of the next log. A source is opened when the walk comes near
 * its first number, so that few are open at a time.
 *
 * A waiter sleeps on the word `visible`. It sets `waiting` before it reads the
 * word for the last time, and a commit reads `waiting` after it has changed the
 * word; so either the waiter sees the new word or the commit sees the flag. A
 * waiter that dies leaves the flag set, which costs the next commit one system
 * call. */
#include <stdlib.h>

#include "history.h"

/* How long a waiter sleeps before it checks for an interrupt. */
#define WAIT_MS 50

/* --- one source --- */

typedef struct source {
    uint64_t least; /* lowest possible sequence number of its changes */
    bool opened;
    nadb_change now; /* the present change, once it is open */

    memtable *m; /* its log; NULL: it is a segment of the history */
    uint64_t since, upto;
    nadb_buf commits; /* array of memtable_commit */
    size_t at;        /* index of the next commit */
    wal_record record;
    uint64_t seq; /* sequence number of the present commit */

    history_segment segment;
    history_walk walk;
} source;

static void source_close(source *c) {
    nadb_buf_clear(&c->commits);
    history_walk_close(&c->walk);
}

static nadb_change_kind kind_of(const wal_entry *e) {
    if (!e->tombstone) return NADB_CHANGE_PUT;
    /* 8 bytes in a tombstone: the row had expired (nadb_changed_seq()). */
    return e->value.n == 8 ? NADB_CHANGE_EXPIRE : NADB_CHANGE_DELETE;
}

/* The next change of a row in the record; false at its end. */
static bool record_change(source *c, nadb_change *out) {
    wal_entry e;

    while (wal_entry_next(&c->m->log, &c->record, &e)) {
        if (e.key.n == 0 || e.key.p[0] != NADB_KS_ROW) continue;
        out->seq = c->seq;
        out->kind = kind_of(&e);
        out->key = nadb_slice_of(e.key.p + 1, e.key.n - 1);
        return true;
    }
    return false;
}

static nadb_rc record_open(source *c, const memtable_commit *x, nadb_err *err) {
    uint64_t tail = memtable_tail(c->m);
    bool valid = false;

    if (memtable_log_exists(c->m, tail))
        wal_record_at(&c->m->log, x->off, tail, true, &c->record, &valid);
    c->seq = x->seq;
    return valid ? NADB_OK : wal_no_record(&c->m->log, x->off, err);
}

static nadb_rc log_next(source *c, bool *found, nadb_err *err) {
    for (;;) {
        const memtable_commit *x = (const void *)c->commits.p;
        nadb_rc rc;

        *found = record_change(c, &c->now);
        if (*found || c->at == c->commits.n / sizeof *x) return NADB_OK;
        rc = record_open(c, x + c->at, err);
        if (rc != NADB_OK) return rc;
        c->at++;
        if ((c->record.flags & WAL_CLEAR) == 0) continue;
        c->now.seq = c->seq;
        c->now.kind = NADB_CHANGE_CLEAR;
        c->now.key = nadb_slice_of(NULL, 0);
        *found = true;
        return NADB_OK;
    }
}

static nadb_rc source_next(source *c, bool *found, nadb_err *err) {
    nadb_rc rc;

    if (c->m != NULL) return log_next(c, found, err);
    do {
        rc = history_walk_next(&c->walk, &c->now, found, err);
    } while (rc == NADB_OK && *found && c->now.seq <= c->since);
    if (*found && c->now.seq > c->upto) *found = false;
    return rc;
}

static nadb_rc source_open(engine *s, source *c, bool *found, nadb_err *err) {
    nadb_rc rc;

    c->opened = true;
    *found = false;
    rc = c->m != NULL
             ? memtable_commits(c->m, c->since, c->upto, &c->commits, err)
             : history_walk_open(s, &c->segment, &c->walk, err);
    return rc == NADB_OK ? source_next(c, found, err) : rc;
}

/* --- the walk --- */

typedef struct change_walk {
    nadb_changes base;
    engine *s;
    size_t n;
    source *sources; /* sorted by `least` */
    size_t opened;   /* how many of them were opened, from the first on */
    size_t n_live;
    source **live;   /* the sources that are open and not at their end */
    source *current; /* the source of the change that was returned last */
} change_walk;

static void walk_free(nadb_changes *base) {
    change_walk *w = (change_walk *)base;

    if (w == NULL) return;
    for (size_t i = 0; i < w->n; i++) source_close(&w->sources[i]);
    nadb_free(w->sources);
    nadb_free(w->live);
    nadb_free(w);
}

static void walk_drop(change_walk *w, source *c) {
    size_t i = 0;

    while (w->live[i] != c) i++;
    w->live[i] = w->live[--w->n_live];
    source_close(c);
}

static source *walk_least(const change_walk *w) {
    source *least = NULL;

    for (size_t i = 0; i < w->n_live; i++)
        if (least == NULL || w->live[i]->now.seq < least->now.seq)
            least = w->live[i];
    return least;
}

static nadb_rc walk_open_next(change_walk *w, nadb_err *err) {
    source *c = &w->sources[w->opened++];
    bool found = false;
    nadb_rc rc = source_open(w->s, c, &found, err);

    if (found)
        w->live[w->n_live++] = c;
    else
        source_close(c);
    return rc;
}

static nadb_rc walk_next(nadb_changes *base, nadb_change *out, bool *found,
                         nadb_err *err) {
    change_walk *w = (change_walk *)base;
    source *c = w->current;
    bool more = true;
    nadb_rc rc = NADB_OK;

    *found = false;
    w->current = NULL;
    if (c != NULL) rc = source_next(c, &more, err);
    if (rc == NADB_OK && !more) walk_drop(w, c);
    c = walk_least(w);
    while (rc == NADB_OK && w->opened < w->n &&
           (c == NULL || w->sources[w->opened].least <= c->now.seq)) {
        rc = walk_open_next(w, err);
        c = walk_least(w);
    }
    if (rc != NADB_OK || c == NULL) return rc;
    w->current = c;
    *out = c->now;
    *found = true;
    return NADB_OK;
}

static int by_least(const void *a, const void *b) {
    const source *x = a, *y = b;

    return x->least < y->least ? -1 : x->least > y->least;
}

/* Makes a walk over `n_logs` logs and `n` segments; skips those that cannot
 * have changes of interest. */
static nadb_rc walk_new(engine *s, memtable *const *logs, size_t n_logs,
                        const history_segment *segments, size_t n,
                        uint64_t since, uint64_t upto, nadb_changes **out,
                        nadb_err *err) {
    change_walk *w = nadb_calloc(1, sizeof *w);

    *out = NULL;
    if (w != NULL) {
        w->sources = nadb_calloc(n_logs + n + 1, sizeof *w->sources);
        w->live = nadb_calloc(n_logs + n + 1, sizeof(source *));
    }
    if (w == NULL || w->sources == NULL || w->live == NULL) {
        if (w != NULL) walk_free(&w->base);
        return nadb_fail(err, NADB_NOMEM, "listing changes");
    }
    w->base.next = walk_next;
    w->base.free = walk_free;
    w->s = s;
    for (size_t i = 0; i < n_logs; i++) {
        source c = {.m = logs[i], .least = logs[i]->log.base_seq + 1};

        if (atomic_load(&logs[i]->head->keeps) != 0) w->sources[w->n++] = c;
    }
    for (size_t i = 0; i < n; i++) {
        source c = {.segment = segments[i], .least = segments[i].min};

        if (segments[i].max > since) w->sources[w->n++] = c;
    }
    for (size_t i = 0; i < w->n; i++) {
        w->sources[i].since = since;
        w->sources[i].upto = upto;
    }
    qsort(w->sources, w->n, sizeof *w->sources, by_least);
    *out = &w->base;
    return NADB_OK;
}

nadb_rc engine_all_changes(engine *s, memtable *const *logs, size_t n_logs,
                           const history_segment *segments, size_t n,
                           nadb_changes **out, nadb_err *err) {
    return walk_new(s, logs, n_logs, segments, n, 0, UINT64_MAX, out, err);
}

/* The version's logs lack the changes up to this commit; 0: none are
 * missing. */
static uint64_t missing_in_logs(const engine_version *v) {
    uint64_t last = 0;

    for (size_t i = 0; i < v->n_logs; i++) {
        const memtable_head *h = v->logs[i]->head;
        uint64_t max = atomic_load(&h->max_seq);
        uint64_t cleared = memtable_floor(v->logs[i], UINT64_MAX) + 1;

        if (atomic_load(&h->keeps) != 0) continue;
        if (cleared > 1 && cleared > max) max = cleared;
        if (max > last) last = max;
    }
    return last;
}

static nadb_rc check_kept(engine *s, nadb_err *err) {
    nadb_rc rc = engine_check_usable(s, err);

    if (rc != NADB_OK) return rc;
    if (s->private_memory)
        return nadb_fail(
            err, NADB_READONLY,
            "this process may not write to %s/control, and so does "
            "not learn of other processes' commits: give it the "
            "right to write to that file",
            s->dir);
    /* A damaged index may lack a commit. */
    if (atomic_load(&s->ctl.map->distrust) != 0) return engine_distrust(s, err);
    return NADB_OK;
}

nadb_rc engine_changes(nadb_engine *e, nadb_view *view, uint64_t since,
                       nadb_changes **out, nadb_err *err) {
    engine *s = engine_of(e);
    const engine_version *v = ((engine_view *)view)->version;
    nadb_buf chain = NADB_BUF_INIT;
    uint64_t last = control_seq(atomic_load(&s->ctl.map->visible));
    uint64_t floor = missing_in_logs(v), begin = 0;
    nadb_rc rc = check_kept(s, err);

    *out = NULL;
    if (rc == NADB_OK && since > last)
        rc = nadb_changes_ahead(since, last, err);
    if (rc == NADB_OK && since < v->base->seq && floor == 0 && engine_keeps(s))
        rc = history_chain(s, v->base->seq, &chain, &begin, err);
    else
        begin = v->base->seq;
    if (begin > floor) floor = begin;
    if (rc == NADB_OK && since < last && (since < floor || !engine_keeps(s)))
        rc = nadb_changes_gone(since, floor, engine_keeps(s), err);
    if (rc == NADB_OK)
        rc = walk_new(s, v->logs, v->n_logs,
                      (const history_segment *)(const void *)chain.p,
                      chain.n / sizeof(history_segment), since, view->seq, out,
                      err);
    nadb_buf_clear(&chain);
    return rc;
}

/* --- waiting --- */

nadb_rc engine_wait(nadb_engine *e, uint64_t since, int64_t timeout_ms,
                    const nadb_stop *stop, uint64_t *seq, nadb_err *err) {
    engine *s = engine_of(e);
    control_map *map = s->ctl.map;
    int64_t begun = s->os->mono_ns();
    nadb_rc rc = check_kept(s, err);

    *seq = since;
    /* The waiter needs the background threads to repair after a writer that
     * dies. */
    if (rc == NADB_OK) rc = engine_wake(s, err);
    while (rc == NADB_OK) {
        uint64_t word = atomic_load(&map->visible);
        int64_t left = timeout_ms - (s->os->mono_ns() - begun) / 1000000;

        *seq = control_seq(word);
        if (*seq != since || left <= 0) break;
        rc = nadb_stopped(stop, err);
        if (rc == NADB_OK) rc = engine_check_place(s, err);
        if (rc != NADB_OK) break;
        atomic_store(&map->waiting, 1);
        if (atomic_load(&map->visible) != word) continue;
        s->os->futex_wait(control_futex(map), (uint32_t)word,
                          left < WAIT_MS ? left : WAIT_MS);
    }
    return rc;
}
