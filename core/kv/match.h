/* match.h - tags MATCH '..': the grammar and the tree of an expression.
 *
 *   expression  = conjunction { OR conjunction }
 *   conjunction = term { [AND] term }     without AND: only before NOT
 *   term        = NOT term | run
 *   run         = item { item }           side by side: all of them
 *   item        = word | "any text" | word* | "any text"* | ( expression )
 *
 * A word is a run of bytes without white space, quote, parenthesis and `*`;
 * AND, OR and NOT are words only in quotes. Tags are compared bytewise.
 *
 * The tree is made for an executor that walks over sorted lists of keys. AND
 * and OR have any number of operands, none of its own kind; NOT has one
 * operand, which is not a NOT; a leaf is one tag, or a range of tags. The depth
 * is bounded by that of the parentheses. */
#ifndef NADB_MATCH_H
#define NADB_MATCH_H

#include "../backend.h"
#include "../nadb.h"
#include "../util/arena.h"

#define NADB_MATCH_DEPTH_MAX 100u   /* of parentheses */
#define NADB_MATCH_TERMS_MAX 10000u /* words */

typedef enum nadb_match_op {
    NADB_MATCH_TAG,
    NADB_MATCH_PREFIX,
    NADB_MATCH_AND,
    NADB_MATCH_OR,
    NADB_MATCH_NOT
} nadb_match_op;

typedef struct nadb_match_node {
    nadb_match_op op;
    nadb_slice text;               /* of a leaf; never empty */
    struct nadb_match_node *first; /* first operand */
    struct nadb_match_node *last;
    struct nadb_match_node *next; /* next operand of the same parent */
} nadb_match_node;

/* True if only rows with tags can match. */
bool nadb_match_needs_tags(const nadb_match_node *m);

struct nadb_match {
    nadb_arena memory; /* owns everything in the tree */
    nadb_match_node *root;
};

#endif
