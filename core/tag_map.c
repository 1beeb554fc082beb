/* tag_map.c - see tag_map.h. */
#include "tag_map.h"

/* The number of slots is a power of two. */
static tag_map_slot *slot_of(const tag_map *m, nadb_slice tag) {
    size_t i = (size_t)nadb_hash64(tag) & (m->n_slots - 1);

    while (m->slots[i].tag.p != NULL && !nadb_slice_eq(m->slots[i].tag, tag))
        i = (i + 1) & (m->n_slots - 1);
    return &m->slots[i];
}

/* Keeps half of the slots free. */
static bool grow(tag_map *m) {
    tag_map bigger = *m;

    if (2 * m->n < m->n_slots) return true;
    bigger.n_slots = m->n_slots == 0 ? 64 : 2 * m->n_slots;
    bigger.slots = nadb_calloc(bigger.n_slots, sizeof *bigger.slots);
    if (bigger.slots == NULL) return false;
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slots[i].tag.p != NULL)
            *slot_of(&bigger, m->slots[i].tag) = m->slots[i];
    nadb_free(m->slots);
    *m = bigger;
    return true;
}

int64_t *tag_map_at(tag_map *m, nadb_slice tag) {
    tag_map_slot *slot;

    if (!grow(m)) return NULL;
    slot = slot_of(m, tag);
    if (slot->tag.p == NULL) {
        uint8_t *name = nadb_arena_alloc(&m->names, tag.n + 1);

        if (name == NULL) return NULL;
        if (tag.n > 0) memcpy(name, tag.p, tag.n);
        slot->tag = nadb_slice_of(name, tag.n);
        m->n++;
    }
    return &slot->number;
}

void tag_map_clear(tag_map *m) {
    nadb_free(m->slots);
    nadb_arena_clear(&m->names);
    m->slots = NULL;
    m->n = m->n_slots = 0;
}
