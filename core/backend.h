/* backend.h - the interface between the core and a storage backend.
 *
 * A backend stores ordered byte strings. The first byte of every key is its
 * keyspace (NADB_KS_*), so that rows and their indexes share one ordered space.
 * A backend that keeps its own indexes (NADB_CAP_OWN_INDEX) stores rows only.
 * Values are opaque to a backend; docs/format.md documents them, and
 * core/kv/row.h decodes them for a backend that stores the parts of a row
 * separately.
 *
 * A backend fills one of three tables of operations:
 *
 *   engine  nadb_engine_ops: snapshots, and atomic commits with conflict
 *           checks. backends/memory is the example to read; backends/redis
 *           is another.
 *   base    nadb_base_ops: sorted immutable files. core/engine puts a log and
 *           a memtable on top of it and so makes an engine. backends/fs is one.
 *   map     nadb_map_ops: immutable states of a sorted map in memory. core/map
 *           adds snapshots, commits and conflict checks and so makes an
 *           engine. examples/backend/array.c is one, and the shortest.
 *
 * The core adapts to the declared capabilities and never tests which backend it
 * calls. A new backend is a folder and a line in registry.c, or a shared
 * library that nadb_backend_load() loads (host.h, plugin.h).
 *
 * A full backend: an operation that cannot store its data for lack of space
 * returns NADB_FULL. prepare() and flush() are where that happens; on NADB_FULL
 * nothing has changed, and the caller may try again. */
#ifndef NADB_BACKEND_H
#define NADB_BACKEND_H

#include "types.h"
#include "util/home.h"
#include "util/iter.h"

/* --- keyspaces --- */

/* All keyspaces but rows are indexes; core/kv/index.h has the layout of their
 * keys. An expired row stays in the indexes until it is swept. */
enum {
    NADB_KS_ROW = 'r',    /* r <key>                  -> row (core/kv/row.h) */
    NADB_KS_TAG = 't',    /* t <tag> 0 0 <key>        -> expiry */
    NADB_KS_EXPIRY = 'x', /* x <be64 expires_ms> <key> -> tags */
    NADB_KS_COUNT = 'c',  /* c <tag>                  -> rows with that tag */
    NADB_KS_ACCESS = 'a'  /* a <key>                  -> last read, ms */
};

/* The value of a tombstone has 0 or 8 bytes. 8 bytes are the sequence number
 * (little-endian) of the expired row that was swept: conflict checks use that
 * number instead of the tombstone's own, because sweeping an expired row is not
 * a change. A counter that fell only because rows were swept has the same 8
 * bytes behind its number (a varint). */
/* The sequence number of the key's last change, as conflict checks see it. */
static inline uint64_t nadb_changed_seq(nadb_slice key, uint64_t seq,
                                        unsigned flags, nadb_slice value) {
    uint64_t swept = 0;
    size_t at = 0;

    if ((flags & NADB_ENTRY_TOMBSTONE) == 0) {
        if (key.n == 0 || key.p[0] != NADB_KS_COUNT) return seq;
        while (at < value.n && value.p[at] >= 0x80) at++;
        at++; /* behind the number */
    }
    if (value.n != at + 8) return seq;
    for (size_t i = 8; i > 0; i--) swept = swept << 8 | value.p[at + i - 1];
    return swept < seq ? swept : seq;
}

/* --- options of CREATE VIRTUAL TABLE --- */

typedef enum nadb_option_kind {
    NADB_OPTION_TEXT,
    NADB_OPTION_SWITCH, /* on or off */
    NADB_OPTION_NUMBER  /* a number, a word that stands for one, or either */
} nadb_option_kind;

typedef struct nadb_option_word {
    const char *text; /* NULL: the end of the list */
    int value;
} nadb_option_word;

/* One option: how its text becomes a value. `check` and the bounds judge the
 * option alone; the code that uses several options checks their combination. */
struct nadb_option {
    const char *name; /* NULL ends a backend's table */
    nadb_option_kind kind;
    const char *initial; /* the default, as a user would write it; NULL: no
                            text, or 0 */
    const nadb_option_word *words; /* or NULL */
    /* bounds of a number in the user's unit; equal: only words are taken */
    double least, most;
    /* stored = given * scale; with scale 1 only whole numbers are taken */
    double scale;
    const char *allowed; /* the rest of the message "'x' is not .." */
    /* For texts, may be NULL. Fails with a message that says what is wrong. */
    nadb_rc (*check)(const nadb_option *opt, const char *value, nadb_err *err);
};

/* The text of an option; NULL if it was not given or is not a text. */
const char *nadb_option_text(const nadb_options *o, const char *name);
/* The number of an option in the stored unit: times in ms, sizes in bytes,
 * words as their number, on/off as 1/0. 0 if no option has that name. */
int64_t nadb_option_number(const nadb_options *o, const char *name);
/* True if the statement gave the option. */
bool nadb_option_given(const nadb_options *o, const char *name);
/* The value of option keep_changes. */
nadb_keep nadb_option_keep(const nadb_options *o);
/* A `check` for options that name a file: NADB_INVALID for a path that needs a
 * shell to expand it (~, $HOME). */
nadb_rc nadb_option_check_path(const nadb_option *opt, const char *value,
                               nadb_err *err);
/* Fails with NADB_INVALID: "option x: 'value' is not <allowed>". */
nadb_rc nadb_option_refuse(const nadb_option *opt, const char *value,
                           const char *allowed, nadb_err *err);

/* --- engines --- */

typedef struct nadb_engine nadb_engine; /* first member: `ops` */
typedef struct nadb_view nadb_view;     /* a snapshot; first member: `seq` */
typedef struct nadb_ticket nadb_ticket; /* a prepared commit, in doubt */

/* The result of the last comparison of the file's stamp with the store's, kept
 * by the session. */
typedef struct nadb_stamps_seen {
    bool any;       /* they have been compared */
    uint64_t equal; /* with `any`: up to this number they were equal */
    /* the file's stamp when it lacked a stamp of the store */
    nadb_stamp behind;
} nadb_stamps_seen;

#define NADB_LARGE_BYTES 65536u

struct nadb_view {
    uint64_t seq;              /* the view shows commits up to this one */
    const nadb_caller *caller; /* set by the core; may be NULL */
    bool may_lag; /* no decision depends on what the view shows, so an engine on
                     another machine may answer from a cache that learns of
                     changes a moment later. Set again after each view_refresh()
                   */
    bool keys_only; /* the next get() or iter() needs no values */
    /* How many rows of the next iter() or match() will be read, about; 0: not
     * known. */
    uint32_t rows_wanted;
    /* Names the transaction in which the view is used since before its first
     * change; 0: none. prepare() checks what was read since the first read
     * with this name, also if view_renew() came in between. */
    uint32_t reading;
};

/* What prepare() makes durable. Borrowed for the call. */
typedef struct nadb_commit_req {
    /* the snapshot that was read; NULL: no conflict check */
    nadb_view *view;
    nadb_iter *changes; /* all changes, forward, each key once. The callee
                           starts again with a seek() to the empty key */
    size_t count;       /* number of changes */
    size_t bytes;       /* of the keys and values of all changes */
    bool clear;         /* remove everything else first */
    /* ranges read in `view`; a change in one is a conflict */
    const nadb_range *reads;
    size_t n_reads;
    bool reads_all; /* too many ranges to list: any later commit conflicts */
    uint32_t claim; /* the claim that the caller holds; 0: none */
    /* number of expired rows that it deletes, for statistics */
    uint64_t purged;
    /* May be NULL: no entry expires. *expired: the entry `shown`, as the
     * snapshot `then` shows it, has expired by `now_ms`. Its removal is then
     * not a conflict. */
    nadb_rc (*expired)(nadb_engine *e, nadb_view *then, const nadb_entry *shown,
                       int64_t now_ms, bool *expired, nadb_err *err);
    nadb_stamp stamp; /* of a mixed transaction: the database file decides */
    bool background;  /* of the sweeper: readers see no change */
    nadb_durability sync;
    int64_t timeout_ms; /* limit of waiting for locks */
    /* May be NULL: `changes` is complete. Otherwise changes, count and bytes
     * cover the changed rows and their index entries as these follow from
     * `view`. If anything has been committed since, prepare() calls it, perhaps
     * several times, while commits are locked out; `now` shows the present
     * state. It derives the index entries anew. */
    nadb_rc (*derive)(void *ctx, nadb_view *now, nadb_err *err);
    void *derive_ctx;
} nadb_commit_req;

/* --- stores that stay below a size --- */

/* A row to evict, unless it has been written since. */
typedef struct nadb_victim {
    nadb_slice key; /* without keyspace byte */
    int64_t updated_ms;
} nadb_victim;

/* For engines that evict rows themselves, because core/kv/limits.c would need
 * too many round trips. */
typedef struct nadb_limit_ops {
    /* Sets the limit; 0: none. `refuses`: a commit that would make the store
     * larger than the limit fails with NADB_FULL. */
    void (*set)(nadb_engine *e, uint64_t bytes_max, bool refuses);
    /* Removes rows, and adds their number and size to *rows and *bytes. */
    nadb_rc (*evict)(nadb_engine *e, const nadb_victim *list, size_t n,
                     uint64_t *rows, uint64_t *bytes, nadb_err *err);
} nadb_limit_ops;

typedef struct nadb_engine_ops {
    /* Makes all commits durable and closes. REQUIRES: no view, iterator or
     * ticket of it is open. */
    void (*close)(nadb_engine *e);

    /* Opens a snapshot of the present. One connection at a time uses a view. */
    nadb_rc (*view_open)(nadb_engine *e, nadb_view **out, nadb_err *err);
    void (*view_close)(nadb_engine *e, nadb_view *v);
    /* Makes `v` a snapshot of the present and keeps what is still valid.
     * REQUIRES: no iterator or entry from `v` is in use. */
    nadb_rc (*view_refresh)(nadb_engine *e, nadb_view *v, nadb_err *err);
    /* Optional, for engines without snapshots: `v`, which a transaction has
     * read from, shows the present from now on. REQUIRES: as view_refresh(). */
    nadb_rc (*view_renew)(nadb_engine *e, nadb_view *v, nadb_err *err);
    /* Releases what the view pins. REQUIRES: no iterator or entry from `v` is
     * in use; nothing is read from `v` before the next view_refresh(). */
    void (*view_rest)(nadb_engine *e, nadb_view *v);

    /* Reads one key; a tombstone counts as absent. The entry is PINNED, or
     * valid until the next call on this view. *found is false on error. */
    nadb_rc (*get)(nadb_engine *e, nadb_view *v, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err);
    /* Optional. Announces keys that get() will be called for next, in this
     * order, so that the engine may read them together. Borrowed for the
     * call. */
    nadb_rc (*want)(nadb_engine *e, nadb_view *v, const nadb_slice *keys,
                    size_t n, nadb_err *err);
    /* Walks over a range without tombstones. `v` must outlive the iterator; the
     * range is copied. */
    nadb_rc (*iter)(nadb_engine *e, nadb_view *v, const nadb_range *range,
                    nadb_iter **out, nadb_err *err);

    /* Optional; NULL counts as true. False if the view certainly shows no entry
     * of an index. Must be cheap. */
    bool (*indexed)(nadb_engine *e, nadb_view *v);
    /* Optional; without it the core walks over NADB_KS_TAG. Walks, as iter()
     * does and in key order, over the rows of `range` (in NADB_KS_ROW) whose
     * tags match `m`. `keys_only`: values may be empty. */
    nadb_rc (*match)(nadb_engine *e, nadb_view *v, const nadb_match *m,
                     const nadb_range *range, bool keys_only, nadb_iter **out,
                     nadb_err *err);
    /* Optional; without it the core deletes expired rows in ordinary
     * transactions. Removes about `rows_max` expired rows, adds their number to
     * *removed, and sets *more if others may be left. */
    nadb_rc (*sweep)(nadb_engine *e, size_t rows_max, int64_t *removed,
                     bool *more, nadb_err *err);

    /* Optional. Claims a key: until unclaim(), prepares of others that change
     * it wait, so that the caller can read and then change it without a
     * conflict. Waits for prepared commits of the key, then refreshes `v` as
     * view_refresh() does. If that takes longer than timeout_ms, *claim is 0
     * and the call succeeds. *claim may be set even on error. */
    nadb_rc (*claim)(nadb_engine *e, nadb_view *v, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err);
    void (*unclaim)(nadb_engine *e, uint32_t claim);

    /* First half of a commit: checks for conflicts (NADB_CONFLICT names the
     * key) and stores the changes as durably as req->sync demands, still
     * invisible. Other writers of the same keys wait until commit() or
     * rollback(). On error nothing has changed and *out is NULL; NADB_FULL:
     * there is no space. */
    nadb_rc (*prepare)(nadb_engine *e, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err);
    /* Second half: makes the changes visible. Cannot fail. Frees the ticket. */
    void (*commit)(nadb_engine *e, nadb_ticket *t);
    /* Undoes a prepare. Frees the ticket, also on error. */
    nadb_rc (*rollback)(nadb_engine *e, nadb_ticket *t, nadb_err *err);

    /* Optional; NULL without a folder on this machine. Creates a file without a
     * name in the store's folder, for data that is too large for memory. The
     * system removes it with its last mapping and descriptor. */
    nadb_rc (*scratch)(nadb_engine *e, nadb_file **out, nadb_err *err);

    /* The next five are optional. They serve stores that belong to a database
     * file; core/engine/stamp.c explains them. */

    /* Waits until no commit of another opener is in doubt, at most timeout_ms
     * (NADB_BUSY). `own`: the caller's prepared commit, or NULL. REQUIRES: the
     * caller holds the file's write lock. */
    nadb_rc (*settle)(nadb_engine *e, const nadb_dbfile *file,
                      const nadb_ticket *own, int64_t timeout_ms,
                      nadb_err *err);
    /* Moves `v`, a snapshot of the present, to the state that belongs to the
     * file's snapshot. Waits for commits that the file already contains
     * (NADB_BUSY), and steps back behind commits that it does not yet contain
     * (NADB_CONFLICT if that state is gone). *seen is kept by the caller
     * between calls. NADB_CANTOPEN: the file is older than the store. */
    nadb_rc (*align)(nadb_engine *e, nadb_view *v, const nadb_dbfile *file,
                     nadb_stamps_seen *seen, int64_t timeout_ms, nadb_err *err);
    /* True if anything but sweeping was committed after `v`. */
    bool (*moved)(nadb_engine *e, const nadb_view *v);
    /* The last stamp that was committed. */
    nadb_stamp (*stamped)(nadb_engine *e);
    /* Leaves a stamped commit in doubt, for the file to decide. Frees the
     * ticket. */
    void (*abandon)(nadb_engine *e, nadb_ticket *t);

    /* Optional; without it no changes are kept. Asks the engine to keep changes
     * for later reading by changes(). Of several openers the largest demand
     * counts. */
    void (*keep)(nadb_engine *e, nadb_keep keep);
    /* Optional. Walks over the changes with a sequence number above `since`
     * that the view shows. NADB_INVALID if they are no longer kept, or if
     * `since` is not a sequence number of this store. `v` must outlive the
     * walk. */
    nadb_rc (*changes)(nadb_engine *e, nadb_view *v, uint64_t since,
                       nadb_changes **out, nadb_err *err);
    /* Optional. Sleeps until the last commit differs from `since`, at most
     * timeout_ms. *seq: the last commit. */
    nadb_rc (*wait)(nadb_engine *e, uint64_t since, int64_t timeout_ms,
                    const nadb_stop *stop, uint64_t *seq, nadb_err *err);

    /* Moves every commit to its final place and syncs it. */
    nadb_rc (*flush)(nadb_engine *e, nadb_err *err);
    /* Optional. Rewrites the store without dead data. NADB_INTERRUPT if `stop`
     * (may be NULL) ended it early. */
    nadb_rc (*compact)(nadb_engine *e, nadb_stop_fn *stop, void *ctx,
                       nadb_err *err);
    /* Reads and checks every byte; calls `report` once per problem. */
    nadb_rc (*check)(nadb_engine *e, nadb_report_fn *report, void *ctx,
                     nadb_err *err);
    /* Calls `emit` with each number that nadb_stats lists. */
    void (*stats)(nadb_engine *e, nadb_stat_fn *emit, void *ctx);
    /* Optional. The totals of what `v` shows, without walking over it;
     * out->known is false if they would need a walk. */
    nadb_rc (*totals)(nadb_engine *e, nadb_view *v, nadb_totals *out,
                      nadb_err *err);
    /* Optional; without it the core evicts. Requires totals(). */
    const nadb_limit_ops *limit;
    /* Optional. Drops cached rows; returns the bytes freed. */
    uint64_t (*cache_drop)(nadb_engine *e);
    /* Optional; NULL if close() leaves nothing behind. Removes the store and
     * closes it, also on error. */
    nadb_rc (*destroy)(nadb_engine *e, nadb_err *err);
} nadb_engine_ops;

struct nadb_engine {
    const nadb_engine_ops *ops;
};

/* --- bases: what lies under the log and memtable of core/engine --- */

typedef struct nadb_base nadb_base; /* first member: `ops` */
typedef struct nadb_base_version nadb_base_version;

/* One immutable state of the base, as one MANIFEST describes it. Reference
 * counted (atomic). Its files stay until the last reference of this process is
 * dropped; remove_unused() respects those of other processes. */
struct nadb_base_version {
    uint64_t generation; /* rises by one with each state; 0: a new store */
    uint64_t first_log;  /* the base contains all logs below this one */
    uint64_t seq;        /* highest sequence number contained */
    uint64_t clear_seq;  /* everything up to this one was cleared */
    uint64_t bytes;      /* size of its files; 0 if the base is on a server */
    uint64_t last_file;  /* highest number of one of its files; 0: none */
    bool indexed;        /* may hold index entries */
    nadb_totals totals;  /* of all that the version shows */
    /* What this process wrote to make the version; otherwise 0. */
    uint64_t made_entries, made_bytes;
};

/* What core/engine offers to a base. */
typedef struct nadb_base_env {
    const nadb_os *os;
    const nadb_options *options;
    nadb_home *home; /* the store's directory; outlives the base */
    const char *dir; /* the path of `home`, for messages */
    bool read_only;
    bool mmap; /* read through mappings; else with pread() into own memory */
    /* The last process closed the store in good order, so the base may check
     * the existence of a file when it first reads it. False with read_only:
     * other processes do not know of this one and remove files that it needs,
     * so version_open() opens all of its files. */
    bool in_order;
    void *ctx;
    /* Returns a file number that was never used before. */
    nadb_rc (*next_file)(void *ctx, uint64_t *out, nadb_err *err);
    /* The oldest sequence number that a reader of any process sees. Of the
     * versions of a key up to it, only the newest is needed. */
    uint64_t (*oldest_seq)(void *ctx);
    /* Words of the base that all openers of the store share. Zero when the
     * first process opens it. */
    _Atomic uint64_t *words; /* NADB_BASE_WORDS of them */
} nadb_base_env;

#define NADB_BASE_WORDS 3

/* Receives what salvage() reads from damaged files, oldest change first, so
 * that later changes replace earlier ones (core/engine/salvage.h). */
typedef struct nadb_salvage {
    void *ctx;
    nadb_report_fn *report; /* one line per fault: file, offset, key */
    /* A row or its tombstone; the key has its keyspace byte. Borrowed. */
    nadb_rc (*change)(void *ctx, const nadb_entry *e, nadb_err *err);
    /* The store was cleared: all earlier changes are void. */
    nadb_rc (*clear)(void *ctx, nadb_err *err);
    /* The newest change of the key is unreadable, so earlier ones are
     * outdated. */
    nadb_rc (*lose)(void *ctx, nadb_slice key, nadb_err *err);
    /* As lose(), for the keys between lo and hi (both excluded; NULL: no bound)
     * for which `hit` returns true. */
    nadb_rc (*lose_range)(void *ctx, nadb_slice lo, nadb_slice hi,
                          bool (*hit)(void *arg, nadb_slice key), void *arg,
                          nadb_err *err);
} nadb_salvage;

typedef struct nadb_flush_req {
    /* forward, the newest version of each key, with tombstones */
    nadb_iter *entries;
    size_t bytes;       /* estimate, to size filters */
    size_t count;       /* estimate */
    uint64_t first_log; /* of the state after the flush */
    uint64_t seq;
    uint64_t clear_seq;
    /* Totals of the state after the flush; valid once `entries` is at its
     * end. */
    const nadb_totals *totals;
} nadb_flush_req;

/* A full compaction: no dead data of changes up to `seq` is left in files
 * numbered below `file`. Later changes and files are not its concern, so that
 * it ends. */
typedef struct nadb_compact_goal {
    uint64_t seq, file;
    const nadb_stop *stop; /* checked during long steps */
} nadb_compact_goal;

/* --- bases on a server --- */

/* A position between two transactions in the logs of a store. Later positions
 * are greater (by log, then by offset), and no position is used twice. */
typedef struct nadb_place_in_log {
    uint64_t log, off;
} nadb_place_in_log;

/* A committed transaction. */
typedef struct nadb_record {
    nadb_place_in_log end; /* the position behind it */
    bool clear;            /* it removes everything before it */
    size_t count, bytes;   /* of changes */
} nadb_record;

/* The committed transactions in the order of the logs. Keys and values of
 * changes outlive the walk. */
typedef struct nadb_records nadb_records;
struct nadb_records {
    /* Moves to the first transaction that ends behind `place`. */
    void (*seek)(nadb_records *r, nadb_place_in_log place);
    nadb_rc (*next)(nadb_records *r, nadb_record *out, bool *found,
                    nadb_err *err);
    /* The next change of the transaction; false after the last. */
    bool (*change)(nadb_records *r, nadb_entry *out);
    const nadb_stop *stop; /* checked before each piece is sent */
};

/* Further operations of such a base. Its version's iter() shows rows without
 * tombstones. Its flush() gets no entries: everything below first_log has been
 * drained. */
typedef struct nadb_remote_ops {
    /* Names the statement on whose account the next calls of this thread wait;
     * NULL: none. */
    void (*serve)(const nadb_caller *caller);
    /* Called before a commit, or before a claim (req is NULL). An error refuses
     * it. */
    nadb_rc (*admit)(nadb_base *b, const nadb_commit_req *req, nadb_err *err);
    /* True if another writer has changed the server, so that memtables and
     * views may be outdated. Commits are then refused until fresh() succeeds.
     * REQUIRES for fresh(): all memtables are empty. fresh() raises epoch(); a
     * transaction that has read in an earlier epoch conflicts. */
    bool (*is_stale)(nadb_base *b);
    nadb_rc (*fresh)(nadb_base *b, nadb_err *err);
    uint64_t (*epoch)(nadb_base *b);
    /* Called after a flush. Fails if a commit made here could not be sent. */
    nadb_rc (*flushed)(nadb_base *b, nadb_err *err);
    /* Sends `records` from the server's own position on; `from` is the caller's
     * idea of that position. Called under the same lock as flush(), and also
     * with nothing to send, so that the base can renew its lease. */
    nadb_rc (*drain)(nadb_base *b, nadb_records *records,
                     nadb_place_in_log from, nadb_err *err);
    /* As in nadb_engine_ops; they see what has been drained. */
    nadb_rc (*match)(nadb_base_version *v, const nadb_match *m,
                     const nadb_range *range, bool keys_only, nadb_iter **out,
                     nadb_err *err);
    nadb_rc (*sweep)(nadb_base *b, size_t rows_max, int64_t *removed,
                     bool *more, nadb_err *err);
    /* Prefetches rows for which get() will be called next, in this order. They
     * are kept in *ahead, which is NULL at first and is freed by forget(). */
    nadb_rc (*want)(nadb_base *b, nadb_view **ahead, const nadb_slice *keys,
                    size_t n, nadb_err *err);
    /* False if the key was not prefetched. The entry is valid until the next
     * call. */
    bool (*wanted)(nadb_view *ahead, nadb_slice key, nadb_entry *out,
                   bool *found);
    void (*forget)(nadb_view *ahead);
    /* Called when the last process closes the store. */
    void (*leave)(nadb_base *b);
    /* Removes the store from the server. */
    nadb_rc (*destroy)(nadb_base *b, nadb_err *err);
} nadb_remote_ops;

typedef struct nadb_base_ops {
    const nadb_remote_ops *remote; /* NULL: the base is files */
    const char *manifest_magic;    /* the first 8 bytes of its MANIFEST */
    nadb_rc (*open)(const nadb_base_env *env, nadb_base **out, nadb_err *err);
    void (*close)(nadb_base *b);

    /* Opens the state that MANIFEST describes now, with its tables; the caller
     * owns one reference. A store without MANIFEST is the empty version 0.
     * Versions of one base share open tables. */
    nadb_rc (*version_open)(nadb_base *b, nadb_base_version **out,
                            nadb_err *err);
    void (*version_ref)(nadb_base_version *v);
    void (*version_unref)(nadb_base_version *v);

    /* Reads one key. *found is also set for a tombstone (see flags). out->key
     * is `key`. Without mappings the bytes are copied into *scratch, which the
     * caller owns and reuses; such an entry is not PINNED and is valid until
     * *scratch is used again. *found is false on error. Thread-safe. */
    nadb_rc (*get)(nadb_base_version *v, nadb_slice key, nadb_buf *scratch,
                   nadb_entry *out, bool *found, nadb_err *err);
    /* Walks over a range without tombstones. Takes its own reference. */
    nadb_rc (*iter)(nadb_base_version *v, const nadb_range *range,
                    nadb_iter **out, nadb_err *err);

    /* The next three run in one thread of one process at a time. REQUIRES: the
     * caller holds the flusher word. flush() and compact_step() return a
     * reference to the new state once it is durable in MANIFEST: tables and
     * directory are synced before the rename. On error the old state stays, and
     * files that were already written are removed. NADB_FULL: there is no
     * space. */
    nadb_rc (*flush)(nadb_base *b, const nadb_flush_req *req,
                     nadb_base_version **out, nadb_err *err);
    /* One bounded step of compaction: of what is due or, with a goal, of what
     * the goal still needs. *out is NULL if there is nothing to do. */
    nadb_rc (*compact_step)(nadb_base *b, const nadb_compact_goal *goal,
                            nadb_base_version **out, nadb_err *err);
    /* Unlinks its files that neither MANIFEST names nor a process may need that
     * reads `oldest_generation` or a later one. */
    nadb_rc (*remove_unused)(nadb_base *b, uint64_t oldest_generation,
                             nadb_err *err);

    nadb_rc (*check)(nadb_base_version *v, nadb_report_fn *report, void *ctx,
                     nadb_err *err);
    /* Optional. Reads what is readable in the files of env->home, whatever
     * their damage. *first_log: older logs are contained; 0: not known. */
    nadb_rc (*salvage)(const nadb_base_env *env, const nadb_salvage *to,
                       uint64_t *first_log, nadb_err *err);
    void (*stats)(nadb_base_version *v, nadb_stat_fn *emit, void *ctx);
} nadb_base_ops;

struct nadb_base {
    const nadb_base_ops *ops;
};

/* --- maps: immutable states, of which core/map makes an engine --- */

/* A state holds entries in the order of nadb_slice_cmp() of their keys, each
 * key once. A commit derives the next state from the present one. A snapshot is
 * a state that stays until its last reader has closed it. core/map counts the
 * readers of each state, lets one commit at a time derive, and checks for
 * conflicts. A backend needs no lock. If its states share memory, each shared
 * part has an atomic counter of the states that use it.
 *
 * A map is a store in the memory of one process: it declares
 * NADB_CAP_SNAPSHOTS, and of the other capabilities at most NADB_CAP_INNOCUOUS
 * and NADB_CAP_THREADS.
 *
 * Threads: seek(), step() and check() of one state, and the operations of
 * different states, run in several threads at once. apply() runs in one thread
 * at a time, beside readers of the state that it is given. */
/* The backend defines both structs. nadb_map has what all states of a store
 * share; a backend that needs nothing of the kind has none. */
typedef struct nadb_map nadb_map;
typedef struct nadb_map_state nadb_map_state;

/* Where an entry is in a state, for the backend alone: zero before seek(), then
 * what seek() and step() have stored. Nothing frees it. */
typedef struct nadb_map_place {
    const void *p;
    size_t i;
} nadb_map_place;

/* What a commit changes. Borrowed for the call. */
typedef struct nadb_map_changes {
    /* All changes, forward, each key once; begin with nadb_iter_next(). An
     * entry with flag NADB_ENTRY_TOMBSTONE removes its key, which need not
     * exist. */
    nadb_iter *entries;
    size_t count, bytes; /* number of changes; bytes of their keys and values */
    bool clear;          /* nothing of the old state remains but `entries` */
} nadb_map_changes;

typedef struct nadb_map_ops {
    /* Opens a store: makes its first state, which may have entries, and the
     * nadb_map if it needs one. *out and *first are NULL when it is called; an
     * error leaves them NULL. */
    nadb_rc (*open)(const nadb_options *options, nadb_map **out,
                    nadb_map_state **first, nadb_err *err);
    /* Frees the nadb_map. Optional if open() makes none. REQUIRES: all states
     * are freed. */
    void (*close)(nadb_map *m);

    /* Finds an entry: the first one with a key >= `key`. With `before`: the
     * last one with a key < `key`, or the last one of all if key.p is NULL. It
     * sets key, value and seq of *out, as apply() got them; their bytes stay
     * until state_free(). */
    nadb_rc (*seek)(nadb_map *m, const nadb_map_state *s, nadb_slice key,
                    bool before, nadb_map_place *at, nadb_entry *out,
                    bool *found, nadb_err *err);
    /* Moves to the next entry or, with `back`, to the one before. *at and *out
     * are those of the last seek() or step(), which has found an entry. */
    nadb_rc (*step)(nadb_map *m, const nadb_map_state *s, bool back,
                    nadb_map_place *at, nadb_entry *out, bool *found,
                    nadb_err *err);

    /* Makes the next state of `s` and the changes; `s` itself does not change.
     * If the commit is rolled back, the core frees the new state. On error *out
     * is unchanged; NADB_FULL: there is no space. */
    nadb_rc (*apply)(nadb_map *m, const nadb_map_state *s,
                     const nadb_map_changes *changes, nadb_map_state **out,
                     nadb_err *err);
    void (*state_free)(nadb_map *m, nadb_map_state *s);

    /* Optional. The core checks the order of keys, and that each entry is found
     * by its key; this checks the rest. */
    nadb_rc (*check)(nadb_map *m, const nadb_map_state *s,
                     nadb_report_fn *report, void *ctx, nadb_err *err);
    /* Optional: numbers for nadb_stats beside those that the core counts. */
    void (*stats)(nadb_map *m, const nadb_map_state *s, nadb_stat_fn *emit,
                  void *ctx);
} nadb_map_ops;

/* --- a backend --- */

struct nadb_backend {
    const char *name; /* as in backend='..' */
    unsigned caps;
    const char *summary; /* one line, for nadb_backends */
    /* another library that it needs, for nadb_debug; or NULL */
    const char *uses;
    /* Options of this backend alone, ended by one without a name; may be
     * NULL. */
    const nadb_option *options;
    /* Optional. Appends with nadb_identity_add() all options, beside path, db
     * and namespace, that decide which store is meant and how it is reached.
     * Two tables of a process share a store only if all of these are equal.
     * NADB_INVALID: the options contradict each other. */
    nadb_rc (*identity)(const nadb_options *options, nadb_buf *out,
                        nadb_err *err);
    /* Engines only. */
    nadb_rc (*engine_open)(const nadb_options *options, nadb_engine **out,
                           nadb_err *err);
    /* Bases only. */
    const nadb_base_ops *base;
    /* Maps only. */
    const nadb_map_ops *map;
    /* Engines only: the backend to use with write=buffered; NULL: this one. */
    const nadb_backend *buffered;
};

/* Appends a name and its value (may be NULL); false if out of memory. */
bool nadb_identity_add(nadb_buf *identity, const char *name,
                       const char *value) NADB_MUST_USE;
bool nadb_identity_add_number(nadb_buf *identity, const char *name,
                              int64_t value) NADB_MUST_USE;

/* --- backends/registry.c --- */

/* Appends a backend; false if NADB_LOADED_MAX are loaded. REQUIRES: one thread
 * calls it at a time. */
#define NADB_LOADED_MAX 16
bool nadb_backend_add(const nadb_backend *b) NADB_MUST_USE;

/* --- core/load.c --- */

/* True if the engine has all operations that are not optional. With
 * NADB_CAP_READ_ONLY, operations that change something are optional, too. */
bool nadb_engine_is_complete(const nadb_backend *b, const nadb_engine_ops *ops);

#endif
