/* snapshot.h - a snapshot of a store for a backup; used by backup.c and
 * set.c. */
#ifndef NADB_BACKUP_SNAPSHOT_H
#define NADB_BACKUP_SNAPSHOT_H

#include "backup.h"
#include "chain.h"

typedef struct backup_snapshot {
    nadb_store *store; /* stays open as long as the snapshot */
    nadb_view *view;
    int64_t now_ms; /* rows that had expired by then are left out */
} backup_snapshot;

/* The caller drops *out, also on error. */
nadb_rc backup_snapshot_take(nadb_store *s, backup_snapshot *out,
                             nadb_err *err) NADB_MUST_USE;
void backup_snapshot_drop(backup_snapshot *s);

/* Writes the snapshot's rows into the file or, with a chain, what differs from
 * it. Sets all of *out but id, type and parent. */
nadb_rc backup_snapshot_write(const backup_snapshot *s, nadb_file *file,
                              const backup_chain *chain, int level,
                              const nadb_stop *stop, backup_manifest *out,
                              nadb_err *err) NADB_MUST_USE;

/* Begins a backup with the given id, or with one made from the time. */
nadb_rc backup_begin(backup_folder *f, const char *given, backup_type type,
                     char id[BACKUP_ID_MAX + 1], backup_new **out,
                     nadb_err *err) NADB_MUST_USE;

#endif
