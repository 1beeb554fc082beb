/* compact_test.c - nadb_compact of a store that others use meanwhile.
 *
 * Between any two steps of it somebody opens the store and reads everything,
 * and another writes, in the end more than logs can hold that are not flushed.
 * They do not wait for the end of the compaction, which comes all the same. */
#include "../../backends/fs/base.h"
#include "../../core/engine/engine.h"
#include "../../core/engine/workers.h"
#include "../../core/kv/session.h"
#include "../../core/store_engine.h"
#include "../support/paths.h"
#include "rig.h"

static const fs_limits tiny = {2000, 100000, 1000, 200};

static struct {
    char dir[100];
    rig_history h;
    rig_state want;
    unsigned asked; /* times that compaction asked whether to stop */
    unsigned stop_at;
    nadb_store *other; /* of another opener */
} w;

static bool open_as(int opener, bool read_only, nadb_store **out) {
    rig_how how = {.sync = NADB_SYNC_NORMAL,
                   .buffer_bytes = 16384,
                   .read_only = read_only,
                   .opener = opener};
    nadb_err err;

    if (!CHECK_OK(rig_open(w.dir, &how, out, NULL, &err), err)) return false;
    /* The threads would leave nothing to do. */
    nadb_workers_remove(engine_of(nadb_store_engine(*out)));
    return true;
}

static bool write_some(nadb_store *store, unsigned transactions) {
    nadb_session *ss = NULL;
    nadb_err err;
    bool ok = CHECK_OK(nadb_session_new(store, &ss, &err), err);

    while (ok && transactions-- > 0 && w.h.n < RIG_TXNS) {
        uint32_t txn = ++w.h.n;

        rig_draw(&w.h.txns[txn - 1], 0, RIG_KEYS, false);
        ok = CHECK_OK(nadb_session_begin(ss, false, &err), err) &&
             CHECK_OK(rig_write(ss, &w.h, txn, &err), err) &&
             CHECK_OK(nadb_session_prepare(ss, &err), err);
        if (!ok) break;
        nadb_session_commit(ss);
        rig_apply(&w.want, &w.h, txn);
    }
    nadb_session_free(ss);
    return ok;
}

/* A writer waits for a flush if all logs are full, and this thread is in the
 * compaction that would let one begin. */
static bool has_room(nadb_store *store) {
    engine *s = engine_of(nadb_store_engine(store));
    engine_version *v = NULL;
    nadb_err err;
    bool room;

    if (!CHECK_OK(engine_version_get(s, &v, &err), err)) return false;
    room = v->n_logs < ENGINE_LOGS_MAX;
    engine_version_unref(s, v);
    return room;
}

static bool between(void *ctx) {
    nadb_store *reader = NULL;
    rig_state got;

    (void)ctx;
    if (unit.bad_checks > 0 || ++w.asked == w.stop_at) return true;
    if (w.asked > 12 || !open_as(2, true, &reader)) return false;
    if (rig_read(reader, &got)) CHECK(rig_same(&got, &w.want));
    nadb_store_close(reader);
    for (int i = 0; i < 3 && has_room(w.other); i++)
        (void)write_some(w.other, 1);
    return false;
}

static size_t runs_of(engine *s) {
    nadb_base_version *v = NULL;
    nadb_err err;
    size_t n;

    if (!CHECK_OK(s->base_ops->version_open(s->base, &v, &err), err)) return 99;
    n = ((fs_version *)v)->m.n_runs;
    s->base_ops->version_unref(v);
    return n;
}

/* Opens a store with some runs of tables, for steps of a few KB. */
static nadb_store *begin(const char *name, unsigned stop_at) {
    nadb_store *store = NULL;
    engine *s;
    nadb_err err;

    memset(&w, 0, sizeof w);
    w.stop_at = stop_at;
    snprintf(w.dir, sizeof w.dir, "%s", unit_path(name));
    CHECK_OK(path_mkdir(nadb_os_get(), w.dir, 0700, &err), err);
    if (!open_as(0, false, &store) || !open_as(1, false, &w.other)) return NULL;
    s = engine_of(nadb_store_engine(store));
    ((fs_base *)s->base)->limits = tiny;
    for (int i = 0; i < 200 && (i < 30 || runs_of(s) < 5); i++) {
        (void)write_some(store, 3);
        CHECK_OK(nadb_store_flush(store, &err), err);
    }
    return store;
}

static void end(nadb_store *store) {
    rig_state got;

    if (rig_read(w.other, &got)) CHECK(rig_same(&got, &w.want));
    nadb_store_close(w.other);
    if (rig_read(store, &got)) CHECK(rig_same(&got, &w.want));
    nadb_store_close(store);
}

static void test_others_meanwhile(void) {
    nadb_store *store = begin("meanwhile", 0);
    nadb_err err;

    if (store == NULL) return;
    CHECK_OK(nadb_store_compact(store, between, NULL, &err), err);
    CHECK(w.asked > 1);
    end(store);
}

static void test_interrupted(void) {
    nadb_store *store = begin("interrupted", 2);
    nadb_err err;
    nadb_rc rc;

    if (store == NULL) return;
    rc = nadb_store_compact(store, between, NULL, &err);
    if (rc != NADB_INTERRUPT) CHECK_OK(rc, err);
    CHECK(rc == NADB_INTERRUPT);
    CHECK_U64(w.asked, 2);
    end(store);
}

int main(void) {
    rig_use_memory();
    rig_seed_init();
    RUN(test_others_meanwhile);
    RUN(test_interrupted);
    return unit_done();
}
