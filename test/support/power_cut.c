/* power_cut.c - builds the tree that a power cut leaves (os_test.h).
 *
 * Two passes over the events before the cut. Names: which path leads to which
 * inode, by the changes of names that survive. Then, for each inode that still
 * has a name, its bytes by the writes that survive. A change survives for sure
 * if a later sync covers it; the seed decides about the others. Because a sync
 * covers everything before it, the sure changes of one object come first. */
#include <stdio.h>
#include <stdlib.h>

#include "../../core/util/os_posix.h"
#include "paths.h"
#include "power.h"

#define SECTOR ((size_t)512)
#define NOTHING (-1) /* a path that leads nowhere */
#define A_DIR (-2)   /* a path that is a directory */

typedef struct cut {
    const power_log *log;
    size_t end;    /* events before the cut */
    uint64_t seed; /* 0 none, 1 all, else chance */
    uint64_t rng;
    bool file_sync_names; /* syncing a new file makes its name durable */
    bool names_in_order;  /* a directory keeps a prefix of its changes */
    int *at;              /* by path: an inode, NOTHING or A_DIR */
    size_t *dir_sync;     /* by path: behind its last sync_dir, or 0 */
    size_t *inode_sync;   /* by inode: behind its last sync, or 0 */
    bool *dir_stopped;    /* by path: names_in_order has met a loss */
    const char *target;
} cut;

static void *must(void *p) {
    if (p == NULL) {
        fprintf(stderr, "power_cut.c: out of memory\n");
        abort();
    }
    return p;
}

static uint64_t roll(cut *c, uint64_t sides) {
    uint64_t in[2] = {c->seed, c->rng++};

    return nadb_hash64(nadb_slice_of(in, sizeof in)) % sides;
}

/* Whether a change that no sync covers survives. */
static bool chance(cut *c) {
    return c->seed == 1 || (c->seed > 1 && roll(c, 2));
}

static int find_path(const power_log *log, const char *path, size_t n) {
    for (size_t i = 0; i < log->path_count; i++)
        if (strlen(log->paths[i]) == n && memcmp(log->paths[i], path, n) == 0)
            return (int)i;
    return -1;
}

/* The interned directory of a path, -1 if no event and no start name has it. */
static int parent_of(const power_log *log, int path) {
    const char *text = log->paths[path];
    const char *slash = strrchr(text, '/');

    return slash == NULL ? -1 : find_path(log, text, (size_t)(slash - text));
}

/* --- names --- */

static bool dir_synced_after(const cut *c, int dir, size_t event) {
    return dir >= 0 && c->dir_sync[dir] > event;
}

static bool name_survives(cut *c, size_t i) {
    const power_event *e = &c->log->events[i];
    int dir = parent_of(c->log, e->path);
    bool sure = dir_synced_after(c, dir, i);

    if (e->kind == POWER_RENAME)
        sure = sure && dir_synced_after(c, parent_of(c->log, e->to), i);
    if (e->kind == POWER_CREATE && c->file_sync_names)
        sure = sure || c->inode_sync[e->inode] > i;
    if (sure) return true;
    if (c->names_in_order && dir >= 0 && c->dir_stopped[dir]) return false;
    if (chance(c)) return true;
    if (dir >= 0) c->dir_stopped[dir] = true;
    return false;
}

static void apply_name(cut *c, const power_event *e) {
    switch (e->kind) {
    case POWER_CREATE:
        c->at[e->path] = e->inode;
        break;
    case POWER_MKDIR:
        c->at[e->path] = A_DIR;
        break;
    case POWER_UNLINK:
    case POWER_RMDIR:
        c->at[e->path] = NOTHING;
        break;
    case POWER_RENAME:
        if (c->at[e->path] == e->inode) c->at[e->path] = NOTHING;
        c->at[e->to] = e->inode;
        break;
    default:
        break;
    }
}

static void rebuild_names(cut *c) {
    const power_log *log = c->log;

    for (size_t i = 0; i < log->path_count; i++) c->at[i] = NOTHING;
    for (size_t i = 0; i < log->name_count; i++)
        c->at[log->names[i].path] =
            log->names[i].inode < 0 ? A_DIR : log->names[i].inode;
    for (size_t i = 0; i < c->end; i++) {
        const power_event *e = &log->events[i];

        if (e->kind > POWER_RMDIR) continue;
        if (name_survives(c, i)) apply_name(c, e);
    }
}

/* --- bytes --- */

typedef struct image {
    uint8_t *p;
    size_t n;
    size_t cap;
} image;

static void image_resize(image *m, size_t n) {
    if (n > m->cap) {
        m->cap = n + n / 2;
        m->p = must(realloc(m->p, m->cap));
    }
    if (n > m->n) memset(m->p + m->n, 0, n - m->n);
    m->n = n;
}

static void image_write(image *m, size_t off, const uint8_t *p, size_t n) {
    if (n == 0) return;
    if (off + n > m->n) image_resize(m, off + n);
    memcpy(m->p + off, p, n);
}

/* Each sector of the write by chance; the disk does not know of writes. */
static void write_torn(cut *c, image *m, const power_event *e) {
    size_t done = 0;

    while (done < e->n) {
        size_t off = (size_t)e->off + done;
        size_t n = SECTOR - off % SECTOR;

        if (n > e->n - done) n = e->n - done;
        if (roll(c, 2)) image_write(m, off, e->data + done, n);
        done += n;
    }
}

static void apply_bytes(cut *c, image *m, const power_event *e, bool sure) {
    size_t off = (size_t)e->off;

    if (e->kind == POWER_WRITE && !sure && c->seed > 1 && roll(c, 3) == 0) {
        write_torn(c, m, e);
        return;
    }
    if (!sure && !chance(c)) return;
    if (e->kind == POWER_WRITE) image_write(m, off, e->data, e->n);
    if (e->kind == POWER_TRUNCATE) image_resize(m, off);
    if (e->kind == POWER_RESERVE && off > m->n) image_resize(m, off);
}

static size_t size_after(const power_event *e, size_t size) {
    size_t end = (size_t)e->off + e->n;

    if (e->kind == POWER_TRUNCATE) return end;
    return e->kind == POWER_SYNC || end <= size ? size : end;
}

static void rebuild_bytes(cut *c, int inode, image *m) {
    const power_inode *from = &c->log->inodes[inode];
    size_t seen = from->n;    /* the size as a process saw it at the cut */
    size_t durable = from->n; /* the size at the last sync */

    image_write(m, 0, from->data, from->n);
    for (size_t i = 0; i < c->end; i++) {
        const power_event *e = &c->log->events[i];
        bool sure = i < c->inode_sync[inode];

        if (e->inode != inode || e->kind < POWER_WRITE) continue;
        seen = size_after(e, seen);
        if (sure) durable = seen;
        apply_bytes(c, m, e, sure);
    }
    if (c->seed <= 1) return;
    /* The size is metadata, and may be older or newer than the data. */
    switch (roll(c, 4)) {
    case 0:
        image_resize(m, seen);
        break;
    case 1:
        image_resize(m, durable);
        break;
    default:
        break;
    }
}

/* --- the target --- */

static nadb_rc remove_tree(const char *path, nadb_err *err);

static nadb_rc remove_name(void *ctx, const char *name, nadb_err *err) {
    char *path = must(nadb_path_join(ctx, name));
    nadb_rc rc = remove_tree(path, err);

    nadb_free(path);
    return rc;
}

static nadb_rc remove_tree(const char *path, nadb_err *err) {
    nadb_stat st;
    nadb_rc rc = nadb_os_posix.stat_path(path, &st, err);

    if (rc != NADB_OK || st.kind == NADB_KIND_NONE) return rc;
    if (st.kind != NADB_KIND_DIR) return path_unlink(&nadb_os_posix, path, err);
    rc = path_list(&nadb_os_posix, path, remove_name, (void *)(uintptr_t)path,
                   err);
    if (rc != NADB_OK) return rc;
    return path_rmdir(&nadb_os_posix, path, err);
}

static nadb_rc put_file(cut *c, int inode, const char *path, nadb_err *err) {
    image m = {NULL, 0, 0};
    nadb_file *f = NULL;
    nadb_rc rc;

    rebuild_bytes(c, inode, &m);
    rc = path_open(&nadb_os_posix, path, NADB_OPEN_WRITE | NADB_OPEN_CREATE,
                   c->log->inodes[inode].mode, &f, err);
    if (rc == NADB_OK) rc = nadb_os_posix.pwrite(f, m.p, m.n, 0, err);
    nadb_os_posix.close(f);
    free(m.p);
    return rc;
}

/* Makes what the path leads to, if its directory is there. */
static nadb_rc put_name(cut *c, int i, nadb_err *err) {
    size_t root = strlen(c->log->root);
    const char *path = c->log->paths[i];
    int dir = parent_of(c->log, i);
    char *to;
    nadb_rc rc;

    if (path[root] == '\0' || c->at[i] == NOTHING) return NADB_OK;
    if (dir >= 0 && c->log->paths[dir][root] != '\0' && c->at[dir] != A_DIR) {
        c->at[i] = NOTHING; /* nor can anything be below it */
        return NADB_OK;
    }
    to = must(nadb_path_join(c->target, path + root + 1));
    if (c->at[i] == A_DIR)
        rc = path_mkdir(&nadb_os_posix, to, 0755, err);
    else
        rc = put_file(c, c->at[i], to, err);
    nadb_free(to);
    return rc;
}

static nadb_rc put_tree(cut *c, nadb_err *err) {
    size_t n = c->log->path_count;
    size_t done = 0;
    nadb_rc rc = remove_tree(c->target, err);

    if (rc == NADB_OK) rc = path_mkdir(&nadb_os_posix, c->target, 0755, err);
    /* Parents before children: shorter paths before longer ones. */
    for (size_t len = 0; rc == NADB_OK && done < n; len++) {
        for (size_t i = 0; rc == NADB_OK && i < n; i++) {
            if (strlen(c->log->paths[i]) != len) continue;
            rc = put_name(c, (int)i, err);
            done++;
        }
    }
    return rc;
}

nadb_rc test_power_cut(uint64_t event, uint64_t seed, const char *target,
                       nadb_err *err) {
    const power_log *log = power_log_borrow();
    cut c = {.log = log, .seed = seed, .target = target};
    nadb_rc rc;

    if (log == NULL) {
        power_log_release();
        return nadb_fail(err, NADB_INVALID, "no power recording");
    }
    c.end = event < log->event_count ? (size_t)event : log->event_count;
    c.file_sync_names = seed == 1 || (seed > 1 && roll(&c, 2));
    c.names_in_order = seed > 1 && roll(&c, 2);
    c.at = must(calloc(log->path_count + 1, sizeof *c.at));
    c.dir_sync = must(calloc(log->path_count + 1, sizeof *c.dir_sync));
    c.dir_stopped = must(calloc(log->path_count + 1, sizeof *c.dir_stopped));
    c.inode_sync = must(calloc(log->inode_count + 1, sizeof *c.inode_sync));
    for (size_t i = 0; i < c.end; i++) {
        const power_event *e = &log->events[i];

        if (e->kind == POWER_SYNC_DIR) c.dir_sync[e->path] = i;
        if (e->kind == POWER_SYNC) c.inode_sync[e->inode] = i;
    }
    rebuild_names(&c);
    rc = put_tree(&c, err);
    free(c.at);
    free(c.dir_sync);
    free(c.dir_stopped);
    free(c.inode_sync);
    power_log_release();
    return rc;
}
