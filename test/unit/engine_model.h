/* engine_model.h - tests of an engine in memory against a model, with views
 * held over commits, transactions in doubt, conflicts, and allocations that
 * fail; for memory_test.c and map_test.c, which define `tested` and call
 * engine_model_run(). */
#ifndef NADB_TEST_ENGINE_MODEL_H
#define NADB_TEST_ENGINE_MODEL_H

#include <pthread.h>
#include <time.h>

#include "../../core/backend.h"
#include "../../core/util/bytes.h"
#include "../support/os_test.h"
#include "unit.h"

/* The engine that is tested. */
static const struct tested {
    nadb_rc (*open)(nadb_engine **out, nadb_err *err);
    bool one_at_a_time;   /* a second commit waits, whatever its keys are */
    const char *conflict; /* the message of a conflict at key "bb" */
} tested;

static uint64_t rng_state;

static uint64_t rnd(uint64_t below) {
    rng_state += 1;
    return nadb_hash64(nadb_slice_of(&rng_state, sizeof rng_state)) % below;
}

/* --- changes as the backend wants them: an iterator over an array --- */

#define KEYS 48

typedef struct change {
    int key;
    uint32_t value; /* 0: delete */
    bool read;
} change;

typedef struct change_iter {
    nadb_iter base;
    const change *changes;
    int n, at;
    char key[8];
    uint32_t value;
} change_iter;

/* "r" and two letters: order as that of the numbers. */
static nadb_slice key_of(int key, char *buf) {
    snprintf(buf, 8, "r%c%c", 'a' + key / 8, 'a' + key % 8);
    return nadb_slice_str(buf);
}

static nadb_rc changes_show(change_iter *it) {
    const change *c = &it->changes[it->at];

    it->base.valid = it->at < it->n;
    if (!it->base.valid) return NADB_OK;
    memset(&it->base.entry, 0, sizeof it->base.entry);
    it->base.entry.key = key_of(c->key, it->key);
    it->value = c->value;
    if (c->value == 0)
        it->base.entry.flags = NADB_ENTRY_TOMBSTONE;
    else
        it->base.entry.value = nadb_slice_of(&it->value, sizeof it->value);
    if (c->read) it->base.entry.flags |= NADB_ENTRY_READ;
    return NADB_OK;
}

static nadb_rc changes_next(nadb_iter *base, nadb_err *err) {
    change_iter *it = (change_iter *)base;

    (void)err;
    it->at++;
    return changes_show(it);
}

static nadb_rc changes_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    change_iter *it = (change_iter *)base;

    (void)err;
    (void)key; /* always the beginning */
    it->at = 0;
    return changes_show(it);
}

static const nadb_iter_ops change_ops = {changes_next, changes_seek, NULL};

static nadb_rc prepare(nadb_engine *e, nadb_view *v, const change *changes,
                       int n, int64_t timeout_ms, nadb_ticket **out,
                       nadb_err *err) {
    change_iter it = {.base.ops = &change_ops, .changes = changes, .n = n};
    nadb_commit_req req = {.view = v,
                           .changes = &it.base,
                           .count = (size_t)n,
                           .timeout_ms = timeout_ms};

    return e->ops->prepare(e, &req, out, err);
}

/* --- the model --- */

#define VIEWS 6
#define TICKETS 3
#define NO_VERSION 0

typedef struct state {
    uint32_t value[KEYS];   /* 0: absent */
    uint64_t version[KEYS]; /* who wrote it; NO_VERSION: absent */
} state;

typedef struct model_view {
    nadb_view *view;
    state seen;
    uint64_t commits; /* when it was opened */
} model_view;

typedef struct model_ticket {
    nadb_ticket *ticket;
    change changes[KEYS];
    int n;
    bool clear;
} model_ticket;

static struct {
    nadb_engine *e;
    state now;
    uint64_t commits, versions;
    model_view views[VIEWS];
    model_ticket tickets[TICKETS];
    int waits, conflicts, faults, done; /* that such things happened */
} m;

static uint32_t value_of(const nadb_entry *entry) {
    uint32_t value = 0;

    if (CHECK(entry->value.n == sizeof value))
        memcpy(&value, entry->value.p, sizeof value);
    CHECK((entry->flags & NADB_ENTRY_PINNED) != 0);
    CHECK((entry->flags & NADB_ENTRY_TOMBSTONE) == 0);
    return value;
}

static bool key_is(nadb_slice got, int key) {
    char buf[8];

    return nadb_slice_eq(got, key_of(key, buf));
}

static void check_get(const model_view *v) {
    int key = (int)rnd(KEYS);
    char buf[8];
    nadb_entry entry;
    bool found;
    nadb_err err;

    REQUIRE_OK(
        m.e->ops->get(m.e, v->view, key_of(key, buf), &entry, &found, &err),
        err);
    REQUIRE(found == (v->seen.value[key] != 0));
    if (found) CHECK_U64(value_of(&entry), v->seen.value[key]);
}

/* The next key that the view sees, from `key` in the direction; -1: none. */
static int expect_from(const state *s, int key, int lo, int hi, int step) {
    for (; key >= lo && key < hi; key += step)
        if (s->value[key] != 0) return key;
    return -1;
}

/* Walks a random range with random seeks; remembers what it passed, and looks
 * at it once more at the end: entries are pinned. */
static void check_scan(const model_view *v) {
    int lo = (int)rnd(KEYS), hi = lo + (int)rnd((uint64_t)(KEYS - lo)) + 1;
    bool bounded = rnd(4) != 0;
    int step = rnd(2) == 0 ? 1 : -1;
    char lo_buf[8], hi_buf[8], buf[8];
    nadb_range range = {key_of(lo, lo_buf), nadb_slice_of(NULL, 0), step < 0};
    nadb_entry passed[KEYS];
    int keys[KEYS], n = 0, at;
    nadb_iter *it;
    nadb_err err;

    if (bounded)
        range.hi = key_of(hi, hi_buf);
    else
        hi = KEYS;
    REQUIRE_OK(m.e->ops->iter(m.e, v->view, &range, &it, &err), err);
    at = step > 0 ? lo : hi - 1;
    for (int moves = 0; moves < 60; moves++) {
        if (rnd(5) == 0) {
            int to = (int)rnd(KEYS);

            CHECK_OK(nadb_iter_seek(it, key_of(to, buf), &err), err);
            at = step > 0 && to < lo ? lo : step < 0 && to >= hi ? hi - 1 : to;
        } else {
            CHECK_OK(nadb_iter_next(it, &err), err);
        }
        at = expect_from(&v->seen, at, lo, hi, step);
        if (!CHECK(it->valid == (at >= 0))) break;
        if (at < 0) {
            CHECK_OK(nadb_iter_next(it, &err), err);
            CHECK(!it->valid);
            break;
        }
        CHECK(key_is(it->entry.key, at));
        CHECK_U64(value_of(&it->entry), v->seen.value[at]);
        if (n < KEYS) {
            passed[n] = it->entry;
            keys[n++] = at;
        }
        at += step;
    }
    nadb_iter_free(it);
    for (int i = 0; i < n; i++) {
        CHECK(key_is(passed[i].key, keys[i]));
        CHECK_U64(value_of(&passed[i]), v->seen.value[keys[i]]);
    }
}

/* --- steps of the model --- */

static void step_view(model_view *v) {
    nadb_err err;

    if (v->view == NULL) {
        REQUIRE_OK(m.e->ops->view_open(m.e, &v->view, &err), err);
    } else if (rnd(3) == 0) {
        REQUIRE_OK(m.e->ops->view_refresh(m.e, v->view, &err), err);
    } else {
        m.e->ops->view_close(m.e, v->view);
        v->view = NULL;
        return;
    }
    v->seen = m.now;
    v->commits = m.commits;
    CHECK_U64(v->view->seq, m.commits);
}

typedef struct wish {
    nadb_commit_req req;
    change_iter it;
    model_ticket *t;
    const model_view *v;
    nadb_range reads[2];
    int lo[2], hi[2];
    char bounds[4][8];
} wish;

static void make_wish(wish *w, model_ticket *t) {
    const model_view *v = &m.views[rnd(VIEWS)];

    memset(w, 0, sizeof *w);
    w->t = t;
    w->v = v->view == NULL ? NULL : v;
    t->n = 0;
    t->clear = rnd(40) == 0;
    for (int key = 0; key < KEYS; key++)
        if (rnd(12) == 0)
            t->changes[t->n++] = (change){
                key, rnd(3) == 0 ? 0 : (uint32_t)rnd(1000) + 1, rnd(2) == 0};
    w->it = (change_iter){
        .base.ops = &change_ops, .changes = t->changes, .n = t->n};
    w->req = (nadb_commit_req){.view = v->view,
                               .changes = &w->it.base,
                               .count = (size_t)t->n,
                               .clear = t->clear,
                               .reads = w->reads,
                               .n_reads = (size_t)rnd(3),
                               .reads_all = rnd(30) == 0};
    for (size_t i = 0; i < w->req.n_reads; i++) {
        w->lo[i] = (int)rnd(KEYS);
        w->hi[i] = rnd(4) == 0 ? KEYS : w->lo[i] + (int)rnd(4);
        w->reads[i].lo = key_of(w->lo[i], w->bounds[2 * i]);
        if (w->hi[i] < KEYS)
            w->reads[i].hi = key_of(w->hi[i], w->bounds[2 * i + 1]);
    }
}

static bool reads_key(const wish *w, int key) {
    for (size_t i = 0; i < w->req.n_reads; i++)
        if (key >= w->lo[i] && key < w->hi[i]) return true;
    return false;
}

static bool writes_key(const model_ticket *t, int key) {
    for (int i = 0; i < t->n; i++)
        if (t->changes[i].key == key) return true;
    return false;
}

static bool expect_wait(const wish *w) {
    for (int i = 0; i < TICKETS; i++) {
        const model_ticket *t = &m.tickets[i];

        if (t->ticket == NULL) continue;
        if (tested.one_at_a_time || t->clear || w->t->clear || w->req.reads_all)
            return true;
        for (int j = 0; j < t->n; j++)
            if (writes_key(w->t, t->changes[j].key) ||
                reads_key(w, t->changes[j].key))
                return true;
    }
    return false;
}

static bool expect_conflict(const wish *w) {
    if (w->v == NULL || w->v->commits == m.commits) return false;
    if (w->req.reads_all) return true;
    for (int i = 0; i < w->t->n; i++) {
        const change *c = &w->t->changes[i];

        if (c->read && w->v->seen.version[c->key] != m.now.version[c->key])
            return true;
    }
    for (int key = 0; key < KEYS; key++)
        if (reads_key(w, key) && w->v->seen.version[key] != m.now.version[key])
            return true;
    return false;
}

static void step_prepare(model_ticket *t) {
    bool fault = rnd(8) == 0, wait;
    uint64_t fired = 0;
    nadb_rc rc;
    nadb_err err;
    wish w;

    make_wish(&w, t);
    wait = expect_wait(&w);
    if (fault) test_fault_set("malloc", rnd(12) + 1, "ENOMEM", false, NULL);
    rc = m.e->ops->prepare(m.e, &w.req, &t->ticket, &err);
    if (fault) test_fault_clear(NULL, &fired);
    if (fired > 0) {
        m.faults++;
        CHECK(rc == NADB_NOMEM);
    } else if (wait) {
        m.waits++;
        CHECK(rc == NADB_BUSY);
    } else if (expect_conflict(&w)) {
        m.conflicts++;
        CHECK(rc == NADB_CONFLICT);
    } else {
        CHECK_OK(rc, err);
    }
    CHECK((rc == NADB_OK) == (t->ticket != NULL));
}

static void step_commit(model_ticket *t) {
    m.e->ops->commit(m.e, t->ticket);
    t->ticket = NULL;
    m.commits++;
    m.done++;
    if (t->clear) memset(&m.now, 0, sizeof m.now);
    for (int i = 0; i < t->n; i++) {
        const change *c = &t->changes[i];

        m.now.value[c->key] = c->value;
        m.now.version[c->key] = c->value == 0 ? NO_VERSION : ++m.versions;
    }
}

static void count_problem(void *ctx, const char *what) {
    printf("%s\n", what);
    ++*(int *)ctx;
}

typedef struct stats {
    double count, stored_bytes;
} stats;

static void take_stat(void *ctx, const char *name, double value) {
    stats *s = ctx;

    if (strcmp(name, "table_entries") == 0) s->count = value;
    if (strcmp(name, "stored_bytes") == 0) s->stored_bytes = value;
}

static void check_whole(void) {
    int problems = 0, rows = 0;
    stats s = {-1, -1};
    nadb_err err;

    CHECK_OK(m.e->ops->check(m.e, count_problem, &problems, &err), err);
    CHECK(problems == 0);
    m.e->ops->stats(m.e, take_stat, &s);
    for (int key = 0; key < KEYS; key++) rows += m.now.value[key] != 0;
    CHECK_U64(s.count, rows);
    CHECK_U64(s.stored_bytes, rows * 7); /* 3 bytes of key, 4 of value */
}

static void model_step(void) {
    model_ticket *t = &m.tickets[rnd(TICKETS)];
    model_view *v = &m.views[rnd(VIEWS)];
    nadb_err err;

    switch (rnd(4)) {
    case 0:
        if (rnd(3) == 0) step_view(v);
        break;
    case 1:
        if (t->ticket == NULL) {
            step_prepare(t);
        } else if (rnd(4) == 0) {
            CHECK_OK(m.e->ops->rollback(m.e, t->ticket, &err), err);
            t->ticket = NULL;
        } else {
            step_commit(t);
        }
        break;
    case 2:
        if (v->view != NULL) check_get(v);
        break;
    default:
        if (v->view != NULL) check_scan(v);
    }
}

/* Ends all that is open; then nothing old may be left, which check() sees. */
static void end_all(void) {
    for (int i = 0; i < TICKETS; i++)
        if (m.tickets[i].ticket != NULL) step_commit(&m.tickets[i]);
    for (int i = 0; i < VIEWS; i++)
        if (m.views[i].view != NULL) {
            check_scan(&m.views[i]);
            m.e->ops->view_close(m.e, m.views[i].view);
            m.views[i].view = NULL;
        }
    check_whole();
}

static void test_model(void) {
    nadb_err err;
    int steps = getenv("NADB_SOAK") != NULL ? 3000000 : 60000;

    memset(&m, 0, sizeof m);
    REQUIRE_OK(tested.open(&m.e, &err), err);
    for (int i = 0; i < steps && unit.bad_checks == 0; i++) {
        model_step();
        if (i % 100 == 0) check_whole();
        if (i % 500 == 0) end_all();
    }
    end_all();
    CHECK(m.waits > 20 && m.conflicts > 20 && m.faults > 20 && m.done > 100);
    m.e->ops->close(m.e);
}

/* --- single cases --- */

static nadb_engine *open_engine(void) {
    nadb_engine *e = NULL;
    nadb_err err;

    CHECK_OK(tested.open(&e, &err), err);
    return e;
}

static void put_one(nadb_engine *e, int key, uint32_t value) {
    change c = {key, value, false};
    nadb_ticket *t = NULL;
    nadb_err err;

    REQUIRE_OK(prepare(e, NULL, &c, 1, 0, &t, &err), err);
    e->ops->commit(e, t);
}

static void test_conflict_names_key(void) {
    nadb_engine *e = open_engine();
    change c = {9, 1, true};
    nadb_ticket *t = NULL;
    nadb_view *v = NULL;
    nadb_err err;

    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    put_one(e, 9, 5);
    CHECK(prepare(e, v, &c, 1, 0, &t, &err) == NADB_CONFLICT);
    CHECK_STR(err.msg, tested.conflict);
    c.read = false; /* blind: the last one wins */
    CHECK_OK(prepare(e, v, &c, 1, 0, &t, &err), err);
    e->ops->commit(e, t);
    e->ops->view_close(e, v);
    e->ops->close(e);
}

static void test_open_without_memory(void) {
    nadb_err err;

    for (uint64_t nth = 1;; nth++) {
        nadb_engine *e = NULL;
        uint64_t fired;
        nadb_rc rc;

        test_fault_set("malloc", nth, "ENOMEM", false, NULL);
        rc = tested.open(&e, &err);
        test_fault_clear(NULL, &fired);
        if (fired == 0) {
            CHECK_OK(rc, err);
            e->ops->close(e);
            return;
        }
        CHECK(rc == NADB_NOMEM && e == NULL);
    }
}

/* --- threads --- */

typedef struct waiter {
    nadb_engine *e;
    nadb_view *view;
    change change;
    int64_t timeout_ms;
    nadb_rc rc;
    nadb_ticket *ticket;
    nadb_err err;
} waiter;

static void *wait_and_prepare(void *arg) {
    waiter *w = arg;

    w->rc = prepare(w->e, w->view, &w->change, 1, w->timeout_ms, &w->ticket,
                    &w->err);
    return NULL;
}

/* The second writer of a key waits for the first one's end. */
static void test_waiting(void) {
    nadb_engine *e = open_engine();
    change c = {3, 1, false};
    nadb_ticket *first = NULL;
    nadb_view *v = NULL;
    nadb_err err;

    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    for (int i = 0; i < 3; i++) {
        /* blind after a commit, decided after a rollback and a commit */
        waiter w = {e,  i == 0 ? NULL : v, {3, 7, i > 0}, 60000, NADB_OK, NULL,
                    err};
        struct timespec pause = {0, 20000000};
        pthread_t thread;

        REQUIRE_OK(prepare(e, NULL, &c, 1, 0, &first, &err), err);
        REQUIRE(pthread_create(&thread, NULL, wait_and_prepare, &w) == 0);
        nanosleep(&pause, NULL); /* most likely it waits by now */
        if (i == 1)
            CHECK_OK(e->ops->rollback(e, first, &err), err);
        else
            e->ops->commit(e, first);
        pthread_join(thread, NULL);
        CHECK(w.rc == (i == 2 ? NADB_CONFLICT : NADB_OK));
        if (w.ticket != NULL) e->ops->commit(e, w.ticket);
        if (i < 2) CHECK_OK(e->ops->view_refresh(e, v, &err), err);
    }
    e->ops->view_close(e, v);

    REQUIRE_OK(prepare(e, NULL, &c, 1, 0, &first, &err), err);
    {
        nadb_ticket *second;
        int64_t begun = nadb_os_get()->mono_ns();

        CHECK(prepare(e, NULL, &c, 1, 50, &second, &err) == NADB_BUSY);
        CHECK(nadb_os_get()->mono_ns() - begun >= 45000000);
        CHECK(strstr(err.msg, "within 50 ms") != NULL);
    }
    e->ops->commit(e, first);
    e->ops->close(e);
}

#define ACCOUNTS 16
#define THREADS 4
#define TRANSFERS 3000

typedef struct teller {
    nadb_engine *e;
    uint64_t rng;
    int conflicts, bad;
} teller;

static uint32_t read_account(nadb_engine *e, nadb_view *v, int key) {
    char buf[8];
    nadb_entry entry;
    uint32_t value = 0;
    bool found;
    nadb_err err;

    if (e->ops->get(e, v, key_of(key, buf), &entry, &found, &err) == NADB_OK &&
        found)
        memcpy(&value, entry.value.p, sizeof value);
    return value;
}

/* Moves one unit between two accounts; every view must see the same total. */
static nadb_rc transfer(teller *t, int a, int b) {
    nadb_engine *e = t->e;
    change c[2];
    nadb_ticket *ticket = NULL;
    nadb_view *v = NULL;
    uint64_t total = 0;
    nadb_err err;
    nadb_rc rc;

    if (e->ops->view_open(e, &v, &err) != NADB_OK) return NADB_NOMEM;
    for (int i = 0; i < ACCOUNTS; i++) total += read_account(e, v, i);
    if (total != ACCOUNTS * 1000) t->bad++;
    c[0] = (change){a, read_account(e, v, a) - 1, true};
    c[1] = (change){b, read_account(e, v, b) + 1, true};
    rc = prepare(e, v, c, 2, 10000, &ticket, &err);
    if (rc == NADB_OK) e->ops->commit(e, ticket);
    e->ops->view_close(e, v);
    return rc;
}

static void *tell(void *arg) {
    teller *t = arg;

    for (int done = 0; done < TRANSFERS;) {
        int a, b;
        nadb_rc rc;

        t->rng = t->rng * 6364136223846793005u + 1442695040888963407u;
        a = (int)(t->rng >> 33) % (ACCOUNTS - 1);
        b = a + 1; /* in the order of the keys */
        rc = transfer(t, a, b);
        if (rc == NADB_OK)
            done++;
        else if (rc == NADB_CONFLICT)
            t->conflicts++;
        else
            t->bad++;
        if (t->bad > 0) break;
    }
    return NULL;
}

static void test_threads(void) {
    nadb_engine *e = open_engine();
    teller tellers[THREADS];
    pthread_t threads[THREADS];
    uint64_t total = 0;
    nadb_view *v = NULL;
    nadb_err err;

    for (int i = 0; i < ACCOUNTS; i++) put_one(e, i, 1000);
    for (int i = 0; i < THREADS; i++) {
        tellers[i] = (teller){e, (uint64_t)i + 1, 0, 0};
        REQUIRE(pthread_create(&threads[i], NULL, tell, &tellers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(tellers[i].bad == 0);
    }
    REQUIRE_OK(e->ops->view_open(e, &v, &err), err);
    CHECK_U64(v->seq, ACCOUNTS + THREADS * TRANSFERS);
    for (int i = 0; i < ACCOUNTS; i++) total += read_account(e, v, i);
    CHECK_U64(total, ACCOUNTS * 1000);
    e->ops->view_close(e, v);
    e->ops->close(e);
}

static inline void engine_model_run(void) {
    const char *seed = getenv("NADB_SEED");

    rng_state = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    if (seed != NULL) rng_state = strtoull(seed, NULL, 10);
    printf("NADB_SEED=%llu\n", (unsigned long long)rng_state);
    RUN(test_model);
    RUN(test_conflict_names_key);
    RUN(test_open_without_memory);
    RUN(test_waiting);
    RUN(test_threads);
}

#endif
