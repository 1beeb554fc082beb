/* memtable_salvage.c - what an index tells of a damaged log (salvage.h).
 *
 * A version has 24 bytes at a multiple of 8 and ends with a checksum over
 * itself and its entry in the log. So versions are found by testing every such
 * place, without following links. Nodes have no checksum: everything that can
 * be a node is taken for one, which does no harm. */
#include <stdlib.h>

#include "../nadb.h"
#include "../util/coding.h"
#include "../util/crc32c.h"
#include "memtable_node.h"
#include "salvage.h"

#define PIECE ((size_t)1 << 20)

static int by_off(const void *a, const void *b) {
    const memtable_vouched *x = a, *y = b;

    return x->off < y->off ? -1 : x->off > y->off;
}

/* True if p is a version whose entry lies below `size` and is unchanged. */
static bool vouches(const wal *w, const uint8_t *p, uint64_t size,
                    memtable_vouched *out) {
    uint64_t off = nadb_get_u64(p + 8);
    wal_entry e;
    uint32_t crc;

    if (off < WAL_HEADER || !wal_entry_at(w, off, size, &e)) return false;
    out->off = off;
    out->end = (uint64_t)(e.value.p + e.value.n - w->map);
    crc = nadb_crc32c(0, p, 20);
    return nadb_crc32c(crc, w->map + off, (size_t)(out->end - off)) ==
           nadb_get_u32(p + 20);
}

/* True if p may be a node whose key lies below `size`. */
static bool may_know(const uint8_t *p, uint64_t size, memtable_known *out) {
    node n;

    memcpy(&n, p, sizeof n);
    out->key_off = n.key_off;
    out->hash = n.hash;
    return n.key_off > WAL_HEADER && n.key_off < size && n.key_len > 0 &&
           n.key_len <= NADB_KEY_MAX + 1 && n.key_len <= size - n.key_off &&
           n.space == NADB_KS_ROW && n.height >= 1 &&
           n.height <= MEMTABLE_HEIGHT && n.unused == 0;
}

static bool take(const wal *w, const uint8_t *p, size_t n, uint64_t log_size,
                 nadb_buf *vouched, nadb_buf *known) {
    memtable_vouched v;
    memtable_known k;

    if (vouches(w, p, log_size, &v))
        return nadb_buf_append(vouched, &v, sizeof v);
    return n < sizeof(node) || !may_know(p, log_size, &k) ||
           nadb_buf_append(known, &k, sizeof k);
}

static nadb_rc scan(const wal *w, nadb_file *f, uint64_t size,
                    uint64_t log_size, nadb_buf *vouched, nadb_buf *known,
                    nadb_err *err) {
    nadb_buf piece = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;

    if (!nadb_buf_reserve(&piece, PIECE + sizeof(node)))
        return nadb_fail(err, NADB_NOMEM, "reading an index");
    for (uint64_t at = 0; rc == NADB_OK && at < size; at += PIECE) {
        uint64_t left = size - at;
        size_t n =
            left < PIECE + sizeof(node) ? (size_t)left : PIECE + sizeof(node);

        rc = w->os->pread(f, piece.p, n, at, err);
        for (size_t i = 0;
             rc == NADB_OK && i + sizeof(version) <= n && i < PIECE; i += 8)
            if (!take(w, piece.p + i, n - i, log_size, vouched, known))
                rc = nadb_fail(err, NADB_NOMEM, "reading an index");
    }
    nadb_buf_clear(&piece);
    return rc;
}

static bool salt_of(const nadb_home *home, uint64_t number, const char *kind,
                    uint64_t *salt) {
    uint8_t head[24];
    nadb_file *f = NULL;
    nadb_rc rc = nadb_home_open(home, number, kind, NADB_OPEN_READ, &f, NULL);

    if (rc == NADB_OK) rc = home->os->pread(f, head, sizeof head, 0, NULL);
    home->os->close(f);
    if (rc != NADB_OK || memcmp(head, "NADBidx1", 8) != 0) return false;
    memcpy(salt, head + 16, sizeof *salt); /* in the machine's byte order */
    return true;
}

bool memtable_index_salt(const nadb_home *home, uint64_t number,
                         uint64_t *salt) {
    return salt_of(home, number, "was", salt) ||
           salt_of(home, number, "idx", salt);
}

/* Unreadable parts of an index are skipped. */
static nadb_rc scan_file(const wal *w, const nadb_home *home, const char *kind,
                         nadb_buf *vouched, nadb_buf *known, nadb_err *err) {
    uint64_t size = 0, log_size = 0;
    nadb_file *f = NULL;
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = nadb_home_open(home, w->number, kind, NADB_OPEN_READ, &f, &mine);
    if (rc == NADB_OK) rc = home->os->size(f, &size, &mine);
    if (rc == NADB_OK) rc = home->os->size(w->file, &log_size, &mine);
    if (log_size > w->capacity) log_size = w->capacity;
    if (rc == NADB_OK) rc = scan(w, f, size, log_size, vouched, known, &mine);
    home->os->close(f);
    return rc == NADB_NOMEM ? nadb_fail(err, rc, "%s", mine.msg) : NADB_OK;
}

nadb_rc memtable_vouch(const wal *w, const nadb_home *home, nadb_buf *vouched,
                       nadb_buf *known, nadb_err *err) {
    nadb_rc rc = scan_file(w, home, "was", vouched, known, err);

    if (rc == NADB_OK) rc = scan_file(w, home, "idx", vouched, known, err);
    if (rc == NADB_OK && vouched->n > sizeof(memtable_vouched))
        qsort(vouched->p, vouched->n / sizeof(memtable_vouched),
              sizeof(memtable_vouched), by_off);
    return rc;
}
