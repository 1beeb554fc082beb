/* script.h - calls the Lua scripts that run in the server. Each is lua/X.lua,
 * made of parts in lua/lib; its first lines list arguments and answers.
 *
 * Everything that must be atomic is one script. All keys of a store have one
 * hash tag, so they are in one slot of a cluster. A script reads all that it
 * will change before its first write, so that an error (a key of a foreign
 * type) occurs before anything is changed; and its first write is one that a
 * full server refuses.
 *
 * A script that changes rows gets the name of its writer, a number that rises
 * with each call, and a deadline in the server's time:
 *
 *   - after the deadline it does nothing ("late"), so that a server that was
 *     paused does not execute it after its client has given up;
 *   - SCRIPT_FENCE tells whether a number was executed, and if not, ensures
 * that it never will be. That resolves an unknown outcome.
 *
 * docs/format.md, "Redis", has the layout of the keys. */
#ifndef NADB_REDIS_SCRIPT_H
#define NADB_REDIS_SCRIPT_H

#include "pool.h"

typedef enum script_id {
    SCRIPT_COMMIT,
    SCRIPT_FINISH,
    SCRIPT_FENCE,
    SCRIPT_MARK,
    SCRIPT_CLAIM,
    SCRIPT_UNCLAIM,
    SCRIPT_CLEAN,
    SCRIPT_SWEEP,
    SCRIPT_CHECK,
    SCRIPT_MEND,
    SCRIPT_WIPE,
    SCRIPT_MATCH,
    SCRIPT_TAG,
    SCRIPT_COUNTS,
    SCRIPT_EXPIRY,
    SCRIPT_LEASE,
    SCRIPT_DRAIN,
    SCRIPT_TOTALS,
    SCRIPT_SUMS,
    SCRIPT_SINCE,
    SCRIPT_EVICT,
    SCRIPT_COUNT
} script_id;

/* Layout of the keys on the server. Layout 1 had no sets of tags, 2 no epochs;
 * in 3 a row was a hash. */
#define SCRIPT_LAYOUT "4"
/* Value of `held` in `meta` while there are locks without an end. */
#define SCRIPT_FOREVER "9007199254740991"
/* The answer of a commit to a shard that does not exist. */
#define SCRIPT_NO_LAYOUT "-"

/* The scripts' names on the server, which the server computes. */
typedef struct script_names {
    /* guards the field below; only a pool's lock is held when it is taken */
    nadb_mutex lock;
    char sha[SCRIPT_COUNT][41]; /* "": not known yet */
} script_names;

/* Begins *a with the arguments of every script; the caller adds the others and
 * calls script_call(). `prefix` ("nadb:{..}:") must outlive the call. */
void script_begin(args *a, nadb_slice prefix);
/* Calls the script by name, or with its text if the server does not know it.
 * The caller frees *out, also on error. */
nadb_rc script_call(script_names *names, conn *c, script_id id, args *a,
                    redisReply **out, nadb_err *err) NADB_MUST_USE;

/* Calls a script on a connection of its own. `caller` (may be NULL) can stop
 * it. Its arguments are texts, ended by NULL; "$" stands for the server's name.
 * The caller frees *out, also on error. If the answer begins with "ok", as many
 * replicas as option wait demands have acknowledged what the script has
 * written. */
nadb_rc script_run(script_names *names, pool *p, const nadb_caller *caller,
                   nadb_slice prefix, script_id id, const char *const list[],
                   redisReply **out, nadb_err *err) NADB_MUST_USE;

/* script_call() in two halves. */
nadb_rc script_send(script_names *names, conn *c, script_id id, args *a,
                    nadb_err *err) NADB_MUST_USE;
nadb_rc script_receive(conn *c, script_id id, args *a, redisReply **out,
                       nadb_err *err) NADB_MUST_USE;

/* For several calls under way on one connection: loads the script before the
 * first, so that sending does not wait. On receive *out is NULL if the server
 * has lost the script. */
nadb_rc script_learn(script_names *names, conn *c, script_id id,
                     nadb_err *err) NADB_MUST_USE;
nadb_rc script_take(conn *c, redisReply **out, nadb_err *err) NADB_MUST_USE;

/* Fails if the store's layout, as `meta` names it, is not ours. */
nadb_rc script_layout(const char *server, nadb_slice layout,
                      nadb_err *err) NADB_MUST_USE;

/* The error for a problem that lua/mend.lua names. */
nadb_rc script_damaged(const char *server, const redisReply *problem,
                       nadb_err *err);

/* True if the answer is a list that begins with this word. */
bool script_says(const redisReply *r, const char *word);

#endif
