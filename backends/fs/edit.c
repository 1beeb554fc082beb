/* edit.c - makes the next manifest from the present one, and installs it
 * (output.h). */
#include <stdlib.h>

#include "output.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "making the next MANIFEST");
}

nadb_rc fs_edit_begin(fs_manifest *m, const fs_manifest *old, size_t more,
                      nadb_err *err) {
    memset(m, 0, sizeof *m);
    m->generation = old->generation + 1;
    m->first_log = old->first_log;
    m->seq = old->seq;
    m->clear_seq = old->clear_seq;
    m->totals = old->totals;
    m->runs =
        nadb_arena_alloc(&m->arena, (old->n_runs + more + 1) * sizeof *m->runs);
    m->tables = nadb_arena_alloc(&m->arena, (old->n_tables + more + 1) *
                                                sizeof *m->tables);
    if (m->runs != NULL && m->tables != NULL) return NADB_OK;
    fs_manifest_clear(m);
    return no_memory(err);
}

void fs_edit_run(fs_manifest *m, unsigned flags) {
    fs_run run = {m->n_tables, 0, flags};

    m->runs[m->n_runs++] = run;
}

nadb_rc fs_edit_table(fs_manifest *m, const fs_meta *t, nadb_err *err) {
    fs_run *run = &m->runs[m->n_runs - 1];
    size_t at = m->n_tables;
    fs_meta copy;

    if (!fs_manifest_meta(m, &copy, t)) return no_memory(err);
    while (at > run->first && nadb_slice_cmp(copy.lo, m->tables[at - 1].lo) < 0)
        at--;
    memmove(m->tables + at + 1, m->tables + at,
            (m->n_tables - at) * sizeof *m->tables);
    m->tables[at] = copy;
    m->n_tables++;
    run->count++;
    return NADB_OK;
}

static void leave_out(fs_manifest *m) {
    size_t n_runs = 0, n_tables = 0;

    for (size_t r = 0; r < m->n_runs; r++) {
        fs_run run = {n_tables, 0, m->runs[r].flags};

        for (size_t i = 0; i < m->runs[r].count; i++) {
            fs_meta t = m->tables[m->runs[r].first + i];

            if (m->clear_seq > 0 && t.max_seq <= m->clear_seq) continue;
            m->tables[n_tables++] = t;
            run.count++;
        }
        if (run.count > 0) m->runs[n_runs++] = run;
    }
    m->n_runs = n_runs;
    m->n_tables = n_tables;
}

static bool val_size(const fs_val_meta *vals, size_t n, uint64_t number,
                     uint64_t *size) {
    for (size_t i = 0; i < n; i++) {
        if (vals[i].number != number) continue;
        *size = vals[i].size;
        return true;
    }
    return false;
}

static int by_number(const void *a, const void *b) {
    const fs_val_meta *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* Lists the .val files that a table uses. */
static nadb_rc list_vals(fs_manifest *m, const fs_manifest *old,
                         const fs_output *o, nadb_err *err) {
    const fs_val_meta *fresh = (const fs_val_meta *)(const void *)o->vals.p;
    size_t n_fresh = o->vals.n / sizeof *fresh;
    uint64_t size;

    m->vals = nadb_arena_alloc(&m->arena,
                               (old->n_vals + n_fresh + 1) * sizeof *m->vals);
    if (m->vals == NULL) return no_memory(err);
    for (size_t i = 0; i < m->n_tables; i++) {
        const fs_meta *t = &m->tables[i];

        for (size_t k = 0; k < t->n_uses; k++) {
            uint64_t number = t->uses[k].file;

            if (val_size(m->vals, m->n_vals, number, &size)) continue;
            if (!val_size(old->vals, old->n_vals, number, &size) &&
                !val_size(fresh, n_fresh, number, &size))
                return nadb_corrupt(err,
                                    "table %06llu.sst uses %06llu.val, which "
                                    "MANIFEST does not name",
                                    (unsigned long long)t->number,
                                    (unsigned long long)number);
            m->vals[m->n_vals].number = number;
            m->vals[m->n_vals++].size = size;
        }
    }
    if (m->n_vals > 1) qsort(m->vals, m->n_vals, sizeof *m->vals, by_number);
    return NADB_OK;
}

nadb_rc fs_edit_end(fs_manifest *m, const fs_manifest *old, const fs_output *o,
                    nadb_err *err) {
    leave_out(m);
    return list_vals(m, old, o, err);
}

/* True if MANIFEST may have been replaced despite an error (the rename
 * succeeded and the sync of the directory failed), or if that cannot be found
 * out. The new files must stay then. */
static bool may_be_installed(fs_base *b, uint64_t generation) {
    fs_manifest now;
    bool old;

    if (fs_manifest_read(b->env.home, &now, NULL) != NADB_OK) return true;
    old = now.generation != generation;
    fs_manifest_clear(&now);
    return !old;
}

/* File numbers rise, so files that the old state lacks are new. */
static void count_made(fs_version *v, const nadb_base_version *old) {
    for (size_t i = 0; i < v->m.n_tables; i++) {
        if (v->m.tables[i].number <= old->last_file) continue;
        v->pub.made_entries += v->m.tables[i].count;
        v->pub.made_bytes += v->m.tables[i].size;
    }
    for (size_t i = 0; i < v->m.n_vals; i++)
        if (v->m.vals[i].number > old->last_file)
            v->pub.made_bytes += v->m.vals[i].size;
}

nadb_rc fs_install(fs_output *o, const fs_version *old, fs_manifest *m,
                   nadb_base_version **out, nadb_err *err) {
    fs_base *b = o->b;
    fs_version *v;
    nadb_rc rc;

    memcpy(m->store_id, b->env.home->id.bytes, NADB_STORE_ID);
    rc = fs_version_make(b, m, &v, err);

    if (rc != NADB_OK) return rc;
    rc = fs_manifest_write(b->env.home, &v->m, err);
    if (rc != NADB_OK) {
        o->installed = may_be_installed(b, v->m.generation);
        fs_version_unref(&v->pub);
        return rc;
    }
    o->installed = true;
    count_made(v, &old->pub);
    fs_note_dropped(b, &old->m, &v->m);
    *out = &v->pub;
    return NADB_OK;
}
