/* drain.c - sends committed transactions to the server: several per call, never
 * a part of one, each exactly once.
 *
 * A call names the places where it begins and ends. The server executes it only
 * if it begins where the last one ended. So after an unknown outcome the mark
 * is read, and sending continues from there. */
#include <inttypes.h>
#include <stdio.h>

#include "buffered.h"

/* Size of a call, during which the server serves no other client. A larger
 * transaction is sent nevertheless. */
#define CALL_ROWS 1000u
#define CALL_BYTES (1u << 20)
#define RUN_MOST 250u /* maximum of puts in a run */
#define CLEAN_STEPS 200
#define CLEAN_AGE_MS 60000

typedef struct call {
    redis_base *b;
    nadb_records *records;
    nadb_place_in_log from, to; /* places where it begins and ends */
    args pair[2]; /* two commands: one is built while the server .. */
    args *a;      /* .. executes the other; `a` is the one being built */
    size_t n_records, n_rows;
    /* the last run: index of its number, 0: none; and the number */
    size_t run, n_run;
    bool equal; /* all rows of the run have the same line, which comes first */
    bool plain; /* `last` is the previous row and belongs to a run */
    nadb_row last;
    bool puts;
    nadb_buf scratch;
    /* The next transaction, which did not fit into the last call. */
    bool holds;
    nadb_record next;
} call;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to send to Redis");
}

static void end_run(call *x) {
    if (x->run != 0) args_set_number(x->a, x->run, (int64_t)x->n_run);
    x->run = x->n_run = 0;
}

static void begin_run(call *x, bool equal, const nadb_row *row) {
    args_text(x->a, equal ? "e" : "s");
    x->run = x->a->n;
    args_text(x->a, "");
    if (equal) record_add_line(x->a, row);
    x->equal = equal;
}

/* Starts a new run with the last row and the next one, which have the same
 * line. */
static void begin_equal(call *x, const nadb_row *row) {
    nadb_slice key = args_get(x->a, x->a->n - 3);
    nadb_slice value = args_get(x->a, x->a->n - 2);

    args_cut(x->a, x->a->n - 3);
    if (--x->n_run > 0)
        end_run(x);
    else /* it was the run's only row */
        args_cut(x->a, x->run - 1);
    begin_run(x, true, row);
    args_add(x->a, key);
    args_add(x->a, value);
    x->n_run = 1;
}

/* Consecutive puts without tags and expiry form a run. */
static nadb_rc add_plain(call *x, nadb_slice key, const nadb_row *row,
                         nadb_err *err) {
    bool same = x->plain && record_same_line(&x->last, row);
    nadb_rc rc;

    if (x->a->failed) return no_memory(err);
    if (x->run != 0 && x->equal && !same) end_run(x);
    if (x->run != 0 && !x->equal && same) begin_equal(x, row);
    if (x->run == 0) begin_run(x, same, row);
    args_add(x->a, key);
    rc = record_add_value(x->a, row, err);
    if (!x->equal) record_add_line(x->a, row);
    x->last = *row;
    x->plain = true;
    if (++x->n_run == RUN_MOST) end_run(x);
    return rc;
}

static nadb_rc add_put(call *x, nadb_slice key, nadb_slice value,
                       nadb_err *err) {
    bool plain;
    nadb_row row;
    nadb_rc rc = nadb_row_decode(value, &row, err);

    if (rc != NADB_OK) return rc;
    x->puts = true;
    if (!x->b->careful && row.tags.n == 0 && row.expires_ms == NADB_NO_EXPIRY)
        return add_plain(x, key, &row, err);
    end_run(x);
    return record_put(x->a, key, value, &x->scratch, &plain, err);
}

static nadb_rc add_change(call *x, const nadb_entry *e, nadb_err *err) {
    nadb_slice key;

    if (e->key.n == 0 || e->key.p[0] != NADB_KS_ROW) return NADB_OK;
    key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    x->n_rows++;
    if ((e->flags & NADB_ENTRY_TOMBSTONE) == 0)
        return add_put(x, key, e->value, err);
    end_run(x);
    args_text(x->a, "d");
    args_add(x->a, key);
    return NADB_OK;
}

/* Adds a transaction. */
static nadb_rc add_record(call *x, nadb_err *err) {
    nadb_entry e;
    nadb_rc rc = NADB_OK;

    if (x->next.clear) {
        end_run(x);
        args_text(x->a, "c");
        x->puts = true;
    }
    while (rc == NADB_OK && x->records->change(x->records, &e))
        rc = add_change(x, &e, err);
    if (rc != NADB_OK) return rc;
    x->to = x->next.end;
    x->n_records++;
    return x->a->failed ? no_memory(err) : NADB_OK;
}

/* Indexes in the command. */
enum { ARG_FLAGS = 7, ARG_LOG = 10, ARG_OFF, ARG_SERVER };

static const char *flags_of(const call *x) {
    if (x->b->careful) return x->puts ? "c" : "cd";
    return x->puts ? "" : "d";
}

/* Fills a call with transactions; if it stays empty, there are no more. */
static nadb_rc fill(call *x, nadb_err *err) {
    redis_base *b = x->b;
    nadb_rc rc = NADB_OK;

    script_begin(x->a, redis_prefix(b->e));
    args_text(x->a, b->owner);
    args_number(x->a, (int64_t)atomic_load(&b->env.words[WORD_TOKEN]));
    args_text(x->a, "");
    args_number(x->a, (int64_t)x->from.log);
    args_number(x->a, (int64_t)x->from.off);
    args_text(x->a, "");
    args_text(x->a, "");
    args_text(x->a, "");
    x->n_records = x->n_rows = x->run = x->n_run = 0;
    x->puts = x->plain = false;
    for (;;) {
        if (!x->holds)
            rc = x->records->next(x->records, &x->next, &x->holds, err);
        if (rc != NADB_OK || !x->holds) break;
        if (x->n_records > 0 && x->b->careful) break;
        if (x->n_records > 0 && (x->n_rows + x->next.count > CALL_ROWS ||
                                 x->a->bytes + x->next.bytes > CALL_BYTES))
            break;
        rc = add_record(x, err);
        x->holds = false;
        if (rc != NADB_OK) break;
    }
    if (rc != NADB_OK || x->n_records == 0) return rc;
    end_run(x);
    args_set(x->a, ARG_FLAGS, flags_of(x));
    args_set_number(x->a, ARG_LOG, (int64_t)x->to.log);
    args_set_number(x->a, ARG_OFF, (int64_t)x->to.off);
    return x->a->failed ? no_memory(err) : NADB_OK;
}

/* A call under way. */
typedef struct sent {
    args *a;
    nadb_place_in_log to;
    size_t n_records, n_rows;
} sent;

/* *again: lease and mark must be read again before continuing. */
static nadb_rc take_answer(redis_base *b, const sent *s, conn *c,
                           const redisReply *r, bool *clean, bool *again,
                           nadb_err *err) {
    if (script_says(r, "foreign")) b->careful = true;
    *again = script_says(r, "fenced") || script_says(r, "gap") ||
             script_says(r, "foreign");
    if (*again) return NADB_OK;
    if (!script_says(r, "ok") || r->elements != 2) return conn_confused(c, err);
    *clean = reply_slice(r->element[1]).n > 0;
    b->mark = s->to;
    atomic_fetch_add(&b->drained_records, s->n_records);
    atomic_fetch_add(&b->drained_rows, s->n_rows);
    atomic_fetch_add(&b->drains, 1);
    return NADB_OK;
}

/* Sends one call, builds the next, and receives the answer. */
static nadb_rc send_one(call *x, conn *c, bool *clean, bool *again,
                        nadb_err *err) {
    redis_base *b = x->b;
    sent s = {x->a, x->to, x->n_records, x->n_rows};
    redisReply *r = NULL;
    nadb_rc rc = conn_check_name(c, err);

    args_set(s.a, ARG_SERVER, c->server);
    if (rc == NADB_OK)
        rc = script_send(b->e->scripts, c, SCRIPT_DRAIN, s.a, err);

    if (rc == NADB_OK) rc = conn_push(c, err);
    x->from = x->to;
    x->a = s.a == &x->pair[0] ? &x->pair[1] : &x->pair[0];
    if (rc == NADB_OK) rc = fill(x, err);
    if (rc == NADB_OK) rc = script_receive(c, SCRIPT_DRAIN, s.a, &r, err);
    if (rc == NADB_OK) rc = take_answer(b, &s, c, r, clean, again, err);
    freeReplyObject(r);
    return rc;
}

/* Moves the mark past a transaction that is kept here. */
static nadb_rc leave_out(call *x, const sent *s, conn *c, bool *clean,
                         bool *again, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc;

    args_cut(s->a, ARG_SERVER + 1);
    rc = script_call(x->b->e->scripts, c, SCRIPT_DRAIN, s->a, &r, err);
    if (rc == NADB_OK) rc = take_answer(x->b, s, c, r, clean, again, err);
    freeReplyObject(r);
    return rc;
}

/* Sends one transaction if no other client has written its keys; else keeps
 * it. */
static nadb_rc send_careful(call *x, conn *c, bool *clean, bool *again,
                            nadb_err *err) {
    sent s = {x->a, x->to, x->n_records, x->n_rows};
    redis_base *b = x->b;
    redisReply *r = NULL;
    nadb_record txn;
    bool found = false;
    nadb_rc rc = conn_check_name(c, err);

    args_set(s.a, ARG_SERVER, c->server);
    if (rc == NADB_OK)
        rc = script_call(b->e->scripts, c, SCRIPT_DRAIN, s.a, &r, err);
    if (rc == NADB_OK && script_says(r, "taken") && r->elements == 2) {
        x->records->seek(x->records, x->from);
        rc = x->records->next(x->records, &txn, &found, err);
        if (rc == NADB_OK && found)
            rc = redis_keep(b, x->records, &txn, reply_slice(r->element[1]),
                            err);
        if (rc == NADB_OK) rc = leave_out(x, &s, c, clean, again, err);
    } else if (rc == NADB_OK) {
        rc = take_answer(b, &s, c, r, clean, again, err);
    }
    freeReplyObject(r);
    if (rc != NADB_OK || *again) return rc;
    x->from = x->to;
    x->holds = false;
    x->records->seek(x->records, x->to);
    return fill(x, err);
}

/* Sends everything from the mark on. */
static nadb_rc send_all(call *x, conn *c, bool *again, nadb_err *err) {
    redis_base *b = x->b;
    bool clean = false, some;
    nadb_rc rc;

    *again = false;
    x->holds = false;
    x->from = b->mark;
    x->records->seek(x->records, b->mark);
    rc = fill(x, err);
    some = x->n_records > 0;
    while (rc == NADB_OK && x->n_records > 0 && !*again) {
        rc = b->careful ? send_careful(x, c, &clean, again, err)
                        : send_one(x, c, &clean, again, err);
        /* If the token has changed, the next call is refused. */
        if (rc == NADB_OK && !*again && redis_lease_due(b))
            rc = redis_lease_take(b, c, NULL, err);
        if (rc == NADB_OK) rc = nadb_stopped(x->records->stop, err);
    }
    if (rc == NADB_OK && some && !*again) rc = conn_wait(c, err);
    if (rc == NADB_OK && clean)
        rc = redis_clean(b->e, c, nadb_slice_of(NULL, 0), CLEAN_AGE_MS,
                         CLEAN_STEPS, NULL, err);
    return rc;
}

static bool is_before(nadb_place_in_log a, nadb_place_in_log b) {
    return a.log < b.log || (a.log == b.log && a.off < b.off);
}

/* Renews the lease and reads the mark, which may be lower than before. */
static nadb_rc renew(redis_base *b, conn *c, nadb_err *err) {
    nadb_rc rc = redis_lease_take(b, c, &b->mark, err);

    /* Data that a replica may lack does not count as drained. */
    if (rc == NADB_OK) rc = conn_wait(c, err);
    b->mark_known = rc == NADB_OK;
    return rc;
}

static nadb_rc drain(redis_base *b, call *x, nadb_err *err) {
    bool again = true;
    conn *c = NULL;
    nadb_rc rc = pool_take(b->e->pool, &c, err);

    for (int i = 0; rc == NADB_OK && again && i < 3; i++) {
        if (i > 0 || !b->mark_known || redis_lease_due(b))
            rc = renew(b, c, err);
        if (rc == NADB_OK) rc = send_all(x, c, &again, err);
    }
    if (rc == NADB_OK && again)
        rc = nadb_fail(err, NADB_IOERR,
                       "redis server %s: what is buffered could not be sent: "
                       "another machine takes the lease again and again, or "
                       "the server loses data",
                       conn_name(c));
    pool_give(b->e->pool, c);
    return rc;
}

nadb_rc redis_drain(nadb_base *base, nadb_records *records,
                    nadb_place_in_log from, nadb_err *err) {
    redis_base *b = (redis_base *)base;
    bool holds = atomic_load(&b->env.words[WORD_TOKEN]) != 0;
    bool found = false;
    patience_operation o;
    nadb_record first;
    call x;
    nadb_rc rc = records->next(records, &first, &found, err);

    /* With nothing to send and no lease to renew the server is not
     * contacted. */
    if (rc != NADB_OK || (!found && (!holds || !redis_lease_due(b)))) return rc;
    /* Another process has drained since, or has handled what others wrote. */
    if (!redis_is_stale(base)) b->careful = false;
    if (is_before(b->mark, from)) b->mark_known = false;
    memset(&x, 0, sizeof x);
    x.b = b;
    x.records = records;
    x.a = &x.pair[0];
    patience_operation_begin(&o);
    rc = drain(b, &x, err);
    patience_operation_end(&o);
    if (rc != NADB_OK) b->mark_known = false;
    args_clear(&x.pair[0]);
    args_clear(&x.pair[1]);
    nadb_buf_clear(&x.scratch);
    return rc;
}
