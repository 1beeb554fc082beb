/* rows.h - the file of a backup that holds rows (bytes: docs/format.md,
 * "Backups").
 *
 *   head | chunk | chunk | .. | index | end
 *
 * A chunk has some hundred rows in key order. Keys are apart from values, each
 * with a print of its value, so that a later backup can find changes without
 * reading or decompressing values:
 *
 *   chunk head | key, length, print | key, length, print | .. | values
 *
 * Keys are those of a store's entries (core/backend.h), with the keyspace byte;
 * values are rows (core/kv/row.h). A deleted key has no value.
 *
 * Everything read is verified before use: a CRC of each part of a chunk, then
 * bounds, then the order of keys. */
#ifndef NADB_BACKUP_ROWS_H
#define NADB_BACKUP_ROWS_H

#include "../backend.h"
#include "../util/os.h"
#include "../util/sha256.h"

/* Distinguishes values: hash and length. */
typedef struct backup_print {
    uint64_t hash;
    uint64_t bytes;
} backup_print;

static inline backup_print backup_print_of(nadb_slice value) {
    backup_print p = {nadb_hash64(value), value.n};

    return p;
}

/* --- writing --- */

typedef struct backup_writer backup_writer;

typedef struct backup_sum {
    uint64_t bytes; /* of the file */
    uint64_t rows;
    uint64_t deleted;
    uint8_t sha256[NADB_SHA256_BYTES];
} backup_sum;

/* Begins an empty file, which must outlive the writer. `level`: of zlib; 0:
 * values are not changed. The caller owns *out. */
nadb_rc backup_writer_new(nadb_file *f, int level, backup_writer **out,
                          nadb_err *err) NADB_MUST_USE;
void backup_writer_free(backup_writer *w); /* NULL is fine */
/* Adds an entry. REQUIRES: keys ascend. `hash` is backup_print.hash. After an
 * error only backup_writer_free() may be called. */
nadb_rc backup_writer_put(backup_writer *w, nadb_slice key, nadb_slice value,
                          uint64_t hash, nadb_err *err) NADB_MUST_USE;
nadb_rc backup_writer_delete(backup_writer *w, nadb_slice key,
                             nadb_err *err) NADB_MUST_USE;
/* Completes and syncs the file; *out describes it. `values`: bytes of the rows'
 * values, decompressed. */
nadb_rc backup_writer_end(backup_writer *w, uint64_t values, backup_sum *out,
                          nadb_err *err) NADB_MUST_USE;

/* --- reading --- */

/* An open file; several threads may read it, each with its own iterators. */
typedef struct backup_rows backup_rows;

/* Takes over the file, also on error. NADB_CORRUPT if head, index or end is
 * damaged; NADB_CANTOPEN for a newer format. */
nadb_rc backup_rows_open(nadb_file *f, backup_rows **out,
                         nadb_err *err) NADB_MUST_USE;
void backup_rows_close(backup_rows *r); /* NULL is fine */
/* The numbers in the file's end. */
void backup_rows_count(const backup_rows *r, uint64_t *rows, uint64_t *deleted);

/* The number of chunks, and the first key of one. */
size_t backup_rows_chunks(const backup_rows *r);
nadb_slice backup_rows_first(const backup_rows *r, size_t chunk);

/* The bytes of the rows' values, decompressed. Closes the file, of which it
 * reads only the two ends. *known is false if the file does not have the
 * number. */
nadb_rc backup_rows_values(nadb_file *f, uint64_t *out, bool *known,
                           nadb_err *err) NADB_MUST_USE;

/* The SHA-256 of all bytes, which are read again. */
nadb_rc backup_rows_sum(const backup_rows *r, const nadb_stop *stop,
                        char out[NADB_SHA256_HEX], nadb_err *err) NADB_MUST_USE;

/* Walks over the entries; deleted keys are tombstones. The value of an entry is
 * the row or, with `prints`, a struct backup_print. `r` must outlive the
 * iterator; the range is copied. */
nadb_rc backup_rows_iter(backup_rows *r, const nadb_range *range, bool prints,
                         nadb_iter **out, nadb_err *err) NADB_MUST_USE;
/* The print that the file has of the present entry's value. REQUIRES: such an
 * iterator, with an entry. */
backup_print backup_rows_print(const nadb_iter *it);

#endif
