/* kept.c - transactions whose keys others have written before they could be
 * sent (buffered.h): a file of SQL beside the log, which repeats them.
 *
 *     -- log 3, to byte 4711: others have written 'k'
 *     BEGIN;
 *     REPLACE INTO "kv"(key, value, tags, expires_at) VALUES('k', 1, NULL,
 *     NULL);
 *     COMMIT;
 *
 * The file is synced before the transaction leaves the log. A crash in between
 * may write it twice, with the same place. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "../../core/kv/codec.h"
#include "../../core/kv/tags.h"
#include "../../core/util/key.h"
#include "../../core/util/number.h"
#include "buffered.h"

#define NAME "kept.sql"

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory to keep a transaction");
}

static bool add_text(nadb_buf *b, const char *s) {
    return nadb_buf_append(b, s, strlen(s));
}

/* Appends a literal; a text with a NUL is written as bytes. */
static bool add_quoted(nadb_buf *b, nadb_slice s, char quote) {
    bool ok = nadb_buf_byte(b, (uint8_t)quote);

    for (size_t i = 0; i < s.n && ok; i++) {
        if (s.p[i] == quote) ok = nadb_buf_byte(b, s.p[i]);
        ok = ok && nadb_buf_byte(b, s.p[i]);
    }
    return ok && nadb_buf_byte(b, (uint8_t)quote);
}

static bool add_bytes(nadb_buf *b, nadb_slice s) {
    static const char digits[] = "0123456789ABCDEF";
    bool ok = add_text(b, "x'");

    for (size_t i = 0; i < s.n && ok; i++)
        ok = nadb_buf_byte(b, (uint8_t)digits[s.p[i] >> 4]) &&
             nadb_buf_byte(b, (uint8_t)digits[s.p[i] & 15]);
    return ok && nadb_buf_byte(b, '\'');
}

static bool add_literal(nadb_buf *b, nadb_slice s, bool is_text) {
    if (is_text && (s.n == 0 || memchr(s.p, 0, s.n) == NULL))
        return add_quoted(b, s, '\'');
    if (!is_text) return add_bytes(b, s);
    return add_text(b, "CAST(") && add_bytes(b, s) && add_text(b, " AS TEXT)");
}

static bool has_lines(nadb_slice s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ') return true;
    return false;
}

/* Appends a key, in one line, because it may be in a comment. */
static bool add_key(nadb_buf *b, nadb_slice key) {
    nadb_slice rest;
    uint8_t first;

    if (nadb_key_is_blob(key, &rest, &first)) return add_bytes(b, rest);
    if (first == 0 && !has_lines(rest)) return add_literal(b, rest, true);
    return add_text(b, "CAST(") &&
           (first == 0 ||
            (add_bytes(b, nadb_slice_of(&first, 1)) && add_text(b, " || "))) &&
           add_bytes(b, rest) && add_text(b, " AS TEXT)");
}

static bool add_number(nadb_buf *b, const nadb_value *v) {
    char text[NADB_REAL_TEXT_MAX + 8];

    if (v->type == NADB_INTEGER) {
        snprintf(text, sizeof text, "%" PRId64, v->i);
    } else {
        nadb_real_text(v->r, text);
        /* Keeps a REAL without fraction a REAL. */
        if (strspn(text, "-0123456789") == strlen(text))
            memcpy(text + strlen(text), ".0", 3);
        if (strstr(text, "inf") != NULL)
            snprintf(text, sizeof text, "%s9e999", v->r < 0 ? "-" : "");
    }
    return add_text(b, text);
}

static nadb_rc add_value(nadb_buf *b, const nadb_row *row, nadb_err *err) {
    nadb_buf decoded = NADB_BUF_INIT;
    nadb_slice stored = row->stored;
    nadb_value v;
    nadb_rc rc = NADB_OK;
    bool ok;

    if (row->codec != NADB_CODEC_RAW) {
        rc = nadb_codec_decode(stored, row->codec, row->size, &decoded, err);
        stored = nadb_buf_slice(&decoded);
    }
    memset(&v, 0, sizeof v);
    if (rc == NADB_OK) rc = nadb_row_value(row, stored, &v, err);
    if (rc == NADB_OK) {
        if (v.type == NADB_NULL)
            ok = add_text(b, "NULL");
        else if (v.type == NADB_INTEGER || v.type == NADB_REAL)
            ok = add_number(b, &v);
        else
            ok = add_literal(b, stored, v.type == NADB_TEXT);
        if (!ok) rc = no_memory(err);
    }
    nadb_buf_clear(&decoded);
    return rc;
}

/* Appends tags and expiry, and ends the statement. */
static nadb_rc add_rest(nadb_buf *b, const nadb_row *row, nadb_err *err) {
    nadb_buf tags = NADB_BUF_INIT;
    char text[40] = "NULL";
    bool ok = add_text(b, ", ");

    if (row->tags.n == 0)
        ok = ok && add_text(b, "NULL");
    else
        ok = ok && nadb_tags_json(row->tags, &tags) &&
             add_literal(b, nadb_buf_slice(&tags), true);
    if (row->expires_ms != NADB_NO_EXPIRY)
        snprintf(text, sizeof text, "%" PRId64 " / 1000.0", row->expires_ms);
    ok = ok && add_text(b, ", ") && add_text(b, text) && add_text(b, ");\n");
    nadb_buf_clear(&tags);
    return ok ? NADB_OK : no_memory(err);
}

/* Appends one change as a statement. */
static nadb_rc add_change(nadb_buf *b, nadb_slice table, const nadb_entry *e,
                          nadb_err *err) {
    nadb_slice key = nadb_slice_of(e->key.p + 1, e->key.n - 1);
    bool ok = true;
    nadb_row row;
    nadb_rc rc;

    if ((e->flags & NADB_ENTRY_TOMBSTONE) != 0) {
        ok = add_text(b, "DELETE FROM ") && add_quoted(b, table, '"') &&
             add_text(b, " WHERE key = ") && add_key(b, key) &&
             add_text(b, ";\n");
        return ok ? NADB_OK : no_memory(err);
    }
    rc = nadb_row_decode(e->value, &row, err);
    if (rc != NADB_OK) return rc;
    ok = add_text(b, "REPLACE INTO ") && add_quoted(b, table, '"') &&
         add_text(b, "(key, value, tags, expires_at) VALUES(") &&
         add_key(b, key) && add_text(b, ", ");
    rc = ok ? add_value(b, &row, err) : no_memory(err);
    if (rc == NADB_OK) rc = add_rest(b, &row, err);
    return rc;
}

/* Writes a transaction as SQL. */
static nadb_rc describe(redis_base *b, nadb_records *records,
                        const nadb_record *txn, nadb_slice taken, nadb_buf *out,
                        nadb_err *err) {
    nadb_slice table =
        nadb_slice_str(nadb_option_text(b->env.options, "namespace"));
    char head[120];
    nadb_entry e;
    nadb_rc rc = NADB_OK;
    bool ok;

    snprintf(head, sizeof head,
             "-- log %" PRIu64 ", to byte %" PRIu64 ": others have written ",
             txn->end.log, txn->end.off);
    ok = add_text(out, head) &&
         (taken.n == 0 ? add_text(out, "everything") : add_key(out, taken)) &&
         add_text(out, "\nBEGIN;\n");
    if (ok && txn->clear)
        ok = add_text(out, "DELETE FROM ") && add_quoted(out, table, '"') &&
             add_text(out, ";\n");
    while (ok && rc == NADB_OK && records->change(records, &e))
        if (e.key.n > 0 && e.key.p[0] == NADB_KS_ROW)
            rc = add_change(out, table, &e, err);
    if (rc == NADB_OK && (!ok || !add_text(out, "COMMIT;\n")))
        rc = no_memory(err);
    return rc;
}

static nadb_rc append(redis_base *b, nadb_slice text, nadb_err *err) {
    const nadb_os *os = b->env.os;
    nadb_file *f = NULL;
    uint64_t size = 0;
    nadb_rc rc =
        os->open(b->env.home->dir, NAME, NADB_OPEN_WRITE | NADB_OPEN_CREATE,
                 b->env.home->file_mode, &f, err);

    if (rc == NADB_OK) rc = os->size(f, &size, err);
    if (rc == NADB_OK) rc = os->pwrite(f, text.p, text.n, size, err);
    if (rc == NADB_OK) rc = os->sync(f, err);
    os->close(f);
    return rc == NADB_OK ? os->dir_sync(b->env.home->dir, err) : rc;
}

nadb_rc redis_keep(redis_base *b, nadb_records *records, const nadb_record *txn,
                   nadb_slice taken, nadb_err *err) {
    nadb_buf text = NADB_BUF_INIT;
    nadb_rc rc = describe(b, records, txn, taken, &text, err);

    if (rc == NADB_OK) rc = append(b, nadb_buf_slice(&text), err);
    if (rc == NADB_OK) atomic_fetch_add(&b->kept, 1);
    nadb_buf_clear(&text);
    return rc;
}

/* The file is read in pieces, because a user who can write to the directory
 * can make it as large as the disk. */
#define PIECE 65536u
#define FILE_MOST ((uint64_t)4 << 30)

static const char head_end[] = "\nBEGIN;\n";
#define HEAD_END (sizeof head_end - 1)

/* Number of transactions that begin in the first `size` bytes. */
static nadb_rc count_in(nadb_file *f, uint64_t size, uint64_t *n,
                        nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    uint8_t *piece = nadb_malloc(PIECE);
    uint64_t at = 0;
    nadb_rc rc = NADB_OK;

    if (piece == NULL) return no_memory(err);
    while (at < size && rc == NADB_OK) {
        size_t got = size - at < PIECE ? (size_t)(size - at) : PIECE;
        size_t from = 0;
        const uint8_t *p;

        rc = os->pread(f, piece, got, at, err);
        while (rc == NADB_OK &&
               (p = nadb_slice_find(nadb_slice_of(piece + from, got - from),
                                    nadb_slice_of(head_end, HEAD_END))) !=
                   NULL) {
            from = (size_t)(p - piece) + HEAD_END;
            ++*n;
        }
        /* A transaction may begin at the end of the piece, behind the last one
         * found. */
        if (got == PIECE && from < PIECE - HEAD_END + 1)
            from = PIECE - HEAD_END + 1;
        at += got == PIECE ? from : got;
    }
    nadb_free(piece);
    return rc;
}

/* Number of transactions in the file; 0 if there is no file. */
static nadb_rc count(const redis_base *b, uint64_t *n, nadb_err *err) {
    const nadb_os *os = b->env.os;
    nadb_file *f = NULL;
    uint64_t size = 0;
    nadb_err mine;
    nadb_rc rc;

    *n = 0;
    nadb_err_clear(&mine);
    rc = os->open(b->env.home->dir, NAME, NADB_OPEN_READ, 0, &f, &mine);
    if (rc != NADB_OK && mine.sys_errno == ENOENT) return NADB_OK;
    if (rc == NADB_OK) rc = os->size(f, &size, &mine);
    if (rc == NADB_OK && size > FILE_MOST)
        rc = nadb_corrupt(&mine, "%s has %" PRIu64 " bytes, more than %" PRIu64,
                          os->path(f), size, FILE_MOST);
    if (rc == NADB_OK) rc = count_in(f, size, n, &mine);
    if (rc != NADB_OK && err != NULL) *err = mine;
    os->close(f);
    return rc;
}

nadb_rc redis_kept_count(redis_base *b, nadb_err *err) {
    uint64_t n = 0;
    nadb_rc rc = count(b, &n, err);

    atomic_store(&b->kept, n);
    return rc;
}

nadb_rc redis_flushed(nadb_base *base, nadb_err *err) {
    redis_base *b = (redis_base *)base;
    nadb_rc rc = NADB_OK;

    if (atomic_load(&b->kept) > 0) rc = redis_kept_count(b, err);
    if (rc != NADB_OK || atomic_load(&b->kept) == 0) return rc;
    return nadb_fail(err, NADB_INVALID,
                     "%" PRIu64 " transactions that were committed here were "
                     "not sent, because others have written the same keys "
                     "meanwhile: they are in %s/" NAME ", as SQL; check which "
                     "of it must be done again, and remove the file",
                     atomic_load(&b->kept), b->env.dir);
}
