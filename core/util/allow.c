/* allow.c - see allow.h. */
#include "allow.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "bytes.h"
#include "os.h"

/* The next entry of a list, without blanks around it; false at the end. */
static bool next_entry(const char **list, char separator, nadb_slice *out) {
    const char *p = *list, *end;

    if (p == NULL || *p == '\0') return false;
    end = strchr(p, separator);
    *list = end == NULL ? NULL : end + 1;
    if (end == NULL) end = p + strlen(p);
    while (p < end && *p == ' ') p++;
    while (end > p && end[-1] == ' ') end--;
    *out = nadb_slice_of(p, (size_t)(end - p));
    return true;
}

static nadb_rc bad_entry(const char *name, nadb_slice entry, const char *want,
                         nadb_err *err) {
    return nadb_fail(
        err, NADB_DENIED, "the environment variable %s: '%.*s' is no %s", name,
        entry.n > 100 ? 100 : (int)entry.n, (const char *)entry.p, want);
}

/* --- paths --- */

/* True if `path` is the directory or below it. */
static bool is_below(const char *path, const char *dir) {
    size_t n = strlen(dir);

    while (n > 0 && dir[n - 1] == '/') n--;
    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* *holds: `real` is the entry, with its links resolved, or below it. An entry
 * that cannot be resolved allows nothing. */
static nadb_rc entry_holds(nadb_slice entry, const char *real, bool *holds,
                           nadb_err *err) {
    nadb_buf text = NADB_BUF_INIT, resolved = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;
    nadb_err why;

    *holds = false;
    if (!nadb_buf_append(&text, entry.p, entry.n) ||
        !nadb_buf_byte(&text, '\0'))
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    else if (nadb_os_get()->realpath((const char *)text.p, &resolved, &why) ==
             NADB_OK)
        *holds = is_below(real, (const char *)resolved.p);
    else if (why.rc == NADB_NOMEM)
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    nadb_buf_clear(&text);
    nadb_buf_clear(&resolved);
    return rc;
}

/* *listed: the variable's list has a directory that holds the path. */
static nadb_rc path_listed(const char *name, char separator, const char *real,
                           bool *listed, nadb_err *err) {
    const char *list = getenv(name);
    nadb_rc rc = NADB_OK;
    nadb_slice entry;

    *listed = false;
    while (rc == NADB_OK && !*listed && next_entry(&list, separator, &entry))
        if (entry.n > 0 && entry.p[0] == '/')
            rc = entry_holds(entry, real, listed, err);
    return rc;
}

static nadb_rc check_listed(const char *real, nadb_err *err) {
    bool listed = false;
    nadb_rc rc = path_listed(NADB_ALLOW_PATHS, ':', real, &listed, err);

    if (rc != NADB_OK || listed) return rc;
    return nadb_fail(err, NADB_DENIED,
                     "%s is not in one of the directories that the environment "
                     "variable " NADB_ALLOW_PATHS " allows",
                     real);
}

nadb_rc nadb_allow_path(const char *path, nadb_err *err) {
    const char *list = getenv(NADB_ALLOW_PATHS);
    nadb_buf real = NADB_BUF_INIT;
    nadb_slice entry;
    nadb_rc rc;

    if (list == NULL) return NADB_OK;
    while (next_entry(&list, ':', &entry))
        if (entry.n > 0 && entry.p[0] != '/')
            return bad_entry(NADB_ALLOW_PATHS, entry, "absolute path", err);
    rc = nadb_os_get()->realpath(path, &real, err);
    if (rc == NADB_OK) rc = check_listed((const char *)real.p, err);
    nadb_buf_clear(&real);
    return rc;
}

/* --- hosts --- */

typedef struct network {
    int family; /* 0: not an address */
    uint8_t bytes[16];
    int bits;
} network;

static bool parse_address(const char *text, network *out) {
    out->family = AF_INET;
    out->bits = 32;
    if (inet_pton(AF_INET, text, out->bytes) == 1) return true;
    out->family = AF_INET6;
    out->bits = 128;
    if (inet_pton(AF_INET6, text, out->bytes) == 1) return true;
    out->family = 0;
    return false;
}

/* Digits up to the end of the text; -1 for any other text. */
static int parse_number(const char *p, int most) {
    int v = 0;

    if (*p == '\0') return -1;
    for (; *p != '\0'; p++) {
        if (*p < '0' || *p > '9') return -1;
        v = v * 10 + (*p - '0');
        if (v > most) return -1;
    }
    return v;
}

typedef struct host_entry {
    char host[256];
    int port; /* 0: any */
    network net;
} host_entry;

/* False: it is not a valid entry. Of a path only the first slash is checked. */
static bool parse_host(nadb_slice text, host_entry *out) {
    char *rest, *slash;

    if (text.n == 0 || text.n >= sizeof out->host) return false;
    memcpy(out->host, text.p, text.n);
    out->host[text.n] = '\0';
    out->port = 0;
    if (out->host[0] == '/') return true;
    slash = strchr(out->host, '/');
    if (slash != NULL) {
        int bits = parse_number(slash + 1, 128);

        *slash = '\0';
        if (!parse_address(out->host, &out->net)) return false;
        if (bits < 0 || bits > out->net.bits) return false;
        out->net.bits = bits;
        return true;
    }
    rest = strchr(out->host, ':');
    if (out->host[0] == '[') {
        char *end = strchr(out->host, ']');

        if (end == NULL) return false;
        *end = '\0';
        rest = end + 1;
        memmove(out->host, out->host + 1, strlen(out->host));
        if (*rest == '\0') rest = NULL;
    } else if (rest != NULL && strchr(rest + 1, ':') != NULL) {
        rest = NULL; /* ipv6 without brackets */
    }
    if (rest != NULL) {
        if (*rest != ':') return false;
        out->port = parse_number(rest + 1, 65535);
        *rest = '\0';
        if (out->port <= 0) return false;
    }
    (void)parse_address(out->host, &out->net);
    return out->host[0] != '\0' && strchr(out->host, ' ') == NULL;
}

static bool same_network(const network *net, const network *host) {
    int whole = net->bits / 8, rest = net->bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    return net->family == host->family &&
           memcmp(net->bytes, host->bytes, (size_t)whole) == 0 &&
           (rest == 0 ||
            ((net->bytes[whole] ^ host->bytes[whole]) & mask) == 0);
}

/* strcasecmp() would depend on the host program's locale. */
static bool same_host(const char *a, const char *b) {
    for (;; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a - 'A' + 'a') : *a;
        char y = *b >= 'A' && *b <= 'Z' ? (char)(*b - 'A' + 'a') : *b;

        if (x != y) return false;
        if (x == '\0') return true;
    }
}

static bool entry_is(const host_entry *e, const char *host, int port) {
    network address;

    if (e->host[0] == '/') return false;
    if (e->port != 0 && e->port != port) return false;
    if (e->net.family != 0)
        return parse_address(host, &address) && same_network(&e->net, &address);
    return same_host(e->host, host);
}

static nadb_rc socket_listed(const char *name, const char *path, bool *listed,
                             nadb_err *err) {
    nadb_buf real = NADB_BUF_INIT;
    nadb_rc rc = nadb_os_get()->realpath(path, &real, err);

    if (rc == NADB_OK)
        rc = path_listed(name, ',', (const char *)real.p, listed, err);
    nadb_buf_clear(&real);
    return rc;
}

nadb_rc nadb_allow_host(const char *name, const char *host, int port,
                        bool *allowed, nadb_err *err) {
    const char *list = getenv(name);
    nadb_slice entry;

    *allowed = list == NULL;
    while (next_entry(&list, ',', &entry)) {
        host_entry e;

        if (entry.n == 0) continue;
        if (!parse_host(entry, &e))
            return bad_entry(name, entry, "host, host:port or /socket", err);
        *allowed = *allowed || entry_is(&e, host, port);
    }
    if (!*allowed && host[0] == '/')
        return socket_listed(name, host, allowed, err);
    return NADB_OK;
}
