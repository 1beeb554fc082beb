/* snapshot.h - a moment of a store that is to be written into a backup; for
 * backup.c and set.c. */
#ifndef NADB_BACKUP_SNAPSHOT_H
#define NADB_BACKUP_SNAPSHOT_H

#include "backup.h"
#include "chain.h"

typedef struct backup_snapshot {
    nadb_store *store; /* stays open as long as the snapshot */
    nadb_view *view;
    int64_t now_ms; /* what has expired until then is not in it */
} backup_snapshot;

/* To be dropped, also on error. */
nadb_rc backup_snapshot_take(nadb_store *s, backup_snapshot *out,
                             nadb_err *err) NADB_MUST_USE;
void backup_snapshot_drop(backup_snapshot *s);

/* Writes its rows into the file, or with a chain what differs from that. Fills
 * in all of *out but id, type and parent. */
nadb_rc backup_snapshot_write(const backup_snapshot *s, nadb_file *file,
                              const backup_chain *chain, int level,
                              const nadb_stop *stop, backup_manifest *out,
                              nadb_err *err) NADB_MUST_USE;

/* Begins a backup with the id that is given, or with one by the time. */
nadb_rc backup_begin(backup_folder *f, const char *given, backup_type type,
                     char id[BACKUP_ID_MAX + 1], backup_new **out,
                     nadb_err *err) NADB_MUST_USE;

#endif
