/* memtable.c - the index of a memtable: lookup and linking. memtable_file.c
 * makes and grows its files, memtable_iter.c walks over it; see memtable.h. */
#include "memtable.h"

#include "../util/coding.h"
#include "../util/crc32c.h"
#include "memtable_node.h"

static nadb_rc damaged(const memtable *m, nadb_err *err) {
    return nadb_corrupt(err,
                        "the memtable index of log %llu is damaged: close the "
                        "store everywhere, and opening it builds a new one",
                        (unsigned long long)m->log.number);
}

nadb_rc memtable_damaged(const memtable *m, nadb_err *err) {
    return damaged(m, err);
}

/* Updates idx_safe and log_safe. The system call is only needed when another
 * process has grown a file. */
bool memtable_look_again(memtable *m) {
    const nadb_os *os = m->log.os;
    uint64_t size = 0;
    bool grown = false;

    if (os->size(m->log.file, &size, NULL) == NADB_OK &&
        size > atomic_load(&m->log_safe)) {
        atomic_store(&m->log_safe, size);
        grown = true;
    }
    if (m->idx_file == NULL) return grown;
    if (os->size(m->idx_file, &size, NULL) != NADB_OK) return grown;
    if (size > m->idx_capacity) size = m->idx_capacity;
    if (size > atomic_load(&m->idx_safe)) {
        atomic_store(&m->idx_safe, size);
        grown = true;
    }
    return grown;
}

bool memtable_index_exists(memtable *m, uint64_t end) {
    while (end > atomic_load_explicit(&m->idx_safe, memory_order_relaxed))
        if (!memtable_look_again(m)) return false;
    return true;
}

bool memtable_index_fits(memtable *m, uint64_t alloc, uint64_t room) {
    uint64_t end = alloc + room + MEMTABLE_SLACK;

    if (alloc < memtable_first_free(m) || alloc % 8 != 0 || end < alloc ||
        end > m->idx_capacity)
        return false;
    return memtable_index_exists(m, end);
}

uint64_t memtable_room(uint64_t count) {
    return count * (sizeof(node) + 4 * MEMTABLE_HEIGHT + sizeof(version) + 8) +
           sizeof(version); /* for memtable_commit_add() */
}

bool memtable_log_exists(memtable *m, uint64_t end) {
    if (end > m->log.capacity) return false;
    while (end > atomic_load_explicit(&m->log_safe, memory_order_relaxed))
        if (!memtable_look_again(m)) return false;
    return true;
}

bool memtable_key_bytes(memtable *m, const node *n, nadb_slice *out) {
    uint64_t end = n->key_off + n->key_len;

    if (end < n->key_off || !memtable_log_exists(m, end)) return false;
    *out = nadb_slice_of(m->log.map + n->key_off, n->key_len);
    return true;
}

int memtable_cmp_far(memtable *m, const node *n, const memtable_key *k,
                     bool *ok) {
    nadb_slice key;

    /* One of the keys is held completely in words and is a prefix of the
     * other. */
    if (n->key_len <= MEMTABLE_HELD || k->key.n <= MEMTABLE_HELD)
        return n->key_len < k->key.n ? -1 : n->key_len > k->key.n;
    if (!memtable_key_bytes(m, n, &key)) {
        *ok = false;
        return 1;
    }
    return nadb_slice_cmp(key, k->key);
}

static _Atomic uint32_t *bucket(memtable *m, uint64_t hash) {
    _Atomic uint32_t *b =
        (_Atomic uint32_t *)((uint8_t *)m->head + sizeof(memtable_head));

    return &b[hash & (m->buckets - 1)];
}

/* Bounds every walk, so that a damaged link cannot make it endless. */
static uint64_t nodes_max(const memtable *m) {
    return atomic_load_explicit(&m->idx_safe, memory_order_relaxed) /
           sizeof(node);
}

/* Finds the node of a key in the hash table; *out is NULL if there is none. */
static nadb_rc node_find(memtable *m, const memtable_key *k, node **out,
                         nadb_err *err) {
    uint64_t left = nodes_max(m);
    uint32_t at;
    bool ok = true;

    *out = NULL;
    if (atomic_load_explicit(&m->head->alloc, memory_order_relaxed) ==
        memtable_first_free(m))
        return NADB_OK;
    at = atomic_load_explicit(bucket(m, k->hash), memory_order_acquire);
    while (at != 0) {
        node *n = memtable_node(m, at);

        if (n == NULL || left-- == 0) return damaged(m, err);
        if (n->hash == (uint32_t)(k->hash >> 32) && n->key_len == k->key.n) {
            nadb_rc rc;

            if (memtable_cmp(m, n, k, &ok) == 0) {
                *out = n;
                return NADB_OK;
            }
            /* Two keys with one hash are rarer than a damaged log, so the node
             * is checked. */
            rc = ok ? memtable_node_check(m, n, err) : damaged(m, err);
            if (rc != NADB_OK) return rc;
        }
        at = atomic_load_explicit(&n->chain, memory_order_acquire);
    }
    return NADB_OK;
}

/* Finds the newest version that a snapshot sees; *out is NULL if there is
 * none. */
nadb_rc memtable_visible(memtable *m, const node *n, uint64_t snapshot,
                         uint64_t floor, version **out, nadb_err *err) {
    uint32_t at = atomic_load_explicit(&n->newest, memory_order_acquire);
    uint64_t above = UINT64_MAX;

    *out = NULL;
    while (at != 0) {
        version *v = memtable_version_at(m, at);

        if (v == NULL || v->seq >= above) return damaged(m, err);
        if (v->seq <= floor) return NADB_OK;
        if (v->seq <= snapshot) {
            *out = v;
            return NADB_OK;
        }
        above = v->seq;
        at = v->older;
    }
    return NADB_OK;
}

static uint32_t version_sum(const memtable *m, const version *v,
                            const wal_entry *e) {
    const uint8_t *p = m->log.map + e->off;
    uint8_t h[20];

    nadb_put_u64(h, v->seq);
    nadb_put_u64(h + 8, v->off);
    nadb_put_u32(h + 16, v->older);
    return nadb_crc32c(nadb_crc32c(0, h, sizeof h), p,
                       (size_t)(e->value.p + e->value.n - p));
}

static bool is_key_of(memtable *m, const node *n, nadb_slice key) {
    nadb_slice own;

    return memtable_key_bytes(m, n, &own) &&
           (own.p == key.p ? own.n == key.n : nadb_slice_eq(own, key));
}

/* The checksum is verified at each use, because the log's bytes may be damaged
 * after they were written, or when the system reads them again. */
nadb_rc memtable_entry(memtable *m, const node *n, const version *v,
                       nadb_entry *out, nadb_err *err) {
    wal_entry e;
    uint64_t tail = memtable_tail(m);

    if (!memtable_log_exists(m, tail) ||
        !wal_entry_at(&m->log, v->off, tail, &e) || !is_key_of(m, n, e.key) ||
        v->sum != version_sum(m, v, &e))
        return nadb_corrupt(err,
                            "%s: the entry at offset %llu is damaged, or the "
                            "index that leads to it",
                            m->log.os->path(m->log.file),
                            (unsigned long long)v->off);
    out->key = e.key;
    out->value = e.value;
    out->seq = v->seq;
    out->flags = NADB_ENTRY_PINNED;
    if (e.tombstone) out->flags |= NADB_ENTRY_TOMBSTONE;
    out->id = wal_place(m->log.number, v->off);
    return NADB_OK;
}

nadb_rc memtable_node_check(memtable *m, const node *n, nadb_err *err) {
    version *v = memtable_version_at(m, atomic_load(&n->newest));
    nadb_entry e;

    return v == NULL ? damaged(m, err) : memtable_entry(m, n, v, &e, err);
}

nadb_rc memtable_get(memtable *m, const memtable_key *k, uint64_t snapshot,
                     uint64_t floor, nadb_entry *out, bool *found,
                     nadb_err *err) {
    node *n = NULL;
    version *v = NULL;
    nadb_rc rc = node_find(m, k, &n, err);

    *found = false;
    if (rc != NADB_OK || n == NULL) return rc;
    rc = memtable_visible(m, n, snapshot, floor, &v, err);
    if (rc != NADB_OK || v == NULL) return rc;
    rc = memtable_entry(m, n, v, out, err);
    *found = rc == NADB_OK;
    return rc;
}

nadb_rc memtable_newest(memtable *m, const memtable_key *k, uint64_t *seq,
                        nadb_err *err) {
    wal_entry e;
    node *n = NULL;
    version *v;
    uint32_t at;
    nadb_rc rc = node_find(m, k, &n, err);

    *seq = 0;
    if (rc != NADB_OK || n == NULL) return rc;
    at = atomic_load_explicit(&n->newest, memory_order_acquire);
    if (at == 0) return NADB_OK;
    v = memtable_version_at(m, at);
    if (v == NULL) return damaged(m, err);
    if (!memtable_log_exists(m, memtable_tail(m)) ||
        !wal_entry_at(&m->log, v->off, memtable_tail(m), &e))
        return damaged(m, err);
    *seq = nadb_changed_seq(e.key, v->seq,
                            e.tombstone ? NADB_ENTRY_TOMBSTONE : 0, e.value);
    return NADB_OK;
}

/* Entries of tags and expiries sort behind rows, and counts exist only with
 * tags: so the last node is an index's if there is one. */
bool memtable_indexed(memtable *m) {
    uint32_t last = atomic_load_explicit(&m->head->last, memory_order_acquire);
    const node *n = last == 0 ? NULL : memtable_node(m, last);

    return last != 0 && (n == NULL || n->space > NADB_KS_ROW);
}

uint64_t memtable_floor(const memtable *m, uint64_t snapshot) {
    uint32_t n = atomic_load_explicit(&m->head->n_clears, memory_order_acquire);

    if (n > MEMTABLE_CLEARS) n = MEMTABLE_CLEARS;
    while (n > 0) {
        uint64_t seq = atomic_load(&m->head->clears[--n]);

        if (seq <= snapshot) return seq - 1;
    }
    return 0;
}

void memtable_clear_at(memtable *m, uint64_t seq) {
    uint32_t n = atomic_load(&m->head->n_clears);

    if (n > 0 && atomic_load(&m->head->clears[n - 1]) == seq) return;
    /* the caller begins a new log before that */
    if (n >= MEMTABLE_CLEARS) return;
    nadb_set(&m->head->clears[n], seq);
    atomic_store_explicit(&m->head->n_clears, n + 1, memory_order_release);
}

/* --- linking --- */

static _Atomic uint32_t *next_of(memtable *m, uint32_t at, uint32_t level) {
    if (at == 0) return &m->head->head_next[level];
    return &((node *)((uint8_t *)m->head + (uint64_t)at * 8))->next[level];
}

/* Prefetches the next node of the level below, where the walk will mostly
 * continue, while this level is examined. */
static inline void fetch(memtable *m, uint32_t at, uint32_t level) {
    uint64_t next =
        atomic_load_explicit(next_of(m, at, level), memory_order_relaxed);

    __builtin_prefetch((uint8_t *)m->head + next * 8 + offsetof(node, words));
}

/* Moves along `level` from *at while keys are below k. *bound: the first node
 * so far that is not below k; 0: none. */
static nadb_rc walk(memtable *m, const memtable_key *k, uint32_t level,
                    uint32_t *at, uint32_t *bound, nadb_err *err) {
    uint64_t left = nodes_max(m);
    bool ok = true;

    for (;;) {
        uint32_t next =
            atomic_load_explicit(next_of(m, *at, level), memory_order_acquire);
        node *n;

        if (level > 0) fetch(m, *at, level - 1);
        if (next == 0 || next == *bound) return NADB_OK;
        n = memtable_node(m, next);
        if (n == NULL || n->height <= level || left-- == 0)
            return damaged(m, err);
        if (memtable_cmp(m, n, k, &ok) >= 0) {
            *bound = next;
            return ok ? NADB_OK : damaged(m, err);
        }
        *at = next;
    }
}

nadb_rc memtable_check_links(memtable *m, nadb_err *err) {
    uint64_t left = nodes_max(m);
    uint32_t at = 0;

    for (;;) {
        uint32_t next = atomic_load(next_of(m, at, 0));
        node *n = next == 0 ? NULL : memtable_node(m, next);

        if (next == 0)
            return atomic_load(&m->head->last) == at ? NADB_OK
                                                     : damaged(m, err);
        if (n == NULL || atomic_load(&n->prev) != at || left-- == 0)
            return damaged(m, err);
        at = next;
    }
}

/* Fills prev[] with the last node below k on each level. */
nadb_rc memtable_seek_prev(memtable *m, const memtable_key *k,
                           memtable_splice *s, nadb_err *err) {
    uint32_t top = atomic_load(&m->head->height);
    uint32_t from = top;
    uint32_t at = 0, bound = 0;
    bool ok = true;
    nadb_rc rc = NADB_OK;

    if (top > MEMTABLE_HEIGHT) return damaged(m, err);
    if (s->valid) {
        /* Starts at the last place, and climbs only as high as the distance
         * requires. */
        for (from = 0; from < top; from++) {
            uint32_t next = atomic_load(next_of(m, s->prev[from], from));
            node *n = next == 0 ? NULL : memtable_node(m, next);

            if (next != 0 && n == NULL) return damaged(m, err);
            if (n == NULL || memtable_cmp(m, n, k, &ok) >= 0) break;
            if (!ok) return damaged(m, err);
        }
        at = from > 0 ? s->prev[from - 1] : 0;
    }
    while (from > 0) {
        from--;
        rc = walk(m, k, from, &at, &bound, err);
        if (rc != NADB_OK) return rc;
        s->prev[from] = at;
    }
    for (uint32_t i = top; i < MEMTABLE_HEIGHT; i++) s->prev[i] = 0;
    s->valid = true;
    return NADB_OK;
}

/* Two bits of the hash decide on each level, so a quarter of the nodes reaches
 * the next one. */
static uint32_t draw_height(uint64_t hash) {
    uint32_t h = 1;

    for (hash >>= 20; h < MEMTABLE_HEIGHT && (hash & 3) == 0; hash >>= 2) h++;
    return h;
}

static void chain_in(memtable *m, node *n, uint32_t at, uint64_t hash) {
    _Atomic uint32_t *b = bucket(m, hash);

    atomic_store_explicit(&n->chain, atomic_load(b), memory_order_relaxed);
    atomic_store_explicit(b, at, memory_order_release);
}

/* Adds a node with its first version behind splice->prev. */
static void node_add(memtable *m, memtable_splice *s, const memtable_key *k,
                     const wal_entry *e, uint64_t seq) {
    uint32_t height = draw_height(k->hash);
    uint64_t off = memtable_take(m, sizeof(node) + 4 * height);
    uint64_t voff = memtable_take(m, sizeof(version));
    uint32_t at = (uint32_t)(off / 8);
    uint32_t next = atomic_load(next_of(m, s->prev[0], 0));
    node *n = (node *)((uint8_t *)m->head + off);
    version *v = (version *)((uint8_t *)m->head + voff);

    v->seq = seq;
    v->off = e->off;
    v->older = 0;
    v->sum = version_sum(m, v, e);
    memcpy(n->words, k->words, sizeof n->words);
    n->space = k->space;
    n->unused = 0;
    n->key_off = (uint64_t)(e->key.p - m->log.map);
    n->key_len = (uint32_t)e->key.n;
    n->hash = (uint32_t)(k->hash >> 32);
    n->height = (uint8_t)height;
    atomic_store_explicit(&n->chain, 0, memory_order_relaxed);
    atomic_store_explicit(&n->newest, (uint32_t)(voff / 8),
                          memory_order_relaxed);
    atomic_store_explicit(&n->prev, s->prev[0], memory_order_relaxed);
    for (uint32_t i = 0; i < height; i++) /* set before the node is reachable */
        atomic_store_explicit(
            &n->next[i], i == 0 ? next : atomic_load(next_of(m, s->prev[i], i)),
            memory_order_relaxed);
    if (height > atomic_load(&m->head->height))
        nadb_set(&m->head->height, height);
    nadb_set(&m->head->nodes, atomic_load(&m->head->nodes) + 1);
    for (uint32_t i = 0; i < height; i++) {
        atomic_store_explicit(next_of(m, s->prev[i], i), at,
                              memory_order_release);
        s->prev[i] = at;
    }
    nadb_set(next == 0
                 ? &m->head->last
                 : &((node *)((uint8_t *)m->head + (uint64_t)next * 8))->prev,
             at);
    chain_in(m, n, at, k->hash);
}

/* Completes a node that is linked on level 0 but perhaps not on others, because
 * its maker died. */
static nadb_rc node_mend(memtable *m, node *n, uint32_t at,
                         const memtable_key *k, nadb_err *err) {
    uint32_t next = atomic_load(&n->next[0]);
    node *after = next == 0 ? NULL : memtable_node(m, next);
    node *found = NULL;
    nadb_rc rc;

    if (next != 0 && after == NULL) return damaged(m, err);
    nadb_set(after == NULL ? &m->head->last : &after->prev, at);
    rc = node_find(m, k, &found, err);
    if (rc == NADB_OK && found == NULL) chain_in(m, n, at, k->hash);
    return rc;
}

static nadb_rc version_add(memtable *m, node *n, const wal_entry *e,
                           uint64_t seq, nadb_err *err) {
    uint32_t newest = atomic_load(&n->newest);
    version *old = newest == 0 ? NULL : memtable_version_at(m, newest);
    uint64_t off;
    version *v;

    if (newest != 0 && old == NULL) return damaged(m, err);
    if (old != NULL && old->seq >= seq) return NADB_OK; /* already linked */
    off = memtable_take(m, sizeof(version));
    v = (version *)((uint8_t *)m->head + off);
    v->seq = seq;
    v->off = e->off;
    v->older = newest;
    v->sum = version_sum(m, v, e);
    atomic_store_explicit(&n->newest, (uint32_t)(off / 8),
                          memory_order_release);
    return NADB_OK;
}

nadb_rc memtable_link(memtable *m, memtable_splice *splice, const wal_entry *e,
                      uint64_t seq, nadb_err *err) {
    memtable_key k = memtable_key_of(e->key);
    node *n = NULL;
    nadb_rc rc = node_find(m, &k, &n, err);
    uint64_t alloc = atomic_load(&m->head->alloc);
    uint32_t next;
    bool ok = true;

    if (rc != NADB_OK) return rc;
    if (!memtable_index_fits(m, alloc, memtable_room(1)))
        return damaged(m, err);
    nadb_set(&m->head->versions, atomic_load(&m->head->versions) + 1);
    if (atomic_load_explicit(&m->head->max_seq, memory_order_relaxed) < seq)
        nadb_set(&m->head->max_seq, seq);
    if (n != NULL) return version_add(m, n, e, seq, err);
    rc = memtable_seek_prev(m, &k, splice, err);
    if (rc != NADB_OK) return rc;
    next = atomic_load(next_of(m, splice->prev[0], 0));
    n = next == 0 ? NULL : memtable_node(m, next);
    if (next != 0 && n == NULL) return damaged(m, err);
    if (n != NULL && memtable_cmp(m, n, &k, &ok) == 0 && ok) {
        rc = node_mend(m, n, next, &k, err);
        return rc == NADB_OK ? version_add(m, n, e, seq, err) : rc;
    }
    node_add(m, splice, &k, e, seq);
    return NADB_OK;
}
