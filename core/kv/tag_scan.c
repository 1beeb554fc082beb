/* tag_scan.c - see tag_scan.h.
 *
 * The expression becomes a tree of nodes. Each node has a present key and can
 * move to the next one or seek:
 *
 *   list  one tag: a walk over its entries in the index
 *   and   its key is where all parts agree: each part seeks to the key of the
 *         one that is furthest ahead, the shortest list first. The keys of
 *         parts with NOT are left out.
 *   or    its key is that of the part furthest behind. The parts are in a heap,
 *         because a tag IN (..) may have tens of thousands.
 *
 * A list that has to seek takes a few steps first, because the next entries are
 * cached and a seek is more expensive. */
#include "tag_scan.h"

#include "../util/assert.h"
#include "../util/coding.h"
#include "../util/merge.h"
#include "match.h"

#define STEPS 8 /* of a list, before it seeks */
/* largest number of tags that a prefix may stand for */
#define PREFIX_TAGS 256u

typedef enum node_kind { NODE_LIST, NODE_AND, NODE_OR } node_kind;

typedef struct node {
    node_kind kind;
    bool valid;
    /* present key, without keyspace byte; slice of the list's entry */
    nadb_slice key;
    double rows; /* estimated number */
    /* Of a list: */
    nadb_iter *it;
    nadb_buf name;  /* "t <tag> 0 0"; a key to seek is appended */
    size_t skip;    /* length of that prefix */
    unsigned steps; /* taken so far */
    session_read *read;
    /* Of AND and OR: */
    struct node *first; /* parts */
    struct node * not ; /* of an AND: parts whose keys are left out */
    struct node *next;  /* next part of the same parent */
    /* Of an OR: */
    struct node **heap; /* the valid parts, the one furthest behind first */
    size_t n_heap;
} node;

typedef struct scan {
    nadb_iter base;
    nadb_session *ss;
    nadb_view *view;
    nadb_range rows;
    int64_t now;
    bool reverse, started;
    bool exact;
    bool estimate; /* only estimates rows; lists are not opened */
    bool lone;     /* the tree is one list, whose length need not be known */
    uint64_t epoch;
    node *root;
    nadb_buf key;    /* of the present entry */
    nadb_buf bounds; /* of the range */
} scan;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "reading the tag index");
}

/* True if a comes before b in the walk's direction. */
static bool behind(const scan *s, nadb_slice a, nadb_slice b) {
    int c = nadb_slice_cmp(a, b);

    return s->reverse ? c > 0 : c < 0;
}

/* --- lists --- */

static void list_settle(node *n) {
    n->valid = n->it->valid;
    if (n->valid)
        n->key = nadb_slice_of(n->it->entry.key.p + n->skip,
                               n->it->entry.key.n - n->skip);
}

static bool list_expired(const scan *s, const node *n) {
    return n->it->valid && n->it->entry.value.n > 0 &&
           nadb_index_expires(n->it->entry.value) <= s->now;
}

static inline nadb_rc list_next(const scan *s, node *n, nadb_err *err) {
    nadb_rc rc;

    do {
        rc = nadb_iter_next(n->it, err);
        if (rc == NADB_OK && ++n->steps % NADB_JOB_STEPS == 0)
            rc = nadb_job_look(err);
    } while (rc == NADB_OK && list_expired(s, n));
    if (rc == NADB_OK) list_settle(n);
    return rc;
}

static nadb_rc list_seek(const scan *s, node *n, nadb_slice key,
                         nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (int i = 0; i < STEPS && n->valid && behind(s, n->key, key); i++) {
        rc = list_next(s, n, err);
        if (rc != NADB_OK) return rc;
    }
    if (!n->valid || !behind(s, n->key, key)) return NADB_OK;
    n->name.n = n->skip;
    if (!nadb_buf_append(&n->name, key.p, key.n)) return no_memory(err);
    rc = nadb_iter_seek(n->it, nadb_buf_slice(&n->name), err);
    if (rc == NADB_OK && list_expired(s, n)) return list_next(s, n, err);
    if (rc == NADB_OK) list_settle(n);
    return rc;
}

/* --- nodes --- */

static inline nadb_rc node_next(const scan *s, node *n, nadb_err *err);
static nadb_rc node_seek(const scan *s, node *n, nadb_slice key, nadb_err *err);

/* Moves all parts of an AND to one common key. */
static nadb_rc and_settle(const scan *s, node *n, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (;;) {
        node *part = n->first->next;

        n->valid = n->first->valid;
        if (!n->valid) return NADB_OK;
        n->key = n->first->key;
        for (; part != NULL; part = part->next) {
            if (part->valid && behind(s, part->key, n->key))
                rc = node_seek(s, part, n->key, err);
            if (rc != NADB_OK) return rc;
            n->valid = part->valid;
            if (!n->valid) return NADB_OK;
            if (behind(s, n->key, part->key)) break;
        }
        if (part != NULL) {
            rc = node_seek(s, n->first, part->key, err);
            if (rc != NADB_OK) return rc;
            continue;
        }
        for (part = n->not ; part != NULL; part = part->next) {
            if (part->valid && behind(s, part->key, n->key))
                rc = node_seek(s, part, n->key, err);
            if (rc != NADB_OK) return rc;
            if (part->valid && nadb_slice_eq(part->key, n->key)) break;
        }
        if (part == NULL) return NADB_OK;
        rc = node_next(s, n->first, err);
        if (rc != NADB_OK) return rc;
    }
}

/* --- heaps --- */

static void heap_down(const scan *s, node *n, size_t at) {
    node *moved = n->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= n->n_heap) break;
        if (child + 1 < n->n_heap &&
            behind(s, n->heap[child + 1]->key, n->heap[child]->key))
            child++;
        if (!behind(s, n->heap[child]->key, moved->key)) break;
        n->heap[at] = n->heap[child];
        at = child;
    }
    n->heap[at] = moved;
}

static void heap_push(const scan *s, node *n, node *part) {
    size_t at = n->n_heap++;

    NADB_ASSERT(part->valid); /* parts at their end are not in the heap */
    while (at > 0 && behind(s, part->key, n->heap[(at - 1) / 2]->key)) {
        n->heap[at] = n->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    n->heap[at] = part;
}

/* Removes the first part. Places behind the heap keep what was removed. */
static void heap_pop(const scan *s, node *n) {
    node *top = n->heap[0];

    NADB_ASSERT(n->n_heap > 0);
    n->heap[0] = n->heap[--n->n_heap];
    n->heap[n->n_heap] = top;
    if (n->n_heap > 1) heap_down(s, n, 0);
}

static void or_settle(node *n) {
    n->valid = n->n_heap > 0;
    /* parts at their end are not in the heap */
    NADB_ASSERT(!n->valid || n->heap[0]->valid);
    if (n->valid) n->key = n->heap[0]->key;
}

/* Moves every part with the present key. The key's bytes belong to one of them,
 * so all are taken out of the heap before the first moves. */
static nadb_rc or_next(const scan *s, node *n, nadb_err *err) {
    size_t end = n->n_heap;
    nadb_rc rc = NADB_OK;

    while (n->n_heap > 0 && nadb_slice_eq(n->heap[0]->key, n->key))
        heap_pop(s, n);
    while (n->n_heap < end && rc == NADB_OK) {
        node *part = n->heap[n->n_heap];

        rc = node_next(s, part, err);
        if (rc == NADB_OK && part->valid) {
            heap_push(s, n, part);
        } else {
            n->heap[n->n_heap] = n->heap[--end];
        }
    }
    if (rc == NADB_OK) or_settle(n);
    return rc;
}

static nadb_rc or_seek(const scan *s, node *n, nadb_slice key, nadb_err *err) {
    while (n->n_heap > 0 && behind(s, n->heap[0]->key, key)) {
        nadb_rc rc = node_seek(s, n->heap[0], key, err);

        if (rc != NADB_OK) return rc;
        if (n->heap[0]->valid)
            heap_down(s, n, 0);
        else
            heap_pop(s, n);
    }
    or_settle(n);
    return NADB_OK;
}

static nadb_rc or_start(const scan *s, node *n, nadb_err *err) {
    size_t parts = 0;

    for (node *part = n->first; part != NULL; part = part->next) parts++;
    n->heap = nadb_calloc(parts + 1, sizeof *n->heap);
    if (n->heap == NULL) return no_memory(err);
    for (node *part = n->first; part != NULL; part = part->next)
        if (part->valid) heap_push(s, n, part);
    or_settle(n);
    return NADB_OK;
}

static inline nadb_rc node_next(const scan *s, node *n, nadb_err *err) {
    nadb_rc rc;

    if (n->kind == NODE_LIST) return list_next(s, n, err);
    if (n->kind == NODE_OR) return or_next(s, n, err);
    rc = node_next(s, n->first, err);
    return rc == NADB_OK ? and_settle(s, n, err) : rc;
}

/* Moves to the key or the first one behind it; never backwards. */
static nadb_rc node_seek(const scan *s, node *n, nadb_slice key,
                         nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (n->kind == NODE_LIST) return list_seek(s, n, key, err);
    if (n->kind == NODE_AND) {
        rc = node_seek(s, n->first, key, err);
        return rc == NADB_OK ? and_settle(s, n, err) : rc;
    }
    return or_seek(s, n, key, err);
}

/* Moves every part to its first key. */
static nadb_rc node_start(const scan *s, node *n, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (n->kind == NODE_LIST) return list_next(s, n, err);
    for (node *part = n->first; part != NULL && rc == NADB_OK;
         part = part->next)
        rc = node_start(s, part, err);
    for (node *part = n->not ; part != NULL && rc == NADB_OK; part = part->next)
        rc = node_start(s, part, err);
    if (rc != NADB_OK) return rc;
    return n->kind == NODE_AND ? and_settle(s, n, err) : or_start(s, n, err);
}

/* --- making the tree --- */

static void node_free(scan *s, node *n) {
    while (n != NULL) {
        node *next = n->next;

        node_free(s, n->first);
        node_free(s, n->not );
        if (n->it != NULL) {
            if (n->it->valid && !s->estimate)
                session_narrow_read(s->ss, n->read, s->epoch, s->reverse,
                                    n->it->entry.key);
            nadb_iter_free(n->it);
        }
        nadb_buf_clear(&n->name);
        nadb_free(n->heap);
        nadb_free(n);
        n = next;
    }
}

static nadb_rc count_of(scan *s, nadb_slice tag, double *rows, nadb_err *err) {
    nadb_engine *e = s->ss->engine;
    nadb_buf key = NADB_BUF_INIT;
    nadb_entry entry;
    bool found = false;
    nadb_rc rc = NADB_OK;

    if (!nadb_index_count_key(&key, tag)) rc = no_memory(err);
    if (rc == NADB_OK)
        rc = e->ops->get(e, s->view, nadb_buf_slice(&key), &entry, &found, err);
    *rows = rc == NADB_OK && found ? (double)nadb_index_count(entry.value) : 0;
    nadb_buf_clear(&key);
    return rc;
}

/* Opens a list, within the bounds of the rows' range. */
static nadb_rc list_open(scan *s, node *n, nadb_slice tag, nadb_err *err) {
    nadb_engine *e = s->ss->engine;
    nadb_slice lo = nadb_slice_of(s->rows.lo.p + 1, s->rows.lo.n - 1);
    nadb_slice hi = nadb_slice_of(s->rows.hi.p + 1, s->rows.hi.n - 1);
    bool open = s->rows.hi.p[0] != NADB_KS_ROW;
    nadb_buf end = NADB_BUF_INIT;
    nadb_range range = {.reverse = s->reverse};
    nadb_rc rc = NADB_OK;

    if (!nadb_index_tag_key(&n->name, tag, lo) ||
        !nadb_index_tag_key(&end, tag, open ? nadb_slice_of("", 0) : hi))
        rc = no_memory(err);
    n->skip = tag.n + 3;
    if (rc == NADB_OK) {
        /* <tag> 0 1 is behind all keys of the tag. */
        if (open) end.p[end.n - 1] = 1;
        range.lo = nadb_buf_slice(&n->name);
        range.hi = nadb_buf_slice(&end);
        rc = session_note_read(s->ss, range.lo, range.hi, false, &n->read, err);
    }
    if (rc == NADB_OK) rc = e->ops->iter(e, s->view, &range, &n->it, err);
    nadb_buf_clear(&end);
    return rc;
}

static nadb_rc list_make(scan *s, nadb_slice tag, node **out, nadb_err *err) {
    node *n = nadb_calloc(1, sizeof *n);
    nadb_rc rc = NADB_OK;

    *out = n;
    if (n == NULL) return no_memory(err);
    /* With a zero byte it would look like another tag and the start of a
     * key. */
    if (memchr(tag.p, 0, tag.n) != NULL)
        return nadb_merge(NULL, 0, NULL, false, &n->it, err);
    if (!s->lone) rc = count_of(s, tag, &n->rows, err);
    if (rc == NADB_OK && !s->estimate) rc = list_open(s, n, tag, err);
    return rc;
}

static nadb_rc parent_make(node_kind kind, node **out, nadb_err *err) {
    *out = nadb_calloc(1, sizeof **out);
    if (*out == NULL) return no_memory(err);
    (*out)->kind = kind;
    return NADB_OK;
}

/* Makes an OR of all tags with the prefix; *out is NULL if there are too
 * many. */
static nadb_rc prefix_make(scan *s, nadb_slice prefix, node **out,
                           nadb_err *err) {
    nadb_engine *e = s->ss->engine;
    nadb_range range = {{NULL, 0}, {NULL, 0}, false};
    nadb_buf lo = NADB_BUF_INIT, hi = NADB_BUF_INIT;
    nadb_iter *it = NULL;
    unsigned tags = 0;
    nadb_rc rc = parent_make(NODE_OR, out, err);

    if (rc == NADB_OK && (!nadb_index_count_key(&lo, prefix) ||
                          !nadb_index_count_key(&hi, prefix)))
        rc = no_memory(err);
    /* The end of the prefix's range: its last byte raised by one. The first
     * byte is the keyspace's. */
    while (rc == NADB_OK && hi.p[hi.n - 1] == 0xff) hi.n--;
    if (rc == NADB_OK) hi.p[hi.n - 1]++;
    range.lo = nadb_buf_slice(&lo);
    range.hi = nadb_buf_slice(&hi);
    if (rc == NADB_OK && !s->estimate)
        rc = session_note_read(s->ss, range.lo, range.hi, false, NULL, err);
    if (rc == NADB_OK) rc = e->ops->iter(e, s->view, &range, &it, err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid && tags++ < PREFIX_TAGS) {
        node *part = NULL;

        rc = list_make(s,
                       nadb_slice_of(it->entry.key.p + 1, it->entry.key.n - 1),
                       &part, err);
        if (part != NULL) {
            part->next = (*out)->first;
            (*out)->first = part;
            (*out)->rows += part->rows;
        }
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    nadb_buf_clear(&lo);
    nadb_buf_clear(&hi);
    if (tags <= PREFIX_TAGS) return rc;
    node_free(s, *out);
    *out = NULL;
    return rc;
}

static nadb_rc node_make(scan *s, const nadb_match_node *m, node **out,
                         nadb_err *err);

/* Inserts by length, the shortest first. */
static void and_add(node *n, node *part) {
    node **at = &n->first;

    while (*at != NULL && (*at)->rows <= part->rows) at = &(*at)->next;
    part->next = *at;
    *at = part;
    n->rows = n->first->rows;
}

/* A part that the index cannot evaluate makes the scan inexact. */
static nadb_rc and_make(scan *s, const nadb_match_node *m, node **out,
                        nadb_err *err) {
    nadb_rc rc = parent_make(NODE_AND, out, err);

    for (const nadb_match_node *part = m->first; part != NULL && rc == NADB_OK;
         part = part->next) {
        bool is_not = part->op == NADB_MATCH_NOT;
        const nadb_match_node *inner = is_not ? part->first : part;
        node *n = NULL;
        bool exact = s->exact;

        s->exact = true; /* now that of this part */
        if (nadb_match_needs_tags(inner)) {
            rc = node_make(s, inner, &n, err);
            /* An inexact part must not exclude rows. */
            if (is_not && n != NULL && !s->exact) {
                node_free(s, n);
                n = NULL;
            }
        }
        s->exact = s->exact && exact;
        if (n == NULL) {
            s->exact = false;
        } else if (is_not) {
            n->next = (*out)->not ;
            (*out)->not = n;
        } else {
            and_add(*out, n);
        }
    }
    if (rc != NADB_OK || (*out)->first != NULL) return rc;
    node_free(s, *out);
    *out = NULL;
    return NADB_OK;
}

static nadb_rc or_make(scan *s, const nadb_match_node *m, node **out,
                       nadb_err *err) {
    nadb_rc rc = parent_make(NODE_OR, out, err);

    for (const nadb_match_node *part = m->first; part != NULL && rc == NADB_OK;
         part = part->next) {
        node *n = NULL;

        rc = node_make(s, part, &n, err);
        if (n == NULL) {
            node_free(s, *out);
            *out = NULL;
            return rc;
        }
        n->next = (*out)->first;
        (*out)->first = n;
        (*out)->rows += n->rows;
    }
    return rc;
}

/* *out is NULL if the index cannot answer; it may be set even on error. */
static nadb_rc node_make(scan *s, const nadb_match_node *m, node **out,
                         nadb_err *err) {
    *out = NULL;
    switch (m->op) {
    case NADB_MATCH_TAG:
        return list_make(s, m->text, out, err);
    case NADB_MATCH_PREFIX:
        return prefix_make(s, m->text, out, err);
    case NADB_MATCH_AND:
        return and_make(s, m, out, err);
    case NADB_MATCH_OR:
        return or_make(s, m, out, err);
    case NADB_MATCH_NOT:
        break;
    }
    return NADB_OK;
}

/* --- the iterator --- */

/* Makes an entry from the root's key. */
static nadb_rc give(scan *s, nadb_err *err) {
    nadb_slice key = s->root->key;

    s->base.valid = s->root->valid;
    if (!s->base.valid) return NADB_OK;
    nadb_buf_reset(&s->key);
    if (!nadb_buf_reserve(&s->key, 1 + key.n)) return no_memory(err);
    s->key.p[0] = NADB_KS_ROW;
    nadb_copy(s->key.p + 1, key.p, key.n);
    s->key.n = 1 + key.n;
    s->base.entry.key = nadb_buf_slice(&s->key);
    return NADB_OK;
}

static nadb_rc scan_next(nadb_iter *base, nadb_err *err) {
    scan *s = (scan *)base;
    nadb_rc rc = NADB_OK;

    if (!s->started)
        rc = node_start(s, s->root, err);
    else if (s->root->valid)
        rc = node_next(s, s->root, err);
    s->started = true;
    s->base.valid = false;
    return rc == NADB_OK ? give(s, err) : rc;
}

/* Forward only, which suffices for a merge. */
static nadb_rc scan_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    scan *s = (scan *)base;
    nadb_rc rc = NADB_OK;

    if (!s->started) rc = node_start(s, s->root, err);
    s->started = true;
    if (rc == NADB_OK && s->root->valid && key.n > 0)
        rc = node_seek(s, s->root, nadb_slice_of(key.p + 1, key.n - 1), err);
    s->base.valid = false;
    return rc == NADB_OK ? give(s, err) : rc;
}

static void scan_free(nadb_iter *base) {
    scan *s = (scan *)base;

    node_free(s, s->root);
    nadb_buf_clear(&s->key);
    nadb_buf_clear(&s->bounds);
    nadb_free(s);
}

nadb_rc nadb_tag_scan(nadb_session *ss, nadb_view *view, const nadb_match *m,
                      const nadb_range *range, int64_t now_ms, nadb_iter **out,
                      bool *exact, nadb_err *err) {
    static const nadb_iter_ops ops = {scan_next, scan_seek, scan_free};
    scan *s;
    nadb_rc rc;

    *out = NULL;
    *exact = false;
    if (!nadb_match_indexed(m)) return NADB_OK;
    s = nadb_calloc(1, sizeof *s);
    if (s == NULL) return no_memory(err);
    s->base.ops = &ops;
    s->ss = ss;
    s->view = view;
    s->rows = *range;
    s->now = now_ms;
    s->reverse = range->reverse;
    s->exact = true;
    s->epoch = ss->epoch;
    s->lone = m->root->op == NADB_MATCH_TAG;
    rc = node_make(s, m->root, &s->root, err);
    *exact = s->exact;
    if (rc == NADB_OK && s->root != NULL)
        *out = &s->base;
    else
        scan_free(&s->base);
    return rc;
}

nadb_rc nadb_match_estimate(nadb_session *ss, const nadb_match *m, double *rows,
                            nadb_err *err) {
    scan s = {.ss = ss, .exact = true, .estimate = true};
    session_view *v = NULL;
    nadb_rc rc;

    *rows = -1;
    if (!nadb_match_indexed(m)) return NADB_OK;
    rc = session_view_take(ss, &v, err);
    if (rc != NADB_OK) return rc;
    s.view = v->view;
    rc = node_make(&s, m->root, &s.root, err);
    if (rc == NADB_OK && s.root != NULL) *rows = s.root->rows;
    node_free(&s, s.root);
    session_view_drop(ss, v);
    return rc;
}
