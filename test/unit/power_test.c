/* power_test.c - the power goes at any moment: what a store holds afterwards.
 *
 * A workload runs under the recorder of os_test.h, and the tree is built again
 * as a power cut after each event could have left it. Whatever the cut:
 *
 *   - the store opens, nadb_check() finds nothing, and both directions of a
 *     scan agree;
 *   - what it holds is a prefix of the history, whole transactions only, in
 *     the order of the log; nothing that was taken back;
 *   - everything acknowledged is in it under synchronous=full, else all that
 *     was acknowledged before the last completed sync of the log, or flush;
 *   - it takes new transactions, and keeps them over the next open.
 *
 * In some runs the two sessions are of two openers, as in two processes: each
 * has its own mappings and versions, syncs what the other wrote, and goes and
 * comes back. Another test lets cut follow upon cut, some of them during
 * recovery. */
#include "../../core/engine/engine.h"
#include "../../core/kv/session.h"
#include "../../core/store_engine.h"
#include "../support/paths.h"
#include "rig.h"

/* --- the workload --- */

typedef struct run {
    rig_history h;
    nadb_durability sync;
    nadb_store *store[2]; /* the same one twice, or of two openers */
    rig_how how[2];
    nadb_session *ss[2];
    uint32_t doubt[2];       /* number of the prepared transaction, or 0 */
    uint64_t created;        /* events when the store was first open */
    uint64_t floor_at[4096]; /* events from which on .. */
    uint32_t floor[4096];    /* .. transactions up to this one are durable */
    size_t n_floors;
    rig_state start; /* of the store, durable when recording began */
} run;

static run r;

static void note_floor(uint32_t txn) {
    if (r.n_floors == 4096) return;
    r.floor_at[r.n_floors] = test_power_events();
    r.floor[r.n_floors++] = txn;
}

/* The last acknowledged transaction. */
static uint32_t acknowledged(void) {
    uint32_t n = r.h.n;

    while (n > 0 && r.h.txns[n - 1].fate != RIG_COMMITTED) n--;
    return n;
}

static void end_doubt(int i, bool commit) {
    rig_txn *t = &r.h.txns[r.doubt[i] - 1];
    nadb_err err;

    if (commit)
        nadb_session_commit(r.ss[i]);
    else
        CHECK_OK(nadb_session_rollback(r.ss[i], &err), err);
    t->fate = commit ? RIG_COMMITTED : RIG_BACK;
    t->ended = test_power_events();
    if (commit && r.sync == NADB_SYNC_FULL) note_floor(r.doubt[i]);
    r.doubt[i] = 0;
}

static void end_doubts(void) {
    for (int i = 0; i < 2; i++)
        if (r.doubt[i] != 0) end_doubt(i, true);
}

/* A transaction of session i is written and prepared. */
static void step_prepare(int i) {
    bool clear = r.doubt[1 - i] == 0 && rig_rnd(25) == 0;
    rig_txn *t = &r.h.txns[r.h.n];
    uint8_t half = RIG_KEYS / 2;
    nadb_err err;

    if (r.h.n == RIG_TXNS) return;
    if (r.doubt[1 - i] != 0 && r.h.txns[r.doubt[1 - i] - 1].clear)
        end_doubt(1 - i, rig_rnd(2) == 0); /* a prepare would wait for it */
    rig_draw(t, i == 0 ? 0 : half, i == 0 ? half : RIG_KEYS, clear);
    REQUIRE_OK(nadb_session_begin(r.ss[i], rig_rnd(2) == 0, &err), err);
    REQUIRE_OK(rig_write(r.ss[i], &r.h, r.h.n + 1, &err), err);
    if (rig_rnd(20) == 0) { /* never mind */
        CHECK_OK(nadb_session_rollback(r.ss[i], &err), err);
        return;
    }
    t->begun = test_power_events();
    t->ended = UINT64_MAX;
    r.h.n++;
    r.doubt[i] = r.h.n;
    REQUIRE_OK(nadb_session_prepare(r.ss[i], &err), err);
}

static bool join(const char *dir, int i) {
    nadb_err err;

    return CHECK_OK(rig_open(dir, &r.how[i], &r.store[i], NULL, &err), err) &&
           CHECK_OK(nadb_session_new(r.store[i], &r.ss[i], &err), err);
}

static void leave(int i) {
    nadb_session_free(r.ss[i]);
    nadb_store_close(r.store[i]);
    r.ss[i] = NULL;
    r.store[i] = NULL;
}

static void step_whole_store(const char *dir) {
    int i = (int)rig_rnd(2);
    nadb_store *store = r.store[i];
    nadb_err err;

    end_doubts(); /* a flush would wait for them */
    switch (rig_rnd(9)) {
    case 0:
        CHECK_OK(nadb_store_compact(store, NULL, NULL, &err), err);
        break;
    case 1:
    case 2:
        CHECK_OK(nadb_store_flush(store, &err), err);
        break;
    case 3:
        leave(i);
        (void)join(dir, i);
        return;
    default:
        CHECK_OK(engine_sync_to(engine_of(nadb_store_engine(store)), UINT64_MAX,
                                &err),
                 err);
    }
    note_floor(acknowledged());
}

static void step(const char *dir) {
    int i = (int)rig_rnd(2);

    if (rig_rnd(12) == 0) {
        step_whole_store(dir);
    } else if (r.doubt[i] != 0) {
        end_doubt(i, rig_rnd(3) != 0);
    } else {
        step_prepare(i);
        if (r.doubt[i] != 0 && rig_rnd(4) != 0) end_doubt(i, true);
    }
    /* Too many logs cannot be flushed over one that holds a doubt. */
    if (r.doubt[1 - i] != 0 && r.h.n - r.doubt[1 - i] > 3)
        end_doubt(1 - i, rig_rnd(2) == 0);
}

static unsigned draw_buffer(void) { return 2048u << rig_rnd(6); }

static bool begin_run(const char *dir, nadb_durability sync, int openers) {
    r.sync = sync;
    for (int i = 0; i < 2; i++) {
        r.how[i] = (rig_how){
            .sync = sync,
            .buffer_bytes = draw_buffer(),
            .no_mmap = rig_rnd(4) == 0,
            .opener = openers == 1 ? 0 : i,
        };
        if (!join(dir, i)) return false;
        if (i == 0) r.created = test_power_events();
    }
    return true;
}

static void end_run(void) {
    end_doubts();
    for (int i = 0; i < 2; i++) leave(i);
}

/* --- what may be there --- */

static uint32_t floor_of(uint64_t event) {
    uint32_t floor = 0;

    for (size_t i = 0; i < r.n_floors; i++)
        if (r.floor_at[i] <= event && r.floor[i] > floor) floor = r.floor[i];
    return floor;
}

/* Whether transaction n is in a state that has everything up to a later one:
 * surely not (0), surely (1), perhaps (2). */
static int in_prefix(uint32_t n, uint64_t event) {
    const rig_txn *t = &r.h.txns[n - 1];

    if (t->fate != RIG_BACK) return 1;
    return t->ended <= event ? 0 : 2;
}

/* Whether *got is a state that a cut after `event` may leave; `mask` chooses
 * among the transactions that were being taken back. */
static bool try_prefixes(const rig_state *got, uint64_t event, unsigned mask,
                         uint32_t *prefix, unsigned *perhaps) {
    uint32_t floor = floor_of(event);
    rig_state s = r.start;
    unsigned seen = 0;

    for (uint32_t n = 0;; n++) {
        if (n > 0) {
            int in = in_prefix(n, event);

            if (in == 2) in = mask >> seen++ & 1;
            if (in == 1) rig_apply(&s, &r.h, n);
        }
        if (n >= floor && rig_same(got, &s)) {
            *prefix = n;
            return true;
        }
        if (n == r.h.n || r.h.txns[n].begun >= event) break;
    }
    *perhaps = seen;
    return false;
}

static bool allowed(const rig_state *got, uint64_t event, uint32_t *prefix) {
    unsigned perhaps = 0;

    for (unsigned mask = 0; mask < 1u << (perhaps > 14 ? 14 : perhaps); mask++)
        if (try_prefixes(got, event, mask, prefix, &perhaps)) return true;
    return false;
}

static void explain(const rig_state *got, uint64_t event) {
    uint32_t floor = floor_of(event);
    rig_state s = r.start;

    for (uint32_t n = 1; n <= floor; n++)
        if (in_prefix(n, event) == 1) rig_apply(&s, &r.h, n);
    rig_print("store", got);
    printf("  transactions up to %u must be there\n", floor);
    rig_print("floor", &s);
    for (uint32_t n = floor + 1; n <= r.h.n; n++) {
        if (r.h.txns[n - 1].begun >= event) break;
        if (in_prefix(n, event) == 0) continue;
        rig_apply(&s, &r.h, n);
        printf("  %u%s", n, in_prefix(n, event) == 2 ? "?" : "");
        rig_print("", &s);
    }
}

/* --- one cut --- */

/* Adds a transaction to what the store holds, reopens it, and looks again. */
static bool goes_on(const char *dir, rig_how *how, nadb_store **store,
                    const rig_state *had) {
    nadb_session *ss = NULL;
    rig_state want = *had, got;
    uint32_t txn = r.h.n + 1;
    nadb_err err;
    bool ok;

    rig_draw(&r.h.txns[txn - 1], 0, RIG_KEYS, rig_rnd(20) == 0);
    ok = CHECK_OK(nadb_session_new(*store, &ss, &err), err) &&
         CHECK_OK(nadb_session_begin(ss, false, &err), err);
    ok = ok && CHECK_OK(rig_write(ss, &r.h, txn, &err), err) &&
         CHECK_OK(nadb_session_prepare(ss, &err), err);
    if (ok) nadb_session_commit(ss);
    nadb_session_free(ss);
    if (ok && rig_rnd(3) == 0)
        ok = CHECK_OK(nadb_store_flush(*store, &err), err);
    nadb_store_close(*store);
    *store = NULL;
    if (!ok) return false;
    rig_apply(&want, &r.h, txn);
    if (rig_rnd(2) == 0) test_os_new_boot();
    return CHECK_OK(rig_open(dir, how, store, NULL, &err), err) &&
           rig_read(*store, &got) && CHECK(rig_same(&got, &want));
}

/* What a reader sees that may not write. */
static bool look_only(const char *target, rig_how how, rig_state *got) {
    nadb_store *store = NULL;
    nadb_err err;
    bool ok;

    how.read_only = true;
    if (!CHECK_OK(rig_open(target, &how, &store, NULL, &err), err))
        return false;
    ok = rig_read(store, got);
    nadb_store_close(store);
    return ok;
}

static bool check_cut(const char *target, uint64_t event, uint64_t seed) {
    bool created = event >= r.created, looked = created && rig_rnd(4) == 0;
    rig_how how = {.sync = NADB_SYNC_NORMAL,
                   .buffer_bytes = draw_buffer(),
                   .no_mmap = rig_rnd(4) == 0,
                   .no_create = created};
    nadb_store *store = NULL;
    rig_state got, seen;
    uint32_t prefix;
    nadb_err err;
    bool ok;

    if (!CHECK_OK(test_power_cut(event, seed, target, &err), err)) return false;
    test_os_new_boot();
    ok = (!looked || look_only(target, how, &seen)) &&
         CHECK_OK(rig_open(target, &how, &store, NULL, &err), err) &&
         rig_read(store, &got);
    if (ok && !CHECK(allowed(&got, event, &prefix))) {
        explain(&got, event);
        ok = false;
    }
    ok = ok && (!looked || CHECK(rig_same(&seen, &got)));
    ok = ok && goes_on(target, &how, &store, &got);
    nadb_store_close(store);
    if (!ok)
        printf("  cut after event %llu of %llu, seed %llu, sync %d, in %s\n",
               (unsigned long long)event,
               (unsigned long long)test_power_events(),
               (unsigned long long)seed, (int)r.sync, target);
    return ok;
}

static int64_t now_ms(void) { return nadb_os_get()->mono_ns() / 1000000; }

/* Every cut in a soak; else as many as the time allows, anywhere. */
static void check_cuts(int64_t budget_ms) {
    uint64_t events = test_power_events();
    int64_t end = now_ms() + budget_ms;
    char target[100];
    unsigned done = 0;

    snprintf(target, sizeof target, "%s/cut", unit_dir());
    if (rig_soak()) {
        for (uint64_t e = 0; e <= events; e++)
            for (uint64_t seed = 0; seed < 8; seed++, done++)
                if (!check_cut(target, e, seed < 2 ? seed : 2 + rig_rnd(1000)))
                    return;
    }
    while (!rig_soak() && now_ms() < end) {
        uint64_t e = rig_rnd(events + 1), seed = rig_rnd(5);

        done++;
        if (!check_cut(target, e, seed < 2 ? seed : 2 + rig_rnd(1000))) return;
    }
    printf("%llu transactions, %llu events, %u cuts\n",
           (unsigned long long)r.h.n, (unsigned long long)events, done);
}

static void cut_anywhere(const char *name, nadb_durability sync, int openers) {
    int steps = rig_soak() ? 600 : 250;
    char dir[100];
    nadb_err err;

    snprintf(dir, sizeof dir, "%s", unit_path(name));
    memset(&r, 0, sizeof r);
    REQUIRE_OK(path_mkdir(nadb_os_get(), dir, 0700, &err), err);
    REQUIRE_OK(test_power_start(dir, &err), err);
    if (begin_run(dir, sync, openers))
        for (int i = 0; i < steps && unit.bad_checks == 0; i++) step(dir);
    end_run();
    test_power_stop();
    if (unit.bad_checks == 0) check_cuts(2000);
}

static void test_cut_full(void) { cut_anywhere("full", NADB_SYNC_FULL, 1); }
static void test_cut_normal(void) {
    cut_anywhere("normal", NADB_SYNC_NORMAL, 1);
}
static void test_cut_off(void) { cut_anywhere("off", NADB_SYNC_OFF, 1); }
static void test_cut_full_two(void) {
    cut_anywhere("full2", NADB_SYNC_FULL, 2);
}
static void test_cut_normal_two(void) {
    cut_anywhere("normal2", NADB_SYNC_NORMAL, 2);
}

/* --- cut upon cut --- */

/* Runs on in `dir`, cuts, and makes what is left the next generation's
 * history, which begins with state *s. */
static bool generation(const char *dir, const char *next, nadb_durability sync,
                       rig_state *s) {
    uint64_t event, seed = rig_rnd(5);
    uint32_t prefix = 0;
    nadb_store *look = NULL;
    nadb_err err;
    rig_state got;
    rig_how how;
    uint32_t base = r.h.base + r.h.n;

    memset(&r, 0, sizeof r);
    r.h.base = base;
    r.start = *s;
    if (!CHECK_OK(test_power_start(dir, &err), err)) return false;
    test_os_new_boot();
    if (!begin_run(dir, sync, 1 + (int)rig_rnd(2))) return false;
    if (!rig_read(r.store[rig_rnd(2)], &got) || !CHECK(rig_same(&got, s)))
        return false;
    for (int i = (int)rig_rnd(40); i > 0 && unit.bad_checks == 0; i--)
        step(dir);
    test_power_stop();
    event = rig_rnd(3) == 0 ? rig_rnd(test_power_events() + 1)
                            : test_power_events();
    end_run();
    if (seed > 1) seed = 2 + rig_rnd(100000);
    if (!CHECK_OK(test_power_cut(event, seed, next, &err), err)) return false;
    /* Looks at a copy, so that the next generation's recovery is recorded. */
    if (!CHECK_OK(test_power_cut(event, seed, unit_path("look"), &err), err))
        return false;
    how = (rig_how){.sync = sync, .buffer_bytes = 65536};
    test_os_new_boot();
    if (!CHECK_OK(rig_open(unit_path("look"), &how, &look, NULL, &err), err))
        return false;
    if (rig_read(look, &got) && !CHECK(allowed(&got, event, &prefix)))
        explain(&got, event);
    nadb_store_close(look);
    *s = got;
    return unit.bad_checks == 0;
}

static void test_cut_upon_cut(void) {
    int64_t end = now_ms() + (rig_soak() ? 600000 : 5000);
    unsigned n = 0;
    nadb_err err;

    while (now_ms() < end) {
        nadb_durability sync = (nadb_durability)rig_rnd(3);
        rig_state s;
        char dirs[2][100];

        memset(&s, 0, sizeof s);
        for (int i = 0; i < 2; i++)
            snprintf(dirs[i], sizeof dirs[i], "%s/chain%u-%d", unit_dir(), n,
                     i);
        REQUIRE_OK(path_mkdir(nadb_os_get(), dirs[0], 0700, &err), err);
        for (int g = 0; g < 12; g++)
            if (!generation(dirs[g % 2], dirs[1 - g % 2], sync, &s)) {
                printf("  chain %u, generation %d, sync %d\n", n, g, (int)sync);
                return;
            }
        for (int i = 0; i < 2; i++) rig_remove(dirs[i]);
        n++;
    }
    printf("%u chains of cuts\n", n);
}

int main(void) {
    rig_use_memory();
    rig_seed_init();
    RUN(test_cut_full);
    RUN(test_cut_normal);
    RUN(test_cut_off);
    RUN(test_cut_full_two);
    RUN(test_cut_normal_two);
    RUN(test_cut_upon_cut);
    return unit_done();
}
