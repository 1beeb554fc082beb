/* mend.c - keys of a store that another program has removed, or whose type it
 * has changed: names and repairs them (lua/mend.lua).
 *
 * Most missing keys can be rebuilt from the others. The index of rows and the
 * state of the store cannot; for these the names of all keys on the server are
 * searched (SCAN) for those of the store, step by step. This happens nowhere
 * else and blocks no client. */
#include <inttypes.h>
#include <stdio.h>

#include "engine.h"

#define SCAN_KEYS 1000
/* Steps of a search through the largest number of keys that a server can
 * hold. */
#define STEPS_MOST (REDIS_KEYS_MOST / 16)

/* Results of a search; "": nothing yet. */
typedef struct found {
    char generation[24], version[24];
} found;

static void keep_text(const redisReply *r, char out[24]) {
    nadb_slice s = reply_slice(r);

    if (s.n > 0 && s.n < 24) {
        memcpy(out, s.p, s.n);
        out[s.n] = '\0';
    }
}

static nadb_rc call(redis_engine *e, conn *c, const char *what, const found *f,
                    const redisReply *names, redisReply **out, nadb_err *err) {
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(e));
    args_text(&a, what);
    args_text(&a, f == NULL ? "" : f->generation);
    args_text(&a, f == NULL ? "" : f->version);
    for (size_t i = 0; names != NULL && i < names->elements; i++)
        args_add(&a, reply_slice(names->element[i]));
    rc = script_call(e->scripts, c, SCRIPT_MEND, &a, out, err);
    args_clear(&a);
    if (rc == NADB_OK && !reply_is_array(*out, 1)) rc = conn_confused(c, err);
    return rc;
}

nadb_rc redis_verify(redis_engine *e, conn *c, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = call(e, c, "verify", NULL, NULL, &r, err);

    if (rc == NADB_OK && r->elements > 1)
        rc = script_damaged(conn_name(c), r->element[1], err);
    freeReplyObject(r);
    return rc;
}

nadb_rc redis_look(redis_engine *e, conn *c, nadb_report_fn *report, void *ctx,
                   bool *whole, nadb_err *err) {
    redisReply *r = NULL;
    nadb_rc rc = call(e, c, "look", NULL, NULL, &r, err);

    *whole = rc == NADB_OK && r->elements == 1;
    for (size_t i = 1; rc == NADB_OK && i < r->elements; i++)
        if (r->element[i]->type == REDIS_REPLY_STRING)
            report(ctx, r->element[i]->str);
    freeReplyObject(r);
    return rc;
}

nadb_rc redis_name_damage(const redis_engine *e, const conn *c,
                          uint64_t generation, const char *what, nadb_slice key,
                          nadb_rc rc, nadb_err *err) {
    char shown[NADB_KEY_SHOWN], middle[24] = "", why[200];

    /* A message that already names the key is kept. */
    if (rc != NADB_CORRUPT || err == NULL || strstr(err->msg, "'nadb:") != NULL)
        return rc;
    snprintf(why, sizeof why, "%.199s", err->msg);
    if (strstr(why, "WRONGTYPE ") != NULL)
        snprintf(
            why, sizeof why,
            "redis server %.100s: a key has another type than nadb gives it",
            conn_name(c));
    if (strcmp(what, "meta") != 0)
        snprintf(middle, sizeof middle, "%" PRIu64 ":", generation);
    return nadb_corrupt(err,
                        "%s: '%.*s%s%s%s' (nadb_check lists the damage, "
                        "nadb_compact repairs it)",
                        why, (int)e->prefix.n, (const char *)e->prefix.p,
                        middle, what, nadb_key_show(key, shown));
}

/* One step of a search; *cursor: where the next begins. */
static nadb_rc scan(redis_engine *e, conn *c, char cursor[24], redisReply **out,
                    nadb_err *err) {
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    args_text(&a, "SCAN");
    args_text(&a, cursor);
    args_text(&a, "MATCH");
    args_join(&a, redis_prefix(e), nadb_slice_str("*"));
    args_text(&a, "COUNT");
    args_number(&a, SCAN_KEYS);
    rc = conn_call(c, &a, out, err);
    args_clear(&a);
    if (rc == NADB_OK &&
        (!reply_is_array(*out, 2) || !reply_is_array((*out)->element[1], 0) ||
         reply_slice((*out)->element[0]).n == 0))
        rc = conn_confused(c, err);
    if (rc == NADB_OK) keep_text((*out)->element[0], cursor);
    return rc;
}

/* Calls the script for all names of the store, to find or to adopt keys. */
static nadb_rc search(redis_engine *e, conn *c, const char *what, found *f,
                      const nadb_stop *stop, nadb_err *err) {
    char cursor[24] = "0";
    uint64_t steps = 0;
    nadb_rc rc = NADB_OK;

    do {
        redisReply *names = NULL, *r = NULL;

        rc = nadb_stopped(stop, err);
        if (rc == NADB_OK) rc = scan(e, c, cursor, &names, err);
        if (rc == NADB_OK && names->element[1]->elements > 0)
            rc = call(e, c, what, f, names->element[1], &r, err);
        if (rc == NADB_OK && r != NULL && strcmp(what, "find") == 0) {
            if (!reply_is_array(r, 2)) rc = conn_confused(c, err);
            if (rc == NADB_OK) keep_text(r->element[0], f->generation);
            if (rc == NADB_OK) keep_text(r->element[1], f->version);
        }
        freeReplyObject(names);
        freeReplyObject(r);
        if (rc == NADB_OK && ++steps > STEPS_MOST) rc = conn_confused(c, err);
    } while (rc == NADB_OK && strcmp(cursor, "0") != 0);
    return rc;
}

nadb_rc redis_mend(redis_engine *e, conn *c, const nadb_stop *stop,
                   nadb_err *err) {
    found f = {"", ""};
    redisReply *r = NULL;
    nadb_slice needs;
    nadb_rc rc = call(e, c, "mend", &f, NULL, &r, err);

    if (rc == NADB_OK &&
        nadb_slice_eq(reply_slice(r->element[0]), nadb_slice_str("meta"))) {
        freeReplyObject(r);
        r = NULL;
        snprintf(f.generation, sizeof f.generation, "0");
        snprintf(f.version, sizeof f.version, "0");
        rc = search(e, c, "find", &f, stop, err);
        if (rc == NADB_OK) rc = call(e, c, "mend", &f, NULL, &r, err);
    }
    needs = rc == NADB_OK ? reply_slice(r->element[0]) : nadb_slice_of(NULL, 0);
    if (needs.n > 0) rc = search(e, c, "adopt", &f, stop, err);
    freeReplyObject(r);
    if (rc == NADB_OK) cache_forget_all(&e->cache);
    return rc;
}

nadb_rc redis_mend_now(redis_engine *e, const nadb_stop *stop, nadb_err *err) {
    conn *c = NULL;
    nadb_rc rc = pool_take(e->pool, &c, err);

    if (rc == NADB_OK) rc = redis_mend(e, c, stop, err);
    pool_give(e->pool, c);
    return rc;
}
