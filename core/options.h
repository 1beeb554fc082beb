/* options.h - the options of CREATE VIRTUAL TABLE, parsed and checked.
 *
 * The texts, names, defaults and meanings are those of the user guide
 * (docs/options.md). Parsing touches neither files nor network. */
#ifndef NADB_OPTIONS_H
#define NADB_OPTIONS_H

#include "backend.h"

typedef enum nadb_eviction {
    NADB_EVICT_NONE,
    NADB_EVICT_LRU,
    NADB_EVICT_LFU,
    NADB_EVICT_FIFO,
    NADB_EVICT_TTL
} nadb_eviction;

/* All strings are owned, or NULL when not given. */
struct nadb_options {
    char *backend; /* never NULL */
    char *path;    /* absolute; NULL for backends without a directory */
    char *db_file; /* the database file, whose mode and owner the store's
                      folder takes; NULL when it is in memory */
    char *db;      /* never NULL */
    char *ns;      /* namespace; never NULL */
    bool ns_given; /* not the default, which is the table's name */
    uint64_t buffer_bytes;
    int64_t flush_interval_ms;
    nadb_durability synchronous;
    nadb_write_mode write;
    int compression; /* zlib level 1-9; 0 = off */
    uint64_t cache_bytes;
    bool mmap;
    int64_t default_ttl_ms; /* 0 = none */
    uint64_t size_max;      /* bytes; 0 = none */
    nadb_eviction eviction;
    bool track_access;
    int64_t busy_timeout_ms;
    bool read_only;
    char *log;
    int log_level;       /* 0 debug, 1 info, 2 warning, 3 error */
    int64_t log_slow_ms; /* 0 = none */
    /* Redis */
    char *url, *host, *socket, *user, *password_env, *sentinel,
        *sentinel_password_env;
    int port, redis_db, pool_size, shards, wait;
    int64_t connect_timeout_ms, timeout_ms;
    bool cluster, tls;
    /* backup */
    char *dir, *id;
};

/* Where the table is declared, for defaults. */
typedef struct nadb_place {
    const char *table;   /* name of the table: default namespace */
    const char *db_file; /* file of the schema's database; NULL or "" when it
                            is in memory */
} nadb_place;

/* Parses `n` arguments as SQLite hands them over ("name = 'value'"). On
 * success the caller owns *out. Errors (NADB_INVALID) name the option, and
 * suggest the nearest one where the name is unknown. */
nadb_rc nadb_options_parse(const char *const *args, int n,
                           const nadb_place *place, nadb_options **out,
                           nadb_err *err) NADB_MUST_USE;
void nadb_options_free(nadb_options *o);

#endif
