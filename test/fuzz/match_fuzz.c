/* match_fuzz.c - MATCH expressions, and what they say of tag lists.
 *
 * The input is an expression, and behind its first newline a list of tags, one
 * a line. An expression and NOT (expression) must disagree. */
#include "fuzz.h"

#include "../../core/kv/match.h"
#include "../../core/kv/tags.h"

static void split(nadb_slice lines, nadb_buf *list) {
    nadb_err err;
    nadb_buf old = NADB_BUF_INIT;

    while (lines.n > 0) {
        const uint8_t *end = memchr(lines.p, '\n', lines.n);
        nadb_slice tag = nadb_slice_of(
            lines.p, end == NULL ? lines.n : (size_t)(end - lines.p));
        size_t skip = tag.n + (end != NULL);
        size_t changed;

        nadb_buf_reset(&old);
        MUST(nadb_buf_append(&old, list->p, list->n));
        nadb_buf_reset(list);
        if (nadb_tags_change(nadb_buf_slice(&old), &tag, 1, true, list,
                             &changed, &err) != NADB_OK) {
            nadb_buf_reset(list);
            MUST(nadb_buf_append(list, old.p, old.n));
        }
        MUST(nadb_tags_valid(nadb_buf_slice(list)));
        lines = nadb_slice_of(lines.p + skip, lines.n - skip);
    }
    nadb_buf_clear(&old);
}

static void check_node(const nadb_match_node *n, unsigned depth) {
    MUST(depth <= 3 * NADB_MATCH_DEPTH_MAX + 3);
    MUST((n->first == NULL) == (n->text.n > 0));
    for (const nadb_match_node *o = n->first; o != NULL; o = o->next) {
        MUST(o->op != n->op);
        check_node(o, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const uint8_t *end = n == 0 ? NULL : memchr(data, '\n', n);
    size_t text_n = end == NULL ? n : (size_t)(end - data);
    nadb_buf list = NADB_BUF_INIT, opposite = NADB_BUF_INIT;
    nadb_match *m, *not_m;
    nadb_err err;

    if (end != NULL) split(nadb_slice_of(end + 1, n - text_n - 1), &list);
    if (nadb_match_parse(nadb_slice_of(data, text_n), &m, &err) != NADB_OK) {
        MUST(m == NULL && err.msg[0] != 0);
        nadb_buf_clear(&list);
        return 0;
    }
    check_node(m->root, 0);
    MUST(nadb_buf_append(&opposite, "NOT (", 5) &&
         nadb_buf_append(&opposite, data, text_n) &&
         nadb_buf_byte(&opposite, ')'));
    if (nadb_match_parse(nadb_buf_slice(&opposite), &not_m, &err) == NADB_OK) {
        MUST(nadb_match_tags(m, nadb_buf_slice(&list)) !=
             nadb_match_tags(not_m, nadb_buf_slice(&list)));
        nadb_match_free(not_m);
    }
    nadb_match_free(m);
    nadb_buf_clear(&list);
    nadb_buf_clear(&opposite);
    return 0;
}
