/* changes.c - committed changes of a store in memory, for keep_changes.
 *
 * prepare() makes a piece of the ticket's changes; commit(), which must not
 * fail, numbers the piece and appends it to the list. A reader copies what it
 * asks for, so it needs no lock afterwards.
 *
 *   piece   kind u8, varint length, key;  kind u8, ... */
#include "../../core/util/coding.h"
#include "engine.h"

struct memory_piece {
    memory_piece *next;
    uint64_t seq;
    int64_t time_ms;
    size_t n;
    uint8_t bytes[];
};

static bool add_change(nadb_buf *out, nadb_change_kind kind, nadb_slice key) {
    return nadb_buf_byte(out, (uint8_t)kind) && nadb_buf_blob(out, key);
}

static bool add_version(nadb_buf *out, const version *v) {
    nadb_slice key = node_key(v->node);
    nadb_change_kind kind = NADB_CHANGE_PUT;

    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return true;
    /* 8 bytes in a tombstone: the row had expired (nadb_changed_seq()). */
    if ((v->flags & NADB_ENTRY_TOMBSTONE) != 0)
        kind = v->value_n == 8 ? NADB_CHANGE_EXPIRE : NADB_CHANGE_DELETE;
    return add_change(out, kind, nadb_slice_of(key.p + 1, key.n - 1));
}

nadb_rc memory_changes_make(const memory_engine *e, memory_ticket *t,
                            nadb_err *err) {
    nadb_buf b = NADB_BUF_INIT;
    bool ok = true;

    if (!nadb_keeps(e->keep)) return NADB_OK;
    if (t->clear) ok = add_change(&b, NADB_CHANGE_CLEAR, nadb_slice_of("", 0));
    for (const version *v = t->changes; v != NULL && ok; v = v->next)
        ok = add_version(&b, v);
    if (ok) t->piece = nadb_malloc(sizeof *t->piece + b.n);
    if (t->piece != NULL) {
        t->piece->next = NULL;
        t->piece->n = b.n;
        if (b.n > 0) memcpy(t->piece->bytes, b.p, b.n);
    }
    nadb_buf_clear(&b);
    if (t->piece != NULL) return NADB_OK;
    return nadb_fail(err, NADB_NOMEM, "out of memory for a store in memory");
}

/* Drops the oldest piece. */
static void drop(memory_engine *e) {
    memory_piece *p = e->piece_first;

    e->piece_first = p->next;
    if (p->next == NULL) e->piece_last = NULL;
    e->piece_bytes -= p->n;
    e->floor = p->seq;
    nadb_free(p);
}

void memory_changes_add(memory_engine *e, memory_ticket *t) {
    int64_t now = nadb_os_get()->now_ms();
    memory_piece *p = t->piece;

    t->piece = NULL;
    if (p == NULL) { /* it was prepared before changes were kept */
        while (e->piece_first != NULL) drop(e);
        e->floor = e->seq;
        return;
    }
    p->seq = e->seq;
    p->time_ms = now;
    if (e->piece_last == NULL)
        e->piece_first = p;
    else
        e->piece_last->next = p;
    e->piece_last = p;
    e->piece_bytes += p->n;
    while (e->piece_first != p &&
           (e->keep.bytes == 0 ||
            e->piece_bytes - e->piece_first->n >= e->keep.bytes) &&
           (e->keep.ms == 0 || e->piece_first->time_ms < now - e->keep.ms))
        drop(e);
}

void memory_changes_clear(memory_engine *e) {
    while (e->piece_first != NULL) drop(e);
}

void memory_keep(nadb_engine *engine, nadb_keep keep) {
    memory_engine *e = (memory_engine *)engine;

    nadb_lock(&e->lock);
    if (!nadb_keeps(e->keep)) e->floor = e->seq;
    if (keep.ms > e->keep.ms) e->keep.ms = keep.ms;
    if (keep.bytes > e->keep.bytes) e->keep.bytes = keep.bytes;
    nadb_unlock(&e->lock);
}

/* --- reading --- */

typedef struct memory_walk {
    nadb_changes base;
    nadb_buf copy; /* seq u64, length u64, piece; .. */
    nadb_reader pieces, piece;
    uint64_t seq;
} memory_walk;

static nadb_rc walk_next(nadb_changes *base, nadb_change *out, bool *found,
                         nadb_err *err) {
    memory_walk *w = (memory_walk *)base;

    (void)err;
    *found = false;
    while (nadb_reader_left(&w->piece) == 0) {
        uint64_t n;

        if (nadb_reader_left(&w->pieces) == 0) return NADB_OK;
        w->seq = nadb_read_u64(&w->pieces);
        n = nadb_read_u64(&w->pieces);
        w->piece = nadb_reader_of(nadb_read_bytes(&w->pieces, (size_t)n));
    }
    out->seq = w->seq;
    out->kind = (nadb_change_kind)nadb_read_u8(&w->piece);
    out->key = nadb_read_blob(&w->piece);
    *found = true;
    return NADB_OK;
}

static void walk_free(nadb_changes *base) {
    memory_walk *w = (memory_walk *)base;

    nadb_buf_clear(&w->copy);
    nadb_free(w);
}

static bool copy_piece(nadb_buf *out, const memory_piece *p) {
    uint8_t head[16];

    nadb_put_u64(head, p->seq);
    nadb_put_u64(head + 8, p->n);
    return nadb_buf_append(out, head, sizeof head) &&
           nadb_buf_append(out, p->bytes, p->n);
}

/* REQUIRES: the lock. */
static nadb_rc copy_changes(const memory_engine *e, uint64_t since,
                            uint64_t upto, nadb_buf *out, nadb_err *err) {
    if (since > e->seq) return nadb_changes_ahead(since, e->seq, err);
    if (since < e->seq && (since < e->floor || !nadb_keeps(e->keep)))
        return nadb_changes_gone(since, e->floor, nadb_keeps(e->keep), err);
    for (const memory_piece *p = e->piece_first; p != NULL; p = p->next)
        if (p->seq > since && p->seq <= upto && !copy_piece(out, p))
            return nadb_fail(err, NADB_NOMEM, "listing changes");
    return NADB_OK;
}

nadb_rc memory_changes(nadb_engine *engine, nadb_view *v, uint64_t since,
                       nadb_changes **out, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    memory_walk *w = nadb_calloc(1, sizeof *w);
    nadb_rc rc;

    *out = NULL;
    if (w == NULL) return nadb_fail(err, NADB_NOMEM, "listing changes");
    w->base.next = walk_next;
    w->base.free = walk_free;
    nadb_lock(&e->lock);
    rc = copy_changes(e, since, v->seq, &w->copy, err);
    nadb_unlock(&e->lock);
    w->pieces = nadb_reader_of(nadb_buf_slice(&w->copy));
    if (rc == NADB_OK)
        *out = &w->base;
    else
        walk_free(&w->base);
    return rc;
}

/* --- waiting --- */

/* How long a waiter sleeps before it checks for an interrupt. */
#define WAIT_MS 50

nadb_rc memory_wait(nadb_engine *engine, uint64_t since, int64_t timeout_ms,
                    const nadb_stop *stop, uint64_t *seq, nadb_err *err) {
    memory_engine *e = (memory_engine *)engine;
    const nadb_os *os = nadb_os_get();
    int64_t begun = os->mono_ns();
    nadb_rc rc = NADB_OK;

    for (;;) {
        int64_t left = timeout_ms - (os->mono_ns() - begun) / 1000000;

        nadb_lock(&e->lock);
        if (e->seq == since && left > 0)
            (void)nadb_cond_wait_timed(&e->resolved, &e->lock,
                                       left < WAIT_MS ? left : WAIT_MS);
        *seq = e->seq;
        nadb_unlock(&e->lock);
        if (*seq != since || left <= 0) return NADB_OK;
        rc = nadb_stopped(stop, err); /* called without the lock */
        if (rc != NADB_OK) return rc;
    }
}
