/* nadb.h - the key-value core, as the SQL layer sees it.
 *
 *   nadb_store    a store that is open in this process. All connections and
 *                 threads share it; reference counted; thread-safe.
 *   nadb_session  one SQLite connection's use of one store: snapshot, private
 *                 batch of changes, savepoints. All virtual table objects of
 *                 the connection on that store share it. One thread at a time
 *                 uses it (SQLite serialises a connection).
 *   nadb_cursor   a walk over rows, or one row, within a session.
 *
 * A transaction, in the order of SQLite's callbacks:
 *
 *   xBegin        nadb_session_begin       fixes the snapshot
 *   xUpdate       nadb_put, nadb_delete    into the private batch
 *   xSavepoint n  nadb_session_savepoint   remembers the batch's length
 *   xSync         nadb_session_prepare     checked, durable, in doubt
 *   xCommit       nadb_session_commit      visible; cannot fail
 *   xRollback     nadb_session_rollback    batch dropped, record taken back
 *
 * SQLite may call each of these twice (two virtual table objects of one table);
 * the second call does nothing. A session may continue after a prepare without
 * a commit (an explicit COMMIT that ended in SQLITE_BUSY): the next change or
 * prepare takes the prepared record back first.
 *
 * Snapshots. Outside a transaction, the cursors that are open at the same time
 * share one snapshot. The first cursor after all were closed, or after a commit
 * of this session, gets a new one. In a transaction all reads see the snapshot
 * of begin and the session's own changes; prepare checks what was read
 * (NADB_CONFLICT). A read transaction (nadb_session_hold) keeps the snapshot of
 * its first statement, and a write that joins it continues with that snapshot.
 *
 * A cursor never sees changes made after it was opened. */
#ifndef NADB_H
#define NADB_H

#include "options.h"
#include "store_list.h"
#include "util/job.h"
#include "util/json.h"
#include "util/log.h"
#include "util/number.h"
#include "util/parse.h"

#define NADB_VERSION "0.1.0"

/* Limits of a row; those of its key are in util/key.h. */
#define NADB_TAGS_MAX 1000u /* tags of a row */
#define NADB_TAG_MAX 1024u  /* bytes of a tag */
/* Bytes of a value; below SQLite's limit. */
#define NADB_VALUE_MAX 0x7fff0000u

#define NADB_NO_EXPIRY INT64_MAX

/* --- values and rows --- */

typedef enum nadb_type {
    NADB_NULL,
    NADB_INTEGER,
    NADB_REAL,
    NADB_TEXT, /* UTF-8, not checked */
    NADB_BLOB
} nadb_type;

typedef struct nadb_value {
    nadb_type type;
    int64_t i;
    double r;
    nadb_slice bytes; /* TEXT and BLOB */
} nadb_value;

/* A row as it is stored. Slices are valid until the cursor that returned it
 * moves or, if `pinned`, until that cursor is closed. */
typedef struct nadb_row {
    nadb_slice key;
    nadb_type type;
    uint8_t codec;     /* encoding of `stored`: core/kv/codec.h; 0: raw */
    nadb_slice stored; /* the encoded value */
    uint64_t size;     /* bytes of the value; 8 for numbers, 0 for NULL */
    nadb_slice tags;   /* tag list: core/kv/tags.h; empty: no tags */
    int64_t created_ms, updated_ms; /* Unix time */
    int64_t expires_ms;             /* NADB_NO_EXPIRY: it never expires */
    bool pinned;                    /* all slices but the key */
    bool key_pinned;                /* the key */
    /* its change was taken back: nadb_cursor_load() loads it again */
    bool stale;
    uint64_t id; /* key of the value cache; 0: none */
} nadb_row;

/* --- stores --- */

typedef struct nadb_store nadb_store;
typedef struct nadb_session nadb_session;
typedef struct nadb_cursor nadb_cursor;

enum {
    NADB_STORE_CREATE = 1, /* create the store if it is missing */
    NADB_STORE_FIND = 2    /* NADB_CANTOPEN if the store is missing, even where
                              opening would create an empty one */
};

/* Opens the store that the options name, or takes a reference if this process
 * has it open already. `*created` (may be NULL): the store was created. Errors:
 * NADB_CANTOPEN (missing, not a store, newer format, open on another machine),
 * NADB_CORRUPT, NADB_READONLY, NADB_IOERR, NADB_INVALID. */
nadb_rc nadb_store_open(const nadb_options *options, unsigned flags,
                        nadb_store **out, bool *created,
                        nadb_err *err) NADB_MUST_USE;
/* Gives the store these options, as a further nadb_store_open() does. */
nadb_rc nadb_store_tune(nadb_store *s, const nadb_options *options,
                        nadb_err *err) NADB_MUST_USE;
/* Drops one reference. The last makes all commits durable and closes the store.
 * NULL is fine. */
void nadb_store_close(nadb_store *s);
/* Closes the store (also on error) and removes it with all its contents.
 * NADB_LOCKED if another connection or process has it open. Removes files only
 * in a directory that holds a control file of nadb. */
nadb_rc nadb_store_destroy(nadb_store *s, nadb_err *err) NADB_MUST_USE;
/* As nadb_store_destroy(), for a store that was created here and is not wanted
 * any more: NADB_LOCKED also if the store has any commit. A store on a server
 * is left alone. */
nadb_rc nadb_store_undo(nadb_store *s, nadb_err *err) NADB_MUST_USE;

/* the options in force */
const nadb_options *nadb_store_options(const nadb_store *s);

/* Moves all commits to their final place and syncs them. */
nadb_rc nadb_store_flush(nadb_store *s, nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_flush_all(nadb_err *err) NADB_MUST_USE; /* every open store */
/* Removes dead data and expired rows. `stop` (may be NULL) is polled; when it
 * returns true the call ends with NADB_INTERRUPT and keeps what it has done. */
nadb_rc nadb_store_compact(nadb_store *s, nadb_stop_fn *stop, void *ctx,
                           nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_store_check(nadb_store *s, nadb_report_fn *report, void *ctx,
                         nadb_err *err) NADB_MUST_USE;
/* Rebuilds the indexes from the rows, in a transaction of its own. *differed:
 * number of entries that were wrong. NADB_INVALID if a server keeps the
 * indexes. */
nadb_rc nadb_store_reindex(nadb_store *s, int64_t *differed,
                           nadb_err *err) NADB_MUST_USE;
/* Drops decompressed values and cached rows of a server; adds the bytes freed
 * to *bytes. */
nadb_rc nadb_store_cache_drop(nadb_store *s, uint64_t *bytes,
                              nadb_err *err) NADB_MUST_USE;
/* As nadb_store_cache_drop(), for every open store. */
nadb_rc nadb_cache_drop_all(uint64_t *bytes, nadb_err *err) NADB_MUST_USE;

/* Result of nadb_store_repair(). */
typedef struct nadb_repaired {
    int64_t rows; /* in the new store */
    int64_t lost; /* keys whose newest state could not be read */
    char *aside;  /* where the damaged files are; the caller frees it */
    /* an earlier repair was interrupted at its last step, which was
     * completed */
    bool finished;
} nadb_repaired;
/* Receives one line per fault and per lost key. */
typedef struct nadb_repair_listener {
    void *ctx;
    nadb_report_fn *fault;
    nadb_report_fn *lost; /* the key in readable form */
    nadb_stop stop;
} nadb_repair_listener;
/* Reads what is readable of a store, whatever its damage, into a new store that
 * takes its place; the old files stay beside it. `stamp`: the stamp's number in
 * the database file that the store belongs to; 0: none. On error the store is
 * as before. NADB_LOCKED: the store is open. NADB_INVALID: the backend has no
 * files. */
nadb_rc nadb_store_repair(const nadb_options *options, uint64_t stamp,
                          const nadb_repair_listener *to, nadb_repaired *out,
                          nadb_err *err) NADB_MUST_USE;

/* Result of nadb_store_recompress(): numbers of rows. */
typedef struct nadb_recompressed {
    int64_t compressed;  /* compressed by this call */
    int64_t already;     /* were compressed before */
    int64_t too_small;   /* up to 1 KB, or a number or NULL */
    int64_t not_smaller; /* compression would not save enough */
    int64_t missing;     /* deleted since the walk began */
    /* damaged, or changed by another writer at every attempt */
    int64_t errors;
} nadb_recompressed;
/* Compresses values that were stored uncompressed, in transactions of its own.
 * NADB_INVALID if the store has compression=off. */
nadb_rc nadb_store_recompress(nadb_store *s, nadb_stop_fn *stop, void *ctx,
                              nadb_recompressed *out,
                              nadb_err *err) NADB_MUST_USE;
/* Emits the numbers of nadb_stats that need no walk over the rows. */
nadb_rc nadb_store_sizes(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                         nadb_err *err) NADB_MUST_USE;
/* Emits all numbers of nadb_stats. */
nadb_rc nadb_store_stats(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                         nadb_err *err) NADB_MUST_USE;

/* Statistics of one operation since the store was opened in this process. Only
 * `timed` calls were measured, a sample of all (core/util/monitor.h); with
 * timed == 0 the times are not valid. */
typedef struct nadb_metric {
    const char *operation;
    uint64_t count, errors, keys, bytes, timed;
    double sum_ms, avg_ms, min_ms, max_ms, p50_ms, p95_ms, p99_ms;
} nadb_metric;
typedef nadb_rc nadb_metric_fn(void *ctx, const nadb_metric *m, nadb_err *err);
nadb_rc nadb_store_metrics(nadb_store *s, nadb_metric_fn *each, void *ctx,
                           nadb_err *err) NADB_MUST_USE;

/* An open transaction of this process, or a record in doubt of any process. */
typedef struct nadb_txn_info {
    const nadb_options *options; /* of the store */
    const char *state; /* reading, writing, prepared; in doubt, committing,
                          claim, taken back, orphan */
    uint64_t process;  /* 0: the owner has ended */
    bool alive;        /* the process is running */
    double age_s;      /* negative: unknown */
    bool measured;     /* `changes` and `bytes` are known */
    uint64_t changes, bytes;
} nadb_txn_info;
typedef nadb_rc nadb_txn_info_fn(void *ctx, const nadb_txn_info *info,
                                 nadb_err *err);
/* Calls `each` for the transactions and doubts of every store open in this
 * process. */
nadb_rc nadb_transactions_each(nadb_txn_info_fn *each, void *ctx,
                               nadb_err *err) NADB_MUST_USE;

/* NADB_INVALID if `level` is not a level of the log. */
nadb_rc nadb_log_check(const char *level, nadb_err *err) NADB_MUST_USE;
/* Writes a line of the application into the store's log. `data` is JSON; p ==
 * NULL: none. *put: the store has a log that accepts the level. */
nadb_rc nadb_store_log(nadb_store *s, const char *level, nadb_slice message,
                       nadb_slice data, bool *put, nadb_err *err) NADB_MUST_USE;
/* Writes a line about a backup or a restore into the store's log. `begun_ns` is
 * monotonic; `err` belongs to rc. */
void nadb_store_log_backup(nadb_store *s, const char *operation,
                           int64_t begun_ns, uint64_t rows, uint64_t bytes,
                           nadb_rc rc, const nadb_err *err);
/* Appends metrics and the numbers of nadb_store_sizes() of every open store as
 * OpenMetrics text. */
nadb_rc nadb_openmetrics(nadb_buf *out, nadb_err *err) NADB_MUST_USE;

/* Stores that belong to a database file: core/engine/owned.c. */
/* Marks the store as dropped by the statement that is running. The database
 * file decides whether the drop was committed. */
nadb_rc nadb_store_mark_dropped(const nadb_options *options,
                                nadb_err *err) NADB_MUST_USE;
/* Calls `each` with the identity of every store of that path, db and namespace.
 * `dropped`: the store is marked. */
typedef nadb_rc nadb_store_id_fn(void *ctx, const char *id, bool dropped,
                                 nadb_err *err);
nadb_rc nadb_store_ids(const nadb_options *options, nadb_store_id_fn *each,
                       void *ctx, nadb_err *err) NADB_MUST_USE;

/* A row of nadb_stores. Strings are valid during the call. */
typedef struct nadb_store_info {
    const nadb_options *options;
    bool is_running;
    double last_flush_at;   /* Unix time; 0: never */
    const char *last_error; /* "": none */
    uint64_t log_lost;      /* number of lines that could not be written */
    const char *log_error;  /* the reason; "": none */
    /* last sweep of expired rows, Unix time; 0: never */
    double last_cleanup_at;
    /* seconds; 0: the backend removes expired rows itself */
    double cleanup_interval;
    unsigned refs;           /* references by connections and tables */
    const uint8_t *identity; /* 16 random bytes in the store's files, different
                                for each store; NULL: not in files */
} nadb_store_info;
typedef nadb_rc nadb_store_fn(void *ctx, const nadb_store_info *info,
                              nadb_err *err);
/* Calls `each` for every store open in this process. */
nadb_rc nadb_stores_each(nadb_store_fn *each, void *ctx,
                         nadb_err *err) NADB_MUST_USE;

/* --- sessions --- */

/* The caller owns *out. REQUIRES: `s` stays open as long as the session. */
nadb_rc nadb_session_new(nadb_store *s, nadb_session **out,
                         nadb_err *err) NADB_MUST_USE;
/* Sets the caller, which must outlive the session, and the time limit for
 * locks. Without it the session has no caller and uses the store's options.
 * REQUIRES: nothing has been read. */
void nadb_session_serve(nadb_session *ss, const nadb_caller *caller,
                        int64_t busy_timeout_ms);
/* Rolls back an open transaction. NULL is fine. REQUIRES: no cursor is open. */
void nadb_session_free(nadb_session *ss);

/* `autocommit`: the transaction is one statement. A statement that changes a
 * single key then waits for other writers of it instead of conflicting with
 * them. */
nadb_rc nadb_session_begin(nadb_session *ss, bool autocommit,
                           nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_session_prepare(nadb_session *ss, nadb_err *err) NADB_MUST_USE;
void nadb_session_commit(nadb_session *ss);
nadb_rc nadb_session_rollback(nadb_session *ss, nadb_err *err);
bool nadb_session_dirty(const nadb_session *ss); /* has changes */
/* True if its changes are prepared and none was added since. */
bool nadb_session_prepared(const nadb_session *ss);
/* Takes a prepared record back, so that the changes, or the stamp, may change.
 */
nadb_rc nadb_session_unprepare(nadb_session *ss, nadb_err *err) NADB_MUST_USE;

/* --- the database file that a store belongs to --- */

/* Says that the store belongs to the database file that `file` describes;
 * `file` must outlive the session. From now on reads see the state that belongs
 * to the connection's snapshot of the file, and a connection with the file's
 * write lock sees all commits made through the file (core/engine/stamp.c). */
void nadb_session_bind(nadb_session *ss, const nadb_dbfile *file);
/* The stamp for the next mixed transaction. Its number is above that of `file`,
 * the file's present stamp, and above all numbers of the store. */
nadb_stamp nadb_session_next_stamp(nadb_session *ss, nadb_stamp file);
/* The last committed stamp of the store. */
nadb_stamp nadb_session_stamped(nadb_session *ss);
/* Makes the database file decide on what prepare writes: the file has got this
 * stamp. Valid until the transaction ends or is prepared again. */
void nadb_session_stamp(nadb_session *ss, nadb_stamp stamp);
/* Ends the transaction and leaves its prepared record for the database file to
 * decide. */
void nadb_session_abandon(nadb_session *ss);

/* True if what the session reads before its first change can count in a
 * transaction. */
bool nadb_session_can_hold(const nadb_session *ss);
/* Keeps the snapshot of the next statement until nadb_session_unhold() or until
 * the session's own transaction ends. An engine without snapshots shows the
 * present in each statement, and checks at COMMIT what was read. */
void nadb_session_hold(nadb_session *ss);
void nadb_session_unhold(nadb_session *ss);
/* To be called before a COMMIT. NADB_CONFLICT if the connection has the file's
 * write lock and the snapshot that is held is outdated. */
nadb_rc nadb_session_verify(nadb_session *ss, nadb_err *err) NADB_MUST_USE;

/* Savepoint numbers are SQLite's. A rollback to a number that was not set goes
 * to the nearest savepoint before it, or to the begin. */
nadb_rc nadb_session_savepoint(nadb_session *ss, int n,
                               nadb_err *err) NADB_MUST_USE;
void nadb_session_release(nadb_session *ss, int n);
nadb_rc nadb_session_rollback_to(nadb_session *ss, int n,
                                 nadb_err *err) NADB_MUST_USE;

/* Every statement that reads calls enter, and leave at its end; calls nest.
 * Until the last leave all cursors of the session share one snapshot, even if
 * they are closed and opened again, and pinned slices stay valid until the next
 * enter. SQLite needs both: it closes and opens cursors within one statement
 * (joins, correlated subqueries), and it may keep a SQLITE_STATIC value across
 * that, as max(value) does. */
nadb_rc nadb_session_enter(nadb_session *ss, nadb_err *err) NADB_MUST_USE;
void nadb_session_leave(nadb_session *ss);
/* The sequence number of the last commit that is seen. REQUIRES: between enter
 * and leave. */
uint64_t nadb_session_seq(const nadb_session *ss);

/* --- committed changes --- */

/* Walks over the changes of rows whose keys begin with `prefix` (copied), and
 * over clears, that were committed after `since` and are visible. NADB_INVALID
 * if they are no longer kept or the backend keeps none. REQUIRES: between enter
 * and leave; the caller frees *out before leave. */
nadb_rc nadb_changes_open(nadb_session *ss, uint64_t since, nadb_slice prefix,
                          nadb_changes **out, nadb_err *err) NADB_MUST_USE;
/* The sequence number of the last commit; *seq stays unchanged if it is
 * unknown. */
nadb_rc nadb_store_seq(nadb_store *s, uint64_t *seq,
                       nadb_err *err) NADB_MUST_USE;
/* Sleeps until a process commits something after `since`, at most timeout_ms,
 * without a lock or a snapshot. *seq: the last commit, or `since` after a
 * timeout. NADB_INTERRUPT if `stop` ended it. */
nadb_rc nadb_store_wait(nadb_store *s, uint64_t since, int64_t timeout_ms,
                        const nadb_stop *stop, uint64_t *seq,
                        nadb_err *err) NADB_MUST_USE;

/* --- changing rows (between begin and prepare) --- */

/* True if a row that has not expired has this key in the transaction's present
 * state, own changes included. Prepare checks the answer for conflicts. */
nadb_rc nadb_exists(nadb_session *ss, nadb_slice key, bool *found,
                    nadb_err *err) NADB_MUST_USE;
/* As nadb_exists(), with the row. Its slices are valid until the next call on
 * the session. */
nadb_rc nadb_get(nadb_session *ss, nadb_slice key, nadb_row *row, bool *found,
                 nadb_err *err) NADB_MUST_USE;

/* A moment numbers the session's changes. nadb_get_before() returns the row as
 * it was at `moment`; *found: it existed then and has changed since. Its slices
 * are valid until the next call on the session. */
uint64_t nadb_moment(const nadb_session *ss);
nadb_rc nadb_get_before(nadb_session *ss, nadb_slice key, uint64_t moment,
                        nadb_row *row, bool *found,
                        nadb_err *err) NADB_MUST_USE;
/* Undoes all changes made at `moment` or later. */
void nadb_undo_since(nadb_session *ss, uint64_t moment);
/* *put: the row was put at `moment` or later. */
nadb_rc nadb_put_since(nadb_session *ss, nadb_slice key, uint64_t moment,
                       bool *put, nadb_err *err) NADB_MUST_USE;

/* What the writer knew before the put. It matters when an autocommit statement
 * of one key finds another writer of the key at prepare. */
typedef enum nadb_put_mode {
    NADB_PUT_BLIND,  /* OR REPLACE: never a conflict */
    NADB_PUT_UPDATE, /* of a row that a cursor or nadb_get() returned */
    NADB_PUT_INSERT, /* nadb_exists() was false: prepare fails with
                        NADB_CONSTRAINT if the key exists by then */
    /* as INSERT, but prepare drops the put if the key exists (OR IGNORE) */
    NADB_PUT_IGNORE
} nadb_put_mode;

typedef struct nadb_put_req {
    nadb_slice key;
    nadb_put_mode mode;
    const nadb_value *value; /* NULL: the stored value of `keep` */
    const nadb_row *keep;
    nadb_slice tags;    /* tag list (core/kv/tags.h) */
    int64_t created_ms; /* INT64_MIN: now */
    int64_t updated_ms; /* INT64_MIN: now */
    int64_t expires_ms; /* NADB_NO_EXPIRY: never */
} nadb_put_req;

/* Writes the row and replaces an older one. Copies all it needs. Errors:
 * NADB_INVALID, NADB_TOOBIG, NADB_READONLY, NADB_NOMEM. */
nadb_rc nadb_put(nadb_session *ss, const nadb_put_req *req,
                 nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_delete(nadb_session *ss, nadb_slice key,
                    nadb_err *err) NADB_MUST_USE;
/* Removes all rows, within the transaction. *rows (may be NULL): their number,
 * -1 if only a walk would tell. */
nadb_rc nadb_clear(nadb_session *ss, int64_t *rows,
                   nadb_err *err) NADB_MUST_USE;
/* Deletes up to rows_max expired rows and adds their number to *removed; *more:
 * others are left. Prepare fails with NADB_CONFLICT if one of the rows was
 * written meanwhile. An engine with nadb_engine_ops.sweep deletes them at once,
 * outside the transaction. */
nadb_rc nadb_purge_expired(nadb_session *ss, size_t rows_max, int64_t *removed,
                           bool *more, nadb_err *err) NADB_MUST_USE;

/* --- reading rows --- */

typedef struct nadb_scan {
    nadb_slice lo; /* lo <= key < hi; hi.p == NULL: no bound */
    nadb_slice hi;
    bool reverse;
    /* NULL: all rows. Otherwise rows whose tags match, found by the tag index
     * if possible. It must outlive the cursor. */
    const nadb_match *match;
    bool key_only; /* a hint: only the key is used */
    /* a hint: about so many rows will be read; 0: not known */
    uint32_t rows_wanted;
    /* Rows that expire between the two times, in any order, of all keys. Not
     * together with `match`. */
    bool by_expiry;
    int64_t expires_from, expires_to; /* ms, both included */
    /* With by_expiry: expired rows too, and prepare does not check what was
     * read for conflicts. */
    bool expired;
    /* Rows that were updated between the two times. No index helps. Not
     * together with `match` or by_expiry. */
    bool by_update;
    int64_t updated_from, updated_to; /* ms, both included */
} nadb_scan;

/* Makes a cursor. It can be opened many times; a caller that keeps it reads a
 * row without an allocation. */
nadb_rc nadb_cursor_new(nadb_session *ss, nadb_cursor **out,
                        nadb_err *err) NADB_MUST_USE;
void nadb_cursor_free(nadb_cursor *c); /* NULL is fine */

/* Each of these opens the cursor at its first row; an open cursor is closed
 * first. Bounds are copied. Expired rows are skipped; the clock is read once
 * per open.
 *
 * `key_only`: the statement uses no column but the key, so a DELETE of this key
 * in autocommit is right whatever other writers do to the row. */
nadb_rc nadb_cursor_key(nadb_cursor *c, nadb_slice key, bool key_only,
                        nadb_err *err) NADB_MUST_USE;
/* The keys may come in any order, with repeats. Rows come in key order
 * (reverse: descending), each once. */
nadb_rc nadb_cursor_keys(nadb_cursor *c, const nadb_slice *keys, size_t n,
                         bool reverse, nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_cursor_scan(nadb_cursor *c, const nadb_scan *scan,
                         nadb_err *err) NADB_MUST_USE;

/* The present row; NULL at the end, or if nadb_cursor_load() found that the row
 * is gone. In a scan with `match` or `by_expiry` only the key is set before
 * nadb_cursor_load(). */
const nadb_row *nadb_cursor_row(const nadb_cursor *c);
nadb_rc nadb_cursor_load(nadb_cursor *c, nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_cursor_next(nadb_cursor *c, nadb_err *err) NADB_MUST_USE;
int64_t nadb_cursor_now(nadb_cursor *c); /* the clock of this open, ms */

/* The value of the present row, decoded once. *pinned (may be NULL): the bytes
 * are valid until the cursor is closed or opened again; otherwise until it
 * moves. */
nadb_rc nadb_cursor_value(nadb_cursor *c, nadb_value *out, bool *pinned,
                          nadb_err *err) NADB_MUST_USE;

/* When the present row was last read (Unix time, ms), if the store tracks
 * it. */
nadb_rc nadb_cursor_accessed(nadb_cursor *c, int64_t *ms, bool *known,
                             nadb_err *err) NADB_MUST_USE;

/* Releases the rows, and pinned slices with them. The cursor may be opened
 * again. */
void nadb_cursor_close(nadb_cursor *c);

/* --- tags: core/kv/tags.h --- */

/* Parses a JSON array of strings into a tag list: sorted, without repeats.
 * Appends it to *out (nothing for an empty array). NADB_INVALID names the fault
 * and its place. */
nadb_rc nadb_tags_parse(nadb_slice json, nadb_buf *out,
                        nadb_err *err) NADB_MUST_USE;
/* True if the list has the tag. */
bool nadb_tags_has(nadb_slice tags, nadb_slice tag);
/* Appends the JSON array; false if out of memory. */
bool nadb_tags_json(nadb_slice tags, nadb_buf *out) NADB_MUST_USE;

/* How often this process has queried a tag, and when last (Unix time, ms; 0:
 * never). */
void nadb_tag_asked(nadb_store *s, nadb_slice tag, int64_t *queries,
                    int64_t *last_ms);
/* Calls `each` with every tag that rows have (only.p != NULL: with that one),
 * as the session sees them, in bytewise order. */
typedef nadb_rc nadb_tag_count_fn(void *ctx, nadb_slice tag, int64_t rows,
                                  nadb_err *err);
nadb_rc nadb_tags_count(nadb_session *ss, nadb_slice only,
                        nadb_tag_count_fn *each, void *ctx,
                        nadb_err *err) NADB_MUST_USE;
/* Adds tags to a list, or removes them, and appends the result to *out.
 * *changed: the number of tags added or removed. Checks tags as
 * nadb_tags_parse() does; sorts `tags`. */
nadb_rc nadb_tags_change(nadb_slice list, nadb_slice *tags, size_t n, bool add,
                         nadb_buf *out, size_t *changed,
                         nadb_err *err) NADB_MUST_USE;

/* --- tags MATCH: core/kv/match.h --- */

/* An empty list of expressions; all that are added must be true. NULL if out of
 * memory. */
nadb_match *nadb_match_new(void) NADB_MUST_USE;
/* Adds an expression. NADB_INVALID names the fault and its place; `m` must then
 * be freed. */
nadb_rc nadb_match_add(nadb_match *m, nadb_slice text,
                       nadb_err *err) NADB_MUST_USE;
/* Adds the expression: at least one of the n > 0 tags. */
nadb_rc nadb_match_add_any(nadb_match *m, const nadb_slice *tags, size_t n,
                           nadb_err *err) NADB_MUST_USE;
/* A list of one expression; the caller owns *out. */
nadb_rc nadb_match_parse(nadb_slice text, nadb_match **out,
                         nadb_err *err) NADB_MUST_USE;
void nadb_match_free(nadb_match *m); /* NULL is fine */
/* True if only rows with tags can match, so that the tag index can be used. */
bool nadb_match_indexed(const nadb_match *m);
/* An estimate of the number of rows that match, from the counters; -1:
 * unknown. */
nadb_rc nadb_match_estimate(nadb_session *ss, const nadb_match *m, double *rows,
                            nadb_err *err) NADB_MUST_USE;
/* True if a row with this tag list matches. */
bool nadb_match_tags(const nadb_match *m, nadb_slice tags);

/* --- data of other programs --- */

/* Appends the decompressed form of zlib or gzip data. NADB_TOOBIG if it has
 * more than `max` bytes, NADB_CORRUPT if it is neither format. */
nadb_rc nadb_unzip(nadb_slice in, size_t max, nadb_buf *out,
                   nadb_err *err) NADB_MUST_USE;

/* --- the library --- */

/* Loads a backend from a shared library that was built against host.h. `file`:
 * its absolute path. *name: the backend's name, valid until the process ends.
 * NADB_DENIED: the file is outside NADB_ALLOW_PATHS. NADB_CANTOPEN,
 * NADB_INVALID: it is not a backend. */
nadb_rc nadb_backend_load(const char *file, const char **name,
                          nadb_err *err) NADB_MUST_USE;

/* Appends a description of how the library was built. */
bool nadb_debug_text(nadb_buf *out) NADB_MUST_USE;

#endif
