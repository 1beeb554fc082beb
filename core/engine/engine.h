/* engine.h - the engine that core/engine makes of a log and a memtable over a
 * base. Private to the files of core/engine; the rest of the core sees a
 * nadb_engine.
 *
 * Each file names only functions of files above it in this list:
 *
 *   control.c    the file that the processes of a store share
 *   wal.c        a log: appending and reading records
 *   memtable*.c  the index over a log
 *   workers.c    the two background threads
 *   logs.c       finds logs by number; unlinks retired ones
 *   lock.c       the commit lock; finding dead openers
 *   doubt.c      records in doubt, and the steps of a commit
 *   version.c    current memtables and base state; views; reading
 *   space.c      the spare file, which is given up on a full disk
 *   sync.c       syncing the log
 *   directory.c  finding, verifying and making the store's directory
 *   scratch.c    files without a name
 *   history.c    files of kept changes
 *   changes.c    walks over changes, in logs and history
 *   totals.c     exact numbers of rows, bytes and tags
 *   repair.c     finishes what a dead process began
 *   stamp.c      commits that a database file decides
 *   drain.c      sends commits to a server
 *   conflict.c   conflict checks and claims
 *   flush.c      new logs, flush, compaction
 *   remote.c     reads and commits where the base is on a server
 *   stats.c      statistics; nadb_check
 *   commit.c     prepare, commit, rollback
 *   recover.c    rebuilds control and indexes
 *   owned.c      stores that belong to a database file
 *   open.c       opening and closing
 *   remove.c     removing a store
 *   salvage.c    reading a damaged store
 *
 * Locks, in the order in which they are taken:
 *
 *   flush_lock     in this process: the work of the flusher
 *   flusher word   in control: the same, among processes
 *   sync_lock      in this process: one thread syncs the log for all
 *   commit lock    in control: deriving, appending, linking and publishing.
 *                  Only a rollback syncs while it holds it.
 *   version_lock   in this process: the lists of versions and views */
#ifndef NADB_ENGINE_H
#define NADB_ENGINE_H

#include "../backend.h"
#include "../options.h"
#include "../util/monitor.h"
#include "control.h"
#include "memtable.h"

/* With so many live memtables a writer waits for the flush. */
#define ENGINE_LOGS_MAX 6u
/* So many more may be begun by clears while the disk is too full to flush. */
#define ENGINE_LOGS_MORE 2u

/* A state of the store as this process has it open. Immutable but for
 * `refs`. */
typedef struct engine_version {
    _Atomic uint32_t refs;
    uint64_t generation; /* of the control descriptor */
    uint32_t index;      /* of the control descriptor */
    /* sequence number that was visible when it was published */
    uint64_t seq;
    uint64_t first_log, last_log;
    nadb_base_version *base;
    struct engine_version *next; /* list engine.versions */
    size_t n_logs;
    memtable *logs[]; /* newest first; [0] is the active one */
} engine_version;

enum { VIEW_RESTING = 0, VIEW_USED = 1, VIEW_STOLEN = 2 };

typedef struct engine_view {
    nadb_view base;
    _Atomic uint32_t state;  /* VIEW_*: whether the version may be released */
    engine_version *version; /* NULL once it was released */
    /* a clear hides everything up to it, and the base if it is not 0 */
    uint64_t floor;
    nadb_buf scratch; /* bytes of an entry that is not mapped */
    nadb_view *ahead; /* prefetched rows of a base on a server */
    /* of a base on a server, when the view was refreshed */
    uint64_t epoch;
    struct engine_view *next, **link; /* list engine.views */
} engine_view;

struct engine;

/* The work of the background threads for an engine (workers.c). */
typedef struct engine_duties {
    /* Short work, once per flush_interval. */
    void (*tend)(struct engine *s);
    /* One step of flush or compaction; *more: work is left. */
    nadb_rc (*work)(struct engine *s, bool *more, nadb_err *err);
} engine_duties;

/* How the engine works with its base. open.c chooses one of two: over files,
 * or over a server. */
typedef struct engine_traits {
    /* Commits are sent to the base as whole transactions (drain.c), so a flush
     * has no entries left to write. */
    bool drains;
    /* A version of the base keeps showing its state. If not, conflict checks
     * need the logs: they are retired instead of unlinked. */
    bool immutable;
    bool counts;        /* flushes keep exact totals (totals.c) */
    bool keeps_changes; /* flushes may write the history (history.c) */
    bool keeps_spare;   /* the spare file is of use (space.c) */
    bool may_come_back; /* an I/O error may pass: it is NADB_BUSY */
    /* Called before a commit; may be NULL. */
    nadb_rc (*ready)(struct engine *s, const nadb_commit_req *req,
                     nadb_err *err);
} engine_traits;

typedef struct engine {
    nadb_engine engine;
    const engine_traits *traits;
    const nadb_remote_ops *remote; /* the base's, or ones that do nothing */
    const engine_duties *duties;
    nadb_rc (*repair)(struct engine *s, nadb_err *err); /* repair.c */
    const nadb_os *os;
    const nadb_options *options;
    char *dir;               /* path of the directory, for messages */
    char *db_name, *ns_name; /* its last two components */
    char *control_path;
    nadb_home home;
    /* Options that a later opener of the store may change. */
    _Atomic uint64_t buffer_bytes;
    _Atomic int64_t flush_interval_ms;
    _Atomic int synchronous; /* nadb_durability */
    _Atomic int64_t busy_timeout_ms;

    /* True: the background threads tend the store. A store that no other
     * process has open and that was closed in good order starts with false; its
     * first write or second statement sets it. */
    atomic_bool awake;
    atomic_bool has_read; /* while not awake: one statement has ended */

    /* Sweeps a bounded number of expired rows; returns true if more are left.
     * NULL: no sweeper is set. */
    bool (*_Atomic sweep)(void *ctx);
    void *sweep_ctx;
    _Atomic(nadb_monitor *) monitor; /* NULL: no monitor */

    /* read-only opener with control and indexes in private memory */
    bool private_memory;
    bool sync_failed; /* found a control whose sync had failed: rebuild it */
    bool forked;      /* inherited through fork(): not usable */

    control ctl;
    const nadb_base_ops *base_ops;
    nadb_base *base;

    nadb_mutex version_lock;
    engine_version *versions; /* newest first; the first is the current one and
                                 holds an extra reference */
    engine_view *views;
    /* The version before the last flush, if the store has stamps: readers with
     * an older snapshot of the database file step back to it. Holds a
     * reference; under version_lock. */
    engine_version *kept;
    /* The last stamp at opening, if no other process had the store open: a
     * snapshot of the database file without this stamp is of an older file, or
     * from before the opening. Otherwise 0. */
    uint64_t opened_stamp;
    int64_t kept_until_ns; /* monotonic */
    /* versions are not pinned in control; only while not awake */
    bool unpinned;

    nadb_mutex sync_lock;
    /* A sync of a log has failed in this process. The system reports that once,
     * so a later sync would wrongly succeed. */
    atomic_bool unsyncable;
    nadb_mutex flush_lock;
    /* the spare file is complete, as far as this process knows */
    atomic_bool spare_kept;
    /* The next round sends what is committed. Set every flush_interval, by
     * those who need it on the server, and by rounds that failed. */
    atomic_bool work_due; /* set by nadb_workers_kick() */
    atomic_bool drain_due;
    /* unused files could not be removed because of readers; under flush_lock */
    bool unused_left;
    _Atomic int64_t commit_ns; /* start of the last commit (monotonic) */
    /* last check of the directory's path (monotonic) */
    _Atomic int64_t place_ns;
    bool uncounted; /* the base is unreadable and could not be counted, do not
                       try again; under flush_lock */
    /* the record being built; under the commit lock */
    nadb_buf scratch;
    /* An unused ticket for the next commit, or NULL. */
    _Atomic(struct engine_ticket *) spare_ticket;
    nadb_err flush_error; /* of the last flush; under version_lock */
    nadb_err sync_error;  /* of the last background sync; under version_lock */
} engine;

typedef struct engine_ticket {
    uint64_t purged;
    memtable *m;
    uint64_t off, length;
    uint32_t doubt; /* index of the doubt */
} engine_ticket;

static inline engine *engine_of(nadb_engine *e) { return (engine *)e; }

/* --- engine/lock.c --- */

nadb_rc engine_check_usable(engine *s, nadb_err *err) NADB_MUST_USE;
/* Takes the commit lock. If its last holder died, first repairs what it
 * left. */
nadb_rc engine_lock(engine *s, int64_t timeout_ms, nadb_err *err) NADB_MUST_USE;
void engine_unlock(engine *s);
/* Takes the commit lock, decides the doubts of dead openers and frees their
 * slots. */
nadb_rc engine_repair_now(engine *s, int64_t timeout_ms, nadb_err *err);
/* True if a dead opener left a slot or a doubt. */
bool engine_has_dead(engine *s);
/* Fails with NADB_READONLY: this opener may not write. */
nadb_rc engine_read_only(const engine *s, nadb_err *err);
/* Makes the next sole opener build control anew; returns NADB_CORRUPT. */
nadb_rc engine_distrust(engine *s, nadb_err *err);
/* True if the doubt's slot is no opener's. nadb never leaves this state, so it
 * is damage; the record is treated like that of a dead opener. */
bool engine_is_orphan(const control_map *map, const control_doubt *d);

/* --- engine/logs.c --- */

/* The log of that number in `v`; NULL if it is not live. */
memtable *engine_log(const engine_version *v, uint64_t number);
/* A reference to the memtable of a log, which is opened if necessary. May be
 * called under the commit lock. */
nadb_rc engine_log_ref(engine *s, uint64_t number, memtable **out,
                       nadb_err *err) NADB_MUST_USE;
/* Unlinks a log and its index; errors are ignored. */
void engine_unlink_log(engine *s, uint64_t number);
/* The logs that were retired since the version `then`, newest first. */
#define ENGINE_RETIRED_MAX 1000u
typedef struct engine_retired {
    size_t n;
    bool complete; /* false: some were removed, so any key may have changed */
    memtable *logs[ENGINE_RETIRED_MAX];
} engine_retired;
nadb_rc engine_retired_get(engine *s, const engine_version *now,
                           const engine_version *then, engine_retired *out,
                           nadb_err *err) NADB_MUST_USE;
void engine_retired_free(engine_retired *r);
/* Unlinks all retired logs. REQUIRES: no process needs them. */
nadb_rc engine_unlink_retired(engine *s, nadb_err *err) NADB_MUST_USE;

/* --- engine/doubt.c --- */

/* Frees the place of a doubt and wakes the threads that wait for doubts. */
void engine_doubt_end(engine *s, uint32_t doubt);
/* Its record is taken back, but that cannot be written into the log now:
 * DOUBT_VOID keeps it from being linked, and engine_void_retry() writes it
 * later. Called by the owner, also without the commit lock. */
void engine_doubt_void(engine *s, uint32_t doubt);
/* The longest sleep of a writer that waits for a doubt. */
#define ENGINE_DOUBT_MS 20
/* How long at least a reader waits for a state that another thread is about to
 * publish, even with a shorter busy_timeout: a commit may link many rows, and a
 * flusher sync a directory. */
#define ENGINE_LEAST_MS 1000
/* Sleeps until a doubt has ended since doubt_events was `seen`, at most
 * timeout_ms, and repairs after dead openers. REQUIRES: the commit lock is not
 * held. */
void engine_doubt_wait(engine *s, uint32_t seen, int64_t timeout_ms);
/* Finds a free place; it stays free while the commit lock is held. REQUIRES:
 * the commit lock. */
bool engine_doubt_free(engine *s, uint32_t *out);
/* Commits a doubt: links its record and makes it visible. REQUIRES: the commit
 * lock. */
void engine_apply(engine *s, memtable *m, uint32_t doubt);
/* Links the entries of the record at `off` as commit `seq`. May be repeated:
 * entries that are linked already stay. REQUIRES: the commit lock, or the open
 * byte in a recovery. */
nadb_rc engine_link(memtable *m, uint64_t off, uint64_t end, uint64_t seq,
                    bool check, nadb_err *err) NADB_MUST_USE;
/* Takes the owner from a stamped record. REQUIRES: the commit lock. */
void engine_orphan(engine *s, control_doubt *d);
/* Called after a commit: wakes the threads in nadb_wait. */
void engine_tell_waiters(engine *s);

/* --- engine/sync.c --- */

/* Fails with NADB_IOERR: a sync has failed, so nothing more is written. */
nadb_rc engine_refuse_writes(const engine *s, nadb_err *err);
/* Syncs the file of a log. After an error no process writes, and this one syncs
 * no log again. */
nadb_rc engine_sync_log(engine *s, const memtable *m,
                        nadb_err *err) NADB_MUST_USE;
/* Syncs everything before this wal_place. */
nadb_rc engine_sync_to(engine *s, uint64_t place, nadb_err *err) NADB_MUST_USE;
/* Notes in control that everything before this wal_place is synced. */
void engine_synced_raise(control_map *map, uint64_t place);
/* Syncs everything, unless synchronous=off. An error is kept in sync_error. */
void engine_sync_in_background(engine *s);
/* Keeps an error of background work in `where`, a member of the engine. The
 * application has no call to return it from, so it is also reported once
 * (nadb_alarm()). */
void engine_note_error(engine *s, nadb_err *where, const nadb_err *e);
/* Counts and logs background work; `made` (may be NULL) is its result. */
void engine_count(engine *s, nadb_op op, const nadb_span *span,
                  const nadb_base_version *made, nadb_rc rc,
                  const nadb_err *err);

/* --- engine/version.c --- */

/* Message; its argument is the store's folder. */
#define ENGINE_MANIFEST_OLD                                                    \
    "%s/MANIFEST is missing or older than the state that the store was left "  \
    "in: put the right one back, or restore a whole backup"

/* Returns a reference to the current version. REQUIRES: the commit lock is not
 * held, since this may wait until a flusher publishes. */
nadb_rc engine_version_get(engine *s, engine_version **out,
                           nadb_err *err) NADB_MUST_USE;
void engine_version_unref(engine *s, engine_version *v); /* NULL is fine */
nadb_rc engine_view_open(nadb_engine *e, nadb_view **out, nadb_err *err);
void engine_view_close(nadb_engine *e, nadb_view *v);
nadb_rc engine_view_refresh(nadb_engine *e, nadb_view *v, nadb_err *err);
void engine_view_rest(nadb_engine *e, nadb_view *v);
/* Sets `awake`. REQUIRES: no lock. */
nadb_rc engine_wake(engine *s, nadb_err *err) NADB_MUST_USE;
bool engine_indexed(nadb_engine *e, nadb_view *v);
/* Makes a view on the caller's stack that shows commits up to `seq`. The caller
 * keeps the version referenced and clears v->scratch. */
void engine_view_init(engine_view *v, engine_version *version, uint64_t seq);
/* Moves the view back to `seq`. False: that state is gone. */
bool engine_view_back(engine *s, engine_view *v, uint64_t seq);
void engine_kept_drop(engine *s);
/* Releases old versions of idle views, and engine.kept when its time has
 * passed. */
void engine_views_trim(engine *s);
/* Publishes the version that has the new active memtable `m` in front of the
 * logs of `from`, the current version. Takes the reference to m on success.
 * REQUIRES: the commit lock. */
nadb_rc engine_version_adopt(engine *s, const engine_version *from, memtable *m,
                             engine_version **out, nadb_err *err) NADB_MUST_USE;
/* Publishes a state of the base if it is newer than the current one. REQUIRES:
 * the commit lock. */
void engine_base_publish(engine *s, const nadb_base_version *base);

/* Reads a key in the memtables only; *found also for a tombstone. */
nadb_rc engine_get_recent(engine_view *v, nadb_slice key, nadb_entry *out,
                          bool *found, nadb_err *err);
nadb_rc engine_get(nadb_engine *e, nadb_view *v, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err);
nadb_rc engine_iter(nadb_engine *e, nadb_view *v, const nadb_range *range,
                    nadb_iter **out, nadb_err *err);
/* Merges the memtables of a view with its base or, with `changes`, only the
 * memtables: each key that they change once, with tombstones. */
nadb_rc engine_iter_logs(engine *s, const engine_view *v,
                         const nadb_range *range, bool changes, nadb_iter **out,
                         nadb_err *err) NADB_MUST_USE;

/* --- engine/commit.c --- */

nadb_rc engine_prepare(nadb_engine *e, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err);
void engine_commit(nadb_engine *e, nadb_ticket *t);
nadb_rc engine_rollback(nadb_engine *e, nadb_ticket *t, nadb_err *err);

/* Writes an empty record that says that everything before it is synced, so that
 * later damage there is not mistaken for a torn end. Errors are ignored. */
void engine_witness(engine *s);
/* --- engine/conflict.c --- */

nadb_rc engine_claim(nadb_engine *e, nadb_view *v, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void engine_unclaim(nadb_engine *e, uint32_t claim);
/* Claims all keys for a clear, so that no new claims are made until it is
 * unclaimed. Does nothing if *claim is set or no place is free. REQUIRES: the
 * commit lock. */
void engine_claim_all(engine *s, uint32_t *claim);
/* NADB_CONFLICT if something that the request has read changed since its view.
 * REQUIRES: the commit lock. */
nadb_rc engine_check(engine *s, engine_version *v, const nadb_commit_req *req,
                     nadb_err *err) NADB_MUST_USE;
/* *clash: a record in doubt, or the claim of another opener, has a key of the
 * request. */
nadb_rc engine_clash(engine *s, const engine_version *v,
                     const nadb_commit_req *req, bool *clash,
                     nadb_err *err) NADB_MUST_USE;

/* --- engine/repair.c --- */

/* The function behind engine.repair: decides the doubts of dead openers and
 * frees their slots. REQUIRES: the commit lock. */
nadb_rc engine_repair(engine *s, nadb_err *err) NADB_MUST_USE;
/* Writes "taken back" into the records of DOUBT_VOID doubts, for which that
 * write failed before. */
void engine_void_retry(engine *s);
/* --- engine/stamp.c --- */

/* Operations of nadb_engine_ops. */
nadb_rc engine_settle(nadb_engine *e, const nadb_dbfile *file,
                      const nadb_ticket *own, int64_t timeout_ms,
                      nadb_err *err);
nadb_rc engine_align(nadb_engine *e, nadb_view *v, const nadb_dbfile *file,
                     nadb_stamps_seen *seen, int64_t timeout_ms, nadb_err *err);
bool engine_moved(nadb_engine *e, const nadb_view *v);
nadb_stamp engine_stamped(nadb_engine *e);
void engine_abandon(nadb_engine *e, nadb_ticket *t);

/* --- engine/flush.c --- */

/* Fails with NADB_TOOBIG: a transaction does not fit into a log. */
nadb_rc engine_too_big(uint64_t bytes, nadb_err *err);
/* Begins a new log with room for a record of `need` bytes and publishes it.
 * *out: a reference to the version that follows `from`, the current one;
 * unchanged on error. REQUIRES: the commit lock. */
nadb_rc engine_rotate(engine *s, const engine_version *from, uint64_t need,
                      engine_version **out, nadb_err *err) NADB_MUST_USE;
/* One round of the flusher: flushes all frozen logs and makes one step of
 * compaction. *more: work is left. */
nadb_rc engine_work(engine *s, bool *more, nadb_err *err) NADB_MUST_USE;
/* A round that sends what is committed to the server. */
nadb_rc engine_send(engine *s, nadb_err *err) NADB_MUST_USE;
nadb_rc engine_flush(nadb_engine *e, nadb_err *err);
/* After NADB_FULL: releases versions of idle views and gives up the spare file.
 * REQUIRES: flush_lock, so that a flush uses the space first. */
void engine_find_space(engine *s);
/* Freezes the active log if it is full, as a large transaction can leave it, so
 * that its flush does not wait for the next writer. */
void engine_freeze_full(engine *s);
/* Called by the last opener: flushes if the logs are larger than
 * CLOSE_BYTES. */
void engine_flush_at_close(engine *s);
nadb_rc engine_compact(nadb_engine *e, nadb_stop_fn *stop, void *ctx,
                       nadb_err *err);

/* --- engine/space.c --- */

/* Makes or fills the spare file if the disk has room. */
void engine_spare_keep(engine *s);
/* Gives up the spare file, or the half of it that is for deletes. False: there
 * was nothing to give up. */
bool engine_spare_spend(engine *s, bool all);

/* --- engine/scratch.c --- */

/* Operation of nadb_engine_ops. */
nadb_rc engine_scratch(nadb_engine *e, nadb_file **out, nadb_err *err);
/* --- engine/changes.c --- */

/* Operations of nadb_engine_ops. */
nadb_rc engine_changes(nadb_engine *e, nadb_view *v, uint64_t since,
                       nadb_changes **out, nadb_err *err);
nadb_rc engine_wait(nadb_engine *e, uint64_t since, int64_t timeout_ms,
                    const nadb_stop *stop, uint64_t *seq, nadb_err *err);
/* A walk over the changes in all segments and all logs whose index lists
 * commits. */
struct history_segment;
typedef nadb_rc engine_changes_fn(engine *s, memtable *const *logs,
                                  size_t n_logs,
                                  const struct history_segment *segments,
                                  size_t n, nadb_changes **out, nadb_err *err);
engine_changes_fn engine_all_changes;

/* --- engine/history.c --- */

/* How many changes the store keeps, by the options of all openers. */
nadb_keep engine_keep(const engine *s);
static inline bool engine_keeps(const engine *s) {
    return nadb_keeps(engine_keep(s));
}
/* True if changes are to be kept and the active log does not list them. */
static inline bool engine_keep_begins(const engine *s,
                                      const engine_version *v) {
    return engine_keeps(s) && atomic_load(&v->logs[0]->head->keeps) == 0;
}
/* Adds the option of an opener. `first`: no other opener has the store open. */
void engine_keep_set(engine *s, nadb_keep mine, bool first);
void engine_keep_raise(nadb_engine *e, nadb_keep keep);
/* Writes the changes of the oldest `n` logs of v, which are flushed as `req`,
 * into the history; `all` is engine_all_changes(). REQUIRES: the flusher
 * word. */
nadb_rc engine_history_add(engine *s, const engine_version *v, size_t n,
                           const nadb_flush_req *req, engine_changes_fn *all,
                           nadb_err *err) NADB_MUST_USE;
/* Removes segments that are older than what is kept. REQUIRES: the flusher
 * word. */
void engine_history_trim(engine *s, uint64_t base_seq);
/* Reads and checks every byte of the history. */
nadb_rc engine_history_check(engine *s, uint64_t base_seq,
                             nadb_report_fn *report, void *ctx, nadb_err *err);

/* --- engine/drain.c: bases on a server --- */

/* Sends committed transactions to the server; if not `all`, nothing new is
 * sent, and the base only keeps its right to send. REQUIRES: the flusher word.
 */
nadb_rc engine_drain(engine *s, const engine_version *v, bool all,
                     const nadb_stop *stop, nadb_err *err) NADB_MUST_USE;
/* True if the base has everything of the log; always true for files. */
bool engine_drained(engine *s, const memtable *m);
/* Breaks the seal, before the base changes its words in control. */
nadb_rc engine_unseal(engine *s, nadb_err *err) NADB_MUST_USE;
/* *behind: the server lacks a committed transaction. Records in doubt do not
 * count, because no reader sees them. */
nadb_rc engine_is_behind(engine *s, const engine_version *v, bool *behind,
                         nadb_err *err) NADB_MUST_USE;
/* True if this machine has commits that the server lacks. */
bool engine_pending(engine *s);

/* --- engine/remote.c: bases on a server --- */

/* Called by the last opener before it closes the store. */
void engine_leave(engine *s);
/* Called before a commit, or before a claim (req is NULL). Fails if the base
 * refuses it, or if something read here may be older than the server's
 * state. */
nadb_rc engine_remote_ready(engine *s, const nadb_commit_req *req,
                            nadb_err *err);
nadb_rc engine_remote_claim(nadb_engine *e, nadb_view *v, nadb_slice key,
                            int64_t timeout_ms, uint32_t *claim, nadb_err *err);
nadb_rc engine_remote_view_open(nadb_engine *e, nadb_view **out, nadb_err *err);
void engine_remote_view_close(nadb_engine *e, nadb_view *v);
nadb_rc engine_remote_view_refresh(nadb_engine *e, nadb_view *v, nadb_err *err);
void engine_remote_view_rest(nadb_engine *e, nadb_view *v);
nadb_rc engine_remote_want(nadb_engine *e, nadb_view *v, const nadb_slice *keys,
                           size_t n, nadb_err *err);
nadb_rc engine_remote_get(nadb_engine *e, nadb_view *v, nadb_slice key,
                          nadb_entry *out, bool *found, nadb_err *err);
nadb_rc engine_remote_iter(nadb_engine *e, nadb_view *v,
                           const nadb_range *range, nadb_iter **out,
                           nadb_err *err);
nadb_rc engine_remote_match(nadb_engine *e, nadb_view *v, const nadb_match *m,
                            const nadb_range *range, bool keys_only,
                            nadb_iter **out, nadb_err *err);
nadb_rc engine_remote_sweep(nadb_engine *e, size_t rows_max, int64_t *removed,
                            bool *more, nadb_err *err);

/* --- engine/totals.c --- */

/* Wraps `changes` (and owns it, also on error) to count while it is read.
 * *totals, which begins as that of `below`, ends as that of the state after the
 * changes and the clear of `clear_seq`. */
nadb_rc engine_counting(engine *s, nadb_base_version *below, uint64_t clear_seq,
                        nadb_totals *totals, nadb_iter *changes,
                        nadb_iter **out, nadb_err *err) NADB_MUST_USE;
/* Counts the whole base by a walk; out->known is false if it is unreadable. */
void engine_count_base(engine *s, nadb_base_version *base, nadb_totals *out);
/* Operation of nadb_engine_ops. */
nadb_rc engine_totals(nadb_engine *e, nadb_view *view, nadb_totals *out,
                      nadb_err *err);

/* --- engine/stats.c --- */

void engine_stats(nadb_engine *e, nadb_stat_fn *emit, void *ctx);
nadb_rc engine_check_bytes(nadb_engine *e, nadb_report_fn *report, void *ctx,
                           nadb_err *err);

/* --- engine/directory.c --- */

/* Sets s->dir, s->db_name and s->ns_name. */
nadb_rc engine_dir_name(engine *s, nadb_err *err) NADB_MUST_USE;
/* Opens the directory as s->home.dir; *there: it exists. */
nadb_rc engine_dir_find(engine *s, bool *there, nadb_err *err) NADB_MUST_USE;
/* As engine_dir_find(), and makes missing folders. */
nadb_rc engine_dir_make(engine *s, nadb_err *err) NADB_MUST_USE;
/* Syncs the folders above the store, so that its name is durable. */
nadb_rc engine_dir_sync(engine *s, nadb_err *err) NADB_MUST_USE;
/* *ours: the first bytes of a file prove that `dir` is a store. *foreign: it is
 * not a store, and holds files that creating a store never leaves. */
nadb_rc engine_dir_look(engine *s, nadb_dir *dir, bool *ours, bool *foreign,
                        nadb_err *err) NADB_MUST_USE;
/* *ours: s->home.dir is a store. NADB_CANTOPEN if it is not and cannot become
 * one. */
nadb_rc engine_dir_prove(engine *s, bool *ours, nadb_err *err) NADB_MUST_USE;
/* Returns a file number that was never used. */
nadb_rc engine_next_file(engine *s, uint64_t *out, nadb_err *err) NADB_MUST_USE;
/* Gives back a number whose file has no name, so that a full disk on which many
 * writers try again does not use up the numbers. No effect if a later number
 * was taken meanwhile. */
void engine_unused_file(engine *s, uint64_t number);
/* True if a file's name has the form of a store's file. */
bool engine_file_is_ours(const char *name);
/* NADB_MOVED if the store's path no longer leads to it. */
nadb_rc engine_check_place(engine *s, nadb_err *err) NADB_MUST_USE;
/* As engine_check_place(), but called before each commit: commits in quick
 * succession share one check (directory.c). */
nadb_rc engine_check_place_often(engine *s, nadb_err *err) NADB_MUST_USE;

/* --- engine/remove.c --- */

/* Removes what an earlier removal or repair left in `db` under the name `gone`.
 * A folder that is not provably such a rest stays, and is an error. */
nadb_rc engine_remove_left(engine *s, nadb_dir *db, const char *gone,
                           nadb_err *err) NADB_MUST_USE;

/* --- engine/owned.c --- */

/* Notes that the store was opened by way of its database file, if it belongs to
 * one. REQUIRES: the open byte. */
void engine_found_by_file(engine *s);

/* --- engine/open.c --- */

void engine_free(engine *s); /* closes control and frees the rest */

nadb_rc nadb_engine_open(const nadb_options *options, const nadb_base_ops *base,
                         bool create, bool *created, nadb_engine **out,
                         nadb_err *err) NADB_MUST_USE;
/* The store's identity (util/home.h): made at creation, and moved and copied
 * with the files. */
const uint8_t *nadb_engine_id(nadb_engine *e);
/* Removes the store and closes it, also on error. `unused`: only if it has no
 * commit and is not on a server, otherwise NADB_LOCKED. */
nadb_rc nadb_engine_destroy(nadb_engine *e, bool unused,
                            nadb_err *err) NADB_MUST_USE;
/* The store's directory; valid while the engine is open. */
const nadb_home *nadb_engine_home(nadb_engine *e);
/* A record in doubt, or a claim on a key. */
typedef struct nadb_doubt {
    const char *state;       /* "in doubt", "committing", "claim", .. */
    uint32_t process;        /* 0: the owner has ended */
    bool alive;              /* the owner is running */
    int64_t since_ns;        /* monotonic; 0: unknown */
    uint64_t changes, bytes; /* of the record; 0: unknown */
} nadb_doubt;
typedef nadb_rc nadb_doubt_fn(void *ctx, const nadb_doubt *d, nadb_err *err);
/* Calls `each` for the doubts of all processes. */
nadb_rc nadb_engine_doubts(nadb_engine *e, nadb_doubt_fn *each, void *ctx,
                           nadb_err *err) NADB_MUST_USE;
/* Adopts options that a later opener changed. */
void nadb_engine_tune(nadb_engine *e, const nadb_options *o);
/* True if the store's path leads to another store now, or to none. */
bool nadb_engine_moved(nadb_engine *e);
/* Sets the function with which the background threads sweep. */
void nadb_engine_sweep(nadb_engine *e, bool (*sweep)(void *ctx), void *ctx);
/* Sets the monitor that counts and logs background work. It must outlive the
 * engine. */
void nadb_engine_watch(nadb_engine *e, nadb_monitor *m);
/* Clears `awake` until the next write. */
void nadb_engine_calm(nadb_engine *e);
void nadb_engine_forked(nadb_engine *e); /* in a forked child */
/* The last error of background work; empty if the last round had none. */
void nadb_engine_last_error(nadb_engine *e, nadb_err *out);

#endif
