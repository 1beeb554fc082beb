/* verify.c - reads and checks every byte of a backup (backup.h). */
#include "backup.h"

#include <stdio.h>

#include "../kv/row.h"
#include "../util/job.h"
#include "chain.h"
#include "database.h"

#define STOP_ROWS 1024u

static const nadb_range everything = {{NULL, 0}, {NULL, 0}, false};

typedef struct verifying {
    const nadb_stop *stop;
    nadb_report_fn *report;
    void *ctx;
} verifying;

/* Reports damage; any other error ends the check. */
static nadb_rc found(const verifying *v, nadb_rc rc, nadb_err *err) {
    if (rc != NADB_CORRUPT && rc != NADB_CANTOPEN) return rc;
    v->report(v->ctx, err->msg);
    nadb_err_clear(err);
    return NADB_OK;
}

static nadb_rc check_row(const backup_link *l, const nadb_entry *e,
                         nadb_err *err) {
    nadb_row row;

    if (e->key.n == 0 || e->key.p[0] != NADB_KS_ROW)
        return nadb_corrupt(err, "backup %s: a key is not that of a row",
                            l->manifest.id);
    return (e->flags & NADB_ENTRY_TOMBSTONE) != 0
               ? NADB_OK
               : nadb_row_decode(e->value, &row, err);
}

/* Compares every row of a file with its print. */
static nadb_rc check_rows(const verifying *v, const backup_link *l,
                          nadb_err *err) {
    nadb_iter *it = NULL;
    uint64_t rows = 0, deleted = 0;
    nadb_rc rc = backup_rows_iter(l->rows, &everything, false, &it, err);

    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    while (rc == NADB_OK && it->valid) {
        rc = check_row(l, &it->entry, err);
        if ((it->entry.flags & NADB_ENTRY_TOMBSTONE) != 0)
            deleted++;
        else if (rc == NADB_OK && (rows++, nadb_hash64(it->entry.value) !=
                                               backup_rows_print(it).hash))
            rc = nadb_corrupt(err, "backup %s: the hash of a row is wrong",
                              l->manifest.id);
        if (rc == NADB_OK && (rows + deleted) % STOP_ROWS == 0)
            rc = nadb_stopped(v->stop, err);
        if (rc == NADB_OK) rc = nadb_job_step(1, 0, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    if (rc == NADB_OK &&
        (rows != l->manifest.rows || deleted != l->manifest.deleted))
        rc = nadb_corrupt(err, "backup %s: it has other counts of rows",
                          l->manifest.id);
    nadb_iter_free(it);
    return found(v, rc, err);
}

static nadb_rc check_sum(const verifying *v, const backup_link *l,
                         nadb_err *err) {
    char sum[NADB_SHA256_HEX];
    nadb_rc rc = backup_rows_sum(l->rows, v->stop, sum, err);

    if (rc == NADB_OK && strcmp(sum, l->manifest.file_sha256) != 0)
        rc = nadb_corrupt(err,
                          "backup %s is damaged: its rows have another "
                          "checksum",
                          l->manifest.id);
    return found(v, rc, err);
}

/* Counts the rows of the whole chain. */
static nadb_rc count_rows(const backup_chain *c, uint64_t *rows,
                          nadb_err *err) {
    nadb_iter *it = NULL;
    nadb_rc rc = backup_chain_iter(c, &everything, true, false, &it, err);

    if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    for (; rc == NADB_OK && it->valid; (*rows)++) {
        rc = nadb_job_step(1, 0, err);
        if (rc == NADB_OK) rc = nadb_iter_next(it, err);
    }
    nadb_iter_free(it);
    return rc;
}

static nadb_rc check_total(const verifying *v, const backup_chain *c,
                           nadb_err *err) {
    uint64_t rows = 0;
    nadb_rc rc = NADB_OK;

    if (backup_chain_links(c) > 1)
        rc = count_rows(c, &rows, err);
    else /* check_rows() has counted them */
        rows = backup_chain_link(c, 0)->manifest.rows;
    if (rc == NADB_OK && rows != backup_chain_link(c, 0)->manifest.total)
        rc = nadb_corrupt(err,
                          "backup %s: with those that it needs it has another "
                          "count of rows",
                          backup_chain_link(c, 0)->manifest.id);
    return found(v, rc, err);
}

/* Sets the size of the job: each row of each file, then those of the whole, if
 * it is more than one file. */
static void expect(const backup_chain *c) {
    uint64_t rows =
        backup_chain_links(c) > 1 ? backup_chain_link(c, 0)->manifest.total : 0;

    for (size_t i = 0; i < backup_chain_links(c); i++)
        rows += backup_chain_link(c, i)->manifest.rows +
                backup_chain_link(c, i)->manifest.deleted;
    nadb_job_expect(rows, 0);
}

static nadb_rc verify_chain(const verifying *v, const backup_folder *f,
                            const char *id, const char *part, nadb_err *err) {
    backup_chain *c = NULL;
    nadb_rc rc = backup_chain_open(f, id, part, &c, err);

    if (rc != NADB_OK) return found(v, rc, err);
    expect(c);
    for (size_t i = 0; rc == NADB_OK && i < backup_chain_links(c); i++) {
        rc = check_sum(v, backup_chain_link(c, i), err);
        if (rc == NADB_OK) rc = check_rows(v, backup_chain_link(c, i), err);
    }
    if (rc == NADB_OK) rc = check_total(v, c, err);
    backup_chain_close(c);
    return rc;
}

static nadb_rc verify_database(const verifying *v, const backup_folder *f,
                               backup_manifest *m, nadb_err *err) {
    nadb_rc rc = backup_database_verify(f, m->id, v->stop, m, err);

    if (rc != NADB_OK) rc = found(v, rc, err);
    for (size_t i = 0; rc == NADB_OK && i < backup_manifest_parts(m); i++) {
        char name[32];

        nadb_backup_part_name(i, name);
        rc = verify_chain(v, f, m->id, name, err);
    }
    return rc;
}

nadb_rc nadb_backup_verify(const char *folder, const char *id,
                           const nadb_stop *stop, nadb_report_fn *report,
                           void *ctx, nadb_err *err) {
    verifying v = {stop, report, ctx};
    backup_folder *f = NULL;
    backup_manifest m;
    bool has = false;
    nadb_rc rc = backup_id_check(id, err);

    memset(&m, 0, sizeof m);
    if (rc == NADB_OK) rc = backup_folder_open(folder, false, &f, err);
    if (rc == NADB_OK) rc = backup_folder_has(f, id, &has, err);
    if (rc == NADB_OK && has &&
        backup_folder_manifest(f, id, NULL, &m, NULL) == NADB_OK &&
        m.type == BACKUP_DATABASE)
        rc = verify_database(&v, f, &m, err);
    else if (rc == NADB_OK)
        rc = verify_chain(&v, f, id, NULL, err);
    backup_manifest_clear(&m);
    backup_folder_close(f);
    return rc;
}
