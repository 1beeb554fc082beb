/* base.h - the store's directory as this process has it open: handles of files,
 * versions, and what the operations on them share.
 *
 * A version is a decoded MANIFEST with a handle for every file it names. Files
 * are immutable, so versions of one base share handles. A handle opens its file
 * at first use (opening a store touches no table). Two threads may do this at
 * once; the slower one closes its own.
 *
 * Locking: `lock` guards the table of handles with their counts, and the list
 * of dropped files; no I/O is done under it. Versions count references
 * atomically. */
#ifndef NADB_FS_BASE_H
#define NADB_FS_BASE_H

#include <stdatomic.h>

#include "../../core/backend.h"
#include "../../core/util/sync.h"
#include "manifest.h"
#include "sst.h"
#include "vals.h"

typedef struct fs_base fs_base;
typedef struct fs_handle fs_handle;

struct fs_handle {
    fs_base *base;
    fs_handle *next; /* in its bucket */
    uint64_t number;
    uint64_t size;
    bool is_val;
    size_t refs;
    _Atomic(void *) opened; /* fs_sst or fs_val; NULL before the first use */
};

enum { FS_HANDLE_BUCKETS = 256 };

/* Sizes of files and of steps of work. They are not part of a format; tests use
 * small ones. */
typedef struct fs_limits {
    uint64_t table_bytes; /* of blocks in a table */
    uint64_t val_bytes;   /* of a .val file */
    uint64_t step_bytes;  /* approximate input of one step of compaction */
    /* smaller tables are rewritten instead of moved, so that they do not stay
     * small */
    uint64_t move_bytes;
} fs_limits;

/* A file that no MANIFEST of `generation` or later names. */
typedef struct fs_dropped {
    uint64_t number;
    uint64_t generation;
    bool is_val;
} fs_dropped;

struct fs_base {
    nadb_base base;
    nadb_base_env env;
    fs_limits limits;
    nadb_mutex lock;
    fs_handle *handles[FS_HANDLE_BUCKETS];
    /* array of fs_dropped; used under the flusher word only */
    nadb_buf dropped;
    /* entries without a row that walks of this process have passed since the
     * last merge into the bottom, again at each walk */
    _Atomic uint64_t passed;
};

typedef struct fs_version {
    nadb_base_version pub;
    fs_base *base;
    atomic_size_t refs;
    fs_manifest m;
    fs_handle **tables; /* as m.tables */
    fs_handle **vals;   /* as m.vals */
} fs_version;

/* --- base.c --- */

nadb_rc fs_base_open(const nadb_base_env *env, nadb_base **out, nadb_err *err);
void fs_base_close(nadb_base *base);
/* Opens the version that MANIFEST describes now. */
nadb_rc fs_version_open(fs_base *b, fs_version **out, nadb_err *err);
/* Makes a version of manifest `m`, which is moved into it (and cleared on
 * error). Every file it names must exist with its size. */
nadb_rc fs_version_make(fs_base *b, fs_manifest *m, fs_version **out,
                        nadb_err *err);
void fs_version_ref(nadb_base_version *v);
void fs_version_unref(nadb_base_version *v);
/* True if a version of this process that is in use names the file. */
bool fs_handle_live(fs_base *b, uint64_t number, bool is_val);

nadb_rc fs_handle_sst(fs_handle *h, fs_sst **out, nadb_err *err);
nadb_rc fs_handle_val(fs_handle *h, fs_val **out, nadb_err *err);

/* --- get.c --- */

nadb_rc fs_get(nadb_base_version *v, nadb_slice key, nadb_buf *scratch,
               nadb_entry *out, bool *found, nadb_err *err);
/* False if certainly no table has the key. */
nadb_rc fs_maybe(fs_version *v, nadb_slice key, bool *maybe, nadb_err *err);
/* Size of the key's newest entry, including a large value; 0: there is none. */
nadb_rc fs_old_bytes(fs_version *v, nadb_slice key, nadb_buf *scratch,
                     double *bytes, nadb_err *err);
/* The first table of the run whose last key is >= key; run->count if there is
 * none. */
size_t fs_run_find(const fs_version *v, const fs_run *run, nadb_slice key);
/* Reads a large value; *id: id of its bytes. */
nadb_rc fs_resolve(fs_version *v, nadb_slice ref, nadb_buf *scratch,
                   nadb_slice *out, uint64_t *id, nadb_err *err);

/* True if a clear hides an entry of table `s`. Entries at or below the clear
 * that was in force when the table was written are not in it. A later clear
 * came after all entries whose sequence number was dropped (0), so it hides
 * these, too. */
static inline bool fs_hidden(const fs_version *v, const fs_sst *s,
                             uint64_t seq) {
    return v->m.clear_seq > s->props.clear_seq && seq <= v->m.clear_seq;
}

static inline uint64_t fs_id(uint64_t file, uint64_t at) {
    return file << 36 ^ at;
}

#endif
