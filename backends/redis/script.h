/* script.h - calling the Lua scripts that run inside the server: lua/X.lua
 * each, made of parts in lua/lib, whose first lines say what it takes and
 * answers.
 *
 * Everything that must be atomic is one script. All keys of a store have one
 * hash tag, so that they are in one slot of a cluster. Each script reads all
 * that it will change before its first write, so that what can fail (a key of
 * a foreign type) fails before anything is changed; and its first write is one
 * that a full server refuses.
 *
 * A script that changes rows carries the name of its writer, a number that
 * rises with each, and a deadline in the server's time:
 *
 *   - after the deadline it does nothing ("late"), so that a server that was
 *     frozen does not do it when everybody has given up;
 *   - SCRIPT_FENCE says whether a number was done, and if not, makes sure that
 *     it never will be. That is how an unknown outcome becomes known.
 *
 * The layout of the keys is in docs/format.md, "Redis". */
#ifndef NADB_REDIS_SCRIPT_H
#define NADB_REDIS_SCRIPT_H

#include "pool.h"

typedef enum script_id {
    SCRIPT_COMMIT,
    SCRIPT_PREPARE,
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

/* Of the keys on the server. 1 had no sets of tags, 2 no epochs; in 3 a row was
 * a hash. */
#define SCRIPT_LAYOUT "4"
/* What `held` of `meta` is while there are locks that have no end. */
#define SCRIPT_FOREVER "9007199254740991"
/* What a commit says of a shard that is not there. */
#define SCRIPT_NO_LAYOUT "-"

/* What the server calls the scripts; learnt from it. */
typedef struct script_names {
    nadb_mutex lock; /* guards what follows; taken inside no other but pools' */
    char sha[SCRIPT_COUNT][41]; /* "" = not known yet */
} script_names;

/* Begins *a with what every script takes; the caller adds its arguments, then
 * calls script_call(). `prefix` ("nadb:{..}:") outlives the call. */
void script_begin(args *a, nadb_slice prefix);
/* Calls it by its name, and with its text where the server does not know it.
 * The caller frees *out, also on error. */
nadb_rc script_call(script_names *names, conn *c, script_id id, args *a,
                    redisReply **out, nadb_err *err) NADB_MUST_USE;

/* Calls a script on a connection of its own; its arguments are texts, behind
 * which is NULL. "$" stands for the server's name. *out is the
 * caller's, also on error. Where the answer is "ok" and more, as many replicas
 * as option wait asks for have what it has written. */
nadb_rc script_run(script_names *names, pool *p, nadb_slice prefix,
                   script_id id, const char *const list[], redisReply **out,
                   nadb_err *err) NADB_MUST_USE;

/* The two halves of it, where something is to be done in between. */
nadb_rc script_send(script_names *names, conn *c, script_id id, args *a,
                    nadb_err *err) NADB_MUST_USE;
nadb_rc script_receive(conn *c, script_id id, args *a, redisReply **out,
                       nadb_err *err) NADB_MUST_USE;

/* Several calls under way on one connection: the script is learnt before the
 * first, so that sending one waits for nothing. *out is NULL when the server
 * has forgotten it. */
nadb_rc script_learn(script_names *names, conn *c, script_id id,
                     nadb_err *err) NADB_MUST_USE;
nadb_rc script_take(conn *c, redisReply **out, nadb_err *err) NADB_MUST_USE;

/* An error if the store's layout, as `meta` names it, is not ours. */
nadb_rc script_layout(const char *server, nadb_slice layout,
                      nadb_err *err) NADB_MUST_USE;

/* The error for a problem as lua/mend.lua names it. */
nadb_rc script_damaged(const char *server, const redisReply *problem,
                       nadb_err *err);

/* Whether the answer is a list that begins with this word. */
bool script_says(const redisReply *r, const char *word);

#endif
