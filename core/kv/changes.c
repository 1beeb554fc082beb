/* changes.c - committed changes: the part that all engines share. */
#include <inttypes.h>

#include "session.h"

nadb_rc nadb_changes_gone(uint64_t since, uint64_t floor, bool keeps,
                          nadb_err *err) {
    if (!keeps)
        return nadb_fail(err, NADB_INVALID,
                         "the store keeps no changes: make the table with "
                         "option keep_changes, such as keep_changes=86400 "
                         "(seconds) or keep_changes='64mb'");
    return nadb_fail(err, NADB_INVALID,
                     "changes after %" PRIu64 " are not kept any more "
                     "(keep_changes): those after %" PRIu64 " are; ask "
                     "nadb_seq(), read the table as a whole, and go on from "
                     "that number",
                     since, floor);
}

nadb_rc nadb_changes_ahead(uint64_t since, uint64_t last, nadb_err *err) {
    return nadb_fail(err, NADB_INVALID,
                     "no commit of this store has the number %" PRIu64
                     ", the last one is %" PRIu64
                     ": it was created again, or is another one; ask "
                     "nadb_seq(), read the table as a whole, "
                     "and go on from that number",
                     since, last);
}

typedef struct prefixed {
    nadb_changes base;
    nadb_changes *all;
    nadb_buf prefix;
} prefixed;

static nadb_rc prefixed_next(nadb_changes *base, nadb_change *out, bool *found,
                             nadb_err *err) {
    prefixed *w = (prefixed *)base;
    nadb_slice prefix = nadb_buf_slice(&w->prefix);
    nadb_rc rc;

    do {
        rc = w->all->next(w->all, out, found, err);
    } while (rc == NADB_OK && *found && out->kind != NADB_CHANGE_CLEAR &&
             !nadb_slice_starts(out->key, prefix));
    return rc;
}

static void prefixed_free(nadb_changes *base) {
    prefixed *w = (prefixed *)base;

    if (w->all != NULL) w->all->free(w->all);
    nadb_buf_clear(&w->prefix);
    nadb_free(w);
}

nadb_rc nadb_changes_open(nadb_session *ss, uint64_t since, nadb_slice prefix,
                          nadb_changes **out, nadb_err *err) {
    const session_view *v = ss->txn != NULL ? ss->txn : ss->entered;
    prefixed *w;
    nadb_rc rc;

    *out = NULL;
    if (ss->engine->ops->changes == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "a store of this kind does not record changes "
                         "(docs/changes.md says which do)");
    w = nadb_calloc(1, sizeof *w);
    if (w == NULL) return nadb_fail(err, NADB_NOMEM, "listing changes");
    w->base.next = prefixed_next;
    w->base.free = prefixed_free;
    rc = ss->engine->ops->changes(ss->engine, v->view, since, &w->all, err);
    if (rc == NADB_OK && !nadb_buf_append(&w->prefix, prefix.p, prefix.n))
        rc = nadb_fail(err, NADB_NOMEM, "listing changes");
    if (rc == NADB_OK)
        *out = &w->base;
    else
        prefixed_free(&w->base);
    return rc;
}
