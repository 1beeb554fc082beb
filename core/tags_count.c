/* tags_count.c - how many rows have each tag.
 *
 * Exact, for the rows that the session sees at this moment, and slow: it reads
 * every row. Counters that are kept with the tag index will take its place.
 * Memory grows with the number of different tags only. */
#include <stdlib.h>

#include "session.h"
#include "tags.h"

typedef struct counted {
    nadb_slice tag; /* in the arena; tag.p == NULL: a free slot */
    int64_t rows;
} counted;

/* Open addressing; the number of slots is a power of two. */
typedef struct table {
    counted *slots;
    size_t n_slots, n;
    nadb_arena names;
} table;

static counted *slot_of(const table *t, nadb_slice tag) {
    size_t i = (size_t)nadb_hash64(tag) & (t->n_slots - 1);

    while (t->slots[i].tag.p != NULL && !nadb_slice_eq(t->slots[i].tag, tag))
        i = (i + 1) & (t->n_slots - 1);
    return &t->slots[i];
}

/* Keeps half of the slots free. */
static bool grow(table *t) {
    table bigger = *t;

    if (2 * t->n < t->n_slots) return true;
    bigger.n_slots = t->n_slots == 0 ? 64 : 2 * t->n_slots;
    bigger.slots = nadb_calloc(bigger.n_slots, sizeof *bigger.slots);
    if (bigger.slots == NULL) return false;
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slots[i].tag.p != NULL)
            *slot_of(&bigger, t->slots[i].tag) = t->slots[i];
    nadb_free(t->slots);
    *t = bigger;
    return true;
}

static bool count(table *t, nadb_slice tag) {
    counted *slot;

    if (!grow(t)) return false;
    slot = slot_of(t, tag);
    if (slot->tag.p == NULL) {
        uint8_t *name = nadb_arena_alloc(&t->names, tag.n);

        if (name == NULL) return false;
        memcpy(name, tag.p, tag.n);
        slot->tag = nadb_slice_of(name, tag.n);
        t->n++;
    }
    slot->rows++;
    return true;
}

static nadb_rc count_all(nadb_session *ss, table *t, nadb_err *err) {
    nadb_scan all = {.reverse = false};
    nadb_cursor *c = NULL;
    const nadb_row *row;
    nadb_rc rc = nadb_cursor_new(ss, &c, err);

    if (rc == NADB_OK) rc = nadb_cursor_scan(c, &all, err);
    while (rc == NADB_OK && (row = nadb_cursor_row(c)) != NULL) {
        nadb_slice tags = row->tags, tag;

        while (rc == NADB_OK && nadb_tags_next(&tags, &tag))
            if (!count(t, tag))
                rc = nadb_fail(err, NADB_NOMEM, "counting tags");
        if (rc == NADB_OK) rc = nadb_cursor_next(c, err);
    }
    nadb_cursor_free(c);
    return rc;
}

static int by_tag(const void *a, const void *b) {
    return nadb_slice_cmp(((const counted *)a)->tag, ((const counted *)b)->tag);
}

nadb_rc nadb_tags_count(nadb_session *ss, nadb_tag_count_fn *each, void *ctx,
                        nadb_err *err) {
    table t = {.names = NADB_ARENA_INIT};
    size_t n = 0;
    nadb_rc rc = count_all(ss, &t, err);

    if (rc == NADB_OK) {
        for (size_t i = 0; i < t.n_slots; i++)
            if (t.slots[i].tag.p != NULL) t.slots[n++] = t.slots[i];
        if (n > 1) qsort(t.slots, n, sizeof *t.slots, by_tag);
    }
    for (size_t i = 0; i < n && rc == NADB_OK; i++)
        rc = each(ctx, t.slots[i].tag, t.slots[i].rows, err);
    nadb_free(t.slots);
    nadb_arena_clear(&t.names);
    return rc;
}
