/* control.h - the small mapped file that all processes of a store share (bytes:
 * docs/format.md, "Control").
 *
 * It holds the openers (slots), the commit lock, the current memtables and
 * state of the base (descriptors), the last visible sequence number, and the
 * records that are prepared but not decided (doubts). It is shared memory and
 * is used during one boot of one machine only. Whenever it cannot be trusted it
 * is rebuilt from MANIFEST and logs, so nothing in it has to reach the disk.
 *
 * The visible state is one 64-bit word. Publishing stores that word once:
 *
 *   63                                    8 7              0
 *   | sequence number of the last commit   | descriptor     |
 *
 * An opener is alive while it holds the file lock on its slot's byte. If that
 * lock can be taken on a used slot, the opener has died.
 *
 * Locking: fields marked (C) are written only under the commit lock, those
 * marked (F) only by the holder of the flusher word. All fields may be read at
 * any time. The mapped bytes are not trusted: indexes are checked before
 * use. */
#ifndef NADB_CONTROL_H
#define NADB_CONTROL_H

#include <stdatomic.h>

#include "../backend.h"
#include "../util/sync.h"

#define CONTROL_SLOTS 250u
#define CONTROL_DESCS 64u
#define CONTROL_DOUBTS 128u

/* One opener: an open store object of a process. */
typedef struct control_slot {
    _Atomic uint32_t used;
    _Atomic uint32_t process; /* process id, for messages */
    _Atomic uint64_t pin_gen; /* oldest base generation in use + 1; 0: none */
    _Atomic uint64_t pin_seq; /* oldest snapshot in use */
    uint64_t spare;
} control_slot;

/* One immutable state: the live logs and the state of the base below them. */
typedef struct control_desc {
    /* rises by one with each descriptor; 0 while it is written */
    _Atomic uint64_t generation;
    _Atomic uint64_t first_log; /* the live logs are those that exist .. */
    /* .. from first_log to last_log; last_log is active */
    _Atomic uint64_t last_log;
    _Atomic uint64_t base_generation; /* of MANIFEST */
    /* visible sequence number when it was published */
    _Atomic uint64_t seq;
} control_desc;

enum {
    DOUBT_FREE,
    DOUBT_PREPARED,
    DOUBT_COMMITTING,
    DOUBT_CLAIM,
    /* taken back, but that could not be written into the log yet */
    DOUBT_VOID,
    DOUBT_ORPHAN /* a stamped record without owner: the database file decides */
};

/* A record in the log whose transaction is not decided, or a claim on a key,
 * which has no record yet. */
typedef struct control_doubt {
    _Atomic uint32_t state; /* DOUBT_*; taken under (C), freed by its owner */
    _Atomic uint32_t slot;  /* the owner's slot */
    _Atomic uint64_t log;   /* number of the log; 0 in a claim */
    _Atomic uint64_t off;   /* offset of the record in the log */
    _Atomic uint64_t seq;   /* COMMITTING: the commit's sequence number; CLAIM:
                               hash of the key */
    _Atomic uint64_t room;  /* bytes of the index that are reserved for it */
    _Atomic uint64_t stamp; /* number of the stamp; 0: no stamp */
    _Atomic uint64_t nonce; /* core/engine/stamp.c */
    /* Bit 0: a commit of the sweeper, which changes nothing for readers. Bits
     * 1-63: when it was prepared, monotonic ns. */
    _Atomic uint64_t background;
} control_doubt;

/* The commit of a stamp. */
#define CONTROL_STAMPS 64u
typedef struct control_stamp {
    _Atomic uint64_t number; /* 0: none */
    /* the stamp's number that was committed before it */
    _Atomic uint64_t before;
    _Atomic uint64_t seq;
} control_stamp;

/* The slot of a doubt that has no owner. */
#define CONTROL_NO_SLOT UINT32_MAX

typedef struct control_map {
    _Atomic uint64_t magic; /* "NADBctl1"; 0 while it is being made */
    uint32_t version;
    uint32_t layout; /* word size, byte order, libc, size of this struct */
    uint8_t boot_id[16];
    uint64_t dev, ino; /* of the control file itself */
    uint8_t store_id[NADB_STORE_ID];
    uint64_t head_crc; /* CRC32C of all bytes before it */
    uint8_t pad0[56];

    _Atomic uint64_t visible; /* (C) seq << 8 | descriptor. Its lower half is
                                 the futex of nadb_wait */
    /* valid while sealed: wal_place behind the last record */
    _Atomic uint64_t end;
    uint8_t pad1[48];
    _Atomic uint32_t commit_lock; /* 0, or slot + 1; and LOCK_WAITERS */
    _Atomic uint32_t flusher;     /* 0, or slot + 1 */
    _Atomic uint32_t failed;      /* a sync failed: no process may write */
    /* damage was found: the next sole opener rebuilds */
    _Atomic uint32_t distrust;
    /* futex, changes when a flush is published */
    _Atomic uint32_t flush_events;
    _Atomic uint32_t doubt_events; /* futex, changes when a doubt ends */
    _Atomic uint64_t next_file;    /* next unused file number */
    /* everything before this wal_place is synced */
    _Atomic uint64_t synced;
    _Atomic uint64_t last_flush_ms;
    _Atomic uint64_t counters[8]; /* CONTROL_N_* */
    /* number of sleepers on doubt_events; a hint */
    _Atomic uint32_t doubt_waiters;
    uint32_t pad2;
    /* bit i is set if doubts[i] may be in use */
    _Atomic uint64_t doubt_bits[2];
    _Atomic uint32_t seal; /* CRC32C from pad0 to the slots, without this field;
                              0: not sealed, the store is or was in use */
    _Atomic uint32_t seal_index; /* CRC32C of the live indexes */
    _Atomic uint64_t drained; /* (F) of bases on a server: the wal_place up to
                                 which the base has everything */
    _Atomic uint64_t base_words[NADB_BASE_WORDS]; /* private to the base */

    /* (C) The last committed stamp. */
    _Atomic uint64_t stamp_number, stamp_nonce;
    /* stamp_number when this control was built. Earlier stamps are not in the
     * ring below. */
    _Atomic uint64_t stamp_base;
    /* The store was recovered after a power cut: file and store may each lack
     * their unsynced ends. */
    _Atomic uint64_t tails_lost;
    /* (C) the last commit, not counting the sweeper's */
    _Atomic uint64_t changed_seq;
    /* (C) the place of a stamp is number % CONTROL_STAMPS */
    control_stamp stamps[CONTROL_STAMPS];

    control_desc descs[CONTROL_DESCS];
    control_doubt doubts[CONTROL_DOUBTS];
    control_slot slots[CONTROL_SLOTS];

    /* Fields that the seal does not cover. */
    _Atomic uint32_t waiting; /* a process sleeps on `visible`; a hint */
    uint32_t pad3;
    _Atomic uint64_t keep_ms, keep_bytes; /* how many changes are kept */
} control_map;

enum {
    CONTROL_N_FLUSHES,
    CONTROL_N_COMPACTIONS,
    CONTROL_N_COMMITS,
    CONTROL_N_EXPIRED
};

/* What the last opener left when it closed, perhaps in an earlier boot or in
 * another directory; zeros if unknown. Records up to the wal_place `end` must
 * exist: in the boot that wrote them all records, in a later boot those that
 * were synced. */
typedef struct control_left {
    uint64_t base_generation, last_log, end;
} control_left;

typedef struct control {
    const nadb_os *os;
    nadb_file *file;   /* NULL: in private memory */
    uint64_t dev, ino; /* of the control file */
    control_map *map;
    uint32_t slot; /* our slot */
    bool entered;  /* our slot is marked as used */
    bool private_map;
    /* the control that was found was made in this boot and this place */
    bool ours;
    /* the store's identity, if the control that was found is whole */
    nadb_store_id id;
    control_left left;
    bool was_sealed; /* no other opener, and the seal was right */
    bool abandoned;  /* no other opener and no seal: all openers have died, and
                        what they left must be repaired */
    /* slot + 1 of the dead opener whose commit lock was taken last */
    uint32_t robbed;
    atomic_bool flushing; /* a thread of this process has the flusher word */
    /* serialises threads of this process before the commit lock */
    nadb_mutex queue;
} control;

static inline uint64_t control_seq(uint64_t visible) { return visible >> 8; }

static inline uint32_t control_index(uint64_t visible) {
    return (uint32_t)(visible & (CONTROL_DESCS - 1));
}

/* False: no doubt is in use. */
static inline bool control_has_doubts(const control_map *m) {
    return (atomic_load(&m->doubt_bits[0]) | atomic_load(&m->doubt_bits[1])) !=
           0;
}

/* A place's state is set before its bit, and its bit is cleared before the
 * state becomes DOUBT_FREE; so a bit is never cleared for the next owner of the
 * place. Repair (repair.c) corrects bits that a dead opener left wrong. */
static inline void control_doubt_mark(control_map *m, uint32_t i, bool used) {
    uint64_t bit = (uint64_t)1 << (i % 64);

    if (used)
        atomic_fetch_or(&m->doubt_bits[i / 64], bit);
    else
        atomic_fetch_and(&m->doubt_bits[i / 64], ~bit);
}

/* True for a record that may still be committed, and for a claim. */
static inline bool control_in_doubt(const control_doubt *d) {
    uint32_t state = atomic_load(&d->state);

    return state != DOUBT_FREE && state != DOUBT_VOID;
}

/* The result of control_open(). */
typedef enum control_state {
    CONTROL_TRUSTED, /* attach to it */
    CONTROL_REBUILD, /* the only opener: build it anew */
    CONTROL_REMOVED, /* it was removed meanwhile; nothing is open or held */
    CONTROL_BLANK /* `make` is false, and the file is missing or blank; nothing
                     is open or held */
} control_state;

#define CONTROL_MAGIC "NADBctl1"

/* Opens the file and takes a slot. A file that is not a control is never
 * written to; a missing or blank one is made if `make`. On success the file's
 * open byte is held: the caller finishes opening (rebuilds the state if *state
 * says so) and calls control_opened(). Errors: NADB_CANTOPEN (not ours, newer
 * format, open on another machine), NADB_BUSY (another opener held the open
 * byte for timeout_ms). */
nadb_rc control_open(control *c, const nadb_home *home, bool make,
                     int64_t timeout_ms, control_state *state,
                     nadb_err *err) NADB_MUST_USE;
void control_opened(control *c);
/* *moved: `path` leads to another file now, or to none. */
nadb_rc control_moved(control *c, const char *path, bool *moved,
                      nadb_err *err) NADB_MUST_USE;
/* Makes a control in private memory, for readers that may not write. */
nadb_rc control_open_private(control *c, const nadb_os *os,
                             nadb_err *err) NADB_MUST_USE;
/* Resets the map to that of a store without logs. REQUIRES: CONTROL_REBUILD. */
nadb_rc control_format(control *c, nadb_err *err) NADB_MUST_USE;
/* Writes the store's identity. */
void control_identify(control *c, const nadb_store_id *id);
/* The seal: the last opener writes checksums of what it leaves, so that damage
 * to control and indexes, which have no other checksum, is found at the next
 * open. The first engine_lock() breaks the seal. */
static inline bool control_sealed(const control *c) {
    return atomic_load(&c->map->seal) != 0;
}
static inline void control_unseal(control *c) {
    atomic_store(&c->map->seal, 0);
}
/* True if this is the only opener. New openers are locked out until
 * control_close(). */
bool control_last(control *c);
void control_seal(control *c, uint32_t index_crc, uint64_t end);
/* Takes the open byte of a control, whatever its contents, until the file is
 * closed. NADB_LOCKED if the store is open. */
nadb_rc control_lock_out(const nadb_os *os, nadb_file *f, int64_t timeout_ms,
                         nadb_err *err) NADB_MUST_USE;
/* Frees the slot and unmaps the file. */
void control_close(control *c);
/* In a forked child: closes the descriptor and does nothing else. */
void control_forked(control *c);

/* True if the opener in `slot` is alive; always true for our own. */
bool control_alive(control *c, uint32_t slot);
/* True if another opener is alive. */
bool control_others(control *c);

/* Takes the commit lock. *stolen: its holder died, and the caller must repair
 * what it left. timeout_ms < 0: no limit. */
nadb_rc control_lock(control *c, int64_t timeout_ms, bool *stolen,
                     nadb_err *err) NADB_MUST_USE;
void control_unlock(control *c);
/* Releases a stolen lock whose repair failed here: the lock is again that of
 * the dead holder, so that the next process repairs. */
void control_give_back(control *c);

/* Takes the flusher word; false if a living opener has it. */
bool control_flusher_try(control *c);
void control_flusher_drop(control *c);

/* A consistent copy of the current descriptor, with the word that named it. */
typedef struct control_now {
    uint64_t visible;
    uint64_t generation, first_log, last_log, base_generation, seq;
} control_now;
void control_read(const control *c, control_now *out);
/* Publishes a descriptor with the next generation and the present sequence
 * number. REQUIRES: the commit lock, or the open byte while control is
 * rebuilt. */
void control_publish(control *c, uint64_t first_log, uint64_t last_log,
                     uint64_t base_generation);

/* Tells other processes what this opener may still read: no state of the base
 * before `base_generation`, no snapshot before `seq`. */
void control_pin(control *c, uint64_t base_generation, uint64_t seq);
void control_unpin(control *c);
/* The oldest generation, and the oldest snapshot, of all living openers. */
uint64_t control_oldest_gen(control *c);
uint64_t control_oldest_seq(control *c);

/* The half of `visible` that changes with each commit; a futex has 32 bits. */
static inline uint32_t *control_futex(control_map *map) {
    uint32_t *half = (uint32_t *)(void *)&map->visible;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    half++;
#endif
    return half;
}

#endif
