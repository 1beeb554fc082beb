/* map.c - see map.h. */
#include "map.h"

/* --- nodes and versions --- */

static uint8_t *key_of(const node *n) {
    return (uint8_t *)(uintptr_t)(n->next + n->height);
}

nadb_slice node_key(const node *n) {
    return nadb_slice_of(key_of(n), n->key_n);
}

static node *node_alloc(nadb_slice key, unsigned height) {
    size_t links = height * sizeof(node *);
    node *n = nadb_calloc(1, sizeof *n + links + key.n);

    if (n == NULL) return NULL;
    n->height = (uint8_t)height;
    n->key_n = key.n;
    if (key.n > 0) memcpy(key_of(n), key.p, key.n);
    return n;
}

node *node_new(nadb_slice key, uint64_t chance) {
    unsigned height = 1;

    for (; height < MAP_HEIGHT && (chance & 3) == 0; chance >>= 2) height++;
    return node_alloc(key, height);
}

version *version_new(const nadb_entry *change) {
    version *v = nadb_calloc(1, sizeof *v + change->value.n);

    if (v == NULL) return NULL;
    v->flags = change->flags & (NADB_ENTRY_TOMBSTONE | NADB_ENTRY_READ);
    v->value_n = change->value.n;
    if (v->value_n > 0) memcpy(v->value, change->value.p, v->value_n);
    return v;
}

static void free_chain(version *v) {
    while (v != NULL) {
        version *older = v->older;

        nadb_free(v);
        v = older;
    }
}

void node_free(node *n) {
    if (n == NULL) return;
    free_chain(n->newest);
    nadb_free(n);
}

const version *node_visible(const node *n, uint64_t seq, uint64_t clear_seq) {
    const version *v = n->newest;

    while (v != NULL && v->seq > seq) v = v->older;
    if (v == NULL || v->seq < clear_seq) return NULL;
    return (v->flags & NADB_ENTRY_TOMBSTONE) != 0 ? NULL : v;
}

void node_trim(node *n, uint64_t seq, uint64_t clear_seq) {
    version **link = &n->newest;

    /* The newest version at or below `seq` is the oldest that a reader can
     * see. */
    while (*link != NULL && (*link)->seq > seq) link = &(*link)->older;
    if (*link == NULL) return;
    if ((*link)->seq >= clear_seq &&
        ((*link)->flags & NADB_ENTRY_TOMBSTONE) == 0)
        link = &(*link)->older;
    free_chain(*link);
    *link = NULL;
}

bool node_has_garbage(const node *n) {
    return n->newest != NULL &&
           (n->newest->older != NULL ||
            (n->newest->flags & NADB_ENTRY_TOMBSTONE) != 0);
}

/* --- the list --- */

nadb_rc map_init(map *m, nadb_err *err) {
    m->head = node_alloc(nadb_slice_of(NULL, 0), MAP_HEIGHT);
    m->tail = m->head;
    if (m->head == NULL)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a store");
    return NADB_OK;
}

void map_clear(map *m) {
    for (node *n = m->head; n != NULL;) {
        node *next = n->next[0];

        node_free(n);
        n = next;
    }
    m->head = NULL;
    m->tail = NULL;
}

/* The last node below `key`, or the head. If `path` is not NULL it gets the
 * last node below `key` on every level. */
static node *descend(const map *m, nadb_slice key, node **path) {
    node *n = m->head;

    for (int level = MAP_HEIGHT - 1; level >= 0; level--) {
        node *next;

        while ((next = n->next[level]) != NULL &&
               nadb_slice_cmp(node_key(next), key) < 0)
            n = next;
        if (path != NULL) path[level] = n;
    }
    return n;
}

node *map_first_at(const map *m, nadb_slice key) {
    return descend(m, key, NULL)->next[0];
}

node *map_find(const map *m, nadb_slice key) {
    node *n = map_first_at(m, key);

    return n != NULL && nadb_slice_eq(node_key(n), key) ? n : NULL;
}

node *map_last_below(const map *m, nadb_slice key) {
    node *n = descend(m, key, NULL);

    return n == m->head ? NULL : n;
}

node *map_last_at(const map *m, nadb_slice key) {
    node *n = descend(m, key, NULL);
    node *next = n->next[0];

    if (next != NULL && nadb_slice_eq(node_key(next), key)) return next;
    return n == m->head ? NULL : n;
}

node *map_last(const map *m) { return m->tail == m->head ? NULL : m->tail; }

node *map_next(const node *n) { return n->next[0]; }

node *map_prev(const map *m, const node *n) {
    return n->prev == m->head ? NULL : n->prev;
}

void map_insert(map *m, node *n) {
    node *path[MAP_HEIGHT];

    descend(m, node_key(n), path);
    for (int level = 0; level < n->height; level++) {
        n->next[level] = path[level]->next[level];
        path[level]->next[level] = n;
    }
    n->prev = path[0];
    if (n->next[0] != NULL)
        n->next[0]->prev = n;
    else
        m->tail = n;
}

void map_remove(map *m, node *n) {
    node *path[MAP_HEIGHT];

    descend(m, node_key(n), path);
    for (int level = 0; level < n->height; level++)
        path[level]->next[level] = n->next[level];
    if (n->next[0] != NULL)
        n->next[0]->prev = n->prev;
    else
        m->tail = n->prev;
}
