/* store.c - the list of stores that are open in this process.
 *
 * A store's key is its directory, db and namespace or, on a server, everything
 * that says how the server is reached (nadb_backend.identity). Opening the same
 * key again returns the same object with one more reference. So a table never
 * reads over another table's credentials. A directory holds one store: a table
 * whose options say that the same directory is reached differently is refused.
 * A table with mode=ro uses a store that is already open, also if it is open
 * for writing; a table that may write opens a read-only store a second time.
 *
 * Other options that openers give are joined: the largest buffer and cache, the
 * shortest interval.
 *
 * A store is in the list before it is opened and until it is closed; its
 * `state` says so. A thread that wants a store which is being opened or closed
 * waits, so the two never overlap for one store. Threads that want other stores
 * do not wait, because the list's lock is not held meanwhile.
 *
 * fork(): the child marks inherited stores and never touches them; it starts
 * with an empty list and its own threads. A half-opened store could not be left
 * alone like this, so a fork waits until no store is being opened or closed. */
#include "store.h"

#include <pthread.h>

#include "engine/workers.h"
#include "kv/index_check.h"
#include "kv/row.h"
#include "kv/session.h"
#include "kv/tags.h"
#include "map/map.h"
#include "nadb.h"
#include "store_key.h"
#include "util/sync.h"

static struct {
    pthread_once_t once;
    nadb_rc init_rc;
    nadb_mutex lock;
    /* signalled when a store has been opened or closed, or a fork is done */
    nadb_cond changed;
    nadb_store *stores;
    unsigned moving; /* number of stores that are being opened or closed */
    /* forks waiting or running: meanwhile no store may start to open or
     * close */
    unsigned forks;
} registry = {.once = PTHREAD_ONCE_INIT};

static void before_fork(void) {
    nadb_lock(&registry.lock);
    registry.forks++;
    while (registry.moving > 0)
        nadb_cond_wait(&registry.changed, &registry.lock);
    nadb_workers_before_fork();
}

static void after_fork_in_parent(void) {
    nadb_workers_after_fork(false);
    registry.forks--;
    nadb_cond_broadcast(&registry.changed);
    nadb_unlock(&registry.lock);
}

static void after_fork_in_child(void) {
    nadb_workers_after_fork(true);
    for (nadb_store *s = registry.stores; s != NULL; s = s->next) {
        kv_inherit(&s->kv);
        if (s->backend->caps & NADB_CAP_BASE) nadb_engine_forked(s->kv.engine);
    }
    registry.stores = NULL;
    registry.forks = 0;
    /* The threads that waited on it do not exist in the child, so it is made
     * anew. It could be made in the parent, so this cannot fail. */
    (void)!nadb_cond_init(&registry.changed, NULL);
    nadb_unlock(&registry.lock);
}

static void init(void) {
    registry.init_rc =
        nadb_mutex_init(&registry.lock, NADB_RANK_REGISTRY, NULL);
    if (registry.init_rc == NADB_OK)
        registry.init_rc = nadb_cond_init(&registry.changed, NULL);
    if (registry.init_rc == NADB_OK &&
        pthread_atfork(before_fork, after_fork_in_parent,
                       after_fork_in_child) != 0)
        registry.init_rc = NADB_NOMEM;
}

static nadb_rc registry_lock(nadb_err *err) {
    pthread_once(&registry.once, init);
    if (registry.init_rc != NADB_OK)
        return nadb_fail(err, registry.init_rc, "setting up nadb");
    nadb_lock(&registry.lock);
    return NADB_OK;
}

/* --- names and options --- */

/* True if tables with that key and mode may use the store. A table that writes
 * needs a store that was opened for writing. */
static bool serves(const nadb_store *s, const store_key *key, bool read_only) {
    return !s->moved &&
           nadb_slice_eq(nadb_buf_slice(&s->key.name),
                         nadb_buf_slice(&key->name)) &&
           (!key->in_files || read_only || !s->kv.options->read_only);
}

/* Sets the limit of the store to that of the table that was declared last. */
static nadb_rc limit(nadb_store *s, const nadb_options *o, nadb_err *err) {
    nadb_limits *l = atomic_load(&s->kv.limits);
    nadb_rc rc = NADB_OK;

    if (!nadb_option_given(o, "max_size_mb") || o->read_only) return NADB_OK;
    s->kv.options->size_max = o->size_max;
    s->kv.options->eviction = o->eviction;
    if (l != NULL) {
        nadb_limits_set(l, o->size_max, o->eviction);
    } else if (o->size_max > 0) {
        rc = nadb_limits_new(o->size_max, o->eviction, &l, err);
        if (rc == NADB_OK) atomic_store(&s->kv.limits, l);
    }
    return rc;
}

static nadb_rc track_access(nadb_store *s, nadb_err *err) {
    nadb_access *a = NULL;
    nadb_rc rc = nadb_access_new(&a, err);

    if (rc == NADB_OK) atomic_store(&s->kv.access, a);
    return rc;
}

/* Copies the options that other threads read. */
static void options_share(nadb_store *s) {
    const nadb_options *o = s->kv.options;

    atomic_store(&s->kv.synchronous, o->synchronous);
    atomic_store(&s->kv.compression, o->compression);
    atomic_store(&s->kv.buffer_bytes, o->buffer_bytes);
    atomic_store(&s->kv.flush_interval_ms, o->flush_interval_ms);
    atomic_store(&s->kv.busy_timeout_ms, o->busy_timeout_ms);
    atomic_store(&s->kv.read_only, o->read_only);
}

/* Joins the options of a further opener with those in force: the larger value
 * holds. Options that nadb_alter() has written last replace those in force. */
static void options_join(nadb_store *s, const nadb_options *o) {
    nadb_options *have = s->kv.options;
    bool newest = o->revision > 0 && o->revision >= have->revision;

    /* If there is no memory, reads are not tracked. */
    if (o->track_access && atomic_load(&s->kv.access) == NULL)
        have->track_access = track_access(s, NULL) == NADB_OK;
    store_log_open(s, o);

    /* Only stores without files are shared by readers and writers; the threads
     * of others read this without a lock. */
    if (have->read_only && !o->read_only) have->read_only = false;
    if (newest) {
        have->revision = o->revision;
        have->compression = o->compression;
        have->default_ttl_ms = o->default_ttl_ms;
        have->busy_timeout_ms = o->busy_timeout_ms;
        store_log_tune(s, o);
    }
    if (newest || o->buffer_bytes > have->buffer_bytes)
        have->buffer_bytes = o->buffer_bytes;
    if (newest || o->flush_interval_ms < have->flush_interval_ms)
        have->flush_interval_ms = o->flush_interval_ms;
    if (newest || o->synchronous > have->synchronous)
        have->synchronous = o->synchronous;
    options_share(s);
    if (s->backend->caps & NADB_CAP_BASE) nadb_engine_tune(s->kv.engine, have);
    if (s->kv.engine->ops->keep != NULL)
        s->kv.engine->ops->keep(s->kv.engine, nadb_option_keep(o));
    if (newest || o->cache_bytes > have->cache_bytes) {
        have->cache_bytes = o->cache_bytes;
        if (s->kv.cache != NULL) nadb_cache_resize(s->kv.cache, o->cache_bytes);
    }
}

static nadb_rc take_options(nadb_store *s, const nadb_options *o,
                            nadb_err *err) {
    nadb_rc rc = limit(s, o, err);

    if (rc != NADB_OK) return rc;
    nadb_limits_tell(&s->kv);
    options_join(s, o);
    return NADB_OK;
}

/* --- opening and closing --- */

static void store_free(nadb_store *s) {
    if (s == NULL) return;
    nadb_sweeper_stop(&s->sweeper);
    nadb_monitor_clear(&s->kv.monitor);
    nadb_tag_queries_stop(&s->kv.tag_queries);
    nadb_cache_free(s->kv.cache);
    nadb_access_free(atomic_load(&s->kv.access));
    nadb_limits_free(atomic_load(&s->kv.limits));
    nadb_options_free(s->kv.options);
    store_key_clear(&s->key);
    nadb_free(s);
}

static nadb_rc engine_open(nadb_store *s, unsigned flags, bool *created,
                           nadb_err *err) {
    bool create = (flags & NADB_STORE_CREATE) != 0;
    nadb_rc rc;

    if (s->backend->caps & NADB_CAP_BASE) {
        rc = nadb_engine_open(s->kv.options, s->backend->base, create, created,
                              &s->kv.engine, err);
    } else {
        *created = create;
        /* A store that ends with its last user exists only if it is open. */
        if ((flags & NADB_STORE_FIND) != 0 &&
            (s->backend->caps & NADB_CAP_PERSISTENT) == 0)
            return nadb_fail(err, NADB_CANTOPEN,
                             "there is no store %s/%s on backend '%s' in this "
                             "process, and mode='%s' makes none",
                             s->kv.options->db, s->kv.options->ns,
                             s->kv.options->backend,
                             s->kv.options->read_only ? "ro" : "rw");
        rc = s->backend->map != NULL
                 ? nadb_map_open(s->kv.options, s->backend->map, &s->kv.engine,
                                 err)
                 : s->backend->engine_open(s->kv.options, &s->kv.engine, err);
    }
    if (rc == NADB_OK &&
        !nadb_engine_is_complete(s->backend, s->kv.engine->ops)) {
        s->kv.engine = NULL; /* it is not open, so it must not be closed */
        return nadb_fail(
            err, NADB_INVALID,
            "backend %s lacks operations that core/backend.h requires",
            s->backend->name);
    }
    /* Others may use the same data on a server, so a CREATE that is rolled back
     * must not remove it: it counts as not created here. */
    if (s->backend->caps & NADB_CAP_REMOTE) *created = false;
    return rc;
}

static bool sweep(void *ctx) {
    nadb_store *s = ctx;
    nadb_limits *limits = kv_limits(&s->kv);
    bool more = nadb_sweep(&s->sweeper, &s->kv);

    return (limits != NULL && nadb_limits_round(limits, &s->kv)) || more;
}

/* Called after a commit. Engines without background threads are swept here, by
 * the committing thread, once per interval. */
static void committed(void *ctx) {
    nadb_store *s = ctx;
    int64_t due = atomic_load_explicit(&s->sweep_due_ns, memory_order_relaxed);
    int64_t now;

    if ((s->backend->caps & (NADB_CAP_BASE | NADB_CAP_OWN_INDEX)) != 0) return;
    now = nadb_os_get()->mono_ns();
    if (now < due) return;
    /* The exchange lets one thread at a time through. */
    if (!atomic_compare_exchange_strong(
            &s->sweep_due_ns, &due,
            now + atomic_load(&s->kv.flush_interval_ms) * 1000000))
        return;
    if (due != 0 && nadb_sweep(&s->sweeper, &s->kv))
        atomic_store(&s->sweep_due_ns, 1);
}

/* On success takes *key, which is then empty. */
static nadb_rc store_new(const nadb_options *options, store_key *key,
                         nadb_store **out, nadb_err *err) {
    nadb_store *s = nadb_calloc(1, sizeof *s);
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (s != NULL) s->kv.options = nadb_options_copy(options);
    if (s == NULL || s->kv.options == NULL) {
        rc = nadb_fail(err, NADB_NOMEM, "opening a store");
        goto done;
    }
    /* Symbolic links are resolved once, because they may change later. */
    if (options->path != NULL) {
        nadb_free(s->kv.options->path);
        s->kv.options->path = nadb_strdup((const char *)key->real.p);
        if (s->kv.options->path == NULL) {
            rc = nadb_fail(err, NADB_NOMEM, "opening a store");
            goto done;
        }
    }
    options_share(s);
    rc = nadb_monitor_init(&s->kv.monitor, err);
    if (rc == NADB_OK) rc = nadb_tag_queries_start(&s->kv.tag_queries, err);
    if (rc == NADB_OK) rc = nadb_sweeper_start(&s->sweeper, err);
    if (rc != NADB_OK) goto done;
    s->backend = nadb_backend_for(s->kv.options);
    s->kv.caps = s->backend->caps;
    s->kv.committed = committed;
    s->kv.ctx = s;
    s->key = *key;
    memset(key, 0, sizeof *key);
    *out = s;
    s = NULL;
done:
    store_free(s);
    return rc;
}

/* The slow part of opening: recovering a log, waiting for a server. */
static nadb_rc store_start(nadb_store *s, unsigned flags, bool *created,
                           nadb_err *err) {
    int64_t from_ns = nadb_os_get()->mono_ns();
    nadb_rc rc = NADB_OK;

    if (s->kv.options->cache_bytes > 0)
        rc = nadb_cache_new(s->kv.options->cache_bytes, &s->kv.cache, err);
    if (rc == NADB_OK && s->kv.options->track_access) rc = track_access(s, err);
    if (rc == NADB_OK) rc = limit(s, s->kv.options, err);
    if (rc == NADB_OK) rc = engine_open(s, flags, created, err);
    if (rc == NADB_OK) nadb_limits_tell(&s->kv);
    if (rc == NADB_OK && (s->backend->caps & NADB_CAP_BASE))
        nadb_engine_watch(s->kv.engine, &s->kv.monitor);
    if (rc == NADB_OK) {
        store_log_open(s, s->kv.options);
        store_log_event(s, *created ? "create" : "open", from_ns, NADB_OK,
                        NULL);
    }
    if (rc == NADB_OK && (s->backend->caps & NADB_CAP_BASE) &&
        (s->backend->caps & NADB_CAP_NATIVE_TTL) == 0 &&
        !s->kv.options->read_only)
        nadb_engine_sweep(s->kv.engine, sweep, s);
    return rc;
}

/* --- the list; all functions REQUIRE its lock --- */

/* An open store that serves; of several, one that can be written. */
static nadb_store *look(const store_key *key, bool read_only) {
    nadb_store *found = NULL;

    for (nadb_store *s = registry.stores; s != NULL; s = s->next)
        if (serves(s, key, read_only) &&
            (found == NULL || found->kv.options->read_only))
            found = s;
    return found;
}

static bool is_moved(nadb_store *s) {
    return (s->backend->caps & NADB_CAP_BASE) != 0 &&
           nadb_engine_moved(s->kv.engine);
}

/* As look(), NULL if there is none. Waits while such a store is being opened or
 * closed, and while a fork is pending. */
static nadb_store *find(const store_key *key, bool read_only) {
    for (;;) {
        nadb_store *s = look(key, read_only);

        if (registry.forks == 0 && (s == NULL || s->state == STORE_OPEN)) {
            if (s == NULL || !is_moved(s)) return s;
            s->moved = true;
            continue;
        }
        nadb_cond_wait(&registry.changed, &registry.lock);
    }
}

/* Puts the store into `state`, so that the caller may work on it without the
 * lock until move_end(). */
static void move_begin(nadb_store *s, store_state state) {
    s->state = state;
    registry.moving++;
    nadb_unlock(&registry.lock);
}

static void unlist(nadb_store *s) {
    nadb_store **p = &registry.stores;

    while (*p != NULL && *p != s) p = &(*p)->next;
    if (*p == s) *p = s->next;
}

static void move_end(nadb_store *s, bool open) {
    nadb_lock(&registry.lock);
    s->state = STORE_OPEN;
    if (!open) unlist(s);
    registry.moving--;
    nadb_cond_broadcast(&registry.changed);
}

/* Drops a reference. True if it was the last and the caller is to close the
 * store. */
static bool release(nadb_store *s) {
    while (registry.forks > 0)
        nadb_cond_wait(&registry.changed, &registry.lock);
    return --s->refs == 0;
}

static nadb_rc open_first(const nadb_options *options, store_key *key,
                          unsigned flags, bool *created, nadb_store **out,
                          nadb_err *err) {
    nadb_store *s;
    nadb_rc rc = store_new(options, key, &s, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    s->next = registry.stores;
    registry.stores = s;
    move_begin(s, STORE_OPENING);
    rc = store_start(s, flags, created, err);
    move_end(s, rc == NADB_OK);
    if (rc == NADB_OK)
        *out = s;
    else
        store_free(s);
    return rc;
}

nadb_rc nadb_store_open(const nadb_options *options, unsigned flags,
                        nadb_store **out, bool *created, nadb_err *err) {
    store_key key = {NADB_BUF_INIT, NADB_BUF_INIT, NADB_BUF_INIT, false};
    nadb_store *s = NULL;
    bool made = false;
    nadb_rc rc = store_key_init(&key, options, err);

    *out = NULL;
    if (created != NULL) *created = false;
    if (rc == NADB_OK) rc = registry_lock(err);
    if (rc != NADB_OK) {
        store_key_clear(&key);
        return rc;
    }
    s = find(&key, options->read_only);
    if (s == NULL) {
        rc = open_first(options, &key, flags, &made, &s, err);
    } else {
        rc = store_key_agree(&s->key, &key, s->kv.options->path, err);
        if (rc == NADB_OK) rc = take_options(s, options, err);
    }
    if (rc == NADB_OK) {
        s->refs++;
        *out = s;
        if (created != NULL) *created = made;
    }
    nadb_unlock(&registry.lock);
    store_key_clear(&key);
    return rc;
}

nadb_rc nadb_store_tune(nadb_store *s, const nadb_options *options,
                        nadb_err *err) {
    nadb_rc rc = registry_lock(err);

    if (rc != NADB_OK) return rc;
    rc = take_options(s, options, err);
    nadb_unlock(&registry.lock);
    return rc;
}

/* Writes notes of when rows were read, which would be lost otherwise. */
static void last_sweep(nadb_store *s) {
    if (atomic_load(&s->kv.access) == NULL || s->kv.options->read_only) return;
    if (s->backend->caps & NADB_CAP_BASE) nadb_engine_calm(s->kv.engine);
    (void)nadb_sweep(&s->sweeper, &s->kv);
}

void nadb_store_close(nadb_store *s) {
    bool last;

    /* inherited through fork(): never touched */
    if (s == NULL || s->kv.forked) return;
    if (registry_lock(NULL) != NADB_OK) return;
    last = release(s);
    if (last) {
        move_begin(s, STORE_CLOSING);
        last_sweep(s);
        store_log_event(s, "close", -1, NADB_OK, NULL);
        s->kv.engine->ops->close(s->kv.engine);
        move_end(s, false);
    }
    nadb_unlock(&registry.lock);
    if (last) store_free(s);
}

static nadb_rc destroy(nadb_store *s, bool unused, nadb_err *err) {
    nadb_rc rc = nadb_store_usable(s, err);
    bool last;

    if (rc == NADB_OK) rc = registry_lock(err);
    if (rc != NADB_OK) return rc;
    last = release(s);
    if (last) {
        move_begin(s, STORE_CLOSING);
        nadb_monitor_quiet(&s->kv.monitor); /* the log is closed as well */
        if (s->backend->caps & NADB_CAP_BASE)
            rc = nadb_engine_destroy(s->kv.engine, unused, err);
        else if (s->kv.engine->ops->destroy != NULL && !unused)
            rc = s->kv.engine->ops->destroy(s->kv.engine, err);
        else
            s->kv.engine->ops->close(s->kv.engine);
        move_end(s, false);
    } else {
        rc = nadb_fail(err, NADB_LOCKED,
                       "another connection of this process has the store open: "
                       "close it first");
    }
    nadb_unlock(&registry.lock);
    if (last) store_free(s);
    return rc;
}

nadb_rc nadb_store_destroy(nadb_store *s, nadb_err *err) {
    return destroy(s, false, err);
}

nadb_rc nadb_store_undo(nadb_store *s, nadb_err *err) {
    return destroy(s, true, err);
}

const nadb_options *nadb_store_options(const nadb_store *s) {
    return s->kv.options;
}

nadb_engine *nadb_store_engine(nadb_store *s) { return s->kv.engine; }

unsigned nadb_store_caps(const nadb_store *s) { return s->kv.caps; }

nadb_rc nadb_store_usable(nadb_store *s, nadb_err *err) {
    return kv_usable(&s->kv, err);
}

/* --- the whole store --- */

nadb_rc nadb_store_flush(nadb_store *s, nadb_err *err) {
    nadb_rc rc = nadb_store_usable(s, err);

    return rc == NADB_OK ? s->kv.engine->ops->flush(s->kv.engine, err) : rc;
}

nadb_rc nadb_store_compact(nadb_store *s, nadb_stop_fn *stop, void *ctx,
                           nadb_err *err) {
    nadb_done d = {.op = NADB_OP_COMPACT, .err = err};
    nadb_span span;
    nadb_rc rc = nadb_store_usable(s, err);

    if (rc != NADB_OK || s->kv.engine->ops->compact == NULL) return rc;
    span = nadb_span_begin();
    /* A backend that removes expired rows itself does it in its compaction. */
    if ((s->backend->caps & NADB_CAP_NATIVE_TTL) == 0)
        rc = nadb_sweep_all(&s->sweeper, &s->kv, stop, ctx, err);
    if (rc == NADB_OK)
        rc = s->kv.engine->ops->compact(s->kv.engine, stop, ctx, err);
    d.rc = rc;
    nadb_monitor_done(&s->kv.monitor, &span, &d);
    return rc;
}

nadb_rc nadb_store_check(nadb_store *s, nadb_report_fn *report, void *ctx,
                         nadb_err *err) {
    nadb_err mine;
    nadb_rc rc = nadb_store_usable(s, err);

    if (rc == NADB_OK)
        rc = s->kv.engine->ops->check(s->kv.engine, report, ctx, err);
    if (rc != NADB_OK || (s->backend->caps & NADB_CAP_OWN_INDEX) != 0)
        return rc;
    nadb_err_clear(&mine);
    rc = nadb_index_check(s->kv.engine, report, ctx, &mine);
    /* Unreadable rows: indexes cannot be compared with them. */
    if (rc == NADB_CORRUPT) {
        report(ctx, mine.msg);
        return NADB_OK;
    }
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

nadb_rc store_hold_all(nadb_store ***out, size_t *n, nadb_err *err) {
    nadb_rc rc = registry_lock(err);
    size_t max = 1;

    *n = 0;
    if (rc != NADB_OK) return rc;
    for (nadb_store *s = registry.stores; s != NULL; s = s->next) max++;
    *out = nadb_calloc(max, sizeof **out);
    if (*out == NULL) rc = nadb_fail(err, NADB_NOMEM, "listing all stores");
    for (nadb_store *s = registry.stores; s != NULL && rc == NADB_OK;
         s = s->next) {
        if (s->state != STORE_OPEN) continue;
        s->refs++;
        (*out)[(*n)++] = s;
    }
    nadb_unlock(&registry.lock);
    return rc;
}

nadb_rc nadb_flush_all(nadb_err *err) {
    nadb_store **all = NULL;
    size_t n = 0;
    nadb_rc rc = store_hold_all(&all, &n, err);

    for (size_t i = 0; i < n; i++) {
        nadb_err mine;
        nadb_rc own;

        nadb_err_clear(&mine);
        own = all[i]->kv.engine->ops->flush(all[i]->kv.engine, &mine);
        /* After an error the remaining stores are flushed as well. */
        if (rc == NADB_OK && own != NADB_OK)
            rc = nadb_fail(err, own, "%s", mine.msg);
        nadb_store_close(all[i]);
    }
    nadb_free(all);
    return rc;
}

/* --- caches --- */

static uint64_t cache_drop(nadb_store *s) {
    uint64_t bytes = s->kv.cache == NULL ? 0 : nadb_cache_drop(s->kv.cache);

    if (s->kv.engine->ops->cache_drop != NULL)
        bytes += s->kv.engine->ops->cache_drop(s->kv.engine);
    return bytes;
}

nadb_rc nadb_store_cache_drop(nadb_store *s, uint64_t *bytes, nadb_err *err) {
    nadb_rc rc = nadb_store_usable(s, err);

    if (rc == NADB_OK) *bytes += cache_drop(s);
    return rc;
}

nadb_rc nadb_cache_drop_all(uint64_t *bytes, nadb_err *err) {
    nadb_store **all = NULL;
    size_t n = 0;
    nadb_rc rc = store_hold_all(&all, &n, err);

    for (size_t i = 0; i < n; i++) {
        *bytes += cache_drop(all[i]);
        nadb_store_close(all[i]);
    }
    nadb_free(all);
    return rc;
}

/* --- all open stores --- */

nadb_rc store_each(store_fn *each, void *ctx, nadb_err *err) {
    nadb_rc rc = registry_lock(err);

    if (rc != NADB_OK) return rc;
    for (nadb_store *s = registry.stores; s != NULL && rc == NADB_OK;
         s = s->next)
        if (s->state == STORE_OPEN) rc = each(ctx, s, err);
    nadb_unlock(&registry.lock);
    return rc;
}
