/* merge.c - see merge.h.
 *
 * Sources are few (the batch, a handful of memtables, the base), so the least
 * is found by looking at all of them. The prefixes of their keys are kept
 * beside each other, so that the look rarely leaves one cache line. */
#include "merge.h"

typedef struct source {
    uint64_t word; /* 8 bytes of its key behind merge_iter.skip; reverse:
                      inverted, so that the least wins */
    nadb_iter *it;
} source;

typedef struct merge_iter {
    nadb_iter base;
    bool reverse, tombstones, started;
    size_t n;   /* sources that have not ended are live[0..n) */
    size_t all; /* sources owned */
    size_t least;
    size_t skip; /* bytes that all keys of the range begin with */
    nadb_iter **owned;
    source live[]; /* in order of age: newest first; then what is owned */
} merge_iter;

static void word_set(merge_iter *m, source *s) {
    s->word = nadb_slice_prefix8_behind(s->it->entry.key, m->skip);
    if (m->reverse) s->word = ~s->word;
}

static int compare(const merge_iter *m, const source *a, const source *b) {
    int c;

    if (a->word != b->word) return a->word < b->word ? -1 : 1;
    c = nadb_slice_cmp(a->it->entry.key, b->it->entry.key);
    return m->reverse ? -c : c;
}

/* Takes sources that have ended out of the live ones, keeping their order. */
static void drop_ended(merge_iter *m) {
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++)
        if (m->live[i].it->valid) m->live[kept++] = m->live[i];
    m->n = kept;
}

/* Moves every other source that stands on the present key past it. */
static nadb_rc skip_older(merge_iter *m, nadb_err *err) {
    source *least = &m->live[m->least];
    bool ended = false;

    for (size_t i = 0; i < m->n; i++) {
        source *s = &m->live[i];
        nadb_rc rc;

        if (i == m->least || s->word != least->word ||
            compare(m, s, least) != 0)
            continue;
        rc = nadb_iter_next(s->it, err);
        if (rc != NADB_OK) return rc;
        if (s->it->valid)
            word_set(m, s);
        else
            ended = true;
    }
    if (ended) {
        nadb_iter *keep = least->it;

        drop_ended(m);
        for (m->least = 0; m->live[m->least].it != keep;) m->least++;
    }
    return NADB_OK;
}

/* Finds the least key; the newest source among equals. */
static inline nadb_rc choose(merge_iter *m, nadb_err *err) {
    m->base.valid = false;
    if (m->n == 0) return NADB_OK;
    m->least = 0;
    for (size_t i = 1; i < m->n; i++)
        if (compare(m, &m->live[i], &m->live[m->least]) < 0) m->least = i;
    if (m->n > 1) {
        nadb_rc rc = skip_older(m, err);

        if (rc != NADB_OK) return rc;
    }
    m->base.entry = m->live[m->least].it->entry;
    m->base.valid = true;
    return NADB_OK;
}

/* Moves the source that gave the present entry. */
static inline nadb_rc advance(merge_iter *m, nadb_err *err) {
    source *s = &m->live[m->least];
    nadb_rc rc;

    if (m->n == 0) return NADB_OK;
    rc = nadb_iter_next(s->it, err);
    if (rc != NADB_OK) return rc;
    if (!s->it->valid)
        drop_ended(m);
    else if (m->n > 1) /* alone there is nothing to compare with */
        word_set(m, s);
    return NADB_OK;
}

/* Goes on to the first entry that is passed on. */
static inline nadb_rc settle(merge_iter *m, nadb_err *err) {
    nadb_rc rc = choose(m, err);

    while (rc == NADB_OK && m->base.valid && !m->tombstones &&
           (m->base.entry.flags & NADB_ENTRY_TOMBSTONE)) {
        rc = advance(m, err);
        if (rc == NADB_OK) rc = choose(m, err);
    }
    if (rc != NADB_OK) m->base.valid = false;
    return rc;
}

static nadb_rc merge_restart(merge_iter *m, const nadb_slice *key,
                             nadb_err *err) {
    m->n = 0;
    m->started = true;
    m->base.valid = false;
    for (size_t i = 0; i < m->all; i++) {
        nadb_iter *it = m->owned[i];
        nadb_rc rc = key != NULL ? nadb_iter_seek(it, *key, err)
                                 : nadb_iter_next(it, err);

        if (rc != NADB_OK) return rc;
        if (!it->valid) continue;
        m->live[m->n].it = it;
        word_set(m, &m->live[m->n++]);
    }
    return settle(m, err);
}

static nadb_rc merge_next(nadb_iter *base, nadb_err *err) {
    merge_iter *m = (merge_iter *)base;
    nadb_rc rc;

    if (!m->started) return merge_restart(m, NULL, err);
    rc = advance(m, err);
    if (rc == NADB_OK) return settle(m, err);
    m->base.valid = false;
    return rc;
}

static nadb_rc merge_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    return merge_restart((merge_iter *)base, &key, err);
}

static void merge_free(nadb_iter *base) {
    merge_iter *m = (merge_iter *)base;

    for (size_t i = 0; i < m->all; i++) nadb_iter_free(m->owned[i]);
    nadb_free(m);
}

static const nadb_iter_ops merge_ops = {merge_next, merge_seek, merge_free};

nadb_rc nadb_merge(nadb_iter **sources, size_t n, const nadb_range *range,
                   bool tombstones, nadb_iter **out, nadb_err *err) {
    merge_iter *m =
        nadb_calloc(1, sizeof *m + n * (sizeof m->live[0] + sizeof *m->owned));

    *out = NULL;
    if (m == NULL) {
        for (size_t i = 0; i < n; i++) nadb_iter_free(sources[i]);
        return nadb_fail(err, NADB_NOMEM, "reading");
    }
    m->base.ops = &merge_ops;
    if (range != NULL) {
        m->reverse = range->reverse;
        if (range->hi.p != NULL)
            m->skip = nadb_slice_common(range->lo, range->hi);
    }
    m->tombstones = tombstones;
    m->all = n;
    m->owned = (nadb_iter **)(void *)(m->live + n);
    for (size_t i = 0; i < n; i++) m->owned[i] = sources[i];
    *out = &m->base;
    return NADB_OK;
}
