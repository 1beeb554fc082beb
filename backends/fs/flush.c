/* flush.c - a frozen memtable becomes the newest run.
 *
 * For each entry the hashes of the tables below are asked whether they have
 * the key: a tombstone for a key that is nowhere is not written, and the count
 * of entries that replace older ones tells compaction how much is dead. */
#include "fs_ops.h"
#include "output.h"

typedef struct flush {
    fs_base *b;
    fs_version *v;
    const nadb_flush_req *req;
    bool below; /* something is left below that the entries may replace */
    unsigned sample, turn;
} flush;

/* The question costs a cache line a run, more without a mapping: every 4th or
 * 64th value answers for the others. Tombstones are always asked about, unless
 * that means reading. What cannot be asked counts as there: a damaged table
 * does not stop a flush. */
static bool replaces(flush *f, const nadb_entry *e, double *weight) {
    bool tombstone = (e->flags & NADB_ENTRY_TOMBSTONE) != 0;
    bool maybe;

    *weight = 1;
    if (!f->below) return false;
    if (!tombstone) {
        *weight = f->sample;
        if (++f->turn % f->sample != 0) return false;
    } else if (!f->b->env.mmap) {
        return true;
    }
    return fs_maybe(f->v, 0, e->key, &maybe, NULL) != NADB_OK || maybe;
}

static nadb_rc write_entries(flush *f, fs_output *o, nadb_err *err) {
    nadb_iter *it = f->req->entries;
    uint64_t clear = f->req->clear_seq;

    for (;;) {
        nadb_rc rc = nadb_iter_next(it, err);
        fs_entry e;
        double weight;
        bool old;

        if (rc != NADB_OK || !it->valid) return rc;
        if (clear > 0 && it->entry.seq <= clear) continue;
        old = replaces(f, &it->entry, &weight);
        memset(&e, 0, sizeof e);
        e.seq = it->entry.seq;
        if (it->entry.flags & NADB_ENTRY_TOMBSTONE) {
            if (!old) continue;
            e.kind = FS_TOMBSTONE;
        } else {
            e.value = it->entry.value;
        }
        rc = fs_output_add(o, it->entry.key, &e, err);
        if (rc != NADB_OK) return rc;
        if (old) o->shadow += weight;
    }
}

static nadb_rc next_manifest(const flush *f, const fs_output *o, fs_manifest *m,
                             nadb_err *err) {
    const fs_manifest *old = &f->v->m;
    nadb_rc rc = fs_edit_begin(m, old, fs_output_tables(o) + 1, err);

    if (rc != NADB_OK) return rc;
    m->first_log = f->req->first_log;
    m->seq = f->req->seq;
    m->clear_seq = f->req->clear_seq;
    fs_edit_run(m, 0);
    for (size_t i = 0; rc == NADB_OK && i < fs_output_tables(o); i++)
        rc = fs_edit_table(m, fs_output_table(o, i), err);
    for (size_t r = 0; r < old->n_runs; r++) {
        fs_edit_run(m, old->runs[r].flags);
        for (size_t i = 0; rc == NADB_OK && i < old->runs[r].count; i++)
            rc = fs_edit_table(m, &old->tables[old->runs[r].first + i], err);
    }
    if (rc == NADB_OK) rc = fs_edit_end(m, old, o, err);
    if (rc != NADB_OK) fs_manifest_clear(m);
    return rc;
}

nadb_rc fs_flush(nadb_base *base, const nadb_flush_req *req,
                 nadb_base_version **out, nadb_err *err) {
    flush f = {(fs_base *)base, NULL, req, false, 4, 0};
    fs_output o;
    fs_manifest m;
    nadb_rc rc;

    *out = NULL;
    rc = fs_version_open(f.b, &f.v, err);
    if (rc != NADB_OK) return rc;
    if (!f.b->env.mmap) f.sample = 64;
    for (size_t i = 0; i < f.v->m.n_tables; i++)
        if (req->clear_seq == 0 || f.v->m.tables[i].max_seq > req->clear_seq)
            f.below = true;
    fs_output_init(&o, f.b, req->clear_seq);
    rc = write_entries(&f, &o, err);
    if (rc == NADB_OK) rc = fs_output_finish(&o, err);
    if (rc == NADB_OK) rc = next_manifest(&f, &o, &m, err);
    if (rc == NADB_OK) rc = fs_install(&o, f.v, &m, out, err);
    fs_output_clear(&o);
    fs_version_unref(&f.v->pub);
    return rc;
}
