/* database.c - see database.h. */
#include "database.h"

#include <stdio.h>

#include "../util/job.h"

#define COPY_BYTES (256u * 1024u)

void nadb_backup_part_name(size_t i, char out[32]) {
    (void)snprintf(out, 32, BACKUP_PART_PREFIX "%zu", i + 1);
}

nadb_rc backup_sum_file(nadb_file *f, nadb_file *to, const nadb_stop *stop,
                        uint64_t *bytes, char hex[NADB_SHA256_HEX],
                        nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    uint8_t sum[NADB_SHA256_BYTES];
    uint8_t *p = nadb_malloc(COPY_BYTES);
    nadb_sha256 sha;
    nadb_rc rc = p == NULL
                     ? nadb_fail(err, NADB_NOMEM, "out of memory for a backup")
                     : os->size(f, bytes, err);

    nadb_sha256_begin(&sha);
    for (uint64_t at = 0; rc == NADB_OK && at < *bytes; at += COPY_BYTES) {
        uint64_t left = *bytes - at;
        size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;

        rc = nadb_stopped(stop, err);
        if (rc == NADB_OK) rc = nadb_job_step(0, n, err);
        if (rc == NADB_OK) rc = os->pread(f, p, n, at, err);
        if (rc == NADB_OK) nadb_sha256_add(&sha, p, n);
        if (rc == NADB_OK && to != NULL) rc = os->pwrite(to, p, n, at, err);
    }
    nadb_sha256_end(&sha, sum);
    nadb_sha256_hex(sum, hex);
    nadb_free(p);
    return rc;
}

nadb_rc backup_database_check_parts(const backup_folder *f, const char *id,
                                    const backup_manifest *all, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; rc == NADB_OK && i < backup_manifest_parts(all); i++) {
        const backup_part *part =
            (const backup_part *)(const void *)all->parts.p + i;
        backup_manifest own;
        char name[32];

        nadb_backup_part_name(i, name);
        rc = backup_folder_manifest(f, id, name, &own, err);
        if (rc == NADB_OK &&
            (strcmp(own.sha256, part->sha256) != 0 || own.type != BACKUP_FULL))
            rc = nadb_corrupt(err,
                              "backup %s in %s is damaged: %s is not the one "
                              "that it was made with",
                              id, backup_folder_path(f), name);
        backup_manifest_clear(&own);
    }
    return rc;
}

nadb_rc backup_database_read(const backup_folder *f, const char *id,
                             nadb_file *to, const nadb_stop *stop,
                             const backup_manifest *m, nadb_err *err) {
    char hex[NADB_SHA256_HEX];
    nadb_file *file = NULL;
    uint64_t bytes = 0;
    nadb_rc rc =
        backup_folder_file(f, id, NULL, BACKUP_DATABASE_FILE, &file, err);

    if (rc == NADB_OK) rc = backup_sum_file(file, to, stop, &bytes, hex, err);
    nadb_os_get()->close(file);
    if (rc == NADB_OK &&
        (bytes != m->bytes || strcmp(hex, m->file_sha256) != 0))
        rc = nadb_corrupt(err,
                          "backup %s in %s is damaged: its database has "
                          "another checksum",
                          id, backup_folder_path(f));
    return rc;
}

nadb_rc backup_database_verify(const backup_folder *f, const char *id,
                               const nadb_stop *stop, const backup_manifest *m,
                               nadb_err *err) {
    nadb_rc rc = backup_database_check_parts(f, id, m, err);

    return rc == NADB_OK ? backup_database_read(f, id, NULL, stop, m, err) : rc;
}
