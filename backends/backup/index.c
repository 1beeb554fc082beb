/* index.c - the contents of indexes for a backup, computed from its rows. */
#include "engine.h"

#include <stdlib.h>

#include "../../core/kv/index.h"
#include "../../core/kv/key_map.h"
#include "../../core/kv/row.h"
#include "../../core/kv/tags.h"
#include "../../core/util/coding.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for reading a backup");
}

/* --- counts of tags --- */

typedef struct count {
    size_t key_at, key_n; /* in counts.keys */
    size_t value_at, value_n;
} count;

typedef struct counts {
    nadb_iter base;
    nadb_buf bytes; /* of keys and values */
    nadb_buf list;  /* array of count, ascending */
    size_t next;
} counts;

static void counts_free(nadb_iter *it) {
    counts *c = (counts *)it;

    nadb_buf_clear(&c->bytes);
    nadb_buf_clear(&c->list);
    nadb_free(c);
}

static nadb_slice count_key(const counts *c, size_t i) {
    const count *x = (const count *)(const void *)c->list.p + i;

    return nadb_slice_of(c->bytes.p + x->key_at, x->key_n);
}

static nadb_rc counts_next(nadb_iter *it, nadb_err *err) {
    counts *c = (counts *)it;
    const count *x;

    (void)err;
    it->valid = c->next < c->list.n / sizeof *x;
    if (!it->valid) return NADB_OK;
    x = (const count *)(const void *)c->list.p + c->next;
    it->entry.key = count_key(c, c->next);
    it->entry.value = nadb_slice_of(c->bytes.p + x->value_at, x->value_n);
    c->next++;
    return NADB_OK;
}

static nadb_rc counts_seek(nadb_iter *it, nadb_slice key, nadb_err *err) {
    counts *c = (counts *)it;

    c->next = 0;
    while (c->next < c->list.n / sizeof(count) &&
           nadb_slice_cmp(count_key(c, c->next), key) < 0)
        c->next++;
    return counts_next(it, err);
}

/* Counts the tags of all rows that have not expired. */
static nadb_rc count_rows(const backup_engine *e, key_map *tags,
                          nadb_err *err) {
    int64_t now = nadb_now_ms();
    nadb_iter *it = NULL;
    nadb_rc rc =
        backup_chain_iter(e->chain, &nadb_all_rows, false, false, &it, err);

    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        nadb_row row;
        nadb_slice tag;

        rc = nadb_row_decode(it->entry.value, &row, err);
        while (rc == NADB_OK && row.expires_ms > now &&
               nadb_tags_next(&row.tags, &tag)) {
            int64_t *n = key_map_at(tags, tag);

            if (n == NULL)
                rc = no_memory(err);
            else
                ++*n;
        }
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc;
}

static int by_tag(const void *a, const void *b) {
    return nadb_slice_cmp((*(const key_map_slot *const *)a)->key,
                          (*(const key_map_slot *const *)b)->key);
}

static bool add_count(counts *c, const nadb_range *range,
                      const key_map_slot *slot) {
    count x = {.key_at = c->bytes.n};

    if (!nadb_index_count_key(&c->bytes, slot->key)) return false;
    x.key_n = c->bytes.n - x.key_at;
    if (!nadb_in_range(range->lo, range->hi,
                       nadb_slice_of(c->bytes.p + x.key_at, x.key_n))) {
        c->bytes.n = x.key_at;
        return true;
    }
    x.value_at = c->bytes.n;
    if (!nadb_buf_varint(&c->bytes, (uint64_t)slot->number)) return false;
    x.value_n = c->bytes.n - x.value_at;
    return nadb_buf_append(&c->list, &x, sizeof x);
}

/* Sorts the tags and keeps those in the range. */
static nadb_rc take_counts(counts *c, const key_map *tags,
                           const nadb_range *range, nadb_err *err) {
    const key_map_slot **list = nadb_calloc(tags->n + 1, sizeof *list);
    size_t n = 0;
    bool ok = list != NULL;

    for (size_t i = 0; ok && i < tags->n_slots; i++)
        if (tags->slots[i].key.p != NULL) list[n++] = &tags->slots[i];
    if (n > 1) qsort(list, n, sizeof *list, by_tag);
    for (size_t i = 0; ok && i < n; i++) ok = add_count(c, range, list[i]);
    nadb_free(list);
    return ok ? NADB_OK : no_memory(err);
}

nadb_rc backup_counts(const backup_engine *e, const nadb_range *range,
                      nadb_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {counts_next, counts_seek, counts_free};
    counts *c = nadb_calloc(1, sizeof *c);
    key_map tags = KEY_MAP_INIT;
    nadb_rc rc;

    *out = NULL;
    if (c == NULL) return no_memory(err);
    c->base.ops = &ops;
    rc = count_rows(e, &tags, err);
    if (rc == NADB_OK) rc = take_counts(c, &tags, range, err);
    key_map_clear(&tags);
    if (rc == NADB_OK)
        *out = &c->base;
    else
        counts_free(&c->base);
    return rc;
}

/* --- rows that expire --- */

typedef struct expiries {
    nadb_iter base;
    nadb_iter *rows;
    nadb_buf key;
    nadb_range range;
    nadb_buf bounds; /* its bytes */
} expiries;

static void expiries_free(nadb_iter *it) {
    expiries *x = (expiries *)it;

    nadb_iter_free(x->rows);
    nadb_buf_clear(&x->key);
    nadb_buf_clear(&x->bounds);
    nadb_free(x);
}

static nadb_rc expiries_next(nadb_iter *it, nadb_err *err) {
    expiries *x = (expiries *)it;
    nadb_rc rc;

    it->valid = false;
    while ((rc = nadb_iter_next(x->rows, err)) == NADB_OK && x->rows->valid) {
        nadb_row row;

        rc = nadb_row_decode(x->rows->entry.value, &row, err);
        if (rc != NADB_OK) return rc;
        if (row.expires_ms == NADB_NO_EXPIRY) continue;
        nadb_buf_reset(&x->key);
        if (!nadb_index_expiry_key(&x->key, row.expires_ms,
                                   nadb_slice_of(x->rows->entry.key.p + 1,
                                                 x->rows->entry.key.n - 1)))
            return no_memory(err);
        if (!nadb_in_range(x->range.lo, x->range.hi, nadb_buf_slice(&x->key)))
            continue;
        it->entry.key = nadb_buf_slice(&x->key);
        it->entry.value = row.tags;
        it->valid = true;
        return NADB_OK;
    }
    return rc;
}

static nadb_rc expiries_seek(nadb_iter *it, nadb_slice key, nadb_err *err) {
    (void)it;
    (void)key;
    return nadb_fail(err, NADB_INVALID, "this walk cannot seek");
}

nadb_rc backup_expiries(const backup_engine *e, const nadb_range *range,
                        nadb_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {expiries_next, expiries_seek,
                                      expiries_free};
    expiries *x = nadb_calloc(1, sizeof *x);
    nadb_rc rc;

    *out = NULL;
    if (x == NULL) return no_memory(err);
    x->base.ops = &ops;
    if (!nadb_buf_append(&x->bounds, range->lo.p, range->lo.n) ||
        !nadb_buf_append(&x->bounds, range->hi.p, range->hi.n)) {
        expiries_free(&x->base);
        return no_memory(err);
    }
    x->range.lo = nadb_slice_of(x->bounds.p, range->lo.n);
    if (range->hi.p != NULL)
        x->range.hi = nadb_slice_of(x->bounds.p + range->lo.n, range->hi.n);
    rc = backup_chain_iter(e->chain, &nadb_all_rows, false, false, &x->rows,
                           err);
    if (rc == NADB_OK)
        *out = &x->base;
    else
        expiries_free(&x->base);
    return rc;
}
