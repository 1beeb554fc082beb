/* wal.h - write-ahead log (bytes: docs/format.md, "Log").
 *
 *   header | record | record | ...
 *
 *   record  crc u32, state u32, offset u64, synced u64,
 *           length u64, count u32, flags u32, decided u64,
 *           with WAL_STAMP: number u64, nonce u64; then `count` entries
 *   entry   flags u8, varint key length, varint value length, key, value
 *
 * A record is one transaction and is valid as a whole or not at all: its CRC
 * covers everything but crc and state. The CRC is seeded with the log's random
 * salt, so that bytes of a user's value cannot pass for a record. `state` is
 * changed later: WAL_TAKEN_BACK makes the record void.
 *
 * The first bad record ends the log: it is the torn end that a crash leaves. If
 * a later record says (`synced`, a wal_place) that the bad one had been synced,
 * it is damage instead.
 *
 * Locking: no own lock. Appending REQUIRES the commit lock. Reading needs no
 * lock below a tail that was read with acquire order. */
#ifndef NADB_WAL_H
#define NADB_WAL_H

#include "../backend.h"

#define WAL_MAGIC "NADBlog1"
#define WAL_HEADER 104u /* bytes before the first record */
#define WAL_RECORD 48u  /* bytes before a record's stamp and entries */
#define WAL_STAMP_BYTES 16u
#define WAL_ENTRY_MAX 21u /* largest size of an entry without key and value */
#define WAL_TAKEN_BACK 0xb5a4c39du

enum {
    WAL_CLEAR = 1, /* of a record: it removes everything before it */
    WAL_STAMP = 2  /* of a record: it has a stamp, the database file decides */
};

typedef struct wal {
    const nadb_os *os;
    nadb_file *file;
    /* `capacity` bytes; those below the tail exist in the file */
    const uint8_t *map;
    uint64_t number;
    uint64_t capacity; /* no record goes beyond it */
    uint64_t salt;
    uint32_t seed;     /* seed of the records' checksums: CRC32C of the salt */
    uint64_t base_seq; /* all records were committed after it */
    uint64_t prev_log; /* the log before this one */
    uint64_t prev_end; /* where that one ended when this one was made */
    /* stamps up to this one were decided when the log was made */
    uint64_t decided;
    /* records of the log before this one behind prev_end are void */
    bool cut;
} wal;

typedef struct wal_record {
    uint64_t off;
    uint64_t length; /* header and padding included */
    /* everything before this wal_place was synced when it was written */
    uint64_t synced;
    /* stamps up to this one were decided when it was written */
    uint64_t decided;
    nadb_stamp stamp; /* number 0: none */
    uint32_t count;
    uint32_t flags;
    bool taken_back;
    nadb_slice entries;
} wal_record;

typedef struct wal_entry {
    nadb_slice key;
    nadb_slice value;
    bool tombstone;
    uint64_t off; /* offset of the entry in the log */
} wal_entry;

/* The parameters of a new log. */
typedef struct wal_birth {
    uint64_t number, capacity, base_seq, prev_log, prev_end, decided;
    bool cut;
    bool keeps; /* the index lists commits (memtable_commits()) */
} wal_birth;

/* Makes a log. Its name is durable once its directory is synced. */
nadb_rc wal_create(wal *w, const nadb_home *home, const wal_birth *birth,
                   nadb_err *err) NADB_MUST_USE;
/* Opens a log. *valid is false if its header never reached the disk.
 * NADB_CORRUPT if the header is damaged or belongs to another store. */
nadb_rc wal_open(wal *w, nadb_home *home, uint64_t number, bool read_only,
                 bool *valid, nadb_err *err) NADB_MUST_USE;
/* Opens a log with a damaged header, whose records have this salt. *valid: it
 * has at least one such record. */
nadb_rc wal_open_damaged(wal *w, const nadb_home *home, uint64_t number,
                         uint64_t salt, bool *valid,
                         nadb_err *err) NADB_MUST_USE;
/* The salt in a damaged header. */
nadb_rc wal_salt_left(const nadb_home *home, uint64_t number, uint64_t *salt,
                      nadb_err *err) NADB_MUST_USE;
void wal_close(wal *w); /* a zeroed one is fine */

/* A position in the sequence of all logs, as one word; later ones are greater.
 *
 *   63             36 35             0
 *   | number of log  | offset in it   | */
#define WAL_OFF_BITS 36
static inline uint64_t wal_place(uint64_t number, uint64_t off) {
    return number << WAL_OFF_BITS | off;
}

/* An upper bound of the size of a record with `count` changes, whose keys and
 * values have `bytes` bytes. */
uint64_t wal_record_bound(uint64_t count, uint64_t bytes);

/* Writes a record at `off`, in one system call unless it is large. *length: its
 * size. REQUIRES: the space up to off + wal_record_bound() is reserved. */
typedef struct wal_note {
    /* everything before this wal_place is known to be synced */
    uint64_t synced;
    uint64_t decided; /* stamps up to this one are decided */
    nadb_stamp stamp; /* number 0: none */
    bool clear;
} wal_note;
nadb_rc wal_append(wal *w, uint64_t off, nadb_iter *changes,
                   const wal_note *note, nadb_buf *scratch, uint64_t *length,
                   uint32_t *count, nadb_err *err) NADB_MUST_USE;
nadb_rc wal_take_back(wal *w, uint64_t off, nadb_err *err) NADB_MUST_USE;

/* Fails with NADB_CORRUPT: no valid record begins at `off`. */
nadb_rc wal_no_record(const wal *w, uint64_t off, nadb_err *err);
/* Reads the record at `off`, which must end at `end` at most; *valid: there is
 * one. `check`: verify its CRC. */
void wal_record_at(const wal *w, uint64_t off, uint64_t end, bool check,
                   wal_record *out, bool *valid);
/* The offset of the first good record behind a bad one at `off`; `end` if there
 * is none. */
uint64_t wal_next_good(const wal *w, uint64_t off, uint64_t end);
/* The offset of the first entry of the record at `off`, by its flags. */
uint64_t wal_entries_at(const wal *w, uint64_t off);
/* Takes the next entry from r->entries; false at the end or if it is bad. */
bool wal_entry_next(const wal *w, wal_record *r, wal_entry *out);
/* Decodes the entry at `off`, which must lie below `end`. */
static inline bool wal_entry_at(const wal *w, uint64_t off, uint64_t end,
                                wal_entry *out);

/* --- inline: the hot part of a read --- */

static inline bool wal_varint(const uint8_t **p, const uint8_t *end,
                              uint64_t *out) {
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 63 && *p < end; shift += 7) {
        uint8_t b = *(*p)++;

        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

static inline bool wal_entry_at(const wal *w, uint64_t off, uint64_t end,
                                wal_entry *out) {
    const uint8_t *p, *stop;
    uint64_t klen = 0, vlen = 0;

    if (end > w->capacity || off >= end) return false;
    p = w->map + off;
    stop = w->map + end;
    out->off = off;
    out->tombstone = (*p++ & 1) != 0;
    if (!wal_varint(&p, stop, &klen) || !wal_varint(&p, stop, &vlen))
        return false;
    if (klen > (uint64_t)(stop - p) || vlen > (uint64_t)(stop - p) - klen)
        return false;
    out->key = nadb_slice_of(p, (size_t)klen);
    out->value = nadb_slice_of(p + klen, (size_t)vlen);
    return true;
}

#endif
