/* request.h - what a transaction asks a server to do, collected before a
 * connection is taken; and the server's answer. */
#ifndef NADB_REDIS_REQUEST_H
#define NADB_REDIS_REQUEST_H

#include "engine.h"

/* Name of a transaction over several shards: "<shard>-<random>-<ms>-<ms>"
 * (lua/finish.lua). */
#define REDIS_TXN_MAX 64

/* A small ticket is kept for reuse, so that a commit of one row allocates
 * nothing. */
struct redis_ticket {
    redisReply *reply; /* the commit script's answer; NULL: lost */
    redis_view *view;  /* of the transaction; may be NULL */
    uint64_t version;
    uint64_t limit; /* size limit of the store or shard; 0: none */
    bool clear, reads_all;
    uint32_t claim;
    size_t count, bytes; /* of changes */
    nadb_buf keys; /* for each change: op 'p' or 'd', then the key as a blob */
    char waits_for[REDIS_TXN_MAX]; /* the transaction that holds a key; or "" */
    /* In the form of lua/lib/request.lua: */
    args read_keys, read_ranges, changes;
    size_t n_ranges;
    bool puts;
    bool plain; /* the last put has neither tags nor expiry */
    args all;   /* arguments of the script */
    nadb_buf scratch;
};

/* Makes a ticket for a request, or for a part of it. What it borrows must last
 * until it was sent. */
nadb_rc redis_ticket_new(redis_engine *e, const nadb_commit_req *req,
                         nadb_view *view, redis_ticket **out,
                         nadb_err *err) NADB_MUST_USE;
void redis_ticket_read(redis_ticket *t, const nadb_range *r);
/* Adds a change. NADB_TOOBIG: more than can be committed at once. */
nadb_rc redis_ticket_change(redis_ticket *t, const nadb_entry *x,
                            nadb_err *err) NADB_MUST_USE;
/* Adds everything in the request. */
nadb_rc redis_ticket_fill(redis_ticket *t, const nadb_commit_req *req,
                          nadb_err *err) NADB_MUST_USE;
void redis_ticket_drop(redis_engine *e, redis_ticket *t); /* NULL is fine */

/* True if the range is one key. */
static inline bool nadb_range_is_key(const nadb_range *r) {
    return r->hi.p != NULL && r->lo.n > 0 && r->hi.n == r->lo.n + 1 &&
           r->hi.p[r->lo.n] == 0 && nadb_slice_starts(r->hi, r->lo);
}

static inline bool redis_ticket_changes(const redis_ticket *t) {
    return t != NULL && (t->clear || t->count > 0);
}

/* Adds the request behind writer, number, deadline and server. `txn`: "" or the
 * name of the transaction over several shards of which it is a part. `checks`,
 * for such a part: the request has no changes; the server checks what was read
 * and, if the part has changes, that it was prepared. */
void redis_add_request(redis_engine *e, args *a, const redis_ticket *t,
                       const char *txn, bool checks);
/* Adds what undoes the changes. */
void redis_add_undo(args *a, const redis_ticket *t, const char *txn);

/* Converts an answer that reports no success. *wait: another client is in the
 * way; if that is a transaction over several shards, its name is in
 * t->waits_for. */
nadb_rc redis_take_refusal(conn *c, redis_ticket *t, const redisReply *r,
                           bool *wait, nadb_err *err);
/* Converts the answer of a commit script, including success. */
nadb_rc redis_take_answer(conn *c, redis_ticket *t, const redisReply *r,
                          bool *wait, nadb_err *err);
/* Converts the answer to redis_add_undo(). */
nadb_rc redis_take_undone(conn *c, const redis_ticket *t, const redisReply *r,
                          nadb_err *err);
nadb_rc redis_not_undone(const char *server, const char *why, nadb_err *err);

/* Drops cached rows of the changed keys, whatever the outcome. */
void redis_forget_changes(redis_engine *e, const redis_ticket *t);

#endif
