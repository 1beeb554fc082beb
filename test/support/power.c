/* power.c - records what happens to a tree (os_test.h, "power cuts").
 *
 * The recording is a list of events in memory. Memory comes from the C
 * library, not from nadb_malloc(), so that a fault in the library's memory is
 * not one in the test's; running out of it here ends the process. */
#include "power.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../core/util/os_posix.h"
#include "paths.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool recording;
static power_log journal; /* guarded by lock */

static void *must(void *p) {
    if (p == NULL) {
        fprintf(stderr, "power.c: out of memory\n");
        abort();
    }
    return p;
}

/* Room for one more element behind `count`; capacities are powers of two. */
static void *grow(void *array, size_t count, size_t size) {
    if (count > 0 && (count & (count - 1)) != 0) return array;
    return must(realloc(array, (count == 0 ? 1 : count * 2) * size));
}

static uint8_t *copy_bytes(const void *p, size_t n) {
    uint8_t *copy = must(malloc(n == 0 ? 1 : n));

    if (n > 0) memcpy(copy, p, n);
    return copy;
}

static bool below_root(const char *path) {
    size_t n = strlen(journal.root);

    return strncmp(path, journal.root, n) == 0 &&
           (path[n] == '/' || path[n] == '\0');
}

static int intern(const char *path) {
    size_t n = strlen(path);

    for (size_t i = 0; i < journal.path_count; i++)
        if (strcmp(journal.paths[i], path) == 0) return (int)i;
    journal.paths =
        grow(journal.paths, journal.path_count, sizeof *journal.paths);
    journal.paths[journal.path_count] = (char *)copy_bytes(path, n + 1);
    return (int)journal.path_count++;
}

static power_event *add_event(power_kind kind) {
    power_event *e;

    journal.events =
        grow(journal.events, journal.event_count, sizeof *journal.events);
    e = &journal.events[journal.event_count++];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    e->inode = -1;
    e->path = -1;
    e->to = -1;
    return e;
}

static int add_inode(const nadb_stat *st) {
    power_inode *inode;

    journal.inodes =
        grow(journal.inodes, journal.inode_count, sizeof *journal.inodes);
    inode = &journal.inodes[journal.inode_count];
    memset(inode, 0, sizeof *inode);
    inode->dev = st->dev;
    inode->ino = st->ino;
    inode->mode = st->mode;
    return (int)journal.inode_count++;
}

/* The latest of that number, because numbers are used again after an unlink;
 * -1 for a file that is not below the root. */
static int find_inode(const nadb_stat *st) {
    for (size_t i = journal.inode_count; i-- > 0;)
        if (journal.inodes[i].ino == st->ino &&
            journal.inodes[i].dev == st->dev)
            return (int)i;
    return -1;
}

bool power_enter(void) {
    if (!atomic_load(&recording)) return false;
    pthread_mutex_lock(&lock);
    if (atomic_load(&recording)) return true;
    pthread_mutex_unlock(&lock);
    return false;
}

void power_leave(bool entered) {
    if (entered) pthread_mutex_unlock(&lock);
}

void power_created(const char *path, const nadb_stat *st) {
    power_event *e;
    int inode;

    if (!below_root(path)) return;
    inode = add_inode(st);
    e = add_event(POWER_CREATE);
    e->inode = inode;
    e->path = intern(path);
}

void power_file(power_kind kind, const nadb_stat *st, uint64_t off,
                const void *data, size_t n) {
    int inode = find_inode(st);
    power_event *e;

    if (inode < 0) return;
    e = add_event(kind);
    e->inode = inode;
    e->off = off;
    e->data = kind == POWER_WRITE ? copy_bytes(data, n) : NULL;
    e->n = n;
}

void power_name(power_kind kind, const char *path, const char *to) {
    power_event *e;
    nadb_stat st;

    if (!below_root(path)) return;
    e = add_event(kind);
    e->path = intern(path);
    if (kind != POWER_RENAME) return;
    e->to = intern(to);
    if (nadb_os_posix.stat_path(to, &st, NULL) == NADB_OK)
        e->inode = find_inode(&st);
}

/* --- start and stop --- */

static void clear_journal(void) {
    for (size_t i = 0; i < journal.event_count; i++)
        free(journal.events[i].data);
    for (size_t i = 0; i < journal.inode_count; i++)
        free(journal.inodes[i].data);
    for (size_t i = 0; i < journal.path_count; i++) free(journal.paths[i]);
    free(journal.events);
    free(journal.inodes);
    free(journal.paths);
    free(journal.names);
    free(journal.root);
    memset(&journal, 0, sizeof journal);
}

static nadb_rc snapshot_file(const char *path, int inode, nadb_err *err) {
    power_inode *to = &journal.inodes[inode];
    nadb_file *f = NULL;
    uint64_t size = 0;
    nadb_rc rc = path_open(&nadb_os_posix, path, NADB_OPEN_READ, 0, &f, err);

    if (rc == NADB_OK) rc = nadb_os_posix.size(f, &size, err);
    if (rc == NADB_OK) {
        to->n = (size_t)size;
        to->data = must(malloc(to->n == 0 ? 1 : to->n));
        rc = nadb_os_posix.pread(f, to->data, to->n, 0, err);
    }
    nadb_os_posix.close(f);
    return rc;
}

/* `ctx` is the directory. */
static nadb_rc snapshot_name(void *ctx, const char *name, nadb_err *err) {
    const char *dir = ctx;
    size_t room = strlen(dir) + strlen(name) + 2;
    char *path = must(malloc(room));
    power_start_name *entry;
    nadb_stat st;
    nadb_rc rc;

    snprintf(path, room, "%s/%s", dir, name);
    rc = nadb_os_posix.stat_path(path, &st, err);
    if (rc != NADB_OK || st.kind == NADB_KIND_NONE) goto done;
    journal.names =
        grow(journal.names, journal.name_count, sizeof *journal.names);
    entry = &journal.names[journal.name_count++];
    entry->path = intern(path);
    entry->inode = -1;
    if (st.kind == NADB_KIND_DIR) {
        rc = path_list(&nadb_os_posix, path, snapshot_name, path, err);
    } else {
        int inode = add_inode(&st);

        entry->inode = inode;
        rc = snapshot_file(path, inode, err);
    }
done:
    free(path);
    return rc;
}

nadb_rc test_power_start(const char *root, nadb_err *err) {
    nadb_buf path = NADB_BUF_INIT;
    nadb_stat st;
    nadb_rc rc = nadb_os_posix.realpath(root, &path, err);

    pthread_mutex_lock(&lock);
    atomic_store(&recording, false);
    clear_journal();
    if (rc != NADB_OK) goto done;
    journal.root = (char *)copy_bytes(path.p, path.n + 1);
    rc = nadb_os_posix.stat_path(journal.root, &st, err);
    if (rc == NADB_OK && st.kind == NADB_KIND_DIR)
        rc = path_list(&nadb_os_posix, journal.root, snapshot_name,
                       journal.root, err);
    if (rc != NADB_OK) clear_journal();
    atomic_store(&recording, rc == NADB_OK);
done:
    pthread_mutex_unlock(&lock);
    nadb_buf_clear(&path);
    return rc;
}

uint64_t test_power_events(void) {
    uint64_t n;

    pthread_mutex_lock(&lock);
    n = journal.event_count;
    pthread_mutex_unlock(&lock);
    return n;
}

void test_power_stop(void) {
    pthread_mutex_lock(&lock);
    atomic_store(&recording, false);
    pthread_mutex_unlock(&lock);
}

const power_log *power_log_borrow(void) {
    pthread_mutex_lock(&lock);
    return journal.root == NULL ? NULL : &journal;
}

void power_log_release(void) { pthread_mutex_unlock(&lock); }
