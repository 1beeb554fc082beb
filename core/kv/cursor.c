/* cursor.c - walking the rows of a session: one key, a list of keys, or a
 * range; the contract is in nadb.h.
 *
 * A cursor reads one view and the batch as it was when the cursor was opened.
 * A point read allocates nothing once its cursor has been used before. */
#include "../util/merge.h"
#include "codec.h"
#include "expiry_scan.h"
#include "row.h"
#include "tag_scan.h"

#include <stdlib.h>

typedef enum cursor_mode {
    CURSOR_CLOSED,
    CURSOR_KEYS, /* keys[next..] are still to come */
    CURSOR_SCAN
} cursor_mode;

struct nadb_cursor {
    nadb_session *ss;
    cursor_mode mode;
    session_view *view;
    batch *b;       /* NULL: no changes to see */
    uint64_t limit; /* changes from this number on are not seen */
    int64_t now;    /* ms; 0: not read yet */

    bool valid;
    nadb_row row;

    nadb_iter *it; /* CURSOR_SCAN */
    session_read *read;
    uint64_t read_epoch;
    bool reverse;
    bool expired;            /* such rows too: session_scan_expired() */
    const nadb_match *match; /* CURSOR_SCAN: rows are checked against it */
    int64_t expires_from, expires_to; /* nadb_scan.by_expiry */
    bool loaded; /* more of the row than its key is there */

    nadb_slice *keys; /* CURSOR_KEYS: ascending or descending, distinct; in
                         `bounds` unless it is `one` */
    size_t n_keys, next;
    size_t wanted; /* keys before this one have been announced */
    nadb_slice one;

    nadb_buf bounds;  /* keys or range, with keyspace byte */
    nadb_buf loading; /* a key that an index gave, and a zero byte */
    nadb_buf list;    /* nadb_slice of each key */
    nadb_buf copy;    /* a value that is not pinned */
    nadb_buf plain;   /* decoded value, when it is not cached */
    nadb_cached *cached;
    bool decoded; /* `value` is that of this row */
    nadb_value value;
};

nadb_rc nadb_cursor_new(nadb_session *ss, nadb_cursor **out, nadb_err *err) {
    nadb_cursor *c = nadb_calloc(1, sizeof *c);

    *out = NULL;
    if (c == NULL) return nadb_fail(err, NADB_NOMEM, "opening a cursor");
    c->ss = ss;
    *out = c;
    return NADB_OK;
}

void nadb_cursor_free(nadb_cursor *c) {
    if (c == NULL) return;
    nadb_cursor_close(c);
    nadb_buf_clear(&c->bounds);
    nadb_buf_clear(&c->loading);
    nadb_buf_clear(&c->list);
    nadb_buf_clear(&c->copy);
    nadb_buf_clear(&c->plain);
    nadb_free(c);
}

void nadb_cursor_close(nadb_cursor *c) {
    if (c->mode == CURSOR_CLOSED) return;
    if (c->it != NULL) {
        if (c->valid) /* read only as far as the walk went */
            session_narrow_read(c->ss, c->read, c->read_epoch, c->reverse,
                                c->it->entry.key);
        nadb_iter_free(c->it);
        c->it = NULL;
    }
    nadb_cached_release(c->cached);
    c->cached = NULL;
    session_let_go(c->ss, c->view, c->b);
    c->view = NULL;
    c->b = NULL;
    c->read = NULL;
    c->valid = c->decoded = false;
    c->mode = CURSOR_CLOSED;
}

static nadb_rc cursor_open(nadb_cursor *c, cursor_mode mode, bool reverse,
                           nadb_err *err) {
    nadb_rc rc;

    nadb_cursor_close(c);
    rc = session_view_take(c->ss, &c->view, err);
    if (rc != NADB_OK) return rc;
    c->mode = mode;
    c->reverse = reverse;
    c->expired = false;
    c->match = NULL;
    c->loaded = true;
    c->now = 0;
    if (!batch_empty(c->ss->b)) {
        c->b = c->ss->b;
        batch_ref(c->b);
        c->limit = c->b->next_id;
    }
    return NADB_OK;
}

int64_t nadb_cursor_now(nadb_cursor *c) {
    if (c->now == 0) c->now = nadb_now_ms();
    return c->now;
}

/* Takes an entry as the present row; c->valid says whether it is alive. */
static nadb_rc row_take(nadb_cursor *c, const nadb_entry *e, nadb_err *err) {
    nadb_rc rc;

    c->decoded = false;
    c->row.key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    c->row.pinned =
        (e->flags & (NADB_ENTRY_PINNED | NADB_ENTRY_VALUE_PINNED)) != 0;
    /* A key that was asked for stands in `bounds`, until the next open. */
    c->row.key_pinned =
        c->mode == CURSOR_SCAN && (e->flags & NADB_ENTRY_PINNED) != 0;
    c->row.id = e->id;
    rc = nadb_row_decode(e->value, &c->row, err);
    c->valid =
        rc == NADB_OK && (c->row.expires_ms == NADB_NO_EXPIRY || c->expired ||
                          c->row.expires_ms > nadb_cursor_now(c));
    return rc;
}

/* --- keys --- */

static nadb_rc key_get(nadb_cursor *c, nadb_slice key, nadb_err *err) {
    const batch_op *op = c->b == NULL ? NULL : batch_find(c->b, key, c->limit);
    nadb_engine *e = c->ss->engine;
    nadb_entry entry;
    bool found = false;
    nadb_rc rc = NADB_OK;

    c->valid = false;
    if (op != NULL) {
        if (op->flags & NADB_ENTRY_TOMBSTONE) return NADB_OK;
        entry.value = op->value;
        entry.flags = NADB_ENTRY_PINNED;
        entry.id = 0;
    } else {
        if (c->b != NULL && batch_cleared(c->b, c->limit)) return NADB_OK;
        rc = e->ops->get(e, c->view->view, key, &entry, &found, err);
        if (rc != NADB_OK || !found) return rc;
        if (!(entry.flags & NADB_ENTRY_PINNED)) {
            /* Another cursor on this view may read before this one moves. */
            nadb_buf_reset(&c->copy);
            if (!nadb_buf_append(&c->copy, entry.value.p, entry.value.n))
                return nadb_fail(err, NADB_NOMEM, "reading a row");
            entry.value = nadb_buf_slice(&c->copy);
        }
    }
    entry.key = key;
    return row_take(c, &entry, err);
}

#define WANT_FIRST 16u
#define WANT_MOST 256u

/* Tells an engine that likes to know what will be got next: a few keys, then
 * more, for nobody knows how far the walk will go. */
static nadb_rc keys_want(nadb_cursor *c, nadb_err *err) {
    nadb_engine *e = c->ss->engine;
    size_t n = c->next == 0 ? WANT_FIRST : WANT_MOST;

    if (n > c->n_keys - c->next) n = c->n_keys - c->next;
    c->wanted = c->next + n;
    if (n < 2 || e->ops->want == NULL ||
        (c->b != NULL && batch_cleared(c->b, c->limit)))
        return NADB_OK;
    return e->ops->want(e, c->view->view, c->keys + c->next, n, err);
}

static nadb_rc keys_next(nadb_cursor *c, nadb_err *err) {
    c->valid = false;
    while (c->next < c->n_keys && !c->valid) {
        nadb_rc rc = NADB_OK;

        if (c->next == c->wanted) rc = keys_want(c, err);
        if (rc == NADB_OK) rc = key_get(c, c->keys[c->next++], err);
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

/* Appends the internal key and the byte that makes the first key after it. */
static bool bounds_add(nadb_cursor *c, nadb_slice key) {
    return nadb_buf_byte(&c->bounds, NADB_KS_ROW) &&
           nadb_buf_append(&c->bounds, key.p, key.n) &&
           nadb_buf_byte(&c->bounds, 0);
}

static nadb_rc no_memory(nadb_cursor *c, nadb_err *err) {
    nadb_cursor_close(c);
    return nadb_fail(err, NADB_NOMEM, "opening a cursor");
}

static nadb_rc done(nadb_cursor *c, nadb_rc rc) {
    if (rc != NADB_OK) nadb_cursor_close(c);
    return rc;
}

static nadb_rc note_key(nadb_cursor *c, nadb_slice key, bool key_only,
                        nadb_err *err) {
    nadb_slice after = nadb_slice_of(key.p, key.n + 1);

    return session_note_read(c->ss, key, after, key_only, NULL, err);
}

nadb_rc nadb_cursor_key(nadb_cursor *c, nadb_slice key, bool key_only,
                        nadb_err *err) {
    nadb_rc rc;

    nadb_cursor_close(c);
    nadb_buf_reset(&c->bounds);
    if (!bounds_add(c, key)) return no_memory(c, err);
    c->one = nadb_slice_of(c->bounds.p, c->bounds.n - 1);
    rc = session_claim(c->ss, c->one, err);
    if (rc == NADB_OK) rc = cursor_open(c, CURSOR_KEYS, false, err);
    if (rc != NADB_OK) return rc;
    c->keys = &c->one;
    c->n_keys = 1;
    c->next = c->wanted = 0;
    rc = note_key(c, c->one, key_only, err);
    if (rc == NADB_OK) rc = keys_next(c, err);
    return done(c, rc);
}

static int ascending(const void *a, const void *b) {
    return nadb_slice_cmp(*(const nadb_slice *)a, *(const nadb_slice *)b);
}

static int descending(const void *a, const void *b) { return -ascending(a, b); }

/* Sorts the list and drops repeats. */
static void keys_sort(nadb_cursor *c) {
    size_t kept = 0;

    qsort(c->keys, c->n_keys, sizeof c->keys[0],
          c->reverse ? descending : ascending);
    for (size_t i = 0; i < c->n_keys; i++)
        if (kept == 0 || !nadb_slice_eq(c->keys[kept - 1], c->keys[i]))
            c->keys[kept++] = c->keys[i];
    c->n_keys = kept;
}

nadb_rc nadb_cursor_keys(nadb_cursor *c, const nadb_slice *keys, size_t n,
                         bool reverse, nadb_err *err) {
    size_t at = 0;
    nadb_rc rc = cursor_open(c, CURSOR_KEYS, reverse, err);

    if (rc != NADB_OK) return rc;
    nadb_buf_reset(&c->bounds);
    nadb_buf_reset(&c->list);
    for (size_t i = 0; i < n; i++)
        if (!bounds_add(c, keys[i])) return no_memory(c, err);
    /* The buffer stands still now: slices into it are good. */
    for (size_t i = 0; i < n; i++) {
        nadb_slice k = nadb_slice_of(c->bounds.p + at, keys[i].n + 1);

        if (!nadb_buf_append(&c->list, &k, sizeof k)) return no_memory(c, err);
        at += keys[i].n + 2;
    }
    c->keys = (nadb_slice *)(void *)c->list.p;
    c->n_keys = n;
    c->next = c->wanted = 0;
    if (n > 1) keys_sort(c);
    for (size_t i = 0; i < c->n_keys && rc == NADB_OK; i++)
        rc = note_key(c, c->keys[i], false, err);
    if (rc == NADB_OK) rc = keys_next(c, err);
    return done(c, rc);
}

/* --- ranges --- */

/* The view's rows with the batch's changes on top. */
static nadb_rc open_sources(nadb_cursor *c, const nadb_range *range,
                            nadb_err *err) {
    nadb_engine *e = c->ss->engine;
    nadb_iter *sources[2];
    size_t n = 0;
    nadb_rc rc = NADB_OK;

    if (c->b == NULL) return e->ops->iter(e, c->view->view, range, &c->it, err);
    rc = batch_iter(c->b, range, c->limit, &sources[n], err);
    if (rc != NADB_OK) return rc;
    n++;
    if (!batch_cleared(c->b, c->limit)) {
        rc = e->ops->iter(e, c->view->view, range, &sources[n], err);
        if (rc != NADB_OK) {
            nadb_iter_free(sources[0]);
            return rc;
        }
        n++;
    }
    return nadb_merge(sources, n, range, false, &c->it, err);
}

/* An index gave the key alone, and vouches for its row. */
static void key_take(nadb_cursor *c, const nadb_entry *e) {
    c->row.key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    c->row.key_pinned = false;
    c->valid = true;
    c->loaded = c->decoded = false;
}

static nadb_rc scan_next(nadb_cursor *c, nadb_err *err) {
    c->valid = false;
    do {
        nadb_rc rc = nadb_iter_next(c->it, err);

        c->loaded = true;
        if (rc == NADB_OK && !c->it->valid) return NADB_OK;
        if (rc == NADB_OK && c->it->entry.value.n == 0)
            key_take(c, &c->it->entry);
        else if (rc == NADB_OK)
            rc = row_take(c, &c->it->entry, err);
        if (rc == NADB_OK && c->match != NULL && c->valid) {
            rc = nadb_cursor_load(c, err);
            c->valid = c->valid && nadb_match_tags(c->match, c->row.tags);
        }
        if (rc != NADB_OK) return rc;
    } while (!c->valid);
    return NADB_OK;
}

/* --- rows by their tags --- */

static bool not_changed(void *ctx, const nadb_entry *e) {
    const nadb_cursor *c = ctx;

    return batch_find(c->b, e->key, c->limit) == NULL;
}

static bool change_matches(void *ctx, const nadb_entry *e) {
    const nadb_match *m = ctx;
    nadb_row row;

    if (e->flags & NADB_ENTRY_TOMBSTONE) return false;
    /* The transaction's own bytes are sound. */
    return nadb_row_decode(e->value, &row, NULL) == NADB_OK &&
           nadb_match_tags(m, row.tags);
}

/* What the view has, by its index; *out is NULL when that cannot tell. */
static nadb_rc open_index(nadb_cursor *c, const nadb_scan *scan,
                          const nadb_range *range, nadb_iter **out, bool *exact,
                          nadb_err *err) {
    nadb_engine *e = c->ss->engine;
    nadb_rc rc;

    *out = NULL;
    *exact = true;
    if (c->ss->derives)
        return nadb_tag_scan(c->ss, c->view->view, scan->match, range,
                             nadb_cursor_now(c), out, exact, err);
    if (e->ops->match == NULL) return NADB_OK;
    rc = session_note_read(c->ss, range->lo, range->hi, false, NULL, err);
    if (rc != NADB_OK) return rc;
    return e->ops->match(e, c->view->view, scan->match, range, scan->key_only,
                         out, err);
}

/* --- rows by their expiry --- */

static bool change_expires(void *ctx, const nadb_entry *e) {
    const nadb_cursor *c = ctx;
    int64_t ms = (e->flags & NADB_ENTRY_TOMBSTONE) != 0
                     ? NADB_NO_EXPIRY
                     : nadb_row_expires(e->value);

    return ms != NADB_NO_EXPIRY && ms >= c->expires_from && ms <= c->expires_to;
}

/* What the view has, by its index, and then what the transaction changed. */
static nadb_rc open_expiry(nadb_cursor *c, const nadb_scan *scan,
                           nadb_err *err) {
    static const uint8_t rows[] = {NADB_KS_ROW}, after[] = {NADB_KS_ROW + 1};
    nadb_range all = {{rows, 1}, {after, 1}, false};
    nadb_iter *sources[2] = {NULL, NULL};
    size_t n = 0;
    nadb_rc rc = NADB_OK;

    c->expires_from = scan->expires_from;
    c->expires_to = scan->expires_to;
    if (!c->expired && c->expires_from <= nadb_cursor_now(c))
        c->expires_from = nadb_cursor_now(c) + 1;
    if (c->b == NULL || !batch_cleared(c->b, c->limit)) {
        rc = nadb_expiry_scan(c->ss, c->view->view, c->expires_from,
                              c->expires_to, !c->expired, &sources[n], err);
        if (rc == NADB_OK && c->b != NULL)
            rc = nadb_filter_iter(sources[n], not_changed, c, &sources[n], err);
        if (rc != NADB_OK) return rc;
        n++;
    }
    if (c->b != NULL) {
        rc = batch_iter(c->b, &all, c->limit, &sources[n], err);
        if (rc == NADB_OK)
            rc = nadb_filter_iter(sources[n], change_expires, c, &sources[n],
                                  err);
        if (rc == NADB_OK) n++;
    }
    if (rc == NADB_OK) return nadb_chain(sources, n, &c->it, err);
    while (n > 0) nadb_iter_free(sources[--n]);
    return rc;
}

/* c->it stays NULL when every row must be looked at; c->match is set when what
 * comes must be checked. */
static nadb_rc open_match(nadb_cursor *c, const nadb_scan *scan,
                          const nadb_range *range, nadb_err *err) {
    nadb_iter *sources[2] = {NULL, NULL};
    bool cleared = c->b != NULL && batch_cleared(c->b, c->limit);
    bool exact = true;
    nadb_rc rc = NADB_OK;

    c->match = scan->match;
    if (cleared) return NADB_OK;
    rc = open_index(c, scan, range, &sources[0], &exact, err);
    if (rc != NADB_OK || sources[0] == NULL) return rc;
    if (exact) c->match = NULL;
    if (c->b == NULL) {
        c->it = sources[0];
        return NADB_OK;
    }
    rc = nadb_filter_iter(sources[0], not_changed, c, &sources[0], err);
    if (rc == NADB_OK) rc = batch_iter(c->b, range, c->limit, &sources[1], err);
    if (rc == NADB_OK)
        rc = nadb_filter_iter(sources[1], change_matches,
                              (void *)(uintptr_t)scan->match, &sources[1], err);
    if (rc == NADB_OK) return nadb_merge(sources, 2, range, false, &c->it, err);
    nadb_iter_free(sources[0]);
    return rc;
}

nadb_rc nadb_cursor_load(nadb_cursor *c, nadb_err *err) {
    nadb_slice key;
    nadb_rc rc;

    if (c->loaded || !c->valid) return NADB_OK;
    nadb_buf_reset(&c->loading);
    if (!nadb_buf_append(&c->loading, c->it->entry.key.p, c->it->entry.key.n) ||
        !nadb_buf_byte(&c->loading, 0))
        return nadb_fail(err, NADB_NOMEM, "reading a row");
    key = nadb_slice_of(c->loading.p, c->loading.n - 1);
    rc = note_key(c, key, false, err);
    if (rc == NADB_OK) rc = key_get(c, key, err);
    c->loaded = true;
    c->row.key_pinned = false;
    /* Without snapshots it may have gone between two round trips. */
    if (rc == NADB_OK && !c->valid && c->ss->derives)
        rc = nadb_corrupt(err,
                          "the tag index names key \"%.*s\", which is not "
                          "there: nadb_check() tells more",
                          key.n > 80 ? 80 : (int)key.n - 1,
                          (const char *)key.p + 1);
    return rc;
}

static nadb_rc open_scan(nadb_cursor *c, const nadb_scan *scan, bool expired,
                         nadb_err *err) {
    static const uint8_t after_rows[] = {NADB_KS_ROW + 1};
    nadb_range range;
    size_t lo_n;
    nadb_rc rc = cursor_open(c, CURSOR_SCAN, scan->reverse, err);

    if (rc != NADB_OK) return rc;
    c->expired = expired;
    nadb_buf_reset(&c->bounds);
    if (!bounds_add(c, scan->lo)) return no_memory(c, err);
    lo_n = c->bounds.n - 1;
    if (scan->hi.p != NULL && !bounds_add(c, scan->hi))
        return no_memory(c, err);
    range.lo = nadb_slice_of(c->bounds.p, lo_n);
    range.hi = nadb_slice_of(after_rows, sizeof after_rows);
    if (scan->hi.p != NULL)
        range.hi = nadb_slice_of(c->bounds.p + lo_n + 1, scan->hi.n + 1);
    range.reverse = scan->reverse;
    c->read_epoch = c->ss->epoch;
    if (scan->match != NULL)
        rc = open_match(c, scan, &range, err);
    else if (scan->by_expiry)
        rc = open_expiry(c, scan, err);
    if (c->it == NULL && rc == NADB_OK && !expired)
        rc = session_note_read(c->ss, range.lo, range.hi, false, &c->read, err);
    if (c->it == NULL && rc == NADB_OK) rc = open_sources(c, &range, err);
    if (rc == NADB_OK) rc = scan_next(c, err);
    return done(c, rc);
}

nadb_rc nadb_cursor_scan(nadb_cursor *c, const nadb_scan *scan, nadb_err *err) {
    return open_scan(c, scan, false, err);
}

nadb_rc session_scan_expired(nadb_cursor *c, const nadb_scan *scan,
                             nadb_err *err) {
    return open_scan(c, scan, true, err);
}

/* --- the present row --- */

const nadb_row *nadb_cursor_row(const nadb_cursor *c) {
    return c->valid ? &c->row : NULL;
}

nadb_rc nadb_cursor_next(nadb_cursor *c, nadb_err *err) {
    nadb_rc rc = session_usable(c->ss, err);

    if (rc != NADB_OK || !c->valid) return rc;
    if (c->cached != NULL) {
        nadb_cached_release(c->cached);
        c->cached = NULL;
    }
    return c->mode == CURSOR_SCAN ? scan_next(c, err) : keys_next(c, err);
}

/* Undoes the codec, through the cache where the bytes have a name. */
static nadb_rc decode(nadb_cursor *c, nadb_slice *out, nadb_err *err) {
    nadb_cache *cache = c->row.id == 0 ? NULL : c->ss->cache;
    nadb_rc rc;

    if (cache != NULL) c->cached = nadb_cache_get(cache, c->row.id);
    if (c->cached == NULL) {
        rc = nadb_codec_decode(c->row.stored, c->row.codec, c->row.size,
                               &c->plain, err);
        if (rc != NADB_OK) return rc;
        if (cache != NULL)
            c->cached = nadb_cache_put(cache, c->row.id, &c->plain);
    }
    *out = c->cached != NULL ? nadb_cached_bytes(c->cached)
                             : nadb_buf_slice(&c->plain);
    return NADB_OK;
}

nadb_rc nadb_cursor_value(nadb_cursor *c, nadb_value *out, bool *pinned,
                          nadb_err *err) {
    nadb_slice bytes = c->row.stored;
    nadb_rc rc = NADB_OK;

    if (!c->decoded) {
        if (c->ss->access != NULL)
            nadb_access_note(c->ss->access, c->row.key, nadb_cursor_now(c));
        if (c->row.codec != NADB_CODEC_RAW) rc = decode(c, &bytes, err);
        if (rc == NADB_OK) rc = nadb_row_value(&c->row, bytes, &c->value, err);
        if (rc != NADB_OK) return rc;
        c->decoded = true;
    }
    *out = c->value;
    if (pinned != NULL)
        *pinned = c->row.pinned && c->row.codec == NADB_CODEC_RAW;
    return NADB_OK;
}

nadb_rc nadb_cursor_accessed(nadb_cursor *c, int64_t *ms, bool *known,
                             nadb_err *err) {
    nadb_engine *e = c->ss->engine;
    nadb_buf key = NADB_BUF_INIT;
    nadb_entry entry;
    nadb_rc rc = NADB_OK;

    *known = false;
    if (c->ss->access == NULL) return NADB_OK;
    *known = nadb_access_find(c->ss->access, c->row.key, ms);
    if (!*known && c->ss->derives) {
        if (!nadb_access_key(&key, c->row.key))
            rc = nadb_fail(err, NADB_NOMEM, "reading a row");
        if (rc == NADB_OK)
            rc = e->ops->get(e, c->view->view, nadb_buf_slice(&key), &entry,
                             known, err);
        if (*known) *ms = nadb_access_ms(entry.value);
        nadb_buf_clear(&key);
    }
    /* What is older than the row is of another one with its key. */
    *known = rc == NADB_OK && *known && *ms >= c->row.created_ms;
    return rc;
}
