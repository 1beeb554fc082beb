/* chain.h - a backup and those it depends on, read as one: what the store had
 * when the newest was made.
 *
 * An incremental backup walks over a view and the parent's chain side by side,
 * in the order of keys: a key that only the chain has is deleted; a row is the
 * same when hash and length of its bytes are. Keys and hashes stand apart from
 * the values in the files, so the chain's values are neither read nor
 * decompressed. Sequence numbers are not compared, because they say nothing
 * about a store that was restored, cleared or copied since; tombstones are not,
 * because compaction drops them. */
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
 * parent is the very one that its child was made from, and that files have the
 * sizes that they should have; their sums are not checked. `part`: the store
 * of a database's backup, or NULL. */
nadb_rc backup_chain_open(const backup_folder *f, const char *id,
                          const char *part, backup_chain **out,
                          nadb_err *err) NADB_MUST_USE;
void backup_chain_close(backup_chain *c); /* NULL is fine */

/* The links: the 0th is the backup itself, the last one is full. */
size_t backup_chain_links(const backup_chain *c);
const backup_link *backup_chain_link(const backup_chain *c, size_t i);

/* Walks over the rows as backup_rows_iter() does; keys that the chain deletes
 * come as tombstones if asked. */
nadb_rc backup_chain_iter(const backup_chain *c, const nadb_range *range,
                          bool prints, bool tombstones, nadb_iter **out,
                          nadb_err *err) NADB_MUST_USE;

#endif
