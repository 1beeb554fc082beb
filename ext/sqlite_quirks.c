/* sqlite_quirks.c - workarounds for SQLite: each finds out indirectly what
 * SQLite knows and does not tell, or keeps it from a plan that would be wrong.
 *
 * test/suites/quirks.test fails when one of them is no longer needed (or no
 * longer works), so that its code can be removed.
 *
 * Workarounds of one line are where they matter: the type of column tag in
 * vtab.c, GROUP BY in plan.c, the order of callbacks in txn.c. */
#include "sqlite_quirks.h"

/* --- 1: cursors that are read for one row --- */

/* For a table WITHOUT ROWID, xUpdate finds its row by the key. From a plan that
 * promises one row SQLite reads one row and no second one. If several keys
 * equal a number ('5' and '05'), only one of them, by chance, would be changed.
 * Only EXPLAIN of the running statement shows such a cursor: a VFilter without
 * VNext. It is needed rarely, because such keys are rarely in one table. Seen
 * in 3.38 to 3.53. */

/* The next running statement after `stmt`. An open BLOB (sqlite3_blob_open())
 * is in the list, too, as one without a text; it calls no virtual table. */
static sqlite3_stmt *next_running(sqlite3 *db, sqlite3_stmt *stmt) {
    while ((stmt = sqlite3_next_stmt(db, stmt)) != NULL) {
        if (sqlite3_stmt_busy(stmt) && sqlite3_sql(stmt) != NULL) break;
    }
    return stmt;
}

/* .. that writes; it may be the one that changes a row through this cursor. */
static sqlite3_stmt *next_writing(sqlite3 *db, sqlite3_stmt *stmt) {
    do {
        stmt = next_running(db, stmt);
    } while (stmt != NULL && sqlite3_stmt_readonly(stmt));
    return stmt;
}

bool quirk_is_writing(sqlite3 *db) { return next_writing(db, NULL) != NULL; }

int quirk_program(sqlite3 *db, const char *sql, quirk_see *see, void *ctx) {
    char *text = sqlite3_mprintf("EXPLAIN %s", sql);
    sqlite3_stmt *ops = NULL;
    int code = SQLITE_NOMEM;

    if (text != NULL) code = sqlite3_prepare_v2(db, text, -1, &ops, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(ops);
        if (code == SQLITE_ROW) {
            const char *op = (const char *)sqlite3_column_text(ops, 1);

            if (op == NULL)
                code = SQLITE_NOMEM;
            else
                see(ctx, op, (const char *)sqlite3_column_text(ops, 5));
        }
    }
    sqlite3_finalize(ops);
    sqlite3_free(text);
    return code;
}

/* Counts by `see` in a statement's program; false if that fails. */
static bool see_program(sqlite3 *db, sqlite3_stmt *stmt, quirk_see *see,
                        int *n) {
    const char *sql = sqlite3_sql(stmt);

    *n = 0;
    return sql != NULL && quirk_program(db, sql, see, n) == SQLITE_DONE;
}

static bool is_op(const char *op, const char *name) {
    return strcmp(op, name) == 0;
}

/* Counts walks over a virtual table that begin and do not go on. */
static void see_walk(void *ctx, const char *op, const char *operand) {
    int *n = ctx;

    (void)operand;
    if (is_op(op, "VFilter")) ++*n;
    if (is_op(op, "VNext")) --*n;
}

bool quirk_first_row_only(sqlite3 *db) {
    sqlite3_stmt *stmt = NULL;
    int n;

    while ((stmt = next_writing(db, stmt)) != NULL) {
        if (!see_program(db, stmt, see_walk, &n) || n != 0) return true;
    }
    return false;
}

/* --- 2: UPDATE .. FROM --- */

/* UPDATE .. FROM reads every column of the row in turn, hidden ones too, and
 * passes them all to xUpdate without marking which ones the statement has set.
 * So column tag, which cannot be read, is read directly after `size`, and
 * directly before `stored_size`. Seen in 3.38 to 3.53. */
bool quirk_reads_all(const vtab *v, int plan, int last_column) {
    return (plan & PLAN_ALL_USED) != 0 && v->phase != PHASE_IDLE &&
           last_column == COL_SIZE && quirk_is_writing(v->c->db);
}

/* --- 3: branches of an OR --- */

/* True if the terms are the last seen ones with others before them: they may be
 * a branch of an OR. */
static bool continues_seen(const sqlite3_index_info *info,
                           const plan_seen *seen, sqlite3_stmt *stmt) {
    int n = info->nConstraint;
    int shift;

    if (seen->stmt != stmt || seen->columns != info->colUsed ||
        n < seen->n_terms) {
        return false;
    }
    shift = info->aConstraint[n - 1].iTermOffset - seen->terms[0].offset;
    for (int i = 0; i < seen->n_terms && i < PLAN_SEEN_TERMS; i++) {
        const struct sqlite3_index_constraint *c =
            &info->aConstraint[n - 1 - i];

        if (c->iColumn != seen->terms[i].column || c->op != seen->terms[i].op ||
            c->iTermOffset - seen->terms[i].offset != shift) {
            return false;
        }
    }
    return shift >= 0;
}

static void see(const sqlite3_index_info *info, plan_seen *seen,
                sqlite3_stmt *stmt) {
    int n = info->nConstraint;

    *seen = (plan_seen){.stmt = stmt, .columns = info->colUsed, .n_terms = n};
    for (int i = 0; i < n && i < PLAN_SEEN_TERMS; i++) {
        const struct sqlite3_index_constraint *c =
            &info->aConstraint[n - 1 - i];

        seen->terms[i].column = c->iColumn;
        seen->terms[i].op = c->op;
        seen->terms[i].offset = c->iTermOffset;
    }
}

/* Keeps SQLite from evaluating tag = 'a' AND (x OR y) branch by branch. In each
 * branch it would pass the term on tag and then evaluate it again for the rows
 * of all branches, which it cannot. Up to 3.47 it shows the branches without
 * the term on tag and finds them too expensive (see plan_best_index). Newer
 * versions show the terms of a branch, followed by those around the OR (seen in
 * 3.53.2), which look like a WHERE clause of its own. SQLite plans the whole
 * WHERE clause first and its branches directly after it. So a plan whose last
 * terms are those of the plan before gets at least the same cost; the branches
 * together then cost more than the whole. If it is not a branch but another
 * statement or table that happens to come next, at worst a join has a less
 * efficient order. */
void quirk_level_branches(vtab *v, sqlite3_index_info *info, bool tagged,
                          double *rows) {
    plan_seen *seen = &v->seen;
    double *cost = &info->estimatedCost;
    sqlite3_stmt *stmt = sqlite3_next_stmt(v->c->db, NULL);
    bool same;

    if (!tagged) {
        seen->stmt = NULL;
        return;
    }
    if (!continues_seen(info, seen, stmt)) see(info, seen, stmt);
    same = info->nConstraint == seen->n_terms &&
           info->aConstraint[seen->n_terms - 1].iTermOffset ==
               seen->terms[0].offset;
    if (*cost > seen->cost) seen->cost = *cost;
    if (*rows > seen->rows) seen->rows = *rows;
    if (same) return;
    *cost = seen->cost;
    *rows = seen->rows;
}

/* --- 4: whether a transaction has changed the file --- */

/* Only the number of pages that were ever written shows it: pages are flushed,
 * and the numbers before and after are compared. SQLITE_DBSTATUS_CACHE_SPILL
 * counts what sqlite3_db_cacheflush() writes. Seen in 3.38 to 3.53. */
static int64_t spills(sqlite3 *db) {
    int now = 0, high = 0;

    if (sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_SPILL, &now, &high, 0) !=
        SQLITE_OK)
        return -1;
    return now;
}

void quirk_note_spills(conn *c) {
    c->spills = spills(c->db);
    c->changes = (unsigned)sqlite3_total_changes(c->db);
}

/* Every change of the schema looks up page 1, which is in the cache. */
unsigned quirk_pages(sqlite3 *db) {
    int hits = 0, high = 0;

    (void)sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_HIT, &hits, &high, 0);
    return (unsigned)hits;
}

bool quirk_flushes(conn *c) {
    int64_t before = c->spills;

    if (c->spill_off || sqlite3_db_cacheflush(c->db) != SQLITE_OK) return true;
    quirk_note_spills(c);
    return before < 0 || c->spills != before;
}

/* --- 5: whether the connection is interrupted --- */

/* sqlite3_is_interrupted() exists since 3.41, and EXT_SQLITE_MIN is older. A
 * statement that is run while another one is running also returns
 * SQLITE_INTERRUPT. */
bool quirk_interrupted(void *db) {
    return sqlite3_exec(db, "SELECT 1", NULL, NULL, NULL) == SQLITE_INTERRUPT;
}

bool quirk_ticked(void *db) {
    return sqlite3_exec(db, JOB_TICKS, NULL, NULL, NULL) == SQLITE_INTERRUPT;
}

/* --- 6: whether it may load code --- */

/* The result of sqlite3_enable_load_extension() and of the authorizer. Only the
 * error of load_extension() shows it: it names the file for which it has
 * looked. Seen in 3.38 to 3.53. */
bool quirk_may_load(sqlite3 *db) {
    static const char nowhere[] = "/dev/null/nadb";
    sqlite3_stmt *stmt = NULL;
    bool may = false;

    if (sqlite3_prepare_v2(db, "SELECT load_extension(?)", -1, &stmt, NULL) ==
            SQLITE_OK &&
        sqlite3_bind_text(stmt, 1, nowhere, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ERROR)
        may = strstr(sqlite3_errmsg(db), nowhere) != NULL;
    sqlite3_finalize(stmt);
    return may;
}

/* --- 7: a running statement when the schema has changed --- */

/* When the schema of temp changes, a running statement continues, but fails
 * when it next opens a cursor on an ordinary table. Seen in 3.40 and 3.53. */

static void see_open(void *ctx, const char *op, const char *operand) {
    (void)operand;
    if (is_op(op, "OpenRead") || is_op(op, "OpenWrite") ||
        is_op(op, "ReopenIdx"))
        ++*(int *)ctx;
}

bool quirk_outlives_schema(sqlite3 *db) {
    sqlite3_stmt *only = NULL;
    int n;

    for (sqlite3_stmt *at = sqlite3_next_stmt(db, NULL); at != NULL;
         at = sqlite3_next_stmt(db, at)) {
        if (!sqlite3_stmt_busy(at)) continue;
        if (only != NULL) return false;
        only = at;
    }
    return only != NULL && sqlite3_stmt_readonly(only) &&
           see_program(db, only, see_open, &n) && n == 0;
}

/* --- 8: a ROLLBACK under a statement that writes --- */

/* A function that a statement calls may run ROLLBACK or ROLLBACK TO. An
 * ordinary table's cursors then end the statement with SQLITE_ABORT_ROLLBACK,
 * because what it has written is gone. For a virtual table SQLite goes on and
 * calls xUpdate for the remaining rows. Seen in 3.38 to 3.53. */

/* With the run and the text, because another statement may come to be at the
 * address of one that has ended. */
static tripped_stmt name_of(sqlite3_stmt *stmt) {
    return (tripped_stmt){
        .stmt = stmt,
        .run = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_RUN, 0),
        .sql = nadb_hash64(nadb_slice_str(sqlite3_sql(stmt)))};
}

static bool is_noted(const conn *c, sqlite3_stmt *stmt) {
    tripped_stmt name = name_of(stmt);

    for (unsigned i = 0; i < c->n_tripped; i++)
        if (c->tripped[i].stmt == stmt && c->tripped[i].run == name.run &&
            c->tripped[i].sql == name.sql)
            return true;
    return false;
}

static void see_end(void *ctx, const char *op, const char *operand) {
    (void)operand;
    if (is_op(op, "Savepoint") || is_op(op, "AutoCommit")) ++*(int *)ctx;
}

/* True if ROLLBACK or ROLLBACK TO is running; false if a statement that fails
 * undoes changes. */
static bool is_rollback(sqlite3 *db) {
    int n = 0;

    for (sqlite3_stmt *at = next_running(db, NULL); at != NULL;
         at = next_running(db, at))
        if (sqlite3_stmt_readonly(at) &&
            (!see_program(db, at, see_end, &n) || n > 0))
            return true;
    return false;
}

void quirk_rolled_back(conn *c) {
    sqlite3_stmt *at = next_writing(c->db, NULL);

    /* Interrupted statements are undone by SQLite itself, and is_rollback()
     * could not read their programs. */
    if (at == NULL || quirk_interrupted(c->db) || !is_rollback(c->db)) return;
    for (c->n_tripped = 0; at != NULL && c->n_tripped < TRIPPED_MAX;
         at = next_writing(c->db, at))
        c->tripped[c->n_tripped++] = name_of(at);
}

void quirk_begun(conn *c) {
    sqlite3_stmt *at;

    if (c->n_tripped == 0) return;
    at = next_writing(c->db, NULL);
    if (at == NULL || next_writing(c->db, at) == NULL) c->n_tripped = 0;
}

void quirk_ended(conn *c) {
    if (c->n_tripped > 0 && next_writing(c->db, NULL) == NULL) c->n_tripped = 0;
}

bool quirk_is_tripped(conn *c) {
    unsigned running = 0;

    if (c->n_tripped == 0) return false;
    for (sqlite3_stmt *at = next_writing(c->db, NULL); at != NULL;
         at = next_writing(c->db, at)) {
        /* It has begun later, so it is the innermost. */
        if (!is_noted(c, at)) return false;
        running++;
    }
    if (running <= 1) c->n_tripped = 0; /* the last of them ends now */
    return running > 0;
}

/* --- 9: PRAGMA count_changes --- */

/* With this pragma, which is deprecated and still there, a statement that
 * writes returns a row, the number of changes, before it ends. sqlite3_exec()
 * passes over it. Seen in 3.38 to 3.53. */
int quirk_step_write(sqlite3_stmt *stmt) {
    int code;

    do {
        code = sqlite3_step(stmt);
    } while (code == SQLITE_ROW);
    return code;
}

/* --- 10: whether glob() is SQLite's own --- */

/* An application may have its own, for which the order of keys means nothing.
 * SQLite knows: only from its own it derives a range, which it shows beside the
 * term. Seen in 3.38 to 3.53. */
bool quirk_globs(conn *c) {
    sqlite3_stmt *stmt = NULL;

    c->n_terms = 0;
    (void)sqlite3_prepare_v2(c->db,
                             "SELECT 1 FROM nadb_backends WHERE name GLOB 'a*'",
                             -1, &stmt, NULL);
    sqlite3_finalize(stmt);
    return c->n_terms > 1;
}
