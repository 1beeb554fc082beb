/* index_check.c - see index_check.h.
 *
 * First two walks compute a sum over the entries that the rows require and one
 * over the entries that exist, in any order. Normally the sums agree. Only if
 * they differ every entry is looked up in both directions, to name the wrong
 * ones or to correct them. Counters are compared tag by tag. */
#include "index_check.h"

#include "../util/coding.h"
#include "../util/job.h"
#include "index.h"
#include "key_map.h"
#include "row.h"
#include "session.h"
#include "tags.h"

typedef struct checking {
    nadb_session *fix; /* its transaction repairs; NULL: report only */
    int64_t differed;
    nadb_engine *engine;
    nadb_view *view;
    nadb_report_fn *report;
    void *ctx;
    bool names;        /* the sums differ: look up each entry */
    uint64_t sum;      /* entries required minus entries that exist */
    key_map tags;      /* number of entries required minus the counter */
    nadb_buf key, val; /* of the present entry */
} checking;

typedef nadb_rc entry_fn(checking *c, const nadb_entry *e, nadb_err *err);

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "checking the indexes");
}

static nadb_rc walk(checking *c, uint8_t keyspace, entry_fn *each,
                    nadb_err *err) {
    uint8_t from[] = {keyspace}, to[] = {(uint8_t)(keyspace + 1)};
    nadb_range range = {{from, 1}, {to, 1}, false};
    nadb_iter *it = NULL;
    nadb_rc rc = c->engine->ops->iter(c->engine, c->view, &range, &it, err);

    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        rc = each(c, &it->entry, err);
        if (rc == NADB_OK) rc = nadb_job_step(keyspace == NADB_KS_ROW, 0, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc;
}

NADB_WRAPS static uint64_t entry_sum(nadb_slice key, nadb_slice value) {
    uint64_t h = nadb_hash64(key);

    return (h << 1 | h >> 63) * 0x9e3779b97f4a7c15u + nadb_hash64(value);
}

NADB_WRAPS static void sum_change(checking *c, nadb_slice key, nadb_slice value,
                                  bool add) {
    c->sum += add ? entry_sum(key, value) : -entry_sum(key, value);
}

static void name(checking *c, const char *what, nadb_slice entry_key) {
    const char *index = entry_key.p[0] == NADB_KS_TAG ? "tag" : "expiry";
    size_t skip = entry_key.p[0] == NADB_KS_TAG ? 1 : 9;
    nadb_slice rest = nadb_slice_of("", 0);
    char shown[NADB_KEY_SHOWN];

    if (entry_key.n > skip)
        rest = nadb_slice_of(entry_key.p + skip, entry_key.n - skip);
    /* For a tag entry the text ends at the zero byte behind the tag. */
    nadb_report(c->report, c->ctx, "%s index: %s, %s \"%s\"", index, what,
                skip == 1 ? "of tag" : "of key", nadb_key_show(rest, shown));
}

/* --- correcting --- */

/* Notes a read of the key: prepare fails if it has changed. */
static nadb_rc note(checking *c, nadb_slice key, nadb_err *err) {
    nadb_buf after = NADB_BUF_INIT;
    nadb_rc rc;

    if (!nadb_buf_append(&after, key.p, key.n) || !nadb_buf_byte(&after, 0)) {
        nadb_buf_clear(&after);
        return no_memory(err);
    }
    rc = session_note_read(c->fix, key, nadb_buf_slice(&after), false, NULL,
                           err);
    nadb_buf_clear(&after);
    return rc;
}

/* Writes the right entry; p == NULL: deletes it. */
static nadb_rc set(checking *c, nadb_slice key, nadb_slice value,
                   nadb_err *err) {
    uint8_t *p = NULL;
    nadb_rc rc = note(c, key, err);

    c->differed++;
    if (rc == NADB_OK && value.p == NULL)
        return batch_delete(c->fix->b, key, err);
    if (rc == NADB_OK)
        rc = batch_put(c->fix->b, key, value.n, NADB_PUT_BLIND, &p, err);
    if (rc == NADB_OK && value.n > 0) memcpy(p, value.p, value.n);
    return rc;
}

/* --- from rows to entries --- */

/* The entry in c->key and c->val must exist. */
static nadb_rc expect(checking *c, nadb_err *err) {
    nadb_slice key = nadb_buf_slice(&c->key), value = nadb_buf_slice(&c->val);
    nadb_entry e;
    bool found = false;
    nadb_rc rc;

    sum_change(c, key, value, true);
    if (!c->names) return NADB_OK;
    rc = c->engine->ops->get(c->engine, c->view, key, &e, &found, err);
    if (rc != NADB_OK || (found && nadb_slice_eq(e.value, value))) return rc;
    if (value.p == NULL) value = nadb_slice_of("", 0);
    if (c->fix != NULL) return set(c, key, value, err);
    name(c, found ? "an entry is out of date" : "an entry is missing", key);
    return NADB_OK;
}

static nadb_rc entries_of(checking *c, nadb_slice key, const nadb_row *row,
                          nadb_err *err) {
    nadb_slice tags = row->tags, tag;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && nadb_tags_next(&tags, &tag)) {
        int64_t *n = key_map_at(&c->tags, tag);

        nadb_buf_reset(&c->key);
        nadb_buf_reset(&c->val);
        if (n == NULL || !nadb_index_tag_key(&c->key, tag, key) ||
            !nadb_index_tag_value(&c->val, row->expires_ms))
            return no_memory(err);
        if (!c->names) (*n)++;
        rc = expect(c, err);
    }
    if (rc != NADB_OK || row->expires_ms == NADB_NO_EXPIRY) return rc;
    nadb_buf_reset(&c->key);
    nadb_buf_reset(&c->val);
    if (!nadb_index_expiry_key(&c->key, row->expires_ms, key) ||
        !nadb_buf_append(&c->val, row->tags.p, row->tags.n))
        return no_memory(err);
    return expect(c, err);
}

static nadb_rc row_entries(checking *c, const nadb_entry *e, nadb_err *err) {
    nadb_slice key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    int64_t differed = c->differed;
    nadb_row row;
    nadb_rc rc = nadb_row_decode(e->value, &row, err);

    if (rc == NADB_OK) rc = entries_of(c, key, &row, err);
    return rc == NADB_OK && c->differed > differed ? note(c, e->key, err) : rc;
}

/* --- from entries to rows --- */

static nadb_rc entry_there(checking *c, const nadb_entry *e, nadb_err *err) {
    (void)err;
    sum_change(c, e->key, e->value, false);
    return NADB_OK;
}

/* The parts of a tag entry: the tag, two zero bytes, the key (maybe empty). */
static bool tag_split(nadb_slice entry_key, nadb_slice *tag, nadb_slice *key) {
    const uint8_t *end = memchr(entry_key.p, 0, entry_key.n);
    size_t n = end == NULL ? entry_key.n : (size_t)(end - entry_key.p);

    if (entry_key.n < n + 2 || entry_key.p[n + 1] != 0) return false;
    *tag = nadb_slice_of(entry_key.p + 1, n - 1);
    *key = nadb_slice_of(entry_key.p + n + 2, entry_key.n - n - 2);
    return true;
}

/* Checks that a row requires this entry. */
static nadb_rc entry_wanted(checking *c, const nadb_entry *e, nadb_err *err) {
    bool is_tag = e->key.p[0] == NADB_KS_TAG;
    int64_t expires_ms = NADB_NO_EXPIRY;
    nadb_slice tag, key;
    nadb_entry found_entry;
    nadb_row row;
    bool found = false;
    nadb_rc rc;

    nadb_buf_reset(&c->val);
    if (is_tag ? !tag_split(e->key, &tag, &key)
               : !nadb_index_expiry_split(e->key, &expires_ms, &key)) {
        if (c->fix != NULL) return set(c, e->key, nadb_slice_of(NULL, 0), err);
        name(c, "an entry without a key", e->key);
        return NADB_OK;
    }
    if (!nadb_buf_byte(&c->val, NADB_KS_ROW) ||
        !nadb_buf_append(&c->val, key.p, key.n))
        return no_memory(err);
    rc = c->engine->ops->get(c->engine, c->view, nadb_buf_slice(&c->val),
                             &found_entry, &found, err);
    if (rc == NADB_OK && found)
        rc = nadb_row_decode(found_entry.value, &row, err);
    if (rc != NADB_OK) return rc;
    if (found)
        found = is_tag ? nadb_tags_has(row.tags, tag)
                       : row.expires_ms == expires_ms;
    if (found) return NADB_OK;
    if (c->fix != NULL) {
        rc = note(c, nadb_buf_slice(&c->val), err);
        return rc == NADB_OK ? set(c, e->key, nadb_slice_of(NULL, 0), err) : rc;
    }
    name(c, "an entry without its row", e->key);
    return NADB_OK;
}

/* --- counters --- */

static nadb_rc counter_there(checking *c, const nadb_entry *e, nadb_err *err) {
    int64_t *n =
        key_map_at(&c->tags, nadb_slice_of(e->key.p + 1, e->key.n - 1));

    if (n == NULL) return no_memory(err);
    *n -= (int64_t)nadb_index_count(e->value);
    return NADB_OK;
}

static void counters_compare(checking *c) {
    for (size_t i = 0; i < c->tags.n_slots; i++) {
        const key_map_slot *s = &c->tags.slots[i];

        if (s->key.p == NULL || s->number == 0) continue;
        nadb_report(c->report, c->ctx,
                    "the counter of tag \"%.*s\" is off by %lld",
                    s->key.n > 80 ? 80 : (int)s->key.n, (const char *)s->key.p,
                    (long long)-s->number);
    }
}

static nadb_rc check(checking *c, nadb_err *err) {
    nadb_rc rc = walk(c, NADB_KS_ROW, row_entries, err);

    if (rc == NADB_OK) rc = walk(c, NADB_KS_TAG, entry_there, err);
    if (rc == NADB_OK) rc = walk(c, NADB_KS_EXPIRY, entry_there, err);
    if (rc == NADB_OK) rc = walk(c, NADB_KS_COUNT, counter_there, err);
    if (rc == NADB_OK) counters_compare(c);
    if (rc != NADB_OK || c->sum == 0) return rc;
    c->names = true;
    rc = walk(c, NADB_KS_ROW, row_entries, err);
    if (rc == NADB_OK) rc = walk(c, NADB_KS_TAG, entry_wanted, err);
    if (rc == NADB_OK) rc = walk(c, NADB_KS_EXPIRY, entry_wanted, err);
    return rc;
}

static nadb_rc counter_fix(checking *c, nadb_slice tag, int64_t off,
                           nadb_err *err) {
    uint8_t number[NADB_VARINT_MAX];
    nadb_slice value = nadb_slice_of(NULL, 0);
    nadb_entry e;
    bool found = false;
    int64_t rows;
    nadb_rc rc;

    nadb_buf_reset(&c->key);
    if (!nadb_index_count_key(&c->key, tag)) return no_memory(err);
    rc = c->engine->ops->get(c->engine, c->view, nadb_buf_slice(&c->key), &e,
                             &found, err);
    if (rc != NADB_OK) return rc;
    rows = off + (found ? (int64_t)nadb_index_count(e.value) : 0);
    if (rows > 0)
        value = nadb_slice_of(
            number, (size_t)(nadb_put_varint(number, (uint64_t)rows) - number));
    return set(c, nadb_buf_slice(&c->key), value, err);
}

static nadb_rc counters_fix(checking *c, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; rc == NADB_OK && i < c->tags.n_slots; i++) {
        const key_map_slot *s = &c->tags.slots[i];

        if (s->key.p != NULL && s->number != 0)
            rc = counter_fix(c, s->key, s->number, err);
    }
    return rc;
}

nadb_rc nadb_index_rebuild(nadb_session *ss, int64_t *differed, nadb_err *err) {
    checking c = {.fix = ss, .engine = ss->engine, .view = ss->txn->view};
    nadb_rc rc = walk(&c, NADB_KS_ROW, row_entries, err);

    if (rc == NADB_OK) rc = walk(&c, NADB_KS_COUNT, counter_there, err);
    c.names = true;
    if (rc == NADB_OK) rc = walk(&c, NADB_KS_ROW, row_entries, err);
    if (rc == NADB_OK) rc = walk(&c, NADB_KS_TAG, entry_wanted, err);
    if (rc == NADB_OK) rc = walk(&c, NADB_KS_EXPIRY, entry_wanted, err);
    if (rc == NADB_OK) rc = counters_fix(&c, err);
    *differed = c.differed;
    key_map_clear(&c.tags);
    nadb_buf_clear(&c.key);
    nadb_buf_clear(&c.val);
    return rc;
}

nadb_rc nadb_index_check(nadb_engine *e, nadb_report_fn *report, void *ctx,
                         nadb_err *err) {
    checking c = {.engine = e, .report = report, .ctx = ctx};
    nadb_rc rc = e->ops->view_open(e, &c.view, err);

    if (rc == NADB_OK) rc = check(&c, err);
    e->ops->view_close(e, c.view);
    key_map_clear(&c.tags);
    nadb_buf_clear(&c.key);
    nadb_buf_clear(&c.val);
    return rc;
}
