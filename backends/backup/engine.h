/* engine.h - what engine.c and index.c share. */
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

/* Walks over how many rows have each tag, as entries of NADB_KS_COUNT within
 * the range, by reading all rows now. */
nadb_rc backup_counts(const backup_engine *e, const nadb_range *range,
                      nadb_iter **out, nadb_err *err) NADB_MUST_USE;
/* Walks over rows that expire, as entries of NADB_KS_EXPIRY within the range,
 * in the order of their keys; it cannot seek. */
nadb_rc backup_expiries(const backup_engine *e, const nadb_range *range,
                        nadb_iter **out, nadb_err *err) NADB_MUST_USE;

#endif
