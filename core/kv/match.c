/* match.c - parser and evaluator of tags MATCH (grammar: match.h).
 *
 * The parser descends recursively, one level of C calls per parenthesis;
 * parentheses are counted. Chains of any length (a b c .., a OR b OR .., NOT
 * NOT ..) are loops and give wide nodes instead of deep ones. So the
 * evaluator's recursion is bounded, too.
 *
 * No index is used here: nadb_match_tags() tests the tags of one row. */
#include "match.h"

#include "tags.h"

typedef enum token_kind {
    TOKEN_END,
    TOKEN_TAG,
    TOKEN_PREFIX,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_NOT,
    TOKEN_OPEN,
    TOKEN_CLOSE
} token_kind;

typedef struct parser {
    nadb_match *m;
    const uint8_t *start, *p, *end; /* a copy of the text, in the arena */
    token_kind kind;                /* the present token */
    const uint8_t *at;              /* where it begins */
    nadb_slice text;                /* of a tag or prefix, unquoted */
    unsigned depth, terms;
    nadb_err *err;
} parser;

/* --- errors --- */

static bool is_char_start(uint8_t c) { return (c & 0xc0) != 0x80; }

/* The place is given in characters, as editors count. */
static nadb_rc bad(const parser *ps, const uint8_t *at, const char *what) {
    size_t place = 1;
    size_t n = 0;

    for (const uint8_t *p = ps->start; p < at; p++)
        if (is_char_start(*p)) place++;
    while (at + n < ps->end && (n < 20 || !is_char_start(at[n]))) n++;
    if (n == 0)
        return nadb_fail(ps->err, NADB_INVALID,
                         "bad MATCH expression: %s at character %zu, where it "
                         "ends",
                         what, place);
    return nadb_fail(ps->err, NADB_INVALID,
                     "bad MATCH expression: %s at character %zu, near '%.*s'",
                     what, place, (int)n, (const char *)at);
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for MATCH");
}

/* --- tokens --- */

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_word(uint8_t c) {
    return !is_space(c) && c != '"' && c != '(' && c != ')' && c != '*';
}

/* Number of bytes up to the closing quote; *doubled: quotes within. */
static nadb_rc quoted_length(const parser *ps, size_t *n, size_t *doubled) {
    const uint8_t *p = ps->p;

    for (*doubled = 0; p < ps->end; p++) {
        if (*p != '"') continue;
        if (p + 1 == ps->end || p[1] != '"') break;
        (*doubled)++;
        p++;
    }
    if (p >= ps->end) return bad(ps, ps->at, "a quote without its end");
    *n = (size_t)(p - ps->p);
    return *n > 0 ? NADB_OK : bad(ps, ps->at, "an empty tag");
}

/* The text behind an opening quote; two quotes stand for one. */
static nadb_rc take_quoted(parser *ps) {
    size_t n, doubled;
    uint8_t *copy;
    nadb_rc rc;

    ps->p++;
    rc = quoted_length(ps, &n, &doubled);
    if (rc != NADB_OK) return rc;
    copy = nadb_arena_alloc(&ps->m->memory, n - doubled);
    if (copy == NULL) return no_memory(ps->err);
    ps->text = nadb_slice_of(copy, n - doubled);
    for (const uint8_t *end = ps->p + n; ps->p < end; ps->p++) {
        *copy++ = *ps->p;
        if (*ps->p == '"') ps->p++;
    }
    ps->p++;
    return NADB_OK;
}

/* True if a word is an operator in lower case. 'a and b' would be three tags,
 * which its author does not mean. */
static bool is_small_operator(nadb_slice word) {
    static const char *const operators[] = {"AND", "OR", "NOT"};

    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        size_t n = 0;

        while (n < word.n && operators[i][n] != 0 &&
               (word.p[n] & ~0x20) == operators[i][n])
            n++;
        if (n == word.n && operators[i][n] == 0) return true;
    }
    return false;
}

static token_kind word_kind(nadb_slice word) {
    if (nadb_slice_eq(word, nadb_slice_str("AND"))) return TOKEN_AND;
    if (nadb_slice_eq(word, nadb_slice_str("OR"))) return TOKEN_OR;
    if (nadb_slice_eq(word, nadb_slice_str("NOT"))) return TOKEN_NOT;
    return TOKEN_TAG;
}

/* A word or a quoted text, and the star behind it. */
static nadb_rc take_text(parser *ps) {
    ps->kind = TOKEN_TAG;
    if (*ps->p == '"') {
        nadb_rc rc = take_quoted(ps);

        if (rc != NADB_OK) return rc;
    } else {
        while (ps->p < ps->end && is_word(*ps->p)) ps->p++;
        ps->text = nadb_slice_of(ps->at, (size_t)(ps->p - ps->at));
        ps->kind = word_kind(ps->text);
    }
    if (ps->kind == TOKEN_TAG && *ps->at != '"' &&
        (ps->p == ps->end || *ps->p != '*') && is_small_operator(ps->text))
        return bad(ps, ps->at,
                   "an operator in small letters (write AND, OR and NOT in "
                   "capitals, and a tag of that name in quotes)");
    if (ps->p < ps->end && *ps->p == '*') {
        ps->kind = TOKEN_PREFIX;
        ps->p++;
        /* a*b would be a* and b, which its author does not mean. */
        if (ps->p < ps->end && !is_space(*ps->p) && *ps->p != '(' &&
            *ps->p != ')')
            return bad(ps, ps->p, "something right behind '*'");
    }
    return NADB_OK;
}

static nadb_rc next_token(parser *ps) {
    while (ps->p < ps->end && is_space(*ps->p)) ps->p++;
    ps->at = ps->p;
    if (ps->p == ps->end) {
        ps->kind = TOKEN_END;
    } else if (*ps->p == '(' || *ps->p == ')') {
        ps->kind = *ps->p == '(' ? TOKEN_OPEN : TOKEN_CLOSE;
        ps->p++;
    } else if (*ps->p == '*') {
        return bad(ps, ps->at, "a '*' without a word before it");
    } else {
        return take_text(ps);
    }
    return NADB_OK;
}

/* --- the tree --- */

static nadb_match_node *node_new(parser *ps, nadb_match_op op) {
    nadb_match_node *n = nadb_arena_alloc(&ps->m->memory, sizeof *n);

    if (n == NULL) return NULL;
    memset(n, 0, sizeof *n);
    n->op = op;
    return n;
}

/* Makes *list the `op` of itself and `n`; operands of a node of the same kind
 * are merged into it. *list is NULL before the first. */
static nadb_rc join(parser *ps, nadb_match_op op, nadb_match_node **list,
                    nadb_match_node *n) {
    nadb_match_node *l = *list;

    if (l == NULL) {
        *list = n;
        return NADB_OK;
    }
    if (l->op != op) {
        nadb_match_node *parent = node_new(ps, op);

        if (parent == NULL) return no_memory(ps->err);
        parent->first = parent->last = l;
        *list = parent;
        l = parent;
    }
    if (n->op == op) {
        l->last->next = n->first;
        l->last = n->last;
    } else {
        l->last->next = n;
        l->last = n;
    }
    return NADB_OK;
}

static nadb_rc negate(parser *ps, nadb_match_node **n) {
    nadb_match_node *parent;

    if ((*n)->op == NADB_MATCH_NOT) {
        *n = (*n)->first;
        return NADB_OK;
    }
    parent = node_new(ps, NADB_MATCH_NOT);
    if (parent == NULL) return no_memory(ps->err);
    parent->first = parent->last = *n;
    *n = parent;
    return NADB_OK;
}

/* --- the grammar, innermost rule first --- */

static nadb_rc take_expression(parser *ps, nadb_match_node **out);

static bool starts_item(const parser *ps) {
    return ps->kind == TOKEN_TAG || ps->kind == TOKEN_PREFIX ||
           ps->kind == TOKEN_OPEN;
}

static nadb_rc take_leaf(parser *ps, nadb_match_node **out) {
    if (++ps->terms > NADB_MATCH_TERMS_MAX)
        return nadb_fail(ps->err, NADB_TOOBIG,
                         "a MATCH expression cannot have more than %u tags",
                         NADB_MATCH_TERMS_MAX);
    *out = node_new(ps, ps->kind == TOKEN_PREFIX ? NADB_MATCH_PREFIX
                                                 : NADB_MATCH_TAG);
    if (*out == NULL) return no_memory(ps->err);
    (*out)->text = ps->text;
    return next_token(ps);
}

static nadb_rc take_item(parser *ps, nadb_match_node **out) {
    const uint8_t *at = ps->at;
    nadb_rc rc;

    if (ps->kind != TOKEN_OPEN) return take_leaf(ps, out);
    if (++ps->depth > NADB_MATCH_DEPTH_MAX)
        return bad(ps, at, "too many parentheses inside each other");
    rc = next_token(ps);
    if (rc == NADB_OK) rc = take_expression(ps, out);
    if (rc != NADB_OK) return rc;
    if (ps->kind != TOKEN_CLOSE) return bad(ps, at, "a '(' without its ')'");
    ps->depth--;
    return next_token(ps);
}

static nadb_rc take_run(parser *ps, nadb_match_node **out) {
    *out = NULL;
    if (!starts_item(ps)) return bad(ps, ps->at, "no tag");
    while (starts_item(ps)) {
        nadb_match_node *item;
        nadb_rc rc = take_item(ps, &item);

        if (rc == NADB_OK) rc = join(ps, NADB_MATCH_AND, out, item);
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

static nadb_rc take_term(parser *ps, nadb_match_node **out) {
    bool negative = false;
    nadb_rc rc;

    for (; ps->kind == TOKEN_NOT; negative = !negative) {
        rc = next_token(ps);
        if (rc != NADB_OK) return rc;
    }
    rc = take_run(ps, out);
    return rc == NADB_OK && negative ? negate(ps, out) : rc;
}

static nadb_rc take_conjunction(parser *ps, nadb_match_node **out) {
    nadb_match_node *term;
    nadb_rc rc = take_term(ps, out);

    while (rc == NADB_OK && (ps->kind == TOKEN_AND || ps->kind == TOKEN_NOT)) {
        if (ps->kind == TOKEN_AND) rc = next_token(ps);
        if (rc == NADB_OK) rc = take_term(ps, &term);
        if (rc == NADB_OK) rc = join(ps, NADB_MATCH_AND, out, term);
    }
    return rc;
}

static nadb_rc take_expression(parser *ps, nadb_match_node **out) {
    nadb_match_node *conjunction;
    nadb_rc rc = take_conjunction(ps, out);

    while (rc == NADB_OK && ps->kind == TOKEN_OR) {
        rc = next_token(ps);
        if (rc == NADB_OK) rc = take_conjunction(ps, &conjunction);
        if (rc == NADB_OK) rc = join(ps, NADB_MATCH_OR, out, conjunction);
    }
    return rc;
}

nadb_match *nadb_match_new(void) { return nadb_calloc(1, sizeof(nadb_match)); }

nadb_rc nadb_match_add(nadb_match *m, nadb_slice text, nadb_err *err) {
    parser ps = {.m = m, .err = err};
    uint8_t *copy = nadb_arena_alloc(&m->memory, text.n + 1);
    nadb_match_node *expression = NULL;
    nadb_rc rc;

    if (copy == NULL) return no_memory(err);
    if (text.n > 0) memcpy(copy, text.p, text.n);
    ps.start = ps.p = copy;
    ps.end = copy + text.n;
    rc = next_token(&ps);
    if (rc == NADB_OK) rc = take_expression(&ps, &expression);
    if (rc == NADB_OK && ps.kind != TOKEN_END)
        rc = bad(&ps, ps.at, "a ')' without its '('");
    return rc == NADB_OK ? join(&ps, NADB_MATCH_AND, &m->root, expression) : rc;
}

nadb_rc nadb_match_add_any(nadb_match *m, const nadb_slice *tags, size_t n,
                           nadb_err *err) {
    parser ps = {.m = m, .err = err};
    nadb_match_node *any = NULL;
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < n && rc == NADB_OK; i++) {
        nadb_match_node *leaf = node_new(&ps, NADB_MATCH_TAG);
        uint8_t *copy = nadb_arena_alloc(&m->memory, tags[i].n + 1);

        if (leaf == NULL || copy == NULL) return no_memory(err);
        if (tags[i].n > 0) memcpy(copy, tags[i].p, tags[i].n);
        leaf->text = nadb_slice_of(copy, tags[i].n);
        rc = join(&ps, NADB_MATCH_OR, &any, leaf);
    }
    return rc == NADB_OK ? join(&ps, NADB_MATCH_AND, &m->root, any) : rc;
}

nadb_rc nadb_match_parse(nadb_slice text, nadb_match **out, nadb_err *err) {
    nadb_match *m = nadb_match_new();
    nadb_rc rc;

    *out = NULL;
    if (m == NULL) return no_memory(err);
    rc = nadb_match_add(m, text, err);
    if (rc == NADB_OK)
        *out = m;
    else
        nadb_match_free(m);
    return rc;
}

void nadb_match_free(nadb_match *m) {
    if (m == NULL) return;
    nadb_arena_clear(&m->memory);
    nadb_free(m);
}

/* --- evaluation --- */

/* Tags are sorted, so the search ends where the leaf would be. */
static bool leaf_matches(const nadb_match_node *n, nadb_slice tags) {
    nadb_slice tag;

    while (nadb_tags_next(&tags, &tag)) {
        int c = nadb_slice_cmp(tag, n->text);

        if (c == 0) return true;
        if (c > 0)
            return n->op == NADB_MATCH_PREFIX &&
                   nadb_slice_starts(tag, n->text);
    }
    return false;
}

static bool node_matches(const nadb_match_node *n, nadb_slice tags) {
    const nadb_match_node *operand = n->first;

    switch (n->op) {
    case NADB_MATCH_NOT:
        return !node_matches(operand, tags);
    case NADB_MATCH_AND:
        while (operand != NULL && node_matches(operand, tags))
            operand = operand->next;
        return operand == NULL;
    case NADB_MATCH_OR:
        while (operand != NULL && !node_matches(operand, tags))
            operand = operand->next;
        return operand != NULL;
    case NADB_MATCH_TAG:
    case NADB_MATCH_PREFIX:
        break;
    }
    return leaf_matches(n, tags);
}

bool nadb_match_tags(const nadb_match *m, nadb_slice tags) {
    return node_matches(m->root, tags);
}

bool nadb_match_needs_tags(const nadb_match_node *m) {
    const nadb_match_node *part = m->first;

    switch (m->op) {
    case NADB_MATCH_TAG:
    case NADB_MATCH_PREFIX:
        return true;
    case NADB_MATCH_NOT:
        return false;
    case NADB_MATCH_AND:
        while (part != NULL && !nadb_match_needs_tags(part)) part = part->next;
        return part != NULL;
    case NADB_MATCH_OR:
        break;
    }
    while (part != NULL && nadb_match_needs_tags(part)) part = part->next;
    return part == NULL;
}

bool nadb_match_indexed(const nadb_match *m) {
    return nadb_match_needs_tags(m->root);
}
