/* open.c - opening, closing and removing a store's directory.
 *
 *   <path>/<db>/<namespace>/   each component as core/names.h makes it
 *
 * New directories take permissions and owner from the database file, or where
 * that is in memory from the nearest directory that was there; new files take
 * them from the store's directory. */
#include <errno.h>

#include "../names.h"
#include "engine.h"
#include "recover.h"
#include "workers.h"

static uint64_t env_next_file(void *ctx) {
    engine *s = ctx;

    return atomic_fetch_add(&s->ctl.map->next_file, 1);
}

static uint64_t env_oldest_seq(void *ctx) {
    return control_oldest_seq(&((engine *)ctx)->ctl);
}

static const nadb_engine_ops engine_ops, remote_ops;

/* --- the directory --- */

static nadb_rc dir_name(const nadb_options *o, char **out, nadb_err *err) {
    nadb_buf b = NADB_BUF_INIT;
    bool ok =
        nadb_buf_append(&b, o->path, strlen(o->path)) &&
        nadb_buf_byte(&b, '/') && nadb_name_to_dir(nadb_slice_str(o->db), &b) &&
        nadb_buf_byte(&b, '/') && nadb_name_to_dir(nadb_slice_str(o->ns), &b) &&
        nadb_buf_byte(&b, 0);

    *out = ok ? nadb_strdup((const char *)b.p) : NULL;
    nadb_buf_clear(&b);
    if (*out == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", o->path);
    return NADB_OK;
}

/* Permissions and owner of the database file, with search where it has read. */
static nadb_rc like_db_file(engine *s, nadb_stat *like, nadb_err *err) {
    const char *file = s->options->db_file;
    nadb_stat st;
    nadb_rc rc;

    if (file == NULL) return NADB_OK;
    rc = s->os->stat(file, &st, err);
    if (rc != NADB_OK || st.kind != NADB_KIND_FILE) return rc;
    like->mode = st.mode | (st.mode & 0444) >> 2;
    like->uid = st.uid;
    like->gid = st.gid;
    like->kind = NADB_KIND_FILE;
    return NADB_OK;
}

/* Makes one directory. Another process may have been faster; and a/.. is there
 * once a is. */
static nadb_rc make_dir(const nadb_os *os, const char *path,
                        const nadb_stat *like, nadb_err *err) {
    nadb_stat st;
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = os->mkdir(path, like->mode, &mine);
    if (rc == NADB_OK) return os->chown(path, like->uid, like->gid, err);
    if (mine.sys_errno == EEXIST) {
        rc = os->stat(path, &st, err);
        if (rc != NADB_OK || st.kind == NADB_KIND_DIR) return rc;
        if (st.kind == NADB_KIND_NONE) /* find_or_make() tries again */
            return nadb_fail_errno(err, ENOENT, "cannot open %s", path);
    }
    *err = mine;
    return mine.rc;
}

/* Makes `path` and what is missing above it, with the permissions and owner
 * of *like, or (kind NONE) of the nearest directory that is there. */
static nadb_rc make_dirs(const nadb_os *os, char *path, nadb_stat *like,
                         nadb_err *err) {
    nadb_stat st;
    char *slash = strrchr(path, '/');
    nadb_rc rc = os->stat(path, &st, err);

    if (rc != NADB_OK) return rc;
    if (st.kind == NADB_KIND_DIR) {
        if (like->kind == NADB_KIND_NONE) {
            *like = st;
            like->mode &= 0755; /* one like /tmp is open to all; we are not */
        }
        return NADB_OK;
    }
    if (st.kind != NADB_KIND_NONE)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s is there and not a directory: choose another "
                         "path",
                         path);
    if (slash != NULL && slash != path) {
        *slash = 0;
        rc = make_dirs(os, path, like, err);
        *slash = '/';
        if (rc != NADB_OK) return rc;
    }
    rc = make_dir(os, path, like, err);
    if (rc == NADB_OK && slash != NULL && slash != path) {
        *slash = 0;
        rc = os->sync_dir(path, err);
        *slash = '/';
    }
    return rc;
}

/* Makes the names of a new store durable: whoever was told that it is there
 * finds it after a power cut. The directories above may be there because an
 * opener made them who failed or died before this; what we may not read (and
 * so have not made) is left alone. */
static nadb_rc sync_names(engine *s, nadb_err *err) {
    char *path = nadb_strdup(s->dir);
    nadb_rc rc = NADB_OK;

    if (path == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
    for (int up = 0; up < 4 && rc == NADB_OK; up++) {
        char *slash = strrchr(path, '/');
        nadb_err mine;

        nadb_err_clear(&mine);
        rc = s->os->sync_dir(path, &mine);
        if (rc != NADB_OK && up > 0 && mine.sys_errno == EACCES) rc = NADB_OK;
        if (rc != NADB_OK) (void)nadb_fail(err, rc, "%s", mine.msg);
        if (slash == NULL || slash == path) break;
        *slash = 0;
    }
    nadb_free(path);
    if (rc != NADB_OK) atomic_store(&s->ctl.map->distrust, 1); /* try again */
    return rc;
}

typedef struct contents {
    bool any, ours;
} contents;

static nadb_rc look(void *ctx, const char *name, nadb_err *err) {
    contents *c = ctx;
    size_t n = strlen(name);

    (void)err;
    c->any = true;
    /* A power cut while the store was made can leave any of its names. */
    if (strcmp(name, "control") == 0 || strcmp(name, "MANIFEST") == 0 ||
        (n > 4 && (strcmp(name + n - 4, ".log") == 0 ||
                   strcmp(name + n - 4, ".idx") == 0)))
        c->ours = true;
    return NADB_OK;
}

/* Whether a store is in s->dir, and other files instead of one. */
static nadb_rc dir_look(engine *s, contents *c, nadb_err *err) {
    char *path = nadb_path_join(s->dir, "control");
    nadb_stat st;
    nadb_rc rc;

    if (path == NULL) return nadb_fail(err, NADB_NOMEM, "opening %s", s->dir);
    rc = s->os->stat(path, &st, err);
    nadb_free(path);
    if (rc != NADB_OK || st.kind == NADB_KIND_FILE) {
        c->any = c->ours = true;
        return rc;
    }
    return s->os->list(s->dir, look, c, err);
}

/* Sees what is at s->dir: *there says whether a store is. */
static nadb_rc dir_check(engine *s, bool *there, nadb_err *err) {
    nadb_stat st;
    contents c = {false, false};
    const char *network = NULL;
    nadb_rc rc = s->os->stat(s->dir, &st, err);

    *there = false;
    if (rc != NADB_OK || st.kind == NADB_KIND_NONE) return rc;
    if (st.kind != NADB_KIND_DIR)
        return nadb_fail(err, NADB_CANTOPEN, "%s is not a directory", s->dir);
    rc = s->os->network_fs(s->dir, &network, err);
    if (rc != NADB_OK) return rc;
    if (network != NULL)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s is on a network file system (%s), where "
                         "processes cannot share memory: use a local path, or "
                         "backend='redis'",
                         s->dir, network);
    rc = dir_look(s, &c, err);
    if (rc != NADB_OK) return rc;
    *there = c.ours;
    if (c.any && !c.ours)
        return nadb_fail(err, NADB_CANTOPEN,
                         "%s holds files and is not a nadb store: choose "
                         "another path, db or namespace",
                         s->dir);
    s->home.file_mode = st.mode & 0666;
    return NADB_OK;
}

static nadb_rc dir_prepare(engine *s, bool create, bool *created,
                           nadb_err *err) {
    nadb_stat like = {.kind = NADB_KIND_NONE};
    bool there = false;
    nadb_rc rc = dir_check(s, &there, err);

    *created = false;
    if (rc != NADB_OK) return rc;
    if (!there && (!create || s->options->read_only))
        return nadb_fail(err, NADB_CANTOPEN,
                         "there is no store in %s: was it moved or removed? "
                         "(DROP TABLE works without it)",
                         s->dir);
    if (!there) {
        rc = like_db_file(s, &like, err);
        if (rc == NADB_OK) rc = make_dirs(s->os, s->dir, &like, err);
        if (rc != NADB_OK) return rc;
        s->home.file_mode = like.mode & 0666;
        *created = true;
    }
    if (s->options->read_only || s->os->writable(s->dir)) return NADB_OK;
    rc = s->os->stat(s->dir, &like, err);
    if (rc != NADB_OK) return rc;
    if (like.kind == NADB_KIND_NONE) /* find_or_make() tries again */
        return nadb_fail_errno(err, ENOENT, "cannot open %s", s->dir);
    /* It may have been removed, and made again since. */
    if (s->os->writable(s->dir)) return NADB_OK;
    return nadb_fail(err, NADB_READONLY,
                     "%s is not writable: change its permissions, or "
                     "declare the table with mode='ro'",
                     s->dir);
}

/* --- opening --- */

static nadb_rc locks_init(engine *s, nadb_err *err) {
    nadb_rc rc = nadb_mutex_init(&s->version_lock, NADB_RANK_VERSION, err);

    if (rc != NADB_OK) return rc;
    rc = nadb_mutex_init(&s->sync_lock, NADB_RANK_SYNC, err);
    if (rc == NADB_OK) {
        rc = nadb_mutex_init(&s->flush_lock, NADB_RANK_FLUSH, err);
        if (rc == NADB_OK) return NADB_OK;
        nadb_mutex_clear(&s->sync_lock);
    }
    nadb_mutex_clear(&s->version_lock);
    return rc;
}

/* No view is open: the list's own references are the last. */
static void versions_drop(engine *s) {
    while (s->versions != NULL) engine_version_unref(s, s->versions);
}

static void engine_free(engine *s) {
    versions_drop(s);
    if (s->base != NULL) s->base_ops->close(s->base);
    control_close(&s->ctl);
    nadb_buf_clear(&s->scratch);
    nadb_mutex_clear(&s->flush_lock);
    nadb_mutex_clear(&s->sync_lock);
    nadb_mutex_clear(&s->version_lock);
    nadb_free(s->dir);
    nadb_free(s);
}

static nadb_rc base_open(engine *s, bool in_order, nadb_err *err) {
    nadb_base_env env;

    memset(&env, 0, sizeof env);
    env.os = s->os;
    env.options = s->options;
    env.home = &s->home;
    env.dir = s->dir;
    env.read_only = s->options->read_only;
    env.mmap = s->options->mmap;
    env.in_order = in_order;
    env.ctx = s;
    env.next_file = env_next_file;
    env.oldest_seq = env_oldest_seq;
    env.words = s->ctl.map->base_words;
    return s->base_ops->open(&env, &s->base, err);
}

/* A reader takes part in the sharing where it may write control and nothing
 * needs repair; else it reads on its own. */
static nadb_rc control_choose(engine *s, control_state *state, nadb_err *err) {
    bool ro = s->options->read_only;
    control_left left;
    nadb_rc rc = control_open(&s->ctl, s->os, s->dir, !ro, s->home.file_mode,
                              s->options->busy_timeout_ms, state, err);

    if (rc == NADB_OK) s->home.id = s->ctl.id;
    if (!ro || (rc == NADB_OK && *state != CONTROL_REBUILD)) return rc;
    left = s->ctl.left;
    if (rc == NADB_OK)
        control_close(&s->ctl);
    else if (rc == NADB_CORRUPT || rc == NADB_NOMEM || rc == NADB_BUSY)
        return rc;
    s->private_memory = true;
    *state = CONTROL_REBUILD;
    rc = control_open_private(&s->ctl, s->os, err);
    s->ctl.left = left;
    return rc;
}

/* --- the seal of the indexes (control.h) --- */

static uint32_t index_crc(const engine_version *v, bool *ok) {
    uint32_t crc = 0;

    *ok = true;
    for (size_t i = 0; i < v->n_logs; i++) {
        crc = memtable_index_crc(v->logs[i], crc, ok);
        *ok = *ok && memtable_tail_ok(v->logs[i]);
    }
    return crc;
}

static nadb_rc check_seal(engine *s, const engine_version *v, nadb_err *err) {
    bool ok = true;

    if (!s->ctl.was_sealed) return NADB_OK;
    if (index_crc(v, &ok) == atomic_load(&s->ctl.map->seal_index) && ok)
        return NADB_OK;
    return nadb_corrupt(err, "an index in %s is not as it was left", s->dir);
}

/* The last to close leaves a seal. */
static void seal(engine *s) {
    engine_version *v = NULL;
    bool ok = false;
    uint32_t crc;

    if (!control_last(&s->ctl) || engine_version_get(s, &v, NULL) != NADB_OK)
        return;
    crc = index_crc(v, &ok);
    if (ok) control_seal(&s->ctl, crc);
    engine_version_unref(s, v);
}

/* With the open byte held: gets the shared state into order. */
static nadb_rc attach(engine *s, control_state state, nadb_err *err) {
    engine_version *v = NULL;
    nadb_rc rc = base_open(s, state == CONTROL_TRUSTED, err);

    if (rc != NADB_OK) return rc;
    if (state == CONTROL_REBUILD) return engine_recover(s, err);
    rc = engine_version_get(s, &v, err);
    if (rc == NADB_OK) rc = check_seal(s, v, err);
    engine_version_unref(s, v);
    if (rc == NADB_OK && engine_has_dead(s))
        rc = engine_repair_now(s, s->options->busy_timeout_ms, err);
    return rc;
}

/* A damaged or missing index is no loss where nobody else uses it: builds a
 * new one. */
static nadb_rc attach_or_rebuild(engine *s, control_state state,
                                 nadb_err *err) {
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = attach(s, state, &mine);
    if (rc == NADB_OK) return NADB_OK;
    if (rc != NADB_CORRUPT || state == CONTROL_REBUILD ||
        s->options->read_only || control_others(&s->ctl)) {
        if (err != NULL) *err = mine;
        return rc;
    }
    versions_drop(s);
    return engine_recover(s, err);
}

/* A sync has failed in this boot: what the logs hold may be in the machine's
 * memory only, and the next sync of the same bytes says nothing about them. So
 * they go into new files before anybody builds on them. */
static void write_anew(engine *s) {
    if (!s->private_memory && engine_flush(&s->engine, NULL) != NADB_OK)
        atomic_store(&s->ctl.map->failed, 1);
}

void nadb_engine_sweep(nadb_engine *e, bool (*sweep)(void *ctx), void *ctx) {
    engine *s = engine_of(e);

    if (s->private_memory || s->options->read_only) return;
    s->sweep_ctx = ctx;
    atomic_store(&s->sweep, sweep);
}

void nadb_engine_calm(nadb_engine *e) { nadb_workers_remove(engine_of(e)); }

void nadb_engine_tune(nadb_engine *e, const nadb_options *o) {
    engine *s = engine_of(e);

    atomic_store(&s->buffer_bytes, o->buffer_bytes);
    atomic_store(&s->flush_interval_ms, o->flush_interval_ms);
    atomic_store(&s->synchronous, o->synchronous);
}

#define OPEN_TRIES 20

/* Finds or makes the directory and opens control. Anew, where another process
 * has removed the store between the two. */
static nadb_rc find_or_make(engine *s, bool create, bool *created,
                            control_state *state, nadb_err *err) {
    bool again = true;
    nadb_rc rc = NADB_OK;

    for (int i = 0; i < OPEN_TRIES && again; i++) {
        nadb_err_clear(err);
        rc = dir_prepare(s, create, created, err);
        if (rc == NADB_OK) rc = control_choose(s, state, err);
        again = rc == NADB_OK ? *state == CONTROL_REMOVED
                              : create && err->sys_errno == ENOENT;
    }
    if (rc == NADB_OK && again) {
        rc = nadb_fail(err, NADB_BUSY, "%s is being opened by another process",
                       s->dir);
    }
    return rc;
}

nadb_rc nadb_engine_open(const nadb_options *options, const nadb_base_ops *base,
                         bool create, bool *created, nadb_engine **out,
                         nadb_err *err) {
    engine *s = nadb_calloc(1, sizeof *s);
    control_state state = CONTROL_REBUILD;
    bool failed = false;
    nadb_rc rc;

    *out = NULL;
    *created = false;
    if (s == NULL)
        return nadb_fail(err, NADB_NOMEM, "opening %s", options->path);
    s->engine.ops = base->remote == NULL ? &engine_ops : &remote_ops;
    s->os = nadb_os_get();
    s->options = options;
    s->base_ops = base;
    nadb_engine_tune(&s->engine, options);
    rc = locks_init(s, err);
    if (rc != NADB_OK) {
        nadb_free(s);
        return rc;
    }
    rc = dir_name(options, &s->dir, err);
    s->home.os = s->os;
    s->home.dir = s->dir;
    if (rc == NADB_OK) rc = find_or_make(s, create, created, &state, err);
    if (rc == NADB_OK) {
        failed = s->ctl.ours && atomic_load(&s->ctl.map->failed);
        rc = attach_or_rebuild(s, state, err);
        if (rc == NADB_OK && state == CONTROL_REBUILD && !s->private_memory)
            rc = sync_names(s, err);
        if (rc == NADB_OK && state == CONTROL_REBUILD && failed) write_anew(s);
        control_opened(&s->ctl);
    }
    /* Nobody works on what is in its own memory; what was left in good order
     * has nothing to sync or to repair. */
    if (rc == NADB_OK && s->private_memory) atomic_store(&s->awake, true);
    if (rc == NADB_OK && (!s->ctl.was_sealed || engine_pending(s)))
        rc = engine_wake(s, err);
    if (rc != NADB_OK) {
        engine_free(s);
        return rc;
    }
    *out = &s->engine;
    return NADB_OK;
}

const uint8_t *nadb_engine_id(nadb_engine *e) {
    return engine_of(e)->home.id.bytes;
}

/* --- closing --- */

static void engine_close(nadb_engine *e) {
    engine *s = engine_of(e);

    if (s->forked) return; /* the parent's: nothing here is ours to touch */
    nadb_workers_remove(s);
    if (!s->private_memory && !control_sealed(&s->ctl)) {
        if (!s->options->read_only) {
            if (control_has_doubts(s->ctl.map)) engine_void_retry(s);
            if (!control_others(&s->ctl)) {
                engine_flush_at_close(s);
                if (s->base_ops->remote != NULL) engine_leave(s);
            }
            engine_sync_in_background(s);
            if (atomic_load(&s->synchronous) != NADB_SYNC_OFF)
                engine_witness(s);
        }
        seal(s);
    }
    engine_free(s);
}

void nadb_engine_forked(nadb_engine *e) {
    engine *s = engine_of(e);

    s->forked = true;
    control_forked(&s->ctl);
}

/* --- removing --- */

static bool is_ours(const char *name) {
    static const char *const names[] = {"control", "MANIFEST", "MANIFEST.tmp",
                                        "spare"};
    static const char *const suffixes[] = {".log", ".idx", ".sst", ".val",
                                           ".tmp"};
    size_t n = strlen(name);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (n > 4 && name[0] >= '0' && name[0] <= '9' &&
            strcmp(name + n - 4, suffixes[i]) == 0)
            return true;
    return false;
}

typedef struct removal {
    const nadb_os *os;
    const char *dir;
} removal;

static nadb_rc remove_one(void *ctx, const char *name, nadb_err *err) {
    removal *r = ctx;
    char *path;
    nadb_rc rc;

    if (!is_ours(name)) return NADB_OK;
    path = nadb_path_join(r->dir, name);
    if (path == NULL)
        return nadb_fail(err, NADB_NOMEM, "removing %s/%s", r->dir, name);
    rc = r->os->unlink(path, err);
    nadb_free(path);
    return rc;
}

static nadb_rc find_foreign(void *ctx, const char *name, nadb_err *err) {
    (void)err;
    if (!is_ours(name)) *(bool *)ctx = true;
    return NADB_OK;
}

/* Unlinks what is ours in `dir`, and the directory if nothing else is there. */
static nadb_rc remove_files(const nadb_os *os, char *dir, nadb_err *err) {
    removal r = {os, dir};
    nadb_stat st;
    nadb_rc rc = os->stat(dir, &st, err);

    if (rc != NADB_OK || st.kind != NADB_KIND_DIR) return rc;
    rc = os->list(dir, remove_one, &r, err);
    if (rc == NADB_OK) (void)os->rmdir(dir, NULL);
    return rc;
}

/* What a removed store is called until its files are gone: no namespace has
 * that name. Appended to fresh memory. */
static char *removed_name(const char *dir) {
    static const char suffix[] = "%removed";
    nadb_buf b = NADB_BUF_INIT;
    char *name = NULL;

    if (nadb_buf_append(&b, dir, strlen(dir)) &&
        nadb_buf_append(&b, suffix, sizeof suffix))
        name = nadb_strdup((const char *)b.p);
    nadb_buf_clear(&b);
    return name;
}

/* Makes the store vanish at once, by its directory's name, and then removes the
 * files. What a crash leaves in between goes with the next removal. */
static nadb_rc remove_all(engine *s, nadb_err *err) {
    char *gone = removed_name(s->dir);
    char *slash = strrchr(s->dir, '/');
    bool foreign = false;
    nadb_rc rc = NADB_OK;

    if (gone == NULL) rc = nadb_fail(err, NADB_NOMEM, "removing %s", s->dir);
    if (rc == NADB_OK) rc = s->os->list(s->dir, find_foreign, &foreign, err);
    if (rc == NADB_OK && foreign) {
        /* Somebody keeps other files here: they stay where they are. */
        atomic_store(&s->ctl.map->distrust, 1);
        rc = remove_files(s->os, s->dir, err);
        goto done;
    }
    if (rc == NADB_OK) rc = remove_files(s->os, gone, err);
    if (rc == NADB_OK) rc = s->os->rename(s->dir, gone, err);
    if (rc != NADB_OK || slash == NULL) goto done;
    *slash = 0; /* s->dir is the db now */
    rc = s->os->sync_dir(s->dir, err);
    if (rc == NADB_OK) rc = remove_files(s->os, gone, err);
    if (rc != NADB_OK || s->os->rmdir(s->dir, NULL) != NADB_OK) goto done;
    slash = strrchr(s->dir, '/');
    if (slash == NULL || slash == s->dir) goto done;
    *slash = 0; /* the path: one that the user chose stays */
    if (strlen(s->dir) > 5 && strcmp(s->dir + strlen(s->dir) - 5, "-nadb") == 0)
        (void)s->os->rmdir(s->dir, NULL);
done:
    nadb_free(gone);
    return rc;
}

nadb_rc nadb_engine_destroy(nadb_engine *e, bool unused, nadb_err *err) {
    engine *s = engine_of(e);
    nadb_rc rc = engine_check_usable(s, err);

    if (rc != NADB_OK) return rc;
    if (s->options->read_only || s->private_memory) {
        rc = nadb_fail(err, NADB_READONLY, "the store in %s is read-only",
                       s->dir);
    } else if (!control_last(&s->ctl)) { /* and nobody opens it meanwhile */
        rc = nadb_fail(err, NADB_LOCKED,
                       "the store in %s is open in another process: close it "
                       "there first",
                       s->dir);
    } else if (unused && control_seq(atomic_load(&s->ctl.map->visible)) > 0) {
        /* Whoever it was may have closed it since: so it is asked now, when
         * nobody can come any more. */
        rc = nadb_fail(err, NADB_LOCKED, "the store in %s has been used",
                       s->dir);
        engine_close(e);
        return rc;
    }
    nadb_workers_remove(s);
    if (rc == NADB_OK && s->base_ops->remote != NULL && !unused)
        rc = s->base_ops->remote->destroy(s->base, err);
    if (rc == NADB_OK) rc = remove_all(s, err);
    engine_free(s);
    return rc;
}

/* --- the engine --- */

#define OPS                                                                    \
    .close = engine_close, .view_open = engine_view_open,                      \
    .claim = engine_claim, .unclaim = engine_unclaim,                          \
    .prepare = engine_prepare, .commit = engine_commit,                        \
    .rollback = engine_rollback, .flush = engine_flush,                        \
    .compact = engine_compact, .check = engine_check_bytes,                    \
    .stats = engine_stats

static const nadb_engine_ops engine_ops = {
    OPS,
    .view_close = engine_view_close,
    .view_refresh = engine_view_refresh,
    .view_rest = engine_view_rest,
    .indexed = engine_indexed,
    .get = engine_get,
    .iter = engine_iter,
};

static const nadb_engine_ops remote_ops = {
    OPS,
    .view_close = engine_remote_view_close,
    .view_refresh = engine_remote_view_refresh,
    .view_rest = engine_remote_view_rest,
    .get = engine_remote_get,
    .want = engine_remote_want,
    .iter = engine_remote_iter,
    .match = engine_remote_match,
    .sweep = engine_remote_sweep,
};
