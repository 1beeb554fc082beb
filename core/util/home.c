/* home.c - see home.h. */
#include "home.h"

#include <stdio.h>

void nadb_file_name(char out[NADB_FILE_NAME], uint64_t number,
                    const char *kind) {
    snprintf(out, NADB_FILE_NAME, "%06llu.%.3s", (unsigned long long)number,
             kind);
}

bool nadb_file_parse(const char *name, uint64_t *number, const char **kind) {
    static const char *const kinds[] = {"log", "idx", "was", "sst",
                                        "val", "txn", "chg"};
    char again[NADB_FILE_NAME];
    const char *p = name;
    uint64_t v = 0;

    for (; *p >= '0' && *p <= '9' && v <= NADB_FILE_MAX; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    if (v == 0 || v > NADB_FILE_MAX || *p != '.') return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(p + 1, kinds[i]) != 0) continue;
        *number = v;
        *kind = kinds[i];
        nadb_file_name(again, v, *kind);
        return strcmp(again, name) == 0;
    }
    return false;
}

nadb_rc nadb_home_open(const nadb_home *h, uint64_t number, const char *kind,
                       unsigned flags, nadb_file **out, nadb_err *err) {
    char name[NADB_FILE_NAME];

    nadb_file_name(name, number, kind);
    return h->os->open(h->dir, name, flags, h->file_mode, out, err);
}

nadb_rc nadb_home_unlink(const nadb_home *h, uint64_t number, const char *kind,
                         nadb_err *err) {
    char name[NADB_FILE_NAME];

    nadb_file_name(name, number, kind);
    return h->os->unlink(h->dir, name, err);
}

nadb_rc nadb_home_moved(const nadb_home *h, nadb_err *err) {
    return nadb_fail(err, NADB_MOVED,
                     "the store in %s was moved or removed while it was open: "
                     "close all connections to it, and open it where it is now",
                     h->os->dir_path(h->dir));
}

bool nadb_home_gone(const nadb_home *h) {
    nadb_stat st;

    return h->os->dir_stat(h->dir, &st, NULL) == NADB_OK && st.links == 0;
}

void nadb_home_name(nadb_home *h) {
    h->os->random(h->id.bytes, NADB_STORE_ID);
    h->id.known = true;
}

nadb_rc nadb_home_check(nadb_home *h, const uint8_t found[NADB_STORE_ID],
                        const char *path, nadb_err *err) {
    if (!h->id.known) {
        memcpy(h->id.bytes, found, NADB_STORE_ID);
        h->id.known = true;
    }
    if (memcmp(h->id.bytes, found, NADB_STORE_ID) == 0) return NADB_OK;
    return nadb_corrupt(err,
                        "%s belongs to another store: put the right file "
                        "back, or restore a whole backup",
                        path);
}
