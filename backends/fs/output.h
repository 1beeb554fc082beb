/* output.h - what a flush or compaction writes, and how it becomes the state of
 * the base.
 *
 *     init, add .. add, finish     tables and values, synced with directory
 *     edit_begin .. edit_end       a manifest that names them
 *     install                      MANIFEST is replaced: the state is changed
 *
 * If install does not succeed, clear() unlinks every file that was made. */
#ifndef NADB_FS_OUTPUT_H
#define NADB_FS_OUTPUT_H

#include "base.h"
#include "sst_write.h"

typedef struct fs_output {
    fs_base *b;
    uint64_t clear_seq;  /* of the state that names the tables */
    uint64_t oldest_seq; /* lower sequence numbers are written as 0 */
    double shadow;       /* of the open table: fs_meta.shadow */
    /* range of sequence numbers in inputs that dropped theirs; */
    uint64_t min_seq;
    uint64_t max_seq;  /* it applies to every table */
    fs_writer *w;      /* the open table */
    fs_val_writer val; /* the open .val file, if val.file is set */
    nadb_buf metas;    /* array of fs_meta, keys in `own.arena` */
    nadb_buf vals;     /* array of fs_val_meta */
    nadb_buf made;     /* array of fs_dropped: every file */
    fs_manifest own;   /* only its arena is used */
    bool installed;
} fs_output;

void fs_output_init(fs_output *o, fs_base *b, uint64_t clear_seq);
/* Adds an entry. A value above FS_VAL_THRESHOLD goes to a .val file. REQUIRES:
 * keys rise. */
nadb_rc fs_output_add(fs_output *o, nadb_slice key, const fs_entry *e,
                      nadb_err *err) NADB_MUST_USE;
/* Approximate number of bytes written so far. */
nadb_rc fs_output_finish(fs_output *o, nadb_err *err) NADB_MUST_USE;
/* Frees; unlinks the files unless they were installed. */
void fs_output_clear(fs_output *o);

static inline size_t fs_output_tables(const fs_output *o) {
    return o->metas.n / sizeof(fs_meta);
}

static inline const fs_meta *fs_output_table(const fs_output *o, size_t i) {
    return (const fs_meta *)(const void *)o->metas.p + i;
}

/* --- edit.c --- */

/* Begins a manifest with room for the contents of `old` and for `more` runs and
 * tables. */
nadb_rc fs_edit_begin(fs_manifest *m, const fs_manifest *old, size_t more,
                      nadb_err *err) NADB_MUST_USE;
void fs_edit_run(fs_manifest *m, unsigned flags); /* begins the next run */
/* Adds a copy of `t` to the present run. REQUIRES: in key order. */
nadb_rc fs_edit_table(fs_manifest *m, const fs_meta *t,
                      nadb_err *err) NADB_MUST_USE;
/* Removes empty runs and cleared tables, and lists the .val files. */
nadb_rc fs_edit_end(fs_manifest *m, const fs_manifest *old, const fs_output *o,
                    nadb_err *err) NADB_MUST_USE;
/* Makes `m` (which is moved) the state of the base. */
nadb_rc fs_install(fs_output *o, const fs_version *old, fs_manifest *m,
                   nadb_base_version **out, nadb_err *err) NADB_MUST_USE;

/* unused.c: notes the files of `old` that `fresh` no longer names. */
void fs_note_dropped(fs_base *b, const fs_manifest *old,
                     const fs_manifest *fresh);

#endif
