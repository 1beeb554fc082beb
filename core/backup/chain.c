/* chain.c - several files of rows as one (chain.h). */
#include "chain.h"

#include "../util/merge.h"

/* A longer chain is a circle or an error. */
#define LINKS_MAX 10000u

struct backup_chain {
    nadb_buf links; /* array of backup_link */
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for reading a backup");
}

size_t backup_chain_links(const backup_chain *c) {
    return c->links.n / sizeof(backup_link);
}

const backup_link *backup_chain_link(const backup_chain *c, size_t i) {
    return (const backup_link *)(const void *)c->links.p + i;
}

void backup_chain_close(backup_chain *c) {
    if (c == NULL) return;
    for (size_t i = 0; i < backup_chain_links(c); i++) {
        backup_link *l = (backup_link *)(void *)c->links.p + i;

        backup_rows_close(l->rows);
        backup_manifest_clear(&l->manifest);
    }
    nadb_buf_clear(&c->links);
    nadb_free(c);
}

/* Manifest and file must agree. */
static nadb_rc check_file(const backup_link *l, const char *path,
                          uint64_t bytes, nadb_err *err) {
    uint64_t rows, deleted;

    backup_rows_count(l->rows, &rows, &deleted);
    if (rows == l->manifest.rows && deleted == l->manifest.deleted &&
        bytes == l->manifest.bytes)
        return NADB_OK;
    return nadb_corrupt(err,
                        "backup %s in %s is damaged: its rows are not those "
                        "that its BACKUP names",
                        l->manifest.id, path);
}

static nadb_rc open_link(const backup_folder *f, const char *id,
                         const char *part, backup_link *l, nadb_err *err) {
    nadb_file *file = NULL;
    uint64_t bytes = 0;
    nadb_rc rc = backup_folder_manifest(f, id, part, &l->manifest, err);

    if (rc == NADB_OK && l->manifest.type == BACKUP_DATABASE)
        rc = nadb_fail(err, NADB_INVALID,
                       "backup %s is of a whole database: restore it with "
                       "nadb_restore_database()",
                       id);
    if (rc == NADB_OK)
        rc = backup_folder_file(f, id, part, BACKUP_ROWS, &file, err);
    if (rc == NADB_OK) {
        rc = nadb_os_get()->size(file, &bytes, err);
        if (rc == NADB_OK)
            rc = backup_rows_open(file, &l->rows, err);
        else
            nadb_os_get()->close(file);
    }
    if (rc == NADB_OK) rc = check_file(l, backup_folder_path(f), bytes, err);
    return rc;
}

/* Opens the parent of a link; it must be the one that its child names. */
static nadb_rc open_parent(const backup_folder *f, const backup_manifest *child,
                           backup_link *l, nadb_err *err) {
    bool has;
    nadb_rc rc = backup_folder_has(f, child->parent, &has, err);

    if (rc == NADB_OK && !has)
        rc = nadb_fail(err, NADB_CANTOPEN,
                       "backup %s needs its parent %s, which is not in %s",
                       child->id, child->parent, backup_folder_path(f));
    if (rc == NADB_OK) rc = open_link(f, child->parent, NULL, l, err);
    if (rc == NADB_OK && strcmp(l->manifest.sha256, child->parent_sha256) != 0)
        rc = nadb_corrupt(err,
                          "backup %s in %s is not the one from which %s was "
                          "made",
                          child->parent, backup_folder_path(f), child->id);
    return rc;
}

static nadb_rc open_links(backup_chain *c, const backup_folder *f,
                          const char *id, const char *part, nadb_err *err) {
    nadb_rc rc = NADB_OK;
    bool more = true;

    while (rc == NADB_OK && more) {
        size_t n = backup_chain_links(c);
        backup_link l;

        memset(&l, 0, sizeof l);
        if (n == LINKS_MAX)
            return nadb_corrupt(err, "backup %s has more than %u parents", id,
                                LINKS_MAX - 1);
        rc = n == 0 ? open_link(f, id, part, &l, err)
                    : open_parent(f, &backup_chain_link(c, n - 1)->manifest, &l,
                                  err);
        more = l.manifest.parent[0] != '\0';
        if (!nadb_buf_append(&c->links, &l, sizeof l)) {
            backup_rows_close(l.rows);
            backup_manifest_clear(&l.manifest);
            return rc != NADB_OK ? rc : no_memory(err);
        }
    }
    return rc;
}

nadb_rc backup_chain_open(const backup_folder *f, const char *id,
                          const char *part, backup_chain **out, nadb_err *err) {
    backup_chain *c = nadb_calloc(1, sizeof *c);
    bool has = true;
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (c == NULL) return no_memory(err);
    rc = backup_folder_has(f, id, &has, err);
    if (rc == NADB_OK && !has)
        rc = nadb_fail(err, NADB_CANTOPEN, "there is no backup %s in %s", id,
                       backup_folder_path(f));
    if (rc == NADB_OK) rc = open_links(c, f, id, part, err);
    if (rc == NADB_OK)
        *out = c;
    else
        backup_chain_close(c);
    return rc;
}

nadb_rc backup_chain_iter(const backup_chain *c, const nadb_range *range,
                          bool prints, bool tombstones, nadb_iter **out,
                          nadb_err *err) {
    size_t n = backup_chain_links(c);
    nadb_iter **list = nadb_calloc(n, sizeof(nadb_iter *));
    size_t made = 0;
    nadb_rc rc = list == NULL ? no_memory(err) : NADB_OK;

    *out = NULL;
    while (rc == NADB_OK && made < n) {
        rc = backup_rows_iter(backup_chain_link(c, made)->rows, range, prints,
                              &list[made], err);
        if (rc == NADB_OK) made++;
    }
    if (rc == NADB_OK && n == 1 &&
        (tombstones || backup_chain_link(c, 0)->manifest.deleted == 0)) {
        *out = list[0]; /* nothing to merge, and no tombstones to leave out */
        made = 0;
    } else if (rc == NADB_OK) {
        rc = nadb_merge(list, n, range, tombstones, out, err);
        made = 0;
    }
    while (made > 0) nadb_iter_free(list[--made]);
    nadb_free(list);
    return rc;
}
