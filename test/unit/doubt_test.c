/* doubt_test.c - records in doubt whose owner cannot do what it is told. */
#include <errno.h>

#include "../../core/engine/engine.h"
#include "../../core/engine/workers.h"
#include "../../core/kv/session.h"
#include "../../core/store_engine.h"
#include "rig.h"

static nadb_store *store;
static nadb_session *ss;

static bool open_store(void) {
    static const rig_how how = {
        .sync = NADB_SYNC_NORMAL, .buffer_bytes = 1 << 20, .busy_ms = 300};
    nadb_err err;

    if (!CHECK_OK(rig_open(unit_dir(), &how, &store, NULL, &err), err) ||
        !CHECK_OK(nadb_session_new(store, &ss, &err), err))
        return false;
    nadb_workers_remove(engine_of(nadb_store_engine(store)));
    return true;
}

static void close_store(void) {
    nadb_session_free(ss);
    nadb_store_close(store);
}

static bool prepare(const char *key) {
    nadb_value v = {.type = NADB_NULL};
    nadb_err err;

    return CHECK_OK(nadb_session_begin(ss, false, &err), err) &&
           CHECK_OK(rig_put(ss, key, v, &err), err) &&
           CHECK_OK(nadb_session_prepare(ss, &err), err);
}

static bool is_there(const char *key) {
    bool found = false;
    nadb_row row;
    nadb_err err;

    if (CHECK_OK(nadb_session_begin(ss, false, &err), err))
        CHECK_OK(nadb_get(ss, nadb_slice_str(key), &row, &found, &err), err);
    CHECK_OK(nadb_session_rollback(ss, &err), err);
    return found;
}

static nadb_rc lacks_files(engine *s, nadb_err *err) {
    return nadb_fail_errno(err, EMFILE, "cannot open a log in %s", s->dir);
}

/* The holder of the commit lock has died, and a process that has no descriptor
 * left for the repair rolls back: its record is void all the same. */
static void test_rollback_without_lock(void) {
    control_map *map;
    uint32_t dead = 0;
    nadb_err err;
    engine *s;

    REQUIRE(open_store() && prepare("a"));
    s = engine_of(nadb_store_engine(store));
    map = s->ctl.map;
    while (atomic_load(&map->slots[dead].used) != 0) dead++;
    atomic_store(&map->slots[dead].used, 1);
    atomic_store(&map->commit_lock, dead + 1);
    s->repair = lacks_files;
    CHECK(nadb_session_rollback(ss, &err) == NADB_CANTOPEN);
    s->repair = engine_repair;
    CHECK(!is_there("a"));
    CHECK(prepare("a")); /* the key is free */
    CHECK_OK(nadb_session_rollback(ss, &err), err);
    close_store();
    for (int i = 0; i < 2; i++) {
        REQUIRE(open_store());
        CHECK(!is_there("a"));
        close_store();
        test_os_new_boot(); /* the log says so, too */
    }
}

int main(void) {
    rig_use_memory();
    RUN(test_rollback_without_lock);
    return unit_done();
}
