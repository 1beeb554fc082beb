/* expire.c - removing rows that have expired, in bounded steps.
 *
 * To every reader they are gone already; this is about their space. So what is
 * read here is no decision that a commit would have to check, but for the rows
 * that are deleted: if somebody has put a living row in the place of one, the
 * delete must not take that.
 *
 * It walks over all rows: there is no index of expiry times yet. */
#include "session.h"

nadb_rc nadb_purge_expired(nadb_session *ss, nadb_slice from, size_t rows_max,
                           nadb_buf *next, int64_t *removed, nadb_err *err) {
    nadb_scan scan = {.lo = from};
    nadb_cursor *c = NULL;
    const nadb_row *row;
    size_t looked = 0;
    nadb_rc rc = nadb_cursor_new(ss, &c, err);

    nadb_buf_reset(next);
    if (rc == NADB_OK) rc = session_scan_expired(c, &scan, err);
    while (rc == NADB_OK && (row = nadb_cursor_row(c)) != NULL) {
        if (looked++ == rows_max) {
            if (!nadb_buf_append(next, row->key.p, row->key.n))
                rc = nadb_fail(err, NADB_NOMEM, "removing expired rows");
            break;
        }
        if (row->expires_ms <= nadb_cursor_now(c)) {
            rc = session_delete(ss, row->key, NADB_ENTRY_READ, err);
            (*removed)++;
        }
        if (rc == NADB_OK) rc = nadb_cursor_next(c, err);
    }
    nadb_cursor_free(c);
    return rc;
}
