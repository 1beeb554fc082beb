/* ext.h - shared by the files of ext/, the SQL layer.
 *
 * Objects and owners:
 *
 *   conn     everything of one sqlite3*: owned by the registered module and
 *            functions, reference counted, freed when the connection closes.
 *   sess     one store as one connection uses it. All virtual table objects of
 *            the connection on that store share it, because SQLite may hold
 *            several objects of one table, and two tables may name one store.
 *   vtab     one virtual table object. Opens its store at the first use.
 *   vcursor  one SQL cursor with its nadb_cursor; the vtab reuses it.
 *
 * One thread at a time uses these, because SQLite serialises a connection. Only
 * the list of connections (conn.c) is shared, and has a lock.
 *
 * value.c alone converts nadb_rc into SQLITE_* codes. */
#ifndef NADB_EXT_H
#define NADB_EXT_H

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

#include "../core/backup/backup.h"
#include "../core/nadb.h"

/* The version that introduced sqlite3_vtab_in(), _distinct() and
 * _rhs_value(). */
#define EXT_SQLITE_MIN 3038000

#if SQLITE_VERSION_NUMBER < EXT_SQLITE_MIN
#error "nadb needs the headers of SQLite 3.38.0 or newer"
#endif

/* --- conn.c --- */

typedef struct vtab vtab;
typedef struct table_place table_place;     /* in places.c */
typedef struct command command;             /* command.c */
typedef struct dropped_store dropped_store; /* dropped.c */

/* Numbers in page 1 that a PRAGMA, or a change of the schema, changes. */
typedef struct file_header {
    char user_version[16], application_id[16], schema_version[16];
} file_header;

typedef struct sess {
    nadb_store *store;
    nadb_session *core;
    vtab *objects;    /* the session ends with the last one, except parked() */
    unsigned n_begun; /* objects inside a transaction */
    unsigned n_creators; /* objects made by the present transaction */
    bool made;           /* the present transaction made the store */
    bool kept;    /* .. and one of the tables that caused it still exists */
    bool remove;  /* no table has the store: remove it at the end */
    bool dropped; /* by DROP TABLE: a later object must not reuse the session */
    /* If the store belongs to the database file of its table (file.c): */
    bool bound;
    bool snapshots;  /* the backend has snapshots */
    bool autocommit; /* the transaction is one statement */
    bool mixed;      /* the transaction was so at a COMMIT that failed */
    bool several;    /* the transaction writes to other attached files, too */
    bool nested;     /* another statement opened a savepoint in it */
    unsigned begun_changes; /* total_changes() when it began */
    unsigned begun_pages;   /* quirk_pages() when it began */
    file_header header;     /* values at the last check */
    const void *wal;        /* the file's WAL object while it is in WAL mode */
    bool stamps;            /* a stamp that it wrote was read back */
    uint64_t wrote_rows, wrote_bytes; /* of the present transaction */
    nadb_job *writing; /* job of a transaction that writes many rows; or NULL */
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

/* A statement that writes and under which a ROLLBACK was run. The statement may
 * have ended since, so `stmt` is only compared. */
typedef struct tripped_stmt {
    const sqlite3_stmt *stmt;
    int run;      /* SQLITE_STMTSTATUS_RUN of that run */
    uint64_t sql; /* hash of its text */
} tripped_stmt;
#define TRIPPED_MAX 8u

typedef struct conn {
    sqlite3 *db;
    nadb_caller caller; /* this connection as a caller of the core */
    nadb_waits waits;   /* waiting times of `caller` */
    unsigned refs;      /* by module and functions */
    bool module_live;   /* the module is registered */
    bool ours;          /* it may have functions of this copy: module.c */
    bool complete;      /* all is registered */
    bool match_settled; /* match() is ours, or the application has its own */
    text_encoding encoding;
    blob_likeness blobs; /* whether GLOB and LIKE match BLOBs */
    int n_terms;         /* in the last xBestIndex of a table-valued function */
    sess *sessions;
    table_place *places;
    vtab *planned;    /* the table of the last xBestIndex; conn_prepare() */
    bool watching;    /* the end of the transaction will be noticed (watch.c) */
    bool watch_there; /* the table nadb_snapshot exists */
    bool watch_stale; /* SQLite may have to reload the schema of temp first */
    unsigned watch_tries;
    unsigned watch_late; /* more attempts to make it while a statement runs */
    bool spill_off;      /* PRAGMA cache_spill at the last check */
    int64_t spills;      /* flushed pages at the last count */
    unsigned changes;    /* total_changes() at the last count */
    const char *adopt;   /* the identity for the next CREATE; or NULL */
    sess *altering; /* session of the table that alter.c makes anew; or NULL */
    bool stuck;     /* COMMIT must fail: alone.c */
    bool in_row;    /* a statement on a table <table>_nadb runs: file.c */
    unsigned n_tripped;
    tripped_stmt tripped[TRIPPED_MAX]; /* sqlite_quirks.c */
    dropped_store *dropped; /* stores to remove when the drop is committed */
    command *command;       /* the command of the running statement; or NULL */
    struct conn *next;
} conn;

/* The state of `db`, made if necessary, with a reference for the caller. NULL
 * if out of memory. */
conn *conn_ref(sqlite3 *db);
void conn_unref(void *c);
/* A statement of so many virtual machine steps that SQLite calls a progress
 * handler with at most that interval. */
#define JOB_TICKS                                                              \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"           \
    " WHERE i < 1500) SELECT count(*) FROM n"
/* True if the BINARY order of this connection's texts is that of their UTF-8
 * bytes. */
bool conn_is_utf8(conn *c);
/* True if GLOB and LIKE may match a BLOB, which is a compile-time option of
 * SQLite. */
bool conn_globs_blobs(conn *c);

/* Gives the object the session of its store, opening the store if necessary.
 * `flags`: see nadb_store_open(). */
nadb_rc conn_attach(vtab *v, unsigned flags, nadb_err *err) NADB_MUST_USE;
/* Gives the object a session that is open on its store. */
void conn_join(vtab *v, sess *s);
void conn_detach(vtab *v); /* no effect if it is not attached */
/* Keeps the session even without objects, until the next call; NULL: none. */
void conn_alter(conn *c, sess *s);

/* --- places.c --- */

/* What the connection remembers about the place of a table's store; `fresh`:
 * forget it first. NULL if out of memory. Valid while the connection is
 * open. */
table_place *place_of(conn *c, const char *schema, const char *table,
                      bool fresh);
/* For nadb_place.base_dir. */
char **place_base_dir(table_place *p);
/* The table is renamed; a rollback undoes this. */
void place_rename(conn *c, table_place *p, const char *table);
/* Makes the options name the remembered place. */
nadb_rc place_use(const table_place *p, nadb_options *o,
                  nadb_err *err) NADB_MUST_USE;
/* Remembers that these options have led to `real`; NULL: not in files. */
void place_found(table_place *p, const nadb_options *o, const char *real);
void places_free(conn *c);

/* --- conn.c --- */

/* Detaches other objects from v's session that SQLite keeps only for expired
 * statements, as after ALTER. NADB_LOCKED: another table that still exists has
 * the store. */
nadb_rc conn_leave_alone(vtab *v, nadb_err *err) NADB_MUST_USE;

/* Prepares "<head> <table> <tail>" for a function's first argument, "table" or
 * "schema.table", and finds the table's object. Connects the table if
 * necessary, and asks the authorizer about the statement: NADB_DENIED. The
 * caller finalizes *stmt, which is NULL on error; until then SQLite does not
 * disconnect the object, unless the table is dropped. Without it any other
 * statement could: one that finds the schema changed disconnects all. */
nadb_rc conn_prepare(conn *c, const char *head, const char *name,
                     const char *tail, sqlite3_stmt **stmt, vtab **out,
                     nadb_err *err) NADB_MUST_USE;
/* Finds the object; asks the authorizer for READ of the key. *pin is a
 * statement as conn_prepare() returns it. */
nadb_rc conn_find(conn *c, const char *name, sqlite3_stmt **pin, vtab **out,
                  nadb_err *err) NADB_MUST_USE;
/* As conn_find(), and asks for READ of a column. *hidden: the answer was
 * SQLITE_IGNORE, so the column reads as NULL. */
nadb_rc conn_find_to_read(conn *c, const char *name, const char *column,
                          sqlite3_stmt **pin, vtab **out, bool *hidden,
                          nadb_err *err) NADB_MUST_USE;

/* --- vtab.c --- */

/* A new column goes here, into the declaration in vtab.c, vcursor_column()
 * (cursor.c), update.c and, if statements search by it, plan.c. One that is
 * stored also goes into the row's head (core/kv/row.h) and a row on a server
 * (backends/redis/record.c). */
enum column {
    COL_KEY,
    COL_VALUE,
    COL_TAGS,
    COL_TTL,
    COL_EXPIRES_AT,
    COL_CREATED_AT,
    COL_UPDATED_AT,
    COL_SIZE,
    COL_TAG, /* this one and the following are hidden */
    COL_STORED_SIZE,
    COL_ACCESSED_AT,
    COL_ROWID, /* the key again, for programs that expect a rowid */
    COL_ROWID_UNDERSCORED,
    COL_OID,
    COL_COUNT
};

/* True if column i is the key under any of its names. */
static inline bool is_key_column(int i) {
    return i == COL_KEY || (i >= COL_ROWID && i <= COL_OID);
}

typedef struct vcursor vcursor; /* cursor.c */

/* The object's state in SQLite's sequence of callbacks. */
typedef enum vtab_phase {
    PHASE_IDLE,
    PHASE_BEGUN,
    PHASE_SYNCED /* after xSync; next is xCommit, xRollback or another change */
} vtab_phase;

/* The last plan with a term on tag, and the highest cost for the same terms:
 * see quirk_level_branches(). */
enum { PLAN_SEEN_TERMS = 8 };
typedef struct plan_seen {
    sqlite3_stmt *stmt; /* the statement being prepared; NULL: none seen */
    sqlite3_uint64 columns;
    int n_terms;
    struct {
        int column, op, offset;
    } terms[PLAN_SEEN_TERMS]; /* the last terms, in reverse order */
    double cost;
    double rows;
} plan_seen;

struct vtab {
    sqlite3_vtab base; /* SQLite's part, first member */
    conn *c;
    char *schema;          /* main, temp, or an attached name */
    char *name;            /* of the table */
    table_place *place;    /* owned by the connection */
    nadb_buf args;         /* of CREATE, as SQLite passes them, with NULs */
    nadb_options *options; /* NULL: see `fault` */
    nadb_err *fault;       /* error in the options at connect */
    bool renamable;        /* the table's name is not what finds its store */
    sess *s;               /* NULL until the first use */
    /* The file's header at xConnect, and then its data version; if known. */
    file_header header;
    unsigned data_version;
    bool header_known;
    vtab_phase phase;
    /* its savepoint callbacks act for the session: txn_savepoint() */
    bool leads;
    bool lost;     /* its transaction was rolled back before xRollback: txn.c */
    bool creator;  /* the present transaction made it by xCreate */
    bool replaced; /* .. but that was undone, and a new table has the name */
    bool gone;     /* its CREATE was rolled back */
    unsigned n_open; /* number of open cursors */
    vcursor *spare;  /* closed cursors, for reuse */
    unsigned n_spare;
    /* Reads of a running UPDATE .. FROM (update.c). */
    int64_t read_from_ms; /* time of the first read of ttl; 0: none yet */
    int64_t read_ms;      /* time of the last one */
    uint64_t read_moment; /* nadb_moment() at the read */
    /* The least and the largest accessed_at that was read; 0: none yet. */
    int64_t accessed_from_ms, accessed_ms;
    /* nadb_moment() when a running UPDATE OR REPLACE first changed a key; 0:
     * not yet. */
    uint64_t moved_moment;
    plan_seen seen;
    nadb_buf tags;    /* buffers of xUpdate: a tag list, */
    nadb_buf keys[3]; /* and the keys old, new, and rowid */
    vtab *next;       /* in list sess.objects */
};

const sqlite3_module *vtab_module(void);

/* Opens the store if it is not open. */
nadb_rc vtab_open(vtab *v, nadb_err *err) NADB_MUST_USE;
/* NADB_READONLY if the table was declared so, or its backend is read-only. */
nadb_rc vtab_writable(const vtab *v, nadb_err *err) NADB_MUST_USE;
/* Closes the store, if no cursor is open. Used when the table is gone, but
 * SQLite keeps its object for prepared statements. */
void vtab_let_go(vtab *v);

/* --- plan.c --- */

/* idxNum: PLAN_* flags, then 4 bits per argument of xFilter. */
enum {
    PLAN_REVERSE = 1,  /* from the last key to the first */
    PLAN_KEY_ONLY = 2, /* only the key is used */
    /* column `tag` may be read as a value, which is an error */
    PLAN_TAG_USED = 4,
    PLAN_ALL_USED = 8, /* all columns are used, as by UPDATE .. FROM */
    PLAN_UNIQUE = 16,  /* SQLite was promised at most one row */
    PLAN_KEYS = 32,    /* only the key and the columns of terms are used */
    PLAN_LIKE = 64,    /* bounds apply to texts only, from GLOB or LIKE */
    PLAN_ARG_SHIFT = 7,
    PLAN_ARG_BITS = 4,
    PLAN_ARGS_MAX = 6
};

enum plan_arg {
    ARG_LIMIT,    /* only the last argument: LIMIT, as a hint */
    ARG_KEY_TEXT, /* key = a literal: compared as text */
    ARG_KEY_EQ,   /* key = any other expression */
    ARG_KEY_IN,   /* a list: sqlite3_vtab_in_first() */
    ARG_KEY_GT,
    ARG_KEY_GE,
    ARG_KEY_LT,
    ARG_KEY_LE,
    ARG_KEY_GLOB,
    ARG_TAG_EQ,
    ARG_TAG_IN,
    ARG_TAGS_MATCH,
    ARG_EXPIRES_FROM, /* expires_at >= or >; SQLite checks it again */
    ARG_EXPIRES_TO,   /* expires_at <= or < */
    ARG_UPDATED_FROM, /* the same for updated_at */
    ARG_UPDATED_TO,
    ARG_NONE /* no argument: not in idxNum */
};

int plan_best_index(sqlite3_vtab *base, sqlite3_index_info *info);

/* --- filter.c --- */

/* Number of bytes of a GLOB pattern before its first wildcard, or before a
 * character that SQLite may equate with others. */
size_t filter_plain_prefix(const char *pattern);

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

/* Registers match(), too, unless c->match_settled. */
void match_register(conn *c);
/* The function behind MATCH, called where the term is not passed to xFilter. */
void match_function(sqlite3_context *ctx, int argc, sqlite3_value **argv);
/* Adds the expression in a value, which is not NULL, to *m. If *m is NULL it is
 * made; it then belongs to the caller, also on error. */
nadb_rc match_add(sqlite3_value *in, nadb_match **m,
                  nadb_err *err) NADB_MUST_USE;

/* --- update.c --- */

int update_row(sqlite3_vtab *base, int argc, sqlite3_value **argv,
               sqlite3_int64 *rowid);

/* --- command.c --- */

/* For cursor.c and update.c while c->command is set: the row of the command's
 * statement, and its change. */
const nadb_row *command_filter(void);
bool command_is_row(const nadb_row *row);
void command_column(command *cmd, sqlite3_context *ctx, int i);
int command_update(vtab *v, command *cmd, int argc, sqlite3_value **argv);

/* --- txn.c --- */

/* Notes that xCreate has just made the object. An older object of that name
 * must be one whose CREATE was undone. */
void txn_created(vtab *v);
/* Begins a transaction for a write without xBegin. */
nadb_rc txn_join(vtab *v, nadb_err *err) NADB_MUST_USE;
/* The transaction goes on after a COMMIT that ended in SQLITE_BUSY. */
nadb_rc txn_go_on(vtab *v, nadb_err *err) NADB_MUST_USE;
int txn_begin(sqlite3_vtab *base);
int txn_sync(sqlite3_vtab *base);
int txn_commit(sqlite3_vtab *base);
int txn_rollback(sqlite3_vtab *base);
int txn_savepoint(sqlite3_vtab *base, int n);
int txn_release(sqlite3_vtab *base, int n);
int txn_rollback_to(sqlite3_vtab *base, int n);

/* Begins a reading statement on the table's store, which is opened if
 * necessary. It ends with nadb_session_leave(). */
nadb_rc txn_enter(vtab *v, nadb_err *err) NADB_MUST_USE;

/* --- file.c --- */

#define FILE_ID 32 /* hexadecimal digits */

/* True if the table's store belongs to its database file. For other stores the
 * functions below do nothing. */
bool file_owns(const vtab *v);
/* Reads the identity from the file into v->options. */
nadb_rc file_find(vtab *v, nadb_err *err) NADB_MUST_USE;
/* For CREATE, ALTER RENAME and DROP. */
nadb_rc file_create(vtab *v, nadb_err *err) NADB_MUST_USE;
nadb_rc file_rename(vtab *v, const char *name, nadb_err *err) NADB_MUST_USE;
nadb_rc file_drop(vtab *v, nadb_err *err) NADB_MUST_USE;
/* Binds the object's session to the file. */
void file_bind(vtab *v);
/* Called before prepare: in a mixed transaction writes a stamp into the file
 * and gives it to the session. Returns SQLite's code for xSync. */
int file_stamp(vtab *v, nadb_err *err);
/* The number of the file's stamp; 0 if the store belongs to no file. */
nadb_rc file_number(vtab *v, uint64_t *out, nadb_err *err) NADB_MUST_USE;
/* *lags: the last stamps of file and store differ. */
nadb_rc file_lags(vtab *v, bool *lags, nadb_err *err) NADB_MUST_USE;
/* Sets the file's stamp to that of the store. */
nadb_rc file_accept(vtab *v, nadb_err *err) NADB_MUST_USE;
/* Called at the end of xConnect: notes what the first transaction of the
 * connection is compared with, if it has written nothing yet. */
void file_connected(vtab *v);
/* Called when an autocommit statement begins to write to the session's store:
 * notes what file_stamp() compares with. */
void file_begun(vtab *v);
/* True if the transaction, which holds the write lock, has certainly written
 * nothing to any database file or store. */
bool file_unwritten(vtab *v);

/* --- dropped.c --- */

/* Notes the object's store, which DROP has marked, with its options. If out of
 * memory, it notes nothing, and the folder stays until a CREATE of that name.
 */
void dropped_note(vtab *v);
/* Removes stores whose DROP is committed. REQUIRES: no transaction. */
void dropped_sweep(conn *c);
void dropped_forget(conn *c);
/* Removes a store of the table's name that was marked by another connection, or
 * by one that has ended. CREATE calls it under the file's write lock. It cannot
 * be the store of the new table. A callback of nadb_store_ids(). */
nadb_rc dropped_remove(void *v, const char *id, bool marked,
                       nadb_err *err) NADB_MUST_USE;

/* --- watch.c --- */

extern const sqlite3_module watch_module;
/* Called when a statement is prepared: makes the table nadb_snapshot. Returns
 * SQLITE_OK, or a code with which the statement must fail; so does
 * watch_read(). */
int watch_prepare(vtab *v);
/* Called when a statement is about to read the session's store. */
int watch_read(conn *c, sess *s);
/* Makes the table; has it take part in the transaction that is open. Both
 * return SQLite's code. */
int watch_make(conn *c);
int watch_join(conn *c);

/* --- module.c --- */

/* Registers the module, functions and tables with a connection. *msg: the
 * reason of an error, for sqlite3_free(), or unchanged. */
int module_register(sqlite3 *db, char **msg);

/* --- func.c, func_log.c --- */

int func_register(sqlite3 *db, conn *c);
void log_register(void);

/* --- job.c --- */

/* A function that may take long: listed in nadb_jobs, and the connection's
 * progress handler is called meanwhile. */
typedef struct ext_job {
    nadb_job job;
    sqlite3 *db;
    sqlite3_stmt *ticks;
} ext_job;

/* `target`: a table's name, or another object of the work. */
void job_begin(ext_job *j, sqlite3 *db, const char *kind, const char *target);
void job_end(ext_job *j);
/* Sets the size of the present job: so many passes over the store's rows, or
 * bytes, or both. */
void job_expect_store(const vtab *v, unsigned passes, bool bytes);
/* Called after each xUpdate. A transaction that writes many rows becomes a job
 * .. */
void job_wrote(const vtab *v, int argc, sqlite3_value **argv);
/* .. until its end. */
void job_wrote_all(sess *s);

/* --- key.c --- */

#define KEY_DIGITS 24 /* room for the text of an integer */

typedef enum key_kind {
    KEY_GIVEN,
    KEY_NULL, /* NULL; as a tag, a BLOB too */
    KEY_NOMEM
} key_kind;

/* The key that a value means, as the store has it; borrowed from `in`, or put
 * into *room, which the caller owns. */
key_kind key_from_sql(const conn *c, sqlite3_value *in, nadb_buf *room,
                      nadb_slice *out);
/* The bound that a value means: here 5.0 is the text '5.0', as in SQLite's own
 * comparison when it checks the row again. */
key_kind key_bound_from_sql(const conn *c, sqlite3_value *in, nadb_buf *room,
                            nadb_slice *out);
/* The tag that a value means: TEXT, or a number as for a key. */
key_kind key_tag_from_sql(const conn *c, sqlite3_value *in,
                          char digits[KEY_DIGITS], nadb_slice *out);
/* Checks the length of a key: up to 64 KB. The caller handles NULL. */
nadb_rc key_check(key_kind kind, nadb_slice key, nadb_err *err) NADB_MUST_USE;
void key_to_sql(sqlite3_context *ctx, nadb_slice key, bool pinned);

/* --- value.c --- */

/* The extended SQLITE_* code of `rc`. */
int value_code(nadb_rc rc);
/* Stores the error in a virtual table and returns its code. */
int value_vtab_error(sqlite3_vtab *base, const nadb_err *err);
/* Errors of constraints that SQLite checks itself for its own tables. Return
 * the code; without `loud` no message, because the row is only skipped (OR
 * IGNORE). */
int value_unique_failed(vtab *v, bool loud);
int value_not_null_failed(vtab *v, bool loud);
/* Makes the error the result of function `name`. */
void value_result_error(sqlite3_context *ctx, const char *name,
                        const nadb_err *err);
/* Converts an SQLITE_* code of a nested statement into an nadb_err. */
nadb_rc value_sqlite_error(sqlite3 *db, int code, nadb_err *err);

/* The value, borrowed from `in`. */
nadb_rc value_from_sql(const conn *c, sqlite3_value *in, nadb_value *out,
                       nadb_err *err) NADB_MUST_USE;
void value_to_sql(sqlite3_context *ctx, const nadb_value *v, bool pinned);
void value_text_to_sql(sqlite3_context *ctx, nadb_slice text, bool pinned);
void value_time_to_sql(sqlite3_context *ctx, int64_t ms); /* Unix time */
/* Returns a column of the cursor's present row, one up to COL_SIZE. `stays`:
 * the caller keeps pinned bytes in place until the statement ends (cursor.c);
 * otherwise they are copied. */
nadb_rc value_column_to_sql(sqlite3_context *ctx, nadb_cursor *rows,
                            enum column i, bool stays, nadb_buf *scratch,
                            nadb_err *err) NADB_MUST_USE;

/* The bytes of a text in UTF-8; NULL if out of memory. */
const void *value_text_bytes(const conn *c, sqlite3_value *in, size_t *n);

/* A name or a word given to a function, borrowed from `in`: "" if it has a zero
 * byte, at which C would end it and find something else. NULL for NULL. */
const char *value_name(sqlite3_value *in);
/* A path given to a function, borrowed from `in`. */
nadb_rc value_path(sqlite3_value *in, const char **out,
                   nadb_err *err) NADB_MUST_USE;
/* Takes a 64-bit integer from an INTEGER, a REAL without fraction, or a text of
 * one. */
bool value_integer(sqlite3_value *in, int64_t *out);
bool value_is_integer(const nadb_value *v, int64_t *out);
bool value_is_integral(double r, int64_t *out);

/* True for NULL, and for the empty text, which stands for NULL in CSV. */
bool value_is_none(sqlite3_value *in);
/* Converts seconds since 1970, or an ISO 8601 text, to ms, rounded down. *given
 * is false for value_is_none(). `what`: the column, for messages. */
nadb_rc value_time(sqlite3_value *in, const char *what, int64_t *ms,
                   bool *given, nadb_err *err) NADB_MUST_USE;
/* Converts seconds from `now` on to an expiry in ms, rounded down; infinity is
 * NADB_NO_EXPIRY. */
nadb_rc value_ttl(sqlite3_value *in, int64_t now, int64_t *expires_ms,
                  nadb_err *err) NADB_MUST_USE;

#endif
