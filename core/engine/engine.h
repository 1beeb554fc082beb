/* engine.h - the engine made of a shared log and memtable over a base: for
 * all backends that are written buffered. Private to the files of core/engine;
 * the rest of the core sees a nadb_engine.
 *
 * Each file names only what stands above it in this list:
 *
 *   control.c    what the processes of a store share
 *   wal.c, memtable*.c  a log, and the memtable over it
 *   workers.c    the two background threads
 *   logs.c       logs by their number
 *   lock.c       the commit lock; openers that have died
 *   doubt.c      records in doubt, and how one is committed
 *   version.c    which memtables and base state are current; views; reading
 *   space.c      space that is kept for giving space back
 *   sync.c       syncing the log
 *   directory.c  finding, proving and making the directory
 *   scratch.c    files without a name
 *   history.c, changes.c  what was committed after some commit
 *   totals.c     how many rows and bytes there are
 *   repair.c     finishing what a dead process began
 *   stamp.c      commits on which a database file decides
 *   drain.c      sending what is committed to a server
 *   conflict.c   what a commit may conflict with
 *   flush.c      rotation, flush, compaction
 *   remote.c     reading and committing where the base is on a server
 *   stats.c      numbers, and reading every byte
 *   commit.c     prepare, commit, rollback: the life of a record
 *   recover.c    building the shared state anew
 *   owned.c, open.c, remove.c, salvage.c  a whole store
 *
 * Locking. The commit lock (control.h) guards appending, linking and
 * publishing; nobody holds it over a sync or a foreign call. version_lock
 * guards this process's list of versions and views. sync_lock lets one thread
 * sync the log for all that wait. flush_lock is held by whoever does the
 * flusher's work in this process, before the flusher word. */
#ifndef NADB_ENGINE_H
#define NADB_ENGINE_H

#include "../backend.h"
#include "../options.h"
#include "../util/monitor.h"
#include "control.h"
#include "memtable.h"

/* Live memtables at which writers wait for the flush. */
#define ENGINE_LOGS_MAX 6u
/* How many more a clear may begin, when the disk is too full to flush. */
#define ENGINE_LOGS_MORE 2u

/* One state of the store, as this process has it open. Immutable. */
typedef struct engine_version {
    _Atomic uint32_t refs;
    uint64_t generation; /* of the control descriptor */
    uint32_t index;      /* of the descriptor */
    uint64_t seq;        /* visible when it was published */
    uint64_t first_log, last_log;
    nadb_base_version *base;
    struct engine_version *next; /* in engine.versions */
    size_t n_logs;
    memtable *logs[]; /* newest first; [0] is the active one */
} engine_version;

enum { VIEW_RESTING = 0, VIEW_USED = 1, VIEW_STOLEN = 2 };

typedef struct engine_view {
    nadb_view base;
    _Atomic uint32_t state;  /* VIEW_*: whether the version may be taken away */
    engine_version *version; /* NULL when it was */
    uint64_t floor;          /* cleared up to this; the base too if nonzero */
    nadb_buf scratch;        /* an entry that is not mapped */
    nadb_view *ahead;        /* of a base on a server: rows that were wanted */
    uint64_t epoch;          /* the same: when it was refreshed */
    struct engine_view *next, **link; /* in engine.views */
} engine_view;

struct engine;

/* What the background threads do for an engine (workers.c). */
typedef struct engine_duties {
    /* Once in flush_interval: short work. */
    void (*tend)(struct engine *s);
    /* Flushes and compacts, a step; *more: there is work left. */
    nadb_rc (*work)(struct engine *s, bool *more, nadb_err *err);
} engine_duties;

typedef struct engine {
    nadb_engine engine;
    const engine_duties *duties;
    nadb_rc (*repair)(struct engine *s, nadb_err *err); /* repair.c */
    const nadb_os *os;
    const nadb_options *options;
    char *dir;               /* path of the directory, for messages */
    char *db_name, *ns_name; /* its last two components */
    char *control_path;
    nadb_home home;
    /* Options that a later opener may change. */
    _Atomic uint64_t buffer_bytes;
    _Atomic int64_t flush_interval_ms;
    _Atomic int synchronous; /* nadb_durability */

    /* The background threads look after the store. They do from the start,
     * but for a store that nobody else has open and that was left in good
     * order: there they come with the first write or the second statement. */
    atomic_bool awake;
    atomic_bool has_read; /* asleep, a first statement has ended */

    /* Sweeps what has expired, a bounded step; true: there is more. NULL:
     * nobody has asked for it. */
    bool (*_Atomic sweep)(void *ctx);
    void *sweep_ctx;
    _Atomic(nadb_monitor *) monitor; /* NULL: nobody wants to know */

    bool private_memory; /* a reader that may not write */
    bool sync_failed;    /* of what was found: it is to be written anew */
    bool forked;         /* inherited by a child: of no use */

    control ctl;
    const nadb_base_ops *base_ops;
    nadb_base *base;

    nadb_mutex version_lock;
    engine_version *versions; /* live ones, newest first; the first is the
                                 current one and has a reference of its own */
    engine_view *views;
    /* The version before the last flush, where the store has stamps: readers
     * whose snapshot of the file is older step back to it. Under
     * version_lock, a reference of its own. */
    engine_version *kept;
    /* The last stamp when the store was opened, if nobody had it open: a file
     * that lacks it is older. 0: others had. */
    uint64_t opened_stamp;
    int64_t kept_until_ns; /* monotonic */
    bool unpinned; /* versions are kept, and files may go; never when awake */

    nadb_mutex sync_lock;
    nadb_mutex flush_lock;
    atomic_bool spare_kept;    /* as far as this process knows */
    bool unused_left;          /* files that a reader kept; under flush_lock */
    _Atomic int64_t commit_ns; /* when the last commit began (monotonic) */
    _Atomic int64_t place_ns;  /* when its place was last looked at */
    bool uncounted;            /* the base could not be counted, as it cannot
                                  be read: not tried again; under flush_lock */
    nadb_buf scratch;          /* a record being built; under the commit lock */
    /* A ticket that is not in use, for the next commit; NULL: none. */
    _Atomic(struct engine_ticket *) spare_ticket;
    nadb_err flush_error; /* the last flush's; under version_lock */
    nadb_err sync_error;  /* of the log, in the background; likewise */
} engine;

typedef struct engine_ticket {
    uint64_t purged;
    memtable *m;
    uint64_t off, length;
    uint32_t doubt; /* index */
} engine_ticket;

static inline engine *engine_of(nadb_engine *e) { return (engine *)e; }

/* --- engine/lock.c --- */

nadb_rc engine_check_usable(engine *s, nadb_err *err) NADB_MUST_USE;
/* Takes the commit lock, repairing first what a dead holder left. */
nadb_rc engine_lock(engine *s, int64_t timeout_ms, nadb_err *err) NADB_MUST_USE;
void engine_unlock(engine *s);
/* Whether an error says that this process lacks memory, descriptors or rights:
 * it has no part in what the store is, and must not stop the others. */
bool engine_is_shortage(const nadb_err *e);
/* Commits what dead openers left in doubt and frees their slots. */
nadb_rc engine_repair_now(engine *s, int64_t timeout_ms, nadb_err *err);
/* Whether a slot of a dead opener is there to repair. */
bool engine_has_dead(engine *s);
/* Whether the owner of a doubt is no opener. None leaves such a one, so this is
 * damage; the record counts, as that of a dead opener does. */
bool engine_is_orphan(const control_map *map, const control_doubt *d);

/* --- engine/logs.c --- */

/* A log of the current version by its number; NULL when it is not live. */
memtable *engine_log(const engine_version *v, uint64_t number);
/* The memtable of a log, open or opened for this; a reference. Usable under the
 * commit lock. */
nadb_rc engine_log_ref(engine *s, uint64_t number, memtable **out,
                       nadb_err *err) NADB_MUST_USE;
/* Unlinks a log and its index, as far as that can be done. */
void engine_unlink_log(engine *s, uint64_t number);
/* Logs that were retired since a view of `then` began, newest first. */
#define ENGINE_RETIRED_MAX 1000u
typedef struct engine_retired {
    size_t n;
    bool complete; /* else some are gone: anything may have changed */
    memtable *logs[ENGINE_RETIRED_MAX];
} engine_retired;
nadb_rc engine_retired_get(engine *s, const engine_version *now,
                           const engine_version *then, engine_retired *out,
                           nadb_err *err) NADB_MUST_USE;
void engine_retired_free(engine_retired *r);
/* No process needs them any more. */
nadb_rc engine_unlink_retired(engine *s, nadb_err *err) NADB_MUST_USE;

/* --- engine/doubt.c --- */

/* Some doubt has ended: frees its place and wakes who waits. */
void engine_doubt_end(engine *s, uint32_t doubt);
/* How long a writer waits for a doubt to end before it looks again. */
#define ENGINE_DOUBT_MS 20
/* Waits up to timeout_ms, without the lock, for some doubt to end; repairs
 * what dead openers left. */
void engine_doubt_wait(engine *s, int64_t timeout_ms);
bool engine_doubt_free(engine *s, uint32_t *out); /* an unused place */
/* Links the record of a doubt and makes it visible. Under the commit lock. */
void engine_apply(engine *s, memtable *m, uint32_t doubt);
/* Links the record at `off` as commit `seq`, and whatever is there already
 * stays. Under the commit lock. */
nadb_rc engine_link(memtable *m, uint64_t off, uint64_t end, uint64_t seq,
                    bool check, nadb_err *err) NADB_MUST_USE;
/* A stamped record loses its owner. Under the commit lock. */
void engine_orphan(engine *s, control_doubt *d);
/* After a commit: wakes those who sleep until there is one. */
void engine_tell_waiters(engine *s);

/* --- engine/sync.c --- */

/* Everything before this wal_place is synced. */
nadb_rc engine_sync_to(engine *s, uint64_t place, nadb_err *err) NADB_MUST_USE;
/* It is: raises control's word. */
void engine_synced_raise(control_map *map, uint64_t place);
/* All of it, unless synchronous=off; an error is kept in flush_error. */
void engine_sync_in_background(engine *s);
/* An error of background work, kept in `where` of the engine. Nobody called for
 * it, so the program hears of it once (nadb_alarm()). */
void engine_note_error(engine *s, nadb_err *where, const nadb_err *e);
/* Has background work counted and logged; `made` (may be NULL) is its result.
 */
void engine_count(engine *s, nadb_op op, const nadb_span *span,
                  const nadb_base_version *made, nadb_rc rc,
                  const nadb_err *err);

/* --- engine/version.c --- */

/* With the store's folder. */
#define ENGINE_MANIFEST_OLD                                                    \
    "%s/MANIFEST is missing or older than the state that the store was left "  \
    "in: put the right one back, or restore a whole backup"

/* The current version, with a reference. Not under the commit lock: it may
 * have to wait for a flusher to publish. */
nadb_rc engine_version_get(engine *s, engine_version **out,
                           nadb_err *err) NADB_MUST_USE;
void engine_version_unref(engine *s, engine_version *v); /* NULL is fine */
nadb_rc engine_view_open(nadb_engine *e, nadb_view **out, nadb_err *err);
void engine_view_close(nadb_engine *e, nadb_view *v);
nadb_rc engine_view_refresh(nadb_engine *e, nadb_view *v, nadb_err *err);
void engine_view_rest(nadb_engine *e, nadb_view *v);
/* From now on the background threads look after the store. With no lock
 * held. */
nadb_rc engine_wake(engine *s, nadb_err *err) NADB_MUST_USE;
bool engine_indexed(nadb_engine *e, nadb_view *v);
/* A view of `version` on the caller's stack, which shows what is committed up
 * to `seq`; the caller keeps the version, and clears v->scratch. */
void engine_view_init(engine_view *v, engine_version *version, uint64_t seq);
/* Makes the view show what was committed up to `seq`, which is before what it
 * shows now. False: that state is gone. */
bool engine_view_back(engine *s, engine_view *v, uint64_t seq);
void engine_kept_drop(engine *s);
/* Takes old versions away from views that rest, and lets go of the version
 * that is kept for readers of an older snapshot when its time is over. */
void engine_views_trim(engine *s);
/* Publishes, under the commit lock, what `from` (the current version) becomes
 * with `m` as its active memtable. Takes the reference to m on success. */
nadb_rc engine_version_adopt(engine *s, const engine_version *from, memtable *m,
                             engine_version **out, nadb_err *err) NADB_MUST_USE;
/* Publishes a state of the base, if it is newer than the current one. Under
 * the commit lock. */
void engine_base_publish(engine *s, const nadb_base_version *base);

/* In the memtables: tombstones are found, too. */
nadb_rc engine_get_recent(engine_view *v, nadb_slice key, nadb_entry *out,
                          bool *found, nadb_err *err);
nadb_rc engine_get(nadb_engine *e, nadb_view *v, nadb_slice key,
                   nadb_entry *out, bool *found, nadb_err *err);
nadb_rc engine_iter(nadb_engine *e, nadb_view *v, const nadb_range *range,
                    nadb_iter **out, nadb_err *err);

/* --- engine/commit.c --- */

nadb_rc engine_prepare(nadb_engine *e, const nadb_commit_req *req,
                       nadb_ticket **out, nadb_err *err);
void engine_commit(nadb_engine *e, nadb_ticket *t);
nadb_rc engine_rollback(nadb_engine *e, nadb_ticket *t, nadb_err *err);

/* Everything has been synced: writes an empty record that says so, so that
 * later damage to what is before it is not taken for a torn end. No harm if it
 * cannot be written. */
void engine_witness(engine *s);
/* --- engine/conflict.c --- */

nadb_rc engine_claim(nadb_engine *e, nadb_view *v, nadb_slice key,
                     int64_t timeout_ms, uint32_t *claim, nadb_err *err);
void engine_unclaim(nadb_engine *e, uint32_t claim);
/* A clear waits for claims: no more of them until it is unclaimed. Does nothing
 * when *claim is one, or when no place is free. Under the commit lock. */
void engine_claim_all(engine *s, uint32_t *claim);
/* NADB_CONFLICT when something that the request decided on has changed since
 * its view. Under the commit lock. */
nadb_rc engine_check(engine *s, engine_version *v, const nadb_commit_req *req,
                     nadb_err *err) NADB_MUST_USE;
/* *clash: a record in doubt, or somebody's claim, has a key of the request. */
nadb_rc engine_clash(engine *s, const engine_version *v,
                     const nadb_commit_req *req, bool *clash,
                     nadb_err *err) NADB_MUST_USE;

/* --- engine/repair.c --- */

/* engine.repair: commits what dead openers left in doubt and frees their slots.
 * Under the commit lock. */
nadb_rc engine_repair(engine *s, nadb_err *err) NADB_MUST_USE;
/* Tells logs which of their records are void (DOUBT_VOID), where that could
 * not be written before. */
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

/* Begins a new log with room for a record of `need` bytes and publishes it:
 * `from`, the current version, becomes *out, with a reference (on error *out is
 * left alone). Under the commit lock. */
nadb_rc engine_rotate(engine *s, const engine_version *from, uint64_t need,
                      engine_version **out, nadb_err *err) NADB_MUST_USE;
/* One round of the flusher: everything frozen goes to the base, and one step
 * of compaction. *more: there is work left. */
nadb_rc engine_work(engine *s, bool *more, nadb_err *err) NADB_MUST_USE;
nadb_rc engine_flush(nadb_engine *e, nadb_err *err);
/* After NADB_FULL: gives up what only idle views still need, and the spare
 * space. With flush_lock: who has it may use that before a flush does. */
void engine_find_space(engine *s);
/* Begins a new log if the active one is full, as one large transaction can
 * leave it, so that it is flushed without waiting for the next writer. */
void engine_freeze_full(engine *s);
/* Nobody else has the store open: flushes when it is more than a little. */
void engine_flush_at_close(engine *s);
nadb_rc engine_compact(nadb_engine *e, nadb_stop_fn *stop, void *ctx,
                       nadb_err *err);

/* --- engine/space.c --- */

/* Sees to it that the spare space is there, if the disk has it. */
void engine_spare_keep(engine *s);
/* Gives up all of it, or the half that is for deletes. False: it is gone. */
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
/* A walk over all that the logs and the segments have, but logs whose index
 * does not list commits. */
struct history_segment;
typedef nadb_rc engine_changes_fn(engine *s, memtable *const *logs,
                                  size_t n_logs,
                                  const struct history_segment *segments,
                                  size_t n, nadb_changes **out, nadb_err *err);
engine_changes_fn engine_all_changes;

/* --- engine/history.c --- */

/* What the store keeps of changes, by the options of all who have it open. */
nadb_keep engine_keep(const engine *s);
static inline bool engine_keeps(const engine *s) {
    return nadb_keeps(engine_keep(s));
}
/* Whether changes are to be kept, and the log in use does not list them. */
static inline bool engine_keep_begins(const engine *s,
                                      const engine_version *v) {
    return engine_keeps(s) && atomic_load(&v->logs[0]->head->keeps) == 0;
}
/* The option of an opener counts from now on. `first`: nobody else has the
 * store open. */
void engine_keep_set(engine *s, nadb_keep mine, bool first);
void engine_keep_raise(nadb_engine *e, nadb_keep keep);
/* The changes in the oldest `n` logs of v, which are about to be flushed as
 * `req`, go to the history; `all` is engine_all_changes(). The flusher word is
 * ours. */
nadb_rc engine_history_add(engine *s, const engine_version *v, size_t n,
                           const nadb_flush_req *req, engine_changes_fn *all,
                           nadb_err *err) NADB_MUST_USE;
/* Removes what is older than what is kept; likewise. */
void engine_history_trim(engine *s, uint64_t base_seq);
/* Reads every byte. */
nadb_rc engine_history_check(engine *s, uint64_t base_seq,
                             nadb_report_fn *report, void *ctx, nadb_err *err);

/* --- engine/drain.c: bases on a server --- */

/* Sends what is committed. The flusher word is ours. */
nadb_rc engine_drain(engine *s, const engine_version *v, const nadb_stop *stop,
                     nadb_err *err) NADB_MUST_USE;
/* Whether the base has all of a log; that of files needs nothing. */
bool engine_drained(engine *s, const memtable *m);
/* The base is about to change what control holds: breaks the seal. */
nadb_rc engine_unseal(engine *s, nadb_err *err) NADB_MUST_USE;
/* *behind: the server lacks something that is committed. What is in doubt is
 * not, and nobody sees it yet. */
nadb_rc engine_is_behind(engine *s, const engine_version *v, bool *behind,
                         nadb_err *err) NADB_MUST_USE;
/* Whether there is something that only this machine has. */
bool engine_pending(engine *s);

/* --- engine/remote.c: the same --- */

/* The last process is about to close the store. */
void engine_leave(engine *s);
/* Before a commit, or a claim (req NULL): it may be taken, and nothing that it
 * can have read here is older than what the server has. */
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

/* Passes `changes` of the base's state `below` on (and takes them, also on
 * error). *totals, which are those of `below`, become at their end those of the
 * state after them, whose clear_seq is given. */
nadb_rc engine_counting(engine *s, nadb_base_version *below, uint64_t clear_seq,
                        nadb_totals *totals, nadb_iter *changes,
                        nadb_iter **out, nadb_err *err) NADB_MUST_USE;
/* Walks over all that the base has; not known when it cannot be read. */
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
/* Opens the directory, if it is there, as s->home.dir. */
nadb_rc engine_dir_find(engine *s, bool *there, nadb_err *err) NADB_MUST_USE;
/* Likewise, and makes what is missing of it. */
nadb_rc engine_dir_make(engine *s, nadb_err *err) NADB_MUST_USE;
/* Makes the names of directory and store durable. */
nadb_rc engine_dir_sync(engine *s, nadb_err *err) NADB_MUST_USE;
/* *ours: the first bytes of a file say that `dir` is a store. *foreign: it is
 * none, and holds what no store that was being made leaves. */
nadb_rc engine_dir_look(engine *s, nadb_dir *dir, bool *ours, bool *foreign,
                        nadb_err *err) NADB_MUST_USE;
/* Whether s->home.dir is a store; NADB_CANTOPEN when it cannot become one. */
nadb_rc engine_dir_prove(engine *s, bool *ours, nadb_err *err) NADB_MUST_USE;
/* A file number that was never used. */
nadb_rc engine_next_file(engine *s, uint64_t *out, nadb_err *err) NADB_MUST_USE;
/* Whether a file has a name as those of a store have. */
bool engine_file_is_ours(const char *name);
/* NADB_MOVED when the path of the store does not lead to it any more. */
nadb_rc engine_check_place(engine *s, nadb_err *err) NADB_MUST_USE;
/* Likewise, before a commit: in a row of them it looks every 200 us only. */
nadb_rc engine_check_place_often(engine *s, nadb_err *err) NADB_MUST_USE;

/* --- engine/remove.c --- */

/* Removes what an earlier removal, or repair, has left in `db` under the name
 * `gone`. What is not provably that stays, and is in the way. */
nadb_rc engine_remove_left(engine *s, nadb_dir *db, const char *gone,
                           nadb_err *err) NADB_MUST_USE;

/* --- engine/owned.c --- */

/* The store has been opened by way of its database file, if it has one. With
 * the open byte held. */
void engine_found_by_file(engine *s);

/* --- engine/open.c --- */

void engine_free(engine *s); /* closes control, and what is left */

nadb_rc nadb_engine_open(const nadb_options *options, const nadb_base_ops *base,
                         bool create, bool *created, nadb_engine **out,
                         nadb_err *err) NADB_MUST_USE;
/* The store's identity (util/home.h): made with it, and moved and copied with
 * its files. */
const uint8_t *nadb_engine_id(nadb_engine *e);
/* Closes, also on error. `unused`: only if nobody has ever committed, and here
 * alone, not on a server; NADB_LOCKED otherwise. */
nadb_rc nadb_engine_destroy(nadb_engine *e, bool unused,
                            nadb_err *err) NADB_MUST_USE;
/* The store's directory; lives as long as the engine. */
const nadb_home *nadb_engine_home(nadb_engine *e);
/* A record whose transaction has not ended, or a claim on a key. */
typedef struct nadb_doubt {
    const char *state;       /* "in doubt", "committing", "claim", .. */
    uint32_t process;        /* 0: it has no owner any more */
    bool alive;              /* its owner is */
    int64_t since_ns;        /* monotonic; 0: not known */
    uint64_t changes, bytes; /* of the record; 0: not known */
} nadb_doubt;
typedef nadb_rc nadb_doubt_fn(void *ctx, const nadb_doubt *d, nadb_err *err);
/* Calls `each` for all that are in doubt, of any process. */
nadb_rc nadb_engine_doubts(nadb_engine *e, nadb_doubt_fn *each, void *ctx,
                           nadb_err *err) NADB_MUST_USE;
/* Takes on the options that are in force now. */
void nadb_engine_tune(nadb_engine *e, const nadb_options *o);
/* Whether another store, or none, is in its place now. */
bool nadb_engine_moved(nadb_engine *e);
/* Has the background threads sweep. */
void nadb_engine_sweep(nadb_engine *e, bool (*sweep)(void *ctx), void *ctx);
/* Has what the background does counted and logged, until it is closed. */
void nadb_engine_watch(nadb_engine *e, nadb_monitor *m);
/* The background threads leave it alone, until it is written to. */
void nadb_engine_calm(nadb_engine *e);
void nadb_engine_forked(nadb_engine *e); /* in a forked child */
/* The last error of background work, empty if the last round went well. */
void nadb_engine_last_error(nadb_engine *e, nadb_err *out);

#endif
