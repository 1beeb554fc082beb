/* workers_test.c - the background threads are started once, also if the system
 * refuses one of them at first. */
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

int main(void) {
    RUN(test_second_refused);
    return unit_done();
}
