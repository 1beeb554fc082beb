/* states.c - the states of a map: references, reading, counting, checking.
 *
 * Everything that the backend returns passes through here and becomes an entry
 * of the core. */
#include "../kv/row.h"
#include "../util/assert.h"
#include "engine.h"

/* --- references --- */

map_state *map_state_unref(map_state *s) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_BACKEND));
    NADB_ASSERT(s == NULL || s->refs > 0);
    return s != NULL && --s->refs == 0 ? s : NULL;
}

void map_state_free(const map_engine *e, map_state *s) {
    NADB_ASSERT(!nadb_rank_held(NADB_RANK_BACKEND));
    if (s == NULL) return;
    e->ops->state_free(e->map, s->s);
    nadb_free(s);
}

/* Completes an entry that the backend has found. */
static nadb_rc show(nadb_rc rc, nadb_entry *out, bool *found) {
    if (rc != NADB_OK) *found = false;
    out->flags = NADB_ENTRY_PINNED;
    out->id = 0;
    return rc;
}

nadb_rc map_state_seek(const map_engine *e, const map_state *s, nadb_slice key,
                       bool before, nadb_map_place *at, nadb_entry *out,
                       bool *found, nadb_err *err) {
    memset(at, 0, sizeof *at);
    *found = false;
    return show(e->ops->seek(e->map, s->s, key, before, at, out, found, err),
                out, found);
}

nadb_rc map_state_step(const map_engine *e, const map_state *s, bool back,
                       nadb_map_place *at, nadb_entry *out, bool *found,
                       nadb_err *err) {
    *found = false;
    return show(e->ops->step(e->map, s->s, back, at, out, found, err), out,
                found);
}

nadb_rc map_state_get(const map_engine *e, const map_state *s, nadb_slice key,
                      nadb_entry *out, bool *found, nadb_err *err) {
    nadb_map_place at;
    nadb_rc rc = map_state_seek(e, s, key, false, &at, out, found, err);

    *found = *found && nadb_slice_eq(out->key, key);
    return rc;
}

/* --- all entries --- */

void map_sum_count(map_sum *sum, const nadb_entry *entry, bool in) {
    uint64_t bytes = entry->key.n + entry->value.n;
    uint8_t space = entry->key.n > 0 ? entry->key.p[0] : 0;

    sum->bytes = in ? sum->bytes + bytes : sum->bytes - bytes;
    if (space == NADB_KS_ROW) sum->rows = in ? sum->rows + 1 : sum->rows - 1;
    nadb_totals_count(&sum->totals, entry, in);
    /* Entries of tags and expiries sort behind rows, and counts exist only with
     * tags. */
    if (in && space > NADB_KS_ROW) sum->indexed = true;
}

nadb_rc map_state_sum(const map_engine *e, const map_state *s, bool back,
                      map_sum *sum, size_t *n, uint64_t *seq, nadb_err *err) {
    nadb_slice first = nadb_slice_of("", 0), none = {NULL, 0};
    nadb_map_place at;
    nadb_entry x;
    bool found;
    nadb_rc rc =
        map_state_seek(e, s, back ? none : first, back, &at, &x, &found, err);

    *seq = 0;
    for (*n = 0; rc == NADB_OK && found; (*n)++) {
        map_sum_count(sum, &x, true);
        if (x.seq > *seq) *seq = x.seq;
        rc = map_state_step(e, s, back, &at, &x, &found, err);
    }
    return rc;
}

/* Checks the order of keys, and that each entry is found by its key. */
static nadb_rc check_keys(const map_engine *e, const map_state *s,
                          nadb_report_fn *report, void *ctx, nadb_err *err) {
    nadb_slice before = {NULL, 0}; /* below all keys, which are not empty */
    nadb_map_place at;
    nadb_entry x, same;
    bool found, again;
    nadb_rc rc =
        map_state_seek(e, s, nadb_slice_of("", 0), false, &at, &x, &found, err);

    while (rc == NADB_OK && found) {
        if (nadb_slice_cmp(before, x.key) >= 0)
            report(ctx, "map: keys are out of order");
        rc = map_state_get(e, s, x.key, &same, &again, err);
        if (rc == NADB_OK &&
            !(again && nadb_slice_eq(same.value, x.value) && same.seq == x.seq))
            report(ctx, "map: an entry is not found by its key");
        before = x.key;
        if (rc == NADB_OK)
            rc = map_state_step(e, s, false, &at, &x, &found, err);
    }
    return rc;
}

nadb_rc map_state_check(const map_engine *e, const map_state *s,
                        nadb_report_fn *report, void *ctx, nadb_err *err) {
    map_sum sum = {.totals = {.known = true}}, same = sum;
    uint64_t seq;
    size_t n, n_back;
    nadb_rc rc = check_keys(e, s, report, ctx, err);

    if (rc == NADB_OK) rc = map_state_sum(e, s, false, &sum, &n, &seq, err);
    if (rc == NADB_OK)
        rc = map_state_sum(e, s, true, &same, &n_back, &seq, err);
    if (rc != NADB_OK) return rc;
    if (n != n_back || sum.bytes != same.bytes)
        report(ctx, "map: the walk back has other entries");
    if (sum.bytes != s->sum.bytes || sum.rows != s->sum.rows)
        report(ctx, "map: the count of rows or bytes is wrong");
    if (sum.indexed && !s->sum.indexed)
        report(ctx, "map: index entries are not noted");
    if (seq > s->seq) report(ctx, "map: an entry is newer than its state");
    if (e->ops->check == NULL) return NADB_OK;
    return e->ops->check(e->map, s->s, report, ctx, err);
}
