/* workers_test.c - the background threads are started once, also if the system
 * refuses one of them at first. A kick of nadb-work is for one store: a process
 * with hundreds of stores, each of which is kicked once a flush_interval, does
 * not work on all of them at each kick. */
#include "../../core/engine/workers.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

#include "../../core/engine/engine.h"
#include "../../core/store_engine.h"
#include "rig.h"

static struct {
    unsigned made;
    unsigned refused; /* the number of the one that is refused, from 1 */
} threads;

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                      void *);

/* In place of the system's. */
int pthread_create(pthread_t *restrict out, const pthread_attr_t *restrict attr,
                   void *(*body)(void *), void *restrict arg) {
    create_fn *real = NULL;
    void *found = dlsym(RTLD_NEXT, "pthread_create");

    memcpy(&real, &found, sizeof real);
    if (threads.refused > 0 && threads.made + 1 == threads.refused) {
        threads.refused = 0;
        return EAGAIN;
    }
    threads.made++;
    return real(out, attr, body, arg);
}

static void test_second_refused(void) {
    static const rig_how how = {.sync = NADB_SYNC_NORMAL,
                                .buffer_bytes = 1 << 20};
    char dir[100];
    nadb_store *store = NULL;
    nadb_err err;

    snprintf(dir, sizeof dir, "%s", unit_path("refused"));
    REQUIRE(mkdir(dir, 0700) == 0);
    threads.refused = 2;
    CHECK(rig_open(dir, &how, &store, NULL, &err) != NADB_OK);
    CHECK(strstr(err.msg, "cannot start thread nadb-work") != NULL);
    CHECK(threads.made == 1 && !nadb_workers_running());
    REQUIRE_OK(rig_open(dir, &how, &store, NULL, &err), err);
    /* Opened for the second time, it would start them later. */
    CHECK_OK(nadb_workers_add(engine_of(nadb_store_engine(store)), &err), err);
    CHECK(threads.made == 2 && nadb_workers_running());
    nadb_store_close(store);
    rig_remove(dir);
}

/* --- kicks --- */

enum { STORES = 30, KICKS = 100 };

static engine stores[STORES];
static _Atomic unsigned rounds[STORES];

static void tend(engine *s) { (void)s; }

static nadb_rc count_round(engine *s, bool *more, nadb_err *err) {
    (void)err;
    *more = false;
    atomic_fetch_add(&rounds[s - stores], 1);
    return NADB_OK;
}

static void wait_for_round(unsigned i, unsigned more_than) {
    while (atomic_load(&rounds[i]) <= more_than) sched_yield();
}

static void test_kick_is_for_one(void) {
    static const engine_duties duties = {tend, count_round};
    const nadb_os *os = nadb_os_get();
    int64_t from;
    unsigned seconds;
    nadb_err err;

    for (unsigned i = 0; i < STORES; i++) {
        stores[i].os = os;
        stores[i].duties = &duties;
        atomic_store(&stores[i].flush_interval_ms, 3600000);
        REQUIRE_OK(nadb_workers_add(&stores[i], &err), err);
    }
    for (unsigned i = 0; i < STORES; i++) wait_for_round(i, 0);
    from = os->mono_ns();
    for (unsigned k = 0; k < KICKS; k++) {
        unsigned seen = atomic_load(&rounds[0]);

        nadb_workers_kick(&stores[0]);
        wait_for_round(0, seen);
    }
    CHECK(atomic_load(&rounds[0]) >= KICKS);
    /* Without a kick there is a round each second. */
    seconds = (unsigned)((os->mono_ns() - from) / 1000000000);
    for (unsigned i = 1; i < STORES; i++)
        CHECK(atomic_load(&rounds[i]) <= seconds + 3);
    for (unsigned i = 0; i < STORES; i++) nadb_workers_remove(&stores[i]);
}

/* What has failed is tried again although nobody kicks. */
static void test_round_without_kick(void) {
    static const engine_duties duties = {tend, count_round};
    unsigned seen = atomic_load(&rounds[0]);
    nadb_err err;

    stores[0].duties = &duties;
    REQUIRE_OK(nadb_workers_add(&stores[0], &err), err);
    wait_for_round(0, seen + 1);
    nadb_workers_remove(&stores[0]);
}

int main(void) {
    RUN(test_second_refused);
    RUN(test_kick_is_for_one);
    RUN(test_round_without_kick);
    return unit_done();
}
