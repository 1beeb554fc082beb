/* types.h - types that the facade (nadb.h) and backends (backend.h) share. */
#ifndef NADB_TYPES_H
#define NADB_TYPES_H

#include "changes.h"
#include "util/key.h"

typedef struct nadb_backend nadb_backend; /* backend.h */
typedef struct nadb_options nadb_options; /* parsed: options.h */
typedef struct nadb_option nadb_option;   /* one of a backend's: backend.h */
typedef struct nadb_match nadb_match;     /* a tag expression: kv/match.h */

/* --- backends --- */

/* NULL if no backend has that name. */
const nadb_backend *nadb_backend_find(const char *name);
/* The i-th backend, from 0; NULL past the end. */
const nadb_backend *nadb_backend_at(size_t i);
/* The backend that the options select, in its buffered form if they say so;
 * NULL if none has that name. */
const nadb_backend *nadb_backend_for(const nadb_options *options);
const char *nadb_backend_name(const nadb_backend *b);
const char *nadb_backend_summary(const nadb_backend *b);
unsigned nadb_backend_caps(const nadb_backend *b); /* NADB_CAP_* */
/* True if option write= chooses between immediate and buffered. */
bool nadb_backend_has_choice(const nadb_backend *b);

/* --- capabilities --- */

enum {
    NADB_CAP_ENGINE = 1,     /* fills nadb_engine_ops */
    NADB_CAP_BASE = 2,       /* fills nadb_base_ops */
    NADB_CAP_MAP = 4096,     /* fills nadb_map_ops */
    NADB_CAP_SNAPSHOTS = 4,  /* a view does not change under its reader */
    NADB_CAP_PERSISTENT = 8, /* data survives the end of the process */
    NADB_CAP_SHARED = 16,    /* several processes may use one store */
    /* keeps the indexes itself: fills match(), and answers iter() over
     * NADB_KS_COUNT (expired rows not counted) and NADB_KS_EXPIRY and get() of
     * NADB_KS_COUNT as if the entries existed */
    NADB_CAP_OWN_INDEX = 32,
    NADB_CAP_NATIVE_TTL = 64,  /* removes expired rows itself */
    NADB_CAP_REMOTE = 128,     /* data is on a server */
    NADB_CAP_NEEDS_PATH = 256, /* has a directory on this machine */
    NADB_CAP_READ_ONLY = 512,  /* no operation changes anything */
    /* without path= a table reaches nothing but memory of this process and
     * files that belong to its database file: views and triggers of a schema
     * that is not trusted may use it */
    NADB_CAP_INNOCUOUS = 1024,
    /* several threads may walk over one view, each with its own iterators */
    NADB_CAP_THREADS = 2048
};

/* --- values of options --- */

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

/* --- totals --- */

/* Exact numbers of what a store holds, expired rows included until they are
 * swept. core/kv/row.h counts an entry. */
typedef struct nadb_totals {
    bool known;
    uint64_t rows, key_bytes;
    uint64_t value_bytes;  /* of decoded values */
    uint64_t stored_bytes; /* of values as they are stored */
    uint64_t tags;         /* number of distinct tags */
} nadb_totals;

/* --- callers --- */

/* How long the present statement has waited for servers, beyond the time that
 * each single answer may take. An engine on a server adds to it and stops
 * waiting when the limit is reached; the core clears it when a statement
 * begins. */
typedef struct nadb_wait {
    int64_t taken_ns, ended_ns; /* ended_ns: when the last wait ended */
} nadb_wait;

typedef struct nadb_waits {
    nadb_wait connecting, answers;
    nadb_wait asking;   /* asking the server for the outcome of a commit */
    nadb_wait replicas; /* waiting for acknowledgements of replicas */
    unsigned open;      /* reading statements in all sessions of the caller */
} nadb_waits;

/* The application's statement on whose behalf a view is read. Its functions may
 * be called under locks of the store, but not in the middle of a commit. */
typedef struct nadb_caller {
    /* True if the statement wants to stop waiting. */
    bool (*stopped)(void *ctx);
    /* As stopped(), for computations, which call it more often; it may notice
     * the wish a moment later. NULL: not offered. */
    bool (*ticked)(void *ctx);
    /* Called before memory for a value above NADB_LARGE_BYTES is allocated.
     * NADB_TOOBIG or NADB_NOMEM if the statement cannot take a value of that
     * size. */
    nadb_rc (*takes)(void *ctx, uint64_t bytes, nadb_err *err);
    void *ctx;
    nadb_waits *waits; /* NULL: waiting times are not counted */
} nadb_caller;

typedef void nadb_stat_fn(void *ctx, const char *name, double value);
/* True if the operation under way should end early. Locks of the store may be
 * held when it is called. */
typedef bool nadb_stop_fn(void *ctx);
/* How to end an operation early. A NULL pointer to it means: never. */
typedef struct nadb_stop {
    nadb_stop_fn *ask; /* may be NULL */
    void *ctx;
} nadb_stop;

/* NADB_INTERRUPT if the operation should end now. */
static inline nadb_rc nadb_stopped(const nadb_stop *stop, nadb_err *err) {
    if (stop == NULL || stop->ask == NULL || !stop->ask(stop->ctx))
        return NADB_OK;
    return nadb_fail(err, NADB_INTERRUPT, "interrupted");
}

/* --- mixed transactions --- */

/* A mixed transaction changes ordinary tables of a database file and a store of
 * that file, or several of its stores. It writes one stamp into the file and
 * into the store's record: a number that rises by one, and random bits that
 * tell apart two attempts with the same number. Number 0: no stamp. */
typedef struct nadb_stamp {
    uint64_t number, nonce;
} nadb_stamp;

/* The database file that a store belongs to, as one connection sees it. */
typedef struct nadb_dbfile {
    /* True if the connection holds the file's write lock. */
    bool (*locked)(void *ctx);
    /* True if the connection's snapshot of the file belongs to a statement that
     * has just begun, so that it contains all earlier commits. */
    bool (*fresh)(void *ctx);
    /* The stamp in the connection's snapshot of the file. */
    nadb_rc (*stamp)(void *ctx, nadb_stamp *out, nadb_err *err);
    void *ctx;
} nadb_dbfile;

#endif
