/* set.c - a backup of a database file and its stores (backup.h).
 *
 * It has a file `database`, which SQLite writes, and a directory for each
 * store, which is a full backup by itself. */
#include "database.h"
#include "snapshot.h"

#include "../util/allow.h"
#include "../util/job.h"

typedef struct member {
    backup_snapshot snapshot;
    char table[BACKUP_TEXT_MAX + 1];
} member;

struct nadb_backup_set {
    const nadb_backup_req *req;
    backup_folder *f;
    backup_new *n;
    char id[BACKUP_ID_MAX + 1];
    nadb_buf members; /* array of member */
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a backup");
}

static size_t count(const nadb_backup_set *set) {
    return set->members.n / sizeof(member);
}

static member *at(const nadb_backup_set *set, size_t i) {
    return (member *)(void *)set->members.p + i;
}

/* --- making one --- */

void nadb_backup_set_free(nadb_backup_set *set) {
    if (set == NULL) return;
    for (size_t i = 0; i < count(set); i++) {
        backup_snapshot_drop(&at(set, i)->snapshot);
        nadb_store_close(at(set, i)->snapshot.store);
    }
    nadb_buf_clear(&set->members);
    backup_new_free(set->n);
    backup_folder_close(set->f);
    nadb_free(set);
}

nadb_rc nadb_backup_set_begin(const nadb_backup_req *req, nadb_backup_set **out,
                              nadb_err *err) {
    nadb_backup_set *set = nadb_calloc(1, sizeof *set);
    nadb_rc rc;

    *out = NULL;
    if (set == NULL) return no_memory(err);
    set->req = req;
    rc = backup_folder_open(req->folder, true, &set->f, err);
    if (rc == NADB_OK)
        rc = backup_begin(set->f, req->id, BACKUP_DATABASE, set->id, &set->n,
                          err);
    if (rc == NADB_OK)
        *out = set;
    else
        nadb_backup_set_free(set);
    return rc;
}

nadb_rc nadb_backup_set_hold(nadb_backup_set *set, nadb_store *s,
                             const char *table, nadb_err *err) {
    member m;
    nadb_rc rc = NADB_OK;

    for (size_t i = 0; i < count(set); i++)
        if (at(set, i)->snapshot.store == s) {
            nadb_store_close(s);
            return NADB_OK;
        }
    memset(&m, 0, sizeof m);
    m.snapshot.store = s;
    if (strlen(table) > BACKUP_TEXT_MAX || count(set) == BACKUP_PARTS_MAX)
        rc = nadb_fail(err, NADB_TOOBIG,
                       "a backup of a database has at most %u stores, with "
                       "names of up to %u bytes",
                       BACKUP_PARTS_MAX, BACKUP_TEXT_MAX);
    else
        memcpy(m.table, table, strlen(table) + 1);
    if (rc == NADB_OK) rc = backup_snapshot_take(s, &m.snapshot, err);
    if (rc == NADB_OK && !nadb_buf_append(&set->members, &m, sizeof m))
        rc = no_memory(err);
    if (rc == NADB_OK) return NADB_OK;
    backup_snapshot_drop(&m.snapshot);
    nadb_store_close(s);
    return rc;
}

nadb_rc nadb_backup_set_path(const nadb_backup_set *set, nadb_buf *out,
                             nadb_err *err) {
    static const char name[] = "/" BACKUP_DATABASE_FILE;
    const char *dir = backup_new_path(set->n);

    if (nadb_buf_append(out, dir, strlen(dir)) &&
        nadb_buf_append(out, name, sizeof name))
        return NADB_OK;
    return no_memory(err);
}

/* Writes the i-th store as a full backup and adds it to the manifest. */
static nadb_rc write_part(nadb_backup_set *set, size_t i, backup_manifest *all,
                          nadb_err *err) {
    const member *m = at(set, i);
    int64_t begun = nadb_os_get()->mono_ns();
    backup_manifest own;
    backup_part part;
    nadb_file *file = NULL;
    char name[32];
    nadb_rc rc;

    memset(&own, 0, sizeof own);
    memset(&part, 0, sizeof part);
    nadb_backup_part_name(i, name);
    memcpy(own.id, name, strlen(name));
    rc = backup_new_file(set->n, name, BACKUP_ROWS, &file, err);
    if (rc == NADB_OK)
        rc = backup_snapshot_write(&m->snapshot, file, NULL, set->req->level,
                                   set->req->stop, &own, err);
    nadb_os_get()->close(file);
    if (rc == NADB_OK) rc = backup_new_part(set->n, name, &own, err);
    nadb_store_log_backup(m->snapshot.store, "backup_database", begun, own.rows,
                          own.bytes, rc, err);
    if (rc != NADB_OK) return rc;
    memcpy(part.table, m->table, sizeof part.table);
    memcpy(part.sha256, own.sha256, sizeof part.sha256);
    all->rows += own.rows;
    all->total += own.total;
    return nadb_buf_append(&all->parts, &part, sizeof part) ? NADB_OK
                                                            : no_memory(err);
}

nadb_rc nadb_backup_set_finish(nadb_backup_set *set, backup_manifest *out,
                               nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_file *file = NULL;
    nadb_rc rc = backup_new_open(set->n, BACKUP_DATABASE_FILE, &file, err);

    memset(out, 0, sizeof *out);
    out->type = BACKUP_DATABASE;
    memcpy(out->id, set->id, sizeof out->id);
    out->compression = set->req->level;
    out->created_ms = nadb_now_ms();
    if (count(set) > 0) out->created_ms = at(set, 0)->snapshot.now_ms;
    if (out->created_ms < 0) out->created_ms = 0;
    if (rc == NADB_OK) rc = os->sync(file, err);
    if (rc == NADB_OK)
        rc = backup_sum_file(file, NULL, set->req->stop, &out->bytes,
                             out->file_sha256, err);
    os->close(file);
    for (size_t i = 0; i < count(set) && rc == NADB_OK; i++)
        rc = write_part(set, i, out, err);
    return rc == NADB_OK ? backup_new_publish(set->n, out, err) : rc;
}

/* --- reading one --- */

/* Opens the directory of a path; *name, in `path`, is the last component. */
static nadb_rc dir_of(const char *path, nadb_dir **dir, const char **name,
                      nadb_err *err) {
    const char *slash = strrchr(path, '/');
    char *above;
    nadb_rc rc;

    *dir = NULL;
    *name = slash == NULL ? path : slash + 1;
    if (**name == '\0')
        return nadb_fail(err, NADB_INVALID, "%s is not the name of a file",
                         path);
    above = nadb_strdup(slash == NULL ? "." : path);
    if (above == NULL) return no_memory(err);
    if (slash != NULL) above[slash == path ? 1 : slash - path] = '\0';
    rc = nadb_os_get()->dir_open(above, dir, err);
    nadb_free(above);
    return rc;
}

static nadb_rc copy_database(const backup_folder *f, const char *id,
                             const char *path, const nadb_stop *stop,
                             backup_manifest *m, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    nadb_file *to = NULL;
    nadb_stat st;
    const char *name;
    nadb_rc rc = nadb_allow_path(path, err);

    if (rc == NADB_OK) rc = dir_of(path, &dir, &name, err);
    if (rc == NADB_OK) rc = os->dir_stat(dir, &st, err);
    if (rc == NADB_OK)
        rc = os->open(dir, name,
                      NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
                      0600, &to, err);
    if (rc == NADB_OK) rc = backup_database_read(f, id, to, stop, m, err);
    if (rc == NADB_OK) rc = os->sync(to, err);
    if (rc != NADB_OK && to != NULL) (void)!os->unlink(dir, name, NULL);
    os->close(to);
    os->dir_close(dir);
    return rc;
}

nadb_rc nadb_backup_set_read(const char *folder, const char *id,
                             const char *path, const nadb_stop *stop,
                             backup_manifest *out, nadb_err *err) {
    backup_folder *f = NULL;
    bool has = false;
    nadb_rc rc = backup_id_check(id, err);

    memset(out, 0, sizeof *out);
    if (rc == NADB_OK) rc = backup_folder_open(folder, false, &f, err);
    if (rc == NADB_OK) rc = backup_folder_has(f, id, &has, err);
    if (rc == NADB_OK && !has)
        rc = nadb_fail(err, NADB_CANTOPEN, "there is no backup %s in %s", id,
                       backup_folder_path(f));
    if (rc == NADB_OK) rc = backup_folder_manifest(f, id, NULL, out, err);
    if (rc == NADB_OK && out->type != BACKUP_DATABASE)
        rc = nadb_fail(err, NADB_INVALID,
                       "backup %s is of one store: restore it with "
                       "nadb_restore()",
                       id);
    if (rc == NADB_OK) rc = backup_database_check_parts(f, id, out, err);
    if (rc == NADB_OK) rc = copy_database(f, id, path, stop, out, err);
    backup_folder_close(f);
    return rc;
}

/* --- names --- */

static const char *const companions[] = {"-nadb", "-journal", "-wal", "-shm"};

/* The name with a suffix, allocated; NULL if out of memory. */
static char *with(const char *name, const char *suffix) {
    size_t n = strlen(name), m = strlen(suffix);
    char *all = nadb_malloc(n + m + 1);

    if (all == NULL) return NULL;
    memcpy(all, name, n);
    memcpy(all + n, suffix, m + 1);
    return all;
}

static nadb_rc check_free(nadb_dir *dir, const char *name, const char *suffix,
                          nadb_err *err) {
    char *all = with(name, suffix);
    nadb_stat st;
    nadb_rc rc =
        all == NULL ? no_memory(err) : nadb_os_get()->stat(dir, all, &st, err);

    if (rc == NADB_OK && st.kind != NADB_KIND_NONE)
        rc = nadb_fail(err, NADB_INVALID,
                       "%s/%s is there already: a database is restored into a "
                       "new file",
                       nadb_os_get()->dir_path(dir), all);
    nadb_free(all);
    return rc;
}

nadb_rc nadb_backup_set_free_place(const char *path, nadb_err *err) {
    nadb_dir *dir = NULL;
    const char *name;
    nadb_rc rc = dir_of(path, &dir, &name, err);

    if (rc == NADB_OK) rc = check_free(dir, name, "", err);
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++)
        if (rc == NADB_OK) rc = check_free(dir, name, companions[i], err);
    nadb_os_get()->dir_close(dir);
    return rc;
}

static nadb_rc rename_if_there(nadb_dir *dir, const char *from, const char *to,
                               const char *suffix, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    char *a = with(from, suffix), *b = with(to, suffix);
    nadb_stat st;
    nadb_rc rc = a == NULL || b == NULL ? no_memory(err)
                                        : check_free(dir, to, suffix, err);

    if (rc == NADB_OK) rc = os->stat(dir, a, &st, err);
    if (rc == NADB_OK && st.kind != NADB_KIND_NONE)
        rc = os->rename(dir, a, b, err);
    nadb_free(a);
    nadb_free(b);
    return rc;
}

nadb_rc nadb_backup_set_place(const char *from, const char *to, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    const char *name, *slash = strrchr(to, '/');
    nadb_rc rc = dir_of(from, &dir, &name, err);

    to = slash == NULL ? to : slash + 1;
    if (rc == NADB_OK) rc = rename_if_there(dir, name, to, "-nadb", err);
    if (rc == NADB_OK) rc = rename_if_there(dir, name, to, "", err);
    if (rc == NADB_OK) rc = os->dir_sync(dir, err);
    os->dir_close(dir);
    return rc;
}

static nadb_rc remove_empty(void *ctx, const char *name, nadb_err *err) {
    (void)err;
    (void)!nadb_os_get()->rmdir(ctx, name, NULL);
    return NADB_OK;
}

void nadb_backup_set_remove(const char *path) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL, *stores = NULL;
    char *name_of_stores = NULL;
    const char *name;

    if (dir_of(path, &dir, &name, NULL) == NADB_OK)
        name_of_stores = with(name, "-nadb");
    if (name_of_stores != NULL) {
        if (os->dir_enter(dir, name_of_stores, &stores, NULL) == NADB_OK)
            (void)!os->dir_list(stores, remove_empty, stores, NULL);
        os->dir_close(stores);
        (void)!os->rmdir(dir, name_of_stores, NULL);
        (void)!os->unlink(dir, name, NULL);
    }
    nadb_free(name_of_stores);
    os->dir_close(dir);
}
