/* ext.h - what the files of ext/, SQLite's face of the store, share.
 *
 * Who owns what:
 *
 *   conn     everything of one sqlite3*: owned by the registered module and
 *            functions, reference counted, gone when the connection closes.
 *   sess     one store as one connection uses it: shared by all virtual table
 *            objects of that connection on that store, because SQLite may hold
 *            several objects of one table, and two tables may name one store.
 *   vtab     one virtual table object. Opens its store at the first use.
 *   vcursor  one SQL cursor, recycled by its vtab, with its nadb_cursor.
 *
 * All of it is used by one thread at a time: SQLite serialises a connection.
 * Only the list of connections (conn.c) is shared, and has a lock.
 *
 * Only value.c turns nadb_rc into SQLITE_* codes. */
#ifndef NADB_EXT_H
#define NADB_EXT_H

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

#include "../core/backup/backup.h"
#include "../core/nadb.h"

/* sqlite3_vtab_in(), _distinct() and _rhs_value() came with it. */
#define EXT_SQLITE_MIN 3038000

#if SQLITE_VERSION_NUMBER < EXT_SQLITE_MIN
#error "nadb needs the headers of SQLite 3.38.0 or newer"
#endif

/* --- conn.c --- */

typedef struct vtab vtab;
typedef struct table_place table_place; /* in places.c */
typedef struct command command;         /* command.c */

typedef struct sess {
    nadb_store *store;
    nadb_session *core;
    vtab *objects;       /* the last to leave ends the session, see parked() */
    unsigned n_begun;    /* of these, inside a transaction */
    unsigned n_creators; /* of these, made by the present transaction */
    bool made;           /* the store was made by the present transaction */
    bool kept;           /* and a table that asked for it is still there */
    bool remove;         /* no table has the store: remove it at the end */
    bool dropped;        /* by DROP TABLE: not kept for a later object */
    /* Of a store that belongs to the file of its table's schema (file.c): */
    bool bound;
    bool snapshots;  /* the backend has them */
    bool autocommit; /* the transaction is one statement */
    bool several;    /* other attached files are written, too */
    const void *wal; /* the file's log, while it is in WAL mode */
    bool no_journal; /* PRAGMA journal_mode=OFF */
    char user_version[16], application_id[16]; /* last seen */
    uint64_t wrote_rows, wrote_bytes;          /* by the present transaction */
    nadb_job *writing;                         /* NULL: not many */
    struct sess *next;
} sess;

typedef enum text_encoding {
    ENCODING_UNKNOWN,
    ENCODING_UTF8,
    ENCODING_OTHER
} text_encoding;

typedef enum blob_likeness {
    BLOBS_UNKNOWN,
    BLOBS_MATCH,
    BLOBS_DIFFER
} blob_likeness;

typedef struct conn {
    sqlite3 *db;
    nadb_caller caller; /* this connection, for its sessions */
    nadb_waits waits;   /* of the caller */
    unsigned refs;      /* module and functions */
    bool module_live;   /* the module is registered */
    bool match_settled; /* match() is ours, or an application's */
    text_encoding encoding;
    blob_likeness blobs; /* whether GLOB and LIKE take BLOBs for texts */
    sess *sessions;
    table_place *places;
    vtab *planned;    /* the table that xBestIndex saw last; conn_prepare() */
    bool watching;    /* the end of the transaction will be noticed: watch.c */
    bool watch_there; /* its table is there */
    unsigned watch_tries;
    bool spill_off;    /* PRAGMA cache_spill, as last seen */
    int64_t spills;    /* pages flushed, when they were counted last */
    unsigned changes;  /* total_changes() then */
    const char *adopt; /* identity that the next CREATE takes over; or NULL */
    struct dropped *dropped; /* stores to remove when that is committed */
    command *command; /* what the running statement of ours does; or NULL */
    struct conn *next;
} conn;

/* The state of `db`, made when there is none. The caller holds a reference.
 * NULL when out of memory. */
conn *conn_ref(sqlite3 *db);
void conn_unref(void *c);
/* So many steps of SQLite's machine that a progress handler of at most that
 * many is called. */
#define JOB_TICKS                                                              \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"           \
    " WHERE i < 1500) SELECT count(*) FROM n"
/* BINARY order of this connection's texts is the order of UTF-8 bytes. */
bool conn_is_utf8(conn *c);
/* GLOB and LIKE may match a BLOB: an option of SQLite's build. */
bool conn_globs_blobs(conn *c);

/* Gives the object the session of its store, opened or shared. `flags` as for
 * nadb_store_open(). */
nadb_rc conn_attach(vtab *v, unsigned flags, nadb_err *err) NADB_MUST_USE;
void conn_detach(vtab *v); /* nothing when it is not attached */

/* --- places.c --- */

/* What the connection knows of where a table has its store; `fresh`: nothing
 * from now on. NULL when out of memory. It lives as long as the connection. */
table_place *place_of(conn *c, const char *schema, const char *table,
                      bool fresh);
/* For nadb_place.base_dir. */
char **place_base_dir(table_place *p);
/* The table gets another name, unless that is rolled back. */
void place_rename(conn *c, table_place *p, const char *table);
/* Makes the options name the place that was found before. */
nadb_rc place_use(const table_place *p, nadb_options *o,
                  nadb_err *err) NADB_MUST_USE;
/* With these options the store was found in `real`; NULL: not in files. */
void place_found(table_place *p, const nadb_options *o, const char *real);
void places_free(conn *c);

/* --- conn.c --- */

/* Leaves the object alone with its session: others that SQLite keeps only for
 * statements that have expired, as ALTER leaves them behind, give up the store.
 * NADB_LOCKED: a table that is still there has it, too. */
nadb_rc conn_leave_alone(vtab *v, nadb_err *err) NADB_MUST_USE;

/* Prepares "<head> <table> <tail>" for a function's first argument, which is
 * "table" or "schema.table", and finds the table's object. Connects the table
 * if it has not been used yet, and asks the authorizer for what the statement
 * says: NADB_DENIED. The object is valid until the caller gives control back to
 * SQLite; the caller finalizes *stmt, which is NULL on error. */
nadb_rc conn_prepare(conn *c, const char *head, const char *name,
                     const char *tail, sqlite3_stmt **stmt, vtab **out,
                     nadb_err *err) NADB_MUST_USE;
/* The object alone; the authorizer is asked for READ of the key. */
nadb_rc conn_find(conn *c, const char *name, vtab **out,
                  nadb_err *err) NADB_MUST_USE;
/* Likewise, and for READ of a column that has a type. *hidden: it said
 * SQLITE_IGNORE, so that the column reads as NULL. */
nadb_rc conn_find_to_read(conn *c, const char *name, const char *column,
                          vtab **out, bool *hidden,
                          nadb_err *err) NADB_MUST_USE;

/* --- vtab.c --- */

enum column {
    COL_KEY,
    COL_VALUE,
    COL_TAGS,
    COL_TTL,
    COL_EXPIRES_AT,
    COL_CREATED_AT,
    COL_UPDATED_AT,
    COL_SIZE,
    COL_TAG, /* hidden from here */
    COL_STORED_SIZE,
    COL_ACCESSED_AT,
    COL_ROWID, /* the key by another name, for programs that expect a rowid */
    COL_ROWID_UNDERSCORED,
    COL_OID,
    COL_COUNT
};

/* Whether column i is the key, by any of its names. */
static inline bool is_key_column(int i) {
    return i == COL_KEY || (i >= COL_ROWID && i <= COL_OID);
}

typedef struct vcursor vcursor; /* cursor.c */

/* Where an object is in SQLite's protocol of callbacks. */
typedef enum vtab_phase {
    PHASE_IDLE,
    PHASE_BEGUN,
    PHASE_SYNCED /* after xSync, before xCommit, xRollback, or more work */
} vtab_phase;

/* The last plan with a term on tag, and the costliest for the same terms: see
 * quirk_level_branches(). */
enum { PLAN_SEEN_TERMS = 8 };
typedef struct plan_seen {
    sqlite3_stmt *stmt; /* being prepared; NULL: nothing was seen */
    sqlite3_uint64 columns;
    int n_terms;
    struct {
        int column, op, offset;
    } terms[PLAN_SEEN_TERMS]; /* the last ones, from the last on */
    double cost;
    double rows;
} plan_seen;

struct vtab {
    sqlite3_vtab base; /* SQLite's part: first */
    conn *c;
    char *schema;          /* main, temp, or as attached */
    char *name;            /* of the table */
    table_place *place;    /* the connection's */
    nadb_options *options; /* NULL: `fault` says why */
    nadb_err *fault;       /* what was wrong with the options at connect */
    bool ns_given;         /* a namespace is named: the table may be renamed */
    sess *s;               /* NULL until the first use */
    vtab_phase phase;
    bool leads;   /* its savepoints are those of the session: txn_savepoint() */
    bool creator; /* made by xCreate in the present transaction */
    bool replaced;   /* which was undone: there is a new table of that name */
    bool gone;       /* its CREATE was rolled back */
    unsigned n_open; /* cursors */
    vcursor *spare;  /* closed cursors, to be used again */
    unsigned n_spare;
    /* What a running UPDATE .. FROM has read: update.c. */
    int64_t read_from_ms; /* the clock at its first ttl; 0: none yet */
    int64_t read_ms;      /* at its last */
    uint64_t read_moment; /* of the transaction's changes */
    /* Where a running UPDATE OR REPLACE has given the first row another key, as
     * a moment of the transaction's changes; 0: not yet. */
    uint64_t moved_moment;
    plan_seen seen;
    nadb_buf tags;    /* scratch of xUpdate: a tag list, */
    nadb_buf keys[3]; /* and keys: old, new, and rowid */
    vtab *next;       /* in sess.objects */
};

const sqlite3_module *vtab_module(void);

/* Opens the store unless it is open. */
nadb_rc vtab_open(vtab *v, nadb_err *err) NADB_MUST_USE;
/* NADB_READONLY when the table was declared so, or its backend only reads. */
nadb_rc vtab_writable(const vtab *v, nadb_err *err) NADB_MUST_USE;
/* The table is gone, though SQLite keeps the object for as long as prepared
 * statements name it: gives up the store, when no cursor is open. */
void vtab_let_go(vtab *v);

/* --- plan.c --- */

/* idxNum: PLAN_* flags, then 4 bits for each argument of xFilter. */
enum {
    PLAN_REVERSE = 1,  /* from the last key to the first */
    PLAN_KEY_ONLY = 2, /* no column but the key is used */
    PLAN_TAG_USED = 4, /* column `tag` may be read as a value: an error */
    PLAN_ALL_USED = 8, /* every column is, as UPDATE .. FROM does */
    PLAN_UNIQUE = 16,  /* SQLite was told: at most one row */
    PLAN_KEYS = 32,    /* no column but the key and those of terms is used */
    PLAN_LIKE = 64,    /* bounds are for texts alone: GLOB, LIKE */
    PLAN_ARG_SHIFT = 7,
    PLAN_ARG_BITS = 4,
    PLAN_ARGS_MAX = 6
};

enum plan_arg {
    ARG_NONE,
    ARG_KEY_TEXT, /* key = a literal: compared as text */
    ARG_KEY_EQ,   /* key = anything else */
    ARG_KEY_IN,   /* a list: sqlite3_vtab_in_first() */
    ARG_KEY_GT,
    ARG_KEY_GE,
    ARG_KEY_LT,
    ARG_KEY_LE,
    ARG_KEY_GLOB,
    ARG_TAG_EQ,
    ARG_TAG_IN,
    ARG_TAGS_MATCH,
    ARG_EXPIRES_FROM, /* expires_at >= or >; SQLite checks again */
    ARG_EXPIRES_TO,   /* expires_at <= or < */
    ARG_UPDATED_FROM, /* likewise of updated_at */
    ARG_UPDATED_TO
};

int plan_best_index(sqlite3_vtab *base, sqlite3_index_info *info);

/* --- cursor.c --- */

int vcursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out);
int vcursor_close(sqlite3_vtab_cursor *base);
int vcursor_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                   int argc, sqlite3_value **argv);
int vcursor_next(sqlite3_vtab_cursor *base);
int vcursor_eof(sqlite3_vtab_cursor *base);
int vcursor_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int i);
void vcursor_free_spare(vtab *v);

/* --- match.c --- */

/* Makes it the connection's match() too, unless c->match_settled already. */
void match_register(conn *c);
/* The function behind MATCH, for wherever it is not given to xFilter. */
void match_function(sqlite3_context *ctx, int argc, sqlite3_value **argv);
/* Adds the expression in a value that is not NULL to *m, which is made when it
 * is NULL, and the caller's, also on error. */
nadb_rc match_add(sqlite3_value *in, nadb_match **m,
                  nadb_err *err) NADB_MUST_USE;

/* --- update.c --- */

int update_row(sqlite3_vtab *base, int argc, sqlite3_value **argv,
               sqlite3_int64 *rowid);

/* --- command.c --- */

/* For cursor.c and update.c, while c->command is not NULL: the one row that the
 * statement of a command finds, and what becomes of it. */
const nadb_row *command_filter(void);
bool command_is_row(const nadb_row *row);
void command_column(command *cmd, sqlite3_context *ctx, int i);
int command_update(vtab *v, command *cmd, int argc, sqlite3_value **argv);

/* --- txn.c --- */

/* Notes that xCreate has just made the object. An older one of that name can
 * only be one whose CREATE was undone. */
void txn_created(vtab *v);
/* Begins, for a write that came without xBegin. */
nadb_rc txn_join(vtab *v, nadb_err *err) NADB_MUST_USE;
int txn_begin(sqlite3_vtab *base);
int txn_sync(sqlite3_vtab *base);
int txn_commit(sqlite3_vtab *base);
int txn_rollback(sqlite3_vtab *base);
int txn_savepoint(sqlite3_vtab *base, int n);
int txn_release(sqlite3_vtab *base, int n);
int txn_rollback_to(sqlite3_vtab *base, int n);

/* A statement begins to read the table's store, which is opened if need be;
 * it ends with nadb_session_leave(). */
nadb_rc txn_enter(vtab *v, nadb_err *err) NADB_MUST_USE;

/* --- file.c --- */

#define FILE_ID 32 /* hexadecimal digits */

/* Whether the table's store belongs to its database file. The rest does nothing
 * where it does not. */
bool file_owns(const vtab *v);
/* The identity, from the file into v->options. */
nadb_rc file_find(vtab *v, nadb_err *err) NADB_MUST_USE;
/* CREATE, ALTER RENAME, DROP. */
nadb_rc file_create(vtab *v, nadb_err *err) NADB_MUST_USE;
nadb_rc file_rename(vtab *v, const char *name, nadb_err *err) NADB_MUST_USE;
nadb_rc file_drop(vtab *v, nadb_err *err) NADB_MUST_USE;
/* The object has got its session. */
void file_bind(vtab *v);
/* Before prepare: if the transaction is mixed, leaves a stamp in the file and
 * in the session. Returns SQLite's code, as xSync must return it. */
int file_stamp(vtab *v, nadb_err *err);
/* The number of the stamp in the file; 0 where the store belongs to none. */
nadb_rc file_number(vtab *v, uint64_t *out, nadb_err *err) NADB_MUST_USE;
/* Whether file and store differ in what they committed last. */
nadb_rc file_lags(vtab *v, bool *lags, nadb_err *err) NADB_MUST_USE;
/* The file takes the store as it is. */
nadb_rc file_accept(vtab *v, nadb_err *err) NADB_MUST_USE;
/* An autocommit statement begins to write: the same, if another statement has
 * changed rows since. */
void file_begun(conn *c);
/* Whether the transaction, which holds the write lock, has written nothing yet
 * to any database file or store. False when in doubt. */
bool file_unwritten(vtab *v);
/* Removes what was dropped, once that is committed. Outside transactions. */
void file_sweep(conn *c);
void file_forget_dropped(conn *c);

/* --- watch.c --- */

extern const sqlite3_module watch_module;
/* A statement is being prepared: makes nadb_snapshot. Returns a code after
 * which the statement must not go on, else SQLITE_OK; so does watch_read(). */
int watch_prepare(vtab *v);
/* A statement is about to read the session's store. */
int watch_read(conn *c, sess *s);

/* --- module.c --- */

/* Registers all that the library has with another connection. */
int module_register(sqlite3 *db);

/* --- func.c, func_log.c --- */

int func_register(sqlite3 *db, conn *c);
void log_register(void);

/* --- job.c --- */

/* Work of a function that may take long: it is listed in nadb_jobs, and while
 * it goes on the connection's progress handler is called. */
typedef struct ext_job {
    nadb_job job;
    sqlite3 *db;
    sqlite3_stmt *ticks;
} ext_job;

/* `target`: a table's name, or what it works on. */
void job_begin(ext_job *j, sqlite3 *db, const char *kind, const char *target);
void job_end(ext_job *j);
/* The present job passes so often over all rows of the table's store, over its
 * bytes, or both. */
void job_expect_store(const vtab *v, unsigned passes, bool bytes);
/* xUpdate has done this. A transaction that writes many is a job, too, .. */
void job_wrote(const vtab *v, int argc, sqlite3_value **argv);
/* .. until it ends. */
void job_wrote_all(sess *s);

/* --- key.c --- */

#define KEY_BYTES_MAX 65536u /* of a TEXT or BLOB */
#define KEY_DIGITS 24        /* room for the text of an integer */

typedef enum key_kind {
    KEY_GIVEN,
    KEY_NULL, /* NULL; as a tag, a BLOB too */
    KEY_NOMEM
} key_kind;

/* The key that a value names, as the store has it; borrowed from `in`, or put
 * into *room, which is the caller's. */
key_kind key_from_sql(const conn *c, sqlite3_value *in, nadb_buf *room,
                      nadb_slice *out);
/* The bound that a value is: here 5.0 is the text '5.0', as SQLite has it when
 * it compares the row once more. */
key_kind key_bound_from_sql(const conn *c, sqlite3_value *in, nadb_buf *room,
                            nadb_slice *out);
/* The tag that a value is: TEXT, or a number as for a key. */
key_kind key_tag_from_sql(const conn *c, sqlite3_value *in,
                          char digits[KEY_DIGITS], nadb_slice *out);
/* Whether a row may have the key: up to 64 KB. NULL is the caller's business.
 */
nadb_rc key_check(key_kind kind, nadb_slice key, nadb_err *err) NADB_MUST_USE;
void key_to_sql(sqlite3_context *ctx, nadb_slice key, bool pinned);

/* --- value.c --- */

/* The SQLITE_* code, extended, that stands for `rc`. */
int value_code(nadb_rc rc);
/* Puts the error into a virtual table and returns its code. */
int value_vtab_error(sqlite3_vtab *base, const nadb_err *err);
/* The constraints that SQLite's own tables check by themselves. Return the
 * code; the message is left out when the row is only skipped (OR IGNORE). */
int value_unique_failed(vtab *v, bool loud);
int value_not_null_failed(vtab *v, bool loud);
/* Makes it the result of function `name`. */
void value_result_error(sqlite3_context *ctx, const char *name,
                        const nadb_err *err);
/* Turns an SQLITE_* code of a nested statement into an error of ours. */
nadb_rc value_sqlite_error(sqlite3 *db, int code, nadb_err *err);

/* The value, borrowed from `in`. */
nadb_rc value_from_sql(const conn *c, sqlite3_value *in, nadb_value *out,
                       nadb_err *err) NADB_MUST_USE;
void value_to_sql(sqlite3_context *ctx, const nadb_value *v, bool pinned);
void value_text_to_sql(sqlite3_context *ctx, nadb_slice text, bool pinned);
void value_time_to_sql(sqlite3_context *ctx, int64_t ms); /* Unix time */
/* A column of the cursor's present row: one up to COL_SIZE. `stays`: the caller
 * keeps the bytes that are pinned where they are until the statement is over
 * (cursor.c); else they are copied. */
nadb_rc value_column_to_sql(sqlite3_context *ctx, nadb_cursor *rows,
                            enum column i, bool stays, nadb_buf *scratch,
                            nadb_err *err) NADB_MUST_USE;

/* The bytes of a text, in UTF-8; NULL when out of memory. */
const void *value_text_bytes(const conn *c, sqlite3_value *in, size_t *n);

/* A path that the user gave to a function, borrowed from `in`. */
nadb_rc value_path(sqlite3_value *in, const char **out,
                   nadb_err *err) NADB_MUST_USE;
/* An integer of 64 bits: INTEGER, a REAL that is one, or text of one. */
bool value_integer(sqlite3_value *in, int64_t *out);
bool value_is_integer(const nadb_value *v, int64_t *out);
bool value_is_integral(double r, int64_t *out);

/* Whether it says nothing: NULL, or the empty text that stands for NULL in
 * CSV. */
bool value_is_none(sqlite3_value *in);
/* Seconds since 1970, or ISO 8601 text, to ms, rounded down; none gives
 * `*given` false. `what` is the column. */
nadb_rc value_time(sqlite3_value *in, const char *what, int64_t *ms,
                   bool *given, nadb_err *err) NADB_MUST_USE;
/* A number of seconds from `now` on, rounded down to ms; infinity is
 * NADB_NO_EXPIRY. */
nadb_rc value_ttl(sqlite3_value *in, int64_t now, int64_t *expires_ms,
                  nadb_err *err) NADB_MUST_USE;

#endif
