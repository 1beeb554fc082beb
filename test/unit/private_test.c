/* private_test.c - a reader that may not write to control (mode=ro): it replays
 * the logs into private memory and shows the store as it was when it was
 * opened, whatever other processes do meanwhile. */
#include <errno.h>
#include <sys/stat.h>

#include "../../backends/fs/fs_ops.h"
#include "../../core/engine/engine.h"
#include "../../core/engine/workers.h"
#include "../../core/store_engine.h"
#include "rig.h"

static struct {
    char dir[100];
    nadb_store *writer;
    nadb_session *ss;
    rig_history h;
    rig_state want;
} t;

static bool transact(void) {
    uint32_t txn = t.h.n + 1;
    nadb_err err;

    rig_draw(&t.h.txns[t.h.n++], 0, RIG_KEYS, false);
    if (!CHECK_OK(nadb_session_begin(t.ss, false, &err), err) ||
        !CHECK_OK(rig_write(t.ss, &t.h, txn, &err), err) ||
        !CHECK_OK(nadb_session_prepare(t.ss, &err), err))
        return false;
    nadb_session_commit(t.ss);
    rig_apply(&t.want, &t.h, txn);
    return true;
}

static bool flush(void) {
    nadb_err err;

    return CHECK_OK(nadb_store_flush(t.writer, &err), err);
}

/* A store with rows in a table, and some in the log. */
static bool set_up(const char *name) {
    static const rig_how how = {.sync = NADB_SYNC_FULL,
                                .buffer_bytes = 1 << 20};
    nadb_err err;

    memset(&t, 0, sizeof t);
    snprintf(t.dir, sizeof t.dir, "%s", unit_path(name));
    if (mkdir(t.dir, 0700) != 0 && errno != EEXIST) return false;
    if (!CHECK_OK(rig_open(t.dir, &how, &t.writer, NULL, &err), err) ||
        !CHECK_OK(nadb_session_new(t.writer, &t.ss, &err), err))
        return false;
    nadb_workers_remove(engine_of(nadb_store_engine(t.writer)));
    for (int i = 0; i < 40; i++)
        if (!transact() || (i == 30 && !flush())) return false;
    return true;
}

static void clean_up(void) {
    nadb_session_free(t.ss);
    nadb_store_close(t.writer);
}

static nadb_rc open_private(bool no_mmap, nadb_store **out, nadb_err *err) {
    rig_how how = {.sync = NADB_SYNC_FULL,
                   .buffer_bytes = 1 << 20,
                   .no_mmap = no_mmap,
                   .no_create = true,
                   .read_only = true,
                   .opener = 1};
    nadb_rc rc;

    test_fault_set("open", 1, "EACCES", true, "control");
    rc = rig_open(t.dir, &how, out, NULL, err);
    test_fault_clear(NULL, NULL);
    return rc;
}

/* True if the store shows what was committed when it was opened. */
static bool shows(nadb_store *s, const rig_state *want) {
    nadb_session *ss = NULL;
    rig_state got;
    bool whole = false, ok;
    nadb_err err;

    ok = CHECK(engine_of(nadb_store_engine(s))->private_memory) &&
         CHECK_OK(nadb_session_new(s, &ss, &err), err) &&
         CHECK_OK(rig_scan(ss, false, &got, &whole, &err), err) &&
         CHECK(whole) && CHECK(rig_same(&got, want)) && rig_indexes(ss);
    nadb_session_free(ss);
    return ok;
}

/* A writer replaces and removes every file that the reader has found. */
static void keep_showing(bool no_mmap) {
    nadb_store *reader = NULL;
    rig_state then;
    nadb_err err;

    REQUIRE(set_up(no_mmap ? "pread" : "mmap"));
    then = t.want;
    REQUIRE_OK(open_private(no_mmap, &reader, &err), err);
    for (int i = 0; i < 40; i++) REQUIRE(transact());
    REQUIRE(flush());
    REQUIRE_OK(nadb_store_compact(t.writer, NULL, NULL, &err), err);
    CHECK(shows(reader, &then));
    nadb_store_close(reader);
    clean_up();
}

static void test_files_are_removed(void) {
    keep_showing(false);
    keep_showing(true);
}

/* --- a writer flushes while the reader opens the store --- */

static int flushes; /* that are to come */

/* Behind the reader's back, between its look at MANIFEST and at the logs. */
static nadb_rc version_open_late(nadb_base *b, nadb_base_version **out,
                                 nadb_err *err) {
    nadb_rc rc = fs_ops.version_open(b, out, err);

    if (flushes > 0) {
        flushes--;
        CHECK(transact() && flush() && transact());
    }
    return rc;
}

static void test_flush_while_opening(void) {
    nadb_base_ops late = fs_ops;
    nadb_options *o = NULL;
    nadb_engine *e = NULL;
    char path[200];
    const char *args[] = {"backend='fs'", path, "namespace='n'", "mode=ro"};
    nadb_place place = {"kv", NULL, NULL};
    static const uint8_t rows[] = {NADB_KS_ROW, NADB_KS_ROW + 1};
    nadb_range all = {{rows, 1}, {rows + 1, 1}, false};
    nadb_iter *it = NULL;
    nadb_view *v = NULL;
    unsigned n = 0, want = 0;
    bool created;
    nadb_rc rc;
    nadb_err err;

    REQUIRE(set_up("late"));
    late.version_open = version_open_late;
    snprintf(path, sizeof path, "path='%s/s'", t.dir);
    REQUIRE_OK(nadb_options_parse(args, 4, &place, &o, &err), err);
    flushes = 3;
    test_fault_set("open", 1, "EACCES", true, "control");
    rc = nadb_engine_open(o, &late, false, &created, &e, &err);
    test_fault_clear(NULL, NULL);
    REQUIRE_OK(rc, err);
    CHECK_U64(flushes, 0);
    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    rc = e->ops->iter(e, v, &all, &it, &err);
    if (rc == NADB_OK) rc = nadb_iter_next(it, &err);
    for (; rc == NADB_OK && it->valid; n++) rc = nadb_iter_next(it, &err);
    CHECK_OK(rc, err);
    for (uint32_t k = 0; k < RIG_KEYS; k++) want += t.want.by[k] != 0;
    CHECK_U64(n, want);
    nadb_iter_free(it);
    e->ops->view_close(e, v);
    e->ops->close(e);
    nadb_options_free(o);
    clean_up();
}

int main(void) {
    rig_use_memory();
    rig_seed_init();
    RUN(test_files_are_removed);
    RUN(test_flush_while_opening);
    return unit_done();
}
