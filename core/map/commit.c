/* commit.c - commits of a map's engine, one at a time, and claims.
 *
 * A commit. prepare() takes the turn, lets the request's owner add the changes
 * of indexes, checks for conflicts by comparing the snapshot with the present
 * state (core/conflict.h), and has the backend derive the next state. It keeps
 * the turn: the commit is in doubt, and other commits wait. commit() makes the
 * derived state the present one, and rollback() drops it; both end the turn.
 *
 * Claims. A statement that has claimed a key reads and then changes it without
 * a conflict. A commit of another transaction that changes a claimed key gives
 * back its turn until a claim has ended, and begins again, because the claimer
 * needs the turn for its own commit. Claims are made only while no commit has
 * the turn, so a commit may compare its changes with a copy of the list. */
#include "../conflict.h"
#include "../util/assert.h"
#include "../util/os.h"
#include "engine.h"

typedef struct map_ticket {
    map_state *next;
    bool background;   /* a commit of the sweeper */
    nadb_piece *piece; /* NULL: changes are not kept */
} map_ticket;

static void ticket_free(map_ticket *t) {
    nadb_piece_free(t->piece);
    nadb_free(t);
}

static int64_t deadline_of(int64_t timeout_ms) {
    return nadb_os_get()->mono_ns() + timeout_ms * 1000000;
}

/* Sleeps until a turn or a claim may have ended; false at the deadline. */
static bool wait_ended(map_engine *e, int64_t deadline) {
    int64_t left = (deadline - nadb_os_get()->mono_ns()) / 1000000;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_BACKEND));
    if (left <= 0) return false;
    (void)nadb_cond_wait_timed(&e->ended, &e->lock, left);
    return true;
}

/* --- turns --- */

/* False at the deadline. */
static bool turn_take(map_engine *e, int64_t deadline) {
    bool mine;

    nadb_lock(&e->lock);
    while (e->turn && wait_ended(e, deadline)) {}
    mine = !e->turn;
    if (mine) e->turn = true;
    nadb_unlock(&e->lock);
    return mine;
}

/* Ends the turn. The commit, unless it is NULL, becomes visible. */
static void turn_end(map_engine *e, map_ticket *done) {
    map_state *unused = NULL;

    nadb_lock(&e->lock);
    NADB_ASSERT(e->turn);
    if (done != NULL) {
        map_state *next = done->next;

        NADB_ASSERT(next->refs == 1 && next->seq == e->now->seq + 1);
        unused = map_state_unref(e->now);
        e->now = next;
        if (!done->background) e->changed_seq = next->seq;
        nadb_recent_add(&e->recent, done->piece, next->seq);
        done->piece = NULL;
    }
    e->turn = false;
    nadb_cond_broadcast(&e->ended);
    nadb_unlock(&e->lock);
    map_state_free(e, unused);
}

/* --- claims --- */

static bool key_is_busy(const map_engine *e, nadb_slice key) {
    NADB_ASSERT(nadb_rank_held(NADB_RANK_BACKEND));
    return e->turn || e->clears_waiting > 0 || nadb_claimed(&e->claims, key, 0);
}

nadb_rc map_claim(nadb_engine *engine, nadb_view *v, nadb_slice key,
                  int64_t timeout_ms, uint32_t *claim, nadb_err *err) {
    map_engine *e = (map_engine *)engine;
    int64_t deadline = deadline_of(timeout_ms);

    *claim = 0;
    nadb_lock(&e->lock);
    while (key_is_busy(e, key) && wait_ended(e, deadline)) {}
    if (!key_is_busy(e, key)) *claim = nadb_claim_add(&e->claims, key);
    nadb_unlock(&e->lock);
    return *claim != 0 ? engine->ops->view_refresh(engine, v, err) : NADB_OK;
}

void map_unclaim(nadb_engine *engine, uint32_t claim) {
    map_engine *e = (map_engine *)engine;

    NADB_ASSERT(claim <= NADB_CLAIMS_MAX);
    if (claim == 0) return;
    nadb_lock(&e->lock);
    nadb_claim_end(&e->claims, claim);
    e->unclaims++;
    nadb_cond_broadcast(&e->ended);
    nadb_unlock(&e->lock);
}

/* *blocked: another claim is on a key that the request changes. */
static nadb_rc find_claimed(const nadb_claims *claims,
                            const nadb_commit_req *req, bool *blocked,
                            nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc = NADB_OK;

    *blocked = false;
    if (claims->n <= (req->claim != 0)) return NADB_OK;
    *blocked = req->clear; /* it changes all keys */
    if (it != NULL) rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    while (rc == NADB_OK && it != NULL && it->valid && !*blocked) {
        *blocked = nadb_claimed(claims, it->entry.key, req->claim);
        rc = nadb_iter_next(it, err);
    }
    return rc;
}

/* Waits until a claim has ended after the first `seen`; false at the
 * deadline. */
static bool wait_unclaim(map_engine *e, uint64_t seen, int64_t deadline) {
    bool ended;

    nadb_lock(&e->lock);
    while (e->unclaims == seen && wait_ended(e, deadline)) {}
    ended = e->unclaims != seen;
    nadb_unlock(&e->lock);
    return ended;
}

static void note_clear(map_engine *e, bool begins) {
    nadb_lock(&e->lock);
    NADB_ASSERT(begins || e->clears_waiting > 0);
    if (begins)
        e->clears_waiting++;
    else
        e->clears_waiting--;
    nadb_cond_broadcast(&e->ended);
    nadb_unlock(&e->lock);
}

/* --- the next state --- */

/* The changes of a request as the backend gets them: entries have the sequence
 * number of the commit, and no flag but NADB_ENTRY_TOMBSTONE. */
typedef struct changes_iter {
    nadb_iter base;
    nadb_iter *from; /* may be NULL */
    uint64_t seq;
    bool begun;
} changes_iter;

static nadb_rc changes_show(changes_iter *it, nadb_rc rc) {
    it->begun = true;
    it->base.valid = rc == NADB_OK && it->from != NULL && it->from->valid;
    if (!it->base.valid) return rc;
    it->base.entry = it->from->entry;
    it->base.entry.seq = it->seq;
    it->base.entry.flags &= NADB_ENTRY_TOMBSTONE;
    it->base.entry.id = 0;
    return NADB_OK;
}

static nadb_rc changes_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    changes_iter *it = (changes_iter *)base;

    return changes_show(
        it, it->from == NULL ? NADB_OK : nadb_iter_seek(it->from, key, err));
}

static nadb_rc changes_next(nadb_iter *base, nadb_err *err) {
    changes_iter *it = (changes_iter *)base;

    if (!it->begun) return changes_seek(base, nadb_slice_of("", 0), err);
    return changes_show(it, it->from == NULL ? NADB_OK
                                             : nadb_iter_next(it->from, err));
}

static void changes_free(nadb_iter *base) { (void)base; /* on the stack */ }

static changes_iter changes_of(const nadb_commit_req *req, uint64_t seq) {
    static const nadb_iter_ops ops = {changes_next, changes_seek, changes_free};
    changes_iter it = {.base = {.ops = &ops}, .from = req->changes, .seq = seq};

    return it;
}

/* Counts the changes, and in *next what the state will hold. */
static nadb_rc count_changes(const map_engine *e, nadb_map_changes *changes,
                             map_state *next, nadb_err *err) {
    nadb_iter *it = changes->entries;
    nadb_rc rc = nadb_iter_next(it, err);

    while (rc == NADB_OK && it->valid) {
        const nadb_entry *change = &it->entry;
        nadb_entry old;
        bool was = false;

        changes->count++;
        changes->bytes += change->key.n + change->value.n;
        if (!changes->clear)
            rc = map_state_get(e, e->now, change->key, &old, &was, err);
        if (was) map_sum_count(&next->sum, &old, false);
        if ((change->flags & NADB_ENTRY_TOMBSTONE) == 0)
            map_sum_count(&next->sum, change, true);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    return rc;
}

static nadb_rc state_next(const map_engine *e, const nadb_commit_req *req,
                          map_state **out, nadb_err *err) {
    map_state *next = nadb_calloc(1, sizeof *next);
    changes_iter it = changes_of(req, e->now->seq + 1);
    nadb_map_changes changes = {.entries = &it.base, .clear = req->clear};
    nadb_rc rc;

    NADB_ASSERT(e->turn);
    if (next == NULL) return nadb_fail(err, NADB_NOMEM, "committing");
    next->refs = 1;
    next->seq = it.seq;
    next->sum.totals.known = true;
    if (!req->clear) next->sum = e->now->sum;
    rc = count_changes(e, &changes, next, err);
    it.begun = false; /* the backend begins again */
    if (rc == NADB_OK)
        rc = e->ops->apply(e->map, e->now->s, &changes, &next->s, err);
    if (rc == NADB_OK)
        *out = next;
    else
        nadb_free(next);
    return rc;
}

/* --- the two halves of a commit --- */

static nadb_rc check_conflicts(map_engine *e, const nadb_commit_req *req,
                               map_view *now, nadb_err *err) {
    nadb_compare c = {.engine = &e->base,
                      .then = req->view,
                      .now = &now->base,
                      .req = req,
                      .left = NADB_COMPARE_MAX};

    if (req->view == NULL || req->view->seq == now->base.seq) return NADB_OK;
    NADB_ASSERT(((map_view *)req->view)->state != NULL); /* it does not rest */
    c.clock_ms = nadb_os_get()->now_ms();
    return nadb_compare_reads(&c, err);
}

static nadb_rc make_piece(const nadb_commit_req *req, nadb_piece **out,
                          nadb_err *err) {
    nadb_buf b = NADB_BUF_INIT;
    nadb_iter *it = req->changes;
    bool ok = !req->clear || nadb_recent_put_clear(&b);
    nadb_rc rc = NADB_OK;

    if (it != NULL) rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);
    while (ok && rc == NADB_OK && it != NULL && it->valid) {
        ok = nadb_recent_put(&b, &it->entry);
        rc = nadb_iter_next(it, err);
    }
    if (ok && rc == NADB_OK) *out = nadb_piece_new(&b);
    nadb_buf_clear(&b);
    if (rc != NADB_OK || *out != NULL) return rc;
    return nadb_fail(err, NADB_NOMEM, "committing");
}

/* Checks the request and derives the next state. REQUIRES: the turn. *blocked:
 * a claim of another transaction is on one of its keys, so nothing was derived.
 * *seen: how many claims had ended when the claims were looked at. */
static nadb_rc prepare_in_turn(map_engine *e, const nadb_commit_req *req,
                               map_ticket *t, uint64_t *seen, bool *blocked,
                               nadb_err *err) {
    map_view now = {.base = {.seq = e->now->seq}, .state = e->now};
    nadb_claims claims;
    bool keeps;
    nadb_rc rc = NADB_OK;

    *blocked = false;
    if (req->derive != NULL && req->view->seq != now.base.seq)
        rc = req->derive(req->derive_ctx, &now.base, err);
    nadb_lock(&e->lock);
    claims = e->claims;
    *seen = e->unclaims;
    keeps = nadb_keeps(e->recent.keep);
    nadb_unlock(&e->lock);
    if (rc == NADB_OK) rc = find_claimed(&claims, req, blocked, err);
    if (rc != NADB_OK || *blocked) return rc;
    rc = check_conflicts(e, req, &now, err);
    if (rc == NADB_OK && keeps) rc = make_piece(req, &t->piece, err);
    return rc == NADB_OK ? state_next(e, req, &t->next, err) : rc;
}

static nadb_rc busy(int64_t timeout_ms, nadb_err *err) {
    return nadb_fail(err, NADB_BUSY,
                     "another transaction that changes the store did not end "
                     "within %lld ms",
                     (long long)timeout_ms);
}

/* Takes the turn and keeps it on success. */
static nadb_rc prepare(map_engine *e, const nadb_commit_req *req, map_ticket *t,
                       nadb_err *err) {
    int64_t deadline = deadline_of(req->timeout_ms);

    for (;;) {
        uint64_t seen;
        bool blocked;
        nadb_rc rc;

        if (!turn_take(e, deadline)) return busy(req->timeout_ms, err);
        rc = prepare_in_turn(e, req, t, &seen, &blocked, err);
        if (rc == NADB_OK && !blocked) return NADB_OK;
        turn_end(e, NULL);
        if (rc != NADB_OK) return rc;
        if (!wait_unclaim(e, seen, deadline)) return busy(req->timeout_ms, err);
    }
}

nadb_rc map_prepare(nadb_engine *engine, const nadb_commit_req *req,
                    nadb_ticket **out, nadb_err *err) {
    map_engine *e = (map_engine *)engine;
    map_ticket *t = nadb_calloc(1, sizeof *t);
    nadb_rc rc;

    *out = NULL;
    if (t == NULL) return nadb_fail(err, NADB_NOMEM, "committing");
    t->background = req->background;
    if (req->clear) note_clear(e, true);
    rc = prepare(e, req, t, err);
    if (req->clear) note_clear(e, false);
    if (rc == NADB_OK)
        *out = (nadb_ticket *)t;
    else
        ticket_free(t);
    return rc;
}

void map_commit(nadb_engine *engine, nadb_ticket *ticket) {
    map_ticket *t = (map_ticket *)ticket;

    turn_end((map_engine *)engine, t);
    ticket_free(t);
}

nadb_rc map_rollback(nadb_engine *engine, nadb_ticket *ticket, nadb_err *err) {
    map_engine *e = (map_engine *)engine;
    map_ticket *t = (map_ticket *)ticket;

    (void)err;
    turn_end(e, NULL);
    map_state_free(e, t->next);
    ticket_free(t);
    return NADB_OK;
}

/* --- stores of a database file --- */

nadb_rc map_settle(nadb_engine *engine, const nadb_dbfile *file,
                   const nadb_ticket *own, int64_t timeout_ms, nadb_err *err) {
    map_engine *e = (map_engine *)engine;
    int64_t deadline = deadline_of(timeout_ms);
    bool doubt;

    (void)file;
    if (own != NULL)
        return NADB_OK; /* the caller has the turn, so no other
                       commit is in doubt */
    nadb_lock(&e->lock);
    while (e->turn && wait_ended(e, deadline)) {}
    doubt = e->turn;
    nadb_unlock(&e->lock);
    return doubt ? busy(timeout_ms, err) : NADB_OK;
}

bool map_moved(nadb_engine *engine, const nadb_view *v) {
    map_engine *e = (map_engine *)engine;
    bool moved;

    nadb_lock(&e->lock);
    moved = e->changed_seq > v->seq;
    nadb_unlock(&e->lock);
    return moved;
}

/* --- kept changes, and waiting --- */

void map_keep(nadb_engine *engine, nadb_keep keep) {
    map_engine *e = (map_engine *)engine;

    nadb_recent_keep(&e->recent, &e->lock, keep);
}

nadb_rc map_changes(nadb_engine *engine, nadb_view *v, uint64_t since,
                    nadb_changes **out, nadb_err *err) {
    map_engine *e = (map_engine *)engine;

    return nadb_recent_walk(&e->recent, &e->lock, since, v->seq, out, err);
}

nadb_rc map_wait(nadb_engine *engine, uint64_t since, int64_t timeout_ms,
                 const nadb_stop *stop, uint64_t *seq, nadb_err *err) {
    map_engine *e = (map_engine *)engine;

    return nadb_recent_wait(&e->recent, &e->lock, &e->ended, since, timeout_ms,
                            stop, seq, err);
}
