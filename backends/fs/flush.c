/* flush.c - writes frozen memtables as the newest run.
 *
 * A tombstone is written only if a table below may have its key. A sample of
 * keys is looked up to estimate how many bytes below become dead, so that
 * compaction is started for overwritten and deleted data, and not for data that
 * are only added. */
#include "../../core/util/job.h"
#include "fs_ops.h"
#include "output.h"

/* The first SAMPLE_ALL entries of a flush are all looked up, then every 16th
 * with a mapping (a few cache lines each), or every 64th without one (a few
 * reads each). */
enum { SAMPLE_ALL = 512, SAMPLE = 16, SAMPLE_PREAD = 64 };

typedef struct flush {
    fs_base *b;
    fs_version *v;
    const nadb_flush_req *req;
    bool below; /* the base has something that the entries may replace */
    uint64_t turn;
    nadb_buf scratch;
} flush;

/* Large values are few and dominate the dead bytes, so each is looked up. An
 * unreadable entry counts as 0: damage below does not stop a flush. */
static double replaced_bytes(flush *f, const nadb_entry *e) {
    uint64_t one_in = f->b->env.mmap ? SAMPLE : SAMPLE_PREAD;
    double bytes;

    if (!f->below) return 0;
    if (f->turn++ < SAMPLE_ALL || e->value.n > FS_VAL_THRESHOLD)
        one_in = 1;
    else if (f->turn % one_in != 0)
        return 0;
    if (fs_old_bytes(f->v, e->key, &f->scratch, &bytes, NULL) != NADB_OK)
        return 0;
    return bytes * (double)one_in;
}

/* Without a mapping the question would need reads, so all tombstones are
 * kept. */
static bool kills(flush *f, const nadb_entry *e) {
    bool maybe;

    if (!f->below || !f->b->env.mmap) return f->below;
    return fs_maybe(f->v, e->key, &maybe, NULL) != NADB_OK || maybe;
}

static nadb_rc write_entries(flush *f, fs_output *o, nadb_err *err) {
    nadb_iter *it = f->req->entries;
    uint64_t clear = f->req->clear_seq;

    for (;;) {
        nadb_rc rc = nadb_iter_next(it, err);
        fs_entry e;
        double dead;

        if (rc != NADB_OK || !it->valid) return rc;
        rc = nadb_job_step(1, it->entry.key.n + it->entry.value.n, err);
        if (rc != NADB_OK) return rc;
        if (clear > 0 && it->entry.seq <= clear) continue;
        memset(&e, 0, sizeof e);
        e.seq = it->entry.seq;
        if (it->entry.flags & NADB_ENTRY_TOMBSTONE) {
            if (!kills(f, &it->entry)) continue;
            e.kind = FS_TOMBSTONE;
        } else {
            e.value = it->entry.value;
        }
        dead = replaced_bytes(f, &it->entry);
        rc = fs_output_add(o, it->entry.key, &e, err);
        if (rc != NADB_OK) return rc;
        o->shadow += dead;
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
    m->totals = *f->req->totals;
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

/* Opens every file, once: nothing may be overwritten that a newer version of
 * nadb has made. */
static nadb_rc open_all(fs_version *v, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; rc == NADB_OK && i < v->m.n_tables; i++) {
        fs_sst *s;

        rc = fs_handle_sst(v->tables[i], &s, err);
    }
    for (size_t i = 0; rc == NADB_OK && i < v->m.n_vals; i++) {
        fs_val *s;

        rc = fs_handle_val(v->vals[i], &s, err);
    }
    /* Damage of old data is reported to readers; it must not stop new data. */
    return rc == NADB_CORRUPT ? NADB_OK : rc;
}

nadb_rc fs_flush(nadb_base *base, const nadb_flush_req *req,
                 nadb_base_version **out, nadb_err *err) {
    flush f = {.b = (fs_base *)base, .req = req};
    fs_output o;
    fs_manifest m;
    nadb_rc rc;

    *out = NULL;
    rc = fs_version_open(f.b, &f.v, err);
    if (rc != NADB_OK) return rc;
    rc = open_all(f.v, err);
    if (rc != NADB_OK) {
        fs_version_unref(&f.v->pub);
        return rc;
    }
    for (size_t i = 0; i < f.v->m.n_tables; i++)
        if (req->clear_seq == 0 || f.v->m.tables[i].max_seq > req->clear_seq)
            f.below = true;
    fs_output_init(&o, f.b, req->clear_seq);
    rc = write_entries(&f, &o, err);
    if (rc == NADB_OK) rc = fs_output_finish(&o, err);
    if (rc == NADB_OK) rc = next_manifest(&f, &o, &m, err);
    if (rc == NADB_OK) rc = fs_install(&o, f.v, &m, out, err);
    fs_output_clear(&o);
    nadb_buf_clear(&f.scratch);
    fs_version_unref(&f.v->pub);
    return rc;
}
