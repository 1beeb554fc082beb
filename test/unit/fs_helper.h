/* fs_helper.h - a base of the fs backend in a fresh directory, and flushes
 * from arrays, for table_test.c, fs_test.c and table_bench.c. */
#ifndef NADB_FS_HELPER_H
#define NADB_FS_HELPER_H

#include "../../backends/fs/fs.h"
#include "../../backends/fs/fs_ops.h"
#include "../../core/util/coding.h"
#include "home.h"

typedef struct fs_store {
    nadb_base *base;
    nadb_base_env env;
    nadb_home home;
    uint64_t files;
    uint64_t oldest;
    char dir[256];
} fs_store;

static inline nadb_rc store_next_file(void *ctx, uint64_t *out, nadb_err *err) {
    (void)err;
    *out = ++((fs_store *)ctx)->files;
    return NADB_OK;
}

static inline uint64_t store_oldest(void *ctx) {
    return ((fs_store *)ctx)->oldest;
}

/* Opens `name` below the test's directory, which is made when missing. */
static inline nadb_rc store_open(fs_store *s, const char *name, bool mmap,
                                 nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_stat st;

    snprintf(s->dir, sizeof s->dir, "%s", unit_path(name));
    if (os->stat_path(s->dir, &st, NULL) == NADB_OK &&
        st.kind == NADB_KIND_NONE &&
        path_mkdir(os, s->dir, 0700, err) != NADB_OK)
        return NADB_IOERR;
    s->env.os = os;
    s->env.dir = s->dir;
    home_init(&s->home, s->dir);
    s->env.home = &s->home;
    s->env.mmap = mmap;
    s->env.ctx = s;
    s->env.next_file = store_next_file;
    s->env.oldest_seq = store_oldest;
    return nadb_backend_fs.base->open(&s->env, &s->base, err);
}

static inline void store_close(fs_store *s) {
    if (s->base != NULL) s->base->ops->close(s->base);
    s->base = NULL;
    if (s->home.dir != NULL) home_clear(&s->home);
}

static inline fs_version *store_version(fs_store *s, nadb_err *err) {
    nadb_base_version *v;

    if (s->base->ops->version_open(s->base, &v, err) != NADB_OK) return NULL;
    return (fs_version *)v;
}

static const nadb_compact_goal everything = {UINT64_MAX, UINT64_MAX, NULL};

/* Until no dead data is left, or `stop` says so: NADB_INTERRUPT. *out is the
 * last state, NULL when nothing was done or after an error. */
static inline nadb_rc compact_all(nadb_base *b, nadb_stop_fn *stop, void *ctx,
                                  nadb_base_version **out, nadb_err *err) {
    *out = NULL;
    for (;;) {
        nadb_base_version *next = NULL;
        nadb_rc rc = stop != NULL && stop(ctx)
                         ? NADB_INTERRUPT
                         : fs_compact_step(b, &everything, &next, err);

        if (rc == NADB_OK && next == NULL) return NADB_OK;
        fs_version_unref(*out);
        *out = rc == NADB_OK ? next : NULL;
        if (rc != NADB_OK) return rc;
    }
}

/* --- an iterator over an array --- */

typedef struct array_iter {
    nadb_iter it;
    const nadb_entry *entries;
    size_t n, at;
    size_t fail_at; /* an error instead of this entry; SIZE_MAX: none */
} array_iter;

static inline nadb_rc array_next(nadb_iter *base, nadb_err *err) {
    array_iter *it = (array_iter *)base;

    it->it.valid = false;
    if (it->at == it->fail_at) return nadb_fail(err, NADB_IOERR, "no entry");
    it->it.valid = it->at < it->n;
    if (it->it.valid) it->it.entry = it->entries[it->at++];
    return NADB_OK;
}

static inline array_iter array_iter_of(const nadb_entry *e, size_t n) {
    static const nadb_iter_ops ops = {array_next, NULL, NULL};
    array_iter it = {{&ops, false, {{0}, {0}, 0, 0, 0}}, e, n, 0, SIZE_MAX};

    return it;
}

/* Entries here are no rows. */
static const nadb_totals not_counted = {.known = false};

static inline nadb_rc store_flush(fs_store *s, const nadb_entry *e, size_t n,
                                  uint64_t seq, uint64_t clear_seq,
                                  nadb_base_version **out, nadb_err *err) {
    array_iter it = array_iter_of(e, n);
    nadb_flush_req req = {&it.it, 0, n, seq + 1, seq, clear_seq, &not_counted};

    return s->base->ops->flush(s->base, &req, out, err);
}

/* --- chance, repeatable --- */

static inline uint64_t rnd(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

#endif
