/* store_list.c - see store_list.h.
 *
 *   <path>/<db>/<namespace>                  a store with path=
 *   <path>/<db>/<namespace>%store-<digits>   of a database file (owned.c)
 *
 * Skipped: anything but directories, directories without MANIFEST and control,
 * and the log of a store on a server. */
#include "store_list.h"

#include <errno.h>
#include <stdlib.h>

#include "backend.h"
#include "names.h"
#include "util/allow.h"

#define MAGIC_BYTES 8
#define ID_DIGITS 32u

typedef struct listing {
    const nadb_os *os;
    const char *path;
    const char *db, *ns; /* wanted; NULL: all */
    bool read_only;
    nadb_dir *dir;      /* the folder being read */
    const char *db_dir; /* its name, if it is the folder of a db */
    nadb_buf found;     /* array of nadb_options * */
} listing;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "listing stores");
}

/* --- names --- */

/* The name that a folder stands for, in allocated memory. */
static char *name_of(nadb_slice folder, bool *is_dir) {
    nadb_buf b = NADB_BUF_INIT;
    char *name = NULL;
    bool known = false;

    *is_dir = false;
    if (nadb_name_from_dir(folder, &b, &known) &&
        (known || nadb_buf_append(&b, folder.p, folder.n)) &&
        nadb_buf_byte(&b, 0)) {
        *is_dir = !known;
        name = nadb_strdup((const char *)b.p);
    }
    nadb_buf_clear(&b);
    return name;
}

/* True if the folder belongs to the name; NULL: every folder. */
static bool is_wanted(nadb_slice folder, const char *want) {
    nadb_buf b = NADB_BUF_INIT;
    bool same = want == NULL || nadb_slice_eq(folder, nadb_slice_str(want));

    if (!same && nadb_name_to_dir(nadb_slice_str(want), &b))
        same = nadb_slice_eq(folder, nadb_buf_slice(&b));
    nadb_buf_clear(&b);
    return same;
}

/* Splits the identity off a folder's name; NULL: it has none. */
static const char *split_id(const char *folder, size_t *n) {
    const char *id = strstr(folder, NADB_NAME_STORE);

    *n = strlen(folder);
    if (id == NULL) return NULL;
    *n = (size_t)(id - folder);
    id += strlen(NADB_NAME_STORE);
    return strlen(id) == ID_DIGITS ? id : NULL;
}

/* --- recognising stores --- */

/* True if the MANIFEST belongs to a buffered store of a server. */
static bool is_remote(const uint8_t magic[MAGIC_BYTES]) {
    const nadb_backend *b;

    for (size_t i = 0; (b = nadb_backend_at(i)) != NULL; i++) {
        if (b->buffered != NULL) b = b->buffered;
        if (b->base != NULL && b->base->remote != NULL &&
            memcmp(b->base->manifest_magic, magic, MAGIC_BYTES) == 0)
            return true;
    }
    return false;
}

/* A store that was never flushed has no MANIFEST. */
static nadb_rc is_store(const listing *l, nadb_dir *dir, bool *is,
                        nadb_err *err) {
    uint8_t magic[MAGIC_BYTES];
    nadb_stat st, dropped;
    nadb_file *f = NULL;
    nadb_err mine;
    nadb_rc rc = l->os->stat(dir, "dropped", &dropped, err);

    *is = false;
    nadb_err_clear(&mine);
    if (rc == NADB_OK) rc = l->os->stat(dir, "control", &st, err);
    if (rc != NADB_OK || dropped.kind != NADB_KIND_NONE) return rc;
    *is = st.kind == NADB_KIND_FILE;
    rc = l->os->open(dir, "MANIFEST", NADB_OPEN_READ, 0, &f, &mine);
    if (mine.sys_errno == ENOENT) return NADB_OK;
    if (rc == NADB_OK) rc = l->os->pread(f, magic, sizeof magic, 0, &mine);
    l->os->close(f);
    *is = rc != NADB_OK || !is_remote(magic);
    if (rc == NADB_CORRUPT) return NADB_OK; /* opening it reports the damage */
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

/* --- options --- */

static nadb_rc make_options(const char *at, bool read_only, nadb_options **out,
                            nadb_err *err) {
    nadb_place place = {"x", NULL, NULL};
    nadb_buf path = NADB_BUF_INIT;
    const char *args[2] = {NULL, "mode=ro"};
    bool ok = nadb_buf_append(&path, "path='", 6);
    nadb_rc rc;

    for (const char *p = at; ok && *p != '\0'; p++)
        ok = (*p != '\'' || nadb_buf_byte(&path, '\'')) &&
             nadb_buf_byte(&path, (uint8_t)*p);
    ok = ok && nadb_buf_append(&path, "'", 2);
    *out = NULL;
    args[0] = (const char *)path.p;
    rc = ok ? nadb_options_parse(args, read_only ? 2 : 1, &place, out, err)
            : no_memory(err);
    nadb_buf_clear(&path);
    return rc;
}

static nadb_rc add(listing *l, const char *folder, nadb_err *err) {
    size_t n;
    const char *id = split_id(folder, &n);
    nadb_options *o = NULL;
    nadb_rc rc = make_options(l->path, l->read_only, &o, err);

    if (rc != NADB_OK) return rc;
    nadb_free(o->db);
    nadb_free(o->ns);
    o->db = name_of(nadb_slice_str(l->db_dir), &o->db_is_dir);
    o->ns = name_of(nadb_slice_of(folder, n), &o->ns_is_dir);
    if (o->db == NULL || o->ns == NULL ||
        (id != NULL && !nadb_options_set_id(o, id)) ||
        !nadb_buf_append(&l->found, &o, sizeof o)) {
        nadb_options_free(o);
        return no_memory(err);
    }
    return NADB_OK;
}

nadb_rc nadb_options_for_place(const char *path, const char *db, const char *ns,
                               nadb_options **out, nadb_err *err) {
    nadb_options *o = NULL;
    nadb_rc rc = make_options(path, false, &o, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    nadb_free(o->db);
    nadb_free(o->ns);
    o->db = nadb_strdup(db);
    o->ns = nadb_strdup(ns);
    if (o->db == NULL || o->ns == NULL) {
        nadb_options_free(o);
        return no_memory(err);
    }
    *out = o;
    return NADB_OK;
}

/* --- walking --- */

/* Opens the folder `name`; *out is NULL if it is not a folder or is gone. */
static nadb_rc enter(const listing *l, const char *name, nadb_dir **out,
                     nadb_err *err) {
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    *out = NULL;
    rc = l->os->dir_enter(l->dir, name, out, &mine);
    if (rc == NADB_OK || rc == NADB_CANTOPEN) return NADB_OK;
    if (err != NULL) *err = mine;
    return rc;
}

/* True for folders that were moved aside, such as %removed: escapes are
 * upper-case, these names are lower-case. */
static bool is_aside(const char *name) {
    for (; (name = strchr(name, '%')) != NULL; name++)
        if (name[1] >= 'a' && name[1] <= 'z') return true;
    return false;
}

static nadb_rc each_store(void *ctx, const char *name, nadb_err *err) {
    listing *l = ctx;
    size_t n;
    bool owned = split_id(name, &n) != NULL;
    nadb_dir *dir = NULL;
    bool is = false;
    nadb_rc rc;

    if (!owned && is_aside(name)) return NADB_OK;
    if (!is_wanted(nadb_slice_of(name, n), l->ns)) return NADB_OK;
    rc = enter(l, name, &dir, err);
    if (rc == NADB_OK && dir != NULL) rc = is_store(l, dir, &is, err);
    l->os->dir_close(dir);
    return rc == NADB_OK && is ? add(l, name, err) : rc;
}

static nadb_rc each_db(void *ctx, const char *name, nadb_err *err) {
    listing *l = ctx;
    nadb_dir *above = l->dir, *dir = NULL;
    nadb_rc rc = NADB_OK;

    if (!is_wanted(nadb_slice_str(name), l->db)) return NADB_OK;
    rc = enter(l, name, &dir, err);
    if (rc != NADB_OK || dir == NULL) return rc;
    l->dir = dir;
    l->db_dir = name;
    rc = l->os->dir_list(dir, each_store, l, err);
    l->dir = above;
    l->os->dir_close(dir);
    return rc;
}

static int by_name(const void *a, const void *b) {
    const nadb_options *x, *y;
    int order;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    order = strcmp(x->db, y->db);
    if (order == 0) order = strcmp(x->ns, y->ns);
    if (order == 0 && x->store_id != NULL && y->store_id != NULL)
        order = strcmp(x->store_id, y->store_id);
    return order;
}

nadb_rc nadb_store_list_read(const char *path, const char *db, const char *ns,
                             bool read_only, nadb_store_list *out,
                             nadb_err *err) {
    listing l = {.os = nadb_os_get(),
                 .path = path,
                 .db = db,
                 .ns = ns,
                 .read_only = read_only,
                 .found = NADB_BUF_INIT};
    nadb_buf real = NADB_BUF_INIT;
    nadb_rc rc = l.os->realpath(path, &real, err);

    memset(out, 0, sizeof *out);
    if (rc == NADB_OK) rc = nadb_allow_path((const char *)real.p, err);
    if (rc == NADB_OK) rc = l.os->dir_open(path, &l.dir, err);
    if (rc == NADB_OK) rc = l.os->dir_list(l.dir, each_db, &l, err);
    l.os->dir_close(l.dir);
    nadb_buf_clear(&real);
    out->options = (nadb_options **)(void *)l.found.p;
    out->n = l.found.n / sizeof(nadb_options *);
    if (out->n > 1)
        qsort(out->options, out->n, sizeof(nadb_options *), by_name);
    return rc;
}

void nadb_store_list_clear(nadb_store_list *l) {
    for (size_t i = 0; i < l->n; i++) nadb_options_free(l->options[i]);
    nadb_free(l->options);
    l->n = 0;
    l->options = NULL;
}
