/* sql_fuzz.h - what replies_fuzz and functions_fuzz share: a folder, a database
 * in memory that knows nadb, and statements. They use nadb through SQL alone,
 * so that corpus.sh can run them with any build of the library. */
#ifndef NADB_SQL_FUZZ_H
#define NADB_SQL_FUZZ_H

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#ifdef NADB_FUZZ_LOAD
static void fuzz_extend(sqlite3 *db) {
    const char *lib = getenv("NADB_LIB");

    MUST(lib != NULL);
    sqlite3_enable_load_extension(db, 1);
    MUST(sqlite3_load_extension(db, lib, "sqlite3_nadb_init", NULL) ==
         SQLITE_OK);
    sqlite3_enable_load_extension(db, 0);
}
#else
int sqlite3_nadb_init(sqlite3 *db, char **error, const void *api);

static void fuzz_extend(sqlite3 *db) {
    int code = sqlite3_nadb_init(db, NULL, NULL);

    MUST(code == SQLITE_OK || code == SQLITE_OK_LOAD_PERMANENTLY);
}
#endif

static char fuzz_dir[40]; /* a folder of this process, removed at its end */

/* Everything in the folder; which is not followed out of it. */
static void fuzz_empty(int parent, const char *name) {
    int fd =
        openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *x;

    while (d != NULL && (x = readdir(d)) != NULL) {
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, x->d_name, 0) == 0) continue;
        fuzz_empty(fd, x->d_name);
        (void)unlinkat(fd, x->d_name, AT_REMOVEDIR);
    }
    if (d != NULL) (void)closedir(d);
}

static void fuzz_remove_dir(void) {
    if (chdir("/") != 0) return;
    fuzz_empty(AT_FDCWD, fuzz_dir);
    (void)rmdir(fuzz_dir);
}

/* Makes the folder, and goes there. */
static void fuzz_make_dir(void) {
    (void)snprintf(fuzz_dir, sizeof fuzz_dir, "/dev/shm/nadb-fuzz-XXXXXX");
    if (mkdtemp(fuzz_dir) == NULL) {
        (void)snprintf(fuzz_dir, sizeof fuzz_dir, "/tmp/nadb-fuzz-XXXXXX");
        MUST(mkdtemp(fuzz_dir) != NULL);
    }
    MUST(atexit(fuzz_remove_dir) == 0 && chdir(fuzz_dir) == 0);
}

static sqlite3 *fuzz_db(const char *file) {
    sqlite3 *db = NULL;

    MUST(sqlite3_open(file, &db) == SQLITE_OK);
    fuzz_extend(db);
    return db;
}

/* Looks at every byte of the row. */
static void fuzz_columns(sqlite3_stmt *s) {
    for (int i = 0; i < sqlite3_column_count(s); i++) {
        const uint8_t *p = sqlite3_column_blob(s, i);
        int n = sqlite3_column_bytes(s, i);
        unsigned sum = 0;

        for (int k = 0; k < n; k++) sum = sum * 31u % 65521u + p[k];
        MUST(sum < 1u << 31);
    }
}

/* Runs the statements, up to the first that fails; SQLite's last code. */
static int fuzz_run(sqlite3 *db, const char *sql) {
    int code = SQLITE_OK;

    while (code == SQLITE_OK && *sql != '\0') {
        sqlite3_stmt *s = NULL;

        code = sqlite3_prepare_v2(db, sql, -1, &s, &sql);
        for (int rows = 0; s != NULL && code == SQLITE_OK && rows < 1000;
             rows++) {
            if (sqlite3_step(s) != SQLITE_ROW) break;
            fuzz_columns(s);
        }
        if (s != NULL) code = sqlite3_finalize(s);
    }
    if (code != SQLITE_OK) MUST(sqlite3_errmsg(db)[0] != '\0');
    return code;
}

#endif
