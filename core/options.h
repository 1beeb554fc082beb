/* options.h - the parsed and checked options of CREATE VIRTUAL TABLE.
 *
 * docs/options.md documents their names, defaults and meanings. Parsing uses
 * neither files nor network. */
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
    NADB_MODE_RWC, /* CREATE makes the store if it is missing */
    NADB_MODE_RW,  /* CREATE fails if the store is missing */
    NADB_MODE_RO
} nadb_mode;

/* A backend's option and its value, in the field of its kind. */
typedef struct nadb_option_value {
    const nadb_option *spec;
    const char *backend;
    char *text;
    int64_t number;
} nadb_option_value;

/* All strings are owned, or NULL if not given. */
struct nadb_options {
    char *backend; /* never NULL */
    char *path;    /* absolute; NULL for backends without a directory */
    char *db_file; /* the database file, whose mode and owner the store's folder
                      takes; NULL if it is in memory */
    char *db;      /* never NULL */
    char *ns;      /* namespace; never NULL */
    bool ns_given; /* not the default (the table's name) */
    bool path_given;           /* not the default (beside the database file) */
    bool db_is_dir, ns_is_dir; /* db, ns are names of folders, not escaped */
    char *store_id; /* hexadecimal digits in the folder's name; NULL: the store
                       belongs to no database file */
    uint64_t buffer_bytes;
    int64_t flush_interval_ms;
    nadb_durability synchronous;
    nadb_write_mode write;
    int compression; /* zlib level 1-9; 0: off */
    uint64_t cache_bytes;
    bool mmap;
    int64_t default_ttl_ms; /* 0: none */
    uint64_t size_max;      /* bytes; 0: no limit */
    nadb_eviction eviction;
    bool track_access;
    int64_t busy_timeout_ms;
    nadb_mode mode;
    /* mode=ro, or the backend or the database file is read-only */
    bool read_only;
    char *keep; /* value of keep_changes: nadb_option_keep() */
    char *log;
    char *log_level; /* core/util/log.h; NULL: info */
    uint64_t log_bytes_max;
    int log_files_max;
    int64_t log_slow_ms; /* 0: none */
    int64_t revision;    /* number of changes by nadb_alter() */
    /* Options of backend='backup'. */
    char *dir, *id;
    nadb_option_value *own; /* options of the registered backends */
    unsigned n_own;         /* their number */
    uint64_t given;         /* one bit for each option that was given */
};

/* Where the table is declared; decides defaults. */
typedef struct nadb_place {
    const char *table;   /* name of the table: the default namespace */
    const char *db_file; /* of the schema's database; NULL or "": in memory */
    char **base_dir; /* NULL, or the directory of relative paths if there is no
                        file. *base_dir == NULL: the working directory, which is
                        then stored there */
} nadb_place;

/* Parses `n` arguments as SQLite passes them ("name = 'value'"). On success the
 * caller owns *out. Errors (NADB_INVALID) name the option and suggest the
 * nearest one for an unknown name. */
nadb_rc nadb_options_parse(const char *const *args, int n,
                           const nadb_place *place, nadb_options **out,
                           nadb_err *err) NADB_MUST_USE;
/* Appends the arguments of CREATE VIRTUAL TABLE .. nadb(..) after a change of
 * options. *o and `args` (each argument with its NUL) are those of the table;
 * `changes` are n texts option=value, whose values need no quotes. NADB_INVALID
 * for another text and for an option that cannot be changed; the values are
 * checked only by nadb_options_parse(). */
nadb_rc nadb_options_change(nadb_options *o, nadb_slice args,
                            const char *const *changes, int n, nadb_buf *out,
                            nadb_err *err) NADB_MUST_USE;
void nadb_options_free(nadb_options *o);
/* Sets the identity of the store; false if out of memory. */
bool nadb_options_set_id(nadb_options *o, const char *id) NADB_MUST_USE;
/* NULL: out of memory */
nadb_options *nadb_options_copy(const nadb_options *o);

#endif
