/* manifest.c - writes and reads BACKUP (manifest.h).
 *
 * A reader takes line after line and accepts only what a writer would write:
 * another order, another form of a number, or bytes behind the last line are
 * damage. */
#include "manifest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "../names.h"

#define FIRST_LINE "nadb backup 1\n"
#define FIRST_WORDS "nadb backup "

#define CREATED_MAX ((uint64_t)1 << 47) /* ms: the year 6429 */

static const char *const types[] = {"full", "incremental", "database"};

void backup_manifest_clear(backup_manifest *m) {
    nadb_buf_clear(&m->parts);
    memset(m, 0, sizeof *m);
}

bool backup_id_valid(nadb_slice id) {
    return nadb_name_is_plain(id) && id.n <= BACKUP_ID_MAX;
}

nadb_rc backup_id_check(const char *id, nadb_err *err) {
    if (backup_id_valid(nadb_slice_str(id))) return NADB_OK;
    return nadb_fail(err, NADB_INVALID,
                     "'%.80s%s' is not a backup id: letters, digits, _, - and "
                     "dots, no dot first, at most 128",
                     id, strlen(id) > 80 ? ".." : "");
}

const char *backup_type_name(backup_type type) { return types[type]; }

/* --- writing --- */

static bool put(nadb_buf *out, const char *fmt, ...) NADB_PRINTF(2, 3);

static bool put(nadb_buf *out, const char *fmt, ...) {
    char line[512];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    return n >= 0 && (size_t)n < sizeof line &&
           nadb_buf_append(out, line, (size_t)n);
}

/* Writes a text of any bytes on one line; control characters and % are
 * escaped. */
static bool put_text(nadb_buf *out, const char *name, const char *text) {
    bool ok = put(out, "%s: ", name);

    for (const char *p = text; ok && *p != '\0'; p++) {
        uint8_t c = (uint8_t)*p;

        if (c < 0x20 || c == 0x7f || c == '%')
            ok = put(out, "%%%02X", c);
        else
            ok = nadb_buf_byte(out, c);
    }
    return ok && nadb_buf_byte(out, '\n');
}

static bool put_parts(nadb_buf *out, const backup_manifest *m) {
    bool ok = put(out, "parts: %zu\n", backup_manifest_parts(m));

    for (size_t i = 0; ok && i < backup_manifest_parts(m); i++) {
        const backup_part *p =
            (const backup_part *)(const void *)m->parts.p + i;

        ok = put_text(out, "table", p->table) &&
             put(out, "backup: %s\n", p->sha256);
    }
    return ok;
}

nadb_rc backup_manifest_put(backup_manifest *m, nadb_buf *out, nadb_err *err) {
    size_t start = out->n;
    bool has_parent = m->parent[0] != '\0';
    uint8_t sum[NADB_SHA256_BYTES];
    nadb_sha256 sha;
    bool ok = put(out, FIRST_LINE) && put(out, "id: %s\n", m->id) &&
              put(out, "type: %s\n", types[m->type]) &&
              put(out, "parent: %s\n", has_parent ? m->parent : "none") &&
              put(out, "parent_sha256: %s\n",
                  has_parent ? m->parent_sha256 : "none") &&
              put(out, "created_ms: %" PRId64 "\n", m->created_ms) &&
              put_text(out, "backend", m->backend) &&
              put_text(out, "db", m->db) && put_text(out, "namespace", m->ns) &&
              put(out, "compression: %d\n", m->compression) &&
              put(out, "rows: %" PRIu64 "\n", m->rows) &&
              put(out, "deleted: %" PRIu64 "\n", m->deleted) &&
              put(out, "total: %" PRIu64 "\n", m->total) &&
              put(out, "bytes: %" PRIu64 "\n", m->bytes) &&
              put(out, "file_sha256: %s\n", m->file_sha256) &&
              put_parts(out, m);

    if (ok) {
        nadb_sha256_begin(&sha);
        nadb_sha256_add(&sha, out->p + start, out->n - start);
        nadb_sha256_end(&sha, sum);
        nadb_sha256_hex(sum, m->sha256);
        ok = put(out, "sha256: %s\n", m->sha256);
    }
    return ok ? NADB_OK
              : nadb_fail(err, NADB_NOMEM, "out of memory for a backup");
}

/* --- reading --- */

typedef struct lines {
    nadb_slice left;
    const char *path;
    nadb_err *err;
} lines;

static nadb_rc damaged(const lines *l, const char *what) {
    return nadb_corrupt(l->err, "%s is damaged: %s", l->path, what);
}

/* Takes the value of the next line, which must have this name. */
static nadb_rc take(lines *l, const char *name, nadb_slice *value) {
    size_t n = strlen(name);
    const uint8_t *end =
        l->left.n == 0 ? NULL : memchr(l->left.p, '\n', l->left.n);

    if (end == NULL || (size_t)(end - l->left.p) < n + 2 ||
        memcmp(l->left.p, name, n) != 0 || memcmp(l->left.p + n, ": ", 2) != 0)
        return nadb_corrupt(l->err, "%s is damaged: its line '%s' is missing",
                            l->path, name);
    *value =
        nadb_slice_of(l->left.p + n + 2, (size_t)(end - l->left.p) - n - 2);
    l->left.n -= (size_t)(end + 1 - l->left.p);
    l->left.p = end + 1;
    return NADB_OK;
}

static nadb_rc take_number(lines *l, const char *name, uint64_t *out) {
    nadb_slice v;
    uint64_t sum = 0;
    nadb_rc rc = take(l, name, &v);

    if (rc != NADB_OK) return rc;
    if (v.n == 0 || v.n > 19 || (v.n > 1 && v.p[0] == '0'))
        return damaged(l, "a number is wrong");
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return damaged(l, "a number is wrong");
        sum = sum * 10 + (uint64_t)(v.p[i] - '0');
    }
    *out = sum;
    return NADB_OK;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static nadb_rc take_text(lines *l, const char *name,
                         char out[BACKUP_TEXT_MAX + 1]) {
    nadb_slice v;
    size_t n = 0;
    nadb_rc rc = take(l, name, &v);

    if (rc != NADB_OK) return rc;
    for (size_t i = 0; i < v.n; i++) {
        int c = v.p[i];

        if (c == '%') {
            int high = i + 2 < v.n ? hex_digit(v.p[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_digit(v.p[i + 2]);

            c = low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (c == 0 || n == BACKUP_TEXT_MAX)
            return damaged(l, "a text is wrong");
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return NADB_OK;
}

static nadb_rc take_sum(lines *l, const char *name, bool may_miss,
                        char out[NADB_SHA256_HEX]) {
    nadb_slice v;
    nadb_rc rc = take(l, name, &v);
    bool ok;

    out[0] = '\0';
    if (rc != NADB_OK) return rc;
    if (may_miss && nadb_slice_eq(v, nadb_slice_str("none"))) return NADB_OK;
    ok = v.n == NADB_SHA256_HEX - 1;
    for (size_t i = 0; ok && i < v.n; i++)
        ok = (v.p[i] >= '0' && v.p[i] <= '9') ||
             (v.p[i] >= 'a' && v.p[i] <= 'f');
    if (!ok) return damaged(l, "a checksum is wrong");
    memcpy(out, v.p, v.n);
    out[v.n] = '\0';
    return NADB_OK;
}

static nadb_rc take_id(lines *l, const char *name,
                       char out[BACKUP_ID_MAX + 1]) {
    nadb_slice v;
    nadb_rc rc = take(l, name, &v);

    out[0] = '\0';
    if (rc != NADB_OK) return rc;
    if (!backup_id_valid(v)) return damaged(l, "an id is wrong");
    memcpy(out, v.p, v.n);
    out[v.n] = '\0';
    return NADB_OK;
}

/* The sum tells whether there is a parent, because "none" may also be an id. */
static nadb_rc take_parent(lines *l, backup_manifest *m) {
    nadb_rc rc = take_id(l, "parent", m->parent);

    if (rc == NADB_OK)
        rc = take_sum(l, "parent_sha256", true, m->parent_sha256);
    if (rc != NADB_OK || m->parent_sha256[0] != '\0') return rc;
    if (strcmp(m->parent, "none") != 0)
        return damaged(l, "its parent has no checksum");
    m->parent[0] = '\0';
    return NADB_OK;
}

static nadb_rc take_type(lines *l, backup_type *out) {
    nadb_slice v;
    nadb_rc rc = take(l, "type", &v);

    if (rc != NADB_OK) return rc;
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++)
        if (nadb_slice_eq(v, nadb_slice_str(types[i]))) {
            *out = (backup_type)i;
            return NADB_OK;
        }
    return damaged(l, "its type is wrong");
}

static nadb_rc take_parts(lines *l, backup_manifest *m) {
    uint64_t n;
    nadb_rc rc = take_number(l, "parts", &n);

    if (rc != NADB_OK) return rc;
    if (n > BACKUP_PARTS_MAX || (n > 0 && m->type != BACKUP_DATABASE))
        return damaged(l, "its number of parts is wrong");
    for (uint64_t i = 0; i < n; i++) {
        backup_part p;

        memset(&p, 0, sizeof p);
        rc = take_text(l, "table", p.table);
        if (rc == NADB_OK) rc = take_sum(l, "backup", false, p.sha256);
        if (rc == NADB_OK && !nadb_buf_append(&m->parts, &p, sizeof p))
            rc = nadb_fail(l->err, NADB_NOMEM, "reading %s", l->path);
        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

/* The first line has the format; newer formats are for newer readers. */
static nadb_rc take_first(lines *l) {
    nadb_slice first = nadb_slice_str(FIRST_LINE);

    if (nadb_slice_starts(l->left, first)) {
        l->left.p += first.n;
        l->left.n -= first.n;
        return NADB_OK;
    }
    if (nadb_slice_starts(l->left, nadb_slice_str(FIRST_WORDS)))
        return nadb_fail(l->err, NADB_CANTOPEN,
                         "%s has a format that this version of nadb cannot "
                         "read: use a newer one",
                         l->path);
    return damaged(l, "it does not begin as one");
}

static nadb_rc take_fields(lines *l, backup_manifest *m) {
    uint64_t created = 0, level = 0;
    nadb_rc rc = take_id(l, "id", m->id);

    if (rc == NADB_OK) rc = take_type(l, &m->type);
    if (rc == NADB_OK) rc = take_parent(l, m);
    if (rc == NADB_OK) rc = take_number(l, "created_ms", &created);
    if (rc == NADB_OK) rc = take_text(l, "backend", m->backend);
    if (rc == NADB_OK) rc = take_text(l, "db", m->db);
    if (rc == NADB_OK) rc = take_text(l, "namespace", m->ns);
    if (rc == NADB_OK) rc = take_number(l, "compression", &level);
    if (rc == NADB_OK) rc = take_number(l, "rows", &m->rows);
    if (rc == NADB_OK) rc = take_number(l, "deleted", &m->deleted);
    if (rc == NADB_OK) rc = take_number(l, "total", &m->total);
    if (rc == NADB_OK) rc = take_number(l, "bytes", &m->bytes);
    if (rc == NADB_OK) rc = take_sum(l, "file_sha256", false, m->file_sha256);
    if (rc == NADB_OK) rc = take_parts(l, m);
    if (rc != NADB_OK) return rc;
    if (created > CREATED_MAX) return damaged(l, "its time is wrong");
    m->created_ms = (int64_t)created;
    m->compression = (int)level;
    if (level > 9 || (m->type == BACKUP_INCREMENTAL) != (m->parent[0] != '\0'))
        return damaged(l, "its lines contradict each other");
    return NADB_OK;
}

nadb_rc backup_manifest_take(nadb_slice text, const char *path,
                             backup_manifest *m, nadb_err *err) {
    lines l = {text, path, err};
    uint8_t sum[NADB_SHA256_BYTES];
    char hex[NADB_SHA256_HEX];
    nadb_sha256 sha;
    size_t n;
    nadb_rc rc;

    memset(m, 0, sizeof *m);
    rc = take_first(&l);
    if (rc == NADB_OK) rc = take_fields(&l, m);
    n = text.n - l.left.n;
    if (rc == NADB_OK) rc = take_sum(&l, "sha256", false, m->sha256);
    if (rc != NADB_OK) return rc;
    nadb_sha256_begin(&sha);
    nadb_sha256_add(&sha, text.p, n);
    nadb_sha256_end(&sha, sum);
    nadb_sha256_hex(sum, hex);
    if (strcmp(hex, m->sha256) != 0 || l.left.n > 0)
        return damaged(&l, "its own checksum is wrong");
    return NADB_OK;
}
