/* shards_txn.c - a transaction over several shards: executed completely or not
 * at all, even if its client dies in the middle.
 *
 *   prepare  in each shard that is changed, in their order: the changes are
 *            checked and stored there as an intent, and their keys are locked
 *            (prepare.lua)
 *   check    in all shards: what was read is unchanged, and each part still
 *            exists
 *   decide   one shard, the first that is changed, applies its part and notes
 *            that the others are to be applied (finish.lua). From here on the
 *            transaction is committed
 *   apply    the other shards apply theirs
 *   forget   the note is removed
 *
 * No other client changes a locked key, and a commit that has read one waits.
 * All keys are locked before any read is checked; so of two transactions that
 * each have read what the other changes, at least one fails.
 *
 * Locks do not end by themselves. A client that has waited until the time in a
 * transaction's name asks the deciding shard. If the transaction is decided,
 * the client applies it everywhere; if not, it can never be decided, and the
 * client drops the part that it has met. So a client that is slower finds
 * nothing left to decide; and if a shard's server was replaced by one that
 * lacks the part, the part is found missing instead of being written over newer
 * data. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shards.h"

/* After so long other clients may end it, and ask whether it is decided. */
static int64_t patience_ms(const redis_engine *e) {
    int64_t ms = 2 * e->at.timeout_ms;

    return ms < 1000 ? 1000 : ms;
}
#define ASKING 10 /* asking takes at most this part of that time */

typedef struct txn {
    shards_part *parts;
    unsigned n;
    const shards_part *decider; /* the first that changes something */
    char name[REDIS_TXN_MAX];
    bool undo;
    int64_t begin_ns, timeout_ms; /* of waiting for other clients */
    nadb_err missed; /* too few replicas have something that is decided */
    args a;
} txn;

/* Calls finish.lua for a transaction of another client, or without changing a
 * row; its effect is found under the transaction's name. The caller owns `out`
 * (may be NULL), also on error. */
static nadb_rc finish(redis_engine *e, const char *what, const char *name,
                      redisReply **out, nadb_err *err) {
    const char *const texts[] = {name, "1", "", "$", what, name, NULL};
    redisReply *r = NULL;
    nadb_rc rc = script_run(e->scripts, e->pool, redis_prefix(e), SCRIPT_FINISH,
                            texts, &r, err);

    if (out == NULL)
        freeReplyObject(r);
    else
        *out = r;
    return rc;
}

/* --- the steps --- */

typedef enum step { PREPARE, CHECK, DECIDE, APPLY } step;
typedef enum outcome {
    DONE,
    WAITS, /* another transaction is in the way */
    GONE,  /* there is nothing to undo */
    NONE   /* the part does not exist */
} outcome;

/* Makes the name, with the clock of the deciding server. */
static void make_name(txn *x, const shards_part *p, const conn *c) {
    int64_t ms = patience_ms(p->e);
    uint64_t chance = 0;

    x->decider = p;
    nadb_os_get()->random(&chance, sizeof chance);
    snprintf(x->name, sizeof x->name, "%u-%016" PRIx64 "-%" PRId64 "-%" PRId64,
             p->shard, chance, conn_server_ms(c) + ms / ASKING,
             conn_server_ms(c) + ms);
}

/* *missed: it was executed, but too few replicas have it. */
static nadb_rc ask(txn *x, const shards_part *p, step s, conn *c,
                   redisReply **r, bool *missed, nadb_err *err) {
    uint64_t version = 0;
    nadb_rc rc;

    if (s == CHECK) {
        script_begin(&x->a, redis_prefix(p->e));
        for (int i = 0; i < 4; i++) args_text(&x->a, ""); /* no writer */
        redis_add_reads(p->e, &x->a, p->ticket, x->name);
        return script_call(p->e->scripts, c, SCRIPT_PREPARE, &x->a, r, err);
    }
    if (x->decider == NULL) make_name(x, p, c);
    redis_once_begin(p->e, c, &x->a);
    if (s != PREPARE) {
        args_text(&x->a, s == DECIDE ? "decide" : "apply");
        args_text(&x->a, x->name);
        for (unsigned i = 0; i < x->n; i++)
            if (x->parts[i].changes && &x->parts[i] != x->decider)
                args_number(&x->a, x->parts[i].shard);
    } else if (x->undo) {
        redis_add_undo(&x->a, p->ticket, x->name);
    } else {
        redis_add_request(p->e, &x->a, p->ticket, x->name);
    }
    rc = redis_once(p->e, c, s == PREPARE ? SCRIPT_PREPARE : SCRIPT_FINISH,
                    &x->a, r, &version, missed, err);
    if (*r == NULL && !x->undo) p->ticket->version = version;
    return rc;
}

/* *r is NULL if it was executed but the answer is lost. */
static nadb_rc take(txn *x, const shards_part *p, step s, conn *c,
                    redisReply **r, outcome *out, nadb_err *err) {
    bool wait = false;
    nadb_rc rc;

    *out = DONE;
    if (*r == NULL || script_says(*r, "done")) return NADB_OK;
    if (script_says(*r, "none")) *out = NONE;
    if (script_says(*r, "gone")) *out = GONE;
    if (*out != DONE) return NADB_OK;
    if (s >= DECIDE && x->undo) return redis_take_undone(c, p->ticket, *r, err);
    if (s >= DECIDE) {
        rc = redis_take_answer(c, p->ticket, *r, &wait, err);
        if (rc != NADB_OK) return rc;
        p->ticket->reply = *r;
        *r = NULL;
        return NADB_OK;
    }
    rc = redis_take_refusal(c, p->ticket, *r, &wait, err);
    if (wait) *out = WAITS;
    if (rc == NADB_OK && !wait && !script_says(*r, "ok"))
        rc = conn_confused(c, err);
    return rc;
}

static nadb_rc do_step(txn *x, const shards_part *p, step s, outcome *out,
                       nadb_err *err) {
    redisReply *r = NULL;
    bool missed = false;
    nadb_err why;
    conn *c = NULL;
    nadb_rc rc = pool_take(p->e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    nadb_err_clear(&why);
    rc = ask(x, p, s, c, &r, &missed, &why);
    if (missed && s >= DECIDE) {
        x->missed = why;
        rc = NADB_OK;
    } else if (rc != NADB_OK && err != NULL) {
        *err = why;
    }
    if (rc == NADB_OK) rc = take(x, p, s, c, &r, out, err);
    freeReplyObject(r);
    pool_give(p->e->pool, c);
    return rc;
}

static nadb_rc prepare(txn *x, shards_part *p, nadb_err *err) {
    outcome out = WAITS;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && out == WAITS) {
        p->is_there = true;
        rc = do_step(x, p, PREPARE, &out, err);
        if (rc == NADB_OK && out == WAITS)
            rc = redis_wait_for_others(p->e, p->ticket, x->begin_ns,
                                       x->timeout_ms, err);
    }
    if (rc == NADB_OK && out == GONE) p->is_there = p->changes = false;
    return rc;
}

/* CHECK or DECIDE: does not wait, because a client that waits while it holds
 * locks could wait for one that waits for it. */
static nadb_rc must_be_there(txn *x, const shards_part *p, step s,
                             nadb_err *err) {
    outcome out = DONE;
    nadb_rc rc = do_step(x, p, s, &out, err);

    if (rc == NADB_OK && out == WAITS)
        return nadb_fail(err, NADB_CONFLICT,
                         "another transaction is about to change what this one "
                         "has read: roll back and retry");
    if (rc == NADB_OK && out != DONE)
        return nadb_fail(err, NADB_BUSY,
                         "redis server %s: the transaction was given up: it "
                         "took too long, or a server that lacks its part has "
                         "taken over: try again",
                         p->e->at.name);
    return rc;
}

/* After the decision. A shard that cannot be reached now applies its part when
 * a client comes there. */
static nadb_rc apply_all(txn *x, nadb_err *err) {
    shards *s = x->decider->e->whole;
    bool all = true, others = false;
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < x->n; i++) {
        const shards_part *p = &x->parts[i];
        outcome out = DONE;
        nadb_rc one;

        if (!p->changes || p == x->decider) continue;
        others = true;
        one = do_step(x, p, APPLY, &out, NULL);
        if (one != NADB_OK) one = do_step(x, p, APPLY, &out, NULL);
        all = all && one == NADB_OK;
        if (one == NADB_OK && out == NONE)
            rc = nadb_fail(err, NADB_IOERR,
                           "redis server %s: shard %u has lost its part of the "
                           "transaction, because a replica that lacks it has "
                           "taken over; the other shards have committed theirs",
                           p->e->at.name, p->shard);
    }
    if (!all) atomic_store(&s->unfinished, true);
    if (all && others)
        (void)finish(x->decider->e, "forget", x->name, NULL, NULL);
    return rc;
}

/* Before the decision. Parts that cannot be dropped now are dropped when their
 * time is up. */
static void drop_all(txn *x) {
    for (unsigned i = 0; i < x->n; i++)
        if (x->parts[i].is_there)
            (void)finish(x->parts[i].e, "drop", x->name, NULL, NULL);
}

/* After an error: true if it is decided nevertheless. If not, it never will be;
 * if that cannot be asked, the next client finds out. */
static bool is_decided(txn *x) {
    redisReply *r = NULL;
    nadb_rc rc = finish(x->decider->e, "abandon", x->name, &r, NULL);
    bool yes = rc == NADB_OK && script_says(r, "commit");

    if (rc == NADB_OK && script_says(r, "abort")) drop_all(x);
    freeReplyObject(r);
    return yes;
}

static nadb_rc prepare_all(txn *x, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < x->n && rc == NADB_OK; i++) {
        shards_part *p = &x->parts[i];

        if (!p->changes) continue;
        rc = prepare(x, p, err);
        if (x->decider == p && !p->changes) x->decider = NULL;
    }
    for (unsigned i = 0; i < x->n && rc == NADB_OK && !x->undo; i++)
        rc = must_be_there(x, &x->parts[i], CHECK, err);
    return rc;
}

nadb_rc shards_do(shards *s, shards_part *parts, unsigned n, bool undo,
                  int64_t timeout_ms, nadb_err *err) {
    txn x = {.parts = parts, .n = n, .undo = undo, .timeout_ms = timeout_ms};
    nadb_rc rc;

    x.begin_ns = nadb_os_get()->mono_ns();
    nadb_err_clear(&x.missed);
    for (unsigned i = 0; i < n; i++) parts[i].is_there = false;
    rc = prepare_all(&x, err);
    if (rc != NADB_OK) {
        drop_all(&x);
    } else if (x.decider != NULL) {
        rc = must_be_there(&x, x.decider, DECIDE, err);
        if (rc == NADB_OK || is_decided(&x)) rc = apply_all(&x, err);
    }
    args_clear(&x.a);
    if (rc != NADB_OK || x.missed.rc == NADB_OK || undo) return rc;
    /* Too few replicas have it: it was committed, and is undone. */
    rc = shards_do(s, parts, n, true, timeout_ms, err);
    return nadb_fail(err, NADB_IOERR, "%.400s; it %s", x.missed.msg,
                     rc == NADB_OK
                         ? "was taken back"
                         : "is committed, but a failover may lose it");
}

/* --- ending transactions of other clients --- */

nadb_rc shards_end_txn(redis_engine *found_in, const char *name,
                       nadb_err *err) {
    shards *s = found_in->whole;
    unsigned long shard = strtoul(name, NULL, 10);
    redis_engine *decider = s->parts[shard < s->n ? shard : 0];
    redisReply *r = NULL;
    nadb_rc rc = finish(decider, "resolve", name, &r, err);
    bool decided = rc == NADB_OK && script_says(r, "commit");

    /* It is decided: apply it in all of these shards. */
    for (size_t i = 1; decided && rc == NADB_OK && i < r->elements; i++) {
        shard = (unsigned long)reply_number_or_0(r->element[i]);
        if (shard < s->n)
            rc = finish(s->parts[shard], "apply", name, NULL, err);
    }
    if (decided && rc == NADB_OK)
        rc = finish(decider, "forget", name, NULL, err);
    if (rc == NADB_OK && script_says(r, "abort"))
        rc = finish(found_in, "drop", name, NULL, err);
    freeReplyObject(r);
    return rc;
}

nadb_rc shards_end_all(redis_engine *e, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = finish(e, "list", "", &r, err);

    for (size_t i = 1; rc == NADB_OK && i < r->elements; i++)
        if (r->element[i]->type == REDIS_REPLY_STRING)
            rc = shards_end_txn(e, r->element[i]->str, err);
    freeReplyObject(r);
    return rc;
}

void shards_end_others(shards *s) {
    int64_t pause_ms = patience_ms(s->parts[0]) / ASKING;
    int64_t now;

    if (!atomic_load(&s->unfinished)) return;
    now = nadb_os_get()->mono_ns();
    if (now - atomic_load(&s->looked_ns) < pause_ms * 1000000) return;
    atomic_store(&s->looked_ns, now);
    atomic_store(&s->unfinished, false);
    /* A client that may only read leaves this to others. */
    for (unsigned i = 0; i < s->n; i++)
        if (shards_end_all(s->parts[i], NULL) != NADB_OK)
            atomic_store(&s->unfinished, true);
}
