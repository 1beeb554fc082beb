/* os_test.c - the table of the test library (see os_test.h). */
#include "os_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "../../core/util/os_posix.h"
#include "paths.h"
#include "power.h"

/* --- clock and boot --- */

static _Atomic int64_t clock_ahead_ms, passed_ms;
static _Atomic uint64_t boots;

void test_os_advance_clock(int64_t ms) { clock_ahead_ms += ms; }

void test_os_pass_time(int64_t ms) {
    clock_ahead_ms += ms;
    passed_ms += ms;
}

void test_os_new_boot(void) { boots++; }

static int64_t os_now_ms(void) {
    return nadb_os_posix.now_ms() + clock_ahead_ms;
}

static int64_t os_mono_ns(void) {
    return nadb_os_posix.mono_ns() + passed_ms * 1000000;
}

static nadb_rc os_boot_id(uint8_t out[16], nadb_err *err) {
    nadb_rc rc = nadb_os_posix.boot_id(out, err);

    if (rc == NADB_OK)
        for (int i = 0; i < 8; i++) out[i] ^= (uint8_t)(boots >> (8 * i));
    return rc;
}

/* --- faults --- */

typedef enum fault_class {
    F_OPEN,
    F_PREAD,
    F_PWRITE,
    F_SYNC,
    F_TRUNCATE,
    F_RESERVE,
    F_MAP,
    F_RENAME,
    F_UNLINK,
    F_MKDIR,
    F_SYNC_DIR,
    F_LOCK,
    F_STAT,
    F_LIST,
    F_MALLOC,
    F_ANY, /* not a class of calls: stands for all but malloc */
    F_COUNT
} fault_class;

static const char *const class_names[F_COUNT] = {
    [F_OPEN] = "open",   [F_PREAD] = "pread",       [F_PWRITE] = "pwrite",
    [F_SYNC] = "sync",   [F_TRUNCATE] = "truncate", [F_RESERVE] = "reserve",
    [F_MAP] = "map",     [F_RENAME] = "rename",     [F_UNLINK] = "unlink",
    [F_MKDIR] = "mkdir", [F_LOCK] = "lock",         [F_SYNC_DIR] = "sync_dir",
    [F_STAT] = "stat",   [F_LIST] = "list",         [F_MALLOC] = "malloc",
    [F_ANY] = "any",
};

#define SHORT_WRITE (-1)

static const struct {
    const char *name;
    int value;
} errno_names[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC},     {"EDQUOT", EDQUOT},
    {"EMFILE", EMFILE}, {"ENFILE", ENFILE},     {"ENOMEM", ENOMEM},
    {"EACCES", EACCES}, {"EROFS", EROFS},       {"ENOENT", ENOENT},
    {"ENOLCK", ENOLCK}, {"SHORT", SHORT_WRITE},
};

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int fault_armed = F_COUNT; /* F_COUNT: none; read without lock */
static struct {
    uint64_t nth;
    int value;
    bool persistent;
    uint64_t calls;
    uint64_t fired;
    char path_part[256]; /* empty: any path */
} fault;                 /* guarded by fault_lock */

bool test_fault_set(const char *cls, uint64_t nth, const char *errno_name,
                    bool persistent, const char *path_part) {
    int c = 0;
    size_t e = 0;

    while (c < F_COUNT && strcmp(class_names[c], cls) != 0) c++;
    while (e < sizeof errno_names / sizeof errno_names[0] &&
           strcmp(errno_names[e].name, errno_name) != 0)
        e++;
    if (c == F_COUNT || e == sizeof errno_names / sizeof errno_names[0])
        return false;
    if (path_part == NULL) path_part = "";
    if (strlen(path_part) >= sizeof fault.path_part) return false;
    pthread_mutex_lock(&fault_lock);
    memset(&fault, 0, sizeof fault);
    fault.nth = nth;
    fault.value = errno_names[e].value;
    fault.persistent = persistent;
    memcpy(fault.path_part, path_part, strlen(path_part) + 1);
    atomic_store(&fault_armed, c);
    pthread_mutex_unlock(&fault_lock);
    return true;
}

void test_fault_clear(uint64_t *calls, uint64_t *fired) {
    pthread_mutex_lock(&fault_lock);
    atomic_store(&fault_armed, F_COUNT);
    if (calls != NULL) *calls = fault.calls;
    if (fired != NULL) *fired = fault.fired;
    memset(&fault, 0, sizeof fault);
    pthread_mutex_unlock(&fault_lock);
}

/* Counts the call; the errno it is to fail with (or SHORT_WRITE), or 0. */
static int fault_of(fault_class cls, const char *path) {
    int armed = atomic_load_explicit(&fault_armed, memory_order_relaxed);
    int value = 0;

    if (armed != (int)cls && (armed != F_ANY || cls == F_MALLOC)) return 0;
    pthread_mutex_lock(&fault_lock);
    armed = atomic_load(&fault_armed);
    if ((armed == (int)cls || (armed == F_ANY && cls != F_MALLOC)) &&
        strstr(path, fault.path_part) != NULL) {
        fault.calls++;
        if (fault.nth > 0 && (fault.calls == fault.nth ||
                              (fault.persistent && fault.calls > fault.nth))) {
            fault.fired++;
            value = fault.value;
        }
    }
    pthread_mutex_unlock(&fault_lock);
    return value;
}

/* As fault_of(), and makes the error: "<what> <path>: <cause>". */
static nadb_rc fail_if_told(fault_class cls, const char *what, const char *path,
                            nadb_err *err) {
    int e = fault_of(cls, path);

    if (e == 0) return NADB_OK;
    return nadb_fail_errno(err, e == SHORT_WRITE ? ENOSPC : e, "%s %s", what,
                           path);
}

bool test_fault_malloc(void) { return fault_of(F_MALLOC, "") != 0; }

/* --- a small disk --- */

static atomic_bool disk_limited;
static struct {
    uint64_t bytes;
    char folder[512];
} disk; /* guarded by fault_lock */

bool test_disk_set(const char *folder, uint64_t bytes) {
    if (folder != NULL && strlen(folder) >= sizeof disk.folder) return false;
    pthread_mutex_lock(&fault_lock);
    if (folder != NULL) memcpy(disk.folder, folder, strlen(folder) + 1);
    disk.bytes = bytes;
    atomic_store(&disk_limited, folder != NULL);
    pthread_mutex_unlock(&fault_lock);
    return true;
}

static uint64_t blocks(uint64_t bytes) { return (bytes + 4095) / 4096; }

static nadb_rc add_blocks(void *ctx, const char *name, nadb_err *err) {
    char *path = nadb_path_join(disk.folder, name);
    nadb_stat st;

    if (path != NULL && nadb_os_posix.stat_path(path, &st, err) == NADB_OK &&
        st.kind == NADB_KIND_FILE)
        *(uint64_t *)ctx += blocks(st.size);
    nadb_free(path);
    return NADB_OK;
}

/* Whether the disk has room for the file to reach `end`. */
static nadb_rc disk_allows(nadb_file *f, uint64_t end, nadb_err *err) {
    uint64_t size = 0, used = 0;
    bool fits = true;

    if (!atomic_load(&disk_limited)) return NADB_OK;
    pthread_mutex_lock(&fault_lock);
    if (strncmp(f->path, disk.folder, strlen(disk.folder)) == 0 &&
        nadb_os_posix.size(f, &size, NULL) == NADB_OK && end > size) {
        (void)!path_list(&nadb_os_posix, disk.folder, add_blocks, &used, NULL);
        used += blocks(end) - blocks(size);
        fits = blocks(end) == blocks(size) || used <= disk.bytes / 4096;
    }
    pthread_mutex_unlock(&fault_lock);
    if (fits) return NADB_OK;
    return nadb_fail_errno(err, ENOSPC, "writing %s", f->path);
}

/* --- files --- */

static void record_file(power_kind kind, nadb_file *f, uint64_t off,
                        const void *data, size_t n) {
    nadb_stat st;

    if (nadb_os_posix.fstat(f, &st, NULL) == NADB_OK)
        power_file(kind, &st, off, data, n);
}

/* "dir/name" as messages, faults and the recorder have it; tests need no long
 * names. */
static const char *joined(char path[1024], const nadb_dir *d,
                          const char *name) {
    snprintf(path, 1024, "%s/%s", d->path, name);
    return path;
}

static nadb_rc os_open(nadb_dir *d, const char *name, unsigned flags,
                       uint32_t mode, nadb_file **out, nadb_err *err) {
    nadb_stat before = {0};
    nadb_stat st;
    char path[1024];
    bool rec;
    nadb_rc rc;

    *out = NULL;
    rc = fail_if_told(F_OPEN, "cannot open", joined(path, d, name), err);
    if (rc != NADB_OK) return rc;
    rec = power_enter();
    if (rec) (void)!nadb_os_posix.stat(d, name, &before, NULL);
    rc = nadb_os_posix.open(d, name, flags, mode, out, err);
    if (rec && rc == NADB_OK && before.kind == NADB_KIND_NONE &&
        nadb_os_posix.fstat(*out, &st, NULL) == NADB_OK)
        power_created(path, &st);
    power_leave(rec);
    return rc;
}

static nadb_rc os_pread(nadb_file *f, void *p, size_t n, uint64_t off,
                        nadb_err *err) {
    nadb_rc rc = fail_if_told(F_PREAD, "reading", f->path, err);

    if (rc != NADB_OK) return rc;
    return nadb_os_posix.pread(f, p, n, off, err);
}

static nadb_rc os_pwrite(nadb_file *f, const void *p, size_t n, uint64_t off,
                         nadb_err *err) {
    int e = fault_of(F_PWRITE, f->path);
    size_t todo = e == SHORT_WRITE ? n / 2 : n;
    nadb_rc rc = NADB_OK;
    bool rec;

    if (e == 0) rc = disk_allows(f, off + n, err);
    if (rc != NADB_OK) return rc;
    if (e == 0 || e == SHORT_WRITE) {
        rec = power_enter();
        rc = nadb_os_posix.pwrite(f, p, todo, off, err);
        if (rec && rc == NADB_OK) record_file(POWER_WRITE, f, off, p, todo);
        power_leave(rec);
    }
    if (rc != NADB_OK || e == 0) return rc;
    return nadb_fail_errno(err, e == SHORT_WRITE ? ENOSPC : e, "writing %s",
                           f->path);
}

/* What a log has is nobody's to recover: a power cut leaves it alone. */
static nadb_rc os_append(nadb_file *f, const void *p, size_t n, nadb_err *err) {
    int e = fault_of(F_PWRITE, f->path);
    nadb_rc rc = NADB_OK;

    if (e == 0 || e == SHORT_WRITE)
        rc = nadb_os_posix.append(f, p, e == 0 ? n : n / 2, err);
    if (rc != NADB_OK || e == 0) return rc;
    return nadb_fail_errno(err, e == SHORT_WRITE ? ENOSPC : e, "writing %s",
                           f->path);
}

static nadb_rc os_sync(nadb_file *f, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_SYNC, "syncing", f->path, err);
    bool rec;

    if (rc != NADB_OK) return rc;
    rec = power_enter();
    rc = nadb_os_posix.sync(f, err);
    if (rec && rc == NADB_OK) record_file(POWER_SYNC, f, 0, NULL, 0);
    power_leave(rec);
    return rc;
}

static nadb_rc os_truncate(nadb_file *f, uint64_t size, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_TRUNCATE, "truncating", f->path, err);
    bool rec;

    if (rc != NADB_OK) return rc;
    rec = power_enter();
    rc = nadb_os_posix.truncate(f, size, err);
    if (rec && rc == NADB_OK) record_file(POWER_TRUNCATE, f, size, NULL, 0);
    power_leave(rec);
    return rc;
}

static nadb_rc os_reserve(nadb_file *f, uint64_t off, uint64_t end,
                          nadb_err *err) {
    nadb_rc rc = fail_if_told(F_RESERVE, "reserving space for", f->path, err);
    bool rec;

    if (rc == NADB_OK) rc = disk_allows(f, end, err);
    if (rc != NADB_OK) return rc;
    rec = power_enter();
    rc = nadb_os_posix.reserve(f, off, end, err);
    if (rec && rc == NADB_OK) record_file(POWER_RESERVE, f, end, NULL, 0);
    power_leave(rec);
    return rc;
}

/* --- mappings and locks --- */

static nadb_rc os_map(nadb_file *f, uint64_t n, bool writable, void **out,
                      nadb_err *err) {
    nadb_rc rc = fail_if_told(F_MAP, "mapping", f->path, err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    return nadb_os_posix.map(f, n, writable, out, err);
}

static nadb_rc os_map_private(uint64_t n, void **out, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_MAP, "mapping", "memory", err);

    *out = NULL;
    if (rc != NADB_OK) return rc;
    return nadb_os_posix.map_private(n, out, err);
}

static nadb_rc os_lock_byte(nadb_file *f, uint64_t byte, bool *got,
                            nadb_err *err) {
    nadb_rc rc = fail_if_told(F_LOCK, "locking", f->path, err);

    *got = false;
    if (rc != NADB_OK) return rc;
    return nadb_os_posix.lock_byte(f, byte, got, err);
}

static nadb_rc os_lock_byte_wait(nadb_file *f, uint64_t byte,
                                 int64_t timeout_ms, bool *got, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_LOCK, "locking", f->path, err);

    *got = false;
    if (rc != NADB_OK) return rc;
    return nadb_os_posix.lock_byte_wait(f, byte, timeout_ms, got, err);
}

/* --- directories and names --- */

/* As the recorder knows it: without the ends that test_os_opener() gives. */
static nadb_rc os_dir_open(const char *path, nadb_dir **out, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_OPEN, "cannot open", path, err);
    size_t n = strlen(path);
    char plain[1024];

    *out = NULL;
    if (rc != NADB_OK) return rc;
    while (n > 2 && strncmp(path + n - 2, "/.", 2) == 0) n -= 2;
    if (n >= sizeof plain) return nadb_os_posix.dir_open(path, out, err);
    memcpy(plain, path, n);
    plain[n] = '\0';
    return nadb_os_posix.dir_open(plain, out, err);
}

static nadb_rc os_dir_enter(nadb_dir *in, const char *name, nadb_dir **out,
                            nadb_err *err) {
    char path[1024];
    nadb_rc rc =
        fail_if_told(F_OPEN, "cannot open", joined(path, in, name), err);

    *out = NULL;
    return rc == NADB_OK ? nadb_os_posix.dir_enter(in, name, out, err) : rc;
}

static nadb_rc os_dir_up(nadb_dir *d, nadb_dir **out, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_OPEN, "cannot open", d->path, err);

    *out = NULL;
    return rc == NADB_OK ? nadb_os_posix.dir_up(d, out, err) : rc;
}

static nadb_rc os_dir_make(nadb_dir *in, const char *name,
                           const nadb_stat *like, nadb_dir **out,
                           nadb_err *err) {
    char path[1024];
    nadb_rc rc = fail_if_told(F_MKDIR, "cannot create directory",
                              joined(path, in, name), err);
    bool rec;

    *out = NULL;
    if (rc != NADB_OK) return rc;
    rec = power_enter();
    rc = nadb_os_posix.dir_make(in, name, like, out, err);
    if (rec && rc == NADB_OK) power_name(POWER_MKDIR, path, NULL);
    power_leave(rec);
    return rc;
}

static nadb_rc os_dir_sync(nadb_dir *d, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_SYNC_DIR, "syncing directory", d->path, err);
    bool rec;

    if (rc != NADB_OK) return rc;
    rec = power_enter();
    rc = nadb_os_posix.dir_sync(d, err);
    if (rec && rc == NADB_OK) power_name(POWER_SYNC_DIR, d->path, NULL);
    power_leave(rec);
    return rc;
}

static _Atomic(const char *) network_kind;

void test_os_network(const char *kind) { atomic_store(&network_kind, kind); }

static nadb_rc os_dir_network(nadb_dir *d, const char **name, nadb_err *err) {
    nadb_rc rc = nadb_os_posix.dir_network(d, name, err);
    const char *kind = atomic_load(&network_kind);

    if (rc == NADB_OK && kind != NULL) *name = kind;
    return rc;
}

static nadb_rc os_dir_stat(nadb_dir *d, nadb_stat *out, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_STAT, "cannot stat", d->path, err);

    memset(out, 0, sizeof *out);
    return rc == NADB_OK ? nadb_os_posix.dir_stat(d, out, err) : rc;
}

static nadb_rc os_dir_list(nadb_dir *d,
                           nadb_rc (*each)(void *ctx, const char *name,
                                           nadb_err *err),
                           void *ctx, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_LIST, "cannot list", d->path, err);

    return rc == NADB_OK ? nadb_os_posix.dir_list(d, each, ctx, err) : rc;
}

static nadb_rc os_stat(nadb_dir *d, const char *name, nadb_stat *out,
                       nadb_err *err) {
    char path[1024];
    nadb_rc rc =
        fail_if_told(F_STAT, "cannot stat", joined(path, d, name), err);

    memset(out, 0, sizeof *out);
    return rc == NADB_OK ? nadb_os_posix.stat(d, name, out, err) : rc;
}

static nadb_rc os_stat_path(const char *path, nadb_stat *out, nadb_err *err) {
    nadb_rc rc = fail_if_told(F_STAT, "cannot stat", path, err);

    memset(out, 0, sizeof *out);
    return rc == NADB_OK ? nadb_os_posix.stat_path(path, out, err) : rc;
}

static nadb_rc os_rmdir(nadb_dir *d, const char *name, nadb_err *err) {
    char path[1024];
    nadb_rc rc = fail_if_told(F_UNLINK, "cannot remove directory",
                              joined(path, d, name), err);
    bool rec;

    if (rc != NADB_OK) return rc;
    rec = power_enter();
    rc = nadb_os_posix.rmdir(d, name, err);
    if (rec && rc == NADB_OK) power_name(POWER_RMDIR, path, NULL);
    power_leave(rec);
    return rc;
}

static nadb_rc os_unlink(nadb_dir *d, const char *name, nadb_err *err) {
    char path[1024];
    nadb_rc rc =
        fail_if_told(F_UNLINK, "cannot remove", joined(path, d, name), err);
    bool rec;

    if (rc != NADB_OK) return rc;
    rec = power_enter();
    rc = nadb_os_posix.unlink(d, name, err);
    if (rec && rc == NADB_OK) power_name(POWER_UNLINK, path, NULL);
    power_leave(rec);
    return rc;
}

static nadb_rc os_rename(nadb_dir *d, const char *from, const char *to,
                         nadb_err *err) {
    char path[1024], target[1024];
    nadb_rc rc =
        fail_if_told(F_RENAME, "cannot rename", joined(path, d, from), err);
    bool rec;

    if (rc != NADB_OK) return rc;
    rec = power_enter();
    rc = nadb_os_posix.rename(d, from, to, err);
    if (rec && rc == NADB_OK)
        power_name(POWER_RENAME, path, joined(target, d, to));
    power_leave(rec);
    return rc;
}

/* --- openers --- */

static _Atomic int opener;

void test_os_opener(int n) { atomic_store(&opener, n); }

/* A process knows its stores by the real names of their directories. */
static nadb_rc os_realpath(const char *path, nadb_buf *out, nadb_err *err) {
    nadb_rc rc = nadb_os_posix.realpath(path, out, err);

    for (int i = atomic_load(&opener); i > 0 && rc == NADB_OK; i--) {
        if (nadb_buf_append(out, "/.", 3))
            out->n--; /* the NUL */
        else
            rc = nadb_fail(err, NADB_NOMEM, "resolving %s", path);
    }
    return rc;
}

/* --- the table --- */

static nadb_os table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void) {
    table = nadb_os_posix;
    table.dir_open = os_dir_open;
    table.dir_enter = os_dir_enter;
    table.dir_up = os_dir_up;
    table.dir_make = os_dir_make;
    table.dir_sync = os_dir_sync;
    table.dir_network = os_dir_network;
    table.dir_stat = os_dir_stat;
    table.dir_list = os_dir_list;
    table.stat = os_stat;
    table.unlink = os_unlink;
    table.rmdir = os_rmdir;
    table.rename = os_rename;
    table.stat_path = os_stat_path;
    table.open = os_open;
    table.pread = os_pread;
    table.pwrite = os_pwrite;
    table.append = os_append;
    table.sync = os_sync;
    table.truncate = os_truncate;
    table.reserve = os_reserve;
    table.map = os_map;
    table.map_private = os_map_private;
    table.lock_byte = os_lock_byte;
    table.lock_byte_wait = os_lock_byte_wait;
    table.realpath = os_realpath;
    table.now_ms = os_now_ms;
    table.mono_ns = os_mono_ns;
    table.boot_id = os_boot_id;
}

const nadb_os *nadb_os_get(void) {
    pthread_once(&table_once, fill_table);
    return &table;
}
