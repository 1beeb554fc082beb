/* access.c - see access.h. There are two maps: one takes notes while the other
 * is written to the store. */
#include "access.h"

#include "../util/coding.h"
#include "../util/sync.h"
#include "key_map.h"

#define NOTES_MAX 65536u

struct nadb_access {
    nadb_mutex lock; /* guards both maps; `writing` is changed under it only */
    key_map notes, writing;
};

nadb_rc nadb_access_new(nadb_access **out, nadb_err *err) {
    nadb_access *a = nadb_calloc(1, sizeof *a);
    nadb_rc rc;

    *out = NULL;
    if (a == NULL) return nadb_fail(err, NADB_NOMEM, "opening a store");
    rc = nadb_mutex_init(&a->lock, NADB_RANK_CACHE, err);
    if (rc == NADB_OK)
        *out = a;
    else
        nadb_free(a);
    return rc;
}

void nadb_access_free(nadb_access *a) {
    if (a == NULL) return;
    key_map_clear(&a->notes);
    key_map_clear(&a->writing);
    nadb_mutex_clear(&a->lock);
    nadb_free(a);
}

void nadb_access_note(nadb_access *a, nadb_slice key, int64_t now_ms) {
    int64_t *ms;

    nadb_lock(&a->lock);
    if (a->notes.n < NOTES_MAX || key_map_find(&a->notes, key) != NULL) {
        ms = key_map_at(&a->notes, key);
        if (ms != NULL) *ms = now_ms;
    }
    nadb_unlock(&a->lock);
}

bool nadb_access_find(nadb_access *a, nadb_slice key, int64_t *ms) {
    const int64_t *found;

    nadb_lock(&a->lock);
    found = key_map_find(&a->notes, key);
    if (found == NULL) found = key_map_find(&a->writing, key);
    if (found != NULL) *ms = *found;
    nadb_unlock(&a->lock);
    return found != NULL;
}

nadb_rc nadb_access_write(nadb_access *a, nadb_access_fn *each,
                          nadb_rc (*end)(void *ctx), void *ctx) {
    nadb_rc rc = NADB_OK;

    nadb_lock(&a->lock);
    if (a->writing.n == 0) {
        key_map empty = a->writing;

        a->writing = a->notes;
        a->notes = empty;
    }
    nadb_unlock(&a->lock);
    if (a->writing.n == 0) return NADB_OK;
    for (size_t i = 0; i < a->writing.n_slots && rc == NADB_OK; i++)
        if (a->writing.slots[i].key.p != NULL)
            rc = each(ctx, a->writing.slots[i].key, a->writing.slots[i].number);
    if (rc == NADB_OK) rc = end(ctx);
    if (rc != NADB_OK) return rc;
    nadb_lock(&a->lock);
    key_map_clear(&a->writing);
    nadb_unlock(&a->lock);
    return NADB_OK;
}

bool nadb_access_key(nadb_buf *out, nadb_slice key) {
    return nadb_buf_byte(out, NADB_KS_ACCESS) &&
           nadb_buf_append(out, key.p, key.n);
}

int64_t nadb_access_ms(nadb_slice value) {
    return value.n == 8 ? (int64_t)nadb_get_u64(value.p) : INT64_MIN;
}
