/* batch_test.c - the private changes of a transaction: against a model that
 * remembers every state there was. */
#include "../../core/kv/batch.h"
#include "rig.h"

enum { KEYS = 30, OPS = 120 };

typedef enum what { NOTHING, VALUE, TOMBSTONE } what;

typedef struct state {
    what keys[KEYS];
    uint64_t op[KEYS]; /* number of the operation, which is the value */
    bool cleared;
    bool any;    /* something was done */
    uint64_t id; /* of the first operation that is not in it */
} state;

static state states[OPS + 1]; /* states[i]: after i operations */
static int n_states;          /* of them */

static nadb_slice key_of(int key, char buf[40]) {
    int n = snprintf(buf, 40, key % 3 == 0 ? "%02d" : "a longer key %02d", key);

    return nadb_slice_of(buf, (size_t)n);
}

/* Keys in the order of their bytes. */
static int order[KEYS];

static int by_key(const void *a, const void *b) {
    char x[40], y[40];

    return nadb_slice_cmp(key_of(*(const int *)a, x),
                          key_of(*(const int *)b, y));
}

static bool do_op(batch *b) {
    state *s = &states[n_states];
    int key = (int)rig_rnd(KEYS);
    uint64_t id = b->next_id;
    uint8_t *p = NULL;
    char buf[40];
    nadb_err err;

    *s = states[n_states - 1];
    s->any = true;
    switch (rig_rnd(20)) {
    case 0:
        if (!CHECK_OK(batch_clear_all(b, &err), err)) return false;
        memset(s->keys, 0, sizeof s->keys);
        s->cleared = true;
        break;
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        if (!CHECK_OK(batch_delete(b, key_of(key, buf), &err), err))
            return false;
        s->keys[key] = TOMBSTONE;
        s->op[key] = id;
        break;
    default:
        if (!CHECK_OK(batch_put(b, key_of(key, buf), sizeof id, NADB_PUT_BLIND,
                                &p, &err),
                      err))
            return false;
        memcpy(p, &id, sizeof id);
        s->keys[key] = VALUE;
        s->op[key] = id;
    }
    s->id = b->next_id;
    n_states++;
    return true;
}

static void check_entry(const nadb_entry *e, const state *s, int key) {
    char buf[40];

    CHECK(nadb_slice_eq(e->key, key_of(key, buf)));
    CHECK(((e->flags & NADB_ENTRY_TOMBSTONE) != 0) ==
          (s->keys[key] == TOMBSTONE));
    if (s->keys[key] == VALUE)
        CHECK(e->value.n == 8 && memcmp(e->value.p, &s->op[key], 8) == 0);
}

/* The state below s->id, through find and by walking a random range. */
static void check_state(batch *b, const state *s) {
    char buf[40], lo_buf[40], hi_buf[40];
    int lo = (int)rig_rnd(KEYS), hi = lo + 1 + (int)rig_rnd(KEYS), at;
    bool reverse = rig_rnd(2) == 0;
    nadb_range range = {key_of(order[lo], lo_buf), {NULL, 0}, reverse};
    nadb_iter *it = NULL;
    nadb_err err;

    for (int key = 0; key < KEYS; key++) {
        const batch_op *op = batch_find(b, key_of(key, buf), s->id);

        if (!CHECK((op != NULL) == (s->keys[key] != NOTHING)) || op == NULL)
            continue;
        CHECK(op->id == s->op[key]);
    }
    CHECK(batch_cleared(b, s->id) == s->cleared);
    if (hi < KEYS)
        range.hi = key_of(order[hi], hi_buf);
    else
        hi = KEYS;
    REQUIRE_OK(batch_iter(b, &range, s->id, &it, &err), err);
    at = reverse ? hi - 1 : lo;
    for (int moves = 0; moves < 50; moves++) {
        if (rig_rnd(6) == 0) {
            int to = (int)rig_rnd(KEYS);

            CHECK_OK(nadb_iter_seek(it, key_of(order[to], buf), &err), err);
            at = !reverse && to < lo ? lo : reverse && to >= hi ? hi - 1 : to;
        } else {
            CHECK_OK(nadb_iter_next(it, &err), err);
        }
        while (at >= lo && at < hi && s->keys[order[at]] == NOTHING)
            at += reverse ? -1 : 1;
        if (!CHECK(it->valid == (at >= lo && at < hi)) || !it->valid) break;
        check_entry(&it->entry, s, order[at]);
        at += reverse ? -1 : 1;
    }
    nadb_iter_free(it);
}

static void check_measure(const batch *b, const state *s) {
    size_t count = 0, bytes = 0, want = 0, want_bytes = 0;
    char buf[40];

    for (int key = 0; key < KEYS; key++) {
        if (s->keys[key] == NOTHING) continue;
        want++;
        want_bytes += key_of(key, buf).n + (s->keys[key] == VALUE ? 8 : 0);
    }
    batch_measure(b, &count, &bytes);
    CHECK_U64(count, want);
    CHECK_U64(bytes, want_bytes);
    CHECK(batch_empty(b) == !s->any);
}

/* nadb_engine_ops.scratch: a file that has lost its name. */
static nadb_rc scratch(nadb_engine *e, nadb_file **out, nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    nadb_dir *dir = NULL;
    nadb_rc rc = os->dir_open(unit_dir(), &dir, err);

    (void)e;
    if (rc == NADB_OK)
        rc = os->open(dir, "batch.txn",
                      NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
                      0600, out, err);
    if (rc == NADB_OK) rc = os->unlink(dir, "batch.txn", err);
    os->dir_close(dir);
    return rc;
}

static const nadb_engine_ops folder_ops = {.scratch = scratch};
static nadb_engine folder = {&folder_ops};

/* Any earlier state can be asked for, and gone back to. */
static void run_model(batch *b, int rounds) {

    REQUIRE(b != NULL);
    for (int round = 0; round < rounds && unit.bad_checks == 0; round++) {
        memset(&states[0], 0, sizeof states[0]);
        states[0].id = b->next_id;
        n_states = 1;
        for (int i = 0; i < 2 * OPS && unit.bad_checks == 0; i++) {
            if (n_states <= OPS && rig_rnd(6) != 0) {
                REQUIRE(do_op(b));
            } else {
                int back = (int)rig_rnd((uint64_t)n_states);

                batch_undo(b, states[back].id);
                n_states = back + 1;
                /* numbers only rise: the state reaches up to the next one */
                states[back].id = b->next_id;
            }
            check_state(b, &states[rig_rnd((uint64_t)n_states)]);
            check_measure(b, &states[n_states - 1]);
        }
        batch_reset(b);
        CHECK(batch_empty(b));
        CHECK_U64(b->spill.bytes, 0);
    }
    batch_unref(b);
}

static void test_model(void) {
    run_model(batch_new(NULL, 0), rig_soak() ? 5000 : 150);
}

/* In files from the first operation on, and from some later one. */
static void test_model_in_files(void) {
    run_model(batch_new(&folder, 0), rig_soak() ? 2000 : 30);
    run_model(batch_new(&folder, 4096), rig_soak() ? 2000 : 30);
}

/* Larger files for more; a value that is larger than any; and all goes. */
static void test_files(void) {
    enum { LARGE = 80 << 20, PUTS = 40, EACH = 300000 };
    batch *b = batch_new(&folder, 4096);
    const batch_op *op;
    nadb_err err;
    uint8_t *p;
    char buf[40];

    REQUIRE(b != NULL);
    for (int i = 0; i < PUTS; i++) {
        nadb_slice key = nadb_slice_of(buf, (size_t)snprintf(buf, 40, "%d", i));

        REQUIRE_OK(batch_put(b, key, EACH, 0, &p, &err), err);
        memset(p, i, EACH);
    }
    CHECK(b->spill.bytes > (uint64_t)PUTS * EACH);
    CHECK(b->spill.bytes < (uint64_t)PUTS * EACH * 2);
    REQUIRE_OK(batch_put(b, nadb_slice_str("large"), LARGE, 0, &p, &err), err);
    p[0] = p[LARGE - 1] = 7;
    for (int i = 0; i < PUTS; i++) {
        nadb_slice key = nadb_slice_of(buf, (size_t)snprintf(buf, 40, "%d", i));

        op = batch_find(b, key, UINT64_MAX);
        REQUIRE(op != NULL);
        CHECK(op->value.p[0] == i && op->value.p[EACH - 1] == i);
    }
    batch_reset(b);
    CHECK_U64(b->spill.bytes, 0);
    batch_unref(b);
}

/* Where there is no room for a file nothing is put, but deleting goes on. */
static void test_full(void) {
    batch *b = batch_new(&folder, 4096);
    nadb_err err;
    char buf[40];
    uint8_t *p;

    REQUIRE(b != NULL);
    nadb_err_clear(&err);
    test_fault_set("reserve", 1, "ENOSPC", true, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK(batch_put(b, key_of(0, buf), 200000, 0, &p, &err) == NADB_FULL);
        CHECK(strstr(err.msg, "No space left") != NULL);
    }
    for (int i = 0; i < 200; i++)
        REQUIRE_OK(batch_delete(b, key_of(i % KEYS, buf), &err), err);
    REQUIRE_OK(batch_clear_all(b, &err), err);
    CHECK(batch_put(b, key_of(0, buf), 200000, 0, &p, &err) == NADB_FULL);
    test_fault_clear(NULL, NULL);
    CHECK_U64(b->spill.bytes, 0);
    CHECK_OK(batch_put(b, key_of(0, buf), 200000, 0, &p, &err), err);
    CHECK(b->spill.bytes > 0);
    CHECK(batch_find(b, key_of(0, buf), UINT64_MAX) != NULL);
    batch_unref(b);
}

/* What was read for a decision stays read; the first mode of a key stays. */
static void test_modes(void) {
    batch *b = batch_new(NULL, 0);
    nadb_slice k = nadb_slice_str("key");
    const batch_op *op;
    uint8_t *p;
    nadb_err err;

    REQUIRE(b != NULL);
    REQUIRE_OK(batch_put(b, k, 0, NADB_PUT_INSERT, &p, &err), err);
    op = batch_find(b, k, UINT64_MAX);
    REQUIRE(op != NULL);
    CHECK(op->mode == NADB_PUT_INSERT && (op->flags & NADB_ENTRY_READ));
    REQUIRE_OK(batch_put(b, k, 3, NADB_PUT_BLIND, &p, &err), err);
    memcpy(p, "abc", 3);
    op = batch_find(b, k, UINT64_MAX);
    REQUIRE(op != NULL);
    CHECK(op->mode == NADB_PUT_INSERT && (op->flags & NADB_ENTRY_READ));
    CHECK(op->value.n == 3 && memcmp(op->value.p, "abc", 3) == 0);
    REQUIRE_OK(batch_delete(b, k, &err), err);
    op = batch_find(b, k, UINT64_MAX);
    REQUIRE(op != NULL);
    CHECK(op->flags == (NADB_ENTRY_TOMBSTONE | NADB_ENTRY_READ));
    CHECK(batch_find(b, nadb_slice_str("ke"), UINT64_MAX) == NULL);
    batch_unref(b);
    batch_unref(NULL);
}

/* A walk goes on in what it saw while the batch grows beside it. */
static void test_growing(void) {
    batch *b = batch_new(NULL, 0);
    nadb_range all = {{NULL, 0}, {NULL, 0}, false};
    nadb_iter *it = NULL;
    uint8_t *p;
    char buf[40];
    int seen = 0;
    nadb_err err;

    REQUIRE(b != NULL);
    for (int i = 0; i < KEYS; i += 2)
        REQUIRE_OK(batch_put(b, key_of(order[i], buf), 0, 0, &p, &err), err);
    REQUIRE_OK(batch_iter(b, &all, b->next_id, &it, &err), err);
    for (int i = 1; i < KEYS; i += 2) {
        CHECK_OK(nadb_iter_next(it, &err), err);
        if (it->valid) seen++;
        REQUIRE_OK(batch_put(b, key_of(order[i], buf), 0, 0, &p, &err), err);
        REQUIRE_OK(batch_delete(b, key_of(order[i - 1], buf), &err), err);
        CHECK(it->valid && !(it->entry.flags & NADB_ENTRY_TOMBSTONE));
    }
    CHECK_OK(nadb_iter_next(it, &err), err);
    CHECK(!it->valid);
    CHECK_U64(seen, KEYS / 2);
    batch_unref(b); /* the walk has a reference of its own */
    nadb_iter_free(it);
}

static void test_no_memory(void) {
    batch *b = batch_new(NULL, 0);
    uint64_t fired = 1;
    nadb_err err;

    REQUIRE(b != NULL);
    for (uint64_t nth = 1; fired > 0; nth++) {
        nadb_rc rc = NADB_OK;
        uint8_t *p;
        char buf[40];
        int done = 0;

        test_fault_set("malloc", nth, "ENOMEM", false, NULL);
        while (done < 200 && rc == NADB_OK) {
            rc = batch_put(b, key_of(done % KEYS, buf), 500, 0, &p, &err);
            if (rc == NADB_OK) done++;
        }
        test_fault_clear(NULL, &fired);
        CHECK(rc == (fired > 0 ? NADB_NOMEM : NADB_OK));
        for (int i = 0; i < KEYS; i++)
            CHECK((batch_find(b, key_of(i, buf), UINT64_MAX) != NULL) ==
                  (i < done));
        batch_reset(b);
    }
    batch_unref(b);
}

int main(void) {
    rig_seed_init();
    for (int i = 0; i < KEYS; i++) order[i] = i;
    qsort(order, KEYS, sizeof order[0], by_key);
    RUN(test_model);
    RUN(test_model_in_files);
    RUN(test_files);
    RUN(test_full);
    RUN(test_modes);
    RUN(test_growing);
    RUN(test_no_memory);
    return unit_done();
}
