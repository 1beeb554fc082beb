/* claim.c - claims: keep other writers from a key that an autocommit statement
 * reads and will change, so that it does not conflict.
 *
 * A claim is an entry in a hash on the server, with a token and an end, after
 * which it is ignored; so a claimer that dies delays other writers no longer.
 * Claims only make writers wait: correctness does not depend on them. The row
 * comes in the same answer. */
#include <stdio.h>

#include "engine.h"

/* Not longer than other writers wait for it. */
#define CLAIM_MS 2000

/* A copy of the claimed key, or NULL. */
static char *copy_key(nadb_slice key) {
    char *p = nadb_malloc(key.n + 1);

    if (p != NULL && key.n > 0) memcpy(p, key.p, key.n);
    return p;
}

/* Takes a free entry of the table; 0 if there is none. */
static uint32_t place_take(redis_engine *e, nadb_slice key) {
    char *copy = copy_key(key);
    uint32_t claim = 0;

    nadb_lock(&e->lock);
    for (uint32_t i = 0; i < REDIS_CLAIMS && claim == 0 && copy != NULL; i++) {
        redis_claim *x = &e->claims[i];

        if (x->key != NULL) continue;
        x->key = copy;
        x->key_n = key.n;
        x->released = false;
        nadb_os_get()->random(&x->token, sizeof x->token);
        copy = NULL;
        claim = i + 1;
    }
    nadb_unlock(&e->lock);
    nadb_free(copy);
    return claim;
}

/* Copies an entry; place_drop() frees its key. */
static redis_claim place_get(redis_engine *e, uint32_t claim) {
    redis_claim x;

    nadb_lock(&e->lock);
    x = e->claims[claim - 1];
    nadb_unlock(&e->lock);
    return x;
}

static void place_drop(redis_engine *e, uint32_t claim) {
    nadb_lock(&e->lock);
    nadb_free(e->claims[claim - 1].key);
    e->claims[claim - 1].key = NULL;
    nadb_unlock(&e->lock);
}

static void add_token(args *a, const redis_claim *x) {
    char token[24];

    snprintf(token, sizeof token, "%016llx", (unsigned long long)x->token);
    args_copy(a, nadb_slice_str(token));
}

static nadb_rc ask(redis_engine *e, script_id id, const redis_claim *x,
                   const nadb_caller *caller, conn **c, redisReply **out,
                   nadb_err *err) {
    patience until;
    args a;
    nadb_rc rc;

    patience_begin(&until, e->at.timeout_ms, caller);
    until.takes_any = true;
    rc = pool_take_for(e->pool, &until, c, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(e));
    add_token(&a, x);
    args_add(&a, nadb_slice_of(x->key, x->key_n));
    if (id == SCRIPT_CLAIM) args_number(&a, CLAIM_MS);
    rc = script_call(e->scripts, *c, id, &a, out, err);
    args_clear(&a);
    return rc;
}

/* Asks once. The answer to a granted claim has the view's state and the row. */
static nadb_rc ask_claim(redis_engine *e, const redis_claim *x, redis_view *v,
                         nadb_slice key, bool *granted, nadb_err *err) {
    redisReply *r = NULL;
    conn *c = NULL;
    nadb_rc rc = ask(e, SCRIPT_CLAIM, x, v->base.caller, &c, &r, err);

    *granted = rc == NADB_OK && script_says(r, "ok");
    if (*granted) rc = redis_take_claimed(e, c, v, key, r, err);
    pool_give(e->pool, c);
    /* A transaction over several shards holds the key, and its time may be
     * up. */
    if (rc == NADB_OK && script_says(r, "locked") && r->elements == 3 &&
        r->element[2]->type == REDIS_REPLY_STRING && e->end_txn != NULL)
        rc = e->end_txn(e, r->element[2]->str, err);
    freeReplyObject(r);
    return rc;
}

static nadb_rc stopped(const nadb_view *v, nadb_err *err) {
    if (v->caller == NULL || !v->caller->stopped(v->caller->ctx))
        return NADB_OK;
    return nadb_fail(err, NADB_INTERRUPT, "interrupted");
}

nadb_rc redis_take_claim(nadb_engine *engine, nadb_view *view, nadb_slice key,
                         int64_t timeout_ms, uint32_t *claim, nadb_err *err) {
    redis_engine *e = (redis_engine *)engine;
    int64_t end = nadb_os_get()->mono_ns() + timeout_ms * 1000000;
    bool granted = false;
    uint32_t place;
    nadb_rc rc = NADB_OK;

    *claim = 0;
    if (key.n == 0 || key.p[0] != NADB_KS_ROW) return NADB_OK;
    place = place_take(e, nadb_slice_of(key.p + 1, key.n - 1));
    if (place == 0) return NADB_OK;
    for (;;) {
        redis_claim x = place_get(e, place);

        rc = ask_claim(e, &x, (redis_view *)view, key, &granted, err);
        if (rc != NADB_OK || granted || nadb_os_get()->mono_ns() > end) break;
        rc = stopped(view, err);
        if (rc != NADB_OK) break;
        redis_pause();
    }
    if (granted)
        *claim = place;
    else
        place_drop(e, place);
    return rc;
}

void redis_unclaim(nadb_engine *engine, uint32_t claim) {
    redis_engine *e = (redis_engine *)engine;
    redisReply *r = NULL;
    conn *c = NULL;

    if (claim == 0 || claim > REDIS_CLAIMS) return;
    redis_claim x = place_get(e, claim);

    /* Errors are ignored, because the claim ends by its time. */
    if (!x.released && !pool_is_down(e->pool))
        (void)ask(e, SCRIPT_UNCLAIM, &x, NULL, &c, &r, NULL);
    freeReplyObject(r);
    pool_give(e->pool, c);
    place_drop(e, claim);
}

void redis_add_claim(redis_engine *e, args *a, uint32_t claim) {
    redis_claim x;

    if (claim == 0 || claim > REDIS_CLAIMS) {
        args_text(a, "");
        args_text(a, "");
        return;
    }
    x = place_get(e, claim);
    add_token(a, &x);
    args_add(a, nadb_slice_of(x.key, x.key_n));
}

void redis_claim_released(redis_engine *e, uint32_t claim) {
    if (claim == 0 || claim > REDIS_CLAIMS) return;
    nadb_lock(&e->lock);
    e->claims[claim - 1].released = true;
    nadb_unlock(&e->lock);
}
