/* match_test.c - MATCH: the parser, and its tree against a naive evaluator. */
#include "../../core/kv/match.h"
#include "../../core/kv/tags.h"
#include "../support/os_test.h"
#include "unit.h"

#include <time.h>

/* --- what the parser makes of a text --- */

static void show(const nadb_match_node *n, nadb_buf *out) {
    static const char *const open[] = {"", "", "&(", "|(", "!("};
    bool leaf = n->op == NADB_MATCH_TAG || n->op == NADB_MATCH_PREFIX;

    CHECK(nadb_buf_append(out, open[n->op], strlen(open[n->op])));
    CHECK(nadb_buf_append(out, n->text.p, n->text.n));
    if (n->op == NADB_MATCH_PREFIX) CHECK(nadb_buf_byte(out, '*'));
    for (const nadb_match_node *o = n->first; o != NULL; o = o->next) {
        CHECK(o->op != n->op);
        if (o != n->first) CHECK(nadb_buf_byte(out, ' '));
        CHECK((o->next == NULL) == (o == n->last));
        show(o, out);
    }
    if (!leaf) CHECK(nadb_buf_byte(out, ')'));
    if (n->op == NADB_MATCH_NOT) CHECK(n->first == n->last);
    if (n->op == NADB_MATCH_AND || n->op == NADB_MATCH_OR)
        CHECK(n->first != n->last);
}

static const char *parsed_n(const char *text, size_t n) {
    static char shown[4096];
    nadb_buf out = NADB_BUF_INIT;
    nadb_match *m;
    nadb_err err;

    if (nadb_match_parse(nadb_slice_of(text, n), &m, &err) == NADB_OK) {
        show(m->root, &out);
        snprintf(shown, sizeof shown, "%.*s", (int)out.n, (const char *)out.p);
        nadb_match_free(m);
    } else {
        CHECK(m == NULL);
        snprintf(shown, sizeof shown, "%s", err.msg);
    }
    nadb_buf_clear(&out);
    return shown;
}

static const char *parsed(const char *text) {
    return parsed_n(text, strlen(text));
}

static void refused(const char *text, const char *why) {
    char want[256];

    snprintf(want, sizeof want, "bad MATCH expression: %s", why);
    CHECK_STR(parsed(text), want);
}

static void test_words(void) {
    CHECK_STR(parsed("a"), "a");
    CHECK_STR(parsed("  a\t\n"), "a");
    CHECK_STR(parsed("a*"), "a*");
    CHECK_STR(parsed("\"a b\""), "a b");
    CHECK_STR(parsed("\"a \"\"b\"\"\""), "a \"b\"");
    CHECK_STR(parsed("\"\"\"\""), "\"");
    CHECK_STR(parsed("\"a b\"*"), "a b*");
    CHECK_STR(parsed("x:y-z/!?'[1]"), "x:y-z/!?'[1]");
    CHECK_STR(parsed("\"and\" or* \"Not\""), "&(and or* Not)");
    CHECK_STR(parsed("ANDY ORB NOTE"), "&(ANDY ORB NOTE)");
    CHECK_STR(parsed("\"AND\" \"OR\"* NOT*"), "&(AND OR* NOT*)");
    CHECK_STR(parsed("\xC3\xA4*"), "\xC3\xA4*");
    CHECK_STR(parsed("a\"b\"(c)"), "&(a b c)");
}

static void test_precedence(void) {
    CHECK_STR(parsed("a b c"), "&(a b c)");
    CHECK_STR(parsed("a AND b AND c"), "&(a b c)");
    CHECK_STR(parsed("a OR b OR c"), "|(a b c)");
    CHECK_STR(parsed("a OR b AND c"), "|(a &(b c))");
    CHECK_STR(parsed("a b OR c d"), "|(&(a b) &(c d))");
    CHECK_STR(parsed("(a OR b) c"), "&(|(a b) c)");
    CHECK_STR(parsed("NOT a"), "!(a)");
    CHECK_STR(parsed("NOT NOT a"), "a");
    CHECK_STR(parsed("NOT (NOT a)"), "a");
    CHECK_STR(parsed("NOT a AND b"), "&(!(a) b)");
    CHECK_STR(parsed("NOT a OR b"), "|(!(a) b)");
    CHECK_STR(parsed("NOT a b"), "!(&(a b))");
    CHECK_STR(parsed("a NOT b"), "&(a !(b))");
    CHECK_STR(parsed("a NOT b NOT c"), "&(a !(b) !(c))");
    CHECK_STR(parsed("a OR b NOT c"), "|(a &(b !(c)))");
    CHECK_STR(parsed("a AND NOT b"), "&(a !(b))");
    CHECK_STR(parsed("premium AND (active OR trial) NOT banned"),
              "&(premium |(active trial) !(banned))");
    CHECK_STR(parsed("(a b) (c (d e))"), "&(a b c d e)");
    CHECK_STR(parsed("a OR (b OR (c OR d))"), "|(a b c d)");
    CHECK_STR(parsed("NOT (a OR NOT (b c))"), "!(|(a !(&(b c))))");
}

static void test_errors(void) {
    refused("", "no tag at character 1, where it ends");
    refused("  ", "no tag at character 3, where it ends");
    refused("a AND", "no tag at character 6, where it ends");
    refused("a AND AND b", "no tag at character 7, near 'AND b'");
    refused("OR a", "no tag at character 1, near 'OR a'");
    refused("NOT", "no tag at character 4, where it ends");
    refused("()", "no tag at character 2, near ')'");
    refused("a (b", "a '(' without its ')' at character 3, near '(b'");
    refused("a) b", "a ')' without its '(' at character 2, near ') b'");
    refused("a \"b", "a quote without its end at character 3, near '\"b'");
    refused("\"\"\"", "a quote without its end at character 1, near '\"\"\"'");
    refused("a \"\"", "an empty tag at character 3, near '\"\"'");
    refused("*", "a '*' without a word before it at character 1, near '*'");
    refused("a **", "a '*' without a word before it at character 3, near '**'");
    refused("a*b", "something right behind '*' at character 3, near 'b'");
    refused("\xC3\xA4\xC3\xA4 )", "a ')' without its '(' at character 4, "
                                  "near ')'");
    CHECK_STR(parsed_n("a\0b", 3), "a"); /* shown as a C string */
}

static void test_bounds(void) {
    static char text[300000];
    size_t n = 0;

    for (unsigned i = 0; i < NADB_MATCH_DEPTH_MAX; i++) text[n++] = '(';
    text[n++] = 'a';
    for (unsigned i = 0; i < NADB_MATCH_DEPTH_MAX; i++) text[n++] = ')';
    CHECK_STR(parsed_n(text, n), "a");
    memset(text, '(', 200000);
    CHECK(strstr(parsed_n(text, 200000), "too many parentheses") != NULL);
    for (n = 0; n < 200000; n += 4) memcpy(text + n, "NOT ", 4);
    text[n++] = 'a';
    CHECK_STR(parsed_n(text, n), "a");
    for (n = 0; n < 2 * NADB_MATCH_TERMS_MAX; n += 2) memcpy(text + n, "a ", 2);
    CHECK(strncmp(parsed_n(text, n), "&(a a", 5) == 0);
    text[n++] = 'a';
    CHECK(strstr(parsed_n(text, n), "more than 10000 tags") != NULL);
    memset(text, '"', 200001);
    CHECK(strstr(parsed_n(text, 200001), "without its end") != NULL);
}

/* --- random expressions --- */

static uint64_t state;

static unsigned draw(unsigned n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

static const char *const words[] = {"a", "ab", "abc", "b", "ba", "c d", "AND"};
#define WORDS (sizeof words / sizeof *words)

/* A set of words as bits. */
typedef struct expr {
    char text[2000];
    bool answer[1u << WORDS]; /* for every set of tags */
} expr;

static void leaf(expr *e) {
    unsigned w = draw(WORDS);
    bool prefix = draw(4) == 0;
    bool quoted = w >= 5 || draw(4) == 0;

    snprintf(e->text, sizeof e->text, "%s%s%s%s", quoted ? "\"" : "", words[w],
             quoted ? "\"" : "", prefix ? "*" : "");
    for (unsigned set = 0; set < 1u << WORDS; set++) {
        e->answer[set] = false;
        for (unsigned i = 0; i < WORDS; i++)
            if ((set >> i & 1) != 0 &&
                (prefix ? strncmp(words[i], words[w], strlen(words[w])) == 0
                        : i == w))
                e->answer[set] = true;
    }
}

/* Binary AND, OR, adjacency and NOT, every operand in parentheses or a leaf:
 * precedence has tests of its own above. */
static void random_expr(expr *e, unsigned depth) {
    static const char *const ops[] = {" ", " AND ", " OR ", " NOT "};
    expr *l, *r;
    unsigned op = draw(5);

    if (depth == 0 || draw(5) == 0) {
        leaf(e);
        return;
    }
    l = malloc(sizeof *l);
    r = malloc(sizeof *r);
    if (l == NULL || r == NULL) exit(1);
    random_expr(l, depth - 1);
    random_expr(r, depth - 1);
    if (op == 4) {
        snprintf(e->text, sizeof e->text, "NOT (%.1900s)", l->text);
    } else {
        snprintf(e->text, sizeof e->text, "(%.900s)%s(%.900s)", l->text,
                 ops[op], r->text);
    }
    for (unsigned set = 0; set < 1u << WORDS; set++) {
        bool a = l->answer[set];
        bool b = r->answer[set];

        e->answer[set] = op == 4   ? !a
                         : op == 2 ? a || b
                         : op == 3 ? a && !b
                                   : a && b;
    }
    free(l);
    free(r);
}

static void tags_of(unsigned set, nadb_buf *list) {
    nadb_slice tags[WORDS];
    size_t n = 0, changed;
    nadb_err err;

    for (unsigned i = 0; i < WORDS; i++)
        if (set >> i & 1) tags[n++] = nadb_slice_str(words[i]);
    nadb_buf_reset(list);
    CHECK_OK(nadb_tags_change(nadb_slice_of(NULL, 0), tags, n, true, list,
                              &changed, &err),
             err);
    CHECK(changed == n);
}

static void test_random(void) {
    nadb_buf lists[1u << WORDS];
    static expr e;

    memset(lists, 0, sizeof lists);
    for (unsigned set = 0; set < 1u << WORDS; set++) tags_of(set, &lists[set]);
    for (int round = 0; round < 3000; round++) {
        nadb_match *m;
        nadb_err err;

        random_expr(&e, draw(4));
        if (!CHECK_OK(nadb_match_parse(nadb_slice_str(e.text), &m, &err), err))
            break;
        for (unsigned set = 0; set < 1u << WORDS; set++)
            if (!CHECK(nadb_match_tags(m, nadb_buf_slice(&lists[set])) ==
                       e.answer[set])) {
                printf("%s with set %u\n", e.text, set);
                break;
            }
        nadb_match_free(m);
    }
    for (unsigned set = 0; set < 1u << WORDS; set++)
        nadb_buf_clear(&lists[set]);
}

/* --- changing tag lists --- */

static const char *changed(const char *json, const char *tag1, const char *tag2,
                           bool add) {
    static char text[1024];
    nadb_buf list = NADB_BUF_INIT, out = NADB_BUF_INIT, shown = NADB_BUF_INIT;
    nadb_slice tags[] = {nadb_slice_str(tag1), nadb_slice_str(tag2)};
    size_t n = 0;
    nadb_err err;

    CHECK_OK(nadb_tags_parse(nadb_slice_str(json), &list, &err), err);
    if (nadb_tags_change(nadb_buf_slice(&list), tags, 2, add, &out, &n, &err) ==
        NADB_OK) {
        CHECK(nadb_tags_valid(nadb_buf_slice(&out)));
        CHECK(nadb_tags_json(nadb_buf_slice(&out), &shown));
        snprintf(text, sizeof text, "%zu %.*s", n, (int)shown.n,
                 (const char *)shown.p);
    } else {
        snprintf(text, sizeof text, "%s", err.msg);
    }
    nadb_buf_clear(&list);
    nadb_buf_clear(&out);
    nadb_buf_clear(&shown);
    return text;
}

static void test_change(void) {
    CHECK_STR(changed("[]", "b", "a", true), "2 [\"a\",\"b\"]");
    CHECK_STR(changed("[]", "a", "a", true), "1 [\"a\"]");
    CHECK_STR(changed("[\"a\",\"c\"]", "b", "c", true),
              "1 [\"a\",\"b\",\"c\"]");
    CHECK_STR(changed("[\"a\",\"c\"]", "c", "a", true), "0 [\"a\",\"c\"]");
    CHECK_STR(changed("[\"a\",\"c\"]", "c", "b", false), "1 [\"a\"]");
    CHECK_STR(changed("[\"a\",\"c\"]", "c", "a", false), "2 []");
    CHECK_STR(changed("[]", "c", "c", false), "0 []");
    CHECK_STR(changed("[]", "c", "", true), "a tag is empty");
    CHECK_STR(changed("[]", "c", "\xff", true), "a tag is not valid UTF-8");
    CHECK_STR(changed("[]", "\xC3", "a", true), "a tag is not valid UTF-8");
}

static void test_change_limits(void) {
    char name[NADB_TAG_MAX + 2];
    nadb_buf list = NADB_BUF_INIT, out = NADB_BUF_INIT;
    nadb_slice tag = nadb_slice_of("a\0b", 3);
    size_t n;
    nadb_err err;

    CHECK(nadb_tags_change(nadb_buf_slice(&list), &tag, 1, true, &out, &n,
                           &err) == NADB_INVALID);
    CHECK_STR(err.msg, "a tag cannot contain U+0000");
    memset(name, 'x', sizeof name);
    tag = nadb_slice_of(name, NADB_TAG_MAX + 1);
    CHECK(nadb_tags_change(nadb_buf_slice(&list), &tag, 1, true, &out, &n,
                           &err) == NADB_TOOBIG);
    for (unsigned i = 0; i <= NADB_TAGS_MAX; i++) {
        nadb_rc rc;

        snprintf(name, sizeof name, "%u", i);
        tag = nadb_slice_str(name);
        nadb_buf_reset(&out);
        rc = nadb_tags_change(nadb_buf_slice(&list), &tag, 1, true, &out, &n,
                              &err);
        CHECK(rc == (i < NADB_TAGS_MAX ? NADB_OK : NADB_TOOBIG));
        nadb_buf_reset(&list);
        CHECK(nadb_buf_append(&list, out.p, out.n));
    }
    nadb_buf_clear(&list);
    nadb_buf_clear(&out);
}

int main(void) {
    const char *seed = getenv("NADB_SEED");

    state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)state);
    RUN(test_words);
    RUN(test_precedence);
    RUN(test_errors);
    RUN(test_bounds);
    RUN(test_random);
    RUN(test_change);
    RUN(test_change_limits);
    return unit_done();
}
