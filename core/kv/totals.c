/* totals.c - number and bytes of rows as a new statement would see them.
 *
 * The engine's totals include expired rows that are not removed yet; these are
 * found in the index of expiries and subtracted. If the engine has no totals,
 * all rows are read. */
#include "../util/assert.h"
#include "key_map.h"
#include "row.h"
#include "session.h"
#include "tags.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "counting rows");
}

/* --- rows that have expired --- */

static nadb_rc take_off_row(nadb_session *ss, nadb_view *v, nadb_slice key,
                            int64_t now_ms, nadb_totals *t, nadb_err *err) {
    nadb_entry e;
    bool found = false;
    nadb_rc rc;

    nadb_buf_reset(&ss->key);
    if (!nadb_buf_byte(&ss->key, NADB_KS_ROW) ||
        !nadb_buf_append(&ss->key, key.p, key.n))
        return no_memory(err);
    rc = ss->engine->ops->get(ss->engine, v, nadb_buf_slice(&ss->key), &e,
                              &found, err);
    if (rc == NADB_OK && found && nadb_row_expires(e.value) <= now_ms)
        nadb_totals_count(t, &e, false);
    return rc;
}

static nadb_rc note_tags(key_map *gone, nadb_slice tags, nadb_err *err) {
    nadb_slice tag;

    while (nadb_tags_next(&tags, &tag)) {
        int64_t *n = key_map_at(gone, tag);

        if (n == NULL) return no_memory(err);
        (*n)++;
    }
    return NADB_OK;
}

/* A tag whose rows have all expired does not count. */
static nadb_rc take_off_tags(nadb_session *ss, nadb_view *v,
                             const key_map *gone, nadb_totals *t,
                             nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < gone->n_slots && rc == NADB_OK; i++) {
        const key_map_slot *slot = &gone->slots[i];
        nadb_entry e;
        bool found = false;

        if (slot->key.p == NULL) continue;
        nadb_buf_reset(&ss->key);
        if (!nadb_index_count_key(&ss->key, slot->key)) return no_memory(err);
        rc = ss->engine->ops->get(ss->engine, v, nadb_buf_slice(&ss->key), &e,
                                  &found, err);
        if (found && nadb_index_count(e.value) <= (uint64_t)slot->number)
            nadb_totals_count(t, &e, false);
    }
    return rc;
}

static nadb_rc take_off(nadb_session *ss, nadb_view *v, nadb_totals *t,
                        nadb_err *err) {
    int64_t now_ms = nadb_now_ms();
    nadb_buf lo = NADB_BUF_INIT, hi = NADB_BUF_INIT;
    nadb_range range = {{NULL, 0}, {NULL, 0}, false};
    key_map gone = KEY_MAP_INIT;
    nadb_iter *it = NULL;
    nadb_rc rc = NADB_OK;

    if (!nadb_buf_byte(&lo, NADB_KS_EXPIRY) ||
        !nadb_index_expiry_key(&hi, now_ms + 1, nadb_slice_of("", 0)))
        rc = no_memory(err);
    range.lo = nadb_buf_slice(&lo);
    range.hi = nadb_buf_slice(&hi);
    if (rc == NADB_OK)
        rc = ss->engine->ops->iter(ss->engine, v, &range, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        nadb_slice key;
        int64_t ms;

        rc = note_tags(&gone, it->entry.value, err);
        if (rc == NADB_OK && nadb_index_expiry_split(it->entry.key, &ms, &key))
            rc = take_off_row(ss, v, key, now_ms, t, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    if (rc == NADB_OK) rc = take_off_tags(ss, v, &gone, t, err);
    key_map_clear(&gone);
    nadb_buf_clear(&lo);
    nadb_buf_clear(&hi);
    return rc;
}

/* --- a walk --- */

static nadb_rc count_tag(void *ctx, nadb_slice tag, int64_t rows,
                         nadb_err *err) {
    (void)tag;
    (void)rows;
    (void)err;
    ((nadb_totals *)ctx)->tags++;
    return NADB_OK;
}

static nadb_rc walk(nadb_session *ss, nadb_totals *t, nadb_err *err) {
    nadb_scan all = {.reverse = false};
    nadb_cursor *c = NULL;
    const nadb_row *row;
    nadb_rc rc = nadb_cursor_new(ss, &c, err);

    memset(t, 0, sizeof *t);
    t->known = true;
    if (rc == NADB_OK) rc = nadb_cursor_scan(c, &all, err);
    while (rc == NADB_OK && (row = nadb_cursor_row(c)) != NULL) {
        t->rows++;
        t->key_bytes += row->key.n;
        t->value_bytes += row->size;
        t->stored_bytes += row->stored.n;
        rc = nadb_cursor_next(c, err);
    }
    nadb_cursor_free(c);
    if (rc != NADB_OK) return rc;
    return nadb_tags_count(ss, nadb_slice_of(NULL, 0), count_tag, t, err);
}

/* out->known is false if the engine has no totals. */
static nadb_rc counted(nadb_session *ss, nadb_view *v, nadb_totals *out,
                       nadb_err *err) {
    nadb_engine *e = ss->engine;
    nadb_rc rc = NADB_OK;

    memset(out, 0, sizeof *out);
    if (e->ops->totals != NULL) rc = e->ops->totals(e, v, out, err);
    if (rc == NADB_OK && out->known && ss->derives)
        rc = take_off(ss, v, out, err);
    return rc;
}

nadb_rc session_totals(nadb_session *ss, nadb_totals *out, nadb_err *err) {
    session_view *v = NULL;
    nadb_rc rc = session_view_take(ss, &v, err);

    NADB_ASSERT(ss->txn == NULL);
    if (rc == NADB_OK) rc = counted(ss, v->view, out, err);
    session_view_drop(ss, v);
    return rc != NADB_OK || out->known ? rc : walk(ss, out, err);
}

/* --- with the changes of a transaction --- */

/* What one change of the transaction adds to the number of rows. */
static nadb_rc added(nadb_session *ss, const nadb_entry *change, bool cleared,
                     int64_t now_ms, int64_t *rows) {
    nadb_entry e;
    bool found = false;
    nadb_rc rc = NADB_OK;

    if (change->key.p[0] != NADB_KS_ROW) return NADB_OK;
    if (!cleared)
        rc = ss->engine->ops->get(ss->engine, ss->txn->view, change->key, &e,
                                  &found, NULL);
    if (found && nadb_row_expires(e.value) > now_ms) (*rows)--;
    if ((change->flags & NADB_ENTRY_TOMBSTONE) == 0 &&
        nadb_row_expires(change->value) > now_ms)
        (*rows)++;
    return rc;
}

int64_t session_rows(nadb_session *ss) {
    bool cleared = batch_cleared(ss->b, UINT64_MAX);
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    int64_t now_ms = nadb_now_ms(), rows = 0;
    nadb_iter *it = NULL;
    nadb_totals t;
    nadb_rc rc;

    if (!cleared) {
        if (counted(ss, ss->txn->view, &t, NULL) != NADB_OK || !t.known)
            return -1;
        rows = (int64_t)t.rows;
    }
    rc = batch_iter(ss->b, &all, UINT64_MAX, &it, NULL);
    if (rc == NADB_OK) rc = nadb_iter_next(it, NULL);
    while (rc == NADB_OK && it->valid) {
        rc = added(ss, &it->entry, cleared, now_ms, &rows);
        if (rc == NADB_OK) rc = nadb_iter_next(it, NULL);
    }
    nadb_iter_free(it);
    return rc == NADB_OK ? rows : -1;
}
