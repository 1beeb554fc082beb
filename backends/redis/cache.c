/* cache.c - see cache.h.
 *
 * The server reports rows of one generation and the list of cleared
 * generations. When that list changes the generation may have changed, and
 * everything starts again. */
#include "cache.h"

#include <inttypes.h>
#include <stdio.h>

/* Number of single rows that are read before the cache starts. */
#define READS_FIRST 16u

/* Maximum age of the two proofs before they are renewed; twice that while
 * another thread renews them. One proof is that the connection is alive. The
 * other is a recent read from the server: rows that the server refuses to
 * return (a cluster that is down, a right that was revoked) must not be
 * returned from here. */
#define PROOF_NS 500000000ll

#define BUCKETS_FIRST 1024u
#define PAUSE_FIRST_MS 10
#define PAUSE_MOST_MS 5000
#define PAUSE_FORBIDDEN_MS 60000
#define PAUSE_SILENT_MS 10000

/* How long a reader waits for the listening connection; at most half of its
 * time limit. */
#define LISTEN_MS 1000

static const char channel[] = "__redis__:invalidate";

struct cached_row {
    cached_row *chain, *newer, *older;
    uint64_t hash;
    uint64_t version, created_in;
    size_t key_n, row_n;
    bool found;
    uint8_t bytes[]; /* key, then row */
};

/* --- the table. REQUIRES: `lock` --- */

static size_t weight(const cached_row *x) {
    return sizeof *x + x->key_n + x->row_n + 4 * sizeof(void *);
}

static cached_row **bucket_of(const cache *n, uint64_t hash) {
    return &n->buckets[hash & (n->n_buckets - 1)];
}

static cached_row *find(const cache *n, nadb_slice key, uint64_t hash) {
    cached_row *x = n->buckets == NULL ? NULL : *bucket_of(n, hash);

    while (x != NULL &&
           (x->hash != hash ||
            !nadb_slice_eq(key, nadb_slice_of(x->bytes, x->key_n))))
        x = x->chain;
    return x;
}

static void list_add(cache *n, cached_row *x) {
    x->newer = NULL;
    x->older = n->newest;
    if (n->newest != NULL) n->newest->newer = x;
    n->newest = x;
    if (n->oldest == NULL) n->oldest = x;
}

static void list_remove(cache *n, cached_row *x) {
    if (x->newer != NULL) x->newer->older = x->older;
    if (x->older != NULL) x->older->newer = x->newer;
    if (n->newest == x) n->newest = x->older;
    if (n->oldest == x) n->oldest = x->newer;
}

static void drop(cache *n, cached_row *x) {
    cached_row **at = bucket_of(n, x->hash);

    while (*at != x) at = &(*at)->chain;
    *at = x->chain;
    list_remove(n, x);
    n->entries--;
    n->bytes -= weight(x);
    nadb_free(x);
}

static void forget_all(cache *n) {
    while (n->oldest != NULL) drop(n, n->oldest);
    n->turn++;
}

static void forget(cache *n, nadb_slice key) {
    uint64_t hash = nadb_hash64(key);
    cached_row *x = find(n, key, hash);

    n->stamps[hash % CACHE_STAMPS]++;
    if (x != NULL) drop(n, x);
}

/* Adds buckets if there are too few; continues without if memory is short. */
static void grow(cache *n) {
    size_t more = n->n_buckets == 0 ? BUCKETS_FIRST : n->n_buckets * 2;
    cached_row **buckets;

    if (n->entries < n->n_buckets) return;
    buckets = nadb_calloc(more, sizeof(cached_row *));
    if (buckets == NULL) return;
    nadb_free(n->buckets);
    n->buckets = buckets;
    n->n_buckets = more;
    for (cached_row *x = n->oldest; x != NULL; x = x->newer) {
        cached_row **at = bucket_of(n, x->hash);

        x->chain = *at;
        *at = x;
    }
}

static void insert(cache *n, nadb_slice key, const record *rec, bool found) {
    size_t row_n = found ? rec->row.n : 0;
    uint64_t hash = nadb_hash64(key);
    cached_row *x = find(n, key, hash);

    if (x != NULL && x->found && found && x->version > rec->version) return;
    if (x != NULL) drop(n, x);
    if ((key.n + row_n) > n->bytes_max / 8) return;
    grow(n);
    x = n->buckets == NULL ? NULL : nadb_malloc(sizeof *x + key.n + row_n);
    if (x == NULL) return;
    x->hash = hash;
    x->version = rec->version;
    x->created_in = rec->created_in;
    x->key_n = key.n;
    x->row_n = row_n;
    x->found = found;
    memcpy(x->bytes, key.p, key.n);
    if (row_n > 0) memcpy(x->bytes + key.n, rec->row.p, row_n);
    x->chain = *bucket_of(n, hash);
    *bucket_of(n, hash) = x;
    list_add(n, x);
    n->entries++;
    n->bytes += weight(x);
    while (n->bytes > n->bytes_max) drop(n, n->oldest);
}

/* --- listening. REQUIRES: `link_lock` --- */

/* Drops everything and turns the cache off; it is turned on again after a
 * pause. */
static void turn_off(cache *n, int64_t pause_ms) {
    conn_close(n->link);
    nadb_lock(&n->lock);
    forget_all(n);
    n->on = n->stop = false;
    n->pause_ms = pause_ms;
    n->retry_ns = nadb_os_get()->mono_ns() + pause_ms * 1000000;
    nadb_unlock(&n->lock);
}

/* Splits "nadb:{..}:<generation>:r:<key>", for any generation, into the key. */
static bool row_of(const cache *n, nadb_slice name, nadb_slice *key) {
    const uint8_t *p, *end = name.p + name.n;

    if (!nadb_slice_starts(name, n->prefix)) return false;
    p = memchr(name.p + n->prefix.n, ':', name.n - n->prefix.n);
    if (p == NULL || end - p < 3 || memcmp(p, ":r:", 3) != 0) return false;
    *key = nadb_slice_of(p + 3, (size_t)(end - p - 3));
    return true;
}

/* Handles a report of changed keys; without names it means all of them. */
static void take_names(cache *n, const redisReply *names) {
    nadb_lock(&n->lock);
    if (names->type != REDIS_REPLY_ARRAY) forget_all(n);
    for (size_t i = 0; names->type == REDIS_REPLY_ARRAY && i < names->elements;
         i++) {
        nadb_slice key, name = reply_slice(names->element[i]);

        if (row_of(n, name, &key))
            forget(n, key);
        else
            n->stop = true; /* the list of generations */
    }
    nadb_unlock(&n->lock);
}

/* Handles one message; *pong: it was the answer to a PING. */
static nadb_rc take_message(cache *n, const redisReply *r, bool *pong) {
    *pong = false;
    if (!reply_is_array(r, 2)) return NADB_IOERR;
    if (nadb_slice_eq(reply_slice(r->element[0]), nadb_slice_str("pong"))) {
        *pong = true;
        return NADB_OK;
    }
    if (r->elements != 3 ||
        !nadb_slice_eq(reply_slice(r->element[1]), nadb_slice_str(channel)))
        return NADB_IOERR;
    take_names(n, r->element[2]);
    return NADB_OK;
}

/* Handles all messages that have arrived. */
static nadb_rc take_all(cache *n) {
    redisReply *r = NULL;
    bool pong;
    nadb_rc rc = NADB_OK;

    /* The loop is bounded, in case a server sends more than can be handled. */
    for (unsigned i = 1;; i++) {
        rc = wire_look(&n->link->wire, &r, NULL);
        if (rc != NADB_OK || r == NULL) return rc;
        rc = take_message(n, r, &pong);
        freeReplyObject(r);
        if (rc == NADB_OK && i % 256 == 0)
            rc = patience_check(&n->link->until, NULL);
        if (rc != NADB_OK) return rc;
    }
}

/* Sends a PING; its answer proves that all earlier reports have arrived. */
static nadb_rc prove(cache *n) {
    int64_t now = nadb_os_get()->mono_ns();
    redisReply *r = NULL;
    bool pong = false;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    args_text(&a, "PING");
    rc = wire_send(&n->link->wire, &a, NULL);
    args_clear(&a);
    while (rc == NADB_OK && !pong) {
        rc = wire_receive(&n->link->wire, &r, NULL);
        if (rc == NADB_OK) rc = take_message(n, r, &pong);
        freeReplyObject(r);
        r = NULL;
    }
    if (rc != NADB_OK) return rc;
    nadb_lock(&n->lock);
    n->proven_ns = now;
    nadb_unlock(&n->lock);
    return NADB_OK;
}

static void listen_now(cache *n) {
    bool old = route_is_old(n->link->way, n->link->epoch);
    nadb_rc rc = old ? NADB_IOERR : take_all(n);
    int64_t proven;
    bool stop;

    nadb_lock(&n->lock);
    proven = n->proven_ns;
    stop = n->stop;
    nadb_unlock(&n->lock);
    if (rc == NADB_OK && !stop && nadb_os_get()->mono_ns() - proven > PROOF_NS)
        rc = prove(n);
    if (rc != NADB_OK || stop)
        turn_off(n, n->link->until.late ? PAUSE_SILENT_MS : 0);
}

/* --- turning it on. REQUIRES: `link_lock` --- */

static nadb_rc read_generation(cache *n, args *a, uint64_t *generation) {
    redisReply *r = NULL;
    nadb_rc rc;

    args_reset(a);
    args_text(a, "HGET");
    args_join(a, n->prefix, nadb_slice_str("meta"));
    args_text(a, "gen");
    rc = conn_call(n->link, a, &r, NULL);
    *generation = rc == NADB_OK ? reply_number_or_0(r) : 0;
    freeReplyObject(r);
    return rc;
}

/* Asks for reports on this connection. */
static nadb_rc track(cache *n, args *a, uint64_t generation) {
    redisReply *r = NULL;
    char rows[40];
    nadb_rc rc;

    args_reset(a);
    args_text(a, "CLIENT");
    args_text(a, "ID");
    rc = conn_call(n->link, a, &r, NULL);
    if (rc != NADB_OK) return rc;
    args_reset(a);
    args_text(a, "CLIENT");
    args_text(a, "TRACKING");
    args_text(a, "ON");
    args_text(a, "REDIRECT");
    args_number(a, r->type == REDIS_REPLY_INTEGER ? r->integer : 0);
    args_text(a, "BCAST");
    args_text(a, "PREFIX");
    snprintf(rows, sizeof rows, "%" PRIu64 ":r:", generation);
    args_join(a, n->prefix, nadb_slice_str(rows));
    args_text(a, "PREFIX");
    args_join(a, n->prefix, nadb_slice_str("dead"));
    freeReplyObject(r);
    rc = conn_call(n->link, a, &r, NULL);
    freeReplyObject(r);
    if (rc != NADB_OK) return rc;
    args_reset(a);
    args_text(a, "SUBSCRIBE");
    args_text(a, channel);
    rc = conn_call(n->link, a, &r, NULL);
    freeReplyObject(r);
    return rc;
}

static nadb_rc start(cache *n) {
    int64_t begin = nadb_os_get()->mono_ns();
    uint64_t generation = 0;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    rc = conn_open(n->link, NULL);
    if (rc == NADB_OK) rc = read_generation(n, &a, &generation);
    if (rc == NADB_OK) rc = track(n, &a, generation);
    args_clear(&a);
    if (rc == NADB_OK) rc = prove(n);
    if (rc != NADB_OK) return rc;
    nadb_lock(&n->lock);
    n->on = true;
    n->stop = false;
    n->generation = generation;
    n->read_ns = n->sent_ns = begin;
    n->pause_ms = 0;
    n->starts++;
    nadb_unlock(&n->lock);
    return NADB_OK;
}

static void try_start(cache *n) {
    int64_t pause;
    nadb_rc rc = start(n);

    if (rc == NADB_OK) return;
    nadb_lock(&n->lock);
    pause = n->pause_ms == 0 ? PAUSE_FIRST_MS : n->pause_ms * 2;
    nadb_unlock(&n->lock);
    if (pause > PAUSE_MOST_MS) pause = PAUSE_MOST_MS;
    if (n->link->until.late) pause = PAUSE_SILENT_MS;
    /* A missing right will not be granted soon. */
    turn_off(n, rc == NADB_CANTOPEN ? PAUSE_FORBIDDEN_MS : pause);
}

/* --- for readers --- */

nadb_rc cache_init(cache *n, const address *at, route *way, nadb_slice prefix,
                   uint64_t bytes_max, nadb_err *err) {
    nadb_rc rc;

    memset(n, 0, sizeof *n);
    n->prefix = prefix;
    n->bytes_max = bytes_max;
    n->link = conn_new(at, way);
    if (n->link == NULL)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis cache");
    rc = nadb_mutex_init(&n->link_lock, NADB_RANK_VERSION, err);
    if (rc == NADB_OK) {
        rc = nadb_mutex_init(&n->lock, NADB_RANK_CACHE, err);
        if (rc == NADB_OK) return NADB_OK;
        nadb_mutex_clear(&n->link_lock);
    }
    conn_free(n->link);
    return rc;
}

void cache_clear(cache *n) {
    forget_all(n);
    nadb_free(n->buckets);
    conn_free(n->link);
    nadb_mutex_clear(&n->lock);
    nadb_mutex_clear(&n->link_lock);
}

static int64_t listen_ms(const patience *until) {
    int64_t half = until->timeout_ms / 2;

    return half < LISTEN_MS ? half : LISTEN_MS;
}

/* Handles messages, or turns the cache on if it is time. False: it is off. */
static bool attend(cache *n, patience *until) {
    bool on, due;

    nadb_lock(&n->lock);
    on = n->on;
    if (!on && n->reads < READS_FIRST) n->reads++;
    due = on ||
          (n->reads >= READS_FIRST && nadb_os_get()->mono_ns() >= n->retry_ns);
    nadb_unlock(&n->lock);
    /* If another thread does it, this one goes on. */
    if (due && nadb_trylock(&n->link_lock)) {
        nadb_lock(&n->lock);
        on = n->on;
        nadb_unlock(&n->lock);
        patience_part_later(until, listen_ms(until), &n->link->until);
        if (on)
            listen_now(n);
        else
            try_start(n);
        patience_used(until, &n->link->until);
        nadb_unlock(&n->link_lock);
    }
    return on;
}

/* REQUIRES: `lock`. */
static cached_row *find_proven(cache *n, nadb_slice key) {
    int64_t now = nadb_os_get()->mono_ns();

    if (!n->on || n->stop || now - n->proven_ns > 2 * PROOF_NS ||
        now - n->read_ns > 2 * PROOF_NS)
        return NULL;
    if (now - n->read_ns > PROOF_NS && now - n->sent_ns > PROOF_NS) {
        /* This reader reads from the server. */
        n->sent_ns = now;
        return NULL;
    }
    return find(n, key, nadb_hash64(key));
}

bool cache_holds(cache *n, nadb_slice key) {
    bool held;

    nadb_lock(&n->lock);
    held = find_proven(n, key) != NULL;
    nadb_unlock(&n->lock);
    return held;
}

bool cache_get(cache *n, nadb_slice key, patience *until, nadb_buf *row,
               record *rec, bool *found) {
    cached_row *x;
    bool ok = false;

    if (n->bytes_max == 0 || !attend(n, until)) return false;
    nadb_buf_reset(row);
    nadb_lock(&n->lock);
    x = find_proven(n, key);
    if (x != NULL && nadb_buf_append(row, x->bytes + x->key_n, x->row_n)) {
        rec->version = x->version;
        rec->created_in = x->created_in;
        rec->row = nadb_buf_slice(row);
        *found = x->found;
        list_remove(n, x);
        list_add(n, x);
        ok = true;
    }
    if (ok)
        n->hits++;
    else
        n->misses++;
    nadb_unlock(&n->lock);
    return ok;
}

void cache_begin(cache *n, nadb_slice key, cache_mark *m) {
    m->on = false;
    if (n->bytes_max == 0) return;
    nadb_lock(&n->lock);
    m->on = n->on;
    m->begin_ns = nadb_os_get()->mono_ns();
    m->turn = n->turn;
    m->stamp = n->stamps[nadb_hash64(key) % CACHE_STAMPS];
    nadb_unlock(&n->lock);
}

void cache_put(cache *n, nadb_slice key, const cache_mark *m,
               uint64_t generation, bool fresh, const record *rec, bool found) {
    if (!m->on) return;
    nadb_lock(&n->lock);
    if (n->read_ns < m->begin_ns) n->read_ns = m->begin_ns;
    if (n->on && n->turn == m->turn &&
        n->stamps[nadb_hash64(key) % CACHE_STAMPS] == m->stamp) {
        /* A node that has lost the slot reports that rows are gone, but reports
         * nothing about rows that did not exist. */
        bool sure = found || !route_may_change(n->link->way);

        if (n->generation == generation && sure)
            insert(n, key, rec, found);
        else if (n->generation != generation && fresh)
            n->stop = true;
    }
    nadb_unlock(&n->lock);
}

void cache_refused(cache *n) {
    if (n->bytes_max == 0) return;
    nadb_lock(&n->lock);
    n->read_ns = nadb_os_get()->mono_ns() - 2 * PROOF_NS - 1;
    nadb_unlock(&n->lock);
}

void cache_forget(cache *n, nadb_slice key) {
    if (n->bytes_max == 0) return;
    nadb_lock(&n->lock);
    forget(n, key);
    nadb_unlock(&n->lock);
}

void cache_forget_all(cache *n) {
    if (n->bytes_max == 0) return;
    nadb_lock(&n->lock);
    forget_all(n);
    nadb_unlock(&n->lock);
}

uint64_t cache_drop(cache *n) {
    uint64_t bytes;

    nadb_lock(&n->lock);
    bytes = n->bytes;
    if (bytes > 0) forget_all(n);
    nadb_unlock(&n->lock);
    return bytes;
}

void cache_count(cache *n, cache_counts *sum) {
    nadb_lock(&n->lock);
    sum->hits += n->hits;
    sum->misses += n->misses;
    sum->bytes += n->bytes;
    sum->starts += n->starts;
    nadb_unlock(&n->lock);
}

void cache_stats(const cache_counts *sum, nadb_stat_fn *emit, void *ctx) {
    uint64_t reads = sum->hits + sum->misses;

    emit(ctx, "cache_hits", (double)sum->hits);
    emit(ctx, "cache_misses", (double)sum->misses);
    emit(ctx, "cache_hit_rate",
         reads == 0 ? 0.0 : (double)sum->hits / (double)reads);
    emit(ctx, "cache_bytes", (double)sum->bytes);
    emit(ctx, "redis_cache_starts", (double)sum->starts);
}
