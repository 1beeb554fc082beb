/* backup.h - backups of a store, and what is done with them.
 *
 * A backup is a directory in a folder of backups, and knows nothing of the
 * store that it comes from: it can be verified, listed and removed without one,
 * and restored into any. Its format is that of docs/format.md, "Backups".
 *
 * All of these may be called by any thread; several may work in one folder at
 * the same time. */
#ifndef NADB_BACKUP_H
#define NADB_BACKUP_H

#include "../nadb.h"
#include "manifest.h"

typedef struct nadb_backup_req {
    const char *folder; /* made when it is not there */
    const char *id;     /* NULL: by the time */
    const char *parent; /* NULL: a full backup */
    int level;          /* of zlib; 0: not compressed */
    const nadb_stop *stop;
} nadb_backup_req;

/* Writes a backup of all that is committed now, as one snapshot. With a parent
 * it holds what has changed since then. *out says what was made; the caller
 * clears it, also on error. On error nothing is listed. */
nadb_rc nadb_backup_make(nadb_store *s, const nadb_backup_req *req,
                         backup_manifest *out, nadb_err *err) NADB_MUST_USE;

/* Puts the rows of a backup into the session's transaction, which must be open;
 * `clear`: in place of all rows that are there. Else rows that only the store
 * has stay, but those that the chain deletes go. *rows: how many there are in
 * the backup and have not expired. Nothing is changed before all checksums
 * have been looked at; on error the transaction is as it was. */
nadb_rc nadb_backup_restore(nadb_session *ss, const char *folder,
                            const char *id, bool clear, const nadb_stop *stop,
                            int64_t *rows, nadb_err *err) NADB_MUST_USE;

/* Reads every byte of the backup and of those that it needs; calls `report`
 * with what is wrong. */
nadb_rc nadb_backup_verify(const char *folder, const char *id,
                           const nadb_stop *stop, nadb_report_fn *report,
                           void *ctx, nadb_err *err) NADB_MUST_USE;

/* Removes a backup; *removed is 0 when there is none of that id. NADB_LOCKED
 * when others need it, unless `force`. */
nadb_rc nadb_backup_delete(const char *folder, const char *id, bool force,
                           int64_t *removed, nadb_err *err) NADB_MUST_USE;
/* Removes all but the newest `keep_count`, those younger than `keep_days`, and
 * what these need. */
nadb_rc nadb_backup_prune(const char *folder, double keep_days,
                          int64_t keep_count, int64_t *removed,
                          nadb_err *err) NADB_MUST_USE;

/* What is listed of a backup. */
typedef struct nadb_backup_entry {
    const char *id;
    const backup_manifest *manifest; /* NULL: it is damaged */
    const char *problem;             /* what is wrong with it; NULL: nothing */
} nadb_backup_entry;
typedef nadb_rc nadb_backup_fn(void *ctx, const nadb_backup_entry *entry,
                               nadb_err *err);
/* Calls `each` with every backup of the folder, the oldest first. */
nadb_rc nadb_backup_list(const char *folder, nadb_backup_fn *each, void *ctx,
                         nadb_err *err) NADB_MUST_USE;

#endif
