/* unused.c - unlinks files that no process needs.
 *
 * A file number is used once, so a file that a MANIFEST no longer names is
 * never named again. If the MANIFEST of generation G does not name a file, no
 * process at G or later needs it, and it can be unlinked once every process has
 * left the generations below G. For files that this base has dropped, G is
 * known. For others (dropped by another process, or left by a crash during a
 * flush) G is the generation at which this process first sees that MANIFEST
 * does not name them, which is never too early. A running flush has files that
 * no MANIFEST names yet; none can be running, because the caller holds the
 * flusher word. A .txn file still has a name only if its maker was killed or is
 * about to unlink it. */
#include "fs_ops.h"
#include "output.h"

static bool names(const fs_manifest *m, uint64_t number, bool is_val) {
    for (size_t i = 0; !is_val && i < m->n_tables; i++)
        if (m->tables[i].number == number) return true;
    for (size_t i = 0; is_val && i < m->n_vals; i++)
        if (m->vals[i].number == number) return true;
    return false;
}

static fs_dropped *find_dropped(fs_base *b, uint64_t number, bool is_val) {
    fs_dropped *d = (fs_dropped *)(void *)b->dropped.p;

    for (size_t i = 0; i < b->dropped.n / sizeof *d; i++)
        if (d[i].number == number && d[i].is_val == is_val) return &d[i];
    return NULL;
}

/* Without memory the file is not noted; the next look at the directory finds it
 * again. */
static void note(fs_base *b, uint64_t number, bool is_val,
                 uint64_t generation) {
    fs_dropped d = {number, generation, is_val};

    if (find_dropped(b, number, is_val) == NULL)
        (void)!nadb_buf_append(&b->dropped, &d, sizeof d);
}

void fs_note_dropped(fs_base *b, const fs_manifest *old,
                     const fs_manifest *fresh) {
    for (size_t i = 0; i < old->n_tables; i++)
        if (!names(fresh, old->tables[i].number, false))
            note(b, old->tables[i].number, false, fresh->generation);
    for (size_t i = 0; i < old->n_vals; i++)
        if (!names(fresh, old->vals[i].number, true))
            note(b, old->vals[i].number, true, fresh->generation);
}

typedef struct sweep {
    fs_base *b;
    const fs_manifest *m;
    bool tmp; /* a MANIFEST.tmp exists */
} sweep;

static nadb_rc look(void *ctx, const char *name, nadb_err *err) {
    sweep *s = ctx;
    const char *kind;
    uint64_t number;
    bool is_val;

    (void)err;
    if (strcmp(name, "MANIFEST.tmp") == 0) s->tmp = true;
    if (!nadb_file_parse(name, &number, &kind)) return NADB_OK;
    /* Its maker does not need the name (core/engine/scratch.c). */
    if (strcmp(kind, "txn") == 0)
        (void)nadb_home_unlink(s->b->env.home, number, kind, NULL);
    is_val = strcmp(kind, "val") == 0;
    if ((is_val || strcmp(kind, "sst") == 0) && !names(s->m, number, is_val))
        note(s->b, number, is_val, s->m->generation);
    return NADB_OK;
}

nadb_rc fs_remove_unused(nadb_base *base, uint64_t oldest_generation,
                         nadb_err *err) {
    fs_base *b = (fs_base *)base;
    fs_manifest m;
    sweep s = {b, &m, false};
    fs_dropped *d;
    size_t kept = 0;
    nadb_rc rc = fs_manifest_read(b->env.home, &m, err);

    if (rc != NADB_OK) return rc;
    rc = b->env.os->dir_list(b->env.home->dir, look, &s, err);
    if (rc == NADB_OK && s.tmp)
        rc = b->env.os->unlink(b->env.home->dir, "MANIFEST.tmp", err);
    d = (fs_dropped *)(void *)b->dropped.p;
    for (size_t i = 0; rc == NADB_OK && i < b->dropped.n / sizeof *d; i++) {
        if (d[i].generation > oldest_generation ||
            fs_handle_live(b, d[i].number, d[i].is_val)) {
            d[kept++] = d[i];
            continue;
        }
        rc = nadb_home_unlink(b->env.home, d[i].number,
                              d[i].is_val ? "val" : "sst", err);
    }
    /* After an error the list may contain files that are gone; unlinking them
     * again is harmless. */
    if (rc == NADB_OK) b->dropped.n = kept * sizeof *d;
    fs_manifest_clear(&m);
    return rc;
}
