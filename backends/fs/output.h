/* output.h - what a flush or a compaction writes, and how it becomes the
 * state of the base.
 *
 *     init, add .. add, finish     tables and values, synced with directory
 *     edit_begin .. edit_end       a manifest that names them
 *     install                      MANIFEST; from here on it counts
 *
 * Until install succeeds nothing has happened: clear() unlinks every file
 * that was made. */
#ifndef NADB_FS_OUTPUT_H
#define NADB_FS_OUTPUT_H

#include "base.h"
#include "sst_write.h"

typedef struct fs_output {
    fs_base *b;
    uint64_t clear_seq;  /* of the state that will name the tables */
    uint64_t oldest_seq; /* what is below it is written as 0 */
    double shadow;       /* of the open table: see fs_meta */
    uint64_t min_seq;    /* of inputs that have forgotten theirs: */
    uint64_t max_seq;    /* they hold for every table */
    fs_writer *w;        /* the open table */
    fs_val_writer val;   /* the open .val file, if val.file */
    nadb_buf metas;      /* fs_meta each, keys in `own.arena` */
    nadb_buf vals;       /* fs_val_meta each */
    nadb_buf made;       /* fs_dropped each: every file */
    fs_manifest own;     /* only its arena is used */
    bool installed;
} fs_output;

void fs_output_init(fs_output *o, fs_base *b, uint64_t clear_seq);
/* Keys rise. A value over FS_VAL_THRESHOLD goes to a .val file. */
nadb_rc fs_output_add(fs_output *o, nadb_slice key, const fs_entry *e,
                      nadb_err *err) NADB_MUST_USE;
/* Bytes written so far, about. */
nadb_rc fs_output_finish(fs_output *o, nadb_err *err) NADB_MUST_USE;
/* Frees; removes the files unless they were installed. */
void fs_output_clear(fs_output *o);

static inline size_t fs_output_tables(const fs_output *o) {
    return o->metas.n / sizeof(fs_meta);
}

static inline const fs_meta *fs_output_table(const fs_output *o, size_t i) {
    return (const fs_meta *)(const void *)o->metas.p + i;
}

/* --- edit.c --- */

/* Room for what `old` has and for `more` runs and tables. */
nadb_rc fs_edit_begin(fs_manifest *m, const fs_manifest *old, size_t more,
                      nadb_err *err) NADB_MUST_USE;
void fs_edit_run(fs_manifest *m, unsigned flags); /* begins the next one */
/* Puts a copy of `t` into the present run, in order of keys. */
nadb_rc fs_edit_table(fs_manifest *m, const fs_meta *t,
                      nadb_err *err) NADB_MUST_USE;
/* Leaves out empty runs and tables that are cleared, lists the values. */
nadb_rc fs_edit_end(fs_manifest *m, const fs_manifest *old, const fs_output *o,
                    nadb_err *err) NADB_MUST_USE;
/* Makes `m` (moved) the state of the base. */
nadb_rc fs_install(fs_output *o, const fs_version *old, fs_manifest *m,
                   nadb_base_version **out, nadb_err *err) NADB_MUST_USE;

/* unused.c: remembers which files of `old` the state `fresh` has dropped. */
void fs_note_dropped(fs_base *b, const fs_manifest *old,
                     const fs_manifest *fresh);

#endif
