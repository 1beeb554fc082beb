/* scratch.c - files without a name in the store's folder. */
#include <errno.h>

#include "engine.h"

nadb_rc engine_scratch(nadb_engine *e, nadb_file **out, nadb_err *err) {
    engine *s = engine_of(e);
    uint64_t number = 0;
    nadb_err mine;
    nadb_rc rc = engine_check_usable(s, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    for (int tries = 0; tries < NADB_NAME_TRIES; tries++) {
        nadb_err_clear(&mine);
        rc = engine_next_file(s, &number, &mine);
        if (rc == NADB_OK)
            rc = nadb_home_open(&s->home, number, "txn",
                                NADB_OPEN_WRITE | NADB_OPEN_CREATE |
                                    NADB_OPEN_EXCLUSIVE,
                                out, &mine);
        if (mine.sys_errno != EEXIST) break;
    }
    /* Unlinked while it is empty, so a crash leaves nothing that takes
     * space. */
    if (rc == NADB_OK) rc = nadb_home_unlink(&s->home, number, "txn", &mine);
    engine_unused_file(s, number);
    if (rc == NADB_OK) return rc;
    s->os->close(*out);
    *out = NULL;
    return nadb_fail(err, rc, "%s", mine.msg);
}
