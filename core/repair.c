/* repair.c - nadb_repair: makes a sound store from the readable parts of a
 * damaged one.
 *
 * Rows are written by ordinary transactions into a new store beside the old
 * one, so the new indexes follow from the rows. When the new store is complete
 * and closed, the two change places (engine/salvage.h); the damaged files are
 * kept. If a repair is killed, the old store stays in its place, or the next
 * repair completes the exchange.
 *
 * Changes arrive oldest first. A key whose newest change is unreadable is
 * deleted and noted as lost until a later change of it arrives. */
#include "engine/salvage.h"
#include "kv/key_list.h"
#include "kv/key_map.h"
#include "kv/row.h"
#include "kv/session.h"
#include "nadb.h"
#include "store_key.h"

#define STEP_ROWS 1000u
#define STEP_BYTES (4u << 20)

typedef struct repair {
    const nadb_repair_listener *listener;
    nadb_session *ss;   /* of the new store */
    size_t rows, bytes; /* changed by the transaction */
    key_map lost;       /* 1: lost; 0: written again later */
} repair;

static nadb_rc commit(repair *r, nadb_err *err) {
    nadb_rc rc = nadb_session_prepare(r->ss, err);

    if (rc == NADB_OK) nadb_session_commit(r->ss);
    r->rows = r->bytes = 0;
    return rc == NADB_OK ? nadb_stopped(&r->listener->stop, err) : rc;
}

/* Makes sure that a transaction is open and has room for a change of `bytes`
 * bytes. */
static nadb_rc begin(repair *r, size_t bytes, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (r->rows >= STEP_ROWS || r->bytes >= STEP_BYTES) rc = commit(r, err);
    if (rc == NADB_OK) rc = nadb_session_begin(r->ss, false, err);
    if (rc == NADB_OK) rc = nadb_job_step(1, bytes, err);
    r->rows++;
    r->bytes += bytes;
    return rc;
}

/* --- nadb_salvage --- */

static void report(void *ctx, const char *what) {
    repair *r = ctx;

    r->listener->fault(r->listener->ctx, what);
}

static nadb_rc lose(void *ctx, nadb_slice key, nadb_err *err) {
    repair *r = ctx;
    nadb_slice row = nadb_slice_of(key.p + 1, key.n - 1);
    int64_t *lost;
    nadb_rc rc = begin(r, key.n, err);

    if (rc != NADB_OK) return rc;
    lost = key_map_at(&r->lost, row);
    if (lost == NULL) return nadb_fail(err, NADB_NOMEM, "repairing");
    *lost = 1;
    return nadb_delete(r->ss, row, err);
}

static nadb_rc change(void *ctx, const nadb_entry *e, nadb_err *err) {
    repair *r = ctx;
    nadb_put_req req = {.mode = NADB_PUT_BLIND};
    nadb_slice key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    char shown[NADB_KEY_SHOWN];
    nadb_row row;
    nadb_err why;
    int64_t *lost;
    nadb_rc rc;

    nadb_err_clear(&why);
    if ((e->flags & NADB_ENTRY_TOMBSTONE) == 0 &&
        nadb_row_decode(e->value, &row, &why) != NADB_OK) {
        (void)nadb_fail(&why, NADB_CORRUPT, "key \"%s\": %s",
                        nadb_key_show(key, shown), "the row is damaged");
        report(r, why.msg);
        return lose(r, e->key, err);
    }
    if (r->lost.n > 0 && key_map_find(&r->lost, key) != NULL) {
        lost = key_map_at(&r->lost, key);
        if (lost != NULL) *lost = 0;
    }
    rc = begin(r, key.n + e->value.n, err);
    if (rc != NADB_OK) return rc;
    if ((e->flags & NADB_ENTRY_TOMBSTONE) != 0)
        return nadb_delete(r->ss, key, err);
    req.key = key;
    req.keep = &row;
    req.tags = row.tags;
    req.created_ms = row.created_ms;
    req.updated_ms = row.updated_ms;
    req.expires_ms = row.expires_ms;
    return nadb_put(r->ss, &req, err);
}

static nadb_rc clear(void *ctx, nadb_err *err) {
    repair *r = ctx;
    nadb_rc rc = begin(r, 0, err);

    key_map_clear(&r->lost);
    return rc == NADB_OK ? nadb_clear(r->ss, NULL, err) : rc;
}

/* Cuts a bound to the keyspace of rows; false if it is behind all rows. An
 * empty bound is before all of them. */
static bool row_bound(nadb_slice key, nadb_slice *out) {
    *out = nadb_slice_of("", 0);
    if (key.n == 0 || key.p[0] < NADB_KS_ROW) return true;
    if (key.p[0] > NADB_KS_ROW) return false;
    *out = nadb_slice_of(key.p + 1, key.n - 1);
    return true;
}

/* Lists the present rows between lo and hi. */
static nadb_rc list_range(repair *r, nadb_slice lo, nadb_slice hi,
                          bool (*hit)(void *arg, nadb_slice key), void *arg,
                          key_list *keys, nadb_err *err) {
    nadb_scan scan = {.key_only = true};
    nadb_buf key = NADB_BUF_INIT;
    nadb_cursor *c = NULL;
    const nadb_row *row;
    nadb_rc rc = NADB_OK;

    if (!row_bound(lo, &scan.lo)) return NADB_OK;
    if (hi.p != NULL && row_bound(hi, &scan.hi) && scan.hi.n == 0)
        return NADB_OK;
    if (scan.hi.n == 0) scan.hi = nadb_slice_of(NULL, 0);
    rc = nadb_cursor_new(r->ss, &c, err);
    if (rc == NADB_OK) rc = nadb_cursor_scan(c, &scan, err);
    while (rc == NADB_OK && (row = nadb_cursor_row(c)) != NULL) {
        nadb_buf_reset(&key);
        if (!nadb_buf_byte(&key, NADB_KS_ROW) ||
            !nadb_buf_append(&key, row->key.p, row->key.n))
            rc = nadb_fail(err, NADB_NOMEM, "repairing");
        /* lo itself was read, so it is not in the gap. */
        if (rc == NADB_OK && !nadb_slice_eq(nadb_buf_slice(&key), lo) &&
            hit(arg, nadb_buf_slice(&key)))
            rc = key_list_add(keys, nadb_buf_slice(&key), err);
        if (rc == NADB_OK) rc = nadb_cursor_next(c, err);
    }
    nadb_cursor_free(c);
    nadb_buf_clear(&key);
    return rc;
}

static nadb_rc lose_range(void *ctx, nadb_slice lo, nadb_slice hi,
                          bool (*hit)(void *arg, nadb_slice key), void *arg,
                          nadb_err *err) {
    repair *r = ctx;
    key_list keys = {0, NADB_BUF_INIT, NADB_BUF_INIT};
    nadb_rc rc = list_range(r, lo, hi, hit, arg, &keys, err);

    for (size_t i = 0; rc == NADB_OK && i < keys.n; i++)
        rc = lose(r, key_list_at(&keys, i), err);
    key_list_clear(&keys);
    return rc;
}

/* --- the new store --- */

static nadb_rc new_options(const nadb_options *o, const char *folder,
                           nadb_options **out, nadb_err *err) {
    nadb_options *copy = nadb_options_copy(o);
    char *ns = nadb_strdup(folder);

    *out = NULL;
    if (copy == NULL || ns == NULL) {
        nadb_options_free(copy);
        nadb_free(ns);
        return nadb_fail(err, NADB_NOMEM, "repairing");
    }
    nadb_free(copy->ns);
    nadb_free(copy->store_id);
    copy->ns = ns;
    copy->ns_is_dir = true;
    copy->store_id = NULL;
    copy->default_ttl_ms = 0;
    copy->read_only = false;
    *out = copy;
    return NADB_OK;
}

static void count_lost(const repair *r, nadb_repaired *out) {
    char shown[NADB_KEY_SHOWN];

    for (size_t i = 0; i < r->lost.n_slots; i++) {
        const key_map_slot *s = &r->lost.slots[i];

        if (s->key.p == NULL || s->number == 0) continue;
        out->lost++;
        r->listener->lost(r->listener->ctx, nadb_key_show(s->key, shown));
    }
}

/* Copies all changes into `store`, which is empty. */
static nadb_rc fill(repair *r, wreck *w, nadb_store *store, uint64_t stamp,
                    nadb_repaired *out, nadb_err *err) {
    nadb_salvage to = {r, report, change, clear, lose, lose_range};
    nadb_totals totals;
    nadb_rc rc = nadb_session_new(store, &r->ss, err);

    if (rc == NADB_OK) rc = wreck_read(w, stamp, &to, err);
    if (rc == NADB_OK) rc = commit(r, err);
    if (rc == NADB_OK) rc = session_totals(r->ss, &totals, err);
    if (rc == NADB_OK) {
        out->rows = (int64_t)totals.rows;
        count_lost(r, out);
    }
    nadb_session_free(r->ss);
    key_map_clear(&r->lost);
    return rc;
}

static nadb_rc make(const nadb_options *o, wreck *w, uint64_t stamp,
                    const nadb_repair_listener *to, nadb_repaired *out,
                    nadb_err *err) {
    repair r = {.listener = to};
    nadb_options *mine = NULL;
    nadb_store *store = NULL;
    const char *folder = NULL;
    nadb_rc rc = wreck_prepare(w, &folder, err);

    if (rc == NADB_OK) rc = new_options(o, folder, &mine, err);
    if (rc == NADB_OK)
        rc = nadb_store_open(mine, NADB_STORE_CREATE, &store, NULL, err);
    if (rc == NADB_OK) rc = fill(&r, w, store, stamp, out, err);
    if (rc == NADB_OK) rc = nadb_store_flush(store, err);
    if (rc == NADB_OK) {
        nadb_store_close(store);
        rc = wreck_replace(w, &out->aside, err);
    } else if (store != NULL) {
        (void)!nadb_store_destroy(store, NULL);
    }
    nadb_options_free(mine);
    return rc;
}

nadb_rc nadb_store_repair(const nadb_options *options, uint64_t stamp,
                          const nadb_repair_listener *to, nadb_repaired *out,
                          nadb_err *err) {
    const nadb_backend *b = nadb_backend_for(options);
    store_key key;
    wreck *w = NULL;
    nadb_rc rc;

    memset(out, 0, sizeof *out);
    if (b == NULL || b->base == NULL || b->base->salvage == NULL)
        return nadb_fail(
            err, NADB_INVALID,
            "backend '%s' keeps no files that could be repaired%s",
            options->backend,
            b != NULL && (b->caps & NADB_CAP_REMOTE) != 0
                ? ": nadb_compact repairs the damage that nadb_check finds"
                : "");
    rc = store_key_init(&key, options, err); /* checks NADB_ALLOW_PATHS */
    store_key_clear(&key);
    if (rc == NADB_OK)
        rc = wreck_open(options, b->base, &w, &out->finished, err);
    if (rc == NADB_OK && w != NULL) rc = make(options, w, stamp, to, out, err);
    wreck_close(w);
    return rc;
}
