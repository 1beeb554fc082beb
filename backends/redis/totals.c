/* totals.c - totals, as the server keeps them (`sum` of meta), and counting
 * them if they are unknown: in a store of an older nadb, or after a repair. */
#include <inttypes.h>
#include <stdio.h>

#include "feed.h"

#define PIECE_ROWS 500
#define PIECES_MOST (REDIS_KEYS_MOST / PIECE_ROWS)
#define TRIES 3u   /* while other clients write */
#define SWEEPS 20u /* before the server is asked again */
#define SWEEP_ROWS 10000u

/* --- asking --- */

static nadb_rc ask(redis_engine *e, conn *c, redisReply **r, nadb_err *err) {
    nadb_rc rc;
    args a;

    memset(&a, 0, sizeof a);
    script_begin(&a, redis_prefix(e));
    args_number(&a, nadb_now_ms());
    rc = script_call(e->scripts, c, SCRIPT_TOTALS, &a, r, err);
    args_clear(&a);
    return rc;
}

static nadb_rc take(conn *c, const redisReply *r, nadb_totals *out,
                    nadb_err *err) {
    uint64_t *const to[] = {&out->rows, &out->tags, &out->key_bytes,
                            &out->value_bytes, &out->stored_bytes};

    if (!script_says(r, "totals") || (r->elements != 3 && r->elements != 6))
        return conn_confused(c, err);
    for (size_t i = 1; i < r->elements; i++) {
        int64_t v;

        if (!reply_number(r->element[i], &v) || v < 0)
            return conn_confused(c, err);
        *to[i - 1] += (uint64_t)v;
    }
    out->known = out->known && r->elements == 6;
    return NADB_OK;
}

nadb_rc redis_totals(nadb_engine *engine, nadb_view *v, nadb_totals *out,
                     nadb_err *err) {
    (void)v;
    memset(out, 0, sizeof *out);
    out->known = true;
    return redis_totals_add((redis_engine *)engine, out, err);
}

nadb_rc redis_totals_add(redis_engine *e, nadb_totals *out, nadb_err *err) {
    redisReply *r = NULL;
    patience_operation o;
    conn *c = NULL;
    nadb_rc rc;

    patience_operation_begin(&o);
    rc = pool_take(e->pool, &c, err);
    if (rc == NADB_OK) rc = ask(e, c, &r, err);
    for (unsigned i = 0; rc == NADB_OK && script_says(r, "sweep"); i++) {
        int64_t removed = 0;
        bool more;

        freeReplyObject(r);
        r = NULL;
        if (i == SWEEPS) rc = conn_confused(c, err);
        if (rc == NADB_OK)
            rc = redis_sweep_on(e, c, SWEEP_ROWS, NULL, &removed, &more, err);
        if (rc == NADB_OK) rc = ask(e, c, &r, err);
    }
    if (rc == NADB_OK) rc = take(c, r, out, err);
    freeReplyObject(r);
    pool_give(e->pool, c);
    patience_operation_end(&o);
    return rc;
}

/* --- adding up --- */

typedef struct addition {
    redis_engine *e;
    conn *c;
    bool keep; /* make the result the known totals */
    args a;
    nadb_buf from; /* where the next piece begins */
    char ver[32];  /* version at the first piece */
    char sum[80];  /* `sum` in meta at the first piece */
    uint64_t bytes[3];
    bool more, moved; /* another client has written meanwhile */
} addition;

static nadb_rc ask_piece(addition *x, redisReply **r, nadb_err *err) {
    script_begin(&x->a, redis_prefix(x->e));
    args_add(&x->a, nadb_buf_slice(&x->from));
    args_number(&x->a, PIECE_ROWS);
    args_text(&x->a, x->keep ? "set" : "");
    args_text(&x->a, "");
    args_text(&x->a, "");
    return script_call(x->e->scripts, x->c, SCRIPT_SUMS, &x->a, r, err);
}

static bool copy_text(char *to, size_t size, const redisReply *r) {
    nadb_slice s = reply_slice(r);

    if (s.n >= size) return false;
    memcpy(to, s.n == 0 ? "" : (const char *)s.p, s.n);
    to[s.n] = '\0';
    return true;
}

static nadb_rc take_piece(addition *x, const redisReply *r, nadb_err *err) {
    nadb_slice next;
    char ver[sizeof x->ver], sum[sizeof x->sum];

    if (!script_says(r, "sum") || r->elements != 8 ||
        !copy_text(ver, sizeof ver, r->element[1]) ||
        !copy_text(sum, sizeof sum, r->element[7]))
        return conn_confused(x->c, err);
    if (x->ver[0] == '\0') {
        memcpy(x->ver, ver, sizeof ver);
        memcpy(x->sum, sum, sizeof sum);
    }
    x->moved = strcmp(ver, x->ver) != 0 || strcmp(sum, x->sum) != 0;
    for (size_t i = 0; i < 3; i++) {
        int64_t v;

        if (!reply_number(r->element[4 + i], &v) || v < 0)
            return conn_confused(x->c, err);
        x->bytes[i] += (uint64_t)v;
    }
    next = reply_slice(r->element[3]);
    x->more = next.n > 0;
    if (x->more && nadb_slice_cmp(next, nadb_buf_slice(&x->from)) <= 0)
        return conn_confused(x->c, err);
    nadb_buf_reset(&x->from);
    if (nadb_buf_append(&x->from, next.p, next.n)) return NADB_OK;
    return nadb_fail(err, NADB_NOMEM, "adding up what a store has");
}

static nadb_rc one_pass(addition *x, const nadb_stop *stop, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    nadb_buf_reset(&x->from);
    memset(x->bytes, 0, sizeof x->bytes);
    x->ver[0] = '\0';
    x->more = true;
    x->moved = false;
    for (uint64_t n = 0; rc == NADB_OK && x->more && !x->moved; n++) {
        redisReply *r = NULL;

        rc =
            n == PIECES_MOST ? conn_confused(x->c, err) : ask_piece(x, &r, err);
        if (rc == NADB_OK) rc = take_piece(x, r, err);
        freeReplyObject(r);
        /* There is nothing to count. */
        if (rc == NADB_OK && x->keep == (x->sum[0] != '\0')) x->moved = true;
        if (rc == NADB_OK) rc = nadb_stopped(stop, err);
    }
    return rc;
}

static void text_of(const addition *x, char out[80]) {
    snprintf(out, 80, "%" PRIu64 " %" PRIu64 " %" PRIu64, x->bytes[0],
             x->bytes[1], x->bytes[2]);
}

static nadb_rc keep_sum(addition *x, nadb_err *err) {
    redisReply *r = NULL;
    char sum[80];
    nadb_rc rc;

    text_of(x, sum);
    script_begin(&x->a, redis_prefix(x->e));
    args_text(&x->a, "");
    args_text(&x->a, "0");
    args_text(&x->a, "set");
    args_text(&x->a, x->ver);
    args_text(&x->a, sum);
    rc = script_call(x->e->scripts, x->c, SCRIPT_SUMS, &x->a, &r, err);
    if (rc == NADB_OK) x->moved = !script_says(r, "ok");
    freeReplyObject(r);
    return rc;
}

static void addition_end(addition *x) {
    pool_give(x->e->pool, x->c);
    nadb_buf_clear(&x->from);
    args_clear(&x->a);
}

nadb_rc redis_add_up(redis_engine *e, const nadb_stop *stop, nadb_err *err) {
    addition x = {.e = e, .keep = true};
    nadb_rc rc = pool_take(e->pool, &x.c, err);

    for (unsigned i = 0; rc == NADB_OK && i < TRIES; i++) {
        rc = one_pass(&x, stop, err);
        if (rc != NADB_OK || x.sum[0] != '\0') break;
        if (!x.moved) rc = keep_sum(&x, err);
        if (rc != NADB_OK || !x.moved) break;
    }
    addition_end(&x);
    return rc;
}

nadb_rc redis_check_sum(redis_engine *e, nadb_report_fn *report, void *ctx,
                        nadb_err *err) {
    addition x = {.e = e};
    char sum[80];
    nadb_rc rc = pool_take(e->pool, &x.c, err);

    for (unsigned i = 0; rc == NADB_OK && i < TRIES; i++) {
        rc = one_pass(&x, NULL, err);
        if (rc != NADB_OK || x.sum[0] == '\0' || !x.moved) break;
    }
    text_of(&x, sum);
    if (rc == NADB_OK && !x.moved && x.sum[0] != '\0' &&
        strcmp(sum, x.sum) != 0) {
        nadb_report(report, ctx,
                    "the sums of bytes (keys, values, stored) are %s, and "
                    "should be %s",
                    x.sum, sum);
    }
    addition_end(&x);
    return rc;
}
