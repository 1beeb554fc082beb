/* job.c - functions that may take long: listed in nadb_jobs, and they call the
 * connection's progress handler.
 *
 * SQLite calls a progress handler after so many steps of its virtual machine,
 * and has no function that calls it directly. So from time to time a statement
 * is run that only makes steps. It is kept for the whole job, because the
 * interval is counted over its life. It also detects an interrupt, for which
 * SQLite has sqlite3_is_interrupted() only since 3.41. The steps run at about a
 * million per second. */
#include "func.h"

static bool ask(void *ctx) {
    ext_job *j = ctx;
    int code = SQLITE_ROW;

    if (j->ticks == NULL &&
        sqlite3_prepare_v3(j->db, JOB_TICKS, -1, SQLITE_PREPARE_PERSISTENT,
                           &j->ticks, NULL) != SQLITE_OK)
        return quirk_interrupted(j->db);
    while (code == SQLITE_ROW) code = sqlite3_step(j->ticks);
    (void)sqlite3_reset(j->ticks);
    return code == SQLITE_INTERRUPT;
}

void job_begin(ext_job *j, sqlite3 *db, const char *kind, const char *target) {
    memset(j, 0, sizeof *j);
    j->db = db;
    nadb_job_begin(&j->job, kind, target, ask, j);
}

typedef struct sizes {
    double rows, bytes;
} sizes;

static void pick(void *ctx, const char *name, double value) {
    sizes *s = ctx;

    if (strcmp(name, "count") == 0) s->rows = value;
    if (strcmp(name, "stored_bytes") == 0) s->bytes = value;
}

void job_expect_store(const vtab *v, unsigned passes, bool bytes) {
    sizes all = {0, 0};

    if (nadb_store_stats(v->s->store, pick, &all, NULL) == NADB_OK)
        nadb_job_expect(all.rows > 0 ? passes * (uint64_t)all.rows : 0,
                        bytes && all.bytes > 0 ? (uint64_t)all.bytes : 0);
}

void job_end(ext_job *j) {
    nadb_job_end(&j->job);
    sqlite3_finalize(j->ticks);
}

/* --- transactions that write many rows --- */

#define MANY_ROWS 10000u

static uint64_t value_bytes(int argc, sqlite3_value **argv) {
    sqlite3_value *in = argc > 1 ? argv[2 + COL_VALUE] : NULL;
    int type = in == NULL || sqlite3_value_nochange(in)
                   ? SQLITE_NULL
                   : sqlite3_value_type(in);

    return type == SQLITE_BLOB || type == SQLITE_TEXT
               ? (uint64_t)sqlite3_value_bytes(in)
               : 0;
}

void job_wrote(const vtab *v, int argc, sqlite3_value **argv) {
    uint64_t bytes = value_bytes(argc, argv);
    sess *s = v->s;

    s->wrote_rows++;
    s->wrote_bytes += bytes;
    if (s->wrote_rows < MANY_ROWS) return;
    if (s->writing == NULL) {
        s->writing = nadb_calloc(1, sizeof *s->writing);
        if (s->writing == NULL) return;
        nadb_job_begin_apart(s->writing, "write", v->name);
        nadb_job_did(s->writing, s->wrote_rows, s->wrote_bytes);
        return;
    }
    nadb_job_did(s->writing, 1, bytes);
}

void job_wrote_all(sess *s) {
    s->wrote_rows = s->wrote_bytes = 0;
    if (s->writing == NULL) return;
    nadb_job_end(s->writing);
    nadb_free(s->writing);
    s->writing = NULL;
}
