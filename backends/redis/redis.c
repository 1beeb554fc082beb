/* redis.c - a store on a Redis server: the engine's operations.
 *
 * The server has all data; kept here are connections, and rows that were read
 * recently. The files, each using those before it:
 *
 *   address  where the server is          record  a row as a Redis string
 *   wire     one connection (args, tls)   read    views, single rows
 *   route    which server, now (cluster,  walk    common part of iterators
 *            sentinel)                    iter    scans, in pages
 *   conn     a wire along the route       index   by tags and expiry, in pages
 *   pool     the connections of a store   once    scripts that change, fences
 *   script   calling what is in lua/      commit, claim, check, mend, sweep,
 *                                         prefetch, totals, feed, evict
 *
 * write=buffered is another form, under the core's log: buffered.h. shards=N is
 * several of these stores as one: shards.c.
 *
 * Guarantees: a commit is atomic and is checked for conflicts in the server; an
 * outage is an error, never an empty result; no write is executed late or
 * twice. Not guaranteed: snapshots. A scan reads pages, each of which shows the
 * server's state at that time (but no row inserted after the scan began).
 * Durability is that of the server. */
#include "redis.h"

#include "feed.h"
#include "options.h"
#include "shards.h"

/* --- names --- */

/* Characters with a meaning in names are written as %XX, so that no two stores
 * share a name and the hash tag ends where it should. */
static bool append_escaped(nadb_buf *out, const char *text) {
    static const char digits[] = "0123456789ABCDEF";
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    bool ok = true;

    for (const char *p = text; *p != '\0' && ok; p++) {
        uint8_t c = (uint8_t)*p;

        if (strchr(plain, *p) != NULL)
            ok = nadb_buf_byte(out, c);
        else
            ok = nadb_buf_byte(out, '%') &&
                 nadb_buf_byte(out, (uint8_t)digits[c >> 4]) &&
                 nadb_buf_byte(out, (uint8_t)digits[c & 15]);
    }
    return ok;
}

static nadb_rc make_prefix(nadb_buf *out, const nadb_options *o,
                           const char *part, nadb_err *err) {
    if (nadb_buf_append(out, "nadb:{", 6) &&
        append_escaped(out, nadb_option_text(o, "db")) &&
        nadb_buf_byte(out, ':') &&
        append_escaped(out, nadb_option_text(o, "namespace")) &&
        nadb_buf_append(out, part, strlen(part)) &&
        nadb_buf_append(out, "}:", 2))
        return NADB_OK;
    return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis store");
}

/* --- the whole store --- */

/* A commit is on the server when it returns. */
nadb_rc redis_flush(nadb_engine *engine, nadb_err *err) {
    (void)engine;
    (void)err;
    return NADB_OK;
}

static uint64_t redis_cache_drop(nadb_engine *engine) {
    return cache_drop(&((redis_engine *)engine)->cache);
}

void redis_stats_of(redis_engine *const *list, size_t n, nadb_stat_fn *emit,
                    void *ctx) {
    /* Nothing is buffered here, and only the server knows its sizes. */
    static const char *const none[] = {
        "stored_bytes",  "buffer_entries",
        "buffer_bytes",  "buffer_utilization_percent",
        "flush_count",   "compaction_count",
        "expired_count",
    };
    uint64_t commits = 0, undone = 0, connects = 0;
    cache_counts cached = {0};

    for (size_t i = 0; i < n; i++) {
        nadb_lock(&list[i]->lock);
        commits += list[i]->commits;
        undone += list[i]->undone;
        nadb_unlock(&list[i]->lock);
        nadb_lock(&list[i]->own_pool.lock);
        connects += list[i]->own_pool.connects;
        nadb_unlock(&list[i]->own_pool.lock);
        cache_count(&list[i]->cache, &cached);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        emit(ctx, none[i], 0);
    cache_stats(&cached, emit, ctx);
    emit(ctx, "redis_commits", (double)commits);
    emit(ctx, "redis_rollbacks", (double)undone);
    emit(ctx, "redis_connects", (double)connects);
}

static void redis_stats(nadb_engine *engine, nadb_stat_fn *emit, void *ctx) {
    redis_engine *e = (redis_engine *)engine;

    redis_stats_of(&e, 1, emit, ctx);
}

/* --- opening and closing --- */

void redis_close(nadb_engine *engine) {
    redis_engine *e = (redis_engine *)engine;

    if (e == NULL) return;
    cache_clear(&e->cache);
    pool_clear(&e->own_pool);
    redis_ticket_free(e->spare);
    for (size_t i = 0; i < REDIS_CLAIMS; i++) nadb_free(e->claims[i].key);
    nadb_mutex_clear(&e->own_scripts.lock);
    nadb_mutex_clear(&e->lock);
    nadb_buf_clear(&e->prefix);
    address_clear(&e->at);
    nadb_free(e);
}

static const nadb_engine_ops redis_ops = {
    .close = redis_close,
    .view_open = redis_view_open,
    .view_close = redis_view_close,
    .view_refresh = redis_view_refresh,
    .view_renew = redis_view_refresh,
    .view_rest = redis_view_rest,
    .get = redis_get,
    .want = redis_prefetch,
    .iter = redis_iter_new,
    .match = redis_match,
    .sweep = redis_sweep,
    .claim = redis_take_claim,
    .unclaim = redis_unclaim,
    .prepare = redis_prepare,
    .commit = redis_commit,
    .rollback = redis_rollback,
    .flush = redis_flush,
    .compact = redis_compact,
    .check = redis_check,
    .stats = redis_stats,
    .totals = redis_totals,
    .limit = &redis_limit,
    .cache_drop = redis_cache_drop,
    .keep = redis_keep_changes,
    .changes = redis_changes,
    .wait = redis_wait,
    .destroy = redis_destroy,
};

static nadb_rc init_locks(redis_engine *e, const nadb_options *o,
                          const redis_part *part, nadb_err *err) {
    int64_t cache_bytes = nadb_option_number(o, "cache_size_mb");
    nadb_rc rc = nadb_mutex_init(&e->lock, NADB_RANK_BACKEND, err);

    if (rc != NADB_OK) return rc;
    rc = nadb_mutex_init(&e->own_scripts.lock, NADB_RANK_BACKEND, err);
    if (rc != NADB_OK) goto no_scripts;
    rc = pool_init(&e->own_pool, &e->at,
                   (unsigned)nadb_option_number(o, "pool_size"), err);
    if (rc != NADB_OK) goto no_pool;
    e->scripts = part->beside != NULL ? part->beside->scripts : &e->own_scripts;
    if (part->beside != NULL) e->own_pool.way.beside = &part->beside->pool->way;
    /* In a cluster each shard may be on another node. */
    e->pool = part->beside != NULL && !e->at.cluster ? part->beside->pool
                                                     : &e->own_pool;
    rc = cache_init(&e->cache, &e->at, &e->pool->way, redis_prefix(e),
                    (uint64_t)cache_bytes / part->of, err);
    if (rc == NADB_OK) return NADB_OK;
    pool_clear(&e->own_pool);
no_pool:
    nadb_mutex_clear(&e->own_scripts.lock);
no_scripts:
    nadb_mutex_clear(&e->lock);
    return rc;
}

nadb_rc redis_open_part(const nadb_options *options, const redis_part *part,
                        nadb_engine **out, nadb_err *err) {
    redis_engine *e = nadb_calloc(1, sizeof *e);
    nadb_rc rc;

    *out = NULL;
    if (e == NULL)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis store");
    e->base.ops = &redis_ops;
    e->shard = part->shard;
    e->of = part->of;
    e->keep = nadb_option_keep(options);
    rc = address_init(&e->at, options, err);
    if (rc == NADB_OK) rc = make_prefix(&e->prefix, options, part->name, err);
    if (rc == NADB_OK) rc = init_locks(e, options, part, err);
    if (rc != NADB_OK) {
        nadb_buf_clear(&e->prefix);
        address_clear(&e->at);
        nadb_free(e);
        return rc;
    }
    *out = &e->base;
    return NADB_OK;
}

nadb_rc redis_open(const nadb_options *options, nadb_engine **out,
                   nadb_err *err) {
    const redis_part whole = {"", 0, 1, NULL};

    return redis_open_part(options, &whole, out, err);
}

static nadb_rc open_store(const nadb_options *options, nadb_engine **out,
                          nadb_err *err) {
    if (nadb_option_number(options, "shards") > 1)
        return shards_open(options, out, err);
    return redis_open(options, out, err);
}

/* Without a local log, tables with different timeouts may have separate
 * connections. */
static nadb_rc identity(const nadb_options *options, nadb_buf *out,
                        nadb_err *err) {
    nadb_rc rc = address_identity(options, out, err);

    if (rc == NADB_OK &&
        !(nadb_identity_add_number(
              out, "connect_timeout",
              nadb_option_number(options, "connect_timeout")) &&
          nadb_identity_add_number(out, "timeout",
                                   nadb_option_number(options, "timeout"))))
        rc = nadb_fail(err, NADB_NOMEM, "out of memory for a Redis store");
    return rc;
}

const nadb_backend nadb_backend_redis = {
    .name = "redis",
    .caps = NADB_CAP_ENGINE | NADB_CAP_PERSISTENT | NADB_CAP_SHARED |
            NADB_CAP_OWN_INDEX | NADB_CAP_NATIVE_TTL | NADB_CAP_REMOTE,
    .summary = "a Redis server, shared by machines and programs",
    .uses = "hiredis " NADB_TEXT(HIREDIS_MAJOR) "." NADB_TEXT(
        HIREDIS_MINOR) "." NADB_TEXT(HIREDIS_PATCH),
    .options = redis_options,
    .identity = identity,
    .engine_open = open_store,
    .buffered = &redis_buffered,
};
