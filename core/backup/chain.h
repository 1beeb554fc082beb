/* chain.h - a chain, a backup and those it depends on, read as one: the
 * contents of the store when the newest was made.
 *
 * An incremental backup walks over a view and the parent's chain side by side
 * in key order (compare.c). A key that only the chain has was deleted; a row is
 * unchanged if hash and length of its bytes are equal. Files keep keys and
 * hashes apart from values, so values of the chain are neither read nor
 * decompressed. Sequence numbers are not compared, because a store may have
 * been restored, cleared or copied since; tombstones are not used, because
 * compaction drops them. */
#ifndef NADB_BACKUP_CHAIN_H
#define NADB_BACKUP_CHAIN_H

#include "folder.h"
#include "rows.h"

typedef struct backup_chain backup_chain;

typedef struct backup_link {
    backup_manifest manifest;
    backup_rows *rows;
} backup_link;

/* Opens the backup `id` and its parents up to a full one. Checks that each
 * parent is the one from which its child was made, and that files have the
 * right sizes; sums are not verified. `part`: the store in a database's backup,
 * or NULL. */
nadb_rc backup_chain_open(const backup_folder *f, const char *id,
                          const char *part, backup_chain **out,
                          nadb_err *err) NADB_MUST_USE;
void backup_chain_close(backup_chain *c); /* NULL is fine */

/* Number of links. Link 0 is the backup itself, the last one is full. */
size_t backup_chain_links(const backup_chain *c);
const backup_link *backup_chain_link(const backup_chain *c, size_t i);

/* Walks over the rows as backup_rows_iter() does; with `tombstones` also over
 * keys that the chain deletes. */
nadb_rc backup_chain_iter(const backup_chain *c, const nadb_range *range,
                          bool prints, bool tombstones, nadb_iter **out,
                          nadb_err *err) NADB_MUST_USE;

#endif
