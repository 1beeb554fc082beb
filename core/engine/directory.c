/* directory.c - finding, verifying and making a store's directory.
 *
 *   <path>/<db>/<namespace>/   the components are made by core/names.h; a
 *                              store that belongs to a database file adds
 *                              its identity (owned.c)
 *
 * `path` is given by the user and may contain symbolic links; db and namespace
 * are ours and may not be links. The directory is opened once, and all its
 * files are opened relative to that descriptor.
 *
 * A directory is a store if its control, its MANIFEST or one of its logs begins
 * with the right bytes. A directory that is empty, or that holds only what a
 * crash leaves while a store is being made, may become a store. Any other
 * directory belongs to something else and is not touched.
 *
 * New directories get permissions and owner of the database file or, if that is
 * in memory, of the nearest directory that exists, limited by umask and to
 * 0755. New files get them from the store's directory. */
#include <errno.h>

#include "../names.h"
#include "engine.h"

#define MAGIC_BYTES 8

/* Appends the identity of a store that belongs to a database file. */
static bool put_id(const nadb_options *o, nadb_buf *out) {
    return o->store_id == NULL ||
           (nadb_buf_append(out, NADB_NAME_STORE, strlen(NADB_NAME_STORE)) &&
            nadb_buf_append(out, o->store_id, strlen(o->store_id)));
}

nadb_rc engine_dir_name(engine *s, nadb_err *err) {
    const nadb_options *o = s->options;
    nadb_buf db = NADB_BUF_INIT, ns = NADB_BUF_INIT, all = NADB_BUF_INIT;
    bool ok = nadb_options_put_db(o, &db) && nadb_buf_byte(&db, 0) &&
              nadb_options_put_ns(o, &ns) && put_id(o, &ns) &&
              nadb_buf_byte(&ns, 0) &&
              nadb_buf_append(&all, o->path, strlen(o->path)) &&
              nadb_buf_byte(&all, '/') &&
              nadb_buf_append(&all, db.p, db.n - 1) &&
              nadb_buf_byte(&all, '/') && nadb_buf_append(&all, ns.p, ns.n);

    if (ok) {
        s->db_name = nadb_strdup((const char *)db.p);
        s->ns_name = nadb_strdup((const char *)ns.p);
        s->dir = nadb_strdup((const char *)all.p);
        if (s->dir != NULL) s->control_path = nadb_path_join(s->dir, "control");
        ok = s->db_name != NULL && s->ns_name != NULL && s->dir != NULL &&
             s->control_path != NULL;
    }
    nadb_buf_clear(&db);
    nadb_buf_clear(&ns);
    nadb_buf_clear(&all);
    return ok ? NADB_OK : nadb_fail(err, NADB_NOMEM, "opening %s", o->path);
}

static nadb_rc check_network(engine *s, nadb_dir *d, nadb_err *err) {
    const char *network = NULL;
    nadb_rc rc = s->os->dir_network(d, &network, err);

    if (rc != NADB_OK || network == NULL) return rc;
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s is on a network file system (%s), where processes "
                     "cannot share memory: use a local path, or "
                     "backend='redis'",
                     s->dir, network);
}

/* --- opening folders --- */

/* Makes the folder `name` in `in`, with mode and owner of *like. If *like has
 * kind NONE it is filled from `in` first, also for the folders below. */
static nadb_rc make(engine *s, nadb_dir *in, const char *name, nadb_stat *like,
                    nadb_dir **out, nadb_err *err) {
    nadb_rc rc = check_network(s, in, err);

    if (rc == NADB_OK && like->kind == NADB_KIND_NONE)
        rc = s->os->dir_stat(in, like, err);
    if (rc != NADB_OK) return rc;
    like->mode &= 0755; /* for parents like /tmp, which are open to everybody */
    rc = s->os->dir_make(in, name, like, out, err);
    if (rc == NADB_OK) rc = s->os->dir_sync(in, err);
    return rc;
}

/* Opens the folder `name` in `in`, or makes it if `like` is not NULL. Other
 * processes may make or remove it at the same time. */
static nadb_rc enter(engine *s, nadb_dir *in, const char *name, nadb_stat *like,
                     nadb_dir **out, nadb_err *err) {
    nadb_err mine;
    nadb_rc rc;

    for (int tries = 0;; tries++) {
        nadb_err_clear(&mine);
        rc = s->os->dir_enter(in, name, out, &mine);
        if (rc == NADB_OK || mine.sys_errno != ENOENT || like == NULL) break;
        nadb_err_clear(&mine);
        rc = make(s, in, name, like, out, &mine);
        if (mine.sys_errno != EEXIST || tries == 100) break;
    }
    if (mine.sys_errno == ENOTDIR)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s/%s is there and not a directory: choose another "
                         "path, db or namespace",
                         s->os->dir_path(in), name);
    if (rc != NADB_OK && err != NULL) *err = mine;
    return rc;
}

/* Opens the absolute path; with `like` not NULL, makes what is missing. */
static nadb_rc reach(engine *s, char *path, nadb_stat *like, nadb_dir **out,
                     nadb_err *err) {
    char *slash = strrchr(path, '/');
    nadb_dir *above = NULL;
    nadb_stat st;
    nadb_err mine;
    nadb_rc rc;

    *out = NULL;
    for (int tries = 0;; tries++) {
        nadb_err_clear(&mine);
        rc = s->os->dir_open(path, out, &mine);
        if (mine.sys_errno != ENOENT && mine.sys_errno != ENOTDIR) {
            if (rc != NADB_OK && err != NULL) *err = mine;
            return rc;
        }
        rc = s->os->stat_path(path, &st, err);
        if (rc != NADB_OK) return rc;
        /* Another process may have made it meanwhile. */
        if (st.kind != NADB_KIND_DIR || tries == 100) break;
    }
    if (st.kind != NADB_KIND_NONE)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s is there and not a directory: choose another path",
                         path);
    if (like == NULL || slash == NULL || slash[1] == '\0')
        return nadb_fail_errno(err, ENOENT, "cannot open %s", path);
    *slash = '\0';
    rc = reach(s, slash == path ? "/" : path, like, &above, err);
    *slash = '/';
    if (rc == NADB_OK) rc = enter(s, above, slash + 1, like, out, err);
    s->os->dir_close(above);
    return rc;
}

static nadb_rc walk(engine *s, nadb_stat *like, nadb_dir **out, nadb_err *err) {
    char *path = nadb_strdup(s->options->path);
    nadb_dir *top = NULL, *db = NULL;
    nadb_rc rc;

    *out = NULL;
    if (path == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
    rc = reach(s, path, like, &top, err);
    if (rc == NADB_OK) rc = enter(s, top, s->db_name, like, &db, err);
    if (rc == NADB_OK) rc = enter(s, db, s->ns_name, like, out, err);
    s->os->dir_close(db);
    s->os->dir_close(top);
    nadb_free(path);
    return rc;
}

nadb_rc engine_dir_find(engine *s, bool *there, nadb_err *err) {
    nadb_stat st;
    nadb_err mine;
    nadb_rc rc;

    s->os->dir_close(s->home.dir);
    s->home.dir = NULL;
    nadb_err_clear(&mine);
    rc = walk(s, NULL, &s->home.dir, &mine);
    *there = rc == NADB_OK;
    if (mine.sys_errno == ENOENT) return NADB_OK;
    if (rc == NADB_OK) rc = check_network(s, s->home.dir, &mine);
    if (rc == NADB_OK) rc = s->os->dir_stat(s->home.dir, &st, &mine);
    if (rc == NADB_OK)
        s->home.file_mode = st.mode & 0666;
    else if (err != NULL)
        *err = mine;
    return rc;
}

/* --- making folders --- */

/* Permissions and owner of the database file; search permission where it has
 * read permission. */
static nadb_rc like_db_file(engine *s, nadb_stat *like, nadb_err *err) {
    const char *file = s->options->db_file;
    nadb_stat st;
    nadb_rc rc;

    memset(like, 0, sizeof *like); /* NADB_KIND_NONE */
    if (file == NULL) return NADB_OK;
    rc = s->os->stat_path(file, &st, err);
    if (rc != NADB_OK || st.kind != NADB_KIND_FILE) return rc;
    like->mode = st.mode | (st.mode & 0444) >> 2;
    like->uid = st.uid;
    like->gid = st.gid;
    like->kind = NADB_KIND_FILE;
    return NADB_OK;
}

nadb_rc engine_dir_make(engine *s, nadb_err *err) {
    nadb_stat like, st;
    nadb_rc rc = NADB_OK;

    if (s->home.dir == NULL) {
        rc = like_db_file(s, &like, err);
        if (rc == NADB_OK) rc = walk(s, &like, &s->home.dir, err);
        if (rc == NADB_OK) rc = s->os->dir_stat(s->home.dir, &st, err);
        if (rc == NADB_OK) s->home.file_mode = st.mode & 0666;
    }
    return rc;
}

nadb_rc engine_dir_sync(engine *s, nadb_err *err) {
    nadb_dir *d = NULL;
    nadb_rc rc = s->os->dir_sync(s->home.dir, err);

    for (int up = 1; up < 4 && rc == NADB_OK; up++) {
        nadb_dir *above = NULL;
        nadb_err mine;

        nadb_err_clear(&mine);
        rc = s->os->dir_up(d == NULL ? s->home.dir : d, &above, &mine);
        if (rc == NADB_OK) rc = s->os->dir_sync(above, &mine);
        s->os->dir_close(d);
        d = above;
        if (mine.sys_errno == EACCES) {
            rc = NADB_OK;
            break;
        }
        if (rc != NADB_OK && err != NULL) *err = mine;
    }
    s->os->dir_close(d);
    return rc;
}

/* --- contents --- */

typedef struct contents {
    engine *s;
    nadb_dir *dir;
    bool ours;    /* a file proves that this is a store */
    bool foreign; /* a file here is never left by the making of a store */
} contents;

bool engine_file_is_ours(const char *name) {
    static const char *const names[] = {"control", "MANIFEST", "MANIFEST.tmp",
                                        "spare", "dropped"};
    const char *kind;
    uint64_t number;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return nadb_file_parse(name, &number, &kind);
}

/* Reads the first bytes of a file, padded with zeros. *regular is false, and
 * all bytes are zero, if it is not a regular file. */
static nadb_rc first_bytes(contents *c, const char *name,
                           uint8_t bytes[MAGIC_BYTES], bool *regular,
                           nadb_err *err) {
    const nadb_os *os = c->s->os;
    nadb_file *f = NULL;
    uint64_t size = 0;
    nadb_stat st;
    nadb_rc rc = os->stat(c->dir, name, &st, err);

    memset(bytes, 0, MAGIC_BYTES);
    *regular = rc == NADB_OK && st.kind == NADB_KIND_FILE;
    if (!*regular || st.size == 0) return rc;
    rc = os->open(c->dir, name, NADB_OPEN_READ, 0, &f, err);
    if (rc == NADB_OK) rc = os->size(f, &size, err);
    if (rc == NADB_OK)
        rc = os->pread(f, bytes,
                       size < MAGIC_BYTES ? (size_t)size : MAGIC_BYTES, 0, err);
    os->close(f);
    return rc;
}

static nadb_rc look(void *ctx, const char *name, nadb_err *err) {
    static const uint8_t blank[MAGIC_BYTES];
    contents *c = ctx;
    const char *magic = NULL;
    const char *kind = "";
    uint8_t bytes[MAGIC_BYTES];
    bool regular = false;
    uint64_t number;
    nadb_rc rc;

    if (strcmp(name, "control") == 0)
        magic = CONTROL_MAGIC;
    else if (strcmp(name, "MANIFEST") == 0)
        magic = c->s->base_ops->manifest_magic;
    else if (nadb_file_parse(name, &number, &kind) && strcmp(kind, "log") == 0)
        magic = WAL_MAGIC;
    if (c->ours) return NADB_OK;
    if (magic == NULL) {
        if (!engine_file_is_ours(name) || strcmp(kind, "sst") == 0 ||
            strcmp(kind, "val") == 0)
            c->foreign = true;
        return NADB_OK;
    }
    rc = first_bytes(c, name, bytes, &regular, err);
    if (rc != NADB_OK) return rc;
    if (memcmp(bytes, magic, MAGIC_BYTES) == 0)
        c->ours = true;
    else if (!regular || memcmp(bytes, blank, MAGIC_BYTES) != 0)
        c->foreign = true;
    return NADB_OK;
}

nadb_rc engine_dir_look(engine *s, nadb_dir *dir, bool *ours, bool *foreign,
                        nadb_err *err) {
    contents c = {s, dir, false, false};
    nadb_rc rc = s->os->dir_list(dir, look, &c, err);

    *ours = c.ours;
    *foreign = c.foreign && !c.ours;
    return rc;
}

nadb_rc engine_dir_prove(engine *s, bool *ours, nadb_err *err) {
    bool foreign = false;
    nadb_rc rc = engine_dir_look(s, s->home.dir, ours, &foreign, err);

    if (rc != NADB_OK || !foreign) return rc;
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s holds files and is not a nadb store: choose another "
                     "path, db or namespace",
                     s->dir);
}

/* --- is the store still at its path? --- */

nadb_rc engine_check_place(engine *s, nadb_err *err) {
    bool moved = false;

    if (s->private_memory) return NADB_OK;
    /* If the path cannot be checked (a process may have dropped its rights),
     * the store counts as not moved. */
    if (control_moved(&s->ctl, s->control_path, &moved, NULL) != NADB_OK)
        return NADB_OK;
    return moved ? nadb_home_moved(&s->home, err) : NADB_OK;
}

bool nadb_engine_moved(nadb_engine *e) {
    return engine_check_place(engine_of(e), NULL) == NADB_MOVED;
}

/* The check costs a fifth of a small commit. So commits that begin within
 * ROW_NS of the one before share one check for up to LOOK_NS. A process that
 * moves the store and then commits takes longer than ROW_NS and gets a check; a
 * process that commits without a pause while another moves the store may still
 * have commits accepted for LOOK_NS. */
#define ROW_NS 20000
#define LOOK_NS 1000000

nadb_rc engine_check_place_often(engine *s, nadb_err *err) {
    int64_t now = s->os->mono_ns();
    int64_t last = atomic_load_explicit(&s->commit_ns, memory_order_relaxed);
    int64_t looked = atomic_load_explicit(&s->place_ns, memory_order_relaxed);

    atomic_store_explicit(&s->commit_ns, now, memory_order_relaxed);
    if (now - last < ROW_NS && now - looked < LOOK_NS) return NADB_OK;
    atomic_store_explicit(&s->place_ns, now, memory_order_relaxed);
    return engine_check_place(s, err);
}

/* --- names of files --- */

nadb_rc engine_next_file(engine *s, uint64_t *out, nadb_err *err) {
    *out = atomic_fetch_add(&s->ctl.map->next_file, 1);
    if (*out <= NADB_FILE_MAX) return NADB_OK;
    atomic_store(&s->ctl.map->next_file, NADB_FILE_MAX + 1);
    return nadb_fail(err, NADB_TOOBIG,
                     "all %llu file numbers of the store in %s are used: copy "
                     "its rows into a new one",
                     (unsigned long long)NADB_FILE_MAX, s->dir);
}

void engine_unused_file(engine *s, uint64_t number) {
    uint64_t next = number + 1;

    (void)atomic_compare_exchange_strong(&s->ctl.map->next_file, &next, number);
}
