/* expiry_scan.c - see expiry_scan.h. */
#include "expiry_scan.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "reading the index of expiries");
}

/* --- the index --- */

typedef struct expiry_iter {
    nadb_iter base;
    nadb_iter *inner;
    nadb_buf key; /* the row's key */
} expiry_iter;

static nadb_rc expiry_next(nadb_iter *base, nadb_err *err) {
    expiry_iter *x = (expiry_iter *)base;
    nadb_slice key;
    int64_t ms;
    nadb_rc rc = nadb_iter_next(x->inner, err);

    base->valid = false;
    if (rc != NADB_OK || !x->inner->valid) return rc;
    if (!nadb_index_expiry_split(x->inner->entry.key, &ms, &key))
        return nadb_corrupt(err,
                            "the index of expiries has an entry of %zu bytes: "
                            "nadb_check() lists the damage",
                            x->inner->entry.key.n);
    nadb_buf_reset(&x->key);
    if (!nadb_buf_byte(&x->key, NADB_KS_ROW) ||
        !nadb_buf_append(&x->key, key.p, key.n))
        return no_memory(err);
    memset(&base->entry, 0, sizeof base->entry);
    base->entry.key = nadb_buf_slice(&x->key);
    base->valid = true;
    return NADB_OK;
}

/* The walk is ordered by expiry, not by key. */
static nadb_rc no_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    (void)base;
    (void)key;
    return nadb_fail(err, NADB_INVALID, "this walk cannot seek");
}

static void expiry_free(nadb_iter *base) {
    expiry_iter *x = (expiry_iter *)base;

    nadb_iter_free(x->inner);
    nadb_buf_clear(&x->key);
    nadb_free(x);
}

nadb_rc nadb_expiry_scan(nadb_session *ss, nadb_view *view, int64_t from,
                         int64_t to, bool decides, nadb_iter **out,
                         nadb_err *err) {
    static const nadb_iter_ops ops = {expiry_next, no_seek, expiry_free};
    nadb_buf lo = NADB_BUF_INIT, hi = NADB_BUF_INIT;
    expiry_iter *x = nadb_calloc(1, sizeof *x);
    nadb_range range = {.reverse = false};
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (to == INT64_MAX) to--;
    if (x == NULL || !nadb_index_expiry_key(&lo, from, nadb_slice_of("", 0)) ||
        !nadb_index_expiry_key(&hi, to + 1, nadb_slice_of("", 0)))
        rc = no_memory(err);
    range.lo = nadb_buf_slice(&lo);
    range.hi = nadb_buf_slice(&hi);
    if (rc == NADB_OK && nadb_slice_cmp(range.lo, range.hi) > 0)
        range.hi = range.lo;
    if (rc == NADB_OK && decides)
        rc = session_note_read(ss, range.lo, range.hi, false, NULL, err);
    if (rc == NADB_OK)
        rc = ss->engine->ops->iter(ss->engine, view, &range, &x->inner, err);
    nadb_buf_clear(&lo);
    nadb_buf_clear(&hi);
    if (rc != NADB_OK) {
        nadb_free(x);
        return rc;
    }
    x->base.ops = &ops;
    *out = &x->base;
    return NADB_OK;
}

/* --- filtering --- */

typedef struct filter_iter {
    nadb_iter base;
    nadb_iter *inner;
    nadb_keep_fn *keep;
    void *ctx;
} filter_iter;

static nadb_rc filter_settle(filter_iter *f, nadb_rc rc, nadb_err *err) {
    while (rc == NADB_OK && f->inner->valid &&
           !f->keep(f->ctx, &f->inner->entry))
        rc = nadb_iter_next(f->inner, err);
    f->base.valid = rc == NADB_OK && f->inner->valid;
    if (f->base.valid) f->base.entry = f->inner->entry;
    return rc;
}

static nadb_rc filter_next(nadb_iter *base, nadb_err *err) {
    filter_iter *f = (filter_iter *)base;

    return filter_settle(f, nadb_iter_next(f->inner, err), err);
}

static nadb_rc filter_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    filter_iter *f = (filter_iter *)base;

    return filter_settle(f, nadb_iter_seek(f->inner, key, err), err);
}

static void filter_free(nadb_iter *base) {
    nadb_iter_free(((filter_iter *)base)->inner);
    nadb_free(base);
}

nadb_rc nadb_filter_iter(nadb_iter *inner, nadb_keep_fn *keep, void *ctx,
                         nadb_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {filter_next, filter_seek, filter_free};
    filter_iter *f = nadb_calloc(1, sizeof *f);

    *out = NULL;
    if (f == NULL) {
        nadb_iter_free(inner);
        return no_memory(err);
    }
    f->base.ops = &ops;
    f->inner = inner;
    f->keep = keep;
    f->ctx = ctx;
    *out = &f->base;
    return NADB_OK;
}
