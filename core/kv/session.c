/* session.c - one connection's use of one store: snapshots, the private batch,
 * single rows. session_commit.c has commit and savepoints, cursor.c walks,
 * nadb.h the interface. */
#include "session.h"

#include "../util/assert.h"
#include "../util/coding.h"
#include "codec.h"
#include "row.h"

nadb_rc session_new(nadb_kv *kv, nadb_session **out, nadb_err *err) {
    nadb_session *ss = nadb_calloc(1, sizeof *ss);

    *out = NULL;
    if (ss == NULL) return nadb_fail(err, NADB_NOMEM, "opening a session");
    ss->kv = kv;
    ss->engine = kv->engine;
    ss->options = kv->options;
    ss->index.memory_max = session_memory(ss);
    ss->b = batch_new(ss->engine, session_memory(ss));
    if (ss->b == NULL) {
        nadb_free(ss);
        return nadb_fail(err, NADB_NOMEM, "opening a session");
    }
    ss->cache = kv->cache;
    ss->access = kv->access;
    ss->timeout_ms = atomic_load(&kv->busy_timeout_ms);
    ss->derives = (kv->caps & NADB_CAP_OWN_INDEX) == 0;
    nadb_meter_start(&ss->meter, &kv->monitor);
    *out = ss;
    return NADB_OK;
}

void nadb_session_serve(nadb_session *ss, const nadb_caller *caller,
                        int64_t busy_timeout_ms) {
    ss->caller = caller;
    ss->timeout_ms = busy_timeout_ms;
}

void nadb_session_free(nadb_session *ss) {
    if (ss == NULL || session_inherited(ss)) return;
    (void)nadb_session_rollback(ss, NULL);
    nadb_session_unhold(ss);
    while (ss->views != NULL) {
        session_view *v = ss->views;

        ss->views = v->next;
        ss->engine->ops->view_close(ss->engine, v->view);
        nadb_free(v);
    }
    nadb_meter_end(&ss->meter);
    batch_unref(ss->b);
    nadb_index_changes_clear(&ss->index);
    nadb_arena_clear(&ss->memory);
    nadb_buf_clear(&ss->held_views);
    nadb_buf_clear(&ss->held_batches);
    nadb_buf_clear(&ss->marks);
    nadb_buf_clear(&ss->reads);
    nadb_buf_clear(&ss->key);
    nadb_buf_clear(&ss->head);
    nadb_buf_clear(&ss->coded);
    nadb_buf_clear(&ss->got);
    nadb_free(ss);
}

/* Puts a row's key with its keyspace byte into ss->key. */
static nadb_rc session_key(nadb_session *ss, nadb_slice key, nadb_slice *out,
                           nadb_err *err) {
    nadb_buf_reset(&ss->key);
    if (!nadb_buf_byte(&ss->key, NADB_KS_ROW) ||
        !nadb_buf_append(&ss->key, key.p, key.n))
        return nadb_fail(err, NADB_NOMEM, "reading a row");
    *out = nadb_buf_slice(&ss->key);
    return NADB_OK;
}

/* --- views --- */

/* A snapshot of the present: an idle view of the session, refreshed, or a new
 * one. */
static nadb_rc view_now(nadb_session *ss, session_view **out, nadb_err *err) {
    session_view *v = ss->idle;
    nadb_rc rc;

    *out = NULL;
    if (v != NULL) {
        NADB_ASSERT(v->refs == 0);
        rc = ss->engine->ops->view_refresh(ss->engine, v->view, err);
        if (rc != NADB_OK) {
            ss->engine->ops->view_rest(ss->engine, v->view);
            return rc;
        }
        ss->idle = v->next_idle;
        v->view->may_lag = false;
        v->view->reading = 0;
        v->refs = 1;
        *out = v;
        return NADB_OK;
    }
    v = nadb_calloc(1, sizeof *v);
    if (v == NULL) return nadb_fail(err, NADB_NOMEM, "reading");
    rc = ss->engine->ops->view_open(ss->engine, &v->view, err);
    if (rc != NADB_OK) {
        nadb_free(v);
        return rc;
    }
    v->view->caller = ss->caller;
    v->refs = 1;
    v->next = ss->views;
    ss->views = v;
    *out = v;
    return NADB_OK;
}

/* A view for the connection's snapshot of the file. `locked`: the connection
 * holds the file's write lock. */
static nadb_rc view_fresh(nadb_session *ss, bool locked, session_view **out,
                          nadb_err *err) {
    const nadb_engine_ops *ops = ss->engine->ops;
    bool bound = ss->file.stamp != NULL;
    nadb_rc rc = session_usable(ss, err);

    *out = NULL;
    if (rc == NADB_OK && locked && ops->settle != NULL)
        rc =
            ops->settle(ss->engine, &ss->file, ss->ticket, ss->timeout_ms, err);
    if (rc == NADB_OK) rc = view_now(ss, out, err);
    if (rc == NADB_OK && bound && ops->align != NULL &&
        (!locked || !ss->seen.any))
        rc = ops->align(ss->engine, (*out)->view, &ss->file, &ss->seen,
                        ss->timeout_ms, err);
    if (rc != NADB_OK) {
        session_view_drop(ss, *out);
        *out = NULL;
    }
    ss->settled = locked && rc == NADB_OK;
    return rc;
}

/* Fails if the snapshot is from before the file's write lock and outdated. */
static nadb_rc check_lock(nadb_session *ss, const session_view *v,
                          nadb_err *err) {
    const nadb_engine_ops *ops = ss->engine->ops;
    nadb_rc rc = NADB_OK;

    if (ss->settled || ss->file.stamp == NULL || ops->moved == NULL ||
        !ss->file.locked(ss->file.ctx))
        return NADB_OK;
    if (ops->settle != NULL)
        rc =
            ops->settle(ss->engine, &ss->file, ss->ticket, ss->timeout_ms, err);
    if (rc == NADB_OK && ops->moved(ss->engine, v->view))
        rc = nadb_fail(err, NADB_CONFLICT,
                       "another transaction changed the store after this one "
                       "had read it and before it took the write lock: roll "
                       "back and retry, with BEGIN IMMEDIATE");
    ss->settled = rc == NADB_OK;
    return rc;
}

nadb_rc session_view_take(nadb_session *ss, session_view **out, nadb_err *err) {
    session_view *share = ss->txn != NULL    ? ss->txn
                          : ss->held != NULL ? ss->held
                                             : ss->reading;
    nadb_rc rc = session_usable(ss, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    if (share != NULL && share->refs > 0) {
        if (share == ss->reading) ss->settled = false;
        if (share != ss->txn) rc = check_lock(ss, share, err);
        if (rc != NADB_OK) return rc;
        share->refs++;
        *out = share;
    } else {
        bool bound = ss->file.stamp != NULL;

        rc = view_fresh(ss, bound && ss->file.locked(ss->file.ctx), out, err);
        if (rc != NADB_OK) return rc;
        (*out)->view->may_lag = true;
        ss->reading = *out;
    }
    if (ss->hold && ss->held == NULL && ss->txn == NULL) {
        /* The transaction may write, and its reads count then. */
        (*out)->view->may_lag = false;
        if (++ss->readings == 0) ss->readings = 1;
        (*out)->view->reading = ss->readings;
        (*out)->refs++;
        ss->held = *out;
    }
    return NADB_OK;
}

void session_view_drop(nadb_session *ss, session_view *v) {
    NADB_ASSERT(v == NULL || v->refs > 0);
    if (v == NULL || --v->refs > 0 || session_inherited(ss)) return;
    ss->engine->ops->view_rest(ss->engine, v->view);
    v->next_idle = ss->idle;
    ss->idle = v;
}

/* A statement mostly closes its cursors one after the other, and under an open
 * cursor the list has a view of each statement. */
#define HELD_LOOK 4u

/* Moves a reference into the list; false, and it stays with the caller, if the
 * list has it at its end already or memory is short. */
static bool hold(nadb_buf *list, const void *p) {
    size_t most = HELD_LOOK * sizeof p;

    for (size_t i = list->n > most ? list->n - most : 0; i < list->n;
         i += sizeof p)
        if (memcmp(list->p + i, &p, sizeof p) == 0) return false;
    return nadb_buf_append(list, &p, sizeof p);
}

void session_let_go(nadb_session *ss, session_view *v, batch *b) {
    NADB_ASSERT(v == NULL || v->refs > 0);
    if (v != NULL && (ss->depth == 0 || !hold(&ss->held_views, v)))
        session_view_drop(ss, v);
    if (b != NULL && (ss->depth == 0 || !hold(&ss->held_batches, b)))
        batch_unref(b);
}

static nadb_waits *waits_of(const nadb_session *ss) {
    return ss->caller == NULL ? NULL : ss->caller->waits;
}

/* Starts counting waits for servers, unless the caller has another
 * statement. */
static void waits_begin(nadb_session *ss) {
    nadb_waits *w = waits_of(ss);

    if (w != NULL && w->open == 0) memset(w, 0, sizeof *w);
}

/* In an engine without snapshots each statement of a read transaction shows the
 * present, unless a cursor is open. */
static nadb_rc held_renew(nadb_session *ss, nadb_err *err) {
    const nadb_engine_ops *ops = ss->engine->ops;

    if (ss->held == NULL || ss->held->refs > 1 || ops->view_renew == NULL ||
        session_inherited(ss))
        return NADB_OK;
    return ops->view_renew(ss->engine, ss->held->view, err);
}

nadb_rc nadb_session_enter(nadb_session *ss, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (ss->depth == 0) waits_begin(ss);
    if (ss->depth == 0 && ss->txn == NULL) rc = held_renew(ss, err);
    if (rc != NADB_OK) return rc;
    /* The view of a transaction outlives its statements. */
    if (ss->depth == 0 && ss->txn == NULL)
        rc = session_view_take(ss, &ss->entered, err);
    if (rc != NADB_OK) return rc;
    if (ss->depth++ == 0 && waits_of(ss) != NULL) waits_of(ss)->open++;
    return NADB_OK;
}

uint64_t nadb_session_seq(const nadb_session *ss) {
    const session_view *v = ss->txn != NULL ? ss->txn : ss->entered;

    return v == NULL ? 0 : v->view->seq;
}

void nadb_session_leave(nadb_session *ss) {
    void *p;

    NADB_ASSERT(ss->depth > 0);
    if (--ss->depth > 0) return;
    if (waits_of(ss) != NULL) waits_of(ss)->open--;
    waits_begin(ss);
    session_view_drop(ss, ss->entered);
    ss->entered = NULL;
    for (size_t i = 0; i < ss->held_views.n; i += sizeof p) {
        memcpy(&p, ss->held_views.p + i, sizeof p);
        session_view_drop(ss, p);
    }
    for (size_t i = 0; i < ss->held_batches.n; i += sizeof p) {
        memcpy(&p, ss->held_batches.p + i, sizeof p);
        batch_unref(p);
    }
    nadb_buf_reset(&ss->held_views);
    nadb_buf_reset(&ss->held_batches);
}

/* --- transactions --- */

bool nadb_session_dirty(const nadb_session *ss) {
    return ss->txn != NULL && !batch_empty(ss->b);
}

nadb_rc nadb_session_begin(nadb_session *ss, bool autocommit, nadb_err *err) {
    nadb_rc rc;

    if (ss->txn != NULL) return NADB_OK;
    waits_begin(ss);
    if (ss->b->lost && !session_new_batch(ss))
        return nadb_fail(err, NADB_NOMEM, "beginning a transaction");
    if (ss->held == NULL) {
        /* SQLite takes the file's lock before it begins a write. */
        NADB_ASSERT(ss->file.stamp == NULL || ss->file.locked(ss->file.ctx));
        rc = view_fresh(ss, ss->file.stamp != NULL, &ss->txn, err);
    } else {
        rc = check_lock(ss, ss->held, err);
        if (rc == NADB_OK) rc = held_renew(ss, err);
        if (rc == NADB_OK) ss->txn = ss->held;
        if (rc == NADB_OK) {
            ss->txn->refs++;
            ss->txn->view->may_lag = false;
        }
    }
    if (rc != NADB_OK) return rc;
    /* otherwise reads of the read transaction count */
    if (ss->held == NULL) ss->epoch++;
    ss->autocommit = autocommit;
    return NADB_OK;
}

bool nadb_session_can_hold(const nadb_session *ss) {
    return (ss->kv->caps & NADB_CAP_SNAPSHOTS) != 0 ||
           ss->engine->ops->view_renew != NULL;
}

void nadb_session_hold(nadb_session *ss) {
    ss->hold = true;
    if (ss->txn == NULL)
        nadb_meter_txn(&ss->meter, NADB_TXN_READING, nadb_now_ms());
}

void nadb_session_unhold(nadb_session *ss) {
    session_view *v = ss->held;

    ss->hold = false;
    ss->held = NULL;
    if (ss->txn == NULL) nadb_meter_txn_end(&ss->meter);
    if (v == NULL) return;
    if (ss->txn == NULL) session_forget_reads(ss);
    ss->reading = NULL; /* the next cursor gets a new snapshot */
    session_view_drop(ss, v);
}

nadb_rc nadb_session_verify(nadb_session *ss, nadb_err *err) {
    if (ss->held == NULL || session_inherited(ss)) return NADB_OK;
    return check_lock(ss, ss->held, err);
}

void nadb_session_bind(nadb_session *ss, const nadb_dbfile *file) {
    ss->file = *file;
}

nadb_stamp nadb_session_stamped(nadb_session *ss) {
    nadb_stamp none = {0, 0};

    if (ss->engine->ops->stamped == NULL) return none;
    return ss->engine->ops->stamped(ss->engine);
}

nadb_stamp nadb_session_next_stamp(nadb_session *ss, nadb_stamp file) {
    nadb_stamp next = nadb_session_stamped(ss);

    if (file.number > next.number) next.number = file.number;
    next.number++;
    while (next.nonce == 0 || next.nonce == file.nonce)
        nadb_os_get()->random(&next.nonce, sizeof next.nonce);
    return next;
}

void nadb_session_stamp(nadb_session *ss, nadb_stamp stamp) {
    /* the stamp goes into the record at prepare */
    NADB_ASSERT(ss->ticket == NULL);
    NADB_ASSERT(ss->txn != NULL);
    ss->stamp = stamp;
}

nadb_rc session_claim(nadb_session *ss, nadb_slice key, nadb_err *err) {
    nadb_engine *e = ss->engine;

    /* The file's lock already excludes other writers of its stores. */
    if (ss->txn == NULL || !ss->autocommit || ss->claim != 0 ||
        (ss->file.stamp != NULL && e->ops->align != NULL) ||
        ss->txn->refs > 1 || ss->reads.n > 0 || e->ops->claim == NULL)
        return NADB_OK;
    return e->ops->claim(e, ss->txn->view, key, ss->timeout_ms, &ss->claim,
                         err);
}

/* --- single rows, inside a transaction --- */

static nadb_rc need_txn(nadb_session *ss, nadb_err *err) {
    if (ss->txn != NULL) return session_usable(ss, err);
    return nadb_fail(err, NADB_INVALID, "no transaction is open on the store");
}

/* Reads the live row under ss->key, with changes below number `limit`. */
static nadb_rc row_get(nadb_session *ss, nadb_slice key, uint64_t limit,
                       nadb_row *row, bool *found, nadb_err *err) {
    const batch_op *op = batch_find(ss->b, key, limit);
    nadb_entry e;
    nadb_rc rc = NADB_OK;

    *found = false;
    memset(&e, 0, sizeof e);
    if (op != NULL) {
        *found = !(op->flags & NADB_ENTRY_TOMBSTONE);
        e.value = op->value;
        e.flags = NADB_ENTRY_PINNED;
    } else if (!batch_cleared(ss->b, limit)) {
        rc = ss->engine->ops->get(ss->engine, ss->txn->view, key, &e, found,
                                  err);
    }
    if (rc != NADB_OK || !*found) return rc;
    row->key = nadb_slice_of(key.p + 1, key.n - 1);
    row->pinned = (e.flags & NADB_ENTRY_PINNED) != 0;
    row->id = e.id;
    rc = nadb_row_decode(e.value, row, err);
    *found = rc == NADB_OK && row->expires_ms > nadb_now_ms();
    return rc;
}

nadb_rc nadb_get(nadb_session *ss, nadb_slice key, nadb_row *row, bool *found,
                 nadb_err *err) {
    nadb_slice k, after;
    nadb_rc rc = need_txn(ss, err);

    *found = false;
    if (rc == NADB_OK) rc = session_key(ss, key, &k, err);
    if (rc == NADB_OK) rc = session_claim(ss, k, err);
    if (rc == NADB_OK) rc = row_get(ss, k, UINT64_MAX, row, found, err);
    if (rc != NADB_OK || batch_find(ss->b, k, UINT64_MAX) != NULL) return rc;
    /* key + "\0" is the first key after it */
    if (!nadb_buf_byte(&ss->key, 0))
        return nadb_fail(err, NADB_NOMEM, "reading a row");
    after = nadb_buf_slice(&ss->key);
    k = nadb_slice_of(after.p, after.n - 1);
    if (*found) row->key = nadb_slice_of(k.p + 1, k.n - 1);
    return session_note_read(ss, k, after, false, NULL, err);
}

uint64_t nadb_moment(const nadb_session *ss) { return ss->b->next_id; }

void nadb_undo_since(nadb_session *ss, uint64_t moment) {
    session_undo(ss, moment);
}

/* The key's newest change if made at `moment` or later, else *op is NULL. *k:
 * the stored key. */
static nadb_rc change_since(nadb_session *ss, nadb_slice key, uint64_t moment,
                            nadb_slice *k, const batch_op **op, nadb_err *err) {
    nadb_rc rc = need_txn(ss, err);

    *op = NULL;
    if (rc == NADB_OK) rc = session_key(ss, key, k, err);
    if (rc != NADB_OK) return rc;
    *op = batch_find(ss->b, *k, UINT64_MAX);
    if (*op != NULL && (*op)->id < moment) *op = NULL;
    return NADB_OK;
}

nadb_rc nadb_get_before(nadb_session *ss, nadb_slice key, uint64_t moment,
                        nadb_row *row, bool *found, nadb_err *err) {
    nadb_slice k;
    const batch_op *op;
    nadb_rc rc = change_since(ss, key, moment, &k, &op, err);

    *found = false;
    if (rc != NADB_OK || op == NULL) return rc;
    return row_get(ss, k, moment, row, found, err);
}

nadb_rc nadb_put_since(nadb_session *ss, nadb_slice key, uint64_t moment,
                       bool *put, nadb_err *err) {
    nadb_slice k;
    const batch_op *op;
    nadb_rc rc = change_since(ss, key, moment, &k, &op, err);

    *put = op != NULL && (op->flags & NADB_ENTRY_TOMBSTONE) == 0;
    return rc;
}

nadb_rc nadb_exists(nadb_session *ss, nadb_slice key, bool *found,
                    nadb_err *err) {
    nadb_row row;
    nadb_rc rc = nadb_get(ss, key, &row, found, err);

    /* An INSERT opens no cursor, so its waiting time is reset here. */
    if (rc != NADB_OK) waits_begin(ss);
    return rc;
}

/* --- changes --- */

static nadb_rc begin_change(nadb_session *ss, int64_t now_ms, nadb_err *err) {
    nadb_rc rc = need_txn(ss, err);

    if (rc == NADB_OK && atomic_load(&ss->kv->read_only))
        rc = nadb_fail(err, NADB_READONLY,
                       "the store is open read-only (mode='ro')");
    if (rc != NADB_OK) return rc;
    nadb_meter_txn(&ss->meter, NADB_TXN_WRITING, now_ms);
    return nadb_session_unprepare(ss, err);
}

/* The time, for callers that did not read the clock. */
static int64_t txn_now_ms(const nadb_session *ss) {
    return atomic_load(&ss->meter.since_ms) == 0 ? nadb_now_ms() : 1;
}

static int64_t clamp_time(int64_t ms) {
    if (ms > NADB_TIME_MAX) return NADB_TIME_MAX;
    return ms < NADB_TIME_MIN ? NADB_TIME_MIN : ms;
}

/* Encodes the value, and describes it in the head. */
static nadb_rc value_encode(nadb_session *ss, const nadb_put_req *req,
                            nadb_row_head *h, nadb_slice *stored,
                            uint8_t number[10], nadb_err *err) {
    const nadb_value *v = req->value;
    int level = atomic_load(&ss->kv->compression);
    nadb_rc rc = NADB_OK;

    if (v == NULL) {
        h->type = req->keep->type;
        h->codec = req->keep->codec;
        h->size = req->keep->size;
        *stored = req->keep->stored;
        return NADB_OK;
    }
    h->type = v->type;
    h->codec = NADB_CODEC_RAW;
    h->size = v->bytes.n;
    *stored = v->bytes;
    if (v->type == NADB_NULL) {
        h->size = 0;
        *stored = nadb_slice_of(NULL, 0);
    } else if (v->type == NADB_INTEGER || v->type == NADB_REAL) {
        h->size = 8;
        *stored = nadb_slice_of(number, nadb_number_put(number, v));
    } else if (v->bytes.n > NADB_VALUE_MAX) {
        rc = nadb_fail(err, NADB_TOOBIG,
                       "the value has %zu bytes: at most "
                       "%u are possible",
                       v->bytes.n, NADB_VALUE_MAX);
    } else if (level > 0 && v->bytes.n >= NADB_CODEC_MIN) {
        nadb_buf_reset(&ss->coded);
        rc = nadb_codec_encode(v->bytes, level, &ss->coded, &h->codec, err);
        if (h->codec != NADB_CODEC_RAW) *stored = nadb_buf_slice(&ss->coded);
    }
    return rc;
}

/* *size: size of the value. */
static nadb_rc put(nadb_session *ss, const nadb_put_req *req, uint64_t *size,
                   nadb_err *err) {
    int64_t now = nadb_now_ms();
    nadb_row_head h;
    nadb_slice stored = {NULL, 0}, key;
    uint8_t number[10];
    uint8_t *p = NULL;
    size_t n;
    nadb_rc rc = begin_change(ss, now, err);

    memset(&h, 0, sizeof h);
    if (rc == NADB_OK) rc = nadb_key_check(req->key, err);
    if (rc == NADB_OK) rc = value_encode(ss, req, &h, &stored, number, err);
    if (rc != NADB_OK) return rc;
    *size = h.size;
    h.tags = req->tags;
    h.created_ms =
        clamp_time(req->created_ms == INT64_MIN ? now : req->created_ms);
    h.updated_ms =
        clamp_time(req->updated_ms == INT64_MIN ? now : req->updated_ms);
    h.expires_ms = req->expires_ms == NADB_NO_EXPIRY
                       ? NADB_NO_EXPIRY
                       : clamp_time(req->expires_ms);
    nadb_buf_reset(&ss->head);
    if (!nadb_buf_reserve(&ss->head, nadb_row_head_max(&h)))
        return nadb_fail(err, NADB_NOMEM, "writing a row");
    n = (size_t)(nadb_row_head_put(ss->head.p, &h) - ss->head.p);
    rc = session_key(ss, req->key, &key, err);
    if (rc == NADB_OK)
        rc = batch_put(ss->b, key, n + stored.n, req->mode, &p, err);
    if (rc != NADB_OK) return rc;
    if (h.tags.n > 0 || h.expires_ms != NADB_NO_EXPIRY) ss->b->indexed = true;
    memcpy(p, ss->head.p, n);
    if (stored.n > 0) memcpy(p + n, stored.p, stored.n);
    return NADB_OK;
}

/* Statistics for nadb_transactions. */
static void count_change(nadb_session *ss, nadb_slice key, uint64_t bytes,
                         nadb_rc rc) {
    if (rc != NADB_OK) return;
    nadb_counts_raise(&ss->meter.txn_changes, 1);
    nadb_counts_raise(&ss->meter.txn_bytes, key.n + bytes);
}

nadb_rc nadb_put(nadb_session *ss, const nadb_put_req *req, nadb_err *err) {
    bool update = req->mode == NADB_PUT_UPDATE;
    nadb_done d = {.op = update ? NADB_OP_UPDATE : NADB_OP_PUT,
                   .key = req->key};
    nadb_span span = nadb_span_sample(&ss->meter, d.op);

    d.rc = put(ss, req, &d.bytes, err);
    d.err = err;
    d.keys = d.rc == NADB_OK;
    nadb_meter_done(&ss->meter, &span, &d);
    count_change(ss, req->key, d.bytes, d.rc);
    return d.rc;
}

nadb_rc session_sweep(nadb_session *ss, nadb_slice key, bool *swept,
                      nadb_err *err) {
    nadb_slice k;
    nadb_entry e;
    nadb_rc rc = begin_change(ss, txn_now_ms(ss), err);

    *swept = true;
    if (rc == NADB_OK) rc = session_key(ss, key, &k, err);
    if (rc != NADB_OK) return rc;
    if (batch_find(ss->b, k, UINT64_MAX) != NULL)
        return batch_delete(ss->b, k, err);
    rc = ss->engine->ops->get(ss->engine, ss->txn->view, k, &e, swept, err);
    if (rc != NADB_OK || !*swept) return rc;
    return batch_sweep(ss->b, k, e.seq, err);
}

nadb_rc session_put_access(nadb_session *ss, nadb_slice key, int64_t ms,
                           nadb_err *err) {
    uint8_t *p = NULL;
    nadb_rc rc = begin_change(ss, txn_now_ms(ss), err);

    nadb_buf_reset(&ss->key);
    if (rc == NADB_OK && !nadb_access_key(&ss->key, key))
        rc = nadb_fail(err, NADB_NOMEM, "writing when rows were read");
    if (rc == NADB_OK)
        rc = batch_put(ss->b, nadb_buf_slice(&ss->key), 8, NADB_PUT_BLIND, &p,
                       err);
    if (rc == NADB_OK) nadb_put_u64(p, (uint64_t)ms);
    return rc;
}

bool session_indexed(const nadb_session *ss) {
    return ss->engine->ops->indexed == NULL ||
           ss->engine->ops->indexed(ss->engine, ss->txn->view);
}

nadb_rc nadb_delete(nadb_session *ss, nadb_slice key, nadb_err *err) {
    nadb_span span = nadb_span_sample(&ss->meter, NADB_OP_DELETE);
    nadb_done d = {.op = NADB_OP_DELETE, .err = err, .key = key};
    nadb_slice k;

    d.rc = begin_change(ss, txn_now_ms(ss), err);
    if (d.rc == NADB_OK) d.rc = session_key(ss, key, &k, err);
    if (d.rc == NADB_OK) d.rc = batch_delete(ss->b, k, err);
    d.keys = d.rc == NADB_OK;
    nadb_meter_done(&ss->meter, &span, &d);
    count_change(ss, key, 0, d.rc);
    return d.rc;
}

nadb_rc nadb_clear(nadb_session *ss, int64_t *rows, nadb_err *err) {
    nadb_span span = nadb_span_begin();
    nadb_done d = {.op = NADB_OP_CLEAR, .err = err};

    d.rc = begin_change(ss, txn_now_ms(ss), err);
    if (d.rc == NADB_OK && rows != NULL) *rows = session_rows(ss);
    if (d.rc == NADB_OK) d.rc = batch_clear_all(ss->b, err);
    if (d.rc == NADB_OK && rows != NULL && *rows > 0) d.keys = (uint64_t)*rows;
    nadb_meter_done(&ss->meter, &span, &d);
    return d.rc;
}
