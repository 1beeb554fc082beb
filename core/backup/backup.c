/* backup.c - writes backups (backup.h).
 *
 * An incremental backup compares the store's snapshot with the state of its
 * parent's chain (compare.c). Of the chain only keys and prints are read. So it
 * does not depend on what the store remembers: sequence numbers, tombstones and
 * clocks may have changed, and the store may be another one. */
#include "snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "../kv/row.h"
#include "../store_engine.h"
#include "../util/job.h"
#include "compare.h"

/* Rows between two polls for a stop. */
#define STOP_ROWS 1024u

/* All rows of a store. */
typedef struct making {
    const nadb_stop *stop;
    /* time of the snapshot: rows that had expired are left out */
    int64_t now_ms;
    backup_writer *w;
    nadb_iter *rows; /* of the store; in a full backup */
    uint64_t total;
    uint64_t values; /* bytes of the written values */
    unsigned since_stop;
} making;

/* --- the rows --- */

/* Moves to the next row of the store that has not expired. */
static nadb_rc next_row(making *m, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    do {
        if (++m->since_stop >= STOP_ROWS) {
            m->since_stop = 0;
            rc = nadb_stopped(m->stop, err);
        }
        if (rc == NADB_OK) rc = nadb_iter_next(m->rows, err);
        if (rc == NADB_OK && m->rows->valid)
            rc = nadb_job_step(1, m->rows->entry.value.n, err);
    } while (rc == NADB_OK && m->rows->valid &&
             nadb_row_expires(m->rows->entry.value) <= m->now_ms);
    if (rc == NADB_OK && m->rows->valid) m->total++;
    return rc;
}

/* Checks that the row can be read again before it is written. */
static nadb_rc put_row(void *ctx, nadb_slice key, nadb_slice value,
                       uint64_t hash, nadb_err *err) {
    making *m = ctx;
    nadb_row row;
    nadb_rc rc = nadb_row_decode(value, &row, err);

    if (rc != NADB_OK) return rc;
    m->values += row.size;
    return backup_writer_put(m->w, key, value, hash, err);
}

static nadb_rc delete_key(void *ctx, nadb_slice key, nadb_err *err) {
    const making *m = ctx;

    return backup_writer_delete(m->w, key, err);
}

static nadb_rc write_all(making *m, const backup_snapshot *s, nadb_err *err) {
    nadb_engine *engine = nadb_store_engine(s->store);
    nadb_rc rc =
        engine->ops->iter(engine, s->view, &nadb_all_rows, &m->rows, err);

    if (rc == NADB_OK) rc = next_row(m, err);
    while (rc == NADB_OK && m->rows->valid) {
        const nadb_entry *e = &m->rows->entry;

        rc = put_row(m, e->key, e->value, nadb_hash64(e->value), err);
        if (rc == NADB_OK) rc = next_row(m, err);
    }
    nadb_iter_free(m->rows);
    return rc;
}

static nadb_rc write_differences(making *m, const backup_snapshot *s,
                                 const backup_chain *chain, nadb_err *err) {
    backup_compare_req req = {
        .engine = nadb_store_engine(s->store),
        .view = s->view,
        .threads = (nadb_store_caps(s->store) & NADB_CAP_THREADS) != 0,
        .chain = chain,
        .now_ms = s->now_ms,
        .stop = m->stop,
        .put = put_row,
        .gone = delete_key,
        .ctx = m,
    };

    return backup_compare(&req, &m->total, err);
}

/* --- snapshots --- */

nadb_rc backup_snapshot_take(nadb_store *s, backup_snapshot *out,
                             nadb_err *err) {
    nadb_rc rc = nadb_store_usable(s, err);

    memset(out, 0, sizeof *out);
    if (rc != NADB_OK) return rc;
    out->store = s;
    rc = nadb_store_engine(s)->ops->view_open(nadb_store_engine(s), &out->view,
                                              err);
    out->now_ms = nadb_now_ms();
    return rc;
}

void backup_snapshot_drop(backup_snapshot *s) {
    if (s->view != NULL)
        nadb_store_engine(s->store)->ops->view_close(
            nadb_store_engine(s->store), s->view);
    s->view = NULL;
}

static bool copy_text(char out[BACKUP_TEXT_MAX + 1], const char *text) {
    return (size_t)snprintf(out, BACKUP_TEXT_MAX + 1, "%s", text) <=
           BACKUP_TEXT_MAX;
}

static nadb_rc describe(const backup_snapshot *s, int level, uint64_t total,
                        const backup_sum *sum, backup_manifest *out,
                        nadb_err *err) {
    const nadb_options *o = nadb_store_options(s->store);

    out->created_ms = s->now_ms < 0 ? 0 : s->now_ms;
    out->compression = level;
    out->rows = sum->rows;
    out->deleted = sum->deleted;
    out->total = total;
    out->bytes = sum->bytes;
    nadb_sha256_hex(sum->sha256, out->file_sha256);
    if (copy_text(out->backend, o->backend) && copy_text(out->db, o->db) &&
        copy_text(out->ns, o->ns))
        return NADB_OK;
    return nadb_fail(err, NADB_TOOBIG,
                     "the store's db and namespace may have at most %u bytes "
                     "for a backup",
                     BACKUP_TEXT_MAX);
}

nadb_rc backup_snapshot_write(const backup_snapshot *s, nadb_file *file,
                              const backup_chain *chain, int level,
                              const nadb_stop *stop, backup_manifest *out,
                              nadb_err *err) {
    making m = {.stop = stop, .now_ms = s->now_ms};
    backup_sum sum;
    nadb_rc rc = backup_writer_new(file, level, &m.w, err);

    memset(&sum, 0, sizeof sum);
    if (rc == NADB_OK)
        rc = chain == NULL ? write_all(&m, s, err)
                           : write_differences(&m, s, chain, err);
    if (rc == NADB_OK) rc = backup_writer_end(m.w, m.values, &sum, err);
    backup_writer_free(m.w);
    if (rc == NADB_OK) rc = describe(s, level, m.total, &sum, out, err);
    return rc;
}

/* --- ids --- */

/* full_YYYYmmdd_HHMMSS, or inc_.., db_..: in UTC, so that ids of a folder sort
 * by time. `again`: number of such ids that are taken. */
static void default_id(backup_type type, unsigned again,
                       char out[BACKUP_ID_MAX + 1]) {
    static const char *const prefixes[] = {"full", "inc", "db"};
    int64_t now = nadb_now_ms() / 1000;
    time_t seconds = (time_t)now;
    struct tm t;
    char when[32] = "";

    if (gmtime_r(&seconds, &t) != NULL)
        (void)strftime(when, sizeof when, "%Y%m%d_%H%M%S", &t);
    if (again == 0)
        (void)snprintf(out, BACKUP_ID_MAX + 1, "%s_%s", prefixes[type], when);
    else
        (void)snprintf(out, BACKUP_ID_MAX + 1, "%s_%s_%u", prefixes[type], when,
                       again + 1);
}

nadb_rc backup_begin(backup_folder *f, const char *given, backup_type type,
                     char id[BACKUP_ID_MAX + 1], backup_new **out,
                     nadb_err *err) {
    bool has = true;
    nadb_rc rc = given == NULL ? NADB_OK : backup_id_check(given, err);

    if (rc == NADB_OK && given != NULL)
        (void)snprintf(id, BACKUP_ID_MAX + 1, "%s", given);
    for (unsigned again = 0; given == NULL && has && rc == NADB_OK; again++) {
        default_id(type, again, id);
        rc = backup_folder_has(f, id, &has, err);
    }
    return rc == NADB_OK ? backup_new_begin(f, id, out, err) : rc;
}

/* --- a backup of a store --- */

static nadb_rc make_in(backup_folder *f, const backup_snapshot *s,
                       const nadb_backup_req *req, const backup_chain *chain,
                       backup_manifest *out, nadb_err *err) {
    backup_new *n = NULL;
    nadb_file *file = NULL;
    nadb_rc rc;

    out->type = chain == NULL ? BACKUP_FULL : BACKUP_INCREMENTAL;
    rc = backup_begin(f, req->id, out->type, out->id, &n, err);
    if (rc != NADB_OK) return rc;
    if (chain != NULL) {
        const backup_manifest *parent = &backup_chain_link(chain, 0)->manifest;

        memcpy(out->parent, parent->id, sizeof out->parent);
        memcpy(out->parent_sha256, parent->sha256, sizeof out->parent_sha256);
    }
    rc = backup_new_file(n, NULL, BACKUP_ROWS, &file, err);
    if (rc == NADB_OK)
        rc = backup_snapshot_write(s, file, chain, req->level, req->stop, out,
                                   err);
    nadb_os_get()->close(file);
    if (rc == NADB_OK) rc = backup_new_publish(n, out, err);
    backup_new_free(n);
    return rc;
}

static nadb_rc make(nadb_store *s, const nadb_backup_req *req,
                    backup_manifest *out, nadb_err *err) {
    backup_snapshot snapshot;
    backup_folder *f = NULL;
    backup_chain *chain = NULL;
    nadb_rc rc = backup_snapshot_take(s, &snapshot, err);

    memset(out, 0, sizeof *out);
    if (rc == NADB_OK && req->id != NULL) rc = backup_id_check(req->id, err);
    if (rc == NADB_OK && req->parent != NULL)
        rc = backup_id_check(req->parent, err);
    if (rc == NADB_OK)
        rc = backup_folder_open(req->folder, req->parent == NULL, &f, err);
    if (rc == NADB_OK && req->parent != NULL)
        rc = backup_chain_open(f, req->parent, NULL, &chain, err);
    if (rc == NADB_OK) rc = make_in(f, &snapshot, req, chain, out, err);
    backup_snapshot_drop(&snapshot);
    backup_chain_close(chain);
    backup_folder_close(f);
    return rc;
}

nadb_rc nadb_backup_make(nadb_store *s, const nadb_backup_req *req,
                         backup_manifest *out, nadb_err *err) {
    int64_t begun = nadb_os_get()->mono_ns();
    nadb_rc rc = make(s, req, out, err);

    nadb_store_log_backup(s, "backup", begun, out->rows, out->bytes, rc, err);
    return rc;
}
