/* shards_iter.c - walks over all shards: one walk in each, merged in key order
 * by a heap. They are requested side by side, each for its part of a page, so a
 * page takes as many round trips as in a store without shards. When a walk is
 * at the end of its part, the others that soon will be are requested, too.
 *
 * Counts of a tag are added up. */
#include "../../core/util/coding.h"
#include "shards.h"

typedef struct shards_iter {
    nadb_iter base;
    shards *s;
    shards_view *v;
    bool reverse, begun;
    uint8_t keyspace;
    nadb_buf key, sum; /* of the present count */
    unsigned n_heap;
    unsigned *heap; /* shards whose walk has an entry, the smallest key first */
    redis_walk **wanted; /* room for the walks to be loaded */
    redis_walk *walks[];
} shards_iter;

/* --- the heap --- */

static const nadb_entry *entry_of(const shards_iter *it, unsigned i) {
    return &it->walks[i]->base.entry;
}

static bool is_before(const shards_iter *it, unsigned a, unsigned b) {
    int c = nadb_slice_cmp(entry_of(it, a)->key, entry_of(it, b)->key);

    if (c == 0) return a < b;
    return it->reverse ? c > 0 : c < 0;
}

static void sift_down(shards_iter *it, unsigned at) {
    for (;;) {
        unsigned next = 2 * at + 1, x = it->heap[at];

        if (next >= it->n_heap) return;
        if (next + 1 < it->n_heap &&
            is_before(it, it->heap[next + 1], it->heap[next]))
            next++;
        if (!is_before(it, it->heap[next], x)) return;
        it->heap[at] = it->heap[next];
        it->heap[next] = x;
        at = next;
    }
}

static void heap_make(shards_iter *it) {
    it->n_heap = 0;
    for (unsigned i = 0; i < it->s->n; i++)
        if (it->walks[i]->base.valid) it->heap[it->n_heap++] = i;
    for (unsigned at = it->n_heap / 2; at > 0; at--) sift_down(it, at - 1);
}

/* --- loading --- */

/* Loads the next page of a walk, and of walks that will need theirs soon. */
static nadb_rc load_for(shards_iter *it, unsigned dry, nadb_err *err) {
    size_t n = 0;

    for (unsigned i = 0; i < it->s->n; i++)
        if (i == dry || redis_walk_runs_low(it->walks[i]))
            it->wanted[n++] = it->walks[i];
    return redis_walks_load(it->wanted, n, err);
}

/* --- moving --- */

static nadb_rc step(shards_iter *it, unsigned i, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (redis_walk_step(it->walks[i])) return NADB_OK;
    rc = load_for(it, i, err);
    if (rc == NADB_OK) (void)redis_walk_step(it->walks[i]);
    return rc;
}

/* Moves all walks to their first entry, or to `key`. */
static nadb_rc start(shards_iter *it, const nadb_slice *key, nadb_err *err) {
    bool there = false;
    size_t n = 0;
    nadb_rc rc = NADB_OK;

    it->begun = true;
    it->n_heap = 0;
    for (unsigned i = 0; i < it->s->n && rc == NADB_OK; i++) {
        if (key != NULL) rc = redis_walk_aim(it->walks[i], *key, &there, err);
        if (rc == NADB_OK && !there) it->wanted[n++] = it->walks[i];
    }
    if (rc == NADB_OK) rc = redis_walks_load(it->wanted, n, err);
    for (size_t k = 0; k < n && rc == NADB_OK; k++)
        (void)redis_walk_step(it->wanted[k]);
    for (unsigned i = 0; i < it->s->n && rc == NADB_OK; i++)
        rc = shards_seen(it->s, it->v, i, err);
    if (rc == NADB_OK) heap_make(it);
    return rc;
}

/* Moves the walk at the top of the heap. */
static nadb_rc advance(shards_iter *it, nadb_err *err) {
    unsigned i = it->heap[0];
    nadb_rc rc = step(it, i, err);

    if (rc != NADB_OK) {
        it->n_heap = 0;
        return rc;
    }
    if (!it->walks[i]->base.valid) it->heap[0] = it->heap[--it->n_heap];
    if (it->n_heap > 0) sift_down(it, 0);
    return NADB_OK;
}

/* Makes the entry at the top the present one. */
static void show(shards_iter *it) {
    it->base.valid = it->n_heap > 0;
    if (it->base.valid) it->base.entry = *entry_of(it, it->heap[0]);
}

/* Makes the count of the tag at the top the present entry, and moves all walks
 * past the tag. */
static nadb_rc add_up(shards_iter *it, nadb_err *err) {
    nadb_entry *e = &it->base.entry;
    uint64_t rows = 0;

    if (it->n_heap == 0) return NADB_OK;
    *e = *entry_of(it, it->heap[0]);
    nadb_buf_reset(&it->key);
    nadb_buf_reset(&it->sum);
    if (!nadb_buf_append(&it->key, e->key.p, e->key.n))
        return shards_no_memory(err);
    e->key = nadb_buf_slice(&it->key);
    while (it->n_heap > 0 &&
           nadb_slice_eq(entry_of(it, it->heap[0])->key, e->key)) {
        nadb_reader r = nadb_reader_of(entry_of(it, it->heap[0])->value);
        nadb_rc rc;

        rows += nadb_read_varint(&r);
        rc = advance(it, err);
        if (rc != NADB_OK) return rc;
    }
    if (!nadb_buf_varint(&it->sum, rows)) return shards_no_memory(err);
    e->value = nadb_buf_slice(&it->sum);
    it->base.valid = true;
    return NADB_OK;
}

static nadb_rc settle(shards_iter *it, nadb_rc rc, nadb_err *err) {
    it->base.valid = false;
    if (rc == NADB_OK && it->keyspace == NADB_KS_COUNT) rc = add_up(it, err);
    if (rc == NADB_OK && it->keyspace != NADB_KS_COUNT) show(it);
    return rc;
}

static nadb_rc iter_next(nadb_iter *base, nadb_err *err) {
    shards_iter *it = (shards_iter *)base;
    nadb_rc rc = NADB_OK;

    if (!it->begun)
        rc = start(it, NULL, err);
    else if (it->n_heap > 0 && it->keyspace != NADB_KS_COUNT)
        rc = advance(it, err);
    return settle(it, rc, err);
}

static nadb_rc iter_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    shards_iter *it = (shards_iter *)base;

    return settle(it, start(it, &key, err), err);
}

static void iter_free(nadb_iter *base) {
    shards_iter *it = (shards_iter *)base;

    for (unsigned i = 0; i < it->s->n; i++)
        if (it->walks[i] != NULL) nadb_iter_free(&it->walks[i]->base);
    nadb_buf_clear(&it->key);
    nadb_buf_clear(&it->sum);
    nadb_free(it->heap);
    nadb_free(it->wanted);
    nadb_free(it);
}

/* --- opening --- */

static nadb_rc open_walk(shards_iter *it, unsigned i, const nadb_match *m,
                         const nadb_range *range, bool keys_only,
                         nadb_err *err) {
    nadb_engine *e = &it->s->parts[i]->base;
    nadb_iter *walk = NULL;
    nadb_rc rc = shards_view_part(it->s, it->v, i, err);

    if (rc != NADB_OK) return rc;
    rc = m == NULL
             ? redis_iter_new(e, &it->v->parts[i]->base, range, &walk, err)
             : redis_match(e, &it->v->parts[i]->base, m, range, keys_only,
                           &walk, err);
    if (rc != NADB_OK) return rc;
    it->walks[i] = (redis_walk *)walk;
    redis_walk_share(it->walks[i], it->s->n);
    return NADB_OK;
}

nadb_rc shards_match(nadb_engine *engine, nadb_view *view, const nadb_match *m,
                     const nadb_range *range, bool keys_only, nadb_iter **out,
                     nadb_err *err) {
    static const nadb_iter_ops ops = {iter_next, iter_seek, iter_free};
    shards *s = (shards *)engine;
    shards_iter *it = nadb_calloc(1, sizeof *it + s->n * sizeof it->walks[0]);
    nadb_slice lo = range->lo;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (it == NULL) return shards_no_memory(err);
    it->base.ops = &ops;
    it->s = s;
    it->v = (shards_view *)view;
    it->reverse = range->reverse;
    /* As in redis_iter_new(). */
    it->keyspace = NADB_KS_ROW;
    if (lo.n > 0 && (lo.p[0] == NADB_KS_COUNT || lo.p[0] == NADB_KS_EXPIRY))
        it->keyspace = lo.p[0];
    it->heap = nadb_calloc(s->n, sizeof *it->heap);
    it->wanted = nadb_calloc(s->n, sizeof(redis_walk *));
    if (it->heap == NULL || it->wanted == NULL) rc = shards_no_memory(err);
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++)
        rc = open_walk(it, i, m, range, keys_only, err);
    if (rc != NADB_OK)
        iter_free(&it->base);
    else
        *out = &it->base;
    return rc;
}

nadb_rc shards_iter_new(nadb_engine *engine, nadb_view *view,
                        const nadb_range *range, nadb_iter **out,
                        nadb_err *err) {
    return shards_match(engine, view, NULL, range, false, out, err);
}
