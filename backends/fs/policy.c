/* policy.c - chooses the compaction that is due (policy.h). */
#include "policy.h"

/* So many runs of similar size are merged at once. */
#define TIER_RUNS 4
/* Similar size: at most this many times the average of the newer runs. */
#define TIER_SPREAD 2.5
/* The fraction of dead bytes that starts a merge into the bottom. Dead bytes
 * are then at most a third of the live ones. */
#define DEAD_SHARE 0.25
/* With fewer dead bytes a merge of few runs is not worth its syncs. */
#define DEAD_LEAST (1 << 20)
/* A merge takes about as long for so many bytes as a walk for one tombstone. */
#define PASSED_BYTES 16
/* Fewer passed tombstones are not worth the syncs of a merge. */
#define PASSED_LEAST (1 << 20)

static double left(const fs_meta *t) {
    return t->size == 0 || t->gone >= t->size
               ? 0
               : 1 - (double)t->gone / (double)t->size;
}

static double large_bytes(const fs_meta *t) {
    double sum = 0;

    for (size_t i = 0; i < t->n_uses; i++) sum += (double)t->uses[i].bytes;
    return sum;
}

double fs_live_bytes(const fs_meta *t) {
    return left(t) * ((double)t->size + large_bytes(t));
}

static double run_bytes(const fs_manifest *m, size_t r) {
    double sum = 0;

    for (size_t i = 0; i < m->runs[r].count; i++)
        sum += fs_live_bytes(&m->tables[m->runs[r].first + i]);
    return sum;
}

static double val_live(const fs_manifest *m, uint64_t number) {
    double sum = 0;

    for (size_t i = 0; i < m->n_tables; i++)
        for (size_t k = 0; k < m->tables[i].n_uses; k++)
            if (m->tables[i].uses[k].file == number)
                sum += (double)m->tables[i].uses[k].bytes;
    return sum;
}

static double val_dead(const fs_manifest *m, const fs_val_meta *v) {
    double dead =
        (double)v->size - (double)FS_VAL_HEAD - val_live(m, v->number);

    return dead > 0 ? dead : 0; /* a sweep counts some values twice */
}

double fs_dead_bytes(const fs_manifest *m) {
    double sum = 0;

    for (size_t i = 0; i < m->n_tables; i++) {
        const fs_meta *t = &m->tables[i];
        double n = t->count == 0 ? 1 : (double)t->count;

        sum += (double)t->gone;
        sum += (double)t->shadow * left(t);
        sum += (double)t->tombstones / n * left(t) * (double)t->size;
    }
    for (size_t i = 0; i < m->n_vals; i++) sum += val_dead(m, &m->vals[i]);
    return sum;
}

static double stored_bytes(const fs_manifest *m) {
    double sum = 0;

    for (size_t i = 0; i < m->n_tables; i++) sum += (double)m->tables[i].size;
    for (size_t i = 0; i < m->n_vals; i++) sum += (double)m->vals[i].size;
    return sum;
}

/* Sets the task: merge these runs, in steps if they have more than `step`
 * bytes. */
static void take(fs_task *t, size_t first, size_t n, double bytes,
                 double step) {
    t->first = first;
    t->n = n;
    t->sweep = bytes > step;
}

/* Finds enough runs of similar size among the newest `n`; `whole`: only if one
 * step suffices. */
static bool pick_tier(const fs_manifest *m, size_t n, double step, bool whole,
                      fs_task *out) {
    for (size_t first = 0; first + TIER_RUNS <= n; first++) {
        double sum = run_bytes(m, first);
        size_t k = first + 1;

        for (; k < n; k++) {
            double bytes = run_bytes(m, k);

            if (bytes > TIER_SPREAD * sum / (double)(k - first)) break;
            sum += bytes;
        }
        if (k - first < TIER_RUNS || (whole && sum > step)) continue;
        take(out, first, k - first, sum, step);
        return true;
    }
    return false;
}

/* Finds the sweep under way: its sources, then the run they are merged into. */
static bool find_sweep(const fs_manifest *m, fs_task *out) {
    size_t first = 0, end;

    while (first < m->n_runs && !(m->runs[first].flags & FS_RUN_SWEEP)) first++;
    end = first;
    while (end < m->n_runs && m->runs[end].flags & FS_RUN_SWEEP) end++;
    if (end == m->n_runs && end > 0) end--; /* a clear has removed the target */
    if (end <= first) return false;
    out->first = first;
    out->n = end - first + 1;
    out->sweep = true;
    return true;
}

/* True if walks over the tombstones above the bottom have cost as much as a
 * merge of `bytes` into it. A queue whose head is read before each removal
 * walks over all that were removed. */
static bool is_worn(const fs_manifest *m, uint64_t passed, double bytes) {
    uint64_t tombstones = 0;

    for (size_t i = 0; i < m->runs[m->n_runs - 1].first; i++)
        tombstones += m->tables[i].tombstones;
    return tombstones > 0 && passed >= PASSED_LEAST &&
           (double)passed * PASSED_BYTES >= bytes;
}

static bool pick_bottom(const fs_manifest *m, double step, uint64_t passed,
                        fs_task *out) {
    double above = 0, bottom = run_bytes(m, m->n_runs - 1);
    double dead = fs_dead_bytes(m);

    for (size_t r = 0; r + 1 < m->n_runs; r++) above += run_bytes(m, r);
    if (above < bottom && !is_worn(m, passed, above + bottom) &&
        (dead <= DEAD_SHARE * stored_bytes(m) ||
         (dead < DEAD_LEAST && m->n_runs < TIER_RUNS)))
        return false;
    take(out, 0, m->n_runs, above + bottom, step);
    return true;
}

static void rewrite(const fs_manifest *m, size_t table, uint64_t val,
                    fs_task *out) {
    size_t r = 0;

    while (table >= m->runs[r].first + m->runs[r].count) r++;
    out->first = r;
    out->n = 1;
    out->rewrite = true;
    out->table = table;
    out->val = val;
}

static bool pick_values(const fs_manifest *m, const nadb_compact_goal *goal,
                        fs_task *out) {
    const fs_val_meta *worst = NULL;
    double most = 0, dead = 0, size = 0;

    for (size_t i = 0; i < m->n_vals; i++) {
        double d = val_dead(m, &m->vals[i]);

        dead += d;
        size += (double)m->vals[i].size;
        if (d / (double)m->vals[i].size <= most ||
            (goal != NULL && m->vals[i].number >= goal->file))
            continue;
        most = d / (double)m->vals[i].size;
        worst = &m->vals[i];
    }
    if (worst == NULL || (goal == NULL && dead <= DEAD_SHARE * size))
        return false;
    for (size_t i = 0; i < m->n_tables; i++) {
        for (size_t k = 0; k < m->tables[i].n_uses; k++) {
            if (m->tables[i].uses[k].file != worst->number) continue;
            rewrite(m, i, worst->number, out);
            return true;
        }
    }
    return false;
}

/* In the bottom, the dead data of a table are what an interrupted sweep has
 * consumed, and tombstones in tables that were moved there. */
static bool pick_rest(const fs_manifest *m, const nadb_compact_goal *goal,
                      fs_task *out) {
    const fs_run *bottom = &m->runs[m->n_runs - 1];

    for (size_t i = bottom->first; i < bottom->first + bottom->count; i++) {
        const fs_meta *t = &m->tables[i];

        if (goal != NULL
                ? (t->gone == 0 && t->tombstones == 0) ||
                      t->number >= goal->file
                : t->gone * 2 <= t->size && t->tombstones * 2 <= t->count)
            continue;
        rewrite(m, i, 0, out);
        return true;
    }
    return false;
}

/* True if the goal includes a run above the bottom. */
static bool is_above(const fs_manifest *m, const nadb_compact_goal *goal) {
    const fs_run *bottom = &m->runs[m->n_runs - 1];

    for (size_t i = 0; i < bottom->first; i++)
        if (m->tables[i].min_seq <= goal->seq) return true;
    return false;
}

bool fs_pick(const fs_manifest *m, uint64_t step_bytes, uint64_t passed,
             const nadb_compact_goal *goal, fs_task *out) {
    double step = (double)step_bytes;
    fs_task sweep;

    memset(out, 0, sizeof *out);
    memset(&sweep, 0, sizeof sweep);
    if (m->n_runs == 0) return false;
    if (find_sweep(m, &sweep)) {
        /* A long sweep must not let new runs pile up. */
        if (pick_tier(m, sweep.first, step, true, out)) return true;
        *out = sweep;
        return true;
    }
    if (m->n_runs > 1 && (goal == NULL || is_above(m, goal))) {
        if (goal != NULL) {
            double sum = 0;

            for (size_t r = 0; r < m->n_runs; r++) sum += run_bytes(m, r);
            take(out, 0, m->n_runs, sum, step);
            return true;
        }
        if (pick_tier(m, m->n_runs - 1, step, false, out)) return true;
        if (pick_bottom(m, step, passed, out)) return true;
    }
    return pick_values(m, goal, out) || pick_rest(m, goal, out);
}
