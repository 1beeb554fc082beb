/* memtable_test.c - the index over a log: against a model with snapshots and
 * clears, walked both ways; linked by processes that are killed between any
 * two instructions; read while it is written; damaged. */
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "../../core/engine/memtable.h"
#include "../../core/util/sync.h"
#include "home.h"
#include "rig.h"

enum { KEYS = 60, SEQS = 3000, CHANGES = 8, MODEL_CLEARS = 10 };

/* --- records of changes, made of numbers --- */

typedef struct change {
    int key;
    bool del;
} change;

typedef struct changes {
    nadb_iter base;
    change c[CHANGES];
    int n, at;
    uint64_t seq; /* is the value */
    char key[64];
} changes;

/* Keys of one length class sort by number; many share their first 8 bytes. */
static nadb_slice key_of(int key, char buf[64]) {
    int n = snprintf(buf, 64, key % 3 == 0 ? "k%04d" : "k%04d/long tail", key);

    return nadb_slice_of(buf, (size_t)n);
}

static nadb_rc changes_show(changes *c) {
    c->base.valid = c->at < c->n;
    if (!c->base.valid) return NADB_OK;
    memset(&c->base.entry, 0, sizeof c->base.entry);
    c->base.entry.key = key_of(c->c[c->at].key, c->key);
    if (c->c[c->at].del)
        c->base.entry.flags = NADB_ENTRY_TOMBSTONE;
    else
        c->base.entry.value = nadb_slice_of(&c->seq, sizeof c->seq);
    return NADB_OK;
}

static nadb_rc changes_next(nadb_iter *base, nadb_err *err) {
    changes *c = (changes *)base;

    (void)err;
    c->at++;
    return changes_show(c);
}

static const nadb_iter_ops changes_ops = {changes_next, NULL, NULL};

static void changes_draw(changes *c, uint64_t seq, int max) {
    int key = (int)rig_rnd(KEYS);

    memset(c, 0, sizeof *c);
    c->base.ops = &changes_ops;
    c->seq = seq;
    for (int n = 1 + (int)rig_rnd((uint64_t)max); n > 0 && key < KEYS; n--) {
        c->c[c->n++] = (change){key, rig_rnd(5) == 0};
        key += 1 + (int)rig_rnd(20);
    }
    (void)changes_show(c);
}

/* --- a memtable --- */

static const nadb_os *os;
static nadb_home home;
static uint64_t next_number;
static nadb_buf scratch;

static memtable *make(uint64_t capacity) {
    wal_birth birth = {.number = ++next_number, .capacity = capacity};
    memtable *m = NULL;
    nadb_err err;

    CHECK_OK(memtable_create(&m, &home, &birth, &err), err);
    return m;
}

/* Appends the record; false when it does not fit any more. */
static bool append(memtable *m, changes *c, uint64_t *off) {
    uint64_t length = 0, tail = memtable_tail(m);
    uint64_t need = wal_record_bound((uint64_t)c->n, (uint64_t)c->n * 80);
    wal_note note = {0};
    uint32_t count = 0;
    bool fits = false;
    nadb_err err;

    if (!CHECK_OK(memtable_reserve(m, need, memtable_room((uint64_t)c->n),
                                   &fits, &err),
                  err) ||
        !fits)
        return false;
    if (!CHECK_OK(wal_append(&m->log, tail, &c->base, &note, &scratch, &length,
                             &count, &err),
                  err))
        return false;
    *off = tail;
    memtable_tail_set(m, tail + length);
    return CHECK_U64(count, c->n);
}

static nadb_rc link_at(memtable *m, uint64_t off, uint64_t seq, nadb_err *err) {
    memtable_splice splice = {false, {0}};
    nadb_rc rc = NADB_OK;
    wal_record r;
    wal_entry e;
    bool valid = false;

    wal_record_at(&m->log, off, memtable_tail(m), true, &r, &valid);
    if (!valid) return nadb_fail(err, NADB_CORRUPT, "no record");
    while (rc == NADB_OK && wal_entry_next(&m->log, &r, &e))
        rc = memtable_link(m, &splice, &e, seq, err);
    return rc;
}

/* --- the model: who wrote a key, for every sequence number --- */

static struct {
    int64_t by[SEQS + 1][KEYS]; /* 0: never; negative: deleted by it */
    uint64_t clears[MODEL_CLEARS];
    int n_clears;
    uint64_t seq;
} model;

static void model_apply(const changes *c) {
    model.seq++;
    memcpy(model.by[model.seq], model.by[model.seq - 1], sizeof model.by[0]);
    for (int i = 0; i < c->n; i++)
        model.by[model.seq][c->c[i].key] =
            c->c[i].del ? -(int64_t)model.seq : (int64_t)model.seq;
}

static uint64_t model_floor(uint64_t snapshot) {
    uint64_t floor = 0;

    for (int i = 0; i < model.n_clears; i++)
        if (model.clears[i] <= snapshot) floor = model.clears[i] - 1;
    return floor;
}

static int64_t model_get(int key, uint64_t snapshot, uint64_t floor) {
    int64_t by = model.by[snapshot][key];

    return (uint64_t)(by < 0 ? -by : by) <= floor ? 0 : by;
}

static void check_entry(const nadb_entry *e, int key, int64_t by) {
    uint64_t value = 0;
    char buf[64];

    CHECK(nadb_slice_eq(e->key, key_of(key, buf)));
    CHECK_U64(e->seq, by < 0 ? -by : by);
    CHECK(((e->flags & NADB_ENTRY_TOMBSTONE) != 0) == (by < 0));
    CHECK((e->flags & NADB_ENTRY_PINNED) != 0);
    if (by < 0) return;
    REQUIRE(e->value.n == sizeof value);
    memcpy(&value, e->value.p, sizeof value);
    CHECK_U64(value, by);
}

static void check_get(memtable *m, int key, uint64_t snapshot) {
    uint64_t floor = memtable_floor(m, snapshot), newest = 0;
    int64_t by = model_get(key, snapshot, floor);
    char buf[64];
    memtable_key k = memtable_key_of(key_of(key, buf));
    nadb_entry e;
    bool found = false;
    nadb_err err;

    CHECK_U64(floor, model_floor(snapshot));
    REQUIRE_OK(memtable_get(m, &k, snapshot, floor, &e, &found, &err), err);
    if (CHECK(found == (by != 0)) && found) check_entry(&e, key, by);
    REQUIRE_OK(memtable_newest(m, &k, &newest, &err), err);
    by = model.by[model.seq][key];
    CHECK_U64(newest, by < 0 ? -by : by);
}

static int expect_from(int key, int lo, int hi, int step, uint64_t snapshot,
                       uint64_t floor) {
    for (; key >= lo && key < hi; key += step)
        if (model_get(key, snapshot, floor) != 0) return key;
    return -1;
}

/* Walks a random range with random seeks. */
static void check_walk(memtable *m, uint64_t snapshot) {
    uint64_t floor = memtable_floor(m, snapshot);
    int lo = (int)rig_rnd(KEYS), hi = lo + 1 + (int)rig_rnd(KEYS);
    int step = rig_rnd(2) == 0 ? 1 : -1, at;
    char lo_buf[64], hi_buf[64], buf[64];
    nadb_range range = {key_of(lo, lo_buf), {NULL, 0}, step < 0};
    nadb_iter *it = NULL;
    nadb_err err;

    if (hi < KEYS)
        range.hi = key_of(hi, hi_buf);
    else
        hi = KEYS;
    REQUIRE_OK(memtable_iter(m, snapshot, floor, &range, &it, &err), err);
    at = step > 0 ? lo : hi - 1;
    for (int moves = 0; moves < 40 && unit.bad_checks == 0; moves++) {
        if (rig_rnd(4) == 0) {
            int to = (int)rig_rnd(KEYS);

            CHECK_OK(nadb_iter_seek(it, key_of(to, buf), &err), err);
            at = step > 0 && to < lo ? lo : step < 0 && to >= hi ? hi - 1 : to;
        } else {
            CHECK_OK(nadb_iter_next(it, &err), err);
        }
        at = expect_from(at, lo, hi, step, snapshot, floor);
        if (!CHECK(it->valid == (at >= 0)) || at < 0) break;
        check_entry(&it->entry, at, model_get(at, snapshot, floor));
        at += step;
    }
    nadb_iter_free(it);
}

/* Every key, and whole walks both ways. */
static void check_all(memtable *m) {
    uint64_t floor = memtable_floor(m, model.seq);
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    nadb_iter *it = NULL;
    nadb_err err;

    for (int key = 0; key < KEYS; key++) check_get(m, key, model.seq);
    for (int step = 1; step >= -1; step -= 2) {
        int at = step > 0 ? 0 : KEYS - 1;

        all.reverse = step < 0;
        REQUIRE_OK(memtable_iter(m, model.seq, floor, &all, &it, &err), err);
        for (;;) {
            CHECK_OK(nadb_iter_next(it, &err), err);
            at = expect_from(at, 0, KEYS, step, model.seq, floor);
            if (!CHECK(it->valid == (at >= 0)) || at < 0) break;
            check_entry(&it->entry, at, model_get(at, model.seq, floor));
            at += step;
        }
        nadb_iter_free(it);
    }
}

/* --- tests --- */

static void model_step(memtable *m) {
    uint64_t off = 0;
    changes c;
    nadb_err err;

    changes_draw(&c, model.seq + 1, CHANGES);
    REQUIRE(append(m, &c, &off));
    if (rig_rnd(300) == 0 && model.n_clears < MODEL_CLEARS) {
        model.clears[model.n_clears++] = model.seq + 1;
        memtable_clear_at(m, model.seq + 1);
    }
    REQUIRE_OK(link_at(m, off, model.seq + 1, &err), err);
    if (rig_rnd(4) == 0) /* and once more: nothing happens */
        REQUIRE_OK(link_at(m, off, model.seq + 1, &err), err);
    model_apply(&c);
}

static void test_model(void) {
    memtable *m = make((uint64_t)4 << 20), *other = NULL;
    nadb_err err;

    memset(&model, 0, sizeof model);
    REQUIRE(m != NULL);
    while (model.seq < SEQS && unit.bad_checks == 0) {
        model_step(m);
        if (model.seq % 100 == 50 && other == NULL)
            REQUIRE_OK(memtable_attach(&other, &home, m->log.number, &err),
                       err);
        /* another process's handle sees the same */
        check_get(other != NULL ? other : m, (int)rig_rnd(KEYS),
                  rig_rnd(model.seq + 1));
        check_walk(other != NULL && rig_rnd(2) == 0 ? other : m,
                   rig_rnd(model.seq + 1));
        if (model.seq % 700 == 0) {
            check_all(m);
            memtable_unref(other);
            other = NULL;
        }
    }
    check_all(m);
    memtable_unref(other);
    memtable_unref(m);
}

/* A full index says so before anything is written. */
static void test_full(void) {
    memtable *m = make(70000);
    uint64_t off = 0, n = 0;
    changes c;
    bool fits = true;
    nadb_err err;

    memset(&model, 0, sizeof model);
    REQUIRE(m != NULL);
    for (; n < SEQS; n++) {
        changes_draw(&c, model.seq + 1, CHANGES);
        if (!append(m, &c, &off)) break;
        REQUIRE_OK(link_at(m, off, model.seq + 1, &err), err);
        model_apply(&c);
    }
    CHECK(n > 100 && n < SEQS);
    CHECK_OK(memtable_reserve(m, 0, UINT64_MAX / 2, &fits, &err), err);
    CHECK(!fits);
    CHECK_OK(memtable_reserve(m, UINT64_MAX / 2, 0, &fits, &err), err);
    CHECK(!fits);
    check_all(m);
    memtable_unref(m);
}

static void test_no_space(void) {
    static const char *const classes[] = {"open", "pwrite", "reserve", "map",
                                          "malloc"};
    nadb_err err;

    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        uint64_t fired = 1;

        for (uint64_t nth = 1; fired > 0; nth++) {
            wal_birth birth = {.number = ++next_number, .capacity = 70000};
            memtable *m = NULL;
            nadb_rc rc;

            test_fault_set(classes[i], nth, "ENOSPC", false, NULL);
            rc = memtable_create(&m, &home, &birth, &err);
            test_fault_clear(NULL, &fired);
            CHECK((rc == NADB_OK) == (m != NULL));
            if (fired == 0) CHECK_OK(rc, err);
            memtable_unref(m);
            if (rc == NADB_OK) continue;
            CHECK(memtable_attach(&m, &home, next_number, &err) ==
                      NADB_CANTOPEN &&
                  err.sys_errno == 2); /* ENOENT: nothing is left */
        }
    }
}

/* --- killed between any two instructions --- */

/* In a child that is killed after `steps` instructions of linking; UINT64_MAX:
 * after all. Returns how many it made, 0 when tracing is not possible. */
static uint64_t link_and_die(memtable *m, uint64_t off, uint64_t seq,
                             uint64_t steps) {
    uint64_t made = 0;
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(1);
        raise(SIGSTOP);
        (void)!link_at(m, off, seq, NULL);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return 0;
    if (!WIFSTOPPED(status)) return 0;
    while (made < steps) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0) break;
        if (waitpid(child, &status, 0) != child || WIFEXITED(status)) break;
        made++;
    }
    if (!WIFEXITED(status)) {
        kill(child, SIGKILL);
        (void)waitpid(child, &status, 0);
    }
    return made;
}

static void test_killed_while_linking(void) {
    memtable *m = make((uint64_t)4 << 20);
    int64_t end = os->mono_ns() / 1000000 + (rig_soak() ? 120000 : 4000);
    uint64_t off = 0, most = 0;
    unsigned kills = 0;
    changes c;
    nadb_err err;

    memset(&model, 0, sizeof model);
    REQUIRE(m != NULL);
    while (model.seq < SEQS && os->mono_ns() / 1000000 < end) {
        changes_draw(&c, model.seq + 1, 3);
        if (!append(m, &c, &off)) break;
        if (most == 0 || rig_rnd(20) == 0) {
            uint64_t all = link_and_die(m, off, model.seq + 1, UINT64_MAX);

            if (all == 0) {
                printf("processes cannot be traced here: not tested\n");
                break;
            }
            if (all > most) most = all;
        } else {
            /* sometimes the next one to repair dies as well */
            for (int i = 1 + (rig_rnd(3) == 0); i > 0; i--, kills++)
                (void)link_and_die(m, off, model.seq + 1, rig_rnd(most));
        }
        REQUIRE_OK(link_at(m, off, model.seq + 1, &err), err);
        model_apply(&c);
        check_all(m);
        if (unit.bad_checks > 0) break;
    }
    printf("%u kills, up to %llu instructions\n", kills,
           (unsigned long long)most);
    memtable_unref(m);
}

/* --- readers beside the writer --- */

static struct {
    memtable *m;
    _Atomic uint64_t seq;
    atomic_bool stop;
    atomic_int wrong;
} beside;

/* Commit n made a new key and wrote key 0 again. */
static void *read_beside(void *arg) {
    bool reverse = arg != NULL;
    nadb_range all = {{NULL, 0}, {NULL, 0}, reverse};
    char buf[64];
    memtable_key k = memtable_key_of(key_of(0, buf));

    while (!atomic_load(&beside.stop)) {
        uint64_t seq = atomic_load(&beside.seq), n = 0;
        nadb_iter *it = NULL;
        nadb_entry e;
        bool found = false;

        if (seq == 0) continue;
        if (memtable_get(beside.m, &k, seq, 0, &e, &found, NULL) != NADB_OK ||
            !found || e.seq != seq)
            beside.wrong++;
        if (memtable_iter(beside.m, seq, 0, &all, &it, NULL) != NADB_OK) break;
        while (nadb_iter_next(it, NULL) == NADB_OK && it->valid) {
            n++;
            if (it->entry.seq > seq) beside.wrong++;
        }
        nadb_iter_free(it);
        if (n != seq + 1) beside.wrong++;
    }
    return NULL;
}

static void test_readers_beside(void) {
    pthread_t readers[2];
    changes c;
    nadb_err err;

    beside.m = make((uint64_t)4 << 20);
    REQUIRE(beside.m != NULL);
    for (size_t i = 0; i < 2; i++)
        REQUIRE_OK(nadb_thread_start(&readers[i], "reader", read_beside,
                                     i == 0 ? NULL : &beside, &err),
                   err);
    for (uint64_t seq = 1; seq <= 2000; seq++) {
        uint64_t off = 0;

        memset(&c, 0, sizeof c);
        c.base.ops = &changes_ops;
        c.seq = seq;
        c.n = 2;
        c.c[1].key = 1 + (int)(seq * 7919 % 9973);
        (void)changes_show(&c);
        if (!CHECK(append(beside.m, &c, &off)) ||
            !CHECK_OK(link_at(beside.m, off, seq, &err), err))
            break;
        atomic_store(&beside.seq, seq);
    }
    atomic_store(&beside.stop, true);
    for (int i = 0; i < 2; i++) nadb_thread_join(readers[i]);
    CHECK(atomic_load(&beside.wrong) == 0);
    memtable_unref(beside.m);
}

/* --- damage --- */

/* Whatever the index says, nothing crashes and everything ends. */
static void test_damaged_index(void) {
    int rounds = rig_soak() ? 200000 : 4000;
    memtable *m = make((uint64_t)1 << 20);
    uint8_t *bytes, *copy;
    uint64_t off = 0, size;
    changes c;

    memset(&model, 0, sizeof model);
    REQUIRE(m != NULL);
    for (int i = 0; i < 200; i++) model_step(m);
    bytes = (uint8_t *)m->head;
    size = atomic_load(&m->head->alloc);
    copy = malloc(size);
    REQUIRE(copy != NULL);
    memcpy(copy, bytes, size);
    changes_draw(&c, 5, CHANGES);
    REQUIRE(append(m, &c, &off));
    memcpy(copy, bytes, size);
    for (int i = 0; i < rounds; i++) {
        nadb_range all = {{NULL, 0}, {NULL, 0}, rig_rnd(2) == 0};
        char buf[64];
        memtable_key k = memtable_key_of(key_of((int)rig_rnd(KEYS), buf));
        nadb_iter *it = NULL;
        nadb_entry e;
        bool found;

        for (uint64_t n = 1 + rig_rnd(3); n > 0; n--) {
            uint64_t at = rig_rnd(4) == 0 ? rig_rnd(sizeof(memtable_head))
                                          : rig_rnd(size);

            bytes[at] = (uint8_t)rig_rnd(256);
        }
        (void)!memtable_get(m, &k, model.seq, 0, &e, &found, NULL);
        if (memtable_iter(m, model.seq, 0, &all, &it, NULL) == NADB_OK) {
            while (nadb_iter_next(it, NULL) == NADB_OK && it->valid) continue;
            nadb_iter_free(it);
        }
        (void)!link_at(m, off, model.seq + 1, NULL);
        memcpy(bytes, copy, size);
    }
    free(copy);
    check_all(m);
    memtable_unref(m);
}

int main(void) {
    rig_seed_init();
    os = nadb_os_get();
    home_init(&home, unit_dir());
    RUN(test_model);
    RUN(test_full);
    RUN(test_no_space);
    RUN(test_killed_while_linking);
    RUN(test_readers_beside);
    RUN(test_damaged_index);
    nadb_buf_clear(&scratch);
    return unit_done();
}
