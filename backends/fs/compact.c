/* compact.c - merges runs, one bounded step at a time.
 *
 * A step takes runs [first, first + n) and a stretch of keys that begins at the
 * lowest key of the sources (all these runs but the oldest, which is the
 * target). It writes the remaining entries of the stretch as new tables of the
 * target, and raises the low end of every input table past the stretch; tables
 * with nothing left are dropped. So a merge of any size is a series of steps,
 * each of which gives a complete state, and readers see each key exactly once
 * in between.
 *
 * A source table that overlaps no other is moved, not rewritten: data that
 * arrive in key order are written once. */
#include "../../core/util/job.h"
#include "fs_ops.h"
#include "merge.h"
#include "output.h"
#include "policy.h"

typedef struct step {
    fs_base *b;
    fs_version *v;
    fs_task task;
    bool bottom;     /* there is no run below the target */
    nadb_slice from; /* the stretch: from <= key <= to */
    nadb_slice to;   /* p == NULL: to the end */
    nadb_buf bounds;
    bool *moved; /* one per table */
    bool any_moved;
    nadb_buf last; /* the last key that was consumed */
    bool cut;      /* the step ended at `last`, before `to` */
    nadb_buf value;
    double consumed_shadow; /* fs_meta.shadow of the merged entries */
    fs_output o;
} step;

/* --- the inputs --- */

static const fs_run *target(const step *s) {
    return &s->v->m.runs[s->task.first + s->task.n - 1];
}

static size_t first_table(const step *s) {
    return s->v->m.runs[s->task.first].first;
}

static size_t end_table(const step *s) {
    return target(s)->first + target(s)->count;
}

static bool overlap(const fs_meta *a, const fs_meta *b) {
    return nadb_slice_cmp(a->lo, b->hi) <= 0 &&
           nadb_slice_cmp(b->lo, a->hi) <= 0;
}

/* The source table with the lowest key that is not moved. */
static const fs_meta *lowest_source(const step *s) {
    const fs_meta *tables = s->v->m.tables;
    const fs_meta *low = NULL;

    for (size_t i = first_table(s); i < target(s)->first; i++)
        if (!s->moved[i] &&
            (low == NULL || nadb_slice_cmp(tables[i].lo, low->lo) < 0))
            low = &tables[i];
    return low;
}

static bool can_move(const step *s, const fs_meta *t) {
    const fs_meta *tables = s->v->m.tables;

    if (t->size < s->b->limits.move_bytes || t->gone > 0 ||
        (s->bottom && t->tombstones > 0))
        return false;
    for (size_t i = first_table(s); i < end_table(s); i++)
        if (&tables[i] != t && overlap(&tables[i], t)) return false;
    return true;
}

static void move_tables(step *s) {
    const fs_meta *t = lowest_source(s);

    while (t != NULL && can_move(s, t)) {
        s->moved[t - s->v->m.tables] = true;
        s->any_moved = true;
        t = lowest_source(s);
    }
}

static bool meets_source(const step *s, const fs_meta *t) {
    for (size_t i = first_table(s); i < target(s)->first; i++)
        if (overlap(&s->v->m.tables[i], t)) return true;
    return false;
}

/* Chooses the stretch: as many tables of the target as make half a step and
 * overlap sources; without an end if the last of them is among these. */
static void choose_stretch(step *s) {
    const fs_meta *t = s->v->m.tables + target(s)->first;
    size_t n = target(s)->count;
    size_t i = 0;
    double bytes = 0;

    s->from = lowest_source(s)->lo;
    while (i < n && nadb_slice_cmp(t[i].hi, s->from) < 0) i++;
    if (i < n && nadb_slice_cmp(t[i].lo, s->from) < 0) s->from = t[i].lo;
    if (!s->task.sweep) return;
    while (i < n) {
        bytes += fs_live_bytes(&t[i]);
        if (i + 1 < n && (bytes > (double)s->b->limits.step_bytes / 2 ||
                          !meets_source(s, &t[i + 1]))) {
            s->to = t[i].hi;
            return;
        }
        i++;
    }
}

/* --- the merge --- */

/* Rewrites a value that is in the .val file being emptied. */
static nadb_rc move_value(step *s, fs_entry *e, nadb_err *err) {
    fs_ref ref;
    uint64_t id;
    nadb_rc rc;

    if (e->kind != FS_REF || s->task.val == 0 ||
        !fs_ref_decode(e->value, &ref) || ref.file != s->task.val)
        return NADB_OK;
    rc = fs_resolve(s->v, e->value, &s->value, &e->value, &id, err);
    e->kind = FS_VALUE;
    return rc;
}

static nadb_rc merge_entries(step *s, fs_merge *m, nadb_err *err) {
    uint64_t bytes = 0;
    uint64_t most =
        s->task.sweep ? s->b->limits.step_bytes * 3 / 2 : UINT64_MAX;

    for (;;) {
        fs_cursor *c;
        fs_entry e;
        nadb_rc rc = fs_merge_next(m, err);

        if (rc != NADB_OK || m->top == NULL) return rc;
        c = m->top;
        rc = nadb_job_step(1, c->key.n + c->e.value.n, err);
        if (rc != NADB_OK) return rc;
        if (bytes > most) {
            s->cut = true;
            return NADB_OK;
        }
        bytes += c->key.n + c->e.value.n + 8;
        if (s->task.sweep) {
            nadb_buf_reset(&s->last);
            if (!nadb_buf_append(&s->last, c->key.p, c->key.n))
                return nadb_fail(err, NADB_NOMEM, "compacting");
        }
        if (fs_hidden(s->v, c->s, c->e.seq) ||
            (s->bottom && c->e.kind == FS_TOMBSTONE))
            continue;
        e = c->e;
        rc = move_value(s, &e, err);
        if (rc == NADB_OK)
            rc = fs_output_add(&s->o, nadb_buf_slice(&c->key), &e, err);
        if (rc != NADB_OK) return rc;
    }
}

static nadb_rc merge_stretch(step *s, nadb_err *err) {
    nadb_range range = {s->from, {NULL, 0}, false};
    fs_merge m;
    nadb_rc rc;

    if (s->to.p != NULL) {
        /* The range is half open, so it ends with the next possible key. */
        if (!nadb_buf_append(&s->bounds, s->to.p, s->to.n) ||
            !nadb_buf_byte(&s->bounds, 0))
            return nadb_fail(err, NADB_NOMEM, "compacting");
        range.hi = nadb_buf_slice(&s->bounds);
    }
    for (size_t i = first_table(s); i < end_table(s); i++) {
        const fs_meta *t = &s->v->m.tables[i];

        if (t->min_seq < s->o.min_seq) s->o.min_seq = t->min_seq;
        if (t->max_seq > s->o.max_seq) s->o.max_seq = t->max_seq;
    }
    rc = fs_merge_init(&m, s->v, s->task.first, s->task.n, &range, true, err);
    if (rc != NADB_OK) return rc;
    rc = merge_entries(s, &m, err);
    s->consumed_shadow = -m.older;
    fs_merge_clear(&m);
    return rc == NADB_OK ? fs_output_finish(&s->o, err) : rc;
}

/* --- the next state --- */

/* Cuts input table `i` to what is left of it; *keep: something is left. */
static nadb_rc trim(step *s, size_t i, fs_meta *t, bool *keep, nadb_err *err) {
    nadb_slice bound = s->cut ? nadb_buf_slice(&s->last) : s->to;
    fs_sst *sst;
    unsigned block;
    uint64_t off;
    size_t n;
    nadb_rc rc;

    *keep = nadb_slice_cmp(t->hi, s->from) < 0 ||
            (bound.p != NULL && nadb_slice_cmp(t->lo, bound) > 0);
    if (*keep) return NADB_OK;
    if (bound.p == NULL || nadb_slice_cmp(t->hi, bound) <= 0) {
        s->consumed_shadow +=
            (double)t->shadow * (1 - (double)t->gone / (double)t->size);
        return NADB_OK;
    }
    *keep = true;
    rc = fs_handle_sst(s->v->tables[i], &sst, err);
    if (rc == NADB_OK) rc = fs_sst_find(sst, bound, &block, err);
    if (rc == NADB_OK) rc = fs_sst_extent(sst, block, &off, &n, err);
    if (rc != NADB_OK) return rc;
    off = off * t->size / sst->props.offsets;
    if (off > t->gone) {
        s->consumed_shadow +=
            (double)t->shadow * (double)(off - t->gone) / (double)t->size;
        t->gone = off;
    }
    /* The successor of `last` replaces `to` in `bounds`. */
    nadb_buf_reset(&s->bounds);
    if (!nadb_buf_append(&s->bounds, bound.p, bound.n) ||
        !nadb_buf_byte(&s->bounds, 0))
        return nadb_fail(err, NADB_NOMEM, "compacting");
    t->lo = nadb_buf_slice(&s->bounds);
    return NADB_OK;
}

static nadb_rc keep_inputs(step *s, fs_manifest *m, const fs_run *run,
                           nadb_err *err) {
    for (size_t i = run->first; i < run->first + run->count; i++) {
        fs_meta t = s->v->m.tables[i];
        bool keep = !s->moved[i] && s->any_moved;
        nadb_rc rc = NADB_OK;

        if (s->moved[i] ||
            (s->task.rewrite && i == s->task.table)) /* moved, or replaced */
            continue;
        if (!keep && s->task.rewrite)
            keep = true;
        else if (!keep)
            rc = trim(s, i, &t, &keep, err);
        if (rc == NADB_OK && keep) rc = fs_edit_table(m, &t, err);
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

/* The outputs share the consumed tables' count of older entries below, less
 * those that the merge has removed. */
static nadb_rc add_outputs(step *s, fs_manifest *m, nadb_err *err) {
    double count = 0;
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < fs_output_tables(&s->o); i++)
        count += (double)fs_output_table(&s->o, i)->count;
    if (s->bottom || s->consumed_shadow < 0) s->consumed_shadow = 0;
    for (size_t i = 0; rc == NADB_OK && i < fs_output_tables(&s->o); i++) {
        fs_meta t = *fs_output_table(&s->o, i);

        t.shadow = (uint64_t)(s->consumed_shadow * (double)t.count / count);
        if (s->task.rewrite) t.shadow = s->v->m.tables[s->task.table].shadow;
        rc = fs_edit_table(m, &t, err);
    }
    for (size_t i = first_table(s); rc == NADB_OK && i < target(s)->first; i++)
        if (s->moved[i]) rc = fs_edit_table(m, &s->v->m.tables[i], err);
    return rc;
}

static nadb_rc next_manifest(step *s, fs_manifest *m, nadb_err *err) {
    const fs_manifest *old = &s->v->m;
    size_t last = s->task.first + s->task.n - 1;
    nadb_rc rc = fs_edit_begin(m, old, fs_output_tables(&s->o) + 1, err);

    if (rc != NADB_OK) return rc;
    for (size_t r = 0; rc == NADB_OK && r < old->n_runs; r++) {
        const fs_run *run = &old->runs[r];
        bool input = r >= s->task.first && r <= last;
        unsigned flags = run->flags;

        if (input && r < last && s->task.sweep) flags |= FS_RUN_SWEEP;
        if (r == last && !s->task.rewrite) flags &= ~(unsigned)FS_RUN_SWEEP;
        fs_edit_run(m, flags);
        if (input) {
            rc = keep_inputs(s, m, run, err);
        } else {
            for (size_t i = 0; rc == NADB_OK && i < run->count; i++)
                rc = fs_edit_table(m, &old->tables[run->first + i], err);
        }
        if (rc == NADB_OK && r == last) rc = add_outputs(s, m, err);
    }
    if (rc == NADB_OK) rc = fs_edit_end(m, old, &s->o, err);
    if (rc != NADB_OK) fs_manifest_clear(m);
    return rc;
}

/* --- steps --- */

static nadb_rc run_task(step *s, nadb_err *err) {
    if (s->task.rewrite) {
        s->from = s->v->m.tables[s->task.table].lo;
        s->to = s->v->m.tables[s->task.table].hi;
        return merge_stretch(s, err);
    }
    move_tables(s);
    if (s->any_moved) return NADB_OK;
    choose_stretch(s);
    return merge_stretch(s, err);
}

nadb_rc fs_compact_step(nadb_base *base, const nadb_compact_goal *goal,
                        nadb_base_version **out, nadb_err *err) {
    fs_base *b = (fs_base *)base;
    step s;
    fs_manifest m;
    nadb_rc rc;

    *out = NULL;
    memset(&s, 0, sizeof s);
    s.b = b;
    rc = fs_version_open(b, &s.v, err);
    if (rc != NADB_OK) return rc;
    if (!fs_pick(&s.v->m, b->limits.step_bytes, atomic_load(&b->passed), goal,
                 &s.task))
        goto done;
    s.bottom = s.task.first + s.task.n == s.v->m.n_runs;
    s.moved = nadb_calloc(s.v->m.n_tables + 1, sizeof *s.moved);
    if (s.moved == NULL) {
        rc = nadb_fail(err, NADB_NOMEM, "compacting %s", b->env.dir);
        goto done;
    }
    fs_output_init(&s.o, b, s.v->m.clear_seq);
    rc = run_task(&s, err);
    if (rc == NADB_OK) rc = next_manifest(&s, &m, err);
    if (rc == NADB_OK) rc = fs_install(&s.o, s.v, &m, out, err);
    if (rc == NADB_OK && s.bottom && !s.task.rewrite)
        atomic_store(&b->passed, 0);
    fs_output_clear(&s.o);
done:
    nadb_free(s.moved);
    nadb_buf_clear(&s.bounds);
    nadb_buf_clear(&s.last);
    nadb_buf_clear(&s.value);
    fs_version_unref(&s.v->pub);
    return rc;
}
