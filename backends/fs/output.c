/* output.c - writes the tables and large values of a flush or compaction
 * (output.h). */
#include "output.h"

#include <errno.h>

static nadb_rc no_memory(const fs_output *o, nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "writing tables in %s", o->b->env.dir);
}

void fs_output_init(fs_output *o, fs_base *b, uint64_t clear_seq) {
    memset(o, 0, sizeof *o);
    o->b = b;
    o->clear_seq = clear_seq;
    o->oldest_seq = b->env.oldest_seq(b->env.ctx);
    o->min_seq = UINT64_MAX;
}

static nadb_rc make(fs_output *o, uint64_t number, bool is_val, nadb_err *err) {
    const nadb_home *home = o->b->env.home;

    if (is_val) return fs_val_create(&o->val, home, number, err);
    return fs_writer_open(home, number, o->clear_seq, &o->w, err);
}

/* Makes the next file, which is noted before it exists so that clear() finds
 * it. If a file has the name already, the number is skipped and not noted. */
static nadb_rc new_file(fs_output *o, bool is_val, nadb_err *err) {
    const nadb_base_env *env = &o->b->env;
    fs_dropped d = {0, 0, is_val};
    nadb_err mine;
    nadb_rc rc = NADB_OK;

    for (int tries = 0; tries < NADB_NAME_TRIES; tries++) {
        nadb_err_clear(&mine);
        rc = env->next_file(env->ctx, &d.number, &mine);
        if (rc != NADB_OK) break;
        if (!nadb_buf_append(&o->made, &d, sizeof d)) return no_memory(o, err);
        rc = make(o, d.number, is_val, &mine);
        if (mine.sys_errno != EEXIST) break;
        o->made.n -= sizeof d;
    }
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

static nadb_rc close_val(fs_output *o, nadb_err *err) {
    fs_val_meta meta = {o->val.number, o->val.size};

    if (o->val.file == NULL) return NADB_OK;
    if (!nadb_buf_append(&o->vals, &meta, sizeof meta))
        return no_memory(o, err);
    return fs_val_finish(&o->val, err);
}

static nadb_rc add_large(fs_output *o, nadb_slice value, fs_ref *ref,
                         nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (value.n > FS_VALUE_MAX)
        return nadb_fail(err, NADB_TOOBIG, "a value of %zu bytes", value.n);
    if (o->val.file != NULL && o->val.size >= o->b->limits.val_bytes)
        rc = close_val(o, err);
    if (rc == NADB_OK && o->val.file == NULL) rc = new_file(o, true, err);
    return rc == NADB_OK ? fs_val_append(&o->val, value, ref, err) : rc;
}

static nadb_rc close_table(fs_output *o, nadb_err *err) {
    fs_meta meta, copy;
    nadb_rc rc;

    if (o->w == NULL) return NADB_OK;
    if (o->max_seq > 0) fs_writer_seqs(o->w, o->min_seq, o->max_seq);
    rc = fs_writer_finish(o->w, &meta, err);
    if (rc != NADB_OK) return rc;
    meta.shadow = (uint64_t)o->shadow;
    o->shadow = 0;
    if (!fs_manifest_meta(&o->own, &copy, &meta) ||
        !nadb_buf_append(&o->metas, &copy, sizeof copy))
        return no_memory(o, err);
    fs_writer_free(o->w);
    o->w = NULL;
    return NADB_OK;
}

nadb_rc fs_output_add(fs_output *o, nadb_slice key, const fs_entry *e,
                      nadb_err *err) {
    uint8_t bytes[4 * NADB_VARINT_MAX];
    fs_entry copy = *e;
    fs_ref ref = {0};
    nadb_rc rc = NADB_OK;

    if (key.n > FS_KEY_MAX)
        return nadb_fail(err, NADB_TOOBIG, "a key of %zu bytes", key.n);
    if (o->w != NULL && fs_writer_full(o->w, o->b->limits.table_bytes))
        rc = close_table(o, err);
    if (rc == NADB_OK && o->w == NULL) rc = new_file(o, false, err);
    if (rc != NADB_OK) return rc;
    if (copy.seq < o->oldest_seq) copy.seq = 0;
    if (copy.kind == FS_VALUE && copy.value.n > FS_VAL_THRESHOLD) {
        rc = add_large(o, copy.value, &ref, err);
        if (rc != NADB_OK) return rc;
        copy.kind = FS_REF;
        copy.value =
            nadb_slice_of(bytes, (size_t)(fs_ref_put(bytes, &ref) - bytes));
    }
    return fs_writer_add(o->w, key, &copy, e->seq, err);
}

nadb_rc fs_output_finish(fs_output *o, nadb_err *err) {
    nadb_rc rc = close_table(o, err);

    if (rc == NADB_OK) rc = close_val(o, err);
    if (rc == NADB_OK && o->made.n > 0)
        rc = o->b->env.os->dir_sync(o->b->env.home->dir, err);
    return rc;
}

void fs_output_clear(fs_output *o) {
    const fs_dropped *made = (const fs_dropped *)(const void *)o->made.p;

    fs_writer_free(o->w);
    fs_val_abandon(&o->val);
    for (size_t i = 0; !o->installed && i < o->made.n / sizeof *made; i++) {
        /* A file that cannot be unlinked now is not referenced: remove_unused()
         * will do it. */
        (void)nadb_home_unlink(o->b->env.home, made[i].number,
                               made[i].is_val ? "val" : "sst", NULL);
    }
    nadb_buf_clear(&o->metas);
    nadb_buf_clear(&o->vals);
    nadb_buf_clear(&o->made);
    fs_manifest_clear(&o->own);
}
