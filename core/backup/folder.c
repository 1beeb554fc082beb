/* folder.c - names in a folder of backups (folder.h). */
#include "folder.h"

#include <errno.h>
#include <stdio.h>

#include "../util/allow.h"

#define LOCK_NAME ".nadb-backups"
#define NEW_PREFIX ".nadb-new-"
#define OLD_PREFIX ".nadb-old-"
#define LOCK_MS 10000
#define RANDOM_HEX 16u
/* Size of a directory's name. */
#define NAME_MAX_BYTES (sizeof NEW_PREFIX + BACKUP_ID_MAX + RANDOM_HEX + 2)

struct backup_folder {
    nadb_dir *dir;
    nadb_stat like;  /* mode and owner for new directories, from the folder */
    nadb_file *lock; /* held between lock and unlock; else NULL */
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a backup");
}

/* --- the folder itself --- */

/* Makes the last component of the path, accessible to its owner only. */
static nadb_rc make_folder(const char *path, nadb_dir **out, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_buf real = NADB_BUF_INIT;
    nadb_dir *above = NULL;
    nadb_stat like;
    char *slash = NULL;
    nadb_rc rc = os->realpath(path, &real, err);

    if (rc == NADB_OK) slash = strrchr((char *)real.p, '/');
    if (rc == NADB_OK && (slash == NULL || slash[1] == '\0'))
        rc = nadb_fail(err, NADB_CANTOPEN, "there is no directory %s", path);
    if (rc == NADB_OK) {
        *slash = '\0';
        rc = os->dir_open(slash == (char *)real.p ? "/" : (char *)real.p,
                          &above, err);
    }
    if (rc == NADB_OK) rc = os->dir_stat(above, &like, err);
    if (rc == NADB_OK) {
        like.mode = 0700;
        rc = os->dir_make(above, slash + 1, &like, out, err);
    }
    if (rc == NADB_OK) rc = os->dir_sync(above, err);
    os->dir_close(above);
    nadb_buf_clear(&real);
    return rc;
}

nadb_rc backup_folder_open(const char *path, bool make, backup_folder **out,
                           nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    backup_folder *f = nadb_calloc(1, sizeof *f);
    nadb_stat st;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (f == NULL) return no_memory(err);
    rc = nadb_allow_path(path, err);
    if (rc == NADB_OK) rc = os->stat_path(path, &st, err);
    if (rc == NADB_OK && st.kind == NADB_KIND_NONE && make)
        rc = make_folder(path, &f->dir, err);
    else if (rc == NADB_OK && st.kind == NADB_KIND_NONE)
        rc = nadb_fail(err, NADB_CANTOPEN, "there is no directory %s", path);
    else if (rc == NADB_OK && st.kind != NADB_KIND_DIR)
        rc = nadb_fail(err, NADB_CANTOPEN,
                       "%s is not a directory: backups go into one", path);
    else if (rc == NADB_OK)
        rc = os->dir_open(path, &f->dir, err);
    if (rc == NADB_OK) rc = os->dir_stat(f->dir, &f->like, err);
    if (rc == NADB_OK)
        *out = f;
    else
        backup_folder_close(f);
    return rc;
}

void backup_folder_close(backup_folder *f) {
    if (f == NULL) return;
    backup_folder_unlock(f);
    nadb_os_get()->dir_close(f->dir);
    nadb_free(f);
}

const char *backup_folder_path(const backup_folder *f) {
    return nadb_os_get()->dir_path(f->dir);
}

nadb_rc backup_folder_lock(backup_folder *f, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    bool got = false;
    nadb_rc rc = os->open(f->dir, LOCK_NAME, NADB_OPEN_WRITE | NADB_OPEN_CREATE,
                          f->like.mode & 0666, &f->lock, err);

    if (rc != NADB_OK) return rc;
    rc = os->lock_byte_wait(f->lock, 0, LOCK_MS, &got, err);
    if (rc == NADB_OK && !got)
        rc = nadb_fail(err, NADB_BUSY,
                       "another process is making or removing a backup in %s: "
                       "try again",
                       backup_folder_path(f));
    if (rc != NADB_OK) backup_folder_unlock(f);
    return rc;
}

void backup_folder_unlock(backup_folder *f) {
    nadb_os_get()->close(f->lock); /* releases the lock */
    f->lock = NULL;
}

/* --- reading --- */

/* Opens the directory of a backup, or of a part of it. */
static nadb_rc enter(const backup_folder *f, const char *id, const char *part,
                     nadb_dir **out, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    nadb_rc rc = os->dir_enter(f->dir, id, out, err);

    if (rc != NADB_OK || part == NULL) return rc;
    dir = *out;
    rc = os->dir_enter(dir, part, out, err);
    os->dir_close(dir);
    return rc;
}

nadb_rc backup_folder_file(const backup_folder *f, const char *id,
                           const char *part, const char *name, nadb_file **out,
                           nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    nadb_rc rc = enter(f, id, part, &dir, err);

    *out = NULL;
    if (rc == NADB_OK) rc = os->open(dir, name, NADB_OPEN_READ, 0, out, err);
    os->dir_close(dir);
    return rc;
}

nadb_rc backup_folder_manifest(const backup_folder *f, const char *id,
                               const char *part, backup_manifest *m,
                               nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_buf text = NADB_BUF_INIT;
    nadb_dir *dir = NULL;
    char *path = NULL;
    nadb_rc rc = enter(f, id, part, &dir, err);

    memset(m, 0, sizeof *m);
    if (rc == NADB_OK) {
        path = nadb_path_join(os->dir_path(dir), BACKUP_MANIFEST);
        if (path == NULL) rc = no_memory(err);
    }
    if (rc == NADB_OK)
        rc = nadb_os_read_file(dir, BACKUP_MANIFEST, BACKUP_MANIFEST_MAX, &text,
                               err);
    if (rc == NADB_OK)
        rc = backup_manifest_take(nadb_buf_slice(&text), path, m, err);
    if (rc == NADB_OK && part == NULL && strcmp(m->id, id) != 0)
        rc = nadb_corrupt(err,
                          "%s is that of backup %s: give its folder that name",
                          path, m->id);
    nadb_buf_clear(&text);
    nadb_free(path);
    os->dir_close(dir);
    return rc;
}

nadb_rc backup_folder_has(const backup_folder *f, const char *id, bool *has,
                          nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    nadb_stat st;
    nadb_rc rc = os->stat(f->dir, id, &st, err);

    *has = false;
    if (rc != NADB_OK || st.kind != NADB_KIND_DIR) return rc;
    rc = enter(f, id, NULL, &dir, err);
    if (rc == NADB_OK) rc = os->stat(dir, BACKUP_MANIFEST, &st, err);
    if (rc == NADB_OK) *has = st.kind == NADB_KIND_FILE;
    os->dir_close(dir);
    return rc;
}

static nadb_rc note_name(void *ctx, const char *name, nadb_err *err) {
    return nadb_buf_append(ctx, name, strlen(name) + 1) ? NADB_OK
                                                        : no_memory(err);
}

typedef nadb_rc name_fn(void *ctx, const char *name, nadb_err *err);

/* Calls `each` with all names of a directory, which may change meanwhile. */
static nadb_rc each_name(nadb_dir *dir, name_fn *each, void *ctx,
                         nadb_err *err) {
    nadb_buf names = NADB_BUF_INIT;
    nadb_rc rc = nadb_os_get()->dir_list(dir, note_name, &names, err);

    for (size_t at = 0; rc == NADB_OK && at < names.n;) {
        const char *name = (const char *)names.p + at;

        at += strlen(name) + 1;
        rc = each(ctx, name, err);
    }
    nadb_buf_clear(&names);
    return rc;
}

typedef struct walk {
    const backup_folder *f;
    backup_each_fn *each;
    void *ctx;
} walk;

static nadb_rc walk_name(void *ctx, const char *name, nadb_err *err) {
    walk *w = ctx;
    backup_manifest m;
    nadb_err problem;
    bool has = false;
    nadb_rc rc;

    if (!backup_id_valid(nadb_slice_str(name))) return NADB_OK;
    nadb_err_clear(&problem);
    memset(&m, 0, sizeof m);
    rc = backup_folder_has(w->f, name, &has, &problem);
    if (rc == NADB_OK && !has) return NADB_OK;
    if (rc == NADB_OK)
        rc = backup_folder_manifest(w->f, name, NULL, &m, &problem);
    /* It was removed after its name was read. */
    if (rc == NADB_CANTOPEN && problem.sys_errno == ENOENT)
        rc = NADB_OK;
    else if (rc == NADB_OK || rc == NADB_CORRUPT || rc == NADB_CANTOPEN)
        rc = w->each(w->ctx, name, rc == NADB_OK ? &m : NULL, &problem, err);
    else
        rc = nadb_fail(err, rc, "%s", problem.msg);
    backup_manifest_clear(&m);
    return rc;
}

nadb_rc backup_folder_each(const backup_folder *f, backup_each_fn *each,
                           void *ctx, nadb_err *err) {
    walk w = {f, each, ctx};

    return each_name(f->dir, walk_name, &w, err);
}

/* --- removing --- */

static bool is_part(const char *name) {
    size_t n = sizeof BACKUP_PART_PREFIX - 1;

    if (strncmp(name, BACKUP_PART_PREFIX, n) != 0 || strlen(name) > n + 4)
        return false;
    for (name += n; *name >= '0' && *name <= '9';) name++;
    return *name == '\0';
}

static bool is_ours(const char *name) {
    return strcmp(name, BACKUP_MANIFEST) == 0 ||
           strcmp(name, BACKUP_ROWS) == 0 ||
           strcmp(name, BACKUP_DATABASE_FILE) == 0 ||
           strcmp(name, BACKUP_DATABASE_FILE "-journal") == 0 ||
           strcmp(name, BACKUP_DATABASE_FILE "-wal") == 0 ||
           strcmp(name, BACKUP_DATABASE_FILE "-shm") == 0;
}

typedef struct emptying {
    nadb_dir *dir;
    bool check;  /* only check that all names are ours */
    bool nested; /* inside a part */
} emptying;

static nadb_rc empty_name(void *ctx, const char *name, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    const emptying *e = ctx;
    emptying inner = {NULL, e->check, true};
    nadb_rc rc;

    if (is_ours(name))
        return e->check ? NADB_OK : os->unlink(e->dir, name, err);
    if (e->nested || !is_part(name))
        return nadb_fail(err, NADB_LOCKED,
                         "%s has a file %.100s, which is not of a backup: "
                         "remove it or move it away first",
                         os->dir_path(e->dir), name);
    rc = os->dir_enter(e->dir, name, &inner.dir, err);
    if (rc == NADB_OK) rc = each_name(inner.dir, empty_name, &inner, err);
    os->dir_close(inner.dir);
    if (rc == NADB_OK && !e->check) rc = os->rmdir(e->dir, name, err);
    return rc;
}

/* Removes a directory of the folder with the files of a backup, or only checks
 * that it contains nothing else. */
static nadb_rc empty(const backup_folder *f, const char *name, bool check,
                     nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    emptying e = {NULL, true, false};
    nadb_rc rc = os->dir_enter(f->dir, name, &e.dir, err);

    if (rc == NADB_OK) rc = each_name(e.dir, empty_name, &e, err);
    e.check = false;
    if (rc == NADB_OK && !check) rc = each_name(e.dir, empty_name, &e, err);
    os->dir_close(e.dir);
    return rc == NADB_OK && !check ? os->rmdir(f->dir, name, err) : rc;
}

/* Makes a new name with that prefix. */
static void temporary_name(const char *prefix, const char *id,
                           char out[NAME_MAX_BYTES]) {
    unsigned long long r;

    nadb_os_get()->random(&r, sizeof r);
    (void)snprintf(out, NAME_MAX_BYTES, "%s%s-%016llx", prefix, id, r);
}

nadb_rc backup_folder_remove(backup_folder *f, const char *id, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    char name[NAME_MAX_BYTES];
    nadb_rc rc = empty(f, id, true, err);

    temporary_name(OLD_PREFIX, id, name);
    if (rc == NADB_OK) rc = os->rename(f->dir, id, name, err);
    if (rc == NADB_OK) rc = os->dir_sync(f->dir, err);
    return rc == NADB_OK ? empty(f, name, false, err) : rc;
}

/* *alive: a new directory is still being written, because its BACKUP is
 * locked. */
static nadb_rc is_alive(const backup_folder *f, const char *name, bool *alive,
                        nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    nadb_file *file = NULL;
    nadb_stat st;
    bool got = true;
    nadb_rc rc = os->dir_enter(f->dir, name, &dir, err);

    *alive = false;
    if (rc == NADB_OK) rc = os->stat(dir, BACKUP_MANIFEST, &st, err);
    if (rc == NADB_OK && st.kind == NADB_KIND_FILE) {
        rc = os->open(dir, BACKUP_MANIFEST, NADB_OPEN_WRITE, 0, &file, err);
        if (rc == NADB_OK) rc = os->lock_byte(file, 0, &got, err);
        os->close(file);
    }
    os->dir_close(dir);
    *alive = rc == NADB_OK && !got;
    return rc;
}

/* What cannot be removed stays: it is not listed and only takes space. */
static nadb_rc clean_name(void *ctx, const char *name, nadb_err *err) {
    const backup_folder *f = ctx;
    bool is_new = strncmp(name, NEW_PREFIX, sizeof NEW_PREFIX - 1) == 0;
    bool alive = false;
    nadb_rc rc = NADB_OK;

    (void)err;
    if (!is_new && strncmp(name, OLD_PREFIX, sizeof OLD_PREFIX - 1) != 0)
        return NADB_OK;
    if (is_new) rc = is_alive(f, name, &alive, NULL);
    if (rc == NADB_OK && !alive) (void)!empty(f, name, false, NULL);
    return NADB_OK;
}

nadb_rc backup_folder_clean(backup_folder *f, nadb_err *err) {
    return each_name(f->dir, clean_name, f, err);
}

/* --- a backup being written --- */

struct backup_new {
    backup_folder *f;
    char id[BACKUP_ID_MAX + 1];
    char name[NAME_MAX_BYTES]; /* until it is published */
    bool made;                 /* a directory of that name may exist */
    nadb_dir *dir;
    nadb_file *manifest; /* locked */
    bool published;
};

static nadb_rc check_free(const backup_folder *f, const char *id,
                          nadb_err *err) {
    nadb_stat st;
    nadb_rc rc = nadb_os_get()->stat(f->dir, id, &st, err);

    if (rc != NADB_OK || st.kind == NADB_KIND_NONE) return rc;
    return nadb_fail(err, NADB_INVALID,
                     "there is a backup %s in %s already: give another id, or "
                     "remove it with nadb_delete_backup()",
                     id, backup_folder_path(f));
}

static nadb_rc make_file(const backup_folder *f, nadb_dir *dir,
                         const char *name, nadb_file **out, nadb_err *err) {
    return nadb_os_get()->open(
        dir, name, NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
        f->like.mode & 0666, out, err);
}

/* Makes the directory and locks its BACKUP, under the folder's lock, so that no
 * other writer takes it for what a crash has left. */
static nadb_rc make_locked(backup_new *n, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    bool got = false;
    nadb_rc rc = backup_folder_lock(n->f, err);

    if (rc != NADB_OK) return rc;
    rc = check_free(n->f, n->id, err);
    if (rc == NADB_OK) rc = backup_folder_clean(n->f, err);
    if (rc == NADB_OK) {
        n->made = true;
        rc = os->dir_make(n->f->dir, n->name, &n->f->like, &n->dir, err);
    }
    if (rc == NADB_OK)
        rc = make_file(n->f, n->dir, BACKUP_MANIFEST, &n->manifest, err);
    if (rc == NADB_OK) rc = os->lock_byte(n->manifest, 0, &got, err);
    if (rc == NADB_OK && !got)
        rc = nadb_fail(err, NADB_BUSY,
                       "%s is locked by another process: try again",
                       os->dir_path(n->dir));
    backup_folder_unlock(n->f);
    return rc;
}

nadb_rc backup_new_begin(backup_folder *f, const char *id, backup_new **out,
                         nadb_err *err) {
    backup_new *n = nadb_calloc(1, sizeof *n);
    nadb_rc rc;

    *out = NULL;
    if (n == NULL) return no_memory(err);
    n->f = f;
    (void)snprintf(n->id, sizeof n->id, "%s", id);
    temporary_name(NEW_PREFIX, id, n->name);
    rc = make_locked(n, err);
    if (rc == NADB_OK)
        *out = n;
    else
        backup_new_free(n);
    return rc;
}

/* Opens the directory of a part, which is made if necessary. */
static nadb_rc part_open(backup_new *n, const char *part, nadb_dir **out,
                         nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_stat st;
    nadb_rc rc = os->stat(n->dir, part, &st, err);

    if (rc != NADB_OK) return rc;
    return st.kind == NADB_KIND_NONE
               ? os->dir_make(n->dir, part, &n->f->like, out, err)
               : os->dir_enter(n->dir, part, out, err);
}

nadb_rc backup_new_file(backup_new *n, const char *part, const char *name,
                        nadb_file **out, nadb_err *err) {
    nadb_dir *dir = NULL;
    nadb_rc rc;

    *out = NULL;
    if (part == NULL) return make_file(n->f, n->dir, name, out, err);
    rc = part_open(n, part, &dir, err);
    if (rc == NADB_OK) rc = make_file(n->f, dir, name, out, err);
    nadb_os_get()->dir_close(dir);
    return rc;
}

nadb_rc backup_new_open(backup_new *n, const char *name, nadb_file **out,
                        nadb_err *err) {
    return nadb_os_get()->open(n->dir, name, NADB_OPEN_WRITE, 0, out, err);
}

const char *backup_new_path(const backup_new *n) {
    return nadb_os_get()->dir_path(n->dir);
}

static nadb_rc write_manifest(nadb_file *file, backup_manifest *m,
                              nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_buf text = NADB_BUF_INIT;
    nadb_rc rc = backup_manifest_put(m, &text, err);

    if (rc == NADB_OK) rc = os->pwrite(file, text.p, text.n, 0, err);
    if (rc == NADB_OK) rc = os->sync(file, err);
    nadb_buf_clear(&text);
    return rc;
}

nadb_rc backup_new_part(backup_new *n, const char *part, backup_manifest *m,
                        nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    nadb_file *file = NULL;
    nadb_rc rc = part_open(n, part, &dir, err);

    if (rc == NADB_OK) rc = make_file(n->f, dir, BACKUP_MANIFEST, &file, err);
    if (rc == NADB_OK) rc = write_manifest(file, m, err);
    if (rc == NADB_OK) rc = os->dir_sync(dir, err);
    os->close(file);
    os->dir_close(dir);
    return rc;
}

/* Checks that the parent exists and is unchanged since it was read. */
static nadb_rc check_parent(const backup_folder *f, const backup_manifest *m,
                            nadb_err *err) {
    backup_manifest parent;
    bool has = false;
    nadb_rc rc;

    if (m->parent[0] == '\0') return NADB_OK;
    rc = backup_folder_has(f, m->parent, &has, err);
    if (rc != NADB_OK) return rc;
    memset(&parent, 0, sizeof parent);
    if (has) rc = backup_folder_manifest(f, m->parent, NULL, &parent, err);
    if (rc == NADB_OK && strcmp(parent.sha256, m->parent_sha256) != 0)
        rc = nadb_fail(err, NADB_CONFLICT,
                       "backup %s was removed or replaced while one that "
                       "depends on it was made",
                       m->parent);
    backup_manifest_clear(&parent);
    return rc;
}

nadb_rc backup_new_publish(backup_new *n, backup_manifest *m, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *folder = n->f->dir;
    nadb_rc rc = write_manifest(n->manifest, m, err);

    if (rc == NADB_OK) rc = os->dir_sync(n->dir, err);
    if (rc == NADB_OK) rc = backup_folder_lock(n->f, err);
    if (rc != NADB_OK) return rc;
    rc = check_free(n->f, n->id, err);
    if (rc == NADB_OK) rc = check_parent(n->f, m, err);
    if (rc == NADB_OK) rc = os->rename(folder, n->name, n->id, err);
    if (rc == NADB_OK) {
        n->published = true;
        rc = os->dir_sync(folder, err);
        /* It is listed now, but a power cut might remove it, so the rename is
         * undone. */
        if (rc != NADB_OK &&
            os->rename(folder, n->id, n->name, NULL) == NADB_OK)
            n->published = false;
    }
    backup_folder_unlock(n->f);
    return rc;
}

void backup_new_free(backup_new *n) {
    if (n == NULL) return;
    nadb_os_get()->dir_close(n->dir);
    /* It is still locked, so no other process removes it meanwhile. */
    if (n->made && !n->published) (void)!empty(n->f, n->name, false, NULL);
    nadb_os_get()->close(n->manifest);
    nadb_free(n);
}
