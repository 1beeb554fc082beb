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

/* --- a database file and its stores, at one moment --- */

typedef struct nadb_backup_set nadb_backup_set;

/* Begins such a backup; req->parent is NULL. Then, while nobody can commit,
 * each store is held; SQLite writes the database to nadb_backup_set_path();
 * and nadb_backup_set_finish() writes the stores as they were. */
nadb_rc nadb_backup_set_begin(const nadb_backup_req *req, nadb_backup_set **out,
                              nadb_err *err) NADB_MUST_USE;
void nadb_backup_set_free(nadb_backup_set *set); /* NULL is fine */
/* Takes over a reference to the store, also on error. One that is held already
 * is not held again. */
nadb_rc nadb_backup_set_hold(nadb_backup_set *set, nadb_store *s,
                             const char *table, nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_backup_set_path(const nadb_backup_set *set, nadb_buf *out,
                             nadb_err *err) NADB_MUST_USE;
/* The caller clears *out, also on error. */
nadb_rc nadb_backup_set_finish(nadb_backup_set *set, backup_manifest *out,
                               nadb_err *err) NADB_MUST_USE;

/* The name of the i-th part, from 0. */
void nadb_backup_part_name(size_t i, char out[32]);
/* Copies the database of such a backup to `path`, where nothing may be, and
 * checks all sums. The caller clears *out, also on error. */
nadb_rc nadb_backup_set_read(const char *folder, const char *id,
                             const char *path, const nadb_stop *stop,
                             backup_manifest *out, nadb_err *err) NADB_MUST_USE;
/* NADB_INVALID when there is a file `path`, or one that belongs to it. */
nadb_rc nadb_backup_set_free_place(const char *path,
                                   nadb_err *err) NADB_MUST_USE;
/* Removes a database file that nadb_backup_set_read() made, and what is left
 * of the directory of its stores when these are gone. */
void nadb_backup_set_remove(const char *path);
/* Gives a database file and the directory of its stores another name in the
 * same directory, durably: the file comes last. */
nadb_rc nadb_backup_set_place(const char *from, const char *to,
                              nadb_err *err) NADB_MUST_USE;

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
    size_t files;
    const uint64_t *values; /* bytes of its values; NULL: not known */
} nadb_backup_entry;
typedef nadb_rc nadb_backup_fn(void *ctx, const nadb_backup_entry *entry,
                               nadb_err *err);
/* Calls `each` with every backup of the folder, the oldest first. */
nadb_rc nadb_backup_list(const char *folder, nadb_backup_fn *each, void *ctx,
                         nadb_err *err) NADB_MUST_USE;

#endif
