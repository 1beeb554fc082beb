/* iter.c - the base's iterator: a merge of all runs (merge.h), with large
 * values read, and without tombstones and entries that a clear hides. */
#include "fs_ops.h"
#include "merge.h"

typedef struct iter {
    nadb_iter it;
    fs_merge merge;
    nadb_buf value;  /* bytes of a large value that is not mapped */
    uint64_t passed; /* as fs_base.passed */
} iter;

static inline bool passed_over(const iter *it, const fs_cursor *c) {
    return c->e.kind == FS_TOMBSTONE || fs_hidden(it->merge.v, c->s, c->e.seq);
}

static nadb_rc show(iter *it, nadb_err *err) {
    fs_version *v = it->merge.v;
    fs_cursor *c = it->merge.top;
    nadb_entry *out = &it->it.entry;

    it->it.valid = false;
    for (; c != NULL && passed_over(it, c); c = it->merge.top) {
        nadb_rc rc = fs_merge_next(&it->merge, err);

        it->passed++;
        if (rc != NADB_OK) return rc;
    }
    if (c == NULL) return NADB_OK;
    out->key = nadb_buf_slice(&c->key);
    out->value = c->e.value;
    out->seq = c->e.seq;
    out->flags = c->private ? 0 : NADB_ENTRY_VALUE_PINNED;
    out->id = fs_id(c->s->number, c->off + c->e.at);
    if (c->e.kind == FS_REF) {
        nadb_rc rc =
            fs_resolve(v, c->e.value, &it->value, &out->value, &out->id, err);

        if (rc != NADB_OK) return rc;
        out->flags = v->base->env.mmap ? NADB_ENTRY_VALUE_PINNED : 0;
    }
    it->it.valid = true;
    return NADB_OK;
}

static nadb_rc iter_next(nadb_iter *base, nadb_err *err) {
    iter *it = (iter *)base;
    nadb_rc rc = fs_merge_next(&it->merge, err);

    it->it.valid = false;
    return rc == NADB_OK ? show(it, err) : rc;
}

static nadb_rc iter_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    iter *it = (iter *)base;
    nadb_rc rc = fs_merge_seek(&it->merge, key, err);

    it->it.valid = false;
    return rc == NADB_OK ? show(it, err) : rc;
}

static void iter_free(nadb_iter *base) {
    iter *it = (iter *)base;
    fs_version *v = it->merge.v;

    if (it->passed > 0) atomic_fetch_add(&v->base->passed, it->passed);
    fs_merge_clear(&it->merge);
    nadb_buf_clear(&it->value);
    nadb_free(it);
    fs_version_unref(&v->pub);
}

nadb_rc fs_iter(nadb_base_version *base, const nadb_range *range,
                nadb_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {iter_next, iter_seek, iter_free};
    fs_version *v = (fs_version *)base;
    iter *it = nadb_calloc(1, sizeof *it);
    nadb_rc rc;

    *out = NULL;
    if (it == NULL)
        return nadb_fail(err, NADB_NOMEM, "reading %s", v->base->env.dir);
    it->it.ops = &ops;
    rc = fs_merge_init(&it->merge, v, 0, v->m.n_runs, range, false, err);
    if (rc != NADB_OK) {
        nadb_free(it);
        return rc;
    }
    fs_version_ref(base);
    *out = &it->it;
    return NADB_OK;
}
