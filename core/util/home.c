/* home.c - see home.h. */
#include "home.h"

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
