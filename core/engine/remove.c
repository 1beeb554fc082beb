/* remove.c - removes a store.
 *
 * Only files with names of ours are unlinked, and only in a directory that is
 * proven to be a store: the one that is open, and what an earlier removal left
 * beside it. control is unlinked last, because it is the proof. */
#include <errno.h>

#include "../util/log.h"
#include "engine.h"
#include "workers.h"

typedef struct removal {
    const nadb_os *os;
    nadb_dir *dir;
    bool foreign; /* the directory has a name that is not ours */
} removal;

/* True if the file is a log by its name and its first bytes; other programs may
 * have files named *.log here. */
static bool is_log(const removal *r, const char *name) {
    static const char begin[] = "{\"time\":\"";
    char bytes[sizeof begin - 1];
    nadb_file *f = NULL;
    nadb_stat st;
    bool is = false;

    if (!nadb_log_name(name) ||
        r->os->stat(r->dir, name, &st, NULL) != NADB_OK ||
        st.kind != NADB_KIND_FILE)
        return false;
    if (st.size == 0) return true;
    if (r->os->open(r->dir, name, NADB_OPEN_READ, 0, &f, NULL) == NADB_OK)
        is = r->os->pread(f, bytes, sizeof bytes, 0, NULL) == NADB_OK &&
             memcmp(bytes, begin, sizeof bytes) == 0;
    r->os->close(f);
    return is;
}

static nadb_rc remove_one(void *ctx, const char *name, nadb_err *err) {
    removal *r = ctx;

    if (!engine_file_is_ours(name) && !is_log(r, name)) {
        r->foreign = true;
        return NADB_OK;
    }
    if (strcmp(name, "control") == 0) return NADB_OK; /* removed last */
    return r->os->unlink(r->dir, name, err);
}

static nadb_rc find_foreign(void *ctx, const char *name, nadb_err *err) {
    removal *r = ctx;

    (void)err;
    if (!engine_file_is_ours(name) && !is_log(r, name)) r->foreign = true;
    return NADB_OK;
}

/* Unlinks our files in `dir`. */
static nadb_rc remove_files(const nadb_os *os, nadb_dir *dir, nadb_err *err) {
    removal r = {os, dir, false};
    nadb_rc rc = os->dir_list(dir, remove_one, &r, err);

    if (rc == NADB_OK) rc = os->unlink(dir, "control", err);
    return rc;
}

nadb_rc engine_remove_left(engine *s, nadb_dir *db, const char *gone,
                           nadb_err *err) {
    nadb_dir *d = NULL;
    bool ours = false, foreign = false;
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = s->os->dir_enter(db, gone, &d, &mine);
    if (mine.sys_errno == ENOENT) return NADB_OK;
    if (rc == NADB_OK) rc = engine_dir_look(s, d, &ours, &foreign, &mine);
    if (rc == NADB_OK && (ours || !foreign)) rc = remove_files(s->os, d, &mine);
    s->os->dir_close(d);
    if (rc == NADB_OK && s->os->rmdir(db, gone, NULL) == NADB_OK)
        return NADB_OK;
    if (rc != NADB_OK && rc != NADB_CANTOPEN) {
        if (err != NULL) *err = mine;
        return rc;
    }
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s/%s is in the way, where the store would be put while "
                     "it is removed: check what it is, and remove it",
                     s->os->dir_path(db), gone);
}

/* The name of a removed store until its files are unlinked; no namespace maps
 * to it. Allocated. */
static char *removed_name(const char *name) {
    static const char suffix[] = "%removed";
    nadb_buf b = NADB_BUF_INIT;
    char *gone = NULL;

    if (nadb_buf_append(&b, name, strlen(name)) &&
        nadb_buf_append(&b, suffix, sizeof suffix))
        gone = nadb_strdup((const char *)b.p);
    nadb_buf_clear(&b);
    return gone;
}

/* Removes the folder of the db, and `path` if it is a default; a path that the
 * user chose stays. Neither is removed unless empty. */
static void remove_above(engine *s, nadb_dir *db) {
    static const char suffix[] = "-nadb";
    const char *path = s->options->path;
    const char *name = strrchr(path, '/');
    size_t n = strlen(path);
    nadb_dir *top = NULL, *above = NULL;

    if (s->os->dir_up(db, &top, NULL) == NADB_OK &&
        s->os->rmdir(top, s->db_name, NULL) == NADB_OK && name != NULL &&
        n > sizeof suffix &&
        strcmp(path + n - sizeof suffix + 1, suffix) == 0 &&
        s->os->dir_up(top, &above, NULL) == NADB_OK)
        (void)!s->os->rmdir(above, name + 1, NULL);
    s->os->dir_close(above);
    s->os->dir_close(top);
}

/* Opens the directory above, if it still has the store under its name. */
static nadb_rc open_above(engine *s, nadb_dir **db, nadb_err *err) {
    nadb_stat mine, there;
    nadb_rc rc = s->os->dir_up(s->home.dir, db, err);

    if (rc == NADB_OK) rc = s->os->dir_stat(s->home.dir, &mine, err);
    if (rc == NADB_OK) rc = s->os->stat(*db, s->ns_name, &there, err);
    if (rc != NADB_OK) return rc;
    if (there.ino == mine.ino && there.dev == mine.dev) return NADB_OK;
    return nadb_home_moved(&s->home, err);
}

/* Renames the directory, so that the store disappears at once, then unlinks the
 * files. The next removal completes one that crashed. */
static nadb_rc remove_all(engine *s, nadb_err *err) {
    char *gone = removed_name(s->ns_name);
    removal here = {s->os, s->home.dir, false};
    nadb_dir *db = NULL;
    nadb_rc rc = NADB_OK;

    if (gone == NULL) rc = nadb_fail(err, NADB_NOMEM, "removing %s", s->dir);
    if (rc == NADB_OK) rc = open_above(s, &db, err);
    if (rc == NADB_OK)
        rc = s->os->dir_list(s->home.dir, find_foreign, &here, err);
    if (rc == NADB_OK && here.foreign) {
        /* Foreign files are in the directory: it keeps its place. */
        atomic_store(&s->ctl.map->distrust, 1);
        rc = remove_files(s->os, s->home.dir, err);
        goto done;
    }
    if (rc == NADB_OK) rc = engine_remove_left(s, db, gone, err);
    if (rc == NADB_OK) rc = s->os->rename(db, s->ns_name, gone, err);
    if (rc == NADB_OK) rc = s->os->dir_sync(db, err);
    if (rc == NADB_OK) rc = remove_files(s->os, s->home.dir, err);
    if (rc == NADB_OK && s->os->rmdir(db, gone, NULL) == NADB_OK)
        remove_above(s, db);
done:
    s->os->dir_close(db);
    nadb_free(gone);
    return rc;
}

nadb_rc nadb_engine_destroy(nadb_engine *e, bool unused, nadb_err *err) {
    engine *s = engine_of(e);
    nadb_rc rc = engine_check_usable(s, err);

    if (rc != NADB_OK) return rc;
    if (s->options->read_only || s->private_memory) {
        rc = engine_read_only(s, err);
    } else if (!control_last(&s->ctl)) { /* locks out new openers, too */
        rc = nadb_fail(err, NADB_LOCKED,
                       "the store in %s is open in another process: close it "
                       "there first",
                       s->dir);
    } else if (unused && control_seq(atomic_load(&s->ctl.map->visible)) > 0) {
        /* Another opener may have used the store and closed it again, so this
         * is checked now, when new openers are locked out. */
        rc = nadb_fail(err, NADB_LOCKED,
                       "the store in %s has rows of other connections: it "
                       "stays",
                       s->dir);
    }
    if (rc != NADB_OK) {
        e->ops->close(e);
        return rc;
    }
    nadb_workers_remove(s);
    if (!unused) rc = s->remote->destroy(s->base, err);
    if (rc == NADB_OK) rc = remove_all(s, err);
    /* What is left is not flushed or sent: a server may have removed it. */
    if (rc != NADB_OK) engine_sync_in_background(s);
    engine_free(s);
    return rc;
}
