/* shards_txn.c - a transaction over several shards: all of it is done or
 * nothing, whoever dies in the middle.
 *
 *   prepare  in each shard that is changed, in their order: what is asked for
 *            is checked and kept there, and its keys are locked (prepare.lua)
 *   check    whether what was read is still so, in all shards, and whether
 *            each part is still there
 *   decide   one shard, the first of them, does its part and notes that the
 *            others are to be done (finish.lua). From here on it is certain
 *   apply    the others do theirs
 *   forget   the note goes
 *
 * Nobody changes a locked key, and whoever has read one and commits waits. As
 * all is locked before anything that was read is looked at, of two transactions
 * that each read what the other changes one finds out.
 *
 * Locks have no end of their own. A client that has waited until the time in
 * the transaction's name asks the deciding shard: what is decided it applies
 * everywhere, what is not never will be, and it drops the part that it has
 * met. So a client that is slower than that finds nothing left to decide; and
 * the part in a shard whose server was replaced by one that lacks it is found
 * missing, instead of being written over what has come since. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shards.h"

/* After so long others may end it; and ask whether it is decided. */
static int64_t patience_ms(const redis_engine *e) {
    int64_t ms = 2 * e->at.timeout_ms;

    return ms < 1000 ? 1000 : ms;
}
#define ASKING 10 /* in a part of that time */

typedef struct txn {
    shards *s;
    char name[REDIS_TXN_MAX];
    shards_change *list;
    unsigned n;
    shards_change *decider; /* the first that changes something */
    bool undo;
    int64_t begin_ns, timeout_ms; /* of waiting for others */
    args a;
} txn;

static redis_engine *engine_of(const txn *x, const shards_change *p) {
    return x->s->parts[p->shard];
}

/* What is in a transaction's name: the shard that decides, and when others may
 * ask there. */
static bool parse_name(const char *name, unsigned long *shard, int64_t *ms) {
    char *end;

    *shard = strtoul(name, &end, 10);
    if (end == name || *end != '-') return false;
    (void)strtoull(end + 1, &end, 16);
    if (*end != '-') return false;
    *ms = strtoll(end + 1, &end, 10);
    return *end == '-';
}

/* --- calls --- */

/* Begins a call of finish.lua that changes no row, or by others than the one
 * whose transaction it is: then what it does is found under its name. */
static void begin_finish(redis_engine *e, conn *c, args *a, const char *what,
                         const char *name) {
    script_begin(a, redis_prefix(e));
    args_text(a, name);
    args_text(a, "1");
    args_number(a, conn_server_ms(c) + e->at.timeout_ms);
    args_text(a, c->server);
    args_text(a, what);
    args_text(a, name);
}

/* One such call. *out is the caller's, also on error. */
static nadb_rc finish_as_other(redis_engine *e, const char *what,
                               const char *name, redisReply **out,
                               nadb_err *err) {
    conn *c = NULL;
    args a;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    rc = conn_check_name(c, err);
    begin_finish(e, c, &a, what, name);
    if (rc == NADB_OK)
        rc = script_call(e->scripts, c, SCRIPT_FINISH, &a, out, err);
    if (rc == NADB_OK &&
        (!reply_is_array(*out, 1) || script_says(*out, "late")))
        rc = conn_confused(c, err);
    if (rc == NADB_OK && strcmp(what, "apply") == 0) rc = conn_wait(c, err);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

/* --- the steps --- */

static nadb_rc prepare_once(txn *x, shards_change *p, bool *wait,
                            nadb_err *err) {
    redis_engine *e = engine_of(x, p);
    redisReply *r = NULL;
    uint64_t version;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *wait = false;
    if (rc != NADB_OK) return rc;
    redis_once_begin(e, c, &x->a);
    if (x->undo)
        redis_add_undo(&x->a, p->ticket, x->name);
    else
        redis_add_request(e, &x->a, p->ticket, &p->req, x->name);
    p->is_there = true;
    rc = redis_once(e, c, SCRIPT_PREPARE, &x->a, &r, &version, err);
    if (rc == NADB_OK) rc = redis_take_refusal(c, p->ticket, r, wait, err);
    if (rc == NADB_OK && script_says(r, "gone"))
        p->is_there = p->changes = false; /* nothing to take back */
    else if (rc == NADB_OK && !*wait && !script_says(r, "ok"))
        rc = conn_confused(c, err);
    else if (rc == NADB_OK && !*wait)
        rc = conn_wait(c, err);
    freeReplyObject(r);
    pool_give(e->pool, c);
    return rc;
}

static nadb_rc prepare(txn *x, shards_change *p, nadb_err *err) {
    bool wait = true;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && wait) {
        rc = prepare_once(x, p, &wait, err);
        if (rc == NADB_OK && wait)
            rc = redis_wait_for_others(engine_of(x, p), p->ticket, x->begin_ns,
                                       x->timeout_ms, err);
    }
    return rc;
}

static nadb_rc lost_part(const redis_engine *e, nadb_err *err) {
    return nadb_fail(err, NADB_BUSY,
                     "redis server %s: the transaction was given up: it took "
                     "too long, or a server that lacks its part has taken over",
                     e->at.name);
}

static nadb_rc check(txn *x, shards_change *p, nadb_err *err) {
    redis_engine *e = engine_of(x, p);
    redisReply *r = NULL;
    bool wait = false;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    script_begin(&x->a, redis_prefix(e));
    for (int i = 0; i < 4; i++) args_text(&x->a, ""); /* it changes nothing */
    redis_add_reads(e, &x->a, p->ticket, &p->req, x->name, p->changes);
    rc = script_call(e->scripts, c, SCRIPT_VALIDATE, &x->a, &r, err);
    if (rc == NADB_OK) rc = redis_take_refusal(c, p->ticket, r, &wait, err);
    /* Whoever waited here, holding locks, could wait for one who waits too. */
    if (rc == NADB_OK && wait)
        rc = nadb_fail(err, NADB_CONFLICT,
                       "another transaction is about to change what this one "
                       "has read");
    else if (rc == NADB_OK && script_says(r, "none"))
        rc = lost_part(e, err);
    else if (rc == NADB_OK && !script_says(r, "ok"))
        rc = conn_confused(c, err);
    freeReplyObject(r);
    pool_give(e->pool, c);
    return rc;
}

/* Shards with a part, but for the one that decides. */
static void add_shards(txn *x) {
    char text[8];
    nadb_buf all = NADB_BUF_INIT;

    for (unsigned i = 0; i < x->n; i++) {
        const shards_change *p = &x->list[i];
        int n = snprintf(text, sizeof text, "%u ", p->shard);

        if (p->changes && p != x->decider &&
            !nadb_buf_append(&all, text, (size_t)n))
            x->a.failed = true;
    }
    args_copy(&x->a, nadb_buf_slice(&all));
    nadb_buf_clear(&all);
}

/* Takes the answer to decide or apply. */
static nadb_rc take_done(txn *x, conn *c, shards_change *p, redisReply **r,
                         nadb_err *err) {
    bool wait = false;
    nadb_rc rc;

    if (x->undo) return redis_take_undone(c, p->ticket, *r, err);
    if (*r == NULL) return NADB_OK; /* done, but the answer is lost */
    rc = redis_take_answer(c, p->ticket, *r, &wait, err);
    if (rc == NADB_OK && wait) rc = conn_confused(c, err);
    if (rc != NADB_OK) return rc;
    p->ticket->reply = *r;
    *r = NULL;
    return NADB_OK;
}

/* *none: there is no such part there. *missed: what WAIT says. */
static nadb_rc finish(txn *x, shards_change *p, const char *what, bool *none,
                      nadb_err *missed, nadb_err *err) {
    redis_engine *e = engine_of(x, p);
    redisReply *r = NULL;
    uint64_t version;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *none = false;
    if (rc != NADB_OK) return rc;
    redis_once_begin(e, c, &x->a);
    args_text(&x->a, what);
    args_text(&x->a, x->name);
    add_shards(x);
    rc = redis_once(e, c, SCRIPT_FINISH, &x->a, &r, &version, err);
    if (rc == NADB_OK && r == NULL && !x->undo) p->ticket->version = version;
    *none = rc == NADB_OK && r != NULL && script_says(r, "none");
    if (rc == NADB_OK && !*none) rc = take_done(x, c, p, &r, err);
    if (rc == NADB_OK && !*none && missed->rc == NADB_OK)
        missed->rc = conn_wait(c, missed);
    freeReplyObject(r);
    pool_give(e->pool, c);
    return rc;
}

/* A part that is missing was applied by somebody else, because we were too
 * slow, or it is lost. */
static nadb_rc find_missing(txn *x, shards_change *p, bool *lost,
                            nadb_err *err) {
    redis_engine *e = engine_of(x, p);
    redisReply *r = NULL;
    conn *c = NULL;
    args a;
    nadb_rc rc = pool_take(e->pool, &c, err);

    *lost = false;
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(e));
    args_text(&a, x->name);
    args_text(&a, "1");
    rc = script_call(e->scripts, c, SCRIPT_FENCE, &a, &r, err);
    *lost = rc == NADB_OK && !script_says(r, "applied");
    if (*lost)
        rc = nadb_fail(err, NADB_IOERR,
                       "redis server %s: shard %u has lost its part of the "
                       "transaction, because a replica that lacks it has taken "
                       "over; the others have done theirs",
                       conn_name(c), p->shard);
    freeReplyObject(r);
    args_clear(&a);
    pool_give(e->pool, c);
    return rc;
}

/* After the decision. A shard that cannot be reached now does its part when
 * somebody comes there. */
static nadb_rc apply_all(txn *x, nadb_err *missed, nadb_err *err) {
    bool all = true, others = false;
    redisReply *r = NULL;
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < x->n; i++) {
        shards_change *p = &x->list[i];
        bool none = false, lost = false;
        nadb_err why;
        nadb_rc one;

        if (!p->changes || p == x->decider) continue;
        nadb_err_clear(&why);
        one = finish(x, p, "apply", &none, missed, &why);
        if (one != NADB_OK) one = finish(x, p, "apply", &none, missed, &why);
        if (one == NADB_OK && none) one = find_missing(x, p, &lost, &why);
        if (lost && rc == NADB_OK) {
            rc = one;
            if (err != NULL) *err = why;
        }
        all = all && one == NADB_OK;
        others = true;
    }
    if (!all) atomic_store(&x->s->unfinished, true);
    if (all && others)
        (void)finish_as_other(engine_of(x, x->decider), "forget", x->name, &r,
                              NULL);
    freeReplyObject(r);
    return rc;
}

/* Before the decision. What cannot be dropped now is when its time has come. */
static void drop_all(txn *x) {
    for (unsigned i = 0; i < x->n; i++) {
        redisReply *r = NULL;

        if (x->list[i].is_there)
            (void)finish_as_other(engine_of(x, &x->list[i]), "drop", x->name,
                                  &r, NULL);
        freeReplyObject(r);
    }
}

static nadb_rc make_name(txn *x, nadb_err *err) {
    redis_engine *e = engine_of(x, x->decider);
    uint64_t chance = 0;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    nadb_os_get()->random(&chance, sizeof chance);
    snprintf(x->name, sizeof x->name, "%u-%016" PRIx64 "-%" PRId64 "-%" PRId64,
             x->decider->shard, chance,
             conn_server_ms(c) + patience_ms(e) / ASKING,
             conn_server_ms(c) + patience_ms(e));
    pool_give(e->pool, c);
    return NADB_OK;
}

/* After an error: whether it is decided all the same. If not it never will be;
 * where nobody can be asked, whoever comes there finds out. */
static bool is_decided(txn *x) {
    redis_engine *e = engine_of(x, x->decider);
    redisReply *r = NULL;
    nadb_rc rc = finish_as_other(e, "abandon", x->name, &r, NULL);
    bool yes = rc == NADB_OK && script_says(r, "commit");

    if (rc == NADB_OK && script_says(r, "abort")) drop_all(x);
    freeReplyObject(r);
    return yes;
}

static nadb_rc decide(txn *x, nadb_err *missed, nadb_err *err) {
    bool none = false;
    nadb_rc rc = finish(x, x->decider, "decide", &none, missed, err);

    if (rc == NADB_OK && none) rc = lost_part(engine_of(x, x->decider), err);
    return rc;
}

/* The first shard that has something to do, with its part prepared. */
static nadb_rc begin(txn *x, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < x->n && rc == NADB_OK; i++) {
        if (!x->list[i].changes) continue;
        x->decider = &x->list[i];
        rc = make_name(x, err);
        if (rc == NADB_OK) rc = prepare(x, x->decider, err);
        if (rc != NADB_OK || x->decider->changes) break;
        x->decider = NULL;
    }
    return rc;
}

static nadb_rc run(txn *x, nadb_err *missed, nadb_err *err) {
    nadb_rc rc = begin(x, err);

    if (x->decider == NULL) return rc;
    for (unsigned i = 0; i < x->n && rc == NADB_OK; i++)
        if (x->list[i].changes && !x->list[i].is_there)
            rc = prepare(x, &x->list[i], err);
    for (unsigned i = 0; i < x->n && rc == NADB_OK && !x->undo; i++)
        rc = check(x, &x->list[i], err);
    if (rc != NADB_OK) {
        drop_all(x);
        return rc;
    }
    rc = decide(x, missed, err);
    if (rc != NADB_OK && !is_decided(x)) return rc;
    return apply_all(x, missed, err);
}

/* Too few replicas have it: it is done, and taken back. */
static nadb_rc take_back(txn *x, const nadb_err *missed, nadb_err *err) {
    nadb_err why;

    nadb_err_clear(&why);
    if (shards_do(x->s, x->list, x->n, true, x->timeout_ms, &why) == NADB_OK)
        return nadb_fail(err, NADB_IOERR, "%s; it was taken back", missed->msg);
    return nadb_fail(err, NADB_IOERR,
                     "%.300s; it is done all the same, but a failover may lose "
                     "it: taking it back failed (%.300s)",
                     missed->msg, why.msg);
}

nadb_rc shards_do(shards *s, shards_change *list, unsigned n, bool undo,
                  int64_t timeout_ms, nadb_err *err) {
    txn x = {.s = s, .list = list, .n = n, .undo = undo};
    nadb_err missed;
    nadb_rc rc;

    for (unsigned i = 0; i < n; i++) list[i].is_there = false;
    x.begin_ns = nadb_os_get()->mono_ns();
    x.timeout_ms = timeout_ms;
    nadb_err_clear(&missed);
    rc = run(&x, &missed, err);
    args_clear(&x.a);
    if (rc == NADB_OK && missed.rc != NADB_OK && !undo)
        rc = take_back(&x, &missed, err);
    return rc;
}

/* --- ending those of others --- */

/* It is decided: done in all of these shards ("1 5 "). */
static nadb_rc apply_for_other(shards *s, redis_engine *decider,
                               const char *name, const char *list,
                               nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = NADB_OK;

    for (char *end; rc == NADB_OK; list = end) {
        unsigned long i = strtoul(list, &end, 10);

        if (end == list) break;
        if (i >= s->n) continue;
        rc = finish_as_other(s->parts[i], "apply", name, &r, err);
        freeReplyObject(r);
        r = NULL;
    }
    if (rc == NADB_OK) rc = finish_as_other(decider, "forget", name, &r, err);
    freeReplyObject(r);
    return rc;
}

static nadb_rc is_due(redis_engine *decider, int64_t due_ms, bool *due,
                      nadb_err *err) {
    conn *c = NULL;
    nadb_rc rc = pool_take(decider->pool, &c, err);

    *due = rc == NADB_OK && conn_server_ms(c) >= due_ms;
    pool_give(decider->pool, c);
    return rc;
}

nadb_rc shards_end_txn(redis_engine *found_in, const char *name,
                       nadb_err *err) {
    shards *s = found_in->whole;
    redisReply *r = NULL, *dropped = NULL;
    redis_engine *decider;
    unsigned long shard;
    int64_t due_ms;
    bool due;
    nadb_rc rc;

    if (!parse_name(name, &shard, &due_ms) || shard >= s->n)
        return nadb_corrupt(err,
                            "redis server %s: a lock of '%s', which is no name "
                            "of a transaction",
                            found_in->at.name, name);
    decider = s->parts[shard];
    rc = is_due(decider, due_ms, &due, err);
    if (rc != NADB_OK || !due) return rc;
    rc = finish_as_other(decider, "resolve", name, &r, err);
    if (rc == NADB_OK && script_says(r, "commit") && r->elements == 2)
        rc = apply_for_other(s, decider, name, r->element[1]->str, err);
    else if (rc == NADB_OK && script_says(r, "abort"))
        rc = finish_as_other(found_in, "drop", name, &dropped, err);
    freeReplyObject(r);
    freeReplyObject(dropped);
    return rc;
}

nadb_rc shards_end_all(redis_engine *e, nadb_err *err) {
    redisReply *r = NULL;
    conn *c = NULL;
    args a;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(e));
    rc = script_call(e->scripts, c, SCRIPT_PENDING, &a, &r, err);
    if (rc == NADB_OK && !script_says(r, "ok")) rc = conn_confused(c, err);
    args_clear(&a);
    pool_give(e->pool, c);
    for (size_t i = 1; rc == NADB_OK && i < r->elements; i++)
        if (r->element[i]->type == REDIS_REPLY_STRING)
            rc = shards_end_txn(e, r->element[i]->str, err);
    freeReplyObject(r);
    return rc;
}

void shards_end_others(shards *s) {
    int64_t pause_ms = patience_ms(s->parts[0]) / ASKING;
    int64_t now = nadb_os_get()->mono_ns();

    if (!atomic_load(&s->unfinished) ||
        now - atomic_load(&s->looked_ns) < pause_ms * 1000000)
        return;
    atomic_store(&s->looked_ns, now);
    atomic_store(&s->unfinished, false);
    /* Who may only read leaves it to others. */
    for (unsigned i = 0; i < s->n; i++)
        if (shards_end_all(s->parts[i], NULL) != NADB_OK)
            atomic_store(&s->unfinished, true);
}
