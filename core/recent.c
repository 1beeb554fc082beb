/* recent.c - see recent.h. */
#include "recent.h"

#include "util/coding.h"
#include "util/os.h"

struct nadb_piece {
    nadb_piece *next;
    uint64_t seq;
    int64_t time_ms;
    size_t n;
    uint8_t bytes[];
};

/* --- pieces --- */

static bool put(nadb_buf *out, nadb_change_kind kind, nadb_slice key) {
    return nadb_buf_byte(out, (uint8_t)kind) && nadb_buf_blob(out, key);
}

bool nadb_recent_put_clear(nadb_buf *out) {
    return put(out, NADB_CHANGE_CLEAR, nadb_slice_of("", 0));
}

bool nadb_recent_put(nadb_buf *out, const nadb_entry *change) {
    nadb_slice key = change->key;
    nadb_change_kind kind = NADB_CHANGE_PUT;

    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return true;
    /* 8 bytes in a tombstone: the row had expired (nadb_changed_seq()). */
    if ((change->flags & NADB_ENTRY_TOMBSTONE) != 0)
        kind = change->value.n == 8 ? NADB_CHANGE_EXPIRE : NADB_CHANGE_DELETE;
    return put(out, kind, nadb_slice_of(key.p + 1, key.n - 1));
}

nadb_piece *nadb_piece_new(const nadb_buf *changes) {
    nadb_piece *p = nadb_malloc(sizeof *p + changes->n);

    if (p == NULL) return NULL;
    p->next = NULL;
    p->n = changes->n;
    if (p->n > 0) memcpy(p->bytes, changes->p, p->n);
    return p;
}

void nadb_piece_free(nadb_piece *p) { nadb_free(p); }

/* --- the list --- */

/* Drops the oldest piece. */
static void drop(nadb_recent *r) {
    nadb_piece *p = r->first;

    r->first = p->next;
    if (p->next == NULL) r->last = NULL;
    r->bytes -= p->n;
    r->floor = p->seq;
    nadb_free(p);
}

void nadb_recent_clear(nadb_recent *r) {
    while (r->first != NULL) drop(r);
}

void nadb_recent_keep(nadb_recent *r, nadb_mutex *lock, nadb_keep keep) {
    nadb_lock(lock);
    if (!nadb_keeps(r->keep)) r->floor = r->seq;
    if (keep.ms > r->keep.ms) r->keep.ms = keep.ms;
    if (keep.bytes > r->keep.bytes) r->keep.bytes = keep.bytes;
    nadb_unlock(lock);
}

void nadb_recent_add(nadb_recent *r, nadb_piece *p, uint64_t seq) {
    int64_t now;

    r->seq = seq;
    if (!nadb_keeps(r->keep)) {
        nadb_piece_free(p);
        return;
    }
    if (p == NULL) {
        nadb_recent_clear(r);
        r->floor = seq;
        return;
    }
    now = nadb_os_get()->now_ms();
    p->seq = seq;
    p->time_ms = now;
    if (r->last == NULL)
        r->first = p;
    else
        r->last->next = p;
    r->last = p;
    r->bytes += p->n;
    while (r->first != p &&
           (r->keep.bytes == 0 || r->bytes - r->first->n >= r->keep.bytes) &&
           (r->keep.ms == 0 || r->first->time_ms < now - r->keep.ms))
        drop(r);
}

/* --- reading --- */

typedef struct recent_walk {
    nadb_changes base;
    nadb_buf copy; /* seq u64, length u64, piece; .. */
    nadb_reader pieces, piece;
    uint64_t seq;
} recent_walk;

static nadb_rc walk_next(nadb_changes *base, nadb_change *out, bool *found,
                         nadb_err *err) {
    recent_walk *w = (recent_walk *)base;

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
    recent_walk *w = (recent_walk *)base;

    nadb_buf_clear(&w->copy);
    nadb_free(w);
}

static bool copy_piece(nadb_buf *out, const nadb_piece *p) {
    uint8_t head[16];

    nadb_put_u64(head, p->seq);
    nadb_put_u64(head + 8, p->n);
    return nadb_buf_append(out, head, sizeof head) &&
           nadb_buf_append(out, p->bytes, p->n);
}

static nadb_rc copy_pieces(const nadb_recent *r, uint64_t since, uint64_t upto,
                           nadb_buf *out, nadb_err *err) {
    bool keeps = nadb_keeps(r->keep);

    if (since > r->seq) return nadb_changes_ahead(since, r->seq, err);
    if (since < r->seq && (since < r->floor || !keeps))
        return nadb_changes_gone(since, r->floor, keeps, err);
    for (const nadb_piece *p = r->first; p != NULL; p = p->next)
        if (p->seq > since && p->seq <= upto && !copy_piece(out, p))
            return nadb_fail(err, NADB_NOMEM, "listing changes");
    return NADB_OK;
}

nadb_rc nadb_recent_walk(const nadb_recent *r, nadb_mutex *lock, uint64_t since,
                         uint64_t upto, nadb_changes **out, nadb_err *err) {
    recent_walk *w = nadb_calloc(1, sizeof *w);
    nadb_rc rc;

    *out = NULL;
    if (w == NULL) return nadb_fail(err, NADB_NOMEM, "listing changes");
    w->base.next = walk_next;
    w->base.free = walk_free;
    nadb_lock(lock);
    rc = copy_pieces(r, since, upto, &w->copy, err);
    nadb_unlock(lock);
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

nadb_rc nadb_recent_wait(const nadb_recent *r, nadb_mutex *lock,
                         nadb_cond *committed, uint64_t since,
                         int64_t timeout_ms, const nadb_stop *stop,
                         uint64_t *seq, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    int64_t begun = os->mono_ns();

    for (;;) {
        int64_t left = timeout_ms - (os->mono_ns() - begun) / 1000000;
        nadb_rc rc;

        nadb_lock(lock);
        if (r->seq == since && left > 0)
            (void)nadb_cond_wait_timed(committed, lock,
                                       left < WAIT_MS ? left : WAIT_MS);
        *seq = r->seq;
        nadb_unlock(lock);
        if (*seq != since || left <= 0) return NADB_OK;
        rc = nadb_stopped(stop, err); /* called without the lock */
        if (rc != NADB_OK) return rc;
    }
}
