/* memtable_iter.c - walks over a memtable in key order, in either direction.
 *
 * The walk follows level 0 of the skip list and skips keys without a version
 * that the snapshot sees. Nodes are never removed, so the walk's place stays
 * valid; a node that is added meanwhile has no version that the snapshot
 * sees. */
#include "memtable.h"

#include "memtable_node.h"

typedef struct mt_iter {
    nadb_iter base;
    memtable *m;
    uint64_t snapshot, floor;
    uint32_t at;      /* place of the present node */
    const node *last; /* the previous node of the walk; NULL: none */
    uint64_t passed;  /* tombstones */
    bool started;
    bool reverse;
    bool bounded; /* hi is set */
    nadb_slice lo, hi;
    memtable_key end; /* where the walk ends */
    uint8_t bounds[]; /* bytes of lo and hi */
} mt_iter;

/* *past: the node lies behind the end of the walk. */
static nadb_rc past_end(mt_iter *it, const node *n, bool *past, nadb_err *err) {
    bool ok = true;
    int c;

    *past = false;
    if (!it->reverse && !it->bounded) return NADB_OK;
    c = memtable_cmp(it->m, n, &it->end, &ok);
    *past = it->reverse ? c < 0 : c >= 0;
    return ok ? NADB_OK : memtable_damaged(it->m, err);
}

/* Each node must come after the previous one, so a damaged link cannot make the
 * walk endless. */
static bool in_order(mt_iter *it, const node *n) {
    const node *last = it->last;
    memtable_key k;
    bool ok = true;
    int c;

    if (last == NULL) return true;
    k.space = last->space;
    memcpy(k.words, last->words, sizeof k.words);
    k.key = nadb_slice_of(NULL, last->key_len);
    if (last->key_len > MEMTABLE_HELD &&
        !memtable_key_bytes(it->m, last, &k.key))
        return false;
    c = memtable_cmp(it->m, n, &k, &ok);
    return ok && (it->reverse ? c < 0 : c > 0);
}

static uint32_t step(mt_iter *it, const node *n) {
    it->last = n;
    return atomic_load_explicit(it->reverse ? &n->prev : &n->next[0],
                                memory_order_acquire);
}

/* Moves from it->at (included) to the first node with a visible version. */
static nadb_rc settle(mt_iter *it, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    it->base.valid = false;
    while (it->at != 0) {
        node *n = memtable_node(it->m, it->at);
        version *v = NULL;
        bool past = false;

        if (n == NULL || !in_order(it, n)) return memtable_damaged(it->m, err);
        rc = past_end(it, n, &past, err);
        if (rc != NADB_OK) return rc;
        if (past) break;
        rc = memtable_visible(it->m, n, it->snapshot, it->floor, &v, err);
        if (rc != NADB_OK) return rc;
        if (v != NULL) {
            rc = memtable_entry(it->m, n, v, &it->base.entry, err);
            it->base.valid = rc == NADB_OK;
            if (it->base.entry.flags & NADB_ENTRY_TOMBSTONE) it->passed++;
            return rc;
        }
        it->at = step(it, n);
    }
    it->at = 0;
    return NADB_OK;
}

/* Moves to the first node at or behind `key` in the walk's direction. */
static nadb_rc place(mt_iter *it, nadb_slice key, bool at_end, nadb_err *err) {
    memtable_key k = memtable_key_unhashed(key);
    memtable_splice s = {false, {0}};
    node *before = NULL;
    nadb_rc rc;

    it->started = true;
    it->last = NULL;
    if (at_end) {
        it->at = atomic_load_explicit(&it->m->head->last, memory_order_acquire);
        return NADB_OK;
    }
    rc = memtable_seek_prev(it->m, &k, &s, err);
    if (rc != NADB_OK) return rc;
    if (s.prev[0] != 0) {
        before = memtable_node(it->m, s.prev[0]);
        if (before == NULL) return memtable_damaged(it->m, err);
        /* If the bytes of its key are damaged, the search may have gone too
         * far. */
        rc = memtable_node_check(it->m, before, err);
        if (rc != NADB_OK) return rc;
    }
    if (it->reverse) {
        it->at = s.prev[0];
        return NADB_OK;
    }
    it->at = atomic_load_explicit(before == NULL ? &it->m->head->head_next[0]
                                                 : &before->next[0],
                                  memory_order_acquire);
    return NADB_OK;
}

static nadb_rc mt_next(nadb_iter *base, nadb_err *err) {
    mt_iter *it = (mt_iter *)base;
    nadb_rc rc = NADB_OK;

    if (!it->started) {
        rc = it->reverse ? place(it, it->hi, !it->bounded, err)
                         : place(it, it->lo, false, err);
    } else if (it->at != 0) {
        node *n = memtable_node(it->m, it->at);

        if (n == NULL) return memtable_damaged(it->m, err);
        it->at = step(it, n);
    }
    it->base.valid = false;
    return rc == NADB_OK ? settle(it, err) : rc;
}

/* The last node <= key is the last node < key + "\0". */
static nadb_rc seek_reverse(mt_iter *it, nadb_slice key, nadb_err *err) {
    nadb_buf above = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;

    if (!nadb_buf_append(&above, key.p, key.n) || !nadb_buf_byte(&above, 0))
        rc = nadb_fail(err, NADB_NOMEM, "seeking in a memtable");
    if (rc == NADB_OK) rc = place(it, nadb_buf_slice(&above), false, err);
    nadb_buf_clear(&above);
    return rc;
}

static nadb_rc mt_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    mt_iter *it = (mt_iter *)base;
    nadb_rc rc;

    it->base.valid = false;
    if (it->reverse) {
        if (it->bounded && nadb_slice_cmp(key, it->hi) >= 0)
            rc = place(it, it->hi, false, err);
        else
            rc = seek_reverse(it, key, err);
    } else {
        rc = place(it, nadb_slice_cmp(key, it->lo) < 0 ? it->lo : key, false,
                   err);
    }
    return rc == NADB_OK ? settle(it, err) : rc;
}

static void mt_free(nadb_iter *base) {
    mt_iter *it = (mt_iter *)base;

    if (it->passed > 0)
        atomic_fetch_add_explicit(&it->m->passed, it->passed,
                                  memory_order_relaxed);
    memtable_unref(it->m);
    nadb_free(it);
}

static const nadb_iter_ops mt_ops = {mt_next, mt_seek, mt_free};

nadb_rc memtable_iter(memtable *m, uint64_t snapshot, uint64_t floor,
                      const nadb_range *range, nadb_iter **out, nadb_err *err) {
    mt_iter *it = nadb_calloc(1, sizeof *it + nadb_range_bytes(range));
    nadb_range own;

    *out = NULL;
    if (it == NULL) return nadb_fail(err, NADB_NOMEM, "reading a memtable");
    it->base.ops = &mt_ops;
    it->m = memtable_ref(m);
    it->snapshot = snapshot;
    it->floor = floor;
    own = nadb_range_copy(range, it->bounds);
    it->reverse = own.reverse;
    it->bounded = own.hi.p != NULL;
    it->lo = own.lo;
    it->hi = own.hi;
    it->end = memtable_key_unhashed(it->reverse ? it->lo : it->hi);
    *out = &it->base;
    return NADB_OK;
}
