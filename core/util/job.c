/* job.c - see job.h.
 *
 * A place in the file, 512 bytes:
 *
 *   0    u32       CRC of the rest
 *   4    u32       1, the format
 *   8    u64       process id
 *   16   i64 x 2   begun, last seen (Unix ms)
 *   32   u64 x 4   rows, rows in all, bytes, bytes in all
 *   64   32        kind, 96  256  target: ended by a zero
 *
 * followed by zeros. While a place is being written its CRC is wrong for a
 * moment, so readers retry. */
#include "job.h"

#include <stdio.h>
#include <stdlib.h>

#include "coding.h"
#include "crc32c.h"

#define FORMAT 1u
#define LOCK_BYTE ((uint64_t)1 << 40) /* of place 0 */
#define LOOK_BYTES ((uint64_t)256 << 10)
#define DRAW_MS 200
#define READ_TRIES 20

static _Thread_local nadb_job *current;

/* --- bytes --- */

static void encode(const nadb_job_state *s, uint8_t b[JOB_PLACE_BYTES]) {
    memset(b, 0, JOB_PLACE_BYTES);
    nadb_put_u32(b + 4, FORMAT);
    nadb_put_u64(b + 8, s->pid);
    nadb_put_u64(b + 16, (uint64_t)s->begun_ms);
    nadb_put_u64(b + 24, (uint64_t)s->seen_ms);
    nadb_put_u64(b + 32, s->rows);
    nadb_put_u64(b + 40, s->rows_all);
    nadb_put_u64(b + 48, s->bytes);
    nadb_put_u64(b + 56, s->bytes_all);
    memcpy(b + 64, s->kind, sizeof s->kind);
    memcpy(b + 96, s->target, sizeof s->target);
    nadb_put_u32(b, nadb_crc32c(0, b + 4, JOB_PLACE_BYTES - 4));
}

/* Decodes a place; false if it does not hold a job. */
static bool decode(const uint8_t b[JOB_PLACE_BYTES], nadb_job_state *out) {
    if (nadb_get_u32(b) != nadb_crc32c(0, b + 4, JOB_PLACE_BYTES - 4) ||
        nadb_get_u32(b + 4) != FORMAT)
        return false;
    out->pid = nadb_get_u64(b + 8);
    out->begun_ms = (int64_t)nadb_get_u64(b + 16);
    out->seen_ms = (int64_t)nadb_get_u64(b + 24);
    out->rows = nadb_get_u64(b + 32);
    out->rows_all = nadb_get_u64(b + 40);
    out->bytes = nadb_get_u64(b + 48);
    out->bytes_all = nadb_get_u64(b + 56);
    memcpy(out->kind, b + 64, sizeof out->kind);
    memcpy(out->target, b + 96, sizeof out->target);
    return out->kind[sizeof out->kind - 1] == '\0' &&
           out->target[sizeof out->target - 1] == '\0' && out->pid <= INT32_MAX;
}

/* --- the file --- */

/* Opens the directory, in memory if the system has such a directory. */
static nadb_rc dir_open(const nadb_os *os, nadb_dir **out, nadb_err *err) {
    if (os->dir_open("/dev/shm", out, NULL) == NADB_OK) return NADB_OK;
    return os->dir_open("/tmp", out, err);
}

static nadb_rc file_open(const nadb_os *os, unsigned flags, nadb_dir **dir,
                         nadb_file **file, nadb_err *err) {
    char name[64];
    nadb_stat st;
    nadb_rc rc = dir_open(os, dir, err);

    snprintf(name, sizeof name, "nadb-jobs-%llu",
             (unsigned long long)nadb_user_id());
    if (rc == NADB_OK) rc = os->open(*dir, name, flags, 0600, file, err);
    if (rc == NADB_OK) rc = os->fstat(*file, &st, err);
    /* Any user can make files there, so the owner is checked. */
    if (rc == NADB_OK && (st.uid != nadb_user_id() || (st.mode & 022) != 0))
        rc = nadb_fail(err, NADB_CANTOPEN, "%s belongs to another user", name);
    if (rc == NADB_OK) return NADB_OK;
    os->close(*file);
    os->dir_close(*dir);
    *file = NULL;
    *dir = NULL;
    return rc;
}

/* Looks once for a free place. */
static void place_take(nadb_job *j) {
    const nadb_os *os = nadb_os_get();
    bool got = false;

    j->tried = true;
    if (file_open(os, NADB_OPEN_WRITE | NADB_OPEN_CREATE, &j->dir, &j->file,
                  NULL) != NADB_OK)
        return;
    for (j->place = 0; j->place < JOB_PLACES && !got; j->place++)
        if (os->lock_byte(j->file, LOCK_BYTE + j->place, &got, NULL) != NADB_OK)
            break;
    if (got) {
        j->place--;
        return;
    }
    os->close(j->file);
    os->dir_close(j->dir);
    j->file = NULL;
    j->dir = NULL;
}

static void place_write(nadb_job *j) {
    const nadb_os *os = nadb_os_get();
    uint8_t b[JOB_PLACE_BYTES];

    if (!j->tried) place_take(j);
    if (j->file == NULL) return;
    j->now.seen_ms = os->now_ms();
    encode(&j->now, b);
    (void)!os->pwrite(j->file, b, sizeof b,
                      (uint64_t)j->place * JOB_PLACE_BYTES, NULL);
}

static void place_leave(nadb_job *j) {
    static const uint8_t nothing[JOB_PLACE_BYTES];
    const nadb_os *os = nadb_os_get();

    if (j->file == NULL) return;
    (void)!os->pwrite(j->file, nothing, sizeof nothing,
                      (uint64_t)j->place * JOB_PLACE_BYTES, NULL);
    os->close(j->file);
    os->dir_close(j->dir);
}

/* --- the bar --- */

double nadb_job_part(const nadb_job_state *s) {
    double rows = s->rows_all == 0 ? -1 : (double)s->rows / (double)s->rows_all;
    double bytes =
        s->bytes_all == 0 ? -1 : (double)s->bytes / (double)s->bytes_all;
    double part;

    if (rows > 1) rows = 1;
    if (bytes > 1) bytes = 1;
    /* Two passes, one counted in bytes and one in rows. */
    part = rows >= 0 && bytes >= 0 ? (rows + bytes) / 2
           : rows >= 0             ? rows
                                   : bytes;
    return part;
}

/* Delay in ms before it is drawn; negative: never. */
static int64_t draw_after(void) {
    const char *text = getenv("NADB_PROGRESS");
    char *end = NULL;
    long seconds;

    if (text == NULL) return 1000;
    seconds = strtol(text, &end, 10);
    return end == text || *end != '\0' || seconds < 0 || seconds > 86400
               ? -1
               : seconds * 1000;
}

static void draw(nadb_job *j, int64_t now_ns) {
    double part = nadb_job_part(&j->now);
    int64_t after = draw_after();
    int64_t ms = (now_ns - j->begun_ns) / 1000000;
    char text[200], bar[21];
    int n;

    if (after < 0 || ms < after || now_ns - j->drawn_ns < DRAW_MS * 1000000ll ||
        !nadb_terminal_is_there())
        return;
    j->drawn_ns = now_ns;
    j->drawn = true;
    for (int i = 0; i < 20; i++) bar[i] = part * 20 > i ? '#' : '.';
    bar[20] = '\0';
    if (part > 0)
        n = snprintf(text, sizeof text,
                     "\rnadb %s %.40s [%s] %3.0f %%, %llu rows, %.1f MB, "
                     "%.0f s left\033[K",
                     j->now.kind, j->now.target, bar, part * 100,
                     (unsigned long long)j->now.rows,
                     (double)j->now.bytes / 1e6,
                     (double)ms / 1000 * (1 - part) / part);
    else
        n = snprintf(text, sizeof text,
                     "\rnadb %s %.40s: %llu rows, %.1f MB\033[K", j->now.kind,
                     j->now.target, (unsigned long long)j->now.rows,
                     (double)j->now.bytes / 1e6);
    if (n > 0 && n < (int)sizeof text) nadb_terminal_write(text, (size_t)n);
}

/* --- jobs --- */

/* Copies a text; control characters, which a terminal would obey, become
 * '?'. */
static void copy_text(char *to, size_t n, const char *from) {
    snprintf(to, n, "%s", from);
    for (; *to != '\0'; to++)
        if ((unsigned char)*to < 0x20 || *to == 0x7f) *to = '?';
}

static void begin(nadb_job *j, const char *kind, const char *target,
                  bool (*ask)(void *ctx), void *ctx) {
    memset(j, 0, sizeof *j);
    j->ask = ask;
    j->ctx = ctx;
    j->listed = kind != NULL;
    if (j->listed) {
        copy_text(j->now.kind, sizeof j->now.kind, kind);
        copy_text(j->now.target, sizeof j->now.target, target);
        j->now.pid = nadb_process_id();
        j->now.begun_ms = nadb_os_get()->now_ms();
    }
    j->begun_ns = j->looked_ns = nadb_os_get()->mono_ns();
}

void nadb_job_begin(nadb_job *j, const char *kind, const char *target,
                    bool (*ask)(void *ctx), void *ctx) {
    begin(j, kind, target, ask, ctx);
    j->outer = current;
    current = j;
}

void nadb_job_begin_apart(nadb_job *j, const char *kind, const char *target) {
    begin(j, kind, target, NULL, NULL);
    j->apart = true;
}

void nadb_job_end(nadb_job *j) {
    static const char wipe[] = "\r\033[K";

    if (!j->apart) current = j->outer;
    if (j->drawn) nadb_terminal_write(wipe, sizeof wipe - 1);
    place_leave(j);
}

void nadb_job_begin_quiet(nadb_job *j, bool (*ask)(void *ctx), void *ctx) {
    begin(j, NULL, "", ask, ctx);
}

bool nadb_job_enter(nadb_job *j) {
    if (current != NULL) return false;
    current = j;
    return true;
}

void nadb_job_leave(nadb_job *j) {
    if (current == j) current = NULL;
}

void nadb_job_expect(uint64_t rows, uint64_t bytes) {
    if (current == NULL) return;
    current->now.rows_all = rows;
    current->now.bytes_all = bytes;
}

static nadb_rc look(nadb_job *j, nadb_err *err) {
    int64_t now = nadb_os_get()->mono_ns();

    j->bytes_looked = j->now.bytes;
    if (now - j->looked_ns < JOB_LOOK_MS * 1000000ll) return NADB_OK;
    if (j->listed) {
        place_write(j);
        draw(j, now);
    }
    if (j->ask != NULL && j->ask(j->ctx))
        return nadb_fail(err, NADB_INTERRUPT, "interrupted");
    j->looked_ns = nadb_os_get()->mono_ns();
    return NADB_OK;
}

static nadb_rc step(nadb_job *j, uint64_t rows, uint64_t bytes, nadb_err *err) {
    j->now.rows += rows;
    j->now.bytes += bytes;
    if (++j->steps % NADB_JOB_STEPS != 0 &&
        j->now.bytes - j->bytes_looked < LOOK_BYTES)
        return NADB_OK;
    return look(j, err);
}

nadb_rc nadb_job_step(uint64_t rows, uint64_t bytes, nadb_err *err) {
    return current == NULL ? NADB_OK : step(current, rows, bytes, err);
}

nadb_rc nadb_job_look(nadb_err *err) {
    return current == NULL ? NADB_OK : look(current, err);
}

void nadb_job_did(nadb_job *j, uint64_t rows, uint64_t bytes) {
    (void)!step(j, rows, bytes, NULL); /* it cannot be stopped */
}

/* --- reading --- */

/* *is: a process owns this place. */
static nadb_rc place_read(const nadb_os *os, nadb_file *f, unsigned i,
                          nadb_job_state *out, bool *is, nadb_err *err) {
    uint8_t b[JOB_PLACE_BYTES];
    nadb_rc rc = os->bytes_locked(f, LOCK_BYTE + i, 1, is, err);

    for (int tries = 0; rc == NADB_OK && *is; tries++) {
        rc = os->pread(f, b, sizeof b, (uint64_t)i * JOB_PLACE_BYTES, err);
        if (rc != NADB_OK || decode(b, out)) break;
        *is = tries < READ_TRIES;
    }
    return rc;
}

nadb_rc nadb_jobs_each(nadb_job_fn *each, void *ctx, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    nadb_file *f = NULL;
    uint64_t size = 0;
    nadb_rc rc = NADB_OK;

    /* Without a file no job was ever listed. */
    if (file_open(os, NADB_OPEN_READ, &dir, &f, NULL) != NADB_OK)
        return NADB_OK;
    rc = os->size(f, &size, err);
    for (unsigned i = 0; i < JOB_PLACES && rc == NADB_OK &&
                         size >= (uint64_t)(i + 1) * JOB_PLACE_BYTES;
         i++) {
        nadb_job_state s;
        bool is = false;

        rc = place_read(os, f, i, &s, &is, err);
        if (rc == NADB_OK && is) rc = each(ctx, &s, err);
    }
    os->close(f);
    os->dir_close(dir);
    return rc;
}
