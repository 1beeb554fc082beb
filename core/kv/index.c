/* index.c - see index.h.
 *
 * The change of a row is the difference of two heads: its old and new tags and
 * expiry. Unchanged index entries are not written, so an update of the value
 * alone changes no index.
 *
 * nadb_index_derive() runs twice at a commit: before the commit lock with the
 * transaction's snapshot, and under the lock with the present state if another
 * transaction has committed since. Rows without tags and expiry cost nothing in
 * a store that has no such rows (nadb_engine_ops.indexed).
 *
 * Two records in doubt never share a key, and a counter is a key. So of two
 * transactions that change how many rows have a tag, the second waits until the
 * first has ended, and derives again. Counters cause waiting, never
 * conflicts. */
#include "index.h"

#include "../util/assert.h"
#include "../util/coding.h"
#include "row.h"
#include "tags.h"

static const nadb_range everything = {{NULL, 0}, {NULL, 0}, false};

#define SIGN ((uint64_t)1 << 63) /* makes negative times sort first */

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for the tag index");
}

/* --- keys and values --- */

bool nadb_index_tag_key(nadb_buf *out, nadb_slice tag, nadb_slice key) {
    return nadb_buf_byte(out, NADB_KS_TAG) &&
           nadb_buf_append(out, tag.p, tag.n) && nadb_buf_byte(out, 0) &&
           nadb_buf_byte(out, 0) && nadb_buf_append(out, key.p, key.n);
}

bool nadb_index_tag_value(nadb_buf *out, int64_t expires_ms) {
    uint8_t le[8];

    nadb_put_u64(le, (uint64_t)expires_ms);
    return expires_ms == NADB_NO_EXPIRY || nadb_buf_append(out, le, sizeof le);
}

static void expiry_put(uint8_t p[8], int64_t ms) {
    uint64_t v = (uint64_t)ms ^ SIGN;

    for (int i = 7; i >= 0; i--, v >>= 8) p[i] = (uint8_t)v;
}

bool nadb_index_expiry_key(nadb_buf *out, int64_t expires_ms, nadb_slice key) {
    uint8_t be[8];

    expiry_put(be, expires_ms);
    return nadb_buf_byte(out, NADB_KS_EXPIRY) &&
           nadb_buf_append(out, be, sizeof be) &&
           nadb_buf_append(out, key.p, key.n);
}

bool nadb_index_count_key(nadb_buf *out, nadb_slice tag) {
    return nadb_buf_byte(out, NADB_KS_COUNT) &&
           nadb_buf_append(out, tag.p, tag.n);
}

int64_t nadb_index_expires(nadb_slice value) {
    return value.n == 8 ? (int64_t)nadb_get_u64(value.p) : NADB_NO_EXPIRY;
}

bool nadb_index_expiry_split(nadb_slice entry_key, int64_t *expires_ms,
                             nadb_slice *key) {
    uint64_t v = 0;

    if (entry_key.n < 9 || entry_key.p[0] != NADB_KS_EXPIRY) return false;
    for (int i = 1; i <= 8; i++) v = v << 8 | entry_key.p[i];
    *expires_ms = (int64_t)(v ^ SIGN);
    *key = nadb_slice_of(entry_key.p + 9, entry_key.n - 9);
    return true;
}

uint64_t nadb_index_count(nadb_slice value) {
    nadb_reader r = nadb_reader_of(value);
    uint64_t n = nadb_read_varint(&r);
    size_t left = nadb_reader_left(&r);

    return r.bad || (left != 0 && left != 8) || n > INT64_MAX ? 0 : n;
}

/* --- expiry --- */

/* *expired: all rows with the tag have expired. */
static nadb_rc all_expired(nadb_engine *e, nadb_view *view, nadb_slice tag,
                           int64_t now_ms, bool *expired, nadb_err *err) {
    nadb_buf lo = NADB_BUF_INIT, hi = NADB_BUF_INIT;
    nadb_range range = {.reverse = false};
    nadb_iter *it = NULL;
    nadb_rc rc = NADB_OK;

    if (!nadb_index_tag_key(&lo, tag, nadb_slice_of("", 0)) ||
        !nadb_index_tag_key(&hi, tag, nadb_slice_of("", 0)))
        rc = no_memory(err);
    if (rc == NADB_OK) {
        hi.p[hi.n - 1] = 1; /* behind all keys of the tag */
        range.lo = nadb_buf_slice(&lo);
        range.hi = nadb_buf_slice(&hi);
        rc = e->ops->iter(e, view, &range, &it, err);
    }
    *expired = true;
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid && *expired) {
        *expired = nadb_index_expires(it->entry.value) <= now_ms;
        rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    nadb_buf_clear(&lo);
    nadb_buf_clear(&hi);
    return rc;
}

nadb_rc nadb_index_expired(nadb_engine *e, nadb_view *view,
                           const nadb_entry *shown, int64_t now_ms,
                           bool *expired, nadb_err *err) {
    nadb_slice key = shown->key;
    int64_t ms = NADB_NO_EXPIRY;

    *expired = false;
    if (key.n == 0) return NADB_OK;
    switch (key.p[0]) {
    case NADB_KS_ROW:
        ms = nadb_row_expires(shown->value);
        break;
    case NADB_KS_TAG:
        ms = nadb_index_expires(shown->value);
        break;
    case NADB_KS_EXPIRY:
        (void)!nadb_index_expiry_split(key, &ms, &key);
        break;
    case NADB_KS_COUNT:
        key = nadb_slice_of(key.p + 1, key.n - 1);
        return all_expired(e, view, key, now_ms, expired, err);
    }
    *expired = ms <= now_ms;
    return NADB_OK;
}

/* --- a list of entries --- */

/* Adds an entry with the key in x->key. */
static nadb_rc add(nadb_index_changes *x, nadb_slice value, bool remove,
                   nadb_err *err) {
    x->bytes += x->key.n + value.n;
    return batch_add(x->list, nadb_buf_slice(&x->key), value, remove, err);
}

static nadb_rc add_tag(nadb_index_changes *x, nadb_slice tag, nadb_slice key,
                       int64_t expires_ms, bool remove, nadb_err *err) {
    bool expires = !remove && expires_ms != NADB_NO_EXPIRY;
    uint8_t le[8];

    nadb_put_u64(le, (uint64_t)expires_ms);
    nadb_buf_reset(&x->key);
    if (!nadb_index_tag_key(&x->key, tag, key)) return no_memory(err);
    return add(x, remove ? x->as_of : nadb_slice_of(le, expires ? 8 : 0),
               remove, err);
}

static nadb_rc add_expiry(nadb_index_changes *x, int64_t expires_ms,
                          nadb_slice key, nadb_slice tags, bool remove,
                          nadb_err *err) {
    nadb_buf_reset(&x->key);
    if (!nadb_index_expiry_key(&x->key, expires_ms, key)) return no_memory(err);
    return add(x, remove ? x->as_of : tags, remove, err);
}

/* `as_of`: only expired rows were subtracted; the sequence number of the
 * counter before. NULL: the change counts in conflict checks. */
static nadb_rc add_count(nadb_index_changes *x, uint64_t rows,
                         const uint64_t *as_of, nadb_err *err) {
    uint8_t value[NADB_VARINT_MAX + 8];
    uint8_t *end = value;

    if (rows > 0) end = nadb_put_varint(end, rows);
    if (as_of != NULL) {
        nadb_put_u64(end, *as_of);
        end += 8;
    }
    return add(x, nadb_slice_of(value, (size_t)(end - value)), rows == 0, err);
}

/* Removes the note of reads of a deleted row. */
static nadb_rc add_untracked(nadb_index_changes *x, nadb_slice key,
                             nadb_err *err) {
    nadb_buf_reset(&x->key);
    if (!nadb_buf_byte(&x->key, NADB_KS_ACCESS) ||
        !nadb_buf_append(&x->key, key.p, key.n))
        return no_memory(err);
    return add(x, nadb_slice_of(NULL, 0), true, err);
}

/* --- derivation --- */

/* The part of a row that the indexes depend on. */
typedef struct head {
    nadb_slice tags;
    int64_t expires_ms;
} head;

typedef struct deriving {
    nadb_index_changes *x;
    nadb_engine *engine;
    nadb_view *view;
    bool track; /* deleted rows may have notes of reads */
    bool reads; /* the view may have rows in an index */
    bool alive; /* the row counts: it has not expired */
} deriving;

/* The value of a tag in x->counts:
 *
 *   | change of the counter, i64 | 1 if any row was not an expired one, u8 | */
enum { COUNT_MOVED = 0, COUNT_LIVING = 8, COUNT_BYTES = 9 };

static nadb_rc head_of(nadb_slice value, head *h, nadb_err *err) {
    nadb_row row;
    nadb_rc rc = nadb_row_decode(value, &row, err);

    if (rc == NADB_OK) {
        h->tags = row.tags;
        h->expires_ms = row.expires_ms;
    }
    return rc;
}

static nadb_rc count(deriving *d, nadb_slice tag, int64_t by, nadb_err *err) {
    static const uint8_t none[COUNT_BYTES];
    batch *counts = d->x->counts;
    const batch_op *op = batch_find(counts, tag, UINT64_MAX);
    uint8_t *p;

    if (op == NULL) {
        nadb_rc rc = batch_add(counts, tag, nadb_slice_of(none, sizeof none),
                               false, err);

        if (rc != NADB_OK) return rc;
        op = counts->last;
    }
    NADB_ASSERT(counts->refs == 1 && op->value.n == COUNT_BYTES);
    p = (uint8_t *)(uintptr_t)op->value.p; /* no other owner */
    by += (int64_t)nadb_get_u64(p + COUNT_MOVED);
    nadb_put_u64(p + COUNT_MOVED, (uint64_t)by);
    if (d->x->as_of.n == 0) p[COUNT_LIVING] = 1;
    return NADB_OK;
}

/* Compares both sorted lists of tags. */
static nadb_rc tags_changed(deriving *d, nadb_slice key, const head *old,
                            const head *now, nadb_err *err) {
    nadb_slice before = old->tags, after = now->tags;
    nadb_slice b, a;
    bool has_b = nadb_tags_next(&before, &b);
    bool has_a = nadb_tags_next(&after, &a);
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && (has_b || has_a)) {
        int c = !has_b ? 1 : !has_a ? -1 : nadb_slice_cmp(b, a);

        if (c < 0) {
            rc = add_tag(d->x, b, key, 0, true, err);
            if (rc == NADB_OK) rc = count(d, b, -1, err);
        } else if (c > 0 || old->expires_ms != now->expires_ms) {
            rc = add_tag(d->x, a, key, now->expires_ms, false, err);
            if (rc == NADB_OK) rc = count(d, a, c > 0, err);
        }
        if (c <= 0) has_b = nadb_tags_next(&before, &b);
        if (c >= 0) has_a = nadb_tags_next(&after, &a);
    }
    return rc;
}

static nadb_rc expiry_changed(deriving *d, nadb_slice key, const head *old,
                              const head *now, nadb_err *err) {
    bool moved = old->expires_ms != now->expires_ms;
    nadb_rc rc = NADB_OK;

    if (moved && old->expires_ms != NADB_NO_EXPIRY)
        rc = add_expiry(d->x, old->expires_ms, key, old->tags, true, err);
    if (rc == NADB_OK && now->expires_ms != NADB_NO_EXPIRY &&
        (moved || !nadb_slice_eq(old->tags, now->tags)))
        rc = add_expiry(d->x, now->expires_ms, key, now->tags, false, err);
    return rc;
}

static nadb_rc row_changed(deriving *d, const nadb_entry *change,
                           nadb_err *err) {
    nadb_index_changes *x = d->x;
    nadb_slice key = nadb_slice_of(change->key.p + 1, change->key.n - 1);
    bool gone = (change->flags & NADB_ENTRY_TOMBSTONE) != 0;
    head old = {{NULL, 0}, NADB_NO_EXPIRY}, now = old;
    nadb_entry e;
    bool found = false;
    nadb_rc rc = NADB_OK;

    if (change->key.p[0] != NADB_KS_ROW) return NADB_OK;
    if (!gone) x->list->frees = x->counts->frees = false;
    if (d->track && gone) rc = add_untracked(x, key, err);
    if (rc == NADB_OK && d->reads)
        rc = d->engine->ops->get(d->engine, d->view, change->key, &e, &found,
                                 err);
    x->as_of = gone ? change->value : nadb_slice_of(NULL, 0);
    if (rc == NADB_OK && found) rc = head_of(e.value, &old, err);
    if (d->alive && old.expires_ms <= nadb_now_ms()) old = now;
    if (rc == NADB_OK && !gone) rc = head_of(change->value, &now, err);
    if (rc == NADB_OK) rc = tags_changed(d, key, &old, &now, err);
    if (rc == NADB_OK) rc = expiry_changed(d, key, &old, &now, err);
    return rc;
}

/* Turns the difference of a tag into its new absolute number. */
static nadb_rc count_changed(deriving *d, nadb_slice tag, const uint8_t *value,
                             nadb_err *err) {
    int64_t moved = (int64_t)nadb_get_u64(value + COUNT_MOVED);
    uint64_t less = moved < 0 ? (uint64_t)-moved : 0;
    uint64_t more = moved > 0 ? (uint64_t)moved : 0;
    uint64_t rows = 0, before = 0;
    nadb_buf *key = &d->x->key;
    nadb_entry e;
    bool found = false, swept;
    nadb_rc rc = NADB_OK;

    nadb_buf_reset(key);
    if (!nadb_index_count_key(key, tag)) return no_memory(err);
    if (d->reads)
        rc = d->engine->ops->get(d->engine, d->view, nadb_buf_slice(key), &e,
                                 &found, err);
    if (rc != NADB_OK) return rc;
    if (found) rows = nadb_index_count(e.value);
    swept = found && value[COUNT_LIVING] == 0;
    if (swept)
        before = nadb_changed_seq(nadb_buf_slice(key), e.seq, e.flags, e.value);
    if (rows < less) {
        if (!d->alive)
            return nadb_corrupt(err,
                                "the counter of tag \"%.*s\" is too small: "
                                "the index does not belong to the rows",
                                (int)tag.n, (const char *)tag.p);
        rows = less; /* one has expired just now */
    }
    return add_count(d->x, rows - less + more, swept ? &before : NULL, err);
}

/* A counter is written even if its number stays the same: a transaction that
 * has read it and changes a row of the tag must learn that the rows are
 * different ones. */
static nadb_rc counts_changed(deriving *d, nadb_err *err) {
    nadb_iter *it = NULL;
    nadb_rc rc = batch_iter(d->x->counts, &everything, UINT64_MAX, &it, err);

    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        rc = count_changed(d, it->entry.key, it->entry.value.p, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc;
}

static nadb_rc derive(deriving *d, batch *b, nadb_err *err) {
    nadb_index_changes *x = d->x;
    nadb_iter *it = NULL;
    nadb_rc rc;

    if (x->counts == NULL) x->counts = batch_new(d->engine, x->memory_max);
    if (x->counts == NULL) return no_memory(err);
    x->list->frees = x->counts->frees = true; /* while rows are only removed */
    rc = batch_iter(b, &everything, UINT64_MAX, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        rc = row_changed(d, &it->entry, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc == NADB_OK ? counts_changed(d, err) : rc;
}

nadb_rc nadb_index_derive(nadb_index_changes *x, nadb_engine *e,
                          nadb_view *view, batch *b, bool track,
                          nadb_err *err) {
    deriving d = {.x = x, .engine = e, .view = view, .track = track};
    nadb_rc rc = NADB_OK;

    if (x->derived && x->seq == view->seq && x->next_id == b->next_id &&
        x->undone == b->undone)
        return NADB_OK;
    nadb_index_changes_reset(x);
    if (x->list == NULL) x->list = batch_new(e, x->memory_max);
    if (x->list == NULL) return no_memory(err);
    d.alive = e->ops->match != NULL;
    d.reads = !batch_cleared(b, UINT64_MAX) &&
              (e->ops->indexed == NULL || e->ops->indexed(e, view));
    if (d.reads || b->indexed || track) rc = derive(&d, b, err);
    if (x->counts != NULL) batch_reset(x->counts);
    x->derived = rc == NADB_OK;
    x->seq = view->seq;
    x->next_id = b->next_id;
    x->undone = b->undone;
    if (rc != NADB_OK) nadb_index_changes_reset(x);
    return rc;
}

size_t nadb_index_changed(const nadb_index_changes *x) {
    return x->list == NULL ? 0 : x->list->nodes;
}

void nadb_index_changes_reset(nadb_index_changes *x) {
    if (x->list != NULL) batch_reset(x->list);
    if (x->counts != NULL) batch_reset(x->counts);
    x->bytes = 0;
    x->derived = false;
}

void nadb_index_changes_clear(nadb_index_changes *x) {
    batch_unref(x->list);
    batch_unref(x->counts);
    nadb_buf_clear(&x->key);
    x->list = x->counts = NULL;
    x->bytes = 0;
    x->derived = false;
}

nadb_rc nadb_index_iter(const nadb_index_changes *x, const nadb_range *range,
                        nadb_iter **out, nadb_err *err) {
    return batch_iter(x->list, range, UINT64_MAX, out, err);
}
