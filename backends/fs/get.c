/* get.c - reads one key, newest run first.
 *
 * Cost of a hit with tables in memory: one cache line of the hash for each
 * newer run; and in the run that has the key one line of the hash, the block's
 * offset, the block's head and the entry. The lines of the hashes are
 * independent of each other, so all are prefetched before the first is used. */
#include "base.h"

size_t fs_run_find(const fs_version *v, const fs_run *run, nadb_slice key) {
    const fs_meta *t = v->m.tables + run->first;
    size_t lo = 0, hi = run->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (nadb_slice_cmp(t[mid].hi, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The table of the run that may have the key, opened; NULL if there is none. */
static nadb_rc run_table(fs_version *v, size_t r, nadb_slice key, fs_sst **out,
                         nadb_err *err) {
    const fs_run *run = &v->m.runs[r];
    size_t i = fs_run_find(v, run, key);
    const fs_meta *t = &v->m.tables[run->first + i];

    *out = NULL;
    if (i == run->count || nadb_slice_cmp(key, t->lo) < 0 ||
        (v->m.clear_seq > 0 && t->max_seq <= v->m.clear_seq))
        return NADB_OK;
    return fs_handle_sst(v->tables[run->first + i], out, err);
}

static nadb_rc find_val(fs_version *v, uint64_t number, fs_val **out,
                        nadb_err *err) {
    size_t lo = 0, hi = v->m.n_vals;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (v->m.vals[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == v->m.n_vals || v->m.vals[lo].number != number)
        return nadb_corrupt(err,
                            "%s: a table refers to values in %06llu.val, "
                            "which MANIFEST does not name",
                            v->base->env.dir, (unsigned long long)number);
    return fs_handle_val(v->vals[lo], out, err);
}

nadb_rc fs_resolve(fs_version *v, nadb_slice ref, nadb_buf *scratch,
                   nadb_slice *out, uint64_t *id, nadb_err *err) {
    fs_ref r;
    fs_val *val;
    nadb_rc rc;

    if (!fs_ref_decode(ref, &r))
        return nadb_corrupt(err, "%s: a bad reference to a large value",
                            v->base->env.dir);
    rc = find_val(v, r.file, &val, err);
    if (rc != NADB_OK) return rc;
    *id = fs_id(r.file, r.off);
    return fs_val_read(val, &r, scratch, out, err);
}

static nadb_rc fill(fs_version *v, const fs_sst *s, nadb_slice key,
                    const fs_entry *e, uint64_t at, nadb_buf *scratch,
                    nadb_entry *out, nadb_err *err) {
    out->key = key;
    out->value = e->value;
    out->seq = e->seq;
    out->flags = v->base->env.mmap ? NADB_ENTRY_PINNED : 0;
    out->id = fs_id(s->number, at);
    if (e->kind == FS_TOMBSTONE) out->flags |= NADB_ENTRY_TOMBSTONE;
    if (e->kind == FS_REF)
        return fs_resolve(v, e->value, scratch, &out->value, &out->id, err);
    return NADB_OK;
}

enum { GROUP = 16 }; /* number of runs whose lines are prefetched together */

nadb_rc fs_get(nadb_base_version *base, nadb_slice key, nadb_buf *scratch,
               nadb_entry *out, bool *found, nadb_err *err) {
    fs_version *v = (fs_version *)base;
    uint64_t hash = nadb_hash64(key);
    fs_sst *tables[GROUP];

    *found = false;
    for (size_t r = 0; r < v->m.n_runs; r += GROUP) {
        size_t n = v->m.n_runs - r < GROUP ? v->m.n_runs - r : GROUP;

        for (size_t i = 0; i < n; i++) {
            nadb_rc rc = run_table(v, r + i, key, &tables[i], err);

            if (rc != NADB_OK) return rc;
            if (tables[i] != NULL) fs_sst_prefetch(tables[i], hash);
        }
        for (size_t i = 0; i < n; i++) {
            fs_entry e;
            uint64_t at;
            bool got;
            nadb_rc rc;

            if (tables[i] == NULL) continue;
            rc = fs_sst_get(tables[i], key, hash, scratch, &e, &at, &got, err);
            if (rc != NADB_OK) return rc;
            if (!got) continue;
            /* If a clear hides this entry it hides all older ones. */
            if (fs_hidden(v, tables[i], e.seq)) return NADB_OK;
            rc = fill(v, tables[i], key, &e, at, scratch, out, err);
            *found = rc == NADB_OK;
            return rc;
        }
    }
    return NADB_OK;
}

nadb_rc fs_maybe(fs_version *v, nadb_slice key, bool *maybe, nadb_err *err) {
    uint64_t hash = nadb_hash64(key);

    *maybe = false;
    for (size_t r = 0; r < v->m.n_runs && !*maybe; r++) {
        fs_sst *s;
        nadb_rc rc = run_table(v, r, key, &s, err);

        if (rc == NADB_OK && s != NULL) rc = fs_sst_maybe(s, hash, maybe, err);
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

nadb_rc fs_old_bytes(fs_version *v, nadb_slice key, nadb_buf *scratch,
                     double *bytes, nadb_err *err) {
    uint64_t hash = nadb_hash64(key);
    bool found = false;

    *bytes = 0;
    for (size_t r = 0; r < v->m.n_runs && !found; r++) {
        fs_sst *s;
        fs_entry e;
        fs_ref ref;
        uint64_t at;
        nadb_rc rc = run_table(v, r, key, &s, err);

        if (rc == NADB_OK && s != NULL)
            rc = fs_sst_get(s, key, hash, scratch, &e, &at, &found, err);
        if (rc != NADB_OK) return rc;
        if (!found) continue;
        *bytes = (double)(key.n + e.value.n);
        if (e.kind == FS_REF && fs_ref_decode(e.value, &ref))
            *bytes += (double)ref.n;
    }
    return NADB_OK;
}
