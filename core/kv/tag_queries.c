/* tag_queries.c - see tag_queries.h. */
#include "tag_queries.h"

#include "../util/assert.h"

#include "match.h"

#define TAG_QUERIES_MAX 10000u

nadb_rc nadb_tag_queries_start(nadb_tag_queries *q, nadb_err *err) {
    nadb_rc rc = nadb_mutex_init(&q->lock, NADB_RANK_OS, err);

    q->started = rc == NADB_OK;
    return rc;
}

void nadb_tag_queries_stop(nadb_tag_queries *q) {
    if (!q->started) return;
    key_map_clear(&q->counts);
    key_map_clear(&q->last_ms);
    nadb_mutex_clear(&q->lock);
    q->started = false;
}

/* Without memory nothing is noted. */
static void note_tag(nadb_tag_queries *q, nadb_slice tag, int64_t now_ms) {
    int64_t *n, *last;

    NADB_ASSERT(nadb_rank_held(NADB_RANK_OS));
    if (q->counts.n >= TAG_QUERIES_MAX && key_map_find(&q->counts, tag) == NULL)
        return;
    n = key_map_at(&q->counts, tag);
    last = key_map_at(&q->last_ms, tag);
    if (n == NULL || last == NULL) return;
    (*n)++;
    *last = now_ms;
}

/* The depth is bounded by that of the parentheses (match.h). */
static void note_node(nadb_tag_queries *q, const nadb_match_node *m,
                      int64_t now_ms) {
    if (m->op == NADB_MATCH_TAG) note_tag(q, m->text, now_ms);
    if (m->op == NADB_MATCH_TAG || m->op == NADB_MATCH_PREFIX) return;
    for (const nadb_match_node *x = m->first; x != NULL; x = x->next)
        note_node(q, x, now_ms);
}

void nadb_tag_queries_note(nadb_tag_queries *q, const nadb_match *m,
                           int64_t now_ms) {
    nadb_lock(&q->lock);
    if (m->root != NULL) note_node(q, m->root, now_ms);
    nadb_unlock(&q->lock);
}

void nadb_tag_queries_find(nadb_tag_queries *q, nadb_slice tag,
                           int64_t *queries, int64_t *last_ms) {
    const int64_t *n, *last;

    nadb_lock(&q->lock);
    n = key_map_find(&q->counts, tag);
    last = key_map_find(&q->last_ms, tag);
    *queries = n == NULL ? 0 : *n;
    *last_ms = last == NULL ? 0 : *last;
    nadb_unlock(&q->lock);
}
