/* session_reads.c - what a transaction has read: keys and ranges, for the
 * conflict check of its COMMIT. */
#include "row.h"
#include "session.h"

#define NARROW_ROOM 64u

/* True in a transaction that may write. A read transaction on a file's store
 * notes no reads: check_lock() checks its snapshot when it starts to write. */
static bool session_notes_reads(const nadb_session *ss) {
    return ss->txn != NULL || (ss->held != NULL && ss->file.stamp == NULL);
}

nadb_rc session_note_read(nadb_session *ss, nadb_slice lo, nadb_slice hi,
                          bool key_only, session_read **out, nadb_err *err) {
    size_t room;
    session_read *r;
    uint8_t *p;

    if (out != NULL) *out = NULL;
    if (!session_notes_reads(ss) || ss->reads_all) return NADB_OK;
    if (ss->reads.n / sizeof r >= SESSION_READS_MAX ||
        ss->memory.used >= SESSION_READS_BYTES) {
        ss->reads_all = true;
        return NADB_OK;
    }
    /* An engine with its own indexes checks rows, not entries of indexes. */
    if (!ss->derives && lo.n > 0 && lo.p[0] != NADB_KS_ROW) {
        lo = nadb_all_rows.lo;
        hi = nadb_all_rows.hi;
        out = NULL; /* a merged read cannot be narrowed */
    }
    /* Room for narrowing, if the walk may end early. */
    room = key_only ? lo.n + 1 : lo.n > hi.n ? lo.n : hi.n;
    if (out != NULL) room += NARROW_ROOM;
    r = nadb_arena_alloc(&ss->memory, sizeof *r + 2 * room);
    if (r == NULL || !nadb_buf_append(&ss->reads, &r, sizeof r))
        return nadb_fail(err, NADB_NOMEM, "reading in a transaction");
    p = (uint8_t *)(r + 1);
    if (lo.n > 0) memcpy(p, lo.p, lo.n);
    if (hi.p != NULL && hi.n > 0) memcpy(p + room, hi.p, hi.n);
    r->lo = nadb_slice_of(p, lo.n);
    r->hi = nadb_slice_of(hi.p == NULL ? NULL : p + room, hi.n);
    r->key_only = key_only;
    r->room = room;
    if (out != NULL) *out = r;
    return NADB_OK;
}

void session_narrow_read(const nadb_session *ss, session_read *r,
                         uint64_t epoch, bool reverse, nadb_slice key) {
    nadb_slice *bound;
    uint8_t *p;

    if (r == NULL || epoch != ss->epoch || r->hi.p == NULL ||
        key.n + 1 > r->room)
        return;
    bound = reverse ? &r->lo : &r->hi;
    p = (uint8_t *)(uintptr_t)bound->p; /* it is in our arena */
    memcpy(p, key.p, key.n);
    bound->n = key.n;
    if (!reverse) p[bound->n++] = 0; /* the first possible key behind it */
}

void session_forget_reads(nadb_session *ss) {
    nadb_arena_reset(&ss->memory);
    nadb_buf_reset(&ss->reads);
    ss->reads_all = false;
    ss->epoch++;
}
