/* backup.h - makes, restores, verifies, lists and removes backups of a store.
 *
 * A backup is a directory in a folder of backups and does not depend on the
 * store it was made from: it can be verified, listed and removed without a
 * store, and restored into any. docs/format.md, "Backups", has its format.
 *
 * Any thread may call these functions; several may use one folder at the same
 * time. */
#ifndef NADB_BACKUP_H
#define NADB_BACKUP_H

#include "../nadb.h"
#include "manifest.h"

typedef struct nadb_backup_req {
    const char *folder; /* made if it is missing */
    const char *id;     /* NULL: made from the time */
    const char *parent; /* NULL: a full backup */
    int level;          /* of zlib; 0: not compressed */
    const nadb_stop *stop;
} nadb_backup_req;

/* Writes a backup of all present commits, from one snapshot; with a parent only
 * of what has changed since the parent. *out describes it; the caller clears
 * *out, also on error. On error there is no backup. */
nadb_rc nadb_backup_make(nadb_store *s, const nadb_backup_req *req,
                         backup_manifest *out, nadb_err *err) NADB_MUST_USE;

/* Writes the rows of a backup into the session's open transaction. `clear`: all
 * other rows are removed; otherwise rows that only the store has stay, except
 * those that the chain deletes. *rows: number of rows in the backup that have
 * not expired. All checksums are verified before anything is changed; on error
 * the transaction is unchanged. */
nadb_rc nadb_backup_restore(nadb_session *ss, const char *folder,
                            const char *id, bool clear, const nadb_stop *stop,
                            int64_t *rows, nadb_err *err) NADB_MUST_USE;

/* --- a database file and its stores, in one state --- */

typedef struct nadb_backup_set nadb_backup_set;

/* Begins such a backup; req->parent is NULL. Then, while commits are locked
 * out, each store is held. After that SQLite writes the database to
 * nadb_backup_set_path(), and nadb_backup_set_finish() writes the stores in the
 * state in which they were held. */
nadb_rc nadb_backup_set_begin(const nadb_backup_req *req, nadb_backup_set **out,
                              nadb_err *err) NADB_MUST_USE;
void nadb_backup_set_free(nadb_backup_set *set); /* NULL is fine */
/* Takes a snapshot of a store and takes over the reference, also on error. A
 * store that is already held is skipped. */
nadb_rc nadb_backup_set_hold(nadb_backup_set *set, nadb_store *s,
                             const char *table, nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_backup_set_path(const nadb_backup_set *set, nadb_buf *out,
                             nadb_err *err) NADB_MUST_USE;
/* The caller clears *out, also on error. */
nadb_rc nadb_backup_set_finish(nadb_backup_set *set, backup_manifest *out,
                               nadb_err *err) NADB_MUST_USE;

/* The name of the i-th part, from 0. */
void nadb_backup_part_name(size_t i, char out[32]);
/* Copies the database of such a backup to `path`, which must not exist, and
 * verifies all sums. The caller clears *out, also on error. */
nadb_rc nadb_backup_set_read(const char *folder, const char *id,
                             const char *path, const nadb_stop *stop,
                             backup_manifest *out, nadb_err *err) NADB_MUST_USE;
/* NADB_INVALID if `path`, or a file that would belong to it, exists. */
nadb_rc nadb_backup_set_free_place(const char *path,
                                   nadb_err *err) NADB_MUST_USE;
/* Removes a database file that nadb_backup_set_read() made, and the directory
 * of its stores if that is empty. */
void nadb_backup_set_remove(const char *path);
/* Renames a database file and the directory of its stores within a directory,
 * durably: the file last. */
nadb_rc nadb_backup_set_place(const char *from, const char *to,
                              nadb_err *err) NADB_MUST_USE;

/* Reads every byte of the backup and of those that it needs; calls `report` for
 * each problem. */
nadb_rc nadb_backup_verify(const char *folder, const char *id,
                           const nadb_stop *stop, nadb_report_fn *report,
                           void *ctx, nadb_err *err) NADB_MUST_USE;

/* Removes a backup; *removed is 0 if there is none with the id. NADB_LOCKED if
 * others need it, unless `force`. */
nadb_rc nadb_backup_delete(const char *folder, const char *id, bool force,
                           int64_t *removed, nadb_err *err) NADB_MUST_USE;
/* Removes all backups except the newest `keep_count`, those younger than
 * `keep_days`, and those that these need. */
nadb_rc nadb_backup_prune(const char *folder, double keep_days,
                          int64_t keep_count, int64_t *removed,
                          nadb_err *err) NADB_MUST_USE;

/* A backup in a list. */
typedef struct nadb_backup_entry {
    const char *id;
    const backup_manifest *manifest; /* NULL: damaged */
    const char *problem;             /* NULL: none */
    size_t files;
    const uint64_t *values; /* bytes of its values; NULL: unknown */
} nadb_backup_entry;
typedef nadb_rc nadb_backup_fn(void *ctx, const nadb_backup_entry *entry,
                               nadb_err *err);
/* Calls `each` for every backup of the folder, oldest first. */
nadb_rc nadb_backup_list(const char *folder, nadb_backup_fn *each, void *ctx,
                         nadb_err *err) NADB_MUST_USE;

#endif
