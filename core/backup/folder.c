/* folder.c - the names of backups (folder.h). */
#include "folder.h"

#include <stdio.h>

#define LOCK_NAME ".nadb-backups"
#define NEW_PREFIX ".nadb-new-"
#define OLD_PREFIX ".nadb-old-"
#define PART_PREFIX "store" /* and a number */
#define LOCK_MS 10000
#define RANDOM_HEX 16u
#define NAME_MAX_BYTES                                                         \
    (sizeof NEW_PREFIX + BACKUP_ID_MAX + RANDOM_HEX + 2) /* of a directory */

struct backup_folder {
    char *path;
    uint32_t mode;   /* of the directory */
    nadb_file *lock; /* held between lock and unlock; else NULL */
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a backup");
}

/* The names joined by slashes; NULL ones are left out. */
static char *join(const char *a, const char *b, const char *c, const char *d) {
    const char *rest[] = {b, c, d};
    char *path = nadb_strdup(a);

    for (size_t i = 0; i < sizeof rest / sizeof rest[0] && path != NULL; i++) {
        char *longer;

        if (rest[i] == NULL) continue;
        longer = nadb_path_join(path, rest[i]);
        nadb_free(path);
        path = longer;
    }
    return path;
}

/* --- the folder itself --- */

nadb_rc backup_folder_open(const char *path, bool make, backup_folder **out,
                           nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    backup_folder *f = nadb_calloc(1, sizeof *f);
    nadb_buf real = NADB_BUF_INIT;
    nadb_stat st;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (f == NULL) return no_memory(err);
    rc = os->realpath(path, &real, err);
    if (rc == NADB_OK) {
        f->path = (char *)real.p;
        rc = os->stat(f->path, &st, err);
    }
    if (rc == NADB_OK && st.kind == NADB_KIND_NONE && make) {
        rc = os->mkdir(f->path, 0700, err);
        if (rc == NADB_OK) rc = os->stat(f->path, &st, err);
    }
    if (rc == NADB_OK && st.kind == NADB_KIND_NONE)
        rc = nadb_fail(err, NADB_CANTOPEN, "there is no directory %s", path);
    if (rc == NADB_OK && st.kind != NADB_KIND_DIR)
        rc = nadb_fail(err, NADB_CANTOPEN,
                       "%s is not a directory: backups go into one", path);
    if (rc == NADB_OK) {
        f->mode = st.mode & 0777;
        *out = f;
    } else {
        backup_folder_close(f);
    }
    return rc;
}

void backup_folder_close(backup_folder *f) {
    if (f == NULL) return;
    backup_folder_unlock(f);
    nadb_free(f->path);
    nadb_free(f);
}

const char *backup_folder_path(const backup_folder *f) { return f->path; }

nadb_rc backup_folder_lock(backup_folder *f, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    char *path = join(f->path, LOCK_NAME, NULL, NULL);
    bool got = false;
    nadb_rc rc;

    if (path == NULL) return no_memory(err);
    rc = os->open(path, NADB_OPEN_WRITE | NADB_OPEN_CREATE, f->mode & 0666,
                  &f->lock, err);
    nadb_free(path);
    if (rc != NADB_OK) return rc;
    rc = os->lock_byte_wait(f->lock, 0, LOCK_MS, &got, err);
    if (rc == NADB_OK && !got)
        rc = nadb_fail(err, NADB_BUSY,
                       "another process is making or removing a backup in %s: "
                       "try again",
                       f->path);
    if (rc != NADB_OK) backup_folder_unlock(f);
    return rc;
}

void backup_folder_unlock(backup_folder *f) {
    nadb_os_get()->close(f->lock); /* and with it the lock */
    f->lock = NULL;
}

/* --- reading --- */

nadb_rc backup_folder_file(const backup_folder *f, const char *id,
                           const char *part, const char *name, nadb_file **out,
                           nadb_err *err) {
    char *path = part == NULL ? join(f->path, id, name, NULL)
                              : join(f->path, id, part, name);
    nadb_rc rc;

    *out = NULL;
    if (path == NULL) return no_memory(err);
    rc = nadb_os_get()->open(path, NADB_OPEN_READ, 0, out, err);
    nadb_free(path);
    return rc;
}

nadb_rc backup_folder_manifest(const backup_folder *f, const char *id,
                               const char *part, backup_manifest *m,
                               nadb_err *err) {
    char *path = part == NULL ? join(f->path, id, BACKUP_MANIFEST, NULL)
                              : join(f->path, id, part, BACKUP_MANIFEST);
    nadb_buf text = NADB_BUF_INIT;
    nadb_rc rc;

    memset(m, 0, sizeof *m);
    if (path == NULL) return no_memory(err);
    rc = nadb_os_read_file(path, BACKUP_MANIFEST_MAX, &text, err);
    if (rc == NADB_OK)
        rc = backup_manifest_take(nadb_buf_slice(&text), path, m, err);
    if (rc == NADB_OK && part == NULL && strcmp(m->id, id) != 0)
        rc = nadb_corrupt(err, "%s is that of backup %s: was it moved?", path,
                          m->id);
    nadb_buf_clear(&text);
    nadb_free(path);
    return rc;
}

nadb_rc backup_folder_has(const backup_folder *f, const char *id, bool *has,
                          nadb_err *err) {
    char *path = join(f->path, id, BACKUP_MANIFEST, NULL);
    nadb_stat st;
    nadb_rc rc;

    *has = false;
    if (path == NULL) return no_memory(err);
    rc = nadb_os_get()->stat(path, &st, err);
    nadb_free(path);
    if (rc == NADB_OK) *has = st.kind == NADB_KIND_FILE;
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
    rc = backup_folder_has(w->f, name, &has, err);
    if (rc != NADB_OK || !has) return rc;
    nadb_err_clear(&problem);
    rc = backup_folder_manifest(w->f, name, NULL, &m, &problem);
    if (rc == NADB_NOMEM)
        rc = no_memory(err);
    else
        rc = w->each(w->ctx, name, rc == NADB_OK ? &m : NULL, &problem, err);
    backup_manifest_clear(&m);
    return rc;
}

nadb_rc backup_folder_each(const backup_folder *f, backup_each_fn *each,
                           void *ctx, nadb_err *err) {
    walk w = {f, each, ctx};

    return nadb_os_get()->list(f->path, walk_name, &w, err);
}

/* --- removing --- */

static nadb_rc note_name(void *ctx, const char *name, nadb_err *err) {
    return nadb_buf_append(ctx, name, strlen(name) + 1) ? NADB_OK
                                                        : no_memory(err);
}

typedef nadb_rc name_fn(void *ctx, const char *name, nadb_err *err);

/* Calls `each` with all names of a directory, which may change meanwhile. */
static nadb_rc each_name(const char *dir, name_fn *each, void *ctx,
                         nadb_err *err) {
    nadb_buf names = NADB_BUF_INIT;
    nadb_rc rc = nadb_os_get()->list(dir, note_name, &names, err);

    for (size_t at = 0; rc == NADB_OK && at < names.n;) {
        const char *name = (const char *)names.p + at;

        at += strlen(name) + 1;
        rc = each(ctx, name, err);
    }
    nadb_buf_clear(&names);
    return rc;
}

static bool is_part(const char *name) {
    size_t n = sizeof PART_PREFIX - 1;

    if (strncmp(name, PART_PREFIX, n) != 0 || strlen(name) > n + 4)
        return false;
    for (name += n; *name >= '0' && *name <= '9';) name++;
    return *name == '\0';
}

static bool is_ours(const char *name) {
    return strcmp(name, BACKUP_MANIFEST) == 0 ||
           strcmp(name, BACKUP_ROWS) == 0 ||
           strcmp(name, BACKUP_DATABASE_FILE) == 0 ||
           strcmp(name, BACKUP_DATABASE_FILE "-journal") == 0;
}

typedef struct emptying {
    const char *dir;
    bool check;  /* only look whether all names are ours */
    bool nested; /* in a part */
} emptying;

static nadb_rc empty(const emptying *e, nadb_err *err);

static nadb_rc empty_name(void *ctx, const char *name, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    const emptying *e = ctx;
    char *path;
    nadb_rc rc = NADB_OK;

    if (!is_ours(name) && (e->nested || !is_part(name)))
        return nadb_fail(err, NADB_LOCKED,
                         "%s has a file %.100s, which is not of a backup: "
                         "remove it or move it away first",
                         e->dir, name);
    path = nadb_path_join(e->dir, name);
    if (path == NULL) return no_memory(err);
    if (is_part(name)) {
        emptying inner = {path, e->check, true};

        rc = empty(&inner, err);
        if (rc == NADB_OK && !e->check) rc = os->rmdir(path, err);
    } else if (!e->check) {
        rc = os->unlink(path, err);
    }
    nadb_free(path);
    return rc;
}

static nadb_rc empty(const emptying *e, nadb_err *err) {
    return each_name(e->dir, empty_name, (void *)(uintptr_t)e, err);
}

/* Removes a directory with files of ours, and nothing else. */
static nadb_rc remove_dir(const char *dir, nadb_err *err) {
    emptying e = {dir, true, false};
    nadb_rc rc = empty(&e, err);

    e.check = false;
    if (rc == NADB_OK) rc = empty(&e, err);
    return rc == NADB_OK ? nadb_os_get()->rmdir(dir, err) : rc;
}

/* A fresh name for a directory of that prefix. */
static void temporary_name(const char *prefix, const char *id,
                           char out[NAME_MAX_BYTES]) {
    unsigned long long r;

    nadb_os_get()->random(&r, sizeof r);
    (void)snprintf(out, NAME_MAX_BYTES, "%s%s-%016llx", prefix, id, r);
}

nadb_rc backup_folder_remove(backup_folder *f, const char *id, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    char name[NAME_MAX_BYTES];
    char *from = join(f->path, id, NULL, NULL);
    char *to = NULL;
    emptying look = {from, true, false};
    nadb_rc rc;

    temporary_name(OLD_PREFIX, id, name);
    to = join(f->path, name, NULL, NULL);
    rc = from == NULL || to == NULL ? no_memory(err) : empty(&look, err);
    if (rc == NADB_OK) rc = os->rename(from, to, err);
    if (rc == NADB_OK) rc = os->sync_dir(f->path, err);
    if (rc == NADB_OK) rc = remove_dir(to, err);
    nadb_free(from);
    nadb_free(to);
    return rc;
}

/* Whether a new directory is still being written: its BACKUP is locked. */
static nadb_rc is_alive(const char *dir, bool *alive, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    char *path = nadb_path_join(dir, BACKUP_MANIFEST);
    nadb_file *file = NULL;
    nadb_stat st;
    bool got = true;
    nadb_rc rc;

    *alive = false;
    if (path == NULL) return no_memory(err);
    rc = os->stat(path, &st, err);
    if (rc == NADB_OK && st.kind == NADB_KIND_FILE) {
        rc = os->open(path, NADB_OPEN_WRITE, 0, &file, err);
        if (rc == NADB_OK) rc = os->lock_byte(file, 0, &got, err);
        os->close(file);
    }
    nadb_free(path);
    *alive = rc == NADB_OK && !got;
    return rc;
}

static nadb_rc clean_name(void *ctx, const char *name, nadb_err *err) {
    backup_folder *f = ctx;
    bool is_new = strncmp(name, NEW_PREFIX, sizeof NEW_PREFIX - 1) == 0;
    bool alive = false;
    char *dir;
    nadb_rc rc = NADB_OK;

    if (!is_new && strncmp(name, OLD_PREFIX, sizeof OLD_PREFIX - 1) != 0)
        return NADB_OK;
    dir = join(f->path, name, NULL, NULL);
    if (dir == NULL) return no_memory(err);
    if (is_new) rc = is_alive(dir, &alive, err);
    /* What cannot be removed is somebody else's business: it is not listed,
     * and harms nobody but the disk. */
    if (rc == NADB_OK && !alive) (void)!remove_dir(dir, NULL);
    nadb_free(dir);
    return rc;
}

nadb_rc backup_folder_clean(backup_folder *f, nadb_err *err) {
    return each_name(f->path, clean_name, f, err);
}

/* --- one that is being written --- */

struct backup_new {
    backup_folder *f;
    char id[BACKUP_ID_MAX + 1];
    char *dir;
    bool made;           /* the directory is there */
    nadb_file *manifest; /* locked */
    bool published;
};

static nadb_rc check_free(const backup_folder *f, const char *id,
                          nadb_err *err) {
    char *path = join(f->path, id, NULL, NULL);
    nadb_stat st;
    nadb_rc rc;

    if (path == NULL) return no_memory(err);
    rc = nadb_os_get()->stat(path, &st, err);
    nadb_free(path);
    if (rc != NADB_OK || st.kind == NADB_KIND_NONE) return rc;
    return nadb_fail(err, NADB_INVALID,
                     "there is a backup %s in %s already: give another id, or "
                     "remove it with nadb_delete_backup()",
                     id, f->path);
}

static nadb_rc make_file(const backup_folder *f, const char *dir,
                         const char *name, nadb_file **out, nadb_err *err) {
    char *path = nadb_path_join(dir, name);
    nadb_rc rc;

    *out = NULL;
    if (path == NULL) return no_memory(err);
    rc = nadb_os_get()->open(
        path, NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
        f->mode & 0666, out, err);
    nadb_free(path);
    return rc;
}

/* Makes the directory and locks its BACKUP, in the lock of the folder, so that
 * nobody takes it for what a crash has left. */
static nadb_rc make_locked(backup_new *n, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    bool got = false;
    nadb_rc rc = backup_folder_lock(n->f, err);

    if (rc != NADB_OK) return rc;
    rc = check_free(n->f, n->id, err);
    if (rc == NADB_OK) rc = backup_folder_clean(n->f, err);
    if (rc == NADB_OK) rc = os->mkdir(n->dir, n->f->mode, err);
    n->made = rc == NADB_OK;
    if (rc == NADB_OK)
        rc = make_file(n->f, n->dir, BACKUP_MANIFEST, &n->manifest, err);
    if (rc == NADB_OK) rc = os->lock_byte(n->manifest, 0, &got, err);
    if (rc == NADB_OK && !got)
        rc = nadb_fail(err, NADB_BUSY, "%s is locked by somebody", n->dir);
    backup_folder_unlock(n->f);
    return rc;
}

nadb_rc backup_new_begin(backup_folder *f, const char *id, backup_new **out,
                         nadb_err *err) {
    backup_new *n = nadb_calloc(1, sizeof *n);
    char name[NAME_MAX_BYTES];
    nadb_rc rc;

    *out = NULL;
    if (n == NULL) return no_memory(err);
    n->f = f;
    (void)snprintf(n->id, sizeof n->id, "%s", id);
    temporary_name(NEW_PREFIX, id, name);
    n->dir = join(f->path, name, NULL, NULL);
    rc = n->dir == NULL ? no_memory(err) : make_locked(n, err);
    if (rc == NADB_OK)
        *out = n;
    else
        backup_new_free(n);
    return rc;
}

nadb_rc backup_new_file(backup_new *n, const char *part, const char *name,
                        nadb_file **out, nadb_err *err) {
    char *dir = join(n->dir, part, NULL, NULL);
    nadb_stat st;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (dir == NULL) return no_memory(err);
    if (part != NULL) rc = nadb_os_get()->stat(dir, &st, err);
    if (part != NULL && rc == NADB_OK && st.kind == NADB_KIND_NONE)
        rc = nadb_os_get()->mkdir(dir, n->f->mode, err);
    if (rc == NADB_OK) rc = make_file(n->f, dir, name, out, err);
    nadb_free(dir);
    return rc;
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

/* The parent is there, and is what it was when it was read. */
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
    char *to = join(n->f->path, n->id, NULL, NULL);
    nadb_rc rc =
        to == NULL ? no_memory(err) : write_manifest(n->manifest, m, err);

    if (rc == NADB_OK) rc = os->sync_dir(n->dir, err);
    if (rc == NADB_OK) rc = backup_folder_lock(n->f, err);
    if (rc != NADB_OK) {
        nadb_free(to);
        return rc;
    }
    rc = check_free(n->f, n->id, err);
    if (rc == NADB_OK) rc = check_parent(n->f, m, err);
    if (rc == NADB_OK) rc = os->rename(n->dir, to, err);
    if (rc == NADB_OK) {
        n->published = true;
        rc = os->sync_dir(n->f->path, err);
        /* Listed now, and gone after a power cut: rather neither. */
        if (rc != NADB_OK && os->rename(to, n->dir, NULL) == NADB_OK)
            n->published = false;
    }
    backup_folder_unlock(n->f);
    nadb_free(to);
    return rc;
}

void backup_new_free(backup_new *n) {
    if (n == NULL) return;
    if (!n->published && n->manifest != NULL) (void)!remove_dir(n->dir, NULL);
    nadb_os_get()->close(n->manifest);
    nadb_free(n->dir);
    nadb_free(n);
}
