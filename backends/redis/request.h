/* request.h - what a transaction asks a server to do, gathered before a
 * connection is taken, and what the server answered. */
#ifndef NADB_REDIS_REQUEST_H
#define NADB_REDIS_REQUEST_H

#include "engine.h"

/* "<shard>-<random>-<ms>-<ms>": a transaction over several shards
 * (lua/finish.lua)
 */
#define REDIS_TXN_MAX 64

/* Used again when it was small: a commit of a row then allocates nothing. */
struct redis_ticket {
    redisReply *reply; /* of the commit script; NULL: lost */
    redis_view *view;  /* of the transaction; may be NULL */
    uint64_t version;
    uint64_t limit; /* of the store, or its shard; 0: none */
    bool clear, reads_all;
    uint32_t claim;
    size_t count, bytes;           /* of changes */
    nadb_buf keys;                 /* each change: op 'p' or 'd', blob key */
    char waits_for[REDIS_TXN_MAX]; /* a transaction that holds a key; or "" */
    /* As lua/lib/request.lua has them: */
    args read_keys, read_ranges, changes;
    size_t n_ranges;
    bool puts;
    bool plain; /* the last put has neither tags nor expiry */
    args all;   /* of the script */
    nadb_buf scratch;
};

/* A ticket for a request, or a part of it: what it borrows must last until it
 * was sent. */
nadb_rc redis_ticket_new(redis_engine *e, const nadb_commit_req *req,
                         nadb_view *view, redis_ticket **out,
                         nadb_err *err) NADB_MUST_USE;
void redis_ticket_read(redis_ticket *t, const nadb_range *r);
/* NADB_TOOBIG: it is more than can be committed at once. */
nadb_rc redis_ticket_change(redis_ticket *t, const nadb_entry *x,
                            nadb_err *err) NADB_MUST_USE;
/* After the last of them. */
nadb_rc redis_ticket_check(const redis_ticket *t, nadb_err *err) NADB_MUST_USE;
/* All that the request has. */
nadb_rc redis_ticket_fill(redis_ticket *t, const nadb_commit_req *req,
                          nadb_err *err) NADB_MUST_USE;
void redis_ticket_drop(redis_engine *e, redis_ticket *t); /* NULL is fine */

/* A read of one key, not of more. */
static inline bool nadb_range_is_key(const nadb_range *r) {
    return r->hi.p != NULL && r->lo.n > 0 && r->hi.n == r->lo.n + 1 &&
           r->hi.p[r->lo.n] == 0 && nadb_slice_starts(r->hi, r->lo);
}

/* Adds, behind writer, number, deadline and server, the request. `txn` is "" or
 * the name of the transaction whose part it is. */
void redis_add_request(redis_engine *e, args *a, const redis_ticket *t,
                       const char *txn);
/* What it has read, alone. */
void redis_add_reads(redis_engine *e, args *a, const redis_ticket *t,
                     const char *txn);
/* What takes it back. */
void redis_add_undo(args *a, const redis_ticket *t, const char *txn);

/* What an answer says when it is none of success. *wait: somebody else is in
 * the way, in t->waits_for if that is a transaction over several shards. */
nadb_rc redis_take_refusal(conn *c, redis_ticket *t, const redisReply *r,
                           bool *wait, nadb_err *err);
/* Takes the answer of a commit script, success too. */
nadb_rc redis_take_answer(conn *c, redis_ticket *t, const redisReply *r,
                          bool *wait, nadb_err *err);
/* The same of an answer to what redis_add_undo() has asked for. */
nadb_rc redis_take_undone(conn *c, const redis_ticket *t, const redisReply *r,
                          nadb_err *err);
nadb_rc redis_not_undone(const char *server, const char *why, nadb_err *err);

/* Whatever has become of the changes: what was read before says nothing. */
void redis_forget_changes(redis_engine *e, const redis_ticket *t);

#endif
