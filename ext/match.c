/* match.c - the function behind the MATCH operator: match(expression, tags).
 *
 * xBestIndex takes tags MATCH where it stands alone in WHERE. Elsewhere (in OR,
 * NOT, CASE, a result column) SQLite calls this function, with the same answer:
 * 1 or 0, and NULL for a NULL expression. A row without tags has the empty
 * list, so NOT matches it.
 *
 * Where SQLite sees the column itself it asks the table for the function
 * (xFindFunction). Inside an aggregate or behind a subquery it calls the
 * connection's function match(), which is ours, too.
 *
 * The function gets the tags as JSON and does not know from which column they
 * are; it fails if they are not a list. */
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

/* True if match() is SQLite's default, which always fails. A function of the
 * application is kept. */
static bool is_default(sqlite3 *db) {
    sqlite3_stmt *stmt = NULL;
    bool answer = false;

    if (sqlite3_prepare_v2(db, "SELECT 1 MATCH 1", -1, &stmt, NULL) ==
        SQLITE_OK) {
        answer = sqlite3_step(stmt) == SQLITE_ERROR &&
                 strstr(sqlite3_errmsg(db), "unable to use function") != NULL;
    }
    sqlite3_finalize(stmt);
    /* Clears the connection's error, which sqlite3_auto_extension() would take
     * for ours. */
    (void)sqlite3_exec(db, "", NULL, NULL, NULL);
    return answer;
}

/* Repeated until it succeeds: SQLite does not replace a function while a
 * statement is running, such as SELECT load_extension(). */
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
        /* The parsed expression is kept for the next row if it is constant. */
        if (mine != NULL) sqlite3_set_auxdata(ctx, 0, mine, free_match);
    } else {
        nadb_match_free(mine);
        sqlite3_result_error(ctx, err.msg, -1);
        sqlite3_result_error_code(ctx, value_code(err.rc));
    }
    nadb_buf_clear(&list);
}
