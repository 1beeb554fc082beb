/* lease.c - one machine at a time buffers a namespace, and nobody writes to it
 * in another way meanwhile: it has a lease, which ends by the server's clock
 * unless it is renewed.
 *
 * It is asked for before the first commit, and then kept by the background
 * thread until the store is closed. When the server cannot be reached, commits
 * go on into the local log: nobody else can get the lease there either. Should
 * somebody else have it when the server is back, commits are refused, and what
 * is in the log waits until the lease is free.
 *
 * All processes that share the directory share the lease, through the words of
 * control. A token that is older than the server's is refused by the drain,
 * which then asks again. */
#include <inttypes.h>
#include <stdio.h>

#include "buffered.h"

static int64_t mono_ms(void) { return nadb_os_get()->mono_ns() / 1000000; }

static uint64_t word(const redis_base *b, int i) {
    return atomic_load(&b->env.words[i]);
}

static void set_word(redis_base *b, int i, uint64_t v) {
    atomic_store(&b->env.words[i], v);
}

bool redis_lease_due(const redis_base *b) {
    return word(b, WORD_TOKEN) == 0 ||
           (int64_t)word(b, WORD_UNTIL) - mono_ms() < b->lease_ms / 2;
}

nadb_rc redis_leased(const conn *c, const redisReply *r, nadb_err *err) {
    nadb_slice who = reply_slice(r->elements > 1 ? r->element[1] : NULL);
    uint64_t ms = reply_number_or_0(r->elements > 2 ? r->element[2] : NULL);

    return nadb_fail(err, NADB_BUSY,
                     "redis server %s: %.*s buffers what it writes to this "
                     "namespace (write=buffered), and nobody else can write "
                     "to it until it is closed there, or for %llu s after "
                     "that machine has stopped",
                     conn_name(c), who.n > 200 ? 200 : (int)who.n,
                     who.n == 0 ? "" : (const char *)who.p,
                     (unsigned long long)((ms + 999) / 1000));
}

static void ask(redis_base *b, args *a, const char *what) {
    script_begin(a, redis_prefix(b->e));
    args_text(a, what);
    args_text(a, b->owner);
    args_number(a, (int64_t)word(b, WORD_TOKEN));
    args_number(a, b->lease_ms);
    args_text(a, b->who);
}

static bool number_at(const redisReply *r, size_t i, uint64_t *out) {
    int64_t v;
    bool is_number = reply_number(r->element[i], &v);

    *out = is_number ? (uint64_t)v : 0;
    return is_number;
}

nadb_rc redis_lease_take(redis_base *b, conn *c, nadb_place_in_log *mark,
                         nadb_err *err) {
    int64_t begin = mono_ms();
    nadb_place_in_log place = {0, 0};
    redisReply *r = NULL;
    uint64_t token = 0;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    ask(b, &a, "take");
    rc = script_call(b->e->scripts, c, SCRIPT_LEASE, &a, &r, err);
    if (rc == NADB_OK && script_says(r, "leased")) {
        set_word(b, WORD_STATE, LEASE_REFUSED);
        set_word(b, WORD_TOKEN, 0);
        rc = redis_leased(c, r, err);
    } else if (rc == NADB_OK &&
               (!script_says(r, "ok") || r->elements != 4 ||
                !number_at(r, 1, &token) || !number_at(r, 2, &place.log) ||
                !number_at(r, 3, &place.off))) {
        rc = conn_confused(c, err);
    } else if (rc == NADB_OK) {
        set_word(b, WORD_UNTIL, (uint64_t)(begin + b->lease_ms));
        set_word(b, WORD_TOKEN, token);
        set_word(b, WORD_STATE, LEASE_ASKED);
        if (mark != NULL) *mark = place;
    }
    freeReplyObject(r);
    args_clear(&a);
    return rc;
}

/* Commits wait for the answer just once, and where it was a refusal. */
static nadb_rc ask_first(redis_base *b, nadb_err *err) {
    nadb_err mine;
    conn *c = NULL;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = pool_take(b->e->pool, &c, &mine);
    if (rc == NADB_OK) rc = redis_lease_take(b, c, NULL, &mine);
    pool_give(b->e->pool, c);
    if (rc == NADB_IOERR && word(b, WORD_STATE) != LEASE_REFUSED) {
        set_word(b, WORD_STATE, LEASE_ASKED);
        return NADB_OK;
    }
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

nadb_rc redis_admit(nadb_base *base, const nadb_commit_req *req,
                    nadb_err *err) {
    redis_base *b = (redis_base *)base;

    if (req->count > REDIS_COMMIT_KEYS || req->bytes > REDIS_COMMIT_BYTES)
        return nadb_fail(err, NADB_TOOBIG,
                         "the transaction changes %zu keys with %zu bytes: on "
                         "Redis at most %u keys and %u MB can be committed at "
                         "once",
                         req->count, req->bytes, REDIS_COMMIT_KEYS,
                         REDIS_COMMIT_BYTES >> 20);
    if (word(b, WORD_STATE) == LEASE_ASKED) return NADB_OK;
    return ask_first(b, err);
}

void redis_leave(nadb_base *base) {
    redis_base *b = (redis_base *)base;
    redisReply *r = NULL;
    conn *c = NULL;
    args a;

    if (word(b, WORD_TOKEN) == 0 || pool_take(b->e->pool, &c, NULL) != NADB_OK)
        return;
    memset(&a, 0, sizeof a);
    ask(b, &a, "give");
    /* Where this fails the lease ends by its time. */
    if (script_call(b->e->scripts, c, SCRIPT_LEASE, &a, &r, NULL) == NADB_OK)
        set_word(b, WORD_TOKEN, 0);
    set_word(b, WORD_STATE, LEASE_UNASKED);
    freeReplyObject(r);
    args_clear(&a);
    pool_give(b->e->pool, c);
}
