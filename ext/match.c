/* match.c - the MATCH operator as a function: match(expression, tags).
 *
 * xBestIndex takes tags MATCH where it stands alone in WHERE; everywhere else
 * (in OR, NOT, CASE, a result column) SQLite calls this. The answer is the
 * same: 1 or 0, and NULL for a NULL expression. A row without tags has the
 * empty list, so NOT matches it.
 *
 * SQLite asks the table for the function (xFindFunction) where it sees the
 * column itself. Inside an aggregate, or behind a subquery, it does not: there
 * the connection's function match() counts, which is ours too.
 *
 * The function sees the tags as the column shows them, as JSON: it cannot know
 * of which column they are, and says so when they are no list. */
#include "ext.h"

nadb_rc match_add(sqlite3_value *in, nadb_match **m, nadb_err *err) {
    const unsigned char *text = NULL;
    nadb_slice expression;

    if (sqlite3_value_type(in) == SQLITE_BLOB) {
        return nadb_fail(err, NADB_INVALID,
                         "a MATCH expression is text, not a BLOB");
    }
    text = sqlite3_value_text(in);
    if (text == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    expression = nadb_slice_of(text, (size_t)sqlite3_value_bytes(in));
    if (*m == NULL) return nadb_match_parse(expression, m, err);
    return nadb_match_add(*m, expression, err);
}

static nadb_rc list_of(sqlite3_value *in, nadb_buf *list, nadb_err *err) {
    const unsigned char *text;

    if (sqlite3_value_type(in) == SQLITE_NULL) return NADB_OK;
    text = sqlite3_value_text(in);
    if (text == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    if (nadb_tags_parse(nadb_slice_of(text, (size_t)sqlite3_value_bytes(in)),
                        list, err) != NADB_OK &&
        err->rc != NADB_NOMEM) {
        return nadb_fail(err, NADB_INVALID,
                         "unable to use MATCH here: for nadb tables it is tags "
                         "MATCH 'a AND b'");
    }
    return err->rc;
}

static void free_match(void *m) { nadb_match_free(m); }

/* Whether match() is the one that SQLite makes for every connection, which only
 * fails. An application's own stays. */
static bool is_default(sqlite3 *db) {
    sqlite3_stmt *stmt = NULL;
    bool answer = false;

    if (sqlite3_prepare_v2(db, "SELECT 1 MATCH 1", -1, &stmt, NULL) ==
        SQLITE_OK) {
        answer = sqlite3_step(stmt) == SQLITE_ERROR &&
                 strstr(sqlite3_errmsg(db), "unable to use function") != NULL;
    }
    sqlite3_finalize(stmt);
    /* Takes the error back: to sqlite3_auto_extension() it would be ours. */
    (void)sqlite3_exec(db, "", NULL, NULL, NULL);
    return answer;
}

/* Tried again until it works: SQLite replaces no function while a statement
 * runs, and SELECT load_extension() is one. */
void match_register(conn *c) {
    c->match_settled =
        !is_default(c->db) ||
        sqlite3_create_function_v2(
            c->db, "match", 2,
            SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
            match_function, NULL, NULL, NULL) == SQLITE_OK;
}

void match_function(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    nadb_match *m = sqlite3_get_auxdata(ctx, 0);
    nadb_match *mine = NULL;
    nadb_buf list = NADB_BUF_INIT;
    nadb_err err;
    nadb_rc rc = NADB_OK;

    (void)argc;
    if (sqlite3_value_type(argv[0]) == SQLITE_NULL) return;
    nadb_err_clear(&err);
    if (m == NULL) rc = match_add(argv[0], &mine, &err);
    if (mine != NULL) m = mine;
    if (rc == NADB_OK) rc = list_of(argv[1], &list, &err);
    if (rc == NADB_OK) {
        sqlite3_result_int(ctx, nadb_match_tags(m, nadb_buf_slice(&list)));
        /* Kept for the next row when the expression is constant. */
        if (mine != NULL) sqlite3_set_auxdata(ctx, 0, mine, free_match);
    } else {
        nadb_match_free(mine);
        sqlite3_result_error(ctx, err.msg, -1);
        sqlite3_result_error_code(ctx, value_code(err.rc));
    }
    nadb_buf_clear(&list);
}
