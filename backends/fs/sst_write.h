/* sst_write.h - writes one table (docs/format.md, "Tables").
 *
 * Keys are added in strictly rising order, then the table is finished: it is
 * synced (its directory is not) and described by a fs_meta. A writer that is
 * freed unfinished leaves a file, which the caller unlinks. Memory: places and
 * separators of the table, about 20 bytes per entry. */
#ifndef NADB_FS_SST_WRITE_H
#define NADB_FS_SST_WRITE_H

#include "manifest.h"

typedef struct fs_writer fs_writer; /* in sst_write.c */

nadb_rc fs_writer_open(const nadb_home *home, uint64_t number,
                       uint64_t clear_seq, fs_writer **out,
                       nadb_err *err) NADB_MUST_USE;
/* Adds an entry; NADB_CORRUPT if the key is not above the last one. `true_seq`
 * goes into the table's range of sequence numbers, `seq` is stored. For FS_REF
 * `value` is the encoded reference. */
nadb_rc fs_writer_add(fs_writer *w, nadb_slice key, const fs_entry *e,
                      uint64_t true_seq, nadb_err *err) NADB_MUST_USE;
/* True if the table has `bytes` of blocks or no room for more. */
bool fs_writer_full(const fs_writer *w, uint64_t bytes);
/* *out borrows from the writer; shadow and gone are 0. */
nadb_rc fs_writer_finish(fs_writer *w, fs_meta *out,
                         nadb_err *err) NADB_MUST_USE;
/* Extends the table's range of sequence numbers by that of inputs whose entries
 * have dropped theirs. */
void fs_writer_seqs(fs_writer *w, uint64_t min_seq, uint64_t max_seq);
void fs_writer_free(fs_writer *w);

/* dir/NNNNNN.kind for messages, allocated; NULL if out of memory. */
char *fs_file_path(const nadb_home *home, uint64_t number, const char *kind);
/* Opens a file for reading; it must have the `size` of MANIFEST. `path` is for
 * messages. */
nadb_rc fs_file_open(const nadb_home *home, uint64_t number, const char *kind,
                     const char *path, uint64_t size, nadb_file **out,
                     nadb_err *err) NADB_MUST_USE;
/* Fails with NADB_CANTOPEN: the file has another format. */
nadb_rc fs_file_format(const char *path, uint32_t format, nadb_err *err);
nadb_rc fs_file_missing(const nadb_home *home, const char *path, nadb_err *err);
nadb_rc fs_file_resized(const char *path, uint64_t size, uint64_t named,
                        nadb_err *err);

#endif
