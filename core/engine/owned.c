/* owned.c - folders of stores that belong to a database file.
 *
 * Such a folder has the store's identity in its name (core/names.h). A file
 * "dropped" in it marks a store whose table was dropped; the database file
 * decides whether the drop was committed. Opening the store through its row in
 * the database file removes the mark (engine_found_by_file()). */
#include <errno.h>
#include <string.h>

#include "../nadb.h"
#include "../names.h"
#include "engine.h"

#define MARK "dropped"
#define ID_DIGITS 32u

/* Opens <path>/<db>. */
static nadb_rc parent_open(const nadb_options *o, nadb_dir **out,
                           nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_buf db = NADB_BUF_INIT;
    nadb_dir *path = NULL;
    nadb_rc rc = os->dir_open(o->path, &path, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    if (nadb_options_put_db(o, &db) && nadb_buf_byte(&db, 0))
        rc = os->dir_enter(path, (const char *)db.p, out, err);
    else
        rc = nadb_fail(err, NADB_NOMEM, "looking for stores");
    nadb_buf_clear(&db);
    os->dir_close(path);
    return rc;
}

/* The folders' names begin with this prefix, followed by the identity. */
static bool put_prefix(const nadb_options *o, nadb_buf *out) {
    return nadb_options_put_ns(o, out) &&
           nadb_buf_append(out, NADB_NAME_STORE, strlen(NADB_NAME_STORE));
}

nadb_rc nadb_store_mark_dropped(const nadb_options *o, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_buf name = NADB_BUF_INIT;
    nadb_dir *parent = NULL, *dir = NULL;
    nadb_file *f = NULL;
    nadb_rc rc = parent_open(o, &parent, err);

    if (rc == NADB_OK &&
        !(put_prefix(o, &name) &&
          nadb_buf_append(&name, o->store_id, strlen(o->store_id) + 1)))
        rc = nadb_fail(err, NADB_NOMEM, "dropping a table");
    if (rc == NADB_OK)
        rc = os->dir_enter(parent, (const char *)name.p, &dir, err);
    if (rc == NADB_OK)
        rc = os->open(dir, MARK, NADB_OPEN_WRITE | NADB_OPEN_CREATE, 0600, &f,
                      err);
    os->close(f);
    os->dir_close(dir);
    os->dir_close(parent);
    nadb_buf_clear(&name);
    return rc;
}

typedef struct search {
    nadb_buf prefix; /* of the folders' names */
    nadb_dir *parent;
    nadb_store_id_fn *each;
    void *ctx;
} search;

static nadb_rc one_name(void *ctx, const char *name, nadb_err *err) {
    search *s = ctx;
    const nadb_os *os = nadb_os_get();
    size_t n = strlen(name);
    nadb_stat st = {.kind = NADB_KIND_NONE};
    nadb_dir *dir = NULL;
    nadb_rc rc;

    if (n != s->prefix.n + ID_DIGITS ||
        memcmp(name, s->prefix.p, s->prefix.n) != 0 ||
        strspn(name + s->prefix.n, "0123456789abcdef") != ID_DIGITS)
        return NADB_OK;
    rc = os->dir_enter(s->parent, name, &dir, NULL);
    if (rc == NADB_OK) rc = os->stat(dir, MARK, &st, NULL);
    os->dir_close(dir);
    if (rc == NADB_NOMEM) return rc;
    if (rc != NADB_OK) return NADB_OK; /* there is no such directory of ours */
    return s->each(s->ctx, name + s->prefix.n, st.kind == NADB_KIND_FILE, err);
}

nadb_rc nadb_store_ids(const nadb_options *o, nadb_store_id_fn *each, void *ctx,
                       nadb_err *err) {
    search s = {.prefix = NADB_BUF_INIT, .each = each, .ctx = ctx};
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = parent_open(o, &s.parent, &mine);
    /* there are no stores */
    if (rc != NADB_OK && mine.sys_errno == ENOENT) return NADB_OK;
    if (rc != NADB_OK) {
        if (err != NULL) *err = mine;
        return rc;
    }
    if (put_prefix(o, &s.prefix))
        rc = nadb_os_get()->dir_list(s.parent, one_name, &s, err);
    else
        rc = nadb_fail(err, NADB_NOMEM, "looking for stores");
    nadb_buf_clear(&s.prefix);
    nadb_os_get()->dir_close(s.parent);
    return rc;
}

void engine_found_by_file(engine *s) {
    if (s->options->store_id == NULL) return;
    if (!control_others(&s->ctl))
        s->opened_stamp = atomic_load(&s->ctl.map->stamp_number);
    if (!s->private_memory && !s->options->read_only)
        (void)s->os->unlink(s->home.dir, MARK, NULL);
}
