/* limits.c - keeps a store below a size by removing rows.
 *
 * The size is that of all rows: bytes of keys and of stored values. The engine
 * has exact totals, also after a crash (session_totals()); between two readings
 * of them, commits of this process are added up here.
 *
 * Which rows are removed. A hand walks over the rows in key order, round and
 * round. Of each stretch that it passes, the rows that are worth least by the
 * policy join a pool of candidates, and the least of the pool are removed, an
 * eighth of the number passed. So each removal is a choice among many hundred
 * rows, and its cost does not depend on the size of the store. A candidate that
 * was used since is dropped from the pool.
 *
 * A row larger than an eighth of the limit is removed before all others, so
 * that the store is not emptied for it.
 *
 * For other transactions a removed row is like an expired one: having read it
 * is no conflict, and a snapshot still shows it.
 *
 * An engine on a server (ops->limit) refuses commits and removes the chosen
 * rows itself, unless they have been written meanwhile. Finding out what each
 * commit replaces would cost a round trip, so each put counts as a new row
 * here; when the sum exceeds the limit, the engine is asked for the size. */
#include "limits.h"

#include "../util/assert.h"

#include <stdlib.h>

#include "clock.h"
#include "row.h"
#include "session.h"

#define STRETCH_ROWS 320u
#define STRETCH_BYTES ((size_t)8 << 20)
#define POOL 384u
#define POOL_KEPT 192u /* candidates kept between two stretches */
#define STEP_ROWS 40u  /* removed in one transaction */
#define ROUND_NS 5000000
#define WAIT_MS 2
#define COUNT_NS 10000000000 /* how often the engine's totals are read */
#define ROW_ABOUT 512u /* assumed size of a row, for the size of the clock */

typedef struct candidate {
    uint64_t worth; /* the least worth is removed first */
    uint64_t bytes;
    int64_t created_ms, updated_ms, expires_ms;
    const char *key; /* owned by the pool */
    size_t key_n;
} candidate;

struct nadb_limits {
    _Atomic uint64_t max;
    _Atomic int policy;
    _Atomic int64_t used;
    _Atomic int64_t counted_ns; /* 0: never */
    _Atomic uint64_t evicted_rows, evicted_bytes;
    nadb_clock clock;
    /* set by the thread that evicts and owns the fields below */
    atomic_bool busy;
    nadb_buf hand; /* the walk continues behind this key */
    size_t n_pool;
    candidate pool[POOL];
};

nadb_rc nadb_limits_new(uint64_t bytes_max, nadb_eviction eviction,
                        nadb_limits **out, nadb_err *err) {
    nadb_limits *l = nadb_calloc(1, sizeof *l);
    nadb_rc rc;

    *out = NULL;
    if (l == NULL) return nadb_fail(err, NADB_NOMEM, "opening a store");
    nadb_limits_set(l, bytes_max, eviction);
    rc = nadb_clock_init(&l->clock, bytes_max / ROW_ABOUT, nadb_now_ms(), err);
    if (rc == NADB_OK)
        *out = l;
    else
        nadb_free(l);
    return rc;
}

void nadb_limits_free(nadb_limits *l) {
    if (l == NULL) return;
    while (l->n_pool > 0) nadb_free((void *)l->pool[--l->n_pool].key);
    nadb_clock_clear(&l->clock);
    nadb_buf_clear(&l->hand);
    nadb_free(l);
}

void nadb_limits_set(nadb_limits *l, uint64_t bytes_max,
                     nadb_eviction eviction) {
    atomic_store(&l->max, bytes_max);
    atomic_store(&l->policy, (int)eviction);
}

void nadb_limits_tell(nadb_kv *kv) {
    nadb_engine *e = kv->engine;

    if (e->ops->limit != NULL)
        e->ops->limit->set(e, kv->options->size_max,
                           kv->options->eviction == NADB_EVICT_NONE);
}

static nadb_eviction policy_of(nadb_limits *l) {
    return (nadb_eviction)atomic_load(&l->policy);
}

void nadb_limits_read(nadb_limits *l, nadb_slice key, int64_t now_ms) {
    nadb_eviction policy = policy_of(l);

    if (policy == NADB_EVICT_LRU || policy == NADB_EVICT_LFU)
        nadb_clock_note(&l->clock, key, now_ms);
}

/* --- the size of the store --- */

static uint64_t bytes_of(nadb_slice key, const nadb_row *row) {
    return key.n + row->stored.n;
}

/* Reads the engine's totals, in a session of its own: that of a transaction
 * sees its changes, and its reads are counted in metrics. */
static nadb_rc count(nadb_limits *l, nadb_kv *kv, nadb_err *err) {
    nadb_session *ss = NULL;
    nadb_totals t;
    nadb_rc rc = session_new(kv, &ss, err);

    if (rc == NADB_OK) nadb_meter_end(&ss->meter);
    if (rc == NADB_OK) rc = session_totals(ss, &t, err);
    nadb_session_free(ss);
    if (rc != NADB_OK) return rc;
    atomic_store(&l->used, (int64_t)(t.key_bytes + t.stored_bytes));
    atomic_store(&l->counted_ns, nadb_os_get()->mono_ns());
    return NADB_OK;
}

static bool is_remote(const nadb_session *ss) {
    return ss->engine->ops->limit != NULL;
}

/* What one change of a transaction adds; on a server an upper bound. */
static nadb_rc added(nadb_limits *l, nadb_session *ss, const nadb_entry *change,
                     bool cleared, int64_t *delta, nadb_err *err) {
    nadb_slice key = nadb_slice_of(change->key.p + 1, change->key.n - 1);
    uint64_t max = atomic_load(&l->max), bytes;
    nadb_row row;
    nadb_entry e;
    bool found = false;
    nadb_rc rc = NADB_OK;

    if (change->key.p[0] != NADB_KS_ROW) return NADB_OK;
    if (!cleared && !is_remote(ss))
        rc = ss->engine->ops->get(ss->engine, ss->txn->view, change->key, &e,
                                  &found, err);
    if (rc == NADB_OK && found) rc = nadb_row_decode(e.value, &row, err);
    if (rc == NADB_OK && found) *delta -= (int64_t)bytes_of(key, &row);
    if (rc != NADB_OK || (change->flags & NADB_ENTRY_TOMBSTONE) != 0) return rc;
    rc = nadb_row_decode(change->value, &row, err);
    if (rc != NADB_OK) return rc;
    bytes = bytes_of(key, &row);
    *delta += (int64_t)bytes;
    if (max > 0 && bytes > max)
        return nadb_fail(err, NADB_FULL,
                         "a row of %llu bytes does not fit into the store: "
                         "option max_size_mb allows %llu",
                         (unsigned long long)bytes, (unsigned long long)max);
    nadb_limits_read(l, key, nadb_now_ms());
    return NADB_OK;
}

static nadb_rc measure(nadb_limits *l, nadb_session *ss, int64_t *delta,
                       nadb_err *err) {
    bool cleared = batch_cleared(ss->b, UINT64_MAX);
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    nadb_iter *it = NULL;
    nadb_rc rc = batch_iter(ss->b, &all, UINT64_MAX, &it, err);

    *delta = 0;
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        rc = added(l, ss, &it->entry, cleared, delta, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    if (cleared) *delta -= atomic_load(&l->used);
    return rc;
}

nadb_rc nadb_limits_admit(nadb_limits *l, nadb_session *ss, int64_t *delta,
                          nadb_err *err) {
    int64_t max = (int64_t)atomic_load(&l->max);
    nadb_rc rc = NADB_OK;

    *delta = 0;
    if (max == 0) return NADB_OK;
    if (is_remote(ss)) return measure(l, ss, delta, err);
    if (atomic_load(&l->counted_ns) == 0) rc = count(l, ss->kv, err);
    if (rc == NADB_OK) rc = measure(l, ss, delta, err);
    if (rc != NADB_OK || policy_of(l) != NADB_EVICT_NONE || *delta <= 0 ||
        atomic_load(&l->used) + *delta <= max)
        return rc;
    /* Other processes may have removed rows. */
    rc = count(l, ss->kv, err);
    if (rc != NADB_OK || atomic_load(&l->used) + *delta <= max) return rc;
    return nadb_fail(err, NADB_FULL,
                     "the store has %lld bytes, the transaction adds %lld, and "
                     "option max_size_mb allows %lld: delete rows, raise it, "
                     "or name an eviction",
                     (long long)atomic_load(&l->used), (long long)*delta,
                     (long long)max);
}

/* --- choosing rows --- */

static uint64_t time_worth(int64_t ms) {
    return ms < 0 ? 0 : (uint64_t)ms & (((uint64_t)1 << 48) - 1);
}

static uint64_t worth_of(nadb_limits *l, const candidate *c) {
    int64_t ms = c->updated_ms, used_ms;
    unsigned uses = 0;
    uint64_t max = atomic_load(&l->max);

    if (c->bytes > max / 8) return 0;
    if (nadb_clock_find(&l->clock, nadb_slice_of(c->key, c->key_n), &used_ms,
                        &uses) &&
        used_ms > ms)
        ms = used_ms;
    switch (policy_of(l)) {
    case NADB_EVICT_LFU:
        return (uint64_t)uses << 48 | time_worth(ms);
    case NADB_EVICT_FIFO:
        return time_worth(c->created_ms) + 1;
    case NADB_EVICT_TTL:
        if (c->expires_ms != NADB_NO_EXPIRY)
            return time_worth(c->expires_ms) + 1;
        return (uint64_t)1 << 48 | time_worth(ms);
    case NADB_EVICT_LRU:
    case NADB_EVICT_NONE:
        break;
    }
    return time_worth(ms) + 1;
}

/* A candidate that borrows the row's key. */
static candidate candidate_of(nadb_limits *l, const nadb_row *row) {
    candidate c = {.bytes = bytes_of(row->key, row),
                   .created_ms = row->created_ms,
                   .updated_ms = row->updated_ms,
                   .expires_ms = row->expires_ms,
                   .key = (const char *)row->key.p,
                   .key_n = row->key.n};

    c.worth = worth_of(l, &c);
    return c;
}

static int by_worth(const void *a, const void *b) {
    const candidate *x = a, *y = b;

    return x->worth < y->worth ? -1 : x->worth > y->worth;
}

static void pool_cut(nadb_limits *l, size_t n) {
    while (l->n_pool > n) nadb_free((void *)l->pool[--l->n_pool].key);
}

/* Adds a row to the pool if there is room or if it is worth less than the most
 * valuable candidate. */
static void pool_add(nadb_limits *l, const nadb_row *row) {
    candidate c = candidate_of(l, row);
    char *key;

    if (l->n_pool == POOL) {
        qsort(l->pool, l->n_pool, sizeof l->pool[0], by_worth);
        if (l->pool[POOL - 1].worth <= c.worth) return;
        pool_cut(l, POOL_KEPT);
    }
    key = nadb_malloc(c.key_n + 1);
    if (key == NULL) return;
    if (c.key_n > 0) memcpy(key, row->key.p, c.key_n);
    c.key = key;
    l->pool[l->n_pool++] = c;
}

/* Moves the hand over a stretch of rows; behind the last row it starts
 * again. */
static nadb_rc walk(nadb_limits *l, nadb_session *ss) {
    nadb_scan scan = {.lo = nadb_buf_slice(&l->hand)};
    nadb_cursor *c = NULL;
    const nadb_row *row;
    size_t rows = 0, bytes = 0;
    nadb_rc rc = nadb_cursor_new(ss, &c, NULL);
    nadb_err err;

    if (rc == NADB_OK) rc = nadb_cursor_scan(c, &scan, &err);
    while (rc == NADB_OK && (row = nadb_cursor_row(c)) != NULL &&
           rows < STRETCH_ROWS && bytes < STRETCH_BYTES) {
        rows++;
        bytes += row->stored.n;
        pool_add(l, row);
        rc = nadb_cursor_next(c, &err);
    }
    nadb_buf_reset(&l->hand);
    row = rc == NADB_OK ? nadb_cursor_row(c) : NULL;
    if (row != NULL && !nadb_buf_append(&l->hand, row->key.p, row->key.n))
        rc = NADB_NOMEM;
    nadb_cursor_free(c);
    qsort(l->pool, l->n_pool, sizeof l->pool[0], by_worth);
    pool_cut(l, POOL_KEPT);
    return rc;
}

/* *yes: the candidate still exists and its worth has not risen. */
static nadb_rc still_least(nadb_limits *l, nadb_session *ss, const candidate *c,
                           bool *yes) {
    nadb_cursor *cur = NULL;
    const nadb_row *row;
    nadb_err err;
    nadb_rc rc = nadb_cursor_new(ss, &cur, &err);

    *yes = false;
    if (rc == NADB_OK)
        rc = nadb_cursor_key(cur, nadb_slice_of(c->key, c->key_n), true, &err);
    row = rc == NADB_OK ? nadb_cursor_row(cur) : NULL;
    if (row != NULL) {
        candidate now = candidate_of(l, row);

        *yes = now.worth <= c->worth && now.bytes == c->bytes;
    }
    nadb_cursor_free(cur);
    return rc;
}

/* Drops the first n of the pool, which were tried. */
static void pool_drop(nadb_limits *l, size_t n) {
    for (size_t i = 0; i < n; i++) nadb_free((void *)l->pool[i].key);
    memmove(l->pool, l->pool + n, (l->n_pool - n) * sizeof l->pool[0]);
    l->n_pool -= n;
}

static void removed(nadb_limits *l, uint64_t rows, uint64_t bytes) {
    atomic_fetch_sub(&l->used, (int64_t)bytes);
    atomic_fetch_add(&l->evicted_bytes, bytes);
    atomic_fetch_add(&l->evicted_rows, rows);
}

/* Removes candidates, the least first, until `excess` bytes are freed, in one
 * transaction. */
static nadb_rc remove_least(nadb_limits *l, nadb_session *ss, int64_t excess) {
    uint64_t bytes = 0, rows = 0;
    size_t n = 0;
    nadb_err err;
    nadb_rc rc = NADB_OK;

    nadb_err_clear(&err);
    rc = nadb_session_begin(ss, false, &err);
    for (; rc == NADB_OK && n < l->n_pool && rows < STEP_ROWS &&
           (int64_t)bytes < excess;
         n++) {
        const candidate *c = &l->pool[n];
        bool least = false, swept = false;

        rc = still_least(l, ss, c, &least);
        if (rc == NADB_OK && least)
            rc = session_sweep(ss, nadb_slice_of(c->key, c->key_n), &swept,
                               &err);
        if (!swept) continue;
        bytes += c->bytes;
        rows++;
    }
    if (rc == NADB_OK) rc = nadb_session_prepare(ss, &err);
    if (rc == NADB_OK)
        nadb_session_commit(ss);
    else
        (void)nadb_session_rollback(ss, NULL);
    pool_drop(l, n);
    if (rc == NADB_OK) removed(l, rows, bytes);
    return rc;
}

/* True if the list has the row already; the hand may pass it twice. */
static bool is_listed(const nadb_victim *list, size_t n, const candidate *c) {
    for (size_t i = 0; i < n; i++)
        if (nadb_slice_eq(list[i].key, nadb_slice_of(c->key, c->key_n)))
            return true;
    return false;
}

/* As remove_least(), for an engine that removes rows itself. */
static nadb_rc remove_there(nadb_limits *l, nadb_session *ss, int64_t excess) {
    nadb_victim list[STEP_ROWS];
    uint64_t rows = 0, bytes = 0;
    size_t n = 0, n_list = 0;
    nadb_err err;
    nadb_rc rc = NADB_OK;

    for (; n < l->n_pool && n_list < STEP_ROWS && (int64_t)bytes < excess;
         n++) {
        const candidate *c = &l->pool[n];

        if (worth_of(l, c) > c->worth || is_listed(list, n_list, c)) continue;
        list[n_list].key = nadb_slice_of(c->key, c->key_n);
        list[n_list++].updated_ms = c->updated_ms;
        bytes += c->bytes;
    }
    bytes = 0;
    if (n_list > 0)
        rc = ss->engine->ops->limit->evict(ss->engine, list, n_list, &rows,
                                           &bytes, &err);
    pool_drop(l, n);
    removed(l, rows, bytes);
    return rc;
}

/* How many bytes to remove. It aims somewhat below the limit, so that not every
 * put has to remove rows. */
static int64_t excess_of(nadb_limits *l) {
    int64_t max = (int64_t)atomic_load(&l->max);
    int64_t used = atomic_load(&l->used);

    if (max == 0 || policy_of(l) == NADB_EVICT_NONE || used <= max) return 0;
    return used - (max - max / 256);
}

/* One stretch of the walk and one transaction. */
static nadb_rc step(nadb_limits *l, nadb_kv *kv) {
    nadb_session *ss = NULL;
    nadb_err err;
    nadb_rc rc = session_new(kv, &ss, NULL);

    if (rc != NADB_OK) return rc;
    /* counted as evicted rows, not as operations */
    nadb_meter_end(&ss->meter);
    ss->in_background = true;
    ss->timeout_ms = WAIT_MS;
    /* The sum here is an upper bound. */
    if (is_remote(ss)) rc = count(l, kv, &err);
    if (rc == NADB_OK && excess_of(l) > 0) rc = walk(l, ss);
    if (rc == NADB_OK && excess_of(l) > 0)
        rc = is_remote(ss) ? remove_there(l, ss, excess_of(l))
                           : remove_least(l, ss, excess_of(l));
    nadb_session_free(ss);
    return rc;
}

void nadb_limits_committed(nadb_limits *l, nadb_kv *kv, size_t changes,
                           int64_t delta) {
    atomic_fetch_add(&l->used, delta);
    if (excess_of(l) == 0 || atomic_exchange(&l->busy, true)) return;
    /* As many steps as are needed to keep up with commits of this size. */
    for (size_t n = 0; n <= changes / (STEP_ROWS / 2) && excess_of(l) > 0; n++)
        if (step(l, kv) != NADB_OK) break;
    atomic_store(&l->busy, false);
}

bool nadb_limits_round(nadb_limits *l, nadb_kv *kv) {
    const nadb_os *os = nadb_os_get();
    int64_t now = os->mono_ns(), until = now + ROUND_NS;
    int64_t counted = atomic_load(&l->counted_ns);
    nadb_err err;
    nadb_rc rc = NADB_OK;

    if (atomic_load(&l->max) == 0 || policy_of(l) == NADB_EVICT_NONE)
        return false;
    if (counted == 0 || now - counted > COUNT_NS) rc = count(l, kv, &err);
    while (rc == NADB_OK && excess_of(l) > 0 && os->mono_ns() < until) {
        if (atomic_exchange(&l->busy, true)) return true;
        rc = step(l, kv);
        atomic_store(&l->busy, false);
    }
    return rc == NADB_OK && excess_of(l) > 0;
}

void nadb_limits_stats(nadb_limits *l, nadb_stat_fn *emit, void *ctx) {
    emit(ctx, "evicted_count", (double)atomic_load(&l->evicted_rows));
    emit(ctx, "evicted_bytes", (double)atomic_load(&l->evicted_bytes));
}
