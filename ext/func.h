/* func.h - a call of an SQL function; for func*.c, command.c and pop.c. */
#ifndef NADB_EXT_FUNC_H
#define NADB_EXT_FUNC_H

#include "ext.h"
#include "sqlite_quirks.h"

typedef struct call {
    sqlite3_context *ctx;
    conn *c;
    int argc;
    sqlite3_value **argv;
    vtab *v; /* the table of the first argument; NULL: not looked up yet */
    sqlite3_stmt *pin; /* keeps `v` connected: conn_prepare(); or NULL */
    sqlite3 *db;
    nadb_buf key_room; /* room for the key */
} call;

/* Runs statements that return nothing. */
nadb_rc func_exec(sqlite3 *db, const char *sql, nadb_err *err) NADB_MUST_USE;
/* Takes over the statement that keeps k->v connected. */
void func_pin(call *k, sqlite3_stmt *pin);
/* Finds the table of the first argument. */
nadb_rc func_find_table(call *k, nadb_err *err) NADB_MUST_USE;
/* As func_find_table(), and opens its store; asks the authorizer for READ of a
 * column (conn_find_to_read()). */
nadb_rc func_open_to_read(call *k, const char *column, bool *hidden,
                          nadb_err *err) NADB_MUST_USE;
/* As func_find_table(), and opens its store. */
nadb_rc func_open_table(call *k, nadb_err *err) NADB_MUST_USE;

/* For functions whose effect no ROLLBACK takes back, or that end a transaction
 * of their own: NADB_LOCKED inside a transaction, and inside a statement that
 * writes. `why` is the reason, for the message. */
nadb_rc func_alone(const call *k, const char *why, nadb_err *err) NADB_MUST_USE;

/* Appends the text of each row's first column, with its NUL. */
nadb_rc func_names(const call *k, const char *sql, nadb_buf *out,
                   nadb_err *err) NADB_MUST_USE;

/* --- command.c --- */

/* The effect of a command on rows, which decides what the authorizer is
 * asked. */
typedef enum command_which {
    COMMAND_DELETE,  /* deletes rows */
    COMMAND_POP,     /* deletes one row and returns its value */
    COMMAND_POP_ROW, /* .. and returns all columns */
    COMMAND_TTL,     /* changes a row's expiry */
    COMMAND_TAGS,    /* computes new tags from the old */
    COMMAND_VALUE,   /* computes a new value from the old */
    COMMAND_INSERT,  /* puts rows, replacing others */
    COMMAND_BACKUP   /* reads everything; for command_find() */
} command_which;

/* The change of a command, executed through the table so that SQLite begins,
 * commits and rolls back around it. `hidden`: the authorizer made the column
 * read as NULL. */
typedef nadb_rc command_fn(vtab *v, void *ctx, bool hidden, nadb_err *err);

/* Opens the table of the first argument (k->v) and runs `fn` in a statement
 * that writes to it. If the authorizer answers SQLITE_IGNORE to the change,
 * `fn` is not run and the call succeeds. The table may be gone afterwards. */
nadb_rc command_run(call *k, command_which which, command_fn *fn, void *ctx,
                    nadb_err *err) NADB_MUST_USE;
/* As command_run(), but only opens the table and asks the authorizer. */
nadb_rc command_find(call *k, command_which which, nadb_err *err) NADB_MUST_USE;
/* Inside a command: asks the authorizer for INSERT into the table. */
nadb_rc command_may_insert(vtab *v, nadb_err *err) NADB_MUST_USE;

/* For functions that write without a statement: NADB_READONLY under PRAGMA
 * query_only, or if the table's database was opened read-only. */
nadb_rc func_check_writable(const call *k, nadb_err *err) NADB_MUST_USE;

/* --- alone.c --- */

/* Begins a transaction of the function's own, takes the write lock of the
 * file of k->v, and looks the table up again: k->v may be another object now.
 * `exclusive`: the file has no other readers, either, unless it is in WAL mode,
 * so that COMMIT does not find it locked. REQUIRES: func_alone() was OK. After
 * NADB_OK, call alone_end() with the result of the function: it commits for
 * NADB_OK, else rolls back and leaves *err unchanged. */
nadb_rc alone_begin(call *k, bool exclusive, nadb_err *err) NADB_MUST_USE;
nadb_rc alone_drop(call *k, nadb_err *err) NADB_MUST_USE;
/* Drops the table and creates it again, with `args` between the parentheses;
 * k->v is the new object. */
nadb_rc alone_create_again(call *k, nadb_slice args,
                           nadb_err *err) NADB_MUST_USE;
nadb_rc alone_end(call *k, nadb_rc rc, nadb_err *err) NADB_MUST_USE;

/* --- adopt.c --- */

nadb_rc func_adopt(call *k, nadb_err *err);

/* --- alter.c --- */

nadb_rc func_alter(call *k, nadb_err *err);

/* --- func_backup.c; functions with only a call set the result --- */

/* An optional text argument; NULL if it is missing or NULL. */
const char *func_text(const call *k, int i);
/* *given: the last argument, which may be missing, is this word. */
nadb_rc func_word(const call *k, int i, const char *word, bool *given,
                  nadb_err *err) NADB_MUST_USE;
/* An optional compression argument: on, off, or a level of zlib. */
nadb_rc func_level(const call *k, int i, int *level,
                   nadb_err *err) NADB_MUST_USE;
/* Returns a manifest as JSON. */
nadb_rc func_result_backup(call *k, const backup_manifest *m,
                           nadb_err *err) NADB_MUST_USE;

nadb_rc func_backup(call *k, nadb_err *err);
nadb_rc func_restore(call *k, nadb_err *err);
nadb_rc func_verify_backup(call *k, nadb_err *err);
nadb_rc func_delete_backup(call *k, nadb_err *err);
nadb_rc func_prune_backups(call *k, nadb_err *err);

/* --- func_store.c; each sets the result --- */

nadb_rc func_compact(call *k, nadb_err *err);
nadb_rc func_cache_clear(call *k, nadb_err *err);
nadb_rc func_clear_db(call *k, nadb_err *err);
nadb_rc func_reindex(call *k, nadb_err *err);

/* --- func_log.c --- */

nadb_rc func_log(call *k, nadb_err *err);         /* sets the result */
nadb_rc func_openmetrics(call *k, nadb_err *err); /* likewise */

/* --- func_repair.c --- */

nadb_rc func_check(call *k, nadb_err *err);
nadb_rc func_repair(call *k, nadb_err *err);

/* --- func_database.c; each sets the result --- */

nadb_rc func_backup_database(call *k, nadb_err *err);
nadb_rc func_restore_database(call *k, nadb_err *err);

/* --- func_data.c; each sets the result --- */

nadb_rc func_unzip(call *k, nadb_err *err);
nadb_rc func_base64(call *k, nadb_err *err);
nadb_rc func_sha256(call *k, nadb_err *err);

/* --- func_rows.c; each sets the result --- */

nadb_rc func_set_ttl(call *k, nadb_err *err);
nadb_rc func_ttl(call *k, nadb_err *err);
nadb_rc func_tags(call *k, nadb_err *err);
nadb_rc func_tag(call *k, nadb_err *err);
nadb_rc func_untag(call *k, nadb_err *err);
nadb_rc func_incr(call *k, nadb_err *err);
nadb_rc func_purge_expired(call *k, nadb_err *err);

/* The key in the second argument; key->p is NULL if no row can have it. */
nadb_rc func_key(call *k, nadb_slice *key, nadb_err *err) NADB_MUST_USE;

/* A row as the session sees it; row is NULL if there is none. Its bytes are
 * valid until func_lookup_end(), even if the row is changed. */
typedef struct lookup {
    nadb_session *ss;
    nadb_cursor *c;
    const nadb_row *row;
    bool entered;
} lookup;

nadb_rc func_lookup(vtab *v, nadb_slice key, lookup *l,
                    nadb_err *err) NADB_MUST_USE;
/* Also to be called after func_lookup() has failed. */
void func_lookup_end(lookup *l);

/* --- changes.c --- */

nadb_rc func_wait(call *k, nadb_err *err); /* sets the result */

/* --- pop.c --- */

nadb_rc func_pop(call *k, nadb_err *err); /* sets the result */

#endif
