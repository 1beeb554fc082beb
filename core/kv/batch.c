/* batch.c - see batch.h. */
#include "batch.h"
#include "../util/assert.h"

#include "../util/coding.h"

batch *batch_new(nadb_engine *engine, size_t memory_max) {
    batch *b = nadb_calloc(1, sizeof *b);

    if (b == NULL) return NULL;
    if (engine != NULL) spill_init(&b->spill, &b->arena, engine, memory_max);
    b->refs = 1;
    b->next_id = 1;
    b->draw = 0x9e3779b9u;
    return b;
}

void batch_ref(batch *b) {
    NADB_ASSERT(b->refs > 0);
    b->refs++;
}

void batch_unref(batch *b) {
    NADB_ASSERT(b == NULL || b->refs > 0);
    if (b == NULL || --b->refs > 0) return;
    nadb_arena_clear(&b->arena);
    nadb_free(b->spare);
    nadb_free(b);
}

void batch_reset(batch *b) {
    NADB_ASSERT(b->refs == 1);
    b->spill.rc = NADB_OK;
    b->indexed = b->lost = false;
    if (b->arena.used == 0) return; /* it has had no change */
    nadb_arena_reset(&b->arena);
    b->last = b->last_clear = NULL;
    b->nodes = 0;
    b->height = 0;
    b->tail = NULL;
    memset(b->head, 0, sizeof b->head);
}

/* --- the skip list --- */

static int node_cmp(const batch_node *n, uint64_t prefix, nadb_slice key) {
    if (n->prefix != prefix) return n->prefix < prefix ? -1 : 1;
    return nadb_slice_cmp(n->key, key);
}

/* The first node with a key >= key. prev[] gets the nodes before it on each
 * level. */
static batch_node *seek(const batch *b, nadb_slice key,
                        batch_node *prev[BATCH_HEIGHT]) {
    uint64_t prefix = nadb_slice_prefix8(key);
    batch_node *at = NULL; /* NULL stands for the head */
    batch_node *next = NULL;

    for (unsigned i = b->height; i > 0;) {
        i--;
        for (;;) {
            next = at == NULL ? b->head[i] : at->next[i];
            if (next == NULL || node_cmp(next, prefix, key) >= 0) break;
            at = next;
        }
        if (prev != NULL) prev[i] = at;
    }
    return next;
}

NADB_WRAPS static unsigned draw_height(batch *b) {
    unsigned h = 1;

    b->draw ^= b->draw << 13;
    b->draw ^= b->draw >> 17;
    b->draw ^= b->draw << 5;
    for (uint32_t r = b->draw; h < BATCH_HEIGHT && (r & 3) == 0; r >>= 2) h++;
    return h;
}

/* Adds a node without operations. REQUIRES: the bytes of `key` are in the
 * arena. */
static batch_node *node_add(batch *b, nadb_slice key,
                            batch_node *prev[BATCH_HEIGHT]) {
    unsigned h = draw_height(b);
    batch_node *n =
        nadb_arena_alloc(&b->arena, sizeof *n + h * sizeof n->next[0]);

    if (n == NULL) return NULL;
    /* the list is sorted */
    NADB_ASSERT(prev[0] == NULL || nadb_slice_cmp(prev[0]->key, key) < 0);
    n->newest = NULL;
    n->key = key;
    n->prefix = nadb_slice_prefix8(key);
    for (; b->height < h; b->height++) prev[b->height] = NULL;
    for (unsigned i = 0; i < h; i++) {
        batch_node **link = prev[i] == NULL ? &b->head[i] : &prev[i]->next[i];

        n->next[i] = *link;
        *link = n;
    }
    n->prev = prev[0];
    if (n->next[0] != NULL)
        n->next[0]->prev = n;
    else
        b->tail = n;
    b->nodes++;
    return n;
}

/* --- changes --- */

static batch_op *op_add(batch *b, nadb_slice key, size_t value_n,
                        nadb_err *err) {
    batch_node *prev[BATCH_HEIGHT] = {NULL};
    batch_op *op;
    batch_node *n;
    uint8_t *bytes;

    NADB_ASSERT(b->last == NULL || b->last->id < b->next_id);
    b->spill.err = err;
    b->spill.source.or_memory = b->frees;
    if (value_n > SIZE_MAX / 2) return NULL;
    op = nadb_arena_alloc(&b->arena, sizeof *op + key.n + value_n);
    if (op == NULL) return NULL;
    bytes = (uint8_t *)(op + 1);
    memcpy(bytes, key.p, key.n);
    n = b->nodes == 0 ? NULL : seek(b, key, prev);
    if (n == NULL || !nadb_slice_eq(n->key, key))
        n = node_add(b, nadb_slice_of(bytes, key.n), prev);
    if (n == NULL) return NULL;
    /* a node's operations are newest first */
    NADB_ASSERT(n->newest == NULL || n->newest->id < b->next_id);
    op->older = n->newest;
    op->prev = b->last;
    op->node = n;
    op->id = b->next_id++;
    op->flags = 0;
    op->mode = NADB_PUT_BLIND;
    op->key = n->key;
    op->value = nadb_slice_of(bytes + key.n, value_n);
    n->newest = op;
    b->last = op;
    return op;
}

/* Keeps NADB_ENTRY_READ: a key that was read for a decision stays read. */
static unsigned read_before(const batch_op *op) {
    return op->older == NULL ? 0 : op->older->flags & NADB_ENTRY_READ;
}

nadb_rc batch_put(batch *b, nadb_slice key, size_t value_n, nadb_put_mode mode,
                  uint8_t **value, nadb_err *err) {
    batch_op *op = op_add(b, key, value_n, err);

    *value = NULL;
    if (op == NULL) return spill_failed(&b->spill, err, "writing a row");
    op->mode = op->older == NULL ? mode : op->older->mode;
    op->flags = read_before(op);
    if (mode != NADB_PUT_BLIND && op->older == NULL)
        op->flags |= NADB_ENTRY_READ;
    *value = (uint8_t *)(op + 1) + key.n;
    return NADB_OK;
}

/* Adds a deletion. On a full disk it is kept in memory, since its commit may be
 * what frees space. */
static batch_op *tombstone_add(batch *b, nadb_slice key, size_t value_n,
                               nadb_err *err) {
    bool frees = b->frees;
    batch_op *op;

    b->frees = true;
    op = op_add(b, key, value_n, err);
    b->frees = frees;
    if (op == NULL) (void)spill_failed(&b->spill, err, "deleting a row");
    return op;
}

nadb_rc batch_delete(batch *b, nadb_slice key, nadb_err *err) {
    batch_op *op = tombstone_add(b, key, 0, err);

    if (op == NULL) return NADB_NOMEM;
    op->flags = NADB_ENTRY_TOMBSTONE | read_before(op);
    return NADB_OK;
}

nadb_rc batch_add(batch *b, nadb_slice key, nadb_slice value, bool tombstone,
                  nadb_err *err) {
    batch_op *op = op_add(b, key, value.n, err);

    if (op == NULL) return spill_failed(&b->spill, err, "writing an entry");
    if (tombstone) op->flags = NADB_ENTRY_TOMBSTONE;
    if (value.n > 0)
        memcpy((uint8_t *)(uintptr_t)op->value.p, value.p, value.n);
    return NADB_OK;
}

nadb_rc batch_sweep(batch *b, nadb_slice key, uint64_t seq, nadb_err *err) {
    batch_op *op = tombstone_add(b, key, 8, err);

    if (op == NULL) return NADB_NOMEM;
    op->flags = NADB_ENTRY_TOMBSTONE | NADB_ENTRY_READ;
    nadb_put_u64((uint8_t *)(uintptr_t)op->value.p, seq);
    return NADB_OK;
}

nadb_rc batch_clear_all(batch *b, nadb_err *err) {
    batch_op *op;

    b->spill.source.or_memory = true;
    op = nadb_arena_alloc(&b->arena, sizeof *op);
    if (op == NULL) return nadb_fail(err, NADB_NOMEM, "clearing");
    memset(op, 0, sizeof *op);
    op->older = b->last_clear;
    op->prev = b->last;
    op->id = b->next_id++;
    b->last = b->last_clear = op;
    return NADB_OK;
}

void batch_undo(batch *b, uint64_t id) {
    NADB_ASSERT(b->last == NULL || b->last->id < b->next_id);
    b->undone++;
    while (b->last != NULL && b->last->id >= id) {
        batch_op *op = b->last;

        if (op->node == NULL)
            b->last_clear = op->older;
        else
            op->node->newest = op->older;
        b->last = op->prev;
    }
}

/* --- reading --- */

static uint64_t cleared_at(const batch *b, uint64_t limit) {
    const batch_op *op = b->last_clear;

    while (op != NULL && op->id >= limit) op = op->older;
    return op == NULL ? 0 : op->id;
}

bool batch_cleared(const batch *b, uint64_t limit) {
    return cleared_at(b, limit) != 0;
}

static const batch_op *visible(const batch_node *n, uint64_t limit,
                               uint64_t cleared) {
    const batch_op *op = n->newest;

    while (op != NULL && op->id >= limit) op = op->older;
    return op != NULL && op->id > cleared ? op : NULL;
}

const batch_op *batch_find(const batch *b, nadb_slice key, uint64_t limit) {
    const batch_node *n;

    if (b->nodes == 0) return NULL;
    n = seek(b, key, NULL);
    if (n == NULL || !nadb_slice_eq(n->key, key)) return NULL;
    return visible(n, limit, cleared_at(b, limit));
}

bool batch_empty(const batch *b) { return b->last == NULL; }

void batch_measure(const batch *b, size_t *count, size_t *bytes) {
    uint64_t cleared = cleared_at(b, UINT64_MAX);

    *count = *bytes = 0;
    for (const batch_node *n = b->head[0]; n != NULL; n = n->next[0]) {
        const batch_op *op = visible(n, UINT64_MAX, cleared);

        if (op == NULL) continue;
        *count += 1;
        *bytes += op->key.n + op->value.n;
    }
}

/* --- iterating --- */

typedef struct b_iter {
    nadb_iter base;
    batch *b;
    uint64_t limit;
    batch_node *at; /* NULL before the first entry and at the end */
    bool started, reverse, bounded;
    nadb_slice lo, hi;
    size_t size; /* bytes of this allocation */
    uint8_t bytes[];
} b_iter;

/* A batch keeps one iterator of this size for the next use. Every commit of one
 * row needs one, with short bounds or none. */
#define SPARE ((size_t)192)
_Static_assert(sizeof(b_iter) <= SPARE, "a spare iterator has no room");

static bool past_end(const b_iter *it) {
    if (it->reverse) return nadb_slice_cmp(it->at->key, it->lo) < 0;
    return it->bounded && nadb_slice_cmp(it->at->key, it->hi) >= 0;
}

static batch_node *step(const b_iter *it) {
    return it->reverse ? it->at->prev : it->at->next[0];
}

static void settle(b_iter *it) {
    uint64_t cleared = cleared_at(it->b, it->limit);

    it->base.valid = false;
    for (; it->at != NULL && !past_end(it); it->at = step(it)) {
        const batch_op *op = visible(it->at, it->limit, cleared);

        if (op == NULL) continue;
        it->base.entry.key = op->key;
        it->base.entry.value = op->value;
        it->base.entry.flags = op->flags | NADB_ENTRY_PINNED;
        it->base.entry.seq = UINT64_MAX;
        it->base.entry.id = 0;
        it->base.valid = true;
        return;
    }
    it->at = NULL;
}

/* The last node with a key below `key`, or the last of all (NULL). */
static batch_node *before(const batch *b, const nadb_slice *key) {
    batch_node *n = key == NULL ? NULL : seek(b, *key, NULL);

    if (b->nodes == 0) return NULL;
    return n == NULL ? b->tail : n->prev;
}

static nadb_rc b_next(nadb_iter *base, nadb_err *err) {
    b_iter *it = (b_iter *)base;

    (void)err;
    if (it->started) {
        if (it->at != NULL) it->at = step(it);
    } else {
        it->started = true;
        if (it->reverse)
            it->at = before(it->b, it->bounded ? &it->hi : NULL);
        else
            it->at = it->b->nodes == 0 ? NULL : seek(it->b, it->lo, NULL);
    }
    settle(it);
    return NADB_OK;
}

static nadb_rc b_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    b_iter *it = (b_iter *)base;

    (void)err;
    it->started = true;
    it->at = NULL;
    if (it->b->nodes > 0 && !it->reverse) {
        it->at =
            seek(it->b, nadb_slice_cmp(key, it->lo) < 0 ? it->lo : key, NULL);
    } else if (it->b->nodes > 0) {
        bool high = it->bounded && nadb_slice_cmp(key, it->hi) >= 0;
        batch_node *n = seek(it->b, high ? it->hi : key, NULL);

        if (n != NULL && !high && nadb_slice_eq(n->key, key))
            it->at = n;
        else
            it->at = n == NULL ? it->b->tail : n->prev;
    }
    settle(it);
    return NADB_OK;
}

static void b_free(nadb_iter *base) {
    b_iter *it = (b_iter *)base;
    batch *b = it->b;

    if (b->spare == NULL && it->size == SPARE) {
        b->spare = it;
    } else {
        nadb_free(it);
    }
    batch_unref(b);
}

static const nadb_iter_ops b_ops = {b_next, b_seek, b_free};

nadb_rc batch_iter(batch *b, const nadb_range *range, uint64_t limit,
                   nadb_iter **out, nadb_err *err) {
    size_t need = sizeof(b_iter) + nadb_range_bytes(range);
    size_t size = need < SPARE ? SPARE : need;
    b_iter *it = b->spare;
    nadb_range own;

    *out = NULL;
    if (it == NULL || size > SPARE)
        it = nadb_malloc(size);
    else
        b->spare = NULL;
    if (it == NULL)
        return nadb_fail(err, NADB_NOMEM, "reading a transaction's changes");
    memset(it, 0, sizeof *it);
    it->size = size;
    it->base.ops = &b_ops;
    it->b = b;
    batch_ref(b);
    it->limit = limit;
    own = nadb_range_copy(range, it->bytes);
    it->reverse = own.reverse;
    it->bounded = own.hi.p != NULL;
    it->lo = own.lo;
    it->hi = own.hi;
    *out = &it->base;
    return NADB_OK;
}
