/* control.h - the small mapped file through which the processes that have a
 * store open agree on its state (bytes: docs/format.md, "Control").
 *
 * It holds: who has the store open (slots), the commit lock, which memtables
 * and which state of the base are current, the highest visible sequence
 * number, and the records that are prepared but not yet committed ("doubts").
 * It is memory that processes share while one boot of one machine lasts; it is
 * rebuilt from MANIFEST and logs whenever it cannot be trusted, so nothing in
 * it needs to reach the disk.
 *
 * The visible state is one 64-bit word: sequence number << 8 | index of an
 * immutable descriptor. Publishing is one store of that word.
 *
 * An opener is alive while it holds the lock on its slot's byte of the file. A
 * free byte under a used slot means that the opener died.
 *
 * Locking: fields marked (C) are written only under the commit lock, those
 * marked (F) only by the holder of the flusher word; all are read by anybody
 * at any time. Mapped bytes are foreign bytes: indexes are bounded when used.
 */
#ifndef NADB_CONTROL_H
#define NADB_CONTROL_H

#include <stdatomic.h>

#include "../backend.h"
#include "../util/sync.h"

#define CONTROL_SLOTS 250u
#define CONTROL_DESCS 64u
#define CONTROL_DOUBTS 128u

/* One opener: a store object of a process. */
typedef struct control_slot {
    _Atomic uint32_t used;
    _Atomic uint32_t process; /* as the system's tools show it */
    _Atomic uint64_t pin_gen; /* oldest base generation in use + 1; 0 = none */
    _Atomic uint64_t pin_seq; /* no older snapshot is in use */
    uint64_t spare;
} control_slot;

/* One immutable state: which logs are live over which state of the base. */
typedef struct control_desc {
    _Atomic uint64_t generation; /* rises by one with each; 0 while written */
    _Atomic uint64_t first_log;  /* live logs: those that exist of .. */
    _Atomic uint64_t last_log;   /* .. first_log to last_log; last is active */
    _Atomic uint64_t base_generation; /* of MANIFEST */
    _Atomic uint64_t seq;             /* visible when it was published */
} control_desc;

enum {
    DOUBT_FREE,
    DOUBT_PREPARED,
    DOUBT_COMMITTING,
    DOUBT_CLAIM,
    DOUBT_VOID,  /* taken back, but writing that into the log has failed */
    DOUBT_ORPHAN /* a stamped record without an owner: the file decides */
};

/* A record that is in the log, and whose transaction has not ended; or a claim
 * on one key, before there is a record. */
typedef struct control_doubt {
    _Atomic uint32_t state; /* DOUBT_*; taken (C), freed by its owner */
    _Atomic uint32_t slot;  /* whose */
    _Atomic uint64_t log;   /* number of the log, ..; 0 in a claim */
    _Atomic uint64_t off;   /* .. where the record begins */
    _Atomic uint64_t seq;   /* COMMITTING: what it is committed as; CLAIM:
                               hash of the key */
    _Atomic uint64_t room;  /* bytes of the index promised to it */
    _Atomic uint64_t stamp; /* number, 0: the file is not asked; */
    _Atomic uint64_t nonce; /* .. core/engine/stamp.c */
    /* Bit 0: the sweeper's, no change to any reader. Above: when it was
     * prepared, monotonic ns. */
    _Atomic uint64_t background;
} control_doubt;

/* Which commit a stamp became. */
#define CONTROL_STAMPS 64u
typedef struct control_stamp {
    _Atomic uint64_t number; /* 0: none */
    _Atomic uint64_t before; /* the number committed before it */
    _Atomic uint64_t seq;
} control_stamp;

/* The slot of a doubt without an owner. */
#define CONTROL_NO_SLOT UINT32_MAX

typedef struct control_map {
    _Atomic uint64_t magic; /* "NADBctl1"; 0 while it is being made */
    uint32_t version;
    uint32_t layout; /* word size, byte order, libc, size of this struct */
    uint8_t boot_id[16];
    uint64_t dev, ino; /* of the control file itself */
    uint8_t store_id[NADB_STORE_ID];
    uint64_t head_crc; /* CRC32C of all before */
    uint8_t pad0[56];

    _Atomic uint64_t visible; /* (C) seq << 8 | descriptor index; its lower half
                                 is the futex of those who wait for commits */
    _Atomic uint64_t end;     /* sealed: wal_place behind the last record */
    uint8_t pad1[48];
    _Atomic uint32_t commit_lock;  /* 0, or slot + 1, | LOCK_WAITERS */
    _Atomic uint32_t flusher;      /* 0, or slot + 1 */
    _Atomic uint32_t failed;       /* a sync failed: no more writes */
    _Atomic uint32_t distrust;     /* found damaged: rebuild when free */
    _Atomic uint32_t flush_events; /* futex: a flush was published */
    _Atomic uint32_t doubt_events; /* futex: a doubt has ended */
    _Atomic uint64_t next_file;    /* next unused file number */
    _Atomic uint64_t synced;       /* wal_place up to which all is synced */
    _Atomic uint64_t last_flush_ms;
    _Atomic uint64_t counters[8];   /* CONTROL_N_* */
    _Atomic uint32_t doubt_waiters; /* sleeping on doubt_events; a hint */
    uint32_t pad2;
    _Atomic uint64_t doubt_bits[2]; /* places that may be in use */
    _Atomic uint32_t seal;          /* CRC32C from pad0 to the slots without
                                       itself; 0: the store is or was in use */
    _Atomic uint32_t seal_index;    /* of the live indexes */
    _Atomic uint64_t drained;       /* (F) wal_place up to which the base has
                                       all; of bases on a server */
    _Atomic uint64_t base_words[NADB_BASE_WORDS]; /* the base's own */

    /* (C) The last stamp that was committed, .. */
    _Atomic uint64_t stamp_number, stamp_nonce;
    /* .. and its number when this control was built: what was committed before
     * is in the ring below no more. */
    _Atomic uint64_t stamp_base;
    /* The store was recovered after a power cut: the file and the store may
     * each lack their unsynced tails. */
    _Atomic uint64_t tails_lost;
    _Atomic uint64_t changed_seq; /* (C) the last commit but the sweeper's */
    control_stamp stamps[CONTROL_STAMPS]; /* (C) by number % CONTROL_STAMPS */

    control_desc descs[CONTROL_DESCS];
    control_doubt doubts[CONTROL_DOUBTS];
    control_slot slots[CONTROL_SLOTS];

    /* What the seal does not cover. */
    _Atomic uint32_t waiting; /* somebody sleeps on `visible`; a hint */
    uint32_t pad3;
    _Atomic uint64_t keep_ms, keep_bytes; /* how much is kept of changes */
} control_map;

enum {
    CONTROL_N_FLUSHES,
    CONTROL_N_COMPACTIONS,
    CONTROL_N_COMMITS,
    CONTROL_N_EXPIRED
};

/* What the last to close left, also on an earlier boot or in another place.
 * Zeros when that is not known. `end` is the wal_place up to which records must
 * be there: all, in the boot in which they were written, else what had been
 * synced. */
typedef struct control_left {
    uint64_t base_generation, last_log, end;
} control_left;

typedef struct control {
    const nadb_os *os;
    nadb_file *file;   /* NULL for a private one */
    uint64_t dev, ino; /* of the file */
    control_map *map;
    uint32_t slot; /* ours */
    bool entered;  /* it says so */
    bool private_map;
    bool ours;        /* what was found was made by this boot, in this place */
    nadb_store_id id; /* the store's, if what was found is whole */
    control_left left;
    bool was_sealed;      /* nobody was there, and the seal was right */
    bool abandoned;       /* nobody was there, and there is no seal: all have
                             died, and what each left is to be repaired */
    uint32_t robbed;      /* whose commit lock was stolen last: slot + 1 */
    atomic_bool flushing; /* a thread of ours has the flusher word */
    nadb_mutex queue;     /* threads of this process, before the commit lock */
} control;

static inline uint64_t control_seq(uint64_t visible) { return visible >> 8; }

static inline uint32_t control_index(uint64_t visible) {
    return (uint32_t)(visible & (CONTROL_DESCS - 1));
}

/* False: surely no doubt is in use. */
static inline bool control_has_doubts(const control_map *m) {
    return (atomic_load(&m->doubt_bits[0]) | atomic_load(&m->doubt_bits[1])) !=
           0;
}

/* The place's state is set before its bit, and the bit is cleared before the
 * state is DOUBT_FREE, so that it cannot be the bit of who takes the place
 * next. What a dead opener left wrong is put right by repair
 * (engine/repair.c). */
static inline void control_doubt_mark(control_map *m, uint32_t i, bool used) {
    uint64_t bit = (uint64_t)1 << (i % 64);

    if (used)
        atomic_fetch_or(&m->doubt_bits[i / 64], bit);
    else
        atomic_fetch_and(&m->doubt_bits[i / 64], ~bit);
}

/* A record that may still be committed, or a claim. */
static inline bool control_in_doubt(const control_doubt *d) {
    uint32_t state = atomic_load(&d->state);

    return state != DOUBT_FREE && state != DOUBT_VOID;
}

/* What control_open() found. */
typedef enum control_state {
    CONTROL_TRUSTED, /* attach to what is there */
    CONTROL_REBUILD, /* nobody else is there, and it must be built anew */
    CONTROL_REMOVED, /* it was removed meanwhile; nothing is open or held */
    CONTROL_BLANK    /* `make` is false, and there is none, or one that says
                        nothing; nothing is open or held */
} control_state;

#define CONTROL_MAGIC "NADBctl1"

/* Opens the file and takes a slot. Nothing is written to one that does not say
 * that it is a control; one that is missing or blank is made if `make`. Holds
 * the file's open byte on success: the caller finishes opening (rebuilding the
 * state if *state says so) and calls control_opened().
 * Errors: NADB_CANTOPEN (not ours, newer format, open on another machine),
 * NADB_BUSY (somebody is opening it for longer than timeout_ms). */
nadb_rc control_open(control *c, const nadb_home *home, bool make,
                     int64_t timeout_ms, control_state *state,
                     nadb_err *err) NADB_MUST_USE;
void control_opened(control *c);
/* Whether `path` leads to another file now, or to none. */
nadb_rc control_moved(control *c, const char *path, bool *moved,
                      nadb_err *err) NADB_MUST_USE;
/* A control in private memory, for readers that may not write. */
nadb_rc control_open_private(control *c, const nadb_os *os,
                             nadb_err *err) NADB_MUST_USE;
/* Makes the map that of a store without logs. Rebuild only. */
nadb_rc control_format(control *c, nadb_err *err) NADB_MUST_USE;
/* Says whose control it is. */
void control_identify(control *c, const nadb_store_id *id);
/* Sealing: the last to close says what it leaves behind, so that damage to
 * these files, which nothing else covers, is found when the store is opened.
 * The first to take the commit lock breaks the seal (engine_lock()). */
static inline bool control_sealed(const control *c) {
    return atomic_load(&c->map->seal) != 0;
}
static inline void control_unseal(control *c) {
    atomic_store(&c->map->seal, 0);
}
/* True if this is the only opener. New ones are locked out until
 * control_close(). */
bool control_last(control *c);
void control_seal(control *c, uint32_t index_crc, uint64_t end);
/* Takes the open byte of a control, whatever is in it, until the file is
 * closed. NADB_LOCKED when somebody has the store open. */
nadb_rc control_lock_out(const nadb_os *os, nadb_file *f, int64_t timeout_ms,
                         nadb_err *err) NADB_MUST_USE;
/* Gives up the slot and unmaps. */
void control_close(control *c);
/* In a forked child: lets go of the descriptor and nothing else. */
void control_forked(control *c);

/* Whether the opener in `slot` lives. Our own slot always does. */
bool control_alive(control *c, uint32_t slot);
/* Whether any slot but ours is alive. */
bool control_others(control *c);

/* The commit lock. *stolen: the last holder died in it, and the caller must
 * repair what it left. timeout_ms < 0 waits for ever. */
nadb_rc control_lock(control *c, int64_t timeout_ms, bool *stolen,
                     nadb_err *err) NADB_MUST_USE;
void control_unlock(control *c);
/* Instead of that, when what the dead holder left cannot be repaired here: the
 * lock is as it was before it was stolen, and the next to want it repairs. */
void control_give_back(control *c);

/* The flusher word: false when a living opener has it. */
bool control_flusher_try(control *c);
void control_flusher_drop(control *c);

/* A consistent copy of the current descriptor, and the word it came from. */
typedef struct control_now {
    uint64_t visible;
    uint64_t generation, first_log, last_log, base_generation, seq;
} control_now;
void control_read(const control *c, control_now *out);
/* Publishes a descriptor with the next generation; the sequence number stays.
 * Caller holds the commit lock. */
void control_publish(control *c, uint64_t first_log, uint64_t last_log,
                     uint64_t base_generation);

/* What this opener still reads, for other processes to see: no older state of
 * the base than `base_generation`, no older snapshot than `seq`. */
void control_pin(control *c, uint64_t base_generation, uint64_t seq);
void control_unpin(control *c);
/* The oldest that any living opener reads. */
uint64_t control_oldest_gen(control *c);
uint64_t control_oldest_seq(control *c);

/* The half of `visible` that changes with each commit, for a futex. */
static inline uint32_t *control_futex(control_map *map) {
    uint32_t *half = (uint32_t *)(void *)&map->visible;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    half++;
#endif
    return half;
}

#endif
