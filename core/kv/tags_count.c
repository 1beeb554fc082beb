/* tags_count.c - how many rows have each tag, as the session sees them.
 *
 * Computed from counters, without reading rows. A counter says how many entries
 * its tag has in the index; expired rows that are not swept yet are subtracted,
 * found through the index of expiries. The changes of the transaction are
 * derived as at a commit. Memory grows only with the tags of expired rows. */
#include "../util/merge.h"
#include "key_map.h"
#include "session.h"
#include "tags.h"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "counting tags");
}

/* Opens the engine's entries (if `engine`) merged with those that the
 * transaction changes. */
static nadb_rc open_index(nadb_session *ss, session_view *v, bool engine,
                          const nadb_range *range, nadb_iter **out,
                          nadb_err *err) {
    nadb_iter *sources[2];
    size_t n = 0;
    nadb_rc rc = NADB_OK;

    if (ss->index.derived) {
        rc = nadb_index_iter(&ss->index, range, &sources[n], err);
        if (rc == NADB_OK) n++;
        if (batch_cleared(ss->b, UINT64_MAX)) engine = false;
    }
    if (rc == NADB_OK && engine) {
        rc =
            ss->engine->ops->iter(ss->engine, v->view, range, &sources[n], err);
        if (rc == NADB_OK) n++;
    }
    if (rc == NADB_OK) return nadb_merge(sources, n, range, false, out, err);
    while (n > 0) nadb_iter_free(sources[--n]);
    return rc;
}

/* Counts the tags of rows that have expired. An engine with its own index does
 * not count them in the first place. */
static nadb_rc count_expired(nadb_session *ss, session_view *v,
                             key_map *expired, nadb_err *err) {
    nadb_buf lo = NADB_BUF_INIT, hi = NADB_BUF_INIT;
    nadb_range range = {{NULL, 0}, {NULL, 0}, false};
    nadb_iter *it = NULL;
    nadb_rc rc = NADB_OK;

    if (!nadb_buf_byte(&lo, NADB_KS_EXPIRY) ||
        !nadb_index_expiry_key(&hi, nadb_now_ms() + 1, nadb_slice_of("", 0)))
        rc = no_memory(err);
    range.lo = nadb_buf_slice(&lo);
    range.hi = nadb_buf_slice(&hi);
    if (rc == NADB_OK) rc = open_index(ss, v, ss->derives, &range, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        nadb_slice tags = it->entry.value, tag;

        while (rc == NADB_OK && nadb_tags_next(&tags, &tag)) {
            int64_t *n = key_map_at(expired, tag);

            if (n == NULL)
                rc = no_memory(err);
            else
                (*n)++;
        }
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    nadb_buf_clear(&lo);
    nadb_buf_clear(&hi);
    return rc;
}

/* The range of all counters, or of one tag's. */
static bool range_of(nadb_slice only, nadb_buf *bytes, nadb_range *out) {
    static const uint8_t after[] = {NADB_KS_COUNT + 1};

    if (!nadb_index_count_key(bytes, only) || !nadb_buf_byte(bytes, 0))
        return false;
    out->lo = nadb_slice_of(bytes->p, bytes->n - 1);
    out->hi = only.p == NULL ? nadb_slice_of(after, sizeof after)
                             : nadb_buf_slice(bytes);
    out->reverse = false;
    return true;
}

static nadb_rc each_count(nadb_session *ss, session_view *v, key_map *expired,
                          nadb_slice only, nadb_tag_count_fn *each, void *ctx,
                          nadb_err *err) {
    nadb_buf bytes = NADB_BUF_INIT;
    nadb_range range;
    nadb_iter *it = NULL;
    nadb_rc rc = range_of(only, &bytes, &range) ? NADB_OK : no_memory(err);

    if (rc == NADB_OK)
        rc = session_note_read(ss, range.lo, range.hi, false, NULL, err);
    if (rc == NADB_OK) rc = open_index(ss, v, true, &range, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        nadb_slice tag =
            nadb_slice_of(it->entry.key.p + 1, it->entry.key.n - 1);
        int64_t rows = (int64_t)nadb_index_count(it->entry.value);

        if (expired->n > 0) {
            int64_t *gone = key_map_at(expired, tag);

            if (gone == NULL) rc = no_memory(err);
            if (gone != NULL) rows -= *gone;
        }
        if (rc == NADB_OK && rows > 0) rc = each(ctx, tag, rows, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    nadb_buf_clear(&bytes);
    return rc;
}

nadb_rc nadb_tags_count(nadb_session *ss, nadb_slice only,
                        nadb_tag_count_fn *each, void *ctx, nadb_err *err) {
    key_map expired = KEY_MAP_INIT;
    session_view *v = NULL;
    nadb_rc rc = session_view_take(ss, &v, err);

    nadb_index_changes_reset(&ss->index);
    if (rc == NADB_OK && !batch_empty(ss->b))
        rc = nadb_index_derive(&ss->index, ss->engine, v->view, ss->b, false,
                               err);
    if (rc == NADB_OK) rc = count_expired(ss, v, &expired, err);
    if (rc == NADB_OK) rc = each_count(ss, v, &expired, only, each, ctx, err);
    session_view_drop(ss, v);
    key_map_clear(&expired);
    return rc;
}
