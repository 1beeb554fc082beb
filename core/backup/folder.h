/* folder.h - the directory that holds backups, and what is done to its names
 * (docs/format.md, "Backups").
 *
 *   <folder>/.nadb-backups             lock file
 *            <id>/BACKUP, rows         a backup: complete, never changed
 *            <id>/BACKUP, database, store1/BACKUP, store1/rows, ..
 *            .nadb-new-<id>-<random>/  being written
 *            .nadb-old-<id>-<random>/  being removed
 *
 * A backup is written under a name that nobody lists, synced, and renamed; it
 * is removed the other way round. So it is listed as long as it is whole. Who
 * writes one holds a lock on its BACKUP; a `new` directory without that lock
 * is what a crash has left, and the next writer removes it. Nothing is removed
 * but files of the names above, and a directory only if nothing else is in it.
 *
 * The lock file is held for moments: while a name is made, renamed or removed,
 * never while rows are read or written. Reading takes no lock. */
#ifndef NADB_BACKUP_FOLDER_H
#define NADB_BACKUP_FOLDER_H

#include "../util/os.h"
#include "manifest.h"

#define BACKUP_MANIFEST "BACKUP"
#define BACKUP_ROWS "rows"
#define BACKUP_DATABASE_FILE "database"
#define BACKUP_PART_PREFIX "store" /* and a number */

typedef struct backup_folder backup_folder;

/* Opens the directory; `make`: makes it, but none of those above it, when it is
 * not there. */
nadb_rc backup_folder_open(const char *path, bool make, backup_folder **out,
                           nadb_err *err) NADB_MUST_USE;
void backup_folder_close(backup_folder *f); /* NULL is fine */
const char *backup_folder_path(const backup_folder *f);

/* Reads the BACKUP of one; the caller clears *m, also on error. `part`: of a
 * store within the backup of a database; NULL: its own. */
nadb_rc backup_folder_manifest(const backup_folder *f, const char *id,
                               const char *part, backup_manifest *m,
                               nadb_err *err) NADB_MUST_USE;
nadb_rc backup_folder_has(const backup_folder *f, const char *id, bool *has,
                          nadb_err *err) NADB_MUST_USE;
/* Opens a file of a backup for reading. */
nadb_rc backup_folder_file(const backup_folder *f, const char *id,
                           const char *part, const char *name, nadb_file **out,
                           nadb_err *err) NADB_MUST_USE;

/* Calls `each` with every backup. One whose BACKUP is damaged has `m` NULL, and
 * what is wrong in `problem`. */
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

/* --- one that is being written --- */

typedef struct backup_new backup_new;

/* NADB_INVALID when there is one of that id. `f` outlives *out. */
nadb_rc backup_new_begin(backup_folder *f, const char *id, backup_new **out,
                         nadb_err *err) NADB_MUST_USE;
/* Makes a file in it or, when that is not NULL, in its directory `part`, which
 * is made. */
nadb_rc backup_new_file(backup_new *n, const char *part, const char *name,
                        nadb_file **out, nadb_err *err) NADB_MUST_USE;
/* Opens a file of it that somebody else has made, to read and sync it. */
nadb_rc backup_new_open(backup_new *n, const char *name, nadb_file **out,
                        nadb_err *err) NADB_MUST_USE;
/* Its directory. */
const char *backup_new_path(const backup_new *n);
/* Writes the BACKUP of a part, and syncs it. */
nadb_rc backup_new_part(backup_new *n, const char *part, backup_manifest *m,
                        nadb_err *err) NADB_MUST_USE;
/* Writes BACKUP, syncs, and gives it its name. The parent, if it has one, must
 * still be what it was. */
nadb_rc backup_new_publish(backup_new *n, backup_manifest *m,
                           nadb_err *err) NADB_MUST_USE;
/* Removes it unless it was published; NULL is fine. */
void backup_new_free(backup_new *n);

#endif
