/* plan.c - xBestIndex: which parts of a WHERE clause the store evaluates.
 *
 * A plan is a list of arguments for xFilter, each with its kind in 4 bits of
 * idxNum, and a text for EXPLAIN QUERY PLAN. In order of preference:
 *
 *   key=        one row
 *   key IN      a list, fetched as one batch, in key order
 *   tag index   tag =, tag IN and tags MATCH, within the bounds of the keys
 *   key range   bounds from < <= > >= BETWEEN and GLOB 'prefix*'
 *   expiry      bounds of expires_at
 *   scan        everything
 *
 * Bounds of updated_at filter the rows of a range or scan. No index is kept for
 * them, but SQLite is spared the other rows.
 *
 * Tags also filter the rows of the first two plans. For terms that find no room
 * in a plan SQLite calls the function of match.c.
 *
 * All plans but the index of expiries return rows in key order, so ORDER BY key
 * [DESC] needs no sorter. SQLite cannot evaluate terms on column `tag` itself,
 * so a plan must take all of them.
 *
 * LIMIT and OFFSET are left to SQLite, which stops asking for rows in time. To
 * evaluate them here would be wrong: SQLite 3.40.1 offers them even beside
 * terms that it does not show here (key = value), and drops rows afterwards.
 * LIMIT is passed to the store as a hint, from which a store on a server
 * derives the size of its first page.
 *
 * An answer is wrong if a term is taken but not evaluated as SQLite would. So
 * only BINARY comparison is taken; in a UTF-16 database, where BINARY is
 * another order, only equality. A term whose other side is not a literal may be
 * a number from a column of numeric type: SQLite would then compare numbers
 * ('05' = 5), and xBestIndex cannot see the type. SQLite checks such terms
 * again, and xFilter returns more rows if it gets such a number. */
#include "ext.h"
#include "sqlite_quirks.h"

/* Assumed number of rows, and costs relative to reading a row of an SQLite
 * table. */
#define ROWS 1000000.0
#define COST_GET 4.0 /* one key */
#define COST_SEEK 20.0
#define TAG_PART 1000.0 /* one of so many rows has an unknown tag */

typedef enum shape {
    SHAPE_SCAN,
    SHAPE_RANGE,
    SHAPE_IN,
    SHAPE_KEY,
    SHAPE_EXPIRY
} shape;

typedef struct plan {
    vtab *v;
    sqlite3_index_info *info;
    shape shape;
    int n_args;
    unsigned args; /* bits of idxNum, shifted */
    bool literal;  /* key = 'x' */
    /* key = 5.0, or CAST('5' AS REAL), which SQLite compares as a number: both
     * look alike here */
    bool real;
    bool tagged;
    bool matched;
    bool scans_tags; /* the index cannot answer one of the MATCH terms */
    bool ordered;
    bool updated;   /* bounds of updated_at are taken */
    double scanned; /* rows that the terms on keys leave */
    double part;    /* fraction of these that the terms on tags leave */
} plan;

static bool is_limit(int op) {
    return op == SQLITE_INDEX_CONSTRAINT_LIMIT ||
           op == SQLITE_INDEX_CONSTRAINT_OFFSET;
}

static bool is_binary(const plan *p, int i) {
    return sqlite3_stricmp(sqlite3_vtab_collation(p->info, i), "BINARY") == 0;
}

/* Column tag has a collation of its own, which equals BINARY. */
static bool is_bytewise(const plan *p, int i) {
    return is_binary(p, i) ||
           sqlite3_stricmp(sqlite3_vtab_collation(p->info, i), "nadbin") == 0;
}

static bool is_key(const plan *p, int i) {
    const struct sqlite3_index_constraint *c = &p->info->aConstraint[i];

    return is_key_column(c->iColumn) && c->usable && !is_limit(c->op);
}

/* Takes constraint i as the next argument. */
static void take(plan *p, int i, enum plan_arg arg, bool omit) {
    p->args |= (unsigned)arg << (PLAN_ARG_BITS * p->n_args);
    p->info->aConstraintUsage[i].argvIndex = ++p->n_args;
    p->info->aConstraintUsage[i].omit = omit;
}

/* The right-hand side if it is a literal, else NULL. */
static sqlite3_value *literal(const plan *p, int i) {
    sqlite3_value *v = NULL;

    if (sqlite3_vtab_rhs_value(p->info, i, &v) != SQLITE_OK) return NULL;
    return v;
}

/* --- tag = x, tag IN (..) --- */

static int tag_misused(plan *p) {
    nadb_err err;

    (void)nadb_fail(&err, NADB_INVALID,
                    "column tag is a filter: write tag = 'x' or tag IN "
                    "('x', 'y'); for anything else use tags MATCH");
    return value_vtab_error(&p->v->base, &err);
}

/* Tags are compared bytewise, and only by the plan. */
static int tag_collated(plan *p, int i) {
    nadb_err err;

    (void)nadb_fail(&err, NADB_INVALID,
                    "column tag compares bytes, not by collation %.50s: write "
                    "tag = 'x' COLLATE BINARY, or list the tags in tag IN "
                    "('x', 'X')",
                    sqlite3_vtab_collation(p->info, i));
    return value_vtab_error(&p->v->base, &err);
}

static int match_misused(plan *p) {
    nadb_err err;

    (void)nadb_fail(&err, NADB_INVALID,
                    "unable to use MATCH here: for nadb tables it is tags "
                    "MATCH 'a AND b'");
    return value_vtab_error(&p->v->base, &err);
}

/* The fraction of rows that a term on tags leaves: from the counters, if the
 * other side is a literal and the store is open. */
static double tag_part(plan *p, int i) {
    bool is_match = p->info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_MATCH;
    sqlite3_value *value = literal(p, i);
    nadb_match *m = NULL;
    double rows = -1;
    nadb_rc rc = NADB_OK;

    if (value == NULL || sqlite3_value_type(value) != SQLITE_TEXT) {
        return 1 / TAG_PART;
    }
    if (is_match) {
        rc = match_add(value, &m, NULL);
    } else {
        nadb_slice tag = nadb_slice_of(sqlite3_value_text(value),
                                       (size_t)sqlite3_value_bytes(value));

        m = nadb_match_new();
        rc = m == NULL ? NADB_NOMEM : nadb_match_add_any(m, &tag, 1, NULL);
    }
    if (rc == NADB_OK && !nadb_match_indexed(m)) {
        p->scans_tags = p->scans_tags || !p->tagged;
    }
    if (rc == NADB_OK && p->v->s != NULL && p->v->s->core != NULL) {
        rc = nadb_match_estimate(p->v->s->core, m, &rows, NULL);
    }
    nadb_match_free(m);
    if (rc != NADB_OK || rows < 0) return is_match ? 0.1 : 1 / TAG_PART;
    return rows > ROWS ? 1 : (rows + 1) / ROWS;
}

/* Takes every term on `tag`. SQLITE_CONSTRAINT: not possible in this order of
 * tables. */
static int take_tags(plan *p) {
    for (int i = 0; i < p->info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &p->info->aConstraint[i];
        bool in;

        if (is_limit(c->op)) continue;
        if (c->op == SQLITE_INDEX_CONSTRAINT_MATCH && c->iColumn != COL_TAGS) {
            return match_misused(p);
        }
        if (c->iColumn != COL_TAG) continue;
        if (c->op != SQLITE_INDEX_CONSTRAINT_EQ) return tag_misused(p);
        if (!c->usable) return SQLITE_CONSTRAINT;
        if (!is_bytewise(p, i)) return tag_collated(p, i);
        if (p->n_args == PLAN_ARGS_MAX) return tag_misused(p);
        in = sqlite3_vtab_in(p->info, i, 1) != 0;
        take(p, i, in ? ARG_TAG_IN : ARG_TAG_EQ, true);
        p->tagged = true;
        p->part *= in ? 10 / TAG_PART : tag_part(p, i);
    }
    return SQLITE_OK;
}

/* Takes tags MATCH, last: a term that finds no room is evaluated by the
 * function. */
static void take_matches(plan *p) {
    for (int i = 0; i < p->info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &p->info->aConstraint[i];

        if (c->op != SQLITE_INDEX_CONSTRAINT_MATCH || !c->usable ||
            p->n_args >= PLAN_ARGS_MAX) {
            continue;
        }
        take(p, i, ARG_TAGS_MATCH, true);
        p->matched = true;
        p->part *= tag_part(p, i);
    }
}

/* --- key --- */

/* True unless the value is an integer. For a literal like 5.0
 * sqlite3_vtab_rhs_value() returns the INTEGER 5 on 3.40, and the REAL on 3.46
 * and newer. */
static bool is_fraction(sqlite3_value *value) {
    int64_t integer;

    return value != NULL && sqlite3_value_type(value) == SQLITE_FLOAT &&
           !value_is_integral(sqlite3_value_double(value), &integer);
}

/* Takes key = x, else key IN (..), if terms on tag have left room. */
static bool take_equal(plan *p) {
    int in = -1;

    if (p->n_args == PLAN_ARGS_MAX) return false;
    for (int i = 0; i < p->info->nConstraint; i++) {
        int op = p->info->aConstraint[i].op;
        sqlite3_value *value;

        if (!is_key(p, i) || !is_binary(p, i)) continue;
        if (op != SQLITE_INDEX_CONSTRAINT_EQ &&
            op != SQLITE_INDEX_CONSTRAINT_IS) {
            continue;
        }
        if (op == SQLITE_INDEX_CONSTRAINT_EQ &&
            sqlite3_vtab_in(p->info, i, -1)) {
            in = i;
            continue;
        }
        value = literal(p, i);
        p->real = is_fraction(value);
        p->literal = value != NULL && !p->real;
        take(p, i, p->literal ? ARG_KEY_TEXT : ARG_KEY_EQ, true);
        p->shape = SHAPE_KEY;
        p->scanned = 1;
        return true;
    }
    if (in < 0) return false;
    (void)sqlite3_vtab_in(p->info, in, 1);
    take(p, in, ARG_KEY_IN, false);
    p->shape = SHAPE_IN;
    p->scanned = 25; /* SQLite's estimate for a subquery */
    return true;
}

static enum plan_arg bound_kind(int op) {
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_GT:
        return ARG_KEY_GT;
    case SQLITE_INDEX_CONSTRAINT_GE:
        return ARG_KEY_GE;
    case SQLITE_INDEX_CONSTRAINT_LT:
        return ARG_KEY_LT;
    case SQLITE_INDEX_CONSTRAINT_LE:
        return ARG_KEY_LE;
    default:
        return ARG_NONE;
    }
}

/* True if GLOB only means "begins with": 'prefix*'. */
static bool is_plain_prefix(sqlite3_value *pattern) {
    const char *text;

    if (pattern == NULL || sqlite3_value_type(pattern) != SQLITE_TEXT) {
        return false;
    }
    text = (const char *)sqlite3_value_text(pattern);
    if (text == NULL) return false;
    return strcmp(text + filter_plain_prefix(text), "*") == 0;
}

static bool is_text(sqlite3_value *v) {
    return v != NULL && sqlite3_value_type(v) == SQLITE_TEXT;
}

/* True if constraint i is >= 'abc' and another is < 'abd': SQLite derives these
 * from LIKE 'abc%' and GLOB 'abc*', which it does not always show as well. */
static bool is_made_of_like(const plan *p, int i) {
    sqlite3_value *lo = literal(p, i);
    int n = is_text(lo) ? sqlite3_value_bytes(lo) : 0;

    if (n == 0) return false;
    for (int j = 0; j < p->info->nConstraint; j++) {
        sqlite3_value *hi = literal(p, j);
        const unsigned char *a = sqlite3_value_text(lo);
        const unsigned char *b;

        if (!is_key(p, j) ||
            p->info->aConstraint[j].op != SQLITE_INDEX_CONSTRAINT_LT ||
            !is_text(hi) || sqlite3_value_bytes(hi) != n) {
            continue;
        }
        b = sqlite3_value_text(hi);
        if (a != NULL && b != NULL && memcmp(a, b, (size_t)n - 1) == 0 &&
            b[n - 1] == a[n - 1] + 1) {
            return true;
        }
    }
    return false;
}

/* True if bounds of the key may come from LIKE or GLOB. Those compare a BLOB as
 * a text, so the bounds do not apply to BLOBs. */
static bool has_like(const plan *p) {
    for (int i = 0; i < p->info->nConstraint; i++) {
        int op = p->info->aConstraint[i].op;

        if (!is_key(p, i)) continue;
        if (op == SQLITE_INDEX_CONSTRAINT_LIKE ||
            op == SQLITE_INDEX_CONSTRAINT_GLOB ||
            (op == SQLITE_INDEX_CONSTRAINT_GE && is_made_of_like(p, i))) {
            return true;
        }
    }
    return false;
}

/* Takes < <= > >= and GLOB as far as there is room. */
static void take_bounds(plan *p, int *flags) {
    /* If it is false, SQLite need neither compare again nor call glob(). */
    bool like = conn_globs_blobs(p->v->c) && has_like(p);
    bool globs = false;
    bool low = false;
    bool high = false;

    for (int i = 0; i < p->info->nConstraint; i++) {
        int op = p->info->aConstraint[i].op;
        enum plan_arg arg = bound_kind(op);
        sqlite3_value *value;

        if (!is_key(p, i) || p->n_args == PLAN_ARGS_MAX) continue;
        value = literal(p, i);
        if (op == SQLITE_INDEX_CONSTRAINT_GLOB) {
            if (!quirk_globs(p->v->c)) continue;
            take(p, i, ARG_KEY_GLOB, is_plain_prefix(value));
            globs = low = high = true;
        } else if (arg != ARG_NONE && is_binary(p, i)) {
            take(p, i, arg, !like && is_text(value));
            if (arg == ARG_KEY_GT || arg == ARG_KEY_GE) {
                low = true;
            } else {
                high = true;
            }
        } else {
            continue;
        }
        p->shape = SHAPE_RANGE;
    }
    if (globs || (like && (low || high))) *flags |= PLAN_LIKE;
    if (low && high) {
        p->scanned /= 64;
    } else if (low || high) {
        p->scanned /= 4;
    }
}

/* Takes bounds of expires_at, if there is no better plan. */
static void take_expiry(plan *p) {
    for (int i = 0; i < p->info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &p->info->aConstraint[i];
        enum plan_arg arg = bound_kind(c->op);

        if (c->iColumn != COL_EXPIRES_AT || !c->usable || is_limit(c->op) ||
            arg == ARG_NONE || p->n_args == PLAN_ARGS_MAX) {
            continue;
        }
        arg = arg == ARG_KEY_GT || arg == ARG_KEY_GE ? ARG_EXPIRES_FROM
                                                     : ARG_EXPIRES_TO;
        take(p, i, arg, false);
        p->shape = SHAPE_EXPIRY;
        p->scanned /= 8;
    }
}

/* Takes bounds of updated_at, which the store checks row by row. */
static void take_updates(plan *p) {
    for (int i = 0; i < p->info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &p->info->aConstraint[i];
        enum plan_arg arg = bound_kind(c->op);

        if (c->iColumn != COL_UPDATED_AT || !c->usable || is_limit(c->op) ||
            arg == ARG_NONE || p->n_args == PLAN_ARGS_MAX) {
            continue;
        }
        arg = arg == ARG_KEY_GT || arg == ARG_KEY_GE ? ARG_UPDATED_FROM
                                                     : ARG_UPDATED_TO;
        take(p, i, arg, false);
        p->updated = true;
        p->part /= 8;
    }
}

/* --- order --- */

/* Handles ORDER BY, GROUP BY and DISTINCT. Keys are unique, so columns behind
 * the key do not matter for the order; and where only equal neighbours matter
 * (DISTINCT), a key anywhere in the list makes every row a group of its own.
 * GROUP BY needs more than its documentation says: if an ORDER BY differs from
 * it only in direction, SQLite drops the ORDER BY and relies on the plan's
 * order (seen on 3.40.1). */
static void take_order(plan *p, int *flags) {
    const sqlite3_index_info *info = p->info;
    int distinct = sqlite3_vtab_distinct(p->info);

    if (p->shape == SHAPE_EXPIRY) return;
    if (info->nOrderBy == 0) {
        p->ordered = true;
        return;
    }
    if (p->literal) {
        p->ordered = true; /* one row is always in order */
    } else if (distinct == 2) {
        for (int i = 0; i < info->nOrderBy; i++) {
            if (is_key_column(info->aOrderBy[i].iColumn)) p->ordered = true;
        }
    } else if (is_key_column(info->aOrderBy[0].iColumn) &&
               conn_is_utf8(p->v->c)) {
        p->ordered = true;
        if (info->aOrderBy[0].desc) *flags |= PLAN_REVERSE;
    }
    p->info->orderByConsumed = p->ordered;
}

/* Takes LIMIT, behind the arguments that count against PLAN_ARGS_MAX, unless
 * SQLite will skip rows: for OFFSET, or for a term that is not taken. */
static void take_limit(plan *p) {
    int limit = -1;

    if (!p->ordered || p->updated) return;
    if (p->shape != SHAPE_SCAN && p->shape != SHAPE_RANGE) return;
    for (int i = 0; i < p->info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &p->info->aConstraint[i];

        if (c->op == SQLITE_INDEX_CONSTRAINT_LIMIT && c->usable)
            limit = i;
        else if (p->info->aConstraintUsage[i].argvIndex == 0)
            return;
    }
    if (limit < 0) return;
    p->info->aConstraintUsage[limit].argvIndex = ++p->n_args;
    p->info->aConstraintUsage[limit].omit = 0;
}

/* --- the result --- */

/* Texts for EXPLAIN QUERY PLAN: [what][tags][reverse]. */
#define TEXTS(s)                                                               \
    {                                                                          \
        {s, s " desc"}, {s " tag", s " tag desc"},                             \
            {s ", tags MATCH", s " desc, tags MATCH"}, {                       \
            s " tag, tags MATCH", s " tag desc, tags MATCH"                    \
        }                                                                      \
    }
#define INDEX(s)                                                               \
    {                                                                          \
        {"", ""}, {"tag index: tag" s, "tag index: tag" s " desc"},            \
            {"tag index: MATCH" s, "tag index: MATCH" s " desc"}, {            \
            "tag index: tag, MATCH" s, "tag index: tag, MATCH" s " desc"       \
        }                                                                      \
    }
static const char texts[7][4][2][40] = {
    [SHAPE_SCAN] = TEXTS("scan"),
    [SHAPE_RANGE] = TEXTS("key range"),
    [SHAPE_IN] = TEXTS("key IN"),
    [SHAPE_KEY] = TEXTS("key="),
    [SHAPE_EXPIRY] = TEXTS("expiry index"),
    [SHAPE_EXPIRY + 1] = INDEX(""),
    [SHAPE_EXPIRY + 2] = INDEX(", key range"),
};

/* True if the index of tags provides the keys. */
static bool by_tags(const plan *p) {
    return (p->tagged || p->matched) && !p->scans_tags &&
           (p->shape == SHAPE_SCAN || p->shape == SHAPE_RANGE);
}

static const char *text_of(const plan *p, int flags) {
    static const char updated[2][2][40] = {
        {"scan, updated_at", "scan desc, updated_at"},
        {"key range, updated_at", "key range desc, updated_at"},
    };
    bool reverse = (flags & PLAN_REVERSE) != 0;
    int what = (int)p->shape;

    if (p->updated) return updated[p->shape == SHAPE_RANGE][reverse];
    if (by_tags(p)) {
        what = p->shape == SHAPE_SCAN ? SHAPE_EXPIRY + 1 : SHAPE_EXPIRY + 2;
    }
    return texts[what][p->matched * 2 + p->tagged][reverse];
}

static double cost_of(const plan *p, int flags) {
    double rows = p->scanned * p->part;

    if (p->shape == SHAPE_KEY) return COST_GET;
    if (p->shape == SHAPE_IN) return COST_SEEK + COST_GET * p->scanned;
    if (by_tags(p)) {
        return 2 * COST_SEEK + rows * ((flags & PLAN_KEYS) ? 1 : COST_GET);
    }
    if (p->shape == SHAPE_EXPIRY) return COST_SEEK + COST_GET * p->scanned;
    return COST_SEEK + p->scanned;
}

/* The used columns without those that are the key. */
static sqlite3_uint64 beside_key(sqlite3_uint64 used) {
    for (int i = 0; i < COL_COUNT; i++) {
        if (is_key_column(i)) used &= ~((sqlite3_uint64)1 << i);
    }
    return used;
}

/* The flags that follow from the used columns. */
static int column_flags(sqlite3_uint64 used) {
    const sqlite3_uint64 one = 1;
    const sqlite3_uint64 all = (one << COL_COUNT) - 1;
    int flags = 0;

    if (beside_key(used) == 0) flags |= PLAN_KEY_ONLY;
    if ((used & one << COL_TAG) != 0) flags |= PLAN_TAG_USED;
    if ((used & all) == all) flags |= PLAN_ALL_USED;
    return flags;
}

/* True if only keys are used; columns of terms count as used. */
static bool is_keys(const plan *p) {
    const sqlite3_uint64 one = 1;
    sqlite3_uint64 used = beside_key(p->info->colUsed);

    if (p->tagged) used &= ~(one << COL_TAG);
    if (p->matched) used &= ~(one << COL_TAGS);
    return used == 0;
}

/* True if this cannot be the table of a DELETE: there is a LIMIT, as in EXISTS,
 * or the statement returns columns. The statement being prepared is the first
 * in the connection's list, and SELECT has set its columns by now. */
static bool is_select(const plan *p) {
    sqlite3_stmt *stmt;

    for (int i = 0; i < p->info->nConstraint; i++) {
        if (is_limit(p->info->aConstraint[i].op)) return true;
    }
    stmt = sqlite3_next_stmt(p->v->c->db, NULL);
    return stmt != NULL && sqlite3_column_count(stmt) > 0;
}

/* Whether to promise SQLite at most one row. That makes UPDATE and DELETE much
 * cheaper, SELECT hardly. A number from a column can break the promise ('5' and
 * '05' both equal 5), and SQLite relies on it: it drops a LEFT JOIN that cannot
 * add a row. So it is only given where the used columns look like an UPDATE, or
 * like a DELETE; there xFilter makes sure that it holds. */
static bool is_unique(const plan *p, int flags) {
    if (p->shape != SHAPE_KEY || p->real) return false;
    if (p->literal) return true;
    if (p->info->nOrderBy != 0) return false;
    return (flags & PLAN_ALL_USED) != 0 ||
           ((flags & PLAN_KEY_ONLY) != 0 && !is_select(p));
}

int plan_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    plan p = {.v = (vtab *)base, .info = info, .scanned = ROWS};
    int flags = column_flags(info->colUsed);
    double rows;
    int code;

    code = watch_prepare(p.v);
    if (code != SQLITE_OK) return code;
    p.v->c->planned = p.v;
    if (!p.v->c->match_settled) match_register(p.v->c);
    p.part = 1;
    code = take_tags(&p);
    if (code != SQLITE_OK) return code;
    if (!take_equal(&p) && conn_is_utf8(p.v->c)) take_bounds(&p, &flags);
    take_matches(&p);
    if (p.shape == SHAPE_SCAN && !p.tagged && !p.matched) take_expiry(&p);
    if ((p.shape == SHAPE_SCAN || p.shape == SHAPE_RANGE) && !p.tagged &&
        !p.matched) {
        take_updates(&p);
    }
    if (is_keys(&p)) flags |= PLAN_KEYS;
    take_order(&p, &flags);
    take_limit(&p);

    if (is_unique(&p, flags)) {
        flags |= PLAN_UNIQUE;
        info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
    }
    info->idxNum = (int)(p.args << PLAN_ARG_SHIFT) | flags;
    /* SQLite neither writes to it nor frees it. */
    info->idxStr = (char *)(uintptr_t)text_of(&p, flags);
    rows = p.scanned * p.part;
    info->estimatedCost = cost_of(&p, flags);
    quirk_level_branches(p.v, info, p.tagged, &rows);
    /* Column `tag` is used, but not in a term shown here: a branch of an OR,
     * which SQLite plans without the terms around it and would then evaluate
     * itself. */
    if ((flags & PLAN_TAG_USED) != 0 && (flags & PLAN_ALL_USED) == 0 &&
        !p.tagged) {
        info->estimatedCost = 1e50;
    }
    /* UPDATE uses every column even if the statement does not name `tag`. The
     * plan with the term is made cheap, because the only other plan would be
     * that of the OR. */
    if (p.tagged && (flags & PLAN_ALL_USED) != 0) info->estimatedCost /= 1e6;
    info->estimatedRows = (sqlite3_int64)(rows < 1 ? 1 : rows);
    return SQLITE_OK;
}
