/* buffered.c - a Redis server under the core's log and memtable.
 *
 * The directory holds the log, and MANIFEST, which says which logs the server
 * has completely, the directory's name as an owner (buffered.h), and which
 * server this is: commits for one server must not go to another. MANIFEST is
 * written when the directory is made, before the first log, so that the
 * directory of another backend is never taken for one of ours.
 *
 *     magic 8 | format u32 | crc u32 | store 16 | owner 32 | generation u64 |
 *     first_log u64 | seq u64 | clear_seq u64 | place (address.h) */
#include "buffered.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "../../core/util/coding.h"
#include "../../core/util/crc32c.h"

#define NAME "MANIFEST"
#define MAGIC "NADBrds1"
#define FORMAT 3u
#define HEAD 16u
#define PLACE (HEAD + NADB_STORE_ID + REDIS_OWNER + 32u)

/* Minimum length of a lease. A lease that ends while its holder is alive does
 * no harm. */
#define LEASE_LEAST_MS 2000
#define LEASE_TIMEOUTS 4 /* a lease lasts so many timeouts of a call */

typedef struct redis_version {
    nadb_base_version base;
    _Atomic uint32_t refs;
    redis_base *b;
} redis_version;

/* --- MANIFEST --- */

static uint32_t manifest_crc(const uint8_t *p, size_t n) {
    return nadb_crc32c(nadb_crc32c(0, p, 12), p + HEAD, n - HEAD);
}

static nadb_rc manifest_write(const redis_base *b, const nadb_base_version *v,
                              nadb_err *err) {
    size_t size = PLACE + b->place.n;
    uint8_t *bytes = nadb_malloc(size);
    uint8_t *p;
    nadb_rc rc;

    if (bytes == NULL)
        return nadb_fail(err, NADB_NOMEM, "writing %s/" NAME, b->env.dir);
    p = bytes + HEAD;
    memcpy(bytes, MAGIC, 8);
    nadb_put_u32(bytes + 8, FORMAT);
    memcpy(p, b->env.home->id.bytes, NADB_STORE_ID);
    p += NADB_STORE_ID;
    memcpy(p, b->owner, REDIS_OWNER);
    p += REDIS_OWNER;
    nadb_put_u64(p, v->generation);
    nadb_put_u64(p + 8, v->first_log);
    nadb_put_u64(p + 16, v->seq);
    nadb_put_u64(p + 24, v->clear_seq);
    memcpy(bytes + PLACE, b->place.p, b->place.n);
    nadb_put_u32(bytes + 12, manifest_crc(bytes, size));
    rc =
        nadb_os_replace_file(b->env.home->dir, NAME, nadb_slice_of(bytes, size),
                             b->env.home->file_mode, err);
    nadb_free(bytes);
    return rc;
}

/* The place in readable form: its lines, joined. */
static void show_place(nadb_slice place, char out[200]) {
    size_t n = place.n < 199 ? place.n : 199;

    memcpy(out, place.p, n);
    for (size_t i = 0; i < n; i++)
        if (out[i] < ' ') out[i] = i + 1 < n ? ',' : '\0';
    out[n] = '\0';
}

static nadb_rc check_place(const redis_base *b, nadb_slice place,
                           nadb_err *err) {
    nadb_slice ours = nadb_buf_slice(&b->place);
    char was[200], is[200];

    if (address_same_place(place, ours)) return NADB_OK;
    show_place(place, was);
    show_place(ours, is);
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s holds what was committed for another redis server "
                     "(%s) than the options name (%s): with the options of "
                     "that one call nadb_flush, then drop the table and remove "
                     "the directory, or choose another path; if it is that "
                     "server under another name, name it by both for a while: "
                     "host='old,new'",
                     b->env.dir, was, is);
}

static nadb_rc manifest_decode(const redis_base *b, const char *path,
                               const nadb_buf *bytes,
                               char owner[REDIS_OWNER + 1],
                               nadb_base_version *v, nadb_err *err) {
    const uint8_t *p = bytes->p;
    nadb_rc rc;

    if (bytes->n < HEAD || memcmp(p, MAGIC, 8) != 0)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s/" NAME " is not that of a store on Redis with "
                         "write=buffered: choose another path",
                         b->env.dir);
    if (nadb_get_u32(p + 12) != manifest_crc(p, bytes->n))
        return nadb_corrupt(err, "%s/" NAME " is damaged", b->env.dir);
    if (nadb_get_u32(p + 8) != FORMAT)
        return nadb_fail(err, NADB_CANTOPEN, "%s is of another version of nadb",
                         b->env.dir);
    if (bytes->n < PLACE)
        return nadb_corrupt(err, "%s/" NAME " is damaged", b->env.dir);
    p += HEAD;
    rc = nadb_home_check(b->env.home, p, path, err);
    if (rc != NADB_OK) return rc;
    p += NADB_STORE_ID;
    memcpy(owner, p, REDIS_OWNER);
    owner[REDIS_OWNER] = '\0';
    p += REDIS_OWNER;
    v->generation = nadb_get_u64(p);
    v->first_log = nadb_get_u64(p + 8);
    v->seq = nadb_get_u64(p + 16);
    v->clear_seq = nadb_get_u64(p + 24);
    v->indexed = true;
    return check_place(b, nadb_slice_of(bytes->p + PLACE, bytes->n - PLACE),
                       err);
}

/* Reads MANIFEST; *found is false if there is none. */
static nadb_rc manifest_read(const redis_base *b, char owner[REDIS_OWNER + 1],
                             nadb_base_version *v, bool *found, nadb_err *err) {
    char *path = nadb_path_join(b->env.dir, NAME);
    nadb_buf bytes = NADB_BUF_INIT;
    nadb_err mine;
    nadb_rc rc;

    *found = false;
    memset(v, 0, sizeof *v);
    v->indexed = true;
    if (path == NULL)
        return nadb_fail(err, NADB_NOMEM, "reading %s/" NAME, b->env.dir);
    nadb_err_clear(&mine);
    rc = nadb_os_read_file(b->env.home->dir, NAME, (size_t)1 << 20, &bytes,
                           &mine);
    if (rc == NADB_OK) {
        rc = manifest_decode(b, path, &bytes, owner, v, err);
        *found = rc == NADB_OK;
    } else if (mine.sys_errno == ENOENT) {
        rc = NADB_OK;
    } else if (err != NULL) {
        *err = mine;
    }
    nadb_buf_clear(&bytes);
    nadb_free(path);
    return rc;
}

static nadb_rc find_log(void *ctx, const char *name, nadb_err *err) {
    const char *kind;
    uint64_t number;

    (void)err;
    if (nadb_file_parse(name, &number, &kind) && strcmp(kind, "log") == 0)
        *(bool *)ctx = true;
    return NADB_OK;
}

/* Names a new directory and writes its MANIFEST. */
static nadb_rc manifest_make(redis_base *b, nadb_err *err) {
    nadb_base_version none = {.generation = 0};
    uint8_t id[REDIS_OWNER / 2];
    bool used = false;
    nadb_rc rc = b->env.os->dir_list(b->env.home->dir, find_log, &used, err);

    if (rc != NADB_OK) return rc;
    if (used)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s is the directory of another kind of store: choose "
                         "another path",
                         b->env.dir);
    b->env.os->random(id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(b->owner + 2 * i, 3, "%02x", id[i]);
    if (!b->env.home->id.known) nadb_home_name(b->env.home);
    return b->env.read_only ? NADB_OK : manifest_write(b, &none, err);
}

/* --- opening --- */

static void buffered_close(nadb_base *base) {
    redis_base *b = (redis_base *)base;

    redis_close(b->e == NULL ? NULL : &b->e->base);
    nadb_buf_clear(&b->place);
    nadb_free(b);
}

static void name_us(redis_base *b) {
    char host[128] = "";

    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    snprintf(b->who, sizeof b->who, "%.100s:%.150s", host, b->env.dir);
}

static nadb_rc buffered_open(const nadb_base_env *env, nadb_base **out,
                             nadb_err *err) {
    redis_base *b = nadb_calloc(1, sizeof *b);
    nadb_engine *e = NULL;
    nadb_base_version v;
    bool found = false;
    nadb_rc rc;

    *out = NULL;
    if (b == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", env->dir);
    b->base.ops = redis_buffered.base;
    b->env = *env;
    b->lease_ms = LEASE_TIMEOUTS * nadb_option_number(env->options, "timeout");
    if (b->lease_ms < LEASE_LEAST_MS) b->lease_ms = LEASE_LEAST_MS;
    name_us(b);
    rc = redis_open(env->options, &e, err);
    b->e = (redis_engine *)e;
    if (rc == NADB_OK) rc = address_place(&b->e->at, &b->place, err);
    if (rc == NADB_OK) rc = manifest_read(b, b->owner, &v, &found, err);
    b->is_new = rc == NADB_OK && !found;
    if (b->is_new) rc = manifest_make(b, err);
    if (rc == NADB_OK) rc = redis_kept_count(b, err);
    if (rc != NADB_OK) {
        buffered_close(&b->base);
        return rc;
    }
    *out = &b->base;
    return NADB_OK;
}

/* --- versions --- */

static nadb_rc version_new(redis_base *b, const nadb_base_version *from,
                           nadb_base_version **out, nadb_err *err) {
    redis_version *v = nadb_calloc(1, sizeof *v);

    *out = NULL;
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", b->env.dir);
    v->base = *from;
    v->b = b;
    atomic_store(&v->refs, 1);
    *out = &v->base;
    return NADB_OK;
}

static nadb_rc version_open(nadb_base *base, nadb_base_version **out,
                            nadb_err *err) {
    redis_base *b = (redis_base *)base;
    char owner[REDIS_OWNER + 1];
    nadb_base_version v;
    bool found = false;
    nadb_rc rc = manifest_read(b, owner, &v, &found, err);

    *out = NULL;
    return rc == NADB_OK ? version_new(b, &v, out, err) : rc;
}

static void version_ref(nadb_base_version *v) {
    atomic_fetch_add(&((redis_version *)v)->refs, 1);
}

static void version_unref(nadb_base_version *v) {
    if (atomic_fetch_sub(&((redis_version *)v)->refs, 1) == 1) nadb_free(v);
}

static nadb_rc buffered_flush(nadb_base *base, const nadb_flush_req *req,
                              nadb_base_version **out, nadb_err *err) {
    redis_base *b = (redis_base *)base;
    char owner[REDIS_OWNER + 1];
    nadb_base_version v;
    bool found = false;
    nadb_rc rc = manifest_read(b, owner, &v, &found, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    v.generation++;
    v.first_log = req->first_log;
    v.seq = req->seq;
    v.clear_seq = req->clear_seq;
    rc = manifest_write(b, &v, err);
    return rc == NADB_OK ? version_new(b, &v, out, err) : rc;
}

/* --- reading --- */

static redis_engine *engine_of(nadb_base_version *v) {
    return ((redis_version *)v)->b->e;
}

/* Opens a view for the thread's caller. */
static nadb_rc view_open(nadb_engine *e, nadb_view **out, nadb_err *err) {
    nadb_rc rc = redis_view_open(e, out, err);

    if (rc == NADB_OK) (*out)->caller = patience_served();
    return rc;
}

static nadb_rc buffered_get(nadb_base_version *v, nadb_slice key,
                            nadb_buf *scratch, nadb_entry *out, bool *found,
                            nadb_err *err) {
    nadb_engine *e = &engine_of(v)->base;
    nadb_view *view = NULL;
    nadb_entry got;
    nadb_rc rc = view_open(e, &view, err);

    *found = false;
    if (rc == NADB_OK) rc = redis_get(e, view, key, &got, found, err);
    if (rc == NADB_OK && *found) {
        nadb_buf_reset(scratch);
        if (!nadb_buf_append(scratch, got.value.p, got.value.n)) {
            *found = false;
            rc = nadb_fail(err, NADB_NOMEM, "out of memory to read");
        }
        memset(out, 0, sizeof *out);
        out->key = key;
        out->value = nadb_buf_slice(scratch);
    }
    redis_view_close(e, view);
    return rc;
}

static nadb_rc buffered_want(nadb_base *base, nadb_view **ahead,
                             const nadb_slice *keys, size_t n, nadb_err *err) {
    nadb_engine *e = &((redis_base *)base)->e->base;
    nadb_rc rc = NADB_OK;

    if (*ahead == NULL) rc = view_open(e, ahead, err);
    if (rc == NADB_OK) (*ahead)->caller = patience_served();
    return rc == NADB_OK ? redis_prefetch(e, *ahead, keys, n, err) : rc;
}

static bool buffered_wanted(nadb_view *ahead, nadb_slice key, nadb_entry *out,
                            bool *found) {
    bool known = redis_prefetched_get((redis_view *)ahead, key, out, found);

    /* the server's versions are not sequence numbers of ours */
    if (known && *found) out->seq = 0;
    return known;
}

static void buffered_forget(nadb_view *ahead) { redis_view_close(NULL, ahead); }

/* An iterator of the engine with its own view. Entries get sequence number 0,
 * because the server's versions are not sequence numbers of ours. */
typedef struct own_iter {
    nadb_iter base;
    nadb_engine *e;
    nadb_view *view;
    nadb_iter *inner;
} own_iter;

static void show(own_iter *it) {
    it->base.valid = it->inner->valid;
    it->base.entry = it->inner->entry;
    it->base.entry.seq = 0;
}

static nadb_rc own_next(nadb_iter *iter, nadb_err *err) {
    own_iter *it = (own_iter *)iter;
    nadb_rc rc = nadb_iter_next(it->inner, err);

    show(it);
    return rc;
}

static nadb_rc own_seek(nadb_iter *iter, nadb_slice key, nadb_err *err) {
    own_iter *it = (own_iter *)iter;
    nadb_rc rc = nadb_iter_seek(it->inner, key, err);

    show(it);
    return rc;
}

static void own_free(nadb_iter *iter) {
    own_iter *it = (own_iter *)iter;

    nadb_iter_free(it->inner);
    redis_view_close(it->e, it->view);
    nadb_free(it);
}

static nadb_rc own_new(nadb_base_version *v, own_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {own_next, own_seek, own_free};
    own_iter *it = nadb_calloc(1, sizeof *it);
    nadb_rc rc;

    *out = NULL;
    if (it == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory to scan");
    it->base.ops = &ops;
    it->e = &engine_of(v)->base;
    rc = view_open(it->e, &it->view, err);
    if (rc != NADB_OK) {
        nadb_free(it);
        return rc;
    }
    *out = it;
    return NADB_OK;
}

static nadb_rc buffered_iter(nadb_base_version *v, const nadb_range *range,
                             nadb_iter **out, nadb_err *err) {
    own_iter *it = NULL;
    nadb_rc rc = own_new(v, &it, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    rc = redis_iter_new(it->e, it->view, range, &it->inner, err);
    if (rc == NADB_OK)
        *out = &it->base;
    else
        own_free(&it->base);
    return rc;
}

static nadb_rc buffered_match(nadb_base_version *v, const nadb_match *m,
                              const nadb_range *range, bool keys_only,
                              nadb_iter **out, nadb_err *err) {
    own_iter *it = NULL;
    nadb_rc rc = own_new(v, &it, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    rc = redis_match(it->e, it->view, m, range, keys_only, &it->inner, err);
    if (rc == NADB_OK)
        *out = &it->base;
    else
        own_free(&it->base);
    return rc;
}

/* --- the rest --- */

/* The remaining work of commits is done with the drains. */
static nadb_rc compact_step(nadb_base *base, const nadb_compact_goal *goal,
                            nadb_base_version **out, nadb_err *err) {
    *out = NULL;
    if (goal == NULL) return NADB_OK;
    return redis_compact_until(((redis_base *)base)->e, goal->stop, err);
}

static nadb_rc remove_unused(nadb_base *base, uint64_t oldest_generation,
                             nadb_err *err) {
    (void)base;
    (void)oldest_generation;
    (void)err;
    return NADB_OK;
}

static nadb_rc buffered_check(nadb_base_version *v, nadb_report_fn *report,
                              void *ctx, nadb_err *err) {
    return redis_check(&engine_of(v)->base, report, ctx, err);
}

static nadb_rc buffered_sweep(nadb_base *base, size_t rows_max,
                              int64_t *removed, bool *more, nadb_err *err) {
    return redis_sweep(&((redis_base *)base)->e->base, rows_max, removed, more,
                       err);
}

static void buffered_stats(nadb_base_version *v, nadb_stat_fn *emit,
                           void *ctx) {
    redis_base *b = ((redis_version *)v)->b;
    cache_counts cached = {0};
    uint64_t connects;

    cache_count(&b->e->cache, &cached);
    nadb_lock(&b->e->pool->lock);
    connects = b->e->pool->connects;
    nadb_unlock(&b->e->pool->lock);
    /* Decisions depend on these rows, so the cache is not used. */
    cache_stats(&cached, emit, ctx);
    emit(ctx, "stored_bytes", 0);
    emit(ctx, "redis_connects", (double)connects);
    emit(ctx, "redis_drains", (double)atomic_load(&b->drains));
    emit(ctx, "redis_drained_commits",
         (double)atomic_load(&b->drained_records));
    emit(ctx, "redis_drained_rows", (double)atomic_load(&b->drained_rows));
    emit(ctx, "redis_kept_commits", (double)atomic_load(&b->kept));
    emit(ctx, "redis_lease_token",
         (double)atomic_load(&b->env.words[WORD_TOKEN]));
}

/* Fails if another owner has the lease, whose rows must not be removed. */
static nadb_rc buffered_destroy(nadb_base *base, nadb_err *err) {
    redis_base *b = (redis_base *)base;
    conn *c = NULL;
    nadb_rc rc = pool_take(b->e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    rc = redis_lease_take(b, c, NULL, err);
    pool_give(b->e->pool, c);
    if (rc != NADB_OK) return rc;
    redis_leave(base);
    return redis_wipe(b->e, err);
}

static const nadb_remote_ops remote = {
    .serve = patience_serve,
    .admit = redis_admit,
    .is_stale = redis_is_stale,
    .fresh = redis_fresh,
    .epoch = redis_epoch,
    .flushed = redis_flushed,
    .drain = redis_drain,
    .match = buffered_match,
    .sweep = buffered_sweep,
    .want = buffered_want,
    .wanted = buffered_wanted,
    .forget = buffered_forget,
    .leave = redis_leave,
    .destroy = buffered_destroy,
};

static const nadb_base_ops base_ops = {
    .remote = &remote,
    .manifest_magic = MAGIC,
    .open = buffered_open,
    .close = buffered_close,
    .version_open = version_open,
    .version_ref = version_ref,
    .version_unref = version_unref,
    .get = buffered_get,
    .iter = buffered_iter,
    .flush = buffered_flush,
    .compact_step = compact_step,
    .remove_unused = remove_unused,
    .check = buffered_check,
    .stats = buffered_stats,
};

const nadb_backend redis_buffered = {
    .name = "redis",
    .caps = NADB_CAP_BASE | NADB_CAP_PERSISTENT | NADB_CAP_SHARED |
            NADB_CAP_OWN_INDEX | NADB_CAP_NATIVE_TTL | NADB_CAP_REMOTE |
            NADB_CAP_NEEDS_PATH,
    .summary = "a Redis server, behind a log on this machine",
    .identity = address_identity,
    .base = &base_ops,
};
