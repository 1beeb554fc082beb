/* engine.c - a backup, with the chain of backups that it needs, as a read-only
 * table (backup.h).
 *
 * A backup never changes, so all views are the same. Its only index is that of
 * keys; tags and expiry are found by reading every row. Files are verified as
 * they are read, a chunk at a time; nadb_check() reads all. */
#include "engine.h"

#include "../../core/backup/backup.h"
#include "../../core/kv/row.h"
#include "../../core/util/coding.h"

typedef struct backup_view {
    nadb_view base;
    size_t n;
    /* one per backup of the chain, newest first, for get(); made at first
     * use */
    nadb_iter *links[];
} backup_view;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for reading a backup");
}

/* --- views --- */

static nadb_rc backup_view_open(nadb_engine *engine, nadb_view **out,
                                nadb_err *err) {
    backup_engine *e = (backup_engine *)engine;
    size_t n = backup_chain_links(e->chain);
    backup_view *v = nadb_calloc(1, sizeof *v + n * sizeof v->links[0]);

    *out = NULL;
    if (v == NULL) return no_memory(err);
    v->base.seq = 1;
    v->n = n;
    *out = &v->base;
    return NADB_OK;
}

/* Frees what the view has read; it can be read again. */
static void backup_view_rest(nadb_engine *engine, nadb_view *view) {
    backup_view *v = (backup_view *)view;

    (void)engine;
    for (size_t i = 0; i < v->n; i++) {
        nadb_iter_free(v->links[i]);
        v->links[i] = NULL;
    }
}

static void backup_view_close(nadb_engine *engine, nadb_view *view) {
    if (view == NULL) return;
    backup_view_rest(engine, view);
    nadb_free(view);
}

static nadb_rc backup_view_refresh(nadb_engine *engine, nadb_view *view,
                                   nadb_err *err) {
    (void)engine;
    (void)view;
    (void)err;
    return NADB_OK;
}

/* --- reading --- */

/* Moves the i-th iterator to the key; *it: is set if that backup has the
 * key. */
static nadb_rc seek_link(backup_engine *e, backup_view *v, size_t i,
                         nadb_slice key, nadb_iter **it, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (v->links[i] == NULL)
        rc = backup_rows_iter(backup_chain_link(e->chain, i)->rows,
                              &nadb_all_rows, false, &v->links[i], err);
    *it = v->links[i];
    return rc == NADB_OK ? nadb_iter_seek(*it, key, err) : rc;
}

/* The planner reads a tag's counter. The answer is that nothing is known. */
static nadb_rc get_count(const backup_engine *e, nadb_slice key,
                         nadb_entry *out, bool *found) {
    static _Thread_local uint8_t number[10];
    uint64_t total = backup_chain_link(e->chain, 0)->manifest.total;

    memset(out, 0, sizeof *out);
    out->key = key;
    out->value = nadb_slice_of(
        number, (size_t)(nadb_put_varint(number, total) - number));
    *found = true;
    return NADB_OK;
}

static nadb_rc backup_get(nadb_engine *engine, nadb_view *view, nadb_slice key,
                          nadb_entry *out, bool *found, nadb_err *err) {
    backup_engine *e = (backup_engine *)engine;
    backup_view *v = (backup_view *)view;
    nadb_rc rc = NADB_OK;

    *found = false;
    if (key.n == 0) return NADB_OK;
    if (key.p[0] == NADB_KS_COUNT) return get_count(e, key, out, found);
    if (key.p[0] != NADB_KS_ROW) return NADB_OK;
    for (size_t i = 0; i < v->n && rc == NADB_OK; i++) {
        nadb_iter *it;

        rc = seek_link(e, v, i, key, &it, err);
        if (rc != NADB_OK || !it->valid || !nadb_slice_eq(it->entry.key, key))
            continue;
        *out = it->entry;
        *found = (out->flags & NADB_ENTRY_TOMBSTONE) == 0;
        return NADB_OK;
    }
    return rc;
}

static nadb_rc nothing_next(nadb_iter *it, nadb_err *err) {
    (void)err;
    it->valid = false;
    return NADB_OK;
}

static nadb_rc nothing_seek(nadb_iter *it, nadb_slice key, nadb_err *err) {
    (void)key;
    return nothing_next(it, err);
}

static void nothing_free(nadb_iter *it) { nadb_free(it); }

static nadb_rc nothing(nadb_iter **out, nadb_err *err) {
    static const nadb_iter_ops ops = {nothing_next, nothing_seek, nothing_free};

    *out = nadb_calloc(1, sizeof **out);
    if (*out == NULL) return no_memory(err);
    (*out)->ops = &ops;
    return NADB_OK;
}

static nadb_rc backup_iter(nadb_engine *engine, nadb_view *view,
                           const nadb_range *range, nadb_iter **out,
                           nadb_err *err) {
    backup_engine *e = (backup_engine *)engine;
    uint8_t keyspace = range->lo.n == 0 ? 0 : range->lo.p[0];

    (void)view;
    if (keyspace == NADB_KS_ROW)
        return backup_chain_iter(e->chain, range, false, false, out, err);
    if (keyspace == NADB_KS_COUNT) return backup_counts(e, range, out, err);
    if (keyspace == NADB_KS_EXPIRY) return backup_expiries(e, range, out, err);
    return nothing(out, err);
}

/* --- the rest --- */

static nadb_rc backup_prepare(nadb_engine *engine, const nadb_commit_req *req,
                              nadb_ticket **out, nadb_err *err) {
    (void)engine;
    (void)req;
    *out = NULL;
    return nadb_fail(err, NADB_READONLY, "a backup cannot be changed");
}

static nadb_rc backup_flush(nadb_engine *engine, nadb_err *err) {
    (void)engine;
    (void)err;
    return NADB_OK;
}

static nadb_rc backup_check(nadb_engine *engine, nadb_report_fn *report,
                            void *ctx, nadb_err *err) {
    backup_engine *e = (backup_engine *)engine;

    return nadb_backup_verify(e->dir, e->id, NULL, report, ctx, err);
}

static void backup_stats(nadb_engine *engine, nadb_stat_fn *emit, void *ctx) {
    backup_engine *e = (backup_engine *)engine;
    static const char *const none[] = {
        "buffer_entries", "buffer_bytes",     "buffer_utilization_percent",
        "flush_count",    "compaction_count", "expired_count",
    };
    uint64_t bytes = 0;

    for (size_t i = 0; i < backup_chain_links(e->chain); i++)
        bytes += backup_chain_link(e->chain, i)->manifest.bytes;
    emit(ctx, "files", (double)(2 * backup_chain_links(e->chain)));
    emit(ctx, "stored_bytes", (double)bytes);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        emit(ctx, none[i], 0);
}

static void backup_close(nadb_engine *engine) {
    backup_engine *e = (backup_engine *)engine;

    backup_chain_close(e->chain);
    backup_folder_close(e->folder);
    nadb_free(e->dir);
    nadb_free(e->id);
    nadb_free(e);
}

static const nadb_engine_ops backup_ops = {
    .close = backup_close,
    .view_open = backup_view_open,
    .view_close = backup_view_close,
    .view_refresh = backup_view_refresh,
    .view_rest = backup_view_rest,
    .get = backup_get,
    .iter = backup_iter,
    .prepare = backup_prepare, /* it never returns a ticket */
    .flush = backup_flush,
    .check = backup_check,
    .stats = backup_stats,
};

static nadb_rc backup_open(const nadb_options *options, nadb_engine **out,
                           nadb_err *err) {
    backup_engine *e = nadb_calloc(1, sizeof *e);
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (e == NULL) return no_memory(err);
    e->base.ops = &backup_ops;
    e->dir = nadb_strdup(nadb_option_text(options, "dir"));
    e->id = nadb_strdup(nadb_option_text(options, "id"));
    if (e->dir == NULL || e->id == NULL) rc = no_memory(err);
    if (rc == NADB_OK) rc = backup_folder_open(e->dir, false, &e->folder, err);
    if (rc == NADB_OK)
        rc = backup_chain_open(e->folder, e->id, NULL, &e->chain, err);
    if (rc == NADB_OK)
        *out = &e->base;
    else
        backup_close(&e->base);
    return rc;
}

static nadb_rc identity(const nadb_options *o, nadb_buf *out, nadb_err *err) {
    const char *dir = nadb_option_text(o, "dir");
    const char *id = nadb_option_text(o, "id");
    nadb_buf real = NADB_BUF_INIT;
    nadb_rc rc;

    if (dir == NULL || id == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "backend='backup' needs the folder of a backup and "
                         "its id: nadb(backend='backup', dir='backups', "
                         "id='full_20260102_030405')");
    rc = nadb_os_get()->realpath(dir, &real, err);
    if (rc == NADB_OK &&
        (!nadb_identity_add(out, "dir", (const char *)real.p) ||
         !nadb_identity_add(out, "id", id)))
        rc = no_memory(err);
    nadb_buf_clear(&real);
    return rc;
}

const nadb_backend nadb_backend_backup = {
    .name = "backup",
    .caps = NADB_CAP_ENGINE | NADB_CAP_SNAPSHOTS | NADB_CAP_PERSISTENT |
            NADB_CAP_SHARED | NADB_CAP_OWN_INDEX | NADB_CAP_READ_ONLY,
    .summary = "a backup, read as a table",
    .identity = identity,
    .engine_open = backup_open,
};
