/* os_test.c - the system calls, their faults, and the power-cut recorder. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#ifdef __linux__
#include <sys/fsuid.h>
#endif
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../core/util/os.h"
#include "../../core/util/sync.h"
#include "../support/os_test.h"
#include "../support/paths.h"
#include "unit.h"

static const nadb_os *os;
static nadb_err err;
static nadb_dir *here; /* the test's directory */

enum { RW = NADB_OPEN_WRITE | NADB_OPEN_CREATE };

static nadb_file *must_open(const char *name, unsigned flags) {
    nadb_file *f = NULL;

    if (!CHECK_OK(path_open(os, unit_path(name), flags, 0644, &f, &err), err))
        unit_done(), exit(1);
    return f;
}

/* The whole file as text, "(none)" if there is none. */
static const char *content(const char *path) {
    static char text[4096];
    nadb_buf b = NADB_BUF_INIT;
    nadb_stat st;

    snprintf(text, sizeof text, "(none)");
    if (!CHECK_OK(os->stat_path(path, &st, &err), err)) return text;
    if (st.kind == NADB_KIND_NONE) return text;
    if (CHECK_OK(path_read(path, sizeof text - 1, &b, &err), err))
        snprintf(text, sizeof text, "%.*s", (int)b.n, (const char *)b.p);
    nadb_buf_clear(&b);
    return text;
}

/* --- files --- */

static void test_files(void) {
    mode_t before = umask(077);
    nadb_file *f = must_open("a", RW);
    nadb_file *again = NULL;
    char p[16];
    nadb_stat st;
    uint64_t size;

    umask(before);
    CHECK_OK(os->pwrite(f, "hello world", 11, 5, &err), err);
    CHECK_OK(os->pread(f, p, 11, 5, &err), err);
    CHECK(memcmp(p, "hello world", 11) == 0);
    CHECK(os->pread(f, p, 12, 5, &err) == NADB_CORRUPT);
    CHECK(strstr(err.msg, "file too short") != NULL);
    CHECK(os->pread(f, p, 1, UINT64_MAX, &err) == NADB_TOOBIG);
    CHECK(os->pwrite(f, p, 2, INT64_MAX, &err) == NADB_TOOBIG);
    CHECK_OK(os->sync(f, &err), err);
    CHECK_OK(os->truncate(f, 8, &err), err);
    CHECK_OK(os->size(f, &size, &err), err);
    CHECK_U64(size, 8);
    CHECK_OK(os->reserve(f, 0, 100000, &err), err);
    CHECK_OK(os->reserve(f, 0, 10, &err), err);
    CHECK_OK(os->fstat(f, &st, &err), err);
    CHECK_U64(st.size, 100000);
    CHECK_U64(st.mode, 0644); /* in spite of the umask */
    CHECK(st.kind == NADB_KIND_FILE && st.ino != 0);
    CHECK_STR(os->path(f), unit_path("a"));
    CHECK_OK(os->pread(f, p, 8, 0, &err), err);
    CHECK(memcmp(p + 5, "hel", 3) == 0);

    CHECK(path_open(os, unit_path("a"), RW | NADB_OPEN_EXCLUSIVE, 0600, &again,
                    &err) == NADB_CANTOPEN);
    CHECK(again == NULL && err.sys_errno == EEXIST);
    again = must_open("a", RW);
    CHECK_OK(os->fstat(again, &st, &err), err);
    CHECK_U64(st.mode, 0644);
    os->close(again);
    os->close(f);
    os->close(NULL);
}

static void test_open_failures(void) {
    char want[600];
    nadb_file *f = NULL;

    CHECK(path_open(os, unit_path("missing"), NADB_OPEN_WRITE, 0, &f, &err) ==
          NADB_CANTOPEN);
    CHECK(f == NULL && err.sys_errno == ENOENT);
    snprintf(want, sizeof want, "cannot open %s: No such file or directory",
             unit_path("missing"));
    CHECK_STR(err.msg, want);
    /* A link to nowhere: neither created through nor looped over. */
    REQUIRE(symlink("nowhere/at/all", unit_path("dangling")) == 0);
    CHECK(os->open(here, "dangling", RW, 0600, &f, &err) == NADB_CANTOPEN);
    CHECK(strstr(err.msg, "dangling is a symbolic link") != NULL);
    f = must_open("a", RW);
    os->close(f);
    f = must_open("a", NADB_OPEN_READ);
    CHECK(os->pwrite(f, "x", 1, 0, &err) == NADB_IOERR);
    CHECK(fcntl(3, F_GETFD) == -1 || (fcntl(3, F_GETFD) & FD_CLOEXEC) != 0);
    os->close(f);
}

static void test_mappings(void) {
    nadb_file *f = must_open("m", RW);
    nadb_file *g = must_open("m", NADB_OPEN_READ);
    void *w, *r, *z;

    CHECK_OK(os->reserve(f, 0, 8192, &err), err);
    REQUIRE_OK(os->map(f, 1 << 20, true, &w, &err), err);
    REQUIRE_OK(os->map(g, 8192, false, &r, &err), err);
    memcpy(w, "shared", 6);
    CHECK(memcmp(r, "shared", 6) == 0);
    CHECK(os->map(g, 8192, true, &z, &err) == NADB_CANTOPEN && z == NULL);
    CHECK(os->map(g, UINT64_MAX, false, &z, &err) == NADB_TOOBIG);
    os->unmap(w, 1 << 20);
    os->unmap(r, 8192);
    REQUIRE_OK(os->map_private(8192, &z, &err), err);
    CHECK(((uint8_t *)z)[8191] == 0);
    os->unmap(z, 8192);
    CHECK(os->map_private(UINT64_MAX, &z, &err) == NADB_NOMEM);
    os->unmap(NULL, 0);
    os->close(f);
    os->close(g);
}

/* --- locks --- */

static void test_byte_locks(void) {
    nadb_file *f = must_open("locks", RW);
    nadb_file *g = must_open("locks", RW);
    int64_t before;
    bool got, held;

    CHECK_OK(os->lock_byte(f, 5, &got, &err), err);
    CHECK(got);
    CHECK_OK(os->lock_byte(f, 5, &got, &err), err); /* ours: no harm */
    CHECK(got);
    CHECK_OK(os->lock_byte(g, 5, &got, &err), err);
    CHECK(!got);
    CHECK_OK(os->lock_byte(g, 6, &got, &err), err);
    CHECK(got);
    CHECK_OK(os->bytes_locked(g, 5, 1, &held, &err), err);
    CHECK(held);
    CHECK_OK(os->bytes_locked(f, 5, 1, &held, &err), err); /* not by another */
    CHECK(!held);
    before = os->mono_ns();
    CHECK_OK(os->lock_byte_wait(g, 5, 30, &got, &err), err);
    CHECK(!got && os->mono_ns() - before >= 29000000);
    os->unlock_byte(f, 5);
    CHECK_OK(os->lock_byte_wait(g, 5, INT64_MAX, &got, &err), err);
    CHECK(got);
    os->close(g); /* frees both */
    CHECK_OK(os->bytes_locked(f, 6, 1, &held, &err), err);
    CHECK(!held);
    os->close(f);
}

/* A lock dies with its process. */
static void test_lock_of_the_dead(void) {
    nadb_file *f = must_open("locks", RW);
    int ready[2];
    bool got, held;
    pid_t child;
    char c;

    REQUIRE(pipe(ready) == 0);
    child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        nadb_file *mine = must_open("locks", RW);

        if (os->lock_byte(mine, 9, &got, NULL) == NADB_OK && got &&
            write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    CHECK(read(ready[0], &c, 1) == 1);
    CHECK_OK(os->bytes_locked(f, 9, 1, &held, &err), err);
    CHECK(held);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK_OK(os->bytes_locked(f, 9, 1, &held, &err), err);
    CHECK(!held);
    close(ready[0]);
    close(ready[1]);
    os->close(f);
}

static uint32_t futex_word;

static void *set_word(void *arg) {
    __atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
    os->futex_wake(&futex_word, 1);
    return arg;
}

static void test_futex(void) {
    int64_t before = os->mono_ns();
    pthread_t t;

    os->futex_wait(&futex_word, 1, 60000); /* not equal: at once */
    os->futex_wait(&futex_word, 0, 20);
    CHECK(os->mono_ns() - before >= 15000000);
    REQUIRE_OK(nadb_thread_start(&t, "waker", set_word, NULL, &err), err);
    while (__atomic_load_n(&futex_word, __ATOMIC_SEQ_CST) == 0)
        os->futex_wait(&futex_word, 0, 60000);
    nadb_thread_join(t);
    CHECK(os->mono_ns() - before < INT64_C(30000000000));
}

/* --- names --- */

static nadb_rc count_name(void *ctx, const char *name, nadb_err *e) {
    int *n = ctx;

    (void)e;
    CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    return ++*n == 99 ? NADB_FULL : NADB_OK;
}

static void test_names(void) {
    nadb_dir *d = NULL, *again = NULL;
    nadb_stat st, like;
    const char *kind = "";
    int n = 0;

    CHECK_OK(os->dir_stat(here, &like, &err), err);
    like.mode = 0751;
    REQUIRE_OK(os->dir_make(here, "d", &like, &d, &err), err);
    CHECK_OK(os->dir_stat(d, &st, &err), err);
    CHECK(st.kind == NADB_KIND_DIR && st.mode == 0751);
    CHECK_STR(os->dir_path(d), unit_path("d"));
    CHECK(os->dir_make(here, "d", &like, &again, &err) == NADB_CANTOPEN);
    CHECK_U64(err.sys_errno, EEXIST);
    os->close(must_open("d/x", RW));
    os->close(must_open("d/y", RW));
    CHECK_OK(os->dir_list(d, count_name, &n, &err), err);
    CHECK_OK(os->dir_list(d, count_name, &n, &err), err); /* from the start */
    CHECK_U64(n, 4);
    n = 98;
    CHECK(os->dir_list(d, count_name, &n, &err) == NADB_FULL);
    CHECK(os->rmdir(here, "d", &err) == NADB_IOERR);
    CHECK_OK(os->rename(d, "x", "y", &err), err);
    CHECK_OK(os->unlink(d, "x", &err), err); /* missing is fine */
    CHECK_OK(os->unlink(d, "y", &err), err);
    CHECK_OK(os->dir_sync(d, &err), err);
    CHECK(os->dir_writable(d));
    CHECK_OK(os->dir_network(d, &kind, &err), err);
    CHECK(kind == NULL);
    CHECK_OK(os->dir_up(d, &again, &err), err);
    CHECK_STR(os->dir_path(again), unit_dir());
    os->dir_close(again);
    CHECK_OK(os->rmdir(here, "d", &err), err);
    CHECK_OK(os->dir_stat(d, &st, &err), err);
    CHECK_U64(st.links, 0);
    CHECK_OK(os->stat(here, "d", &st, &err), err);
    CHECK(st.kind == NADB_KIND_NONE);
    CHECK(os->rename(here, "d", "e", &err) == NADB_CANTOPEN);
    CHECK(os->dir_enter(here, "d", &again, &err) == NADB_CANTOPEN);
    CHECK(again == NULL && err.sys_errno == ENOENT);
    os->dir_close(d);
    os->dir_close(NULL);
}

/* A new directory is never wider than umask has it. */
static void test_umask(void) {
    mode_t before = umask(077);
    nadb_stat like = {.mode = 0755, .uid = geteuid(), .gid = getegid()};
    nadb_dir *d = NULL;
    nadb_stat st;

    CHECK_OK(os->dir_make(here, "narrow", &like, &d, &err), err);
    umask(before);
    REQUIRE(d != NULL);
    CHECK_OK(os->dir_stat(d, &st, &err), err);
    CHECK_U64(st.mode, 0700);
    os->dir_close(d);
}

/* What stands under a name and is no plain file is not opened, at once, and
 * whatever a link leads to is left alone. */
static void test_not_files(void) {
    static const unsigned ways[] = {NADB_OPEN_READ, NADB_OPEN_WRITE, RW};
    nadb_dir *d = NULL;
    nadb_file *f;
    nadb_stat st;

    REQUIRE(mkfifo(unit_path("pipe"), 0600) == 0);
    REQUIRE(mkdir(unit_path("folder"), 0700) == 0);
    f = must_open("target", RW);
    CHECK_OK(os->pwrite(f, "mine", 4, 0, &err), err);
    os->close(f);
    REQUIRE(symlink("target", unit_path("to_file")) == 0);
    REQUIRE(symlink("folder", unit_path("to_dir")) == 0);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        static const char *const names[] = {"pipe", "folder", "to_file",
                                            "to_dir"};

        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (!CHECK(os->open(here, names[k], ways[i], 0600, &f, &err) ==
                       NADB_CANTOPEN) ||
                !CHECK(f == NULL && strstr(err.msg, names[k]) != NULL))
                printf("  %s, way %zu\n", names[k], i);
    }
    CHECK_STR(content(unit_path("target")), "mine");
    CHECK(os->dir_enter(here, "to_dir", &d, &err) == NADB_CANTOPEN);
    CHECK(strstr(err.msg, "to_dir is a symbolic link") != NULL);
    CHECK(os->dir_enter(here, "target", &d, &err) == NADB_CANTOPEN);
    CHECK_U64(err.sys_errno, ENOTDIR);
    CHECK_OK(os->dir_open(unit_path("to_dir"), &d, &err), err); /* a path */
    os->dir_close(d);
    CHECK_OK(os->stat(here, "to_dir", &st, &err), err);
    CHECK(st.kind == NADB_KIND_OTHER);
}

/* Only root can make files of others. */
static void test_owners(void) {
    const uid_t other = 12345;
    nadb_dir *d = NULL;
    nadb_file *f = NULL;

    if (geteuid() != 0) {
        printf("not run: test_owners, which root only can\n");
        return;
    }
    REQUIRE(mkdir(unit_path("shared"), 0775) == 0);
    REQUIRE(chmod(unit_path("shared"), 02755) == 0);
    os->close(must_open("shared/f", RW));
    REQUIRE(chown(unit_path("shared/f"), other, 0) == 0);
    REQUIRE_OK(os->dir_open(unit_path("shared"), &d, &err), err);
    CHECK(os->open(d, "f", NADB_OPEN_READ, 0, &f, &err) == NADB_CANTOPEN);
    CHECK(strstr(err.msg, "belongs to user 12345") != NULL);
    /* a group that may write there is trusted */
    REQUIRE(chmod(unit_path("shared"), 02775) == 0);
    CHECK_OK(os->open(d, "f", NADB_OPEN_READ, 0, &f, &err), err);
    os->close(f);
    REQUIRE(chown(unit_path("shared/f"), other, (gid_t)other) == 0);
    CHECK(os->open(d, "f", NADB_OPEN_READ, 0, &f, &err) == NADB_CANTOPEN);
    REQUIRE(chmod(unit_path("shared"), 01777) == 0);
    CHECK(os->open(d, "f", NADB_OPEN_READ, 0, &f, &err) == NADB_CANTOPEN);
    os->dir_close(d);
    /* the owner of the directory is trusted, and gets what root makes */
    REQUIRE(chown(unit_path("shared"), other, (gid_t)other) == 0);
    REQUIRE_OK(os->dir_open(unit_path("shared"), &d, &err), err);
    CHECK_OK(os->open(d, "f", NADB_OPEN_READ, 0, &f, &err), err);
    os->close(f);
    CHECK_OK(os->open(d, "g", RW, 0600, &f, &err), err);
    if (f != NULL) {
        nadb_stat st;

        CHECK_OK(os->fstat(f, &st, &err), err);
        CHECK_U64(st.uid, other);
        os->close(f);
    }
    os->dir_close(d);
}

/* A directory that belongs to neither us nor the owner of the one above: as if
 * somebody had put it there between the two calls. */
static void test_made_by_another(void) {
#ifdef __linux__
    const uid_t owner = 12345, another = 54321;
    nadb_stat like = {.mode = 0755, .uid = owner, .gid = owner};
    nadb_dir *in = NULL, *d = NULL;

    if (geteuid() != 0) {
        printf("not run: test_made_by_another, which root only can\n");
        return;
    }
    REQUIRE(mkdir(unit_path("above"), 0755) == 0);
    REQUIRE(chmod(unit_path("above"), 0777) == 0);
    REQUIRE(chown(unit_path("above"), owner, (gid_t)owner) == 0);
    REQUIRE_OK(os->dir_open(unit_path("above"), &in, &err), err);
    setfsuid(another);
    CHECK(os->dir_make(in, "made", &like, &d, &err) == NADB_CANTOPEN);
    setfsuid(0);
    CHECK(d == NULL &&
          strstr(err.msg, "above/made was replaced while it was made") != NULL);
    CHECK_OK(os->dir_make(in, "next", &like, &d, &err), err);
    os->dir_close(d);
    os->dir_close(in);
#endif
}

static const char *resolve(const char *path) {
    static char text[1024];
    nadb_buf b = NADB_BUF_INIT;

    if (os->realpath(path, &b, &err) == NADB_OK)
        snprintf(text, sizeof text, "%s", (const char *)b.p);
    else
        snprintf(text, sizeof text, "(%s)", nadb_rc_name(err.rc));
    nadb_buf_clear(&b);
    return text;
}

static void test_realpath(void) {
    char dir[1024], want[1100];

    snprintf(dir, sizeof dir, "%s", resolve(unit_dir()));
    CHECK(dir[0] == '/');
    CHECK_OK(path_mkdir(os, unit_path("real"), 0755, &err), err);
    REQUIRE(symlink("real", unit_path("link")) == 0);
    snprintf(want, sizeof want, "%s/real", dir);
    CHECK_STR(resolve(unit_path("link")), want);
    CHECK_STR(resolve(unit_path("link/./")), want);
    CHECK_STR(resolve(unit_path("link/none/..")), want);
    snprintf(want, sizeof want, "%s/real/a/b", dir);
    CHECK_STR(resolve(unit_path("link/a/b")), want);
    CHECK_STR(resolve(unit_path("link//a/./c/../b/")), want);
    CHECK_STR(resolve("/"), "/");
    CHECK_STR(resolve("/no-such-thing/x"), "/no-such-thing/x");
    CHECK_STR(resolve("/no-such-thing/../../x"), "/x");
    CHECK_STR(resolve(""), "(NADB_CANTOPEN)");
    CHECK_STR(resolve(unit_path("dangling/x")), "(NADB_CANTOPEN)");
    REQUIRE(chdir(unit_path("real")) == 0);
    snprintf(want, sizeof want, "%s/real/new/one", dir);
    CHECK_STR(resolve("new/one"), want);
    snprintf(want, sizeof want, "%s/new", dir);
    CHECK_STR(resolve("../new"), want);
    CHECK(chdir("/") == 0);
}

static void test_machine(void) {
    uint8_t a[16], b[16], zero[16] = {0};
    int64_t now = os->now_ms();
    int64_t mono;

    CHECK(now > INT64_C(1600000000000));
    mono = os->mono_ns();
    test_os_advance_clock(100000);
    CHECK(os->now_ms() - now >= 100000 && os->now_ms() - now < 150000);
    CHECK(os->mono_ns() - mono < INT64_C(50000000000));
    test_os_advance_clock(-100000);
    os->random(a, sizeof a);
    os->random(b, sizeof b);
    CHECK(memcmp(a, b, 16) != 0 && memcmp(a, zero, 16) != 0);
    CHECK_OK(os->boot_id(a, &err), err);
    CHECK_OK(os->boot_id(b, &err), err);
    CHECK(memcmp(a, b, 16) == 0 && memcmp(a, zero, 16) != 0);
    test_os_new_boot();
    CHECK_OK(os->boot_id(b, &err), err);
    CHECK(memcmp(a, b, 16) != 0);
}

/* --- helpers, under every fault --- */

static void test_replace_file(void) {
    static const char *const faults[] = {"EIO", "ENOSPC", "EDQUOT", "EMFILE",
                                         "SHORT"};
    nadb_slice before = nadb_slice_str("the old bytes");
    nadb_slice after = nadb_slice_str("the new bytes, which are longer");
    uint64_t fired = 1;

    for (size_t e = 0; e < sizeof faults / sizeof faults[0]; e++) {
        fired = 1;
        for (uint64_t nth = 1; fired > 0 && nth < 20; nth++) {
            bool was_sync_dir;
            const char *now;
            nadb_rc rc;

            REQUIRE_OK(nadb_os_replace_file(here, "f", before, 0640, &err),
                       err);
            CHECK(test_fault_set("any", nth, faults[e], nth % 2, NULL));
            rc = nadb_os_replace_file(here, "f", after, 0640, &err);
            test_fault_clear(NULL, &fired);
            CHECK((rc == NADB_OK) == (fired == 0));
            was_sync_dir = rc != NADB_OK && strstr(err.msg, "syncing dir");
            now = content(unit_path("f"));
            CHECK_STR(now, rc == NADB_OK || was_sync_dir ? (char *)after.p
                                                         : (char *)before.p);
        }
        CHECK(fired == 0);
    }
    for (uint64_t nth = 1; nth == 1 || fired > 0; nth++) {
        nadb_rc rc;

        CHECK(test_fault_set("malloc", nth, "ENOMEM", false, NULL));
        rc = nadb_os_replace_file(here, "f", after, 0640, &err);
        test_fault_clear(NULL, &fired);
        CHECK(rc == (fired > 0 ? NADB_NOMEM : NADB_OK));
    }
}

static void test_read_file(void) {
    nadb_buf b = NADB_BUF_INIT;
    uint64_t fired = 1;

    CHECK_OK(
        nadb_os_replace_file(here, "r", nadb_slice_str("12345"), 0600, &err),
        err);
    CHECK_OK(path_read(unit_path("r"), 5, &b, &err), err);
    CHECK(nadb_slice_eq(nadb_buf_slice(&b), nadb_slice_str("12345")));
    CHECK(path_read(unit_path("r"), 4, &b, &err) == NADB_CORRUPT);
    CHECK(path_read(unit_path("none"), 4, &b, &err) == NADB_CANTOPEN);
    CHECK(b.n == 0);
    for (uint64_t nth = 1; fired > 0; nth++) {
        nadb_rc rc;

        CHECK(test_fault_set("any", nth, "EIO", false, NULL));
        rc = path_read(unit_path("r"), 5, &b, &err);
        test_fault_clear(NULL, &fired);
        CHECK(rc == (fired > 0 ? NADB_IOERR : NADB_OK));
    }
    nadb_buf_clear(&b);
}

static void test_fault_counting(void) {
    nadb_file *f = must_open("counted", RW);
    uint64_t calls, fired;

    CHECK(!test_fault_set("no such", 1, "EIO", false, NULL));
    CHECK(!test_fault_set("sync", 1, "EWHAT", false, NULL));
    CHECK(test_fault_set("pwrite", 2, "SHORT", true, "count"));
    CHECK_OK(os->pwrite(f, "abcd", 4, 0, &err), err);
    CHECK(os->pwrite(f, "efgh", 4, 0, &err) == NADB_FULL);
    CHECK(strstr(err.msg, "counted: No space left on device") != NULL);
    CHECK(os->pwrite(f, "ijkl", 4, 0, &err) == NADB_FULL);
    CHECK_OK(os->sync(f, &err), err);
    test_fault_clear(&calls, &fired);
    CHECK(calls == 3 && fired == 2);
    CHECK_STR(content(unit_path("counted")), "ijcd");
    CHECK(test_fault_set("pwrite", 1, "EIO", true, "elsewhere"));
    CHECK_OK(os->pwrite(f, "abcd", 4, 0, &err), err);
    test_fault_clear(&calls, &fired);
    CHECK(calls == 0 && fired == 0);
    os->close(f);
}

/* --- power cuts --- */

/* After each event, nothing or all of what was not synced. */
static void test_power_edges(void) {
    nadb_dir *sub;
    nadb_file *f;
    uint64_t synced, at_end;

    CHECK_OK(path_mkdir(os, unit_path("p"), 0755, &err), err);
    f = must_open("p/old", RW);
    CHECK_OK(os->pwrite(f, "old", 3, 0, &err), err);
    REQUIRE_OK(test_power_start(unit_path("p"), &err), err);
    CHECK_OK(os->pwrite(f, "new", 3, 0, &err), err);
    CHECK_OK(path_mkdir(os, unit_path("p/sub"), 0755, &err), err);
    os->close(f);
    f = must_open("p/sub/file", RW);
    CHECK_OK(os->pwrite(f, "data", 4, 0, &err), err);
    CHECK_OK(os->sync(f, &err), err);
    CHECK_OK(path_sync(os, unit_path("p/sub"), &err), err);
    CHECK_OK(path_sync(os, unit_path("p"), &err), err);
    synced = test_power_events();
    CHECK_U64(synced, 7);
    CHECK_OK(os->pwrite(f, "more", 4, 4, &err), err);
    REQUIRE_OK(os->dir_open(unit_path("p/sub"), &sub, &err), err);
    CHECK_OK(os->rename(sub, "file", "f2", &err), err);
    os->dir_close(sub);
    CHECK_OK(path_unlink(os, unit_path("p/old"), &err), err);
    test_power_stop();
    CHECK_OK(os->pwrite(f, "never seen", 10, 0, &err), err);
    os->close(f);
    at_end = test_power_events();
    CHECK_U64(at_end, 10);

    REQUIRE_OK(test_power_cut(at_end, 0, unit_path("cut"), &err), err);
    CHECK_STR(content(unit_path("cut/old")), "old");
    CHECK_STR(content(unit_path("cut/sub/file")), "data");
    CHECK_STR(content(unit_path("cut/sub/f2")), "(none)");
    REQUIRE_OK(test_power_cut(at_end, 1, unit_path("cut"), &err), err);
    CHECK_STR(content(unit_path("cut/old")), "(none)");
    CHECK_STR(content(unit_path("cut/sub/file")), "(none)");
    CHECK_STR(content(unit_path("cut/sub/f2")), "datamore");
    REQUIRE_OK(test_power_cut(synced - 1, 0, unit_path("cut"), &err), err);
    CHECK_STR(content(unit_path("cut/sub/file")), "(none)");
    REQUIRE_OK(test_power_cut(0, 1, unit_path("cut"), &err), err);
    CHECK_STR(content(unit_path("cut/old")), "old");
}

/* Whatever chance does, what was synced stays, and each outcome comes up. */
static void test_power_chance(void) {
    nadb_file *f;
    int lost = 0, whole = 0, torn = 0;
    char page[2000];
    uint64_t n;

    memset(page, 'x', sizeof page);
    CHECK_OK(path_mkdir(os, unit_path("q"), 0755, &err), err);
    REQUIRE_OK(test_power_start(unit_path("q"), &err), err);
    f = must_open("q/log", RW);
    CHECK_OK(os->pwrite(f, "synced", 6, 0, &err), err);
    CHECK_OK(os->sync(f, &err), err);
    CHECK_OK(path_sync(os, unit_path("q"), &err), err);
    CHECK_OK(os->pwrite(f, page, sizeof page, 6, &err), err);
    n = test_power_events();
    test_power_stop();
    os->close(f);
    for (uint64_t seed = 2; seed < 100; seed++) {
        nadb_buf b = NADB_BUF_INIT;
        size_t kept = 0;

        REQUIRE_OK(test_power_cut(n, seed, unit_path("cut"), &err), err);
        REQUIRE_OK(path_read(unit_path("cut/log"), 4096, &b, &err), err);
        CHECK(b.n >= 6 && memcmp(b.p, "synced", 6) == 0);
        for (size_t i = 6; i < b.n; i++) kept += b.p[i] == 'x';
        lost += kept == 0;
        whole += kept == sizeof page;
        torn += kept > 0 && kept < sizeof page;
        nadb_buf_clear(&b);
    }
    CHECK(lost > 5 && whole > 5 && torn > 5);
}

/* The point of replace_file: at each moment the old bytes or the new. */
static void test_power_replace(void) {
    nadb_dir *r1 = NULL;
    uint64_t done, n;

    CHECK_OK(path_mkdir(os, unit_path("r1"), 0755, &err), err);
    REQUIRE_OK(os->dir_open(unit_path("r1"), &r1, &err), err);
    CHECK_OK(nadb_os_replace_file(r1, "f", nadb_slice_str("one"), 0600, &err),
             err);
    REQUIRE_OK(test_power_start(unit_path("r1"), &err), err);
    CHECK_OK(nadb_os_replace_file(r1, "f", nadb_slice_str("two"), 0600, &err),
             err);
    done = test_power_events();
    CHECK_OK(nadb_os_replace_file(r1, "f", nadb_slice_str("three"), 0600, &err),
             err);
    n = test_power_events();
    test_power_stop();
    os->dir_close(r1);
    for (uint64_t event = 0; event <= n; event++) {
        for (uint64_t seed = 0; seed < 12; seed++) {
            const char *now;

            REQUIRE_OK(test_power_cut(event, seed, unit_path("cut"), &err),
                       err);
            now = content(unit_path("cut/f"));
            CHECK((event < done && strcmp(now, "one") == 0) ||
                  (event < n && strcmp(now, "two") == 0) ||
                  (event > done && strcmp(now, "three") == 0));
        }
    }
}

int main(void) {
    os = nadb_os_get();
    if (os->dir_open(unit_dir(), &here, &err) != NADB_OK) return 1;
    RUN(test_files);
    RUN(test_open_failures);
    RUN(test_mappings);
    RUN(test_byte_locks);
    RUN(test_lock_of_the_dead);
    RUN(test_futex);
    RUN(test_names);
    RUN(test_umask);
    RUN(test_not_files);
    RUN(test_owners);
    RUN(test_made_by_another);
    RUN(test_realpath);
    RUN(test_machine);
    RUN(test_replace_file);
    RUN(test_read_file);
    RUN(test_fault_counting);
    RUN(test_power_edges);
    RUN(test_power_chance);
    RUN(test_power_replace);
    os->dir_close(here);
    return unit_done();
}
