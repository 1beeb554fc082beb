/* names.c - see names.h. */
#include "names.h"

#define DIR_MAX 200 /* file systems allow 255; room is left for suffixes */
#define HASH_DIGITS 32

static const char hex[] = "0123456789ABCDEF";

static bool is_plain(uint8_t c, bool first) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           (c == '.' && !first);
}

bool nadb_name_is_plain(nadb_slice name) {
    for (size_t i = 0; i < name.n; i++)
        if (!is_plain(name.p[i], i == 0)) return false;
    return name.n > 0;
}

/* Appends the escaped form of as much of `name` as fits into `room` bytes; an
 * escape is never cut. False if out of memory. */
static bool put_escaped(nadb_slice name, size_t room, nadb_buf *out) {
    if (!nadb_buf_reserve(out, room)) return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool plain = is_plain(c, i == 0);
        size_t need = plain ? 1 : 3;

        if (need > room) break;
        room -= need;
        if (plain) {
            out->p[out->n++] = c;
        } else {
            out->p[out->n++] = '%';
            out->p[out->n++] = (uint8_t)hex[c >> 4];
            out->p[out->n++] = (uint8_t)hex[c & 15];
        }
    }
    return true;
}

static size_t escaped_len(nadb_slice name) {
    size_t n = 0;

    for (size_t i = 0; i < name.n; i++)
        n += is_plain(name.p[i], i == 0) ? 1 : 3;
    return n;
}

static void put_hex(uint8_t *p, uint64_t v) {
    for (int i = 15; i >= 0; i--, v >>= 4) p[i] = (uint8_t)hex[v & 15];
}

/* The second half hashes one extra byte and then the name. The byte shifts
 * every other byte to another place in its word, so a collision in one half
 * does not imply one in the other. */
static bool put_hash(nadb_slice name, nadb_buf *out) {
    nadb_buf shifted = NADB_BUF_INIT;
    bool ok = nadb_buf_byte(&shifted, '~') &&
              nadb_buf_append(&shifted, name.p, name.n) &&
              nadb_buf_reserve(out, HASH_DIGITS);

    if (ok) {
        put_hex(out->p + out->n, nadb_hash64(name));
        put_hex(out->p + out->n + 16, nadb_hash64(nadb_buf_slice(&shifted)));
        out->n += HASH_DIGITS;
    }
    nadb_buf_clear(&shifted);
    return ok;
}

bool nadb_name_to_dir(nadb_slice name, nadb_buf *out) {
    size_t n = escaped_len(name);

    if (n == 0) return nadb_buf_byte(out, '%');
    if (n <= DIR_MAX) return put_escaped(name, n, out);
    return put_escaped(name, DIR_MAX - 1 - HASH_DIGITS, out) &&
           nadb_buf_byte(out, '~') && put_hash(name, out);
}

static int hex_digit(uint8_t c) {
    const char *at = c == 0 ? NULL : strchr(hex, c);

    return at == NULL ? -1 : (int)(at - hex);
}

/* Undoes the escapes; false if `dir` is not an escaped name. */
static bool unescape(nadb_slice dir, uint8_t *to, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < dir.n; i++) {
        int high = -1, low = -1;

        if (dir.p[i] != '%') {
            if (!is_plain(dir.p[i], i == 0)) return false;
            to[(*n)++] = dir.p[i];
            continue;
        }
        if (dir.n - i > 2) {
            high = hex_digit(dir.p[i + 1]);
            low = hex_digit(dir.p[i + 2]);
        }
        if (high < 0 || low < 0) return false;
        to[(*n)++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return *n > 0;
}

bool nadb_name_from_dir(nadb_slice dir, nadb_buf *out, bool *known) {
    size_t n = 0;

    *known = false;
    if (!nadb_buf_reserve(out, dir.n)) return false;
    *known = dir.n <= DIR_MAX && unescape(dir, out->p + out->n, &n);
    if (*known) out->n += n;
    return true;
}

static bool put_name(const char *name, bool is_dir, nadb_buf *out) {
    return is_dir ? nadb_buf_append(out, name, strlen(name))
                  : nadb_name_to_dir(nadb_slice_str(name), out);
}

bool nadb_options_put_db(const nadb_options *o, nadb_buf *out) {
    return put_name(o->db, o->db_is_dir, out);
}

bool nadb_options_put_ns(const nadb_options *o, nadb_buf *out) {
    return put_name(o->ns, o->ns_is_dir, out);
}
