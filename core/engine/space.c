/* space.c - the spare file: space that is given up when the disk is full.
 *
 * Deleting rows writes to the disk too, so on a full disk not even that would
 * work. A store with tables of some size therefore keeps a file `spare` without
 * content. When a transaction that only deletes finds the disk full, half of it
 * is given up; the other half is for a clear, and for the flush that frees the
 * deleted rows. It is filled again when there is room.
 *
 * Other programs may take the space that was given up first. Then the
 * transaction fails with NADB_FULL as it would have without the file. */
#include "engine.h"

#define TIMES 2 /* the tables have at least TIMES the size of the file */

/* Room for three logs with their indexes, which grow with the buffer (for the
 * deletes, for a clear, for the flush), a table of tombstones, and MANIFEST. */
static uint64_t size_of(engine *s) {
    return ((uint64_t)3 << 19) + atomic_load(&s->buffer_bytes) / 8;
}

static nadb_rc spare_open(engine *s, unsigned flags, nadb_file **out) {
    nadb_stat st;
    nadb_rc rc = s->os->open(s->home.dir, "spare", NADB_OPEN_WRITE | flags,
                             s->home.file_mode, out, NULL);

    /* The file has no content that identifies it. One with a second name may be
     * another program's file. */
    if (rc == NADB_OK) rc = s->os->fstat(*out, &st, NULL);
    if (rc == NADB_OK && st.links > 1)
        rc = nadb_fail(NULL, NADB_CANTOPEN, "spare has another name");
    if (rc == NADB_OK) return NADB_OK;
    s->os->close(*out);
    *out = NULL;
    return rc;
}

/* Extends the file to `size`, or leaves it as it was. */
static bool grow(engine *s, nadb_file *f, uint64_t size) {
    uint64_t before = 0, now = 0;

    if (s->os->size(f, &before, NULL) != NADB_OK) return false;
    if (s->os->reserve(f, 0, size, NULL) == NADB_OK) return true;
    if (s->os->size(f, &now, NULL) == NADB_OK && now > before)
        (void)!s->os->truncate(f, before, NULL);
    return false;
}

/* A small store has little to free, and the file would dominate its size. */
static bool is_worth_it(engine *s) {
    engine_version *v = NULL;
    bool worth = false;

    if (engine_version_get(s, &v, NULL) == NADB_OK)
        worth = v->base->bytes / TIMES >= size_of(s);
    engine_version_unref(s, v);
    return worth;
}

void engine_spare_keep(engine *s) {
    nadb_file *f;

    if (atomic_load(&s->spare_kept) || !s->traits->keeps_spare ||
        !is_worth_it(s) || spare_open(s, NADB_OPEN_CREATE, &f) != NADB_OK)
        return;
    if (grow(s, f, size_of(s)))
        atomic_store(&s->spare_kept, true);
    else
        (void)grow(s, f, size_of(s) / 2);
    s->os->close(f);
}

bool engine_spare_spend(engine *s, bool all) {
    uint64_t rest = all ? 0 : size_of(s) / 2;
    nadb_file *f;
    uint64_t size = 0;
    bool spent;

    if (!s->traits->keeps_spare || spare_open(s, 0, &f) != NADB_OK)
        return false;
    atomic_store(&s->spare_kept, false);
    spent = s->os->size(f, &size, NULL) == NADB_OK && size > rest &&
            s->os->truncate(f, rest, NULL) == NADB_OK;
    s->os->close(f);
    return spent;
}
