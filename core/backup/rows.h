/* rows.h - the file of a backup that holds rows (bytes: docs/format.md,
 * "Backups").
 *
 *   head | chunk | chunk | .. | index | end
 *
 * A chunk has some hundred rows in the order of their keys. The keys stand
 * apart from the values, each with a print of its value, so that a later
 * backup can find out what has changed without reading, or decompressing, a
 * value:
 *
 *   chunk head | key, length, print | key, length, print | .. | values
 *
 * Keys are those of entries of a store (core/backend.h), the keyspace byte
 * included; values are rows (core/kv/row.h). A deleted key has no value.
 *
 * All that is read is checked before it is used: a CRC over each part of a
 * chunk, then bounds, then the order of keys. */
#ifndef NADB_BACKUP_ROWS_H
#define NADB_BACKUP_ROWS_H

#include "../backend.h"
#include "../util/os.h"
#include "../util/sha256.h"

/* What tells two values apart: their hash and length. */
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

/* Begins an empty file, which outlives the writer. `level`: of zlib, 0 to
 * leave values as they are. The caller owns *out. */
nadb_rc backup_writer_new(nadb_file *f, int level, backup_writer **out,
                          nadb_err *err) NADB_MUST_USE;
void backup_writer_free(backup_writer *w); /* NULL is fine */
/* Keys come in ascending order, each once. `hash` is backup_print.hash. After
 * an error the writer may read `value` until it is freed. */
nadb_rc backup_writer_put(backup_writer *w, nadb_slice key, nadb_slice value,
                          uint64_t hash, nadb_err *err) NADB_MUST_USE;
nadb_rc backup_writer_delete(backup_writer *w, nadb_slice key,
                             nadb_err *err) NADB_MUST_USE;
/* Completes the file, syncs it, and tells what is in it. `values`: bytes of the
 * values of its rows, decompressed. */
nadb_rc backup_writer_end(backup_writer *w, uint64_t values, backup_sum *out,
                          nadb_err *err) NADB_MUST_USE;

/* --- reading --- */

/* An open file; may be read by several threads, each with iterators of its
 * own. */
typedef struct backup_rows backup_rows;

/* Takes the file over, also on error. NADB_CORRUPT when head, index or end are
 * damaged; NADB_CANTOPEN when the format is newer than ours. */
nadb_rc backup_rows_open(nadb_file *f, backup_rows **out,
                         nadb_err *err) NADB_MUST_USE;
void backup_rows_close(backup_rows *r); /* NULL is fine */
/* What the file says of itself. */
void backup_rows_count(const backup_rows *r, uint64_t *rows, uint64_t *deleted);

/* The bytes of the values of its rows, decompressed: reads the two ends of the
 * file alone, which it takes over. *known is false for a file that does not
 * tell them. */
nadb_rc backup_rows_values(nadb_file *f, uint64_t *out, bool *known,
                           nadb_err *err) NADB_MUST_USE;

/* The SHA-256 of all its bytes, read anew. */
nadb_rc backup_rows_sum(const backup_rows *r, const nadb_stop *stop,
                        char out[NADB_SHA256_HEX], nadb_err *err) NADB_MUST_USE;

/* Walks over the entries; deleted keys are tombstones. The value of an entry is
 * the row or, with `prints`, a struct backup_print. `r` outlives the iterator,
 * the range is copied. */
nadb_rc backup_rows_iter(backup_rows *r, const nadb_range *range, bool prints,
                         nadb_iter **out, nadb_err *err) NADB_MUST_USE;

#endif
