/* options.h - the options of CREATE VIRTUAL TABLE, parsed and checked.
 *
 * The texts, names, defaults and meanings are those of the user guide
 * (docs/options.md). Parsing touches neither files nor network. */
#ifndef NADB_OPTIONS_H
#define NADB_OPTIONS_H

#include "types.h"

typedef enum nadb_eviction {
    NADB_EVICT_NONE,
    NADB_EVICT_LRU,
    NADB_EVICT_LFU,
    NADB_EVICT_FIFO,
    NADB_EVICT_TTL
} nadb_eviction;

typedef enum nadb_mode {
    NADB_MODE_RWC, /* CREATE makes the store where there is none */
    NADB_MODE_RW,  /* CREATE fails where there is none */
    NADB_MODE_RO
} nadb_mode;

/* An option that a backend brings, and its value, in the field of its kind. */
typedef struct nadb_option_value {
    const nadb_option *spec;
    const char *backend;
    char *text;
    int64_t number;
} nadb_option_value;

/* All strings are owned, or NULL when not given. */
struct nadb_options {
    char *backend;   /* never NULL */
    char *path;      /* absolute; NULL for backends without a directory */
    char *db_file;   /* the database file, whose mode and owner the store's
                        folder takes; NULL when it is in memory */
    char *db;        /* never NULL */
    char *ns;        /* namespace; never NULL */
    bool ns_given;   /* not the default, which is the table's name */
    bool path_given; /* not the default, beside the database file */
    bool db_is_dir, ns_is_dir; /* db, ns: names of folders, as they are */
    char *store_id; /* hexadecimal digits, part of the folder's name; NULL:
                       the store belongs to no database file */
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
    nadb_mode mode;
    bool read_only; /* mode=ro, or the backend or the database file says so */
    char *keep;     /* keep_changes: nadb_option_keep() */
    char *log;
    char *log_level; /* core/util/log.h; NULL: info */
    uint64_t log_bytes_max;
    int log_files_max;
    int64_t log_slow_ms; /* 0 = none */
    /* backup */
    char *dir, *id;
    nadb_option_value *own; /* of the options that backends bring, .. */
    unsigned n_own;         /* .. so many of them */
    uint64_t given;         /* a bit for each option that was named */
};

/* Where the table is declared, for defaults. */
typedef struct nadb_place {
    const char *table;   /* name of the table: default namespace */
    const char *db_file; /* file of the schema's database; NULL or "" when it
                            is in memory */
    char **base_dir;     /* NULL, or where relative paths begin when there is
                            no such file; *base_dir == NULL: the working
                            directory, which is put there for the next time */
} nadb_place;

/* Parses `n` arguments as SQLite hands them over ("name = 'value'"). On
 * success the caller owns *out. Errors (NADB_INVALID) name the option, and
 * suggest the nearest one where the name is unknown. */
nadb_rc nadb_options_parse(const char *const *args, int n,
                           const nadb_place *place, nadb_options **out,
                           nadb_err *err) NADB_MUST_USE;
void nadb_options_free(nadb_options *o);
/* Makes it the identity of the store; false when out of memory. */
bool nadb_options_set_id(nadb_options *o, const char *id) NADB_MUST_USE;
nadb_options *nadb_options_copy(const nadb_options *o); /* NULL: no memory */

#endif
