/* store_kv.c - operations on a store that core/kv carries out. */
#include <string.h>

#include "kv/index_check.h"
#include "kv/recompress.h"
#include "kv/session.h"
#include "store.h"

nadb_rc nadb_session_new(nadb_store *s, nadb_session **out, nadb_err *err) {
    return session_new(&s->kv, out, err);
}

nadb_rc nadb_store_recompress(nadb_store *s, nadb_stop_fn *stop, void *ctx,
                              nadb_recompressed *out, nadb_err *err) {
    nadb_stop when = {stop, ctx};

    return kv_recompress(&s->kv, &when, out, err);
}

void nadb_tag_asked(nadb_store *s, nadb_slice tag, int64_t *queries,
                    int64_t *last_ms) {
    nadb_tag_queries_find(&s->kv.tag_queries, tag, queries, last_ms);
}

#define REINDEX_TRIES 5

nadb_rc nadb_store_reindex(nadb_store *s, int64_t *differed, nadb_err *err) {
    nadb_session *ss = NULL;
    nadb_rc rc = nadb_store_usable(s, err);

    *differed = 0;
    if (rc == NADB_OK && (s->kv.caps & NADB_CAP_OWN_INDEX) != 0)
        return nadb_fail(
            err, NADB_INVALID,
            "the server keeps the indexes: nadb_compact repairs them");
    if (rc == NADB_OK) rc = session_new(&s->kv, &ss, err);
    for (int tries = 0; rc == NADB_OK; tries++) {
        ss->in_background = true; /* no row changes */
        rc = nadb_session_begin(ss, false, err);
        if (rc == NADB_OK) rc = nadb_index_rebuild(ss, differed, err);
        if (rc == NADB_OK) rc = nadb_session_prepare(ss, err);
        if (rc == NADB_OK) {
            nadb_session_commit(ss);
            break;
        }
        (void)nadb_session_rollback(ss, NULL);
        if (rc != NADB_CONFLICT || tries == REINDEX_TRIES) break;
        rc = NADB_OK;
    }
    nadb_session_free(ss);
    return rc;
}

/* --- changes --- */

nadb_rc nadb_store_wait(nadb_store *s, uint64_t since, int64_t timeout_ms,
                        const nadb_stop *stop, uint64_t *seq, nadb_err *err) {
    nadb_engine *e = nadb_store_engine(s);
    nadb_rc rc = nadb_store_usable(s, err);

    *seq = since;
    if (rc == NADB_OK && e->ops->wait == NULL)
        rc = nadb_fail(err, NADB_INVALID,
                       "a store of this kind does not record changes "
                       "(docs/changes.md says which do)");
    if (rc == NADB_OK) rc = e->ops->wait(e, since, timeout_ms, stop, seq, err);
    if (rc == NADB_OK && *seq < since)
        rc = nadb_changes_ahead(since, *seq, err);
    return rc;
}

nadb_rc nadb_store_seq(nadb_store *s, uint64_t *seq, nadb_err *err) {
    nadb_engine *e = nadb_store_engine(s);
    nadb_rc rc = nadb_store_usable(s, err);

    if (rc != NADB_OK || e->ops->wait == NULL) return rc;
    return e->ops->wait(e, 0, 0, NULL, seq, err);
}
