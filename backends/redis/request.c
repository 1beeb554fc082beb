/* request.c - see request.h. */
#include "request.h"

#include <inttypes.h>
#include <stdio.h>

#include "../../core/util/coding.h"
#include "feed.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a commit to Redis");
}

/* --- tickets --- */

void redis_ticket_free(redis_ticket *t) {
    if (t == NULL) return;
    args_clear(&t->read_keys);
    args_clear(&t->read_ranges);
    args_clear(&t->changes);
    args_clear(&t->all);
    nadb_buf_clear(&t->scratch);
    nadb_buf_clear(&t->keys);
    nadb_free(t);
}

#define TICKET_KEPT (64u << 10)

/* Keeps the ticket for the next commit. */
void redis_ticket_drop(redis_engine *e, redis_ticket *t) {
    if (t == NULL) return;
    freeReplyObject(t->reply);
    t->reply = NULL;
    if (t->keys.cap <= TICKET_KEPT && t->all.bytes <= TICKET_KEPT) {
        nadb_lock(&e->lock);
        if (e->spare == NULL) {
            e->spare = t;
            t = NULL;
        }
        nadb_unlock(&e->lock);
    }
    redis_ticket_free(t);
}

static redis_ticket *ticket_get(redis_engine *e) {
    redis_ticket *t;

    nadb_lock(&e->lock);
    t = e->spare;
    e->spare = NULL;
    nadb_unlock(&e->lock);
    if (t == NULL) return nadb_calloc(1, sizeof *t);
    args_reset(&t->read_keys);
    args_reset(&t->read_ranges);
    args_reset(&t->changes);
    args_reset(&t->all);
    nadb_buf_reset(&t->scratch);
    nadb_buf_reset(&t->keys);
    t->view = NULL;
    t->version = 0;
    t->puts = t->plain = false;
    t->count = t->bytes = t->n_ranges = 0;
    t->waits_for[0] = '\0';
    return t;
}

/* --- collecting --- */

void redis_ticket_read(redis_ticket *t, const nadb_range *r) {
    nadb_slice lo, hi;

    if (!redis_range(NADB_KS_ROW, r->lo, r->hi, &lo, &hi)) return;
    if (nadb_range_is_key(r)) {
        args_add(&t->read_keys, lo);
        return;
    }
    args_add(&t->read_ranges, lo);
    args_add(&t->read_ranges, hi);
    t->n_ranges++;
}

/* Bytes of an entry that do not move until the commit is sent. */
static nadb_slice stable(args *a, nadb_slice s, bool pinned) {
    uint8_t *copy;

    if (pinned) return s;
    copy = nadb_arena_alloc(&a->memory, s.n + 1);
    if (copy == NULL) {
        a->failed = true;
        return nadb_slice_of("", 0);
    }
    if (s.n > 0) memcpy(copy, s.p, s.n);
    return nadb_slice_of(copy, s.n);
}

static nadb_rc too_much(nadb_err *err) {
    return nadb_fail(err, NADB_TOOBIG,
                     "the transaction changes more than %u keys or %u MB: on "
                     "Redis no more can be committed at once",
                     REDIS_COMMIT_KEYS, REDIS_COMMIT_BYTES >> 20);
}

nadb_rc redis_ticket_change(redis_ticket *t, const nadb_entry *x,
                            nadb_err *err) {
    bool pinned = (x->flags & NADB_ENTRY_PINNED) != 0;
    bool drop = (x->flags & NADB_ENTRY_TOMBSTONE) != 0;
    nadb_slice key;

    if (x->key.n == 0 || x->key.p[0] != NADB_KS_ROW) return NADB_OK;
    t->bytes += x->key.n + x->value.n;
    if (t->count == REDIS_COMMIT_KEYS || t->bytes > REDIS_COMMIT_BYTES)
        return too_much(err);
    key = stable(&t->changes, x->key, pinned);
    if (t->changes.failed) return no_memory(err);
    key = nadb_slice_of(key.p + 1, key.n - 1);
    if ((x->flags & NADB_ENTRY_READ) != 0) args_add(&t->read_keys, key);
    if (!nadb_buf_byte(&t->keys, drop ? 'd' : 'p') ||
        !nadb_buf_blob(&t->keys, key))
        return no_memory(err);
    t->count++;
    if (drop) {
        args_text(&t->changes, "d");
        args_add(&t->changes, key);
        return NADB_OK;
    }
    t->puts = true;
    return record_put(&t->changes, key, stable(&t->changes, x->value, pinned),
                      &t->scratch, &t->plain, err);
}

nadb_rc redis_ticket_new(redis_engine *e, const nadb_commit_req *req,
                         nadb_view *view, redis_ticket **out, nadb_err *err) {
    redis_ticket *t = ticket_get(e);

    *out = t;
    if (t == NULL) return no_memory(err);
    t->view = (redis_view *)view;
    t->clear = req->clear;
    t->reads_all = req->reads_all;
    t->claim = req->claim;
    t->limit = redis_limit_of(e);
    return NADB_OK;
}

nadb_rc redis_ticket_fill(redis_ticket *t, const nadb_commit_req *req,
                          nadb_err *err) {
    nadb_iter *it = req->changes;
    nadb_rc rc = nadb_iter_seek(it, nadb_slice_of("", 0), err);

    for (size_t i = 0; i < req->n_reads; i++)
        redis_ticket_read(t, &req->reads[i]);
    while (rc == NADB_OK && it->valid) {
        rc = redis_ticket_change(t, &it->entry, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    return rc;
}

/* --- arguments --- */

/* ",1,2,": the versions that the view's own transaction has made and undone. */
static void add_own(args *a, const redis_view *v) {
    char text[REDIS_OWN_MAX * 22 + 2] = "";
    size_t n = 0;

    for (unsigned i = 0; v != NULL && i < v->n_own; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%" PRIu64 ",",
                              n == 0 ? "," : "", v->own[i]);
    args_copy(a, nadb_slice_of(text, n));
}

/* True if the script's short form suffices: one put without tags and expiry,
 * and no read but that of its key. */
static bool is_short(const redis_ticket *t) {
    const redis_view *v = t->view;

    if (t->clear || t->reads_all || t->claim != 0 || t->n_ranges > 0 ||
        t->count != 1 || !t->puts || !t->plain || t->read_keys.n > 1 ||
        t->changes.failed || t->read_keys.failed || (v != NULL && v->n_own > 0))
        return false;
    return t->read_keys.n == 0 ||
           nadb_slice_eq(args_get(&t->read_keys, 0), args_get(&t->changes, 1));
}

/* Adds, behind the version: key, value and the rest of the line. */
static void add_short(redis_engine *e, args *a, const redis_ticket *t) {
    args_text(a, t->read_keys.n > 0 ? "r" : "s");
    for (size_t i = 1; i <= 3; i++) args_add(a, args_get(&t->changes, i));
    (void)redis_add_wishes(e, a, false);
}

static void add_seen(args *a, const redis_view *v) {
    if (redis_has_read(v))
        args_number(a, (int64_t)v->since);
    else
        args_text(a, "");
}

static bool reads_all(const redis_ticket *t) {
    return t->reads_all || t->n_ranges > REDIS_RANGES_MAX;
}

/* Adds what all long forms have behind the flags, up to the reads. */
static void add_long(redis_engine *e, args *a, const redis_ticket *t,
                     size_t n_changes, const char *txn) {
    bool all = reads_all(t);

    redis_add_claim(e, a, t->claim);
    args_number(a, (int64_t)t->read_keys.n);
    args_number(a, all ? 0 : (int64_t)t->n_ranges);
    args_number(a, (int64_t)n_changes);
    add_own(a, t->view);
    args_text(a, "");
    args_text(a, txn);
    (void)redis_add_wishes(e, a, true);
    args_append(a, &t->read_keys);
    if (!all) args_append(a, &t->read_ranges);
}

void redis_add_request(redis_engine *e, args *a, const redis_ticket *t,
                       const char *txn, bool checks) {
    char flags[4];
    size_t n = 0;

    add_seen(a, t->view);
    if (txn[0] == '\0' && is_short(t)) {
        add_short(e, a, t);
        return;
    }
    if (reads_all(t)) flags[n++] = 'a';
    if (checks) flags[n++] = redis_ticket_changes(t) ? 'i' : 'k';
    if (!checks && t->clear) flags[n++] = 'c';
    if (!checks && !t->puts) flags[n++] = 'd';
    args_copy(a, nadb_slice_of(flags, n));
    add_long(e, a, t, checks ? 0 : t->count, txn);
    if (!checks) args_append(a, &t->changes);
}

/* --- answers --- */

static nadb_rc conflict(const redisReply *r, nadb_err *err) {
    char shown[NADB_KEY_SHOWN];
    nadb_slice key = reply_slice(r->elements > 1 ? r->element[1] : NULL);

    if (r->elements > 2)
        return nadb_fail(err, NADB_CONFLICT,
                         "commits that this transaction has seen are lost: a "
                         "replica has taken over, or the redis server was "
                         "started again, without them: roll back and retry");
    if (key.n == 0)
        return nadb_fail(err, NADB_CONFLICT,
                         "another transaction has committed, and this one "
                         "began too long ago or read too much to tell whether "
                         "that matters: roll back and retry");
    return nadb_fail(err, NADB_CONFLICT,
                     "another transaction changed key '%s': roll back and "
                     "retry",
                     nadb_key_show(key, shown));
}

/* True if another client is in the way. */
static bool has_to_wait(redis_ticket *t, const redisReply *r) {
    nadb_slice txn;

    t->waits_for[0] = '\0';
    if (script_says(r, "claimed")) return true;
    if (!script_says(r, "locked") || r->elements != 3) return false;
    txn = reply_slice(r->element[2]);
    if (txn.n < sizeof t->waits_for) {
        memcpy(t->waits_for, txn.p, txn.n);
        t->waits_for[txn.n] = '\0';
    }
    return true;
}

/* The answer to the short form has no list of rows. */
static bool is_short_answer(const redisReply *r) {
    return r->elements == 2 || r->elements == 3;
}

static bool fits(const redis_ticket *t, const redisReply *r) {
    int64_t version;

    if (r->elements < 2 || !reply_number(r->element[1], &version)) return false;
    if (is_short_answer(r)) return t->count == 1 && !t->clear;
    return r->elements == 5 && reply_is_array(r->element[4], t->count);
}

nadb_rc redis_take_refusal(conn *c, redis_ticket *t, const redisReply *r,
                           bool *wait, nadb_err *err) {
    *wait = has_to_wait(t, r);
    if (script_says(r, "conflict")) return conflict(r, err);
    if (script_says(r, "leased")) return redis_leased(c, r, err);
    if (script_says(r, "full")) return redis_full(t->limit, r, err);
    return NADB_OK;
}

nadb_rc redis_take_answer(conn *c, redis_ticket *t, const redisReply *r,
                          bool *wait, nadb_err *err) {
    nadb_rc rc = redis_take_refusal(c, t, r, wait, err);

    if (rc != NADB_OK || *wait) return rc;
    if (!script_says(r, "ok") || !fits(t, r)) return conn_confused(c, err);
    t->version = reply_number_or_0(r->element[1]);
    return NADB_OK;
}

void redis_forget_changes(redis_engine *e, const redis_ticket *t) {
    nadb_reader keys = nadb_reader_of(nadb_buf_slice(&t->keys));

    if (t->clear) cache_forget_all(&e->cache);
    for (size_t i = 0; i < t->count; i++) {
        (void)nadb_read_u8(&keys);
        cache_forget(&e->cache, nadb_read_blob(&keys));
    }
}

/* --- taking back --- */

/* The row before the i-th change; NULL: there was none. */
static const redisReply *row_before(const redisReply *answer, size_t i) {
    const redisReply *row = NULL;

    if (!is_short_answer(answer))
        row = answer->element[4]->element[i];
    else if (answer->elements == 3)
        row = answer->element[2];
    return row != NULL && row->type == REDIS_REPLY_STRING ? row : NULL;
}

static void add_old(args *a, nadb_slice key, nadb_slice row) {
    record_parts x = record_split(row);

    args_text(a, "r");
    args_add(a, key);
    args_add(a, x.value);
    args_add(a, x.line);
    args_add(a, x.tags);
    args_add(a, x.expiry);
}

/* An undo is a commit that has read, at its own version, what it has changed.
 * Undoing a clear also removes everything in the new generation. */
void redis_add_undo(args *a, const redis_ticket *t, const char *txn) {
    nadb_reader keys = nadb_reader_of(nadb_buf_slice(&t->keys));
    size_t n = t->clear ? 0 : t->count;

    args_number(a, (int64_t)t->version);
    args_text(a, "u");
    args_text(a, "");
    args_text(a, "");
    args_number(a, (int64_t)n);
    args_text(a, "0");
    args_number(a, (int64_t)n);
    args_text(a, "");
    args_add(a, t->clear ? reply_slice(t->reply->element[3])
                         : nadb_slice_of(NULL, 0));
    args_text(a, txn);
    args_text(a, "");
    args_text(a, "");
    for (size_t i = 0; i < n; i++) {
        (void)nadb_read_u8(&keys);
        args_add(a, nadb_read_blob(&keys));
    }
    keys = nadb_reader_of(nadb_buf_slice(&t->keys));
    for (size_t i = 0; i < n; i++) {
        const redisReply *row = row_before(t->reply, i);
        nadb_slice key;

        (void)nadb_read_u8(&keys);
        key = nadb_read_blob(&keys);
        if (row != NULL) {
            add_old(a, key, reply_slice(row));
        } else {
            args_text(a, "d");
            args_add(a, key);
        }
    }
}

static uint64_t version_before(const redis_ticket *t) {
    return is_short_answer(t->reply) ? t->version - 1
                                     : reply_number_or_0(t->reply->element[2]);
}

/* The transaction may continue and commit again: its own commit and undo must
 * not be a conflict. */
static void forgive(const redis_ticket *t, uint64_t undo, uint64_t before) {
    redis_view *v = t->view;

    if (!redis_has_read(v)) return;
    if (before == t->version && version_before(t) == v->since) {
        v->since = v->base.seq = undo; /* no other commit was in between */
    } else if (v->n_own + 2 <= REDIS_OWN_MAX) {
        v->own[v->n_own++] = t->version;
        v->own[v->n_own++] = undo;
    }
}

nadb_rc redis_not_undone(const char *server, const char *why, nadb_err *err) {
    return nadb_fail(err, NADB_IOERR,
                     "redis server %s: the transaction was rolled back here, "
                     "but its changes stay on the server: %s",
                     server, why);
}

nadb_rc redis_take_undone(conn *c, const redis_ticket *t, const redisReply *r,
                          nadb_err *err) {
    /* The answer was lost, or there is nothing left to undo. */
    if (r == NULL || script_says(r, "gone")) return NADB_OK;
    if (script_says(r, "ok") && r->elements == 5) {
        forgive(t, reply_number_or_0(r->element[1]),
                reply_number_or_0(r->element[2]));
        return NADB_OK;
    }
    return redis_not_undone(conn_name(c),
                            "another client has changed the same keys "
                            "meanwhile",
                            err);
}
