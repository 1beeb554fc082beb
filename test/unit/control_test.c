/* control_test.c - the file through which processes agree: who is there, the
 * commit lock and the flusher word when their holders are killed, descriptors
 * read while they are published, pins, and a file that cannot be trusted. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../../core/engine/control.h"
#include "home.h"
#include "rig.h"

static const nadb_os *os;
static char dir[100];
static nadb_home home;
static const nadb_store_id id = {true, "an identity"};

/* A directory of its own for each test. */
static void fresh_dir(void) {
    static int n;
    nadb_err err;

    snprintf(dir, sizeof dir, "%s/c%d", unit_dir(), n++);
    CHECK_OK(path_mkdir(os, dir, 0700, &err), err);
    if (home.os != NULL) home_clear(&home);
    home_init(&home, dir);
}

/* Opens, and builds the state when it has to be. */
static bool open_control(control *c, control_state want) {
    control_state state = CONTROL_TRUSTED;
    nadb_err err;

    if (!CHECK_OK(control_open(c, &home, true, 5000, &state, &err), err))
        return false;
    if (state == CONTROL_REBUILD) {
        CHECK_OK(control_format(c, &err), err);
        control_identify(c, &id);
        control_publish(c, 1, 1, 0);
        atomic_store(&c->map->distrust, 0);
    }
    control_opened(c);
    return CHECK(state == want);
}

/* --- processes --- */

typedef struct word_of_mouth {
    atomic_int at;     /* how far the child is */
    atomic_int inside; /* who is inside the lock */
    atomic_int wrong;
    atomic_int entered, stolen;
} word_of_mouth;

static word_of_mouth *mouth;

/* Runs body in a child; the parent waits until it says that it is there. */
static pid_t child_of(void (*body)(void)) {
    pid_t pid;

    atomic_store(&mouth->at, 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        body();
        _exit(unit.bad_checks > 0);
    }
    while (pid > 0 && atomic_load(&mouth->at) == 0 &&
           waitpid(pid, NULL, WNOHANG) == 0)
        usleep(500);
    return pid;
}

static void say_and_sleep(void) {
    atomic_store(&mouth->at, 1);
    for (;;) pause();
}

static void kill_child(pid_t pid) {
    kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void hold_slot(void) {
    control c;

    if (open_control(&c, CONTROL_TRUSTED)) say_and_sleep();
}

static void hold_lock(void) {
    bool stolen;
    control c;

    if (open_control(&c, CONTROL_TRUSTED) &&
        control_lock(&c, 1000, &stolen, NULL) == NADB_OK)
        say_and_sleep();
}

static void hold_flusher(void) {
    control c;

    if (open_control(&c, CONTROL_TRUSTED) && control_flusher_try(&c))
        say_and_sleep();
}

static void hold_pin(void) {
    control c;

    if (!open_control(&c, CONTROL_TRUSTED)) return;
    control_pin(&c, 3, 40);
    say_and_sleep();
}

/* --- tests --- */

static void test_slots(void) {
    control a, b;
    pid_t pid;

    fresh_dir();
    REQUIRE(open_control(&a, CONTROL_REBUILD));
    CHECK(!control_others(&a));
    CHECK(control_alive(&a, a.slot) && !control_alive(&a, a.slot + 1));
    CHECK(!control_alive(&a, CONTROL_SLOTS) && !control_alive(&a, UINT32_MAX));
    REQUIRE(open_control(&b, CONTROL_TRUSTED)); /* in the same process */
    CHECK(b.slot != a.slot && control_alive(&a, b.slot));
    CHECK(control_others(&a) && control_others(&b));
    control_close(&b);
    CHECK(!control_others(&a));

    pid = child_of(hold_slot);
    CHECK(control_others(&a) && control_alive(&a, 1));
    kill_child(pid);
    CHECK(!control_others(&a) && !control_alive(&a, 1));
    /* its slot stays until it is repaired, and is not given away */
    CHECK(atomic_load(&a.map->slots[1].used) != 0);
    REQUIRE(open_control(&b, CONTROL_TRUSTED));
    CHECK(b.slot == 2);
    control_close(&b);
    control_close(&a);
}

static void test_all_slots(void) {
    static control c[CONTROL_SLOTS + 1];
    control_state state;
    nadb_err err;

    fresh_dir();
    for (unsigned i = 0; i < CONTROL_SLOTS; i++)
        REQUIRE(
            open_control(&c[i], i == 0 ? CONTROL_REBUILD : CONTROL_TRUSTED));
    CHECK(control_open(&c[CONTROL_SLOTS], &home, true, 100, &state, &err) ==
          NADB_BUSY);
    CHECK(strstr(err.msg, "250 processes have this store open") != NULL);
    for (unsigned i = 0; i < CONTROL_SLOTS; i++) control_close(&c[i]);
}

static void test_lock(void) {
    bool stolen = true;
    control a, b;
    pid_t pid;
    nadb_err err;

    fresh_dir();
    REQUIRE(open_control(&a, CONTROL_REBUILD));
    REQUIRE(open_control(&b, CONTROL_TRUSTED));
    REQUIRE_OK(control_lock(&a, 0, &stolen, &err), err);
    CHECK(!stolen);
    CHECK(control_lock(&b, 30, &stolen, &err) == NADB_BUSY);
    CHECK(strstr(err.msg, "30 ms") != NULL);
    control_unlock(&a);
    REQUIRE_OK(control_lock(&b, 30, &stolen, &err), err);
    control_unlock(&b);
    control_close(&b);

    pid = child_of(hold_lock);
    CHECK(control_lock(&a, 50, &stolen, &err) == NADB_BUSY);
    kill_child(pid);
    REQUIRE_OK(control_lock(&a, 5000, &stolen, &err), err);
    CHECK(stolen);
    control_unlock(&a);
    REQUIRE_OK(control_lock(&a, 0, &stolen, &err), err);
    CHECK(!stolen);
    control_unlock(&a);
    control_close(&a);
}

/* Processes that want the lock and are killed anywhere: never two inside, and
 * who comes after a dead one is told so. */
static void fight(void) {
    bool stolen = false;
    control c;

    if (!open_control(&c, CONTROL_TRUSTED)) return;
    atomic_store(&mouth->at, 1);
    for (;;) {
        if (control_lock(&c, -1, &stolen, NULL) != NADB_OK) continue;
        if (atomic_load(&mouth->inside) != 0 && !stolen) mouth->wrong++;
        if (stolen) mouth->stolen++;
        atomic_store(&mouth->inside, (int)c.slot + 1);
        mouth->entered++;
        for (volatile int i = 0; i < 300; i++) continue;
        if (atomic_load(&mouth->inside) != (int)c.slot + 1) mouth->wrong++;
        atomic_store(&mouth->inside, 0);
        control_unlock(&c);
    }
}

static void test_lock_and_kill(void) {
    int64_t end = os->mono_ns() / 1000000 + (rig_soak() ? 60000 : 2500);
    int kills = 0, before = 0;
    pid_t pids[3];
    control c;

    fresh_dir();
    memset(mouth, 0, sizeof *mouth);
    REQUIRE(open_control(&c, CONTROL_REBUILD));
    for (int i = 0; i < 3; i++) pids[i] = child_of(fight);
    while (os->mono_ns() / 1000000 < end && kills < 200) {
        int i = (int)rig_rnd(3);

        usleep((useconds_t)rig_rnd(8000));
        kill_child(pids[i]);
        kills++;
        /* the dead one's slot, as repair leaves it */
        for (uint32_t s = 0; s < CONTROL_SLOTS; s++)
            if (s != c.slot && !control_alive(&c, s))
                atomic_store(&c.map->slots[s].used, 0);
        pids[i] = child_of(fight);
        CHECK(atomic_load(&mouth->entered) >= before);
        before = atomic_load(&mouth->entered);
    }
    for (int i = 0; i < 3; i++) kill_child(pids[i]);
    CHECK(atomic_load(&mouth->wrong) == 0);
    CHECK(atomic_load(&mouth->entered) > 100);
    printf("%d kills, %d times inside, %d taken over\n", kills,
           atomic_load(&mouth->entered), atomic_load(&mouth->stolen));
    control_close(&c);
}

static void test_flusher(void) {
    control a, b;
    pid_t pid;

    fresh_dir();
    REQUIRE(open_control(&a, CONTROL_REBUILD));
    REQUIRE(open_control(&b, CONTROL_TRUSTED));
    CHECK(control_flusher_try(&a));
    CHECK(!control_flusher_try(&a)); /* another thread of ours */
    CHECK(!control_flusher_try(&b));
    control_flusher_drop(&a);
    CHECK(control_flusher_try(&b));
    control_flusher_drop(&b);
    control_close(&b);
    pid = child_of(hold_flusher);
    CHECK(!control_flusher_try(&a));
    kill_child(pid);
    CHECK(control_flusher_try(&a));
    control_flusher_drop(&a);
    control_close(&a);
}

static void test_pins(void) {
    control a;
    pid_t pid;

    fresh_dir();
    REQUIRE(open_control(&a, CONTROL_REBUILD));
    control_publish(&a, 1, 1, 7);
    atomic_store(&a.map->visible,
                 (uint64_t)90 << 8 | control_index(a.map->visible));
    CHECK_U64(control_oldest_gen(&a), 7);
    CHECK_U64(control_oldest_seq(&a), 90);
    control_pin(&a, 5, 60);
    CHECK_U64(control_oldest_gen(&a), 5);
    CHECK_U64(control_oldest_seq(&a), 60);
    pid = child_of(hold_pin);
    CHECK_U64(control_oldest_gen(&a), 3);
    CHECK_U64(control_oldest_seq(&a), 40);
    kill_child(pid); /* the dead need nothing */
    CHECK_U64(control_oldest_gen(&a), 5);
    control_unpin(&a);
    CHECK_U64(control_oldest_gen(&a), 7);
    CHECK_U64(control_oldest_seq(&a), 90);
    control_close(&a);
}

/* --- descriptors --- */

static void publish_for_ever(void) {
    control c;

    if (!open_control(&c, CONTROL_TRUSTED)) return;
    atomic_store(&mouth->at, 1);
    for (uint64_t n = 2;; n++) control_publish(&c, n, n + 1, n + 2);
}

static void test_descriptors(void) {
    uint64_t last = 0;
    control_now now;
    control a;
    pid_t pid;

    fresh_dir();
    REQUIRE(open_control(&a, CONTROL_REBUILD));
    control_publish(&a, 1, 2, 3);
    pid = child_of(publish_for_ever);
    for (int i = 0; i < 300000 && unit.bad_checks == 0; i++) {
        control_read(&a, &now);
        CHECK(now.last_log == now.first_log + 1 &&
              now.base_generation == now.first_log + 2);
        CHECK(now.generation >= last);
        last = now.generation;
    }
    kill_child(pid);
    control_read(&a, &now);
    last = now.generation;
    control_publish(&a, 1, 2, 3); /* wherever it was killed */
    control_read(&a, &now);
    CHECK(now.generation == last + 1 && now.first_log == 1);
    control_close(&a);
}

static void test_private(void) {
    bool stolen;
    control_now now;
    control c;
    nadb_err err;

    REQUIRE_OK(control_open_private(&c, os, &err), err);
    CHECK_OK(control_format(&c, &err), err);
    CHECK(!control_others(&c) && !control_flusher_try(&c));
    CHECK_OK(control_lock(&c, 0, &stolen, &err), err);
    control_publish(&c, 4, 5, 6);
    control_unlock(&c);
    control_read(&c, &now);
    CHECK(now.first_log == 4 && now.last_log == 5);
    control_close(&c);
}

/* --- what cannot be trusted --- */

static bool leave_sealed(void) {
    control c;

    if (!open_control(&c, CONTROL_REBUILD)) return false;
    if (CHECK(control_last(&c))) control_seal(&c, 77, 0);
    control_close(&c);
    return true;
}

static nadb_file *raw_open(void) {
    char path[150];
    nadb_file *f = NULL;
    nadb_err err;

    snprintf(path, sizeof path, "%s/control", dir);
    CHECK_OK(path_open(os, path, NADB_OPEN_WRITE, 0, &f, &err), err);
    return f;
}

/* What the next opener makes of the file; it is left as it was. */
static nadb_rc judge(control_state *state, nadb_err *err) {
    uint8_t bytes[sizeof(control_map)];
    nadb_file *f = raw_open();
    control c;
    nadb_rc rc;

    *state = CONTROL_TRUSTED;
    CHECK(os->pread(f, bytes, sizeof bytes, 0, NULL) == NADB_OK);
    rc = control_open(&c, &home, false, 1000, state, err);
    if (rc == NADB_OK) {
        control_opened(&c);
        control_close(&c);
    }
    CHECK(os->pwrite(f, bytes, sizeof bytes, 0, NULL) == NADB_OK);
    os->close(f);
    return rc;
}

static void test_reopened(void) {
    control_state state;
    control c;
    nadb_err err;

    fresh_dir();
    REQUIRE(leave_sealed());
    CHECK_OK(judge(&state, &err), err);
    CHECK(state == CONTROL_TRUSTED);
    test_os_new_boot();
    CHECK_OK(judge(&state, &err), err);
    CHECK(state == CONTROL_REBUILD);
    /* of another boot, and somebody is there: on another machine */
    fresh_dir();
    REQUIRE(open_control(&c, CONTROL_REBUILD));
    test_os_new_boot();
    CHECK(judge(&state, &err) == NADB_CANTOPEN);
    CHECK(strstr(err.msg, "is open on another machine or in another "
                          "container: close it there first") != NULL);
    control_close(&c);
}

/* Any flipped bit of a sealed file, but for the slots, is noticed. */
static void test_flipped_bits(void) {
    size_t end = offsetof(control_map, slots), step = rig_soak() ? 1 : 37;
    nadb_file *f;

    fresh_dir();
    REQUIRE(leave_sealed());
    f = raw_open();
    REQUIRE(f != NULL);
    for (size_t at = rig_rnd(step); at < end; at += step) {
        uint8_t was, bad;
        control_state state;
        nadb_err err;
        nadb_rc rc;

        CHECK(os->pread(f, &was, 1, at, NULL) == NADB_OK);
        bad = was ^ (uint8_t)(1u << rig_rnd(8));
        CHECK(os->pwrite(f, &bad, 1, at, NULL) == NADB_OK);
        rc = judge(&state, &err);
        if (!CHECK(rc == NADB_CANTOPEN ||
                   (rc == NADB_OK && state == CONTROL_REBUILD)))
            printf("  byte %zu: %s\n", at, nadb_rc_name(rc));
        CHECK(os->pwrite(f, &was, 1, at, NULL) == NADB_OK);
    }
    os->close(f);
}

static void test_format_from_future(void) {
    control_state state;
    control_map *m;
    control c;
    nadb_file *f;
    nadb_err err;
    uint8_t zeros[8] = {0};

    fresh_dir();
    REQUIRE(open_control(&c, CONTROL_REBUILD));
    m = c.map;
    m->version++;
    control_close(&c);
    CHECK_OK(judge(&state, &err), err); /* its sum is wrong: only damage */
    CHECK(state == CONTROL_REBUILD);
    f = raw_open();
    REQUIRE(f != NULL);
    CHECK(os->pwrite(f, "not ours", 8, 0, NULL) == NADB_OK);
    CHECK(judge(&state, &err) == NADB_CANTOPEN);
    CHECK(strstr(err.msg, "not a control file") != NULL);
    CHECK(os->pwrite(f, zeros, 8, 0, NULL) == NADB_OK);
    CHECK_OK(judge(&state, &err), err); /* it may be made */
    CHECK(state == CONTROL_BLANK);
    os->close(f);
}

/* Zeros that child processes share; POSIX has no MAP_ANONYMOUS. */
static void *shared_memory(size_t n) {
    FILE *f = tmpfile();
    void *p = MAP_FAILED;

    if (f != NULL && ftruncate(fileno(f), (off_t)n) == 0)
        p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
    if (f != NULL) fclose(f);
    return p == MAP_FAILED ? NULL : p;
}

int main(void) {
    rig_seed_init();
    os = nadb_os_get();
    mouth = shared_memory(sizeof *mouth);
    if (mouth == NULL) return 1;
    RUN(test_slots);
    RUN(test_all_slots);
    RUN(test_lock);
    RUN(test_lock_and_kill);
    RUN(test_flusher);
    RUN(test_pins);
    RUN(test_descriptors);
    RUN(test_private);
    RUN(test_reopened);
    RUN(test_flipped_bits);
    RUN(test_format_from_future);
    return unit_done();
}
