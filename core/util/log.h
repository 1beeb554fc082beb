/* log.h - the log of a store: one JSON object per line, in a file in the
 * store's directory or on stderr (docs/logs.md lists the fields).
 *
 * Several processes write to one file. Each line is one write at its end, so
 * lines never mix. A process that finds the file full renames it, under a lock
 * on it so that only one does. The others check before each line whether the
 * name still leads to their file, and open the new one. A line that was written
 * to the renamed file is in that file, so none is lost.
 *
 * A log is not part of a store's guarantees: its errors are counted, and no
 * operation fails because of them. */
#ifndef NADB_LOG_H
#define NADB_LOG_H

#include "home.h"

typedef enum nadb_level {
    NADB_LOG_DEBUG,
    NADB_LOG_INFO,
    NADB_LOG_WARNING,
    NADB_LOG_ERROR,
    NADB_LOG_OFF /* of a component: no lines */
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

/* Parses "info" or "warning, flush=debug, read=off". False: *bad is the wrong
 * word. */
bool nadb_levels_parse(const char *text, nadb_levels *out, nadb_slice *bad);
/* Finds a level by name; false if there is none. */
bool nadb_level_find(nadb_slice name, nadb_level *out);

/* True for names of a log, or of a renamed one: NAME.log, NAME.log.N. */
bool nadb_log_name(const char *name);

typedef struct nadb_log nadb_log; /* thread-safe */

typedef struct nadb_log_options {
    const nadb_home *home; /* directory of the file; NULL: stderr */
    const char *name;      /* ".log" is added if it is missing */
    uint64_t bytes_max;    /* of a file */
    unsigned files_max;    /* including the one in use */
    nadb_levels levels;
    const char *db, *ns; /* they are in each line */
} nadb_log_options;

/* Copies what is in *o, and opens its directory again. */
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
    int64_t ns; /* duration; negative: not measured */
    bool counts;
    uint64_t keys, bytes;
    bool outcome; /* rc is valid */
    nadb_rc rc;
    bool slow;
    nadb_slice key;     /* p == NULL: none */
    nadb_slice message; /* of the error or the application; p == NULL: none */
    nadb_slice data;    /* JSON; p == NULL: none */
} nadb_line;

/* Writes the line if the levels include it. l may be NULL. */
void nadb_log_put(nadb_log *l, const nadb_line *line);

/* Number of lines that could not be written, and the last reason. */
uint64_t nadb_log_lost(nadb_log *l, nadb_err *why);

/* --- errors that no call returns --- */

/* Sets the function that receives such errors, from any thread. */
typedef void nadb_alarm_fn(nadb_rc rc, const char *message);
void nadb_alarm_set(nadb_alarm_fn *fn);
void nadb_alarm(nadb_rc rc, const char *message);

#endif
