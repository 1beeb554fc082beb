/* engine.h - shared by engine.c and index.c. */
#ifndef NADB_BACKENDS_BACKUP_ENGINE_H
#define NADB_BACKENDS_BACKUP_ENGINE_H

#include "../../core/backup/chain.h"
#include "backup.h"

typedef struct backup_engine {
    nadb_engine base;
    char *dir, *id;
    backup_folder *folder;
    backup_chain *chain;
} backup_engine;

/* Walks over the number of rows of each tag, as entries of NADB_KS_COUNT in the
 * range. Reads all rows when it is called. */
nadb_rc backup_counts(const backup_engine *e, const nadb_range *range,
                      nadb_iter **out, nadb_err *err) NADB_MUST_USE;
/* Walks over rows that expire, as entries of NADB_KS_EXPIRY in the range, in
 * the order of the rows' keys; it cannot seek. */
nadb_rc backup_expiries(const backup_engine *e, const nadb_range *range,
                        nadb_iter **out, nadb_err *err) NADB_MUST_USE;

#endif
