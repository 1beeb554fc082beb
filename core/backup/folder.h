/* folder.h - the directory that holds backups, and changes of names in it
 * (docs/format.md, "Backups").
 *
 *   <folder>/.nadb-backups             lock file
 *            <id>/BACKUP, rows         a backup: complete, never changed
 *            <id>/BACKUP, database, store1/BACKUP, store1/rows, ..
 *            .nadb-new-<id>-<random>/  being written
 *            .nadb-old-<id>-<random>/  being removed
 *
 * A backup is written under a hidden name, synced, and renamed; it is removed
 * in the opposite order. So every backup in the list is complete. A writer
 * holds a lock on its BACKUP; a `new` directory without that lock was left by a
 * crash, and the next writer removes it. Only files with the names above are
 * removed, and a directory only if it contains nothing else.
 *
 * The lock file is held briefly: while a name is made, renamed or removed,
 * never while rows are read or written. Reading takes no lock. */
#ifndef NADB_BACKUP_FOLDER_H
#define NADB_BACKUP_FOLDER_H

#include "../util/os.h"
#include "manifest.h"

#define BACKUP_MANIFEST "BACKUP"
#define BACKUP_ROWS "rows"
#define BACKUP_DATABASE_FILE "database"
#define BACKUP_PART_PREFIX "store" /* followed by a number */

typedef struct backup_folder backup_folder;

/* Opens the directory; `make`: makes it if it is missing, but none above it. */
nadb_rc backup_folder_open(const char *path, bool make, backup_folder **out,
                           nadb_err *err) NADB_MUST_USE;
void backup_folder_close(backup_folder *f); /* NULL is fine */
const char *backup_folder_path(const backup_folder *f);

/* Reads the BACKUP of a backup; the caller clears *m, also on error. `part`: of
 * a store in a database's backup; NULL: its own. */
nadb_rc backup_folder_manifest(const backup_folder *f, const char *id,
                               const char *part, backup_manifest *m,
                               nadb_err *err) NADB_MUST_USE;
nadb_rc backup_folder_has(const backup_folder *f, const char *id, bool *has,
                          nadb_err *err) NADB_MUST_USE;
/* Opens a file of a backup for reading. */
nadb_rc backup_folder_file(const backup_folder *f, const char *id,
                           const char *part, const char *name, nadb_file **out,
                           nadb_err *err) NADB_MUST_USE;

/* Calls `each` for every backup. If its BACKUP is damaged, `m` is NULL and
 * `problem` says why. */
typedef nadb_rc backup_each_fn(void *ctx, const char *id,
                               const backup_manifest *m,
                               const nadb_err *problem, nadb_err *err);
nadb_rc backup_folder_each(const backup_folder *f, backup_each_fn *each,
                           void *ctx, nadb_err *err) NADB_MUST_USE;

/* Removes a backup. */
nadb_rc backup_folder_remove(backup_folder *f, const char *id,
                             nadb_err *err) NADB_MUST_USE;
/* Removes what crashes have left. */
nadb_rc backup_folder_clean(backup_folder *f, nadb_err *err) NADB_MUST_USE;
/* Locks the folder against other processes and threads; calls do not nest. */
nadb_rc backup_folder_lock(backup_folder *f, nadb_err *err) NADB_MUST_USE;
void backup_folder_unlock(backup_folder *f);

/* --- a backup being written --- */

typedef struct backup_new backup_new;

/* NADB_INVALID if the id exists. `f` must outlive *out. */
nadb_rc backup_new_begin(backup_folder *f, const char *id, backup_new **out,
                         nadb_err *err) NADB_MUST_USE;
/* Makes a file in it or, if `part` is not NULL, in its directory `part`, which
 * is made if necessary. */
nadb_rc backup_new_file(backup_new *n, const char *part, const char *name,
                        nadb_file **out, nadb_err *err) NADB_MUST_USE;
/* Opens a file in it that other code has made, to read and sync it. */
nadb_rc backup_new_open(backup_new *n, const char *name, nadb_file **out,
                        nadb_err *err) NADB_MUST_USE;
/* Path of its directory. */
const char *backup_new_path(const backup_new *n);
/* Writes the BACKUP of a part, and syncs it. */
nadb_rc backup_new_part(backup_new *n, const char *part, backup_manifest *m,
                        nadb_err *err) NADB_MUST_USE;
/* Writes BACKUP, syncs, and renames to the final name. Fails if the parent has
 * changed. */
nadb_rc backup_new_publish(backup_new *n, backup_manifest *m,
                           nadb_err *err) NADB_MUST_USE;
/* Removes it unless it was published; NULL is fine. */
void backup_new_free(backup_new *n);

#endif
