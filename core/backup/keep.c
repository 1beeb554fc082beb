/* keep.c - lists backups and removes old ones (backup.h). */
#include "backup.h"

#include <stdlib.h>

#include "folder.h"
#include "rows.h"

#define DAY_MS 86400000.0

/* A backup as it is listed. */
typedef struct listed {
    char id[BACKUP_ID_MAX + 1];
    bool sound;
    bool keep;
    size_t parts; /* number of stores, if it is a database's */
    backup_manifest manifest;
    char problem[NADB_MSG_MAX];
} listed;

typedef struct list {
    nadb_buf items; /* array of listed */
} list;

static size_t count(const list *l) { return l->items.n / sizeof(listed); }

static listed *at(const list *l, size_t i) {
    return (listed *)(void *)l->items.p + i;
}

static void list_clear(list *l) { nadb_buf_clear(&l->items); }

static nadb_rc add(void *ctx, const char *id, const backup_manifest *m,
                   const nadb_err *problem, nadb_err *err) {
    list *l = ctx;
    listed item;

    memset(&item, 0, sizeof item);
    memcpy(item.id, id, strlen(id)); /* a valid id, so it fits */
    item.sound = m != NULL;
    if (m != NULL) {
        item.parts = backup_manifest_parts(m);
        item.manifest = *m;
        /* they belong to the caller */
        item.manifest.parts = (nadb_buf)NADB_BUF_INIT;
    }
    memcpy(item.problem, problem->msg, sizeof item.problem);
    return nadb_buf_append(&l->items, &item, sizeof item)
               ? NADB_OK
               : nadb_fail(err, NADB_NOMEM, "out of memory for backups");
}

/* Oldest first; damaged ones have no time and come before. */
static int by_time(const void *a, const void *b) {
    const listed *x = a, *y = b;

    if (x->manifest.created_ms != y->manifest.created_ms)
        return x->manifest.created_ms < y->manifest.created_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

static nadb_rc list_read(const backup_folder *f, list *l, nadb_err *err) {
    nadb_rc rc = backup_folder_each(f, add, l, err);

    if (rc == NADB_OK && count(l) > 1)
        qsort(l->items.p, count(l), sizeof(listed), by_time);
    return rc;
}

/* The first backup that was made from `id`; NULL if there is none. */
static const listed *child_of(const list *l, const char *id) {
    for (size_t i = 0; i < count(l); i++)
        if (strcmp(at(l, i)->manifest.parent, id) == 0) return at(l, i);
    return NULL;
}

static listed *find(const list *l, const char *id) {
    for (size_t i = 0; i < count(l); i++)
        if (strcmp(at(l, i)->id, id) == 0) return at(l, i);
    return NULL;
}

/* Number of files: BACKUP, and rows or database, and those of its stores. */
static size_t files_of(const listed *item) {
    return item->sound ? 2 + 2 * item->parts : 0;
}

/* Adds the bytes of values in a file of rows. */
static nadb_rc add_values(const backup_folder *f, const char *id,
                          const char *part, uint64_t *sum, bool *known,
                          nadb_err *err) {
    nadb_file *file = NULL;
    uint64_t values = 0;
    nadb_rc rc = backup_folder_file(f, id, part, BACKUP_ROWS, &file, err);

    if (rc == NADB_OK) rc = backup_rows_values(file, &values, known, err);
    *sum += values;
    return rc;
}

/* *known is false if a file does not say it, is damaged or is missing: the
 * backup is listed without it. */
static nadb_rc sum_values(const backup_folder *f, const listed *item,
                          uint64_t *sum, bool *known, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    *sum = 0;
    *known = item->sound;
    if (item->sound && item->manifest.type != BACKUP_DATABASE)
        rc = add_values(f, item->id, NULL, sum, known, err);
    for (size_t i = 0; rc == NADB_OK && *known && i < item->parts; i++) {
        char part[32];

        nadb_backup_part_name(i, part);
        rc = add_values(f, item->id, part, sum, known, err);
    }
    if (rc == NADB_OK) return rc;
    *known = false;
    return rc == NADB_CORRUPT || rc == NADB_CANTOPEN ? NADB_OK : rc;
}

nadb_rc nadb_backup_list(const char *folder, nadb_backup_fn *each, void *ctx,
                         nadb_err *err) {
    list l = {NADB_BUF_INIT};
    backup_folder *f = NULL;
    nadb_rc rc = backup_folder_open(folder, false, &f, err);

    if (rc == NADB_OK) rc = list_read(f, &l, err);
    for (size_t i = 0; rc == NADB_OK && i < count(&l); i++) {
        const listed *item = at(&l, i);
        uint64_t values;
        bool known;
        nadb_backup_entry e = {item->id, item->sound ? &item->manifest : NULL,
                               item->sound ? NULL : item->problem,
                               files_of(item), NULL};

        rc = sum_values(f, item, &values, &known, err);
        if (known) e.values = &values;
        if (rc == NADB_OK) rc = each(ctx, &e, err);
    }
    list_clear(&l);
    backup_folder_close(f);
    return rc;
}

/* --- removing --- */

static nadb_rc delete_locked(backup_folder *f, const char *id, bool force,
                             int64_t *removed, nadb_err *err) {
    list l = {NADB_BUF_INIT};
    const listed *child = NULL;
    bool has = false;
    nadb_rc rc = backup_folder_has(f, id, &has, err);

    if (rc != NADB_OK || !has) return rc;
    rc = list_read(f, &l, err);
    if (rc == NADB_OK && !force) child = child_of(&l, id);
    if (child != NULL)
        rc = nadb_fail(err, NADB_LOCKED,
                       "backup %s needs %s: remove that first, or remove %s "
                       "with 'force', after which %s cannot be restored",
                       child->id, id, id, child->id);
    if (rc == NADB_OK) rc = backup_folder_remove(f, id, err);
    if (rc == NADB_OK) ++*removed;
    list_clear(&l);
    return rc;
}

nadb_rc nadb_backup_delete(const char *folder, const char *id, bool force,
                           int64_t *removed, nadb_err *err) {
    backup_folder *f = NULL;
    nadb_rc rc = backup_id_check(id, err);

    *removed = 0;
    if (rc == NADB_OK) rc = backup_folder_open(folder, false, &f, err);
    if (rc == NADB_OK) rc = backup_folder_lock(f, err);
    if (rc == NADB_OK) {
        rc = delete_locked(f, id, force, removed, err);
        backup_folder_unlock(f);
    }
    backup_folder_close(f);
    return rc;
}

/* Marks a backup and all that it needs as kept. */
static void keep_chain(const list *l, listed *item) {
    while (item != NULL && !item->keep) {
        item->keep = true;
        item = item->manifest.parent[0] == '\0'
                   ? NULL
                   : find(l, item->manifest.parent);
    }
}

/* A damaged backup is kept for inspection; it can be removed by its id. */
static void choose_kept(const list *l, double keep_days, int64_t keep_count) {
    double oldest = (double)nadb_now_ms() - keep_days * DAY_MS;
    int64_t rank = 0;

    for (size_t i = count(l); i > 0; i--) {
        listed *item = at(l, i - 1);

        if (!item->sound || rank++ < keep_count ||
            (double)item->manifest.created_ms >= oldest)
            keep_chain(l, item);
    }
}

static nadb_rc prune_locked(backup_folder *f, double keep_days,
                            int64_t keep_count, int64_t *removed,
                            nadb_err *err) {
    list l = {NADB_BUF_INIT};
    nadb_rc rc = list_read(f, &l, err);

    if (rc == NADB_OK) choose_kept(&l, keep_days, keep_count);
    /* Newest first, so that no backup ever lacks its parent. */
    for (size_t i = count(&l); i > 0 && rc == NADB_OK; i--) {
        if (at(&l, i - 1)->keep) continue;
        rc = backup_folder_remove(f, at(&l, i - 1)->id, err);
        if (rc == NADB_OK) ++*removed;
    }
    list_clear(&l);
    return rc;
}

nadb_rc nadb_backup_prune(const char *folder, double keep_days,
                          int64_t keep_count, int64_t *removed, nadb_err *err) {
    backup_folder *f = NULL;
    nadb_rc rc = backup_folder_open(folder, false, &f, err);

    *removed = 0;
    if (rc == NADB_OK) rc = backup_folder_lock(f, err);
    if (rc == NADB_OK) {
        rc = prune_locked(f, keep_days, keep_count, removed, err);
        if (rc == NADB_OK) rc = backup_folder_clean(f, err);
        backup_folder_unlock(f);
    }
    backup_folder_close(f);
    return rc;
}
