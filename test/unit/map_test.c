/* map_test.c - the engine that core/map makes of a map, over the backend of
 * examples/backend: the model of engine_model.h, and what maps have of their
 * own. */
#include "../../core/map/map.h"
#include "../../core/options.h"
#include "../../examples/backend/array.c"
#include "engine_model.h"

/* --- the example, with its states counted and errors on request --- */

static struct {
    _Atomic int states; /* that are not freed */
    nadb_rc apply_rc;   /* what apply() returns; NADB_OK: as it is */
    bool twisted;       /* step() leaves out every second entry */
} fake;

static nadb_rc fake_open(const nadb_options *o, nadb_map **out,
                         nadb_map_state **first, nadb_err *err) {
    nadb_rc rc = map_open(o, out, first, err);

    if (rc == NADB_OK) fake.states++;
    return rc;
}

static nadb_rc fake_apply(nadb_map *map, const nadb_map_state *s,
                          const nadb_map_changes *changes, nadb_map_state **out,
                          nadb_err *err) {
    nadb_rc rc;

    if (fake.apply_rc != NADB_OK)
        return nadb_fail(err, fake.apply_rc, "the map is full");
    rc = apply(map, s, changes, out, err);
    if (rc == NADB_OK) fake.states++;
    return rc;
}

static void fake_free(nadb_map *map, nadb_map_state *s) {
    fake.states--;
    state_free(map, s);
}

static nadb_rc fake_step(nadb_map *map, const nadb_map_state *s, bool back,
                         nadb_map_place *at, nadb_entry *out, bool *found,
                         nadb_err *err) {
    nadb_rc rc = step(map, s, back, at, out, found, err);

    if (rc == NADB_OK && fake.twisted && *found && !back)
        rc = step(map, s, back, at, out, found, err);
    return rc;
}

static nadb_rc fake_check(nadb_map *map, const nadb_map_state *s,
                          nadb_report_fn *report, void *ctx, nadb_err *err) {
    (void)map, (void)err;
    if (fake.twisted && s->n > 0) report(ctx, "own check");
    return NADB_OK;
}

static const nadb_map_ops fake_ops = {
    .open = fake_open,
    .seek = seek,
    .step = fake_step,
    .apply = fake_apply,
    .state_free = fake_free,
    .check = fake_check,
};

static nadb_rc open_fake(nadb_engine **out, nadb_err *err) {
    static const nadb_options options; /* nothing is set */

    return nadb_map_open(&options, &fake_ops, out, err);
}

static const struct tested tested = {
    .open = open_fake,
    .one_at_a_time = true,
    .conflict = "another transaction changed \"bb\" since this one began: roll "
                "back and retry",
};

/* --- states --- */

/* A state lives as long as it is the present one, in doubt, or seen. */
static void test_states(void) {
    nadb_engine *e = open_engine();
    change c = {3, 1, false};
    nadb_ticket *t = NULL;
    nadb_view *v = NULL;
    nadb_err err;

    CHECK(fake.states == 1);
    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    for (int i = 0; i < 3; i++) put_one(e, i, 1);
    CHECK(fake.states == 2); /* that of the view, and the present one */
    REQUIRE_OK(prepare(e, v, &c, 1, 0, &t, &err), err);
    CHECK(fake.states == 3);
    CHECK_OK(e->ops->rollback(e, t, &err), err);
    CHECK(fake.states == 2);
    e->ops->view_rest(e, v);
    CHECK(fake.states == 1);
    CHECK_OK(e->ops->view_refresh(e, v, &err), err);
    CHECK_U64(v->seq, 3);
    CHECK_U64(read_account(e, v, 2), 1);
    e->ops->view_close(e, v);
    e->ops->close(e);
    CHECK(fake.states == 0);
}

static void test_apply_fails(void) {
    nadb_engine *e = open_engine();
    change c = {3, 7, false};
    nadb_ticket *t = NULL;
    nadb_view *v = NULL;
    nadb_err err;

    put_one(e, 3, 1);
    fake.apply_rc = NADB_FULL;
    CHECK(prepare(e, NULL, &c, 1, 0, &t, &err) == NADB_FULL && t == NULL);
    CHECK_STR(err.msg, "the map is full");
    fake.apply_rc = NADB_OK;
    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    CHECK_U64(read_account(e, v, 3), 1);
    put_one(e, 3, 7); /* the turn has ended */
    CHECK_OK(e->ops->view_refresh(e, v, &err), err);
    CHECK_U64(read_account(e, v, 3), 7);
    e->ops->view_close(e, v);
    e->ops->close(e);
    CHECK(fake.states == 0);
}

/* Checks that the changes after `since` are n puts of one commit each. */
static void check_changes(nadb_engine *e, uint64_t since, uint64_t n) {
    nadb_changes *all = NULL;
    nadb_view *v = NULL;
    nadb_change c;
    bool found;
    nadb_err err;

    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    REQUIRE_OK(e->ops->changes(e, v, since, &all, &err), err);
    for (uint64_t i = 0; i < n; i++) {
        REQUIRE_OK(all->next(all, &c, &found, &err), err);
        REQUIRE(found);
        CHECK(c.kind == NADB_CHANGE_PUT && c.key.n == 2);
        CHECK_U64(c.seq, since + i + 1);
    }
    CHECK_OK(all->next(all, &c, &found, &err), err);
    CHECK(!found);
    all->free(all);
    e->ops->view_close(e, v);
}

/* Each allocation of a commit with a conflict check fails in turn. */
static void test_commit_without_memory(void) {
    nadb_engine *e = open_engine();
    uint64_t fired = 1, failed = 0;
    nadb_err err;

    e->ops->keep(e, (nadb_keep){.bytes = 1 << 20});
    put_one(e, 1, 1);
    for (uint64_t nth = 1; fired > 0; nth++) {
        change c = {3, 5, true};
        change_iter it = {.base.ops = &change_ops, .changes = &c, .n = 1};
        nadb_range all = {nadb_slice_str("r"), nadb_slice_str("rb"), false};
        nadb_commit_req req = {
            .changes = &it.base, .count = 1, .reads = &all, .n_reads = 1};
        nadb_ticket *t = NULL;
        nadb_rc rc;

        REQUIRE_OK(e->ops->view_open(e, &req.view, &err), err);
        put_one(e, 20, (uint32_t)nth); /* outside of what was read */
        test_fault_set("malloc", nth, "ENOMEM", false, NULL);
        rc = e->ops->prepare(e, &req, &t, &err);
        test_fault_clear(NULL, &fired);
        if (fired > 0) {
            failed++;
            CHECK(rc == NADB_NOMEM && t == NULL);
        } else {
            CHECK_OK(rc, err);
        }
        if (t != NULL) e->ops->commit(e, t);
        e->ops->view_close(e, req.view);
        CHECK(fake.states == 1);
    }
    CHECK(failed > 5);
    check_changes(e, 0, 1 + failed + 2); /* those of put_one(), and the last */
    e->ops->close(e);
    CHECK(fake.states == 0);
}

/* --- conflicts --- */

static nadb_rc read_range(nadb_engine *e, nadb_view *v, const char *lo,
                          const char *hi, nadb_err *err) {
    change c = {40, 1, false};
    change_iter it = {.base.ops = &change_ops, .changes = &c, .n = 1};
    nadb_range range = {nadb_slice_str(lo), nadb_slice_str(hi), true};
    nadb_commit_req req = {.view = v,
                           .changes = &it.base,
                           .count = 1,
                           .reads = &range,
                           .n_reads = 1};
    nadb_ticket *t = NULL;
    nadb_rc rc = e->ops->prepare(e, &req, &t, err);

    return rc == NADB_OK ? e->ops->rollback(e, t, err) : rc;
}

static void test_ranges(void) {
    nadb_engine *e = open_engine();
    nadb_view *v = NULL;
    nadb_err err;

    for (int key = 8; key < 12; key++) put_one(e, key, 1); /* ba .. bd */
    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    put_one(e, 9, 2);
    CHECK(read_range(e, v, "rb", "rc", &err) == NADB_CONFLICT);
    CHECK_STR(err.msg, tested.conflict);
    CHECK_OK(read_range(e, v, "rba", "rbb", &err), err);
    CHECK_OK(read_range(e, v, "rbba", "rz", &err), err);
    CHECK_OK(e->ops->view_refresh(e, v, &err), err);
    put_one(e, 11, 0); /* a key that the snapshot shows is gone */
    CHECK(read_range(e, v, "rbc", "rc", &err) == NADB_CONFLICT);
    CHECK_OK(read_range(e, v, "rb", "rbd", &err), err);
    CHECK_OK(e->ops->view_refresh(e, v, &err), err);
    put_one(e, 13, 1); /* one that it does not show has come */
    CHECK(read_range(e, v, "rbe", "rc", &err) == NADB_CONFLICT);
    e->ops->view_close(e, v);
    e->ops->close(e);
}

/* --- claims --- */

static void test_claims(void) {
    nadb_engine *e = open_engine();
    change c = {3, 1, true}, other = {4, 1, false};
    change_iter it = {.base.ops = &change_ops, .changes = &c, .n = 1};
    nadb_commit_req req = {.changes = &it.base, .count = 1};
    nadb_commit_req clear = {.clear = true};
    nadb_ticket *t = NULL;
    nadb_view *v = NULL;
    uint32_t claim = 0, second = 0;
    char buf[8];
    nadb_err err;

    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    CHECK_OK(e->ops->claim(e, v, key_of(3, buf), 0, &claim, &err), err);
    REQUIRE(claim != 0);
    CHECK_OK(e->ops->claim(e, v, key_of(3, buf), 10, &second, &err), err);
    CHECK(second == 0); /* it is claimed */
    CHECK(prepare(e, NULL, &c, 1, 10, &t, &err) == NADB_BUSY);
    CHECK(strstr(err.msg, "within 10 ms") != NULL);
    CHECK(e->ops->prepare(e, &clear, &t, &err) == NADB_BUSY);
    CHECK_OK(prepare(e, NULL, &other, 1, 0, &t, &err), err);
    CHECK_OK(e->ops->claim(e, v, key_of(5, buf), 10, &second, &err), err);
    CHECK(second == 0); /* a commit is in doubt */
    e->ops->commit(e, t);
    req.view = v;
    req.claim = claim;
    CHECK_OK(e->ops->prepare(e, &req, &t, &err), err);
    e->ops->commit(e, t);
    e->ops->unclaim(e, claim);
    CHECK_OK(prepare(e, NULL, &c, 1, 0, &t, &err), err);
    e->ops->commit(e, t);
    e->ops->view_close(e, v);
    e->ops->close(e);
}

/* Two threads that claim before they read never conflict. */
static void *count_up(void *arg) {
    nadb_engine *e = arg;
    nadb_view *v = NULL;
    long bad = 0;
    nadb_err err;

    if (e->ops->view_open(e, &v, &err) != NADB_OK) return (void *)1;
    for (int i = 0; i < 2000; i++) {
        change c = {7, 0, true};
        change_iter it = {.base.ops = &change_ops, .changes = &c, .n = 1};
        nadb_commit_req req = {.changes = &it.base, .count = 1};
        nadb_ticket *t = NULL;
        char buf[8];

        req.timeout_ms = 60000;
        bad += e->ops->view_refresh(e, v, &err) != NADB_OK;
        bad += e->ops->claim(e, v, key_of(7, buf), 60000, &req.claim, &err) !=
               NADB_OK;
        bad += req.claim == 0;
        req.view = v;
        c.value = read_account(e, v, 7) + 1;
        if (e->ops->prepare(e, &req, &t, &err) == NADB_OK)
            e->ops->commit(e, t);
        else
            bad++;
        e->ops->unclaim(e, req.claim);
    }
    e->ops->view_close(e, v);
    return (void *)bad;
}

static void test_claiming_threads(void) {
    nadb_engine *e = open_engine();
    pthread_t threads[THREADS];
    nadb_view *v = NULL;
    void *bad;
    nadb_err err;

    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, count_up, e) == 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &bad);
        CHECK(bad == NULL);
    }
    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    CHECK_U64(read_account(e, v, 7), THREADS * 2000);
    e->ops->view_close(e, v);
    e->ops->close(e);
    CHECK(fake.states == 0);
}

/* --- stores of a database file, and waiting --- */

static void test_settle_and_wait(void) {
    nadb_engine *e = open_engine();
    change c = {3, 1, false};
    nadb_ticket *t = NULL;
    nadb_view *v = NULL;
    uint64_t seq = 0;
    nadb_err err;

    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    CHECK_OK(prepare(e, v, &c, 1, 0, &t, &err), err);
    CHECK(e->ops->settle(e, NULL, NULL, 10, &err) == NADB_BUSY);
    CHECK_OK(e->ops->settle(e, NULL, t, 10, &err), err);
    CHECK(!e->ops->moved(e, v));
    CHECK_OK(e->ops->wait(e, 0, 10, NULL, &seq, &err), err);
    CHECK_U64(seq, 0);
    e->ops->commit(e, t);
    CHECK_OK(e->ops->settle(e, NULL, NULL, 10, &err), err);
    CHECK(e->ops->moved(e, v));
    CHECK_OK(e->ops->wait(e, 0, 60000, NULL, &seq, &err), err);
    CHECK_U64(seq, 1);
    e->ops->view_close(e, v);
    e->ops->close(e);
}

/* --- a map that is wrong --- */

static void take_problem(void *ctx, const char *what) {
    nadb_buf *b = ctx;

    CHECK(nadb_buf_append(b, what, strlen(what)) && nadb_buf_byte(b, '\n'));
}

static void test_check(void) {
    nadb_engine *e = open_engine();
    nadb_buf found = NADB_BUF_INIT;
    nadb_err err;

    for (int key = 0; key < 6; key++) put_one(e, key, 1);
    CHECK_OK(e->ops->check(e, take_problem, &found, &err), err);
    CHECK(found.n == 0);
    fake.twisted = true;
    CHECK_OK(e->ops->check(e, take_problem, &found, &err), err);
    fake.twisted = false;
    CHECK(nadb_buf_byte(&found, '\0'));
    CHECK_STR((const char *)found.p, "map: the walk back has other entries\n"
                                     "map: the count of rows or bytes is "
                                     "wrong\nown check\n");
    nadb_buf_clear(&found);
    e->ops->close(e);
}

int main(void) {
    engine_model_run();
    CHECK(fake.states == 0);
    RUN(test_states);
    RUN(test_apply_fails);
    RUN(test_commit_without_memory);
    RUN(test_ranges);
    RUN(test_claims);
    RUN(test_claiming_threads);
    RUN(test_settle_and_wait);
    RUN(test_check);
    return unit_done();
}
