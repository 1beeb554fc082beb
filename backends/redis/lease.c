/* lease.c - the lease: one machine at a time buffers a namespace, and no other
 * client writes to it meanwhile. It ends by the server's clock unless it is
 * renewed.
 *
 * The lease is taken before the first commit; the background thread keeps it
 * until the store is closed. If the server cannot be reached, commits go into
 * the local log. If another owner has the lease when the server is back,
 * commits are refused, and the log waits until the lease is free.
 *
 * Other clients may then have written. Transactions in the log are still sent
 * if no other client has written their keys since the owner last had the lease
 * (drain.c). What was read here before is no longer valid
 * (nadb_remote_ops.is_stale).
 *
 * All processes that share the directory share the lease through words in
 * control. The drain script refuses a token that is older than the server's;
 * the client then asks again. */
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

/* Clears and sets bits of the state. */
static void change_state(redis_base *b, uint64_t off, uint64_t on) {
    uint64_t v = word(b, WORD_STATE);

    while (!atomic_compare_exchange_weak(&b->env.words[WORD_STATE], &v,
                                         (v & ~off) | on)) {}
}

static void set_state(redis_base *b, uint64_t what) {
    change_state(b, LEASE_WHAT, what);
}

static uint64_t state(const redis_base *b) {
    return word(b, WORD_STATE) & LEASE_WHAT;
}

bool redis_is_stale(nadb_base *base) {
    return (word((redis_base *)base, WORD_STATE) & LEASE_STALE) != 0;
}

uint64_t redis_epoch(nadb_base *base) {
    return word((redis_base *)base, WORD_STATE) / LEASE_EPOCH;
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
                     "namespace (write=buffered): no other client can write to "
                     "it until the store is closed there, or for %llu s after "
                     "that machine has stopped",
                     conn_name(c), who.n > 200 ? 200 : (int)who.n,
                     who.n == 0 ? "" : (const char *)who.p,
                     (unsigned long long)((ms + 999) / 1000));
}

/* Adds the arguments; `what`: see lua/lease.lua. */
static void ask(redis_base *b, args *a, const char *what) {
    script_begin(a, redis_prefix(b->e));
    args_text(a, what);
    args_text(a, b->owner);
    args_number(a, (int64_t)word(b, WORD_TOKEN));
    args_number(a, b->lease_ms);
    args_text(a, b->who);
    args_text(a, b->is_new && state(b) == LEASE_UNASKED ? "" : "1");
}

static bool number_at(const redisReply *r, size_t i, uint64_t *out) {
    int64_t v;
    bool is_number = reply_number(r->element[i], &v);

    *out = is_number ? (uint64_t)v : 0;
    return is_number;
}

/* Takes the answer to "take" or "sync". */
static nadb_rc take_answer(redis_base *b, conn *c, const redisReply *r,
                           int64_t begin_ms, nadb_place_in_log *mark,
                           nadb_err *err) {
    nadb_place_in_log place = {0, 0};
    uint64_t token = 0;

    if (script_says(r, "leased")) {
        set_state(b, LEASE_REFUSED);
        set_word(b, WORD_TOKEN, 0);
        return redis_leased(c, r, err);
    }
    if (!script_says(r, "ok") || r->elements != 5 || !number_at(r, 1, &token) ||
        !number_at(r, 2, &place.log) || !number_at(r, 3, &place.off))
        return conn_confused(c, err);
    set_word(b, WORD_UNTIL, (uint64_t)(begin_ms + b->lease_ms));
    set_word(b, WORD_TOKEN, token);
    set_state(b, LEASE_ASKED);
    if (reply_slice(r->element[4]).n > 0) change_state(b, 0, LEASE_STALE);
    if (mark != NULL) *mark = place;
    return NADB_OK;
}

static nadb_rc call(redis_base *b, conn *c, const char *what,
                    nadb_place_in_log *mark, nadb_err *err) {
    int64_t begin = mono_ms();
    redisReply *r = NULL;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    ask(b, &a, what);
    rc = script_call(b->e->scripts, c, SCRIPT_LEASE, &a, &r, err);
    if (rc == NADB_OK) rc = take_answer(b, c, r, begin, mark, err);
    freeReplyObject(r);
    args_clear(&a);
    return rc;
}

nadb_rc redis_lease_take(redis_base *b, conn *c, nadb_place_in_log *mark,
                         nadb_err *err) {
    return call(b, c, "take", mark, err);
}

nadb_rc redis_fresh(nadb_base *base, nadb_err *err) {
    redis_base *b = (redis_base *)base;
    conn *c = NULL;
    nadb_rc rc = pool_take(b->e->pool, &c, err);

    if (rc != NADB_OK) return rc;
    rc = call(b, c, "sync", NULL, err);
    if (rc == NADB_OK) {
        uint64_t v = word(b, WORD_STATE);

        /* Raises the epoch in one step. */
        while (!atomic_compare_exchange_weak(&b->env.words[WORD_STATE], &v,
                                             (v & ~(uint64_t)LEASE_STALE) +
                                                 LEASE_EPOCH)) {}
        b->careful = false;
    }
    pool_give(b->e->pool, c);
    return rc;
}

/* If the server cannot be asked, the next attempt is when a lease would end. */
static nadb_rc ask_now(redis_base *b, nadb_err *err) {
    nadb_err mine;
    conn *c = NULL;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = pool_take(b->e->pool, &c, &mine);
    if (rc == NADB_OK) rc = redis_lease_take(b, c, NULL, &mine);
    pool_give(b->e->pool, c);
    if (rc == NADB_IOERR && state(b) != LEASE_REFUSED) {
        if (state(b) == LEASE_UNASKED) set_state(b, LEASE_BLIND);
        set_word(b, WORD_TOKEN, 0);
        set_word(b, WORD_UNTIL, (uint64_t)(mono_ms() + b->lease_ms));
        return NADB_OK;
    }
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

/* True if by our clock the lease is ours, or the server could not be asked
 * recently. */
static bool is_asked(const redis_base *b) {
    return (state(b) == LEASE_ASKED || state(b) == LEASE_BLIND) &&
           mono_ms() < (int64_t)word(b, WORD_UNTIL);
}

nadb_rc redis_admit(nadb_base *base, const nadb_commit_req *req,
                    nadb_err *err) {
    redis_base *b = (redis_base *)base;

    if (req != NULL &&
        (req->count > REDIS_COMMIT_KEYS || req->bytes > REDIS_COMMIT_BYTES))
        return nadb_fail(err, NADB_TOOBIG,
                         "the transaction changes %zu keys with %zu bytes: on "
                         "Redis at most %u keys and %u MB can be committed at "
                         "once",
                         req->count, req->bytes, REDIS_COMMIT_KEYS,
                         REDIS_COMMIT_BYTES >> 20);
    return is_asked(b) ? NADB_OK : ask_now(b, err);
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
    /* On failure the lease ends by its time. */
    if (script_call(b->e->scripts, c, SCRIPT_LEASE, &a, &r, NULL) == NADB_OK)
        set_word(b, WORD_TOKEN, 0);
    set_state(b, LEASE_UNASKED);
    freeReplyObject(r);
    args_clear(&a);
    pool_give(b->e->pool, c);
}
