/* cursor.c - cursors over one key or a list of keys, and the present row of
 * every cursor; nadb.h has the interface. Ranges, tags and expiry are in
 * cursor_scan.c.
 *
 * A cursor reads one view, and the batch as it was when the cursor was opened.
 * A point read with a reused cursor allocates nothing. */
#include "cursor.h"
#include "../util/assert.h"

#include <stdlib.h>

#include "codec.h"
#include "row.h"

nadb_rc nadb_cursor_new(nadb_session *ss, nadb_cursor **out, nadb_err *err) {
    nadb_cursor *c = nadb_calloc(1, sizeof *c);

    *out = NULL;
    if (c == NULL) return nadb_fail(err, NADB_NOMEM, "opening a cursor");
    c->ss = ss;
    c->op = NADB_OP_COUNT;
    *out = c;
    return NADB_OK;
}

void nadb_cursor_free(nadb_cursor *c) {
    if (c == NULL) return;
    nadb_cursor_close(c);
    nadb_buf_clear(&c->bounds);
    nadb_buf_clear(&c->loading);
    nadb_buf_clear(&c->list);
    nadb_buf_clear(&c->given);
    nadb_buf_clear(&c->place);
    nadb_buf_clear(&c->copy);
    nadb_buf_clear(&c->plain);
    nadb_free(c);
}

void cursor_count(nadb_cursor *c, nadb_op op) {
    c->op = op;
    c->span = nadb_span_begin();
    c->rows = c->bytes = 0;
}

/* Counts the walk, at its end. */
static void cursor_counted(nadb_cursor *c, nadb_rc rc, const nadb_err *err) {
    nadb_done d = {.op = c->op, .rc = rc, .err = err};

    if (c->op == NADB_OP_COUNT) return;
    d.keys = c->rows;
    d.bytes = c->bytes;
    nadb_meter_done(&c->ss->meter, &c->span, &d);
    c->op = NADB_OP_COUNT;
}

/* Counts the present row. */
static void count_row(nadb_cursor *c) {
    if (c->op == NADB_OP_COUNT || !c->valid) return;
    c->rows++;
    if (c->loaded) c->bytes += c->row.size;
}

/* Ends the walk, and frees what it holds of the engine. */
static void walk_end(nadb_cursor *c) {
    cursor_counted(c, NADB_OK, NULL);
    if (c->it != NULL && c->valid) /* only keys up to its position were read */
        session_narrow_read(c->ss, c->read, c->read_epoch, c->reverse,
                            c->it->entry.key);
    nadb_iter_free(c->it);
    nadb_iter_free(c->index);
    nadb_cached_release(c->cached);
}

void nadb_cursor_close(nadb_cursor *c) {
    NADB_ASSERT(c->mode == CURSOR_CLOSED || c->view != NULL);
    if (c->mode == CURSOR_CLOSED) return;
    if (!session_inherited(c->ss)) walk_end(c);
    c->it = c->index = NULL;
    c->cached = NULL;
    if (c->b != NULL) {
        *c->reader_link = c->next_reader;
        if (c->next_reader != NULL)
            c->next_reader->reader_link = c->reader_link;
    }
    session_let_go(c->ss, c->view, c->b);
    c->view = NULL;
    c->b = NULL;
    c->read = NULL;
    c->valid = c->decoded = false;
    c->mode = CURSOR_CLOSED;
}

nadb_rc cursor_open(nadb_cursor *c, cursor_mode mode, bool reverse,
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
    c->in_batch = c->nomem = false;
    c->now = 0;
    if (!batch_empty(c->ss->b)) {
        c->b = c->ss->b;
        batch_ref(c->b);
        c->limit = c->b->next_id;
        c->undone = c->b->undone;
        c->next_reader = c->ss->readers;
        c->reader_link = &c->ss->readers;
        if (c->next_reader != NULL)
            c->next_reader->reader_link = &c->next_reader;
        c->ss->readers = c;
    }
    return NADB_OK;
}

void session_undo(nadb_session *ss, uint64_t id) {
    /* In a forked child the batch may be in files that are shared with the
     * parent, so undoing would change the parent's transaction. The child
     * cannot use the session anyway. */
    if (ss->kv->forked) return;
    batch_undo(ss->b, id);
    for (nadb_cursor *c = ss->readers; c != NULL; c = c->next_reader)
        if (c->valid && c->from_batch) c->row.stale = true;
}

int64_t nadb_cursor_now(nadb_cursor *c) {
    if (c->now == 0) c->now = nadb_now_ms();
    return c->now;
}

nadb_rc cursor_row_take(nadb_cursor *c, const nadb_entry *e, nadb_err *err) {
    nadb_rc rc;

    NADB_ASSERT(c->mode != CURSOR_CLOSED);
    c->decoded = c->gone = c->row.stale = false;
    c->from_batch = e->seq == UINT64_MAX;
    c->row.key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    c->row.pinned =
        (e->flags & (NADB_ENTRY_PINNED | NADB_ENTRY_VALUE_PINNED)) != 0;
    /* The key of a lookup is in `bounds`, which is reused by the next open. */
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

nadb_rc cursor_lost(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM,
                     "the changes of a transaction that has ended could not be "
                     "kept for the statements that read them");
}

static nadb_rc key_get(nadb_cursor *c, nadb_slice key, nadb_err *err) {
    const batch_op *op = c->b == NULL ? NULL : batch_find(c->b, key, c->limit);
    nadb_engine *e = c->ss->engine;
    nadb_entry entry;
    bool found = false;
    nadb_rc rc = NADB_OK;

    NADB_ASSERT(c->view != NULL && c->view->refs > 0);
    c->valid = false;
    if (c->b != NULL && c->b->lost) return cursor_lost(err);
    if (op != NULL) {
        if (op->flags & NADB_ENTRY_TOMBSTONE) return NADB_OK;
        entry.value = op->value;
        entry.flags = NADB_ENTRY_PINNED;
        entry.seq = UINT64_MAX;
        entry.id = 0;
    } else {
        if (c->b != NULL && batch_cleared(c->b, c->limit)) return NADB_OK;
        rc = e->ops->get(e, c->view->view, key, &entry, &found, err);
        if (rc != NADB_OK || !found) return rc;
        if (!(entry.flags & NADB_ENTRY_PINNED)) {
            /* Another cursor on this view may read before this one moves, so
             * the value is copied. */
            nadb_buf_reset(&c->copy);
            if (!nadb_buf_append(&c->copy, entry.value.p, entry.value.n))
                return nadb_fail(err, NADB_NOMEM, "reading a row");
            entry.value = nadb_buf_slice(&c->copy);
        }
    }
    entry.key = key;
    return cursor_row_take(c, &entry, err);
}

#define WANT_FIRST 16u
#define WANT_MOST 256u

/* Announces the next keys to the engine for prefetching: few at first, because
 * the walk may stop soon, then more and more. */
static nadb_rc keys_want(nadb_cursor *c, nadb_err *err) {
    nadb_engine *e = c->ss->engine;
    size_t n = c->next == 0 ? WANT_FIRST : WANT_MOST;

    NADB_ASSERT(c->next < c->n_keys);
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

bool cursor_bounds_add(nadb_cursor *c, nadb_slice key) {
    return nadb_buf_byte(&c->bounds, NADB_KS_ROW) &&
           nadb_buf_append(&c->bounds, key.p, key.n) &&
           nadb_buf_byte(&c->bounds, 0);
}

nadb_rc cursor_no_memory(nadb_cursor *c, nadb_err *err) {
    return cursor_done(c, nadb_fail(err, NADB_NOMEM, "opening a cursor"), err);
}

nadb_rc cursor_done(nadb_cursor *c, nadb_rc rc, const nadb_err *err) {
    if (rc == NADB_OK) {
        count_row(c);
        return rc;
    }
    cursor_counted(c, rc, err);
    nadb_cursor_close(c);
    return rc;
}

static nadb_rc note_key(nadb_cursor *c, nadb_slice key, bool key_only,
                        nadb_err *err) {
    nadb_slice after = nadb_slice_of(key.p, key.n + 1);

    return session_note_read(c->ss, key, after, key_only, NULL, err);
}

static nadb_rc open_key(nadb_cursor *c, nadb_slice key, bool key_only,
                        nadb_err *err) {
    nadb_rc rc;

    nadb_cursor_close(c);
    nadb_buf_reset(&c->bounds);
    if (!cursor_bounds_add(c, key)) return cursor_no_memory(c, err);
    c->one = nadb_slice_of(c->bounds.p, c->bounds.n - 1);
    rc = session_claim(c->ss, c->one, err);
    if (rc == NADB_OK) rc = cursor_open(c, CURSOR_KEYS, false, err);
    if (rc != NADB_OK) return rc;
    c->view->view->keys_only = key_only;
    c->keys = &c->one;
    c->n_keys = 1;
    c->next = c->wanted = 0;
    rc = note_key(c, c->one, key_only, err);
    if (rc == NADB_OK) rc = keys_next(c, err);
    return cursor_done(c, rc, err);
}

nadb_rc nadb_cursor_key(nadb_cursor *c, nadb_slice key, bool key_only,
                        nadb_err *err) {
    nadb_meter *meter = &c->ss->meter;
    nadb_span span = nadb_span_sample(meter, NADB_OP_GET);
    nadb_done d = {.op = NADB_OP_GET_MISS, .err = err, .key = key};

    d.rc = open_key(c, key, key_only, err);
    if (d.rc != NADB_OK || c->valid) d.op = NADB_OP_GET;
    if (c->valid) d.bytes = c->row.size;
    nadb_meter_get(meter, d.op, d.bytes);
    if (span.weight != 0 || d.rc != NADB_OK) {
        d.keys = c->valid;
        nadb_meter_note(meter, &span, &d);
    }
    return d.rc;
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
    cursor_count(c, NADB_OP_SCAN_KEYS);
    c->view->view->keys_only = false;
    nadb_buf_reset(&c->bounds);
    nadb_buf_reset(&c->list);
    for (size_t i = 0; i < n; i++)
        if (!cursor_bounds_add(c, keys[i])) return cursor_no_memory(c, err);
    /* The buffer no longer grows, so slices into it are valid. */
    for (size_t i = 0; i < n; i++) {
        nadb_slice k = nadb_slice_of(c->bounds.p + at, keys[i].n + 1);

        if (!nadb_buf_append(&c->list, &k, sizeof k))
            return cursor_no_memory(c, err);
        at += keys[i].n + 2;
    }
    c->keys = (nadb_slice *)(void *)c->list.p;
    c->n_keys = n;
    c->next = c->wanted = 0;
    if (n > 1) keys_sort(c);
    for (size_t i = 0; i < c->n_keys && rc == NADB_OK; i++)
        rc = note_key(c, c->keys[i], false, err);
    if (rc == NADB_OK) rc = keys_next(c, err);
    return cursor_done(c, rc, err);
}

/* --- the present row --- */

static void cached_release(nadb_cursor *c) {
    nadb_cached_release(c->cached); /* NULL is fine */
    c->cached = NULL;
}

/* Copies the present row's key, with its keyspace byte and a zero byte. */
static nadb_rc copy_key(nadb_cursor *c, nadb_slice *out, nadb_err *err) {
    bool copied = c->loading.n > 0 && c->row.key.p == c->loading.p + 1;

    if (!copied) {
        nadb_buf_reset(&c->loading);
        if (!nadb_buf_byte(&c->loading, NADB_KS_ROW) ||
            !nadb_buf_append(&c->loading, c->row.key.p, c->row.key.n) ||
            !nadb_buf_byte(&c->loading, 0))
            return nadb_fail(err, NADB_NOMEM, "reading a row");
    }
    *out = nadb_slice_of(c->loading.p, c->loading.n - 1);
    return NADB_OK;
}

nadb_rc nadb_cursor_load(nadb_cursor *c, nadb_err *err) {
    bool stale = c->row.stale;
    nadb_slice key;
    char shown[NADB_KEY_SHOWN];
    nadb_rc rc;

    if (!c->valid || c->gone || (c->loaded && !stale)) return NADB_OK;
    rc = copy_key(c, &key, err);
    if (rc == NADB_OK && !c->loaded) rc = note_key(c, key, false, err);
    if (rc != NADB_OK) return rc;
    cached_release(c);
    rc = key_get(c, key, err);
    c->loaded = true;
    c->row.key_pinned = false;
    if (rc != NADB_OK) return rc;
    c->gone = !c->valid;
    c->row.stale = c->gone;
    c->valid = true; /* its key is still the position of the walk */
    /* In an engine without snapshots the row may have been deleted between two
     * calls. */
    if (c->gone && !stale && c->ss->derives)
        return nadb_corrupt(
            err,
            "the tag index names key \"%s\", which does not exist: "
            "nadb_check() lists the damage",
            nadb_key_show(nadb_slice_of(key.p + 1, key.n - 1), shown));
    return NADB_OK;
}

const nadb_row *nadb_cursor_row(const nadb_cursor *c) {
    return c->valid && !c->gone ? &c->row : NULL;
}

nadb_rc nadb_cursor_next(nadb_cursor *c, nadb_err *err) {
    nadb_rc rc = session_usable(c->ss, err);

    if (rc != NADB_OK || !c->valid) return rc;
    if (c->cached != NULL) cached_release(c);
    rc = c->mode == CURSOR_KEYS ? keys_next(c, err) : cursor_scan_next(c, err);
    if (rc != NADB_OK) cursor_counted(c, rc, err);
    count_row(c);
    return rc;
}

/* Decodes the value, through the cache if the stored bytes have an id. */
static nadb_rc decode(nadb_cursor *c, nadb_slice *out, nadb_err *err) {
    nadb_cache *cache = c->row.id == 0 ? NULL : c->ss->cache;
    const nadb_caller *caller = c->ss->caller;
    nadb_rc rc = NADB_OK;

    if (cache != NULL) c->cached = nadb_cache_get(cache, c->row.id);
    if (c->cached == NULL) {
        if (caller != NULL && c->row.size > NADB_LARGE_BYTES)
            rc = caller->takes(caller->ctx, c->row.size, err);
        if (rc != NADB_OK) return rc;
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
    nadb_limits *limits;
    nadb_rc rc = NADB_OK;

    if (!c->decoded) {
        if (c->ss->access != NULL)
            nadb_access_note(c->ss->access, c->row.key, nadb_cursor_now(c));
        limits = kv_limits(c->ss->kv);
        if (limits != NULL)
            nadb_limits_read(limits, c->row.key, nadb_cursor_now(c));
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
    /* A note that is older than the row belongs to an earlier row of the
     * key. */
    *known = rc == NADB_OK && *known && *ms >= c->row.created_ms;
    return rc;
}
