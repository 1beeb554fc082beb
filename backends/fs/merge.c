/* merge.c - merges several runs into one sorted sequence (merge.h). */
#include "merge.h"

#include "../../core/util/least.h"

nadb_rc fs_merge_init(fs_merge *m, fs_version *v, size_t first, size_t n,
                      const nadb_range *range, bool private, nadb_err *err) {
    nadb_range own;

    memset(m, 0, sizeof *m);
    m->v = v;
    m->reverse = range->reverse;
    m->skip = range->hi.p == NULL ? 0 : nadb_slice_common(range->lo, range->hi);
    m->cursors = nadb_malloc(
        n * (sizeof *m->cursors + sizeof *m->live + sizeof *m->words) +
        nadb_range_bytes(range) + 1);
    if (m->cursors == NULL)
        return nadb_fail(err, NADB_NOMEM, "reading %s", v->base->env.dir);
    m->live = (fs_cursor **)(void *)(m->cursors + n);
    m->words = (uint64_t *)(void *)(m->live + n);
    own = nadb_range_copy(range, (uint8_t *)(m->words + n));
    for (size_t i = 0; i < n; i++)
        fs_cursor_init(&m->cursors[i], v, &v->m.runs[first + i], &own, private);
    m->n_cursors = n;
    return NADB_OK;
}

void fs_merge_clear(fs_merge *m) {
    for (size_t i = 0; i < m->n_cursors; i++) fs_cursor_clear(&m->cursors[i]);
    nadb_free(m->cursors);
    memset(m, 0, sizeof *m);
}

/* --- the order --- */

static inline void word_set(fs_merge *m, size_t i) {
    m->words[i] =
        nadb_least_word(nadb_buf_slice(&m->live[i]->key), m->skip, m->reverse);
}

static int compare(const fs_merge *m, size_t a, size_t b) {
    int c = nadb_slice_cmp(nadb_buf_slice(&m->live[a]->key),
                           nadb_buf_slice(&m->live[b]->key));

    return m->reverse ? -c : c;
}

/* Removes a run at its end from the live ones, keeping their order. */
static void drop(fs_merge *m, size_t i) {
    size_t after = --m->n - i;

    memmove(m->live + i, m->live + i + 1, after * sizeof *m->live);
    memmove(m->words + i, m->words + i + 1, after * sizeof *m->words);
}

static double entry_bytes(const fs_cursor *c) {
    double bytes = (double)c->key.n + (double)c->e.value.n;
    fs_ref ref;

    if (c->e.kind == FS_REF && fs_ref_decode(c->e.value, &ref))
        bytes += (double)ref.n;
    return bytes;
}

/* Several words equal the smallest, of which m->least is the newest. Finds the
 * smallest key among them, and moves every older run with that key past it. */
static nadb_rc choose_of_tied(fs_merge *m, nadb_err *err) {
    uint64_t word = m->words[m->least];
    size_t i;

    for (i = m->least + 1; i < m->n; i++)
        if (m->words[i] == word && compare(m, i, m->least) < 0) m->least = i;
    for (i = m->n; --i > m->least;) {
        nadb_rc rc;

        if (m->words[i] != word || compare(m, i, m->least) != 0) continue;
        m->older += entry_bytes(m->live[i]);
        rc = fs_cursor_next(m->live[i], err);
        if (rc != NADB_OK) return rc;
        if (m->live[i]->valid)
            word_set(m, i);
        else
            drop(m, i);
    }
    return NADB_OK;
}

static inline nadb_rc choose(fs_merge *m, nadb_err *err) {
    bool tied;

    m->top = NULL;
    if (m->n == 0) return NADB_OK;
    m->least = nadb_least(m->words, m->n, &tied);
    if (tied) {
        nadb_rc rc = choose_of_tied(m, err);

        if (rc != NADB_OK) return rc;
    }
    m->top = m->live[m->least];
    return NADB_OK;
}

/* --- walking --- */

static nadb_rc restart(fs_merge *m, const nadb_slice *key, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    m->started = true;
    m->n = 0;
    m->top = NULL;
    for (size_t i = 0; i < m->n_cursors && rc == NADB_OK; i++) {
        fs_cursor *c = &m->cursors[i];

        rc = key == NULL ? fs_cursor_start(c, err)
                         : fs_cursor_seek(c, *key, err);
        if (rc != NADB_OK || !c->valid) continue;
        m->live[m->n] = c;
        word_set(m, m->n++);
    }
    if (rc == NADB_OK) rc = choose(m, err);
    if (rc != NADB_OK) m->n = 0;
    return rc;
}

nadb_rc fs_merge_next(fs_merge *m, nadb_err *err) {
    nadb_rc rc;

    if (!m->started) return restart(m, NULL, err);
    if (m->n == 0) return NADB_OK;
    rc = fs_cursor_next(m->top, err);
    if (rc == NADB_OK) {
        if (!m->top->valid)
            drop(m, m->least);
        else if (m->n > 1) /* a single run needs no comparison */
            word_set(m, m->least);
        rc = choose(m, err);
    }
    if (rc == NADB_OK) return NADB_OK;
    m->n = 0;
    m->top = NULL;
    return rc;
}

nadb_rc fs_merge_seek(fs_merge *m, nadb_slice key, nadb_err *err) {
    return restart(m, &key, err);
}
