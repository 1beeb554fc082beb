/* nadb.h - the key-value core, as the SQL layer sees it.
 *
 * nadb_store    a store, open in this process; shared by all connections and
 *               threads, reference counted. Thread-safe.
 * nadb_session  what one SQLite connection does with one store: its snapshot,
 *               its private batch of changes, its savepoints. Used by one
 *               thread at a time (SQLite serialises a connection), shared by
 *               all virtual table objects of that connection on that store.
 * nadb_cursor   a walk over rows, or one row, within a session.
 *
 * Life of a transaction, in the order of SQLite's callbacks:
 *
 *   xBegin        nadb_session_begin       fixes the snapshot
 *   xUpdate       nadb_put, nadb_delete    into the private batch
 *   xSavepoint n  nadb_session_savepoint   remembers the batch's length
 *   xSync         nadb_session_prepare     checked, durable, in doubt
 *   xCommit       nadb_session_commit      visible; cannot fail
 *   xRollback     nadb_session_rollback    batch dropped, record taken back
 *
 * Every one of these may come twice (two objects of one table): the second
 * does nothing. After a prepare without commit (an explicit COMMIT that ended
 * in SQLITE_BUSY) the session may go on changing: the next change or prepare
 * takes the prepared record back first.
 *
 * Snapshots. Outside a transaction, the cursors of a session that are open at
 * the same time share one snapshot; the first cursor after all are closed, or
 * after a commit of this session, sees the present. From begin on, everything
 * reads the snapshot of begin plus the session's own changes, and what it reads
 * is checked at prepare (NADB_CONFLICT).
 *
 * A read transaction (nadb_session_hold) keeps one snapshot from its first
 * statement on. A write that joins it reads on from that snapshot.
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

/* Limits of a row. */
#define NADB_KEY_MAX 65538u /* bytes of a key: util/key.h */
#define NADB_TAGS_MAX 1000u /* tags of a row */
#define NADB_TAG_MAX 1024u  /* bytes of a tag */
#define NADB_VALUE_MAX                                                         \
    0x7fff0000u /* bytes of a value: below SQLite's limit                      \
                 */

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

/* A row as it is stored. Slices are valid until the cursor that gave it moves,
 * or, when `pinned`, until that cursor is closed. */
typedef struct nadb_row {
    nadb_slice key;
    nadb_type type;
    uint8_t codec;     /* how `stored` is encoded: core/kv/codec.h; 0 = raw */
    nadb_slice stored; /* the value as it is in the store */
    uint64_t size;     /* bytes of the value; 8 for numbers, 0 for NULL */
    nadb_slice tags;   /* tag list: core/kv/tags.h; empty when there are none */
    int64_t created_ms, updated_ms; /* Unix time */
    int64_t expires_ms;             /* NADB_NO_EXPIRY: for ever */
    bool pinned;                    /* slices but the key's */
    bool key_pinned;                /* the key's bytes */
    bool stale;  /* the change that it came from was taken back: of no use
                    before nadb_cursor_load() */
    uint64_t id; /* names the stored bytes in the value cache; 0 = none */
} nadb_row;

/* --- stores --- */

typedef struct nadb_store nadb_store;
typedef struct nadb_session nadb_session;
typedef struct nadb_cursor nadb_cursor;

enum {
    NADB_STORE_CREATE = 1, /* make it when it is not there */
    NADB_STORE_FIND = 2    /* NADB_CANTOPEN when it is not there, also where
                              opening would make an empty one */
};

/* Opens the store that the options name, or attaches to it when the process
 * has it open already. `*created` (may be NULL) says whether it was made.
 * Errors: NADB_CANTOPEN (missing, not a store, newer format, open on another
 * machine), NADB_CORRUPT, NADB_READONLY, NADB_IOERR, NADB_INVALID. */
nadb_rc nadb_store_open(const nadb_options *options, unsigned flags,
                        nadb_store **out, bool *created,
                        nadb_err *err) NADB_MUST_USE;
/* Gives up one reference. The last one makes everything durable and closes;
 * NULL is fine. */
void nadb_store_close(nadb_store *s);
/* Closes (like nadb_store_close, also on error) and removes the store with
 * everything in it. NADB_LOCKED when another connection or process has it
 * open. Removes nothing outside a directory with our control file. */
nadb_rc nadb_store_destroy(nadb_store *s, nadb_err *err) NADB_MUST_USE;
/* The same for a store that was made in vain, here alone: NADB_LOCKED also when
 * somebody has ever committed to it. One on a server stays as it is. */
nadb_rc nadb_store_undo(nadb_store *s, nadb_err *err) NADB_MUST_USE;

const nadb_options *nadb_store_options(const nadb_store *s); /* in force */

/* Everything committed is in the backend and synced. */
nadb_rc nadb_store_flush(nadb_store *s, nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_flush_all(nadb_err *err) NADB_MUST_USE; /* every open store */
/* Leaves no dead data, nor rows that have expired. NADB_INTERRUPT when `stop`
 * (NULL: never), which is asked every now and then, wants it to end; what was
 * done until then stays. */
nadb_rc nadb_store_compact(nadb_store *s, nadb_stop_fn *stop, void *ctx,
                           nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_store_check(nadb_store *s, nadb_report_fn *report, void *ctx,
                         nadb_err *err) NADB_MUST_USE;
/* Makes the indexes anew from the rows, in a transaction of its own. *differed:
 * entries that were not as they must be. NADB_INVALID: they are the server's.
 */
nadb_rc nadb_store_reindex(nadb_store *s, int64_t *differed,
                           nadb_err *err) NADB_MUST_USE;
/* Forgets decompressed values and rows of a server; *bytes rises by what that
 * frees. */
nadb_rc nadb_store_cache_drop(nadb_store *s, uint64_t *bytes,
                              nadb_err *err) NADB_MUST_USE;
/* Of every open store. */
nadb_rc nadb_cache_drop_all(uint64_t *bytes, nadb_err *err) NADB_MUST_USE;

/* What nadb_store_repair() has done. */
typedef struct nadb_repaired {
    int64_t rows;  /* in the new store */
    int64_t lost;  /* keys whose newest state could not be read */
    char *aside;   /* where the damaged files are; the caller frees it */
    bool finished; /* an earlier repair, which had come to its last step */
} nadb_repaired;
/* Who hears of what is found: a line a fault, and keys that are lost. */
typedef struct nadb_repair_listener {
    void *ctx;
    nadb_report_fn *fault;
    nadb_report_fn *lost; /* a key, as people read it */
    nadb_stop stop;
} nadb_repair_listener;
/* Reads what can be read of a store that nobody has open, whatever is wrong
 * with it, into a new one that takes its place; the old files stay beside it.
 * `stamp`: the number in the database file that it belongs to; 0: none. Errors
 * leave the store as it was. NADB_LOCKED: somebody has it open. NADB_INVALID:
 * the backend has no files. */
nadb_rc nadb_store_repair(const nadb_options *options, uint64_t stamp,
                          const nadb_repair_listener *to, nadb_repaired *out,
                          nadb_err *err) NADB_MUST_USE;

/* What nadb_store_recompress() has found: rows. */
typedef struct nadb_recompressed {
    int64_t compressed;  /* now */
    int64_t already;     /* they were */
    int64_t too_small;   /* up to 1 KB, or a number or NULL */
    int64_t not_smaller; /* compressed, they are not enough smaller */
    int64_t missing;     /* gone since the walk began */
    int64_t errors;      /* damaged, or somebody else's at each of our tries */
} nadb_recompressed;
/* Compresses the values that were written without it, in transactions of its
 * own. NADB_INVALID where the store has compression=off. */
nadb_rc nadb_store_recompress(nadb_store *s, nadb_stop_fn *stop, void *ctx,
                              nadb_recompressed *out,
                              nadb_err *err) NADB_MUST_USE;
/* The names and numbers of nadb_stats that cost no look at the rows. */
nadb_rc nadb_store_sizes(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                         nadb_err *err) NADB_MUST_USE;
/* All of them. */
nadb_rc nadb_store_stats(nadb_store *s, nadb_stat_fn *emit, void *ctx,
                         nadb_err *err) NADB_MUST_USE;

/* An operation of a store in this process, since it was opened here. Times are
 * those of `timed` of them, which stand for all (core/util/monitor.h); with
 * timed == 0 they say nothing. */
typedef struct nadb_metric {
    const char *operation;
    uint64_t count, errors, keys, bytes, timed;
    double sum_ms, avg_ms, min_ms, max_ms, p50_ms, p95_ms, p99_ms;
} nadb_metric;
typedef nadb_rc nadb_metric_fn(void *ctx, const nadb_metric *m, nadb_err *err);
nadb_rc nadb_store_metrics(nadb_store *s, nadb_metric_fn *each, void *ctx,
                           nadb_err *err) NADB_MUST_USE;

/* A transaction that is open in this process, or a record of any process's that
 * is in doubt. */
typedef struct nadb_txn_info {
    const nadb_options *options; /* of its store */
    const char *state; /* reading, writing, prepared; in doubt, committing,
                          claim, taken back, orphan */
    uint64_t process;  /* 0: it has none any more */
    bool alive;        /* the process is */
    double age_s;      /* negative: not known */
    bool measured;     /* changes and bytes are known */
    uint64_t changes, bytes;
} nadb_txn_info;
typedef nadb_rc nadb_txn_info_fn(void *ctx, const nadb_txn_info *info,
                                 nadb_err *err);
/* Calls `each` for those of every store open in this process. */
nadb_rc nadb_transactions_each(nadb_txn_info_fn *each, void *ctx,
                               nadb_err *err) NADB_MUST_USE;

/* NADB_INVALID: it is no level. */
nadb_rc nadb_log_check(const char *level, nadb_err *err) NADB_MUST_USE;
/* A line of the application's in the store's log. `data` is JSON, or p == NULL.
 * *put: the store has a log, whose levels let the line through. */
nadb_rc nadb_store_log(nadb_store *s, const char *level, nadb_slice message,
                       nadb_slice data, bool *put, nadb_err *err) NADB_MUST_USE;
/* A line in the store's log about a backup that was made of it, or was brought
 * back into it; `begun_ns` is monotonic. `err` is that of rc. */
void nadb_store_log_backup(nadb_store *s, const char *operation,
                           int64_t begun_ns, uint64_t rows, uint64_t bytes,
                           nadb_rc rc, const nadb_err *err);
/* Appends what is known of every store open in this process, as OpenMetrics
 * text: the numbers of nadb_stats that cost no walk, and the metrics. */
nadb_rc nadb_openmetrics(nadb_buf *out, nadb_err *err) NADB_MUST_USE;

/* Stores that belong to a database file (core/engine/owned.c). */
/* The options' table was dropped; whether that is committed, the file tells. */
nadb_rc nadb_store_mark_dropped(const nadb_options *options,
                                nadb_err *err) NADB_MUST_USE;
/* Calls `each` with the identity of every store of that path, db and namespace.
 * `dropped`: it is marked. */
typedef nadb_rc nadb_store_id_fn(void *ctx, const char *id, bool dropped,
                                 nadb_err *err);
nadb_rc nadb_store_ids(const nadb_options *options, nadb_store_id_fn *each,
                       void *ctx, nadb_err *err) NADB_MUST_USE;

/* A row of nadb_stores. Strings are valid for the call only. */
typedef struct nadb_store_info {
    const nadb_options *options;
    bool is_running;
    double last_flush_at;    /* Unix time; 0 = never */
    const char *last_error;  /* "" when there is none */
    uint64_t log_lost;       /* lines that could not be written, .. */
    const char *log_error;   /* .. and why; "" */
    double last_cleanup_at;  /* of what has expired: Unix time; 0 = never */
    double cleanup_interval; /* s; 0: the backend does it by itself */
    unsigned refs;           /* connections and tables that hold it */
    const uint8_t *identity; /* 16 random bytes that tell a store in
                                files from all others, and go with the files;
                                NULL: it is not in files */
} nadb_store_info;
typedef nadb_rc nadb_store_fn(void *ctx, const nadb_store_info *info,
                              nadb_err *err);
/* Calls `each` for every store open in this process. */
nadb_rc nadb_stores_each(nadb_store_fn *each, void *ctx,
                         nadb_err *err) NADB_MUST_USE;

/* --- sessions --- */

/* `s` must stay open as long as the session. The caller owns *out. */
nadb_rc nadb_session_new(nadb_store *s, nadb_session **out,
                         nadb_err *err) NADB_MUST_USE;
/* For whom the session works, which outlives it, and how long it waits for
 * locks; before anything is read. Else: for nobody, as the store's options say.
 */
void nadb_session_serve(nadb_session *ss, const nadb_caller *caller,
                        int64_t busy_timeout_ms);
/* Rolls back what is open. No cursor is open. NULL is fine. */
void nadb_session_free(nadb_session *ss);

/* `autocommit`: this transaction is one statement; then changes of a single
 * key wait for other writers instead of conflicting with them. */
nadb_rc nadb_session_begin(nadb_session *ss, bool autocommit,
                           nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_session_prepare(nadb_session *ss, nadb_err *err) NADB_MUST_USE;
void nadb_session_commit(nadb_session *ss);
nadb_rc nadb_session_rollback(nadb_session *ss, nadb_err *err);
bool nadb_session_dirty(const nadb_session *ss); /* has changes */
/* What it has is prepared, and has not changed since. */
bool nadb_session_prepared(const nadb_session *ss);

/* --- the database file that a store belongs to --- */

/* The store belongs to the file that `file` asks; it outlives the session. From
 * now on what the session reads belongs to the connection's snapshot of the
 * file, and who holds the file's write lock reads all that was committed
 * through it (core/engine/stamp.c). */
void nadb_session_bind(nadb_session *ss, const nadb_dbfile *file);
/* The stamp that the next mixed transaction has to leave in the file, above
 * `file`, which is there, and all that the store has seen. */
nadb_stamp nadb_session_next_stamp(nadb_session *ss, nadb_stamp file);
/* The last stamp that the store has committed. */
nadb_stamp nadb_session_stamped(nadb_session *ss);
/* What prepare writes is decided by the file, which has got this stamp. It
 * holds until the transaction ends or is prepared anew. */
void nadb_session_stamp(nadb_session *ss, nadb_stamp stamp);
/* Ends the transaction, and leaves what is prepared to the decision of the
 * file. */
void nadb_session_abandon(nadb_session *ss);

/* From now to nadb_session_unhold() all statements see the snapshot of the
 * first. Ends with the session's own transaction as well. */
void nadb_session_hold(nadb_session *ss);
void nadb_session_unhold(nadb_session *ss);

/* Savepoint numbers are SQLite's. A rollback to a number that was never set
 * goes to the nearest state before it, at last to that of begin. */
nadb_rc nadb_session_savepoint(nadb_session *ss, int n,
                               nadb_err *err) NADB_MUST_USE;
void nadb_session_release(nadb_session *ss, int n);
nadb_rc nadb_session_rollback_to(nadb_session *ss, int n,
                                 nadb_err *err) NADB_MUST_USE;

/* A statement that reads is between enter and leave (calls nest). Until the
 * last has left, all cursors of the session see one snapshot, also those that
 * are closed and opened again; pinned slices stay valid until the first enter
 * after that, whatever becomes of their cursor. SQLite needs both: it opens
 * and re-opens cursors within one statement (joins, correlated subqueries) and
 * may keep a SQLITE_STATIC value across that, as max(value) does. */
nadb_rc nadb_session_enter(nadb_session *ss, nadb_err *err) NADB_MUST_USE;
void nadb_session_leave(nadb_session *ss);
/* Between the two: the sequence number of the last commit that is seen. */
uint64_t nadb_session_seq(const nadb_session *ss);

/* --- changes that were committed --- */

/* Between enter and leave: a walk over the changes of rows whose keys begin
 * with `prefix` (copied), and clears, that were committed after `since` and are
 * seen. NADB_INVALID when they are not kept so far back, or the store's backend
 * does not offer it. The caller frees *out, before it leaves. */
nadb_rc nadb_changes_open(nadb_session *ss, uint64_t since, nadb_slice prefix,
                          nadb_changes **out, nadb_err *err) NADB_MUST_USE;
/* The number of the last commit; *seq stays where that is not known. */
nadb_rc nadb_store_seq(nadb_store *s, uint64_t *seq,
                       nadb_err *err) NADB_MUST_USE;
/* Sleeps until something is committed after `since`, by any process, at most
 * timeout_ms; holds no lock and no snapshot meanwhile. *seq: the last commit,
 * `since` when the time is over. NADB_INTERRUPT when `stop` wants it to end. */
nadb_rc nadb_store_wait(nadb_store *s, uint64_t since, int64_t timeout_ms,
                        const nadb_stop *stop, uint64_t *seq,
                        nadb_err *err) NADB_MUST_USE;

/* --- changing rows (between begin and prepare) --- */

/* Whether a live row has this key, as the transaction sees it now (its own
 * changes included, whatever cursors are open). The answer is a decision:
 * it is checked at prepare. */
nadb_rc nadb_exists(nadb_session *ss, nadb_slice key, bool *found,
                    nadb_err *err) NADB_MUST_USE;
/* As nadb_exists(), with the row. Its slices are valid until the next call on
 * the session. */
nadb_rc nadb_get(nadb_session *ss, nadb_slice key, nadb_row *row, bool *found,
                 nadb_err *err) NADB_MUST_USE;

/* The present moment of the session's changes, and the row as it was then.
 * *found: it was there, and has been changed since. Its slices, as above. */
uint64_t nadb_moment(const nadb_session *ss);
nadb_rc nadb_get_before(nadb_session *ss, nadb_slice key, uint64_t moment,
                        nadb_row *row, bool *found,
                        nadb_err *err) NADB_MUST_USE;
/* Takes back all changes made at `moment` or later. */
void nadb_undo_since(nadb_session *ss, uint64_t moment);
/* Whether the row of that key was put at `moment` or later. */
nadb_rc nadb_put_since(nadb_session *ss, nadb_slice key, uint64_t moment,
                       bool *put, nadb_err *err) NADB_MUST_USE;

/* What the writer decided before the put. It matters when an autocommit
 * statement of one key meets another writer of that key at prepare. */
typedef enum nadb_put_mode {
    NADB_PUT_BLIND,  /* OR REPLACE: never conflicts */
    NADB_PUT_UPDATE, /* of a row that a cursor or nadb_get() read */
    NADB_PUT_INSERT, /* nadb_exists() said no: prepare then fails with
                        NADB_CONSTRAINT if the key is there by now */
    NADB_PUT_IGNORE  /* likewise, but the put is then dropped (OR IGNORE) */
} nadb_put_mode;

typedef struct nadb_put_req {
    nadb_slice key;
    nadb_put_mode mode;
    const nadb_value *value; /* NULL: take `keep`'s, without decoding it */
    const nadb_row *keep;
    nadb_slice tags;    /* tag list (core/kv/tags.h) */
    int64_t created_ms; /* INT64_MIN: now */
    int64_t updated_ms; /* INT64_MIN: now */
    int64_t expires_ms; /* NADB_NO_EXPIRY: for ever */
} nadb_put_req;

/* Writes the row, whatever was there. Copies all it needs. Errors:
 * NADB_INVALID, NADB_TOOBIG, NADB_READONLY, NADB_NOMEM. */
nadb_rc nadb_put(nadb_session *ss, const nadb_put_req *req,
                 nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_delete(nadb_session *ss, nadb_slice key,
                    nadb_err *err) NADB_MUST_USE;
/* Empties the store, within the transaction. *rows (may be NULL) is how many
 * rows that were, -1 where that is not known without reading them. */
nadb_rc nadb_clear(nadb_session *ss, int64_t *rows,
                   nadb_err *err) NADB_MUST_USE;
/* Deletes up to rows_max rows that have expired; *removed rises by the number
 * deleted, *more: there are others. At prepare it is NADB_CONFLICT when
 * somebody has written such a row meanwhile. An engine that sweeps by itself
 * (nadb_engine_ops.sweep) does it at once, whatever becomes of the
 * transaction. */
nadb_rc nadb_purge_expired(nadb_session *ss, size_t rows_max, int64_t *removed,
                           bool *more, nadb_err *err) NADB_MUST_USE;

/* --- reading rows --- */

typedef struct nadb_scan {
    nadb_slice lo; /* keys lo <= key < hi; hi.p == NULL: no bound */
    nadb_slice hi;
    bool reverse;
    /* NULL: all rows. Else those whose tags match, by the tag index where it
     * can tell; lives until the cursor is closed. */
    const nadb_match *match;
    bool key_only; /* a hint: no column but the key is wanted */
    /* Only rows that expire from .. to, in any order, and all keys. Not with
     * `match`. */
    bool by_expiry;
    int64_t expires_from, expires_to; /* ms, both included */
    /* With by_expiry: rows that have expired, too; and what is read does not
     * count as a decision of the transaction. */
    bool expired;
    /* Only rows that were updated from .. to; there is no index of it. Not with
     * `match` or by_expiry. */
    bool by_update;
    int64_t updated_from, updated_to; /* ms, both included */
} nadb_scan;

/* Makes a cursor that can be opened again and again; keep it with the SQL
 * cursor, so that a point read allocates nothing. */
nadb_rc nadb_cursor_new(nadb_session *ss, nadb_cursor **out,
                        nadb_err *err) NADB_MUST_USE;
void nadb_cursor_free(nadb_cursor *c); /* NULL is fine */

/* Each opens the cursor at its first row (closing what was open). Bounds are
 * copied. Expired rows are skipped; the clock is read once an open.
 *
 * `key_only`: the statement uses no column but the key, so a DELETE of this one
 * key in autocommit is the same whatever other writers do to the row. */
nadb_rc nadb_cursor_key(nadb_cursor *c, nadb_slice key, bool key_only,
                        nadb_err *err) NADB_MUST_USE;
/* The keys may come in any order and repeat; rows come in key order (reverse:
 * descending), each once. */
nadb_rc nadb_cursor_keys(nadb_cursor *c, const nadb_slice *keys, size_t n,
                         bool reverse, nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_cursor_scan(nadb_cursor *c, const nadb_scan *scan,
                         nadb_err *err) NADB_MUST_USE;

/* The present row; NULL at the end, or when nadb_cursor_load() has found it
 * gone. Of a scan with `match` or `by_expiry`, only the key is there until
 * nadb_cursor_load(). */
const nadb_row *nadb_cursor_row(const nadb_cursor *c);
nadb_rc nadb_cursor_load(nadb_cursor *c, nadb_err *err) NADB_MUST_USE;
nadb_rc nadb_cursor_next(nadb_cursor *c, nadb_err *err) NADB_MUST_USE;
int64_t nadb_cursor_now(nadb_cursor *c); /* the clock of this open, ms */

/* The value of the present row, decoded once a row. *pinned (may be NULL): the
 * bytes stay valid until the cursor is closed or opened again; else until it
 * moves. */
nadb_rc nadb_cursor_value(nadb_cursor *c, nadb_value *out, bool *pinned,
                          nadb_err *err) NADB_MUST_USE;

/* When the present row was last read (Unix time, ms), where that is tracked. */
nadb_rc nadb_cursor_accessed(nadb_cursor *c, int64_t *ms, bool *known,
                             nadb_err *err) NADB_MUST_USE;

/* Lets go of the rows; pinned slices die. The cursor may be opened again. */
void nadb_cursor_close(nadb_cursor *c);

/* --- tags: core/kv/tags.h --- */

/* Parses a JSON array of strings into a tag list: sorted, without repeats.
 * Appends to *out (nothing for an empty array). NADB_INVALID says what is
 * wrong and where. */
nadb_rc nadb_tags_parse(nadb_slice json, nadb_buf *out,
                        nadb_err *err) NADB_MUST_USE;
/* Whether the list has this tag. */
bool nadb_tags_has(nadb_slice tags, nadb_slice tag);
/* Appends the JSON array; false when out of memory. */
bool nadb_tags_json(nadb_slice tags, nadb_buf *out) NADB_MUST_USE;

/* How often a tag was asked for in this process, and when last (Unix time in
 * ms; 0: never). */
void nadb_tag_asked(nadb_store *s, nadb_slice tag, int64_t *queries,
                    int64_t *last_ms);
/* Calls `each` with every tag that rows have (only.p != NULL: with that one),
 * as the session sees them now, in bytewise order. */
typedef nadb_rc nadb_tag_count_fn(void *ctx, nadb_slice tag, int64_t rows,
                                  nadb_err *err);
nadb_rc nadb_tags_count(nadb_session *ss, nadb_slice only,
                        nadb_tag_count_fn *each, void *ctx,
                        nadb_err *err) NADB_MUST_USE;
/* Adds tags to a list, or takes them away, and appends the result to *out.
 * *changed: how many were not there, or were. Checks the tags as
 * nadb_tags_parse() does; sorts `tags`. */
nadb_rc nadb_tags_change(nadb_slice list, nadb_slice *tags, size_t n, bool add,
                         nadb_buf *out, size_t *changed,
                         nadb_err *err) NADB_MUST_USE;

/* --- tags MATCH: core/kv/match.h --- */

/* Of several expressions, which must all be true; of none yet. NULL when out of
 * memory. */
nadb_match *nadb_match_new(void) NADB_MUST_USE;
/* Adds an expression. NADB_INVALID says what is wrong and where; `m` is then
 * only good for nadb_match_free(). */
nadb_rc nadb_match_add(nadb_match *m, nadb_slice text,
                       nadb_err *err) NADB_MUST_USE;
/* Adds: at least one of the n > 0 tags. */
nadb_rc nadb_match_add_any(nadb_match *m, const nadb_slice *tags, size_t n,
                           nadb_err *err) NADB_MUST_USE;
/* Of one expression; the caller owns *out. */
nadb_rc nadb_match_parse(nadb_slice text, nadb_match **out,
                         nadb_err *err) NADB_MUST_USE;
void nadb_match_free(nadb_match *m); /* NULL is fine */
/* Whether only rows with tags can match, so that the tag index can tell. */
bool nadb_match_indexed(const nadb_match *m);
/* About how many rows match, from the counters; -1: the index cannot tell. */
nadb_rc nadb_match_estimate(nadb_session *ss, const nadb_match *m, double *rows,
                            nadb_err *err) NADB_MUST_USE;
/* Whether a tag list is what the expression asks for. */
bool nadb_match_tags(const nadb_match *m, nadb_slice tags);

/* --- data of other programs --- */

/* Appends what is compressed by zlib or gzip; NADB_TOOBIG when that is more
 * than `max` bytes, NADB_CORRUPT when it is neither. */
nadb_rc nadb_unzip(nadb_slice in, size_t max, nadb_buf *out,
                   nadb_err *err) NADB_MUST_USE;

/* --- the library --- */

/* Loads a backend from a shared library that was built against host.h; *name is
 * its name, valid for ever. `file`: its absolute path. NADB_DENIED: it is
 * outside NADB_ALLOW_PATHS; NADB_CANTOPEN, NADB_INVALID: it is none. */
nadb_rc nadb_backend_load(const char *file, const char **name,
                          nadb_err *err) NADB_MUST_USE;

/* Appends a description of how the library was built. */
bool nadb_debug_text(nadb_buf *out) NADB_MUST_USE;

#endif
