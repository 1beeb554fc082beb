/* manifest.h - the file BACKUP in a backup's directory: the description of the
 * backup and the sums of its files (docs/format.md, "Backups").
 *
 * It is text for people, with one line for each field in a fixed order. Its
 * last line is the SHA-256 of all lines before. That sum identifies the backup:
 * an incremental backup contains the sum of its parent's BACKUP, and so of the
 * whole chain. */
#ifndef NADB_BACKUP_MANIFEST_H
#define NADB_BACKUP_MANIFEST_H

#include "../util/bytes.h"
#include "../util/sha256.h"

#define BACKUP_ID_MAX 128u
#define BACKUP_TEXT_MAX 1024u /* backend, db, namespace and table */
#define BACKUP_PARTS_MAX 1000u
#define BACKUP_MANIFEST_MAX (4096u + BACKUP_PARTS_MAX * 8192u)

typedef enum backup_type {
    BACKUP_FULL,
    BACKUP_INCREMENTAL,
    BACKUP_DATABASE /* a database file and its stores */
} backup_type;

/* A store in a database's backup: a full backup by itself, in a directory of
 * the same name. */
typedef struct backup_part {
    char table[BACKUP_TEXT_MAX + 1];
    char sha256[NADB_SHA256_HEX]; /* of its BACKUP */
} backup_part;

typedef struct backup_manifest {
    char id[BACKUP_ID_MAX + 1];
    backup_type type;
    char parent[BACKUP_ID_MAX + 1]; /* "": none */
    char parent_sha256[NADB_SHA256_HEX];
    int64_t created_ms; /* Unix time of the snapshot */
    /* The store it was made from: */
    char backend[BACKUP_TEXT_MAX + 1];
    char db[BACKUP_TEXT_MAX + 1];
    char ns[BACKUP_TEXT_MAX + 1];
    int compression;  /* zlib level; 0: none */
    uint64_t rows;    /* in this backup */
    uint64_t deleted; /* number of keys of the parent that it deletes */
    uint64_t total;   /* rows of the store then, that is, of the whole chain */
    uint64_t bytes;   /* size of the file with the rows, or of the database */
    char file_sha256[NADB_SHA256_HEX];
    nadb_buf parts; /* array of backup_part, of a database */
    /* sum of the lines before: nadb_manifest_put() */
    char sha256[NADB_SHA256_HEX];
} backup_manifest;

void backup_manifest_clear(backup_manifest *m);
static inline size_t backup_manifest_parts(const backup_manifest *m) {
    return m->parts.n / sizeof(backup_part);
}

/* True for 1 to 128 letters, digits, _, - and dots, without a dot first,
 * because hidden names in the folder (folder.h) are not ids. */
bool backup_id_valid(nadb_slice id);
/* NADB_INVALID, with what is allowed, if the id is not valid. */
nadb_rc backup_id_check(const char *id, nadb_err *err) NADB_MUST_USE;
const char *backup_type_name(backup_type type);

/* Appends the text, and sets m->sha256. */
nadb_rc backup_manifest_put(backup_manifest *m, nadb_buf *out,
                            nadb_err *err) NADB_MUST_USE;
/* Parses a text; the caller clears *m, also on error. `path` is for messages.
 * NADB_CORRUPT, or NADB_CANTOPEN for a newer format. */
nadb_rc backup_manifest_take(nadb_slice text, const char *path,
                             backup_manifest *m, nadb_err *err) NADB_MUST_USE;

#endif
