/* base.c - handles, versions (see base.h). */
#include "base.h"

#include "fs_ops.h"
#include "sst_write.h"

/* --- handles --- */

static fs_handle **bucket_of(fs_base *b, uint64_t number) {
    return &b->handles[number % FS_HANDLE_BUCKETS];
}

static fs_handle *find_handle(fs_base *b, uint64_t number, bool is_val) {
    fs_handle *h = *bucket_of(b, number);

    while (h != NULL && (h->number != number || h->is_val != is_val))
        h = h->next;
    return h;
}

bool fs_handle_live(fs_base *b, uint64_t number, bool is_val) {
    bool live;

    nadb_lock(&b->lock);
    live = find_handle(b, number, is_val) != NULL;
    nadb_unlock(&b->lock);
    return live;
}

static nadb_rc check_file(fs_base *b, uint64_t number, bool is_val,
                          uint64_t size, nadb_err *err) {
    const nadb_home *home = b->env.home;
    const char *kind = is_val ? "val" : "sst";
    char *path = fs_file_path(home, number, kind);
    char name[NADB_FILE_NAME];
    nadb_stat st;
    nadb_rc rc;

    if (path == NULL)
        return nadb_fail(err, NADB_NOMEM, "opening %s", b->env.dir);
    nadb_file_name(name, number, kind);
    rc = home->os->stat(home->dir, name, &st, err);
    if (rc == NADB_OK && st.kind == NADB_KIND_NONE)
        rc = fs_file_missing(home, path, err);
    else if (rc == NADB_OK && st.kind == NADB_KIND_FILE && st.size != size)
        rc = fs_file_resized(path, st.size, size, err);
    nadb_free(path);
    return rc;
}

/* A reference to the file's handle, which is made if necessary. */
static nadb_rc take_handle(fs_base *b, uint64_t number, bool is_val,
                           uint64_t size, fs_handle **out, nadb_err *err) {
    fs_handle *h, *fresh = NULL;

    nadb_lock(&b->lock);
    h = find_handle(b, number, is_val);
    if (h != NULL) h->refs++;
    nadb_unlock(&b->lock);
    if (h == NULL) {
        nadb_rc rc = NADB_OK;

        if (!b->env.in_order) rc = check_file(b, number, is_val, size, err);
        if (rc != NADB_OK) return rc;
        fresh = nadb_calloc(1, sizeof *fresh);
        if (fresh == NULL)
            return nadb_fail(err, NADB_NOMEM, "opening %s", b->env.dir);
        nadb_lock(&b->lock);
        /* another thread may have made it meanwhile */
        h = find_handle(b, number, is_val);
        if (h == NULL) {
            h = fresh;
            fresh = NULL;
            h->base = b;
            h->number = number;
            h->size = size;
            h->is_val = is_val;
            h->next = *bucket_of(b, number);
            *bucket_of(b, number) = h;
        }
        h->refs++;
        nadb_unlock(&b->lock);
        nadb_free(fresh);
    }
    *out = h;
    return NADB_OK;
}

static void close_opened(const fs_handle *h, void *opened) {
    if (h->is_val)
        fs_val_close(opened);
    else
        fs_sst_close(opened);
}

static void drop_handles(fs_base *b, fs_handle **list, size_t n) {
    fs_handle *dead = NULL;

    nadb_lock(&b->lock);
    for (size_t i = 0; i < n; i++) {
        fs_handle *h = list[i];
        fs_handle **at;

        if (h == NULL || --h->refs > 0) continue;
        at = bucket_of(b, h->number);
        while (*at != h) at = &(*at)->next;
        *at = h->next;
        h->next = dead;
        dead = h;
    }
    nadb_unlock(&b->lock);
    while (dead != NULL) {
        fs_handle *h = dead;

        dead = h->next;
        close_opened(h, atomic_load(&h->opened));
        nadb_free(h);
    }
}

/* Publishes the opened file; if another thread was faster, closes it and
 * returns that one. */
static void *publish(fs_handle *h, void *fresh) {
    void *old = NULL;

    if (atomic_compare_exchange_strong(&h->opened, &old, fresh)) return fresh;
    close_opened(h, fresh);
    return old;
}

nadb_rc fs_handle_sst(fs_handle *h, fs_sst **out, nadb_err *err) {
    const nadb_base_env *env = &h->base->env;
    nadb_rc rc;

    *out = atomic_load_explicit(&h->opened, memory_order_acquire);
    if (*out != NULL) return NADB_OK;
    rc = fs_sst_open(env->home, h->number, h->size, env->mmap, out, err);
    if (rc == NADB_OK) *out = publish(h, *out);
    return rc;
}

nadb_rc fs_handle_val(fs_handle *h, fs_val **out, nadb_err *err) {
    const nadb_base_env *env = &h->base->env;
    nadb_rc rc;

    *out = atomic_load_explicit(&h->opened, memory_order_acquire);
    if (*out != NULL) return NADB_OK;
    rc = fs_val_open(env->home, h->number, h->size, env->mmap, out, err);
    if (rc == NADB_OK) *out = publish(h, *out);
    return rc;
}

/* --- versions --- */

static void free_version(fs_version *v) {
    if (v == NULL) return;
    if (v->tables != NULL) drop_handles(v->base, v->tables, v->m.n_tables);
    if (v->vals != NULL) drop_handles(v->base, v->vals, v->m.n_vals);
    nadb_free(v->tables);
    nadb_free(v->vals);
    fs_manifest_clear(&v->m);
    nadb_free(v);
}

/* Opens a file now, since other processes may remove it: they do not know of
 * this reader. Damage is reported when the file is read. */
static nadb_rc open_now(fs_handle *h, nadb_err *err) {
    fs_sst *table;
    fs_val *val;
    nadb_rc rc =
        h->is_val ? fs_handle_val(h, &val, err) : fs_handle_sst(h, &table, err);

    if (rc != NADB_CORRUPT) return rc;
    return check_file(h->base, h->number, h->is_val, h->size, err);
}

static nadb_rc open_all_now(fs_version *v, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; rc == NADB_OK && i < v->m.n_tables; i++)
        rc = open_now(v->tables[i], err);
    for (size_t i = 0; rc == NADB_OK && i < v->m.n_vals; i++)
        rc = open_now(v->vals[i], err);
    return rc;
}

static void count_file(nadb_base_version *v, uint64_t number, uint64_t size) {
    v->bytes += size;
    if (number > v->last_file) v->last_file = number;
}

nadb_rc fs_version_make(fs_base *b, fs_manifest *m, fs_version **out,
                        nadb_err *err) {
    fs_version *v = nadb_calloc(1, sizeof *v);
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (v == NULL) {
        fs_manifest_clear(m);
        return nadb_fail(err, NADB_NOMEM, "opening %s", b->env.dir);
    }
    v->base = b;
    v->m = *m;
    memset(m, 0, sizeof *m);
    v->pub.generation = v->m.generation;
    v->pub.first_log = v->m.first_log;
    v->pub.seq = v->m.seq;
    v->pub.clear_seq = v->m.clear_seq;
    v->pub.totals = v->m.totals;
    for (size_t i = 0; i < v->m.n_tables; i++)
        count_file(&v->pub, v->m.tables[i].number, v->m.tables[i].size);
    for (size_t i = 0; i < v->m.n_vals; i++)
        count_file(&v->pub, v->m.vals[i].number, v->m.vals[i].size);
    atomic_init(&v->refs, 1);
    v->tables = nadb_calloc(v->m.n_tables + 1, sizeof *v->tables);
    v->vals = nadb_calloc(v->m.n_vals + 1, sizeof *v->vals);
    if (v->tables == NULL || v->vals == NULL)
        rc = nadb_fail(err, NADB_NOMEM, "opening %s", b->env.dir);
    for (size_t i = 0; rc == NADB_OK && i < v->m.n_tables; i++)
        rc = take_handle(b, v->m.tables[i].number, false, v->m.tables[i].size,
                         &v->tables[i], err);
    /* Entries of tags and expiries sort behind rows, and counts exist only with
     * tags. */
    for (size_t i = 0; i < v->m.n_tables; i++)
        if (v->m.tables[i].hi.n > 0 && v->m.tables[i].hi.p[0] > NADB_KS_ROW)
            v->pub.indexed = true;
    for (size_t i = 0; rc == NADB_OK && i < v->m.n_vals; i++)
        rc = take_handle(b, v->m.vals[i].number, true, v->m.vals[i].size,
                         &v->vals[i], err);
    if (rc == NADB_OK && b->env.read_only && !b->env.in_order)
        rc = open_all_now(v, err);
    if (rc == NADB_OK)
        *out = v;
    else
        free_version(v);
    return rc;
}

/* A flush of another process may remove a file between our reading of MANIFEST
 * and our check of the file. MANIFEST has then changed and is read again. */
nadb_rc fs_version_open(fs_base *b, fs_version **out, nadb_err *err) {
    uint64_t last = UINT64_MAX;

    *out = NULL;
    for (;;) {
        fs_manifest m;
        uint64_t generation;
        nadb_rc rc = fs_manifest_read(b->env.home, &m, err);

        if (rc != NADB_OK) return rc;
        generation = m.generation;
        rc = fs_version_make(b, &m, out, err);
        if (rc != NADB_CORRUPT || generation == last) return rc;
        last = generation;
    }
}

void fs_version_ref(nadb_base_version *v) {
    atomic_fetch_add_explicit(&((fs_version *)v)->refs, 1,
                              memory_order_relaxed);
}

void fs_version_unref(nadb_base_version *v) {
    fs_version *own = (fs_version *)v;

    if (v == NULL) return;
    if (atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) == 1)
        free_version(own);
}

/* --- the base --- */

static const fs_limits default_limits = {
    .table_bytes = 32 << 20,
    .val_bytes = 64 << 20,
    .step_bytes = 64 << 20,
    .move_bytes = 1 << 20,
};

nadb_rc fs_base_open(const nadb_base_env *env, nadb_base **out, nadb_err *err) {
    fs_base *b = nadb_calloc(1, sizeof *b);
    nadb_rc rc;

    *out = NULL;
    if (b == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", env->dir);
    rc = nadb_mutex_init(&b->lock, NADB_RANK_BACKEND, err);
    if (rc != NADB_OK) {
        nadb_free(b);
        return rc;
    }
    b->base.ops = &fs_ops;
    b->env = *env;
    b->limits = default_limits;
    *out = &b->base;
    return NADB_OK;
}

void fs_base_close(nadb_base *base) {
    fs_base *b = (fs_base *)base;

    if (b == NULL) return;
    nadb_mutex_clear(&b->lock);
    nadb_buf_clear(&b->dropped);
    nadb_free(b);
}
