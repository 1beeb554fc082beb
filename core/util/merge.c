/* merge.c - see merge.h.
 *
 * Sources are few (the batch, some memtables, the base), so all are compared
 * for the next key, first by 8 bytes of each key (least.h). */
#include "merge.h"

#include "least.h"

typedef struct merge_iter {
    nadb_iter base;
    bool reverse, tombstones, started;
    size_t n;   /* live[0..n) are the sources not at their end */
    size_t all; /* number of owned sources */
    size_t least;
    size_t skip; /* length of the prefix that all keys of the range share */
    nadb_iter **live; /* newest first */
    nadb_iter **owned;
    /* one per live source (least.h); then the arrays of sources */
    uint64_t words[];
} merge_iter;

static inline void word_set(merge_iter *m, size_t i) {
    m->words[i] = nadb_least_word(m->live[i]->entry.key, m->skip, m->reverse);
}

static int compare(const merge_iter *m, size_t a, size_t b) {
    int c = nadb_slice_cmp(m->live[a]->entry.key, m->live[b]->entry.key);

    return m->reverse ? -c : c;
}

/* Removes sources at their end from the live ones, keeping the order. */
static void drop_ended(merge_iter *m) {
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++) {
        if (!m->live[i]->valid) continue;
        m->words[kept] = m->words[i];
        m->live[kept++] = m->live[i];
    }
    m->n = kept;
}

/* Several words equal the smallest, of which m->least is the newest. Finds the
 * smallest key among them, and moves every older source with that key past
 * it. */
static nadb_rc choose_of_tied(merge_iter *m, nadb_err *err) {
    uint64_t word = m->words[m->least];
    nadb_iter *keep;
    bool ended = false;

    for (size_t i = m->least + 1; i < m->n; i++)
        if (m->words[i] == word && compare(m, i, m->least) < 0) m->least = i;
    keep = m->live[m->least];
    for (size_t i = m->least + 1; i < m->n; i++) {
        nadb_rc rc;

        if (m->words[i] != word || compare(m, i, m->least) != 0) continue;
        rc = nadb_iter_next(m->live[i], err);
        if (rc != NADB_OK) return rc;
        if (m->live[i]->valid)
            word_set(m, i);
        else
            ended = true;
    }
    if (ended) {
        drop_ended(m);
        for (m->least = 0; m->live[m->least] != keep;) m->least++;
    }
    return NADB_OK;
}

/* Finds the smallest key, and the newest source that has it. */
static inline nadb_rc choose(merge_iter *m, nadb_err *err) {
    bool tied;

    m->base.valid = false;
    if (m->n == 0) return NADB_OK;
    m->least = nadb_least(m->words, m->n, &tied);
    if (tied) {
        nadb_rc rc = choose_of_tied(m, err);

        if (rc != NADB_OK) return rc;
    }
    m->base.entry = m->live[m->least]->entry;
    m->base.valid = true;
    return NADB_OK;
}

/* Moves the source of the present entry. */
static inline nadb_rc advance(merge_iter *m, nadb_err *err) {
    nadb_rc rc;

    if (m->n == 0) return NADB_OK;
    rc = nadb_iter_next(m->live[m->least], err);
    if (rc != NADB_OK) return rc;
    if (!m->live[m->least]->valid)
        drop_ended(m);
    else if (m->n > 1) /* a single source needs no comparison */
        word_set(m, m->least);
    return NADB_OK;
}

/* Moves on to an entry that is to be returned. */
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
        m->live[m->n] = it;
        word_set(m, m->n++);
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
        nadb_calloc(1, sizeof *m + n * (sizeof m->words[0] + sizeof *m->live +
                                        sizeof *m->owned));

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
    m->live = (nadb_iter **)(void *)(m->words + n);
    m->owned = m->live + n;
    for (size_t i = 0; i < n; i++) m->owned[i] = sources[i];
    *out = &m->base;
    return NADB_OK;
}
