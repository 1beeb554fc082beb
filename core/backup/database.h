/* database.h - the parts of a backup of a database (set.c): its file, and a
 * backup of each store. Reading and checking them needs no store. */
#ifndef NADB_BACKUP_DATABASE_H
#define NADB_BACKUP_DATABASE_H

#include "backup.h"
#include "folder.h"

/* Reads a file to its end and returns its sum and size; with `to`, copies
 * it. */
nadb_rc backup_sum_file(nadb_file *f, nadb_file *to, const nadb_stop *stop,
                        uint64_t *bytes, char hex[NADB_SHA256_HEX],
                        nadb_err *err) NADB_MUST_USE;
/* Checks that each part's BACKUP is the one that *all names. */
nadb_rc backup_database_check_parts(const backup_folder *f, const char *id,
                                    const backup_manifest *all,
                                    nadb_err *err) NADB_MUST_USE;
/* Verifies the sum of the database's file in *m; with `to`, copies it. */
nadb_rc backup_database_read(const backup_folder *f, const char *id,
                             nadb_file *to, const nadb_stop *stop,
                             const backup_manifest *m,
                             nadb_err *err) NADB_MUST_USE;
/* Makes both checks. */
nadb_rc backup_database_verify(const backup_folder *f, const char *id,
                               const nadb_stop *stop, const backup_manifest *m,
                               nadb_err *err) NADB_MUST_USE;

#endif
