/* shards_txn.c - a transaction over several shards: executed completely or not
 * at all, even if its client dies in the middle.
 *
 *   prepare  in each shard that is changed, in their order: the changes are
 *            checked and stored there as an intent, and their keys are locked
 *            (commit.lua)
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
    shards *s;
    redis_ticket **parts; /* by shard; NULL: not concerned */
    bool undo;
    int64_t timeout_ms;       /* of waiting for other clients */
    bool waits;               /* one is in the way */
    char name[REDIS_TXN_MAX]; /* "": nothing is to be decided */
    unsigned decider;         /* the first shard that is changed */
    unsigned sent;   /* shards below it may have an intent; others have none */
    unsigned lost;   /* a shard that has lost its part, counted from 1; or 0 */
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
    nadb_rc rc = script_run(e->scripts, e->pool, NULL, redis_prefix(e),
                            SCRIPT_FINISH, texts, &r, err);

    if (out == NULL)
        freeReplyObject(r);
    else
        *out = r;
    return rc;
}

/* --- the steps --- */

typedef enum step { PREPARE, CHECK, DECIDE, APPLY } step;

/* Makes the name, with the clock of the deciding server. */
static void make_name(txn *x, unsigned i, const conn *c) {
    int64_t ms = patience_ms(x->s->parts[i]);
    uint64_t chance = 0;

    x->decider = i;
    nadb_os_get()->random(&chance, sizeof chance);
    snprintf(x->name, sizeof x->name, "%u-%016" PRIx64 "-%" PRId64 "-%" PRId64,
             i, chance, conn_server_ms(c) + ms / ASKING,
             conn_server_ms(c) + ms);
}

/* Takes the answer, and keeps *r if an undo needs it. *r is NULL if the script
 * was executed but the answer is lost. */
static nadb_rc take(txn *x, unsigned i, step s, conn *c, redisReply **r,
                    nadb_err *err) {
    redis_ticket *t = x->parts[i];
    bool none = script_says(*r, "none"); /* the part does not exist */
    nadb_rc rc;

    x->waits = false;
    if (*r == NULL || script_says(*r, "done")) return NADB_OK;
    if (none && s == APPLY) {
        x->lost = i + 1;
        return NADB_OK;
    }
    if (none)
        return nadb_fail(err, NADB_BUSY,
                         "redis server %s: the transaction was given up: it "
                         "took too long, or a server that lacks its part has "
                         "taken over: try again",
                         conn_name(c));
    if (s >= DECIDE && x->undo) return redis_take_undone(c, t, *r, err);
    if (s >= DECIDE) {
        rc = redis_take_answer(c, t, *r, &x->waits, err);
        if (rc == NADB_OK && x->waits) rc = conn_confused(c, err);
        if (rc != NADB_OK) return rc;
        t->reply = *r;
        *r = NULL;
        return NADB_OK;
    }
    if (x->undo && script_says(*r, "gone")) {
        if (x->decider == i) x->name[0] = '\0';
        redis_undone(x->s->parts[i], t, true);
        x->parts[i] = NULL;
        return NADB_OK;
    }
    rc = redis_take_refusal(c, t, *r, &x->waits, err);
    /* A client that waits while it holds locks could wait for one that waits
     * for it. */
    if (rc == NADB_OK && x->waits && s == CHECK)
        return nadb_fail(err, NADB_CONFLICT,
                         "another transaction is about to change what this one "
                         "has read: roll back and retry");
    if (rc == NADB_OK && !x->waits &&
        !script_says(*r, s == CHECK ? "there" : "ok"))
        rc = conn_confused(c, err);
    return rc;
}

static nadb_rc do_step(txn *x, unsigned i, step s, nadb_err *err) {
    redis_engine *e = x->s->parts[i];
    redis_ticket *t = x->parts[i];
    redisReply *r = NULL;
    bool missed;
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    if (x->name[0] == '\0' && s == PREPARE) make_name(x, i, c);
    redis_once_begin(e, c, &x->a);
    if (s <= CHECK && x->undo) {
        redis_add_undo(&x->a, t, x->name);
    } else if (s <= CHECK) {
        redis_add_request(e, &x->a, t, x->name, s == CHECK);
    } else {
        args_text(&x->a, s == DECIDE ? "decide" : "apply");
        args_text(&x->a, x->name);
        for (unsigned k = i + 1; s == DECIDE && k < x->sent; k++)
            if (redis_ticket_changes(x->parts[k])) args_number(&x->a, k);
    }
    rc = redis_once(e, c, s >= DECIDE ? SCRIPT_FINISH : SCRIPT_COMMIT, &x->a,
                    &r, &t->version, &missed, err);
    if (missed && s >= DECIDE) {
        x->missed = *err;
        rc = NADB_OK;
    }
    if (rc == NADB_OK) rc = take(x, i, s, c, &r, err);
    freeReplyObject(r);
    pool_give(e->pool, c);
    return rc;
}

/* Prepares and checks. */
static nadb_rc prepare_all(txn *x, nadb_err *err) {
    int64_t begin = nadb_os_get()->mono_ns();
    nadb_rc rc = NADB_OK;

    for (unsigned i = 0; i < x->s->n && rc == NADB_OK; i++) {
        x->waits = redis_ticket_changes(x->parts[i]);
        if (x->waits) x->sent = i + 1;
        while (rc == NADB_OK && x->waits) {
            rc = do_step(x, i, PREPARE, err);
            if (rc == NADB_OK && x->waits)
                rc = redis_wait_for_others(x->s->parts[i], x->parts[i], begin,
                                           x->timeout_ms, err);
        }
    }
    for (unsigned i = 0; i < x->s->n && rc == NADB_OK && !x->undo; i++)
        if (x->parts[i] != NULL) rc = do_step(x, i, CHECK, err);
    return rc;
}

/* After the decision. A shard that cannot be reached now applies its part when
 * a client comes there. */
static void apply_all(txn *x) {
    bool all = true;
    nadb_err why;

    for (unsigned i = x->decider + 1; i < x->sent; i++)
        if (redis_ticket_changes(x->parts[i]) &&
            do_step(x, i, APPLY, &why) != NADB_OK)
            all = do_step(x, i, APPLY, &why) == NADB_OK && all;
    if (!all)
        atomic_store(&x->s->unfinished, true);
    else if (x->decider + 1 < x->sent)
        (void)finish(x->s->parts[x->decider], "forget", x->name, NULL, NULL);
}

/* Before a decision that will never come. Parts that cannot be dropped now are
 * dropped when their time is up. */
static void drop_all(txn *x) {
    for (unsigned i = 0; i < x->sent; i++)
        if (redis_ticket_changes(x->parts[i]))
            (void)finish(x->s->parts[i], "drop", x->name, NULL, NULL);
}

/* After an error the shard is asked whether it is decided; if that fails, too,
 * the next client finds out. */
static nadb_rc decide(txn *x, nadb_err *err) {
    redis_engine *e = x->s->parts[x->decider];
    redisReply *r = NULL;
    nadb_rc rc = do_step(x, x->decider, DECIDE, err);

    if (rc == NADB_OK || finish(e, "drop", x->name, &r, NULL) != NADB_OK)
        return rc;
    if (script_says(r, "abort")) drop_all(x);
    if (script_says(r, "commit")) rc = NADB_OK;
    if (rc == NADB_OK && e->at.wait > 0)
        (void)nadb_fail(&x->missed, NADB_IOERR,
                        "redis server %s: how many replicas have the "
                        "transaction is not known",
                        e->at.name);
    freeReplyObject(r);
    return rc;
}

static nadb_rc do_all(txn *x, nadb_err *err) {
    nadb_err why;
    nadb_rc rc = prepare_all(x, err);

    if (rc != NADB_OK) {
        drop_all(x);
    } else if (x->name[0] != '\0') {
        rc = decide(x, err);
        if (rc == NADB_OK) apply_all(x);
    }
    args_clear(&x->a);
    if (x->lost > 0)
        return nadb_fail(err, NADB_IOERR,
                         "redis server %s: shard %u has lost its part of the "
                         "transaction, because a replica that lacks it has "
                         "taken over; the other shards have committed theirs",
                         x->s->parts[x->lost - 1]->at.name, x->lost - 1);
    if (rc != NADB_OK || x->missed.rc == NADB_OK || x->undo) return rc;
    /* Too few replicas have it: it was committed, and is undone. */
    nadb_err_clear(&why);
    rc = shards_do(x->s, x->parts, true, x->timeout_ms, &why);
    return redis_taken_back(&x->missed, rc, &why, err);
}

nadb_rc shards_do(shards *s, redis_ticket **parts, bool undo,
                  int64_t timeout_ms, nadb_err *err) {
    txn x = {.s = s, .parts = parts, .undo = undo, .timeout_ms = timeout_ms};
    unsigned n = 0, at = 0;
    nadb_err why;
    nadb_rc rc;

    for (unsigned i = 0; i < s->n; i++) {
        if (parts[i] == NULL) continue;
        n++;
        at = i;
        /* An error, because the old rows are unknown. */
        if (undo && redis_ticket_changes(parts[i]) && parts[i]->reply == NULL)
            return redis_undo(s->parts[i], parts[i], err);
    }
    if (n == 1 && redis_ticket_changes(parts[at]))
        return undo ? redis_undo(s->parts[at], parts[at], err)
                    : redis_prepare_ticket(s->parts[at], parts[at], timeout_ms,
                                           err);
    nadb_err_clear(&x.missed);
    rc = do_all(&x, err == NULL ? &why : err);
    for (unsigned i = 0; i < s->n && !undo; i++) {
        if (!redis_ticket_changes(parts[i])) continue;
        redis_forget_changes(s->parts[i], parts[i]);
        if (rc == NADB_OK) redis_committed(s->parts[i], parts[i]);
    }
    return rc;
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
    if (rc == NADB_OK && script_says(r, "abort") && found_in != decider)
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
