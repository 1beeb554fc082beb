/* script.c - see script.h. */
#include "script.h"

/* Made from lua/X.lua by lua/embed.awk. */
extern const char script_commit[], script_finish[], script_fence[],
    script_mark[], script_claim[], script_unclaim[], script_clean[],
    script_sweep[], script_check[], script_mend[], script_wipe[],
    script_match[], script_counts[], script_expiry[], script_lease[],
    script_drain[], script_totals[], script_sums[], script_since[],
    script_evict[], script_tag[];

static const char *const texts[SCRIPT_COUNT] = {
    [SCRIPT_COMMIT] = script_commit, [SCRIPT_FINISH] = script_finish,
    [SCRIPT_FENCE] = script_fence,   [SCRIPT_MARK] = script_mark,
    [SCRIPT_CLAIM] = script_claim,   [SCRIPT_UNCLAIM] = script_unclaim,
    [SCRIPT_CLEAN] = script_clean,   [SCRIPT_SWEEP] = script_sweep,
    [SCRIPT_CHECK] = script_check,   [SCRIPT_MEND] = script_mend,
    [SCRIPT_WIPE] = script_wipe,     [SCRIPT_MATCH] = script_match,
    [SCRIPT_COUNTS] = script_counts, [SCRIPT_EXPIRY] = script_expiry,
    [SCRIPT_LEASE] = script_lease,   [SCRIPT_DRAIN] = script_drain,
    [SCRIPT_TOTALS] = script_totals, [SCRIPT_SUMS] = script_sums,
    [SCRIPT_SINCE] = script_since,   [SCRIPT_EVICT] = script_evict,
    [SCRIPT_TAG] = script_tag,
};

/* --- calling --- */

/* Indexes of the arguments that script_call() sets. */
enum { ARG_COMMAND, ARG_SCRIPT, ARG_KEYS };

void script_begin(args *a, nadb_slice prefix) {
    args_reset(a);
    args_text(a, "EVALSHA");
    args_text(a, "");
    args_text(a, "2");
    args_join(a, prefix, nadb_slice_str("meta"));
    /* A key that never exists: while a cluster moves the slot, this makes nodes
     * refuse the script instead of running it on a part of the keys
     * (cluster.c). */
    args_join(a, prefix, nadb_slice_str("none"));
}

static bool known_name(script_names *names, script_id id, char sha[41]) {
    nadb_lock(&names->lock);
    memcpy(sha, names->sha[id], 41);
    nadb_unlock(&names->lock);
    return sha[0] != '\0';
}

/* Loads the script into the server and learns its name. */
static nadb_rc load(script_names *names, conn *c, script_id id, char sha[41],
                    nadb_err *err) {
    redisReply *r = NULL;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    args_text(&a, "SCRIPT");
    args_text(&a, "LOAD");
    args_text(&a, texts[id]);
    rc = conn_call(c, &a, &r, err);
    if (rc == NADB_OK && reply_slice(r).n != 40) rc = conn_confused(c, err);
    if (rc == NADB_OK) {
        memcpy(sha, r->str, 40);
        sha[40] = '\0';
        nadb_lock(&names->lock);
        memcpy(names->sha[id], sha, 41);
        nadb_unlock(&names->lock);
    }
    freeReplyObject(r);
    args_clear(&a);
    return rc;
}

nadb_rc script_learn(script_names *names, conn *c, script_id id,
                     nadb_err *err) {
    char sha[41];

    return known_name(names, id, sha) ? NADB_OK : load(names, c, id, sha, err);
}

nadb_rc script_send(script_names *names, conn *c, script_id id, args *a,
                    nadb_err *err) {
    char sha[41];
    nadb_rc rc = NADB_OK;

    if (a->failed)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis command");
    if (!known_name(names, id, sha)) rc = load(names, c, id, sha, err);
    if (rc != NADB_OK) return rc;
    /* The arguments may have been sent before, with the script's text. */
    args_set(a, ARG_COMMAND, "EVALSHA");
    args_set(a, ARG_SCRIPT, sha);
    return conn_send(c, a, err);
}

nadb_rc script_damaged(const char *server, const redisReply *problem,
                       nadb_err *err) {
    nadb_slice s = reply_slice(problem);

    return nadb_corrupt(err,
                        "redis server %s: %.*s (nadb_check lists the damage, "
                        "nadb_compact repairs it)",
                        server, s.n > 300 ? 300 : (int)s.n,
                        s.n == 0 ? "" : (const char *)s.p);
}

/* A script failed because a key of the store has another type; finds the key
 * and names it in the error. */
static nadb_rc name_damage(conn *c, const args *failed, nadb_err *err) {
    redisReply *r = NULL;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    args_text(&a, "EVAL");
    args_text(&a, texts[SCRIPT_MEND]);
    for (size_t i = ARG_KEYS; i < ARG_KEYS + 3; i++)
        args_add(&a, args_get(failed, i));
    args_text(&a, "look");
    args_text(&a, "");
    args_text(&a, "");
    for (size_t i = ARG_KEYS + 3; i < failed->n; i++)
        args_add(&a, args_get(failed, i));
    rc = conn_call(c, &a, &r, NULL);
    if (rc == NADB_OK && reply_is_array(r, 2))
        (void)script_damaged(conn_name(c), r->element[1], err);
    freeReplyObject(r);
    args_clear(&a);
    return NADB_CORRUPT;
}

static nadb_rc check_layout(const conn *c, const redisReply *r, nadb_err *err) {
    if (script_says(r, "corrupt"))
        return script_damaged(conn_name(c),
                              r->elements > 1 ? r->element[1] : NULL, err);
    if (!script_says(r, "layout")) return NADB_OK;
    return script_layout(
        conn_name(c), reply_slice(r->elements > 1 ? r->element[1] : NULL), err);
}

nadb_rc script_take(conn *c, redisReply **out, nadb_err *err) {
    nadb_rc rc = conn_receive_script(c, out, err);

    return rc == NADB_OK && *out != NULL ? check_layout(c, *out, err) : rc;
}

nadb_rc script_receive(conn *c, script_id id, args *a, redisReply **out,
                       nadb_err *err) {
    nadb_rc rc = script_take(c, out, err);

    if (rc == NADB_CORRUPT && *out == NULL) return name_damage(c, a, err);
    if (rc != NADB_OK || *out != NULL) return rc;
    /* The server does not know the script, so nothing was executed. */
    args_set(a, ARG_COMMAND, "EVAL");
    args_set(a, ARG_SCRIPT, texts[id]);
    rc = conn_call(c, a, out, err);
    if (rc == NADB_CORRUPT) return name_damage(c, a, err);
    return rc == NADB_OK ? check_layout(c, *out, err) : rc;
}

nadb_rc script_call(script_names *names, conn *c, script_id id, args *a,
                    redisReply **out, nadb_err *err) {
    nadb_rc rc = script_send(names, c, id, a, err);

    *out = NULL;
    return rc == NADB_OK ? script_receive(c, id, a, out, err) : rc;
}

nadb_rc script_run(script_names *names, pool *p, const nadb_caller *caller,
                   nadb_slice prefix, script_id id, const char *const list[],
                   redisReply **out, nadb_err *err) {
    patience until;
    conn *c = NULL;
    args a;
    nadb_rc rc;

    *out = NULL;
    patience_begin(&until, p->at->timeout_ms, caller);
    rc = pool_take_for(p, &until, &c, err);
    if (rc == NADB_OK) rc = conn_check_name(c, err);
    if (rc == NADB_OK) {
        memset(&a, 0, sizeof a);
        script_begin(&a, prefix);
        for (; *list != NULL; list++)
            args_text(&a, strcmp(*list, "$") == 0 ? c->server : *list);
        rc = script_call(names, c, id, &a, out, err);
        args_clear(&a);
    }
    if (rc == NADB_OK && !reply_is_array(*out, 1)) rc = conn_confused(c, err);
    if (rc == NADB_OK && script_says(*out, "ok") && (*out)->elements > 1)
        rc = conn_wait(c, err);
    pool_give(p, c);
    return rc;
}

/* "4/8": layout 4, 8 shards; "4/8+": they are being made; "4/8-": removed. */
static nadb_rc other_shards(const char *server, nadb_slice layout,
                            nadb_err *err) {
    static const char ours[] = SCRIPT_LAYOUT "/";
    const char *n = layout.n == 0 ? NULL : memchr(layout.p, '/', layout.n);
    int digits = 0;

    if (nadb_slice_eq(layout, nadb_slice_str(SCRIPT_NO_LAYOUT)))
        return nadb_fail(err, NADB_CANTOPEN,
                         "redis server %s: a shard of the store is missing",
                         server);
    if (n == NULL || !nadb_slice_starts(layout, nadb_slice_str(ours)))
        return NADB_OK;
    n++;
    digits = (int)(layout.n - (size_t)(n - (const char *)layout.p));
    if (digits > 20) digits = 20;
    if (digits > 0 && n[digits - 1] == '-')
        return nadb_fail(
            err, NADB_CANTOPEN,
            "redis server %s: the store is being destroyed "
            "(nadb_destroy on a table with shards=%.*s completes it)",
            server, digits - 1, n);
    if (digits > 0 && n[digits - 1] == '+') digits--;
    return nadb_fail(err, NADB_CANTOPEN,
                     "redis server %s: the store is spread over %.*s shards: "
                     "give option shards=%.*s",
                     server, digits, n, digits, n);
}

nadb_rc script_layout(const char *server, nadb_slice layout, nadb_err *err) {
    nadb_rc rc;

    if (nadb_slice_eq(layout, nadb_slice_str(SCRIPT_LAYOUT))) return NADB_OK;
    rc = other_shards(server, layout, err);
    if (rc != NADB_OK) return rc;
    if (layout.n == 0) layout = nadb_slice_str("1");
    return nadb_fail(err, NADB_CANTOPEN,
                     "redis server %s: the store has layout %.*s, which "
                     "another version of nadb wrote; this one reads layout "
                     "%s: copy its rows with that version (INSERT INTO .. "
                     "SELECT); nadb_destroy or nadb_clear remove the old rows",
                     server, layout.n > 20 ? 20 : (int)layout.n,
                     (const char *)layout.p, SCRIPT_LAYOUT);
}

bool script_says(const redisReply *r, const char *word) {
    return reply_is_array(r, 1) &&
           nadb_slice_eq(reply_slice(r->element[0]), nadb_slice_str(word));
}
