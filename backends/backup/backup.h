/* backup.h - the backend that reads a backup as a table. */
#ifndef NADB_BACKENDS_BACKUP_H
#define NADB_BACKENDS_BACKUP_H

#include "../../core/backend.h"

extern const nadb_backend nadb_backend_backup;

#endif
