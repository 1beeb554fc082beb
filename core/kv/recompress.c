/* recompress.c - compresses rows that were stored uncompressed.
 *
 * One session walks over a snapshot and lists keys; another one handles them in
 * short transactions. It reads each row again, so a change by another
 * transaction is a conflict and is never overwritten. */
#include "recompress.h"
#include "../util/job.h"
#include "codec.h"
#include "key_list.h"
#include "row.h"
#include "session.h"

#define STEP_ROWS 256u
#define STEP_BYTES (4u << 20)
#define TRIES 3

typedef struct recompressing {
    nadb_session *reads, *writes;
    nadb_cursor *walk;
    key_list keys; /* keys for one transaction */
    int level;
    nadb_stop stop;
    nadb_buf coded;
    nadb_recompressed *out;
} recompressing;

static bool is_bytes(const nadb_row *row) {
    return row->type == NADB_TEXT || row->type == NADB_BLOB;
}

/* True if the row should be tried; otherwise counts why not. */
static bool judge(recompressing *r, const nadb_row *row) {
    if (row->codec != NADB_CODEC_RAW)
        r->out->already++;
    else if (!is_bytes(row) || row->stored.n < NADB_CODEC_MIN)
        r->out->too_small++;
    else
        return true;
    return false;
}

/* Lists the keys of the next transaction. */
static nadb_rc collect(recompressing *r, nadb_err *err) {
    const nadb_row *row;
    size_t bytes = 0;
    nadb_rc rc = NADB_OK;

    key_list_reset(&r->keys);
    while (rc == NADB_OK && (row = nadb_cursor_row(r->walk)) != NULL &&
           r->keys.n < STEP_ROWS && bytes < STEP_BYTES) {
        if (judge(r, row)) {
            bytes += row->stored.n;
            rc = key_list_add(&r->keys, row->key, err);
        }
        if (rc == NADB_OK) rc = nadb_cursor_next(r->walk, err);
    }
    return rc;
}

/* Writes the row again if that makes it smaller. */
static nadb_rc shrink(recompressing *r, nadb_slice key, nadb_recompressed *n,
                      nadb_err *err) {
    nadb_put_req req = {.key = key, .mode = NADB_PUT_UPDATE};
    nadb_row row;
    bool found = false;
    nadb_rc rc = nadb_get(r->writes, key, &row, &found, err);

    if (rc != NADB_OK) return rc;
    if (!found || row.codec != NADB_CODEC_RAW || !is_bytes(&row)) {
        n->missing++;
        return NADB_OK;
    }
    nadb_buf_reset(&r->coded);
    rc = nadb_codec_encode(row.stored, r->level, &r->coded, &row.codec, err);
    if (rc != NADB_OK) return rc;
    if (row.codec == NADB_CODEC_RAW) {
        n->not_smaller++;
        return NADB_OK;
    }
    row.stored = nadb_buf_slice(&r->coded);
    req.keep = &row;
    req.tags = row.tags;
    req.created_ms = row.created_ms;
    req.updated_ms = row.updated_ms;
    req.expires_ms = row.expires_ms;
    n->compressed++;
    return nadb_put(r->writes, &req, err);
}

/* Handles keys[from .. to - 1] in one transaction. */
static nadb_rc write_keys(recompressing *r, size_t from, size_t to,
                          nadb_err *err) {
    nadb_recompressed n = {0};
    nadb_rc rc = nadb_session_begin(r->writes, false, err);

    for (size_t i = from; rc == NADB_OK && i < to; i++)
        rc = shrink(r, key_list_at(&r->keys, i), &n, err);
    if (rc == NADB_OK) rc = nadb_session_prepare(r->writes, err);
    if (rc != NADB_OK) {
        (void)nadb_session_rollback(r->writes, NULL);
        return rc;
    }
    nadb_session_commit(r->writes);
    r->out->compressed += n.compressed;
    r->out->not_smaller += n.not_smaller;
    r->out->missing += n.missing;
    return NADB_OK;
}

/* True for errors that concern a single row; the others are still handled. */
static bool is_of_row(nadb_rc rc) {
    return rc == NADB_CONFLICT || rc == NADB_BUSY || rc == NADB_CORRUPT;
}

static nadb_rc write_one(recompressing *r, size_t i, nadb_err *err) {
    nadb_rc rc = NADB_CONFLICT;

    for (int tries = 0; tries < TRIES && rc == NADB_CONFLICT; tries++) {
        nadb_err_clear(err);
        rc = write_keys(r, i, i + 1, err);
    }
    if (!is_of_row(rc)) return rc;
    r->out->errors++;
    return NADB_OK;
}

/* Handles all listed keys; one by one if one of them fails. */
static nadb_rc write_all(recompressing *r, nadb_err *err) {
    nadb_rc rc = write_keys(r, 0, r->keys.n, err);

    if (!is_of_row(rc)) return rc;
    rc = NADB_OK;
    for (size_t i = 0; rc == NADB_OK && i < r->keys.n; i++)
        rc = write_one(r, i, err);
    return rc;
}

static nadb_rc run(recompressing *r, nadb_err *err) {
    nadb_scan all = {.reverse = false};
    nadb_rc rc = nadb_session_enter(r->reads, err);
    bool entered = rc == NADB_OK;

    if (rc == NADB_OK) rc = nadb_cursor_new(r->reads, &r->walk, err);
    if (rc == NADB_OK) rc = nadb_cursor_scan(r->walk, &all, err);
    while (rc == NADB_OK && nadb_cursor_row(r->walk) != NULL) {
        rc = nadb_stopped(&r->stop, err);
        if (rc == NADB_OK) rc = collect(r, err);
        if (rc == NADB_OK) rc = nadb_job_step(r->keys.n, 0, err);
        if (rc == NADB_OK && r->keys.n > 0) rc = write_all(r, err);
    }
    nadb_cursor_free(r->walk);
    if (entered) nadb_session_leave(r->reads);
    return rc;
}

nadb_rc kv_recompress(nadb_kv *kv, const nadb_stop *stop,
                      nadb_recompressed *out, nadb_err *err) {
    recompressing r = {.stop = *stop, .out = out};
    nadb_err mine;
    nadb_rc rc = kv_usable(kv, err);

    memset(out, 0, sizeof *out);
    nadb_err_clear(&mine);
    r.level = atomic_load(&kv->compression);
    if (rc == NADB_OK && r.level == 0)
        rc = nadb_fail(err, NADB_INVALID,
                       "the store is open with compression=off: name a level "
                       "in the table's options first");
    if (rc == NADB_OK) rc = session_new(kv, &r.reads, err);
    if (rc == NADB_OK) rc = session_new(kv, &r.writes, err);
    if (rc == NADB_OK) {
        /* Readers see the same rows, so this is not a change for them. */
        r.writes->in_background = true;
        rc = run(&r, &mine);
        if (rc != NADB_OK && err != NULL) *err = mine;
    }
    nadb_session_free(r.writes);
    nadb_session_free(r.reads);
    key_list_clear(&r.keys);
    nadb_buf_clear(&r.coded);
    return rc;
}
