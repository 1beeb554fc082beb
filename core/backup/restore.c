/* restore.c - writes a backup's rows into a store (backup.h).
 *
 * A full backup is written without reading the store, so it never conflicts
 * with other writers. An incremental one, restored into a store that is not
 * cleared, is compared with the store, and only differences are written: a
 * standby that follows its original gets a small transaction from a small
 * backup. This reads the store, so it can conflict like any transaction that
 * reads. */
#include "backup.h"

#include "../kv/codec.h"
#include "../kv/row.h"
#include "../kv/session.h"
#include "../util/job.h"
#include "chain.h"

#define STOP_ROWS 1024u

typedef struct restoring {
    nadb_session *ss;
    const nadb_stop *stop;
    nadb_iter *rows;  /* of the backup */
    nadb_iter *there; /* of the store; NULL: no comparison */
    bool clear;       /* the store was cleared */
    int64_t now_ms;
    int64_t restored;
    nadb_buf plain, other; /* decompressed values */
} restoring;

/* --- one row --- */

/* Writes a decoded value, which is compressed as the store's options say. */
static nadb_rc put_value(restoring *r, nadb_put_req *req, const nadb_row *row,
                         nadb_err *err) {
    nadb_slice bytes = row->stored;
    nadb_value value;
    nadb_rc rc = NADB_OK;

    if (row->codec != NADB_CODEC_RAW) {
        rc = nadb_codec_decode(row->stored, row->codec, row->size, &r->plain,
                               err);
        bytes = nadb_buf_slice(&r->plain);
    }
    if (rc == NADB_OK) rc = nadb_row_value(row, bytes, &value, err);
    if (rc != NADB_OK) return rc;
    req->value = &value;
    return nadb_put(r->ss, req, err);
}

static nadb_rc put(restoring *r, const nadb_entry *e, nadb_err *err) {
    nadb_put_req req = {.mode = NADB_PUT_BLIND};
    nadb_row row;
    nadb_rc rc = nadb_row_decode(e->value, &row, err);

    if (rc != NADB_OK) return rc;
    req.key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    req.tags = row.tags;
    req.created_ms = row.created_ms;
    req.updated_ms = row.updated_ms;
    req.expires_ms = row.expires_ms;
    /* A compressed value is copied if the store compresses, too. */
    if (row.codec == NADB_CODEC_RAW ||
        atomic_load(&r->ss->kv->compression) == 0)
        return put_value(r, &req, &row, err);
    req.keep = &row;
    return nadb_put(r->ss, &req, err);
}

static nadb_rc delete_key(restoring *r, nadb_slice key, nadb_err *err) {
    return nadb_delete(r->ss, nadb_slice_of(key.p + 1, key.n - 1), err);
}

/* --- comparing --- */

/* Moves `there` to `key`; *row: the store has a live row of that key. */
static nadb_rc find_there(restoring *r, nadb_slice key, bool *row,
                          nadb_err *err) {
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && r->there->valid &&
           nadb_slice_cmp(r->there->entry.key, key) < 0)
        rc = nadb_iter_next(r->there, err);
    *row = rc == NADB_OK && r->there->valid &&
           nadb_slice_eq(r->there->entry.key, key) &&
           nadb_row_expires(r->there->entry.value) > r->now_ms;
    return rc;
}

/* *equal: the rows are equal except for the compression of their values. */
static nadb_rc equal_decoded(restoring *r, nadb_slice a, nadb_slice b,
                             bool *equal, nadb_err *err) {
    nadb_row x, y;
    nadb_rc rc = nadb_row_decode(a, &x, err);

    if (rc == NADB_OK) rc = nadb_row_decode(b, &y, err);
    if (rc != NADB_OK || x.codec == y.codec || x.type != y.type ||
        x.size != y.size || x.created_ms != y.created_ms ||
        x.updated_ms != y.updated_ms || x.expires_ms != y.expires_ms ||
        !nadb_slice_eq(x.tags, y.tags))
        return rc;
    rc = nadb_codec_decode(x.stored, x.codec, x.size, &r->plain, err);
    if (rc == NADB_OK)
        rc = nadb_codec_decode(y.stored, y.codec, y.size, &r->other, err);
    if (rc == NADB_OK)
        *equal =
            nadb_slice_eq(nadb_buf_slice(&r->plain), nadb_buf_slice(&r->other));
    return rc;
}

/* *same: the store needs no change. */
static nadb_rc is_same(restoring *r, const nadb_entry *e, bool gone, bool *same,
                       nadb_err *err) {
    bool row = false;
    nadb_rc rc = NADB_OK;

    *same = gone && r->clear;
    if (r->there == NULL) return NADB_OK;
    rc = find_there(r, e->key, &row, err);
    if (gone)
        *same = !row;
    else
        *same = row && nadb_slice_eq(r->there->entry.value, e->value);
    if (rc == NADB_OK && row && !gone && !*same)
        rc = equal_decoded(r, r->there->entry.value, e->value, same, err);
    return rc;
}

/* --- all rows --- */

static nadb_rc restore_rows(restoring *r, nadb_err *err) {
    unsigned since_stop = 0;
    nadb_rc rc = NADB_OK;

    if (r->there != NULL) rc = nadb_iter_next(r->there, err);
    if (rc == NADB_OK) rc = nadb_iter_next(r->rows, err);
    while (rc == NADB_OK && r->rows->valid) {
        const nadb_entry *e = &r->rows->entry;
        bool gone = (e->flags & NADB_ENTRY_TOMBSTONE) != 0 ||
                    nadb_row_expires(e->value) <= r->now_ms;
        bool same;

        if (++since_stop >= STOP_ROWS) {
            since_stop = 0;
            rc = nadb_stopped(r->stop, err);
        }
        if (rc == NADB_OK) rc = nadb_job_step(1, 0, err);
        if (rc == NADB_OK) rc = is_same(r, e, gone, &same, err);
        if (rc == NADB_OK && !same)
            rc = gone ? delete_key(r, e->key, err) : put(r, e, err);
        if (!gone) r->restored++;
        if (rc == NADB_OK) rc = nadb_iter_next(r->rows, err);
    }
    return rc;
}

/* Opens the walk for the comparison, in the transaction's snapshot: everything
 * then counts as read. */
static nadb_rc open_there(restoring *r, nadb_err *err) {
    nadb_engine *e = r->ss->engine;
    nadb_rc rc = session_note_read(r->ss, nadb_all_rows.lo, nadb_all_rows.hi,
                                   false, NULL, err);

    if (rc != NADB_OK) return rc;
    return e->ops->iter(e, r->ss->txn->view, &nadb_all_rows, &r->there, err);
}

static nadb_rc check_sums(const backup_chain *c, const char *folder,
                          const nadb_stop *stop, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; rc == NADB_OK && i < backup_chain_links(c); i++) {
        const backup_link *l = backup_chain_link(c, i);
        char sum[NADB_SHA256_HEX];

        rc = backup_rows_sum(l->rows, stop, sum, err);
        if (rc == NADB_OK && strcmp(sum, l->manifest.file_sha256) != 0)
            rc = nadb_corrupt(err,
                              "backup %s in %s is damaged: its rows have "
                              "another checksum",
                              l->manifest.id, folder);
    }
    return rc;
}

static nadb_rc restore_chain(restoring *r, const backup_chain *c,
                             nadb_err *err) {
    bool compare = !r->clear && backup_chain_links(c) > 1 &&
                   !nadb_session_dirty(r->ss) && r->ss->txn != NULL;
    nadb_rc rc = NADB_OK;

    r->now_ms = nadb_now_ms();
    nadb_job_expect(backup_chain_link(c, 0)->manifest.total, 0);
    if (r->clear) rc = nadb_clear(r->ss, NULL, err);
    if (rc == NADB_OK)
        rc = backup_chain_iter(c, &nadb_all_rows, false, !r->clear, &r->rows,
                               err);
    if (rc == NADB_OK && compare) rc = open_there(r, err);
    if (rc == NADB_OK) rc = restore_rows(r, err);
    return rc;
}

nadb_rc nadb_backup_restore(nadb_session *ss, const char *folder,
                            const char *id, bool clear, const nadb_stop *stop,
                            int64_t *rows, nadb_err *err) {
    restoring r = {.ss = ss, .stop = stop, .clear = clear};
    backup_folder *f = NULL;
    backup_chain *c = NULL;
    uint64_t before = nadb_moment(ss);
    nadb_rc rc = backup_id_check(id, err);

    *rows = 0;
    if (rc == NADB_OK) rc = backup_folder_open(folder, false, &f, err);
    if (rc == NADB_OK) rc = backup_chain_open(f, id, NULL, &c, err);
    if (rc == NADB_OK) rc = check_sums(c, folder, stop, err);
    if (rc == NADB_OK) rc = restore_chain(&r, c, err);
    if (rc == NADB_OK)
        *rows = r.restored;
    else
        nadb_undo_since(ss, before);
    nadb_iter_free(r.there);
    nadb_iter_free(r.rows);
    nadb_buf_clear(&r.plain);
    nadb_buf_clear(&r.other);
    backup_chain_close(c);
    backup_folder_close(f);
    return rc;
}
