/* fault_test.c - every call of the system and every allocation fails, in every
 * phase of a store's life.
 *
 * A run brings a store into some state, lets the N-th call of one class fail
 * (once, or from then on), goes through one phase, and takes the fault away.
 * Then:
 *
 *   - an error named the operation and the object;
 *   - what was acknowledged is there, what failed is not, and nothing is half;
 *   - the store goes on working, or says why not and works once reopened: only
 *     after a sync that failed may it refuse;
 *   - no descriptor and no mapping is left over (memory: the address
 *     sanitizer's business).
 *
 * In a soak N goes up until runs meet no fault; else runs are drawn until
 * the time is up. What failed can be run alone: test_one_cell(). */
#include <dirent.h>

#include "../../core/engine/engine.h"
#include "../../core/engine/workers.h"
#include "../../core/kv/session.h"
#include "../../core/store_engine.h"
#include "../support/paths.h"
#include "rig.h"

typedef struct fault {
    const char *cls;
    const char *name; /* of the errno */
} fault;

static const fault faults[] = {
    {"open", "EIO"},      {"open", "EMFILE"},    {"open", "ENOSPC"},
    {"pread", "EIO"},     {"pwrite", "EIO"},     {"pwrite", "ENOSPC"},
    {"pwrite", "SHORT"},  {"sync", "EIO"},       {"sync", "EDQUOT"},
    {"truncate", "EIO"},  {"reserve", "ENOSPC"}, {"reserve", "EDQUOT"},
    {"map", "ENOMEM"},    {"map", "EIO"},        {"rename", "EIO"},
    {"rename", "ENOSPC"}, {"unlink", "EIO"},     {"mkdir", "ENOSPC"},
    {"sync_dir", "EIO"},  {"lock", "ENOLCK"},    {"stat", "EACCES"},
    {"list", "EIO"},      {"malloc", "ENOMEM"},  {"any", "EIO"},
    {"any", "ENOSPC"},    {"malloc", "ENOMEM"},  {"pwrite", "EDQUOT"},
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

static struct {
    char dir[100];
    rig_how how;
    nadb_store *store;
    nadb_session *ss;
    rig_history h;
    rig_state want;
    rig_state also; /* may be there instead: a rollback has failed */
    bool unsure;
    bool gone;      /* destroying it has begun */
    const fault *f; /* what is armed; NULL: nothing */
    unsigned errors;
} w;

/* --- steps --- */

/* The error of a step while a fault was armed. */
static bool failed(nadb_rc rc, const nadb_err *err) {
    if (rc == NADB_OK) return false;
    w.errors++;
    if (!CHECK(w.f != NULL)) printf("  without a fault: %s\n", err->msg);
    /* an operation, and an object if it is not memory */
    CHECK(rc == err->rc);
    if (!CHECK(strlen(err->msg) > 10) || !CHECK(strchr(err->msg, ' ') != NULL))
        printf("  %s: \"%s\"\n", nadb_rc_name(rc), err->msg);
    if (w.f != NULL && strcmp(w.f->cls, "malloc") != 0)
        if (!CHECK(strchr(err->msg, '/') != NULL))
            printf("  %s: \"%s\"\n", nadb_rc_name(rc), err->msg);
    return true;
}

static bool open_store(bool create) {
    nadb_err err;

    w.how.no_create = !create;
    nadb_err_clear(&err);
    if (failed(rig_open(w.dir, &w.how, &w.store, NULL, &err), &err))
        return false;
    nadb_err_clear(&err);
    if (!failed(nadb_session_new(w.store, &w.ss, &err), &err)) return true;
    nadb_store_close(w.store);
    w.store = NULL;
    return false;
}

static void close_store(void) {
    nadb_session_free(w.ss);
    nadb_store_close(w.store);
    w.ss = NULL;
    w.store = NULL;
}

/* One transaction, committed or taken back; its error, if any, in *err. */
static nadb_rc transact(bool commit, bool clear, nadb_err *err) {
    uint32_t txn = w.h.n + 1;
    nadb_rc rc, back;
    nadb_err other;

    nadb_err_clear(err);
    nadb_err_clear(&other);
    if (txn > RIG_TXNS) return NADB_OK;
    rig_draw(&w.h.txns[w.h.n++], 0, RIG_KEYS, clear);
    rc = nadb_session_begin(w.ss, rig_rnd(2) == 0, err);
    if (rc == NADB_OK) rc = rig_write(w.ss, &w.h, txn, err);
    if (rc == NADB_OK) rc = nadb_session_prepare(w.ss, err);
    if (rc == NADB_OK && commit) {
        nadb_session_commit(w.ss);
        rig_apply(&w.want, &w.h, txn);
        return NADB_OK;
    }
    back = nadb_session_rollback(w.ss, &other);
    if (rc == NADB_OK && failed(back, &other)) {
        /* It was prepared, and SQLite has been told that it may be there. */
        w.unsure = true;
        w.also = w.want;
        rig_apply(&w.also, &w.h, txn);
    }
    return rc;
}

static bool do_transact(bool commit, bool clear) {
    nadb_err err;
    nadb_rc rc = transact(commit, clear, &err);

    return !failed(rc, &err) && !w.unsure;
}

static void do_flush(void) {
    nadb_err err;

    nadb_err_clear(&err);
    (void)failed(nadb_store_flush(w.store, &err), &err);
}

static void do_read(void) {
    rig_state got;
    bool whole = true;
    nadb_err err;

    for (int reverse = 0; reverse < 2; reverse++) {
        nadb_err_clear(&err);
        if (failed(rig_scan(w.ss, reverse == 1, &got, &whole, &err), &err))
            continue;
        CHECK(whole && rig_same(&got, &w.want));
    }
    for (uint32_t key = 0; key < RIG_KEYS; key++) {
        char buf[64];
        nadb_row row;
        bool found = false;

        nadb_err_clear(&err);
        if (failed(nadb_session_begin(w.ss, false, &err), &err)) continue;
        if (!failed(nadb_get(w.ss, rig_key(key, buf), &row, &found, &err),
                    &err))
            CHECK(found == (w.want.by[key] != 0));
        (void)!nadb_session_rollback(w.ss, &err);
    }
}

/* --- phases: how the store is before, and what is done --- */

typedef struct phase {
    const char *name;
    bool fresh;  /* nothing is there before */
    bool closed; /* the store is closed before .. */
    bool booted; /* .. and the machine has been restarted */
    void (*body)(void);
} phase;

static void body_open(void) { (void)open_store(true); }

static void body_commit(void) {
    for (int i = 0; i < 6; i++)
        if (!do_transact(true, false) && rig_rnd(2) == 0) return;
}

static void body_rollback(void) {
    for (int i = 0; i < 3; i++) {
        if (!do_transact(false, false)) return;
        if (!do_transact(true, false)) return;
    }
}

static void body_clear(void) {
    if (do_transact(true, true)) (void)do_transact(true, false);
}

static void body_flush(void) {
    do_flush();
    do_flush();
}

static void body_compact(void) {
    nadb_err err;

    nadb_err_clear(&err);
    (void)failed(nadb_store_compact(w.store, NULL, NULL, &err), &err);
}

static void body_close(void) {
    (void)do_transact(true, false);
    close_store();
}

static void count_problem(void *ctx, const char *what) {
    (*(unsigned *)ctx)++;
    CHECK(strchr(what, '/') != NULL);
}

static void body_check(void) {
    unsigned problems = 0;
    nadb_err err;

    nadb_err_clear(&err);
    (void)failed(nadb_store_check(w.store, count_problem, &problems, &err),
                 &err);
    if (strcmp(w.f->cls, "malloc") == 0) CHECK_U64(problems, 0);
}

static void body_destroy(void) {
    nadb_err err;

    nadb_session_free(w.ss);
    w.ss = NULL;
    w.gone = true;
    nadb_err_clear(&err);
    (void)failed(nadb_store_destroy(w.store, &err), &err);
    w.store = NULL;
}

static const phase phases[] = {
    {"open fresh", true, true, false, body_open},
    {"open trusted", false, true, false, body_open},
    {"open recovering", false, true, true, body_open},
    {"commit", false, false, false, body_commit},
    {"rollback", false, false, false, body_rollback},
    {"clear", false, false, false, body_clear},
    {"flush", false, false, false, body_flush},
    {"compact", false, false, false, body_compact},
    {"read", false, false, false, do_read},
    {"check", false, false, false, body_check},
    {"close", false, false, false, body_close},
    {"destroy", false, false, false, body_destroy},
};
enum { PHASES = sizeof phases / sizeof phases[0] };

/* --- a run --- */

static void set_up(const phase *p) {
    static unsigned runs;
    nadb_err err;

    memset(&w, 0, sizeof w);
    snprintf(w.dir, sizeof w.dir, "%s/run%u", unit_dir(), runs++);
    w.how.sync = rig_rnd(3) == 0 ? NADB_SYNC_NORMAL : NADB_SYNC_FULL;
    w.how.buffer_bytes = 16384u << rig_rnd(3);
    w.how.no_mmap = rig_rnd(4) == 0;
    w.how.busy_ms = 300;
    REQUIRE_OK(path_mkdir(nadb_os_get(), w.dir, 0700, &err), err);
    if (p->fresh) return;
    REQUIRE(open_store(true));
    for (int i = 0; i < 8; i++) {
        REQUIRE(do_transact(true, false));
        if (i == 4) do_flush();
    }
    if (p->closed) close_store();
    if (p->booted) test_os_new_boot();
}

static bool reads(bool final) {
    rig_state got;

    if (!rig_read(w.store, &got)) return false;
    if (rig_same(&got, &w.want)) {
        if (final) w.unsure = false;
        return true;
    }
    if (w.unsure && rig_same(&got, &w.also)) {
        w.want = w.also;
        return true;
    }
    CHECK(false); /* the store holds something else */
    rig_print("got", &got);
    rig_print("want", &w.want);
    if (w.unsure) rig_print("or", &w.also);
    return false;
}

/* Only a failed sync, or a failed attempt to take a record back, makes a store
 * refuse writes until it is opened again. */
static bool may_refuse(const fault *f) {
    return strcmp(f->cls, "sync") == 0 || strcmp(f->cls, "sync_dir") == 0 ||
           strcmp(f->cls, "any") == 0;
}

static bool goes_on(const fault *f) {
    nadb_err err;
    nadb_rc rc = transact(true, rig_rnd(10) == 0, &err);

    if (rc == NADB_OK) return true;
    if (!CHECK(may_refuse(f)) || !CHECK(rc == NADB_IOERR) ||
        !CHECK(strstr(err.msg, "open it again") != NULL)) {
        printf("  %s: %s\n", nadb_rc_name(rc), err.msg);
        return false;
    }
    return true;
}

static bool destroyed(void) {
    nadb_stat st;
    nadb_err err;
    char path[200];

    snprintf(path, sizeof path, "%s/s/main/n", w.dir);
    if (!CHECK_OK(nadb_os_get()->stat_path(path, &st, &err), err)) return false;
    if (st.kind == NADB_KIND_NONE) return true;
    if (!open_store(true)) return false;
    nadb_session_free(w.ss);
    w.ss = NULL;
    if (!CHECK_OK(nadb_store_destroy(w.store, &err), err)) return false;
    return CHECK(nadb_os_get()->stat_path(path, &st, &err) == NADB_OK) &&
           CHECK(st.kind == NADB_KIND_NONE);
}

static bool look_again(const phase *p, const fault *f) {
    nadb_err err;

    if (w.gone) return destroyed();
    if (w.store != NULL) {
        if (!reads(false) || !goes_on(f) || !reads(false)) return false;
        close_store();
    }
    for (int i = 0; i < 2; i++) {
        /* A record that could not be taken back by any means is remembered
         * as long as the machine runs. */
        if ((i > 0 || strcmp(f->cls, "any") != 0) && rig_rnd(2) == 0)
            test_os_new_boot();
        if (!open_store(p->fresh) || !reads(true)) return false;
        if (!CHECK_OK(transact(true, false, &err), err)) return false;
        if (!CHECK_OK(nadb_store_flush(w.store, &err), err)) return false;
        if (!reads(true)) return false;
        close_store();
    }
    return true;
}

static unsigned descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    while (d != NULL && readdir(d) != NULL) n++;
    if (d != NULL) closedir(d);
    return n;
}

static bool nothing_mapped(const char *dir) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1024];
    bool none = true;

    if (maps == NULL) return true;
    while (fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, dir) != NULL) none = false;
    fclose(maps);
    return none;
}

/* How many calls were counted, and whether one failed. False when something
 * was wrong. */
static bool run(const phase *p, const fault *f, uint64_t nth, bool persistent,
                uint64_t *calls, uint64_t *fired) {
    unsigned fds = descriptors();
    bool ok;

    set_up(p);
    if (unit.bad_checks == 0) {
        w.f = f;
        test_fault_set(f->cls, nth, f->name, persistent, NULL);
        p->body();
        test_fault_clear(calls, fired);
        w.f = NULL;
    }
    ok = unit.bad_checks == 0 && look_again(p, f);
    if (w.store != NULL && !w.gone) close_store();
    ok = ok && CHECK_U64(descriptors(), fds) && CHECK(nothing_mapped(w.dir));
    if (!ok || unit.bad_checks > 0) {
        printf("  %s: call %llu of class %s fails with %s%s (%u errors)\n",
               p->name, (unsigned long long)nth, f->cls, f->name,
               persistent ? ", and all later ones" : "", w.errors);
        return false;
    }
    rig_remove(w.dir);
    return true;
}

/* --- the matrix --- */

static unsigned runs_made, runs_hit;

static bool one(const phase *p, const fault *f, uint64_t nth, bool persistent,
                uint64_t *calls) {
    uint64_t fired = 0;

    if (!run(p, f, nth, persistent, calls, &fired)) return false;
    runs_made++;
    runs_hit += fired > 0;
    if (nth > 0 && fired == 0) *calls = 0; /* past the last */
    return true;
}

static void every_call(const phase *p) {
    for (unsigned i = 0; i < FAULTS; i++)
        for (int persistent = 0; persistent < 2; persistent++) {
            unsigned misses = 0; /* runs differ: one miss is not the end */
            uint64_t calls;

            for (uint64_t nth = 1; misses < 4; nth++) {
                if (!one(p, &faults[i], nth, persistent == 1, &calls)) return;
                misses = calls > 0 ? 0 : misses + 1;
            }
        }
}

/* For about budget_ms, and on a slow machine until a few faults were met. */
static void some_calls(const phase *p, int64_t budget_ms) {
    const nadb_os *os = nadb_os_get();
    int64_t end = os->mono_ns() / 1000000 + budget_ms;
    uint64_t most[FAULTS] = {0}; /* calls that the phase makes, about */

    while (os->mono_ns() / 1000000 < end || runs_hit < 5) {
        unsigned i = (unsigned)rig_rnd(FAULTS);
        uint64_t calls, nth = most[i] == 0 ? 0 : 1 + rig_rnd(most[i]);

        if (!one(p, &faults[i], nth, rig_rnd(2) == 0, &calls)) return;
        if (calls + 1 > most[i]) most[i] = calls + 1;
    }
}

static void matrix(unsigned i) {
    runs_made = runs_hit = 0;
    if (rig_soak())
        every_call(&phases[i]);
    else
        some_calls(&phases[i], 1200);
    printf("%-16s %u runs, %u with a fault\n", phases[i].name, runs_made,
           runs_hit);
    CHECK(runs_hit > 0);
}

static void log_count(void *ctx, const char *name, double value) {
    if (strcmp(name, "log_count") == 0) *(double *)ctx = value;
}

/* Linux forgets what it could not write: the next sync of the same bytes says
 * that all is well. So who opens the store after a failed sync finds nothing
 * left in the logs, but in tables that were written anew. */
static void test_after_failed_sync(void) {
    static const phase p = {"sync", false, false, false, NULL};
    static const fault f = {"sync", "EIO"};
    double logs = 0;
    nadb_err err;

    set_up(&p);
    w.f = &f;
    test_fault_set("sync", 1, "EIO", true, ".log");
    (void)do_transact(true, false); /* under full it fails */
    CHECK(engine_sync_to(engine_of(nadb_store_engine(w.store)), UINT64_MAX,
                         &err) != NADB_OK);
    CHECK(!do_transact(true, false));
    close_store();
    test_fault_clear(NULL, NULL);
    w.f = NULL;
    REQUIRE(open_store(false));
    REQUIRE_OK(nadb_store_stats(w.store, log_count, &logs, &err), err);
    CHECK(logs == 1);
    CHECK(reads(true) && do_transact(true, false) && reads(true));
    close_store();
    rig_remove(w.dir);
}

/* A writer waits while another one syncs for both, and that sync fails: its own
 * one reports success then, but does not make its record durable. A rollback's
 * sync may meet the error as well. */
static void fail_one_sync(nadb_durability sync, bool commit) {
    static const phase p = {"one sync", false, false, false, NULL};
    static const fault f = {"sync", "EIO"};
    nadb_store *other = NULL;
    rig_how how;
    uint64_t synced, now;
    nadb_err err;
    engine *s;

    set_up(&p);
    s = engine_of(nadb_store_engine(w.store));
    nadb_workers_remove(s);
    atomic_store(&w.ss->kv->synchronous, (int)sync);
    synced = atomic_load(&s->ctl.map->synced);
    w.f = &f;
    test_fault_set("sync", 1, "EIO", false, ".log");
    CHECK(!do_transact(commit, false));
    CHECK(engine_sync_to(s, UINT64_MAX, &err) != NADB_OK);
    test_fault_clear(NULL, NULL);
    w.f = NULL;
    engine_sync_in_background(s);
    how = w.how;
    how.opener = 1; /* as another process, which was not told of the error */
    REQUIRE_OK(rig_open(w.dir, &how, &other, NULL, &err), err);
    engine_sync_in_background(engine_of(nadb_store_engine(other)));
    /* Nothing of the log; the opener may have written its rows into tables. */
    now = atomic_load(&s->ctl.map->synced);
    CHECK(now == synced || now >= synced + wal_place(1, 0));
    nadb_store_close(other);
    close_store();
    REQUIRE(open_store(false));
    CHECK(reads(true) && do_transact(true, false) && reads(true));
    close_store();
    rig_remove(w.dir);
}

static void test_after_one_failed_sync(void) {
    fail_one_sync(NADB_SYNC_FULL, true);
    fail_one_sync(NADB_SYNC_NORMAL, false);
}

/* A destroy that is refused is a close: what was committed is synced. */
static void test_refused_destroy(void) {
    static const phase p = {"refused", false, false, false, NULL};
    engine_version *v = NULL;
    nadb_store *other = NULL;
    uint64_t end;
    rig_how how;
    nadb_err err;
    engine *s;

    set_up(&p);
    how = w.how;
    how.opener = 1; /* as another process */
    REQUIRE_OK(rig_open(w.dir, &how, &other, NULL, &err), err);
    s = engine_of(nadb_store_engine(other));
    atomic_store(&w.ss->kv->synchronous, NADB_SYNC_NORMAL);
    REQUIRE(do_transact(true, false));
    REQUIRE_OK(engine_version_get(s, &v, &err), err);
    end = wal_place(v->logs[0]->log.number, memtable_tail(v->logs[0]));
    engine_version_unref(s, v);
    CHECK(atomic_load(&s->ctl.map->synced) < end);
    nadb_session_free(w.ss);
    CHECK(nadb_store_destroy(w.store, &err) == NADB_LOCKED);
    w.ss = NULL;
    w.store = NULL;
    CHECK(atomic_load(&s->ctl.map->synced) >= end);
    nadb_store_close(other);
    rig_remove(w.dir);
}

static nadb_rc cannot_repair(engine *s, nadb_err *err) {
    (void)s;
    return nadb_fail(err, NADB_IOERR, "a repair that fails");
}

/* The holder of the commit lock has died, and the next process cannot repair
 * what it left: then that process must not write behind it, not even the record
 * without entries that ends the log at close. */
static void test_after_failed_repair(void) {
    static const phase p = {"repair", false, false, false, NULL};
    engine_version *v = NULL;
    control_map *map;
    uint64_t tail;
    uint32_t dead = 0;
    engine *s;
    nadb_err err;

    set_up(&p);
    s = engine_of(nadb_store_engine(w.store));
    map = s->ctl.map;
    nadb_workers_remove(s);
    REQUIRE(do_transact(true, false));
    REQUIRE_OK(engine_version_get(s, &v, &err), err);
    tail = memtable_tail(v->logs[0]);
    while (atomic_load(&map->slots[dead].used) != 0) dead++;
    atomic_store(&map->slots[dead].used, 1);
    atomic_store(&map->commit_lock, dead + 1);
    s->repair = cannot_repair;
    engine_witness(s);
    CHECK(atomic_load(&map->failed) != 0);
    CHECK(memtable_tail(v->logs[0]) == tail);
    s->repair = engine_repair;
    engine_version_unref(s, v);
    close_store();
    REQUIRE(open_store(false));
    CHECK(reads(true) && do_transact(true, false) && reads(true));
    close_store();
    rig_remove(w.dir);
}

/* NADB_RUN='7 sync_dir EIO 4 1': one cell of the matrix, again and again. */
static void test_one_cell(void) {
    unsigned i, persistent;
    unsigned long nth;
    char cls[20], name[20];
    fault f = {cls, name};
    uint64_t calls;

    REQUIRE(sscanf(getenv("NADB_RUN"), "%u %19s %19s %lu %u", &i, cls, name,
                   &nth, &persistent) == 5);
    for (int k = 0; k < 200 && unit.bad_checks == 0; k++)
        (void)one(&phases[i % PHASES], &f, nth, persistent == 1, &calls);
}

#define MATRIX(name, i)                                                        \
    static void name(void) { matrix(i); }

MATRIX(test_open_fresh, 0)
MATRIX(test_open_trusted, 1)
MATRIX(test_open_recovering, 2)
MATRIX(test_commit, 3)
MATRIX(test_rollback, 4)
MATRIX(test_clear, 5)
MATRIX(test_flush, 6)
MATRIX(test_compact, 7)
MATRIX(test_read, 8)
MATRIX(test_check, 9)
MATRIX(test_close, 10)
MATRIX(test_destroy, 11)

int main(void) {
    rig_use_memory();
    rig_seed_init();
    if (getenv("NADB_RUN") != NULL) {
        RUN(test_one_cell);
        return unit_done();
    }
    RUN(test_after_failed_sync);
    RUN(test_after_one_failed_sync);
    RUN(test_refused_destroy);
    RUN(test_after_failed_repair);
    RUN(test_open_fresh);
    RUN(test_open_trusted);
    RUN(test_open_recovering);
    RUN(test_commit);
    RUN(test_rollback);
    RUN(test_clear);
    RUN(test_flush);
    RUN(test_compact);
    RUN(test_read);
    RUN(test_check);
    RUN(test_close);
    RUN(test_destroy);
    return unit_done();
}
