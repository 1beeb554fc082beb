/* backend.h - what a storage backend is to the core.
 *
 * A backend stores ordered byte strings. Keys carry a keyspace byte first
 * (NADB_KS_*), so rows and their indexes live in one ordered space; a backend
 * that has indexes of its own (capability NADB_CAP_OWN_INDEX) may ignore all
 * but rows. Values are opaque here, but documented in docs/format.md; a backend
 * that keeps the parts of a row apart takes it to pieces with core/kv/row.h.
 *
 * There are two kinds, told apart by which table of operations they fill:
 *
 *   engine  transactional by itself: snapshots, atomic commits with conflict
 *           check. backends/memory is the example to read. Redis is another.
 *   base    only the sorted, immutable bottom under the core's shared log and
 *           memtable (core/engine), which turns it into an engine.
 *           backends/fs is one.
 *
 * The core adapts to the declared capabilities; it never asks which backend
 * it is talking to. A new backend is a folder and a line in registry.c; or a
 * library of its own, which nadb_backend_load() loads (host.h, plugin.h). */
#ifndef NADB_BACKEND_H
#define NADB_BACKEND_H

#include "changes.h"
#include "util/home.h"
#include "util/iter.h"
#include "util/key.h"

/* --- keyspaces --- */

/* Keyspaces. All but rows are indexes (core/kv/index.h says how their keys are
 * made): rows that have expired stay in them until they are swept. */
enum {
    NADB_KS_ROW = 'r',    /* r <key>                  -> row (core/kv/row.h) */
    NADB_KS_TAG = 't',    /* t <tag> 0 0 <key>        -> expiry */
    NADB_KS_EXPIRY = 'x', /* x <be64 expires_ms> <key> -> tags */
    NADB_KS_COUNT = 'c',  /* c <tag>                  -> rows with that tag */
    NADB_KS_ACCESS = 'a'  /* a <key>                  -> last read, ms */
};

/* The value of a tombstone is empty; or, where what had expired was removed, 8
 * bytes: the sequence number of what was removed, and to conflict checks
 * nothing has happened since then. A counter that went down for no other reason
 * has these bytes behind its number. */
/* When the key of an entry last changed, as conflict checks see it. */
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

/* --- capabilities --- */

enum {
    NADB_CAP_ENGINE = 1,       /* fills nadb_engine_ops */
    NADB_CAP_BASE = 2,         /* fills nadb_base_ops */
    NADB_CAP_SNAPSHOTS = 4,    /* a view does not change under its reader */
    NADB_CAP_PERSISTENT = 8,   /* data outlives the process */
    NADB_CAP_SHARED = 16,      /* several processes may use one store */
    NADB_CAP_OWN_INDEX = 32,   /* keeps the indexes itself: fills match(), and
                                  answers iter() over NADB_KS_COUNT (without
                                  what has expired) and NADB_KS_EXPIRY, get()
                                  of NADB_KS_COUNT, as if they were there */
    NADB_CAP_NATIVE_TTL = 64,  /* removes expired rows itself */
    NADB_CAP_REMOTE = 128,     /* over a network: count round trips */
    NADB_CAP_NEEDS_PATH = 256, /* has a directory on this machine */
    NADB_CAP_READ_ONLY = 512   /* nothing can be changed */
};

/* --- words that options use --- */

typedef enum nadb_durability {
    NADB_SYNC_OFF,
    NADB_SYNC_NORMAL,
    NADB_SYNC_FULL
} nadb_durability;

typedef enum nadb_write_mode {
    NADB_WRITE_DEFAULT, /* the backend's choice */
    NADB_WRITE_BUFFERED,
    NADB_WRITE_IMMEDIATE
} nadb_write_mode;

/* --- options of CREATE VIRTUAL TABLE --- */

/* What was parsed, read by the names that users give them (core/options.c). */
typedef struct nadb_options nadb_options;

typedef enum nadb_option_kind {
    NADB_OPTION_TEXT,
    NADB_OPTION_SWITCH, /* on or off */
    NADB_OPTION_NUMBER  /* a number, a word that stands for one, or either */
} nadb_option_kind;

typedef struct nadb_option_word {
    const char *text; /* NULL: the end of the list */
    int value;
} nadb_option_word;

/* One option: how its text becomes a value. Each is judged alone here; what
 * depends on several is checked by whoever uses them. */
typedef struct nadb_option nadb_option;
struct nadb_option {
    const char *name; /* NULL: the end of a backend's table */
    nadb_option_kind kind;
    const char *initial; /* what holds when none is given, as a user would write
                            it; NULL: no text, or 0 */
    const nadb_option_word *words; /* or NULL */
    double least, most;            /* numbers, in the user's unit; 0, 0: none */
    double scale;        /* stored = given * scale; 1: whole numbers */
    const char *allowed; /* completes "'x' is not .." */
    /* Texts: says in *err what is wrong with it; or NULL. */
    nadb_rc (*check)(const nadb_option *opt, const char *value, nadb_err *err);
};

/* The text of an option; NULL when it was not given or is not a text. */
const char *nadb_option_text(const nadb_options *o, const char *name);
/* The number of an option as it is stored: times in ms, sizes in bytes, words
 * as their number, on/off as 1/0; 0 when there is none of that name. */
int64_t nadb_option_number(const nadb_options *o, const char *name);
/* Whether the statement named it. */
bool nadb_option_given(const nadb_options *o, const char *name);
/* Option keep_changes. */
nadb_keep nadb_option_keep(const nadb_options *o);
/* A check for options that name a file: NADB_INVALID for one that a shell would
 * have to read first. */
nadb_rc nadb_option_check_path(const nadb_option *opt, const char *value,
                               nadb_err *err);
/* NADB_INVALID: "option x: 'value' is not <allowed>". */
nadb_rc nadb_option_refuse(const nadb_option *opt, const char *value,
                           const char *allowed, nadb_err *err);

/* --- totals --- */

/* What is there, counted: rows that have expired and are not removed yet
 * included. core/kv/row.h counts an entry. */
typedef struct nadb_totals {
    bool known;
    uint64_t rows, key_bytes;
    uint64_t value_bytes;  /* of values, decoded */
    uint64_t stored_bytes; /* of values, as they are stored */
    uint64_t tags;         /* different ones */
} nadb_totals;

/* --- engines --- */

typedef struct nadb_engine nadb_engine; /* begins with `ops` */
typedef struct nadb_view nadb_view;     /* a snapshot; begins with `seq` */
typedef struct nadb_ticket nadb_ticket; /* a prepared commit, in doubt */
typedef struct nadb_match nadb_match;   /* a tag expression: core/kv/match.h */

/* A mixed transaction of a database file changes ordinary tables and a store
 * of the file, or several of its stores. Each leaves a stamp in the file and
 * in the store's record: a number that rises by one, and random bits that tell
 * two attempts with one number apart. Number 0: no stamp. */
typedef struct nadb_stamp {
    uint64_t number, nonce;
} nadb_stamp;

/* The database file that a store belongs to, as one connection sees it. */
typedef struct nadb_dbfile {
    /* True if the connection holds the file's write lock. */
    bool (*locked)(void *ctx);
    /* True if the connection's snapshot of the file is that of a statement that
     * has just begun: what was committed before is in it. */
    bool (*fresh)(void *ctx);
    /* The stamp in the connection's snapshot of the file. */
    nadb_rc (*stamp)(void *ctx, nadb_stamp *out, nadb_err *err);
    void *ctx;
} nadb_dbfile;

/* What a session remembers of comparing the file's stamps with the store's. */
typedef struct nadb_stamps_seen {
    bool any;       /* they have been compared, .. */
    uint64_t equal; /* .. and were equal at this number, or may differ there */
    nadb_stamp behind; /* the file lacked a stamp of the store, and had this */
} nadb_stamps_seen;

/* How long a statement has waited for servers so far, beyond what each answer
 * may take anyway. An engine on a server adds to it, and waits no more when it
 * is enough; the core clears it where a statement begins. */
typedef struct nadb_wait {
    int64_t taken_ns, ended_ns; /* .. as of the end of the last one */
} nadb_wait;

typedef struct nadb_waits {
    nadb_wait connecting, answers;
    nadb_wait asking;   /* what has become of a commit */
    nadb_wait replicas; /* for their acknowledgements */
    unsigned open; /* statements that read, of all sessions of the caller */
} nadb_waits;

/* For whom a view is read: a statement of an application's. May be asked while
 * locks of the store are held, but not in the midst of a commit. */
typedef struct nadb_caller {
    /* Whether it wants to stop waiting. */
    bool (*stopped)(void *ctx);
    /* Likewise, for what computes: it may take a little longer to answer. NULL:
     * it is not asked. */
    bool (*ticked)(void *ctx);
    /* Whether it can take a value of that many bytes, asked before memory is
     * taken for a large one: NADB_TOOBIG, NADB_NOMEM. */
    nadb_rc (*takes)(void *ctx, uint64_t bytes, nadb_err *err);
    void *ctx;
    nadb_waits *waits; /* NULL: nobody counts them */
} nadb_caller;

#define NADB_LARGE_BYTES 65536u /* values above it are asked about */

struct nadb_view {
    uint64_t seq;              /* commits up to this one are seen */
    const nadb_caller *caller; /* set by the core; NULL: none */
    bool may_lag;   /* nobody decides on what it shows: an engine on another
                       machine may answer from a cache that hears of changes a
                       moment later. Set anew after each view_refresh() */
    bool keys_only; /* of what is got, or walked, next: values are not used */
};

/* What a transaction asks to be made durable. Borrowed for the call. */
typedef struct nadb_commit_req {
    nadb_view *view;    /* what it read; NULL: nothing to check */
    nadb_iter *changes; /* forward over all changes, each key once; the callee
                           may seek() to the empty key to begin again */
    size_t count;       /* changes */
    size_t bytes;       /* of their keys and values, together */
    bool clear;         /* first remove everything that is there */
    const nadb_range *reads; /* ranges it decided on, in `view` */
    size_t n_reads;
    bool reads_all;  /* too many ranges to list: any commit conflicts */
    uint32_t claim;  /* the caller's own; 0 = none */
    uint64_t purged; /* rows it deletes because they have expired; to count */
    /* NULL: nothing expires. Whether what the snapshot `then` showed under a
     * key has expired by `now_ms`, so that its removal is no change. */
    nadb_rc (*expired)(nadb_engine *e, nadb_view *then, const nadb_entry *shown,
                       int64_t now_ms, bool *expired, nadb_err *err);
    nadb_stamp stamp; /* of a mixed transaction: its file decides on it */
    bool background;  /* the sweeper's: no change to any reader */
    nadb_durability sync;
    int64_t timeout_ms; /* how long to wait for locks */
    /* NULL: the changes are all there is. Else prepare calls it, perhaps
     * several times, while nobody can commit, with the present state in `now`;
     * it makes changes, count and bytes those of rows and indexes. */
    nadb_rc (*derive)(void *ctx, nadb_view *now, nadb_err *err);
    void *derive_ctx;
} nadb_commit_req;

typedef void nadb_stat_fn(void *ctx, const char *name, double value);
/* One line a problem; `what` names file, offset and key where they apply. */
typedef void nadb_report_fn(void *ctx, const char *what);
/* Whether what is under way should end. Locks of the store may be held. */
typedef bool nadb_stop_fn(void *ctx);
/* When to end before the end; NULL: never. */
typedef struct nadb_stop {
    nadb_stop_fn *ask; /* may be NULL */
    void *ctx;
} nadb_stop;

/* NADB_INTERRUPT when it is time to end. */
static inline nadb_rc nadb_stopped(const nadb_stop *stop, nadb_err *err) {
    if (stop == NULL || stop->ask == NULL || !stop->ask(stop->ctx))
        return NADB_OK;
    return nadb_fail(err, NADB_INTERRUPT, "interrupted");
}

/* --- stores that stay below a size --- */

/* A row that is to go, unless it was written since. */
typedef struct nadb_victim {
    nadb_slice key; /* without keyspace byte */
    int64_t updated_ms;
} nadb_victim;

/* Of an engine that does itself what core/kv/limits.c would have to ask and
 * change from afar. */
typedef struct nadb_limit_ops {
    /* The limit from now on; 0: none. `refuses`: a commit that would make the
     * store larger than that is NADB_FULL. */
    void (*set)(nadb_engine *e, uint64_t bytes_max, bool refuses);
    /* Removes rows; *rows and *bytes are raised, by as many as it has. */
    nadb_rc (*evict)(nadb_engine *e, const nadb_victim *list, size_t n,
                     uint64_t *rows, uint64_t *bytes, nadb_err *err);
} nadb_limit_ops;

typedef struct nadb_engine_ops {
    /* Closes; nothing of it is in use. What was committed is durable. */
    void (*close)(nadb_engine *e);

    /* A snapshot of now. Views belong to one connection at a time. */
    nadb_rc (*view_open)(nadb_engine *e, nadb_view **out, nadb_err *err);
    void (*view_close)(nadb_engine *e, nadb_view *v);
    /* Makes `v` a snapshot of now, keeping what can be kept. Nothing read
     * through it is in use any more. */
    nadb_rc (*view_refresh)(nadb_engine *e, nadb_view *v, nadb_err *err);
    /* Nothing read through `v` is in use, and nothing will be read before the
     * next view_refresh(): what the view pins may go. */
    void (*view_rest)(nadb_engine *e, nadb_view *v);

    /* Reads one key; no tombstones. The entry is PINNED or valid until the
     * next call on this view. *found is false on error. */
    nadb_rc (*get)(nadb_engine *e, nadb_view *v, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err);
    /* Optional (NULL). Keys that get() will be called for next, in this order:
     * a chance to read them together. They are borrowed for the call. */
    nadb_rc (*want)(nadb_engine *e, nadb_view *v, const nadb_slice *keys,
                    size_t n, nadb_err *err);
    /* No tombstones. `v` outlives the iterator; the range is copied. */
    nadb_rc (*iter)(nadb_engine *e, nadb_view *v, const nadb_range *range,
                    nadb_iter **out, nadb_err *err);

    /* Optional (NULL: it may). Whether the view may show entries of an index:
     * false is certain, and cheap to find out. */
    bool (*indexed)(nadb_engine *e, nadb_view *v);
    /* Optional (NULL: the core walks NADB_KS_TAG). Rows whose tags are what
     * `m` asks for, in the order of their keys, as iter() gives them; the
     * range is one of NADB_KS_ROW. `keys_only`: values may be empty. */
    nadb_rc (*match)(nadb_engine *e, nadb_view *v, const nadb_match *m,
                     const nadb_range *range, bool keys_only, nadb_iter **out,
                     nadb_err *err);
    /* Optional (NULL: the core deletes by ordinary transactions). Removes what
     * has expired, about `rows_max` rows; *removed is raised, *more says that
     * there may be others. */
    nadb_rc (*sweep)(nadb_engine *e, size_t rows_max, int64_t *removed,
                     bool *more, nadb_err *err);

    /* Optional (NULL). Makes prepares of others that change this key wait
     * until unclaim, so that who reads the key now can change it without a
     * conflict: `v` becomes a snapshot of now, as by view_refresh(). Waits for
     * those that are under way; when that takes longer than timeout_ms, *claim
     * is 0 and nothing is claimed: not an error. *claim may be set on error. */
    nadb_rc (*claim)(nadb_engine *e, nadb_view *v, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err);
    void (*unclaim)(nadb_engine *e, uint32_t claim);

    /* First half of a commit: checks conflicts (NADB_CONFLICT names the key),
     * makes the changes survive what req->sync promises, but shows them to
     * nobody. Until commit or rollback, writers of the same keys wait. On
     * error nothing has happened and *out is NULL. */
    nadb_rc (*prepare)(nadb_engine *e, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err);
    /* Second half: shows the changes. Cannot fail. Frees the ticket. */
    void (*commit)(nadb_engine *e, nadb_ticket *t);
    /* Takes the changes back. Frees the ticket, also on error. */
    nadb_rc (*rollback)(nadb_engine *e, nadb_ticket *t, nadb_err *err);

    /* Optional (NULL: there is no folder on this machine). A new file for what
     * is too large for memory, in the store's folder and without a name: it is
     * gone when its last mapping and descriptor are. */
    nadb_rc (*scratch)(nadb_engine *e, nadb_file **out, nadb_err *err);

    /* The next four are optional (NULL: not offered). They serve stores that
     * belong to a database file; core/engine/stamp.c says how. */

    /* Waits until no commit of others is in doubt, at most timeout_ms
     * (NADB_BUSY). The caller holds the file's write lock. `own`: its prepared
     * commit, or NULL. */
    nadb_rc (*settle)(nadb_engine *e, const nadb_dbfile *file,
                      const nadb_ticket *own, int64_t timeout_ms,
                      nadb_err *err);
    /* Makes `v`, a snapshot of now, the state that belongs to the file's
     * snapshot: waits for what the file has already (NADB_BUSY), steps back
     * from what it has not yet (NADB_CONFLICT if that state is gone). *seen is
     * the caller's memory between calls. NADB_CANTOPEN: the file is older than
     * the store. */
    nadb_rc (*align)(nadb_engine *e, nadb_view *v, const nadb_dbfile *file,
                     nadb_stamps_seen *seen, int64_t timeout_ms, nadb_err *err);
    /* Whether anything but sweeping was committed after `v`. */
    bool (*moved)(nadb_engine *e, const nadb_view *v);
    /* The last stamp that was committed. */
    nadb_stamp (*stamped)(nadb_engine *e);
    /* Leaves a stamped commit in doubt: the file decides later. Frees the
     * ticket. */
    void (*abandon)(nadb_engine *e, nadb_ticket *t);

    /* Optional (NULL: nothing is kept). Another opener asks for so much of
     * changes to be kept; the most that was asked for counts. */
    void (*keep)(nadb_engine *e, nadb_keep keep);
    /* Optional (NULL: not offered). The changes with since < seq that the view
     * sees. NADB_INVALID when they are not kept, or `since` is no number of
     * this store. `v` outlives the walk. */
    nadb_rc (*changes)(nadb_engine *e, nadb_view *v, uint64_t since,
                       nadb_changes **out, nadb_err *err);
    /* Optional (NULL: not offered). Sleeps until the last commit is not `since`
     * any more, or timeout_ms are over. *seq: the last commit. */
    nadb_rc (*wait)(nadb_engine *e, uint64_t since, int64_t timeout_ms,
                    const nadb_stop *stop, uint64_t *seq, nadb_err *err);

    /* Everything committed is in its final place and synced. */
    nadb_rc (*flush)(nadb_engine *e, nadb_err *err);
    /* Rewrites so that no dead data is left; NADB_INTERRUPT when `stop` (NULL:
     * never) said so before it was done. NULL: nothing to compact. */
    nadb_rc (*compact)(nadb_engine *e, nadb_stop_fn *stop, void *ctx,
                       nadb_err *err);
    /* Reads every byte; calls `report` once a problem. */
    nadb_rc (*check)(nadb_engine *e, nadb_report_fn *report, void *ctx,
                     nadb_err *err);
    /* Calls `emit` with each of its numbers (names of nadb_stats). */
    void (*stats)(nadb_engine *e, nadb_stat_fn *emit, void *ctx);
    /* Optional (NULL: they are not kept). What `v` shows, without a walk over
     * it; not known where that would take one. */
    nadb_rc (*totals)(nadb_engine *e, nadb_view *v, nadb_totals *out,
                      nadb_err *err);
    /* Optional (NULL: the core does it). It comes with totals(). */
    const nadb_limit_ops *limit;
    /* Optional (NULL). Forgets cached rows; returns the bytes freed. */
    uint64_t (*cache_drop)(nadb_engine *e);
    /* Optional (NULL: close() leaves nothing). Removes all that there is of
     * the store, and closes, also on error. */
    nadb_rc (*destroy)(nadb_engine *e, nadb_err *err);
} nadb_engine_ops;

struct nadb_engine {
    const nadb_engine_ops *ops;
};

/* --- bases: what lies under the shared log and memtable --- */

typedef struct nadb_base nadb_base; /* begins with `ops` */
typedef struct nadb_base_version nadb_base_version;

/* One immutable state of the base, as MANIFEST describes it. Reference
 * counted (atomic); every file it names stays there until the last one goes
 * (of this process: other processes are protected by remove_unused). */
struct nadb_base_version {
    uint64_t generation; /* rises by one with every new state; 0 = fresh */
    uint64_t first_log;  /* logs below this one are contained in the base */
    uint64_t seq;        /* highest sequence number contained */
    uint64_t clear_seq;  /* everything up to this one was cleared */
    uint64_t bytes;      /* of its files; bases on a server: 0 */
    uint64_t last_file;  /* highest number of a file of its own; 0: none */
    bool indexed;        /* may hold keys of other keyspaces than rows */
    nadb_totals totals;  /* of all that it shows */
    /* What was written when it was made here; zeros otherwise. */
    uint64_t made_entries, made_bytes;
};

/* What the base may ask of its owner. */
typedef struct nadb_base_env {
    const nadb_os *os;
    const nadb_options *options;
    nadb_home *home; /* the store's directory; outlives the base */
    const char *dir; /* its path, for messages */
    bool read_only;
    bool mmap; /* read through mappings; else by pread, into own memory */
    /* The store was left in good order by the last who had it open: whether
     * its files are all there may be found out when they are first read. */
    bool in_order;
    void *ctx;
    /* A file number never used before. */
    nadb_rc (*next_file)(void *ctx, uint64_t *out, nadb_err *err);
    /* No reader anywhere needs versions of a key below this sequence number
     * once a newer one is in the base. */
    uint64_t (*oldest_seq)(void *ctx);
    /* What the processes that have the store open share of the base's own;
     * zeros when nobody had. */
    _Atomic uint64_t *words; /* NADB_BASE_WORDS of them */
} nadb_base_env;

#define NADB_BASE_WORDS 3

/* Takes what can still be read of damaged files, oldest first, so that each
 * change replaces what came before it (core/engine/salvage.h). */
typedef struct nadb_salvage {
    void *ctx;
    nadb_report_fn *report; /* one line a fault: file, offset, key */
    /* A row, or a tombstone of one; key with keyspace byte. Borrowed. */
    nadb_rc (*change)(void *ctx, const nadb_entry *e, nadb_err *err);
    /* Everything so far was cleared. */
    nadb_rc (*clear)(void *ctx, nadb_err *err);
    /* The key's newest change cannot be read: what came before is outdated. */
    nadb_rc (*lose)(void *ctx, nadb_slice key, nadb_err *err);
    /* Likewise of those keys from lo to hi (NULL: without bound; both excluded)
     * that `hit` says yes to. */
    nadb_rc (*lose_range)(void *ctx, nadb_slice lo, nadb_slice hi,
                          bool (*hit)(void *arg, nadb_slice key), void *arg,
                          nadb_err *err);
} nadb_salvage;

typedef struct nadb_flush_req {
    nadb_iter *entries; /* forward, newest version a key, with tombstones */
    size_t bytes;       /* about; to size filters */
    size_t count;       /* about */
    uint64_t first_log; /* of the state after the flush */
    uint64_t seq;
    uint64_t clear_seq;
    /* Of the state after the flush, when `entries` has come to its end. */
    const nadb_totals *totals;
} nadb_flush_req;

/* No dead data is to be left of changes up to `seq`, in files numbered below
 * `file`. What comes while it is done does not count, so that it ends. */
typedef struct nadb_compact_goal {
    uint64_t seq, file;
    const nadb_stop *stop; /* asked inside a step that may take long */
} nadb_compact_goal;

/* --- bases on a server: they take whole transactions --- */

/* A place between two transactions in the logs of a store: later ones are
 * greater, by log and then by offset, and none is ever used again. */
typedef struct nadb_place_in_log {
    uint64_t log, off;
} nadb_place_in_log;

/* A committed transaction. */
typedef struct nadb_record {
    nadb_place_in_log end; /* behind it */
    bool clear;            /* all that was before it is gone */
    size_t count, bytes;   /* of changes */
} nadb_record;

/* Committed transactions in the order in which they are in the logs. Keys and
 * values of changes outlive the walk. */
typedef struct nadb_records nadb_records;
struct nadb_records {
    /* To the first that ends behind `place`. */
    void (*seek)(nadb_records *r, nadb_place_in_log place);
    nadb_rc (*next)(nadb_records *r, nadb_record *out, bool *found,
                    nadb_err *err);
    /* The next change of the transaction; false behind the last one. */
    bool (*change)(nadb_records *r, nadb_entry *out);
    const nadb_stop *stop; /* asked before each piece that is sent */
};

/* What such a base does besides. Its version's iter() shows rows without
 * tombstones, and its flush() has no entries to write: all that is below
 * first_log has been drained. */
typedef struct nadb_remote_ops {
    /* Whose time what this thread asks for next takes; NULL: nobody's. */
    void (*serve)(const nadb_caller *caller);
    /* Before a commit, or a claim (req NULL): whether it may be taken at all.
     */
    nadb_rc (*admit)(nadb_base *b, const nadb_commit_req *req, nadb_err *err);
    /* Whether somebody else has written to the server, so that memtables and
     * views may hold what is older. Nothing is committed until fresh() says
     * that no memtable holds anything: that raises epoch(), and whoever has
     * decided on what he read in an earlier epoch conflicts. */
    bool (*is_stale)(nadb_base *b);
    nadb_rc (*fresh)(nadb_base *b, nadb_err *err);
    uint64_t (*epoch)(nadb_base *b);
    /* After a flush: an error where something that was committed here could not
     * be sent. */
    nadb_rc (*flushed)(nadb_base *b, nadb_err *err);
    /* Sends all of `records`, from what the server has already on; `from` is
     * what the caller believes that to be. Called as flush() is, also when
     * there is nothing to send: keeps up what the base needs for it. */
    nadb_rc (*drain)(nadb_base *b, nadb_records *records,
                     nadb_place_in_log from, nadb_err *err);
    /* As those of nadb_engine_ops, of what has been drained. */
    nadb_rc (*match)(nadb_base_version *v, const nadb_match *m,
                     const nadb_range *range, bool keys_only, nadb_iter **out,
                     nadb_err *err);
    nadb_rc (*sweep)(nadb_base *b, size_t rows_max, int64_t *removed,
                     bool *more, nadb_err *err);
    /* Reads rows that get() would be called for next, in this order, together.
     * They are held in *ahead, which is NULL at first and goes with forget().
     */
    nadb_rc (*want)(nadb_base *b, nadb_view **ahead, const nadb_slice *keys,
                    size_t n, nadb_err *err);
    /* False: the key is not among them. The entry lasts until the next call. */
    bool (*wanted)(nadb_view *ahead, nadb_slice key, nadb_entry *out,
                   bool *found);
    void (*forget)(nadb_view *ahead);
    /* The last process closes the store. */
    void (*leave)(nadb_base *b);
    /* Removes all that there is of the store on the server. */
    nadb_rc (*destroy)(nadb_base *b, nadb_err *err);
} nadb_remote_ops;

typedef struct nadb_base_ops {
    const nadb_remote_ops *remote; /* NULL: the base is files */
    const char *manifest_magic;    /* the first 8 bytes of its MANIFEST */
    nadb_rc (*open)(const nadb_base_env *env, nadb_base **out, nadb_err *err);
    void (*close)(nadb_base *b);

    /* The state that MANIFEST holds now, tables opened; a reference that the
     * caller unrefs. A store without MANIFEST is the empty version 0. Tables
     * that are open in another live version of this base are shared. */
    nadb_rc (*version_open)(nadb_base *b, nadb_base_version **out,
                            nadb_err *err);
    void (*version_ref)(nadb_base_version *v);
    void (*version_unref)(nadb_base_version *v);

    /* Tombstones are found too (flags say so). Thread-safe. out->key is
     * `key`. Where nothing is mapped the bytes are put into *scratch, which
     * the caller owns and may use for call after call; such an entry is not
     * PINNED and lasts as long as *scratch is left alone. *found is false on
     * error. */
    nadb_rc (*get)(nadb_base_version *v, nadb_slice key, nadb_buf *scratch,
                   nadb_entry *out, bool *found, nadb_err *err);
    /* Without tombstones. Takes its own reference. */
    nadb_rc (*iter)(nadb_base_version *v, const nadb_range *range,
                    nadb_iter **out, nadb_err *err);

    /* The next four are called by one thread of one process at a time (it
     * holds the store's flusher lock). Each returns, in *out, a reference to
     * the new state after it is durable in MANIFEST (tables and directory
     * synced before the rename). On error the old state holds, and files
     * written in vain are removed. */
    nadb_rc (*flush)(nadb_base *b, const nadb_flush_req *req,
                     nadb_base_version **out, nadb_err *err);
    /* One bounded step of compaction: of what is due or, with a goal, of what
     * is left to do for it. *out is NULL when that is nothing. */
    nadb_rc (*compact_step)(nadb_base *b, const nadb_compact_goal *goal,
                            nadb_base_version **out, nadb_err *err);
    /* Unlinks its files that neither MANIFEST nor any process that is at
     * `oldest_generation` or later can need. */
    nadb_rc (*remove_unused)(nadb_base *b, uint64_t oldest_generation,
                             nadb_err *err);

    nadb_rc (*check)(nadb_base_version *v, nadb_report_fn *report, void *ctx,
                     nadb_err *err);
    /* Optional (NULL: not offered). Reads what it can of the files in
     * env->home, whatever is wrong with them. *first_log: older logs are
     * contained; 0: nobody knows. */
    nadb_rc (*salvage)(const nadb_base_env *env, const nadb_salvage *to,
                       uint64_t *first_log, nadb_err *err);
    void (*stats)(nadb_base_version *v, nadb_stat_fn *emit, void *ctx);
} nadb_base_ops;

struct nadb_base {
    const nadb_base_ops *ops;
};

/* --- a backend --- */

typedef struct nadb_backend nadb_backend;
struct nadb_backend {
    const char *name; /* as in backend='..' */
    unsigned caps;
    const char *summary; /* one line, for nadb_backends */
    const char *uses;    /* another library, for nadb_debug; or NULL */
    /* Options that this backend alone knows, up to one without a name; NULL:
     * none. */
    const nadb_option *options;
    /* Optional (NULL: nothing). Appends, by nadb_identity_add(), what decides
     * which store the options mean and how it is reached, beside its path, db
     * and namespace: two tables share a store in a process only where all of
     * it is equal. NADB_INVALID: the options contradict each other. */
    nadb_rc (*identity)(const nadb_options *options, nadb_buf *out,
                        nadb_err *err);
    /* engines: */
    nadb_rc (*engine_open)(const nadb_options *options, nadb_engine **out,
                           nadb_err *err);
    /* bases: */
    const nadb_base_ops *base;
    /* engines: what it is with write=buffered; NULL: what it always is */
    const nadb_backend *buffered;
};

/* The one that these options ask for, in the form in which they do; NULL: there
 * is none. In core/options.c. */
const nadb_backend *nadb_backend_for(const nadb_options *options);
/* Adds a name and its value (NULL: none); false when out of memory. */
bool nadb_identity_add(nadb_buf *identity, const char *name,
                       const char *value) NADB_MUST_USE;
bool nadb_identity_add_number(nadb_buf *identity, const char *name,
                              int64_t value) NADB_MUST_USE;

/* --- backends/registry.c --- */

/* NULL when there is none of that name. */
const nadb_backend *nadb_backend_find(const char *name);
/* The i-th, from 0; NULL past the end. */
const nadb_backend *nadb_backend_at(size_t i);
/* Puts one behind the others, by one thread; false: there is no room. */
#define NADB_LOADED_MAX 16
bool nadb_backend_add(const nadb_backend *b) NADB_MUST_USE;

/* --- core/load.c --- */

/* Whether the engine has all operations that are not optional; those that
 * change something are optional with NADB_CAP_READ_ONLY. */
bool nadb_engine_is_complete(const nadb_backend *b, const nadb_engine_ops *ops);

#endif
