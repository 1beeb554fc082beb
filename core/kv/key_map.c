/* key_map.c - see key_map.h. */
#include "key_map.h"

#include "../util/assert.h"

/* The number of slots is a power of two. */
static key_map_slot *slot_of(const key_map *m, nadb_slice key) {
    size_t i = (size_t)nadb_hash64(key) & (m->n_slots - 1);

    NADB_ASSERT(m->n_slots > 0 && (m->n_slots & (m->n_slots - 1)) == 0);
    while (m->slots[i].key.p != NULL && !nadb_slice_eq(m->slots[i].key, key))
        i = (i + 1) & (m->n_slots - 1);
    return &m->slots[i];
}

/* Keeps at least half of the slots free. */
static bool grow(key_map *m) {
    key_map bigger = *m;

    if (2 * m->n < m->n_slots) return true;
    bigger.n_slots = m->n_slots == 0 ? 64 : 2 * m->n_slots;
    bigger.slots = nadb_calloc(bigger.n_slots, sizeof *bigger.slots);
    if (bigger.slots == NULL) return false;
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slots[i].key.p != NULL)
            *slot_of(&bigger, m->slots[i].key) = m->slots[i];
    nadb_free(m->slots);
    *m = bigger;
    return true;
}

int64_t *key_map_at(key_map *m, nadb_slice key) {
    key_map_slot *slot;

    if (!grow(m)) return NULL;
    NADB_ASSERT(2 * m->n < m->n_slots); /* otherwise slot_of() might not end */
    slot = slot_of(m, key);
    if (slot->key.p == NULL) {
        uint8_t *name = nadb_arena_alloc(&m->names, key.n + 1);

        if (name == NULL) return NULL;
        if (key.n > 0) memcpy(name, key.p, key.n);
        slot->key = nadb_slice_of(name, key.n);
        m->n++;
    }
    return &slot->number;
}

const int64_t *key_map_find(const key_map *m, nadb_slice key) {
    const key_map_slot *slot = m->n == 0 ? NULL : slot_of(m, key);

    return slot == NULL || slot->key.p == NULL ? NULL : &slot->number;
}

void key_map_clear(key_map *m) {
    nadb_free(m->slots);
    nadb_arena_clear(&m->names);
    m->slots = NULL;
    m->n = m->n_slots = 0;
}
