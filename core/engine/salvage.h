/* salvage.h - reads a damaged store and puts a sound one into its place, for
 * core/repair.c.
 *
 *   <namespace>                 the store
 *   <namespace>%repair          the new one while it is being made
 *   <namespace>%repaired        the new one, complete, before the exchange
 *   <namespace>%damaged-N       the files of the old one; they stay
 *
 * No namespace maps to such a name (core/names.h). A wreck holds the open byte
 * of the damaged store, so that it is not opened meanwhile. */
#ifndef NADB_ENGINE_SALVAGE_H
#define NADB_ENGINE_SALVAGE_H

#include "engine.h"

typedef struct wreck wreck; /* in salvage.c */

/* Opens a damaged store. NADB_LOCKED if the store is open, NADB_CANTOPEN if
 * there is none. *finished: an earlier repair had come to its last step, which
 * is done now; *out is then NULL. */
nadb_rc wreck_open(const nadb_options *options, const nadb_base_ops *base,
                   wreck **out, bool *finished, nadb_err *err) NADB_MUST_USE;
void wreck_close(wreck *w); /* NULL is fine */

/* Removes the rest of an earlier repair. *folder: name of the folder for the
 * new store. */
nadb_rc wreck_prepare(wreck *w, const char **folder,
                      nadb_err *err) NADB_MUST_USE;
/* Reads all readable rows, oldest changes first. `stamp`: number of the stamp
 * in the database file that the store belongs to; 0: none. */
nadb_rc wreck_read(wreck *w, uint64_t stamp, const nadb_salvage *to,
                   nadb_err *err) NADB_MUST_USE;
/* Puts the new store into the place of the old one. *aside: path of the old
 * files, allocated. REQUIRES: the new store is complete and closed. */
nadb_rc wreck_replace(wreck *w, char **aside, nadb_err *err) NADB_MUST_USE;

/* --- memtable_salvage.c --- */

/* An entry of a log that an index confirms by its checksum. */
typedef struct memtable_vouched {
    uint64_t off; /* of the entry */
    uint64_t end;
} memtable_vouched;

/* A key in the index whose bytes are in the log. */
typedef struct memtable_known {
    uint64_t key_off;
    uint32_t hash; /* upper half of nadb_hash64() */
} memtable_known;

/* Appends to *vouched, by offset, every entry of the log that the index of its
 * number confirms as unchanged since its commit; and to *known what the index
 * knows of keys whose bytes are damaged. A damaged index, or that of another
 * log, confirms fewer entries or none. */
nadb_rc memtable_vouch(const wal *w, const nadb_home *home, nadb_buf *vouched,
                       nadb_buf *known, nadb_err *err) NADB_MUST_USE;
/* The salt of the log that the index belongs to; false if the index has
 * none. */
bool memtable_index_salt(const nadb_home *home, uint64_t number,
                         uint64_t *salt);

#endif
