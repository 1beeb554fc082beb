/* shards_sum.c - totals of all shards, and the size limit, of which each shard
 * gets its share. */
#include "feed.h"
#include "shards.h"

/* --- totals --- */

static void add(nadb_totals *to, const nadb_totals *part) {
    to->known = to->known && part->known;
    to->rows += part->rows;
    to->key_bytes += part->key_bytes;
    to->value_bytes += part->value_bytes;
    to->stored_bytes += part->stored_bytes;
}

/* A tag may be in several shards, so tags are counted by a walk. */
static nadb_rc count_tags(nadb_engine *e, nadb_view *v, uint64_t *n,
                          nadb_err *err) {
    static const uint8_t first[] = {NADB_KS_COUNT},
                         last[] = {NADB_KS_COUNT + 1};
    nadb_range all = {nadb_slice_of(first, 1), nadb_slice_of(last, 1), false};
    nadb_iter *it = NULL;
    nadb_rc rc = shards_iter_new(e, v, &all, &it, err);

    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        ++*n;
        rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc;
}

nadb_rc shards_totals(nadb_engine *engine, nadb_view *view, nadb_totals *out,
                      nadb_err *err) {
    shards *s = (shards *)engine;
    bool tags = false;
    nadb_rc rc = shards_settle(s, view->caller, err);

    memset(out, 0, sizeof *out);
    out->known = true;
    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        nadb_totals part;

        rc = redis_totals(&s->parts[i]->base, NULL, &part, err);
        if (rc == NADB_OK && part.rows == 0) rc = shards_missing(s, i, err);
        if (rc != NADB_OK) break;
        add(out, &part);
        tags = tags || part.tags > 0;
    }
    if (rc == NADB_OK && out->known && tags)
        rc = count_tags(engine, view, &out->tags, err);
    return rc;
}

/* --- limits --- */

static void set_limit(nadb_engine *engine, uint64_t bytes_max, bool refuses) {
    shards *s = (shards *)engine;

    for (unsigned i = 0; i < s->n; i++)
        redis_limit.set(&s->parts[i]->base, bytes_max / s->n, refuses);
}

static nadb_rc evict(nadb_engine *engine, const nadb_victim *list, size_t n,
                     uint64_t *rows, uint64_t *bytes, nadb_err *err) {
    shards *s = (shards *)engine;
    nadb_victim *mine = nadb_malloc((n + 1) * sizeof *mine);
    nadb_rc rc = mine == NULL ? shards_no_memory(err) : NADB_OK;

    for (unsigned i = 0; i < s->n && rc == NADB_OK; i++) {
        size_t n_mine = 0;

        for (size_t k = 0; k < n; k++)
            if (shards_of(s, list[k].key) == i) mine[n_mine++] = list[k];
        if (n_mine > 0)
            rc = redis_limit.evict(&s->parts[i]->base, mine, n_mine, rows,
                                   bytes, err);
    }
    nadb_free(mine);
    return rc;
}

const nadb_limit_ops shards_limit = {set_limit, evict};
