/* vals.h - files of large values (docs/format.md, "Large values").
 *
 * A value is in one piece, and a fs_ref in a table names it (file, offset,
 * length, crc). Reading through a mapping verifies the crc the first time,
 * which a bit remembers. Values have at least the size of a page, so the first
 * page boundary inside a value belongs to no other value, and its number
 * identifies the bit. */
#ifndef NADB_FS_VALS_H
#define NADB_FS_VALS_H

#include "format.h"

typedef struct fs_val {
    const nadb_os *os;
    char *path;
    nadb_file *file;    /* NULL when mapped */
    const uint8_t *map; /* NULL: not mapped */
    uint64_t number;
    uint64_t size;
    _Atomic uint8_t *known;
} fs_val;

nadb_rc fs_val_open(nadb_home *home, uint64_t number, uint64_t size, bool mmap,
                    fs_val **out, nadb_err *err) NADB_MUST_USE;
void fs_val_close(fs_val *v);
/* *out is in the mapping or in *scratch, which is overwritten. */
nadb_rc fs_val_read(const fs_val *v, const fs_ref *ref, nadb_buf *scratch,
                    nadb_slice *out, nadb_err *err) NADB_MUST_USE;

/* --- writing --- */

typedef struct fs_val_writer {
    const nadb_os *os;
    nadb_file *file;
    uint64_t number;
    uint64_t size;
} fs_val_writer;

/* REQUIRES: `w` is zeroed. */
nadb_rc fs_val_create(fs_val_writer *w, const nadb_home *home, uint64_t number,
                      nadb_err *err) NADB_MUST_USE;
nadb_rc fs_val_append(fs_val_writer *w, nadb_slice value, fs_ref *out,
                      nadb_err *err) NADB_MUST_USE;
/* Syncs and closes. */
nadb_rc fs_val_finish(fs_val_writer *w, nadb_err *err) NADB_MUST_USE;
void fs_val_abandon(fs_val_writer *w); /* closes; may be called twice */

#endif
