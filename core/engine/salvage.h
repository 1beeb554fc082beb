/* salvage.h - a store that is damaged: what can be read of it, and putting a
 * sound one in its place. For core/repair.c.
 *
 *   <namespace>                 the store
 *   <namespace>%repair          the new one while it is being made
 *   <namespace>%repaired        while it waits to take the place
 *   <namespace>%damaged-N       the files of the old one, for good
 *
 * No namespace has a name like these. A wreck holds the store's open byte, so
 * that nobody opens the store while it is repaired. */
#ifndef NADB_ENGINE_SALVAGE_H
#define NADB_ENGINE_SALVAGE_H

#include "engine.h"

typedef struct wreck wreck; /* in salvage.c */

/* NADB_LOCKED when somebody has the store open; NADB_CANTOPEN when there is
 * none. *finished: an earlier repair had come to its last step, which has been
 * done now; then *out is NULL. */
nadb_rc wreck_open(const nadb_options *options, const nadb_base_ops *base,
                   wreck **out, bool *finished, nadb_err *err) NADB_MUST_USE;
void wreck_close(wreck *w); /* NULL is fine */

/* Removes what an earlier repair has left unfinished, and gives the name of the
 * folder for the new store. */
nadb_rc wreck_prepare(wreck *w, const char **folder,
                      nadb_err *err) NADB_MUST_USE;
/* Reads all rows that can be read, oldest changes first. `stamp`: of the
 * database file that the store belongs to; 0: none. */
nadb_rc wreck_read(wreck *w, uint64_t stamp, const nadb_salvage *to,
                   nadb_err *err) NADB_MUST_USE;
/* The new store is closed and whole: it takes the place. *aside is the path of
 * the old one's files, in fresh memory. */
nadb_rc wreck_replace(wreck *w, char **aside, nadb_err *err) NADB_MUST_USE;

/* --- memtable_salvage.c --- */

/* An entry of a log that an index vouches for by its checksum. */
typedef struct memtable_vouched {
    uint64_t off; /* of the entry */
    uint64_t end;
} memtable_vouched;

/* A key that the index knows, whose bytes are in the log. */
typedef struct memtable_known {
    uint64_t key_off;
    uint32_t hash; /* upper half of nadb_hash64() */
} memtable_known;

/* Appends, by offset, every entry of the log that the index of its number knows
 * and whose bytes are as they were when it was committed; and of the keys that
 * it knows, what is left where their bytes are damaged. An index that is
 * damaged, or another log's, knows fewer, or none. */
nadb_rc memtable_vouch(const wal *w, const nadb_home *home, nadb_buf *vouched,
                       nadb_buf *known, nadb_err *err) NADB_MUST_USE;
/* The salt of the log that the index is of; false when it does not say. */
bool memtable_index_salt(const nadb_home *home, uint64_t number,
                         uint64_t *salt);

#endif
