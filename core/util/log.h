/* log.h - the log of a store: a JSON object a line, in a file of the store's
 * directory, or on stderr (docs/logs.md has every field).
 *
 * Several processes write to one file. Each line is one write at its end, so
 * that lines never mix. Who finds that the file is full renames it: under a
 * lock on it, so that one process does, and the others, who look before each
 * line whether the name still leads to their file, follow. A line that was
 * written to the file that was just renamed is in that one: none is lost.
 *
 * A log is no part of what a store promises: whatever goes wrong with it is
 * counted, and no operation fails for that. */
#ifndef NADB_LOG_H
#define NADB_LOG_H

#include "home.h"

typedef enum nadb_level {
    NADB_LOG_DEBUG,
    NADB_LOG_INFO,
    NADB_LOG_WARNING,
    NADB_LOG_ERROR,
    NADB_LOG_OFF /* of a component: nothing */
} nadb_level;

typedef enum nadb_component {
    NADB_IN_STORE,       /* opened, closed, repaired */
    NADB_IN_READ,        /* gets and scans */
    NADB_IN_WRITE,       /* puts, updates, deletes, clears */
    NADB_IN_TRANSACTION, /* commits, rollbacks */
    NADB_IN_FLUSH,       /* flushes, merges of tables, syncs */
    NADB_IN_SWEEP,       /* rows that have expired */
    NADB_IN_BACKUP,      /* backups, restores */
    NADB_IN_APPLICATION, /* nadb_log() */
    NADB_COMPONENTS
} nadb_component;

typedef struct nadb_levels {
    nadb_level of[NADB_COMPONENTS];
} nadb_levels;

/* "info", "warning, flush=debug, read=off": false, and the word that is wrong
 * in *bad, when it is none. */
bool nadb_levels_parse(const char *text, nadb_levels *out, nadb_slice *bad);
/* A level by its name; false when there is none. */
bool nadb_level_find(nadb_slice name, nadb_level *out);

/* Whether a name in a store's directory is that of a log, or of one that was
 * renamed: NAME.log, NAME.log.N. */
bool nadb_log_name(const char *name);

typedef struct nadb_log nadb_log; /* thread-safe */

typedef struct nadb_log_options {
    const nadb_home *home; /* where the file goes; NULL: it is stderr */
    const char *name;      /* without ".log" it gets that */
    uint64_t bytes_max;    /* of a file */
    unsigned files_max;    /* with the one in use */
    nadb_levels levels;
    const char *db, *ns; /* stand in each line */
} nadb_log_options;

/* What is in *o is copied, and its directory opened anew. */
nadb_rc nadb_log_new(const nadb_log_options *o, nadb_log **out,
                     nadb_err *err) NADB_MUST_USE;
/* Other levels and limits for its files. */
void nadb_log_tune(nadb_log *l, const nadb_log_options *o);
void nadb_log_free(nadb_log *l); /* NULL is fine */

bool nadb_log_wants(const nadb_log *l, nadb_level level,
                    nadb_component component);

/* A line. Strings may have any bytes. */
typedef struct nadb_line {
    nadb_level level;
    nadb_component component;
    const char *operation;
    int64_t ns; /* how long it took; negative: not timed */
    bool counts;
    uint64_t keys, bytes;
    bool outcome; /* rc is its */
    nadb_rc rc;
    bool slow;
    nadb_slice key;     /* p == NULL: none */
    nadb_slice message; /* likewise: of the error, or the application */
    nadb_slice data;    /* likewise: JSON */
} nadb_line;

/* Writes it, if the levels let it through. NULL is fine. */
void nadb_log_put(nadb_log *l, const nadb_line *line);

/* Lines that could not be written, and why (the last of them). */
uint64_t nadb_log_lost(nadb_log *l, nadb_err *why);

/* --- errors for the program --- */

/* Has `fn` told, by any thread, of errors that no call returns. */
typedef void nadb_alarm_fn(nadb_rc rc, const char *message);
void nadb_alarm_set(nadb_alarm_fn *fn);
void nadb_alarm(nadb_rc rc, const char *message);

#endif
