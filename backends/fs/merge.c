/* merge.c - several runs as one sorted sequence (see merge.h). */
#include "merge.h"

static nadb_slice copy_of(nadb_slice s, uint8_t *to) {
    if (s.n > 0) memcpy(to, s.p, s.n);
    return nadb_slice_of(to, s.n);
}

nadb_rc fs_merge_init(fs_merge *m, fs_version *v, size_t first, size_t n,
                      const nadb_range *range, bool private, nadb_err *err) {
    nadb_range r = *range;
    uint8_t *bounds;
    size_t lo_n = range->lo.p == NULL ? 0 : range->lo.n;
    size_t hi_n = range->hi.p == NULL ? 0 : range->hi.n;

    memset(m, 0, sizeof *m);
    m->v = v;
    m->reverse = range->reverse;
    m->skip = range->hi.p == NULL ? 0 : nadb_slice_common(range->lo, range->hi);
    m->cursors = nadb_malloc(n * (sizeof *m->cursors + sizeof *m->heap) + lo_n +
                             hi_n + 1);
    if (m->cursors == NULL)
        return nadb_fail(err, NADB_NOMEM, "reading %s", v->base->env.dir);
    m->heap = (fs_source *)(void *)(m->cursors + n);
    bounds = (uint8_t *)(m->heap + n);
    r.lo = copy_of(range->lo, bounds);
    if (range->hi.p != NULL) r.hi = copy_of(range->hi, bounds + lo_n);
    for (size_t i = 0; i < n; i++)
        fs_cursor_init(&m->cursors[i], v, &v->m.runs[first + i], &r, private);
    m->n_cursors = n;
    return NADB_OK;
}

void fs_merge_clear(fs_merge *m) {
    for (size_t i = 0; i < m->n_cursors; i++) fs_cursor_clear(&m->cursors[i]);
    nadb_free(m->cursors);
    memset(m, 0, sizeof *m);
}

/* --- the heap --- */

static uint64_t prefix_of(const fs_merge *m, nadb_slice key) {
    return nadb_slice_prefix8_behind(key, m->skip) ^
           (m->reverse ? UINT64_MAX : 0);
}

static nadb_slice key_of(const fs_merge *m, const fs_source *s) {
    return nadb_buf_slice(&m->cursors[s->i].key);
}

static int compare_keys(const fs_merge *m, const fs_source *a,
                        const fs_source *b) {
    int c;

    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    c = nadb_slice_cmp(key_of(m, a), key_of(m, b));
    return m->reverse ? -c : c;
}

static bool before(const fs_merge *m, const fs_source *a, const fs_source *b) {
    int c = compare_keys(m, a, b);

    return c < 0 || (c == 0 && a->i < b->i);
}

static void sift_down(fs_merge *m, size_t at) {
    fs_source moving = m->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= m->n) break;
        if (child + 1 < m->n && before(m, &m->heap[child + 1], &m->heap[child]))
            child++;
        if (!before(m, &m->heap[child], &moving)) break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = moving;
}

/* Takes the present key of source `at` into the heap's order, or the source
 * out of the heap when it is at its end. */
static void settle(fs_merge *m, size_t at) {
    fs_source *s = &m->heap[at];

    if (m->cursors[s->i].valid) {
        /* With one source there is nothing to compare. */
        if (m->n > 1) s->prefix = prefix_of(m, key_of(m, s));
    } else {
        *s = m->heap[--m->n];
    }
    if (at < m->n) sift_down(m, at);
}

static void set_top(fs_merge *m) {
    m->top = m->n == 0 ? NULL : &m->cursors[m->heap[0].i];
}

static nadb_rc rebuild(fs_merge *m, const nadb_slice *key, nadb_err *err) {
    m->started = true;
    m->n = 0;
    m->top = NULL;
    for (size_t i = 0; i < m->n_cursors; i++) {
        fs_cursor *c = &m->cursors[i];
        nadb_rc rc = key == NULL ? fs_cursor_start(c, err)
                                 : fs_cursor_seek(c, *key, err);

        if (rc != NADB_OK) {
            m->n = 0;
            return rc;
        }
        if (!c->valid) continue;
        m->heap[m->n].i = i;
        m->heap[m->n].prefix = prefix_of(m, nadb_buf_slice(&c->key));
        m->n++;
    }
    for (size_t i = m->n / 2; i-- > 0;) sift_down(m, i);
    set_top(m);
    return NADB_OK;
}

static double entry_bytes(const fs_cursor *c) {
    double bytes = (double)c->key.n + (double)c->e.value.n;
    fs_ref ref;

    if (c->e.kind == FS_REF && fs_ref_decode(c->e.value, &ref))
        bytes += (double)ref.n;
    return bytes;
}

/* Moves the sources past the present key that have an older entry of it. In a
 * heap they are found below the root first. */
static nadb_rc skip_older(fs_merge *m, nadb_err *err) {
    size_t child = 1;

    while (child < m->n && child <= 2) {
        nadb_rc rc;

        if (compare_keys(m, &m->heap[child], &m->heap[0]) != 0) {
            child++;
            continue;
        }
        m->older += entry_bytes(&m->cursors[m->heap[child].i]);
        rc = fs_cursor_next(&m->cursors[m->heap[child].i], err);
        if (rc != NADB_OK) return rc;
        settle(m, child);
        child = 1;
    }
    return NADB_OK;
}

nadb_rc fs_merge_next(fs_merge *m, nadb_err *err) {
    nadb_rc rc;

    if (!m->started) return rebuild(m, NULL, err);
    if (m->n == 0) return NADB_OK;
    rc = skip_older(m, err);
    if (rc == NADB_OK) rc = fs_cursor_next(m->top, err);
    if (rc != NADB_OK) {
        m->n = 0;
        m->top = NULL;
        return rc;
    }
    settle(m, 0);
    set_top(m);
    return NADB_OK;
}

nadb_rc fs_merge_seek(fs_merge *m, nadb_slice key, nadb_err *err) {
    return rebuild(m, &key, err);
}
